"""Formulas in Markdown: whole for every reader, in commands that all of them know."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import agreement
import pytest
from markdown_it import MarkdownIt

from generators import markdown
from generators.sheets import selection, setting, sheet
from generators.views import views
from kb.catalogue import Catalogue
from kb.cli import main
from kb.printing import markdown_display, markdown_inline, markdown_math

TEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
FOUND = find_spec("pypandoc")  # has a pandoc of its own
PANDOC = shutil.which("pandoc") or (FOUND and FOUND.origin and str(Path(FOUND.origin).parent / "files" / "pandoc"))
# What MathJax 3 (with its extensions ams and boldsymbol), KaTeX 0.19, LaTeX (with amsmath and amssymb) and Pandoc 3
# were all seen to typeset. A new command is to be tried with each of them before it stands here.
KNOWN = set(
    """
    alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi varphi chi
    psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell infty partial nabla mathbb mathbf mathcal
    mathrm text mathop nolimits bar dot hat tilde overline widehat widetilde frac sqrt sum prod int max min exp log
    sin cos tan sinh cosh tanh arcsin arccos arctan det left right begin end lfloor rfloor lceil rceil lvert rvert
    lVert rVert vert Vert lbrace rbrace mid cdot odot times ast top star pm oplus wedge land lor lnot in notin to
    gets leftarrow dots ldots cdots sim propto le ge ne approx equiv enspace quad qquad vartheta iota varpi varrho
    varsigma upsilon Upsilon hbar imath jmath Re Im aleph prime dagger ddagger bot perp parallel circ bullet otimes
    mp emptyset ddot vec check breve acute grave underline mathfrak mathsf mathit boldsymbol substack bmod setminus
    bigl bigr Bigl Bigr
    langle rangle neq leq geq binom lim
    """.split()
)


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


def formulas_in(text: str) -> list[str]:
    """The formulas of Markdown, without those of its code."""
    plain = re.sub(r"^```python\n.*?^```$|`[^`\n]+`", "", text, flags=re.M | re.S)
    return [display or line for display, line in re.findall(r"\$\$\n(.*?)\n\$\$|\$([^$\n]+)\$", plain, re.S)]


# --- formulas ----------------------------------------------------------------------------------------


def test_signs_are_written_as_words() -> None:
    assert markdown_math(r"a\, b \{x\} < c \\ d") == "a\\ b \\lbrace x\\rbrace < c \\\\\nd"
    assert markdown_math(r"\left|a\right|\;\|b\|\!(x)") == r"\left\vert a\right\vert \enspace \Vert b\Vert (x)"
    assert markdown_math(r"\operatorname{sum}(x)") == r"\mathop{\mathrm{sum}}\nolimits (x)"
    assert markdown_math(r"\operatorname*{arg\,max}_k") == r"\mathop{\mathrm{arg\ max}}_k"
    assert markdown_math(r"\operatorname{a-b}") == r"\mathop{\mathrm{a\text{-}b}}\nolimits"


def test_angle_brackets_begin_no_tag() -> None:
    assert markdown_math("a<b>c") == "a < b > c"
    assert markdown_math("a \\\\\n>b") == "a \\\\\n{}> b"


def test_rows_end_where_lines_end() -> None:
    rows = r"\begin{pmatrix} - a & b \\ + c & 1. \end{pmatrix}"
    assert markdown_math(rows) == "\\begin{pmatrix} - a & b \\\\\n{+} c & 1. \\end{pmatrix}"
    assert markdown_math("a \\\\\n&= b") == "a \\\\\n&= b"


def test_no_underscore_ends_an_emphasis() -> None:
    assert markdown_math(r"\bar{y}_i \sum_{k} x_k^*") == r"\bar{y}_i \sum _{k} x_k^\ast"
    assert markdown_math(r"x_\alpha") == r"x _\alpha"


def test_no_blank_stands_before_the_closing_dollar() -> None:
    assert markdown_inline(r"\{x\}") == r"$\lbrace x\rbrace$"
    assert markdown_inline(r" x^* ") == r"$x^\ast$"
    assert markdown_inline(r"x\,") == "$x$"
    assert markdown_display("x\\, \n") == "$$\nx\n$$"


# --- documents ---------------------------------------------------------------------------------------


def require_whole(text: str) -> None:
    """Every formula survives a reader of Markdown that knows no formulas, as GitHub's reads before it looks for them.

    All readers keep what ends a row at the end of a line.
    """
    shown = html.unescape(MarkdownIt("commonmark").enable("table").render(text.replace("\\\\\n", "ROW\n")))
    found = formulas_in(text)
    assert len(found) > 2
    for formula in (f.replace("\\\\\n", "ROW\n") for f in found):
        assert formula in shown
        assert not re.search(r"\\(?![a-zA-Z ])|[<>](?! )|(?<! )[<>]|^ | $", formula)
        assert formula.count("{") == formula.count("}")
        assert set(re.findall(r"\\([a-zA-Z]+)", formula)) <= KNOWN


def require_dollars_apart(text: str) -> None:
    """Around a formula stand blanks or punctuation, around one in lines of its own blank lines."""
    lines = text.split("\n")
    places = [n for n, line in enumerate(lines) if line == "$$"]
    for begin, end in zip(places[::2], places[1::2], strict=True):
        assert lines[begin - 1] == lines[end + 1] == ""
        assert "" not in lines[begin:end]
    rest = re.sub(r"^\$\$\n.*?\n\$\$$", "", text, flags=re.M | re.S)
    for line in rest.split("\n"):
        parts = re.split(r"(?<!\\)\$", re.sub(r"`[^`]+`", "", line))
        assert len(parts) % 2 == 1
        for before, after in zip(parts[:-1:2], parts[2::2], strict=True):
            assert re.search(r"(^|[ (,|])$", before), line
            assert re.match(r"$|[ ):;,.|]", after), line


def test_every_entry_is_a_section_with_all_its_symbols(shipped: Catalogue) -> None:
    for view in views(shipped, list(shipped)):
        text = markdown.section(view)
        heading, empty, dollars, *_ = text.split("\n")
        assert heading.startswith("#### ") and heading.replace("\\", "")[5:] == view.entry.name
        assert (empty, dollars) == ("", "$$")
        begin = text.index("\n\nwhere:\n\n") + len("\n\nwhere:\n\n")
        items = text[begin:].splitlines()
        assert len(items) == len(view.symbols)
        for item, symbol in zip(items, view.symbols, strict=True):
            assert item.startswith(f"- {markdown_inline(symbol.glyph.latex)}: ")
        require_whole(text)
        require_dollars_apart(text)


def test_pages_keep_their_formulas(shipped: Catalogue) -> None:
    for view in views(shipped, list(shipped)[3::20]):
        page = markdown.page(view)
        require_whole(page)
        require_dollars_apart(page)


def test_a_document_has_topics_and_entries_as_headings(shipped: Catalogue) -> None:
    ids = list(shipped)[::6]
    text = sheet(selection(views(shipped, ids)), "md")
    entries = views(shipped, ids)
    assert re.findall(r"^## (.*)$", text, re.M) == [*dict.fromkeys(v.topic_title for v in entries), "Notation"]
    assert len(re.findall(r"^#### ", text, re.M)) == len(ids)
    for view in entries:
        assert markdown.section(view) in text
    require_whole(text)
    require_dollars_apart(text)


def test_a_symbol_is_explained_with_its_values_and_shape(shipped: Catalogue) -> None:
    text = sheet(selection(views(shipped, ["categorical_cross_entropy", "embedding", "adam"])), "md")
    assert "(one-hot, $N \\times C$)\n" in text
    assert "- $i$: item, counted from 0 (label, one of V)\n" in text
    assert "- $\\eta$: learning rate (positive)\n" in text
    assert text.startswith("# Deep learning equations\n")
    assert sheet(selection(views(shipped, ["adam"])), "md").startswith("# Deep learning equations: optimizers\n")


def test_the_command_prints_a_section(shipped: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latex", "softmax", "--format", "md"]) == 0
    text = capsys.readouterr().out
    assert text == markdown.section(views(shipped, ["softmax"])[0])
    assert main(["cheatsheet", "softmax", "--format", "md"]) == 0
    assert text in capsys.readouterr().out
    assert main(["latex", "softmax", "--format", "md", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["markdown"] == text and found["latex"] == shipped["softmax"].latex()
    assert main(["latex", "softmax", "--format", "md", "--wrt", "z"]) == 2
    assert "leave out --wrt" in capsys.readouterr().err


def test_a_derivation_keeps_its_formulas(shipped: Catalogue) -> None:
    text = shipped["softmax"].derivation("z", 1).markdown()
    assert re.findall(r"^(\d)\\\. ", text, re.M) == ["1", "2", "3", "4"]
    require_whole(text)
    require_dollars_apart(text)


# --- other programs ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_whole_catalogue_keeps_its_formulas(shipped: Catalogue) -> None:
    text = sheet(selection(views(shipped, list(shipped))), "md")
    require_whole(text)
    require_dollars_apart(text)


@TEX
@pytest.mark.slow
def test_latex_typesets_every_formula(shipped: Catalogue) -> None:
    shown = "\n\n".join(rf"\[{f}\]" for f in formulas_in(sheet(selection(views(shipped, list(shipped))), "md")))
    head = r"\documentclass{article}\usepackage[a2paper]{geometry}\usepackage{amsmath,amssymb}"
    made, log = setting.compile_tex(f"{head}\\begin{{document}}\n{shown}\n\\end{{document}}\n")
    assert made.startswith(b"%PDF-")
    assert not re.findall(r"^!.*", log, re.M)


@pytest.mark.skipif(not PANDOC, reason="pandoc is not installed")
@pytest.mark.slow
def test_pandoc_reads_every_formula(shipped: Catalogue, tmp_path: Path) -> None:
    text = sheet(selection(views(shipped, list(shipped))), "md")
    path = tmp_path / "all.md"
    path.write_text(text, encoding="utf-8")
    run = subprocess.run([str(PANDOC), "--mathml", str(path)], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    assert len(re.findall(r"<math\b", run.stdout)) == len(formulas_in(text))
    assert len(re.findall(r"<h4\b", run.stdout)) == len(shipped)
