"""How wide a label is before any browser has seen it, and how it is broken into lines.

The widths are those of Helvetica, which Arial and Liberation Sans share; the pictures name these faces.
"""

from __future__ import annotations

import unicodedata
from functools import cache

_CLASSES = {  # thousandths of the size of the letters
    191: "'",
    222: "ijl",
    278: "Itf.,/!:;[]\\ |",
    333: "r()-`{}\N{NON-BREAKING HYPHEN}",
    389: '*"',
    500: "ckvsxyzJ",
    556: "abdeghnopquL0123456789?#$_",
    600: "FTZ+<=>~^",
    667: "ABEKPSVXY&",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1015: "@",
}
_WIDTHS = {c: width / 1000 for width, characters in _CLASSES.items() for c in characters}
_OTHER, _WIDE = 0.75, 1.05
_BOLD = 1.08
_ELLIPSIS = "…"


@cache
def _character(c: str) -> float:
    if unicodedata.combining(c):
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return _WIDE
    base = unicodedata.normalize("NFD", c)[0]  # an accent makes no letter wider
    return _WIDTHS.get(c, _WIDTHS.get(base, _OTHER))


def width_of(text: str, size: float, bold: bool = False) -> float:
    """The width of a line of text in letters of a size."""
    return sum(map(_character, text)) * size * (_BOLD if bold else 1)


def wrap(text: str, width: float, size: float, bold: bool = False, lines: int = 4) -> tuple[str, ...]:
    """Text in at most some lines of like length, no wider than ``width``; what does not fit ends in an ellipsis."""
    words = [part for word in text.split() for part in _pieces(word, width, size, bold)]
    made = _fill(words, width, size, bold)
    if len(made) > lines:
        rest = made[lines - 1]
        while rest and width_of(rest + _ELLIPSIS, size, bold) > width:
            rest = rest[:-1]
        return (*made[: lines - 1], rest.rstrip() + _ELLIPSIS)
    low = max(width_of(part, size, bold) for part in words) if words else 0.0
    narrowest = low
    for step in range(1, 9):  # a last line of one short word looks forgotten
        if len(_fill(words, narrowest, size, bold)) == len(made):
            break
        narrowest = low + (width - low) * step / 8
    return tuple(_fill(words, narrowest, size, bold))


def _pieces(word: str, width: float, size: float, bold: bool) -> list[str]:
    """A word, in pieces if it is wider than a line."""
    pieces, rest = [], word
    while width_of(rest, size, bold) > width and len(rest) > 1:
        end = max((n for n in range(1, len(rest)) if width_of(rest[:n], size, bold) <= width), default=1)
        pieces.append(rest[:end])
        rest = rest[end:]
    return [*pieces, rest]


def _fill(words: list[str], width: float, size: float, bold: bool) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size, bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
