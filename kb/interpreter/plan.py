"""What the reference interpreter knows of an entry before it runs: names, reads, affine indices, sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kb.errors import LanguageError, ShapeError
from kb.interpreter.arrays import Value, integer, positions, shape_of, stack
from kb.interpreter.functions import BINDERS
from kb.model import Entry, Symbol
from kb.parser import parse_expression, parse_statement
from kb.tree import (
    Call,
    Chain,
    Claim,
    Comparison,
    Element,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Step,
    names,
    walk,
)

ABSTRACT = ("function", "law", "reducer")
Affine = tuple[dict[str, int], int]


class NotAffine(Exception):
    """An index that is not an affine combination of index names."""


@dataclass(frozen=True, slots=True)
class Together:
    """Statements that take turns, one value of an index after another: they read what the later ones write."""

    steps: tuple[Step, ...]

    @property
    def targets(self) -> tuple[Name | Element, ...]:
        """All left sides."""
        return tuple(target for step in self.steps for target in step.targets)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An entry with its statements parsed and its names sorted."""

    entry: Entry
    steps: tuple[Step | Together, ...]
    symbols: dict[str, Symbol]
    arguments: tuple[Symbol, ...]
    declared: frozenset[str]
    shapes: dict[str, tuple[Node, ...]]
    reads: tuple[frozenset[str], ...]

    def assigns(self, step: int) -> set[str]:
        """The names that a step writes."""
        return {target_name(t) for t in self.steps[step].targets}

    def writes_part(self, step: int) -> bool:
        """Whether a step writes elements, and so keeps the rest of its target."""
        return any(isinstance(t, Element) for t in self.steps[step].targets)


def target_name(target: Name | Element) -> str:
    """The symbol or step that a left side writes."""
    base = target.base if isinstance(target, Element) else target
    return base.id if isinstance(base, Name) else ""


@lru_cache(maxsize=4096)
def plan_of(entry: Entry) -> Plan:
    """The plan of an entry. Raises LanguageError where a text cannot be parsed."""
    steps = []
    for text in entry.define:
        step = parse_statement(text)
        if not isinstance(step, Step):
            raise LanguageError(f"'{text}' is a claim, not a step; write 'target = expression'")
        steps.append(step)
    symbols = {s.name: s for s in entry.symbols}
    values = [s for s in entry.symbols if s.kind not in ABSTRACT and s.name not in entry.sides]
    shapes = {s.name: tuple(parse_expression(size) for size in s.shape) for s in values}
    sizes = {name for shape in shapes.values() for size in shape for name in names(size)}
    sizes |= {name for s in entry.symbols if s.classes for name in names(parse_expression(s.classes))}
    targets = {target_name(target) for step in steps for target in step.targets}
    declared = frozenset(set(symbols) | sizes | targets)
    grouped = _grouped(steps, declared)
    reads = tuple(frozenset(_read_names(step)) for step in grouped)
    return Plan(entry, grouped, symbols, entry.arguments, declared, shapes, reads)


def _grouped(steps: list[Step], declared: frozenset[str]) -> tuple[Step | Together, ...]:
    """The statements in order; those that read what a later one writes element by element, with all up to that one."""
    moving = [
        all(isinstance(t, Element) for t in s.targets)
        and any(name not in declared for t in s.targets for name in names(t))
        for s in steps
    ]
    written = [{target_name(t) for t in s.targets} if m else set() for s, m in zip(steps, moving, strict=True)]
    found: list[Step | Together] = []
    at = 0
    while at < len(steps):
        last = at
        if moving[at]:
            for n, step in enumerate(steps[at:], at):
                if n <= last and moving[n]:
                    later = [k for k in range(n + 1, len(steps)) if written[k] & names(step.value)]
                    last = max([last, *later])
        inside = [n for n in range(at, last + 1) if moving[n]]
        found += [steps[n] for n in range(at, last + 1) if not moving[n]]
        if len(inside) > 1 or (inside and len(steps[inside[0]].targets) > 1):
            found.append(Together(tuple(steps[n] for n in inside)))
        else:
            found += [steps[n] for n in inside]
        at = last + 1
    return tuple(found)


def _read_names(step: Step | Together) -> set[str]:
    if isinstance(step, Together):
        return {name for inner in step.steps for name in _read_names(inner)}
    found = names(step.value) | {n for t in step.targets if isinstance(t, Element) for i in t.indices for n in names(i)}
    # '...' passes names that are not written, so it may read anything.
    return found | {"..."} if any(isinstance(n, Call) and n.rest for n in walk(step.value)) else found


