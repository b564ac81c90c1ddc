"""From an entry to a program in index form: symbols, steps and calls of other entries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kb import tree
from kb.errors import EqkbError, Fault, LanguageError
from kb.index import build
from kb.index.array_functions import merged
from kb.index.calls import Calls
from kb.index.definitions import base_of
from kb.index.expressions import Derive
from kb.index.left_sides import LeftSides
from kb.index.nodes import Read
from kb.index.program import AnyStep, ArrayStep, Program, Step
from kb.index.recurrence import RecurrenceError, gather_loops
from kb.index.scope import Poisoned, Scope
from kb.model import Entry
from kb.parser import parse_statement

_OTHER = "a"  # begins the name of a pre-activation where z means something else
ProgramOf = Callable[[str], Program]


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


class _Builder(LeftSides):
    """All of an entry."""

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
                self.scope.later.setdefault(base_of(target), n)
                self.defined_in.setdefault(base_of(target), []).append((n, statement))
        for n, statement in statements:
            names = [base_of(t) for t in statement.targets]
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
        self.expressions.target = base_of(statement.targets[0]) if len(statement.targets) == 1 else ""
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

    # --- the program ----------------------------------------------------------------------------

    def program(self) -> Program | None:
        """The finished program; parts of affine left sides must cover their array exactly once."""
        from kb.index.cover import cover_fault

        for name, parts in self.parts.items():
            message = cover_fault(parts, self.scope.facts)
            if message:
                self.faults.append(Fault(f"the parts of {name!r} {message}", "define[0]"))
        try:
            steps = gather_loops(self.told_apart(self.without_copies()), self.scope.tensors)
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

    def told_apart(self, steps: list[AnyStep]) -> list[AnyStep]:
        """The steps; ``z_r``, of which a call makes r, becomes ``a_r`` where z is a name of the entry itself."""
        own = {*self.scope.current, *self.scope.declared}
        for name in [n for n in self.scope.tensors if n not in {*own, *self.scope.current.values()}]:
            letter, _, made = name.partition("_")
            if letter in own and made in self.scope.tensors:
                other = self.scope.unique(f"{_OTHER}_{made}")
                steps = [_renamed(s, name, other) for s in steps]
                self.scope.tensors[other] = replace(self.scope.tensors.pop(name), name=other)
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
