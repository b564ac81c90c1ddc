"""How derivatives of invented formulas read: order of factors, letters, signs, sums, names."""

from __future__ import annotations

import pytest

import kb


def shown(formula: str, symbols: str, form: str, wrt: str) -> list[str]:
    """The statements of a derivative in Unicode, without shapes and definitions."""
    equation = kb.parse(formula, symbols=symbols)
    made = {
        "partial": equation.derivative,
        "hessian": equation.hessian,
        "vjp": lambda names: equation.vjp(names.split(",")),
        "jvp": lambda names: equation.jvp(names.split(",")),
    }[form](wrt)
    lines = made.text().split("\nwhere\n")[0].splitlines()
    return [line.strip() for line in lines if line.startswith("  ")]


@pytest.mark.parametrize(
    ("formula", "symbols", "form", "wrt", "expected"),
    [
        # what the steps made, then what was given; a sum behind the factor of which it speaks
        ("g = sigmoid(A @ u)", "A[m,d] u[d]", "partial", "u", "∂g[i]/∂u[j] = g[i]·(1 − g[i])·A[i,j]"),
        ("q = sigmoid(t)", "t", "hessian", "t", "∂²q/∂t² = q·(1 − q)·(1 − 2·q)"),
        # upstream in front, tangents at the end
        ("q = sigmoid(t)", "t", "vjp", "t", "t̄ = q̄·q·(1 − q)"),
        ("q = sigmoid(t)", "t", "jvp", "t", "q̇ = q·(1 − q)·ṫ"),
        # within a sum that is a factor what is upstream stands last
        ("q = softmax(t)", "t[K]", "vjp", "t", "t̄ = q ⊙ (q̄ − qᵀ q̄)"),
        # the author's order of a product stays
        ("v = (t - mean(t))/2; r = a*v*w", "t[n] a w[n]", "partial", "a", "∂r[i]/∂a = v[i]·w[i]"),
        # letters in order where the author has none
        ("y = A @ B @ x", "A[m,k] B[k,n] x[n]", "partial", "B", "∂y[i]/∂B[j,l] = A[i,j]·x[l]"),
        # nothing to say about the places of zeros
        ("y = A @ x", "A[m,n] x[n]", "hessian", "A", "∂²y/∂A² = 0"),
        # parts of the definition as the author wrote them
        ("r = (x.T @ y)/norm(x)", "x[d] y[d]", "partial", "x", "∂r/∂x[i] = 1/‖x‖₂·(y[i] − r·x[i]/‖x‖₂)"),
        ("r = t*sigmoid(t)", "t", "hessian", "t", "∂²r/∂t² = (σ(t)·(2 − r) + r·(1 − σ(t)))·(1 − σ(t))"),
        # one divisor, one sum, signs in front, numbers together
        ("r = -a*log(q) - (1 - a)*log(1 - q)", "q a", "partial", "q", "∂r/∂q = (q − a)/(q·(1 − q))"),
        ("r = sum((u[i] - w[i])**2, i)", "u[n] w[n]", "jvp", "u,w", "ṙ = 2·(u − w)ᵀ (u̇ − ẇ)"),
        # a chain through whole names; the inverse as such
        ("w = inv(M) @ q", "M[n,n] q[n]", "partial", "M", "∂w[i]/∂M[j,k] = −w[k]·(M⁻¹)[i,j]"),
        ("s = x.T @ (A @ y)", "x[m] A[m,n] y[n]", "vjp", "A", "Ā = s̄·x yᵀ"),
        # the place of a largest value says where it may lie
        ("y = max(x[u + 1], u, u < 3)", "x[6]", "vjp", "x", "x̄[a] = ȳ·[a − 1 = argmax_{u<3} x[u+1]]"),
    ],
)  # fmt: skip
def test_statement(formula: str, symbols: str, form: str, wrt: str, expected: str) -> None:
    assert expected in shown(formula, symbols, form, wrt)


def test_blocks_are_joined_and_taken_apart() -> None:
    formula, symbols = "z[i] = A[i] @ x; y = B @ concat(z[i], i)", "A[h,m,n] x[n] B[p,h*m]"
    lines = shown(formula, symbols, "vjp", "A")
    assert lines[0].startswith("concat_i(z̄[i]) = "), lines
    assert shown(formula, symbols, "jvp", "x")[1:] == ["joined_dot = concat_i(ż[i])", "ẏ = B joined_dot"]
