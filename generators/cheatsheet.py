"""Cheat sheets: LaTeX in columns, which pdflatex compiles; and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from generators.files import write_file
from generators.rendering import Filters, Ready, render
from generators.views import Formula, by_topic, product_of, views
from kb.errors import EqkbError
from kb.printing import escape_tex

if TYPE_CHECKING:
    from kb.catalogue import Catalogue

TITLE = "Deep learning equations"
_LONGEST_WORD = 32  # characters of TeX that fit in a column, whatever they are
_ALIGNED_ROWS = 6


def cheatsheet(catalogue: Catalogue, ids: Sequence[str], form: str = "tex") -> str:
    """A cheat sheet of some entries, as text: ``tex`` or ``md``."""
    if form == "md":
        from generators.markdown import document

        return document(catalogue, ids)
    if form != "tex":
        raise EqkbError(f"no text format {form!r}; choose tex or md, or write a pdf to a file")
    topics = by_topic(views(catalogue, ids))
    return render("cheatsheet.tex.j2", escape, _FILTERS, title=TITLE, topics=topics).strip("\n") + "\n"


def write_cheatsheet(catalogue: Catalogue, ids: Sequence[str], form: str, path: Path) -> None:
    """A cheat sheet in a file: ``tex``, ``md`` or ``pdf``. Raises EqkbError where TeX is missing."""
    if form == "pdf":
        from generators.pdf import compile_pdf, require_tex

        require_tex()
        write_file(path, compile_pdf(cheatsheet(catalogue, ids)))
    else:
        write_file(path, cheatsheet(catalogue, ids, form).encode())


def escape(text: str) -> str:
    """Text for TeX; a word that is longer than a column may break anywhere."""
    return " ".join(map(_breakable, text.split()))


def _breakable(word: str) -> str:
    whole = escape_tex(word)
    return whole if len(whole) <= _LONGEST_WORD else r"\hspace{0pt}".join(map(escape_tex, word))


def formula(shown: Formula) -> Ready:
    """A formula: aligned where that fits into the column, else row by row."""
    rows = "".join(rf"\formularow{{{row}}}" for row in shown.rows)
    return Ready(rf"\formula{{{shown.latex}}}{{{rows}}}" if len(shown.rows) <= _ALIGNED_ROWS else rows)


def inline(shown: Formula) -> Ready:
    """A formula within a sentence."""
    return Ready(f"${shown.latex}$")


def sizes(formulas: Sequence[Formula]) -> Ready:
    """The sizes of an array."""
    return Ready(f"${product_of(formulas)}$")


_FILTERS: Filters = {"formula": formula, "inline": inline, "sizes": sizes}
