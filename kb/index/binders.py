"""Binders: ``sum(body, i, j, condition)`` and its kin, and how an index finds its range."""

from __future__ import annotations

from kb import tree
from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.expressions import Expressions, mean_weight
from kb.index.nodes import Condition, Expr, free_indices
from kb.index.program import Step
from kb.index.scope import Array, Scope, show, show_shape, size_of
from kb.parser import check_name

_ELEMENTWISE = ("max", "min", "logsumexp")
MAX_VALUES = 32


def binder(expressions: Expressions, node: tree.Call) -> Array:
    """Elaborate a call of a binder."""
    if not node.arguments:
        raise LanguageError(f"'{node.function}' needs something to work on: {node.function}(body, index)", node.at)
    body, *rest = node.arguments
    if not rest:
        return _over_everything(expressions, node, body)
    names, conditions = _split(expressions, node, body, rest)
    if names is None:
        return _of_several(expressions, node)
    indices = {n.id: Index(check_name(n.id, n.at, "index")) for n in names}
    if len(indices) < len(names):
        raise LanguageError(f"'{node.function}' binds the same index twice", names[-1].at)
    infer_ranges(expressions, indices, [body, *conditions])
    scope = expressions.scope
    with scope.binding(indices):
        tests = [_scalar_condition(expressions, c) for c in conditions]
        inner = expressions.array(body)
        for name, index in indices.items():
            if index.size is None:
                raise LanguageError(
                    f"the range of index {name!r} in '{node}' cannot be inferred; read it bare, as in x[{name}], "
                    f"or bound it with a condition: {name} < n",
                    node.at,
                )
        if node.function == "concat":
            return _concat(expressions, node, indices, inner)
    return _bound(node.function, tuple(indices.values()), tuple(tests), inner, node)


def _bound(op: str, indices: tuple[Index, ...], tests: tuple[Condition, ...], inner: Array, node: tree.Node) -> Array:
    if op in ("argmax", "argmin"):
        raise LanguageError(f"'{op}' gives an index, not a number; it cannot stand in a formula yet", node.at)
    if op == "mean":
        weight = mean_weight(indices, tests)
        return Array(inner.shape, lambda idx: build.mul(weight, build.bind("sum", indices, tests, inner.at(idx))))
    return Array(inner.shape, lambda idx: build.bind(op, indices, tests, inner.at(idx)))


def _over_everything(expressions: Expressions, node: tree.Call, body: tree.Node) -> Array:
    inner = expressions.array(body)
    if node.function == "concat":
        raise LanguageError("concat needs an index or several values: concat(block[i], i), concat(x, y)", node.at)
    if not inner.rank:
        raise LanguageError(f"'{body}' is a number; '{node.function}' needs an array or an index", body.at)
    names = expressions.scope.free_names(inner.rank)
    indices = tuple(Index(n, s) for n, s in zip(names, inner.shape, strict=True))
    body_expr = inner.at(tuple(Poly.of(i) for i in indices))
    return _bound(node.function, indices, (), Array((), lambda idx: body_expr), node)


def _of_several(expressions: Expressions, node: tree.Call) -> Array:
    if len(node.arguments) > MAX_VALUES:
        raise LanguageError(
            f"'{node.function}' of {len(node.arguments):,} values; the limit is {MAX_VALUES}. Put them in an array",
            node.at,
        )
    arrays = [expressions.array(a) for a in node.arguments]
    if node.function == "concat":
        return _joined(expressions, node, arrays)
    if node.function != "logsumexp":
        arrays = [expressions.named(a) for a in arrays]
    return expressions.elementwise(node, lambda *parts: build.several(node.function, parts), *arrays)


def _split(
    expressions: Expressions, node: tree.Call, body: tree.Node, rest: list[tree.Node]
) -> tuple[list[tree.Name] | None, list[tree.Node]]:
    """The bound names and the conditions; None for names if the call is elementwise."""
    scope = expressions.scope
    conditions: list[tree.Node] = [a for a in rest if isinstance(a, (tree.Comparison, tree.Logic, tree.Not))]
    others = [a for a in rest if a not in conditions]
    new = [a for a in others if isinstance(a, tree.Name) and not _is_known(scope, a.id)]
    if not new and node.function in (*_ELEMENTWISE, "concat") and not conditions:
        elements = [n for n in tree.walk(body) if isinstance(n, tree.Element)]
        subscripts = {i.id for n in elements for i in n.indices if isinstance(i, tree.Name)}
        for other in others:
            if isinstance(other, tree.Name) and (other.id in subscripts or _is_label(scope, other.id)):
                raise _shadowing(node, other)
        return None, []
    for other in others:
        if other in new:
            continue
        if isinstance(other, tree.Name):
            raise _shadowing(node, other)
        raise LanguageError(f"'{other}' is neither an index nor a condition of '{node.function}'", other.at)
    return [n for n in new if isinstance(n, tree.Name)], conditions


