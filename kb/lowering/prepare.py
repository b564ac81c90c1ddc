"""A program made ready for arrays: instances put in, logarithms of exponentials undone, stable forms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kb.calculus.instances import expanded
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import Expr, Fn, Read
from kb.index.program import AnyStep, Program, Step
from kb.lowering.stable import stable


def prepared(steps: Iterable[AnyStep], program: Program, wanted: set[str]) -> list[AnyStep]:
    """The steps as they are to be lowered, without those that none of ``wanted`` needs.

    ``log(p[j])`` of a step ``p[j] = exp(f)`` becomes ``f``: the logarithm of a softmax must not
    pass through a probability that underflows.
    """
    exponents: dict[str, Step] = {}
    made: list[AnyStep] = []
    for step in steps:
        if isinstance(step, Step):
            expr = stable(_without_logs(expanded(step.expr, program), exponents))
            step = replace(step, expr=expr)
            if step.is_plain and step.loop is None and isinstance(expr, Fn) and expr.name == "exp":
                exponents[step.name] = step
            else:
                exponents.pop(step.name, None)
        made.append(step)
    return list(replace(program, steps=tuple(made)).needed(wanted))


def _without_logs(expr: Expr, exponents: dict[str, Step]) -> Expr:
    def change(node: Expr) -> Expr | None:
        if not (isinstance(node, Fn) and node.name == "log" and isinstance(node.arg, Read)):
            return None
        step = exponents.get(node.arg.name)
        if step is None:
            return None
        assert isinstance(step.expr, Fn)
        moved: dict[Index, Poly] = dict(zip(step.free, node.arg.index, strict=True))
        result: Expr = build.substitute(build.freshen(step.expr.arg), moved)
        return result

    result: Expr = build.transform(expr, change)
    return result
