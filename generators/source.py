"""Parts of generated Python source."""

from __future__ import annotations

import ast
from collections.abc import Sequence


def functions_of(source: str, names: Sequence[str]) -> str:
    """The top-level functions of a module with the given names, decorators included, as they are written."""
    lines = source.split("\n")
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name in names:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found.append("\n".join(lines[first - 1 : node.end_lineno]))
    return "\n\n\n".join(found)
