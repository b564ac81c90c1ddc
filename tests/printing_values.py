"""Values of displayed formulas: a small NumPy evaluator of trees, words of the printers included.

It reads index notation and matrix notation alike. A ``rowsum`` keeps its place beside matrices, as
a column; everything else broadcasts along trailing axes.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import mpmath
import numpy as np
from agreement import shipped

from kb import tree
from kb.calculus.evaluate import Evaluation
from kb.index.program import Program
from kb.programs import Programs
from kb.records import read_records

SIZES = {
    "C": 4, "N": 5, "n": 3, "m": 4, "d": 2, "d_k": 2, "d_v": 5, "h": 2, "P": 3, "S": 3, "A": 4,
    "C_in": 2, "C_out": 3, "H": 5, "W": 6, "r": 2, "q": 3,
}  # fmt: skip
INTEGERS = {"k": 2, "s": 2, "p": 1, "t": 3}


@cache
def programs() -> Programs:
    """The programs of the shipped catalogue."""
    return Programs(read_records())


def sizes_of(program: Program) -> dict[str, int]:
    """Distinct sizes for the dimensions, values for the integer symbols."""
    sizes = {name: SIZES.get(name, 2 + n % 3) for n, name in enumerate(program.dimensions)}
    for tensor in program.arguments:
        if tensor.symbol is not None and tensor.symbol.kind == "integer":
            sizes[tensor.name] = INTEGERS.get(tensor.name, 2)
    return sizes


def sample(program: Program, names: Mapping[str, str] | None = None, seed: int = 1) -> dict[str, Any]:
    """Values of all arguments within their domains; those whose value is on the simplex add up to 1."""
    rng = random.Random(seed)
    sizes = sizes_of(program)
    evaluation = Evaluation(program, {}, sizes)
    found: dict[str, Any] = {}
    for tensor in program.tensors.values():
        symbol = tensor.symbol
        if symbol is None or not symbol.is_argument or (symbol.kind == "integer" and not tensor.shape):
            continue
        places = list(itertools.product(*(range(evaluation.size(s)) for s in tensor.shape)))
        if symbol.kind == "label":
            found[tensor.name] = {place: rng.randrange(sizes[str(symbol.classes)]) for place in places}
            continue
        low = 0.2 if symbol.domain not in ("real", "gaussian", "unit_ball") else -0.9
        values = {place: mpmath.mpf(rng.uniform(low, 0.9)) for place in places}
        if symbol.domain in ("simplex", "stochastic", "one_hot"):
            for lead in {place[:-1] for place in places}:
                total = sum(v for place, v in values.items() if place[:-1] == lead)
                values |= {place: values[place] / total for place in places if place[:-1] == lead}
        found[tensor.name] = values
    return found


def as_array(elements: Mapping[tuple[int, ...], Any]) -> Any:
    """Elements by place as an array."""
    shape = tuple(max(place[axis] for place in elements) + 1 for axis in range(len(next(iter(elements)))))
    made = np.zeros(shape)
    for place, value in elements.items():
        made[place] = float(value)
    return made


class Column(np.ndarray):
    """A vector that stands beside matrices as a column."""


def _apart(a: Any, b: Any) -> tuple[Any, Any, bool]:
    column = isinstance(a, Column) or isinstance(b, Column)
    a, b = np.asarray(a), np.asarray(b)
    return a, b, column


class Values:
    """Evaluates trees, given arrays by name, sizes, and functions for entries that are called."""

    def __init__(self, arrays: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> None:
        self.arrays = dict(arrays)
        self.sizes = dict(sizes)

    def of(self, node: tree.Node, indices: Mapping[str, int] | None = None) -> Any:
        """The value of a tree; ``indices`` gives its free indices."""
        bound = dict(indices or {})
        match node:
            case tree.Number(text):
                return float(text)
            case tree.Name("pi") if "pi" not in self.arrays:
                return np.pi
            case tree.Name(id):
                return bound[id] if id in bound else self.sizes[id] if id in self.sizes else self.arrays[id]
            case tree.Element(base, places):
                return self.element(np.asarray(self.of(base, bound)), [self.of(p, bound) for p in places])
            case tree.Transpose(operand):
                return _transposed(self.of(operand, bound))
            case tree.Negative(operand):
                return self.binary("*", -1.0, self.of(operand, bound))
            case tree.Power(base, exponent):
                return self.binary("**", self.of(base, bound), self.of(exponent, bound))
            case tree.Chain(operands, operators):
                total = self.of(operands[0], bound)
                for operator, operand in zip(operators, operands[1:], strict=True):
                    total = self.binary(operator, total, self.of(operand, bound))
                return total
            case tree.Cases(then, condition, otherwise):
                holds = np.asarray(self.of(condition, bound))
                if holds.ndim == 0:  # what is guarded need not have a value where the condition fails
                    return self.of(then if holds else otherwise, bound)
                return np.where(holds, self.of(then, bound), self.of(otherwise, bound))
            case tree.Comparison(operator, left, right):
                return self.binary(operator, self.of(left, bound), self.of(right, bound))
            case tree.Logic(operator, operands):
                joined = all if operator == "and" else any
                return joined(bool(self.of(o, bound)) for o in operands)
            case tree.Array(items) | tree.Call("tuple", items):
                return np.array([self.of(i, bound) for i in items])
            case tree.Call(function, arguments):
                return self.call(function, arguments, bound)
        raise TypeError(f"no value: {node}")

    def element(self, array: np.ndarray, places: list[Any]) -> Any:
        whole = [round(float(p)) for p in places]
        if any(not 0 <= p < size for p, size in zip(whole, array.shape, strict=False)):
            return 0.0
        return array[tuple(whole)]

    def binary(self, operator: str, a: Any, b: Any) -> Any:
        if operator == "@":
            return _product(np.asarray(a), np.asarray(b))
        a, b, column = _apart(a, b)
        if column and a.ndim == 1 and b.ndim == 2:
            a = a[:, None]
        if column and b.ndim == 1 and a.ndim == 2:
            b = b[:, None]
        made = _OPERATORS[operator](a, b)
        return made.view(Column) if column and made.ndim == 1 else made

    def call(self, function: str, arguments: tuple[tree.Node, ...], bound: dict[str, int]) -> Any:
        body, *rest = arguments
        if function in _REDUCE and rest and function not in ("max", "min"):
            return self.reduction(function, body, rest, bound)
        if function in ("max", "min") and rest:
            if all(isinstance(r, tree.Name) and r.id not in self.arrays and r.id not in bound for r in rest):
                return self.reduction(function, body, rest, bound)
            return _REDUCE[function]([self.of(a, bound) for a in arguments])
        if function == "delta":
            return float(self.of(body, bound) == self.of(rest[0], bound))
        if function == "iverson":
            holds = np.asarray(self.of(body, bound))
            # Places of several indices are compared as a whole, arrays of values one by one.
            whole = (
                isinstance(body, tree.Comparison) and isinstance(body.left, tree.Call) and body.left.function == "tuple"
            )
            return (np.all(holds) if whole else holds) * 1.0
        if function == "concat":
            blocks = self.of(tree.Name(body.base.id), bound) if isinstance(body, tree.Element) else None
            return np.concatenate(list(np.asarray(blocks)), axis=-1)
        values = [self.of(a, bound) for a in arguments]
        return (_FUNCTIONS.get(function) or entry_of_numbers(function))(*values)

    def reduction(self, function: str, body: tree.Node, rest: list[tree.Node], bound: dict[str, int]) -> Any:
        letters = [r.id for r in rest if isinstance(r, tree.Name)]
        conditions = [r for r in rest if not isinstance(r, tree.Name)]
        ranges = [range(self.range_of(letter, body, conditions, bound)) for letter in letters]
        kept: list[tuple[tuple[int, ...], Any]] = []
        for place in itertools.product(*ranges):
            inner = {**bound, **dict(zip(letters, place, strict=True))}
            if all(bool(self.of(c, inner)) for c in conditions):
                kept.append((place, self.of(body, inner)))
        if function in ("argmax", "argmin"):
            better = max if function == "argmax" else min
            place = better(kept, key=lambda pair: float(pair[1]))[0]
            return place[0] if len(place) == 1 else np.array(place)
        return _REDUCE[function]([value for _, value in kept]) if kept else 0.0

    def range_of(self, letter: str, body: tree.Node, conditions: list[tree.Node], bound: dict[str, int]) -> int:
        for condition in conditions:
            if (
                isinstance(condition, tree.Comparison)
                and condition.operator == "<"
                and condition.left == tree.Name(letter)
            ):
                return int(self.of(condition.right, bound))
        for node in tree.walk(body):
            if (
                isinstance(node, tree.Element)
                and isinstance(node.base, tree.Name)
                and tree.Name(letter) in node.indices
            ):
                return int(self.arrays[node.base.id].shape[node.indices.index(tree.Name(letter))])
        raise AssertionError(f"the range of {letter} cannot be read from {body}")


def entry_of_numbers(name: str) -> Callable[..., Any]:
    """An entry whose arguments and result are numbers, element by element; of arrays by its code."""
    program = programs()(name)
    if any(t.shape for t in program.arguments):
        function: Callable[..., Any] = shipped()[name].lambdify()
        return function
    held = program.returns[0][1]

    def value(*numbers: float) -> float:
        given = {t.name: {(): mpmath.mpf(float(x))} for t, x in zip(program.arguments, numbers, strict=False)}
        for tensor in program.arguments[len(numbers) :]:
            given[tensor.name] = {(): mpmath.mpf(tensor.symbol.default if tensor.symbol is not None else 0)}
        return float(Evaluation(program, given, {}).run()[held][()])

    return np.vectorize(value)


def _transposed(value: Any) -> Any:
    value = np.asarray(value)
    return value[None, :] if value.ndim == 1 else value.T


def _product(a: np.ndarray, b: np.ndarray) -> Any:
    """Matrix product; a vector is a column, a transposed one a row; of two vectors their scalar product."""
    if a.ndim == b.ndim == 1 and len(a) == len(b):
        return a @ b
    left = a[:, None] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    made = left @ right
    if b.ndim == 1 or (b.ndim == 2 and b.shape[1] == 1 and made.shape[1] == 1):
        made = made[:, 0]
        return made[0] if made.shape == (1,) and a.ndim == 2 and a.shape[0] == 1 else made
    return made


def _softmax(z: Any) -> Any:
    e = np.exp(z - np.max(z, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


_erf = np.vectorize(lambda x: float(mpmath.erf(x)))

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "//": np.floor_divide,
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
_REDUCE: dict[str, Callable[[list[Any]], Any]] = {
    "sum": lambda v: sum(v), "mean": lambda v: sum(v) / len(v), "prod": lambda v: np.prod(v), "max": max, "min": min,
    "argmax": max, "argmin": min,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign, "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "sum": np.sum, "inv": np.linalg.inv, "diag": np.diag, "softmax": _softmax,
    "colsum": lambda m: np.asarray(m).sum(axis=0),
    "rowsum": lambda m: np.asarray(m).sum(axis=1).view(Column),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "eye": lambda n: np.eye(int(n)),
    "one_hot": lambda place, n: np.eye(int(n))[int(place)],
    "norm": np.linalg.norm, "trace": np.trace, "det": np.linalg.det, "mean": np.mean, "max": np.maximum, "erf": _erf,
    "sinh": np.sinh, "cosh": np.cosh, "floor": np.floor,
}  # fmt: skip
