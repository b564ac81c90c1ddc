"""Curves: one number over one name, each with its derivative, a family of them, or a sequence over steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from generators.parts import Formula, PlotView
from generators.plots import words
from generators.plots.compute import Computation
from generators.plots.frame import WIDTH
from generators.plots.lines import FEW, SAMPLES, Line, sampled
from generators.plots.panels import Curve, draw_panels, panels
from generators.plots.svg import Canvas

if TYPE_CHECKING:
    from generators.making import Making

_MOST_STEPS = 400


def curves(view: Making, computation: Computation, key: str) -> PlotView:
    """The plot. Raises ValueError where nothing of it is finite."""
    plot = computation.plotted.plot
    ((over, (low, high)),) = plot.over
    whole = over in computation.integers
    found = tuple(_curves(view, computation, over, float(low), float(high)))
    formulas, over_label = words.shown_formulas(view, plot), view.read(over)
    shown = listed_labels(formulas)
    slope = words.slope_of(view, words.shown_texts(view, plot)[0], formulas[0], over)
    drawn = panels(found, *((shown.text, slope.text) if len(formulas) == 1 else ("", "")))
    canvas = Canvas(WIDTH, drawn[-1].bottom)
    draw_panels(canvas, drawn, (float(low), float(high)), over_label.text, whole)
    told = found if len(drawn) == 1 else [c for c in found if not c.derivative]
    about = " ".join(words.described(c.line, c.label.text, over_label.text) for c in told)
    about += " The derivatives are drawn below." if len(drawn) > 1 else ""
    title = f"{view.entry.name}: {shown.text} over {over_label.text}"
    caption = _caption(view, computation, found, over)
    return PlotView(key, canvas.svg(title, about), caption, f"{title}. {about}", plot.about)


def listed_labels(formulas: tuple[Formula, ...]) -> Formula:
    """Several formulas in a row."""
    return Formula(r",\; ".join(f.latex for f in formulas), ", ".join(f.text for f in formulas))


def _caption(view: Making, computation: Computation, found: tuple[Curve, ...], over: str) -> str:
    plot = computation.plotted.plot
    shown = [f"${f.latex}$" for f in words.shown_formulas(view, plot)]
    slopes = [c.label for c in found if c.derivative]
    text = words.listed(shown)
    if slopes:
        several = len(found) > 2
        text += f" and {'their' if len(shown) > 1 else 'its'} derivative{'s' if several else ''}"
        text += " (below)" if several else f" ${slopes[0].latex}$ (dashed)"
    text += f" over ${view.read(over).latex}$"
    if plot.each:
        text += f", for several ${listed_labels(tuple(view.read(name) for name, _ in plot.each)).latex}$"
    return f"{text}{words.conditions(view, plot, computation)}."


# --- numbers -----------------------------------------------------------------------------------------


def _curves(view: Making, computation: Computation, over: str, low: float, high: float) -> Iterator[Curve]:
    families = tuple(_families(view, computation, over))
    if over in computation.integers:
        x = np.arange(np.ceil(low), np.floor(high) + 1)
        x = x[:: max(1, len(x) // _MOST_STEPS)]
        for n, (label, _, value, _) in enumerate(families):
            yield Curve(Line(x, value(x)), label, n)
        return
    for n, (label, slope_label, value, slope) in enumerate(families):
        both = _has(slope, low, high)
        lines = sampled([value, slope] if both else [value], low, high, FEW if computation.is_costly else SAMPLES)
        yield Curve(lines[0], label, n)
        if both:
            yield Curve(lines[1], slope_label, n if len(families) > 1 else 1, True)


Family = tuple[Formula, Formula, Callable[[Any], Any], Callable[[Any], Any]]


def _families(view: Making, computation: Computation, over: str) -> Iterator[Family]:
    """Each curve: its label, that of its derivative, and both as functions."""
    plot = computation.plotted.plot
    texts, formulas = words.shown_texts(view, plot), words.shown_formulas(view, plot)
    middle = (float(plot.over[0][1][0]) + float(plot.over[0][1][1])) / 2
    names = tuple(name for name, _ in plot.each)
    for setting in zip(*(values for _, values in plot.each), strict=True) if plot.each else [()]:
        fixed = {name: float(value) for name, value in zip(names, setting, strict=True)}
        for n, (text, formula) in enumerate(zip(texts, formulas, strict=True)):
            start = float(np.ceil(middle)) if over in computation.integers else middle
            shape = np.shape(computation({over: start, **fixed})[n])
            for place in range(shape[0]) if shape else (None,):
                label = words.element(view, text, place) if place is not None else formula
                part = f"{text}[{place}]" if place is not None and text.isidentifier() else text
                slope = words.slope_of(view, part, label, over)
                if plot.each:
                    label = words.settings(view, names, setting)
                yield (
                    label,
                    slope,
                    _Column(computation, over, fixed, n, place),
                    _Column(computation, over, fixed, n, place, slope=True),
                )


@dataclass(frozen=True)
class _Column:
    """One curve as a function of what is varied, or its derivative, which is None where there is none."""

    computation: Computation
    over: str
    fixed: dict[str, float]
    output: int
    place: int | None
    slope: bool = False

    def __call__(self, x: Any) -> Any:
        varied = {self.over: x, **self.fixed}
        found = self.computation.slopes(varied, self.over) if self.slope else self.computation(varied)
        if found is None:
            return None
        made = found[self.output] if self.place is None else found[self.output][..., self.place]
        return np.broadcast_to(made, np.shape(x)).astype(float)


def _has(slope: Callable[[Any], Any], low: float, high: float) -> bool:
    found = slope(np.linspace(low, high, 9))
    return found is not None and bool(np.isfinite(found).any())
