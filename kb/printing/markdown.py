"""Formulas within Markdown, as GitHub, Jupyter and Pandoc typeset them.

GitHub reads Markdown before it looks for formulas, so that a formula may hold nothing that means
something in Markdown or HTML. Only commands are used that MathJax, KaTeX, LaTeX and Pandoc all know.
"""

from __future__ import annotations

import re

# Markdown takes a backslash away from a sign that follows it, and stars for emphasis. A thin space has no name that
# all know: Pandoc has no \thinspace and MathJax no \medspace.
_WORDS = {
    r"\,": "\\ ",
    r"\:": "\\ ",
    r"\;": r"\enspace ",
    r"\!": "",
    r"\{": r"\lbrace ",
    r"\}": r"\rbrace ",
    r"\|": r"\Vert ",
    "|": r"\vert ",
    "*": r"\ast ",
    "](": "] (",
}
_SIGN = re.compile("(" + "|".join([r"\\\\", *map(re.escape, _WORDS)]) + ") ?")
# What follows an angle bracket directly would be the name of an HTML tag. LaTeX knows no \lt.
_ANGLE = re.compile(r" *([<>]) *")
_NAME = re.compile(r"\\operatorname(\*?)\{([^{}]*)\}")
# An underscore before a sign could end what another one began, and both would become emphasis.
_CLOSING = re.compile(r"(?<=\S)_(?=[^\w\s])")
# A blank ends no line and no formula, as a backslash alone would remain.
_LAST_BLANK = re.compile(r"(?m)(?:(?<!\\)\\ +| +)$")
# GitHub keeps the end of a row at the end of a line only; no line may begin as a list, a heading or a quotation does.
_ROW = re.compile(r"\\\\\s*")
_BLOCK = re.compile(r"(?m)^(?= *[#=>]| *\d+[.)])")
_LEADING_SIGN = re.compile(r"(?m)^ *([-+])")


def markdown_math(latex: str) -> str:
    """LaTeX in words that survive Markdown, without the commands that GitHub does not allow."""
    words = _SIGN.sub(lambda m: _WORDS.get(m[1], m[0]), _NAME.sub(_named, latex).replace(r"{\times}", r"\times"))
    spaced = _CLOSING.sub(" _", _ANGLE.sub(r" \1 ", words))
    rows = _ROW.sub(lambda _: "\\\\\n", spaced).lstrip().rstrip("\n")
    # A sign in braces is no list, and no operation between two terms either.
    return _LEADING_SIGN.sub(r"{\1}", _BLOCK.sub("{}", _LAST_BLANK.sub("", rows)))


def _named(match: re.Match[str]) -> str:
    """An upright name by other means: GitHub refuses ``\\operatorname``."""
    limits = "" if match[1] else r"\nolimits "
    name = match[2].replace("-", r"\text{-}")
    return rf"\mathop{{\mathrm{{{name}}}}}{limits}"


def markdown_display(latex: str) -> str:
    """A formula in lines of its own; blank lines around it are the caller's."""
    return f"$$\n{markdown_math(latex)}\n$$"


def markdown_inline(latex: str) -> str:
    """A formula within a sentence; blanks or punctuation must stand around it."""
    return f"${markdown_math(latex)}$"
