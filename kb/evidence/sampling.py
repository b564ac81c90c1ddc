"""Random points of an entry's domain: sizes that satisfy what it requires, and values of its symbols.

Every value is a number that a float holds exactly (but for orthogonal matrices), so that the same
point can be given to the reference interpreter and to generated code. Probabilities are multiples
of a power of one half and add up to exactly 1.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from typing import Any

import mpmath

from kb import interpreter, tree
from kb.calculus.evaluate import elements
from kb.errors import EqkbError, LanguageError
from kb.evidence.requirements import holds, size_number
from kb.evidence.spectra import Spectra
from kb.index.program import Program, Tensor
from kb.model import Entry, Symbol
from kb.parser import parse_expression

Values = dict[str, Any]
Sizes = dict[str, int]
Lookup = Callable[[str], Entry]

GRAIN = 2**20
MARGIN = mpmath.mpf(1) / 64
ATTEMPTS = 60
# Quadrature needs some digits to spare far out, where a body may be infinite for want of them.
CHECKED_DIGITS = 30
LARGEST_ARRAY = 32
_DIGITS = 60


class NoSample(EqkbError):
    """No point of the domain was found."""

    exit_code = 1


@dataclass(frozen=True)
class Point:
    """One point: a value for every argument (nested lists of numbers), and the sizes of its axes.

    ``sizes`` holds dimensions and integer symbols.
    """

    values: Values
    sizes: Sizes

    def sizes_text(self) -> str:
        """The sizes for a person."""
        return ", ".join(f"{name} = {size}" for name, size in self.sizes.items())

    def as_json(self) -> dict[str, Any]:
        """The point with short decimal numbers, for a counter-example."""
        return {name: _shown(value) for name, value in self.values.items()}


class Sampler:
    """Draws points for one entry. The same seed draws the same points."""

    def __init__(self, entry: Entry, program: Program, lookup: Lookup, seed: int | str = 0) -> None:
        self.entry = entry
        self.program = program
        self.lookup = lookup
        self.random = random.Random(f"{entry.id}/{seed}")
        self.dimensions = [d for d in program.dimensions if program_symbol(program, d) is None]
        self.integers = [t.symbol for t in program.arguments if t.symbol and t.symbol.kind == "integer" and not t.shape]
        self.requirements = [parse_expression(text) for text in entry.requires]
        self.spectra = Spectra(program)
        self.kinks = [parse_expression(text) for text in entry.kinks]

    # --- sizes ----------------------------------------------------------------------------------

    def assignments(self, count: int = 3) -> list[Sizes]:
        """Several small assignments of sizes, distinct for distinct names as far as may be; the last has ones.

        Raises NoSample where no small sizes satisfy what the entry requires.
        """
        if not self.dimensions and not self.integers:
            return [{}]
        found: dict[tuple[int, ...], tuple[float, Sizes]] = {}
        for attempt in range(800):
            sizes = self._draw_sizes(2 + attempt // 200)
            if self.is_admissible(sizes):
                key = tuple(sizes.values())
                found[key] = (self._badness(sizes), sizes)
        if not found:
            raise NoSample(f"no small sizes satisfy what {self.entry.id!r} requires; check 'requires' and the shapes")
        ranked = [sizes for _, sizes in sorted(found.values(), key=lambda pair: (pair[0], list(pair[1].values())))]
        # Where an axis has a single element, much that is wrong still holds.
        full = [sizes for sizes in ranked if self.is_full(sizes)] or [s for s in [self.smallest(2)] if s is not None]
        chosen = [*full, *ranked][:1]
        for _ in range(count - 2):
            others = [s for s in (full if len(full) > 1 else ranked)[:40] if s not in chosen]
            if others:
                chosen.append(max(others, key=lambda s: min(_difference(s, c) for c in chosen)))
        smallest = self.smallest() or min(ranked, key=lambda s: (sum(s.values()), list(s.values())))
        return [*chosen, smallest] if smallest not in chosen else chosen

    def _draw_sizes(self, spread: int) -> Sizes:
        pool = list(range(2, 2 + len(self.dimensions) + spread))
        self.random.shuffle(pool)
        drawn = [pool[n % len(pool)] for n in range(len(self.dimensions))]
        if self.random.random() < 0.4:
            few = (2, 2, 3, 3, 4) if self.random.random() < 0.5 else (1, 2, 2, 3, 4, 5, 6)
            drawn = [self.random.choice(few) for _ in self.dimensions]
        return {**dict(zip(self.dimensions, drawn, strict=True)), **{s.name: self._integer(s) for s in self.integers}}

    def _integer(self, symbol: Symbol) -> int:
        if symbol.default is not None and self.random.random() < 0.5:
            return int(symbol.default)
        low = {"positive": 1, "nonnegative": 0}.get(symbol.domain, 0 if symbol.role == "hyperparameter" else -2)
        return self.random.randint(low, max(low + 2, 3))

    def smallest(self, least: int = 1) -> Sizes | None:
        """The smallest sizes that the requirements let; with 2 as the least such that arrays are full."""
        lows = {s.name: {"positive": 1, "nonnegative": 0}.get(s.domain, 1) for s in self.integers}
        names = [*self.dimensions, *lows]
        for top in (1, 2, 3):
            choices = [range(least, least + top)] * len(self.dimensions) + [range(n, n + top) for n in lows.values()]
            found = [
                sizes
                for values in islice(product(*choices), 4000)
                if self.is_admissible(sizes := dict(zip(names, values, strict=True)))
                and (least == 1 or self.is_full(sizes))
            ]
            if found:
                return min(found, key=lambda sizes: sum(sizes.values()))
        return None

    def is_full(self, sizes: Sizes) -> bool:
        """Whether no declared array has but one element along an axis, unless it always has."""
        declared = [t for t in self.program.tensors.values() if t.symbol is not None]
        return all(
            s.constant is not None or s.evaluate(lambda a: sizes[str(a)]) != 1
            for tensor in declared
            for s in tensor.shape
        )

    def _badness(self, sizes: Sizes) -> float:
        """Distinct dimensions come first, then small arrays."""
        dims = [sizes[d] for d in self.dimensions]
        equal = len(dims) - len(set(dims))
        axes = [s.evaluate(lambda a: sizes[str(a)]) for t in self.program.tensors.values() for s in t.shape]
        trivial = sum(size == 1 for size in axes) + sum(sizes[s.name] <= 1 for s in self.integers) / 2
        trivial += sum(max(0, abs(sizes[s.name]) - 2) for s in self.integers)
        volume = max((self._volume(t, sizes) for t in self.program.tensors.values()), default=1)
        return 3 * equal + 2 * trivial + max(0, volume - LARGEST_ARRAY) / 4 + sum(abs(d - 3) for d in dims) / 10

    def _volume(self, tensor: Tensor, sizes: Sizes) -> int:
        return prod(s.evaluate(lambda a: sizes.get(str(a), 1)) for s in tensor.shape)

    def is_admissible(self, sizes: Sizes) -> bool:
        """Whether all shapes are positive and the requirements on sizes hold."""
        try:
            for tensor in self.program.tensors.values():
                if any(s.evaluate(lambda a: sizes[str(a)]) < 1 for s in tensor.shape):
                    return False
            if not self.spectra.fit(sizes):
                return False
        except (KeyError, ZeroDivisionError):
            return False
        return all(holds(node, sizes) is not False for node in self.requirements)

    # --- points ---------------------------------------------------------------------------------

    @property
    def is_constant(self) -> bool:
        """Whether there is only one point, as the entry has no argument."""
        return not self.program.arguments

    def points(self, sizes: Sizes) -> Iterator[Point]:
        """Points with the given sizes, without end. Raises NoSample where none is found."""
        while True:
            reason = ""
            attempts = ATTEMPTS if self.program.arguments else 1
            for _ in range(attempts):
                point = self.draw(sizes)
                reason = self.rejects(point)
                if not reason:
                    yield point
                    break
            else:
                raise NoSample(
                    f"no point of the domain of {self.entry.id!r} was found in {attempts} attempt(s): {reason}; "
                    "check the domains of its symbols, 'requires' and 'kinks'"
                )

    def draw(self, sizes: Sizes) -> Point:
        """A point of the domains, which may still violate a requirement or lie at a kink."""
        values: Values = {}
        with mpmath.workdps(_DIGITS):
            usual = self.random.random() < 0.25
            for tensor in self.program.arguments:
                symbol = tensor.symbol
                assert symbol is not None
                if symbol.name in sizes:
                    values[symbol.name] = sizes[symbol.name]
                elif usual and symbol.default is not None:
                    values[symbol.name] = mpmath.mpf(float(symbol.default))
                else:
                    shape = tuple(s.evaluate(lambda a: sizes[str(a)]) for s in tensor.shape)
                    values[symbol.name] = self.value(symbol, shape, sizes)
        return Point(values, dict(sizes))

    def value(self, symbol: Symbol, shape: tuple[int, ...], sizes: Sizes) -> Any:
        """A value of a symbol as nested lists."""
        if symbol.kind == "label":
            classes = size_number(symbol.classes or "1", sizes)
            return nested(shape, lambda _: self.random.randrange(classes))
        if symbol.kind == "integer":
            return nested(shape, lambda _: self._integer(symbol))
        if symbol.domain in _WHOLE:
            return _WHOLE[symbol.domain](self.random, shape)
        draw = _ELEMENT.get(symbol.domain, _ELEMENT["real"])
        return nested(shape, lambda place: mpmath.mpf(draw(self.random, place)))

    def rejects(self, point: Point) -> str:
        """Why a point cannot be used; empty if it can."""
        try:
            for node, text in zip(self.requirements, self.entry.requires, strict=True):
                if holds(node, point.sizes) is None and not self.satisfies(node, point):
                    return f"'{text}' does not hold"
            for node, text in zip(self.kinks, self.entry.kinks, strict=True):
                if self.is_near(node, point):
                    return f"the kink '{text}' is too near"
            given = {name: elements(value) for name, value in point.values.items() if name not in point.sizes}
            if self.spectra.are_crowded(given, point.sizes, MARGIN):
                return "eigenvalues are almost equal or singular values 0 (if sizes are the reason, rule them out)"
            result = interpreter.run(
                self.entry, self.lookup, point.values, self.open_sizes(point), precision=CHECKED_DIGITS
            )
        except EqkbError as error:
            return str(error)
        for name, array in result.items():
            if not all(mpmath.isfinite(x) and not isinstance(x, mpmath.mpc) for x in array.data):
                return f"{name!r} is not finite there"
        return ""

    def open_sizes(self, point: Point) -> Sizes:
        """The dimensions alone; integer symbols are arguments."""
        return {d: point.sizes[d] for d in self.dimensions}

    def satisfies(self, node: tree.Node, point: Point) -> bool:
        """Whether a requirement on numbers holds at a point, in every element."""
        found = interpreter.evaluate(node, self.entry, self.lookup, point.values, self.open_sizes(point), precision=15)
        return all(bool(x) for x in found.data)

    def is_near(self, node: tree.Node, point: Point) -> bool:
        """Whether the two sides of a kink's equation are almost equal for any of its indices."""
        if not isinstance(node, tree.Comparison):
            raise LanguageError("a kink is an equation or a comparison, such as 'z == 0'", node.at)
        claim = tree.Claim(node.left, "==", node.right)
        sizes = self.open_sizes(point)
        rows = interpreter.claim_sides(self.entry, self.lookup, point.values, sizes, claim, precision=15)
        return any(abs(left - right) < MARGIN for _, left, right in rows)


