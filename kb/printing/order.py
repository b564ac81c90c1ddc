"""The order of factors in a product, as people write it.

Upstream cotangents stand in front, then what the steps made, then what was given, then logarithms,
``y*log(p)``; tangents stand last. Parts of the definition that are shown as written stand with the
sums. A sum that speaks of a factor stands behind it: ``y*(1 - y)*(1 - 2*y)``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

from kb.index.nodes import (
    Add,
    Apply,
    Bind,
    Const,
    Expr,
    Fn,
    Integral,
    Mul,
    Num,
    Pow,
    Read,
    Val,
    Var,
    free_indices,
    read_names,
    walk,
)

COTANGENT, STEP, GIVEN, TANGENT, PART = range(5)


def in_reading_order(
    factors: Sequence[Expr],
    roles: Mapping[str, int],
    pairs: frozenset[tuple[str, str]] = frozenset(),
    indices: Sequence[object] = (),
) -> list[Expr]:
    """The factors in the order of the roles that their names have; without roles as they came.

    ``pairs`` are names that the definition multiplies, in its order, which stays. Among what is
    given the ``indices`` decide, in their order: ``A[i,j]*x[k]``, and ``c[i]*W[i,j]``; among what
    the steps made only where they are a chain: ``G[i,j]*P[j,k]*V[k]``.
    """
    if not roles:
        return list(factors)
    places = {index: n for n, index in enumerate(indices)}
    ranked = sorted(factors, key=lambda f: (_rank(f, roles), _first_index(f, roles, places, (GIVEN, STEP))))
    if not _is_chain([f for f in ranked if free_indices(f)]):
        ranked = sorted(factors, key=lambda f: (_rank(f, roles), _first_index(f, roles, places, (GIVEN,))))
    return _behind_their_own(_as_authored(ranked, pairs))


def _is_chain(factors: Sequence[Expr]) -> bool:
    """Whether each element ends with the index with which the next begins, as in a product of matrices."""
    ends = [[p.index for p in f.index] for f in factors if isinstance(f, Read)]
    joined = all(a[-1] is not None and a[-1] is b[0] for a, b in pairwise(ends))
    return len(ends) == len(factors) > 2 and joined


def _first_index(
    factor: Expr, roles: Mapping[str, int], places: Mapping[object, int], ordered: Collection[int]
) -> tuple[int, int]:
    base = _base(factor)
    if not isinstance(base, Read) or roles.get(base.name, GIVEN) not in ordered:
        return (0, 0)
    found = [places[i] for p in base.index for i in p.indices() if i in places]
    return min(found, default=len(places)), len(base.index)


def nested(roles: Mapping[str, int]) -> dict[str, int]:
    """The roles within a sum that is a factor: what is upstream stands last, ``p*(g - sum(p*g))``."""
    return {name: TANGENT if role == COTANGENT else role for name, role in roles.items()}


def authored_pairs(exprs: Iterable[Expr]) -> frozenset[tuple[str, str]]:
    """Names that are multiplied with each other, in the order in which they are."""
    found: set[tuple[str, str]] = set()
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Mul):
                names = [a.name for a in node.args if isinstance(a, Read)]
                found.update((a, b) for n, a in enumerate(names) for b in names[n + 1 :])
    return frozenset((a, b) for a, b in found if (b, a) not in found)


def _as_authored(factors: list[Expr], pairs: frozenset[tuple[str, str]]) -> list[Expr]:
    ordered = list(factors)
    for first in [f for f in factors if isinstance(f, Read) and free_indices(f)]:
        own = ordered.index(first)
        later = {b for a, b in pairs if a == first.name}
        for at, other in enumerate(ordered[:own]):
            inside = _base(other)
            names = read_names(inside) if isinstance(inside, (Read, Add)) else frozenset()
            if free_indices(other) and names & later and first.name not in names:
                ordered.insert(at, ordered.pop(own))
                break
    return ordered


def _base(factor: Expr) -> Expr:
    return factor.base if isinstance(factor, Pow) else factor


def _rank(factor: Expr, roles: Mapping[str, int]) -> float:
    """Numbers before arrays, within them by role; sums that speak of steps stay where they are."""
    base = _base(factor)
    found = {roles[name] for name in read_names(base) if name in roles}
    is_array = bool(free_indices(base))
    match base:
        case Read():
            ranks = {COTANGENT: (0, 0), GIVEN: (1, 4), STEP: (1.5, 2), TANGENT: (5, 5), PART: (1.6, 3)}
            return float(ranks[roles.get(base.name, GIVEN)][is_array])
        case Bind() | Integral():
            return 6.0
        case Const():
            return 0.5
        case Val():
            return 1.0
        case Fn() | Apply() | Var() if found == {TANGENT}:
            return 5.0
        case Fn(name="log"):
            return 4.5
        case Add() if TANGENT in found:
            return 5.0
        case Add() if found <= {GIVEN, PART} and not any(isinstance(n, (Fn, Apply)) for n in walk(base)):
            return 1.1 + 0.1 * bool(found) if not is_array else 3.0
    return 2.0


def _behind_their_own(factors: Sequence[Expr]) -> list[Expr]:
    """Sums directly behind a factor of which they speak, the smaller ones first."""
    simple = [f for f in factors if isinstance(_base(f), Read)]
    followers: dict[int, list[Expr]] = {}
    moved: set[int] = set()
    for factor in factors:
        if not isinstance(_base(factor), Add):
            continue
        inside = {n for n in walk(_base(factor)) if isinstance(n, Read)}
        for other in simple:
            if _base(other) in inside:
                followers.setdefault(id(other), []).append(factor)
                moved.add(id(factor))
                break
    ordered: list[Expr] = []
    for factor in factors:
        if id(factor) not in moved:
            ordered += [factor, *sorted(followers.get(id(factor), []), key=_size)]
    return ordered


def _size(expr: Expr) -> tuple[int, Fraction]:
    numbers = [abs(n.value) for n in walk(expr) if isinstance(n, Num)]
    return sum(1 for _ in walk(expr)), max(numbers, default=Fraction(0))
