"""LaTeX of formulas: golden strings, parentheses, and properties of whatever is printed."""

from __future__ import annotations

import re
import time

import pytest

from kb.errors import LanguageError
from kb.parser import parse_expression, parse_statement
from kb.printing import Context, latex, latex_lines
from kb.tree import Step

CONTEXT = Context(
    ranks={"A": 2, "B": 2, "S": 2, "x": 1, "y": 1, "a": 0, "b": 0, "c": 0, "sigma2": 1, "T": 3},
    glyphs={"sigma2": r"\sigma^2"},
    kinds={"f": "function", "AGG": "reducer"},
    calls={"sigmoid": r"\sigma", "gauss": r"\mathcal{N}"},
    signatures={"loss": ((1, 1), 0)},
    ranges={"i": "N"},
    limits=True,
    one_based=True,
)

CASES = r"\begin{cases} a & \text{if } a > 0 \\ b & \text{otherwise} \end{cases}"
GOLDEN = [
    # parentheses
    ("a - (b - c)", "a - (b - c)"),
    ("a - b - c", "a - b - c"),
    ("a - -b", "a - (-b)"),
    ("a*(b + c)", r"a\, (b + c)"),
    ("2*(b + c)", "2(b + c)"),
    ("(a + b)*(a - b)", "(a + b)(a - b)"),
    ("f*(b + c)", r"f \cdot (b + c)"),
    ("-a**2", "-a^2"),
    ("(-a)**2", "(-a)^2"),
    ("-(a + b)", "-(a + b)"),
    ("a*-b", r"a\, (-b)"),
    ("(a*b)**2", "(a b)^2"),
    ("(x[i])**2", "x_i^2"),
    ("yhat[j]**2", r"\hat{y}_j^2"),
    ("(a**2)**3", "(a^2)^3"),
    ("sum(x[i], i)*b", r"\left( \sum_{i=1}^N x_i \right)\, b"),
    ("sum(x[i] + b, i)", r"\sum_{i=1}^N (x_i + b)"),
    ("sum(-x[i], i)", r"\sum_{i=1}^N (-x_i)"),
    ("log(a)*b", r"\log(a)\, b"),
    ("b*log(a)", r"b \log a"),
    ("log(a)**2", r"(\log a)^2"),
    (
        "2*(a if a > 0 else b)",
        rf"2 {CASES}",
    ),
    ("(a if a > 0 else b)*c", rf"\left( {CASES} \right)\, c"),
    ("c - 2*(a if a > 0 else b)", rf"c - 2 \left( {CASES} \right)"),
    ("c*-(a if a > 0 else b)", rf"c\, \left( -\left( {CASES} \right) \right)"),
    ("-c*(a if a > 0 else b)", rf"-c {CASES}"),
    ("sum(x[i] if a > 0 else b, i)/2", r"\frac{1}{2} \sum_{i=1}^N " + CASES.replace("} a &", "} x_i &")),
    # products and fractions
    ("2*3*a", r"2 \cdot 3 a"),
    ("a*2", r"a \cdot 2"),
    ("a/b/c", r"\frac{a}{b c}"),
    ("a/(b/c)", r"\frac{a}{b/c}"),
    ("a**(b/c)", "a^{b/c}"),
    ("1/2", r"\frac{1}{2}"),
    ("sum(x[i], i)/2", r"\frac{1}{2} \sum_{i=1}^N x_i"),
    ("-x[i]/2*b", r"-\frac{x_i}{2} b"),
    ("x*y*a", r"x \odot y a"),
    ("A @ B*S", r"(A B) \odot S"),
    ("A*B @ S", r"(A \odot B)\, S"),
    ("A @ (B*S)", r"A\, (B \odot S)"),
    ("a*(A @ x)", "a A x"),
    ("x.T @ y", r"x^{\top} y"),
    ("x @ y", r"x^{\top} y"),
    ("x @ y.T", r"x y^{\top}"),
    ("A[i] @ x", r"A_i^{\top} x"),
    ("inv(A.T @ A) @ A.T @ y", r"(A^{\top} A)^{-1} A^{\top} y"),
    ("A @ B.T/sqrt(d_k)", r"\frac{A B^{\top}}{\sqrt{d_k}}"),
    ("loss(x, y)*loss(y, x)", r"\operatorname{loss}(x, y) \operatorname{loss}(y, x)"),
    ("a // b", r"\left\lfloor \frac{a}{b} \right\rfloor"),
    ("c**(a // b)", r"c^{\lfloor a/b \rfloor}"),
    ("b + a % c", r"b + (a \bmod c)"),
    # numbers
    ("1.0e-8", "10^{-8}"),
    ("2.5e-3*a", r"2.5 \times 10^{-3} a"),
    ("0.044715", "0.044715"),
    # subscripts
    ("W_1[i, j]", "W_{1,ij}"),
    ("A[i][j]", "A_{ij}"),
    ("T[c, s*i + u - p, j]", r"T_{c,\,s i+u-p,\,j}"),
    ("sigma2[j]", r"\sigma_j^2"),
    ("sigma2[j]**2", r"\sigma_j^4"),
    ("softmax(x)[i]", r"\operatorname{softmax}(x)_i"),
    ("A.T[i]", "A_{:,i}"),
    ("A @ B.T[i] + A.T[i + 1]", r"A B_{:,i} + A_{:,i+1}"),
    ("x.T @ A.T[i]", r"x^{\top} A_{:,i}"),
    ("x_prime.T @ y", r"x^{\prime \top} y"),
    # functions
    ("sigmoid(a)*(1 - sigmoid(a))", r"\sigma(a)(1 - \sigma(a))"),
    ("tanh(a)**2", r"\tanh^2 a"),
    ("exp(-a)", "e^{-a}"),
    ("exp(a/b)", "e^{a/b}"),
    ("exp(-(a - b)**2/(2*c))", r"\exp\!\left( -\frac{(a - b)^2}{2 c} \right)"),
    ("kl_divergence(x, y)", r"\operatorname{kl-divergence}(x, y)"),
    ("max(0, a)", r"\max(0, a)"),
    ("max(A[i,j], j)", r"\max_j A_{ij}"),
    ("abs(x[i])**b", r"\lvert x_i \rvert^b"),
    ("norm(x)**2 + norm(A) + norm(x, 1)", r"\lVert x \rVert_2^2 + \lVert A \rVert_F + \lVert x \rVert_1"),
    ("deriv(f)(a)", "f'(a)"),
    ("det([[a, b], [c, a]])", r"\det \begin{pmatrix} a & b \\ c & a \end{pmatrix}"),
    ("logdet(A)", r"\log \lvert \det A \rvert"),
    ("trace(A)", r"\operatorname{tr}(A)"),
    ("matpow(A, n + 1)", "A^{n+1}"),
    ("eye(n) + ones(2, 3)", r"I_n + \mathbf{1}_{2 \times 3}"),
    ("one_hot(i, n)", r"\mathbf{e}_i"),
    ("delta(i, j) + delta(i, j + 1)", r"\delta_{ij} + \delta_{i,\,j+1}"),
    # binders
    ("mean(x[i], i)", r"\frac{1}{N} \sum_{i=1}^N x_i"),
    ("mean(x[k], k)", r"\operatorname*{mean}_k(x_k)"),
    ("mean(A[u,v], u, v, u < k, v < k)", r"\frac{1}{k^2} \sum_{0 \le u,v < k} A_{uv}"),
    ("sum(x[i]*i, i)", r"\sum_{i=0}^{N-1} x_i i"),
    ("sum(x[i], i, i != c)", r"\sum_{i \ne c} x_i"),
    ("sum(x[u], u, A[v,u] == 1)", r"\sum_{u :\, A_{vu}=1} x_u"),
    ("AGG(A[u], u, B[v,u] == 1)", r"\operatorname*{AGG}_{u :\, B_{vu}=1}(A_u)"),
    ("logsumexp(x[k], k)", r"\operatorname{logsumexp}_k(x_k)"),
    ("sum(x[k], k, k < 5)", r"\sum_{k=1}^5 x_k"),
    ("sum(x[k + 1], k, k < n - 1)", r"\sum_{k=0}^{n-2} x_{k+1}"),
    ("sum(x[k]*r[i], k, k <= i)", r"\sum_{k \le i} x_k r_i"),
    ("prod(x[k]*x[i], k, k < i)", r"\prod_{k < i} x_k x_i"),
    ("sum(A[u,v], u, v, u < v)", r"\sum_{u < v} A_{uv}"),
    ("sum(abs(x[i]), i)", r"\sum_{i=1}^N\, \lvert x_i \rvert"),
    ("concat(h[i], i) @ A", r"[h_1; \dots; h_N]\, A"),
    ("concat(x, y)", "[x; y]"),
    ("concat(h[k], k) @ A", r"\operatorname{concat}_k(h_k)\, A"),
    ("argmax(x[k], k)", r"\operatorname*{arg\,max}_k x_k"),
    ("E(log(f(z)), z, p_z)", r"\mathbb{E}_{z \sim p_z}[\log f(z)]"),
    ("E(x[u], u, T[s,a,u])", r"\mathbb{E}_{u \sim T_{sa}}[x_u]"),
    ("E(z, z, gauss(z, 0, 1))", r"\mathbb{E}_{z \sim \mathcal{N}(0, 1)}[z]"),
    ("integral(f(t), t, -oo, oo)", r"\int_{-\infty}^{\infty} f(t) \, \mathrm{d} t"),
    ("d(y[j], x[k])", r"\frac{\partial y_j}{\partial x_k}"),
    ("d(log(x[a]), x) + d(loss(x - y, y), x)", r"\nabla_x \log x_a + \nabla_x \operatorname{loss}(x - y, y)"),
    (
        "d(d(y[j], a), a) + d(d(b, x[i]), x[j])",
        r"\frac{\partial^2 y_j}{\partial a^2} + \frac{\partial^2 b}{\partial x_i \, \partial x_j}",
    ),
    ("(inv(A @ B + S))[i,j] + (A @ x)[i]", r"[(A B + S)^{-1}]_{ij} + (A x)_i"),
    ("log(a*b)/2 - a/2", r"\frac{1}{2} \log(a b) - \frac{a}{2}"),
    ("d(a*b + c, a)", r"\frac{\partial}{\partial a} (a b + c)"),
    ("vjp(y, x, g)", r"\left( \frac{\partial y}{\partial x} \right)^{\top} g"),
    ("stop(a)", r"\operatorname{sg}(a)"),
    ("S*(S_bar - rowsum(S*S_bar))", r"S \odot (\bar{S} - \operatorname{rowsum}(S \odot \bar{S}))"),
]


