"""Pages, modules and the export: what they hold, and that text stays text."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import agreement
import numpy as np
import pytest
import yaml
from hostile import LINE, PIECES, SECOND, TEXT, catalogue
from jinja2 import UndefinedError
from test_build import SMALL

from generators import code, export, markdown, rendering
from generators.parts import Formula, product_of, rows_of
from generators.sources import documents
from generators.views import EntryView, by_topic, views
from kb.catalogue import Catalogue, load_catalogue
from kb.evidence import Check, Evidence, check
from kb.printing import escape_html, escape_markdown, markdown_math

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("hostile") / "hostile.yaml"
    path.write_text(yaml.safe_dump(catalogue(), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_catalogue(path)


@pytest.fixture(scope="module")
def softmax(shipped: Catalogue) -> EntryView:
    evidence = {"softmax": check(shipped["softmax"])}
    return views(shipped, ["softmax", "scaled_dot_product_attention"], evidence)[0]


@pytest.fixture(scope="module")
def pages(shipped: Catalogue) -> dict[str, str]:
    """The pages of a few entries of all kinds."""
    ids = list(shipped)[::20]
    return {view.id: markdown.page(view) for view in views(shipped, ids)}


@pytest.fixture(scope="module")
def hostile_views(hostile: Catalogue) -> tuple[EntryView, ...]:
    return views(hostile, list(hostile), {i: check(hostile[i]) for i in hostile})


# --- views -------------------------------------------------------------------------------------------


def test_a_view_holds_the_whole_entry(softmax: EntryView) -> None:
    assert softmax.verdict == "verified"
    assert [s.name for s in softmax.symbols] == ["z", "p"]
    assert softmax.partials[0].wrt == softmax.vjps[0].wrt == ("z",)
    assert softmax.backward is softmax.vjps[0]
    assert all(claim.verdict == "verified" for claim in softmax.claims)
    assert "scaled_dot_product_attention" in [link.id for link in softmax.used_by]
    linked = {link.id for link in (*softmax.uses, *softmax.used_by)}
    assert [link.id for link in softmax.related] == [i for i in softmax.entry.related if i not in linked]
    assert linked & set(softmax.entry.related) and softmax.related


def test_without_evidence_nothing_is_claimed(shipped: Catalogue) -> None:
    view = views(shipped, ["softmax"])[0]
    assert view.verdict == "not checked"
    assert {claim.verdict for claim in view.claims} == {"not checked"}
    assert "\nNot checked; `eqkb check softmax` does it.\n" in markdown.page(view)


def test_highlights_show_no_matrix_by_a_matrix(shipped: Catalogue) -> None:
    linear, softmax, scalar = views(shipped, ["linear", "softmax", "kl_divergence"])
    assert [(d.form, d.wrt) for d in linear.highlights] == [("vjp", ("W", "x", "b"))]
    assert [d.form for d in softmax.highlights] == ["partial", "vjp"]
    assert [d.form for d in scalar.highlights] == ["partial", "partial"]


def test_second_derivatives_of_numbers_that_do_not_vanish(shipped: Catalogue) -> None:
    sigmoid, relu, linear = views(shipped, ["sigmoid", "relu", "linear"])
    (second,) = sigmoid.hessians
    assert (second.form, second.wrt) == ("hessian", ("z",))
    assert relu.hessians == linear.hessians == ()


def test_derivatives_know_the_shapes_around_them(shipped: Catalogue) -> None:
    view = views(shipped, ["softmax"])[0]
    (made,) = view.partials[0].of_role("derivative")
    assert [size.latex for size in made.sizes] == ["C", "C"]
    (cotangent,) = view.vjps[0].of_role("cotangent")
    assert (cotangent.glyph.latex, [size.text for size in cotangent.sizes]) == (r"\bar{p}", ["C"])


def test_rows_of_a_formula_are_parted_where_they_are_aligned() -> None:
    cases = r"z &= \begin{cases} 1 & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}"
    latex = f"\\begin{{aligned}}\n{cases} \\\\\nu &= 2\n\\end{{aligned}}"
    assert rows_of(latex) == (("z", cases.removeprefix("z &")), ("u", "= 2"))
    assert rows_of(r"\sum_{i = 1} (a = b) = c = d") == ((r"\sum_{i = 1} (a = b)", "= c = d"),)
    assert rows_of(r"m \leftarrow g") == (("m", r"\leftarrow g"),)
    assert rows_of("a") == (("", "a"),)


def test_a_sum_among_sizes_stands_in_parentheses() -> None:
    assert product_of([Formula("n", "n"), Formula("K + 1", "K + 1")]) == r"n {\times} (K + 1)"
    assert product_of([Formula("K + 1", "K + 1")]) == "K + 1"


def test_topics_keep_the_order_of_the_catalogue(shipped: Catalogue) -> None:
    topics = by_topic(views(shipped, list(shipped)))
    assert [t.name for t in topics] == list(dict.fromkeys(shipped.entry(i).topic for i in shipped))
    assert next(t for t in topics if t.name == "linear-algebra").title == "Linear algebra"


def test_an_objective_says_what_it_chooses(shipped: Catalogue) -> None:
    goal = views(shipped, ["gan_minimax_discrete"])[0].goal
    assert goal is not None
    assert goal.text == "min_{p_g} max_D V"
    assert goal.latex == r"\min_{p_g} \; \max_{D} \; V"


# --- templates ---------------------------------------------------------------------------------------


def test_templates_escape_what_is_not_ready() -> None:
    filters: dict[str, Any] = {"page": str, "anchor": str}
    values: dict[str, Any] = {"title": "<b>", "topics": [], "documents": []}
    assert rendering.render("index.md.j2", escape_html, filters, **values).startswith("# &lt;b&gt;")
    with pytest.raises(UndefinedError):
        rendering.render("index.md.j2", escape_html, filters, title="x")


# --- Markdown ----------------------------------------------------------------------------------------


def test_the_page_of_an_entry(softmax: EntryView) -> None:
    page = markdown.page(softmax)
    headings = re.findall(r"^## (.*)$", re.sub(r"```python\n.*?```", "", page, flags=re.S), re.M)
    assert headings == [
        "Symbols", "Derivatives", "Claims", "Evidence", "Code", "Notes", "In other libraries", "See also", "References",
        "Sources",
    ]  # fmt: skip
    assert f"\n\n$$\n{markdown_math(softmax.formula.latex)}\n$$\n\n" in page
    assert "\n| $p$ | probabilities, positive and adding up to 1 | $C$ | `p` | output | real |\n" in page
    assert "\n### Partial derivatives\n\nWith respect to $z$, of shape $C \\times C$:\n\n$$\n" in page
    assert "Given $\\bar{p}$ ($C$):\n\n$$\n\\bar{z} = " in page
    assert "def softmax_vjp(z, *, cotangent):" in page
    assert "[Scaled dot-product attention](scaled_dot_product_attention.md)" in page
    assert "- torch: `torch.nn.functional.softmax`\n" in page
    assert "\n\n\n" not in re.sub(r"```python\n.*?```", "code", page, flags=re.S)


def test_totals_of_cotangents_are_explained(shipped: Catalogue) -> None:
    momentum, covariance = views(shipped, ["momentum", "covariance"])
    whole = r"is the whole cotangent of $v_t$: $\bar{v}_t$ and what comes back through the values computed from it."
    assert whole in markdown.page(momentum)
    assert r"is the cotangent of $x$, while $\bar{x}$ is a step of the definition." in markdown.page(covariance)


def test_arguments_of_abstract_functions_belong_to_no_time(shipped: Catalogue) -> None:
    (sgd,) = views(shipped, ["sgd"])
    assert next(s.glyph.latex for s in sgd.symbols if s.name == "L") == r"\mathcal{L}(x, \theta)"


def test_names_in_html_keep_their_underscores(shipped: Catalogue) -> None:
    """Markdown reads nothing within a block of HTML, so that a backslash would show."""
    page = markdown.page(views(shipped, ["gru_candidate"])[0])
    assert "<summary>The way to the derivative by <code>W_xh</code></summary>" in page


def test_pages_say_what_a_plus_means(shipped: Catalogue) -> None:
    update, layer = (markdown.page(view) for view in views(shipped, ["reinforce", "linear_autoencoder_loss"]))
    assert "\n\nA plus marks the value of a state after the update.\n\n### Partial" in update
    assert "A plus marks" not in layer


def test_a_claim_that_is_known_to_be_false_is_called_false_once(shipped: Catalogue) -> None:
    found = Check("claims", "equation", "verified", 1, 30, note="false, as the catalogue says")
    for evidence in ({}, {"q_learning": Evidence("q_learning", (found,))}):
        page = markdown.page(views(shipped, ["q_learning"], evidence)[0])
        (said,) = re.findall(r"^\*\*equation\*\* \((.*?)\): ", page, re.M)
        assert said == ("false, as the catalogue says" if evidence else "not checked; the catalogue states it as false")


def test_the_evidence_of_a_page_has_its_numbers(softmax: EntryView) -> None:
    page = markdown.page(softmax)
    assert softmax.evidence is not None
    assert f"**{escape_markdown(softmax.evidence.summary())}**" in page
    for found in softmax.evidence.checks:
        (row,) = re.findall(rf"^\| {re.escape(escape_markdown(found.name))} \|(.*)$", page, re.M)
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[:3] == [found.verdict, str(found.points or ""), str(found.precision or "")]
        assert cells[3] == markdown.error(found.max_error)
        listed = [softmax.sizes[int(n) - 1] for n in cells[4].split(", ") if n]
        assert listed == [", ".join(f"{k}={v}" for k, v in sizes.items()) for sizes in found.sizes]
        assert found.note in cells[5]
    assert [markdown.error(size) for size in (None, 0.0, 2.34e-9)] == ["", "0", "2e-09"]
    assert re.search(r"^Sizes: \(1\) `C=3`; \(2\) `C=2`", page, re.M)


def test_displayed_formulas_stand_apart(pages: dict[str, str]) -> None:
    for page in pages.values():
        lines = page.split("\n")
        marks = [n for n, line in enumerate(lines) if line == "$$"]
        assert len(marks) % 2 == 0 and len(marks) >= 2
        for begin, end in zip(marks[::2], marks[1::2], strict=True):
            assert lines[begin - 1] == "" and lines[end + 1] == ""
            assert all(lines[begin + 1 : end])


def test_links_of_pages_lead_to_pages(shipped: Catalogue, pages: dict[str, str]) -> None:
    all_views = views(shipped, list(shipped))
    index, found = markdown.index(all_views), documents(shipped, all_views, {})
    sources = markdown.sources(found)
    titles = set(re.findall(r"\]\(#([\w-]+)\)", sources))
    assert titles == {markdown.anchor(title) for title in re.findall(r"^## (.*)$", sources, re.M)}
    assert "[Sources](sources.md)" in markdown.index(all_views, found) and "sources.md" not in index
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", sources)) <= {markdown.page_name(i) for i in shipped}
    assert len(re.findall(r"^- `", sources, re.M)) == 204
    names = {markdown.page_name(i) for i in shipped}
    assert names == set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    anchors = [title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", index, re.M)]
    assert anchors == re.findall(r"\]\(#([\w-]+)\)", index)
    for entry_id, page in pages.items():
        assert set(re.findall(r"\]\(([\w-]+\.md)\)", page)) <= names
        assert set(re.findall(r"\(sources\.md#([\w-]+)\)", page)) <= titles
        assert re.findall(r"\]\(\.\./code/([\w-]+\.py)\)", page) == [code.module_name(entry_id)]
        (fragment,) = re.findall(r"\(index\.md#([\w-]+)\)", page)
        assert fragment in anchors


def test_code_cannot_close_its_fence() -> None:
    assert markdown.code_block("x = '````'\n") == "`````python\nx = '````'\n`````"
    assert markdown.code_span("a`b") == "``a`b``"
    assert markdown.code_span("`") == "`` ` ``"


# --- hostile text ------------------------------------------------------------------------------------


def outside_code(text: str) -> Iterator[str]:
    """Lines of Markdown that are neither code nor formulas."""
    text = re.sub(r"^(`{3,})python\n.*?^\1$", "", text, flags=re.M | re.S)
    for line in text.splitlines():
        yield re.sub(r"(`+)[^`]+?\1", "", line)


def test_hostile_text_stays_text_on_pages(hostile_views: tuple[EntryView, ...]) -> None:
    pages = [markdown.page(v) for v in hostile_views]
    evidence = {v.id: v.evidence for v in hostile_views if v.evidence is not None}
    found = documents(hostile_views[0].catalogue, hostile_views, evidence)
    sources = markdown.sources(found)
    assert "*Error*: " in sources and escape_markdown(SECOND[:299]) in sources and "no equation yet" in sources
    assert "](#" in sources and "\n  Counter-example: `x = [" in sources
    for page in [*pages, sources, markdown.index(hostile_views, found)]:
        for line in outside_code(page):
            plain = re.sub(r"\\[!-/:-@\[-`{-~]", "", line)
            assert "<script" not in plain and "javascript:" not in re.sub(r"javascript:alert", "", plain)
            assert "49" not in plain
            assert not re.search(r"(?<!\\)\|", line) or line.startswith("| ")
            assert not re.search(r"\{\{|\{%|<<|<%", plain)
            assert not re.match(r"(# not|- not|    not code|1\. no|> no|=====)", line)
    assert all(escape_markdown(TEXT) in page for page in pages)
    headings = [line for line in pages[0].splitlines() if line.startswith("#")]
    assert headings[0] == f"# {escape_markdown(LINE)}"


def test_tables_keep_their_columns(hostile_views: tuple[EntryView, ...]) -> None:
    for view in hostile_views:
        rows = [line for line in markdown.page(view).splitlines() if line.startswith("|")]
        widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
        symbols, checks = 2 + len(view.symbols), len(view.questions) + sum(len(q.checks) for q in view.questions)
        compared = [v.comparison for v in view.variants if v.comparison is not None]
        assert len(compared) == len(view.variants) == 1
        rows_of_variants = sum(2 + len(comparison.rows) for comparison in compared)
        assert widths == [7] * symbols + [4] * rows_of_variants + [8] * (2 + checks)


def test_hostile_addresses_cannot_leave_their_link(hostile_views: tuple[EntryView, ...]) -> None:
    page = markdown.page(hostile_views[0])
    assert "](<https://example.org/a%28b%29%5Bc%5D%24d%7E#e&f_g>)" in page


def test_hostile_text_stays_text_in_modules(hostile_views: tuple[EntryView, ...], tmp_path: Path) -> None:
    for view in hostile_views:
        source = code.module(view)
        tree = ast.parse(source)
        documented = [
            ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, (ast.Module, ast.FunctionDef))
        ]
        assert any("{{7*7}}" in text for text in documented)
        module = load(source, view.id, tmp_path)
        value = module.hostile(np.array([0.5, 1.0])) if view.id == "hostile" else module.index(3.0)
        expected = np.sin([0.5, 1.0]).sum() if view.id == "hostile" else 9.0
        assert value == pytest.approx(expected)


def test_hostile_text_is_whole_in_the_export(hostile_views: tuple[EntryView, ...]) -> None:
    entry = json.loads(export.export(hostile_views))["entries"][0]
    assert entry["about"].split() == TEXT.split()
    assert entry["notes"][1] == LINE
    assert entry["references"][0]["title"] == LINE


def test_the_index_keeps_its_name() -> None:
    assert markdown.page_name("softmax") == "softmax.md"
    assert markdown.page_name("index") != "index.md"
    assert markdown.page_name("sources") != "sources.md"


def test_pieces_are_hostile() -> None:
    """The catalogue of these tests would not be worth much if its text were mended on the way in."""
    assert all(piece in LINE or piece in TEXT for piece in PIECES[:12])


# --- modules and the export --------------------------------------------------------------------------


def load(source: str, name: str, folder: Path) -> Any:
    path = folder / code.module_name(name)
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"made_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("entry_id", list(agreement.shipped()))
def test_every_module_can_be_imported_by_itself(shipped: Catalogue, entry_id: str, tmp_path: Path) -> None:
    view = views(shipped, [entry_id])[0]
    source = code.module(view)
    imported = {a.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import) for a in n.names}
    assert imported <= {"numpy", *sys.stdlib_module_names}
    module = load(source, entry_id, tmp_path)
    assert callable(getattr(module, entry_id))
    assert hasattr(module, f"{entry_id}_vjp") == bool(view.equation.differentiable)


def test_the_export_holds_derivatives_and_evidence(softmax: EntryView) -> None:
    (entry,) = json.loads(export.export([softmax]))["entries"]
    assert [(d["form"], d["wrt"]) for d in entry["derivatives"]] == [("partial", ["z"]), ("vjp", ["z"])]
    assert entry["evidence"]["verdict"] == "verified"
    assert entry["symbols"][0]["shape"] == ["C"]


def test_the_golden_page(tmp_path: Path) -> None:
    """The form of a page; generated code, which others test, is left out."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL, sort_keys=False), encoding="utf-8")
    page = markdown.page(views(load_catalogue(path), list(SMALL))[list(SMALL).index("square")])
    shown = re.sub(r"```python\n.*?```", "```python\n```", page, flags=re.S)
    assert shown == (GOLDEN / "page_square.md").read_text(encoding="utf-8")
