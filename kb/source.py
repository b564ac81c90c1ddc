"""Untrusted YAML text to plain data, with the place of every character of every value.

Only events of PyYAML are used: no Python object is ever made from a tag, and nesting, tags,
anchors and sheer size are refused while the events arrive, before anything is built from them.
Which words are numbers or truth values is decided here, in the narrow way on which all versions
of YAML agree; every other word stays text.
"""

from __future__ import annotations

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from kb.errors import CatalogueError, Fault, Location

MAX_BYTES = 5_000_000
MAX_LINES = 200_000
MAX_PATH = 200
AT_KEY = -1
"""As the ``start`` of a fault: the place is that of the key, not of its value."""

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\ufeff")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?)")
_LINE_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_END = re.compile(rf"\r\n|[{_LINE_BREAKS}]")
_PLAIN_UNIT = re.compile(rf"[^ \t{_LINE_BREAKS}]")
_SINGLE_UNIT = re.compile(rf"''|[^ \t{_LINE_BREAKS}]")
_DOUBLE_UNIT = re.compile(
    rf"\\(?:x[0-9A-Fa-f]{{2}}|u[0-9A-Fa-f]{{4}}|U[0-9A-Fa-f]{{8}}|\r\n|.)|[^ \t{_LINE_BREAKS}]", re.DOTALL
)
_ESCAPES = dict(zip("0abtnvfre_NLP", "\0\a\b\t\n\v\f\r\x1b\xa0\x85\u2028\u2029", strict=True))


@dataclass(frozen=True, slots=True)
class Number:
    """A number, as its decimal text: ``0.10`` stays that."""

    text: str


Data = str | bool | None | Number | list["Data"] | dict[str, "Data"]
StrPath = str | os.PathLike[str]


@dataclass(slots=True)
class Scalar:
    """A word or text: its value and the characters ``start`` to ``end`` of the file that say it."""

    start: int
    end: int
    value: str
    style: str


@dataclass(slots=True)
class Sequence:
    """A list of values."""

    start: int
    items: list[YamlNode] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Values by key, and where the keys stand; while it is read, the last key, which may wait for its value."""

    start: int
    items: dict[str, YamlNode] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    key: str = ""
    waits: bool = False
    repeated: bool = False


YamlNode = Scalar | Sequence | Mapping


def shorten(word: str, length: int = 60) -> str:
    """A word in quotes, cut where it is too long for a message."""
    return repr(word if len(word) <= length else word[:length] + "...")


class Text:
    """The characters of a file, and the line and column (1-based) of each."""

    def __init__(self, file: str, characters: str) -> None:
        self.file = file
        self.characters = characters

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", self.characters))]

    def location(self, index: int, path: str = "") -> Location:
        """The place of the character ``index``; keys in ``path`` can do nothing to a terminal."""
        if not path.isprintable() or len(path) > MAX_PATH:
            path = ascii(path[:MAX_PATH])[1:-1]
        line = bisect_right(self._line_starts, index)
        return Location(self.file, line, index - self._line_starts[line - 1] + 1, path)

    def refuse(self, message: str, index: int, path: str = "") -> CatalogueError:
        """An error of one fault at the character ``index``."""
        return CatalogueError([Fault(message, location=self.location(index, path))])


@dataclass(frozen=True)
class Source:
    """A YAML file as plain data, with the place of everything in it.

    ``faults`` are those that did not stop the reading: repeated keys.
    """

    text: Text
    root: Mapping
    faults: tuple[Fault, ...] = ()

    @cached_property
    def data(self) -> dict[str, Data]:
        """The whole file: id -> whatever was written there."""
        return {key: plain(node) for key, node in self.root.items.items()}

    def locate(self, entry_id: str, field: str = "", start: int = 0) -> Location:
        """The place of the character ``start`` of the text of ``field`` (``symbols.z.shape[0]``).

        A path that does not exist gives the place of the nearest key above it; so does the
        ``start`` AT_KEY.
        """
        rest = field if not field or field.startswith("[") else f".{field}"
        path = f"{entry_id}{rest}"
        index = self.root.keys.get(entry_id)
        if index is None:
            return self.text.location(0, path)
        node = self.root.items[entry_id]
        if not field:
            return self.text.location(index, path)
        while rest and not isinstance(node, Scalar):
            child = _child(node, rest)
            if child is None:
                return self.text.location(index, path)
            node, index, rest = child
        if start == AT_KEY:
            return self.text.location(index, path)
        if isinstance(node, Scalar):
            return self.text.location(character_index(self.text.characters, node, start), path)
        return self.text.location(node.start, path)


def _child(node: Sequence | Mapping, path: str) -> tuple[YamlNode, int, str] | None:
    """The value at the first part of ``path``, where its key stands, and the rest of the path."""
    if isinstance(node, Sequence):
        match = re.match(r"\[(\d{1,9})\]", path)
        if match is None or int(match.group(1)) >= len(node.items):
            return None
        item = node.items[int(match.group(1))]
        return item, item.start, path[match.end() :]
    if path.startswith("[0]"):  # what stands alone where a list may stand is the first of it
        return node, node.start, path[3:]
    path = path.removeprefix(".")
    if path in node.items:
        return node.items[path], node.keys[path], ""
    # Keys may hold dots themselves, so the longest one that fits is meant.
    cuts = [match.start() for match in re.finditer(r"[.\[]", path)]
    for cut in reversed(cuts):
        if path[:cut] in node.items:
            return node.items[path[:cut]], node.keys[path[:cut]], path[cut:]
    return None


def character_index(characters: str, scalar: Scalar, start: int) -> int:
    """The index in the file of the character ``start`` of a scalar's value.

    Folding, indentation and chomping change nothing but blanks, so the other characters of the
    value stand in the file in the same order; only escapes have to be read.
    """
    value = scalar.value
    begin = scalar.start
    if scalar.style in ("|", ">"):
        line_end = _LINE_END.search(characters, begin)
        begin = line_end.end() if line_end else begin
    elif scalar.style:
        begin += 1
    end, position = begin, 0
    for index, after, written in _units(characters, begin, scalar):
        word = position
        while value[word : word + 1] not in (written, ""):
            word += 1
        if start < word:
            newline = value.rfind("\n", position, word)
            return index - (word - start) if 0 <= newline < start else min(end + start - position, index)
        if start == word:
            return index
        end, position = after, word + 1
    return end


def _units(characters: str, begin: int, scalar: Scalar) -> Iterator[tuple[int, int, str]]:
    """(index, index after it, character meant) of everything written that is not a mere blank."""
    pattern = {'"': _DOUBLE_UNIT, "'": _SINGLE_UNIT}.get(scalar.style, _PLAIN_UNIT)
    for match in pattern.finditer(characters, begin, scalar.end):
        unit = match.group()
        meant = unit[0]
        if scalar.style == '"' and unit[0] == "\\":
            meant = chr(int(unit[2:], 16)) if unit[1] in "xuU" else _ESCAPES.get(unit[1], unit[1])
            if unit[1] in _LINE_BREAKS:
                continue
        yield match.start(), match.end(), meant


def plain(node: YamlNode) -> Data:
    """Plain data: text, true or false, nothing, Number, lists and dictionaries."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.items.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if node.style:
        return node.value
    if node.value in ("", "~", "null"):
        return None
    if node.value in ("true", "false"):
        return node.value == "true"
    if node.value[0] in "+-.0123456789" and _NUMBER.fullmatch(node.value):
        return Number(node.value.removeprefix("+"))
    return node.value


