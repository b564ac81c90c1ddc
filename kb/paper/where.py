"""The sentence that says what the symbols of a formula are: their shapes, their domains, their meanings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from kb import tree
from kb.definitions import timeless
from kb.paper.english import predicate
from kb.paper.subject import Subject, step_latex
from kb.parser import parse_expression
from kb.printing import escape_tex, latex, symbol_latex
from kb.printing.notation import base_name
from kb.vocabulary import DOMAINS

if TYPE_CHECKING:
    from kb.derivation import Derivation
    from kb.equation import Derivative, Equation
    from kb.model import Symbol

# Sets whose sign says all about the values; of other domains a few words say what the set of numbers leaves out.
_SAID_BY_THE_SET = ("real", "positive", "nonnegative", "nonzero", "unit", "unit_ball", "binary", "plus_minus_one")
_OF_NUMBERS = {"one_hot": r"\{0, 1\}", "binary_diagonal": r"\{0, 1\}"}
_ONE_SIGN = (r"\mathbb{R}", r"\mathbb{Z}")
_WHOLE = {"positive": r"\mathbb{Z}_{>0}", "nonnegative": r"\mathbb{Z}_{\ge 0}"}
_FORMULA = re.compile(r"\$[^$]*\$")
_SUFFIXES = ("_total", "_prime", "_prev", "_next", "_old")
_GRADIENT = "gradient of a final scalar with respect to"
# By the form of a derivative, how the glyphs that it marks begin, the word for the mark, and what that means.
_MARKS = {
    "vjp": ((r"\bar", r"\overline"), ("bar", _GRADIENT)),
    "jvp": ((r"\dot",), ("dot", "tangent of")),
}
_PLUS = "a plus marks the value after the update"


def where(subject: Subject, derivation: Derivation | None = None) -> str:
    """``where ... is the ...``, one line of source for each symbol that occurs; symbols in declared order."""
    known = _Names(subject, derivation)
    items = [_item(subject.equation, symbol) for symbol in known.symbols()]
    items += [f"${step_latex(*subject.definitions()[name])}$" for name in known.steps]
    return _sentence([*items, *known.marks()])


def _sentence(items: Sequence[str]) -> str:
    """The items as a sentence; semicolons part them where they have commas of their own."""
    if not items:
        return ""
    *most, last = items
    sign = ";" if len(items) > 1 and any("," in _FORMULA.sub("", item) for item in items) else ","
    if not most:
        return f"where\n{last}."
    if len(most) == 1 and sign == ",":
        return f"where\n{most[0]}\nand {last}."
    return "\n".join(["where", *(f"{item}{sign}" for item in most), f"and {last}."])


class _Names:
    """The names that occur in what is shown and in what explains it."""

    def __init__(self, subject: Subject, derivation: Derivation | None) -> None:
        self.equation = subject.equation
        self.derivative = subject.derivative
        self.definitions = subject.definitions()
        self.written: set[str] = set()
        self.occurring: set[str] = set()
        self.steps: list[str] = []
        for node in subject.nodes():
            self.read(node)
        defined: set[str] = set()
        for step in derivation.steps if derivation is not None else ():
            for statement in step.statements:
                defined |= tree.names(statement.left) if statement.left is not None else set()
                self.read(*filter(None, (statement.left, statement.right)))
        self.explain(defined)

    def read(self, *nodes: tree.Node) -> None:
        """Note the names of symbols, of functions, and of the sizes over which indices run."""
        ranges = self.equation.context.ranges
        for node in (n for whole in nodes for n in tree.walk(whole)):
            if isinstance(node, tree.Name):
                self.note(node.id)
                if node.id in ranges:
                    self.sizes([ranges[node.id]])
            elif isinstance(node, (tree.Call, tree.Prime)):
                self.note(node.function)

    def sizes(self, texts: Iterable[str]) -> None:
        for text in texts:
            for name in tree.names(parse_expression(text)):
                self.note(name)

    def note(self, name: str) -> None:
        self.written.add(name)
        self.occurring.add(self.base(name))

    def base(self, name: str) -> str:
        """The declared symbol, or the step, whose cotangent, slope or value at another time a name holds."""
        known = self.equation.symbols.keys() | self.definitions.keys()
        while name not in known:
            shorter = base_name(name)
            for suffix in _SUFFIXES:
                shorter = shorter.removesuffix(suffix) if shorter == name else shorter
            if shorter == name:
                break
            name = shorter
        return name

    def explain(self, defined: set[str]) -> None:
        """Add what the explanations themselves speak of: steps that nothing declares, sizes of symbols."""
        done: set[str] = set()
        while waiting := sorted(self.occurring - done):
            for name in waiting:
                done.add(name)
                symbol = self.equation.symbols.get(name)
                if symbol is not None and symbol.kind in ("real", "integer", "label"):
                    classes = symbol.declaration.classes
                    self.sizes([*symbol.shape, *([classes] if classes else [])])
                elif symbol is None and name in self.definitions and name not in defined:
                    self.read(self.definitions[name][0])
                    self.steps.append(name)
        order = list(self.definitions)
        self.steps.sort(key=order.index)

    def symbols(self) -> list[Symbol]:
        """The declared symbols that occur, in declared order."""
        return [s for s in self.equation.entry.symbols if s.name in self.occurring]

    def marks(self) -> Iterator[str]:
        """What signs on symbols mean."""
        if self.derivative is not None:
            yield from self.derived(self.derivative)
        names = self.written - self.equation.symbols.keys()
        if self.equation.context.time_index is None and any(name.endswith("_next") for name in names):
            yield _PLUS

    def derived(self, derivative: Derivative) -> Iterator[str]:
        """What a bar or a dot means; those that belong to the glyphs of symbols and steps are no such signs."""
        form, context = derivative.form, derivative.presentation.context
        if form not in _MARKS:
            return
        sign, (word, meaning) = _MARKS[form]
        for name in sorted(name for name in self.written if "_total_bar" in name):
            whole, of = (symbol_latex(n, context) for n in (name, name.partition("_total_bar")[0]))
            yield f"${whole}$ is the whole {_GRADIENT} ${of}$"
        glyphs = (symbol_latex(n, context) for n in (*self.steps, *(s.name for s in self.symbols())))
        own = any(glyph.startswith(sign) for glyph in glyphs)
        yield f"{'every other' if own else 'a'} {word} marks the {meaning} what is below it"


def _item(equation: Equation, symbol: Symbol) -> str:
    """The symbol, the set that it is from, and what it means."""
    glyph, own, words = _glyph(equation, symbol), _set(equation, symbol), _words(symbol)
    shown = f"${glyph} \\in {own}$" if own else f"${glyph}$"
    meaning = f" {escape_tex(predicate(symbol.about))}" if symbol.about else ""
    return f"{shown}{meaning}{f' ({escape_tex(words)})' if words else ''}"


def _glyph(equation: Equation, symbol: Symbol) -> str:
    """The symbol, a function with the arguments by which it is declared."""
    glyph = equation.symbols[symbol.name].latex
    if not symbol.arguments:
        return glyph
    context = timeless(equation.context)
    arguments = (latex(parse_expression(a.partition("[")[0]), context) for a in symbol.arguments)
    return f"{glyph}({', '.join(arguments)})"


def _set(equation: Equation, symbol: Symbol) -> str:
    """The set of the values; of functions none, as their sizes are those of an example."""
    match symbol.kind:
        case "real":
            own = _OF_NUMBERS.get(symbol.domain) or DOMAINS["real"].latex
            own = DOMAINS[symbol.domain].latex if symbol.domain in _SAID_BY_THE_SET else own
        case "integer":
            own = _WHOLE.get(symbol.domain, r"\mathbb{Z}")
        case "label":
            own = rf"\{{0, \dots, {_size(equation, f'({symbol.classes}) - 1')}\}}"
        case _:
            return ""
    sizes = [_size(equation, size) for size in equation.symbols[symbol.name].shape]
    if not sizes:
        return own
    if len(sizes) > 1:
        sizes = [f"({size})" if set("+-") & set(size) else size for size in sizes]
    base = own if own in _ONE_SIGN or own[0] in r"([" or own.startswith(r"\{") else f"({own})"
    power = r" \times ".join(sizes)
    return f"{base}^{{{power}}}"


def _size(equation: Equation, text: str) -> str:
    return latex(parse_expression(text), equation.context)


def _words(symbol: Symbol) -> str:
    """What the set does not say about the values."""
    if symbol.kind == "real" and symbol.domain not in _SAID_BY_THE_SET:
        return DOMAINS[symbol.domain].words
    if symbol.kind == "integer" and symbol.domain not in (*_WHOLE, "real"):
        return DOMAINS[symbol.domain].words
    return ""
