"""Pages and lists in terminals of every width: what fits, what is broken where, and when there is colour."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

import kb
import kb.cli
import kb.cli.read
from kb.cli import terminal
from kb.cli.arguments import COMMANDS, _named_command
from kb.cli.breaking import formula_lines
from kb.cli.pages import rendered
from kb.cli.show import page

SHOWN = ("softmax", "adam", "conv2d", "scaled_dot_product_attention", "softmax_cross_entropy_gradient", "gan_minimax")
LONG = "∂h[j]/∂x[l] = h[j]·W_xo[j,l]·(1 − o[j]) + o[j]·(1 − tanh(c[j])²)·(c_prev[j]·f[j] + c̃[j]·i[j]·(1 − i[j]))"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A terminal; the width is set by COLUMNS."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(terminal, "on_terminal", lambda: True)
    monkeypatch.setattr("kb.cli.read.on_terminal", lambda: True)
    yield monkeypatch
    terminal.force_colour(None)


# --- widths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_every_line_of_a_page_fits(columns: int, narrow: pytest.MonkeyPatch) -> None:
    narrow.setenv("COLUMNS", str(columns))
    catalogue = kb.load_catalogue()
    for entry_id in SHOWN:
        lines = page(catalogue.entry(entry_id), rendered(catalogue, entry_id))
        assert max(map(terminal.columns_of, lines)) <= columns
        assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("columns", [20, 40, 120])
def test_no_width_loses_anything(columns: int, narrow: pytest.MonkeyPatch) -> None:
    catalogue = kb.load_catalogue()
    for entry_id in SHOWN:
        entry, formulas = catalogue.entry(entry_id), rendered(catalogue, entry_id)
        pages = []
        for width in (columns, 200):
            narrow.setenv("COLUMNS", str(width))
            pages.append("".join("".join(page(entry, formulas)).split()))
        # Only the comma between the cells of a stacked row is not in both.
        assert pages[0].replace(",", "") == pages[1].replace(",", "")


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_list_is_one_fitting_line_for_each_entry(
    columns: int, narrow: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow.setenv("COLUMNS", str(columns))
    assert kb.cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(kb.load_catalogue())
    assert max(map(terminal.columns_of, lines)) <= columns


def test_a_pipe_gets_every_name_whole_whatever_the_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert kb.cli.main(["list"]) == kb.cli.main(["show", "adam"]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert all(equation.name in outputs[0] for equation in kb.load_catalogue().values())


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("ŷ", 1), (unicodedata.normalize("NFD", "ŷ"), 1), ("h̃", 1), ("漢", 2), ("x\u20d7", 1)],
)
def test_columns_count_what_is_seen(text: str, columns: int) -> None:
    assert terminal.columns_of(text) == columns
    assert terminal.columns_of(terminal.pad(text, 5)) == 5


def test_shortening_and_cutting_keep_an_accent_with_its_letter() -> None:
    assert terminal.shorten("h̃h̃h̃h̃", 3) == "h̃h̃…"
    assert terminal.cut("h̃x", 1) == ("h̃", "x")


def test_words_longer_than_a_line_are_cut_and_nothing_else() -> None:
    assert terminal.fill("an https://example.org/path/of/it end", 16) == [
        "an",
        "https://example.",
        "org/path/of/it",
        "end",
    ]
    assert "".join(terminal.fill("abcdef", 0)) == "abcdef"
    assert terminal.fill("", 10) == [""]


# --- formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [24, 36, 50, 70, 90, 200])
def test_a_formula_is_broken_before_operators_and_never_in_a_name(room: int) -> None:
    lines = formula_lines(LONG, room)
    assert "".join("".join(lines).split()) == "".join(LONG.split())
    assert max(map(terminal.columns_of, lines)) <= room
    for line in lines[1:]:
        assert line.strip()[0] in "=+−·("
    assert len(lines) == 1 or lines[0].startswith("∂h[j]/∂x[l]")


def test_a_formula_is_broken_outside_of_brackets_first() -> None:
    assert formula_lines("y = (a + b) + (c + d)", 16) == ["y = (a + b)", "    + (c + d)"]
    assert formula_lines("y = f(a + b, c + d)", 14) == ["y = f(a + b,", "    c + d)"]
    assert formula_lines("abcdefghij", 4) == ["abcdefghij"]


# --- colour ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "environment", "tty", "wanted"),
    [
        ([], {}, False, False),
        ([], {}, True, True),
        ([], {"NO_COLOR": "1"}, True, False),
        ([], {"NO_COLOR": ""}, True, True),
        ([], {"TERM": "dumb"}, True, False),
        ([], {"FORCE_COLOR": "1"}, False, True),
        ([], {"FORCE_COLOR": "0"}, False, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        (["--color"], {"NO_COLOR": "1"}, False, True),
        (["--no-color"], {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_there_where_it_is_wanted(
    arguments: list[str],
    environment: dict[str, str],
    tty: bool,
    wanted: bool,
    narrow: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        narrow.setenv(name, value)
    narrow.setattr("sys.stdout.isatty", lambda: tty)
    for command in (["list"], ["search", "softmax"], ["show", "softmax"]):
        assert kb.cli.main([*command, *arguments]) == 0
        assert ("\x1b[" in capsys.readouterr().out) is wanted
    assert kb.cli.main(["list", "--json", *arguments]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_colour_changes_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    import re

    outputs = []
    for option in ("--color", "--no-color"):
        kb.cli.main(["show", "adam", option])
        outputs.append(re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out))
    terminal.force_colour(None)
    assert outputs[0] == outputs[1]


# --- sections -------------------------------------------------------------------------------------


def test_sections_stand_in_order_and_name_users(capsys: pytest.CaptureFixture[str]) -> None:
    kb.cli.main(["show", "softmax"])
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines[1:] if line and not line.startswith(" ")]
    assert titles == [
        *("Symbols", "Derivatives", "Claims", "Evidence", "Notes", "See also", "Frameworks", "References", "Sources"),
    ]
    (users,) = [line for line in lines if line.startswith("  used by")]
    assert "softmax_jacobian" in users


def test_a_remark_goes_below_a_formula_that_fills_the_line(narrow: pytest.MonkeyPatch) -> None:
    catalogue = kb.load_catalogue()
    narrow.setenv("COLUMNS", "40")
    entry_id = "softmax_cross_entropy_gradient"
    lines = page(catalogue.entry(entry_id), rendered(catalogue, entry_id))
    assert any(line.strip().startswith("because") for line in lines)


def test_sizes_and_instances_read_as_formulas(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "mine:\n  name: Mine\n  topic: tests\n  about: Text.\n"
        "  symbols: {x: {shape: [n//2 + 1]}, f: {kind: function, arguments: [t], instance: 2*t - 1},\n"
        "    y: {shape: [n//2 + 1], role: output}}\n"
        "  define: y[i] = f(x[i])\n  requires: [n >= 2]\n"
    )
    assert kb.cli.main(["--catalogue", str(path), "show", "mine"]) == 0
    out = capsys.readouterr().out
    assert "⌊n/2⌋ + 1" in out and "2·t − 1" in out


# --- arguments ------------------------------------------------------------------------------------


def test_one_parser_is_enough_for_a_command() -> None:
    assert _named_command(["--catalogue", "list", "show", "x"]) == "show"
    assert _named_command(["--catalogue=list", "show", "x"]) == "show"
    assert _named_command(["--help", "show"]) is None
    assert _named_command([]) is None
    assert "show" in COMMANDS


def test_the_help_of_one_command_does_not_need_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert kb.cli.main([command, "--help"]) == 0
        assert f"usage: eqkb {command}" in capsys.readouterr().out
    assert kb.cli.main(["--help"]) == 0
    assert all(f"    {command}" in capsys.readouterr().out for command in COMMANDS[:1])
