"""Progress of long work, on stderr and only where somebody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_PATIENCE = 1.0  # seconds of silence before anything is said
_PAUSE = 0.1


def progress(items: Iterable[T], what: str, total: int = 0) -> Iterator[T]:
    """The items, one by one; after a second a line on a terminal says how far it is."""
    items = list(items)
    total = total or len(items)
    watched = sys.stderr.isatty()
    begun = shown = time.monotonic()
    written = 0
    try:
        for number, item in enumerate(items, 1):
            now = time.monotonic()
            if watched and now - begun > _PATIENCE and now - shown > _PAUSE:
                line = f"{what} {number}/{total}: {item}"[:79]
                sys.stderr.write(f"\r{line:<{written}}")
                sys.stderr.flush()
                shown, written = now, len(line)
            yield item
    finally:
        if written:
            sys.stderr.write("\r" + " " * written + "\r")
            sys.stderr.flush()
