"""How whole entries print: times and layers, notations of calls, calls written out, ranges of sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb import CatalogueError, Equation, load_catalogue, validate
from kb.definitions import formula_text

BASE: dict[str, Any] = {"name": "A name", "topic": "tests", "about": "For a test."}


def catalogue(folder: Path, **entries: dict[str, Any]) -> Path:
    path = folder / "some.yaml"
    # What is shared by several entries must not become an anchor, and JSON has none.
    path.write_text(json.dumps({i: {**BASE, **e} for i, e in entries.items()}), encoding="utf-8")
    return path


def equation(folder: Path, wanted: str, **entries: dict[str, Any]) -> Equation:
    return load_catalogue(catalogue(folder, **entries))[wanted]


def claim_text(eq: Equation, name: str) -> str:
    return formula_text(next(c.text for c in eq.entry.claims if c.name == name), eq.context)


GATE: dict[str, Any] = {
    "symbols": {
        "x": {"shape": ["n"]},
        "h_prev": {"shape": ["n"]},
        "w": {"shape": ["n"], "role": "parameter"},
        "a": {"role": "hyperparameter", "default": 2},
        "g": {"shape": ["n"], "role": "output"},
    },
    "define": "g = a*w*x + h_prev",
}
CELL: dict[str, Any] = {
    "time": "t",
    "symbols": {**GATE["symbols"], "g": {"shape": ["n"], "role": "step"}, "h": {"shape": ["n"], "role": "output"}},
    "define": ["g = some_gate(x, ...)", "h = g*tanh(h_prev)"],
    "claims": {"old": "d(h[i], h_prev[j]) == delta(i,j)*(g[i]*(1 - tanh(h_prev[i])**2) + tanh(h_prev[i]))"},
}


def test_values_belong_to_their_time_and_parameters_do_not(tmp_path: Path) -> None:
    cell = equation(tmp_path, "cell", some_gate=GATE, cell=CELL)
    assert cell.text() == "g_t = a·w ⊙ x_t + h_{t−1}\nh_t = g_t ⊙ tanh(h_{t−1})"
    assert r"h_t &= g_t \odot \tanh h_{t-1}" in cell.latex()
    assert "h_{t-1,j}" in cell.derivative("h_prev").latex()
    assert cell.symbols["w"].latex == "w" and cell.symbols["h_prev"].latex == "h_{t-1}"
    assert r"\bar{h}_{t-1} &=" in cell.vjp().latex()


def test_parameters_belong_to_their_layer(tmp_path: Path) -> None:
    symbols = {**GATE["symbols"], "w_next": {"shape": ["n"], "role": "parameter"}}
    gate = {**GATE, "layer": "l", "symbols": symbols, "define": "g = a*w_next*x + w*h_prev"}
    assert equation(tmp_path, "some_gate", some_gate=gate).latex() == (r"g_l = a w_{l+1} \odot x_l + w_l \odot h_{l-1}")


def test_what_a_state_came_in_with_stands_as_its_old_value(tmp_path: Path) -> None:
    update = {
        "kind": "update",
        "symbols": {"x": {"role": "state"}, "s": {"role": "state"}, "a": {"role": "hyperparameter"}},
        "define": ["x = x - a", "s = s + a*(old(x) - s)"],
        "claims": {"step": "x - old(x) == -a", "slope": "d(s, a) == old(x) - old(s)"},
    }
    entries = {"plain": update, "timed": {**update, "time": "t"}}
    plain, timed = (equation(tmp_path, i, **entries) for i in entries)
    assert plain.text() == "x ← x − a\ns ← s + a·(x_old − s)"
    assert timed.text() == "x_t = x_{t−1} − a\ns_t = s_{t−1} + a·(x_{t−1} − s_{t−1})"
    assert r"\frac{\partial s^+}{\partial a} &= x - s" in plain.derivative("a").latex()
    assert r"\frac{\partial s_t}{\partial a} &= x_{t-1} - s_{t-1}" in timed.derivative("a").latex()
    claims = [claim_text(timed, name) for name in ("step", "slope")]
    assert claims == ["x_t − x_{t−1} = −a", "∂s_t/∂a = x_{t−1} − s_{t−1}"]


def test_states_of_an_update_move_on(tmp_path: Path) -> None:
    symbols = {"m": {"role": "state"}, "g": {}, "b": {"role": "hyperparameter", "default": 0.5}}
    update = {"kind": "update", "symbols": symbols, "define": "m = b*m + g"}
    plain = equation(tmp_path, "average", average=update)
    assert plain.text() == "m ← b·m + g"
    assert plain.derivative("m").latex() == r"\frac{\partial m^+}{\partial m} = b"
    timed = equation(tmp_path, "average", average={**update, "time": "t"})
    assert timed.text() == "m_t = b·m_{t−1} + g_t"
    assert timed.derivative("m").latex() == r"\frac{\partial m_t}{\partial m_{t-1}} = b"


def test_only_calls_by_the_same_names_are_written_out(tmp_path: Path) -> None:
    named = {**GATE, "notation": r"\Gamma"}
    assert equation(tmp_path, "cell", some_gate=named, cell=CELL).text().startswith("g_t = Γ(x_t, …)")
    other = {**CELL, "define": ["g = some_gate(2*x, ...)", "h = g*tanh(h_prev)"]}
    assert equation(tmp_path, "cell", some_gate=GATE, cell=other).text().startswith("g_t = some_gate(2·x_t, …)")
    symbols = {**CELL["symbols"], "x": {"shape": ["m", "n"]}}
    mapped = {**CELL, "symbols": {**symbols, "g": {"shape": ["m", "n"], "role": "step"}}, "claims": {}}
    mapped |= {"define": ["g = some_gate(x, ...)", "h = tanh(h_prev)*sum(g[i,j], i, j)"]}
    assert equation(tmp_path, "cell", some_gate=GATE, cell=mapped).text().startswith("g_t = some_gate(x_t, …)")


DENSITY: dict[str, Any] = {
    "notation": r"\mathcal{P}(x; m | s)",
    "symbols": {"x": {}, "m": {}, "s": {"domain": "positive"}, "p": {"role": "output"}},
    "define": "p = exp(-(x - m)**2/(2*s))/sqrt(2*pi*s)",
}


def test_a_notation_separates_arguments_and_drops_the_variable_of_a_law(tmp_path: Path) -> None:
    symbols = {"a": {}, "b": {"domain": "positive"}, "y": {"role": "output"}}
    user = {"symbols": symbols, "define": "y = E(x**2, x, density(x, a, b)) + density(0, a, b)"}
    shown = equation(tmp_path, "user", density=DENSITY, user=user)
    assert shown.latex() == (r"y = \mathbb{E}_{x \sim \mathcal{P}(a \mid b)}[x^2] + \mathcal{P}(0;\, a \mid b)")
    assert shown.text() == "y = E_{x∼P(a | b)}[x²] + P(0; a | b)"


def test_a_sign_with_another_meaning_is_not_used(tmp_path: Path) -> None:
    squashed = {"notation": r"\sigma", "symbols": {"z": {}, "y": {"role": "output"}}, "define": "y = z/(1 + abs(z))"}
    symbols = {"x": {}, "sigma2": {"glyph": r"\sigma^2"}, "y": {"role": "output"}}
    user = {"symbols": symbols, "define": "y = squashed(x)*sigma2"}
    assert (
        equation(tmp_path, "user", squashed=squashed, user=user).latex() == r"y = \operatorname{squashed}(x)\, \sigma^2"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"notation": r"\input"}, "is not allowed in a glyph"),
        ({"notation": r"N(x; s, m)"}, "name the arguments in that order"),
        ({"notation": r"N(x + m)"}, "in parentheses stand the names"),
        ({"notation": r"(x)"}, "ends too early"),
        ({"time": "t", "layer": "l"}, "leave one of the two keys out"),
        ({"time": "2t"}, "2t"),
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, str], message: str) -> None:
    faults = validate(catalogue(tmp_path, density={**DENSITY, **change}))
    assert any(message in str(fault) for fault in faults), faults
    with pytest.raises(CatalogueError):
        load_catalogue(catalogue(tmp_path, density={**DENSITY, **change}))


def test_a_bar_stands_over_the_letter_and_over_all_of_a_power(tmp_path: Path) -> None:
    step = {"role": "step", "shape": ["n"]}
    symbols = {
        "x": {"shape": ["n"]},
        "u": {**step, "glyph": "q^X"},
        "v": {**step, "glyph": r"\sigma^2"},
        "y": {"role": "output"},
    }
    entry = {"symbols": symbols, "define": ["u = exp(x)", "v = sin(u)", "y = sum(v[i]**2*exp(u[i]) + v[i]*x[i], i)"]}
    shown = equation(tmp_path, "some", some=entry).vjp().latex()
    assert r"\bar{q}^X" in shown and r"\overline{\sigma^2}" in shown


def test_a_bar_is_as_wide_as_the_sign(tmp_path: Path) -> None:
    symbols = {"x": {}, "y": {"role": "output", "glyph": r"(\mathcal{T}x)"}, "TP": {"glyph": r"\mathrm{TP}"}}
    shown = equation(tmp_path, "some", some={"symbols": symbols, "define": "y = x*TP"}).vjp().latex()
    assert r"\overline{(\mathcal{T}x)}" in shown and r"\overline{\mathrm{TP}}" in shown


@pytest.mark.parametrize("change", [{"layer": "l"}, {"symbols": {"z": {"glyph": "z_l"}}}, {}])
def test_no_index_looks_like_the_subscript_of_a_name(tmp_path: Path, change: dict[str, Any]) -> None:
    symbols = {"W": {"shape": ["m", "n"]}, "x": {"shape": ["n"]}, "z": {"role": "output", "shape": ["m"]}}
    symbols["z"] |= change.get("symbols", {}).get("z", {})
    entry = {"define": "z = W @ x", **change, "symbols": symbols}
    shown = "".join(s.latex for s in equation(tmp_path, "some", some=entry).derivation("W", points=1).steps)
    assert r"\sum_" in shown and (r"\sum_l" in shown) == (not change)


def test_vectors_join_one_below_the_other_and_matrices_side_by_side(tmp_path: Path) -> None:
    symbols = {
        "A": {"shape": ["m", "n"]},
        "B": {"shape": ["m", "k"]},
        "x": {"shape": ["n"]},
        "u": {"shape": ["k"]},
        "y": {"shape": ["m"], "role": "output"},
    }
    shown = equation(tmp_path, "some", some={"symbols": symbols, "define": "y = concat(A, B) @ concat(x, u)"})
    assert shown.latex() == r"y = [A, B]\, [x; u]" and shown.text() == "y = [A, B] [x; u]"


def test_sums_stand_last_and_the_root_of_a_mean_keeps_its_name(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["n"]}, "y": {"role": "output"}}
    define = ["m = mean(x)", "s = sqrt(mean((x[i] - m)**2, i))", "y = s*x[0]"]
    spread = equation(tmp_path, "some", some={"symbols": symbols, "define": define, "requires": ["n >= 1"]})
    assert r"\sqrt" not in spread.vjp(["x"]).latex().partition(r"\bar{x}")[2]
    symbols = {
        "x": {"shape": ["n"]},
        "g": {"kind": "function", "arguments": ["u[n]"], "shape": ["n"], "instance": "u**2"},
    }
    define = "L = norm(x - g(x))**2"
    error = equation(tmp_path, "other", other={"symbols": {**symbols, "L": {"role": "output"}}, "define": define})
    assert "x_i - g(x)_i + " in error.derivative("x").latex()


def test_differences_that_are_multiplied_are_not_turned_round(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["n"]}, "y": {"shape": ["n"]}, "r": {"role": "output"}}
    define = "r = sqrt(sum((x[i] - y[i])**2, i))"
    shown = equation(tmp_path, "some", some={"symbols": symbols, "define": define}).hessian("x").latex()
    assert r"\delta_{ij} - \frac{(x_i - y_i)(x_j - y_j)}{r^2}" in shown


def test_sizes_that_only_an_instance_gives_keep_their_names(tmp_path: Path) -> None:
    inner = {"kind": "function", "arguments": ["x[n]"], "shape": ["m"], "instance": "concat(x, x)"}
    symbols = {"x": {"shape": ["n"]}, "f": inner, "y": {"role": "output"}}
    entry = {"symbols": symbols, "define": ["u = f(x)", "y = sum(u[j]**2, j)"]}
    assert r"\sum_{j=1}^m u_j^2" in equation(tmp_path, "some", some=entry).latex()


def test_a_recurrence_starts_where_its_definition_does(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["T"]}, "w": {}, "h": {"shape": ["T"], "role": "output"}}
    define = ["h[-1] = 1", "a[t] = w*h[t-1] + x[t]", "h[t] = tanh(a[t])"]
    slope = equation(tmp_path, "some", some={"symbols": symbols, "define": define}).derivative("w").text()
    *_, start, sum_, new = slope.splitlines()
    assert [line.strip() for line in (start, sum_, new)] == ["h₋₁ = 1", "aₜ = w·hₜ₋₁ + xₜ", "hₜ = tanh(aₜ)"]


def test_an_index_that_counts_shows_where_from(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["n"]}, "y": {"role": "output"}}
    plain = {"symbols": symbols, "define": "y = mean(x[i]**2, i)"}
    assert equation(tmp_path, "some", some=plain).latex() == r"y = \frac{1}{n} \sum_{i=1}^n x_i^2"
    weighted = {"symbols": symbols, "define": "y = sum(i*x[i], i)"}
    assert equation(tmp_path, "some", some=weighted).latex() == r"y = \sum_{i=0}^{n-1} i x_i"
    shifted = {"symbols": symbols, "define": "y = sum(x[i], i) - x[n - 1]", "requires": ["n >= 1"]}
    assert equation(tmp_path, "some", some=shifted).latex() == r"y = \sum_{i=0}^{n-1} x_i - x_{n-1}"
