"""The words and signs of derivatives of abstract functions of arrays: ``∇L``, ``∇_θ L``, ``J_z``, ``∇²L``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations_with_replacement

from kb.index.program import ArrayInstance, Program
from kb.printing.glyphs import Context, symbol_latex

_MOST = 3  # the second derivative of a step that has a first one in it


def argument_names(program: Program) -> Mapping[str, tuple[str, ...]]:
    """The arguments of every abstract function of arrays, by the names of its signature."""
    return {name: _names(instance) for name, instance in _functions(program)}


def derivative_name(function: str, wrt: tuple[int, ...], arguments: tuple[str, ...], rank: int) -> str:
    """A word for a derivative, such as ``grad_L`` or ``jac_f_theta``; ``rank`` counts the axes of the result."""
    if not wrt:
        return function
    word = ("jac" if rank else "grad") if len(wrt) == 1 else "hess" if len(wrt) == 2 else f"d{len(wrt)}"
    return "_".join([word, function, *(arguments[n] for n in wrt if len(arguments) > 1)])


def with_functions(context: Context, program: Program) -> Context:
    """The context with the program's abstract functions of arrays and signs for their derivatives."""
    glyphs, signatures = dict(context.glyphs), dict(context.signatures)
    for function, instance in _functions(program):
        ranks = tuple(len(t.shape) for t in instance.program.arguments)
        rank = len(instance.program.shape(instance.held))
        signatures[function] = ranks, rank
        for wrt in _orders(len(ranks)):
            word = derivative_name(function, wrt, _names(instance), rank)
            glyphs[word] = _glyph(symbol_latex(function, context), instance, wrt, rank)
            signatures[word] = ranks, rank + sum(ranks[n] for n in wrt)
    kinds = {**context.kinds, **{word: "function" for word in glyphs if word not in context.glyphs}}
    return replace(context, kinds=kinds, glyphs=glyphs, signatures=signatures)


def _functions(program: Program) -> Iterator[tuple[str, ArrayInstance]]:
    for name, instance in program.instances.items():
        if isinstance(instance, ArrayInstance):
            yield name, instance


def _names(instance: ArrayInstance) -> tuple[str, ...]:
    return tuple(t.name for t in instance.program.arguments)


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    for length in range(1, _MOST + 1):
        yield from combinations_with_replacement(range(count), length)


def _glyph(letter: str, instance: ArrayInstance, wrt: tuple[int, ...], rank: int) -> str:
    """A gradient, a Jacobian, a partial derivative by a number, or a higher derivative."""
    arguments = instance.program.arguments
    if len(wrt) == 1 and rank and arguments[wrt[0]].shape:
        by = f",{symbol_latex(arguments[wrt[0]].name)}" if len(arguments) > 1 else ""
        return f"J_{{{letter}{by}}}"
    signs = []
    for n in dict.fromkeys(wrt):
        argument, count = arguments[n], wrt.count(n)
        below = f"_{{{symbol_latex(argument.name)}}}" if len(arguments) > 1 or not argument.shape else ""
        above = f"^{{{count}}}" if count > 1 else ""
        signs.append((r"\nabla" if argument.shape else r"\partial") + below + above)
    return f"{' '.join(signs)} {letter}"
