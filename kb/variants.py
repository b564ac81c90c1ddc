"""Variants: entries that state the same mathematics by another convention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from kb.model import Entry, Symbol


class Counterpart(NamedTuple):
    """Another entry, and a text that says what the entry ``of`` does differently."""

    id: str
    about: str
    of: str


def variants_of(entries: Mapping[str, Entry], entry_id: str) -> tuple[Counterpart, ...]:
    """The variants of an entry: those that it names, in its order, then those that name it.

    Where both name each other, each one's own text is the one that its readers see.
    """
    own = [Counterpart(variant.id, variant.about, variant.id) for variant in entries[entry_id].variants]
    named = {variant.id for variant in own}
    back = [
        Counterpart(other.id, variant.about, entry_id)
        for other in entries.values()
        if other.id not in named
        for variant in other.variants
        if variant.id == entry_id
    ]
    return (*own, *back)


def ordered(entries: Iterable[str], one: Entry, other: Entry) -> tuple[Entry, Entry, dict[str, str]]:
    """Both entries, first the one that names the other, and what that one gives to the other.

    Where both or none do, the one that stands first among ``entries`` comes first.
    """
    found = [(a, b, dict(v.given)) for a, b in ((one, other), (other, one)) for v in a.variants if v.id == b.id]
    places = list(entries)
    return min(found or [(one, other, {}), (other, one, {})], key=lambda row: places.index(row[0].id))


def is_whole(text: str, symbol: Symbol | None) -> bool:
    """Whether what an integer is given is a number as it stands."""
    return symbol is not None and symbol.kind == "integer" and text.strip().isdecimal()


def given_entry(entry: Entry, text: str) -> tuple[Entry, str, int]:
    """An entry that computes an expression in the arguments of another one, and nothing else.

    With it the name of what it computes, and how many characters stand before the text in its step.
    """
    taken = {symbol.name for symbol in entry.symbols}
    name = "given"
    while name in taken:
        name += "_"
    inputs = [replace(s, role="input" if s.role == "state" else s.role) for s in entry.symbols]
    kept = tuple(s for s in inputs if s.role not in ("output", "step"))
    begin = f"{name} = "
    made = Entry(
        entry.id,
        entry.name,
        symbols=(*kept, Symbol(name, role="output")),
        define=(begin + text,),
        requires=entry.requires,
        origin=entry.origin,
    )
    return made, name, len(begin)
