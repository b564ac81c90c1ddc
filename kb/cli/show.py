"""The page of an entry in a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kb.cli.breaking import statement_lines
from kb.cli.terminal import MOST_COLUMNS, columns_of, fill, harmless, pad, paint, width, wrap
from kb.model import Entry, Reference, SourceItem, Symbol

_ALL_SHOWN = 12
_CELL, _LEAST_LAST = 40, 24  # columns of a cell at most, and of the last one at least
_VERDICTS = {"verified": "green", "refuted": "red"}


def page(entry: Entry, formulas: Mapping[str, Any]) -> list[str]:
    """The whole entry for a terminal; ``formulas`` as in ``pages.rendered``."""
    linked = {*(v[0] for v in formulas["variants"]), *formulas["uses"], *formulas["used_by"]}
    more = [
        ("aliases", entry.aliases),
        ("tags", entry.tags),
        ("related", [i for i in entry.related if i not in linked]),
        ("uses", formulas["uses"]),
        ("used by", formulas["used_by"]),
    ]
    references = [line for r in entry.references for line in _item(reference_text(r))]
    return [
        *_title(entry),
        *wrap(harmless(entry.about)),
        "",
        *(line for text in formulas["text"] for line in _formula_lines(text, "    ")),
        *_section("Symbols", _table(_symbol(s, *formulas["symbols"][s.name]) for s in entry.symbols)),
        *_section("Conditions", _conditions(formulas)),
        *_section("Derivatives", _derivatives(entry, formulas["derivatives"])),
        *_section("Claims", _claims(entry, formulas["claims"])),
        *_section("Evidence", _evidence(entry, formulas["evidence"])),
        *_section("Notes", (line for note in entry.notes for line in _item(harmless(note)))),
        *_section("Variants", _variants(entry, formulas["variants"])),
        *_section("See also", _table((what, ", ".join(map(harmless, words))) for what, words in more if words)),
        *_section("Frameworks", _table((name, harmless(path)) for name, path in entry.frameworks)),
        *_section("References", references),
        *_section("Sources", _table((s.item, _found(s)) for s in entry.sources)),
    ]


def _title(entry: Entry) -> list[str]:
    name, rest = harmless(entry.name), f"{entry.id} · {entry.kind} · {entry.topic}"
    if columns_of(name) + 2 + columns_of(rest) <= width():
        return [f"{paint(name, 'bold')}  {paint(rest, 'dim')}"]
    return [
        *(paint(line, "bold") for line in wrap(name, "", "  ")),
        *(f"  {paint(line.strip(), 'dim')}" for line in wrap(rest, "  ", "  ")),
    ]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return ["", paint(title, "bold"), *lines] if lines else []


def _item(text: str) -> list[str]:
    return wrap(f"- {text}", hanging="    ")


def _formula_lines(text: str, indent: str) -> list[str]:
    return statement_lines(text, width(MOST_COLUMNS), indent)


def _table(rows: Iterable[Sequence[str]], indent: str = "  ", most: int = _CELL) -> list[str]:
    """Rows with their columns aligned; the last column is wrapped under itself.

    A first cell of more than ``most`` columns does not widen its column: the next cell goes to a
    new line. Where little room is left for the last column it goes below the others.
    """
    listed = [list(row) for row in rows]
    if not listed:
        return []
    most = min(most, width() // 2)
    columns = range(len(listed[0]) - 1)
    sizes = [max([c for row in listed if (c := columns_of(row[n])) <= most], default=0) for n in columns]
    head = len(indent) + sum(sizes) + 2 * len(sizes)
    lines: list[str] = []
    for row in listed:
        cells = [pad(cell, size) for cell, size in zip(row, sizes, strict=False)]
        last = fill(row[-1], width() - head)
        longest = max(map(columns_of, row[-1].split()), default=0)
        if width() - head < _LEAST_LAST or longest > width() - head:
            lines += _formula_lines(", ".join(cell for cell in row[:-1] if cell), indent)
            lines += wrap(row[-1], indent + "    ") if row[-1] else []
            continue
        if columns_of(row[0]) > sizes[0]:
            lines += _formula_lines(row[0], indent)
            cells[0] = " " * sizes[0]
        lines.append((indent + "  ".join([*cells, last[0]])).rstrip())
        lines += [" " * head + text for text in last[1:]]
    return lines


def _named(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Formulas with their names before them and, in the next line, what is said about them.

    Where the names take too much of the room they stand above.
    """
    widest = max((columns_of(name) for name, _, _ in rows), default=0)
    beside = widest <= width() // 4
    lines = []
    for name, formula, about in rows:
        indent = " " * (widest + 4 if beside else 6)
        first, *rest = _formula_lines(formula, indent)
        lines += [f"  {pad(name, widest)}  {first.strip()}"] if beside else [f"  {name}", first]
        lines += rest
        lines += [paint(line, "dim") for line in wrap(f"({about})", indent)] if about else []
    return lines


