"""The plain data that templates see, made from finished equations.

Text of the catalogue is here as it was written; escaping belongs to each format. Formulas come in
LaTeX without dollar signs and in Unicode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from generators.source import functions_of
from kb import tree
from kb.errors import LanguageError
from kb.evidence import QUESTIONS
from kb.model import NamedClaim, Reference, Symbol
from kb.parser import parse_expression, parse_statement
from kb.printing import latex_display
from kb.printing import text as print_text
from kb.vocabulary import DOMAINS

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.equation import Derivative, Equation
    from kb.evidence import Check, Evidence

_SAFE = "/:?#@!&*+,;=%~-._"  # of a web address; brackets, quotes and dollars mean something in Markdown
_MATRIX = 2  # axes
_FEW = 3


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula in LaTeX and in Unicode."""

    latex: str
    text: str

    @property
    def rows(self) -> tuple[str, ...]:
        """The statements of an aligned formula, one by one, without their alignment."""
        return rows_of(self.latex)


def rows_of(latex: str) -> tuple[str, ...]:
    """The rows of an ``aligned`` environment; any other formula is one row."""
    begin, end = "\\begin{aligned}\n", "\n\\end{aligned}"
    if not (latex.startswith(begin) and latex.endswith(end)):
        return (latex,)
    rows = latex[len(begin) : -len(end)].split(" \\\\\n")
    return tuple(row.replace("&", "", 1).strip() for row in rows)


def product_of(sizes: Sequence[Formula]) -> str:
    """The sizes of an array in LaTeX, ``m \\times n``; a sum among them stands in parentheses."""
    if len(sizes) == 1:
        return sizes[0].latex
    return r" {\times} ".join(f"({s.latex})" if set("+-") & set(s.latex) else s.latex for s in sizes)


@dataclass(frozen=True, slots=True)
class SymbolView:
    """A symbol: ``sizes`` has one formula per axis, ``kind`` says in words what values it takes."""

    name: str
    glyph: Formula
    sizes: tuple[Formula, ...]
    kind: str
    role: str
    default: str | None
    outside: str | None
    instance: Formula | None
    about: str


