"""What a fragment of a paper shows: a definition, one of its derivatives, or a claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from kb import tree
from kb.definitions import definition_rows, formula, shown_statements
from kb.model import NamedClaim
from kb.printing.breaking import Row, latex_lines, statement_rows
from kb.printing.glyphs import Context

if TYPE_CHECKING:
    from kb.equation import Derivative, Equation


@dataclass(frozen=True)
class Subject:
    """The definition of an equation, or one formula that follows from it."""

    equation: Equation
    derivative: Derivative | None = None
    claim: NamedClaim | None = None

    @cached_property
    def rows(self) -> list[list[Row]]:
        """The rows of each statement."""
        if self.derivative is not None:
            shown: list[list[Row]] = self.derivative.presentation.rows()
            return shown
        if self.claim is not None:
            return statement_rows([self._claimed], self.equation.context)
        return definition_rows(self.equation.entry, self.equation.context, self.equation.programs.entries)

    @property
    def _claimed(self) -> tree.Claim:
        assert self.claim is not None
        node = formula(self.claim.text, self.equation.context)
        assert isinstance(node, tree.Claim)  # the schema takes nothing else as a claim
        return node

    def nodes(self) -> Iterator[tree.Node]:
        """The trees of what is shown."""
        if self.derivative is not None:
            shown = self.derivative.presentation
            yield from shown.internal
            for line in shown.content:
                yield from filter(None, (line.left, line.right, line.constrained))
            if shown.constrained:
                yield from shown.uses
        elif self.claim is not None:
            yield self._claimed
        else:
            yield from self._stated()

    def definitions(self) -> Mapping[str, tuple[tree.Step, Context]]:
        """Steps that a formula of the equation may speak of, which it does not show itself, by their names."""
        if self.derivative is not None:
            shown = self.derivative.presentation
            found = [(step, shown.defining) for step in shown.before if step not in shown.internal]
        elif self.claim is not None:
            found = [(s, self.equation.context) for s in self._stated() if isinstance(s, tree.Step)]
        else:
            found = []
        made: dict[str, tuple[tree.Step, Context]] = {}
        for step, context in found:
            for target in step.targets:
                base = target.base if isinstance(target, tree.Element) else target
                if isinstance(base, tree.Name):
                    made.setdefault(base.id, (step, context))
        return made

    def _stated(self) -> list[tree.Step | tree.Claim]:
        return shown_statements(self.equation.entry, self.equation.context, self.equation.programs.entries)


def step_latex(step: tree.Step, context: Context) -> str:
    """A definition within a sentence."""
    return latex_lines([step], context)
