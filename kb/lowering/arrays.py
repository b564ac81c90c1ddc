"""Index form to whole-array NumPy: each expression becomes an operand with named axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from kb.errors import EqkbError
from kb.index import build
from kb.index.affine import FloorDiv, Gather, Index, Poly
from kb.index.nodes import (
    ONE,
    ZERO,
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
    alpha_key,
    children,
    free_indices,
    walk,
)
from kb.index.nodes import _key as canonical_key
from kb.index.program import Program
from kb.lowering import reads
from kb.lowering.contraction import contract, product_of_two, result_axes
from kb.lowering.operands import (
    ATOM,
    COMPARE,
    POWER,
    PRODUCT,
    SUM,
    UNARY,
    Operand,
    Writer,
    align,
    permute,
    poly_code,
    poly_operand,
    squeeze,
    union,
)
from kb.vocabulary import FUNCTIONS

_SEVERAL = {"max": "np.maximum", "min": "np.minimum", "logsumexp": "np.logaddexp"}
Order = tuple[Index, ...]
EVERYTHING = "*"  # among an operand's dependencies: it has all leading axes


class Overwritten(EqkbError):
    """A buffer was needed after it had been overwritten; the lowering starts again and keeps it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Lowerer:
    """Lowers expressions of one program into the lines of one function.

    ``pinned`` names buffers that must never be overwritten; ``uses`` says how often each step is
    read, so that the last reader may take its buffer.
    """

    def __init__(self, program: Program, writer: Writer, pinned: set[str], pads: dict[str, int], dtype: str) -> None:
        self.program = program
        self.writer = writer
        self.pinned = pinned
        self.pads = pads
        self.dtype = dtype
        self.variables: dict[str, Operand] = {}
        self.integration: dict[Variable, Operand] = {}
        self.loops: dict[Index, str] = {}
        self.views: dict[Any, tuple[str, tuple[int, ...], frozenset[str]]] = {}
        self.hits: dict[Any, Operand] = {}
        self.ahead: Counter[str] = Counter()  # reads of steps that are not yet computed
        self.uses: Counter[str] = Counter()  # reads that variables have before them
        self.repeats: Counter[Any] = Counter()
        self.memo: dict[Any, tuple[str, tuple[int, ...], frozenset[str]]] = {}
        self.pending: Counter[str] = Counter()
        self.pinned_here: set[str] = set()
        self.overwritten: set[str] = set()
        self.alignments: dict[str, set[int]] = {}
        self.blocked: set[str] = set()
        self.bare: Counter[str] = Counter()
        self.hint = ""
        self.rank = 0

    # --- variables ------------------------------------------------------------------------------

    def variable(self, name: str) -> Operand:
        """The operand that holds a symbol or step."""
        operand = self.variables[name]
        if operand.code in self.overwritten:
            raise Overwritten(operand.code)
        return operand

    def define(self, name: str, operand: Operand) -> None:
        """Say which variable holds a step; its readers are from now on readers of the variable."""
        self.uses[operand.code] = max(self.uses[operand.code], 0) + self.ahead.pop(name, 0)
        self.variables[name] = operand

    def emit(self, text: str, *operands: Operand) -> None:
        """Write a line; the operands in it have been used."""
        self.writer.line(text)
        for operand in operands:
            self.pending.subtract(operand.refs)

    def may_overwrite(self, operand: Operand, others: tuple[Operand, ...] = ()) -> bool:
        """Whether nothing but this statement will read a buffer again."""
        if not operand.buffer or not operand.axes or self.loops:
            return False
        code = operand.code
        if code in self.pinned or code in self.pinned_here or self.uses[code] > 0:
            return False
        here = 1 + sum(other.refs.count(code) for other in others)
        return self.pending[code] <= here

    def keep(self, operand: Operand, hint: str) -> Operand:
        """The operand in a variable of its own."""
        if operand.code.isidentifier() and operand.buffer:
            return operand
        name = self.writer.name(hint)
        self.emit(f"{name} = {operand.code}", operand)
        return self.own(replace(operand.renamed(name), buffer=operand.fresh))

    def own(self, operand: Operand) -> Operand:
        """A reference to a local array that is about to be used."""
        self.pending[operand.code] += 1
        return replace(operand, refs=(operand.code,))

    def aligned(self, operand: Operand, axes: Order) -> Operand:
        """The operand with its axes where ``axes`` has them."""
        if operand.argument:
            missing = next((n for n, i in enumerate(axes) if i in operand.indices), len(axes))
            self.alignments.setdefault(operand.argument, set()).add(missing)
            self.bare[operand.argument] -= 1
            if missing and self.pads.get(operand.argument) == missing and operand.indices == tuple(axes[missing:]):
                return operand
        code = align(operand, axes)
        if code == operand.code:
            return operand
        return replace(operand, code=code, level=ATOM, buffer=False, fresh=False)

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
        if self.loops or not is_worth_keeping(expr):
            return self._lower(expr, order)
        key, indices = canonical(expr)
        if self.repeats[key] < 2:
            return self._lower(expr, order)
        if key in self.memo:
            name, places, deps = self.memo[key]
            if name in self.overwritten:
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
        self.memo[key] = (operand.code, tuple(indices.index(i) for i in operand.indices), operand.deps)
        return operand

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
                return self.binder(expr, order)
            case Test(condition=condition):
                return self.test(condition, order)
            case Pick():
                return self.pick(expr, order)
            case Cases():
                return self.cases(expr, order)
            case Integral():
                return self.integral(expr, order)
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
        return Operand(f"_spread({held.code}, ({places}))", axes, held.deps | deps)

    # --- arithmetic -----------------------------------------------------------------------------

    def binary(self, sign: str, a: Operand, b: Operand, level: int, order: Order) -> Operand:
        """``a sign b``; into the buffer of one of them where nothing else will read it."""
        axes = union([a.axes, b.axes], order)
        if self.fits(a, b, axes):
            other = self.aligned(b, axes)
            return self.into(a, f"{a.code} {sign}= {other.code}", other)
        if self.fits(b, a, axes):
            other = self.aligned(a, axes)
            if sign in "+*":
                return self.into(b, f"{b.code} {sign}= {other.code}", other)
            name = {"-": "np.subtract", "/": "np.divide", "//": "np.floor_divide"}[sign]
            return self.into(b, f"{name}({other.code}, {b.code}, out={b.code})", other)
        left, right = self.aligned(a, axes), self.aligned(b, axes)
        tight = level if sign == "+" else level + 1
        code = f"{left.at_level(level)} {sign} {right.at_level(tight)}"
        return Operand(code, axes, a.deps | b.deps, level, fresh=True, refs=left.refs + right.refs)

    def fits(self, a: Operand, b: Operand, axes: Order) -> bool:
        """Whether ``a`` may take the result of combining it with ``b``."""
        if not axes or a.axes != axes or not self.may_overwrite(a, (b,)):
            return False
        if b.deps <= a.deps or EVERYTHING in a.deps:
            return True
        self.note_blocked(a)
        return False

    def note_blocked(self, operand: Operand) -> None:
        """A buffer could be used again if one of its arguments always had all leading axes: note which."""
        ranks = {t.name: len(t.shape) for t in self.program.arguments if t.name in operand.deps}
        if ranks:
            positive = [r for r in ranks.values() if r]
            wanted = min(positive) if positive else 0
            self.blocked.add(next(n for n, r in ranks.items() if r == wanted))

    def into(self, operand: Operand, text: str, *others: Operand) -> Operand:
        """Write a line that overwrites a buffer; the buffer now holds the result."""
        self.emit(text, *others)
        self.overwritten.add(operand.code)
        return operand

    def negate(self, operand: Operand) -> Operand:
        if self.may_overwrite(operand):
            return self.into(operand, f"np.negative({operand.code}, out={operand.code})")
        code = f"-{operand.at_level(UNARY)}"
        return Operand(code, operand.axes, operand.deps, UNARY, fresh=True, refs=operand.refs)

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

    def start_with(self, signed: list[tuple[bool, Operand]], order: Order) -> None:
        """Put first a buffer that can take the sum, else something positive."""
        full = union([o.axes for _, o in signed], order)
        buffers = [n for n, (_, o) in enumerate(signed) if o.axes == full and self.may_overwrite(o)]
        largest = [n for n, (positive, _) in enumerate(signed) if positive]
        if buffers and (signed[buffers[0]][0] or not largest):
            signed.insert(0, signed.pop(buffers[0]))
        elif buffers:
            other = signed[max(largest, key=lambda n: len(signed[n][1].indices))]
            mine = signed[buffers[0]]
            rest = [item for item in signed if item is not other and item is not mine]
            signed[:] = [(True, self.binary("-", other[1], mine[1], SUM, order)), *rest]
        elif not signed[0][0] and largest:
            signed.insert(0, signed.pop(largest[0]))

    def mul(self, args: tuple[Expr, ...], order: Order) -> Operand:
        masks = [a.condition for a in args if isinstance(a, Test) and not self._is_eye(a)]
        rest = tuple(a for a in args if not (isinstance(a, Test) and not self._is_eye(a)))
        product = self.product(rest, order) if rest else number(Fraction(1))
        if not masks:
            return product
        if product.code == "1":
            return self.test(build.junction("and", masks), order)
        mask = self.condition(build.junction("and", masks), order)
        axes = union([mask.axes, product.axes], order)
        code = f"np.where({self.aligned(mask, axes).code}, {self.aligned(product, axes).code}, 0)"
        return Operand(code, axes, mask.deps | product.deps, fresh=True, refs=mask.refs + product.refs)

    def product(self, args: tuple[Expr, ...], order: Order) -> Operand:
        """A product of factors, those of few axes first; what is divided by is divided by once."""
        if (scaled := self.scaled_sum(args, order)) is not None:
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
        return self.sum(expr, order, inner, build.mul(*rest))

    def scaled(self, above: list[Operand], below: list[Operand], order: Order) -> Operand:
        """The quotient of two products: what has all axes apart from what is small."""
        full = union([o.axes for o in (*above, *below)], order)
        big = [o for o in above if full and set(o.indices) == set(full)]
        small = [o for o in above if o not in big]
        under = [o for o in below if full and set(o.indices) == set(full)]
        divisor = [o for o in below if o not in under]
        body = self.quotient(big, under, order) if big else None
        if body is None:
            return self.quotient(small, [*divisor, *under], order)
        if not small and not divisor:
            return body
        if not small:
            return self.binary("/", body, self.quotient(divisor, [], order), PRODUCT, order)
        scale = self.quotient(small, divisor, order)
        if body.buffer or body.fresh:
            return self.binary("*", body, scale, PRODUCT, order)
        return self.binary("*", scale, body, PRODUCT, order)

    def quotient(self, above: list[Operand], below: list[Operand], order: Order) -> Operand:
        """``above/below``."""
        result = self.chain(above, order)
        if not below:
            return result or number(Fraction(1))
        divisor = self.chain(below, order)
        assert divisor is not None
        return self.binary("/", result or number(Fraction(1)), divisor, PRODUCT, order)

    def chain(self, operands: list[Operand], order: Order) -> Operand | None:
        if not operands:
            return None
        ordered = sorted(operands, key=lambda o: len(o.indices))
        result = ordered[0]
        for operand in ordered[1:]:
            result = self.binary("*", result, operand, PRODUCT, order)
        return result

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
        return Operand(f"{name}({operand.code})", operand.axes, operand.deps, fresh=True, refs=operand.refs)

    def temporary(self) -> str:
        """A name for a buffer: the step's own if it is still to be had."""
        return self.hint if self.hint and self.hint not in self.writer.taken else "t"

    def function(self, expr: Fn, order: Order) -> Operand:
        softmax = softmax_of(expr)
        if softmax is not None:
            return self.softmax(*softmax, order)
        if expr.name == "log" and isinstance(expr.arg, Add) and ONE in expr.arg.args:
            rest = build.add(*(a for a in expr.arg.args if a != ONE))
            return self.call("np.log1p", self.lower(rest, order))
        if expr.name == "erf":
            return self.call("_erf", self.lower(expr.arg, order))
        return self.call(FUNCTIONS[expr.name].numpy, self.lower(expr.arg, order))

    def softmax(self, scores: Expr, bound: Bind, own: dict[Index, Index], order: Order) -> Operand:
        """``exp(f)/sum(exp(f))``, shifted by the largest value; one exponential in all."""
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
        self.writer.line(f"{operand.code} *= 1 / {operand.code}.sum(axis={where}, keepdims=True)")
        return operand

    def several(self, op: str, args: tuple[Expr, ...], order: Order) -> Operand:
        result = self.lower(args[0], order)
        for arg in args[1:]:
            other = self.lower(arg, order)
            axes = union([result.axes, other.axes], order)
            a, b = self.aligned(result, axes), self.aligned(other, axes)
            code = f"{_SEVERAL[op]}({a.code}, {b.code})"
            result = Operand(code, axes, a.deps | b.deps, fresh=True, refs=a.refs + b.refs)
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
        result = self.lower(expr.otherwise, order)
        for condition, value in reversed(expr.branches):
            mask, chosen = self.condition(condition, order), self.lower(value, order)
            axes = union([mask.axes, chosen.axes, result.axes], order)
            parts = [self.aligned(o, axes).code for o in (mask, chosen, result)]
            deps = mask.deps | chosen.deps | result.deps
            refs = mask.refs + chosen.refs + result.refs
            result = Operand(f"np.where({', '.join(parts)})", axes, deps, fresh=True, refs=refs)
        if all(isinstance(v, Num) for v in (*(v for _, v in expr.branches), expr.otherwise)):
            result = replace(result, code=f"{result.code}.astype({self.dtype})")
        return result

    # --- binders --------------------------------------------------------------------------------

    def binder(self, expr: Bind, order: Order) -> Operand:
        inner = natural_order(expr.body, (*order, *(i for i in expr.indices if i not in order)))
        if expr.op == "sum":
            return self.sum(expr, order, inner)
        body = expr.body
        if expr.conditions:
            worst = {"max": "-oo", "logsumexp": "-oo", "min": "oo", "prod": ""}[expr.op]
            filler: Expr = ONE if not worst else Const("oo") if worst == "oo" else build.negative(Const("oo"))
            body = build.cases([(build.junction("and", expr.conditions), body)], filler)
        if expr.op in ("max", "min") and not expr.conditions and isinstance(body, Read):
            pooled = self.pooled(expr, body)
            if pooled is not None:
                return pooled
        operand = squeeze(self.lower(body, inner))
        operand = permute(operand, union([operand.axes], inner))
        where = [operand.axes.index(i) - len(operand.axes) for i in expr.indices if i in operand.axes]
        axes = tuple(i for i in operand.axes if i not in expr.indices)
        text = str(where[0]) if len(where) == 1 else f"({', '.join(map(str, where))})"
        if expr.op == "logsumexp":
            kept = tuple(None if i in expr.indices else i for i in operand.axes)
            return Operand(f"_logsumexp({operand.code}, {text})", kept, operand.deps, fresh=True, refs=operand.refs)
        if expr.op == "prod":
            return Operand(
                f"{operand.at_level(ATOM)}.prod(axis={text})", axes, operand.deps, fresh=True, refs=operand.refs
            )
        return Operand(
            f"{operand.at_level(ATOM)}.{expr.op}(axis={text})", axes, operand.deps, fresh=True, refs=operand.refs
        )

    def pooled(self, expr: Bind, node: Read) -> Operand | None:
        """The extreme of a window, one axis after the other; None if the read is not through windows."""
        if node.outside or self.loops or not all(reads.is_affine(p) for p in node.index):
            return None
        found = [reads.moves(p) for p in node.index]
        kept = [[i for i, _ in moved if i not in expr.indices] for _, moved in found]
        if all(len(moved) < 2 for _, moved in found) or any(len(k) != 1 for k in kept):
            return None
        if any(
            len(moved) > 2 or (len(moved) == 1 and p.index is None)
            for p, (_, moved) in zip(node.index, found, strict=True)
        ):
            return None
        array = self.variable(node.name)
        self.uses[array.code] -= 1
        code, rank = array.code, len(node.index)
        for n, (start, moved) in reversed(list(enumerate(found))):
            if len(moved) == 2:
                steps = {i in expr.indices: f"({poly_code(i.extent)}, {poly_code(step)})" for i, step in moved}
                place = f"{n - rank}, {poly_code(start)}, {steps[False]}, {steps[True]}"
                code = f"_pool({_SEVERAL[expr.op]}, {code}, {place})"
        if any(
            len(moved) == 1 and p.index is not None and p.index.size != size
            for p, (_, moved), size in zip(node.index, found, self.program.shape(node.name), strict=True)
        ):
            return None
        self.pending[array.code] += 1
        return Operand(code, tuple(k[0] for k in kept), array.deps, fresh=True, refs=(array.code,))

    def sum(self, expr: Bind, order: Order, inner: Order, scale: Expr = ONE) -> Operand:
        """``scale`` times a sum: one contraction after another, or a reduction along axes."""
        factors = self.factors(expr, inner)
        out = tuple(i for i in union([f.axes for f in factors], inner) if i not in expr.indices)
        operands = list(factors)
        while len(operands) > 2:
            a, b = contract(operands, out)
            operands = [o for o in operands if o is not a and o is not b]
            axes = result_axes(a, b, operands, out)
            if {*a.indices, *b.indices} == set(axes):
                operands.append(self.binary("*", a, b, PRODUCT, inner))
            else:
                operands.append(product_of_two(a, b, axes))
        if len(operands) == 1:
            return self.times(self.reduce(expr, operands[0], order), scale, order)
        for n, operand in enumerate(operands):
            if scale != ONE and operand.argument and len(operand.indices) == 2 and len(out) == 2:
                operands[n] = self.times(operand, scale, inner)
                return product_of_two(operands[0], operands[1], out)
        return self.times(product_of_two(operands[0], operands[1], out), scale, order)

    def times(self, operand: Operand, scale: Expr, order: Order) -> Operand:
        """The operand times a number that depends on sizes only."""
        above, below = [], []
        for factor in scale.args if isinstance(scale, Mul) else (scale,):
            if isinstance(factor, Pow) and isinstance(factor.exponent, Num) and factor.exponent.value < 0:
                below.append(self.lower(build.power(factor.base, build.num(-factor.exponent.value)), order))
            elif factor != ONE:
                above.append(self.lower(factor, order))
        return self.scaled([*above, operand], below, order)

    def factors(self, expr: Bind, inner: Order) -> list[Operand]:
        """The factors of a sum's body, a condition being one; those of equal axes are multiplied."""
        args = [*(expr.body.args if isinstance(expr.body, Mul) else (expr.body,)), *map(Test, expr.conditions)]
        if len(args) == 1 and isinstance(args[0], Pow) and args[0].exponent == build.num(2):
            base = self.lower(args[0].base, natural_order(args[0].base, inner))
            base = base if base.code.isidentifier() else self.keep(base, "t")
            return [base, base]
        if len(args) > 2 or expr.conditions:
            groups: dict[frozenset[Index], list[Expr]] = {}
            for arg in args:
                groups.setdefault(frozenset(free_indices(arg) & set(inner)), []).append(arg)
            args = [build.mul(*g) for g in groups.values()]
        return [
            self.condition(a.condition, natural_order(a, inner))
            if isinstance(a, Test) and not self._is_eye(a)
            else self.lower(a, natural_order(a, inner))
            for a in args
        ]

    def reduce(self, expr: Bind, operand: Operand, order: Order) -> Operand:
        """A plain sum along axes; the axis is kept as 1 where the surroundings have one there."""
        operand = squeeze(operand)
        where = [operand.axes.index(i) - len(operand.axes) for i in expr.indices]
        axes = tuple(i for i in operand.axes if i not in expr.indices)
        text = str(where[0]) if len(where) == 1 else f"({', '.join(map(str, where))})"
        keep = len(where) == 1 and len(axes) == len(order) - 1 and axes == order[:-1] and where == [-1]
        if len(where) == 1 and len(axes) == len(order) - 1 and axes == order[1:] and where == [-len(operand.axes)]:
            keep = True
        tail = ", keepdims=True" if keep else ""
        kept = tuple(None if i in expr.indices else i for i in operand.axes) if keep else axes
        return Operand(
            f"{operand.at_level(ATOM)}.sum(axis={text}{tail})", kept, operand.deps, fresh=True, refs=operand.refs
        )

    def pick(self, expr: Pick, order: Order) -> Operand:
        """1 at the first extremum; inside a loop over the window, a mask that remembers."""
        if expr in self.hits:
            return self.hits[expr]
        moved = {i: p for i, p in zip(expr.indices, expr.at, strict=True)}
        body = build.substitute(expr.body, moved)
        operand = squeeze(self.lower(body, order))
        at = [p.index for p in expr.at]
        extreme = self.lower(Bind(expr.op, expr.indices, expr.conditions, expr.body), order)
        rest = tuple(i for i in operand.axes if i is not None and i not in at)
        where = ", ".join(str(operand.axes.index(i) - len(operand.axes)) for i in at)
        lowered = self.aligned(extreme, rest)
        code = f"_first({operand.code}, {lowered.code}, ({where},))"
        return Operand(code, operand.axes, operand.deps, fresh=True, refs=operand.refs)

    # --- integrals ------------------------------------------------------------------------------

    def integral(self, expr: Integral, order: Order) -> Operand:
        """A quadrature: one more axis, of nodes."""
        nodes, weights = self.writer.name("nodes"), self.writer.name("weights")
        low, high = self.lower(expr.low, ()), self.lower(expr.high, ())
        real_line = low.code == "-np.inf" and high.code == "np.inf"
        rule = "_reach(1000, 0.01)" if real_line else f"_legendre({low.code}, {high.code})"
        self.writer.line(f"{nodes}, {weights} = {rule}")
        index = Index("q", Poly.of("q"))
        self.integration[expr.variable] = Operand(nodes, (index,))
        body = self.aligned(self.lower(expr.body, (*order, index)), (*order, index))
        body = permute(squeeze(body), (*(i for i in order if i in body.indices), index))
        axes = tuple(i for i in body.axes if i is not index)
        return Operand(f"_integrate({body.code}, {weights})", axes, body.deps, fresh=True, refs=body.refs)


