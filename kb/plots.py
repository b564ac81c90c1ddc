"""Plots as entries say them: what is drawn over what, and the entries that compute it.

A plot never changes what its entry states; the formulas of a plot are read like further steps of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from kb import tree
from kb.errors import LanguageError
from kb.model import Entry, Plot, Symbol
from kb.parser import parse_statement

Form = Literal["curves", "contours", "heat map"]
MAX_CURVES = 6
MAX_CELLS = 64  # along each side of a heat map


class Drawn(NamedTuple):
    """An entry with further steps ``names`` that compute what is drawn; ``begins`` characters stand before each."""

    entry: Entry
    names: tuple[str, ...]
    begins: tuple[int, ...]


def drawn_entry(entry: Entry, plot: Plot, sizes: Mapping[str, int]) -> Drawn:
    """The entry with steps for what a plot shows: expressions in arguments, steps and outputs, after the last step.

    They may read any element that there is at these ``sizes``.
    """
    texts = plot.show or tuple(s.name for s in entry.outputs)
    names = tuple(_unused(entry, plot, f"shown_{n}") for n in range(len(texts)))
    steps = tuple(f"{name} = {text}" for name, text in zip(names, texts, strict=True))
    enough = (f"{name} >= {size}" for name, size in sizes.items())
    made = replace(entry, define=(*entry.define, *steps), requires=(*entry.requires, *enough))
    return Drawn(made, names, tuple(len(name) + 3 for name in names))


def given_value(entry: Entry, plot: Plot, name: str) -> tuple[Entry, str, int]:
    """An entry that computes what a plot gives an argument, in the names that the plot varies.

    With it the name of what it computes, and how many characters stand before the text in its step.
    Raises LanguageError where the text is a step for something else.
    """
    symbol, text = entry.symbol(name), dict(plot.given)[name]
    assert symbol is not None
    inputs = tuple(_variable(entry, varied) for varied in plot.varied)
    if not is_step(text):
        result, begin = _unused(entry, plot, "given"), ""
        output, begin = Symbol(result, role="output"), f"{result} = "
    else:
        statement = parse_statement(text)
        targets = statement.targets if isinstance(statement, tree.Step) else ()
        if [_base(t) for t in targets] != [name]:
            raise LanguageError(f"this gives no value to {name!r}; write an expression, or {name}[...] = ...")
        result, begin = name, ""
        output = Symbol(name, shape=symbol.shape, role="output", outside="0" if symbol.outside else None)
    made = Entry(entry.id, entry.name, symbols=(*inputs, output), define=(begin + text,), origin=entry.origin)
    return made, result, len(begin)


def _variable(entry: Entry, name: str) -> Symbol:
    symbol = entry.symbol(name)
    return Symbol(name) if symbol is None else replace(symbol, role="input", default=None)


def _base(target: tree.Node) -> str:
    base = target.base if isinstance(target, tree.Element) else target
    return base.id if isinstance(base, tree.Name) else ""


def is_step(text: str) -> bool:
    """Whether a text has a left side; one that cannot be read counts as an expression."""
    try:
        return isinstance(parse_statement(text), tree.Step)
    except LanguageError:
        return False


def _unused(entry: Entry, plot: Plot, word: str) -> str:
    everything = " ".join((*entry.define, *plot.varied, *plot.show, *(text for _, text in plot.given)))
    taken = {s.name for s in entry.symbols} | {size for s in entry.symbols for size in s.shape}
    while word in taken or word in everything:
        word += "_"
    return word


def whole_numbers(text: str) -> Any:
    """A whole number, or nested lists of them, as labels and integers are given; None where it is something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if _is_whole(found) else None


def _is_whole(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_whole, value))
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists of one length each."""
    return (len(value), *shape_of(value[0])) if isinstance(value, list) and value else ()


def form_of(varied: int, shape: tuple[int, ...]) -> Form | None:
    """What a value of this shape over one, two or no names is drawn as; None if it cannot be drawn."""
    match varied, len(shape):
        case (1, 0):
            return "curves"
        case (1, 1):
            return "curves" if shape[0] <= MAX_CURVES else "heat map"
        case (2, 0):
            return "contours"
        case (0, 2):
            return "heat map"
    return None
