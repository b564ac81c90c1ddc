"""Words and symbols in the one form in which a search compares them.

``normalise`` and ``normalization``, ``cross-entropy`` and ``cross_entropy``, ``ŷ``, ``\\hat{y}``
and ``yhat``: what a person would call the same is the same here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_WORD = re.compile(r"[^\W_]+")
# A capital that begins a word inside a name: BCE|Loss, Max|Pool2d.
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
_ACCENTS = {"\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0303": "tilde", "\u0307": "dot"}
_TEX_ACCENTS = {"hat": "hat", "widehat": "hat", "bar": "bar", "overline": "bar", "tilde": "tilde"}
_TEX_ACCENTS |= {"widetilde": "tilde", "dot": "dot"}
_TEX_STYLES = re.compile(r"math[a-z]+|boldsymbol|bm|text[a-z]*|operatorname|left|right")
_TEX_ACCENTED = re.compile(
    rf"\\({'|'.join(_TEX_ACCENTS)})" + r"\s*(?:\{\s*(\\[A-Za-z]+|[^\\{}])\s*\}|(\\[A-Za-z]+|\w))"
)
_SHORT = {"eps": "epsilon", "lam": "lambda", "lamda": "lambda"}
_MARKS = ("hat", "bar", "tilde", "dot")
_PLURALS = (("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ies", "y"), ("ss", "ss"), ("s", ""))
_BRITISH = (("our", "or"), ("tre", "ter"), ("ogue", "og"), ("ional", "ion"))
_TAILS = ("ational", "ation", "ing", "ed", "er", "e")  # of verbs on -ise or -ize
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon phi chi psi omega"
)
_GREEK_NAMES = {chr(0x3B1 + n): name.removeprefix("var") for n, name in enumerate(_GREEK.split())}
_GREEK_NAMES |= {letter.upper(): name.capitalize() for letter, name in _GREEK_NAMES.items() if letter != "ς"}
_LETTERS = frozenset(_GREEK_NAMES.values())
_GREEK_NAMES |= {"∇": "nabla"}
_PLAIN = str.maketrans(_GREEK_NAMES | dict.fromkeys(map(chr, range(0x300, 0x370)), ""))


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, in small letters and without accents; '-', '_' and blanks separate them."""
    return tuple(_WORD.findall(fold(text)))


def camel_words(text: str) -> tuple[str, ...]:
    """The same, where a capital inside a word begins a new one."""
    return words_of(_CAMEL.sub(" ", text))


def fold(text: str) -> str:
    """Small letters, Greek ones by name, no accents."""
    text = text.replace("\\var", "\\")  # TeX's other shapes of letters, as in \varepsilon
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", text).translate(_PLAIN).casefold()


def parted(text: str) -> list[str]:
    r"""What blanks separate; those of ``\hat y`` do not."""
    if "\\" in text:
        text = _TEX_ACCENTED.sub(lambda m: f"\\{m[1]}{{{m[2] or m[3]}}}", text)
    return text.split()


@cache
def stem(word: str) -> str:
    """What the forms of a word have in common: number, -ise or -ize, -our or -or, -ing and -ed.

    Both sides of a comparison come through here, so that it need not be a word itself.
    """
    if len(word) < 4 or not word.isalpha():
        return word
    if word[-2:] not in ("us", "is"):
        word = _replaced(word, _PLURALS)
    for tail in _TAILS:
        verb = word.removesuffix(tail)
        if verb != word and len(verb) > 4 and verb[-2:] in ("is", "iz", "ys", "yz"):
            return verb[:-1] + "z"
    for tail in ("ing", "ed"):
        verb = word.removesuffix(tail)
        if verb != word and len(verb) > 3:
            word = verb[:-1] if verb[-1] == verb[-2] != "s" else verb
            break
    word = _replaced(word, _BRITISH)
    return word[:-1] if len(word) > 4 and word[-1] == "e" else word


def _replaced(word: str, endings: tuple[tuple[str, str], ...]) -> str:
    """The word with the first ending that it has replaced, where enough stands before it."""
    for ending, instead in endings:
        if word.endswith(ending):
            return word[: -len(ending)] + instead if len(word) > len(ending) + 1 else word
    return word


def root(stemmed: str) -> str:
    """What every word of that stem begins with: its last letters may differ."""
    return stemmed[:-2] if len(stemmed) > 4 else stemmed[:3]


# --- symbols -------------------------------------------------------------------------------------


def is_symbolic(text: str) -> bool:
    """Whether the text can only mean a symbol: TeX, a Greek letter, an accent on one letter, a small digit."""
    if text.startswith(("\\", "$")):
        return True
    if text.isascii():
        return False
    bare = [c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)]
    return len(bare) == 1 or any(c in _GREEK_NAMES or "SUBSCRIPT" in unicodedata.name(c, "") for c in bare)


@cache
def symbol_key(text: str) -> tuple[str, str, str]:
    """How a symbol is compared: whole, without subscripts, and its letter alone.

    Of ``\\hat{\\beta}_1`` that is betahat1, betahat and beta.
    """
    text = _TEX_ACCENTED.sub(lambda m: f"{m[2] or m[3]}_{_TEX_ACCENTS[m[1]]}_", text.replace("$", ""))
    text = re.sub(r"\\([A-Za-z]+)", lambda m: "" if _TEX_STYLES.fullmatch(m[1]) else f"_{m[1]}_", text)
    if not text.isascii():
        letters = unicodedata.normalize("NFKD", text.replace("ℓ", "ell"))
        text = "".join(f"_{_ACCENTS[c]}_" if c in _ACCENTS else _GREEK_NAMES.get(c, c) for c in letters)
    plain = re.sub(r"(?<=[^\W\d_])(?=\d)", "_", text)
    parts = [_letter(part) for part in _WORD.findall(plain)]
    if not parts:
        return "", "", ""
    first = re.fullmatch(r"(.+?)(hat|bar|tilde)", parts[0])
    if first and is_letter(_letter(first[1])):
        parts[:1] = [_letter(first[1]), first[2]]
    accents = [part for part in parts[1:] if part in _MARKS]
    base = parts[0] + "".join(accents)
    return base + "".join(part for part in parts[1:] if part not in _MARKS), base, parts[0]


def is_letter(word: str) -> bool:
    """Whether a symbol of that name is one letter, Latin or Greek."""
    return len(word) == 1 or word in _LETTERS


def _letter(word: str) -> str:
    """Variants of a Greek letter are that letter."""
    plain = word.removeprefix("var")
    return _SHORT.get(word) or (plain if plain in _LETTERS else word)


# --- typing errors -------------------------------------------------------------------------------


def errors_allowed(word: str) -> int:
    """How many letters may be wrong in a word, missing, superfluous, or swapped with the next."""
    return 0 if len(word) < 3 or not word.isalpha() else 1 if len(word) < 6 else 2


def distance(word: str, other: str, limit: int) -> int:
    """How many insertions, deletions, changes and swaps of neighbours lead from one to the other.

    Anything above ``limit`` is ``limit + 1``.
    """
    if abs(len(word) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        older, before, row = before, row, [i]
        for j, candidate in enumerate(other, 1):
            best = before[j - 1] if letter == candidate else 1 + min(before[j - 1], before[j], row[j - 1])
            if i > 1 < j and letter == other[j - 2] and word[i - 2] == candidate:
                best = min(best, older[j - 2] + 1)
            row.append(best)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)
