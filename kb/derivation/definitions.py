"""The steps that a derivation starts from, each as an author would state it, and the rule that is known for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from kb import tree
from kb.derivation.plainly import are_blocks, joined, plain_tree
from kb.index.program import AnyStep, ArrayStep, Program, Step
from kb.model import Entry
from kb.printing.names import Names, poly_tree
from kb.printing.notation import authored
from kb.printing.present import Presenter
from kb.printing.trees import element
from kb.programs import Programs

MATRIX = "derivative of a matrix product"
PRIMITIVES = {
    "inv": "derivative of an inverse",
    "det": "derivative of a determinant",
    "logdet": "derivative of a log-determinant",
    "expm": "derivative of a matrix exponential",
    "eigh": "perturbation of eigenvalues and eigenvectors",
    "svd": "perturbation of a singular value decomposition",
}


class Definitions:
    """How the steps of a program are stated; ``active`` names depend on the symbol."""

    def __init__(self, entry: Entry, program: Program, presenter: Presenter, names: Names, active: set[str]) -> None:
        assert presenter.programs is not None
        self.programs: Programs = presenter.programs
        self.program = program
        self.presenter = presenter
        self.names = names
        self.active = active
        self.authored = authored(entry, program, self.programs.entries)

    def statement(self, step: AnyStep) -> tree.Step:
        """The step as the entry states it, where that is this step and no more; else from index form."""
        made = self.authored.get(step.name, [])
        own = self.program.definitions(step.name)
        if len(made) == len(own):
            statement = made[own.index(step)]
            if len(statement.targets) == 1 and self.is_one_step(statement):
                value = self.with_hidden(statement.value, step)
                if tree.names(value) & self.steps <= self.read(step):
                    return replace(statement, value=value)
        if are_blocks(own):
            return joined([s for s in own if isinstance(s, Step)], self.names)
        shown = self.presenter.shown_definition(step, self.names, self.program)
        if isinstance(step, Step) and _is_foreign(shown.value):
            scope = self.names.bind_axes(step.name, step.target, step.free)
            target = element(step.name, [poly_tree(p, scope) for p in step.target])
            return tree.Step((target,), plain_tree(step.expr, scope))
        return shown

    @property
    def steps(self) -> set[str]:
        return {s.name for s in self.program.steps}

    def read(self, step: AnyStep) -> set[str]:
        """The names that a step reads, and those of which it reads an inverse or the like."""
        array_steps = [s for s in self.program.steps if isinstance(s, ArrayStep) and s.name in step.inputs]
        return {*step.inputs, *(s.argument for s in array_steps)}

    def with_hidden(self, value: tree.Node, step: AnyStep) -> tree.Node:
        """The names of steps that the author left without one: ``sigmoid(z)`` for ``sigmoid(W @ x + b)``."""
        for name in sorted((self.read(step) & self.steps) - tree.names(value) - set(self.names.inverses)):
            hidden = self.program.definitions(name)
            if len(hidden) == 1:
                shown = self.presenter.shown_definition(hidden[0], self.names, self.program)
                value = _exchanged(value, shown.value, shown.targets[0])
        return value

    def is_one_step(self, statement: tree.Step) -> bool:
        """Whether the entries that it calls bring no steps of their own."""
        called = [n.function for n in tree.walk(statement.value) if isinstance(n, tree.Call)]
        return all(len(self.programs(c).steps) == 1 for c in called if c in self.programs.entries)

    def rule(self, step: AnyStep) -> str | None:
        """The rule of a whole step: of a primitive, of a matrix product, of another entry."""
        if isinstance(step, ArrayStep):
            return PRIMITIVES[step.operation]
        value = self.statement(step).value
        match value:
            case tree.Call(function) if function in self.programs.entries:
                return f"derivative of {function.replace('_', ' ')}"
        products = [n for n in tree.walk(value) if isinstance(n, tree.Chain) and "@" in n.operators]
        return MATRIX if any(tree.names(n) & self.active for n in products) else None

    def worked_out(self, step: AnyStep, statement: tree.Step) -> Iterator[tree.Step]:
        """What a step comes to that is stated by a derivative: ``u[k] = delta(k,a) - pi[k]``."""
        words = {n.function for n in tree.walk(statement.value) if isinstance(n, tree.Call)}
        if words & {"d", "vjp"} and isinstance(step, Step):
            scope = self.names.bind_axes(step.name, step.target, step.free)
            value = self.presenter.index_notation(step.expr, scope)
            if not any(isinstance(n, tree.Prime) for n in tree.walk(value)):
                yield tree.Step((element(step.name, [poly_tree(p, scope) for p in step.target]),), value)

    def read_by(self, wanted: set[str]) -> Iterator[tree.Step]:
        """The statements of the wanted steps, and of those that they read, in order."""
        found: list[tree.Step] = []
        for step in reversed(self.program.steps):
            if step.name in wanted:
                statement = self.statement(step)
                if step.name not in self.names.inverses:
                    found += [s for s in (*self.worked_out(step, statement), statement) if s not in found]
                wanted = wanted | tree.names(statement.value)
        yield from reversed(found)


def _is_foreign(node: tree.Node) -> bool:
    """Whether a formula has words of the printers that the language does not have."""
    return any(isinstance(n, tree.Call) and n.function in ("rowsum", "colsum") for n in tree.walk(node))


def _exchanged(node: Any, old: tree.Node, new: tree.Node) -> Any:
    """One tree in the place of another."""
    if isinstance(node, tuple):
        return tuple(_exchanged(n, old, new) for n in node)
    if not isinstance(node, tree.Node):
        return node
    if str(node) == str(old):
        return new
    return replace(node, **{f.name: _exchanged(getattr(node, f.name), old, new) for f in fields(node) if f.init})