def _is_known(scope: Scope, name: str) -> bool:
    return scope.is_taken(name) or name in scope.later or name in scope.poisoned


def _is_label(scope: Scope, name: str) -> bool:
    return name in scope.declared and scope.declared[name].kind == "label"


def _shadowing(node: tree.Call, name: tree.Name) -> LanguageError:
    return LanguageError(
        f"{name.id!r} already has a meaning here, so '{node.function}' cannot bind it; use another name for the index",
        name.at,
    )


def _scalar_condition(expressions: Expressions, node: tree.Node) -> Condition:
    shape, test = expressions.condition(node)
    if shape:
        raise LanguageError(f"the condition '{node}' is not about single numbers", node.at)
    return test(())


# --- ranges --------------------------------------------------------------------------------------


def infer_ranges(expressions: Expressions, indices: dict[str, Index], nodes: list[tree.Node]) -> None:
    """Give indices the range of the arrays that they read bare, or of a condition ``i < n``."""
    found: dict[str, list[tuple[Poly, tree.Node]]] = {name: [] for name in indices}
    padded: dict[str, list[tuple[Poly, tree.Node]]] = {name: [] for name in indices}
    conditions: dict[str, list[tuple[Poly, tree.Node]]] = {name: [] for name in indices}
    for node in nodes:
        for part in tree.walk(node):
            if isinstance(part, tree.Element) and isinstance(part.base, tree.Name):
                _from_element(expressions, part, found, padded)
            elif isinstance(part, tree.Comparison):
                _from_condition(expressions, part, conditions, indices)
    for name, index in indices.items():
        candidates = [*found[name], *conditions[name]] or padded[name]
        if candidates and index.size is None:
            index.size = _smallest(expressions.scope, name, candidates)


def bound_by_shifted_reads(expressions: Expressions, index: Index, nodes: list[tree.Node]) -> None:
    """Give an index that nothing reads bare the range for which reads such as ``x[t + 1]`` stay inside."""
    scope, sizes = expressions.scope, []
    for part in (p for node in nodes for p in tree.walk(node)):
        if not isinstance(part, tree.Element) or not isinstance(part.base, tree.Name):
            continue
        held = scope.current.get(part.base.id)
        if held is None or expressions.is_padded(part.base.id):
            continue
        for place, size in zip(part.indices, scope.tensors[held].shape, strict=False):
            try:
                with scope.binding({index.name: index}):
                    shift = (expressions.index(place) - Poly.of(index)).constant
            except LanguageError:
                continue
            if shift is not None:
                sizes.append((size - shift, part))
    if sizes:
        index.size = _smallest(scope, index.name, list(sizes))


Found = dict[str, list[tuple[Poly, tree.Node]]]


def _from_element(expressions: Expressions, node: tree.Element, found: Found, padded: Found) -> None:
    assert isinstance(node.base, tree.Name)
    scope, name = expressions.scope, node.base.id
    shape = None
    if name in scope.arrays:
        shape = scope.arrays[name].shape
    elif name in scope.current:
        shape = scope.tensors[scope.current[name]].shape
    for place, size in zip(node.indices, shape or (), strict=False):
        if isinstance(place, tree.Name) and place.id in found:
            (padded if expressions.is_padded(name) else found)[place.id].append((size, node))


