"""The value of a program in index form, by loops over mpmath numbers.

Slow and plain on purpose: it shows what the symbolic result itself says, free of any lowering.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from itertools import product
from typing import Any

import mpmath

from kb.index.affine import Atom, Gather, Index, Poly
from kb.index.nodes import (
    Add,
    Apply,
    ApplyArray,
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
    Node,
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
    free_indices,
    walk,
)
from kb.index.program import AnyStep, ArrayInstance, ArrayStep, Instance, Program, Step, blocks, loop_of, margins

Element = Any
Elements = dict[tuple[int, ...], Element]
Place = Mapping[Index, int]

_FUNCTIONS = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "abs": abs,
    "sign": mpmath.sign,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "floor": mpmath.floor,
    "round": mpmath.nint,
}


class Evaluation:
    """Values of symbols and steps; arrays are dictionaries from index tuples to numbers.

    ``sizes`` holds dimensions and integer symbols. ``stops`` freezes ``stop``: an evaluation fills an empty
    dictionary, later ones of the same program use what they find there.
    """

    def __init__(
        self,
        program: Program,
        values: Mapping[str, Elements],
        sizes: Mapping[str, int],
        stops: dict[Any, Element] | None = None,
    ) -> None:
        self.program = program
        self.values: dict[str, Elements] = dict(values)
        self.sizes = sizes
        self.stops = stops
        self.variables: dict[Variable, Element] = {}
        self.applied_before: dict[Any, Elements] = {}

    def run(self) -> dict[str, Elements]:
        """Evaluate all steps; returns the values of all names, without the elements from which recurrences start.

        Those are in ``values``.
        """
        for name in {s.name for s in self.program.steps}:
            self.values.pop(name, None)
        for group in blocks(self.program.steps):
            loop = loop_of(group[0])
            if loop is None:
                self.step(group[0], {})
                continue
            count = self.size(loop.index.extent)
            for at in reversed(range(count)) if loop.backward else range(count):
                for step in group:
                    self.step(step, {loop.index: at})
        return {name: self._within(name, array) for name, array in self.values.items()}

    def _within(self, name: str, array: Elements) -> Elements:
        """The elements of an array that lie within its shape."""
        if not any(any(ends) for ends in margins(self.program.steps, name)):
            return array
        shape = [self.size(s) for s in self.program.shape(name)]
        return {at: x for at, x in array.items() if all(0 <= i < n for i, n in zip(at, shape, strict=True))}

    def step(self, step: AnyStep, outer: Place) -> None:
        """Evaluate one step; ``outer`` is where a loop around it stands."""
        if isinstance(step, ArrayStep):
            self.values[step.name] = self.primitive(step)
            return
        into = self.values.setdefault(step.name, {})
        if step.accumulates:
            self._zero(into, step)
        self.assign(into, step, outer)

    def _zero(self, into: Elements, step: Step) -> None:
        for place in product(*(range(self.size(s)) for s in step.shape)):
            into.setdefault(place, mpmath.mpf(0))

    def assign(self, into: Elements, step: Step, outer: Place) -> None:
        """Evaluate one step into an array."""
        for place in self.places(tuple(i for i in step.free if i not in outer), outer):
            at = tuple(self.number(p, place) for p in step.target)
            if step.accumulates:
                if at in into:
                    into[at] += self.value(step.expr, place)
            else:
                into[at] = self.value(step.expr, place)

    def size(self, poly: Poly) -> int:
        return self.number(poly, {})

    def number(self, poly: Poly, place: Place) -> int:
        """The value of an index expression."""

        def atom(a: Atom) -> int:
            if isinstance(a, Index):
                return place[a]
            if isinstance(a, Gather):
                return int(self.values[a.name][tuple(self.number(p, place) for p in a.index)])
            return self.sizes[str(a)]

        return poly.evaluate(atom)

    def places(self, indices: tuple[Index, ...], outer: Place) -> Any:
        """All values of the indices, together with those of the outer ones."""
        for values in product(*(range(self.number(i.extent, outer)) for i in indices)):
            yield {**outer, **dict(zip(indices, values, strict=True))}

    def value(self, expr: Expr, place: Place) -> Element:
        """The value of an expression, given values of its free indices."""
        match expr:
            case Num(value=value):
                return mpmath.mpf(value.numerator) / value.denominator
            case Read(name=name, index=index):
                at = tuple(self.number(p, place) for p in index)
                return self.values[name].get(at, mpmath.mpf(0))
            case Val(poly=poly):
                return mpmath.mpf(self.number(poly, place))
            case Var(variable=variable):
                return self.variables[variable]
            case _Settled(number=number):
                return number
            case Const(name=name):
                return mpmath.pi if name == "pi" else mpmath.inf
            case Add(args=args):
                return mpmath.fsum(self.value(a, place) for a in args)
            case Mul(args=args):
                return self.product(args, place)
            case Pow(base=base, exponent=exponent):
                return self.power(self.value(base, place), self.value(exponent, place))
            case Fn(name=name, arg=arg):
                return _FUNCTIONS[name](self.value(arg, place))
            case Test(condition=condition):
                return mpmath.mpf(self.holds(condition, place))
            case Stop():
                return self.stopped(expr, place)
            case Apply() | Integral():
                return self.calculus(expr, place)
            case ApplyArray(index=index):
                return self.of_arrays(expr, place)[tuple(self.number(p, place) for p in index)]
        return self.selection(expr, place)

    def stopped(self, expr: Stop, place: Place) -> Element:
        """The value, kept where values are frozen."""
        if self.stops is None:
            return self.value(expr.arg, place)
        key = (id(expr), *((id(i), at) for i, at in place.items()))
        if key not in self.stops:
            self.stops[key] = self.value(expr.arg, place)
        return self.stops[key]

    def selection(self, expr: Expr, place: Place) -> Element:
        match expr:
            case Cases(branches=branches, otherwise=otherwise):
                chosen = next((v for c, v in branches if self.holds(c, place)), otherwise)
                return self.value(chosen, place)
            case Several(op=op, args=args):
                return _reduce(op, [self.value(a, place) for a in args])
            case Bind(op=op, indices=indices, conditions=conditions, body=body):
                inner = self.places(indices, place)
                return _reduce(op, [self.value(body, p) for p in inner if all(self.holds(c, p) for c in conditions)])
            case Pick():
                return mpmath.mpf(self.is_first(expr, place))
        raise TypeError(f"not an expression: {expr!r}")

    def product(self, args: tuple[Expr, ...], place: Place) -> Element:
        """A product; conditions go first, as they guard what the other factors read, and divisors last.

        What is 0 where a mask closes stays 0 when it is divided by the sum over nothing.
        """
        ordered = sorted(args, key=_turn)
        result = mpmath.mpf(1)
        for arg in ordered:
            result *= self.value(arg, place)
            if not result:
                return result
        return result

    def power(self, base: Element, exponent: Element) -> Element:
        if base < 0 and exponent != int(exponent):
            return mpmath.nan
        if base == 0 and exponent < 0:
            return mpmath.inf
        return mpmath.power(base, int(exponent) if exponent == int(exponent) else exponent)

    def holds(self, condition: Condition, place: Place) -> bool:
        match condition:
            case Compare(op=op, left=left, right=right):
                a, b = self.value(left, place), self.value(right, place)
                return bool({"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b}[op])
            case Junction(op="and", args=args):
                return all(self.holds(c, place) for c in args)
            case Junction(args=args):
                return any(self.holds(c, place) for c in args)
            case Negation(arg=arg):
                return not self.holds(arg, place)
        raise TypeError(f"not a condition: {condition!r}")

    def is_first(self, expr: Pick, place: Place) -> bool:
        """Whether the place asked for is the first extremum in reading order."""
        best, where = None, None
        for inner in self.places(expr.indices, place):
            if not all(self.holds(c, inner) for c in expr.conditions):
                continue
            value = self.value(expr.body, inner)
            if best is None or (value > best if expr.op == "max" else value < best):
                best, where = value, tuple(inner[i] for i in expr.indices)
        return where == tuple(self.number(p, place) for p in expr.at)

    # --- functions of functions -----------------------------------------------------------------

    def calculus(self, expr: Expr, place: Place) -> Element:
        if isinstance(expr, Apply):
            instance = self.program.instances[expr.name]
            assert isinstance(instance, Instance)
            return self.applied(derived_instance(self.program, expr.name, expr.orders), instance.variables, expr, place)
        assert isinstance(expr, Integral)
        low, high = self.value(expr.low, place), self.value(expr.high, place)
        with mpmath.extraprec(20):
            body = self.settled(expr.body, place)

        def integrand(x: Element) -> Element:
            before = self.variables.get(expr.variable)
            self.variables[expr.variable] = x
            try:
                return self.value(body, place)
            finally:
                if before is not None:
                    self.variables[expr.variable] = before

        return integrate(integrand, low, high)

    def settled(self, node: Any, place: Place) -> Any:
        """The body of an integral with what is the same at all its points computed once."""
        if isinstance(node, tuple):
            return tuple(self.settled(item, place) for item in node)
        if not isinstance(node, Node):
            return node
        if isinstance(node, Expr) and free_indices(node) <= place.keys() and not _has_variable(node):
            # What has no value may stand behind a condition.
            with suppress(ArithmeticError, ValueError, LookupError):
                return _Settled(self.value(node, place))
            return node
        made: Node = type(node)(*(self.settled(value, place) for value in node.values))
        if isinstance(made, (Add, Mul)):
            known = [a for a in made.args if isinstance(a, _Settled)]
            if len(known) > 1:
                one = _Settled(self.value(type(made)(tuple(known)), place))
                return type(made)((one, *(a for a in made.args if not isinstance(a, _Settled))))
        return made

    def applied(self, body: Expr, variables: tuple[Variable, ...], expr: Apply, place: Place) -> Element:
        values = [self.value(a, place) for a in expr.args]
        before = dict(self.variables)
        self.variables.update(zip(variables, values, strict=True))
        try:
            return self.value(body, place)
        finally:
            self.variables = before

    def of_arrays(self, expr: ApplyArray, place: Place) -> Elements:
        """All elements of a function of arrays, or of a derivative of it, by the program of its instance."""
        from kb.calculus.concrete import derived_program

        instance = self.program.instances[expr.name]
        assert isinstance(instance, ArrayInstance)
        sizes = {name: self.size(size) for name, size in instance.sizes.items()}
        values: dict[str, Elements] = {}
        for tensor, arg in zip(instance.program.arguments, expr.args, strict=True):
            for axis, index in zip(tensor.shape, arg.indices, strict=True):
                if isinstance(axis.atom, str):
                    sizes.setdefault(axis.atom, self.number(index.extent, place))
            values[tensor.name] = {
                tuple(inner[i] for i in arg.indices): self.value(arg.body, inner)
                for inner in self.places(arg.indices, place)
            }
        key = (expr.name, expr.wrt, *(tuple(v.items()) for v in values.values()))
        if key not in self.applied_before:
            program = derived_program(instance, expr.wrt)
            self.applied_before[key] = Evaluation(program, values, sizes).run()[program.returns[0][1]]
        return self.applied_before[key]

    def primitive(self, step: ArrayStep) -> Elements:
        """A result of a function of the matrices along the last two axes."""
        source = self.values[step.argument]
        shape = [self.size(s) for s in self.program.shape(step.argument)]
        lead, m, n = shape[: step.lead], shape[-2], shape[-1]
        result: Elements = {}
        for front in product(*map(range, lead)):
            matrix = mpmath.matrix([[source[(*front, i, j)] for j in range(n)] for i in range(m)])
            found = _MATRIX[step.operation](matrix)[step.output]
            if not isinstance(found, mpmath.matrix):
                result[front] = found
                continue
            for i, j in product(range(found.rows), range(found.cols)):
                result[(*front, i) if len(step.shape) == step.lead + 1 else (*front, i, j)] = found[i, j]
        return result


def _eigh(matrix: Any) -> tuple[Any, Any]:
    """Eigenvalues upwards and eigenvectors of the symmetric part."""
    values, vectors = mpmath.eigsy((matrix + matrix.T) / 2)
    return values, vectors * _signs(vectors)


def _svd(matrix: Any) -> tuple[Any, Any, Any]:
    """The thin decomposition ``U diag(s) V^T``."""
    if matrix.rows < matrix.cols:
        raise ValueError(f"svd of {matrix.rows} rows and {matrix.cols} columns")
    left, values, right = mpmath.svd_r(matrix)
    return left * _signs(right.T), values, right.T * _signs(right.T)


def _signs(vectors: Any) -> Any:
    """A diagonal matrix that makes the first of each column's largest entries positive."""
    signs = mpmath.eye(vectors.cols)
    for k in range(vectors.cols):
        column = list(vectors[:, k])
        top = max(map(abs, column)) * (1 - mpmath.mpf("1e-6"))
        if next(x for x in column if abs(x) >= top) < 0:
            signs[k, k] = -1
    return signs


