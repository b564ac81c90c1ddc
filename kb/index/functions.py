"""Derivatives of the vocabulary's functions, from the texts that its rows state."""

from __future__ import annotations

from functools import cache

from kb.errors import NotDifferentiable
from kb.index import build
from kb.index.expressions import Expressions, scalar
from kb.index.nodes import Expr, Fn, Num, Pow, Read, walk
from kb.index.scope import Scope
from kb.parser import parse_expression
from kb.vocabulary import FUNCTIONS


@cache
def _template(name: str) -> tuple[Expr, Read, Read]:
    """A function's derivative as an expression in two placeholders, ``x`` and ``value``."""
    row = FUNCTIONS[name]
    if row.derivative is None:
        raise NotDifferentiable(f"'{name}' is not differentiable")
    x, value = Read("x", (), False), Read("value", (), False)
    scope = Scope(arrays={"x": scalar(x), "value": scalar(value)})
    body = Expressions(scope).array(parse_expression(row.derivative)).at(())
    return body, x, value


def function_derivative(name: str, arg: Expr) -> Expr:
    """The derivative of a vocabulary function at ``arg``. Raises NotDifferentiable."""
    body, x, value = _template(name)
    given = {x.name: arg, value.name: build.function(name, arg)}
    result: Expr = build.replace_reads(body, lambda read: given[read.name])
    return result


def may_be_infinite(expr: Expr) -> bool:
    """Whether a value may not be finite: where a condition excludes it, a factor 0 would not."""
    return any(
        (isinstance(n, Pow) and not (isinstance(n.exponent, Num) and n.exponent.value > 0))
        or (isinstance(n, Fn) and n.name in ("log", "exp", "tan", "sinh", "cosh"))
        for n in walk(expr)
    )
