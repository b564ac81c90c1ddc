"""Recurrences: steps that read what they define, gathered into loops over one index.

``h[t] = f(h[t-1], x[t])`` is elaborated like any other step. Here the steps that depend on each
other in a circle are found, the index over which they advance, and the direction, from the shifts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ZERO, Read, reads
from kb.index.program import AnyStep, ArrayStep, Loop, Step, Tensor


class RecurrenceError(LanguageError):
    """What is wrong with the recurrence of an array; ``name`` is the array."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def gather_loops(steps: Sequence[AnyStep], tensors: Mapping[str, Tensor]) -> tuple[AnyStep, ...]:
    """The steps in an order of computation, those of each recurrence together in a loop.

    Raises RecurrenceError where steps depend on each other but do not advance along one index.
    """
    writers: dict[str, list[int]] = {}
    for n, step in enumerate(steps):
        writers.setdefault(step.name, []).append(n)
    if not any(w >= n for n, s in enumerate(steps) for name in s.inputs for w in writers.get(name, ())):
        return tuple(steps)
    sources = [sorted({w for name in s.inputs for w in writers.get(name, ())}) for s in steps]
    circle_of = _circles(sources)
    made = {n: _Circle(steps, circle, tensors) for n, circle in circle_of.items() if n == circle[0]}
    ordered: list[AnyStep] = []
    done: set[int] = set()

    def visit(n: int) -> None:
        if n in done:
            return
        members = circle_of.get(n, (n,))
        done.update(members)
        for source in sorted({s for m in members for s in sources[m]}):
            visit(source)
        ordered.extend(made[members[0]].steps() if n in circle_of else (steps[n],))

    for n in range(len(steps)):
        visit(n)
    return tuple(ordered)


def _circles(sources: Sequence[Sequence[int]]) -> dict[int, tuple[int, ...]]:
    """For each step that depends on itself, the steps that it shares this with."""
    readers: list[list[int]] = [[] for _ in sources]
    for n, found in enumerate(sources):
        for source in found:
            readers[source].append(n)
    circles: dict[int, tuple[int, ...]] = {}
    for n in range(len(sources)):
        if n in circles:
            continue
        back = _reachable(n, sources)
        if n in back:
            members = tuple(sorted(back & _reachable(n, readers)))
            circles.update(dict.fromkeys(members, members))
    return circles


def _reachable(start: int, edges: Sequence[Iterable[int]]) -> set[int]:
    """What can be reached in one step or more."""
    found: set[int] = set()
    waiting = list(edges[start])
    while waiting:
        n = waiting.pop()
        if n not in found:
            found.add(n)
            waiting.extend(edges[n])
    return found


@dataclass(frozen=True)
class _Way:
    """How a circle advances: the index of each step, and the axis of each array that it runs along."""

    indices: dict[int, Index]
    axes: dict[str, int]


