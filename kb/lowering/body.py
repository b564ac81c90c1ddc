"""The body of a generated function: one statement after another for the steps of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.nodes import ZERO, Add, Bind, Expr, Mul, Num, Pick, Read, Test, free_indices, walk
from kb.index.program import AnyStep, ArrayStep, Program, Step
from kb.lowering import reads
from kb.lowering.arrays import Lowerer
from kb.lowering.buffers import EVERYTHING
from kb.lowering.cells import assigned, cells_of
from kb.lowering.contraction import LETTERS, product_of_two
from kb.lowering.cumulative import masked
from kb.lowering.joins import blocks_of, join
from kb.lowering.loops import Item, Rolled, Turn
from kb.lowering.operands import SUM, Operand, align, permute, poly_code, squeeze, union
from kb.lowering.reductions import times
from kb.lowering.survey import canonical, natural_order
from kb.vocabulary import MATRIX_FUNCTIONS


class Body:
    """Lowers steps in order. ``finals`` maps steps to the argument whose gradient they are."""

    def __init__(
        self, lowerer: Lowerer, steps: Sequence[Item], finals: Mapping[str, str], kept: Sequence[str] = ()
    ) -> None:
        self.lowerer = lowerer
        self.writer = lowerer.writer
        self.program: Program = lowerer.program
        self.steps = list(steps)
        self.finals = finals
        self.kept = tuple(kept)
        self.reduced: set[str] = set()

    def run(self) -> None:
        """Emit all steps."""
        for step in self.steps:
            for inner in _steps_of(step):
                if isinstance(inner, Step):
                    self.lowerer.survey(inner.expr)
                else:
                    self.lowerer.ahead[inner.argument] += 1
        for held in self.kept:
            self.lowerer.ahead[held] += 1
        self.steps = self.large_last(self.steps)
        for n, step in enumerate(self.steps):
            self.free_views(self.steps[n:])
            if isinstance(step, Rolled):
                self.roll(step)
            elif isinstance(step, ArrayStep):
                self.primitive(step)
            elif step.accumulates:
                self.scatter(step)
            elif step.is_plain:
                self.plain(step)
            elif parts := blocks_of(step, self.steps):
                if step is parts[-1]:
                    self.store(step, join(parts, self.lowerer))
            else:
                self.part(step)

    def large_last(self, steps: list[Item]) -> list[Item]:
        """What is scattered into and read by no other step comes last, when other memory is free again."""
        read = {name for s in steps for name in s.inputs}
        scattered = {s.name for s in steps if isinstance(s, Step) and s.accumulates} - read
        last = [s for s in steps if isinstance(s, Step) and s.name in scattered]
        return [s for s in steps if not any(s is other for other in last)] + list(last)

    def free_views(self, ahead: Sequence[Item]) -> None:
        """Let go of padded copies that no later step reads."""
        inner = [s for item in ahead for s in _steps_of(item) if isinstance(s, Step)]
        wanted = {n.name for s in inner for n in walk(s.expr) if isinstance(n, Read) and n.outside}
        for key, (name, _, _, source) in list(self.lowerer.views.items()):
            if source and source not in wanted:
                self.writer.line(f"del {name}")
                del self.lowerer.views[key]

    # --- plain steps ----------------------------------------------------------------------------

    def plain(self, step: Step) -> None:
        lowerer = self.lowerer
        lowerer.hint = step.name
        lowerer.rank = len(step.free)
        final = self.finals.get(step.name)
        if final is not None and lowerer.ahead[step.name] == 1 and self.is_only(step):
            operand = self.gradient(step.expr, step.free, final)
            self.reduced.add(step.name)
        elif (found := cells_of(step, lowerer)) is not None:
            operand = assigned(step, found, lowerer)
        else:
            operand = lowerer.lower(step.expr, step.free)
        lowerer.hint = ""
        self.store(step, operand)

    def is_only(self, step: Step) -> bool:
        return sum(isinstance(s, Step) and s.name == step.name for s in self.steps) == 1

    # --- recurrences ----------------------------------------------------------------------------

    def roll(self, rolled: Rolled) -> None:
        """A loop over the index along which a recurrence advances."""
        lowerer, writer = self.lowerer, self.writer
        index = rolled.loop.index
        for turn in rolled.turns:
            if turn.array and turn.array not in lowerer.variables:
                self.allocate(turn)
        lowerer.loops = {index: writer.name(index.name)}
        lowerer.rolling = {turn.array for turn in rolled.turns} | {turn.local.name for turn in rolled.turns}
        for turn in rolled.turns:
            self.views_of(turn.local)
        lowerer.take_turns(turn.local.expr for turn in rolled.turns)
        turns = f"range({poly_code(index.extent)})"
        writer.line(f"for {lowerer.loops[index]} in {f'reversed({turns})' if rolled.loop.backward else turns}:")
        writer.depth += 1
        for turn in rolled.turns:
            self.turn(turn)
        writer.depth -= 1
        lowerer.loops, lowerer.rolling = {}, set()

    def allocate(self, turn: Turn) -> None:
        name = self.writer.name(turn.array)
        self.writer.line(f"{name} = np.empty({self.full_shape(turn.shape)}, {self.lowerer.dtype})")
        free = tuple(Index("i", s) for s in turn.shape)
        self.lowerer.define(turn.array, Operand(name, free, frozenset([EVERYTHING])))

    def views_of(self, step: Step) -> None:
        """What the loop reads through strided views, which it does not change."""
        for node in walk(step.expr):
            if not isinstance(node, Read) or node.name in self.lowerer.rolling:
                continue
            if reads.is_through_view(self.lowerer, node):
                reads.view_of(self.lowerer, node)

    def turn(self, turn: Turn) -> None:
        """The value of one turn, under a name if the turn reads it again, in its array if it is kept."""
        lowerer, step = self.lowerer, turn.local
        if step.name:
            self.plain(step)
            operand = lowerer.variables[step.name]
        else:
            operand = lowerer.lower(step.expr, step.free)
        if not turn.array:
            return
        key = ", ".join(_place_code(p, lowerer.loops) for p in turn.places)
        code = f"{lowerer.variables[turn.array].code}[..., {key}] = {lowerer.aligned(operand, step.free).code}"
        lowerer.emit(code, *(() if step.name else (operand,)))

    def store(self, step: Step, operand: Operand) -> None:
        """Give the step's value its name, with all its axes in order."""
        lowerer = self.lowerer
        operand = squeeze(operand) if operand.indices == step.free else operand
        if set(operand.indices) != set(step.free):
            shape = self.shape(step.shape)
            code = f"_full({lowerer.aligned(operand, step.free).code}, {shape})"
            operand = Operand(code, step.free, operand.deps, refs=operand.refs)
        operand = permute(operand, step.free)
        if operand.code.isidentifier() and not operand.argument:
            lowerer.pending.subtract(operand.refs)
            if operand.buffer and not lowerer.may_overwrite(replace(operand, axes=operand.axes or (None,))):
                lowerer.pinned_here.add(operand.code)
            if operand.buffer and operand.code != step.name and step.name not in self.writer.taken:
                self.writer.line(f"{self.writer.name(step.name)} = {operand.code}")
                if operand.code in lowerer.pinned_here:
                    lowerer.pinned_here.add(step.name)
                operand = replace(operand, code=step.name)
            lowerer.overwritten.discard(operand.code)
            lowerer.define(step.name, replace(operand, refs=()))
            return
        name = self.writer.name(step.name)
        lowerer.emit(f"{name} = {operand.code}", operand)
        if not operand.fresh and not operand.buffer:
            lowerer.borrowed.add(name)
        lowerer.overwritten.discard(name)
        lowerer.define(step.name, Operand(name, step.free, operand.deps, buffer=operand.fresh))

    def shape(self, shape: tuple[Poly, ...]) -> str:
        """A shape as source."""
        inner = ", ".join(poly_code(s) for s in shape)
        return f"({inner},)" if len(shape) == 1 else f"({inner})"

    # --- gradients of arguments -----------------------------------------------------------------

    def gradient(self, expr: Expr, free: tuple[Index, ...], argument: str) -> Operand:
        """The value summed over the leading axes that the argument lacks, in the product itself."""
        terms = expr.args if isinstance(expr, Add) else (expr,)
        if not any(self.is_contraction(t, free) for t in terms):
            return self.reduced_to(self.lowerer.lower(expr, free), free, argument)
        result: Operand | None = None
        for term in terms:
            positive = build.split_coefficient(term)[0] >= 0
            made = self.term(term if positive else build.negative(term), free, argument)
            if result is None:
                result = made if positive else self.lowerer.negate(made)
            else:
                result = self.lowerer.binary("+" if positive else "-", result, made, SUM, free)
        assert result is not None
        return result

    def is_contraction(self, term: Expr, free: tuple[Index, ...]) -> bool:
        """Whether a term is one matrix product, or an outer product."""
        _, core = self.split(term)
        if isinstance(core, Bind):
            if core.op != "sum" or core.conditions or self.is_repeated(core) or not isinstance(core.body, Mul):
                return False
            core = core.body
            shared: set[Index] = set()
        else:
            shared = set(free)
        if not isinstance(core, Mul) or any(isinstance(a, Test) for a in core.args):
            return False
        groups = {frozenset(free_indices(a)) for a in core.args if not isinstance(a, Num)}
        if len(groups) != 2 or not set(free) <= frozenset().union(*groups):
            return False
        a, b = groups
        return bool(a) and bool(b) and (not a & b if shared else (not a <= b and not b <= a) or bool((a | b) - (a & b)))

    def term(self, term: Expr, free: tuple[Index, ...], argument: str) -> Operand:
        """One term of a gradient."""
        if not self.is_contraction(term, free):
            return self.reduced_to(self.lowerer.lower(term, free), free, argument)
        lowerer = self.lowerer
        like = (f'{lowerer.given}["{argument}"]', len(self.program.shape(argument)))
        scale, core = self.split(term)
        body, inner = (core.body, (*free, *core.indices)) if isinstance(core, Bind) else (core, free)
        groups: dict[frozenset[Index], list[Expr]] = {}
        for factor in body.args if isinstance(body, Mul) else (body,):
            groups.setdefault(frozenset(free_indices(factor)), []).append(factor)
        a, b = (lowerer.lower(build.mul(*g), natural_order(build.mul(*g), inner)) for g in groups.values())
        if scale is not None:
            if a.argument and len(a.indices) == 2:
                a = times(lowerer, a, scale, inner)
            elif b.argument and len(b.indices) == 2:
                b = times(lowerer, b, scale, inner)
            else:
                made = replace(product_of_two(a, b, free, like), deps=frozenset([argument]))
                return times(lowerer, made, scale, free)
        made = product_of_two(a, b, free, like)
        if not made.code.startswith("_einsum"):
            return self.reduced_to(made, free, argument)
        return replace(made, deps=frozenset([argument]))

    def split(self, expr: Expr) -> tuple[Expr | None, Expr]:
        """Numbers and sizes in front, and the rest."""
        if not isinstance(expr, Mul):
            return None, expr
        constant = [a for a in expr.args if not any(isinstance(n, Read) for n in walk(a)) and not free_indices(a)]
        rest = [a for a in expr.args if a not in constant]
        return (build.mul(*constant) if constant else None), build.mul(*rest)

    def is_repeated(self, expr: Expr) -> bool:
        return self.lowerer.repeats[canonical(expr)[0]] > 1

    def reduced_to(self, operand: Operand, free: tuple[Index, ...], argument: str) -> Operand:
        lowerer = self.lowerer
        if set(operand.indices) != set(free):
            shape = self.shape(tuple(i.extent for i in free))
            operand = Operand(
                f"_full({lowerer.aligned(operand, free).code}, {shape})", free, operand.deps, refs=operand.refs
            )
        operand = permute(squeeze(operand), free)
        code = f'_gradient({operand.code}, {lowerer.given}["{argument}"])'
        owned = operand.fresh or operand.buffer
        return Operand(code, free, frozenset([argument]), fresh=owned, refs=operand.refs)

    # --- parts and scatters ---------------------------------------------------------------------

    def part(self, step: Step) -> None:
        """``name[2*i] = value``: written through a strided view of the whole."""
        lowerer = self.lowerer
        operand = lowerer.lower(step.expr, step.free)
        spec, axes = reads.axes_code(step.target)
        view = self.writer.name(f"{step.name}_view")
        begun = step.name in lowerer.variables
        if begun:
            whole = lowerer.variables[step.name]
            self.writer.line(f"{view} = _view({whole.code}, {len(step.shape)}, {spec})")
        else:
            name = self.writer.name(step.name)
            shape = self.full_shape(step.shape)
            self.writer.line(f"{name}, {view} = _landing({shape}, {lowerer.dtype}, {len(step.shape)}, {spec})")
            lowerer.define(step.name, Operand(name, tuple(i for i in step.free), frozenset([EVERYTHING])))
        if begun or step.expr != ZERO:  # what has just been made is 0
            self.writer.line(f"{view}[...] = {lowerer.aligned(operand, axes).code}")

    def full_shape(self, shape: tuple[Poly, ...]) -> str:
        inner = ", ".join(poly_code(s) for s in shape)
        lead = self.lowerer.lead
        return f"(*{lead}, {inner})" if inner else lead

    def scatter(self, step: Step) -> None:
        """Accumulate into the places that were read."""
        labels = [n for n, p in enumerate(step.target) if any(isinstance(a, Gather) for a in p.atoms())]
        affine = all(reads.is_affine(p) for p in step.target)
        indices = [i for p in step.target for i in dict.fromkeys(p.indices())]
        if labels:
            self.deposit(step, labels)
        elif affine and len(indices) == len(set(indices)):
            self.windows(step)
        else:
            self.gather_back(step)

    def target(self, step: Step, deps: frozenset[str]) -> tuple[str, bool]:
        """The array to accumulate into, made if it is not there; and whether it was."""
        lowerer = self.lowerer
        held = lowerer.variables.get(step.name)
        if held is not None and held.buffer and held.code.isidentifier() and self.is_ours(held, deps):
            lowerer.version[held.code] += 1
            lowerer.held[step.name] = lowerer.version[held.code]
            return held.code, True
        name = self.writer.name(step.name)
        start = f" + {held.code}" if held is not None else ""
        self.writer.line(f"{name} = np.zeros({self.full_shape(step.shape)}, {lowerer.dtype}){start}")
        free = tuple(Index("i", s) for s in step.shape)
        lowerer.define(step.name, Operand(name, free, frozenset([EVERYTHING]), buffer=True))
        return name, False

    def is_ours(self, held: Operand, deps: frozenset[str]) -> bool:
        """Whether an array may be added to: it has all leading axes, and nobody reads it under another name."""
        if held.code in self.lowerer.pinned or held.code in self.lowerer.pinned_here:
            return False
        return EVERYTHING in held.deps or held.deps >= deps

    def deposit(self, step: Step, labels: list[int]) -> None:
        lowerer = self.lowerer
        rest = [p.index for n, p in enumerate(step.target) if n not in labels]
        label = step.target[labels[0]].atom
        simple = len(labels) == 1 and isinstance(label, Gather) and not label.index and all(r is not None for r in rest)
        if not simple or len(set(rest)) != len(rest):
            self.gather_back(step)
            return
        assert isinstance(label, Gather)
        own = tuple(r for r in rest if r is not None)
        summed = [i for i in step.free if i not in own]
        value = lowerer.lower(build.bind("sum", summed, (), step.expr), own)
        held = lowerer.variable(label.name)
        name, _ = self.target(step, value.deps | held.deps)
        axis = labels[0] - len(step.target)
        self.writer.line(
            f"_deposit({name}, {len(step.target)}, {axis}, {held.code}, {lowerer.aligned(value, own).code})"
        )

    def windows(self, step: Step) -> None:
        """A loop over the taps of the window; in it, ``+=`` on a slice."""
        lowerer, writer = self.lowerer, self.writer
        taps = self.taps(step)
        spec, axes = reads.axes_code(step.target)
        dense = tuple(i for i in axes if i not in taps)
        outside = ", True" if reads.may_leave(self.program, step.name, step.target) else ""
        before = lowerer.variables.get(step.name)
        self.before_loop(step, taps)
        name, view = writer.name(step.name), writer.name(f"{step.name}_view")
        shape = self.full_shape(step.shape)
        writer.line(f"{name}, {view} = _landing({shape}, {lowerer.dtype}, {len(step.shape)}, {spec}{outside})")
        if taps and self.accumulate_product(step, view, axes, taps):
            self.finish_windows(step, name, before)
            return
        loop = {i: writer.name(i.name) for i in taps}
        if taps:
            counts = ", ".join(poly_code(i.extent) for i in taps)
            names = ", ".join(loop.values()) + ("," if len(taps) == 1 else "")
            writer.line(f"for {names} in _taps({counts}):")
            writer.depth += 1
            lowerer.loops = dict(loop)
        if taps:
            self.remember_picks(dense)
        summed = [i for i in step.free if i not in axes]
        value = lowerer.lower(build.bind("sum", summed, (), step.expr), dense)
        key = ", ".join(loop.get(i, ":") for i in axes)
        writer.line(f"{view}[..., {key}] += {lowerer.aligned(value, dense).code}")
        lowerer.loops = {}
        if taps:
            writer.depth -= 1
        self.finish_windows(step, name, before)

    def finish_windows(self, step: Step, name: str, before: Operand | None) -> None:
        """Add what the array held before, and make it the step's value."""
        self.lowerer.hits.clear()
        if before is not None:
            self.writer.line(f"{name} += {before.code}")
        free = tuple(Index("i", s) for s in step.shape)
        self.lowerer.define(step.name, Operand(name, free, frozenset([EVERYTHING])))

    def accumulate_product(self, step: Step, view: str, axes: tuple[Index, ...], taps: tuple[Index, ...]) -> bool:
        """Whether the step was a sum of products of two arrays, and has been added as such."""
        factors = step.expr.args if isinstance(step.expr, Mul) else ()
        if len(factors) != 2 or not all(isinstance(f, Read) and _all_bare(f) for f in factors):
            return False
        summed = [i for i in step.free if i not in axes]
        if not summed or any(not (free_indices(f) & set(summed)) for f in factors):
            return False
        lowerer = self.lowerer
        a, b = (lowerer.lower(f, step.free) for f in factors)
        letters = dict(zip(step.free, LETTERS, strict=False))
        spec = ",".join("".join(letters[i] for i in o.indices) for o in (a, b))
        spec += "->" + "".join(letters[i] for i in axes)
        where = ", ".join(str(axes.index(i) - len(axes)) for i in taps)
        comma = "," if len(taps) == 1 else ""
        lowerer.emit(f'_accumulate({view}, ({where}{comma}), "{spec}", {a.code}, {b.code})', a, b)
        return True

    def taps(self, step: Step) -> tuple[Index, ...]:
        """The indices to loop over: on each axis all but the one that runs over most places."""
        found: list[Index] = []
        for place in step.target:
            indices = list(dict.fromkeys(place.indices()))
            if len(indices) > 1:
                dense = max(indices, key=lambda i: (_complexity(i.extent), -indices.index(i)))
                found += [i for i in indices if i is not dense]
        return tuple(found)

    def before_loop(self, step: Step, taps: tuple[Index, ...]) -> None:
        """What the loop needs and does not change: views and extrema."""
        lowerer = self.lowerer
        for node in walk(step.expr):
            if isinstance(node, Read) and not _all_bare(node):
                if all(reads.is_affine(p) and not _labels(p) for p in node.index):
                    reads.view_of(lowerer, node)
            elif isinstance(node, Pick) and taps and tuple(p.index for p in node.at) == taps:
                extreme = Bind(node.op, node.indices, node.conditions, node.body)
                order = tuple(i for i in step.free if i in free_indices(extreme))
                lowerer.hits[node] = lowerer.keep(lowerer.lower(extreme, order), "extreme")

    def remember_picks(self, dense: tuple[Index, ...]) -> None:
        """Inside the loop: the first place that reaches the extreme, and no other after it."""
        lowerer, writer = self.lowerer, self.writer
        before = len(writer.lines) - 1
        for node, extreme in list(lowerer.hits.items()):
            assert isinstance(node, Pick)
            open_, hit = writer.name("unseen"), writer.name("hit")
            writer.lines.insert(before, f"    {open_} = np.ones({extreme.code}.shape, np.bool)")
            moved = dict(zip(node.indices, node.at, strict=True))
            here = lowerer.lower(build.substitute(masked(node), moved), dense)
            axes = union([here.axes], dense)
            writer.line(f"{hit} = {align(here, axes)} == {align(extreme, axes)}")
            writer.line(f"{hit} &= {open_}")
            writer.line(f"{open_} ^= {hit}")
            lowerer.hits[node] = Operand(hit, axes, here.deps | extreme.deps)

    def gather_back(self, step: Step) -> None:
        """Any scatter at all: an array of places for each axis."""
        lowerer = self.lowerer
        held = lowerer.variables.get(step.name)
        reached = {i for p in step.target for i in p.indices()}
        own = tuple(i for i in step.free if i in reached)
        summed = [i for i in step.free if i not in reached]
        value = lowerer.lower(build.bind("sum", summed, (), step.expr), own)
        places, _, _ = reads.place_arrays(lowerer, step.target, own)
        name = self.writer.name(step.name)
        shape = self.full_shape(step.shape)
        outside = ", True" if reads.may_leave(self.program, step.name, step.target) else ""
        source = lowerer.aligned(value, own).code
        self.writer.line(f"{name} = _gather_back({shape}, {lowerer.dtype}, ({places}), {len(own)}, {source}{outside})")
        if held is not None:
            self.writer.line(f"{name} += {held.code}")
        free = tuple(Index("i", s) for s in step.shape)
        deps = frozenset([EVERYTHING])
        lowerer.define(step.name, Operand(name, free, deps))

    def primitive(self, step: ArrayStep) -> None:
        """All results of a primitive that any step wants, by one call."""
        lowerer = self.lowerer
        if step.name in lowerer.variables:
            return
        family = [s for s in self.steps if isinstance(s, ArrayStep) and s.argument == step.argument]
        held = {s.output: s for s in reversed(family) if s.operation == step.operation}
        source = lowerer.variable(step.argument)
        row = MATRIX_FUNCTIONS[step.operation]
        names = [self.writer.name(held[n].name) if n in held else "_" for n in range(len(row.outputs))]
        self.writer.line(f"{', '.join(names)} = {row.numpy.format(source.code)}")
        for other in family:
            if other.operation != step.operation:
                continue
            lowerer.uses[source.code] -= 1
            free = tuple(Index("i", s) for s in other.shape)
            lowerer.define(other.name, Operand(names[other.output], free, source.deps))


def _steps_of(item: Item) -> Sequence[AnyStep]:
    return [turn.local for turn in item.turns] if isinstance(item, Rolled) else [item]


def _place_code(place: Poly, loops: Mapping[Index, str]) -> str:
    """A place along one axis: that of the turn, or all that an index runs over."""
    open_ = [i for i in place.indices() if i not in loops]
    if not open_:
        return poly_code(place, dict(loops))
    parts = place.split(open_[0])
    assert parts is not None and len(set(open_)) == 1
    slope, start = parts
    if place.index is not None:
        return ":"
    stop = start + slope * (open_[0].extent - 1) + 1
    return f"{poly_code(start)}:{poly_code(stop)}:{poly_code(slope)}"


def _complexity(poly: Poly) -> int:
    """How composite a size is: a kernel's is a name, an output's a formula."""
    return 0 if isinstance(poly.atom, str) or poly.constant is not None else 1


def _all_bare(node: Read) -> bool:
    return all(p.index is not None for p in node.index)


def _labels(poly: Poly) -> bool:
    return any(isinstance(a, Gather) for a in poly.atoms())
