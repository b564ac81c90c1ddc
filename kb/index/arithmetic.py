"""Constructors of index form that bind nothing: sums, products, powers, functions, conditions.

They fold numbers and collect equal terms and factors in the order in which they came; nothing is
expanded. Exponentials are joined only where that cancels or a log-sum-exp meets what it normalises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from kb.errors import LanguageError
from kb.index.affine import Facts, Poly
from kb.index.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Bind,
    Cases,
    Compare,
    Condition,
    Const,
    Expr,
    Fn,
    Integral,
    Junction,
    Mul,
    Negation,
    Num,
    Pow,
    Several,
    Test,
    Val,
    Var,
    Variable,
    alpha_key,
    free_indices,
    num,
    read_names,
    val,
    walk,
)
from kb.vocabulary import DOMAINS, FUNCTIONS

MAX_DIGITS = 1_000
TRUE = Junction("and", ())
FALSE = Junction("or", ())
_CERTAIN = Facts(default=0)
# The same products and sums are asked for again and again: their arguments are immutable, and so are they.
_MOST_KEPT = 2**15
_MOST_JOINED = 12  # factors; products of more exponentials are left as they are


# --- sums and products ---------------------------------------------------------------------------


@lru_cache(maxsize=_MOST_KEPT)
def add(*args: Expr) -> Expr:
    """The sum, flattened, numbers folded and equal terms collected, in order of first appearance."""
    constant = Fraction(0)
    collected: dict[Any, list[Any]] = {}
    for term in flatten(Add, args):
        coefficient, rest = split_coefficient(term)
        if rest is None:
            constant += coefficient
            continue
        slot = collected.setdefault(alpha_key(rest), [Fraction(0), rest])
        slot[0] = slot[0] + coefficient if slot[0] else coefficient
    terms = [mul(num(c), rest) for c, rest in collected.values() if c]
    if constant:
        terms.insert(_position_of_constant(args), _checked(constant)) if terms else terms.append(_checked(constant))
    if not terms:
        return ZERO
    return terms[0] if len(terms) == 1 else Add(tuple(terms))


def _position_of_constant(args: tuple[Expr, ...]) -> int:
    """A number that was written first stays first (``1 - y``), any other goes last."""
    first = args[0]
    while isinstance(first, Add):
        first = first.args[0]
    return 0 if isinstance(first, Num) else 10**6


def flatten(kind: type, args: Iterable[Expr]) -> Iterable[Expr]:
    """The arguments, those of the kind replaced by their own."""
    for arg in args:
        if isinstance(arg, kind):
            yield from arg.args  # type: ignore[attr-defined]
        else:
            yield arg


def split_coefficient(term: Expr) -> tuple[Fraction, Expr | None]:
    """The number in front of a term, and the rest (None if the term is a number)."""
    if isinstance(term, Num):
        return term.value, None
    if isinstance(term, Mul) and isinstance(term.args[0], Num):
        rest = term.args[1:]
        return term.args[0].value, rest[0] if len(rest) == 1 else Mul(rest)
    return Fraction(1), term


def _checked(value: Fraction) -> Num:
    if max(abs(value.numerator), value.denominator).bit_length() > MAX_DIGITS * 3.33:
        raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits; write it as exp(...) of its logarithm")
    return Num(value)


@lru_cache(maxsize=_MOST_KEPT)
def mul(*args: Expr) -> Expr:
    """The product: numbers folded, equal bases collected, exponentials joined where that cancels."""
    coefficient = Fraction(1)
    powers: dict[Any, tuple[Expr, Expr]] = {}
    for factor in flatten(Mul, args):
        if isinstance(factor, Num):
            coefficient *= factor.value
            if not coefficient:
                return ZERO
            continue
        base, exponent = (factor.base, factor.exponent) if isinstance(factor, Pow) else (factor, ONE)
        key = alpha_key(base)
        if isinstance(base, Fn) and base.name == "exp" and key not in powers:
            opposite = alpha_key(Fn("exp", negative(base.arg)))
            if opposite in powers:
                key, exponent = opposite, negative(exponent)
        if key not in powers:
            powers[key] = (base, exponent)
        elif not isinstance(base, Test):
            powers[key] = (powers[key][0], add(powers[key][1], exponent))
    factors: list[Expr] = []
    for base, exponent in powers.values():
        number, rest = split_coefficient(power(base, exponent) if exponent is not ONE else base)
        coefficient = coefficient * number if number != 1 else coefficient
        if rest is not None:
            factors.extend(flatten(Mul, [rest]))
    if any(isinstance(f, Fn) and f.name == "exp" for f in factors):
        factors = _logistic(factors)
    if sum(isinstance(f, Fn) and f.name == "exp" for f in factors) > 1:
        factors = _joined_exponentials(factors)
    if not coefficient:
        return ZERO
    if coefficient != 1 or not factors:
        factors.insert(0, _checked(coefficient))
    return factors[0] if len(factors) == 1 else Mul(tuple(factors))


def _logistic(factors: list[Expr]) -> list[Expr]:
    """``exp(a)/(1 + exp(a))`` as ``1/(1 + exp(-a))``, which does not overflow."""
    for n, factor in enumerate(factors):
        if not (isinstance(factor, Fn) and factor.name == "exp"):
            continue
        for k, other in enumerate(factors):
            if not (isinstance(other, Pow) and isinstance(other.exponent, Num) and other.exponent.value <= -1):
                continue
            if not (isinstance(other.base, Add) and len(other.base.args) == 2 and ONE in other.base.args):
                continue
            if any(alpha_key(t) == alpha_key(factor) for t in other.base.args):
                turned = power(add(ONE, function("exp", negative(factor.arg))), MINUS_ONE)
                left = power(other.base, add(other.exponent, ONE))
                rest = [f for m, f in enumerate(factors) if m not in (n, k)]
                return [*rest, turned, *([left] if left != ONE else [])]
    return factors


def _joined_exponentials(factors: list[Expr]) -> list[Expr]:
    """``exp(a)*exp(b)`` is ``exp(a + b)`` where terms cancel or a log-sum-exp meets what it normalises."""
    joined: list[Expr] = []
    for factor in factors:
        partner = None
        if isinstance(factor, Fn) and factor.name == "exp" and len(factors) <= _MOST_JOINED:
            partner = next((n for n, f in enumerate(joined) if _should_join(f, factor)), None)
        if partner is None:
            joined.append(factor)
            continue
        other = joined[partner]
        assert isinstance(other, Fn) and isinstance(factor, Fn)
        made = function("exp", add(other.arg, factor.arg))
        joined[partner : partner + 1] = [] if made == ONE else [made]
    return joined


def _should_join(left: Expr, right: Expr) -> bool:
    if not (isinstance(left, Fn) and left.name == "exp" and isinstance(right, Fn)):
        return False
    if any(_is_normaliser(e.arg) for e in (left, right)):
        return True
    if not _term_keys(left.arg) & _term_keys(right.arg):
        return False
    return _terms(add(left.arg, right.arg)) < max(_terms(left.arg), _terms(right.arg))


def _term_keys(expr: Expr) -> set[Any]:
    """What an exponent adds up, whatever the numbers in front."""
    terms = expr.args if isinstance(expr, Add) else (expr,)
    return {alpha_key(rest) for _, rest in map(split_coefficient, terms) if rest is not None}


def _is_normaliser(exponent: Expr) -> bool:
    _, rest = split_coefficient(exponent)
    return isinstance(rest, (Bind, Several)) and rest.op == "logsumexp"


def _terms(expr: Expr) -> int:
    return len(expr.args) if isinstance(expr, Add) else int(expr != ZERO)


def negative(expr: Expr) -> Expr:
    """``-expr``."""
    return mul(MINUS_ONE, expr)


def subtract(left: Expr, right: Expr) -> Expr:
    """``left - right``."""
    return add(left, negative(right))


def divide(left: Expr, right: Expr) -> Expr:
    """``left / right``."""
    return mul(left, power(right, MINUS_ONE))


def power(base: Expr, exponent: Expr) -> Expr:
    """``base**exponent``; numbers are folded up to 1,000 digits, beyond that refused."""
    if isinstance(exponent, Num):
        if exponent.value == 0:
            return ONE
        if exponent.value == 1:
            return base
        whole = exponent.value.denominator == 1
        if isinstance(base, Num) and whole:
            return _number_power(base.value, int(exponent.value))
        if isinstance(base, Num) and base.value in (0, 1) and exponent.value > 0:
            return base
        if isinstance(base, Num) and base.value < 0:
            raise LanguageError(f"({base.value})**({exponent.value}) has no real value")
        if isinstance(base, Pow) and (whole or _is_nonnegative(base.base)):
            return power(base.base, mul(base.exponent, exponent))
        if isinstance(base, Mul) and whole:
            return mul(*(power(f, exponent) for f in base.args))
        if isinstance(base, Fn) and base.name == "exp" and exponent.value < 0:
            return power(function("exp", negative(base.arg)), num(-exponent.value))
        if isinstance(base, Test) and exponent.value > 0:
            return base
        if isinstance(base, Fn) and base.name == "abs" and whole and exponent.value % 2 == 0:
            return power(base.arg, exponent)
    size = _estimate(base) if is_fixed(base) else 0.0
    if size > 0 and abs(_estimate(exponent) * math.log(min(size, 1e308))) > MAX_DIGITS * math.log(10):
        raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits; write it as exp(...) of its logarithm")
    return Pow(base, exponent)


def _is_nonnegative(expr: Expr) -> bool:
    return (
        isinstance(expr, Val)
        or (isinstance(expr, Num) and expr.value >= 0)
        or (isinstance(expr, Fn) and expr.name in ("exp", "abs", "cosh"))
        or (isinstance(expr, Pow) and expr.exponent == Num(Fraction(1, 2)))
    )


def _number_power(base: Fraction, exponent: int) -> Expr:
    if base == 0:
        if exponent < 0:
            raise LanguageError("a division by zero")
        return ZERO
    size = max(abs(base.numerator), base.denominator).bit_length()
    if abs(base) != 1 and size * abs(exponent) > MAX_DIGITS * 3.33:
        raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits; write it as exp(...) of its logarithm")
    return num(base**exponent if abs(base) != 1 else base ** (exponent % 2))


# --- functions -----------------------------------------------------------------------------------


def function(name: str, arg: Expr) -> Expr:
    """An elementwise function of the vocabulary, with the few identities that never mislead."""
    if isinstance(arg, Num):
        _check_domain(name, arg.value)
    if name in ("exp", "sinh", "cosh") and is_fixed(arg) and abs(_estimate(arg)) > MAX_DIGITS * math.log(10):
        raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits")
    if name == "sqrt":
        return power(arg, num(Fraction(1, 2)))
    if name == "exp":
        if arg == ZERO:
            return ONE
        if isinstance(arg, Fn) and arg.name == "log":
            return arg.arg
    if name == "log":
        if arg == ONE:
            return ZERO
        if isinstance(arg, Fn) and arg.name == "exp":
            return arg.arg
        if isinstance(arg, Add) and (summed := _sum_of_exponentials(arg)):
            return Several("logsumexp", summed)
        if isinstance(arg, Pow) and not isinstance(arg.exponent, Num):
            return mul(arg.exponent, function("log", arg.base))
        if isinstance(arg, Mul) and (parts := _exponents(arg)):
            return add(*parts)
    if name in ("abs", "sign", "floor") and isinstance(arg, Num):
        value = arg.value
        sign = Fraction((value > 0) - (value < 0))
        folded = {"abs": abs(value), "floor": Fraction(math.floor(value)), "sign": sign}[name]
        return num(folded)
    if name in ("sin", "tan", "sinh", "tanh", "arcsin", "arctan", "erf") and arg == ZERO:
        return ZERO
    if name in ("cos", "cosh") and arg == ZERO:
        return ONE
    return Fn(name, arg)


def _exponents(product: Mul) -> tuple[Expr, ...]:
    """``f`` and ``log(g)`` for ``exp(f)*g``, whose logarithm must not pass through an exponential that underflows."""
    found = [f.arg for f in product.args if isinstance(f, Fn) and f.name == "exp"]
    rest = mul(*(f for f in product.args if not (isinstance(f, Fn) and f.name == "exp")))
    if not found or split_coefficient(rest)[0] < 0:
        return ()
    return (*found, function("log", rest))


def _estimate(expr: Expr) -> float:
    """Roughly the value of a constant, infinite where it is beyond all bounds; 0 where it is none."""
    try:
        match expr:
            case Num(value=value):
                return float(value)
            case Const(name=name):
                return math.pi if name == "pi" else 0.0
            case Add(args=args):
                return sum(map(_estimate, args))
            case Mul(args=args):
                return math.prod(map(_estimate, args))
            case Pow(base=base, exponent=exponent):
                return float(abs(_estimate(base)) ** _estimate(exponent))
            case Fn(name="exp" | "sinh" | "cosh", arg=arg):
                return math.exp(abs(_estimate(arg))) if is_fixed(arg) else 0.0
    except (OverflowError, ZeroDivisionError):
        return math.inf
    return 0.0


def is_fixed(expr: Expr) -> bool:
    """Whether an expression reads nothing and depends on no index."""
    return not read_names(expr) and not free_indices(expr)


def _check_domain(name: str, value: Fraction) -> None:
    """Refuse a function of a number for which it has no real value."""
    wanted = FUNCTIONS[name].domain
    holds = {"positive": value > 0, "nonnegative": value >= 0, "unit_ball": abs(value) < 1}.get(wanted, True)
    if not holds:
        raise LanguageError(f"{name}({value}) has no real value; the argument must be {DOMAINS[wanted].about}")


def _sum_of_exponentials(node: Add) -> tuple[Expr, ...] | None:
    exponents: list[Expr] = []
    for term in node.args:
        if isinstance(term, Fn) and term.name == "exp":
            exponents.append(term.arg)
        elif isinstance(term, Num) and term.value > 0:
            exponents.append(function("log", term))
        else:
            return None
    return tuple(exponents) if any(not isinstance(e, Num) for e in exponents) else None


def several(op: str, args: Iterable[Expr]) -> Expr:
    """``max``, ``min`` or ``logsumexp`` of a few expressions."""
    args = tuple(args)
    if len(args) == 1:
        return args[0]
    if op != "logsumexp" and all(isinstance(a, Num) for a in args):
        values = [a.value for a in args if isinstance(a, Num)]
        return num(max(values) if op == "max" else min(values))
    return Several(op, args)


def integral(variable: Variable, low: Expr, high: Expr, body: Expr) -> Expr:
    """The integral; factors free of the variable go in front."""
    if body == ZERO:
        return ZERO
    outer: list[Expr] = []
    inner: list[Expr] = []
    for factor in flatten(Mul, [body]):
        depends = any(isinstance(n, Var) and n.variable is variable for n in walk(factor))
        (inner if depends else outer).append(factor)
    return mul(*outer, Integral(variable, low, high, mul(*inner)))


# --- conditions ----------------------------------------------------------------------------------


def compare(op: str, left: Expr, right: Expr) -> Condition:
    """The comparison; settled where both sides are numbers or the same polynomial."""
    if op in (">", ">="):
        return compare({">": "<", ">=": "<="}[op], right, left)
    if isinstance(left, Num) and isinstance(right, Num):
        difference = left.value - right.value
        holds = {"==": difference == 0, "!=": difference != 0, "<": difference < 0, "<=": difference <= 0}[op]
        return TRUE if holds else FALSE
    if is_whole(left) and is_whole(right):
        gap = as_poly(right) - as_poly(left)
        if gap.constant is not None:
            return compare(op, ZERO, num(gap.constant))
        if op == "==":
            common = math.gcd(*(c for m, c in gap.terms if m))
            if common > 1:
                rest = dict(gap.terms).get((), 0)
                return FALSE if rest % common else compare(op, *_sides(_divided(gap, common)))
        if op in ("<", "<=") and _CERTAIN.nonnegative(gap if op == "<=" else gap - 1):
            return TRUE
    elif op in ("<", "<="):
        left, right = _without_minus(left, right)
    return Compare(op, left, right)


def _without_minus(left: Expr, right: Expr) -> tuple[Expr, Expr]:
    """``0 < 1 - m`` as ``m < 1``: what is subtracted from one side stands on the other."""
    stay: tuple[list[Expr], list[Expr]] = ([], [])
    for side, expr in enumerate((left, right)):
        for term in flatten(Add, [expr]):
            minus = split_coefficient(term)[0] < 0
            stay[1 - side if minus else side].append(negative(term) if minus else term)
    return add(*stay[0]), add(*stay[1])


def _sides(gap: Poly) -> tuple[Expr, Expr]:
    """``a == b`` from ``b - a``, with nothing negative on either side."""
    left, right = (Poly({m: sign * c for m, c in gap.terms if sign * c > 0}) for sign in (-1, 1))
    return val(left), val(right)


def _divided(poly: Poly, by: int) -> Poly:
    return Poly({m: c // by for m, c in poly.terms})


def as_poly(expr: Expr) -> Poly:
    """The polynomial that sizes, indices and whole numbers make. Raises ValueError for anything else."""
    match expr:
        case Val(poly=poly):
            return poly
        case Num(value=value) if value.denominator == 1:
            return Poly.of(int(value))
        case Add(args=args):
            return sum((as_poly(a) for a in args), Poly.of(0))
        case Mul(args=args):
            return math.prod((as_poly(a) for a in args), start=Poly.of(1))
    raise ValueError(f"not a whole number: {expr!r}")


def is_whole(expr: Expr) -> bool:
    """Whether ``as_poly`` has an answer."""
    if isinstance(expr, (Add, Mul)):
        return all(map(is_whole, expr.args))
    return isinstance(expr, Val) or (isinstance(expr, Num) and expr.value.denominator == 1)


def junction(op: str, args: Iterable[Condition]) -> Condition:
    """``and`` or ``or``, with what is settled left out."""
    neutral, absorbing = (TRUE, FALSE) if op == "and" else (FALSE, TRUE)
    kept: list[Condition] = []
    for arg in args:
        for part in arg.args if isinstance(arg, Junction) and arg.op == op else (arg,):
            if part == absorbing:
                return absorbing
            if part != neutral and part not in kept:
                kept.append(part)
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else Junction(op, tuple(kept))


def negation(condition: Condition) -> Condition:
    """Not the condition; a comparison is turned into its opposite."""
    match condition:
        case Compare(op="==" | "!=" as op, left=left, right=right):
            return Compare("!=" if op == "==" else "==", left, right)
        case Compare(op=op, left=left, right=right):
            return compare("<=" if op == "<" else "<", right, left)
        case Negation(arg=arg):
            return arg
        case Junction(op=op, args=args):
            return junction("or" if op == "and" else "and", map(negation, args))
    return Negation(condition)


def test(condition: Condition) -> Expr:
    """1 where the condition holds, else 0."""
    if condition == TRUE:
        return ONE
    if condition == FALSE:
        return ZERO
    if isinstance(condition, Junction) and condition.op == "and":
        return mul(*(Test(c) for c in condition.args))
    return Test(condition)


def delta(left: Poly, right: Poly) -> Expr:
    """1 where two whole numbers agree, else 0."""
    return test(compare("==", val(left), val(right)))


def cases(branches: Iterable[tuple[Condition, Expr]], otherwise: Expr) -> Expr:
    """The first branch that holds; settled branches are folded."""
    kept: list[tuple[Condition, Expr]] = []
    for condition, value in branches:
        if condition == FALSE:
            continue
        if condition == TRUE:
            otherwise = value
            break
        kept.append((condition, value))
    if all(alpha_key(v) == alpha_key(otherwise) for _, v in kept):
        return otherwise
    if len(kept) == 1 and otherwise == ZERO:
        return mul(test(kept[0][0]), kept[0][1])
    return Cases(tuple(kept), otherwise)
