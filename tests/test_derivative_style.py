"""How derivatives of invented formulas read: order of factors, letters, signs, sums, names."""

from __future__ import annotations

import pytest

import kb


def shown(formula: str, symbols: str, form: str, wrt: str) -> list[str]:
    """The definitions and statements of a derivative in the language, which no typography touches."""
    equation = kb.parse(formula, symbols=symbols)
    made = {
        "partial": equation.derivative,
        "hessian": equation.hessian,
        "vjp": lambda names: equation.vjp(names.split(",")),
        "jvp": lambda names: equation.jvp(names.split(",")),
    }[form](wrt)
    return list(made.steps)


@pytest.mark.parametrize(
    ("formula", "symbols", "form", "wrt", "expected"),
    [
        # what the steps made, then what was given; a sum behind the factor of which it speaks
        ("g = sigmoid(A @ u)", "A[m,d] u[d]", "partial", "u", "d(g[i], u[j]) == g[i]*(1 - g[i])*A[i, j]"),
        ("q = sigmoid(t)", "t", "hessian", "t", "d(d(q, t), t) == q*(1 - q)*(1 - 2*q)"),
        # upstream in front, tangents at the end
        ("q = sigmoid(t)", "t", "vjp", "t", "t_bar = q_bar*q*(1 - q)"),
        ("q = sigmoid(t)", "t", "jvp", "t", "q_dot = q*(1 - q)*t_dot"),
        # within a sum that is a factor what is upstream stands last
        ("q = softmax(t)", "t[K]", "vjp", "t", "t_bar = q*(q_bar - q.T @ q_bar)"),
        # where a mask closes a step is 0, also within sums over what the mask lets through
        ("P[i,j] = exp(S[i,j])/sum(exp(S[i,k]), k, k <= i) if j <= i else 0; y = P @ x", "S[n,n] x[n]", "vjp", "S",
         "S_bar = P*(P_bar - rowsum(P*P_bar))"),
        ("P[i,j] = exp(S[i,j])/sum(exp(S[i,k]), k, W[i,k] > 0) if W[i,j] > 0 else 0; y = P @ x", "S[n,n] W[n,n] x[n]",
         "partial", "S", "d(y[i], S[j, k]) == delta(i, j)*P[i, k]*(x[k] - y[i])"),
        # logarithms behind what they are multiplied with
        ("r = sum(u[i]*v[i]*log(w[i]), i)", "u[n] v[n] w[n]:positive", "vjp", "u",
         "u_bar = r_bar*v*log(w)"),
        # what a step says of a power whose base is a power
        ("s = sqrt(sigmoid(t)); r = s*u", "t u", "vjp", "t", "t_bar = s_bar*s*(1 - sigmoid(t))/2"),
        # the author's order of a product stays
        ("v = (t - mean(t))/2; r = a*v*w", "t[n] a w[n]", "partial", "a", "d(r[i], a) == v[i]*w[i]"),
        # letters in order where the author has none
        ("y = A @ B @ x", "A[m,k] B[k,n] x[n]", "partial", "B", "d(y[i], B[j, l]) == A[i, j]*x[l]"),
        # no power of a name that would need a number of its own
        ("M = 2/norm(w)", "w[d]", "vjp", "w", "w_bar = -2*M_bar*w/norm(w)**3"),
        # nothing to say about the places of zeros
        ("y = A @ x", "A[m,n] x[n]", "hessian", "A", "d(d(y, A), A) == 0"),
        # parts of the definition as the author wrote them
        ("r = (x.T @ y)/norm(x)", "x[d] y[d]", "partial", "x", "d(r, x[i]) == (y[i] - r*x[i]/norm(x))/norm(x)"),
        ("r = t*sigmoid(t)", "t", "hessian", "t",
         "d(d(r, t), t) == (sigmoid(t)*(2 - r) + r*(1 - sigmoid(t)))*(1 - sigmoid(t))"),
        # a power of what may be negative is no root of the value; one of what is positive may be
        ("K = (s + t)**p", "s t p:integer", "vjp", "s", "s_bar = K_bar*p*(s + t)**(p - 1)"),
        ("K = (exp(s) + 1)**p", "s p", "vjp", "s", "s_bar = K_bar*p*K**(1 - 1/p)*exp(s)"),
        # one divisor, one sum, signs in front, numbers together
        ("r = -a*log(q) - (1 - a)*log(1 - q)", "q a", "partial", "q", "d(r, q) == (q - a)/(q*(1 - q))"),
        ("r = sum((u[i] - w[i])**2, i)", "u[n] w[n]", "jvp", "u,w", "r_dot = 2*(u - w).T @ (u_dot - w_dot)"),
        # a chain through whole names; the inverse as such
        ("w = inv(M) @ q", "M[n,n] q[n]", "partial", "M", "d(w[i], M[j, k]) == -w[k]*inv(M)[i, j]"),
        ("s = x.T @ (A @ y)", "x[m] A[m,n] y[n]", "vjp", "A", "A_bar = s_bar*x @ y.T"),
        # the place of a largest value says where it may lie
        ("y = max(x[u + 1], u, u < 3)", "x[6]", "vjp", "x",
         "x_bar[a] = y_bar*iverson(a - 1 == argmax(x[u + 1], u, u < 3))"),
    ],
)  # fmt: skip
def test_statement(formula: str, symbols: str, form: str, wrt: str, expected: str) -> None:
    assert expected in shown(formula, symbols, form, wrt)


def test_blocks_are_joined_and_taken_apart() -> None:
    formula, symbols = "z[i] = A[i] @ x; y = B @ concat(z[i], i)", "A[h,m,n] x[n] B[p,h*m]"
    assert shown(formula, symbols, "vjp", "A")[0] == "concat(z_bar[i], i) == B.T @ y_bar"
    assert shown(formula, symbols, "jvp", "x")[-2:] == ["joined_dot = concat(z_dot[i], i)", "y_dot = B @ joined_dot"]
