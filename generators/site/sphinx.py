"""Sphinx run over generated Markdown, in a working folder that is kept so that a later build writes what changed."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from generators.files import write_file
from generators.site.extension import STEPS
from kb.cache import cache_path
from kb.errors import EqkbError

_PACKAGES = ("sphinx", "docutils", "myst-parser", "pydata-sphinx-theme", "sphinx-mathjax-offline", "mini-racer")
_MOST_FOLDERS = 4  # that are kept
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
# Sphinx's notes for itself, and a template of the theme that it copies as it is.
_OWN = (".buildinfo", ".buildinfo.bak", "_static/webpack-macros.html")


def run_sphinx(
    configuration: Path, pages: Mapping[str, str], settings: Mapping[str, Any], place: str, jobs: int
) -> dict[str, bytes]:
    """The files of the site, by path. ``place`` tells apart what is built in turn; warnings go to stderr."""
    with _workplace(_key(configuration, place)) as folder:
        source, html = folder / "source", folder / "html"
        _write_changed(source, pages)
        try:
            documents = _build(configuration, source, folder, settings, jobs)
        except BaseException:
            shutil.rmtree(folder / "doctrees", ignore_errors=True)  # what was done half is done anew
            raise
        _drop_left_over(html, documents)
        return dict(_files(html))


def _build(configuration: Path, source: Path, folder: Path, settings: Mapping[str, Any], jobs: int) -> set[str]:
    """Run Sphinx; returns the names of all documents. Raises EqkbError for what it refuses."""
    from sphinx.errors import ExtensionError, SphinxError

    try:
        return _run(configuration, source, folder, settings, jobs)
    except ExtensionError as error:
        cause = error.orig_exc
        raise cause if isinstance(cause, EqkbError) else EqkbError(f"the site cannot be built: {error}") from error
    except SphinxError as error:
        raise EqkbError(f"the site cannot be built: {error}") from error


def _run(configuration: Path, source: Path, folder: Path, settings: Mapping[str, Any], jobs: int) -> set[str]:
    said = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Sphinx's extensions use of Sphinx is between them
        from sphinx.application import Sphinx
        from sphinx.util.docutils import docutils_namespace, patch_docutils

        with patch_docutils(configuration), docutils_namespace():
            app = Sphinx(
                srcdir=source,
                confdir=configuration,
                outdir=folder / "html",
                doctreedir=folder / "doctrees",
                buildername="html",
                confoverrides={**settings, "typeset_jobs": jobs},
                status=None,
                warning=said,
                parallel=jobs,
            )
            app.build()
    sys.stderr.write(_COLOUR.sub("", said.getvalue()).replace(f"{source}/", ""))
    return set(app.env.found_docs)


def _drop_left_over(html: Path, documents: set[str]) -> None:
    """Pages of entries that are no longer there, and what was taken out of pages that are light by now."""
    for path in html.rglob("*"):
        name = path.relative_to(html).as_posix()
        page = name.removesuffix(".html").removesuffix(STEPS)
        if page == name or name.startswith("_"):
            continue
        if page not in documents or (name.endswith(STEPS) and not _refers(html / f"{page}.html", path.name)):
            path.unlink()


def _refers(page: Path, name: str) -> bool:
    return f'data-steps="{name}"' in page.read_text(encoding="utf-8")


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in _OWN:
            yield name, path.read_bytes()


def _write_changed(folder: Path, pages: Mapping[str, str]) -> None:
    """Sphinx reads what is newer than its notes, so that nothing is touched that stays as it is."""
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path, content = folder / name, text.encode()
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, content)


# --- the working folder -------------------------------------------------------------------------------------------


def _key(configuration: Path, place: str) -> str:
    """A digest of all that pages are made with but their text."""
    digest = hashlib.sha256(place.encode())
    for package in _PACKAGES:
        digest.update(f"{package} {version(package)}\n".encode())
    for folder in (configuration, Path(__file__).parent):
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:24]


@contextmanager
def _workplace(key: str) -> Iterator[Path]:
    """A folder of our own, the one of the last time if nobody else is at work in it."""
    kept = cache_path("site", key)
    with suppress(OSError):
        if kept is not None and (lock := _locked(Path(kept))) is not None:
            with lock:
                yield Path(kept)
            _prune(Path(kept).parent)
            return
    with tempfile.TemporaryDirectory(prefix="eqkb-site-") as temporary:
        yield Path(temporary)


def _locked(folder: Path) -> IO[str] | None:
    """A lock on the folder for as long as the file is open; None where somebody else holds it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (folder / ".lock").open("w", encoding="utf-8")
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        lock.close()
        return None
    return lock


def _prune(folder: Path) -> None:
    """Leave the folders that were used last."""
    with suppress(OSError):
        used = sorted(folder.iterdir(), key=lambda path: (path / ".lock").stat().st_mtime, reverse=True)
        for old in used[_MOST_FOLDERS:]:
            shutil.rmtree(old, ignore_errors=True)
