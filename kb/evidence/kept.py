"""Evidence in the user's cache directory, keyed by everything that could change it.

Reading it back needs neither SymPy nor NumPy. What is stale, truncated or foreign counts as not
checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache

from kb import tree
from kb.errors import LanguageError
from kb.evidence.record import Evidence, from_json
from kb.model import Entry
from kb.parser import parse_expression, parse_statement

LIBRARIES = ("mpmath", "numpy", "sympy")
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def directory() -> str | None:
    """Where evidence is kept; None where the user has no cache directory."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    home = home if os.path.isabs(home) else os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "eqkb", "evidence") if os.path.isabs(home) else None


def key_of(entry: Entry, entries: Mapping[str, Entry]) -> str:
    """A digest of the entry, of all entries that it calls, of kb's own source and of the libraries."""
    digest = hashlib.sha256()
    for needed in _needed(entry, entries):
        digest.update(repr(replace(needed, origin="", sources=(), notes=(), references=())).encode())
    digest.update(source_digest().encode())
    digest.update(repr(library_versions()).encode())
    return digest.hexdigest()


def read(entry: Entry, entries: Mapping[str, Entry]) -> Evidence | None:
    """What was found before, if nothing has changed since."""
    path = _path(entry.id)
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            evidence = from_json(json.loads(stream.read(5_000_000)))
    except (OSError, ValueError, RecursionError):
        return None
    return evidence if evidence.entry == entry.id and evidence.key == key_of(entry, entries) else None


def write(evidence: Evidence) -> None:
    """Keep evidence; where the directory cannot be written, do without."""
    path = _path(evidence.entry)
    if path is None:
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(evidence.as_json(), stream)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.remove(temporary)


def _path(entry_id: str) -> str | None:
    folder = directory()
    name = hashlib.sha256(entry_id.encode()).hexdigest()[:12]
    safe = "".join(c if c.isalnum() or c == "_" else "_" for c in entry_id)[:60]
    return os.path.join(folder, f"{safe}-{name}.json") if folder else None


# --- what the key is made of -----------------------------------------------------------------------


def _needed(entry: Entry, entries: Mapping[str, Entry]) -> list[Entry]:
    """The entry and all entries that its formulas and claims call, sorted by id."""
    found = {entry.id: entry}
    waiting = [entry]
    while waiting:
        for name in _called(waiting.pop()):
            if name not in found and name in entries:
                found[name] = entries[name]
                waiting.append(entries[name])
    return [found[name] for name in sorted(found)]


def _called(entry: Entry) -> Iterator[str]:
    texts: Iterable[str] = (*entry.define, *(c.text for c in entry.claims), *entry.kinks, *entry.requires)
    for text in texts:
        yield from _names(text)
    for symbol in entry.symbols:
        if symbol.instance:
            yield symbol.instance.strip()
            yield from _names(symbol.instance)


def _names(text: str) -> Iterator[str]:
    for parse in (parse_statement, parse_expression):
        with suppress(LanguageError, RecursionError):
            yield from (n.function for n in tree.walk(parse(text)) if isinstance(n, (tree.Call, tree.Prime)))
            return


@cache
def source_digest() -> str:
    """A digest of kb's own modules."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(_PACKAGE):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                digest.update(f"{os.path.relpath(os.path.join(folder, name), _PACKAGE)}\n".encode())
                with open(os.path.join(folder, name), "rb") as stream:
                    digest.update(stream.read())
    return digest.hexdigest()


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    """Read off the names of the installed distributions, as importing them would take long."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for folder in sys.path:
        with suppress(OSError):
            for name in os.listdir(folder or "."):
                if name.endswith(".dist-info"):
                    library, _, version = name.removesuffix(".dist-info").partition("-")
                    if library.lower() in LIBRARIES:
                        found.setdefault(library.lower(), version)
    return tuple(sorted(found.items()))


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that evidence depends on."""
    return dict(_versions())
