"""Index form as SymPy expressions that a person can take away.

Arrays become ``IndexedBase``, binders ``Sum`` and ``Product``, numbers ordinary symbols. Steps can
be kept by name or put in place. Nothing is simplified, evaluated or expanded: SymPy is wrong or
slow at that on sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from kb.errors import EqkbError
from kb.index.affine import Atom, FloorDiv, Gather, Index, Poly
from kb.index.nodes import (
    Add,
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
    walk,
)
from kb.index.program import AnyStep, ArrayStep, Program, Step, Tensor, is_beyond, loop_of
from kb.index.sympy_words import FirstExtremum, MaxOver, MinOver, round_to_even
from kb.vocabulary import FUNCTIONS

MAX_NODES = 20_000
MAX_WEIGHT = 200_000
_WITH_A_FORM = frozenset(["inv", "det", "logdet"])
_TOO_LARGE = "the expression is too large with all its steps put in place; use .steps"
Sympy = Any


class SympyForm:
    """Translates the expressions of one program.

    ``inline`` puts the definitions of steps in place of their names.
    """

    def __init__(self, program: Program, inline: bool = False) -> None:
        self.program = program
        self.inline = inline
        self.nodes = 0
        self._symbols: dict[str, Sympy] = {}
        self._memo: dict[Any, Sympy] = {}
        self._names = frozenset(program.tensors) | frozenset(program.dimensions)
        count = Counter(s.name for s in program.steps)
        # An array that a recurrence reads of itself stays a name: it has no expression without one.
        self._recurrent = {s.name for s in program.steps if loop_of(s) is not None and count[s.name] > 1}
        primitives = [s for s in program.steps if isinstance(s, ArrayStep)]
        self._primitive = {s.name: s for s in primitives if s.operation in _WITH_A_FORM}
        unnamed = {s.name for s in primitives} - self._primitive.keys()
        self._defined = {s.name for s in program.steps} - self._recurrent - unnamed

    # --- names ----------------------------------------------------------------------------------

    def symbol(self, name: str) -> Sympy:
        """The Symbol or IndexedBase of a symbol, step or dimension."""
        if name not in self._symbols:
            tensor = self.program.tensors.get(name)
            self._symbols[name] = _dimension(name) if tensor is None else self._of_tensor(tensor)
        return self._symbols[name]

    def _of_tensor(self, tensor: Tensor) -> Sympy:
        assumptions = _assumptions(tensor)
        is_argument = any(s.argument == tensor.name for s in self._primitive.values())
        if (is_argument or tensor.name in self._primitive) and len(tensor.shape) == 2:
            return sympy.MatrixSymbol(tensor.name, *self.shape(tensor))
        if not tensor.shape:
            return sympy.Symbol(tensor.name, **assumptions)
        return sympy.IndexedBase(tensor.name, shape=self.shape(tensor), **assumptions)

    def shape(self, tensor: Tensor) -> tuple[Sympy, ...]:
        """The sizes of an array."""
        return tuple(self.poly(s, {}) for s in tensor.shape)

    # --- whole outputs --------------------------------------------------------------------------

    def output(self, name: str) -> Sympy:
        """A step at its own free indices, which become Symbols of their names.

        Where affine left sides define its parts, a Piecewise on the index. An array of a recurrence
        is given by itself at other places, and what SymPy has no form for, such as a matrix of eigenvectors, by its
        name.
        """
        definitions = self._definitions(name)
        if not definitions:
            return self.symbol(name)
        if self.inline and self._weight(name) > MAX_WEIGHT:
            raise EqkbError(_TOO_LARGE)
        first = definitions[0]
        if isinstance(first, ArrayStep):
            return self._primitive_value(first) if name in self._primitive else self.symbol(name)
        names = _index_names(definitions, self.program)
        place = [sympy.Symbol(n, integer=True) for n in names]
        try:
            return self._defined_at(name, tuple(place), frozenset(names))
        except RecursionError:
            raise EqkbError(f"{name!r} is nested too deeply for SymPy; use .steps") from None

    def _definitions(self, name: str) -> list[AnyStep]:
        """The steps that define elements of an array, without those from which a recurrence starts."""
        steps = self.program.definitions(name)
        return [s for s in steps if isinstance(s, ArrayStep) or not any(map(is_beyond, s.target, s.shape))]

    def _weight(self, name: str) -> int:
        """How large a step is as a tree with all steps in place; SymPy would share what is equal, text would not."""
        weights: dict[str, int] = {}
        for step in self.program.steps:
            if isinstance(step, Step):
                own = sum(weights.get(n.name, 1) if isinstance(n, Read) else 1 for n in walk(step.expr))
                weights[step.name] = weights.get(step.name, 0) + own
        return weights.get(name, 1)

    def expression(self, expr: Expr, free: Iterable[Index]) -> Sympy:
        """An expression whose free indices become Symbols of their names."""
        env = {i: sympy.Symbol(i.name, integer=True) for i in free}
        try:
            return self.convert(expr, env, frozenset(i.name for i in env))
        except RecursionError:
            raise EqkbError("the expression is nested too deeply for SymPy") from None

    def _defined_at(self, name: str, place: tuple[Sympy, ...], used: frozenset[str]) -> Sympy:
        """The value of a step at a place: one expression, or one for each of its parts."""
        key = (name, place, used)
        if key not in self._memo:
            steps = [s for s in self._definitions(name) if isinstance(s, Step)]
            if len(steps) == 1 and steps[0].is_plain:
                env = dict(zip(steps[0].free, place, strict=True))
                self._memo[key] = self.convert(steps[0].expr, env, used)
            else:
                self._memo[key] = self._parts_at(steps, place, used)
        return self._memo[key]

    def _parts_at(self, steps: list[Step], place: tuple[Sympy, ...], used: frozenset[str]) -> Sympy:
        pieces: list[tuple[Sympy, Sympy]] = []
        scattered: list[Sympy] = []
        for step in steps:
            solved = None if step.accumulates else self._solve(step, place)
            if solved is None:
                scattered.append(self._scatter(step, place, used))
            else:
                env, condition = solved
                pieces.append((self.convert(step.expr, env, used), condition))
        if scattered:
            pieces.append((sympy.Integer(0), sympy.true))
            return sympy.Add(*scattered, sympy.Piecewise(*pieces))
        *rest, (last, _) = pieces
        # The parts cover the array, so that the last one is all that is left.
        return sympy.Piecewise(*rest, (last, sympy.true))

    def _solve(self, step: Step, place: tuple[Sympy, ...]) -> tuple[dict[Index, Sympy], Sympy] | None:
        """The step's indices at a place of its output, and the condition that this part defines it."""
        env: dict[Index, Sympy] = {}
        conditions = []
        for target, at, size in zip(step.target, place, step.shape, strict=True):
            indices = set(target.indices())
            found = self._solve_blocks(target, at) if len(indices) == 2 else self._solve_affine(target, at, size)
            if found is None or indices & set(env):
                return None
            env.update(found[0])
            conditions.append(found[1])
        return (env, sympy.And(*conditions)) if set(env) == set(step.free) else None

    def _solve_affine(self, target: Poly, at: Sympy, size: Poly) -> tuple[dict[Index, Sympy], Sympy] | None:
        """``slope*i + rest == at``."""
        index = next(iter(target.indices()), None)
        if index is None:
            return {}, sympy.Eq(at, self.poly(target, {}))
        parts = target.split(index)
        if parts is None or any(True for _ in parts[1].indices()) or any(True for _ in parts[0].indices()):
            return None
        slope, rest = parts
        shifted = at - self.poly(rest, {})
        if slope.constant == 1:
            start, end = sympy.Ge(shifted, 0), sympy.Lt(shifted, self.poly(index.extent, {}))
            conditions = [*([start] if rest.terms else []), *([end] if rest + index.extent != size else [])]
            return {index: shifted}, sympy.And(*conditions)
        factor = self.poly(slope, {})
        return {index: shifted / factor}, sympy.Eq(sympy.Mod(shifted, factor), 0)

    def _solve_blocks(self, target: Poly, at: Sympy) -> tuple[dict[Index, Sympy], Sympy] | None:
        """``width*block + i == at`` with i below the width."""
        first, second = sorted(set(target.indices()), key=lambda i: i.serial)
        for block, inner in ((first, second), (second, first)):
            parts = target.split(block)
            if parts is not None and parts[0] == inner.size and parts[1].index is inner:
                width = self.poly(parts[0], {})
                return {block: sympy.floor(at / width), inner: sympy.Mod(at, width)}, sympy.true
        return None

    def _scatter(self, step: Step, place: tuple[Sympy, ...], used: frozenset[str]) -> Sympy:
        """What a step adds at a place: a sum over all of its indices that hit it."""
        env, names = self._bound(step.free, {}, used)
        value = self.convert(step.expr, env, names)
        for target, at in zip(step.target, place, strict=True):
            value = value * _bracket(sympy.Eq(self.poly(target, env), at))
        limits = [(env[i], 0, self.poly(i.extent, env) - 1) for i in step.free]
        return sympy.Sum(value, *limits) if limits else value

    def _primitive_value(self, step: ArrayStep) -> Sympy:
        argument = self.symbol(step.argument)
        if not isinstance(argument, sympy.MatrixSymbol):
            raise EqkbError(f"{step.name!r} is {step.operation} of a batch of matrices, which SymPy has no form for")
        if step.operation == "inv":
            return sympy.Inverse(argument)
        found = sympy.Determinant(argument)
        return found if step.operation == "det" else sympy.log(sympy.Abs(found))

    # --- expressions ----------------------------------------------------------------------------

    def convert(self, expr: Expr, env: Mapping[Index, Sympy], used: frozenset[str]) -> Sympy:
        """An expression, given what stands for its free indices; ``used`` names may not be bound again."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise EqkbError(_TOO_LARGE)
        match expr:
            case Num(value=value):
                return sympy.Rational(value.numerator, value.denominator)
            case Const(name=name):
                return sympy.pi if name == "pi" else sympy.oo
            case Val(poly=poly):
                return self.poly(poly, env)
            case Read():
                return self.read(expr, env, used)
            case Add(args=args):
                return sympy.Add(*(self.convert(a, env, used) for a in args))
            case Mul(args=args):
                return sympy.Mul(*(self.convert(a, env, used) for a in args))
            case Pow(base=base, exponent=exponent):
                return sympy.Pow(self.convert(base, env, used), self.convert(exponent, env, used))
            case Fn(name=name, arg=arg):
                return _function(name)(self.convert(arg, env, used))
            case Stop(arg=arg):
                return self.convert(arg, env, used)
            case Test(condition=condition):
                return _bracket(self.condition(condition, env, used))
            case Several(op=op, args=args):
                return _several(op, [self.convert(a, env, used) for a in args])
        return self.binder(expr, env, used)

    def binder(self, expr: Expr, env: Mapping[Index, Sympy], used: frozenset[str]) -> Sympy:
        """Expressions with branches, bound indices or bound variables."""
        match expr:
            case Cases(branches=branches, otherwise=otherwise):
                made = [(self.convert(v, env, used), self.condition(c, env, used)) for c, v in branches]
                return sympy.Piecewise(*made, (self.convert(otherwise, env, used), True))
            case Bind():
                return self.bind(expr, env, used)
            case Pick(op=op, indices=indices, conditions=conditions, body=body, at=at):
                inner, names = self._bound(indices, env, used)
                sign = 1 if op == "max" else -1
                value = self._guarded(sign * self.convert(body, inner, names), conditions, inner, names, -sympy.oo)
                place = [self.poly(p, env) for p in at]
                return FirstExtremum(value, place, *self._limits(indices, inner))
            case Integral(variable=variable, low=low, high=high, body=body):
                name = _fresh(variable.name, used | self._names)
                symbol = sympy.Symbol(name, real=True)
                inner = {**env, variable: symbol}  # type: ignore[dict-item]
                bounds = (self.convert(low, env, used), self.convert(high, env, used))
                return sympy.Integral(self.convert(body, inner, used | {name}), (symbol, *bounds))
            case Var(variable=variable):
                return env[variable]  # type: ignore[index]
        raise TypeError(f"not an expression without abstract functions: {expr!r}")

    def bind(self, expr: Bind, env: Mapping[Index, Sympy], used: frozenset[str]) -> Sympy:
        """A sum, product, maximum, minimum or log-sum-exp over indices."""
        inner, names = self._bound(expr.indices, env, used)
        body = self.convert(expr.body, inner, names)
        limits = self._limits(expr.indices, inner)
        neutral = {"sum": 0, "prod": 1, "logsumexp": 0, "max": -sympy.oo, "min": sympy.oo}[expr.op]
        if expr.op == "logsumexp":
            body = sympy.exp(body)
        body = self._guarded(body, expr.conditions, inner, names, neutral)
        made = {"prod": sympy.Product, "max": MaxOver, "min": MinOver}.get(expr.op, sympy.Sum)(body, *limits)
        return sympy.log(made) if expr.op == "logsumexp" else made

    def _guarded(
        self,
        body: Sympy,
        conditions: tuple[Condition, ...],
        env: Mapping[Index, Sympy],
        used: frozenset[str],
        neutral: Sympy,
    ) -> Sympy:
        if not conditions:
            return body
        return sympy.Piecewise((body, sympy.And(*(self.condition(c, env, used) for c in conditions))), (neutral, True))

    def _bound(
        self, indices: Iterable[Index], env: Mapping[Index, Sympy], used: frozenset[str]
    ) -> tuple[dict[Index, Sympy], frozenset[str]]:
        """Symbols for bound indices that no index in force is called; capture is thereby impossible."""
        inner = dict(env)
        for index in indices:
            name = _fresh(index.name, used | self._names)
            used |= {name}
            inner[index] = sympy.Symbol(name, integer=True)
        return inner, used

    def _limits(self, indices: tuple[Index, ...], env: Mapping[Index, Sympy]) -> list[tuple[Sympy, Sympy, Sympy]]:
        return [(env[i], sympy.Integer(0), self.poly(i.extent, env) - 1) for i in indices]

    def read(self, expr: Read, env: Mapping[Index, Sympy], used: frozenset[str]) -> Sympy:
        """An element of an array; a value outside of it is 0 where reads may lie there."""
        place = tuple(self.poly(p, env) for p in expr.index)
        shape = self.program.shape(expr.name)
        value = self.element(expr.name, place, used)
        if not expr.outside:
            return value
        facts, conditions = self.program.facts, []
        for poly, at, size in zip(expr.index, place, shape, strict=True):
            if not facts.nonnegative(poly):
                conditions.append(sympy.Ge(at, 0))
            if not facts.nonnegative(size - 1 - poly):
                conditions.append(sympy.Lt(at, self.poly(size, {})))
        return sympy.Piecewise((value, sympy.And(*conditions)), (0, True)) if conditions else value

    def element(self, name: str, place: tuple[Sympy, ...], used: frozenset[str]) -> Sympy:
        """One element of a symbol, of a step, or of what a step does."""
        primitive = self._primitive.get(name)
        if primitive is not None and isinstance(self.symbol(primitive.argument), sympy.MatrixSymbol):
            value = self._primitive_value(primitive)
            return value[place] if place else value
        if self.inline and name in self._defined and primitive is None:
            return self._defined_at(name, place, used)
        symbol = self.symbol(name)
        return symbol[place] if place else symbol

    def condition(self, condition: Condition, env: Mapping[Index, Sympy], used: frozenset[str]) -> Sympy:
        """A condition as a SymPy relation."""
        match condition:
            case Compare(op=op, left=left, right=right):
                relation = {"==": sympy.Eq, "!=": sympy.Ne, "<": sympy.Lt, "<=": sympy.Le}[op]
                return relation(self.convert(left, env, used), self.convert(right, env, used))
            case Junction(op=op, args=args):
                return (sympy.And if op == "and" else sympy.Or)(*(self.condition(a, env, used) for a in args))
            case Negation(arg=arg):
                return sympy.Not(self.condition(arg, env, used))
        raise TypeError(f"not a condition: {condition!r}")

    # --- sizes and indices ----------------------------------------------------------------------

    def poly(self, poly: Poly, env: Mapping[Index, Sympy]) -> Sympy:
        """A size or an index expression."""
        terms = [sympy.Mul(c, *(self.atom(a, env) for a in monomial)) for monomial, c in poly.terms]
        total = sympy.Add(*terms)
        # An index may stand for (i - 1)/2, and 2 times that should be i - 1.
        return total.expand() if any(not (a in env and env[a].is_Symbol) for a in poly.indices()) else total

    def atom(self, atom: Atom, env: Mapping[Index, Sympy]) -> Sympy:
        if isinstance(atom, Index):
            return env[atom]
        if isinstance(atom, FloorDiv):
            return sympy.floor(self.poly(atom.numerator, env) / self.poly(atom.denominator, env))
        if isinstance(atom, Gather):
            label = self.symbol(atom.name)
            return label[tuple(self.poly(p, env) for p in atom.index)] if atom.index else label
        return self.symbol(str(atom))


def _dimension(name: str) -> Sympy:
    return sympy.Symbol(name, integer=True, positive=True)


def _assumptions(tensor: Tensor) -> dict[str, bool]:
    """What a symbol's declaration lets SymPy conclude."""
    from kb.vocabulary import DOMAINS

    symbol = tensor.symbol
    if symbol is None:
        return {"real": True}
    if symbol.kind in ("integer", "label"):
        known = {"integer": True}
        if symbol.domain in ("positive", "nonnegative"):
            known[symbol.domain] = True
        elif symbol.kind == "label" or symbol.role == "hyperparameter":
            known["nonnegative"] = True
        return known
    sign = DOMAINS[symbol.domain].sign
    return {"real": True} if sign == "real" else {"real": True, sign: True}