def _difference(a: Sizes, b: Sizes) -> int:
    """In how many sizes two assignments differ."""
    return sum(a[name] != b[name] for name in a)


def program_symbol(program: Program, name: str) -> Symbol | None:
    """The declared symbol of that name."""
    tensor = program.tensors.get(name)
    return tensor.symbol if tensor is not None else None


# --- values --------------------------------------------------------------------------------------


def nested(shape: tuple[int, ...], element: Callable[[tuple[int, ...]], Any], place: tuple[int, ...] = ()) -> Any:
    """Nested lists of a shape, element by element in reading order; a bare number without axes."""
    if len(place) == len(shape):
        return element(place)
    return [nested(shape, element, (*place, i)) for i in range(shape[len(place)])]


def _dyadic(value: float) -> float:
    """The nearest multiple of a power of one half, so that sums and products stay short."""
    return round(value * GRAIN) / GRAIN


def _away_from_zero(r: random.Random, low: float, high: float) -> float:
    return _dyadic(r.choice((-1, 1)) * r.uniform(low, high))


Element = Callable[[random.Random, tuple[int, ...]], float]
_ELEMENT: dict[str, Element] = {
    "real": lambda r, _: _dyadic(r.uniform(-2, 2)),
    "positive": lambda r, _: _dyadic(r.uniform(0.25, 2.5)),
    "nonnegative": lambda r, _: _dyadic(r.uniform(0.125, 2.5)),
    "nonzero": lambda r, _: _away_from_zero(r, 0.25, 2),
    "unit": lambda r, _: _dyadic(r.uniform(0.06, 0.94)),
    "unit_ball": lambda r, _: _dyadic(r.uniform(-0.9, 0.9)),
    "binary": lambda r, _: float(r.randrange(2)),
    "binary_diagonal": lambda r, at: 1.0 if len(at) > 1 and at[-1] == at[-2] else float(r.randrange(2)),
    "plus_minus_one": lambda r, _: float(r.choice((-1, 1))),
    "gaussian": lambda r, _: _dyadic(r.gauss(0, 1)),
}


