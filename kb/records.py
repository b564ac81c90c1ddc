"""Catalogue files as frozen records, laid over one another, with the place of every fault.

What was read once is kept as JSON in the user's cache directory, so that reading it again needs
neither YAML nor pydantic. The cache is never trusted: it counts only for the same bytes of the
file and of the code that checked them, and whatever is wrong with it, the file is read again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from kb import documents as document_section
from kb import sheets as sheet_section
from kb.cache import cache_path, keep, read_kept
from kb.documents import source_faults
from kb.errors import CatalogueError, Fault, Location, NotFound, nearest
from kb.model import (
    Document,
    Entry,
    NamedClaim,
    Objective,
    Plot,
    Reference,
    Sheet,
    SheetSection,
    SourceItem,
    Symbol,
    Variant,
)
from kb.sheets import sheet_faults

if TYPE_CHECKING:
    from pathlib import Path

    from kb.source import Source

StrPath = str | os.PathLike[str]
NAME = "equations.yaml"
MAX_FAULTS = 200
MAX_COMPARISONS = 20_000
_HERE = os.path.dirname(os.path.abspath(__file__))
# What decides how a file is read; a change of any of them makes every cache stale.
_CODE = (
    "composer",
    "consistency",
    "documents",
    "errors",
    "fields",
    "glyphs",
    "model",
    "parser",
    "records",
    "schema",
    "sections",
    "sheets",
    "sides",
    "source",
    "tree",
    "vocabulary",
)


@dataclass(frozen=True)
class CatalogueFile:
    """The entries of one file, in its order, and the documents and sheets that it declares."""

    path: str
    entries: Mapping[str, Entry]
    documents: tuple[Document, ...] = ()
    sheets: tuple[Sheet, ...] = ()

    @cached_property
    def _source(self) -> Source | None:
        from kb.source import read_source

        try:
            return read_source(self.path)
        except CatalogueError:
            # The file was fine when it was read; somebody changed it since.
            return None

    def locate(self, entry_id: str, field: str = "", start: int = 0) -> Location:
        """The place of character ``start`` of the text of ``field``; reads the file again if need be."""
        if self._source is None:
            return Location(self.path, path=f"{entry_id}.{field}".removesuffix("."))
        return self._source.locate(entry_id, field, start)


class Records(Mapping[str, Entry]):
    """All entries of one or several files by id, the shipped ones first.

    ``selected`` are the ids that commands without ids work on; ``broken`` those of entries with
    structural faults, most of which are missing here. ``documents`` and ``sheets`` are those of all files by key.
    """

    def __init__(
        self, files: Sequence[CatalogueFile], selected: Sequence[str], broken: frozenset[str] = frozenset()
    ) -> None:
        self.files = tuple(files)
        self.selected = tuple(selected)
        self.broken = broken
        self._file: dict[str, CatalogueFile] = {}
        self._entries: dict[str, Entry] = {}
        self._aliases: dict[str, str] = {}
        self.documents: dict[str, Document] = {}
        self.sheets: dict[str, Sheet] = {}
        for file in files:
            for sheet in file.sheets:
                self.sheets.setdefault(sheet.key, sheet)
            for document in file.documents:
                self.documents.setdefault(document.key, document)
            for entry_id, entry in file.entries.items():
                if entry_id not in self._entries:
                    self._entries[entry_id], self._file[entry_id] = entry, file
        for entry_id, entry in self._entries.items():
            for alias in entry.aliases:
                self._aliases.setdefault(alias, entry_id)

    def __getitem__(self, entry_id: str) -> Entry:
        return self._entries[entry_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entry(self, name: str) -> Entry:
        """The entry of that id or alias. Raises NotFound with the nearest names."""
        entry_id = name if name in self._entries else self._aliases.get(name, "")
        if entry_id:
            return self._entries[entry_id]
        shown = name if len(name) <= 60 else name[:60] + "..."
        hint = nearest(shown, {*self._entries, *self._aliases}) or "; 'eqkb list' shows all entries"
        raise NotFound(f"no entry is called {shown!r}{hint}")

    def locate(self, entry_id: str, field: str = "", start: int = 0) -> Location:
        """The place of character ``start`` of the text of ``field`` of an entry."""
        return self._file[entry_id].locate(entry_id, field, start)


def place(records: Records, entry_id: str, fault: Fault) -> Fault:
    """The fault of an entry with its file, line and column filled in."""
    return replace(fault, location=records.locate(entry_id, fault.field, fault.start))


def shipped_path() -> Path:
    """The catalogue that belongs to this installation; never one in the current folder.

    Raises CatalogueError if it is in neither place.
    """
    from pathlib import Path

    return Path(_shipped())


def _shipped() -> str:
    # The package's own folder, as importlib.resources would find it, without that module's long start.
    places = [os.path.join(folder, NAME) for folder in (_HERE, os.path.dirname(_HERE))]
    for candidate in places:
        if os.path.isfile(candidate):
            return candidate
    raise CatalogueError([Fault(f"the shipped catalogue is neither at {' nor at '.join(places)}; install eqkb again")])


def read_file(path: StrPath) -> CatalogueFile:
    """Read one catalogue file, from the cache where that is right.

    Raises CatalogueError with every structural fault of the file.
    """
    file, faults, _ = _read(path)
    if faults or file is None:
        raise CatalogueError(faults)
    return file


def read_records(paths: Sequence[StrPath] = (), shipped: StrPath | None = None) -> Records:
    """Read the files laid over the shipped catalogue. Raises CatalogueError with every structural fault."""
    records, faults = structural_faults(paths, shipped)
    if faults or records is None:
        raise CatalogueError(faults)
    return records


def structural_faults(
    paths: Sequence[StrPath] = (), shipped: StrPath | None = None
) -> tuple[Records | None, list[Fault]]:
    """The records of the files over the shipped catalogue, and the structural faults of all of them.

    The records hold the entries that are well formed by themselves, so that a caller can add
    the faults of their formulas; they are None where a file could not be read at all. Raises
    CatalogueError only if there is no shipped catalogue.
    """
    base = os.fspath(shipped if shipped is not None else _shipped())
    files: list[CatalogueFile] = []
    faults: list[Fault] = []
    broken: set[str] = set()
    chosen: list[CatalogueFile] = []
    seen: list[str] = []
    unreadable = False
    for path in (base, *(os.fspath(p) for p in paths)):
        same = next((i for i, other in enumerate(seen) if _same(path, other)), None)
        seen.append(path)
        if same is not None:
            # The shipped file named as a user's file, or one file named twice.
            chosen.extend(f for f in files if f.path == seen[same])
            continue
        file, found, bad = _read(path)
        faults.extend(found)
        broken |= bad
        if file is None:
            unreadable = True
            continue
        files.append(file)
        if path != base:
            chosen.append(file)
    faults.extend(_clashes(files, broken))
    if document_section.SECTION not in broken:
        faults.extend(source_faults(files))
    faults.extend(sheet_faults(files, broken))
    selected = dict.fromkeys(i for file in (chosen if paths else files) for i in file.entries)
    faults.sort(key=lambda f: (f.location.file, f.location.line, f.location.column) if f.location else ("", 0, 0))
    return (None if unreadable else Records(files, list(selected), frozenset(broken))), faults


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return path == other


def _clashes(files: Sequence[CatalogueFile], broken: set[str]) -> Iterator[Fault]:
    """Names that mean two entries, and names that mean none."""
    names: dict[str, tuple[CatalogueFile, Entry, str]] = {}
    for file in files:
        for entry_id, entry in file.entries.items():
            if entry_id in names:
                first = names[entry_id][0].locate(entry_id)
                message = f"the id {entry_id!r} is taken by the entry at {first.file}:{first.line}; choose another id"
                yield Fault(message, "", location=file.locate(entry_id))
            else:
                names[entry_id] = (file, entry, "")
    everything = [(file, entry) for file in files for i, entry in file.entries.items() if names[i][1] is entry]
    for file, entry in everything:
        for position, alias in enumerate(entry.aliases):
            field = f"aliases[{position}]"
            other = names.setdefault(alias, (file, entry, field))
            if other[1] is not entry:
                first = other[0].locate(other[1].id, other[2])
                what = "an alias of" if other[2] else "the id of"
                message = (
                    f"the alias {alias!r} is {what} the entry {other[1].id!r} at {first.file}:{first.line}; remove one"
                )
                yield Fault(message, field, location=file.locate(entry.id, field))
    yield from _unknown_relations(everything, names, broken)


def _unknown_relations(
    everything: Sequence[tuple[CatalogueFile, Entry]],
    names: Mapping[str, tuple[CatalogueFile, Entry, str]],
    broken: set[str],
) -> Iterator[Fault]:
    """Ids under ``related`` and ``variants`` that no entry has."""
    known = [name for name, (_, _, field) in names.items() if not field]
    unknown = 0
    for file, entry in everything:
        relations = [(f"related[{n}]", related) for n, related in enumerate(entry.related)]
        for field, related in [*relations, *((f"variants.{v.id}", v.id) for v in entry.variants)]:
            if related in broken or (related in names and not names[related][2]):
                continue
            unknown += 1
            if related in names:
                message = f"{related!r} is an alias; write the id {names[related][1].id!r}"
            else:
                # Looking for near names is slow, and of little use to somebody with a hundred wrong ones.
                hint = nearest(related, known) if unknown * len(known) <= MAX_COMPARISONS else ""
                message = f"no entry has the id {related!r}{hint or '; remove it'}"
            from kb.source import AT_KEY

            yield Fault(message, field, location=file.locate(entry.id, field, AT_KEY))
            if unknown >= MAX_FAULTS:
                return


def _read(path: StrPath) -> tuple[CatalogueFile | None, list[Fault], frozenset[str]]:
    """The well-formed entries of a file, its faults, and the ids of the entries that have some."""
    name = os.fspath(path)
    known = _Cached.of(name)
    if known is not None:
        file = known.read()
        if file is not None:
            return file, [], frozenset()
    from kb.source import read_source

    try:
        source = read_source(name)
    except CatalogueError as error:
        return None, list(error.faults), frozenset()
    file, faults, broken = _check(source, name)
    file.__dict__["_source"] = source
    if known is not None and not faults:
        known.write(file)
    return file, faults, broken


def _check(source: Source, name: str) -> tuple[CatalogueFile, list[Fault], frozenset[str]]:
    from kb.schema import to_entry
    from kb.sections import to_documents, to_sheets

    entries: dict[str, Entry] = {}
    documents: tuple[Document, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    faults = list(source.faults)
    broken: set[str] = {fault.location.path.split(".")[0] for fault in faults if fault.location}
    for entry_id, data in source.data.items():
        try:
            if entry_id == document_section.SECTION:
                documents = to_documents(data)
            elif entry_id == sheet_section.SECTION:
                sheets = to_sheets(data)
            else:
                entries[entry_id] = to_entry(entry_id, data, name)
        except CatalogueError as error:
            broken.add(entry_id)
            for fault in error.faults:
                faults.append(replace(fault, location=source.locate(entry_id, fault.field, fault.start)))
        if len(faults) >= MAX_FAULTS:
            faults = faults[:MAX_FAULTS]
            last = faults[-1].location
            faults.append(Fault("there are more faults after these; mend these first", location=last))
            break
    return CatalogueFile(name, entries, documents, sheets), faults, frozenset(broken)


class _Cached:
    """Where the records of one state of one file are kept, and what identifies that state."""

    def __init__(self, file: str, cache: str, key: dict[str, str | int]) -> None:
        self.file = file
        self.cache = cache
        self.key = key

    @classmethod
    def of(cls, file: str) -> _Cached | None:
        """None where the file cannot be read, or there is no cache directory."""
        import hashlib

        absolute = os.path.realpath(file)
        path = cache_path(f"records-{hashlib.sha256(os.fsencode(absolute)).hexdigest()[:32]}.json")
        try:
            status = os.stat(file)
            if path is None or not stat.S_ISREG(status.st_mode) or status.st_size > 5_000_000:
                return None
            with open(file, "rb") as stream:
                content = hashlib.sha256(stream.read(5_000_001)).hexdigest()
            code = hashlib.sha256()
            for name in _CODE:
                with open(os.path.join(_HERE, f"{name}.py"), "rb") as stream:
                    code.update(stream.read())
        except (OSError, ValueError):
            return None
        key: dict[str, str | int] = {
            "path": absolute,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "sha256": content,
            "code": code.hexdigest(),
        }
        return cls(file, path, key)

    def read(self) -> CatalogueFile | None:
        """The file, or None if it is not there, not this one, or not whole."""
        import hashlib
        import json

        try:
            first, _, payload = (read_kept(self.cache) or "").partition("\n")
            header = json.loads(first)
            if header != self.key | {"payload": hashlib.sha256(payload.encode()).hexdigest()}:
                return None
            rows, documents, sheets = json.loads(payload)
            entries = {row["id"]: _restore(row, self.file) for row in rows}
            return CatalogueFile(
                self.file,
                entries,
                tuple([_restore_document(row) for row in documents]),
                tuple([_restore_sheet(row) for row in sheets]),
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def write(self, file: CatalogueFile) -> None:
        """Keep what the file holds; a cache that cannot be written is no fault."""
        import hashlib
        import json

        payload = json.dumps(_plain((tuple(file.entries.values()), file.documents, file.sheets)), separators=(",", ":"))
        header = self.key | {"payload": hashlib.sha256(payload.encode()).hexdigest()}
        keep(self.cache, json.dumps(header) + "\n" + payload)


def _plain(value: Any) -> Any:
    """Records as JSON: dictionaries of the fields that are not left at their defaults."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not hasattr(value, "__dataclass_fields__"):
        return value
    row = {}
    for name, default in _defaults(value.__class__).items():
        item = getattr(value, name)
        if item != default:
            row[name] = _plain(item) if item.__class__ is not str else item
    return row


