"""Notation profiles: what they change in LaTeX, files of people's own, and what is said of bad ones."""

from __future__ import annotations

import functools
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from selection import sampled

from generators.sheets import selection
from generators.views import views
from kb import load_catalogue, parse
from kb.catalogue import Catalogue
from kb.cli import main
from kb.errors import CatalogueError, NotFound
from kb.notations import names, notation
from kb.notations.schema import FACES, FaceRecord, ProfileRecord
from kb.parser import parse_statement
from kb.printing import Context
from kb.printing import latex as print_latex
from kb.profiles import PLAIN, SIGNS, Profile

IDS = list(load_catalogue())
ROOT = Path(__file__).resolve().parent.parent


@cache
def shipped(profile: str = "plain") -> Catalogue:
    return load_catalogue(notation=profile)


def written(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "own.yaml"
    path.write_text(f"about: A notation.\n{text}\n", encoding="utf-8")
    return load_catalogue(notation=path)


def latex(catalogue: Catalogue, text: str, symbols: str) -> str:
    return parse(text, symbols, catalogue).latex()


# --- the profiles that come with it ------------------------------------------------------------------


def test_arrays_are_bold_and_their_elements_are_not() -> None:
    book = shipped("dlbook")
    bold = {name: rf"\boldsymbol{{{name}}}" for name in "WxybAX"}
    assert book["linear"].latex() == "{y} = {W} {x} + {b}".format(**bold)
    assert book["linear"].derivative("W").latex() == r"\frac{\partial y_i}{\partial W_{j,k}} = \delta_{i,j} x_k"
    assert book["linear"].vjp(["x"]).latex() == r"\bar{\boldsymbol{x}} = \boldsymbol{W}^{\top} \bar{\boldsymbol{y}}"
    assert latex(book, "y = sum(norm(A[i])**2, i)", "A[n,m]") == (
        r"y = \sum_{i=1}^n\, \lVert \boldsymbol{A}_i \rVert_2^2"
    )
    assert latex(book, "Y = 2*X", "X[a,b,c]") == r"\boldsymbol{\mathsf{Y}} = 2 \boldsymbol{\mathsf{X}}"


def test_what_is_drawn_is_upright() -> None:
    first = shipped("dlbook")["vae_elbo"].latex().splitlines()[1]
    assert first == r"R &= \mathbb{E}_{\mathrm{z} \sim \mathcal{N}(\mu, s^2)}[\log \mathcal{N}(x;\, w z, \tau^2)] \\"


def test_letters_keep_their_accents_and_faces() -> None:
    book = shipped("dlbook")
    assert latex(book, "yhat = theta_bar + 2*u_tilde", "theta_bar[n] u_tilde[n]") == (
        r"\hat{\boldsymbol{y}} = \bar{\boldsymbol{\theta}} + 2 \tilde{\boldsymbol{u}}"
    )
    assert latex(book, "y = f(x)", "x f:function=tanh") == "y = f(x)"


@pytest.mark.parametrize("entry_id", sampled(IDS, 8))
def test_only_faces_and_commas_differ(entry_id: str) -> None:
    """Without what it says of letters and indices the book's notation is the plain one."""

    def bare(text: str) -> str:
        for _ in range(2):
            text = re.sub(r"\\(?:boldsymbol|mathsf|mathbf|mathrm)\{((?:[^{}]|\{[^{}]*\})*)\}", r"\1", text)
        text = text.replace(r"\operatorname{Tr}", r"\operatorname{tr}")
        return re.sub(
            r"[\s,{}&]|\\[,\\]|\\quad|\\begin|\\end|aligned|\\nabla.|\\frac\\partial(.)\\partial.", r"\1", text
        )

    one, other = (shipped(name)[entry_id] for name in names())
    assert bare(one.latex()) == bare(other.latex())
    for wrt in one.entry.differentiate[:1]:
        assert bare(one.vjp([wrt]).latex()) == bare(other.vjp([wrt]).latex())


# --- macros ------------------------------------------------------------------------------------------


def expanded(tex: str, definition: str) -> str:
    """The TeX without one of its macros."""
    found = re.fullmatch(r"\\providecommand\{\\(\w+)\}(\[1\])?\{(.*)\}", definition)
    assert found is not None
    name, argument, meaning = found.groups()
    if not argument:
        return re.sub(rf"\\{name}(?![A-Za-z])", lambda _: meaning, tex)
    opening, closing = meaning.split("#1")
    inner = r"((?:[^{}]|\{[^{}]*\})*)"
    return re.sub(rf"\\{name}\{{{inner}\}}", lambda use: f"{opening}{use[1]}{closing}", tex)


@pytest.mark.parametrize("entry_id", sampled(IDS, 8))
def test_macros_mean_what_stands_without_them(entry_id: str) -> None:
    book = shipped("dlbook")
    profile = book.profile.with_macros()
    one, other = book[entry_id], book.written_in(profile)[entry_id]
    wrt = one.entry.differentiate[:1]
    for expected, tex in [(one.latex(), other.latex()), *((one.vjp([n]).latex(), other.vjp([n]).latex()) for n in wrt)]:
        made = functools.reduce(expanded, profile.definitions(tex).splitlines(), tex)
        made = re.sub(r"\\mathrm\{(\\[a-z]+)\}", r"\1", made)  # which has no small Greek letters
        assert re.sub(r"\s", "", made) == re.sub(r"\s", "", expected)


def test_macros_stand_before_what_uses_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latex", "linear", "--notation", "dlbook", "--macros", "--wrt", "x", "--form", "vjp"]) == 0
    *definitions, formula = capsys.readouterr().out.splitlines()
    assert formula == r"\bar{\vect{x}} = \mat{W}^{\transpose} \bar{\vect{y}}"
    assert definitions == [
        r"\providecommand{\vect}[1]{\boldsymbol{#1}}",
        r"\providecommand{\mat}[1]{\boldsymbol{#1}}",
        r"\providecommand{\transpose}{\top}",
    ]
    assert main(["latex", "vae_elbo", "--macros", "--env", "equation"]) == 0
    remark, mean, begin, *_ = capsys.readouterr().out.splitlines()
    assert remark == r"% \usepackage{amsmath,amssymb}" and begin == r"\begin{equation}"
    assert mean == r"\providecommand{\expectation}{\mathbb{E}}"


# --- files -------------------------------------------------------------------------------------------


def test_words_and_signs_are_chosen(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        r"words: {log: \ln, transpose: T, elementwise: \circ, trace: '\operatorname{Tr}', tanh: \phi}"
        + "\nnorm: single",
    )
    assert latex(own, "y = log(x)*trace(A.T)", "x A[n,n]") == r"y = \ln(x) \operatorname{Tr}(A^T)"
    assert latex(own, "y = u*v + tanh(u)", "u[n] v[n]") == r"y = u \circ v + \phi(u)"
    assert latex(own, "y = norm(u)**2", "u[n]") == r"y = \lvert u \rvert_2^2"
    assert latex(own, "y = log(a*b) + log(sum(u[i], i))", "a b u[n]") == r"y = \ln(a b) + \ln \sum_{i=1}^n u_i"


def test_faces_follow_what_a_symbol_is(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        """faces:
  - {kinds: [integer], face: none}
  - {roles: [parameter], axes: [2, more], face: mathfrak}
  - {domains: [positive], face: mathsf}
  - {axes: 0, face: mathrm}""",
    )
    assert own["linear"].latex() == r"y = \mathfrak{W} x + b"
    assert latex(own, "y = a*c**n", "a:positive c n:integer") == r"\mathrm{y} = \mathsf{a} \mathrm{c}^n"


@pytest.mark.parametrize(
    ("gradient", "shown"),
    [
        ("usual", r"\frac{\partial L}{\partial x}"),
        ("nabla", r"\nabla_x L"),
        ("quotient", r"\frac{\partial L}{\partial x}"),
    ],
)
def test_gradients_are_written_as_chosen(tmp_path: Path, gradient: str, shown: str) -> None:
    own = written(tmp_path, f"gradient: {gradient}")
    assert shown in latex(own, "L = sum(x[i]**2, i); y = d(L, x)", "x[n]")


def test_the_example_of_the_documentation_is_a_notation(tmp_path: Path) -> None:
    page = (ROOT / "site" / "pages" / "reference" / "notation.md").read_text(encoding="utf-8")
    path = tmp_path / "own.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    own = load_catalogue(notation=path)
    assert own["linear"].latex() == r"\mathbf{y} = \mathbf{W} \mathbf{x} + \mathbf{b}"
    assert own["quadratic_cost"].formula_latex("d(C, a) == a - E") == r"\nabla_{\mathbf{a}} C = \mathbf{a} - \mathbf{E}"
    keys = set(ProfileRecord.model_fields)
    assert keys <= set(re.findall(r"^`(\w+)`$", page, re.M)) | {"about"}
    assert all(f"`{word}" in page for word in (*SIGNS, *FACES, *FaceRecord.model_fields))


# What the catalogue states, and the same in numerator and in denominator layout.
LAYOUTS = {
    "d(s, a) == A @ u": (
        r"\frac{\partial s}{\partial a} = A u",
        r"\frac{\partial s}{\partial a} = u^{\top} A^{\top}",
        r"\frac{\partial s}{\partial a} = A u",
    ),
    "d(s, a) == 2*A @ B.T @ u/t": (
        r"\frac{\partial s}{\partial a} = \frac{2 A B^{\top} u}{t}",
        r"\frac{\partial s}{\partial a} = \frac{2 u^{\top} B A^{\top}}{t}",
        r"\frac{\partial s}{\partial a} = \frac{2 A B^{\top} u}{t}",
    ),
    "d(s, a) == d(u, a).T @ d(s, u)": (
        r"\frac{\partial s}{\partial a} = \left( \frac{\partial u}{\partial a} \right)^{\top}"
        r" \frac{\partial s}{\partial u}",
        r"\frac{\partial s}{\partial a} = \frac{\partial s}{\partial u} \frac{\partial u}{\partial a}",
        r"\frac{\partial s}{\partial a} = \frac{\partial u}{\partial a} \frac{\partial s}{\partial u}",
    ),
    "d(u, a) == A": (
        r"\frac{\partial u}{\partial a} = A",
        r"\frac{\partial u}{\partial a} = A",
        r"\frac{\partial u}{\partial a} = A^{\top}",
    ),
    "d(s, a)*a == u - a": (
        r"\frac{\partial s}{\partial a} \odot a = u - a",
        r"\left( \frac{\partial s}{\partial a} \right)^{\top} \odot a = u - a",
        r"\frac{\partial s}{\partial a} \odot a = u - a",
    ),
    "d(s, a) == -(u*a)": (
        r"\frac{\partial s}{\partial a} = -u \odot a",
        r"\frac{\partial s}{\partial a} = -(u \odot a)^{\top}",
        r"\frac{\partial s}{\partial a} = -u \odot a",
    ),
    "d(s, t) == d(s, a[i])": 3 * (r"\frac{\partial s}{\partial t} = \frac{\partial s}{\partial a_i}",),
}


@pytest.mark.parametrize("claim", LAYOUTS)
def test_derivatives_stand_as_the_layout_has_them(claim: str) -> None:
    ranks = {"s": 0, "t": 0, "a": 1, "u": 1, "A": 2, "B": 2}
    shown = [
        print_latex(parse_statement(claim), Context(ranks=ranks, profile=Profile(layout=layout, gradient="quotient")))
        for layout in ("usual", "numerator", "denominator")
    ]
    assert tuple(shown) == LAYOUTS[claim]


def test_a_sheet_explains_its_own_signs(tmp_path: Path) -> None:
    own = written(tmp_path, r"words: {elementwise: \circ}" + "\nfaces: [{axes: 1, face: boldsymbol}]")
    shown = {sign.shown.latex for sign, _ in selection(views(own, ["lstm_cell"])).legend}
    assert r"\boldsymbol{x} \circ \boldsymbol{y}" in shown and r"x \odot y" not in shown


FAULTS: dict[str, tuple[str, str, str]] = {
    "a key": ("faces: []\nfase: []", "3:1", "unknown key 'fase'; did you mean 'faces'?"),
    "a face": ("faces:\n  - {axes: 1, face: bold}", "3:21", "'bold' is not a face"),
    "axes": ("faces:\n  - {axes: many, face: mathbf}", "3:12", "write a list such as [1], [0, 1] or [3, more]"),
    "a kind": ("faces:\n  - {kinds: [vector], face: mathbf}", "3:14", "'vector' is not a kind of symbol"),
    "a key of a face": ("faces:\n  - {axis: 1, face: mathbf}", "3:6", "unknown key 'axis'; did you mean 'axes'?"),
    "a word": ("words:\n  transposed: T", "3:3", "a profile has no word 'transposed'; did you mean 'transpose'?"),
    "a command": ("words:\n  log: \\input{x}", "3:8", "\\input is not allowed"),
    "a macro": ("faces:\n  - {face: none, macro: matrix}", "3:25", "TeX has a command \\matrix already"),
    "no macro": ("faces:\n  - {face: none, macro: my_face}", "3:25", "'my_face' cannot name a command"),
    "a choice": ("norm: triple", "2:1", "'triple' is not a kind of bars"),
    "no mapping": ("words: [log]", "2:1", "a list where a mapping belongs"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_have_a_place_and_a_remedy(tmp_path: Path, case: str) -> None:
    text, place, message = FAULTS[case]
    with pytest.raises(CatalogueError, match=re.escape(message)) as refused:
        written(tmp_path, text)
    assert f"own.yaml:{place}: " in str(refused.value)


def test_an_unknown_notation_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latex", "softmax", "--notation", "dlbok"]) == 3
    assert capsys.readouterr().err == "eqkb: no notation is called 'dlbok'; did you mean 'dlbook'?\n"
    assert main(["latex", "softmax", "--notation", "missing.yaml"]) == 2
    assert capsys.readouterr().err.startswith("missing.yaml:1:1: there is no such file")
    with pytest.raises(NotFound, match="there are plain, dlbook"):
        notation("nothing like it")


# --- where it is used --------------------------------------------------------------------------------


def test_commands_write_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> Any:
        assert main([*words, "--notation", "dlbook"]) == 0
        return capsys.readouterr().out

    assert said("latex", "linear") == shipped("dlbook")["linear"].latex() + "\n"
    assert r"\boldsymbol{W}" in said("cheatsheet", "linear")
    assert r"\boldsymbol{W}" in said("cheatsheet", "linear", "--format", "md")
    assert r"\\boldsymbol{W}" in said("show", "linear", "--json")
    assert r"\boldsymbol{x}" in said("diff", "linear", "--wrt", "x", "--form", "vjp", "--format", "latex")
    assert r"\delta_{j,k}" in said("derive", "softmax", "--wrt", "z", "--format", "latex")


def test_plain_is_what_is_used_otherwise() -> None:
    assert shipped().profile == PLAIN and names()[0] == "plain"
    assert load_catalogue()["linear"].latex() == "y = W x + b"
