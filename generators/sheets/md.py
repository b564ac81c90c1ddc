"""Cheat sheets in Markdown, which have no pages and no columns."""

from __future__ import annotations

from typing import Any

from generators.markdown import FILTERS, tidy
from generators.rendering import render
from generators.sheets.contents import Contents
from kb.printing import escape_markdown


def markdown(contents: Contents) -> str:
    """A sheet as one document: formula, symbols and derivatives of each entry."""
    values: dict[str, Any] = {
        "title": contents.title,
        "about": contents.about,
        "sections": contents.sections,
        "details": contents.details,
        "legend": contents.legend,
    }
    return tidy(render("document.md.j2", escape_markdown, FILTERS, **values))