def _probabilities(r: random.Random, count: int) -> list[Any]:
    """Positive multiples of 1/GRAIN that add up to 1, none of them tiny."""
    weights = [r.uniform(0.2, 1) for _ in range(count)]
    parts = [max(1, int(GRAIN * w / sum(weights))) for w in weights]
    parts[-1] += GRAIN - sum(parts)
    return [mpmath.mpf(p) / GRAIN for p in parts]


def _rows(r: random.Random, shape: tuple[int, ...]) -> Any:
    if not shape:
        return mpmath.mpf(1)
    rows = nested(shape[:-1], lambda _: _probabilities(r, shape[-1]))
    return rows


def _joint(r: random.Random, shape: tuple[int, ...]) -> Any:
    flat = iter(_probabilities(r, prod(shape)))
    return nested(shape, lambda _: next(flat))


def _one_hot(r: random.Random, shape: tuple[int, ...]) -> Any:
    def row(_: tuple[int, ...]) -> list[Any]:
        chosen = r.randrange(shape[-1])
        return [mpmath.mpf(i == chosen) for i in range(shape[-1])]

    return nested(shape[:-1], row) if shape else mpmath.mpf(1)


def _symmetric(r: random.Random, shape: tuple[int, ...]) -> Any:
    def matrix(_: tuple[int, ...]) -> Any:
        lower = {(i, j): mpmath.mpf(_dyadic(r.uniform(-2, 2))) for i in range(shape[-1]) for j in range(i + 1)}
        return nested(shape[-2:], lambda at: lower[max(at), min(at)])

    return nested(shape[:-2], matrix)