# --- helpers -------------------------------------------------------------------------------------


def _has_label(poly: Poly) -> bool:
    return any(isinstance(a, Gather) for a in poly.atoms())


def number(value: Fraction) -> Operand:
    """A rational number as source."""
    if value.denominator == 1:
        code = str(value.numerator)
    elif value.denominator & (value.denominator - 1) == 0 or abs(value.numerator) < 2**53 and value.denominator < 2**53:
        code = repr(float(value))
    else:
        code = repr(float(value))
    return Operand(code, level=UNARY if code.startswith("-") else ATOM)


def softmax_of(expr: Fn) -> tuple[Expr, Bind, dict[Index, Index]] | None:
    """``(scores, binder, bound -> own index)`` if the expression is a normalised exponential."""
    if expr.name != "exp" or not isinstance(expr.arg, Add):
        return None
    for term in expr.arg.args:
        coefficient, bound = build.split_coefficient(term)
        if coefficient != -1 or not (isinstance(bound, Bind) and bound.op == "logsumexp") or bound.conditions:
            continue
        scores = build.add(*(t for t in expr.arg.args if t is not term))
        from kb.calculus.match import match

        for binding in match(bound.body, scores, frozenset(bound.indices), {}):
            own = {i: p.index for i, p in binding.items()}
            if len(own) == len(bound.indices) and all(v is not None for v in own.values()):
                return scores, bound, {k: v for k, v in own.items() if v is not None}
    return None


