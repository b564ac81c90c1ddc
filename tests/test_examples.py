"""The examples of the documents are run, and their outputs are those that stand there.

``python tests/test_examples.py`` writes the present outputs into the documents.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from code import InteractiveInterpreter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "site/pages/tutorial.md", "site/pages/reference/api.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
TIME_LIMIT = 120


@dataclass
class Runner:
    """Runs the examples of one document, in order, in a folder and with a cache of their own."""

    folder: Path
    source: Path = ROOT
    python: InteractiveInterpreter = field(default_factory=InteractiveInterpreter)

    def environment(self) -> dict[str, str]:
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        command = programs / "eqkb"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m kb "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        changed = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.source),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONUTF8": "1",
            "COLUMNS": "100",
            "LC_ALL": "C.UTF-8",
        }
        return {**os.environ, **changed}

    def block(self, language: str, text: str) -> str:
        """The block with the outputs that its examples give now."""
        if language == "console":
            return "".join(self.command(line) for line in text.splitlines() if line.startswith("$ "))
        if language == "python" and text.startswith(">>> "):
            return "".join(self.statement(source) for source in statements(text))
        file = re.match(r"# ([\w.]+)\n", text)
        if file and language == "yaml":
            (self.folder / "here").mkdir(exist_ok=True)
            (self.folder / "here" / file[1]).write_text(text, encoding="utf-8")
        return text

    def command(self, line: str) -> str:
        here = self.folder / "here"
        here.mkdir(exist_ok=True)
        done = subprocess.run(
            ["sh", "-c", line.removeprefix("$ ")],
            cwd=here,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=TIME_LIMIT,
            check=False,
        )
        return f"{line}\n{done.stdout}"

    def statement(self, source: str) -> str:
        printed = io.StringIO()
        lines = source.splitlines()
        shown = "\n".join([f">>> {lines[0]}", *(f"... {line}" for line in lines[1:])])
        with redirect_stdout(printed), redirect_stderr(printed):
            incomplete = self.python.runsource(source + "\n" * (len(lines) > 1))
        assert not incomplete, source
        return f"{shown}\n{printed.getvalue()}"


def statements(text: str) -> Iterator[str]:
    """The statements of a session, without what they print."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(">>> "):
            if lines:
                yield "\n".join(lines)
            lines = [line[4:]]
        elif line.startswith("... "):
            lines.append(line[4:])
    if lines:
        yield "\n".join(lines)


def blocks(document: str) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in BLOCK.finditer((ROOT / document).read_text(encoding="utf-8"))]


def rounded(text: str) -> str:
    """Without the exact sizes of rounding errors, which depend on the machine."""
    return re.sub(r"\blargest error \S+?(?=[,;)\s])|\bno error\b|(?<=interpreter )\S+", "rounding", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_examples_give_the_outputs_that_stand_there(document: str, tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    seen = 0
    for language, text in blocks(document):
        assert rounded(runner.block(language, text)) == rounded(text)
        seen += language in ("console", "yaml") or text.startswith(">>> ")
    assert seen


def test_no_example_is_an_error_of_eqkb_itself() -> None:
    for document in DOCUMENTS:
        for _, text in blocks(document):
            assert "an error of eqkb itself" not in text
            assert "Traceback" not in text


def apply(language: str, text: str, root: Path) -> str:
    """Make the change that a block of the guide shows: a new file, or lines after a line. Returns the file."""
    head, _, rest = text.partition("\n")
    match = re.fullmatch(r"(?:#|<#) (\S+?)(?:, after: (.*?))?(?: #>)?", head)
    assert match, head
    path = root / match[1]
    if match[2] is None:
        assert not path.exists()
        path.write_text(text if language == "jinja" else rest, encoding="utf-8")
    else:
        before, found, after = path.read_text(encoding="utf-8").partition(f"{match[2]}\n")
        assert found, f"{match[1]} has no line {match[2]!r}"
        path.write_text(before + found + rest + after, encoding="utf-8")
    return match[1]


def test_the_guide_to_functions_and_outputs_leads_to_them(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("kb", "generators"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "equations.yaml", copy)
    changes = [b for b in blocks("CONTRIBUTING.md") if b[0] in ("python", "jinja") and not b[1].startswith(">>> ")]
    changed = [apply(language, text, copy) for language, text in changes]
    assert changed.count("generators/build.py") == 2
    runner = Runner(tmp_path, copy)
    runner.block("yaml", "# own.yaml\n" + OWN)
    assert "own_function: verified:" in runner.command("$ eqkb check --catalogue own.yaml")
    assert "1/√(1 + x²)" in runner.command("$ eqkb diff own_function --wrt x --catalogue own.yaml")
    assert runner.command("$ eqkb build -o made --catalogue own.yaml 2> messages; cat made/listing.csv").endswith(
        '"own_function","tests","Own, or not"\n'
    )


OWN = """\
own_function:
  name: Own, or not
  topic: tests
  about: Calls the function that the guide adds.
  symbols: {x: {}, y: {role: output}}
  define: y = arcsinh(x)
"""


def update(document: str) -> None:
    """Write the present outputs into a document."""
    path = ROOT / document
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder))
        text = BLOCK.sub(lambda m: f"```{m[1]}\n{runner.block(m[1], m[2])}```", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name in sys.argv[1:] or DOCUMENTS:
        update(name)
