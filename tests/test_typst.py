"""Formulas in Typst: what each construct becomes, that all are known, and that they look as TeX sets them."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import hostile
import pictures
import pytest
import yaml
from pictures import Likeness
from selection import sampled
from test_paper import bare, subjects_of

import kb
from kb import glyphs
from kb.errors import EqkbError
from kb.notations import names
from kb.notations.schema import _WORDS, FACES
from kb.printing import escape_typst
from kb.printing.typst import typst
from kb.profiles import BARS, SIGNS
from kb.vocabulary import DOMAINS

TYPST = pytest.mark.skipif(find_spec("typst") is None, reason="Typst is not installed")
POPPLER = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler is not installed")
TEX = pytest.mark.skipif(
    shutil.which("pdflatex") is None or shutil.which("pdftoppm") is None, reason="no pdflatex, or no poppler"
)
PARTS = 24  # of the catalogue, so that several processes share the slow sweeps
FORMS = ("derivative", "jacobian", "vjp")
ACCENTS, LETTERS = glyphs._ACCENTS.split("|"), glyphs._SIGNS.split("|")
CHANGED = {
    "about": "Nothing looks as it usually does.",
    "norm": "single",
    "gradient": "quotient",
    "layout": "numerator",
    "indices": "commas",
    "words": {word: rf"\operatorname{{{re.sub('[^a-z]', '', word)}-x}}" for word in sorted(_WORDS)}
    | {"transpose": r"\dagger", "elementwise": r"\circ", "E": r"\mathsf{E}", "log": r"\ln", "one_hot": r"\mathfrak{e}"}
    | {"eye": r"\mathbb{I}", "zeros": r"\boldsymbol{0}", "ones": r"\mathbb{1}", "delta": r"\boldsymbol{\delta}"},
    "faces": [
        {"face": "mathfrak", "kinds": ["function"]},
        {"face": "mathrm", "random": True},
        {"face": "underline", "axes": [0], "roles": ["parameter"]},
        {"face": "mathit", "axes": [0]},
        {"face": "vec", "axes": [1]},
        {"face": "mathbf", "axes": [2]},
        {"face": "boldsymbol mathsf", "axes": [3, "more"]},
    ],
}


@cache
def shipped(notation: str = "plain") -> kb.Catalogue:
    return kb.load_catalogue(notation=notation)


def formulas(catalogue: kb.Catalogue, part: int = 0, parts: int = 1, forms: tuple[str, ...] = ()) -> Iterator[str]:
    for entry_id in list(catalogue)[part::parts]:
        yield from map(bare, subjects_of(catalogue[entry_id], forms))


# --- single constructs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("x y", "x y"),
        ("2 k + 10", "2 k + 10"),
        ("0.5 x", "0.5 x"),
        ("x^{10}1", "x^(10) 1"),
        ("10^{-15}", "10^(- 15)"),
        ("f(x, y)", r"f\(x\, y\)"),
        ("f(x;\\, y)", r"f\(x\; #h(0.3333em) y\)"),
        ("a/b", r"a \/ b"),
        (r"\left( \frac{a}{b} \right)^2", r"lr(\( frac(a, b) \))^2"),
        (r"\left\lVert x \right\rVert", "lr(‖ x ‖)"),
        (r"\left\{ x \right.", r"lr(\{ x)"),
        (r"\left\| x \right|", "lr(‖ x |)"),
        (r"\lvert x \rvert", 'class("opening", |) x class("closing", |)'),
        (r"\Bigl( x", r'class("opening", lr(size: #1.8em, \()) x'),
        ("W_{ij}^2", "W_(i j)^2"),
        ("x_\\alpha", "x_alpha"),
        ("f''(x)", r"f''\(x\)"),
        (r"x^{\prime \top}", "x^(prime ⊤)"),
        ("h_i'", "h'_i"),
        ("{x_i}^2", 'class("normal", x_i)^2'),
        (r"\epsilon \varepsilon \phi \varphi", "epsilon.alt epsilon phi.alt phi"),
        (r"\bar{x} \hat{\boldsymbol{y}}", "macron(x) hat(bold(y))"),
        (r"\dot{i} \hat{xy}", "dot(i, dotless: #false) hat(x y, size: #0%)"),
        (r"\mathrm{KL} \mathrm{d}", '"KL"upright(d)'),
        (r"\mathbf{x} \mathbf{AB} \mathcal{L}", 'bold(upright(x))bold("AB")cal(L)'),
        (r"\boldsymbol{\mathsf{X}} \boldsymbol{\theta}", "bold(sans(upright(X))) bold(theta)"),
        (r"\mathbf{\theta} \mathbf{\Sigma} \mathrm{\Sigma}", "theta bold(upright(Sigma)) Sigma"),
        (r"\operatorname{a-b}(x)", r'op("a-b")\(x\)'),
        (r"\operatorname*{arg\,max}_k x", 'op("arg" thin "max", limits: #true)_k x'),
        (r"\sum_{i=1}^n x", "sum_(i = 1)^n x"),
        (r"\sum_{\substack{i \\ j}} x", r"sum_(i \ j) x"),
        (r"\begin{cases} 1 & \text{if } z < 0 \\ 0 \end{cases}", 'cases(&1 quad &&"if "z < 0, &0)'),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", 'mat(delim: "(", a, b; c, d)'),
        ("\\begin{aligned}\na &= b \\\\\n&\\quad {} + c\n\\end{aligned}", 'a &= b \\\n&quad ""+ c'),
        (r"\{0, \dots, n\}", r"\{0\, ... thin \, n\}"),
    ],
)
def test_constructs(latex: str, expected: str) -> None:
    assert typst(latex) == expected


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("a - b", "a - b"),
        ("a(-b)", r"a\(- b\)"),
        (r"x\, y", "x thin y"),
        (r"x\, \log y", "x #h(0.3333em) log y"),
        (r"\operatorname{erf}\!\left( x \right)", r'op("erf") lr(\( x \))'),
        (r"x \left( y \right) z", r"x thin lr(\( y \)) thin z"),
        (r"x = \left( y \right)", r"x = lr(\( y \))"),
        (r"x\, - y", 'x #h(0.3889em) class("binary", -) y'),
        (r"e^{x = y\, \left( z \right)}", r"e^(x = y thin lr(\( z \)))"),
        (r"\odot x", 'class("normal", ⊙) x'),
        (r"x\!y", "x #h(-0.1667em) y"),
    ],
)
def test_spaces_are_those_of_tex(latex: str, expected: str) -> None:
    assert typst(latex) == expected


@pytest.mark.parametrize(
    ("latex", "said"),
    [
        (r"a + \foo{b}", r"does not know \\foo"),
        (r"\left\foo x \right)", r"delimiter \\foo"),
        (r"\begin{tabular} a \end{tabular}", "no environment tabular"),
        (r"\begin{cases} a \end{pmatrix}", "cases ends as pmatrix"),
        (r"\begin{cases} a", r"ends too early"),
        (r"\left( x", "ends too early"),
        ("{x", "ends too early"),
        ("x}", "} closes nothing"),
        ("x^1^2", "two scripts"),
        ("x^1'", "a prime follows"),
        (r"\frac{a}", "argument"),
        ("x^", "argument"),
        (r"\sqrt[3]{x}", "no degree"),
        (r"\text{a $b$}", "signs that are not known"),
        (r"\text{a", "ends too early"),
        ("é", "does not know é"),
        ('"', 'does not know "'),
        ("a # b", "does not know #"),
        ("a % b", "does not know %"),
        (r"a \percent b", r"does not know"),
        (r"\* b", r"does not know"),
        (r"\left{ a \right)", "delimiter {"),
        ("a & b", "closes nothing"),
        ("{" * 3000 + "}" * 3000, "too deeply"),
        (r"\hat" * 3000 + "x", "too deeply"),
    ],
)
def test_what_is_not_known_is_refused_by_name(latex: str, said: str) -> None:
    with pytest.raises(EqkbError, match=said) as caught:
        typst(latex)
    assert len(str(caught.value)) < 300


# --- everything is known -----------------------------------------------------------------------------


def whitelisted() -> list[str]:
    """Every sign, accent and face that a catalogue or a profile may ask for."""
    found = [rf"\{word}" for word in LETTERS] + [rf"\{word}{{x}}" for word in (*ACCENTS, *FACES)]
    found += [rf"\{outer}{{\{inner}{{\Sigma_i}}}}" for outer in FACES for inner in FACES]
    found += [*SIGNS.values(), *(f"{a} x {b}" for a, b in BARS.values()), *"+-*,./|()", "x'"]
    found += [domain.latex for domain in DOMAINS.values() if domain.latex]
    return [*found, *(rf"\{word}" for word in "ln lg log exp det".split()), r"a \bmod b"]


def random_glyphs(count: int) -> list[str]:
    """Glyphs that the whitelist lets pass."""
    chance = random.Random(7)
    pieces = [*(rf"\{w} " for w in LETTERS), *(rf"\{w}{{" for w in ACCENTS), *"abXY019+-*,./|()", "_{", "^{", "'", "}"]
    found: list[str] = []
    while len(found) < count:
        text = "".join(chance.choice([*pieces, "}", "}", "_{", "^{"]) for _ in range(chance.randint(1, 12)))
        text += "}" * (text.count("{") - text.count("}"))
        if glyphs.glyph_fault(text) is None:
            found.append(text)
    return found


def test_what_the_whitelists_admit_is_known() -> None:
    assert all(map(typst, [*whitelisted(), *random_glyphs(300)]))


def test_every_definition_and_claim_is_known() -> None:
    assert all(map(typst, formulas(shipped(), parts=3)))


@pytest.mark.parametrize("part", sampled(range(PARTS), (0).__eq__))
def test_every_derivative_is_known(part: int) -> None:
    assert all(map(typst, formulas(shipped(), part, PARTS, FORMS)))


@pytest.fixture(params=[*names(), "changed"])
def notation(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param != "changed":
        return str(request.param)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(CHANGED), encoding="utf-8")
    return str(path)


@TYPST
@pytest.mark.slow
def test_typst_typesets_everything(notation: str, tmp_path: Path) -> None:
    found = {*formulas(kb.load_catalogue(notation=notation), forms=("derivative", "vjp"))}
    found |= {*whitelisted(), *random_glyphs(300)}
    assert len(found) > 1000
    displayed = pictures.typst_document(sorted(found))
    inline = "\n\n".join(f"${typst(formula)}$" for formula in sorted(found) if "aligned" not in formula)
    assert pictures.typst_pdf(f"{displayed}\n#pagebreak()\n{inline}", tmp_path).startswith(b"%PDF-")


# --- compared with TeX as pictures -------------------------------------------------------------------


def is_alike(found: Likeness) -> bool:
    """Bounds beyond all formulas as they are: fonts differ a little, and TeX has delimiters in fewer sizes."""
    return 0.9 < found.width < 1.08 and 0.75 < found.height < 1.3 and found.correlation > 0.85


def words(latex: str) -> int:
    """Upright words, whose letters touch in small sizes of either font."""
    return len(re.findall(r"\\(?:mathrm|operatorname\*?|text)\{\w\w", latex))


@TYPST
@TEX
@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_typst_and_tex_set_the_same(name: str, tmp_path: Path) -> None:
    rows = {
        row for formula in formulas(shipped(name), forms=("derivative", "vjp")) for row in pictures.rows_of(formula)
    }
    shown = sorted(rows)
    found = dict(zip(shown, pictures.likenesses(shown, shown, tmp_path), strict=True))
    assert not {formula: like for formula, like in found.items() if not is_alike(like)}
    differ = {formula: like.pieces for formula, like in found.items() if like.pieces}
    assert not {formula: count for formula, count in differ.items() if abs(count) > 2 + 2 * words(formula)}
    assert len(differ) < len(shown) * 0.05
    assert sum(1 for formula in differ if not words(formula)) < len(shown) * 0.02


MUTATIONS = {
    "accent": (r"\\(?:bar|dot|hat|tilde)\{(\\?\w+)\}", r"\1"),
    "factor": (r"(?<=[\w}]) ([a-zA-Z])(?= [\\a-zA-Z(])", ""),
    "script": (r"(?<=[a-zA-Z}])_(?:\w|\{\w+\})(?![\^'])", ""),
    "lowered": (r"(?<=[a-zA-Z}])\^(\w|\{[^{}]*\})(?!_)", r"_\1"),
    "raised": (r"(?<=[a-zA-Z}])_(\w|\{\w+\})(?![\^'\w])", r"^\1"),
    "swapped": (r"_(\w)\^(\w)", r"_\2^\1"),
    "sign": (r" - ", " + "),
}


def mutated(latex: str, kind: str) -> str | None:
    """The formula with the first such fault, if it has a place for it and stays one."""
    made = re.sub(*MUTATIONS[kind], latex, count=1)
    if made == latex:
        return None
    try:
        typst(made)
    except EqkbError:
        return None
    return made


@TYPST
@TEX
@pytest.mark.slow
@pytest.mark.parametrize("kind", MUTATIONS)
def test_pictures_tell_formulas_apart(kind: str, tmp_path: Path) -> None:
    """A fault shows: another number of pieces, or a picture that is less alike than that of the formula itself."""
    simple = sorted({f for f in formulas(shipped(), 0, 2) if len(f) < 100 and "aligned" not in f and not words(f)})
    pairs = [(formula, made) for formula in simple if (made := mutated(formula, kind))]
    right, wrong = [formula for formula, _ in pairs], [made for _, made in pairs]
    found = pictures.likenesses([*right, *wrong], [*right, *right], tmp_path)
    seen = [
        bad.pieces != good.pieces or bad.correlation < good.correlation
        for good, bad in zip(found[: len(pairs)], found[len(pairs) :], strict=True)
    ]
    assert len(seen) >= 5
    missed = [pair for pair, caught in zip(pairs, seen, strict=True) if not caught]
    # A small sign that moves within a long formula may be lost in the differences of the fonts.
    assert len(missed) <= (max(1, 0.1 * len(seen)) if kind in ("raised", "swapped") else 0), missed


# --- text --------------------------------------------------------------------------------------------

LINES = [
    *hostile.PIECES[:20],
    *("= x", "/ a: b", "- x", "+ x", "1. no", "1) x", "12.", ".5", "; a", "(a)", "[a]", "{a}", ".. a", "// c", "! x"),
    *("a /* c */ d", "http://a.b/c and https://d", "-1 - 2 --- a-b -? ...", "it 's 'so' \"x\"", "x@y.org <lab> a~b"),
    *("#let x = 1", r"\u{41}", r"a\ b", "3-4 a-1 1-a", ":smile: a_b_c x^2", "$ x $"),
]


def test_text_is_escaped() -> None:
    assert escape_typst("Adam's #1, well-known: <a@b> *x*") == r"Adam’s \#1, well-known: \<a\@b> \*x\*"
    assert escape_typst("1. a--b http://c\n= d") == r"1\. a\-\-b http:\/\/c = d"


@TYPST
@POPPLER
@pytest.mark.slow
def test_text_comes_back_from_typst(tmp_path: Path) -> None:
    """At the beginning of a paragraph, behind code, and within brackets."""
    text = "\n\n".join(f"{e}\n\n#[v]{e}\n\n#box[{e}]" for e in map(escape_typst, LINES))
    source = f'#set page(width: 900pt, height: auto)\n#set text(font: "New Computer Modern")\n{text}'
    path = tmp_path / "text.pdf"
    path.write_bytes(pictures.typst_pdf(source, tmp_path))
    printed = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True).stdout.decode()
    lines = [re.sub(r"\s", "", line) for line in printed.splitlines()]
    for line in LINES:
        wanted = re.sub(r"\s", "", line)
        assert lines.count(wanted) >= 2 and f"v{wanted}" in lines, line
