"""A derivative as people write it: its shapes, the steps it needs, its statements, the constraints used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kb import tree
from kb.calculus.constraints import apply_constraints
from kb.calculus.explicit import partial_program
from kb.calculus.forward import Partial, jvp, partial, with_slopes
from kb.calculus.inline import inline_smaller
from kb.calculus.primitives import with_companions
from kb.calculus.reverse import vjp
from kb.calculus.rewrites import decided
from kb.calculus.shorten import Shorten, positive_names
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Atom, Index, Poly, format_poly
from kb.index.nodes import ZERO, Bind, Expr, Read, read_names, walk
from kb.index.program import AnyStep, ArrayStep, Program, Step, are_side_by_side, is_beyond, loop_of, needed
from kb.model import Entry
from kb.printing.authored import authored_parts, with_authored
from kb.printing.blocks import joined, with_blocks, without_aliases, without_fillings
from kb.printing.detours import without_detours, without_inverses
from kb.printing.matrix import matrix_notation
from kb.printing.names import Names, poly_tree
from kb.printing.notation import (
    authored,
    base_name,
    borrowed,
    context_for,
    definition_of,
    names_for,
    stated_names,
    with_ranges,
)
from kb.printing.order import PART, STEP, TANGENT
from kb.printing.presentation import Line, Presentation, Shape
from kb.printing.reify import reify
from kb.printing.scatters import gathered
from kb.printing.trees import differentiated, element, is_indexed, renamed, replaced_by_names, with_old

if TYPE_CHECKING:
    from kb.programs import Programs

FORMS = ("partial", "jacobian", "vjp", "jvp", "hessian")


def present(
    entry: Entry, program: Program, form: str, wrt: Sequence[str], programs: Programs | None = None
) -> Presentation:
    """A derivative of an entry, for people.

    ``form`` is one of FORMS; ``wrt`` names one symbol, or several for ``vjp`` and ``jvp``. With
    ``programs`` the claims of the entry are tried: one that states exactly this derivative and
    follows from the definition is shown instead of the derived form. Raises NotDifferentiable.
    """
    maker = Presenter(entry, program, form, tuple(wrt), programs)
    made = {"vjp": maker.backward, "jvp": maker.forward, "hessian": maker.second}.get(form, maker.first)
    return made()


@dataclass(frozen=True)
class ShownPart:
    """A part of a partial derivative: of which step, its index form, how it is shown, and in which scope."""

    held: str
    part: Partial
    line: Line
    scope: Names


class Presenter:
    """Presents the derivatives of one entry; its methods are the forms."""

    def __init__(
        self, entry: Entry, program: Program, form: str, wrt: tuple[str, ...], programs: Programs | None
    ) -> None:
        self.entry = entry
        self.program = program
        self.form = form
        self.wrt = wrt
        self.programs = programs
        self.uses: dict[tree.Claim, None] = {}
        self.shapes: list[Shape] = []
        self.written = authored_parts(entry, programs)
        self.shorteners: dict[bool, Shorten] = {}

    def as_authored(self, expr: Expr, whole: bool = False) -> Expr:
        """The expression in the words of the definition; ``whole`` without subscripts of their own."""
        if whole not in self.shorteners:
            parts = [p for p in self.written if not (whole and p.letters)]
            self.shorteners[whole] = Shorten(Tidy(with_authored(self.program, parts)), positive_names(self.program))
        shorten = self.shorteners[whole]
        return shorten(shorten.tidy(expr))

    def names(self, derived: Program | None = None) -> Names:
        """A scope for statements, which collects the ranges of its own indices."""
        found = names_for(self.entry, self.program, derived)
        calls = {p.name: STEP if isinstance(p.node, tree.Call) else PART for p in self.written}
        roles = {**found.roles, **calls}
        return replace(found, ranges={}, parts={p.name: p for p in self.written}, roles=roles)

    @cached_property
    def laws(self) -> tuple[Any, ...]:
        """The laws of expectations, for entries that have any."""
        if self.programs is None or not any("E(" in text for text in self.entry.define):
            return ()
        from kb.printing.expectation import laws_of

        return laws_of(self.entry, self.programs)

    def index_notation(self, expr: Expr, scope: Names) -> tree.Node:
        """The expression in index notation, its expectations as such."""
        if self.laws:
            from kb.printing.expectation import with_expectations

            expr, scope = with_expectations(expr, self.laws, scope)
        return reify(expr, scope)

    # --- partial derivatives --------------------------------------------------------------------

    def first(self) -> Presentation:
        """The partial derivative, output by output."""
        symbol = self.wrt[0]
        names = self.names()
        self.shapes.append(self.shape_of("symbol", symbol))
        lines: list[Line] = []
        sloping, slopes = with_slopes(self.program, symbol)
        known = {n for n, array in slopes.items() if array in dict(self.program.returns).values()}
        wanted: set[str] = set()
        letters: list[str] = []
        for _, held in self.program.returns:
            quotient = tree.Call("d", (tree.Name(held), tree.Name(symbol)))
            sizes = (*self.sizes(self.public(held)), *self.sizes(symbol))
            self.shapes.append(Shape("derivative", quotient, sizes))
            shown = self.parts(held, symbol, names)
            letters = letters or [part.scope.given[i] for part in shown[:1] for i in part.part.wrt]
            lines += [part.line for part in shown]
            wanted |= {n for part in shown for n in read_names(part.part.expr)}
        lines += self.recurrences(sloping, slopes, wanted, names, known, letters)
        return self.result(lines, names, self.program)

    def parts(self, held: str, symbol: str, names: Names) -> list[ShownPart]:
        """The parts of the partial derivative of one output, but for zeros from which a recurrence starts."""
        sloping, slopes = with_slopes(self.program, symbol)
        names = self.with_quotients(names, sloping, slopes, symbol)
        shape = self.program.shape(held)
        found = partial(self.program, held, symbol)
        parts = [p for p in found if p.expr != ZERO or not any(map(is_beyond, p.target, shape))]
        return [self.shown_part(part, held, symbol, names) for part in parts]

    def with_quotients(self, names: Names, program: Program, slopes: Mapping[str, str], symbol: str) -> Names:
        """The same names; derivatives of arrays of a recurrence are shown as derivatives, behind other factors."""
        own = {name: (array, len(program.shape(array)), symbol) for name, array in slopes.items()}
        return replace(names, slopes={**names.slopes, **own}, roles={**names.roles, **dict.fromkeys(own, TANGENT)})

    def recurrences(
        self,
        program: Program,
        slopes: Mapping[str, str],
        wanted: set[str],
        names: Names,
        known: set[str],
        letters: Sequence[str] = (),
    ) -> list[Line]:
        """What the derivatives of the arrays of a recurrence obey, those that are wanted and not yet known.

        ``letters`` are those of the indices of the symbol.
        """
        names = self.with_quotients(names, program, slopes, self.wrt[0])
        lines = []
        for step in needed(program.steps, set(wanted)):
            if not isinstance(step, Step) or step.name not in slopes or step.name in known or step.expr == ZERO:
                continue
            array, count = slopes[step.name], len(step.target) - len(letters)
            wrt = zip((i for p in step.target[count:] for i in p.indices()), letters, strict=True)
            scope = names.bind_derivative(array, step.target[:count], step.free, wrt)
            left = names.read(step.name, [poly_tree(p, scope) for p in step.target])
            lines.append(Line(left, self.index_notation(self.as_authored(step.expr), scope)))
        return lines

    def shown_part(self, part: Partial, held: str, symbol: str, names: Names) -> ShownPart:
        claimed = self.claimed(part, held, symbol, constrained=False)
        own = replace(names, ranges={})
        scope = own.bind_axes(held, part.target, part.free).bind_axes(symbol, map(Poly.of, part.wrt), part.wrt)
        left: tree.Node = self.quotient(part, held, symbol, scope)
        if claimed is None:
            right = self.index_notation(self.as_authored(part.expr), scope)
        else:
            left, right, scope = claimed.left, claimed.right, self.renamed(claimed, part, scope)
        shorter = self.with_constraints(part.expr, right, scope)
        if shorter is not None:
            expected = self.claimed(part, held, symbol, constrained=True)
            if expected is not None and expected.left == left:
                shorter = expected.right
        names.note(scope.ranges)
        return ShownPart(held, part, Line(left, right, shorter), scope)

    def quotient(self, part: Partial, held: str, symbol: str, scope: Names) -> tree.Call:
        above = element(held, [poly_tree(p, scope) for p in part.target])
        below = element(symbol, [poly_tree(Poly.of(i), scope) for i in part.wrt])
        return tree.Call("d", (above, below))

    def claimed(self, part: Partial, held: str, symbol: str, constrained: bool) -> tree.Claim | None:
        """A claim that states this derivative and is proven, with or without the constraints."""
        if self.programs is None or part.expr == ZERO or held not in dict(self.program.returns).values():
            return None
        from kb.printing.claimed import claimed_form

        by = [symbol] * (1 + (self.form == "hessian"))
        claim = claimed_form(self.programs, self.entry, self.public(held), by, part, constrained)
        held_names = {public: name for public, name in self.program.returns if public != name}
        if claim is None or not held_names:
            return claim
        above, *below = differentiated(claim.left)
        left = renamed(above, held_names)
        for node in below:
            left = tree.Call("d", (left, node))
        incoming = {f"{public}_old": public for public in held_names}
        return tree.Claim(left, claim.relation, renamed(with_old(claim.right, "old"), held_names | incoming))

    def public(self, held: str) -> str:
        return next(name for name, step in self.program.returns if step == held)

    def renamed(self, claim: tree.Claim, part: Partial, scope: Names) -> Names:
        """The part's indices by the letters of the claim, which alone are in sight."""
        written = [i for node in differentiated(claim.left) if isinstance(node, tree.Element) for i in node.indices]
        given = dict(scope.given)
        for place, node in zip((*part.target, *map(Poly.of, part.wrt)), written, strict=True):
            if place.index is not None and isinstance(node, tree.Name):
                given[place.index] = node.id
        ranges = {i: {format_poly(i.size)} for i in given if isinstance(i, Index) and i.size is not None}
        return replace(scope, given=given, ranges={given[i]: sizes for i, sizes in ranges.items()})

    def with_constraints(self, expr: Expr, right: tree.Node, scope: Names) -> tree.Node | None:
        found, uses = apply_constraints(expr, self.program)
        if not uses:
            return None
        shown = reify(self.as_authored(found), scope)
        if shown == right or len(str(shown)) >= len(str(right)):
            return None
        self.uses.update(dict.fromkeys(uses))
        return shown

    def second(self) -> Presentation:
        """The second derivatives."""
        symbol = self.wrt[0]
        names = self.names()
        self.shapes.append(self.shape_of("symbol", symbol))
        lines: list[Line] = []
        for _, held in self.program.returns:
            derived, name = partial_program(self.program, held, symbol)
            _, slopes = with_slopes(self.program, symbol)
            sloping, more = with_slopes(derived, symbol, strict=False)
            scope = self.with_quotients(names, sloping, {**slopes, **more}, symbol)
            own = self.sizes(symbol)
            sizes = (*self.sizes(self.public(held)), *own, *own)
            subject = tree.Call("d", (tree.Call("d", (tree.Name(held), tree.Name(symbol))), tree.Name(symbol)))
            self.shapes.append(Shape("derivative", subject, sizes))
            found = partial(derived, name, symbol, strict=False)
            lines += [self.second_line(part, held, symbol, scope, derived, name) for part in found]
            wanted = {n for part in found for n in read_names(part.expr)}
            lines += self.recurrences(sloping, {**slopes, **more}, wanted, scope, set())
        return self.result(lines, names, self.program)

    def second_line(self, part: Partial, held: str, symbol: str, names: Names, derived: Program, name: str) -> Line:
        count = len(self.program.shape(held))
        target, first = part.target[:count], part.target[count:]
        scope = names.bind_axes(held, target, part.free).bind_axes(symbol, first, part.free)
        scope = scope.bind_axes(symbol, map(Poly.of, part.wrt), part.wrt)
        above = element(held, [poly_tree(p, scope) for p in target])
        one = element(symbol, [poly_tree(p, scope) for p in first])
        two = element(symbol, [poly_tree(Poly.of(i), scope) for i in part.wrt])
        left: tree.Node = tree.Call("d", (tree.Call("d", (above, one)), two))
        if part.expr == ZERO:
            symbol_, output = tree.Name(symbol), tree.Name(held)
            return Line(tree.Call("d", (tree.Call("d", (output, symbol_)), symbol_)), tree.Number("0"))
        expr = self.as_authored(self.unfolded(part.expr, derived, name))
        claimed = self.claimed(part, held, symbol, constrained=False)
        if claimed is not None:
            left, right, scope = claimed.left, claimed.right, self.renamed(claimed, part, scope)
            names.note(scope.ranges)
        else:
            right = self.index_notation(expr, scope)
        return Line(left, right, self.with_constraints(expr, right, scope))

    def unfolded(self, expr: Expr, derived: Program, name: str) -> Expr:
        """The second derivative without the first one's name, which nobody knows."""
        steps = [s for s in derived.definitions(name) if isinstance(s, Step) and s.is_plain]
        if not steps:
            return expr
        step = steps[0]

        def change(read: Read) -> Expr | None:
            if read.name != name:
                return None
            moved: dict[Atom, Poly] = dict(zip(step.free, read.index, strict=True))
            put: Expr = build.substitute(build.freshen(step.expr), moved)
            return put

        tidied: Expr = Tidy(self.program)(build.replace_reads(build.freshen(expr), change))
        return tidied

    # --- passes ---------------------------------------------------------------------------------

    def backward(self) -> Presentation:
        """The adjoint steps that the gradients need."""
        found = vjp(self.program, self.wrt)
        wanted = frozenset(name for name in found.gradients.values() if name is not None)
        names = self.names(found.program)
        self.shapes += [self.shape_of("symbol", name) for name in self.wrt]
        for public, held in found.cotangents.items():
            self.shapes.append(Shape("cotangent", tree.Name(held), self.sizes(public)))
        steps = without_aliases(needed(inline_smaller(found.adjoint, found.program, wanted), set(wanted)), wanted)
        steps = without_fillings(steps, wanted)
        lines = self.step_lines(steps, names, found.program)
        for symbol, gradient in found.gradients.items():
            if gradient != f"{symbol}_bar" and f"{symbol}_bar" not in self.program.tensors:
                lines.append(self.alias(f"{symbol}_bar", gradient))
        return self.result(lines, names, found.program)

    def alias(self, name: str, value: str | None) -> Line:
        """A gradient that is another cotangent, or 0."""
        return Line(tree.Name(name), tree.Name(value) if value is not None else tree.Number("0"))

    def forward(self) -> Presentation:
        """The tangent steps that the outputs need."""
        found = jvp(self.program, self.wrt)
        names = self.names(found.program)
        self.shapes += [self.shape_of("symbol", name) for name in self.wrt]
        for symbol, held in found.tangents.items():
            self.shapes.append(Shape("tangent", tree.Name(held), self.sizes(symbol)))
        own = set(self.program.step_names())
        steps = [s for s in found.program.steps if s.name not in own]
        results = frozenset(name for name in found.results.values() if name is not None)
        lines = self.step_lines(without_aliases(steps, results), names, found.program)
        for public, tangent in found.results.items():
            if tangent is None:
                lines.append(self.alias(f"{dict(self.program.returns)[public]}_dot", None))
        return self.result(lines, names, found.program)

    def step_lines(self, steps: Sequence[AnyStep], names: Names, program: Program) -> list[Line]:
        lines: list[Line] = []
        for parts in _in_order(steps):
            if any(isinstance(s, Step) and s.accumulates for s in parts):
                whole = gathered(parts, names, program)
                scope = replace(names, letters=(names.letters or frozenset()) | {i.name for i in whole.free})
                lines.append(self.step_line(whole, scope, program))
                continue
            together = self.side_by_side(parts, names, program)
            if together is not None:
                lines.append(Line(together.targets[0], together.value))
                continue
            lines += [self.step_line(s, names, program) for s in parts]
        return without_detours(without_inverses(lines, names))

    def step_line(self, step: AnyStep, names: Names, program: Program) -> Line:
        step = replace(step, expr=decided(step.expr)) if isinstance(step, Step) else step
        plain = step
        blocks = joined(step)
        if blocks is not None:
            return Line(*blocks)
        if isinstance(step, Step):
            found = self.as_authored(step.expr, whole=True)
            if not _has_conditions(step.expr) or not _has_conditions(found):  # windows stay as they are
                step = replace(step, expr=found)
        left, right, scope = definition_of(step, names, program)
        if step != plain and is_indexed(left, right):
            other = definition_of(plain, names, program)
            left, right, scope = (left, right, scope) if is_indexed(*other[:2]) else other
        if isinstance(step, ArrayStep):
            return Line(left, right)
        if self.laws:
            right = self.index_notation(step.expr, scope)
        found, uses = apply_constraints(step.expr, self.program)
        if not uses:
            return Line(left, right)
        self.uses.update(dict.fromkeys(uses))
        matrix = matrix_notation(found, step.free, program, scope) if isinstance(left, tree.Name) else None
        return Line(left, right, matrix if matrix is not None else reify(found, scope))

    # --- what surrounds the statements ----------------------------------------------------------

    def shape_of(self, role: str, name: str) -> Shape:
        return Shape(role, tree.Name(name), self.sizes(name))

    def sizes(self, name: str) -> tuple[str, ...]:
        """The sizes of a symbol as the author wrote them; of anything else as the program knows them."""
        symbol = self.entry.symbol(name)
        if symbol is not None and symbol.shape:
            return tuple(symbol.shape)
        held = dict(self.program.returns).get(name, name)
        return tuple(map(format_poly, self.program.shape(held)))

    def result(self, lines: list[Line], names: Names, program: Program) -> Presentation:
        defining = names_for(self.entry, self.program, program)
        before, internal = self.before(lines, defining)
        plain = context_for(self.entry, program, self.programs)
        plain = with_blocks(
            plain, [*(n for x in lines for n in (x.left, x.right)), *(s.value for s in before)], program
        )
        return Presentation(
            self.entry.id,
            self.form,
            self.wrt,
            tuple(self.shapes),
            before,
            internal,
            tuple(lines),
            tuple(self.uses),
            with_ranges(plain, names),
            with_ranges(plain, defining),
            tuple((s.name, s.instance or "") for s in self.entry.symbols if s.kind == "reducer"),
        )

    def before(self, lines: Sequence[Line], names: Names) -> tuple[tuple[tree.Step, ...], tuple[tree.Step, ...]]:
        """The definitions of the steps that the lines read, as the entry has them where it does.

        Also those among them that it does not state: steps of entries that it calls, of which a
        cotangent or a tangent on the left may speak without any formula that reads them.
        """
        entries = self.programs.entries if self.programs is not None else {}
        written, stated = authored(self.entry, self.program, entries), stated_names(self.entry, self.program)
        complete = with_companions(self.program)
        names = replace(names, taken=names.taken | set(complete.tensors))
        shown = {n for line in lines if not isinstance(line.left, tree.Call) for n in tree.names(line.left)}
        defined = {s.name for s in complete.steps} - (shown - set(self.program.step_names()))
        wanted = {n for line in lines for n in tree.names(line.right)} & defined
        unstated = {s.name for s in self.program.steps} - stated
        wanted |= {base_name(n) for line in lines for n in tree.names(line.left)} & unstated
        found: list[tree.Step] = []
        internal: list[tree.Step] = []
        for step in reversed(complete.steps):
            if step.name not in wanted:
                continue
            made = written.get(step.name)
            if made is not None and len(made) == len(own := complete.definitions(step.name)) > 1:
                made = [made[own.index(step)]]  # the start of a recurrence stands where it does in the definition
            if made is None:
                together = self.side_by_side(complete.definitions(step.name), names, complete)
                made = [together or self.shown_definition(step, names, complete)]
                internal += made if step.name not in stated else []
            found += [m for m in reversed(made) if m not in found]
            wanted |= {n for m in made for n in tree.names(m.value)} & defined
        named = [s for s in internal if len(s.targets) == 1 and _letters(s) <= tree.names(s.value)]
        ordered = [s if s in internal else replaced_by_names(s, named) for s in reversed(found)]
        return tuple(ordered), tuple(reversed(internal))

    def side_by_side(self, parts: Sequence[AnyStep], names: Names, program: Program) -> tree.Step | None:
        """``J = concat(x, y)`` for parts that are blocks along the last axis, each of which has a matrix notation."""
        blocks = [s for s in parts if isinstance(s, Step)]
        if not are_side_by_side(blocks):
            return None
        shown = [definition_of(_alone(s), names, program) for s in blocks]
        if not all(isinstance(left, tree.Name) for left, _, _ in shown):
            return None
        return tree.Step((tree.Name(blocks[0].name),), tree.Call("concat", tuple(right for _, right, _ in shown)))

    def shown_definition(self, step: AnyStep, names: Names, program: Program | None = None) -> tree.Step:
        """A step that the entry does not state: in matrix notation, else as the called entry states it."""
        blocks = joined(step)
        if blocks is not None and isinstance(blocks[0], tree.Name):
            return tree.Step((blocks[0],), blocks[1])
        left, right, _ = definition_of(step, names, program or self.program)
        assert isinstance(left, (tree.Name, tree.Element))
        if isinstance(step, Step) and isinstance(left, tree.Element) and len(left.indices) == len(step.free):
            lent = borrowed(step, left.indices, self.entry, self.programs)
            if lent is not None:
                return lent
        return tree.Step((left,), right)


