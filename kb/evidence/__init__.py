"""Evidence that an equation, its derivatives, its code and its claims are right.

``check`` gathers it, ``store`` keeps it and ``stored`` gives it back while it still holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kb.evidence.record import QUESTIONS, Check, Evidence
from kb.evidence.verdict import VERDICTS, Verdict, overall

__all__ = ["QUESTIONS", "VERDICTS", "Check", "Evidence", "Verdict", "check", "overall", "store", "stored"]


def check(equation: Any, *, seed: int = 0, progress: Callable[[str], None] | None = None) -> Evidence:
    """Gather the evidence for an equation. The same seed tries the same points."""
    from kb.evidence.gather import gather

    return gather(equation, equation.source.programs, seed, progress)


def stored(equation: Any) -> Evidence | None:
    """What an earlier check found; None where there is none or where anything has changed since."""
    from kb.evidence.kept import read

    return read(equation.entry, equation.source.programs.entries)


def store(equation: Any, evidence: Evidence) -> None:
    """Keep what was found, for ``stored``."""
    from kb.evidence.kept import write

    if evidence.entry == equation.entry.id:
        write(evidence)
