"""Writing some elements of an array that has a value: ``Q[s, a] = value`` for labels s and a.

The new array is stated element by element: the value where the indices are those written, the old
element elsewhere. So derivatives, checks and code need to know nothing of it.
"""

from __future__ import annotations

from kb import tree
from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.nodes import Condition, Expr, Read, Val
from kb.index.scope import Array, Scope, show, show_shape


def selects(target: tree.Element, scope: Scope) -> bool:
    """Whether a label stands on the left side."""
    return any(_is_label(name, scope) for place in target.indices for name in tree.names(place))


def refuse_several(target: tree.Element, scope: Scope) -> None:
    """Refuse a left side that names a cell for each of several labels. Raises LanguageError."""
    for place in target.indices:
        for part in tree.walk(place):
            if isinstance(part, tree.Element) and isinstance(part.base, tree.Name) and _is_label(part.base.id, scope):
                names = {name for index in part.indices for name in tree.names(index)}
                moving = sorted(n for n in names if n not in scope.declared and n not in scope.dimensions)
                if moving:
                    raise LanguageError(
                        f"'{part}' selects a cell for each {moving[0]!r}, and two may be the same one; write all cells "
                        f"with an index, and select by a condition: sum(..., {moving[0]}, {part} == i)",
                        part.at,
                    )


def written(
    scope: Scope, target: tree.Element, places: tuple[Poly, ...], own: tuple[Index, ...], value: Array, old: str
) -> tuple[tuple[Index, ...], Expr]:
    """The free indices of the new array and its element there. Raises LanguageError.

    ``places`` are the subscripts of the left side, ``own`` its free indices, ``old`` the step or
    symbol whose other elements are kept.
    """
    shape = scope.tensors[old].shape
    rest = shape[len(places) :]
    if value.shape != rest and value.rank:
        raise LanguageError(
            f"'{target}' has shape {show_shape(rest)}, but its value has shape {show_shape(value.shape)}", target.at
        )
    names = iter(scope.free_names(len(shape)))
    free: list[Index] = []
    tests: list[Condition] = []
    for axis, size in enumerate(shape):
        place = places[axis] if axis < len(places) else None
        index = place.index if place is not None else None
        if index is not None and index in own and index not in free and index.extent == size:
            free.append(index)
            continue
        free.append(Index(next(names), size))
        if place is not None:
            _check_place(scope, target, axis, place, size, own)
            tests.append(build.compare("==", Val(Poly.of(free[-1])), build.val(place)))
    at = tuple(Poly.of(i) for i in free)
    element = value.at(at[len(places) :] if value.rank else ())
    kept = Read(old, at, False)
    return tuple(free), build.cases([(build.junction("and", tests), element)], kept)


def _check_place(
    scope: Scope, target: tree.Element, axis: int, place: Poly, size: Poly, own: tuple[Index, ...]
) -> None:
    """A place is fixed and in range."""
    node = target.indices[axis]
    if any(i in own for i in place.indices()):
        raise LanguageError(
            f"'{target.base}' has a value; of that, a left side may write what labels and whole numbers select, "
            f"and all along an index, but not '{node}'",
            node.at,
        )
    gathers = [atom for atom in place.atoms() if isinstance(atom, Gather)]
    for gather in gathers:
        if len(gather.index) != len(scope.tensors[gather.name].shape):
            raise LanguageError(
                f"{gather.name!r} is an array of labels, and two may select the same cell; write all cells with an "
                f"index, and select by a condition: sum(..., b, {gather.name}[b] == i)",
                node.at,
            )
    bounds = [(place, size)] if not isinstance(place.atom, Gather) else []
    bounds += [pair for g in gathers for pair in zip(g.index, scope.tensors[g.name].shape, strict=True)]
    for where, extent in bounds:
        if not scope.facts.within(where, extent):
            raise LanguageError(
                f"the left side '{target}' is not provably in range: {show(where)} must be at least 0 and below "
                f"{show(extent)}; declare what holds under 'requires'",
                node.at,
            )


def _is_label(name: str, scope: Scope) -> bool:
    symbol = scope.declared.get(name)
    return symbol is not None and symbol.kind == "label"
