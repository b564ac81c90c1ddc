"""The constructors of index form, and substitution.

``add``, ``mul``, ``power``, ``bind`` and their kin fold numbers, collect equal terms, hoist what
does not depend on a bound index and eliminate deltas as soon as they appear; nothing is expanded
without a reason. A sum of exponentials is kept as the exponential of a log-sum-exp, which is
closed under differentiation and stable: softmax is ``exp(z[j] - logsumexp(z[k], k))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kb.index.affine import Atom, Index, Poly
from kb.index.arithmetic import (
    FALSE,
    MAX_DIGITS,
    TRUE,
    add,
    as_poly,
    cases,
    compare,
    delta,
    divide,
    flatten,
    function,
    integral,
    is_whole,
    junction,
    mul,
    negation,
    negative,
    power,
    several,
    split_coefficient,
    subtract,
    test,
)
from kb.index.nodes import (
    ONE,
    ZERO,
    Add,
    Apply,
    ApplyArray,
    Bind,
    Cases,
    Compare,
    Condition,
    Const,
    Expr,
    Fn,
    Integral,
    Junction,
    Mul,
    Negation,
    Num,
    Pick,
    Pow,
    Read,
    Several,
    Stop,
    Test,
    Val,
    Var,
    Whole,
    bound_indices,
    derivative_places,
    free_indices,
    num,
    val,
)

__all__ = [
    "FALSE",
    "MAX_DIGITS",
    "TRUE",
    "add",
    "as_poly",
    "bind",
    "cases",
    "compare",
    "delta",
    "differentiated",
    "divide",
    "free_indices",
    "freshen",
    "function",
    "integral",
    "is_whole",
    "junction",
    "mul",
    "negation",
    "negative",
    "num",
    "power",
    "rebuild",
    "rebuild_condition",
    "rename_bound",
    "replace_reads",
    "several",
    "split_coefficient",
    "substitute",
    "subtract",
    "test",
    "transform",
    "val",
]

# --- binders -------------------------------------------------------------------------------------


def bind(op: str, indices: Iterable[Index], conditions: Iterable[Condition], body: Expr) -> Expr:
    """A binder over indices; sums lose their deltas and hand out what does not depend on them."""
    indices = tuple(indices)
    found = junction("and", conditions)
    parts = found.args if isinstance(found, Junction) and found.op == "and" else (found,)
    if not indices:
        return mul(test(found), body) if op == "sum" else body
    if op == "sum":
        return _sum(indices, parts, body)
    if op == "max" or op == "min":
        used = tuple(i for i in indices if i in free_indices(body) or any(i in free_indices(c) for c in parts))
        empty = negative(Const("oo")) if op == "max" else Const("oo")
        return Bind(op, used, parts, body) if used else cases([(found, body)], empty)
    if op == "logsumexp" and isinstance(body, Fn) and body.name == "log" and not parts:
        return function("log", bind("sum", indices, parts, body.arg))
    read = free_indices(body).union(*(free_indices(c) for c in parts))
    kept, unused = tuple(i for i in indices if i in read), [val(i.extent) for i in indices if i not in read]
    made = Bind(op, kept, parts, body) if kept else body
    if not kept and parts:
        made = cases([(found, body)], ONE if op == "prod" else negative(Const("oo")))
    if not unused:
        return made
    return power(made, mul(*unused)) if op == "prod" else add(made, function("log", mul(*unused)))


def _sum(indices: tuple[Index, ...], conditions: tuple[Condition, ...], body: Expr) -> Expr:
    if body == ZERO or FALSE in conditions:
        return ZERO
    if isinstance(body, Bind) and body.op == "sum":
        return _sum(indices + body.indices, conditions + body.conditions, body.body)
    bound = set(indices)
    factors = list(flatten(Mul, [body]))
    tests = [f.condition for f in factors if isinstance(f, Test) and free_indices(f) & bound]
    if tests:
        rest = [f for f in factors if not (isinstance(f, Test) and free_indices(f) & bound)]
        return _sum(indices, (*conditions, *tests), mul(*rest))
    for condition in conditions:
        solved = _solve(condition, indices)
        if solved is not None:
            index, value = solved
            others = tuple(c for c in conditions if c is not condition)
            return _substituted(index, value, tuple(i for i in indices if i is not index), others, body)
    if (split := _split_deltas(factors, bound)) is not None:
        return add(*(_sum(indices, conditions, term) for term in split))
    return _hoisted(indices, conditions, factors)


def _solve(condition: Condition, indices: tuple[Index, ...]) -> tuple[Index, Poly] | None:
    """The bound index that an equation fixes, and its value; an equal bare index before any other."""
    if not (isinstance(condition, Compare) and condition.op == "==" and is_whole(condition.left)):
        return None
    if not is_whole(condition.right):
        return None
    equation = as_poly(condition.left) - as_poly(condition.right)
    best: tuple[Index, Poly] | None = None
    for index in indices:
        parts = equation.split(index)
        if parts is None or parts[0].constant not in (1, -1):
            continue
        value = parts[1] * -int(parts[0].constant or 0)
        if index in set(value.indices()):
            continue
        if value.index is not None or best is None:
            best = (index, value)
        if value.index is not None:
            break
    return best


def _substituted(
    index: Index, value: Poly, indices: tuple[Index, ...], conditions: tuple[Condition, ...], body: Expr
) -> Expr:
    """The sum with one index fixed; where the value may leave the index's range, that is a condition."""
    mapping: dict[Atom, Poly] = {index: value}
    guards: list[Condition] = []
    other = value.index
    if index.size is not None and not (other is not None and other.size == index.size) and not _is_label(value):
        guards.append(compare("<=", ZERO, val(value)))
        guards.append(compare("<", val(value), val(index.size)))
    moved = [substitute(c, mapping) for c in conditions]
    bound = set(indices)
    inside = [c for c in (*moved, *guards) if free_indices(c) & bound]
    outside = [c for c in (*moved, *guards) if not free_indices(c) & bound]
    inner = bind("sum", indices, inside, substitute(body, mapping))
    return mul(*(test(c) for c in outside), inner)


