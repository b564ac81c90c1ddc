"""Documents item by item: what the catalogue covers, what it says of it, and how that is shown."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import get_args

import pytest

import kb
import kb.cli.sources
import kb.cli.terminal
from kb.coverage import NOT_CHECKED, UNCOVERED, documents_of
from kb.model import Finding

DATA = Path(__file__).resolve().parent / "data"
FINDINGS = {"none": "right", "note": "convention"}  # others have the same word
with (DATA / "inventory.csv").open(encoding="utf-8", newline="") as stream:
    INVENTORY = list(csv.DictReader(stream))
ENTRIES = list(dict.fromkeys(row["entry"] for row in INVENTORY))


@pytest.fixture(scope="module")
def shipped() -> kb.Catalogue:
    return kb.load_catalogue()


# --- the inventory of the documents ---------------------------------------------------------------


def test_the_inventory_is_whole() -> None:
    refs = [row["ref"] for row in INVENTORY]
    assert len(refs) == len(set(refs)) == 204
    known = [*FINDINGS, *get_args(Finding)]
    assert {row["severity"] for row in INVENTORY} == {word for word in known if word not in FINDINGS.values()}


def test_every_item_is_declared_in_its_order(shipped: kb.Catalogue) -> None:
    assert [item.ref for item in shipped.sources()] == [row["ref"] for row in INVENTORY]
    assert [d.key for d in documents_of(shipped)] == ["top-equations", "hundred", "dl-equations", "gist"]


def test_every_item_is_covered(shipped: kb.Catalogue) -> None:
    assert [item.ref for item in shipped.sources() if item.entry is None] == []


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_covers_what_it_should(name: str, shipped: kb.Catalogue) -> None:
    entry = shipped.entry(name)
    sources = {source.item: source for source in entry.sources}
    for row in INVENTORY:
        if row["entry"] != name:
            continue
        source = sources.get(row["ref"])
        assert source is not None, f"{row['ref']} is not among its sources"
        assert source.finding == FINDINGS.get(row["severity"], row["severity"]), row["ref"]
        if source.finding == "error":
            assert source.claim is not None, f"{row['ref']}: state what is printed there as a claim that is refuted"
        for symbol in row["differentiate"].split():
            owner, _, symbol = symbol.rpartition(".")
            assert symbol in shipped.entry(owner or name).differentiate, f"{row['ref']}: derivative by {symbol}"


def test_nothing_else_is_covered(shipped: kb.Catalogue) -> None:
    expected = {row["ref"]: row["entry"] for row in INVENTORY}
    for item in shipped.sources():
        if item.entry is not None:
            assert shipped.entry(expected[item.ref]).id == item.entry, item.ref


def test_every_entry_names_its_literature(shipped: kb.Catalogue) -> None:
    assert [i for i in shipped if not all(r.title and r.authors and r.year for r in shipped.entry(i).references)] == []
    assert [i for i in shipped if not shipped.entry(i).references] == []


def test_notes_are_sentences(shipped: kb.Catalogue) -> None:
    for item in shipped.sources():
        assert not item.note or (item.note[0].isupper() and item.note.endswith(".")), item.ref
        assert len(item.note) <= 300, item.ref


# --- the interface --------------------------------------------------------------------------------

MINE = """\
documents:
  talk: {title: A talk, date: 2021-05, items: {1: Twice, 2-b: A half, 3: Nothing}}
  paper: {title: A paper, items: {x: Not mine}}
twice:
  name: Twice
  topic: tests
  about: Two times a number.
  aliases: [doubled]
  symbols: {x: {}, y: {role: output}}
  define: y = 2*x
  claims:
    plain: y == x + x
    squared: {formula: y == x**2, refuted: true}
  sources:
    - {item: talk/1, use: growth}
    - {item: talk/2-b, finding: error, claim: squared, note: It squares; the number is doubled.}
    - softmax_talk/1
