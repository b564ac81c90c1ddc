"""Index form in words that the reference interpreter knows, so that it can say what a line is worth.

The printers have words of their own (brackets of conditions, the place of a largest value); here
they become choices, and what a condition guards is only looked at where the condition holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from kb import tree
from kb.calculus.stepwise import raw
from kb.index import build
from kb.index.affine import Index, Poly, format_poly
from kb.index.nodes import ONE, ZERO, Bind, Cases, Compare, Condition, Expr, Mul, Pick, Test, Val, val
from kb.index.program import AnyStep, ArrayStep, Program, Step
from kb.model import Entry, Symbol
from kb.printing.functions import signatures_of
from kb.printing.names import Names, poly_tree
from kb.printing.reify import reify
from kb.printing.trees import element
from kb.vocabulary import MATRIX_FUNCTIONS


def plain(expr: Expr) -> Expr:
    """The expression with choices for what the language has no word for."""
    return raw(expr, _plain)


def plain_tree(expr: Expr, scope: Names) -> tree.Node:
    """The expression as a tree of the language."""
    found: tree.Node = _spelled(reify(plain(expr), scope))
    return found


def _plain(node: Expr) -> Expr | None:
    match node:
        case Pick():
            return _largest(node)
        case Mul(args=args):
            tests = [f.condition for f in args if isinstance(f, Test) and not _is_delta(f.condition)]
            if tests:
                rest = [plain(f) for f in args if not (isinstance(f, Test) and f.condition in tests)]
                product = Mul(tuple(rest)) if len(rest) > 1 else rest[0] if rest else ONE
                return Cases(((build.junction("and", tests), product),), ZERO)
    return None


def _is_delta(condition: Condition) -> bool:
    return isinstance(condition, Compare) and condition.op == "==" and isinstance(condition.right, Val)


def _largest(pick: Pick) -> Expr:
    """1 where no other value is larger (smaller); between equal values no random point has to choose."""
    inside = [
        build.compare(op, low, high)
        for place, index in zip(pick.at, pick.indices, strict=True)
        for op, low, high in (("<=", ZERO, val(place)), ("<", val(place), val(index.extent)))
    ]
    moved = dict(zip(pick.indices, pick.at, strict=True))
    body = plain(pick.body)
    best = Bind(pick.op, pick.indices, pick.conditions, body)
    here = build.substitute(build.freshen(body), moved)
    sides = (best, here) if pick.op == "max" else (here, best)
    wins = Cases(((Compare("<=", *sides), ONE),), ZERO)
    found = build.junction("and", [*inside, *(build.substitute(c, moved) for c in pick.conditions)])
    return wins if found == build.TRUE else Cases(((found, wins),), ZERO)


def _spelled(node: Any) -> Any:
    """Brackets of conditions as choices."""
    if isinstance(node, tuple):
        return tuple(_spelled(n) for n in node)
    if not isinstance(node, tree.Node):
        return node
    if isinstance(node, tree.Call) and node.function == "iverson":
        return tree.Cases(tree.Number("1"), _spelled(node.arguments[0]), tree.Number("0"))
    changed = {f.name: _spelled(getattr(node, f.name)) for f in fields(node) if f.init}
    return replace(node, **changed)


def moved_names(program: Program, entry: Entry, symbol: str) -> dict[str, str]:
    """For each step a name for its derivative by an element of the symbol, unlike any other."""
    taken = {*program.tensors, *program.dimensions, *(s.name for s in entry.symbols)}
    found: dict[str, str] = {}
    for name in program.step_names():
        found[name] = f"{name}_by_{symbol}"
        while found[name] in taken:
            found[name] += "_"
    return found


def spelled_out(entry: Entry, program: Program, moved: Mapping[str, str]) -> Entry:
    """The program as an entry whose steps are all of the program's, each a formula of the language.

    The entries that the definition calls have become steps of their own, which lines may speak of.
    The derivatives of the steps are arguments, by the names in ``moved``.
    """
    arguments = [replace(s, role="input") for s in entry.symbols if s.role not in ("output", "step")]
    own = {s.name for s in arguments}
    sizes = {name: tuple(map(format_poly, program.shape(name))) for name in program.step_names()}
    made = [Symbol(name, shape, role="step") for name, shape in sizes.items() if name not in own]
    made += [Symbol(moved[name], shape) for name, shape in sizes.items()]
    taken = frozenset({*program.tensors, *program.dimensions, *own})
    names = Names(taken, signatures=signatures_of(program))
    define: list[str] = []
    for step in program.steps:
        parts = program.definitions(step.name)
        if not are_blocks(parts):
            define += [str(statement) for statement in _statements(step, program, names)]
        elif step is parts[0]:
            define.append(str(joined([s for s in parts if isinstance(s, Step)], names)))
    return Entry(f"{entry.id} in steps", entry.name, symbols=(*arguments, *made), define=tuple(define))


def are_blocks(parts: Sequence[AnyStep]) -> bool:
    """Whether steps write the blocks of one array, each at its own indices, moved."""
    return len(parts) > 1 and all(isinstance(step, Step) and _is_moved(step) for step in parts)


def _is_moved(step: Step) -> bool:
    pairs = zip(step.target, step.free, strict=True) if len(step.target) == len(step.free) else ()
    moves = [i not in (p - Poly.of(i)).indices() for p, i in pairs]
    return bool(moves) and all(moves)


def joined(parts: Sequence[Step], names: Names) -> tree.Step:
    """Blocks of one array as a single statement, by cases: on the left, an index runs over the whole axis."""
    free = tuple(Index(i.name, size) for i, size in zip(parts[0].free, parts[0].shape, strict=True))
    found: Expr = ZERO
    for part in reversed(parts):
        start = [p - Poly.of(i) for p, i in zip(part.target, part.free, strict=True)]
        place = [Poly.of(i) - s for i, s in zip(free, start, strict=True)]
        inside = []
        for at, first, own, whole in zip(place, start, part.free, free, strict=True):
            if first.constant != 0:
                inside.append(build.compare("<=", ZERO, build.val(at)))
            if first + own.extent != whole.extent:
                inside.append(build.compare("<", build.val(at), build.val(own.extent)))
        moved = dict(zip(part.free, place, strict=True))
        value = build.substitute(build.freshen(part.expr), moved)
        found = Cases(((build.junction("and", inside), value),), found) if part is not parts[-1] else value
    scope = names.bind(free)
    target = element(parts[0].name, [poly_tree(Poly.of(i), scope) for i in free])
    return tree.Step((target,), plain_tree(found, scope))


def _statements(step: AnyStep, program: Program, names: Names) -> Iterator[tree.Step]:
    if isinstance(step, ArrayStep) and len(MATRIX_FUNCTIONS[step.operation].outputs) > 1:
        family = [s for s in program.steps if isinstance(s, ArrayStep) and s.argument == step.argument]
        held = {s.output: tree.Name(s.name) for s in family if s.operation == step.operation}
        if step.output == 0:  # all results are one statement
            yield tree.Step(
                tuple(held[n] for n in sorted(held)), tree.Call(step.operation, (tree.Name(step.argument),))
            )
        return
    if isinstance(step, ArrayStep):
        lead = tuple(tree.Name(f"lead{n}") for n in range(step.lead))
        call = tree.Call(step.operation, (element(step.argument, lead),))
        yield tree.Step((element(step.name, lead),), call)
        return
    scope = names.bind(step.free)
    target = element(step.name, [poly_tree(Poly.of(p), scope) for p in step.target])
    yield tree.Step((target,), plain_tree(step.expr, scope))
