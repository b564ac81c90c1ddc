"""Heights of the items of a layered drawing, and the lanes in which lines run between its columns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

_SWEEPS = 6
_PASSES = 6


def heights(
    columns: Sequence[Sequence[str]], tall: Mapping[str, float], near: Mapping[str, Sequence[str]], gap: float
) -> tuple[dict[str, float], float]:
    """The middle of each item, from 0 down, and the height of all of it.

    Items keep their order in a column with a gap between them; each is as close to the middle of
    its neighbours, those of ``near``, as that allows.
    """
    total = max((_stack(c, tall, gap) for c in columns), default=0.0)
    middle: dict[str, float] = {}
    for column in columns:
        at = (total - _stack(column, tall, gap)) / 2
        for item in column:
            middle[item] = at + tall[item] / 2
            at += tall[item] + gap
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 else columns[::-1]:
            wished = [_mean([middle[n] for n in near[i] if n in middle] or [middle[i]]) for i in column]
            found = settle(wished, [tall[i] for i in column], gap, total)
            middle.update(zip(column, found, strict=True))
    return middle, total


def _stack(column: Sequence[str], tall: Mapping[str, float], gap: float) -> float:
    return sum(tall[i] for i in column) + gap * max(0, len(column) - 1)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def settle(wished: Sequence[float], tall: Sequence[float], gap: float, total: float) -> list[float]:
    """The places closest to those wished for, in the same order, without overlap, and between 0 and ``total``.

    With distances taken off, places only have to rise: neighbours that do not are pooled at their mean,
    which gives the least squares.
    """
    if not wished:
        return []
    shifts = [tall[0] / 2]
    for above, below in pairwise(tall):
        shifts.append(shifts[-1] + (above + below) / 2 + gap)
    pools: list[tuple[float, int]] = []
    for value in (w - s for w, s in zip(wished, shifts, strict=True)):
        pools.append((value, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [((a * n + b * m) / (n + m), n + m)]
    most = max(0.0, total - shifts[-1] - tall[-1] / 2)
    flat = [min(max(value, 0.0), most) for value, count in pools for _ in range(count)]
    return [f + s for f, s in zip(flat, shifts, strict=True)]


class Net(NamedTuple):
    """All lines from one item to the next column: where they start, where they end, in order, and their extent."""

    start: float
    ends: tuple[float, ...]
    low: float
    high: float


def net(start: float, ends: Iterable[float]) -> Net:
    """The lines from a height to others."""
    heights_of_ends = tuple(sorted(ends))
    return Net(start, heights_of_ends, min(start, heights_of_ends[0]), max(start, heights_of_ends[-1]))


def lanes(nets: Sequence[Net], gap: float) -> tuple[list[int], int]:
    """The lane of each net, from the left, and how many there are.

    A net runs up and down in its lane and from there to the right. Nets share a lane where there is a gap
    between them, and stand in an order in which they cross little.
    """
    order = _few_crossings(nets)
    lane = [0] * len(nets)
    for n, at in enumerate(order):
        beside = [lane[o] for o in order[:n] if _meet(nets[o], nets[at], gap)]
        lane[at] = max(beside, default=-1) + 1
    return lane, max(lane, default=-1) + 1


def _meet(a: Net, b: Net, gap: float) -> bool:
    return a.low < b.high + gap and b.low < a.high + gap


def _few_crossings(nets: Sequence[Net]) -> list[int]:
    """An order from left to right: short nets next to their ends, then each moved to where it crosses least."""
    order = sorted(range(len(nets)), key=lambda n: (nets[n].low - nets[n].high, n))
    extra = [[_crossed(a, b) - _crossed(b, a) for b in nets] for a in nets]
    for _ in range(_PASSES):
        before = list(order)
        for one in range(len(nets)):
            order.remove(one)
            cost = running = sum(extra[one][other] for other in order)  # as the first of all
            best = 0
            for at, other in enumerate(order, 1):
                running -= extra[one][other]
                if running < cost:
                    best, cost = at, running
            order.insert(best, one)
        if order == before:
            break
    return order


def _crossed(left: Net, right: Net) -> int:
    """How often two nets cross if one is to the left: its ends cross the other, whose start crosses it."""
    if left.high <= right.low or right.high <= left.low:
        return 0
    through = bisect_left(left.ends, right.high) - bisect_right(left.ends, right.low)
    return max(0, through) + (left.low < right.start < left.high)
