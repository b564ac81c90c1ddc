"""The LaTeX that formulas are written in, read into a small tree. It is a closed language: what is strange is refused.

It takes what the printers write and what a catalogue and a profile may say of their signs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kb.errors import EqkbError

ALPHABETS = frozenset("mathrm mathbf mathsf mathit mathcal mathbb mathfrak boldsymbol".split())
ACCENTS = frozenset("hat bar tilde dot ddot vec check breve acute grave widehat widetilde overline underline".split())
_ARGUMENTS = dict.fromkeys(ALPHABETS | ACCENTS | {"sqrt"}, 1) | {"frac": 2}
_GRIDS = ("aligned", "cases", "matrix", "pmatrix", "bmatrix")
# In eighteenths of an em.
_SPACES = {",": 3, ":": 4, ">": 4, ";": 5, "!": -3, " ": 6, "quad": 18, "qquad": 36, "enspace": 9}
_BIG = {"bigl": 1, "bigr": 1, "Bigl": 2, "Bigr": 2}
_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\s+|.", re.DOTALL)
_WORDS = re.compile(r"(?:[A-Za-z0-9 .,:;=()+\-]|\\[_%&#,])*")


@dataclass(frozen=True, slots=True)
class Sign:
    """A character, or a control word with its backslash, that stands for itself."""

    tex: str


@dataclass(frozen=True, slots=True)
class Space:
    """A space of so many eighteenths of an em."""

    width: int


@dataclass(frozen=True, slots=True)
class Words:
    """``\\text{if }`` or the name of an operator, ``\\operatorname*{arg\\,max}``; without backslashes."""

    command: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in braces; also the whole of a formula."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """An alphabet, an accent, ``\\sqrt`` or ``\\frac``."""

    name: str
    arguments: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Scripted:
    """A base with what stands below and above it; without a base they stand at nothing."""

    base: Part | None
    below: Group | None
    above: Group | None
    primes: int = 0


@dataclass(frozen=True, slots=True)
class Fenced:
    """``\\left( ... \\right)``; a dot stands for no sign at all."""

    opening: str
    inner: Group
    closing: str


@dataclass(frozen=True, slots=True)
class Big:
    """``\\Bigl(``: a delimiter in one of the sizes, which belongs to another that may stand in another row."""

    size: int
    delimiter: str
    opens: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """An environment of rows and cells, or ``\\substack``."""

    name: str
    rows: tuple[tuple[Group, ...], ...]


Part = Sign | Space | Words | Group | Command | Scripted | Fenced | Big | Grid


def read_formula(latex: str) -> Group:
    """The tree of a formula. Raises EqkbError where it says something that no formula of ours says."""
    try:
        return _Reader(latex).whole()
    except RecursionError:
        raise EqkbError("this formula is nested too deeply; write it in several steps") from None


class _Reader:
    def __init__(self, latex: str) -> None:
        found = [m for m in _TOKEN.finditer(latex) if not m.group().isspace()]
        self.tokens = [m.group() for m in found]
        self.ends = [m.end() for m in found]
        self.source = latex
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next
        if not token:
            raise self.fault("it ends too early")
        self.at += 1
        return token

    def fault(self, why: str) -> EqkbError:
        shown = self.source if len(self.source) <= 80 else f"{self.source[:80]}..."
        return EqkbError(f"the LaTeX {shown!r} cannot be read: {why}")

    def expect(self, token: str) -> None:
        if (found := self.take()) != token:
            raise self.fault(f"{token} was expected where {found} stands")

    def whole(self) -> Group:
        found = self.group()
        if self.next:
            raise self.fault(f"{self.next} closes nothing")
        return found

    def group(self) -> Group:
        """Parts up to what ends them, which stays."""
        parts: list[Part] = []
        while self.next and self.next not in ("}", "&", r"\\", r"\right", r"\end"):
            parts.append(self.part())
        return Group(tuple(parts))

    def part(self) -> Part:
        """One atom with all of its scripts, or a space."""
        base = None if self.next in ("_", "^", "'") else self.atom()
        if isinstance(base, Space):
            return base
        below = above = None
        primes = 0
        while self.next in ("_", "^", "'"):
            sign = self.take()
            if sign == "'":
                if above is not None:
                    raise self.fault("a prime follows a superscript")
                primes += 1
            elif sign == "_" and below is None:
                below = self.argument()
            elif sign == "^" and above is None:
                above = self.argument()
            else:
                raise self.fault(f"two scripts {sign} follow each other")
        return Scripted(base, below, above, primes) if below or above or primes else base or Group(())

    def argument(self) -> Group:
        """What is in braces, else one atom."""
        if self.next == "{":
            return self.braced()
        if self.next in ("", "}", "&", "_", "^", "'", r"\\", r"\right", r"\end"):
            raise self.fault(f"an argument was expected where {self.next or 'it ends'} stands")
        return Group((self.atom(),))

    def braced(self) -> Group:
        self.expect("{")
        inner = self.group()
        self.expect("}")
        return inner

    def atom(self) -> Part:
        token = self.take()
        if token == "{":
            self.at -= 1
            return self.braced()
        if not token.startswith("\\"):
            return Sign(token)
        word = token[1:]
        if word in _SPACES:
            return Space(_SPACES[word])
        if word in ("text", "operatorname"):
            return self.words(word)
        if word == "sqrt" and self.next == "[":
            raise self.fault("a root has no degree")
        if word in _ARGUMENTS:
            return Command(word, tuple(self.argument() for _ in range(_ARGUMENTS[word])))
        if word in _BIG:
            return Big(_BIG[word], self.take(), word.endswith("l"))
        if word == "left":
            return self.fenced()
        if word == "begin":
            return self.environment()
        if word == "substack":
            self.expect("{")
            rows = self.rows()
            self.expect("}")
            return Grid(word, rows)
        return Sign(token)

    def fenced(self) -> Fenced:
        opening = self.take()
        inner = self.group()
        self.expect(r"\right")
        return Fenced(opening, inner, self.take())

    def environment(self) -> Grid:
        name = self.name()
        if name not in _GRIDS:
            raise self.fault(f"it has no environment {name}")
        rows = self.rows()
        self.expect(r"\end")
        if (other := self.name()) != name:
            raise self.fault(f"the environment {name} ends as {other}")
        return Grid(name, rows)

    def name(self) -> str:
        self.expect("{")
        letters = ""
        while (token := self.take()) != "}":
            letters += token
        return letters

    def rows(self) -> tuple[tuple[Group, ...], ...]:
        rows = [[self.group()]]
        while self.next in ("&", r"\\"):
            if self.take() == "&":
                rows[-1].append(self.group())
            else:
                rows.append([self.group()])
        return tuple(map(tuple, rows))

    def words(self, word: str) -> Words:
        """The text as it is written, blanks and all."""
        if self.next == "*" and word == "operatorname":
            word += self.take()
        self.expect("{")
        start = self.ends[self.at - 1]
        while self.next != "}":
            self.take()
        text = self.source[start : self.ends[self.at] - 1]
        self.expect("}")
        if not _WORDS.fullmatch(text):
            raise self.fault(f"the text {text!r} has signs that are not known there")
        return Words(word, text)
