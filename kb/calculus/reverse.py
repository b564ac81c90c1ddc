"""Backward passes: the adjoint program of a program, step by step in reverse, keeping the names.

The cotangent of ``x`` is called ``x_bar``. Each step hands its cotangent on to what it reads. A
plain read gives a plain step; a shifted, strided or gathered read gives a step that accumulates
into the places that were read, which is what code does. ``gather`` turns such steps into sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kb.calculus.linear import Contribution, contributions, primitive_contribution
from kb.calculus.loops import LoopAdjoint
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
        self.program = program
        self.wrt = tuple(wrt)
        self.strict = strict
        self.active = program.dependents(set(wrt))
        self.parts: dict[str, list[Part]] = {}
        self.names: dict[str, str] = {}
        self.extra: list[AnyStep] = []
        self.adjoint: list[AnyStep] = []
        self.tensors = dict(program.tensors)
        self.tidy = Tidy(program)

    def run(self) -> Backward:
        cotangents = self.incoming()
        for group in reversed(blocks(self.program.steps)):
            if loop_of(group[0]) is not None:
                LoopAdjoint(self, [s for s in group if isinstance(s, Step)]).run()
                continue
            (step,) = group
            if step.name not in self.active:
                continue
            if self.is_last_definition(step):
                self.finish(step.name)
            if step.name in self.names:
                self.hand_on(step)
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

    def hand_on(self, step: AnyStep) -> None:
        """Give the cotangent of a step to everything that it reads."""
        held = self.names[step.name]
        if isinstance(step, ArrayStep):
            free = _free(step.shape)
            index = tuple(Poly.of(i) for i in free)
            inverse = self.inverse_of(step)
            size = self.program.shape(step.argument)[-1]
            found = [primitive_contribution(step, free, size, inverse)] if step.argument in self.active else []
        else:
            free, index = step.free, step.target
            found = contributions(step.expr, self.active, self.strict)
        cotangent = Read(held, index, False)
        for c in found:
            self.parts.setdefault(c.name, []).append(self.part(free, c, cotangent))

    def part(self, free: tuple[Index, ...], c: Contribution, cotangent: Expr) -> Part:
        return Part((*free, *c.bound), c.index, c.conditions, build.mul(cotangent, c.coefficient))

    def inverse_of(self, step: ArrayStep) -> str:
        """The step that holds the inverse of a primitive's argument; a determinant needs one."""
        if step.operation == "inv":
            return step.name
        for other in (*self.program.steps, *self.extra):
            if isinstance(other, ArrayStep) and other.operation == "inv" and other.argument == step.argument:
                return other.name
        name = self.fresh(f"{step.argument}_inv")
        shape = self.program.shape(step.argument)
        self.extra.append(ArrayStep(name, "inv", step.argument, shape, step.lead))
        self.tensors[name] = Tensor(name, shape)
        return name

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

    def named_free(self, name: str, shape: tuple[Poly, ...]) -> tuple[Index, ...]:
        """Free indices called as the definition of the name calls them."""
        definition = next((s for s in self.program.steps if s.name == name), None)
        if isinstance(definition, Step) and definition.is_plain:
            return tuple(i.fresh() for i in definition.free)
        return _free(shape, set(self.program.tensors) | set(self.program.dimensions))

    def is_incoming(self, read: Read, free: tuple[Index, ...]) -> bool:
        return tuple(p.index for p in read.index) == free and read.name not in self.program.tensors

    def result(self, cotangents: dict[str, str], gradients: dict[str, str | None]) -> Backward:
        adjoint = tuple(self.extra) + tuple(self.adjoint)
        used = {n for s in adjoint for n in s.inputs}
        forward = self.program.needed(used)
        returns = tuple((name, held) for name, held in gradients.items() if held is not None)
        program = replace(
            self.program,
            tensors=self.tensors,
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


def require_differentiable(program: Program, names: Iterable[str]) -> None:
    """Refuse symbols that have no derivative: labels, integers, functions."""
    for name in names:
        tensor = program.tensors.get(name)
        if tensor is None or tensor.symbol is None or not tensor.symbol.is_differentiable:
            kind = tensor.symbol.kind if tensor is not None and tensor.symbol is not None else "step"
            raise NotDifferentiable(f"{name!r} is a {kind}: there is no derivative with respect to it")
