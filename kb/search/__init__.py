"""Entries by words: names, symbols, framework functions, topics and text, forgiving typing errors.

Every piece of a query must be answered. It counts for what it is found in: a word of a name more
than its beginning, that more than a framework's function, then symbols, topics and tags,
references, text. Only a piece that nothing answers is taken for a typing error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, product

from kb.model import Entry
from kb.search.card import FILLERS, MISSPELT, TEXT, WHOLE, Card, Wanted
from kb.search.words import (
    camel_words,
    distance,
    errors_allowed,
    is_letter,
    is_symbolic,
    parted,
    stem,
    symbol_key,
    words_of,
)

# How code is used to calling its libraries.
_IMPORTS = {"F": "torch.nn.functional", "tf": "tensorflow", "np": "numpy", "jnp": "jax.numpy", "pytorch": "torch"}
_CODE = 2.5  # how much surer a function is meant by torch.relu or MSELoss than by a plain word


def search(entries: Iterable[Entry], words: Sequence[str]) -> list[tuple[float, Entry]]:
    """Entries that answer every word, the best first; equally good ones keep their order."""
    cards = [Card(entry) for entry in entries]
    known = _known(cards)
    pieces = _pieces(words, known)
    if not pieces:
        return []
    found = _answers(pieces, cards)
    for n, (a, b) in enumerate(pairwise(pieces)):  # a blank too many
        together = a.text + b.text
        if not found or together.lower() in known:
            joined = _answers([*pieces[:n], _Piece(together, known), *pieces[n + 2 :]], cards)
            found = joined if joined and (not found or joined[0][0] > found[0][0]) else found
    if not found:
        # A word that stands nowhere and is misspelt, or several that do not stand together.
        lost = [piece for piece in pieces if not any(map(piece.worth, cards))]
        for misspelt, wide in product((lost, pieces), (False, True)):
            if misspelt and not found:
                _forgive(misspelt, cards, known, wide)
                found = _answers(pieces, cards)
    return found


def _answers(pieces: Sequence[_Piece], cards: Sequence[Card]) -> list[tuple[float, Entry]]:
    """The entries that answer every piece, the best first, without weak answers where there are good ones."""
    whole = "".join(piece.squashed for piece in pieces)
    wanted = {word for piece in pieces for words in (piece.near or [frozenset(piece.stems)]) for word in words}
    ranked = []
    for number, card in enumerate(cards):
        row = [piece.worth(card) for piece in pieces]
        if all(row):
            score = sum(row) + (WHOLE if whole in card.squashed else 0.0)
            ranked.append((score, card.likeness(wanted), -number, min(row)))
    ranked.sort(reverse=True)
    enough = (TEXT, 2 * MISSPELT * TEXT)  # of the weakest piece: where some entries reach it the others are left out
    least = next((worth for worth in enough if any(item[-1] >= worth for item in ranked)), 0.0)
    return [(item[0], cards[-item[2]].entry) for item in ranked if item[-1] >= least]


def partly(entries: Iterable[Entry], words: Sequence[str], count: int = 3) -> list[str]:
    """The ids of entries that answer most of several words, for somebody whose search found nothing."""
    cards = [Card(entry) for entry in entries]
    pieces = _pieces(words, _known(cards))
    rows = [(card.entry.id, [piece.worth(card) for piece in pieces]) for card in cards]
    rows.sort(key=lambda row: (-sum(map(bool, row[1])), -sum(row[1])))
    return [entry_id for entry_id, row in rows if any(row)][:count]


def _known(cards: Iterable[Card]) -> dict[str, str]:
    """The words of all names, tags, functions and references as they are written, with their stems."""
    known: dict[str, str] = {}
    for card in cards:
        known.update(card.written)
    return known


def _pieces(words: Sequence[str], known: Mapping[str, str]) -> list[_Piece]:
    written = [part for word in words for part in parted(word)]
    kept = [part for part in written if part.strip(".,;").lower() not in FILLERS] or written
    return [piece for piece in [_Piece(part, known) for part in kept] if piece.words or piece.key]


class _Piece:
    """What stands between two blanks of a query, in every way in which it may be meant."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        self.text = text
        self.key, self.base, letter = symbol_key(text)
        self.symbolic = is_symbolic(text)
        self.is_word = not self.symbolic and text.isalpha() and self.base == letter and not is_letter(letter)
        self.words = words_of(text)
        if self.symbolic and (len("".join(self.words)) < 2 or (text[0] in "\\$" and len(self.words) > 1)):
            self.words = ()  # an accented letter is no word, and what TeX composes are none
        self.stems = tuple(map(stem, self.words))
        self.wanted = [Wanted(word, known) for word in self.words]
        self.squashed = "".join(self.stems)
        *path, leaf = text.strip(".").split(".")
        camel = camel_words(leaf)
        self.is_code = bool(path) or camel != self.words
        self.camel = camel if self.is_code else ()
        self.wanted_camel = [Wanted(word, known) for word in self.camel]
        modules = [part for name in path for part in _IMPORTS.get(name, name).lower().split(".")]
        self.modules, self.leaf = tuple(modules), "".join(words_of(leaf))
        self.identifier = text.lower().removeprefix("arxiv:").removeprefix("https://").removeprefix("doi.org/")
        self.near: list[frozenset[str]] = []  # of a misspelt piece, for each word those that it may be

    def worth(self, card: Card) -> float:
        """How well an entry answers; 0 where it does not."""
        if self.near:
            found = [max([card.plain(other) for other in others], default=0.0) for others in self.near]
            return MISSPELT * sum(found) if all(found) else 0.0
        if self.is_word:
            best = card.named(self.key)
        elif self.modules and len(self.leaf) > 1:  # F.softmax is no element of F
            best = 0.0
        else:
            best = card.symbol(self.key, self.base, sure=self.symbolic)
        if self.is_code:
            function = card.function(self.modules, self.leaf)
            best = max(best, function * _CODE * len(self.camel))
            if len(self.camel) > 1 or not self.modules:  # the one word of torch.relu means that function
                best = max(best, _all(card, self.wanted_camel))
        elif self.leaf:
            best = max(best, card.function((), self.leaf) * len(self.words))
        if self.identifier in card.identifiers:
            return WHOLE * card.identifiers[self.identifier]
        return max(best, _all(card, self.wanted), card.run(self.squashed) * len(self.words))


