"""Records that mirror the YAML of one entry, and every fault of it in plain words.

With kb.fields the only module that imports pydantic; import it only where a file has to be checked.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from kb.consistency import inconsistencies
from kb.errors import CatalogueError, Fault, LanguageError
from kb.fields import (
    MAX_ID,
    Alias,
    Argument,
    Arxiv,
    Count,
    Decimal,
    Doi,
    Dotted,
    Empty,
    Formula,
    Glyph,
    Id,
    Item,
    Line,
    Name,
    Notation,
    Outside,
    Range,
    Size,
    Text,
    Url,
    Word,
    Year,
    choice,
    listed_plots,
    near,
    what_is,
)  # fmt: skip
from kb.model import (
    Entry,
    Finding,
    Kind,
    NamedClaim,
    Objective,
    Plot,
    Reference,
    Role,
    SourceItem,
    Symbol,
    SymbolKind,
    Variant,
)
from kb.parser import check_name
from kb.sides import with_sides
from kb.source import AT_KEY, Data, Number, shorten
from kb.vocabulary import DOMAINS


class Record(BaseModel):
    """A mapping with exactly the declared keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SymbolRecord(Record):
    """``symbols.z``."""

    shape: list[Size] = Field(default_factory=list)
    kind: Annotated[str, choice(get_args(SymbolKind), "kind of symbol")] = "real"
    domain: Annotated[str, choice(tuple(DOMAINS), "domain")] = "real"
    role: Annotated[str, choice(get_args(Role), "role")] = "input"
    default: Decimal | None = None
    outside: Outside | None = None
    classes: Size | None = None
    arguments: list[Argument] = Field(default_factory=list)
    instance: Text | None = None
    glyph: Glyph | None = None
    about: Text = ""


class ClaimRecord(Record):
    """``claims.jacobian``, where it is more than a formula."""

    formula: Text
    about: Text = ""
    refuted: bool = False


class ReferenceRecord(Record):
    """``references[0]``."""

    title: Line
    authors: list[Line] = Field(default_factory=list)
    year: Year | None = None
    venue: Line = ""
    doi: Doi | None = None
    arxiv: Arxiv | None = None
    url: Url | None = None


class SourceRecord(Record):
    """``sources[0]``, where it is more than an item."""

    item: Item
    finding: Annotated[str, choice(get_args(Finding), "finding")] = "right"
    note: Text = ""
    claim: Line | None = None
    use: Line = ""


class VariantRecord(Record):
    """``variants.momentum``, where it is more than a text."""

    about: Text
    given: dict[str, Text] = Field(default_factory=dict)


class ObjectiveRecord(Record):
    """``objective``."""

    minimize: list[Name] = Field(default_factory=list)
    maximize: list[Name] = Field(default_factory=list)
    subject_to: list[Text] = Field(default_factory=list)


class PlotRecord(Record):
    """``plot``, or ``plot[0]``."""

    over: Annotated[dict[str, Range], Field(max_length=2)] = Field(default_factory=dict)
    given: dict[str, Formula] = Field(default_factory=dict)
    each: dict[str, Annotated[list[Decimal], Field(min_length=1, max_length=6)]] = Field(default_factory=dict)
    show: Annotated[list[Formula], Field(min_length=1, max_length=6)] = Field(default_factory=list)
    sizes: dict[str, Count] = Field(default_factory=dict)
    about: Text = ""


class EntryRecord(Record):
    """One entry."""

    name: Line
    kind: Annotated[str, choice(get_args(Kind), "kind")] = "definition"
    topic: Word
    about: Text
    symbols: Annotated[dict[str, SymbolRecord], Field(min_length=1)]
    define: Annotated[list[Text], Field(min_length=1)] = Field(default_factory=list)
    claims: dict[str, ClaimRecord] = Field(default_factory=dict)
    requires: list[Text] = Field(default_factory=list)
    kinks: list[Text] = Field(default_factory=list)
    differentiate: list[Name] = Field(default_factory=list)
    objective: ObjectiveRecord | None = None
    notation: Notation | None = None
    time: Name | None = None
    layer: Name | None = None
    aliases: list[Alias] = Field(default_factory=list)
    tags: list[Line] = Field(default_factory=list)
    frameworks: dict[str, Dotted] = Field(default_factory=dict)
    related: list[Id] = Field(default_factory=list)
    variants: dict[str, VariantRecord] = Field(default_factory=dict)
    sources: list[SourceRecord] = Field(default_factory=list)
    notes: list[Text] = Field(default_factory=list)
    references: list[ReferenceRecord] = Field(default_factory=list)
    plot: Annotated[list[PlotRecord] | None, BeforeValidator(listed_plots)] = None


_RECORDS: dict[str, type[Record]] = {
    "symbols": SymbolRecord,
    "claims": ClaimRecord,
    "references": ReferenceRecord,
    "sources": SourceRecord,
    "variants": VariantRecord,
    "objective": ObjectiveRecord,
    "plot": PlotRecord,
}


