"""One line of Unicode for a terminal: ``ŷ[j]·Σ_c y[c] − y[j]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kb.errors import LanguageError
from kb.printing.binders import merge_indices
from kb.printing.boxes import ATOM, CASES, FACTOR, LOGIC, PRODUCT, RELATION, SCRIPTED, SUM, Box, held
from kb.printing.functions import derivative_word
from kb.printing.glyphs import (
    SUPERSCRIPT_DIGITS,
    Context,
    lowered,
    symbol_text,
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
    column_of,
    context_of_targets,
    contexts_in_time,
)
from kb.printing.text_calls import TextCalls, close
from kb.printing.trees import in_chains
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
    walk,
)

__all__ = ["Context", "alike", "symbol_text", "text", "text_lines"]

RELATIONS = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥", "<": "<", ">": ">"}
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻′*"
_RAISED_DIGITS = _RAISED[:10]
_LOWERED_DIGITS = str.maketrans(_RAISED_DIGITS, "0123456789")
_DIGITS_BELOW = "₀₁₂₃₄₅₆₇₈₉"


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


def _multiplies(index: Node) -> bool:
    """Whether two factors would look like two indices."""
    products = (n.operands for n in walk(index) if isinstance(n, Chain) and "*" in n.operators)
    return any(sum(not isinstance(o, Number) for o in operands) > 1 for operands in products)


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


class TextPrinter(TextCalls):
    """Prints the parts of one formula."""

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
                if (matrix := column_of(merged, self.context)) is not None:
                    return Box(f"{self.box(matrix).tex}[:,{self.listed(merged.indices)}]")
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
            case Logic(operator):
                parts = [self.chain(chain) for chain in in_chains(item)]
                return Box(f" {operator} ".join(parts), LOGIC if len(parts) > 1 else RELATION)
            case Not(operand):
                return Box(f"not {held(self.box(operand), RELATION)}", LOGIC)
            case Cases():
                pairs, otherwise = branches(item)
                shown = ", ".join(f"{held(self.box(v), SUM)} if {self.box(c).tex}" for v, c in pairs)
                return Box(f"{shown}, else {self.box(otherwise).tex}", CASES)
            case Array(items):
                return Box(f"[{self.listed(items)}]")
        raise TypeError(f"not an expression: {item!r}")

    def chain(self, conditions: Sequence[Node]) -> str:
        """A condition, or comparisons of which each takes up the right side of the one before."""
        first, *rest = conditions
        more = (f" {RELATIONS[c.operator]} {held(self.box(c.right), SUM)}" for c in rest if isinstance(c, Comparison))
        return held(self.box(first), RELATION) + "".join(more)

    def listed(self, nodes: Sequence[Node]) -> str:
        """Arguments or items, with commas."""
        return ", ".join(held(b, LOGIC) if len(nodes) > 1 else b.tex for b in map(self.box, nodes))

    def element(self, base: str, indices: Sequence[Node]) -> Box:
        """A value of an array, with its indices below or in brackets; a power of the name stays above."""
        if self.context.brackets:
            return Box(f"{base}[{self.indices(indices)}]")
        low = lowered([close(self.box(i).tex) for i in indices])
        letter = base.rstrip(_RAISED)
        if low is None or {"_", "^"} & set(base) or letter[-1] in _DIGITS_BELOW or any(map(_multiplies, indices)):
            raise _NoSubscript
        return Box(letter + low + base[len(letter) :], ATOM if letter == base else SCRIPTED)

    def indices(self, nodes: Sequence[Node]) -> str:
        """Subscripts, close together where they are plain."""
        boxes = [self.box(n) for n in nodes]
        gap = "," if all(b.level >= SCRIPTED for b in boxes) else ", "
        return gap.join(close(b.tex) for b in boxes)

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
        shown = close(box.tex)
        plain = box.level == ATOM and re.fullmatch(r"[\w.]+|⌊[^⌊⌋]*⌋", shown)
        return f"^{shown}" if plain else f"^({shown})"

    def raised(self, base: Node, above: str) -> Box:
        """The base with something above right."""
        box = self.box(base)
        own = re.fullmatch(r"(.*?)([⁰¹²³⁴-⁹]+)", box.tex) if isinstance(base, Name | Element) else None
        if own and set(above) <= set(_RAISED_DIGITS):
            power = int(own[2].translate(_LOWERED_DIGITS)) * int(above.translate(_LOWERED_DIGITS))
            return Box(own[1] + str(power).translate(SUPERSCRIPT_DIGITS), SCRIPTED)
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
