"""LaTeX to PDF with pdflatex, which can neither run programs nor read or write elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kb.errors import EqkbError

SECONDS = 120
_RUNS = 2  # the second puts links where the first found their targets
_PACKAGES = "texlive-latex-base texlive-latex-recommended lmodern"
_REMEDY = f"install TeX (on Debian and Ubuntu: apt-get install {_PACKAGES}), or choose --format tex"


def require_tex() -> str:
    """Where pdflatex is. Raises EqkbError that says what to install."""
    found = shutil.which("pdflatex")
    if found is None:
        raise EqkbError(f"a PDF takes pdflatex, which is not here; {_REMEDY}")
    return found


def compile_pdf(source: str) -> bytes:
    """The PDF of a LaTeX document. Raises EqkbError."""
    return compile_logged(source)[0]


def compile_logged(source: str) -> tuple[bytes, str]:
    """The PDF and the log of the last run."""
    program = require_tex()
    with tempfile.TemporaryDirectory(prefix="eqkb-tex-") as folder:
        (Path(folder) / "sheet.tex").write_text(source, encoding="utf-8")
        for _ in range(_RUNS):
            _run(program, folder)
        return (Path(folder) / "sheet.pdf").read_bytes(), _log(folder)


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