@pytest.mark.parametrize(("formula", "expected"), GOLDEN)
def test_golden(formula: str, expected: str) -> None:
    context = CONTEXT if "S_bar" not in formula else Context(ranks={"S": 2, "S_bar": 2})
    assert latex(parse_expression(formula), context) == expected


@pytest.mark.parametrize("formula", [formula for formula, _ in GOLDEN])
@pytest.mark.parametrize("context", [CONTEXT, Context()])
def test_braces_and_delimiters_match(formula: str, context: Context) -> None:
    tex = latex(parse_expression(f"1/({formula}) + ({formula})**2 - ({formula})*({formula})"), context)
    assert tex.isascii()
    bare = re.sub(r"\\[{}]", "", tex)
    assert bare.count("{") == bare.count("}")
    assert tex.count(r"\left") - tex.count(r"\leftarrow") == tex.count(r"\right")
    assert tex.count(r"\begin") == tex.count(r"\end")
    assert not re.search(r"\^[^{}\\]\^|\^\{[^{}]*\}\^|_\{[^{}]*\}_", bare)


def test_statements() -> None:
    assert latex(parse_statement("p[j] == 2*a")) == "p_j = 2 a"
    assert latex(parse_statement("U, s = svd(A)")) == r"(U, s) = \operatorname{svd}(A)"
    claim = parse_statement("d(relu(a), a) == (1 if a > 0 else 0)")
    assert latex(claim).endswith(r"= \begin{cases} 1 & \text{if } a > 0 \\ 0 & \text{otherwise} \end{cases}")
    chained = latex(parse_expression("1 if a > 0 else 2 if a < -1 and not b == 1 else 3"))
    assert chained.count("cases") == 2 and chained.count(r"\\") == 2


