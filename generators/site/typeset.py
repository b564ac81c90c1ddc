"""Formulas typeset at build time: SVG to look at and MathML to be read aloud, made by MathJax in V8.

A page then needs no script to show its formulas. Glyphs are drawn once per page: an SVG refers to them by name, and the
page carries the outlines of those that it uses. A formula that MathJax does not understand is an error.
"""

from __future__ import annotations

import multiprocessing
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from generators.site.flatten import flattened
from kb.errors import EqkbError

_WORTH_PROCESSES = 200  # formulas; a process takes about a second to start
_PARTS = (
    "core.js",
    "adaptors/liteDOM.js",
    "input/tex-base.js",
    "input/tex/extensions/ams.js",
    "input/tex/extensions/boldsymbol.js",
    "output/svg.js",
    "output/svg/fonts/tex.js",
)
_SCRIPT = """
var MathJax = {loader: {load: []}, startup: {ready() {}}};
"""
# Without the packages that print bad TeX in red every fault is an exception.
_TYPESET = """
const parts = MathJax._;
const adaptor = parts.adaptors.liteAdaptor.liteAdaptor();
parts.handlers.html_ts.RegisterHTMLHandler(adaptor);
const input = new parts.input.tex_ts.TeX({
  packages: ["base", "ams", "boldsymbol"],
  formatError(_, error) { throw new Error(error.message); },
});
const output = new parts.output.svg_ts.SVG({
  fontCache: "global",
  font: new parts.output.svg.fonts.tex_ts.TeXFont(),
});
const page = parts.mathjax.mathjax.document("", {InputJax: input, OutputJax: output});
const visitor = new parts.core.MmlTree.SerializedMmlVisitor.SerializedMmlVisitor();
function typeset(latex, display) {
  const made = page.convert(latex, {display, em: 16, ex: 8, containerWidth: 1e6});
  return [adaptor.innerHTML(made), visitor.visitTree(input.parseOptions.root)].join("\\0");
}
function outlines() {
  return adaptor.innerHTML(output.fontCache.getCache());
}
"""
_GLYPH = re.compile(r'<path id="MJX-TEX-([\w-]+)" d="([^"]*)">')
_USE = re.compile(r'<use xlink:href="#MJX-TEX-([\w-]+)"( transform="[^"]*")?></use>')
# What only MathJax's own scripts read, and what the style sheet says once for all formulas.
_SHORTER = (
    (re.compile(r' stroke="currentColor" fill="currentColor" stroke-width="0"'), ""),
    (re.compile(r' (?:data-[\w-]+|xmlns(?::\w+)?|role|focusable)="[^"]*"'), ""),
    (_USE, r'<use href="#g-\1"\2/>'),
)
# Nobody hears a thin space, or a row of one.
_MATHML = (
    (re.compile(r">\s+<"), "><"),
    (re.compile(r' (?:data-[\w-]+|xmlns)="[^"]*"'), ""),
    (re.compile(r'<mstyle scriptlevel="0"><mspace width="[\d.]+em"></mspace></mstyle>'), ""),
    (re.compile(r"<mrow>(<m[ino]>[^<]*</m[ino]>)</mrow>"), r"\1"),
)


class Formula(NamedTuple):
    """A formula in LaTeX, and whether it stands in lines of its own."""

    latex: str
    display: bool


class Typeset(NamedTuple):
    """A formula as a page has it; the SVG refers to outlines as ``#g-NAME``."""

    svg: str
    mathml: str


class Result(NamedTuple):
    """Typeset formulas and the outlines of all glyphs that they use."""

    formulas: dict[Formula, Typeset]
    outlines: dict[str, str]


def typeset(formulas: Iterable[Formula], jobs: int = 1) -> Result:
    """Typeset all formulas, by several processes if there are many. Raises EqkbError for TeX that is none."""
    wanted = list(dict.fromkeys(formulas))
    if not wanted:
        return Result({}, {})
    if jobs < 2 or len(wanted) < _WORTH_PROCESSES:
        return _typeset(wanted)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as executor:
        results = list(executor.map(_typeset, [wanted[n::jobs] for n in range(jobs)]))
    made = dict(chain.from_iterable(r.formulas.items() for r in results))
    outlines = dict(chain.from_iterable(r.outlines.items() for r in results))
    return Result({f: made[f] for f in wanted}, dict(sorted(outlines.items())))


def _typeset(formulas: Sequence[Formula]) -> Result:
    with _MathJax() as mathjax:
        made = {formula: mathjax.typeset(formula) for formula in formulas}
        return Result(made, mathjax.outlines())


class _MathJax:
    """MathJax in a V8 of its own, which must be closed: Python would wait for it at its end."""

    def __init__(self) -> None:
        from py_mini_racer import MiniRacer

        self._v8: Any = MiniRacer()

    def __enter__(self) -> Self:
        package = "sphinx-mathjax-offline"
        folder = Path(str(distribution(package).locate_file(package))) / "static" / "mathjax"
        try:
            self._v8.eval(_SCRIPT)
            for part in _PARTS:
                self._v8.eval((folder / part).read_text(encoding="utf-8"))
            self._v8.eval(_TYPESET)
        except BaseException:
            self._v8.close()
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._v8.close()

    def typeset(self, formula: Formula) -> Typeset:
        from py_mini_racer import JSEvalException

        try:
            svg, _, mathml = self._v8.call("typeset", formula.latex, formula.display).partition("\0")
        except JSEvalException as error:
            what = str(error).partition("\n")[0].rpartition("Error: ")[2]
            raise EqkbError(f"the formula {formula.latex!r} cannot be typeset: {what}") from error
        return Typeset(flattened(_shortened(svg, _SHORTER)), _shortened(mathml, _MATHML))

    def outlines(self) -> dict[str, str]:
        return dict(sorted(_GLYPH.findall(self._v8.call("outlines"))))


def _shortened(text: str, rules: Sequence[tuple[re.Pattern[str], str]]) -> str:
    for pattern, shorter in rules:
        text = pattern.sub(shorter, text)
    return text
