"""Small rules of reading that need no names: each gives an equal expression, or the same one.

* roots of numbers join other roots: ``sqrt(2)*sqrt(pi)`` is ``sqrt(2*pi)``
* the logarithm of a root or a reciprocal has a factor: ``log(1/sqrt(x))`` is ``-log(x)/2``
* opposite sums become the same one: ``(1 - p)*a + (p - 1)*b`` is ``(p - 1)*(b - a)``
* of an index with two values, one not taken is the other: ``[i != 0]`` is ``[i == 1]``
* what holds everywhere but at one place is all of it less that place: ``x[i]*[i != s]`` is ``x[i] - x[s]*[i == s]``
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from kb.calculus.match import as_power
from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.nodes import (
    Add,
    Bind,
    Compare,
    Condition,
    Const,
    Expr,
    Fn,
    Junction,
    Mul,
    Num,
    Test,
    Val,
    alpha_key,
    num,
    val,
    walk,
)

_HALF = Fraction(1, 2)


def joined_roots(expr: Expr, is_positive: Callable[[Expr], bool]) -> Expr:
    """Square roots of numbers put under one root with another, and what is a square there taken out."""
    factors = expr.args if isinstance(expr, Mul) else (expr,)
    for sign in (1, -1):
        roots = [f for f in factors if _root_of(f, sign) is not None]
        plain = [f for f in roots if _is_number(f)]
        others = [f for f in roots if not _is_number(f) and not isinstance(as_power(f)[0], Add)]
        joined = [*plain, *others[: 1 if plain else 0]]
        if len(joined) > 1:
            rest = [f for f in factors if f not in joined]
            under = build.mul(*(as_power(f)[0] for f in joined))
            return build.mul(*rest, _taken_out(under, sign, is_positive))
    return expr


def _root_of(factor: Expr, sign: int) -> Expr | None:
    base, exponent = as_power(factor)
    return base if isinstance(exponent, Num) and exponent.value == sign * _HALF else None


def _is_number(factor: Expr) -> bool:
    base = as_power(factor)[0]
    return isinstance(base, (Num, Const)) or (isinstance(base, Mul) and all(map(_is_number, base.args)))


def _taken_out(under: Expr, sign: int, is_positive: Callable[[Expr], bool]) -> Expr:
    """The square root of a product, or one over it; squares of what is positive stand in front."""
    front: list[Expr] = []
    left: list[Expr] = []
    for factor in under.args if isinstance(under, Mul) else (under,):
        base, exponent = as_power(factor)
        root = _exact_root(factor.value) if isinstance(factor, Num) else None
        if root is not None:
            front.append(num(root))
        elif isinstance(exponent, Num) and exponent.value == 2 and is_positive(base):
            front.append(base)
        else:
            left.append(factor)
    remaining = [build.power(build.mul(*left), num(sign * _HALF))] if left else []
    return build.mul(*(build.power(f, num(sign)) for f in front), *remaining)


def _exact_root(value: Fraction) -> Fraction | None:
    if value <= 0:
        return None
    found = Fraction(round(value.numerator**0.5), round(value.denominator**0.5))
    return found if found * found == value else None


def opened_logarithm(expr: Expr) -> Expr:
    """``log(x**e)`` as ``e*log(x)`` where both exist for the same x: for roots and odd powers."""
    if not (isinstance(expr, Fn) and expr.name == "log"):
        return expr
    base, exponent = as_power(expr.arg)
    if isinstance(exponent, Num) and exponent.value != 1 and exponent.value.numerator % 2:
        return build.mul(exponent, Fn("log", base))
    return expr


def aligned_signs(expr: Expr) -> Expr:
    """Sums among the factors of the terms turned round where an earlier term has their negative."""
    assert isinstance(expr, Add)
    known: dict[Any, Expr] = {}
    terms: list[Expr] = []
    changed = False
    for term in expr.args:
        made: list[Expr] = []
        for factor in term.args if isinstance(term, Mul) else (term,):
            turned = _opposite(factor) if isinstance(factor, Add) else None
            if turned is not None and alpha_key(turned) in known:
                made += [num(-1), known[alpha_key(turned)]]
                changed = True
                continue
            if isinstance(factor, Add):
                known.setdefault(alpha_key(factor), factor)
            made.append(factor)
        terms.append(build.mul(*made))
    return build.add(*terms) if changed else expr


def _opposite(expr: Add) -> Expr:
    """The negative of a sum of two, as a sum; in the order in which it would be found elsewhere."""
    terms = [build.negative(a) for a in expr.args]
    positive = [t for t in terms if build.split_coefficient(t)[0] > 0]
    return Add((*positive, *(t for t in terms if t not in positive)))


def less_one_place(expr: Expr) -> Expr:
    """The terms ``f[i]*[i != s or j != t]`` of a sum as ``f[i] - f[s]*[i == s]*[j == t]``."""
    assert isinstance(expr, Add)
    terms: list[Expr] = []
    for term in expr.args:
        factors = list(term.args) if isinstance(term, Mul) else [term]
        test = next((f for f in factors if isinstance(f, Test) and _place(f.condition)), None)
        if test is None:
            terms.append(term)
            continue
        place = _place(test.condition)
        rest = build.mul(*(f for f in factors if f is not test))
        at_place: Expr = build.substitute(rest, {index: poly for index, poly, _ in place})
        terms += [rest, build.mul(num(-1), at_place, *(equal for *_, equal in place))]
    made: Expr = build.transform(build.add(*terms), _index_first)
    return made if len(terms) > len(expr.args) else expr


def _index_first(node: Expr) -> Expr | None:
    """``[i == s]`` for ``[s == i]``, so that both are seen to be the same."""
    compared = node.condition if isinstance(node, Test) else None
    if isinstance(compared, Compare) and compared.op == "==":
        one, other = compared.left, compared.right
        if isinstance(one, Val) and isinstance(other, Val) and one.poly.index is None and other.poly.index is not None:
            return Test(Compare("==", other, one))
    return None


def _place(condition: Condition) -> list[tuple[Index, Poly, Expr]]:
    """Indices and where they are together unless the condition holds, each with its delta; empty for others."""
    opposite = build.negation(condition)
    parts = opposite.args if isinstance(opposite, Junction) and opposite.op == "and" else (opposite,)
    found: list[tuple[Index, Poly, Expr]] = []
    for part in parts:
        sides = (part.left, part.right) if isinstance(part, Compare) and part.op == "==" else ()
        polys = [side.poly for side in sides if isinstance(side, Val)]
        index = next((p.index for p in polys if p.index is not None), None)
        if index is None or len(polys) != 2:
            return []
        other = polys[1] if polys[0].index is index else polys[0]
        if not (isinstance(other.atom, Gather) or (other.index is not None and other.index.size == index.size)):
            return []  # the other side may lie beyond the ends
        found.append((index, other, Test(part)))
    return found


def decided(expr: Expr) -> Expr:
    """The expression with conditions ``i != 0`` on an index that has two values as ``i == 1``."""
    if not any(isinstance(n, Compare) and n.op == "!=" for n in walk(expr)):
        return expr

    def change(node: Expr) -> Expr | None:
        if isinstance(node, Test) and (made := _equations(node.condition)) is not None:
            return build.test(made)
        if isinstance(node, Bind) and node.op == "sum" and any(_equations(c) is not None for c in node.conditions):
            conditions = [_equations(c) or c for c in node.conditions]
            return build.bind("sum", node.indices, conditions, decided(node.body))
        return None

    found: Expr = build.transform(expr, change)
    return found


def _equations(condition: Condition) -> Condition | None:
    """The condition with the other value of such an index; None where nothing changes."""
    found = build.rebuild_condition(condition, lambda n: _equations(n) or n if isinstance(n, Condition) else n)
    if isinstance(found, Compare) and found.op == "!=":
        for one, other in ((found.left, found.right), (found.right, found.left)):
            index = one.poly.index if isinstance(one, Val) else None
            value = build.as_poly(other).constant if build.is_whole(other) else None
            if index is not None and index.size == Poly.of(2) and value in (0, 1):
                return build.compare("==", one, val(Poly.of(1 - int(value))))
    return found if found != condition else None
