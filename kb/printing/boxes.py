"""Printed parts and the parentheses around them."""

from __future__ import annotations

from dataclasses import dataclass

from kb.printing.glyphs import Glyph

# How tightly a printed part holds together, loosest first. A FACTOR may stand in a product
# (a fraction, a sum sign with its body, log x), a SCRIPTED part has something above it already.
CASES, LOGIC, RELATION, SUM, PRODUCT, FACTOR, SCRIPTED, ATOM = range(8)


@dataclass(frozen=True, slots=True)
class Box:
    """A printed part.

    ``closed`` is what to print instead where something follows that the part would swallow:
    ``\\log(x)\\, y`` for ``\\log x``. ``bare`` is what to print instead where nothing follows at all:
    cases after a factor need no parentheses there. ``glyph`` lets indices and powers join a symbol's scripts.
    """

    tex: str
    level: int = ATOM
    tall: bool = False
    closed: str | None = None
    bare: str | None = None
    glyph: Glyph | None = None

    @property
    def at_the_end(self) -> str:
        """The part where nothing follows."""
        return self.bare or self.tex

    @property
    def negative(self) -> bool:
        """Whether the part begins with a minus."""
        return self.tex.startswith(("-", "−"))


def fenced(box: Box, opening: str = "(", closing: str = ")") -> str:
    """The part between delimiters that are as tall as it is."""
    if box.tall:
        return rf"\left{opening} {box.tex} \right{closing}"
    gap = " " if opening.startswith("\\") else ""
    return f"{opening}{gap}{box.tex}{gap}{closing}"


def held(box: Box, level: int) -> str:
    """The part, in parentheses if it holds together less tightly than ``level``."""
    return box.tex if box.level >= level else fenced(box)