@cache
def _defaults(record: Any) -> dict[str, Any]:
    """The fields of a record that are written in a file, and what they are if they are not."""
    return {f.name: f.default for f in fields(record) if f.name != "origin"}


def _restore(row: dict[str, Any], origin: str) -> Entry:
    """The entry of one row of the cache."""
    row["symbols"] = tuple([Symbol(**_tuples(s)) for s in row.get("symbols", ())])
    row["claims"] = tuple([NamedClaim(**c) for c in row.get("claims", ())])
    row["references"] = tuple([Reference(**_tuples(r)) for r in row.get("references", ())])
    row["sources"] = tuple([SourceItem(**s) for s in row.get("sources", ())])
    row["frameworks"] = tuple([(name, path) for name, path in row.get("frameworks", ())])
    row["variants"] = tuple([_restore_variant(v) for v in row.get("variants", ())])
    if row.get("plot") is not None:
        row["plot"] = tuple([Plot(**_deep(p)) for p in row["plot"]])
    if "objective" in row:
        row["objective"] = Objective(**_tuples(row["objective"]))
    return Entry(**_tuples(row), origin=origin)


def _restore_variant(row: dict[str, Any]) -> Variant:
    return Variant(row["id"], row["about"], tuple([(name, text) for name, text in row.get("given", ())]))


def _restore_document(row: dict[str, Any]) -> Document:
    return Document(**row | {"items": tuple([(key, title) for key, title in row["items"]])})


def _restore_sheet(row: dict[str, Any]) -> Sheet:
    sections = tuple([SheetSection(**_deep(section)) for section in row["sections"]])
    return Sheet(**_deep(row) | {"sections": sections})


def _deep(row: dict[str, Any]) -> dict[str, Any]:
    def frozen(value: Any) -> Any:
        return tuple([frozen(item) for item in value]) if type(value) is list else value

    return {key: frozen(value) for key, value in row.items()}


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if type(value) is list else value for key, value in row.items()}
