"""Programs of a catalogue's entries, each elaborated once, the entries that it calls first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from kb import tree
from kb.errors import Fault, LanguageError
from kb.model import Entry
from kb.parser import parse_expression, parse_statement
from kb.profiles import PLAIN, Profile
from kb.vocabulary import BUILT_IN

if TYPE_CHECKING:
    from kb.index.entries import Elaborated
    from kb.index.program import Program

_ABSTRACT = ("function", "law", "reducer")
_TOO_DEEP = "nested too deeply; split it into steps"


class _Circle(LanguageError):
    """Entries that call each other in a circle, in the order of the calls."""

    def __init__(self, chain: list[str]) -> None:
        circle = " -> ".join(chain)
        super().__init__(f"entries call each other in a circle: {circle}; define one of them without the next")
        self.chain = chain


class Programs:
    """The programs of entries by id, made when first asked for.

    ``infer`` names entries whose outputs need not declare a shape. Calling gives a program;
    KeyError says that there is no such entry, LanguageError that the entry has faults of its own,
    which are reported where they are. ``profile`` is how their formulas are written.
    """

    def __init__(self, entries: Mapping[str, Entry], infer: Collection[str] = (), profile: Profile = PLAIN) -> None:
        self.entries = entries
        self.profile = profile
        self.infer = infer
        self._made: dict[str, Elaborated] = {}
        self._callees: dict[str, tuple[str, ...]] = {}

    def __call__(self, entry_id: str) -> Program:
        from kb.index.scope import Poisoned

        program = self.elaborated(entry_id).program
        if program is None:
            raise Poisoned(f"the entry {entry_id!r} has faults of its own")
        return program

    def callees(self, entry_id: str) -> tuple[str, ...]:
        """Ids of the entries that the definition of an entry calls, directly, in order of appearance."""
        if entry_id not in self._callees:
            entry = self.entries[entry_id]
            abstract = {s.name for s in entry.symbols if s.kind in _ABSTRACT}
            called = dict.fromkeys(n for n in called_names(entry) if n in self.entries)
            self._callees[entry_id] = tuple(n for n in called if n not in BUILT_IN and n not in abstract)
        return self._callees[entry_id]

    def requirements(self, entry_id: str) -> list[str]:
        """All ids that an entry needs, itself included, callees before callers. Raises LanguageError on a circle."""
        ordered: dict[str, None] = {}
        open_ids: dict[str, Iterator[str]] = {entry_id: iter(self.callees(entry_id))}
        while open_ids:
            current = next(reversed(open_ids))
            following = next((c for c in open_ids[current] if c not in ordered), None)
            if following is None:
                ordered[current] = None
                del open_ids[current]
            elif following in open_ids:
                chain = list(open_ids)
                raise _Circle([*chain[chain.index(following) :], following])
            else:
                open_ids[following] = iter(self.callees(following))
        return list(ordered)

    def elaborated(self, entry_id: str) -> Elaborated:
        """The entry's program and faults. Raises KeyError where there is no such entry."""
        if entry_id not in self._made:
            if entry_id not in self.entries:
                raise KeyError(entry_id)
            try:
                needed = self.requirements(entry_id)
            except _Circle as error:
                self._made[entry_id] = self._circular(entry_id, error)
                return self._made[entry_id]
            for needed_id in needed:
                if needed_id not in self._made:
                    self._made[needed_id] = self._elaborate(needed_id)
        return self._made[entry_id]

    def _elaborate(self, entry_id: str) -> Elaborated:
        return elaborated_entry(self.entries[entry_id], self, self.entries, entry_id in self.infer)

    def _circular(self, entry_id: str, error: _Circle) -> Elaborated:
        """Only entries on the circle are at fault; one that merely leads to it is not."""
        from kb.index.entries import Elaborated
        from kb.index.scope import Scope

        faults = []
        if entry_id in error.chain:
            field, start = self._call_site(entry_id, error.chain[error.chain.index(entry_id) + 1])
            faults.append(Fault(error.message, field, start))
        return Elaborated(self.entries[entry_id], None, Scope(), tuple(faults))

    def _call_site(self, entry_id: str, callee: str) -> tuple[str, int]:
        for n, text in enumerate(self.entries[entry_id].define):
            for node in _walk_text(text):
                if isinstance(node, tree.Call) and node.function == callee:
                    return f"define[{n}]", node.at
        return "define[0]", 0

    def faults(self, entry_id: str) -> list[tuple[str, Fault]]:
        """Why an entry has no program: its own faults or, where it has none, those of what it calls."""
        own = self.elaborated(entry_id).faults
        if own or self.elaborated(entry_id).program is not None:
            return [(entry_id, fault) for fault in own]
        found: list[tuple[str, Fault]] = []
        seen, waiting = {entry_id}, list(self.callees(entry_id))
        while waiting:
            callee = waiting.pop(0)
            if callee not in seen:
                seen.add(callee)
                found += [(callee, fault) for fault in self.elaborated(callee).faults]
                waiting += self.callees(callee)
        return found


def elaborated_entry(entry: Entry, programs: Programs, known: Iterable[str], infer: bool = False) -> Elaborated:
    """Elaborate one entry with derivatives allowed in its formulas; too deep a nesting is a fault like others."""
    from kb.calculus.concrete import concrete
    from kb.calculus.hook import derive
    from kb.index.entries import Elaborated, elaborate
    from kb.index.scope import Scope

    try:
        made = elaborate(entry, programs, known, derive, infer)
        if made.program is not None and made.program.has_loops:
            concrete(made.program)  # an instance may not fit into the recurrence that calls it
        return made
    except RecursionError:
        return Elaborated(entry, None, Scope(), (Fault(_TOO_DEEP, "define[0]"),))
    except LanguageError as error:
        return Elaborated(entry, None, Scope(), (Fault(error.message, "define[0]"),))


def called_names(entry: Entry) -> Iterator[str]:
    """Names of functions and entries that the definition and the instances of an entry mention as called."""
    for text in entry.define:
        yield from (n.function for n in _walk_text(text) if isinstance(n, tree.Call))
    for symbol in entry.symbols:
        if symbol.instance:
            for node in _walk_text(symbol.instance):
                if isinstance(node, tree.Call):
                    yield node.function
                elif isinstance(node, tree.Name):
                    yield node.id


def _walk_text(text: str) -> Iterator[tree.Node]:
    """The nodes of a statement or expression; none if it cannot be parsed, which is reported elsewhere."""
    try:
        node: tree.Node = parse_statement(text)
    except LanguageError:
        try:
            node = parse_expression(text)
        except LanguageError:
            return
    yield from tree.walk(node)
