"""Every line of a derivation is evaluated by the reference interpreter and held against the line before.

The derivative that a chain begins with is a difference of the steps; that of an output is moreover
differenced from the entry as it was written, which shares nothing with index form.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath

from kb import interpreter, tree
from kb.calculus.evaluate import elements
from kb.derivation.chains import Chain, Way
from kb.derivation.plainly import moved_names, spelled_out
from kb.errors import CheckFailed, EqkbError
from kb.evidence.sampling import Point, Sampler, Sizes, nested
from kb.evidence.subject import Places, Subject, moved, open_sizes, step_cost
from kb.index.affine import Poly
from kb.model import Entry
from kb.programs import Programs
from kb.vocabulary import MATRIX_FUNCTIONS

MOST_POINTS, FEWEST_POINTS = 4, 2
COLUMNS, PLACES = 2, 4
# Thousands of operations for one run of all points together; dear entries get the fewest points.
BUDGET = 1.0


@dataclass(frozen=True)
class Accuracy:
    """Digits to work with, and the error that is allowed."""

    digits: int
    tolerance: float


EXACT = Accuracy(30, 1e-20)
QUADRATURE = Accuracy(15, 1e-8)


@dataclass
class Checked:
    """How many points were taken, how many numbers compared, and the largest difference."""

    points: int = 0
    numbers: int = 0
    difference: float = 0.0
    failures: list[str] = field(default_factory=list)


def check(entry: Entry, way: Way, symbol: str, programs: Programs, points: int | None = None) -> Checked:
    """Evaluate all lines of a derivation. Raises CheckFailed where two of them differ."""
    subject = Subject(entry, way.program, programs)
    return _Check(subject, way, symbol).run(points)


Run = Callable[[Mapping[str, Any], int, dict[Any, Any]], dict[str, Any]]


class _Check:
    def __init__(self, subject: Subject, way: Way, symbol: str) -> None:
        self.subject = subject
        self.way = way
        self.symbol = symbol
        self.accuracy = QUADRATURE if subject.has_integrals else EXACT
        self.random = random.Random(f"{subject.entry.id}/{symbol}/derivation")
        self.found = Checked()
        self.moved = moved_names(way.program, subject.entry, symbol)
        self.steps = spelled_out(subject.entry, way.program, self.moved)

    def run(self, points: int | None) -> Checked:
        sampler = Sampler(self.subject.entry, self.way.program, self.subject.lookup, f"derivation/{self.symbol}")
        sizes = sampler.assignments(2)[0]
        most = max(FEWEST_POINTS, min(MOST_POINTS, int(BUDGET / self.cost(sizes))))
        most = points if points is not None else FEWEST_POINTS if self.subject.has_integrals else most
        most = 1 if sampler.is_constant else most
        drawn = sampler.points(sizes)
        for _ in range(most):
            self.at(next(drawn))
            self.found.points += 1
        return self.found

    def cost(self, sizes: Sizes) -> float:
        """What one point takes: each column runs the steps several times. The same on every machine."""
        return max(sum(step_cost(s, self.way.program, sizes) for s in self.way.program.steps) / 1000, 1e-3)

    def at(self, point: Point) -> None:
        """One point of the domain: the derivatives by some elements of the symbol."""
        columns = sorted(elements(point.values[self.symbol]))
        if self.found.points < FEWEST_POINTS:
            values = {**point.values, **self.still(point)}
            run = self.finished(values, point)
            for statement in self.way.definitions:
                self.definition(statement, run, values, point)
        for column in self.random.sample(columns, min(COLUMNS, len(columns))):
            run = self.finished({**point.values, **self.by_steps(point, column)}, point)
            own = self.by_entry(point, column)
            for chain in self.way.chains:
                for place in self.places(chain, column, point):
                    start = own[self.public(chain)].get(self.target(chain, place, point)) if chain.is_result else None
                    self.chain(chain, place, run, start)

    def finished(self, values: Mapping[str, Any], point: Point, *more: str) -> interpreter.Finished:
        """The steps, and statements after them, run."""
        sizes = open_sizes(self.way.program, point.sizes)
        steps = replace(self.steps, define=(*self.steps.define, *more))
        return interpreter.Finished(steps, self.subject.lookup, values, sizes, self.accuracy.digits)

    # --- lines --------------------------------------------------------------------------------------

    def chain(self, chain: Chain, place: Mapping[str, int], run: interpreter.Finished, own: Any | None) -> None:
        """The lines of a chain at one place; ``own`` is what the entry as written gives there."""
        values: list[Any] = []
        for n, node in enumerate([chain.value, *(row.value for row in chain.rows)]):
            try:
                values.append(run.number(node, place))
            except EqkbError as error:
                if chain.starts_beyond:  # the elements from which a recurrence starts are not kept
                    return
                raise _failed(chain, max(n - 1, 0), f"it has no value: {error}") from None
        before, *rest = values
        if own is not None:
            self.compare(own, before, chain, 0, "the entry's own difference")
        for n, value in enumerate(rest):
            self.compare(before, value, chain, n, "the line before")
            before = value

    def definition(
        self, statement: tree.Step, run: interpreter.Finished, values: Mapping[str, Any], point: Point
    ) -> None:
        """A step as shown has the values of the step as it was differentiated."""
        (target,) = statement.targets
        value = statement.value
        if isinstance(value, tree.Call) and value.function in _RESULTS:
            row, output = _RESULTS[value.function]
            names = [f"shown_{n}" for n in range(len(row.outputs))]
            again = f"{', '.join(names)} = {row.name}({', '.join(map(str, value.arguments))})"
            run, value = self.finished(values, point, again), tree.Name(names[output])
        for _, left, right in run.sides(tree.Claim(target, "==", value)):
            self.compare(left, right, None, 0, str(statement))

    def compare(self, left: Any, right: Any, chain: Chain | None, n: int, what: str) -> None:
        error = abs(left - right) / max(1, abs(left))
        self.found.numbers += 1
        if not mpmath.isfinite(error) or error > self.accuracy.tolerance:
            shown = f"{mpmath.nstr(right, 12)} against {mpmath.nstr(left, 12)} of {what}"
            raise _failed(chain, n, shown) if chain is not None else CheckFailed(f"{_INTERNAL}: {shown}")
        self.found.difference = max(self.found.difference, float(error))

    # --- points -------------------------------------------------------------------------------------

    def places(self, chain: Chain, column: tuple[int, ...], point: Point) -> list[dict[str, int]]:
        """Some elements, by the values of the indices; equal indices among them, where deltas are 1."""
        sizes = {index: _size(index.extent, point) for index in chain.letters}
        if any(size < 1 for size in sizes.values()):
            return []
        by = dict(zip(chain.wrt, column, strict=True))
        found: list[dict[str, int]] = []
        for n in range(PLACES):
            same = {sizes[index]: at for index, at in by.items()}
            place = {chain.letters[index]: at for index, at in by.items()}
            for index, letter in chain.letters.items():
                if index not in by:
                    drawn = self.random.randrange(sizes[index])
                    place[letter] = same.get(sizes[index], drawn) if n % 2 == 0 else drawn
            if place not in found:
                found.append(place)
        return found

    def target(self, chain: Chain, place: Mapping[str, int], point: Point) -> tuple[int, ...]:
        """The element of the output that a place is about."""
        letters: dict[Any, int] = {index: place[letter] for index, letter in chain.letters.items()}
        return tuple(p.evaluate(lambda a: letters[a] if a in letters else point.sizes[str(a)]) for p in chain.target)

    def public(self, chain: Chain) -> str:
        return next(name for name, held in self.way.program.returns if held == chain.held)

    # --- differences --------------------------------------------------------------------------------

    def still(self, point: Point) -> dict[str, Any]:
        """The arguments of the steps, with derivatives of 0."""
        sizes = {name: [_size(s, point) for s in self.way.program.shape(name)] for name in self.moved}
        zeros = {self.moved[name]: nested(tuple(shape), lambda _: 0) for name, shape in sizes.items()}
        return {**point.values, **zeros}

    def by_steps(self, point: Point, column: tuple[int, ...]) -> dict[str, Any]:
        """The derivatives of all steps, by differences of what index form says of them."""
        sizes = open_sizes(self.way.program, point.sizes)

        def run(values: Mapping[str, Any], digits: int, stops: dict[Any, Any]) -> dict[str, Any]:
            given = {**self.still(point), **values}
            made = interpreter.run(self.steps, self.subject.lookup, given, sizes, precision=digits, stops=stops)
            return {self.moved[name]: made[name].to_nested() for name in self.moved}

        return self.difference(run, point, column)

    def by_entry(self, point: Point, column: tuple[int, ...]) -> Places:
        """The derivatives of the outputs, by differences of the entry as written."""
        sizes = open_sizes(self.way.program, point.sizes)

        def run(values: Mapping[str, Any], digits: int, stops: dict[Any, Any]) -> dict[str, Any]:
            made = interpreter.run(
                self.subject.entry, self.subject.lookup, values, sizes, precision=digits, stops=stops
            )
            return {public: made[public].to_nested() for public, _ in self.way.program.returns}

        return {name: elements(value) for name, value in self.difference(run, point, column).items()}

    def difference(self, run: Run, point: Point, column: tuple[int, ...]) -> dict[str, Any]:
        """Central differences with more than twice the digits, which keeps all of them."""
        digits = self.accuracy.digits
        stops: dict[Any, Any] = {}
        with mpmath.workdps(2 * digits + 20):
            run(point.values, 2 * digits + 20, stops)
            width = mpmath.mpf(10) ** -digits
            ends = []
            for step in (width, -width):
                values = {**point.values, self.symbol: moved(point.values[self.symbol], {column: 1}, step)}
                ends.append(run(values, 2 * digits + 20, stops))
            return {name: _slope(high, ends[1][name], 2 * width) for name, high in ends[0].items()}


def _slope(high: Any, low: Any, width: Any) -> Any:
    if isinstance(high, list):
        return [_slope(a, b, width) for a, b in zip(high, low, strict=True)]
    return (high - low) / width


# Words for one of several results, which the language gives together.
_RESULTS = {word: (row, n) for row in MATRIX_FUNCTIONS.values() for n, word in enumerate(row.words)}
_INTERNAL = "an error of eqkb itself: the derivation does not hold"


def _failed(chain: Chain, n: int, what: str) -> CheckFailed:
    rule = chain.rows[n].rule
    return CheckFailed(f"{_INTERNAL} at '{rule}', {str(chain.left)[:60]} = {str(chain.rows[n].shown)[:80]}: {what}")


def _size(size: Poly, point: Point) -> int:
    return int(size.evaluate(lambda a: point.sizes[str(a)]))


__all__ = ["Checked", "check"]
