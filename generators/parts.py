"""The plain data of which the view of an entry consists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from generators.bibtex_text import person

if TYPE_CHECKING:
    from kb.evidence import Check
    from kb.evidence.verdict import Verdict

_RELATIONS = (" = ", r" \leftarrow ", r" \ge ", r" \le ")
_DEPTH = {"{": 1, "}": -1, "(": 1, ")": -1}


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in LaTeX and in Unicode."""

    latex: str
    text: str

    @property
    def rows(self) -> tuple[Row, ...]:
        """The statements of an aligned formula one by one."""
        return rows_of(self.latex)


class Row(NamedTuple):
    """A statement in LaTeX: ``left`` of the place where rows are aligned, and ``right``."""

    left: str
    right: str


def rows_of(latex: str) -> tuple[Row, ...]:
    """The rows of an ``aligned`` environment; any other formula is one row, aligned at its relation."""
    begin, end = "\\begin{aligned}\n", "\n\\end{aligned}"
    if latex.startswith(begin) and latex.endswith(end):
        return tuple(_row(row) for row in latex[len(begin) : -len(end)].split(" \\\\\n"))
    return (_row(latex),)


def _row(latex: str) -> Row:
    depth = 0
    for at, sign in enumerate(latex):
        depth += _DEPTH.get(sign, 0)
        if depth == 0 and sign == "&":
            return Row(latex[:at].strip(), latex[at + 1 :].strip())
        if depth == 0 and sign == " " and latex.startswith(_RELATIONS, at):
            return Row(latex[:at], latex[at + 1 :])
    return Row("", latex)


def product_of(sizes: Sequence[Formula]) -> str:
    """The sizes of an array in LaTeX, ``m \\times n``; a sum among them stands in parentheses."""
    if len(sizes) == 1:
        return sizes[0].latex
    return r" {\times} ".join(f"({s.latex})" if set("+-") & set(s.latex) else s.latex for s in sizes)


@dataclass(frozen=True, slots=True)
class SymbolView:
    """A symbol: ``sizes`` has one formula per axis; ``kind`` says what values it takes, ``values`` in fewer words."""

    name: str
    glyph: Formula
    sizes: tuple[Formula, ...]
    kind: str
    values: str
    role: str
    default: str | None
    outside: str | None
    instance: str | None
    about: str


@dataclass(frozen=True, slots=True)
class ShapeView:
    """An array that a derivative speaks of; ``role`` is symbol, cotangent, tangent or derivative."""

    role: str
    glyph: Formula
    sizes: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class TotalView:
    """A cotangent that is marked as a total: of what, and what the bar alone would be.

    That is the cotangent ``given`` for a value that other results read too, or else a step of the
    definition, such as a mean.
    """

    glyph: Formula
    of: Formula
    bar: Formula
    given: bool


@dataclass(frozen=True, slots=True)
class DerivativeView:
    """One form of the derivative with respect to some symbols; ``uses`` are the constraints it needs.

    ``saved`` are values of the definition that a backward pass reads: what the forward pass must keep.
    """

    form: str
    wrt: tuple[str, ...]
    formula: Formula
    shapes: tuple[ShapeView, ...]
    steps: tuple[str, ...]
    uses: tuple[str, ...]
    totals: tuple[TotalView, ...]
    saved: tuple[Formula, ...] = ()

    def of_role(self, role: str) -> tuple[ShapeView, ...]:
        """The shapes of its cotangents, or of the derivatives."""
        return tuple(s for s in self.shapes if s.role == role)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a derivation: its rule, the constraints that it uses, and the equation that it leads to."""

    rule: str
    because: tuple[str, ...]
    formula: Formula


@dataclass(frozen=True, slots=True)
class DerivationView:
    """The way to the derivative by ``symbol``; ``latex`` is all of it, ``summary`` says how it was checked."""

    symbol: str
    steps: tuple[StepView, ...]
    latex: str
    summary: str


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim and what the evidence says of it."""

    name: str
    formula: Formula
    about: str
    refuted: bool
    verdict: Verdict
    note: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check; ``sizes`` are places in the list of all sizes of the evidence, from 1 on."""

    check: Check
    sizes: tuple[int, ...]

    @property
    def remarks(self) -> tuple[str, ...]:
        """The order of differences, and what the check itself says."""
        order = f"order {self.check.order:.1f}" if self.check.order is not None else ""
        return tuple(filter(None, (order, self.check.note)))


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question of the evidence, with the checks that answer it."""

    wording: str
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """Another entry, and whether it is shown here too."""

    id: str
    name: str
    has_page: bool = True


class ComparisonRow(NamedTuple):
    """What an entry and a variant are ``given`` by themselves, or what each ``gives``.

    ``glyphs`` are the symbol, or both where their names differ; numbers are empty where there are none.
    """

    word: str
    glyphs: tuple[Formula, ...]
    own: str
    other: str


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """An entry and a variant on the same numbers: those that both take, and what differs.

    ``found`` has all numbers for other programs.
    """

    shared: tuple[tuple[Formula, str], ...]
    rows: tuple[ComparisonRow, ...]
    found: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VariantView:
    """A variant; ``about`` says what the entry ``of`` does differently."""

    link: Link
    about: str
    of: str
    formula: Formula
    comparison: ComparisonView | None


@dataclass(frozen=True, slots=True)
class PlotView:
    """A plot of an entry; ``key`` tells several apart.

    ``svg`` is a whole picture that also stands by itself. ``caption`` is a text of this program's own
    with formulas in LaTeX between dollar signs; nothing else in it has a meaning in any format.
    ``alt`` says in words what is seen, and ``about`` is what the author adds, if anything.
    """

    key: str
    svg: str
    caption: str
    alt: str
    about: str


@dataclass(frozen=True, slots=True)
class ReferenceView:
    """A reference; ``url`` leads to it where that is known."""

    authors: tuple[str, ...]
    title: str
    venue: str
    year: str
    url: str

    @property
    def cited(self) -> str:
        """Surnames and year: ``Kingma and Ba 2015``; of more than two authors the first."""
        names = [person(a).last for a in self.authors]
        shown = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return f"{shown} {self.year}".strip()


@dataclass(frozen=True, slots=True)
class Shown:
    """What takes long to make of an entry, all of it: it depends on the catalogue alone, not on evidence.

    ``glyphs`` are those of all symbols by name, ``written`` the claims and conditions by their text;
    ``renews`` says that derivatives tell the new values of states from the old ones by a plus.
    ``answers`` are what the command prints as JSON of every formula; ``comparisons`` are with each
    variant by id, None where both take no numbers in common, and ``beside`` the formulas of variants.
    """

    formula: Formula
    goal: Formula | None
    glyphs: dict[str, Formula]
    symbols: tuple[SymbolView, ...]
    written: dict[str, Formula]
    renews: bool
    partials: tuple[DerivativeView, ...]
    vjps: tuple[DerivativeView, ...]
    backward: DerivativeView | None
    hessians: tuple[DerivativeView, ...]
    highlights: tuple[DerivativeView, ...]
    is_scalar: bool
    derivations: tuple[DerivationView, ...]
    answers: dict[str, Any]
    code: str
    functions: str
    comparisons: dict[str, ComparisonView | None]
    beside: dict[str, Formula]
    plots: tuple[PlotView, ...]
