"""Every line of a derivation is evaluated by the reference interpreter and held against the line before.

The derivative that a chain begins with is a difference of the steps; that of an output is moreover
differenced from the entry as it was written, which shares nothing with index form.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import mpmath

from kb import interpreter, tree
from kb.derivation.chains import Chain, Way
from kb.derivation.plainly import spelled_out
from kb.errors import CheckFailed, EqkbError
from kb.evidence.sampling import Point, Sampler, Sizes
from kb.evidence.subject import Subject, moved, open_sizes, step_cost
from kb.index.affine import Poly
from kb.model import Entry
from kb.programs import Programs

MOST_POINTS, FEWEST_POINTS = 12, 2
PLACES = 4
# Thousands of operations that all points together may take, but for the fewest.
BUDGET = 12.0


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


class _Check:
    def __init__(self, subject: Subject, way: Way, symbol: str) -> None:
        self.subject = subject
        self.way = way
        self.symbol = symbol
        self.accuracy = QUADRATURE if subject.has_integrals else EXACT
        self.random = random.Random(f"{subject.entry.id}/{symbol}/derivation")
        self.found = Checked()

    @cached_property
    def steps(self) -> Entry:
        """The entry with every step of index form spelled out."""
        return spelled_out(self.subject.entry, self.way.program)

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
        """What one point takes: each line runs the steps several times. The same on every machine."""
        once = sum(step_cost(s, self.way.program, sizes) for s in self.way.program.steps)
        lines = sum(1 + len(chain.rows) for chain in self.way.chains)
        return max(once * lines / 1000, 1e-3)

    def at(self, point: Point) -> None:
        """One point of the domain."""
        for chain in self.way.chains:
            places = self.places(chain, point)
            if places:
                self.chain(chain, places, point)
        for statement in self.way.definitions:
            self.definition(statement, point)

    # --- lines --------------------------------------------------------------------------------------

    def chain(self, chain: Chain, places: Sequence[Mapping[str, int]], point: Point) -> None:
        nodes = [chain.left, *(row.value for row in chain.rows)]
        sizes = open_sizes(self.way.program, point.sizes)
        try:
            rows = interpreter.evaluate_at(
                nodes, self.steps, self.subject.lookup, point.values, sizes, places, precision=self.accuracy.digits
            )
        except EqkbError as error:
            raise _failed(chain, 0, f"it has no value: {error}") from None
        for place, (start, *values) in zip(places, rows, strict=True):
            if chain.is_result:
                self.compare(self.slope(chain, place, point), start, chain, 0, "the entry's own difference")
            before = start
            for n, value in enumerate(values):
                self.compare(before, value, chain, n, "the line before")
                before = value

    def definition(self, statement: tree.Step, point: Point) -> None:
        """A step as shown has the values of the step as it was differentiated."""
        (target,) = statement.targets
        claim = tree.Claim(target, "==", statement.value)
        sizes = open_sizes(self.way.program, point.sizes)
        rows = interpreter.claim_sides(
            self.steps, self.subject.lookup, point.values, sizes, claim, precision=self.accuracy.digits
        )
        for _, left, right in rows:
            self.compare(left, right, None, 0, str(statement))

    def compare(self, left: Any, right: Any, chain: Chain | None, n: int, what: str) -> None:
        error = abs(left - right) / max(1, abs(left))
        self.found.numbers += 1
        if not mpmath.isfinite(error) or error > self.accuracy.tolerance:
            shown = f"{mpmath.nstr(right, 12)} against {mpmath.nstr(left, 12)} of {what}"
            raise _failed(chain, n, shown) if chain is not None else CheckFailed(f"{_INTERNAL}: {shown}")
        self.found.difference = max(self.found.difference, float(error))

    # --- points -------------------------------------------------------------------------------------

    def places(self, chain: Chain, point: Point) -> list[dict[str, int]]:
        """Some values of the indices; equal ones among them, where deltas are 1."""
        sizes = {index: _size(index.extent, point) for index in chain.letters}
        if any(size < 1 for size in sizes.values()):
            return []
        found: list[dict[str, int]] = []
        for n in range(PLACES if sizes else 1):
            same: dict[int, int] = {}
            place: dict[str, int] = {}
            for index, letter in chain.letters.items():
                drawn = self.random.randrange(sizes[index])
                place[letter] = same.setdefault(sizes[index], drawn) if n % 2 == 0 else drawn
            if place not in found:
                found.append(place)
        return found

    def slope(self, chain: Chain, place: Mapping[str, int], point: Point) -> Any:
        """The difference of the output of the entry as written."""
        digits = self.accuracy.digits
        letters: dict[Any, int] = {index: place[letter] for index, letter in chain.letters.items()}
        column = tuple(letters[i] for i in chain.wrt)
        target = tuple(p.evaluate(lambda a: letters[a] if a in letters else point.sizes[str(a)]) for p in chain.target)
        public = next(name for name, held in self.way.program.returns if held == chain.held)
        stops: dict[Any, Any] = {}
        self.subject.reference(point, 2 * digits, stops)
        with mpmath.workdps(2 * digits + 20):
            width = mpmath.mpf(10) ** -digits
            ends = []
            for step in (width, -width):
                values = {**point.values, self.symbol: moved(point.values[self.symbol], {column: 1}, step)}
                run = self.subject.reference(Point(values, point.sizes), 2 * digits + 20, stops)
                ends.append(run[public][target])
            return (ends[0] - ends[1]) / (2 * width)


_INTERNAL = "an error of eqkb itself: the derivation does not hold"


def _failed(chain: Chain, n: int, what: str) -> CheckFailed:
    rule = chain.rows[n].rule
    return CheckFailed(f"{_INTERNAL} at '{rule}', {str(chain.left)[:60]} = {str(chain.rows[n].shown)[:80]}: {what}")


def _size(size: Poly, point: Point) -> int:
    return int(size.evaluate(lambda a: point.sizes[str(a)]))


__all__ = ["Checked", "check"]
