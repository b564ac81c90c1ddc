"""Variants: linked from both sides, and their difference shown on numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import agreement
import numpy as np
import pytest
import yaml

import kb
from generators import export, markdown
from generators.views import views
from kb.catalogue import Catalogue, validate
from kb.cli import main
from kb.comparison import Comparison, numbers_text
from kb.evidence.sampling import NoSample


def entry(define: Any, symbols: dict[str, Any], **more: Any) -> dict[str, Any]:
    kept = {"name": "A name", "topic": "small", "about": "A text.", "define": define, "symbols": symbols}
    return kept | more


VECTOR = {"x": {"shape": ["n"]}, "y": {"role": "output"}}
SMALL: dict[str, Any] = {
    "total": entry("y = sum(x)", VECTOR, variants={"average": "divides by the number of values"}),
    "average": entry("y = mean(x)", VECTOR, variants={"largest": "takes the largest value"}),
    "largest": entry("y = max(x[i], i)", VECTOR, variants={"average": "takes the mean"}),
    "odds": entry(
        "L = log(1 + exp(-z))",
        {"z": {}, "L": {"role": "output"}},
        variants={"surprise": {"about": "takes a probability", "given": {"p": "1/(1 + exp(-z))"}}},
    ),
    "surprise": entry("L = -log(p)", {"p": {"domain": "unit"}, "L": {"role": "output"}}),
}


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


def catalogue_file(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False), encoding="utf-8")
    return path


def catalogue_of(path: Path, content: dict[str, Any]) -> Catalogue:
    return kb.load_catalogue(catalogue_file(path / "mine.yaml", content))


@pytest.fixture
def small(tmp_path: Path) -> Catalogue:
    return catalogue_of(tmp_path, SMALL)


# --- links -------------------------------------------------------------------------------------------


def test_one_side_links_both(small: Catalogue) -> None:
    assert small.variants("total") == (("average", "divides by the number of values", "average"),)
    assert small.variants("average") == (
        ("largest", "takes the largest value", "largest"),
        ("total", "divides by the number of values", "average"),
    )
    assert small.variants("largest") == (("average", "takes the mean", "average"),)


def test_pages_of_both_sides_say_it(small: Catalogue) -> None:
    pages = {view.id: markdown.page(view) for view in views(small, ["total", "average", "largest"])}
    assert "- [A name](average.md): divides by the number of values\n" in pages["total"]
    assert "- [A name](total.md): unlike it, this one divides by the number of values\n" in pages["average"]
    assert "- [A name](largest.md): takes the largest value\n" in pages["average"]
    assert "- [A name](average.md): takes the mean\n" in pages["largest"]


def test_show_says_it_too(small: Catalogue, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--catalogue", str(tmp_path / "mine.yaml")]
    assert main(["show", "average", *options]) == 0
    shown = capsys.readouterr().out
    (numbers,) = re.findall(r"given x = (.*)\n    average: gives y = .*\n    total: gives y = (.*)\n", shown)
    assert "\n  total: unlike it, this one divides by the number of values\n" in shown
    assert sum(json.loads(numbers[0])) == pytest.approx(float(numbers[1]))
    assert main(["show", "average", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)["variants"]
    assert found[1] == {"id": "total", "about": "divides by the number of values", "of": "average"}


def test_what_stands_for_functions_is_said(shipped: Catalogue) -> None:
    view = views(shipped, ["momentum"])[0]
    assert "\nWith $L(\\theta)$ = `sum(theta[i]**4, i)`, $\\theta _{t-1}$ = " in markdown.page(view)


def test_related_entries_that_are_variants_are_shown_once(tmp_path: Path) -> None:
    content = {**SMALL, "average": SMALL["average"] | {"related": ["total", "odds"]}}
    view = views(catalogue_of(tmp_path, content), ["average", "odds"])[0]
    assert [link.id for link in view.related] == ["odds"]
    assert "- Related: [A name](odds.md)\n" in markdown.page(view)


# --- numbers -----------------------------------------------------------------------------------------


def test_arguments_of_one_name_and_shape_are_shared(small: Catalogue) -> None:
    found = small.compare("total", "average")
    numbers = found.shared["x"]
    assert list(found.shared) == ["x"] and len(numbers) > 1
    assert found.sides[0].arguments == found.sides[1].arguments == {}
    assert found.sides[0].outputs == {"y": pytest.approx(sum(numbers))}
    assert found.sides[1].outputs == {"y": pytest.approx(sum(numbers) / len(numbers), rel=1e-2)}
    assert found.pairs == (("y", "y"),) and found.differs


def test_both_sides_see_the_same_numbers(small: Catalogue) -> None:
    assert small.compare("average", "total") == small.compare("total", "average").swapped
    again = kb.load_catalogue(small.records.files[-1].path)
    assert again.compare("total", "average") == small.compare("total", "average")


def test_given_arguments_are_computed(small: Catalogue) -> None:
    for found in (small.compare("odds", "surprise"), small.compare("surprise", "odds").swapped):
        z, p = found.sides[0].arguments["z"], found.sides[1].arguments["p"]
        assert p == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-2)
        assert found.sides[0].outputs == found.sides[1].outputs
        assert not found.differs and not found.shared


def test_sizes_follow_what_is_given(tmp_path: Path) -> None:
    matrix = {"A": {"shape": ["p", "q"]}, "k": {"kind": "integer", "domain": "positive"}, "y": {"role": "output"}}
    given = {"A": "[x, 2*x]", "k": "2"}
    content = {
        "rows": entry("y = sum(A)*k", matrix),
        "row": entry("y = sum(x)", VECTOR, variants={"rows": {"about": "adds more", "given": given}}),
    }
    found = catalogue_of(tmp_path, content).compare("row", "rows")
    x = found.sides[0].arguments["x"]
    assert found.sides[1].arguments["k"] == 2
    assert np.allclose(found.sides[1].arguments["A"], [x, 2 * np.array(x)])
    assert found.sides[1].outputs["y"] == pytest.approx(6 * sum(x), rel=1e-2)


def test_sizes_at_which_variants_agree_are_passed_over(tmp_path: Path) -> None:
    content = {"half": entry("y = sum(x)/2", VECTOR), "mean_": entry("y = mean(x)", VECTOR)}
    content["half"]["variants"] = {"mean_": "takes the mean"}
    assert catalogue_of(tmp_path, content).compare("half", "mean_").differs


def test_numbers_at_which_a_function_is_flat_are_passed_over(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["n"]}, "y": {"shape": ["n"], "role": "output"}}
    content = {
        "once": entry("y = tanh(2*x)", symbols, variants={"twice": "doubles it again"}),
        "twice": entry("y = tanh(4*x)", symbols),
    }
    found = catalogue_of(tmp_path, content).compare("once", "twice")
    assert found.is_plain
    one, other = (np.array(side.outputs["y"]) for side in found.sides)
    assert np.max(np.abs(one - other)) > 0.05


def test_a_mask_keeps_some_and_drops_some(tmp_path: Path) -> None:
    symbols = {"m": {"shape": ["n"], "domain": "binary"}, "y": {"shape": ["n"], "role": "output"}}
    content = {f"one_{k}": entry(f"y = {k}*m", symbols, variants={f"two_{k}": "doubles"}) for k in range(1, 5)} | {
        f"two_{k}": entry(f"y = {2 * k}*m", symbols) for k in range(1, 5)
    }
    made = catalogue_of(tmp_path, content)
    for k in range(1, 5):
        assert set(made.compare(f"one_{k}", f"two_{k}").shared["m"]) == {0, 1}


def test_numbers_are_short_and_within_their_domains(tmp_path: Path) -> None:
    symbols = {
        "p": {"shape": ["n"], "domain": "simplex"},
        "P": {"shape": ["m", "n"], "domain": "joint"},
        "S": {"shape": ["n", "n"], "domain": "positive_definite"},
        "s": {"domain": "positive", "default": 0.5},
        "e": {"domain": "positive", "default": 1e-8},
        "y": {"role": "output"},
    }
    content = {
        "one": entry("y = sum(p)*sum(P)*trace(S)*s*e", symbols, variants={"two": "adds the logarithm"}),
        "two": entry("y = sum(p)*sum(P) + logdet(S) + s + e", symbols),
    }
    shared = catalogue_of(tmp_path, content).compare("one", "two").shared
    assert set(shared) == set(symbols) - {"y"}
    for value in shared.values():
        assert np.array_equal(np.round(value, 1), value)
    assert sum(shared["p"]) == pytest.approx(1) and np.sum(shared["P"]) == pytest.approx(1)
    assert np.linalg.eigvalsh(np.array(shared["S"])).min() > 0
    assert shared["s"] == 0.5 and shared["e"] > 0.1


def test_arguments_that_do_not_fit_are_drawn_for_each(tmp_path: Path) -> None:
    content = {
        "number": entry("y = x**2", {"x": {}, "y": {"role": "output"}}, variants={"vector": "adds squares"}),
        "vector": entry("y = sum(x**2)", VECTOR),
    }
    found = catalogue_of(tmp_path, content).compare("number", "vector")
    assert found.shared == {}
    assert [row.names for row in found.rows] == [("x", "x"), ("y", "y")]


def test_domains_without_a_common_point_have_no_numbers(tmp_path: Path) -> None:
    content = {
        "up": entry("y = x", {"x": {}, "y": {"role": "output"}}, requires=["x > 1"], variants={"down": "lies below"}),
        "down": entry("y = -x", {"x": {}, "y": {"role": "output"}}, requires=["x < -1"]),
    }
    catalogue = catalogue_of(tmp_path, content)
    with pytest.raises(NoSample, match="'up' and 'down'"):
        catalogue.compare("up", "down")
    page = markdown.page(views(catalogue, ["up", "down"])[0])
    assert "- [A name](down.md): lies below\n\n## Evidence" in page


def test_numbers_are_written_briefly() -> None:
    assert numbers_text([[0.5, -1.0], [2, 1e-09]]) == "[[0.5, -1], [2, 1e-09]]"
    assert numbers_text(3) == "3"


# --- what is wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"q": "z"}, "odds.variants.surprise.given.q: 'surprise' has no argument 'q'; its arguments are p"),
        ({"p": "L"}, "odds.variants.surprise.given.p: 'L' is neither a symbol"),
        ({"p": "1/(1 + exp(-w))"}, "odds.variants.surprise.given.p: 'w' is neither a symbol"),
        ({"p": "[z, z]"}, "odds.variants.surprise.given.p: this has 1 axes, and 'p' of 'surprise' has 0"),
        ({"p": "z +"}, "odds.variants.surprise.given.p: "),
    ],
)
def test_wrong_arguments_are_reported_where_they_are(tmp_path: Path, given: dict[str, str], message: str) -> None:
    content = {**SMALL, "odds": SMALL["odds"] | {"variants": {"surprise": {"about": "x", "given": given}}}}
    (fault,) = validate(catalogue_file(tmp_path / "mine.yaml", content))
    assert message in str(fault)
    assert fault.location is not None and fault.location.line > 1


def test_a_label_takes_a_label(tmp_path: Path) -> None:
    picked = {"x": {"shape": ["C"]}, "k": {"kind": "label", "classes": "C"}, "y": {"role": "output"}}
    other = {"x": {"shape": ["C"]}, "c": {"kind": "label", "classes": "C"}, "y": {"role": "output"}}
    content = {
        "pick": entry("y = x[k]", picked, variants={"drop": {"about": "drops it", "given": {"c": "k"}}}),
        "drop": entry("y = sum(x) - x[c]", other),
    }
    found = catalogue_of(tmp_path, content).compare("pick", "drop")
    assert found.sides[0].arguments["k"] == found.sides[1].arguments["c"]
    content["pick"]["variants"]["drop"]["given"] = {"c": "k + 1"}
    (fault,) = validate(catalogue_file(tmp_path / "wrong.yaml", content))
    assert "is of kind label; write an argument of that kind" in str(fault)


def test_a_fault_is_found_again_when_only_the_variant_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert validate(catalogue_file(path, SMALL)) == []
    changed = {**SMALL, "surprise": entry("L = -log(q)", {"q": {"domain": "unit"}, "L": {"role": "output"}})}
    assert "no argument 'p'" in str(validate(catalogue_file(path, changed))[0])


# --- the shipped catalogue ---------------------------------------------------------------------------


def pairs(catalogue: Catalogue) -> list[tuple[str, str]]:
    return [(i, v.id) for i in catalogue for v in catalogue.entry(i).variants]


def require_computed(catalogue: Catalogue, found: Comparison) -> None:
    """The generated code, which the comparison does not use, gives the outputs that are shown."""
    for side in found.sides:
        equation = catalogue[side.id]
        made = equation.lambdify()(**{**found.shared, **side.arguments})
        values = dict(zip(side.outputs, made if isinstance(made, tuple) else (made,), strict=True))
        for name, shown in side.outputs.items():
            assert np.shape(values[name]) == np.shape(shown)
            assert np.allclose(values[name], shown, rtol=0.02, atol=0.02), (side.id, name)


@pytest.mark.parametrize("pair", pairs(agreement.shipped()), ids="/".join)
def test_variants_of_the_catalogue_are_shown_on_numbers(shipped: Catalogue, pair: tuple[str, str]) -> None:
    found = shipped.compare(*pair)
    given = dict(next(v.given for v in shipped.entry(pair[0]).variants if v.id == pair[1]))
    assert found.pairs and (found.shared or given)
    require_computed(shipped, found)


def test_the_export_holds_the_numbers(shipped: Catalogue) -> None:
    one, other = pairs(shipped)[0]
    (row,) = json.loads(export.export(views(shipped, [one])))["entries"][0]["variants"][:1]
    assert set(row) == {"id", "about", "of", "comparison"} and row["id"] == row["of"] == other
    assert set(row["comparison"]) == {"shared", "sides"}
    assert [side["id"] for side in row["comparison"]["sides"]] == [one, other]
    assert all(set(side) == {"id", "arguments", "outputs"} for side in row["comparison"]["sides"])


def test_what_has_no_page_is_no_link(tmp_path: Path) -> None:
    content = {**SMALL, "average": SMALL["average"] | {"related": ["odds"]}}
    page = markdown.page(views(catalogue_of(tmp_path, content), ["average"])[0])
    assert "- Related: A name\n" in page and "odds.md" not in page
