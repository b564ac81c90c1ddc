"""Blocks side by side: parts of an array that follow each other along its last axis, as one concatenation."""

from __future__ import annotations

from collections.abc import Sequence

from kb.index.program import AnyStep, Step, are_side_by_side
from kb.lowering.arrays import Lowerer
from kb.lowering.loops import Item
from kb.lowering.operands import Operand, poly_code


def blocks_of(step: Step, items: Sequence[Item | AnyStep]) -> list[Step]:
    """The steps that define an array as blocks side by side, or none if they define it otherwise."""
    parts = [s for s in items if isinstance(s, Step) and s.name == step.name]
    if not are_side_by_side(parts):
        return []
    between = items[_position(parts[0], items) : _position(parts[-1], items)]
    return [] if any(step.name in s.inputs for s in between) else parts


def _position(step: Step, items: Sequence[Item | AnyStep]) -> int:
    return next(n for n, s in enumerate(items) if s is step)


def join(parts: Sequence[Step], lowerer: Lowerer) -> Operand:
    """All blocks in one array, with the leading axes that any of them has."""
    blocks = [_block(part, lowerer) for part in parts]
    deps = frozenset().union(*(b.deps for b in blocks))
    refs = tuple(r for b in blocks for r in b.refs)
    codes = ", ".join(b.code for b in blocks)
    same = all(b.deps == deps for b in blocks)
    code = f"np.concatenate(({codes}), axis=-1)" if same else f"_join({codes})"
    return Operand(code, parts[-1].free, deps, fresh=True, refs=refs)


def _block(part: Step, lowerer: Lowerer) -> Operand:
    """One block with all its axes."""
    operand = lowerer.lower(part.expr, part.free)
    operand = lowerer.typed(operand) if operand.is_number else operand
    whole = set(operand.indices) == set(part.free)
    operand = lowerer.aligned(operand, part.free)
    if whole:
        return operand
    sizes = "".join(f"{poly_code(i.extent)}, " for i in part.free)
    shape = f"({sizes.strip() if len(part.free) == 1 else sizes.removesuffix(', ')})"
    return Operand(f"_full({operand.code}, {shape})", part.free, operand.deps, refs=operand.refs)
