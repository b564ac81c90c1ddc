"""The documents for other programs, catalogue.json and evidence.json, as types; their JSON Schemas are made of these.

``export.py`` fills them in, so that what is written and what the schemas say are the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from kb.evidence.record import Question
from kb.evidence.verdict import Verdict
from kb.model import Finding, Kind, Role, SymbolKind

FORMAT: Literal[1] = 1
_POLICY = (
    "Within one format keys are added, never changed or removed: a reader passes over keys that it does not know. "
    "Every key named here is there; what there is none of is null or empty. "
    "Numbers that are not finite are text: inf, -inf or nan."
)


def says(description: str) -> Any:
    """What a key holds."""
    return Field(description=description)


_NUMBERS = {"type": ["number", "string", "array"]}
Format = Annotated[Literal[1], says("the version of these keys")]
Text = Annotated[str, says("the formula in Unicode")]
Latex = Annotated[str, says("the formula in LaTeX, without dollar signs")]
Number = float | Annotated[str, Field(pattern="^(-?inf|nan)$")]
Values = Annotated[
    dict[str, Annotated[Any, WithJsonSchema(_NUMBERS)]],
    says("by name of the symbol: a number, or nested lists of numbers for an array"),
]


@dataclass(frozen=True, slots=True)
class FormulaRow:
    """A formula."""

    text: Text
    latex: Latex


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A formula that an author wrote as it stands."""

    source: Annotated[str, says("the formula in the language of equations.yaml")]
    text: Text
    latex: Latex


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """A symbol that an entry declares."""

    name: Annotated[str, says("its name in the language, and as an argument of the code")]
    text: Annotated[str, says("the symbol in Unicode")]
    latex: Annotated[str, says("the symbol in LaTeX, without dollar signs")]
    shape: Annotated[tuple[str, ...], says("one size for each axis, in the language; empty for a number")]
    kind: Annotated[SymbolKind, says("what it is: functions, laws and reducers are abstract")]
    domain: Annotated[str, says("what values it takes, a word of the language: real, positive, simplex, ...")]
    role: Annotated[Role, says("what it is for; of an update, states go in and come out")]
    default: Annotated[str | None, says("the value of an argument that is not given, a decimal number")]
    outside: Annotated[str | None, says("what an array is beyond its ends, a decimal number, oo or -oo")]
    classes: Annotated[str | None, says("the dimension along which a label selects")]
    arguments: Annotated[tuple[str, ...], says("of a function or a law: the names of its arguments")]
    instance: Annotated[str | None, says("of a function, a law or a reducer: what stands for it in code and evidence")]
    about: Annotated[str, says("what it means, in words")]


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A statement about an entry, and whether it holds."""

    name: Annotated[str, says("its name within the entry")]
    source: Annotated[str, says("the formula in the language of equations.yaml")]
    text: Text
    latex: Latex
    about: Annotated[str, says("what it means, in words")]
    refuted: Annotated[bool, says("whether it is listed as false, as what a document misprints is")]
    verdict: Annotated[
        Verdict, says("of the evidence; a claim that is listed as false is verified by a counter-example")
    ]


@dataclass(frozen=True, slots=True)
class DerivativeRow:
    """A derivative of an entry."""

    form: Annotated[Literal["partial", "vjp"], says("partial derivative, or vjp: the backward pass")]
    wrt: Annotated[tuple[str, ...], says("names of the symbols by which the entry is differentiated")]
    text: Annotated[str, says("shapes and formula in Unicode, in lines")]
    latex: Latex
    steps: Annotated[tuple[str, ...], says("its statements in the language, in order")]
    uses: Annotated[tuple[str, ...], says("constraints on the symbols that it relies on, in the language")]


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """What the evidence says in short; evidence.json has all of it."""

    verdict: Annotated[Verdict, says("the worst of all checks")]
    points: Annotated[int, says("the most random points at which anything was checked")]
    max_error: Annotated[Number | None, says("the largest error, relative to values above 1, of exact arithmetic")]
    summary: Annotated[str, says("one line for a person")]


@dataclass(frozen=True, slots=True)
class SideRow:
    """One of two entries that are compared."""

    id: Annotated[str, says("of the entry")]
    arguments: Annotated[Values, says("what only this entry was given, by name of the symbol")]
    outputs: Annotated[Values, says("what came out, by name of the symbol")]


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """An entry and a variant on the same numbers."""

    shared: Annotated[Values, says("what both were given, by name of the symbol")]
    sides: Annotated[tuple[SideRow, SideRow], says("the entry, and the variant")]


@dataclass(frozen=True, slots=True)
class VariantRow:
    """The same by another convention, which is an entry too."""

    id: Annotated[str, says("of the variant")]
    about: Annotated[str, says("what the entry named by `of` does differently")]
    of: Annotated[str, says("the id of this entry or of the variant")]
    comparison: Annotated[ComparisonRow | None, says("null where both take no numbers in common")]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """An item of a document that the entry covers."""

    ref: Annotated[str, says("document/item")]
    finding: Annotated[Finding, says("how right the document is there")]
    note: Annotated[str, says("what was found, in words")]
    claim: Annotated[str | None, says("the refuted claim of the entry that states what the document prints")]
    use: Annotated[str, says("what the document says that the equation is for")]


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """Where an equation comes from."""

    title: Annotated[str, says("of the work")]
    authors: Annotated[tuple[str, ...], says("their names as they are printed")]
    year: Annotated[int | None, says("in which it was published")]
    venue: Annotated[str, says("journal, conference or publisher")]
    doi: Annotated[str | None, says("without https://doi.org/")]
    arxiv: Annotated[str | None, says("the number at arXiv, without a version")]
    url: Annotated[str | None, says("an address where it can be read")]


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An equation, all about it."""

    id: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$"), says("its permanent name")]
    name: Annotated[str, says("its name for people")]
    kind: Annotated[Kind, says("what it states")]
    topic: Annotated[str, says("the group in which it is listed")]
    about: Annotated[str, says("what it is, in a sentence or two")]
    aliases: Annotated[tuple[str, ...], says("other names by which it can be called")]
    tags: Annotated[tuple[str, ...], says("words by which it is found too")]
    symbols: Annotated[tuple[SymbolRow, ...], says("in the order of the arguments")]
    define: Annotated[tuple[str, ...], says("its steps in the language, in order; the last ones give the outputs")]
    formula: Annotated[FormulaRow, says("the definition")]
    goal: Annotated[FormulaRow | None, says("of an objective: what it minimises or maximises; else null")]
    claims: Annotated[tuple[ClaimRow, ...], says("what else is stated about it")]
    requires: Annotated[tuple[WrittenRow, ...], says("conditions on sizes and whole numbers")]
    kinks: Annotated[tuple[WrittenRow, ...], says("where it is not differentiable; a convention holds there")]
    differentiate: Annotated[tuple[str, ...], says("the symbols of the declared derivatives")]
    differentiable: Annotated[tuple[str, ...], says("all symbols by which it can be differentiated")]
    derivatives: Annotated[tuple[DerivativeRow, ...], says("for each declared symbol: the partial one, and the vjp")]
    backward: Annotated[DerivativeRow | None, says("the backward pass to all declared symbols together")]
    evidence: EvidenceRow
    code: Annotated[str, says("a Python module with the function and its backward pass, which needs NumPy alone")]
    uses: Annotated[tuple[str, ...], says("ids of the entries that it calls")]
    used_by: Annotated[tuple[str, ...], says("ids of the entries that call it")]
    related: Annotated[tuple[str, ...], says("ids of entries to compare")]
    variants: Annotated[tuple[VariantRow, ...], says("the same by other conventions, with numbers that show it")]
    frameworks: Annotated[dict[str, str], says("its name in other libraries, by library")]
    sources: Annotated[tuple[SourceRow, ...], says("items of documents that it covers")]
    notes: Annotated[tuple[str, ...], says("conventions, and corrections of sources")]
    references: Annotated[tuple[ReferenceRow, ...], says("where it comes from")]


