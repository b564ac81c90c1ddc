"""Markdown: a page for each entry, and an index.

Formulas stand between dollar signs, as GitHub, Jupyter and Pandoc read them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from generators.parts import Formula, Link, SymbolView, product_of
from generators.rendering import Filters, Ready, render
from generators.sources import DocumentView
from generators.views import SAFE, TITLE, EntryView, by_topic
from kb.printing import escape_html, escape_markdown, markdown_display, markdown_inline

_FENCE = re.compile(r"`+")


def display(formula: Formula, anchor: str = "") -> Ready:
    """A formula in lines of its own; ``anchor`` is what a page with addresses for its formulas calls it."""
    return Ready(markdown_display(formula.latex))


def inline(formula: Formula) -> Ready:
    """A formula within a sentence."""
    return Ready(markdown_inline(formula.latex))


def sizes(formulas: Sequence[Formula]) -> Ready:
    """The sizes of an array, ``C \\times H``."""
    return Ready(markdown_inline(product_of(formulas)) if formulas else "")


def where(symbol: SymbolView) -> Ready:
    """What a symbol means, what values it takes and its shape: an item of the list below a formula."""
    details = [escape_markdown(symbol.values)] if symbol.values and symbol.about else []
    details += [sizes(symbol.sizes)] if symbol.sizes else []
    within = f" ({', '.join(details)})" if details else ""
    return Ready(f"{inline(symbol.glyph)}: {escape_markdown(symbol.about or symbol.kind)}{within}")


def shape(formulas: Sequence[Formula]) -> Ready:
    """The sizes of an array; a number has none."""
    return sizes(formulas) if formulas else Ready("number")


def words(name: str) -> str:
    """A name of the catalogue as words."""
    return name.replace("_", " ")


def sentence(text: str) -> str:
    """Words as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def error(size: float | None) -> str:
    """The size of an error in one digit."""
    return "" if size is None else f"{size:.0e}" if size else "0"


def code_span(text: str) -> Ready:
    """Text as it is, in the letters of code."""
    shown = " ".join(text.split()).replace("|", "\\|")
    fence = _longer_fence(text, 1)
    gap = " " if shown.startswith("`") or shown.endswith("`") else ""
    return Ready(f"{fence}{gap}{shown}{gap}{fence}")


def code_block(source: str) -> Ready:
    """Python source between fences that it cannot close."""
    return Ready(fenced(source, "python"))


def fenced(text: str, language: str = "") -> str:
    """Text as it is, between fences that it cannot close."""
    fence = _longer_fence(text, 3)
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def _longer_fence(text: str, least: int) -> str:
    longest = max((len(m) for m in _FENCE.findall(text)), default=0)
    return "`" * max(least, longest + 1)


def anchor(title: str) -> Ready:
    """The fragment that GitHub gives to a heading."""
    return Ready(re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"))


def page_name(entry_id: str) -> str:
    """The file of an entry; an id has no hyphen, so that no page takes the place of the index."""
    return f"{entry_id}-entry.md" if entry_id in ("index", "sources") else f"{entry_id}.md"


def linked(link: Link) -> Ready:
    """The name of another entry, as a link where it has a page."""
    name = escape_markdown(link.name)
    return Ready(f"[{name}]({page_name(link.id)})" if link.has_page else name)


FILTERS: Filters = {
    "display": display,
    "inline": inline,
    "where": where,
    "shape": shape,
    "words": words,
    "sentence": sentence,
    "error": error,
    "html": lambda text: Ready(escape_html(text)),
    "code_span": code_span,
    "code_block": code_block,
    "anchor": anchor,
    "address": lambda url: Ready(quote(url, safe=SAFE)),
    "linked": linked,
    "page": lambda entry_id: Ready(page_name(entry_id)),
}


def page(view: EntryView) -> str:
    """The page of one entry."""
    return tidy(render("page.md.j2", escape_markdown, FILTERS, view=view))


def index(entries: Sequence[EntryView], documents: Sequence[DocumentView] = ()) -> str:
    """All entries by topic, with links to their pages."""
    values: dict[str, Any] = {"title": TITLE, "topics": by_topic(entries), "documents": documents}
    return tidy(render("index.md.j2", escape_markdown, FILTERS, **values))


def sources(documents: Sequence[DocumentView]) -> str:
    """Documents item by item, with what was found there."""
    return tidy(render("sources.md.j2", escape_markdown, FILTERS, documents=documents))


def section(view: EntryView) -> str:
    """An entry as a document has it: its name as a heading, the formula, and what its symbols mean."""
    return tidy(render("section.md.j2", escape_markdown, FILTERS, view=view))


def tidy(text: str) -> str:
    """At most one blank line in a row, outside of code, and one line end at the end."""
    parts = re.split(r"(^(`{3,})python\n.*?^\2\n)", text, flags=re.M | re.S)
    tidied = [re.sub(r"\n{3,}", "\n\n", part) for part in parts[::3]]
    blocks = parts[1::3]
    joined = "".join(t + b for t, b in zip(tidied, [*blocks, ""], strict=True))
    return joined.strip("\n") + "\n"
