"""Derivations as text, LaTeX, Markdown and JSON."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kb.printing.escape import escape_markdown, escape_tex
from kb.printing.markdown import markdown_display

if TYPE_CHECKING:
    from kb.derivation import Derivation, DerivationStep

# Rules stand in a column of their own, beside the formulas that leave room for it.
_COLUMN = 60
_USUAL = 100
_INDENT = 10


def as_text(found: Derivation, width: int = _USUAL) -> str:
    """Formulas, the rules at their right; below them where a formula is long."""
    rows = [row for n, step in enumerate(found.steps, 1) for row in _text_rows(n, step)]
    widest = min(_COLUMN, width * _COLUMN // _USUAL)
    fitting = [_columns(formula) for formula, _ in rows if _columns(formula) <= widest]
    column = max(fitting, default=widest) + 3
    lines: list[str] = []
    for formula, rule in rows:
        *above, last = _wrapped(formula, width)
        lines += above
        at = max(column, _columns(last) + 3)
        if not rule:
            lines.append(last)
        elif at + _columns(rule) <= width:
            lines.append(last + " " * (at - _columns(last)) + rule)
        else:
            indent = max(_INDENT, min(column, width - _columns(rule)))
            lines += [last, *textwrap.wrap(rule, width, initial_indent=" " * indent, subsequent_indent=" " * indent)]
    return "\n".join([*lines, *textwrap.wrap(found.summary, width)])


def _text_rows(n: int, step: DerivationStep) -> Iterator[tuple[str, str]]:
    """Each formula with its number in front; the rule beside the first."""
    for k, statement in enumerate(step.statements):
        indent = "" if statement.left is not None else "  "
        label = f"{n:>2}  " if k == 0 else "    "
        yield f"{label}{indent}{statement.text}", _rule(step) if k == 0 else ""


def _wrapped(formula: str, width: int) -> list[str]:
    """A long formula on several lines, broken before a sign outside as many brackets as may be."""
    lines: list[str] = []
    while _columns(formula) > width:
        places = [
            (_depth(formula[:at]) + (0 if is_sign else 0.5), -at)
            for at in range(_INDENT + 1, len(formula))
            if (is_sign := formula[at - 1 : at + 2] in (" + ", " − ")) or formula[at : at + 2] in ("·(", "·Σ")
            if _columns(formula[:at]) <= width
        ]
        if not places:
            break
        at = -min(places)[1]
        lines.append(formula[:at].rstrip())
        formula = " " * _INDENT + formula[at:]
    return [*lines, formula]


def _depth(text: str) -> int:
    return sum(text.count(c) for c in "([{") - sum(text.count(c) for c in ")]}")


def _rule(step: DerivationStep) -> str:
    return f"{step.rule}: {', '.join(step.because)}" if step.because else step.rule


def _columns(shown: str) -> int:
    """Columns of a text: combining marks take none."""
    return sum(not unicodedata.combining(c) for c in shown)


def as_latex(found: Derivation) -> str:
    """One line for each formula, aligned at the sign; the rules are remarks."""
    rows: list[str] = []
    for step in found.steps:
        for k, statement in enumerate(step.statements):
            remark = rf" && \text{{{escape_tex(step.rule)}}}" if k == 0 else ""
            rows.append(f"{statement.left_latex} &= {statement.right_latex}{remark}".lstrip())
    body = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def as_markdown(found: Derivation) -> str:
    """Numbered paragraphs, since not every reader finds formulas in lists; the summary of the check at the end."""
    lines: list[str] = []
    for n, step in enumerate(found.steps, 1):
        lines += [rf"{n}\. {escape_markdown(_rule(step))}", "", markdown_display(step.latex), ""]
    summary = found.summary
    return "\n".join([*lines, f"{summary[0].upper()}{summary[1:]}."])


def as_json(found: Derivation) -> dict[str, Any]:
    """Keys that are stable: see ``eqkb derive --help``."""
    steps = [
        {
            "rule": step.rule,
            "continues": step.continues,
            "because": list(step.because),
            "statements": [
                {"source": s.source, "text": s.text, "latex": s.latex if s.left is not None else f"= {s.right_latex}"}
                for s in step.statements
            ],
            "text": step.text,
            "latex": step.latex,
        }
        for step in found.steps
    ]
    return {
        "id": found.entry,
        "wrt": found.symbol,
        "steps": steps,
        "points": found.points,
        "numbers": found.numbers,
        "difference": found.difference,
    }
