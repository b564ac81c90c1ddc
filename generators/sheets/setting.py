"""Sheets as PDFs, by TeX or by Typst.

pdflatex can neither run programs nor read or write elsewhere; Typst has no way to do so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from generators.sheets.contents import Contents, Layout
from kb.errors import EqkbError

SECONDS = 120
_RUNS = 2  # at most; the second puts links where the first found their targets
_PACKAGES = "texlive-latex-base texlive-latex-recommended lmodern"
_TYPST = "pip install 'eqkb[typst]'"
_TEX = f"install TeX (on Debian and Ubuntu: apt-get install {_PACKAGES})"
_REMEDY = f"{_TEX}, or choose --format tex"
_FITTED = re.compile(r"^eqkb: scale \d+, pages (\d+), left out: (.*)$", re.M)


class SetSheet(NamedTuple):
    """A sheet that was set: the PDF, its pages, and the details that gave way to fit them."""

    content: bytes
    pages: int
    left_out: tuple[str, ...]


def pdf(contents: Contents) -> SetSheet:
    """A sheet as a PDF. Raises EqkbError where nothing can set it, or where it does not fit its pages."""
    from generators.sheets import sheet

    form = setter()
    return set_sheet(sheet(contents, form), form, contents.layout)


def setter() -> str:
    """The format that can be set: that of TeX where it is installed, else of Typst.

    Raises EqkbError that says what to install.
    """
    form = next((f for f in ("tex", "typ") if can_set(f)), None)
    if form is None:
        raise EqkbError(
            f"a PDF takes pdflatex or Typst, and neither is here; {_TYPST} brings Typst; or {_TEX}, or choose "
            "--format tex"
        )
    return form


def can_set(form: str) -> bool:
    """Whether what sets this format is installed."""
    return find_spec("typst") is not None if form == "typ" else shutil.which("pdflatex") is not None


def set_sheet(text: str, form: str, layout: Layout) -> SetSheet:
    """The PDF of a sheet. Raises EqkbError where it does not fit its pages, or where it cannot be set."""
    made = _set_typst(text) if form == "typ" else _set_tex(text)
    _require_pages(made, layout)
    return made


def left_out(text: str, form: str, layout: Layout) -> tuple[str, ...] | None:
    """The details that give way so that a sheet fits its pages; None where nothing here can tell.

    Raises EqkbError where it does not fit.
    """
    if not can_set(form):
        return None
    try:
        made = _set_typst(text) if form == "typ" else _set_tex(text)
    except EqkbError:
        return None  # the text is as good where TeX is not complete
    _require_pages(made, layout)
    return made.left_out


def _require_pages(made: SetSheet, layout: Layout) -> None:
    if layout.pages is not None and made.pages > layout.pages:
        raise EqkbError(
            f"the formulas alone fill {made.pages} pages in the smallest letters; ask for --pages {made.pages}, for a "
            "larger --paper, or choose fewer entries"
        )


def _set_tex(text: str) -> SetSheet:
    made, log = compile_tex(text)
    found = _FITTED.search(log)
    if found is None:
        raise EqkbError("pdflatex did not say how the sheet was set; it may be another program of that name")
    return SetSheet(made, int(found[1]), tuple(filter(None, found[2].split(", "))))


def _set_typst(text: str) -> SetSheet:
    import typst

    # The folder is all that it may read; the fonts are its own and the time is fixed, so that the bytes are too.
    with tempfile.TemporaryDirectory(prefix="eqkb-typst-") as folder:
        path = Path(folder) / "sheet.typ"
        path.write_text(text, encoding="utf-8")
        try:
            compiler = typst.Compiler(path, root=folder, ignore_system_fonts=True)
            content: Any = compiler.compile(format="pdf", timestamp=0)
            found = json.loads(compiler.query("<eqkb-sheet>", field="value", one=True))
        except typst.TypstError as error:
            raise EqkbError(f"Typst could not set the cheat sheet: {str(error)[:200]}") from None
    return SetSheet(content, found["pages"], tuple(found["left-out"]))


def require_tex() -> str:
    """Where pdflatex is. Raises EqkbError that says what to install."""
    found = shutil.which("pdflatex")
    if found is None:
        raise EqkbError(f"a PDF takes pdflatex, which is not here; {_REMEDY}")
    return found


def compile_tex(source: str) -> tuple[bytes, str]:
    """The PDF and the log of the last run."""
    program = require_tex()
    with tempfile.TemporaryDirectory(prefix="eqkb-tex-") as folder:
        (Path(folder) / "sheet.tex").write_text(source, encoding="utf-8")
        for _ in range(_RUNS):
            _run(program, folder)
            log = _log(folder)
            if "Rerun to get" not in log:
                break
        return (Path(folder) / "sheet.pdf").read_bytes(), log


def _run(program: str, folder: str) -> None:
    command = [program, "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "sheet.tex"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise EqkbError(f"pdflatex took longer than {SECONDS} seconds; choose fewer entries") from None
    except OSError as error:
        raise EqkbError(f"pdflatex cannot be run ({error.strerror}); {_REMEDY}") from None
    if done.returncode or not (Path(folder) / "sheet.pdf").is_file():
        raise EqkbError(_reason(_log(folder) or done.stdout.decode("utf-8", "replace")))


def _environment(folder: str) -> dict[str, str]:
    """Files are read and written in the folder only; the date is fixed, so that the bytes are too."""
    guarded = {"openin_any": "p", "openout_any": "p", "shell_escape": "f", "TEXMFOUTPUT": folder}
    fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "1000"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEXINPUTS", "TEXMFCNF"))}
    return {**kept, **guarded, **fixed}


def _log(folder: str) -> str:
    try:
        return (Path(folder) / "sheet.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _reason(log: str) -> str:
    """The first error of a log, with the remedy where a package is missing."""
    errors = [line[2:] for line in log.splitlines() if line.startswith("! ")]
    reason = errors[0] if errors else "it gave no reason"
    if "not found" in reason or "Font" in reason:
        return f"TeX is not complete ({reason[:200]}); {_REMEDY}"
    return f"pdflatex could not set the cheat sheet: {reason[:200]}"
