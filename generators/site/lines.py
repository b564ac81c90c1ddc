"""Lines of a layered drawing: where they end at a box, in which lane they run, and their paths in the words of SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from generators.site.layers import Edge, Layered
from generators.site.places import lanes, net

SIDE = 26.0  # of a gutter, on both sides of its lanes
LANE = 7.0
ROUND = 16.0  # of a bend
PORT = 6.0  # between lines that end at the same box
ARROW = 5.0
_CLEAR = 8.0  # between lines in the same lane
_STRAIGHT = 0.5


@dataclass(frozen=True)
class Gutters:
    """The room between columns: how wide each is, where in it the lane of an item is, and at which heights lines are.

    All lines from an item begin at the same height; those that end at the same box are side by side.
    """

    widths: tuple[float, ...]
    lane: Mapping[str, float]
    start: Mapping[str, float]
    end: Mapping[Edge, float]


def gutters(graph: Layered, middle: Mapping[str, float], tall: Mapping[str, float]) -> Gutters:
    """Room for all lines between items at given heights."""
    end = _ends(graph, middle, tall)
    ends: dict[str, list[float]] = {}
    for (item, _), y in end.items():
        ends.setdefault(item, []).append(y)
    start = {i: _start(middle[i], tall[i], reached) for i, reached in ends.items()}
    widths: list[float] = []
    lane: dict[str, float] = {}
    for at in range(max(graph.column.values(), default=0)):
        starts = [i for i in ends if graph.column[i] == at]
        bent = [i for i in starts if any(abs(y - start[i]) > _STRAIGHT for y in ends[i])]
        found, count = lanes([net(start[i], ends[i]) for i in bent], _CLEAR)
        lane.update((i, SIDE + n * LANE) for i, n in zip(bent, found, strict=True))
        widths.append(2 * SIDE + max(0, count - 1) * LANE)
    return Gutters(tuple(widths), lane, start, end)


def _start(middle: float, tall: float, ends: Sequence[float]) -> float:
    """Where lines leave a box: level with the nearest end if that makes it straight."""
    nearest = min(ends, key=lambda y: abs(y - middle))
    return nearest if abs(nearest - middle) <= tall / 2 - PORT else middle


def _ends(graph: Layered, middle: Mapping[str, float], tall: Mapping[str, float]) -> dict[Edge, float]:
    arriving: dict[str, list[str]] = {}
    for start, end in graph.hops:
        arriving.setdefault(end, []).append(start)
    found: dict[Edge, float] = {}
    for end, starts in arriving.items():
        starts.sort(key=lambda i: middle[i])
        apart = min(PORT, (tall[end] - 10) / max(1, len(starts) - 1))
        for n, start in enumerate(starts):
            found[start, end] = middle[end] + (n - (len(starts) - 1) / 2) * apart
    return found


def path(route: Sequence[str], graph: Layered, between: Gutters, lefts: Sequence[float], width: float) -> str:
    """The way of a line along a route; columns begin at ``lefts`` and are all of a ``width``."""
    first = graph.column[route[0]]
    y = between.start[route[0]]
    parts = [f"M{number(lefts[first] + width)} {number(y)}"]
    for start, end in pairwise(route):
        right = lefts[graph.column[start]] + width
        to = between.end[start, end]
        if abs(to - y) > _STRAIGHT:
            parts.append(_bend(right + between.lane[start], y, to))
        y = to
    parts.append(f"H{number(lefts[graph.column[route[-1]]] - ARROW)}")
    return "".join(parts)


def _bend(x: float, y: float, to: float) -> str:
    """Along a lane at ``x`` from one height to another."""
    radius = min(ROUND, abs(to - y) / 2)
    down = radius if to > y else -radius
    across = ROUND  # also where the heights are close, so that a line does not turn sharply
    return (
        f"H{number(x - across)}C{number(x)} {number(y)} {number(x)} {number(y)} {number(x)} {number(y + down)}"
        f"V{number(to - down)}C{number(x)} {number(to)} {number(x)} {number(to)} {number(x + across)} {number(to)}"
    )


def number(value: float) -> str:
    """A length in tenths of a pixel."""
    return f"{round(value, 1):g}" if value else "0"
