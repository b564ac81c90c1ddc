"""Equations, their derivatives and the catalogue as a notebook shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from kb.definitions import formula, timeless
from kb.errors import CatalogueError
from kb.meanings import kind_of, values_of
from kb.parser import parse_expression
from kb.printing import Context, escape_markdown, latex, markdown_display, markdown_inline
from kb.printing.mime import LATEX, MARKDOWN, PLAIN, bold_both, escape_both, markdown_table, paragraphs

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.equation import Derivative, Equation
    from kb.model import Entry
    from kb.printing.presentation import Shape

Formats = dict[str, Callable[[], str]]

_MOST_ENTRIES = 24  # in a table; of more, each topic shows as many as fit
_MOST_ROWS = 4  # of a formula in a table
_ROW = " \\\\\n"  # what ends one


@dataclass(frozen=True)
class Words:
    """Text and formulas as a format writes them."""

    text: Callable[[str], str]
    bold: Callable[[str], str]
    inline: Callable[[str], str]
    display: Callable[[str], str]


_MARKDOWN = Words(escape_markdown, lambda s: f"**{escape_markdown(s)}**", markdown_inline, markdown_display)
_LATEX = Words(escape_both, bold_both, lambda latex: f"${latex}$", lambda latex: f"$$\n{latex}\n$$")


# --- equations ---------------------------------------------------------------------------------------------------


def equation_formats(equation: Equation) -> Formats:
    """Name, what it is about, formula, and what the symbols mean."""
    return {
        LATEX: lambda: paragraphs(_equation(equation, _LATEX)),
        MARKDOWN: lambda: paragraphs(_equation(equation, _MARKDOWN)),
        PLAIN: lambda: _equation_text(equation),
    }


def _equation(equation: Equation, words: Words) -> Iterator[str]:
    entry = equation.entry
    yield ". ".join(filter(None, (words.bold(entry.name), words.text(entry.about))))
    yield _goal(equation, words)
    yield words.display(equation.latex())
    stated = _stated(entry)
    yield words.display(equation.formula_latex(stated)) if stated else ""
    symbols = [_symbol(equation, name, words) for name in equation.symbols]
    yield "where" if symbols else ""
    if words is _MARKDOWN:
        yield "\n".join(f"- {symbol}" for symbol in symbols)
    else:
        yield from symbols


def _stated(entry: Entry) -> str | None:
    """What an entry about a derivative or an identity says, where its definition does not say it: the first claim."""
    if entry.kind not in ("derivative", "identity") or entry.sides:
        return None
    return next((claim.text for claim in entry.claims if not claim.refuted), None)


def _goal(equation: Equation, words: Words) -> str:
    """What an objective chooses."""
    objective = equation.entry.objective
    if objective is None:
        return ""
    parts = [
        f"{what} over {', '.join(words.inline(equation.symbols[n].latex) for n in names)}"
        for what, names in (("minimize", objective.minimize), ("maximize", objective.maximize))
        if names
    ]
    if objective.subject_to:
        limits = ", ".join(words.inline(equation.formula_latex(c)) for c in objective.subject_to)
        parts.append(f"subject to {limits}")
    shown = "; ".join(parts)
    return f"{shown[:1].upper()}{shown[1:]}"


def _symbol(equation: Equation, name: str, words: Words) -> str:
    """What a symbol means, what values it takes and its shape."""
    view = equation.symbols[name]
    symbol = view.declaration
    glyph = view.latex
    if symbol.arguments:
        own = timeless(equation.context)
        given = [latex(formula(a.partition("[")[0], own), own) for a in symbol.arguments]
        glyph += f"({', '.join(given)})"
    sizes = [equation.formula_latex(size) for size in view.shape]
    details = [words.text(values_of(symbol))] if symbol.about else []
    details += [words.inline(_product(sizes))] if sizes else []
    details += [words.text(f"by default {symbol.default}")] if symbol.default is not None else []
    within = ", ".join(filter(None, details))
    meaning = words.text(symbol.about or kind_of(symbol))
    return f"{words.inline(glyph)}: {meaning}{f' ({within})' if within else ''}"


def _product(sizes: Sequence[str]) -> str:
    r"""``m \times n``; a sum among several stands in parentheses."""
    if len(sizes) == 1:
        return sizes[0]
    return r" \times ".join(f"({s})" if set("+-") & set(s) else s for s in sizes)


def _equation_text(equation: Equation) -> str:
    views = equation.symbols.values()
    heads = [f"{v.text} : [{', '.join(map(equation.formula_text, v.shape))}]" if v.shape else v.text for v in views]
    width = max(map(len, heads), default=0)
    meanings = [v.about or kind_of(v.declaration) for v in views]
    symbols = [f"  {head:<{width}}  {meaning}" for head, meaning in zip(heads, meanings, strict=True)]
    stated = _stated(equation.entry)
    lines = [*equation.text().splitlines(), *([equation.formula_text(stated)] if stated else [])]
    formulas = [f"  {line}" for line in lines]
    return "\n".join([equation.name, *formulas, *(["where", *symbols] if symbols else [])])


# --- derivatives -------------------------------------------------------------------------------------------------

_TITLES = {
    "partial": "Partial derivative of {} by {}",
    "jacobian": "Jacobian of {} by {}",
    "hessian": "Second derivatives of {} by {}",
    "vjp": "Backward pass of {} to {}",
    "jvp": "Tangents of {} for those of {}",
}


def derivative_formats(derivative: Derivative) -> Formats:
    """Formula, shapes, the steps that it reads, and the verdict where there is evidence."""
    return {
        LATEX: lambda: paragraphs(_derivative(derivative, _LATEX)),
        MARKDOWN: lambda: paragraphs(_derivative(derivative, _MARKDOWN)),
        PLAIN: lambda: "\n".join([_derivative_title(derivative), derivative.text(), *_verdict(derivative)]),
    }


def _derivative(derivative: Derivative, words: Words) -> Iterator[str]:
    shown, equation = derivative.presentation, derivative.equation
    symbols = ", ".join(words.inline(equation.symbols[name].latex) for name in derivative.wrt)
    yield _TITLES[derivative.form].format(words.bold(equation.name), symbols)
    yield words.display(derivative.latex())
    steps = tuple(step for step in shown.before if step not in shown.internal)
    if steps:
        yield "where"
        yield words.display(replace(shown, internal=steps, content=(), uses=(), reducers=()).latex())
    yield "Shapes: " + "; ".join(_shape(shape, shown.context, words) for shape in shown.shapes)
    yield from (f"Evidence: {words.text(line)}" for line in _verdict(derivative))


def _derivative_title(derivative: Derivative) -> str:
    symbols = ", ".join(derivative.equation.symbols[name].text for name in derivative.wrt)
    return _TITLES[derivative.form].format(derivative.equation.name, symbols)


def _verdict(derivative: Derivative) -> list[str]:
    evidence = derivative.equation.stored_evidence()
    return [evidence.summary()] if evidence is not None else []


def _shape(shape: Shape, context: Context, words: Words) -> str:
    sizes = ", ".join(latex(parse_expression(size), context) for size in shape.sizes)
    role = f"{shape.role} " if shape.role in ("cotangent", "tangent") else ""
    what = words.inline(f"[{sizes}]") if sizes else "a number"
    return f"{role}{words.inline(latex(shape.subject, context))}: {what}"


# --- catalogues --------------------------------------------------------------------------------------------------


def catalogue_formats(catalogue: Catalogue) -> Formats:
    """How many entries each topic has, and the entries with their formulas, of a long catalogue some of each topic.

    There is no LaTeX, which VS Code would take rather than the table.
    """
    return {
        MARKDOWN: lambda: paragraphs(_catalogue(catalogue)),
        PLAIN: lambda: _catalogue_text(catalogue),
    }


def _catalogue(catalogue: Catalogue) -> Iterator[str]:
    shown = _shown(catalogue)
    topics = "; ".join(f"{escape_markdown(topic)} {count}" for topic, count in _topics(catalogue).items())
    yield f"**{_counted(len(catalogue))}**{f': {topics}' if topics else ''}"
    rows = [(f"`{e.id}`", escape_markdown(e.name), _cell(catalogue, e)) for e in shown]
    if rows:
        yield markdown_table(("id", "name", "formula"), rows)
    rest = _rest(catalogue, len(shown))
    yield f"{rest}; `list(catalogue)` has all ids, `catalogue[id]` shows one" if rest else ""


def _catalogue_text(catalogue: Catalogue) -> str:
    shown = _shown(catalogue)
    topics = "; ".join(f"{topic} {count}" for topic, count in _topics(catalogue).items())
    width = max((len(e.id) for e in shown), default=0)
    rows = [f"  {e.id:<{width}}  {e.name}" for e in shown]
    lines = [f"{_counted(len(catalogue))}{f': {topics}' if topics else ''}", *rows, _rest(catalogue, len(shown))]
    return "\n".join(filter(None, lines))


def _counted(count: int) -> str:
    return "1 equation" if count == 1 else f"{count} equations"


def _rest(catalogue: Catalogue, shown: int) -> str:
    return f"and {len(catalogue) - shown} more" if shown < len(catalogue) else ""


def _topics(catalogue: Catalogue) -> Counter[str]:
    return Counter(catalogue.entry(i).topic for i in catalogue)


def _shown(catalogue: Catalogue) -> list[Entry]:
    """All entries, or of a long catalogue the first ones of each topic, as many as fit; in its order."""
    entries = [catalogue.entry(i) for i in catalogue]
    topics = [[e for e in entries if e.topic == topic] for topic in _topics(catalogue)]
    turns = [e.id for turn in zip_longest(*topics) for e in turn if e is not None]
    chosen = set(turns[:_MOST_ENTRIES])
    return [e for e in entries if e.id in chosen]


def _cell(catalogue: Catalogue, entry: Entry) -> str:
    """The formula in one line of Markdown; the first rows of one that has many."""
    try:
        equation, stated = catalogue[entry.id], _stated(entry)
        whole = equation.formula_latex(stated) if stated else equation.latex()
    except CatalogueError:
        return "not well formed; `kb.validate` says why"
    rows = whole.split(_ROW)
    if len(rows) > _MOST_ROWS:
        whole = _ROW.join([*rows[: _MOST_ROWS - 1], "&\\vdots\n\\end{aligned}"])
    return markdown_inline(whole).replace("\n", " ")
