"""Derivations for a student: from the definition to the derivative, rule by rule, each line checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kb import tree

if TYPE_CHECKING:
    from kb.derivation.chains import Chain, Way
    from kb.derivation.check import Checked
    from kb.index.program import Program
    from kb.model import Entry
    from kb.printing.breaking import Row
    from kb.printing.glyphs import Context
    from kb.programs import Programs

__all__ = ["Derivation", "DerivationStep", "derivation"]


@dataclass(frozen=True)
class Statement:
    """``left = right``; ``left`` is None where the statement goes on from the one before."""

    left: tree.Node | None
    right: tree.Node
    left_text: str
    right_text: str
    left_latex: str
    right_latex: str
    context: Context = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The statement in Unicode."""
        return f"{self.left_text} = {self.right_text}" if self.left is not None else f"= {self.right_text}"

    @property
    def latex(self) -> str:
        """The statement in LaTeX, without dollar signs."""
        return f"{self.left_latex} = {self.right_latex}"

    @property
    def rows(self) -> list[Row]:
        """The statement in LaTeX, in as many rows as it takes."""
        from kb.printing.breaking import broken

        return broken(self.left_latex, "=", self.right_latex, self.right, self.context)

    @property
    def source(self) -> str:
        """The statement in the language."""
        if isinstance(self.left, (tree.Name, tree.Element)):
            return str(tree.Step((self.left,), self.right))
        if isinstance(self.left, tree.Call) and self.left.function == "tuple":
            return f"{', '.join(map(str, self.left.arguments))} = {self.right}"
        return str(tree.Claim(self.left, "==", self.right)) if self.left is not None else str(self.right)


@dataclass(frozen=True)
class DerivationStep:
    """One step: the name of its rule, and what it leads to (a definition has several statements).

    ``text`` and ``latex`` are whole equations, also where the step goes on from the one before
    (then ``continues``); ``because`` holds the constraints that were used, in Unicode and in LaTeX.
    """

    rule: str
    statements: tuple[Statement, ...] = field(repr=False)
    text: str
    latex: str
    continues: bool = False
    because: tuple[str, ...] = ()
    because_latex: tuple[str, ...] = ()


