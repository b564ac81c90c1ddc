"""Measure the cheat sheets: ``python benchmarks/sheets.py`` prints how long their texts and PDFs take to make.

Every figure is that of the whole command in a process of its own: from a cache that is empty but for the records of
the catalogue, and again where the text was kept. For the time of all sheets one process writes them one after the
other, the one of the whole catalogue among them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import kb
from kb.sheets import ids_of

ROOT = Path(__file__).resolve().parent.parent
ALL_SECONDS, ONE_SECONDS, KEPT_SECONDS = 10.0, 2.0, 0.3
TIMES = 3
ALL = """
import kb
from generators.sheets import declared, selection, sheet
from generators.views import views
catalogue = kb.load_catalogue()
entries = views(catalogue, list(catalogue))
texts = [sheet(selection(entries))]
texts += [sheet(declared(catalogue, s, entries)) for s in catalogue.records.sheets.values()]
print(len(texts))
"""


def line(what: str, measured: float, target: float | None = None, more: str = "") -> None:
    """Print a figure, against its target where it has one."""
    aim = f"target {target:5.1f} s" if target is not None else " " * 14
    verdict = "" if target is None else "ok" if measured <= target else "MISSED"
    print(f"{what:58} {aim} measured {measured:6.2f} {verdict:6} {more}".rstrip(), flush=True)


def spent(arguments: list[str], cache: str) -> tuple[float, str]:
    """The seconds that a Python process takes, and what it prints."""
    environment: Mapping[str, str] = {**os.environ, "XDG_CACHE_HOME": cache, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - start, done.stdout


def measure_sheets() -> None:
    """Print the figures."""
    from generators.sheets.setting import can_set

    catalogue = kb.load_catalogue()
    sizes = {key: len(ids_of(catalogue.records, s)) for key, s in catalogue.records.sheets.items()}
    with tempfile.TemporaryDirectory(prefix="eqkb-bench-") as folder:
        seconds, printed = spent(["-c", ALL], f"{folder}/all")
        line(f"the .tex of all {printed.strip()} sheets", seconds, ALL_SECONDS)
        slowest = {}
        for key in sizes:
            cache = f"{folder}/{key}"
            spent(["-m", "kb", "list"], cache)
            slowest[key] = spent(["-m", "kb", "cheatsheet", "--sheet", key], cache)[0]
        for key in sorted(slowest, key=slowest.__getitem__, reverse=True)[:3]:
            line(f"one selection: {key}, {sizes[key]} entries", slowest[key], ONE_SECONDS)
        key = max(slowest, key=slowest.__getitem__)
        again = min(spent(["-m", "kb", "cheatsheet", "--sheet", key], f"{folder}/{key}")[0] for _ in range(TIMES))
        line(f"the same from the cache: {key}", again, KEPT_SECONDS)
        for form, name in (("tex", "TeX"), ("typ", "Typst")):
            if can_set(form):
                text = Path(folder, f"sheet.{form}")
                arguments = ["-m", "kb", "cheatsheet", "--sheet", key, "--format", form, "-o", str(text)]
                spent(arguments, f"{folder}/{key}")
                start = time.perf_counter()
                _set(text, form)
                line(f"its PDF by {name}", time.perf_counter() - start)


def _set(text: Path, form: str) -> None:
    from generators.sheets import Layout
    from generators.sheets.setting import set_sheet

    set_sheet(text.read_text(encoding="utf-8"), form, Layout())


if __name__ == "__main__":
    measure_sheets()
