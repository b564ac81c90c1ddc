"""Programs with the instances of abstract functions of arrays put in: what code and evidence run.

Where the steps of an instance are plain, the result is one expression and stands in place of the
call. Otherwise, for blocks that are joined or matrices that are inverted, they become steps; the
indices that the arguments depend on are leading axes there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kb.calculus.normal import inlined
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.array_functions import is_plain
from kb.index.nodes import (
    ApplyArray,
    Bind,
    Expr,
    Integral,
    Pick,
    Read,
    Var,
    Whole,
    alpha_key,
    bound_indices,
    free_indices,
    walk,
)
from kb.index.program import AnyStep, ArrayInstance, ArrayStep, Program, Shape, Step, Tensor
from kb.index.recurrence import gather_loops


def concrete(program: Program) -> Program:
    """The program without abstract functions of arrays."""
    if not any(isinstance(i, ArrayInstance) for i in program.instances.values()):
        return program
    return _Concrete(program).run()


def derived_program(instance: ArrayInstance, wrt: tuple[int, ...]) -> Program:
    """The instance's program, differentiated by its arguments one after the other; it has one output.

    Where the instance jumps its derivative is that of its pieces.
    """
    from kb.calculus.explicit import partial_program

    if not wrt:
        return instance.program
    if wrt not in instance.derived:
        before = derived_program(instance, wrt[:-1])
        argument = instance.program.arguments[wrt[-1]].name
        made, held = partial_program(before, before.returns[0][1], argument, strict=False)
        instance.derived[wrt] = replace(made, steps=made.needed({held}))
    return instance.derived[wrt]


class _Concrete:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.tensors = dict(program.tensors)
        self.steps: list[AnyStep] = []
        self.known: dict[Any, str] = {}
        self.looped = False  # whether a recurrence has got steps that are not in its loop yet

    def run(self) -> Program:
        for step in self.program.steps:
            if isinstance(step, Step):
                before = len(self.steps)
                step = replace(step, expr=self.expand(step.expr, step.free))
                self.looped = self.looped or (step.loop is not None and len(self.steps) > before)
            self.steps.append(step)
        steps = tuple(self.steps)
        if self.looped:
            alone = [replace(s, loop=None) if isinstance(s, Step) else s for s in steps]
            steps = gather_loops(alone, self.tensors)
        return replace(self.program, tensors=self.tensors, steps=steps)

    def expand(self, expr: Expr, scope: Sequence[Index]) -> Expr:
        """The expression with every instance put in, the inner ones first; ``scope`` are the indices in force."""
        if not any(isinstance(n, ApplyArray) for n in walk(expr)):
            return expr

        def visit(node: Any) -> Any:
            if not isinstance(node, Expr):
                return build.rebuild_condition(node, visit)
            return self.expand(node, inside)

        if isinstance(expr, ApplyArray):
            args = tuple(Whole(a.indices, self.expand(a.body, (*scope, *a.indices))) for a in expr.args)
            return _Application(self, ApplyArray(expr.name, expr.wrt, expr.index, args), scope).result()
        inside = (*scope, *bound_indices(expr))
        result: Expr = build.rebuild(expr, visit)
        return result

    def unique(self, hint: str) -> str:
        """A name for a new step."""
        taken = set(self.tensors) | set(self.program.dimensions)
        name, number = hint, 1
        while name in taken:
            name, number = f"{hint}_{number}", number + 1
        return name


class _Application:
    """One element of one application: the instance's names and sizes in terms of what is here."""

    def __init__(self, owner: _Concrete, expr: ApplyArray, scope: Sequence[Index]) -> None:
        instance = owner.program.instances[expr.name]
        assert isinstance(instance, ArrayInstance)
        self.owner = owner
        self.expr = expr
        self.program = derived_program(instance, expr.wrt)
        self.held = self.program.returns[0][1]
        parameters = instance.program.arguments
        self.given = {t.name: a for t, a in zip(parameters, expr.args, strict=True)}
        self.sizes = dict(instance.sizes)
        for tensor, arg in zip(parameters, expr.args, strict=True):
            for size, index in zip(tensor.shape, arg.indices, strict=True):
                if isinstance(size.atom, str):
                    self.sizes.setdefault(size.atom, index.extent)
        used = set().union(*(free_indices(a) for a in expr.args))
        self.outer = tuple(i for i in scope if i in used)
        self.names: dict[str, str] = {}

    def size(self, poly: Poly) -> Poly:
        """A size of the instance in terms of what is here."""
        return poly.transform(lambda atom: self.sizes.get(atom) if isinstance(atom, str) else None)

    def result(self) -> Expr:
        if not is_plain(self.program):
            return self.as_steps()
        for name, arg in self.given.items():
            if self.is_costly(arg):
                self.name_argument(name)
        free = tuple(Index("e", s) for s in self.program.shape(self.held))
        whole = inlined(Read(self.held, tuple(map(Poly.of, free)), False), self.program)
        self.resize(free)
        found = Tidy(Program({}, (), ()))(self.translate(whole, tuple(map(Poly.of, self.outer))))
        result: Expr = build.substitute(found, dict(zip(free, self.expr.index, strict=True)))
        return result

    def is_costly(self, arg: Whole) -> bool:
        """Whether each element takes a sum, so that it should be computed once."""
        nodes = list(walk(arg.body))
        heavy = any(isinstance(n, (Bind, Integral, Pick)) for n in nodes) and not any(isinstance(n, Var) for n in nodes)
        return bool(arg.indices) and heavy

    def translate(self, expr: Expr, ahead: tuple[Poly, ...]) -> Expr:
        """The instance's expression with the arguments, steps and sizes that it has here."""

        def change(node: Expr) -> Expr | None:
            if isinstance(node, Read):
                return self.read(node.name, tuple(self.size(p) for p in node.index), ahead)
            self.resize(bound_indices(node))
            return None

        result: Expr = build.transform(build.freshen(expr), change, self.size)
        return result

    def resize(self, indices: Iterable[Index]) -> None:
        """Give indices that belong to this application alone their sizes here."""
        for index in indices:
            index.size = self.size(index.extent)

    def read(self, name: str, index: tuple[Poly, ...], ahead: tuple[Poly, ...]) -> Expr:
        """An element of a step or of an argument; ``ahead`` stands for the indices in force."""
        if name in self.names:
            return Read(self.names[name], (*ahead, *index), False)
        arg = self.given[name]
        moved: dict[Atom, Poly] = dict(zip(arg.indices, index, strict=True))
        moved.update(zip(self.outer, ahead, strict=True))
        result: Expr = build.substitute(build.freshen(arg.body), moved)
        return result

    # --- instances that take steps --------------------------------------------------------------

    def as_steps(self) -> Expr:
        """Read the result off steps of its own; the same application gives the same steps."""
        key = (self.expr.name, self.expr.wrt, tuple(map(alpha_key, self.expr.args)))
        if key not in self.owner.known:
            steps = self.program.needed({self.held})
            for step in steps:  # those of a recurrence read each other: all must be known before the first
                if isinstance(step, Step) and step.loop is not None:
                    self.define(step.name, tuple(self.size(s) for s in step.shape))
            for step in steps:
                if isinstance(step, ArrayStep):
                    self.take_primitive(step)
                else:
                    self.take(step.name, step)
            self.owner.known[key] = self.names[self.held]
        return Read(self.owner.known[key], (*map(Poly.of, self.outer), *self.expr.index), False)

    def define(self, name: str, shape: Shape) -> tuple[str, Shape]:
        """What a step of the instance is called here, and its shape; the parts of one name share one."""
        full = (*(i.extent for i in self.outer), *shape)
        if name not in self.names:
            last = "value" if name == self.expr.name else name.replace(" ", "_")
            self.names[name] = self.owner.unique(f"{self.expr.name}_{last}")
            self.owner.tensors[self.names[name]] = Tensor(self.names[name], full)
        return self.names[name], full

    def take(self, name: str, step: Step) -> None:
        """A step of the instance, the indices in force ahead of its own."""
        copies = tuple(i.fresh() for i in self.outer)
        ahead = tuple(map(Poly.of, copies))
        free = tuple(i.fresh() for i in step.free)
        moved: dict[Atom, Poly] = dict(zip(step.free, map(Poly.of, free), strict=True))
        expr: Expr = build.substitute(step.expr, moved)
        self.resize(free)
        expr = self.translate(expr, ahead)
        target = (*ahead, *(self.size(p).replace(moved) for p in step.target))
        held, shape = self.define(name, tuple(self.size(s) for s in step.shape))
        self.owner.looped = self.owner.looped or step.loop is not None
        self.owner.steps.append(Step(held, (*copies, *free), target, expr, shape, step.accumulates))

    def take_primitive(self, step: ArrayStep) -> None:
        """An inverse or a determinant; an argument of the function needs a step to be inverted."""
        if step.argument not in self.names:
            self.name_argument(step.argument)
        held, shape = self.define(step.name, tuple(self.size(s) for s in step.shape))
        argument, lead = self.names[step.argument], len(self.outer) + step.lead
        self.owner.steps.append(ArrayStep(held, step.operation, argument, shape, lead, step.output))

    def name_argument(self, name: str) -> None:
        """A step that holds an argument as a whole; equal arguments share one."""
        key = (self.outer, alpha_key(self.given[name]))
        if key in self.owner.known:
            self.names[name] = self.owner.known[key]
            return
        shape = tuple(i.extent for i in self.given[name].indices)
        free = tuple(Index(letter, size) for letter, size in zip("ijklmnpq", shape, strict=False))
        place = tuple(map(Poly.of, free))
        copies = tuple(i.fresh() for i in self.outer)
        ahead = tuple(map(Poly.of, copies))
        expr = self.read(name, place, ahead)
        held, full = self.define(name, shape)
        self.owner.known[key] = held
        self.owner.steps.append(Step(held, (*copies, *free), (*ahead, *place), expr, full))


__all__ = ["concrete", "derived_program"]
