"""What notebooks show of catalogues, equations, derivatives and evidence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import agreement
import hostile
import pytest
import yaml
from markdown_it import MarkdownIt
from test_markdown import formulas_in

import kb
from kb.catalogue import Catalogue
from kb.evidence import Check, Evidence
from kb.printing.mime import bold_both, escape_both

HTML, LATEX, MARKDOWN, PLAIN = "text/html", "text/latex", "text/markdown", "text/plain"


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


@pytest.fixture(scope="module")
def harmful(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("harmful") / "harmful.yaml"
    path.write_text(yaml.safe_dump(hostile.catalogue(), allow_unicode=True), encoding="utf-8")
    return kb.load_catalogue(path)


def shown(value: Any, **wanted: Any) -> dict[str, str]:
    made: dict[str, str] = value._repr_mimebundle_(**wanted)
    return made


# --- which formats ----------------------------------------------------------------------------------


def test_formulas_are_never_left_to_html(shipped: Catalogue) -> None:
    softmax = shipped["softmax"]
    for value in (softmax, softmax.vjp(), softmax.derivation("z", 1)):
        assert set(shown(value)) == {LATEX, MARKDOWN, PLAIN}
    assert set(shown(shipped.search("softmax"))) == {MARKDOWN, PLAIN}
    assert set(shown(Evidence("x", ()))) == {HTML, LATEX, MARKDOWN, PLAIN}


def test_only_what_is_wanted_is_made(shipped: Catalogue) -> None:
    softmax = shipped["softmax"]
    everything = shown(softmax)
    assert shown(softmax, include=[LATEX, "image/png"]) == {LATEX: everything[LATEX]}
    assert shown(softmax, exclude={LATEX, PLAIN}) == {MARKDOWN: everything[MARKDOWN]}
    assert shown(softmax, include={LATEX, PLAIN}, exclude={PLAIN}) == {LATEX: everything[LATEX]}
    assert shown(softmax, include=None, exclude=None) == shown(softmax, include=set(), exclude=()) == everything


def test_showing_changes_no_repr(shipped: Catalogue) -> None:
    assert repr(shipped) == f"<Catalogue of {len(shipped)} equations>"
    assert repr(shipped["softmax"]).startswith("Equation(entry=Entry(id='softmax'")


def test_importing_kb_loads_nothing_for_notebooks() -> None:
    code = "import sys, kb; kb.load_catalogue(); print({'kb.display', 'kb.printing', 'sympy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_what_cannot_be_shown_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "bad:\n  name: Bad\n  topic: t\n  about: No such name.\n"
        "  symbols: {x: {}, y: {role: output}}\n  define: y = x + q\n"
    )
    found = kb.load_catalogue(path)
    assert set(shown(found["bad"])) == {PLAIN}
    assert "bad.yaml:6:" in shown(found["bad"])[PLAIN] and "'q'" in shown(found["bad"])[PLAIN]
    assert "| `bad` | Bad | not well formed; `kb.validate` says why |" in shown(found)[MARKDOWN]


# --- what is shown ----------------------------------------------------------------------------------


def test_an_equation_shows_its_formula_and_what_symbols_mean(shipped: Catalogue) -> None:
    adam = shown(shipped["adam"])
    assert adam[MARKDOWN].startswith("**Adam**. Follows a running average")
    assert r"\theta_t &= \theta _{t-1} - \frac" in adam[MARKDOWN]
    assert "\n- $\\beta_1$: decay of the average of the gradients (between 0 and 1, by default 0.9)" in adam[MARKDOWN]
    assert "\n- $\\theta_t$: parameters ($P$)\n" in adam[MARKDOWN]
    assert f"$$\n{shipped['adam'].latex()}\n$$" in adam[LATEX]
    assert "  θ_t : [P]  parameters\n" in adam[PLAIN]


def test_an_entry_about_a_derivative_shows_it(shipped: Catalogue) -> None:
    about = shipped["softmax_jacobian"]
    claim = about.formula_latex(about.entry.claims[0].text)
    assert claim in shown(about)[LATEX] and r"\frac{\partial" in claim
    assert r"\frac{\partial" in shown(shipped.search("softmax_jacobian"))[MARKDOWN]


def test_an_objective_says_what_is_chosen(shipped: Catalogue) -> None:
    found = next(e for e in shipped.values() if e.entry.objective is not None and e.entry.objective.minimize)
    assert "Minimize over $" in shown(found)[MARKDOWN]
    assert "minimize over " in shown(found)[PLAIN]


def test_a_derivative_shows_shapes_and_steps(shipped: Catalogue) -> None:
    found = shown(shipped["scaled_dot_product_attention"].vjp("Q"))
    assert found[MARKDOWN].startswith("Backward pass of **Scaled dot-product attention** to $Q$\n\n$$\n")
    assert "where\n\n$$\n\\begin{aligned}\nS &= " in found[MARKDOWN]
    assert "Shapes: $Q$: $[n, d_k]$; cotangent $\\bar{O}$: $[n, d_v]$" in found[MARKDOWN]
    assert found[PLAIN].startswith("Backward pass of Scaled dot-product attention to Q\nQ : [n, d_k]")
    assert "Evidence" not in found[MARKDOWN]


def test_a_derivative_shows_the_verdict_once_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    square = kb.parse("y = x**2", "x")
    assert "verified" not in shown(square.derivative("x"))[PLAIN]
    summary = square.check().summary()
    assert summary.startswith("verified")
    for text in shown(square.derivative("x")).values():
        assert summary in text


@pytest.mark.parametrize("form", "derivative jacobian hessian vjp jvp".split())
def test_every_form_of_a_derivative_is_shown(shipped: Catalogue, form: str) -> None:
    derivative = getattr(shipped["sigmoid"], form)("z")
    assert derivative.latex() in shown(derivative)[LATEX]


REFUTED = Evidence(
    "slope",
    (
        Check("derivatives", "a < b", "verified", 64, 30, max_error=2e-31, order=2.0),
        Check("claims", "wrong", "refuted", 1, 30, max_error=0.5, counterexample={"values": {"x": 2.0}, "found": "4"}),
        Check("code", "function", "verified", 3, 16, max_error=0.0),
    ),
)


def test_evidence_is_a_table() -> None:
    found = shown(REFUTED)
    assert "| a &lt; b | verified | 64 | 30 | 2e-31 | 2.0 |" in found[MARKDOWN].replace("\\", "")
    assert "counter-example: x = 2: 4" in found[MARKDOWN].replace("\\", "")
    assert found[HTML].count("<tr>") == 7 and "<strong>slope</strong>: refuted" in found[HTML]
    assert found[PLAIN] == REFUTED.text()
    assert r"a \textless{} b & verified & 64" in found[LATEX]
    cells = [row.count("<td") for row in found[HTML].splitlines() if "<td" in row]
    assert cells == [7, 7, 7]


# --- catalogues -------------------------------------------------------------------------------------


def rows_of(text: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` ", text, re.M)


def test_a_long_catalogue_shows_some_entries_of_each_topic(shipped: Catalogue) -> None:
    found = shown(shipped)
    ids = rows_of(found[MARKDOWN])
    topics = {shipped.entry(i).topic for i in ids}
    assert topics == {shipped.entry(i).topic for i in shipped}
    assert len(ids) == 24 and ids == [i for i in shipped if i in ids]
    assert f"**{len(shipped)} equations**: activations " in found[MARKDOWN]
    assert f"and {len(shipped) - 24} more" in found[MARKDOWN] and found[PLAIN].endswith(f"and {len(shipped) - 24} more")


def test_a_long_formula_is_cut_in_a_table(shipped: Catalogue) -> None:
    (row,) = re.findall(r"^\| `adam` .*$", shown(shipped.search("adam"))[MARKDOWN], re.M)
    assert row.count(r"\\ ") == 3 and r"&\vdots \end{aligned}$ |" in row


def test_what_is_found_is_a_catalogue(shipped: Catalogue) -> None:
    found = shipped.search("softmx")
    assert next(iter(found)) == "softmax" and found["softmax"] is shipped["softmax"]
    assert rows_of(shown(found)[MARKDOWN]) == list(found)
    assert "more" not in shown(found)[PLAIN]
    nothing = shipped.search("qqqqqqqqq")
    assert len(nothing) == 0 and shown(nothing) == {MARKDOWN: "**0 equations**", PLAIN: "0 equations"}


# --- harmless everywhere ----------------------------------------------------------------------------


def test_text_that_means_something_to_tex_or_markdown() -> None:
    assert escape_both(r"a_b $5 & 10% #1 {x}") == r"a\_b \$5 \& 10\% \#1 \{x\}"
    assert escape_both("a<b [x](y) ~^") == r"a $<$ b $\lbrack$ x $\rbrack$ (y) $\sim \wedge$"
    assert bold_both("1. a_b > c") == r"$\textbf{1. a\_b } > \textbf{ c}$"
    assert bold_both("") == ""


def _tokens(text: str) -> set[str]:
    """What Markdown makes of a text, formulas aside."""
    plain = re.sub(r"\$\$\n.*?\n\$\$|(?<!\\)\$(?:\\.|[^$\\\n])+\$", "formula", text, flags=re.S)
    tokens = MarkdownIt("commonmark").enable("table").parse(plain)
    return {t.type for token in tokens for t in (token, *(token.children or ()))}


@pytest.mark.parametrize("mime", [MARKDOWN, LATEX])
def test_no_text_becomes_markup(harmful: Catalogue, mime: str) -> None:
    plain = {"inline", "text", "softbreak", "paragraph", "strong", "bullet_list", "list_item", "code_inline"}
    plain |= {"table", "thead", "tbody", "tr", "th", "td"}
    values = [*harmful.values(), *(e.vjp() for e in harmful.values()), harmful]
    texts = [shown(value)[mime] for value in values if mime in shown(value)]
    assert len(texts) >= 4
    for text in texts:
        found = {re.sub("_(open|close)$", "", kind) for kind in _tokens(text)} - {"text_special"}
        assert found <= plain, found - plain
        assert "<script" not in text


def test_no_text_becomes_html_or_tex_in_evidence() -> None:
    text = hostile.TEXT
    check = Check("claims", text, "unknown", note=text)
    found = shown(Evidence(text, (check,)))
    assert "<script" not in found[HTML] and set(re.findall(r"</?(\w+)", found[HTML])) == set(
        "p strong table thead tbody tr th td".split()
    )
    assert r"\input" not in found[LATEX] and r"\write" not in found[LATEX]
    assert _tokens(found[MARKDOWN]) & {"html_block", "html_inline", "link_open", "image", "heading_open"} == set()


def test_mathjax_typesets_what_is_shown(shipped: Catalogue, harmful: Catalogue) -> None:
    pytest.importorskip("py_mini_racer")
    from generators.site.typeset import Formula, typeset

    own = kb.parse("S = W @ x + b; y = softmax(S)", "W[C,d] x[d] b[C]")
    values = [shipped, shipped["adam"], shipped["scaled_dot_product_attention"].vjp(), own.vjp(), *harmful.values()]
    values += [shipped["softmax"].derivation("z", 1), own, own.jvp("W")]
    texts = [text for value in values for kind, text in shown(value).items() if kind in (MARKDOWN, LATEX)]
    inline = re.compile(r"(?<![\\$])\$((?:\\.|[^$\\\n])+)\$(?!\$)")
    found = [Formula(f, True) for text in texts for f in formulas_in(text) if "\n" in f]
    found += [
        Formula(f, False) for text in texts for f in inline.findall(re.sub(r"\$\$\n.*?\n\$\$", "", text, flags=re.S))
    ]
    assert len(typeset(found).formulas) == len(set(found)) > 80
