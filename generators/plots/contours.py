"""Contours: one number over two names, as lines of equal value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from generators.parts import PlotView
from generators.plots import words
from generators.plots.compute import Computation
from generators.plots.frame import WIDTH, Frame, draw_axes, framed
from generators.plots.lines import Points, straightened
from generators.plots.svg import NEGATIVE, POSITIVE, SIZE, Canvas, number, polyline, width_of
from generators.plots.ticks import number_text, tick_texts, ticks

if TYPE_CHECKING:
    from generators.making import Making

Array = Any
Point = tuple[float, float]
Edge = tuple[int, int, int]  # row and column of a corner, and whether the edge goes up from there
_SAMPLES = 97
_FEW = 33  # where each value takes long
_INSIDE = 0.002  # of a range
_SHIFT = 1e-9  # of the range of the values
_APART = 16  # pixels that lines lie apart where there is room for a number
_HEIGHT = 360
_SQUARE = 400  # width and height of a picture of two ranges of one length
_LEVELS = 9
_NEAR = 0.2  # of a side: how far apart points that are almost as low as the lowest may lie
_SKEWED = 0.12  # of the range: a median so low asks for levels that lie closer there
_SMALL = 0.85 * SIZE  # of the numbers on lines
_EVERY = 6  # pixels between places that are tried for a number
_TOO_CROWDED = 4.0  # what such a place may cost
_ROOM = 70  # length in pixels from which on a line has its number


def contours(view: Making, computation: Computation, key: str) -> PlotView | None:
    """The plot; None where nothing of it is finite, or all is one value."""
    plot = computation.plotted.plot
    (x_name, x_range), (y_name, y_range) = ((n, (float(a), float(b))) for n, (a, b) in plot.over)
    count = _FEW if computation.is_costly else _SAMPLES
    x, y, values = _grid(computation, (x_name, *x_range), (y_name, *y_range), count)
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() == finite.max():
        return None
    levels = chosen_levels(finite)
    size = (WIDTH, _HEIGHT)
    if x_range[1] - x_range[0] == y_range[1] - y_range[0]:
        size = (_SQUARE, _SQUARE)
    names = [view.read(name) for name in (x_name, y_name)]
    frame = framed(x_range, y_range, 0, names[1].text, size=size, most=(7, 7))
    canvas = Canvas(*size)
    draw_axes(canvas, frame, names[0].text, names[1].text, grid=False)
    _draw(canvas, frame, (x, y, values), levels)
    lowest = _lowest(values)
    if lowest is not None:
        place = f"M{number(frame.x(x[lowest[1]]))} {number(frame.y(y[lowest[0]]))}h0"
        canvas.path(place, class_="plot-lowest", stroke="currentColor", stroke_width=5, stroke_linecap="round")
    shown = words.shown_formulas(view, plot)[0]
    title = f"{view.entry.name}: {shown.text} over {names[0].text} and {names[1].text}"
    about = _about(shown.text, (names[0].text, names[1].text), (x, y, values), levels)
    text = f"${shown.latex}$ over ${names[0].latex}$ and ${names[1].latex}$"
    sentence = text + words.conditions(view, plot, computation)
    sentence += "; the dot is the lowest point" if lowest is not None else ""
    return PlotView(key, canvas.svg(title, about), f"{sentence}.", f"{title}. {about}", plot.about)


def _grid(
    computation: Computation, across: tuple[str, float, float], up: tuple[str, float, float], count: int
) -> tuple[Array, Array, Array]:
    """Where, and the values row by row; a little inside of the ranges, if nothing is finite along one of their ends."""
    if {across[0], up[0]} & computation.integers:
        raise ValueError("integers have no contours")
    for part in (0.0, _INSIDE):
        x, y = (np.linspace(a + part * (b - a), b - part * (b - a), count) for _, a, b in (across, up))
        columns, rows = np.meshgrid(x, y)
        (found,) = computation({across[0]: columns.ravel(), up[0]: rows.ravel()})
        values = np.broadcast_to(found, columns.size).reshape(columns.shape).astype(float)
        finite = np.isfinite(values)
        if all(side.any() for side in (finite[0], finite[-1], finite[:, 0], finite[:, -1])):
            break
    return x, y, values


def chosen_levels(finite: Array) -> tuple[float, ...]:
    """Round values: evenly spaced, or 1, 2 and 5 times powers of ten where most values are small."""
    low, high = map(float, np.quantile(finite, (0.01, 0.99)))
    least, middle = float(finite.min()), float(np.median(finite))
    if least >= 0 and high > 0 and middle - least < _SKEWED * (high - least):
        decades = np.floor(np.log10(high)) - np.arange(3)[::-1]
        every = [m * 10.0**d for d in decades for m in (1, 2, 5)]
        inside = [round(v, 12) for v in every if max(low, 1e-12) < v <= high]
        return tuple(inside[-_LEVELS:])
    inside = [v for v in ticks(low, high, _LEVELS + 2) if finite.min() < v < finite.max()]
    return tuple(inside)


def _lowest(values: Array) -> tuple[int, int] | None:
    """The place of the least value, if it is inside and there is one."""
    finite = np.where(np.isfinite(values), values, np.inf)
    row, column = np.unravel_index(int(np.argmin(finite)), values.shape)
    least, greatest = finite[row, column], values[np.isfinite(values)].max()
    near = np.argwhere(finite <= least + 1e-3 * (greatest - least))
    wide = (near.max(axis=0) - near.min(axis=0)).max() > _NEAR * len(values)
    inside = 0 < row < values.shape[0] - 1 and 0 < column < values.shape[1] - 1
    return (int(row), int(column)) if inside and not wide else None


def _about(name: str, over: tuple[str, str], grid: tuple[Array, Array, Array], levels: tuple[float, ...]) -> str:
    x, y, values = grid
    finite = np.isfinite(values)
    told = []
    for word, fill, pick in (("least", np.inf, np.argmin), ("greatest", -np.inf, np.argmax)):
        row, column = np.unravel_index(int(pick(np.where(finite, values, fill))), values.shape)
        place = f"{over[0]} = {words.place(x[column], x)} and {over[1]} = {words.place(y[row], y)}"
        told.append(f"its {word} value here, {words.value(values[row, column], values[finite])}, at {place}")
    return f"{name} has {words.listed(told)}. Lines of equal value at {', '.join(map(number_text, levels))}."


# --- drawing -----------------------------------------------------------------------------------------


def _draw(canvas: Canvas, frame: Frame, grid: tuple[Array, Array, Array], levels: tuple[float, ...]) -> None:
    x, y, values = grid
    texts = dict(zip(levels, _texts(levels), strict=True))
    crowd = _Crowd.of(frame, grid)
    labels: list[tuple[Point, str]] = []
    canvas.open("plot-contours", stroke_width=1.5)
    for n, level in enumerate(levels):
        lines = [
            straightened([(frame.x(px), frame.y(py)) for px, py in line]) for line in level_lines(x, y, values, level)
        ]
        pieces: list[Points] = []
        for line in sorted(lines, key=_length, reverse=True):
            place = _label_place(line, texts[level], frame, [p for p, _ in labels], crowd.at(_gap(levels, n)))
            if place is not None:
                labels.append((place, texts[level]))
                pieces += _without(line, place, width_of(texts[level], _SMALL) / 2 + 3)
            else:
                pieces.append(line)
        data = "".join(polyline(p) for p in pieces if len(p) > 1)
        canvas.path(data, **_level_style(level, n, len(levels)))
    canvas.close()
    canvas.open("plot-levels", fill="currentColor", font_size=_SMALL, text_anchor="middle")
    for (px, py), text in labels:
        canvas.text(round(px, 1), round(py, 1), text, dy="0.35em")
    canvas.close()


def _texts(levels: tuple[float, ...]) -> tuple[str, ...]:
    even = len(levels) > 2 and np.allclose(np.diff(levels), levels[1] - levels[0])
    return tick_texts(levels) if even else tuple(map(number_text, levels))


def _level_style(level: float, n: int, count: int) -> dict[str, str | float]:
    if level == 0:
        return {"class": "plot-level-zero", "stroke": "currentColor", "stroke-opacity": 0.8}
    name, colour = ("positive", POSITIVE) if level > 0 else ("negative", NEGATIVE)
    strength = (n + 1) / count if level > 0 else (count - n) / count
    return {"class": f"plot-{name}", "stroke": colour, "stroke-opacity": round(0.6 + 0.4 * strength, 2)}


def _length(line: Points) -> float:
    return sum(abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in pairwise(line))


@dataclass(frozen=True)
class _Crowd:
    """How steep the values are on the page, which tells how close lines lie."""

    frame: Frame
    steepness: Array

    @classmethod
    def of(cls, frame: Frame, grid: tuple[Array, Array, Array]) -> _Crowd:
        """For values on a grid; beside what is not finite there is no room for a number."""
        x, y, values = grid
        with np.errstate(all="ignore"):
            up, across = np.gradient(values, frame.y(y), frame.x(x))
        return cls(frame, np.nan_to_num(np.hypot(up, across), nan=np.inf))

    def at(self, gap: float) -> Callable[[Point], float]:
        """What it costs to write a number somewhere, where lines are a ``gap`` in value apart."""
        f, (rows, columns) = self.frame, self.steepness.shape

        def cost(place: Point) -> float:
            row = round((f.bottom - place[1]) / (f.bottom - f.top) * (rows - 1))
            column = round((place[0] - f.left) / (f.right - f.left) * (columns - 1))
            return max(0.0, _APART * float(self.steepness[row, column]) / gap - 1)

        return cost


def _gap(levels: tuple[float, ...], n: int) -> float:
    near = [abs(levels[n] - levels[m]) for m in (n - 1, n + 1) if 0 <= m < len(levels)]
    return min(near, default=1.0)


def _label_place(
    line: Points, text: str, frame: Frame, taken: list[Point], crowded: Callable[[Point], float]
) -> Point | None:
    """A point of the line for its number: away from the border and from other numbers, where the line is level."""
    if _length(line) < _ROOM:
        return None
    half = width_of(text, _SMALL) / 2
    around = [*line, line[1]] if line[0] == line[-1] else line
    corners = [b for a, b, c in zip(around, around[1:], around[2:], strict=False) if _is_corner(a, b, c)]
    best: tuple[float, Point] | None = None
    for (x0, y0), (x1, y1) in pairwise(_finer(line, _EVERY)):
        place = ((x0 + x1) / 2, (y0 + y1) / 2)
        if not frame.left + half + 4 < place[0] < frame.right - half - 4:
            continue
        if not frame.top + 8 < place[1] < frame.bottom - 8:
            continue
        if any(abs(place[0] - p) < 2 * half + 8 and abs(place[1] - q) < 14 for p, q in taken):
            continue
        steep = abs(y1 - y0) / (abs(x1 - x0) + abs(y1 - y0) or 1)
        centre = abs(place[0] - (frame.left + frame.right) / 2) / (frame.right - frame.left)
        near = any(abs(place[0] - p) < half + 8 and abs(place[1] - q) < 10 for p, q in corners)
        cost = round(steep + centre + near + crowded(place), 3)
        if best is None or cost < best[0]:
            best = (cost, place)
    return best[1] if best is not None and best[0] < _TOO_CROWDED else None


def _is_corner(a: Point, b: Point, c: Point) -> bool:
    """Whether a line bends by more than 30 degrees in a point; such places are to be seen."""
    (ux, uy), (vx, vy) = (b[0] - a[0], b[1] - a[1]), (c[0] - b[0], c[1] - b[1])
    return ux * vx + uy * vy < 0.87 * hypot(ux, uy) * hypot(vx, vy)


def _finer(line: Points, step: float) -> Points:
    """The line with points in between, not much farther apart than this."""
    made: Points = []
    for (x0, y0), (x1, y1) in pairwise(line):
        count = max(1, int(max(abs(x1 - x0), abs(y1 - y0)) // step))
        made += [(x0 + (x1 - x0) * k / count, y0 + (y1 - y0) * k / count) for k in range(count)]
    return [*made, line[-1]]


def _without(line: Points, place: Point, half: float) -> Iterator[Points]:
    """The parts of a line outside of the box of its number, cut where they enter it."""
    part: Points = []
    for px, py in _finer(line, 2):
        if abs(px - place[0]) < half and abs(py - place[1]) < 0.55 * _SMALL:
            if len(part) > 1:
                yield straightened(part)
            part = []
        else:
            part.append((px, py))
    if len(part) > 1:
        yield straightened(part)


# --- marching squares --------------------------------------------------------------------------------


def level_lines(x: Array, y: Array, values: Array, level: float) -> list[Points]:
    """The lines on which the values, given at ``y`` by ``x``, are ``level``; a closed one ends where it begins.

    Values between the corners of a cell are taken to lie on straight lines along its edges. Cells
    with a corner that is not finite are passed over.
    """
    finite = values[np.isfinite(values)]
    level -= _SHIFT * float(finite.max() - finite.min())  # so that no corner lies on a line
    above = values >= level
    neighbours: dict[Edge, list[Edge]] = {}
    for row, column in _crossed(values, above):
        for one, other in _cell(values, above, row, column, level):
            neighbours.setdefault(one, []).append(other)
            neighbours.setdefault(other, []).append(one)
    places = {edge: _crossing(x, y, values, edge, level) for edge in neighbours}
    return [[places[edge] for edge in chain] for chain in _chains(neighbours)]


def _crossed(values: Array, above: Array) -> list[tuple[int, int]]:
    corners = [above[:-1, :-1], above[:-1, 1:], above[1:, :-1], above[1:, 1:]]
    count = sum(c.astype(int) for c in corners)
    finite = np.isfinite(values)
    whole = finite[:-1, :-1] & finite[:-1, 1:] & finite[1:, :-1] & finite[1:, 1:]
    return [(int(r), int(c)) for r, c in np.argwhere((count > 0) & (count < 4) & whole)]


def _cell(values: Array, above: Array, row: int, column: int, level: float) -> list[tuple[Edge, Edge]]:
    """The pairs of edges of a cell that a line joins."""
    bottom, top = (row, column, 0), (row + 1, column, 0)
    left, right = (row, column, 1), (row, column + 1, 1)
    a, b = bool(above[row, column]), bool(above[row, column + 1])
    c, d = bool(above[row + 1, column + 1]), bool(above[row + 1, column])
    crossed = [e for e, (p, q) in ((bottom, (a, b)), (right, (b, c)), (top, (d, c)), (left, (a, d))) if p != q]
    if len(crossed) == 2:
        return [(crossed[0], crossed[1])]
    # All four: the mean says whether the middle belongs to the corner ``a``.
    middle = bool(values[row : row + 2, column : column + 2].mean() >= level)
    return [(bottom, right), (top, left)] if middle == a else [(bottom, left), (top, right)]


def _crossing(x: Array, y: Array, values: Array, edge: Edge, level: float) -> Point:
    row, column, up = edge
    first, second = values[row, column], values[row + up, column + 1 - up]
    part = float((level - first) / (second - first))
    if up:
        return float(x[column]), float(y[row] + part * (y[row + 1] - y[row]))
    return float(x[column] + part * (x[column + 1] - x[column])), float(y[row])


def _chains(neighbours: dict[Edge, list[Edge]]) -> Iterator[list[Edge]]:
    """Edges in the order in which lines pass them: open lines from their ends, then closed ones."""
    seen: set[Edge] = set()
    starts = [e for e, others in neighbours.items() if len(others) == 1]
    for start in [*starts, *neighbours]:
        if start in seen:
            continue
        chain = [start]
        seen.add(start)
        while following := [e for e in neighbours[chain[-1]] if e not in seen]:
            chain.append(following[0])
            seen.add(following[0])
        if len(chain) > 2 and start in neighbours[chain[-1]]:
            chain.append(start)
        yield chain
