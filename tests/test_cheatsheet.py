"""Cheat sheets in LaTeX, PDF and Markdown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import catalogue

from generators.parts import DerivativeView, Formula
from generators.sheets import Contents, Layout, selection, setting, sheet
from generators.sheets.tex import breakable, derivatives, escape, formula
from generators.views import views
from kb.catalogue import Catalogue, load_catalogue
from kb.cli import main
from kb.errors import EqkbError
from kb.notations import names

TEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
TROUBLE = re.compile(r"^.*(?:Warning|Overfull|Underfull).*$", re.M)


def cheatsheet(catalogue: Catalogue, ids: Sequence[str], form: str = "tex", **layout: Any) -> str:
    return sheet(contents(catalogue, ids, **layout), form)


def contents(catalogue: Catalogue, ids: Sequence[str], **layout: Any) -> Contents:
    return selection(views(catalogue, ids), layout=Layout(**layout))


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("hostile") / "hostile.yaml"
    path.write_text(yaml.safe_dump(catalogue(), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_catalogue(path)


def test_a_sheet_holds_formula_derivative_and_symbols(shipped: Catalogue) -> None:
    sheet = cheatsheet(shipped, ["softmax"])
    equation = shipped["softmax"]
    for latex in (equation.latex(), equation.derivative("z").latex(), equation.vjp("z").latex()):
        assert formula(Formula(latex, "")).removeprefix(r"\rows{").removesuffix("}") in sheet
    assert "scores of the C classes, also called logits" in sheet
    assert re.findall(r"^\\topic\{(.*)\}\{hue0\}%$", sheet, re.M) == ["Activations"]
    assert "paperwidth=210.0mm,paperheight=297.0mm" in sheet and "\\chardef\\columncount=2\n" in sheet


def test_a_sheet_loads_standard_packages_only(shipped: Catalogue) -> None:
    packages = set(re.findall(r"\\usepackage(?:\[[^]]*\])?\{(\w+)\}", cheatsheet(shipped, ["relu"])))
    assert packages <= {
        "amsmath", "amssymb", "booktabs", "fontenc", "geometry", "graphicx", "hyperref", "inputenc", "lmodern",
        "multicol", "xcolor",
    }  # fmt: skip


def test_the_legend_explains_what_the_sheet_uses(shipped: Catalogue) -> None:
    def signs(ids: list[str]) -> set[str]:
        return {s.shown.latex for s, _ in contents(shipped, ids).legend}

    assert signs(["relu"]) == {"x_i"}
    assert {"x_i", r"\bar{x}", r"\delta_{jk}", r"x \odot y"} <= signs(["softmax"])
    assert r"X^{\top}" in signs(["linear"])
    assert r"\dot{x}" not in signs(["lstm_cell"])
    for form in ("tex", "md"):
        softmax, relu = (cheatsheet(shipped, [i], form) for i in ("softmax", "relu"))
        assert "a number as an index counts from 0" in softmax and "product, element by element" in softmax
        assert "an index counts from 0" in relu and "product, element by element" not in relu


def test_symbols_that_entries_share_are_explained_once(tmp_path: Path) -> None:
    symbols = {"x": {"shape": ["n"], "about": "the same input"}, "y": {"role": "output", "about": "its own output"}}
    entry = {"topic": "small", "about": "One of two.", "symbols": symbols}
    path = tmp_path / "two.yaml"
    two = {"one": {**entry, "name": "One", "define": "y = sum(x)"}, "two": {**entry, "name": "Two"}}
    two["two"] |= {"define": "y = sum(x**2)", "symbols": {**symbols, "y": {"role": "output", "about": "another"}}}
    path.write_text(json.dumps(two), encoding="utf-8")
    sheet = cheatsheet(load_catalogue(path), ["one", "two"])
    assert sheet.count("the same input") == sheet.count("its own output") == sheet.count("another") == 1
    assert re.search(r"^\\detail\{symbols\}\{\\shared\{.*the same input\}\}%$", sheet, re.M)
    assert sheet.count(r"\note{") == 2


def test_a_symbol_of_several_meanings_is_explained_in_front_by_the_most_frequent(tmp_path: Path) -> None:
    entries = {
        name: {
            "name": name.title(),
            "topic": "small",
            "about": "One of several.",
            "symbols": {"x": {"about": about}, "y": {"role": "output"}},
            "define": "y = x",
        }
        for name, about in zip("abcde", ("a step", "a gate", "a gate", "a gate", "a step"), strict=True)
    }
    path = tmp_path / "five.yaml"
    path.write_text(json.dumps(entries), encoding="utf-8")
    sheet = cheatsheet(load_catalogue(path), list(entries))
    assert re.search(r"^\\detail\{symbols\}\{\\shared\{.*a gate.*\}\}%$", sheet, re.M)
    assert (sheet.count("a gate"), sheet.count("a step")) == (1, 2)


def test_many_short_rows_stand_side_by_side() -> None:
    def rows(lines: list[str]) -> Formula:
        body = " \\\\\n".join(lines)
        return Formula(f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}", "")

    few, many = [f"x_{n} &= {n}" for n in range(3)], [f"x_{n} &= {n}" for n in range(5)]
    assert formula(rows(few)) == r"\rows{\row{x_0}{= 0}\row{x_1}{= 1}\row{x_2}{= 2}}"
    assert formula(rows(many)).startswith(r"\manyrows{\row{x_0}{= 0}")
    assert formula(rows([*many, r"&\quad {} + 5"])).endswith(r"\widerow{x_4}{= 4}\widerow{}{\quad {}\brk + 5}}")
    assert formula(Formula("y = x", "")) == r"\rows{\row{y}{= x}}"
    assert formula(Formula("y = " + "x" * 5000, "")).startswith(r"\rows{\longrow{y}{= x")


def test_derivatives_are_aligned_with_each_other() -> None:
    def shown(name: str, latex: str) -> DerivativeView:
        return DerivativeView("partial", (name,), Formula(latex, ""), (), (), (), ())

    short, long = shown("a", "u = a"), shown("b", "v = " + "x" * 5000)
    assert derivatives([short, short]) == r"\rows{\row{u}{= a}\row{u}{= a}}"
    assert derivatives([short, long]).startswith(r"\rows{\row{u}{= a}}\toolong{The derivatives by b fill")
    assert derivatives([long]).startswith(r"\toolong{")


def test_lines_end_between_terms_and_never_within_braces() -> None:
    assert breakable("= a + b") == r"= a\brk + b"
    assert breakable(r"f(a, b - c)") == r"f(a, \brkcomma b\brkin - c)"
    assert breakable(r"\frac{a + b}{c} \odot d") == r"\frac{a + b}{c}\brk \odot d"
    assert breakable(r"e^{\left( a + b \right)}") == r"e^{\left( a + b \right)}"
    assert breakable(r"\left( a + b \right)\, c") == r"\opening( a\brkin + b \closing)\, \brkjoint c"
    assert breakable(r"\sin(x) \cos(y)") == r"\sin(x) \brkjoint \cos(y)"
    cases = r"\begin{cases} a + b & \text{if } x, y \end{cases}"
    assert breakable(cases) == cases


def test_long_words_may_break() -> None:
    assert escape("a" * 33) == r"\hspace{0pt}".join("a" * 33)
    assert escape("a" * 32) == "a" * 32
    assert escape("two words") == "two words"


def test_the_markdown_sheet_has_the_form_of_the_sources(shipped: Catalogue) -> None:
    sheet = cheatsheet(shipped, ["softmax", "linear"], "md")
    assert sheet.startswith("# Deep learning equations\n\n## Activations\n\n#### Softmax\n\n$$\np_j = ")
    assert "\n$$\n\nwhere:\n\n- $z$: scores of the C classes, also called logits ($C$)\n- $p$: " in sheet
    for entry_id in ("softmax", "linear"):
        for symbol in shipped[entry_id].symbols.values():
            assert f"\n- ${symbol.latex}$: " in sheet
    assert len(re.findall(r"\n\nwhere:\n\n(?:- .*\n)+\n(?!-)", sheet)) == 2


def test_an_unknown_format_is_refused(shipped: Catalogue) -> None:
    with pytest.raises(EqkbError, match="docx"):
        cheatsheet(shipped, ["softmax"], "docx")


def test_a_file_is_written_whole(shipped: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "sheet.tex"
    path.write_text("old")
    assert main(["cheatsheet", "relu", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == cheatsheet(shipped, ["relu"])
    assert os.listdir(tmp_path) == ["sheet.tex"]


def test_where_a_sheet_cannot_be_written_one_message_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "no" / "sheet.tex", "there is no folder")):
        assert main(["cheatsheet", "relu", "-o", str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert os.listdir(tmp_path) == []


def test_a_pipe_is_written_to_and_not_replaced(shipped: Catalogue, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert main(["cheatsheet", "relu", "--format", "md", "-o", str(pipe)]) == 0
    assert os.read(reader, 30).startswith(b"# Deep learning equations")
    os.close(reader)
    assert pipe.is_fifo()


def test_hostile_text_stays_text_in_tex(hostile: Catalogue) -> None:
    sheet = cheatsheet(hostile, list(hostile))
    assert r"\input{" not in sheet and r"\write18" not in sheet
    assert sheet.count(r"\end{document}") == 1
    assert "{{7*7}}" not in sheet and "49" not in sheet
    assert sheet.isascii()


@TEX
@pytest.mark.slow
@pytest.mark.parametrize("notation", names())
def test_the_whole_catalogue_compiles_without_a_warning(notation: str) -> None:
    shipped = load_catalogue(notation=notation)
    made, log = setting.compile_tex(cheatsheet(shipped, list(shipped)))
    assert made.startswith(b"%PDF-")
    assert TROUBLE.findall(log) == []


@TEX
@pytest.mark.slow
@pytest.mark.parametrize("entry_id", list(load_catalogue()))
def test_every_entry_by_itself_compiles_without_a_warning(shipped: Catalogue, entry_id: str) -> None:
    _, log = setting.compile_tex(cheatsheet(shipped, [entry_id]))
    assert TROUBLE.findall(log) == []


LONG = {
    "sum_of_many": "y = x" + "".join(f" + a**{n}*sin({n}*x)*(x + a)" for n in range(2, 30)),
    "sum_under_a_root": "y = sqrt(1" + "".join(f" + x**{n}" for n in range(2, 50)) + ")",
    "product_of_many": "y = x" + "".join(f"*cos({n}*x)" for n in range(2, 30)),
    "sum_without_end": "y = x" + "".join(f" + cos({n}*x)*sin({n}*x)" for n in range(2, 220)),
    "one_long_name": f"y = x*{'long_' * 14}name",
}


def long_catalogue(path: Path) -> Catalogue:
    def entry(name: str, define: str) -> dict[str, Any]:
        others = {n: {"about": "another number"} for n in ("a", "long_" * 14 + "name") if n in define.split("=")[1]}
        symbols = {"x": {"about": "input"}, **others, "y": {"role": "output", "about": "result"}}
        return {
            "name": name.replace("_", " "), "topic": "long", "about": "Too long for a column.", "symbols": symbols,
            "define": define, "differentiate": ["x"],
        }  # fmt: skip

    path.write_text(json.dumps({name: entry(name, define) for name, define in LONG.items()}), encoding="utf-8")
    return load_catalogue(path)


@TEX
@pytest.mark.slow
def test_a_formula_that_is_too_long_is_broken_or_made_smaller(tmp_path: Path) -> None:
    long = long_catalogue(tmp_path / "long.yaml")
    for ids in ([i] for i in long):
        _, log = setting.compile_tex(cheatsheet(long, ids))
        assert TROUBLE.findall(log) == []


@TEX
@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 7])
def test_small_sheets_compile_without_a_warning(shipped: Catalogue, count: int) -> None:
    _, log = setting.compile_tex(cheatsheet(shipped, list(shipped)[::5][:count]))
    assert TROUBLE.findall(log) == []


@TEX
@pytest.mark.slow
def test_hostile_text_reaches_the_pdf_as_text(hostile: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "hostile.pdf"
    made, log = setting.compile_tex(cheatsheet(hostile, list(hostile)))
    path.write_bytes(made)
    assert TROUBLE.findall(log) == []
    assert "/etc/passwd" not in log
    if shutil.which("pdftotext"):
        text = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=True, text=True).stdout
        words = re.sub(r"\s+", "", text)
        assert "root:" not in words
        for piece in (r"\input{/etc/passwd}", "{{7*7}}", "<script>", "100%#&", "U+4E2D"):
            assert piece in words


@TEX
@pytest.mark.slow
def test_the_same_sheet_gives_the_same_pdf(shipped: Catalogue) -> None:
    source = cheatsheet(shipped, ["softmax"])
    assert setting.compile_tex(source)[0] == setting.compile_tex(source)[0]


@TEX
@pytest.mark.slow
def test_tex_reads_no_file_elsewhere_and_runs_no_program(tmp_path: Path) -> None:
    secret = tmp_path / "secret.tex"
    secret.write_text("found")
    body = rf"\documentclass{{article}}\begin{{document}}x\input{{{secret}}}\end{{document}}"
    with pytest.raises(EqkbError):
        setting.compile_tex(body)
    made = tmp_path / "made"
    shell = rf"\documentclass{{article}}\begin{{document}}x\immediate\write18{{touch {made}}}\end{{document}}"
    setting.compile_tex(shell)
    assert not made.exists()


@TEX
def test_tex_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting, "SECONDS", 1)
    with pytest.raises(EqkbError, match="longer than 1 seconds"):
        setting.compile_tex(r"\documentclass{article}\begin{document}\def\x{\x}\x\end{document}")
