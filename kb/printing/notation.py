"""The names of a program and its derivatives: their glyphs and ranks, and the letters of their indices."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from kb import tree
from kb.glyphs import split_notation
from kb.index import build
from kb.index.affine import Poly, format_poly
from kb.index.nodes import Bind, Fn, Pick, Read, reads, same, walk
from kb.index.program import AnyStep, ArrayInstance, ArrayStep, Program, Step
from kb.model import Entry
from kb.parser import parse_statement
from kb.printing.functions import signatures_of, with_functions
from kb.printing.glyphs import (
    Context,
    Glyph,
    assemble,
    glyph_latex,
    split_name,
    split_scripts,
    symbol_latex,
    tex_to_text,
)
from kb.printing.matrix import matrix_notation, turn_notation
from kb.printing.names import Names, poly_tree
from kb.printing.order import COTANGENT, GIVEN, STEP, TANGENT, authored_pairs
from kb.printing.reify import reify
from kb.printing.trees import element, mapped, renamed
from kb.printing.written import written_out
from kb.profiles import PLAIN, Trait
from kb.vocabulary import MATRIX_FUNCTIONS

if TYPE_CHECKING:
    from kb.programs import Programs

_DERIVED = re.compile(r"(?P<base>.+?)(?P<total>_total)?_(?P<mark>bar|dot)(_1)*")
_LEADING = "ijkl"


def names_for(entry: Entry, definition: Program, program: Program | None = None) -> Names:
    """The scope of an entry's formulas: its names taken, its axes indexed as its definition does.

    ``program`` is derived from the definition and has names of its own.
    """
    tensors = {**definition.tensors, **(program.tensors if program is not None else {})}
    taken = {*tensors, *definition.dimensions, *(s.name for s in entry.symbols)}
    usual: dict[tuple[str, int], str] = {}
    ranges: dict[str, set[str]] = {}
    letters = _letters(entry)
    taken |= _marks(entry, definition) - letters
    steps = [s for s in definition.steps if isinstance(s, Step)]
    for step in steps:
        _note(usual, step.name, step.target)
    for step in steps:
        for read in reads(step.expr):
            _note(usual, read.name, read.index)
        bound = [i for n in walk(step.expr) if isinstance(n, (Bind, Pick)) for i in n.indices]
        for index in (*step.free, *bound):
            if index.size is not None:
                ranges.setdefault(index.name, set()).add(format_poly(index.size))
    for name, tensor in tensors.items():
        for axis in range(len(tensor.shape)):
            if (base_name(name), axis) in usual:
                usual.setdefault((name, axis), usual[base_name(name), axis])
    known = {key: letter for key, letter in usual.items() if letter in letters}
    roles = {name: _role(name, definition) for name in tensors}
    pairs = authored_pairs(step.expr for step in steps)
    held = Names(frozenset(taken), {}, {}, known, ranges, signatures=signatures_of(definition))
    inverses = {
        step.name: (step.argument, step.lead)
        for step in (program or definition).steps
        if isinstance(step, ArrayStep) and step.operation == "inv"
    }
    symmetric = {step.name for step in steps if _is_symmetric(step)}
    symmetric |= {name for name, (argument, _) in inverses.items() if argument in symmetric}
    return replace(held, roles=roles, pairs=pairs, letters=letters, inverses=inverses, symmetric=frozenset(symmetric))


def _is_symmetric(step: Step) -> bool:
    """Whether a step is a matrix that is its own transpose, as ``X.T @ X`` is."""
    if len(step.free) != 2 or not step.is_plain or step.free[0].size != step.free[1].size:
        return False
    one, other = step.free
    turned = build.substitute(build.freshen(step.expr), {one: Poly.of(other), other: Poly.of(one)})
    return same(turned, step.expr)


def _role(name: str, definition: Program) -> int:
    """What a name holds: something upstream, a step, something given, a tangent."""
    if name in definition.tensors:
        return STEP if any(s.name == name for s in definition.steps) else GIVEN
    found = _DERIVED.fullmatch(name)
    if found is None:
        return STEP
    return COTANGENT if found["mark"] == "bar" else TANGENT


@lru_cache(maxsize=512)
def _letters_of(define: tuple[str, ...]) -> frozenset[str]:
    found: set[str] = set()
    for text in define:
        for node in tree.walk(parse_statement(text)):
            if isinstance(node, tree.Element):
                found |= {name for index in node.indices for name in tree.names(index)}
    return frozenset(found)


def _letters(entry: Entry) -> frozenset[str]:
    """The names that stand in subscripts of the definition."""
    return _letters_of(tuple(entry.define))


def _marks(entry: Entry, definition: Program) -> set[str]:
    """The letters that stand in the subscripts of names, as the layer does in ``W_l``: no index may look like them."""
    context = Context(glyphs={s.name: s.glyph for s in entry.symbols if s.glyph})
    names = {*definition.tensors, *(s.name for s in entry.symbols)}
    below = [mark for name in names for mark in glyph_latex(name, context).subscripts]
    letters = {letter for mark in below for letter in re.findall(r"(?<![A-Za-z\\])[a-z](?![A-Za-z])", mark)}
    return letters | {timeline(entry) or ""}


def base_name(name: str) -> str:
    """The name whose cotangent or tangent a name holds, else the name itself."""
    found = _DERIVED.fullmatch(name)
    return found["base"] if found else name


def _note(usual: dict[tuple[str, int], str], name: str, places: tuple[Poly, ...]) -> None:
    for axis, place in enumerate(places):
        if place.index is not None:
            usual.setdefault((name, axis), place.index.name)


def context_for(entry: Entry, program: Program, programs: Programs | None = None) -> Context:
    """What the printers have to know about all names of a program."""
    ranks = {name: len(tensor.shape) for name, tensor in program.tensors.items()}
    kinds: dict[str, str] = {}
    for symbol in entry.symbols:
        ranks.setdefault(symbol.name, len(symbol.shape))
        if symbol.kind != "real":
            kinds[symbol.name] = symbol.kind
        if symbol.kind == "function":
            kinds |= {symbol.name + "_prime" * n: "function" for n in (1, 2)}
    timed = timeline(entry)
    opened = open_sizes(entry, program)
    known = Context(
        ranks,
        _glyphs(entry, program),
        kinds,
        signatures=_signatures(entry, programs),
        calls=Calls(entry, programs.entries) if programs is not None else {},
        shapes=_shapes(program, opened),
        time_index=timed,
        times=_times(entry, program) if timed else {},
        open_sizes=opened,
        profile=programs.profile if programs is not None else PLAIN,
        traits=traits_of(entry),
    )
    return with_functions(known, signatures_of(program))


def traits_of(entry: Entry) -> dict[str, Trait]:
    """What a profile has to know of the symbols of an entry."""
    return {symbol.name: Trait.of(symbol) for symbol in entry.symbols}


def timeline(entry: Entry) -> str | None:
    """The index of the time or the layer that the values of an entry belong to."""
    return entry.time or entry.layer


def in_time(entry: Entry, name: str) -> bool:
    """Whether the value of that name is one of many along the entry's time or layers."""
    symbol = entry.symbol(name)
    if symbol is None or symbol.kind != "real":
        return symbol is None
    return symbol.role != "hyperparameter" and (symbol.role != "parameter" or entry.layer is not None)


