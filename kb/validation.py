"""What is wrong with the formulas of entries: definitions, claims, requirements, kinks, objectives.

Names, shapes, ranges and kinds are checked in index form; nothing is evaluated, so neither SymPy
nor NumPy nor mpmath is needed.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from kb import tree
from kb.cache import EntryKeys, cache_path, keep, read_kept, source_digest
from kb.errors import EqkbError, Fault, LanguageError, nearest
from kb.parser import parse_expression, parse_statement
from kb.programs import Programs

if TYPE_CHECKING:
    from kb.index.entries import Elaborated
    from kb.model import Entry

_MOST_KEPT = 10_000
_SHOWN = 60  # characters of a name in a message
_TOO_DEEP = "nested too deeply; split it into steps"


class Validation:
    """The faults of the formulas of entries; one that had none before is not looked at until something changes.

    ``thorough`` also works out the derivatives in claims, to see that they exist and that both sides
    differ; for identities that is always done. ``finish`` keeps what was found.
    """

    def __init__(self, programs: Programs, thorough: bool = False) -> None:
        self.programs = programs
        self.thorough = thorough
        self._keys = EntryKeys(programs.entries)
        self._state = f"{source_digest()} {sys.version_info[:3]} {thorough}"
        self._path = cache_path(f"faultless-{'all' if thorough else 'plain'}.txt")
        state, *kept = (read_kept(self._path) or "").splitlines() or [""]
        self._before = dict.fromkeys(kept if state == self._state else [])
        self._now: dict[str, None] = {}

    def faults(self, entry_id: str) -> list[Fault]:
        """All faults of the formulas of one entry, each with its field and the character where it begins."""
        key = self._key(entry_id)
        found = [] if key in self._before else self._found(entry_id)
        if not found:
            self._now[key] = None
        return [*found, *variant_faults(self.programs, entry_id)]

    def _key(self, entry_id: str) -> str:
        """A digest of the entry with its plots and of all that its formulas can mean."""
        plot = self.programs.entries[entry_id].plot
        return hashlib.sha256(f"{self._keys.of(entry_id)} {plot!r}".encode()).hexdigest()

    def _found(self, entry_id: str) -> list[Fault]:
        found = semantic_faults(self.programs, entry_id, self.thorough)
        return [*found, *plot_faults(self.programs, entry_id)]

    def finish(self) -> None:
        """Keep what has no faults, for the next time."""
        if self._now.keys() - self._before.keys():
            keys = [*self._now, *(key for key in self._before if key not in self._now)]
            keep(self._path, "\n".join([self._state, *keys[:_MOST_KEPT]]))


def semantic_faults(programs: Programs, entry_id: str, thorough: bool = False) -> list[Fault]:
    """All faults of the formulas of one entry, each with its field; ``thorough`` as in Validation."""
    elaborated = programs.elaborated(entry_id)
    faults = list(elaborated.faults)
    if not elaborated.scope.declared:
        return faults
    for field, text, is_claim in _formulas(elaborated.entry):
        # Faults of a definition make those of the formulas about it meaningless, except for plain syntax.
        fault = _fault(programs, elaborated, field, text, is_claim, thorough)
        if fault is not None:
            faults.append(fault)
    return faults


def variant_faults(programs: Programs, entry_id: str) -> Iterator[Fault]:
    """What is wrong with the arguments that an entry gives its variants.

    It depends on entries that the formulas of this one do not mention.
    """
    entry = programs.entries[entry_id]
    for variant in entry.variants:
        other = programs.entries.get(variant.id)
        for name, text in variant.given if other is not None else ():
            assert other is not None
            fault = _given_fault(programs, entry, other, name, text)
            if fault is not None:
                yield replace(fault, field=f"variants.{variant.id}.given.{name}")


def plot_faults(programs: Programs, entry_id: str) -> Iterator[Fault]:
    """What is wrong with the plots of an entry whose definition is right."""
    entry = programs.entries[entry_id]
    if entry.plot and programs.elaborated(entry_id).program is not None:
        from kb.plot_programs import plotted

        for position, plot in enumerate(entry.plot):
            for fault in plotted(programs, entry, plot).faults:
                yield replace(fault, field=f"plot[{position}]{fault.field}")


def _given_fault(programs: Programs, entry: Entry, other: Entry, name: str, text: str) -> Fault | None:
    from kb.programs import elaborated_entry
    from kb.source import AT_KEY
    from kb.variants import given_entry, is_whole

    symbol = next((s for s in other.arguments if s.name == name), None)
    if symbol is None:
        known = [s.name for s in other.arguments]
        hint = nearest(name[:_SHOWN], known) or f"; its arguments are {', '.join(known)}"
        return Fault(f"{other.id!r} has no argument {name[:_SHOWN]!r}{hint}", "", AT_KEY)
    if symbol.kind != "real":
        if is_whole(text, symbol):
            return None
        same = entry.symbol(text.strip())
        number = ", or a whole number" if symbol.kind == "integer" else ""
        if same is None or not same.is_argument or (same.kind, len(same.shape)) != (symbol.kind, len(symbol.shape)):
            return Fault(f"{name!r} is of kind {symbol.kind}; write an argument of that kind{number}", "")
        return None
    made, result, begin = given_entry(entry, text)
    elaborated = elaborated_entry(made, programs, programs.entries, True)
    for fault in elaborated.faults:
        return Fault(fault.message, "", max(0, fault.start - begin))
    rank = len(elaborated.program.shape(result)) if elaborated.program is not None else len(symbol.shape)
    if rank != len(symbol.shape):
        return Fault(f"this has {rank} axes, and {name!r} of {other.id!r} has {len(symbol.shape)}", "")
    return None


def _formulas(entry: Entry) -> Iterator[tuple[str, str, bool]]:
    for claim in entry.claims:
        yield f"claims.{claim.name}.formula", claim.text, True
    for n, text in enumerate(entry.kinks):
        yield f"kinks[{n}]", text, False
    if entry.objective is not None:
        for n, text in enumerate(entry.objective.subject_to):
            yield f"objective.subject_to[{n}]", text, False


def _fault(
    programs: Programs, elaborated: Elaborated, field: str, text: str, is_claim: bool, thorough: bool
) -> Fault | None:
    from kb.index.scope import Poisoned, shortened

    try:
        if is_claim:
            statement = parse_statement(text)
            if isinstance(statement, tree.Step):
                raise LanguageError("a claim is 'left == right' or 'left >= right'; steps stand under 'define'")
            _check(programs, elaborated, statement)
            _check_sides(programs, elaborated, text, statement, thorough)
        else:
            _check(programs, elaborated, parse_expression(text))
    except Poisoned:
        return None
    except LanguageError as error:
        return Fault(shortened(error.message), field, error.start)
    except EqkbError as error:
        return Fault(shortened(str(error)), field)
    except RecursionError:
        return Fault(_TOO_DEEP, field)
    return None


def _check_sides(programs: Programs, elaborated: Elaborated, text: str, claim: tree.Claim, thorough: bool) -> None:
    """Sides that say the same say nothing; for an identity also such as become the same once steps are put in."""
    from kb.calculus.claims import elaborate_claim, is_trivial

    identity = elaborated.entry.kind == "identity"
    same = claim.left == claim.right
    if not same and elaborated.program is not None and (thorough or identity):
        same = is_trivial(elaborate_claim(elaborated, text, programs, programs.entries), identity)
    if same:
        raise LanguageError("both sides say the same; compute one of them by another route")


def _check(programs: Programs, elaborated: Elaborated, node: tree.Node) -> None:
    """Elaborate a claim or condition in the entry's scope after its last step; raise what is wrong.

    No derivative is worked out for that.
    """
    from kb.calculus.claims import after_last_step, implicit_indices, settle, sides_of

    expressions = after_last_step(elaborated, programs, programs.entries)
    indices = implicit_indices(expressions, node)
    with expressions.scope.binding(indices):
        if isinstance(node, tree.Claim):
            sides_of(expressions, node)
        else:
            expressions.condition(node)
        settle(expressions.scope, indices)
