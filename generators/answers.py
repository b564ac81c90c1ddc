"""What the command prints as JSON of every formula of an entry, by the anchor of the formula on a page.

Evidence apart, which is not there yet when this is made: an answer that tells a verdict says ``not checked``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from kb.answers import claim_answer, derivative_answer, entry_answer

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.derivation import Derivation
    from kb.equation import Derivative, Equation

DEFINITION, BACKWARD, DERIVATION = "definition", "backward", "derivation"


def anchor_of(derivative: Any) -> str:
    """Of a derivative that a page shows, or of its view: ``partial-x``, ``hessian-x``, ``backward``."""
    return BACKWARD if derivative.form == "vjp" else f"{derivative.form}-{derivative.wrt[0]}"


def claim_anchor(name: str) -> str:
    """Of a claim."""
    return f"claim-{name}"


def answers(
    equation: Equation, catalogue: Catalogue, derivatives: Iterable[Derivative], derivation: Derivation | None
) -> dict[str, Any]:
    """The answers for the definition, for derivatives that are shown, for claims, and for the way to one derivative."""
    return dict(_answers(equation, catalogue, derivatives, derivation))


def _answers(
    equation: Equation, catalogue: Catalogue, derivatives: Iterable[Derivative], derivation: Derivation | None
) -> Iterator[tuple[str, Any]]:
    yield DEFINITION, entry_answer(equation, catalogue.variants(equation.id), None)
    for derivative in derivatives:
        yield anchor_of(derivative), derivative_answer(derivative, None)
    for claim in equation.entry.claims:
        yield claim_anchor(claim.name), claim_answer(equation, claim)
    if derivation is not None:
        yield DERIVATION, derivation.as_json()
