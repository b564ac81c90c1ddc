"""Cheat sheets that catalogues declare: what stands on them, and whether all that they list exists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kb.errors import Fault, nearest

if TYPE_CHECKING:
    from kb.model import Entry, Sheet
    from kb.records import CatalogueFile

SECTION = "sheets"  # the key in a catalogue file that is no entry
WHOLE = "cheatsheet"  # the name of the sheet of everything, which is not declared
LONG = "long derivatives"
# What gives way first where a sheet has to fit on so many pages; formulas never do.
GIVING_WAY = ("evidence", "references", "symbols", LONG, "derivatives", "backward")
_MOST_FAULTS = 200


def sections_of(entries: Mapping[str, Entry], sheet: Sheet) -> list[tuple[str, list[str]]]:
    """The title and the ids of each section; an entry is on a sheet once."""
    taken: set[str] = set()
    found = []
    for section in sheet.sections:
        of_topics = [i for i, e in entries.items() if e.topic in section.topics]
        ids = [i for i in dict.fromkeys([*section.entries, *of_topics]) if i not in taken]
        taken.update(ids)
        if ids:
            found.append((section.title, ids))
    return found


def ids_of(entries: Mapping[str, Entry], sheet: Sheet) -> list[str]:
    """The ids of all entries of a sheet, in order."""
    return [i for _, ids in sections_of(entries, sheet) for i in ids]


def giving_way(details: Collection[str]) -> tuple[str, ...]:
    """The details of a sheet in the order in which they give way."""
    return tuple(d for d in GIVING_WAY if d in details or (d == LONG and "derivatives" in details))


def sheet_faults(files: Sequence[CatalogueFile], broken: Collection[str] = ()) -> Iterator[Fault]:
    """Sheets that are declared twice, and entries and topics that there are not; ``broken`` entries are not missed."""
    from kb.source import AT_KEY

    entries = {entry_id: entry for file in files for entry_id, entry in file.entries.items()}
    topics = {entry.topic for entry in entries.values()}
    declared: dict[str, CatalogueFile] = {}
    count = 0
    for file in files:
        for sheet in file.sheets:
            first = declared.setdefault(sheet.key, file)
            if first is not file:
                taken = first.locate(SECTION, sheet.key, AT_KEY)
                message = f"the sheet {sheet.key!r} is declared at {taken.file}:{taken.line}; choose another name"
                yield Fault(message, location=file.locate(SECTION, sheet.key, AT_KEY))
            for field, message in _unknown(sheet, entries, topics, broken):
                yield Fault(message, field, location=file.locate(SECTION, field))
                count += 1
                if count >= _MOST_FAULTS:
                    return


def _unknown(
    sheet: Sheet, entries: Mapping[str, Entry], topics: Collection[str], broken: Collection[str]
) -> Iterator[tuple[str, str]]:
    for section in sheet.sections:
        place = f"{sheet.key}.sections.{section.title}"
        for position, entry_id in enumerate(section.entries):
            if entry_id not in entries and entry_id not in broken:
                remedy = nearest(entry_id, list(entries)) or "; 'eqkb list' shows all entries"
                yield f"{place}[{position}]", f"no entry has the id {entry_id!r}{remedy}"
        for position, topic in enumerate(section.topics):
            if topic not in topics and not broken:
                remedy = nearest(topic, list(topics)) or f"; the topics are {', '.join(sorted(topics))}"
                yield f"{place}.topics[{position}]", f"no entry has the topic {topic!r}{remedy}"
