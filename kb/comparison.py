"""Two variants run on the same numbers, so that a reader sees in what they differ.

Arguments that have the same name and, at the chosen sizes, the same shape are shared; the others are
drawn for each entry by itself. Sizes are small, arguments have one decimal, and the same pair of
entries gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from math import prod
from typing import Any, NamedTuple

import mpmath

from kb import interpreter
from kb.calculus.hook import derive
from kb.errors import CatalogueError
from kb.evidence.sampling import CHECKED_DIGITS, NoSample, Point, Sampler, Sizes, Values, nested
from kb.evidence.subject import Subject
from kb.index.affine import Poly
from kb.index.entries import elaborate
from kb.index.program import Tensor
from kb.parser import parse_expression
from kb.variants import given_entry, is_whole
from kb.vocabulary import DOMAINS

_LEAST, _MOST = 2, 4  # elements along an axis
_VISIBLE = 0.01  # a usual value below this would leave nothing to see
_CANDIDATES = 4000
_SIZES = 4
_DRAWS = 40
_RUNS = 6
_PLAIN = 0.05  # of the largest element: what a reader sees at once
SHOWN_DIGITS = 3


@dataclass(frozen=True)
class Side:
    """One of two entries: the arguments that only it was given, and what came out; nested lists of numbers."""

    id: str
    arguments: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Row(NamedTuple):
    """A symbol of each entry that correspond, and their values; None for an entry that has none."""

    word: str
    names: tuple[str | None, str | None]
    values: tuple[Any, Any]


@dataclass(frozen=True)
class Comparison:
    """What two entries make of the arguments that they share."""

    shared: Mapping[str, Any]
    sides: tuple[Side, Side]

    @property
    def swapped(self) -> Comparison:
        """The same for a reader of the other entry."""
        return replace(self, sides=(self.sides[1], self.sides[0]))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Outputs of the two that correspond: those of one name, or the only ones."""
        one, other = (tuple(side.outputs) for side in self.sides)
        if len(one) == len(other) == 1:
            return ((one[0], other[0]),)
        return tuple((name, name) for name in one if name in other)

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is not shared: the arguments of both, then their outputs."""
        one, other = self.sides
        same = tuple((name, name) for name in one.arguments if name in other.arguments)
        given = [Row("given", names, values) for names, values in _beside(one.arguments, other.arguments, same)]
        return (*given, *(Row("gives", n, v) for n, v in _beside(one.outputs, other.outputs, self.pairs)))

    @property
    def differs(self) -> bool:
        """Whether a pair of outputs differs; numbers are rounded, as a reader sees them."""
        one, other = self.sides
        return any(one.outputs[a] != other.outputs[b] for a, b in self.pairs)

    @property
    def is_plain(self) -> bool:
        """Whether a pair of outputs differs much, as those of a saturated function do not."""
        one, other = self.sides
        return any(_apart(one.outputs[a], other.outputs[b]) for a, b in self.pairs)


def _apart(one: Any, other: Any) -> bool:
    """Whether two results differ much, measured by their largest element; those of different shapes do."""
    if _counts(one) != _counts(other):
        return True
    pairs = list(zip(_flat([one]), _flat([other]), strict=True))
    largest = max((abs(x) for pair in pairs for x in pair), default=0)
    return any(abs(a - b) > _PLAIN * largest for a, b in pairs)


def _counts(value: Any) -> Any:
    return [_counts(item) for item in value] if isinstance(value, list) else 1


def _beside(
    one: Mapping[str, Any], other: Mapping[str, Any], pairs: Sequence[tuple[str, str]]
) -> Iterator[tuple[tuple[str | None, str | None], tuple[Any, Any]]]:
    """Pairs of names and their values; a name without a partner stands alone."""
    partners, taken = dict(pairs), {b for _, b in pairs}
    for name, value in one.items():
        yield (name, partners.get(name)), (value, other.get(partners.get(name, "")))
    for name, value in other.items():
        if name not in taken:
            yield (None, name), (None, value)


def compare(one: Subject, other: Subject, given: Mapping[str, str] | None = None) -> Comparison:
    """Both entries at a point that they share as far as may be, and at which they differ if there is one.

    ``given`` has expressions in the arguments of ``one`` for arguments of the other. Raises NoSample
    where no small sizes or no numbers are in the domain of both.
    """
    found: Comparison | None = None
    pair = _Pair(one, other, given or {})
    for sizes in pair.sizes():
        made = pair.comparison(*sizes)
        found = found or made
        if made is not None and made.differs:
            return made
    if found is None:
        raise NoSample(f"no numbers were found that both {one.entry.id!r} and {other.entry.id!r} take")
    return found


class _Pair:
    """Two entries, how their points are drawn, and which arguments may be shared."""

    def __init__(self, one: Subject, other: Subject, given: Mapping[str, str]) -> None:
        self.subjects = (one, other)
        self.samplers = (one.sampler(f"variants/{other.entry.id}"), other.sampler(f"variants/{one.entry.id}"))
        own, others = ({t.name: t for t in s.program.arguments} for s in self.subjects)
        both = {name: (own[name], others[name]) for name in own if name in others and name not in given}
        self.alike = {n: (a, b) for n, (a, b) in both.items() if _kind(a) == _kind(b)}
        self.given = {name: (_Given(one, text), others[name]) for name, text in given.items()}

    # --- sizes ----------------------------------------------------------------------------------

    def sizes(self) -> list[tuple[Sizes, Sizes]]:
        """Sizes of both, the smallest first at which most arguments have the same shape and few axes one element."""
        found = [(self._cost(a, b), n, a, b) for n, (a, b) in enumerate(islice(self._admissible(), _CANDIDATES))]
        return [(one, other) for _, _, one, other in sorted(found, key=lambda row: row[:2])[:_SIZES]]

    def _admissible(self) -> Iterator[tuple[Sizes, Sizes]]:
        one, other = self.samplers
        for sizes in _assignments(one, {}):
            if one.is_admissible(sizes):
                for others in _assignments(other, self._carried(sizes)):
                    if other.is_admissible(others) and self._fits(sizes, others):
                        yield sizes, others

    def _fits(self, one: Sizes, other: Sizes) -> bool:
        """Whether what the other entry is given has the shape that it takes."""
        return all(_shape(given.shape, one) == _shape(b.shape, other) for given, b in self.given.values())

    def _carried(self, sizes: Sizes) -> Sizes:
        """Sizes of the other entry that follow from what it is given, or have the same name themselves."""
        dimensions = self.samplers[1].dimensions
        carried = {name: size for name, size in sizes.items() if name in dimensions}
        carried |= {name: sizes[name] for name in self.alike if name in sizes}
        carried |= {name: sizes[g.text] for name, (g, _) in self.given.items() if g.text in sizes}
        carried |= {name: int(g.text) for name, (g, b) in self.given.items() if is_whole(g.text, b.symbol)}
        shapes = [(_shape(a.shape, sizes), b) for a, b in self.alike.values()]
        shapes += [(_shape(given.shape, sizes), b) for given, b in self.given.values()]
        for shape, tensor in shapes:
            texts = tensor.symbol.shape if tensor.symbol is not None else ()
            carried |= {text: size for size, text in zip(shape, texts, strict=True) if text in dimensions}
        return carried

    def _cost(self, one: Sizes, other: Sizes) -> float:
        sizes = (one, other)
        apart = len(self.alike) - len(self._shared(one, other))
        thin = sum(not sampler.is_full(s) for sampler, s in zip(self.samplers, sizes, strict=True))
        rows = [(t, s) for x, s in zip(self.subjects, sizes, strict=True) for t in x.program.arguments]
        volume = sum(prod(_shape(tensor.shape, s)) for tensor, s in rows)
        dimensions = [one[d] for d in self.samplers[0].dimensions]
        return 1000 * apart + 100 * thin + volume + (len(dimensions) - len(set(dimensions)))

    def _shared(self, one: Sizes, other: Sizes) -> list[str]:
        """Arguments of one name that have the same shape; of integers, those that have the same value."""
        return [
            name
            for name, (a, b) in self.alike.items()
            if _shape(a.shape, one) == _shape(b.shape, other) and one.get(name) == other.get(name)
        ]

    # --- values ---------------------------------------------------------------------------------

    def draw(self, one: Sizes, other: Sizes) -> tuple[Point, Point]:
        """A point of each; it may violate what an entry requires."""
        shared: Values = {}
        for name in self._shared(one, other):
            a, b = self.alike[name]
            other_is_narrower = _domain(a) == "real" != _domain(b)
            shared[name] = _drawn(self.samplers[1], b, other) if other_is_narrower else _drawn(self.samplers[0], a, one)
        first = Point(self._values(0, one, shared), dict(one))
        given = {
            name: given.value(first, self.samplers[0].open_sizes(first)) for name, (given, _) in self.given.items()
        }
        return first, Point(self._values(1, other, shared | given), dict(other))

    def _values(self, n: int, sizes: Sizes, known: Values) -> Values:
        """A value for each argument in the order of the entry."""
        rows = ((t.name, t) for t in self.subjects[n].program.arguments)
        return {name: known[name] if name in known else _drawn(self.samplers[n], t, sizes) for name, t in rows}

    def comparison(self, one: Sizes, other: Sizes) -> Comparison | None:
        """Both at a point with these sizes, where they differ plainly if they can; None where no point suits both."""
        found: Comparison | None = None
        points = (self.draw(one, other) for _ in range(_DRAWS))
        for pair in islice((p for p in points if not self.rejects(p)), _RUNS):
            made = self.run(*pair)
            if made.is_plain:
                return made
            found = found or made
            if not found.differs:
                break
        return found

    def rejects(self, points: tuple[Point, Point]) -> bool:
        """Whether one of the two points is not in the domain of its entry."""
        return any(sampler.rejects(point) for sampler, point in zip(self.samplers, points, strict=True))

    def run(self, one: Point, other: Point) -> Comparison:
        """What both give, in three digits."""
        shared = self._shared(one.sizes, other.sizes)
        sides = []
        for subject, sampler, point in zip(self.subjects, self.samplers, (one, other), strict=True):
            values, sizes = point.values, sampler.open_sizes(point)
            result = interpreter.run(subject.entry, subject.lookup, values, sizes, precision=CHECKED_DIGITS)
            own = {name: _rounded(value) for name, value in values.items() if name not in shared}
            outputs = {public: _rounded(result[public].to_nested()) for public, _ in subject.outputs}
            sides.append(Side(subject.entry.id, own, outputs))
        return Comparison({name: _rounded(one.values[name]) for name in shared}, (sides[0], sides[1]))


class _Given:
    """An expression in the arguments of an entry; the name of one stands for itself, whatever its kind."""

    def __init__(self, subject: Subject, text: str) -> None:
        self.text = text.strip()
        self.subject = subject
        self.entry, self.name, _ = given_entry(subject.entry, text)
        tensor = next((t for t in subject.program.arguments if t.name == self.text), None)
        self.is_argument = tensor is not None
        self.shape = tensor.shape if tensor is not None else self._inferred()

    def _inferred(self) -> tuple[Poly, ...]:
        programs = self.subject.programs
        elaborated = elaborate(self.entry, programs, programs.entries, derive, infer=True)
        if elaborated.program is None:
            raise CatalogueError(list(elaborated.faults))
        return elaborated.program.shape(self.name)

    def value(self, point: Point, sizes: Sizes) -> Any:
        """Its value for the arguments of a point."""
        if self.is_argument:
            return point.values[self.text]
        inputs = replace(self.entry, define=(), symbols=self.entry.symbols[:-1])
        node, lookup = parse_expression(self.text), self.subject.lookup
        return interpreter.evaluate(node, inputs, lookup, point.values, sizes, precision=CHECKED_DIGITS).to_nested()


def _kind(tensor: Tensor) -> tuple[str, int]:
    assert tensor.symbol is not None
    return tensor.symbol.kind, len(tensor.shape)


def _domain(tensor: Tensor) -> str:
    return tensor.symbol.domain if tensor.symbol is not None else "real"


def _shape(shape: Sequence[Poly], sizes: Sizes) -> tuple[int, ...]:
    return tuple(s.evaluate(lambda a: sizes[str(a)]) for s in shape)


def _assignments(sampler: Sampler, given: Sizes) -> Iterator[Sizes]:
    """Sizes for the dimensions and integers of an entry, small ones first; ``given`` fixes some of them."""
    choices: dict[str, tuple[int, ...]] = {}
    for name in sampler.dimensions:
        choices[name] = (given[name],) if name in given else tuple(range(_LEAST, _MOST + 1))
    for symbol in sampler.integers:
        low = {"positive": 1, "nonnegative": 0}.get(symbol.domain, 1)
        usual = () if symbol.default is None else (int(symbol.default),)
        choices[symbol.name] = (given[symbol.name],) if symbol.name in given else usual or (low + 1, low, low + 2)
    for values in product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def _drawn(sampler: Sampler, tensor: Tensor, sizes: Sizes) -> Any:
    """A value with one decimal that still is in the domain of its symbol."""
    symbol = tensor.symbol
    assert symbol is not None
    if symbol.name in sizes:
        return sizes[symbol.name]
    if symbol.default is not None and abs(float(symbol.default)) >= _VISIBLE:
        return nested(_shape(tensor.shape, sizes), lambda _: mpmath.mpf(symbol.default))
    value = sampler.value(symbol, _shape(tensor.shape, sizes), sizes)
    if symbol.domain == "binary" and isinstance(value, list):
        value = _mixed(value)
    if symbol.kind != "real":
        return value
    decimals = 2 if symbol.domain == "orthogonal" else 1
    return _tidied(value, decimals, DOMAINS[symbol.domain].sums_to_one)


def _mixed(value: Any) -> Any:
    """Nested lists of 0 and 1 in which both occur: the last element turns where all are the same."""
    elements = _flat(value)
    if len(elements) > 1 and len(set(elements)) == 1:
        elements[-1] = 1 - elements[-1]
    parts = iter(elements)
    return _filled(value, lambda: next(parts))


def _tidied(value: Any, decimals: int, sums_to_one: str) -> Any:
    """Nested lists in few decimals; what must add up to 1 does so exactly."""
    if not isinstance(value, list):
        return mpmath.mpf(str(round(float(value), decimals)))
    if sums_to_one == "all" or (sums_to_one and not isinstance(value[0], list)):
        counts = [max(1, round(float(x) * 10**decimals)) for x in _flat(value)]
        counts[counts.index(max(counts))] += 10**decimals - sum(counts)
        parts = iter(counts)
        return _filled(value, lambda: mpmath.mpf(next(parts)) / 10**decimals)
    return [_tidied(item, decimals, sums_to_one) for item in value]


def _flat(value: Any) -> list[Any]:
    return [x for item in value for x in _flat(item)] if isinstance(value, list) else [value]


def _filled(value: Any, element: Any) -> Any:
    return [_filled(item, element) for item in value] if isinstance(value, list) else element()


def _rounded(value: Any) -> Any:
    """Nested lists of numbers with three digits."""
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value if isinstance(value, int) else float(f"{float(value):.{SHOWN_DIGITS}g}") + 0.0


def numbers_text(value: Any) -> str:
    """Nested lists for a person: ``[[0.5, -1], [2, 0.1]]``."""
    if isinstance(value, list):
        return f"[{', '.join(map(numbers_text, value))}]"
    return f"{value:g}"
