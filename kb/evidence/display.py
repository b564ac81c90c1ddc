"""Evidence as a notebook shows it: the verdict, and a table of the checks with their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kb.evidence.record import QUESTIONS, Check, Evidence
from kb.printing.escape import escape_html, escape_markdown, escape_tex
from kb.printing.mime import HTML, LATEX, MARKDOWN, PLAIN, markdown_table, paragraphs

_HEAD = ("check", "verdict", "points", "digits", "largest error", "order", "remarks")
_NUMBERS = (2, 3, 4, 5)  # columns


def evidence_formats(evidence: Evidence) -> dict[str, Callable[[], str]]:
    """There are no formulas in it, so that HTML shows it best."""
    return {
        HTML: lambda: "\n".join(_html(evidence)),
        LATEX: lambda: "\n".join(_latex(evidence)),
        MARKDOWN: lambda: paragraphs(_markdown(evidence)),
        PLAIN: evidence.text,
    }


def _cells(check: Check) -> tuple[str, ...]:
    error = "" if check.max_error is None else f"{check.max_error:.0e}" if check.max_error else "0"
    order = f"{check.order:.1f}" if check.order is not None else ""
    found = f"counter-example: {check.shown_counterexample}" if check.counterexample is not None else ""
    remarks = "; ".join(filter(None, (check.note, found)))
    return (check.name, check.verdict, str(check.points or ""), str(check.precision or ""), error, order, remarks)


def _answered(evidence: Evidence) -> Iterator[tuple[str, tuple[Check, ...]]]:
    """The questions that checks answer, in words."""
    for question, wording in QUESTIONS.items():
        if checks := evidence.about(question):
            yield wording, checks


def _html(evidence: Evidence) -> Iterator[str]:
    yield f"<p><strong>{escape_html(evidence.entry)}</strong>: {escape_html(evidence.summary())}</p>"
    yield "<table>"
    yield f"<thead>{_html_row(_HEAD, 'th')}</thead>"
    for wording, checks in _answered(evidence):
        yield "<tbody>"
        across = f'colspan="{len(_HEAD)}" scope="rowgroup" style="text-align: start"'
        yield f"<tr><th {across}>{escape_html(wording)}</th></tr>"
        for check in checks:
            yield _html_row(_cells(check), "td")
        yield "</tbody>"
    yield "</table>"


def _html_row(cells: tuple[str, ...], tag: str) -> str:
    sides = ["end; white-space: nowrap" if n in _NUMBERS else "start" for n in range(len(cells))]
    made = (f'<{tag} style="text-align: {s}">{escape_html(c)}</{tag}>' for s, c in zip(sides, cells, strict=True))
    return f"<tr>{''.join(made)}</tr>"


def _markdown(evidence: Evidence) -> Iterator[str]:
    yield f"**{escape_markdown(evidence.entry)}**: {escape_markdown(evidence.summary())}"
    for wording, checks in _answered(evidence):
        yield escape_markdown(wording)
        yield markdown_table(_HEAD, [tuple(map(escape_markdown, _cells(check))) for check in checks], _NUMBERS)


def _latex(evidence: Evidence) -> Iterator[str]:
    """A table for a document in LaTeX; no front end prefers it to the HTML."""
    yield rf"\textbf{{{escape_tex(evidence.entry)}}}: {escape_tex(evidence.summary())}"
    yield ""
    yield r"\noindent\begin{tabular}{p{0.22\linewidth}lrrrrp{0.16\linewidth}}"
    yield _latex_row(_HEAD) + r" \hline"
    for wording, checks in _answered(evidence):
        yield rf"\multicolumn{{{len(_HEAD)}}}{{l}}{{\textit{{{escape_tex(wording)}}}}} \\"
        yield from (_latex_row(_cells(check)) for check in checks)
    yield r"\end{tabular}"


def _latex_row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(escape_tex, cells)) + r" \\"
