"""Code keeps its digits where the formula, taken word for word, would lose them or overflow."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import kb

FORMS = [
    ("y = exp(x) - 1", "np.expm1(x)", np.expm1),
    ("y = 2 - 2*exp(-x)", "np.expm1(-x)", lambda x: -2 * np.expm1(-x)),
    ("y = (exp(x) - exp(-x))/(exp(x) + exp(-x))", "np.tanh(x)", np.tanh),
    ("y = 3*sinh(2*x)/cosh(2*x)", "3 * np.tanh(2 * x)", lambda x: 3 * np.tanh(2 * x)),
    ("y = 5*(exp(-x) - exp(x))/(exp(x) + exp(-x))", "np.tanh(-x)", lambda x: -5 * np.tanh(x)),
    ("y = log(3*exp(-x**2))", "np.log(3)", lambda x: np.log(3) - x**2),
]
LIKE_THEM = ["y = exp(x) - 2", "y = (exp(x) - exp(-x))/(exp(x) + exp(-2*x))", "y = (exp(x) + exp(-x))/cosh(x)"]


@pytest.mark.parametrize(("formula", "code", "expected"), FORMS, ids=[f[0] for f in FORMS])
def test_stable_forms_are_used(formula: str, code: str, expected: object) -> None:
    equation = kb.parse(formula, symbols="x")
    assert code in equation.code()
    x = np.array([-1e3, -2.0, -1e-9, 0.0, 1e-9, 0.5]) if "np.expm1(-x)" not in code else np.array([-2.0, 1e-9, 1e3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(equation.lambdify()(x), expected(x), rtol=1e-15, atol=0)  # type: ignore[operator]


@pytest.mark.parametrize("formula", LIKE_THEM)
def test_what_only_looks_alike_stays(formula: str) -> None:
    equation = kb.parse(formula, symbols="x")
    assert "expm1" not in equation.code() and "tanh" not in equation.code()
    x = 0.7
    value = {
        "y = exp(x) - 2": np.exp(x) - 2,
        "y = (exp(x) - exp(-x))/(exp(x) + exp(-2*x))": 2 * np.sinh(x) / (np.exp(x) + np.exp(-2 * x)),
        "y = (exp(x) + exp(-x))/cosh(x)": 2.0,
    }[formula]
    assert equation.lambdify()(x) == pytest.approx(value, rel=1e-15)


def test_a_choice_and_its_opposite_are_one_choice() -> None:
    equation = kb.parse("y = exp(x) if x >= a else b*x", symbols="x a b")
    (line,) = (line for line in equation.code(backward=True).splitlines() if "x_bar =" in line)
    assert line.count("np.where") == 1
    gradient = equation.vjp(wrt=["x"]).lambdify()
    assert gradient(x=1.0, a=0.0, b=3.0)["x"] == pytest.approx(np.e)
    assert gradient(x=-1.0, a=0.0, b=3.0)["x"] == pytest.approx(3.0)


def test_the_logarithm_of_a_quotient_of_softmaxes_passes_through_no_quotient() -> None:
    equation = kb.parse("p = softmax(s); q = softmax(t); y = sum(p[i]*log(p[i]/q[i]), i)", symbols="s[n] t[n]")
    s, t = np.array([0.0, 900.0, 20.0]), np.array([30.0, 0.0, 1000.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert equation.lambdify()(s, t) == pytest.approx(1000.0)
        gradient = equation.vjp().lambdify()(s=s, t=t)
    np.testing.assert_allclose(gradient["t"], [0.0, -1.0, 1.0], atol=1e-15)
    np.testing.assert_allclose(gradient["s"], np.zeros(3), atol=1e-15)
