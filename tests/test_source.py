"""Untrusted YAML: what is refused, what a word means, and where every character stands."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.errors import CatalogueError
from kb.source import AT_KEY, Number, Source, parse_source, read_source, yaml_number


def source(text: str) -> Source:
    return parse_source(text.encode(), "f.yaml")


def refusal(content: str | bytes) -> str:
    with pytest.raises(CatalogueError) as caught:
        parse_source(content.encode() if isinstance(content, str) else content, "f.yaml")
    return str(caught.value)


def place(text: str, entry_id: str, field: str, start: int = 0) -> tuple[int, int]:
    location = source(text).locate(entry_id, field, start)
    return location.line, location.column


# --- what is not a catalogue file -------------------------------------------------------------


def test_a_missing_file_a_directory_and_a_device_are_refused(tmp_path: Path) -> None:
    for path, words in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "a directory"),
        (Path("/dev/null"), "not a regular file"),
        (Path("a\0b"), "is not a path"),
    ]:
        with pytest.raises(CatalogueError, match=words):
            read_source(path)


@pytest.mark.skipif(os.name != "posix", reason="named pipes are a matter of POSIX")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CatalogueError, match="not a regular file"):
        read_source(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: {}")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(CatalogueError, match="may not be read; check its permissions"):
        read_source(path)


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_says_so(content: str) -> None:
    message = refusal(content)
    assert "empty" in message or "this is text" in message


def test_a_list_and_a_text_are_not_a_catalogue() -> None:
    assert "f.yaml:2:1: this is a list" in refusal("# head\n- a\n")
    assert "this is text" in refusal("hello\n")


def test_the_first_byte_that_is_not_utf8_is_named_with_its_place() -> None:
    assert "f.yaml:2:6: the byte 0xff is not UTF-8" in refusal("ä: 1\nbé: ".encode() + b"x\xff\n")
    assert "UTF-8" in refusal("a: 1".encode("utf-16"))


def test_control_characters_are_named() -> None:
    assert "f.yaml:2:4: the control character U+0007" in refusal("a: 1\nb: \x07")


def test_a_byte_order_mark_changes_no_place() -> None:
    content = b"\xef\xbb\xbf" + b"a: {b: x}"
    assert parse_source(content, "f.yaml").locate("a", "b").column == 8


# --- hostile text -----------------------------------------------------------------------------

HOSTILE = {
    "brackets": ("a: " + "[" * 100_000, "nested deeper than 32"),
    "closed brackets": ("a: " + "[" * 100_000 + "]" * 100_000, "nested deeper than 32"),
    "braces": ("{" * 100_000, "a key is a word"),
    "mappings": ("{a: " * 100_000, "nested deeper than 32"),
    "dashes": ("- " * 100_000, "nested deeper than 32"),
    "blocks": ("".join("  " * i + "a:\n" for i in range(1_000)), "nested deeper than 32"),
    "alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors"),
    "alias": ("a: *b\n", "aliases"),
    "tag": ("a: !!python/object/apply:os.system ['id']\n", "tags"),
    "unknown tag": ("a: !x!y z\n", "tags"),
    "documents": ("a: {}\n---\nb: {}\n", "f.yaml:2:1: a second YAML document"),
    "directive": ("%YAML 1.1\n---\na: {}\n", "directives"),
    "values": ("a: [" + "[]," * 400_000 + "]", "more than 150,000 values"),
    "repeated keys": ("a: 1\n" * 150_000, "written twice"),
    "lines": ("\n" * 4_000_000, "lines"),
    "quotes": ("a: " + "'" * 4_000_001, "never closed"),
    "size": ("a: " + "x" * 5_000_000, "this is text"),
}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "size"])
def test_hostile_text_is_refused_quickly(name: str) -> None:
    content, words = HOSTILE[name]
    start = time.process_time()
    assert words in refusal(content)
    assert time.process_time() - start < 30


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HOSTILE["size"][0])
    with pytest.raises(CatalogueError, match="larger than 5,000,000 bytes"):
        read_source(tmp_path / "a.yaml")


def test_without_the_c_parser_the_same_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    for name in ("brackets", "blocks", "dashes", "alias bomb", "alias", "tag", "documents", "directive"):
        content, words = HOSTILE[name]
        assert words in refusal(content), name
    assert "escape" in refusal('a: "\\UFFFFFFFF"')
    assert source("a: {b: 'x'}").data == {"a": {"b": "x"}}


# --- faults of syntax -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a:\n\tb: 1\n", "2:1", "a tab cannot indent"),
        ("a:\n  b: c: d\n", "2:7", "': ' cannot stand here"),
        ("a:\n  b: 1\n c: 2\n", "3:2", "indentation"),
        ("a:\n  b: 1\n  hello\n  c: 2\n", "4:3", "the line before this is not 'key: value'"),
        ("a: [1, 2\nb: 3\n", "2:2", "'[...]' is not closed"),
        ('a:\n  b: "xyz\n', "2:6", "the quotes opened here are never closed"),
        ('a: "\\q"\n', "1:5", "escape is unknown"),
        ("a: @x\n", "1:4", "put it in quotes"),
        ("a: %x\n", "1:4", "put it in quotes"),
        ("a: | x\n  y\n", "1:6", "begin the text on the next line"),
        ("a: 'b' c\n", "1:8", "put all of it in quotes"),
        ("a:\n  - [b] + c\n", "2:9", "put all of it in quotes"),
        ("a: 'b\n---\nc'\n", "2:1", "stands inside a text; indent it"),
        ("? [a]\n: b\n", "1:3", "a key is a word"),
        ("é: {ü: [}\n", "1:9", "a value is missing here"),
    ],
)
def test_a_fault_of_syntax_has_its_place_and_a_remedy(text: str, where: str, words: str) -> None:
    message = refusal(text)
    assert message.startswith(f"f.yaml:{where}: ")
    assert words in message


def test_repeated_keys_are_all_reported_with_both_places() -> None:
    read = source("a:\n  b: 1\n  b: 2\n  c: {d: 1, d: 2}\na: {}\n")
    assert [str(fault).split(";")[0] for fault in read.faults] == [
        "f.yaml:3:3: a.b: the key 'b' is written twice, first at f.yaml:2:3",
        "f.yaml:4:13: a.c.d: the key 'd' is written twice, first at f.yaml:4:7",
        "f.yaml:5:1: a: the key 'a' is written twice, first at f.yaml:1:1",
    ]
    assert read.data == {"a": {"b": Number("1"), "c": {"d": Number("1")}}}


# --- what a word means ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("N", "N"),
        ("", None),
        ("~", None),
        ("null", None),
        ("0", Number("0")),
        ("-7", Number("-7")),
        ("+7", Number("7")),
        ("0.10", Number("0.10")),
        (".5", Number(".5")),
        ("1.0e-8", Number("1.0e-8")),
        ("1e-8", "1e-8"),
        ("1.0e8", "1.0e8"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        (".inf", ".inf"),
        ("2017-06-12", "2017-06-12"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("''", ""),
        ("=", "="),
    ],
)
def test_what_a_word_means(written: str, value: object) -> None:
    assert source(f"a: {{b: {written} }}").data == {"a": {"b": value}}


def test_keys_are_always_words() -> None:
    assert source("{on: 1, no: 2, y: 3, 1: 4, null: 5, 0.5: 6, <<: 7}").data == {
        key: Number(str(i)) for i, key in enumerate(["on", "no", "y", "1", "null", "0.5", "<<"], start=1)
    }


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("1e-8", "1.0e-8"),
        ("1.5e3", "1.5e+3"),
        ("-2E5", "-2.0e+5"),
        ("010", "10"),
        ("1_000", "1000"),
        ("0.5", "0.5"),
        ("x", None),
        ("1e", None),
        ("", None),
        (".", None),
    ],
)
def test_how_a_number_is_to_be_written(word: str, written: str | None) -> None:
    assert yaml_number(word) == written
    if written:
        assert isinstance(source(f"a: {written}").data["a"], Number)
        assert float(written) == float(word)


# --- places -----------------------------------------------------------------------------------


def test_places_of_paths() -> None:
    text = """\
