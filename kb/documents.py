"""Items of documents that entries cover: whether they exist, and whether all entries say the same of an item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kb.errors import Fault, nearest

if TYPE_CHECKING:
    from kb.model import Entry, SourceItem
    from kb.records import CatalogueFile

SECTION = "documents"  # the key in a catalogue file that is no entry
_MOST_FAULTS = 200
_MOST_SHOWN = 12  # items in a message
_Given = tuple["CatalogueFile", "Entry", int]


def source_faults(files: Sequence[CatalogueFile]) -> Iterator[Fault]:
    """Documents that are declared twice, items that no document has, and items with two findings."""
    declared: dict[str, CatalogueFile] = {}
    items: dict[str, dict[str, str]] = {}
    for file in files:
        for document in file.documents:
            first = declared.setdefault(document.key, file)
            if first is not file:
                from kb.source import AT_KEY

                taken = first.locate(SECTION, document.key, AT_KEY)
                message = f"the document {document.key!r} is declared at {taken.file}:{taken.line}; choose another key"
                yield Fault(message, location=file.locate(SECTION, document.key, AT_KEY))
            else:
                items[document.key] = dict(document.items)
    given: dict[str, _Given] = {}
    count = 0
    for file, entry, position in _sources(files):
        source = entry.sources[position]
        message = _unknown(source, items) or _another_finding(source, given)
        given.setdefault(source.item, (file, entry, position))
        if message:
            field = f"sources[{position}]"
            yield Fault(message, field, location=file.locate(entry.id, field))
            count += 1
        if count >= _MOST_FAULTS:
            return


def _sources(files: Sequence[CatalogueFile]) -> Iterator[_Given]:
    for file in files:
        for entry in file.entries.values():
            for position in range(len(entry.sources)):
                yield file, entry, position


def _unknown(source: SourceItem, items: Mapping[str, Mapping[str, str]]) -> str:
    """What is wrong with an item that no document has; empty if one has it."""
    known = items.get(source.document)
    if known is None:
        hint = nearest(source.document, list(items))
        remedy = hint or "; declare it under 'documents', at the outermost level of the file"
        return f"no document is called {source.document!r}{remedy}"
    if source.key in known:
        return ""
    few = f"; its items are {', '.join(known)}" if len(known) <= _MOST_SHOWN else ""
    remedy = nearest(source.key, list(known)) or few or f"; declare it under 'documents', {source.document}.items"
    return f"the document {source.document!r} has no item {source.key!r}{remedy}"


def _another_finding(source: SourceItem, given: Mapping[str, _Given]) -> str:
    """What is wrong with an item of which another entry says something else; empty if none does."""
    if source.item not in given:
        return ""
    file, entry, position = given[source.item]
    finding = entry.sources[position].finding
    if finding == source.finding:
        return ""
    place = file.locate(entry.id, f"sources[{position}]")
    return (
        f"the entry {entry.id!r} at {place.file}:{place.line} gives {source.item!r} the finding {finding!r}, and here"
        f" it is {source.finding!r}; state one finding, or leave the item to that entry"
    )
