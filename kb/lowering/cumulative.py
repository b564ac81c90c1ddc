"""Sums, products and extrema up to an index, or from it on: one pass over the array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ONE, Bind, Compare, Condition, Const, Expr, Pick, free_indices
from kb.lowering.buffers import Order
from kb.lowering.operands import Operand, permute, poly_code, squeeze, union
from kb.lowering.survey import natural_order

if TYPE_CHECKING:
    from kb.lowering.arrays import Lowerer

UFUNCS = {
    "sum": "np.add",
    "prod": "np.multiply",
    "max": "np.maximum",
    "min": "np.minimum",
    "logsumexp": "np.logaddexp",
}


def cumulative(lowerer: Lowerer, expr: Bind, order: Order) -> Operand | None:
    """The binder as an accumulation, if one of its conditions is ``k <= t + c`` or ``k >= t + c``."""
    found = bounded_by(lowerer, expr)
    if found is None:
        return None
    bound, free, offset, backward, condition = found
    rest = Bind(expr.op, expr.indices, tuple(c for c in expr.conditions if c is not condition), expr.body)
    body = masked(rest)
    inner = natural_order(body, (*(i for i in order if i is not free), *(i for i in (bound,) if i not in order)))
    operand = squeeze(lowerer.lower(body, inner))
    operand = permute(operand, union([operand.axes], inner))
    axis = operand.indices.index(bound) - len(operand.indices)
    count = poly_code(free.extent)
    arguments = f"{UFUNCS[expr.op]}, {operand.code}, {axis}, {count}, {poly_code(offset)}, {backward}"
    axes = tuple(free if i is bound else i for i in operand.indices)
    return Operand(f"_cumulate({arguments})", axes, operand.deps, fresh=True, refs=operand.refs)


def masked(expr: Bind | Pick) -> Expr:
    """The body of a binder where its conditions hold, elsewhere what changes nothing."""
    if not expr.conditions:
        return expr.body
    if expr.op == "sum":
        return build.mul(*map(build.test, expr.conditions), expr.body)
    infinity = Const("oo")
    filler = {"prod": ONE, "min": infinity}.get(expr.op, build.negative(infinity))
    return build.cases([(build.junction("and", expr.conditions), expr.body)], filler)


def bounded_by(lowerer: Lowerer, expr: Bind) -> tuple[Index, Index, Poly, bool, Condition] | None:
    """``(k, t, c, backward, condition)`` for a condition ``k <= t + c``, or ``k >= t + c`` if backward."""
    if len(expr.indices) != 1 or expr.op not in UFUNCS:
        return None
    (bound,) = expr.indices
    if bound not in free_indices(expr.body):
        return None
    for condition in expr.conditions:
        if not isinstance(condition, Compare) or condition.op not in ("<", "<=", ">", ">="):
            continue
        if not build.is_whole(condition.left) or not build.is_whole(condition.right):
            continue
        gap = build.as_poly(condition.left) - build.as_poly(condition.right)
        below = condition.op in ("<", "<=")
        if condition.op in ("<", ">"):  # as <= and >= of whole numbers
            gap = gap + 1 if below else gap - 1
        parts = gap.split(bound)
        if parts is None or parts[0].constant not in (1, -1):
            continue
        if parts[0].constant == -1:
            gap, below = -gap, not below
        end = Poly.of(bound) - gap
        free = next(iter(end.indices()), None)
        if free is None or free in lowerer.loops or (end - Poly.of(free)).depends_on(end.indices()):
            continue
        others = [c for c in expr.conditions if c is not condition]
        if free in free_indices(expr.body) or any(free in free_indices(c) for c in others):
            continue
        return bound, free, end - Poly.of(free), not below, condition
    return None