@dataclass(frozen=True)
class Derivation:
    """The way from the definition of an entry to its partial derivative, every line checked by numbers.

    ``points`` random points of the domain were taken at which ``numbers`` pairs of lines were
    compared; ``difference`` is the largest relative difference.
    """

    entry: str
    symbol: str
    steps: tuple[DerivationStep, ...]
    points: int
    numbers: int
    difference: float

    def text(self, width: int = 100) -> str:
        """Unicode for a terminal of so many columns: the formulas, the rules beside them."""
        from kb.derivation.show import as_text

        return as_text(self, width)

    def latex(self) -> str:
        """An ``aligned`` environment with the rules as remarks, without dollar signs."""
        from kb.derivation.show import as_latex

        return as_latex(self)

    def markdown(self) -> str:
        """Numbered steps, each with its formulas between ``$$``."""
        from kb.derivation.show import as_markdown

        return as_markdown(self)

    def as_json(self) -> dict[str, Any]:
        """Plain data: every formula in the language, in Unicode and in LaTeX."""
        from kb.derivation.show import as_json

        return as_json(self)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What a notebook shows."""
        from kb.printing.mime import LATEX, MARKDOWN, PLAIN, bundle

        formats = {LATEX: lambda: f"$$\n{self.latex()}\n$$", MARKDOWN: self.markdown, PLAIN: self.text}
        return bundle(formats, include, exclude)

    @property
    def summary(self) -> str:
        """The sentence about the check."""
        count, points = len(self.steps), "1 point" if self.points == 1 else f"{self.points} points"
        which = f"each of the {count} steps" if count > 1 else "the step"
        return f"{which} checked: {points}, largest difference {self.difference:.0e}"


def derivation(
    entry: Entry, program: Program, symbol: str, programs: Programs, points: int | None = None, keep: bool = False
) -> Derivation:
    """Derive an entry by one of its real symbols; ``points`` is how many random points check each line.

    With ``keep`` the numbers of an earlier check are used while nothing has changed. Raises
    NotDifferentiable, and CheckFailed if a line does not hold.
    """
    from kb.derivation.chains import way
    from kb.derivation.check import check
    from kb.derivation.kept import kept

    found = way(entry, program, symbol, programs)
    steps = tuple(_Printed(entry, found, programs).steps())

    def checked() -> Checked:
        return check(entry, found, symbol, programs, points)

    numbers = kept(entry, programs.entries, symbol, points, checked) if keep else checked()
    return Derivation(entry.id, symbol, steps, numbers.points, numbers.numbers, numbers.difference)


class _Printed:
    """The steps of a derivation, printed."""

    def __init__(self, entry: Entry, way: Way, programs: Programs) -> None:
        from kb.printing.blocks import with_blocks
        from kb.printing.notation import context_for, names_for, with_ranges
        from kb.printing.text import alike

        self.way = way
        shown: list[tree.Node] = [*way.definitions, *way.uses]
        for chain in way.chains:
            shown += [chain.left, *(row.shown for row in chain.rows)]
        known = with_blocks(context_for(entry, way.program, programs), shown, way.program)
        self.context: Context = alike(shown, with_ranges(known, way.names))
        self.defining: Context = alike(shown, with_ranges(known, names_for(entry, way.program)))

    def steps(self) -> Iterator[DerivationStep]:
        from kb.derivation.chains import DEFINITION

        stated = _decompositions(self.way.definitions)
        definitions = tuple(self.statement(left, right, self.defining) for left, right in stated)
        if definitions:
            text = "\n".join(s.text for s in definitions)
            latex = definitions[0].latex if len(definitions) == 1 else _aligned(definitions)
            yield DerivationStep(DEFINITION, definitions, text, latex)
        for chain in self.way.chains:
            yield from self.chain(chain)

    def chain(self, chain: Chain) -> list[DerivationStep]:
        from kb.derivation.chains import CONSTRAINT
        from kb.printing.latex import latex
        from kb.printing.text import text

        found: list[DerivationStep] = []
        for row in chain.rows:
            whole = self.statement(chain.left, row.shown, self.context)
            rule, used = row.rule, self.way.uses if row.rule == CONSTRAINT else ()
            because = tuple(text(claim, self.context) for claim in used)
            because_latex = tuple(latex(claim, self.context) for claim in used)
            if found and (found[-1].text, found[-1].latex) == (whole.text, whole.latex):
                same = found.pop()  # another tree, but the same to a reader
                rule, because, because_latex = same.rule, same.because, same.because_latex
            own = self.statement(None, row.shown, self.context) if found else whole
            found.append(DerivationStep(rule, (own,), whole.text, whole.latex, bool(found), because, because_latex))
        return found

    def statement(self, left: tree.Node | None, right: tree.Node, context: Context) -> Statement:
        from kb.printing.latex import latex
        from kb.printing.text import text

        sides = ("", "") if left is None else (text(left, context), latex(left, context))
        return Statement(left, right, sides[0], text(right, context), sides[1], latex(right, context), context)


def _decompositions(steps: Sequence[tree.Step]) -> list[tuple[tree.Node, tree.Node]]:
    """Both sides of each step; the results of a decomposition together, ``U, s, V = svd(A)``."""
    from kb.vocabulary import MATRIX_FUNCTIONS

    found: list[tuple[tree.Node, tree.Node]] = []
    waiting = list(steps)
    while waiting:
        first = waiting[0]
        value, count = first.value, 1
        for row in MATRIX_FUNCTIONS.values():
            part = waiting[: len(row.words)]
            calls = [tree.Call(word, value.arguments) for word in row.words] if isinstance(value, tree.Call) else []
            if calls and [step.value for step in part] == calls:
                count = len(calls)
                left = tree.Call("tuple", tuple(step.targets[0] for step in part))
                found.append((left, tree.Call(row.name, calls[0].arguments)))
        if count == 1:
            found.append((first.targets[0], value))
        del waiting[:count]
    return found


def _aligned(statements: tuple[Statement, ...]) -> str:
    rows = " \\\\\n".join(f"{s.left_latex} &= {s.right_latex}" for s in statements)
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"
