"""The frame of a plot: where numbers lie on the page, axes with round ticks, and the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from generators.plots.svg import COLOURS, Canvas, width_of
from generators.plots.ticks import tick_texts, ticks

WIDTH = 440
HEIGHT = 280
_GAP = 6  # between an axis and its texts
_LINE = 16  # height of a line of text
_SAMPLE = 20  # length of the line that stands for a curve in the legend


class Key(NamedTuple):
    """A line of the legend: the class and number of a curve, and what it is."""

    number: int
    dashed: bool
    label: str


@dataclass(frozen=True)
class Frame:
    """The rectangle within the picture, and the numbers at its sides."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    left: float
    top: float
    right: float
    bottom: float
    x_ticks: tuple[float, ...] = ()
    y_ticks: tuple[float, ...] = ()
    x_texts: tuple[str, ...] = field(default=())
    y_texts: tuple[str, ...] = field(default=())

    def x(self, value: float) -> float:
        """The place of a number along the horizontal axis."""
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """The place of a number along the vertical axis."""
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def framed(
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    rows: int = 0,
    y_label: str = "",
    right: float = 10,
    whole: bool = False,
    most: tuple[int, int] = (9, 7),
    size: tuple[float, float] = (WIDTH, HEIGHT),
    top: float = 0,
    left: float = 0,
) -> Frame:
    """A frame that leaves room for its texts, and for ``rows`` of a legend above it.

    Its part of the picture begins at ``top``; ``left`` is how far to the right it begins at least.
    """
    x_ticks = ticks(*x_range, most=most[0], whole=whole)
    y_ticks = ticks(*y_range, most=most[1])
    x_texts, y_texts = tick_texts(x_ticks), tick_texts(y_ticks)
    left = max(left, max(map(width_of, y_texts), default=0) + _GAP + 4 + (_LINE + 4 if y_label else 0))
    return Frame(
        x_range,
        y_range,
        left=round(left),
        top=round(top + 8 + rows * (_LINE + 2)),
        right=size[0] - round(max(right, width_of(x_texts[-1]) / 2 + 2 if x_texts else 0)),
        bottom=size[1] - 2 * _LINE - _GAP,
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        x_texts=x_texts,
        y_texts=y_texts,
    )


def draw_axes(canvas: Canvas, frame: Frame, x_label: str, y_label: str = "", grid: bool = True) -> None:
    """Grid lines, axes, numbers and names; the lines through 0 stand out."""
    f = frame
    if grid:
        lines = [f"M{f.x(v):.2f} {f.top}V{f.bottom}" for v in f.x_ticks]
        lines += [f"M{f.left} {f.y(v):.2f}H{f.right}" for v in f.y_ticks]
        canvas.path("".join(lines), class_="plot-grid", stroke="currentColor", stroke_opacity=0.13)
        zero = f"M{f.x(0):.2f} {f.top}V{f.bottom}" if f.x_range[0] < 0 < f.x_range[1] else ""
        zero += f"M{f.left} {f.y(0):.2f}H{f.right}" if f.y_range[0] < 0 < f.y_range[1] else ""
        canvas.path(zero, class_="plot-zero", stroke="currentColor", stroke_opacity=0.45)
    marks = "".join(f"M{f.x(v):.2f} {f.bottom}v4" for v in f.x_ticks)
    marks += "".join(f"M{f.left} {f.y(v):.2f}h-4" for v in f.y_ticks)
    axes = f"M{f.left} {f.top}V{f.bottom}H{f.right}" if grid else f"M{f.left} {f.top}H{f.right}V{f.bottom}H{f.left}Z"
    canvas.path(axes + marks, class_="plot-axis", stroke="currentColor", stroke_opacity=0.7)
    canvas.open("plot-ticks", fill="currentColor", text_anchor="middle")
    for value, text in zip(f.x_ticks, f.x_texts, strict=True):
        canvas.text(round(f.x(value), 2), f.bottom + _LINE, text)
    canvas.close()
    canvas.open("plot-ticks", fill="currentColor", text_anchor="end")
    for value, text in zip(f.y_ticks, f.y_texts, strict=True):
        canvas.text(f.left - _GAP, round(f.y(value), 2), text, dy="0.35em")
    canvas.close()
    names: dict[str, str | float] = {"class": "plot-name", "fill": "currentColor", "text_anchor": "middle"}
    if x_label:
        canvas.text(round((f.left + f.right) / 2, 2), f.bottom + 2 * _LINE + 2, x_label, **names)
    if y_label:
        x, y = 10, round((f.top + f.bottom) / 2, 2)
        canvas.text(x, y, y_label, transform=f"rotate(-90 {x} {y})", **names)


def legend_rows(keys: Sequence[Key]) -> tuple[tuple[Key, ...], ...]:
    """The lines of a legend, as many to a row as there is room for."""
    rows: list[list[Key]] = []
    used = 0.0
    for key in keys:
        width = _entry_width(key)
        if not rows or used + width > WIDTH - 40:
            rows.append([])
            used = 0.0
        rows[-1].append(key)
        used += width
    return tuple(map(tuple, rows))


def _entry_width(key: Key) -> float:
    return _SAMPLE + 6 + width_of(key.label) + 16


def draw_legend(canvas: Canvas, frame: Frame, rows: Sequence[Sequence[Key]]) -> None:
    """The legend above the frame."""
    canvas.open("plot-legend")
    for n, row in enumerate(rows):
        x, y = frame.left, 4 + (n + 0.5) * (_LINE + 2)
        for key in row:
            canvas.path(f"M{x:.1f} {y:.1f}h{_SAMPLE}", **line_style(key.number, key.dashed))
            canvas.text(round(x + _SAMPLE + 6, 1), y, key.label, dy="0.35em", fill="currentColor")
            x += _entry_width(key)
    canvas.close()


def line_style(number: int, dashed: bool = False) -> dict[str, str | float]:
    """The look of a curve, numbered from 0 on."""
    style: dict[str, str | float] = {
        "class": f"plot-line-{number + 1}" + (" plot-derivative" if dashed else ""),
        "stroke": COLOURS[number % len(COLOURS)],
        "stroke-width": 1.6 if dashed else 2.2,
    }
    return style | ({"stroke-dasharray": "5 4"} if dashed else {})
