"""Where eigenvalues or singular values are nearly equal, derivatives of the vectors lose their digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import mpmath

from kb.calculus.evaluate import Elements, Evaluation
from kb.calculus.primitives import with_companions
from kb.index.program import ArrayStep, Program

DIGITS = 15


class Spectra:
    """The eigenvalues and singular values that a program's values or derivatives come from."""

    def __init__(self, program: Program) -> None:
        complete = with_companions(program)
        self.steps = [s for s in complete.steps if isinstance(s, ArrayStep) and _is_spectrum(s)]
        self.program = replace(complete, steps=complete.needed({s.name for s in self.steps}))

    def fit(self, sizes: Mapping[str, int]) -> bool:
        """Whether all matrices that are decomposed have at least as many rows as columns."""
        for step in self.steps:
            rows, columns = (s.evaluate(lambda a: sizes[str(a)]) for s in self.program.shape(step.argument)[-2:])
            if rows < columns:
                return False
        return True

    def are_crowded(self, values: Mapping[str, Elements], sizes: Mapping[str, int], margin: Any) -> bool:
        """Whether two of a matrix are nearer than ``margin`` times the largest, or a singular value is so small."""
        if not self.steps:
            return False
        with mpmath.workdps(DIGITS):
            found = Evaluation(self.program, values, sizes).run()
        return any(_is_crowded(row, margin, step) for step in self.steps for row in _rows(found[step.name]))


def _is_spectrum(step: ArrayStep) -> bool:
    return (step.operation, step.output) in (("eigh", 0), ("svd", 1))


def _rows(array: Elements) -> list[list[Any]]:
    """The values along the last axis, for each of the leading ones."""
    rows: dict[tuple[int, ...], list[Any]] = {}
    for place, value in array.items():
        rows.setdefault(place[:-1], []).append(value)
    return list(rows.values())


def _is_crowded(row: list[Any], margin: Any, step: ArrayStep) -> bool:
    near = sorted([*row, 0] if step.operation == "svd" else row)
    return any(abs(a - b) < margin * max(map(abs, row)) for a, b in pairwise(near))
