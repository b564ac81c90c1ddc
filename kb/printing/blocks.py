"""Steps that only move elements: other names for a whole array, and blocks joined along the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kb import tree
from kb.index import build
from kb.index.affine import Index, Poly, format_poly
from kb.index.nodes import Expr, Read
from kb.index.program import AnyStep, Program, Step
from kb.printing.binders import counts_from_one
from kb.printing.glyphs import Context
from kb.printing.trees import element


def without_aliases(steps: Sequence[AnyStep], keep: frozenset[str]) -> list[AnyStep]:
    """The steps without those that only give another name to one of them; ``keep`` names results."""
    own = {s.name for s in steps}
    other: dict[str, str] = {}
    kept: list[AnyStep] = []
    for step in steps:
        if isinstance(step, Step):
            step = _renamed(step, other)
            target = _alias(step)
            if target in own and step.name not in keep and sum(s.name == step.name for s in steps) == 1:
                other[step.name] = target
                continue
        kept.append(step)
    return kept


def without_fillings(steps: Sequence[AnyStep], keep: frozenset[str]) -> list[AnyStep]:
    """The steps without arrays of one number, a scalar or its negative, which their readers say as well."""
    values: dict[str, Expr] = {}
    kept: list[AnyStep] = []
    for step in steps:
        if isinstance(step, Step):
            step = replace(step, expr=build.replace_reads(step.expr, lambda read: values.get(read.name)))
            number, scalar = build.split_coefficient(step.expr)
            filled = step.is_plain and step.free and isinstance(scalar, Read) and not scalar.index
            if filled and abs(number) == 1 and step.name not in keep and sum(s.name == step.name for s in steps) == 1:
                values[step.name] = step.expr
                continue
        kept.append(step)
    return kept


def _alias(step: Step) -> str:
    places = tuple(map(Poly.of, step.free))
    whole = step.is_plain and isinstance(step.expr, Read) and step.expr.index == places
    return step.expr.name if whole and isinstance(step.expr, Read) else ""


def _renamed(step: Step, other: dict[str, str]) -> Step:
    def change(read: Read) -> Expr | None:
        return Read(other[read.name], read.index, read.outside) if read.name in other else None

    return replace(step, expr=build.replace_reads(step.expr, change))


def joined(step: AnyStep) -> tuple[tree.Node, tree.Node] | None:
    """``J = concat(A[i], i)`` for a step that joins blocks, ``concat(A[i], i) = J`` for one that takes them apart."""
    if not isinstance(step, Step) or not isinstance(step.expr, Read) or step.accumulates:
        return None
    if step.is_plain:
        lead = _block(step.free, step.expr.index)
        if lead is None:
            return None
        return _concat(step.name, lead.name), tree.Name(step.expr.name)
    places = tuple(p.index for p in step.expr.index)
    if any(i is None for i in places):
        return None
    lead = _block(tuple(i for i in places if i is not None), step.target)
    return None if lead is None else (tree.Name(step.name), _concat(step.expr.name, lead.name))


def _concat(name: str, letter: str) -> tree.Node:
    return tree.Call("concat", (element(name, (tree.Name(letter),)), tree.Name(letter)))


def _block(blocks: Sequence[Index], whole: Sequence[Poly]) -> Index | None:
    """The leading axis where the array's last one is this and the blocks' last one in a row."""
    if len(blocks) < 2 or len(whole) != len(blocks) - 1 or len(set(blocks)) != len(blocks):
        return None
    lead, *middle, last = blocks
    if last.size is None or [p.index for p in whole[:-1]] != middle:
        return None
    return lead if whole[-1] == last.size * Poly.of(lead) + Poly.of(last) else None


def with_blocks(context: Context, shown: Sequence[tree.Node], program: Program) -> Context:
    """The context with the shapes of blocks that are joined, so that their number shows."""
    joined = [n for s in shown for n in tree.walk(s) if isinstance(n, tree.Call) and n.function == "concat"]
    names = {n for call in joined for n in tree.names(call.arguments[0])} & set(program.tensors)
    shapes = {name: tuple(map(format_poly, program.shape(name))) for name in names}
    if not joined:
        return context
    return replace(context, shapes={**shapes, **context.shapes}, one_based=counts_from_one(shown))
