"""The geometry of the map: labels in boxes, boxes in columns and bands, and lines between them.

Bands are groups, such as topics. Those with calls have their entries in layers from left to right, with all
others of the group beside; groups without any call follow below, over the whole width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil

from generators.site.labels import width_of, wrap
from generators.site.layers import Layered, layered, order_groups, order_items
from generators.site.lines import PORT, gutters, path
from generators.site.places import heights

LETTERS, TITLE_LETTERS = 12.5, 14.0
WIDTH = 186.0  # of a box
_LEFT, _LINE, _AROUND = 11.0, 15.5, 12.0  # of a label: margin, lines, above and below together
_DOT = 3.0  # for the dot before the label of an entry without calls
_GAP = 8.0  # between boxes of a column
_STOP = 8.0  # the height of a line that passes a column
_BESIDE = 10.0  # between columns of boxes that no line runs between
_PAD, _HEAD, _BETWEEN = 16.0, 40.0, 10.0  # of bands
_MOST_EXTRA = 2  # columns after the last layer
_SHELF = 4  # rows of a topic without calls, and columns that the picture has at least for such topics
_HUB = 4  # users


@dataclass(frozen=True)
class Box:
    """An entry: its name in lines, and where it stands; ``ends`` lines end at it.

    It is a ``hub`` if many use it, and ``quiet`` if it calls nothing and nothing calls it.
    """

    id: str
    lines: tuple[str, ...]
    hub: bool = False
    quiet: bool = False
    ends: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def height(self) -> float:
        """Of the box."""
        label = len(self.lines) * _LINE
        return label + _AROUND / 2 if self.quiet else max(label + _AROUND, self.ends * PORT + _AROUND)

    @property
    def baselines(self) -> list[tuple[str, float, float]]:
        """Each line with the place where it begins."""
        first = self.y + (self.height - len(self.lines) * _LINE) / 2 + _LINE * 0.76
        left = self.x + (_LEFT + _DOT if self.quiet else _LEFT)
        return [(line, left, first + n * _LINE) for n, line in enumerate(self.lines)]


@dataclass(frozen=True)
class Band:
    """A group."""

    group: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """From an entry that is used to one that uses it; ``path`` is in the words of SVG."""

    used: str
    user: str
    path: str


@dataclass(frozen=True)
class Drawing:
    """All that is drawn, in units of a pixel; boxes in the order in which they are read."""

    width: float
    height: float
    bands: tuple[Band, ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Graph:
    """What is drawn: entries with their names and groups, what each uses, and titles of groups that are shown."""

    names: Mapping[str, str]
    groups: Mapping[str, str]
    uses: Mapping[str, Sequence[str]]
    titles: Mapping[str, str]


def draw(graph: Graph, bold: str = "") -> Drawing:
    """A picture of a graph; the label of the entry ``bold`` is in bold letters, as those of hubs.

    Raises ValueError where entries use each other in a circle.
    """
    boxes = _boxes(graph, bold)
    ranks = layered({i: graph.uses[i] for i, box in boxes.items() if not box.quiet}, graph.groups)
    present = list(dict.fromkeys(graph.groups[i] for i in boxes))
    alone = {g: [b for i, b in boxes.items() if b.quiet and graph.groups[i] == g] for g in present}
    strips = _strips(graph, ranks, boxes, alone)
    top = 0.0
    middle: dict[str, float] = {}
    bands: list[Band] = []
    for strip in strips:
        middle |= {i: top + strip.head + y for i, y in strip.middle.items()}
        bands.append(Band(strip.group, 0.0, top, 0.0, strip.height))
        top += strip.height + _BETWEEN
    tall = {i: boxes[i].height if i in boxes else _STOP for i in ranks.column}
    between = gutters(ranks, middle, tall)
    lefts = list(accumulate((WIDTH + gutter for gutter in between.widths), initial=_PAD)) if strips else []
    placed = [replace(b, x=lefts[ranks.column[i]], y=middle[i] - b.height / 2) for i, b in boxes.items() if not b.quiet]
    after = lefts[-1] + WIDTH + 2 * _BESIDE if strips else _PAD
    for strip, band in zip(strips, bands, strict=True):
        slots = [*lefts[strip.first :], *(after + n * (WIDTH + _BESIDE) for n in range(_MOST_EXTRA))]
        placed += _at(strip.rows, slots, band.y + strip.head)
    width = _width(graph, placed, {g: a for g, a in alone.items() if g not in ranks.group.values()})
    bands = [replace(band, width=width) for band in bands]
    silent = {g: alone[g] for g in present if g not in {band.group for band in bands}}
    for band, rows in _shelves(silent, width, top, _head(graph)):
        bands.append(band)
        across = max(map(len, rows))
        pitch = max(WIDTH + _BESIDE, (band.width - 2 * _PAD + _BESIDE) / across) if across > 1 else 0.0
        slots = [band.x + _PAD + n * pitch for n in range(across)]
        placed += _at(rows, slots, band.y + _head(graph))
    lines = [Line(a, b, path(r, ranks, between, lefts, WIDTH)) for (a, b), r in ranks.routes.items()]
    height = max((band.y + band.height for band in bands), default=0.0)
    rank = {band.group: n for n, band in enumerate(bands)}
    placed.sort(key=lambda b: (rank[graph.groups[b.id]], b.quiet, (b.y, b.x) if b.quiet else (b.x, b.y)))
    return Drawing(width, height, tuple(bands), tuple(placed), tuple(lines))


def _boxes(graph: Graph, bold: str) -> dict[str, Box]:
    users = dict.fromkeys(graph.names, 0)
    for used in graph.uses.values():
        for u in used:
            users[u] += 1
    made = {}
    for i, name in graph.names.items():
        hub = users[i] >= _HUB
        lines = wrap(name, WIDTH - 2 * _LEFT, LETTERS, hub or i == bold)
        made[i] = Box(i, lines, hub, not (users[i] or graph.uses[i]), len(graph.uses[i]))
    return made


def _head(graph: Graph) -> float:
    return _HEAD if graph.titles else _PAD


def _width(graph: Graph, placed: Sequence[Box], silent: Mapping[str, Sequence[Box]]) -> float:
    """Room for what is placed, for titles, and for some columns of topics without calls."""
    right = max((b.x + WIDTH for b in placed), default=0.0)
    across = sum(min(_SHELF, ceil(len(a) / _SHELF)) for a in silent.values())
    titles = [_PAD + width_of(t, TITLE_LETTERS, bold=True) for t in graph.titles.values()]
    return max(right, min(across, _SHELF) * (WIDTH + _BESIDE) - _BESIDE + _PAD, *titles, 0.0) + _PAD


# --- groups with calls -------------------------------------------------------------------------------

Rows = list[list[Box]]


@dataclass(frozen=True)
class _Strip:
    """The inside of a band: heights in its layers, and rows of entries without calls from column ``first`` on."""

    group: str
    head: float
    height: float
    middle: Mapping[str, float]
    first: int
    rows: Rows


def _strips(graph: Graph, ranks: Layered, boxes: Mapping[str, Box], alone: Mapping[str, Sequence[Box]]) -> list[_Strip]:
    lively = [g for g in alone if g in {ranks.group[i] for i in ranks.column}]
    order = order_groups(lively, [(graph.groups[a], graph.groups[b]) for a, b in ranks.routes])
    columns = order_items(ranks, order)
    near: dict[str, list[str]] = {i: [] for i in ranks.column}
    for a, b in ranks.hops:
        near[a].append(b)
        near[b].append(a)
    tall = {i: boxes[i].height if i in boxes else _STOP for i in ranks.column}
    strips = []
    for group in order:
        own = [[i for i in column if ranks.group[i] == group] for column in columns]
        middle, total = heights(own, tall, near, _GAP)
        first = max(n for n, column in enumerate(own) if column) + 1
        rows = _beside(alone[group], total, len(columns) - first)
        beside_title = bool(graph.titles) and not own[0] and width_of(graph.titles[group], TITLE_LETTERS, True) < WIDTH
        head = _PAD if beside_title else _head(graph)
        strips.append(_Strip(group, head, head + max(total, _tall(rows)) + _PAD, middle, first, rows))
    return strips


def _beside(boxes: Sequence[Box], room: float, free: int) -> Rows:
    """Rows in the free columns, and in as few more as make them no higher than the room."""
    counts = range(max(1, free), free + _MOST_EXTRA)
    return _grid(boxes, next((n for n in counts if _tall(_grid(boxes, n)) <= room), free + _MOST_EXTRA))


# --- groups without calls ----------------------------------------------------------------------------


def _shelves(groups: Mapping[str, Sequence[Box]], width: float, top: float, head: float) -> list[tuple[Band, Rows]]:
    """Groups side by side in shelves over the whole width, each in as few columns as make few rows."""
    most = max(1, int((width - 2 * _PAD + _BESIDE) / (WIDTH + _BESIDE)))
    made: list[tuple[Band, Rows]] = []
    for shelf in _filled({g: min(most, ceil(len(b) / _SHELF)) for g, b in groups.items()}, most):
        for _ in range(most - sum(shelf.values())):  # what is left goes to the one with most rows
            shelf[max(shelf, key=lambda g: _tall(_grid(groups[g], shelf[g])))] += 1
        each = (width - _BETWEEN * (len(shelf) - 1)) / most
        rows = {g: _grid(groups[g], columns) for g, columns in shelf.items()}
        height = head + max(map(_tall, rows.values())) + _PAD
        left = 0.0
        for group, columns in shelf.items():
            made.append((Band(group, left, top, columns * each, height), rows[group]))
            left += columns * each + _BETWEEN
        top += height + _BETWEEN
    return made


def _filled(columns: Mapping[str, int], most: int) -> list[dict[str, int]]:
    shelves: list[dict[str, int]] = []
    for group, count in columns.items():
        if not shelves or sum(shelves[-1].values()) + count > most:
            shelves.append({})
        shelves[-1][group] = count
    return shelves


def _grid(boxes: Sequence[Box], columns: int) -> Rows:
    return [list(boxes[n : n + columns]) for n in range(0, len(boxes), columns)]


def _tall(rows: Rows) -> float:
    return sum(max(b.height for b in row) for row in rows) + _GAP * max(0, len(rows) - 1)


def _at(rows: Rows, slots: Sequence[float], top: float) -> list[Box]:
    placed: list[Box] = []
    for row in rows:
        placed += [replace(b, x=x, y=top) for b, x in zip(row, slots, strict=False)]
        top += max(b.height for b in row) + _GAP
    return placed
