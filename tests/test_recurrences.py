"""Recurrences over an index, and sums and products up to one: values, derivatives, code, errors."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from selection import sampled

import kb
from kb.errors import CatalogueError
from kb.index.program import Step, blocks, loop_of
from kb.model import Entry, Symbol
from kb.programs import Programs

FILE = Path(__file__).with_name("recurrences.yaml")
Floats = NDArray[np.float64]


@cache
def catalogue() -> kb.Catalogue:
    return kb.load_catalogue(FILE)


IDS = list(catalogue())
CHECKED = {"discounted_return", "two_lags", "best_path"}


@pytest.mark.parametrize("entry_id", sampled(IDS, CHECKED.__contains__))
def test_evidence_verifies_it(entry_id: str) -> None:
    evidence = catalogue()[entry_id].check()
    assert evidence.verdict == "verified", evidence


# --- by hand -------------------------------------------------------------------------------------


def arguments(eq: kb.Equation, sizes: dict[str, int]) -> dict[str, Floats]:
    """Random arrays for all arguments."""
    declared = eq.entry.arguments
    return {s.name: normal(*(sizes[d] for d in s.shape), seed=n) for n, s in enumerate(declared)}


def normal(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=shape)


def test_discounted_return_and_its_adjoint() -> None:
    r, gamma = normal(5), 0.9
    eq = catalogue()["discounted_return"]
    powers = np.triu(gamma ** (np.arange(5)[None] - np.arange(5)[:, None]))
    np.testing.assert_allclose(eq.lambdify()(r, gamma), powers @ r)
    cotangent = normal(5, seed=1)
    np.testing.assert_allclose(eq.vjp(["r"]).lambdify()(r, gamma, cotangent=cotangent)["r"], cotangent @ powers)


def test_recurrences_agree_however_they_start() -> None:
    r = normal(2, 4)
    fs = [catalogue()[i].lambdify() for i in ("discounted_return", "discounted_return_from_the_last")]
    np.testing.assert_allclose(*(f(r, 0.7) for f in fs))
    np.testing.assert_allclose(*(f(r[:, :1], 0.7) for f in fs))


def test_state_space_scan_is_a_convolution() -> None:
    A, B, C, u = 0.3 * normal(3, 3), normal(3, 2, seed=1), normal(4, 3, seed=2), normal(6, 2, seed=3)
    y = catalogue()["state_space_scan"].lambdify()(A, B, C, u, np.zeros(3))
    kernel = [C @ np.linalg.matrix_power(A, k) @ B for k in range(6)]
    np.testing.assert_allclose(y, [sum(kernel[t - s] @ u[s] for s in range(t + 1)) for t in range(6)])


def test_unrolled_layer_is_the_cell_again_and_again() -> None:
    layer, cell = catalogue()["lstm_layer"], kb.load_catalogue()["lstm_cell"].lambdify()
    sizes = {"T": 4, "n": 3, "m": 2}
    given = arguments(layer, sizes)
    h, c = layer.lambdify()(**given)
    rest = {name: value for name, value in given.items() if name not in ("x", "h_0", "c_0")}
    state = given["h_0"], given["c_0"]
    for t in range(4):
        state = cell(x=given["x"][t], h_prev=state[0], c_prev=state[1], **rest)
        np.testing.assert_allclose((h[t], c[t]), state)


def test_backward_pass_of_the_layer_against_differences() -> None:
    layer = catalogue()["lstm_layer"]
    sizes = {"T": 3, "n": 2, "m": 2}
    given = arguments(layer, sizes)
    cotangent = normal(3, 2, seed=50), normal(3, 2, seed=51)
    found = layer.vjp().lambdify()(**given, cotangent=cotangent)
    f = layer.lambdify()
    for name, value in given.items():
        step = 1e-6 * normal(*value.shape, seed=99)
        moved = [f(**{**given, name: value + sign * step}) for sign in (1, -1)]
        slope = sum((g * (a - b)).sum() for g, a, b in zip(cotangent, *moved, strict=True)) / 2
        np.testing.assert_allclose((found[name] * step).sum(), slope, atol=1e-12)


def test_accumulations_in_one_pass() -> None:
    x = normal(5, 3)
    c, p, m, l, L = catalogue()["accumulated"].lambdify()(x)  # noqa: E741
    before = np.cumsum(x, 0) - x
    np.testing.assert_allclose(c, np.arange(5)[:, None] * before, atol=1e-14)
    np.testing.assert_allclose(p, np.cumprod(x, 0))
    np.testing.assert_allclose(m, np.maximum.accumulate(x[::-1], 0)[::-1])
    np.testing.assert_allclose(l, np.logaddexp.accumulate(x[::-1], 0)[::-1].T)
    np.testing.assert_allclose(L[4, 1], x[2:5, 0].prod())
    assert L[1, 3] == L[2, 2] == 1


# --- the adjoint ---------------------------------------------------------------------------------


def test_adjoint_runs_the_other_way() -> None:
    for entry_id in ("discounted_return", "state_space_scan"):
        eq = catalogue()[entry_id]
        from kb.calculus.reverse import vjp

        forward = {loop_of(s).backward for s in eq.program.steps if loop_of(s)}  # type: ignore[union-attr]
        adjoint = {loop_of(s).backward for s in vjp(eq.program, eq.differentiable).adjoint if loop_of(s)}  # type: ignore[union-attr]
        assert forward == {not b for b in adjoint}


def test_backward_pass_reads_as_people_write_it() -> None:
    eq = kb.parse("h[-1] = h_0; z[t] = W @ x[t] + U @ h[t-1]; h[t] = tanh(z[t])", symbols="W[m,n] U[m,m] x[T,n] h_0[m]")
    shown = eq.vjp(["U"]).text()
    for line in (
        "h̄_total[t] = h̄[t] + Uᵀ z̄[t+1]",
        "z̄[T] = 0",
        "z̄[t] = h̄_total[t] ⊙ (1 − h[t]²)",
        "Ū = Σ_t z̄[t] h[t−1]ᵀ",
    ):
        assert line in shown


def test_backward_pass_starts_where_only_the_last_element_is_read() -> None:
    symbols = "W[L,n,n] b[L,n] x[n]"
    eq = kb.parse("a[0] = x; z[l] = W[l] @ a[l] + b[l]; a[l+1] = tanh(z[l]); y = a[L]", symbols=symbols)
    lines = [line.strip() for line in eq.vjp(["x", "W"]).text().splitlines()]
    for line in ("ā[L] = ȳ", "ā[l] = W[l]ᵀ z̄[l]", "x̄ = ā[0]", "W̄[l] = z̄[l] a[l]ᵀ"):
        assert line in lines
    assert lines.index("ā[L] = ȳ") < lines.index("z̄[l] = ā[l+1] ⊙ (1 − tanh(z[l])²)") < lines.index("ā[l] = W[l]ᵀ z̄[l]")


def test_partial_derivative_obeys_a_recurrence() -> None:
    shown = catalogue()["discounted_return"].derivative("r").text()
    assert "δ[t,u] + γ·∂G[t+1]/∂r[u]" in shown


def test_products_in_which_nothing_recurs_are_made_at_once() -> None:
    source = catalogue()["lstm_layer"].code()
    loop = source[source.index("for t in range(T):") :]
    assert "W_hi" in loop
    assert "W_xi" not in loop


def test_steps_of_a_loop_stand_together() -> None:
    for eq in catalogue().values():
        loops = [loop_of(group[0]) for group in blocks(eq.program.steps)]
        assert len({id(loop) for loop in loops if loop}) == sum(loop is not None for loop in loops)


def test_no_loop_where_nothing_recurs() -> None:
    eq = kb.parse("y[t] = x[t]**2; z[t] = y[t] + 1", symbols="x[T]")
    assert all(isinstance(s, Step) and s.loop is None for s in eq.program.steps)


# --- ranges and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "symbols", "value"),
    [
        ("h[0] = x[0]; h[t+1] = h[t] + x[t+1]", "x[T]", [1, 3, 6]),
        ("h[-1] = 0; u[t] = h[t-1] + x[t]; h[t] = 2*u[t]", "x[T]", [2, 8, 22]),
        ("y = sum(x[i + 1]*x[i], i, i + 1 < n)", "x[n]", 8),
        ("y = sum(x[2*i], i, 2*i < n)", "x[n]", 4),
        ("y = min(x[i], i, i < k)", "x[n] k:integer=2", 1),
    ],
)
def test_ranges_follow(text: str, symbols: str, value: Any) -> None:
    np.testing.assert_allclose(kb.parse(text, symbols=symbols).lambdify()([1, 2, 3]), value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("h[t] = tanh(h[t-1] + x[t])", "no start; write one as a step before"),
        ("h[-1] = 0; h[t] = tanh(h[t-1] + h[t+1] + x[t])", "not provably in range"),
        ("h[-1] = 0; h[t] = tanh(h[t] + x[t])", "does not advance along an index"),
        ("h[-1] = 0; y = sum(x)", "no step such as"),
        ("h[-1] = 0; h[t] = h[t-2] + x[t]", "not provably in range"),
        ("h[-1] = 0; h[t] = sum(h[k]*x[k], k, k < t) + x[t]", "does not advance along an index"),
        ("h[-1] = 0; h[t], c = tanh(h[t-1] + x[t])", "all plain names, or all elements"),
        ("h[-1] = 0; h[t], c[t] = tanh(h[t-1] + x[t])", "2 targets"),
    ],
)
def test_errors_say_what_to_do(text: str, words: str) -> None:
    with pytest.raises(CatalogueError, match=re.escape(words)):
        kb.parse(text, symbols="x[T]")


@pytest.mark.parametrize(
    ("define", "remedy"),
    [
        (["a[0,s] = X[0,s]", "a[t,s] = a[t-1,s] + X[t,s]", "y[t] = a[t,0]"], "declare it, as in symbols"),
        (["y[0] = X[0,0]", "y[t] = y[t-1] + X[t,0]"], r"start it beyond the ends, as in y\[-1\] = 0"),
    ],
)
def test_a_recurrence_that_overwrites_its_start_is_refused_with_the_remedy(define: list[str], remedy: str) -> None:
    symbols = (Symbol("X", ("n", "m")), Symbol("y", ("n",), role="output"))
    entry = Entry("own", "Own", symbols=symbols, define=tuple(define), requires=("m > 0",))
    fault, *_ = Programs({"own": entry}).elaborated("own").faults
    assert re.search(remedy, fault.message), fault.message


def test_derivations_read_rows_from_which_a_recurrence_starts() -> None:
    text = catalogue()["state_space_scan"].derivation("u", points=1).text()
    assert "∂h[t,i]/∂u[v,j] = δ[t,v]·B[i,j] + Σ_k A[i,k]·∂h[t−1, k]/∂u[v,j]" in text
