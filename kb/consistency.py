"""What the fields of one entry must say together, each of them being well formed by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kb.errors import Fault, nearest
from kb.glyphs import split_notation
from kb.model import Entry, Objective, Plot, Symbol
from kb.source import AT_KEY, shorten
from kb.vocabulary import DOMAINS

MAX_WORD = 64
_ABSTRACT = ("function", "law", "reducer")


def inconsistencies(entry: Entry) -> Iterator[Fault]:
    """Faults between the fields of an entry, each of which is well formed by itself."""
    for symbol in entry.symbols:
        for key, message in _symbol_faults(symbol):
            yield Fault(message, f"symbols.{symbol.name}.{key}".removesuffix("."), AT_KEY)
    yield from _role_faults(entry)
    yield from _name_faults(entry)
    yield from _print_faults(entry)
    yield from _source_faults(entry)
    for position, plot in enumerate(entry.plot or ()):
        for field, message in _plot_faults(entry, plot):
            yield Fault(message, f"plot[{position}]{field}", AT_KEY)
    items = tuple(source.item for source in entry.sources)
    lists = {"aliases": entry.aliases, "tags": entry.tags, "related": entry.related, "sources": items}
    for field, words in (lists | {"differentiate": entry.differentiate}).items():
        for position, word in enumerate(words):
            if word in words[:position]:
                yield Fault(f"{shorten(word)} stands in this list twice; remove one", f"{field}[{position}]")


def _symbol_faults(symbol: Symbol) -> Iterator[tuple[str, str]]:
    abstract = symbol.kind in _ABSTRACT
    if symbol.kind == "label" and symbol.classes is None:
        yield "", "a label selects along a dimension; add 'classes: C'"
    if symbol.kind != "label" and symbol.classes is not None:
        yield "classes", "only a symbol of kind label has classes; remove the key, or write 'kind: label'"
    for key in ("arguments", "instance"):
        if getattr(symbol, key) and not abstract:
            yield key, f"only a function, law or reducer has '{key}'; remove the key, or write 'kind: function'"
    if abstract and symbol.instance is None:
        yield "", f"a {symbol.kind} needs a concrete instance to be computed; add 'instance: ...'"
    if symbol.kind in ("function", "law") and not symbol.arguments:
        yield "", f"a {symbol.kind} has arguments; add 'arguments: [x]'"
    if symbol.kind == "reducer" and symbol.arguments:
        yield "arguments", "a reducer takes whatever it reduces; remove the key"
    if abstract and symbol.role != "input":
        yield "role", f"a {symbol.kind} is not a value and has no role; remove the key"
    if symbol.domain != "real" and symbol.kind not in ("real", "integer"):
        yield "domain", f"a {symbol.kind} has no domain; remove the key"
    elif DOMAINS[symbol.domain].sums_to_one and not symbol.shape:
        yield "domain", f"the domain {symbol.domain} needs an axis; add 'shape: [n]'"
    if symbol.outside is not None and not symbol.shape:
        yield "outside", "a scalar has no outside; remove the key, or add a shape"
    elif symbol.outside not in (None, "0") and (not symbol.is_argument or symbol.role == "state"):
        yield "outside", "only an argument has another value outside than 0; write 'outside: 0', or a start as a step"
    if symbol.default is not None and (
        symbol.role in ("output", "state", "step") or symbol.kind not in ("real", "integer")
    ):
        yield "default", "only a number that a call passes has a default; remove the key"
    elif symbol.default is not None and symbol.kind == "integer" and not symbol.default.lstrip("-").isdigit():
        yield "default", f"an integer has a whole default, not {symbol.default}"


def _role_faults(entry: Entry) -> Iterator[Fault]:
    update = entry.kind == "update"
    for symbol in entry.symbols:
        field = f"symbols.{symbol.name}.role"
        if symbol.role == "state" and not update:
            yield Fault("only an update has states; write 'kind: update', or another role", field)
        if symbol.role == "output" and update:
            yield Fault("an update returns its states; write 'role: state', or leave the symbol out", field)
    if not entry.define and not (entry.kind == "identity" and entry.claims):
        yield Fault("the key 'define' is missing; add it", "define", AT_KEY)
    bare = entry.kind == "identity" and entry.claims
    if not entry.outputs and not bare and not (update and any(s.role == "output" for s in entry.symbols)):
        role = "state" if update else "output"
        yield Fault(
            f"no symbol is an {role}; add 'role: {role}' to one".replace("an state", "a state"), "symbols", AT_KEY
        )
    objective = entry.objective
    if objective and entry.kind != "objective":
        yield Fault("only an entry of kind objective has this key; write 'kind: objective'", "objective", AT_KEY)
    if entry.kind == "objective" and not (objective and (objective.minimize or objective.maximize)):
        field = "objective" if objective else ""
        yield Fault("an objective says what it chooses; add 'objective: {minimize: [...]}'", field, AT_KEY)


def _print_faults(entry: Entry) -> Iterator[Fault]:
    if entry.time and entry.layer:
        yield Fault("values belong to a time or to a layer; leave one of the two keys out", "layer", AT_KEY)
    named = split_notation(entry.notation).arguments if entry.notation else ()
    expected = tuple(a.name for a in entry.arguments)
    if named and named != expected[: len(named)]:
        yield Fault(f"calls pass {shorten(', '.join(expected), 300)}; name the arguments in that order", "notation")


def _plot_faults(entry: Entry, plot: Plot) -> Iterator[tuple[str, str]]:
    """Names that a plot cannot vary, give or go through."""
    for field, names in (("over", [n for n, _ in plot.over]), ("each", [n for n, _ in plot.each])):
        for name in names:
            symbol = entry.symbol(name)
            if symbol is None and name not in _words(plot):
                known = [s.name for s in entry.arguments if _is_number(s)]
                hint = nearest(name[:MAX_WORD], set(known)) or "; give an argument an expression in it under 'given'"
                yield f".{field}.{name}", f"{shorten(name)} is no argument, and nothing under 'given' reads it{hint}"
            elif symbol is not None and not (symbol.is_argument and _is_number(symbol)):
                what = "is no argument" if not symbol.is_argument else "is not one number"
                remedy = "vary a name of your own, and write under 'given' what the arguments are then"
                yield f".{field}.{name}", f"{name!r} {what}; {remedy}"
    for name, _ in plot.given:
        if name in plot.varied:
            yield f".given.{name}", f"{name!r} is varied already; give it here, or under 'over' or 'each'"
        elif (symbol := entry.symbol(name)) is None or not symbol.is_argument:
            known = [s.name for s in entry.arguments]
            hint = nearest(name[:MAX_WORD], set(known)) or f"; the arguments are {', '.join(known)}"
            yield f".given.{name}", f"{shorten(name)} is no argument{hint}"
    for name in {name for name, _ in plot.each} & {name for name, _ in plot.over}:
        yield f".each.{name}", f"{name!r} is varied already; give it here, or under 'over'"
    if len({len(values) for _, values in plot.each}) > 1:
        yield ".each", "names go through their lists together, one curve for each; write lists of one length"


def _is_number(symbol: Symbol) -> bool:
    return symbol.kind in ("real", "integer") and not symbol.shape


def _words(plot: Plot) -> set[str]:
    return {word for _, text in plot.given for word in re.findall(r"[A-Za-z]\w*", text)}


def _source_faults(entry: Entry) -> Iterator[Fault]:
    claims = {claim.name: claim for claim in entry.claims}
    for position, source in enumerate(entry.sources):
        field = f"sources[{position}]"
        if source.finding != "right" and not source.note:
            yield Fault(
                f"the finding is {source.finding!r}; add 'note: ...' with what is printed there and what is right",
                field,
            )
        if source.claim is None:
            continue
        if source.finding == "right":
            yield Fault(
                "a source that is right states no refuted claim; remove the key, or add 'finding: error'",
                f"{field}.claim",
            )
        elif source.claim not in claims:
            hint = nearest(source.claim[:MAX_WORD], set(claims)) or "; add it under 'claims', with 'refuted: true'"
            yield Fault(f"no claim is called {shorten(source.claim)}{hint}", f"{field}.claim")
        elif not claims[source.claim].refuted:
            yield Fault(
                f"the claim {source.claim!r} is not one that must be refuted; name the claim that states what stands"
                " there, with 'refuted: true'",
                f"{field}.claim",
            )


def _name_faults(entry: Entry) -> Iterator[Fault]:
    names = {symbol.name for symbol in entry.symbols}
    objective = entry.objective or Objective()
    uses = {
        "differentiate": entry.differentiate,
        "objective.minimize": objective.minimize,
        "objective.maximize": objective.maximize,
    }
    for field, words in uses.items():
        for position, name in enumerate(words):
            symbol = entry.symbol(name)
            if symbol is None:
                hint = nearest(name[:MAX_WORD], names) or "; declare it, or remove it"
                yield Fault(f"no symbol is called {shorten(name)}{hint}", f"{field}[{position}]")
            elif field == "differentiate" and not symbol.is_differentiable:
                what = "an output" if symbol.role == "output" else f"of kind {symbol.kind}"
                yield Fault(f"{name!r} is {what} and has no derivative; remove it", f"differentiate[{position}]")
    if entry.id in entry.aliases:
        yield Fault("an alias is another name than the id; remove it", f"aliases[{entry.aliases.index(entry.id)}]")
    if entry.id in entry.related:
        yield Fault("an entry is not related to itself; remove it", f"related[{entry.related.index(entry.id)}]")
    for other in (variant.id for variant in entry.variants):
        if other == entry.id:
            yield Fault("an entry is no variant of itself; remove it", f"variants.{other}", AT_KEY)
        elif other in entry.related:
            field = f"related[{entry.related.index(other)}]"
            yield Fault(f"{other!r} stands under 'variants' already, which links it; remove it here", field)
