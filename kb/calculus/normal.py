"""A normal form that settles equations: sums of products of atoms, over common denominators.

Both sides are expanded, so this is for proving that a difference is 0 and never for display. An
exponential of a sum is a product of exponentials, a log-sum-exp is the logarithm of a sum, a sum
over an index is taken term by term, and what the domains of the symbols imply is put in.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from kb.calculus.signs import domain_of, is_positive
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import (
    Add,
    Apply,
    ApplyArray,
    Bind,
    Cases,
    Compare,
    Condition,
    Expr,
    Fn,
    Integral,
    Junction,
    Mul,
    Num,
    Pow,
    Read,
    Several,
    Test,
    Val,
    Whole,
    alpha_key,
    free_indices,
    num,
)
from kb.index.program import Program, Step
from kb.vocabulary import DOMAINS

Monomial = tuple[tuple[int, Fraction], ...]
Terms = dict[Monomial, Fraction]

MAX_TERMS = 3_000
MAX_INDICES = 3  # of one sum: so many are told apart whatever their order


class TooLarge(Exception):
    """The normal form would not be found in good time."""


def inlined(expr: Expr, program: Program) -> Expr:
    """The expression with every plain step that it reads put in its place."""
    plain = {s.name: s for s in program.steps if isinstance(s, Step) and s.is_plain}
    single = {n: s for n, s in plain.items() if len(program.definitions(n)) == 1}
    whole: dict[str, Expr] = {}

    def put(read: Read) -> Expr | None:
        step = single.get(read.name)
        if step is None:
            return None
        if read.name not in whole:
            whole[read.name] = build.replace_reads(build.freshen(step.expr), put)
        body = build.freshen(whole[read.name])
        moved: Expr = build.substitute(body, dict(zip(step.free, read.index, strict=True)))
        return moved

    result: Expr = build.replace_reads(build.freshen(expr), put)
    return result


class Normal:
    """Normal forms in the names of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.ids: dict[Any, int] = {}
        self.atoms: list[Expr] = []
        self.composite: dict[int, Terms] = {}
        self.signs: dict[int, bool] = {}

    # --- terms ----------------------------------------------------------------------------------

    def atom(self, expr: Expr, exponent: Fraction | int = 1) -> Terms:
        """One atom to a power."""
        key = alpha_key(expr)
        if key not in self.ids:
            self.ids[key] = len(self.atoms)
            self.atoms.append(expr)
        return {((self.ids[key], Fraction(exponent)),): Fraction(1)}

    def add(self, parts: Iterable[Terms]) -> Terms:
        total: Terms = {}
        for part in parts:
            for monomial, coefficient in part.items():
                total[monomial] = total.get(monomial, Fraction(0)) + coefficient
        if len(total) > MAX_TERMS:
            raise TooLarge
        return {m: c for m, c in total.items() if c}

    def multiply(self, a: Terms, b: Terms) -> Terms:
        if len(a) * len(b) > 4 * MAX_TERMS:
            raise TooLarge
        return self.add({self.join(m, n): c * d} for m, c in a.items() for n, d in b.items())

    def join(self, m: Monomial, n: Monomial) -> Monomial:
        powers: dict[int, Fraction] = dict(m)
        for atom, exponent in n:
            powers[atom] = powers.get(atom, Fraction(0)) + exponent
        return tuple(sorted((a, self.reduced(a, e)) for a, e in powers.items() if self.reduced(a, e)))

    def reduced(self, atom: int, exponent: Fraction) -> Fraction:
        """Powers of what is 0 or 1, or of what is -1 or 1."""
        expr = self.atoms[atom]
        if exponent.denominator != 1 or exponent <= 0:
            return exponent
        if isinstance(expr, Test):
            return Fraction(1)
        domain = self.domain(expr)
        if domain in ("binary", "binary_diagonal", "one_hot"):
            return Fraction(1)
        return Fraction(exponent % 2) if domain == "plus_minus_one" else exponent

    def domain(self, expr: Expr) -> str:
        return domain_of(expr, self.program)

    def expression(self, terms: Terms) -> Expr:
        """The terms as an expression; put together without any simplification, so that equal terms look equal."""
        made = []
        for monomial, coefficient in terms.items():
            factors = [self.atoms[a] if e == 1 else Pow(self.atoms[a], num(e)) for a, e in monomial]
            factors = [num(coefficient), *factors] if coefficient != 1 or not factors else factors
            made.append(factors[0] if len(factors) == 1 else Mul(tuple(factors)))
        return num(0) if not made else made[0] if len(made) == 1 else Add(tuple(made))

    def positive(self, atom: int) -> bool:
        """Whether an atom is above 0 but for isolated points."""
        if atom not in self.signs:
            self.signs[atom] = is_positive(self.atoms[atom], self.program)
        return self.signs[atom]

    # --- normal forms ---------------------------------------------------------------------------

    def canonical(self, expr: Expr) -> Expr:
        """An equal expression that is the same for equal normal forms."""
        return self.expression(self.normal(expr))

    def normal(self, expr: Expr) -> Terms:
        match expr:
            case Num(value=value):
                return {(): value} if value else {}
            case Val(poly=poly):
                return self.whole(poly)
            case Add(args=args):
                return self.add(self.normal(a) for a in args)
            case Mul(args=args):
                result: Terms = {(): Fraction(1)}
                for arg in args:
                    result = self.multiply(result, self.normal(arg))
                return result
            case Pow(base=base, exponent=Num(value=value)):
                return self.power(self.normal(base), value)
            case Pow(base=base, exponent=exponent):
                return self.exponential(self.multiply(self.normal(exponent), self.logarithm(self.normal(base))))
            case Fn(name="exp", arg=arg):
                return self.exponential(self.normal(arg))
            case Fn(name="log", arg=arg):
                return self.logarithm(self.normal(arg))
            case Fn(name="sinh" | "cosh" as name, arg=arg):
                opposite = self.exponential(self.normal(build.negative(arg)))
                parts = (
                    self.exponential(self.normal(arg)),
                    self.scaled(opposite, Fraction(1 if name == "cosh" else -1)),
                )
                return self.scaled(self.add(parts), Fraction(1, 2))
            case Fn(name=name, arg=arg):
                return self.atom(Fn(name, self.canonical(arg)))
            case Several(op="logsumexp", args=args):
                return self.logarithm(self.add(self.exponential(self.normal(a)) for a in args))
            case Bind(op="logsumexp", indices=indices, conditions=conditions, body=body):
                return self.logarithm(self.summed(indices, conditions, self.exponential(self.normal(body))))
            case Bind(op="sum", indices=indices, conditions=conditions, body=body):
                return self.summed(indices, conditions, self.normal(body))
            case Bind(op=op, indices=indices, conditions=conditions, body=body):
                return self.atom(Bind(op, indices, conditions, self.canonical(body)))
            case Apply(name=name, orders=orders, args=args):
                return self.atom(Apply(name, orders, tuple(self.canonical(a) for a in args)))
            case ApplyArray(name=name, wrt=wrt, index=index, args=args):
                wholes = tuple(Whole(a.indices, self.canonical(a.body)) for a in args)
                return self.atom(ApplyArray(name, wrt, index, wholes))
            case Several(op=op, args=args):
                return self.atom(Several(op, tuple(self.canonical(a) for a in args)))
            case Integral(variable=variable, low=low, high=high, body=body):
                return self.atom(Integral(variable, self.canonical(low), self.canonical(high), self.canonical(body)))
            case Test(condition=Compare(op="==", left=left, right=right)):
                ordered = sorted((left, right), key=lambda side: repr(alpha_key(side)))
                return self.atom(Test(Compare("==", *ordered)))
            case Test(condition=Junction(op="and", args=args)):
                return self.normal(Mul(tuple(map(build.test, args))))
            case Test(condition=Compare(op="<" | "<=" as op, left=left, right=right)) if build.is_whole(
                left
            ) and build.is_whole(right):
                return self.at_least_0(build.as_poly(right) - build.as_poly(left) - (op == "<"))
            case Test(condition=Compare(op="<" | "!=") | Junction() as condition):
                return self.otherwise(build.test(build.negation(condition)))
            case Cases(branches=branches, otherwise=otherwise):
                return self.chosen(branches, otherwise)
        return self.atom(expr)

    def at_least_0(self, gap: Poly) -> Terms:
        """1 where a whole number is 0 or more, so that ``i < k`` and ``k - i >= 1`` are one atom."""
        leading = next((c for m, c in gap.terms if m), None)
        if leading is None:
            return {(): Fraction(1)} if (gap.constant or 0) >= 0 else {}
        if leading < 0:
            return self.add(({(): Fraction(1)}, self.scaled(self.at_least_0(-gap - 1), Fraction(-1))))
        return self.atom(Test(Compare("<=", num(0), build.val(gap))))

    def otherwise(self, test: Expr) -> Terms:
        """1 where the test fails, so that a condition and its opposite are one atom."""
        return self.add(({(): Fraction(1)}, self.scaled(self.normal(test), Fraction(-1))))

    def chosen(self, branches: Iterable[tuple[Condition, Expr]], otherwise: Expr) -> Terms:
        """Each branch times the tests that choose it."""
        parts: list[Terms] = []
        left: Terms = {(): Fraction(1)}
        for condition, value in branches:
            holds = build.test(condition)
            parts.append(self.multiply(left, self.multiply(self.normal(holds), self.normal(value))))
            left = self.multiply(left, self.otherwise(holds))
        return self.add([*parts, self.multiply(left, self.normal(otherwise))])

    def whole(self, poly: Poly) -> Terms:
        """A size or index as a polynomial in its atoms."""
        parts = []
        for monomial, coefficient in poly.terms:
            term: Terms = {(): Fraction(coefficient)}
            for a in monomial:
                term = self.multiply(term, self.atom(Val(Poly.of(a))))
            parts.append(term)
        return self.add(parts)

    def power(self, base: Terms, exponent: Fraction) -> Terms:
        """A rational power; a sum to a power that is no positive whole number is an atom of its own."""
        if len(base) == 1:
            ((monomial, coefficient),) = base.items()
            whole = exponent.denominator == 1
            if whole or (coefficient > 0 and all(self.positive(a) for a, _ in monomial)):
                raised = tuple((a, self.reduced(a, e * exponent)) for a, e in monomial)
                front: Terms = {(): coefficient ** int(exponent)} if whole else self.root(coefficient, exponent)
                return self.multiply(front, {tuple(sorted(r for r in raised if r[1])): Fraction(1)})
        if not base:
            return {}
        if exponent.denominator == 1 and 0 < exponent <= 8:
            result = base
            for _ in range(int(exponent) - 1):
                result = self.multiply(result, base)
            return result
        return self.compound(base, exponent)

    def root(self, coefficient: Fraction, exponent: Fraction) -> Terms:
        if coefficient == 1:
            return {(): Fraction(1)}
        whole = int(exponent // 1)
        result: Terms = {(): coefficient**whole}
        return self.multiply(result, self.atom(num(coefficient), exponent - whole))

    def compound(self, base: Terms, exponent: Fraction) -> Terms:
        """A sum as the base of a power, without the number that all its coefficients share and without fractions."""
        numerator, shared = self.common(base)
        if numerator and shared and (exponent.denominator == 1 or all(self.positive(a) for a, _ in shared)):
            result = self.power(numerator, exponent)
            for atom, power in shared:
                result = self.multiply(result, self.power(self.composite[atom], power * exponent))
            return result
        scale = base[min(base)]
        if scale < 0 and exponent.denominator != 1:
            scale = -scale
        reduced = {m: c / scale for m, c in base.items()}
        made = self.atom(self.expression(reduced), exponent)
        ((monomial, _),) = made.items()
        self.composite[monomial[0][0]] = reduced
        front: Terms = {(): scale ** int(exponent)} if exponent.denominator == 1 else self.root(scale, exponent)
        return self.multiply(front, made)

    def exponential(self, terms: Terms) -> Terms:
        """A product with one factor for each term of the exponent."""
        result: Terms = {(): Fraction(1)}
        for monomial, coefficient in terms.items():
            argument = self.atoms[monomial[0][0]] if len(monomial) == 1 and monomial[0][1] == 1 else None
            if isinstance(argument, Fn) and argument.name == "log":
                factor = self.power(self.normal(argument.arg), coefficient)
            else:
                factor = self.atom(Fn("exp", self.expression({monomial: Fraction(1)})), coefficient)
            result = self.multiply(result, factor)
        return result

    def logarithm(self, terms: Terms) -> Terms:
        """The sum of the logarithms of positive factors; a sum gives up what all its terms share."""
        if not terms:
            raise TooLarge
        shared = self.shared(terms)
        rest = {self.join(m, tuple((a, -e) for a, e in shared)): c for m, c in terms.items()}
        parts = [self.scaled(self.log_of_atom(a), e) for a, e in shared]
        if rest != {(): Fraction(1)}:
            scale = rest[min(rest)] if len(rest) > 1 else Fraction(1)
            if scale > 0 and scale != 1:
                rest = {m: c / scale for m, c in rest.items()}
                parts.append(self.log_of_number(scale))
            if rest.keys() == {()} and rest[()] > 0:
                parts.append(self.log_of_number(rest[()]))
            else:
                parts.append(self.atom(Fn("log", self.expression(rest))))
        return self.add(parts)

    def shared(self, terms: Terms) -> Monomial:
        """Positive atoms with the lowest power that they have in any of the terms."""
        found: dict[int, Fraction] = {}
        for atom in {a for m in terms for a, _ in m}:
            lowest = min(dict(m).get(atom, Fraction(0)) for m in terms)
            if lowest and self.positive(atom):
                found[atom] = lowest
        return tuple(sorted(found.items()))

    def log_of_atom(self, atom: int) -> Terms:
        expr = self.atoms[atom]
        if isinstance(expr, Fn) and expr.name == "exp":
            return self.normal(expr.arg)
        if isinstance(expr, Num):
            return self.log_of_number(expr.value)
        return self.atom(Fn("log", expr))

    def log_of_number(self, value: Fraction) -> Terms:
        """By prime factors, so that ``log(4)`` is ``2*log(2)``."""
        parts = []
        for whole, sign in ((value.numerator, 1), (value.denominator, -1)):
            for prime, count in _factors(whole).items():
                parts.append(self.scaled(self.atom(Fn("log", num(prime))), Fraction(sign * count)))
        return self.add(parts)

    def scaled(self, terms: Terms, by: Fraction) -> Terms:
        return {m: c * by for m, c in terms.items()}

    # --- sums -----------------------------------------------------------------------------------

    def summed(self, indices: tuple[Index, ...], conditions: Any, body: Terms) -> Terms:
        """A sum over indices, term by term; what does not depend on them stands in front."""
        return self.add(self.sum_of_term(indices, conditions, m, c) for m, c in body.items())

    def sum_of_term(self, indices: tuple[Index, ...], conditions: Any, monomial: Monomial, c: Fraction) -> Terms:
        bound = set(indices)
        inner = tuple(f for f in monomial if free_indices(self.atoms[f[0]]) & bound)
        outer = {tuple(f for f in monomial if f not in inner): c}
        body = self.expression({inner: Fraction(1)})
        tested = conditions or any(isinstance(self.atoms[a], Test) for a, _ in inner)
        if tested:
            made = build.bind("sum", indices, conditions, body)
            unsolved = isinstance(made, Bind) and len(made.indices) == len(indices)
            return self.multiply(outer, self.atom(made) if unsolved else self.normal(made))
        for place, (atom, exponent) in enumerate(inner):
            within = self.atoms[atom]
            if exponent == 1 and isinstance(within, Bind) and _is_plain_sum(within, MAX_INDICES - len(indices)):
                opened = build.freshen(within)
                assert isinstance(opened, Bind)
                rest = self.multiply({inner[:place] + inner[place + 1 :]: Fraction(1)}, self.normal(opened.body))
                return self.multiply(outer, self.summed(indices + opened.indices, (), rest))
        used = free_indices(body)
        for index in indices:
            if index not in used:
                outer = self.multiply(outer, self.whole(index.extent))
        for kept, part in self.connected(tuple(i for i in indices if i in used), inner):
            if not self.adds_up_to_one(kept, part):
                outer = self.multiply(outer, self.atom(Bind("sum", kept, (), self.expression({part: Fraction(1)}))))
        return outer

    def connected(self, indices: tuple[Index, ...], inner: Monomial) -> Iterable[tuple[tuple[Index, ...], Monomial]]:
        """The factors that no index joins to any other, each group with its indices."""
        groups: list[tuple[frozenset[Index], list[tuple[int, Fraction]]]] = []
        for factor in inner:
            own, factors = free_indices(self.atoms[factor[0]]) & set(indices), [factor]
            for group in [g for g in groups if g[0] & own]:
                groups.remove(group)
                own, factors = own | group[0], group[1] + factors
            groups.append((own, factors))
        for own, factors in groups:
            yield tuple(i for i in indices if i in own), tuple(sorted(factors))

    def adds_up_to_one(self, indices: tuple[Index, ...], inner: Monomial) -> bool:
        """Whether the domain of a symbol says that this sum of it is 1."""
        if len(inner) != 1 or inner[0][1] != 1:
            return False
        read = self.atoms[inner[0][0]]
        domain = DOMAINS.get(self.domain(read))
        if domain is None or not domain.sums_to_one or not isinstance(read, Read):
            return False
        places = [p.index for p in read.index]
        axes = places if domain.sums_to_one == "all" else places[-1:]
        whole = all(
            i is not None and i.size == s
            for i, s in zip(axes, self.program.shape(read.name)[-len(axes) :], strict=True)
        )
        return whole and set(axes) == set(indices) and len(axes) == len(indices)

    # --- denominators ---------------------------------------------------------------------------

    def over_common(self, terms: Terms) -> Terms:
        """The numerator over the common denominator of all terms."""
        return self.common(terms)[0]

    def common(self, terms: Terms) -> tuple[Terms, Monomial]:
        """The numerator over the common denominator of all terms, and what it is to be multiplied with."""
        front: Monomial = ()
        for _ in range(12):
            base = self.fractional(terms)
            if base is None:
                return terms, front
            lowest = min(dict(m).get(base, Fraction(0)) for m in terms)
            front = self.join(front, ((base, lowest),))
            cleared: list[Terms] = []
            for monomial, coefficient in terms.items():
                exponent = dict(monomial).get(base, Fraction(0)) - lowest
                rest: Terms = {tuple(f for f in monomial if f[0] != base): coefficient}
                whole, part = exponent // 1, exponent % 1
                if whole > 8:
                    raise TooLarge
                for _ in range(int(whole)):
                    rest = self.multiply(rest, self.composite[base])
                cleared.append(self.multiply(rest, {((base, part),): Fraction(1)}) if part else rest)
            terms = self.add(cleared)
        raise TooLarge

    def fractional(self, terms: Terms) -> int | None:
        """A sum that stands in a denominator or under a root somewhere but not everywhere alike."""
        powers: dict[int, set[Fraction]] = {}
        for base in {a for m in terms for a, _ in m if a in self.composite}:
            powers[base] = {dict(m).get(base, Fraction(0)) for m in terms}
        return next((b for b, found in sorted(powers.items()) if len(found) > 1), None)


def _is_plain_sum(expr: Bind, most: int) -> bool:
    return expr.op == "sum" and not expr.conditions and len(expr.indices) <= most


def _factors(value: int) -> dict[int, int]:
    """Prime factors, small ones only: what is left counts as one."""
    found: dict[int, int] = {}
    for prime in (2, 3, 5, 7, 11, 13):
        while value % prime == 0 and value > 1:
            found[prime] = found.get(prime, 0) + 1
            value //= prime
    if value > 1:
        found[value] = 1
    return found


__all__ = ["Normal", "inlined"]
