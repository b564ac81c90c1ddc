"""Small arrays of mpmath numbers for the reference interpreter, written as plain loops.

A *value* is a number (``int`` for whole numbers and labels, ``mpf`` otherwise) or an ``Array``.
Nothing here is fast or clever: it is what other implementations are compared with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import mpmath

from kb.errors import LanguageError, ShapeError

MAX_ITERATIONS = 200_000
MAX_BITS = 10**7

Scalar = Any  # int or mpmath.mpf; mpmath has no types
Value = Any  # a Scalar or an Array


class Array:
    """An array: its shape, and its elements with the last axis running fastest."""

    __slots__ = ("data", "shape")

    def __init__(self, shape: tuple[int, ...], data: list[Scalar]) -> None:
        self.shape = shape
        self.data = data

    @classmethod
    def from_nested(cls, nested: Any) -> Array:
        """An array from a number, nested lists, or anything with ``tolist``.

        Raises ShapeError where the rows differ in length.
        """
        if isinstance(nested, Array):
            return nested
        if hasattr(nested, "tolist"):
            nested = nested.tolist()
        if not isinstance(nested, (list, tuple)):
            return cls((), [number(nested)])
        parts = [cls.from_nested(item) for item in nested]
        if any(part.shape != parts[0].shape for part in parts):
            raise ShapeError("nested lists of different lengths are not an array")
        inner = parts[0].shape if parts else ()
        return cls((len(parts), *inner), [x for part in parts for x in part.data])

    def to_nested(self) -> Any:
        """Nested lists; a bare number for an array without axes."""
        if not self.shape:
            return self.data[0]
        return [to_array(self[i]).to_nested() for i in range(self.shape[0])]

    def __getitem__(self, index: int | tuple[int, ...]) -> Value:
        picked = index if isinstance(index, tuple) else (index,)
        if len(picked) > len(self.shape) or any(not 0 <= i < size for i, size in zip(picked, self.shape, strict=False)):
            raise IndexError(f"{list(picked)} is outside an array of shape {list(self.shape)}")
        rest = self.shape[len(picked) :]
        start, length = self.offset(picked), math.prod(rest)
        return Array(rest, self.data[start : start + length]) if rest else self.data[start]

    def offset(self, index: tuple[int, ...]) -> int:
        """Where the part that ``index`` selects begins in ``data``."""
        at = 0
        for axis, size in enumerate(self.shape):
            at = at * size + (index[axis] if axis < len(index) else 0)
        return at

    def map(self, function: Callable[[Scalar], Scalar]) -> Array:
        """The function of every element."""
        return Array(self.shape, [function(x) for x in self.data])

    def __repr__(self) -> str:
        return f"Array({self.to_nested()!r})"


def number(given: Any) -> Scalar:
    """A number exactly as it was given; whole ones stay ``int``."""
    if isinstance(given, (int, mpmath.mpf)):
        return int(given) if isinstance(given, int) else given
    if isinstance(given, Fraction):
        return mpmath.mpf(given.numerator) / given.denominator
    try:
        return mpmath.mpf(given)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{given!r:.60} is not a number") from error


def real(value: Value) -> Value:
    """The value with every whole number turned into a real one."""
    return value.map(mpmath.mpf) if isinstance(value, Array) else mpmath.mpf(value)


def to_array(value: Value) -> Array:
    """Any value as an Array; truth values become 1 and 0."""
    if isinstance(value, Array):
        return value.map(int) if value.data and isinstance(value.data[0], bool) else value
    return Array((), [int(value) if isinstance(value, bool) else value])


def from_array(array: Array) -> Value:
    """A bare number instead of an array without axes."""
    return array if array.shape else array.data[0]


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape; empty for a number."""
    return value.shape if isinstance(value, Array) else ()


def items(value: Value) -> list[Scalar]:
    """The elements in reading order."""
    return value.data if isinstance(value, Array) else [value]


def check_count(count: int, what: str = "a loop") -> None:
    """Raise LanguageError rather than run for hours."""
    if count > MAX_ITERATIONS:
        raise LanguageError(
            f"{what} of {count:,} iterations; the reference interpreter stops at {MAX_ITERATIONS:,}. Use smaller sizes"
        )