@lru_cache(maxsize=4096)
def function_entry(symbol: Symbol) -> Entry:
    """An abstract function as an entry of its own, whose output is called like the function."""
    arguments = []
    for text in symbol.arguments:
        node = parse_expression(text)
        base = node.base if isinstance(node, Element) else node
        if not isinstance(base, Name):
            raise LanguageError(f"'{text}' is not an argument of {symbol.name}; write a name or name[n]")
        shape = tuple(str(i) for i in node.indices) if isinstance(node, Element) else ()
        arguments.append(Symbol(base.id, shape))
    names = [a.name for a in arguments]
    output = Symbol(symbol.name, symbol.shape, role="output")
    return Entry(symbol.name, symbol.name, symbols=(*arguments, output), define=(_instance_step(symbol, names),))


def _instance_step(symbol: Symbol, arguments: list[str]) -> str:
    """The text that computes a function: its instance has a left side, is a name, or is an expression."""
    text = symbol.instance or ""
    try:
        node = parse_expression(text)
    except LanguageError:
        return text
    if isinstance(node, Name) and node.id not in arguments:
        text = f"{node.id}({', '.join(arguments)})"
    return f"{symbol.name} = {text}"


def is_on_arrays(symbol: Symbol) -> bool:
    """Whether a function takes or gives arrays; one of numbers acts on each element."""
    return bool(symbol.shape) or any("[" in text for text in symbol.arguments)


class Frame:
    """One run of one entry: its values now, and after every step so far.

    ``bound`` holds the indices and integration variables of the loops that are running,
    ``beyond`` the elements that were written before the beginning or after the end of an array
    (``h[-1]``), ``single`` the places within that were written one by one, ``path`` tells this run
    from all others of the same entry, and ``memo`` keeps what no running loop changes until
    something is written.
    """

    __slots__ = ("beyond", "bound", "memo", "path", "plan", "position", "single", "sizes", "snapshots", "values")

    def __init__(self, plan: Plan, values: dict[str, Value], sizes: dict[str, int], path: tuple[Any, ...]) -> None:
        self.plan = plan
        self.values = values
        self.sizes = sizes
        self.path = path
        self.bound: dict[str, Any] = {}
        self.beyond: dict[str, dict[tuple[int, ...], Value]] = {}
        self.single: dict[str, set[tuple[int, ...]]] = {}
        self.memo: dict[Any, tuple[Node, Any]] = {}
        self.snapshots = [dict(values)]
        self.position = 0

    def copy(self) -> Frame:
        """A frame that can be changed without changing this one."""
        other = Frame(self.plan, dict(self.values), self.sizes, self.path)
        other.bound = dict(self.bound)
        other.beyond = {name: dict(cells) for name, cells in self.beyond.items()}
        other.single = {name: set(places) for name, places in self.single.items()}
        other.snapshots = list(self.snapshots)
        other.position = self.position
        return other

    def beyond_at(self, name: str, at: tuple[int, ...], inner: tuple[int, ...]) -> Value | None:
        """What was written beyond the ends of an array, as a whole or element by element; ``inner`` is its shape."""
        cells = self.beyond.get(name, {})
        for length in range(len(at), 0, -1):
            cell = cells.get(at[:length])
            if cell is not None:
                return cell[at[length:]] if at[length:] else cell
        parts = [cells.get((*at, *place)) for place in positions(inner)] if cells and inner else [None]
        return None if None in parts else stack([part for part in parts if part is not None], inner)

    def is_new(self, name: str) -> bool:
        """Whether a name is still free to be bound as an index."""
        return name not in self.bound and name not in self.plan.declared and name not in self.sizes

    def whole(self, name: str) -> int | None:
        """A name inside an index: its whole number, or None for an index not yet bound."""
        value = self.bound.get(name)
        if value is None:
            value = self.values.get(name)
        if value is None:
            value = self.sizes.get(name)
        if value is None and name not in self.plan.declared:
            return None
        if isinstance(value, int):
            return value
        raise NotAffine


def affine(node: Node, known: Callable[[str], int | None]) -> Affine:
    """Coefficients of the unknown names and the constant. Raises NotAffine."""
    match node:
        case Number(text) if text.isdigit():
            return {}, int(text)
        case Name(id):
            value = known(id)
            return ({id: 1}, 0) if value is None else ({}, value)
        case Negative(operand):
            return _scaled(affine(operand, known), -1)
        case Chain(operands, operators):
            result = affine(operands[0], known)
            for operator, operand in zip(operators, operands[1:], strict=True):
                result = _combined(operator, result, affine(operand, known))
            return result
    raise NotAffine


def _scaled(terms: Affine, factor: int) -> Affine:
    return {name: factor * c for name, c in terms[0].items() if factor * c}, factor * terms[1]


