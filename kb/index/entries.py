"""From an entry to a program in index form: symbols, steps and calls of other entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from kb import tree
from kb.errors import EqkbError, Fault, LanguageError, nearest
from kb.index import build, cells
from kb.index.affine import Facts, Index, Poly
from kb.index.array_functions import array_instance, merged
from kb.index.arrays import matrix_function
from kb.index.binders import bound_by_shifted_reads, infer_ranges
from kb.index.calls import Calls
from kb.index.expressions import Derive, Expressions
from kb.index.nodes import Expr, Read
from kb.index.operators import check_reducer, instance_of
from kb.index.program import AnyStep, ArrayStep, Program, Step, Tensor, is_beyond
from kb.index.recurrence import RecurrenceError, gather_loops
from kb.index.scope import MAX_LITERAL_SIZE, Array, Poisoned, Scope, shortened, show, show_shape, size_of
from kb.index.signatures import is_on_arrays
from kb.model import Entry, Symbol
from kb.parser import check_name, parse_expression, parse_statement
from kb.vocabulary import BUILT_IN, DOMAINS, MATRIX_FUNCTIONS

ProgramOf = Callable[[str], Program]
ABSTRACT = ("function", "law", "reducer")


@dataclass(frozen=True)
class Elaborated:
    """An entry's program, the scope in which its claims are read, and what was wrong."""

    entry: Entry
    program: Program | None
    scope: Scope
    faults: tuple[Fault, ...]


def elaborate(
    entry: Entry, programs: ProgramOf, entries: Iterable[str] = (), derive: Derive | None = None, infer: bool = False
) -> Elaborated:
    """Elaborate an entry.

    ``programs`` gives the program of another entry by id and raises KeyError where there is none;
    ``infer`` lets outputs be declared without a shape (for expressions typed by a user). All faults
    of the entry are collected; the program is None if there is any.
    """
    builder = _Builder(entry, Calls(programs, entries, entry.id), derive, infer)
    builder.symbols()
    builder.steps()
    program = builder.program() if not builder.failed else None
    return Elaborated(entry, program, builder.scope, tuple(builder.faults))


