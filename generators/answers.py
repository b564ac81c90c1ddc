"""What the command prints as JSON of every formula of an entry, by the anchor of the formula on a page.

Evidence apart, which is not there yet when this is made: an answer that tells a verdict says ``not checked``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kb.answers import claim_answer, derivative_answer, entry_answer, goal_answer

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.derivation import Derivation
    from kb.equation import Derivative, Equation

DEFINITION, GOAL, BACKWARD = "definition", "goal", "backward"


def anchor_of(derivative: Any) -> str:
    """Of a derivative that a page shows, or of its view: ``partial-x``, ``hessian-x``, ``backward``."""
    return BACKWARD if derivative.form == "vjp" else f"{derivative.form}-{derivative.wrt[0]}"


def claim_anchor(name: str) -> str:
    """Of a claim."""
    return f"claim-{name}"


def partial_anchor(symbol: str) -> str:
    """Of the partial derivative by a symbol."""
    return f"partial-{symbol}"


def derivation_anchor(symbol: str) -> str:
    """Of the way to the derivative by a symbol."""
    return f"derivation-{symbol}"


def answers(
    equation: Equation, catalogue: Catalogue, derivatives: Iterable[Derivative], derivations: Iterable[Derivation]
) -> dict[str, Any]:
    """The answers for the definition, for derivatives that are shown, for the ways to them, and for claims."""
    return dict(_answers(equation, catalogue, derivatives, derivations))


def _answers(
    equation: Equation, catalogue: Catalogue, derivatives: Iterable[Derivative], derivations: Iterable[Derivation]
) -> Iterator[tuple[str, Any]]:
    yield DEFINITION, entry_answer(equation, catalogue.variants(equation.id), None)
    if equation.goal is not None:
        yield GOAL, goal_answer(equation, equation.goal)
    for derivative in derivatives:
        yield anchor_of(derivative), derivative_answer(derivative, None)
    for claim in equation.entry.claims:
        yield claim_anchor(claim.name), claim_answer(equation, claim)
    for derivation in derivations:
        yield derivation_anchor(derivation.symbol), derivation.as_json()