@dataclass(frozen=True, slots=True)
class CatalogueDocument:
    """Equations as data."""

    format: Format
    eqkb: Annotated[str, says("the version of eqkb that wrote it")]
    entries: Annotated[tuple[EntryRow, ...], says("in the order of the catalogue")]


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One thing that was checked, and the numbers."""

    question: Annotated[Question, says("which of the four questions it answers")]
    name: Annotated[str, says("what was checked")]
    verdict: Annotated[Verdict, says("what it says")]
    points: Annotated[int, says("how many random points were tried")]
    precision: Annotated[int, says("with how many decimal digits; 0 where that does not apply")]
    sizes: Annotated[tuple[dict[str, int], ...], says("the sizes that were tried, by dimension")]
    max_error: Annotated[Number | None, says("the largest error, relative to values above 1")]
    order: Annotated[Number | None, says("the least order at which finite differences converged")]
    counterexample: Annotated[dict[str, Any] | None, says("a point that refutes it: sizes, values, what was found")]
    note: Annotated[str, says("a remark for a person")]


@dataclass(frozen=True, slots=True)
class ChecksRow:
    """Everything that was checked about an entry, and with what."""

    entry: Annotated[str, says("the id of the entry")]
    verdict: Annotated[Verdict, says("the worst of all checks that count")]
    seed: Annotated[int, says("from which the points were drawn")]
    versions: Annotated[dict[str, str], says("of Python and of the libraries that took part")]
    key: Annotated[str, says("a digest of all that the evidence depends on")]
    checks: Annotated[tuple[CheckRow, ...], says("one by one")]


@dataclass(frozen=True, slots=True)
class EvidenceDocument:
    """The evidence of a catalogue."""

    format: Format
    evidence: Annotated[dict[str, ChecksRow], says("by id of the entry")]


def schema(document: type[CatalogueDocument] | type[EvidenceDocument]) -> str:
    """The JSON Schema (draft 2020-12) of a document."""
    made = TypeAdapter(document).json_schema(schema_generator=_Untitled, mode="serialization")
    made["description"] = f"{made['description']} {_POLICY}"
    return json.dumps({"$schema": GenerateJsonSchema.schema_dialect, **made}, indent=1) + "\n"


class _Untitled(GenerateJsonSchema):
    """Without a title for each key that only repeats the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
