"""What the check of a derivation found, kept beside the evidence until anything changes that it depends on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

from kb.derivation.check import Checked
from kb.evidence.kept import directory, key_of
from kb.model import Entry


def kept(
    entry: Entry, entries: Mapping[str, Entry], symbol: str, points: int | None, check: Callable[[], Checked]
) -> Checked:
    """The numbers of an earlier check if there was one, else those of ``check``."""
    folder = directory()
    if folder is None:
        return check()
    key = f"{key_of(entry, entries)}/{symbol}/{points}"
    path = os.path.join(folder, f"{entry.id}.{symbol}.derivation.json")
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        with open(path, encoding="utf-8") as stream:
            found = json.loads(stream.read(10_000))
        if found["key"] == key:
            return Checked(int(found["points"]), int(found["numbers"]), float(found["difference"]))
    made = check()
    _write(path, {"key": key, **asdict(made)})
    return made


def _write(path: str, content: Mapping[str, object]) -> None:
    """Where the directory cannot be written, do without."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.remove(temporary)
