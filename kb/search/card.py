"""What an entry can be found by, and what each kind of answer is worth."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from kb.model import Entry, Reference
from kb.search.words import fold, root, stem, symbol_key, words_of

WHOLE, TEXT, INSIDE = 100.0, 1.0, 0.5
_SURE, _NAME, _BEGINNING, _FUNCTION, _SYMBOL, _TAG, _REFERENCE = 15.0, 10.0, 7.0, 6.0, 5.0, 4.0, 3.0
MISSPELT = 0.09  # even in a name less than a hit in the text
_PART = 0.9  # of a worth, for the beginning of a word
FILLERS = frozenset(("a", "al", "an", "and", "by", "et", "for", "from", "in", "of", "on", "or", "the", "to", "with"))
_NAMES = re.compile(r"[^\W\d]\w*")
# What classes of a library add to the name of the function that they hold.
_CLASS = re.compile(r"(?:loss|layer|cell|[1-3]d)+")


class Wanted:
    """A word of a query, and the stems of the known words that begin with it."""

    def __init__(self, word: str, known: Mapping[str, str]) -> None:
        self.word = word
        self.stem = stem(word)
        self.begins: frozenset[str] = frozenset()
        if len(word) > 1:
            self.begins = frozenset(
                [kept for other, kept in known.items() if other.startswith(word) or kept.startswith(self.stem)]
            )


class Card:
    """An entry as a search sees it; what few searches need is made when one does."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        names = list(map(words_of, (entry.id, entry.name, *entry.aliases)))
        self.names = [tuple(map(stem, words)) for words in names]
        self.stems = {word for name in self.names for word in name}
        self.squashed = {"".join(name) for name in self.names}
        for name in self.names:
            if not FILLERS.isdisjoint(name):
                self.squashed.add("".join([word for word in name if word not in FILLERS]))
        # Every function as its modules, with the framework before them, and its own name.
        self.functions: list[tuple[list[str], str]] = []
        self.written: dict[str, str] = {}  # every word that counts, as it stands there, with its stem
        self.weights: dict[str, float] = {}  # what a stem is worth
        # What the paper has its name from comes before what only cites it.
        self.cited = {r: 1.0 if self._is_in(r.title) else 0.9 for r in entry.references}
        for r, share in sorted(self.cited.items(), key=lambda item: item[1]):
            words = words_of("\n".join((r.title, r.venue, *r.authors, *_years(r))))
            self._add(_REFERENCE * share, [word for word in words if len(word) > 1])
        self._add(_TAG, words_of("\n".join((entry.kind, entry.topic, *entry.tags))))
        for framework, path in entry.frameworks:
            *modules, leaf = path.split(".")
            words = words_of(leaf)
            self.functions.append(([framework.lower(), *map(str.lower, modules)], "".join(words)))
            self._add(_FUNCTION, (framework.lower(), *words))
        for words in names:
            self._add(_NAME, words)

    def _add(self, weight: float, words: Iterable[str]) -> None:
        for word in words:
            self.written[word] = stemmed = stem(word)
            self.weights[stemmed] = weight

    def _is_in(self, title: str) -> bool:
        """Whether a title has one of the names."""
        words = set(map(stem, words_of(title)))
        return any(words.issuperset(name) for name in self.names)

    @cached_property
    def identifiers(self) -> dict[str, float]:
        """Of the references: numbers by which others cite them, and what one is worth."""
        return {number.lower(): share for r, share in self.cited.items() for number in (r.arxiv, r.doi) if number}

    @cached_property
    def symbols(self) -> dict[str, float]:
        """The symbols and the names of steps, with and without their subscripts, and those of sizes."""
        entry = self.entry
        written = [name for s in entry.symbols for name in (s.name, s.glyph) if name]
        written += [found[0] for line in entry.define if (found := re.match(r"\w+", line))]
        keys = list(map(symbol_key, written))
        sizes = {symbol_key(name)[0]: 0.6 for s in entry.symbols for size in s.shape for name in _NAMES.findall(size)}
        letters = {letter: 0.6 for _, _, letter in keys}
        return sizes | letters | {base: 0.8 for _, base, _ in keys} | {key: 1.0 for key, _, _ in keys}

    @cached_property
    def text(self) -> str:
        """What is said about the entry, with small letters and no underscores."""
        entry = self.entry
        said = [entry.about, *entry.notes, *(s.about for s in entry.symbols)]
        said += [f"{claim.name} {claim.about}" for claim in entry.claims]
        return fold("\n".join(said).replace("_", " "))

    def likeness(self, wanted: Collection[str]) -> float:
        """How much of one of the names is wanted: 1 where it is nothing but these words."""
        return max([sum(word in wanted for word in name) / len(name) for name in self.names])

    def plain(self, word: str) -> float:
        """What a stem, or a whole name without blanks, is worth here."""
        if word in self.squashed:
            return _NAME
        return self.weights.get(word, 0.0) or TEXT * (re.search(rf"\b{re.escape(word)}\b", self.text) is not None)

    def word(self, wanted: Wanted) -> float:
        """What a word is worth: the whole word, its beginning, or a part of a name."""
        best = self.weights.get(wanted.stem, 0.0)
        if best < _BEGINNING and not wanted.begins.isdisjoint(self.stems):
            return _BEGINNING
        if best or len(wanted.word) < 3:
            return best
        if not wanted.begins.isdisjoint(self.weights):
            return max([self.weights.get(word, 0.0) for word in wanted.begins]) * _PART
        return self._in_text(wanted.stem, wanted.word)

    def _in_text(self, stemmed: str, word: str) -> float:
        begun = 0.0
        beginning = root(stemmed)
        if beginning in self.text and word not in FILLERS:
            for found in re.findall(rf"\b{re.escape(beginning)}\w*", self.text):
                if found == word or stem(found) == stemmed:
                    return TEXT
                if len(word) > 3 and found.startswith(word):
                    begun = TEXT * _PART
        if begun or len(word) < 4:
            return begun
        return INSIDE if any(word in name for name in self.squashed) else 0.0

    def run(self, squashed: str) -> float:
        """What it is worth that words of a name, written as one, are or begin like this."""
        best = 0.0
        if len(squashed) < 3 or not any(squashed in name for name in self.squashed):
            return 0.0
        for name in self.names:
            for start in range(len(name) - 1):
                rest = "".join(name[start:])
                if rest.startswith(squashed):
                    ends = {len("".join(name[start:end])) for end in range(start + 1, len(name) + 1)}
                    best = max(best, _NAME if len(squashed) in ends else _BEGINNING)
        return best

    def named(self, word: str) -> float:
        """What a symbol is worth whose name is a whole word, such as ``mask``."""
        return _SYMBOL if any(symbol.name.replace("_", "") == word for symbol in self.entry.symbols) else 0.0

    def symbol(self, key: str, base: str, sure: bool) -> float:
        """What a symbol is worth; ``sure`` if nothing else can be meant."""
        likeness = self.symbols.get(key, 0.0) or (self.symbols.get(base, 0.0) * 0.6 if key != base else 0.0)
        return likeness * (_SURE if sure else _SYMBOL)

    def function(self, modules: Sequence[str], leaf: str) -> float:
        """What a function of a framework is worth, with some of the modules that it is in."""
        best = 0.0
        for own_modules, own in self.functions:
            if leaf == own:
                likeness = 1.0
            elif (len(leaf) > 2 and own.startswith(leaf)) or (len(own) > 3 and _is_class_of(leaf, own)):
                likeness = _PART
            else:
                continue
            known = iter(own_modules)
            best = max(best, likeness * (_FUNCTION if all(module in known for module in modules) else _FUNCTION / 4))
        return best or (_FUNCTION / 2 if modules and leaf in self.squashed else 0.0)


def _is_class_of(leaf: str, function: str) -> bool:
    """Whether a name is a function's with what a class adds: BatchNorm2d, KLDivLoss."""
    return leaf.startswith(function) and bool(_CLASS.fullmatch(leaf, len(function)))


def _years(reference: Reference) -> list[str]:
    """When it appeared, and when it was first to be read."""
    years = [str(reference.year)] if reference.year is not None else []
    if reference.arxiv and (number := re.match(r"(\d\d)\d\d\.", reference.arxiv)):
        years.append(f"20{number[1]}")
    return years