def _fresh(name: str, used: frozenset[str]) -> str:
    if name not in used:
        return name
    number = 1
    while f"{name}{number}" in used:
        number += 1
    return f"{name}{number}"


def _index_names(steps: list[Any], program: Program) -> list[str]:
    """Names for the free indices of an output: those that its definition uses, where it is plain."""
    from kb.index.program import index_names

    own = [t.index.name if t.index is not None else "" for t in steps[0].target]
    names = set(program.tensors) | set(program.dimensions)
    spare = iter(index_names(names | set(own), len(own)))
    return [next(spare) if not name or name in names or name in own[:n] else name for n, name in enumerate(own)]


def _bracket(condition: Sympy) -> Sympy:
    """1 where a condition holds, else 0; of two indices a Kronecker delta."""
    if isinstance(condition, sympy.Eq) and all(a.is_Symbol and a.is_integer for a in condition.args):
        return sympy.KroneckerDelta(*condition.args)
    return sympy.Piecewise((1, condition), (0, True))


def _several(op: str, args: list[Sympy]) -> Sympy:
    if op == "logsumexp":
        return sympy.log(sympy.Add(*(sympy.exp(a) for a in args)))
    return sympy.Max(*args) if op == "max" else sympy.Min(*args)


def _function(name: str) -> Any:
    row = FUNCTIONS[name]
    return round_to_even if name == "round" else getattr(sympy, row.sympy)
