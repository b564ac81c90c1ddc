"""The reference interpreter's own table of functions, of arrays and of reductions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath

from kb.errors import LanguageError, ShapeError
from kb.interpreter.arrays import (
    Array,
    Scalar,
    Value,
    add,
    broadcast,
    check_count,
    divide,
    from_array,
    integer,
    items,
    matmul,
    multiply,
    positions,
    power,
    shape_of,
    stack,
    total,
)


def _real_function(name: str, function: Callable[[Scalar], Scalar]) -> Callable[[Scalar], Scalar]:
    def checked(x: Scalar) -> Scalar:
        value = function(x)
        if isinstance(value, mpmath.mpc):
            raise LanguageError(f"{name}({mpmath.nstr(x, 6)}) is not a real number")
        return value

    return checked


def _sign(x: Scalar) -> Scalar:
    return mpmath.mpf((x > 0) - (x < 0))


FUNCTIONS: dict[str, Callable[[Scalar], Scalar]] = {
    "exp": mpmath.exp,
    "log": _real_function("log", mpmath.log),
    "sqrt": _real_function("sqrt", mpmath.sqrt),
    "abs": abs,
    "sign": _sign,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arcsin": _real_function("arcsin", mpmath.asin),
    "arccos": _real_function("arccos", mpmath.acos),
    "arctan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "floor": mpmath.floor,
    "round": mpmath.nint,
}


def _matrix(value: Value, name: str) -> list[list[Scalar]]:
    shape = shape_of(value)
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(f"{name} takes a square matrix, not an array of shape {list(shape)}")
    return [[mpmath.mpf(x) for x in row] for row in value.to_nested()]


def _eliminate(rows: list[list[Scalar]], n: int) -> Scalar:
    """Gauss-Jordan elimination of the first n columns in place, with pivots; gives the determinant."""
    determinant = mpmath.mpf(1)
    for column in range(n):
        pivot = max(range(column, n), key=lambda r: abs(rows[r][column]))
        if rows[pivot][column] == 0:
            return mpmath.mpf(0)
        if pivot != column:
            rows[pivot], rows[column] = rows[column], rows[pivot]
            determinant = -determinant
        head = rows[column][column]
        determinant *= head
        rows[column] = [x / head for x in rows[column]]
        for r in range(n):
            factor = rows[r][column]
            if r != column and factor != 0:
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[column], strict=True)]
    return determinant


def _over_matrices(function: Callable[[Value], Any]) -> Callable[..., Any]:
    """A function of a matrix, mapped over leading axes; several results are a tuple."""

    def mapped(value: Value) -> Any:
        lead = shape_of(value)[:-2]
        if not lead:
            return function(value)
        found = [function(value[at]) for at in positions(lead)]
        if found and isinstance(found[0], tuple):
            return tuple(stack(parts, lead) for parts in zip(*found, strict=True))
        return stack(found, lead)

    return mapped


def _inv(value: Value) -> Value:
    rows = _matrix(value, "inv")
    n = len(rows)
    with mpmath.workdps(mpmath.mp.dps + 10):
        wide = [row + [mpmath.mpf(int(i == j)) for j in range(n)] for i, row in enumerate(rows)]
        if _eliminate(wide, n) == 0:
            raise LanguageError("inv of a singular matrix")
    return Array((n, n), [+x for row in wide for x in row[n:]])


def _det(value: Value) -> Value:
    rows = _matrix(value, "det")
    with mpmath.workdps(mpmath.mp.dps + 10):
        determinant = _eliminate(rows, len(rows))
    return +determinant


def _logdet(value: Value) -> Value:
    return mpmath.log(abs(_det(value)))


def _expm(value: Value) -> Value:
    rows = _matrix(value, "expm")
    with mpmath.workdps(mpmath.mp.dps + 10):
        found = mpmath.expm(mpmath.matrix(rows))
    return Array((len(rows), len(rows)), [+found[i, j] for i, j in positions((len(rows), len(rows)))])


def _eigh(value: Value) -> tuple[Value, Value]:
    """Eigenvalues upwards, and eigenvectors as columns, of (C + C.T)/2."""
    rows = _matrix(value, "eigh")
    n = len(rows)
    with mpmath.workdps(mpmath.mp.dps + 10):
        symmetric = mpmath.matrix([[(rows[i][j] + rows[j][i]) / 2 for j in range(n)] for i in range(n)])
        found, vectors = mpmath.eigsy(symmetric)
        order = sorted(range(n), key=lambda k: found[k])
        columns = [[vectors[i, k] for i in range(n)] for k in order]
        columns = [[_orientation(c) * x for x in c] for c in columns]
    return Array((n,), [+found[k] for k in order]), _from_columns(columns, n)


def _svd(value: Value) -> tuple[Value, Value, Value]:
    """``A = U @ diag(s) @ V.T`` with as many singular values as columns; the signs are those of V's columns."""
    shape = shape_of(value)
    if len(shape) != 2:
        raise ShapeError(f"svd takes a matrix, not an array of shape {list(shape)}")
    m, n = shape
    if m < n:
        raise ShapeError(f"svd takes at least as many rows as columns, not {m} and {n}; decompose the transpose")
    with mpmath.workdps(mpmath.mp.dps + 10):
        u, s, v = mpmath.svd_r(mpmath.matrix([[mpmath.mpf(x) for x in row] for row in value.to_nested()]))
        order = sorted(range(n), key=lambda k: -s[k])
        right = [[v[k, j] for j in range(n)] for k in order]
        signs = [_orientation(c) for c in right]
        left = [[sign * u[i, k] for i in range(m)] for sign, k in zip(signs, order, strict=True)]
        right = [[sign * x for x in c] for sign, c in zip(signs, right, strict=True)]
    return _from_columns(left, m), Array((n,), [+s[k] for k in order]), _from_columns(right, n)


