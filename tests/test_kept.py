"""What is shown of entries, kept between runs: the same as made anew, and never more than is true."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from generators import kept, markdown
from generators.export import export
from generators.making import Making
from generators.sheets import selection, sheet
from generators.views import EntryView, views
from kb.cache import cache_path
from kb.catalogue import Catalogue, load_catalogue
from kb.evidence import check

ROOT = Path(__file__).parent.parent
OUTPUT = {"role": "output"}
FORMS = ("md", "tex", "typ")
CONTENT: dict[str, Any] = {
    "square": {
        "name": "Square",
        "topic": "small",
        "about": "The product of a number with itself.",
        "symbols": {"x": {}, "y": OUTPUT},
        "define": "y = x**2",
        "claims": {"slope": "d(y, x) == 2*x"},
        "differentiate": ["x"],
    },
    "half_norm": {
        "name": "Half of the squared norm",
        "topic": "small",
        "about": "Half of the sum of squares.",
        "symbols": {"v": {"shape": ["n"]}, "s": OUTPUT},
        "define": "s = sum(square(v[i]), i)/2",
        "differentiate": ["v"],
        "variants": {"mean_square": {"about": "is half of the sum"}},
    },
    "mean_square": {
        "name": "Mean square",
        "topic": "small",
        "about": "The mean of squares.",
        "symbols": {"v": {"shape": ["n"]}, "s": OUTPUT},
        "define": "s = sum(v[i]**2, i)/n",
        "differentiate": ["v"],
    },
    "shift": {
        "name": "Shift",
        "topic": "small",
        "about": "A number and a half.",
        "symbols": {"x": {}, "y": OUTPUT},
        "define": "y = x + 1/2",
    },
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of entries that are made, one after the other."""
    found: list[str] = []
    make = Making.all

    def noted(self: Making) -> Any:
        found.append(self.entry.id)
        return make(self)

    monkeypatch.setattr(Making, "all", noted)
    return found


def catalogue(folder: Path, **changes: dict[str, Any]) -> Catalogue:
    content = {i: entry | changes.get(i, {}) for i, entry in CONTENT.items()}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False), encoding="utf-8")
    return load_catalogue(path)


def known(of: Catalogue, evidence: Any = None) -> dict[str, EntryView]:
    return {view.id: view for view in views(of, list(of), evidence, kept.shown(of, list(of)))}


def page(view: EntryView) -> str:
    return markdown.page(view) + view.code + json.dumps(view.answers)


@pytest.mark.parametrize("ids", [["softmax", "sigmoid"], ["gan_minimax_discrete", "momentum", "covariance"]])
def test_what_is_kept_is_shown_like_what_was_made(ids: list[str]) -> None:
    of = load_catalogue()
    entries = views(of, ids)
    kept.shown(of, ids)
    again = views(of, ids, None, kept.shown(of, ids))
    assert [page(view) for view in again] == [page(view) for view in entries]
    assert export(again) == export(entries)
    assert [sheet(selection(again), form) for form in FORMS] == [sheet(selection(entries), form) for form in FORMS]


def test_what_did_not_change_is_not_made_again(tmp_path: Path, made: list[str]) -> None:
    first = {i: page(view) for i, view in known(catalogue(tmp_path)).items()}
    assert made == list(CONTENT)
    assert {i: page(view) for i, view in known(catalogue(tmp_path)).items()} == first
    assert made == list(CONTENT)


@pytest.mark.parametrize(
    ("entry", "change", "again"),
    [
        ("square", {"define": "y = x*x*x", "claims": {}}, ["square", "half_norm", "mean_square"]),
        ("mean_square", {"define": "s = sum(v[i]**2, i)/(2*n)"}, ["half_norm", "mean_square"]),
        ("shift", {"about": "Half a number more."}, ["shift"]),
        ("half_norm", {"variants": {"mean_square": {"about": "is half a sum"}}}, ["half_norm", "mean_square"]),
        ("shift", {"related": ["square"]}, ["shift"]),
    ],
)
def test_what_changed_is_made_again_and_so_is_what_depends_on_it(
    tmp_path: Path, made: list[str], entry: str, change: dict[str, Any], again: list[str]
) -> None:
    before = {i: page(view) for i, view in known(catalogue(tmp_path)).items()}
    made.clear()
    changed = catalogue(tmp_path, **{entry: change})
    after = {i: page(view) for i, view in known(changed).items()}
    assert made == again
    assert after == {view.id: page(view) for view in views(changed, list(changed))}
    assert after[entry] != before[entry]


def test_the_source_of_the_generators_counts(tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    known(catalogue(tmp_path))
    monkeypatch.setattr(kept, "_own_digest", lambda: "another")
    known(catalogue(tmp_path))
    assert made == 2 * list(CONTENT)


@pytest.mark.parametrize("damage", ["", "foreign", "{}", "key only", "truncated", "wrong kind", "null"])
def test_what_is_damaged_is_made_again(tmp_path: Path, made: list[str], damage: str) -> None:
    first = page(known(catalogue(tmp_path))["shift"])
    path = Path(cache_path("shown", "shift.json") or "")
    text = path.read_text(encoding="utf-8")
    key, _, content = text.partition("\n")
    damaged = {
        "key only": key,
        "truncated": text[: len(text) // 2],
        "wrong kind": f"{key}\n{json.dumps(json.loads(content) | {'symbols': 3})}",
        "null": f"{key}\nnull",
    }
    path.write_text(damaged.get(damage, damage), encoding="utf-8")
    made.clear()
    assert page(known(catalogue(tmp_path))["shift"]) == first
    assert made == ["shift"]
    assert path.read_text(encoding="utf-8") == text


def test_without_a_cache_all_is_made(tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    first, second = (page(known(catalogue(tmp_path))["half_norm"]) for _ in range(2))
    assert first == second
    assert made == 2 * list(CONTENT)


def test_verdicts_follow_the_evidence(tmp_path: Path) -> None:
    of = catalogue(tmp_path)
    assert [claim.verdict for claim in known(of)["square"].claims] == ["not checked"]
    view = known(of, {"square": check(of["square"])})["square"]
    assert [claim.verdict for claim in view.claims] == ["verified"]
    assert view.questions


def test_other_formulas_can_still_be_read(tmp_path: Path) -> None:
    known(catalogue(tmp_path))
    view = known(catalogue(tmp_path))["half_norm"]
    assert view.read("n + 1").text == "n + 1"


def test_what_is_kept_needs_neither_sympy_nor_equations(tmp_path: Path) -> None:
    known(catalogue(tmp_path))
    script = (
        "import sys; from kb.catalogue import load_catalogue; from generators import kept, markdown, views\n"
        "of = load_catalogue(sys.argv[1]); known = kept.shown(of, list(of))\n"
        "assert all(markdown.page(view) for view in views.views(of, list(of), None, known))\n"
        "print([name for name in sys.modules if name in ('sympy', 'numpy', 'mpmath', 'generators.making')])"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "small.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = catalogue(tmp_path)
    monkeypatch.setattr(kept, "_WORTH_PROCESSES", 2)
    found = []
    for jobs in (1, 2):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{jobs}"))
        found.append(kept.shown(of, list(of), jobs))
    assert list(found[0]) == list(found[1]) == list(CONTENT)
    assert found[0] == found[1]
