"""sources: documents item by item, with the entries that cover them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, get_args

from kb.cli.read import catalogue_of
from kb.cli.terminal import columns_of, harmless, on_terminal, pad, paint, print_json, shorten, width, wrap
from kb.coverage import UNCOVERED, VERIFIED, Covered, covered, entries_of
from kb.model import Finding

if TYPE_CHECKING:
    from kb.catalogue import Catalogue

_LEAST_TITLE, _MOST_TITLE = 16, 60
_COLOURS = {VERIFIED: "green", "refuted": "red", UNCOVERED: "red"}


def sources_command(options: argparse.Namespace) -> int:
    """``eqkb sources``."""
    from generators.evidence import gather
    from kb.cli.work import processes

    catalogue = catalogue_of(options)
    ids = entries_of(catalogue, options.which)
    items = covered(catalogue, options.which, gather(catalogue, ids, processes()))
    if options.json:
        print_json([item.as_json() for item in items])
    elif options.which is not None and "/" in options.which:
        print("\n".join(_page(catalogue, items[0])))
    elif items:
        print("\n".join(_table(catalogue, items)))
    else:
        print("there are no items of documents here", file=sys.stderr)
    return 1 if any(item.verdict != VERIFIED for item in items) else 0


def _table(catalogue: Catalogue, items: Sequence[Covered]) -> Iterator[str]:
    """A line for each item, its note below; the documents have headings, and the numbers come last."""
    refs = max(columns_of(item.ref) for item in items)
    entries = max(columns_of(item.entry or "") for item in items)
    marks = max(columns_of(_mark(item)) for item in items)
    titles = max(columns_of(harmless(item.title)) for item in items)
    room = min(titles, _MOST_TITLE, width() - refs - entries - marks - 6)
    in_line = room >= min(titles, _LEAST_TITLE)
    document = ""
    for item in items:
        key = item.ref.partition("/")[0]
        if key != document:
            yield from ["", *_titled(_document_title(catalogue, key))][not document :]
            document = key
        mark = paint(_mark(item), _COLOURS.get(item.verdict, "yellow"))
        title = harmless(item.title)
        if in_line:
            shown = shorten(title, room) if on_terminal() else title
            yield f"{pad(item.ref, refs)}  {pad(shown, room)}  {pad(item.entry or '', entries)}  {mark}".rstrip()
        else:
            yield from wrap(item.ref, "", "  ")
            yield f"  {mark}"
            yield from wrap(f"{title}: {item.entry or 'no entry'}", "  ")
        yield from (paint(line, "dim") for line in _note(item, " " * (refs + 2 if in_line else 4)))
    yield ""
    yield from wrap(_summary(items), "", "  ")


def _document_title(catalogue: Catalogue, key: str) -> str:
    document = catalogue.records.documents[key]
    return harmless(f"{document.title} ({document.date})" if document.date else document.title)


def _mark(item: Covered) -> str:
    return "✓" if item.verdict == VERIFIED else item.verdict


def _note(item: Covered, indent: str) -> list[str]:
    text = _finding(item)
    return wrap(text, indent) if text else []


def _finding(item: Covered) -> str:
    """What was found there, unless it is right and there is nothing to say."""
    if item.finding in (None, "right"):
        return harmless(item.note)
    return f"{item.finding}: {harmless(item.note)}"


def _summary(items: Sequence[Covered]) -> str:
    """``204 of 204 verified; 47 right, 12 error``."""
    found = Counter(item.finding for item in items)
    counts = [f"{found[finding]} {finding}" for finding in get_args(Finding) if found[finding]]
    missing = found[None]
    counts += [f"{missing} {UNCOVERED}"] if missing else []
    verified = sum(item.verdict == VERIFIED for item in items)
    return f"{verified} of {len(items)} verified; {', '.join(counts)}"


def _page(catalogue: Catalogue, item: Covered) -> Iterator[str]:
    """One item: what is right, what is printed there, and the numbers that show the difference."""
    from kb.cli.breaking import statement_lines
    from kb.evidence.record import counterexample_parts

    yield from _titled(f"{item.ref}: {harmless(item.title)}")
    yield from (paint(line, "dim") for line in wrap(_document_title(catalogue, item.ref.partition("/")[0])))
    if item.entry is None or item.source is None:
        yield from wrap("no entry covers it")
        return
    if item.source.use:
        yield from wrap(f"use: {harmless(item.source.use)}")
    yield from wrap(_finding(item) or "right as it stands")
    equation = catalogue[item.entry]
    yield from ["", *_titled(f"The entry {item.entry}, {item.verdict}")]
    for text in equation.text().split("\n"):
        yield from statement_lines(text, width(), "    ")
    if item.claim is not None:
        yield from ["", *_titled("What is printed there, and false")]
        yield from statement_lines(equation.formula_text(item.claim.text), width(), "    ")
    if item.counterexample is not None:
        yield from ["", *_titled("Counter-example")]
        point, found = counterexample_parts(item.counterexample)
        for text in point:
            yield from wrap(harmless(text), "    ", "        ")
        found = found if found.startswith("sides: ") else f"sides {found}"
        yield from wrap(f"both {harmless(found)}", "    ", "        ")


def _titled(text: str) -> list[str]:
    return [paint(line, "bold") for line in wrap(text, "", "  ")]
