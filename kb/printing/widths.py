"""How wide a formula is on paper, near enough to know where a line has to end."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|[{}_^&]|\s+|.", re.DOTALL)
_SMALL = 0.7
# In widths of a digit. What is not listed is a letter of its own.
_NOTHING = {r"\left", r"\right", r"\!", r"\limits", r"\begin", r"\end", r"\displaystyle", r"\mathbin", r"\mathrel"}
_SPACES = {r"\,": 0.35, r"\:": 0.45, r"\;": 0.55, r"\ ": 0.7, r"\quad": 2.0, r"\qquad": 4.0, "&": 2.0}
_WORDS = {r"\log", r"\exp", r"\max", r"\min", r"\det", r"\sin", r"\cos", r"\tan", r"\sinh", r"\cosh", r"\tanh"}
_SIGNS = {
    **dict.fromkeys(("+", "-", "=", "<", ">", r"\le", r"\ge", r"\ne", r"\sim", r"\odot", r"\times", r"\to"), 2.4),
    **dict.fromkeys((r"\leftarrow", r"\bmod"), 3.0),
    **dict.fromkeys((r"\sum", r"\prod"), 2.9),
    **dict.fromkeys(("(", ")", "[", "]"), 0.8),
    **dict.fromkeys((r"\lvert", r"\rvert", "|", ",", ";", "."), 0.6),
    **dict.fromkeys(("'", r"\prime"), 0.5),
    **dict.fromkeys((r"\lVert", r"\rVert", r"\cdot"), 1.0),
}
_TEXT = {r"\operatorname", r"\operatorname*", r"\mathrm", r"\text"}
_STACKED = {r"\sum", r"\prod", r"\max", r"\min", r"\operatorname*"}


def width(tex: str) -> float:
    """The width of displayed TeX in widths of a digit; 57 of them are about 10 cm in a font of 10 points."""
    return _run([m.group() for m in _TOKEN.finditer(tex)], 0)[0]


def _run(tokens: Sequence[str], at: int) -> tuple[float, int]:
    """The width of a run of tokens up to its closing brace or the end, and where it ends."""
    total, row = 0.0, 0.0
    while at < len(tokens) and tokens[at] != "}":
        if tokens[at] == r"\\":
            total, row, at = max(total, row), 0.0, at + 1
            continue
        own, at = _base(tokens, at)
        row += own
    return max(total, row), at + 1


def _base(tokens: Sequence[str], at: int) -> tuple[float, int]:
    """The width of one symbol, group or command with its scripts."""
    token = tokens[at]
    own, at = _symbol(tokens, at)
    scripts = 0.0
    while at < len(tokens) and tokens[at] in "_^":
        script, at = _symbol(tokens, at + 1)
        scripts = max(scripts, _SMALL * script)
    return (max(own, scripts) if token in _STACKED else own + scripts), at


def _symbol(tokens: Sequence[str], at: int) -> tuple[float, int]:
    if at >= len(tokens):
        return 0.0, at
    token, at = tokens[at], at + 1
    if token == "{":
        return _run(tokens, at)
    if token == r"\frac":
        above, at = _symbol(tokens, at)
        below, at = _symbol(tokens, at)
        return max(above, below) + 0.5, at
    if token in (r"\begin", r"\end"):
        while tokens[at - 1] != "}":
            at += 1
        return 1.0, at
    if token in _TEXT:
        letters, at = _symbol(tokens, at)
        return 0.9 * letters, at
    if token == r"\sqrt":
        inner, at = _symbol(tokens, at)
        return inner + 1.7, at
    if token in _WORDS:
        return 0.95 * (len(token) - 1) + 0.3, at
    if token in _NOTHING or token.isspace():
        return 0.0, at
    if token.startswith("\\") and at < len(tokens) and tokens[at] == "{":
        return _symbol(tokens, at)
    return _SPACES.get(token, _SIGNS.get(token, 1.35 if token.isupper() else 1.1)), at
