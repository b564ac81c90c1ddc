"""Functions of whole arrays: norms, traces and constant arrays as sums, inverses as primitives."""

from __future__ import annotations

from collections.abc import Sequence

from kb import tree
from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.expressions import Expressions, scalar
from kb.index.nodes import HALF, ONE, ZERO, Expr, Num, Read, num
from kb.index.program import ArrayStep, Tensor
from kb.index.scope import MAX_LITERAL_SIZE, Array, show_shape
from kb.vocabulary import MATRIX_FUNCTIONS

MAX_MATRIX_POWER = 16


def array_function(expressions: Expressions, node: tree.Call) -> Array:
    """Elaborate a call of a function of whole arrays."""
    name = node.function
    if name in ("eye", "zeros", "ones", "one_hot"):
        return _constant(expressions, node)
    if name in ("norm", "matpow"):
        first, *rest = expressions.take(node, 1, 2)
    else:
        (first,), rest = expressions.take(node, 1), []
    operand = expressions.array(first)
    if name == "norm":
        return _norm(expressions, node, operand, rest)
    if name == "diag" and operand.rank == 1:
        (size,) = operand.shape
        return Array((size, size), lambda idx: build.mul(build.delta(*idx), operand.at(idx[:1])))
    if operand.rank < 2 or operand.shape[-1] != operand.shape[-2]:
        raise LanguageError(f"'{name}' needs a square matrix, but '{first}' has {show_shape(operand.shape)}", first.at)
    if name == "trace":
        index = Index(expressions.bound_name(), operand.shape[-1])
        i = Poly.of(index)
        return Array(operand.shape[:-2], lambda idx: build.bind("sum", [index], (), operand.at((*idx, i, i))))
    if name == "diag":
        return Array(operand.shape[:-1], lambda idx: operand.at((*idx, idx[-1])))
    if name == "matpow":
        return _matrix_power(expressions, node, operand, rest)
    raise TypeError(f"not a function of arrays: {name}")


def matrix_function(expressions: Expressions, node: tree.Call, names: Sequence[str] = ()) -> list[Array]:
    """Elaborate a call of a primitive of matrices: all its results, held by steps of the given names."""
    (first,) = expressions.take(node, 1)
    row = MATRIX_FUNCTIONS[node.function]
    operand = expressions.array(first)
    if operand.rank < 2 or (operand.shape[-1] != operand.shape[-2] and not row.tall):
        wanted = "a matrix" if row.tall else "a square matrix"
        raise LanguageError(f"'{row.name}' needs {wanted}, but '{first}' has {show_shape(operand.shape)}", first.at)
    rows, columns = operand.shape[-2:]
    if row.tall and expressions.scope.facts.nonnegative(columns - rows - 1):
        raise LanguageError(
            f"'{row.name}' needs at least as many rows as columns, but '{first}' has {show_shape(operand.shape)}; "
            f"decompose the transposed matrix: V, s, U = svd({first}.T)",
            first.at,
        )
    return primitive(expressions, row.name, operand, names)


def primitive(expressions: Expressions, operation: str, operand: Array, names: Sequence[str] = ()) -> list[Array]:
    """Steps that apply a matrix primitive to a named argument, one for each of its results.

    They are called ``names`` where given, else after the argument.
    """
    scope = expressions.scope
    probe = operand.at(tuple(Poly.of(Index("_", s)) for s in operand.shape))
    argument = _direct_name(operand, probe)
    if argument is None:
        named = expressions.define("G", operand)
        probe = named.at(tuple(Poly.of(Index("_", s)) for s in operand.shape))
        argument = _direct_name(named, probe)
    if argument is None:
        assert isinstance(probe, Read)
        argument = probe.name
    full = scope.tensors[argument].shape
    lead = len(full) - 2
    outer = probe.index[: len(full) - operand.rank] if isinstance(probe, Read) else ()
    results: list[Array] = []
    for n, (suffix, axes) in enumerate(MATRIX_FUNCTIONS[operation].outputs):
        own = tuple({"m": full[-2], "n": full[-1]}[letter] for letter in axes)
        name = names[n] if names else scope.unique(f"{argument}_{suffix}")
        scope.steps.append(ArrayStep(name, operation, argument, full[:-2] + own, lead, n))
        scope.tensors[name] = Tensor(name, full[:-2] + own)
        results.append(_read(name, outer, operand.shape[:-2] + own))
    return results


