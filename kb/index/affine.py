"""Sizes and index expressions: integer polynomials in indices, dimensions and integer symbols.

``s*i + u - p`` is such a polynomial, and so is the size ``(H + 2*p - r)//s + 1``, whose floor
division is an atom. A label that selects (``x[y]``) is an atom too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

_serial = count()


class Index:
    """A free or bound index. Two indices are the same only if they are the same object.

    ``size`` is how many values it takes, from 0; None while it is still being inferred.
    """

    __slots__ = ("name", "serial", "size")

    def __init__(self, name: str, size: Poly | None = None) -> None:
        self.name = name
        self.size = size
        self.serial = next(_serial)

    @property
    def extent(self) -> Poly:
        """The size, once it is known."""
        if self.size is None:
            raise ValueError(f"the range of index {self.name!r} is not known yet")
        return self.size

    def fresh(self) -> Index:
        """Another index of the same name and size."""
        return Index(self.name, self.size)

    def __repr__(self) -> str:
        return f"{self.name}#{self.serial}"


class FloorDiv:
    """``numerator // denominator`` as an atom of a polynomial."""

    __slots__ = ("denominator", "numerator")

    def __init__(self, numerator: Poly, denominator: Poly) -> None:
        self.numerator = numerator
        self.denominator = denominator

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FloorDiv) and (self.numerator, self.denominator) == (
            other.numerator,
            other.denominator,
        )

    def __hash__(self) -> int:
        return hash(("//", self.numerator, self.denominator))

    def __repr__(self) -> str:
        return f"({self.numerator})//({self.denominator})"


class Gather:
    """The value of a label or of an element of an array of labels, used as an index."""

    __slots__ = ("index", "name")

    def __init__(self, name: str, index: tuple[Poly, ...]) -> None:
        self.name = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gather) and (self.name, self.index) == (other.name, other.index)

    def __hash__(self) -> int:
        return hash(("gather", self.name, self.index))

    def __repr__(self) -> str:
        return f"{self.name}[{', '.join(map(repr, self.index))}]" if self.index else self.name


Atom = Index | FloorDiv | Gather | str
Monomial = tuple[Atom, ...]


def _rank(atom: Atom) -> tuple[int, str, int]:
    if isinstance(atom, str):
        return (0, atom, 0)
    if isinstance(atom, Index):
        return (1, "", atom.serial)
    return (2, repr(atom), 0)


def _rank_of_term(term: tuple[Monomial, int]) -> list[tuple[int, str, int]]:
    return [_rank(atom) for atom in term[0]]


