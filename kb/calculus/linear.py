"""The derivative of one expression: how it depends, to first order, on each element that it reads.

Everything else follows from this: a VJP multiplies each coefficient with the cotangent of the
expression, a JVP with the tangent of the element, a partial derivative with deltas.
"""

from __future__ import annotations

from dataclasses import dataclass

from kb.errors import NotDifferentiable
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.functions import function_derivative
from kb.index.nodes import (
    MINUS_ONE,
    ONE,
    ZERO,
    Add,
    Apply,
    ApplyArray,
    Bind,
    Cases,
    Condition,
    Expr,
    Fn,
    Integral,
    Mul,
    Pick,
    Pow,
    Read,
    Several,
    Test,
    Var,
    Whole,
    read_names,
)


@dataclass(frozen=True, slots=True)
class Contribution:
    """``d expr = sum over bound of coefficient * d name[index]``, where the conditions hold."""

    name: str
    index: tuple[Poly, ...]
    bound: tuple[Index, ...]
    conditions: tuple[Condition, ...]
    coefficient: Expr


def contributions(expr: Expr, active: set[str], strict: bool = False) -> list[Contribution]:
    """How an expression depends on the elements of the active names.

    ``strict`` refuses what jumps (a step function); without it, jumps have derivative 0, as befits
    derivatives of derivatives. Raises NotDifferentiable.
    """
    return Linear(active, strict).of(expr)


@dataclass(frozen=True, slots=True)
class Slope:
    """``d expr = sum over bound of coefficient * d child``, where the conditions hold.

    ``within`` is the integral under whose sign both stand.
    """

    child: Expr
    coefficient: Expr = ONE
    bound: tuple[Index, ...] = ()
    conditions: tuple[Condition, ...] = ()
    within: Integral | None = None

    def times(self, factor: Expr) -> Expr:
        """``coefficient * factor``, under the integral sign where there is one."""
        product = build.mul(self.coefficient, factor)
        if self.within is None:
            return product
        return build.integral(self.within.variable, self.within.low, self.within.high, product)


# The names of the rules, as a student knows them.
LINEARITY = "linearity"
PRODUCT = "product rule"
QUOTIENT = "quotient rule"
POWER = "power rule"
EXPONENTIAL = "derivative of an exponential"
CHAIN = "chain rule"
SOFTMAX = "log-sum-exp"
KINK = "kink convention"
BRANCHES = "branch by branch"
INTEGRAL = "under the integral sign"


class Linear:
    """The table of rules: how an expression depends on its parts, and what the rule is called.

    The derivative goes bottom up, so that what reads the same element is one coefficient.
    """

    def __init__(self, active: set[str], strict: bool) -> None:
        self.active = active
        self.strict = strict
        self.known: dict[Expr, bool] = {}

    def depends(self, expr: Expr) -> bool:
        """Whether the expression reads any active name."""
        if expr not in self.known:
            self.known[expr] = bool(read_names(expr) & self.active)
        return self.known[expr]

    def of(self, expr: Expr) -> list[Contribution]:
        """How the expression depends on the elements that it reads. Raises NotDifferentiable."""
        if not self.depends(expr):
            return []
        if isinstance(expr, Read):
            return [Contribution(expr.name, expr.index, (), (), ONE)] if expr.name in self.active else []
        found: list[Contribution] = []
        for slope in self.slopes(expr)[1]:
            for c in self.of(slope.child):
                bound, conditions = (*slope.bound, *c.bound), (*slope.conditions, *c.conditions)
                found.append(Contribution(c.name, c.index, bound, conditions, slope.times(c.coefficient)))
        return _merged(found)

    def slopes(self, expr: Expr) -> tuple[str, list[Slope]]:
        """The rule for this kind of expression, and how it depends on its parts. Raises NotDifferentiable."""
        match expr:
            case Add(args=args):
                return LINEARITY, [Slope(a) for a in args if self.depends(a)]
            case Mul(args=args):
                return self.product(args)
            case Pow():
                return self.power(expr)
            case Fn(name=name, arg=arg):
                return _function_rule(name, arg), [Slope(arg, function_derivative(name, arg))]
            case Apply(name=name, orders=orders, args=args):
                raised = [tuple(o + (k == n) for k, o in enumerate(orders)) for n in range(len(args))]
                moving = [(a, r) for a, r in zip(args, raised, strict=True) if self.depends(a)]
                return CHAIN, [Slope(a, Apply(name, r, args)) for a, r in moving]
            case ApplyArray():
                return CHAIN, self.of_arrays(expr)
            case Several():
                return self.several(expr)
            case Bind():
                return self.binder(expr)
            case Cases():
                return self.branches(expr)
            case Integral():
                return self.integral(expr)
            case Test() | Pick():
                self.refuse_jump()
        return LINEARITY, []

    def refuse_jump(self) -> None:
        if self.strict:
            raise NotDifferentiable("the value jumps: it is constant but for where a condition changes")

    def product(self, args: tuple[Expr, ...]) -> tuple[str, list[Slope]]:
        moving = [n for n, a in enumerate(args) if self.depends(a)]
        smooth = [n for n in moving if not isinstance(args[n], (Test, Pick))]
        if not smooth:
            self.refuse_jump()
        rule = LINEARITY if len(smooth) < 2 else QUOTIENT if any(_divides(args[n]) for n in smooth) else PRODUCT
        return rule, [Slope(args[n], build.mul(*args[:n], *args[n + 1 :])) for n in smooth]

    def power(self, expr: Pow) -> tuple[str, list[Slope]]:
        base, exponent = expr.base, expr.exponent
        found: list[Slope] = []
        if self.depends(base):
            found.append(Slope(base, build.mul(exponent, build.power(base, build.add(exponent, MINUS_ONE)))))
        if self.depends(exponent):
            found.append(Slope(exponent, build.mul(expr, build.function("log", base))))
        return (EXPONENTIAL if self.depends(exponent) else POWER), found

    def several(self, expr: Several) -> tuple[str, list[Slope]]:
        args = expr.args
        found: list[Slope] = []
        for n, arg in enumerate(args):
            if not self.depends(arg):
                continue
            if expr.op == "logsumexp":
                shifted = (build.function("exp", build.subtract(other, arg)) for other in args)
                factor = build.power(build.add(*shifted), MINUS_ONE)
            else:
                factor = _wins(expr.op, args, n)
            found.append(Slope(arg, factor))
        return (SOFTMAX if expr.op == "logsumexp" else KINK), found

    def binder(self, expr: Bind) -> tuple[str, list[Slope]]:
        fresh = build.rename_bound(expr)
        assert isinstance(fresh, Bind)
        conditions = fresh.conditions
        factor: Expr = ONE
        if expr.op == "sum":
            rule = LINEARITY
        elif expr.op == "logsumexp":
            rule, factor = SOFTMAX, build.function("exp", build.subtract(fresh.body, expr))
        elif expr.op in ("max", "min"):
            at = tuple(Poly.of(i) for i in fresh.indices)
            rule, factor = KINK, Pick(expr.op, expr.indices, expr.conditions, expr.body, at)
            conditions = ()
        elif expr.op == "prod":
            rule, factor = PRODUCT, _all_others(expr, fresh)
        else:
            raise NotDifferentiable(f"'{expr.op}' has no derivative")
        return rule, [Slope(fresh.body, factor, fresh.indices, conditions)]

    def of_arrays(self, expr: ApplyArray) -> list[Slope]:
        """Every element of every argument moves the value, each by a derivative of its own."""
        found: list[Slope] = []
        for n, arg in enumerate(expr.args):
            if self.depends(arg):
                fresh = build.rename_bound(arg)
                assert isinstance(fresh, Whole)
                place = tuple(Poly.of(i) for i in fresh.indices)
                found.append(Slope(fresh.body, build.differentiated(expr, n, place), fresh.indices))
        return found

    def branches(self, expr: Cases) -> tuple[str, list[Slope]]:
        values = [*(v for _, v in expr.branches), expr.otherwise]
        if not any(self.depends(v) for v in values):
            self.refuse_jump()
        found: list[Slope] = []
        for n, value in enumerate(values):
            chosen = [(c, ONE if k == n else ZERO) for k, (c, _) in enumerate(expr.branches)]
            here = build.cases(chosen, ONE if n == len(values) - 1 else ZERO)
            if n == len(values) - 1 and len(expr.branches) == 1:
                here = build.test(build.negation(expr.branches[0][0]))
            if self.depends(value):
                found.append(Slope(value, here))
        return BRANCHES, found

    def integral(self, expr: Integral) -> tuple[str, list[Slope]]:
        """Under the integral sign; moving bounds add the integrand's values there."""
        found = [Slope(expr.body, within=expr)] if self.depends(expr.body) else []
        for end, sign in ((expr.high, ONE), (expr.low, MINUS_ONE)):
            if self.depends(end):
                found.append(Slope(end, build.mul(sign, replace_variable(expr.body, expr, end))))
        return INTEGRAL, found


