"""Programs whose outputs are derivatives, written out: no abstract functions, no scattered steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kb.calculus.concrete import concrete
from kb.calculus.forward import jvp, partial, with_slopes
from kb.calculus.instances import expanded
from kb.calculus.reverse import gather, vjp
from kb.index.affine import Index, Poly
from kb.index.program import AnyStep, Program, Step, Tensor, index_names


def explicit(program: Program) -> Program:
    """The program with instances in place of abstract functions and sums in place of scatters."""
    program = concrete(program)
    scattered = {s.name for s in program.steps if isinstance(s, Step) and s.accumulates}
    steps: list[AnyStep] = []
    last = {s.name: n for n, s in enumerate(program.steps)}
    for n, step in enumerate(program.steps):
        if step.name not in scattered:
            steps.append(_expanded(step, program))
        elif last[step.name] == n:
            free = _free(program, step.name)
            expr = gather(program.steps, step.name, free)
            whole = Step(step.name, free, tuple(Poly.of(i) for i in free), expr, step.shape)
            steps.append(_expanded(whole, program))
    return replace(program, steps=tuple(steps))


def _expanded(step: AnyStep, program: Program) -> AnyStep:
    return replace(step, expr=expanded(step.expr, program)) if isinstance(step, Step) else step


def _free(program: Program, name: str) -> tuple[Index, ...]:
    shape = program.shape(name)
    names = index_names(set(program.tensors) | set(program.dimensions), len(shape))
    return tuple(Index(n, s) for n, s in zip(names, shape, strict=True))


def derivative_programs(program: Program, form: str, wrt: Sequence[str]) -> Iterator[tuple[str, Program, str | None]]:
    """For each result of a derivative: its name, a program, and the step that holds it (None: it is 0).

    Results are symbols for ``vjp`` and outputs for the other forms; ``partial``, ``jacobian`` and
    ``hessian`` take one symbol. Raises NotDifferentiable.
    """
    if form == "vjp":
        backward = vjp(program, wrt)
        made = explicit(backward.program)
        for symbol, held in backward.gradients.items():
            yield symbol, made, held
    elif form == "jvp":
        forward = jvp(program, wrt)
        made = explicit(forward.program)
        for public, held in forward.results.items():
            yield public, made, held
    else:
        for public, held in program.returns:
            derived, name = partial_program(program, held, wrt[0])
            if form == "hessian":
                # Where a first derivative jumps, the second is that of its pieces.
                derived, name = partial_program(derived, name, wrt[0], strict=False)
            yield public, explicit(derived), name


def partial_program(program: Program, output: str, symbol: str, strict: bool = True) -> tuple[Program, str]:
    """A program with a step that is the partial derivative of an output, and the step's name.

    Its shape is that of the output, then that of the symbol.
    """
    complete, _ = with_slopes(program, symbol, strict)
    name = f"d_{output}"
    while name in complete.tensors:
        name += "_"
    shape = (*program.shape(output), *program.shape(symbol))
    steps = tuple(
        Step(name, (*p.free, *p.wrt), (*p.target, *map(Poly.of, p.wrt)), p.expr, shape)
        for p in partial(program, output, symbol, strict)
    )
    tensors = {**complete.tensors, name: Tensor(name, shape)}
    return replace(complete, tensors=tensors, steps=complete.steps + steps, returns=((name, name),)), name
