"""The legend of a sheet: the signs that its formulas use, each explained once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generators.parts import Formula
from generators.views import EntryView, Topic


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign, how to find it in LaTeX, and what it means."""

    pattern: re.Pattern[str]
    shown: Formula
    meaning: str


def _sign(pattern: str, latex: str, meaning: str) -> Sign:
    return Sign(re.compile(pattern), Formula(latex, ""), meaning)


# An empty pattern is found in every formula. Meanings hold formulas between dollar signs, the same in every format.
SIGNS = (
    _sign(r"", r"x_i", "element $i$ of $x$; a number as an index counts from 0"),
    _sign(r"\\bar|\\overline", r"\bar{x}", "cotangent: gradient of some final number by $x$, in the shape of $x$"),
    _sign(r"\\dot\b", r"\dot{x}", "tangent of $x$"),
    _sign(r"\\delta_\{[^{}]{2}", r"\delta_{jk}", "1 where $j = k$, else 0"),
    _sign(r"\\mathbf\{e\}", r"\mathbf{e}_i", "vector with a 1 in place $i$ and 0 elsewhere"),
    _sign(r"\\odot", r"x \odot y", "product, element by element"),
    _sign(r"\\top", r"X^{\top}", "transpose"),
    _sign(r"\\(?:wide)?hat", r"\hat{x}", "estimate, prediction or normalised value of $x$"),
    _sign(r"\\(?:wide)?tilde", r"\tilde{x}", "candidate or corrupted value of $x$"),
    _sign(r"\\leftarrow", r"x \leftarrow y", "$y$ is the new value of $x$"),
    _sign(r"\^\{?\+", r"x^+", "$x$ after the update"),
    _sign(r"rowsum", r"\operatorname{rowsum}", "sum of each row"),
    _sign(r"colsum", r"\operatorname{colsum}", "sum of each column"),
    _sign(r"\\lVert", r"\lVert x \rVert", "Euclidean length"),
    _sign(r"\\lfloor", r"\lfloor x \rfloor", "largest whole number up to $x$"),
    _sign(r"\\mathbb\{E\}", r"\mathbb{E}_{x \sim p}", "mean over $x$ drawn from $p$"),
    _sign(r"[a-zA-Z]'+\(", "f'", "derivative of $f$, a function of one number"),
)


def legend(topics: Sequence[Topic]) -> tuple[Sign, ...]:
    """The signs that occur in the formulas of a sheet."""
    every = "\n".join(f.latex for topic in topics for view in topic.entries for f in _formulas(view))
    return tuple(s for s in SIGNS if s.pattern.search(every))


def _formulas(view: EntryView) -> Iterator[Formula]:
    yield view.formula
    yield from (d.formula for d in view.highlights)
    yield from (size for symbol in view.symbols for size in symbol.sizes)