def with_gaps(value: Data) -> Any:
    """The same data with its gaps marked."""
    if isinstance(value, dict):
        return {key: with_gaps(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_gaps(item) for item in value]
    return Empty() if value is None else value


def _field(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _known_keys(location: tuple[int | str, ...], whole: type[Record], parts: Mapping[str, type[Record]]) -> list[str]:
    return list((parts.get(str(location[0]), whole) if len(location) > 1 else whole).model_fields)


def _not_text(value: object) -> str:
    if isinstance(value, Empty):
        return "nothing is written here; write a text, or leave the key out"
    if isinstance(value, Number):
        return f"a number where text belongs; put it in quotes: '{value.text[:40]}'"
    if isinstance(value, bool):
        word = "true" if value else "false"
        return f"YAML reads {word} as a truth value, and text belongs here; put it in quotes: '{word}'"
    if isinstance(value, dict):
        return "a mapping where text belongs; put a text that contains ': ' or braces in quotes"
    return f"{what_is(value)} where text belongs; put a text that contains brackets in quotes"


def _message(error: ErrorDetails, known: Callable[[tuple[int | str, ...]], list[str]]) -> tuple[str, int]:
    """What is wrong and where it starts, for one of pydantic's complaints; ``known`` keys at a place are its own."""
    value, location, context = error["input"], error["loc"], error.get("ctx", {})
    last = str(location[-1]) if location else ""
    match error["type"]:
        case "eqkb":
            return str(context["message"]), int(context["start"])
        case "missing":
            return f"the key {last!r} is missing; add it", AT_KEY
        case "extra_forbidden":
            keys = known(location)
            hint = near(last, keys) or f"; the keys here are {', '.join(keys)}"
            return f"unknown key {shorten(last)}{hint}", AT_KEY
        case "string_type":
            return _not_text(value), 0
        case "string_too_long":
            return f"this text is longer than {context['max_length']:,} characters; shorten or split it", 0
        case "bool_type":
            return f"{what_is(value)} where true or false belongs; write true or false, without quotes", 0
        case "list_type":
            example = (
                f", in brackets: [{value}]"
                if isinstance(value, str) and len(value) < 40 and value.isprintable()
                else ": [a, b]"
            )
            return (f"{what_is(value)} where a list belongs; write a list{example}"), 0
        case "model_type" | "dict_type" | "model_attributes_type":
            example = (
                "{shape: [n], about: ...}" if location[0] == "symbols" and len(location) > 1 else "'key: value' lines"
            )
            return f"{what_is(value)} where a mapping belongs; write {example}", 0
        case "too_short":
            return f"{last!r} is empty; write at least one item", 0
        case "too_long":
            most = context["max_length"]
            return f"{last!r} has more than {most} {'items' if most > 2 else 'names'}; remove some", 0
        case kind:
            return (
                f"this value does not fit here ({kind.replace('_', ' ')}); check it against the head of the catalogue",
                0,
            )


def faults_of(
    error: ValidationError, whole: type[Record], parts: Mapping[str, type[Record]], under: int = 0
) -> Iterator[Fault]:
    """The faults of a record; ``parts`` are the records below its keys, ``under`` how many keys are not in the file."""
    for details in error.errors(include_url=False):
        message, start = _message(details, lambda location: _known_keys(location, whole, parts))
        yield Fault(message, _field(details["loc"][under:]), start)


def _faults(error: ValidationError, written: dict[str, Any]) -> Iterator[Fault]:
    """The faults of an entry; a claim, a source or a variant that was ``written`` as a text has no keys."""
    for details, fault in zip(error.errors(include_url=False), faults_of(error, EntryRecord, _RECORDS), strict=True):
        location = details["loc"]
        if len(location) == 3 and location[0] in ("claims", "sources", "variants"):
            part = written[str(location[0])][location[1]]
            location = location if isinstance(part, dict) else location[:-1]
        yield replace(fault, field=_field(location))


def check_id(entry_id: str) -> str | None:
    """Why ``entry_id`` cannot be an id, or None."""
    if len(entry_id) > MAX_ID:
        return f"the id {shorten(entry_id, 20)} is longer than {MAX_ID} characters; shorten it"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", entry_id):
        return f"{shorten(entry_id)} is not an id; use small ASCII letters, digits and '_', beginning with a letter"
    if keyword.iskeyword(entry_id):
        return f"{entry_id!r} is a Python keyword and cannot be an id; write {entry_id + '_'!r}"
    return None


def to_entry(entry_id: str, data: Data, origin: str = "") -> Entry:
    """The record of one entry.

    Raises CatalogueError with every fault of it; their places are paths inside the entry.
    """
    faults: list[Fault] = []
    refused = check_id(entry_id)
    if refused:
        faults.append(Fault(refused, "", AT_KEY))
    if not isinstance(data, dict):
        what = "nothing" if data is None else what_is(data)
        raise CatalogueError(
            [*faults, Fault(f"{what} where an entry belongs; write its keys below the id", "", AT_KEY)]
        )
    filled = with_gaps(data)
    faults.extend(_bad_keys(filled))
    written = dict(filled)
    if isinstance(claims := filled.get("claims"), dict):
        filled["claims"] = {n: c if isinstance(c, dict) else {"formula": c} for n, c in claims.items()}
    if isinstance(variants := filled.get("variants"), dict):
        filled["variants"] = {i: v if isinstance(v, dict) else {"about": v} for i, v in variants.items()}
    if isinstance(sources := filled.get("sources"), list):
        filled["sources"] = [s if isinstance(s, dict) else {"item": s} for s in sources]
    if "define" in filled and not isinstance(filled["define"], list):
        filled["define"] = [filled["define"]]
    try:
        record = EntryRecord.model_validate(filled)
    except ValidationError as error:
        raise CatalogueError([*faults, *_faults(error, written)]) from None
    entry = _entry(entry_id, record, origin)
    faults.extend(inconsistencies(entry))
    if faults:
        raise CatalogueError(faults)
    return entry


def _bad_keys(data: dict[str, Any]) -> Iterator[Fault]:
    """Names that cannot be those of a symbol, a claim, a framework or an entry."""
    symbols, claims, frameworks, variants = (data.get(k) for k in ("symbols", "claims", "frameworks", "variants"))
    for name in symbols if isinstance(symbols, dict) else ():
        try:
            check_name(name, what="symbol")
        except LanguageError as error:
            yield Fault(error.message, f"symbols.{name}", AT_KEY)
    for name in claims if isinstance(claims, dict) else ():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
            message = f"{shorten(name)} cannot name a claim; use at most 64 ASCII letters, digits and '_'"
            yield Fault(message, f"claims.{name}", AT_KEY)
    for name in variants if isinstance(variants, dict) else ():
        if refused := check_id(name):
            yield Fault(refused, f"variants.{shorten(name)}", AT_KEY)
    for name in frameworks if isinstance(frameworks, dict) else ():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
            yield Fault(
                f"{shorten(name)} is not the name of a framework; write torch, jax, ...", f"frameworks.{name}", AT_KEY
            )


def _entry(entry_id: str, record: EntryRecord, origin: str) -> Entry:
    objective = record.objective
    entry = Entry(
        id=entry_id,
        name=record.name,
        kind=record.kind,  # type: ignore[arg-type]  # checked against the same words
        topic=record.topic,
        about=record.about,
        symbols=tuple(_symbol(name, symbol) for name, symbol in record.symbols.items()),
        define=tuple(record.define),
        claims=tuple(NamedClaim(name, c.formula, c.about, c.refuted) for name, c in record.claims.items()),
        requires=tuple(record.requires),
        kinks=tuple(record.kinks),
        differentiate=tuple(record.differentiate),
        objective=_objective(objective) if objective else None,
        notation=record.notation,
        time=record.time,
        layer=record.layer,
        aliases=tuple(record.aliases),
        tags=tuple(record.tags),
        frameworks=tuple(record.frameworks.items()),
        related=tuple(record.related),
        variants=tuple(Variant(other, v.about, tuple(v.given.items())) for other, v in record.variants.items()),
        sources=tuple(
            SourceItem(s.item, s.finding, s.note, s.claim, s.use)  # type: ignore[arg-type]  # checked, as the kind
            for s in record.sources
        ),
        notes=tuple(record.notes),
        plot=None if record.plot is None else tuple(map(_plot, record.plot)),
        references=tuple(
            Reference(r.title, tuple(r.authors), r.year, r.venue, r.doi, r.arxiv, r.url) for r in record.references
        ),
        origin=origin,
    )
    return with_sides(entry)


def _plot(record: PlotRecord) -> Plot:
    return Plot(
        over=tuple(record.over.items()),
        given=tuple(record.given.items()),
        each=tuple((name, tuple(values)) for name, values in record.each.items()),
        show=tuple(record.show),
        sizes=tuple(record.sizes.items()),
        about=record.about,
    )


def _objective(record: ObjectiveRecord) -> Objective:
    return Objective(tuple(record.minimize), tuple(record.maximize), tuple(record.subject_to))


def _symbol(name: str, record: SymbolRecord) -> Symbol:
    return Symbol(
        name=name,
        shape=tuple(record.shape),
        kind=record.kind,  # type: ignore[arg-type]  # checked against the same words
        domain=record.domain,
        role=record.role,  # type: ignore[arg-type]  # checked against the same words
        default=record.default,
        outside=record.outside,
        classes=record.classes,
        arguments=tuple(record.arguments),
        instance=record.instance,
        glyph=record.glyph,
        about=record.about,
    )
