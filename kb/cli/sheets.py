"""cheatsheet: entries on a few pages."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from kb.catalogue import Catalogue
from kb.cli.read import catalogue_of, require_usable, selected
from kb.cli.terminal import print_json
from kb.errors import EqkbError, NotFound, nearest
from kb.model import Detail, Sheet

if TYPE_CHECKING:
    from generators.sheets import Contents

_FORMULAS = "formulas"  # every sheet has them
_OF_PAGES = ("columns", "paper", "landscape", "pages")


def cheatsheet_command(options: argparse.Namespace) -> int:
    """``eqkb cheatsheet``."""
    _require_sense(options)
    catalogue = catalogue_of(options)
    contents = _contents(catalogue, options)
    from generators.sheets import require_fit, sheet

    if options.format == "pdf":
        from generators.sheets.setting import pdf

        made = pdf(contents)
        _write(options.output, made.content)
        _say_what_is_left_out(made.left_out, contents)
        return 0
    text = sheet(contents, options.format)
    left_out = require_fit(contents, text, options.format)
    if options.output is not None:
        _write(options.output, text.encode())
    elif options.json:
        ids = [view.id for view in contents.entries]
        print_json({"ids": ids, "format": options.format, "details": list(contents.details), "text": text})
    else:
        print(text, end="")
    _say_what_is_left_out(left_out, contents)
    return 0


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


def _contents(catalogue: Catalogue, options: argparse.Namespace) -> Contents:
    """What stands on the sheet; entries with faults are refused before anything is made."""
    from generators.kept import kept_views, stored_views
    from generators.sheets import Layout, declared, ids_of, layout_of, selection

    sheet = _declared(catalogue, options.sheet) if options.sheet is not None else None
    ids = selected(catalogue, options) if sheet is None else ids_of(catalogue, sheet)
    require_usable(catalogue, ids)
    own = Layout() if sheet is None else layout_of(sheet)
    layout = own._replace(**{n: getattr(options, n) for n in _OF_PAGES if getattr(options, n) is not None})
    details = _details(options.details) if options.details is not None else None
    shown = details if sheet is None or details is not None else sheet.details
    views = (stored_views if shown is not None and "evidence" in shown else kept_views)(catalogue, ids)
    if sheet is not None:
        return declared(catalogue, sheet, views, details, layout)
    return selection(views, layout=layout) if details is None else selection(views, details, layout)


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


def _say_what_is_left_out(left_out: tuple[str, ...] | None, contents: Contents) -> None:
    pages = contents.layout.pages
    if left_out is None:
        order = ", then ".join(contents.droppable)
        print(
            f"what gives way to fit {pages} pages is settled when the sheet is set, and said at its head: {order}",
            file=sys.stderr,
        )
    elif left_out:
        print(f"left out to fit {pages} {'page' if pages == 1 else 'pages'}: {', '.join(left_out)}", file=sys.stderr)
