"""A step with indices on its left side: which elements it writes, in which order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from kb.errors import LanguageError, ShapeError
from kb.interpreter.arrays import Array, Value, check_count, integer, items, positions, shape_of, spread
from kb.interpreter.plan import Frame, NotAffine, Read, affine, index_bound, target_name
from kb.interpreter.ranges import declared_shape, find_ranges
from kb.tree import Call, Element, Name, Node, Step, walk

if TYPE_CHECKING:
    from kb.interpreter.machine import Machine


class Writing:
    """A step with indices on its left side: which cells it writes, in which order, and where to."""

    def __init__(self, machine: Machine, frame: Frame, target: Element, value: Node) -> None:
        self.machine = machine
        self.frame = frame
        self.target = target
        self.name = target_name(target)
        self.body = value
        self.declared = declared_shape(machine, self.name, frame)
        self.free = [n.id for i in target.indices for n in walk(i) if isinstance(n, Name) and frame.is_new(n.id)]
        self.free = list(dict.fromkeys(self.free))
        self.old = frame.values.get(self.name)
        self.started = False

    def run(self) -> None:
        """Write the cells: at once after all are computed, or one by one in a recurrence."""
        machine, frame = self.machine, self.frame
        ranges = [r[::-1] if i in self._backward() else r for i, r in zip(self.free, self.ranges(), strict=True)]
        recurrent = bool(self._shifts()) or self.old is None
        extent = self.extent(ranges)
        pending: list[tuple[tuple[int, ...], Value]] = []
        along = sorted(zip(self.free, ranges, strict=True), key=lambda pair: pair[0] not in self._shifts())
        for _ in machine.loop([name for name, _ in along], [values for _, values in along], [], frame):
            at = tuple(integer(machine.value(i, frame)) for i in self.target.indices)
            pending.append((at, machine.value(self.body, frame)))
            if recurrent:
                self.store(*pending.pop(), extent)
        for at, value in pending:
            self.store(at, value, extent)

    def ranges(self, known: Mapping[str, int] | None = None, growing: Collection[str] = ()) -> list[range]:
        """From the declared shape where an axis has one free index, else from the right side's reads.

        An undeclared target that is whole already, and is now written anew, bounds what is left. ``known`` are
        counts that follow from elsewhere; the arrays ``growing`` are not as long yet as they will be.
        """
        machine, frame = self.machine, self.frame
        found = {**(self._bounds(self.declared) if self.declared is not None else {}), **(known or {})}
        rest = [name for name in self.free if name not in found]
        if rest:
            try:
                skip = [*growing, self.name] if self.declared is None else growing
                ranges = find_ranges(machine, rest, [self.body], [], frame, skip)
                found |= {name: len(values) for name, values in zip(rest, ranges, strict=True)}
            except LanguageError:
                if self.name in growing:
                    raise
                found |= {name: n for name, n in self._bounds(shape_of(self.old)).items() if name in rest}
                if any(name not in found for name in rest):
                    raise
        return [range(found[name]) for name in self.free]

    def _bounds(self, shape: tuple[int, ...]) -> dict[str, int]:
        found: dict[str, int] = {}
        for axis, (index, size) in enumerate(zip(self.target.indices, shape, strict=False)):
            try:
                terms, constant = affine(index, self.frame.whole)
            except NotAffine:
                continue
            if len(terms) == 1:
                size -= self._written_at_end(axis)
                (name,) = terms
                count = index_bound(name, [Read(terms, constant, size, False)])
                if count is not None:
                    found[name] = min(count, found.get(name, count))
        return found

    def _written_at_end(self, axis: int) -> int:
        """How many of the last elements have statements of their own: a recurrence may start from them."""
        size = shape_of(self.old)[axis] if axis < len(shape_of(self.old)) else 0
        written = {at[axis] for at in self.frame.single.get(self.name, ()) if axis < len(at)}
        return next((count for count in range(size) if size - 1 - count not in written), size)

    def _shifts(self) -> dict[str, int]:
        """How far from the written element the right side reads its own target, per free index."""
        shifts: dict[str, int] = {}
        for node in walk(self.body):
            if not isinstance(node, Element) or node.base != Name(self.name):
                continue
            for written, read in zip(self.target.indices, node.indices, strict=False):
                try:
                    left, right = affine(written, self.frame.whole), affine(read, self.frame.whole)
                except NotAffine:
                    continue
                if left[0] and left[0] == right[0] and left[1] != right[1]:
                    (name, factor) = next(iter(left[0].items()))
                    shifts[name] = (right[1] - left[1]) * (1 if factor > 0 else -1)
        return shifts

    def _backward(self) -> set[str]:
        """The indices that run downwards, because a later element is read."""
        return {name for name, shift in self._shifts().items() if shift > 0}

    def extent(self, ranges: list[range]) -> tuple[int, ...]:
        """The leading sizes that the written cells need."""
        if self.declared is not None:
            return self.declared[: len(self.target.indices)]
        corners = []
        for index in self.target.indices:
            terms, constant = affine(index, self.frame.whole)
            spans = dict(zip(self.free, ranges, strict=True))
            last = constant + sum(c * max(spans[n], default=0) for n, c in terms.items() if c > 0)
            corners.append(max(0, last + 1))
        old = shape_of(self.old)[: len(corners)]
        return tuple(max(a, b) for a, b in itertools.zip_longest(corners, old, fillvalue=0))

    def store(self, at: tuple[int, ...], value: Value, extent: tuple[int, ...]) -> None:
        frame = self.frame
        frame.memo.clear()
        inside = all(0 <= i < size for i, size in zip(at, extent, strict=True))
        if not inside:
            if self.free and self.declared is not None and not any(i < 0 for i in at):
                raise LanguageError(f"'{self.target}' writes {list(at)}, outside {list(extent)}", self.target.at)
            frame.beyond.setdefault(self.name, {})[at] = value
            return
        if not self.started:
            self.old = frame.values.get(self.name)  # another statement may have begun it
        whole = isinstance(self.old, Array) and None not in self.old.data
        if not self.free and not whole:
            frame.single.setdefault(self.name, set()).add(at)
        if not self.started:
            frame.values[self.name] = self._room(extent, shape_of(value))
            self.started = True
        array = frame.values[self.name]
        try:
            part = spread(value, array.shape[len(at) :])
        except ShapeError as error:
            raise LanguageError(f"'{self.target}' is given {error}", self.target.at) from error
        data = items(part)
        start = array.offset(at)
        array.data[start : start + len(data)] = data

    def _room(self, extent: tuple[int, ...], inner: tuple[int, ...]) -> Array:
        """A fresh array to write into, with the old elements where there are some."""
        shape = self.declared if self.declared is not None else (*extent, *inner)
        if isinstance(self.old, Array) and self.old.shape == shape:
            return Array(shape, list(self.old.data))
        check_count(math.prod(shape), "an array")
        room = Array(shape, [None] * math.prod(shape))
        if isinstance(self.old, Array) and len(self.old.shape) == len(shape):
            for at in positions(self.old.shape):
                room.data[room.offset(at)] = self.old[at]
        return room


class Recurrence:
    """Statements that take turns: all of them for one value of their index, then all for the next."""

    def __init__(self, machine: Machine, frame: Frame, steps: tuple[Step, ...]) -> None:
        self.machine = machine
        self.frame = frame
        self.turns = [
            (step, [Writing(machine, frame, t, step.value) for t in step.targets if isinstance(t, Element)])
            for step in steps
        ]
        self.writers = {w.name: (w, self._index(w)) for _, writings in self.turns for w in writings}

    def _names(self) -> set[str]:
        return {w.name for _, writings in self.turns for w in writings}

    def _reads(self, body: Node) -> list[Element]:
        """Where a right side reads what the statements write."""
        own = self._names()
        return [n for n in walk(body) if isinstance(n, Element) and isinstance(n.base, Name) and n.base.id in own]

    def _index(self, writing: Writing) -> str:
        """The free index along which the statement advances: the one in all reads of the others."""
        reads = self._reads(writing.body)
        for name in writing.free:
            if all(any(Name(name) in walk(i) for i in read.indices) for read in reads):
                return name
        raise LanguageError(f"'{writing.target}' does not advance along one index", writing.target.at)

    def run(self) -> None:
        """Write all cells."""
        ranges = self._ranges()
        extents = {w.name: w.extent(list(ranges[w.name].values())) for _, ws in self.turns for w in ws}
        counts = {len(ranges[name][index]) for name, (_, index) in self.writers.items()}
        if len(counts) != 1:
            raise LanguageError("statements that read each other run over different ranges", self.turns[0][0].at)
        order = range(counts.pop())
        for at in reversed(order) if self._is_backward() else order:
            for step, writings in self.turns:
                self._turn(step, writings, at, ranges, extents)

    def _ranges(self) -> dict[str, dict[str, range]]:
        """The ranges of all; what only reads arrays that are written in turn advances as the others do."""
        found: dict[str, dict[str, range]] = {}
        open_: dict[str, LanguageError] = {}
        growing = [name for name, (writing, _) in self.writers.items() if writing.declared is None]
        for name, (writing, _) in self.writers.items():
            try:
                found[name] = dict(zip(writing.free, writing.ranges(growing=growing), strict=True))
            except LanguageError as error:
                open_[name] = error
        for name, fault in open_.items():
            writing, index = self.writers[name]
            others = [len(ranges[self.writers[other][1]]) for other, ranges in found.items()]
            if not others:
                raise fault
            found[name] = dict(zip(writing.free, writing.ranges({index: others[0]}, growing), strict=True))
        return found

    def _turn(
        self,
        step: Step,
        writings: list[Writing],
        at: int,
        ranges: dict[str, dict[str, range]],
        extents: dict[str, tuple[int, ...]],
    ) -> None:
        machine, frame = self.machine, self.frame
        first = writings[0]
        here = dict(ranges[first.name])
        here[self.writers[first.name][1]] = range(at, at + 1)
        for _ in machine.loop(list(here), list(here.values()), [], frame):
            values = [machine.value(step.value, frame)] if len(writings) == 1 else self._values(step)
            for writing, value in zip(writings, values, strict=True):
                place = tuple(integer(machine.value(i, frame)) for i in writing.target.indices)
                writing.store(place, value, extents[writing.name])

    def _values(self, step: Step) -> list[Value]:
        if not isinstance(step.value, Call):
            raise LanguageError("several targets need the call of an entry with several outputs", step.at)
        results = self.machine.outputs(step.value, self.frame)
        if len(results) != len(step.targets):
            raise LanguageError(f"{len(step.targets)} targets for {len(results)} outputs", step.at)
        return results

    def _is_backward(self) -> bool:
        """Whether later elements are read."""
        for _, writings in self.turns:
            for reader in writings:
                own = self.writers[reader.name][1]
                for read in self._reads(reader.body):
                    assert isinstance(read.base, Name)
                    writer, index = self.writers[read.base.id]
                    for written, place in zip(writer.target.indices, read.indices, strict=False):
                        try:
                            left, right = affine(written, self.frame.whole), affine(place, self.frame.whole)
                        except NotAffine:
                            continue
                        if left[0] == {index: 1} and right[0] == {own: 1} and right[1] > left[1]:
                            return True
        return False
