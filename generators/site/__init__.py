"""The website: generated Markdown through Sphinx, with formulas typeset at build time."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from generators.sources import DocumentView
from generators.views import EntryView, by_topic
from kb.errors import EqkbError

_NEEDED = ("sphinx", "myst_parser", "pydata_sphinx_theme", "py_mini_racer")
_HERE = Path(__file__).resolve().parent


def sources() -> Path | None:
    """The folder of the site's own sources: beside the packages in a checkout, within them where installed."""
    places = (_HERE.parent / "site_sources", _HERE.parent.parent / "site")
    return next((place for place in places if (place / "conf.py").is_file()), None)


def why_not() -> str:
    """What is missing to build the site, and the remedy; empty if nothing is."""
    if sources() is None:
        return "there are no sources of it here"
    if not all(importlib.util.find_spec(name) for name in _NEEDED):
        return "install eqkb[site] for it"
    return ""


def site(
    entries: Sequence[EntryView], documents: Sequence[DocumentView], place: Path, jobs: int = 1
) -> dict[str, bytes]:
    """All files of the site by path. ``place`` is where they will be written to.

    Raises EqkbError where a formula cannot be typeset, or the site's own sources are not there.
    """
    from generators.site import copies, search_index
    from generators.site.notebooks import notebooks
    from generators.site.pages import listing, pages
    from generators.site.sphinx import run_sphinx

    folder = sources()
    if folder is None:
        raise EqkbError(f"the site cannot be built: {why_not()}")
    made = pages(folder / "pages", entries, documents)
    settings = {"listing": listing(by_topic(entries))}
    files = run_sphinx(folder, made, settings, str(place.resolve()), jobs)
    files[search_index.NAME] = search_index.search_index(entries).encode()
    files |= copies.scripts(entries)
    files |= notebooks(folder)
    files |= {f"code/{view.id}.py": view.code.encode() for view in entries}
    return files
