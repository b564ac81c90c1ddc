"""Expressions of a user's own: the symbols' little language, steps, outputs, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kb
from kb.errors import CatalogueError, EqkbError, LanguageError
from kb.typed import parse_symbols


@pytest.fixture(scope="module")
def catalogue() -> kb.Catalogue:
    return kb.load_catalogue()


def test_symbols_carry_shapes_domains_kinds_and_defaults() -> None:
    text = "W[C, d] x[d]:positive y[N]:one_hot n:integer m:integer=3 eta=0.1 k:label[C] ks[n]:label[C] f:function=tanh"
    symbols = {s.name: s for s in parse_symbols(text)}
    assert list(symbols) == ["W", "x", "y", "n", "m", "eta", "k", "ks", "f"]
    assert symbols["W"].shape == ("C", "d")
    assert (symbols["x"].shape, symbols["x"].domain) == (("d",), "positive")
    assert symbols["y"].domain == "one_hot"
    assert (symbols["n"].kind, symbols["n"].default) == ("integer", None)
    assert symbols["m"].default == "3"
    assert (symbols["eta"].kind, symbols["eta"].default) == ("real", "0.1")
    assert (symbols["k"].kind, symbols["k"].classes) == ("label", "C")
    assert symbols["ks"].shape == ("n",)
    assert (symbols["f"].kind, symbols["f"].instance) == ("function", "tanh")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x:integr", "did you mean 'integer'"),
        ("x x", "declared twice"),
        ("k:label", "k:label[C]"),
        ("f:function", "f:function=tanh"),
        ("x[", "never closed"),
        ("x[]", "an axis has a size"),
        ("x=one", "not a number"),
        ("n:integer=1.5", "whole number"),
        ("lambda", "lambda_"),
        ("cotangent", "cotangent_"),
        ("2x", "not a symbol"),
        ("p:simplex", "needs an axis"),
        ("x[d]]", "never opened"),
        ("__import__('os')", "not a symbol"),
        ("x:real[3]", "only a label has classes"),
    ],
)
def test_wrong_symbols_are_named_with_the_remedy(text: str, said: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse_symbols(text)
    assert said in str(caught.value)


def test_outputs_are_the_targets_that_no_step_reads(catalogue: kb.Catalogue) -> None:
    equation = kb.parse("a = 2*x; b = a + 1; c = a*x", "x", catalogue)
    assert equation.outputs == ("b", "c")
    assert [str(e) for e in equation.expr] == ["2*x + 1", "2*x**2"]
    assert list(equation.steps) == ["a", "b", "c"]


def test_a_bare_expression_gets_a_free_name(catalogue: kb.Catalogue) -> None:
    assert kb.parse("x**2", "x", catalogue).outputs == ("y",)
    assert kb.parse("x*y", "x y", catalogue).outputs == ("result",)


def test_shapes_of_outputs_are_inferred_and_entries_can_be_called(catalogue: kb.Catalogue) -> None:
    equation = kb.parse("S = W @ x + b; y = softmax(S)", "W[C,d] x[d] b[C]", catalogue)
    assert equation.symbols["y"].shape == ("C",)
    assert equation.differentiable == ("W", "x", "b")
    assert equation.jacobian("W").shape == ("C", "C", "d")
    rng = np.random.default_rng(0)
    weights, x, b = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=3)
    exponentials = np.exp(weights @ x + b)
    assert np.allclose(equation.lambdify()(weights, x, b), exponentials / exponentials.sum())


def test_a_typed_equation_has_every_derivative(catalogue: kb.Catalogue) -> None:
    equation = kb.parse("y = sum(tanh(W @ x)*eta)", "W[m,n] x[n] eta=0.5", catalogue)
    rng = np.random.default_rng(1)
    weights, x = rng.normal(size=(3, 2)), rng.normal(size=2)
    slope = 0.5 * (1 - np.tanh(weights @ x) ** 2)
    gradients = equation.vjp().lambdify()(weights, x)
    assert np.allclose(gradients["W"], np.outer(slope, x))
    assert np.allclose(gradients["x"], weights.T @ slope)
    assert np.allclose(equation.jacobian("x").lambdify()(weights, x), gradients["x"])
    direction = rng.normal(size=2)
    assert np.isclose(equation.jvp().lambdify()(weights, x, tangents={"x": direction}), gradients["x"] @ direction)
    curvature = weights.T @ np.diag(-2 * np.tanh(weights @ x) * slope) @ weights
    assert np.allclose(equation.hessian("x").lambdify()(weights, x), curvature)
    assert "tanh" in equation.derivative("x").text()


def test_a_label_selects(catalogue: kb.Catalogue) -> None:
    equation = kb.parse("-log(softmax(z)[k])", "z[C] k:label[C]", catalogue)
    assert equation.differentiable == ("z",)
    logits = np.array([0.1, 2.0, -1.0])
    expected = np.exp(logits) / np.exp(logits).sum() - np.array([0, 0, 1])
    assert np.allclose(equation.vjp("z").lambdify()(logits, 2)["z"], expected)


def test_an_undeclared_symbol_is_an_error_with_its_place_and_the_remedy(catalogue: kb.Catalogue) -> None:
    with pytest.raises(CatalogueError) as caught:
        kb.parse("a = x;\nb = a*q", "x", catalogue)
    (fault,) = caught.value.faults
    assert fault.location is not None
    assert (fault.location.line, fault.location.column) == (2, 7)
    assert "'q'" in fault.message and "symbols" in fault.message


def test_all_faults_come_at_once(catalogue: kb.Catalogue) -> None:
    with pytest.raises(CatalogueError) as caught:
        kb.parse("a = x + q; b = softmx(a); c = x[0]", "x", catalogue)
    messages = [fault.message for fault in caught.value.faults]
    assert len(messages) == 3
    assert "did you mean 'softmax'" in messages[1]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [("", "x"), (";;", "x"), ("x = 2", "x"), ("x == 2", "x"), ("a, b = x", "x"), ("y = expression(x)", "x")],
)
def test_what_defines_nothing_is_refused(text: str, symbols: str, catalogue: kb.Catalogue) -> None:
    with pytest.raises(EqkbError):
        kb.parse(text, symbols, catalogue)
