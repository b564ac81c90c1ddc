"""Long sweeps: every run takes a sample of them, ``-m slow`` takes the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], kept: int | Callable[[Any], bool]) -> list[Any]:
    """The cases, those marked slow that are not ``kept``; a number keeps the first of each so many."""
    made = []
    for n, case in enumerate(cases):
        quick = n % kept == 0 if isinstance(kept, int) else kept(case)
        values = case if isinstance(case, tuple) else (case,)
        made.append(pytest.param(*values, marks=[] if quick else [pytest.mark.slow]))
    return made
