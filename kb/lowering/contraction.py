"""Sums of products: which operands meet first, and as which NumPy call."""

from __future__ import annotations

from collections.abc import Sequence

from kb.index.affine import Index
from kb.lowering.operands import ATOM, PRODUCT, UNARY, Operand, permute, squeeze

LETTERS = "ijklmnopqrstuvwxyzabcdefgh"


def contract(operands: Sequence[Operand], out: tuple[Index, ...]) -> tuple[Operand, Operand]:
    """Choose the two operands to contract first; the smallest result wins."""
    best: tuple[tuple[int, int], Operand, Operand] | None = None
    for n, a in enumerate(operands):
        for b in operands[n + 1 :]:
            others = [o for o in operands if o is not a and o is not b]
            kept = result_axes(a, b, others, out)
            gone = len({*a.indices, *b.indices}) - len(kept)
            cost = (len(kept) - gone, len({*a.indices, *b.indices}))
            if best is None or cost < best[0]:
                best = (cost, a, b)
    assert best is not None
    return best[1], best[2]


def result_axes(a: Operand, b: Operand, others: Sequence[Operand], out: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices that are still needed once two operands were multiplied."""
    needed = set(out) | {i for o in others for i in o.indices}
    both = [*a.indices, *(i for i in b.indices if i not in a.indices)]
    kept = [i for i in both if i in needed]
    ordered = [i for i in out if i in kept]
    return tuple(ordered + [i for i in kept if i not in ordered])


def product_of_two(a: Operand, b: Operand, out: tuple[Index, ...], like: tuple[str, int] | None = None) -> Operand:
    """The sum over all indices that are not in ``out`` of ``a*b``, as one call.

    ``like`` names an argument (and its rank) to whose leading axes the result is reduced.
    """
    a, b = squeeze(a), squeeze(b)
    shared = [i for i in a.indices if i in b.indices and i in out]
    summed = [i for i in a.indices if i in b.indices and i not in out]
    rows = [i for i in a.indices if i not in b.indices and i in out]
    columns = [i for i in b.indices if i not in a.indices and i in out]
    alone = [i for i in (*a.indices, *b.indices) if i not in out and i not in summed]
    deps = a.deps | b.deps if like is None else frozenset([like[0]])
    if not rows and not columns and not alone:
        made = _elementwise(a, b, out, deps if like is None else a.deps | b.deps)
        return made
    plain = len(rows) == len(columns) == len(summed) == 1 and not alone and like is None
    if plain and list(out[: len(shared)]) == shared and len(out) == len(shared) + 2:
        return _matmul(a, b, shared, rows[0], columns[0], summed[0], out, deps)
    letters = dict(zip(dict.fromkeys((*out, *a.indices, *b.indices)), LETTERS, strict=False))

    def text(axes: Sequence[Index]) -> str:
        return "".join(letters[i] for i in axes)

    spec = f"{text(a.indices)},{text(b.indices)}->{text(out)}"
    tail = f", {like[0]}, {like[1]}" if like is not None else ""
    return Operand(f'_einsum("{spec}", {a.code}, {b.code}{tail})', out, deps, ATOM, fresh=True, refs=a.refs + b.refs)


def _elementwise(a: Operand, b: Operand, out: tuple[Index, ...], deps: frozenset[str]) -> Operand:
    """Both operands have the same axes: multiply and add along some of them, without a temporary."""
    letters = dict(zip(dict.fromkeys((*a.indices, *b.indices)), LETTERS, strict=False))

    def text(axes: Sequence[Index]) -> str:
        return "..." + "".join(letters[i] for i in axes)

    spec = f"{text(a.indices)},{text(b.indices)}->{text(out)}"
    if a.indices == b.indices and len(out) == len(a.indices) - 1 and a.indices[:-1] == out:
        return Operand(f"np.vecdot({a.code}, {b.code})", out, deps, ATOM, fresh=True, refs=a.refs + b.refs)
    return Operand(f'np.einsum("{spec}", {a.code}, {b.code})', out, deps, ATOM, fresh=True, refs=a.refs + b.refs)


def _matmul(
    a: Operand,
    b: Operand,
    shared: list[Index],
    row: Index,
    column: Index,
    summed: Index,
    out: tuple[Index, ...],
    deps: frozenset[str],
) -> Operand:
    """``a @ b``, with transposes that are views; the order of the result decides who stands left."""
    if out[-2:] == (column, row):
        a, b, row, column = b, a, column, row
    left = _batched(permute(a, (*[s for s in shared if s in a.indices], row, summed)), shared)
    right = _batched(permute(b, (*[s for s in shared if s in b.indices], summed, column)), shared)
    return Operand(
        f"{left.at_level(UNARY)} @ {right.at_level(UNARY)}", out, deps, PRODUCT, fresh=True, refs=a.refs + b.refs
    )


def _batched(operand: Operand, shared: list[Index]) -> Operand:
    """Shared axes that the operand lacks become axes of length 1 where others precede them."""
    if all(s in operand.indices for s in shared) or not operand.deps:
        return operand
    key = [":" if s in operand.indices else "None" for s in shared] + [":", ":"]
    return Operand(
        f"{operand.at_level(ATOM)}[..., {', '.join(key)}]", operand.axes, operand.deps, ATOM, refs=operand.refs
    )
