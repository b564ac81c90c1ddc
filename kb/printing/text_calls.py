"""One line of Unicode for calls: functions, reductions over indices, matrix functions, operators of the calculus."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from kb.glyphs import split_notation
from kb.printing.binders import Binder, binder, common_limit, count, span
from kb.printing.boxes import ATOM, FACTOR, LOGIC, PRODUCT, SCRIPTED, Box, held
from kb.printing.glyphs import SUBSCRIPT_DIGITS, Context, lowered, symbol_text, tex_to_text
from kb.printing.layout import Item, is_gradient, law_of, second_derivative, separators_of, without_brackets
from kb.printing.ranks import rank
from kb.tree import Call, Element, Name, Node, Number
from kb.vocabulary import BUILT_IN

_SEPARATORS = {",": ", ", ";": "; ", "|": " | ", "||": " ‖ "}
_SIGNS = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min", "argmax": "argmax", "argmin": "argmin"}


class TextCalls(ABC):
    """The part of the text printer that knows functions."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def box(self, item: Item) -> Box:
        """Print one part."""

    @abstractmethod
    def element(self, base: str, indices: Sequence[Node]) -> Box:
        """Print a value of an array."""

    @abstractmethod
    def exponent(self, node: Node) -> str:
        """Print what is raised."""

    @abstractmethod
    def raised(self, base: Node, above: str) -> Box:
        """Print a base with something above right."""

    @abstractmethod
    def listed(self, nodes: Sequence[Node]) -> str:
        """Print a list of arguments or items."""

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
        boxes = [self.box(a) for a in without_brackets(call.function, call.arguments, self.context)]
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
                return replace(self.signed(f"1/{held(self.box(number), FACTOR)}·Σ", below, body), level=PRODUCT)
        if function in _SIGNS:
            return self.signed(_SIGNS[function], below, body)
        if function == "concat" and (parts := span(bound, self.context)) is not None:
            return self.joined(parts, "…")
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
            return f"_{{0≤{names}<{close(self.box(limit).tex)}}}"
        indices = ",".join(self.box(i).tex for i in listed)
        shown = ", ".join(close(self.box(c).tex.replace(" = ", "=")) for c in conditions)
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
        shown = "×".join(close(held(self.box(a), PRODUCT)) for a in arguments)
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
            inner = f"({body.tex})" if body.negative else held(body, FACTOR)
            shown = f"∇{low_text(self.box(arguments[1]).tex)} {inner}"
            return Box(shown, FACTOR, closed=f"({shown})")
        above, below = (f"∂{_differential(self.box(a))}" for a in arguments)
        return Box(f"{above}/{below}", FACTOR, closed=f"({above}/{below})")

    def call_concat(self, arguments: Sequence[Node]) -> Box:
        """Blocks joined along their last axis."""
        return self.joined(arguments)

    def joined(self, blocks: Sequence[Node], *dots: str) -> Box:
        """``[x; y]`` of vectors, ``[A, B]`` of matrices, which stand side by side; dots stand before the last."""
        first, *others = (self.box(b).tex for b in blocks)
        comma = ", " if rank(blocks[0], self.context) > 1 else "; "
        return Box(f"[{comma.join((first, *dots, *others))}]")

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
        shown = f"∫_{{{close(low.tex)}}}^{{{close(high.tex)}}} {held(body, PRODUCT)} d{variable.tex}"
        return Box(shown, FACTOR, closed=f"({shown})")


def _differential(box: Box) -> str:
    """What follows ``∂``: a new state ``x⁺`` needs no brackets, a power does."""
    return box.tex if box.level == SCRIPTED and box.tex.endswith("⁺") else held(box, ATOM)


def low_text(shown: str) -> str:
    """A name below a sign: in braces where it has parts of its own."""
    return f"_{shown}" if len(shown) == 1 or shown.isalnum() else f"_{{{shown}}}"


def close(shown: str) -> str:
    """Without the blanks around signs that a small line does not need."""
    return re.sub(r" ([+−<>≤≥≠]) ", r"\1", shown)
