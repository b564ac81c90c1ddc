"""The search of the website, run as the browser runs it, finds what ``eqkb search`` finds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_search import ENTRIES, FIRST, INVENTED, SHIPPED

from generators.parts import Formula
from generators.site.search_index import features_of, index_of, search_index
from generators.views import views
from kb.model import Entry
from kb.search import partly, search
from kb.search.words import distance, stem, symbol_key, words_of

py_mini_racer = pytest.importorskip("py_mini_racer")

STATIC = Path(__file__).parent.parent / "site" / "static"


class Page:
    """The scripts of the search in a JavaScript engine, with the index of a catalogue."""

    def __init__(self, index: str) -> None:
        self.context = py_mini_racer.MiniRacer()
        for name in ("search-words.js", "search-lists.js", "search-engine.js"):
            self.context.eval((STATIC / name).read_text())
        self.context.eval(index)
        self.context.eval("const index = eqkb.engine.prepare(eqkb.searchIndex)")

    def call(self, function: str, arguments: Sequence[Any]) -> list[Any]:
        """A function of one argument, applied to each of many."""
        return json.loads(self.context.eval(f"JSON.stringify({json.dumps(arguments)}.map({function}))"))

    def ids(self, queries: Sequence[str], typing: bool = False) -> list[list[str]]:
        """What queries find."""
        options = "{typing: true}" if typing else "{}"
        return self.call(f"q => eqkb.engine.search(index, q, {options}).hits.map(hit => hit.entry.id)", queries)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    made = Page(search_index(views(SHIPPED, list(SHIPPED)), {}))
    yield made
    made.context.close()  # one that is not closed keeps Python from ending


@pytest.fixture(scope="module")
def invented() -> Iterator[Page]:
    made = Page("eqkb.searchIndex = " + json.dumps(index_of([_view(entry) for entry in INVENTED], {})))
    yield made
    made.context.close()


def _view(entry: Entry) -> Any:
    """As much of a view as the index needs, of an entry that is no equation."""
    shown = Formula("", "")
    return SimpleNamespace(entry=entry, id=entry.id, verdict="unknown", formula=shown, read=lambda text: shown)


def in_python(queries: Sequence[str]) -> list[list[str]]:
    return [[entry.id for _, entry in search(ENTRIES, [query])] for query in queries]


def misspelt(name: str) -> list[str]:
    """A name with a letter missing, and with two of them swapped."""
    at = len(name) // 2
    return [name[:at] + name[at + 1 :], name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :]]


QUERIES = {
    "those of the other tests": list(FIRST),
    "ids": [entry.id for entry in ENTRIES],
    "names": [entry.name for entry in ENTRIES],
    "aliases": [alias for entry in ENTRIES for alias in entry.aliases],
    "functions": [path for entry in ENTRIES for _, path in entry.frameworks],
    "functions in short": [".".join(path.split(".")[-2:]) for entry in ENTRIES for _, path in entry.frameworks],
    "tags": sorted({tag for entry in ENTRIES for tag in entry.tags}),
    "symbols": sorted({symbol.name for entry in ENTRIES for symbol in entry.symbols}),
    "typing errors": [wrong for entry in ENTRIES[::4] for wrong in misspelt(entry.name)],
    "beginnings": [entry.name[:length] for entry in ENTRIES[::4] for length in (2, 4, 6)],
    "text": [" ".join(entry.about.split()[3:6]) for entry in ENTRIES[::4]],
    "papers": [f"{r.authors[0].split()[-1]} {r.year}" for e in ENTRIES[::3] for r in e.references if r.authors],
    "TeX": [r"\hat{y}", r"\hat m", "beta_1", "d_k", r"\bar{W}_{xi}", r"$\sigma$", r"\mathcal{L}", "ŷ", "β₁", r"\bet"],
    "odd": ["", " ", "---", "the", "\\", "{}", "$", ".", "a.", "...", "F.", "é", "β-VAE", "ß", "x" * 50, "a b c d e f"],
}


FEW = 50


@pytest.mark.parametrize("kind", QUERIES)
def test_whole_words_find_the_same_in_the_same_order(page: Page, kind: str) -> None:
    queries = list(dict.fromkeys(QUERIES[kind]))
    compare(page, queries[:: 1 + len(queries) // FEW])


@pytest.mark.slow
def test_every_query_finds_the_same(page: Page) -> None:
    compare(page, [query for queries in QUERIES.values() for query in dict.fromkeys(queries)])


def compare(page: Page, queries: Sequence[str]) -> None:
    """Whole words find the same in the same order; while one is being typed, at least the same first."""
    expected = in_python(queries)
    assert any(expected)
    assert dict(zip(queries, page.ids(queries), strict=True)) == dict(zip(queries, expected, strict=True))
    for query, typed, found in zip(queries, page.ids(queries, typing=True), expected, strict=True):
        assert not found or typed[0] == found[0], query


@given(st.lists(st.sampled_from("ember glow sum of λ zeta_3_bar pyro.heat EmberSumLoss 1987 emebr glwo x".split())))
@settings(max_examples=30)
def test_words_in_any_combination_find_the_same(invented: Page, words: list[str]) -> None:
    query = " ".join(words)
    assert invented.ids([query]) == [[entry.id for _, entry in search(INVENTED, [query])]]
    [near] = invented.call("q => eqkb.engine.partly(index, q).map(entry => entry.id)", [query])
    assert near == partly(INVENTED, [query])


@given(st.text(max_size=20))
@settings(max_examples=50)
def test_no_query_breaks_it(invented: Page, query: str) -> None:
    for typing in (False, True):
        [found] = invented.ids([query.encode(errors="ignore").decode()], typing)
        assert len(set(found)) == len(found)


# --- what only the page does ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (r"\frac{QK^T}{\sqrt{d_k}}", "scaled_dot_product_attention"),
        (r"\dfrac{Q K^{\top}}{\sqrt{d_{k}}}", "scaled_dot_product_attention"),
        (r"\frac{1}{1+e^{-z}}", "sigmoid"),
        (r"\frac{1}{1+e^{-x}}", "sigmoid"),  # the same in other letters
        ("1/(1 + exp(-z))", "sigmoid"),
        ("1/(1+exp(-x))", "sigmoid"),
        (r"\sqrt{d_k}", "scaled_dot_product_attention attention_head"),
        (r"p_j(\delta_{jk} - p_k)", "softmax softmax_jacobian"),
        (r"\frac{\hat{m}_t", "adam adamw nadam"),
        (r"\sigma(x)(1-\sigma(x))", "sigmoid_derivative"),
        ("max(0, x)", "relu"),
        ("∇", "reinforce nesterov_momentum_ema minibatch_gradient_descent"),
        ("softmax(QK^T/sqrt(d_k))V", "scaled_dot_product_attention attention_head"),  # that is written in steps
    ],
)
def test_a_fragment_of_a_formula_is_found(page: Page, query: str, expected: str) -> None:
    [found] = page.ids([query])
    assert found and found[0] in expected.split()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("torch.nn.functional.sof", "softmax softplus softsign log_softmax"),
        ("torch.opt", "adam sgd momentum"),
        ("1412.69", "adam"),
        ("positonal enc", "positional_encoding"),
        ("attnetio", "scaled_dot_product_attention"),
        ("soft m", "softmax"),
        (r"\hat{y", "linear_regression mean_squared_error binary_cross_entropy"),
        ("nn.", "softmax relu"),
        ("tf.keras.opt", "adam sgd gradient_descent"),
    ],
)
def test_what_is_being_typed_is_found_by_its_beginning(page: Page, query: str, expected: str) -> None:
    [found] = page.ids([query], typing=True)
    assert set(found[:8]).intersection(expected.split())


def test_what_is_found_says_which_words_matched(page: Page) -> None:
    marked = page.call(
        "q => eqkb.engine.search(index, q, {typing: true}).terms", ["batchnorm", "sofmax", "the softmax"]
    )
    assert marked == [["batchnorm"], ["softmax"], ["softmax"]]


# --- words ------------------------------------------------------------------------------------------


def test_words_and_symbols_have_the_same_form(page: Page) -> None:
    words = sorted({word for entry in ENTRIES for word in words_of(f"{entry.about} {' '.join(entry.notes)}")})
    assert page.call("word => eqkb.words.stem(word)", words) == [stem(word) for word in words]
    names = [text for entry in ENTRIES for s in entry.symbols for text in (s.name, s.glyph) if text]
    keys = page.call("name => Object.values(eqkb.words.symbolKey(name))", names)
    assert keys == [list(symbol_key(name)) for name in names]


@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(0, 3))
@settings(max_examples=50)
def test_the_distance_is_the_same(invented: Page, a: str, b: str, limit: int) -> None:
    [found] = invented.call("([a, b, limit]) => eqkb.words.distance(a, b, limit)", [[a, b, limit]])
    assert found == distance(a, b, limit)


def test_the_distance_to_a_beginning(invented: Page) -> None:
    rows = [["atten", "attention", 2], ["atetn", "attention", 2], ["tion", "attention", 2]]
    assert invented.call("([a, b, limit]) => eqkb.words.distance(a, b, limit, true)", rows) == [0, 1, 3]


# --- the index --------------------------------------------------------------------------------------


def test_the_index_is_a_script_that_no_text_can_end() -> None:
    entry = Entry("a", "</script><b>", about="\u2028", aliases=("<!--",), frameworks=(("x", "y.<z>"),))
    data = index_of([_view(entry)], {"plot": ["a"], "derivative": []})
    assert data["entries"][0]["name"] == "</script><b>" and data["entries"][0]["features"] == [0]
    text = search_index([_view(entry)], {})
    assert "<" not in text and "\u2028" not in text
    assert json.loads(text.removeprefix("eqkb.searchIndex=").removesuffix(";\n"))["entries"][0]["name"] == entry.name


def test_derivatives_and_identities_show_what_they_claim() -> None:
    data = index_of(views(SHIPPED, ["softmax", "softmax_jacobian", "svd"]), {})
    shown = [entry["formulas"][entry["shown"]] for entry in data["entries"]]
    assert shown == ["pⱼ = exp(zⱼ) / Σₖ exp(zₖ)", "∂ŷⱼ/∂zₖ = ŷⱼ·(δⱼₖ − ŷₖ)", "A = U diag(σ) Vᵀ"]


def test_filters_know_what_entries_have() -> None:
    entries = views(SHIPPED, ["linear", "prelu", "quadratic_cost", "conv_output_size"])
    found = features_of(entries)
    assert list(found) == ["plot", "derivative", "variant", "corrected source"]
    assert all(0 < len(ids) < len(entries) for ids in found.values())
    assert json.loads(search_index(entries).partition("=")[2].rstrip(";\n"))["features"] == list(found)


def test_the_index_lists_every_entry_with_what_filters_need() -> None:
    data = index_of(views(SHIPPED, list(SHIPPED)), {})
    assert [entry["id"] for entry in data["entries"]] == list(SHIPPED)
    for shown, entry in zip(data["entries"], ENTRIES, strict=True):
        assert data["topics"][shown["topic"]][0] == entry.topic and data["kinds"][shown["kind"]] == entry.kind
        assert data["verdicts"][shown["verdict"]] == "not checked"