def _all(card: Card, words: Sequence[Wanted]) -> float:
    """All words together; nothing where one is missing."""
    total = 0.0
    for word in words:
        found = card.word(word)
        if not found:
            return 0.0
        total += found
    return total


def _forgive(pieces: Sequence[_Piece], cards: Sequence[Card], known: Mapping[str, str], wide: bool) -> None:
    """For every piece the words of the catalogue that are nearest to it.

    Those of its text count where there are no others, or where the search is ``wide``.
    """
    names = {name: name for card in cards for name in card.squashed} | dict(known)
    said: dict[str, str] = {}
    for piece in pieces:
        words = [word for word in piece.camel or piece.words if word not in FILLERS]
        piece.near = [_nearest(word, names) for word in words]
        if wide or not all(piece.near):
            said = said or names | {word: word for card in cards for word in words_of(card.text)}
            piece.near = [
                near if near and not wide else _nearest(word, said)
                for near, word in zip(piece.near, words, strict=True)
            ]


def _nearest(word: str, known: Mapping[str, str]) -> frozenset[str]:
    """Of the known words with the fewest errors between them and this one what they are kept as."""
    limit = errors_allowed(word)
    letters = set(word)
    found: list[tuple[int, str]] = []
    for other, kept in known.items():
        if abs(len(other) - len(word)) <= limit and len(letters.symmetric_difference(other)) <= 2 * limit:
            errors = distance(word, other, limit)
            if errors <= limit:
                found.append((errors, kept))
                limit = errors
    return frozenset(kept for errors, kept in found if errors == limit)
