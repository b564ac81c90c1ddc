"""Formulas for people: LaTeX, Unicode text, and text made harmless for each format."""

from __future__ import annotations

from kb.printing.breaking import latex_display, latex_lines
from kb.printing.escape import docstring, escape_html, escape_markdown, escape_tex, escape_typst, python_string
from kb.printing.glyphs import Context, symbol_latex, symbol_text
from kb.printing.latex import latex
from kb.printing.markdown import markdown_display, markdown_inline, markdown_math
from kb.printing.text import text, text_lines

__all__ = [
    "Context",
    "docstring",
    "escape_html",
    "escape_markdown",
    "escape_tex",
    "escape_typst",
    "latex",
    "latex_display",
    "latex_lines",
    "markdown_display",
    "markdown_inline",
    "markdown_math",
    "python_string",
    "symbol_latex",
    "symbol_text",
    "text",
    "text_lines",
]