@dataclass(frozen=True, slots=True)
class DerivativeView:
    """One form of the derivative with respect to some symbols; ``uses`` are the constraints it needs."""

    form: str
    wrt: tuple[str, ...]
    formula: Formula
    steps: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim and what the evidence says of it."""

    name: str
    formula: Formula
    about: str
    refuted: bool
    verdict: str
    note: str


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question of the evidence, with the checks that answer it."""

    wording: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """Another entry."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ReferenceView:
    """A reference; ``url`` leads to it where that is known."""

    authors: tuple[str, ...]
    title: str
    venue: str
    year: str
    url: str


@dataclass(frozen=True)
class EntryView:
    """Everything that is shown of one entry; each part is made when it is first read."""

    equation: Equation
    catalogue: Catalogue
    evidence: Evidence | None = None
    used_by: tuple[Link, ...] = ()

    @property
    def id(self) -> str:
        """The id."""
        return self.equation.id

    @property
    def entry(self) -> Any:
        """The record, for the parts that are plain text."""
        return self.equation.entry

    @property
    def topic_title(self) -> str:
        """The topic for people."""
        return topic_title(self.entry.topic)

    def glyph(self, name: str) -> Formula:
        """A symbol by name."""
        shown = self.equation.symbols[name]
        return Formula(shown.latex, shown.text)

    @cached_property
    def formula(self) -> Formula:
        """The definition."""
        return Formula(self.equation.latex(), self.equation.text())

    @cached_property
    def goal(self) -> Formula | None:
        """What an objective chooses, such as the minimum over G of the maximum over D of V."""
        objective = self.entry.objective
        if objective is None:
            return None
        above = [(r"\min", "min", n) for n in objective.minimize] + [(r"\max", "max", n) for n in objective.maximize]
        symbols = self.equation.symbols
        value = [symbols[n] for n in self.equation.outputs]
        latex = r" \; ".join(rf"{word}_{{{symbols[n].latex}}}" for word, _, n in above)
        latex += r" \; " + r",\, ".join(v.latex for v in value)
        text = " ".join([*(f"{word}_{symbols[n].text}" for _, word, n in above), ", ".join(v.text for v in value)])
        if objective.subject_to:
            limits = [self.read(t) for t in objective.subject_to]
            latex += r" \quad \text{subject to } " + r",\ ".join(f.latex for f in limits)
            text += " subject to " + ", ".join(f.text for f in limits)
        return Formula(latex, text)

    @cached_property
    def symbols(self) -> tuple[SymbolView, ...]:
        """All symbols in declared order."""
        return tuple(self._symbol(s) for s in self.entry.symbols)

    def _symbol(self, symbol: Symbol) -> SymbolView:
        glyph = self.glyph(symbol.name)
        if symbol.arguments:
            arguments = [self.read(a) for a in symbol.arguments]
            glyph = Formula(
                f"{glyph.latex}({', '.join(a.latex for a in arguments)})",
                f"{glyph.text}({', '.join(a.text for a in arguments)})",
            )
        return SymbolView(
            symbol.name,
            glyph,
            tuple(self.read(size) for size in symbol.shape),
            self._kind(symbol),
            "" if symbol.role == "input" else symbol.role,
            symbol.default,
            symbol.outside,
            self._instance(symbol),
            symbol.about,
        )

    def _kind(self, symbol: Symbol) -> str:
        domain = DOMAINS[symbol.domain].about
        match symbol.kind:
            case "real":
                return domain
            case "integer":
                return "whole number" if symbol.domain == "real" else f"whole number, {domain}"
            case "label":
                return f"label, one of {symbol.classes}"
            case "law":
                return "probability law"
            case kind:
                return str(kind)

    def _instance(self, symbol: Symbol) -> Formula | None:
        """What an abstract symbol stands for in the code; the name of a function as it is."""
        if symbol.instance is None:
            return None
        node = parse_expression(symbol.instance)
        if isinstance(node, tree.Name):
            name = node.id.replace("_", r"\_")
            return Formula(rf"\mathrm{{{name}}}", node.id)
        return self.read(symbol.instance)

    def read(self, text: str) -> Formula:
        """A formula of the entry, such as a claim, a condition or a size."""
        try:
            node: tree.Node = parse_statement(text)
        except LanguageError:
            node = parse_expression(text)
        return Formula(latex_display(node, self.equation.context), print_text(node, self.equation.context))

    @cached_property
    def partials(self) -> tuple[DerivativeView, ...]:
        """The partial derivative by each declared symbol."""
        return tuple(self._derivative(self.equation.derivative(s)) for s in self.entry.differentiate)

    @cached_property
    def vjps(self) -> tuple[DerivativeView, ...]:
        """The backward pass to each declared symbol by itself."""
        return tuple(self._derivative(self.equation.vjp(s)) for s in self.entry.differentiate)

    @cached_property
    def backward(self) -> DerivativeView | None:
        """The backward pass to all declared symbols together; its steps are shared."""
        wrt = self.entry.differentiate
        if len(wrt) == 1:
            return self.vjps[0]
        return self._derivative(self.equation.vjp(wrt)) if wrt else None

    @property
    def is_scalar(self) -> bool:
        """Whether every output is one number."""
        return all(not self.equation.program.shape(held) for _, held in self.equation.program.returns)

    @cached_property
    def highlights(self) -> tuple[DerivativeView, ...]:
        """What a cheat sheet has room for: the backward pass, and partial derivatives up to matrices if they are few.

        For a value that is one number the backward pass only multiplies, and is left out.
        """
        wrt, returns = self.entry.differentiate, self.equation.program.returns
        axes = max((len(self.equation.program.shape(held)) for _, held in returns), default=0)
        small = [n for n in wrt if axes + len(self.equation.program.shape(n)) <= _MATRIX]
        if self.is_scalar and len(small) == len(wrt):
            return self.partials
        few = small if len(returns) == 1 and len(wrt) <= _FEW else []
        made = [self.equation.derivative(name) for name in few]
        partials = [self._derivative(d) for d in made if not d.presentation.internal]
        return (*partials, *([self.backward] if self.backward is not None else []))

    def _derivative(self, derivative: Derivative) -> DerivativeView:
        return DerivativeView(
            derivative.form,
            derivative.wrt,
            Formula(derivative.latex(), derivative.text()),
            derivative.steps,
            derivative.uses,
        )

    @cached_property
    def claims(self) -> tuple[ClaimView, ...]:
        """The claims with their verdicts."""
        return tuple(self._claim(c) for c in self.entry.claims)

    def _claim(self, claim: NamedClaim) -> ClaimView:
        checks = self.evidence.about("claims") if self.evidence is not None else ()
        check = next((c for c in checks if c.name == claim.name), None)
        verdict, note = (check.verdict, check.note) if check is not None else ("not checked", "")
        return ClaimView(claim.name, self.read(claim.text), claim.about, claim.refuted, verdict, note)

    @property
    def verdict(self) -> str:
        """Of all evidence."""
        return self.evidence.verdict if self.evidence is not None else "not checked"

    @property
    def questions(self) -> tuple[QuestionView, ...]:
        """The evidence, question by question."""
        if self.evidence is None:
            return ()
        return tuple(QuestionView(w, self.evidence.about(q)) for q, w in QUESTIONS.items() if self.evidence.about(q))

    @cached_property
    def code(self) -> str:
        """The whole module: the function and, where there is something to differentiate by, its backward pass."""
        return self.equation.code(backward=bool(self.equation.differentiable))

    @cached_property
    def functions(self) -> str:
        """The functions of the module, without what supports them."""
        return functions_of(self.code, (self.id, f"{self.id}_vjp"))

    @cached_property
    def uses(self) -> tuple[Link, ...]:
        """Entries that the definition calls."""
        return tuple(self.link(i) for i in self.catalogue.programs.callees(self.id))

    @property
    def related(self) -> tuple[Link, ...]:
        """Entries to compare."""
        return tuple(self.link(i) for i in self.entry.related)

    def link(self, entry_id: str) -> Link:
        """An entry by id."""
        return Link(entry_id, self.catalogue.entry(entry_id).name)

    @property
    def references(self) -> tuple[ReferenceView, ...]:
        """Where the equation comes from."""
        return tuple(_reference(r) for r in self.entry.references)


def _reference(reference: Reference) -> ReferenceView:
    url = reference.url or (f"https://doi.org/{reference.doi}" if reference.doi else "")
    url = url or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else "")
    year = str(reference.year or "")
    return ReferenceView(reference.authors, reference.title, reference.venue, year, quote(url, safe=_SAFE))


@dataclass(frozen=True)
class Topic:
    """The entries of one topic in the order of the catalogue."""

    name: str
    entries: tuple[EntryView, ...]

    @property
    def title(self) -> str:
        """For people: ``Linear algebra``."""
        return topic_title(self.name)


def topic_title(name: str) -> str:
    """``linear-algebra`` as ``Linear algebra``."""
    words = name.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def views(
    catalogue: Catalogue, ids: Sequence[str], evidence: Mapping[str, Evidence] | None = None
) -> tuple[EntryView, ...]:
    """Views of some entries, each with its evidence if there is any."""
    users: dict[str, list[str]] = {}
    for caller in dict.fromkeys([*catalogue, *ids]):
        for callee in catalogue.programs.callees(caller):
            users.setdefault(callee, []).append(caller)
    found = evidence or {}
    return tuple(
        EntryView(
            catalogue[i],
            catalogue,
            found.get(i),
            tuple(Link(u, catalogue.entry(u).name) for u in users.get(i, ())),
        )
        for i in ids
    )


def by_topic(entries: Sequence[EntryView]) -> tuple[Topic, ...]:
    """The entries grouped by topic, topics in order of their first entry."""
    groups: dict[str, list[EntryView]] = {}
    for view in entries:
        groups.setdefault(view.entry.topic, []).append(view)
    return tuple(Topic(name, tuple(group)) for name, group in groups.items())


__all__ = ["DerivativeView", "EntryView", "Formula", "SymbolView", "Topic", "by_topic", "product_of", "views"]
