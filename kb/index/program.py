"""An equation in index form: symbols, steps that define arrays element by element, outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Protocol, TypeVar

from kb.index.affine import Facts, Index, Poly
from kb.index.nodes import Expr, Variable, read_names
from kb.model import Symbol

Shape = tuple[Poly, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """What a name stands for: its shape and, for a declared symbol, the declaration."""

    name: str
    shape: Shape
    symbol: Symbol | None = None
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps that are computed together for one value of ``index`` after another, the last first if ``backward``.

    Such steps follow each other in a program and have this very index among their free ones. What
    they read of each other was computed for the same value by a step before, or for an earlier one.
    """

    index: Index
    backward: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """``name[target] = expr`` for all values of the free indices.

    ``target`` is usually the free indices themselves. It may be affine (``PE[2*i]``); several
    steps of one name then define its parts. Free indices that the target lacks are summed over:
    the adjoint of a strided read is such a step (a scatter). A step of a ``loop`` is part of a
    recurrence; where that begins, elements before the first (``h[-1]``) or after the last are
    defined by steps of their own.
    """

    name: str
    free: tuple[Index, ...]
    target: tuple[Poly, ...]
    expr: Expr
    shape: Shape
    accumulates: bool = False
    loop: Loop | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the target is the free indices in order, and they run over the whole."""
        if self.accumulates or tuple(p.index for p in self.target) != self.free:
            return False
        return all(i.size == s for i, s in zip(self.free, self.shape, strict=True))

    @property
    def inputs(self) -> frozenset[str]:
        """Names that the step reads."""
        return read_names(self.expr)


@dataclass(frozen=True, slots=True)
class ArrayStep:
    """A primitive of whole arrays, such as an inverse, applied to the last axes of its argument.

    Where the operation has several results, ``output`` says which of them this step holds.
    """

    name: str
    operation: str
    argument: str
    shape: Shape
    lead: int = 0
    output: int = 0

    @property
    def inputs(self) -> frozenset[str]:
        """Names that the step reads."""
        return frozenset([self.argument])


AnyStep = Step | ArrayStep


class Dependent(Protocol):
    """What has a name and depends on other names: a step, or a part of a linear map."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def inputs(self) -> frozenset[str]:
        """The names that it depends on."""


Node = TypeVar("Node")


@dataclass(frozen=True, slots=True)
class Instance:
    """What an abstract function or law stands for: an expression in its own variables."""

    variables: tuple[Variable, ...]
    body: Expr


@dataclass(frozen=True, eq=False)
class ArrayInstance:
    """What an abstract function of arrays stands for: a program with one output.

    ``sizes`` says what the program's dimensions are where the arguments do not tell; ``derived``
    keeps derivatives of the program, which are programs themselves.
    """

    program: Program
    sizes: dict[str, Poly] = field(default_factory=dict)
    derived: dict[tuple[int, ...], Program] = field(default_factory=dict)

    @property
    def held(self) -> str:
        """The step that holds the result."""
        return self.program.returns[0][1]


AnyInstance = Instance | ArrayInstance


@dataclass(frozen=True)
class Program:
    """Symbols in declared order, steps in order of computation, outputs by step name.

    ``returns`` pairs each output's public name with the step that holds it (an update's new state
    ``m`` is held by another name than the incoming ``m``).
    """

    tensors: dict[str, Tensor]
    steps: tuple[AnyStep, ...]
    returns: tuple[tuple[str, str], ...]
    instances: dict[str, AnyInstance] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    dimensions: tuple[str, ...] = ()
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def arguments(self) -> list[Tensor]:
        """Declared symbols that a call passes."""
        return [t for t in self.tensors.values() if t.symbol is not None and t.symbol.is_argument]

    @property
    def has_loops(self) -> bool:
        """Whether any step is part of a recurrence."""
        return any(isinstance(s, Step) and s.loop is not None for s in self.steps)

    def shape(self, name: str) -> Shape:
        """The shape of a symbol or step."""
        return self.tensors[name].shape

    def definitions(self, name: str) -> list[AnyStep]:
        """The steps that define a name (more than one where its left sides are affine)."""
        return [s for s in self.steps if s.name == name]

    def step_names(self) -> list[str]:
        """Names of steps, each once, in order."""
        return list(dict.fromkeys(s.name for s in self.steps))

    def dependents(self, names: set[str]) -> set[str]:
        """The names whose values depend on any of ``names``, those included."""
        return dependents(self.steps, names)

    def needed(self, names: set[str]) -> tuple[AnyStep, ...]:
        """The steps that the given names need, in order."""
        return needed(self.steps, names)

    def __iter__(self) -> Iterator[AnyStep]:
        return iter(self.steps)


