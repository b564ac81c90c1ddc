"""Binders as whole-array calls: sums as contractions, extrema, integrals as one more axis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.functions import may_be_infinite
from kb.index.nodes import (
    ONE,
    Bind,
    Compare,
    Expr,
    Integral,
    Mul,
    Num,
    Pick,
    Pow,
    Read,
    Test,
    free_indices,
    val,
)
from kb.lowering import reads
from kb.lowering.buffers import Order
from kb.lowering.contraction import contract, product_of_two, result_axes
from kb.lowering.cumulative import UFUNCS, cumulative, masked
from kb.lowering.operands import ATOM, PRODUCT, Operand, permute, poly_code, squeeze, union
from kb.lowering.survey import natural_order

if TYPE_CHECKING:
    from kb.lowering.arrays import Lowerer


def binder(lowerer: Lowerer, expr: Bind, order: Order) -> Operand:
    inner = natural_order(expr.body, (*order, *(i for i in expr.indices if i not in order)))
    accumulated = cumulative(lowerer, expr, order)
    if accumulated is not None:
        return accumulated
    if expr.op == "sum":
        return sum_of(lowerer, expr, order, inner)
    body = masked(expr)
    if expr.op in ("max", "min") and not expr.conditions and isinstance(body, Read):
        made = pooled(lowerer, expr, body)
        if made is not None:
            return made
    operand = squeeze(lowerer.lower(body, inner))
    operand = permute(operand, union([operand.axes], inner))
    where = [operand.axes.index(i) - len(operand.axes) for i in expr.indices if i in operand.axes]
    axes = tuple(i for i in operand.axes if i not in expr.indices)
    text = str(where[0]) if len(where) == 1 else f"({', '.join(map(str, where))})"
    if expr.op == "logsumexp":
        kept = tuple(None if i in expr.indices else i for i in operand.axes)
        return Operand(f"_logsumexp({operand.code}, {text})", kept, operand.deps, fresh=True, refs=operand.refs)
    if expr.op == "prod":
        return Operand(f"{operand.at_level(ATOM)}.prod(axis={text})", axes, operand.deps, fresh=True, refs=operand.refs)
    return Operand(
        f"{operand.at_level(ATOM)}.{expr.op}(axis={text})", axes, operand.deps, fresh=True, refs=operand.refs
    )


def pooled(lowerer: Lowerer, expr: Bind, node: Read) -> Operand | None:
    """The extreme of a window, one axis after the other; None if the read is not through windows."""
    guarded = reads.may_leave(lowerer.program, node.name, node.index)
    if guarded or lowerer.loops or not all(reads.is_affine(p) for p in node.index):
        return None
    found = [reads.moves(p) for p in node.index]
    kept = [[i for i, _ in moved if i not in expr.indices] for _, moved in found]
    if all(len(moved) < 2 for _, moved in found) or any(len(k) != 1 for k in kept):
        return None
    if any(
        len(moved) > 2 or (len(moved) == 1 and p.index is None) for p, (_, moved) in zip(node.index, found, strict=True)
    ):
        return None
    array = lowerer.variable(node.name)
    lowerer.uses[array.code] -= 1
    code, rank = array.code, len(node.index)
    for n, (start, moved) in reversed(list(enumerate(found))):
        if len(moved) == 2:
            steps = {i in expr.indices: f"({poly_code(i.extent)}, {poly_code(step)})" for i, step in moved}
            place = f"{n - rank}, {poly_code(start)}, {steps[False]}, {steps[True]}"
            code = f"_pool({UFUNCS[expr.op]}, {code}, {place})"
    if any(
        len(moved) == 1 and p.index is not None and p.index.size != size
        for p, (_, moved), size in zip(node.index, found, lowerer.program.shape(node.name), strict=True)
    ):
        return None
    lowerer.pending[array.code] += 1
    return Operand(code, tuple(k[0] for k in kept), array.deps, fresh=True, refs=(array.code,))


def sum_of(lowerer: Lowerer, expr: Bind, order: Order, inner: Order, scale: Expr = ONE) -> Operand:
    """``scale`` times a sum: one contraction after another, or a reduction along axes."""
    operands = factors(lowerer, expr, inner)
    out = tuple(i for i in union([f.axes for f in operands], inner) if i not in expr.indices)
    while len(operands) > 2:
        a, b = contract(operands, out)
        operands = [o for o in operands if o is not a and o is not b]
        axes = result_axes(a, b, operands, out)
        if {*a.indices, *b.indices} == set(axes):
            operands.append(lowerer.binary("*", a, b, PRODUCT, inner))
        else:
            operands.append(product_of_two(a, b, axes))
    if len(operands) == 1:
        return times(lowerer, reduce(lowerer, expr, operands[0], order), scale, order)
    for n, operand in enumerate(operands):
        if scale != ONE and operand.argument and len(operand.indices) == 2 and len(out) == 2:
            operands[n] = times(lowerer, operand, scale, inner)
            return product_of_two(operands[0], operands[1], out)
    return times(lowerer, product_of_two(operands[0], operands[1], out), scale, order)


def times(lowerer: Lowerer, operand: Operand, scale: Expr, order: Order) -> Operand:
    """The operand times a number that depends on sizes only."""
    above, below = [], []
    for factor in scale.args if isinstance(scale, Mul) else (scale,):
        if isinstance(factor, Pow) and isinstance(factor.exponent, Num) and factor.exponent.value < 0:
            below.append(lowerer.lower(build.power(factor.base, build.num(-factor.exponent.value)), order))
        elif factor != ONE:
            above.append(lowerer.lower(factor, order))
    return lowerer.scaled([*above, operand], below, order)


def factors(lowerer: Lowerer, expr: Bind, inner: Order) -> list[Operand]:
    """The factors of a sum's body, a condition being one; those of equal axes are multiplied."""
    args = [*(expr.body.args if isinstance(expr.body, Mul) else (expr.body,)), *map(Test, expr.conditions)]
    if len(args) == 1 and isinstance(args[0], Pow) and args[0].exponent == build.num(2):
        base = lowerer.lower(args[0].base, natural_order(args[0].base, inner))
        base = base if base.code.isidentifier() else lowerer.keep(base, "t")
        return [base, replace(base, refs=())]  # one reference, written twice
    args = [a for a in args if a != ONE] or [ONE]
    if len(args) == 1 and isinstance(args[0], Test):
        return [lowerer.test(args[0].condition, natural_order(args[0], inner))]
    if lowerer.vanishing(tuple(args)) or (expr.conditions and any(may_be_infinite(a) for a in args)):
        return [lowerer.lower(build.mul(*args), natural_order(expr.body, inner))]
    if len(args) > 2 or expr.conditions:
        groups: dict[frozenset[Index], list[Expr]] = {}
        for arg in args:
            groups.setdefault(frozenset(free_indices(arg) & set(inner)), []).append(arg)
        args = [build.mul(*g) for g in groups.values()]
    return [
        lowerer.condition(a.condition, natural_order(a, inner))
        if isinstance(a, Test) and free_indices(a) - lowerer.loops.keys() and not lowerer._is_eye(a)
        else lowerer.lower(a, natural_order(a, inner))
        for a in args
    ]


