"""KaTeX as a reader of formulas: the script that a package for Sphinx carries, run in V8."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_PACKAGE = "sphinxcontrib-katex"
# Strict, so that what KaTeX takes beyond LaTeX is an error too.
_SCRIPT = """
function fault(latex) {
  try {
    katex.renderToString(latex, {displayMode: true, throwOnError: true, strict: "error", trust: false});
    return "";
  } catch (error) {
    return String(error.message);
  }
}
"""


def path() -> Path | None:
    """Where the script is, if it is there and something runs it."""
    if find_spec("py_mini_racer") is None:
        return None
    try:
        found = distribution(_PACKAGE)
    except PackageNotFoundError:
        return None
    names = [file for file in found.files or () if file.name == "katex.min.js"]
    return Path(str(found.locate_file(names[0]))) if names else None


@cache
def _context() -> Any:
    from py_mini_racer import MiniRacer

    script = path()
    assert script is not None
    context = MiniRacer()
    context.eval(script.read_text(encoding="utf-8"))
    context.eval(_SCRIPT)
    return context


def faults(formulas: Iterable[str]) -> dict[str, str]:
    """What KaTeX says of the formulas that it does not read, by formula."""
    said = {formula: _context().call("fault", formula) for formula in dict.fromkeys(formulas)}
    return {formula: fault for formula, fault in said.items() if fault}
