"""The comment at the head of the catalogue, which specifies its language, as the plain data that a page shows.

The comment is text for people that tests run: sections with numbers, paragraphs, tables set with blanks, and lines
marked as examples. All of it is shown; what cannot be told apart stays a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from generators.markdown import code_span
from generators.rendering import Escape, Ready

_HEADING = re.compile(r"(\d+)  (\S.*)")
_ROW = re.compile(r"  (\S.*?) {2,}(\S.*)")
_REFUSED = re.compile(r"(.*?)(?: {2,}(.*))?")
_MARKS = {"|": "entries", ">": "values", "!": "refused"}
# Quoted texts, mappings, names with what is read or called, and names that no word of a sentence looks like.
_INNER = r"(?:[^()]|\([^()]*\))*"
_CODE = re.compile(
    r"""("[^"]+"|(?<!\w)'[^']+'(?!\w)|\{[^{}]*\}"""
    rf"|\b[A-Za-z]\w*(?:\.T\b|(?:\[[^\[\]]*\]|\({_INNER}\))+)|\b[A-Za-z]\w*_\w+\b|(?<![\w'])_[a-z]\w*)"
)


@dataclass(frozen=True)
class Block:
    """``kind`` is text, rows, entries, values or refused; ``rows`` are pairs where there are two columns."""

    kind: str
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The lines of a paragraph as one, others as they are."""
        return (" " if self.kind == "text" else "\n").join(self.lines)


@dataclass(frozen=True)
class Section:
    """A section with its number; what stands before the first has neither number nor title."""

    number: str
    title: str
    blocks: tuple[Block, ...]


def specification(catalogue: Path) -> tuple[Section, ...]:
    """The sections of the comment at the head of a catalogue."""
    sections: list[tuple[str, str, list[str]]] = [("", "", [])]
    for line in _comment(catalogue.read_text(encoding="utf-8").splitlines()):
        heading = _HEADING.fullmatch(line)
        if heading:
            sections.append((heading[1], heading[2].capitalize(), []))
        else:
            sections[-1][2].append(line)
    return tuple(Section(number, title, tuple(_blocks(lines))) for number, title, lines in sections)


def _comment(lines: Iterable[str]) -> Iterator[str]:
    """The lines without their number signs."""
    for line in lines:
        if not line.startswith("#"):
            return
        yield line.removeprefix("#").removeprefix(" ").rstrip()


def _blocks(lines: Iterable[str]) -> Iterator[Block]:
    for kind, found in groupby(lines, _kind):
        group = tuple(found)
        if kind == "rows":
            yield Block(kind, rows=tuple(_rows(group)))
        elif kind == "refused":
            yield Block(kind, rows=tuple(_refused(line[2:]) for line in group))
        elif kind in _MARKS.values():
            yield Block(kind, tuple(line[2:] for line in group))
        elif kind == "text":
            yield Block(kind, group)


def _kind(line: str) -> str:
    if line[:1] in _MARKS:
        return _MARKS[line[:1]]
    return "rows" if line.startswith("  ") else "text" if line else "nothing"


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The rows of a table; a line that only has a second column continues the one before."""
    made: list[list[str]] = []
    for line in lines:
        row = _ROW.fullmatch(line)
        if row:
            made.append([row[1], row[2]])
        elif made:
            made[-1][1] += f" {line.strip()}"
        else:
            made.append([line.strip(), ""])
    return ((what, about) for what, about in made)


def _refused(line: str) -> tuple[str, str]:
    found = _REFUSED.fullmatch(line)
    return (found[1], found[2] or "") if found else (line, "")


def with_code(text: str, escape: Escape, cell: bool = False) -> Ready:
    """A sentence in which formulas and names are set as code; within a ``cell`` of a table bars are escaped in code."""
    parts = _CODE.split(text)
    return Ready("".join(_span(part, cell) if n % 2 else _escaped(part, escape) for n, part in enumerate(parts)))


def _span(text: str, cell: bool) -> str:
    return code_span(text) if cell else code_span(text).replace("\\|", "|")


def _escaped(text: str, escape: Escape) -> str:
    """Text with the blanks at its ends, which an escape may leave out."""
    words = text.strip()
    return text.replace(words, escape(words)) if words else text
