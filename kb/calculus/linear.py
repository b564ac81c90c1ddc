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
    read_names,
)
from kb.index.program import ArrayStep


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
    return _Linear(active, strict).of(expr)


def primitive_contribution(step: ArrayStep, free: tuple[Index, ...], size: Poly, inverse: str) -> Contribution:
    """How an element of a primitive's result depends on its argument, a matrix of the given size.

    An inverse B obeys ``dB = -B dA B``; a determinant D obeys ``dD = D tr(A^-1 dA)``, its logarithm
    lacks the factor D. ``inverse`` names the step that holds ``A^-1`` (or B itself).
    """
    lead = tuple(Poly.of(i) for i in free[: step.lead])
    row, column = Index("k", size), Index("l", size)
    k, l = Poly.of(row), Poly.of(column)  # noqa: E741
    if step.operation == "inv":
        i, j = (Poly.of(f) for f in free[step.lead :])
        coefficient = build.mul(MINUS_ONE, Read(step.name, (*lead, i, k), False), Read(step.name, (*lead, l, j), False))
    else:
        coefficient = Read(inverse, (*lead, l, k), False)
        if step.operation == "det":
            coefficient = build.mul(Read(step.name, lead, False), coefficient)
    return Contribution(step.argument, (*lead, k, l), (row, column), (), coefficient)


class _Linear:
    """Differentiates bottom up, so that what reads the same element is one coefficient."""

    def __init__(self, active: set[str], strict: bool) -> None:
        self.active = active
        self.strict = strict
        self.known: dict[Expr, bool] = {}

    def depends(self, expr: Expr) -> bool:
        if expr not in self.known:
            self.known[expr] = bool(read_names(expr) & self.active)
        return self.known[expr]

    def of(self, expr: Expr) -> list[Contribution]:
        if not self.depends(expr):
            return []
        match expr:
            case Read(name=name, index=index):
                return [Contribution(name, index, (), (), ONE)] if name in self.active else []
            case Add(args=args):
                return _merged([c for arg in args for c in self.of(arg)])
            case Mul(args=args):
                return self.product(args)
            case Pow():
                return self.power(expr)
            case Fn(name=name, arg=arg):
                return _scaled(function_derivative(name, arg), self.of(arg))
            case Apply(name=name, orders=orders, args=args):
                found: list[Contribution] = []
                for n, arg in enumerate(args):
                    raised = tuple(o + (k == n) for k, o in enumerate(orders))
                    found += _scaled(Apply(name, raised, args), self.of(arg))
                return _merged(found)
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
        return []

    def refuse_jump(self) -> None:
        if self.strict:
            raise NotDifferentiable("the value jumps: it is constant but for where a condition changes")

    def product(self, args: tuple[Expr, ...]) -> list[Contribution]:
        moving = [n for n, a in enumerate(args) if self.depends(a)]
        smooth = [n for n in moving if not isinstance(args[n], (Test, Pick))]
        if not smooth:
            self.refuse_jump()
        found: list[Contribution] = []
        for n in smooth:
            found += _scaled(build.mul(*args[:n], *args[n + 1 :]), self.of(args[n]))
        return _merged(found)

    def power(self, expr: Pow) -> list[Contribution]:
        base, exponent = expr.base, expr.exponent
        lowered = build.mul(exponent, build.power(base, build.add(exponent, MINUS_ONE)))
        growth = build.mul(expr, build.function("log", base)) if self.depends(exponent) else ONE
        return _merged(_scaled(lowered, self.of(base)) + _scaled(growth, self.of(exponent)))

    def several(self, expr: Several) -> list[Contribution]:
        args, found = expr.args, []
        for n, arg in enumerate(args):
            if expr.op == "logsumexp":
                shifted = (build.function("exp", build.subtract(other, arg)) for other in args)
                factor = build.power(build.add(*shifted), MINUS_ONE)
            else:
                factor = _wins(expr.op, args, n)
            found += _scaled(factor, self.of(arg))
        return _merged(found)

    def binder(self, expr: Bind) -> list[Contribution]:
        fresh = build.rename_bound(expr)
        assert isinstance(fresh, Bind)
        conditions = fresh.conditions
        if expr.op == "sum":
            factor: Expr = ONE
        elif expr.op == "logsumexp":
            factor = build.function("exp", build.subtract(fresh.body, expr))
        elif expr.op in ("max", "min"):
            factor = Pick(expr.op, expr.indices, expr.conditions, expr.body, tuple(Poly.of(i) for i in fresh.indices))
            conditions = ()
        elif expr.op == "prod":
            factor = _all_others(expr, fresh)
        else:
            raise NotDifferentiable(f"'{expr.op}' has no derivative")
        return [
            Contribution(
                c.name,
                c.index,
                (*fresh.indices, *c.bound),
                (*conditions, *c.conditions),
                build.mul(factor, c.coefficient),
            )
            for c in self.of(fresh.body)
        ]

    def branches(self, expr: Cases) -> list[Contribution]:
        values = [*(v for _, v in expr.branches), expr.otherwise]
        if not any(self.depends(v) for v in values):
            self.refuse_jump()
        found: list[Contribution] = []
        for n, value in enumerate(values):
            chosen = [(c, ONE if k == n else ZERO) for k, (c, _) in enumerate(expr.branches)]
            here = build.cases(chosen, ONE if n == len(values) - 1 else ZERO)
            if n == len(values) - 1 and len(expr.branches) == 1:
                here = build.test(build.negation(expr.branches[0][0]))
            found += _scaled(here, self.of(value))
        return _merged(found)

    def integral(self, expr: Integral) -> list[Contribution]:
        """Under the integral sign; moving bounds add the integrand's values there."""
        found = [
            Contribution(
                c.name,
                c.index,
                c.bound,
                c.conditions,
                build.integral(expr.variable, expr.low, expr.high, c.coefficient),
            )
            for c in self.of(expr.body)
        ]
        for end, sign in ((expr.high, ONE), (expr.low, MINUS_ONE)):
            if self.depends(end):
                found += _scaled(build.mul(sign, replace_variable(expr.body, expr, end)), self.of(end))
        return _merged(found)


def _scaled(factor: Expr, found: list[Contribution]) -> list[Contribution]:
    return [Contribution(c.name, c.index, c.bound, c.conditions, build.mul(factor, c.coefficient)) for c in found]


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