class _Circle:
    """Steps that depend on each other, and the loop that they are."""

    def __init__(self, steps: Sequence[AnyStep], members: Sequence[int], tensors: Mapping[str, Tensor]) -> None:
        self.all = steps
        self.tensors = tensors
        self.members: dict[int, Step] = {}
        for n in members:
            step = steps[n]
            if isinstance(step, ArrayStep):
                raise RecurrenceError(step.name, f"a recurrence cannot pass through {step.operation}(...)")
            self.members[n] = step
        self.names = {s.name for s in self.members.values()}
        self.label = next((s.name for s in self.members.values() if s.name in tensors and s.target), "")

    def steps(self) -> list[Step]:
        """The starts that are only implied, then the steps of the loop in order."""
        way = self.way()
        lags = self.lags(way)
        signs = {lag > 0 for *_, lag in lags if lag}
        if len(signs) != 1:
            raise self.fault("reads both earlier and later elements")
        backward = signs == {False}
        sizes = {i.size for i in way.indices.values()}
        if len(sizes) != 1:
            raise self.fault("has steps that run over different ranges")
        starts = self.starts(way, lags, backward)
        first = way.indices[min(way.indices)]
        loop = Loop(Index(first.name, first.size), backward)
        order = self.order([(reader, writer) for reader, writer, lag in lags if lag == 0])
        return [*starts, *(self.in_loop(self.members[n], way.indices[n], loop) for n in order)]

    def fault(self, what: str) -> RecurrenceError:
        advice = "it advances along one index, as in h[t] = f(h[t - 1], x[t])"
        return RecurrenceError(self.label, f"the recurrence of {self.label!r} {what}; {advice}")

    # --- the index that it advances along -------------------------------------------------------

    def way(self) -> _Way:
        first = min(self.members)
        for index in self.members[first].free:
            found = self.follow(first, index)
            if found is not None and self.advances(found):
                return found
        raise self.fault("does not advance along an index: every read of it must be at that index or shifted from it")

    def follow(self, first: int, index: Index) -> _Way | None:
        """What the choice of one step's index implies for the others; None if it fits nowhere."""
        way = _Way({first: index}, {})
        waiting = [first]
        while waiting:
            n = waiting.pop()
            step, own = self.members[n], way.indices[n]
            axis = _axis_of(step.target, own)
            if axis is None or way.axes.setdefault(step.name, axis) != axis:
                return None
            for read in self.inner_reads(step):
                axis = way.axes.get(read.name, _axis_of(read.index, own))
                if axis is None or _shift(read.index[axis], own) is None:
                    return None
                way.axes[read.name] = axis
            for other, member in self.members.items():
                found = self.implied(member, way.axes)
                if found is None:
                    continue
                if other not in way.indices:
                    way.indices[other] = found
                    waiting.append(other)
                elif way.indices[other] is not found:
                    return None
        return way if len(way.indices) == len(self.members) else None

    def implied(self, step: Step, axes: Mapping[str, int]) -> Index | None:
        """The index of a step along the axes that are known."""
        places = [step.target[axes[step.name]]] if step.name in axes else []
        places += [r.index[axes[r.name]] for r in self.inner_reads(step) if r.name in axes]
        for place in places:
            for index in step.free:
                if _shift(place, index) is not None:
                    return index
        return None

    def inner_reads(self, step: Step) -> list[Read]:
        return [r for r in reads(step.expr) if r.name in self.names]

    def advances(self, way: _Way) -> bool:
        """Whether the reads of the same value of the index are of what has been computed."""
        try:
            self.order([(reader, writer) for reader, writer, lag in self.lags(way) if lag == 0])
        except LanguageError:
            return False
        return True

    def lags(self, way: _Way) -> list[tuple[int, int, int]]:
        """Who reads whom, and from how many values of the index before."""
        found = []
        for n, step in self.members.items():
            for read in self.inner_reads(step):
                axis = way.axes[read.name]
                here = _shift(read.index[axis], way.indices[n])
                for m, writer in self.members.items():
                    if writer.name == read.name:
                        there = _shift(writer.target[axis], way.indices[m])
                        assert here is not None and there is not None
                        found.append((n, m, there - here))
        return found

    def order(self, edges: list[tuple[int, int]]) -> list[int]:
        """The steps so that what is read comes first; as written where nothing else asks for another order."""
        ordered: list[int] = []
        waiting = list(self.members)
        while waiting:
            ready = [n for n in waiting if all(w in ordered for r, w in edges if r == n)]
            if not ready:
                raise self.fault("needs an element to compute that very element")
            ordered.append(ready[0])
            waiting.remove(ready[0])
        return ordered

    # --- where it starts ------------------------------------------------------------------------

    def starts(self, way: _Way, lags: list[tuple[int, int, int]], backward: bool) -> list[Step]:
        """Starts for arrays that are 0 outside; an error where an element is read that nothing defines."""
        made = []
        for name, axis in way.axes.items():
            writer = next(n for n, s in self.members.items() if s.name == name)
            step = self.members[writer]
            reach = max((abs(lag) for *_, m, lag in lags if self.members[m].name == name), default=0)
            shift = _shift(step.target[axis], way.indices[writer])
            extent = way.indices[writer].size
            assert shift is not None and extent is not None
            given = {
                s.target[axis] for s in self.all if s.name == name and isinstance(s, Step) and axis < len(s.target)
            }
            for k in range(1, reach + 1):
                place = extent + shift + (k - 1) if backward else Poly.of(shift - k)
                if place in given:
                    continue
                if not self.tensors[name].outside:
                    raise RecurrenceError(
                        name,
                        f"the recurrence of {name!r} reads {name}[{place}], which nothing defines; write its start "
                        f"as a step before: {name}[{place}] = ...",
                    )
                rest = [i.fresh() for n, i in enumerate(p.index for p in step.target) if i is not None and n != axis]
                target = [Poly.of(i) for i in rest]
                target.insert(axis, place)
                made.append(Step(name, tuple(rest), tuple(target), ZERO, step.shape))
        return made

    def in_loop(self, step: Step, own: Index, loop: Loop) -> Step:
        """The step with the loop's index in the place of its own."""
        moved = {own: Poly.of(loop.index)}

        def inner(read: Read) -> Read | None:
            return Read(read.name, read.index, False) if read.name in self.names else None

        expr = build.replace_reads(build.substitute(build.freshen(step.expr), moved), inner)
        free = tuple(loop.index if i is own else i for i in step.free)
        return replace(step, free=free, target=tuple(p.replace(dict(moved)) for p in step.target), expr=expr, loop=loop)


def _shift(place: Poly, index: Index) -> int | None:
    """c where the place is ``index + c``."""
    rest = place - Poly.of(index)
    return rest.constant


def _axis_of(places: Sequence[Poly], index: Index) -> int | None:
    """The axis along which an index runs."""
    return next((n for n, p in enumerate(places) if _shift(p, index) is not None), None)
