"""The reference interpreter: what a formula means, element by element.

It walks the parsed tree with loops over mpmath numbers and shares nothing with index form,
derivatives or code, so that their errors cannot hide in it. Derivatives are central differences at
a raised precision; where a function has a kink they give the mean of both sides, not a convention.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import mpmath

from kb.interpreter.arrays import (
    Array,
    Value,
    broadcast,
    check_count,
    from_array,
    integer,
    number,
    positions,
    real,
    shape_of,
    to_array,
)
from kb.interpreter.machine import Lookup, Machine
from kb.interpreter.plan import Frame, free_indices, plan_of
from kb.interpreter.ranges import find_ranges
from kb.model import Entry, Symbol
from kb.tree import Claim, Node

# Which values of free indices to look at, from the range of each.
Choose = Callable[[Sequence[range]], Iterable[tuple[int, ...]]]

__all__ = ["Array", "Choose", "Finished", "Lookup", "claim_sides", "evaluate", "run"]


def run(
    entry: Entry,
    lookup: Lookup,
    arguments: Mapping[str, Any],
    sizes: Mapping[str, int],
    *,
    precision: int = 30,
    stops: dict[Any, Value] | None = None,
) -> dict[str, Array]:
    """The final value of every argument, step and output of an entry, by name.

    ``arguments`` are numbers, nested lists or Arrays; where one has more axes than its symbol
    declares, the entry is mapped over the leading ones. ``sizes`` gives the dimensions that are on
    no array. For an update, the names of its states hold the new values. ``stops`` freezes
    ``stop``: a run fills an empty dictionary, later runs with it use the values found there.

    Raises LanguageError where the formula has no value, ShapeError where the arguments do not fit.
    """
    with mpmath.workdps(precision):
        values = Machine(lookup, stops).invoke(entry, _given(entry, arguments), dict(sizes), strict=True)
        return {name: to_array(real(value)) for name, value in values.items()}


def evaluate(
    node: Node,
    entry: Entry,
    lookup: Lookup,
    values: Mapping[str, Any],
    sizes: Mapping[str, int],
    indices: Mapping[str, int] | None = None,
    *,
    precision: int = 30,
) -> Array:
    """An expression in the scope of an entry, after its last step; a condition gives 1 or 0.

    ``values`` are the arguments and, where the expression reads them, steps; steps that it reads
    and that are not given are computed. ``indices`` binds the expression's free indices.
    """
    with mpmath.workdps(precision):
        machine = Machine(lookup)
        plan = plan_of(entry)
        arguments = {s.name for s in plan.arguments}
        given = _given(entry, {name: value for name, value in values.items() if name in arguments})
        steps = {name: from_array(Array.from_nested(value)) for name, value in values.items() if name not in arguments}
        frame = _frame(machine, entry, given, sizes)
        frame.values.update(steps)
        frame.snapshots[-1] = dict(frame.values)
        frame.bound.update(indices or {})
        return to_array(machine.value(node, frame))


class Finished:
    """An entry after its last step, where expressions and claims can be evaluated, many for one run.

    Raises LanguageError where the formula has no value, ShapeError where the arguments do not fit.
    """

    def __init__(
        self, entry: Entry, lookup: Lookup, arguments: Mapping[str, Any], sizes: Mapping[str, int], precision: int = 30
    ) -> None:
        self.precision = precision
        with mpmath.workdps(precision):
            self.machine = Machine(lookup)
            self.frame = _frame(self.machine, entry, _given(entry, arguments), sizes)

    def number(self, node: Node, indices: Mapping[str, int]) -> Any:
        """The value of a scalar expression for given values of its free indices."""
        with mpmath.workdps(self.precision):
            self.frame.bound = dict(indices)
            try:
                return mpmath.mpf(number(self.machine.value(node, self.frame)))
            finally:
                self.frame.bound = {}

    def sides(self, claim: Claim, choose: Choose | None = None) -> list[tuple[dict[str, int], Any, Any]]:
        """Left and right of a claim, for every assignment of its free indices or for those that are chosen.

        Where a side is an array, each of its elements is a row of its own, and the assignment names
        the element's place as ``axis0``, ``axis1``, ...
        """
        machine, frame = self.machine, self.frame
        with mpmath.workdps(self.precision):
            free = free_indices(claim, frame.plan)
            ranges = find_ranges(machine, free, [claim.left, claim.right], [], frame) if free else []
            boxes = [ranges] if choose is None else [[range(i, i + 1) for i in place] for place in choose(ranges)]
            rows = []
            for _ in chain.from_iterable(machine.loop(free, box, [], frame) for box in boxes):
                assignment = {name: frame.bound[name] for name in free}
                left, right = machine.value(claim.left, frame), machine.value(claim.right, frame)
                pairs = broadcast(lambda a, b: (a, b), left, right)
                for at in positions(shape_of(pairs)):
                    a, b = pairs[at] if at else pairs
                    place = {f"axis{axis}": i for axis, i in enumerate(at)}
                    rows.append(({**assignment, **place}, mpmath.mpf(a), mpmath.mpf(b)))
            return rows


def claim_sides(
    entry: Entry,
    lookup: Lookup,
    arguments: Mapping[str, Any],
    sizes: Mapping[str, int],
    claim: Claim,
    precision: int = 30,
    choose: Choose | None = None,
) -> list[tuple[dict[str, int], Any, Any]]:
    """Left and right of a claim, for every assignment of its free indices; see ``Finished.sides``."""
    return Finished(entry, lookup, arguments, sizes, precision).sides(claim, choose)


def _given(entry: Entry, arguments: Mapping[str, Any]) -> dict[str, Value]:
    known = {s.name: s for s in plan_of(entry).arguments}
    given = {name: _exact(known[name], value) for name, value in arguments.items() if name in known}
    for value in given.values():
        check_count(math.prod(shape_of(value)), "an array")
    return given


def _frame(machine: Machine, entry: Entry, given: dict[str, Value], sizes: Mapping[str, int]) -> Frame:
    plan = plan_of(entry)
    values = {s.name: machine.argument(s, given, plan, dict(sizes)) for s in plan.arguments}
    return machine.execute(plan, values, dict(sizes), (), True)


def _exact(symbol: Symbol, given: Any) -> Value:
    """An argument as a value: real symbols become mpf, integers and labels int."""
    array = Array.from_nested(given)
    value = array if array.shape else number(array.data[0])
    if symbol.kind == "real":
        return real(value)
    return value.map(integer) if isinstance(value, Array) else integer(value)
