"""Question 1: is the symbolic derivative the derivative of the definition?

The definition is evaluated by the reference interpreter and differenced along random directions;
the extrapolated difference must agree with the JVP and the VJP in index form to most digits, and
its error must fall at the order of the method. The partial derivatives are held against the VJP.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mpmath

from kb.calculus.evaluate import Elements, Evaluation, elements
from kb.calculus.forward import partial, with_slopes
from kb.calculus.primitives import with_companions
from kb.errors import EqkbError, NotDifferentiable
from kb.evidence.record import Check, Question
from kb.evidence.sampling import NoSample, Point, Sizes
from kb.evidence.subject import Places, Subject, inner, moved
from kb.evidence.verdict import Verdict

QUESTION: Question = "derivatives"
MOST_POINTS, FEWEST_POINTS = 64, 8
BUDGET = 12.0
LEAST_ORDER = 1.8
ROWS, COLUMNS = 2, 24


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Digits to work with, the width of differences, and the error that is allowed."""

    digits: int
    width: Any
    tolerance: float


EXACT = Accuracy(45, mpmath.mpf(2) ** -33, 1e-25)
QUADRATURE = Accuracy(22, mpmath.mpf(2) ** -13, 1e-12)


@dataclass
class Tally:
    """The worst that was seen over all points."""

    points: int = 0
    error: float = 0.0
    order: float | None = None
    sizes: list[Sizes] = field(default_factory=list)
    counterexample: dict[str, Any] | None = None
    failure: str = ""
    remarks: list[str] = field(default_factory=list)

    def at(self, point: Point) -> None:
        """Count a point."""
        self.points += 1
        if point.sizes and point.sizes not in self.sizes:
            self.sizes.append(point.sizes)

    def compare(self, left: Any, right: Any, scale: Any, tolerance: float, what: str, point: Point) -> None:
        """Note the error of ``left`` against ``right``, relative to ``scale``; too large a one refutes."""
        error = abs(left - right) / max(1, abs(scale))
        sound = bool(mpmath.isfinite(error))
        self.error = max(self.error, float(error)) if sound else self.error
        if not sound or error > tolerance:
            self.refute(f"{what}: {_short(left)} against {_short(right)}", point)

    def refute(self, why: str, point: Point) -> None:
        """Keep the first counter-example."""
        if not self.failure:
            self.failure = why
            self.counterexample = {"sizes": dict(point.sizes), "values": point.as_json(), "found": why}

    def check(self, question: Question, name: str, digits: int, note: str = "") -> Check:
        """The record; no points at all is a failure."""
        verdict: Verdict = "refuted" if self.failure else "verified" if self.points else "unknown"
        return Check(
            question,
            name,
            verdict,
            self.points,
            digits,
            tuple(self.sizes),
            self.error if self.points else None,
            self.order,
            self.counterexample,
            "; ".join([note, *self.remarks] if note else self.remarks) if self.points else note or "no point was tried",
        )


def check_derivatives(subject: Subject) -> Iterator[Check]:
    """The checks of question 1: the definition itself, its derivatives along directions, its partial derivatives."""
    names, refused = subject.differentiable
    for name, why in refused.items():
        if name in subject.entry.differentiate:
            yield Check(QUESTION, f"derivative by {name}", "refuted", note=why)
    for check in (check_definition, check_directions, check_partials) if names else (check_definition,):
        try:
            yield check(subject)
        except NoSample as error:
            yield Check(QUESTION, "domain", "unknown", note=str(error))
            return


def _accuracy(subject: Subject) -> Accuracy:
    return QUADRATURE if subject.has_integrals else EXACT


def _points(subject: Subject, salt: str, share: float = 1.0) -> list[Point]:
    """Points over all assignments of sizes in turn, fewer where they are costly."""
    sampler = subject.sampler(salt)
    assignments = subject.sizes()
    streams = [sampler.points(sizes) for sizes in assignments]
    cost = sum(max(subject.cost(sizes), 0.05) for sizes in assignments) / len(assignments)
    # Quadrature takes long: as many points as symbols, each moved alone, and one at which all of them move.
    fewest = min(FEWEST_POINTS, max(4, 1 + len(subject.differentiable[0]))) if subject.has_integrals else FEWEST_POINTS
    count = int(min(MOST_POINTS, max(fewest * share, share * BUDGET / cost)))
    return [next(streams[n % len(streams)]) for n in range(1 if sampler.is_constant else count)]


