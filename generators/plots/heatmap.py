"""Heat maps: a matrix, or a vector over one name, in shades of one colour for each sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from generators.parts import PlotView
from generators.plots import words
from generators.plots.compute import Computation
from generators.plots.frame import Frame, draw_axes
from generators.plots.svg import NEGATIVE, POSITIVE, Canvas, number, width_of
from generators.plots.ticks import tick_texts, ticks
from kb.plots import MAX_CELLS

if TYPE_CHECKING:
    from generators.making import Making

Array = Any
_SHADES = 20
_WIDE, _HIGH = 340, 300  # the most that the cells may take
_CELL = 30  # the largest side of a cell
_LEAST = 150  # pixels of a side, unless the cells would be too large
_BAR = 12  # width of the colour bar
_FROM_ZERO = 0.4  # of the greatest value: a least value below this begins the scale at 0


@dataclass(frozen=True)
class Sheet:
    """The values row by row, those of the first row drawn at the top if ``downwards``, and what the axes say."""

    values: Array
    x_range: tuple[float, float]
    names: tuple[str, str]
    downwards: bool


def heat_map(view: Making, computation: Computation, key: str) -> PlotView | None:
    """The plot; None where any of it is not finite."""
    plot = computation.plotted.plot
    shown = words.shown_formulas(view, plot)[0]
    over = view.read(plot.over[0][0]) if plot.over else None
    sheet = _over(view, computation) if over else _matrix(view, computation)
    if not np.isfinite(sheet.values).all():
        return None
    scale = Scale.of(sheet.values)
    frame, canvas = _frame(sheet, scale)
    _cells(canvas, frame, sheet, scale)
    draw_axes(canvas, frame, *sheet.names, grid=False)
    scale.draw(canvas, frame)
    title = f"{view.entry.name}: {shown.text}" + (f" over {over.text}" if over else "")
    rows, columns = sheet.values.shape
    kind = f"{rows} elements over {columns} values of {over.text}" if over else f"{rows} rows and {columns} columns"
    about = f"{shown.text} as a heat map of {kind}, with values {words.extremes(sheet.values)}."
    sentence = f"The elements of ${shown.latex}$ over ${over.latex}$" if over else f"${shown.latex}$"
    caption = f"{sentence}{words.conditions(view, plot, computation)}."
    return PlotView(key, canvas.svg(title, about), caption, f"{title}. {about}", plot.about)


def _matrix(view: Making, computation: Computation) -> Sheet:
    values = computation({})[0].astype(float)
    name = words.shown_formulas(view, computation.plotted.plot)[0].text
    return Sheet(values, (-0.5, values.shape[1] - 0.5), (f"column of {name}", f"row of {name}"), True)


def _over(view: Making, computation: Computation) -> Sheet:
    """A column for each value of what is varied, element 0 at the bottom."""
    plot = computation.plotted.plot
    ((name, ends),) = plot.over
    low, high = map(float, ends)
    whole = low == int(low) and high == int(high) and high - low < MAX_CELLS
    x = np.arange(low, high + 1) if whole else np.linspace(low, high, MAX_CELLS)
    (found,) = computation({name: x})
    half = float(x[1] - x[0]) / 2
    shown = words.shown_formulas(view, plot)[0]
    names = (view.read(name).text, f"element of {shown.text}")
    return Sheet(np.atleast_2d(found).T.astype(float), (low - half, high + half), names, False)


# --- shades ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """From values to shades: 0 is the colour of the page where the values reach so far, or the least value is faint."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Array) -> Scale:
        """The scale for some values: symmetric where both signs occur, and from 0 where that is near."""
        low, high = float(values.min()), float(values.max())
        if low < 0 < high:
            largest = max(-low, high)
            return cls(-largest, largest)
        if low >= 0 and low <= _FROM_ZERO * high:
            return cls(0.0, high or 1.0)
        if high <= 0 and high >= _FROM_ZERO * low:
            return cls(low, 0.0)
        return cls(low, high) if low < high else cls(low - 0.5, low + 0.5)

    @property
    def crosses(self) -> bool:
        """Whether values of both signs are shown."""
        return self.low < 0 < self.high

    def shades(self, values: Array) -> Array:
        """Whole numbers from -20 to 20, whose sign is the colour and whose size the strength."""
        if self.crosses:
            part = values / self.high
        elif self.high <= 0:
            part = -(self.high - values) / (self.high - self.low)
        else:
            part = (values - self.low) / (self.high - self.low)
        # Rounded before it is rounded to a shade, so that noise in the last digit does not decide.
        return np.rint(np.round(part * _SHADES, 6)).astype(int)

    def style(self, shade: int) -> dict[str, str | float]:
        """The look of a shade."""
        name, colour = ("positive", POSITIVE) if shade > 0 else ("negative", NEGATIVE)
        return {"class": f"plot-{name}", "stroke": colour, "stroke-opacity": round(abs(shade) / _SHADES, 2)}

    def draw(self, canvas: Canvas, frame: Frame) -> None:
        """The colour bar with its numbers, to the right of the frame."""
        x, height = frame.right + 14, frame.bottom - frame.top
        count = 2 * _SHADES if self.crosses else _SHADES
        middles = self.low + (np.arange(count) + 0.5) / count * (self.high - self.low)
        canvas.open("plot-bar", stroke_width=_BAR, shape_rendering="crispEdges")
        for n, shade in enumerate(self.shades(middles)):
            if shade:
                bottom, top = (frame.bottom - height * k / count for k in (n, n + 1))
                canvas.path(f"M{x + _BAR / 2} {number(bottom)}V{number(top)}", **self.style(int(shade)))
        canvas.close()
        canvas.rect(x, frame.top, _BAR, height, class_="plot-axis", stroke="currentColor", stroke_opacity=0.5)
        canvas.open("plot-ticks", fill="currentColor")
        for value, text in self.marks():
            y = frame.bottom - (value - self.low) / (self.high - self.low) * height
            canvas.text(x + _BAR + 5, round(y, 2), text, dy="0.35em")
        canvas.close()

    def marks(self) -> Iterator[tuple[float, str]]:
        """Round numbers along the bar."""
        values = ticks(self.low, self.high, 6)
        yield from zip(values, tick_texts(values), strict=True)


