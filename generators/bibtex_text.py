"""Text of references as BibTeX wants it: names, titles and what both are written with."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import NamedTuple

from kb.printing.escape import one_line

# What TeX gives another meaning; hyphens, brackets and quotes keep theirs.
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", '"': "''",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2013": "--", "\u2014": "---", "\u2010": "-",
    "\u2026": r"\ldots{}", "\u00a0": "~",
    "ß": r"{\ss}", "æ": r"{\ae}", "Æ": r"{\AE}", "œ": r"{\oe}", "Œ": r"{\OE}", "ø": r"{\o}", "Ø": r"{\O}",
    "ł": r"{\l}", "Ł": r"{\L}", "ı": r"{\i}",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u ", "\u0307": ".",
    "\u0308": '"', "\u030a": "r ", "\u030b": "H ", "\u030c": "v ", "\u0323": "d ", "\u0327": "c ", "\u0328": "k ",
    "\u0331": "b ",
}  # fmt: skip
# Letters that have no accent to take off, for keys.
_PLAIN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "ı": "i", "đ": "d", "ð": "d", "þ": "th"}
# Words that belong to the surname after them although they begin with a capital.
_PARTICLES = frozenset("Van Von De Del Della Der Den Di Du La Le Ten Ter".split())
_JOINING = frozenset(["and", "others"])  # between names, and after the last one
_SUFFIX = re.compile(r"(Jr|Sr)\.?|II|III|IV")


class Person(NamedTuple):
    """The parts of a name; ``last`` has its particles (``van den Oord``)."""

    last: str
    suffix: str = ""
    first: str = ""

    def tex(self) -> str:
        """``Last, First``, as the parts of BibTeX's names."""
        parts = [self.last, self.suffix, self.first] if self.suffix else [self.last, self.first]
        return ", ".join(_name_part(part) for part in parts if part)


def person(name: str) -> Person:
    """The parts of a name: the surname is the last word, with its particles, unless a comma says what it is."""
    parts = [part.strip() for part in one_line(name).split(",")]
    if len(parts) == 2 and not _SUFFIX.fullmatch(parts[1]):
        return Person(parts[0], "", parts[1])
    if len(parts) > 2:
        return Person(parts[0], parts[1], " ".join(parts[2:]))
    if len(parts) == 1 and _names_several(parts[0]):
        return Person(parts[0])  # an organisation
    words = " ".join(parts).split()
    suffix = words.pop() if len(words) > 2 and _SUFFIX.fullmatch(words[-1]) else ""
    start = len(words) - 1
    while start > 1 and (words[start - 1] in _PARTICLES or words[start - 1].islower()):
        start -= 1
    return Person(" ".join(words[start:]), suffix, " ".join(words[:start]))


def _name_part(text: str) -> str:
    """A part of a name; in braces where BibTeX would take it apart, or for more than one name."""
    return f"{{{tex(text)}}}" if "," in text or _names_several(text) else tex(text)


def _names_several(text: str) -> bool:
    return not _JOINING.isdisjoint(text.lower().split())


def title_tex(title: str) -> str:
    """A title in which braces keep the capitals that styles would take away: all but the first letter."""
    marked = [(word, _has_capitals(word, first=n == 0)) for n, word in enumerate(one_line(title).strip().split(" "))]
    pieces = []
    for kept, group in groupby(marked, key=lambda pair: pair[1]):
        text = tex(" ".join(word for word, _ in group))
        pieces.append(_kept(text) if kept else text)
    return " ".join(pieces)


def _kept(text: str) -> str:
    """Text in braces, but for punctuation at its end; BibTeX changes letters in braces that begin with a command."""
    inner = text.rstrip(",.:;?!")
    return f"{{{'{}' if inner.startswith(chr(92)) else ''}{inner}}}{text[len(inner) :]}"


def _has_capitals(word: str, first: bool) -> bool:
    letters = [c for c in word if c.isalpha()]
    return any(c.isupper() for c in (letters[1:] if first else letters))


def tex(text: str) -> str:
    """Text for LaTeX: nothing in it is a command, braces are balanced, accents are commands."""
    return "".join(map(_character, one_line(text).strip()))


def _character(c: str) -> str:
    if c in _TEX:
        return _TEX[c]
    parts = unicodedata.normalize("NFD", c)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        accent = _ACCENTS[parts[1]]
        letter = rf"\{parts[0]}" if parts[0] in "ij" and accent not in ("d ", "c ", "k ", "b ") else parts[0]
        return f"{{\\{accent}{letter}}}"
    return c


def braced(text: str) -> str:
    """A value of a field; nothing for an empty one."""
    return f"{{{text}}}" if text else ""


def folded(text: str) -> str:
    """The letters and digits alone, small and without accents."""
    small = unicodedata.normalize("NFKD", "".join(_PLAIN.get(c, c) for c in text.lower()))
    return "".join(c for c in small if c.isascii() and c.isalnum())


def words(text: str) -> list[str]:
    """The words of a title, folded; what a hyphen joins is two words."""
    return [word for part in re.split(r"[\s\-\u2010-\u2015/:]+", text) if (word := folded(part))]
