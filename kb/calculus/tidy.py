"""Derivatives as people write them: folded back into the names of the steps, factored.

A few targeted rules, applied bottom up; nothing is expanded. Each rule gives an equal expression:

* fold: a subexpression that a step defines becomes the step's name, in powers and products too
* reciprocal: where ``T = 1/(c + u)``, the product ``T*u`` is ``1 - c*T``
* factor: what all terms of a sum have in common goes in front
* split: a sum of terms is split where the pieces fold or cancel
* whole: the probabilities that a softmax gives add up to 1
* unguarded: a condition goes without which a factor, read beyond the ends of its array, is 0 anyway
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kb.calculus.match import Binding, as_power, equal, match, match_factors, split_scale
from kb.calculus.signs import is_positive
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.functions import may_be_infinite
from kb.index.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Bind,
    Condition,
    Expr,
    Fn,
    Mul,
    Num,
    Pow,
    Read,
    Several,
    Test,
    free_indices,
    num,
    read_names,
    walk,
)
from kb.index.program import Program, Step

# What the rules are called.
FOLDING = "folding into names"
FACTORING = "common factor"
SPLITTING = "linearity"
ADDING_UP = "a softmax adds up to 1"
_SMALL = 400


class Tidy:
    """Tidies expressions in the names of a program; ``applied`` collects what its rules are called."""

    def __init__(self, program: Program, fold: bool = True) -> None:
        steps = [s for s in _whole(program) if _is_worth_a_name(s.expr)] if fold else []
        self.patterns = [_Pattern(s, program) for s in steps]
        self.masked = frozenset(s.name for s in steps if _is_masked(s.expr))
        self.program = program
        self.softmaxes = frozenset(s.name for s in _whole(program) if _is_softmax(s))
        self.cache: dict[Expr, Expr] = {}
        self.visible: set[str] | None = None
        self.applied: dict[str, None] = {}

    def show(self, names: set[str]) -> None:
        """From here on fold only into these names: a step cannot use what comes after it."""
        self.visible = names
        self.cache.clear()

    def __call__(self, expr: Expr) -> Expr:
        """An equal expression, folded and factored."""
        for _ in range(3):
            tidied = self.visit(expr)
            if tidied == expr:
                break
            expr = tidied
        return expr

    def visit(self, expr: Expr) -> Expr:
        if expr not in self.cache:
            self.cache[expr] = self._visit(expr)
        return self.cache[expr]

    def _visit(self, expr: Expr) -> Expr:
        folded = self.fold(expr)
        if folded is not None:
            self.applied.setdefault(FOLDING)
            return self.visit(folded) if folded != expr else folded
        rebuilt: Expr = build.rebuild(expr, self.inner)
        if rebuilt != expr:
            folded = self.fold(rebuilt)
            if folded is not None:
                self.applied.setdefault(FOLDING)
                return folded
        for rule, name in (
            (self.reciprocal, FOLDING),
            (self.whole, ADDING_UP),
            (self.unmasked, FOLDING),
            (lambda e: unguarded(e, self.program), None),
            (factor, FACTORING),
            (positive_first, None),
            (self.split, SPLITTING),
        ):
            changed = rule(rebuilt)
            if changed is not None:
                if name is not None:
                    self.applied.setdefault(name)
                return changed
        return rebuilt

    def inner(self, node: Expr) -> Expr:
        if not isinstance(node, Expr):
            result: Expr = build.rebuild_condition(node, self.inner)
            return result
        return self.visit(node)

    # --- fold -----------------------------------------------------------------------------------

    def fold(self, expr: Expr) -> Expr | None:
        """The expression with the largest step that it contains at its top, or None."""
        if isinstance(expr, (Num, Read)) or not self.patterns:
            return None
        names = read_names(expr)
        for pattern in self.patterns:
            if pattern.names <= names and (self.visible is None or pattern.name in self.visible):
                folded = pattern.fold(expr)
                if folded is not None:
                    return folded
        return None

    def reciprocal(self, expr: Expr) -> Expr | None:
        """``T*u`` is ``1 - c*T`` where ``T = 1/(c + u)``."""
        if not isinstance(expr, Mul):
            return None
        for pattern in self.patterns:
            if pattern.denominator is None:
                continue
            for n, factor_ in enumerate(expr.args):
                base, exponent = as_power(factor_)
                if isinstance(base, Read) and base.name == pattern.name and _is_positive_integer(exponent):
                    found = pattern.cancel(expr, n, base, exponent)
                    if found is not None:
                        return found
        return None

    # --- sums -----------------------------------------------------------------------------------

    def whole(self, expr: Expr) -> Expr | None:
        """A sum without a softmax, where that is all that depends on its last index."""
        if not self.softmaxes or not (isinstance(expr, Bind) and expr.op == "sum" and not expr.conditions):
            return None
        factors = expr.body.args if isinstance(expr.body, Mul) else (expr.body,)
        for n, read in enumerate(factors):
            if not (isinstance(read, Read) and read.name in self.softmaxes):
                continue
            *lead, place = read.index
            last = place.index
            others = (*factors[:n], *factors[n + 1 :])
            used = {i for p in lead for i in p.indices()}.union(*map(free_indices, others))
            if last is not None and last in expr.indices and last not in used and last.size == self.size(read):
                rest = tuple(i for i in expr.indices if i is not last)
                return build.bind("sum", rest, (), build.mul(*others))
        return None

    def unmasked(self, expr: Expr) -> Expr | None:
        """A sum without the condition outside of which a step in it is 0: ``sum(u[k]*exp(s[k])/z, k, k <= i)``."""
        if not (isinstance(expr, Bind) and expr.op == "sum" and expr.conditions):
            return None
        return self.sum_of_masked(expr, expr.body)

    def sum_of_masked(self, total: Bind, body: Expr) -> Expr | None:
        """The sum with another body, where a step in that body is 0 wherever a condition of the sum fails."""
        tests = [Test(c) for c in total.conditions]
        if not (self.masked and tests):
            return None
        found = self.visit(build.mul(body, *tests))
        factors = found.args if isinstance(found, Mul) else (found,)
        left = [f for f in factors if isinstance(f, Test) and f in tests]
        if len(left) == len(tests) or not any(isinstance(f, Read) and f.name in self.masked for f in factors):
            return None
        rest = build.mul(*(f for f in factors if f not in left))
        return build.bind("sum", total.indices, [f.condition for f in left], rest)

    def size(self, read: Read) -> Poly:
        """How many elements the last axis has of the array that is read."""
        return self.program.shape(read.name)[-1]

    def split(self, expr: Expr) -> Expr | None:
        """Split a sum over terms where that makes it smaller."""
        if not (isinstance(expr, Bind) and expr.op == "sum" and isinstance(expr.body, Add)):
            return None
        if len(expr.body.args) > 4:
            return None
        pieces = [self.visit(build.bind("sum", expr.indices, expr.conditions, t)) for t in expr.body.args]
        combined = build.add(*pieces)
        return combined if _weight(combined) < _weight(expr) else None


def without_guards(expr: Expr, program: Program) -> Expr:
    """The expression without conditions outside of which a factor is 0 anyway."""
    result: Expr = build.transform(expr, lambda node: unguarded(node, program))
    return result


def unguarded(expr: Expr, program: Program) -> Expr | None:
    """A product without the conditions that a factor has in itself: ``x[e]`` is 0 where e lies outside of x."""
    if not isinstance(expr, Mul):
        return None
    guards = {c for factor_ in expr.args for c in _guards(factor_, program)}
    left = [f for f in expr.args if not (isinstance(f, Test) and f.condition in guards)]
    return build.mul(*left) if len(left) < len(expr.args) else None


def _guards(expr: Expr, program: Program) -> Iterator[Condition]:
    """The conditions without which an element is 0: those of the range of its array."""
    if isinstance(expr, Read) and expr.outside and expr.name in program.tensors:
        for place, size in zip(expr.index, program.shape(expr.name), strict=True):
            yield build.compare("<=", ZERO, build.val(place))
            yield build.compare("<", build.val(place), build.val(size))


def _whole(program: Program) -> list[Step]:
    """The steps that say what a name is: all of it, or all but the elements from which a recurrence starts."""
    steps = [s for s in program.steps if isinstance(s, Step)]
    count = Counter(s.name for s in steps)
    turns = Counter(s.name for s in steps if s.loop is not None)
    added = {s.name for s in steps if s.accumulates}  # what is added to later is not what its first step says
    plain = [s for s in steps if s.is_plain and s.name not in added]
    return [s for s in plain if count[s.name] == 1 or (s.loop is not None and turns[s.name] == 1)]


class _Pattern:
    """A step's definition, ready to be found in other expressions."""

    def __init__(self, step: Step, program: Program) -> None:
        self.name = step.name
        self.free = step.free
        self.unknown = frozenset(step.free)
        self.expr = step.expr
        self.names = read_names(step.expr)
        self.scale, self.core = split_scale(step.expr)
        self.rooted = isinstance(self.core[0], Pow) and is_positive(self.core[0].base, program) if self.core else False
        self.denominator = self._denominator()
        self.complement = self._complement()

    def _denominator(self) -> tuple[Expr, Expr] | None:
        """``(c, u)`` if the definition is ``1/(c + u)``."""
        if isinstance(self.expr, Pow) and self.expr.exponent == MINUS_ONE and isinstance(self.expr.base, Add):
            terms = self.expr.base.args
            if len(terms) == 2 and isinstance(terms[0], Num):
                return terms[0], terms[1]
            if len(terms) == 2 and isinstance(terms[1], Num):
                return terms[1], terms[0]
        return None

    def _complement(self) -> Expr | None:
        """``1 - T``, as it appears where ``T = 1/(1 + exp(a))``: that is ``1/(1 + exp(-a))``."""
        if self.denominator is None or self.denominator[0] != ONE:
            return None
        other = self.denominator[1]
        if not (isinstance(other, Fn) and other.name == "exp"):
            return None
        return build.power(build.add(ONE, build.function("exp", build.negative(other.arg))), MINUS_ONE)

    def read(self, binding: Binding) -> Expr | None:
        if any(i not in binding for i in self.free):
            return None
        return Read(self.name, tuple(binding[i] for i in self.free), False)

    def fold(self, expr: Expr) -> Expr | None:
        """The expression with this definition replaced by its name at the top; None if it is not there."""
        for made in self._candidates(expr):
            return made
        return None

    def _candidates(self, expr: Expr) -> Iterator[Expr]:
        factors = list(expr.args) if isinstance(expr, Mul) else [expr]
        if self.complement is not None and len(factors) <= 12:
            for binding, rest in match_factors([self.complement], factors, self.unknown, {}):
                read = self.read(binding)
                if read is not None:
                    yield build.mul(*rest, build.subtract(ONE, read))
                    return
        if len(self.core) == 1 and isinstance(self.core[0], Pow) and _is_heavy(self.core[0].base):
            yield from self._powers(factors, self.core[0])
        elif self.core and len(self.core) <= len(factors) <= 12:
            guarded = any(isinstance(f, Test) for f in self.core)
            for binding, rest in match_factors(self.core, factors, self.unknown, {}):
                read = self.read(binding)
                # 0 where a condition fails: what is infinite there would lose its guard
                if read is not None and not (guarded and any(map(may_be_infinite, rest))):
                    yield build.mul(read, build.power(self.scale, MINUS_ONE), *rest)

    def _powers(self, factors: list[Expr], core: Pow) -> Iterator[Expr]:
        """``T = scale*B**e``, so ``B**f`` is ``(T/scale)**(f/e)``."""
        for n, candidate in enumerate(factors):
            readings = [as_power(candidate), (candidate, ONE)] if isinstance(core.base, Pow) else [as_power(candidate)]
            for exponent, binding in ((e, m) for b, e in readings for m in match(core.base, b, self.unknown, {})):
                own = build.substitute(core.exponent, binding)
                ratio = _ratio(exponent, own, self.rooted)
                read = self.read(binding)
                if read is None or ratio is None or not self._is_plain(ratio):
                    continue
                value = build.power(build.mul(read, build.power(self.scale, MINUS_ONE)), ratio)
                yield build.mul(*factors[:n], value, *factors[n + 1 :])

    def _is_plain(self, ratio: Expr) -> bool:
        """Whether that power of the name brings no number that nobody looks for: of ``2/norm(w)``, M**3/8."""
        return self.scale == ONE or not isinstance(self.scale, Num) or ratio in (ONE, MINUS_ONE)

    def cancel(self, expr: Mul, n: int, read: Read, exponent: Expr) -> Expr | None:
        assert self.denominator is not None and isinstance(exponent, Num)
        constant, other = self.denominator
        moved: dict[Index, Poly] = dict(zip(self.free, read.index, strict=True))
        wanted = build.substitute(build.freshen(other), moved)
        for k, factor_ in enumerate(expr.args):
            if k != n and equal(factor_, wanted):
                rest = [a for m, a in enumerate(expr.args) if m not in (n, k)]
                lowered = build.power(read, num(exponent.value - 1))
                return build.mul(*rest, lowered, build.subtract(ONE, build.mul(constant, read)))
        return None


