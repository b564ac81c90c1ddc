"""One line of Unicode for a terminal: ``ŷ[j]·Σ_c y[c] − y[j]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kb.errors import LanguageError
from kb.glyphs import split_notation
from kb.printing.binders import Binder, binder, common_limit, count, merge_indices, span
from kb.printing.boxes import ATOM, CASES, FACTOR, LOGIC, PRODUCT, RELATION, SCRIPTED, SUM, Box, held
from kb.printing.functions import derivative_word
from kb.printing.glyphs import (
    SUBSCRIPT_DIGITS,
    SUPERSCRIPT_DIGITS,
    Context,
    lowered,
    symbol_text,
    tex_to_text,
)
from kb.printing.layout import (
    HADAMARD,
    MATRIX,
    Floor,
    Fraction,
    Item,
    Modulo,
    Product,
    Signed,
    arrange,
    branches,
    context_of_targets,
    contexts_in_time,
    is_gradient,
    law_of,
    second_derivative,
    separators_of,
)
from kb.printing.ranks import rank
from kb.tree import (
    Array,
    Call,
    Cases,
    Chain,
    Claim,
    Comparison,
    Element,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Power,
    Prime,
    Step,
    Transpose,
)
from kb.vocabulary import BUILT_IN

__all__ = ["Context", "alike", "symbol_text", "text", "text_lines"]

RELATIONS = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "<": "<", ">": ">"}
_SEPARATORS = {",": ", ", ";": "; ", "|": " | ", "||": " ‖ "}
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻′*"
_DIGITS_BELOW = "₀₁₂₃₄₅₆₇₈₉"
_SIGNS = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min", "argmax": "argmax", "argmin": "argmin"}


def text(node: Node, context: Context | None = None, relation: str = "=") -> str:
    """A formula, step or claim on one line of Unicode.

    Indices are subscripts, or all in brackets where Unicode lacks one of them. Raises LanguageError
    where a formula is nested too deeply.
    """
    context = context or Context()
    try:
        return _printed(node, context, relation)
    except _NoSubscript:
        return _printed(node, replace(context, brackets=True), relation)


class _NoSubscript(Exception):
    """An index cannot be a subscript."""


def _printed(node: Node, context: Context, relation: str) -> str:
    printer = TextPrinter(context)
    try:
        if isinstance(node, (Step, Claim)):
            return printer.statement(node, relation)
        return printer.box(node).tex
    except RecursionError:
        raise LanguageError("the formula is nested too deeply to be printed; split it into steps", node.at) from None


def alike(nodes: Iterable[Node], context: Context) -> Context:
    """The context in which all of the formulas show their indices in the same way."""
    try:
        for node in nodes:
            _printed(node, context, "=")
    except _NoSubscript:
        return replace(context, brackets=True)
    return context


def text_lines(statements: Sequence[Step | Claim], context: Context | None = None, relation: str = "=") -> list[str]:
    """Each statement on its line; times of states as in ``latex_lines``."""
    context = alike(statements, context or Context())
    seen = contexts_in_time(statements, context)
    return [text(s, c, relation) for s, c in zip(statements, seen, strict=True)]


class TextPrinter:
    """Prints the parts of one formula."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def statement(self, statement: Step | Claim, relation: str) -> str:
        """Both sides and the sign between them."""
        if isinstance(statement, Claim):
            right = self.box(statement.right)
            loose = right.level == CASES or right.level >= SUM
            shown = right.tex if loose else f"({right.tex})"
            return f"{held(self.box(statement.left), SUM)} {RELATIONS[statement.relation]} {shown}"
        target = TextPrinter(context_of_targets(statement, self.context))
        left = ", ".join(target.box(t).tex for t in statement.targets)
        left = left if len(statement.targets) == 1 else f"({left})"
        return f"{left} {relation} {self.box(statement.value).tex}"

    def box(self, item: Item) -> Box:
        """Print one part."""
        match item:
            case Number(digits):
                return self.number(digits)
            case Name(id):
                known = id in self.context.ranks or id in self.context.glyphs
                shown = "∞" if id == "oo" and not known else symbol_text(id, self.context)
                return Box(shown, SCRIPTED if shown[-1] in "′*⁰¹²³⁴⁵⁶⁷⁸⁹" else ATOM)
            case Element():
                merged = merge_indices(item)
                base = self.box(merged.base)
                inner = base.tex if base.level >= SCRIPTED and isinstance(merged.base, Name) else held(base, ATOM)
                return self.element(inner, merged.indices)
            case Call():
                return self.call(item)
            case Prime(function, arguments, by):
                word = derivative_word(function, by)
                known = word in self.context.glyphs
                sign = self.function(word) if known else self.function(function) + "′" * max(1, len(by))
                return Box(f"{sign}({self.listed(arguments)})")
            case Transpose(operand):
                return self.raised(operand, "ᵀ")
            case Power(base, exponent):
                return self.raised(base, self.exponent(exponent))
            case Negative(operand):
                return self.negated(self.box(operand))
            case Signed(content):
                return self.negated(self.box(content))
            case Chain(_, operators):
                return self.sum(item) if operators[0] in "+-" else self.box(arrange(item, self.context))
        return self.structure(item)

    def structure(self, item: Item) -> Box:
        """Print what is neither a value nor an arithmetic operation of the author's."""
        match item:
            case Product():
                return self.product(item)
            case Fraction(numerator, denominator):
                return self.fraction(numerator, denominator)
            case Floor(content):
                return Box(f"⌊{self.box(content).tex}⌋")
            case Modulo(left, right):
                return Box(f"{held(self.box(left), PRODUCT)} mod {held(self.box(right), FACTOR)}", RELATION)
            case Comparison(operator, left, right):
                return Box(f" {RELATIONS[operator]} ".join(held(self.box(s), SUM) for s in (left, right)), RELATION)
            case Logic(operator, operands):
                return Box(f" {operator} ".join(held(self.box(o), RELATION) for o in operands), LOGIC)
            case Not(operand):
                return Box(f"not {held(self.box(operand), RELATION)}", LOGIC)
            case Cases():
                pairs, otherwise = branches(item)
                shown = ", ".join(f"{held(self.box(v), SUM)} if {self.box(c).tex}" for v, c in pairs)
                return Box(f"{shown}, else {self.box(otherwise).tex}", CASES)
            case Array(items):
                return Box(f"[{self.listed(items)}]")
        raise TypeError(f"not an expression: {item!r}")

    def listed(self, nodes: Sequence[Node]) -> str:
        """Arguments or items, with commas."""
        return ", ".join(held(b, LOGIC) if len(nodes) > 1 else b.tex for b in map(self.box, nodes))

    def element(self, base: str, indices: Sequence[Node]) -> Box:
        """A value of an array, with its indices below or in brackets; a power of the name stays above."""
        if self.context.brackets:
            return Box(f"{base}[{self.indices(indices)}]")
        low = lowered([_close(self.box(i).tex) for i in indices])
        letter = base.rstrip(_RAISED)
        if low is None or {"_", "^"} & set(base) or letter[-1] in _DIGITS_BELOW:
            raise _NoSubscript
        return Box(letter + low + base[len(letter) :], ATOM if letter == base else SCRIPTED)

    def indices(self, nodes: Sequence[Node]) -> str:
        """Subscripts, close together where they are plain."""
        boxes = [self.box(n) for n in nodes]
        gap = "," if all(b.level >= SCRIPTED for b in boxes) else ", "
        return gap.join(_close(b.tex) for b in boxes)

    def number(self, digits: str) -> Box:
        """A number as written; ``1.0e-8`` as a power of ten."""
        mantissa, mark, exponent = digits.lower().partition("e")
        whole, _, fraction = mantissa.partition(".")
        shown = (whole or "0") + (f".{fraction}" if fraction else "")
        if not mark:
            return Box(shown)
        power = "10" + str(int(exponent)).translate(SUPERSCRIPT_DIGITS)
        if whole == "1" and not fraction.strip("0"):
            return Box(power, SCRIPTED)
        return Box(f"{shown}·{power}", PRODUCT)

    def exponent(self, node: Node) -> str:
        """Raised digits where Unicode has them, ``^p`` and ``^(p/q)`` elsewhere."""
        box = self.box(node)
        if re.fullmatch(r"−?\d+", box.tex):
            return box.tex.translate(SUPERSCRIPT_DIGITS)
        shown = _close(box.tex)
        plain = box.level == ATOM and re.fullmatch(r"[\w.]+|⌊[^⌊⌋]*⌋", shown)
        return f"^{shown}" if plain else f"^({shown})"

    def raised(self, base: Node, above: str) -> Box:
        """The base with something above right."""
        box = self.box(base)
        primed = above == "ᵀ" and isinstance(base, Name) and box.tex.endswith("′")
        return Box(f"{box.tex if primed else held(box, ATOM)}{above}", SCRIPTED)

    def negated(self, box: Box) -> Box:
        """A leading minus."""
        inner = f"({box.tex})" if box.negative else held(box, PRODUCT)
        closed = f"(−{inner})" if box.closed is not None else None
        return Box(f"−{inner}", PRODUCT, closed=closed)

    def sum(self, chain: Chain) -> Box:
        """Terms with plus and minus."""
        boxes = [self.box(o) for o in chain.operands]
        shown = held(boxes[0], SUM)
        for operator, box in zip(chain.operators, boxes[1:], strict=True):
            loose = box.negative or (operator == "-" and box.level == SUM)
            sign = "−" if operator == "-" else "+"
            shown += f" {sign} {f'({box.tex})' if loose else held(box, SUM)}"
        return Box(shown, SUM)

    def product(self, product: Product) -> Box:
        """Factors with a dot, a circled dot for elementwise products, a blank for matrix products."""
        boxes = [self.box(f) for f in product.factors]
        last = len(boxes) - 1
        quotients = sum(isinstance(f, Call) and f.function == "d" for f in product.factors)
        shown = ""
        for at, box in enumerate(boxes):
            fraction = at == 0 and isinstance(product.factors[0], (Fraction, Number)) and " " not in box.tex
            if box.negative or (box.level <= PRODUCT and not fraction):
                shown += f"({box.tex})"
            else:
                shown += box.tex if at == last and quotients < 2 else box.closed or box.tex
            if at < last:
                shown += {HADAMARD: " ⊙ ", MATRIX: " "}.get(product.joints[at], "·")
        open_end = boxes[-1].closed is not None and shown.endswith(boxes[-1].tex)
        return Box(shown, PRODUCT, closed=f"({shown})" if open_end else None)

    def fraction(self, numerator: Item, denominator: Item) -> Box:
        """``a/b``, with blanks around the slash where the parts have some."""
        above, below = self.box(numerator), self.box(denominator)
        over = f"({above.tex})" if above.level < PRODUCT or above.closed is not None else above.tex
        under = held(below, FACTOR)
        spaced = below.closed is not None or re.search(r" (?![^(\[]*[)\]])", over)
        slash = " / " if spaced else "/"
        closed = None if below.closed is None else f"{over}{slash}{below.closed}"
        return Box(f"{over}{slash}{under}", PRODUCT, closed=closed)

    # Calls

    def function(self, name: str) -> str:
        """A function's name; a symbol's own glyph, an entry's id as it is."""
        if name in self.context.calls and name not in BUILT_IN:
            return tex_to_text(split_notation(self.context.calls[name]).head) or name
        if name in self.context.glyphs or name in self.context.kinds or name in ("Phi", "Gamma"):
            return symbol_text(name, self.context)
        return name

    def call(self, call: Call) -> Box:
        """Any call: the built-in words by their own rules, everything else as ``f(a, b)``."""
        bound = binder(call, self.context)
        if bound is not None:
            return self.reduction(call.function, bound)
        own = getattr(self, f"call_{call.function}", None) if call.function in BUILT_IN | {"iverson", "tuple"} else None
        found = own(call.arguments) if own is not None else None
        if isinstance(found, Box):
            return found
        return self.applied(call, separators_of(call.function, self.context))

    def applied(self, call: Call, separators: Sequence[str]) -> Box:
        """``f(a, b)``."""
        boxes = [self.box(a) for a in call.arguments]
        shown = [held(b, LOGIC) if len(boxes) > 1 else b.tex for b in boxes] + (["…"] if call.rest else [])
        signs = [_SEPARATORS[s] for s in separators][: len(shown) - 1]
        signs += [", "] * (len(shown) - 1 - len(signs))
        inner = "".join(map("".join, zip(shown, [*signs, ""], strict=True)))
        return Box(f"{self.function(call.function)}({inner})")

    def reduction(self, function: str, bound: Binder) -> Box:
        """``Σ_k exp(z[k])`` and its kin."""
        body = self.box(bound.body)
        below = self.below(bound)
        if function == "mean":
            number = count(bound, self.context)
            if number is not None:
                return self.signed(f"1/{held(self.box(number), FACTOR)}·Σ", below, body)
        if function in _SIGNS:
            return self.signed(_SIGNS[function], below, body)
        if function == "concat" and (parts := span(bound, self.context)) is not None:
            return Box(f"[{'; …; '.join(self.box(p).tex for p in parts)}]")
        return Box(f"{self.function(function)}{below}({body.tex})")

    def signed(self, sign: str, below: str, body: Box) -> Box:
        """A sign with its indices, and a body that ends at the next plus or minus."""
        inner = f"({body.tex})" if body.negative else held(body, PRODUCT)
        shown = f"{sign}{below} {inner}"
        return Box(shown, FACTOR, closed=f"({shown})")

    def below(self, bound: Binder) -> str:
        """Indices and conditions below a sign."""
        listed, conditions = bound.limits()
        limit = common_limit(bound, self.context)
        if limit is not None:
            names = ",".join(self.box(i).tex for i in bound.indices)
            return f"_{{0≤{names}<{_close(self.box(limit).tex)}}}"
        indices = ",".join(self.box(i).tex for i in listed)
        shown = ", ".join(_close(self.box(c).tex.replace(" = ", "=")) for c in conditions)
        if not conditions:
            low = None if self.context.brackets else lowered(indices.split(","))
            return low or (f"_{indices}" if len(indices) == 1 else f"_{{{indices}}}")
        gap = ": " if bound.separates() else ", "
        return f"_{{{indices}{gap if indices else ''}{shown}}}"

    def call_sqrt(self, arguments: Sequence[Node]) -> Box:
        """A root sign."""
        inner = self.box(arguments[0])
        short = isinstance(arguments[0], (Name, Element, Number)) and inner.level == ATOM
        return Box(f"√{inner.tex}" if short else f"√({inner.tex})", SCRIPTED)

    def call_abs(self, arguments: Sequence[Node]) -> Box:
        """Vertical bars."""
        return Box(f"|{self.box(arguments[0]).tex}|")

    def call_floor(self, arguments: Sequence[Node]) -> Box:
        """Floor brackets."""
        return Box(f"⌊{self.box(arguments[0]).tex}⌋")

    def call_norm(self, arguments: Sequence[Node]) -> Box:
        """Double bars, with the order where it is known: 2 for vectors, F for matrices."""
        axes = rank(arguments[0], self.context)
        order = self.box(arguments[1]).tex if len(arguments) > 1 else {1: "2", 2: "F"}.get(axes, "")
        below = order.translate(SUBSCRIPT_DIGITS) if order.isdigit() else order and f"_{order}"
        return Box(f"‖{self.box(arguments[0]).tex}‖{below}")

    def call_inv(self, arguments: Sequence[Node]) -> Box:
        """``A⁻¹``."""
        return self.raised(arguments[0], "⁻¹")

    def call_matpow(self, arguments: Sequence[Node]) -> Box | None:
        """``A^k``."""
        return self.raised(arguments[0], self.exponent(arguments[1])) if len(arguments) == 2 else None

    def call_logdet(self, arguments: Sequence[Node]) -> Box:
        """Logarithm of the absolute determinant."""
        return Box(f"log|det({self.box(arguments[0]).tex})|")

    def call_trace(self, arguments: Sequence[Node]) -> Box:
        """Sum of the diagonal."""
        return Box(f"tr({self.box(arguments[0]).tex})")

    def call_eye(self, arguments: Sequence[Node]) -> Box:
        """Identity matrix with its size."""
        return Box(f"I_{self._sizes(arguments)}" if arguments else "I")

    def call_zeros(self, arguments: Sequence[Node]) -> Box:
        """Array of zeros."""
        return Box(f"0_{self._sizes(arguments)}" if arguments else "0")

    def call_ones(self, arguments: Sequence[Node]) -> Box:
        """Array of ones."""
        return Box(f"1_{self._sizes(arguments)}" if arguments else "1")

    def _sizes(self, arguments: Sequence[Node]) -> str:
        shown = "×".join(_close(held(self.box(a), PRODUCT)) for a in arguments)
        return shown if shown.isalnum() else f"{{{shown}}}"

    def call_one_hot(self, arguments: Sequence[Node]) -> Box:
        """The unit vector of a label; its length is understood."""
        return Box(f"one_hot({self.box(arguments[0]).tex})")

    def call_delta(self, arguments: Sequence[Node]) -> Box:
        """Kronecker delta."""
        return self.element("δ", arguments)

    def call_iverson(self, arguments: Sequence[Node]) -> Box:
        """1 where the condition holds, else 0."""
        return Box(f"[{self.box(arguments[0]).tex}]")

    def call_tuple(self, arguments: Sequence[Node]) -> Box:
        """Several places."""
        return Box(f"({', '.join(self.box(a).tex for a in arguments)})")

    def call_stop(self, arguments: Sequence[Node]) -> Box:
        """Stop-gradient."""
        return Box(f"sg({self.box(arguments[0]).tex})")

    def call_d(self, arguments: Sequence[Node]) -> Box | None:
        """A derivative as a quotient."""
        if len(arguments) != 2:
            return None
        twice = second_derivative(Call("d", tuple(arguments)))
        if twice is not None:
            value, first, second = (self.box(part) for part in twice)
            same = first.tex == second.tex
            below = f"∂{held(first, ATOM)}²" if same else f"(∂{first.tex} ∂{second.tex})"
            return Box(f"∂²{value.tex}/{below}", FACTOR, closed=f"(∂²{value.tex}/{below})")
        if is_gradient(arguments[0], arguments[1], self.context):
            body = self.box(arguments[0])
            shown = f"∇_{self.box(arguments[1]).tex} {f'({body.tex})' if body.negative else held(body, FACTOR)}"
            return Box(shown, FACTOR, closed=f"({shown})")
        above, below = (f"∂{held(self.box(a), ATOM)}" for a in arguments)
        return Box(f"{above}/{below}", FACTOR, closed=f"({above}/{below})")

    def call_concat(self, arguments: Sequence[Node]) -> Box:
        """Blocks side by side."""
        return Box(f"[{'; '.join(self.box(a).tex for a in arguments)}]")

    def call_vjp(self, arguments: Sequence[Node]) -> Box | None:
        """The transposed Jacobian applied to the cotangent."""
        if len(arguments) != 3:
            return None
        above, below = (f"∂{held(self.box(a), ATOM)}" for a in arguments[:2])
        return Box(f"({above}/{below})ᵀ {held(self.box(arguments[2]), SCRIPTED)}", PRODUCT)

    def call_E(self, arguments: Sequence[Node]) -> Box | None:
        """An expectation over a variable and its law."""
        if len(arguments) < 2:
            return None
        body, variable, *law = arguments
        below = self.box(variable).tex
        if law:
            found = law_of(variable, law[0])
            separators = separators_of(found.function, self.context)[1:] if isinstance(found, Call) else ()
            below += "∼" + (self.applied(found, separators) if isinstance(found, Call) else self.box(found)).tex
        return Box(f"E_{{{below}}}[{self.box(body).tex}]")

    def call_integral(self, arguments: Sequence[Node]) -> Box | None:
        """An integral with its limits."""
        if len(arguments) != 4:
            return None
        body, variable, low, high = (self.box(a) for a in arguments)
        shown = f"∫_{{{_close(low.tex)}}}^{{{_close(high.tex)}}} {held(body, PRODUCT)} d{variable.tex}"
        return Box(shown, FACTOR, closed=f"({shown})")


def _close(shown: str) -> str:
    """Without the blanks around signs that a small line does not need."""
    return re.sub(r" ([+−<>≤≥≠]) ", r"\1", shown)
