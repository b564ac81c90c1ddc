"""A program made ready for arrays: instances put in, logarithms of exponentials undone, stable forms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kb.calculus.instances import expanded
from kb.calculus.match import as_power
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import Expr, Fn, Mul, Num, Read
from kb.index.program import AnyStep, Program, Step
from kb.lowering.stable import stable


def prepared(steps: Iterable[AnyStep], program: Program, wanted: set[str]) -> list[AnyStep]:
    """The steps as they are to be lowered, without those that none of ``wanted`` needs.

    ``log(p[j])`` of a step ``p[j] = exp(f)`` becomes ``f``: the logarithm of a softmax must not
    pass through a probability that underflows, nor that of a quotient of two.
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
    """With the exponents in place of logarithms of such steps, and of products and quotients of nothing but these."""

    def exponent(factor: Expr) -> Expr | None:
        base, power = as_power(factor)
        step = exponents.get(base.name) if isinstance(base, Read) else None
        if step is None or not isinstance(base, Read) or not isinstance(power, Num):
            return None
        assert isinstance(step.expr, Fn)
        moved: dict[Index, Poly] = dict(zip(step.free, base.index, strict=True))
        return build.mul(power, build.substitute(build.freshen(step.expr.arg), moved))

    def change(node: Expr) -> Expr | None:
        if not (isinstance(node, Fn) and node.name == "log"):
            return None
        found = [exponent(f) for f in (node.arg.args if isinstance(node.arg, Mul) else (node.arg,))]
        known = [e for e in found if e is not None]
        return build.add(*known) if len(known) == len(found) else None

    result: Expr = build.transform(expr, change)
    return result
