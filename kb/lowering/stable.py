"""Forms that lose no digits and do not overflow, put in place of what was written.

The new nodes stand for NumPy functions that the language does not need; they exist between here and the source only.
"""

from __future__ import annotations

from kb.index import build
from kb.index.arithmetic import flatten
from kb.index.nodes import Add, Compare, Condition, Expr, Fn, Mul, Num, Pow, Test, alpha_key, num

EXPM1 = "expm1"


def stable(expr: Expr) -> Expr:
    """The expression with ``exp(a) - 1`` as one function, quotients of exponentials as hyperbolic tangents, and one
    choice where a sum has both of its outcomes.
    """

    def change(node: Expr) -> Expr | None:
        if isinstance(node, Mul):
            return _tangent(node)
        return (_less_one(node) or _either(node)) if isinstance(node, Add) else None

    result: Expr = build.transform(expr, change)
    return result


def _less_one(node: Add) -> Expr | None:
    """``c*exp(a) - c + rest`` as ``c*expm1(a) + rest``."""
    numbers = [t for t in node.args if isinstance(t, Num)]
    for term in node.args:
        coefficient, factor = build.split_coefficient(term)
        if isinstance(factor, Fn) and factor.name == "exp" and Num(-coefficient) in numbers:
            rest = [stable(t) for t in node.args if t is not term and t != Num(-coefficient)]
            return build.add(build.mul(Num(coefficient), Fn(EXPM1, stable(factor.arg))), *rest)
    return None


def _either(node: Add) -> Expr | None:
    """``[c]*a + [not c]*b + rest`` as ``(a if c else b) + rest``, where a test of numbers decides."""
    for term in node.args:
        condition, value = _tested(term)
        if not (isinstance(condition, Compare) and condition.op in ("<", "<=")):
            continue
        for other in node.args:
            opposite, otherwise = _tested(other)
            if opposite is not None and alpha_key(opposite) == alpha_key(build.negation(condition)):
                rest = [stable(t) for t in node.args if t is not term and t is not other]
                return build.add(build.cases(((condition, stable(value)),), stable(otherwise)), *rest)
    return None


def _tested(term: Expr) -> tuple[Condition | None, Expr]:
    """The one test among the factors of a term, and the others."""
    factors = list(flatten(Mul, [term]))
    tests = [f for f in factors if isinstance(f, Test)]
    if len(tests) != 1:
        return None, term
    return tests[0].condition, build.mul(*(f for f in factors if f is not tests[0]))


def _tangent(node: Mul) -> Expr | None:
    """``(exp(a) - exp(-a))/(exp(a) + exp(-a))`` and ``sinh(a)/cosh(a)`` as ``tanh(a)``, among other factors."""
    for over in node.args:
        for under in node.args:
            if not (isinstance(under, Pow) and under.exponent == num(-1)):
                continue
            for argument in _sinh_arguments(over):
                if _is_cosh(under.base, argument, isinstance(over, Fn)):
                    rest = [stable(f) for f in node.args if f is not over and f is not under]
                    return build.mul(Fn("tanh", stable(argument)), *rest)
    return None


def _sinh_arguments(expr: Expr) -> list[Expr]:
    """``a`` where the expression is ``sinh(a)`` or twice that, written out."""
    if isinstance(expr, Fn):
        return [expr.arg] if expr.name == "sinh" else []
    if not (isinstance(expr, Add) and len(expr.args) == 2):
        return []
    (one, plus), (other, minus) = sorted(map(build.split_coefficient, expr.args), key=lambda part: -part[0])
    if one != 1 or other != -1 or not (isinstance(plus, Fn) and plus.name == "exp"):
        return []
    opposite = build.function("exp", build.negative(plus.arg))
    return [plus.arg] if alpha_key(minus) == alpha_key(opposite) else []


def _is_cosh(expr: Expr, argument: Expr, by_name: bool) -> bool:
    if by_name:
        wanted: Expr = build.function("cosh", argument)
    else:
        wanted = build.add(build.function("exp", argument), build.function("exp", build.negative(argument)))
    return bool(alpha_key(expr) == alpha_key(wanted))
