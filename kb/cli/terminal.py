"""Text for a terminal: colour where it is wanted, lines that fit, columns that align."""

from __future__ import annotations

import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any

MOST_COLUMNS = 200  # of a line of formulas, more than for sentences
_USUAL, _PROSE, _NARROW = 100, 120, 20
_CODES = {"bold": "1", "dim": "2", "green": "32", "red": "31", "yellow": "33"}
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
        if lines[-1] and columns_of(lines[-1]) + 1 + columns_of(word) <= room:
            lines[-1] += f" {word}"
            continue
        if lines[-1]:
            lines.append("")
            room = room if further is None else further
        while columns_of(word) > max(room, 2):
            lines[-1], word = _cut_word(word, room)
            lines.append("")
            room = room if further is None else further
        lines[-1] = word
    return lines


def _cut_word(word: str, room: int) -> tuple[str, str]:
    """A word that no line holds, such as an address, cut after a mark if there is one."""
    head, _ = cut(word, room)
    at = max(head.rfind(mark) for mark in "/.-_,?&=") + 1
    at = at if at > max(room // 3, 0) else len(head)
    return word[:at], word[at:]


def wrap(text: str, indent: str = "  ", hanging: str | None = None) -> list[str]:
    """Words on lines that fit, the lines after the first with another indent."""
    further = indent if hanging is None else hanging
    first, *lines = fill(text, width() - len(indent), width() - len(further))
    return [indent + first, *(further + line for line in lines)]


def harmless(text: str) -> str:
    """Text of a catalogue without control characters, which could steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n" else "�" if c != "\t" else " " for c in text)


def print_json(value: Any) -> None:
    """JSON on stdout, for programs and for people."""
    from kb.answers import json_text

    print(json_text(value), end="")
