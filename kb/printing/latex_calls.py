"""LaTeX of calls: functions, reductions over indices, matrix functions, operators of the calculus."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

from kb.glyphs import split_notation
from kb.printing.binders import Binder, binder, common_limit, count, limits, span
from kb.printing.boxes import ATOM, CASES, FACTOR, PRODUCT, SCRIPTED, SUM, Box, fenced, held
from kb.printing.glyphs import Context, braced, is_letter, split_name, symbol_latex
from kb.printing.layout import (
    Item,
    is_gradient,
    is_quotient,
    is_short,
    law_of,
    second_derivative,
    separators_of,
    tall,
    without_brackets,
)
from kb.printing.ranks import rank
from kb.profiles import Trait
from kb.tree import Array, Call, Element, Name, Node, Power, Prime
from kb.vocabulary import BUILT_IN, FUNCTIONS

_SIGNS = {
    "sum": r"\sum",
    "mean": r"\sum",
    "prod": r"\prod",
    "max": r"\max",
    "min": r"\min",
    "argmax": r"\operatorname*{arg\,max}",
    "argmin": r"\operatorname*{arg\,min}",
}
_HIGH = {"sum", "mean", "prod"}
_POWERED = {"sin", "cos", "tan", "sinh", "cosh", "tanh"}
_LONG_CONDITION = 34
# Words before which TeX puts the space itself, so that an argument needs no parentheses.
_TEX_WORDS = frozenset(rf"\{word}" for word in "log ln exp sin cos tan sinh cosh tanh arcsin arccos arctan det".split())
_BARS = (r"\lvert", r"\lVert", r"\left\lvert", r"\left\lVert")
_SEPARATORS = {",": ", ", ";": r";\, ", "|": r" \mid ", "||": r" \,\Vert\, "}


class CallPrinter(ABC):
    """The part of the LaTeX printer that knows functions."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def box(self, item: Item, inline: bool = False) -> Box:
        """Print one part."""

    @abstractmethod
    def indices(self, indices: Sequence[Node]) -> str:
        """Print a list of subscripts."""

    @abstractmethod
    def raised(self, base: Node, above: str, inline: bool) -> Box:
        """Print a base with something above right."""

    def sign(self, word: str) -> str:
        """TeX of a sign that a profile may choose."""
        return self.context.profile.sign(word)

    def word(self, name: str) -> str:
        """TeX of a function of the language."""
        return self.context.profile.word(name, FUNCTIONS[name].latex)

    def is_function(self, name: str) -> bool:
        """Whether a name stands for a function of the entry."""
        return self.context.kinds.get(name) in ("function", "law", "reducer")

    def function(self, name: str) -> str:
        """TeX of a function's name."""
        if name in self.context.calls and name not in BUILT_IN:
            return split_notation(self.context.calls[name]).head
        if name in ("max", "min"):
            return f"\\{name}"
        if name in FUNCTIONS and FUNCTIONS[name].latex.startswith("\\") and name not in ("sqrt", "floor"):
            return self.word(name)
        if name not in BUILT_IN and (name in self.context.glyphs or self.is_function(name) or _is_symbol(name)):
            return symbol_latex(name, self.context)
        return rf"\operatorname{{{'-'.join(w for w in name.split('_') if w)}}}"

    def applied(
        self,
        function: str,
        arguments: Sequence[Node],
        inline: bool,
        rest: bool = False,
        separators: Sequence[str] = (),
    ) -> Box:
        """``f(a, b)``."""
        boxes = [self.box(a, inline or is_quotient(a)) for a in arguments]
        texts = [b.tex for b in boxes] + ([r"\dots"] if rest else [])
        signs = [_SEPARATORS[s] for s in separators][: len(texts) - 1]
        signs += [", "] * (len(texts) - 1 - len(signs))
        shown = "".join(map("".join, zip(texts, [*signs, ""], strict=True)))
        content = Box(shown, SUM, any(b.tall for b in boxes))
        gap = r"\!" if content.tall else ""
        return Box(f"{function}{gap}{fenced(content)}", ATOM, content.tall)

    def call(self, call: Call, inline: bool) -> Box:
        """Any call: the built-in words by their own rules, everything else as ``f(a, b)``."""
        bound = binder(call, self.context)
        if bound is not None:
            return self.reduction(call.function, bound, inline)
        own = getattr(self, f"call_{call.function}", None) if call.function in BUILT_IN | {"iverson", "tuple"} else None
        found = own(call.arguments, inline) if own is not None else None
        if isinstance(found, Box):
            return found
        if call.function in FUNCTIONS and FUNCTIONS[call.function].latex.startswith("\\") and len(call.arguments) == 1:
            return self.elementary(call.function, call.arguments[0], inline)
        separators = separators_of(call.function, self.context)
        arguments = without_brackets(call.function, call.arguments, self.context)
        return self.applied(self.function(call.function), arguments, inline, call.rest, separators)

    def elementary(self, name: str, argument: Node, inline: bool) -> Box:
        """``\\log x`` without parentheses where nothing can be misread."""
        word = self.word(name)
        inner = self.box(argument, inline or (is_quotient(argument) and name != "log"))
        gap = r"\!" if inner.tall and word.startswith(r"\operatorname") else ""
        closed = f"{word}{gap}{fenced(inner)}"
        plain = inner.level >= ATOM or (inner.level == SCRIPTED and name == "log" and not isinstance(argument, Power))
        if name == "log":
            plain = plain or (inner.level == FACTOR and _is_big(argument, inner))
        if word not in _TEX_WORDS or not plain:
            return Box(closed, ATOM, inner.tall)
        return Box(f"{word} {inner.tex}", FACTOR, inner.tall, closed=closed)

    def function_power(self, call: Call, exponent: str, inline: bool) -> Box | None:
        """``\\tanh^2 z``, where the field writes it so; None elsewhere."""
        if call.function not in _POWERED or len(call.arguments) != 1:
            return None
        if (word := self.word(call.function)) not in _TEX_WORDS:
            return None
        word = f"{word}^{braced(exponent)}"
        inner = self.box(call.arguments[0], inline)
        closed = f"{word}{fenced(inner)}"
        if inner.level < ATOM:
            return Box(closed, SCRIPTED, inner.tall)
        return Box(f"{word} {inner.tex}", FACTOR, inner.tall, closed=closed)

    # Reductions over indices

    def reduction(self, function: str, bound: Binder, inline: bool) -> Box:
        """``\\sum_{i} ...`` and its kin."""
        body = self.box(bound.body, inline)
        below = self.below(bound)
        if function == "mean":
            number = count(bound, self.context)
            if number is not None:
                return self.average(number, bound, body, inline)
            return _operated(r"\operatorname*{mean}", below, body)
        if function == "concat" and (parts := span(bound, self.context)) is not None:
            return self.joined(parts, inline, dots=True)
        if function in _SIGNS:
            return self.signed(function, bound, body)
        name = rf"\operatorname{{{function}}}"
        if function not in BUILT_IN:
            plain = symbol_latex(function, self.context)
            plain = plain[len(r"\mathrm{") : -1] if plain.startswith(r"\mathrm{") else plain
            name = rf"\operatorname*{{{plain}}}"
        return _operated(name, below, body)

    def signed(self, function: str, bound: Binder, body: Box) -> Box:
        """A sign with its indices below, and a body that ends at the next plus or minus."""
        inner = fenced(body) if body.negative else held(body, PRODUCT)
        high = function in _HIGH
        gap = r"\, " if inner.startswith(_BARS) or (inner.startswith("(") and not high) else " "
        sign = f"{_SIGNS[function]}{self.scripts(function, bound)}"
        box = Box(f"{sign}{gap}{inner}", FACTOR, high or body.tall)
        bare = None if body.bare is None or body.negative else f"{sign} {body.bare}"
        return replace(box, closed=fenced(box), bare=bare)

    def average(self, number: Node, bound: Binder, body: Box, inline: bool) -> Box:
        """A mean as a sum over the number of its terms."""
        total = self.signed("mean", bound, body)
        size = self.box(number, True)
        if inline:
            tex = f"1/{held(size, FACTOR)}"
            return Box(f"({tex}) {total.tex}", FACTOR, True, closed=fenced(total))
        factor = rf"\frac{{1}}{{{size.tex}}}"
        box = Box(f"{factor} {total.tex}", FACTOR, True)
        return replace(box, closed=fenced(box), bare=None if total.bare is None else f"{factor} {total.bare}")

    def scripts(self, function: str, bound: Binder) -> str:
        """What stands below and above a sign."""
        ends = limits(bound, self.context) if function in _HIGH else None
        if ends is None:
            return f"_{braced(self.below(bound))}"
        first, last = (_small(self.box(end, True).tex) for end in ends)
        return rf"_{{{self.box(bound.indices[0]).tex}={first}}}^{braced(last)}"

    def below(self, bound: Binder) -> str:
        """Indices and conditions below a sign."""
        listed, conditions = bound.limits()
        limit = common_limit(bound, self.context)
        if limit is not None:
            indices = ",".join(self.box(i, True).tex for i in bound.indices)
            return rf"0 \le {indices} < {_small(self.box(limit, True).tex)}"
        indices = ",".join(self.box(i, True).tex for i in listed)
        conditions_tex = [_small(self.box(c, True).tex) for c in conditions]
        if not conditions:
            return indices
        together = r",\,".join(conditions_tex)
        if len(re.sub(r"\\[a-zA-Z]+|[{}_^]", "", together)) > _LONG_CONDITION:
            lines = r" \\ ".join(([indices] if indices else []) + conditions_tex)
            return rf"\substack{{{lines}}}"
        if not indices:
            return together
        return rf"{indices} :\, {together}" if bound.separates() else rf"{indices},\,{together}"

    # Built-in functions

    def call_exp(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """A power of e where the exponent is short, ``\\exp`` elsewhere and where e is a symbol."""
        if len(arguments) != 1:
            return None
        if is_short(arguments[0]) and "e" not in self.context.ranks:
            return Box(f"e^{braced(_small(self.box(arguments[0], True).tex))}", SCRIPTED)
        return self.applied(r"\exp", arguments, inline)

    def call_sqrt(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """A root with its bar."""
        if len(arguments) != 1:
            return None
        inner = self.box(arguments[0], inline or is_quotient(arguments[0]))
        return Box(rf"\sqrt{{{inner.tex}}}", SCRIPTED, inner.tall)

    def call_abs(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Vertical bars."""
        inner = self.box(arguments[0], inline)
        return Box(fenced(inner, r"\lvert", r"\rvert"), tall=inner.tall)

    def call_floor(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Floor brackets."""
        inner = self.box(arguments[0], inline)
        return Box(fenced(inner, r"\lfloor", r"\rfloor"), tall=inner.tall)

    def call_norm(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Double bars, with the order where it is known: 2 for vectors, F for matrices."""
        inner = self.box(arguments[0], inline)
        axes = rank(arguments[0], self.context)
        order = self.box(arguments[1], True).tex if len(arguments) > 1 else {1: "2", 2: "F"}.get(axes, "")
        tex = fenced(inner, *self.context.profile.bars)
        return Box(f"{tex}_{braced(order)}" if order else tex, tall=inner.tall)

    def call_inv(self, arguments: Sequence[Node], inline: bool) -> Box:
        """``A^{-1}``."""
        return self.raised(arguments[0], "-1", inline)

    def call_matpow(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """``A^k``."""
        if len(arguments) != 2:
            return None
        return self.raised(arguments[0], _small(self.box(arguments[1], True).tex), inline)

    def call_det(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Determinant."""
        inner = self.box(arguments[0], inline)
        closed = rf"\det{fenced(inner)}"
        if isinstance(arguments[0], (Name, Array)):
            return Box(rf"\det {inner.tex}", FACTOR, inner.tall, closed=closed)
        return Box(closed, ATOM, inner.tall)

    def call_logdet(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Logarithm of the absolute determinant."""
        inner = self.call_det(arguments, inline)
        bars = fenced(inner, r"\lvert", r"\rvert")
        word = self.word("log")
        return Box(f"{word} {bars}", FACTOR, inner.tall, closed=f"{word}({bars})")

    def call_trace(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Sum of the diagonal."""
        return self.applied(self.sign("trace"), arguments, inline)

    def call_eye(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Identity matrix with its size."""
        below = self.indices(arguments)
        sign = self.sign("eye")
        return Box(f"{sign}_{braced(below)}" if below else sign)

    def call_zeros(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Array of zeros."""
        return self.constant(self.sign("zeros"), arguments)

    def call_ones(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Array of ones."""
        return self.constant(self.sign("ones"), arguments)

    def constant(self, tex: str, arguments: Sequence[Node]) -> Box:
        """An array of one value, with its sizes."""
        sizes_tex = r" \times ".join(held(self.box(a, True), PRODUCT) for a in arguments)
        return Box(f"{tex}_{braced(sizes_tex)}" if sizes_tex else tex)

    def call_one_hot(self, arguments: Sequence[Node], inline: bool) -> Box:
        """The unit vector of a label, bold so that it is no symbol e."""
        return Box(f"{self.sign('one_hot')}_{braced(self.indices(arguments[:1]))}")

    # Operators

    def call_delta(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Kronecker delta."""
        return Box(f"{self.sign('delta')}_{braced(self.indices(arguments))}")

    def call_iverson(self, arguments: Sequence[Node], inline: bool) -> Box:
        """1 where the condition holds, else 0."""
        inner = self.box(arguments[0], inline)
        return Box(fenced(inner, "[", "]"), tall=inner.tall)

    def call_tuple(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Several places."""
        return Box("(" + r",\, ".join(self.box(a, inline).tex for a in arguments) + ")")

    def call_stop(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Stop-gradient."""
        return self.applied(self.sign("stop"), arguments, inline)

    def call_d(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """A derivative: the whole quotient where its top is short, an operator elsewhere."""
        if len(arguments) != 2:
            return None
        twice = second_derivative(Call("d", tuple(arguments)))
        if twice is not None:
            return self.twice(twice, inline)
        value, variable = arguments
        if is_gradient(value, variable, self.context):
            return self.gradient(value, variable, inline)
        below = rf"\partial {held(self.box(variable, True), FACTOR)}"
        short = isinstance(value, (Name, Element, Call, Prime)) and not tall(value)
        if short:
            above = rf"\partial {self.box(value, True).tex}"
            if inline:
                return Box(f"{above}/{below}", PRODUCT)
            return Box(rf"\frac{{{above}}}{{{below}}}", FACTOR, tall=True)
        body = self.box(value, inline)
        inner = fenced(body) if body.negative else held(body, FACTOR)
        sign = rf"\partial/{below}\," if inline else rf"\frac{{\partial}}{{{below}}}"
        box = Box(f"{sign} {inner}", FACTOR, not inline or body.tall)
        return Box(box.tex, FACTOR, box.tall, closed=box.tex if inner != body.tex else fenced(box))

    def twice(self, parts: tuple[Node, Node, Node], inline: bool) -> Box:
        """A second derivative as one quotient."""
        above, first, second = (self.box(part, True) for part in parts)
        below = rf"\partial {first.tex} \, \partial {second.tex}"
        if first.tex == second.tex:
            below = rf"\partial {held(first, ATOM)}^2"
        if inline:
            return Box(rf"\partial^2 {above.tex}/({below})", PRODUCT)
        return Box(rf"\frac{{\partial^2 {above.tex}}}{{{below}}}", FACTOR, tall=True)

    def gradient(self, value: Node, variable: Node, inline: bool) -> Box:
        """The gradient of what a formula in place gives."""
        body = self.box(value, inline)
        inner = fenced(body) if body.negative else held(body, FACTOR)
        tex = rf"\nabla_{braced(self.box(variable, True).tex)} {inner}"
        return Box(tex, FACTOR, body.tall, closed=fenced(Box(tex, FACTOR, body.tall)))

    def call_concat(self, arguments: Sequence[Node], inline: bool) -> Box:
        """Blocks joined along their last axis."""
        return self.joined(arguments, inline)

    def joined(self, blocks: Sequence[Node], inline: bool, dots: bool = False) -> Box:
        """``[x; y]`` or ``[x_1; \\dots; x_n]`` of vectors, ``[A, B]`` of matrices, which stand side by side."""
        boxes = [self.box(b, inline) for b in blocks]
        comma = ", " if rank(blocks[0], self.context) > 1 else "; "
        tex = rf"{comma}\dots{comma}" if dots else comma
        content = Box(tex.join(b.tex for b in boxes), CASES, any(b.tall for b in boxes))
        return Box(fenced(content, "[", "]"), tall=content.tall)

    def call_vjp(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """The transposed Jacobian applied to the cotangent."""
        if len(arguments) != 3:
            return None
        value, variable, cotangent = arguments
        jacobian = self.call_d((value, variable), inline)
        if jacobian is None:
            return None
        tail = self.box(cotangent, inline)
        gap = r"\, " if tail.level < FACTOR or tail.negative else " "
        factor = fenced(tail) if tail.negative else held(tail, FACTOR)
        return Box(rf"{fenced(jacobian)}^{{\top}}{gap}{factor}", PRODUCT, jacobian.tall)

    def call_E(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """An expectation over a variable and its law."""
        if len(arguments) < 2:
            return None
        body, variable, *law = arguments
        below = self.drawn(variable)
        if law:
            below += rf" \sim {_small(self.law(law_of(variable, law[0])))}"
        inner = self.box(body, inline)
        return Box(rf"{self.sign('E')}_{{{below}}}{fenced(inner, '[', ']')}", tall=inner.tall)

    def drawn(self, variable: Node) -> str:
        """The variable of an expectation, which a profile may tell from its values."""
        context = self.context
        if isinstance(variable, Name):
            drawn = replace(context.traits.get(variable.id) or Trait(), is_random=True)
            context = replace(context, traits={**context.traits, variable.id: drawn})
        return type(self)(context).box(variable, True).tex

    def law(self, law: Node) -> str:
        """A distribution; the variable that it is about is left out, and the sign after that with it."""
        if isinstance(law, Call) and (separators := separators_of(law.function, self.context)):
            return self.applied(self.function(law.function), law.arguments, True, separators=separators[1:]).tex
        return self.box(law, True).tex

    def call_integral(self, arguments: Sequence[Node], inline: bool) -> Box | None:
        """An integral with its limits."""
        if len(arguments) != 4:
            return None
        body, variable, low, high = arguments
        limits = [_small(self.box(x, True).tex) for x in (low, high)]
        inner = held(self.box(body, inline), PRODUCT)
        dx = rf"\mathrm{{d}} {self.box(variable).tex}"
        return Box(rf"\int_{braced(limits[0])}^{braced(limits[1])} {inner} \, {dx}", FACTOR, True)


def _is_symbol(name: str) -> bool:
    """Whether a function's name is one letter, perhaps with short subscripts: Phi, f_1, not f1_score."""
    parts = split_name(name)
    return is_letter(parts.stem) and all(len(w) <= 2 or is_letter(w) for w in parts.subscripts)


def _is_big(argument: Node, inner: Box) -> bool:
    """A sum, product or quotient, before which a function needs no parentheses."""
    return inner.tex.startswith((r"\sum", r"\prod", r"\frac")) and not inner.tex.startswith(r"\frac{1}{")


def _operated(name: str, below: str, body: Box) -> Box:
    gap = r"\!" if body.tall else ""
    return Box(f"{name}_{braced(below)}{gap}{fenced(body)}", ATOM, body.tall)


def _small(tex: str) -> str:
    for sign in ("+", "-", "="):
        tex = tex.replace(f" {sign} ", sign)
    return tex
