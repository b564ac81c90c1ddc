"""All checks of one equation, in the order of the questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from kb.errors import EqkbError
from kb.evidence.claims import check_claims
from kb.evidence.code import Codes, check_code
from kb.evidence.derivatives import check_derivatives
from kb.evidence.kept import key_of, library_versions
from kb.evidence.record import QUESTIONS, Check, Evidence, Question
from kb.evidence.subject import ProgramSource, Subject
from kb.index.program import Program
from kb.model import Entry


class Checkable(Codes, Protocol):
    """An equation: an entry, its program and its code."""

    @property
    def entry(self) -> Entry:
        """The record."""

    @property
    def program(self) -> Program:
        """The index form."""


def gather(
    equation: Checkable,
    programs: ProgramSource,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Evidence:
    """Check an equation. ``progress`` is told the name of each check when it is done."""
    entry = equation.entry
    checks: list[Check] = []
    for check in all_checks(Subject(entry, equation.program, programs, seed), equation):
        checks.append(check)
        if progress is not None:
            progress(f"{entry.id}: {check.name}")
    return Evidence(entry.id, tuple(checks), seed, library_versions(), key_of(entry, programs.entries))


def all_checks(subject: Subject, codes: Codes) -> Iterator[Check]:
    """The four questions, one after the other."""
    questions: dict[Question, Callable[[], Iterator[Check]]] = {
        "derivatives": lambda: check_derivatives(subject),
        "code": lambda: check_code(subject, codes),
        "claims": lambda: check_claims(subject),
    }
    for question, checks in questions.items():
        try:
            yield from (_with_remark(subject, check) for check in checks())
        except EqkbError as error:
            yield Check(question, QUESTIONS[question], "unknown", note=str(error))
    yield from _independent(subject.entry.frameworks)


def _with_remark(subject: Subject, check: Check) -> Check:
    """Say where only sizes were tried at which an axis has but one element, so that other elements had no say."""
    if not check.sizes or any(subject.is_full(dict(sizes)) for sizes in check.sizes):
        return check
    remark = "tried only where an axis has a single element"
    return replace(check, note=f"{check.note}; {remark}" if check.note else remark)


def _independent(frameworks: tuple[tuple[str, str], ...]) -> Iterator[Check]:
    """Other implementations are named only: they are no run-time dependencies."""
    if frameworks:
        named = ", ".join(target for _, target in frameworks)
        yield Check("independent", named, "not checked", note="other libraries are not run here")
