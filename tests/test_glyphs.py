"""Names become glyphs, and hostile text becomes harmless."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.printing import Context, docstring, escape_html, escape_markdown, escape_tex, python_string
from kb.printing.glyphs import symbol_latex, symbol_text, tex_to_text

NAMES = [
    ("x", "x", "x"),
    ("W_xi", "W_{xi}", "W_xi"),
    ("W_xi_bar", r"\bar{W}_{xi}", "W̄_xi"),
    ("p_data", r"p_{\mathrm{data}}", "p_data"),
    ("beta_1", r"\beta_1", "β₁"),
    ("d_k", "d_k", "d_k"),
    ("x_t", "x_t", "x_t"),
    ("P_pi", r"P_{\pi}", "P_π"),
    ("yhat", r"\hat{y}", "ŷ"),
    ("mubar", r"\bar{\mu}", "μ̄"),
    ("what", r"\hat{w}", "ŵ"),
    ("O_bar", r"\bar{O}", "Ō"),
    ("c_tilde", r"\tilde{c}", "c̃"),
    ("x_hat_bar", r"\bar{\hat{x}}", "x̂̄"),
    ("x_prime", "x'", "x′"),
    ("pi_star", r"\pi^*", "π*"),
    ("lambda_", r"\lambda", "λ"),
    ("sigma2", r"\sigma_2", "σ₂"),
    ("R2", "R_2", "R₂"),
    ("head", r"\mathrm{head}", "head"),
    ("head_hat", r"\widehat{\mathrm{head}}", "head_hat"),
    ("C_in", r"C_{\mathrm{in}}", "C_in"),
    ("h_prev", r"h_{\mathrm{prev}}", "h_prev"),
    ("Beta", r"\mathrm{B}", "B"),
    ("eps", r"\epsilon", "ε"),
    ("z_yhat", r"z_{\hat{y}}", "z_ŷ"),
]


@pytest.mark.parametrize(("name", "tex", "shown"), NAMES)
def test_name(name: str, tex: str, shown: str) -> None:
    assert symbol_latex(name) == tex
    assert symbol_text(name) == shown


def test_times() -> None:
    context = Context(time_index="t", times={"x": 0, "theta": -1, "b_y": 0})
    assert [symbol_latex(n, context) for n in ("h_prev", "h_next", "x", "theta", "b_y", "W")] == [
        "h_{t-1}", "h_{t+1}", "x_t", r"\theta_{t-1}", "b_{y,t}", "W",
    ]  # fmt: skip
    assert symbol_text("c_tilde_prev", context) == "c̃_{t−1}"


def test_override() -> None:
    context = Context(glyphs={"sigma2": r"\sigma^2", "L": r"\mathcal{L}"})
    assert symbol_latex("sigma2", context) == r"\sigma^2"
    assert symbol_text("sigma2", context) == "σ²"
    assert symbol_text("L", context) == "ℒ"
    assert tex_to_text(r"\operatorname{softmax}") == "softmax"
    assert tex_to_text("h'") == "h′"
    assert tex_to_text(r"\unknown") is None


def test_a_mark_over_a_declared_sign() -> None:
    signs = {"TP": r"\mathrm{TP}", "v": r"\sigma_B^2", "TV": r"(\mathcal{T}V)", "y": r"\hat{y}"}
    shown = [symbol_text(f"{name}_bar", Context(glyphs=signs)) for name in signs]
    assert shown == ["T̄P̄", "σ̄_B²", "(𝒯V)_bar", "ŷ̄"]


HOSTILE = [
    '"""',
    "\\",
    'a"',
    '""',
    "\\N{DIGIT ONE}",
    "{{7*7}}",
    "{% raw %}",
    r"\input{/etc/passwd}",
    "<script>alert(1)</script>",
    "a\x00b\x1b[31m",
    "\ud800",
    "$x$ & 50% #1 _a^b~",
    "line\n\nline",
    "\r\n",
    "|a|b|",
    "`code`",
    "*b* _i_",
    "- item",
    "1. x",
    "# head",
    "[a](javascript:x)",
    "\u202eabc",
    "é Łukasz Ça",
    "α ≤ β — “q”",
    "中",
    "--",
    "<!-- x -->",
    "'''",
    "\f\v\t",
    "^^5c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_python_literals(text: str) -> None:
    assert ast.literal_eval(python_string(text)) == text
    assert ast.literal_eval(docstring(text)) == text
    assert "\n" not in python_string(text)


@given(st.text(st.characters(), max_size=40), st.sampled_from(["", '"', "\\", '"""', "\n"]))
def test_python_literals_of_any_text(text: str, end: str) -> None:
    text += end
    module = ast.parse(f"def f():\n    {docstring(text)}\n    return {python_string(text)}\n".encode())
    function = module.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 2
    assert ast.get_docstring(function, clean=False) == text
    assert isinstance(function.body[1], ast.Return) and isinstance(function.body[1].value, ast.Constant)
    assert function.body[1].value.value == text


def test_docstring_indents_its_lines() -> None:
    assert docstring("a\n\nb", "    ") == '"""a\n\n    b"""'


@given(st.text(max_size=40) | st.sampled_from(HOSTILE))
def test_html(text: str) -> None:
    shown = escape_html(text)
    assert not set(shown) & set("<>\"'\x00\x1b")
    assert "&" not in shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").replace("&quot;", "").replace(
        "&#39;", ""
    )


@given(st.text(max_size=40) | st.sampled_from(HOSTILE))
def test_tex(text: str) -> None:
    tex = escape_tex(text)
    assert tex.isascii() and tex.isprintable()
    depth, skip = 0, False
    for character in tex:
        if skip:
            skip = False
            continue
        skip = character == "\\"
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
        assert character not in "&#%_"
    assert depth == 0 and not skip


def test_tex_keeps_names_readable() -> None:
    assert escape_tex("Łukasz Çaglar, Erdős 50% of C_1 \\input{x}") == (
        r"\L{}ukasz \c{C}aglar, Erd\H{o}s 50\% of C\_1 \textbackslash{}input\{x\}"
    )
    assert escape_tex("中 α") == r"{[}U+4E2D{]} $\alpha$"


@given(st.text(max_size=40) | st.sampled_from(HOSTILE))
def test_markdown_is_one_paragraph_of_text(text: str) -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(escape_markdown(text))
    assert [t.type for t in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    kinds = {child.type for t in tokens for child in t.children or []}
    assert kinds <= {"text", "text_special"}


def test_markdown_cannot_start_a_template() -> None:
    assert "{{" not in escape_markdown("{{7*7}}")
