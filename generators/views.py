"""The plain data that templates see, made from finished equations.

Text of the catalogue is here as it was written; escaping belongs to each format. Formulas come in
LaTeX without dollar signs and in Unicode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from generators.answers import answers
from generators.parts import (
    CheckView,
    ClaimView,
    DerivativeView,
    Formula,
    Link,
    QuestionView,
    ReferenceView,
    ShapeView,
    SymbolView,
    TotalView,
    VariantView,
    product_of,
)
from generators.source import functions_of
from generators.sources import SourceView, sources_of
from generators.variants import variants_of
from kb import tree
from kb.definitions import formula, timeless
from kb.evidence import QUESTIONS
from kb.model import NamedClaim, Reference, Symbol
from kb.printing import latex as print_latex
from kb.printing import latex_display
from kb.printing import text as print_text
from kb.printing.notation import new_states, timeline
from kb.printing.text_calls import low_text
from kb.vocabulary import DOMAINS

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.derivation import Derivation
    from kb.equation import Derivative, Equation
    from kb.evidence import Check, Evidence
    from kb.printing.glyphs import Context
    from kb.printing.presentation import Presentation

TITLE = "Deep learning equations"
SAFE = "/:?#@!&*+,;=%~-._"  # of a web address; brackets, quotes and dollars mean something in Markdown
_MATRIX = 2  # axes
_FEW = 3
_LONGEST = 90  # parts of a formula that can be read at a glance


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
        chosen = [f"{word}{low_text(symbols[n].text)}" for _, word, n in above]
        text = " ".join([*chosen, ", ".join(v.text for v in value)])
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
            own = timeless(self.equation.context)
            arguments = [_formula(a.partition("[")[0], own) for a in symbol.arguments]
            glyph = Formula(
                f"{glyph.latex}({', '.join(a.latex for a in arguments)})",
                f"{glyph.text}({', '.join(a.text for a in arguments)})",
            )
        return SymbolView(
            symbol.name,
            glyph,
            tuple(self.read(size) for size in self.equation.symbols[symbol.name].shape),
            self._kind(symbol),
            _values(symbol),
            "" if symbol.role == "input" else symbol.role,
            symbol.default,
            symbol.outside,
            symbol.instance,
            symbol.about,
        )

    def _kind(self, symbol: Symbol) -> str:
        domain = DOMAINS[symbol.domain].about
        match symbol.kind:
            case "real" if symbol.domain == "real" and symbol.role in ("output", "step"):
                return "real"  # not any real number: which ones, the formula says
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

    def read(self, text: str) -> Formula:
        """A formula of the entry, such as a claim, a condition or a size."""
        return _formula(text, self.equation.context)

    @property
    def renews(self) -> bool:
        """Whether derivatives tell the new values of states from the old ones by a plus."""
        return timeline(self.entry) is None and bool(new_states(self.entry))

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

    @cached_property
    def hessians(self) -> tuple[DerivativeView, ...]:
        """Second derivatives of one number, by each declared symbol for which they are a matrix at most.

        Those that vanish and those that are too long to be read are left out.
        """
        if not self.is_scalar:
            return ()
        program = self.equation.program
        made = [self.equation.hessian(s) for s in self.entry.differentiate if 2 * len(program.shape(s)) <= _MATRIX]
        return tuple(self._derivative(d) for d in made if _is_worth_reading(d.presentation))

    @property
    def is_scalar(self) -> bool:
        """Whether every output is one number."""
        return all(not self.equation.program.shape(held) for _, held in self.equation.program.returns)

    @cached_property
    def highlights(self) -> tuple[DerivativeView, ...]:
        """What a cheat sheet has room for: partial derivatives where all are matrices at most, and the backward pass.

        For a value that is one number the backward pass only multiplies, and is left out.
        """
        wrt, returns = self.entry.differentiate, self.equation.program.returns
        axes = max((len(self.equation.program.shape(held)) for _, held in returns), default=0)
        small = [n for n in wrt if axes + len(self.equation.program.shape(n)) <= _MATRIX]
        if self.is_scalar and len(small) == len(wrt):
            return self.partials
        few = small if len(returns) == 1 and len(small) == len(wrt) <= _FEW else []
        made = [self.equation.derivative(name) for name in few]
        partials = [self._derivative(d) for d in made if not d.presentation.internal]
        return (*partials, *([self.backward] if self.backward is not None else []))

    def _derivative(self, derivative: Derivative) -> DerivativeView:
        context = derivative.presentation.context
        return DerivativeView(
            derivative.form,
            derivative.wrt,
            Formula(derivative.latex(), derivative.text()),
            tuple(
                ShapeView(
                    shape.role,
                    Formula(print_latex(shape.subject, context), print_text(shape.subject, context)),
                    tuple(self.read(size) for size in shape.sizes),
                )
                for shape in derivative.presentation.shapes
            ),
            derivative.steps,
            derivative.uses,
            tuple(_totals(derivative.presentation)),
        )

    @cached_property
    def derivation(self) -> Derivation | None:
        """The way to the derivative by the first declared symbol, each line checked.

        Raises CheckFailed where a line does not hold.
        """
        from kb.derivation import derivation

        equation, wrt = self.equation, self.entry.differentiate
        return derivation(self.entry, equation.program, wrt[0], equation.programs, keep=True) if wrt else None

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
        made = [(w, tuple(map(self._check, self.evidence.about(q)))) for q, w in QUESTIONS.items()]
        return tuple(QuestionView(wording, checks) for wording, checks in made if checks)

    def _check(self, check: Check) -> CheckView:
        return CheckView(check, tuple(self.sizes.index(_sizes_text(s)) + 1 for s in check.sizes if s))

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """All sizes at which anything was checked, such as ``n=3, m=2``."""
        checks = self.evidence.checks if self.evidence is not None else ()
        return tuple(dict.fromkeys(_sizes_text(s) for c in checks for s in c.sizes if s))

    @cached_property
    def answers(self) -> dict[str, Any]:
        """What the command prints as JSON of every formula, evidence apart."""
        equation, wrt = self.equation, self.entry.differentiate
        made = [equation.derivative(s) for s in wrt]
        made += [equation.hessian(h.wrt[0]) for h in self.hessians]
        made += [equation.vjp(wrt)] if wrt else []
        return answers(equation, self.catalogue, made, self.derivation)

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
        """Entries to compare, but for those that are linked already: as variants, as used, as using it."""
        linked = {v.id for v in self.catalogue.variants(self.id)} | {link.id for link in (*self.uses, *self.used_by)}
        return tuple(self.link(i) for i in self.entry.related if i not in linked)

    @cached_property
    def sources(self) -> tuple[SourceView, ...]:
        """Items of documents that it covers."""
        return sources_of(self)

    @cached_property
    def variants(self) -> tuple[VariantView, ...]:
        """The same by other conventions, each with numbers that show the difference."""
        return variants_of(self.equation, self.catalogue)

    def link(self, entry_id: str) -> Link:
        """An entry by id."""
        return Link(entry_id, self.catalogue.entry(entry_id).name)

    @property
    def references(self) -> tuple[ReferenceView, ...]:
        """Where the equation comes from."""
        return tuple(_reference(r) for r in self.entry.references)


def _formula(text: str, context: Context) -> Formula:
    node = formula(text, context)
    return Formula(latex_display(node, context), print_text(node, context))


def _sizes_text(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def _totals(presentation: Presentation) -> Iterator[TotalView]:
    """The cotangents on the left sides that are marked as totals."""
    given = {str(shape.subject) for shape in presentation.shapes if shape.role == "cotangent"}

    def shown(name: str) -> Formula:
        node = tree.Name(name)
        return Formula(print_latex(node, presentation.context), print_text(node, presentation.context))

    lefts = [line.left.base if isinstance(line.left, tree.Element) else line.left for line in presentation.content]
    for name in dict.fromkeys(left.id for left in lefts if isinstance(left, tree.Name)):
        base = name.removesuffix("_total_bar")
        if base != name:
            yield TotalView(shown(name), shown(base), shown(f"{base}_bar"), f"{base}_bar" in given)


def _is_worth_reading(presentation: Presentation) -> bool:
    statements = presentation.statements
    vanishes = all(isinstance(line.right, tree.Number) for line in presentation.content)
    return not vanishes and sum(1 for s in statements for _ in tree.walk(s)) <= _LONGEST


def _reference(reference: Reference) -> ReferenceView:
    url = reference.url or (f"https://doi.org/{reference.doi}" if reference.doi else "")
    url = url or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else "")
    year = str(reference.year or "")
    return ReferenceView(reference.authors, reference.title, reference.venue, year, quote(url, safe=SAFE))


def _values(symbol: Symbol) -> str:
    """What is particular about the values of a symbol, in a few words; nothing for any real number or function."""
    match symbol.kind:
        case "real":
            return DOMAINS[symbol.domain].words
        case "integer":
            return ", ".join(filter(None, ("whole number", DOMAINS[symbol.domain].words)))
        case "label":
            return f"label, one of {symbol.classes}"
        case _:
            return ""


@dataclass(frozen=True)
class Topic:
    """The entries of one topic in the order of the catalogue."""

    name: str
    entries: tuple[EntryView, ...]

    @property
    def title(self) -> str:
        """For people: ``Linear algebra``."""
        return topic_title(self.name)

    @cached_property
    def shared(self) -> tuple[SymbolView, ...]:
        """Symbols that mean the same in several entries; of those with several meanings the most frequent one."""
        found: dict[tuple[str, ...], list[SymbolView]] = {}
        for symbol in (s for view in self.entries for s in view.symbols):
            found.setdefault(_explained(symbol), []).append(symbol)
        chosen: dict[str, list[SymbolView]] = {}
        for same in found.values():
            glyph = same[0].glyph.latex
            if len(same) > max(1, len(chosen.get(glyph, ()))):
                chosen[glyph] = same
        return tuple(same[0] for same in chosen.values())

    def own(self, view: EntryView) -> tuple[SymbolView, ...]:
        """The symbols of an entry that are not shared."""
        shared = set(map(_explained, self.shared))
        return tuple(s for s in view.symbols if _explained(s) not in shared)


def _explained(symbol: SymbolView) -> tuple[str, ...]:
    """What a sheet says of a symbol."""
    return (symbol.glyph.latex, product_of(symbol.sizes) if symbol.sizes else "", symbol.about or symbol.kind)


def topic_title(name: str) -> str:
    """``linear-algebra`` as ``Linear algebra``."""
    words = name.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def title_of(topics: Sequence[Topic]) -> str:
    """The title of a sheet; one with a single topic names it."""
    return TITLE if len(topics) != 1 else f"{TITLE}: {topics[0].title[:1].lower()}{topics[0].title[1:]}"


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
