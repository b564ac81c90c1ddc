"""The sections of a catalogue file that are no entries: its documents and its cheat sheets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError

from kb import documents, sheets
from kb.errors import CatalogueError, Fault
from kb.fields import Count, Date, Id, Line, Text, Url, Word, choice, what_is
from kb.model import DETAILS, Detail, Document, Sheet, SheetSection
from kb.schema import Record, faults_of, with_gaps
from kb.source import AT_KEY, Data, shorten


class DocumentRecord(Record):
    """``documents.hundred``."""

    title: Line
    date: Date = ""
    url: Url | None = None
    items: Annotated[dict[str, Line], Field(min_length=1)]


class DocumentsRecord(Record):
    """The section ``documents`` of a file."""

    documents: dict[str, DocumentRecord]


class SheetSectionRecord(Record):
    """``sheets.recurrent.sections.LSTM``; a list there is that of the entries."""

    entries: list[Id] = Field(default_factory=list)
    topics: list[Word] = Field(default_factory=list)


class SheetRecord(Record):
    """``sheets.recurrent``."""

    title: Line
    about: Text = ""
    sections: Annotated[dict[Line, SheetSectionRecord], Field(min_length=1)]
    details: list[Annotated[str, choice(get_args(Detail), "detail")]] = Field(
        default_factory=lambda: [*map(str, DETAILS)]
    )
    columns: Count | None = None
    landscape: bool = False
    pages: Count | None = None


def to_documents(data: Data) -> tuple[Document, ...]:
    """The section ``documents`` of a file.

    Raises CatalogueError with every fault of it; their places are paths inside the section.
    """
    filled = with_gaps(data)
    faults = list(_bad_document_keys(filled)) if isinstance(filled, dict) else []
    try:
        record = DocumentsRecord.model_validate({"documents": filled})
    except ValidationError as error:
        faults += faults_of(error, DocumentsRecord, {documents.SECTION: DocumentRecord}, under=1)
    if faults:
        raise CatalogueError(faults)
    return tuple(Document(key, d.title, tuple(d.items.items()), d.date, d.url) for key, d in record.documents.items())


def _bad_document_keys(declared: dict[str, Any]) -> Iterator[Fault]:
    for key, document in declared.items():
        if not re.fullmatch(r"[A-Za-z][\w-]{0,63}", key, re.ASCII):
            message = f"{shorten(key)} cannot name a document; use at most 64 ASCII letters, digits, '_' and '-'"
            yield Fault(message, key, AT_KEY)
        items = document.get("items") if isinstance(document, dict) else None
        for item in items if isinstance(items, dict) else ():
            if not re.fullmatch(r"[\w.-]{1,64}", item, re.ASCII):
                message = f"{shorten(item)} cannot name an item; use at most 64 ASCII letters, digits, '.', '_' and '-'"
                yield Fault(message, f"{key}.items.{item}", AT_KEY)


def to_sheets(data: Data) -> tuple[Sheet, ...]:
    """The section ``sheets`` of a file.

    Raises CatalogueError with every fault of it; their places are paths inside the section.
    """
    filled = with_gaps(data)
    if not isinstance(filled, dict):
        raise CatalogueError([Fault(f"{what_is(filled)} where sheets belong; write their names below it", "", AT_KEY)])
    faults: list[Fault] = []
    made = [_sheet(key, sheet, faults) for key, sheet in filled.items()]
    if faults:
        raise CatalogueError(faults)
    return tuple(sheet for sheet in made if sheet is not None)


def _sheet(key: str, data: Any, faults: list[Fault]) -> Sheet | None:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,63}", key) or key == sheets.WHOLE:
        taken = key == sheets.WHOLE
        reason = "that of the whole catalogue is called so" if taken else "use small ASCII letters, digits and '-'"
        faults.append(Fault(f"{shorten(key)} cannot name a sheet; {reason}", key, AT_KEY))
    if not isinstance(data, dict):
        faults.append(Fault(f"{what_is(data)} where a sheet belongs; write its keys below its name", key, AT_KEY))
        return None
    written = data.get("sections")
    if isinstance(written, dict):
        data = {**data, "sections": {t: {"entries": s} if isinstance(s, list) else s for t, s in written.items()}}
    try:
        record = SheetRecord.model_validate(data)
    except ValidationError as error:
        for fault in faults_of(error, SheetRecord, {"sections": SheetSectionRecord}):
            faults.append(replace(fault, field=f"{key}.{_as_written(fault.field, written)}"))
        return None
    empty = [title for title, s in record.sections.items() if not s.entries and not s.topics]
    faults += [Fault("nothing is listed here; name entries or topics", f"{key}.sections.{t}", AT_KEY) for t in empty]
    return Sheet(
        key,
        record.title,
        record.about,
        tuple(SheetSection(t, tuple(s.entries), tuple(s.topics)) for t, s in record.sections.items()),
        tuple(record.details),  # type: ignore[arg-type]  # checked against the same words
        record.columns,
        record.landscape,
        record.pages,
    )


def _as_written(field: str, sections: Any) -> str:
    """The path of a fault; a section that is written as a list has no keys."""
    for title, section in sections.items() if isinstance(sections, dict) else ():
        start = f"sections.{title}.entries"
        if isinstance(section, list) and field.startswith(start):
            return f"sections.{title}{field[len(start) :]}"
    return field
