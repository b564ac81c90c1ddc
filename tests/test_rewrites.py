"""Small rules of reading, and the layouts that the last look at all formulas asked for."""

from __future__ import annotations

import pytest

import kb
from kb import tree
from kb.cli.breaking import statement_lines
from kb.cli.terminal import columns_of
from kb.printing.latex import latex
from kb.printing.text import Context, text
from kb.typed import parse

CATALOGUE = kb.load_catalogue()


def derived(formula: str, symbols: str, wrt: str, form: str = "partial") -> str:
    equation = parse(formula, symbols, CATALOGUE)
    made = {"partial": equation.derivative, "vjp": lambda s: equation.vjp([s]), "hessian": equation.hessian}[form](wrt)
    return made.text()


@pytest.mark.parametrize(
    ("formula", "symbols", "wrt", "shown"),
    [
        ("a*erf(x/sqrt(2))", "x a", "a", "erf(x/√2)"),
        ("erf(x/sqrt(2))", "x", "x", "√(2·π)"),
        ("a*log(1/sqrt(2*pi*v))", "a v:positive", "a", "−1/2·log(2·π·v)"),
    ],
)
def test_roots_and_logarithms_read_as_people_write_them(formula: str, symbols: str, wrt: str, shown: str) -> None:
    found = derived(formula, symbols, wrt)
    assert shown in found and "√π·√" not in found


@pytest.mark.parametrize(
    ("formula", "symbols", "wrt", "shown"),
    [
        ("p = softmax(x); q = softmax(y); L = sum(p[i]*log(q[i]), i)", "x[n] y[n]", "y", "∂L/∂yᵢ = pᵢ − qᵢ"),
        ("p = softmax(X); L = sum(p[i,j]*c[i], i, j)", "X[m,n] c[m]", "c", "∂L/∂cᵢ = 1"),
        ("p = softmax(X); L = sum(p[i,j]*c[j], i, j)", "X[m,n] c[n]", "c", "∂L/∂cⱼ = Σᵢ pᵢⱼ"),
        ("p = softmax(X); L = sum(p[i,i]*c, i)", "X[n,n] c", "c", "∂L/∂c = Σᵢ pᵢᵢ"),
    ],
)
def test_a_softmax_adds_up_to_1_along_its_last_axis_alone(formula: str, symbols: str, wrt: str, shown: str) -> None:
    assert shown in derived(formula, symbols, wrt)


def test_beyond_the_ends_of_an_array_of_zeros_no_condition_is_needed() -> None:
    convolution, plain = CATALOGUE["convolution_1d"], CATALOGUE["conv1d"]
    assert convolution.derivative("f").text().endswith("∂yᵢ/∂fⱼ = gᵢ₋ⱼ")
    assert "f̄ₐ = Σₘ ȳₐ₊ₘ·gₘ" in convolution.vjp(["f"]).text()
    assert "Σ_{i,m: s·i+m=a}" in plain.vjp(["x"]).text()


def test_what_is_read_at_a_computed_place_is_solved_where_that_needs_no_condition() -> None:
    assert "K̄[a,b] = Σ_{u,v} Ō[s·u+a, s·v+b]·z[u,v]" in CATALOGUE["conv_transpose2d"].vjp(["K"]).text()


def test_what_stands_in_conditions_alone_is_solved_there() -> None:
    found = CATALOGUE["avg_pool2d"].vjp(["I"])
    assert "Ī[a,b] = 1/k²·Σ_{i,j: 0≤a−s·i<k, 0≤b−s·j<k} Ō[i,j]" in found.text()
    assert r"\sum_{i,j :\, 0 \le a-s i < k,\,0 \le b-s j < k}" in found.latex()


def test_matrix_products_that_begin_alike_are_one() -> None:
    assert "X (Ḡ + Ḡᵀ)" in CATALOGUE["normal_equation"].vjp(["X"]).text()


def test_a_condition_on_an_index_of_two_values_names_the_other_value() -> None:
    found = CATALOGUE["inverse_2x2"].vjp(["a", "b", "c", "d"]).text()
    assert "if" not in found and "≠" not in found and "M̄₁₁" in found


def test_the_square_of_a_square_is_a_fourth_power() -> None:
    node = tree.Power(tree.Name("v"), tree.Number("2"))
    context = Context(glyphs={"v": r"\sigma^2"})
    assert text(node, context) == "σ⁴"
    assert latex(node, context) == r"\sigma^4"


def test_lines_fit_and_remarks_go_below() -> None:
    line = "  z̄ = " + " + ".join(f"a_{n}·b_{n}" for n in range(30)) + "    because Σ_c y[c] = 1"
    lines = statement_lines(line, 60)
    assert len(lines) > 3 and all(columns_of(part) <= 60 for part in lines)
    assert lines[-1].strip() == "because Σ_c y[c] = 1"


def test_a_double_sum_is_turned_round_where_it_then_shares_a_factor() -> None:
    formula = "y = sum(a[i]*(sum(B[i,j]*w[j], j) - sum(c[k]*sum(D[k,j]*w[j], j), k)), i)"
    assert "∂y/∂aᵢ = Σⱼ (Bᵢⱼ − Σₖ Dₖⱼ·cₖ)·wⱼ" in derived(formula, "a[m] B[m,n] w[n] c[p] D[p,n]", "a")