def _symbol(symbol: Symbol, glyph: str, instance: str, *sizes: str) -> tuple[str, str, str]:
    shape = f" : [{', '.join(sizes)}]" if sizes else ""
    what = {"label": f"label of {symbol.classes}", "real": symbol.domain.replace("_", " ")}.get(
        symbol.kind, symbol.kind
    )
    role = "" if symbol.role == "input" else symbol.role
    default = f"default {symbol.default}" if symbol.default is not None else ""
    name = symbol.name if glyph == symbol.name else f"{symbol.name} ({glyph})"
    about = ", ".join(t for t in (role, default, harmless(symbol.about)) if t)
    return f"{name}{shape}", f"{what} {instance}".rstrip(), about


def _conditions(formulas: Mapping[str, Any]) -> list[str]:
    return _named(
        [
            *(("requires", text, "") for text in formulas["requires"]),
            *(("kink", text, "") for text in formulas["kinks"]),
        ]
    )


def _claims(entry: Entry, formulas: Sequence[str]) -> list[str]:
    return _named(
        [
            (claim.name, f"refuted: {formula}" if claim.refuted else formula, harmless(claim.about))
            for claim, formula in zip(entry.claims, formulas, strict=True)
        ]
    )


def _derivatives(entry: Entry, formulas: Mapping[str, Sequence[str]]) -> list[str]:
    """The declared derivatives, and how to get the others."""
    lines = [line for shown in formulas.values() for text in shown for line in _formula_lines(text, "  ")]
    if lines:
        first = entry.differentiate[0]
        more = f"'eqkb diff {entry.id} --wrt {first} --form vjp' and 'eqkb code {entry.id} --backward' give more"
        lines += [paint(line, "dim") for line in wrap(more)]
    return lines


def _variants(entry: Entry, variants: Sequence[tuple[str, str, str, Sequence[str]]]) -> Iterator[str]:
    """Each with what is different, and both on the same numbers."""
    for other, about, of, lines in variants:
        yield from wrap(
            f"{other}: {'unlike it, this one ' if of == entry.id else ''}{harmless(about)}", hanging="      "
        )
        for line in lines:
            yield from (paint(part, "dim") for part in wrap(line, "    ", "      "))


def _evidence(entry: Entry, found: Sequence[str]) -> list[str]:
    """What an earlier check found, or that there was none."""
    if not found:
        return wrap(f"not checked; 'eqkb check {entry.id}' gathers it")
    verdict, summary = found
    return [paint(line, _VERDICTS.get(verdict, "yellow")) for line in wrap(summary)]


def _found(source: SourceItem) -> str:
    """What was found in a document, and what it says that the equation is for."""
    use = f"for {harmless(source.use)}" if source.use else ""
    found = ", ".join(filter(None, (source.finding, use)))
    return f"{found}: {harmless(source.note)}" if source.note else found


def reference_text(reference: Reference) -> str:
    """A reference as one sentence."""
    authors = ", ".join(reference.authors[:_ALL_SHOWN])
    authors += " and others" if len(reference.authors) > _ALL_SHOWN else ""
    where = reference.url or (f"https://doi.org/{reference.doi}" if reference.doi else "")
    where = where or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else "")
    parts = (authors, reference.title, reference.venue, str(reference.year or ""), where)
    return harmless(". ".join(part for part in parts if part))