def yaml_number(word: str) -> str | None:
    """How a word that looks like a number is to be written so that YAML reads one; None if none."""
    word = word.strip().replace("_", "")
    if len(word) > 100 or not re.fullmatch(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", word):
        return None
    sign, word = ("-", word[1:]) if word[0] == "-" else ("", word.removeprefix("+"))
    mantissa, _, exponent = word.lower().partition("e")
    whole, point, fraction = mantissa.partition(".")
    whole = whole.lstrip("0") or "0"
    if not exponent:
        return sign + whole + (f".{fraction or 0}" if point else "")
    power = exponent if exponent[0] in "+-" else "+" + exponent
    return f"{sign}{whole}.{fraction or 0}e{power}"


def read_bytes(path: StrPath) -> bytes:
    """The content of a catalogue file of sensible size.

    Raises CatalogueError for anything that is not a readable file.
    """
    file = os.fspath(path)

    def refuse(message: str) -> CatalogueError:
        return CatalogueError([Fault(message, location=Location(file))])

    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            raise refuse("this is a directory; name a YAML file in it")
        if not stat.S_ISREG(mode):
            raise refuse("this is not a regular file; save the catalogue in a file and name that")
        with open(file, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file; check the path") from None
    except PermissionError:
        raise refuse("the file may not be read; check its permissions") from None
    except OSError as error:
        raise refuse(f"the file cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise CatalogueError([Fault(f"{shorten(file)} is not a path; check it")]) from None
    if len(content) > MAX_BYTES:
        raise refuse(f"the file is larger than {MAX_BYTES:,} bytes; split it into several catalogue files")
    return content


def decode(content: bytes, file: str) -> Text:
    """The characters of a file. Raises CatalogueError at the first byte or character that cannot stand in YAML."""
    try:
        characters = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        message = f"the byte 0x{content[error.start]:02x} is not UTF-8; save the file in the encoding UTF-8"
        raise Text(file, before).refuse(message, len(before)) from None
    text = Text(file, characters)
    bad = _UNPRINTABLE.search(characters)
    if bad:
        raise text.refuse(
            f"the control character U+{ord(bad.group()):04X} cannot stand in YAML; remove it", bad.start()
        )
    if characters.count("\n") + characters.count("\r") > 2 * MAX_LINES:
        raise CatalogueError([Fault(f"the file has more than {MAX_LINES:,} lines; split it", location=Location(file))])
    return text


def read_source(path: StrPath) -> Source:
    """Read a YAML file of ``id: entry``.

    Raises CatalogueError, with the place and the remedy, for whatever is not such a file.
    """
    return parse_source(read_bytes(path), os.fspath(path))


def parse_source(content: bytes, file: str) -> Source:
    """Read the content of a YAML file; ``file`` is the name used in messages."""
    from kb.composer import Composer

    return Composer(decode(content, file)).compose()
