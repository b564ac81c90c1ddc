"""Integrals that are expectations under a law of the entry, seen again as expectations."""

from __future__ import annotations

from dataclasses import dataclass

from kb import tree
from kb.calculus.claims import elaborate_claim
from kb.calculus.linear import replace_variable
from kb.calculus.tidy import factor
from kb.errors import EqkbError
from kb.index import build
from kb.index.nodes import (
    MINUS_ONE,
    ONE,
    Add,
    Condition,
    Expr,
    Integral,
    Mul,
    Read,
    Var,
    alpha_key,
    free_indices,
)
from kb.model import Entry
from kb.parser import parse_statement
from kb.printing.names import Expectation, Names
from kb.programs import Programs


@dataclass(frozen=True)
class Law:
    """A law as written, its variable, and its density: a factor times the integrand that remains."""

    node: tree.Node
    variable: str
    constant: Expr
    integral: Integral


def laws_of(entry: Entry, programs: Programs) -> tuple[Law, ...]:
    """The laws over which the definition of an entry takes expectations."""
    if programs.entries.get(entry.id) is not entry:
        return ()
    found: list[Law] = []
    for text in entry.define:
        for node in tree.walk(parse_statement(text)):
            match node:
                case tree.Call("E", (_, tree.Name(variable), law)):
                    made = _law(entry, programs, variable, law)
                    found += [made] if made is not None else []
    return tuple(found)


def _law(entry: Entry, programs: Programs, variable: str, law: tree.Node) -> Law | None:
    density = f"{law}({variable})" if isinstance(law, tree.Name) else str(law)
    text = f"integral({density}, {variable}, -oo, oo) == 1"
    try:
        total = elaborate_claim(programs.elaborated(entry.id), text, programs, programs.entries).left
    except EqkbError:
        return None
    factors = total.args if isinstance(total, Mul) else (total,)
    integrals = [f for f in factors if isinstance(f, Integral)]
    if len(integrals) != 1:
        return None
    constant = build.mul(*(f for f in factors if f is not integrals[0]))
    return Law(law, variable, constant, integrals[0])


def with_expectations(expr: Expr, laws: tuple[Law, ...], names: Names) -> tuple[Expr, Names]:
    """The expression with its expectations as single values, and a scope that knows them."""
    if not laws:
        return expr, names
    known: dict[str, Expectation] = {}

    def visit(node: Expr | Condition) -> Expr | Condition:
        if isinstance(node, Condition):
            changed: Condition = build.rebuild_condition(node, visit)
            return changed
        if isinstance(node, Integral) and not free_indices(node):
            for law in laws:
                body = _under(node, law)
                if body is not None:
                    name = f"E({len(known)})"
                    known[name] = Expectation(node.variable, body, law.node, law.variable)
                    return build.mul(build.power(law.constant, MINUS_ONE), Read(name, (), False))
        rebuilt = build.rebuild(node, visit)
        return (factor(rebuilt) or rebuilt) if isinstance(rebuilt, Add) else rebuilt

    found = visit(expr)
    assert isinstance(found, Expr)
    return found, names.with_expectations(known)


def _under(integral: Integral, law: Law) -> Expr | None:
    """The integrand without the law's density; None if it does not have that as a factor."""
    if (integral.low, integral.high) != (law.integral.low, law.integral.high):
        return None
    density = replace_variable(law.integral.body, law.integral, Var(integral.variable))
    wanted = density.args if isinstance(density, Mul) else (density,)
    rest = list(integral.body.args) if isinstance(integral.body, Mul) else [integral.body]
    for core in wanted:
        place = next((n for n, f in enumerate(rest) if alpha_key(f) == alpha_key(core)), None)
        if place is None:
            return None
        rest.pop(place)
    return build.mul(ONE, *rest)