_MATRIX = {
    "inv": lambda matrix: (matrix**-1,),
    "det": lambda matrix: (mpmath.det(matrix),),
    "logdet": lambda matrix: (mpmath.log(abs(mpmath.det(matrix))),),
    "expm": lambda matrix: (mpmath.expm(matrix),),
    "eigh": _eigh,
    "svd": _svd,
}


def _turn(factor: Expr) -> int:
    divides = isinstance(factor, Pow) and isinstance(factor.exponent, Num) and factor.exponent.value < 0
    return 0 if isinstance(factor, (Test, Pick)) else 1 + divides


def elements(value: Any, place: tuple[int, ...] = ()) -> Elements:
    """Nested lists as a dictionary from index tuples to numbers."""
    if not isinstance(value, list):
        return {place: value}
    found: Elements = {}
    for n, item in enumerate(value):
        found.update(elements(item, (*place, n)))
    return found


def integrate(integrand: Any, low: Element, high: Element) -> Element:
    """An integral by the double exponential rule; the real line is cut into pieces."""
    if low == -mpmath.inf and high == mpmath.inf:
        cuts = [-mpmath.inf, -8, -4, -2, 0, 2, 4, 8, mpmath.inf]
        return mpmath.quad(_guarded(integrand), cuts, maxdegree=8)
    return mpmath.quad(_guarded(integrand), [low, high])


