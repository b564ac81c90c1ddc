"""One family of errors, each a message with the place and the remedy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Location:
    """Where something was written: file, 1-based line and column, and the path inside the file."""

    file: str
    line: int = 1
    column: int = 1
    path: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.path}" if self.path else place


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: what it is and how to mend it, and where.

    ``field`` is the path inside the entry (``define[1]``, ``symbols.z.shape[0]``) and ``start``
    counts characters from the beginning of that field's text; a catalogue turns both into
    ``location``.
    """

    message: str
    field: str = ""
    start: int = 0
    location: Location | None = None

    def __str__(self) -> str:
        place = str(self.location) if self.location else self.field
        return f"{place}: {self.message}" if place else self.message


class EqkbError(Exception):
    """The base of all errors that a person can cause. ``exit_code`` is the command's."""

    exit_code = 2


class LanguageError(EqkbError):
    """A formula that the language does not allow. ``start`` is a character offset into it."""

    def __init__(self, message: str, start: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.start = start


class CatalogueError(EqkbError):
    """A catalogue that is not well formed; carries every fault that was found."""

    def __init__(self, faults: list[Fault] | tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class NotDifferentiable(EqkbError):
    """A derivative that does not exist, or is not one that eqkb knows."""


class NotFound(EqkbError):
    """No such entry or symbol; the message names the nearest ones."""

    exit_code = 3


class ShapeError(EqkbError, ValueError):
    """Arrays whose shapes do not fit what the symbols declare."""


class CheckFailed(EqkbError):
    """A check was refuted or could not be settled."""

    exit_code = 1


def nearest(word: str, known: list[str] | tuple[str, ...] | set[str], count: int = 3) -> str:
    """A clause such as ``; did you mean 'softmax'?``, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, sorted(set(known)), n=count, cutoff=0.6)
    if not close:
        return ""
    return "; did you mean " + " or ".join(repr(c) for c in close) + "?"
