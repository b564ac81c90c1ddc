"""A derivative rule by rule: the states between a definition and its derivative, in index form.

What is still to be differentiated stands in an expression as the read of a place-holder, which
names a sub-expression and is indexed by what that leaves free. A round opens every place-holder by
the rule that the table of ``linear`` has for it; sums and constant factors are opened on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kb.calculus.linear import CHAIN, LINEARITY, POWER, QUOTIENT, SOFTMAX, Linear
from kb.calculus.match import as_power
from kb.calculus.tidy import FACTORING, Tidy, without_guards
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import ONE, ZERO, Expr, Integral, Mul, Node, Num, Pow, Read, Test, Var, free_indices, num, walk
from kb.index.program import Program

CONSTANT = "constant"
DELTA = "sum over the delta"
_MOST_ROUNDS = 40


@dataclass(frozen=True)
class Awaited:
    """What a place-holder stands for: the derivative of an expression, indexed by what it leaves free."""

    expr: Expr
    free: tuple[Index, ...]

    def at(self, place: Sequence[Poly]) -> Expr:
        """The expression whose derivative a read of the place-holder means."""
        moved: dict[Atom, Poly] = dict(zip(self.free, place, strict=True))
        result: Expr = build.substitute(build.freshen(self.expr), moved)
        return result


@dataclass(frozen=True)
class State:
    """An expression on the way, and the rules that led to it from the one before."""

    rules: tuple[str, ...]
    expr: Expr


class Stepwise:
    """The derivatives of expressions by the elements of one symbol, rule by rule.

    ``wrt`` are the indices of the element; ``active`` the names that depend on the symbol.
    """

    def __init__(self, program: Program, symbol: str, wrt: tuple[Index, ...], active: set[str]) -> None:
        self.program = program
        self.symbol = symbol
        self.wrt = wrt
        self.table = Linear(active, strict=True)
        self.awaited: dict[str, Awaited] = {}
        self.holders: dict[Expr, str] = {}
        self.steps: dict[str, str] = {}

    # --- place-holders ----------------------------------------------------------------------------

    def hold(self, expr: Expr) -> Expr:
        """A place-holder for the derivative of an expression."""
        if isinstance(expr, Read):
            name = holder(expr.name)
            if name not in self.awaited:
                free = tuple(Index("i", size) for size in self.program.shape(expr.name))
                read = Read(expr.name, tuple(map(Poly.of, free)), expr.outside)
                self.awaited[name] = Awaited(read, free)
                self.steps[name] = expr.name
            return Read(name, expr.index, expr.outside)
        if expr not in self.holders:
            self.holders[expr] = f"d {len(self.holders)}"
            free = tuple(sorted(free_indices(expr), key=lambda i: i.serial))
            self.awaited[self.holders[expr]] = Awaited(expr, free)
        name = self.holders[expr]
        return Read(name, tuple(map(Poly.of, self.awaited[name].free)), False)

    def awaits(self, expr: Expr) -> Iterator[str]:
        """The steps whose derivatives an expression is in terms of, each once."""
        names = (self.steps.get(n.name) for n in walk(expr) if isinstance(n, Read))
        return iter(dict.fromkeys(n for n in names if n is not None and n != self.symbol))

    def seed(self, read: Read) -> Expr | None:
        """The derivative of an element of the symbol: 1 if it is the one in question."""
        if self.steps.get(read.name) != self.symbol:
            return None
        places = zip(read.index, self.wrt, strict=True)
        return build.mul(ONE, *(build.delta(place, Poly.of(own)) for place, own in places))

    # --- rounds -----------------------------------------------------------------------------------

    def states(self, expr: Expr) -> list[State]:
        """From an expression to its derivative in terms of the derivatives of steps."""
        if not self.table.depends(expr):
            return [State((CONSTANT,), ZERO)]
        current = self.hold(expr)
        found: list[State] = []
        for _ in range(_MOST_ROUNDS):
            rules: dict[str, None] = {}
            opened = self.opened(current, rules)
            if opened == current:
                break
            current = opened
            found.append(State(tuple(rules), self.seeded(current)))
        if not found:  # a bare element
            found.append(State((LINEARITY,), self.seeded(current)))
        done = self.closed(current)
        return [*found, *self.settled(found[-1].expr, done)]

    def settled(self, before: Expr, after: Expr) -> list[State]:
        """What is left to do once nothing awaits its derivative: deltas and names."""
        found = [State((DELTA,), after)] if count_tests(before) > count_tests(after) else []
        return [*found, *self.tidied(after)]

    def tidied(self, expr: Expr) -> list[State]:
        """The expression folded into names and factored, if that changes it."""
        tidy = Tidy(self.program)
        result = tidy(expr)
        return [] if result == expr else [State(tuple(tidy.applied) or (FACTORING,), result)]

    def opened(self, expr: Expr, rules: dict[str, None]) -> Expr:
        """Every place-holder of a composite expression opened by its rule."""

        def change(read: Read) -> Expr | None:
            awaited = self.awaited.get(read.name)
            if awaited is None or isinstance(awaited.expr, Read):
                return None
            return self.open(awaited.at(read.index), rules, None)

        return raw(expr, lambda node: change(node) if isinstance(node, Read) else None)

    def open(self, expr: Expr, rules: dict[str, None], above: str | None) -> Expr:
        """The derivative of an expression by one rule, and by linearity before and after it.

        ``above`` is the rule that led here; a quotient takes the reciprocal, or the log-sum-exp, of
        its denominator along.
        """
        if not self.table.depends(expr):
            return ZERO
        if isinstance(expr, Read):
            if expr.name != self.symbol:
                rules.setdefault(CHAIN)
            return self.hold(expr)
        rule, slopes = self.table.slopes(expr)
        along = above == QUOTIENT and (rule == SOFTMAX or (rule == POWER and _is_reciprocal(expr)))
        # An integrand stays under its sign until nothing in it awaits its derivative.
        if above is not None and rule != LINEARITY and not along and not _has_variable(expr):
            rules.setdefault(CHAIN)
            return self.hold(expr)
        if rule != LINEARITY and not along:
            rules.setdefault(rule)
            above = rule
        terms = []
        for slope in slopes:
            inner = self.open(slope.child, rules, above)
            terms.append(build.bind("sum", slope.bound, slope.conditions, slope.times(inner)))
        if rule == LINEARITY and above is None:
            rules.setdefault(LINEARITY)
        return build.add(*terms) if terms else ZERO

    # --- deltas -----------------------------------------------------------------------------------

    def seeded(self, expr: Expr) -> Expr:
        """The derivatives of the symbol's own elements put in, their deltas left standing."""
        return raw(expr, lambda node: self.seed(node) if isinstance(node, Read) else None)

    def closed(self, expr: Expr) -> Expr:
        """The same with the deltas eliminated."""
        result: Expr = build.replace_reads(build.freshen(expr), self.seed)
        return without_guards(result, self.program)

    def put(self, expr: Expr, known: Mapping[str, tuple[tuple[Index, ...], Expr]], plainly: bool) -> Expr:
        """The derivatives of steps put in; ``plainly`` without any simplification."""

        def change(node: Expr) -> Expr | None:
            if not isinstance(node, Read) or self.steps.get(node.name) not in known:
                return None
            free, inner = known[self.steps[node.name]]
            moved: dict[Atom, Poly] = dict(zip(free, node.index, strict=True))
            return raw_moved(inner, moved) if plainly else build.substitute(build.freshen(inner), moved)

        result: Expr = raw(expr, change) if plainly else build.transform(build.freshen(expr), change)
        return result


