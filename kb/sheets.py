"""Cheat sheets that catalogues declare: whether all that they list exists."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kb.errors import Fault, nearest

if TYPE_CHECKING:
    from kb.model import Entry, Sheet
    from kb.records import CatalogueFile

SECTION = "sheets"  # the key in a catalogue file that is no entry
WHOLE = "cheatsheet"  # the name of the sheet of everything, which is not declared
_MOST_FAULTS = 200


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
