"""Products taken apart for display: numbers, what stands above and below the bar, tests, means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache

from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import (
    ONE,
    ZERO,
    Add,
    Bind,
    Cases,
    Compare,
    Condition,
    Expr,
    Fn,
    Integral,
    Mul,
    Node,
    Num,
    Pick,
    Pow,
    Read,
    Several,
    Test,
    Val,
    Var,
    children,
    num,
    val,
    walk,
)

Listed = Expr | list["Listed"]


@dataclass
class Factors:
    """A product taken apart: its number, what stands above and below the bar, and its tests."""

    number: Fraction = Fraction(1)
    above: list[Expr] = field(default_factory=list)
    below: list[Expr] = field(default_factory=list)
    tests: list[Condition] = field(default_factory=list)


def free_indices_only(condition: Condition) -> bool:
    """Whether the condition speaks about indices and sizes only, not about values."""
    return not any(isinstance(n, (Read, Var, Pick)) for n in walk(condition))


def in_order(terms: Sequence[Expr]) -> list[Expr]:
    """Positive terms first; ``1 + exp(-z)`` rather than ``exp(-z) + 1``."""
    if len(terms) == 2 and isinstance(terms[1], Num) and isinstance(terms[0], Fn) and terms[0].name == "exp":
        terms = (terms[1], terms[0])
    return sorted(terms, key=lambda t: positive_sum(take_apart(t)).number < 0)


def plain_first(terms: Sequence[Expr]) -> list[Expr]:
    """Sums over indices last, ``x - y + sum(...)``, unless a minus would come to stand in front."""
    ordered = sorted(terms, key=has_binder)
    return ordered if positive_sum(take_apart(ordered[0])).number > 0 else list(terms)


def take_apart(expr: Expr) -> Factors:
    found = Factors()
    for factor in expr.args if isinstance(expr, Mul) else (expr,):
        match factor:
            case Num(value=value):
                found.number *= value
            case Test(condition=condition):
                found.tests.append(condition)
            case Pow(base=base, exponent=exponent) if build.split_coefficient(exponent)[0] < 0:
                found.below.append(build.power(base, build.negative(exponent)))
            case Fn(name="exp") if (split := softmax_form(factor)) is not None:
                found.above += split[0]
                found.below += split[1]
            case Bind() | Add() if (positive := _positive(factor, expr)) is not None:
                found.number = -found.number
                found.above.append(positive)
            case _:
                found.above.append(factor)
    return found


def is_negative_sum(expr: Bind) -> bool:
    """Whether all terms of a sum over indices have a minus, which then stands in front of the sum."""
    return expr.op == "sum" and take_apart(expr.body).number < 0


def _positive(factor: Expr, whole: Expr) -> Expr | None:
    """A factor without its minus, where it is a sum over indices or one of terms that all have one."""
    match factor:
        case Bind(op=op, indices=indices, conditions=conditions, body=body) if is_negative_sum(factor):
            return Bind(op, indices, conditions, _absolute(body))
        case Add(args=terms) if factor is not whole and all(build.split_coefficient(t)[0] < 0 for t in terms):
            return Add(tuple(map(build.negative, terms)))
    return None


def _absolute(expr: Expr) -> Expr:
    """The product without the minus of its number and of its factors."""
    factors = []
    for factor in expr.args if isinstance(expr, Mul) else (expr,):
        positive = _positive(factor, expr)
        factors.append(Num(abs(factor.value)) if isinstance(factor, Num) else factor if positive is None else positive)
    return build.mul(*factors)


def softmax_form(expr: Fn) -> tuple[list[Expr], list[Expr]] | None:
    """``exp(a - logsumexp(f))`` as ``exp(a)`` over ``sum(exp(f))``."""
    terms = expr.arg.args if isinstance(expr.arg, Add) else (expr.arg,)
    above: list[Expr] = []
    below: list[Expr] = []
    rest: list[Expr] = []
    for term in terms:
        number, core = build.split_coefficient(term)
        if isinstance(core, Bind) and core.op == "logsumexp" and number in (1, -1):
            total = Bind("sum", core.indices, core.conditions, build.function("exp", core.body))
            (above if number == 1 else below).append(total)
        elif isinstance(core, Several) and core.op == "logsumexp" and number in (1, -1):
            (above if number == 1 else below).append(Add(tuple(build.function("exp", a) for a in core.args)))
        else:
            rest.append(term)
    if not above and not below:
        return None
    kept = build.add(*rest) if rest else None
    return ([Fn("exp", kept)] if kept is not None else []) + above, below


def positive_sum(found: Factors) -> Factors:
    """``-2*(y - p)`` as ``2*(p - y)``: a minus goes into a sum that has one of its own, if that is the only one."""
    if found.number >= 0 or sum(isinstance(f, Add) and _turned(f) is not None for f in found.above) > 1:
        return found
    for at, factor in enumerate(found.above):
        turned = _turned(factor)
        if turned is not None:
            above = [*found.above[:at], turned, *found.above[at + 1 :]]
            return Factors(-found.number, above, found.below, found.tests)
    return found


def _turned(expr: Expr) -> Expr | None:
    """The negative of an expression, where a sum in it turns round: ``p - y`` for ``y - p``."""
    match expr:
        case Add(args=args) if not isinstance(args[0], Num) and any(build.split_coefficient(a)[0] < 0 for a in args):
            return Add(tuple(build.negative(a) for a in args))
        case Bind(op="sum", indices=indices, conditions=conditions, body=body):
            factors = list(body.args) if isinstance(body, Mul) else [body]
            for at, factor in enumerate(factors):
                if isinstance(factor, Add) and (turned := _turned(factor)) is not None:
                    return Bind("sum", indices, conditions, build.mul(*factors[:at], turned, *factors[at + 1 :]))
    return None


def alternatives(one: Expr, other: Expr) -> tuple[Condition, Expr, Expr] | None:
    """``[c]*a + [not c]*b`` as a choice: the condition, a and b."""
    first, second = take_apart(one), take_apart(other)
    if len(first.tests) != 1 or len(second.tests) != 1 or build.negation(first.tests[0]) != second.tests[0]:
        return None
    if free_indices_only(first.tests[0]):
        return None
    values = []
    for term in (one, other):
        factors = term.args if isinstance(term, Mul) else (term,)
        values.append(build.mul(*(f for f in factors if not isinstance(f, Test))))
    return first.tests[0], values[0], values[1]


def listing(expr: Expr) -> tuple[list[Index], list[Listed]] | None:
    """The indices of an array literal and its values: a choice by one index after the other, value by value."""
    index, values = _choices(expr)
    if index is None:
        return None
    inner = [found for found in map(listing, values) if found is not None]
    if len(inner) == len(values) and all(indices == inner[0][0] for indices, _ in inner):
        return [index, *inner[0][0]], [rows for _, rows in inner]
    return [index], list(values)


def _choices(expr: Expr) -> tuple[Index | None, list[Expr]]:
    """The index by which one of as many values as it has is chosen, and these values."""
    if not isinstance(expr, Cases):
        return None, []
    values: list[Expr] = []
    found: Index | None = None
    rest: Expr = expr
    while isinstance(rest, Cases) and len(rest.branches) == 1:
        ((condition, value),) = rest.branches
        match condition:
            case Compare(op="==", left=Val(poly=place), right=Num(value=number)) if number == len(values):
                pass
            case _:
                break
        if place.index is None or found not in (None, place.index):
            break
        found, rest = place.index, rest.otherwise
        values.append(value)
    values.append(rest)
    return (found, values) if found is not None and found.extent.constant == len(values) else (None, [])


def elsewhere(expr: Expr) -> tuple[Condition, Expr] | None:
    """``(1 - [c])*a`` where ``a`` only minds c so as to stay finite: not c, and what ``a`` is there."""
    if not isinstance(expr, Mul):
        return None
    for factor in expr.args:
        tests = [n for n in walk(factor) if isinstance(n, Test)]
        if len(tests) != 1 or factor != build.subtract(ONE, tests[0]):
            continue
        others = build.mul(*(f for f in expr.args if f is not factor))
        if tests[0] in walk(others):
            return build.negation(tests[0].condition), _without_test(others, tests[0])
    return None


def _without_test(expr: Expr, test: Test) -> Expr:
    """The expression where the condition of a test does not hold."""
    found: Expr = build.transform(expr, lambda node: ZERO if node == test else None)
    return found


def said_once(expr: Expr) -> Expr:
    """Without tests that a surrounding factor has already made: ``[c]*([c]*a + b)`` is ``[c]*(a + b)``."""
    if not any(isinstance(n, Mul) and _repeated(n) for n in walk(expr)):
        return expr

    def visit(node: Expr) -> Expr | None:
        if not isinstance(node, Mul) or not (repeated := _repeated(node)):
            return None
        others = build.mul(*(f for f in node.args if f not in repeated))
        shorter: Expr = build.transform(others, lambda n: ONE if n in repeated else None)
        return build.mul(*repeated, shorter)

    found: Expr = build.transform(expr, visit)
    return found


def _repeated(product: Mul) -> list[Expr]:
    """The tests among the factors that stand inside another factor too."""
    tests = [f for f in product.args if isinstance(f, Test)]
    others = [n for f in product.args if not isinstance(f, Test) for n in walk(f)]
    return [test for test in tests if test in others]


def turned_sums(expr: Mul) -> list[Expr]:
    """The factors of a product, a minus in front put into a sum that has one of its own."""
    found = Factors()
    for factor in expr.args:
        if isinstance(factor, Num):
            found.number *= factor.value
        else:
            found.above.append(factor)
    found = positive_sum(found)
    return [*([Num(found.number)] if found.number != 1 else []), *found.above]


def _implied(factors: Iterable[Expr]) -> list[Condition]:
    """What the places of largest values among the factors say: that they are in range."""
    implied: list[Condition] = []
    for pick in (f for f in factors if isinstance(f, Pick)):
        for place, index in zip(pick.at, pick.indices, strict=True):
            implied.append(build.compare("<=", num(0), val(place)))
            implied.append(build.compare("<", val(place), val(index.extent)))
    return implied


def without_implied_tests(found: Factors) -> Factors:
    """Tests that a place is in range say nothing new beside the place of a largest value."""
    implied = _implied(found.above)
    return replace(found, tests=[t for t in found.tests if t not in implied])


def without_implied(expr: Expr) -> Expr:
    """A sum without conditions that the place of a largest value in it implies."""
    if not isinstance(expr, Bind):
        return expr
    implied = _implied(expr.body.args if isinstance(expr.body, Mul) else (expr.body,))
    return Bind(expr.op, expr.indices, tuple(c for c in expr.conditions if c not in implied), expr.body)


def mean_of(found: Factors) -> tuple[Bind | None, list[Expr], list[Expr]]:
    """The sum that together with a divisor is a mean, and the factors above and below that remain."""
    if abs(found.number) != 1 or len(found.above) != 1:
        return None, found.above, found.below
    for factor in found.above:
        if not (isinstance(factor, Bind) and factor.op == "sum" and not factor.conditions):
            continue
        size = Poly.of(1)
        for index in factor.indices:
            size = size * index.extent
        for divisor in found.below:
            if isinstance(divisor, Val) and divisor.poly == size:
                return factor, found.above, [d for d in found.below if d is not divisor]
        sizes = [Val(i.extent) for i in factor.indices]
        if len(sizes) > 1 and len(set(sizes)) == len(sizes) and all(s in found.below for s in sizes):
            return factor, found.above, [d for d in found.below if d not in sizes]
    return None, found.above, found.below


@lru_cache(maxsize=8192)
def has_binder(node: Node) -> bool:
    return isinstance(node, (Bind, Integral)) or any(map(has_binder, children(node)))
