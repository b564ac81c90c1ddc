"""Sheets: what stands on them, how they fit their pages, and the programs that set them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hostile import catalogue

from generators.making import Making
from generators.sheets import Layout, declared, selection, setting, sheet
from generators.sheets.contents import PAPERS, Contents
from generators.sheets.typ import quoted, typ
from generators.views import EntryView, views
from kb.catalogue import Catalogue, load_catalogue
from kb.cli import main
from kb.cli.arguments import PAPERS as OFFERED
from kb.errors import EqkbError
from kb.model import Detail
from kb.sheets import giving_way, ids_of, sections_of

TEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
TYPST = pytest.mark.skipif(importlib.util.find_spec("typst") is None, reason="Typst is not installed")
POPPLER = pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="pdftoppm is not installed")
TROUBLE = re.compile(r"^.*(?:Warning|Overfull|Underfull).*$", re.M)
SHEETS = list(load_catalogue().records.sheets)
ALL: tuple[Detail, ...] = ("derivatives", "backward", "symbols", "references", "evidence")

OWN = """
square: {name: Square, topic: small, about: A square., symbols: {x: {}, y: {role: output}}, define: y = x**2,
  differentiate: [x]}
cube: {name: Cube, topic: small, about: A cube., symbols: {x: {}, y: {role: output}}, define: y = x**3}
other: {name: Other, topic: large, about: Another., symbols: {x: {}, y: {role: output}}, define: y = square(x)}
sheets:
  mine:
    title: My own & others
    about: With $5 signs.
    sections:
      First: [cube]
      Small things: {entries: [other], topics: [small]}
      Nothing is left: {topics: [large]}
    details: []
    columns: 3
    landscape: true
    pages: 2
