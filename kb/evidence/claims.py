"""Question 3: do the claims hold? By their normal form where that settles them, by numbers always.

The numbers come from the reference interpreter, which reads the claim as it is written.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import mpmath

from kb import interpreter, tree
from kb.calculus.claims import ClaimForm, elaborate_claim, is_trivial, prove
from kb.errors import EqkbError, LanguageError
from kb.evidence.derivatives import Accuracy, Tally
from kb.evidence.record import Check, Question
from kb.evidence.sampling import NoSample, Point, Sizes
from kb.evidence.subject import Subject, open_sizes
from kb.index.affine import Index
from kb.model import NamedClaim
from kb.parser import parse_statement

QUESTION: Question = "claims"
EXACT = Accuracy(30, mpmath.mpf(0), 1e-20)
QUADRATURE = Accuracy(22, mpmath.mpf(0), 1e-12)
MOST_POINTS, FEWEST_POINTS = 64, 8
BUDGET = 12.0
# A claim with more elements than this at a point is tried at some of them.
MOST_ROWS, SOME_ROWS = 400, 60


def check_claims(subject: Subject) -> Iterator[Check]:
    """One check for each claim of the entry."""
    for claim in subject.entry.claims:
        yield check_claim(subject, claim)


def check_claim(subject: Subject, named: NamedClaim) -> Check:
    """Whether a claim holds or, where the catalogue says that it does not, whether a point shows that."""
    try:
        claim = parse_statement(named.text)
        form = elaborate_claim(subject.elaborated, named.text, subject.programs, subject.programs.entries)
        if not isinstance(claim, tree.Claim):
            raise LanguageError("a claim compares two sides; a step stands under 'define'")
        if is_trivial(form, subject.entry.kind == "identity"):
            raise LanguageError("identical sides of an identity; compute them by different routes")
        proven = prove(form)
        accuracy = QUADRATURE if _has_integral(subject, claim) else EXACT
        tally = _numbers(subject, claim, form, accuracy, bool(proven))
    except NoSample as error:
        return Check(QUESTION, named.name, "unknown", note=str(error))
    except EqkbError as error:
        return Check(QUESTION, named.name, "refuted", note=str(error))
    check = tally.check(QUESTION, named.name, accuracy.digits, "proven from the definition" if proven else "")
    return _expected_to_fail(check) if named.refuted else check


def _expected_to_fail(check: Check) -> Check:
    """A claim that is listed as false must be false; the point that shows it stays."""
    if check.verdict == "refuted":
        note = "false, as the catalogue says"
        return replace(check, verdict="verified", max_error=None, note=note)
    note = "the catalogue says that this is false, but it holds at every point that was tried"
    return Check(
        QUESTION, check.name, "refuted", check.points, check.precision, check.sizes, check.max_error, note=note
    )


def _numbers(subject: Subject, claim: tree.Claim, form: ClaimForm, accuracy: Accuracy, proven: bool) -> Tally:
    """Points over all sizes; a few are enough where the normal form has settled the claim."""
    sampler = subject.sampler("claims")
    assignments = _suitable(subject, form)
    cost = sum(_cost(subject, claim, form, sizes) for sizes in assignments) / len(assignments)
    most = FEWEST_POINTS if proven else MOST_POINTS
    count = 3 - proven if accuracy is QUADRATURE else int(min(most, max(FEWEST_POINTS, BUDGET / cost)))
    streams = [sampler.points(sizes) for sizes in assignments]
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/elements/{claim}")
    tally = Tally()
    for n in range(1 if sampler.is_constant else count):
        point = next(streams[n % len(streams)])
        if not _at(subject, claim, point, accuracy, generator, tally):
            break
    if not tally.points:
        raise NoSample("the claim speaks of no element at any of the sizes that were tried")
    return tally


def _at(
    subject: Subject, claim: tree.Claim, point: Point, accuracy: Accuracy, generator: random.Random, tally: Tally
) -> bool:
    """Compare the sides at a point; whether to go on."""
    sizes = open_sizes(subject.program, point.sizes)
    rows = interpreter.claim_sides(
        subject.entry,
        subject.lookup,
        point.values,
        sizes,
        claim,
        precision=accuracy.digits,
        choose=lambda ranges: _chosen(ranges, generator),
    )
    if not rows:
        return True
    tally.at(point)
    with mpmath.workdps(accuracy.digits):
        for indices, left, right in rows:
            _compare(claim.relation, left, right, accuracy.tolerance, _place(indices), point, tally)
    return not tally.failure


def _place(indices: Mapping[str, int]) -> str:
    """Which element is compared; axes of whole arrays have no names of their own."""
    if indices and all(name.startswith("axis") for name in indices):
        return f"at element [{', '.join(map(str, indices.values()))}]"
    place = ", ".join(f"{name} = {value}" for name, value in indices.items())
    return f"at {place}" if place else "sides"


def _chosen(ranges: Sequence[range], generator: random.Random) -> Iterable[tuple[int, ...]]:
    """All values of the free indices or, where they are very many, some."""
    if prod(map(len, ranges)) <= MOST_ROWS:
        return product(*ranges)
    return sorted({tuple(map(generator.choice, ranges)) for _ in range(SOME_ROWS)})


def _compare(relation: str, left: Any, right: Any, tolerance: float, what: str, point: Point, tally: Tally) -> None:
    if relation == "==":
        tally.compare(left, right, right, tolerance, what, point)
        return
    above, below = (left, right) if relation == ">=" else (right, left)
    if not above - below >= -tolerance * max(1, abs(below)):
        tally.refute(f"{what}: {mpmath.nstr(left, 12)} {relation} {mpmath.nstr(right, 12)} is false", point)


def _has_integral(subject: Subject, claim: tree.Claim) -> bool:
    """Whether the claim or what it speaks of takes quadrature."""
    return subject.has_integrals or any(
        isinstance(n, tree.Call) and n.function in ("integral", "E") for n in tree.walk(claim)
    )


def _suitable(subject: Subject, form: ClaimForm) -> list[Sizes]:
    """Assignments of sizes, without those at which the claim compares very large arrays.

    One at least has no size of 1, where an entry has such: there a claim may hold for want of other elements.
    """
    assignments = subject.sizes()
    kept = [sizes for sizes in assignments if _array_rows(form, sizes) <= MOST_ROWS]
    if not any(map(subject.is_full, kept)):
        kept[:0] = [sizes for sizes in [subject.smallest_full] if sizes is not None and sizes not in kept]
    return kept or [min(assignments, key=lambda sizes: _array_rows(form, sizes))]


def _array_rows(form: ClaimForm, sizes: Sizes) -> int:
    """How many elements the claim compares at once; the others are those of its free indices."""
    named = tree.names(form.claim)
    return _extent((i for i in form.free if i.name not in named), sizes)


def _extent(indices: Iterable[Index], sizes: Sizes) -> int:
    return prod(max(0, i.extent.evaluate(lambda a: sizes.get(str(a), 1))) for i in indices)


def _cost(subject: Subject, claim: tree.Claim, form: ClaimForm, sizes: Sizes) -> float:
    """Evaluations of the entry times the work of one, the derivatives' columns included."""
    derivatives = sum(isinstance(n, tree.Call) and n.function in ("d", "vjp") for n in tree.walk(claim))
    rows = _extent(form.free, sizes)
    if rows > MOST_ROWS and _array_rows(form, sizes) == 1:
        rows = SOME_ROWS
    return max(0.02, subject.cost(sizes) * (1 + 2 * derivatives * min(rows, 60)) + rows / 100)
