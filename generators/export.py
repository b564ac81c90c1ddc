"""The whole catalogue, or a part of it, as one JSON document, for other programs.

``exported.py`` says what each key holds; ``schema`` prints it as a JSON Schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import to_json

from generators import exported
from generators.exported import FORMAT
from generators.kept import stored_views
from generators.parts import DerivativeView, Formula, VariantView
from generators.views import EntryView
from kb import __version__
from kb.model import SourceItem, Symbol

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.evidence import Check, Evidence


def export(entries: Sequence[EntryView]) -> str:
    """All entries in one document."""
    return dump(exported.CatalogueDocument(FORMAT, __version__, tuple(map(_entry, entries))))


def export_stored(catalogue: Catalogue, ids: Sequence[str]) -> str:
    """Some entries in one document, with the evidence of earlier checks that still holds."""
    return export(stored_views(catalogue, ids))


def export_evidence(evidence: Mapping[str, Evidence]) -> str:
    """All evidence in one document: every check of every entry, with its numbers."""
    return dump(exported.EvidenceDocument(FORMAT, {i: _checks(found) for i, found in evidence.items()}))


def schema() -> str:
    """The JSON Schema of the document of entries."""
    return exported.schema(exported.CatalogueDocument)


def evidence_schema() -> str:
    """The JSON Schema of the document of evidence."""
    return exported.schema(exported.EvidenceDocument)


def dump(value: Any) -> str:
    """JSON for people and programs, by pydantic: the standard library indents in Python, which took longest of all."""
    return to_json(_plain(value), indent=1).decode() + "\n"


def _plain(value: Any) -> Any:
    """Only what JSON knows; numbers that are not finite become text."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and abs(value) < float("inf"):
        return value
    return str(value)


# --- entries ---------------------------------------------------------------------------------------


def _entry(view: EntryView) -> exported.EntryRow:
    entry = view.entry
    return exported.EntryRow(
        id=view.id,
        name=entry.name,
        kind=entry.kind,
        topic=entry.topic,
        about=entry.about,
        aliases=entry.aliases,
        tags=entry.tags,
        symbols=tuple(_symbol(view, s) for s in entry.symbols),
        define=entry.define,
        formula=_formula(view.formula),
        goal=None if view.goal is None else _formula(view.goal),
        claims=tuple(_claim(view, n) for n in range(len(entry.claims))),
        requires=tuple(_written(view, text) for text in entry.requires),
        kinks=tuple(_written(view, text) for text in entry.kinks),
        differentiate=entry.differentiate,
        differentiable=tuple(view.equation.differentiable),
        derivatives=tuple(_derivatives(view)),
        backward=None if view.backward is None else _derivative("vjp", view.backward),
        evidence=_evidence(view),
        code=view.code,
        uses=tuple(link.id for link in view.uses),
        used_by=tuple(link.id for link in view.used_by),
        related=entry.related,
        variants=tuple(map(_variant, view.variants)),
        frameworks=dict(entry.frameworks),
        sources=tuple(map(_source, entry.sources)),
        notes=entry.notes,
        references=tuple(exported.ReferenceRow(**asdict(r)) for r in entry.references),
    )


def _source(source: SourceItem) -> exported.SourceRow:
    return exported.SourceRow(source.item, source.finding, source.note, source.claim, source.use)


def _formula(formula: Formula) -> exported.FormulaRow:
    return exported.FormulaRow(formula.text, formula.latex)


def _written(view: EntryView, text: str) -> exported.WrittenRow:
    shown = view.read(text)
    return exported.WrittenRow(text, shown.text, shown.latex)


def _symbol(view: EntryView, symbol: Symbol) -> exported.SymbolRow:
    glyph = view.glyph(symbol.name)
    return exported.SymbolRow(
        name=symbol.name,
        text=glyph.text,
        latex=glyph.latex,
        shape=symbol.shape,
        kind=symbol.kind,
        domain=symbol.domain,
        role=symbol.role,
        default=symbol.default,
        outside=symbol.outside,
        classes=symbol.classes,
        arguments=symbol.arguments,
        instance=symbol.instance,
        about=symbol.about,
    )


def _derivatives(view: EntryView) -> Iterator[exported.DerivativeRow]:
    for partial, vjp in zip(view.partials, view.vjps, strict=True):
        yield _derivative("partial", partial)
        yield _derivative("vjp", vjp)


def _derivative(form: Literal["partial", "vjp"], derivative: DerivativeView) -> exported.DerivativeRow:
    shown = derivative.formula
    return exported.DerivativeRow(form, derivative.wrt, shown.text, shown.latex, derivative.steps, derivative.uses)


def _claim(view: EntryView, position: int) -> exported.ClaimRow:
    claim, shown = view.entry.claims[position], view.claims[position]
    return exported.ClaimRow(
        name=claim.name,
        source=claim.text,
        text=shown.formula.text,
        latex=shown.formula.latex,
        about=claim.about,
        refuted=claim.refuted,
        verdict=shown.verdict,
    )


def _evidence(view: EntryView) -> exported.EvidenceRow:
    found = view.evidence
    if found is None:
        return exported.EvidenceRow("not checked", 0, None, "not checked")
    return exported.EvidenceRow(found.verdict, found.points, found.max_error, found.summary())


def _variant(variant: VariantView) -> exported.VariantRow:
    compared = None if variant.comparison is None else variant.comparison.found
    return exported.VariantRow(
        id=variant.link.id,
        about=variant.about,
        of=variant.of,
        comparison=None if compared is None else _comparison(compared),
    )


def _comparison(found: Mapping[str, Any]) -> exported.ComparisonRow:
    one, other = found["sides"]
    return exported.ComparisonRow(found["shared"], (exported.SideRow(**one), exported.SideRow(**other)))


# --- evidence --------------------------------------------------------------------------------------


def _checks(found: Evidence) -> exported.ChecksRow:
    checks = tuple(map(_check, found.checks))
    return exported.ChecksRow(found.entry, found.verdict, found.seed, dict(found.versions), found.key, checks)


def _check(check: Check) -> exported.CheckRow:
    return exported.CheckRow(
        question=check.question,
        name=check.name,
        verdict=check.verdict,
        points=check.points,
        precision=check.precision,
        sizes=tuple(map(dict, check.sizes)),
        max_error=check.max_error,
        order=check.order,
        counterexample=None if check.counterexample is None else dict(check.counterexample),
        note=check.note,
    )
