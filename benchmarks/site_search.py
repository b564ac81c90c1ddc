"""Measure the search of the website: milliseconds for a query, with the catalogue as it is and ten times as large.

The larger one has every entry under nine further names, each in a spelling of its own, so that there are ten times
as many words to compare with. ``python benchmarks/site_search.py`` prints a table and always exits with 0.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kb
from generators.site.search_index import NAME, search_index
from generators.views import EntryView, views
from kb.model import Entry

STATIC = Path(__file__).resolve().parent.parent / "site" / "static"
ENGINE = ("search-words.js", "search-lists.js", "search-engine.js")
TARGET = 50.0  # ms for an answer, ten times the catalogue
TIMES = 10
FLAGS = ["--no-sandbox", "--disable-gpu"]
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
        index = search_index(multiplied(entries, times), {})
        label = f"search, {times * len(entries)} entries, index {len(index.encode()) / 1e6:.1f} MB"
        for place, measure in (
            ("JavaScript engine", _in_engine),
            ("Chromium", _in_chromium),
            ("Chromium, shown", _shown_in_chromium),
        ):
            try:
                print(f"{label:44} {place:18} {_summary(measure(index))}")
            except ImportError as missing:
                print(f"{label:44} {place:18} not measured: {missing.name} is not installed")


def _summary(measured: tuple[float, list[tuple[float, str]]]) -> str:
    prepared, rows = measured
    times = sorted(time for time, _ in rows)
    worst, query = max(rows)
    return (
        f"ready in {prepared:.0f} ms; a query: median {times[len(times) // 2]:.1f} ms, "
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


# In the page of the search, from the key to results and counts of filters that are laid out. All is typed three times
# in turn, so that little of what the search remembers is of the time before.
SHOWN = """
async (texts) => {
  const field = document.querySelector(".eqkb-search-input");
  const best = {};
  for (const text of [...texts, ...texts, ...texts])
    for (let length = 1; length <= text.length; length++) {
      field.value = text.slice(0, length);
      const start = performance.now();
      field.dispatchEvent(new Event("input"));
      await Promise.resolve();
      document.body.getBoundingClientRect();
      best[field.value] = Math.min(best[field.value] || Infinity, performance.now() - start);
    }
  return Object.entries(best);
}
"""


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
    with _page(index, ENGINE) as page:
        page.add_script_tag(path=str(Path(page.url.removeprefix("file://")).parent / NAME))
        return _measured(page.evaluate, "(() => performance.now())")


def _shown_in_chromium(index: str) -> tuple[float, list[tuple[float, str]]]:
    with _page(index, ("search.js",)) as page:
        page.wait_for_selector(".eqkb-hit")
        prepared = page.evaluate("performance.now()")
        return float(prepared), [(time, text) for text, time in page.evaluate(SHOWN, TYPED)]


@contextmanager
def _page(index: str, scripts: Sequence[str]) -> Iterator[Any]:
    """A page from disk that has some scripts, beside the index and all others."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        shutil.copytree(STATIC, Path(folder, "_static"))
        Path(folder, NAME).write_text(index, encoding="utf-8")
        loaded = "".join(f'<script src="_static/{name}"></script>' for name in scripts)
        style = '<link rel="stylesheet" href="_static/search.css">'
        path = Path(folder, "search.html")
        path.write_text(f'<!doctype html><meta charset="utf-8">{style}<div id="eqkb-search-page"></div>{loaded}')
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            page = browser.new_page()
            page.goto(path.as_uri())
            yield page
        finally:
            browser.close()


if __name__ == "__main__":
    measure_search()
    sys.exit(0)