def is_constant(expr: Expr) -> bool:
    """Whether an expression is made of numbers and sizes only."""
    return not free_indices(expr) and not any(isinstance(n, (Read, Var, Integral, Test)) for n in walk(expr))


def natural_order(expr: Expr, order: Order) -> Order:
    """The given indices in the order in which the widest array that is read has them."""
    widest: list[Index] = []
    for node in walk(expr):
        if isinstance(node, Read):
            own = [i for p in node.index for i in p.indices() if i in order]
            if len(own) > len(widest) and len(set(own)) == len(own):
                widest = own
    places = [n for n, i in enumerate(order) if i in widest]
    result = list(order)
    for place, index in zip(places, widest, strict=True):
        result[place] = index
    return tuple(result)


def is_worth_keeping(expr: Expr) -> bool:
    """Whether a repeated subexpression deserves a variable: it does work, on an array or over one."""
    if isinstance(expr, (Num, Read, Val, Var, Const, Test, Stop)):
        return False
    if isinstance(expr, (Bind, Integral)):
        return True
    if isinstance(expr, Mul) and len(expr.args) == 2 and isinstance(expr.args[0], Num):
        return False
    return bool(free_indices(expr))


def canonical(expr: Expr) -> tuple[Any, list[Index]]:
    """A key that ignores how free indices are called, and those indices in a fixed order."""
    indices = appearance(expr)
    names = {i: ("f", n, alpha_key(i.size) if i.size is not None else n) for n, i in enumerate(indices)}
    return canonical_key(expr, names), indices