def _read(name: str, outer: tuple[Poly, ...], shape: tuple[Poly, ...]) -> Array:
    return Array(shape, lambda idx: Read(name, outer + idx, False))


def _direct_name(operand: Array, probe: Expr) -> str | None:
    """The name if the operand is a symbol or step, read whole and in order."""
    if isinstance(probe, Read) and len(probe.index) == operand.rank and not probe.outside:
        bare = [p.index for p in probe.index]
        if all(b is not None for b in bare) and bare == sorted(bare, key=lambda b: b.serial if b else 0):
            return probe.name
    return None


def _norm(expressions: Expressions, node: tree.Call, operand: Array, rest: list[tree.Node]) -> Array:
    if not operand.rank:
        raise LanguageError("the norm of a number is abs(x)", node.at)
    exponent = expressions.number(rest[0], "the order of a norm") if rest else num(2)
    indices = tuple(Index(n, s) for n, s in zip(expressions.scope.free_names(operand.rank), operand.shape, strict=True))
    element = operand.at(tuple(Poly.of(i) for i in indices))
    if exponent == num(2):
        return scalar(build.power(build.bind("sum", indices, (), build.power(element, num(2))), HALF))
    size = build.function("abs", element)
    if exponent == ONE:
        return scalar(build.bind("sum", indices, (), size))
    summed = build.bind("sum", indices, (), build.power(size, exponent))
    return scalar(build.power(summed, build.power(exponent, num(-1))))


def _constant(expressions: Expressions, node: tree.Call) -> Array:
    if node.function == "one_hot":
        label, size = expressions.take(node, 2)
        place = expressions.index(label)
        if isinstance(place.atom, Gather):
            return Array((_size(expressions, size),), lambda idx: build.delta(idx[0], place))
        message = f"'{label}' is not a label; one_hot(label, n) is the unit vector that a label selects"
        raise LanguageError(message, label.at)
    sizes = tuple(_size(expressions, a) for a in expressions.take(node, 1, 1 if node.function == "eye" else 8))
    if node.function == "eye":
        return Array((sizes[0], sizes[0]), lambda idx: build.delta(*idx))
    value = ZERO if node.function == "zeros" else ONE
    return Array(sizes, lambda idx: value)


def _size(expressions: Expressions, node: tree.Node) -> Poly:
    size = expressions.index(node)
    if size.constant is not None and not 0 < size.constant <= MAX_LITERAL_SIZE:
        raise LanguageError(f"a size lies between 1 and {MAX_LITERAL_SIZE}, not {size.constant}", node.at)
    return size


def _matrix_power(expressions: Expressions, node: tree.Call, operand: Array, rest: list[tree.Node]) -> Array:
    if not rest:
        raise LanguageError("matpow needs an exponent: matpow(A, 2)", node.at)
    exponent = expressions.number(rest[0], "the exponent of matpow")
    if not isinstance(exponent, Num) or exponent.value.denominator != 1 or abs(exponent.value) > MAX_MATRIX_POWER:
        raise LanguageError(
            f"matpow takes a whole exponent between -{MAX_MATRIX_POWER} and {MAX_MATRIX_POWER}, written as a number",
            rest[0].at,
        )
    count = int(exponent.value)
    if count == 0:
        return Array(operand.shape, lambda idx: build.delta(idx[-2], idx[-1]))
    base = primitive(expressions, "inv", operand)[0] if count < 0 else operand
    result = base
    for _ in range(abs(count) - 1):
        result = expressions.define("P", expressions.matmul(result, base, node))
    return result
