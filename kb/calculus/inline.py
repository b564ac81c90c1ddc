"""Adjoint steps put into each other where that makes the whole smaller.

``yhat_bar = -L_bar*y/yhat`` in ``z_bar = yhat*(yhat_bar - sum(yhat*yhat_bar))`` gives
``z_bar = L_bar*(yhat*sum(y) - y)``: shorter to read, and less to compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import Add, Bind, Expr, Integral, Mul, Pick, Read, reads, walk
from kb.index.program import AnyStep, Program, Step


def inline_smaller(
    steps: Sequence[AnyStep], program: Program, keep: frozenset[str] = frozenset()
) -> tuple[AnyStep, ...]:
    """The same values by fewer or smaller steps.

    A plain elementwise step that a single other step reads is put into it where the reader does
    not grow: where something cancels or folds. ``keep`` names steps that must stay, those that are
    returned. ``program`` holds all steps; what is put in is folded into those not among ``steps``.
    """
    own = {s.name for s in steps}
    tidy = Tidy(replace(program, steps=tuple(s for s in program.steps if s.name not in own)))
    found = list(steps)
    for name in [s.name for s in found]:
        step = next((s for s in found if s.name == name), None)
        readers = [n for n, s in enumerate(found) if name in s.inputs]
        if name in keep or not isinstance(step, Step) or not _is_elementwise(step) or len(readers) != 1:
            continue
        if sum(s.name == name for s in found) != 1:
            continue
        reader = found[readers[0]]
        if not isinstance(reader, Step) or reader.name == name or step.loop is not None or reader.loop is not None:
            continue
        merged = _put(step, reader, tidy)
        if merged is not None:
            found[readers[0]] = merged
            found.remove(step)
    return tuple(found)


def _put(step: Step, reader: Step, tidy: Tidy) -> Step | None:
    """The reader with the step put in; None if that is not smaller."""

    def change(read: Read) -> Expr | None:
        if read.name != step.name:
            return None
        moved: dict[Atom, Poly] = dict(zip(step.free, read.index, strict=True))
        result: Expr = build.substitute(build.freshen(step.expr), moved)
        return result

    merged = build.replace_reads(build.freshen(reader.expr), change)
    expr = min(tidy(merged), tidy(distributed(merged)), key=size)
    if size(expr) > size(reader.expr) or _work(expr) > _work(reader.expr):
        return None
    return replace(reader, expr=expr)


def distributed(expr: Expr) -> Expr:
    """A product with one sum as a factor, multiplied out, so that divisors can cancel."""
    if not isinstance(expr, Mul):
        return expr
    sums = [a for a in expr.args if isinstance(a, Add)]
    if len(sums) != 1:
        return expr
    rest = [a for a in expr.args if a is not sums[0]]
    return build.add(*(build.mul(*rest, term) for term in sums[0].args))


def _is_elementwise(step: Step) -> bool:
    """Whether the step is a product or sum of single elements, without a reduction or a border."""
    if not step.is_plain or any(isinstance(n, (Bind, Integral, Pick)) for n in walk(step.expr)):
        return False
    return all(_is_plain_place(p, step.free) for r in reads(step.expr) for p in r.index)


def _is_plain_place(place: Poly, free: tuple[Index, ...]) -> bool:
    return place.index in free


def size(expr: Expr) -> int:
    """How much there is to read: the number of nodes."""
    return sum(1 for _ in walk(expr))


def _work(expr: Expr) -> int:
    """How much there is to compute: reductions, which cost most."""
    return sum(isinstance(n, (Bind, Integral)) for n in walk(expr))
