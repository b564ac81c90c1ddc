"""What the menus on a page copy: exactly what the command prints, together with the command that prints it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from generators.answers import DEFINITION, GOAL, anchor_of, claim_anchor, derivation_anchor, partial_anchor
from generators.bibtex import Bibliography
from generators.site.scripts import script_value
from kb.answers import json_text, line
from kb.profiles import PLAIN

if TYPE_CHECKING:
    from generators.parts import DerivationView, DerivativeView
    from generators.views import EntryView
    from kb.catalogue import Catalogue

LATEX, NUMPY, JSON, BIBTEX = "latex", "numpy", "json", "bibtex"
_WITHOUT_LATEX = ("code",)
_BETWEEN = "\n\n\n"  # what stands between the functions of a module


@dataclass(frozen=True, slots=True)
class Copy:
    """A text to copy, and the command that prints it. ``code`` is Python source within a text that is JSON."""

    what: str
    command: str
    text: str
    code: str = ""


def file_name(entry_id: str) -> str:
    """The script with the copies of an entry, under the root of the site."""
    return f"copies/{entry_id}.js"


def scripts(entries: Sequence[EntryView]) -> dict[str, bytes]:
    """The scripts of all entries by path."""
    if not entries:
        return {}
    references = Bibliography(entries[0].catalogue)
    return {file_name(view.id): script(view, references).encode() for view in entries}


def script(view: EntryView, references: Bibliography) -> str:
    """The script: it hands the copies of an entry to the page that loads it, every part that repeats only once."""
    pieces, made = _Pieces(), copies(view, references)
    formulas = {
        anchor: {copy.what: [copy.command, pieces.of(copy)] for copy in found} for anchor, found in made.items()
    }
    value = script_value({"pieces": pieces.texts, "formulas": formulas})
    return f"eqkb.copies({script_value(view.id)},{value});\n"


def copies(view: EntryView, references: Bibliography) -> dict[str, tuple[Copy, ...]]:
    """The copies of every formula on the page of an entry, by its anchor there."""
    made = _Copies(view)
    text = references.bibtex([view.id])
    cited = [Copy(BIBTEX, made.command("export", "--format", "bibtex"), text)] if text else []
    return {anchor: (*found, *cited) for anchor, found in made.all()}


class _Copies:
    def __init__(self, view: EntryView) -> None:
        self.view = view
        self.answers = view.answers
        self.words = _words(view.catalogue)
        backward = ("--backward",) if view.equation.differentiable else ()
        self.code = Copy(NUMPY, self.command("code", *backward), line(view.code))

    def command(self, verb: str, *options: str) -> str:
        profile = self.view.catalogue.profile
        name = PurePath(profile.file).name or profile.name
        notation = [] if profile == PLAIN or verb in _WITHOUT_LATEX else ["--notation", name]
        return shlex.join([*self.words, verb, self.view.id, *options, *notation])

    def all(self) -> Iterator[tuple[str, tuple[Copy, ...]]]:
        view = self.view
        yield DEFINITION, tuple(self._definition())
        if view.goal is not None:
            yield GOAL, tuple(self._goal())
        for derivative in (*view.partials, *view.hessians, *([view.backward] if view.backward is not None else [])):
            yield anchor_of(derivative), tuple(self._derivative(derivative))
        for claim in view.entry.claims:
            yield claim_anchor(claim.name), tuple(self._claim(claim.name))
        for derivation in view.derivations:
            yield derivation_anchor(derivation.symbol), tuple(self._derivation(derivation))

    def _definition(self) -> Iterator[Copy]:
        found = self.view.evidence
        evidence = {} if found is None else {"evidence": found.as_json()}
        answer = self.answers[DEFINITION]
        yield Copy(LATEX, self.command("latex"), line(answer["latex"]))
        yield self.code
        yield Copy(JSON, self.command("show", "--json"), json_text(answer | evidence))

    def _goal(self) -> Iterator[Copy]:
        answer = self.answers[GOAL]
        yield Copy(LATEX, self.command("latex", "--goal"), line(answer["latex"]))
        yield self.code
        yield Copy(JSON, self.command("latex", "--goal", "--json"), json_text(answer))

    def _derivative(self, derivative: DerivativeView) -> Iterator[Copy]:
        answer = self.answers[anchor_of(derivative)] | {"verdict": self.view.verdict}
        wrt = [word for name in derivative.wrt for word in ("--wrt", name)]
        form = [] if derivative.form == "partial" else ["--form", derivative.form]
        yield Copy(LATEX, self.command("latex", *wrt, *form), line(answer["latex"]))
        yield Copy(NUMPY, self.command("diff", *wrt, *form, "--format", "numpy"), answer["code"])
        yield Copy(JSON, self.command("diff", *wrt, *form, "--json"), json_text(answer), answer["code"])

    def _claim(self, name: str) -> Iterator[Copy]:
        answer = self.answers[claim_anchor(name)]
        yield Copy(LATEX, self.command("latex", "--claim", name), line(answer["latex"]))
        yield self.code
        yield Copy(JSON, self.command("latex", "--claim", name, "--json"), json_text(answer))

    def _derivation(self, derivation: DerivationView) -> Iterator[Copy]:
        wrt = ("--wrt", derivation.symbol)
        answer, partial = (self.answers[f(derivation.symbol)] for f in (derivation_anchor, partial_anchor))
        yield Copy(LATEX, self.command("derive", *wrt, "--format", "latex"), line(derivation.latex))
        yield Copy(NUMPY, self.command("diff", *wrt, "--format", "numpy"), partial["code"])
        yield Copy(JSON, self.command("derive", *wrt, "--json"), json_text(answer))


def _words(catalogue: Catalogue) -> list[str]:
    """How a command begins; the files of a user are named, to be called from their folder."""
    _, *files = catalogue.records.files
    return ["eqkb", *(word for file in files for word in ("--catalogue", PurePath(file.path).name))]


class _Pieces:
    """Texts in pieces, so that what several of them share is there once: modules share their helping functions.

    A text is a list of numbers: a piece by its place, from 0 on, or as ``-1 - place`` a piece as it stands within a
    string of JSON. The script of the pages joins them.
    """

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def texts(self) -> Sequence[str]:
        """All pieces by place."""
        return list(self._places)

    def of(self, copy: Copy) -> list[int]:
        """The numbers of a text."""
        if not copy.code:
            return self._split(copy.text)
        before, _, after = copy.text.partition(json.dumps(copy.code, ensure_ascii=False)[1:-1])
        return [self._place(before), *(-1 - place for place in self._split(copy.code)), self._place(after)]

    def _split(self, text: str) -> list[int]:
        *most, last = text.split(_BETWEEN)
        return [self._place(piece) for piece in [*(part + _BETWEEN for part in most), last]]

    def _place(self, piece: str) -> int:
        return self._places.setdefault(piece, len(self._places))
