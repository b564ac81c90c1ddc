"""How many axes each part of a formula has, as far as printing needs to know it."""

from __future__ import annotations

from collections.abc import Iterable

from kb.printing.functions import derivative_word
from kb.printing.glyphs import Context
from kb.tree import Array, Call, Chain, Element, Name, Node, Prime, Transpose
from kb.vocabulary import FUNCTIONS

_SCALARS = {"norm", "det", "logdet", "trace", "delta"}
_MATRICES = {"inv", "matpow", "expm", "eye"}


def rank(node: Node, context: Context) -> int:
    """The number of axes; 0 for what is not known."""
    match node:
        case Name(id):
            return context.ranks.get(id, 0)
        case Element(base, indices):
            return max(rank(base, context) - len(indices), 0)
        case Array(items):
            return 1 + rank(items[0], context)
        case Chain(operands, operators) if "@" in operators:
            return _chain_rank(operands, operators, context)
        case Call(function, arguments):
            return _call_rank(function, arguments, context)
        case Prime(function, arguments, by):
            return _call_rank(derivative_word(function, by), arguments, context)
    return _largest(node.children(), context)


def is_row(node: Node, context: Context) -> bool:
    """Whether the node is a transposed vector, which only a matrix product gives a meaning."""
    return isinstance(node, Transpose) and rank(node.operand, context) == 1


def product_rank(left: int, right: int) -> int:
    """Axes of a matrix product."""
    return max(left, right) if max(left, right) > 2 else max(left + right - 2, 0)


def _largest(nodes: Iterable[Node], context: Context) -> int:
    return max((rank(n, context) for n in nodes), default=0)


def _chain_rank(operands: tuple[Node, ...], operators: tuple[str, ...], context: Context) -> int:
    total = rank(operands[0], context)
    for operator, operand in zip(operators, operands[1:], strict=True):
        own = rank(operand, context)
        if operator == "@":
            # Asking is_row would compute the rank again, at every level of a nest.
            outer = own == 1 and isinstance(operand, Transpose)
            total = 2 if outer else product_rank(total, own)
        total = max(total, own) if operator != "@" else total
    return total


def _call_rank(function: str, arguments: tuple[Node, ...], context: Context) -> int:
    if function in _SCALARS or not arguments:
        return 0
    if function in _MATRICES:
        return 2
    # Each argument is asked once, or nested calls would cost twice as much at every level.
    ranks = [rank(a, context) for a in arguments]
    first = ranks[0]
    match function:
        case "sum" | "mean" | "prod" | "argmax" | "argmin" | "logsumexp" | "max" | "min" if len(arguments) == 1:
            return 0
        case "sum" | "mean" | "prod" | "argmax" | "argmin" | "logsumexp" | "concat" | "E" | "integral" | "stop":
            return first
        case "diag":
            return 1 if first == 2 else 2
        case "zeros" | "ones":
            return len(arguments)
        case "one_hot":
            return first + 1
        case "d":
            return first + ranks[-1]
        case "vjp":
            return ranks[1] if len(ranks) > 1 else 0
        case "rowsum" | "colsum":
            return max(first - 1, 0)
    if function in context.signatures and function not in FUNCTIONS:
        declared, result = context.signatures[function]
        extra = (given - own for given, own in zip(ranks, declared, strict=False))
        return result + max(0, *extra, 0)
    return max(ranks)