def appearance(expr: Expr) -> list[Index]:
    """Free indices in the order in which they are first read."""
    free = free_indices(expr)
    found: list[Index] = []
    for node in _preorder(expr):
        for value in node.values:
            items = value if isinstance(value, tuple) else (value,)
            for item in items:
                if isinstance(item, Poly):
                    found += [i for i in item.indices() if i in free and i not in found]
    return found


def _preorder(node: Any) -> Iterator[Any]:
    yield node
    for child in children(node):
        yield from _preorder(child)


def surveyed(expr: Expr) -> Iterator[Expr]:
    """The subexpressions that lowering will visit."""
    if isinstance(expr, Fn) and (softmax := softmax_of(expr)) is not None:
        yield softmax[0]
        return
    for child in children(expr):
        if isinstance(child, Condition):
            yield from _in_condition(child)
        elif isinstance(child, Expr):
            yield child
    if isinstance(expr, Pick):
        yield Bind(expr.op, expr.indices, expr.conditions, expr.body)


def _in_condition(condition: Condition) -> Iterator[Expr]:
    for child in children(condition):
        if isinstance(child, Condition):
            yield from _in_condition(child)
        elif isinstance(child, Expr):
            yield child


__all__ = ["ZERO", "Lowerer", "Overwritten"]
