"""Calls of entries: sizes bound from the arguments, leading axes mapped, steps taken over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from kb import tree
from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Atom, Gather, Index, Poly
from kb.index.expressions import Expressions
from kb.index.nodes import (
    Apply,
    ApplyArray,
    Bind,
    Expr,
    Pick,
    Read,
    Var,
    Whole,
    free_indices,
    walk,
)
from kb.index.program import AnyInstance, ArrayInstance, ArrayStep, Program, Step, Tensor
from kb.index.scope import Array, show_shape
from kb.vocabulary import BUILT_IN

_HEAVY = 12
_CHEAP = 4


class Calls:
    """Resolves calls by the programs of other entries; ``own`` may not call itself."""

    def __init__(self, programs: Callable[[str], Program], entries: Iterable[str], own: str) -> None:
        self.programs = programs
        self.entries = tuple(entries)
        self.own = own

    def known(self) -> list[str]:
        """The ids that can be called."""
        return list(self.entries)

    def is_entry(self, expressions: Expressions, node: tree.Call) -> bool:
        """Whether the call is of an entry (built-in words and abstract functions go first)."""
        return (
            node.function not in BUILT_IN
            and node.function not in expressions.scope.abstract
            and self.program(node) is not None
        )

    def program(self, node: tree.Call) -> Program | None:
        """The callee, or None if there is no such entry."""
        try:
            return self.programs(node.function)
        except KeyError:
            return None
        except LanguageError as error:
            raise type(error)(error.message, node.at) from None

    def __call__(self, expressions: Expressions, node: tree.Call) -> list[Array] | None:
        """The outputs of a call inside a larger expression; heavy ones get a step of their own."""
        return self.expand(expressions, node, whole=False) if self.program(node) is not None else None

    def expand(self, expressions: Expressions, node: tree.Call, whole: bool) -> list[Array]:
        """The outputs of a call; ``whole`` says that the call is a statement's whole value."""
        callee = self.program(node)
        assert callee is not None
        binding = Binding(expressions, node, callee)
        binding.bind_arguments()
        binding.take_steps()
        results = [binding.array(held) for _, held in callee.returns]
        if whole:
            return results
        names = [public for public, _ in callee.returns]
        return [binding.light(r, n) for r, n in zip(results, names, strict=True)]


