"""Evidence as frozen records that survive JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kb.evidence.verdict import VERDICTS, Verdict, overall

Question = Literal["derivatives", "code", "claims", "independent"]
QUESTIONS: dict[Question, str] = {
    "derivatives": "Is the symbolic derivative the derivative of the definition?",
    "code": "Does the generated code compute it?",
    "claims": "Do the claims hold?",
    "independent": "Does an independent implementation agree?",
}
_OPTIONAL = ("independent",)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked, and the numbers.

    ``points`` is how many points were tried and ``precision`` with how many decimal digits.
    ``max_error`` is the largest error, relative to the size of the values where they exceed 1;
    ``order`` the smallest order at which finite differences converged. ``counterexample`` is a
    point that refutes it; a claim that is listed as false is verified by one.
    """

    question: Question
    name: str
    verdict: Verdict
    points: int = 0
    precision: int = 0
    sizes: tuple[Mapping[str, int], ...] = ()
    max_error: float | None = None
    order: float | None = None
    counterexample: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def shown_counterexample(self) -> str:
        """The point that refutes it for a person, ``z = 1.5, alpha = 0.5: 1.5 against 1.74``; empty without one."""
        if self.counterexample is None:
            return ""
        point, found = counterexample_parts(self.counterexample)
        return ": ".join(filter(None, (", ".join(point), found.removeprefix("sides: "))))

    def text(self) -> str:
        """One line for a person."""
        parts = [_counted(self.points)] if self.points else []
        if self.precision:
            parts.append(f"{self.precision} digits")
        if self.max_error is not None:
            parts.append(_worst(self.max_error))
        if self.order is not None:
            parts.append(f"order {self.order:.1f}")
        if self.note:
            parts.append(self.note)
        return f"{self.name}: {self.verdict}" + (f" ({', '.join(parts)})" if parts else "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was checked about one entry, and with what."""

    entry: str
    checks: tuple[Check, ...]
    seed: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    key: str = ""

    @property
    def verdict(self) -> Verdict:
        """``verified`` only if every check that counts is."""
        optional = [c.verdict for c in self.checks if c.question in _OPTIONAL]
        return overall([c.verdict for c in self.checks if c.question not in _OPTIONAL], optional)

    @property
    def max_error(self) -> float | None:
        """The largest error of the checks with many digits; code is held against them at its own precision."""
        errors = [c.max_error for c in self.checks if c.max_error is not None and c.question != "code"]
        return max(errors, default=None)

    @property
    def counterexample(self) -> Mapping[str, Any] | None:
        """The first point that refutes anything."""
        refuted = [c.counterexample for c in self.checks if c.verdict == "refuted"]
        return next((found for found in refuted if found is not None), None)

    @property
    def points(self) -> int:
        """The most points that any check tried."""
        return max((c.points for c in self.checks), default=0)

    def about(self, question: Question) -> tuple[Check, ...]:
        """The checks that answer one question."""
        return tuple(c for c in self.checks if c.question == question)

    def text(self) -> str:
        """A few lines for a person: the verdict, then every check under its question."""
        lines = [f"{self.entry}: {self.verdict}"]
        for question, wording in QUESTIONS.items():
            checks = self.about(question)
            if checks:
                lines.append(f"  {wording}")
                lines += [f"    {check.text()}" for check in checks]
                lines += [f"      counter-example: {c.shown_counterexample}" for c in checks if c.counterexample]
        return "\n".join(lines)

    def summary(self) -> str:
        """One line, such as ``verified: 64 points, 40 digits, largest error 3e-31; code 2e-15``."""
        exact = [c for c in self.checks if c.question in ("derivatives", "claims") and c.points]
        code = [c.max_error for c in self.about("code") if c.max_error is not None]
        parts = []
        if exact:
            parts.append(f"{_counted(self.points)}, {max(c.precision for c in exact)} digits")
        if self.max_error is not None:
            parts[-1:] = [", ".join([*parts[-1:], _worst(self.max_error)])]
        if code:
            parts.append(f"code against interpreter {max(code):.0e}" if max(code) else "code against interpreter 0")
        return f"{self.verdict}: {'; '.join(parts)}" if parts else self.verdict

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What a notebook shows."""
        from kb.evidence.display import evidence_formats
        from kb.printing.mime import bundle

        return bundle(evidence_formats(self), include, exclude)

    def as_json(self) -> dict[str, Any]:
        """Plain data; ``from_json`` gives an equal record back."""
        return {
            "entry": self.entry,
            "verdict": self.verdict,
            "seed": self.seed,
            "versions": dict(self.versions),
            "key": self.key,
            "checks": [{**_fields(c), "sizes": [dict(s) for s in c.sizes]} for c in self.checks],
        }


def _fields(check: Check) -> dict[str, Any]:
    return {name: getattr(check, name) for name in Check.__slots__}


def counterexample_parts(found: Mapping[str, Any]) -> tuple[list[str], str]:
    """The point of a counter-example, value by value, and what was found there."""
    point = [f"{name} = {_shown(value)}" for name, value in found.get("values", {}).items()]
    return point, str(found.get("found", ""))


def _counted(points: int) -> str:
    return "1 point" if points == 1 else f"{points} points"


def _worst(error: float) -> str:
    return f"largest error {error:.0e}" if error else "no error"


def _shown(value: Any) -> str:
    """Numbers, also nested ones, with four digits."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def from_json(data: Any) -> Evidence:
    """The record that ``as_json`` wrote. Raises ValueError where the data is no such record."""
    try:
        checks = tuple(_check(c) for c in data["checks"])
        versions = {str(k): str(v) for k, v in data["versions"].items()}
        return Evidence(str(data["entry"]), checks, int(data["seed"]), versions, str(data["key"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a record of evidence: {error}") from error


def _check(data: Any) -> Check:
    if data["verdict"] not in VERDICTS or data["question"] not in QUESTIONS:
        raise ValueError(f"not a check: {data['verdict']!r} on {data['question']!r}")
    known = {name: data[name] for name in Check.__slots__}
    return Check(**{**known, "sizes": tuple(dict(s) for s in data["sizes"])})
