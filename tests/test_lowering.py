"""The generated code computes what the formula says, in every form, for every batch, at every size."""

from __future__ import annotations

import ast
import inspect
import os
import random
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import ALL, assert_agree, disagreements, draw, equation, error, output, shipped, sizes_of, tuple_of
from selection import sampled

import kb
import kb.lowering
from kb.evidence.requirements import holds
from kb.index.program import loop_of
from kb.lowering import FORMS, compile_source, function_source
from kb.parser import parse_expression

ROOT = Path(__file__).resolve().parent.parent
IDS = sorted(shipped())

# --- shipped entries ------------------------------------------------------------------------------

SMOOTH = {"value": 1e-9, "vjp": 1e-6, "jvp": 1e-6, "jacobian": 1e-6, "hessian": 1e-4}
FEW = 2
LARGE = {"multi_head_attention", "lstm_cell", "conv2d", "gan_minimax"}


@pytest.mark.parametrize("entry_id", sampled(sorted(shipped()), 2))
def test_all_forms_of_shipped_entries_agree(entry_id: str) -> None:
    eq = shipped()[entry_id]
    assert_smooth(disagreements(eq, sizes_of(eq), 2, second=0 if entry_id in LARGE else FEW))


@pytest.mark.slow
@pytest.mark.parametrize("entry_id", [i for i in IDS if len(shipped()[i].differentiable) > FEW and i not in LARGE])
def test_all_second_derivatives_of_shipped_entries_agree(entry_id: str) -> None:
    eq = shipped()[entry_id]
    assert_smooth(disagreements(eq, sizes_of(eq), 2))


def assert_smooth(found: dict[str, float]) -> None:
    bad = {kind: size for kind, size in found.items() if not size < SMOOTH.get(kind, 1e-9)}
    assert not bad


@pytest.mark.parametrize("entry_id", sorted(shipped()))
def test_shipped_entries_at_sizes_of_one(entry_id: str) -> None:
    eq = shipped()[entry_id]
    if entry_id == "batch_norm":
        pytest.skip("one sample has no variance: differences are all rounding")
    sizes = sizes_of(eq) | dict.fromkeys(eq.program.dimensions, 1)
    if any(holds(parse_expression(text), sizes) is False for text in eq.entry.requires):
        pytest.skip("the entry requires more")
    given = draw(eq, sizes, 1)
    names = dict.fromkeys(eq.program.dimensions, 1)
    f = eq.lambdify()

    wanted = inspect.signature(f).parameters
    value = tuple_of(f(**{n: v for n, v in (given | names).items() if n in wanted}))
    assert all(np.all(np.isfinite(v)) for v in value)


# --- formulas, each once wrong or likely to be ------------------------------------------------------

