"""Where the line of a formula may end, if it has to: where two terms or arguments meet, or at a joint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Mark = Literal["", "term", "inner", "joint", "comma"]
_BEFORE = (" + ", " - ", r" \odot ", r" \quad ")  # what a line may end before, and after
_AFTER: dict[str, Mark] = {r"\, ": "joint", ") ": "joint", ", ": "comma"}
_BRACES = {"{": 1, "}": -1, r"\begin": 1, r"\end": -1}
_FENCES = {"(": 1, "[": 1, r"\{": 1, ")": -1, ") ": -1, "]": -1, r"\}": -1}
_SIDES = {r"\left": 1, r"\right": -1}
_TOKEN = re.compile(
    r" (?:[-+]|\\odot|\\quad) |\\, |, |\) (?=\\(?:arc|sin|cos|tan|exp|log|max|min|operatorname|sum|prod|frac))"
    r"|\\[a-zA-Z]+|\\.|.",
    re.S,
)


class Piece(NamedTuple):
    """A piece of LaTeX and what the end of a line before it would part, nothing for the first.

    ``is_held`` says that it begins within delimiters that are as tall as what they hold. ``tokens`` say of each
    token whether it stands outside of all braces.
    """

    mark: Mark
    is_held: bool
    tokens: tuple[tuple[str, bool], ...]

    @property
    def latex(self) -> str:
        """The piece as it was."""
        return "".join(token for token, _ in self.tokens)

    def with_sides(self, left: str, right: str) -> str:
        """The piece with other words for the ``\\left`` and ``\\right`` that stand outside of braces."""
        words = {r"\left": left, r"\right": right}
        return "".join(words.get(token, token) if is_free else token for token, is_free in self.tokens)


def pieces(latex: str) -> list[Piece]:
    """A formula cut wherever a line may end; never within braces."""
    return list(_pieces(latex))


def _pieces(latex: str) -> Iterator[Piece]:
    mark: Mark = ""
    is_held = False
    tokens: list[tuple[str, bool]] = []
    braces = fences = sides = 0
    for token in _TOKEN.findall(latex):
        braces += _BRACES.get(token, 0)
        fences += _FENCES.get(token, 0)
        if braces == 0 and token in _BEFORE:
            yield Piece(mark, is_held, tuple(tokens))
            mark, is_held, tokens = "inner" if fences > 0 else "term", sides > 0, []
        sides += _SIDES.get(token, 0) if braces == 0 else 0
        tokens.append((token, braces == 0))
        if braces == 0 and token in _AFTER:
            yield Piece(mark, is_held, tuple(tokens))
            mark, is_held, tokens = _AFTER[token], sides > 0, []
    yield Piece(mark, is_held, tuple(tokens))
