"""Steps with plain left sides: the value of a statement, its shape, and the step that holds it."""

from __future__ import annotations

from kb import tree
from kb.errors import LanguageError
from kb.index.affine import Index, Poly
from kb.index.arrays import matrix_function
from kb.index.calls import Calls
from kb.index.declarations import Declarations
from kb.index.nodes import Expr
from kb.index.program import Step, Tensor
from kb.index.scope import Array, show_shape
from kb.parser import check_name
from kb.vocabulary import MATRIX_FUNCTIONS


class Definitions(Declarations):
    """Turns statements with plain targets into steps."""

    def check_target(self, target: tree.Name | tree.Element) -> None:
        name = base_of(target)
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
        names = [base_of(t) for t in statement.targets]
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
        name = base_of(target)
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
        name = base_of(target)
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


def base_of(target: tree.Node) -> str:
    if isinstance(target, tree.Element):
        target = target.base
    assert isinstance(target, tree.Name)
    return target.id