FORMULAS = [
    # reads and scatters
    ("y[i] = C[i, i]*x[i] + sum(C[j, j]*w[j], j)", "C[n,n] x[n] w[n]"),
    ("y[i, j] = max(s, C[j, j]) + x[i]*x[j]", "C[n,n] x[n] s"),
    ("y[j] = x[L[j]]*z[j] + x[k]", "x[n] z[m] L[m]:label[n] k:label[n]"),
    ("y = sum(A[q, f]*x[L[f]], q, f)/n", "A[n,m] x[n] L[m]:label[n]"),
    ("y[i, j] = A[k, j]*A[i, 0] + C[L[j], i]", "A[n,m] C[n,n] L[m]:label[n] k:label[n]"),
    ("y[i] = z[i]*x[2*i] + x[2*i + 1]*x[n + i] + z[n - 1 - i]", "x[2*n+1] z[n]"),
    ("y[i] = x[i]*z[i//n] + sin(w[i//m])", "x[n*m] z[m] w[n]"),
    ("y[i] = sum(x[i + u]*w[u], u)*z[i]", "x[n+m] w[m] z[n]"),
    ("y[i] = max(x[i + u], u, u < 2) + z[i]", "x[n+1] z[n]"),
    ("y[i] = max(x[i + u]*w[v]*w[u], v, u) + z[i]", "x[n+m] w[m] z[n]"),
    ("y[i] = sum(delta(i, j + 1)*x[j], j) + sum(delta(2*i, j)*x[j], j) + x[i]", "x[n]"),
    ("S[i, j] = delta(2*i, j)*s + x[i]*x[j]; y[i, j] = S[j, j]*w[i]", "x[n] w[m] s"),
    # conditions
    ("y[i, j] = sum(x[n - 1 - i] + w[l]*w[r], l, r, i > 1) + x[i]*w[j]", "x[n] w[m]"),
    ("y[i, j] = logsumexp(sin(x[i]*z[l]), l, l >= j) + x[i]*z[j]", "x[n] z[n]"),
    ("y[i] = sum(1/(x[i] - x[j]), j, j != i)", "x[n]"),
    ("y[i] = prod(1/(x[i] - x[j]), j, j != i) + x[i]", "x[n]"),
    ("y[i] = (1/(x[i] - x[0]) if i > 0 else 0) + x[i]", "x[n]"),
    ("y = sum(log(x[i] - x[j])*z[i], i, j, x[j] < x[i])", "x[n] z[n]"),
    ("y[j] = sum(sum(q[j + l]*x[r], r, l > 0)*x[l], l, q[2*l + 1] > 0) + x[j]", "q[2*n+1] x[n]"),
    ("y[j] = x[j]*(1 if x[j] > 0 else 0) + (s if j == 0 else x[j])", "x[n] s"),
    # sums, products, extrema
    ("y[i, j] = sum(C[l, l]*x[l]*w[r], l, r) + x[i]*w[j]", "C[n,n] x[n] w[m]"),
    ("y[i] = sum(s + w[j]*w[l], j, l) + x[i]", "x[n] w[m] s"),
    ("y = prod(s + x[i], i) + prod(s*1, i, j, i < n, j < 2)", "x[n] s"),
    ("y = min(t + x[i]*x[j], i, j)", "x[n] t"),
    ("y[j] = max(delta(j + r, n - 1)*A[r, l]*w[l], l, r) + x[j]", "A[n,m] w[m] x[n]"),
    ("y[i] = min(2, x[i], x[0])*max(s, min(t, x[i]))", "x[n] s t"),
    ("y = logsumexp(x[i]*x[j]*C[i, j], i, j) - log(sum(exp(z)))", "x[n] z[n] C[n,n]"),
    ("y[i, j] = -logsumexp(sin(C[r, l]*A[l, i]*x[l]*x[r]), l, r) + w[i]*x[j]", "A[n,m] C[n,n] x[n] w[m]"),
    # powers, functions
    ("y = (sum(x) - 2)**3 + 1/(sum(x) + 9)**2", "x[n]"),
    ("y[i, j] = (1.2 + C[j, j]**2)**(-1.5)*C[i, j]*x[j] + x[i]*x[j]", "C[n,n] x[n]"),
    ("T[i] = tanh(log(1.2 + p[i]**2)) + x[i]; S[i, j] = t*x[i]*w[j]; y = t + s", "x[n] w[m] p[n]:positive s t"),
    ("y = integral(cos(v*s), v, 0, s*x[0]) + erf(s)", "x[n] s"),
    ("y[i] = integral(v*x[i], v, s, x[i])", "x[n] s"),
    # matrices
    ("y = softmax(A @ B)*softmax(z)", "A[n,m] B[m,d] z[d]"),
    ("y = inv(C @ C.T + 2*eye(n)) @ x + logdet(C.T @ C + eye(n))", "C[n,n] x[n]"),
    ("S = (A.T @ A + eye(m)) @ w; y = softmax(A * 2) @ S", "A[n,m] w[m]"),
    ("y[i, j] = (A[i, j] - mean(A[l, j], l))/sqrt(mean(A[l, j]**2, l) + 0.1)", "A[n,m]"),
]
SIZES = {"n": 3, "m": 2, "d": 4}


