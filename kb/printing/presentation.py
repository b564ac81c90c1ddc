"""A derivative ready to be printed: shapes, statements, the steps and the constraints behind them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb import tree
from kb.parser import parse_expression
from kb.printing.breaking import Row, aligned, broken, flat
from kb.printing.escape import escape_tex
from kb.printing.glyphs import Context
from kb.printing.latex import latex
from kb.printing.text import alike, text


@dataclass(frozen=True)
class Shape:
    """The sizes of what is shown: ``role`` is symbol, cotangent, tangent or derivative."""

    role: str
    subject: tree.Node
    sizes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """One statement, and what it becomes where the constraints of the symbols hold."""

    left: tree.Node
    right: tree.Node
    constrained: tree.Node | None = None

    @property
    def statement(self) -> tree.Step | tree.Claim:
        """The line in the language."""
        if isinstance(self.left, (tree.Name, tree.Element)):
            return tree.Step((self.left,), self.right)
        return tree.Claim(self.left, "==", self.right)


@dataclass(frozen=True)
class Presentation:
    """A derivative ready to be printed.

    ``before`` holds the definitions of the steps that the statements read, ``internal`` those among
    them that the entry itself does not state (they come from entries that it calls), ``uses`` the
    constraints behind the ``constrained`` form of a line, ``reducers`` the abstract reductions of
    the entry with the instances for which the statements hold.
    """

    entry: str
    form: str
    wrt: tuple[str, ...]
    shapes: tuple[Shape, ...]
    before: tuple[tree.Step, ...]
    internal: tuple[tree.Step, ...]
    content: tuple[Line, ...]
    uses: tuple[tree.Claim, ...]
    context: Context
    defining: Context
    reducers: tuple[tuple[str, str], ...] = ()

    @property
    def statements(self) -> tuple[tree.Step | tree.Claim, ...]:
        """The statements in the order in which they are shown."""
        return tuple(line.statement for line in self.content)

    @property
    def constrained(self) -> tuple[tree.Step | tree.Claim, ...]:
        """The statements that the constraints make shorter."""
        return tuple(Line(c.left, c.constrained).statement for c in self.content if c.constrained is not None)

    # --- text -----------------------------------------------------------------------------------

    def text(self) -> str:
        """Unicode for a terminal: a line of shapes, the statements, the steps that they read."""
        shown = [n for line in self.content for n in (line.left, line.right, line.constrained) if n is not None]
        own, defining = alike([*shown, *self.uses], self.context), alike(self.before, self.defining)
        if own.brackets or defining.brackets:
            own, defining = replace(own, brackets=True), replace(defining, brackets=True)
        return replace(self, context=own, defining=defining)._text()

    def _text(self) -> str:
        lines = _wrapped([self._shape_text(s) for s in self.shapes])
        because = ", ".join(text(claim, self.context) for claim in self.uses)
        for line in self.content:
            left, right = text(line.left, self.context), text(line.right, self.context)
            lines.append(f"  {left} = {right}")
            if line.constrained is not None:
                gap = " " * _width(left)
                lines.append(f"  {gap} = {text(line.constrained, self.context)}    because {because}")
        if self.reducers:
            lines[-1] += "    for " + ", ".join(f"{name} = {instance}" for name, instance in self.reducers)
        if self.before:
            lines.append("where")
            lines += [f"  {text(step, self.defining)}" for step in self.before]
        return "\n".join(lines)

    def _shape_text(self, shape: Shape) -> str:
        shown = [text(parse_expression(size), self.context) for size in shape.sizes]
        sizes = f"[{', '.join(shown)}]" if shown else "a number"
        word = f"{shape.role} " if shape.role in ("cotangent", "tangent") else ""
        return f"{word}{text(shape.subject, self.context)} : {sizes}"

    # --- LaTeX ----------------------------------------------------------------------------------

    def latex(self) -> str:
        """The statements below each other, aligned, without dollar signs.

        Steps of entries that are called come first; those that the entry states are not repeated.
        """
        return aligned(flat(self.rows()))

    def rows(self) -> list[list[Row]]:
        """The rows of each statement that ``latex`` shows."""
        found: list[list[Row]] = []
        for step in self.internal:
            targets = r",\, ".join(latex(t, self.defining) for t in step.targets)
            found.append(broken(targets, "=", latex(step.value, self.defining), step.value, self.defining))
        because = r",\ ".join(latex(claim, self.context) for claim in self.uses)
        for line in self.content:
            left, right = latex(line.left, self.context), latex(line.right, self.context)
            found.append(broken(left, "=", right, line.right, self.context))
            if line.constrained is not None:
                why = rf" \quad \text{{because }} {because}" if because else ""
                found[-1].append(("", f"= {latex(line.constrained, self.context)}{why}"))
        if self.reducers:
            left, right = found[-1][-1]
            known = ", ".join(f"{escape_tex(name)} = {instance}" for name, instance in self.reducers)
            found[-1][-1] = (left, rf"{right} \quad \text{{for {known}}}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Plain data: every formula in the language, in Unicode and in LaTeX."""

        def formula(node: tree.Node) -> dict[str, str]:
            return {"source": str(node), "text": text(node, self.context), "latex": latex(node, self.context)}

        return {
            "entry": self.entry,
            "form": self.form,
            "wrt": list(self.wrt),
            "shapes": [{"role": s.role, "name": str(s.subject), "shape": list(s.sizes)} for s in self.shapes],
            "before": [formula(step) for step in self.before],
            "internal": [formula(step) for step in self.internal],
            "statements": [formula(statement) for statement in self.statements],
            "constrained": [formula(statement) for statement in self.constrained],
            "uses": [formula(claim) for claim in self.uses],
            "reducers": dict(self.reducers),
        }


def _wrapped(items: Sequence[str], width: int = 100, gap: str = "    ") -> list[str]:
    """Items beside each other, as many as a line takes."""
    lines: list[str] = []
    for item in items:
        if lines and _width(lines[-1] + gap + item) <= width:
            lines[-1] += gap + item
        else:
            lines.append(item)
    return lines


def _width(shown: str) -> int:
    """Columns of a text: combining marks take none."""
    return sum(not unicodedata.combining(c) for c in shown)
