"""The Sphinx extension of the site: typeset formulas, formulas that can be copied, lists of topics.

Formulas are collected while documents are read and typeset together before any page is written; what was typeset is
kept with Sphinx's environment, so that a later build typesets what is new.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from html import escape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from generators.site.scripts import script_value
from generators.site.typeset import Formula, Result, typeset

if TYPE_CHECKING:
    from sphinx.environment import BuildEnvironment
    from sphinx.writers.html5 import HTML5Translator

RENDERER = "svg"
STEPS = ".steps.js"
_HEAVY = 240_000  # characters of a page
_STEPS = re.compile(r"<!-- steps -->(.*?)<!-- end of steps -->", re.S)
_LATER = "<noscript>This is loaded by a script; <code>eqkb derive</code> prints it.</noscript>"
_USED = re.compile(r'href="#g-([\w-]+)"')


class formula(nodes.General, nodes.Element):
    """A formula in lines of its own, with an anchor and a menu to copy it."""


class FormulaDirective(SphinxDirective):
    """``formula`` with the anchor as its argument and LaTeX as its content."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        latex = "\n".join(self.content)
        shown = nodes.math_block(latex, latex, nowrap=True, number=None, label=None)
        return [formula("", shown, anchor=self.arguments[0])]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    app.add_config_value("typeset_jobs", 1, "")
    app.add_config_value("listing", "", "html")
    app.add_node(formula, html=(_open_formula, _close_formula))
    app.add_directive("formula", FormulaDirective)
    app.add_html_math_renderer(RENDERER, inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.connect("builder-inited", _leave_search_to_us)
    app.connect("doctree-read", _collect)
    app.connect("env-purge-doc", _forget)
    app.connect("env-merge-info", _merge)
    app.connect("env-updated", _typeset_new)
    app.connect("html-page-context", _complete)
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}


def _leave_search_to_us(app: Sphinx) -> None:
    """The site has a search of its own, which knows formulas; Sphinx writes no index and no page for it."""
    app.builder.search = False  # type: ignore[attr-defined]


# --- collecting and typesetting -----------------------------------------------------------------------------------


def _wanted(env: BuildEnvironment) -> dict[str, list[Formula]]:
    """The formulas of each document."""
    if not hasattr(env, "formulas_wanted"):
        env.formulas_wanted = {}  # type: ignore[attr-defined]
    found: dict[str, list[Formula]] = env.formulas_wanted  # type: ignore[attr-defined]
    return found


def _made(env: BuildEnvironment) -> Result:
    """What is typeset."""
    if not hasattr(env, "formulas_made"):
        env.formulas_made = Result({}, {})  # type: ignore[attr-defined]
    found: Result = env.formulas_made  # type: ignore[attr-defined]
    return found


def _collect(app: Sphinx, doctree: nodes.document) -> None:
    found = [_formula(node) for node in doctree.findall(lambda n: isinstance(n, (nodes.math, nodes.math_block)))]
    _wanted(app.env)[app.env.docname] = list(dict.fromkeys(found))


def _formula(node: nodes.Node) -> Formula:
    return Formula(node.astext().strip(), isinstance(node, nodes.math_block))


def _forget(_: Sphinx, env: BuildEnvironment, name: str) -> None:
    _wanted(env).pop(name, None)


def _merge(_: Sphinx, env: BuildEnvironment, names: Set[str], other: BuildEnvironment) -> None:
    theirs = _wanted(other)
    _wanted(env).update({name: theirs[name] for name in names if name in theirs})


def _typeset_new(app: Sphinx, env: BuildEnvironment) -> None:
    wanted = dict.fromkeys(f for found in _wanted(env).values() for f in found)
    kept = _made(env)
    new = typeset([f for f in wanted if f not in kept.formulas], app.config.typeset_jobs)
    formulas = {f: new.formulas.get(f) or kept.formulas[f] for f in wanted}
    env.formulas_made = Result(formulas, kept.outlines | new.outlines)  # type: ignore[attr-defined]


# --- writing --------------------------------------------------------------------------------------------------------


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(f'<span class="tex">{_markup(writer, node)}</span>')
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="tex tex-block">{_markup(writer, node)}</div>')
    raise nodes.SkipNode


def _markup(writer: HTML5Translator, node: nodes.Node) -> str:
    """The picture, which screen readers pass over, and what they read instead."""
    made = _made(writer.builder.env).formulas[_formula(node)]
    svg = made.svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
    return f'{svg}<span class="tex-spoken">{made.mathml}</span>'


def _open_formula(writer: HTML5Translator, node: formula) -> None:
    env = writer.builder.env
    entry = env.metadata[writer.builder.current_docname].get("entry", "")
    writer.body.append(f'<figure class="formula" id="{escape(node["anchor"])}" data-entry="{escape(entry)}">')


def _close_formula(writer: HTML5Translator, _: formula) -> None:
    writer.body.append(
        '<button class="copy-open" type="button" aria-haspopup="menu" aria-expanded="false" '
        'aria-label="Copy this formula" title="Copy this formula"></button></figure>'
    )


def _complete(app: Sphinx, page: str, _: str, context: dict[str, Any], __: nodes.document | None) -> None:
    """The outlines that a page uses, and where it stands among the topics."""
    body = context.get("body", "")
    if body:
        outlines, body = _outlines(body, _made(app.env).outlines)
        context["body"] = outlines + _lightened(app, page, body)
    context["topics"] = list(_topics(app.config.listing))
    context["entry_topic"] = app.env.metadata.get(page, {}).get("topic", "")


def _outlines(body: str, outlines: Mapping[str, str]) -> tuple[str, str]:
    """The outlines that a page uses, and the page with their numbers for their names, which would be half of it."""
    numbers = {name: n for n, name in enumerate(n for n in dict.fromkeys(_USED.findall(body)) if n in outlines)}
    if not numbers:
        return "", body
    paths = "".join(f'<path id="g{n}" d="{outlines[name]}"/>' for name, n in numbers.items())
    shown = _USED.sub(lambda use: f'href="#g{numbers[use[1]]}"' if use[1] in numbers else use[0], body)
    return f'<svg class="outlines" aria-hidden="true"><defs>{paths}</defs></svg>\n', shown


def _lightened(app: Sphinx, page: str, body: str) -> str:
    """A page that would take long to load, without the derivations that are folded in it.

    They stand in a script beside it, which is loaded when the first of them is opened.
    """
    if len(body) < _HEAVY:
        return body
    parts = _STEPS.findall(body)
    script = Path(app.outdir) / f"{page}{STEPS}"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"eqkb.steps({script_value(parts)});\n", encoding="utf-8")
    source = escape(script.name)
    numbers = count()
    return _STEPS.sub(lambda _: f'<div data-steps="{source}" data-part="{next(numbers)}">{_LATER}</div>', body)


def _topics(listing: str) -> Iterator[dict[str, Any]]:
    yield from json.loads(listing) if listing else ()
