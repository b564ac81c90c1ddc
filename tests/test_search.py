"""Searching: what people type, and the entry that they mean, in the shipped catalogue and in an invented one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kb
import kb.cli
from kb.model import Entry, NamedClaim, Reference, Symbol
from kb.search import partly, search
from kb.search.words import camel_words, distance, errors_allowed, stem, symbol_key, words_of

SHIPPED = kb.load_catalogue()
ENTRIES = [SHIPPED.entry(entry_id) for entry_id in SHIPPED]

# What is typed, and the first entry found. Where several are as good, any of them.
FIRST = {
    # names, ids, aliases, in any spelling
    "softmax": "softmax",
    "Softmax": "softmax",
    "soft max": "softmax",
    "softargmax": "softmax",
    "attention": "scaled_dot_product_attention",
    "scaled dot product": "scaled_dot_product_attention",
    "multihead attention": "multi_head_attention",
    "LSTM cell": "lstm_cell",
    "batchnorm": "batch_norm",
    "batch normalization": "batch_norm",
    "batch normalisation": "batch_norm",
    "max pooling": "max_pool2d",
    "pooled": "max_pool2d",
    "gradient of the cross-entropy": "softmax_cross_entropy_gradient",
    "jacobian softmax": "softmax_jacobian",
    "value iteration": "bellman_optimality_v",
    "bellman optimality": "bellman_optimality_v",
    "gaussian pdf": "normal_pdf",
    "KL": "kl_divergence",
    "kl div": "kl_divergence",
    # topics, tags, kinds
    "adaptive optimizer": "adam",
    # symbols
    "β₁": "adam",
    r"\beta_1": "adam",
    r"\beta_{1}": "adam",
    "beta_1": "adam",
    "adam ε": "adam",
    r"adaptive \varepsilon momentum": "adam",
    "m̂": "adam",
    r"\hat m": "adam",
    r"\tilde{c}": "lstm_cell_candidate lstm_cell_state lstm_cell",
    "d_k": "scaled_dot_product_attention attention_head multi_head_attention",
    # functions of frameworks
    "torch.nn.functional.softmax": "softmax",
    "F.softmax": "softmax",
    "nn.Linear": "linear",
    "tf.nn.relu": "relu",
    "jax.nn.softplus": "softplus",
    "keras.activations.softplus": "softplus",
    "BCELoss": "binary_cross_entropy",
    "nn.BCELoss": "binary_cross_entropy",
    "MSELoss": "mean_squared_error",
    "KLDivLoss": "kl_divergence",
    "BatchNorm2d": "batch_norm",
    "MaxPool2d": "max_pool2d",
    "CrossEntropyLoss": "cross_entropy_with_logits",
    "torch.optim.Adam": "adam",
    "ReLU": "relu",
    # references
    "kingma 2014 optimizer": "adam",
    "Vaswani et al. 2017 positional": "positional_encoding",
    "belisle": "softplus",
    "Bélisle": "softplus",
    "1412.6980": "adam",
    "arXiv:1412.6980": "adam",
    # text
    "covariance of values and keys": "scaled_dot_product_attention",
    # typing errors
    "sofmax": "softmax",
    "sfotmax": "softmax",
    "atention": "scaled_dot_product_attention",
    "multi head atention": "multi_head_attention",
    "lienar": "linear",
    "adm": "adam",
    "positional encodign": "positional_encoding",
    "gausian pdf": "normal_pdf",
    "kulback leibler": "kl_divergence",
    "F.sofmax": "softmax",
    "covariannce keys": "scaled_dot_product_attention",
}


@pytest.mark.parametrize(("query", "expected"), FIRST.items(), ids=list(FIRST))
def test_the_first_hit_is_what_is_meant(query: str, expected: str) -> None:
    found = [entry.id for _, entry in search(ENTRIES, query.split(" "))]
    assert found and found[0] in expected.split()
    assert [entry.id for _, entry in search(ENTRIES, [query])] == found


@pytest.mark.parametrize(
    "queries",
    [
        ("cross entropy", "cross-entropy", "cross_entropy", "Cross Entropies", "CROSS-ENTROPY"),
        ("normalise", "normalize", "normalised", "normalizing"),
        ("loss", "losses"),
        ("optimiser", "optimizers", "Optimizer"),
        ("σ", r"\sigma", r"$\sigma$"),
        (r"\sigma^2", r"$\sigma^2$"),
        ("ŷ", "y\u0302", r"\hat{y}", r"\hat y"),
        ("ε", r"\varepsilon", r"\epsilon", "ϵ"),
    ],
)
def test_spellings_find_the_same(queries: tuple[str, ...]) -> None:
    first, *others = [[entry.id for _, entry in search(ENTRIES, [query])] for query in queries]
    assert first
    assert all(found == first for found in others)


# --- an invented catalogue ------------------------------------------------------------------------

INVENTED = [
    Entry("glow_rate", "Glow rate", about="How fast embers fade; see the ember sum.", tags=("fire",)),
    Entry(
        "ember",
        "Ember",
        topic="combustion",
        aliases=("glowing_coal",),
        symbols=(Symbol("lam", about="colour temperature"), Symbol("zeta_3_bar", shape=("n_hot",))),
        frameworks=(("pyro", "pyro.heat.ember_sum"),),
        references=(Reference("On Embers", ("Ada M. Ash", "Zoë Flint"), 1987, arxiv="9901.00001", doi="10.1/Ember"),),
    ),
    Entry("ember_sum", "Sum of embers", about="Adds up.", claims=(NamedClaim("never_cold", "s > 0", "stays warm"),)),
    Entry("quench", "Quenching", topic="cooling", tags=("water",), notes=("Centre of the colour of embers.",)),
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ember", "ember ember_sum glow_rate quench"),  # the whole name, a word of a name, the text
        ("embers", "ember ember_sum glow_rate quench"),
        ("emb", "ember ember_sum"),  # with beginnings of names no beginnings of words of a text
        ("glow", "glow_rate ember"),
        ("coal", "ember"),
        ("emebr", "ember ember_sum"),
        ("ember sum", "ember_sum ember glow_rate"),
        ("embersum", "ember_sum ember"),
        ("sum ember", "ember_sum ember glow_rate"),
        ("pyro.heat.ember_sum", "ember ember_sum glow_rate"),
        ("heat.EmberSum", "ember ember_sum glow_rate"),
        ("EmberSumLoss", "ember"),
        ("λ", "ember"),
        (r"\lambda", "ember"),
        ("lambda", "ember"),
        (r"\bar{\zeta}_3", "ember"),
        ("ζ̄₃", "ember"),
        ("zeta", "ember"),
        ("n_hot", "ember"),
        ("ash 1987", "ember"),
        ("ash 1999", ""),
        ("flint zoe", "ember"),
        ("Flint Zoë", "ember"),
        ("10.1/ember", "ember"),
        ("color", "ember quench"),
        ("center", "quench"),
        ("quenched", "quench"),
        ("combustion", "ember"),
        ("combustoin", "ember"),
        ("never cold", "ember_sum"),
        ("water quench", "quench"),
        ("fire water", ""),
        ("m", ""),
        ("", ""),
        ("---", ""),
        ("the", ""),
        ("of the embers", "ember ember_sum glow_rate quench"),
    ],
)
def test_an_invented_catalogue(query: str, expected: str) -> None:
    assert " ".join(entry.id for _, entry in search(INVENTED, [query])) == expected


def test_equally_good_entries_keep_their_order() -> None:
    entries = [Entry(f"same_{n}", "Same") for n in (3, 1, 2)]
    assert [entry.id for _, entry in search(entries, ["same"])] == ["same_3", "same_1", "same_2"]
    assert [entry.id for _, entry in search(entries[::-1], ["same"])] == ["same_2", "same_1", "same_3"]


def test_a_misspelt_word_finds_only_what_is_nearest() -> None:
    entries = [Entry("convolution", "Convolution"), Entry("revolution", "Revolution"), Entry("evolution", "Evolution")]
    assert [entry.id for _, entry in search(entries, ["convolutoin"])] == ["convolution"]


def test_scores_fall() -> None:
    scores = [score for score, _ in search(ENTRIES, ["attention"])]
    assert scores == sorted(scores, reverse=True) and scores[-1] > 0


# --- words ----------------------------------------------------------------------------------------


def test_forms_of_a_word_have_one_stem() -> None:
    for forms in (
        "normalise normalize normalises normalized normalising normalization normalisations normalizer",
        "colour color colours colors coloured",
        "centre center centres",
        "entropy entropies",
        "class classes",
        "pool pools pooled pooling",
        "scale scales scaled scaling",
        "embed embedding embeddings",
        "modelling modeling model models",
        "analyse analyze analysed",
        "convolution convolutions convolutional",
    ):
        assert len({stem(word) for word in forms.split()}) == 1, forms
    for different in ("norm normal", "linear line", "bias bi", "loss lo"):
        assert len({stem(word) for word in different.split()}) == 2, different


def test_symbols_have_one_key() -> None:
    for spellings in (
        ("yhat", "y_hat", "ŷ", r"\hat{y}", r"\hat y", r"\mathbf{\hat{y}}", r"$\hat{y}$"),
        ("beta_1", "beta1", "β₁", "β_1", r"\beta_1", r"\beta_{1}"),
        ("W_xi_bar", r"\bar{W}_{xi}"),
        ("eps", "epsilon", "ε", "ϵ", r"\varepsilon"),
        ("lam", "λ", r"\lambda"),
        ("L", r"\mathcal{L}", "ℒ"),
        ("sigma2", "σ²", r"\sigma^2"),
    ):
        assert len({symbol_key(spelling) for spelling in spellings}) == 1, spellings
    assert symbol_key("Σ") != symbol_key("σ")
    assert words_of("Bézier-curve_of β-VAE") == ("bezier", "curve", "of", "beta", "vae")
    assert camel_words("MaxPool2d BCELoss") == ("max", "pool2d", "bce", "loss")


def _slow_distance(a: str, b: str) -> int:
    """Optimal string alignment by its definition."""
    if not a or not b:
        return len(a) + len(b)
    options = [
        _slow_distance(a[:-1], b) + 1,
        _slow_distance(a, b[:-1]) + 1,
        _slow_distance(a[:-1], b[:-1]) + (a[-1] != b[-1]),
    ]
    if len(a) > 1 and len(b) > 1 and a[-2:] == b[-1] + b[-2]:
        options.append(_slow_distance(a[:-2], b[:-2]) + 1)
    return min(options)


@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(0, 3))
def test_the_distance_counts_errors(a: str, b: str, limit: int) -> None:
    assert distance(a, b, limit) == min(_slow_distance(a, b), limit + 1)


def test_short_words_allow_fewer_errors() -> None:
    assert [errors_allowed(word) for word in ("ab", "abc", "abcde", "abcdef", "2014")] == [0, 1, 1, 2, 0]


@given(st.lists(st.text(max_size=20), max_size=4))
def test_no_query_breaks_the_search(words: list[str]) -> None:
    found = search(INVENTED, words)
    assert len({entry.id for _, entry in found}) == len(found)


# --- the command ----------------------------------------------------------------------------------


def test_nothing_found_names_what_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert kb.cli.main(["search", "softmax", "xyzzy"]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "softmax" in err and len(err.splitlines()) == 1
    assert kb.cli.main(["search", "\\", "{}"]) == 3
    assert "eqkb list" in capsys.readouterr().err
    assert kb.cli.main(["search", "xyzzy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_partly_puts_the_entry_with_most_of_the_words_first() -> None:
    assert partly(INVENTED, ["fire", "glow", "nothing"])[0] == "glow_rate"
    assert partly(INVENTED, ["nothing"]) == []
