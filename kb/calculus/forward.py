"""Forward derivatives: tangents step by step (JVP), and partial derivatives in index form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.calculus.linear import Contribution, contributions, primitive_contribution
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ONE, ZERO, Condition, Expr, Read
from kb.index.program import AnyStep, ArrayStep, Program, Step, Tensor, dependents, index_names, loop_of
from kb.model import Symbol


def with_inverses(program: Program) -> tuple[Program, dict[str, str]]:
    """The program with an inverse for each determinant's argument, and where each primitive's inverse is."""
    inverses: dict[str, str] = {}
    steps: list[AnyStep] = []
    tensors = dict(program.tensors)
    for step in program.steps:
        if isinstance(step, ArrayStep) and step.operation != "inv":
            name = f"{step.argument}_inv"
            while name in program.dimensions or (name in tensors and name not in inverses.values()):
                name += "_1"
            if name not in tensors:
                shape = program.shape(step.argument)
                steps.append(ArrayStep(name, "inv", step.argument, shape, step.lead))
                tensors[name] = Tensor(name, shape)
            inverses[step.name] = inverses[name] = name
        elif isinstance(step, ArrayStep):
            inverses[step.name] = step.name
        steps.append(step)  # after the inverse, which its derivative reads
    return replace(program, tensors=tensors, steps=tuple(steps)), inverses


def linearised(
    program: Program, step: AnyStep, active: set[str], inverses: dict[str, str], strict: bool
) -> tuple[tuple[Index, ...], tuple[Poly, ...], list[Contribution]]:
    """A step's free indices, its target, and how it depends on what it reads."""
    if isinstance(step, Step):
        return step.free, step.target, contributions(step.expr, active, strict)
    free = tuple(
        Index(n, s) for n, s in zip(index_names(set(program.tensors), len(step.shape)), step.shape, strict=True)
    )
    size = program.shape(step.argument)[-1]
    found = [primitive_contribution(step, free, size, inverses[step.name])] if step.argument in active else []
    return free, tuple(Poly.of(i) for i in free), found


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
    program, inverses = with_inverses(program)
    active = program.dependents(set(wrt))
    tidy = Tidy(program)
    tensors = dict(program.tensors)
    names: dict[str, str] = {}

    def dot(name: str) -> str:
        fresh = f"{name}_dot"
        while fresh in tensors or fresh in program.dimensions:
            fresh += "_1"
        tensors[fresh] = Tensor(fresh, program.shape(name), outside=program.tensors[name].outside)
        names[name] = fresh
        return fresh

    tangents = {name: dot(name) for name in wrt}
    for name in dict.fromkeys(s.name for s in program.steps if loop_of(s) is not None and s.name in active):
        dot(name)  # they read each other's
    for name, held in tangents.items():
        shape = program.shape(name)
        symbol = Symbol(held, tuple(map(str, shape)), about=f"tangent of {name}")
        tensors[held] = Tensor(held, shape, symbol, program.tensors[name].outside)
    steps: list[AnyStep] = []
    defined = set(program.tensors) - {s.name for s in program.steps}
    for step in program.steps:
        steps.append(step)
        defined.add(step.name)
        if step.name not in active:
            continue
        tidy.show(set(defined))
        free, target, found = linearised(program, step, active, inverses, strict)
        held = names.get(step.name) or dot(step.name)
        terms = [
            build.bind("sum", c.bound, c.conditions, build.mul(c.coefficient, _tangent(names[c.name], c, program)))
            for c in found
            if c.name in names
        ]
        expr = tidy(build.add(*terms)) if terms else ZERO
        accumulates = isinstance(step, Step) and step.accumulates
        steps.append(Step(held, free, target, expr, step.shape, accumulates, loop_of(step)))
    results = {public: names.get(held) if held in active else None for public, held in program.returns}
    returns = tuple((public, held) for public, held in results.items() if held is not None)
    made = replace(program, tensors=tensors, steps=tuple(steps), returns=returns)
    return Forward(replace(made, steps=made.needed({h for _, h in returns})), tangents, results)


def _tangent(held: str, c: Contribution, program: Program) -> Read:
    return Read(held, c.index, program.tensors[c.name].outside)


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
    program, inverses = with_inverses(program)
    return _Partial(program, inverses, symbol, strict, held).parts(output)


def with_slopes(
    program: Program, symbol: str, strict: bool = True, held: bool = False
) -> tuple[Program, dict[str, str]]:
    """The program with the steps that its partial derivatives by a symbol need, and whose derivative each one is.

    These are inverses beside determinants, and the derivative of each array of a recurrence: it obeys
    a recurrence of its own, has the array's shape and then the symbol's, and runs in the same loop.
    """
    program, inverses = with_inverses(program)
    return _Partial(program, inverses, symbol, strict, held).with_slopes()


class _Partial:
    def __init__(self, program: Program, inverses: dict[str, str], symbol: str, strict: bool, held: bool) -> None:
        self.program = program
        self.inverses = inverses
        self.symbol = symbol
        self.strict = strict
        steps = program.steps
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

    def of(self, step: AnyStep) -> tuple[tuple[Index, ...], tuple[Poly, ...], list[Contribution]]:
        if id(step) not in self.linear:
            self.linear[id(step)] = linearised(self.program, step, self.active, self.inverses, self.strict)
        return self.linear[id(step)]

    def seed(self, index: tuple[Poly, ...]) -> Expr:
        """The derivative of an element of the symbol with respect to the element in question."""
        return build.mul(ONE, *(build.delta(p, Poly.of(w)) for p, w in zip(index, self.wrt, strict=True)))

    def step(self, step: AnyStep, free: tuple[Index, ...]) -> Expr:
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

    def through(self, c: Contribution, step: AnyStep) -> Expr:
        """The part of a contribution that goes through one definition of the name that it reads."""
        free, target, _ = self.of(step)
        inner = build.freshen(self.step(step, free))
        own = tuple(i.fresh() for i in free)
        moved = {i: Poly.of(o) for i, o in zip(free, own, strict=True)}
        inner = build.substitute(inner, moved)
        places = [p.replace(dict(moved)) for p in target]
        bound, conditions, coefficient = list(c.bound), list(c.conditions), c.coefficient
        renamed: dict[Index, Poly] = {}
        equations: list[Condition] = []
        for asked, place in zip(c.index, places, strict=True):
            index = asked.index
            if index is not None and index in bound and index not in renamed:
                renamed[index] = place
            else:
                equations.append(build.compare("==", build.val(place), build.val(asked)))
        bound = [i for i in bound if i not in renamed]
        factor = build.substitute(build.mul(coefficient, inner), renamed)
        moved_conditions = [build.substitute(k, renamed) for k in (*conditions, *equations)]
        return build.bind("sum", (*bound, *own), moved_conditions, factor)


def gradient_as_program(program: Program, steps: tuple[AnyStep, ...], name: str, shape: tuple[Poly, ...]) -> Program:
    """A program whose only output is one of its steps."""
    tensors = {**program.tensors, name: Tensor(name, shape)}
    return replace(program, tensors=tensors, steps=steps, returns=((name, name),))
