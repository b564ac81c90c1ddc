"""Matching index form against the definition of a step: indices as unknowns, order free."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from typing import Any

from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ONE, Add, Bind, Expr, Mul, Node, Num, Pow, Whole, alpha_key

Binding = dict[Index, Poly]


def match(pattern: Any, node: Any, unknown: frozenset[Index], binding: Binding) -> Iterator[Binding]:
    """All ways to put polynomials for the unknown indices so that the pattern becomes the node."""
    if isinstance(pattern, Poly):
        yield from _match_poly(pattern, node, unknown, binding)
        return
    if not isinstance(pattern, Node):
        if isinstance(pattern, tuple) and isinstance(node, tuple):
            yield from _match_sequence(pattern, node, unknown, binding)
        elif pattern == node:
            yield binding
        return
    if type(pattern) is not type(node):
        return
    if isinstance(pattern, (Add, Mul)) and isinstance(node, (Add, Mul)):
        if len(pattern.args) == len(node.args):
            yield from _match_bag(list(pattern.args), list(node.args), unknown, binding)
        return
    if isinstance(pattern, Bind) and isinstance(node, Bind):
        yield from _match_binder(pattern, node, unknown, binding)
        return
    if isinstance(pattern, Whole) and isinstance(node, Whole):
        if [i.size for i in pattern.indices] != [i.size for i in node.indices]:
            return
        inner = {**binding, **{p: Poly.of(n) for p, n in zip(pattern.indices, node.indices, strict=True)}}
        for found in match(pattern.body, node.body, unknown, inner):
            kept = {k: v for k, v in found.items() if k not in pattern.indices}
            if not any(v.depends_on(node.indices) for v in kept.values()):
                yield kept
        return
    yield from _match_sequence(pattern.values, node.values, unknown, binding)


def _match_poly(pattern: Poly, node: Any, unknown: frozenset[Index], binding: Binding) -> Iterator[Binding]:
    if not isinstance(node, Poly):
        return
    index = pattern.index
    if index is not None and index in unknown and index not in binding:
        target = node.index
        if target is not None and target.size is not None and index.size is not None and target.size != index.size:
            return
        yield {**binding, index: node}
    elif pattern.replace(dict(binding)) == node:
        yield binding


def _match_sequence(
    pattern: tuple[Any, ...], node: tuple[Any, ...], unknown: frozenset[Index], binding: Binding
) -> Iterator[Binding]:
    if len(pattern) != len(node):
        return
    if not pattern:
        yield binding
        return
    for found in match(pattern[0], node[0], unknown, binding):
        yield from _match_sequence(pattern[1:], node[1:], unknown, found)


def _match_bag(pattern: list[Any], node: list[Any], unknown: frozenset[Index], binding: Binding) -> Iterator[Binding]:
    if not pattern:
        yield binding
        return
    first, *rest = pattern
    for n, candidate in enumerate(node):
        for found in match(first, candidate, unknown, binding):
            yield from _match_bag(rest, node[:n] + node[n + 1 :], unknown, found)


def _match_binder(pattern: Bind, node: Bind, unknown: frozenset[Index], binding: Binding) -> Iterator[Binding]:
    if pattern.op != node.op or len(pattern.indices) != len(node.indices) or len(node.indices) > 3:
        return
    if len(pattern.conditions) != len(node.conditions):
        return
    for order in permutations(node.indices):
        if any(p.size != n.size for p, n in zip(pattern.indices, order, strict=True)):
            continue
        inner = {**binding, **{p: Poly.of(n) for p, n in zip(pattern.indices, order, strict=True)}}
        for found in match(pattern.body, node.body, unknown, inner):
            for complete in _match_bag(list(pattern.conditions), list(node.conditions), unknown, found):
                kept = {k: v for k, v in complete.items() if k not in pattern.indices}
                if not any(v.depends_on(node.indices) for v in kept.values()):
                    yield kept


def split_scale(expr: Expr) -> tuple[Expr, list[Expr]]:
    """Numbers and sizes in front of a product, and its other factors."""
    from kb.index.nodes import Val

    scale: list[Expr] = []
    core: list[Expr] = []
    for factor in expr.args if isinstance(expr, Mul) else (expr,):
        base = factor.base if isinstance(factor, Pow) else factor
        constant = isinstance(base, (Num, Val)) and not build.free_indices(factor)
        if isinstance(factor, Pow) and not isinstance(factor.exponent, Num):
            constant = False
        (scale if constant else core).append(factor)
    return build.mul(*scale), core


def match_factors(
    pattern: list[Expr], node: list[Expr], unknown: frozenset[Index], binding: Binding
) -> Iterator[tuple[Binding, list[Expr]]]:
    """Match all pattern factors against some of the node's; what is left over comes with the binding.

    A power may be taken partly: ``b**-1`` out of ``b**-2`` leaves ``b**-1``.
    """
    if not pattern:
        yield binding, node
        return
    first, *rest = pattern
    base, exponent = as_power(first)
    for n, candidate in enumerate(node):
        other_base, other_exponent = as_power(candidate)
        remaining = node[:n] + node[n + 1 :]
        if isinstance(exponent, Num) and isinstance(other_exponent, Num):
            left = other_exponent.value - exponent.value
            if other_exponent.value * exponent.value < 0 or left * exponent.value < 0:
                continue
            for found in match(base, other_base, unknown, binding):
                extra = [] if left == 0 else [build.power(other_base, Num(Fraction(left)))]
                yield from match_factors(rest, remaining + extra, unknown, found)
        else:
            for found in match(first, candidate, unknown, binding):
                yield from match_factors(rest, remaining, unknown, found)


def as_power(expr: Expr) -> tuple[Expr, Expr]:
    """``(base, exponent)``; the exponent of anything but a power is 1."""
    return (expr.base, expr.exponent) if isinstance(expr, Pow) else (expr, ONE)


def equal(a: Expr, b: Expr) -> bool:
    """Equal up to bound names and order."""
    return bool(alpha_key(a) == alpha_key(b))
