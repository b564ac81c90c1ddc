"""What commands print, as values and as text: the same for a terminal and for a page that offers it for copying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from kb.model import Entry, NamedClaim, SourceItem

if TYPE_CHECKING:
    from kb.definitions import Goal
    from kb.equation import Derivative, Equation
    from kb.evidence import Evidence
    from kb.variants import Counterpart


def json_text(value: Any) -> str:
    """JSON for programs and for people, with a line end."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def line(text: str) -> str:
    """The text with one line end at least."""
    return text if text.endswith("\n") else text + "\n"


def entry_summary(entry: Entry) -> dict[str, Any]:
    """An entry in one row of ``list --json``."""
    return {
        "id": entry.id,
        "name": entry.name,
        "kind": entry.kind,
        "topic": entry.topic,
        "about": entry.about,
        "aliases": list(entry.aliases),
        "tags": list(entry.tags),
    }


def entry_answer(equation: Equation, variants: Sequence[Counterpart], evidence: Evidence | None) -> dict[str, Any]:
    """An entry in ``show --json``."""
    entry = equation.entry
    claims = [{"name": c.name, "formula": c.text, "about": c.about, "refuted": c.refuted} for c in entry.claims]
    return entry_summary(entry) | {
        "symbols": [_plain(s) | {"latex": equation.symbols[s.name].latex} for s in entry.symbols],
        "define": list(entry.define),
        "text": equation.text(),
        "latex": equation.latex(),
        "claims": claims,
        "requires": list(entry.requires),
        "kinks": list(entry.kinks),
        "differentiate": list(entry.differentiate),
        "differentiable": list(equation.differentiable),
        "objective": _plain(entry.objective) if entry.objective else None,
        "frameworks": dict(entry.frameworks),
        "related": list(entry.related),
        "variants": [variant._asdict() for variant in variants],
        "sources": [source_answer(s) for s in entry.sources],
        "notes": list(entry.notes),
        "references": [_plain(r) for r in entry.references],
        "evidence": evidence.as_json() if evidence is not None else {"verdict": "not checked"},
    }


def source_answer(source: SourceItem) -> dict[str, Any]:
    """An item of a document that an entry covers, in JSON."""
    return {"ref": source.item} | {name: v for name, v in _plain(source).items() if name != "item"}


def _plain(record: Any) -> dict[str, Any]:
    """A record as a dictionary; tuples become lists."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def latex_answer(equation: Equation, derivative: Derivative | None, wrt: Sequence[str]) -> dict[str, Any]:
    """An entry or its derivative in ``latex --json``."""
    form = derivative.form if derivative is not None else None
    latex = derivative.latex() if derivative is not None else equation.latex()
    return {"id": equation.id, "wrt": list(wrt), "form": form, "latex": latex}


def claim_answer(equation: Equation, claim: NamedClaim) -> dict[str, Any]:
    """A claim in ``latex --claim NAME --json``."""
    latex = equation.formula_latex(claim.text)
    return {
        "id": equation.id,
        "wrt": [],
        "form": None,
        "latex": latex,
        "claim": claim.name,
        "about": claim.about,
        "refuted": claim.refuted,
    }


def goal_answer(equation: Equation, goal: Goal) -> dict[str, Any]:
    """What an objective chooses in ``latex --goal --json``."""
    return {"id": equation.id, "wrt": [], "form": None, "latex": goal.latex, "text": goal.text}


def derivative_answer(derivative: Derivative, evidence: Evidence | None) -> dict[str, Any]:
    """A derivative in ``diff --json``."""
    shape = derivative.shape
    return {
        "id": derivative.equation.id,
        "wrt": list(derivative.wrt),
        "form": derivative.form,
        "shape": {n: list(s) for n, s in shape.items()} if isinstance(shape, dict) else list(shape),
        "text": derivative.text(),
        "latex": derivative.latex(),
        "steps": list(derivative.steps),
        "uses": list(derivative.uses),
        "code": derivative.code(),
        "verdict": evidence.verdict if evidence is not None else "not checked",
    }
