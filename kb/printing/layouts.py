"""Numerator and denominator layout: which way derivatives of arrays stand where they have no indices.

The catalogue states them as most of the field does: the derivative of a number has the shape of the array, that of a
vector by a vector has a row for each of its elements. A layout that has one of them the other way round shows it
transposed, so that every formula stays true.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from kb.printing.chains import transposed
from kb.printing.glyphs import Context
from kb.printing.layout import is_gradient
from kb.printing.ranks import rank
from kb.printing.trees import mapped
from kb.tree import Call, Chain, Claim, Negative, Node, Step, Transpose

T = TypeVar("T", bound=Node)


def in_layout(node: T, context: Context) -> T:
    """An expression, a step or a claim as the profile lays out its derivatives."""
    if context.profile.layout == "usual":
        return node
    turned = _turned(node, context)
    if isinstance(turned, Claim) and isinstance(turned.left, Transpose) and _is_turned(turned.left.operand, context):
        return replace(turned, left=turned.left.operand, right=_transpose(turned.right, context))
    return turned


def _turned(node: T, context: Context) -> T:
    if isinstance(node, Claim):
        return replace(node, left=_turned(node.left, context), right=_turned(node.right, context))
    if isinstance(node, Step):
        return replace(node, value=_turned(node.value, context))
    if isinstance(node, Transpose) and _is_turned(node.operand, context):
        return node.operand  # type: ignore[return-value]
    if _is_turned(node, context):
        return Transpose(node)  # type: ignore[return-value]
    return mapped(node, lambda part: _turned(part, context))  # type: ignore[return-value]


def _is_turned(node: Node, context: Context) -> bool:
    """Whether a derivative stands the other way round in the profile's layout; a nabla is a column in all of them."""
    if not isinstance(node, Call) or node.function != "d" or len(node.arguments) != 2:
        return False
    value, variable = node.arguments
    axes = rank(value, context), rank(variable, context)
    if context.profile.layout == "denominator":
        return axes == (1, 1)
    return axes[0] == 0 and axes[1] in (1, 2) and not is_gradient(value, variable, context)


def _transpose(node: Node, context: Context) -> Node:
    """The transpose, of a matrix product factor by factor."""
    if rank(node, context) == 0:
        return node
    if isinstance(node, Negative):
        return Negative(_transpose(node.operand, context))
    if isinstance(node, Chain) and node.operators[0] not in "+-":
        found = _product(node, context)
        if found is not None:
            return found
    return transposed(node)


def _product(chain: Chain, context: Context) -> Node | None:
    """Numbers in front, the arrays in reverse, divisors at the end; None where arrays are multiplied in another way."""
    numbers: list[Node] = []
    arrays: list[Node] = []
    divisors: list[Node] = []
    for operator, operand in zip(("*", *chain.operators), chain.operands, strict=True):
        if rank(operand, context) > 0:
            if operator not in ("@", "*") or (operator == "*" and arrays):
                return None
            arrays.append(_transpose(operand, context))
        elif operator in "*/":
            (numbers if operator == "*" else divisors).append(operand)
        else:
            return None
    parts = [*(("*", n) for n in numbers), *(("@", a) for a in reversed(arrays)), *(("/", d) for d in divisors)]
    if numbers:
        parts[len(numbers)] = ("*", parts[len(numbers)][1])
    return Chain(tuple(part for _, part in parts), tuple(o for o, _ in parts[1:])) if len(parts) > 1 else parts[0][1]
