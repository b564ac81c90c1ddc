"""The catalogue: entries by id, laid over the shipped ones, with their programs made on demand."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from kb.errors import CatalogueError, Fault, NotFound
from kb.profiles import PLAIN, Profile
from kb.records import MAX_FAULTS, Records, place, read_records, structural_faults

if TYPE_CHECKING:
    from kb.comparison import Comparison
    from kb.coverage import Covered
    from kb.equation import Equation
    from kb.model import Entry
    from kb.programs import Programs
    from kb.variants import Counterpart

StrPath = str | os.PathLike[str]


class UnknownEntry(NotFound, KeyError):
    """No such entry; a KeyError as well, so that a catalogue is a proper Mapping."""

    def __str__(self) -> str:
        return Exception.__str__(self)


class Catalogue(Mapping[str, "Equation"]):
    """Equations by id, in file order.

    Iterating gives the entries of the files that were asked for; looking up also finds the
    shipped ones, and aliases. ``catalogue[name]`` raises NotFound with the nearest names. ``profile`` is the notation
    in which LaTeX is written.
    """

    def __init__(self, records: Records, profile: Profile = PLAIN) -> None:
        self.records = records
        self.profile = profile
        self._equations: dict[str, Equation] = {}
        self._programs: Programs | None = None
        self._comparisons: dict[tuple[str, str], Comparison] = {}

    @property
    def programs(self) -> Programs:
        """The programs of all entries in index form, each made when first asked for."""
        if self._programs is None:
            from kb.programs import Programs

            self._programs = Programs(self.records, profile=self.profile)
        return self._programs

    def __getitem__(self, name: str) -> Equation:
        from kb.equation import Equation, Source

        entry = self.entry(name)
        if entry.id not in self._equations:
            self._equations[entry.id] = Equation(entry, Source(self.programs, self.faults))
        return self._equations[entry.id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records.selected)

    def __len__(self) -> int:
        return len(self.records.selected)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.records or any(name in e.aliases for e in self.records.values()))

    def __repr__(self) -> str:
        return f"<Catalogue of {len(self)} equations>"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What a notebook shows."""
        from kb.display import catalogue_formats
        from kb.printing.mime import bundle

        return bundle(catalogue_formats(self), include, exclude)

    def entry(self, name: str) -> Entry:
        """The record of an entry, by id or alias. Raises NotFound with the nearest names."""
        try:
            return self.records.entry(str(name))
        except NotFound as error:
            raise UnknownEntry(str(error)) from None

    def written_in(self, profile: Profile) -> Catalogue:
        """The same entries in another notation."""
        return Catalogue(self.records, profile)

    def search(self, words: str) -> Catalogue:
        """The entries that answer all words, the best first, as ``eqkb search`` finds them."""
        from kb.search import search

        found = [entry.id for _, entry in search([self.entry(i) for i in self], words.split())]
        made = Catalogue(Records(self.records.files, found, self.records.broken), self.profile)
        made._equations, made._programs = self._equations, self.programs  # what is derived once serves both
        return made

    def sources(self, which: str | None = None) -> tuple[Covered, ...]:
        """Items of documents with the entries that cover them: of one document, one item, one entry, or all.

        Evidence is what is stored; nothing is checked. Raises NotFound with the nearest names.
        """
        from kb.coverage import covered

        return covered(self, which)

    def variants(self, name: str) -> tuple[Counterpart, ...]:
        """The variants of an entry, whichever of both names the other: id, what is different, and in which."""
        from kb.variants import variants_of

        return variants_of(self.records, self.entry(name).id)

    def compare(self, one: str, other: str) -> Comparison:
        """Two entries on the same numbers. Raises NotFound, or NoSample where they have no numbers in common."""
        from kb.comparison import compare
        from kb.variants import ordered

        a, b = self.entry(one), self.entry(other)
        first, second, given = ordered(self.records, a, b)
        key = (first.id, second.id)
        if key not in self._comparisons:
            self._comparisons[key] = compare(self[first.id].subject, self[second.id].subject, given)
        made = self._comparisons[key]
        return made if first is a else made.swapped

    def faults(self, entry_id: str) -> list[Fault]:
        """Why an entry has no program, each fault with its place; empty if it has one."""
        return [place(self.records, owner, fault) for owner, fault in self.programs.faults(entry_id)]


def load_catalogue(*files: StrPath, notation: StrPath = PLAIN.name) -> Catalogue:
    """The shipped catalogue, or the given files laid over it (their formulas may call shipped entries).

    ``notation`` is the name of a profile, or a file that holds one: LaTeX is written so. Raises CatalogueError with
    every structural fault of the files, and NotFound for an unknown notation; faults of formulas show when an
    equation is used, or all at once in ``validate``.
    """
    from kb.notations import notation as profile_of

    return Catalogue(read_records(files), profile_of(notation))


def validate(*files: StrPath) -> list[Fault]:
    """All faults of the given files, or of the shipped catalogue: of structure and of formulas.

    Each has its file, line and column, in the order of the file.
    """
    return check_files(files)[1]


def check_files(files: Sequence[StrPath]) -> tuple[Records | None, list[Fault]]:
    """The records of the files, as far as they can be read, and all their faults."""
    records, faults = structural_faults(files)
    if records is None:
        return None, faults
    from kb.programs import Programs
    from kb.validation import Validation

    validation = Validation(Programs(records), thorough=bool(files))
    found: list[Fault] = []
    for entry_id in records.selected:
        if entry_id not in records.broken:
            found += [place(records, entry_id, fault) for fault in validation.faults(entry_id)]
        if len(found) > MAX_FAULTS:
            found[MAX_FAULTS:] = [
                Fault("there are more faults after these; mend these first", location=found[-1].location)
            ]
            break
    validation.finish()
    return records, sorted([*faults, *found], key=_order)


def _order(fault: Fault) -> tuple[str, int, int]:
    at = fault.location
    return (at.file, at.line, at.column) if at else ("", 0, 0)


def require_valid(catalogue: Catalogue) -> None:
    """Raise CatalogueError with all faults of the formulas of the entries that the catalogue iterates over."""
    from kb.validation import Validation

    validation = Validation(catalogue.programs)
    faults = [place(catalogue.records, i, fault) for i in catalogue for fault in validation.faults(i)]
    validation.finish()
    if faults:
        raise CatalogueError(sorted(faults, key=_order))
