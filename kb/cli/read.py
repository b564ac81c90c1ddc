"""list, search and show: commands that only read the records."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kb.answers import entry_answer, entry_summary
from kb.catalogue import Catalogue, load_catalogue
from kb.cli.terminal import columns_of, harmless, on_terminal, pad, paint, print_json, shorten, width
from kb.errors import EqkbError, NotFound, nearest
from kb.model import Entry

if TYPE_CHECKING:
    from kb.equation import Equation

_ALL = "; 'eqkb list' shows all entries"
_LIST = 240  # columns at most
_LEAST_NAME = 20  # columns; a narrower terminal shows fewer columns before the name


def catalogue_of(options: argparse.Namespace) -> Catalogue:
    """The shipped catalogue with the files of ``--catalogue`` laid over it."""
    return load_catalogue(*options.catalogue, notation=getattr(options, "notation", "plain"))


def of_topics(catalogue: Catalogue, topics: Sequence[str]) -> list[Entry]:
    """The entries of some topics, all of them without any. Raises NotFound for an unknown topic."""
    entries = [catalogue.entry(i) for i in catalogue]
    known = list(dict.fromkeys(e.topic for e in entries))
    for topic in topics:
        if topic not in known:
            hint = nearest(topic[:60], known) or f"; topics are {', '.join(known)}"
            raise NotFound(f"there is no topic {topic[:60]!r}{hint}")
    return [e for e in entries if not topics or e.topic in topics]


def selected(catalogue: Catalogue, options: argparse.Namespace) -> list[str]:
    """The ids of the entries that are named, by themselves or by topics; all without any."""
    if options.ids and options.topic:
        raise EqkbError("name entries or topics, not both")
    if options.ids:
        return list(dict.fromkeys(catalogue.entry(i).id for i in options.ids))
    return [e.id for e in of_topics(catalogue, options.topic or [])]


def require_usable(catalogue: Catalogue, ids: list[str]) -> None:
    """Report the faults of all entries at once, before anything is written."""
    from kb.errors import CatalogueError

    faults = [fault for entry_id in ids for fault in catalogue.faults(entry_id)]
    if faults:
        raise CatalogueError(list(dict.fromkeys(faults)))


def list_command(options: argparse.Namespace) -> int:
    """``eqkb list``."""
    topics = [options.topic] if options.topic is not None else []
    entries = of_topics(catalogue_of(options), topics)
    _print_entries([e for e in entries if options.kind in (None, e.kind)], options.json)
    return 0


def search_command(options: argparse.Namespace) -> int:
    """``eqkb search``."""
    from kb.search import search

    catalogue = catalogue_of(options)
    entries = [catalogue.entry(i) for i in catalogue]
    found = [entry for _, entry in search(entries, options.words)]
    if not found and not options.json:
        raise NotFound(_nothing_found(entries, options.words))
    _print_entries(found, options.json)
    return 0


def _nothing_found(entries: Sequence[Entry], words: Sequence[str]) -> str:
    from kb.search import partly

    text = " ".join(words)
    hint = nearest("_".join(text.lower().split())[:60], [name for e in entries for name in (e.id, *e.aliases)])
    some = partly(entries, words) if len(text.split()) > 1 and not hint else []
    hint = f"; some of it is in {', '.join(some)}" if some else hint
    return f"nothing is like {text[:60]!r}{hint or _ALL}"


def _print_entries(entries: Sequence[Entry], as_json: bool) -> None:
    """One line for each; a terminal too narrow for all columns shows the id and as much of the name as fits."""
    if as_json:
        print_json([entry_summary(e) for e in entries])
        return
    if not entries:
        return
    sizes = [max(map(columns_of, column)) for column in zip(*map(_row, entries), strict=True)]
    rooms = {columns: width(_LIST) - sum(sizes[n] + 2 for n in columns) for columns in ((0, 1, 2), (0, 2), (0,))}
    columns = next((columns for columns, room in rooms.items() if room >= _LEAST_NAME), (0,))
    room = rooms[columns]
    for entry in entries:
        row = _row(entry)
        first, *others = [pad(row[n], sizes[n]) for n in columns]
        line = "  ".join([paint(first, "bold"), *(paint(cell, "dim") for cell in others)])
        name = harmless(entry.name)
        if on_terminal():
            name = shorten(name, room) if room > 3 else ""
        print(f"{line}  {name}".rstrip())


def _row(entry: Entry) -> tuple[str, str, str]:
    return entry.id, entry.kind, entry.topic


# --- show ----------------------------------------------------------------------------------------


def show_command(options: argparse.Namespace) -> int:
    """``eqkb show``."""
    catalogue = catalogue_of(options)
    if options.json:
        equation = catalogue[options.id]
        print_json(entry_answer(equation, catalogue.variants(options.id), stored_evidence(equation)))
        return 0
    from kb.cli.pages import rendered
    from kb.cli.show import page

    entry = catalogue.entry(options.id)
    print("\n".join(page(entry, rendered(catalogue, entry.id))))
    return 0


def stored_evidence(equation: Equation) -> Any:
    """Evidence of an earlier check that still holds; None where there is none."""
    return equation.stored_evidence()
