"""Forward derivatives: tangents step by step (JVP), and partial derivatives in index form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.calculus.linear import Contribution
from kb.calculus.primitives import Layout, Linearised, along, layout
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ONE, ZERO, Condition, Expr, Read
from kb.index.program import AnyStep, ArrayStep, Program, Step, Tensor, dependents, index_names, loop_of
from kb.model import Symbol


@dataclass(frozen=True)
class Forward:
    """A tangent program; ``tangents`` maps symbols to the symbols that hold their tangents.

    ``results`` maps each public output to the step that holds its tangent, or None where the
    output does not depend on any of the symbols.
    """

    program: Program
    tangents: dict[str, str]
    results: dict[str, str | None]


def jvp(program: Program, wrt: Sequence[str], strict: bool = True) -> Forward:
    """The tangents of all outputs for tangents of the given symbols. Raises NotDifferentiable."""
    return _Tangents(program, wrt, strict).run()


class _Tangents:
    def __init__(self, program: Program, wrt: Sequence[str], strict: bool) -> None:
        self.layout = layout(program)
        self.program = self.layout.program
        self.wrt = tuple(wrt)
        self.strict = strict
        self.active = self.layout.dependents(set(wrt))
        self.tidy = Tidy(program)
        self.tensors = dict(self.program.tensors)
        self.names: dict[str, str] = {}
        self.steps: list[AnyStep] = []

    def run(self) -> Forward:
        program = self.program
        tangents = {name: self.dot(name) for name in self.wrt}
        looped = dict.fromkeys(s.name for s in program.steps if loop_of(s) is not None and s.name in self.active)
        for name in looped:
            self.dot(name)  # they read each other's
        for name, held in tangents.items():
            shape = program.shape(name)
            symbol = Symbol(held, tuple(map(str, shape)), about=f"tangent of {name}")
            self.tensors[held] = Tensor(held, shape, symbol, program.tensors[name].outside)
        defined = set(program.tensors) - {s.name for s in program.steps}
        for steps, nodes in self.layout.groups:
            self.steps += steps
            defined |= {s.name for s in steps}
            self.tidy.show(set(defined))
            for node in nodes:
                if node.name in self.active:
                    self.push(node)
        results = {public: self.names.get(held) if held in self.active else None for public, held in program.returns}
        returns = tuple((public, held) for public, held in results.items() if held is not None)
        made = replace(program, tensors=self.tensors, steps=tuple(self.steps), returns=returns)
        return Forward(replace(made, steps=made.needed({h for _, h in returns})), tangents, results)

    def fresh(self, name: str) -> str:
        while name in self.tensors or name in self.program.dimensions:
            name += "_1"
        return name

    def dot(self, name: str) -> str:
        held = self.fresh(f"{name}_dot")
        self.tensors[held] = Tensor(held, self.program.shape(name), outside=self.program.tensors[name].outside)
        self.names[name] = held
        return held

    def push(self, node: Linearised) -> None:
        """The tangent of a node from the tangents of what it reads."""
        held = self.names.get(node.name) or self.dot(node.name)
        if isinstance(node, ArrayStep) and node.name in self.layout.exponentials:
            block = self.fresh(f"{node.name}_block")
            self.tensors[block] = Tensor(block, ())
            steps, free, value = along(node, self.names[node.argument], block, self.fresh(f"L_{node.argument}"))
            self.steps += steps
            self.tensors |= {s.name: Tensor(s.name, s.shape) for s in steps}
            self.steps.append(Step(held, free, tuple(map(Poly.of, free)), value, node.shape))
            return
        free, target, found = self.layout.linearised(node, self.active, self.strict)
        terms = [
            build.bind("sum", c.bound, c.conditions, build.mul(c.coefficient, self.tangent(c)))
            for c in found
            if c.name in self.names
        ]
        expr = self.tidy(build.add(*terms)) if terms else ZERO
        accumulates = isinstance(node, Step) and node.accumulates
        self.steps.append(Step(held, free, target, expr, node.shape, accumulates, loop_of(node)))

    def tangent(self, c: Contribution) -> Read:
        return Read(self.names[c.name], c.index, self.program.tensors[c.name].outside)


# --- partial derivatives -------------------------------------------------------------------------


@dataclass(frozen=True)
class Partial:
    """``d output[target] / d symbol[wrt] = expr``: one part of a partial derivative.

    Outputs with affine left sides have several parts.
    """

    free: tuple[Index, ...]
    target: tuple[Poly, ...]
    wrt: tuple[Index, ...]
    expr: Expr


def partial(program: Program, output: str, symbol: str, strict: bool = True, held: bool = False) -> list[Partial]:
    """The partial derivative of an output (a step's name) with respect to a symbol, in index form.

    The values of steps keep their names; their derivatives are put in, but for those of recurrences,
    which ``with_slopes`` defines. With ``held``, ``symbol`` may be a step, which is then independent
    of what came before it.
    """
    return _Partial(layout(program, elementwise=True), symbol, strict, held).parts(output)


def with_slopes(
    program: Program, symbol: str, strict: bool = True, held: bool = False
) -> tuple[Program, dict[str, str]]:
    """The program with the steps that its partial derivatives by a symbol need, and whose derivative each one is.

    These are what derivatives of matrix primitives read, and the derivative of each array of a recurrence: it obeys
    a recurrence of its own, has the array's shape and then the symbol's, and runs in the same loop.
    """
    return _Partial(layout(program, elementwise=True), symbol, strict, held).with_slopes()


class _Partial:
    def __init__(self, laid: Layout, symbol: str, strict: bool, held: bool) -> None:
        self.layout = laid
        self.program = program = laid.program
        self.symbol = symbol
        self.strict = strict
        steps = laid.nodes
        if held:
            last = max((n for n, s in enumerate(steps) if s.name == symbol), default=-1)
            steps = steps[last + 1 :]
        self.steps = steps
        self.active = dependents(steps, {symbol})
        looped = dict.fromkeys(s.name for s in steps if loop_of(s) is not None)
        # A blank tells these names from all that people can give.
        self.slopes = {name: f"{name} by {symbol}" for name in looped if name in self.active - {symbol}}
        self.tidy = Tidy(program)
        taken = set(program.tensors) | set(program.dimensions)
        shape = program.shape(symbol)
        used = {i.name for s in steps if isinstance(s, Step) for i in s.free}
        names = index_names(taken | used, len(shape), "klpqrstuvabcdefgh")
        self.wrt = tuple(Index(n, s) for n, s in zip(names, shape, strict=True))
        self.linear: dict[int, tuple[tuple[Index, ...], tuple[Poly, ...], list[Contribution]]] = {}

    def parts(self, output: str) -> list[Partial]:
        if output == self.symbol:
            free = tuple(i.fresh() for i in self.wrt)
            target = tuple(Poly.of(i) for i in free)
            return [Partial(free, target, self.wrt, self.seed(target))]
        definitions = [s for s in self.steps if s.name == output]
        made = []
        for step in definitions:
            free, target, _ = self.of(step)
            expr = self.step(step, free)
            made.append(Partial(free, target, self.wrt, self.tidy(expr)))
        return made

    def of(self, step: Linearised) -> tuple[tuple[Index, ...], tuple[Poly, ...], list[Contribution]]:
        if id(step) not in self.linear:
            self.linear[id(step)] = self.layout.linearised(step, self.active, self.strict)
        return self.linear[id(step)]

    def seed(self, index: tuple[Poly, ...]) -> Expr:
        """The derivative of an element of the symbol with respect to the element in question."""
        return build.mul(ONE, *(build.delta(p, Poly.of(w)) for p, w in zip(index, self.wrt, strict=True)))

    def step(self, step: Linearised, free: tuple[Index, ...]) -> Expr:
        """The derivative of the element of a step at its own free indices."""
        terms = [self.term(c) for c in self.of(step)[2]]
        return self.tidy(build.add(*terms)) if terms else ZERO

    def term(self, c: Contribution) -> Expr:
        if c.name == self.symbol:
            return build.bind("sum", c.bound, c.conditions, build.mul(c.coefficient, self.seed(c.index)))
        if c.name in self.slopes:
            slope = Read(self.slopes[c.name], (*c.index, *map(Poly.of, self.wrt)), False)
            return build.bind("sum", c.bound, c.conditions, build.mul(c.coefficient, slope))
        terms = []
        for step in self.steps:
            if step.name == c.name:
                terms.append(self.through(c, step))
        return build.add(*terms) if terms else ZERO

    def with_slopes(self) -> tuple[Program, dict[str, str]]:
        """The program, with the derivatives of what its loops define beside that."""
        steps: list[AnyStep] = []
        tensors = dict(self.program.tensors)
        for step in self.program.steps:
            steps.append(step)
            if self.slopes.get(step.name, step.name) in self.program.tensors or step not in self.steps:
                continue
            free, target, _ = self.of(step)
            name, shape = self.slopes[step.name], (*step.shape, *self.program.shape(self.symbol))
            expr = self.step(step, free)
            own = (*target, *map(Poly.of, self.wrt))
            steps.append(Step(name, (*free, *self.wrt), own, expr, shape, loop=loop_of(step)))
            tensors[name] = Tensor(name, shape)
        return replace(self.program, tensors=tensors, steps=tuple(steps)), {
            slope: name for name, slope in self.slopes.items()
        }

    def through(self, c: Contribution, step: Linearised) -> Expr:
        """The part of a contribution that goes through one definition of the name that it reads."""
        free, target, _ = self.of(step)
        inner = build.freshen(self.step(step, free))
        own = tuple(i.fresh() for i in free)
        places = [p.replace({i: Poly.of(o) for i, o in zip(free, own, strict=True)}) for p in target]
        facts = self.program.facts
        renamed: dict[Index, Poly] = {}
        narrowed: dict[Index, Poly] = {}
        conditions: list[Condition] = list(c.conditions)
        for asked, place in zip(c.index, places, strict=True):
            index, free_index = asked.index, place.index
            if index is None or index not in c.bound or index in renamed or index in narrowed.values():
                conditions.append(build.compare("==", build.val(place), build.val(asked)))
            elif facts.within(place, index.extent):
                renamed[index] = place
            elif free_index is not None and free_index not in narrowed and facts.within(asked, free_index.extent):
                narrowed[free_index] = asked  # fewer elements are read than are defined
            else:
                renamed[index] = place
                conditions += [
                    build.compare("<=", ZERO, build.val(place)),
                    build.compare("<", build.val(place), build.val(index.extent)),
                ]
        moved = {i: narrowed.get(o, Poly.of(o)) for i, o in zip(free, own, strict=True)}
        mapping = {**renamed, **narrowed}
        factor = build.substitute(build.mul(c.coefficient, build.substitute(inner, moved)), renamed)
        bound = [i for i in (*c.bound, *own) if i not in mapping]
        return build.bind("sum", bound, [build.substitute(k, mapping) for k in conditions], factor)
