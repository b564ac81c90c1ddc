"""cheatsheet: entries on a few pages."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

from kb.cache import cache_path, keep, read_kept
from kb.catalogue import Catalogue
from kb.cli.read import catalogue_of, require_usable, selected
from kb.cli.state import evidence_state, paths_of, state_of
from kb.cli.terminal import print_json
from kb.errors import EqkbError, NotFound, nearest
from kb.model import Detail, Sheet
from kb.sheets import giving_way, ids_of

if TYPE_CHECKING:
    from generators.sheets import Contents

_FORMULAS = "formulas"  # every sheet has them
_OF_PAGES = ("columns", "paper", "landscape", "pages")


def cheatsheet_command(options: argparse.Namespace) -> int:
    """``eqkb cheatsheet``."""
    _require_sense(options)
    catalogue = catalogue_of(options)
    chosen = _chosen(catalogue, options)
    if options.format == "pdf":
        from generators.sheets.setting import pdf

        made = pdf(_contents(catalogue, chosen))
        _write(options.output, made.content)
        _say_what_is_left_out(made.left_out, chosen)
        return 0
    text, left_out = _text(catalogue, chosen, options.format)
    if options.output is not None:
        _write(options.output, text.encode())
    elif options.json:
        details = list(chosen.details)
        print_json({"ids": list(chosen.ids), "format": options.format, "details": details, "text": text})
    else:
        print(text, end="")
    _say_what_is_left_out(left_out, chosen)
    return 0


class _Chosen(NamedTuple):
    """A selection or a declared sheet, the ids of its entries, its details, and its form; without one its own."""

    sheet: Sheet | None
    ids: tuple[str, ...]
    details: tuple[Detail, ...]
    columns: int | None
    paper: str
    landscape: bool
    pages: int | None


def _require_sense(options: argparse.Namespace) -> None:
    """Raise EqkbError for options that contradict each other."""
    if options.format == "pdf" and options.output is None:
        raise EqkbError("a PDF is no text; say where to write it with -o PATH")
    if options.json and options.output is not None:
        raise EqkbError("--json prints; leave out -o, or --json")
    if options.sheet is not None and (options.ids or options.topic):
        raise EqkbError("name a sheet, or what should stand on one, not both")
    given = [f"--{name}" for name in _OF_PAGES if getattr(options, name) is not None]
    if options.format == "md" and given:
        raise EqkbError(f"Markdown has no pages; leave out {' and '.join(given)}")


def _chosen(catalogue: Catalogue, options: argparse.Namespace) -> _Chosen:
    """What the options ask for. Raises EqkbError where they ask for what there is not."""
    sheet = _declared(catalogue, options.sheet) if options.sheet is not None else None
    ids = selected(catalogue, options) if sheet is None else ids_of(catalogue.records, sheet)
    own = sheet or Sheet("", "")
    return _Chosen(
        sheet,
        tuple(ids),
        own.details if options.details is None else _details(options.details),
        options.columns or own.columns,
        options.paper or "a4",
        own.landscape if options.landscape is None else options.landscape,
        options.pages or own.pages,
    )


def _text(catalogue: Catalogue, chosen: _Chosen, form: str) -> tuple[str, tuple[str, ...] | None]:
    """The sheet in a format, and what was left out to fit its pages; both are kept for the next time."""
    state = state_of(catalogue)
    request = hashlib.sha256(repr((form, chosen, paths_of(catalogue), catalogue.profile)).encode()).hexdigest()
    evidence = [evidence_state(i) for i in chosen.ids] if "evidence" in chosen.details else []
    path = cache_path("sheets", f"{request[:32]}.txt") if state is not None else None
    key = hashlib.sha256(repr((state, evidence)).encode()).hexdigest()
    first, _, text = (read_kept(path) or "").partition("\n")
    found, *left_out = first.split(", ")
    if found == key:
        return text, tuple(left_out)
    from generators.sheets import require_fit, sheet

    contents = _contents(catalogue, chosen)
    text = sheet(contents, form)
    fitted = require_fit(contents, text, form)
    if fitted is not None:
        keep(path, ", ".join([key, *fitted]) + f"\n{text}")
    return text, fitted


def _contents(catalogue: Catalogue, chosen: _Chosen) -> Contents:
    """What stands on the sheet; entries with faults are refused before anything is made."""
    require_usable(catalogue, list(chosen.ids))
    from generators.kept import kept_views, stored_views
    from generators.sheets import Layout, declared, selection

    layout = Layout(chosen.columns, chosen.paper, chosen.landscape, chosen.pages)
    views = (stored_views if "evidence" in chosen.details else kept_views)(catalogue, chosen.ids)
    if chosen.sheet is None:
        return selection(views, chosen.details, layout)
    return declared(catalogue, chosen.sheet, views, chosen.details, layout)


def _declared(catalogue: Catalogue, name: str) -> Sheet:
    """The sheet of that name. Raises NotFound."""
    sheets = catalogue.records.sheets
    if name not in sheets:
        known = f"the sheets are {', '.join(sheets)}" if sheets else "the catalogue declares none"
        raise NotFound(f"there is no sheet {name[:60]!r}{nearest(name[:60], list(sheets)) or f'; {known}'}")
    return sheets[name]


def _details(text: str) -> tuple[Detail, ...]:
    """The words of ``--with``. Raises EqkbError for one that is none."""
    known = get_args(Detail)
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in (*known, _FORMULAS):
            hint = nearest(word[:60], [*known, _FORMULAS]) or f"; choose from {', '.join((*known, _FORMULAS))}"
            raise EqkbError(f"--with: {word[:60]!r} is no detail of a sheet{hint}")
    return tuple(d for d in known if d in words)


def _write(path: str, content: bytes) -> None:
    from generators.files import write_file

    write_file(Path(path), content)
    print(f"wrote {path}", file=sys.stderr)


def _say_what_is_left_out(left_out: tuple[str, ...] | None, chosen: _Chosen) -> None:
    pages = chosen.pages
    if left_out is None:
        order = ", then ".join(giving_way(chosen.details))
        print(
            f"what gives way to fit {pages} pages is settled when the sheet is set, and said at its head: {order}",
            file=sys.stderr,
        )
    elif left_out:
        print(f"left out to fit {pages} {'page' if pages == 1 else 'pages'}: {', '.join(left_out)}", file=sys.stderr)
