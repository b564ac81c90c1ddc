"""LaTeX of formulas, as a careful author would set them; amsmath and amssymb, and KaTeX, know every word.

Each part becomes a ``Box``: its TeX and how tightly that holds together. Parentheses appear where
a part holds together less tightly than its place demands, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb.errors import LanguageError
from kb.printing.binders import merge_indices
from kb.printing.boxes import ATOM, CASES, FACTOR, LOGIC, PRODUCT, RELATION, SCRIPTED, SUM, Box, fenced, held
from kb.printing.functions import derivative_word
from kb.printing.glyphs import Context, Glyph, assemble, braced, glyph_latex, symbol_latex
from kb.printing.latex_calls import CallPrinter
from kb.printing.layout import (
    HADAMARD,
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
)
from kb.printing.layouts import in_layout
from kb.printing.ranks import rank
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
)

__all__ = ["Context", "LatexPrinter", "latex", "symbol_latex"]

RELATIONS = {"==": "=", "!=": r"\ne", "<=": r"\le", ">=": r"\ge", "<": "<", ">": ">"}
# TeX itself puts space before these.
_SPACED = (
    r"\log", r"\ln", r"\sin", r"\cos", r"\tan", r"\exp", r"\max", r"\min", r"\sum", r"\prod", r"\int", r"\det", r"\arc",
    r"\operatorname", r"\frac",
)  # fmt: skip
# What would run into a letter beside it: words, not a letter in another face.
_ROMAN = re.compile(r"\\math(?:rm|bf|sf)\{[^{}]{2,}|\\sqrt")
_CLOSING = (")", "]", r"\rvert", r"\rVert")
TOO_DEEP = "the formula is nested too deeply to be printed; split it into steps"


def latex(node: Node, context: Context | None = None, relation: str = "=") -> str:
    """LaTeX of an expression, a step or a claim, without dollar signs.

    Raises LanguageError where a formula is nested too deeply.
    """
    context = context or Context()
    printer = LatexPrinter(context)
    try:
        node = in_layout(node, context)
        if isinstance(node, (Step, Claim)):
            left, sign, right = printer.sides(node, relation)
            return f"{left} {sign} {right}"
        return printer.box(node).at_the_end
    except RecursionError:
        raise LanguageError(TOO_DEEP, node.at) from None


class LatexPrinter(CallPrinter):
    """Prints the parts of one formula. ``inline`` parts (exponents, fractions) use a slash for fractions."""

    def sides(self, statement: Step | Claim, relation: str) -> tuple[str, str, str]:
        """Left side, sign and right side of a statement."""
        if isinstance(statement, Claim):
            right = self.box(statement.right)
            loose = right.level == CASES or right.level >= SUM
            left = self.side(statement.left, inline=False)
            return left, RELATIONS[statement.relation], right.at_the_end if loose else fenced(right)
        target = LatexPrinter(context_of_targets(statement, self.context))
        targets = [target.box(t).tex for t in statement.targets]
        left = targets[0] if len(targets) == 1 else f"({', '.join(targets)})"
        return left, relation, self.box(statement.value).at_the_end

    def box(self, item: Item, inline: bool = False) -> Box:
        """Print one part."""
        match item:
            case Number(text):
                return self.number(text)
            case Name(id):
                return self.name(id)
            case Element():
                return self.element(merge_indices(item), inline)
            case Call():
                return self.call(item, inline)
            case Prime(function, arguments, by):
                word = derivative_word(function, by)
                known = word in self.context.glyphs
                sign = self.function(word) if known else self.function(function) + "'" * max(1, len(by))
                return self.applied(sign, arguments, inline)
            case Transpose(operand):
                return self.raised(operand, self.sign("transpose"), inline)
            case Power(base, exponent):
                return self.power(base, exponent, inline)
            case Negative(operand):
                return self.negated(self.box(operand, inline))
            case Signed(content):
                return self.negated(self.box(content, inline))
            case Chain(_, operators):
                return self.sum(item, inline) if operators[0] in "+-" else self.box(arrange(item, self.context), inline)
        return self.structure(item, inline)

    def structure(self, item: Item, inline: bool) -> Box:
        """Print what is neither a value nor an arithmetic operation of the author's."""
        match item:
            case Product():
                return self.product(item, inline)
            case Fraction(numerator, denominator):
                return self.fraction(numerator, denominator, inline)
            case Floor(content):
                inner = self.box(content, inline)
                return Box(fenced(inner, r"\lfloor", r"\rfloor"), tall=inner.tall)
            case Modulo(left, right):
                tex = rf"{held(self.box(left, inline), PRODUCT)} \bmod {held(self.box(right, inline), FACTOR)}"
                return Box(tex, RELATION)
            case Comparison(operator, left, right):
                return Box(f" {RELATIONS[operator]} ".join(self.side(s, inline) for s in (left, right)), RELATION)
            case Logic(operator):
                parts = [self.chain(chain, inline) for chain in in_chains(item)]
                return Box(rf" \text{{ {operator} }} ".join(parts), LOGIC if len(parts) > 1 else RELATION)
            case Not(operand):
                return Box(rf"\text{{not }} {held(self.box(operand, inline), RELATION)}", LOGIC)
            case Cases():
                return self.cases(item)
            case Array(items):
                return self.array(items, inline)
        raise TypeError(f"not an expression: {item!r}")

    def side(self, node: Node, inline: bool) -> str:
        """One side of a comparison; the remainder of a division needs no parentheses there."""
        box = self.box(node, inline)
        return box.tex if isinstance(node, Chain) and node.operators[-1] == "%" else held(box, SUM)

    def chain(self, conditions: Sequence[Node], inline: bool) -> str:
        """A condition, or comparisons of which each takes up the right side of the one before."""
        first, *rest = conditions
        more = (f" {RELATIONS[c.operator]} {self.side(c.right, inline)}" for c in rest if isinstance(c, Comparison))
        return held(self.box(first, inline), RELATION) + "".join(more)

    def number(self, text: str) -> Box:
        """A number as written; ``1.0e-8`` as a power of ten."""
        mantissa, mark, exponent = text.lower().partition("e")
        whole, _, digits = mantissa.partition(".")
        shown = (whole or "0") + (f".{digits}" if digits else "")
        if not mark:
            return Box(shown)
        power = f"10^{braced(str(int(exponent)))}"
        if whole == "1" and not digits.strip("0"):
            return Box(power, SCRIPTED)
        return Box(rf"{shown} \times {power}", PRODUCT)

    def name(self, name: str) -> Box:
        """A symbol, with its own glyph where the context has one."""
        if name not in self.context.ranks and name not in self.context.glyphs and name == "oo":
            return Box(r"\infty")
        glyph = glyph_latex(name, self.context)
        return Box(assemble(glyph), SCRIPTED if glyph.superscripts else ATOM, glyph=glyph)

    def element(self, element: Element, inline: bool) -> Box:
        """A value of an array: its indices join the subscripts that the name already has."""
        matrix = column_of(element, self.context)
        base = self.indexed(matrix or element.base, len(element.indices), inline)
        below = (":," if matrix else "") + self.indices(element.indices)
        if base.glyph is not None:
            glyph = Glyph(base.glyph.base, (*base.glyph.subscripts, below), base.glyph.superscripts)
            return Box(assemble(glyph), base.level, glyph=glyph)
        marks = ("[", "]") if "(" in base.tex else ("(", ")")
        glyph = Glyph(base.tex if base.level >= ATOM else fenced(base, *marks), (below,))
        return Box(assemble(glyph), tall=base.tall, glyph=glyph)

    def indexed(self, base: Node, count: int, inline: bool) -> Box:
        """What has so many indices: its letter is set as what is left of its axes asks for."""
        if not isinstance(base, Name):
            return self.box(base, inline)
        glyph = glyph_latex(base.id, self.context, max(0, self.context.ranks.get(base.id, 0) - count))
        return Box(assemble(glyph), SCRIPTED if glyph.superscripts else ATOM, glyph=glyph)

    def indices(self, indices: Sequence[Node]) -> str:
        """Indices side by side where all are single letters, with commas otherwise."""
        boxes = [self.box(i, inline=True) for i in indices]
        plain = all(isinstance(i, Name) and len(symbol_name(b.tex)) == 1 for i, b in zip(indices, boxes, strict=True))
        if len(boxes) > 1 and not (plain and self.context.profile.indices == "joined"):
            gap = r",\," if any(b.level < ATOM for b in boxes) else ","
            return gap.join(compact(b.tex) for b in boxes)
        tex = ""
        for box in boxes:
            tex += (" " if tex and "\\" in tex and box.tex[0].isalpha() else "") + compact(box.tex)
        return tex

    def power(self, base: Node, exponent: Node, inline: bool) -> Box:
        """``base**exponent``; a few functions take the exponent at their name."""
        if isinstance(base, Call) and isinstance(exponent, Number) and exponent.text.isdigit():
            tex = self.function_power(base, exponent.text, inline)
            if tex is not None:
                return tex
        return self.raised(base, compact(self.box(exponent, inline=True).tex), inline)

    def raised(self, base: Node, above: str, inline: bool) -> Box:
        """The base with something above right, joining its subscripts: ``x_i^2``."""
        box = self.box(base, inline)
        if box.glyph is not None:
            glyph = box.glyph
            joins = above == self.sign("transpose") and all(set(s) == {"'"} for s in glyph.superscripts)
            if len(glyph.superscripts) == 1 and glyph.superscripts[0].isdigit() and above.isdigit():
                power = str(int(glyph.superscripts[0]) * int(above))  # of s^2 the square is s^4
                return Box(assemble(Glyph(glyph.base, glyph.subscripts, (power,))), SCRIPTED, box.tall)
            if not glyph.superscripts or joins:
                return Box(
                    assemble(Glyph(glyph.base, glyph.subscripts, (*glyph.superscripts, above))), SCRIPTED, box.tall
                )
        return Box(f"{held(box, ATOM)}^{braced(above)}", SCRIPTED, box.tall)

    def negated(self, box: Box) -> Box:
        """A leading minus."""
        inner = fenced(box) if box.negative else held(box, PRODUCT)
        closed = None if box.closed is None or inner != box.tex else f"-{box.closed}"
        bare = None if box.bare is None or box.negative else f"-{box.bare}"
        return Box(f"-{inner}", PRODUCT, box.tall, closed, bare)

    def sum(self, chain: Chain, inline: bool) -> Box:
        """Terms with plus and minus."""
        boxes = [self.box(o, inline) for o in chain.operands]
        return Box(" ".join(self.terms(chain, boxes)), SUM, any(b.tall for b in boxes))

    def terms(self, chain: Chain, boxes: Sequence[Box]) -> list[str]:
        """The terms of a sum, all but the first with their signs."""
        found = [held(boxes[0], SUM)]
        for operator, box in zip(chain.operators, boxes[1:], strict=True):
            loose = box.negative or (operator == "-" and box.level == SUM)
            found.append(f"{operator} {fenced(box) if loose else held(box, SUM)}")
        return found

    def product(self, product: Product, inline: bool) -> Box:
        """Factors side by side, with a sign between them only where they would be misread."""
        boxes = [self.box(f, inline) for f in product.factors]
        last = len(boxes) - 1
        texts = [
            fenced(b)
            if b.negative or (b.level <= PRODUCT and not (at == 0 and isinstance(product.factors[0], Number)))
            else b.tex
            if at == last
            else b.closed or b.tex
            for at, b in enumerate(boxes)
        ]
        front = texts[0]
        for at, joint in enumerate(product.joints[:-1]):
            front += self.gap(product.factors[at], texts[at], product.factors[at + 1], texts[at + 1], joint)
            front += texts[at + 1]
        end = boxes[-1]
        bare = None
        if end.bare is not None and not end.negative:
            gap = self.gap(product.factors[-2], texts[-2], product.factors[-1], end.bare, product.joints[-1])
            bare = front + gap + end.bare
        front += self.gap(product.factors[-2], texts[-2], product.factors[-1], texts[-1], product.joints[-1])
        closed = None if end.closed is None or texts[-1] != end.tex else front + end.closed
        return Box(front + texts[-1], PRODUCT, any(b.tall for b in boxes), closed, bare)

    def gap(self, left: Item, left_tex: str, right: Item, right_tex: str, joint: str) -> str:
        """What stands between two factors."""
        if joint == HADAMARD:
            return f" {self.sign('elementwise')} "
        if right_tex[0].isdigit() or (isinstance(left, Name) and self.is_function(left.id) and right_tex[0] == "("):
            return r" \cdot "
        opens = right_tex.startswith(("(", "[", r"\left", r"\lvert", r"\lVert", r"\lfloor"))
        meets = right_tex[0] not in "[\\" and opens and left_tex.endswith(")")
        if isinstance(left, Number) or left_tex.startswith(r"\frac") or meets:
            return " " if right_tex[0].isalpha() or right_tex[0] == "\\" else ""
        if right_tex.startswith(_SPACED):
            return " "
        word = _ROMAN.match(right_tex) or _ROMAN.match(left_tex) or left_tex.endswith(_CLOSING)
        return r"\, " if opens or word else " "

    def fraction(self, numerator: Item, denominator: Item, inline: bool) -> Box:
        """A fraction; with a slash where the line is small."""
        above, below = self.box(numerator, inline=True), self.box(denominator, inline=True)
        if not inline:
            return Box(rf"\frac{{{above.tex}}}{{{below.tex}}}", FACTOR, tall=True)
        over = fenced(above) if above.level < PRODUCT or isinstance(numerator, Fraction) else above.closed or above.tex
        under = fenced(below) if below.closed is not None else held(below, FACTOR)
        return Box(f"{over}/{under}", PRODUCT, above.tall or below.tall)

    def cases(self, cases: Cases) -> Box:
        """Branches below each other; chained ones are one list."""
        pairs, otherwise = branches(cases)
        rows = [rf"{self.box(value).tex} & \text{{if }} {self.box(condition, True).tex}" for value, condition in pairs]
        rows.append(rf"{self.box(otherwise).tex} & \text{{otherwise}}")
        tex = r"\begin{cases} " + r" \\ ".join(rows) + r" \end{cases}"
        return Box(tex, CASES, tall=True, bare=tex)

    def array(self, items: Sequence[Node], inline: bool) -> Box:
        """A matrix literal, or a vector in brackets."""
        if not all(isinstance(i, Array) for i in items) or any(rank(i, self.context) > 1 for i in items):
            boxes = [self.box(i, inline) for i in items]
            content = Box(r",\, ".join(b.tex for b in boxes), CASES, any(b.tall for b in boxes))
            return Box(fenced(content, "[", "]"), tall=content.tall)
        rows = [" & ".join(self.box(v, True).tex for v in row.items) for row in items if isinstance(row, Array)]
        return Box(r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}", tall=True)


def compact(tex: str) -> str:
    """Without the blanks around signs that a small line does not need."""
    for sign in ("+", "-", "="):
        tex = tex.replace(f" {sign} ", sign)
    return tex


def symbol_name(tex: str) -> str:
    """``x`` for a TeX letter or a single Greek control word, the TeX itself otherwise."""
    return "x" if tex.startswith("\\") and tex[1:].isalpha() else tex.rstrip("'")
