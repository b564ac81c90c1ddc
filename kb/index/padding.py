"""Arrays that have a value beyond their ends: 0 is a flag of their reads, any other value is a case."""

from __future__ import annotations

from fractions import Fraction

from kb.index import build
from kb.index.affine import Poly
from kb.index.nodes import INFINITY, ZERO, Condition, Expr, Num, Read, val
from kb.index.program import Tensor
from kb.index.scope import Array, Scope
from kb.model import Symbol


def outside_value(symbol: Symbol) -> Expr | None:
    """What a symbol states for its elements beyond its ends."""
    text = symbol.outside
    if text is None:
        return None
    if text in ("oo", "-oo"):
        return INFINITY if text == "oo" else build.negative(INFINITY)
    return Num(Fraction(text))


def padded(scope: Scope, tensor: Tensor) -> Array:
    """The array whose elements beyond the ends are those that its symbol states."""

    def at(idx: tuple[Poly, ...]) -> Expr:
        inside: list[Condition] = []
        for place, size in zip(idx, tensor.shape, strict=True):
            if not scope.facts.nonnegative(place):
                inside.append(build.compare("<=", ZERO, val(place)))
            if not scope.facts.nonnegative(size - 1 - place):
                inside.append(build.compare("<", val(place), val(size)))
        read = Read(tensor.name, idx, False)
        return build.cases([(build.junction("and", inside), read)], scope.padding[tensor.name])

    return Array(tensor.shape, at)