def _from_columns(columns: list[list[Scalar]], height: int) -> Value:
    return Array((height, len(columns)), [+column[i] for i in range(height) for column in columns])


def _orientation(column: list[Scalar]) -> int:
    """The sign of the first of a vector's largest elements; within a millionth, elements count as equal."""
    largest = max(abs(x) for x in column)
    first = next(x for x in column if abs(x) >= largest * (1 - mpmath.mpf(10) ** -6))
    return -1 if first < 0 else 1


def _trace(value: Value) -> Value:
    rows = _matrix(value, "trace")
    return total(rows[i][i] for i in range(len(rows)))


def _norm(value: Value, p: Value = 2) -> Value:
    if isinstance(p, Array):
        raise ShapeError("the order of a norm is a number")
    if p == mpmath.inf:
        return max(abs(x) for x in items(value))
    if p == 2:
        return mpmath.sqrt(total(x * x for x in items(value)))
    return power(total(power(abs(x), p) for x in items(value)), divide(1, p))


def _matpow(value: Value, exponent: Value) -> Value:
    whole = integer(exponent)
    base = _inv(value) if whole < 0 else value
    check_count(abs(whole), "a matrix power")
    result = _eye(len(_matrix(value, "matpow")))
    for _ in range(abs(whole)):
        result = matmul(result, base)
    return result


def _diag(value: Value) -> Value:
    shape = shape_of(value)
    if len(shape) == 1:
        n = shape[0]
        return Array((n, n), [value.data[i] if i == j else 0 for i, j in positions((n, n))])
    if len(shape) == 2:
        n = min(shape)
        return Array((n,), [value[i, i] for i in range(n)])
    raise ShapeError("diag takes a vector or a matrix")


def _eye(size: Value) -> Value:
    n = integer(size)
    return Array((n, n), [int(i == j) for i, j in positions((n, n))])


def _filled(with_: int) -> Callable[..., Value]:
    def filled(*sizes: Value) -> Value:
        shape = tuple(integer(s) for s in sizes)
        check_count(math.prod(shape), "an array")
        return from_array(Array(shape, [with_] * math.prod(shape)))

    return filled


