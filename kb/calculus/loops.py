"""The adjoint of a recurrence: a loop that runs the other way.

What an element hands to a later one in ``h[t] = f(h[t-1])`` comes back from there: the cotangent
``h_bar[t]`` is what reaches it from outside the loop and what ``h_bar[t+1]`` sends back. Where a
factor belongs to the later value of the index, what is sent back has a name (``h_prev_bar[t]``),
so that nothing is read beyond the end but zeros. Where only the last element is read outside the
loop, the other loop starts from its cotangent: ``h_bar[t-1]`` is what ``h_bar[t]`` sends back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kb.calculus.linear import Contribution, contributions
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import ZERO, Expr, Read, free_indices
from kb.index.program import Loop, Step, Tensor

if TYPE_CHECKING:
    from kb.calculus.reverse import Reverse


@dataclass(frozen=True)
class _Sent:
    """What a step of the loop sends to an array of the loop, ``lag`` values of the index earlier."""

    step: Step
    contribution: Contribution
    lag: int


class LoopAdjoint:
    """Writes the adjoint steps of one loop into a backward pass."""

    def __init__(self, reverse: Reverse, steps: Sequence[Step]) -> None:
        self.reverse = reverse
        self.steps = [s for s in steps if s.name in reverse.active]
        (self.loop,) = {s.loop for s in steps if s.loop is not None}
        self.adjoint = Loop(self.loop.index.fresh(), not self.loop.backward)
        self.names = list(dict.fromkeys(s.name for s in self.steps))
        self.place = {s.name: along(s, self.loop.index) for s in self.steps}
        self.inner: list[_Sent] = []
        self.outer: list[tuple[Step, Contribution]] = []
        self.zeros: dict[tuple[str, Poly], Step] = {}
        self.returned: list[Step] = []

    def run(self) -> None:
        """Emit the steps: what comes from outside, the loop itself, the cotangents of its starts."""
        for step in self.steps:
            for c in contributions(step.expr, self.reverse.active, self.reverse.strict):
                if c.name in self.place:
                    self.inner.append(_Sent(step, c, self.lag(c)))
                else:
                    self.outer.append((step, c))
        reached = self.reached()
        self.inner = [s for s in self.inner if s.step.name in reached]
        found = {name: self.end(name) for name in self.names if name in reached}
        ends = {name: end for name, end in found.items() if end is not None}
        arriving = {name: self.arriving(name) for name in self.names if name in reached and name not in ends}
        for name in (*ends, *arriving):
            self.hold(name)
        starting = [replace(end, name=self.reverse.names[name]) for name, end in ends.items()]
        body = [self.cotangent(name, arriving[name]) for name in reversed(self.names) if name in arriving]
        body += [self.sent_back(name) for name in reversed(self.names) if name in ends]
        starts = [start for name in arriving for start in self.starts(name, arriving[name])]
        self.reverse.adjoint += [*self.zeros.values(), *starting, *body, *self.returned, *starts]
        for step, c in self.outer:
            if step.name in reached:
                self.hand_out(step, c)

    def lag(self, c: Contribution) -> int:
        axis, shift = self.place[c.name]
        here = (c.index[axis] - Poly.of(self.loop.index)).constant
        assert here is not None
        return shift - here

    def reached(self) -> set[str]:
        """The arrays of the loop whose cotangents are not 0."""
        found = {name for name in self.names if self.reverse.parts.get(name)}
        while new := {s.contribution.name for s in self.inner if s.step.name in found} - found:
            found |= new
        return found

    def hold(self, name: str) -> None:
        """Give the cotangent of an array of the loop a name."""
        held = self.reverse.fresh(f"{name}_bar")
        self.reverse.tensors[held] = Tensor(held, self.reverse.program.shape(name))
        self.reverse.names[name] = held

    # --- what comes from outside ----------------------------------------------------------------

    def arriving(self, name: str) -> tuple[tuple[Index, ...], Expr]:
        """What steps outside the loop give to the cotangent, as an expression of free indices."""
        free = self.reverse.named_free(name, self.reverse.program.shape(name))
        held = self.reverse.total(name, free, f"{name}_given_bar")
        return free, held

    def given(self, arriving: tuple[tuple[Index, ...], Expr], places: Sequence[Poly]) -> Expr:
        free, expr = arriving
        moved: dict[Atom, Poly] = dict(zip(free, places, strict=True))
        result: Expr = build.substitute(build.freshen(expr), moved)
        return result

    # --- where only the last element is read outside ---------------------------------------------

    def end(self, name: str) -> Step | None:
        """The cotangent of the last element, if nothing else is read outside and the loop reads but the one before."""
        reverse, (axis, shift), step = self.reverse, self.place[name], self.step
        start, last = Poly.of(-1), self.loop.index.extent - 1
        if self.loop.backward:
            start, last = self.loop.index.extent, Poly.of(0)
        sent = self.to(name)
        if not sent or any(s.lag != step for s in sent):
            return None
        if not reverse.program.facts.within(start + shift, reverse.program.shape(name)[axis]):
            return None
        places, free = self.own_places(name, last)
        expr = reverse.given_at(name, axis, places[axis], free)
        return Step(name, free, places, expr, reverse.program.shape(name)) if expr is not None else None

    @property
    def step(self) -> int:
        """From an element to the next one in the order of the loop."""
        return -1 if self.loop.backward else 1

    def sent_back(self, name: str) -> Step:
        """The cotangent of the element before, all of which comes from the loop."""
        places, free = self.own_places(name, Poly.of(self.adjoint.index) - self.step)
        terms = [self.term(sent, places, Poly.of(self.adjoint.index)) for sent in self.to(name)]
        expr = self.reverse.tidy(build.add(*terms))
        return Step(self.reverse.names[name], free, places, expr, self.reverse.program.shape(name), loop=self.adjoint)

    # --- the loop -------------------------------------------------------------------------------

    def cotangent(self, name: str, arriving: tuple[tuple[Index, ...], Expr]) -> Step:
        """The cotangent of one array at one value of the index."""
        places, free = self.own_places(name, Poly.of(self.adjoint.index))
        terms = [self.given(arriving, places)]
        for sent in self.to(name):
            at = Poly.of(self.adjoint.index) + sent.lag
            terms.append(self.term(sent, places, at) if not sent.lag or self.is_steady(sent) else ZERO)
        for lag in self.lags(name):
            terms.append(Read(self.sender(name, lag), self.own_places(name, self.at(lag), places)[0], False))
        held = self.reverse.names[name]
        expr = self.reverse.tidy(build.add(*terms))
        return Step(held, free, places, expr, self.reverse.program.shape(name), loop=self.adjoint)

    def at(self, lag: int) -> Poly:
        return Poly.of(self.adjoint.index) + lag

    def own_places(
        self, name: str, along_loop: Poly, like: Sequence[Poly] | None = None
    ) -> tuple[tuple[Poly, ...], tuple[Index, ...]]:
        """Places of the array at one value of the loop's index, and the free indices in them."""
        axis, shift = self.place[name]
        free = list(self.reverse.named_free(name, self.reverse.program.shape(name)))
        places = list(like) if like is not None else [Poly.of(i) for i in free]
        places[axis] = along_loop + shift
        if self.adjoint.index in along_loop.indices():
            free[axis] = self.adjoint.index
        else:
            del free[axis]
        return tuple(places), tuple(free)

    def to(self, name: str) -> list[_Sent]:
        return [s for s in self.inner if s.contribution.name == name]

    def lags(self, name: str) -> list[int]:
        """The lags for which what is sent back to an array has a name."""
        return sorted({s.lag for s in self.to(name) if s.lag and not self.is_steady(s)}, key=abs)

    def term(self, sent: _Sent, places: Sequence[Poly], at: Poly) -> Expr:
        """What one read of an element sends to its cotangent, at a value of the loop's index."""
        step, c = sent.step, sent.contribution
        axis, _ = self.place[c.name]
        own = {i: i.fresh() for i in (*step.free, *c.bound) if i is not self.loop.index}
        moved: dict[Atom, Poly] = {i: Poly.of(o) for i, o in own.items()}
        moved[self.loop.index] = at
        cotangent = Read(self.reverse.names[step.name], step.target, False)
        expr = build.substitute(build.freshen(build.mul(cotangent, c.coefficient)), moved)
        conditions = [build.substitute(k, moved) for k in c.conditions]
        equations = [
            build.compare("==", build.val(asked), build.val(place.replace(dict(moved))))
            for n, (asked, place) in enumerate(zip(places, c.index, strict=True))
            if n != axis
        ]
        made: Expr = build.bind("sum", tuple(own.values()), [*conditions, *equations], expr)
        if at != Poly.of(self.adjoint.index) and sent.lag:
            self.need_zeros(self.reverse.names[step.name], step.name, sent.lag)
        return made

    def is_steady(self, sent: _Sent) -> bool:
        """Whether what an element sends back depends on its place along the loop by its cotangent alone."""
        c = sent.contribution
        if any(self.loop.index in build.free_indices(k) for k in c.conditions):
            return False
        return self.loop.index not in free_indices(c.coefficient)

    def need_zeros(self, held: str, name: str, lag: int) -> None:
        """Elements beyond the end, from which nothing comes back."""
        for k in range(abs(lag)):
            at = self.loop.index.extent + k if lag > 0 else Poly.of(-1 - k)
            places, free = self.own_places(name, at)
            self.zeros.setdefault(
                (held, places[self.place[name][0]]),
                Step(held, free, places, ZERO, self.reverse.program.shape(name)),
            )

    def sender(self, name: str, lag: int) -> str:
        """The array that holds what is sent back to an array; made once."""
        program, reverse = self.reverse.program, self.reverse
        key = f"{name}_prev{abs(lag) if abs(lag) > 1 else ''}_bar"
        done = next((s.name for s in self.returned if s.name == key), None)
        if done is not None:
            return done
        held = reverse.fresh(key)
        reverse.tensors[held] = Tensor(held, program.shape(name))
        places, free = self.own_places(name, Poly.of(self.adjoint.index))
        sent = [s for s in self.to(name) if s.lag == lag and not self.is_steady(s)]
        expr = reverse.tidy(build.add(*(self.term(s, places, Poly.of(self.adjoint.index)) for s in sent)))
        self.returned.append(Step(held, free, places, expr, program.shape(name), loop=self.adjoint))
        self.need_zeros(held, name, lag)
        return held

    # --- where it starts ------------------------------------------------------------------------

    def starts(self, name: str, arriving: tuple[tuple[Index, ...], Expr]) -> list[Step]:
        """The cotangents of the elements from which the recurrence starts."""
        program, (axis, shift) = self.reverse.program, self.place[name]
        made: dict[Poly, Step] = {}
        for start in program.definitions(name):
            if not isinstance(start, Step) or start.loop is not None or not start.inputs & self.reverse.active:
                continue
            at = start.target[axis] - shift
            places, free = self.own_places(name, at)
            inside = program.facts.within(start.target[axis], program.shape(name)[axis])
            terms = [self.given(arriving, places)] if inside else []
            for sent in self.to(name):
                if sent.lag and self.is_steady(sent) and self.is_run(at + sent.lag):
                    terms.append(self.term(sent, places, at + sent.lag))
            for lag in self.lags(name):
                if self.is_run(at + lag):
                    terms.append(Read(self.sender(name, lag), self.own_places(name, at + lag, places)[0], False))
            expr = self.reverse.tidy(build.add(*terms))
            held = self.reverse.names[name]
            made.setdefault(places[axis], Step(held, free, places, expr, program.shape(name)))
        return list(made.values())

    def is_run(self, at: Poly) -> bool:
        """Whether the loop's index takes a value, or could if there were as many as the lag is long."""
        beyond = (at - self.loop.index.extent).constant
        if self.loop.backward:
            return beyond is not None and beyond < 0
        return at.constant is not None and at.constant >= 0

    # --- everything else ------------------------------------------------------------------------

    def hand_out(self, step: Step, c: Contribution) -> None:
        """Give the cotangent of a step to something outside the loop that it reads."""
        moved: dict[Atom, Poly] = {self.loop.index: Poly.of(self.loop.index.fresh())}
        index = moved[self.loop.index].index
        assert index is not None
        free = tuple(index if i is self.loop.index else i for i in step.free)
        own = Contribution(
            c.name,
            tuple(p.replace(dict(moved)) for p in c.index),
            c.bound,
            tuple(build.substitute(k, moved) for k in c.conditions),
            build.substitute(c.coefficient, moved),
        )
        cotangent = Read(self.reverse.names[step.name], tuple(p.replace(dict(moved)) for p in step.target), False)
        self.reverse.parts.setdefault(c.name, []).append(self.reverse.part(free, own, cotangent))


def along(step: Step, index: Index) -> tuple[int, int]:
    """The axis of a step's array that a loop's index runs along, and how far the place is shifted."""
    for axis, place in enumerate(step.target):
        shift = (place - Poly.of(index)).constant
        if shift is not None:
            return axis, shift
    raise ValueError(f"{step.name} is no step of a loop over {index}")
