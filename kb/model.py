"""The records of the catalogue as frozen values, free of any file, parser or algebra.

``schema.py`` checks a YAML document and builds these; a cache restores them without it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["definition", "update", "identity", "derivative", "objective"]
SymbolKind = Literal["real", "integer", "label", "function", "law", "reducer"]
Role = Literal["input", "parameter", "state", "hyperparameter", "output", "step"]
Finding = Literal["right", "convention", "misnamed", "incomplete", "garbled", "missing", "error"]
Detail = Literal["derivatives", "backward", "symbols", "references", "evidence"]
DETAILS: tuple[Detail, ...] = ("derivatives", "symbols")  # of a sheet that does not say


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol that an entry declares.

    ``shape`` holds one size expression per axis (``"n"``, ``"h*d_v"``, ``"(n - K)//s + 1"``).
    A ``label`` selects along the dimension ``classes``. ``function``, ``law`` and ``reducer`` are
    abstract; ``instance`` makes them concrete: the name of a function, an entry or a reducer, or
    an expression in ``arguments``.
    """

    name: str
    shape: tuple[str, ...] = ()
    kind: SymbolKind = "real"
    domain: str = "real"
    role: Role = "input"
    default: str | None = None
    outside: str | None = None
    classes: str | None = None
    arguments: tuple[str, ...] = ()
    instance: str | None = None
    glyph: str | None = None
    about: str = ""

    @property
    def is_argument(self) -> bool:
        """Whether a call of the entry passes this symbol."""
        return self.role not in ("output", "step") and self.kind in ("real", "integer", "label")

    @property
    def is_differentiable(self) -> bool:
        """Whether derivatives with respect to this symbol make sense: every real argument."""
        return self.is_argument and self.kind == "real"


@dataclass(frozen=True, slots=True)
class NamedClaim:
    """A claim about the entry, with the name under which it is reported."""

    name: str
    text: str
    about: str = ""
    refuted: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an equation comes from."""

    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    venue: str = ""
    doi: str | None = None
    arxiv: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class SourceItem:
    """An item of a document that an entry covers, ``"document/key"``, and how right the document is there.

    ``claim`` names the refuted claim of the entry that states what the document prints; ``use`` is
    what the document says that the equation is for.
    """

    item: str
    finding: Finding = "right"
    note: str = ""
    claim: str | None = None
    use: str = ""

    @property
    def document(self) -> str:
        """The key of the document."""
        return self.item.partition("/")[0]

    @property
    def key(self) -> str:
        """The key of the item in its document."""
        return self.item.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose items entries cover: the key and the title of each, in its order."""

    key: str
    title: str
    items: tuple[tuple[str, str], ...] = ()
    date: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class SheetSection:
    """A part of a cheat sheet: entries by id, then all entries of some topics."""

    title: str
    entries: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A cheat sheet that a catalogue declares: what stands on it, in how much detail and in which form.

    ``pages`` is the number of pages that it may fill, None for as many as it takes.
    """

    key: str
    title: str
    about: str = ""
    sections: tuple[SheetSection, ...] = ()
    details: tuple[Detail, ...] = DETAILS
    columns: int | None = None
    landscape: bool = False
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """An entry that states the same by another convention: what it does differently.

    ``given`` has, for arguments of that entry, expressions in the arguments of the one that names it.
    """

    id: str
    about: str
    given: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of an entry, as far as it does not follow from the entry itself; numbers are decimal texts.

    ``over`` has what is varied, the first from left to right, and its range; ``given`` the values of
    arguments as expressions in what is varied; ``each`` names and a list of values, through which they
    go together, one for each curve; ``show`` expressions in the symbols and steps, or nothing for the
    outputs.
    """

    over: tuple[tuple[str, tuple[str, str]], ...] = ()
    given: tuple[tuple[str, str], ...] = ()
    each: tuple[tuple[str, tuple[str, ...]], ...] = ()
    show: tuple[str, ...] = ()
    sizes: tuple[tuple[str, int], ...] = ()
    about: str = ""

    @property
    def varied(self) -> tuple[str, ...]:
        """The names under ``over`` and under ``each``."""
        return (*(name for name, _ in self.over), *(name for name, _ in self.each))


@dataclass(frozen=True, slots=True)
class Objective:
    """What an ``objective`` entry minimises or maximises, and subject to what."""

    minimize: tuple[str, ...] = ()
    maximize: tuple[str, ...] = ()
    subject_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One equation of the catalogue, as written."""

    id: str
    name: str
    kind: Kind = "definition"
    topic: str = "other"
    about: str = ""
    symbols: tuple[Symbol, ...] = ()
    define: tuple[str, ...] = ()
    claims: tuple[NamedClaim, ...] = ()
    requires: tuple[str, ...] = ()
    kinks: tuple[str, ...] = ()
    differentiate: tuple[str, ...] = ()
    objective: Objective | None = None
    notation: str | None = None
    time: str | None = None
    layer: str | None = None
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    frameworks: tuple[tuple[str, str], ...] = ()
    related: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    sources: tuple[SourceItem, ...] = ()
    notes: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    plot: tuple[Plot, ...] | None = None  # None: what follows from the entry itself
    origin: str = field(default="", compare=False)
    sides: tuple[str, ...] = ()  # outputs that are the sides of the first claim; the last steps define them

    def symbol(self, name: str) -> Symbol | None:
        """The declared symbol of that name, or None."""
        return next((s for s in self.symbols if s.name == name), None)

    @property
    def arguments(self) -> tuple[Symbol, ...]:
        """What a call passes: declared order, those with a default last."""
        passed = [s for s in self.symbols if s.is_argument]
        return tuple([s for s in passed if s.default is None] + [s for s in passed if s.default is not None])

    @property
    def outputs(self) -> tuple[Symbol, ...]:
        """Declared outputs; for an update, its states (the new ones), in declared order."""
        role = "state" if self.kind == "update" else "output"
        return tuple(s for s in self.symbols if s.role == role)
