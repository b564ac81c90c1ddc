"""Reads of arrays: whole, at a label, at a fixed place, or through a shifted and strided view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kb.index import build
from kb.index.affine import FloorDiv, Gather, Index, Poly
from kb.index.nodes import Cases, Expr, Num, Read, free_indices
from kb.index.nodes import _key as canonical_key
from kb.index.program import Program
from kb.lowering.operands import ATOM, Operand, align, number, poly_code, union

if TYPE_CHECKING:
    from kb.lowering.arrays import Lowerer

_WIDEST = 8  # elements of a table along each axis
Moves = tuple[Poly, tuple[tuple[Index, Poly], ...]]


@dataclass(frozen=True, slots=True)
class View:
    """A strided view that was made: its variable, and which index each axis means."""

    code: str
    axes: tuple[Index, ...]
    deps: frozenset[str]
    base: str


def table(expr: Cases, order: tuple[Index, ...], dtype: str) -> Operand | None:
    """Numbers at constant places, as an author writes them: ``np.array([[1, 0], [2, 3]], dtype)``."""
    axes = tuple(i for i in order if i in free_indices(expr))
    sizes = [i.extent.constant for i in axes]
    if not axes or free_indices(expr) - set(axes) or not all(s is not None and 0 < s <= _WIDEST for s in sizes):
        return None
    code = _listed(expr, axes)
    return None if code is None else Operand(f"np.array({code}, {dtype})", axes, fresh=True)


def _listed(expr: Expr, axes: tuple[Index, ...]) -> str | None:
    """The numbers as nested lists; None if one of them is not known."""
    if not axes:
        return number(expr.value).code if isinstance(expr, Num) else None
    axis, *rest = axes
    size = int(axis.extent.constant or 0)
    items: list[str] = []
    for n in range(size):
        item = _listed(build.substitute(expr, {axis: Poly.of(n)}), tuple(rest))
        if item is None:
            return None
        items.append(item)
    return f"[{', '.join(items)}]"


def read(lowerer: Lowerer, node: Read, order: tuple[Index, ...]) -> Operand:
    """The operand for a read."""
    array = lowerer.variable(node.name)
    shape = lowerer.program.shape(node.name)
    bare = [p.index for p in node.index]
    if _is_whole(node, shape, bare, lowerer):
        return replace(array, axes=tuple(bare))
    if any(isinstance(a, Gather) for p in node.index for a in p.atoms()):
        return _labelled(lowerer, node, array, order)
    if any(not is_affine(p) for p in node.index):
        return spread(lowerer, node, array, order)
    dense = [i for p in node.index for i in _indices(p) if i not in lowerer.loops]
    if len(dense) != len(set(dense)):
        return _diagonal(lowerer, node, array, order)
    if _is_fixed(lowerer, node):
        return _fixed(lowerer, array, node.index)
    if node.name in lowerer.rolling:
        return _of_turn(lowerer, node, array, order)
    view = view_of(lowerer, node)
    key = [lowerer.loops.get(i, ":") for i in view.axes]
    axes = tuple(i for i in view.axes if i not in lowerer.loops)
    code = view.code if all(k == ":" for k in key) else f"{view.code}[..., {', '.join(key)}]"
    return Operand(code, axes, view.deps, refs=(view.base,))


def _of_turn(lowerer: Lowerer, node: Read, array: Operand, order: tuple[Index, ...]) -> Operand:
    """A read of an array that the loop around it fills: a view of the part that one turn made."""
    fixed = [all(i in lowerer.loops for i in p.indices()) for p in node.index]
    rest = tuple(p for p, is_fixed in zip(node.index, fixed, strict=True) if not is_fixed)
    if any(i in lowerer.loops for p in rest for i in p.indices()):
        return spread(lowerer, node, array, order)
    key = [poly_code(p, lowerer.loops) if f else ":" for p, f in zip(node.index, fixed, strict=True)]
    outside = ", True" if may_leave(lowerer.program, node.name, node.index) else ""
    spec, axes = axes_code(rest)
    name = lowerer.writer.name(f"{node.name}_view")
    lowerer.writer.line(f"{name} = _view({array.code}[..., {', '.join(key)}], {len(rest)}, {spec}{outside})")
    return Operand(name, axes, array.deps)


def is_through_view(lowerer: Lowerer, node: Read) -> bool:
    """Whether a read takes a strided view of its array."""
    if any(isinstance(a, Gather) for p in node.index for a in p.atoms()) or any(not is_affine(p) for p in node.index):
        return False
    dense = [i for p in node.index for i in _indices(p) if i not in lowerer.loops]
    bare = [p.index for p in node.index]
    shape = lowerer.program.shape(node.name)
    return len(dense) == len(set(dense)) and not _is_whole(node, shape, bare, lowerer) and not _is_fixed(lowerer, node)


def _is_fixed(lowerer: Lowerer, node: Read) -> bool:
    """Whether every axis is read whole, or at one place."""
    places = zip(node.index, lowerer.program.shape(node.name), strict=True)
    return all(_is_simple(p, size, lowerer) for p, size in places) and not may_leave(
        lowerer.program, node.name, node.index
    )


def may_leave(program: Program, name: str, index: tuple[Poly, ...]) -> bool:
    """Whether places may lie outside an array, which says what it is there, or a condition guards the read.

    A label is always inside; its value is checked when it is used.
    """
    places = zip(index, program.shape(name), strict=True)
    own = [(p, s) for p, s in places if not isinstance(p.atom, Gather)]
    return not all(program.facts.within(p, s) for p, s in own)


def _is_whole(node: Read, shape: tuple[Poly, ...], bare: list[Index | None], lowerer: Lowerer) -> bool:
    return all(
        b is not None and b not in lowerer.loops and b.size == s for b, s in zip(bare, shape, strict=True)
    ) and len(set(bare)) == len(bare)


def is_affine(poly: Poly) -> bool:
    """Whether a place is affine in every index."""
    if any(isinstance(a, FloorDiv) and any(True for _ in a.numerator.indices()) for a in poly.atoms()):
        return False
    return all(poly.split(i) is not None for i in set(poly.indices()))


def _indices(poly: Poly) -> list[Index]:
    return list(dict.fromkeys(poly.indices()))


def _is_simple(poly: Poly, size: Poly, lowerer: Lowerer) -> bool:
    """A bare index over the whole axis, or a place that is fixed here."""
    if poly.index is not None and poly.index not in lowerer.loops:
        return poly.index.size == size
    return all(i in lowerer.loops for i in poly.indices())


def _fixed(lowerer: Lowerer, array: Operand, index: tuple[Poly, ...]) -> Operand:
    key, axes = [], []
    for poly in index:
        if poly.index is not None and poly.index not in lowerer.loops:
            key.append(":")
            axes.append(poly.index)
        else:
            key.append(poly_code(poly, lowerer.loops))
    return Operand(f"{array.code}[..., {', '.join(key)}]", tuple(axes), array.deps, refs=(array.code,))


# --- views ---------------------------------------------------------------------------------------


def moves(poly: Poly) -> Moves:
    """``(start, ((index, step), ...))`` of an affine place."""
    start, found = poly, []
    for index in _indices(poly):
        parts = start.split(index)
        assert parts is not None
        found.append((index, parts[0]))
        start = parts[1]
    return start, tuple(found)


def axes_code(places: tuple[Poly, ...]) -> tuple[str, tuple[Index, ...]]:
    """The specification of a strided view, and the index that each of its axes means."""
    parts, axes = [], []
    for place in places:
        start, found = moves(place)
        inner = [poly_code(start)]
        for index, step in found:
            inner.append(f"({poly_code(index.extent)}, {poly_code(step)})")
            axes.append(index)
        parts.append(f"({', '.join(inner)},)" if len(inner) == 1 else f"({', '.join(inner)})")
    return f"({', '.join(parts)},)" if len(parts) == 1 else f"({', '.join(parts)})", tuple(axes)


def view_of(lowerer: Lowerer, node: Read) -> View:
    """The view through which a read goes; made once."""
    array = lowerer.variable(node.name)
    indices = list(dict.fromkeys(i for p in node.index for i in _indices(p)))
    names = {i: ("f", n, canonical_key(i.extent, {})) for n, i in enumerate(indices)}
    key = canonical_key(node, names)
    made = lowerer.views.get(key)
    if made is None:
        code, axes = axes_code(node.index)
        name = lowerer.writer.name(f"{node.name}_view")
        outside = ", True" if may_leave(lowerer.program, node.name, node.index) else ""
        lowerer.writer.line(f"{name} = _view({array.code}, {len(node.index)}, {code}{outside})")
        made = (name, tuple(indices.index(i) for i in axes), array.deps, node.name if outside else "")
        lowerer.pinned_here.add(array.code)
        lowerer.views[key] = made
    name, places, deps, _ = made
    return View(name, tuple(indices[p] for p in places), deps, array.code)


def _diagonal(lowerer: Lowerer, node: Read, array: Operand, order: tuple[Index, ...]) -> Operand:
    """The same index on two axes."""
    shape = lowerer.program.shape(node.name)
    whole = all(p.index is not None and p.index.size == s for p, s in zip(node.index, shape, strict=True))
    if not whole or any(i in lowerer.loops for p in node.index for i in p.indices()):
        return spread(lowerer, node, array, order)
    own = [p.index for p in node.index]
    axes = tuple(i for i in dict.fromkeys(own) if i is not None)
    letters = dict(zip(axes, "ijklmn", strict=False))
    spec = f"...{''.join(letters[i] for i in own if i)}->...{''.join(letters[i] for i in axes)}"
    return Operand(f'np.einsum("{spec}", {array.code})', axes, array.deps, refs=(array.code,))


# --- places that are computed --------------------------------------------------------------------


def _labelled(lowerer: Lowerer, node: Read, array: Operand, order: tuple[Index, ...]) -> Operand:
    """One axis is selected by a label."""
    places = [n for n, p in enumerate(node.index) if isinstance(p.atom, Gather)]
    rest = [p for n, p in enumerate(node.index) if n not in places]
    simple = all(p.index is not None and p.index not in lowerer.loops for p in rest)
    if len(places) == 1 and simple and not may_leave(lowerer.program, node.name, node.index):
        label = node.index[places[0]].atom
        assert isinstance(label, Gather)
        if not label.index:
            held = lowerer.variable(label.name)
            axis = places[0] - len(node.index)
            code = f'_select({array.code}, {len(node.index)}, {axis}, {held.code}, "{label.name}")'
            axes = tuple(p.index for p in rest)
            return Operand(code, axes, array.deps | held.deps, ATOM, refs=(array.code,))
    return spread(lowerer, node, array, order)


def spread(lowerer: Lowerer, node: Read, array: Operand, order: tuple[Index, ...]) -> Operand:
    """Any read at all: an array of places for each axis."""
    places, axes, deps = place_arrays(lowerer, node.index, order)
    outside = ", True" if may_leave(lowerer.program, node.name, node.index) else ""
    code = f"_spread({array.code}, ({places}), {len(axes)}{outside})"
    return Operand(code, axes, array.deps | deps, ATOM, refs=(array.code,))


def place_arrays(
    lowerer: Lowerer, index: tuple[Poly, ...], order: tuple[Index, ...]
) -> tuple[str, tuple[Index, ...], frozenset[str]]:
    """Source of the whole-number places, one array each, that broadcast together."""
    operands = [lowerer.whole(p, order) for p in index]
    axes = union([o.axes for o in operands], order)
    deps = frozenset().union(*(o.deps for o in operands))
    return ", ".join(f"{align(o, axes)}" for o in operands) + ",", axes, deps
