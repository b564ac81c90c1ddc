"""Documents item by item as the plain data that templates see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from generators.parts import ClaimView, Link
from kb.coverage import UNCOVERED, VERIFIED, Covered, covered, documents_of
from kb.model import Document, Finding, SourceItem

if TYPE_CHECKING:
    from generators.views import EntryView
    from kb.catalogue import Catalogue
    from kb.evidence import Evidence


@dataclass(frozen=True)
class SourceView:
    """An item of a document: what was found there and, where it states something false, what and by which numbers."""

    ref: str
    title: str
    document: Document
    finding: str
    note: str = ""
    use: str = ""
    entry: Link | None = None
    has_page: bool = False
    verdict: str = UNCOVERED
    claim: ClaimView | None = None
    counterexample: str = ""


@dataclass(frozen=True)
class DocumentView:
    """A document and all of its items, in its order."""

    document: Document
    items: tuple[SourceView, ...]

    @property
    def verified(self) -> int:
        """How many items are covered by an entry whose evidence holds."""
        return sum(item.verdict == VERIFIED for item in self.items)

    @property
    def findings(self) -> str:
        """``18 right, 1 error``."""
        found = [item.finding for item in self.items]
        return ", ".join(f"{found.count(word)} {word}" for word in (*get_args(Finding), UNCOVERED) if word in found)


def sources_of(view: EntryView) -> tuple[SourceView, ...]:
    """What an entry covers, in its own order."""
    documents = view.catalogue.records.documents
    made = []
    for source in view.entry.sources:
        document = documents[source.document]
        item = Covered(source.item, dict(document.items)[source.key], view.id, source, view.verdict)
        made.append(_source(item, source, document, view))
    return tuple(made)


def documents(
    catalogue: Catalogue, entries: Sequence[EntryView], evidence: Mapping[str, Evidence]
) -> tuple[DocumentView, ...]:
    """The documents that the entries draw on, whole; items that other entries cover have no page to lead to."""
    pages = {view.id: view for view in entries}
    made = []
    for document in documents_of(catalogue):
        items = [_item(catalogue, item, document, pages) for item in covered(catalogue, document.key, evidence)]
        made.append(DocumentView(document, tuple(items)))
    return tuple(made)


def _item(catalogue: Catalogue, item: Covered, document: Document, pages: Mapping[str, EntryView]) -> SourceView:
    if item.entry is None or item.source is None:
        return SourceView(item.ref, item.title, document, UNCOVERED)
    if item.entry in pages:
        return _source(item, item.source, document, pages[item.entry])
    link = Link(item.entry, catalogue.entry(item.entry).name)
    source = item.source
    return SourceView(
        item.ref, item.title, document, source.finding, source.note, source.use, link, verdict=item.verdict
    )


def _source(item: Covered, source: SourceItem, document: Document, view: EntryView) -> SourceView:
    checks = view.evidence.about("claims") if view.evidence is not None else ()
    numbers = next((c.shown_counterexample for c in checks if c.name == source.claim), "")
    claim = next((c for c in view.claims if c.name == source.claim), None)
    link = Link(view.id, view.entry.name)
    return SourceView(
        item.ref,
        item.title,
        document,
        source.finding,
        source.note,
        source.use,
        link,
        True,
        item.verdict,
        claim,
        numbers if claim is not None else "",
    )