class _Builder:
    def __init__(self, entry: Entry, calls: Calls, derive: Derive | None, infer: bool) -> None:
        self.entry = entry
        self.scope = Scope()
        self.expressions = Expressions(self.scope, calls, derive)
        self.infer = infer
        self.faults: list[Fault] = []
        self.failed = False
        self.parts: dict[str, list[Step]] = {}
        self.defined_in: dict[str, list[tuple[int, tree.Step]]] = {}
        self.waiting: dict[str, list[tuple[tree.Element, tuple[Poly, ...], Array]]] = {}

    def fault(self, field: str, error: EqkbError) -> None:
        """Record an error, unless it only follows from an earlier one."""
        self.failed = True
        if not isinstance(error, Poisoned):
            start = error.start if isinstance(error, LanguageError) else 0
            if self.entry.sides and field in [f"define[{len(self.entry.define) - n}]" for n in (1, 2)]:
                field, start = f"claims.{self.entry.claims[0].name}.formula", 0
            self.faults.append(Fault(shortened(str(error)), field, start))

    # --- symbols --------------------------------------------------------------------------------

    def symbols(self) -> None:
        """Declare dimensions and symbols, then what is known about sizes."""
        for symbol in self.entry.symbols:
            try:
                check_name(symbol.name, what="symbol")
                if symbol.name in BUILT_IN and symbol.kind in ABSTRACT:
                    raise LanguageError(f"{symbol.name!r} is a built-in function; choose another name")
            except LanguageError as error:
                self.fault(f"symbols.{symbol.name}", error)
            self.scope.declared[symbol.name] = symbol
        self.dimensions()
        for symbol in self.entry.symbols:
            self.declare(symbol)
        self.know()
        for symbol in self.entry.symbols:
            if symbol.kind in ABSTRACT:
                try:
                    self.instance(symbol)
                except EqkbError as error:
                    self.fault(f"symbols.{symbol.name}.instance", error)

    def instance(self, symbol: Symbol) -> None:
        """What an abstract symbol stands for. Raises LanguageError."""
        if symbol.kind == "reducer":
            check_reducer(symbol)
        elif is_on_arrays(symbol):
            self.scope.instances[symbol.name] = array_instance(symbol, self.scope, self.program_of_instance)
        else:
            self.scope.instances[symbol.name] = instance_of(self.expressions, symbol)

    def program_of_instance(self, entry: Entry, infer: bool) -> Program:
        """The program of an instance. Raises LanguageError with its first fault."""
        calls = self.expressions.calls
        assert isinstance(calls, Calls)
        builder = _Builder(entry, calls, self.expressions.derive, infer)
        builder.symbols()
        builder.scope.facts = merged(builder.scope.facts, self.scope.facts)
        builder.steps()
        program = builder.program() if not builder.failed else None
        if program is None or builder.faults:
            if not builder.faults:
                raise Poisoned(entry.id)
            fault = builder.faults[0]
            ahead = len(f"{entry.id} = ") if fault.field == "define[0]" else fault.start
            raise LanguageError(fault.message, max(0, fault.start - ahead))
        return program

    def dimensions(self) -> None:
        """Every name in a shape that is not a symbol is a dimension; signatures of functions may have more."""
        for symbol in self.entry.symbols:
            if symbol.kind in ABSTRACT:
                continue
            for n, text in [*enumerate(symbol.shape), *([(None, symbol.classes)] if symbol.classes else [])]:
                field = f"symbols.{symbol.name}.classes" if n is None else f"symbols.{symbol.name}.shape[{n}]"
                try:
                    node = parse_expression(str(text))
                    for name in sorted(tree.names(node)):
                        check_name(name, what="dimension")
                        declared = self.scope.declared.get(name)
                        if declared is None:
                            if name not in self.scope.dimensions:
                                self.scope.dimensions.append(name)
                        elif declared.kind != "integer" or declared.shape:
                            raise LanguageError(
                                f"{name!r} is a symbol and cannot be a dimension as well; rename one of them"
                            )
                except LanguageError as error:
                    self.fault(field, error)
                    self.scope.poisoned.add(symbol.name)

    def size(self, text: str) -> Poly:
        size = size_of(parse_expression(text), lambda node: Poly.of(node.id))
        if size.constant is not None and not 0 < size.constant <= MAX_LITERAL_SIZE:
            raise LanguageError(f"a size lies between 1 and {MAX_LITERAL_SIZE}, not {size.constant}")
        return size

    def declare(self, symbol: Symbol) -> None:
        scope = self.scope
        if symbol.kind in ABSTRACT:
            scope.abstract[symbol.name] = symbol
            return
        if symbol.name in scope.poisoned:
            return
        if symbol.kind == "label" and not symbol.classes:
            message = "a label needs 'classes': the dimension it selects from"
            self.fault(f"symbols.{symbol.name}", LanguageError(message))
        if symbol.domain not in DOMAINS:
            message = f"there is no domain {symbol.domain!r}{nearest(symbol.domain, list(DOMAINS))}"
            self.fault(f"symbols.{symbol.name}.domain", LanguageError(message))
        try:
            shape = tuple(self.size(s) for s in symbol.shape)
        except LanguageError as error:
            self.fault(f"symbols.{symbol.name}.shape", error)
            scope.poisoned.add(symbol.name)
            return
        outside = symbol.outside is not None and Fraction(symbol.outside) == 0
        if symbol.role in ("output", "step"):
            if outside:
                self.open(symbol.name, shape, outside)
            else:
                scope.later[symbol.name] = 0
            return
        scope.tensors[symbol.name] = Tensor(symbol.name, shape, symbol, outside)
        scope.current[symbol.name] = symbol.name

    def open(self, name: str, shape: tuple[Poly, ...], outside: bool = False) -> None:
        """Let an array be read that is not all defined yet: by the recurrence that defines it."""
        self.scope.tensors[name] = Tensor(name, shape, outside=outside)
        self.scope.current[name] = name
        self.scope.opened.add(name)

    def know(self) -> None:
        """Lower bounds of integers, and what the shapes and ``requires`` imply about sizes."""
        lower = dict.fromkeys(self.scope.dimensions, 1)
        for symbol in self.entry.symbols:
            if symbol.kind == "integer":
                lower[symbol.name] = {"positive": 1, "nonnegative": 0}.get(symbol.domain, -(10**9))
                if symbol.domain == "real" and symbol.role == "hyperparameter":
                    lower[symbol.name] = 0
        known: list[Poly] = []
        for symbol in self.entry.symbols:
            for text in symbol.shape if symbol.kind not in ABSTRACT else ():
                known += self._numerators(text)
        for n, text in enumerate(self.entry.requires):
            try:
                known += self._requirement(text)
            except LanguageError as error:
                self.fault(f"requires[{n}]", error)
        self.scope.facts = Facts(lower, known)

    def _numerators(self, text: str) -> list[Poly]:
        from kb.index.affine import FloorDiv

        try:
            size = self.size(text)
        except LanguageError:
            return []
        return [a.numerator for a in size.atoms() if isinstance(a, FloorDiv) and a.denominator.constant is None]

    def _requirement(self, text: str) -> list[Poly]:
        node = parse_expression(text)
        if not isinstance(node, tree.Comparison):
            raise LanguageError("a requirement is a comparison of sizes, such as N >= d", node.at)
        if any(isinstance(n, tree.Chain) and "%" in n.operators for n in tree.walk(node)):
            return []
        try:
            gap = size_of(node.left, self._size_name) - size_of(node.right, self._size_name)
        except LanguageError:
            self.expressions.condition(node)  # a requirement on numbers: it must at least make sense
            return []
        return {">=": [gap], ">": [gap - 1], "<=": [-gap], "<": [-gap - 1], "==": [gap, -gap]}.get(node.operator, [])

    def _size_name(self, node: tree.Name) -> Poly:
        symbol = self.scope.declared.get(node.id)
        if node.id in self.scope.dimensions or (symbol is not None and symbol.kind == "integer"):
            return Poly.of(node.id)
        raise LanguageError(f"{node.id!r} is not a size", node.at)

    # --- steps ----------------------------------------------------------------------------------

    def steps(self) -> None:
        """Elaborate the steps in order; one that fails is taken to have its declared shape."""
        statements: list[tuple[int, tree.Step]] = []
        for n, text in enumerate(self.entry.define):
            try:
                statement = parse_statement(text)
                if isinstance(statement, tree.Claim):
                    raise LanguageError("a definition is a step 'target = expression'; claims stand under 'claims'")
                statements.append((n, statement))
            except LanguageError as error:
                self.fault(f"define[{n}]", error)
                self.scope.poisoned.update(self._targets_meant(text))
        for n, statement in statements:
            for target in statement.targets:
                self.scope.later.setdefault(_base(target), n)
                self.defined_in.setdefault(_base(target), []).append((n, statement))
        for n, statement in statements:
            names = [_base(t) for t in statement.targets]
            self.scope.target = names[0]
            try:
                self.statement(statement)
            except EqkbError as error:
                self.fault(f"define[{n}]", error)
                self.scope.poisoned.update(name for name in names if name not in self.scope.current)
            self.scope.indices.clear()
            self.scope.obligations.clear()
            for name in names:
                self.scope.later.pop(name, None)
        self.missing_outputs()

    def _targets_meant(self, text: str) -> set[str]:
        """The names left of '=' in a statement that cannot be parsed: nobody is told that they are missing."""
        known = {s.name for s in self.entry.symbols if s.role not in ("output", "state", "step")} | set(
            self.scope.dimensions
        )
        return set(re.findall(r"[A-Za-z][A-Za-z0-9_]*", text.partition("=")[0])) - known

    def missing_outputs(self) -> None:
        for name, waiting in self.waiting.items():
            message = f"{name!r} has a start, but no step such as {name}[t + 1] = ... defines the rest"
            self.fault("define[0]", LanguageError(message, waiting[0][0].at))
        if self.entry.kind == "update":
            if not any(s.role == "state" for s in self.entry.symbols):
                self.fault("symbols", LanguageError("an update needs a symbol with 'role: state'"))
            return
        for symbol in [*self.entry.outputs, *(s for s in self.entry.symbols if s.role == "step")]:
            undefined = symbol.name not in self.scope.current or symbol.name in self.scope.opened
            if undefined and symbol.name not in self.scope.poisoned:
                message = f"{symbol.role} {symbol.name!r} is declared but no step defines it"
                self.fault(f"symbols.{symbol.name}", LanguageError(message))
        if not self.entry.outputs:
            self.fault("symbols", LanguageError("no symbol has 'role: output'"))

    def statement(self, statement: tree.Step) -> None:
        """One step: the targets, their free indices, and the value."""
        for target in statement.targets:
            self.check_target(target)
        self.expressions.target = _base(statement.targets[0]) if len(statement.targets) == 1 else ""
        if self.is_primitive(statement):
            self.primitive(statement)
            return
        if any(isinstance(t, tree.Element) for t in statement.targets):
            self.indexed(statement)
            return
        if len(statement.targets) > 1:
            self.several_targets(statement)
            return
        (target,) = statement.targets
        value = self.value(statement.value)
        self.scope.settle()
        self.store(target, value)

    def check_target(self, target: tree.Name | tree.Element) -> None:
        name = _base(target)
        check_name(name, target.at, "step")
        symbol = self.scope.declared.get(name)
        if name in self.scope.dimensions:
            raise LanguageError(f"{name!r} is a dimension and cannot be a step; rename one of them", target.at)
        if symbol is not None and symbol.role not in ("output", "state", "step"):
            raise LanguageError(f"{name!r} is an argument; a step may not change it. Use another name", target.at)

    def value(self, node: tree.Node) -> Array:
        if isinstance(node, tree.Call) and self.expressions.calls is not None:
            calls = self.expressions.calls
            assert isinstance(calls, Calls)
            if calls.is_entry(self.expressions, node):
                results = calls.expand(self.expressions, node, whole=True)
                if len(results) == 1:
                    return results[0]
        return self.expressions.array(node)

    def is_primitive(self, statement: tree.Step) -> bool:
        """Whether the whole value is a primitive of a matrix with a name for each of its results."""
        value = statement.value
        if not isinstance(value, tree.Call) or value.function not in MATRIX_FUNCTIONS or value.rest:
            return False
        plain = all(isinstance(t, tree.Name) for t in statement.targets)
        return plain and len(statement.targets) == len(MATRIX_FUNCTIONS[value.function].outputs)

    def primitive(self, statement: tree.Step) -> None:
        """The results of a primitive are held by steps of the targets' names."""
        assert isinstance(statement.value, tree.Call)
        names = [_base(t) for t in statement.targets]
        if len(set(names)) != len(names):
            raise LanguageError("the targets of a step have different names", statement.at)
        held = [self.holder(name) for name in names]
        results = matrix_function(self.expressions, statement.value, held)
        self.scope.settle()
        for target, name, holder, value in zip(statement.targets, names, held, results, strict=True):
            self.check_shape(target, value.shape)
            self.scope.current[name] = holder
            self.scope.poisoned.discard(name)

    def several_targets(self, statement: tree.Step) -> None:
        results = self.values(statement)
        self.scope.settle()
        for target, value in zip(statement.targets, results, strict=True):
            self.store(target, value)

    def values(self, statement: tree.Step) -> list[Array]:
        """The values of a statement, one for each target."""
        if len(statement.targets) == 1:
            return [self.value(statement.value)]
        if not isinstance(statement.value, tree.Call):
            raise LanguageError("several targets need a call with several outputs", statement.value.at)
        results = self.expressions.call_several(statement.value)
        if len(results) != len(statement.targets):
            raise LanguageError(
                f"{len(statement.targets)} targets, but '{statement.value.function}' has {len(results)} outputs",
                statement.at,
            )
        return results

    def declared_shape(self, name: str) -> tuple[Poly, ...] | None:
        """The shape that a target must have, if its declaration says one."""
        symbol = self.scope.declared.get(name)
        inferred = self.infer and symbol is not None and symbol.role == "output" and not symbol.shape
        if symbol is not None and not inferred and name not in self.entry.sides:
            return tuple(self.size(s) for s in symbol.shape)
        if name in self.scope.current:
            return self.scope.tensors[self.scope.current[name]].shape
        return None

    def store(self, target: tree.Node, value: Array) -> None:
        """Make a whole array the newest value of a name."""
        name = _base(target)
        declared = self.declared_shape(name)
        if value.row:
            raise LanguageError("the value is a row; a vector is a column: write A.T @ x for x.T @ A", target.at)
        if declared and value.rank == 0:
            scalar_value = value
            value = Array(declared, lambda idx: scalar_value.at(()))
        self.check_shape(target, value.shape)
        names = self.scope.free_names(value.rank)
        free = tuple(Index(n, s) for n, s in zip(names, value.shape, strict=True))
        expr = value.at(tuple(Poly.of(i) for i in free))
        self.define(name, free, tuple(Poly.of(i) for i in free), expr, value.shape)

    def check_shape(self, target: tree.Node, shape: tuple[Poly, ...]) -> None:
        """Raise LanguageError where a value does not have the declared shape of its target."""
        name = _base(target)
        declared = self.declared_shape(name)
        if declared is not None and declared != shape:
            raise LanguageError(
                f"{name!r} is declared with shape {show_shape(declared)}, but its value has shape {show_shape(shape)}",
                target.at,
            )

    def define(
        self, name: str, free: tuple[Index, ...], target: tuple[Poly, ...], expr: Expr, shape: tuple[Poly, ...]
    ) -> None:
        held = self.holder(name)
        step = Step(held, free, target, expr, shape)
        self.scope.steps.append(step)
        self.scope.tensors[held] = Tensor(held, shape, outside=self.is_padded(name))
        self.scope.current[name] = held
        self.scope.opened.discard(name)
        self.scope.poisoned.discard(name)

    def is_padded(self, name: str) -> bool:
        symbol = self.scope.declared.get(name)
        return symbol is not None and symbol.role in ("output", "step") and symbol.outside is not None

    def holder(self, name: str) -> str:
        """The step that holds a new value of a name: the name itself unless it has a value already."""
        if name not in self.scope.current or name in self.scope.opened:
            return name
        return self.scope.unique(f"{name}_next")

    # --- indexed left sides ---------------------------------------------------------------------

    def indexed(self, statement: tree.Step) -> None:
        """``name[i, 2*j + 1] = value``: free indices, their ranges, and the part that is defined."""
        targets = [t for t in statement.targets if isinstance(t, tree.Element)]
        if len(targets) < len(statement.targets):
            raise LanguageError("several targets are all plain names, or all elements such as h[t], c[t]", statement.at)
        indices: dict[str, Index] = {}
        for target in targets:
            indices.update({n: i for n, i in self._free_indices(target).items() if n not in indices})
        for name in sorted(tree.names(statement.value) & self.waiting.keys() - {_base(t) for t in targets}):
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
                        f"{_base(targets[0])!r}",
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
                    self.waiting.setdefault(_base(target), []).append((target, place, inner))
                else:
                    self._store_part(target, _base(target), own, place, inner, shape)

    def _shape_of(self, target: tree.Element, indices: dict[str, Index]) -> tuple[Poly, ...] | None:
        """The declared shape of what a target is part of; the ranges of its indices follow from it."""
        name = _base(target)
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
            targets = [t for t in statement.targets if _base(t) == name and isinstance(t, tree.Element)]
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
        name = _base(target)
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
                if self.scope.is_taken(part.id) or part.id == _base(target):
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
        given = {p.target[axis] for p in self.parts.get(_base(target), ())}
        count = 0
        while size - (count + 1) in given:
            count += 1
        return count

    def keeps_the_rest(self, target: tree.Element, places: tuple[Poly, ...], own: dict[str, Index]) -> bool:
        """Whether elements of an array that has a value are written. Raises LanguageError."""
        name = _base(target)
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
        name = _base(target)
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
                raise LanguageError(f"the shape of {name!r} must be declared, as its left side is not plain", target.at)
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

    # --- the program ----------------------------------------------------------------------------

    def program(self) -> Program | None:
        """The finished program; parts of affine left sides must cover their array exactly once."""
        from kb.index.cover import cover_fault

        for name, parts in self.parts.items():
            message = cover_fault(parts, self.scope.facts)
            if message:
                self.faults.append(Fault(f"the parts of {name!r} {message}", "define[0]"))
        try:
            steps = gather_loops(self.without_copies(), self.scope.tensors)
        except RecurrenceError as error:
            n, statement = self.defined_in.get(error.name, [(0, None)])[-1]
            self.fault(f"define[{n}]", LanguageError(error.message, statement.at if statement is not None else 0))
        if self.faults:
            return None
        self.scope.steps = list(steps)  # as claims see them
        self.scope.complete = True
        returns = tuple((s.name, self.scope.current[s.name]) for s in self.entry.outputs)
        held = {h for _, h in returns}
        if self.infer and not returns:
            raise LanguageError("the expression has no output")
        assert held <= set(self.scope.tensors)
        tensors = {
            n: replace(t, symbol=None) if t.symbol is not None and not t.symbol.is_argument else t
            for n, t in self.scope.tensors.items()
        }
        return Program(
            tensors,
            steps,
            returns,
            self.scope.instances,
            self.scope.facts,
            tuple(self.scope.dimensions),
        )

    def without_copies(self) -> list[AnyStep]:
        """The steps; what a call computed under another name, only to be given one here, gets that name at once."""
        steps = list(self.scope.steps)
        named = set(self.scope.current.values())
        for copy in self.scope.steps:
            if not isinstance(copy, Step) or not copy.is_plain or not isinstance(copy.expr, Read):
                continue
            hidden = copy.expr.name
            sources = [s for s in steps if s.name == hidden]
            if hidden in named or hidden not in {s.name for s in steps} or copy.expr.outside:
                continue
            if tuple(p.index for p in copy.expr.index) != copy.free or any(s.shape != copy.shape for s in sources):
                continue
            steps = [_renamed(s, hidden, copy.name) for s in steps if s is not copy]
            self.scope.tensors.pop(hidden)
        return steps


def _renamed(step: AnyStep, old: str, new: str) -> AnyStep:
    """The step with another name for one array."""
    if isinstance(step, ArrayStep):
        name, argument = (new if n == old else n for n in (step.name, step.argument))
        return replace(step, name=name, argument=argument)
    expr = step.expr
    if old in step.inputs:
        expr = build.replace_reads(expr, lambda r: Read(new, r.index, r.outside) if r.name == old else None)
    return replace(step, name=new if step.name == old else step.name, expr=expr)


def _base(target: tree.Node) -> str:
    if isinstance(target, tree.Element):
        target = target.base
    assert isinstance(target, tree.Name)
    return target.id