class Poly:
    """A polynomial with integer coefficients; immutable, comparable, hashable."""

    __slots__ = ("_hash", "terms")

    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        kept = [(m, c) for m, c in terms.items() if c]
        if len(kept) > 1:
            kept.sort(key=_rank_of_term)
        self.terms = tuple(kept)
        self._hash = hash(self.terms)

    @staticmethod
    def of(value: int | Atom | Poly) -> Poly:
        """The constant or the atom as a polynomial."""
        if isinstance(value, Poly):
            return value
        if isinstance(value, int):
            return Poly({(): value})
        return Poly({(value,): 1})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poly) and self._hash == other._hash and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Poly | int) -> Poly:
        terms = dict(self.terms)
        for monomial, coefficient in Poly.of(other).terms:
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return Poly(terms)

    def __neg__(self) -> Poly:
        return Poly({m: -c for m, c in self.terms})

    def __sub__(self, other: Poly | int) -> Poly:
        return self + (-Poly.of(other))

    def __mul__(self, other: Poly | int) -> Poly:
        terms: dict[Monomial, int] = {}
        for m1, c1 in self.terms:
            for m2, c2 in Poly.of(other).terms:
                monomial = tuple(sorted(m1 + m2, key=_rank))
                terms[monomial] = terms.get(monomial, 0) + c1 * c2
        return Poly(terms)

    def __floordiv__(self, other: Poly) -> Poly:
        if other.constant == 1:
            return self
        if self.constant is not None and other.constant:
            return Poly.of(self.constant // other.constant)
        if len(other.terms) == 1:
            whole, rest = self._multiples(*other.terms[0])
            if whole.terms:
                return whole + (rest // other if rest.terms else Poly({}))
        return Poly.of(FloorDiv(self, other))

    def _multiples(self, divisor: Monomial, coefficient: int) -> tuple[Poly, Poly]:
        """``(a, b)`` with ``self == a*coefficient*divisor + b``: rounding down leaves such a term whole."""
        whole: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for monomial, c in self.terms:
            left = list(monomial)
            for atom in divisor:
                if atom not in left:
                    break
                left.remove(atom)
            else:
                if c % coefficient == 0:
                    whole[tuple(left)] = c // coefficient
                    continue
            rest[monomial] = c
        return Poly(whole), Poly(rest)

    @property
    def constant(self) -> int | None:
        """The value if the polynomial is a number."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and self.terms[0][0] == ():
            return self.terms[0][1]
        return None

    @property
    def atom(self) -> Atom | None:
        """The atom if the polynomial is one and nothing else."""
        if len(self.terms) == 1:
            monomial, coefficient = self.terms[0]
            if coefficient == 1 and len(monomial) == 1:
                return monomial[0]
        return None

    @property
    def index(self) -> Index | None:
        """The index if the polynomial is a bare index."""
        atom = self.atom
        return atom if isinstance(atom, Index) else None

    def atoms(self) -> Iterator[Atom]:
        """All atoms, those inside floor divisions and labels included."""
        for monomial, _ in self.terms:
            for atom in monomial:
                yield atom
                if isinstance(atom, FloorDiv):
                    yield from atom.numerator.atoms()
                    yield from atom.denominator.atoms()
                elif isinstance(atom, Gather):
                    for p in atom.index:
                        yield from p.atoms()

    def indices(self) -> Iterator[Index]:
        """The indices that occur."""
        return (a for a in self.atoms() if isinstance(a, Index))

    def depends_on(self, indices: Iterable[Index]) -> bool:
        """Whether any of the indices occurs."""
        wanted = set(indices)
        return any(i in wanted for i in self.indices())

    def split(self, atom: Atom) -> tuple[Poly, Poly] | None:
        """``(a, b)`` with ``self == a*atom + b`` and neither containing it; None if not linear."""
        linear: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for monomial, coefficient in self.terms:
            if atom in monomial:
                others = list(monomial)
                others.remove(atom)
                linear[tuple(others)] = coefficient
            else:
                rest[monomial] = coefficient
        a, b = Poly(linear), Poly(rest)
        if atom in set(a.atoms()) or atom in set(b.atoms()):
            return None
        return a, b

    def replace(self, mapping: Mapping[Any, Poly]) -> Poly:
        """Substitute polynomials for atoms, everywhere at once."""
        if not mapping or not any(a in mapping for a in self.atoms()):
            return self
        return self.transform(lambda atom: mapping.get(atom))

    def transform(self, change: Callable[[Atom], Poly | None]) -> Poly:
        """Substitute ``change(atom)`` where it is not None."""
        total = Poly({})
        for monomial, coefficient in self.terms:
            product = Poly.of(coefficient)
            for atom in monomial:
                product = product * _transform(atom, change)
            total = total + product
        return total

    def evaluate(self, value: Callable[[Atom], int]) -> int:
        """The number, given the value of every atom but floor divisions."""
        total = 0
        for monomial, coefficient in self.terms:
            for atom in monomial:
                if isinstance(atom, FloorDiv):
                    coefficient *= atom.numerator.evaluate(value) // atom.denominator.evaluate(value)
                else:
                    coefficient *= value(atom)
            total += coefficient
        return total

    def __repr__(self) -> str:
        return format_poly(self, repr)


def _transform(atom: Atom, change: Callable[[Atom], Poly | None]) -> Poly:
    changed = change(atom)
    if changed is not None:
        return changed
    if isinstance(atom, FloorDiv):
        return atom.numerator.transform(change) // atom.denominator.transform(change)
    if isinstance(atom, Gather) and atom.index:
        return Poly.of(Gather(atom.name, tuple(p.transform(change) for p in atom.index)))
    return Poly.of(atom)


def format_poly(poly: Poly, name: Callable[[Atom], str] = str, times: str = "*") -> str:
    """The polynomial as text of the language, positive terms first."""
    if not poly.terms:
        return "0"
    ordered = sorted(poly.terms, key=lambda term: (term[1] < 0, term[0] == ()))
    parts: list[str] = []
    for monomial, coefficient in ordered:
        factors = [] if abs(coefficient) == 1 and monomial else [str(abs(coefficient))]
        factors += [_format_atom(a, name, times, alone=len(monomial) == 1 and abs(coefficient) == 1) for a in monomial]
        sign = "-" if coefficient < 0 else "+"
        parts.append((f" {sign} " if parts else "-" if coefficient < 0 else "") + times.join(factors))
    return "".join(parts)


def _format_atom(atom: Atom, name: Callable[[Atom], str], times: str, alone: bool) -> str:
    if isinstance(atom, FloorDiv):
        numerator = format_poly(atom.numerator, name, times)
        denominator = format_poly(atom.denominator, name, times)
        if len(atom.numerator.terms) > 1:
            numerator = f"({numerator})"
        if atom.denominator.atom is None and atom.denominator.constant is None:
            denominator = f"({denominator})"
        text = f"{numerator}//{denominator}"
        return text if alone else f"({text})"
    if isinstance(atom, Gather):
        inner = ", ".join(format_poly(p, name, times) for p in atom.index)
        return f"{atom.name}[{inner}]" if inner else atom.name
    return name(atom)


ZERO = Poly.of(0)
ONE = Poly.of(1)


class Facts:
    """What is known about dimensions and integer symbols: lower bounds and things at least 0.

    ``default`` is the lower bound of what ``lower`` does not name.
    """

    def __init__(
        self, lower: Mapping[str, int] | None = None, nonnegative: Iterable[Poly] = (), default: int = 1
    ) -> None:
        self.lower = dict(lower or {})
        self.default = default
        self.known = tuple(nonnegative)

    def nonnegative(self, poly: Poly) -> bool:
        """Whether the polynomial is provably at least 0 for all values of its indices."""
        low = self._lowest(poly)
        if low is not None and (self._plain(low) or any(self._plain(low - fact) for fact in self.known)):
            return True
        return any(self.nonnegative(whole) for whole in self._without_floor(poly))

    def _without_floor(self, poly: Poly) -> Iterator[Poly]:
        """What says the same as ``poly >= 0`` where a quotient stands alone: ``a//b <= c`` as ``a <= b*c + b - 1``."""
        for (atom, *others), coefficient in (t for t in poly.terms if t[0]):
            if not isinstance(atom, FloorDiv) or others or abs(coefficient) != 1:
                continue
            top, bottom = atom.numerator, atom.denominator
            rest = poly - Poly({(atom,): coefficient})
            if self._plain(bottom):
                yield rest * bottom + top if coefficient > 0 else rest * bottom + bottom - 1 - top
                return

    def within(self, poly: Poly, size: Poly) -> bool:
        """Whether ``0 <= poly < size`` provably holds."""
        return self.nonnegative(poly) and self.nonnegative(size - 1 - poly)

    def _lowest(self, poly: Poly) -> Poly | None:
        """Replace every index by the end of its range that makes the polynomial smallest."""
        for index in sorted(set(poly.indices()), key=lambda i: -i.serial):
            parts = poly.split(index)
            if parts is None or index.size is None:
                return None
            slope, rest = parts
            if self._plain(slope):
                poly = rest
            elif self._plain(-slope):
                poly = slope * (index.size - 1) + rest
            else:
                return None
        return self._floors(poly)

    def _floors(self, poly: Poly) -> Poly | None:
        """Bound ``b*(a//b)`` from the side that matters: ``a - b + 1 <= b*(a//b) <= a``."""
        for _ in range(8):
            found = next(((m, c, a) for m, c in poly.terms for a in m if isinstance(a, FloorDiv)), None)
            if found is None:
                return poly
            monomial, coefficient, atom = found
            top = atom.numerator
            if not self._plain(atom.denominator):  # 0 divides nothing
                return None
            others = list(monomial)
            others.remove(atom)
            slope = Poly({tuple(others): coefficient})
            rest = poly - Poly({monomial: coefficient})
            factor = _divide(slope, atom.denominator)
            if factor is not None and self._plain(-factor):
                poly = rest + factor * atom.numerator
            elif factor is not None and self._plain(factor):
                poly = rest + factor * (atom.numerator - atom.denominator + 1)
            elif self._plain(slope) and (self._plain(top) or any(self._plain(top - fact) for fact in self.known)):
                poly = rest
            else:
                return None
        return None

    def _plain(self, poly: Poly) -> bool:
        """At least 0 for all admissible dimensions: every coefficient is, after ``n = lowest + m``."""
        if any(not isinstance(a, str) for a in poly.atoms()):
            low = self._floors(poly) if not any(isinstance(a, (Index, Gather)) for a in poly.atoms()) else None
            if low is None:
                return False
            poly = low
        shifted = poly.transform(lambda a: Poly.of(a) + self.lower.get(str(a), self.default))
        return all(c >= 0 for _, c in shifted.terms)


def _divide(poly: Poly, divisor: Poly) -> Poly | None:
    """``poly / divisor`` where the divisor is one term; None if it does not divide."""
    if len(divisor.terms) != 1:
        return ONE if poly == divisor else Poly.of(-1) if poly == -divisor else None
    (by, scale), result = divisor.terms[0], {}
    for monomial, coefficient in poly.terms:
        rest = list(monomial)
        for atom in by:
            if atom not in rest:
                return None
            rest.remove(atom)
        if coefficient % scale:
            return None
        result[tuple(rest)] = coefficient // scale
    return Poly(result)
