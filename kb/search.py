"""Entries by words, forgiving typing errors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import cache

from kb.model import Entry

# What a word is worth where it is found.
_ID, _NAME, _ALIAS, _TAG, _FRAMEWORK, _SYMBOL, _TEXT = 10.0, 8.0, 8.0, 4.0, 4.0, 3.0, 1.0
_CLOSE = 0.75
_TYPO = 0.6  # a near miss counts less than a hit


def search(entries: Iterable[Entry], words: Sequence[str]) -> list[tuple[float, Entry]]:
    """Entries that answer every word, the best first; equally good ones keep their order."""
    wanted = [part for word in words for part in _split(word)]
    found = [(score, entry) for entry in entries if (score := _score(entry, wanted))]
    return sorted(found, key=lambda pair: -pair[0])


def _score(entry: Entry, wanted: Sequence[str]) -> float:
    fields = list(_fields(entry))
    total = 0.0
    for word in wanted:
        best = max((worth * _match(word, text) for worth, text in fields), default=0.0)
        if not best:
            return 0.0
        total += best
    return total


def _fields(entry: Entry) -> Iterable[tuple[float, str]]:
    yield _ID, entry.id
    yield _NAME, entry.name
    for alias in entry.aliases:
        yield _ALIAS, alias
    yield _TAG, entry.topic
    for tag in entry.tags:
        yield _TAG, tag
    for framework, path in entry.frameworks:
        yield _FRAMEWORK, f"{framework} {path}"
    for symbol in entry.symbols:
        yield _SYMBOL, symbol.name
        yield _TEXT, symbol.about
    for text in (entry.about, *entry.notes, *(r.title for r in entry.references)):
        yield _TEXT, text


def _match(word: str, text: str) -> float:
    """1 for a whole word, less for a part of one or a near miss, 0 for nothing."""
    parts = _split(text)
    if word in parts:
        return 1.0
    if len(word) > 2 and any(p.startswith(word) for p in parts):
        return 0.9
    if len(word) > 3 and word in text.lower():
        return 0.8
    if len(word) < 4:
        return 0.0
    near = max((_likeness(word, p) for p in parts if abs(len(p) - len(word)) <= 2), default=0.0)
    return near * _TYPO if near >= _CLOSE else 0.0


@cache
def _split(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", text.lower()))


@cache
def _likeness(word: str, other: str) -> float:
    matcher = difflib.SequenceMatcher(None, word, other)
    return matcher.ratio() if matcher.quick_ratio() >= _CLOSE else 0.0
