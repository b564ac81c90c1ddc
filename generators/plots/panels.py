"""Panels of curves: frames one below the other that share a horizontal axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from generators.parts import Formula
from generators.plots.frame import HEIGHT, WIDTH, Frame, Key, draw_axes, draw_legend, framed, legend_rows, line_style
from generators.plots.lines import Line, segments, straightened, vertical_range
from generators.plots.svg import Canvas, number, polylines

_HALF, _HIGH = 250, 450  # where the upper of two panels ends, and the lower one
_SHARED = 14  # of the upper one, which needs no name below its axis
_MOST_DOTS = 60


@dataclass(frozen=True)
class Curve:
    """A line, what it is, the number of its colour, and whether it is the derivative of another one."""

    line: Line
    label: Formula
    number: int
    derivative: bool = False


class Panel(NamedTuple):
    """Curves that share a frame, what its vertical axis says, and from where to where it reaches.

    ``overlaid`` derivatives are dashed, as they stand beside what they are derivatives of.
    """

    curves: Sequence[Curve]
    name: str
    has_legend: bool
    overlaid: bool = True
    top: float = 0
    bottom: float = HEIGHT

    @property
    def ends(self) -> tuple[float, float] | None:
        """The values at the lower and the upper end; None where nothing is finite."""
        main = [c.line for c in self.curves if not (c.derivative and self.overlaid)]
        return vertical_range(main, [c.line for c in self.curves if c.derivative and self.overlaid])

    @property
    def rows(self) -> tuple[tuple[Key, ...], ...]:
        """The legend."""
        keys = [Key(c.number, c.derivative and self.overlaid, c.label.text) for c in self.curves]
        return legend_rows(keys) if self.has_legend else ()


def panels(curves: Sequence[Curve], name: str, slope: str) -> tuple[Panel, ...]:
    """One curve shares the frame with its derivative; the derivatives of several have one of their own."""
    values = [c for c in curves if not c.derivative]
    slopes = [c for c in curves if c.derivative]
    if len(values) == 1 and slopes:
        return (Panel(curves, "", True),)
    if not slopes:
        return (Panel(values, name, len(values) > 1),)
    upper = Panel(values, name, True, False, 0, _HALF)
    return upper, Panel(slopes, slope, False, False, _HALF - _SHARED, _HIGH)


def draw_panels(canvas: Canvas, drawn: Sequence[Panel], x_range: tuple[float, float], over: str, whole: bool) -> None:
    """Draw the panels; numbers begin in one place, so that all axes do. Raises ValueError where one has nothing."""

    def frame(panel: Panel, left: float = 0) -> Frame:
        if panel.ends is None:
            raise ValueError("nothing is finite")
        size = (WIDTH, panel.bottom)
        return framed(
            x_range, panel.ends, len(panel.rows), panel.name, whole=whole, size=size, top=panel.top, left=left
        )

    left = max(frame(panel).left for panel in drawn)
    for panel in drawn:
        placed = frame(panel, left)
        draw_axes(canvas, placed, over if panel is drawn[-1] else "", panel.name)
        for curve in sorted(panel.curves, key=lambda c: c.derivative):  # dashes let see what they lie upon
            _draw(canvas, placed, curve, whole, curve.derivative and panel.overlaid)
        draw_legend(canvas, placed, panel.rows)


def _draw(canvas: Canvas, frame: Frame, curve: Curve, whole: bool, dashed: bool) -> None:
    line = curve.line
    if whole and len(line.x) <= _MOST_DOTS:
        inside = [n for n in range(len(line.x)) if np.isfinite(line.y[n])]
        points = [(frame.x(line.x[n]), frame.y(line.y[n])) for n in inside]
        thin = line_style(curve.number) | {"stroke-width": 1, "stroke-opacity": 0.5}
        canvas.path(polylines([straightened(points)]), **thin)
        dots = "".join(f"M{number(x)} {number(y)}h0" for x, y in points)
        canvas.path(dots, **line_style(curve.number) | {"stroke-width": 5, "stroke-linecap": "round"})
        return
    parts = [straightened([(frame.x(x), frame.y(y)) for x, y in part]) for part in segments(line, *frame.y_range)]
    canvas.path(polylines(parts), **line_style(curve.number, dashed))