"""
OTHER = "documents:\n  softmax_talk: {title: Another talk, items: {1: Softmax, 2: Left out}}\n"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A catalogue of its own, with nothing checked yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace("documents:\n", OTHER), encoding="utf-8")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = kb.cli.main(list(arguments))
    return code, *capsys.readouterr()


def test_items_of_all_documents_that_the_entries_draw_on(mine: str) -> None:
    items = kb.load_catalogue(mine).sources()
    assert [(i.ref, i.title, i.entry, i.finding, i.verdict) for i in items] == [
        ("softmax_talk/1", "Softmax", "twice", "right", NOT_CHECKED),
        ("softmax_talk/2", "Left out", None, None, UNCOVERED),
        ("talk/1", "Twice", "twice", "right", NOT_CHECKED),
        ("talk/2-b", "A half", "twice", "error", NOT_CHECKED),
        ("talk/3", "Nothing", None, None, UNCOVERED),
        ("paper/x", "Not mine", None, None, UNCOVERED),
    ]


@pytest.mark.parametrize(
    ("which", "refs"),
    [
        ("talk", ["talk/1", "talk/2-b", "talk/3"]),
        ("talk/3", ["talk/3"]),
        ("twice", ["talk/1", "talk/2-b", "softmax_talk/1"]),
        ("doubled", ["talk/1", "talk/2-b", "softmax_talk/1"]),
        ("normal_cdf", []),
    ],
)
def test_items_of_one_document_item_or_entry(which: str, refs: list[str], mine: str) -> None:
    assert [item.ref for item in kb.load_catalogue(mine).sources(which)] == refs


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("tolk", "no document and no entry is called 'tolk'; did you mean 'talk'"),
        ("zzzzzz", "documents are top-equations"),
        ("tolk/1", "no document is called 'tolk'; did you mean 'talk'"),
        ("talk/2b", "no item 'talk/2b'; did you mean '2-b'"),
        ("talk/zzzz", "'eqkb sources talk' shows its items"),
        ("x" * 10_000, "is called 'xxxxx"),
    ],
)
def test_unknown_names_get_the_nearest(which: str, words: str, mine: str) -> None:
    with pytest.raises(kb.NotFound) as caught:
        kb.load_catalogue(mine).sources(which)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_command_gathers_what_it_shows(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "sources", "--catalogue", mine)
    assert code == 1
    assert out == (
        "Another talk\n"
        "softmax_talk/1  Softmax   twice  ✓\n"
        "softmax_talk/2  Left out         uncovered\n"
        "\n"
        "A talk (2021-05)\n"
        "talk/1          Twice     twice  ✓\n"
        "talk/2-b        A half    twice  ✓\n"
        "                error: It squares; the number is doubled.\n"
        "talk/3          Nothing          uncovered\n"
        "\n"
        "A paper\n"
        "paper/x         Not mine         uncovered\n"
        "\n"
        "3 of 6 verified; 2 right, 1 error, 3 uncovered\n"
    )
    assert all(i.verdict == "verified" for i in kb.load_catalogue(mine).sources("twice"))
    assert run(capsys, "sources", "twice", "--catalogue", mine)[0] == 0
    code, out, err = run(capsys, "sources", "normal_cdf", "--catalogue", mine)
    assert (code, out) == (0, "") and "no items" in err


def test_json_has_stable_keys(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "sources", "talk", "--json", "--catalogue", mine)
    first, second, third = json.loads(out)
    assert code == 1
    assert first == {
        "ref": "talk/1",
        "title": "Twice",
        "entry": "twice",
        "verdict": "verified",
        "finding": "right",
        "note": "",
        "use": "growth",
        "claim": None,
        "counterexample": None,
    }
    assert second["claim"] == {"name": "squared", "formula": "y == x**2"}
    x = second["counterexample"]["values"]["x"]
    assert abs(2 * x - x * x) > 1e-3
    assert third == {**dict.fromkeys(first), "ref": "talk/3", "title": "Nothing", "verdict": "uncovered"} | {
        "note": "",
        "use": "",
    }


def test_one_item_shows_what_is_right_what_is_printed_and_the_numbers(
    mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "sources", "talk/2-b", "--catalogue", mine)
    assert code == 0
    lines = out.splitlines()
    assert lines[:3] == ["talk/2-b: A half", "  A talk (2021-05)", "  error: It squares; the number is doubled."]
    assert "The entry twice, verified" in lines
    assert "    y = 2·x" in lines and "    y = x²" in lines
    assert any(line.startswith("    x = ") for line in lines)
    assert lines[-1].startswith("    both sides: ") and " against " in lines[-1]
    assert "use: growth" in run(capsys, "sources", "talk/1", "--catalogue", mine)[1]
    code, out, _ = run(capsys, "sources", "talk/3", "--catalogue", mine)
    assert code == 1 and "no entry covers it" in out


@pytest.mark.parametrize("columns", [20, 40, 60, 80])
def test_lines_fit_the_terminal(
    columns: int, mine: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (kb.cli.sources, kb.cli.terminal):
        monkeypatch.setattr(module, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    for which in ("talk", "talk/2-b"):
        out = run(capsys, "sources", which, "--catalogue", mine, "--no-color")[1]
        assert all(len(line) <= columns for line in out.splitlines()), out


def test_a_claim_that_must_be_refuted_and_holds_is_not_verified(mine: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(mine)
    path.write_text(path.read_text(encoding="utf-8").replace("y == x**2", "y == x*2"), encoding="utf-8")
    code, out, _ = run(capsys, "sources", "talk/2-b", "--json", "--catalogue", mine)
    assert code == 1
    assert json.loads(out)[0]["verdict"] == "refuted"
