"""``eqkb export``: the JSON of a selection, and references as BibTeX, read back by a reader of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pybtex.database
import pytest
import yaml
from pybtex.richtext import Text

import kb
import kb.cli
from generators.bibtex import bibtex, entry_type
from generators.bibtex_text import person, tex, title_tex
from generators.export import export
from generators.views import views
from kb.model import Reference
from tests import hostile as hostile_text

REQUIRED = {
    "article": {"title", "journal"},
    "book": {"title", "publisher"},
    "incollection": {"title", "booktitle", "publisher"},
    "inproceedings": {"title", "booktitle"},
    "misc": {"title"},
}


@pytest.fixture(scope="module")
def shipped() -> kb.Catalogue:
    return kb.load_catalogue()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = kb.cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def read(text: str) -> pybtex.database.BibliographyData:
    return pybtex.database.parse_string(text, "bibtex")


def plain(text: str) -> str:
    """A value as it is printed: commands decoded, braces gone."""
    return str(Text.from_latex(text.replace(r"\textasciicircum{}", "^")))


def references(catalogue: kb.Catalogue) -> Iterator[Reference]:
    for entry_id in catalogue:
        yield from catalogue[entry_id].references


# --- JSON -----------------------------------------------------------------------------------------


def test_json_is_the_document_of_a_build(shipped: kb.Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "export", "relu", "softmax")
    assert (code, err) == (0, "")
    assert [e["id"] for e in json.loads(out)["entries"]] == ["relu", "softmax"]
    evidence = {i: found for i in ("relu", "softmax") if (found := shipped[i].stored_evidence()) is not None}
    assert out == export(views(shipped, ["relu", "softmax"], evidence))
    assert run(capsys, "export", "relu", "softmax", "--json")[1] == out
    assert run(capsys, "export", "relu", "softmax", "relu", "--format", "json")[1] == out


def test_it_writes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "softmax.bib"
    assert run(capsys, "export", "softmax", "--format", "bibtex", "-o", str(path)) == (0, "", f"wrote {path}\n")
    assert path.read_text(encoding="utf-8") == run(capsys, "export", "softmax", "--format", "bibtex")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["sofmax"], 3, "did you mean 'softmax'"),
        (["--topic", "activation"], 3, "did you mean 'activations'"),
        (["softmax", "--topic", "activations"], 2, "not both"),
        (["softmax", "--format", "bibtxt"], 2, "did you mean 'bibtex'"),
        (["softmax", "--format", "bibtex", "--json"], 2, "leave out --json"),
        (["softmax", "--format", "csv", "--json"], 2, "leave out --json"),
        (["--format", "schema", "--json"], 2, "leave out --json"),
        (["softmax", "--format", "schema"], 2, "leave out the ids"),
        (["--format", "schema", "--topic", "activations"], 2, "leave out the ids and topics"),
        (["softmax", "--format", "apkg"], 2, "-o PATH"),
        (["softmax", "--format", "apkg", "-o", "no/such/folder/x.apkg"], 2, "make it first"),
        (["softmax", "--format", "bibtex", "-o", "no/such/folder/x.bib"], 2, "make it first"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run(capsys, "export", *arguments)
    assert (found, out, len(err.splitlines())) == (code, "", 1)
    assert said in err


# --- BibTeX ---------------------------------------------------------------------------------------


def test_a_reader_finds_what_the_catalogue_says(shipped: kb.Catalogue) -> None:
    found = read(bibtex(shipped, list(shipped))).entries
    by_title = {(r.title, r.year): r for r in references(shipped)}
    assert len(found) == len(by_title)
    for key, item in found.items():
        assert re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", key)
        assert set(item.fields) >= REQUIRED[item.type]
        reference = by_title[plain(item.fields["title"]), int(item.fields["year"])]
        names = [" ".join(map(plain, [*p.first_names, *p.middle_names, *p.prelast_names, *p.last_names]))
                 for p in item.persons["author"]]  # fmt: skip
        assert tuple(names) == reference.authors
        assert item.fields.get("doi") == reference.doi
        assert item.fields.get("url") == reference.url
        assert item.fields.get("eprint") == reference.arxiv
        venue = [item.fields[n] for n in ("journal", "booktitle", "publisher", "howpublished") if n in item.fields]
        assert ", ".join(map(plain, venue)) == reference.venue


def test_a_work_has_one_key_in_every_selection(shipped: kb.Catalogue) -> None:
    whole = read(bibtex(shipped, list(shipped))).entries
    for entry_id in list(shipped)[::4]:
        for key, item in read(bibtex(shipped, [entry_id])).entries.items():
            assert item == whole[key]


def test_a_work_that_several_entries_cite_appears_once(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["scaled_dot_product_attention", "softmax", "multi_head_attention"]
    out = run(capsys, "export", *ids, "--format", "bibtex")[1]
    assert out.count("@inproceedings{vaswani2017attention,") == 1
    assert "% cited by scaled_dot_product_attention, multi_head_attention\n@inproceedings{vaswani" in out


@pytest.mark.parametrize(
    ("venue", "kind"),
    [
        ("Nature", "article"),
        ("Proceedings of the IEEE", "article"),
        ("Journal of Machine Learning Research", "article"),
        ("Advances in Neural Information Processing Systems", "inproceedings"),
        ("ICML", "inproceedings"),
        ("Proceedings of the 28th International Conference on Machine Learning", "inproceedings"),
        ("MIT Press", "book"),
        ("Springer", "book"),
        ("Tricks of the Trade, Springer", "incollection"),
        ("PhD thesis, University of Toronto", "phdthesis"),
        ("Technical report, University of Toronto", "techreport"),
        ("Coursera: Neural Networks for Machine Learning", "misc"),
        ("", "misc"),
    ],
)
def test_the_venue_tells_the_type(venue: str, kind: str) -> None:
    assert entry_type(Reference("A title", venue=venue)) == kind


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ashish Vaswani", "Vaswani, Ashish"),
        ("Aaron van den Oord", "van den Oord, Aaron"),
        ("Charles F. Van Loan", "Van Loan, Charles F."),
        ("Du Tran", "Tran, Du"),
        ("John Smith Jr.", "Smith, Jr., John"),
        ("Smith, Jr., John", "Smith, Jr., John"),
        ("Gauss, Carl Friedrich", "Gauss, Carl Friedrich"),
        ("Łukasz Kaiser", r"Kaiser, {\L}ukasz"),
        ("Petar Veličković", r"Veli{\v c}kovi{\'c}, Petar"),
        ("OpenAI", "OpenAI"),
        ("Bell and Howell", "{Bell and Howell}"),
        ("李 四", "四, 李"),
    ],
)
def test_names_have_the_surname_first(name: str, written: str) -> None:
    assert person(name).tex() == written


def test_braces_keep_the_capitals_of_titles() -> None:
    assert title_tex("A guide to LSTM networks") == "A guide to {LSTM} networks"
    assert title_tex("ADADELTA: An Adaptive Method") == "{ADADELTA: An Adaptive Method}"
    assert title_tex("Outputs, with Relations") == "Outputs, with {Relations}"
    assert title_tex("of Shannon, and of Bayes") == "of {Shannon}, and of {Bayes}"
    assert title_tex("costs $X") == r"costs {{}\$X}"


def test_no_text_is_a_command() -> None:
    assert tex(r"\input{x} 50%") == r"\textbackslash{}input\textbraceleft{}x\textbraceright{} 50\%"
    assert tex("& $y_1$ #^~") == r"\& \$y\_1\$ \#\textasciicircum{}\textasciitilde{}"


def test_works_that_share_a_key_take_more_words(tmp_path: Path) -> None:
    titles = ["Deep Nets", "Deep Sets", "Deep Sets", "深層", "浅層"]
    entry = {
        "name": "Mine",
        "topic": "tests",
        "about": "A text.",
        "define": "y = 2*x",
        "symbols": {"x": {}, "y": {"role": "output"}},
        "references": [
            {"title": t, "authors": ["Ann Lee"], "year": 2020, "venue": f"{n}"} for n, t in enumerate(titles)
        ],
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"mine": entry}), encoding="utf-8")
    found = re.findall(r"^@\w+\{(.*),$", bibtex(kb.load_catalogue(path), ["mine"]), re.M)
    assert found == ["lee2020deepnets", "lee2020deepsets", "lee2020-1", "lee2020-2"]


def test_hostile_references_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(hostile_text.catalogue()), encoding="utf-8")
    hostile = kb.load_catalogue(path)
    text = bibtex(hostile, list(hostile))
    expected = {(r.title, r.year) for r in references(hostile)}
    assert len(read(text).entries) == len(expected) > 0
    assert all(re.fullmatch(r"[a-z0-9-]+", key) for key in read(text).entries)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bibtex") is None, reason="needs TeX")
@pytest.mark.parametrize("style", ["plain", "abbrv", "alpha"])
def test_bibtex_itself_reads_all_of_it(shipped: kb.Catalogue, style: str, tmp_path: Path) -> None:
    (tmp_path / "all.bib").write_text(bibtex(shipped, list(shipped)), encoding="utf-8")
    (tmp_path / "all.aux").write_text(f"\\citation{{*}}\n\\bibstyle{{{style}}}\n\\bibdata{{all}}\n")
    done = subprocess.run(["bibtex", "all"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Warning" not in done.stdout and "error" not in done.stdout
