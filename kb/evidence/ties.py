"""Where a function has kinks or ties, code must follow the convention that index form states.

Random points never lie there, so these points are drawn from small whole numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import mpmath

from kb.errors import EqkbError
from kb.evidence.derivatives import Tally, gradients
from kb.evidence.sampling import NoSample, Point, Sizes
from kb.evidence.subject import Subject
from kb.index.nodes import Bind, Cases, Fn, Pick, Several, Test, reads, walk
from kb.index.program import Step

ATTEMPTS = 40
_DOMAINS = ("real", "gaussian")


def has_ties(subject: Subject) -> bool:
    """Whether anything depends on which of two numbers is larger."""
    steps = [*subject.program.steps, *subject.backward.adjoint]
    return any(_is_tied(n) for s in steps if isinstance(s, Step) for n in walk(s.expr))


def _is_tied(node: Any) -> bool:
    if isinstance(node, (Several, Bind)):
        return node.op in ("max", "min")
    if isinstance(node, Fn):
        return node.name in ("abs", "sign")
    return isinstance(node, (Pick, Cases)) or (isinstance(node, Test) and any(True for _ in reads(node)))


def tied_points(subject: Subject, count: int) -> Iterator[Point]:
    """Points at which many elements are equal or 0, and at which values and gradients are finite."""
    sampler = subject.sampler("ties")
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/ties")
    assignments = subject.sizes()
    found = 0
    for attempt in range(ATTEMPTS):
        sizes: Sizes = assignments[attempt % len(assignments)]
        point = coarse(subject, next(sampler.points(sizes)), generator)
        if is_finite(subject, point):
            yield point
            found += 1
        if found == count:
            return
    if not found:
        raise NoSample("no point with ties has finite values")


def coarse(subject: Subject, point: Point, generator: random.Random) -> Point:
    """The point with every unrestricted number replaced by -1, 0 or 1."""
    values = dict(point.values)
    for tensor in subject.program.arguments:
        symbol = tensor.symbol
        if symbol is not None and symbol.kind == "real" and symbol.domain in _DOMAINS:
            values[symbol.name] = _mapped(values[symbol.name], lambda _: mpmath.mpf(generator.randint(-1, 1)))
    return Point(values, point.sizes)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    return [_mapped(v, change) for v in value] if isinstance(value, list) else change(value)


def is_finite(subject: Subject, point: Point) -> bool:
    """Whether index form has a value and a gradient there."""
    try:
        values = subject.evaluate(subject.program, point)
        ones = {public: dict.fromkeys(values[held], mpmath.mpf(1)) for public, held in subject.outputs}
        arrays = [values[held] for _, held in subject.outputs] + list(gradients(subject, point, ones).values())
    except (EqkbError, ArithmeticError, ValueError, KeyError):
        return False
    return all(mpmath.isfinite(x) for array in arrays for x in array.values())


Comparison = Callable[[Tally, Point], None]


def check_ties(subject: Subject, compare: Comparison, count: int = 9) -> Tally:
    """Compare code with index form at points with ties."""
    tally = Tally()
    for point in tied_points(subject, count):
        tally.at(point)
        compare(tally, point)
        if tally.failure:
            break
    return tally
