"""The formulas of an entry as a terminal shows them, kept so that they are set only once.

A page that was shown before needs neither the printers nor the calculus. What is kept counts only
for the same bytes of the catalogue's files and the same code; anything else is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from kb.cache import cache_path, keep, read_kept
from kb.catalogue import Catalogue
from kb.cli.state import evidence_state, paths_of, state_of
from kb.errors import EqkbError

if TYPE_CHECKING:
    from kb.equation import Equation
    from kb.model import Symbol

_LONGEST_COMPARISON = 400  # characters
_FIELDS = {
    "text": list,
    "symbols": dict,
    "claims": list,
    "requires": list,
    "kinks": list,
    "derivatives": dict,
    "evidence": list,
    "uses": list,
    "used_by": list,
    "variants": list,
}


def rendered(catalogue: Catalogue, entry_id: str) -> dict[str, Any]:
    """The formulas of an entry by what they are: text, symbols, claims, requires, kinks, derivatives.

    A symbol is its glyph, its instance and its sizes. ``evidence`` is a verdict and a summary, empty
    where nothing has been checked; ``uses`` and ``used_by`` are ids of entries; a variant is its id, what is
    different, in which entry, and lines that show it on numbers. Raises
    CatalogueError where the formulas have faults.
    """
    store = _Store.of(catalogue)
    kept = store.read() if store else {}
    found = kept.get(entry_id)
    checked = evidence_state(entry_id)
    if _is_whole(found) and found["evidence"][0] == checked:
        return found | {"evidence": found["evidence"][1:]}
    made = _render(catalogue, entry_id)
    shown = [*made["evidence"]]
    made["evidence"] = [checked, *shown]
    if store:
        store.write(kept | {entry_id: made})
    return made | {"evidence": shown}


def _render(catalogue: Catalogue, entry_id: str) -> dict[str, Any]:
    equation = catalogue[entry_id]
    entry = equation.entry
    return {
        "text": equation.text().splitlines(),
        "symbols": {s.name: _symbol(equation, s) for s in entry.symbols},
        "claims": [equation.formula_text(c.text) for c in entry.claims],
        "requires": [equation.formula_text(t) for t in entry.requires],
        "kinks": [equation.formula_text(t) for t in entry.kinks],
        "derivatives": {name: _derivative(equation, name) for name in entry.differentiate},
        "evidence": _evidence(equation),
        "uses": list(catalogue.programs.callees(entry_id)),
        "used_by": [other for other in catalogue.records if entry_id in catalogue.programs.callees(other)],
        "variants": [[*v, _compared(catalogue, entry_id, v.id)] for v in catalogue.variants(entry_id)],
    }


def _symbol(equation: Equation, symbol: Symbol) -> list[str]:
    from kb.definitions import formula_text, timeless

    instance = symbol.instance or ""
    if not instance.isidentifier() and instance:
        instance = formula_text(instance, timeless(equation.context))
    return [
        equation.symbols[symbol.name].text,
        instance,
        *map(equation.formula_text, equation.symbols[symbol.name].shape),
    ]


def _derivative(equation: Equation, name: str) -> list[str]:
    """The statements of a partial derivative, without its shapes and without the definition again."""
    try:
        lines = equation.derivative(name).text().splitlines()
    except EqkbError as error:
        return [str(error)]
    end = lines.index("where") if "where" in lines else len(lines)
    return [line.removeprefix("  ") for line in lines[:end] if line.startswith("  ")]


def _compared(catalogue: Catalogue, entry_id: str, other: str) -> list[str]:
    """What both are given, and what each gives; nothing where that would be long, or no numbers suit both."""
    from kb.comparison import numbers_text

    try:
        found = catalogue.compare(entry_id, other)
        equations = (catalogue[entry_id], catalogue[other])
    except EqkbError:
        return []

    def given(equation: Equation, values: Mapping[str, Any]) -> str:
        return "given " + ", ".join(f"{equation.given(name)[1]} = {numbers_text(v)}" for name, v in values.items())

    stand_ins = dict.fromkeys(line for equation in equations for line in _instances(equation))
    lines = [given(equations[0], found.shared)] if found.shared else []
    if lines and stand_ins:
        lines[0] += f", {', '.join(stand_ins)}"
    for equation, side in zip(equations, found.sides, strict=True):
        own = f"{given(equation, side.arguments)}, it " if side.arguments else ""
        made = ", ".join(f"{equation.symbols[name].text} = {numbers_text(v)}" for name, v in side.outputs.items())
        lines.append(f"{side.id}: {own}gives {made}")
    return lines if sum(map(len, lines)) <= _LONGEST_COMPARISON else []


def _instances(equation: Equation) -> list[str]:
    """What stands for abstract functions: ``L(θ) = Σᵢ θᵢ⁴``."""
    from kb.definitions import formula_text, instances, timeless

    context = timeless(equation.context)
    found = instances(equation.entry).items()
    return [
        f"{formula_text(call, context)} = {value if value.isidentifier() else formula_text(value, context)}"
        for call, value in found
    ]


def _evidence(equation: Equation) -> list[str]:
    found = equation.stored_evidence()
    return [found.verdict, found.summary()] if found is not None else []


def _is_whole(found: Any) -> TypeGuard[dict[str, Any]]:
    if not isinstance(found, dict) or set(found) != set(_FIELDS) or not found["evidence"]:
        return False
    return all(isinstance(found[name], kind) for name, kind in _FIELDS.items())


class _Store:
    """A file of the user's cache directory, and what its content must belong to."""

    def __init__(self, path: str, key: str) -> None:
        self.path = path
        self.key = key

    @classmethod
    def of(cls, catalogue: Catalogue) -> _Store | None:
        """None where there is no cache directory, or a file cannot be read."""
        state = state_of(catalogue)
        if state is None:
            return None
        name = hashlib.sha256(os.fsencode("\0".join(paths_of(catalogue)))).hexdigest()[:32]
        store = cache_path(f"pages-{name}.json")
        return cls(store, state) if store is not None else None

    def read(self) -> dict[str, Any]:
        """All pages that are kept; none if they are stale, truncated or foreign."""
        try:
            key, digest, payload = (read_kept(self.path) or "").split("\n", 2)
            if (key, digest) != (self.key, hashlib.sha256(payload.encode()).hexdigest()):
                return {}
            pages = json.loads(payload)
        except (ValueError, RecursionError):
            return {}
        return pages if isinstance(pages, dict) else {}

    def write(self, pages: dict[str, Any]) -> None:
        """Keep the pages; where that is not possible, do without."""
        payload = json.dumps(pages)
        keep(self.path, f"{self.key}\n{hashlib.sha256(payload.encode()).hexdigest()}\n{payload}")