def positions(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every index of an array of that shape, in reading order."""
    check_count(math.prod(shape), "an array")
    return itertools.product(*map(range, shape))


def stack(parts: Iterable[Value], lead: tuple[int, ...]) -> Value:
    """Equally shaped values as one array with ``lead`` as its leading axes."""
    parts = list(parts)
    inner = shape_of(parts[0]) if parts else ()
    if any(shape_of(part) != inner for part in parts):
        shapes = sorted({str(list(shape_of(part))) for part in parts})
        raise ShapeError(f"parts of different shapes cannot make one array: {' and '.join(shapes)}")
    return from_array(Array((*lead, *inner), [x for part in parts for x in items(part)]))


def broadcast(function: Callable[[Scalar, Scalar], Scalar], left: Value, right: Value) -> Value:
    """The function elementwise: equal shapes, a number with an array, or equal trailing axes."""
    if not isinstance(left, Array):
        return right.map(lambda b: function(left, b)) if isinstance(right, Array) else function(left, right)
    if not isinstance(right, Array):
        return left.map(lambda a: function(a, right))
    longer, shorter = (left, right) if len(left.shape) >= len(right.shape) else (right, left)
    if longer.shape[len(longer.shape) - len(shorter.shape) :] != shorter.shape:
        raise ShapeError(f"shapes {list(left.shape)} and {list(right.shape)} do not agree on their last axes")
    repeats = math.prod(longer.shape[: len(longer.shape) - len(shorter.shape)])
    a = left.data if longer is left else left.data * repeats
    b = right.data if shorter is left or longer.shape == shorter.shape else right.data * repeats
    return Array(longer.shape, [function(x, y) for x, y in zip(a, b, strict=True)])


def spread(value: Value, shape: tuple[int, ...]) -> Value:
    """A number repeated over a shape; a value of that shape as it is."""
    if not isinstance(value, Array) and shape:
        return Array(shape, [value] * math.prod(shape))
    if shape_of(value) != shape:
        raise ShapeError(f"a value of shape {list(shape_of(value))} where {list(shape)} is needed")
    return value


def add(a: Scalar, b: Scalar) -> Scalar:
    return a + b


def subtract(a: Scalar, b: Scalar) -> Scalar:
    return a - b


def multiply(a: Scalar, b: Scalar) -> Scalar:
    """The product; 0*log(0) is 0, its limit."""
    product = a * b
    return mpmath.mpf(0) if product != product and (a == 0 or b == 0) else product


def divide(a: Scalar, b: Scalar) -> Scalar:
    if b == 0:
        raise LanguageError("division by zero")
    return mpmath.mpf(a) / b if isinstance(a, int) else a / b


def floor_divide(a: Scalar, b: Scalar) -> Scalar:
    if b == 0:
        raise LanguageError("division by zero")
    return a // b if isinstance(a, int) and isinstance(b, int) else mpmath.floor(mpmath.mpf(a) / b)


def remainder(a: Scalar, b: Scalar) -> Scalar:
    return a - b * floor_divide(a, b)


def power(base: Scalar, exponent: Scalar) -> Scalar:
    """A power of reals; what is not real, or has millions of digits, is refused."""
    if not isinstance(exponent, int) and abs(exponent) < 10**6 and exponent == int(exponent):
        exponent = int(exponent)
    if base == 0:
        if exponent < 0:
            raise LanguageError("division by zero: 0 to a negative power")
        return mpmath.mpf(1 if exponent == 0 else 0)
    if base < 0 and not isinstance(exponent, int):
        raise LanguageError(f"{mpmath.nstr(base, 6)}**{mpmath.nstr(exponent, 6)} is not a real number")
    if mpmath.isfinite(base) and abs(exponent) * (abs(mpmath.mag(base)) + 1) > MAX_BITS:
        raise LanguageError("a power with millions of digits; make the exponent smaller")
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0 and abs(base) ** min(exponent, 99) < 2**99:
        return base**exponent
    return mpmath.mpf(base) ** exponent


ARITHMETIC: dict[str, Callable[[Scalar, Scalar], Scalar]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "//": floor_divide,
    "%": remainder,
}


def integer(value: Value) -> int:
    """A whole number as ``int``. Raises LanguageError for anything else."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Array) or not mpmath.isint(value):
        raise LanguageError("a whole number is needed here" + ("" if isinstance(value, Array) else f", not {value}"))
    return int(value)


def transpose(value: Value) -> Value:
    """The last two axes exchanged."""
    shape = shape_of(value)
    if len(shape) < 2:
        raise LanguageError("'.T' of a vector has a meaning beside '@' only: x.T @ y, x @ y.T")
    *lead, rows, columns = shape
    block = rows * columns
    data = [
        value.data[start + i * columns + j]
        for start in range(0, len(value.data), block or 1)
        for j in range(columns)
        for i in range(rows)
    ]
    return Array((*lead, columns, rows), data)


def outer(left: Array, right: Array) -> Array:
    """The matrix of all products of two vectors."""
    check_count(len(left.data) * len(right.data), "a product")
    return Array((*left.shape, *right.shape), [multiply(a, b) for a in left.data for b in right.data])


def matmul(left: Value, right: Value) -> Value:
    """``left @ right`` over the last axis of left and the last but one of right.

    Leading axes must be equal, or be on one side only. Raises ShapeError.
    """
    a, b = shape_of(left), shape_of(right)
    if not a or not b:
        raise ShapeError("'@' multiplies vectors and matrices; write '*' for a number")
    lead_a, lead_b = a[:-2], b[:-2]
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner or (lead_a and lead_b and lead_a != lead_b):
        raise ShapeError(f"shapes {list(a)} and {list(b)} do not fit '@'")
    rows = [()] if len(a) == 1 else [(i,) for i in range(a[-2])]
    columns = [()] if len(b) == 1 else [(j,) for j in range(b[-1])]
    lead = lead_a or lead_b
    check_count(math.prod(lead) * len(rows) * len(columns) * inner, "a matrix product")
    out: list[Scalar] = []
    for at in positions(lead):
        x = left[at] if lead_a else left
        y = right[at] if lead_b else right
        tall = [[y.data[k * len(columns) + j] for k in range(inner)] for j in range(len(columns))]
        for i in range(len(rows)):
            row = x.data[i * inner : (i + 1) * inner]
            out.extend(total(map(multiply, row, column)) for column in tall)
    shape = (*lead, *(() if len(a) == 1 else (a[-2],)), *(() if len(b) == 1 else (b[-1],)))
    return from_array(Array(shape, out))


def total(values: Iterable[Scalar]) -> Scalar:
    """The sum; 0 of nothing."""
    result: Scalar = 0
    for value in values:
        result = result + value
    return result


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "!=": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}
