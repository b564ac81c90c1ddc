"""Cheat sheets: entries on a few pages, to print, to hang up or to hand round.

``contents.py`` says what stands on a sheet, ``tex.py``, ``typst.py`` and ``md.py`` write it, ``setting.py`` makes
PDFs of what the first two write.
"""

from __future__ import annotations

from generators.sheets.contents import Contents, Layout, declared, selection, sheets_of
from kb.errors import EqkbError

__all__ = ["Contents", "Layout", "declared", "require_fit", "selection", "sheet", "sheets_of"]


def sheet(contents: Contents, form: str = "tex") -> str:
    """A sheet as text: ``tex``, ``typ`` or ``md``."""
    if form == "tex":
        from generators.sheets.tex import tex

        return tex(contents)
    if form == "md":
        from generators.sheets.md import markdown

        return markdown(contents)
    if form == "typ":
        from generators.sheets.typ import typ

        return typ(contents)
    raise EqkbError(f"no text format {form!r}; choose tex, typ or md, or write a pdf to a file")


def require_fit(contents: Contents, text: str, form: str) -> tuple[str, ...] | None:
    """The details that give way so that a sheet, written as ``text``, fits its pages.

    None where nothing here can tell. Raises EqkbError where not even the formulas fit.
    """
    if contents.layout.pages is None or form == "md":
        return ()
    from generators.sheets.setting import left_out

    return left_out(text, form, contents.layout)