def _times(entry: Entry, program: Program) -> dict[str, int]:
    """When each value is of: incoming states of the time before, what is named so of its own."""
    times: dict[str, int] = {}
    own_names = [s.name for s in entry.symbols]
    zeros = [f"{name}_bar" for name in own_names] + [f"{held}_dot" for _, held in _states(entry, program)]
    for name in [*program.tensors, *own_names, *zeros]:
        base = base_name(name)
        symbol = entry.symbol(base)
        own = split_name(base, timed=True).shift if symbol is not None else None
        if in_time(entry, base):
            times[name] = -1 if symbol is not None and symbol.role == "state" else own or 0
    return times


def _sign(glyph: Glyph) -> tuple[str, tuple[str, ...]]:
    """What tells symbols apart; a power does not."""
    return glyph.base, glyph.subscripts


class Calls(Mapping[str, str]):
    """How the calls of entries are written, for those that say so and where their sign has no other meaning."""

    def __init__(self, entry: Entry, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        context = Context(glyphs={s.name: s.glyph for s in entry.symbols if s.glyph})
        self._taken = {_sign(glyph_latex(s.name, context)) for s in entry.symbols}

    def __getitem__(self, entry_id: str) -> str:
        notation = self._entries[entry_id].notation
        if notation is None or _sign(split_scripts(split_notation(notation).head)) in self._taken:
            raise KeyError(entry_id)
        return notation

    def __iter__(self) -> Iterator[str]:
        return (i for i in self._entries if i in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _glyphs(entry: Entry, program: Program) -> dict[str, str]:
    """Declared glyphs, those of new states, and those of cotangents and tangents of both."""
    glyphs = {s.name: s.glyph for s in entry.symbols if s.glyph}
    if timeline(entry) is None:
        glyphs |= {held: glyph for held, glyph in new_states(entry).items() if held in program.tensors}
    names = {*program.tensors, *(f"{name}_{mark}" for name in glyphs for mark in ("bar", "dot"))}
    marked = {name: found for name in sorted(names) if (found := _DERIVED.fullmatch(name)) and found["base"] in glyphs}
    for name, found in marked.items():
        glyphs[name] = _marked(glyphs[found["base"]], found["mark"], bool(found["total"]))
    return glyphs


def new_states(entry: Entry) -> dict[str, str]:
    """The glyphs of the new values of an update's states, by the names of the steps that hold them."""
    states = [s for s in entry.symbols if s.role == "state"]
    return {f"{s.name}_next": f"{s.glyph or symbol_latex(s.name)}^{{+}}" for s in states}


def _states(entry: Entry, program: Program) -> list[tuple[str, str]]:
    """The states of an update and the steps that hold their new values."""
    states = [s.name for s in entry.symbols if s.role == "state"]
    return [(s, f"{s}_next") for s in states if f"{s}_next" in program.tensors]


def _marked(glyph: str, mark: str, total: bool) -> str:
    """A bar or a dot over a glyph, under its ``+``."""
    base, plus, _ = glyph.partition("^{+}")
    parts = split_scripts(base)
    covered = all(s.isdigit() for s in (*parts.subscripts, *parts.superscripts))
    wide = sum(not unicodedata.combining(c) for c in tex_to_text(parts.base) or "") > 1
    accent = {"bar": r"\overline" if wide or (covered and parts.superscripts) else r"\bar", "dot": r"\dot"}[mark]
    if not covered:
        below = (*parts.subscripts, r"\mathrm{total}") if total else parts.subscripts
        return assemble(replace(parts, base=f"{accent}{{{parts.base}}}", subscripts=below)) + plus
    return f"{accent}{{{base}}}" + (r"_{\mathrm{total}}" if total else "") + plus


def _signatures(entry: Entry, programs: Programs | None) -> Mapping[str, tuple[tuple[int, ...], int]]:
    """Axes of the arguments and results of the entries that the definition and the claims call."""
    if programs is None:
        return {}
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for text in (*entry.define, *(claim.text for claim in entry.claims)):
        for node in tree.walk(parse_statement(text)):
            callee = programs.entries.get(node.function) if isinstance(node, tree.Call) else None
            if callee is not None:
                outputs = callee.outputs
                result = len(outputs[0].shape) if outputs else 0
                found[callee.id] = tuple(len(a.shape) for a in callee.arguments), result
    return found


def with_ranges(context: Context, names: Names) -> Context:
    """The context with the range of every index letter that runs over one range only."""
    found = {name: min(sizes) for name, sizes in names.ranges.items() if len(sizes) == 1}
    return replace(context, ranges={name: context.open_sizes.get(size, size) for name, size in found.items()})


def _shapes(program: Program, opened: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The sizes of all names, the open ones by their names."""
    shown = {name: tuple(map(format_poly, tensor.shape)) for name, tensor in program.tensors.items()}
    return {name: tuple(opened.get(size, size) for size in sizes) for name, sizes in shown.items()}


def with_shapes(context: Context, entry: Entry, program: Program) -> Context:
    """The context with the sizes of all names."""
    opened = open_sizes(entry, program)
    return replace(context, shapes=_shapes(program, opened), open_sizes=opened)


def open_sizes(entry: Entry, program: Program) -> dict[str, str]:
    """The sizes of what abstract functions give, where the entry leaves them open and only an instance knows them."""
    found: dict[str, str] = {}
    for symbol in entry.symbols:
        instance = program.instances.get(symbol.name)
        if symbol.kind != "function" or not isinstance(instance, ArrayInstance):
            continue
        known = {name: Poly.of(size) for name, size in instance.sizes.items()}
        shape = instance.program.shape(instance.held)
        for name, size in zip(symbol.shape, shape, strict=True):
            if name.isidentifier() and name not in program.dimensions:
                found[format_poly(size.replace(known))] = name
    declared = {size for symbol in entry.symbols for size in symbol.shape}
    return {size: name for size, name in found.items() if size not in declared}


def authored(entry: Entry, program: Program, entries: Mapping[str, Entry]) -> dict[str, list[tree.Step]]:
    """The steps as the entry states them, by the names that they set; new states are shown from index form."""
    found: dict[str, list[tree.Step]] = {}
    ranks = {name: len(tensor.shape) for name, tensor in program.tensors.items()}
    states = {s.name for s in entry.symbols if s.role == "state"}
    renewed: dict[str, str] = {}
    for text in entry.define:
        statement = parse_statement(text)
        if isinstance(statement, tree.Step):
            statement = written_out(statement, entries, ranks)
            statement = replace(statement, value=renamed(statement.value, renewed))
            for target in statement.targets:
                base = target.base if isinstance(target, tree.Element) else target
                if isinstance(base, tree.Name) and base.id in states:
                    renewed[base.id] = f"{base.id}_next"
                elif isinstance(base, tree.Name):
                    found.setdefault(base.id, []).append(statement)
    return found


def borrowed(step: AnyStep, places: Sequence[tree.Node], entry: Entry, programs: Programs | None) -> tree.Step | None:
    """The step as an entry that is called states it: the same name, read from the same names, the same operations.

    ``places`` are the indices of the step. On more axes than there it maps over the leading ones, as
    calls of entries do; with a single one more that is the subscript of all that has it.
    """
    if programs is None or not isinstance(step, Step) or entry.id not in programs.entries:
        return None
    for callee in programs.requirements(entry.id):
        program = programs.elaborated(callee).program
        if callee == entry.id or program is None:
            continue
        own = [s for s in program.definitions(step.name) if isinstance(s, Step)]
        for statement in authored(programs.entries[callee], program, programs.entries).get(step.name, ()):
            same = len(own) == 1 and _operations(own[0]) == _operations(step)
            if same and isinstance(statement.targets[0], tree.Name) and tree.names(statement.value) == step.inputs:
                more = _more_axes(step, own[0])
                if set(more.values()) <= {0, 1} and more[step.name] == 1:
                    return _with_lead(statement, places[0], {name for name, count in more.items() if count})
                return statement
    return None


def _more_axes(step: Step, other: Step) -> dict[str, int]:
    """How many axes more than in the other step the names have that a step sets and reads."""
    mine, theirs = ({s.name: len(s.target), **{r.name: len(r.index) for r in reads(s.expr)}} for s in (step, other))
    return {name: count - theirs.get(name, count) for name, count in mine.items()}


def _with_lead(statement: tree.Step, lead: tree.Node, names: set[str]) -> tree.Step:
    """The statement with a leading subscript at some of its names."""

    def visit(node: tree.Node) -> tree.Node:
        if isinstance(node, tree.Name) and node.id in names:
            return tree.Element(node, (lead,))
        return mapped(node, visit)

    (target,) = statement.targets
    assert isinstance(target, tree.Name)
    return replace(statement, targets=(tree.Element(target, (lead,)),), value=visit(statement.value))


def _operations(step: Step) -> list[str]:
    """What a step does to which names, whatever its indices."""
    return sorted(n.name if isinstance(n, (Read, Fn)) else type(n).__name__ for n in walk(step.expr))


def stated_names(entry: Entry, program: Program) -> set[str]:
    """The steps that the definition of an entry sets, an update's new states by the steps that hold them."""
    found: set[str] = set()
    for text in entry.define:
        statement = parse_statement(text)
        if isinstance(statement, tree.Step):
            bases = [t.base if isinstance(t, tree.Element) else t for t in statement.targets]
            found |= {b.id for b in bases if isinstance(b, tree.Name)}
    return found | {held for public, held in (*program.returns, *_states(entry, program)) if public in found}


def definition_of(step: AnyStep, names: Names, program: Program) -> tuple[tree.Node, tree.Node, Names]:
    """Both sides of a step, in matrix notation where it has one, and the scope of its indices."""
    if isinstance(step, ArrayStep):
        lead = tuple(tree.Name(letter) for letter in _LEADING[: step.lead])
        row = MATRIX_FUNCTIONS[step.operation]
        word = row.words[step.output] if row.words else row.name
        return element(step.name, lead), tree.Call(word, (element(step.argument, lead),)), names
    scope = names.bind_axes(step.name, step.target, step.free)
    turn = turn_of(step, scope, program)
    if turn is not None:
        return *turn, scope
    if step.is_plain:
        matrix = matrix_notation(step.expr, step.free, program, scope)
        if matrix is not None:
            lead = (tree.Name(scope.given[step.free[0]]),) if len(step.free) == 3 else ()
            return element(step.name, lead), matrix, scope
    return element(step.name, [poly_tree(p, scope) for p in step.target]), reify(step.expr, scope), scope


def turn_of(step: Step, scope: Names, program: Program) -> tuple[tree.Node, tree.Node] | None:
    """Both sides of a step of a recurrence or of a sum over its turns, where matrix notation has a form for them."""
    first = step.target[0] if step.target and not step.accumulates else None
    if first is None:
        return None
    recurs = step.loop is not None and step.loop.index in first.indices()
    starts = not any(True for _ in first.indices())
    if not recurs and not starts:
        right = turn_notation(step.expr, None, step.free, program, scope) if step.is_plain else None
        return (tree.Name(step.name), right) if isinstance(step.expr, (Bind, Read)) and right is not None else None
    if any(p.index is None for p in step.target[1:]):
        return None
    index = step.loop.index if step.loop is not None and recurs else None
    right = turn_notation(step.expr, index, step.free, program, scope)
    return (element(step.name, [poly_tree(first, scope)]), right) if right is not None else None