def _positive_definite(r: random.Random, shape: tuple[int, ...]) -> Any:
    def matrix(_: tuple[int, ...]) -> Any:
        n = shape[-1]
        factor = [[mpmath.mpf(round(r.uniform(-1, 1) * 256)) / 256 for _ in range(n)] for _ in range(n)]
        half = mpmath.mpf(1) / 2
        return nested(
            shape[-2:],
            lambda at: sum(a * b for a, b in zip(factor[at[0]], factor[at[1]], strict=True)) + half * (at[0] == at[1]),
        )

    return nested(shape[:-2], matrix)


def _orthogonal(r: random.Random, shape: tuple[int, ...]) -> Any:
    """Orthonormal columns by the method of Gram and Schmidt."""

    def matrix(_: tuple[int, ...]) -> Any:
        columns: list[list[Any]] = []
        while len(columns) < shape[-1]:
            column = [mpmath.mpf(r.uniform(-1, 1)) for _ in range(shape[-2])]
            for other in columns:
                along = mpmath.fdot(column, other)
                column = [a - along * b for a, b in zip(column, other, strict=True)]
            length = mpmath.sqrt(mpmath.fdot(column, column))
            if length > 0.1:
                columns.append([a / length for a in column])
        return nested(shape[-2:], lambda at: columns[at[1]][at[0]])

    if shape[-1] > shape[-2]:
        raise NoSample(f"a matrix with orthonormal columns has at least as many rows as columns, not {shape}")
    return nested(shape[:-2], matrix)


_WHOLE: dict[str, Callable[[random.Random, tuple[int, ...]], Any]] = {
    "simplex": _rows,
    "stochastic": _rows,
    "joint": _joint,
    "one_hot": _one_hot,
    "symmetric": _symmetric,
    "positive_definite": _positive_definite,
    "orthogonal": _orthogonal,
}


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(v) for v in value]
    return value if isinstance(value, int) else float(value)