def _ratio(exponent: Expr, own: Expr, rooted: bool) -> Expr | None:
    """``exponent/own``; None where a root of something negative could be meant, unless the base has roots."""
    if isinstance(exponent, Num) and isinstance(own, Num):
        ratio = exponent.value / own.value
        return None if own.value.denominator == 1 and ratio.denominator != 1 else num(ratio)
    inverse = build.power(own, MINUS_ONE)
    terms = exponent.args if isinstance(exponent, Add) else (exponent,)
    found = build.add(*(build.mul(t, inverse) for t in terms))
    whole = isinstance(found, Num) and found.value.denominator == 1
    return found if rooted or whole else None


def _is_masked(expr: Expr) -> bool:
    return isinstance(expr, Mul) and any(isinstance(f, Test) for f in expr.args)


def _is_softmax(step: Step) -> bool:
    """Whether a step is the softmax of something along its last axis: ``exp(x[i] - logsumexp(x[k], k))``."""
    if not (step.free and isinstance(step.expr, Fn) and step.expr.name == "exp"):
        return False
    last = step.free[-1]
    terms = list(step.expr.arg.args) if isinstance(step.expr.arg, Add) else []
    for term in terms:
        total = build.negative(term)
        if isinstance(total, Bind) and total.op == "logsumexp" and not total.conditions and len(total.indices) == 1:
            (index,) = total.indices
            moved: dict[Atom, Poly] = {index: Poly.of(last)}
            rest = build.add(*(t for t in terms if t is not term))
            return index.size == last.size and equal(build.substitute(build.freshen(total.body), moved), rest)
    return False


