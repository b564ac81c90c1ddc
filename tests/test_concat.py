"""Values joined along their last axis."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import assert_agree, of_entry, output, sizes_of

import kb
from kb.equation import Equation
from kb.errors import EqkbError
from kb.model import Entry, Symbol

X, Y = Symbol("x", ("n",)), Symbol("y", ("m",))
A, B = Symbol("A", ("b", "n")), Symbol("B", ("b", "m"))
C, D = Symbol("c"), Symbol("e")
W, V = Symbol("W", ("d", "n + m")), Symbol("v", ("n + 1",))

JOINED: dict[str, tuple[tuple[str, ...], tuple[Symbol, ...]]] = {
    "vectors": (("z = concat(x, y**2)",), (X, Y, output("z", "n + m"))),
    "matrices": (("z = concat(A, B, c*A)",), (A, B, C, output("z", "b", "2*n + m"))),
    "inside": (("z = tanh(W @ concat(x, y))",), (W, X, Y, output("z", "d"))),
    "step": (("j = concat(x, y)", "z = tanh(W @ j)"), (W, X, Y, output("z", "d"))),
    "number": (("z = v.T @ concat(x**2, 1)",), (X, V, output("z"))),
    "numbers": (("z = concat(c, e**2)",), (C, D, output("z", "2"))),
    "for each index": (("z[i] = sum(concat(A[i], y)[k]**2, k)",), (A, Y, output("z", "b"))),
    "constant block": (("z = concat(zeros(n), x)",), (X, output("z", "2*n"))),
    "with itself": (("z = concat(x, concat(x, x**2))",), (X, output("z", "3*n"))),
}


def joined(name: str) -> Equation:
    define, symbols = JOINED[name]
    return of_entry(Entry("own", "own", symbols=symbols, define=define))


@pytest.mark.parametrize("name", JOINED)
def test_all_forms_agree(name: str) -> None:
    eq = joined(name)
    assert_agree(eq, sizes_of(eq), second=name in ("vectors", "inside", "number"))


def test_an_expression_knows_the_size() -> None:
    eq = kb.parse("concat(x, 2*y)", symbols="x[n], y[m]")
    assert eq.lambdify()(np.array([1.0, 2.0]), np.array([3.0])).tolist() == [1, 2, 6]
    x, y = np.ones((4, 2), np.float32), np.zeros(3, np.float32)
    found = eq.lambdify()(x, y)
    assert found.shape == (4, 5) and found.dtype == np.float32


def test_code_is_a_concatenation() -> None:
    assert "np.concatenate((x, np.square(x)), axis=-1)" in kb.parse("concat(x, x**2)", symbols="x[n]").code()
    assert "_join(x, np.square(y))" in joined("vectors").code()


def test_print() -> None:
    eq = joined("inside")
    assert eq.text() == "z = tanh(W [x; y])"
    assert eq.latex() == r"z = \tanh(W\, [x; y])"
    assert "joined = [x; y]" in eq.vjp("W").text()
    assert "∂zᵢ₊ₙ/∂xⱼ = 0" in joined("vectors").derivative("x").text()


def test_sympy_chooses_by_place() -> None:
    assert str(joined("vectors").expr) == "Piecewise((x[i], i < n), (y[i - n]**2, True))"


def test_the_way_to_a_derivative_is_sound() -> None:
    assert joined("inside").derivation("x").text()


REFUSED = {
    "z = concat(A, x)": r"'A' has shape \[b, n\] and 'x' has \[n\]",
    "z = concat(A, c)": "must agree",
    "z = concat(x)": "several values",
    "z = concat(x.T, x)": "transposed",
    "z = concat(x, x)": r"declared with shape \[n\]",
}


@pytest.mark.parametrize(("define", "message"), REFUSED.items(), ids=REFUSED)
def test_refused(define: str, message: str) -> None:
    with pytest.raises(EqkbError, match=message):
        _ = of_entry(Entry("own", "own", symbols=(A, X, C, output("z", "n")), define=(define,))).program
