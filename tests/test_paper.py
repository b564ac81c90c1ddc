"""LaTeX for papers: environments, labels, the sentence about the symbols, derivations; for TeX and for KaTeX."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import agreement
import hostile
import katex
import pytest
import yaml
from test_markdown import KNOWN, TEX

import kb
from generators.sheets import setting
from kb.catalogue import Catalogue
from kb.cli import main
from kb.cli.arguments import ENVIRONMENTS
from kb.equation import Derivative, Equation
from kb.errors import EqkbError, NotDifferentiable
from kb.notations import names
from kb.paper import Fragment, Subject, Wanted, packages
from kb.paper.english import predicate

READERS = pytest.mark.skipif(
    katex.path() is None and shutil.which("pdflatex") is None, reason="neither pdflatex nor KaTeX is installed"
)
KATEX = pytest.mark.skipif(katex.path() is None, reason="KaTeX (sphinxcontrib-katex) is not installed")
FORMS = ("derivative", "jacobian", "vjp", "jvp", "hessian")
PARTS = 12  # of the catalogue, so that several processes share the slow sweeps
ALLOWED = KNOWN | {"operatorname", "nonumber", "label", "tag"}
STEPS = {
    "steps": {
        "name": "Steps",
        "topic": "tests",
        "about": "A text.",
        "symbols": {
            "x": {"shape": ["n"], "about": "50% of $x_1 & {y}\\input{z}"},
            "k": {"kind": "integer", "domain": "positive", "about": "number of copies"},
            "c": {"kind": "label", "classes": "n"},
            "w": {"shape": ["n"], "domain": "simplex", "about": "weights"},
            "M": {"shape": ["n", "n"], "domain": "nonzero", "about": "keeps nothing"},
            "unused": {"about": "never read"},
            "y": {"role": "output", "about": "result"},
        },
        "define": ["s[i] = k*x[i]**2 + w[i]", "q = sum(s[i]*M[i,i], i)", "y = q + x[c] + 0*unused"],
        "claims": {"slope": "d(y, q) == 1", "positive": "s[c] >= w[c]"},
        "differentiate": ["x"],
    }
}


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


@pytest.fixture
def own(tmp_path: Path) -> Catalogue:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(STEPS, sort_keys=False), encoding="utf-8")
    return kb.load_catalogue(path)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["latex", *arguments]) == 0
    return capsys.readouterr().out


def where_of(subject: Subject) -> str:
    return Fragment(subject, Wanted(where=True)).where


# --- environments ------------------------------------------------------------------------------------


def test_an_equation_has_one_number(capsys: pytest.CaptureFixture[str]) -> None:
    formula = printed(capsys, "softmax")
    assert printed(capsys, "softmax", "--env", "none") == formula
    assert printed(capsys, "softmax", "--env", "equation") == f"\\begin{{equation}}\n{formula}\\end{{equation}}\n"
    named = printed(capsys, "softmax", "--env", "equation", "--label", "eq:softmax")
    assert named == f"\\begin{{equation}}\\label{{eq:softmax}}\n{formula}\\end{{equation}}\n"
    several = printed(capsys, "scaled_dot_product_attention", "--env", "equation")
    assert several.startswith("\\begin{equation}\n\\begin{aligned}\nS &= ")


def test_an_align_has_a_number_for_each_statement(capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed(capsys, "scaled_dot_product_attention", "--env", "align", "--label", "eq:a").splitlines()
    assert rows[0] == r"\begin{align}" and rows[-1] == r"\end{align}"
    assert [re.sub(r".*(\\label.*?}).*", r"\1", row) for row in rows[1:-1]] == [
        r"\label{eq:a}",
        r"\label{eq:a-2}",
        r"\label{eq:a-3}",
    ]
    assert all(row.endswith(r" \\") for row in rows[1:-2]) and "&=" in rows[1]
    found = json.loads(printed(capsys, "adam", "--env", "align", "--label", "a", "--json"))
    assert found["labels"] == ["a", "a-2", "a-3", "a-4", "a-5"]


@pytest.mark.parametrize(
    ("entry_id", "claim"), [("pearson_correlation", "curvature_x"), ("selu", "variance_1"), ("adam", None)]
)
def test_a_statement_of_several_rows_has_one_number(shipped: Catalogue, entry_id: str, claim: str | None) -> None:
    equation = shipped[entry_id]
    subject = Subject(equation, claim=equation.claim(claim) if claim else None)
    text = Fragment(subject, Wanted("align", "a")).formula
    count = sum(map(len, subject.rows))
    assert count > 1
    assert text.count("\\\\\n") == count - 1
    assert text.count(r"\nonumber") == count - len(subject.rows)
    assert text.count(r"\label") == len(subject.rows)
    plain = re.sub(r" \\(nonumber|label\{[^}]*\})", "", text).replace("{align}", "{aligned}")
    assert plain == bare(subject)


def test_the_constrained_form_belongs_to_its_statement(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "softmax_cross_entropy_gradient", "--wrt", "z", "--env", "align")
    first, second = text.splitlines()[1:-1]
    assert first.endswith(r"\nonumber \\") and r"\text{because }" in second


# --- the sentence about the symbols ------------------------------------------------------------------


def test_symbols_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "binary_cross_entropy", "--env", "equation", "--where")
    head, formula, sentence = re.fullmatch(r"(%.*?\n)(\\begin.*\\end\{equation\}\n)(.*)", text, re.S).groups()  # type: ignore[union-attr]
    assert head == "% \\usepackage{amsmath,amssymb}\n" and formula
    assert sentence == (
        "where\n"
        "$y \\in \\{0, 1\\}^{N}$ are the labels, 0 or 1;\n"
        "$\\hat{y} \\in (0, 1)^{N}$ are the predicted probabilities of the label 1;\n"
        "and $L \\in \\mathbb{R}$ is the loss.\n"
    )
    assert printed(capsys, "softmax", "--where").startswith("% \\usepackage{amsmath,amssymb}\n\\[\np_j = ")


def test_only_what_occurs_is_explained(own: Catalogue) -> None:
    entry = own["steps"]
    shown = where_of(Subject(entry, claim=entry.claim("slope")))
    assert re.findall(r"^(?:and )?\$([^$]*)\$", shown, re.M) == [
        "x \\in \\mathbb{R}^{n}",
        "k \\in \\mathbb{Z}_{>0}",
        "w \\in \\mathbb{R}^{n}",
        "M \\in (\\mathbb{R} \\setminus \\{0\\})^{n \\times n}",
        "y \\in \\mathbb{R}",
        r"s = k x^2 + w" if "s = k" in shown else re.search(r"\$(s_i = [^$]*)\$", shown)[1],  # type: ignore[index]
        re.search(r"\$(q = [^$]*)\$", shown)[1],  # type: ignore[index]
    ]
    assert "unused" not in shown
    label = where_of(Subject(entry, claim=entry.claim("positive")))
    assert r"$c \in \{0, \dots, n - 1\}$" in label and "$M" not in label and "$q" not in label


def test_text_of_a_catalogue_is_harmless(own: Catalogue) -> None:
    shown = where_of(Subject(own["steps"]))
    assert r"is 50\% of \$x\_1 \& \{y\}\textbackslash{}input\{z\};" in shown
    assert "are the weights (positive, adding up to 1);" in shown
    assert "keeps nothing;" in shown and "is the keeps" not in shown


def test_derivatives_explain_their_signs(shipped: Catalogue) -> None:
    attention = shipped["scaled_dot_product_attention"]
    shown = where_of(Subject(attention, attention.vjp("Q")))
    assert shown.endswith("and a bar marks the gradient of a final scalar with respect to what is below it.")
    assert r"$A = \operatorname{softmax}(S)$;" in shown and "$Q \\in" in shown
    shown = where_of(Subject(attention, attention.jvp("Q")))
    assert "a dot marks the tangent" in shown and "a bar" not in shown


def test_a_bar_that_is_a_mean_is_no_gradient(shipped: Catalogue) -> None:
    equation = shipped["pearson_correlation"]
    for subject in (Subject(equation), Subject(equation, claim=equation.claim("curvature_x"))):
        assert r"\bar" in bare(subject) and "gradient" not in where_of(subject)
    shown = where_of(Subject(equation, equation.vjp("x")))
    assert r"$\bar{x} = \operatorname{mean}(x)$;" in shown
    assert r"$\bar{x}_{\mathrm{total}}$ is the whole gradient of a final scalar with respect to $x$;" in shown
    assert shown.endswith("and every other bar marks the gradient of a final scalar with respect to what is below it.")


def test_every_symbol_of_a_definition_is_explained(shipped: Catalogue) -> None:
    """And those only that the definition, or the shape of another one, speaks of."""
    for entry_id in shipped:
        equation = shipped[entry_id]
        shown = where_of(Subject(equation))
        assert shown.startswith("where\n") and shown.endswith(".")
        explained = {
            name
            for name, symbol in equation.symbols.items()
            if any(f"${symbol.latex}{after}" in shown for after in (r" \in ", "(", "$ "))
        }
        shapes = [size for symbol in equation.entry.symbols for size in symbol.shape]
        claimed = [equation.entry.claims[0].text] if equation.entry.sides else []
        text = " ".join([*equation.entry.define, *shapes, *claimed])
        spoken = set(re.findall(r"\w+", text)) & set(equation.symbols)
        if equation.entry.sides or "..." in text:  # the sides stand for themselves; `...` passes all names on
            assert spoken - set(equation.entry.sides) <= explained, entry_id
        else:
            assert spoken == explained, entry_id


@pytest.mark.parametrize(
    ("meaning", "said"),
    [
        ("learning rate", "is the learning rate"),
        ("targets, 1 at the true class", "are the targets, 1 at the true class"),
        ("bias of the layer", "is the bias of the layer"),
        ("loss", "is the loss"),
        ("biases of the L layers", "are the biases of the L layers"),
        ("height and width of the window", "are the height and width of the window"),
        ("weights learned by the layer", "are the weights learned by the layer"),
        ("a smooth function", "is a smooth function"),
        ("one weighted average of the values", "is one weighted average of the values"),
        ("where the density is taken", "is where the density is taken"),
        ("how a set of vectors becomes one", "is how a set of vectors becomes one"),
        ("1 where a node is a neighbour", "is 1 where a node is a neighbour"),
        ("keeps the root above 0", "keeps the root above 0"),
        ("Kullback-Leibler divergence", "is the Kullback-Leibler divergence"),
        ("probability that x is data", "is the probability that x is data"),
        ("σ² of the noise", "is σ² of the noise"),
    ],
)
def test_meanings_become_sentences(meaning: str, said: str) -> None:
    assert predicate(meaning) == said


# --- derivations -------------------------------------------------------------------------------------


def test_a_derivation_names_its_rules_at_the_margin(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "softmax_cross_entropy_gradient", "--wrt", "z", "--derivation")
    rows = text.splitlines()
    assert rows[0] == r"\begin{align*}" and rows[-1] == r"\end{align*}"
    assert rows[-2] == r"&= \hat{y}_j - y_j \tag*{constraint used: $\sum_c y_c = 1$}"
    assert rows[1].endswith(r" \tag*{definition} \\") and r"\tag" not in rows[2]


def test_parts_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("softmax", "--wrt", "z", "--derivation", "--where")
    text = printed(capsys, *common, "--env", "equation", "--label", "eq:z")
    order = [text.index(part) for part in (r"\begin{equation}\label{eq:z}", "where\n", r"\begin{align*}")]
    assert order == sorted(order)
    text = printed(capsys, *common)
    assert "equation" not in text and text.index(r"\end{align*}") < text.index("where\n")
    found = json.loads(printed(capsys, *common, "--json"))
    assert found["paper"] + "\n" == text
    assert found["derivation"] in text and found["where"] in text
    assert (found["env"], found["label"], found["labels"]) == ("none", None, [])
    assert found["packages"] == ["amsmath", "amssymb"] and found["latex"].startswith(r"\frac{\partial p_j}")


def test_the_same_is_printed_each_time(own: Catalogue) -> None:
    def made() -> list[str]:
        entry = own["steps"]
        subjects = [Subject(entry), Subject(entry, entry.vjp()), Subject(entry, entry.derivative("x"))]
        return [Fragment(s, Wanted("align", "a", True)).latex() for s in subjects]

    assert made() == made()


# --- what does not go --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label", "eq:a"], "add --env equation or --env align"),
        (["--label", "eq:a", "--env", "none"], "add --env equation or --env align"),
        (["--label", "", "--env", "align"], "cannot be a label"),
        (["--label", "a}b", "--env", "align"], "'a}b' cannot be a label"),
        (["--label", "a%", "--env", "equation"], "letters, digits and the signs"),
        (["--label", "a b", "--env", "equation"], "such as eq:softmax"),
        (["--label", "ä", "--env", "equation"], "cannot be a label"),
        (["--label", "a\n", "--env", "equation"], "cannot be a label"),
        (["--label", "a" * 101, "--env", "equation"], "at most 100"),
        (["--derivation"], "--wrt SYMBOL"),
        (["--claim", "jacobian", "--derivation"], "--wrt SYMBOL"),
        (["--wrt", "z", "--form", "vjp", "--derivation"], "leave out --form"),
        (["--wrt", "z", "--form", "hessian", "--derivation"], "leave out --form"),
        (["--env", "aline"], "did you mean 'align'"),
        (["--format", "md", "--env", "align"], "leave out --env"),
        (["--format", "md", "--derivation", "--wrt", "z"], "leave out --wrt"),
        (["--format", "md", "--label", "a"], "leave out --label"),
    ],
)
def test_wrong_usage_is_one_clear_line(arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["latex", "softmax", *arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert said in err and len(err.splitlines()) == 1


# --- what reads it -----------------------------------------------------------------------------------


def derivatives(equation: Equation, forms: Iterable[str] = FORMS) -> Iterator[Derivative]:
    """Every derivative by each symbol, and both passes by all of them."""
    wanted = [(form, name) for name in equation.differentiable for form in forms]
    if len(equation.differentiable) > 1:
        wanted += [(form, None) for form in forms if form in ("vjp", "jvp")]
    for form, name in wanted:
        made = getattr(equation, form)(name)
        try:
            made.latex()
        except NotDifferentiable:
            continue
        yield made


def subjects_of(equation: Equation, forms: Iterable[str] = FORMS) -> Iterator[Subject]:
    yield Subject(equation)
    yield from (Subject(equation, claim=claim) for claim in equation.entry.claims)
    yield from (Subject(equation, made) for made in derivatives(equation, forms))


def bare(subject: Subject) -> str:
    if subject.derivative is not None:
        return subject.derivative.latex()
    return subject.equation.formula_latex(subject.claim.text) if subject.claim else subject.equation.latex()


def formulas_in(text: str) -> list[str]:
    """The displays and the formulas within sentences, as KaTeX gets them; it numbers, but has no references."""
    plain = re.sub(r"(?m)^%.*\n| ?\\label\{[^}]*\}", "", text)
    shown = re.findall(r"\\begin\{(equation|align\*?)\}.*?\\end\{\1\}", plain, re.S)
    found = [m[0] for m in re.finditer(r"\\begin\{(equation|align\*?)\}.*?\\end\{\1\}", plain, re.S)]
    assert len(found) == len(shown)
    found += re.findall(r"^\\\[\n(.*?)\n\\\]$", plain, re.S | re.M)
    rest = re.sub(r"\\begin\{(equation|align\*?)\}.*?\\end\{\1\}|\\\[\n.*?\n\\\]", "", plain, flags=re.S)
    return [*found, *re.findall(r"(?<!\\)\$(.+?)(?<!\\)\$", rest, re.S)]


def document(fragments: Iterable[str], *needed: str) -> str:
    body = "\n\n".join(fragments)
    head = rf"\documentclass{{article}}\usepackage[a2paper]{{geometry}}\usepackage{{{','.join(needed)}}}"
    return f"{head}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"


def require_typeset(source: str) -> None:
    """TeX, if it is here, finds nothing to object to, wide formulas apart."""
    if shutil.which("pdflatex") is None:
        return
    made, log = setting.compile_tex(source)
    assert made.startswith(b"%PDF-")
    assert not re.findall(r"^!.*|^LaTeX Warning: Label.*|^.*Missing character.*", log, re.M)


def require_read(formulas: Sequence[str]) -> None:
    """KaTeX, if it is here, reads all of them."""
    if katex.path() is not None:
        assert not katex.faults(formulas)


def test_commands_are_those_that_all_know(shipped: Catalogue) -> None:
    for entry_id in list(shipped)[::3]:
        for subject in subjects_of(shipped[entry_id], ()):
            for environment in ENVIRONMENTS:
                label = None if environment == "none" else "a"
                text = Fragment(subject, Wanted(environment, label, where=True)).latex()
                formulas = " ".join(formulas_in(text))
                assert set(re.findall(r"\\([a-zA-Z]+)", formulas)) <= ALLOWED
                assert set(re.findall(r"\\begin\{(.*?)\}", formulas)) <= {
                    "equation", "align", "aligned", "cases", "matrix", "pmatrix", "bmatrix",
                }  # fmt: skip


def test_packages_are_named_where_amsmath_is_not_enough() -> None:
    assert packages(r"\mathbb{R}") == packages(r"\mathfrak{g}") == ("amsmath", "amssymb")
    assert packages(r"\mathbbx \mathcal{L} \boldsymbol{x} \lvert x \rvert") == ("amsmath",)


@READERS
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("notation", names())
def test_tex_and_katex_read_everything(notation: str, part: int) -> None:
    """Every definition, claim and derivative, bare and in each environment, with the sentence about its symbols.

    What does not say that it takes more is typeset with amsmath alone. Other notations than the plain one set the same
    letters and signs in all forms, of which they have two.
    """
    shipped = kb.load_catalogue(notation=notation)
    forms = FORMS if notation == "plain" else ("derivative", "vjp")
    simple: list[str] = []
    others: list[str] = []
    formulas: list[str] = []
    for entry_id in list(shipped)[part::PARTS]:
        for n, subject in enumerate(subjects_of(shipped[entry_id], forms)):
            formula = bare(subject)
            formulas.append(formula)
            (simple if packages(formula) == ("amsmath",) else others).append(f"\\[{formula}\\]\n${formula}$")
            wanted = [Wanted(name, f"{name}:{entry_id}/{n}") for name in ENVIRONMENTS if name != "none"]
            for made in (Fragment(subject, w).latex() for w in (*wanted, Wanted(where=True))):
                formulas += formulas_in(made)
                (others if made.startswith("%") else simple).append(made)
    assert len(formulas) > 50
    require_read(formulas)
    require_typeset(document(simple, "amsmath"))
    require_typeset(document(others, "amsmath", "amssymb"))


@READERS
@pytest.mark.slow
@pytest.mark.parametrize("notation", names())
def test_tex_and_katex_read_macros_with_their_definitions(notation: str) -> None:
    """Every sixth entry: TeX has the definitions once, KaTeX before each formula."""
    plain = kb.load_catalogue(notation=notation)
    shipped = plain.written_in(plain.profile.with_macros())
    subjects = [s for i in list(shipped)[::6] for s in subjects_of(shipped[i], ("derivative", "vjp"))]
    formulas = [bare(subject) for subject in subjects]
    define = shipped.profile.definitions
    assert define("\n".join(formulas)) and len(formulas) > 100
    require_read([define(formula) + formula for formula in formulas])
    require_typeset(document([define("\n".join(formulas)), *(f"\\[{f}\\]" for f in formulas)], "amsmath", "amssymb"))


@READERS
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_tex_and_katex_read_every_derivation(shipped: Catalogue, part: int) -> None:
    made = []
    for entry_id in list(shipped)[part::PARTS]:
        equation = shipped[entry_id]
        for name in equation.entry.differentiate:
            subject = Subject(equation, equation.derivative(name))
            wanted = Wanted("none", where=True, derivation=True)
            made.append(Fragment(subject, wanted, equation.derivation(name, 1)).latex())
    formulas = [f for text in made for f in formulas_in(text)]
    assert set(re.findall(r"\\([a-zA-Z]+)", " ".join(formulas))) <= ALLOWED
    require_read(formulas)
    require_typeset(document(made, "amsmath", "amssymb"))


@TEX
@pytest.mark.slow
def test_tex_typesets_what_people_write(own: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(hostile.catalogue(), sort_keys=False), encoding="utf-8")
    entries = [own["steps"], kb.load_catalogue(path)["hostile"]]
    subjects = [s for e in entries for s in (Subject(e), Subject(e, e.vjp()), *subjects_of(e, ["hessian"]))]
    made = [Fragment(s, Wanted("align", f"a:{n}", True)).latex() for n, s in enumerate(subjects)]
    require_typeset(document(made, "amsmath", "amssymb"))


@KATEX
@pytest.mark.slow
def test_katex_is_strict() -> None:
    assert set(katex.faults([r"\foo", r"a \\ b", r"\begin{align*} a &= b \intertext{c} \end{align*}", "x"])) >= {
        r"\foo"
    }


def test_wrong_parts_raise() -> None:
    with pytest.raises(EqkbError, match="--env"):
        Wanted(label="a")