# --- drawing -----------------------------------------------------------------------------------------


def _frame(sheet: Sheet, scale: Scale) -> tuple[Frame, Canvas]:
    """Cells are square where that leaves them large enough."""
    rows, columns = sheet.values.shape
    side = min(_CELL, _WIDE / columns, _HIGH / rows)
    width, height = side * columns, side * rows
    width = max(width, min(_LEAST, _CELL * columns))
    height = max(height, min(_LEAST, _CELL * rows))
    y_range = (rows - 0.5, -0.5) if sheet.downwards else (-0.5, rows - 0.5)
    x_ticks = ticks(*sheet.x_range, most=max(2, int(width // 26)), whole=True)
    y_ticks = ticks(-0.5, rows - 0.5, most=max(2, int(height // 22)), whole=True)
    y_texts = tick_texts(y_ticks)
    left = round(max(map(width_of, y_texts), default=0) + 26)
    right, bottom = left + round(width), 10 + round(height)
    bar = 14 + _BAR + 5 + max((width_of(text) for _, text in scale.marks()), default=0) + 4
    frame = Frame(sheet.x_range, y_range, left, 10, right, bottom, x_ticks, y_ticks, tick_texts(x_ticks), y_texts)
    return frame, Canvas(round(right + bar), bottom + 40)


def _cells(canvas: Canvas, frame: Frame, sheet: Sheet, scale: Scale) -> None:
    """One path for each shade; neighbours of one shade in a row are drawn together."""
    shades = scale.shades(sheet.values if sheet.downwards else sheet.values[::-1])
    rows, columns = shades.shape
    runs: dict[int, list[str]] = {}
    for row in range(rows):
        start = 0
        for column in range(1, columns + 1):
            if column == columns or shades[row, column] != shades[row, start]:
                runs.setdefault(int(shades[row, start]), []).append(f"M{start} {row}h{column - start}")
                start = column
    across, down = (frame.right - frame.left) / columns, (frame.bottom - frame.top) / rows
    place = f"translate({frame.left} {number(frame.top + down / 2)}) scale({number(across, 4)} {number(down, 4)})"
    canvas.open("plot-cells", transform=place, stroke_width=1, shape_rendering="crispEdges")
    for shade in sorted(runs):
        if shade:
            canvas.path("".join(runs[shade]), **scale.style(shade))
    canvas.close()