class Binding:
    """One call: what the callee's names, dimensions and labels are here."""

    def __init__(self, expressions: Expressions, node: tree.Call, callee: Program) -> None:
        self.expressions = expressions
        self.scope = expressions.scope
        self.node = node
        self.callee = callee
        self.sizes: dict[str, Poly] = {}
        self.labels: dict[str, Callable[[tuple[Poly, ...]], Poly]] = {}
        self.arrays: dict[str, Array] = {}
        self.lead: tuple[Poly, ...] = ()
        self.leads: dict[str, int] = {}
        self.renamed: dict[str, str] = {}
        self.primitives: dict[tuple[str, str], list[Array]] = {}

    # --- arguments ------------------------------------------------------------------------------

    def bind_arguments(self) -> None:
        given = self.arguments()
        arrays: list[tuple[Tensor, Array, tree.Node]] = []
        for tensor, node in given:
            symbol = tensor.symbol
            assert symbol is not None
            if symbol.kind == "label":
                self.bind_label(tensor, node)
            elif symbol.kind == "integer" and not tensor.shape:
                self.bind_integer(tensor.name, node)
            else:
                arrays.append((tensor, self.expressions.array(node), node))
        self.bind_sizes(arrays)
        for tensor, array, node in arrays:
            self.bind_array(tensor, array, node)
        self.copy_instances()

    def arguments(self) -> list[tuple[Tensor, tree.Node]]:
        node, parameters = self.node, self.callee.arguments
        required = [p for p in parameters if p.symbol and p.symbol.default is None]
        ordered = required + [p for p in parameters if p not in required]
        if len(node.arguments) > len(ordered):
            raise LanguageError(
                f"'{node.function}' takes {len(ordered)} argument(s) ({', '.join(p.name for p in ordered)}), "
                f"{len(node.arguments)} given",
                node.at,
            )
        bound: list[tuple[Tensor, tree.Node]] = list(zip(ordered, node.arguments, strict=False))
        for parameter in ordered[len(node.arguments) :]:
            symbol = parameter.symbol
            assert symbol is not None
            if node.rest and (self.scope.is_taken(parameter.name)):
                bound.append((parameter, tree.Name(parameter.name, at=node.at)))
            elif symbol.default is not None:
                bound.append((parameter, _number_tree(symbol.default, node.at)))
            elif node.rest:
                raise LanguageError(
                    f"'...' passes {parameter.name!r} to '{node.function}' by name, but nothing here is called so",
                    node.at,
                )
            else:
                raise LanguageError(f"'{node.function}' needs {parameter.name!r} as well", node.at)
        return bound

    def bind_label(self, tensor: Tensor, node: tree.Node) -> None:
        if tensor.shape:
            name = node.id if isinstance(node, tree.Name) else ""
            held = self.expressions.label(name)
            if held is None or held.shape != tensor.shape:
                raise LanguageError(f"'{self.node.function}' needs labels for {tensor.name!r}", node.at)
            self.labels[tensor.name] = lambda idx: Poly.of(Gather(held.name, idx))
            return
        place = self.expressions.index(node)
        self.labels[tensor.name] = lambda idx: place

    def bind_integer(self, name: str, node: tree.Node) -> None:
        value = self.expressions.number(node, f"{name!r} of '{self.node.function}'")
        if not build.is_whole(value):
            raise LanguageError(f"{name!r} of '{self.node.function}' is an integer; '{node}' is not", node.at)
        self.sizes[name] = build.as_poly(value)

    def bind_sizes(self, arrays: list[tuple[Tensor, Array, tree.Node]]) -> None:
        """Read the callee's dimensions off bare axes, then hold every axis against its size."""
        for tensor, array, node in arrays:
            extra = array.rank - len(tensor.shape)
            if extra < 0:
                raise LanguageError(
                    f"{tensor.name!r} of '{self.node.function}' has shape {show_shape(tensor.shape)}, but '{node}' has "
                    f"{show_shape(array.shape)}",
                    node.at,
                )
            lead = array.shape[:extra]
            if lead and self.lead and lead != self.lead:
                raise LanguageError(
                    f"the leading axes of the arguments of '{self.node.function}' must agree: {show_shape(self.lead)} "
                    f"and {show_shape(lead)} of '{node}'",
                    node.at,
                )
            self.lead = self.lead or lead
            for size, actual in zip(tensor.shape, array.shape[extra:], strict=True):
                if isinstance(size.atom, str):
                    self.sizes.setdefault(size.atom, actual)
        for tensor, array, node in arrays:
            wanted = tuple(self.size(s) for s in tensor.shape)
            actual_shape = array.shape[array.rank - len(wanted) :]
            if wanted != actual_shape:
                raise LanguageError(
                    f"{tensor.name!r} of '{self.node.function}' must have shape {show_shape(wanted)} here, "
                    f"but '{node}' has {show_shape(actual_shape)}",
                    node.at,
                )

    def size(self, poly: Poly) -> Poly:
        """A size of the callee in terms of what is here."""

        def change(atom: object) -> Poly | None:
            if isinstance(atom, str):
                if atom not in self.sizes:
                    raise LanguageError(
                        f"the size {atom!r} of '{self.node.function}' cannot be read off its arguments", self.node.at
                    )
                return self.sizes[atom]
            if isinstance(atom, Gather) and atom.name in self.labels:
                return self.labels[atom.name](tuple(self.size(p) for p in atom.index))
            return None

        return poly.transform(change)

    def bind_array(self, tensor: Tensor, array: Array, node: tree.Node) -> None:
        """Pass an array; one that is costly and read more than once becomes a step."""
        self.leads[tensor.name] = array.rank - len(tensor.shape)
        weight = self.weight(array)
        if not self.varies(array) and (weight == math.inf or (weight > _CHEAP and self.read_often(tensor.name))):
            target = self.expressions.target
            array = self.expressions.define(f"{tensor.name}_{target}" if target else tensor.name, array)
        if tensor.outside:
            array = self.padded(array, tensor, node)
        self.arrays[tensor.name] = array

    def padded(self, array: Array, tensor: Tensor, node: tree.Node) -> Array:
        """Reads past the ends are 0: that needs a named array."""
        probe = array.at(tuple(Poly.of(Index("_", s)) for s in array.shape))
        if not isinstance(probe, Read):
            array = self.expressions.define(tensor.name, array)
        inner = array

        def at(idx: tuple[Poly, ...]) -> Expr:
            read = inner.at(idx)
            assert isinstance(read, Read)
            return Read(read.name, read.index, True)

        return Array(array.shape, at)

    def varies(self, array: Array) -> bool:
        """Whether an element depends on the variable of an integral: such a thing cannot be a step."""
        probe = array.at(tuple(Poly.of(Index("_", s)) for s in array.shape))
        return any(isinstance(n, Var) for n in walk(probe))

    def weight(self, array: Array) -> float:
        """How much work an element is; infinite where it takes a sum."""
        probe = array.at(tuple(Poly.of(Index("_", s)) for s in array.shape))
        nodes = list(walk(probe))
        return math.inf if any(isinstance(n, Bind) for n in nodes) else len(nodes)

    def read_often(self, name: str) -> bool:
        count = 0
        for step in self.callee.steps:
            if isinstance(step, ArrayStep):
                count += 2 if step.argument == name else 0
                continue
            for n in walk(step.expr):
                if isinstance(n, Read) and n.name == name:
                    count += 1
                if isinstance(n, Bind) and len(n.indices) and any(r.name == name for r in _reads(n.body)):
                    count += 1
        return count > 1

    def copy_instances(self) -> None:
        """Take over the callee's abstract functions, under names that are free here."""
        for name, callee_instance in self.callee.instances.items():
            instance = self.resized(callee_instance)
            taken = self.scope.is_taken(name) or not _same_instance(self.scope.instances.get(name, instance), instance)
            here = self.scope.unique(name) if taken else name
            self.scope.instances[here] = instance
            self.renamed[name] = here

    def resized(self, instance: AnyInstance) -> AnyInstance:
        """An instance with the callee's dimensions in terms of what is here."""
        if not isinstance(instance, ArrayInstance):
            return instance
        sizes = {name: self.size(size) for name, size in instance.sizes.items()}
        return instance if sizes == instance.sizes else ArrayInstance(instance.program, sizes, instance.derived)

    # --- steps ----------------------------------------------------------------------------------

    def take_steps(self) -> None:
        """Define the callee's steps here; its plain outputs stay expressions until they are named."""
        held = {h for _, h in self.callee.returns}
        used_inside = {n for s in self.callee.steps for n in s.inputs}
        looped = {s.name for s in self.callee.steps if isinstance(s, Step) and s.loop is not None}
        outer = self.indices_in_use() if looped else []
        for name in looped:  # they read each other: all must be known before the first is translated
            self.announce(name, outer)
        for step in self.callee.steps:
            if isinstance(step, ArrayStep):
                self.take_primitive(step)
            elif not step.is_plain or step.name in looped:
                self.take_part(step, outer if step.name in looped else None)
            else:
                array = self.element(step)
                final = step.name in held and step.name not in used_inside
                self.arrays[step.name] = array if final else self.expressions.define(step.name, array)
            self.leads[step.name] = len(self.lead)

    def element(self, step: Step) -> Array:
        """A plain step as an array over the leading axes and its own."""
        shape = (*self.lead, *(self.size(s) for s in step.shape))
        n = len(self.lead)

        def at(idx: tuple[Poly, ...]) -> Expr:
            moved: dict[Atom, Poly] = dict(zip(step.free, idx[n:], strict=True))
            fresh = build.freshen(step.expr)
            return self.translate(build.substitute(fresh, moved), idx[:n], set(idx))

        return Array(shape, at)

    def translate(self, expr: Expr, lead: tuple[Poly, ...], _: set[Poly]) -> Expr:
        """The callee's expression with its reads, sizes and functions put in terms of what is here."""

        def change(node: Expr) -> Expr | None:
            if isinstance(node, Read):
                index = tuple(self.size(p) for p in node.index)
                array = self.arrays[node.name]
                front = lead if self.leads.get(node.name) else ()
                return array.at(front + index)
            if isinstance(node, Apply) and node.name in self.renamed:
                return Apply(self.renamed[node.name], node.orders, tuple(translate(a) for a in node.args))
            if isinstance(node, ApplyArray):
                index = tuple(self.size(p) for p in node.index)
                args = tuple(translate_whole(a) for a in node.args)
                return ApplyArray(self.renamed.get(node.name, node.name), node.wrt, index, args)
            if isinstance(node, (Bind, Pick)):
                self.resize(node)
            return None

        def translate_whole(node: Whole) -> Whole:
            self.resize(node)
            return Whole(node.indices, translate(node.body))

        def translate(node: Expr) -> Expr:
            result: Expr = build.transform(node, change, self.size)
            return result

        return translate(expr)

    def resize(self, node: Bind | Pick | Whole) -> None:
        """A freshened binder's indices belong to this call alone: give them its sizes."""
        for index in node.indices:
            assert index.size is not None
            index.size = self.size(index.size)

    def indices_in_use(self) -> list[Index]:
        """The indices in force that the arguments depend on."""
        used: set[Index] = set()
        for array in self.arrays.values():
            used |= free_indices(array.at(tuple(Poly.of(Index("_", s)) for s in array.shape)))
        for name, label in self.labels.items():
            used |= set(label(tuple(Poly.of(Index("_", s)) for s in self.callee.shape(name))).indices())
        return [i for i in self.scope.indices.values() if i in used]

    def announce(self, name: str, outer: list[Index]) -> None:
        """Say what an array of the callee, which a step will define, is called here."""
        self.renamed[name] = here = self.renamed.get(name) or self.scope.unique(name)
        self.leads[name] = len(self.lead)
        inner = (*self.lead, *(self.size(s) for s in self.callee.shape(name)))
        before = tuple(Poly.of(i) for i in outer)
        self.arrays[name] = Array(inner, lambda idx: Read(here, before + idx, False))
        if here not in self.scope.tensors:
            self.scope.tensors[here] = Tensor(here, (*(i.extent for i in outer), *inner))

    def take_part(self, step: Step, within: list[Index] | None = None) -> None:
        """A step with an affine left side, a scatter or a step of a recurrence keeps its form.

        ``within`` are the indices in force that all steps of a recurrence get as leading axes.
        """
        scope = self.scope
        lead = tuple(Index(n, s) for n, s in zip(scope.free_names(len(self.lead)), self.lead, strict=True))
        free = tuple(Index(i.name, self.size(i.extent)) for i in step.free)
        moved: dict[Atom, Poly] = {i: Poly.of(f) for i, f in zip(step.free, free, strict=True)}
        front = tuple(Poly.of(i) for i in lead)
        expr = self.translate(build.substitute(build.freshen(step.expr), moved), front, set())
        outer = [i for i in scope.indices.values() if i in free_indices(expr)] if within is None else within
        if within is None:
            self.announce(step.name, outer)
        name = self.renamed[step.name]
        copies = [i.fresh() for i in outer]
        expr = build.substitute(expr, {i: Poly.of(c) for i, c in zip(outer, copies, strict=True)})
        target = (*map(Poly.of, copies), *front, *(self.size(p.replace(dict(moved))) for p in step.target))
        shape = (*(i.extent for i in outer), *self.lead, *(self.size(s) for s in step.shape))
        self.expressions.add_step(Step(name, (*copies, *lead, *free), target, expr, shape, step.accumulates))

    def take_primitive(self, step: ArrayStep) -> None:
        """A result of a matrix primitive; several results of one are taken over together."""
        from kb.index.arrays import primitive

        key = (step.operation, step.argument)
        if key not in self.primitives:
            self.primitives[key] = primitive(self.expressions, step.operation, self.arrays[step.argument])
        self.arrays[step.name] = self.primitives[key][step.output]

    # --- outputs --------------------------------------------------------------------------------

    def array(self, held: str) -> Array:
        """An output of the callee as an array here."""
        return self.arrays[held]

    def light(self, array: Array, name: str) -> Array:
        """Inside a larger expression, a small elementwise output is put in place, any other named."""
        probe = array.at(tuple(Poly.of(Index("_", s)) for s in array.shape))
        nodes = list(walk(probe))
        if (
            isinstance(probe, Read)
            or self.varies(array)
            or (len(nodes) <= _HEAVY and not any(isinstance(n, Bind) for n in nodes))
        ):
            return array
        return self.expressions.define(name, array)


def _same_instance(one: AnyInstance, other: AnyInstance) -> bool:
    if isinstance(one, ArrayInstance) and isinstance(other, ArrayInstance):
        return one.program is other.program and one.sizes == other.sizes
    return one is other


def _reads(expr: Expr) -> Iterable[Read]:
    return (n for n in walk(expr) if isinstance(n, Read))


def _number_tree(text: str, at: int) -> tree.Node:
    if text.startswith("-"):
        return tree.Negative(tree.Number(text[1:], at=at), at=at)
    return tree.Number(text, at=at)
