"""The way from a definition to its derivative as chains of equal expressions, each with the rule that led to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kb import tree
from kb.calculus.constraints import apply_constraints
from kb.calculus.forward import with_slopes
from kb.calculus.linear import LINEARITY
from kb.calculus.primitives import layout
from kb.calculus.stepwise import CONSTANT, DELTA, Awaited, State, Stepwise, count_tests, holder
from kb.calculus.tidy import FOLDING
from kb.derivation.definitions import PRIMITIVES, Definitions
from kb.derivation.plainly import moved_names, plain, plain_tree
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ZERO, Expr, Read, Variable, read_names
from kb.index.program import AnyStep, Program, Step, is_beyond
from kb.model import Entry
from kb.printing.names import Awaiting, Names, poly_tree
from kb.printing.present import Presenter, ShownPart
from kb.printing.trees import element
from kb.programs import Programs

DEFINITION = "definition"
CONSTRAINT = "constraint used"
TOGETHER = "steps put together"
COPIED = "the same elements"
REARRANGED = "rearranging"
CLAIMED = "in the usual form"
# Results in between that are longer than this say less than the result itself.
LONGEST = 150
_DETAILED = 2


@dataclass(frozen=True)
class Row:
    """One expression of a chain: the rule behind it, as it is shown, and in words of the language alone."""

    rule: str
    shown: tree.Node
    value: tree.Node


@dataclass(frozen=True)
class Chain:
    """``left = row = row ...`` for all values of the indices, which are known by letters.

    ``held`` is the step that is differentiated, ``value`` reads its derivative by the name that it
    has in the check; ``is_result`` says that the chain ends in the derivative of an output,
    ``starts_beyond`` that it is a recurrence, whose first elements stand outside the array.
    """

    left: tree.Call
    target: tuple[Poly, ...]
    wrt: tuple[Index, ...]
    letters: Mapping[Index, str]
    value: tree.Node
    rows: tuple[Row, ...]
    held: str
    is_result: bool
    starts_beyond: bool


@dataclass(frozen=True)
class Way:
    """A whole derivation: the definitions that it starts from, and its chains in order."""

    definitions: tuple[tree.Step, ...]
    chains: tuple[Chain, ...]
    uses: tuple[tree.Claim, ...]
    names: Names
    program: Program


@dataclass(frozen=True)
class _Local:
    """The derivative of one step in terms of those of the steps that it reads."""

    step: AnyStep
    free: tuple[Index, ...]
    target: tuple[Poly, ...]
    states: tuple[State, ...]


def way(entry: Entry, program: Program, symbol: str, programs: Programs) -> Way:
    """The derivation of the partial derivatives of all outputs by a symbol. Raises NotDifferentiable."""
    return _Writer(entry, program, symbol, programs).way()


class _Writer:
    def __init__(self, entry: Entry, program: Program, symbol: str, programs: Programs) -> None:
        self.entry = entry
        self.programs = programs
        self.symbol = symbol
        self.presenter = Presenter(entry, program, "partial", (symbol,), programs)
        self.names = _awaited_letters(self.presenter.names())
        self.shown = [self.presenter.parts(held, symbol, self.names) for _, held in program.returns]
        self.layout = layout(program, elementwise=True)
        self.program = self.layout.program
        first = self.shown[0][0]
        self.wrt = first.part.wrt
        self.letters: dict[Index | Variable, str] = {i: first.scope.given[i] for i in self.wrt}
        self.active = self.layout.dependents({symbol})
        self.stepwise = Stepwise(self.program, symbol, self.wrt, self.active)
        self.definitions = Definitions(entry, self.program, self.presenter, self.names, self.active)
        # The derivative of a recurrence obeys a recurrence, and is not put in elsewhere.
        self.slopes = with_slopes(program, symbol)[1]
        self.moved = moved_names(self.program, entry, symbol)
        self.locals: dict[str, list[_Local]] = {}

    def way(self) -> Way:
        outputs = [held for _, held in self.program.returns]
        self.collect(outputs)
        inner = [s for s in reversed(self.program.step_names()) if s in self.locals]
        several = len(inner) > 1
        chains: list[Chain] = []
        for name in inner:
            parts = self.shown_of(name)
            for n, local in enumerate(self.locals[name]):
                shown = _of_target(parts, local, n)
                if shown is not None and not self.is_open(local.states[-1].expr):
                    chains.append(self.result(shown, local, list(self.chosen(local, several))))
                else:
                    chains.append(self.chain(local, shown, self.chosen(local, several)))
        for parts in self.shown:
            for shown in parts:
                owned = self.locals.get(shown.held, [])
                if not owned:
                    chains.append(self.constant(shown))
                for k, local in enumerate(owned):
                    if _of_target(parts, local, k) is shown and self.is_open(local.states[-1].expr):
                        chains.append(self.result(shown, local, self.together(local)))
        wanted = {*inner, *outputs, *(n for c in chains for row in c.rows for n in tree.names(row.shown))}
        definitions = tuple(self.definitions.read_by(wanted))
        return Way(definitions, tuple(chains), tuple(self.presenter.uses), self.names, self.program)

    def is_open(self, expr: Expr) -> bool:
        """Whether derivatives of steps are still to be put in."""
        return any(n not in self.slopes.values() for n in self.stepwise.awaits(expr))

    def shown_of(self, name: str) -> Sequence[ShownPart]:
        """The parts of an output's derivative; none for a step in between."""
        return next((parts for parts in self.shown if parts and parts[0].held == name), ())

    # --- steps --------------------------------------------------------------------------------------

    def collect(self, outputs: Sequence[str]) -> None:
        """The local derivatives of all steps on the way from the outputs to the symbol."""
        waiting = [name for name in outputs if name in self.active and name != self.symbol]
        while waiting:
            name = waiting.pop()
            if name in self.locals:
                continue
            self.locals[name] = [self.local(s) for s in self.program.steps if s.name == name]
            for local in self.locals[name]:
                waiting += self.stepwise.awaits(local.states[-1].expr)

    def local(self, step: AnyStep) -> _Local:
        if isinstance(step, Step):
            states = self.stepwise.states(step.expr)
            return _Local(step, step.free, step.target, tuple(states))
        free, target, found = self.layout.composed(step, self.active)
        terms = []
        for c in found:
            inner = self.stepwise.hold(Read(c.name, c.index, False))
            terms.append(build.bind("sum", c.bound, c.conditions, build.mul(c.coefficient, inner)))
        total = build.add(*terms) if terms else ZERO
        seeded = self.stepwise.seeded(total)
        states = [State((PRIMITIVES[step.operation],), seeded)]
        return _Local(step, free, target, (*states, *self.stepwise.settled(seeded, self.stepwise.closed(total))))

    def chosen(self, local: _Local, several: bool) -> Iterator[State]:
        """All states of a short way; of a long one each step's result alone, with the rules together."""
        *before, last = local.states
        special = self.definitions.rule(local.step)
        if several and isinstance(local.step, Step) and isinstance(local.step.expr, Read) and last.rules != (CONSTANT,):
            special = COPIED
        if not several or (len(self.locals) <= _DETAILED and special is None):
            yield from local.states
            return
        rules = [r for s in local.states for r in s.rules if r not in (LINEARITY, FOLDING, DELTA)]
        together = (special,) if special else tuple(dict.fromkeys(rules)) or (LINEARITY,)
        kept = set(self.stepwise.awaits(last.expr))
        if any(set(self.stepwise.awaits(s.expr)) - kept for s in before):
            # What falls away is worth a line.
            yield State(together, before[-1].expr)
            together = last.rules
        yield State(together, last.expr)

    # --- chains -------------------------------------------------------------------------------------

    def scope(self, local: _Local, shown: ShownPart | None) -> Names:
        """The letters of the indices: those of the shown derivative, where there is one."""
        given = dict(self.letters)
        if shown is not None:
            given = {mine: shown.scope.given[theirs] for theirs, mine in self.pairs(shown, local)}
        scope = replace(self.names, given=given)
        scope = scope.bind_axes(local.step.name, local.target, local.free).bind(local.free)
        # The indices of what is differentiated come first, also in deltas.
        return replace(scope, given={i: scope.given[i] for i in (*local.free, *self.wrt)})

    def pairs(self, shown: ShownPart, local: _Local) -> Iterator[tuple[Index, Index]]:
        """The indices of a shown part and those that stand for them here."""
        yield from zip(shown.part.free, local.free, strict=True)
        yield from zip(shown.part.wrt, self.wrt, strict=True)

    def chain(self, local: _Local, shown: ShownPart | None, states: Iterator[State]) -> Chain:
        scope = self.scope(local, shown)
        return self.made(local, scope, self.rows(states, scope), False)

    def made(self, local: _Local, scope: Names, rows: Sequence[Row], is_result: bool) -> Chain:
        above = scope.read(local.step.name, [poly_tree(p, scope) for p in local.target])
        below = element(self.symbol, [poly_tree(Poly.of(i), scope) for i in self.wrt])
        letters = {i: scope.given[i] for i in (*local.free, *self.wrt)}
        left = tree.Call("d", (above, below))
        value = self.moved_element(local.step.name, local.target, scope)
        name = local.step.name
        beyond = name in self.slopes.values()
        if isinstance(local.step, Step) and any(map(is_beyond, local.target, self.program.shape(name))):
            value = tree.Call("d", (plain_tree(local.step.expr, scope), below))  # no array keeps these elements
        return Chain(left, local.target, self.wrt, letters, value, tuple(rows), name, is_result, beyond)

    def moved_element(self, name: str, target: tuple[Poly, ...], scope: Names) -> tree.Node:
        return element(self.moved[name], [poly_tree(p, scope) for p in target])

    def result(self, shown: ShownPart, local: _Local, states: Sequence[State]) -> Chain:
        """A chain that ends in the derivative as it is shown."""
        scope = self.scope(local, shown)
        moved = {theirs: Poly.of(mine) for theirs, mine in self.pairs(shown, local)}
        part = self.held(build.substitute(build.freshen(shown.part.expr), moved))
        rows = self.rows(states, scope)
        reached = self.tree_of(part, scope)
        if rows and _symbols(rows[-1].shown) == _symbols(reached):
            rows[-1] = replace(rows[-1], shown=reached)
        else:
            fresh = not states or read_names(part) - read_names(states[-1].expr)
            fewer = bool(states) and count_tests(states[-1].expr) > count_tests(part)
            rule = TOGETHER if not rows else FOLDING if fresh else DELTA if fewer else REARRANGED
            rows.append(Row(rule, reached, self.value_of(part, scope)))
        line = shown.line
        if line.right != rows[-1].shown:
            # A claim is in the language, and is checked as it stands.
            claimed = self.presenter.claimed(shown.part, shown.held, self.symbol, constrained=False)
            value = line.right if claimed is not None else self.value_of(part, scope)
            row = Row(REARRANGED if claimed is None else CLAIMED, line.right, value)
            if _symbols(line.right) == _symbols(rows[-1].shown):
                row = replace(row, rule=rows.pop().rule)
            rows.append(row)
        if line.constrained is not None:
            found, _ = apply_constraints(part, self.program)
            plainly = self.value_of(found, scope)
            derived = line.constrained == self.tree_of(found, scope)
            rows.append(Row(CONSTRAINT, line.constrained, plainly if derived else line.constrained))
        return self.made(local, scope, self.distinct(rows), True)

    def held(self, expr: Expr) -> Expr:
        """The expression with place-holders for the derivatives of recurrences."""

        def change(read: Read) -> Expr | None:
            name = self.slopes.get(read.name)
            return None if name is None else Read(holder(name), read.index[: len(self.program.shape(name))], False)

        result: Expr = build.replace_reads(expr, change)
        return result

    def together(self, local: _Local) -> list[State]:
        """The derivatives of the steps put into that of an output."""
        known: dict[str, tuple[tuple[Index, ...], Expr]] = {}
        for name, found in self.locals.items():
            step = found[0].step
            if name not in self.slopes.values() and len(found) == 1 and (not isinstance(step, Step) or step.is_plain):
                known[name] = (found[0].free, found[0].states[-1].expr)
        start = local.states[-1].expr
        raw, done = start, start
        for _ in range(len(self.locals)):
            raw, done = self.stepwise.put(raw, known, True), self.stepwise.put(done, known, False)
        if self.is_open(done):
            return []
        return [State((TOGETHER,), raw), *self.stepwise.settled(raw, done)]

    def constant(self, shown: ShownPart) -> Chain:
        """An output that the symbol does not move, or that is the symbol itself."""
        part, scope = shown.part, shown.scope
        rows = [Row(CONSTANT, shown.line.right, plain_tree(part.expr, scope))]
        if part.expr != ZERO:
            rows = [replace(rows[0], rule=DEFINITION)]
        letters = {i: scope.given[i] for i in (*part.free, *part.wrt)}
        assert isinstance(shown.line.left, tree.Call)
        value = self.moved_element(shown.held, part.target, scope)
        return Chain(shown.line.left, part.target, part.wrt, letters, value, tuple(rows), shown.held, True, False)

    # --- rows ---------------------------------------------------------------------------------------

    def rows(self, states: Sequence[State] | Iterator[State], scope: Names) -> list[Row]:
        """The states as rows; what changes nothing to see is left out, and so is what is too long to read."""
        found = [Row(", ".join(s.rules), self.tree_of(s.expr, scope), self.value_of(s.expr, scope)) for s in states]
        return self.distinct(found)

    def distinct(self, rows: Sequence[Row]) -> list[Row]:
        kept: list[Row] = []
        rules: dict[str, None] = {}
        for n, row in enumerate(rows):
            rules |= dict.fromkeys(row.rule.split(", "))
            last = n == len(rows) - 1
            same = next((k for k, before in enumerate(kept) if before.shown == row.shown), None)
            if same is not None:  # nothing to see, or a way that comes back to where it was
                del kept[same + 1 :]
                rules = {}
                continue
            if not last and len(str(row.shown)) > LONGEST:
                continue
            if len(rules) > 1:
                rules.pop(LINEARITY, None)
            kept.append(replace(row, rule=", ".join(rules)))
            rules = {}
        return kept

    def tree_of(self, expr: Expr, scope: Names) -> tree.Node:
        return self.presenter.index_notation(expr, replace(scope, awaiting=self.awaiting(False)))

    def value_of(self, expr: Expr, scope: Names) -> tree.Node:
        shown = {**scope.shown, **{holder(name): moved for name, moved in self.moved.items()}}
        return plain_tree(expr, replace(scope, awaiting=self.awaiting(True), shown=shown))

    def awaiting(self, plainly: bool) -> dict[str, Awaiting]:
        place = tuple(Poly.of(i) for i in self.wrt)
        return {
            name: Awaiting(_plainly(awaited) if plainly else awaited.at, self.symbol, place)
            for name, awaited in self.stepwise.awaited.items()
            if not (plainly and self.stepwise.steps.get(name) in self.moved)
        }


def _of_target(parts: Sequence[ShownPart], local: _Local, n: int) -> ShownPart | None:
    """The shown part of one definition; the zeros from which a recurrence starts are not shown."""
    found = next((p for p in parts if p.part.target == local.target), None)
    return found if found is not None or n >= len(parts) or isinstance(local.step, Step) else parts[n]


def _plainly(awaited: Awaited) -> Callable[[tuple[Poly, ...]], Expr]:
    return lambda place: plain(awaited.at(place))


def _awaited_letters(names: Names) -> Names:
    """The derivative of a step is indexed by the letters that the step usually is."""
    return replace(names, usual={**names.usual, **{(holder(n), a): i for (n, a), i in names.usual.items()}})


def _symbols(node: tree.Node) -> list[str]:
    """What a formula is made of, whatever the order, the brackets and the letters of its indices."""
    return sorted(re.sub(r"\b[a-z]\b|[ ()]", "", str(node)))
