"""The reference interpreter against values worked out by hand or by plain mpmath formulas."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import pytest
from mpmath import mpf

from kb.errors import LanguageError, ShapeError
from kb.interpreter import Array, claim_sides, evaluate, run
from kb.interpreter.functions import ARRAY_FUNCTIONS, BINDERS, FUNCTIONS
from kb.model import Entry, Symbol
from kb.parser import parse_expression, parse_statement
from kb.tree import Claim
from kb.vocabulary import ARRAY_FUNCTIONS as ARRAY_WORDS
from kb.vocabulary import BINDERS as BINDER_WORDS
from kb.vocabulary import FUNCTIONS as FUNCTION_WORDS

TINY = mpf(10) ** -27


def symbol(text: str, **facts: Any) -> Symbol:
    """``z[n, m]`` as a symbol."""
    name, _, shape = text.rstrip("]").partition("[")
    return Symbol(name, tuple(s.strip() for s in shape.split(",")) if shape else (), **facts)


def entry(id: str, symbols: Sequence[Symbol | str], *define: str, **facts: Any) -> Entry:
    """An entry; symbols as texts are plain inputs, ``-> y[n]`` is an output."""
    made = []
    for given in symbols:
        if isinstance(given, str):
            role = "output" if given.startswith("-> ") else "input"
            given = symbol(given.removeprefix("-> "), role=role)
        made.append(given)
    return Entry(id, id, symbols=tuple(made), define=define, **facts)


SOFTMAX = entry("softmax", ["z[C]", "-> p[C]"], "p[j] = exp(z[j])/sum(exp(z[k]), k)")
SIGMOID = entry("sigmoid", ["z", "-> y"], "y = 1/(1 + exp(-z))")
NORMAL_PDF = entry("normal_pdf", ["x", "mu", "sigma2", "-> p"], "p = exp(-(x - mu)**2/(2*sigma2))/sqrt(2*pi*sigma2)")
ATTENTION = entry(
    "attention",
    ["Q[n,d_k]", "K[m,d_k]", "V[m,d_v]", "-> O[n,d_v]"],
    "S = Q @ K.T/sqrt(d_k)",
    "A = softmax(S)",
    "O = A @ V",
)
HEAD = entry(
    "head_of",
    ["Q[n,d]", "K[m,d]", "V[m,d]", "W_Q[d,d_k]", "W_K[d,d_k]", "W_V[d,d_v]", "-> H[n,d_v]"],
    "H = attention(Q @ W_Q, K @ W_K, V @ W_V)",
)
PAIR = entry("pair", ["a", "b", "-> s", "-> q"], "s = a + b", "q = a*b")
CATALOGUE = {e.id: e for e in (SOFTMAX, SIGMOID, NORMAL_PDF, ATTENTION, HEAD, PAIR)}


def value(e: Entry, arguments: dict[str, Any], sizes: dict[str, int] | None = None, name: str = "") -> Any:
    """The (first) output as nested lists."""
    return run(e, CATALOGUE.__getitem__, arguments, sizes or {})[name or e.outputs[0].name].to_nested()


def sides(e: Entry, arguments: dict[str, Any], text: str, sizes: dict[str, int] | None = None) -> list[Any]:
    claim = parse_statement(text)
    assert isinstance(claim, Claim)
    return claim_sides(e, CATALOGUE.__getitem__, arguments, sizes or {}, claim)


def close(got: Any, wanted: Any, tolerance: mpf = TINY) -> None:
    """Assert that nested lists agree in shape and in every element."""
    a, b = Array.from_nested(got), Array.from_nested(wanted)
    assert a.shape == b.shape
    for x, y in zip(a.data, b.data, strict=True):
        assert abs(x - y) <= tolerance * max(1, abs(y)), (x, y)


@pytest.fixture(autouse=True)
def thirty_digits() -> Any:
    with mpmath.workdps(30):
        yield


def grid(rows: int, columns: int, start: int = 1) -> list[list[mpf]]:
    """A matrix of distinct numbers."""
    return [[mpmath.sin(start + 3 * i + 7 * j) for j in range(columns)] for i in range(rows)]


def times(a: list[Any], b: list[Any]) -> list[Any]:
    return [
        [mpmath.fsum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a
    ]


def softmax(z: list[mpf]) -> list[mpf]:
    total = mpmath.fsum(mpmath.exp(x) for x in z)
    return [mpmath.exp(x) / total for x in z]


def attend(q: list[Any], k: list[Any], v: list[Any]) -> list[Any]:
    scores = times(q, list(map(list, zip(*k, strict=True))))
    return times([softmax([s / mpmath.sqrt(len(k[0])) for s in row]) for row in scores], v)


# --- the table of words -----------------------------------------------------------------------------------


def test_every_word_of_the_vocabulary_has_a_meaning() -> None:
    assert set(FUNCTIONS) == set(FUNCTION_WORDS)
    assert set(BINDERS) == set(BINDER_WORDS)
    assert set(ARRAY_FUNCTIONS) == set(ARRAY_WORDS)


ELEMENTARY: dict[str, tuple[str, Callable[[], Any]]] = {
    "exp": ("exp(-x)", lambda: 1 / mpmath.e ** mpf("0.3")),
    "log": ("log(x)", lambda: mpmath.ln(mpf("0.3"))),
    "sqrt": ("sqrt(x)", lambda: mpf("0.3") ** mpf("0.5")),
    "abs": ("abs(-x)", lambda: mpf("0.3")),
    "sign": ("sign(-x) + 2*sign(0)", lambda: -1),
    "sin": ("sin(x)**2 + cos(x)**2", lambda: 1),
    "tan": ("tan(x)*cos(x)/sin(x)", lambda: 1),
    "arcs": ("arcsin(x) + arccos(x)", lambda: mpmath.pi / 2),
    "arctan": ("4*arctan(1)", lambda: +mpmath.pi),
    "cosh": ("cosh(x)**2 - sinh(x)**2", lambda: 1),
    "tanh": ("tanh(x)", lambda: 1 - 2 / (mpmath.e ** mpf("0.6") + 1)),
    "erf": ("erf(x) + erf(-x) + erf(oo)", lambda: 1),
    "floor": ("floor(-x)", lambda: -1),
    "round": ("round(2.5) + round(3.5)", lambda: 6),
    "floor division": ("(-7) // 2 + (-7) % 2", lambda: -3),
    "power": ("2**(-1) + 4**0.5 + (-2)**3", lambda: mpf("-5.5")),
    "precedence": ("-x**2 + 2**-1", lambda: mpf("0.41")),
    "decimal text": ("0.044715*1000000", lambda: 44715),
}


@pytest.mark.parametrize("text, wanted", ELEMENTARY.values(), ids=ELEMENTARY)
def test_elementary_functions(text: str, wanted: Callable[[], Any]) -> None:
    close(value(entry("f", ["x", "-> y"], f"y = {text}"), {"x": mpf("0.3")}), wanted())


# --- index notation ---------------------------------------------------------------------------------------


def test_softmax_and_its_jacobian() -> None:
    z = [mpf(1), mpf(2), mpf("0.5")]
    close(value(SOFTMAX, {"z": z}), softmax(z))
    rows = sides(SOFTMAX, {"z": z}, "d(p[j], z[k]) == p[j]*(delta(j, k) - p[k])")
    assert [row[0] for row in rows] == [{"j": j, "k": k} for j in range(3) for k in range(3)]
    p = softmax(z)
    for place, left, right in rows:
        truth = p[place["j"]] * ((place["j"] == place["k"]) - p[place["k"]])
        close(left, truth, mpf(10) ** -25)
        close(right, truth)


def test_attention_maps_softmax_over_rows() -> None:
    q, k, v = grid(2, 3), grid(4, 3, 5), grid(4, 2, 9)
    close(value(ATTENTION, {"Q": q, "K": k, "V": v}), attend(q, k, v))


def test_multi_head_attention_concatenates_along_the_last_axis() -> None:
    e = entry(
        "multi_head",
        ["Q[n,d]", "K[m,d]", "V[m,d]", "W_Q[h,d,d_k]", "W_K[h,d,d_k]", "W_V[h,d,d_v]", "W_O[h*d_v,d]", "-> O[n,d]"],
        "head[i] = head_of(Q, K, V, W_Q[i], W_K[i], W_V[i])",
        "O = concat(head[i], i) @ W_O",
    )
    q, k, v = grid(2, 3), grid(4, 3, 5), grid(4, 3, 9)
    w_q, w_k = [grid(3, 2, 2), grid(3, 2, 3)], [grid(3, 2, 4), grid(3, 2, 6)]
    w_v, w_o = [grid(3, 5, 7), grid(3, 5, 8)], grid(10, 3, 11)
    heads = [attend(times(q, w_q[i]), times(k, w_k[i]), times(v, w_v[i])) for i in range(2)]
    arguments = {"Q": q, "K": k, "V": v, "W_Q": w_q, "W_K": w_k, "W_V": w_v, "W_O": w_o}
    close(value(e, arguments), times([a + b for a, b in zip(*heads, strict=True)], w_o))


def test_batch_norm_normalises_each_feature() -> None:
    e = entry(
        "batch_norm",
        ["x[m,n]", "gamma[n]", "beta[n]", symbol("eps", default="0.00001"), "-> y[m,n]"],
        "mu[j] = mean(x[i,j], i)",
        "sigma2[j] = mean((x[i,j] - mu[j])**2, i)",
        "x_hat[i,j] = (x[i,j] - mu[j])/sqrt(sigma2[j] + eps)",
        "y[i,j] = gamma[j]*x_hat[i,j] + beta[j]",
    )
    x, gamma, beta = grid(4, 3), [mpf(2), mpf(-1), mpf("0.5")], [mpf(1), mpf(0), mpf(3)]
    wanted = []
    for j, column in enumerate(zip(*x, strict=True)):
        mu = sum(column) / 4
        variance = sum((a - mu) ** 2 for a in column) / 4
        wanted.append([gamma[j] * (a - mu) / mpmath.sqrt(variance + mpf("1e-5")) + beta[j] for a in column])
    close(value(e, {"x": x, "gamma": gamma, "beta": beta}), list(map(list, zip(*wanted, strict=True))))


CONV2D = entry(
    "conv2d",
    [
        symbol("x[C_in,H,W]", outside="0"),
        "K[C_out,C_in,r,q]",
        "b[C_out]",
        symbol("s", kind="integer", default="1"),
        symbol("p", kind="integer", default="0"),
        "-> y[C_out, (H + 2*p - r)//s + 1, (W + 2*p - q)//s + 1]",
    ],
    "y[o,i,j] = b[o] + sum(K[o,c,u,v]*x[c, s*i + u - p, s*j + v - p], c, u, v)",
)


@pytest.mark.parametrize("s, p", [(1, 0), (2, 1), (3, 2), (2, 0)])
def test_conv2d_with_stride_and_padding(s: int, p: int) -> None:
    x = [grid(5, 4), grid(5, 4, 4)]
    kernel = [[grid(2, 3, 1 + 2 * o + c) for c in range(2)] for o in range(3)]
    b = [mpf(1), mpf(2), mpf(3)]

    def at(c: int, i: int, j: int) -> mpf:
        return x[c][i][j] if 0 <= i < 5 and 0 <= j < 4 else mpf(0)

    wanted = [
        [
            [
                b[o]
                + mpmath.fsum(
                    kernel[o][c][u][v] * at(c, s * i + u - p, s * j + v - p)
                    for c, u, v in itertools.product(range(2), range(2), range(3))
                )
                for j in range((4 + 2 * p - 3) // s + 1)
            ]
            for i in range((5 + 2 * p - 2) // s + 1)
        ]
        for o in range(3)
    ]
    close(value(CONV2D, {"x": x, "K": kernel, "b": b, "s": s, "p": p}), wanted)


def test_full_convolution_reads_zeros_outside() -> None:
    symbols = [symbol("f[n]", outside="0"), symbol("g[k]"), symbol("y[n + k - 1]", role="output")]
    e = entry("convolution", symbols, "y[i] = sum(f[i - m]*g[m], m)")
    assert value(e, {"f": [1, 2, 3], "g": [1, 10]}) == [1, 12, 23, 30]


def test_transposed_convolution() -> None:
    kernel, stride = symbol("K[r]", outside="0"), symbol("s", kind="integer", default="2")
    e = entry("up", ["z[h]", kernel, stride, "-> y[s*(h - 1) + r]"], "y[i] = sum(z[u]*K[i - s*u], u)")
    assert value(e, {"z": [1, 2], "K": [1, 10, 100]}) == [1, 10, 102, 20, 200]


@pytest.mark.parametrize("reduction, wanted", [("max", [[6, 8], [14, 16]]), ("mean", [[3.5, 5.5], [11.5, 13.5]])])
def test_pooling_takes_the_window_from_conditions(reduction: str, wanted: list[Any]) -> None:
    e = entry(
        "pool",
        [
            "I[H,W]",
            symbol("k", kind="integer", default="2"),
            symbol("s", kind="integer", default="2"),
            "-> O[(H - k)//s + 1, (W - k)//s + 1]",
        ],
        f"O[i,j] = {reduction}(I[s*i + u, s*j + v], u, v, u < k, v < k)",
    )
    image = [[4 * i + j + 1 for j in range(4)] for i in range(4)]
    assert value(e, {"I": image}) == wanted


def test_cross_entropy_gathers_by_a_label() -> None:
    e = entry(
        "cross_entropy",
        ["x[C]", symbol("y", kind="label", classes="C"), "-> L"],
        "L = -x[y] + log(sum(exp(x[j]), j))",
    )
    x = [mpf(1), mpf(3), mpf(2)]
    losses = [-mpmath.log(p) for p in softmax(x)]
    close(value(e, {"x": x, "y": 2}), losses[2])
    # A batch of labels and rows maps; labels alone share the row.
    close(value(e, {"x": x, "y": [0, 2]}), [losses[0], losses[2]])
    close(value(e, {"x": [x, x[::-1]], "y": [0, 0]}), [losses[0], losses[2]])
    for _, left, right in sides(e, {"x": x, "y": 1}, "L == -log(softmax(x)[y])"):
        close(left, right)


def test_gather_by_an_array_of_labels() -> None:
    e = entry("rows", ["W[V,d]", symbol("t[n]", kind="label", classes="V"), "-> y[n,d]"], "y = W[t]")
    assert value(e, {"W": [[1, 2], [3, 4], [5, 6]], "t": [2, 0]}) == [[5, 6], [1, 2]]


def test_positional_encoding_has_affine_left_sides() -> None:
    e = entry(
        "positional",
        ["position", "-> PE[d]"],
        "PE[2*i] = sin(position/10000**(2*i/d))",
        "PE[2*i + 1] = cos(position/10000**(2*i/d))",
    )
    for d in (6, 5):
        wanted = []
        for k in range(d):
            angle = 7 / mpf(10000) ** (mpf(2 * (k // 2)) / d)
            wanted.append(mpmath.cos(angle) if k % 2 else mpmath.sin(angle))
        close(value(e, {"position": 7}, {"d": d}), wanted)


def test_left_sides_must_cover_the_array() -> None:
    e = entry("half", ["x[n]", "-> y[n]"], "y[2*i] = x[2*i]", "z = y")
    with pytest.raises(LanguageError, match="no step has written"):
        value(e, {"x": [1, 2, 3]})


def test_a_declared_label_on_the_left_writes_one_cell() -> None:
    label: dict[str, Any] = {"kind": "label"}
    e = entry(
        "q_learning",
        [
            symbol("Q[S,A]", role="state"),
            symbol("s", classes="S", **label),
            symbol("a", classes="A", **label),
            symbol("s_next", classes="S", **label),
            "r",
        ],
        "Q[s,a] = Q[s,a] + (r + max(Q[s_next,b], b) - Q[s,a])/2",
        kind="update",
    )
    old = [[1, 2], [3, 4], [5, 6]]
    assert value(e, {"Q": old, "s": 1, "a": 0, "s_next": 2, "r": 1}) == [[1, 2], [5, 4], [5, 6]]
    assert old == [[1, 2], [3, 4], [5, 6]]


def test_all_cells_of_an_update_read_the_old_values() -> None:
    e = entry("spread", [symbol("w[n]", role="state")], "w[i] = w[i] + sum(w[j], j)", kind="update")
    assert value(e, {"w": [1, 2, 3]}) == [7, 8, 9]


# --- recurrences ------------------------------------------------------------------------------------------


def test_a_recurrence_starts_before_the_beginning() -> None:
    e = entry("scan", ["x[T]", "h0", "-> h[T]"], "h[-1] = h0", "h[t] = 2*h[t-1] + x[t]")
    assert value(e, {"x": [1, 2, 3], "h0": 10}) == [21, 44, 91]


def test_a_recurrence_runs_backwards_where_it_reads_later_elements() -> None:
    e = entry("returns", ["r[T]", "g", "-> G[T]"], "G[T] = 0", "G[t] = r[t] + g*G[t+1]")
    assert value(e, {"r": [1, 2, 4], "g": 2}) == [21, 10, 4]


def test_layers_are_a_recurrence_of_vectors() -> None:
    e = entry("layers", ["x[n]", "W[L,n,n]", "-> y[n]"], "a[0] = x", "a[l+1] = W[l] @ a[l]", "y = a[L]")
    assert value(e, {"x": [1, 2], "W": [[[1, 1], [0, 1]], [[2, 0], [0, 3]]]}) == [6, 6]


def test_a_recurrence_of_vectors_with_a_vector_start() -> None:
    e = entry("state", ["x[T,n]", "A[n,n]", "h0[n]", "-> h[T,n]"], "h[-1] = h0", "h[t] = A @ h[t-1] + x[t]")
    assert value(e, {"x": [[1, 0], [0, 1]], "A": [[0, 1], [1, 0]], "h0": [5, 6]}) == [[7, 5], [5, 8]]


# --- ranges and binders -----------------------------------------------------------------------------------


def test_conditions_select_neighbours() -> None:
    e = entry(
        "neighbours",
        ["h[n,d]", "adj[n,n]", symbol("AGG", kind="reducer", instance="mean"), "-> s[n,d]", "-> m[n,d]"],
        "s[v] = sum(h[u], u, adj[v,u] == 1)",
        "m[v] = AGG(h[u], u, adj[v,u] == 1 and u != v)",
    )
    arguments = {"h": [[1, 2], [3, 4], [8, 8]], "adj": [[1, 1, 0], [1, 0, 1], [0, 1, 0]]}
    assert value(e, arguments) == [[4, 6], [9, 10], [3, 4]]
    assert value(e, arguments, name="m") == [[3, 4], [4.5, 5], [3, 4]]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("max(x[i], i)", 5),
        ("max(x)", 5),
        ("min(x[i]*y[i], i)", -15),
        ("sum(max(x, y))", 12),
        ("sum(max(x[i], y[i]), i)", 12),
        ("sum(max(2, x))", 10),
        ("argmax(x[i], i)", 1),
        ("argmax(x[i], i, x[i] < 5)", 2),
        ("argmin(x)", 0),
        ("prod(x[i] + 1, i)", 48),
        ("mean(x)", 3),
        ("sum(x[i]*y[j], i, j)", 27),
        ("sum(x[i], i, i != 1)", 4),
        ("sum(k, k, k < 5)", 10),
        ("sum(k, k, k <= n and k > 1)", 5),
        ("sum(x[2*i], i)", 4),
        ("sum(x[i + 1], i)", 8),
        ("sum(x[i + 1] - x[i], i, i < n - 1)", 2),
        ("sum(x[n - 1 - i]*y[i], i)", -1),
        ("sum(sum(x[i]*y[j], j, j <= i), i)", 18),
        ("exp(logsumexp(log(x[i]), i))", 9),
        ("sum(w[t]*x[t], t)", 11),
        ("concat(x, y)[3]", 4),
        ("x.T @ y", -5),
        ("sum(x @ y.T)", 27),
        ("x @ y", -5),
        ("sum([x, 2*y]*x)", 25),
        ("sum(x if x > 2 else 0)", 8),
        ("trace(matpow([[1, 1], [0, 1]], 3)) + det([[1, 2], [3, 4]])", 0),
        ("sum(inv([[2, 0], [0, 4]]) @ [[2, 4], [4, 8]])", 6),
        ("norm([3, 4]) + norm([[3, 4], [0, 0]]) + norm([1, -2, 3], 1)", 16),
        ("logdet([[0, 1], [1, 0]]) + trace(eye(3)) + sum(diag([1, 2])) + sum(one_hot(1, 4))", 7),
        ("sum(ones(2, 3)) + sum(zeros(2)) + sum(diag([[1, 2], [3, 4]]))", 11),
        ("delta(1, 1) + delta(0, 1)", 1),
    ],
)
def test_expressions_by_hand(text: str, wanted: float) -> None:
    e = entry("by_hand", ["x[n]", "y[n]", "w[m]", "-> r"], f"r = {text}")
    close(value(e, {"x": [1, 5, 3], "y": [4, -3, 2], "w": [1, 2]}), wanted)


def test_x_log_x_is_zero_at_zero() -> None:
    e = entry("kl", ["P[n]", "Q[n]", "-> D"], "D = sum(P[x]*log(P[x]/Q[x]), x)")
    close(value(e, {"P": [0, 1], "Q": [0.5, 0.5]}), mpmath.log(2))
    p, q = [mpf("0.2"), mpf("0.8")], [mpf("0.6"), mpf("0.4")]
    close(value(e, {"P": p, "Q": q}), p[0] * mpmath.log(p[0] / q[0]) + p[1] * mpmath.log(p[1] / q[1]))


def test_broadcasting_is_by_trailing_axes_without_stretching() -> None:
    e = entry("bias", ["X[n,d]", "b[d]", "-> Y[n,d]"], "Y = X + b")
    assert value(e, {"X": [[1, 2, 3], [4, 5, 6]], "b": [10, 20, 30]}) == [[11, 22, 33], [14, 25, 36]]
    stretched = entry("stretched", ["X[n,d]", "b[n,1]", "-> Y[n,d]"], "Y = X + b")
    with pytest.raises(LanguageError, match="do not agree"):
        value(stretched, {"X": [[1, 2], [3, 4]], "b": [[1], [2]]})


def test_normal_equation() -> None:
    e = entry("normal_equation", ["X[N,d]", "y[N]", "-> theta[d]"], "theta = inv(X.T @ X) @ X.T @ y")
    x = [[mpf(1), mpf(k)] for k in range(4)]
    close(value(e, {"X": x, "y": [3 + 2 * row[1] for row in x]}), [3, 2])
    n, targets = 4, [mpf(1), mpf(0), mpf(2), mpf(5)]
    slope = (n * sum(k * t for k, t in enumerate(targets)) - 6 * sum(targets)) / (n * 14 - 36)
    close(value(e, {"X": x, "y": targets}), [(sum(targets) - slope * 6) / n, slope])


def test_pi_is_a_constant_unless_it_is_declared() -> None:
    close(value(entry("circle", ["r", "-> A"], "A = pi*r**2"), {"r": 2}), 4 * mpmath.pi)
    e = entry("policy", ["theta[A]", "-> J"], "pi = softmax(theta)", "J = sum(pi[a], a)")
    close(value(e, {"theta": [1, 2]}), 1)


# --- calls ------------------------------------------------------------------------------------------------


def test_sequential_steps_of_adam() -> None:
    e = entry(
        "adam",
        [
            symbol("theta[P]", role="state"),
            symbol("m[P]", role="state"),
            symbol("v[P]", role="state"),
            "g[P]",
            symbol("t", kind="integer"),
            symbol("eta", default="0.001"),
        ],
        "m = 0.9*m + 0.1*g",
        "v = 0.999*v + 0.001*g**2",
        "m_hat = m/(1 - 0.9**t)",
        "v_hat = v/(1 - 0.999**t)",
        "theta = theta - eta*m_hat/(sqrt(v_hat) + 0.00000001)",
        kind="update",
    )
    out = run(e, CATALOGUE.__getitem__, {"theta": [1], "m": ["0.5"], "v": [2], "g": [3], "t": 2}, {})
    m, v = mpf("0.9") * mpf("0.5") + mpf("0.1") * 3, mpf("0.999") * 2 + mpf("0.001") * 9
    step = m / (1 - mpf("0.81")) / (mpmath.sqrt(v / (1 - mpf("0.999") ** 2)) + mpf("1e-8"))
    close(out["m"].to_nested(), [m])
    close(out["theta"].to_nested(), [1 - mpf("0.001") * step])


def test_an_entry_maps_over_leading_axes() -> None:
    z = [[mpf(1), mpf(2)], [mpf(0), mpf(5)], [mpf(-1), mpf(1)]]
    close(value(SOFTMAX, {"z": z}), [softmax(row) for row in z])
    e = entry("mapped", ["X[a,b,c]", "-> Y[a,b,c]"], "Y = softmax(X)")
    close(value(e, {"X": [z, z]}), [[softmax(row) for row in z]] * 2)
    mse = entry("mse", ["y[N]", "yhat[N]", "-> L"], "L = mean((y[i] - yhat[i])**2, i)")
    assert value(mse, {"y": [[1, 2], [3, 4]], "yhat": [0, 0]}) == [2.5, 12.5]


def test_several_outputs_and_the_rest_by_name() -> None:
    e = entry("both", ["a", "b", "-> r"], "u, v = pair(a + 1, ...)", "r = u - v")
    assert value(e, {"a": 1, "b": 5}) == 7 - 10
    with pytest.raises(LanguageError, match="2 outputs"):
        value(entry("one", ["a", "b", "-> r"], "r = pair(a, b)"), {"a": 1, "b": 2})


def test_built_in_names_win_over_entries() -> None:
    shadow = entry("tanh", ["z", "-> y"], "y = 1000*z")
    e = entry("f", ["z", "-> y"], "y = tanh(z)")
    close(run(e, {"tanh": shadow}.__getitem__, {"z": 1}, {})["y"].to_nested(), mpmath.tanh(1))


def test_sizes_are_solved_from_affine_axes() -> None:
    e = entry("windows", ["V[T + 1]", "W[h*d]", "B[h]", "-> r"], "r = T + 10*d")
    assert value(e, {"V": [0] * 5, "W": [0] * 6, "B": [0, 0]}) == 34
    with pytest.raises(ShapeError, match=r"W has an axis of 5"):
        value(e, {"V": [0] * 5, "W": [0] * 5, "B": [0, 0]})


def test_abstract_functions_run_their_instances() -> None:
    functions = [
        symbol("f", kind="function", arguments=("x",), instance="sin"),
        symbol("g", kind="function", arguments=("x",), instance="2*x**2 - 1"),
        symbol("s", kind="function", arguments=("x",), instance="sigmoid"),
        symbol("L[2*n]", kind="function", arguments=("u[n]",), instance="concat(u, sum(u)*ones(n))"),
    ]
    e = entry("abstract", ["z[n]", *functions, "-> y[n]", "-> w[2*n]"], "y = f(g(z)) + deriv(g)(z) + s(z)", "w = L(z)")
    z = [mpf(1), mpf("0.5")]
    wanted = [mpmath.sin(2 * x**2 - 1) + 4 * x + 1 / (1 + mpmath.exp(-x)) for x in z]
    close(value(e, {"z": z}), wanted)
    close(value(e, {"z": z}, name="w"), [1, mpf("0.5"), mpf("1.5"), mpf("1.5")])


def test_an_instance_may_have_the_name_of_its_function() -> None:
    e = entry(
        "same",
        ["z", symbol("sigmoid", kind="function", arguments=("x",), instance="sigmoid"), "-> y"],
        "y = sigmoid(z)",
    )
    close(value(e, {"z": 0}), 0.5)


def test_deep_nesting_is_an_error_and_no_traceback() -> None:
    chain = {f"f{k}": entry(f"f{k}", ["x", "-> y"], f"y = {'-(1 + ' * 30}f{k + 1}(x){')' * 30}") for k in range(60)}
    with pytest.raises(LanguageError, match="nested"):
        run(chain["f0"], chain.__getitem__, {"x": 1}, {})


# --- derivatives ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, truth",
    [
        ("sin(x)*exp(2*x)", lambda x: mpmath.exp(2 * x) * (mpmath.cos(x) + 2 * mpmath.sin(x))),
        ("x**3/(1 + x)", lambda x: (3 * x**2 * (1 + x) - x**3) / (1 + x) ** 2),
        ("log(1 + exp(x))", lambda x: 1 / (1 + mpmath.exp(-x))),
        ("erf(x)", lambda x: 2 * mpmath.exp(-(x**2)) / mpmath.sqrt(mpmath.pi)),
        ("stop(x)*x", lambda x: x),
        ("stop(x**2) + stop(stop(x)*x)", lambda x: 0),
        ("d(x**4, x)", lambda x: 12 * x**2),
    ],
)
def test_derivatives_of_one_variable(text: str, truth: Callable[[mpf], mpf]) -> None:
    for x in (mpf("0.7"), mpf(-1) / 3, mpf("1e-6")):
        close(value(entry("f", ["x", "-> y"], f"y = d({text}, x)"), {"x": x}), truth(x), mpf(10) ** -20)


def test_a_step_is_held_independent() -> None:
    e = entry("chain", ["x", "-> y"], "u = exp(x)", "v = u + x", "y = sin(u)*v")
    x = mpf("0.4")
    u = mpmath.exp(x)
    ((_, wrt_u, _),) = sides(e, {"x": x}, "d(y, u) == 0")
    close(wrt_u, mpmath.cos(u) * (u + x) + mpmath.sin(u), mpf(10) ** -20)
    ((_, wrt_v, _),) = sides(e, {"x": x}, "d(y, v) == 0")
    close(wrt_v, mpmath.sin(u), mpf(10) ** -20)
    ((_, wrt_x, _),) = sides(e, {"x": x}, "d(y, x) == 0")
    close(wrt_x, mpmath.cos(u) * u * (u + x) + mpmath.sin(u) * (u + 1), mpf(10) ** -20)


def test_chain_rule_through_a_bound_variable() -> None:
    e = entry("mean_slope", ["mu", "-> y"], "y = E(d(sin(u), u), u, normal_pdf(u, mu, 1))")
    close(value(e, {"mu": mpf("0.3")}), mpmath.cos(mpf("0.3")) * mpmath.exp(mpf("-0.5")), mpf(10) ** -20)


def test_derivatives_inside_an_update_see_the_newest_values() -> None:
    e = entry(
        "nesterov",
        [symbol("theta[P]", role="state"), symbol("v[P]", role="state"), "c"],
        "v = v/2 + d(sum((theta - v)**3), theta)",
        "theta = theta - v",
        kind="update",
    )
    theta, v = [mpf(1), mpf(2)], [mpf("0.5"), mpf(-1)]
    new_v = [b / 2 + 3 * (a - b) ** 2 for a, b in zip(theta, v, strict=True)]
    out = run(e, CATALOGUE.__getitem__, {"theta": theta, "v": v, "c": 0}, {})
    close(out["v"].to_nested(), new_v, mpf(10) ** -20)
    close(out["theta"].to_nested(), [a - b for a, b in zip(theta, new_v, strict=True)], mpf(10) ** -20)


def test_derivatives_recompute_a_policy_and_partial_writes() -> None:
    e = entry(
        "pick", ["theta[A]", "-> y[A]"], "p = softmax(theta)", "q[2*i] = p[2*i]", "q[2*i + 1] = 2*p[2*i + 1]", "y = q"
    )
    theta = [mpf(1), mpf(2), mpf(0), mpf("0.5")]
    p = softmax(theta)
    for place, left, _ in sides(e, {"theta": theta}, "d(y[a], theta[k]) == 0"):
        a, k = place["a"], place["k"]
        close(left, (1 + a % 2) * p[a] * ((a == k) - p[k]), mpf(10) ** -20)


def test_derivative_of_a_recurrence() -> None:
    e = entry("scan", ["x[T]", "w", "-> h[T]"], "h[-1] = 1", "h[t] = w*h[t-1] + x[t]")
    rows = sides(e, {"x": [1, 2, 3], "w": 2}, "d(h[t], w) == 0")
    # h = w + 1, w**2 + w + 2, w**3 + w**2 + 2*w + 3
    close([left for _, left, _ in rows], [1, 5, 18], mpf(10) ** -20)


def test_jacobian_and_gradient_have_the_shape_of_body_then_variable() -> None:
    e = entry("linear", ["W[m,n]", "x[n]", "-> y[m]"], "y = W @ x")
    arguments = {"W": [[1, 2, 3], [4, 5, 6]], "x": [7, 8, 9]}

    def derivative(text: str) -> Any:
        return evaluate(parse_expression(text), e, CATALOGUE.__getitem__, arguments, {}).to_nested()

    close(derivative("d(y, x)"), arguments["W"], mpf(10) ** -20)
    close(derivative("d(sum(y), W)"), [[7, 8, 9], [7, 8, 9]], mpf(10) ** -20)
    close(derivative("d(y, W[1])"), [[0, 0, 0], [7, 8, 9]], mpf(10) ** -20)
    close(derivative("d(y[1], W[1, 2])"), 9, mpf(10) ** -20)


def test_vjp_contracts_with_the_cotangent() -> None:
    e = entry("layer", ["W[m,n]", "a[n]", "b[m]", "g[m]", "-> z[m]"], "s = W @ a + b", "z = sin(s)")
    w, a = grid(2, 3), [mpf(1), mpf(2), mpf(3)]
    b, g = [mpf("0.5"), mpf(-1)], [mpf(2), mpf(5)]
    arguments = {"W": w, "a": a, "b": b, "g": g}
    rows = sides(e, arguments, "vjp(z, W, g) == (g*cos(s)) @ a.T")
    assert len(rows) == 6
    for _, left, right in rows:
        close(left, right, mpf(10) ** -20)
    slopes = [mpmath.cos(sum(x * y for x, y in zip(row, a, strict=True)) + c) for row, c in zip(w, b, strict=True)]
    for place, left, _ in sides(e, arguments, "vjp(z, a, g) == 0"):
        close(left, sum(g[i] * slopes[i] * w[i][place["axis0"]] for i in range(2)), mpf(10) ** -20)


def test_stop_is_frozen_across_runs() -> None:
    e = entry("frozen", ["x", "-> y"], "u = stop(x**2)", "y = u*x")
    stops: dict[Any, Any] = {}
    assert run(e, CATALOGUE.__getitem__, {"x": 3}, {}, stops=stops)["y"].to_nested() == 27
    assert run(e, CATALOGUE.__getitem__, {"x": 5}, {}, stops=stops)["y"].to_nested() == 45
    assert run(e, CATALOGUE.__getitem__, {"x": 5}, {})["y"].to_nested() == 125


# --- expectations and integrals ---------------------------------------------------------------------------


@pytest.mark.parametrize("mu, sigma", [("0.3", "1.7"), ("-4", "0.05"), ("30", "2")])
def test_expectation_by_quadrature(mu: str, sigma: str) -> None:
    e = entry("expectation", ["mu", "sigma", "-> y"], "y = E(sin(z), z, normal_pdf(z, mu, sigma**2))")
    m, s = mpf(mu), mpf(sigma)
    close(value(e, {"mu": m, "sigma": s}), mpmath.sin(m) * mpmath.exp(-(s**2) / 2), mpf(10) ** -24)


def test_derivative_of_an_expectation() -> None:
    e = entry("reparametrized", ["mu", "s", "-> y"], "y = E(sin(mu + s*eps), eps, normal_pdf(eps, 0, 1))")
    m, s = mpf("0.3"), mpf("0.7")
    ((_, left, _),) = sides(e, {"mu": m, "s": s}, "d(y, mu) == 0")
    close(left, mpmath.cos(m) * mpmath.exp(-(s**2) / 2), mpf(10) ** -20)
    ((_, left, _),) = sides(e, {"mu": m, "s": s}, "d(y, s) == 0")
    close(left, -s * mpmath.sin(m) * mpmath.exp(-(s**2) / 2), mpf(10) ** -20)


def test_expectation_under_a_law_and_over_an_index() -> None:
    law = symbol("p", kind="law", arguments=("x",), instance="normal_pdf(x, 1, 4)")
    close(value(entry("second_moment", [law, "-> y"], "y = E(x**2, x, p)"), {}), 5, mpf(10) ** -24)
    e = entry("discrete", ["q[A]", "r[A]", "-> y"], "y = E(r[a]**2, a, q[a])")
    close(value(e, {"q": [mpf("0.25"), mpf("0.75")], "r": [2, 4]}), 13)


def test_log_of_a_tail_probability_has_an_expectation() -> None:
    e = entry("tail", ["-> y"], "y = E(log(1 - sigmoid(2*x - 1)), x, normal_pdf(x, 0, 1))")

    def density(x: mpf) -> mpf:
        return -mpmath.log(1 + mpmath.exp(2 * x - 1)) * mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)

    with mpmath.workdps(40):
        truth = mpmath.quad(density, [-mpmath.inf, -2, 0, 2, mpmath.inf])
    close(value(e, {}), truth, mpf(10) ** -18)


def test_integrals() -> None:
    gauss = entry("gauss", ["s", "-> y"], "y = integral(exp(-x**2/s), x, -oo, oo)")
    close(value(gauss, {"s": 2}), mpmath.sqrt(2 * mpmath.pi), mpf(10) ** -20)
    cubic = entry("cubic", ["b", "-> y"], "y = integral(x**3, x, 0, b)")
    close(value(cubic, {"b": 2}), 4)
    with pytest.raises(LanguageError, match="does not converge"):
        value(entry("log_divergent", ["b", "-> y"], "y = integral(1/x, x, 1, oo)"), {"b": 2})


# --- claims and evaluation --------------------------------------------------------------------------------


def test_claims_over_elements_and_inequalities() -> None:
    e = entry("relu", ["z[n]", "-> y[n]"], "y = max(0, z)")
    rows = sides(e, {"z": [-1, 2]}, "y >= z")
    assert rows == [({"axis0": 0}, 0, -1), ({"axis0": 1}, 2, 2)]


def test_evaluate_in_the_scope_of_an_entry() -> None:
    z = [mpf(1), mpf(2)]

    def at(text: str, **indices: int) -> Any:
        return evaluate(parse_expression(text), SOFTMAX, CATALOGUE.__getitem__, {"z": z}, {}, indices).to_nested()

    close(at("p[j] + C", j=1), softmax(z)[1] + 2)
    assert at("C >= 2 and not C == 3") == 1
    assert at("z > 1") == [0, 1]


def test_precision_can_be_set() -> None:
    out = run(entry("root", ["x", "-> y"], "y = sqrt(x)"), CATALOGUE.__getitem__, {"x": 2}, {}, precision=60)
    with mpmath.workdps(60):
        assert abs(out["y"].to_nested() - mpmath.sqrt(2)) < mpf(10) ** -58


# --- what has no value ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, message",
    [
        ("sum(x[i + 1] - x[i], i)", "outside its shape"),
        ("x[-1]", "outside its shape"),
        ("x[n]", "outside its shape"),
        ("x[0, 0]", "2 indices"),
        ("sum(i, i)", "range of the index 'i'"),
        ("x[k]", "'k' is not declared"),
        ("unknown(x)", "neither a function nor an entry"),
        ("sum(x, n)", "needs an index"),
        ("max(x[i], i, n)", "index names that are not declared"),
        ("1/(n - n)", "division by zero"),
        ("log(-1)", "not a real number"),
        ("(-2)**0.5", "not a real number"),
        ("sqrt(-n)", "not a real number"),
        ("9**9**9**9", "millions of digits"),
        ("2**10**10", "millions of digits"),
        ("exp(exp(exp(99)))", "too large|millions"),
        ("sum(1, i, i < 1000000)", "200,000"),
        ("sum(sum(i*j, j, j < 5000), i, i < 5000)", "200,000"),
        ("sum(zeros(1000, 1000))", "200,000"),
        ("inv([[1, 2], [2, 4]])", "singular"),
        ("x @ 2", "vectors and matrices"),
        ("x + [1, 2]", "do not agree"),
        ("x.T", "beside '@'"),
        ("mean(x[i], i, x[i] > 100)", "nothing"),
        ("d(x[0], y)", "not an input"),
        ("later", "before it is defined"),
        ("circle(x[0])", "circle"),
        ("E(u, u, n)", "not a density"),
        ("sigmoid(1, 2)", "at most 1"),
        ("exp(1, 2)", "takes 1 arguments"),
        ("one_hot(5, 3)", "outside 0..2"),
        ("x[1.5]", "whole number"),
        ("sum(max(x[i], i), i)", "choose another index name"),
        ("hollow(x[0])", "defines its output 'y'"),
        ("f(x)", "no instance"),
        ("vjp(r_, x, 1)", "r_"),
        ("stop(x, x)", "takes 1 arguments"),
        ("d(x[0], x[7])", "outside"),
        ("d(x[0], m)", "not an input"),
    ],
)
def test_errors_are_language_errors_with_a_reason(text: str, message: str) -> None:
    circle = entry("circle", ["x", "-> y"], "y = circle(x)")
    hollow = entry("hollow", ["x", "-> y"], "z = x")
    abstract = symbol("f", kind="function", arguments=("x",))
    e = entry("wrong", ["x[n]", abstract, "-> y[m]", "-> later"], f"r = {text}", "later = 1")
    started = time.process_time()
    with pytest.raises(LanguageError, match=message):
        run(e, {**CATALOGUE, "circle": circle, "hollow": hollow}.__getitem__, {"x": [1, 2, 3]}, {})
    assert time.process_time() - started < 30  # not one of these may go on for ever


@pytest.mark.parametrize("size", ["j", "k", "C"])
def test_a_size_may_be_called_as_an_index_of_a_called_entry(size: str) -> None:
    caller = entry("caller", [f"q[{size}]", "r[m]", "-> w[m]"], "a = softmax(q)", "w = softmax(r)*a[0]")
    found = value(caller, {"q": [1, 1], "r": [2, 2, 2, 2]})
    assert [float(x) for x in found] == [0.125] * 4


def test_shapes_that_do_not_fit() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "'z' is missing"),
        ({"z": 1}, r"declared \[C\]"),
        ({"z": [[1, 2], [3]]}, "different lengths"),
        ({"z": ["a"]}, "not a number"),
    ]
    for arguments, message in cases:
        with pytest.raises(ShapeError, match=message):
            value(SOFTMAX, arguments)
    with pytest.raises(ShapeError, match="axis of 2 where 'C' is 3"):
        value(SOFTMAX, {"z": [1, 2]}, {"C": 3})


def test_the_error_points_into_the_statement() -> None:
    with pytest.raises(LanguageError) as caught:
        value(entry("f", ["x", "-> y"], "y = x + nothing"), {"x": 1})
    assert caught.value.start == len("y = x + ")


def test_a_sum_over_nothing_has_the_shape_of_a_term() -> None:
    e = entry("e", ["A[n,n]", "h[n,d]", "-> y[n,d]"], "z[v] = sum(h[u], u, A[v,u] == 1)", "y[v] = z[v]")
    assert value(e, {"A": [[0, 0], [1, 1]], "h": [[1, 2], [3, 4]]}) == [[0, 0], [4, 6]]
    rows = sides(e, {"A": [[0, 0], [0, 0]], "h": [[1, 2], [3, 4]]}, "z[v,i] == 0")
    assert [left for _, left, _ in rows] == [0, 0, 0, 0]
