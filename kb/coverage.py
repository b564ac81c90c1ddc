"""Items of documents with the entries that cover them: what was found there, and whether the entry is verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kb.errors import NotFound, nearest
from kb.model import Document, SourceItem

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.evidence import Evidence
    from kb.model import Entry, NamedClaim

VERIFIED, UNCOVERED, NOT_CHECKED = "verified", "uncovered", "not checked"


@dataclass(frozen=True)
class Covered:
    """An item of a document, and the entry that covers it if any does.

    ``source`` is what the entry says of it; ``claim`` the claim that states what is printed there,
    where that is wrong, and ``counterexample`` the numbers that refute it, as in a check of the
    evidence. ``verdict`` is that of the entry: ``verified``, ``refuted``, ``unknown`` or
    ``not checked``, and ``uncovered`` without one.
    """

    ref: str
    title: str
    entry: str | None = None
    source: SourceItem | None = None
    verdict: str = UNCOVERED
    claim: NamedClaim | None = None
    counterexample: Mapping[str, Any] | None = None

    @property
    def finding(self) -> str | None:
        """How right the document is there; None where nothing covers the item."""
        return self.source.finding if self.source is not None else None

    @property
    def note(self) -> str:
        """What is printed there and what is right, where that differs."""
        return self.source.note if self.source is not None else ""

    def as_json(self) -> dict[str, Any]:
        """Plain data: ``ref``, ``title``, ``entry``, ``verdict``, ``finding``, ``note``, ``use``, ``claim``, ..."""
        claim = None if self.claim is None else {"name": self.claim.name, "formula": self.claim.text}
        return {
            "ref": self.ref,
            "title": self.title,
            "entry": self.entry,
            "verdict": self.verdict,
            "finding": self.finding,
            "note": self.note,
            "use": self.source.use if self.source is not None else "",
            "claim": claim,
            "counterexample": self.counterexample,
        }


def covered(
    catalogue: Catalogue, which: str | None = None, evidence: Mapping[str, Evidence] | None = None
) -> tuple[Covered, ...]:
    """Items in the order of their documents; without ``evidence`` with what is stored of it.

    ``which`` is the key of a document, an item (``document/key``) or an entry; without it all
    documents that the entries of the catalogue draw on. Raises NotFound with the nearest names.
    """
    refs = items_of(catalogue, which)
    if evidence is None:
        found = {i: catalogue[i].stored_evidence() for i in entries_of(catalogue, which)}
        evidence = {i: stored for i, stored in found.items() if stored is not None}
    covering = _covering(catalogue)
    titles = {d.key: dict(d.items) for d in catalogue.records.documents.values()}
    return tuple(_covered(ref, titles, covering.get(ref), evidence) for ref in refs)


def entries_of(catalogue: Catalogue, which: str | None = None) -> list[str]:
    """The ids of the entries that cover these items, in the order of the items."""
    covering = _covering(catalogue)
    return list(dict.fromkeys(covering[ref][0].id for ref in items_of(catalogue, which) if ref in covering))


def items_of(catalogue: Catalogue, which: str | None = None) -> list[str]:
    """The items of a document, of an entry, or of all documents, written document/key. Raises NotFound."""
    documents = catalogue.records.documents
    if which is None:
        return [ref for document in documents_of(catalogue) for ref in _refs(document)]
    if which in documents:
        return _refs(documents[which])
    if "/" in which:
        return [_item(which, documents)]
    if which in catalogue:
        return [source.item for source in catalogue.entry(which).sources]
    shown = which[:60]
    known = [*documents, *catalogue.records]
    hint = nearest(shown, known) or f"; documents are {', '.join(documents)}"
    raise NotFound(f"no document and no entry is called {shown!r}{hint}")


def documents_of(catalogue: Catalogue) -> list[Document]:
    """The documents that the entries of the catalogue, or the files that they stand in, draw on."""
    records = catalogue.records
    selected = set(records.selected)
    wanted = {source.document for i in selected if i in records for source in records[i].sources}
    for file in records.files:
        if not selected.isdisjoint(file.entries):
            wanted |= {document.key for document in file.documents}
    return [document for key, document in records.documents.items() if key in wanted]


def _refs(document: Document) -> list[str]:
    return [f"{document.key}/{key}" for key, _ in document.items]


def _item(which: str, documents: Mapping[str, Document]) -> str:
    document, _, key = which.partition("/")
    shown = which[:100]
    if document not in documents:
        hint = nearest(document[:60], list(documents)) or f"; documents are {', '.join(documents)}"
        raise NotFound(f"no document is called {document[:60]!r}{hint}")
    keys = [known for known, _ in documents[document].items]
    if key not in keys:
        hint = nearest(key[:60], keys) or f"; 'eqkb sources {document}' shows its items"
        raise NotFound(f"there is no item {shown!r}{hint}")
    return which


def _covering(catalogue: Catalogue) -> dict[str, tuple[Entry, SourceItem]]:
    """The first entry that covers each item."""
    found: dict[str, tuple[Entry, SourceItem]] = {}
    for entry in catalogue.records.values():
        for source in entry.sources:
            found.setdefault(source.item, (entry, source))
    return found


def _covered(
    ref: str,
    titles: Mapping[str, Mapping[str, str]],
    covering: tuple[Entry, SourceItem] | None,
    evidence: Mapping[str, Evidence],
) -> Covered:
    document, _, key = ref.partition("/")
    title = titles[document][key]
    if covering is None:
        return Covered(ref, title)
    entry, source = covering
    found = evidence.get(entry.id)
    verdict = found.verdict if found is not None else NOT_CHECKED
    claim = next((c for c in entry.claims if c.name == source.claim), None)
    checks = found.about("claims") if found is not None and claim is not None else ()
    numbers = next((c.counterexample for c in checks if c.name == source.claim), None)
    return Covered(ref, title, entry.id, source, verdict, claim, numbers)
