"""NumPy modules, one for each entry: the function and its backward pass."""

from __future__ import annotations

from generators.rendering import Ready, render
from generators.views import EntryView


def module_name(entry_id: str) -> str:
    """The file of an entry's module."""
    return f"{entry_id}.py"


def module(view: EntryView) -> str:
    """The source of one module, which needs NumPy alone."""
    return render("module.py.j2", _comment, {}, id=view.id, source=Ready(view.code)).strip("\n") + "\n"


def _comment(text: str) -> str:
    """Text on the one line of a comment."""
    return "".join(c if c.isprintable() else "�" for c in text)
