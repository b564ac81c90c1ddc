"""What a notebook shows of a value: the same in several formats, of which the front end takes the one it likes best.

JupyterLab and nbconvert prefer HTML, then Markdown, then LaTeX. VS Code prefers HTML, then LaTeX, then Markdown, and
reads LaTeX as Markdown with formulas. Formulas within HTML are typeset by JupyterLab but not by VS Code. Hence what has
formulas offers no HTML, and its LaTeX is Markdown at the same time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from kb.errors import EqkbError
from kb.printing.escape import one_line

HTML, LATEX, MARKDOWN, PLAIN = "text/html", "text/latex", "text/markdown", "text/plain"

# What means something to TeX or Markdown: with a backslash both print some of it as it is, the rest is a formula.
_WITH_BACKSLASH = re.compile(r"[_$&#%{}]")
_WORDS = {
    "\\": r"\backslash", "^": r"\wedge", "~": r"\sim", "<": "<", ">": ">", "|": r"\vert", "*": r"\ast",
    "[": r"\lbrack", "]": r"\rbrack", "`": r"\prime",
}  # fmt: skip
_SIGNS = re.compile(rf"([{re.escape(''.join(_WORDS))}]+)")


def bundle(
    formats: Mapping[str, Callable[[], str]],
    include: Collection[str] | None = None,
    exclude: Collection[str] | None = None,
) -> dict[str, str]:
    """The formats that are wanted, and no other is made; what cannot be shown says why, as text.

    ``include`` and ``exclude`` are those of IPython's ``display``: these alone, and not these.
    """
    wanted = [name for name in formats if (not include or name in include) and name not in (exclude or ())]
    try:
        return {name: formats[name]() for name in wanted}
    except EqkbError as error:
        return {PLAIN: str(error)}


def paragraphs(parts: Iterable[str]) -> str:
    """Those that are not empty, with a blank line between them."""
    return "\n\n".join(filter(None, parts))


def escape_both(s: str) -> str:
    """Text for one line of LaTeX that is Markdown at the same time; a paragraph cannot begin with it."""
    parts = _SIGNS.split(one_line(s))
    return " ".join(" ".join(f"${_formula(p)}$" if n % 2 else _spelt(p) for n, p in enumerate(parts)).split())


def bold_both(s: str) -> str:
    """The same in bold, as a formula, with which a paragraph can begin."""
    parts = _SIGNS.split(one_line(s).strip())
    shown = [_formula(p) if n % 2 else rf"\textbf{{{_spelt(p)}}}" for n, p in enumerate(parts) if p]
    return f"${' '.join(shown)}$" if shown else ""


def _formula(signs: str) -> str:
    return " ".join(_WORDS[sign] for sign in signs)


def _spelt(text: str) -> str:
    return _WITH_BACKSLASH.sub(r"\\\g<0>", text)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[int] = ()) -> str:
    """A table whose cells are Markdown already; columns of ``numbers`` keep to the right."""
    rule = ["--:" if n in numbers else ":--" for n in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
