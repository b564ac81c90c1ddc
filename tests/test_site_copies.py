"""What the menus of a page copy is what the command prints, and the scripts that bring it are harmless."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile import catalogue

import kb
import kb.cli
from generators.bibtex import Bibliography
from generators.site.copies import Copy, copies, file_name, script
from generators.site.scripts import script_value
from generators.views import EntryView, views
from kb.cli.arguments import KINDS

ROOT = Path(__file__).resolve().parent.parent
MINE = {
    "mine": {
        "name": "Mine",
        "topic": "tests",
        "about": "A text.",
        "symbols": {"x": {}, "w": {}, "y": {"role": "output"}},
        "define": "y = w*x**2",
        "claims": {"slope": "d(y, x) == 2*w*x", "wrong": {"formula": "d(y, x) == x", "refuted": True}},
        "differentiate": ["x", "w"],
        "references": [{"title": "Squares", "authors": ["Ann Lee"], "year": 2020}],
    },
    "counted": {
        "name": "Counted",
        "topic": "tests",
        "about": "Nothing to differentiate by.",
        "symbols": {"n": {"kind": "integer"}, "y": {"role": "output"}},
        "define": "y = 2*n",
    },
}


@pytest.fixture(scope="module")
def shipped() -> kb.Catalogue:
    return kb.load_catalogue()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> kb.Catalogue:
    path = tmp_path / "my file.yaml"
    path.write_text(yaml.safe_dump(MINE, sort_keys=False), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return kb.load_catalogue(path)


def view_of(catalogue: kb.Catalogue, entry_id: str) -> EntryView:
    found = catalogue[entry_id].stored_evidence()
    return views(catalogue, [entry_id], {entry_id: found} if found is not None else {})[0]


def copies_of(view: EntryView) -> dict[str, tuple[Copy, ...]]:
    return copies(view, Bibliography(view.catalogue))


def script_of(view: EntryView) -> str:
    return script(view, Bibliography(view.catalogue))


def printed(copy: Copy, capsys: pytest.CaptureFixture[str]) -> str:
    program, *arguments = shlex.split(copy.command)
    assert program == "eqkb"
    assert kb.cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def each(found: dict[str, tuple[Copy, ...]]) -> Iterator[Copy]:
    """Every copy; those of one command have one text."""
    made: dict[str, Copy] = {}
    for copy in (copy for several in found.values() for copy in several):
        assert made.setdefault(copy.command, copy).text == copy.text
    yield from made.values()


def brought(view: EntryView) -> Any:
    """What the script of an entry hands over."""
    made = re.fullmatch(r'eqkb\.copies\("(\w+)",(\{.*\})\);\n', script_of(view))
    assert made is not None and made[1] == view.id
    return json.loads(made[2])


def joined(pieces: list[str], places: list[int]) -> str:
    return "".join(pieces[n] if n >= 0 else json.dumps(pieces[-1 - n], ensure_ascii=False)[1:-1] for n in places)


# One of each kind, quickly derived.
SAMPLE = ["logistic_regression_decision", "ddpm_reverse_step", "chain_rule", "backprop_bias_gradient", "gan_minimax"]


def test_the_sample_has_every_kind(shipped: kb.Catalogue) -> None:
    assert {shipped.entry(i).kind for i in SAMPLE} == set(KINDS)


@pytest.mark.parametrize("entry_id", SAMPLE)
def test_a_copy_is_what_the_command_prints(
    entry_id: str, shipped: kb.Catalogue, capsys: pytest.CaptureFixture[str]
) -> None:
    found = copies_of(view_of(shipped, entry_id))
    for made in found.values():
        assert [c.what for c in made] in (["latex", "numpy", "json", "bibtex"], ["latex", "numpy", "json"])
    for copy in each(found):
        assert copy.text == printed(copy, capsys), copy.command


def test_every_formula_of_a_page_is_there(mine: kb.Catalogue) -> None:
    derivatives = ["partial-x", "partial-w", "hessian-x", "backward"]
    others = ["claim-slope", "claim-wrong", "derivation-x", "derivation-w"]
    assert list(copies_of(view_of(mine, "mine"))) == ["definition", *derivatives, *others]
    assert list(copies_of(view_of(mine, "counted"))) == ["definition"]


def test_commands_name_the_file_of_a_user(mine: kb.Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    found = copies_of(view_of(mine, "mine"))
    assert found["definition"][0].command == "eqkb --catalogue 'my file.yaml' latex mine"
    assert found["backward"][0].command.endswith("latex mine --wrt x --wrt w --form vjp")
    for copy in each(found):
        assert copy.text == printed(copy, capsys), copy.command


def test_verdicts_are_those_of_the_evidence(mine: kb.Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    mine["mine"].check()
    found = copies_of(view_of(mine, "mine"))
    for anchor in ("definition", "partial-x", "backward"):
        (copy,) = (c for c in found[anchor] if c.what == "json")
        assert copy.text == printed(copy, capsys)
        assert '"verdict": "verified"' in copy.text


def test_without_references_there_is_no_bibtex(mine: kb.Catalogue) -> None:
    assert [c.what for c in copies_of(view_of(mine, "counted"))["definition"]] == ["latex", "numpy", "json"]


def test_the_script_brings_all_of_it(shipped: kb.Catalogue) -> None:
    view = view_of(shipped, "softmax")
    value = brought(view)
    for anchor, found in copies_of(view).items():
        assert list(value["formulas"][anchor]) == [c.what for c in found]
        for copy in found:
            command, places = value["formulas"][anchor][copy.what]
            assert (command, joined(value["pieces"], places)) == (copy.command, copy.text)
    whole = sum(len(c.text) for found in copies_of(view).values() for c in found)
    assert len(script_of(view)) < whole / 2, "what several texts share is there once"
    assert file_name("softmax") == "copies/softmax.js"


def test_text_of_the_catalogue_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(catalogue()), encoding="utf-8")
    view = view_of(kb.load_catalogue(path), "hostile")
    assert "<" not in script_of(view) and "\u2028" not in script_of(view)
    assert "<script>" in "".join(brought(view)["pieces"])


def test_values_of_scripts_are_harmless() -> None:
    assert script_value(["</script>\u2028\u2029<!--", 'a"b\\']) == (
        '["\\u003c/script>\\u2028\\u2029\\u003c!--","a\\"b\\\\"]'
    )


# --- the script of the pages ------------------------------------------------------------------------

STUB = """
var window = globalThis;
var document = {readyState: "loading", addEventListener() {}};
"""


def test_the_pages_join_the_pieces_as_they_were(shipped: kb.Catalogue) -> None:
    mini_racer = pytest.importorskip("py_mini_racer")
    view = view_of(shipped, "softmax")
    with mini_racer.MiniRacer() as v8:
        v8.eval(STUB)
        v8.eval((ROOT / "site" / "static" / "copy.js").read_text(encoding="utf-8"))
        v8.eval("var found; eqkb.copies = (_, value) => found = value;")
        v8.eval(script_of(view))
        for anchor, made in copies_of(view).items():
            for copy in made:
                place = f"found.formulas[{json.dumps(anchor)}].{copy.what}[1]"
                assert v8.eval(f"eqkb.copyText(found.pieces, {place})") == copy.text
