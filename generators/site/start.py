"""What the start page shows of the catalogue, chosen by what the entries are and not by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from generators.sources import DocumentView, SourceView
from generators.views import EntryView

_LONGEST = 90  # characters of a formula that fits beside the words
_DIGITS = re.compile(r"\d+\.\d{4,}")


def example(entries: Sequence[EntryView]) -> EntryView | None:
    """The entry that most others use or are related to, among those that are verified and short."""
    related = Counter(other for view in entries for other in view.entry.related)
    by_mentions = sorted(entries, key=lambda view: -len(view.used_by) - related[view.id])
    return next((view for view in by_mentions if _is_short(view)), None)


def _is_short(view: EntryView) -> bool:
    if view.verdict != "verified" or len(view.entry.differentiate) != 1 or not _fits(view.formula.latex):
        return False
    return _fits(view.partials[0].formula.latex)


def _fits(latex: str) -> bool:
    return len(latex) <= _LONGEST and "\\\\" not in latex


def refuted(documents: Sequence[DocumentView]) -> SourceView | None:
    """Of the formulas that documents print wrongly, the one with the shortest proof."""
    return min(_refuted(documents), key=lambda item: len(item.counterexample), default=None)


def _refuted(documents: Sequence[DocumentView]) -> Iterator[SourceView]:
    for document in documents:
        for item in document.items:
            if item.claim is not None and item.counterexample and item.claim.verdict == "verified":
                yield item


def short_numbers(text: str) -> str:
    """A text with at most four digits of each number."""
    return _DIGITS.sub(lambda found: f"{float(found[0]):.4g}", text)
