"""Derivations: their last lines are what ``eqkb diff`` prints, every line is checked, and a wrong rule shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from agreement import shipped
from selection import sampled

import kb
from kb.calculus import constraints, linear, tidy
from kb.cli import main
from kb.errors import CheckFailed, NotDifferentiable, NotFound
from kb.index import build
from kb.index.nodes import MINUS_ONE, ONE, num

CATALOGUE = shipped()
DECLARED = [(eq.id, symbol) for eq in CATALOGUE.values() for symbol in eq.entry.differentiate]
FIRST = dict(reversed(DECLARED))
# All take minutes.
QUICK = set(list(FIRST.items())[::2])


@pytest.mark.parametrize(("entry", "symbol"), sampled(DECLARED, QUICK.__contains__))
def test_a_derivation_ends_in_what_diff_prints_and_every_line_is_checked(entry: str, symbol: str) -> None:
    equation = CATALOGUE[entry]
    found = equation.derivation(symbol, points=1)
    shown = equation.derivative(symbol).presentation
    last: dict[Any, Any] = {}
    left: Any = None
    for statement in (s for step in found.steps for s in step.statements):
        left = statement.left or left
        last[left] = statement.right
    for line in shown.content:
        assert last[line.left] == (line.constrained if line.constrained is not None else line.right)
    derived = sum(len(step.statements) for step in found.steps)
    assert found.points == 1 and found.numbers >= derived
    assert found.difference < 1e-8
    assert len(found.steps) <= 20, "longer than a student reads"
    assert all(step.rule for step in found.steps)
    assert all(len(line) <= 104 for line in found.text().splitlines())


def rules(entry: str, symbol: str) -> list[str]:
    return [step.rule for step in CATALOGUE[entry].derivation(symbol, points=1).steps]


def test_rules_are_named_as_the_field_names_them() -> None:
    assert rules("sigmoid", "z") == ["definition", "power rule, chain rule", "derivative of exp", "folding into names"]
    assert rules("softmax", "z") == ["definition", "quotient rule", "sum over the delta", "folding into names"]
    assert rules("softmax_cross_entropy_gradient", "z")[-1] == "constraint used"
    assert rules("relu", "z")[-1] == "kink convention"
    assert "derivative of an inverse" in rules("normal_equation", "X")
    assert "derivative of a matrix product" in rules("scaled_dot_product_attention", "Q")
    assert "derivative of softmax" in rules("scaled_dot_product_attention", "Q")
    assert rules("knowledge_distillation_loss", "z_s")[-1] == "a softmax adds up to 1, common factor"
    assert rules("convolution_1d", "f") == ["definition", "linearity", "sum over the delta"]


def test_a_delta_with_an_index_of_the_same_range_says_the_range() -> None:
    assert CATALOGUE["batch_norm_mean"].derivation("x", points=1).steps[1].text == "∂μ_B/∂xⱼ = 1/m·Σᵢ δⱼᵢ"


def test_lines_that_look_the_same_are_one_step() -> None:
    assert rules("mse_weight_gradient", "w") == [
        "definition", "derivative of mean squared error", "derivative of a matrix product", "steps put together",
    ]  # fmt: skip
    for equation in (CATALOGUE[i] for i in ("mse_weight_gradient", "clip_contrastive_loss", "selu")):
        steps = equation.derivation(equation.entry.differentiate[0], points=1).steps
        assert len({(s.text, s.latex) for s in steps}) == len(steps)


def test_no_derivation_comes_back_to_where_it_was() -> None:
    steps = CATALOGUE["autoencoder_loss"].derivation("x", points=1).steps
    assert steps[-1].rule == "steps put together" and len({s.latex for s in steps}) == len(steps)


def test_a_definition_by_a_derivative_says_what_that_is() -> None:
    first = CATALOGUE["reinforce"].derivation("theta", points=1).steps[0]
    assert first.text.splitlines()[1:3] == ["u = ∇_θ log(πₐ)", "uᵢ = δᵢₐ − πᵢ"]


def test_constraints_are_said() -> None:
    last = CATALOGUE["softmax_cross_entropy_gradient"].derivation("z", points=1).steps[-1]
    assert last.because == ("Σ_c y[c] = 1",)
    assert last.text == "∂L/∂z[j] = ŷ[j] − y[j]"


@pytest.mark.parametrize(
    ("formula", "symbols", "wrt", "last"),
    [
        ("x**2*sin(x)", "x", "x", "∂y/∂x = x·(2·sin(x) + x·cos(x))"),
        ("x/(1 + x**2)", "x", "x", None),
        ("sum((W @ x - y)**2)", "W[m,n] x[n] y[m]", "W", None),
        ("logdet(A)", "A[n,n]:positive_definite", "A", None),
        ("det(A)*c", "A[n,n] c", "A", None),
        ("prod(x[i], i)", "x[n]:positive", "x", None),
        ("max(x[i], i)", "x[n]", "x", None),
        ("x**x", "x:positive", "x", None),
        ("log(exp(a) + exp(b))", "a b", "a", None),
        ("x*stop(x)", "x", "x", "∂y/∂x = sg(x)"),
        ("integral(exp(-a*t**2), t, 0, 1)", "a:positive", "a", None),
        ("x if x > 0 else a*x", "x a", "x", None),
        ("z[k]", "z[C] k:label[C]", "z", "∂y/∂zᵢ = δᵢₖ"),
    ],
)
def test_typed_expressions_are_derived(formula: str, symbols: str, wrt: str, last: str | None) -> None:
    found = kb.parse(formula, symbols).derivation(wrt, points=2)
    assert found.numbers > 0
    if last is not None:
        left, _, right = found.steps[-1].text.partition(" = ")
        assert f"{left} = {right}" == last


def test_a_hidden_step_is_named_with_its_leading_axes() -> None:
    found = kb.parse("K[b] = expm(T[b]); y = sum(K[b,i,j]*K[b,j,i], b, i, j)", "T[m,n,n]").derivation("T", points=1)
    assert "K[b] = expm(G[b])" in found.steps[0].text


def test_the_derivative_of_a_recurrence_is_a_recurrence() -> None:
    found = kb.parse("h[-1] = h0; h[t] = a*h[t-1] + x[t]; y = sum(h)", "h0 a x[T]").derivation("a", points=3)
    assert [step.text for step in found.steps[1:]] == ["∂y/∂a = Σᵢ ∂hᵢ/∂a", "∂h₋₁/∂a = 0", "∂hₜ/∂a = hₜ₋₁ + a·∂hₜ₋₁/∂a"]
    found = kb.parse("h[-1] = h0; h[t] = tanh(a*h[t-1] + x[t])", "h0 a x[T]").derivation("h0", points=3)
    assert found.steps[1].text == "∂h₋₁/∂h₀ = 1"
    assert found.steps[-1].text == "∂hₜ/∂h₀ = a·(1 − hₜ²)·∂hₜ₋₁/∂h₀"


def test_definitions_stand_as_they_were_stated() -> None:
    decomposed = CATALOGUE["svd"].derivation("A", points=1).steps[0]
    assert decomposed.text.splitlines()[0] == "(U, σ, V) = svd(A)"
    assert decomposed.statements[0].source == "U, s, V = svd(A)"
    heads = CATALOGUE["multi_head_attention"].derivation("W_O", points=1).steps[0]
    assert r"[\mathrm{head}_1, \dots, \mathrm{head}_h]" in heads.latex
    inverted = CATALOGUE["normal_equation"].derivation("X", points=1)
    assert inverted.steps[0].text == "G = Xᵀ X\nθ = G⁻¹ Xᵀ y"
    assert any(step.text.startswith("∂(G⁻¹)ᵢₗ/∂Xⱼₖ = ") for step in inverted.steps)


def test_an_array_literal_stays_one() -> None:
    found = CATALOGUE["inverse_2x2"].derivation("a", points=1)
    assert not any(" if " in step.text for step in found.steps)
    assert "[[d, −b], [−c, a]]ᵢⱼ" in found.text()


def test_a_minus_of_all_terms_stands_before_their_sum() -> None:
    found = CATALOGUE["js_divergence"].derivation("P", points=1)
    assert any(step.text.startswith("∂D₂/∂Pᵢ = −Σⱼ ") for step in found.steps)
    assert not any("(−" in step.text for step in found.steps)


def test_what_has_no_derivative_is_refused() -> None:
    with pytest.raises(NotFound, match="did you mean 'z'"):
        CATALOGUE["softmax"].derivation("zz")
    with pytest.raises(NotDifferentiable):
        CATALOGUE["cross_entropy_with_logits"].derivation("y")


# --- mutations: a wrong rule, fold or constraint must not pass ---------------------------------------


def wrong_power(self: Any, expr: Any) -> Any:
    return linear.POWER, [linear.Slope(expr.base, build.power(expr.base, build.add(expr.exponent, MINUS_ONE)))]


def wrong_product(self: Any, args: Any) -> Any:
    return linear.PRODUCT, [linear.Slope(a, ONE) for a in args if self.depends(a)]


def wrong_function(name: str, arg: Any) -> Any:
    return MINUS_ONE


def wrong_fold(self: Any, binding: Any) -> Any:
    found = right_read(self, binding)
    return None if found is None else build.mul(num(2), found)


right_read = tidy._Pattern.read


right_shorter = constraints._Constraints.shorter


def wrong_sum(self: Any, node: Any) -> Any:
    found = right_shorter(self, node)
    return None if found is None else build.mul(num(3), found)


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "entry", "symbol"),
    [
        (linear.Linear, "power", wrong_power, "mean_squared_error", "yhat"),
        (linear.Linear, "product", wrong_product, "kl_divergence", "P"),
        (linear, "function_derivative", wrong_function, "sigmoid", "z"),
        (linear, "function_derivative", wrong_function, "softmax", "z"),
        (tidy._Pattern, "read", wrong_fold, "sigmoid", "z"),
    ],
)
def test_a_wrong_rule_is_never_printed_as_right(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Any, entry: str, symbol: str
) -> None:
    equation = kb.load_catalogue()[entry]
    assert equation.program is not None
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(CheckFailed, match="does not hold"):
        equation.derivation(symbol)


def test_a_wrong_constraint_is_never_printed_as_right(monkeypatch: pytest.MonkeyPatch) -> None:
    equation = kb.parse("L = -sum(t[c]*log(exp(z[c])/sum(exp(z[k]), k)), c)", "z[C] t[C]:one_hot")
    assert equation.derivation("z").steps[-1].rule == "constraint used"
    monkeypatch.setattr(constraints._Constraints, "shorter", wrong_sum)
    with pytest.raises(CheckFailed, match="does not hold at 'constraint used'"):
        equation.derivation("z")


# --- the command ------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["derive", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_command_prints_text(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "sigmoid", "--wrt", "z")
    assert code == 0
    assert re.fullmatch(r" 4    = y·\(1 − y\) +folding into names", out.splitlines()[-2])
    assert re.fullmatch(r"each of the 4 steps checked: 4 points, largest difference \de-\d\d", out.splitlines()[-1])


def test_the_command_prints_latex_and_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "softmax", "--wrt", "z", "--format", "latex")
    assert code == 0 and out.startswith("\\begin{aligned}\n") and out.endswith("\\end{aligned}\n")
    assert all("&=" in row for row in out.splitlines()[1:-1])
    assert "&& \\text{sum over the delta}" in out
    code, out, _ = run(capsys, "softmax", "--wrt", "z", "--format", "md")
    assert code == 0 and out.count("$$") == 8
    assert [line for line in out.splitlines() if re.match(r"\d\\\. ", line)][1] == r"2\. quotient rule"


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "softmax", "--wrt", "z", "--json")
    data = json.loads(out)
    assert code == 0 and list(data) == ["id", "wrt", "steps", "points", "numbers", "difference"]
    assert data["steps"][-1]["statements"][0]["source"] == "p[j]*(delta(j, k) - p[k])"
    assert data["steps"][-1]["continues"] and not data["steps"][0]["continues"]


def test_the_command_derives_typed_expressions(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--expr", "y = a*x**2", "--symbols", "a x", "--wrt", "x")
    assert code == 0 and "∂y/∂x = 2·a·x" in out and "power rule" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["softmaxx", "--wrt", "z"], 3, "did you mean 'softmax'"),
        (["softmax", "--wrt", "zz"], 3, "did you mean 'z'"),
        (["softmax"], 2, "--wrt SYMBOL"),
        (["cross_entropy_with_logits", "--wrt", "y"], 2, "no derivative"),
        (["softmax", "--wrt", "z", "--json", "--format", "md"], 2, "--json holds every format"),
    ],
)
def test_wrong_use_of_the_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "") and message in err


def test_a_line_that_does_not_hold_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear.Linear, "power", wrong_power)
    code, out, err = run(capsys, "--expr", "x**3", "--symbols", "x", "--wrt", "x")
    assert (code, out) == (1, "") and "the derivation does not hold at 'power rule'" in err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs TeX")
def test_every_derivation_compiles_with_amsmath(tmp_path: Path) -> None:
    body = "\n\n".join(f"\\[{CATALOGUE[e].derivation(s, points=1).latex()}\\]" for e, s in DECLARED)
    source = f"\\documentclass{{article}}\\usepackage{{amsmath,amssymb}}\\begin{{document}}{body}\\end{{document}}"
    (tmp_path / "all.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
