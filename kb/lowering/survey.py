"""What lowering looks for in an expression before it writes a line: repeats, orders of axes, softmax."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kb.calculus.match import match
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import (
    Add,
    Bind,
    Condition,
    Const,
    Expr,
    Fn,
    Integral,
    Mul,
    Num,
    Pick,
    Read,
    Stop,
    Test,
    Val,
    Var,
    alpha_key,
    children,
    free_indices,
    walk,
)
from kb.index.nodes import _key as canonical_key

Order = tuple[Index, ...]


def softmax_of(expr: Fn) -> tuple[Expr, Bind, dict[Index, Index]] | None:
    """``(scores, binder, bound -> own index)`` if the expression is a normalised exponential."""
    if expr.name != "exp" or not isinstance(expr.arg, Add):
        return None
    for term in expr.arg.args:
        coefficient, bound = build.split_coefficient(term)
        if coefficient != -1 or not (isinstance(bound, Bind) and bound.op == "logsumexp") or bound.conditions:
            continue
        scores = build.add(*(t for t in expr.arg.args if t is not term))
        for binding in match(bound.body, scores, frozenset(bound.indices), {}):
            own = {i: p.index for i, p in binding.items()}
            if len(own) == len(bound.indices) and all(v is not None for v in own.values()):
                return scores, bound, {k: v for k, v in own.items() if v is not None}
    return None


def is_constant(expr: Expr) -> bool:
    """Whether an expression is made of numbers and sizes only."""
    return not free_indices(expr) and not any(isinstance(n, (Read, Var, Integral, Test)) for n in walk(expr))


def natural_order(expr: Expr, order: Order) -> Order:
    """The given indices in the order in which the widest array that is read has them."""
    widest: list[Index] = []
    for node in walk(expr):
        if isinstance(node, Read):
            own = [i for p in node.index for i in p.indices() if i in order]
            if len(own) > len(widest) and len(set(own)) == len(own):
                widest = own
    places = [n for n, i in enumerate(order) if i in widest]
    result = list(order)
    for place, index in zip(places, widest, strict=True):
        result[place] = index
    return tuple(result)


def is_worth_keeping(expr: Expr) -> bool:
    """Whether a repeated subexpression deserves a variable: it does work, on an array or over one."""
    if isinstance(expr, (Num, Read, Val, Var, Const, Test, Stop)):
        return False
    if isinstance(expr, (Bind, Integral)):
        return True
    if isinstance(expr, Mul) and len(expr.args) == 2 and isinstance(expr.args[0], Num):
        return False
    return bool(free_indices(expr))


def canonical(expr: Expr) -> tuple[Any, list[Index]]:
    """A key that ignores how free indices are called, and those indices in a fixed order."""
    indices = appearance(expr)
    names = {i: ("f", n, alpha_key(i.size) if i.size is not None else n) for n, i in enumerate(indices)}
    return canonical_key(expr, names), indices


def appearance(expr: Expr) -> list[Index]:
    """Free indices in the order in which they are first read."""
    free = free_indices(expr)
    found: list[Index] = []
    for node in _preorder(expr):
        for value in node.values:
            items = value if isinstance(value, tuple) else (value,)
            for item in items:
                if isinstance(item, Poly):
                    found += [i for i in item.indices() if i in free and i not in found]
    return found


def _preorder(node: Any) -> Iterator[Any]:
    yield node
    for child in children(node):
        yield from _preorder(child)


def surveyed(expr: Expr) -> Iterator[Expr]:
    """The subexpressions that lowering will visit."""
    if isinstance(expr, Fn) and (softmax := softmax_of(expr)) is not None:
        yield softmax[0]
        return
    for child in children(expr):
        if isinstance(child, Condition):
            yield from _in_condition(child)
        elif isinstance(child, Expr):
            yield child
    if isinstance(expr, Pick):
        yield Bind(expr.op, expr.indices, expr.conditions, expr.body)


def _in_condition(condition: Condition) -> Iterator[Expr]:
    for child in children(condition):
        if isinstance(child, Condition):
            yield from _in_condition(child)
        elif isinstance(child, Expr):
            yield child
