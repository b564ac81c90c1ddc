"""Measure the website: ``python benchmarks/website.py`` prints how long it takes to build and to show, and its size.

It is built by the command from a copy of the project, with a cache of its own: with nothing kept but evidence, with
derivations that were checked before, after ``make clean``, and then again after a change of one entry. A page is
measured in Chromium with nothing in its cache, from the start of the navigation to the second frame after everything
is loaded.
"""

from __future__ import annotations

import compileall
import gzip
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import site_search

import kb
from kb.cache import cache_path
from kb.model import Entry

ROOT = Path(__file__).resolve().parent.parent
CLEAN_SECONDS, CHANGED_SECONDS, PAGE_KILOBYTES, SHOWN_SECONDS = 60.0, 6.0, 300.0, 1.0
LARGEST = 10  # pages that are shown, and as many from all over
TIMES = 3
FRAMES = (
    "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
)
# What is not there yet is gathered before anything is measured.
GATHER = """
import kb
from generators.evidence import gather
catalogue = kb.load_catalogue()
gather(catalogue, list(catalogue), 2)
"""


def line(what: str, measured: float, target: float, unit: str, more: str = "") -> None:
    """Print a figure against its target."""
    verdict = "ok" if measured <= target else "MISSED"
    print(
        f"{what:58} target {target:6.1f} {unit:2} measured {measured:7.2f} {verdict}{more and '   '}{more}", flush=True
    )


# --- building ---------------------------------------------------------------------------------------


class Project:
    """A copy of the project that may be changed, with a cache that holds the evidence of the user's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache, self.out = folder / "project", folder / "cache", folder / "out"
        for name in ("kb", "generators", "site"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(self.folder, quiet=1)  # as installing it does
        self.catalogue = self.folder / "equations.yaml"
        for name in ("equations.yaml", "CONTRIBUTING.md"):
            shutil.copy(ROOT / name, self.folder / name)
        kept = Path(cache_path("evidence") or os.devnull)
        if kept.is_dir():
            shutil.copytree(kept, self.cache / "eqkb" / "evidence", ignore=shutil.ignore_patterns("*.*.*"))
        self.python("-c", GATHER)

    def python(self, *arguments: str) -> tuple[float, str]:
        """Run Python; returns its seconds, and those of the processors, for a machine that is busy otherwise."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "XDG_CACHE_HOME": str(self.cache)}
        start, before = time.perf_counter(), os.times()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        seconds, after = time.perf_counter() - start, os.times()
        busy = after.children_user + after.children_system - before.children_user - before.children_system
        return seconds, f"processors {busy:.1f} s"

    def build(self) -> tuple[float, str]:
        return self.python("-m", "kb", "build", "-o", str(self.out))

    def clean(self, *kept: str) -> None:
        """Leave nothing of an earlier build, and in the cache only what is to be ``kept``."""
        shutil.rmtree(self.out, ignore_errors=True)
        for path in (self.cache / "eqkb").iterdir():
            if path.name not in kept:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def changed(self, pattern: str, instead: str) -> Iterator[None]:
        """The catalogue with one place changed."""
        before = self.catalogue.read_text(encoding="utf-8")
        after, count = re.subn(pattern, instead, before, count=1, flags=re.M | re.S)
        if not count:
            raise RuntimeError(f"the catalogue has nothing like {pattern}")
        self.catalogue.write_text(after, encoding="utf-8")
        try:
            yield
        finally:
            self.catalogue.write_text(before, encoding="utf-8")


