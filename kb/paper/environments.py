"""amsmath's environments around rows, of which each statement has one or several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kb.printing.breaking import Row, aligned, flat, row_latex
from kb.printing.escape import escape_tex

if TYPE_CHECKING:
    from kb.derivation import Derivation, DerivationStep

Rows = Sequence[Sequence[Row]]  # by statement
_END = " \\\\\n"


def display(rows: Rows) -> str:
    """A display without a number."""
    return f"\\[\n{aligned(flat(rows))}\n\\]"


def equation(rows: Rows, label: str | None) -> str:
    """One number for all statements."""
    mark = f"\\label{{{label}}}" if label is not None else ""
    return f"\\begin{{equation}}{mark}\n{aligned(flat(rows))}\n\\end{{equation}}"


def align(rows: Rows, label: str | None) -> str:
    """A number for each statement, beside its last row."""
    labels = numbered(rows, "align", label) or ("",) * len(rows)
    lines: list[str] = []
    for statement, name in zip(rows, labels, strict=True):
        *above, last = map(row_latex, statement)
        lines += [rf"{row} \nonumber" for row in above]
        lines.append(rf"{last} \label{{{name}}}" if name else last)
    return f"\\begin{{align}}\n{_END.join(lines)}\n\\end{{align}}"


def numbered(rows: Rows, environment: str, label: str | None) -> tuple[str, ...]:
    """The labels: the given one for the first number, ``LABEL-2`` and so on for those that follow."""
    if label is None:
        return ()
    others = range(2, len(rows) + 1) if environment == "align" else ()
    return (label, *(f"{label}-{n}" for n in others))


def derivation_align(derivation: Derivation) -> str:
    """The steps without numbers, each with its rule at the margin, which TeX sets below a row that is too wide."""
    lines = [line for step in derivation.steps for line in _step_lines(step)]
    return f"\\begin{{align*}}\n{_END.join(lines)}\n\\end{{align*}}"


def _step_lines(step: DerivationStep) -> Iterator[str]:
    because = ", ".join(f"${claim}$" for claim in step.because_latex)
    remark = f"{escape_tex(step.rule)}: {because}" if because else escape_tex(step.rule)
    for n, statement in enumerate(step.statements):
        *above, last = map(row_latex, statement.rows)
        yield from above
        yield rf"{last} \tag*{{{remark}}}" if n == 0 else last
