"""Steps that add into an array at computed places, as one sum with conditions."""

from __future__ import annotations

from collections.abc import Sequence

from kb.calculus.tidy import factor, without_guards
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import Bind, Compare, Condition, Expr, Pick, Test, free_indices, val, walk
from kb.index.program import AnyStep, Program, Step
from kb.printing.factors import without_implied
from kb.printing.names import Names


def gathered(steps: Sequence[AnyStep], names: Names, program: Program) -> Step:
    """Steps that accumulate into one name as a sum, with what is accumulated where as conditions.

    The conditions stay as they are, since ``k == s*i + u - p`` says more than its solution and the
    bounds of that; but not where what is read is 0 beyond these bounds.
    """
    first = next(s for s in steps if isinstance(s, Step))
    used = names.taken | set(names.usual.values())
    letters = [letter for letter in "abcdefghklmnpqrst" if letter not in used]
    free = tuple(Index(letter, size) for letter, size in zip(letters, first.shape, strict=False))
    total = build.add(*(_as_sum(s, free, program) for s in steps if isinstance(s, Step)))
    return Step(first.name, free, tuple(Poly.of(i) for i in free), factor(total) or total, first.shape)


def _as_sum(step: Step, free: tuple[Index, ...], program: Program) -> Expr:
    moved: dict[Atom, Poly] = {}
    conditions: list[Condition] = []
    pending: list[tuple[Poly, Index]] = []
    for place, own in zip(step.target, free, strict=True):
        index = place.index
        if index in step.free and index not in moved and index is not None and index.size == own.size:
            moved[index] = Poly.of(own)
        else:
            pending.append((place, own))
    rest = {i: i.fresh() for i in step.free if i not in moved}
    moved |= {i: Poly.of(fresh) for i, fresh in rest.items()}
    for place, own in pending:
        conditions.append(build.compare("==", val(place.replace(moved)), val(Poly.of(own))))
    body: Expr = build.substitute(build.freshen(step.expr), moved)
    bound = tuple(rest.values())
    inside = tuple(c for c in conditions if free_indices(c) & set(bound))
    outside = [build.test(c) for c in conditions if c not in inside]
    if any(isinstance(n, Pick) for n in walk(body)):  # the place of a largest value says where it may lie
        return build.mul(*outside, without_implied(build.bind("sum", bound, inside, body)))
    solved = without_guards(build.bind("sum", bound, inside, body), program)
    is_idle = any(i not in free_indices(body) for i in bound)
    if is_idle or not any(isinstance(n, (Compare, Test)) for n in walk(solved)):
        return build.mul(*outside, solved)
    return build.mul(*outside, Bind("sum", bound, inside, body))