def single() -> Entry:
    """The entry in the middle of those that no other mentions and whose definition is one line."""
    catalogue = kb.load_catalogue()
    entries = [catalogue.entry(i) for i in catalogue]
    said = {entry.id: " ".join([*entry.define, *(claim.text for claim in entry.claims)]) for entry in entries}
    alone = [
        entry
        for entry in entries
        if len(entry.define) == 1
        and entry.define[0].count("=") == 1
        and not any(re.search(rf"\b{entry.id}\b", text) for other, text in said.items() if other != entry.id)
        and f"\n  define: {entry.define[0]}\n" in (ROOT / "equations.yaml").read_text(encoding="utf-8")
    ]
    return alone[len(alone) // 2]


def report(what: str, spent: tuple[float, str], target: float) -> None:
    line(what, spent[0], target, "s", spent[1])


def measure_builds(project: Project) -> None:
    """From clean, after a change of a text, after a change of a formula; each builds everything, not only the site."""
    project.clean("evidence")
    report("all files from clean, derivations checked anew", project.build(), CLEAN_SECONDS)
    project.clean("evidence")
    report("all files from clean, evidence kept", project.build(), CLEAN_SECONDS)
    project.clean("evidence", "shown")
    report("all files after make clean", project.build(), CLEAN_SECONDS)
    report("the same again, nothing changed", project.build(), CHANGED_SECONDS)
    entry = single()
    at = rf"(^{entry.id}:\n(?:  [^\n]*\n)*?  "
    with project.changed(at + r"about: (?:>-\n +|[\"']?))", r"\1Changed. "):
        report(f"after a change of a text of {entry.id}", project.build(), CHANGED_SECONDS)
    project.build()
    output, _, formula = entry.define[0].partition(" = ")
    with project.changed(at + rf"define: ){re.escape(entry.define[0])}$", rf"\1{output} = 1*({formula})"):
        report("after a change of its formula, evidence anew", project.build(), CHANGED_SECONDS)
    project.build()


# --- pages ------------------------------------------------------------------------------------------


def entry_pages(site: Path) -> list[Path]:
    """The pages of entries, the largest first."""
    pages = [page for page in (site / "equations").glob("*.html") if (site / "copies" / f"{page.stem}.js").exists()]
    return sorted(pages, key=lambda page: -page.stat().st_size)


def measure_sizes(pages: Sequence[Path]) -> None:
    """What a page adds to the styles, scripts and fonts that all pages share."""
    raw = {page: page.stat().st_size / 1000 for page in pages}
    packed = {page: len(gzip.compress(page.read_bytes(), 6, mtime=0)) / 1000 for page in pages}
    for what, sizes in (("entry page", raw), ("entry page, gzip", packed)):
        largest = max(sizes, key=lambda page: sizes[page])
        more = f"{largest.stem}; median {statistics.median(sizes.values()):.1f}"
        line(f"{what}, the largest of {len(sizes)}", sizes[largest], PAGE_KILOBYTES, "KB", more)


def measure_showing(pages: Sequence[Path]) -> None:
    """The largest pages and some from all over, each the median of some visits."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        try:
            for what, some in (("largest", pages[:LARGEST]), ("others", pages[LARGEST :: len(pages) // LARGEST])):
                seconds = {page: statistics.median(_shown(browser, page) for _ in range(TIMES)) for page in some}
                slowest = max(seconds, key=lambda page: seconds[page])
                more = f"{slowest.stem}; median {statistics.median(seconds.values()):.2f}"
                line(f"shown with its formulas, {len(some)} {what}", seconds[slowest], SHOWN_SECONDS, "s", more)
        finally:
            browser.close()


def _shown(browser: Any, page: Path) -> float:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    try:
        tab = context.new_page()
        tab.goto(page.as_uri())
        spent: float = tab.evaluate(FRAMES)
        if not tab.locator("#definition .tex > svg").bounding_box():
            raise RuntimeError(f"{page.stem} shows no formula")
        return spent / 1000
    finally:
        context.close()


def measure_site() -> None:
    """Print all of it; what cannot be measured is a line too."""
    with tempfile.TemporaryDirectory(prefix="eqkb-bench-") as folder:
        project = Project(Path(folder))
        for measure in (
            lambda: measure_builds(project),
            lambda: measure_sizes(entry_pages(project.out / "site")),
            lambda: measure_showing(entry_pages(project.out / "site")),
        ):
            try:
                measure()
            except ImportError as missing:
                print(f"not measured: {missing.name} is not installed")
            except Exception as error:  # a failure is a line of the table, not the end of the benchmark
                print(f"FAILED: {type(error).__name__}: {error}")
    site_search.measure_search()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    measure_site()
    sys.exit(0)
