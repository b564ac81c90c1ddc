"""Text for a terminal: colour where it is wanted, lines that fit, columns that align."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

_USUAL, _PROSE, _NARROW = 100, 120, 20
_CODES = {"bold": "1", "dim": "2", "green": "32", "red": "31", "yellow": "33"}
_LEAST_LAST = 24  # a last column narrower than this goes below the others
_forced: bool | None = None


def force_colour(wanted: bool | None) -> None:
    """Colour, or none, whatever the terminal and the environment say; None leaves it to them."""
    global _forced
    _forced = wanted


def coloured() -> bool:
    """What was asked for; else not with NO_COLOR, certainly with FORCE_COLOR, and else on a terminal only."""
    if _forced is not None:
        return _forced
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str) -> str:
    """The text in a style, where colours are wanted."""
    if not styles or not text or not coloured():
        return text
    return f"\x1b[{';'.join(_CODES[s] for s in styles)}m{text}\x1b[0m"


def on_terminal() -> bool:
    """Whether a person reads along, so that what is too long may be shortened."""
    return sys.stdout.isatty()


def width(most: int = _PROSE) -> int:
    """Columns to write in: the terminal's, ``most`` at most; 100 where there is no terminal."""
    if not on_terminal():
        return _USUAL
    columns = 0
    if os.environ.get("COLUMNS", "").isdecimal():
        columns = int(os.environ["COLUMNS"])
    else:
        with suppress(OSError, ValueError):
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return max(_NARROW, min(columns or 80, most))


def columns_of(text: str) -> int:
    """How many columns a text takes: combining marks take none, wide characters two."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int) -> str:
    """The text filled up with blanks."""
    return text + " " * max(columns - columns_of(text), 0)


def cut(text: str, columns: int) -> tuple[str, str]:
    """As much of the text as fits, a letter with its accents at least, and the rest."""
    taken = used = 0
    for character in text:
        used += _columns(character)
        if used > columns and taken:
            break
        taken += 1
    return text[:taken], text[taken:]


def shorten(text: str, columns: int) -> str:
    """The text, cut with an ellipsis where it is too long."""
    return text if columns_of(text) <= columns else cut(text, columns - 1)[0].rstrip() + "…"


def fill(text: str, room: int, further: int | None = None) -> list[str]:
    """The words of a text on lines of ``room`` columns; of ``further`` columns after the first."""
    lines = [""]
    for word in text.split():
        space = room if len(lines) == 1 or further is None else further
        if lines[-1] and columns_of(lines[-1]) + 1 + columns_of(word) <= space:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
            space = room if further is None else further
        while columns_of(word) > space:
            head, word = _cut_word(word, space)
            lines[-1] = head
            lines.append("")
            space = room if further is None else further
        lines[-1] = word
    return lines


def _cut_word(word: str, room: int) -> tuple[str, str]:
    """A word that no line holds, such as an address, cut after a mark if there is one."""
    head, _ = cut(word, room)
    at = max(head.rfind(mark) for mark in "/.-_,?&=") + 1
    at = at if at > room // 3 else len(head)
    return word[:at], word[at:]


def wrap(text: str, indent: str = "  ", hanging: str | None = None) -> list[str]:
    """Words on lines that fit, the lines after the first with another indent."""
    further = indent if hanging is None else hanging
    first, *lines = fill(text, width() - len(indent), width() - len(further))
    return [indent + first, *(further + line for line in lines)]


def table(rows: Iterable[Sequence[str]], indent: str = "  ", most: int = 40) -> list[str]:
    """Rows with their columns aligned; the last column is wrapped under itself.

    A cell of more than ``most`` columns does not widen its column: the next cell goes to a new
    line. Where little room is left for the last column it goes below the others.
    """
    listed = [list(row) for row in rows]
    if not listed:
        return []
    most = min(most, width() // 2)
    columns = range(len(listed[0]) - 1)
    sizes = [max([c for row in listed if (c := columns_of(row[n])) <= most], default=0) for n in columns]
    room = width() - len(indent) - sum(sizes) - 2 * len(sizes)
    lines: list[str] = []
    for row in listed:
        if room >= _LEAST_LAST:
            lines += _aligned(row, sizes, indent, room)
        else:
            lines += wrap("  ".join(cell for cell in row[:-1] if cell), indent, indent + "    ")
            lines += wrap(row[-1], indent + "    ") if row[-1] else []
    return lines


def _aligned(row: Sequence[str], sizes: Sequence[int], indent: str, room: int) -> list[str]:
    lines, line = [], indent
    for n, size in enumerate(sizes):
        line += pad(row[n], size) + "  "
        if columns_of(row[n]) > size:
            lines += wrap(line.strip(), indent, indent + "    ")
            line = indent + " " * (sum(sizes[: n + 1]) + 2 * (n + 1))
    first, *rest = fill(row[-1], room)
    lines.append((line + first).rstrip())
    return lines + [" " * (len(indent) + sum(sizes) + 2 * len(sizes)) + text for text in rest]


def harmless(text: str) -> str:
    """Text of a catalogue without control characters, which could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n" else "�" if c != "\t" else " " for c in text)


def print_json(value: Any) -> None:
    """JSON on stdout, for programs and for people."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))
