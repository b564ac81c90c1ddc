"""list, search and show: commands that only read the records."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from kb.catalogue import Catalogue, load_catalogue
from kb.cli.terminal import columns_of, harmless, pad, paint, print_json, shorten, table, width, wrap
from kb.errors import NotFound, nearest
from kb.model import Entry, Symbol

if TYPE_CHECKING:
    from kb.equation import Equation

_ALL_SHOWN = 12


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
    found = search((catalogue.entry(i) for i in catalogue), options.words)
    if not found and not options.json:
        raise NotFound(f"nothing is like {' '.join(options.words)[:60]!r}; 'eqkb list' shows all entries")
    _print_entries([entry for _, entry in found], options.json)
    return 0


def _print_entries(entries: Sequence[Entry], as_json: bool) -> None:
    if as_json:
        print_json([summary(e) for e in entries])
        return
    widest = max((len(e.id) for e in entries), default=0)
    kind = max((len(e.kind) for e in entries), default=0)
    topic = max((len(e.topic) for e in entries), default=0)
    for e in entries:
        head = f"{paint(pad(e.id, widest), 'bold')}  {pad(e.kind, kind)}  {pad(e.topic, topic)}  "
        room = width() - widest - kind - topic - 6
        print(head + (shorten(harmless(e.name), room) if room > 10 else harmless(e.name)))


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
        print_json(full(catalogue[options.id]))
        return 0
    from kb.cli.pages import rendered

    entry = catalogue.entry(options.id)
    print("\n".join(page(entry, rendered(catalogue, entry.id))))
    return 0


def page(entry: Entry, formulas: Mapping[str, Any]) -> list[str]:
    """The whole entry for a terminal; ``formulas`` as in ``pages.rendered``."""
    lines = [f"{paint(harmless(entry.name), 'bold')}  {paint(f'{entry.id} · {entry.kind} · {entry.topic}', 'dim')}"]
    lines += wrap(harmless(entry.about))
    lines += ["", *(f"    {line}" for line in formulas["text"].splitlines())]
    lines += _section("Symbols", table(_symbol_row(s, formulas["symbols"][s.name]) for s in entry.symbols))
    lines += _section("Claims", _claims(entry, formulas["claims"]))
    if entry.requires or entry.kinks:
        conditions = [("requires", t) for t in formulas["requires"]]
        lines += _section("Conditions", table([*conditions, *(("kink", t) for t in formulas["kinks"])]))
    lines += _section("Derivatives", _derivatives(entry, formulas["derivatives"]))
    lines += _section("Evidence", ["  " + evidence_line(entry, formulas["evidence"])])
    lines += _section("Notes", [line for note in entry.notes for line in wrap(f"- {harmless(note)}", hanging="    ")])
    lines += _section("Elsewhere", table((name, harmless(path)) for name, path in entry.frameworks))
    others = [("aliases", entry.aliases), ("tags", entry.tags), ("related", entry.related)]
    lines += _section("See also", table((what, ", ".join(map(harmless, words))) for what, words in others if words))
    lines += _section(
        "References", [line for r in entry.references for line in wrap(f"- {_reference(r)}", hanging="    ")]
    )
    return lines


def _section(title: str, lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return ["", paint(title, "bold"), *lines] if lines else []


def _symbol_row(symbol: Symbol, glyph: str) -> tuple[str, str, str, str]:
    shape = f"[{', '.join(symbol.shape)}]" if symbol.shape else ""
    what = {"label": f"label of {symbol.classes}", "real": symbol.domain}.get(symbol.kind, symbol.kind)
    if symbol.instance is not None:
        what += f" {symbol.instance}"
    role = "" if symbol.role == "input" else symbol.role
    default = f"default {symbol.default}" if symbol.default is not None else ""
    name = symbol.name if glyph == symbol.name else f"{symbol.name} ({glyph})"
    about = ", ".join(t for t in (role, default, harmless(symbol.about)) if t)
    return f"{name} : {shape}" if shape else name, what, "", about


def _claims(entry: Entry, formulas: Sequence[str]) -> list[str]:
    rows = []
    for claim, formula in zip(entry.claims, formulas, strict=True):
        about = f"   ({harmless(claim.about)})" if claim.about else ""
        refuted = "refuted: " if claim.refuted else ""
        rows.append((claim.name, f"{refuted}{formula}{about}"))
    widest = max((columns_of(name) for name, _ in rows), default=0)
    return [f"  {pad(name, widest)}  {text}" for name, text in rows]


def _derivatives(entry: Entry, formulas: Mapping[str, Sequence[str]]) -> list[str]:
    """The declared derivatives, and how to get the others."""
    lines = [line for shown in formulas.values() for line in shown]
    if lines:
        first = entry.differentiate[0]
        lines.append(
            f"  'eqkb diff {entry.id} --wrt {first} --form vjp' and 'eqkb code {entry.id} --backward' give more"
        )
    return lines


def evidence_line(entry: Entry, found: Sequence[str]) -> str:
    """What an earlier check found, or ``not checked``."""
    if not found:
        return f"not checked; 'eqkb check {entry.id}' gathers it"
    verdict, summary_text = found
    return paint(summary_text, {"verified": "green", "refuted": "red"}.get(verdict, "yellow"))


def stored_evidence(equation: Equation) -> Any:
    """Evidence of an earlier check that still holds; None where there is none."""
    return equation.stored_evidence()


def _reference(reference: Any) -> str:
    authors = ", ".join(reference.authors[:_ALL_SHOWN])
    parts = [authors, f"{reference.title}", reference.venue, str(reference.year or "")]
    where = reference.url or (f"https://doi.org/{reference.doi}" if reference.doi else "")
    where = where or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else "")
    return harmless(". ".join(p for p in [*parts, where] if p))


def full(equation: Equation) -> dict[str, Any]:
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
        "sources": list(entry.sources),
        "notes": list(entry.notes),
        "references": [_plain(r) for r in entry.references],
        "evidence": evidence.as_json() if evidence is not None else {"verdict": "not checked"},
    }


def _plain(record: Any) -> dict[str, Any]:
    """A record as a dictionary; tuples become lists."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
