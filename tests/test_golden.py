"""What every formula of the catalogue looks like: definitions, claims, conditions, declared derivatives.

The golden files are for the eye as well: a change of the printers shows as a diff in them.
``python tests/test_golden.py`` (or ``make golden``) writes them anew; read the diff before committing it.
Each ``latex/ID.tex`` can be ``\\input`` into a document that loads amsmath and amssymb.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from agreement import shipped

from generators.views import EntryView, Formula, views

GOLDEN = Path(__file__).parent / "golden"
FORMATS = {"latex": "tex", "text": "txt"}


@cache
def entries() -> dict[str, EntryView]:
    return {view.id: view for view in views(shipped(), list(shipped()))}


def formulas(view: EntryView) -> Iterator[tuple[str, Formula]]:
    """Everything that is printed of an entry, with a title each."""
    entry = view.entry
    yield "definition", view.formula
    if view.goal is not None:
        yield "goal", view.goal
    for words, texts in (("requires", entry.requires), ("kink", entry.kinks)):
        for text in texts:
            yield words, view.read(text)
    for claim in entry.claims:
        yield f"claim {claim.name}", view.read(claim.text)
    for derivative in view.partials:
        yield f"derivative by {derivative.wrt[0]}", derivative.formula
    if view.backward is not None:
        yield f"backward to {', '.join(view.backward.wrt)}", view.backward.formula


def shown(entry_id: str, form: str) -> str:
    """The golden text of one entry, in LaTeX or in Unicode."""
    parts = formulas(entries()[entry_id])
    if form == "text":
        blocks = [f"{title}\n" + "".join(f"    {line}\n" for line in f.text.splitlines()) for title, f in parts]
    else:
        blocks = [f"% {title}\n\\[\n{f.latex}\n\\]\n" for title, f in parts]
    return "\n".join(blocks)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("entry_id", entries())
def test_formulas_look_as_before(entry_id: str, form: str) -> None:
    path = GOLDEN / form / f"{entry_id}.{FORMATS[form]}"
    assert path.exists(), f"no golden file for {entry_id}; write it with: make golden"
    assert shown(entry_id, form) == path.read_text(encoding="utf-8"), "if it should look so: make golden"


@pytest.mark.parametrize("form", FORMATS)
def test_every_golden_file_has_its_entry(form: str) -> None:
    assert {path.stem for path in (GOLDEN / form).iterdir()} == set(entries())


def write() -> None:
    for form, suffix in FORMATS.items():
        folder = GOLDEN / form
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.stem not in entries():
                path.unlink()
        for entry_id in entries():
            (folder / f"{entry_id}.{suffix}").write_text(shown(entry_id, form), encoding="utf-8")


if __name__ == "__main__":
    write()