def _is_label(value: Poly) -> bool:
    from kb.index.affine import Gather

    return isinstance(value.atom, Gather)


def _split_deltas(factors: list[Expr], bound: set[Index]) -> list[Expr] | None:
    """Distribute over a sum of terms in which a delta fixes a bound index; None if there is none."""
    for position, factor in enumerate(factors):
        if isinstance(factor, Add) and any(_has_delta(t, bound) for t in factor.args):
            others = factors[:position] + factors[position + 1 :]
            return [mul(*others[:position], t, *others[position:]) for t in factor.args]
    return None


def _has_delta(term: Expr, bound: set[Index]) -> bool:
    return any(
        isinstance(f, Test) and _solve(f.condition, tuple(free_indices(f) & bound)) is not None
        for f in flatten(Mul, [term])
    )


def _hoisted(indices: tuple[Index, ...], conditions: tuple[Condition, ...], factors: list[Expr]) -> Expr:
    bound = set(indices)
    used = {i for c in conditions for i in free_indices(c)} | {i for f in factors for i in free_indices(f)}
    unused = [i for i in indices if i not in used]
    kept = tuple(i for i in indices if i in used)
    outer = [val(i.extent) for i in unused] + [f for f in factors if not free_indices(f) & bound]
    inner = [f for f in factors if free_indices(f) & bound]
    if not kept:
        return mul(*map(test, conditions), *outer, *inner)
    body = mul(*inner)
    if isinstance(body, Fn) and body.name == "exp" and not conditions:
        return mul(*outer, function("exp", bind("logsumexp", kept, (), body.arg)))
    number, rest = split_coefficient(body)
    return mul(num(number), *outer, Bind("sum", kept, conditions, rest if rest is not None else ONE))


# --- abstract functions of arrays ----------------------------------------------------------------


def differentiated(node: ApplyArray, argument: int, place: tuple[Poly, ...]) -> ApplyArray:
    """The derivative of an abstract function by one more element of one of its arguments."""
    result, *places = derivative_places(node)
    found = sorted([*zip(node.wrt, places, strict=True), (argument, place)], key=lambda pair: pair[0])
    index = result + tuple(p for _, own in found for p in own)
    return ApplyArray(node.name, tuple(n for n, _ in found), index, node.args)


# --- rewriting and substitution ------------------------------------------------------------------


