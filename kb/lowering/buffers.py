"""Local arrays of a generated function: who reads them, when they may be overwritten, and arithmetic on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

from kb.errors import EqkbError
from kb.index.affine import Index
from kb.index.program import Program
from kb.lowering.operands import ATOM, PRODUCT, SUM, UNARY, Operand, Writer, align, number, union

Order = tuple[Index, ...]
EVERYTHING = "*"  # among an operand's dependencies: it has all leading axes


class Overwritten(EqkbError):
    """A buffer was needed after it had been overwritten; the lowering starts again and keeps it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Buffers:
    """The variables of one function and the state of their memory.

    ``pinned`` names buffers that must never be overwritten; ``uses`` says how often each variable
    will still be read, ``pending`` how often text that is not yet written mentions it, so that the
    last reader may take its buffer.
    """

    def __init__(self, program: Program, writer: Writer, pinned: set[str], pads: dict[str, int], dtype: str) -> None:
        self.program = program
        self.writer = writer
        self.pinned = pinned
        self.pads = pads
        self.dtype = dtype
        self.lead = "lead"  # what the function calls the leading axes of the batch,
        self.given = "shape"  # and the shapes of its arguments
        self.variables: dict[str, Operand] = {}
        self.loops: dict[Index, str] = {}
        self.rolling: set[str] = set()  # arrays that the loop around a statement fills
        self.ahead: Counter[str] = Counter()  # reads of steps that are not yet computed
        self.uses: Counter[str] = Counter()  # reads that variables have before them
        self.pending: Counter[str] = Counter()
        self.pinned_here: set[str] = set()
        self.overwritten: set[str] = set()
        self.borrowed: set[str] = set()  # views of what was given, which are not handed back
        self.version: Counter[str] = Counter()  # how often each buffer was overwritten,
        self.held: Counter[str] = Counter()  # and how often it had been when it held a step
        self.alignments: dict[str, set[int]] = {}
        self.blocked: set[str] = set()
        self.bare: Counter[str] = Counter()
        self.hint = ""

    # --- variables ------------------------------------------------------------------------------

    def variable(self, name: str) -> Operand:
        """The operand that holds a symbol or step."""
        operand = self.variables[name]
        if operand.code in self.overwritten or self.version[operand.code] != self.held[name]:
            raise Overwritten(operand.code)
        return operand

    def define(self, name: str, operand: Operand) -> None:
        """Say which variable holds a step; its readers are from now on readers of the variable."""
        self.uses[operand.code] = max(self.uses[operand.code], 0) + self.ahead.pop(name, 0)
        self.variables[name] = operand
        self.held[name] = self.version[operand.code]

    def emit(self, text: str, *operands: Operand) -> None:
        """Write a line; the operands in it have been used."""
        self.writer.line(text)
        for operand in operands:
            self.pending.subtract(operand.refs)
            if any(self.pending[name] < 0 for name in operand.refs):
                raise RuntimeError(f"a reference was counted twice in: {text}")

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
            if operand.indices == tuple(axes[missing:]):  # any other use counts as one of the bare array
                self.alignments.setdefault(operand.argument, set()).add(missing)
                self.bare[operand.argument] -= 1
                if missing and self.pads.get(operand.argument) == missing:
                    return replace(operand, argument="")
        code = align(operand, axes)
        if code == operand.code:
            return operand
        return replace(operand, code=code, level=ATOM, buffer=False, fresh=False, argument="")

    def temporary(self) -> str:
        """A name for a buffer: the step's own if it is still to be had."""
        return self.hint if self.hint and self.hint not in self.writer.taken else "t"

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
        self.version[operand.code] += 1
        return operand

    def negate(self, operand: Operand) -> Operand:
        if self.may_overwrite(operand):
            return self.into(operand, f"np.negative({operand.code}, out={operand.code})")
        code = f"-{operand.at_level(UNARY)}"
        return Operand(code, operand.axes, operand.deps, UNARY, fresh=True, refs=operand.refs)

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
