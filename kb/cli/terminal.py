"""Text for a terminal: colour where it is wanted, lines that fit, columns that align."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_USUAL = 100
_CODES = {"bold": "1", "dim": "2", "green": "32", "red": "31", "yellow": "33"}


def coloured() -> bool:
    """Only on a terminal, and never where NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, *styles: str) -> str:
    """The text in a style, where colours are wanted."""
    if not styles or not coloured():
        return text
    return f"\x1b[{';'.join(_CODES[s] for s in styles)}m{text}\x1b[0m"


def width() -> int:
    """Columns to write in: the terminal's, between 40 and 120; 100 where there is none."""
    try:
        columns = int(os.environ.get("COLUMNS", "")) if sys.stdout.isatty() else _USUAL
    except ValueError:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return max(40, min(columns, 120))


def columns_of(text: str) -> int:
    """How many columns a text takes: combining marks take none, wide characters two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, columns: int) -> str:
    """The text filled up with blanks."""
    return text + " " * max(columns - columns_of(text), 0)


def shorten(text: str, columns: int) -> str:
    """The text, cut with an ellipsis where it is too long."""
    if columns_of(text) <= columns:
        return text
    while text and columns_of(text) > columns - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap(text: str, indent: str = "  ", hanging: str | None = None) -> list[str]:
    """Words on lines that fit."""
    import textwrap

    further = indent if hanging is None else hanging
    return textwrap.wrap(text, width(), initial_indent=indent, subsequent_indent=further) or [""]


def table(rows: Iterable[Sequence[str]], indent: str = "  ", most: int = 40) -> list[str]:
    """Rows with their columns aligned; the last column is wrapped under itself."""
    import textwrap

    listed = [list(row) for row in rows]
    if not listed:
        return []
    sizes = [min(max(columns_of(row[n]) for row in listed), most) for n in range(len(listed[0]) - 1)]
    lines = []
    for row in listed:
        head = indent + "".join(pad(cell, size) + "  " for cell, size in zip(row, sizes, strict=False))
        room = max(width() - columns_of(head), 20)
        last = textwrap.wrap(row[-1], room) or [""]
        lines.append((head + last[0]).rstrip())
        lines += [" " * columns_of(head) + line for line in last[1:]]
    return lines


def harmless(text: str) -> str:
    """Text of a catalogue without control characters, which could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n" else "�" if c != "\t" else " " for c in text)


def print_json(value: Any) -> None:
    """JSON on stdout, for programs and for people."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
