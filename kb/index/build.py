"""The constructors of index form, and substitution.

``add``, ``mul``, ``power``, ``bind`` and their kin fold numbers, collect equal terms, hoist what
does not depend on a bound index and eliminate deltas as soon as they appear; nothing is expanded
without a reason. A sum of exponentials is kept as the exponential of a log-sum-exp, which is
closed under differentiation and stable: softmax is ``exp(z[j] - logsumexp(z[k], k))``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from kb.errors import LanguageError
from kb.index.affine import Atom, Facts, Index, Poly
from kb.index.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Apply,
    Bind,
    Cases,
    Compare,
    Condition,
    Const,
    Expr,
    Fn,
    Integral,
    Junction,
    Mul,
    Negation,
    Num,
    Pick,
    Pow,
    Read,
    Several,
    Stop,
    Test,
    Val,
    Var,
    Variable,
    alpha_key,
    bound_indices,
    free_indices,
    num,
    val,
    walk,
)

MAX_DIGITS = 1_000
TRUE = Junction("and", ())
FALSE = Junction("or", ())
_CERTAIN = Facts(default=0)


# --- sums and products ---------------------------------------------------------------------------


def add(*args: Expr) -> Expr:
    """The sum, flattened, numbers folded and equal terms collected, in order of first appearance."""
    constant = Fraction(0)
    collected: dict[Any, list[Any]] = {}
    for term in _flatten(Add, args):
        coefficient, rest = split_coefficient(term)
        if rest is None:
            constant += coefficient
            continue
        slot = collected.setdefault(alpha_key(rest), [Fraction(0), rest])
        slot[0] += coefficient
    terms = [mul(num(c), rest) for c, rest in collected.values() if c]
    if constant:
        terms.insert(_position_of_constant(args), _checked(constant)) if terms else terms.append(_checked(constant))
    if not terms:
        return ZERO
    return terms[0] if len(terms) == 1 else Add(tuple(terms))


def _position_of_constant(args: tuple[Expr, ...]) -> int:
    """A number that was written first stays first (``1 - y``), any other goes last."""
    first = args[0]
    while isinstance(first, Add):
        first = first.args[0]
    return 0 if isinstance(first, Num) else 10**6


def _flatten(kind: type, args: Iterable[Expr]) -> Iterable[Expr]:
    for arg in args:
        if isinstance(arg, kind):
            yield from arg.args  # type: ignore[attr-defined]
        else:
            yield arg


def split_coefficient(term: Expr) -> tuple[Fraction, Expr | None]:
    """The number in front of a term, and the rest (None if the term is a number)."""
    if isinstance(term, Num):
        return term.value, None
    if isinstance(term, Mul) and isinstance(term.args[0], Num):
        rest = term.args[1:]
        return term.args[0].value, rest[0] if len(rest) == 1 else Mul(rest)
    return Fraction(1), term


def _checked(value: Fraction) -> Num:
    if max(abs(value.numerator), value.denominator).bit_length() > MAX_DIGITS * 3.33:
        raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits; write it as exp(...) of its logarithm")
    return Num(value)


def mul(*args: Expr) -> Expr:
    """The product: numbers folded, equal bases collected, exponentials joined where that cancels."""
    coefficient = Fraction(1)
    powers: dict[Any, tuple[Expr, Expr]] = {}
    for factor in _flatten(Mul, args):
        if isinstance(factor, Num):
            coefficient *= factor.value
            if not coefficient:
                return ZERO
            continue
        base, exponent = (factor.base, factor.exponent) if isinstance(factor, Pow) else (factor, ONE)
        key = alpha_key(base)
        if isinstance(base, Fn) and base.name == "exp" and key not in powers:
            opposite = alpha_key(Fn("exp", negative(base.arg)))
            if opposite in powers:
                key, exponent = opposite, negative(exponent)
        if key not in powers:
            powers[key] = (base, exponent)
        elif not isinstance(base, Test):
            powers[key] = (powers[key][0], add(powers[key][1], exponent))
    factors: list[Expr] = []
    for base, exponent in powers.values():
        number, rest = split_coefficient(power(base, exponent))
        coefficient *= number
        if rest is not None:
            factors.extend(_flatten(Mul, [rest]))
    if sum(isinstance(f, Fn) and f.name == "exp" for f in factors) > 1:
        factors = _joined_exponentials(factors)
    if not coefficient:
        return ZERO
    if coefficient != 1 or not factors:
        factors.insert(0, _checked(coefficient))
    return factors[0] if len(factors) == 1 else Mul(tuple(factors))


def _joined_exponentials(factors: list[Expr]) -> list[Expr]:
    """``exp(a)*exp(b)`` is ``exp(a + b)`` where terms cancel or a log-sum-exp meets what it normalises."""
    joined: list[Expr] = []
    for factor in factors:
        partner = None
        if isinstance(factor, Fn) and factor.name == "exp":
            partner = next((n for n, f in enumerate(joined) if _should_join(f, factor)), None)
        if partner is None:
            joined.append(factor)
            continue
        other = joined[partner]
        assert isinstance(other, Fn) and isinstance(factor, Fn)
        made = function("exp", add(other.arg, factor.arg))
        joined[partner : partner + 1] = [] if made == ONE else [made]
    return joined


def _should_join(left: Expr, right: Expr) -> bool:
    if not (isinstance(left, Fn) and left.name == "exp" and isinstance(right, Fn)):
        return False
    if any(_is_normaliser(e.arg) for e in (left, right)):
        return True
    return _terms(add(left.arg, right.arg)) < max(_terms(left.arg), _terms(right.arg))


def _is_normaliser(exponent: Expr) -> bool:
    _, rest = split_coefficient(exponent)
    return isinstance(rest, (Bind, Several)) and rest.op == "logsumexp"


def _terms(expr: Expr) -> int:
    return len(expr.args) if isinstance(expr, Add) else int(expr != ZERO)


def negative(expr: Expr) -> Expr:
    """``-expr``."""
    return mul(MINUS_ONE, expr)


def subtract(left: Expr, right: Expr) -> Expr:
    """``left - right``."""
    return add(left, negative(right))


def divide(left: Expr, right: Expr) -> Expr:
    """``left / right``."""
    return mul(left, power(right, MINUS_ONE))


def power(base: Expr, exponent: Expr) -> Expr:
    """``base**exponent``; numbers are folded up to 1,000 digits, beyond that refused."""
    if isinstance(exponent, Num):
        if exponent.value == 0:
            return ONE
        if exponent.value == 1:
            return base
        whole = exponent.value.denominator == 1
        if isinstance(base, Num) and whole:
            return _number_power(base.value, int(exponent.value))
        if isinstance(base, Num) and base.value in (0, 1) and exponent.value > 0:
            return base
        if isinstance(base, Pow) and (whole or _is_nonnegative(base.base)):
            return power(base.base, mul(base.exponent, exponent))
        if isinstance(base, Mul) and whole:
            return mul(*(power(f, exponent) for f in base.args))
        if isinstance(base, Fn) and base.name == "exp" and exponent.value < 0:
            return power(function("exp", negative(base.arg)), num(-exponent.value))
        if isinstance(base, Test) and exponent.value > 0:
            return base
    return Pow(base, exponent)


def _is_nonnegative(expr: Expr) -> bool:
    return (
        isinstance(expr, Val)
        or (isinstance(expr, Num) and expr.value >= 0)
        or (isinstance(expr, Fn) and expr.name in ("exp", "abs", "cosh"))
        or (isinstance(expr, Pow) and expr.exponent == Num(Fraction(1, 2)))
    )


def _number_power(base: Fraction, exponent: int) -> Expr:
    if base == 0:
        if exponent < 0:
            raise LanguageError("a division by zero")
        return ZERO
    size = max(abs(base.numerator), base.denominator).bit_length()
    if abs(base) != 1 and size * abs(exponent) > MAX_DIGITS * 3.33:
        raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits; write it as exp(...) of its logarithm")
    return num(base**exponent if abs(base) != 1 else base ** (exponent % 2))


# --- functions -----------------------------------------------------------------------------------


def function(name: str, arg: Expr) -> Expr:
    """An elementwise function of the vocabulary, with the few identities that never mislead."""
    if name == "sqrt":
        return power(arg, num(Fraction(1, 2)))
    if name == "exp":
        if arg == ZERO:
            return ONE
        if isinstance(arg, Fn) and arg.name == "log":
            return arg.arg
        if isinstance(arg, Num) and abs(arg.value) > MAX_DIGITS * 2.3:
            raise LanguageError(f"a constant of more than {MAX_DIGITS:,} digits")
    if name == "log":
        if arg == ONE:
            return ZERO
        if isinstance(arg, Fn) and arg.name == "exp":
            return arg.arg
        if isinstance(arg, Add) and (summed := _sum_of_exponentials(arg)):
            return Several("logsumexp", summed)
        if isinstance(arg, Pow) and not isinstance(arg.exponent, Num):
            return mul(arg.exponent, function("log", arg.base))
    if name in ("abs", "sign", "floor") and isinstance(arg, Num):
        folded = {"abs": abs, "floor": math.floor, "sign": lambda v: (v > 0) - (v < 0)}[name](arg.value)
        return num(folded)
    if name in ("sin", "tan", "sinh", "tanh", "arcsin", "arctan", "erf") and arg == ZERO:
        return ZERO
    if name in ("cos", "cosh") and arg == ZERO:
        return ONE
    return Fn(name, arg)


def _sum_of_exponentials(node: Add) -> tuple[Expr, ...] | None:
    exponents: list[Expr] = []
    for term in node.args:
        if isinstance(term, Fn) and term.name == "exp":
            exponents.append(term.arg)
        elif isinstance(term, Num) and term.value > 0:
            exponents.append(function("log", term))
        else:
            return None
    return tuple(exponents) if any(not isinstance(e, Num) for e in exponents) else None


def several(op: str, args: Iterable[Expr]) -> Expr:
    """``max``, ``min`` or ``logsumexp`` of a few expressions."""
    args = tuple(args)
    if len(args) == 1:
        return args[0]
    if op != "logsumexp" and all(isinstance(a, Num) for a in args):
        values = [a.value for a in args if isinstance(a, Num)]
        return num(max(values) if op == "max" else min(values))
    return Several(op, args)


def integral(variable: Variable, low: Expr, high: Expr, body: Expr) -> Expr:
    """The integral; factors free of the variable go in front."""
    if body == ZERO:
        return ZERO
    outer, inner = [], []
    for factor in _flatten(Mul, [body]):
        depends = any(isinstance(n, Var) and n.variable is variable for n in walk(factor))
        (inner if depends else outer).append(factor)
    return mul(*outer, Integral(variable, low, high, mul(*inner)))


# --- conditions ----------------------------------------------------------------------------------


def compare(op: str, left: Expr, right: Expr) -> Condition:
    """The comparison; settled where both sides are numbers or the same polynomial."""
    if op in (">", ">="):
        return compare({">": "<", ">=": "<="}[op], right, left)
    if isinstance(left, Num) and isinstance(right, Num):
        difference = left.value - right.value
        holds = {"==": difference == 0, "!=": difference != 0, "<": difference < 0, "<=": difference <= 0}[op]
        return TRUE if holds else FALSE
    if is_whole(left) and is_whole(right):
        gap = as_poly(right) - as_poly(left)
        if gap.constant is not None:
            return compare(op, ZERO, num(gap.constant))
        if op in ("<", "<=") and _CERTAIN.nonnegative(gap if op == "<=" else gap - 1):
            return TRUE
    return Compare(op, left, right)


def as_poly(expr: Expr) -> Poly:
    """The polynomial that sizes, indices and whole numbers make. Raises ValueError for anything else."""
    match expr:
        case Val(poly=poly):
            return poly
        case Num(value=value) if value.denominator == 1:
            return Poly.of(int(value))
        case Add(args=args):
            return sum((as_poly(a) for a in args), Poly.of(0))
        case Mul(args=args):
            return math.prod((as_poly(a) for a in args), start=Poly.of(1))
    raise ValueError(f"not a whole number: {expr!r}")


def is_whole(expr: Expr) -> bool:
    """Whether ``as_poly`` has an answer."""
    if isinstance(expr, (Add, Mul)):
        return all(map(is_whole, expr.args))
    return isinstance(expr, Val) or (isinstance(expr, Num) and expr.value.denominator == 1)


def junction(op: str, args: Iterable[Condition]) -> Condition:
    """``and`` or ``or``, with what is settled left out."""
    neutral, absorbing = (TRUE, FALSE) if op == "and" else (FALSE, TRUE)
    kept: list[Condition] = []
    for arg in args:
        for part in arg.args if isinstance(arg, Junction) and arg.op == op else (arg,):
            if part == absorbing:
                return absorbing
            if part != neutral and part not in kept:
                kept.append(part)
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else Junction(op, tuple(kept))


def negation(condition: Condition) -> Condition:
    """Not the condition; a comparison is turned into its opposite."""
    match condition:
        case Compare(op="==" | "!=" as op, left=left, right=right):
            return Compare("!=" if op == "==" else "==", left, right)
        case Compare(op=op, left=left, right=right):
            return compare("<=" if op == "<" else "<", right, left)
        case Negation(arg=arg):
            return arg
        case Junction(op=op, args=args):
            return junction("or" if op == "and" else "and", map(negation, args))
    return Negation(condition)


def test(condition: Condition) -> Expr:
    """1 where the condition holds, else 0."""
    if condition == TRUE:
        return ONE
    if condition == FALSE:
        return ZERO
    if isinstance(condition, Junction) and condition.op == "and":
        return mul(*(Test(c) for c in condition.args))
    return Test(condition)


def delta(left: Poly, right: Poly) -> Expr:
    """1 where two whole numbers agree, else 0."""
    return test(compare("==", val(left), val(right)))


def cases(branches: Iterable[tuple[Condition, Expr]], otherwise: Expr) -> Expr:
    """The first branch that holds; settled branches are folded."""
    kept: list[tuple[Condition, Expr]] = []
    for condition, value in branches:
        if condition == FALSE:
            continue
        if condition == TRUE:
            otherwise = value
            break
        kept.append((condition, value))
    if all(alpha_key(v) == alpha_key(otherwise) for _, v in kept):
        return otherwise
    if len(kept) == 1 and otherwise == ZERO:
        return mul(test(kept[0][0]), kept[0][1])
    return Cases(tuple(kept), otherwise)


# --- binders -------------------------------------------------------------------------------------


def bind(op: str, indices: Iterable[Index], conditions: Iterable[Condition], body: Expr) -> Expr:
    """A binder over indices; sums lose their deltas and hand out what does not depend on them."""
    indices = tuple(indices)
    found = junction("and", conditions)
    parts = found.args if isinstance(found, Junction) and found.op == "and" else (found,)
    if not indices:
        return mul(test(found), body) if op == "sum" else body
    if op == "sum":
        return _sum(indices, parts, body)
    if op == "max" or op == "min":
        used = tuple(i for i in indices if i in free_indices(body) or any(i in free_indices(c) for c in parts))
        return Bind(op, used, parts, body) if used else body
    if op == "logsumexp" and isinstance(body, Fn) and body.name == "log" and not parts:
        return function("log", bind("sum", indices, parts, body.arg))
    return Bind(op, indices, parts, body)


def _sum(indices: tuple[Index, ...], conditions: tuple[Condition, ...], body: Expr) -> Expr:
    if body == ZERO or FALSE in conditions:
        return ZERO
    if isinstance(body, Bind) and body.op == "sum":
        return _sum(indices + body.indices, conditions + body.conditions, body.body)
    bound = set(indices)
    factors = list(_flatten(Mul, [body]))
    tests = [f.condition for f in factors if isinstance(f, Test) and free_indices(f) & bound]
    if tests:
        rest = [f for f in factors if not (isinstance(f, Test) and free_indices(f) & bound)]
        return _sum(indices, (*conditions, *tests), mul(*rest))
    for condition in conditions:
        solved = _solve(condition, indices)
        if solved is not None:
            index, value = solved
            others = tuple(c for c in conditions if c is not condition)
            return _substituted(index, value, tuple(i for i in indices if i is not index), others, body)
    if (split := _split_deltas(factors, bound)) is not None:
        return add(*(_sum(indices, conditions, term) for term in split))
    return _hoisted(indices, conditions, factors)


def _solve(condition: Condition, indices: tuple[Index, ...]) -> tuple[Index, Poly] | None:
    """The bound index that an equation fixes, and its value; an equal bare index before any other."""
    if not (isinstance(condition, Compare) and condition.op == "==" and is_whole(condition.left)):
        return None
    if not is_whole(condition.right):
        return None
    equation = as_poly(condition.left) - as_poly(condition.right)
    best: tuple[Index, Poly] | None = None
    for index in indices:
        parts = equation.split(index)
        if parts is None or parts[0].constant not in (1, -1):
            continue
        value = parts[1] * -int(parts[0].constant or 0)
        if index in set(value.indices()):
            continue
        if value.index is not None or best is None:
            best = (index, value)
        if value.index is not None:
            break
    return best


def _substituted(
    index: Index, value: Poly, indices: tuple[Index, ...], conditions: tuple[Condition, ...], body: Expr
) -> Expr:
    """The sum with one index fixed; where the value may leave the index's range, that is a condition."""
    mapping: dict[Atom, Poly] = {index: value}
    guards: list[Condition] = []
    other = value.index
    if index.size is not None and not (other is not None and other.size == index.size) and not _is_label(value):
        guards.append(compare("<=", ZERO, val(value)))
        guards.append(compare("<", val(value), val(index.size)))
    moved = [substitute(c, mapping) for c in conditions]
    bound = set(indices)
    inside = [c for c in (*moved, *guards) if free_indices(c) & bound]
    outside = [c for c in (*moved, *guards) if not free_indices(c) & bound]
    inner = bind("sum", indices, inside, substitute(body, mapping))
    return mul(*(test(c) for c in outside), inner)


