"""Evidence in the user's cache directory, keyed by everything that could change it.

Reading it back needs neither SymPy nor NumPy. What is stale, truncated or foreign counts as not
checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

from kb.cache import EntryKeys, cache_path, keep, read_kept, source_digest
from kb.evidence.record import Evidence, from_json
from kb.model import Entry

LIBRARIES = ("mpmath", "numpy", "sympy")


def key_of(entry: Entry, entries: Mapping[str, Entry]) -> str:
    """A digest of the entry, of all entries that it calls, of kb's own source and of the libraries."""
    parts = (EntryKeys(entries, entry).of(entry.id), source_digest(), repr(library_versions()))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def read(entry: Entry, entries: Mapping[str, Entry]) -> Evidence | None:
    """What was found before, if nothing has changed since."""
    try:
        evidence = from_json(json.loads(read_kept(_path(entry.id)) or ""))
    except (ValueError, RecursionError):
        return None
    return evidence if evidence.entry == entry.id and evidence.key == key_of(entry, entries) else None


def write(evidence: Evidence) -> None:
    """Keep evidence; where the directory cannot be written, do without."""
    keep(_path(evidence.entry), json.dumps(evidence.as_json()))


def _path(entry_id: str) -> str | None:
    name = hashlib.sha256(entry_id.encode()).hexdigest()[:12]
    safe = "".join(c if c.isalnum() or c == "_" else "_" for c in entry_id)[:60]
    return cache_path("evidence", f"{safe}-{name}.json")


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
