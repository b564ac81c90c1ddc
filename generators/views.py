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

from generators.parts import (
    CheckView,
    ClaimView,
    DerivationView,
    DerivativeView,
    Formula,
    Link,
    PlotView,
    QuestionView,
    ReferenceView,
    Shown,
    SymbolView,
    VariantView,
    product_of,
)
from generators.sources import SourceView, sources_of
from kb.evidence import QUESTIONS
from kb.model import NamedClaim, Reference

if TYPE_CHECKING:
    from generators.making import Making
    from kb.catalogue import Catalogue
    from kb.equation import Equation
    from kb.evidence import Check, Evidence
    from kb.evidence.verdict import Verdict

TITLE = "Deep learning equations"
SAFE = "/:?#@!&*+,;=%~-._"  # of a web address; brackets, quotes and dollars mean something in Markdown


@dataclass(frozen=True)
class EntryView:
    """Everything that is shown of one entry; each part is made when it is first read, unless all is ``known``."""

    equation: Equation
    catalogue: Catalogue
    evidence: Evidence | None = None
    used_by: tuple[Link, ...] = ()
    known: Shown | None = None
    pages: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """The id."""
        return self.equation.id

    @property
    def entry(self) -> Any:
        """The record, for the parts that are plain text."""
        return self.equation.entry

    @property
    def shown(self) -> Shown | Making:
        """What takes long to make."""
        return self.known or self.making

    @cached_property
    def making(self) -> Making:
        """What makes parts that are not known."""
        from generators.making import Making

        return Making(self.equation, self.catalogue)

    @property
    def topic_title(self) -> str:
        """The topic for people."""
        return topic_title(self.entry.topic)

    def glyph(self, name: str) -> Formula:
        """A symbol by name."""
        return self.shown.glyphs[name]

    @property
    def formula(self) -> Formula:
        """The definition."""
        return self.shown.formula

    @property
    def goal(self) -> Formula | None:
        """What an objective chooses, such as the minimum over G of the maximum over D of V."""
        return self.shown.goal

    @property
    def symbols(self) -> tuple[SymbolView, ...]:
        """All symbols in declared order."""
        return self.shown.symbols

    def read(self, text: str) -> Formula:
        """A formula of the entry, such as a claim, a condition or a size."""
        return self.shown.written.get(text) or self.making.read(text)

    @property
    def renews(self) -> bool:
        """Whether derivatives tell the new values of states from the old ones by a plus."""
        return self.shown.renews

    @property
    def partials(self) -> tuple[DerivativeView, ...]:
        """The partial derivative by each declared symbol."""
        return self.shown.partials

    @property
    def vjps(self) -> tuple[DerivativeView, ...]:
        """The backward pass to each declared symbol by itself."""
        return self.shown.vjps

    @property
    def backward(self) -> DerivativeView | None:
        """The backward pass to all declared symbols together; its steps are shared."""
        return self.shown.backward

    @property
    def hessians(self) -> tuple[DerivativeView, ...]:
        """Second derivatives of one number that are a matrix at most, do not vanish and are short enough to read."""
        return self.shown.hessians

    @property
    def is_scalar(self) -> bool:
        """Whether every output is one number."""
        return self.shown.is_scalar

    @property
    def highlights(self) -> tuple[DerivativeView, ...]:
        """What a cheat sheet has room for."""
        return self.shown.highlights

    @property
    def derivations(self) -> tuple[DerivationView, ...]:
        """The way to the derivative by each declared symbol, each line checked."""
        return self.shown.derivations

    @cached_property
    def claims(self) -> tuple[ClaimView, ...]:
        """The claims with their verdicts."""
        return tuple(self._claim(c) for c in self.entry.claims)

    def _claim(self, claim: NamedClaim) -> ClaimView:
        checks = self.evidence.about("claims") if self.evidence is not None else ()
        check = next((c for c in checks if c.name == claim.name), None)
        verdict: Verdict = check.verdict if check is not None else "not checked"
        note = check.note if check is not None else ""
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

    @property
    def answers(self) -> dict[str, Any]:
        """What the command prints as JSON of every formula, evidence apart."""
        return self.shown.answers

    @property
    def code(self) -> str:
        """The whole module: the function and, where there is something to differentiate by, its backward pass."""
        return self.shown.code

    @property
    def functions(self) -> str:
        """The functions of the module, without what supports them."""
        return self.shown.functions

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
        compared, beside = self.shown.comparisons, self.shown.beside
        found = self.catalogue.variants(self.id)
        return tuple(VariantView(self.link(v.id), v.about, v.of, beside[v.id], compared[v.id]) for v in found)

    @property
    def plots(self) -> tuple[PlotView, ...]:
        """Plots of the function and its derivative, where there is something to see."""
        return self.shown.plots

    def link(self, entry_id: str) -> Link:
        """An entry by id."""
        return Link(entry_id, self.catalogue.entry(entry_id).name, entry_id in self.pages)

    @property
    def references(self) -> tuple[ReferenceView, ...]:
        """Where the equation comes from."""
        return tuple(_reference(r) for r in self.entry.references)


def _sizes_text(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def _reference(reference: Reference) -> ReferenceView:
    url = reference.url or (f"https://doi.org/{reference.doi}" if reference.doi else "")
    url = url or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else "")
    year = str(reference.year or "")
    return ReferenceView(reference.authors, reference.title, reference.venue, year, quote(url, safe=SAFE))


@dataclass(frozen=True)
class Topic:
    """Entries that belong together: those of one topic in the order of the catalogue, or a section of a sheet."""

    name: str
    entries: tuple[EntryView, ...]
    heading: str = ""

    @property
    def title(self) -> str:
        """For people: ``Linear algebra``."""
        return self.heading or topic_title(self.name)

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
    catalogue: Catalogue,
    ids: Sequence[str],
    evidence: Mapping[str, Evidence] | None = None,
    known: Mapping[str, Shown] | None = None,
) -> tuple[EntryView, ...]:
    """Views of some entries, each with its evidence and with what is known already, if there is any."""
    users: dict[str, list[str]] = {}
    for caller in dict.fromkeys([*catalogue, *ids]):
        for callee in catalogue.programs.callees(caller):
            users.setdefault(callee, []).append(caller)
    pages = frozenset(ids)
    return tuple(
        EntryView(
            catalogue[i],
            catalogue,
            (evidence or {}).get(i),
            tuple(Link(u, catalogue.entry(u).name, u in pages) for u in users.get(i, ())),
            (known or {}).get(i),
            pages,
        )
        for i in ids
    )


def by_topic(entries: Sequence[EntryView]) -> tuple[Topic, ...]:
    """The entries grouped by topic, topics in order of their first entry."""
    groups: dict[str, list[EntryView]] = {}
    for view in entries:
        groups.setdefault(view.entry.topic, []).append(view)
    return tuple(Topic(name, tuple(group)) for name, group in groups.items())
