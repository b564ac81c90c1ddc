"""The example notebook: its cells are run, and their outputs are those that it stores.

``python tests/test_notebook.py`` writes the present outputs into it.
"""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import tempfile
from code import InteractiveInterpreter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
import pytest

from generators.site.notebooks import notebook_page

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "site" / "notebooks").glob("*.ipynb"))
TIME_LIMIT = 120


class Kernel:
    """Runs cells in this process and shows values as IPython does."""

    def __init__(self) -> None:
        from IPython.core.formatters import DisplayFormatter

        self.python = InteractiveInterpreter()
        self.format: Callable[[Any], tuple[dict[str, str], Any]] = DisplayFormatter().format

    def run(self, source: str) -> list[dict[str, Any]]:
        """The outputs of a cell: what it prints, and the value of its last line."""
        module = ast.parse(source)
        last = module.body[-1:] if isinstance(module.body[-1], ast.Expr) and not source.rstrip().endswith(";") else []
        first = ast.Module(module.body[: len(module.body) - len(last)], [])
        values: list[Any] = []
        out, shown = io.StringIO(), sys.displayhook
        sys.displayhook = values.append
        try:
            with redirect_stdout(out), redirect_stderr(out):
                self.python.runcode(compile(first, "<cell>", "exec"))
                self.python.runcode(compile(ast.Interactive(list(last)), "<cell>", "single"))
        finally:
            sys.displayhook = shown
        printed = [{"name": "stdout", "output_type": "stream", "text": out.getvalue()}] if out.getvalue() else []
        return printed + [{"data": self.format(v)[0], "output_type": "execute_result"} for v in values if v is not None]


def cells(notebook: Any) -> Iterator[Any]:
    yield from (cell for cell in notebook.cells if cell.cell_type == "code")


def plainly(outputs: Any) -> list[dict[str, Any]]:
    """Outputs without the numbers of their cells."""
    kept = ("output_type", "data", "name", "text", "ename", "evalue")
    return [{key: output[key] for key in kept if key in output} for output in json.loads(json.dumps(outputs))]


def rewrite(path: Path) -> None:
    """Run the cells and store what they give."""
    notebook, kernel = nbformat.read(path, as_version=4), Kernel()
    for number, cell in enumerate(cells(notebook), 1):
        cell.execution_count = number
        cell.outputs = [
            nbformat.from_dict(
                output if output["output_type"] == "stream" else {**output, "execution_count": number, "metadata": {}}
            )
            for output in kernel.run(cell.source)
        ]
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is checked yet, as for somebody who begins."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_give_what_is_stored(path: Path, own_cache: None) -> None:
    kernel = Kernel()
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert sum(bool(cell.outputs) for cell in cells(notebook)) > 10
    for cell in cells(notebook):
        assert plainly(kernel.run(cell.source)) == plainly(cell.outputs), cell.source


def test_a_page_shows_cells_and_outputs() -> None:
    path = NOTEBOOKS[0]
    page = notebook_page(path.name, path.read_bytes())
    assert page.startswith("# A tour of eqkb\n") and f'<a href="{path.name}" download>' in page
    for cell in cells(nbformat.read(path, as_version=4)):
        assert f"```python\n{cell.source}\n```\n" in page
    assert "notebook-output\n**Softmax**. Turns" in page
    assert "notebook-output\n```\narray([[0.5 " in page
    assert page.count("\n::::::\n") == page.count("::::::{container} notebook-output\n") > 10


def converted(path: Path, *options: str) -> str:
    """What nbconvert makes of a notebook in a kernel of its own."""
    pytest.importorskip("nbconvert")
    pytest.importorskip("ipykernel")
    command = [sys.executable, "-m", "nbconvert", *options, "--stdout", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", timeout=TIME_LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_kernel_gives_what_is_stored(path: Path, own_cache: None) -> None:
    made = nbformat.reads(converted(path, "--to", "notebook", "--execute"), as_version=4)
    stored = nbformat.read(path, as_version=4)
    for ran, cell in zip(cells(made), cells(stored), strict=True):
        assert plainly(ran.outputs) == plainly(cell.outputs), cell.source


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_html_has_formulas_and_tables(path: Path) -> None:
    page = converted(path, "--to", "html")
    assert r"\bar{S} &amp;= A \odot (\bar{A} - " in page
    assert "<strong>softmax</strong>: verified" in page and "Does the generated code compute it?</th>" in page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        for notebook in NOTEBOOKS:
            rewrite(notebook)
