"""A layered drawing of a graph without cycles (Sugiyama): layers, their order, heights, and lanes for the lines.

What is used stands in an earlier layer than what uses it. Groups are kept apart: each takes a band
across all layers, so that items are ordered within their group only. All of it is deterministic.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Uses = Mapping[str, Sequence[str]]
Edge = tuple[str, str]

_SWEEPS = 8
_PASSES = 20


def layers(uses: Uses) -> dict[str, int]:
    """The layer of each item: one more than the latest of those that it uses.

    Items that are used more often than they use others then move towards their users, which makes
    lines shorter. Raises ValueError where items use each other in a circle.
    """
    order = _in_order(uses)
    layer: dict[str, int] = {}
    for item in order:
        layer[item] = max((layer[u] + 1 for u in uses[item]), default=0)
    users = turned(uses)
    for item in reversed(order):
        if len(users[item]) > len(uses[item]):
            layer[item] = min(layer[u] for u in users[item]) - 1
    return layer


def turned(uses: Uses) -> dict[str, list[str]]:
    """Who uses each item."""
    users: dict[str, list[str]] = {item: [] for item in uses}
    for item, used in uses.items():
        for u in used:
            users[u].append(item)
    return users


def _in_order(uses: Uses) -> list[str]:
    users, waiting = turned(uses), {item: len(used) for item, used in uses.items()}
    order = [item for item, count in waiting.items() if not count]
    for item in order:  # grows on the way
        for user in users[item]:
            waiting[user] -= 1
            if not waiting[user]:
                order.append(user)
    if len(order) != len(uses):
        raise ValueError("items use each other in a circle")
    return order


@dataclass(frozen=True)
class Layered:
    """Columns of items from left to right, with lines between neighbouring columns only.

    A line that passes columns has a stop of its own in each; ``stops`` says of which item. ``routes``
    has the way of each edge from the item that is used, over its stops, to the item that uses it.
    """

    column: Mapping[str, int]
    group: Mapping[str, str]
    stops: Mapping[str, str]
    routes: Mapping[Edge, tuple[str, ...]]

    @property
    def hops(self) -> tuple[Edge, ...]:
        """The lines between neighbouring columns, each once."""
        pairs = (hop for route in self.routes.values() for hop in pairwise(route))
        return tuple(dict.fromkeys(pairs))


def layered(uses: Uses, group: Mapping[str, str]) -> Layered:
    """Items in columns. Lines from one item into one group share their stops, which stand in that group."""
    layer, stops, groups = layers(uses), dict[str, str](), {i: group[i] for i in uses}
    columns, routes = dict(layer), dict[Edge, tuple[str, ...]]()
    for user, used in uses.items():
        for u in used:
            between = [(f"{u} {at} {group[user]}", at) for at in range(layer[u] + 1, layer[user])]
            for stop, at in between:
                stops[stop], groups[stop], columns[stop] = u, group[user], at
            routes[u, user] = (u, *(stop for stop, _ in between), user)
    return Layered(columns, groups, stops, routes)


# --- order -------------------------------------------------------------------------------------------


def order_groups(groups: Sequence[str], pairs: Iterable[Edge]) -> list[str]:
    """Groups in an order in which those with many lines between them are close; those with none are last."""
    weights: dict[str, dict[str, int]] = {g: {} for g in groups}
    for a, b in pairs:
        if a != b:
            weights[a][b] = weights[a].get(b, 0) + 1
            weights[b][a] = weights[b].get(a, 0) + 1
    linked = [g for g in groups if weights[g]]
    order = list(linked)
    for _ in range(_PASSES):
        before = list(order)
        for one in linked:
            order.remove(one)
            order.insert(_best_place(one, order, weights), one)
        if order == before:
            break
    return [*order, *(g for g in groups if not weights[g])]


def _best_place(one: str, order: Sequence[str], weights: Mapping[str, Mapping[str, int]]) -> int:
    """The first place among others at which all lines together are shortest."""
    place = {g: n for n, g in enumerate(order)}
    own = weights[one]
    length = best = sum(w * (place[g] + 1) for g, w in own.items())  # up to what is the same everywhere
    before, all_own, at_best = 0, sum(own.values()), 0
    for at, passed in enumerate(order):
        to_one = own.get(passed, 0)
        over = sum(w if place[g] > at else -w for g, w in weights[passed].items() if g != one)
        length += before - (all_own - before - to_one) + over
        before += to_one
        if length < best:
            best, at_best = length, at + 1
    return at_best


def order_items(drawn: Layered, groups: Sequence[str]) -> list[list[str]]:
    """The items of each column from top to bottom: group by group, with few crossings."""
    rank = {g: n for n, g in enumerate(groups)}

    def rank_of(item: str) -> int:
        return rank[drawn.group[item]]

    columns: list[list[str]] = [[] for _ in range(max(drawn.column.values(), default=-1) + 1)]
    for item, at in drawn.column.items():
        columns[at].append(item)
    for column in columns:
        column.sort(key=rank_of)
    left, right = _neighbours(drawn)
    best, fewest = [list(c) for c in columns], crossings(columns, left)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            _sort(column, columns, left if forward else right, rank_of)
        found = crossings(columns, left)
        if found < fewest:
            best, fewest = [list(c) for c in columns], found
    return best


def _neighbours(drawn: Layered) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    left: dict[str, list[str]] = {item: [] for item in drawn.column}
    right: dict[str, list[str]] = {item: [] for item in drawn.column}
    for a, b in drawn.hops:
        right[a].append(b)
        left[b].append(a)
    return left, right


def _sort(
    column: list[str],
    columns: Sequence[Sequence[str]],
    near: Mapping[str, Sequence[str]],
    rank: Callable[[str], int],
) -> None:
    """Each item at the mean of its neighbours; those without any keep their place."""
    place = {item: n / max(1, len(c) - 1) for c in columns for n, item in enumerate(c)}
    mean = {i: sum(place[n] for n in near[i]) / len(near[i]) if near[i] else place[i] for i in column}
    column.sort(key=lambda item: (rank(item), mean[item]))


def crossings(columns: Sequence[Sequence[str]], left: Mapping[str, Sequence[str]]) -> int:
    """How many pairs of lines cross when they are straight."""
    place = {item: n for column in columns for n, item in enumerate(column)}
    count = 0
    for column in columns:
        seen: list[int] = []
        for item in column:
            ends = sorted(place[n] for n in left[item])
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count