def check_definition(subject: Subject) -> Check:
    """Index form gives the same values as the interpreter."""
    tally, accuracy = Tally(), _accuracy(subject)
    with mpmath.workdps(accuracy.digits):
        _values(subject, accuracy, tally)
    return tally.check(QUESTION, "index form against the definition", accuracy.digits)


def _values(subject: Subject, accuracy: Accuracy, tally: Tally) -> None:
    for point in _points(subject, "definition", 0.5):
        tally.at(point)
        try:
            wanted = subject.reference(point, accuracy.digits)
            found = subject.evaluate(subject.program, point)
        except (EqkbError, ZeroDivisionError, ValueError, KeyError) as error:
            tally.refute(f"no value: {error}", point)
            break
        for public, held in subject.outputs:
            if found[held].keys() != wanted[public].keys():
                tally.refute(f"{public} has another shape", point)
            scale = max((abs(x) for x in wanted[public].values()), default=1)
            for at, value in found[held].items():
                tally.compare(value, wanted[public].get(at, 0), scale, accuracy.tolerance, f"{public}{list(at)}", point)


# --- along directions ----------------------------------------------------------------------------


def check_directions(subject: Subject) -> Check:
    """JVP and VJP give what differences of the definition approach, along random directions."""
    tally, accuracy = Tally(), _accuracy(subject)
    with mpmath.workdps(accuracy.digits):
        _differences(subject, accuracy, tally)
    held = ", ".join(sorted(subject.selecting))
    note = f"{held} is not moved: conditions select by its values" if held else ""
    return tally.check(QUESTION, "VJP and JVP against differences of the definition", accuracy.digits, note)


def _differences(subject: Subject, accuracy: Accuracy, tally: Tally) -> None:
    names = [name for name in subject.differentiable[0] if name not in subject.selecting]
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/directions")
    for n, point in enumerate(_points(subject, "derivatives")):
        tally.at(point)
        # First every symbol alone, then all of them at once.
        chosen = [names[n]] if n < len(names) else names
        direction = {name: _random(generator, elements(point.values[name])) for name in chosen}
        try:
            _along(subject, point, direction, generator, accuracy, tally)
        except (EqkbError, ZeroDivisionError, ValueError, KeyError) as error:
            tally.refute(f"no derivative: {error}", point)
        if tally.failure:
            break


def _along(
    subject: Subject, point: Point, direction: Places, generator: random.Random, accuracy: Accuracy, tally: Tally
) -> None:
    """One point, one direction: differences, JVP and VJP must agree."""
    stops: dict[Any, Any] = {}
    base = subject.reference(point, accuracy.digits, stops)
    cotangent = {public: _random(generator, array) for public, array in base.items()}
    wide, narrow = (
        _difference(subject, point, direction, cotangent, w, accuracy, stops)
        for w in (accuracy.width, accuracy.width / 2)
    )
    extrapolated = (4 * narrow - wide) / 3
    forward, backward = subject.forward, subject.backward
    zero: Places = {name: {} for name in forward.tangents if name not in direction}
    tangents = {forward.tangents[name]: array for name, array in {**zero, **direction}.items()}
    tangent = subject.evaluate(forward.program, point, tangents)
    pushed = inner(cotangent, {p: tangent[held] for p, held in forward.results.items() if held is not None})
    pulled = inner(direction, gradients(subject, point, cotangent))
    scale = max(abs(extrapolated), mpmath.sqrt(inner(cotangent, cotangent) * inner(base, base)))
    tally.compare(pushed, pulled, scale, accuracy.tolerance, "JVP against VJP", point)
    tally.compare(pushed, extrapolated, scale, accuracy.tolerance, "JVP against differences", point)
    tally.compare(pulled, extrapolated, scale, accuracy.tolerance, "VJP against differences", point)
    order = _order(abs(wide - pulled), abs(narrow - pulled), scale, accuracy)
    if order is not None:
        tally.order = order if tally.order is None else min(tally.order, order)
        if order < LEAST_ORDER:
            tally.refute(f"differences approach the derivative at order {order:.2f} instead of 2", point)
    assert backward.gradients.keys() >= direction.keys()


