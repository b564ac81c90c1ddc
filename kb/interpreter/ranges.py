"""The range of an index, from the shapes it reads and the conditions it meets; reductions over it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from kb.errors import EqkbError, LanguageError
from kb.interpreter.arrays import Array, Value, integer, items, shape_of, spread
from kb.interpreter.functions import BINDERS, concatenate
from kb.interpreter.plan import Frame, NotAffine, Read, affine, index_bound, split_binder
from kb.tree import Call, Chain, Comparison, Element, Logic, Name, Node, Not, names, walk

if TYPE_CHECKING:
    from kb.interpreter.machine import Machine


def find_ranges(
    machine: Machine,
    indices: list[str],
    nodes: list[Node],
    conditions: list[Node],
    frame: Frame,
    skip: Collection[str] = (),
) -> list[range]:
    """The range of each index, from what it reads in the nodes; the names in ``skip`` are not looked at."""
    reads = list(_reads(machine, [*nodes, *conditions], frame, skip))
    found = []
    for name in indices:
        counts = _condition_counts(name, conditions, frame)
        bare = index_bound(name, [r for r in reads if r.terms == {name: 1} and r.constant == 0])
        count = bare if bare is not None else min(counts) if counts else index_bound(name, reads)
        if count is None:
            raise LanguageError(
                f"the range of the index '{name}' cannot be found: let it read an array, "
                f"or give a condition such as '{name} < n'",
                nodes[0].at,
            )
        found.append(range(max(0, count)))
    return found


def _reads(machine: Machine, nodes: list[Node], frame: Frame, skip: Collection[str]) -> Iterator[Read]:
    for node in nodes:
        cached = machine.elements.get(id(node))
        if cached is None or cached[0] is not node:
            cached = (node, [n for n in walk(node) if isinstance(n, Element)])
            machine.elements[id(node)] = cached
        for element in cached[1]:
            shape: tuple[int, ...] | None = None
            outside = False
            for axis, index in enumerate(element.indices):
                try:
                    terms, constant = affine(index, frame.whole)
                except NotAffine:
                    continue
                if not terms:
                    continue
                if shape is None:
                    shape, outside = _base_shape(machine, element.base, frame, skip)
                if axis < len(shape):
                    yield Read(terms, constant, shape[axis], outside)


def _base_shape(machine: Machine, base: Node, frame: Frame, skip: Collection[str]) -> tuple[tuple[int, ...], bool]:
    if isinstance(base, Name):
        symbol = frame.plan.symbols.get(base.id)
        outside = symbol is not None and symbol.outside is not None
        if base.id in skip:
            return (), outside
        if isinstance(frame.bound.get(base.id), Array):  # the variable of an expectation over vectors
            return shape_of(frame.bound[base.id]), outside
        if base.id in frame.values:
            return shape_of(frame.values[base.id]), outside
        return declared_shape(machine, base.id, frame) or (), outside
    # Something computed: its shape is the same for all values of the indices in it.
    zeros = {name: 0 for name in names(base) if frame.is_new(name) and name not in ("pi", "oo")}
    frame.bound.update(zeros)
    try:
        return shape_of(machine.value(base, frame)), False
    except EqkbError:
        return (), False
    finally:
        for name in zeros:
            del frame.bound[name]


def _condition_counts(name: str, conditions: list[Node], frame: Frame) -> list[int]:
    """From ``u < k`` and its kin: how many values of u, from 0 on, can meet them."""
    counts = []
    for condition in conditions:
        if isinstance(condition, Logic) and condition.operator == "and":
            counts.extend(_condition_counts(name, list(condition.operands), frame))
        if not isinstance(condition, Comparison):
            continue
        sides = (condition.left, condition.right)
        low, high = sides if condition.operator in ("<", "<=", "==") else reversed(sides)
        try:
            terms, constant = affine(Chain((low, high), ("-",)), frame.whole)
        except NotAffine:
            continue
        factor = terms.get(name, 0)
        if len(terms) == 1 and factor > 0 and condition.operator != "!=":
            counts.append((-constant - (condition.operator in ("<", ">"))) // factor + 1)
        elif len(terms) == 1 and factor < 0 and condition.operator == "==":
            counts.append(constant // -factor + 1)
    return counts


def declared_shape(machine: Machine, name: str, frame: Frame) -> tuple[int, ...] | None:
    """The shape that the entry declares for a symbol; None if it declares none, or leaves sizes open."""
    shape = frame.plan.shapes.get(name)
    if shape is None:
        return None
    try:
        return tuple(integer(machine.value(size, frame)) for size in shape)
    except LanguageError:
        return None


def reduce(machine: Machine, node: Call, frame: Frame, name: str) -> Value:
    """A reduction over indices, of everything, or (max, min, concat) of several values."""
    if name not in BINDERS or not node.arguments:
        raise LanguageError(f"'{name}' does not reduce {len(node.arguments)} arguments", node.at)
    reduction, empty = BINDERS[name]
    indices, conditions = split_binder(node, frame.is_new)
    if not indices:
        return _reduce_all(machine, node, frame, name)
    if len(indices) + len(conditions) < len(node.arguments) - 1:
        raise LanguageError(
            f"after the first argument of {name} come index names that are not declared, and conditions", node.at
        )
    body = node.arguments[0]
    ranges = find_ranges(machine, indices, [body], conditions, frame)
    values, places = [], []
    for _ in machine.loop(indices, ranges, conditions, frame):
        values.append(machine.value(body, frame))
        places.append(frame.bound[indices[0]])
    if not values and not empty:
        raise LanguageError(f"{name} of nothing: no index meets the conditions", node.at)
    result = reduction(values) if values else _nothing(machine, body, indices, ranges, frame, reduction([]))
    # With several indices the place counts in reading order.
    return places[result] if name.startswith("arg") and len(indices) == 1 else result


def _nothing(
    machine: Machine, body: Node, indices: list[str], ranges: list[range], frame: Frame, value: Value
) -> Value:
    """A sum or product over nothing, in the shape that a term would have if it had one."""
    for _ in machine.loop(indices, ranges, [], frame):
        try:
            return spread(value, shape_of(machine.value(body, frame)))
        except EqkbError:
            break
    return value


def _reduce_all(machine: Machine, node: Call, frame: Frame, name: str) -> Value:
    reduction, empty = BINDERS[name]
    _refuse_shadowing(node, frame, name)
    values = [machine.value(argument, frame) for argument in node.arguments]
    if name == "concat":
        return concatenate(values)
    if len(values) > 1:
        if name not in ("max", "min") or any(isinstance(a, (Comparison, Logic, Not)) for a in node.arguments):
            raise LanguageError(f"{name} needs an index that is not declared: {name}(body, i)", node.at)
        return reduction(values)
    if not items(values[0]) and not empty:
        raise LanguageError(f"{name} of an empty array", node.at)
    return reduction(items(values[0]))


def _refuse_shadowing(node: Call, frame: Frame, name: str) -> None:
    """``max(Q[s, a], a)`` with an ``a`` that has a value already is not meant elementwise."""
    subscripts = {i for n in walk(node.arguments[0]) if isinstance(n, Element) for i in n.indices}
    for argument in node.arguments[1:]:
        symbol = frame.plan.symbols.get(argument.id) if isinstance(argument, Name) else None
        if (argument in subscripts and isinstance(argument, Name)) or (symbol is not None and symbol.kind == "label"):
            raise LanguageError(
                f"'{argument}' has a value here already and cannot be an index of {name}; choose another index name",
                argument.at,
            )