def _divides(expr: Expr) -> bool:
    """Whether the factor stands below the bar."""
    return isinstance(expr, Pow) and build.split_coefficient(expr.exponent)[0] < 0


def _function_rule(name: str, arg: Expr) -> str:
    """The exponential of a difference with a log-sum-exp is a quotient, and printed as one."""
    terms = arg.args if isinstance(arg, Add) else (arg,)
    cores = [build.split_coefficient(t)[1] for t in terms]
    if name == "exp" and any(isinstance(c, (Bind, Several)) and c.op == "logsumexp" for c in cores):
        return QUOTIENT
    return KINK if name in ("abs", "sign") else f"derivative of {name}"


def _merged(found: list[Contribution]) -> list[Contribution]:
    """One contribution for each element that is read without a binder."""
    groups: dict[object, list[Contribution]] = {}
    for c in found:
        groups.setdefault(id(c) if c.bound or c.conditions else (c.name, c.index), []).append(c)
    merged = [
        Contribution(g[0].name, g[0].index, (), (), build.add(*(c.coefficient for c in g))) if len(g) > 1 else g[0]
        for g in groups.values()
    ]
    return [c for c in merged if c.coefficient != ZERO]


def _all_others(expr: Bind, fresh: Bind) -> Expr:
    """The product without one of its factors: the derivative of a product over an index."""
    other = build.rename_bound(expr)
    assert isinstance(other, Bind)
    pairs = zip(other.indices, fresh.indices, strict=True)
    equal = [build.compare("==", build.val(Poly.of(a)), build.val(Poly.of(b))) for a, b in pairs]
    differs = build.negation(build.junction("and", equal))
    return build.bind("prod", other.indices, (*other.conditions, differs), other.body)


def replace_variable(body: Expr, integral: Integral, value: Expr) -> Expr:
    """The integrand with a value in the place of the variable."""

    def change(node: Expr) -> Expr | None:
        return value if isinstance(node, Var) and node.variable is integral.variable else None

    result: Expr = build.transform(body, change)
    return result


def _wins(op: str, args: tuple[Expr, ...], n: int) -> Expr:
    """1 where argument n is the first largest (or smallest) one."""
    tests = []
    for k, other in enumerate(args):
        if k == n:
            continue
        strictly = k < n
        small, large = (other, args[n]) if op == "max" else (args[n], other)
        tests.append(build.compare("<" if strictly else "<=", small, large))
    return build.test(build.junction("and", tests))