def blocks(steps: Sequence[Node]) -> list[tuple[Node, ...]]:
    """The steps in order, those of one loop together."""
    found: list[tuple[Node, ...]] = []
    for step in steps:
        loop = loop_of(step)
        if loop is not None and found and loop_of(found[-1][0]) is loop:
            found[-1] = (*found[-1], step)
        else:
            found.append((step,))
    return found


def loop_of(step: object) -> Loop | None:
    """The loop that a step belongs to."""
    return step.loop if isinstance(step, Step) else None


def margins(steps: Iterable[AnyStep], name: str) -> tuple[tuple[int, int], ...]:
    """How many elements of an array are defined before the first and after the last one, along each axis.

    A recurrence starts there: ``h[-1]`` stands before ``h[0]``, ``G[T]`` after ``G[T-1]``.
    """
    found: list[list[int]] = []
    for step in steps:
        if step.name != name or not isinstance(step, Step):
            continue
        found = found or [[0, 0] for _ in step.shape]
        for ends, place, size in zip(found, step.target, step.shape, strict=True):
            if place.constant is not None:
                ends[0] = max(ends[0], -place.constant)
            beyond = (place - size).constant
            if beyond is not None:
                ends[1] = max(ends[1], beyond + 1)
    return tuple((before, after) for before, after in found)


def are_side_by_side(parts: Sequence[Step]) -> bool:
    """Whether several steps define an array as blocks that follow each other along its last axis."""
    end = Poly.of(0)
    for part in parts:
        if part.accumulates or part.loop is not None or len(part.target) != len(part.free) or not part.free:
            return False
        *front, last = part.free
        if tuple(p.index for p in part.target[:-1]) != tuple(front) or part.target[-1] != end + Poly.of(last):
            return False
        if tuple(i.size for i in front) != part.shape[:-1]:
            return False
        end += last.extent
    return len(parts) > 1 and end == parts[0].shape[-1]


def is_beyond(place: Poly, size: Poly) -> bool:
    """Whether a place that no index moves lies before the first or after the last element."""
    after = (place - size).constant
    return (place.constant is not None and place.constant < 0) or (after is not None and after >= 0)


def needed(steps: Sequence[AnyStep], names: Iterable[str]) -> tuple[AnyStep, ...]:
    """Those of the steps that the given names need, in order."""
    wanted = set(names)
    kept: list[AnyStep] = []
    for group in reversed(blocks(steps)):
        chosen: list[AnyStep] = []
        while found := [s for s in group if s.name in wanted and not any(s is c for c in chosen)]:
            chosen += found
            wanted.update(*(s.inputs for s in found))
        kept += [s for s in reversed(group) if any(s is c for c in chosen)]
    return tuple(reversed(kept))


def dependents(steps: Sequence[Dependent], names: set[str]) -> set[str]:
    """The names whose values depend on any of ``names`` through the steps, those included."""
    found = set(names)
    for group in blocks(steps):
        while new := {s.name for s in group if s.inputs & found} - found:
            found |= new
    return found


def index_names(taken: set[str], wanted: int, preferred: str = "ijklmnpqrstuv") -> list[str]:
    """Names for free indices that clash with nothing."""
    endless = (f"{c}{n or ''}" for n in count() for c in preferred)
    return list(islice((name for name in endless if name not in taken), wanted))