"""


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load_catalogue()


@pytest.fixture(scope="module")
def entries(shipped: Catalogue) -> dict[str, EntryView]:
    return {view.id: view for view in views(shipped, list(shipped))}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    return path


def made(
    entries: dict[str, EntryView], ids: Sequence[str], details: tuple[Detail, ...] = ALL, **layout: Any
) -> Contents:
    return selection([entries[i] for i in ids], details, Layout(**layout))


# --- what stands on a sheet --------------------------------------------------------------------------


def test_a_declared_sheet_has_its_sections_and_every_entry_once(own: Path) -> None:
    found = load_catalogue(own)
    mine = found.records.sheets["mine"]
    assert sections_of(found.records, mine) == [("First", ["cube"]), ("Small things", ["other", "square"])]
    assert ids_of(found.records, mine) == ["cube", "other", "square"]
    contents = declared(found, mine, views(found, list(found)))
    assert [s.title for s in contents.sections] == ["First", "Small things"]
    assert contents.layout == Layout(3, "a4", True, 2) and contents.details == ()


def test_the_command_writes_a_declared_sheet(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form, words in (("tex", r"My own \& others"), ("typ", r"My own & others"), ("md", "# My own &amp; others")):
        layout = [] if form == "md" else ["--pages", "9"]
        assert main(["cheatsheet", "--catalogue", str(own), "--sheet", "mine", "--format", form, *layout]) == 0
        assert words in capsys.readouterr().out


def test_all_that_is_offered_on_the_command_line_exists() -> None:
    assert list(OFFERED) == sorted(PAPERS, key=list(PAPERS).index)


def test_shipped_sheets_have_entries_and_cover_their_topics(shipped: Catalogue) -> None:
    assert len(SHEETS) >= 12
    for key, found in shipped.records.sheets.items():
        assert len(ids_of(shipped.records, found)) >= 3, key


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--sheet", "atention"], 3, "did you mean 'attention'"),
        (["--sheet", "attention", "softmax"], 2, "not both"),
        (["softmax", "--with", "symbol"], 2, "did you mean 'symbols'"),
        (["softmax", "--columns", "7"], 2, "no whole number from 1 to 6"),
        (["softmax", "--pages", "none"], 2, "no whole number from 1 to 100"),
        (["softmax", "--paper", "a9"], 2, "a3"),
        (["softmax", "--format", "md", "--pages", "1"], 2, "Markdown has no pages; leave out --pages"),
    ],
)
def test_wrong_usage_is_one_message(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cheatsheet", *arguments]) == code
    said = capsys.readouterr()
    assert words in said.err and len(said.err.splitlines()) == 1 and not said.out


def test_json_says_what_stands_on_the_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cheatsheet", "softmax", "--with", "references,backward", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ids"] == ["softmax"] and found["details"] == ["backward", "references"]
    assert found["text"].startswith(r"\documentclass")


@pytest.mark.parametrize("form", ["tex", "typ", "md"])
def test_each_detail_stands_on_the_sheet_where_it_is_asked_for(entries: dict[str, EntryView], form: str) -> None:
    words = {"derivatives": "p_j", "symbols": "scores of the C classes", "references": "Bridle", "evidence": "checked"}
    for detail, word in words.items():
        with_it = sheet(made(entries, ["softmax"], (detail,)), form)  # type: ignore[arg-type]
        without = sheet(made(entries, ["softmax"], ()), form)
        assert with_it.count(word) > without.count(word), detail


def test_a_backward_pass_says_what_it_is_given_and_what_must_be_kept(entries: dict[str, EntryView]) -> None:
    text = sheet(made(entries, ["scaled_dot_product_attention"], ("backward",)), "tex")
    given = r"given $\bar{O}$~\textcolor{faint}{($n {\times} d_v$)}; keep $Q$, $K$, $V$, $A$"
    assert given in text
    assert "nothing of the forward pass" not in sheet(made(entries, ["linear"], ("backward",)), "md")


@pytest.mark.parametrize(
    ("entry_id", "names"),
    [
        ("sigmoid", ["y"]),  # the result alone
        ("batch_norm", ["x", "γ", "σ²", "x̂", "μ"]),  # steps as well, but no epsilon
        ("relu", ["z"]),
        ("mutual_information", ["p", "p^X", "p^Y"]),  # and no index of a step
    ],
)
def test_what_a_backward_pass_reads_is_what_must_be_kept(shipped: Catalogue, entry_id: str, names: list[str]) -> None:
    backward = Making(shipped[entry_id], shipped).backward
    assert backward is not None and [f.text for f in backward.saved] == names


def test_signs_that_only_derivatives_use_give_way_with_them(entries: dict[str, EntryView]) -> None:
    legend = {sign.shown.latex: detail for sign, detail in made(entries, ["softmax", "relu"]).legend}
    assert legend["x_i"] == "" and legend[r"\delta_{jk}"] == "derivatives" and legend[r"\bar{x}"] == "backward"


def test_details_give_way_in_the_stated_order() -> None:
    assert giving_way(ALL) == ("evidence", "references", "symbols", "long derivatives", "derivatives", "backward")
    assert giving_way(("backward", "symbols")) == ("symbols", "backward")
    assert giving_way(()) == ()


def test_a_sheet_that_was_made_is_kept_until_something_changes(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> str:
        assert main(["cheatsheet", "--catalogue", str(own), "--sheet", "mine", "--format", "md"]) == 0
        return capsys.readouterr().out

    assert said() == said()
    own.write_text(OWN.replace("x**3", "x**5"), encoding="utf-8")
    assert "x^5" in said()


# --- Typst -------------------------------------------------------------------------------------------


def test_a_row_for_typst_comes_whole_and_in_pieces(entries: dict[str, EntryView]) -> None:
    text = typ(made(entries, ["binary_cross_entropy"], ()))
    assert re.search(r'\(left: \$L\$, whole: \$L = .*\$, wide: false, cut: \(\(.*\$""\+ ', text)
    assert quoted('a"b\\c') == r'"a\"b\\c"'


def test_hostile_text_stays_text_in_typst(tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(catalogue(), allow_unicode=True, sort_keys=False), encoding="utf-8")
    found = load_catalogue(path)
    text = typ(selection(views(found, list(found)), ALL))
    assert not re.search(r"(?<!\\)#(?:read|include|import|eval)", text)


@TEX
@TYPST
@pytest.mark.slow
@pytest.mark.parametrize("key", SHEETS)
def test_every_declared_sheet_takes_as_many_pages_in_typst_as_in_tex(
    shipped: Catalogue, entries: dict[str, EntryView], key: str
) -> None:
    for paper in ("a4", "letter"):
        contents = with_paper(shipped, entries, key, paper)
        by_tex, by_typst = (setting.set_sheet(sheet(contents, f), f, contents.layout) for f in ("tex", "typ"))
        assert by_typst.content.startswith(b"%PDF-")
        assert abs(by_typst.pages - by_tex.pages) <= 1 and by_typst.left_out == by_tex.left_out


@TYPST
def test_the_same_sheet_gives_the_same_pdf_by_typst(entries: dict[str, EntryView]) -> None:
    text = typ(made(entries, ["softmax", "relu"]))
    assert setting.set_sheet(text, "typ", Layout()) == setting.set_sheet(text, "typ", Layout())


@TYPST
@pytest.mark.slow
def test_typst_sets_hostile_text_as_text_and_everything_in_all_details(
    tmp_path: Path, entries: dict[str, EntryView]
) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(catalogue(), allow_unicode=True, sort_keys=False), encoding="utf-8")
    found = load_catalogue(path)
    pdf = setting.set_sheet(typ(selection(views(found, list(found)), ALL)), "typ", Layout()).content
    assert pdf.startswith(b"%PDF-")
    if shutil.which("pdftotext"):
        said = subprocess.run(["pdftotext", "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()
        words = re.sub(r"\s+", "", said)
        assert "root:" not in words
        for piece in (r"\input{/etc/passwd}", "{{7*7}}", "<script>", "100%#&"):
            assert piece in words
    assert setting.set_sheet(typ(made(entries, list(entries))), "typ", Layout()).pages > 10


@TYPST
def test_without_tex_typst_sets_the_pdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "sheet.pdf"
    assert main(["cheatsheet", "softmax", "relu", "--format", "pdf", "-o", str(out)]) == 0
    assert out.read_bytes().startswith(b"%PDF-")
    assert capsys.readouterr().err == f"wrote {out}\n"


def test_without_either_one_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setting, "can_set", lambda form: False)
    out = tmp_path / "sheet.pdf"
    for arguments in (["cheatsheet", "softmax", "--format", "pdf", "-o", str(out)], ["build", "--pdf", "-o", str(out)]):
        assert main(arguments) == 2
        message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        for words in ("pdflatex", "apt-get install texlive", "pip install 'eqkb[typst]'", "--format tex"):
            assert words in message
    assert not out.exists()
    assert main(["cheatsheet", "softmax", "--pages", "1"]) == 0
    assert "symbols, then long derivatives, then derivatives" in capsys.readouterr().err


# --- pages -------------------------------------------------------------------------------------------


def with_paper(shipped: Catalogue, entries: dict[str, EntryView], key: str, paper: str) -> Contents:
    found = shipped.records.sheets[key]
    layout = Layout(found.columns, paper, found.landscape, found.pages)
    return declared(shipped, found, list(entries.values()), layout=layout)


def ink(pdf: bytes, page: int) -> np.ndarray:
    """Where there is ink on a page, above the line at its foot."""
    command = ["pdftoppm", "-gray", "-r", "30", "-f", str(page), "-l", str(page), "-"]
    picture = subprocess.run(command, input=pdf, capture_output=True, check=True).stdout
    head = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", picture)
    assert head is not None
    wide, high = int(head[1]), int(head[2])
    return np.frombuffer(picture[head.end() :], np.uint8).reshape(high, wide)[: int(0.94 * high)] < 200


@TEX
@POPPLER
@pytest.mark.slow
@pytest.mark.parametrize("paper", ["a4", "letter"])
@pytest.mark.parametrize("key", SHEETS)
def test_every_declared_sheet_compiles_without_a_warning_and_fills_its_last_page(
    shipped: Catalogue, entries: dict[str, EntryView], key: str, paper: str
) -> None:
    contents = with_paper(shipped, entries, key, paper)
    pdf, log = setting.compile_tex(sheet(contents, "tex"))
    assert TROUBLE.findall(log) == []
    scale, pages = map(int, re.findall(r"eqkb: scale (\d+), pages (\d+)", log)[0])
    assert 820 <= scale <= 1200 and pages <= (contents.layout.pages or 9)
    marks = ink(pdf, pages)
    assert not marks[:, :2].any() and not marks[:, -2:].any()
    # Letters that are as large as they may be do not fill every page.
    assert np.nonzero(marks.any(axis=1))[0].max() > (0.6 if scale < 1180 else 0.3) * len(marks)
    columns = np.array_split(marks[len(marks) // 4 :], contents.layout.column_count, axis=1)
    assert all(column.any() for column in columns)


@TEX
@pytest.mark.slow
def test_the_memory_of_tex_does_not_bound_a_sheet(entries: dict[str, EntryView]) -> None:
    whole = selection(list(entries.values()))
    found = setting.set_sheet(sheet(Contents(whole.title, 4 * whole.sections), "tex"), "tex", Layout())
    assert found.pages > 40


@pytest.mark.slow
@pytest.mark.parametrize("form", [pytest.param("tex", marks=TEX), pytest.param("typ", marks=TYPST)])
def test_details_give_way_until_the_pages_are_enough(entries: dict[str, EntryView], form: str) -> None:
    ids = list(entries)[:40]
    seen = []
    for pages in (20, 6, 5, 4, 3, 2):
        contents = made(entries, ids, pages=pages)
        found = setting.set_sheet(sheet(contents, form), form, contents.layout)
        assert found.pages <= pages
        assert found.left_out == contents.droppable[: len(found.left_out)]
        seen.append(len(found.left_out))
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] > 2
    with pytest.raises(EqkbError, match=r"the formulas alone fill \d+ pages .* --pages"):
        contents = made(entries, list(entries), pages=1)
        setting.set_sheet(sheet(contents, form), form, contents.layout)


@TEX
@pytest.mark.slow
def test_the_command_says_what_gave_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("tex", "pdf"):
        out = tmp_path / f"sheet.{form}"
        topics = ["--topic", "attention", "--topic", "activations"]
        arguments = [*topics, "--pages", "1", "--with", "derivatives,symbols,references"]
        assert main(["cheatsheet", *arguments, "--format", form, "-o", str(out)]) == 0
        assert "left out to fit 1 page: references, symbols" in capsys.readouterr().err
        assert main(["cheatsheet", *arguments, "--format", form, "-o", str(out)]) == 0
        assert "left out to fit 1 page: references, symbols" in capsys.readouterr().err