@pytest.mark.parametrize(("define", "symbols"), FORMULAS, ids=[d for d, _ in FORMULAS])
def test_all_forms_of_a_formula_agree(define: str, symbols: str) -> None:
    eq = kb.parse(define, symbols)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(divide by zero|invalid value)")
        assert_agree(eq, SIZES, second=0 if "integral" in define else ALL)


@pytest.mark.parametrize(("define", "symbols"), FORMULAS[::4], ids=[d for d, _ in FORMULAS[::4]])
def test_a_formula_at_sizes_of_one(define: str, symbols: str) -> None:
    eq = kb.parse(define, symbols)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(divide by zero|invalid value)")
        assert_agree(eq, dict.fromkeys(SIZES, 1), second=0)


# --- random formulas --------------------------------------------------------------------------------


class Formulas:
    """Random scalar expressions over the free indices ``free`` (name -> dimension)."""

    SHAPES = {"x": "n", "w": "m", "A": "nm", "B": "mn", "C": "nn", "s": "", "p": "n"}  # noqa: RUF012

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def leaf(self, free: dict[str, str]) -> str:
        rows = [i for i, d in free.items() if d == "n"]
        if rows and self.random.random() < 0.2:
            i = self.random.choice(rows)
            return self.random.choice(
                [f"v[{i} + 1]", f"v[n - {i}]", f"q[2*{i} + 1]", f"x[n - 1 - {i}]", i, "x[k]", "C[k, k]"]
            )
        fits = [n for n, shape in self.SHAPES.items() if all(d in free.values() for d in shape)]
        name = self.random.choice(fits)
        own = [self.random.choice([i for i, e in free.items() if e == d]) for d in self.SHAPES[name]]
        return f"{name}[{', '.join(own)}]" if own else self.random.choice([name, "2", "0.5", "n"])

    def condition(self, free: dict[str, str]) -> str:
        pairs = [(i, j) for i, d in free.items() for j, e in free.items() if i < j and d == e]
        if pairs and self.random.random() < 0.6:
            i, j = self.random.choice(pairs)
            return f"{i} {self.random.choice(['<', '<=', '!=', '=='])} {j}"
        return f"{self.leaf(free)} < {self.leaf(free)} + 0.1"

    def expression(self, free: dict[str, str], depth: int) -> str:
        if depth == 0:
            return self.leaf(free)

        def part() -> str:
            return self.expression(free, depth - 1)

        kind = self.random.choice(
            ["+", "-", "*", "*", "/", "f", "f", "cases", "several", "bind", "bind", "power", "delta"]
        )
        if kind in "+-*":
            return f"({part()} {kind} {part()})"
        if kind == "/":
            return f"{part()}/(1.5 + ({part()})**2)"
        if kind == "f":
            name = self.random.choice(
                ["tanh", "sin", "abs", "sqrt(0.7 + ({})**2)", "log(1 + exp(sin({})))", "exp(tanh({}))"]
            )
            return name.format(part()) if "{}" in name else f"{name}({part()})"
        if kind == "cases":
            return f"({part()} if {self.condition(free)} else {part()})"
        if kind == "several":
            return f"{self.random.choice(['max', 'min'])}({part()}, {part()})"
        if kind == "power":
            return f"(1.1 + ({part()})**2)**{self.random.choice(['(-1.5)', '0.5', 's', '3'])}"
        if kind == "delta" and len(free) > 1:
            i, j = self.random.sample(sorted(free), 2)
            return f"delta({i}, {j})*{part()}" if free[i] == free[j] else part()
        return self.bind(free, depth)

    def bind(self, free: dict[str, str], depth: int) -> str:
        index = next(c for c in "ijlrfghe" if c not in free)
        dimension = self.random.choice("nm")
        inner = {**free, index: dimension}
        anchor = f"{'x' if dimension == 'n' else 'w'}[{index}]"
        body = f"sin({self.expression(inner, depth - 1)})*{anchor}"
        operation = self.random.choice(["sum", "sum", "sum", "max", "min", "prod", "logsumexp", "mean"])
        condition = f", {self.condition(inner)}" if operation in ("sum", "prod") and self.random.random() < 0.4 else ""
        return f"{operation}({body}, {index}{condition})"

    def program(self) -> str:
        lines = []
        if self.random.random() < 0.6:
            step = self.random.choice(["A @ B", "softmax(C)", "C.T @ C", "C - C.T", None])
            lines.append(f"S = {step}" if step else f"S[i, j] = {self.expression({'i': 'n', 'j': 'n'}, 2)} + x[i]*x[j]")
            self.SHAPES = {**self.SHAPES, "S": "nn"}
        free = self.random.choice([{}, {"i": "n"}, {"i": "n", "j": "m"}, {"i": "m", "j": "n"}, {"i": "n", "j": "n"}])
        anchor = "*".join(f"{'x' if d == 'n' else 'w'}[{i}]" for i, d in free.items())
        target = f"y[{', '.join(free)}]" if free else "y"
        lines.append(
            f"{target} = {self.expression(free, self.random.choice([2, 3]))}" + (f" + {anchor}" if anchor else "")
        )
        return "; ".join(lines)


