"""Trees of the language put together as an author would: signs, fractions, elements, other names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any, TypeGuard

from kb import tree

_MOST_DIGITS = 100


def element(name: str, indices: Sequence[tree.Node]) -> tree.Name | tree.Element:
    """``name`` or ``name[i, j]``."""
    return tree.Element(tree.Name(name), tuple(indices)) if indices else tree.Name(name)


def sum_of(terms: Sequence[tuple[bool, tree.Node]]) -> tree.Node:
    """Terms, each with whether it is subtracted, as one chain."""
    (negative, first), *rest = terms
    first = negated(first) if negative else first
    if not rest:
        return first
    operands, operators = [first], []
    for minus, term in rest:
        inner_signs: tuple[str, ...] = ()
        parts: tuple[tree.Node, ...] = (term,)
        if not minus and isinstance(term, tree.Chain) and term.operators[0] in "+-":
            parts, inner_signs = term.operands, term.operators
        operators += ["-" if minus else "+", *inner_signs]
        operands += parts
    return tree.Chain(tuple(operands), tuple(operators))


def in_chains(condition: tree.Logic) -> list[list[tree.Node]]:
    """The operands; ``a <= b and b < c`` together, as ``b >= a and b < c`` too, to be shown as ``a <= b < c``."""
    chains: list[list[tree.Node]] = []
    for operand in condition.operands:
        before = chains[-1][-1] if chains and condition.operator == "and" else None
        if _goes_up(before) and _goes_up(operand) and before.right == operand.left:
            chains[-1].append(operand)
        elif _goes_down(before) and _goes_up(operand) and before.left == operand.left:
            chains[-1] = [tree.Comparison(before.operator.replace(">", "<"), before.right, before.left), operand]
        else:
            chains.append([operand])
    return chains


def _goes_up(node: tree.Node | None) -> TypeGuard[tree.Comparison]:
    return isinstance(node, tree.Comparison) and node.operator in ("<", "<=")


def _goes_down(node: tree.Node | None) -> TypeGuard[tree.Comparison]:
    return isinstance(node, tree.Comparison) and node.operator in (">", ">=")


def negated(node: tree.Node) -> tree.Node:
    """The node with a minus, where an author would put it."""
    if isinstance(node, tree.Chain) and node.operators[0] not in "+-":
        return tree.Chain((tree.Negative(node.operands[0]), *node.operands[1:]), node.operators)
    return tree.Negative(node)


def product_of(above: Sequence[tree.Node], below: Sequence[tree.Node] = ()) -> tree.Node:
    """Factors over factors, as one chain with one fraction bar."""
    over: list[tree.Node] = []
    under: list[tree.Node] = []
    for factor in above:
        match factor:
            case tree.Chain(operands, operators) if set(operators) == {"*"}:
                over += operands
            case tree.Chain((*operands, last), (*operators, "/")) if set(operators) <= {"*"}:
                over += [o for o in operands if o != tree.Number("1")]
                under.append(last)
            case _:
                over.append(factor)
    under = [*below, *under]
    front = tuple(over) or (tree.Number("1"),)
    signs = ("*",) * (len(front) - 1)
    front = tuple(sorted(front, key=lambda n: not isinstance(n, tree.Number)))
    if not under:
        return front[0] if len(front) == 1 else tree.Chain(front, signs)
    return tree.Chain((*front, product_of(under)), (*signs, "/"))


def number_parts(value: Fraction) -> tuple[list[tree.Node], list[tree.Node]]:
    """A positive number as what stands above and below the bar; long fractions as decimals."""
    if value.denominator > _MOST_DIGITS and (decimal := _decimal(value)) is not None:
        return [tree.Number(decimal)], []
    above = [] if value.numerator == 1 else [tree.Number(str(value.numerator))]
    below = [] if value.denominator == 1 else [tree.Number(str(value.denominator))]
    return list[tree.Node](above), list[tree.Node](below)


def _decimal(value: Fraction) -> str | None:
    for digits in range(1, 31):
        scaled = value * 10**digits
        if scaled.denominator == 1:
            text = f"{scaled.numerator:0{digits + 1}d}"
            return f"{text[:-digits]}.{text[-digits:]}"
    return None


def replaced(node: tree.Node, name: str, value: tree.Node) -> tree.Node:
    """The tree with a value in place of a name, in subscripts too."""
    return value if node == tree.Name(name) else mapped(node, lambda part: replaced(part, name, value))


def replaced_by_names(step: tree.Step, named: Sequence[tree.Step]) -> tree.Step:
    """The step with the names of others where it spells out what these are: ``sigmoid(z)`` for ``sigmoid(W @ x)``."""

    def visit(node: tree.Node) -> tree.Node:
        own = next((s for s in named if s.value == node), None)
        return own.targets[0] if own is not None else mapped(node, visit)

    return replace(step, value=visit(step.value))


def mapped(node: tree.Node, change: Callable[[tree.Node], tree.Node]) -> tree.Node:
    """The tree with each of its direct parts changed."""
    changed: dict[str, Any] = {}
    for part in fields(node):
        child = getattr(node, part.name)
        if isinstance(child, tree.Node):
            changed[part.name] = change(child)
        elif isinstance(child, tuple):
            changed[part.name] = tuple(change(c) if isinstance(c, tree.Node) else c for c in child)
    return replace(node, **changed)


def with_old(node: tree.Node, suffix: str) -> tree.Node:
    """With names in place of ``old(x)``: ``x_prev``."""
    if isinstance(node, tree.Call) and node.function == "old" and isinstance(node.arguments[0], tree.Name):
        return tree.Name(f"{node.arguments[0].id}_{suffix}")
    return mapped(node, lambda part: with_old(part, suffix))


def by_incoming(node: tree.Node, states: Collection[str]) -> tree.Node:
    """A claim whose derivatives by a state of an update say that they are by what came in: ``d(x, x_prev)``."""
    if isinstance(node, tree.Call) and node.function in ("d", "vjp") and len(node.arguments) > 1:
        body, by, *rest = node.arguments
        by = renamed(by, {name: f"{name}_prev" for name in states})
        return replace(node, arguments=(by_incoming(body, states), by, *rest))
    return mapped(node, lambda part: by_incoming(part, states))


def renamed(node: tree.Node, names: dict[str, str]) -> tree.Node:
    """The tree with other names for some values: an update's new states by the steps that hold them."""
    match node:
        case tree.Name(id):
            return tree.Name(names.get(id, id))
        case tree.Number():
            return node
        case tree.Element(base, indices):
            return tree.Element(renamed(base, names), indices)
        case tree.Transpose(operand):
            return tree.Transpose(renamed(operand, names))
        case tree.Negative(operand):
            return tree.Negative(renamed(operand, names))
        case tree.Power(base, exponent):
            return tree.Power(renamed(base, names), renamed(exponent, names))
        case tree.Chain(operands, operators):
            return tree.Chain(tuple(renamed(o, names) for o in operands), operators)
        case tree.Call(function, arguments, rest):
            return tree.Call(function, tuple(renamed(a, names) for a in arguments), rest)
        case tree.Prime(function, arguments, by):
            return tree.Prime(function, tuple(renamed(a, names) for a in arguments), by)
        case tree.Cases(then, condition, otherwise):
            return tree.Cases(renamed(then, names), renamed(condition, names), renamed(otherwise, names))
        case tree.Comparison(operator, left, right):
            return tree.Comparison(operator, renamed(left, names), renamed(right, names))
    return node


def differentiated(node: tree.Node) -> list[tree.Node]:
    """What ``d(d(y, x), z)`` differentiates, then by what: y, x, z; the node alone where it is no derivative."""
    match node:
        case tree.Call("d", (above, below)):
            return [*differentiated(above), below]
    return [node]


def is_indexed(left: tree.Node, right: tree.Node) -> bool:
    """Whether a statement is in index notation and not in that of matrices."""
    places = len(left.indices) if isinstance(left, tree.Element) else 0
    sums = [n for n in tree.walk(right) if isinstance(n, tree.Call) and n.function == "sum"]
    return places > 1 or (places == 0 and any(len(n.arguments) > 1 for n in sums)) or (places == 1 and bool(sums))
