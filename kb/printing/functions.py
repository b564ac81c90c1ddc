"""The signs of derivatives of abstract functions: ``∇L``, ``∇_θ L``, ``J_z``, ``∇²L``, and ``∂_a f`` of numbers."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

from kb.errors import LanguageError
from kb.index.program import AnyInstance, ArrayInstance, Program
from kb.index.signatures import argument_symbol
from kb.model import Entry
from kb.printing.glyphs import Context, symbol_latex

_MOST = 3  # the second derivative of a step that has a first one in it


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of an abstract function with their numbers of axes, and that of the result."""

    arguments: tuple[str, ...]
    ranks: tuple[int, ...]
    rank: int

    @property
    def is_plain(self) -> bool:
        """Whether it is a function of one number, whose derivative is ``f'``."""
        return self.ranks == (0,) and not self.rank


def signatures_of(program: Program) -> dict[str, Signature]:
    """The signature of every abstract function of a program."""
    return {name: _signature(instance) for name, instance in program.instances.items()}


def declared_signatures(entry: Entry) -> dict[str, Signature]:
    """The signatures of an entry's own functions, as far as they are well formed."""
    found: dict[str, Signature] = {}
    for symbol in entry.symbols:
        if symbol.kind == "function":
            try:
                arguments = [argument_symbol(text, symbol.name) for text in symbol.arguments]
            except LanguageError:
                continue
            ranks = tuple(len(a.shape) for a in arguments)
            found[symbol.name] = Signature(tuple(a.name for a in arguments), ranks, len(symbol.shape))
    return found


def _signature(instance: AnyInstance) -> Signature:
    if not isinstance(instance, ArrayInstance):
        return Signature(tuple(v.name for v in instance.variables), (0,) * len(instance.variables), 0)
    tensors = instance.program.arguments
    rank = len(instance.program.shape(instance.held))
    return Signature(tuple(t.name for t in tensors), tuple(len(t.shape) for t in tensors), rank)


def derivative_word(function: str, by: tuple[str, ...]) -> str:
    """The key under which a context has the sign of a derivative; no name is written so."""
    return f"{function}'{','.join(by)}"


def with_functions(context: Context, signatures: Mapping[str, Signature]) -> Context:
    """The context with the axes of the functions and of their derivatives, and with signs for these."""
    glyphs: dict[str, str] = {}
    ranks: dict[str, tuple[tuple[int, ...], int]] = {}
    for function, signature in signatures.items():
        ranks[function] = signature.ranks, signature.rank
        for by in _orders(len(signature.arguments)):
            word = derivative_word(function, tuple(signature.arguments[n] for n in by))
            ranks[word] = signature.ranks, signature.rank + sum(signature.ranks[n] for n in by)
            if not signature.is_plain:
                glyphs[word] = _glyph(symbol_latex(function, context), signature, by)
        if len(signature.arguments) == 1:
            once = derivative_word(function, signature.arguments)
            ranks[derivative_word(function, ())] = ranks[once]
            if once in glyphs:
                glyphs[derivative_word(function, ())] = glyphs[once]
    if not ranks:
        return context
    known: Mapping[str, tuple[tuple[int, ...], int]] = ChainMap(ranks, context.signatures)  # type: ignore[arg-type]
    return replace(context, glyphs={**glyphs, **context.glyphs}, signatures=known)


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    for length in range(1, _MOST + 1):
        yield from combinations_with_replacement(range(count), length)


def _glyph(letter: str, signature: Signature, by: tuple[int, ...]) -> str:
    """A gradient, a Jacobian, a partial derivative by a number, or a higher derivative."""
    several = len(signature.arguments) > 1
    if len(by) == 1 and signature.rank and signature.ranks[by[0]]:
        below = f",{symbol_latex(signature.arguments[by[0]])}" if several else ""
        return f"J_{{{letter}{below}}}"
    signs = []
    for n in dict.fromkeys(by):
        array, count = bool(signature.ranks[n]), by.count(n)
        below = f"_{{{symbol_latex(signature.arguments[n])}}}" if several or not array else ""
        above = f"^{{{count}}}" if count > 1 else ""
        signs.append((r"\nabla" if array else r"\partial") + below + above)
    return f"{' '.join(signs)} {letter}"
