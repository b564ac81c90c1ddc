"""What the check of a derivation found, kept beside the evidence until anything changes that it depends on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

from kb.cache import cache_path, keep, read_kept
from kb.derivation.check import Checked
from kb.evidence.kept import key_of
from kb.model import Entry


def kept(
    entry: Entry, entries: Mapping[str, Entry], symbol: str, points: int | None, check: Callable[[], Checked]
) -> Checked:
    """The numbers of an earlier check if there was one, else those of ``check``."""
    path = cache_path("evidence", f"{entry.id}.{symbol}.derivation.json")
    key = f"{key_of(entry, entries)}/{symbol}/{points}"
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        found = json.loads(read_kept(path) or "")
        if found["key"] == key:
            return Checked(int(found["points"]), int(found["numbers"]), float(found["difference"]))
    made = check()
    keep(path, json.dumps({"key": key, **asdict(made)}))
    return made
