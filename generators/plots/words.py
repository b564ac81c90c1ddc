"""What stands beside a plot: names, a caption with formulas, and what is seen, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from generators.parts import Formula
from generators.plots.compute import Computation
from generators.plots.lines import Line
from generators.plots.ticks import number_text
from kb import tree
from kb.errors import LanguageError
from kb.model import Plot
from kb.parser import parse_expression
from kb.plots import is_step

if TYPE_CHECKING:
    from generators.making import Making

_SOON_CONSTANT = 1e-9  # of the largest value: what no picture shows
_DIGITS = 6  # of a number in a caption
_MOST_JUMPS = 4  # that are told one by one


def shown_formulas(view: Making, plot: Plot) -> tuple[Formula, ...]:
    """What is drawn, as formulas."""
    return tuple(view.read(text) for text in shown_texts(view, plot))


def shown_texts(view: Making, plot: Plot) -> tuple[str, ...]:
    """What is drawn, in the language."""
    return plot.show or tuple(s.name for s in view.entry.outputs)


def element(view: Making, text: str, position: int) -> Formula:
    """An element of a vector that is drawn."""
    if text.isidentifier():
        return view.read(f"{text}[{position}]")
    whole = view.read(text)
    return Formula(rf"\left({whole.latex}\right)_{{{position}}}", f"({whole.text})_{position}")


def slope_of(view: Making, text: str, shown: Formula, by: str) -> Formula:
    """The derivative of something by a name; with a straight d where there is nothing else to differentiate by."""
    d, latex_d = ("d", "d") if view.equation.differentiable == (by,) else ("∂", r"\partial")
    name = view.read(by)
    try:
        simple = isinstance(parse_expression(text), (tree.Name, tree.Element))
    except LanguageError:
        simple = False
    if simple:
        return Formula(
            rf"\frac{{{latex_d} {shown.latex}}}{{{latex_d} {name.latex}}}", f"{d}{shown.text}/{d}{name.text}"
        )
    latex = rf"\frac{{{latex_d}}}{{{latex_d} {name.latex}}} \left({shown.latex}\right)"
    return Formula(latex, f"{d}({shown.text})/{d}{name.text}")


def settings(view: Making, names: Sequence[str], values: Sequence[str]) -> Formula:
    """Names and their values: ``alpha = 0.1, n = 2``."""
    made = [_setting(view, name, value) for name, value in zip(names, values, strict=True)]
    return Formula(r",\; ".join(f.latex for f in made), ", ".join(f.text for f in made))


def _setting(view: Making, name: str, value: str) -> Formula:
    """A name and its value; a state is the one that the entry was called with."""
    shown = Formula(*view.equation.given(name)) if name in view.equation.symbols else view.read(name)
    sign, given = "=", view.read(value)
    if len(value) > _DIGITS + 2 and value.replace(".", "").isdecimal():
        short = f"{float(value):.{_DIGITS - 1}g}"
        sign, given = "≈", Formula(short, short)
    latex_sign = "=" if sign == "=" else r"\approx"
    return Formula(f"{shown.latex} {latex_sign} {given.latex}", f"{shown.text} {sign} {given.text}")


def conditions(view: Making, plot: Plot, computation: Computation) -> str:
    """What holds for all that is drawn: values that are given, defaults, what was drawn at random."""
    matters = computation.read
    given = [(name, text) for name, text in plot.given if name in matters]
    said = [view.read(text) if is_step(text) else _setting(view, name, text) for name, text in given]
    for symbol in view.entry.arguments:
        known = symbol.name in plot.varied or symbol.name in dict(plot.given)
        if symbol.default is not None and symbol.name in matters and not known:
            said.append(_setting(view, symbol.name, symbol.default))
    said += [view.read(f"{name} = {size}") for name, size in plot.sizes if name in matters]
    text = f", with {listed([f'${f.latex}$' for f in said])}" if said else ""
    drawn = [view.read(name) for name in computation.fixed if name in matters]
    return text + (f"{'; ' if said else ', with '}random {listed([f'${f.latex}$' for f in drawn])}" if drawn else "")


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


# --- what is seen -------------------------------------------------------------------------------------


def described(line: Line, name: str, over: str) -> str:
    """One sentence or two on a curve: where it begins and ends, its extremes, where it jumps."""
    return " ".join(_sentences(line, name, over))


def _sentences(line: Line, name: str, over: str) -> Iterator[str]:
    finite = np.isfinite(line.y)
    if not finite.any():
        return
    x, y = line.x[finite], line.y[finite]
    yield f"{name} {_course(x, y, over)}."
    jumps = line.jumps
    if 0 < len(jumps) <= _MOST_JUMPS:
        told = [f"at {over} = {place(x0, line.x)} from {value(a, y)} to {value(b, y)}" for x0, a, b in jumps]
        yield f"It jumps {listed(told)}."
    elif jumps:
        yield f"It jumps {len(jumps)} times."
    infinite = line.infinite
    if 0 < len(infinite) <= _MOST_JUMPS:
        yield f"It has no finite value at {listed([f'{over} = {place(x0, line.x)}' for x0 in infinite])}."
    elif infinite:
        yield "Elsewhere it has no finite value."


def _course(x: Any, y: Any, over: str) -> str:
    first, last = (f"{value(y[n], y)} at {over} = {place(x[n], x)}" for n in (0, -1))
    rest = _SOON_CONSTANT * float(np.abs(y).max())
    steps = np.diff(y)
    if float(y.max() - y.min()) <= rest:
        return f"is {value(y[0], y)} throughout"
    if (steps >= -rest).all():
        return f"rises from {first} to {last}"
    if (steps <= rest).all():
        return f"falls from {first} to {last}"
    low, high = int(np.argmin(y)), int(np.argmax(y))
    ends = f"goes from {first} to {last}"
    inner = {low: "least value", high: "greatest value"}
    told = [
        f"its {word} {value(y[n], y)} at {over} = {place(x[n], x)}"
        for n, word in sorted(inner.items())
        if 0 < n < len(x) - 1
    ]
    return f"{ends}, with {listed(told)}" if told else ends


def place(value: float, along: Any) -> str:
    """A number along an axis; what is nothing there is 0."""
    span = float(along[-1] - along[0])
    return number_text(0.0 if abs(value) < 1e-6 * span else float(value))


def value(number: float, among: Any) -> str:
    """One of several numbers; what is nothing beside the others is 0."""
    return number_text(0.0 if abs(number) < 1e-12 * float(np.abs(among).max()) else float(number))


def extremes(values: Any) -> str:
    """The least and the greatest of some values."""
    finite = values[np.isfinite(values)]
    return f"from {value(finite.min(), finite)} to {value(finite.max(), finite)}"
