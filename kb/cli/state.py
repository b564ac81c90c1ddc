"""What the output of a command depends on, in few bytes: files, code, libraries and evidence.

It is found out without loading printers or calculus, so that output that was kept can be given out at once.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec

from kb.cache import cache_path
from kb.catalogue import Catalogue

_MOST_BYTES = 10_000_000  # of a catalogue
_CODE = (".py", ".j2")


def state_of(catalogue: Catalogue) -> str | None:
    """A digest of the catalogue's files and of the code; None where a file cannot be read."""
    key = hashlib.sha256()
    try:
        for path in paths_of(catalogue):
            with open(path, "rb") as stream:
                key.update(hashlib.sha256(stream.read(_MOST_BYTES)).digest())
        for line in _code():
            key.update(line.encode())
    except (OSError, ValueError):
        return None
    return key.hexdigest()


def paths_of(catalogue: Catalogue) -> list[str]:
    """The files of a catalogue."""
    return [os.path.realpath(f.path) for f in catalogue.records.files]


def evidence_state(entry_id: str) -> str:
    """What changes whenever other evidence is stored for an entry; empty where there is none."""
    folder = cache_path("evidence")
    digest = hashlib.sha256()
    if folder is None:
        return ""
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            if name.startswith(f"{entry_id}-"):
                with open(os.path.join(folder, name), "rb") as stream:
                    digest.update(stream.read(5_000_000))
                return digest.hexdigest()
    return ""


def _code() -> Iterator[str]:
    """Every module and template with its size and the time of its last change, and where libraries are installed."""
    yield sys.version
    for folder in sys.path:
        with suppress(OSError):
            yield f"{folder} {os.stat(folder or '.').st_mtime_ns if folder.endswith('-packages') else ''}\n"
    for package in ("kb", "generators"):
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield from _files(place)


def _files(package: str) -> Iterator[str]:
    for folder, folders, files in os.walk(package):
        folders.sort()
        for name in sorted(files):
            if name.endswith(_CODE):
                status = os.stat(os.path.join(folder, name))
                yield f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n"
