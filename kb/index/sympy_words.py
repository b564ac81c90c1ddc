"""SymPy has no maximum over an index, no first extremum and no rounding; these stand for them."""

from __future__ import annotations

from typing import Any, ClassVar

import sympy
from sympy.concrete.expr_with_limits import ExprWithLimits

Sympy = Any


class OverIndex(ExprWithLimits):  # type: ignore[misc]
    """The largest (or smallest) value of an expression over indices: ``MaxOver(x[i], (i, 0, n - 1))``.

    ``doit`` writes it out where the limits are numbers.
    """

    combine: ClassVar[Any] = sympy.Max

    def __new__(cls, function: Sympy, *limits: Sympy) -> Sympy:
        limits = tuple(sympy.Tuple(*limit) for limit in limits)
        made = sympy.Expr.__new__(cls, function, *limits)
        made.is_commutative = function.is_commutative
        return made

    def doit(self, **hints: Any) -> Sympy:
        """The maximum of all values, if the limits are numbers."""
        values = [self.function]
        for index, low, high in self.limits:
            if not (low.is_Integer and high.is_Integer):
                return self
            values = [v.xreplace({index: sympy.Integer(n)}) for v in values for n in range(int(low), int(high) + 1)]
        return self.combine(*values).doit(**hints)


class MaxOver(OverIndex):
    """The largest value over indices."""


class MinOver(OverIndex):
    """The smallest value over indices."""

    combine: ClassVar[Any] = sympy.Min


class FirstExtremum(sympy.Expr):  # type: ignore[misc]
    """1 where a place is the first at which an expression is extremal over indices, else 0.

    Arguments: the expression, the place, and the limits of the indices, in the same order; for a
    minimum the expression is negated.
    """

    def __new__(cls, function: Sympy, place: Sympy, *limits: Sympy) -> Sympy:
        return sympy.Expr.__new__(cls, function, sympy.Tuple(*place), *(sympy.Tuple(*limit) for limit in limits))


class round_to_even(sympy.Function):  # type: ignore[misc]
    """The nearest whole number, ties to even."""

    nargs = 1

    @classmethod
    def eval(cls, x: Sympy) -> Sympy:
        """Numbers only."""
        return sympy.Integer(round(x)) if x.is_Rational or x.is_Float else None
