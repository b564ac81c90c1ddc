"""Cheat sheets in LaTeX.

TeX measures everything. A formula that is too wide for its column is broken before a plus, a minus or
after a comma, and made smaller if that does not help, so that nothing is ever cut. The size of the letters is
chosen so that the last page is full, and details are left out where pages are too few.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from generators.parts import DerivativeView, Formula, ReferenceView, Row, SymbolView, product_of
from generators.rendering import Filters, Ready, render
from generators.sheets.breaks import pieces
from generators.sheets.contents import SCALES, WIDE_INLINE, Contents, is_long
from generators.views import EntryView
from kb.printing import escape_tex
from kb.sheets import LONG

_LONGEST_WORD = 32  # characters of TeX that fit in a column, whatever they are
_MANY = 4  # rows from which on short ones stand side by side
_LONG = 4000  # characters of LaTeX; twice as many can be wider than what TeX can measure
_MARKS = {"": "", "term": r"\brk", "inner": r"\brkin", "joint": r"\brkjoint ", "comma": r"\brkcomma "}


def tex(contents: Contents) -> str:
    """A sheet as a LaTeX document that needs nothing but standard packages."""
    values: dict[str, Any] = {
        "title": contents.title,
        "about": contents.about,
        "sections": contents.sections,
        "entries": contents.entries,
        "legend": contents.legend,
        "details": contents.details,
        "droppable": contents.droppable,
        "layout": contents.layout,
        "scales": SCALES,
    }
    return render("sheet.tex.j2", escape, _FILTERS, **values).strip("\n") + "\n"


def escape(text: str) -> str:
    """Text for TeX; a word that is longer than a column may break anywhere."""
    return " ".join(map(_breakable, text.split()))


def _breakable(word: str) -> str:
    whole = escape_tex(word)
    return whole if len(whole) <= _LONGEST_WORD else r"\hspace{0pt}".join(map(escape_tex, word))


def formula(shown: Formula) -> Ready:
    """The rows of a formula, aligned at their relation; if they are many, short ones stand side by side."""
    return _rows(shown.rows)


def derivatives(shown: Sequence[DerivativeView]) -> Ready:
    """Derivatives, aligned with each other; of those that would fill a page, where to find them instead."""
    short = [d for d in shown if len(d.formula.latex) < _LONG]
    names = ", ".join(dict.fromkeys(name for d in shown if d not in short for name in d.wrt))
    rest = f"The derivatives by {names} fill pages; eqkb diff prints them." if names else ""
    made = _rows([row for d in short for row in d.formula.rows]) if short else ""
    return Ready(made + (rf"\toolong{{{escape(rest)}}}" if rest else ""))


def _rows(rows: Sequence[Row]) -> Ready:
    followers = (*rows[1:], None)
    made = "".join(_row(row, following) for row, following in zip(rows, followers, strict=True))
    return Ready(rf"\{'manyrows' if len(rows) >= _MANY else 'rows'}{{{made}}}")


def _row(row: Row, following: Row | None) -> str:
    """A statement in several rows has them below each other."""
    wide = not row.left or (following is not None and not following.left)
    name = "longrow" if len(row.right) >= _LONG else "widerow" if wide else "row"
    return rf"\{name}{{{row.left}}}{{{breakable(row.right)}}}"


def breakable(latex: str) -> str:
    """A formula with marks where a line may end."""
    return "".join(_MARKS[p.mark] + p.with_sides(r"\opening", r"\closing") for p in pieces(latex))


def inline(shown: Formula) -> Ready:
    """A formula within a sentence; one that may be wider than a column is made smaller if it is."""
    made = f"${shown.latex}$"
    return Ready(rf"\narrowed{{{made}}}" if len(shown.latex) > WIDE_INLINE else made)


def symbols(shown: Sequence[SymbolView]) -> Ready:
    """What symbols mean, each with its shape."""
    return Ready("; ".join(map(_symbol, shown)))


def _symbol(symbol: SymbolView) -> str:
    return f"{inline(symbol.glyph)}{_shape(symbol.sizes)}: {escape(symbol.about or symbol.kind)}"


def _shape(sizes: Sequence[Formula]) -> str:
    return rf"~\textcolor{{faint}}{{(${product_of(sizes)}$)}}" if sizes else ""


def kept(shown: DerivativeView) -> Ready:
    """What a backward pass is given, and what it needs of the forward pass."""
    given = ", ".join(f"{inline(s.glyph)}{_shape(s.sizes)}" for s in shown.of_role("cotangent"))
    saved = ", ".join(map(inline, shown.saved))
    return Ready(f"given {given}; " + (f"keep {saved}" if saved else "nothing has to be kept"))


def references(shown: Sequence[ReferenceView]) -> Ready:
    """References in one line, each leading to its document."""
    return Ready("; ".join(map(_reference, shown)))


def _reference(reference: ReferenceView) -> str:
    title = rf"\textit{{{escape(reference.title)}}}"
    if reference.url:
        title = rf"\href{{{_address(reference.url)}}}{{{title}}}"
    return f"{escape(reference.cited)}: {title}" if reference.cited else title


def _address(url: str) -> str:
    return re.sub(r"([\\%#{}])", r"\\\1", url)


def evidence(view: EntryView) -> Ready:
    """What numbers say of the entry."""
    return Ready(escape(view.evidence.summary() if view.evidence is not None else "not checked"))


_FILTERS: Filters = {
    "formula": formula,
    "derivatives": derivatives,
    "inline": inline,
    "symbols": symbols,
    "kept": kept,
    "references": references,
    "evidence": evidence,
    "is_long": lambda shown: Ready(LONG if is_long(shown) else ""),
}