softmax:
  symbols:
    z: {shape: [C, n], about: ü}
  define: p[j] = z[j]
  claims:
    jacobian: d(p) == 1
    other: {formula: x == y, about: text}
"""
    assert place(text, "softmax", "symbols.z.shape[1]") == (3, 20)
    assert place(text, "softmax", "symbols.z.shape[1]", AT_KEY) == (3, 20)
    assert place(text, "softmax", "symbols.z.shape", AT_KEY) == (3, 9)
    assert place(text, "softmax", "define[0]", 7) == (4, 18)
    assert place(text, "softmax", "define", 7) == (4, 18)
    assert place(text, "softmax", "claims.jacobian.formula", 2) == (6, 17)
    assert place(text, "softmax", "claims.jacobian", AT_KEY) == (6, 5)
    assert place(text, "softmax", "claims.other.formula", 5) == (7, 27)
    assert place(text, "softmax", "") == (1, 1)
    # What is not there: the nearest key above.
    assert place(text, "softmax", "symbols.z.domain") == (3, 5)
    assert place(text, "softmax", "define[3]") == (4, 11)
    assert place(text, "softmax", "topic") == (1, 1)
    assert place(text, "other", "topic") == (1, 1)


def test_keys_with_dots_are_found() -> None:
    assert place("a: {b.c: {'d[0]': [x, y]}}", "a", "b.c.d[0][1]") == (1, 23)


def test_a_path_cannot_command_a_terminal() -> None:
    text = 'a: {"\\e[2J": 1, "\\e[2J": 2, xs: {%s: 1}}' % ("x" * 900)
    read = source(text)
    assert str(read.faults[0]).isprintable()
    assert str(read.locate("a", "\x1b[2J")) == r"f.yaml:1:14: a.\x1b[2J"
    assert len(str(read.locate("a", "xs." + "x" * 900))) < 250


def test_columns_count_characters_after_non_ascii_text() -> None:
    assert place("a: {näme: 'Ünïcode 𝛼', define: 'é = ß + x'}", "a", "define", 8) == (1, 41)


def test_block_scalars_keep_their_columns() -> None:
    text = (
        "a:\n  define:\n    - |-  # why\n\n      é = 1\n        + ü @ x\n"
        "    - >2+\n        y\n       z\n  notes: |+\n     n\n\n"
    )
    assert source(text).data["a"] == {"define": ["\né = 1\n  + ü @ x", "  y\n z\n"], "notes": "n\n\n"}
    assert place(text, "a", "define[0]", 1) == (5, 7)
    assert place(text, "a", "define[0]", 5) == (5, 11)
    assert place(text, "a", "define[0]", 7) == (6, 7)
    assert place(text, "a", "define[0]", 8) == (6, 8)
    assert place(text, "a", "define[0]", 9) == (6, 9)
    assert place(text, "a", "define[0]", 13) == (6, 13)
    assert place(text, "a", "define[0]", 15) == (6, 15)
    assert place(text, "a", "define[1]", 2) == (8, 9)
    assert place(text, "a", "define[1]", 5) == (9, 8)
    assert place(text, "a", "notes", 0) == (11, 6)


def test_folded_and_quoted_text_keeps_its_columns() -> None:
    text = "a:\n  b: x = 1\n     + y\n\n     + z\n  c: 'it''s é\n    + w'\n  d: \"\\x41\\u00e9 \\\n     \\\"q\\n  v\"\n"
    assert source(text).data["a"] == {"b": "x = 1 + y\n+ z", "c": "it's é + w", "d": 'Aé "q\n  v'}
    assert place(text, "a", "b", 6) == (3, 6)
    assert place(text, "a", "b", 10) == (5, 6)
    assert place(text, "a", "c", 2) == (6, 9)
    assert place(text, "a", "c", 5) == (6, 13)
    assert place(text, "a", "c", 9) == (7, 7)
    assert place(text, "a", "d", 1) == (8, 11)
    assert place(text, "a", "d", 3) == (9, 6)
    assert place(text, "a", "d", 4) == (9, 8)
    assert place(text, "a", "d", 8) == (9, 13)


def test_the_end_of_a_text_is_after_its_last_character() -> None:
    assert place("a: {b: x + }", "a", "b", 3) == (1, 11)
    assert place("a:\n  b: |\n    x +\n", "a", "b", 4) == (3, 8)
    assert place("a: {b: ''}", "a", "b", 0) == (1, 9)


def test_windows_line_ends() -> None:
    assert place("a:\r\n  b: |\r\n    x\r\n    é + y\r\n", "a", "b", 6) == (4, 9)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(alphabet="ab'\"\\ é𝛼#:-[]{}|>*&!%@,?\n\t~", max_size=60), min_size=1, max_size=4),
    st.sampled_from([None, "'", '"', "|", ">"]),
    st.booleans(),
    st.integers(5, 40),
)
def test_every_character_is_found_in_the_file(texts: list[str], style: str | None, unicode: bool, width: int) -> None:
    data = {"é": {"define": texts, "claims": {f"c{i}": text for i, text in enumerate(texts)}}}
    written = yaml.safe_dump(data, default_style=style, allow_unicode=unicode, width=width)
    read = source(written)
    for field, text in _texts(read.data["é"]):
        before = (0, 0)
        for start, character in enumerate(text):
            location = read.locate("é", field, start)
            here = (location.line, location.column)
            assert here >= before
            if character not in " \t\n":
                found = written.split("\n")[location.line - 1][location.column - 1]
                assert found == character or found == "\\"
                assert here > before
                before = here


def _texts(data: Any) -> list[tuple[str, str]]:
    """What was read, which is not always what was dumped: PyYAML breaks narrow lines wrongly."""
    steps = [(f"define[{i}]", text) for i, text in enumerate(data["define"])]
    claims = [(f"claims.{name}", text) for name, text in data["claims"].items()]
    return [(field, text) for field, text in steps + claims if isinstance(text, str)]