def gradients(subject: Subject, point: Point, cotangent: Places, stops: dict[Any, Any] | None = None) -> Places:
    """What the VJP gives for a cotangent; symbols that nothing depends on are left out."""
    backward = subject.backward
    given = {backward.cotangents[public]: array for public, array in cotangent.items()}
    values = subject.evaluate(backward.program, point, given, stops)
    return {name: values[held] for name, held in backward.gradients.items() if held is not None}


def _difference(
    subject: Subject, point: Point, direction: Places, cotangent: Places, width: Any, accuracy: Accuracy, stops: Any
) -> Any:
    """The central difference of the weighted outputs along a direction."""
    sides = []
    for step in (width, -width):
        values = {**point.values, **{n: moved(point.values[n], d, step) for n, d in direction.items()}}
        sides.append(subject.reference(Point(values, point.sizes), accuracy.digits, stops))
    return (inner(cotangent, sides[0]) - inner(cotangent, sides[1])) / (2 * width)


def _order(wide: Any, narrow: Any, scale: Any, accuracy: Accuracy) -> float | None:
    """The order at which halving the width makes the error fall; None where it is too small to tell."""
    noise = mpmath.mpf(10) ** (8 - accuracy.digits) / accuracy.width * max(1, scale)
    if wide < noise or narrow == 0:
        return None
    return float(mpmath.log(wide / narrow, 2))


def _random(generator: random.Random, like: Elements) -> Elements:
    return {at: mpmath.mpf(generator.randint(-64, 64)) / 64 for at in like}


# --- partial derivatives -------------------------------------------------------------------------


def check_partials(subject: Subject) -> Check:
    """Elements of the partial derivatives against rows of the VJP."""
    tally, accuracy = Tally(), _accuracy(subject)
    with mpmath.workdps(accuracy.digits):
        _elements(subject, accuracy, subject.differentiable[0], tally)
    return tally.check(QUESTION, "partial derivatives against the VJP", accuracy.digits)


def _elements(subject: Subject, accuracy: Accuracy, names: list[str], tally: Tally) -> None:
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/partials")
    complete = with_companions(subject.program)
    for point in subject.some_points("partials", 2):
        tally.at(point)
        values = subject.evaluate(complete, point)
        known = {name: _with_slopes(subject, name, values, point) for name in names}
        for public, held in subject.outputs:
            rows = sorted(values[held])
            for row in generator.sample(rows, min(ROWS, len(rows))):
                cotangent = {p: {row: mpmath.mpf(1)} if p == public else {} for p, _ in subject.outputs}
                wanted = gradients(subject, point, cotangent)
                for name in names:
                    _row(
                        subject, (held, row, name), known[name], wanted.get(name, {}), point, generator, accuracy, tally
                    )


def _with_slopes(subject: Subject, name: str, values: Places, point: Point) -> Places:
    """The values that partial derivatives by a name read: also those of recurrences, and where these start."""
    program, slopes = with_slopes(subject.program, name, strict=False)
    if not slopes:
        return values
    evaluation = subject.evaluation(program, point)
    evaluation.run()
    return evaluation.values


def _row(
    subject: Subject,
    what: tuple[str, tuple[int, ...], str],
    values: Places,
    wanted: Elements,
    point: Point,
    generator: random.Random,
    accuracy: Accuracy,
    tally: Tally,
) -> None:
    """Some elements of one row of a partial derivative."""
    held, row, name = what
    columns = sorted(elements(point.values[name]))
    chosen = set(generator.sample(columns, min(COLUMNS, len(columns))))
    evaluation = Evaluation(subject.program, values, point.sizes)
    found: Elements = {at: mpmath.mpf(0) for at in chosen}
    try:
        parts = partial(subject.program, held, name)
    except NotDifferentiable as error:
        tally.refute(f"no partial derivative by {name}: {error}", point)
        return
    for part in parts:
        for place in evaluation.places(part.free, {}):
            if tuple(evaluation.number(p, place) for p in part.target) != row:
                continue
            for at in chosen:
                inside = {**place, **dict(zip(part.wrt, at, strict=True))}
                found[at] += evaluation.value(part.expr, inside)
    for at, value in found.items():
        label = f"d {held}{list(row)} / d {name}{list(at)}"
        tally.compare(value, wanted.get(at, 0), value, accuracy.tolerance, label, point)


def _short(value: Any) -> str:
    return str(mpmath.nstr(value, 12))
