"""What the check of a derivation found is kept until anything changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kb.derivation.check import Checked
from kb.derivation.kept import kept
from kb.model import Entry, Symbol

ENTRY = Entry("twice", "Twice", symbols=(Symbol("x"), Symbol("y", role="output")), define=("y = 2*x",))
FOUND = Checked(3, 12, 2.5e-30)


def never() -> Checked:
    raise AssertionError("nothing had changed")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "eqkb" / "evidence"


def test_numbers_are_kept(cache: Path) -> None:
    assert kept(ENTRY, {}, "x", 1, lambda: FOUND) == FOUND
    assert kept(ENTRY, {}, "x", 1, never) == FOUND
    assert [p.name for p in cache.iterdir()] == ["twice.x.derivation.json"]


def test_other_points_and_other_entries_are_checked_anew() -> None:
    assert kept(ENTRY, {}, "x", 1, lambda: FOUND) == FOUND
    other = Checked(1, 2, 0.0)
    assert kept(ENTRY, {}, "x", 2, lambda: other) == other
    assert kept(replace(ENTRY, define=("y = x + x",)), {}, "x", 2, lambda: FOUND) == FOUND


def test_what_is_damaged_counts_as_not_checked(cache: Path) -> None:
    assert kept(ENTRY, {}, "x", 1, lambda: FOUND) == FOUND
    path = cache / "twice.x.derivation.json"
    for damaged in ("", "[]", json.dumps({"key": 1}), json.dumps(json.loads(path.read_text()) | {"points": None})):
        path.write_text(damaged)
        assert kept(ENTRY, {}, "x", 1, lambda: FOUND) == FOUND
