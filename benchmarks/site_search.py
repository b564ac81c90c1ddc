"""Measure the search of the website: milliseconds for a query, with the catalogue as it is and ten times as large.

The larger one has every entry under nine further names, each in a spelling of its own, so that there are ten times
as many words to compare with. ``python benchmarks/site_search.py`` prints a table and always exits with 0.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kb
from generators.site.search_index import search_index
from generators.views import EntryView, views
from kb.model import Entry

STATIC = Path(__file__).resolve().parent.parent / "site" / "static"
ENGINE = ("search-words.js", "search-lists.js", "search-engine.js")
TARGET = 50.0  # ms for an answer, ten times the catalogue
TIMES = 10
CONSONANTS = "bcdfghjklmnpqrstvwxz"

# Every beginning of these is asked for, as if it were being typed: names, symbols, functions, formulas, errors, text.
TYPED = (
    "scaled dot product attention",
    "cross entropy with logits",
    "positonal encodign",
    "kulback leibler divergance",
    "torch.nn.functional.softmax",
    r"\frac{1}{1+e^{-x}}",
    r"\hat{\beta}_1",
    "average of the squared gradient",
    "xyzzy nothing is like this",
)

# Each text is typed three times, letter by letter, and the smallest time after each letter counts: what the search
# remembers of the letters before it may use, but nothing of other times.
MEASURE = """
(function () {
  const best = {};
  for (const text of TYPED) {
    for (let n = 0; n < 3; n++) {
      globalThis.ready.cache.clear();
      for (let length = 1; length <= text.length; length++) {
        const query = text.slice(0, length);
        const start = NOW();
        eqkb.engine.search(globalThis.ready, query, {typing: true});
        best[query] = Math.min(best[query] || Infinity, NOW() - start);
      }
    }
  }
  return JSON.stringify(Object.entries(best));
})()
"""


def multiplied(entries: Sequence[EntryView], times: int) -> list[Any]:
    """The entries, and all of them again under other names."""
    return [*entries, *(_renamed(view, n) for n in range(1, times) for view in entries)]


def _renamed(view: EntryView, n: int) -> Any:
    table = str.maketrans(CONSONANTS, CONSONANTS[n:] + CONSONANTS[:n])

    def other(text: str) -> str:
        return text.translate(table)

    entry: Entry = view.entry
    renamed = replace(
        entry,
        id=f"{other(entry.id)}_{n}",
        name=other(entry.name),
        about=other(entry.about),
        aliases=tuple(map(other, entry.aliases)),
        tags=tuple(map(other, entry.tags)),
        notes=tuple(map(other, entry.notes)),
        symbols=tuple(replace(symbol, about=other(symbol.about)) for symbol in entry.symbols),
        frameworks=tuple((framework, other(path)) for framework, path in entry.frameworks),
        references=tuple(
            replace(r, title=other(r.title), authors=tuple(map(other, r.authors))) for r in entry.references
        ),
    )
    return SimpleNamespace(entry=renamed, id=renamed.id, verdict=view.verdict, formula=view.formula, read=view.read)


def measure_search() -> None:
    """Print a line for each size of the catalogue and each place where the scripts run."""
    catalogue = kb.load_catalogue()
    entries = views(catalogue, list(catalogue))
    for times in (1, TIMES):
        index = search_index(multiplied(entries, times))
        label = f"search, {times * len(entries)} entries, index {len(index.encode()) / 1e6:.1f} MB"
        for place, measure in (("JavaScript engine", _in_engine), ("Chromium", _in_chromium)):
            try:
                print(f"{label:44} {place:18} {_summary(measure(index))}")
            except ImportError as missing:
                print(f"{label:44} {place:18} not measured: {missing.name} is not installed")


def _summary(measured: tuple[float, list[tuple[float, str]]]) -> str:
    prepared, rows = measured
    times = sorted(time for time, _ in rows)
    worst, query = max(rows)
    return (
        f"prepared once in {prepared:.0f} ms; a query: median {times[len(times) // 2]:.1f} ms, "
        f"95 % {times[len(times) * 19 // 20]:.1f} ms, slowest target {TARGET:.0f} measured {worst:.1f} "
        f"{'ok' if worst <= TARGET else 'MISSED'} ({query!r})"
    )


def _measured(run: Callable[[str], Any], clock: str) -> tuple[float, list[tuple[float, str]]]:
    """How long the lists take to prepare, and the smallest time of three of every query."""
    prepared = run(
        f"(() => {{ const start = {clock}(); globalThis.ready = eqkb.engine.prepare(eqkb.searchIndex);"
        f" return {clock}() - start; }})()"
    )
    script = MEASURE.replace("TYPED", json.dumps(TYPED)).replace("NOW", clock)
    return float(prepared), [(time, text) for text, time in json.loads(run(script))]


def _in_engine(index: str) -> tuple[float, list[tuple[float, str]]]:
    from py_mini_racer import MiniRacer

    context = MiniRacer()
    try:
        for script in (*((STATIC / name).read_text() for name in ENGINE), index):
            context.eval(script)
        return _measured(context.eval, "Date.now")
    finally:
        context.close()  # one that is not closed keeps Python from ending


def _in_chromium(index: str) -> tuple[float, list[tuple[float, str]]]:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder, "page.html")
        scripts = [*((STATIC / name).read_text() for name in ENGINE), index]
        page_file.write_text("<!doctype html><meta charset=utf-8>" + "".join(f"<script>{s}</script>" for s in scripts))
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            page = browser.new_page()
            page.goto(page_file.as_uri())
            return _measured(page.evaluate, "(() => performance.now())")
        finally:
            browser.close()


if __name__ == "__main__":
    measure_search()
    sys.exit(0)
