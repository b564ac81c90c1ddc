"""Left sides with indices: free indices and their ranges, parts, cells, starts of recurrences."""

from __future__ import annotations

from kb import tree
from kb.errors import LanguageError
from kb.index import cells
from kb.index.affine import Index, Poly
from kb.index.binders import bound_by_shifted_reads, infer_ranges
from kb.index.definitions import Definitions, base_of
from kb.index.program import Step, Tensor, is_beyond
from kb.index.scope import Array, show, show_shape
from kb.parser import check_name


class LeftSides(Definitions):
    """Turns statements such as ``name[i, 2*j + 1] = value`` into steps."""

    def indexed(self, statement: tree.Step) -> None:
        """``name[i, 2*j + 1] = value``: free indices, their ranges, and the part that is defined."""
        targets = [t for t in statement.targets if isinstance(t, tree.Element)]
        if len(targets) < len(statement.targets):
            raise LanguageError("several targets are all plain names, or all elements such as h[t], c[t]", statement.at)
        indices: dict[str, Index] = {}
        for target in targets:
            indices.update({n: i for n, i in self._free_indices(target).items() if n not in indices})
        for name in sorted(tree.names(statement.value) & self.waiting.keys() - {base_of(t) for t in targets}):
            self._open_ahead(name)
        shapes = [self._shape_of(target, indices) for target in targets]
        infer_ranges(self.expressions, indices, [statement.value])
        for n, target in enumerate(targets):
            shapes[n] = shapes[n] or self._shape_from_start(target, indices, [statement.value])
        with self.scope.binding(indices):
            places = [tuple(self.expressions.index(i) for i in t.indices) for t in targets]
            values = self.values(statement)
            for index_name, index in indices.items():
                if index.size is None:
                    raise LanguageError(
                        f"the range of index {index_name!r} cannot be inferred; declare the shape of "
                        f"{base_of(targets[0])!r}",
                        targets[0].at,
                    )
            self.scope.settle()
            for target, place, inner, shape in zip(targets, places, values, shapes, strict=True):
                own = {n: i for n, i in indices.items() if any(i in p.indices() for p in place)}
                if len(own) < len(indices):
                    raise LanguageError("several targets have the same indices, as in h[t], c[t]", target.at)
                if self.keeps_the_rest(target, place, own):
                    self._store_cells(target, place, own, inner)
                elif shape is None and not indices:
                    self.waiting.setdefault(base_of(target), []).append((target, place, inner))
                else:
                    self._store_part(target, base_of(target), own, place, inner, shape)

    def _shape_of(self, target: tree.Element, indices: dict[str, Index]) -> tuple[Poly, ...] | None:
        """The declared shape of what a target is part of; the ranges of its indices follow from it."""
        name = base_of(target)
        declared = self.declared_shape(name) if name not in self.parts else self.parts[name][0].shape
        if declared is not None:
            if len(target.indices) > len(declared):
                raise LanguageError(
                    f"{name!r} has {len(declared)} axes, but {len(target.indices)} indices are given", target.at
                )
            self._ranges_from_shape(target, indices, declared)
        return declared

    def _open_ahead(self, name: str) -> None:
        """Let a recurrence be read by a statement before that which defines it: what both say gives its range."""
        for _, statement in self.defined_in[name]:
            targets = [t for t in statement.targets if base_of(t) == name and isinstance(t, tree.Element)]
            indices = self._free_indices(targets[0]) if targets else {}
            if not indices:
                continue
            turns = [s for found in self.defined_in.values() for _, s in found]
            values = [s.value for s in turns if any(tree.names(t) & indices.keys() for t in s.targets)]
            infer_ranges(self.expressions, indices, values)
            self._shape_from_start(targets[0], indices, values)
            return

    def _shape_from_start(
        self, target: tree.Element, indices: dict[str, Index], values: list[tree.Node]
    ) -> tuple[Poly, ...] | None:
        """The shape of a recurrence without a declared one: from its start and the range of its index."""
        name = base_of(target)
        waiting = self.waiting.pop(name, [])
        if not waiting:
            return None
        with self.scope.binding(indices):
            places = tuple(self.expressions.index(i) for i in target.indices)
        (_, _, first), *_ = waiting
        if len(places) != 1 or len(indices) != 1:
            raise LanguageError(
                f"declare the shape of {name!r}, as in symbols: {name}: {{shape: [...], role: step}}", target.at
            )
        (index,) = indices.values()
        shift = (places[0] - Poly.of(index)).constant
        if index.size is None:
            bound_by_shifted_reads(self.expressions, index, values)
        if shift is None or index.size is None or shift < 0:
            raise LanguageError(
                f"the range of {name!r} cannot be inferred; declare its shape, as in symbols: {name}: "
                f"{{shape: [...], role: step}}",
                target.at,
            )
        shape = (index.size + shift, *first.shape)
        for start, place, inner in waiting:
            self._store_part(start, name, {}, place, inner, shape)
        return shape

    def _free_indices(self, target: tree.Element) -> dict[str, Index]:
        indices: dict[str, Index] = {}
        cells.refuse_several(target, self.scope)
        for node in target.indices:
            for part in tree.walk(node):
                if not isinstance(part, tree.Name):
                    continue
                symbol = self.scope.declared.get(part.id)
                if part.id in self.scope.dimensions or (symbol is not None and symbol.kind == "integer"):
                    continue
                if symbol is not None and symbol.kind == "label":
                    continue
                if self.scope.is_taken(part.id) or part.id == base_of(target):
                    raise LanguageError(
                        f"{part.id!r} already has a meaning here and cannot be a free index; rename it", part.at
                    )
                check_name(part.id, part.at, "index")
                indices.setdefault(part.id, Index(part.id))
        return indices

    def _ranges_from_shape(self, target: tree.Element, indices: dict[str, Index], shape: tuple[Poly, ...]) -> None:
        with self.scope.binding(indices):
            for axis, (node, size) in enumerate(zip(target.indices, shape, strict=False)):
                place = self.expressions.index(node)
                open_indices = [i for i in set(place.indices()) if i.size is None]
                if len(open_indices) != 1:
                    continue
                (index,) = open_indices
                parts = place.split(index)
                if parts is None or not self.scope.facts.nonnegative(parts[0] - 1):
                    raise LanguageError(f"'{node}' is not an affine left side such as 2*i + 1", node.at)
                slope, offset = parts
                index.size = (size - self._given_at_end(target, size, axis) - offset + slope - 1) // slope

    def _given_at_end(self, target: tree.Element, size: Poly, axis: int) -> int:
        """How many of the last elements have definitions of their own: a recurrence may start from them."""
        given = {p.target[axis] for p in self.parts.get(base_of(target), ())}
        count = 0
        while size - (count + 1) in given:
            count += 1
        return count

    def keeps_the_rest(self, target: tree.Element, places: tuple[Poly, ...], own: dict[str, Index]) -> bool:
        """Whether elements of an array that has a value are written. Raises LanguageError."""
        name = base_of(target)
        complete = name in self.scope.current and name not in self.scope.opened
        if cells.selects(target, self.scope):
            if not complete:
                raise LanguageError(
                    f"'{target}' is what a label selects of {name!r}, which has no value yet; define all of it first",
                    target.at,
                )
            return True
        if not complete or name in self.parts:
            return False
        shape = self.scope.tensors[self.scope.current[name]].shape
        whole = len(own) == len(places) and all(p.index is not None for p in places)
        return not whole and not any(is_beyond(p, s) for p, s in zip(places, shape, strict=False))

    def _store_cells(self, target: tree.Element, places: tuple[Poly, ...], own: dict[str, Index], value: Array) -> None:
        name = base_of(target)
        old = self.scope.current[name]
        free, expr = cells.written(self.scope, target, places, tuple(own.values()), value, old)
        self.define(name, free, tuple(map(Poly.of, free)), expr, self.scope.tensors[old].shape)

    def _store_part(
        self,
        target: tree.Element,
        name: str,
        indices: dict[str, Index],
        places: tuple[Poly, ...],
        inner: Array,
        declared: tuple[Poly, ...] | None,
    ) -> None:
        rest_names = self.scope.free_names(inner.rank)
        rest = tuple(Index(n, s) for n, s in zip(rest_names, inner.shape, strict=True))
        free = (*indices.values(), *rest)
        full = (*places, *(Poly.of(i) for i in rest))
        expr = inner.at(tuple(Poly.of(i) for i in rest))
        plain = tuple(p.index for p in full) == free
        whole = name not in self.parts
        if declared is None:
            if not plain:
                raise LanguageError(
                    f"the left side does not tell the whole shape of {name!r}; declare it, as in symbols: "
                    f"{name}: {{shape: [...], role: step}}",
                    target.at,
                )
            declared = tuple(i.extent for i in free)
        if len(full) != len(declared):
            raise LanguageError(
                f"{name!r} has shape {show_shape(declared)}, but the left side and its value give {len(full)} axes",
                target.at,
            )
        for place, size, index in zip(full, declared, free, strict=False):
            if plain and whole and index.extent != size:
                raise LanguageError(
                    f"{name!r} is declared with shape {show_shape(declared)}, but index {index.name!r} runs over "
                    f"{show(index.extent)} values where the axis has {show(size)}; place {show(place)}",
                    target.at,
                )
        step = Step(name, free, full, expr, declared)
        if plain and whole:
            if name in self.parts:
                raise LanguageError(f"{name!r} is defined twice", target.at)
            self.define(name, free, full, expr, declared)
        elif any(is_beyond(place, size) for place, size in zip(full, declared, strict=True)):
            self._add_start(target, step)
        else:
            self._add_part(target, step)

    def _add_start(self, target: tree.Element, step: Step) -> None:
        """``h[-1] = h0``: an element from which a recurrence starts."""
        if step.name in self.scope.current and step.name not in self.scope.opened:
            raise LanguageError(f"{step.name!r} is defined already; a start stands before the recurrence", target.at)
        if any(s.name == step.name and s.target == step.target for s in self.scope.steps if isinstance(s, Step)):
            raise LanguageError(f"'{target}' is defined twice", target.at)
        self.scope.steps.append(step)
        self.open(step.name, step.shape, self.is_padded(step.name))

    def _add_part(self, target: tree.Element, step: Step) -> None:
        parts = self.parts.setdefault(step.name, [])
        whole = not parts and step.name not in self.scope.opened
        if step.name in self.scope.current and (whole or self.scope.current[step.name] != step.name):
            raise LanguageError(f"{step.name!r} is defined twice", target.at)
        parts.append(step)
        self.scope.steps.append(step)
        self.scope.tensors[step.name] = Tensor(step.name, step.shape, outside=self.is_padded(step.name))
        self.scope.current[step.name] = step.name
        self.scope.opened.discard(step.name)
