"""check, validate, export and build: commands that work through many entries."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from kb.catalogue import check_files, require_valid
from kb.cli.read import catalogue_of, require_usable, selected
from kb.cli.terminal import paint, print_json
from kb.errors import EqkbError, Fault

_MOST_PROCESSES = 4


def validate_command(options: argparse.Namespace) -> int:
    """``eqkb validate``."""
    files = [*options.catalogue, *([options.file] if options.file is not None else [])]
    records, faults = check_files(files)
    if options.json:
        print_json({"files": files, "valid": not faults, "faults": [_fault(f) for f in faults]})
        return 2 if faults else 0
    for fault in faults:
        print(fault, file=sys.stderr)
    if len(faults) > 1:
        print(f"{len(faults)} faults", file=sys.stderr)
    if faults:
        return 2
    count = len(records.selected) if records is not None else 0
    print(f"{count} {'entry is' if count == 1 else 'entries are'} well formed")
    return 0


def _fault(fault: Fault) -> dict[str, Any]:
    at = fault.location
    return {
        "file": at.file if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "path": at.path if at else fault.field,
        "message": fault.message,
    }


def check_command(options: argparse.Namespace) -> int:
    """``eqkb check``."""
    catalogue = catalogue_of(options)
    ids = [catalogue.entry(i).id for i in options.ids] or list(catalogue)
    from generators.evidence import gather_anew

    results, verdicts = [], []
    for entry_id, evidence in zip(ids, gather_anew(catalogue, ids, processes()), strict=True):
        verdicts.append(evidence.verdict)
        if options.json:
            results.append(evidence.as_json())
        else:
            _print_evidence(entry_id, evidence, detailed=bool(options.ids))
    failed = sum(v != "verified" for v in verdicts)
    if options.json:
        print_json(results)
    elif len(ids) > 1:
        print(f"{len(ids) - failed} of {len(ids)} verified")
    return 1 if failed else 0


def _print_evidence(entry_id: str, evidence: Any, detailed: bool) -> None:
    if detailed or evidence.verdict != "verified":
        print(evidence.text())
        return
    print(f"{entry_id}: {paint(evidence.summary(), 'green')}", flush=True)


def export_command(options: argparse.Namespace) -> int:
    """``eqkb export``."""
    form = options.format or "json"
    if options.json and form != "json":
        raise EqkbError("--json is --format json; leave out --json, or --format")
    if form == "schema" and (options.ids or options.topic):
        raise EqkbError("the schema is that of every JSON export; leave out the ids and topics")
    if form == "apkg" and options.output is None:
        raise EqkbError("an Anki deck is no text; say where to write it with -o PATH")
    content = _exported(options, form)
    if options.output is None:
        _print_as_it_is(content)
        return 0
    from generators.files import write_file

    write_file(Path(options.output), content)
    print(f"wrote {options.output}", file=sys.stderr)
    return 0


def _exported(options: argparse.Namespace, form: str) -> bytes:
    """The document in one of the formats."""
    from generators import export, kept

    if form == "schema":
        return export.schema().encode()
    if form == "apkg":
        from generators.deck import require_genanki

        require_genanki()
    catalogue = catalogue_of(options)
    ids = selected(catalogue, options)
    if form == "bibtex":
        from generators.bibtex import bibtex

        return bibtex(catalogue, ids).encode()
    require_usable(catalogue, ids)
    if form == "csv":
        from generators.symbols_csv import symbols_csv

        return symbols_csv(kept.kept_views(catalogue, ids)).encode()
    if form == "apkg":
        from generators.deck import deck

        return deck(kept.stored_views(catalogue, ids))
    return export.export_stored(catalogue, ids).encode()


def _print_as_it_is(content: bytes) -> None:
    """Text whose line ends are part of its format."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(newline="")
    print(content.decode(), end="")


def build_command(options: argparse.Namespace) -> int:
    """``eqkb build``."""
    catalogue = catalogue_of(options)
    require_valid(catalogue)
    import gc

    from generators.build import build

    gc.set_threshold(100_000, 20, 100)  # what a build makes it keeps to the end
    build(catalogue, Path(options.output), jobs=processes(), pdf=options.pdf)
    return 0


def processes() -> int:
    """How many processes to use at most."""
    return min(os.cpu_count() or 1, _MOST_PROCESSES)
