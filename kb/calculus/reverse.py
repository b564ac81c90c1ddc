"""Backward passes: the adjoint program of a program, step by step in reverse, keeping the names.

The cotangent of ``x`` is called ``x_bar``. Each step hands its cotangent on to what it reads. A
plain read gives a plain step; a shifted, strided or gathered read gives a step that accumulates
into the places that were read, which is what code does. ``gather`` turns such steps into sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kb.calculus.linear import Contribution
from kb.calculus.loops import LoopAdjoint
from kb.calculus.primitives import Differential, Linearised, along, layout
from kb.calculus.tidy import Tidy
from kb.errors import NotDifferentiable
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ZERO, Condition, Expr, Read
from kb.index.program import AnyStep, ArrayStep, Program, Step, Tensor, blocks, loop_of
from kb.model import Symbol


@dataclass(frozen=True)
class Backward:
    """An adjoint program: forward steps that it needs, adjoint steps, and what is what.

    ``cotangents`` maps each public output to the symbol that holds its cotangent; ``gradients``
    maps each symbol to the step that holds its cotangent, or None where nothing depends on it.
    """

    program: Program
    cotangents: dict[str, str]
    gradients: dict[str, str | None]
    forward: tuple[AnyStep, ...]
    adjoint: tuple[AnyStep, ...]


def vjp(program: Program, wrt: Sequence[str], strict: bool = True) -> Backward:
    """The backward pass of all outputs to the given symbols.

    Raises NotDifferentiable where a needed derivative does not exist.
    """
    return Reverse(program, wrt, strict).run()


@dataclass(frozen=True)
class Part:
    """One contribution to a cotangent: ``name_bar[index] += sum of expr over free``."""

    free: tuple[Index, ...]
    index: tuple[Poly, ...]
    conditions: tuple[Condition, ...]
    expr: Expr


class Reverse:
    """A backward pass in the making."""

    def __init__(self, program: Program, wrt: Sequence[str], strict: bool) -> None:
        self.own = {s.name for s in program.steps}
        self.layout = layout(program)
        self.program = program = self.layout.program
        self.wrt = tuple(wrt)
        self.strict = strict
        self.active = self.layout.dependents(set(wrt))
        self.parts: dict[str, list[Part]] = {}
        self.names: dict[str, str] = {}
        self.adjoint: list[AnyStep] = []
        self.tensors = dict(program.tensors)
        self.tidy = Tidy(program)

    def run(self) -> Backward:
        cotangents = self.incoming()
        for group in reversed(blocks(self.layout.nodes)):
            if loop_of(group[0]) is not None:
                LoopAdjoint(self, [s for s in group if isinstance(s, Step)]).run()
                continue
            (node,) = group
            if node.name not in self.active:
                continue
            if isinstance(node, Differential) or self.is_last_definition(node):
                self.finish(node.name)
            if node.name in self.names:
                self.hand_on(node)
        gradients: dict[str, str | None] = {}
        for name in self.wrt:
            self.finish(name)
            gradients[name] = self.names.get(name)
        return self.result(cotangents, gradients)

    def incoming(self) -> dict[str, str]:
        """A symbol for the cotangent of each output."""
        cotangents: dict[str, str] = {}
        for public, held in self.program.returns:
            name = self.fresh(f"{held}_bar")
            shape = self.program.shape(held)
            self.tensors[name] = Tensor(
                name, shape, Symbol(name, tuple(map(str, shape)), about=f"cotangent of {public}")
            )
            cotangents[public] = name
            if held in self.active:
                free = _free(shape)
                index = tuple(Poly.of(i) for i in free)
                self.parts.setdefault(held, []).append(Part(free, index, (), Read(name, index, False)))
        return cotangents

    def fresh(self, name: str) -> str:
        while name in self.tensors or name in self.program.dimensions:
            name = name.replace("_bar", "_total_bar", 1) if "_total" not in name else name + "_1"
        return name

    def is_last_definition(self, step: AnyStep) -> bool:
        return self.program.definitions(step.name)[-1] is step

    # --- handing cotangents on ------------------------------------------------------------------

    def hand_on(self, node: Linearised) -> None:
        """Give the cotangent of a step to everything that it reads."""
        held = self.names[node.name]
        if isinstance(node, ArrayStep) and node.name in self.layout.exponentials:
            self.through_exponential(node, held)
            return
        free, index, found = self.layout.linearised(node, self.active, self.strict)
        cotangent = Read(held, index, False)
        for c in found:
            self.parts.setdefault(c.name, []).append(self.part(free, c, cotangent))

    def part(self, free: tuple[Index, ...], c: Contribution, cotangent: Expr) -> Part:
        return Part((*free, *c.bound), c.index, c.conditions, build.mul(cotangent, c.coefficient))

    def through_exponential(self, step: ArrayStep, held: str) -> None:
        """The cotangent of a matrix exponential's argument: the derivative at its transpose."""
        block = self.fresh(f"{step.argument}_block")
        self.tensors[block] = Tensor(block, ())
        steps, free, value = along(step, held, block, self.fresh(f"L_{step.argument}"), transposed=True)
        self.adjoint += steps
        self.tensors |= {s.name: Tensor(s.name, s.shape) for s in steps}
        self.parts.setdefault(step.argument, []).append(Part(free, tuple(map(Poly.of, free)), (), value))

    # --- cotangents of names --------------------------------------------------------------------

    def finish(self, name: str) -> None:
        """Turn the contributions to a name's cotangent into steps."""
        if not self.parts.get(name):
            return
        shape = self.program.shape(name)
        free = self.named_free(name, shape)
        held = f"{name}_bar"
        total = self.total(name, free, held)
        if isinstance(total, Read) and self.is_incoming(total, free):
            self.names[name] = total.name
            return
        self.names[name] = held = self.fresh(held)
        self.tensors[held] = Tensor(held, shape, outside=self.program.tensors[name].outside)
        self.adjoint.append(Step(held, free, tuple(Poly.of(i) for i in free), total, shape))

    def total(self, name: str, free: tuple[Index, ...], hint: str) -> Expr:
        """The sum of the contributions to a name's cotangent; where some are scattered, steps that hold it."""
        parts = self.parts.pop(name, [])
        shape = self.program.shape(name)
        plain: list[Expr] = []
        scattered: list[Part] = []
        for part in parts:
            expr = plain_form(part, free, shape)
            if expr is None:
                scattered.append(part)
            else:
                plain.append(expr)
        total = self.tidy(build.add(*plain)) if plain else ZERO
        if not scattered:
            return total
        held = self.fresh(hint)
        self.tensors[held] = Tensor(held, shape, outside=self.program.tensors[name].outside)
        places = tuple(Poly.of(i) for i in free)
        if total != ZERO:
            self.adjoint.append(Step(held, free, places, total, shape))
        for part in scattered:
            expr = self.tidy(build.mul(*(build.test(c) for c in part.conditions), part.expr))
            self.adjoint.append(Step(held, part.free, part.index, expr, shape, accumulates=True))
        return Read(held, places, False)

    def given_at(self, name: str, axis: int, place: Poly, free: tuple[Index, ...]) -> Expr | None:
        """The sum of the contributions, if all are to elements at this place of the axis; None, and they stay, else.

        ``free`` are the indices of the other axes.
        """
        parts, shape = self.parts.get(name, []), self.program.shape(name)
        if not parts or any(p.index[axis] != place for p in parts):
            return None
        rest = [replace(p, index=(*p.index[:axis], *p.index[axis + 1 :])) for p in parts]
        terms = [plain_form(p, free, (*shape[:axis], *shape[axis + 1 :])) for p in rest]
        if any(t is None for t in terms):
            return None
        del self.parts[name]
        return self.tidy(build.add(*(t for t in terms if t is not None)))

    def named_free(self, name: str, shape: tuple[Poly, ...]) -> tuple[Index, ...]:
        """Free indices called as the definition of the name calls them."""
        definition = next((s for s in self.program.steps if s.name == name), None)
        if isinstance(definition, Step) and definition.is_plain:
            return tuple(i.fresh() for i in definition.free)
        return _free(shape, set(self.program.tensors) | set(self.program.dimensions))

    def is_incoming(self, read: Read, free: tuple[Index, ...]) -> bool:
        whole = tuple(p.index for p in read.index) == free and self.tensors[read.name].shape == _extents(free)
        return whole and read.name not in self.program.tensors

    def result(self, cotangents: dict[str, str], gradients: dict[str, str | None]) -> Backward:
        needed = self.program.needed({n for s in self.adjoint for n in s.inputs})
        forward = tuple(s for s in needed if s.name in self.own)
        adjoint = tuple(s for s in needed if s.name not in self.own) + tuple(self.adjoint)
        returns = tuple((name, held) for name, held in gradients.items() if held is not None)
        differentials = {n.name for n in self.layout.nodes if isinstance(n, Differential)}
        program = replace(
            self.program,
            tensors={name: t for name, t in self.tensors.items() if name not in differentials},
            steps=forward + adjoint,
            returns=returns,
        )
        return Backward(program, cotangents, gradients, forward, adjoint)