def _is_label(value: Poly) -> bool:
    from kb.index.affine import Gather

    return isinstance(value.atom, Gather)


def _split_deltas(factors: list[Expr], bound: set[Index]) -> list[Expr] | None:
    """Distribute over a sum of terms in which a delta fixes a bound index; None if there is none."""
    for position, factor in enumerate(factors):
        if isinstance(factor, Add) and any(_has_delta(t, bound) for t in factor.args):
            others = factors[:position] + factors[position + 1 :]
            return [mul(*others[:position], t, *others[position:]) for t in factor.args]
    return None


def _has_delta(term: Expr, bound: set[Index]) -> bool:
    return any(
        isinstance(f, Test) and _solve(f.condition, tuple(free_indices(f) & bound)) is not None
        for f in _flatten(Mul, [term])
    )


def _hoisted(indices: tuple[Index, ...], conditions: tuple[Condition, ...], factors: list[Expr]) -> Expr:
    bound = set(indices)
    used = {i for c in conditions for i in free_indices(c)} | {i for f in factors for i in free_indices(f)}
    unused = [i for i in indices if i not in used]
    kept = tuple(i for i in indices if i in used)
    outer = [val(i.extent) for i in unused] + [f for f in factors if not free_indices(f) & bound]
    inner = [f for f in factors if free_indices(f) & bound]
    if not kept:
        return mul(*outer, *inner)
    body = mul(*inner)
    if isinstance(body, Fn) and body.name == "exp" and not conditions:
        return mul(*outer, function("exp", bind("logsumexp", kept, (), body.arg)))
    number, rest = split_coefficient(body)
    return mul(num(number), *outer, Bind("sum", kept, conditions, rest if rest is not None else ONE))