def _is_heavy(expr: Expr) -> bool:
    """Whether a power of the expression is found by its base, so that a mean's root is found in its reciprocal."""
    if isinstance(expr, Mul):
        return any(isinstance(a, Bind) for a in expr.args)
    return isinstance(expr, (Add, Bind, Fn, Pow, Several))


def _is_positive_integer(expr: Expr) -> bool:
    return isinstance(expr, Num) and expr.value.denominator == 1 and expr.value > 0


def _is_worth_a_name(expr: Expr) -> bool:
    return not isinstance(expr, (Num, Read)) and bool(read_names(expr)) and _weight(expr) <= _SMALL


def _weight(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def factor(expr: Expr) -> Expr | None:
    """Put in front what all terms of a sum have in common; of powers the smallest."""
    if not isinstance(expr, Add):
        return None
    bags = [[as_power(f) for f in (t.args if isinstance(t, Mul) else (t,))] for t in expr.args]
    common: list[Expr] = []
    for base, exponent in bags[0]:
        if not isinstance(base, Num):
            shared = _common_exponent(base, exponent, bags[1:])
            if shared is not None:
                common.append(build.power(base, shared))
    if not common:
        return None
    rest = [_without(bag, [as_power(c) for c in common]) for bag in bags]
    total = build.add(*rest)
    return build.mul(*common, positive_first(total) or total)


def _without(bag: list[tuple[Expr, Expr]], common: list[tuple[Expr, Expr]]) -> Expr:
    """A product of powers with the common ones taken out."""
    left = []
    for base, exponent in bag:
        for shared, taken in common:
            if equal(base, shared):
                exponent = ZERO if equal(exponent, taken) else build.subtract(exponent, taken)
        left.append(build.power(base, exponent))
    return build.mul(*left)


def _common_exponent(base: Expr, exponent: Expr, bags: list[list[tuple[Expr, Expr]]]) -> Expr | None:
    """The power of a base that every bag of factors contains; None if one has none."""
    smallest = exponent
    for bag in bags:
        other = next((e for b, e in bag if equal(b, base)), None)
        if other is None:
            return None
        if isinstance(other, Num) and isinstance(smallest, Num):
            if other.value * smallest.value < 0:
                return None
            if abs(other.value) < abs(smallest.value):
                smallest = other
        elif not equal(other, smallest):
            return None
    return smallest


def positive_first(expr: Expr) -> Expr | None:
    """``p - y`` rather than ``-y + p``."""
    if not isinstance(expr, Add):
        return None
    positive = [t for t in expr.args if build.split_coefficient(t)[0] > 0]
    negative = [t for t in expr.args if build.split_coefficient(t)[0] <= 0]
    ordered = (*positive, *negative)
    return Add(ordered) if positive and ordered != expr.args else None
