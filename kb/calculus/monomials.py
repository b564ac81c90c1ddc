"""Sums of products of powers, multiplied out and collected: for short expressions only."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from kb.calculus.match import as_power
from kb.index import build
from kb.index.nodes import Add, Expr, Mul, Num, Pow, Test, alpha_key, num

_MOST_TERMS = 24

Monomial = tuple[tuple[Any, Fraction], ...]


def factors_of(expr: Expr) -> list[Expr]:
    """The factors of a product; anything else is its own."""
    return list(expr.args) if isinstance(expr, Mul) else [expr]


def divisors(expr: Expr) -> list[Expr]:
    """What the terms of a sum, and sums among their factors, are divided by."""
    found: list[Expr] = []
    for term in expr.args if isinstance(expr, Add) else ():
        for factor in factors_of(term):
            base, exponent = as_power(factor)
            if isinstance(exponent, Num) and exponent.value < 0 and not isinstance(base, Num):
                found.append(base)
            elif isinstance(base, Add) and isinstance(exponent, Num):
                found += divisors(base)
    return found


def expanded(expr: Expr) -> Expr | None:
    """A sum of products of powers, equal terms collected; None where that is too long."""
    atoms: dict[Any, Expr] = {}
    try:
        terms = monomials(expr, atoms, {})
    except OverflowError:
        return None
    return put_together(terms, atoms)


def put_together(terms: dict[Monomial, Fraction], atoms: dict[Any, Expr]) -> Expr:
    made = [
        build.mul(num(c), *(build.power(atoms[key], num(e)) for key, e in monomial)) for monomial, c in terms.items()
    ]
    return build.add(*made)


def monomials(expr: Expr, atoms: dict[Any, Expr], held: dict[Any, Expr]) -> dict[Monomial, Fraction]:
    """Monomials and their coefficients; what is ``held`` is not opened."""
    base, exponent = as_power(expr)
    key = alpha_key(base)
    if isinstance(exponent, Num) and key in held:
        return {((key, exponent.value),): Fraction(1)}
    match expr:
        case Num(value=value):
            return {(): value} if value else {}
        case Add(args=args):
            total: dict[Monomial, Fraction] = {}
            for arg in args:
                for monomial, c in monomials(arg, atoms, held).items():
                    total[monomial] = total.get(monomial, Fraction(0)) + c
            return _checked(total)
        case Mul(args=args):
            product: dict[Monomial, Fraction] = {(): Fraction(1)}
            for arg in args:
                product = _product(product, monomials(arg, atoms, held), atoms)
            return product
        case Pow(base=Add(), exponent=Num(value=value)) if value in (2, 3):
            whole = monomials(expr.base, atoms, held)
            power = whole
            for _ in range(int(value) - 1):
                power = _product(power, whole, atoms)
            return power
    if not isinstance(exponent, Num):
        base, exponent, key = expr, num(1), alpha_key(expr)
    atoms.setdefault(key, base)
    return {((key, exponent.value),): Fraction(1)}


def times(monomial: Monomial, other: dict[Any, Fraction]) -> Monomial:
    powers = dict(monomial)
    for key, exponent in other.items():
        powers[key] = powers.get(key, Fraction(0)) + exponent
    return tuple((k, e) for k, e in powers.items() if e)


def _product(
    a: dict[Monomial, Fraction], b: dict[Monomial, Fraction], atoms: dict[Any, Expr]
) -> dict[Monomial, Fraction]:
    total: dict[Monomial, Fraction] = {}
    for m, c in a.items():
        for n, d in b.items():
            joined = times(m, dict(n))
            once = tuple((k, Fraction(1) if isinstance(atoms.get(k), Test) else e) for k, e in joined)
            total[once] = total.get(once, Fraction(0)) + c * d
    return _checked(total)


def _checked(terms: dict[Monomial, Fraction]) -> dict[Monomial, Fraction]:
    """Equal monomials collected, whatever the order of their factors. Raises OverflowError."""
    if len(terms) > 4 * _MOST_TERMS:
        raise OverflowError
    merged: dict[frozenset[tuple[Any, Fraction]], tuple[Monomial, Fraction]] = {}
    for monomial, c in terms.items():
        first, known = merged.get(frozenset(monomial), (monomial, Fraction(0)))
        merged[frozenset(monomial)] = (first, known + c)
    found = {m: c for m, c in merged.values() if c}
    if len(found) > _MOST_TERMS:
        raise OverflowError
    return found