def _guarded(integrand: Any) -> Any:
    """At nodes so far out that the density is 0 in any precision, the body may not be finite."""

    def guarded(x: Element) -> Element:
        value = integrand(x)
        return value if mpmath.isfinite(value) else mpmath.mpf(0)

    return guarded


class _Settled(Expr):
    """A number that is known already."""

    __slots__ = ("number",)
    _fields = ("number",)
    number: Element


def _has_variable(node: Node) -> bool:
    return any(isinstance(n, Var) for n in walk(node))


def derived_instance(program: Program, name: str, orders: tuple[int, ...]) -> Expr:
    """An abstract function's instance, differentiated as often as ``orders`` says."""
    from kb.calculus.instances import derivative_of_instance

    instance = program.instances[name]
    assert isinstance(instance, Instance)
    return derivative_of_instance(instance, orders)


def _reduce(op: str, values: list[Element]) -> Element:
    if op == "sum":
        return mpmath.fsum(values)
    if op == "prod":
        return mpmath.fprod(values)
    if op == "logsumexp":
        top = max(values)
        return top + mpmath.log(mpmath.fsum(mpmath.exp(v - top) for v in values))
    return max(values) if op == "max" else min(values)


def exact(value: Fraction) -> Element:
    """A rational number at the working precision."""
    return mpmath.mpf(value.numerator) / value.denominator
