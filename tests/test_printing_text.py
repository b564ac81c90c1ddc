"""Formulas in Unicode for a terminal."""

from __future__ import annotations

import pytest

from kb.parser import parse_expression, parse_statement
from kb.printing import Context, text, text_lines

CONTEXT = Context(
    ranks={"A": 2, "B": 2, "S": 2, "S_bar": 2, "x": 1, "w_in": 1, "y": 1, "a": 0, "b": 0, "c": 0, "sigma2": 1},
    glyphs={"sigma2": r"\sigma^2"},
    kinds={"f": "function"},
    calls={"sigmoid": r"\sigma"},
    ranges={"i": "N"},
)

GOLDEN = [
    ("yhat[j]*sum(y[c], c) - y[j]", "ŷ[j]·Σ_c y[c] − y[j]"),
    ("a - (b - c)", "a − (b − c)"),
    ("a/(b*c)", "a/(b·c)"),
    ("a/(b + c)", "a/(b + c)"),
    ("(a + b)/c", "(a + b)/c"),
    ("a/b*c", "a/b·c"),
    ("a*(b/c)", "a·(b/c)"),
    ("exp(x[j])/sum(exp(x[k]), k)", "exp(xⱼ) / Σₖ exp(xₖ)"),
    ("exp(x[j])/sum(exp(x[k]), k)*b", "(exp(xⱼ) / Σₖ exp(xₖ))·b"),
    ("sum(x[k], k)*b", "(Σₖ xₖ)·b"),
    ("sum(x[k] - b, k)", "Σₖ (xₖ − b)"),
    ("mean(x[i], i)", "1/N·Σᵢ xᵢ"),
    ("mean(x[k], k)", "meanₖ(xₖ)"),
    ("2*mean(x[i], i)", "2/N·Σᵢ xᵢ"),
    ("-mean(x[i], i)/2 + a/b*mean(x[i], i)", "−1/(2·N)·Σᵢ xᵢ + a/(b·N)·Σᵢ xᵢ"),
    ("a/mean(x[i], i) - a*mean(x[i], i)", "a / (1/N·Σᵢ xᵢ) − a·(1/N·Σᵢ xᵢ)"),
    ("S*(S_bar - rowsum(S*S_bar))", "S ⊙ (S̄ − rowsum(S ⊙ S̄))"),
    ("S_bar @ A/sqrt(d_k)", "S̄ A / √d_k"),
    ("inv(A.T @ A) @ A.T @ y", "(Aᵀ A)⁻¹ Aᵀ y"),
    ("A.T[i] + norm(A.T[i])", "A[:,i] + ‖A[:,i]‖₂"),
    ("(A @ x)*y", "(A x) ⊙ y"),
    ("a**2 + a**-1 + a**b + a**(1/b)", "a² + a⁻¹ + a^b + a^(1/b)"),
    ("beta_1**t", "β₁^t"),
    ("sigma2[j]**2", "σⱼ⁴"),
    ("1.0e-8 + 2.5e-3*a", "10⁻⁸ + 2.5·10⁻³·a"),
    ("sqrt(a + b)*abs(c)", "√(a + b)·|c|"),
    ("d(y[j], x[k])", "∂yⱼ/∂xₖ"),
    ("d(d(b, a), a) + d(d(b, x[i]), x[j])", "∂²b/∂a² + ∂²b/(∂xᵢ ∂xⱼ)"),
    ("d(a*b + c, a)", "∂(a·b + c)/∂a"),
    ("vjp(y, x, g)", "(∂y/∂x)ᵀ g"),
    ("delta(j, k) - x[k]", "δⱼₖ − xₖ"),
    ("A[s*i + u - p, j]", "A[s·i+u−p, j]"),
    ("1 if a > 0 else 2 if a != b else 3", "1 if a > 0, 2 if a ≠ b, else 3"),
    ("2*(1 if a > 0 else 0)", "2·(1 if a > 0, else 0)"),
    ("sigmoid(a)*deriv(f)(b)", "σ(a)·f′(b)"),
    ("kl_divergence(x, y)", "kl_divergence(x, y)"),
    ("sum(x[u], u, A[v,u] == 1)", "Σ_{u: Aᵥᵤ=1} xᵤ"),
    ("max(A[u,v], u, v, u < k, v < k)", "max_{0≤u,v<k} Aᵤᵥ"),
    ("E(f(z), z, p_z)", "E_{z∼p_z}[f(z)]"),
    ("integral(f(t), t, -oo, oo)", "∫_{−∞}^{∞} f(t) dt"),
    ("norm(x)**2/norm(A)", "‖x‖₂²/‖A‖_F"),
    ("x[2*i] + x[i - m] + x[-1]", "x₂ᵢ + xᵢ₋ₘ + x₋₁"),
    ("x[s*i + m]", "x[s·i+m]"),
    ("b if a <= b and b < c and x[i] > 0 else 0", "b if a ≤ b < c and xᵢ > 0, else 0"),
    ("sum(delta(i,j)*a, j, j < N)", "Σⱼ δᵢⱼ·a"),
    ("sum(delta(i,j)*a, j, j < b)", "Σ_{0≤j<b} δᵢⱼ·a"),
    ("b if a >= 0 and a < c else 0", "b if 0 ≤ a < c, else 0"),
    ("b if a <= b or b <= c else 0", "b if a ≤ b or b ≤ c, else 0"),
    ("b if a <= b and c <= b else 0", "b if a ≤ b and c ≤ b, else 0"),
    ("sum(A[i,j], i, j, u, u < k, i + u == c)", "Σ_{i,j,u: u<k, i+u=c} Aᵢⱼ"),
    ("beta_1[i] + x[j]", "β₁[i] + x[j]"),
    ("x_t[i] + x[row] + x_prime[i]", "x_t[i] + x[row] + x′[i]"),
    ("x_prime[i]", "xᵢ′"),
    ("concat(h[i], i)", "[h[0]; …; h[N−1]]"),
    ("concat(x, y)", "[x; y]"),
    ("d(log(x[i]), x) - d(y[i], x)", "∇_x log(xᵢ) − ∂yᵢ/∂x"),
    ("d(log(w_in[i]), w_in)", "∇_{w_in} log(w_in[i])"),
    ("a // b + a % c", "⌊a/b⌋ + (a mod c)"),
]


@pytest.mark.parametrize(("formula", "expected"), GOLDEN)
def test_golden(formula: str, expected: str) -> None:
    assert text(parse_expression(formula), CONTEXT) == expected


@pytest.mark.parametrize("formula", [formula for formula, _ in GOLDEN])
def test_one_line_with_matching_brackets(formula: str) -> None:
    shown = text(parse_expression(f"1/({formula}) - ({formula})**2*({formula})"), CONTEXT)
    assert shown.isprintable()
    for opening, closing in ("()", "[]", "{}"):
        assert shown.count(opening) == shown.count(closing)


def test_statements() -> None:
    assert text(parse_statement("y[j] = 2*a"), relation="←") == "yⱼ ← 2·a"
    assert text(parse_statement("a >= b - 1")) == "a ≥ b − 1"
    assert text(parse_statement("U, s = svd(A, ...)")) == "(U, s) = svd(A, …)"


def test_states_move_in_time() -> None:
    steps = [parse_statement("m = b*m + g"), parse_statement("theta = theta - m")]
    context = Context(time_index="t", kinds={"m": "state", "theta": "state"})
    assert text_lines(steps, context) == ["m_t = b·m_{t−1} + g", "θ_t = θ_{t−1} − m_t"]