def rebuild(node: Expr, change: Callable[[Any], Any], poly: Callable[[Poly], Poly] = lambda p: p) -> Expr:
    """The node with ``change`` applied to its children and ``poly`` to its polynomials."""

    def conditions(items: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(change(c) for c in items)

    match node:
        case Num() | Const() | Var():
            return node
        case Val(poly=p):
            return val(poly(p))
        case Read(name=name, index=index, outside=outside):
            return Read(name, tuple(poly(p) for p in index), outside)
        case Add(args=args):
            return add(*map(change, args))
        case Mul(args=args):
            return mul(*map(change, args))
        case Pow(base=base, exponent=exponent):
            return power(change(base), change(exponent))
        case Fn(name=name, arg=arg):
            return function(name, change(arg))
        case Apply(name=name, orders=orders, args=args):
            return Apply(name, orders, tuple(map(change, args)))
        case ApplyArray(name=name, wrt=wrt, index=index, args=args):
            return ApplyArray(name, wrt, tuple(poly(p) for p in index), tuple(map(change, args)))
        case Whole(indices=indices, body=body):
            return Whole(indices, change(body))
        case Several(op=op, args=args):
            return several(op, map(change, args))
        case Bind(op=op, indices=indices, conditions=found, body=body):
            return bind(op, indices, conditions(found), change(body))
        case Pick(op=op, indices=indices, conditions=found, body=body, at=at):
            return Pick(op, indices, conditions(found), change(body), tuple(poly(p) for p in at))
        case Test(condition=condition):
            return test(change(condition))
        case Cases(branches=branches, otherwise=otherwise):
            return cases(tuple((change(c), change(e)) for c, e in branches), change(otherwise))
        case Integral(variable=variable, low=low, high=high, body=body):
            return integral(variable, change(low), change(high), change(body))
        case Stop(arg=arg):
            return Stop(change(arg))
    raise TypeError(f"not an expression: {node!r}")


def rebuild_condition(node: Condition, change: Callable[[Any], Any]) -> Condition:
    """The condition with ``change`` applied to what it compares."""
    match node:
        case Compare(op=op, left=left, right=right):
            return compare(op, change(left), change(right))
        case Junction(op=op, args=args):
            return junction(op, map(change, args))
        case Negation(arg=arg):
            return negation(change(arg))
    raise TypeError(f"not a condition: {node!r}")


def transform(node: Any, change: Callable[[Expr], Expr | None], poly: Callable[[Poly], Poly] = lambda p: p) -> Any:
    """Rewrite top down: where ``change`` gives an expression, it stands instead of the whole node."""
    if isinstance(node, Condition):
        return rebuild_condition(node, lambda n: transform(n, change, poly))
    changed = change(node)
    if changed is not None:
        return changed
    return rebuild(node, lambda n: transform(n, change, poly), poly)


def substitute(node: Any, mapping: Mapping[Any, Poly]) -> Any:
    """Replace indices and integer symbols, renaming bound indices so that nothing is captured."""
    if not mapping:
        return node
    if not any(not isinstance(a, Index) for a in mapping) and not (free_indices(node) & mapping.keys()):
        return node
    incoming = {i for p in mapping.values() for i in p.indices()}

    def change(expr: Expr) -> Expr | None:
        bound = bound_indices(expr)
        if bound and any(i in incoming or i in mapping for i in bound):
            renamed: Expr = substitute(rename_bound(expr), mapping)
            return renamed
        return None

    return transform(node, change, lambda p: p.replace(mapping))


def rename_bound(node: Expr) -> Expr:
    """The same binder with fresh indices."""
    old = bound_indices(node)
    fresh = {i: Poly.of(i.fresh()) for i in old}
    new = tuple(p.index for p in fresh.values())
    if isinstance(node, Bind):
        moved = [substitute(c, fresh) for c in node.conditions]
        return Bind(node.op, new, tuple(moved), substitute(node.body, fresh))
    if isinstance(node, Whole):
        return Whole(new, substitute(node.body, fresh))
    assert isinstance(node, Pick)
    moved = [substitute(c, fresh) for c in node.conditions]
    return Pick(node.op, new, tuple(moved), substitute(node.body, fresh), node.at)


def replace_reads(node: Any, change: Callable[[Read], Expr | None]) -> Any:
    """Substitute expressions for reads. The caller sees to it that the indices are fresh."""

    def visit(expr: Expr) -> Expr | None:
        return change(expr) if isinstance(expr, Read) else None

    return transform(node, visit)


def freshen(node: Any) -> Any:
    """Give every bound index below the node a fresh identity, so that copies never share one."""

    def change(expr: Expr) -> Expr | None:
        if bound_indices(expr):
            renamed = rename_bound(expr)
            return rebuild(renamed, lambda n: transform(n, change))
        return None

    return transform(node, change)