def plain_form(part: Part, free: tuple[Index, ...], shape: tuple[Poly, ...]) -> Expr | None:
    """The contribution as an expression of the cotangent's own free indices; None if it scatters."""
    seen: dict[Index, Poly] = {}
    for place, size, own in zip(part.index, shape, free, strict=True):
        index = place.index
        if index is None or index in seen or index.size != size or index not in part.free:
            return None
        seen[index] = Poly.of(own)
    rest = [i for i in part.free if i not in seen]
    conditions = [build.substitute(c, seen) for c in part.conditions]
    inner = [c for c in conditions if build.free_indices(c) & set(rest)]
    outer = [c for c in conditions if not build.free_indices(c) & set(rest)]
    body = build.bind("sum", rest, inner, build.substitute(part.expr, seen))
    return build.mul(*(build.test(c) for c in outer), body)


def gather(steps: Iterable[AnyStep], name: str, free: tuple[Index, ...]) -> Expr:
    """All steps that define or accumulate into ``name``, as one expression of its free indices."""
    terms: list[Expr] = []
    for step in steps:
        if step.name != name:
            continue
        assert isinstance(step, Step)
        own = tuple(i.fresh() for i in step.free)
        moved = {i: Poly.of(o) for i, o in zip(step.free, own, strict=True)}
        expr = build.substitute(build.freshen(step.expr), moved)
        equations = [
            build.compare("==", build.val(Poly.of(f)), build.val(p.replace(dict(moved))))
            for f, p in zip(free, step.target, strict=True)
        ]
        terms.append(build.bind("sum", own, equations, expr))
    return build.add(*terms) if terms else ZERO


def _free(shape: tuple[Poly, ...], taken: set[str] = frozenset()) -> tuple[Index, ...]:  # type: ignore[assignment]
    from kb.index.program import index_names

    return tuple(Index(n, s) for n, s in zip(index_names(set(taken), len(shape)), shape, strict=True))


def _extents(free: tuple[Index, ...]) -> tuple[Poly, ...]:
    return tuple(i.extent for i in free)


def require_differentiable(program: Program, names: Iterable[str]) -> None:
    """Refuse symbols that have no derivative: labels, integers, functions."""
    for name in names:
        tensor = program.tensors.get(name)
        if tensor is None or tensor.symbol is None or not tensor.symbol.is_differentiable:
            kind = tensor.symbol.kind if tensor is not None and tensor.symbol is not None else "step"
            raise NotDifferentiable(f"{name!r} is a {kind}: there is no derivative with respect to it")
