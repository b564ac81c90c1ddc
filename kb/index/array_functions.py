"""Abstract functions of arrays: their instances as programs, and their calls."""

from __future__ import annotations

from collections.abc import Callable

from kb import tree
from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Facts, Index, Poly
from kb.index.calls import Binding
from kb.index.expressions import Expressions
from kb.index.nodes import ApplyArray, Expr, Whole
from kb.index.program import ArrayInstance, ArrayStep, Program
from kb.index.scope import Array, Poisoned, Scope, show_shape, size_of
from kb.index.signatures import argument_symbol, instance_entry, signature_dimensions
from kb.model import Entry, Symbol
from kb.parser import parse_expression

Elaborate = Callable[[Entry, bool], Program]


def array_instance(symbol: Symbol, scope: Scope, elaborate: Elaborate) -> ArrayInstance:
    """What an abstract function of arrays stands for, in the scope of the entry that declares it.

    A dimension of the entry means the same in the signature. Any other one is read off the
    arguments of each call or, where it only stands in the result's shape, off the instance.
    ``elaborate`` makes a program of the instance. Raises LanguageError where something does not fit.
    """
    if not symbol.instance:
        raise LanguageError(f"the function {symbol.name!r} needs an instance, such as 'sum(x[i]**2, i)'")
    arguments = [argument_symbol(text, symbol.name) for text in symbol.arguments]
    fixed = set(scope.dimensions) | {s.name for s in scope.declared.values() if s.kind == "integer"}
    bare = {size for a in arguments for size in a.shape}
    for name in sorted(signature_dimensions(arguments) - fixed):
        if name not in bare:
            raise LanguageError(
                f"the size {name!r} of {symbol.name!r} cannot be read off its arguments: use a dimension of the "
                f"entry, or give one argument an axis of just {name}"
            )
    known = fixed | signature_dimensions(arguments)
    given = [name for text in symbol.shape for name in [parse_expression(text)] if not tree.names(name) <= known]
    for size in given:
        if not isinstance(size, tree.Name):
            raise LanguageError(f"the size '{size}' of the result of {symbol.name!r} cannot be read off its arguments")
    program = elaborate(instance_entry(symbol, None if given else symbol.shape), bool(given))
    if given:
        _check_result(symbol, program, known)
    sizes = {name: Poly.of(name) for name in program.dimensions if name in fixed}
    return ArrayInstance(program, sizes)


def _check_result(symbol: Symbol, program: Program, known: set[str]) -> None:
    """Hold the shape of a result against its declaration, where that says what it is."""
    found = program.shape(program.returns[0][1])
    sizes = [size_of(parse_expression(text), lambda name: Poly.of(name.id)) for text in symbol.shape]
    agrees = [size == actual or size.atom not in known | {None} for size, actual in zip(sizes, found, strict=False)]
    if len(sizes) != len(found) or not all(agrees):
        raise LanguageError(
            f"{symbol.name!r} is declared with a result of shape [{', '.join(symbol.shape)}], but its instance has "
            f"shape {show_shape(found)}"
        )


def apply_to_arrays(
    expressions: Expressions, node: tree.Call, instance: ArrayInstance | None, wrt: tuple[int, ...] = ()
) -> Array:
    """``L(x, theta)``, or a derivative: the arguments' extra leading axes are mapped over, as in calls of entries.

    The shape of a derivative is that of the result and then those of the arguments ``wrt``.
    """
    if instance is None:
        raise Poisoned(node.function, node.at)
    if node.rest:
        raise LanguageError("'...' passes the rest by name to an entry; a function takes all arguments", node.at)
    names = [t.name for t in instance.program.arguments]
    if len(node.arguments) != len(names):
        raise LanguageError(
            f"'{node.function}' takes {len(names)} argument(s) ({', '.join(names)}), {len(node.arguments)} given",
            node.at,
        )
    binding = Binding(expressions, node, instance.program)
    binding.sizes.update(instance.sizes)
    given = [(tensor, expressions.array(argument), argument) for tensor, argument in binding.arguments()]
    binding.bind_sizes(given)
    arrays = [(array, len(tensor.shape)) for tensor, array, _ in given]
    for array, _ in arrays:
        if array.row:
            raise LanguageError("the transpose of a vector means something only beside '@'", node.at)
    if any(map(binding.varies, (a for a, _ in arrays))) and not is_plain(instance.program):
        raise LanguageError(
            f"'{node}' cannot stand under an integral over its argument: the instance of '{node.function}' takes steps",
            node.at,
        )
    lead = len(binding.lead)
    result = tuple(binding.size(s) for s in instance.program.shape(instance.held))

    def at(idx: tuple[Poly, ...]) -> Expr:
        parts = tuple(_whole(array, rank, idx[:lead]) for array, rank in arrays)
        at_result = lead + len(result)
        made = ApplyArray(node.function, (), idx[lead:at_result], parts)
        for argument in wrt:
            made = build.differentiated(made, argument, idx[at_result : at_result + arrays[argument][1]])
            at_result += arrays[argument][1]
        return made

    moved = tuple(size for n in wrt for size in _own(*arrays[n]))
    return Array((*binding.lead, *result, *moved), at)


def _own(array: Array, rank: int) -> tuple[Poly, ...]:
    return array.shape[array.rank - rank :]


def _whole(array: Array, rank: int, lead: tuple[Poly, ...]) -> Whole:
    """The last axes of an argument as a whole, at a place of the leading ones."""
    extra = array.rank - rank
    indices = tuple(Index(name, size) for name, size in zip("ijklmnpq", array.shape[extra:], strict=False))
    return Whole(indices, array.at((*lead[:extra], *map(Poly.of, indices))))


def is_plain(program: Program) -> bool:
    """Whether each step is one expression, so that the result is one as well."""
    single = all(len(program.definitions(name)) == 1 for name in program.step_names())
    return single and not any(isinstance(s, ArrayStep) or s.loop is not None or not s.is_plain for s in program.steps)


def merged(own: Facts, outer: Facts) -> Facts:
    """What is known about sizes inside an instance: also what the entry knows."""
    return Facts({**own.lower, **outer.lower}, (*own.known, *outer.known), own.default)