def _combined(operator: str, left: Affine, right: Affine) -> Affine:
    if operator in "+-":
        right = right if operator == "+" else _scaled(right, -1)
        sums = {name: left[0].get(name, 0) + right[0].get(name, 0) for name in {**left[0], **right[0]}}
        return {name: c for name, c in sums.items() if c}, left[1] + right[1]
    if operator == "*" and not left[0]:
        return _scaled(right, left[1])
    if operator == "*" and not right[0]:
        return _scaled(left, right[1])
    if operator in ("//", "%") and not left[0] and not right[0] and right[1]:
        return {}, left[1] // right[1] if operator == "//" else left[1] % right[1]
    raise NotAffine


def split_binder(call: Call, is_bound: Callable[[str], bool]) -> tuple[list[str], list[Node]]:
    """The names that a binder binds, and its conditions; no names where it is elementwise."""
    indices: list[str] = []
    conditions: list[Node] = []
    for argument in call.arguments[1:]:
        if isinstance(argument, Name) and is_bound(argument.id):
            indices.append(argument.id)
        elif isinstance(argument, (Comparison, Logic, Not)):
            conditions.append(argument)
    return indices, conditions


def free_indices(claim: Claim, plan: Plan) -> list[str]:
    """The undeclared names that nothing in the claim binds, in the order they are written."""
    found: dict[str, None] = {}

    def visit(node: Node, bound: frozenset[str]) -> None:
        if isinstance(node, Name) and node.id not in bound | plan.declared | {"pi", "oo"}:
            found.setdefault(node.id)
        if isinstance(node, Call):
            symbol = plan.symbols.get(node.function)
            if node.function in BINDERS or (symbol is not None and symbol.kind == "reducer"):
                bound |= set(split_binder(node, lambda name: name not in plan.declared)[0])
            elif node.function in ("E", "integral") and len(node.arguments) > 1:
                bound |= names(node.arguments[1])
        for child in node.children():
            visit(child, bound)

    visit(claim, frozenset())
    return list(found)


@dataclass(frozen=True, slots=True)
class Read:
    """One axis of one read: its index as an affine form, the axis's size, and whether it has an outside value."""

    terms: dict[str, int]
    constant: int
    size: int
    outside: bool


def index_bound(name: str, reads: Iterable[Read]) -> int | None:
    """How many values the index takes, from 0 on; None where no read bounds it.

    Bare reads decide, the smallest one of those that may not be read outside. Without a bare
    read, the largest value for which every other read can be in range.
    """
    bare: list[int] = []
    loose: list[int] = []
    searched: list[int] = []
    for read in reads:
        factor = read.terms.get(name, 0)
        if len(read.terms) == 1 and factor == 1 and read.constant == 0:
            (loose if read.outside else bare).append(read.size)
        elif factor and not read.outside:
            last = (read.size - 1 - read.constant) // factor if factor > 0 else read.constant // -factor
            searched.append(last + 1)
    if bare:
        return min(bare)
    if loose:
        return max(loose)
    return max(0, min(searched)) if searched else None


def solve_sizes(plan: Plan, values: dict[str, Value], given: dict[str, int], strict: bool) -> dict[str, int]:
    """The dimensions of an entry from the shapes of its arguments.

    ``given`` are sizes known already: they must agree with the shapes if ``strict``, else they
    only fill what the shapes do not say. Raises ShapeError.
    """
    sizes = dict(given) if strict else {}
    numbers = {
        s.name: integer(values[s.name]) for s in plan.arguments if s.kind == "integer" and not shape_of(values[s.name])
    }
    pending = [
        (s.name, node, size)
        for s in plan.arguments
        for node, size in zip(plan.shapes[s.name], shape_of(values[s.name]), strict=True)
    ]
    pending = _solve(plan, pending, sizes, numbers)
    if not strict:
        for name, size in given.items():
            sizes.setdefault(name, size)
        pending = _solve(plan, pending, sizes, numbers)
    if pending:
        name, node, size = pending[0]
        raise ShapeError(f"{plan.entry.id}: {name} has an axis of {size} for '{node}', which leaves its sizes open")
    return sizes


def _solve(
    plan: Plan, pending: list[tuple[str, Node, int]], sizes: dict[str, int], numbers: dict[str, int]
) -> list[tuple[str, Node, int]]:
    """Solve what has at most one unknown, again and again; give back what remains."""
    progress = True
    while progress and pending:
        progress, remaining = False, []
        for name, node, size in pending:
            try:
                terms, constant = affine(node, lambda n: sizes.get(n, numbers.get(n)))
            except NotAffine:
                remaining.append((name, node, size))
                continue
            if len(terms) > 1:
                remaining.append((name, node, size))
                continue
            for unknown, factor in terms.items():
                sizes[unknown] = (size - constant) // factor
                constant += factor * sizes[unknown]
            if constant != size:
                raise ShapeError(f"{plan.entry.id}: {name} has an axis of {size} where '{node}' is {constant}")
            progress = True
        pending = remaining
    return pending
