"""What is on the cards of an entry, as the HTML of an Anki note: the formula, each declared derivative, the symbols.

Formulas stand between ``\\(`` and ``\\)`` or ``\\[`` and ``\\]``, which Anki hands to MathJax. Nothing in a text
is markup, a formula, or one of Anki's own marks such as ``[sound:...]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from generators.parts import DerivativeView, Formula, SymbolView, product_of
from generators.rendering import Filters, Ready, render
from generators.views import EntryView
from kb.printing import escape_html
from kb.printing.escape import one_line

CardKind = Literal["formula", "derivative", "symbols"]
_MARKS = str.maketrans({"[": "&#91;", "{": "&#123;"})
_FEW = 6  # arguments that a question names


@dataclass(frozen=True, slots=True)
class CardView:
    """A card; ``key`` tells it from all others and stays when what is on it changes. Everything else is HTML."""

    key: str
    kind: CardKind
    topic: str
    name: str
    question: str
    given: str
    answer: str
    evidence: str
    references: str


def cards(view: EntryView) -> Iterator[CardView]:
    """The cards of one entry."""
    about = escape(view.entry.about)
    yield _card(view, "formula", "", _question(view), about)
    for name, partial, vjp in zip(view.entry.differentiate, view.partials, view.vjps, strict=True):
        backward = None if view.is_scalar else vjp  # it only multiplies what a single number gives
        question = f"What is the derivative by {inline(view.glyph(name))}?"
        made = {"partial": partial, "backward": backward, "constraints": _constraints(view, partial, backward)}
        yield _card(view, "derivative", name, question, display(view.formula), **made)
    yield _card(view, "symbols", "", "What do the symbols mean?", display(view.formula))


def _card(view: EntryView, kind: CardKind, of: str, question: str, given: str, **values: Any) -> CardView:
    return CardView(
        " ".join(filter(None, (view.id, kind, of))),
        kind,
        escape(view.topic_title),
        escape(view.entry.name),
        question,
        given,
        _rendered(kind, view=view, **values),
        _rendered("evidence", view=view),
        _rendered("references", view=view),
    )


def _rendered(name: str, **values: Any) -> str:
    return render(f"anki/{name}.html.j2", escape, _FILTERS, **values).strip()


def _constraints(view: EntryView, *derivatives: DerivativeView | None) -> list[Formula]:
    used = dict.fromkeys(text for d in derivatives if d is not None for text in d.uses)
    return [view.read(text) for text in used]


def _question(view: EntryView) -> str:
    """What is asked for: the outputs, given the arguments where they are few."""
    entry = view.entry
    asked = [s.name for s in entry.outputs]
    given = [s.name for s in entry.arguments if s.default is None and s.name not in asked]
    if not asked:
        return "What does it state?"
    within = f", given {_glyphs(view, given)}" if 0 < len(given) <= _FEW else ""
    what = "What becomes of" if entry.kind == "update" else "What is" if len(asked) == 1 else "What are"
    return f"{what} {_glyphs(view, asked)}{within}?"


def _glyphs(view: EntryView, names: Sequence[str]) -> str:
    shown = [inline(view.glyph(name)) for name in names]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


# --- HTML ------------------------------------------------------------------------------------------


def escape(text: str) -> str:
    """Text for a field. An element around a backslash keeps MathJax from joining it with the bracket after it."""
    parts = re.split(r"(\\)(?=[()\[\]])", one_line(text).strip())
    return "".join("<span>\\</span>" if n % 2 else escape_html(part).translate(_MARKS) for n, part in enumerate(parts))


def display(formula: Formula) -> Ready:
    """A formula in lines of its own."""
    return Ready(f'<div class="formula">\\[{escape_html(formula.latex)}\\]</div>')


def inline(formula: Formula) -> Ready:
    """A formula within a sentence."""
    return Ready(f"\\({escape_html(formula.latex)}\\)")


def where(symbol: SymbolView) -> Ready:
    """What a symbol means, with its values and shape: an item of the list below a formula."""
    about = details(symbol) if symbol.about else ""
    return Ready(f"{inline(symbol.glyph)}: {escape(symbol.about or symbol.kind)}" + (f" ({about})" if about else ""))


def details(symbol: SymbolView) -> Ready:
    """The role of a symbol, its values, shape and default."""
    parts = [symbol.role, escape(symbol.values)]
    if symbol.sizes:
        parts.append(f"\\({escape_html(product_of(symbol.sizes))}\\)")
    if symbol.default is not None:
        parts.append(f"{escape(symbol.default)} by default")
    return Ready(", ".join(filter(None, parts)))


_FILTERS: Filters = {"display": display, "inline": inline, "where": where, "details": details}