# --- rewriting and substitution ------------------------------------------------------------------


def rebuild(node: Expr, change: Callable[[Any], Any], poly: Callable[[Poly], Poly] = lambda p: p) -> Expr:
    """The node with ``change`` applied to its children and ``poly`` to its polynomials."""

    def conditions(items: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return tuple(change(c) for c in items)

    match node:
        case Num() | Const() | Var():
            return node
        case Val(poly=p):
            return val(poly(p))
        case Read(name=name, index=index, outside=outside):
            return Read(name, tuple(poly(p) for p in index), outside)
        case Add(args=args):
            return add(*map(change, args))
        case Mul(args=args):
            return mul(*map(change, args))
        case Pow(base=base, exponent=exponent):
            return power(change(base), change(exponent))
        case Fn(name=name, arg=arg):
            return function(name, change(arg))
        case Apply(name=name, orders=orders, args=args):
            return Apply(name, orders, tuple(map(change, args)))
        case Several(op=op, args=args):
            return several(op, map(change, args))
        case Bind(op=op, indices=indices, conditions=found, body=body):
            return bind(op, indices, conditions(found), change(body))
        case Pick(op=op, indices=indices, conditions=found, body=body, at=at):
            return Pick(op, indices, conditions(found), change(body), tuple(poly(p) for p in at))
        case Test(condition=condition):
            return test(change(condition))
        case Cases(branches=branches, otherwise=otherwise):
            return cases(tuple((change(c), change(e)) for c, e in branches), change(otherwise))
        case Integral(variable=variable, low=low, high=high, body=body):
            return integral(variable, change(low), change(high), change(body))
        case Stop(arg=arg):
            return Stop(change(arg))
    raise TypeError(f"not an expression: {node!r}")


def rebuild_condition(node: Condition, change: Callable[[Any], Any]) -> Condition:
    """The condition with ``change`` applied to what it compares."""
    match node:
        case Compare(op=op, left=left, right=right):
            return compare(op, change(left), change(right))
        case Junction(op=op, args=args):
            return junction(op, map(change, args))
        case Negation(arg=arg):
            return negation(change(arg))
    raise TypeError(f"not a condition: {node!r}")


def transform(node: Any, change: Callable[[Expr], Expr | None], poly: Callable[[Poly], Poly] = lambda p: p) -> Any:
    """Rewrite top down: where ``change`` gives an expression, it stands instead of the whole node."""
    if isinstance(node, Condition):
        return rebuild_condition(node, lambda n: transform(n, change, poly))
    changed = change(node)
    if changed is not None:
        return changed
    return rebuild(node, lambda n: transform(n, change, poly), poly)


def substitute(node: Any, mapping: Mapping[Atom, Poly]) -> Any:
    """Replace indices and integer symbols, renaming bound indices so that nothing is captured."""
    if not mapping:
        return node
    if not any(not isinstance(a, Index) for a in mapping) and not (free_indices(node) & mapping.keys()):
        return node
    incoming = {i for p in mapping.values() for i in p.indices()}

    def change(expr: Expr) -> Expr | None:
        bound = bound_indices(expr)
        if bound and any(i in incoming or i in mapping for i in bound):
            return substitute(rename_bound(expr), mapping)
        return None

    return transform(node, change, lambda p: p.replace(mapping))


def rename_bound(node: Expr) -> Expr:
    """The same binder with fresh indices."""
    old = bound_indices(node)
    fresh = {i: Poly.of(i.fresh()) for i in old}
    new = tuple(p.index for p in fresh.values())
    if isinstance(node, Bind):
        moved = [substitute(c, fresh) for c in node.conditions]
        return Bind(node.op, new, tuple(moved), substitute(node.body, fresh))
    assert isinstance(node, Pick)
    moved = [substitute(c, fresh) for c in node.conditions]
    return Pick(node.op, new, tuple(moved), substitute(node.body, fresh), node.at)


def replace_reads(node: Any, change: Callable[[Read], Expr | None]) -> Any:
    """Substitute expressions for reads. The caller sees to it that the indices are fresh."""

    def visit(expr: Expr) -> Expr | None:
        return change(expr) if isinstance(expr, Read) else None

    return transform(node, visit)


def freshen(node: Any) -> Any:
    """Give every bound index below the node a fresh identity, so that copies never share one."""

    def change(expr: Expr) -> Expr | None:
        if bound_indices(expr):
            renamed = rename_bound(expr)
            return rebuild(renamed, lambda n: transform(n, change))
        return None

    return transform(node, change)
