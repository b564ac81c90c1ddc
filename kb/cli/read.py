"""list, search and show: commands that only read the records."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from kb.catalogue import Catalogue, load_catalogue
from kb.cli.terminal import columns_of, harmless, on_terminal, pad, paint, print_json, shorten, width
from kb.errors import NotFound, nearest
from kb.model import Entry, SourceItem

if TYPE_CHECKING:
    from kb.equation import Equation
    from kb.variants import Counterpart

_ALL = "; 'eqkb list' shows all entries"
_LIST = 240  # columns at most
_LEAST_NAME = 20  # columns; a narrower terminal shows fewer columns before the name


def catalogue_of(options: argparse.Namespace) -> Catalogue:
    """The shipped catalogue with the files of ``--catalogue`` laid over it."""
    return load_catalogue(*options.catalogue)


def of_topics(catalogue: Catalogue, topics: Sequence[str]) -> list[Entry]:
    """The entries of some topics, all of them without any. Raises NotFound for an unknown topic."""
    entries = [catalogue.entry(i) for i in catalogue]
    known = list(dict.fromkeys(e.topic for e in entries))
    for topic in topics:
        if topic not in known:
            hint = nearest(topic[:60], known) or f"; topics are {', '.join(known)}"
            raise NotFound(f"there is no topic {topic[:60]!r}{hint}")
    return [e for e in entries if not topics or e.topic in topics]


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
        print_json([summary(e) for e in entries])
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


def summary(entry: Entry) -> dict[str, Any]:
    """An entry in one row of ``list --json``."""
    return {
        "id": entry.id,
        "name": entry.name,
        "kind": entry.kind,
        "topic": entry.topic,
        "about": entry.about,
        "aliases": list(entry.aliases),
        "tags": list(entry.tags),
    }


# --- show ----------------------------------------------------------------------------------------


def show_command(options: argparse.Namespace) -> int:
    """``eqkb show``."""
    catalogue = catalogue_of(options)
    if options.json:
        print_json(full(catalogue[options.id], catalogue.variants(options.id)))
        return 0
    from kb.cli.pages import rendered
    from kb.cli.show import page

    entry = catalogue.entry(options.id)
    print("\n".join(page(entry, rendered(catalogue, entry.id))))
    return 0


def stored_evidence(equation: Equation) -> Any:
    """Evidence of an earlier check that still holds; None where there is none."""
    return equation.stored_evidence()


def full(equation: Equation, variants: Sequence[Counterpart]) -> dict[str, Any]:
    """An entry in ``show --json``."""
    entry = equation.entry
    evidence = stored_evidence(equation)
    claims = [{"name": c.name, "formula": c.text, "about": c.about, "refuted": c.refuted} for c in entry.claims]
    return summary(entry) | {
        "symbols": [_plain(s) | {"latex": equation.symbols[s.name].latex} for s in entry.symbols],
        "define": list(entry.define),
        "text": equation.text(),
        "latex": equation.latex(),
        "claims": claims,
        "requires": list(entry.requires),
        "kinks": list(entry.kinks),
        "differentiate": list(entry.differentiate),
        "differentiable": list(equation.differentiable),
        "objective": _plain(entry.objective) if entry.objective else None,
        "frameworks": dict(entry.frameworks),
        "related": list(entry.related),
        "variants": [variant._asdict() for variant in variants],
        "sources": [source_row(s) for s in entry.sources],
        "notes": list(entry.notes),
        "references": [_plain(r) for r in entry.references],
        "evidence": evidence.as_json() if evidence is not None else {"verdict": "not checked"},
    }


def source_row(source: SourceItem) -> dict[str, Any]:
    """An item of a document that an entry covers, in JSON."""
    return {"ref": source.item} | {name: v for name, v in _plain(source).items() if name != "item"}


def _plain(record: Any) -> dict[str, Any]:
    """A record as a dictionary; tuples become lists."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
