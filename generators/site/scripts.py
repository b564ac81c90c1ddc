"""Data for the pages' scripts: values of JavaScript that are safe in a file and within a page."""

from __future__ import annotations

import json
from typing import Any

# What would end a script or begin a comment of HTML, and what old scripts take for the end of a line.
_UNSAFE = {"<": "\\u003c", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def script_value(value: Any) -> str:
    """JSON on one line; refuses what JSON has no word for."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in _UNSAFE.items():
        text = text.replace(character, escaped)
    return text