def reduce(lowerer: Lowerer, expr: Bind, operand: Operand, order: Order) -> Operand:
    """A plain sum along axes; the axis is kept as 1 where the surroundings have one there."""
    operand = squeeze(operand)
    where = [operand.axes.index(i) - len(operand.axes) for i in expr.indices]
    axes = tuple(i for i in operand.axes if i not in expr.indices)
    text = str(where[0]) if len(where) == 1 else f"({', '.join(map(str, where))})"
    keep = len(where) == 1 and len(axes) == len(order) - 1 and axes == order[:-1] and where == [-1]
    if len(where) == 1 and len(axes) == len(order) - 1 and axes == order[1:] and where == [-len(operand.axes)]:
        keep = True
    tail = ", keepdims=True" if keep else ""
    kept = tuple(None if i in expr.indices else i for i in operand.axes) if keep else axes
    return Operand(
        f"{operand.at_level(ATOM)}.sum(axis={text}{tail})", kept, operand.deps, fresh=True, refs=operand.refs
    )


def pick(lowerer: Lowerer, expr: Pick, order: Order) -> Operand:
    """1 at the first extremum; inside a loop over the window, a mask that remembers."""
    if expr in lowerer.hits:
        return lowerer.hits[expr]
    at = [p.index for p in expr.at]
    extreme_of = Bind(expr.op, expr.indices, expr.conditions, expr.body)
    computed = any(i is None or i in lowerer.loops or i in free_indices(extreme_of) for i in at)
    if computed or len(set(at)) < len(at):
        return elsewhere(lowerer, expr, order)
    body = build.substitute(masked(expr), dict(zip(expr.indices, expr.at, strict=True)))
    operand = squeeze(lowerer.lower(body, order))
    extreme = lowerer.lower(extreme_of, order)
    rest = tuple(i for i in operand.axes if i is not None and i not in at)
    where = ", ".join(str(operand.axes.index(i) - len(operand.axes)) for i in at)
    lowered = lowerer.aligned(extreme, rest)
    code = f"_first({operand.code}, {lowered.code}, ({where},))"
    return Operand(code, operand.axes, operand.deps, fresh=True, refs=operand.refs)


def elsewhere(lowerer: Lowerer, expr: Pick, order: Order) -> Operand:
    """A pick at a computed place: all picks, and of those the one at that place."""
    own = tuple(i.fresh() for i in expr.indices)
    equal = tuple(Compare("==", val(p), val(Poly.of(i))) for p, i in zip(expr.at, own, strict=True))
    everywhere = Pick(expr.op, expr.indices, expr.conditions, expr.body, tuple(Poly.of(i) for i in own))
    return binder(lowerer, Bind("sum", own, equal, everywhere), order)


def integral(lowerer: Lowerer, expr: Integral, order: Order) -> Operand:
    """A quadrature: one more axis, of nodes."""
    nodes, weights = lowerer.writer.name("nodes"), lowerer.writer.name("weights")
    low, high = lowerer.lower(expr.low, order), lowerer.lower(expr.high, order)
    bounds, deps = union([low.axes, high.axes], order), low.deps | high.deps
    real_line = low.code == "-np.inf" and high.code == "np.inf"
    ends = f"{lowerer.aligned(low, bounds).code}, {lowerer.aligned(high, bounds).code}"
    lowerer.writer.line(f"{nodes}, {weights} = {'_reach(1000, 0.01)' if real_line else f'_legendre({ends})'}")
    index = Index("q", Poly.of("q"))
    lowerer.integration[expr.variable] = Operand(nodes, (*bounds, index), deps)
    body = squeeze(lowerer.lower(expr.body, (*order, index)))
    axes = tuple(i for i in order if i in (*body.indices, *bounds))
    body = lowerer.aligned(body, (*axes, index))
    weight = lowerer.aligned(Operand(weights, (*bounds, index), deps), (*axes, index))
    code = f"_integrate({body.code}, {weight.code}).astype({lowerer.dtype}, copy=False)"
    return Operand(code, axes, body.deps | deps, fresh=True, refs=body.refs)