def _has_conditions(expr: Expr) -> bool:
    """Whether some sum in it takes only some of its terms."""
    return any(isinstance(n, Bind) and n.conditions for n in walk(expr))


def _in_order(steps: Sequence[AnyStep]) -> list[list[AnyStep]]:
    """The steps of each name together, where the first stands; those from which a recurrence starts go with it.

    A value with which a recurrence begins stays in front of all of it.
    """
    turns = {s.name: n for n, s in reversed(list(enumerate(steps))) if loop_of(s) is not None}
    groups: dict[tuple[str, bool], list[AnyStep]] = {}
    place: dict[tuple[str, bool], int] = {}
    for n, step in enumerate(steps):
        turn = turns.get(step.name, n)
        begins = n < turn and isinstance(step, Step) and step.expr != ZERO
        key = (step.name, begins)
        groups.setdefault(key, []).append(step)
        place.setdefault(key, n if begins else turn)
    return [groups[key] for key in sorted(groups, key=lambda key: place[key])]


def _letters(step: tree.Step) -> set[str]:
    """The indices by which a step sets its array."""
    target = step.targets[0]
    places = target.indices if isinstance(target, tree.Element) else ()
    return {name for place in places for name in tree.names(place)}


def _alone(block: Step) -> Step:
    """The block as an array of its own."""
    return replace(block, target=tuple(map(Poly.of, block.free)), shape=tuple(i.extent for i in block.free))


__all__ = ["FORMS", "Line", "Presentation", "Shape", "present"]
