"""Equations of a user's own, typed as text: ``kb.parse("y = softmax(W @ x + b)", "W[C,d] x[d] b[C]")``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kb import tree
from kb.errors import CatalogueError, Fault, LanguageError, Location, nearest
from kb.model import Entry, Symbol
from kb.parser import MAX_CHARACTERS, check_name, parse_expression, parse_statement
from kb.vocabulary import DOMAINS

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.equation import Equation

NAME = "expression"
MAX_FAULTS = 10
_WORD = re.compile(
    r"(?P<name>[^\s\[\]:=]+)(?:\[(?P<axes>[^\[\]]*)\])?(?::(?P<what>[a-z_]+)(?:\[(?P<classes>[^\[\]]*)\])?)?"
    r"(?:=(?P<value>\S+))?$"
)
_KINDS = ("integer", "label", "function")
_EXAMPLE = "such as 'W[C,d] x[d] y[N]:one_hot n:integer eta=0.1 k:label[C] f:function=tanh'"


def parse(text: str, symbols: str = "", catalogue: Catalogue | None = None) -> Equation:
    """An equation of steps separated by ``;`` (or lines), over declared symbols.

    Its outputs are the targets that no later step reads; an expression without ``=`` is called
    ``y``. ``symbols`` declares what the formula reads: ``x[d]``, ``y[N]:one_hot``, ``n:integer``,
    ``eta=0.1``, ``k:label[C]``, ``f:function=tanh``. Entries of the catalogue can be called.

    Raises LanguageError for the symbols, CatalogueError with every fault of the formula.
    """
    from kb.catalogue import load_catalogue
    from kb.equation import Equation, Source
    from kb.programs import Programs

    declared = parse_symbols(symbols)
    steps = _steps(text, declared)
    catalogue = catalogue if catalogue is not None else load_catalogue()
    entry = _entry(_unused_id(steps, catalogue.records), steps, declared)
    programs = Programs(_Overlay(catalogue.records, entry), infer={entry.id}, profile=catalogue.profile)

    def faults(entry_id: str) -> list[Fault]:
        found = [_placed(f, text, steps) if owner == entry.id else f for owner, f in programs.faults(entry_id)]
        # What has no place only follows from what has one.
        found = [f for f in found if f.location] or found
        more = Fault(f"there are {len(found) - MAX_FAULTS} more faults; mend these first")
        return found if len(found) <= MAX_FAULTS else [*found[:MAX_FAULTS], more]

    elaborated = programs.elaborated(entry.id)
    if elaborated.program is None:
        raise CatalogueError(faults(entry.id))
    shapes = {public: elaborated.program.shape(held) for public, held in elaborated.program.returns}
    complete = _with_shapes(entry, {name: tuple(map(_size, shape)) for name, shape in shapes.items()})
    programs = Programs(_Overlay(catalogue.records, complete), infer={entry.id}, profile=catalogue.profile)
    return Equation(complete, Source(programs, faults))


def _size(size: object) -> str:
    from kb.index.affine import Poly
    from kb.index.scope import show

    assert isinstance(size, Poly)
    return show(size)


class _Overlay(Mapping[str, Entry]):
    """The entries of a catalogue and one more, which no formula can call."""

    def __init__(self, entries: Mapping[str, Entry], own: Entry) -> None:
        self._entries = entries
        self._own = own

    def __getitem__(self, entry_id: str) -> Entry:
        return self._own if entry_id == self._own.id else self._entries[entry_id]

    def __contains__(self, entry_id: object) -> bool:
        return entry_id == self._own.id or entry_id in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


# --- symbols -------------------------------------------------------------------------------------


def parse_symbols(text: str) -> tuple[Symbol, ...]:
    """The declarations of ``--symbols``. Raises LanguageError with the character where it begins."""
    if len(text) > MAX_CHARACTERS:
        raise LanguageError(f"the symbols have {len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    found: dict[str, Symbol] = {}
    for at, word in _words(text):
        symbol = _symbol(word, at)
        if symbol.name in found:
            raise LanguageError(f"symbol {symbol.name!r} is declared twice; remove one", at)
        found[symbol.name] = symbol
    return tuple(found.values())


def _words(text: str) -> Iterator[tuple[int, str]]:
    """Words between blanks or commas, those inside brackets aside."""
    depth, start = 0, 0
    for at, character in enumerate(text + " "):
        if depth == 0 and (character.isspace() or character == ","):
            if text[start:at].strip():
                yield start, text[start:at].strip()
            start = at + 1
        depth += (character == "[") - (character == "]")
        if depth < 0:
            raise LanguageError(f"a bracket in the symbols was never opened; write them {_EXAMPLE}", at)
    if depth:
        raise LanguageError(f"a bracket in the symbols is never closed; write them {_EXAMPLE}", max(text.find("["), 0))


def _symbol(word: str, at: int) -> Symbol:
    match = _WORD.match(re.sub(r"\s+", "", word))
    if match is None:
        raise LanguageError(f"{word[:40]!r} declares no symbol; write {_EXAMPLE}", at)
    name = check_name(match["name"], at, "symbol")
    what, value = match["what"], match["value"]
    shape = tuple(_axis(a, at) for a in match["axes"].split(",")) if match["axes"] is not None else ()
    if what is not None and what not in DOMAINS and what not in _KINDS:
        hint = nearest(what, [*DOMAINS, *_KINDS])
        raise LanguageError(f"there is no domain or kind {what!r}{hint or f'; known are {_known()}'}", at)
    if match["classes"] is not None and what != "label":
        raise LanguageError(f"only a label has classes; {name!r} is no label", at)
    if what == "label":
        if not match["classes"]:
            raise LanguageError(f"a label says from which dimension it selects: {name}:label[C]", at)
        if value is not None:
            raise LanguageError(f"a label has no default; remove '={value[:20]}'", at)
        return Symbol(name, shape, "label", classes=_axis(match["classes"], at))
    if what == "function":
        if shape or not value:
            raise LanguageError(f"a function of numbers has an instance: {name}:function=tanh", at)
        return Symbol(name, kind="function", arguments=("x",), instance=value)
    default = None if value is None else _number(value, at, whole=what == "integer")
    if what == "integer":
        return Symbol(name, shape, "integer", "positive", default=default)
    if what is not None and DOMAINS[what].sums_to_one and not shape:
        raise LanguageError(f"the domain {what} needs an axis: {name}[n]:{what}", at)
    return Symbol(name, shape, domain=what or "real", default=default)


def _known() -> str:
    return ", ".join([*DOMAINS, *_KINDS])


def _axis(text: str, at: int) -> str:
    if not text:
        raise LanguageError("an axis has a size: x[n], W[m,n]", at)
    try:
        parse_expression(text)
    except LanguageError as error:
        raise LanguageError(f"{text[:40]!r} is not a size: {error.message}", at) from None
    return text


def _number(text: str, at: int, whole: bool) -> str:
    pattern = r"-?\d{1,300}" if whole else r"-?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?"
    if not re.fullmatch(pattern, text):
        what = "a whole number" if whole else "a number"
        raise LanguageError(f"the default {text[:40]!r} is not {what}", at)
    return text


# --- steps ---------------------------------------------------------------------------------------


def _steps(text: str, declared: tuple[Symbol, ...]) -> list[tuple[int, str]]:
    """Where each step begins, and the step; a bare expression gets a name."""
    if len(text) > MAX_CHARACTERS:
        raise LanguageError(f"the expression has {len(text):,} characters; the limit is {MAX_CHARACTERS:,}")
    found, start = [], 0
    for part in re.split(r"[;\n]", text):
        if part.strip():
            found.append((start + len(part) - len(part.lstrip()), part.strip()))
        start += len(part) + 1
    if not found:
        raise LanguageError("the expression is empty; write one such as 'y = W @ x + b'")
    at, last = found[-1]
    if _is_expression(last):
        taken = {s.name for s in declared} | _names(found)
        name = next(n for n in ("y", "result", *(f"y{n}" for n in range(1, 10_000))) if n not in taken)
        found[-1] = (at - len(f"{name} = "), f"{name} = {last}")
    return found


def _is_expression(text: str) -> bool:
    try:
        parse_statement(text)
    except LanguageError:
        try:
            node = parse_expression(text)
        except LanguageError:
            return False
        return not isinstance(node, (tree.Comparison, tree.Logic, tree.Not))
    return False


def _names(steps: list[tuple[int, str]]) -> set[str]:
    return {word for _, text in steps for word in re.findall(r"[A-Za-z][A-Za-z0-9_]*", text)}


def _unused_id(steps: list[tuple[int, str]], entries: Mapping[str, Entry]) -> str:
    """An id that the expression does not call, so that it cannot call itself."""
    taken = _names(steps)
    ids = (NAME, *(f"{NAME}_{n}" for n in range(2, 10_000)))
    return next(i for i in ids if i not in entries and i not in taken)


def _entry(entry_id: str, steps: list[tuple[int, str]], declared: tuple[Symbol, ...]) -> Entry:
    """The expression as an entry: its outputs are the targets that nothing reads after their last definition."""
    targets: dict[str, None] = {}
    read: set[str] = set()
    for _, text in steps:
        try:
            statement = parse_statement(text)
        except LanguageError:
            continue
        if isinstance(statement, tree.Step):
            parts = [*(i for t in statement.targets if isinstance(t, tree.Element) for i in t.indices), statement.value]
            bases = [t.base if isinstance(t, tree.Element) else t for t in statement.targets]
            own = dict.fromkeys(b.id for b in bases if isinstance(b, tree.Name))
            targets |= own
            read = (read | {name for part in parts for name in tree.names(part)}) - set(own)
    known = {s.name for s in declared}
    outputs = [n for n in targets if n not in read and n not in known]
    symbols = (*declared, *(Symbol(name, role="output") for name in outputs))
    return Entry(entry_id, "Expression", topic="typed", symbols=symbols, define=tuple(text for _, text in steps))


def _with_shapes(entry: Entry, shapes: Mapping[str, tuple[str, ...]]) -> Entry:
    from dataclasses import replace

    symbols = tuple(replace(s, shape=shapes[s.name]) if s.name in shapes else s for s in entry.symbols)
    return replace(entry, symbols=symbols)


def _placed(fault: Fault, text: str, steps: list[tuple[int, str]]) -> Fault:
    """A fault of the expression, at its line and column in what was typed."""
    from dataclasses import replace

    match = re.match(r"define\[(\d+)\]", fault.field)
    message = _with_remedy(fault.message)
    if match is None:
        return Fault(message)
    before = text[: max(steps[int(match[1])][0] + fault.start, 0)]
    location = Location(NAME, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    return replace(fault, message=message, field="", location=location)


def _with_remedy(message: str) -> str:
    """Declarations stand beside the expression, not in a file."""
    if "role: output" in message:
        return "the expression has no output: every target is read by a step after it"
    return message.replace("declare it under symbols", "declare it in --symbols")


__all__ = ["parse", "parse_symbols"]
