"""Derivatives of the instances of abstract functions, as expressions in their own variables."""

from __future__ import annotations

from functools import cache

from kb.calculus.linear import contributions
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.nodes import ZERO, Expr, Read, Var
from kb.index.program import Instance, Program


@cache
def derivative_of_instance(instance: Instance, orders: tuple[int, ...]) -> Expr:
    """The instance's body, differentiated ``orders[n]`` times by its n-th variable."""
    names = [f"v{n}" for n in range(len(instance.variables))]
    reads = {v: Read(n, (), False) for v, n in zip(instance.variables, names, strict=True)}
    body: Expr = build.transform(instance.body, lambda e: reads.get(e.variable) if isinstance(e, Var) else None)
    tidy = Tidy(Program({}, (), ()))
    for name, order in zip(names, orders, strict=True):
        for _ in range(order):
            found = contributions(body, {name})
            body = tidy(build.add(*(c.coefficient for c in found))) if found else ZERO
    back = {n: Var(v) for v, n in zip(instance.variables, names, strict=True)}
    result: Expr = build.replace_reads(body, lambda read: back.get(read.name))
    return result


def expanded(expr: Expr, program: Program) -> Expr:
    """The expression with every abstract function replaced by its instance."""
    from kb.index.nodes import Apply

    def change(node: Expr) -> Expr | None:
        if not isinstance(node, Apply):
            return None
        instance = program.instances[node.name]
        assert isinstance(instance, Instance)
        body = derivative_of_instance(instance, node.orders)
        args = dict(zip(instance.variables, (expanded(a, program) for a in node.args), strict=True))
        made: Expr = build.transform(body, lambda e: args.get(e.variable) if isinstance(e, Var) else None)
        return expanded(made, program)

    result: Expr = build.transform(expr, change)
    return result
