"""Equal expressions that are shorter to read: for display only, as each rule may cost precision in code.

A few targeted rules, applied bottom up, each kept only where the whole becomes shorter:

* numbers in front of a sum go into it or come out of it: ``1/2*(1 - a) - a`` is ``1/2*(1 - 3*a)``
* terms over different divisors meet over a common one: ``(1 - y)/(1 - p) - y/p`` is ``(p - y)/(p*(1 - p))``
* products of sums are multiplied out where terms cancel
* sums over the same range become one, and one is split where its pieces are known by name
* divisors go into a sum where they give its terms a name; roots, logarithms and signs as ``rewrites`` has them
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import Any

from kb.calculus.match import as_power, match_factors
from kb.calculus.monomials import divisors, expanded, factors_of, monomials, put_together, times
from kb.calculus.rewrites import aligned_signs, decided, joined_roots, less_one_place, opened_logarithm
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import (
    Add,
    Bind,
    Const,
    Expr,
    Fn,
    Integral,
    Mul,
    Num,
    Pow,
    Read,
    alpha_key,
    children,
    free_indices,
    num,
    walk,
)
from kb.index.program import Program
from kb.vocabulary import DOMAINS

PI = Const("pi")
_MOST_NODES = 260

Rule = Callable[[Expr], Expr]


class Shorten:
    """Shortens expressions; ``tidy`` folds and factors what a rule has made.

    ``positive`` names the arrays whose elements are positive.
    """

    def __init__(self, tidy: Tidy, positive: frozenset[str] = frozenset()) -> None:
        self.tidy = tidy
        self.positive = positive
        self.cache: dict[Expr, Expr] = {}

    def __call__(self, expr: Expr) -> Expr:
        """An equal expression, not longer."""
        if not any(isinstance(n, (Add, Bind, Mul)) for n in walk(expr)):
            return expr
        found = self.visit(decided(expr))
        return found if reading_size(found) <= reading_size(expr) else expr

    def visit(self, expr: Expr) -> Expr:
        if expr not in self.cache:
            self.cache[expr] = self._visit(expr)
        return self.cache[expr]

    def _visit(self, expr: Expr) -> Expr:
        rebuilt: Expr = build.rebuild(expr, self.inner)
        if type(rebuilt) is not type(expr):  # a sum that gave a number away is still to be looked at
            rebuilt = build.rebuild(rebuilt, self.inner)
        for _ in range(4):
            shorter = self.shorter(rebuilt)
            if shorter is None:
                return rebuilt
            rebuilt = build.rebuild(shorter, self.inner)
        return rebuilt

    def inner(self, node: Any) -> Any:
        return self.visit(node) if isinstance(node, Expr) else build.rebuild_condition(node, self.inner)

    def shorter(self, expr: Expr) -> Expr | None:
        """What the best rule makes of the top of an expression; None where none helps."""
        if not isinstance(expr, (Add, Mul, Bind, Fn)) or sum(1 for _ in walk(expr)) > _MOST_NODES:
            return None
        rules: tuple[Rule, ...] = ()
        if isinstance(expr, Add):
            rules = (
                *(flattened, with_shared_number, self.over_common, self.expanded, merged_sums, self.regrouped),
                *(self.exchanged, self.aligned, self.with_place),
            )
        elif isinstance(expr, Bind) and expr.op == "sum":
            rules = (self.split, self.contracted)
        elif isinstance(expr, Mul):
            rules = (lifted_numbers, self.opened, self.rooted, self.carried)
        elif isinstance(expr, Fn):
            rules = (opened_logarithm,)
        size = reading_size(expr)
        best: Expr | None = None
        for rule in rules:
            made = rule(expr)
            if made == expr:
                continue
            found = reading_size(made)
            if found < size or (found == size and best is None and rule == self.aligned):
                best, size = made, found
        return best

    # --- sums -----------------------------------------------------------------------------------

    def over_common(self, expr: Expr) -> Expr:
        """The terms over one divisor, where the numerator becomes short."""
        assert isinstance(expr, Add)
        held = {alpha_key(base): base for base in divisors(expr)}
        if not 0 < len(held) <= 4:
            return expr
        atoms: dict[Any, Expr] = {}
        try:
            terms = monomials(expr, atoms, held)
        except OverflowError:
            return expr
        lowest = {key: min((dict(m).get(key, Fraction(0)) for m in terms), default=Fraction(0)) for key in held}
        raised = {times(m, {k: -e for k, e in lowest.items()}): c for m, c in terms.items()}
        numerator = expanded(put_together(raised, atoms | held))
        if numerator is None:
            return expr
        tidied = self.tidy(numerator)
        if isinstance(tidied, Add) and len(tidied.args) > 3:  # short terms over their own divisors read better
            return expr
        return build.mul(tidied, *(build.power(base, num(lowest[key])) for key, base in held.items()))

    def expanded(self, expr: Expr) -> Expr:
        """Multiplied out, collected and factored again."""
        found = expanded(expr)
        return expr if found is None else self.tidy(found)

    def regrouped(self, expr: Expr) -> Expr:
        """Terms that share factors put together, and named where they have a name."""
        return self.tidy(regrouped(expr))

    def exchanged(self, expr: Expr) -> Expr:
        """A double sum the other way round, where it then shares a factor with another sum."""
        assert isinstance(expr, Add)
        made: list[Expr] = [expr]
        for n, term in enumerate(expr.args):
            turned = other_way_round(term)
            if turned is not None:
                made.append(self.tidy(merged_sums(Add((*expr.args[:n], turned, *expr.args[n + 1 :])))))
        return min(made, key=reading_size)

    def aligned(self, expr: Expr) -> Expr:
        """Opposite sums as factors of the terms made the same, and put in front."""
        return self.tidy(aligned_signs(expr))

    def with_place(self, expr: Expr) -> Expr:
        """Terms that hold everywhere but at one place, where the others cancel what is missing there."""
        made = less_one_place(expr)
        if made == expr:
            return expr
        opened = expanded(made)
        return self.regrouped(opened) if isinstance(opened, Add) else made

    def rooted(self, expr: Expr) -> Expr:
        """Roots of numbers under other roots."""
        return joined_roots(expr, lambda e: e == PI or (isinstance(e, Read) and e.name in self.positive))

    def carried(self, expr: Expr) -> Expr:
        """A divisor put into a sum, where its terms have a name with it."""
        assert isinstance(expr, Mul)
        total = next((f for f in expr.args if isinstance(f, Bind) and f.op == "sum"), None)
        if total is None:
            return expr
        best: Expr = expr
        for factor in (f for f in expr.args if _is_divisor(f)):
            base, exponent = as_power(factor)
            assert isinstance(exponent, Num)
            divided = build.mul(build.power(base, num(-1)), total.body)
            within = self.tidy.sum_of_masked(total, divided)
            if within is None:
                within = build.bind("sum", total.indices, total.conditions, self.tidy(divided))
            left = build.power(base, num(exponent.value + 1))
            rest = [left if f is factor else f for f in expr.args if f is not total]
            made = self.tidy(build.mul(*rest, within))
            best = min(best, made, key=reading_size)
        return best

    def opened(self, expr: Expr) -> Expr:
        """A product with one sum multiplied out: where its divisors or terms cancel."""
        assert isinstance(expr, Mul)
        sums = [f for f in expr.args if isinstance(f, Add) and len(f.args) <= 4]
        if len(sums) != 1:
            return expr
        rest = [f for f in expr.args if f is not sums[0]]
        if not any(_is_divisor(f) for term in sums[0].args for f in factors_of(term)):
            return expr
        return self.tidy(build.add(*(build.mul(*rest, term) for term in sums[0].args)))

    def split(self, expr: Expr) -> Expr:
        """A sum over a product with a sum in it, term by term: where the pieces have names."""
        assert isinstance(expr, Bind)
        factors = factors_of(expr.body)
        sums = [f for f in factors if isinstance(f, Add)]
        if len(sums) != 1 or len(sums[0].args) > 4:
            return expr
        rest = [f for f in factors if f is not sums[0]]
        pieces = [build.bind("sum", expr.indices, expr.conditions, build.mul(*rest, t)) for t in sums[0].args]
        return self.tidy(build.add(*(self.tidy(build.transform(self.tidy(p), self.named)) for p in pieces)))

    def named(self, node: Expr) -> Expr | None:
        """A sum whose factors, or some of them, have a name; None for anything else."""
        made = self.contracted(node) if isinstance(node, Bind) else node
        return made if made != node else None

    def contracted(self, expr: Expr) -> Expr:
        """Some factors of a sum over several indices that together with their sum have a name."""
        if not isinstance(expr, Bind) or expr.op != "sum" or expr.conditions:
            return expr
        indices, factors = _opened_sums(expr)
        for pattern in self.tidy.patterns:
            core = pattern.core[0] if len(pattern.core) == 1 else None
            if not (isinstance(core, Bind) and core.op == "sum" and not core.conditions):
                continue
            bound, wanted = _opened_sums(core)
            if not 1 < len(wanted) <= len(factors) <= 8:
                continue
            unknown = pattern.unknown | frozenset(bound)
            for binding, others in match_factors(wanted, factors, unknown, {}):
                used = [binding[i].index for i in bound if i in binding]
                left = {i for f in others for i in free_indices(f)}
                left |= {i for free in pattern.free if free in binding for i in binding[free].indices()}
                read = pattern.read(binding)
                if read is None or len(set(used)) != len(bound) or not set(used) <= set(indices):
                    continue
                if left & set(used):
                    continue
                remaining = tuple(i for i in indices if i not in used)
                scale = build.power(pattern.scale, num(-1))
                return build.bind("sum", remaining, (), build.mul(read, scale, *others))
        return expr


def positive_names(program: Program) -> frozenset[str]:
    """The symbols whose elements are positive."""
    known = ((name, tensor.symbol) for name, tensor in program.tensors.items())
    return frozenset(name for name, symbol in known if symbol and DOMAINS[symbol.domain].sign == "positive")


def _opened_sums(expr: Bind) -> tuple[list[Index], list[Expr]]:
    """A sum over products with sums in them as one sum over more indices."""
    fresh = build.rename_bound(expr)
    assert isinstance(fresh, Bind)
    indices = list(fresh.indices)
    factors: list[Expr] = []
    for factor in factors_of(fresh.body):
        if isinstance(factor, Bind) and factor.op == "sum" and not factor.conditions:
            inner, parts = _opened_sums(factor)
            indices += inner
            factors += parts
        else:
            factors.append(factor)
    return indices, factors


def reading_size(expr: Any) -> int:
    """How much there is to read: nodes, sums counting more; ``1 - x`` is little more than x, ``-x`` no more."""
    match expr:
        case Add(args=(Num(), other)) | Add(args=(other, Num())):
            return reading_size(other)
        case Add(args=args) if all(build.split_coefficient(a)[0] < 0 for a in args):
            return 2 + sum(map(reading_size, args))
        case Mul(args=(Num(value=value), *rest)) if value == -1:
            return sum(map(reading_size, rest)) + (len(rest) > 1)
        case Pow(base=base, exponent=Num(value=value)) if value < 0 and value != -1:
            return 3 + reading_size(base)
        case Bind() | Integral():
            return 4 + sum(map(reading_size, children(expr)))
    return 1 + sum(map(reading_size, children(expr)))


def _is_divisor(factor: Expr) -> bool:
    exponent = as_power(factor)[1]
    return isinstance(exponent, Num) and exponent.value < 0


def flattened(expr: Expr) -> Expr:
    """Numbers in front of sums among the terms go into these."""
    assert isinstance(expr, Add)
    terms: list[Expr] = []
    for term in expr.args:
        number, rest = build.split_coefficient(term)
        if isinstance(rest, Add):
            terms += [build.mul(num(number), t) for t in rest.args]
        else:
            terms.append(term)
    return build.add(*terms)


def with_shared_number(expr: Expr) -> Expr:
    """A number that all terms share comes out, and so does a minus of all of them."""
    assert isinstance(expr, Add)
    numbers = [build.split_coefficient(t)[0] for t in expr.args]
    shared = Fraction(
        reduce(gcd, (abs(n.numerator) for n in numbers)),
        reduce(lambda a, b: a * b // gcd(a, b), (n.denominator for n in numbers)),
    )
    if all(n < 0 for n in numbers):
        shared = -shared
    if shared in (0, 1, -1):
        return expr
    inner = Add(tuple(build.mul(num(1 / shared), t) for t in expr.args))
    return Mul((num(shared), inner))


def lifted_numbers(expr: Expr) -> Expr:
    """Numbers and signs out of the sums that are factors, next to the number in front."""
    assert isinstance(expr, Mul)
    number = Fraction(1)
    made: list[Expr] = []
    for factor in expr.args:
        if isinstance(factor, Add):
            numbers = [build.split_coefficient(t)[0] for t in factor.args]
            if all(n < 0 for n in numbers):
                factor = Add(tuple(build.negative(t) for t in factor.args))
                number = -number
            if len({abs(n) for n in numbers}) == 1:
                shared = abs(numbers[0])
                factor, number = Add(tuple(build.mul(num(1 / shared), t) for t in factor.args)), shared * number
        made.append(factor)
    return build.mul(num(number), *made)


def merged_sums(expr: Expr) -> Expr:
    """Sums over the same range as one sum."""
    assert isinstance(expr, Add)
    groups: list[tuple[Bind, list[Expr]]] = []
    others: list[Expr] = []
    for term in expr.args:
        factors = factors_of(term)
        sums = [f for f in factors if isinstance(f, Bind) and f.op == "sum" and not f.conditions]
        if len(sums) != 1:
            others.append(term)
            continue
        own = sums[0]
        rest = build.mul(*(f for f in factors if f is not own))
        group = next((g for g in groups if [i.size for i in g[0].indices] == [i.size for i in own.indices]), None)
        if group is None:
            groups.append((own, [build.mul(rest, own.body)]))
            continue
        moved: dict[Atom, Poly] = dict(zip(own.indices, map(Poly.of, group[0].indices), strict=True))
        body: Expr = build.substitute(own.body, moved)
        group[1].append(build.mul(rest, body))
    if all(len(bodies) < 2 for _, bodies in groups):
        return expr
    made: list[Expr] = []
    for own, bodies in groups:
        whole = build.add(*bodies)
        joined = regrouped(whole) if isinstance(whole, Add) else whole
        if len(bodies) > 1 and (isinstance(joined, Add) or reading_size(joined) >= sum(map(reading_size, bodies))):
            made += [build.bind("sum", own.indices, (), body) for body in bodies]
        else:
            made.append(build.bind("sum", own.indices, (), joined))
    return build.add(*others, *made)


def other_way_round(term: Expr) -> Expr | None:
    """``sum(a[i]*sum(b[j]*c[i,j], j), i)`` as ``sum(b[j]*sum(a[i]*c[i,j], i), j)``; None for anything else."""
    rest, outer = _one_sum(factors_of(term))
    if outer is None:
        return None
    fresh = build.rename_bound(outer)
    assert isinstance(fresh, Bind)
    own, inner = _one_sum(factors_of(fresh.body))
    if inner is None:
        return None
    bound = set(fresh.indices)
    moved = [f for f in factors_of(inner.body) if free_indices(f) & bound]
    left = [f for f in factors_of(inner.body) if not free_indices(f) & bound]
    if not left or not moved:
        return None
    inside = build.bind("sum", fresh.indices, (), build.mul(*own, *moved))
    return build.mul(*rest, build.bind("sum", inner.indices, (), build.mul(*left, inside)))


def _one_sum(factors: list[Expr]) -> tuple[list[Expr], Bind | None]:
    """The factors but for the only sum without conditions among them."""
    sums = [f for f in factors if isinstance(f, Bind) and f.op == "sum" and not f.conditions]
    return [f for f in factors if f not in sums], sums[0] if len(sums) == 1 else None


def regrouped(expr: Expr) -> Expr:
    """Terms that share all but one factor put together: ``a*x + a*y + b`` is ``a*(x + y) + b``."""
    assert isinstance(expr, Add)
    best: tuple[int, list[Expr], Expr] | None = None
    for n, one in enumerate(expr.args):
        for other in expr.args[n + 1 :]:
            shared = _shared(one, other)
            weight = sum(reading_size(f) for f in shared)
            if shared and (best is None or weight > best[0]):
                best = (weight, shared, one)
    if best is None:
        return expr
    _, shared, first = best
    inside: list[Expr] = []
    outside: list[Expr] = []
    keys = [alpha_key(f) for f in shared]
    for term in expr.args:
        factors = factors_of(term)
        left = list(factors)
        for key in keys:
            place = next((f for f in left if alpha_key(f) == key), None)
            if place is not None:
                left.remove(place)
        if len(left) == len(factors) - len(keys):
            inside.append(build.mul(*left))
        else:
            outside.append(term)
    at = expr.args.index(first)
    whole = build.add(*inside)
    made = build.mul(*shared, with_shared_number(whole) if isinstance(whole, Add) else whole)
    return build.add(*outside[:at], made, *outside[at:])


def _shared(one: Expr, other: Expr) -> list[Expr]:
    """Factors that two terms have in common."""
    keys = [alpha_key(f) for f in factors_of(other)]
    found = []
    for factor in factors_of(one):
        key = alpha_key(factor)
        if not isinstance(factor, Num) and key in keys:
            keys.remove(key)
            found.append(factor)
    return found
