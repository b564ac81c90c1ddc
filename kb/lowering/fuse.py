"""Derivative steps put into each other where whole-array code then does less.

The steps of a derivative are kept apart so that people can read them. As code, a step that only
scales an array by something smaller (``x_hat_bar = gamma*y_bar``) costs a pass over the array and
the memory of another; put into its readers, the small factor leaves the sums, common factors come
together, and what is left is the form that textbooks give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kb.calculus.inline import inline_smaller
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Atom, Poly
from kb.index.nodes import Add, Bind, Expr, Fn, Integral, Mul, Num, Pick, Pow, Read, free_indices, reads, walk
from kb.index.program import AnyStep, Program, Step, loop_of


def fused(steps: Sequence[AnyStep], program: Program, keep: frozenset[str], forward: set[str]) -> list[AnyStep]:
    """Steps of equal value. ``keep`` names what is returned, ``forward`` the steps of the function itself."""
    own = [s for s in steps if s.name not in forward]
    rest = [s for s in steps if s.name in forward]
    merged = {id(s): s for s in own}
    smaller = list(inline_smaller(own, replace(program, steps=tuple(rest)), keep))
    by_name: dict[str, list[AnyStep]] = {}
    for step in smaller:
        by_name.setdefault(step.name, []).append(step)
    found: list[AnyStep] = []
    for step in steps:
        if id(step) not in merged:
            found.append(step)
        elif by_name.get(step.name):
            found.append(by_name[step.name].pop(0))
    return list(replace(program, steps=tuple(_inline_scalings(found, program, keep, forward))).needed(set(keep)))


def scaled_once(steps: list[AnyStep], keep: frozenset[str]) -> list[AnyStep]:
    """Scalings put into the one place that reads and scales them again: ``g*((x - m)/s)`` is then one pass."""
    for step in list(steps):
        if step.name in keep or not isinstance(step, Step) or not _is_scaling(step):
            continue
        readers = [s for s in steps if step.name in s.inputs]
        if _can_move(step, steps, readers) and len(readers) == 1 and _scales(readers[0], step):
            steps = [_put(step, s) if s is readers[0] else s for s in steps if s is not step]
    return steps


def _inline_scalings(steps: list[AnyStep], program: Program, keep: frozenset[str], forward: set[str]) -> list[AnyStep]:
    tidy = Tidy(program, fold=False)
    changed: set[str] = set()
    for name in dict.fromkeys(s.name for s in steps):
        step = next(s for s in steps if s.name == name)
        readers = [s for s in steps if name in s.inputs]
        if name in keep or not isinstance(step, Step) or not _can_move(step, steps, readers):
            continue
        cancels = len(readers) == 1 and step.name not in forward and _cancels(step, readers[0])
        if not cancels and not _is_scaling(step) and not _is_small_and_single(step, readers):
            continue
        steps = [_put(step, s) if name in s.inputs else s for s in steps if s is not step]
        changed |= {r.name for r in readers}
    return [
        replace(s, expr=nested(tidy(s.expr))) if isinstance(s, Step) and s.name in changed and s.is_plain else s
        for s in steps
    ]


def _can_move(step: Step, steps: Sequence[AnyStep], readers: Sequence[AnyStep]) -> bool:
    """Whether readers can have the expression in place of the step: it is the whole of it, and no loop is near."""
    if not step.is_plain or sum(s.name == step.name for s in steps) != 1:
        return False
    if not all(isinstance(r, Step) and _reads_whole(r, step.name) for r in readers):
        return False
    return all(loop_of(s) is None for s in (step, *readers))


def _scales(reader: AnyStep, step: Step) -> bool:
    """Whether the step is read once, element by element, and multiplied by something smaller."""
    assert isinstance(reader, Step)
    if sum(r.name == step.name for r in reads(reader.expr)) != 1 or len(reader.free) != len(step.free):
        return False
    for term in reader.expr.args if isinstance(reader.expr, Add) else (reader.expr,):
        factors = term.args if isinstance(term, Mul) else (term,)
        if any(isinstance(f, Read) and f.name == step.name for f in factors):
            return any(_has_read(f) and free_indices(f) < set(reader.free) for f in factors)
    return False


def nested(expr: Expr) -> Expr:
    """``sum(a[j]*b[i,j], i, j)`` as ``sum(a[j]*sum(b[i,j], i), j)``: the large sum may be known already."""

    def change(node: Expr) -> Expr | None:
        if not (isinstance(node, Bind) and node.op == "sum" and len(node.indices) > 1 and not node.conditions):
            return None
        factors = node.body.args if isinstance(node.body, Mul) else (node.body,)
        bound = set(node.indices)
        large = [f for f in factors if bound <= free_indices(f)]
        small = [f for f in factors if not bound <= free_indices(f)]
        outer = {i for f in small for i in free_indices(f) & bound}
        if not large or not small or outer == bound or any(free_indices(f) - bound for f in small):
            return None
        inner = build.bind("sum", [i for i in node.indices if i not in outer], (), build.mul(*large))
        return Bind("sum", tuple(i for i in node.indices if i in outer), (), build.mul(*small, nested(inner)))

    result: Expr = build.transform(expr, change)
    return result


def _reads_whole(reader: AnyStep, name: str) -> bool:
    """Whether every read is by bare indices: a shifted read is better made once."""
    assert isinstance(reader, Step)
    if any(isinstance(n, Pick) for n in walk(reader.expr)) or reader.accumulates:
        return False
    return all(p.index is not None for r in reads(reader.expr) if r.name == name for p in r.index)


def _cancels(step: Step, reader: AnyStep) -> bool:
    """Whether a division by something that underflows goes away: ``(p*u)/p``."""
    assert isinstance(reader, Step)
    factors = step.expr.args if isinstance(step.expr, Mul) else (step.expr,)
    names = {f.name for f in factors if isinstance(f, Read)}
    divisors = {
        n.base.name
        for n in walk(reader.expr)
        if isinstance(n, Pow) and isinstance(n.base, Read) and isinstance(n.exponent, Num) and n.exponent.value < 0
    }
    return bool(names & divisors)


def _is_scaling(step: Step) -> bool:
    """``array*small``: one factor with all axes, cheap, and another with fewer."""
    if not isinstance(step.expr, Mul):
        return False
    own = set(step.free)
    full = [f for f in step.expr.args if free_indices(f) == own]
    small = [f for f in step.expr.args if free_indices(f) != own and _has_read(f)]
    if len(own) < 2 or len(full) != 1 or not small:
        return False
    return not any(isinstance(n, (Bind, Integral, Fn, Pow)) for n in walk(full[0]))


def _has_read(expr: Expr) -> bool:
    return any(isinstance(n, Read) for n in walk(expr))


def _is_small_and_single(step: Step, readers: Sequence[AnyStep]) -> bool:
    """Read once, by something larger."""
    if len(readers) != 1 or not isinstance(readers[0], Step) or len(readers[0].free) <= len(step.free):
        return False
    return sum(r.name == step.name for r in reads(readers[0].expr)) == 1


def _put(step: Step, reader: AnyStep) -> AnyStep:
    assert isinstance(reader, Step)

    def change(read: Read) -> Expr | None:
        if read.name != step.name:
            return None
        moved: dict[Atom, Poly] = dict(zip(step.free, read.index, strict=True))
        result: Expr = build.substitute(build.freshen(step.expr), moved)
        return result

    return replace(reader, expr=build.replace_reads(build.freshen(reader.expr), change))
