"""Reductions over indices: which calls are some, what their indices run over, what stands below and above a sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kb.errors import LanguageError
from kb.parser import parse_expression
from kb.printing.glyphs import Context
from kb.printing.trees import in_chains, replaced
from kb.tree import Call, Chain, Comparison, Element, Logic, Name, Node, Number, Power, walk

ONE = Number("1")
_SHORT_SIZE = 3  # names and numbers


@dataclass(frozen=True, slots=True)
class Binder:
    """A reduction over indices: its body, the indices it names, and the conditions on them."""

    body: Node
    indices: tuple[Name, ...]
    conditions: tuple[Node, ...]

    def limits(self) -> tuple[list[Name], list[Node]]:
        """The indices to be listed, and all conditions, ``a <= b`` and ``b < c`` as one.

        One that a condition introduces by itself, as ``u < k`` does, is listed only with others of
        which the conditions speak: "i, u such that ...".
        """
        chains = in_chains(Logic("and", self.conditions))
        conditions = [chain[0] if len(chain) == 1 else Logic("and", tuple(chain)) for chain in chains]
        return list(self.indices) if self.separates() else self._not_introduced(), conditions

    def separates(self) -> bool:
        """Whether a condition speaks about an index that none introduces: "u such that ..."."""
        listed = {i.id for i in self._not_introduced()}
        return any(isinstance(n, Name) and n.id in listed for c in self.conditions for n in walk(c))

    def _not_introduced(self) -> list[Name]:
        introduced = {side.id for c in self.conditions for side in _sides(c) if isinstance(side, Name)}
        return [i for i in self.indices if i.id not in introduced]


def _sides(condition: Node) -> tuple[Node, ...]:
    return (condition.left, condition.right) if isinstance(condition, Comparison) else ()


_ALWAYS = {"sum", "mean", "prod", "argmax", "argmin", "logsumexp"}
_SOMETIMES = {"max", "min", "concat"}


def binder(call: Call, context: Context) -> Binder | None:
    """The call as a reduction over indices, or None where it takes values (``max(0, z)``)."""
    body, *rest = call.arguments or (ONE,)
    indices = tuple(a for a in rest if isinstance(a, Name))
    conditions = tuple(a for a in rest if not isinstance(a, Name))
    if call.function in ("sum", "mean"):
        conditions = tuple(c for c in conditions if not _is_shared(c, body, context))
    if not indices and not conditions:
        return None
    reducer = context.kinds.get(call.function) == "reducer" or any(isinstance(c, Comparison) for c in conditions)
    if call.function in _ALWAYS or reducer:
        return Binder(body, indices, conditions)
    if call.function in _SOMETIMES and not conditions and all(_binds(i.id, body, context) for i in indices):
        return Binder(body, indices, conditions)
    return None


def _is_shared(condition: Node, body: Node, context: Context) -> bool:
    """Whether it says ``i < n`` beside a factor ``delta(j, i)`` with another index j that takes n values."""
    match condition:
        case Comparison("<", Name(index), limit):
            factors = body.operands if isinstance(body, Chain) and set(body.operators) == {"*"} else (body,)
            deltas = (f.arguments for f in factors if isinstance(f, Call) and f.function == "delta")
            others = {n.id for pair in deltas if Name(index) in pair for n in pair if isinstance(n, Name)} - {index}
            return any(index_range(other, context) == limit for other in others)
    return False


def _binds(index: str, body: Node, context: Context) -> bool:
    if context.kinds.get(index) == "index":
        return True
    subscripts = (i for n in walk(body) if isinstance(n, Element) for i in n.indices)
    return any(isinstance(n, Name) and n.id == index for i in subscripts for n in walk(i))


def count(found: Binder, context: Context) -> Node | None:
    """The number of terms of a reduction, where it is known: ``N``, ``k**2``, ``m*n``."""
    counts = sizes(found, context)
    if not counts:
        return None
    if len(counts) == 1:
        return counts[0]
    if all(c == counts[0] for c in counts):
        return Power(counts[0], Number(str(len(counts))))
    return Chain(tuple(counts), ("*",) * (len(counts) - 1))


def sizes(found: Binder, context: Context) -> list[Node] | None:
    """The number of values of each index, where that is known without counting."""
    counts: list[Node] = []
    for index in found.indices:
        about = [c for c in found.conditions if any(isinstance(n, Name) and n.id == index.id for n in walk(c))]
        match about:
            case []:
                size = index_range(index.id, context, found.body)
            case [Comparison("<", Name(id), limit)] if id == index.id and not _names_an_index(limit, found, context):
                size = limit
            case _:
                size = None
        if size is None:
            return None
        counts.append(size)
    return counts


def _names_an_index(limit: Node, found: Binder, context: Context) -> bool:
    known = {i.id for i in found.indices} | set(context.ranges)
    return any(isinstance(n, Name) and n.id in known for n in walk(limit))


def index_range(index: str, context: Context, body: Node | None = None) -> Node | None:
    """The size of the dimension that an index runs over, where it is known: what the body reads comes first."""
    found = _sizes_read(index, body, context) if body is not None else set()
    text = found.pop() if len(found) == 1 else context.ranges.get(index)
    if text is None:
        return None
    try:
        return parse_expression(text)
    except LanguageError:
        return None


def _sizes_read(index: str, body: Node, context: Context) -> set[str]:
    """The sizes of the axes that an index alone reads."""
    found: set[str] = set()
    for node in walk(body):
        merged = merge_indices(node) if isinstance(node, Element) else None
        if merged is not None and isinstance(merged.base, Name):
            shape = context.shapes.get(merged.base.id, ())
            found |= {s for s, i in zip(shape, merged.indices, strict=False) if isinstance(i, Name) and i.id == index}
    return found


def limits(found: Binder, context: Context) -> tuple[Node, Node] | None:
    """The first and last value of the one index of a reduction, if they are short and to be shown.

    The index counts from 1 where it only ever stands alone as a subscript and the formula says
    nothing about element 0, and from 0 elsewhere.
    """
    if not context.limits or len(found.indices) != 1:
        return None
    known = sizes(found, context)
    if not known or sum(isinstance(n, (Name, Number)) for n in walk(known[0])) > _SHORT_SIZE:
        return None
    return ends(found, known[0], context)


def ends(found: Binder, size: Node, context: Context) -> tuple[Node, Node]:
    """The first and last value of an index that takes ``size`` values."""
    if context.one_based and is_bare(found.indices[0].id, found.body):
        return ONE, size
    return Number("0"), _one_less(size)


def _one_less(size: Node) -> Node:
    """The size minus 1; a number at its end takes that in."""
    terms, signs = (
        (size.operands, size.operators) if isinstance(size, Chain) and size.operators[0] in "+-" else ((), ())
    )
    if isinstance(size, Number):
        return Number(str(int(size.text) - 1))
    if not terms or not isinstance(terms[-1], Number):
        return Chain((*terms, ONE), (*signs, "-")) if terms else Chain((size, ONE), ("-",))
    rest = int(signs[-1] + terms[-1].text) - 1
    if rest:
        return Chain((*terms[:-1], Number(str(abs(rest)))), (*signs[:-1], "+" if rest > 0 else "-"))
    return Chain(terms[:-1], signs[:-1]) if len(terms) > 2 else terms[0]


def span(found: Binder, context: Context) -> tuple[Node, Node] | None:
    """The body for the first and for the last value of its one index, where it has few names and the range is known."""
    known = sizes(found, context) if len(found.indices) == 1 and not found.conditions else None
    if not known or not isinstance(found.body, (Name, Element)):
        return None
    index = found.indices[0].id
    first, last = (replaced(found.body, index, end) for end in ends(found, known[0], context))
    return first, last


def common_limit(found: Binder, context: Context) -> Node | None:
    """The limit of all indices, where the conditions say that each is below it and nothing else."""
    below = [c for c in found.conditions if isinstance(c, Comparison) and c.operator == "<"]
    if not below or len(below) < len(found.conditions) or [c.left for c in below] != list(found.indices):
        return None
    limit = below[0].right
    return limit if all(c.right == limit for c in below) and not _names_an_index(limit, found, context) else None


def counts_from_one(statements: Iterable[Node]) -> bool:
    """Whether all subscripts are names, so that nobody can see where counting begins."""
    subscripts = (i for s in statements for n in walk(s) if isinstance(n, Element) for i in n.indices)
    return all(isinstance(i, Name) for i in subscripts)


def is_bare(index: str, body: Node) -> bool:
    """Whether the index only ever stands alone as a subscript, so that counting from 1 is the same."""
    total = sum(isinstance(n, Name) and n.id == index for n in walk(body))
    alone = 0
    for node in walk(body):
        places: tuple[Node, ...] = ()
        if isinstance(node, Element):
            places = node.indices
        elif isinstance(node, Call) and (node.function == "delta" or node.function in _ALWAYS | _SOMETIMES):
            places = node.arguments if node.function == "delta" else node.arguments[1:]
        alone += sum(isinstance(p, Name) and p.id == index for p in places)
    return total == alone


def merge_indices(element: Element) -> Element:
    """``x[i][j]`` as ``x[i, j]``."""
    while isinstance(element.base, Element):
        element = Element(element.base.base, element.base.indices + element.indices)
    return element
