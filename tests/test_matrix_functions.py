"""Eigenvalues, singular values and matrix exponentials: values, conventions, and derivatives of derivatives.

Every formula here is invented and uses a decomposition in the middle of a composition.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from agreement import assert_agree, equation, of_entry, output
from selection import sampled
from test_calculus import assert_derivatives

import kb
from kb import interpreter
from kb.calculus.primitives import with_companions
from kb.errors import EqkbError
from kb.evidence.derivatives import check_directions
from kb.evidence.gather import gather
from kb.evidence.sampling import Sampler
from kb.evidence.subject import Subject
from kb.index import build
from kb.index.nodes import num
from kb.index.program import Step
from kb.model import Entry, NamedClaim, Symbol

COMPOSITIONS = [
    # functions that do not depend on the signs of the vectors
    ("lam, U = eigh(C); y = sum(lam[i]**2*U[0,i]**2, i)", "C[n,n]"),
    ("lam, U = eigh(C); y = sum(log(lam))", "C[n,n]:positive_definite"),
    ("lam, U = eigh(C); y = U @ diag(log(lam)) @ U.T", "C[n,n]:positive_definite"),
    ("lam, U = eigh(C); W = U @ diag(1/sqrt(lam)) @ U.T; y = W @ x", "C[n,n]:positive_definite x[n]"),
    ("lam, U = eigh(B.T @ B); y = max(lam) + lam[0]", "B[m,n]"),
    ("g[i] = sum(w[i,j], j); lam, U = eigh(diag(g) - w); y = lam[n - 1]", "w[n,n]"),
    ("U, s, V = svd(A); y = max(s)", "A[m,n]"),
    ("U, s, V = svd(A); y = sum(s)*norm(A)", "A[m,n]"),
    ("U, s, V = svd(A); y = U @ V.T", "A[m,n]"),
    ("U, s, V = svd(A); y = V @ diag(1/s) @ U.T @ b", "A[m,n] b[m]"),
    # functions that do, by the signs that are fixed
    ("lam, U = eigh(C); y[i,j] = lam[j]*U[i,j] + tanh(U[j,i])", "C[n,n]"),
    ("U, s, V = svd(A); y[i,j] = U[i,j]*s[j] + V[0,j]**2*U[i,j]", "A[m,n]"),
    # exponentials
    ("y = expm(A*t) @ x", "A[n,n] t x[n]"),
    ("E = expm(A); y = trace(E @ E) + sum(expm(A.T*2))", "A[n,n]"),
    ("K[b] = expm(T[b]); y = sum(K[b,i,j]*K[b,j,i], b, i, j)", "T[m,n,n]"),
    ("y = expm(expm(A)*0.1)", "A[n,n]"),
]
NAMES = [define for define, _ in COMPOSITIONS]


@pytest.mark.parametrize(("define", "symbols"), COMPOSITIONS, ids=NAMES)
def test_derivatives_are_those_of_differences(define: str, symbols: str) -> None:
    with mpmath.workdps(40):
        assert_derivatives(kb.parse(define, symbols), {"n": 3, "m": 4})
        assert_derivatives(kb.parse(define, symbols), {"n": 1, "m": 1})


@pytest.mark.parametrize(("define", "symbols"), sampled(COMPOSITIONS, 2), ids=NAMES)
def test_all_forms_of_the_code_agree(define: str, symbols: str) -> None:
    assert_agree(kb.parse(define, symbols), {"n": 3, "m": 4})
    assert_agree(kb.parse(define, symbols), {"n": 1, "m": 1}, second=0)


# --- values and conventions -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_exponential_keeps_its_digits(n: int, scale: float) -> None:
    matrix = np.random.default_rng(n).uniform(-1, 1, (n, n)) * scale
    with mpmath.workdps(40):
        wanted = np.array(mpmath.expm(mpmath.matrix(matrix.tolist())).tolist(), float)
    found = kb.parse("E = expm(A)", "A[n,n]").lambdify()(matrix)
    assert np.abs(found - wanted).max() < 1e-13 * max(1, scale) * np.abs(wanted).max()


def test_the_exponential_of_zero_of_a_large_one_and_of_single_precision() -> None:
    f = kb.parse("E = expm(A)", "A[n,n]").lambdify()
    assert np.array_equal(f(np.zeros((2, 2))), np.eye(2))
    assert np.allclose(f(np.array([[0.0, 100.0], [0.0, 0.0]])), [[1, 100], [0, 1]])
    single = f(np.array([[1.0, 2.0], [0.5, -1.0]], np.float32))
    assert single.dtype == np.float32
    assert np.allclose(single, f([[1.0, 2.0], [0.5, -1.0]]), rtol=1e-5)
    assert np.isnan(f(np.full((2, 2), np.nan))).all()


def test_eigenvalues_go_upwards_and_singular_values_downwards() -> None:
    lam, U = kb.parse("lam, U = eigh(C)", "C[n,n]").lambdify()([[2.0, 0.0], [0.0, -3.0]])
    assert lam.tolist() == [-3, 2] and U.tolist() == [[0, 1], [1, 0]]
    U, s, V = kb.parse("U, s, V = svd(A)", "A[m,n]").lambdify()([[0.0, -3.0], [2.0, 0.0], [0.0, 0.0]])
    assert s.tolist() == [3, 2] and V.tolist() == [[0, 1], [1, 0]] and U.tolist() == [[-1, 0], [0, 1], [0, 0]]


def test_the_first_of_the_largest_elements_is_positive() -> None:
    """Exact ties, which rounding settles in one way or the other."""
    matrix = [[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]]
    _, U = kb.parse("lam, U = eigh(C)", "C[n,n]").lambdify()(matrix)
    root = np.sqrt(0.5)
    assert np.allclose(U, [[0.5, root, -0.5], [root, 0, root], [0.5, -root, -0.5]])


def reference(define: str, symbols: str, given: dict[str, Any]) -> dict[str, Any]:
    eq = kb.parse(define, symbols)
    run = interpreter.run(eq.entry, lambda _: eq.entry, given, {})
    return {name: np.array(array.to_nested(), float) for name, array in run.items()}


def test_interpreter_and_code_fix_the_same_signs() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        C, A = rng.normal(size=(4, 4)), rng.normal(size=(5, 3))
        found = kb.parse("lam, U = eigh(C)", "C[n,n]").lambdify()(C)
        wanted = reference("lam, U = eigh(C)", "C[n,n]", {"C": C})
        assert all(np.allclose(a, wanted[n]) for n, a in zip(("lam", "U"), found, strict=True))
        found = kb.parse("U, s, V = svd(A)", "A[m,n]").lambdify()(A)
        wanted = reference("U, s, V = svd(A)", "A[m,n]", {"A": A})
        assert all(np.allclose(a, wanted[n]) for n, a in zip(("U", "s", "V"), found, strict=True))


def test_eigh_reads_the_symmetric_part() -> None:
    f, g = (kb.parse("lam, U = eigh(C)", "C[n,n]").lambdify(), kb.parse("lam, U = eigh(C)", "C[n,n]").vjp().lambdify())
    C = np.array([[1.0, 5.0], [1.0, -2.0]])
    assert all(np.allclose(a, b) for a, b in zip(f(C), f((C + C.T) / 2), strict=True))
    gradient = g(C, cotangent=(np.array([1.0, 2.0]), np.array([[1.0, 0.0], [2.0, 3.0]])))["C"]
    assert np.allclose(gradient, gradient.T)


def test_leading_axes_map() -> None:
    rng = np.random.default_rng(1)
    A = rng.normal(size=(2, 3, 4, 2))
    f, g = (kb.parse("U, s, V = svd(A)", "A[m,n]").lambdify(), kb.parse("U, s, V = svd(A)", "A[m,n]").vjp().lambdify())
    cotangent = tuple(rng.normal(size=part.shape) for part in f(A))
    whole, pulled = f(A), g(A, cotangent=cotangent)["A"]
    for at in np.ndindex(2, 3):
        assert all(np.allclose(a[at], b) for a, b in zip(whole, f(A[at]), strict=True))
        assert np.allclose(pulled[at], g(A[at], cotangent=tuple(c[at] for c in cotangent))["A"])


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("define", "symbols", "message"),
    [
        ("y = eigh(C)", "C[n,n]", "'eigh' has 2 outputs; give each a name"),
        ("a, b, c = eigh(C)", "C[n,n]", "3 targets, but 'eigh' has 2 outputs"),
        ("a, a = eigh(C)", "C[n,n]", "different names"),
        ("lam, U = eigh(A)", "A[m,n]", "'eigh' needs a square matrix, but 'A' has [m, n]"),
        ("E = expm(x)", "x[n]", "'expm' needs a square matrix, but 'x' has [n]"),
        ("U, s, V = svd(x)", "x[n]", "'svd' needs a matrix, but 'x' has [n]"),
        ("U, s, V = svd(A)", "A[n,n+1]", "V, s, U = svd(A.T)"),
        ("lam, U = eigh(C, C)", "C[n,n]", "takes 1 argument"),
    ],
)
def test_wrong_calls_say_what_to_do(define: str, symbols: str, message: str) -> None:
    with pytest.raises(EqkbError) as caught:
        kb.parse(define, symbols)
    assert message in str(caught.value)


def test_too_few_rows_are_refused_by_code_and_interpreter() -> None:
    eq = kb.parse("U, s, V = svd(A)", "A[m,n]")
    with pytest.raises(ValueError, match="at least as many rows as columns, not 2 and 3"):
        eq.lambdify()(np.ones((2, 3)))
    with pytest.raises(EqkbError, match="decompose the transpose"):
        interpreter.run(eq.entry, lambda _: eq.entry, {"A": [[1, 2, 3], [4, 5, 6]]}, {})


def test_a_result_may_be_declared_with_the_wrong_shape() -> None:
    entry = Entry("own", "Own", symbols=(Symbol("C", ("n", "n")), output("y", "n"), output("U", "n")))
    with pytest.raises(EqkbError, match="'U' is declared with shape"):
        _ = of_entry(replace(entry, define=("y, U = eigh(C)",))).program


# --- programs -----------------------------------------------------------------------------------------


def test_results_carry_the_names_of_their_targets() -> None:
    eq = kb.parse("lam, U = eigh(C); y = sum(lam)", "C[n,n]")
    assert [s.name for s in eq.program.steps] == ["lam", "U", "y"]
    assert kb.parse("M = inv(A)", "A[n,n]").program.step_names() == ["M"]


def test_what_is_not_wanted_is_not_computed() -> None:
    code = equation(("lam, U = eigh(C)", "y = sum(lam)"), "C[n,n]", own=(output("y"),)).code()
    assert "lam, _ = _eigh(C)" in code
    code = equation(("U, s, V = svd(A)", "y = sum(s)"), "A[m,n]", own=(output("y"),)).code(backward=True)
    assert "_, s, _ = _svd(A)" in code and "U, _, V = _svd(A)" in code and "F_A" not in code


def test_companions_are_made_once() -> None:
    program = kb.parse("lam, U = eigh(C); y = sum(U @ U)", "C[n,n]").program
    once = with_companions(program)
    assert with_companions(once).step_names() == once.step_names()


def test_derivatives_read_like_a_textbook() -> None:
    eq = kb.parse("lam, U = eigh(C)", "C[n,n]")
    assert r"\bar{C} &= U \bar{P}_C U^{\top}" in eq.vjp().latex()
    assert "Q̄_C = Uᵀ Ū" in eq.vjp().text()
    assert "U̇ = U Q̇_C" in eq.jvp().text()
    exponential = kb.parse("E = expm(A)", "A[n,n]")
    assert "L_A = expm(A_block)" in exponential.vjp().text()
    assert "expm(E_block" in exponential.derivative("A").text()  # what the derivative reads is defined


@pytest.mark.parametrize(
    ("define", "symbol", "symbols"),
    [
        ("lam, U = eigh(C); y = lam[0]*U[0,n - 1]", "C", "C[n,n]"),
        ("U, s, V = svd(A); y = sum(s)", "A", "A[m,n]"),
        ("E = expm(t*A); y = E @ x", "t", "A[n,n] t x[n]"),
    ],
)
def test_derivations_hold_line_by_line(define: str, symbol: str, symbols: str) -> None:
    found = kb.parse(define, symbols).derivation(symbol)
    assert found.numbers and found.difference < 1e-20


# --- evidence -----------------------------------------------------------------------------------------

PRINCIPAL = Entry(
    "principal",
    "Principal axes",
    symbols=(Symbol("C", ("d", "d"), domain="positive_definite"), output("lam", "d"), output("U", "d", "d")),
    define=("lam, U = eigh(C)",),
    claims=(
        NamedClaim("whole", "C == U @ diag(lam) @ U.T"),
        NamedClaim("orthonormal", "U.T @ U == eye(d)"),
        NamedClaim("slope", "d(lam[k], C[i,j]) == U[i,k]*U[j,k]"),
    ),
)
PARTS = Entry(
    "parts",
    "Singular values",
    symbols=(Symbol("A", ("m", "n")), output("U", "m", "n"), output("s", "n"), output("V", "n", "n")),
    define=("U, s, V = svd(A)",),
    claims=(
        NamedClaim("whole", "A == U @ diag(s) @ V.T"),
        NamedClaim("left", "U.T @ U == eye(n)"),
        NamedClaim("right", "V.T @ V == eye(n)"),
        NamedClaim("slope", "d(s[k], A[i,j]) == U[i,k]*V[j,k]"),
    ),
)
FLOW = Entry(
    "flow",
    "Linear flow",
    symbols=(Symbol("A", ("n", "n")), Symbol("t"), output("E", "n", "n")),
    define=("E = expm(t*A)",),
    claims=(NamedClaim("equation", "d(E, t) == A @ E"), NamedClaim("inverse", "E @ expm(-t*A) == eye(n)")),
)


def subject_of(entry: Entry) -> Subject:
    eq = of_entry(entry)
    return Subject(entry, eq.program, eq.source.programs)


@pytest.mark.parametrize("entry", [PRINCIPAL, PARTS, FLOW], ids=lambda e: e.id)
def test_entries_are_verified(entry: Entry) -> None:
    eq = of_entry(entry)
    found = gather(eq, eq.source.programs)
    assert found.verdict == "verified", str(found)


@pytest.mark.parametrize("entry", [PRINCIPAL, PARTS], ids=lambda e: e.id)
def test_samples_keep_their_eigenvalues_apart(entry: Entry) -> None:
    subject = subject_of(entry)
    sampler = Sampler(entry, subject.program, subject.lookup)
    for sizes in sampler.assignments():
        assert sizes.get("m", 1) >= sizes.get("n", 1)
        matrix = next(iter(next(sampler.points(sizes)).values.values()))
        values = np.linalg.svd(np.array(matrix, float), compute_uv=False)
        gaps = -np.diff([*values, 0] if entry is PARTS else values)
        assert np.all(gaps > values[0] / 65)


@pytest.mark.parametrize("entry", [PRINCIPAL, PARTS, FLOW], ids=lambda e: e.id)
def test_a_wrong_adjoint_is_caught(entry: Entry) -> None:
    subject = subject_of(entry)
    backward = subject.backward
    steps = backward.adjoint
    for n, step in enumerate(steps):
        if not isinstance(step, Step) or step.expr == num(0):
            continue
        wrong = (*steps[:n], replace(step, expr=build.mul(num(2), step.expr)), *steps[n + 1 :])
        program = replace(backward.program, steps=backward.forward + wrong)
        mutant = subject_of(entry)
        mutant.__dict__["backward"] = replace(backward, program=program, adjoint=wrong)
        assert check_directions(mutant).verdict == "refuted", step.name