def test_conditions_that_share_a_side_are_a_chain() -> None:
    condition = parse_expression("1 if s*i <= a and a < s*i + k and b > 0 else 0")
    assert r"\text{if } s i \le a < s i + k \text{ and } b > 0 \\" in latex(condition)


def test_a_condition_on_a_remainder_has_no_parentheses() -> None:
    assert latex(parse_statement("n % 2 == 0")) == r"n \bmod 2 = 0"


def test_counting_from_zero_shows() -> None:
    context = Context(ranges={"i": "N"}, limits=True)
    assert latex(parse_expression("sum(x[i], i)"), context) == r"\sum_{i=0}^{N-1} x_i"
    assert latex(parse_expression("concat(h[i], i)"), context) == r"[h_0; \dots; h_{N-1}]"


def test_what_the_body_reads_tells_the_range() -> None:
    context = Context(ranges={"i": "wrong"}, shapes={"A": ("m", "n - k + 1")}, limits=True, one_based=True)
    assert latex(parse_expression("sum(A[j,i], i)"), context) == r"\sum_{i=1}^{n-k+1} A_{ji}"
    assert latex(parse_expression("mean(A[i,j], i)"), context) == r"\frac{1}{m} \sum_{i=1}^m A_{ij}"


def test_one_line_needs_no_environment() -> None:
    one = parse_statement("y = a")
    assert latex_lines([one]) == "y = a"
    assert latex_lines([one, one]) == "\\begin{aligned}\ny &= a \\\\\ny &= a\n\\end{aligned}"
    assert latex_lines([one], relation=r"\leftarrow") == r"y \leftarrow a"


