"""What is checked: an entry, its program, and how other entries are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product
from math import ceil, prod
from typing import Any, Protocol

import mpmath

from kb import interpreter
from kb.calculus.evaluate import Elements, Evaluation, elements
from kb.calculus.forward import Forward, jvp
from kb.calculus.hook import derive
from kb.calculus.reverse import Backward, vjp
from kb.errors import NotDifferentiable
from kb.evidence.sampling import Point, Sampler, Sizes
from kb.index.entries import Elaborated, elaborate
from kb.index.nodes import Bind, Compare, Expr, Integral, Pick, Stop, children, read_names, walk
from kb.index.program import ArrayInstance, ArrayStep, Program, Step
from kb.model import Entry
from kb.vocabulary import DOMAINS


class ProgramSource(Protocol):
    """The programs of other entries by id, and the entries themselves."""

    entries: Mapping[str, Entry]

    def __call__(self, entry_id: str, /) -> Program:
        """The program. Raises KeyError where there is no such entry."""


Places = dict[str, Elements]
# Thousands of operations from which on a value is not computed more often than necessary.
COSTLY = 0.4
FEW_POINTS = 4


@dataclass(frozen=True)
class Subject:
    """An entry and the index form that is held against its definition."""

    entry: Entry
    program: Program
    programs: ProgramSource
    seed: int = 0

    def lookup(self, entry_id: str) -> Entry:
        """Another entry, for the interpreter. Raises KeyError."""
        return self.programs.entries[entry_id]

    @cached_property
    def elaborated(self) -> Elaborated:
        """The entry with the scope in which its claims are read."""
        return elaborate(self.entry, self.programs, self.programs.entries, derive)

    def sampler(self, salt: str) -> Sampler:
        """Random points; each kind of check draws its own."""
        return Sampler(self.entry, self.program, self.lookup, f"{self.seed}/{salt}")

    @cached_property
    def _assignments(self) -> list[Sizes]:
        return self.sampler("sizes").assignments(4)

    def sizes(self, count: int = 3) -> list[Sizes]:
        """Some assignments of sizes, the last of them with ones. Raises NoSample where there is none."""
        *several, smallest = self._assignments
        return [*several[: count - 1], smallest]

    def some_points(self, salt: str, count: int) -> Iterator[Point]:
        """A point for each of ``count`` assignments of sizes; several where there are fewer and they cost little."""
        sampler = self.sampler(salt)
        for sizes in (assignments := self.sizes(count)):
            lone = sampler.is_constant or self.has_integrals or self.cost(sizes) > COSTLY
            yield from islice(sampler.points(sizes), 1 if lone else ceil(FEW_POINTS / len(assignments)))

    def is_full(self, sizes: Sizes) -> bool:
        """Whether no declared array has but one element along an axis, unless it always has."""
        return self.sampler("sizes").is_full(sizes)

    @cached_property
    def smallest_full(self) -> Sizes | None:
        """The smallest such sizes; None where there are none."""
        return self.sampler("sizes").smallest(2)

    @property
    def outputs(self) -> tuple[tuple[str, str], ...]:
        """Public names and the steps that hold them."""
        return self.program.returns

    @cached_property
    def differentiable(self) -> tuple[list[str], dict[str, str]]:
        """The symbols that have a derivative, and why the other real ones have none."""
        names = [t.name for t in self.program.arguments if t.symbol is not None and t.symbol.is_differentiable]
        try:
            jvp(self.program, names)
            return names, {}
        except NotDifferentiable:
            pass
        kept, refused = [], {}
        for name in names:
            try:
                jvp(self.program, [name])
                kept.append(name)
            except NotDifferentiable as error:
                refused[name] = str(error)
        return kept, refused

    @cached_property
    def selecting(self) -> frozenset[str]:
        """Masks and the like that a condition holds against a number: moved at all, they would select otherwise."""
        compared: set[str] = set()
        for step in self.program.steps:
            for node in walk(step.expr) if isinstance(step, Step) else ():
                if isinstance(node, Compare) and node.op in ("==", "!="):
                    compared |= read_names(node)
        names = [t.name for t in self.program.arguments if t.symbol and DOMAINS[t.symbol.domain].is_discrete]
        return frozenset(name for name in names if self.program.dependents({name}) & compared)

    @cached_property
    def backward(self) -> Backward:
        """The adjoint program for all differentiable symbols."""
        return vjp(self.program, self.differentiable[0])

    @cached_property
    def forward(self) -> Forward:
        """The tangent program for all differentiable symbols."""
        return jvp(self.program, self.differentiable[0])

    @cached_property
    def has_integrals(self) -> bool:
        """Whether values take quadrature, which is slow and has fewer digits."""
        return self._has(Integral)

    @cached_property
    def has_stops(self) -> bool:
        """Whether something is held while derivatives are taken."""
        return self._has(Stop)

    def _has(self, kind: type[Expr]) -> bool:
        """Whether an expression of a kind stands in a step or in an instance."""
        bodies = [s.expr for s in self.program.steps if isinstance(s, Step)]
        for instance in self.program.instances.values():
            if isinstance(instance, ArrayInstance):
                bodies += [s.expr for s in instance.program.steps if isinstance(s, Step)]
            else:
                bodies.append(instance.body)
        return any(isinstance(n, kind) for body in bodies for n in walk(body))

    # --- values ---------------------------------------------------------------------------------

    def reference(self, point: Point, precision: int, stops: dict[Any, Any] | None = None) -> Places:
        """The outputs by the reference interpreter."""
        sizes = open_sizes(self.program, point.sizes)
        run = interpreter.run(self.entry, self.lookup, point.values, sizes, precision=precision, stops=stops)
        return {public: elements(run[public].to_nested()) for public, _ in self.outputs}

    def evaluate(
        self,
        program: Program,
        point: Point,
        more: Mapping[str, Elements] | None = None,
        stops: dict[Any, Any] | None = None,
    ) -> Places:
        """The values of all names of a program in index form, at the working precision."""
        return self.evaluation(program, point, more, stops).run()

    def evaluation(
        self,
        program: Program,
        point: Point,
        more: Mapping[str, Elements] | None = None,
        stops: dict[Any, Any] | None = None,
    ) -> Evaluation:
        """An evaluation that has not run yet."""
        given = {n: elements(v) for n, v in point.values.items() if n not in point.sizes}
        return Evaluation(program, {**given, **(more or {})}, point.sizes, stops)

    def cost(self, sizes: Sizes) -> float:
        """How many operations one evaluation takes, in thousands; a measure that is the same on every machine."""
        return sum(step_cost(s, self.program, sizes) for s in self.program.steps) / 1000


def open_sizes(program: Program, sizes: Mapping[str, int]) -> dict[str, int]:
    """The dimensions alone; integer symbols are arguments."""
    return {d: sizes[d] for d in program.dimensions if d in sizes}


# How many times as long as a matrix product the primitives take at high precision.
_PER_PRODUCT = {"expm": 150, "eigh": 80, "svd": 150}


def step_cost(step: Step | ArrayStep, program: Program, sizes: Mapping[str, int]) -> float:
    """Operations of one step."""

    def extent(values: Iterable[Any]) -> int:
        return prod(max(0, s.evaluate(lambda a: sizes.get(str(a), 3) if isinstance(a, str) else 3)) for s in values)

    def work(expr: Any) -> float:
        own = 1 + sum(work(child) for child in children(expr))
        if isinstance(expr, (Bind, Pick)):
            return own * extent(i.extent for i in expr.indices)
        return own * 4000 if isinstance(expr, Integral) else own

    if isinstance(step, ArrayStep):
        shape = program.shape(step.argument)
        return float(extent(shape) * extent(shape[-1:]) * _PER_PRODUCT.get(step.operation, 7))
    body: Expr = step.expr
    return extent(i.extent for i in step.free) * work(body)


# --- arrays as dictionaries from places to numbers -------------------------------------------------


def moved(value: Any, direction: Elements, step: Any, place: tuple[int, ...] = ()) -> Any:
    """Nested lists with ``step`` times a direction added."""
    if isinstance(value, list):
        return [moved(item, direction, step, (*place, n)) for n, item in enumerate(value)]
    return value + step * direction.get(place, 0)


def inner(a: Mapping[str, Elements], b: Mapping[str, Elements]) -> Any:
    """The inner product of two collections of arrays; names that only one of them has count as 0."""
    return mpmath.fsum(x * b[name].get(at, 0) for name, array in a.items() if name in b for at, x in array.items())


def places(shape: Iterable[int]) -> list[tuple[int, ...]]:
    """Every index tuple of an array."""
    return list(product(*map(range, shape)))


Progress = Callable[[str], None]