SYMBOLS = "x[n] w[m] A[n,m] B[m,n] C[n,n] s p[n]:positive v[n+1] q[2*n] k:label[n]"


@pytest.mark.parametrize("seed", sampled(range(40), 2))
def test_all_forms_of_a_random_formula_agree(seed: int) -> None:
    text = Formulas(seed).program()
    words = set("".join(c if c.isalnum() else " " for c in text).split()) | {"x", "w"}
    eq = kb.parse(text, " ".join(s for s in SYMBOLS.split() if s.split("[")[0].split(":")[0] in words))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(divide by zero|invalid value)")
        found = disagreements(eq, SIZES, seed, second=0 if seed % 4 else ALL)
    bad = {kind: size for kind, size in found.items() if not size < SMOOTH.get(kind, 1e-9) * 10}
    assert not bad, text


# --- names ----------------------------------------------------------------------------------------

WORDS = (
    "beta N S E I np numpy sum out self lead size shape dtype t range float bool math operator "
    "unseen hit nodes s_view s_bar s_dot own T_1 basis"
).split()


def formulas(names: tuple[str, ...]) -> tuple[list[str], str]:
    """One equation with a symbol, a dimension, a step, an index, a number and a label of these names."""
    s, n, step, u, c, label = names
    steps = [
        f"{step}[i] = sin({s}[i])*{c} + sum(B[i,r]*exp({s}[i]), r) + B[i,{label}]",
        f"V[j] = {step}[j]*max({s}[j+{u}]*{c}, {u}, {u} < 2) + sum({s}[j+{u}]*q[{u}]*q[{u}], {u})",
        f"Y = sum(softmax({step})*V) + {c}*integral(cos(v*{c}), v, 0, {c}) + {n}",
    ]
    return steps, f"{s}[{n}+1] B[{n},m] {c} q[2] {label}:label[m]"


def values(names: tuple[str, ...]) -> list[Any]:
    """The value, every gradient and a tangent of that equation at a fixed point."""
    eq = equation(*formulas(names), own=[output("Y")])
    given = draw(eq, {names[1]: 3, "m": 2}, 0)
    gradients = eq.vjp().lambdify()(**given)
    tangent = eq.jvp().lambdify()(**given, tangents={n: np.ones(np.shape(given[n])) for n in eq.differentiable})
    assert list(gradients) == list(eq.differentiable)
    return [eq.lambdify()(*given.values()), *gradients.values(), tangent]


PLAIN = ("s", "n", "W", "u", "c", "L")


