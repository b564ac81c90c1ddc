"""Pages of notebooks with the outputs that they store, which nothing runs anew when the site is built."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from generators.markdown import fenced

FOLDER = "notebooks"
_TYPESET = ("text/markdown", "text/latex")  # the latter is what SymPy makes, a formula between dollar signs


def notebooks(site: Path) -> dict[str, bytes]:
    """The notebooks among the site's own sources, by the path that they have there and under its root."""
    return {f"{FOLDER}/{path.name}": path.read_bytes() for path in sorted((site / FOLDER).glob("*.ipynb"))}


def notebook_page(name: str, notebook: bytes) -> str:
    """A notebook as Markdown: its cells, what they gave, and a link to the file beside the page."""
    cells = json.loads(notebook)["cells"]
    link = f'<p><a href="{name}" download>Download this page as a notebook</a></p>'
    return "\n\n".join([*(part for cell in cells for part in _cell(cell)), link]) + "\n"


def _cell(cell: Mapping[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield fenced(source, "python")
    for output in cell["outputs"]:
        yield f"::::::{{container}} notebook-output\n{_output(output)}\n::::::"


def _output(output: Mapping[str, Any]) -> str:
    """What a cell printed, or its value in the form that shows it best."""
    if output["output_type"] == "stream":
        return fenced("".join(output["text"]))
    data = {kind: "".join(lines) for kind, lines in output["data"].items()}
    shown = next((data[kind] for kind in _TYPESET if kind in data), None)
    return shown if shown is not None else fenced(data["text/plain"])
