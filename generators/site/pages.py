"""The Markdown that Sphinx reads: a page for each entry, their list, and the pages written by hand.

The templates and the pages written by hand stand in the site's own folder; ``.j2`` marks what the build fills in.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators import markdown
from generators.markdown import FILTERS, page_name, tidy
from generators.parts import Formula
from generators.rendering import Filters, Ready, render
from generators.sheets import sheets_of
from generators.site import start
from generators.site.commands import program
from generators.site.map import FieldMap
from generators.site.notebooks import notebook_page, notebooks
from generators.site.specification import specification, with_code
from generators.sources import DocumentView
from generators.views import TITLE, EntryView, Topic, by_topic
from kb.errors import EqkbError
from kb.printing import escape_markdown
from kb.records import shipped_path
from kb.sheets import WHOLE

FOLDER = "equations"
_ENTRY = f"{FOLDER}/entry.md.j2"
# At the beginning of a line these mean something to MyST, beyond what they mean in Markdown.
_LEADING = {"%": "&#37;", "(": "&#40;", "+": "&#43;"}


@dataclass(frozen=True)
class Counts:
    """What the start page counts."""

    entries: int
    verified: int
    derivatives: int
    claims: int
    points: int
    refuted: int


def pages(folder: Path, entries: Sequence[EntryView], documents: Sequence[DocumentView]) -> dict[str, str]:
    """All pages by their path under Sphinx's source folder, from the templates in ``folder``."""
    field = FieldMap(entries)
    made = {f"{FOLDER}/{page_name(v.id)}": entry_page(folder, v, field.neighbourhood(v.id)) for v in entries}
    made["map.md"] = field.page()
    if documents:
        made[f"{FOLDER}/sources.md"] = markdown.sources(documents)
    values = {
        "topics": by_topic(entries),
        "documents": documents,
        "counts": counts(entries),
        "example": start.example(entries),
        "refuted": start.refuted(documents),
        "program_of": program,
        "shipped": str(shipped_path()),
        "sheets": {key: sheet for key, sheet in sheets_of(entries).items() if key != WHOLE},
        "specification": specification(shipped_path()),
        "contributing": _beside(folder.parent, "CONTRIBUTING.md"),
    }
    for name in _by_hand(folder):
        text = (folder / name).read_text(encoding="utf-8")
        made[name.removesuffix(".j2")] = _page(folder, name, values) if name.endswith(".j2") else text
    for name, notebook in notebooks(folder.parent).items():
        made[name.replace(".ipynb", ".md")] = notebook_page(name.rpartition("/")[2], notebook)
    return made


def _beside(folder: Path, name: str) -> Ready:
    """A document of the project: beside the site's folder in a checkout, within it where installed."""
    places = (folder / name, folder.parent / name)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise EqkbError(f"the site cannot be built: there is no {places[0]}")
    return Ready(found.read_text(encoding="utf-8"))


def _by_hand(folder: Path) -> Iterator[str]:
    """The pages that the site's own folder has, templates among them."""
    for path in sorted(folder.rglob("*.md*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != _ENTRY:
            yield name


def entry_page(folder: Path, view: EntryView, near: str = "") -> str:
    """The page of one entry; ``near`` is a picture of what it uses and what uses it."""
    return _page(folder, _ENTRY, {"view": view, "near": near})


def counts(entries: Sequence[EntryView]) -> Counts:
    """Over all entries; checked points are those of all checks."""
    checks = [check for view in entries if view.evidence for check in view.evidence.checks]
    verdicts = Counter(view.verdict for view in entries)
    return Counts(
        len(entries),
        verdicts["verified"],
        sum(len(view.entry.differentiate) for view in entries),
        sum(len(view.entry.claims) for view in entries),
        sum(check.points for check in checks),
        sum(claim.refuted and claim.verdict == "verified" for view in entries for claim in view.claims),
    )


def listing(topics: Sequence[Topic]) -> str:
    """Topics and their entries for the side bar of every page, as JSON."""
    rows = [
        {
            "name": topic.name,
            "title": topic.title,
            "anchor": markdown.anchor(topic.title),
            "entries": [{"page": _address(view.id), "name": view.entry.name} for view in topic.entries],
        }
        for topic in topics
    ]
    return json.dumps(rows, ensure_ascii=False)


def _address(entry_id: str) -> str:
    return f"{FOLDER}/{page_name(entry_id).removesuffix('.md')}"


def display(formula: Formula, anchor: str = "") -> Ready:
    """A formula in lines of its own, with an address and a menu to copy it if it has an anchor."""
    return Ready(f"```{{formula}} {anchor}\n{formula.latex}\n```" if anchor else f"$$\n{formula.latex}\n$$")


def inline(formula: Formula) -> Ready:
    """A formula within a sentence or in a cell of a table, however many lines it has."""
    return Ready(markdown.inline(formula).replace("\n", " "))


def escape(text: str) -> str:
    """Text that MyST prints as it is."""
    shown = escape_markdown(text)
    return _LEADING.get(shown[:1], shown[:1]) + shown[1:]


_FILTERS: Filters = {
    **FILTERS,
    "display": display,
    "inline": inline,
    "yaml": lambda text: Ready(json.dumps(" ".join(text.split()), ensure_ascii=False)),
    "after_colon": lambda text: text.partition(": ")[2],
    "in_bold": lambda text: Ready(f"**{escape(text)}**"),
    "with_code": lambda text, cell=False: with_code(text, escape, cell),
    "short_numbers": start.short_numbers,
    "thousands": lambda number: Ready(f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")),
}


def _page(folder: Path, template: str, values: Mapping[str, Any]) -> str:
    return tidy(render(template, escape, _FILTERS, beside=folder, title=TITLE, **values))
