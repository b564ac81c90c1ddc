"""``eqkb export --format csv``: the symbols of entries, read back by Python's own reader."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import agreement
import pytest
import yaml
from hostile import catalogue as hostile_catalogue

import kb.cli
from generators.symbols_csv import COLUMNS, cell, symbols_csv
from generators.views import views
from kb.catalogue import Catalogue, load_catalogue

FORMULAS = [
    "=1+1",
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-1-1",
    "-",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1+1",
    "＠SUM",
    "-oo",
    "--1",
    "'=1+1",
    "''=1",
    "'-5 degrees",
]
TEXTS = ["", "plain", "a, b", 'say "so"', "two\nlines", "-1", "+0.5", "-1e-8", "-.5", "'quoted'", "a=b", "'", "\\alpha"]


def unmarked(text: str) -> str:
    """What a program makes of a cell: one apostrophe before what looks like a formula is no part of the text."""
    return text[1:] if re.match(r"'+\s*[=+\-@＝＋－＠\t\r\n]", text) else text


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", TEXTS)
def test_other_text_and_numbers_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_every_text_comes_back() -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([[cell(text)] for text in FORMULAS + TEXTS])
    found = [row[0] if row else "" for row in csv.reader(io.StringIO(out.getvalue(), newline=""), strict=True)]
    assert list(map(unmarked, found)) == FORMULAS + TEXTS


def test_a_row_for_each_symbol(shipped: Catalogue) -> None:
    ids = ["softmax", "adam", "gru_cell"]
    text = symbols_csv(views(shipped, ids))
    assert text.startswith(",".join(COLUMNS) + "\r\n") and text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n")
    found = rows(text)
    assert [(r["entry"], r["symbol"]) for r in found] == [(i, s.name) for i in ids for s in shipped.entry(i).symbols]
    beta = next(r for r in found if r["symbol"] == "beta_1")
    assert beta == {
        "entry": "adam",
        "entry_name": "Adam",
        "symbol": "beta_1",
        "text": "β₁",
        "latex": r"\beta_1",
        "shape": "",
        "kind": "real",
        "domain": "unit",
        "role": "hyperparameter",
        "default": "0.9",
        "meaning": "decay of the average of the gradients",
    }
    assert next(r for r in found if r["symbol"] == "W_xz")["shape"].count(", ") == 1


def test_hostile_text_comes_back(tmp_path: Path) -> None:
    made = hostile_catalogue()
    made["hostile"]["name"] = "=HYPERLINK(1)"
    for text, symbol in zip(('@x,"y"', "-2 or more", "+a\n=b"), made["hostile"]["symbols"].values(), strict=True):
        symbol["about"] = text
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(made, allow_unicode=True, sort_keys=False), encoding="utf-8")
    hostile = load_catalogue(path)
    found = rows(symbols_csv(views(hostile, list(hostile))))
    expected = [(hostile.entry(i).name, s.name, s.about) for i in hostile for s in hostile.entry(i).symbols]
    assert [(unmarked(r["entry_name"]), r["symbol"], unmarked(r["meaning"])) for r in found] == expected
    assert not any(value[:1] in tuple("=+-@") for row in found for value in row.values() if value)


def test_the_command_prints_and_writes_the_same_bytes(tmp_path: Path, capfdbinary: Any) -> None:
    assert kb.cli.main(["export", "softmax", "--format", "csv"]) == 0
    printed = capfdbinary.readouterr().out
    assert kb.cli.main(["export", "softmax", "--format", "csv", "-o", str(tmp_path / "s.csv")]) == 0
    assert (tmp_path / "s.csv").read_bytes() == printed
    assert printed.count(b"\r\n") == 3
