"""Recurrences made ready for code: what a loop stores, what it keeps for one turn, what need not be in it.

An array that starts before its first element is stored with room for that; what is read only in the
turn in which it is computed is a variable of the turn; a product such as ``W @ x[t]``, in which
nothing recurs, is computed for all turns at once before the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import Add, Bind, Expr, Read, Var, free_indices, reads, walk
from kb.index.program import AnyStep, Loop, Program, Step, Tensor, blocks, loop_of, margins


@dataclass(frozen=True)
class Turn:
    """One step of a loop: the value of a turn, and where it is stored, if it is."""

    local: Step
    array: str = ""
    places: tuple[Poly, ...] = ()
    shape: tuple[Poly, ...] = ()


@dataclass(frozen=True)
class Rolled:
    """A loop as it is to be written."""

    loop: Loop
    turns: tuple[Turn, ...]

    @property
    def inputs(self) -> frozenset[str]:
        """Names that are read in the loop, its own included."""
        return frozenset(n for turn in self.turns for n in turn.local.inputs)


Item = AnyStep | Rolled


def scheduled(steps: Sequence[AnyStep], program: Program, kept: Sequence[str]) -> tuple[list[Item], Program]:
    """The steps with loops as they are to be written, and a program that knows all arrays that they read."""
    if not any(loop_of(s) is not None for s in steps):
        return list(steps), program
    maker = _Scheduler(program, steps, kept)
    return maker.run(), replace(program, tensors=maker.tensors)


class _Scheduler:
    def __init__(self, program: Program, steps: Sequence[AnyStep], kept: Sequence[str]) -> None:
        self.tensors = dict(program.tensors)
        self.taken = set(self.tensors) | set(program.dimensions)
        self.kept = kept
        self.steps = self.with_room(steps)

    def unique(self, name: str) -> str:
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def hold(self, name: str, shape: tuple[Poly, ...]) -> str:
        name = self.unique(name)
        self.tensors[name] = Tensor(name, shape)
        return name

    # --- room for starts ------------------------------------------------------------------------

    def with_room(self, steps: Sequence[AnyStep]) -> list[AnyStep]:
        """Arrays that are read beyond their ends as larger ones; what is returned is a part of those."""
        looped = {s.name for s in steps if loop_of(s) is not None}
        found = {n: margins(steps, n) for n in sorted(looped)}
        rooms = {n: ends for n, ends in found.items() if any(any(pair) for pair in ends)}
        held = {}
        for name, ends in rooms.items():
            shape = tuple(s + (b + a) for s, (b, a) in zip(self.tensors[name].shape, ends, strict=True))
            held[name] = self.hold(f"{name}_all", shape)

        def shifted(name: str, index: Iterable[Poly]) -> tuple[Poly, ...]:
            return tuple(p + before for p, (before, _) in zip(index, rooms[name], strict=True))

        def change(read: Read) -> Expr | None:
            if read.name not in rooms:
                return None
            return Read(held[read.name], shifted(read.name, read.index), read.outside)

        made: list[AnyStep] = []
        for step in steps:
            if isinstance(step, Step):
                expr = build.replace_reads(step.expr, change) if step.inputs & rooms.keys() else step.expr
                step = replace(step, expr=expr)
                if step.name in rooms:
                    name = held[step.name]
                    target = shifted(step.name, step.target)
                    step = replace(step, name=name, target=target, shape=self.tensors[name].shape)
            made.append(step)
        for name in self.kept:
            if name in rooms:
                shape = self.tensors[name].shape
                free = tuple(Index("i", s) for s in shape)
                index = tuple(Poly.of(i) for i in free)
                made.append(Step(name, free, index, Read(held[name], shifted(name, index), False), shape))
        return made

    # --- loops ----------------------------------------------------------------------------------

    def run(self) -> list[Item]:
        made: list[Item] = []
        for group in blocks(self.steps):
            loop = loop_of(group[0])
            if loop is None:
                made += group
                continue
            steps = [s for s in group if isinstance(s, Step)]
            ahead, steps = self.hoisted(steps, loop)
            made += ahead
            made.append(Rolled(loop, tuple(self.turns(steps, loop))))
        return made

    def turns(self, steps: Sequence[Step], loop: Loop) -> list[Turn]:
        own = {s.name for s in steps}
        axes = {s.name: next(n for n, p in enumerate(s.target) if loop.index in p.indices()) for s in steps}
        now = {s.name: s.target[axes[s.name]] for s in steps if self.is_whole(s, steps, axes[s.name])}
        outside = {n for s in self.steps if loop_of(s) is not loop for n in s.inputs} | set(self.kept)
        stored = {n for n in own if n in outside or n not in now}
        here: set[str] = set()
        for step in steps:
            for read in reads(step.expr):
                if read.name in own:
                    at_once = now.get(read.name) == read.index[axes[read.name]]
                    (here if at_once else stored).add(read.name)
        names = {n: self.unique(f"{n}_{loop.index.name}") if n in stored else n for n in here | (own - stored)}

        def change(read: Read) -> Expr | None:
            if read.name not in here or read.index[axes[read.name]] != now[read.name]:
                return None
            return Read(names[read.name], _without(read.index, axes[read.name]), read.outside)

        made = []
        for step in steps:
            axis = axes[step.name]
            free = tuple(i for i in step.free if i is not loop.index)
            local = names.get(step.name, "")
            shape = _without(step.shape, axis)
            target = tuple(Poly.of(i) for i in free)
            inner = Step(local, free, target, build.replace_reads(step.expr, change), tuple(i.extent for i in free))
            if local:
                self.tensors[local] = Tensor(local, shape)
            if step.name in stored:
                made.append(Turn(inner, step.name, step.target, step.shape))
            else:
                made.append(Turn(inner))
        return made

    def is_whole(self, step: Step, steps: Sequence[Step], axis: int) -> bool:
        """Whether the step computes all that its array holds for a turn."""
        if sum(s.name == step.name for s in steps) > 1:
            return False
        return all(p.index is not None for p in _without(step.target, axis))

    def hoisted(self, steps: Sequence[Step], loop: Loop) -> tuple[list[Step], list[Step]]:
        """Sums in which nothing recurs as steps before the loop."""
        own = {s.name for s in steps}
        ahead: list[Step] = []
        known: dict[Expr, Expr] = {}

        def is_apart(expr: Expr, free: set[Index]) -> bool:
            if not any(isinstance(n, Bind) for n in walk(expr)) or any(isinstance(n, Var) for n in walk(expr)):
                return False
            return free_indices(expr) <= free and not any(r.name in own for r in reads(expr))

        def put(expr: Expr, step: Step) -> Expr:
            if expr not in known:
                used = [i for i in step.free if i in free_indices(expr)]
                fresh = {i: i.fresh() for i in used}
                moved: dict[Atom, Poly] = {i: Poly.of(f) for i, f in fresh.items()}
                free = tuple(fresh.values())
                shape = tuple(i.extent for i in free)
                name = self.hold(f"{step.name}_in", shape)
                body = build.substitute(build.freshen(expr), moved)
                ahead.append(Step(name, free, tuple(Poly.of(i) for i in free), body, shape))
                known[expr] = Read(name, tuple(Poly.of(i) for i in used), False)
            return known[expr]

        def change(expr: Expr, step: Step) -> Expr | None:
            free = set(step.free)
            if isinstance(expr, Add):
                apart = [a for a in expr.args if is_apart(a, free)]
                if apart:
                    rest = [a for a in expr.args if a not in apart]
                    simple = [a for a in rest if free_indices(a) <= free and not any(r.name in own for r in reads(a))]
                    rest = [a for a in rest if a not in simple]
                    inner = [build.transform(a, lambda e: change(e, step)) for a in rest]
                    made: Expr = build.add(put(build.add(*apart, *simple), step), *inner)
                    return made
            return put(expr, step) if isinstance(expr, Bind) and is_apart(expr, free) else None

        changed = [replace(s, expr=build.transform(s.expr, lambda e, s=s: change(e, s))) for s in steps]  # type: ignore[misc]
        return ahead, changed


def _without(items: tuple[Poly, ...], axis: int) -> tuple[Poly, ...]:
    return items[:axis] + items[axis + 1 :]