def holder(name: str) -> str:
    """The place-holder for the derivative of a symbol or step."""
    return f"d {name}"


def count_tests(expr: Expr) -> int:
    """How many deltas and other conditions stand as factors."""
    return sum(isinstance(n, Test) for n in walk(expr))


def _has_variable(expr: Expr) -> bool:
    """Whether the expression reads the variable of an integral around it."""
    own = {n.variable for n in walk(expr) if isinstance(n, Integral)}
    return any(isinstance(n, Var) and n.variable not in own for n in walk(expr))


def _is_reciprocal(expr: Expr) -> bool:
    return isinstance(expr, Pow) and build.split_coefficient(expr.exponent)[0] < 0


def raw(node: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Nodes exchanged and nothing else: no rule of the constructors is applied around them."""
    result = _raw(node, change)
    assert isinstance(result, Expr)
    return result


def raw_moved(node: Expr, moved: Mapping[Atom, Poly]) -> Expr:
    """Free indices moved, bound ones renamed, deltas left standing."""
    renamed: dict[Atom, Poly] = dict(moved)

    def visit(item: object) -> object:
        if isinstance(item, Poly):
            return item.replace(renamed)
        if isinstance(item, tuple):
            return tuple(visit(i) for i in item)
        if isinstance(item, Index):
            return renamed[item].index
        if isinstance(item, Node):
            own = [i for i in getattr(item, "indices", ()) if isinstance(i, Index)]
            for index in own:
                renamed[index] = Poly.of(index.fresh())
            return type(item)(*(visit(v) for v in item.values))
        return item

    result = visit(node)
    assert isinstance(result, Expr)
    return result


def _raw(node: Node, change: Callable[[Expr], Expr | None]) -> Node:
    changed = change(node) if isinstance(node, Expr) else None
    if changed is not None:
        return changed
    values = tuple(_raw_value(v, change) for v in node.values)
    if all(a is b for a, b in zip(values, node.values, strict=True)):
        return node
    if isinstance(node, Mul):
        (args,) = values
        return _product(args)
    return type(node)(*values)


def _raw_value(value: Any, change: Callable[[Expr], Expr | None]) -> Any:
    if isinstance(value, Node):
        return _raw(value, change)
    if isinstance(value, tuple):
        made = tuple(_raw_value(v, change) for v in value)
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made
    return value


def _product(args: Sequence[Expr]) -> Expr:
    """A product of factors, those of products among them on the same level, equal ones as a power."""
    number, flat = Fraction(1), list[Expr]()
    for factor in (f for a in args for f in (a.args if isinstance(a, Mul) else (a,))):
        base, exponent = as_power(factor)
        at = next((n for n, f in enumerate(flat) if as_power(f)[0] == base), None)
        other = as_power(flat[at])[1] if at is not None else ONE
        if isinstance(factor, Num):
            number *= factor.value
        elif at is not None and isinstance(exponent, Num) and isinstance(other, Num):
            flat[at] = build.power(base, build.add(exponent, other))
        else:
            flat.append(factor)
    flat = [f for f in flat if f != ONE]
    if number == 0 or ZERO in flat:
        return ZERO
    flat = [*([num(number)] if number != 1 else []), *flat]
    return Mul(tuple(flat)) if len(flat) > 1 else flat[0] if flat else ONE
