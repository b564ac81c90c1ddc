"""The symbols of entries as CSV (RFC 4180, UTF-8): a table for spreadsheets and programs, one row for each symbol.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, even one in quotes, and
catalogues are written by strangers. Such a cell gets an apostrophe before it, unless it is a number. A
cell that looks like one with apostrophes before it gets one more, so that ``read_cell`` gives every text back.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from generators.views import EntryView
from kb.model import Symbol

COLUMNS = tuple("entry entry_name symbol text latex shape kind domain role default meaning".split())
# Full-width signs count as the others in some spreadsheets; a tab or a line end is passed over before a sign.
_FORMULA = re.compile(r"'*[\s\x00-\x1f]*[=+\-@＝＋－＠\t\r\n]")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def symbols_csv(entries: Sequence[EntryView]) -> str:
    """The table with its header; lines end in CR LF."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([cell(text) for text in row] for view in entries for row in _rows(view))
    return out.getvalue()


def _rows(view: EntryView) -> Iterator[tuple[str, ...]]:
    for symbol in view.entry.symbols:
        yield (view.id, view.entry.name, *_described(view, symbol))


def _described(view: EntryView, symbol: Symbol) -> tuple[str, ...]:
    glyph = view.glyph(symbol.name)
    return (
        symbol.name,
        glyph.text,
        glyph.latex,
        ", ".join(symbol.shape),
        symbol.kind,
        symbol.domain,
        symbol.role,
        symbol.default or "",
        symbol.about,
    )


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def read_cell(text: str) -> str:
    """The text that ``cell`` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
