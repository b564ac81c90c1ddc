"""What is kept between runs, in the user's cache directory, and what tells whether it is still true.

Nothing depends on it: what cannot be read is made again, and what cannot be written is done without.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb.model import Entry

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MOST_CHARACTERS = 20_000_000
_WORD = re.compile(r"[^\W\d]\w*")


def cache_path(*names: str) -> str | None:
    """A path in eqkb's part of the user's cache directory; None where there is no such directory."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    home = home if os.path.isabs(home) else os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "eqkb", *names) if os.path.isabs(home) else None


def read_kept(path: str | None) -> str | None:
    """The text that is kept at a path; None if there is none."""
    if path is not None:
        with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
            return stream.read(_MOST_CHARACTERS)
    return None


def keep(path: str | None, text: str) -> None:
    """Keep a text whole or not at all; nobody else may read it."""
    if path is None:
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(temporary, "x", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except (OSError, ValueError):
        with suppress(OSError):
            os.unlink(temporary)


# --- keys -----------------------------------------------------------------------------------------


@cache
def source_digest() -> str:
    """A digest of kb's own modules."""
    import hashlib

    digest = hashlib.sha256()
    for folder, folders, files in os.walk(_PACKAGE):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                digest.update(f"{os.path.relpath(os.path.join(folder, name), _PACKAGE)}\n".encode())
                with open(os.path.join(folder, name), "rb") as stream:
                    digest.update(stream.read())
    return digest.hexdigest()


class EntryKeys:
    """Digests of entries: of what each says and of all entries that its formulas can mean.

    ``own`` entries count before others of the same ids.
    """

    def __init__(self, entries: Mapping[str, Entry], *own: Entry) -> None:
        self.entries = entries
        self.own = {entry.id: entry for entry in own}
        self._own: dict[str, str] = {}
        self._mentioned: dict[str, tuple[str, ...]] = {}

    def of(self, entry_id: str) -> str:
        """The digest of one entry."""
        import hashlib

        found, waiting = {entry_id}, [entry_id]
        while waiting:
            new = [name for name in self._mentions(waiting.pop()) if name not in found]
            found.update(new)
            waiting += new
        return hashlib.sha256("".join(map(self._digest, sorted(found))).encode()).hexdigest()

    def _digest(self, entry_id: str) -> str:
        import hashlib
        from dataclasses import replace

        if entry_id not in self._own:
            # What is only said about an entry changes nothing that is found out about it.
            entry = self._entry(entry_id)
            symbols = tuple(replace(symbol, about="") for symbol in entry.symbols)
            claims = tuple(replace(claim, about="") for claim in entry.claims)
            bare = replace(entry, name="", topic="", about="", origin="", symbols=symbols, claims=claims, plot=None)
            bare = replace(bare, aliases=(), tags=(), related=(), variants=(), sources=(), notes=(), references=())
            said = repr(bare)
            self._own[entry_id] = hashlib.sha256(said.encode()).hexdigest()
        return self._own[entry_id]

    def _entry(self, entry_id: str) -> Entry:
        return self.own.get(entry_id) or self.entries[entry_id]

    def _mentions(self, entry_id: str) -> tuple[str, ...]:
        if entry_id not in self._mentioned:
            words = {word for text in _formulas(self._entry(entry_id)) for word in _WORD.findall(text)}
            self._mentioned[entry_id] = tuple(word for word in words if word in self.entries or word in self.own)
        return self._mentioned[entry_id]


def _formulas(entry: Entry) -> Iterator[str]:
    yield from entry.define
    yield from (claim.text for claim in entry.claims)
    yield from entry.kinks
    yield from entry.requires
    yield from entry.objective.subject_to if entry.objective else ()
    yield from (symbol.instance for symbol in entry.symbols if symbol.instance)
