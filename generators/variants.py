"""An entry beside a variant, as templates and other programs see them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from generators.parts import ComparisonRow, ComparisonView, Formula
from kb.comparison import Comparison, numbers_text
from kb.definitions import formula, instances, timeless
from kb.errors import EqkbError
from kb.printing import latex, text

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.equation import Equation


def comparison(one: Equation, other: Equation, catalogue: Catalogue) -> ComparisonView | None:
    """Both on the same numbers; None where there are none that both take."""
    found: Comparison | None = None
    with suppress(EqkbError):
        found = catalogue.compare(one.id, other.id)
    if found is None:
        return None
    rows = []
    for row in found.rows:
        pairs = zip((one, other), row.names, strict=True)
        glyphs = [_glyph(e, n, row.word) for e, n in pairs if n is not None]
        numbers = ["" if name is None else numbers_text(v) for name, v in zip(row.names, row.values, strict=True)]
        rows.append(ComparisonRow(row.word, tuple(dict.fromkeys(glyphs)), numbers[0], numbers[1]))
    shared = [(_glyph(one, name, "given"), numbers_text(value)) for name, value in found.shared.items()]
    functions = [(_function(e, call), instance) for e in (one, other) for call, instance in instances(e.entry).items()]
    return ComparisonView(tuple(dict.fromkeys([*functions, *shared])), tuple(rows), _plain(found))


def _plain(found: Comparison) -> dict[str, Any]:
    return {"shared": dict(found.shared), "sides": [asdict(side) for side in found.sides]}


def _function(equation: Equation, call: str) -> Formula:
    context = timeless(equation.context)
    node = formula(call, context)
    return Formula(latex(node, context), text(node, context))


def _glyph(equation: Equation, name: str, word: str) -> Formula:
    symbol = equation.symbols[name]
    return Formula(*(equation.given(name) if word == "given" else (symbol.latex, symbol.text)))
