"""What stands on a cheat sheet: sections of entries, how much of each, and on what paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from generators.notation import Sign, legend
from generators.parts import DerivativeView, Formula
from generators.views import EntryView, Topic, by_topic, title_of
from kb.model import DETAILS, Detail, Sheet
from kb.sheets import LONG, WHOLE, giving_way, ids_of, sections_of

if TYPE_CHECKING:
    from kb.catalogue import Catalogue

_ROWS = 4  # that the derivatives of an entry have at most unless they are long
PAPERS = {
    "a3": (297.0, 420.0),
    "a4": (210.0, 297.0),
    "a5": (148.0, 210.0),
    "letter": (215.9, 279.4),
    "legal": (215.9, 355.6),
    "tabloid": (279.4, 431.8),
}
SCALES = {"smallest": 820, "largest": 1200}  # of letters of 8.5 points, in thousandths
WIDE_INLINE = 50  # characters of LaTeX from which on a formula within a sentence may be wider than a column
_COLUMN = 95.0  # millimetres that a column has at most, unless somebody says how many there are


class Layout(NamedTuple):
    """The form of a sheet. ``columns`` is None for as many as suit the paper, ``pages`` for as many as it takes."""

    columns: int | None = None
    paper: str = "a4"
    landscape: bool = False
    pages: int | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the paper in millimetres."""
        short, long = PAPERS[self.paper]
        return (long, short) if self.landscape else (short, long)

    @property
    def column_count(self) -> int:
        """How many columns there are."""
        return self.columns or max(1, round(self.size[0] / _COLUMN))


USUAL = Layout()


@dataclass(frozen=True)
class Contents:
    """A sheet before it is written in a format. ``details`` are those that each entry is shown with."""

    title: str
    sections: tuple[Topic, ...]
    about: str = ""
    details: tuple[Detail, ...] = DETAILS
    layout: Layout = USUAL

    @cached_property
    def entries(self) -> tuple[EntryView, ...]:
        """All entries, in order."""
        return tuple(view for section in self.sections for view in section.entries)

    @property
    def droppable(self) -> tuple[str, ...]:
        """The details in the order in which they give way."""
        return giving_way(self.details)

    @cached_property
    def legend(self) -> tuple[tuple[Sign, str], ...]:
        """The signs that the formulas use, each with the detail that alone uses it, if there is one."""
        every = legend(self._formulas(self.droppable), self.entries)
        needed = dict.fromkeys(legend(self._formulas(()), self.entries), "")
        for detail in reversed(self.droppable):
            for sign in legend(self._formulas((detail,)), self.entries):
                needed.setdefault(sign, detail)
        return tuple((sign, needed.get(sign, "")) for sign in every)

    def _formulas(self, details: Iterable[str]) -> list[Formula]:
        return [f for view in self.entries for f in _formulas(view, frozenset(details))]


def selection(entries: Sequence[EntryView], details: tuple[Detail, ...] = DETAILS, layout: Layout = USUAL) -> Contents:
    """A sheet of some entries, a section for each topic."""
    topics = by_topic(entries)
    return Contents(title_of(topics), topics, details=details, layout=layout)


def declared(
    catalogue: Catalogue,
    sheet: Sheet,
    entries: Sequence[EntryView],
    details: tuple[Detail, ...] | None = None,
    layout: Layout | None = None,
) -> Contents:
    """A sheet that a catalogue declares, in its own form unless another is given; ``entries`` has its entries."""
    known = {view.id: view for view in entries}
    listed = sections_of(catalogue.records, sheet)
    sections = tuple(Topic(title, tuple(known[i] for i in ids), title) for title, ids in listed)
    shown = sheet.details if details is None else details
    own = Layout(sheet.columns, landscape=sheet.landscape, pages=sheet.pages)
    return Contents(sheet.title, sections, sheet.about, shown, layout or own)


def sheets_of(entries: Sequence[EntryView]) -> dict[str, Contents]:
    """The sheet of all entries, and by their keys those that are declared and have no others."""
    made = {WHOLE: selection(entries)}
    known = {view.id for view in entries}
    for view in entries[:1]:
        for key, sheet in view.catalogue.records.sheets.items():
            if known.issuperset(ids_of(view.catalogue.records, sheet)):
                made[key] = declared(view.catalogue, sheet, entries)
    return made


def _formulas(view: EntryView, details: frozenset[str]) -> Iterator[Formula]:
    yield view.formula
    if details & {"derivatives", LONG} and (LONG if is_long(view.highlights) else "derivatives") in details:
        yield from (d.formula for d in view.highlights)
    if "backward" in details and view.backward is not None:
        yield view.backward.formula
    if "symbols" in details:
        yield from (size for symbol in view.symbols for size in symbol.sizes)


def is_long(shown: Sequence[DerivativeView]) -> bool:
    """Whether derivatives are among those that give way before others."""
    return sum(len(d.formula.rows) for d in shown) > _ROWS
