"""Plots: what is said of them in a catalogue, what follows without a word, and how they are drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import agreement
import numpy as np
import pytest
import yaml
from selection import sampled

import kb
from generators.parts import PlotView
from generators.plots.contours import level_lines
from generators.plots.inference import inferred
from generators.plots.lines import straightened
from generators.plots.svg import spans
from generators.plots.ticks import number_text, tick_texts, ticks
from generators.views import views
from kb.catalogue import Catalogue, validate

ENTRY = """\
scores:
  name: Scores
  topic: small
  about: Text.
  symbols:
    z: {shape: [C]}
    w: {default: 1.0}
    n: {kind: integer, default: 2}
    p: {shape: [C], role: output}
  define: ["q = z*w*n", "p = softmax(q)"]
  plot: PLOT
"""


def plot_faults(path: Path, plot: str) -> list[tuple[str, int, str]]:
    """Place, column and message of all faults of an entry with this plot."""
    file = path / "mine.yaml"
    file.write_text(ENTRY.replace("PLOT", plot), encoding="utf-8")
    faults = validate(file)
    found = []
    for fault in faults:
        assert fault.location is not None
        found.append((fault.location.path.removeprefix("scores."), fault.location.column, fault.message))
    return found


# --- the key -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plot",
    [
        "false",
        "{over: {t: [-6, 6]}, given: {z: [t, 0, 1]}}",
        "{over: {t: [-6, 6]}, given: {z: [t, 0, 1]}, show: 'p[2] + q[1]'}",
        "{over: {t: [-6, 6]}, given: {z: [t, a]}, each: {a: [0, 1], n: [1, 2]}, show: 'q[0]'}",
        "{over: {t: [-6, 6], u: [0, 1]}, given: {z: 'softmax([t, u])', n: 3}, show: norm(p)}",
        "{over: {w: [0, 2]}, sizes: {C: 40}}",
        "{over: {n: [0, 9]}, sizes: {C: 2}, show: ['p[0]', 'p[1]', 'p[0] - w']}",
        "{given: {z: 'z[i] = cos(i)'}, sizes: {C: 9}, show: p @ q.T}",
        "[{over: {w: [0, 2]}, sizes: {C: 4}}, {show: q @ q.T, sizes: {C: 3}}]",
    ],
)
def test_plots_that_can_be_drawn(tmp_path: Path, plot: str) -> None:
    assert plot_faults(tmp_path, plot) == []


@pytest.mark.parametrize(
    ("plot", "place", "at", "words"),
    [
        ("{over: {t: [0, 1]}, given: {z: '[t,  s]'}}", "plot[0].given.z", "s]'", "'s' is neither a symbol"),
        ("{over: {t: [0, 1]}, given: {z: 'z[i] = t + w'}}", "plot[0].given.z", "w'", "'w' is neither a symbol"),
        ("{over: {t: [0, 1]}, given: {z: 'q[i] = t'}}", "plot[0].given.z", "q[", "gives no value to 'z'"),
        ("{over: {t: [0, 1]}, given: {z: t}}", "plot[0].given.z", "t}", "this has 0 axes, and 'z' has 1"),
        ("{over: {t: [0, 1]}, given: {z: [t, 1]}, sizes: {C: 3}}", "plot[0].given.z", "[t, 1]", "must have [3]"),
        ("{over: {t: [0, 1]}, given: {z: [t, 1], n: 2.5}}", "plot[0].given.n", "2.5", "write a whole number"),
        ("{over: {t: [0, 1]}, given: {z: [t, 1], n: [2, 2]}}", "plot[0].given.n", "[2, 2]", "this has 1 axis"),
        ("{over: {z: [0, 1]}}", "plot[0].over.z", "z:", "'z' is not one number; vary a name of your own"),
        ("{over: {w: [0, 1]}}", "plot[0]", "{over", "nothing says how large 'C' is; add it under 'sizes'"),
        ("{over: {w: [0, 1]}, sizes: {c: 3}}", "plot[0].sizes.c", "c:", "is no dimension of this entry"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, show: 'p[0] + r'}", "plot[0].show[0]", "r'", "'r' is neither"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, show: [w, 'p[3]']}", "plot[0].show[1]", "3]", "not provably in range"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, show: [w, p]}", "plot[0].show[1]", "p]", "each must be one number"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, each: {n: [1]}}", "plot[0].each", "each", "one curve for each value"),
        ("{sizes: {C: 3}}", "plot[0]", "{sizes", "an array of 1 axis over no name cannot be drawn"),
        ("{sizes: {C: 3}, show: sum(p)}", "plot[0].show[0]", "show", "write under 'over' what is varied"),
        ("{sizes: {C: 65}, show: p @ p.T}", "plot[0].show[0]", "show", "at most 64 rows and columns, not 65"),
    ],
)
def test_a_fault_of_a_plot_has_its_place_and_a_remedy(
    tmp_path: Path, plot: str, place: str, at: str, words: str
) -> None:
    found = plot_faults(tmp_path, plot)
    column = f"  plot: {plot}".rindex(at) + 1
    assert [(p, c) for p, c, message in found if words in message] == [(place, column)], found


def test_faults_of_all_plots_are_found(tmp_path: Path) -> None:
    found = plot_faults(tmp_path, "[{over: {w: [0, 1]}}, {over: {w: [0, 1]}, given: {z: [w, v]}}]")
    assert [place for place, _, _ in found] == ["plot[0]", "plot[1].given.z"]


# --- what follows without a word -----------------------------------------------------------------------


def catalogue_of(path: Path, entries: dict[str, dict[str, Any]]) -> Catalogue:
    kept = {"name": "A name", "topic": "small", "about": "A text."}
    file = path / "small.yaml"
    file.write_text(yaml.safe_dump({i: kept | e for i, e in entries.items()}, sort_keys=False), encoding="utf-8")
    return kb.load_catalogue(file)


def plots(path: Path, symbols: dict[str, Any], define: Any, **more: Any) -> tuple[PlotView, ...]:
    catalogue = catalogue_of(path, {"drawn": {"symbols": symbols, "define": define, **more}})
    return views(catalogue, ["drawn"])[0].plots


def inferred_plots(path: Path, symbols: dict[str, Any], define: Any = "y = x**2", **more: Any) -> list[Any]:
    entry = {"symbols": {**symbols, "y": {"role": "output"}}, "define": define, **more}
    return [plot.over for plot in inferred(catalogue_of(path, {"drawn": entry})["drawn"])]


REAL: dict[str, Any] = {"x": {}, "y": {"role": "output"}}
WHOLE = {"kind": "integer", "domain": "nonnegative"}


@pytest.mark.parametrize(
    ("symbols", "define", "over"),
    [
        ({"x": {}}, "y = x**2", [("x", ("-5", "5"))]),
        ({"x": {"domain": "unit"}}, "y = x**2", [("x", ("0", "1"))]),
        ({"x": {}, "a": {"default": 2.0}}, "y = a*x", [("x", ("-5", "5"))]),
        ({"x": {"domain": "positive"}, "b": {}}, "y = b*x", [("x", ("0", "5")), ("b", ("-5", "5"))]),
        ({"x": WHOLE}, "y = 0.5**x", [("x", ("0", "20"))]),
    ],
)
def test_arguments_say_what_is_drawn(
    tmp_path: Path, symbols: dict[str, Any], define: str, over: list[tuple[str, tuple[str, str]]]
) -> None:
    assert inferred_plots(tmp_path, symbols, define) == [tuple(over)]


def test_kinks_are_within_sight(tmp_path: Path) -> None:
    kinks = {"kinks": ["x == 10", "x == y"]}
    assert inferred_plots(tmp_path, {"x": {}}, "y = abs(x - 10)", **kinks) == [(("x", ("-5", "12")),)]


@pytest.mark.parametrize(
    ("symbols", "define", "more"),
    [
        ({"x": {"shape": ["n"]}}, "y = sum(x)", {}),
        ({"x": {}, "a": {}, "b": {}}, "y = x + a + b", {}),
        ({"x": {}, "n": WHOLE}, "y = x**n", {}),
        ({"x": {"domain": "binary"}}, "y = x", {}),
        ({"x": {}, "f": {"kind": "function", "arguments": ["t"], "instance": "sin"}}, "y = f(x)", {}),
        ({"x": {}}, "y = 2*x", {"kind": "identity", "claims": {"twice": "y == x + x"}}),
    ],
)
def test_what_tells_too_little_has_no_plot(
    tmp_path: Path, symbols: dict[str, Any], define: str, more: dict[str, Any]
) -> None:
    assert inferred_plots(tmp_path, symbols, define, **more) == []


def test_an_author_can_ask_for_none(tmp_path: Path) -> None:
    assert plots(tmp_path, REAL, "y = x**2", plot=False) == ()


def test_what_cannot_be_computed_is_left_out(tmp_path: Path) -> None:
    assert plots(tmp_path, REAL, "y = log(-1 - x**2)") == ()
    many = {"over": {"t": [0, 1]}, "given": {"A": "A[i,j] = t"}, "sizes": {"n": 256}, "show": "sum(B)"}
    square = {"A": {"shape": ["n", "n"]}, "B": {"shape": ["n", "n", "n"], "role": "output"}}
    assert plots(tmp_path, square, "B[i,j,k] = A[i,j]*A[j,k]", plot=many) == ()


# --- pictures ------------------------------------------------------------------------------------------


def parsed(plot: PlotView) -> ElementTree.Element:
    root = ElementTree.fromstring(plot.svg)
    assert root.get("role") == "img"
    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
    assert not re.search(r"\bnan\b|\binf\b|-0[\" ,LMHVhv]|<script", plot.svg)
    return root


def drawn_lines(plot: PlotView, name: str) -> list[str]:
    """The path data of a class."""
    root = parsed(plot)
    legend = [e for group in root if group.get("class") == "plot-legend" for e in group]
    found = [e for e in root.iter() if name in (e.get("class") or "").split() and e not in legend]
    return [d for e in found if (d := e.get("d"))]


def texts(plot: PlotView) -> list[str]:
    return ["".join(e.itertext()) for e in parsed(plot).iter() if e.tag.endswith("}text")]


def test_a_curve_and_its_derivative(tmp_path: Path) -> None:
    (plot,) = plots(tmp_path, REAL, "y = x**2")
    assert plot.caption == r"$y$ and its derivative $\frac{d y}{d x}$ (dashed) over $x$."
    assert "goes from 25 at x = −5 to 25 at x = 5, with its least value 0 at x = 0" in plot.alt
    assert "dy/dx rises from −10 at x = −5 to 10 at x = 5" in plot.alt
    assert texts(plot)[:5] == ["−4", "−2", "0", "2", "4"] and texts(plot)[-2:] == ["y", "dy/dx"]
    (line,) = drawn_lines(plot, "plot-line-1")
    (slope,) = drawn_lines(plot, "plot-derivative")
    assert line.count("M") == slope.count("M") == 1
    assert slope.count("L") == 1  # a straight line needs no more
    assert len(plot.svg) < 5_000


def test_lines_break_where_they_jump_and_bend_where_they_bend(tmp_path: Path) -> None:
    (plot,) = plots(tmp_path, REAL, "y = abs(x - 1/3)", kinks=["x == 1/3"])
    (line,), (slope,) = drawn_lines(plot, "plot-line-1"), drawn_lines(plot, "plot-derivative")
    assert (line.count("M"), line.count("L")) == (1, 2)
    assert (slope.count("M"), slope.count("L")) == (2, 2)
    assert "It jumps at x = 0.333 from −1 to 1." in plot.alt


def test_poles_are_cut_off_and_not_crossed(tmp_path: Path) -> None:
    for at in ("1", "0.1234"):  # at a place that is sampled, and between two
        (plot,) = plots(tmp_path, REAL, f"y = 1/(x - {at})")
        (line,) = drawn_lines(plot, "plot-line-1")
        assert line.count("M") == 2
        assert re.search(rf"no finite value at x = {at[:4]}", plot.alt)
        assert "jumps" not in plot.alt


def test_a_family_has_a_panel_for_its_derivatives(tmp_path: Path) -> None:
    symbols = {"x": {}, "a": {"default": 1.0}, "y": {"role": "output"}}
    plot = {"over": {"x": [0, 1]}, "each": {"a": [1, 2.5]}, "about": "Costs $1 & more."}
    (found,) = plots(tmp_path, symbols, "y = a*x", plot=plot)
    assert found.caption == "$y$ and its derivatives (below) over $x$, for several $a$."
    assert found.about == "Costs $1 & more."
    assert len(drawn_lines(found, "plot-line-1")) == len(drawn_lines(found, "plot-line-2")) == 2
    assert {"a = 1", "a = 2.5", "y", "∂y/∂x"} <= set(texts(found))


def test_elements_of_a_vector_are_curves_each(tmp_path: Path) -> None:
    symbols = {"z": {"shape": ["n"]}, "p": {"shape": ["n"], "role": "output"}}
    plot = {"over": {"t": [-1, 1]}, "given": {"z": ["t", 0]}}
    (found,) = plots(tmp_path, symbols, "p = softmax(z)", plot=plot)
    assert {"p₀", "p₁", "∂p/∂t"} <= set(texts(found))
    assert "p₀ rises from 0.269 at t = −1 to 0.731 at t = 1" in found.alt
    assert found.caption.endswith("over $t$, with $z = [t,\\, 0]$.")


def test_steps_are_dots(tmp_path: Path) -> None:
    symbols = {"t": WHOLE, "y": {"role": "output"}}
    (plot,) = plots(tmp_path, symbols, "y = 0.5**(t//10)")
    line, dots = drawn_lines(plot, "plot-line-1")
    assert dots.count("h0") == 21
    assert line.count("L") == 4
    assert "derivative" not in plot.caption


def test_states_of_an_update_are_what_it_came_in_with(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["n"], "role": "state"}, "g": {"shape": ["n"]}}
    plot = {"over": {"u": [0, 1]}, "given": {"x": [1], "g": ["u"]}, "show": "x[0]"}
    (found,) = plots(tmp_path, symbols, "x = x - g", kind="update", time="t", plot=plot)
    assert "x_{t-1} = [1]" in found.caption
    assert "falls from 1 at u = 0 to 0 at u = 1" in found.alt


def test_only_what_matters_is_told(tmp_path: Path) -> None:
    symbols = {"x": {}, "a": {"default": 3.0}, "b": {"default": 1.0507009873554805}, "y": {"role": "output"}}
    (plot,) = plots(tmp_path, symbols, ["s = b*x", "y = a*s"], plot={"over": {"x": [0, 1]}, "show": "s"})
    assert plot.caption.endswith(r"over $x$, with $b \approx 1.0507$.")


def test_settings_that_steps_read_are_told(tmp_path: Path) -> None:
    symbols = {"x": {}, "k": WHOLE | {"default": 3}, "y": {"role": "output"}}
    drawn = [{"over": {"x": [0, 1]}}, {"over": {"x": [0, 1]}, "show": "x"}]
    with_k, without = plots(tmp_path, symbols, "y = x**k", plot=drawn)
    assert with_k.caption.endswith("over $x$, with $k = 3$.")
    assert without.caption.endswith("over $x$.")


def test_contours_have_numbers_and_a_lowest_point(tmp_path: Path) -> None:
    symbols = {"a": {}, "b": {}, "y": {"role": "output"}}
    (plot,) = plots(tmp_path, symbols, "y = a**2 + (b - 1)**2 - 5")
    assert "the dot is the lowest point" in plot.caption
    assert "least value here, −5, at a = 0 and b = 1.04" in plot.alt
    assert {"0", "10", "20"} <= set(texts(plot))
    assert drawn_lines(plot, "plot-positive") and drawn_lines(plot, "plot-level-zero")
    assert len(plot.svg) < 20_000


def test_a_matrix_is_a_heat_map_with_a_scale(tmp_path: Path) -> None:
    symbols = {"A": {"shape": ["m", "n"]}, "B": {"shape": ["m", "n"], "role": "output"}}
    plot = {"given": {"A": [[0, 1, 1], [-1, 0, 0.5]]}, "show": "2*A"}
    (found,) = plots(tmp_path, symbols, "B = 2*A", plot=plot)
    assert "2 rows and 3 columns, with values from −2 to 2" in found.alt
    cells = next(e for e in parsed(found) if e.get("class") == "plot-cells")
    shades = {(e.get("class"), e.get("stroke-opacity")): e.get("d") for e in cells}
    assert shades == {
        ("plot-positive", "1"): "M1 0h2",
        ("plot-negative", "1"): "M0 1h1",
        ("plot-positive", "0.5"): "M2 1h1",
    }


def test_a_long_vector_over_a_name_is_a_heat_map(tmp_path: Path) -> None:
    symbols = {"x": {}, "p": {"shape": ["n"], "role": "output"}}
    plot = {"over": {"x": [0, 3]}, "sizes": {"n": 9}}
    (found,) = plots(tmp_path, symbols, "p[i] = x*i", plot=plot)
    assert "9 elements over 4 values of x, with values from 0 to 24" in found.alt
    assert found.caption == "The elements of $p$ over $x$, with $n = 9$."


def test_words_of_a_catalogue_stay_words(tmp_path: Path) -> None:
    (plot,) = plots(tmp_path, REAL, "y = x", name="</svg><script>'\"&")
    assert next(iter(parsed(plot))).text == "</svg><script>'\"&: y over x"
    assert plot.svg.count("</svg>") == 1


def test_random_arguments_are_named_and_the_same_every_time(tmp_path: Path) -> None:
    symbols = {"x": {}, "A": {"shape": ["n", "n"], "domain": "gaussian"}, "y": {"role": "output"}}
    plot = {"over": {"x": [0, 1]}, "sizes": {"n": 3}}
    (found,) = plots(tmp_path, symbols, "y = x*sum(A)", plot=plot)
    assert found.caption.endswith("with $n = 3$; random $A$.")
    (again,) = plots(tmp_path, symbols, "y = x*sum(A)", plot=plot)
    assert found == again


def test_numbers_given_by_calls_of_entries(tmp_path: Path) -> None:
    symbols = {"z": {"shape": ["n"]}, "y": {"role": "output"}}
    plot = {"over": {"t": [-2, 2]}, "given": {"z": "softmax([t, 0])"}}
    (found,) = plots(tmp_path, symbols, "y = z[0]", plot=plot, requires=["n >= 1"])
    assert "y rises from 0.119 at t = −2 to 0.881 at t = 2" in found.alt
    assert "∂y/∂t goes from 0.105 at t = −2 to 0.105 at t = 2, with its greatest value 0.25 at t = 0" in found.alt


# --- parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "most", "whole", "shown"),
    [
        (0, 1, 6, False, "0.0 0.2 0.4 0.6 0.8 1.0"),
        (-0.3, 0.3, 8, False, "−0.3 −0.2 −0.1 0.0 0.1 0.2 0.3"),
        (-1, 4, 6, True, "−1 0 1 2 3 4"),
        (0, 3, 9, True, "0 1 2 3"),
        (0, 250_000, 6, False, "0 5×10⁴ 10⁵ 1.5×10⁵ 2×10⁵ 2.5×10⁵"),
        (0, 2e-5, 3, False, "0 10⁻⁵ 2×10⁻⁵"),
        (1, 1, 6, False, ""),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, whole: bool, shown: str) -> None:
    assert " ".join(tick_texts(ticks(low, high, most, whole))) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.0, "0"), (-0.25, "−0.25"), (1234.0, "1234"), (0.5, "0.5"), (2e-7, "2×10⁻⁷"), (-1e9, "−10⁹")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text


def test_subscripts_stand_low() -> None:
    assert spans("a_t<b") == 'a<tspan dy=".25em" font-size="0.72em">t</tspan><tspan dy="-0.18em">&lt;</tspan>b'
    assert spans("σ_B²").startswith('σ<tspan dy=".25em" font-size="0.72em">B</tspan>')
    assert "{" not in spans("x_{i,j}")


def test_level_lines_are_whole() -> None:
    x = np.linspace(-2, 2, 41)
    values = x[None, :] ** 2 + x[:, None] ** 2
    (circle,) = level_lines(x, x, values, 1.0)
    assert circle[0] == circle[-1]
    assert all(abs(px**2 + py**2 - 1) < 0.01 for px, py in circle)
    saddle = level_lines(x, x, x[None, :] * x[:, None], 0.5)
    assert len(saddle) == 2
    values[20:, :] = np.nan
    (half,) = level_lines(x, x, values, 1.0)
    assert half[0] != half[-1]


def test_straight_parts_take_two_points() -> None:
    points = [(x / 10, abs(x) / 10) for x in range(-20, 21)]
    assert straightened(points) == [(-2.0, 2.0), (0.0, 0.0), (2.0, 2.0)]


SHIPPED = [entry.id for entry in agreement.shipped().records.values() if entry.plot]


@pytest.mark.parametrize("entry_id", sampled(["sigmoid", "f1_score", *SHIPPED], 8))
def test_shipped_plots_are_there(entry_id: str) -> None:
    (view,) = views(agreement.shipped(), [entry_id])
    assert len(view.plots) == len(view.entry.plot or ("inferred",))
    for plot in view.plots:
        parsed(plot)
        assert len(plot.svg) < (10_000 if "plot-legend" in plot.svg else 20_000)
        assert plot.caption.count("$") % 2 == 0
