"""Curves of functions: where they break, how much of them is drawn, and in how few points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

Array = Any
Points = list[tuple[float, float]]
Compute = Callable[[Array], Array]
SAMPLES = 481
FEW = 81  # where each value takes long; jumps are not looked for then
_HALVINGS = 40
_MOST_HALVED = 48  # intervals that are looked into, the steepest ones
_STEEP = 0.02  # of the range: a difference between neighbours that may be a jump
_STAYS = 0.5  # of a difference: what is left of it in a tiny interval, if it is a jump
_GROWS = 3.0  # times what the values beside it are: how large they are in a tiny interval, if there is a pole
_MORE = 1.3  # times the range of the values: how far derivatives may extend it on either side
_FINE = 100  # parts of a pixel
_STRAIGHT = 10  # such parts: how far a point may lie from the line that is drawn without it


@dataclass(frozen=True)
class Line:
    """The values of a function for rising numbers; it jumps after the places ``breaks`` and has ``poles``."""

    x: Array
    y: Array
    breaks: frozenset[int] = frozenset()
    poles: tuple[float, ...] = ()

    @property
    def jumps(self) -> tuple[tuple[float, float, float], ...]:
        """Where values jump: the place, and the values before and after."""
        return tuple((float(self.x[n]), float(self.y[n]), float(self.y[n + 1])) for n in sorted(self.breaks))

    @property
    def infinite(self) -> tuple[float, ...]:
        """Where it has no finite value, at these places or between two of them."""
        return tuple(sorted({*map(float, self.x[~np.isfinite(self.y)]), *self.poles}))


def sampled(computes: list[Compute], low: float, high: float, count: int = SAMPLES) -> list[Line]:
    """Lines of several functions at the same places, with both sides of each place where any of them jumps."""
    x = np.linspace(low, high, count)
    columns = [compute(x) for compute in computes]
    found = [_steep(compute, x, y) if count > FEW else _NOTHING for compute, y in zip(computes, columns, strict=True)]
    jumps = sorted({jump for places in found for jump in places.jumps})
    if jumps:
        x = np.unique(np.concatenate([x, np.array(jumps).ravel()]))
        columns = [compute(x) for compute in computes]
    return [Line(x, y, _breaks(x, y, jumps), own.poles) for y, own in zip(columns, found, strict=True)]


class Steep(NamedTuple):
    """Where a function changes much: both sides of its jumps, and its poles."""

    jumps: frozenset[tuple[float, float]]
    poles: tuple[float, ...]


_NOTHING = Steep(frozenset(), ())


def _steep(compute: Compute, x: Array, y: Array) -> Steep:
    """Look into the intervals in which a function changes much, by halving them."""
    apart = np.abs(y[1:] - y[:-1])
    known = np.isfinite(apart)
    if not known.any() or not apart[known].max() > 0:
        return _NOTHING
    finite = y[np.isfinite(y)]
    low, high = np.quantile(finite, (0.02, 0.98))
    least = _STEEP * ((high - low) or (finite.max() - finite.min()))
    places = np.flatnonzero(known & (apart > least))
    if not len(places):
        return _NOTHING
    places = np.sort(places[np.argsort(-apart[places], kind="stable")[:_MOST_HALVED]])
    a, b, ya, yb = x[places], x[places + 1], y[places], y[places + 1]
    for _ in range(_HALVINGS):
        middle = (a + b) / 2
        ym = compute(middle)
        left = ~(np.abs(ym - ya) < np.abs(yb - ym))
        a, ya = np.where(left, a, middle), np.where(left, ya, ym)
        b, yb = np.where(left, middle, b), np.where(left, ym, yb)
    before = np.maximum(np.abs(y[places]), np.abs(y[places + 1]))
    with np.errstate(all="ignore"):
        grown = ~(np.maximum(np.abs(ya), np.abs(yb)) < _GROWS * before)
        stays = (np.abs(yb - ya) > _STAYS * apart[places]) & ~grown & (a < b)
    jumps = {(float(p), float(q)) for p, q in zip(a[stays], b[stays], strict=True)}
    return Steep(frozenset(jumps), tuple(map(float, (a[grown] + b[grown]) / 2)))


def _breaks(x: Array, y: Array, jumps: Sequence[tuple[float, float]]) -> frozenset[int]:
    """The jumps of this function, by the place before each; another one may have been the reason to look there."""
    finite = y[np.isfinite(y)]
    span = float(finite.max() - finite.min()) if len(finite) else 0.0
    places = np.searchsorted(x, [p for p, _ in jumps])
    return frozenset(int(n) for n in places if not abs(y[n + 1] - y[n]) <= 1e-4 * span)


# --- what is drawn -----------------------------------------------------------------------------------


def vertical_range(lines: list[Line], derivatives: list[Line]) -> tuple[float, float] | None:
    """Which values are drawn: all, but for what shoots up; derivatives count less than values."""
    own = _joined([_spread(line.y) for line in lines])
    if own is None:
        return None
    low, high = own
    room = (high - low) or max(1.0, abs(high))
    slopes = _joined([_spread(line.y) for line in derivatives])
    if slopes is not None:
        low, high = min(low, max(slopes[0], low - _MORE * room)), max(high, min(slopes[1], high + _MORE * room))
    if low == high:
        low, high = low - 1, high + 1
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def _spread(y: Array) -> tuple[float, float] | None:
    finite = y[np.isfinite(y)]
    if not len(finite):
        return None
    low, high = float(finite.min()), float(finite.max())
    inner_low, inner_high = map(float, np.quantile(finite, (0.03, 0.97)))
    inner = inner_high - inner_low
    if high - low > 3 * inner > 0:
        # A few values shoot up: what the others need, and some of the way.
        return max(low, inner_low - 0.3 * inner), min(high, inner_high + 0.3 * inner)
    return low, high


def _joined(ranges: list[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = [r for r in ranges if r is not None]
    return (min(r[0] for r in known), max(r[1] for r in known)) if known else None


def segments(line: Line, low: float, high: float) -> list[Points]:
    """The parts of a line between two values, in few points; where it leaves them, it ends at the border."""
    parts: list[Points] = [[]]
    after_poles = set(map(int, np.searchsorted(line.x, line.poles)))
    for n in range(len(line.x)):
        if n and (n - 1 in line.breaks or n in after_poles):
            parts.append([])
        if np.isfinite(line.y[n]):
            parts[-1].append((float(line.x[n]), float(line.y[n])))
        else:
            parts.append([])
    return [piece for part in parts if part for piece in _clipped(part, low, high)]


def _clipped(points: Points, low: float, high: float) -> list[Points]:
    found: list[Points] = [[]]
    if low <= points[0][1] <= high:
        found[-1].append(points[0])
    for (x0, y0), (x1, y1) in pairwise(points):
        ends = [(x0, y0), (x1, y1)]
        crossings = [
            (x0 + (x1 - x0) * (edge - y0) / (y1 - y0), edge) for edge in (low, high) if min(y0, y1) < edge < max(y0, y1)
        ]
        crossings.sort(key=lambda p: abs(p[0] - x0) + abs(p[1] - y0))
        if not low <= y0 <= high:
            if crossings and (low <= y1 <= high or len(crossings) == 2):
                found.append([crossings[0]])
            else:
                continue
        if low <= y1 <= high:
            found[-1].append(ends[1])
        elif crossings:
            found[-1].append(crossings[-1])
            found.append([])
    return [piece for piece in found if len(piece) > 1]


def straightened(points: Points) -> Points:
    """The points that a line needs, on a grid far finer than what can be seen: whole numbers decide which."""
    whole = [(round(x * _FINE), round(y * _FINE)) for x, y in points]
    keep = {0, len(whole) - 1}
    waiting = [(0, len(whole) - 1)]
    while waiting:
        first, last = waiting.pop()
        (x0, y0), (x1, y1) = whole[first], whole[last]
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        farthest, place = 0, -1
        for n in range(first + 1, last):
            x, y = whole[n]
            away = abs((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) if length else (x - x0) ** 2 + (y - y0) ** 2
            if away > farthest:
                farthest, place = away, n
        # Compared as squares, so that no root is rounded.
        too_far = farthest**2 > _STRAIGHT**2 * length if length else farthest > _STRAIGHT**2
        if place >= 0 and too_far:
            keep |= {place}
            waiting += [(first, place), (place, last)]
    return [(whole[n][0] / _FINE, whole[n][1] / _FINE) for n in sorted(keep)]
