"""What the search of the website knows of every entry, as a script that a page loads from disk.

All that the search in Python prepares is prepared here: words with their stems and what they are worth, keys of
symbols, names. ``site/static/search-engine.js`` only turns it into lists. The keys of an entry:

- ``id``, ``name``, ``aliases``; ``topic``, ``kind``, ``verdict`` (positions in the lists of these names)
- ``formulas``: in what a fragment may stand: the definition in LaTeX, in Unicode and as it is written, then every
  claim in LaTeX and in Unicode; ``shown``: the position of the one that a result shows
- ``names``: stems of every name, names separated by ``|``
- ``weights``: lists of a worth and the positions of the words that are worth it
- ``said``: the positions of the words of its text
- ``symbols``: keys by their likeness; ``named``: names of symbols without underscores
- ``identifiers``: numbers of references; ``functions``: framework and path
- ``features``: positions in the list of what an entry can have
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from generators.site.scripts import script_value
from generators.views import EntryView, topic_title
from kb.evidence import VERDICTS
from kb.search.card import FILLERS, Card
from kb.search.words import stem, words_of

NAME = "search-index.js"
_ACCEPTED = ("right", "convention")
_CLAIMED = ("derivative", "identity")  # kinds of entries that are about what they claim


def search_index(entries: Sequence[EntryView], features: Mapping[str, Sequence[str]] | None = None) -> str:
    """The script; ``features`` has, for a word such as ``plot``, the ids of entries that have one.

    Without them it is what can be told before any page is made.
    """
    has = features_of(entries) if features is None else features
    return f"eqkb.searchIndex={script_value(index_of(entries, has))};\n"


def features_of(entries: Sequence[EntryView]) -> dict[str, list[str]]:
    """What can be told of entries before any page is made."""
    has: dict[str, Callable[[EntryView], bool]] = {
        "plot": lambda view: bool(view.plots),
        "derivative": lambda view: bool(view.entry.differentiate),
        "variant": lambda view: bool(view.entry.variants),
        "corrected source": lambda view: any(source.finding not in _ACCEPTED for source in view.entry.sources),
    }
    return {word: [view.id for view in entries if told(view)] for word, told in has.items()}


def index_of(entries: Sequence[EntryView], features: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The same as plain data."""
    cards = [Card(view.entry) for view in entries]
    known = {word: stemmed for card in cards for word, stemmed in card.written.items()}
    said = [set(words_of(card.text)) for card in cards]
    words = [*sorted(known), *sorted(set().union(*said) - known.keys())]
    position = {word: n for n, word in enumerate(words)}
    topics = list(dict.fromkeys(view.entry.topic for view in entries))
    kinds = list(dict.fromkeys(view.entry.kind for view in entries))
    return {
        "topics": [[name, topic_title(name)] for name in topics],
        "kinds": kinds,
        "verdicts": list(VERDICTS),
        "features": list(features),
        "fillers": " ".join(sorted(FILLERS)),
        "words": " ".join(_with_stem(word) for word in words),
        "known": len(known),
        "entries": [
            {
                "topic": topics.index(view.entry.topic),
                "kind": kinds.index(view.entry.kind),
                "verdict": VERDICTS.index(view.verdict),
                "features": [n for n, having in enumerate(features.values()) if view.id in having],
                "said": sorted(position[word] for word in found),
                **_shown(view),
                **_answers(card, position),
            }
            for view, card, found in zip(entries, cards, said, strict=True)
        ],
    }


def _with_stem(word: str) -> str:
    stemmed = stem(word)
    return word if stemmed == word else f"{word}/{stemmed}"


def _shown(view: EntryView) -> dict[str, Any]:
    """What a result shows, and what a fragment of a formula is looked for in."""
    entry = view.entry
    claims = [view.read(claim.text) for claim in entry.claims if not claim.refuted]
    formulas = [view.formula.latex, view.formula.text, "\n".join(entry.define)]
    is_claimed = entry.kind in _CLAIMED and bool(claims)
    return {
        "id": view.id,
        "name": entry.name,
        "aliases": entry.aliases,
        "functions": [f"{framework} {path}" for framework, path in entry.frameworks],
        "shown": len(formulas) + 1 if is_claimed else 1,
        "formulas": formulas + [shown for claim in claims for shown in (claim.latex, claim.text)],
    }


def _answers(card: Card, position: Mapping[str, int]) -> dict[str, Any]:
    """What the entry can be found by, and what that is worth."""
    number = {stemmed: position[word] for word, stemmed in sorted(card.written.items(), reverse=True)}
    weights: dict[float, list[int]] = {}
    for stemmed, worth in card.weights.items():
        weights.setdefault(worth, []).append(number[stemmed])
    symbols: dict[str, list[str]] = {}
    for key, likeness in card.symbols.items():
        if key:
            symbols.setdefault(f"{likeness:g}", []).append(key)
    return {
        "names": "|".join(" ".join(name) for name in card.names),
        "weights": [[worth, *sorted(found)] for worth, found in sorted(weights.items(), reverse=True)],
        "symbols": {likeness: " ".join(sorted(keys)) for likeness, keys in sorted(symbols.items())},
        "named": " ".join(symbol.name.replace("_", "") for symbol in card.entry.symbols),
        "identifiers": dict(sorted(card.identifiers.items())),
    }