def _from_condition(expressions: Expressions, node: tree.Comparison, found: Found, indices: dict[str, Index]) -> None:
    """``i < n``, ``i + 1 <= n`` or ``2*i < n`` bound an index from above."""
    small, large = (node.left, node.right) if node.operator in ("<", "<=") else (node.right, node.left)
    if node.operator not in ("<", "<=", ">", ">="):
        return

    def name(part: tree.Name) -> Poly:
        return Poly.of(indices[part.id]) if part.id in indices else expressions.index_name(part)

    try:
        room = size_of(large, name) - size_of(small, name) - (0 if node.operator in ("<=", ">=") else 1)
    except LanguageError:
        return
    moving = set(room.indices())
    if len(moving) != 1:
        return
    (index,) = moving
    parts = room.split(index)
    if index.name not in found or indices[index.name] is not index or parts is None:
        return
    slope, rest = parts
    if slope.constant is not None and slope.constant < 0:
        found[index.name].append((rest // Poly.of(-slope.constant) + 1, node))


def _smallest(scope: Scope, name: str, candidates: list[tuple[Poly, tree.Node]]) -> Poly:
    """The smallest of the ranges; a condition that may bound more or less than the reads do stays a condition."""
    reads = [c for c in candidates if not isinstance(c[1], tree.Comparison)]
    ordered = [*reads, *(c for c in candidates if c not in reads)]
    best, origin = ordered[0]
    for size, node in ordered[1:]:
        if size == best or scope.facts.nonnegative(size - best):
            continue
        if scope.facts.nonnegative(best - size):
            best, origin = size, node
            continue
        if reads and isinstance(node, tree.Comparison):
            continue
        raise LanguageError(
            f"index {name!r} runs over {show(best)} values in '{origin}' but over {show(size)} in '{node}'; "
            f"the ranges must agree",
            node.at,
        )
    return best


# --- concat --------------------------------------------------------------------------------------


def _concat(expressions: Expressions, node: tree.Call, indices: dict[str, Index], inner: Array) -> Array:
    """``concat(block[i], i)``: element j of block i lands at ``i*width + j`` of the last axis."""
    if len(indices) != 1 or inner.rank < 1:
        raise LanguageError("concat joins blocks along their last axis: concat(block[i], i)", node.at)
    (index,) = indices.values()
    scope = expressions.scope
    names = scope.free_names(inner.rank)
    free = tuple(Index(n, s) for n, s in zip(names, inner.shape, strict=True))
    *front, last = free
    width = inner.shape[-1]
    expr = inner.at(tuple(Poly.of(i) for i in free))
    outer = [i for i in scope.indices.values() if i in free_indices(expr) and i is not index]
    copies = [i.fresh() for i in outer]
    block = index.fresh()
    mapping: dict[Atom, Poly] = {i: Poly.of(c) for i, c in zip((*outer, index), (*copies, block), strict=True)}
    target = (*map(Poly.of, copies), *map(Poly.of, front), Poly.of(block) * width + Poly.of(last))
    size = index.extent * width
    shape = (*(i.extent for i in outer), *inner.shape[:-1], size)
    name = scope.unique("joined")
    step = Step(name, (*copies, *front, block, last), target, build.substitute(expr, mapping), shape)
    expressions.add_step(step)
    lead = tuple(Poly.of(i) for i in outer)
    return Array((*inner.shape[:-1], size), lambda idx: _read(name, lead + idx))


def _joined(expressions: Expressions, node: tree.Call, arrays: list[Array]) -> Array:
    """``concat(x, y)``: the values one after the other along their last axis; a number is one element."""
    if any(a.row for a in arrays):
        raise LanguageError("concat joins along the last axis, so that a transposed vector has no place in it", node.at)
    blocks = [a if a.rank else _as_vector(a) for a in arrays]
    first = blocks[0]
    for block, argument in zip(blocks, node.arguments, strict=True):
        if block.shape[:-1] != first.shape[:-1]:
            raise LanguageError(
                f"concat joins along the last axis, and all other axes must agree, but '{node.arguments[0]}' has shape "
                f"{show_shape(first.shape)} and '{argument}' has {show_shape(block.shape)}",
                argument.at,
            )
    scope = expressions.scope
    size = sum((b.shape[-1] for b in blocks), Poly.of(0))
    at_any = [b.at(tuple(Poly.of(Index("_", s)) for s in b.shape)) for b in blocks]
    outer = [i for i in scope.indices.values() if any(i in free_indices(e) for e in at_any)]
    name = scope.unique("joined")
    offset = Poly.of(0)
    for block in blocks:
        free = tuple(Index(n, s) for n, s in zip(scope.free_names(block.rank), block.shape, strict=True))
        copies = [i.fresh() for i in outer]
        mapping: dict[Atom, Poly] = {i: Poly.of(c) for i, c in zip(outer, copies, strict=True)}
        expr = build.substitute(block.at(tuple(map(Poly.of, free))), mapping)
        target = (*map(Poly.of, (*copies, *free[:-1])), offset + Poly.of(free[-1]))
        shape = (*(i.extent for i in outer), *first.shape[:-1], size)
        expressions.add_step(Step(name, (*copies, *free), target, expr, shape))
        offset += block.shape[-1]
    lead = tuple(map(Poly.of, outer))
    return Array((*first.shape[:-1], size), lambda idx: _read(name, lead + idx))


def _as_vector(number: Array) -> Array:
    return Array((Poly.of(1),), lambda idx: number.at(()))


def _read(name: str, idx: tuple[Poly, ...]) -> Expr:
    from kb.index.nodes import Read

    return Read(name, idx, False)