@pytest.mark.parametrize("start", sampled(range(len(WORDS)), 3))
def test_no_name_of_an_entry_breaks_the_code(start: int) -> None:
    """Whatever the code calls its own variables, an entry may use the same names, for anything."""
    names = tuple(WORDS[(start + 5 * k) % len(WORDS)] for k in range(len(PLAIN)))
    for found, expected in zip(values(names), values_of_plain_names(), strict=True):
        assert np.allclose(found, expected, rtol=1e-12), names


@cache
def values_of_plain_names() -> tuple[Any, ...]:
    return tuple(values(PLAIN))


@pytest.mark.parametrize("entry_id", ["math", "operator", "np", "numpy", "lead", "size", "x", "a_vjp", "float"])
def test_no_id_breaks_the_code(entry_id: str) -> None:
    eq = equation("y = sum(softmax(x)*a)", "x[n] a[n]", own=[output("y")], entry_id=entry_id)
    found = disagreements(eq, {"n": 3})
    assert max(found.values()) < 1e-5, found


# --- the text -----------------------------------------------------------------------------------------


def test_every_form_is_a_whole_module() -> None:
    eq = shipped()["softmax"]
    names = {
        "value": "",
        "backward": "_vjp",
        "vjp": "_vjp",
        "jvp": "_jvp",
        "jacobian": "_jacobian",
        "hessian": "_hessian",
    }
    assert set(names) == set(FORMS)
    for form, suffix in names.items():
        text = function_source(eq.entry, eq.program, form, ["z"])
        assert text.endswith("\n") and "eqkb.lowering" not in text and "import kb" not in text
        assert callable(compile_source(text, f"softmax{suffix}"))


def test_a_copy_under_other_names_gives_the_same_code_up_to_names() -> None:
    one = equation("y = softmax(A @ x)*sum(x)", "A[m,n] x[n]", own=[output("y", "m")], entry_id="first")
    two = equation("q = softmax(F @ b)*sum(b)", "F[r,s] b[s]", own=[output("q", "r")], entry_id="other")

    def shape(text: str) -> str:
        return re.sub(r"\w+", "w", text)

    assert shape(one.code(backward=True)) == shape(two.code(backward=True))


def test_softmax_takes_one_exponential() -> None:
    text = shipped()["scaled_dot_product_attention"].code()
    body = text[text.index("def scaled_dot_product_attention(") :]
    assert body.count("np.exp(") == 1 and body.count(" @ ") >= 2


def test_numbers_that_the_author_lists_are_listed() -> None:
    equation = kb.parse("y = [[1, 0, 2], [-1/2, 3, 1]] @ x", symbols="x[3]")
    assert "np.array([[1, 0, 2], [-0.5, 3, 1]], dtype)" in equation.code()
    assert equation.lambdify()([1.0, 2.0, 3.0]).tolist() == [7.0, 8.5]
    mixed = kb.parse("y = [1, a, 3]*x[0]", symbols="x[3] a")
    assert mixed.lambdify()([2.0, 0.0, 0.0], 5.0).tolist() == [2.0, 10.0, 6.0]


def test_text_of_a_description_does_not_become_code() -> None:
    eq = equation("y = 2*x", "x", own=[output("y")])
    nasty = 'ends with a \\ and """ and \\N{x} and {{7*7}}\nimport os\n"""\nraise SystemExit\n"""\\'
    entry = replace(eq.entry, about=nasty, name=nasty)
    assert compile_source(function_source(entry, eq.program, "backward"), "own")(3) == 6


def test_reads_guarded_by_a_condition_never_leave_the_array() -> None:
    """Elements before and behind a slice of a larger array are poison: they must not be read."""
    eq = kb.parse("y[i] = sum(delta(i, j + 1)*x[j], j) + sum(delta(i + 2, j)*x[j], j) + x[i]", "x[n]")
    held = np.full(9, np.nan)
    held[3:6] = [1.0, 2.0, 3.0]
    assert np.array_equal(eq.lambdify()(held[3:6]), [1 + 3, 2 + 1, 3 + 2])
    gradient = eq.vjp().lambdify()(held[3:6], cotangent=np.ones(3))["x"]
    assert np.array_equal(gradient, [2, 2, 2])


