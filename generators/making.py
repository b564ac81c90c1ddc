"""What is shown of an entry, made from the finished equation: formulas, derivatives, code, comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from generators.answers import answers
from generators.parts import (
    ComparisonView,
    DerivationView,
    DerivativeView,
    Formula,
    PlotView,
    ShapeView,
    Shown,
    StepView,
    SymbolView,
    TotalView,
)
from generators.source import functions_of
from generators.variants import comparison
from kb import tree
from kb.definitions import formula, timeless
from kb.meanings import kind_of, values_of
from kb.printing import latex as print_latex
from kb.printing import latex_display
from kb.printing import text as print_text
from kb.printing.notation import new_states, timeline

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.derivation import Derivation
    from kb.equation import Derivative, Equation
    from kb.model import Entry, Symbol
    from kb.printing.glyphs import Context
    from kb.printing.presentation import Presentation

_MATRIX = 2  # axes
_FEW = 3
_LONGEST = 90  # parts of a formula that can be read at a glance


class Making:
    """The parts of ``Shown``, each made when it is first read."""

    def __init__(self, equation: Equation, catalogue: Catalogue) -> None:
        self.equation = equation
        self.catalogue = catalogue

    @property
    def entry(self) -> Entry:
        """The record."""
        return self.equation.entry

    def all(self) -> Shown:
        """Every part."""
        return Shown(
            self.formula,
            self.goal,
            self.glyphs,
            self.symbols,
            self.written,
            self.renews,
            self.partials,
            self.vjps,
            self.backward,
            self.hessians,
            self.highlights,
            self.is_scalar,
            self.derivations,
            self.answers,
            self.code,
            self.functions,
            self.comparisons,
            self.beside,
            self.plots,
        )

    # --- what it says -----------------------------------------------------------------------------

    @cached_property
    def formula(self) -> Formula:
        """The definition."""
        return Formula(self.equation.latex(), self.equation.text())

    @cached_property
    def goal(self) -> Formula | None:
        """What an objective chooses, such as the minimum over G of the maximum over D of V."""
        found = self.equation.goal
        return None if found is None else Formula(found.latex, found.text)

    @cached_property
    def glyphs(self) -> dict[str, Formula]:
        """All symbols by name."""
        return {name: Formula(shown.latex, shown.text) for name, shown in self.equation.symbols.items()}

    @cached_property
    def symbols(self) -> tuple[SymbolView, ...]:
        """All symbols in declared order."""
        return tuple(self._symbol(s) for s in self.entry.symbols)

    def _symbol(self, symbol: Symbol) -> SymbolView:
        glyph = self.glyphs[symbol.name]
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
            kind_of(symbol),
            values_of(symbol),
            "" if symbol.role == "input" else symbol.role,
            symbol.default,
            symbol.outside,
            symbol.instance,
            symbol.about,
        )

    @cached_property
    def written(self) -> dict[str, Formula]:
        """The claims and conditions by their text."""
        entry = self.entry
        limits = entry.objective.subject_to if entry.objective is not None else ()
        texts = (*(c.text for c in entry.claims), *entry.requires, *entry.kinks, *limits)
        return {text: self.read(text) for text in texts}

    def read(self, text: str) -> Formula:
        """A formula of the entry, such as a claim, a condition or a size."""
        return _formula(text, self.equation.context)

    @property
    def renews(self) -> bool:
        """Whether derivatives tell the new values of states from the old ones by a plus."""
        return timeline(self.entry) is None and bool(new_states(self.entry))

    # --- derivatives ------------------------------------------------------------------------------

    @cached_property
    def _partials(self) -> tuple[Derivative, ...]:
        return tuple(map(self.equation.derivative, self.entry.differentiate))

    @cached_property
    def _backward(self) -> tuple[Derivative, ...]:
        wrt = self.entry.differentiate
        return (self.equation.vjp(wrt),) if wrt else ()

    @cached_property
    def _hessians(self) -> tuple[Derivative, ...]:
        equation, wrt = self.equation, self.entry.differentiate if self.is_scalar else ()
        made = [equation.hessian(s) for s in wrt if 2 * len(equation.program.shape(s)) <= _MATRIX]
        return tuple(d for d in made if _is_worth_reading(d.presentation))

    @cached_property
    def partials(self) -> tuple[DerivativeView, ...]:
        """The partial derivative by each declared symbol."""
        return tuple(map(self._derivative, self._partials))

    @cached_property
    def vjps(self) -> tuple[DerivativeView, ...]:
        """The backward pass to each declared symbol by itself."""
        wrt = self.entry.differentiate
        return tuple(map(self._derivative, map(self.equation.vjp, wrt) if len(wrt) > 1 else self._backward))

    @cached_property
    def backward(self) -> DerivativeView | None:
        """The backward pass to all declared symbols together; its steps are shared."""
        made = self.vjps if len(self.entry.differentiate) == 1 else map(self._derivative, self._backward)
        return next(iter(made), None)

    @cached_property
    def hessians(self) -> tuple[DerivativeView, ...]:
        """Second derivatives of one number, by each declared symbol for which they are a matrix at most.

        Those that vanish and those that are too long to be read are left out.
        """
        return tuple(map(self._derivative, self._hessians))

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
        are_small = all(axes + len(self.equation.program.shape(n)) <= _MATRIX for n in wrt)
        if self.is_scalar and are_small:
            return self.partials
        backward = (self.backward,) if self.backward is not None else ()
        if len(returns) != 1 or not are_small or len(wrt) > _FEW:
            return backward
        pairs = zip(self._partials, self.partials, strict=True)
        return (*(view for made, view in pairs if not made.presentation.internal), *backward)

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
            tuple(self._saved(derivative.presentation)) if derivative.form == "vjp" else (),
        )

    def _saved(self, presentation: Presentation) -> Iterator[Formula]:
        """Arguments, steps and results that the statements read; a hyperparameter or a size need not be kept."""
        fixed = {s.name for s in self.entry.symbols if s.role == "hyperparameter" or s.kind not in ("real", "label")}
        context = presentation.context
        own = {_name_of(line.left) for line in presentation.content}
        read = dict.fromkeys(name for line in presentation.content for name in tree.names(line.right))
        stated = {_name_of(target) for step in presentation.before for target in step.targets}
        order = [*(s.name for s in self.entry.symbols), *(n for n in read if n in stated)]
        for name in dict.fromkeys(order):
            if name in read and name not in fixed | own:
                node = tree.Name(name)
                yield Formula(print_latex(node, context), print_text(node, context))

    @cached_property
    def _derivations(self) -> tuple[Derivation, ...]:
        from kb.derivation import derivation

        program, programs = self.equation.program, self.equation.programs
        wrt = self.entry.differentiate
        return tuple(derivation(self.entry, program, symbol, programs, keep=True) for symbol in wrt)

    @property
    def derivations(self) -> tuple[DerivationView, ...]:
        """The way to the derivative by each declared symbol, each line checked.

        Raises CheckFailed where a line does not hold.
        """
        return tuple(map(_derivation, self._derivations))

    # --- code and numbers -------------------------------------------------------------------------

    @cached_property
    def answers(self) -> dict[str, Any]:
        """What the command prints as JSON of every formula, evidence apart."""
        made = (*self._partials, *self._hessians, *self._backward)
        return answers(self.equation, self.catalogue, made, self._derivations)

    @cached_property
    def code(self) -> str:
        """The whole module: the function and, where there is something to differentiate by, its backward pass."""
        return self.equation.code(backward=bool(self.equation.differentiable))

    @cached_property
    def functions(self) -> str:
        """The functions of the module, without what supports them.

        Raises ValueError where it is not Python, which no text of a catalogue can bring about.
        """
        try:
            return functions_of(self.code, (self.entry.id, f"{self.entry.id}_vjp"))
        except SyntaxError as error:
            raise ValueError(f"the module of {self.entry.id!r} is not Python: {error.msg}") from error

    @cached_property
    def comparisons(self) -> dict[str, ComparisonView | None]:
        """Numbers that show the difference to each variant."""
        variants = self.catalogue.variants(self.entry.id)
        return {v.id: comparison(self.equation, self.catalogue[v.id], self.catalogue) for v in variants}

    @cached_property
    def beside(self) -> dict[str, Formula]:
        """The formula of each variant."""
        variants = (self.catalogue[v.id] for v in self.catalogue.variants(self.entry.id))
        return {v.id: Formula(v.latex(), v.text()) for v in variants}

    @cached_property
    def plots(self) -> tuple[PlotView, ...]:
        """Plots of the function and its derivative, where there is something to see."""
        from generators.plots import plots_of

        return plots_of(self)


def _derivation(made: Derivation) -> DerivationView:
    steps = tuple(StepView(s.rule, s.because, Formula(s.latex, s.text)) for s in made.steps)
    return DerivationView(made.symbol, steps, made.latex(), made.summary)


def _name_of(target: tree.Node) -> str:
    """The name of what a statement defines, without its indices."""
    return str(target.base if isinstance(target, tree.Element) else target)


def _formula(text: str, context: Context) -> Formula:
    node = formula(text, context)
    return Formula(latex_display(node, context), print_text(node, context))


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
