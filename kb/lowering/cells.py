"""Some elements of an array set anew: a copy and one assignment instead of a choice for each element."""

from __future__ import annotations

from dataclasses import dataclass

from kb.index.affine import Gather, Index, Poly
from kb.index.arithmetic import as_poly, is_whole
from kb.index.nodes import Cases, Compare, Condition, Expr, Junction, Read, Val, free_indices
from kb.index.program import Step
from kb.lowering.arrays import Lowerer
from kb.lowering.operands import Operand


@dataclass(frozen=True, slots=True)
class Cells:
    """``name[free] = value where places fix some of the free indices, else old[free]``."""

    places: dict[Index, Poly]
    value: Expr
    old: Read


def cells_of(step: Step, lowerer: Lowerer) -> Cells | None:
    """What a step sets anew, if that is what it does; every place is known to be in range, or a label."""
    expr = step.expr
    if lowerer.loops or not step.is_plain or not isinstance(expr, Cases) or len(expr.branches) != 1:
        return None
    ((condition, value),) = expr.branches
    old = expr.otherwise
    if not isinstance(old, Read) or tuple(p.index for p in old.index) != step.free:
        return None
    if lowerer.program.shape(old.name) != step.shape:
        return None
    places: dict[Index, Poly] = {}
    for part in condition.args if isinstance(condition, Junction) and condition.op == "and" else (condition,):
        found = _fixed(part, step.free)
        if found is None or found[0] in places:
            return None
        index, place = found
        if not isinstance(place.atom, Gather) and not lowerer.program.facts.within(place, index.extent):
            return None
        places[index] = place
    return None if free_indices(value) & places.keys() else Cells(places, value, old)


def _fixed(condition: Condition, free: tuple[Index, ...]) -> tuple[Index, Poly] | None:
    """The free index that an equation fixes, and its value, which depends on no index."""
    if not (isinstance(condition, Compare) and condition.op == "=="):
        return None
    for own, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if isinstance(own, Val) and own.poly.index in free and is_whole(other) and not free_indices(other):
            return own.poly.index, as_poly(other)
    return None


def assigned(step: Step, cells: Cells, lowerer: Lowerer) -> Operand:
    """The array with the elements set."""
    rest = tuple(i for i in step.free if i not in cells.places)
    old = lowerer.aligned(lowerer.lower(cells.old, step.free), step.free)
    value = lowerer.aligned(lowerer.lower(cells.value, rest), rest)
    chosen = [lowerer.whole(cells.places[i], ()) if i in cells.places else None for i in step.free]
    keys = "".join(f"{'None' if place is None else place.code}, " for place in chosen)
    deps = old.deps | value.deps
    for place in chosen:
        deps |= place.deps if place is not None else frozenset()
    code = f"_put({old.code}, ({keys.strip() if len(chosen) == 1 else keys.removesuffix(', ')}), {value.code})"
    return Operand(code, step.free, deps, fresh=True, refs=(*old.refs, *value.refs))
