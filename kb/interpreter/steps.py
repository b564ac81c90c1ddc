"""A step with indices on its left side: which elements it writes, in which order."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from kb.errors import LanguageError, ShapeError
from kb.interpreter.arrays import Array, Value, check_count, integer, items, positions, shape_of, spread
from kb.interpreter.plan import Frame, NotAffine, Read, affine, index_bound, target_name
from kb.interpreter.ranges import declared_shape, find_ranges
from kb.tree import Element, Name, Node, walk

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
        ranges = [r[::-1] if i in self._backward() else r for i, r in zip(self.free, self._ranges(), strict=True)]
        recurrent = bool(self._shifts()) or self.old is None
        extent = self._extent(ranges)
        pending: list[tuple[tuple[int, ...], Value]] = []
        for _ in machine.loop(self.free, ranges, [], frame):
            at = tuple(integer(machine.value(i, frame)) for i in self.target.indices)
            pending.append((at, machine.value(self.body, frame)))
            if recurrent:
                self._store(*pending.pop(), extent)
        for at, value in pending:
            self._store(at, value, extent)

    def _ranges(self) -> list[range]:
        """From the declared shape where an axis has one free index, else from the right side's reads.

        An undeclared target that is whole already, and is now written anew, bounds what is left.
        """
        machine, frame = self.machine, self.frame
        found = self._bounds(self.declared) if self.declared is not None else {}
        rest = [name for name in self.free if name not in found]
        if rest:
            try:
                skip = self.name if self.declared is None else ""
                ranges = find_ranges(machine, rest, [self.body], [], frame, skip)
                found |= {name: len(values) for name, values in zip(rest, ranges, strict=True)}
            except LanguageError:
                found |= {name: n for name, n in self._bounds(shape_of(self.old)).items() if name in rest}
                if any(name not in found for name in rest):
                    raise
        return [range(found[name]) for name in self.free]

    def _bounds(self, shape: tuple[int, ...]) -> dict[str, int]:
        found: dict[str, int] = {}
        for index, size in zip(self.target.indices, shape, strict=False):
            try:
                terms, constant = affine(index, self.frame.whole)
            except NotAffine:
                continue
            if len(terms) == 1:
                (name,) = terms
                count = index_bound(name, [Read(terms, constant, size, False)])
                if count is not None:
                    found[name] = min(count, found.get(name, count))
        return found

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

    def _extent(self, ranges: list[range]) -> tuple[int, ...]:
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

    def _store(self, at: tuple[int, ...], value: Value, extent: tuple[int, ...]) -> None:
        frame = self.frame
        frame.memo.clear()
        inside = all(0 <= i < size for i, size in zip(at, extent, strict=True))
        if not inside:
            if self.free and self.declared is not None and not any(i < 0 for i in at):
                raise LanguageError(f"'{self.target}' writes {list(at)}, outside {list(extent)}", self.target.at)
            frame.beyond.setdefault(self.name, {})[at] = value
            return
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