def test_states_move_in_time() -> None:
    lines = [parse_statement(s) for s in ("m = b*m + g", "m_hat = m/2", "theta = theta - m_hat")]
    assert all(isinstance(line, Step) for line in lines)
    context = Context(time_index="t", kinds={"m": "state", "theta": "state"}, times={"g": 0, "m_hat": 0})
    assert latex_lines(lines, context).split("\n")[1:4] == [
        r"m_t &= b m_{t-1} + g_t \\",
        r"\hat{m}_t &= \frac{m_t}{2} \\",
        r"\theta_t &= \theta_{t-1} - \hat{m}_t",
    ]


def test_a_symbol_e_is_not_the_base_of_exponentials() -> None:
    assert latex(parse_expression("exp(e[s])"), Context(ranks={"e": 1})) == r"\exp(e_s)"


NESTS = ["exp(@)", "(@)//2", "(@ @ y).T", "(@)/2", "log(@)", "-(@*y)", "sum(@, i)", "d(@, x)", "f(@/2 + 1)", "(@ % 2)"]


@pytest.mark.parametrize("nest", NESTS)
def test_deep_formulas_are_quick_or_refused(nest: str) -> None:
    before, after = nest.split("@", 1)
    formula = parse_expression(before * 45 + "x" + after * 45)
    start = time.process_time()
    try:
        assert latex(formula, CONTEXT)
    except LanguageError as error:
        assert "too deeply" in str(error)
    assert time.process_time() - start < 30