def test_a_value_computed_once_is_not_overwritten_while_it_is_needed() -> None:
    """Buffers are reused; the Hessian of this formula once read one that had been overwritten."""
    eq = kb.parse("T[i] = tanh(log(1.2 + p[i]**2))*x[i]; y = sum(T*log(1.2 + p**2))", "x[n] p[n]:positive")
    assert_agree(eq, {"n": 3})


def test_plain_readings_are_those_of_numpy() -> None:
    x = np.arange(12.0).reshape(3, 4)
    cases = {
        "y = A.T": x.T,
        "y[i] = A[i, 0]": x[:, 0],
        "y = sum(A[i, j], j, i)": x.sum(),
        "y[j] = max(A[i, j], i)": x.max(axis=0),
        "y = mean(A)": x.mean(),
        "y = A @ A.T": x @ x.T,
        "y[i] = A[n - 1 - i, 0] + 0*A[i, 1]": x[::-1, 0],
    }
    for define, expected in cases.items():
        eq = kb.parse(define, "A[n,4]")
        assert error(eq.lambdify()(x), expected) < 1e-15, define


@pytest.mark.parametrize("entry_id", IDS)
def test_the_text_needs_numpy_only_and_loops_over_no_element(entry_id: str) -> None:
    text = shipped()[entry_id].code(backward=bool(shipped()[entry_id].differentiable))
    module = ast.parse(text)
    recurs = any(loop_of(step) is not None for step in shipped()[entry_id].program.steps)
    allowed = ("_taps(", "range(", "reversed(range(") if recurs else ("_taps(",)
    imported = {a.name for n in ast.walk(module) if isinstance(n, ast.Import) for a in n.names}
    assert imported <= {"numpy", "math", "operator"}
    assert not any(isinstance(n, ast.ImportFrom) for n in ast.walk(module))
    for function in (n for n in module.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")):
        for loop in (n for n in ast.walk(function) if isinstance(n, (ast.For, ast.While, ast.comprehension))):
            assert isinstance(loop, ast.For) and ast.unparse(loop.iter).startswith(allowed), ast.unparse(function)
        assert ast.get_docstring(function)


def test_the_text_says_where_there_is_no_derivative() -> None:
    assert "jumps there is no derivative" in kb.parse("y = 1 if x > 0 else 0", "x").code(backward=True)
    assert "jumps there is no derivative" in kb.parse("y = 1 if x > 0 else 0", "x").jvp().code()
    assert "jumps" not in kb.parse("y = x if x > 0 else 0", "x").code(backward=True)


def test_lambdify_runs_the_text_that_code_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def spy(source: str, name: str) -> Any:
        seen.append(source)
        return compile_source(source, name)

    monkeypatch.setattr(kb.lowering, "compile_source", spy)
    eq = shipped()["scaled_dot_product_attention"]
    eq.lambdify()
    eq.vjp().lambdify()
    eq.hessian("Q").lambdify()
    assert seen == [eq.code(), eq.code(backward=True), eq.hessian("Q").code()]


@pytest.mark.parametrize(
    "ids",
    [
        ("softmax", "conv2d", "adam"),
        pytest.param(("batch_norm", "lstm_cell", "scaled_dot_product_attention"), marks=pytest.mark.slow),
    ],
)
def test_the_text_is_the_same_whatever_the_hash_seed(ids: tuple[str, ...]) -> None:
    program = (
        "import kb, hashlib; c = kb.load_catalogue(); h = hashlib.sha256()\n"
        f"for i in {ids}:\n"
        "    h.update(c[i].code(backward=True).encode()); s = c[i].differentiable[0]\n"
        "    h.update(c[i].hessian(s).code().encode())\n"
        "    h.update(c[i].derivative(s).text().encode())\n"
        "print(h.hexdigest())"
    )
    digests = set()
    for seed in ("0", "4242"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout)
    assert len(digests) == 1
