"""Formulas that nobody chose: code, backward pass, tangents and batches of random expressions agree."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from selection import sampled

import kb
from kb import interpreter

SYMBOLS = "x[n] z[n] A[n,m] B[m,n] u[m] a b:positive k:label[n] L[m]:label[n] t:integer"
SIZES = {"n": 4, "m": 3}
INDICES = {"n": ("p", "q", "r"), "m": ("f", "g", "h")}
# Once wrong, each in its own way.
KNOWN = [
    "w = u*x[k]; v = A @ w + x; y = v*b",
    "y = x*softplus(x)",
    "y = prod(softplus(u[f]/(2 + sigmoid(a)**2)), f)",
    "y = a + logsumexp(0*u)",
    "y = a*prod(0*u + 2)",
    "y = a*softmax(0*u)",
    "y = mean(A[q,f]*x[L[f]], q, f)",
    "y[p,f] = A[p,f] + logsumexp(x[q]*x[L[f]], q)",
    "y[p,f] = A[p,f] + logsumexp(u[g]*u[f], g, g <= f)",
]
Free = dict[str, tuple[str, ...]]


class Writer:
    """Writes scalar expressions with the free indices of each axis in ``free``."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def leaf(self, free: Free) -> str:
        rows, columns = free["n"], free["m"]
        leaves = ["a", "b", "2", "0.5", "t", "x[k]", "z[0]", "x[n - 1]"]
        leaves += [f"x[{i}]" for i in rows] + [f"u[{j}]" for j in columns] + [f"x[L[{j}]]" for j in columns]
        leaves += [text for i in rows for j in columns for text in (f"A[{i},{j}]", f"B[{j},{i}]")]
        return self.random.choice([*leaves, *rows[:1]])

    def scalar(self, depth: int, free: Free) -> str:
        form = self.random.randrange(13)
        if depth <= 0 or form < 3:
            return self.leaf(free)
        one, two = self.scalar(depth - 1, free), self.scalar(depth - 1, free)
        if form == 3:
            return f"({one} + {two})"
        if form == 4:
            return f"({one} - {two})"
        if form < 7:
            return f"({one})*({two})"
        if form == 7:
            return f"({one})/(2 + ({two})**2)"
        if form == 8:
            return f"({one})**{self.random.choice([2, 3])}"
        if form == 9:
            function = self.random.choice(["tanh", "sin", "exp", "abs", "sigmoid", "softplus"])
            return f"{function}(0.3*({one}))"
        return self.bound(depth, free) or one

    def bound(self, depth: int, free: Free) -> str:
        axis = self.random.choice("nm")
        unused = [name for name in INDICES[axis] if name not in free[axis]]
        if not unused:
            return ""
        index, outer = unused[0], free[axis]
        body = self.scalar(depth - 1, {**free, axis: (*outer, index)})
        condition = f", {index} <= {outer[0]}" if outer and self.random.random() < 0.4 else ""
        operation = self.random.choice(["sum", "sum", "mean", "max", "min", "logsumexp", "prod"])
        return f"{operation}({'x' if axis == 'n' else 'u'}[{index}]*({body}), {index}{condition})"

    def formula(self) -> str:
        none: Free = {"n": (), "m": ()}
        row: Free = {"n": ("p",), "m": ()}
        column: Free = {"n": (), "m": ("f",)}
        both: Free = {"n": ("p",), "m": ("f",)}
        match self.random.randrange(4):
            case 0:
                return f"y = a*{self.scalar(4, none)}"
            case 1:
                return f"y[p] = x[p]*{self.scalar(3, row)}"
            case 2:
                return f"y[p,f] = A[p,f] + {self.scalar(3, both)}"
            case _:
                last = self.scalar(2, row).replace("z[0]", "v[0]")
                return f"w[f] = u[f]*({self.scalar(2, column)}); v = A @ w + x; y[p] = v[p]*{last}"


FORMULAS = [*KNOWN, *(Writer(seed).formula() for seed in range(60))]


def sample(equation: kb.Equation, rng: np.random.Generator) -> dict[str, Any]:
    """Values of the arguments; the same ones for the same formula."""
    labels = {"k": 2, "L": np.asarray([1, 0, 3]), "t": 2}
    given: dict[str, Any] = {}
    for symbol in equation.entry.arguments:
        value = rng.normal(size=tuple(SIZES[size] for size in symbol.shape))
        given[symbol.name] = labels.get(symbol.name, np.abs(value) + 0.5 if symbol.domain == "positive" else value)
    return given


def close(found: Any, expected: Any, tolerance: float = 1e-9) -> None:
    scale = max(1.0, float(np.max(np.abs(expected))))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("text", sampled(FORMULAS, {*KNOWN, *FORMULAS[::2]}.__contains__))
def test_code_of_a_random_formula(text: str) -> None:
    equation = kb.parse(text, SYMBOLS)
    rng = np.random.default_rng(1)
    given = sample(equation, rng)
    plain = {name: np.asarray(value).tolist() for name, value in given.items()}
    reference = interpreter.run(equation.entry, equation.programs.entries.__getitem__, plain, {})["y"]
    value = np.asarray([float(x) for x in reference.data]).reshape(reference.shape)
    function = equation.lambdify()
    close(function(**given), value)

    backward, forward = equation.vjp().lambdify(), equation.jvp().lambdify()
    cotangent = rng.normal(size=value.shape)
    tangents = {name: rng.normal(size=np.shape(given[name])) for name in equation.differentiable}
    gradients = backward(**given, cotangent=cotangent)
    step = 1e-6
    for name, tangent in tangents.items():
        along = np.sum(cotangent * forward(**given, tangents={name: tangent}))
        close(np.sum(gradients[name] * tangent), along, 1e-8)
        high, low = (function(**{**given, name: given[name] + s * tangent}) for s in (step, -step))
        close(along, np.sum(cotangent * (high - low)) / (2 * step), 1e-4)

    batch = {name: np.stack([v, v]) if np.ndim(v) else v for name, v in given.items()}
    close(function(**batch), np.stack([value, value]))
    batched = backward(**batch, cotangent=np.stack([cotangent, cotangent]))
    for name, gradient in gradients.items():
        close(batched[name], np.stack([gradient, gradient]) if np.ndim(given[name]) else 2 * gradient, 1e-8)


@pytest.mark.parametrize("text", sampled(FORMULAS, 3))
def test_display_of_a_random_formula(text: str) -> None:
    equation = kb.parse(text, SYMBOLS)
    for derivative in (equation.vjp(), equation.jvp(), *map(equation.derivative, equation.differentiable)):
        assert "=" in derivative.text()
        latex = derivative.latex()
        assert latex.count("{") == latex.count("}")
