"""The whole catalogue, or a part of it, as one JSON document, for other programs.

``format`` is the version of these keys; within one version keys are added, never changed or removed.

- ``format``, ``eqkb`` (the version that wrote it), ``entries`` (a list in the order of the catalogue)
- an entry: ``id``, ``name``, ``kind``, ``topic``, ``about``, ``aliases``, ``tags``, ``symbols``, ``define``,
  ``formula``, ``goal`` (null unless an objective), ``claims``, ``requires``, ``kinks``, ``differentiate``,
  ``differentiable``, ``derivatives``, ``backward`` (null, or a derivative by all of ``differentiate``),
  ``evidence``, ``code``, ``uses``, ``used_by``, ``related``, ``variants``, ``frameworks``, ``sources``, ``notes``,
  ``references``
- a formula: ``source`` (in the language, where it was written), ``text`` (Unicode), ``latex`` (without dollar signs)
- a symbol: ``name``, ``text``, ``latex``, ``shape`` (in the language), ``kind``, ``domain``, ``role``, ``default``,
  ``outside``, ``classes``, ``arguments``, ``instance``, ``about``
- a derivative: ``form`` (``partial`` or ``vjp``), ``wrt``, ``text``, ``latex``, ``steps``, ``uses`` (in the language)
- a claim: ``name``, ``source``, ``text``, ``latex``, ``about``, ``refuted``, ``verdict``
- ``evidence``: ``verdict``, ``points``, ``max_error``, ``summary``; all of it is in the other file, by entry
- ``code``: Python source
- a source: ``ref`` (document/item), ``finding``, ``note``, ``claim`` (the name of a refuted claim, or null), ``use``
- a variant: ``id``, ``about`` (what the entry ``of`` does differently), ``of``, ``comparison`` (null, or ``shared``:
  arguments of both, and ``sides``: for the entry and the variant ``id``, further ``arguments`` and ``outputs``)
- a reference: ``title``, ``authors``, ``year``, ``venue``, ``doi``, ``arxiv``, ``url``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from generators.parts import DerivativeView, Formula, VariantView
from generators.views import EntryView, views
from kb import __version__
from kb.model import SourceItem, Symbol

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.evidence import Evidence

FORMAT = 1


def export(entries: Sequence[EntryView]) -> str:
    """All entries in one document."""
    return dump({"format": FORMAT, "eqkb": __version__, "entries": [_entry(view) for view in entries]})


def export_stored(catalogue: Catalogue, ids: Sequence[str]) -> str:
    """Some entries in one document, with the evidence of earlier checks that still holds."""
    stored = {i: catalogue[i].stored_evidence() for i in ids}
    return export(views(catalogue, ids, {i: found for i, found in stored.items() if found is not None}))


def export_evidence(evidence: Mapping[str, Evidence]) -> str:
    """All evidence in one document: every check of every entry, with its numbers."""
    return dump({"format": FORMAT, "evidence": {entry_id: found.as_json() for entry_id, found in evidence.items()}})


def dump(value: Any) -> str:
    """JSON for people and programs, by pydantic: the standard library indents in Python, which took longest of all."""
    return to_json(_plain(value), indent=1).decode() + "\n"


def _plain(value: Any) -> Any:
    """Only what JSON knows; numbers that are not finite become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return str(value)


def _entry(view: EntryView) -> dict[str, Any]:
    entry = view.entry
    return {
        "id": view.id,
        "name": entry.name,
        "kind": entry.kind,
        "topic": entry.topic,
        "about": entry.about,
        "aliases": entry.aliases,
        "tags": entry.tags,
        "symbols": [_symbol(view, s) for s in entry.symbols],
        "define": entry.define,
        "formula": _formula(view.formula),
        "goal": None if view.goal is None else _formula(view.goal),
        "claims": [_claim(view, n) for n in range(len(entry.claims))],
        "requires": [_written(view, text) for text in entry.requires],
        "kinks": [_written(view, text) for text in entry.kinks],
        "differentiate": entry.differentiate,
        "differentiable": view.equation.differentiable,
        "derivatives": [_derivative(d) for pair in zip(view.partials, view.vjps, strict=True) for d in pair],
        "backward": None if view.backward is None else _derivative(view.backward),
        "evidence": _evidence(view),
        "code": view.code,
        "uses": [link.id for link in view.uses],
        "used_by": [link.id for link in view.used_by],
        "related": entry.related,
        "variants": [_variant(v) for v in view.variants],
        "frameworks": dict(entry.frameworks),
        "sources": [_source(s) for s in entry.sources],
        "notes": entry.notes,
        "references": [asdict(r) for r in entry.references],
    }


def _source(source: SourceItem) -> dict[str, Any]:
    row = asdict(source)
    return {"ref": row.pop("item")} | row


def _formula(formula: Formula) -> dict[str, str]:
    return {"text": formula.text, "latex": formula.latex}


def _written(view: EntryView, text: str) -> dict[str, str]:
    return {"source": text, **_formula(view.read(text))}


def _symbol(view: EntryView, symbol: Symbol) -> dict[str, Any]:
    glyph = view.glyph(symbol.name)
    row = asdict(symbol)
    about, _ = row.pop("about"), row.pop("glyph")
    name = row.pop("name")
    return {"name": name, **_formula(glyph), **row, "about": about}


def _derivative(derivative: DerivativeView) -> dict[str, Any]:
    return {
        "form": derivative.form,
        "wrt": derivative.wrt,
        **_formula(derivative.formula),
        "steps": derivative.steps,
        "uses": derivative.uses,
    }


def _claim(view: EntryView, position: int) -> dict[str, Any]:
    claim, shown = view.entry.claims[position], view.claims[position]
    return {
        "name": claim.name,
        "source": claim.text,
        **_formula(shown.formula),
        "about": claim.about,
        "refuted": claim.refuted,
        "verdict": shown.verdict,
    }


def _evidence(view: EntryView) -> dict[str, Any]:
    found = view.evidence
    if found is None:
        return {"verdict": "not checked", "points": 0, "max_error": None, "summary": "not checked"}
    return {
        "verdict": found.verdict,
        "points": found.points,
        "max_error": found.max_error,
        "summary": found.summary(),
    }


def _variant(variant: VariantView) -> dict[str, Any]:
    compared = variant.comparison
    return {
        "id": variant.link.id,
        "about": variant.about,
        "of": variant.of,
        "comparison": None if compared is None else compared.found,
    }
