"""What a symbol means as the end of a sentence: ``is the learning rate``, ``are the targets``."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
# With them a meaning is complete, or more than a name.
_COMPLETE = frozenset(
    """
    a an the each every any some no one two three all both another its their this that these those
    how what when where whether which who why
    """.split()
)
_VERBS = frozenset(
    """
    adds bounds chooses controls decides determines gives has holds keeps makes picks prevents says selects sets tells
    """.split()
)
# What follows the noun that says what a symbol is.
_AFTER_NOUN = frozenset(
    """
    about above after along among and-or as at before below between but by for from given in into of on or over per
    so than that through to under until which who whose with within without where when
    """.split()
)
_SINGULAR = re.compile(r"(?:ss|us|is|ias|series|canvas|gas|lens)$")


def predicate(meaning: str) -> str:
    """The meaning, which names the thing without an article, with a verb and an article in front."""
    words = _WORD.findall(meaning)
    match = _WORD.match(meaning)
    if match is None:
        return f"is {meaning}"
    first = match.group().lower()
    if first in _VERBS and len(words) > 1:
        return meaning
    if first in _COMPLETE:
        return f"is {meaning}"
    return f"{'are' if _is_plural(meaning) else 'is'} the {meaning}"


def _is_plural(meaning: str) -> bool:
    """Whether the noun is one of several things: the last word in front of what describes it."""
    noun: list[str] = []
    for piece in re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*|[^\sA-Za-z]", meaning):
        if noun and (piece.lower() in _AFTER_NOUN or not piece[0].isalpha()):
            break
        noun.append(piece.lower())
    while len(noun) > 1 and noun[-1].endswith("ed"):
        noun.pop()
    return "and" in noun[1:-1] or (noun[-1].endswith("s") and not _SINGULAR.search(noun[-1]))
