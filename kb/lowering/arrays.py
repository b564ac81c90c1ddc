"""Index form to whole-array NumPy: each expression becomes an operand with named axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from kb.index import build
from kb.index.affine import FloorDiv, Gather, Index, Poly
from kb.index.nodes import (
    ONE,
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
    Variable,
    free_indices,
    walk,
)
from kb.index.program import Program
from kb.lowering import reads, reductions
from kb.lowering.buffers import EVERYTHING, Buffers, Order, Overwritten
from kb.lowering.cumulative import UFUNCS
from kb.lowering.operands import (
    ATOM,
    COMPARE,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Operand,
    Writer,
    number,
    permute,
    poly_code,
    poly_operand,
    squeeze,
    union,
)
from kb.lowering.stable import EXPM1
from kb.lowering.survey import canonical, is_constant, is_worth_keeping, natural_order, softmax_of, surveyed
from kb.vocabulary import DOMAINS, FUNCTIONS


class Lowerer(Buffers):
    """Lowers expressions of one program into the lines of one function."""

    def __init__(self, program: Program, writer: Writer, pinned: set[str], pads: dict[str, int], dtype: str) -> None:
        super().__init__(program, writer, pinned, pads, dtype)
        self.integration: dict[Variable, Operand] = {}
        self.views: dict[Any, tuple[str, tuple[int, ...], frozenset[str], str]] = {}  # the last: what was padded
        self.hits: dict[Any, Operand] = {}
        self.repeats: Counter[Any] = Counter()
        self.memo: dict[Any, tuple[str, int, tuple[int, ...], frozenset[str]]] = {}
        self.rank = 0
        self.take_turns(())

    # --- repeated subexpressions ----------------------------------------------------------------

    def survey(self, expr: Expr) -> None:
        """Count how often each subexpression and each step will be read."""
        if isinstance(expr, Read):
            self.ahead[expr.name] += 1
            return
        if is_worth_keeping(expr):
            key, _ = canonical(expr)
            self.repeats[key] += 1
            if self.repeats[key] > 1:
                return
        for child in surveyed(expr):
            self.survey(child)

    def lower(self, expr: Expr, order: Order) -> Operand:
        """The operand of an expression; ``order`` has every index that may occur."""
        if not is_worth_keeping(expr):
            return self._lower(expr, order)
        if self.loops:
            return self.lower_in_turn(expr, order)
        key, indices = canonical(expr)
        if self.repeats[key] < 2:
            return self._lower(expr, order)
        if key in self.memo:
            name, version, places, deps = self.memo[key]
            if name in self.overwritten or self.version[name] != version:
                raise Overwritten(name)
            self.uses[name] -= 1
            return self.own(Operand(name, tuple(indices[p] for p in places), deps, buffer=True))
        operand = squeeze(self._lower(expr, order))
        if not operand.code.isidentifier() or not operand.buffer or self.uses[operand.code] > 0:
            name = self.writer.name("t")
            self.emit(f"{name} = {operand.code}", operand)
            operand = self.own(replace(operand.renamed(name), buffer=operand.fresh))
            if not operand.fresh and not operand.buffer:
                self.pinned_here.add(name)
        self.uses[operand.code] = max(self.uses[operand.code], 0) + self.repeats[key] - 1
        places = tuple(indices.index(i) for i in operand.indices)
        self.memo[key] = (operand.code, self.version[operand.code], places, operand.deps)
        return operand

    def take_turns(self, exprs: Iterable[Expr]) -> None:
        """Begin a loop whose turns compute these expressions: what they share is computed once a turn."""
        self.turn_repeats: Counter[Any] = Counter()
        self.turn_memo: dict[Any, tuple[str, tuple[int, ...], frozenset[str]]] = {}

        def count(expr: Expr) -> None:
            if is_worth_keeping(expr):
                key, _ = canonical(expr)
                self.turn_repeats[key] += 1
                if self.turn_repeats[key] > 1:
                    return
            for child in surveyed(expr):
                count(child)

        for expr in exprs:
            count(expr)

    def lower_in_turn(self, expr: Expr, order: Order) -> Operand:
        """The operand of an expression inside a loop, in which nothing is overwritten."""
        key, indices = canonical(expr)
        if not self.rolling or self.turn_repeats[key] < 2:
            return self._lower(expr, order)
        if key not in self.turn_memo:
            operand = squeeze(self._lower(expr, order))
            name = self.writer.name("t")
            self.emit(f"{name} = {operand.code}", operand)
            self.turn_memo[key] = (name, tuple(indices.index(i) for i in operand.indices), operand.deps)
        name, places, deps = self.turn_memo[key]
        return Operand(name, tuple(indices[p] for p in places), deps)

    # --- expressions ----------------------------------------------------------------------------

    def _lower(self, expr: Expr, order: Order) -> Operand:
        match expr:
            case Num(value=value):
                return number(value)
            case Const(name=name):
                return Operand("np.pi" if name == "pi" else "np.inf")
            case Val(poly=poly):
                return self.value(poly, order)
            case Read():
                return self.read(expr, order)
            case Var(variable=variable):
                return self.integration[variable]
            case Add(args=args):
                return self.add(args, order)
            case Mul(args=args):
                return self.mul(args, order)
            case Pow(base=base, exponent=exponent):
                return self.power(base, exponent, order)
            case Fn():
                return self.function(expr, order)
            case Several(op=op, args=args):
                return self.several(op, args, order)
            case Bind():
                return reductions.binder(self, expr, order)
            case Test(condition=condition):
                return self.test(condition, order)
            case Pick():
                return reductions.pick(self, expr, order)
            case Cases():
                return self.cases(expr, order)
            case Integral():
                return reductions.integral(self, expr, order)
            case Stop(arg=arg):
                return self.lower(arg, order)
        raise TypeError(f"not an expression: {expr!r}")

    def read(self, node: Read, order: Order) -> Operand:
        base = self.variables[node.name]
        self.uses[base.code] -= 1
        operand = reads.read(self, node, order)
        if operand.code == base.code:
            if base.argument:
                self.bare[base.argument] += 1
            return self.own(replace(operand, buffer=base.buffer))
        if base.argument:
            self.bare[base.argument] += 1
        self.pending.update(operand.refs)
        return operand

    def value(self, poly: Poly, order: Order) -> Operand:
        """A whole number as a value: in the type of the arrays where it runs over an index."""
        if all(i in self.loops for i in poly.indices()) and not _has_label(poly):
            return poly_operand(poly_code(poly, self.loops))
        operand = self.whole(poly, order)
        return replace(operand, code=f"{operand.at_level(ATOM)}.astype({self.dtype})", level=ATOM)

    def whole(self, poly: Poly, order: Order) -> Operand:
        """Whole numbers: an index as ``np.arange``, sizes, labels, and what is made of them."""
        atom = poly.atom
        if isinstance(atom, Index) and atom not in self.loops:
            return Operand(f"np.arange({poly_code(atom.extent)})", (atom,))
        if isinstance(atom, Gather):
            return self.label(atom, order)
        if isinstance(atom, FloorDiv):
            top, bottom = self.whole(atom.numerator, order), self.whole(atom.denominator, order)
            return self.binary("//", top, bottom, PRODUCT, order)
        if not any(i not in self.loops for i in poly.indices()) and not _has_label(poly):
            return poly_operand(poly_code(poly, self.loops))
        total: Operand | None = None
        for monomial, coefficient in poly.terms:
            term = number(Fraction(coefficient))
            for factor in monomial:
                made = self.whole(Poly.of(factor), order)
                term = made if term.code == "1" else self.binary("*", term, made, PRODUCT, order)
            total = term if total is None else self.binary("+", total, term, SUM, order)
        assert total is not None
        return total

    def label(self, atom: Gather, order: Order) -> Operand:
        held = self.variable(atom.name)
        if not atom.index:
            return held
        bare = [p.index for p in atom.index]
        if all(b is not None and b not in self.loops for b in bare):
            return replace(held, axes=tuple(bare))
        places, axes, deps = reads.place_arrays(self, atom.index, order)
        return Operand(f"_spread({held.code}, ({places}), {len(axes)})", axes, held.deps | deps)

    # --- arithmetic -----------------------------------------------------------------------------

    def add(self, args: tuple[Expr, ...], order: Order) -> Operand:
        signed: list[tuple[bool, Operand]] = []
        for term in args:
            positive = build.split_coefficient(term)[0] >= 0
            signed.append((positive, self.lower(term if positive else build.negative(term), order)))
        signed.sort(key=lambda item: len(item[1].indices))
        self.start_with(signed, order)
        positive, result = signed[0]
        if not positive:
            result = self.negate(result)
        for positive, operand in signed[1:]:
            if len(operand.indices) > len(result.indices) and positive:
                result = self.binary("+", operand, result, SUM, order)
            else:
                result = self.binary("+" if positive else "-", result, operand, SUM, order)
        return result

    def mul(self, args: tuple[Expr, ...], order: Order) -> Operand:
        masks = [a.condition for a in args if isinstance(a, Test) and not self._is_eye(a)]
        rest = tuple(a for a in args if not (isinstance(a, Test) and not self._is_eye(a)))
        product = self.product(rest, order) if rest else number(Fraction(1))
        for factor in self.vanishing(rest):
            product = self.zero_where(factor, product, order)
        if not masks:
            return product
        if product.code == "1":
            return self.test(build.junction("and", masks), order)
        mask = self.condition(build.junction("and", masks), order)
        axes = union([mask.axes, product.axes], order)
        code = f"np.where({self.aligned(mask, axes).code}, {self.aligned(product, axes).code}, 0)"
        made = Operand(code, axes, mask.deps | product.deps, fresh=True, refs=mask.refs + product.refs)
        return self.typed(made) if product.is_number else made

    def vanishing(self, args: tuple[Expr, ...]) -> list[Read]:
        """Factors that may be 0 where a logarithm beside them is not finite: ``x*log(x)`` is 0 at 0."""
        logs = {n for a in args if isinstance(a, Fn) and a.name == "log" for n in walk(a.arg)}
        found = []
        for factor in args:
            symbol = self.program.tensors[factor.name].symbol if isinstance(factor, Read) else None
            if symbol is not None and DOMAINS[symbol.domain].sign == "nonnegative" and factor in logs:
                assert isinstance(factor, Read)
                found.append(factor)
        return found

    def zero_where(self, factor: Read, product: Operand, order: Order) -> Operand:
        self.uses[self.variables[factor.name].code] += 1
        operand = self.lower(factor, order)
        axes = union([operand.axes, product.axes], order)
        x, y = self.aligned(operand, axes), self.aligned(product, axes)
        code = f"np.where({x.at_level(SUM)} == 0, 0, {y.code})"
        return Operand(code, axes, x.deps | y.deps, fresh=True, refs=x.refs + y.refs)

    def product(self, args: tuple[Expr, ...], order: Order) -> Operand:
        """A product of factors, those of few axes first; what is divided by is divided by once."""
        for special in (self.scaled_sum, self.scaled_softmax):
            if (scaled := special(args, order)) is not None:
                return scaled
        coefficient = Fraction(1)
        above: list[Operand] = []
        below: list[Operand] = []
        for factor in args:
            if isinstance(factor, Num):
                coefficient *= factor.value
            elif isinstance(factor, Pow) and isinstance(factor.exponent, Num) and factor.exponent.value < 0:
                below.append(self.lower(build.power(factor.base, build.num(-factor.exponent.value)), order))
            else:
                above.append(self.lower(factor, order))
        negative, coefficient = coefficient < 0, abs(coefficient)
        if coefficient.denominator & (coefficient.denominator - 1) == 0:
            above = above if coefficient == 1 else [number(coefficient), *above]
        else:
            above = above if coefficient.numerator == 1 else [number(Fraction(coefficient.numerator)), *above]
            below = [number(Fraction(coefficient.denominator)), *below]
        result = self.scaled(above, below, order)
        return self.negate(result) if negative else result

    def scaled_sum(self, args: tuple[Expr, ...], order: Order) -> Operand | None:
        """A constant times a matrix product: the constant goes to an argument, not to the product."""
        sums = [a for a in args if isinstance(a, Bind) and a.op == "sum" and not a.conditions]
        rest = [a for a in args if not any(a is s for s in sums)]
        if len(sums) != 1 or not rest or any(not is_constant(a) for a in rest):
            return None
        (expr,) = sums
        if self.loops or self.repeats[canonical(expr)[0]] > 1 or build.split_coefficient(build.mul(*rest))[0] < 0:
            return None
        inner = natural_order(expr.body, (*order, *(i for i in expr.indices if i not in order)))
        return reductions.sum_of(self, expr, order, inner, build.mul(*rest))

    def scaled_softmax(self, args: tuple[Expr, ...], order: Order) -> Operand | None:
        """A softmax times something smaller: both scalings are one pass over the array."""
        found = [a for a in args if isinstance(a, Fn) and self.repeats[canonical(a)[0]] < 2 and softmax_of(a)]
        rest = [a for a in args if not any(a is f for f in found)]
        if len(found) != 1 or not rest or self.loops:
            return None
        own = free_indices(found[0])
        if any(not free_indices(a) < own or isinstance(a, (Test, Num)) for a in rest):
            return None
        parts = softmax_of(found[0])
        assert parts is not None
        return self.softmax(*parts, order, self.product(tuple(rest), order))

    def power(self, base: Expr, exponent: Expr, order: Order) -> Operand:
        if isinstance(exponent, Num):
            value = exponent.value
            if value < 0:
                inner = self.power(base, build.num(-value), order) if value != -1 else self.lower(base, order)
                return self.binary("/", number(Fraction(1)), inner, PRODUCT, order)
            if value == Fraction(1, 2):
                return self.call("np.sqrt", self.lower(base, order))
            if value == 1:
                return self.lower(base, order)
            if value == 2:
                return self.call("np.square", self.lower(base, order))
            if value.denominator == 2:
                whole = self.power(base, build.num(value - Fraction(1, 2)), order)
                return self.binary("*", whole, self.power(base, build.num(Fraction(1, 2)), order), PRODUCT, order)
        left, right = self.lower(base, order), self.lower(exponent, order)
        axes = union([left.axes, right.axes], order)
        a, b = self.aligned(left, axes), self.aligned(right, axes)
        code = f"{a.at_level(ATOM)} ** {b.at_level(POWER)}"
        return Operand(code, axes, a.deps | b.deps, POWER, fresh=True, refs=a.refs + b.refs)

    # --- functions ------------------------------------------------------------------------------

    def call(self, name: str, operand: Operand) -> Operand:
        """A function applied elementwise, in place where the argument is a temporary of full size."""
        large = len(operand.indices) >= max(self.rank, 1) and not self.loops and not name.startswith("_")
        if large and operand.fresh:
            operand = self.keep(operand, self.temporary())
        if large and self.may_overwrite(operand):
            return self.into(operand, f"{name}({operand.code}, out={operand.code})")
        made = Operand(f"{name}({operand.code})", operand.axes, operand.deps, fresh=True, refs=operand.refs)
        return self.typed(made) if operand.is_number else made

    def typed(self, operand: Operand) -> Operand:
        """What NumPy made of numbers alone, in the type of the arrays."""
        cast = f"{self.dtype}.type({operand.code})" if operand.is_number else f"{operand.code}.astype({self.dtype})"
        return replace(operand, code=cast, level=ATOM)

    def function(self, expr: Fn, order: Order) -> Operand:
        softmax = softmax_of(expr)
        if softmax is not None:
            return self.softmax(*softmax, order)
        if expr.name == "log" and isinstance(expr.arg, Add) and ONE in expr.arg.args:
            rest = build.add(*(a for a in expr.arg.args if a != ONE))
            return self.call("np.log1p", self.lower(rest, order))
        if expr.name == "erf":
            return self.call("_erf", self.lower(expr.arg, order))
        if expr.name == EXPM1:
            return self.call("np.expm1", self.lower(expr.arg, order))
        return self.call(FUNCTIONS[expr.name].numpy, self.lower(expr.arg, order))

    def softmax(
        self, scores: Expr, bound: Bind, own: dict[Index, Index], order: Order, scale: Operand | None = None
    ) -> Operand:
        """``exp(f)/sum(exp(f))``, shifted by the largest value; one exponential in all, times ``scale``."""
        operand = squeeze(self.lower(scores, order))
        axes = union([operand.axes], order)
        operand = permute(operand, axes)
        where = ", ".join(str(axes.index(own[i]) - len(axes)) for i in bound.indices)
        where = where if len(bound.indices) == 1 else f"({where})"
        if self.may_overwrite(operand):
            self.into(operand, f"{operand.code} -= {operand.code}.max(axis={where}, keepdims=True)")
        else:
            source = operand if operand.code.isidentifier() else self.keep(operand, "t")
            name = self.writer.name(self.temporary())
            self.emit(f"{name} = {source.code} - {source.code}.max(axis={where}, keepdims=True)", source)
            operand = self.own(Operand(name, axes, operand.deps, buffer=True))
        self.writer.line(f"np.exp({operand.code}, out={operand.code})")
        total = f"{operand.code}.sum(axis={where}, keepdims=True)"
        if scale is not None and (scale.deps <= operand.deps or EVERYTHING in operand.deps):
            factor = self.aligned(scale, axes)
            self.emit(f"{operand.code} *= {factor.at_level(PRODUCT)} / {total}", factor)
            return operand
        self.writer.line(f"{operand.code} *= 1 / {total}")
        return operand if scale is None else self.binary("*", operand, scale, PRODUCT, order)

    def several(self, op: str, args: tuple[Expr, ...], order: Order) -> Operand:
        result = self.lower(args[0], order)
        for arg in args[1:]:
            other = self.lower(arg, order)
            axes = union([result.axes, other.axes], order)
            a, b = self.aligned(result, axes), self.aligned(other, axes)
            code = f"{UFUNCS[op]}({a.code}, {b.code})"
            made = Operand(code, axes, a.deps | b.deps, fresh=True, refs=a.refs + b.refs)
            result = self.typed(made) if a.is_number and b.is_number else made
        return result

    # --- conditions -----------------------------------------------------------------------------

    def _is_eye(self, node: Test) -> bool:
        condition = node.condition
        if not (isinstance(condition, Compare) and condition.op == "=="):
            return False
        left, right = condition.left, condition.right
        if not (isinstance(left, Val) and isinstance(right, Val)):
            return False
        a, b = left.poly.index, right.poly.index
        return a is not None and b is not None and a.size == b.size and a not in self.loops and b not in self.loops

    def test(self, condition: Condition, order: Order) -> Operand:
        if self._is_eye(Test(condition)):
            assert isinstance(condition, Compare) and isinstance(condition.left, Val)
            assert isinstance(condition.right, Val)
            a, b = condition.left.poly.index, condition.right.poly.index
            assert a is not None and b is not None
            axes = tuple(i for i in order if i in (a, b))
            return Operand(f"np.eye({poly_code(a.extent)}, dtype={self.dtype})", axes, fresh=True)
        mask = self.condition(condition, order)
        return Operand(
            f"np.where({mask.code}, {self.dtype}.type(1), {self.dtype}.type(0))",
            mask.axes,
            mask.deps,
            fresh=True,
            refs=mask.refs,
        )

    def condition(self, condition: Condition, order: Order) -> Operand:
        """A truth-valued operand."""
        match condition:
            case Compare(op=op, left=left, right=right):
                a, b = self.comparand(left, order), self.comparand(right, order)
                if isinstance(left, Num) and op in ("<", "<="):
                    a, b, op = b, a, {"<": ">", "<=": ">="}[op]
                axes = union([a.axes, b.axes], order)
                x, y = self.aligned(a, axes), self.aligned(b, axes)
                code = f"{x.at_level(SUM)} {op} {y.at_level(SUM)}"
                return Operand(code, axes, x.deps | y.deps, COMPARE, refs=x.refs + y.refs)
            case Junction(op=op, args=args):
                parts = [self.condition(c, order) for c in args]
                axes = union([p.axes for p in parts], order)
                sign = " & " if op == "and" else " | "
                code = sign.join(f"({self.aligned(p, axes).code})" for p in parts)
                refs = tuple(r for p in parts for r in p.refs)
                return Operand(code, axes, frozenset().union(*(p.deps for p in parts)), COMPARE, refs=refs)
            case Negation(arg=arg):
                inner = self.condition(arg, order)
                return Operand(f"~({inner.code})", inner.axes, inner.deps, UNARY, refs=inner.refs)
        raise TypeError(f"not a condition: {condition!r}")

    def comparand(self, expr: Expr, order: Order) -> Operand:
        return self.whole(expr.poly, order) if isinstance(expr, Val) else self.lower(expr, order)

    def cases(self, expr: Cases, order: Order) -> Operand:
        table = reads.table(expr, tuple(i for i in order if i not in self.loops), self.dtype)
        if table is not None:
            return table
        result = self.lower(expr.otherwise, order)
        for condition, value in reversed(expr.branches):
            mask, chosen = self.condition(condition, order), self.lower(value, order)
            axes = union([mask.axes, chosen.axes, result.axes], order)
            parts = [self.aligned(o, axes).code for o in (mask, chosen, result)]
            deps = mask.deps | chosen.deps | result.deps
            refs = mask.refs + chosen.refs + result.refs
            made = Operand(f"np.where({', '.join(parts)})", axes, deps, fresh=True, refs=refs)
            result = self.typed(made) if chosen.is_number and result.is_number else made
        return result


def _has_label(poly: Poly) -> bool:
    return any(isinstance(a, Gather) for a in poly.atoms())