def _one_hot(label: Value, size: Value) -> Value:
    n = integer(size)
    if isinstance(label, Array):
        return stack([_one_hot(x, n) for x in label.data], label.shape)
    if not 0 <= integer(label) < n:
        raise LanguageError(f"one_hot: the label {label} is outside 0..{n - 1}")
    return Array((n,), [int(i == label) for i in range(n)])


# name: (function, fewest arguments, most arguments); several results are a tuple
ARRAY_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "norm": (_norm, 1, 2),
    "inv": (_over_matrices(_inv), 1, 1),
    "det": (_over_matrices(_det), 1, 1),
    "logdet": (_over_matrices(_logdet), 1, 1),
    "expm": (_over_matrices(_expm), 1, 1),
    "eigh": (_over_matrices(_eigh), 1, 1),
    "svd": (_over_matrices(_svd), 1, 1),
    "trace": (_over_matrices(_trace), 1, 1),
    "matpow": (_matpow, 2, 2),
    "diag": (_diag, 1, 1),
    "eye": (_eye, 1, 1),
    "zeros": (_filled(0), 0, 9),
    "ones": (_filled(1), 0, 9),
    "one_hot": (_one_hot, 2, 2),
}


def concatenate(parts: list[Value]) -> Value:
    """Blocks joined along the last axis; a number counts as a block of one."""
    blocks = [part if isinstance(part, Array) else Array((1,), [part]) for part in parts]
    lead = blocks[0].shape[:-1]
    if any(block.shape[:-1] != lead for block in blocks):
        raise ShapeError("concat needs blocks that agree on all axes but the last")
    data = []
    for row in range(math.prod(lead)):
        for block in blocks:
            width = block.shape[-1]
            data.extend(block.data[row * width : (row + 1) * width])
    return Array((*lead, sum(block.shape[-1] for block in blocks)), data)


def _largest(values: list[Value], better: Callable[[Scalar, Scalar], bool]) -> Value:
    result = values[0]
    for value in values[1:]:
        result = broadcast(lambda a, b: b if better(b, a) else a, result, value)
    return result


def _first_best(values: list[Value], better: Callable[[Scalar, Scalar], bool]) -> int:
    best = 0
    for at, value in enumerate(values):
        if isinstance(value, Array):
            raise ShapeError("argmax and argmin compare numbers, not arrays")
        if better(value, values[best]):
            best = at
    return best


def _sum(values: list[Value]) -> Value:
    result: Value = 0
    for value in values:
        result = broadcast(add, result, value)
    return result


def _mean(values: list[Value]) -> Value:
    return broadcast(divide, _sum(values), len(values))


def _product(values: list[Value]) -> Value:
    result: Value = 1
    for value in values:
        result = broadcast(multiply, result, value)
    return result


def _maximum(values: list[Value]) -> Value:
    return _largest(values, lambda a, b: bool(a > b))


def _minimum(values: list[Value]) -> Value:
    return _largest(values, lambda a, b: bool(a < b))


def _logsumexp(values: list[Value]) -> Value:
    top = _maximum(values)
    if not isinstance(top, Array) and mpmath.isinf(top):
        return top
    exponentials = [broadcast(lambda a, b: mpmath.exp(a - b), value, top) for value in values]
    return broadcast(lambda a, b: a + mpmath.log(b), top, _sum(exponentials))


# name: (function of the list of values, whether nothing at all is allowed)
BINDERS: dict[str, tuple[Callable[[list[Value]], Value], bool]] = {
    "sum": (_sum, True),
    "prod": (_product, True),
    "mean": (_mean, False),
    "max": (_maximum, False),
    "min": (_minimum, False),
    "argmax": (lambda values: _first_best(values, lambda a, b: bool(a > b)), False),
    "argmin": (lambda values: _first_best(values, lambda a, b: bool(a < b)), False),
    "logsumexp": (_logsumexp, False),
    "concat": (concatenate, False),
}
