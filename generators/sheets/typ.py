"""Cheat sheets in Typst: the same sheets as those in LaTeX, for which no system package is needed.

Typst measures everything, as TeX does for the others: what is too wide for a column is broken or made smaller, the
size of the letters is chosen so that the last page is full, and details are left out where pages are too few.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from generators.parts import DerivativeView, Formula, ReferenceView, Row, SymbolView, product_of
from generators.rendering import Filters, Ready, render
from generators.sheets.breaks import Piece, pieces
from generators.sheets.contents import SCALES, WIDE_INLINE, Contents, is_long
from generators.views import EntryView
from kb.printing import escape_typst
from kb.printing.typst import RULES, typst
from kb.sheets import LONG

_LONG = 4000  # characters of LaTeX of a derivative that would fill pages


def typ(contents: Contents) -> str:
    """A sheet as a Typst document that needs no package and no font but those of Typst."""
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
        "rules": Ready(RULES.strip()),
    }
    return render("sheet.typ.j2", escape_typst, _FILTERS, **values).strip("\n") + "\n"


def formula(shown: Formula) -> Ready:
    """The rows of a formula, aligned at their relation."""
    return _rows(shown.rows)


def derivatives(shown: Sequence[DerivativeView]) -> Ready:
    """Derivatives, aligned with each other, but for those that would fill a page."""
    return _rows([row for d in shown if len(d.formula.latex) < _LONG for row in d.formula.rows])


def too_long(shown: Sequence[DerivativeView]) -> Ready:
    """Where to find derivatives that would fill a page."""
    names = ", ".join(dict.fromkeys(name for d in shown if len(d.formula.latex) >= _LONG for name in d.wrt))
    return Ready(escape_typst(f"The derivatives by {names} fill pages; eqkb diff prints them.") if names else "")


def _rows(rows: Sequence[Row]) -> Ready:
    followers = [*rows[1:], None][: len(rows)]
    return Ready("".join(f"{_row(row, following)}, " for row, following in zip(rows, followers, strict=True)))


def _row(row: Row, following: Row | None) -> str:
    """A statement in several rows has them below each other. The whole is set as one, and again in pieces."""
    is_wide = not row.left or (following is not None and not following.left)
    whole = f"{row.left} {row.right}" if row.left else row.right
    cut = ", ".join(f"({''.join(f'{_maths(p)}, ' for p in parts)})" for parts in _ways_to_cut(row.right))
    return (
        f"(left: {_maths(row.left)}, whole: {_maths(whole)}, wide: {str(is_wide).lower()}, "
        f"cut: ({cut}{',' if cut else ''}))"
    )


def _ways_to_cut(latex: str) -> Iterator[list[str]]:
    """The pieces between which a line may end: first between terms only, then anywhere, then within tall fences."""
    found = pieces(latex)
    seen: list[list[str]] = []
    for cut in (
        _joined(found, lambda p: p.mark in ("term", "inner") and not p.is_held),
        _joined(found, lambda p: not p.is_held),
        _joined(found, lambda p: True, r"\Bigl", r"\Bigr"),
    ):
        if len(cut) > 1 and cut not in seen:
            seen.append(cut)
            yield cut


def _joined(found: Sequence[Piece], parts: Any, left: str = r"\left", right: str = r"\right") -> list[str]:
    made: list[str] = []
    for piece in found:
        text = piece.with_sides(left, right)
        if made and not parts(piece):
            made[-1] += text
        else:
            made.append("{} " + text.lstrip() if piece.mark in ("", "term", "inner") else text)
    return made


def _maths(latex: str) -> str:
    return f"${typst(latex)}$"


def inline(shown: Formula) -> Ready:
    """A formula within a sentence; one that may be wider than a column is made smaller if it is."""
    made = _maths(shown.latex)
    return Ready(f"#narrowed({made})" if len(shown.latex) > WIDE_INLINE else made)


def prose(text: str) -> Ready:
    """A text of this program's own with formulas in LaTeX between dollar signs."""
    parts = text.split("$")
    return Ready("".join(_maths(p) if n % 2 else escape_typst(p) for n, p in enumerate(parts)))


def symbols(shown: Sequence[SymbolView]) -> Ready:
    """What symbols mean, each with its shape."""
    return Ready("; ".join(map(_symbol, shown)))


def _symbol(symbol: SymbolView) -> str:
    return f"{inline(symbol.glyph)}{_shape(symbol.sizes)}: {escape_typst(symbol.about or symbol.kind)}"


def _shape(sizes: Sequence[Formula]) -> str:
    return f"~#faint[({_maths(product_of(sizes))})]" if sizes else ""


def kept(shown: DerivativeView) -> Ready:
    """What a backward pass is given, and what it needs of the forward pass."""
    given = ", ".join(f"{inline(s.glyph)}{_shape(s.sizes)}" for s in shown.of_role("cotangent"))
    saved = ", ".join(map(inline, shown.saved))
    return Ready(f"given {given}; " + (f"keep {saved}" if saved else "nothing has to be kept"))


def references(shown: Sequence[ReferenceView]) -> Ready:
    """References in one line, each leading to its document."""
    return Ready("; ".join(map(_reference, shown)))


def _reference(reference: ReferenceView) -> str:
    title = f"#emph[{escape_typst(reference.title)}]"
    if reference.url:
        title = f"#link({quoted(reference.url)})[{title}]"
    return f"{escape_typst(reference.cited)}: {title}" if reference.cited else title


def quoted(text: str) -> Ready:
    """A string of Typst code."""
    return Ready('"' + re.sub(r'(["\\])', r"\\\1", " ".join(text.split())) + '"')


def evidence(view: EntryView) -> Ready:
    """What numbers say of the entry."""
    return Ready(escape_typst(view.evidence.summary() if view.evidence is not None else "not checked"))


_FILTERS: Filters = {
    "formula": formula,
    "derivatives": derivatives,
    "too_long": too_long,
    "inline": inline,
    "prose": prose,
    "symbols": symbols,
    "kept": kept,
    "references": references,
    "quoted": quoted,
    "evidence": evidence,
    "is_long": lambda shown: Ready(LONG if is_long(shown) else ""),
}
