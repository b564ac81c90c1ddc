"""Equations and their derivatives: what a person does with an entry of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kb.errors import CatalogueError, Fault, NotDifferentiable, NotFound, nearest
from kb.model import Entry, NamedClaim, Reference, Symbol

if TYPE_CHECKING:
    from kb.definitions import Goal
    from kb.derivation import Derivation
    from kb.index.program import Program
    from kb.programs import Programs


@dataclass(frozen=True)
class SymbolView:
    """A symbol of an equation: its declaration, and the SymPy object that stands for it.

    ``shape`` holds one size per axis, ``()`` for a number; ``default`` is a number or None.
    """

    declaration: Symbol = field(repr=False)
    _equation: Equation = field(repr=False, compare=False)

    name: str = field(init=False)
    shape: tuple[str, ...] = field(init=False)
    domain: str = field(init=False)
    role: str = field(init=False)
    kind: str = field(init=False)
    about: str = field(init=False)
    default: int | float | None = field(init=False)

    def __post_init__(self) -> None:
        for name in ("name", "shape", "domain", "role", "kind", "about"):
            object.__setattr__(self, name, getattr(self.declaration, name))
        if self.name in self._equation.entry.sides:
            object.__setattr__(self, "shape", _shape(self._equation, dict(self._equation.program.returns)[self.name]))
        text = self.declaration.default
        number = None if text is None else int(text) if self.declaration.kind == "integer" else float(text)
        object.__setattr__(self, "default", number)

    @property
    def latex(self) -> str:
        """The symbol in LaTeX, without dollar signs."""
        from kb.printing import symbol_latex

        return symbol_latex(self.name, self._equation.context)

    @property
    def text(self) -> str:
        """The symbol in Unicode."""
        from kb.printing import symbol_text

        return symbol_text(self.name, self._equation.context)

    @property
    def sympy(self) -> Any:
        """The Symbol, IndexedBase or MatrixSymbol in ``equation.expr``; a Function for an abstract one."""
        return self._equation.sympy_of(self.name)


@dataclass(frozen=True)
class Source:
    """Where an equation lives: all entries that its formulas may call, and the places of faults."""

    programs: Programs
    faults: Callable[[str], Sequence[Fault]]


@dataclass(frozen=True, eq=False)
class Equation:
    """One equation, ready to use.

    Raises CatalogueError with all faults where its formulas, or those that it calls, are wrong.
    """

    entry: Entry
    source: Source = field(repr=False)

    # --- what it says ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id in the catalogue."""
        return self.entry.id

    @property
    def name(self) -> str:
        """The name for people."""
        return self.entry.name

    @property
    def references(self) -> tuple[Reference, ...]:
        """Where the equation comes from."""
        return self.entry.references

    @property
    def programs(self) -> Programs:
        """The programs of all entries that its formulas may call."""
        return self.source.programs

    @cached_property
    def program(self) -> Program:
        """The equation in index form."""
        program = self.source.programs.elaborated(self.entry.id).program
        if program is None:
            raise CatalogueError(list(self.source.faults(self.entry.id)))
        return program

    @cached_property
    def symbols(self) -> Mapping[str, SymbolView]:
        """All symbols by name in declared order, outputs included."""
        return {s.name: SymbolView(s, self) for s in self.entry.symbols}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs in declared order; for an update, of its states."""
        return tuple(public for public, _ in self.program.returns)

    @cached_property
    def differentiable(self) -> tuple[str, ...]:
        """Every real argument, in the order of the arguments."""
        return tuple(s.name for s in self.entry.arguments if s.is_differentiable)

    # --- SymPy ----------------------------------------------------------------------------------

    @cached_property
    def expr(self) -> Any:
        """The output in SymPy's index form with all steps put in place; several outputs: a tuple."""
        form = self._sympy_form(inline=True)
        made = tuple(form.output(held) for _, held in self.program.returns)
        return made[0] if len(made) == 1 else made

    @cached_property
    def steps(self) -> Mapping[str, Any]:
        """Each step by name, in order, in SymPy's index form; it may read earlier ones by name."""
        form = self._sympy_form(inline=False)
        return {name: form.output(name) for name in self.program.step_names()}

    def _sympy_form(self, inline: bool) -> Any:
        from kb.calculus.explicit import explicit
        from kb.index.sympy_form import SympyForm

        return SympyForm(explicit(self.program), inline)

    def sympy_of(self, name: str) -> Any:
        """The SymPy object that stands for a symbol."""
        form = self._sympy_form(inline=False)
        symbol = self.entry.symbol(name)
        if symbol is not None and symbol.kind in ("function", "law", "reducer"):
            import sympy

            return sympy.Function(name)
        if symbol is not None and symbol.role == "output":
            return form.symbol(dict(self.program.returns)[name])
        return form.symbol(name)

    # --- text -----------------------------------------------------------------------------------

    @cached_property
    def context(self) -> Any:
        """What the printers know of the names."""
        from kb.definitions import context_of

        context = context_of(self.entry, self.programs.entries, self.program)
        return replace(context, profile=self.programs.profile)

    def text(self) -> str:
        """The definition in Unicode, one line for each step."""
        from kb.definitions import definition_text

        return "\n".join(definition_text(self.entry, self.context, self.programs.entries))

    def latex(self) -> str:
        """The definition in LaTeX, without dollar signs."""
        from kb.definitions import definition_latex

        return definition_latex(self.entry, self.context, self.programs.entries)

    def given(self, name: str) -> tuple[str, str]:
        """An argument in LaTeX and in Unicode as a call passes it: of a state that has a time, the old value."""
        from kb.printing import symbol_latex, symbol_text

        symbol = self.symbols[name]
        if symbol.role != "state" or not self.entry.time:
            return symbol.latex, symbol.text
        return symbol_latex(f"{name}_prev", self.context), symbol_text(f"{name}_prev", self.context)

    def formula_text(self, text: str) -> str:
        """A claim or a condition of the entry in Unicode."""
        from kb.definitions import formula_text

        return formula_text(text, self.context)

    @property
    def goal(self) -> Goal | None:
        """What an objective chooses, in LaTeX and in Unicode; None for other kinds."""
        from kb.definitions import goal_of

        return goal_of(self.entry, self.outputs, self.context)

    def formula_latex(self, text: str) -> str:
        """A claim or a condition of the entry in LaTeX, without dollar signs."""
        from kb.definitions import formula
        from kb.printing import latex_display

        return latex_display(formula(text, self.context), self.context)

    def claim(self, name: str) -> NamedClaim:
        """A claim by name. Raises NotFound with the nearest names."""
        found = next((c for c in self.entry.claims if c.name == name), None)
        if found is None:
            known = [c.name for c in self.entry.claims]
            listed = f"its claims are {', '.join(known)}" if known else "it has none"
            hint = nearest(name[:60], known) or f"; {listed}"
            raise NotFound(f"{self.entry.id!r} has no claim {name[:60]!r}{hint}")
        return found

    # --- code -----------------------------------------------------------------------------------

    def code(self, backward: bool = False) -> str:
        """A Python module that defines the function and, with ``backward``, its backward pass."""
        return self.source_of("backward", self.differentiable) if backward else self.source_of("value", ())

    def source_of(self, form: str, wrt: tuple[str, ...]) -> str:
        """The module of one of the forms of ``kb.lowering``; it is made once, as many calls of ``lambdify`` need it."""
        made = self._sources.get((form, wrt))
        if made is None:
            from kb.lowering import function_source

            made = self._sources[form, wrt] = function_source(self.entry, self.program, form, wrt)
        return made

    @cached_property
    def _sources(self) -> dict[tuple[str, tuple[str, ...]], str]:
        return {}

    def lambdify(self) -> Callable[..., Any]:
        """The function that ``code`` prints, compiled."""
        from kb.lowering import compile_source

        function: Callable[..., Any] = compile_source(self.code(), self.entry.id)
        return function

    # --- derivatives ----------------------------------------------------------------------------

    def derivative(self, symbol: str) -> Derivative:
        """The partial derivative in index form."""
        return Derivative(self, "partial", self.require_differentiable([symbol]))

    def derivation(self, symbol: str, points: int | None = None) -> Derivation:
        """The way from the definition to the partial derivative, rule by rule, every line checked by numbers.

        ``points`` is how many random points of the domain are taken. Raises CheckFailed if a line does not hold.
        """
        from kb.derivation import derivation

        (name,) = self.require_differentiable([symbol])
        return derivation(self.entry, self.program, name, self.programs, points)

    def jacobian(self, symbol: str) -> Derivative:
        """The Jacobian: output shape, then symbol shape."""
        return Derivative(self, "jacobian", self.require_differentiable([symbol]))

    def hessian(self, symbol: str) -> Derivative:
        """Second derivatives: output shape, then twice the symbol's."""
        return Derivative(self, "hessian", self.require_differentiable([symbol]))

    def vjp(self, wrt: Sequence[str] | str | None = None) -> Derivative:
        """The backward pass to some symbols, or to all that are differentiable."""
        return Derivative(self, "vjp", self._chosen(wrt))

    def jvp(self, wrt: Sequence[str] | str | None = None) -> Derivative:
        """The tangents of the outputs, for tangents of some symbols or of all."""
        return Derivative(self, "jvp", self._chosen(wrt))

    def _chosen(self, wrt: Sequence[str] | str | None) -> tuple[str, ...]:
        if wrt is None:
            if not self.differentiable:
                raise NotDifferentiable(f"{self.entry.id!r} has no real argument to differentiate by")
            return self.differentiable
        return self.require_differentiable([wrt] if isinstance(wrt, str) else list(wrt))

    def require_differentiable(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names, if each is a real argument. Raises NotFound or NotDifferentiable."""
        if not names:
            raise NotDifferentiable("name at least one symbol to differentiate by")
        for name in names:
            symbol = self.entry.symbol(name)
            if symbol is None:
                hint = nearest(str(name)[:60], list(self.symbols)) or f"; its symbols are {', '.join(self.symbols)}"
                raise NotFound(f"{self.entry.id!r} has no symbol {str(name)[:60]!r}{hint}")
            if symbol.role in ("output", "step"):
                raise NotDifferentiable(
                    f"{name!r} is {_article(symbol.role)}; differentiate by {_listed(self.differentiable)}"
                )
            if not symbol.is_differentiable:
                raise NotDifferentiable(
                    f"{name!r} is {_article(symbol.kind)}: there is no derivative with respect to it; "
                    f"differentiate by {_listed(self.differentiable)}"
                )
        return tuple(dict.fromkeys(names))

    # --- evidence -------------------------------------------------------------------------------

    def check(self, progress: Callable[[str], None] | None = None) -> Any:
        """Gather the evidence and keep it: ``verdict``, ``checks``, ``max_error``, ``counterexample``."""
        from kb.evidence import check, store

        found = check(self, progress=progress)
        store(self, found)
        return found

    @property
    def subject(self) -> Any:
        """The equation as evidence and comparisons see it."""
        from kb.evidence.subject import Subject

        return Subject(self.entry, self.program, self.programs)

    def stored_evidence(self) -> Any:
        """What an earlier check found, if it still holds; None if not checked."""
        from kb.evidence import stored

        return stored(self)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What a notebook shows."""
        from kb.display import equation_formats
        from kb.printing.mime import bundle

        return bundle(equation_formats(self), include, exclude)


def _listed(names: Sequence[str]) -> str:
    return " or ".join(map(repr, names)) if names else "nothing: it has no real argument"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeio" else f"a {kind}"


@dataclass(frozen=True, eq=False)
class Derivative:
    """A derivative of an equation: ``form`` is partial, jacobian, vjp, jvp or hessian, ``wrt`` the symbols."""

    equation: Equation
    form: str
    wrt: tuple[str, ...]

    @cached_property
    def expr(self) -> Any:
        """SymPy's index form, in terms of the inputs alone.

        For a partial derivative, Jacobian or Hessian an expression (several outputs: a tuple); for
        a vjp a dictionary from symbols to gradients, for a jvp from outputs to tangents.
        """
        from kb.calculus.explicit import derivative_programs
        from kb.index.sympy_form import SympyForm

        made: dict[str, Any] = {}
        for public, program, held in derivative_programs(self.equation.program, self.form, self.wrt):
            made[public] = 0 if held is None else SympyForm(program, inline=True).output(held)
        if self.form in ("vjp", "jvp"):
            return made
        values = tuple(made.values())
        return values[0] if len(values) == 1 else values

    @cached_property
    def presentation(self) -> Any:
        """The derivative as people write it, for ``text``, ``latex``, ``steps`` and ``uses``."""
        from kb.printing.present import present

        equation = self.equation
        return present(equation.entry, equation.program, self.form, self.wrt, equation.programs)

    @property
    def steps(self) -> tuple[str, ...]:
        """The displayed statements, in the language, those that they read first."""
        shown = self.presentation
        return tuple(str(statement) for statement in (*shown.before, *shown.statements))

    @property
    def uses(self) -> tuple[str, ...]:
        """The constraints that were substituted after differentiating, in the language."""
        return tuple(str(claim) for claim in self.presentation.uses)

    @property
    def shape(self) -> Any:
        """The sizes of the result: a tuple of texts; for several results a dictionary of them."""
        equation = self.equation
        outputs = {public: _shape(equation, held) for public, held in equation.program.returns}
        if self.form == "vjp":
            return {name: _shape(equation, name) for name in self.wrt}
        if self.form == "jvp":
            return outputs
        own = _shape(equation, self.wrt[0]) * (2 if self.form == "hessian" else 1)
        shapes = {public: shape + own for public, shape in outputs.items()}
        return next(iter(shapes.values())) if len(shapes) == 1 else shapes

    def text(self) -> str:
        """Unicode for a terminal."""
        shown: str = self.presentation.text()
        return shown

    def latex(self) -> str:
        """LaTeX, without dollar signs."""
        shown: str = self.presentation.latex()
        return shown

    def code(self) -> str:
        """A Python module that computes it."""
        form = {"partial": "jacobian", "vjp": "backward"}.get(self.form, self.form)
        return self.equation.source_of(form, self.wrt)

    def lambdify(self) -> Callable[..., Any]:
        """The function that ``code`` prints, compiled."""
        from kb.lowering import compile_source

        suffix = "jacobian" if self.form == "partial" else self.form
        function: Callable[..., Any] = compile_source(self.code(), f"{self.equation.entry.id}_{suffix}")
        return function

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What a notebook shows."""
        from kb.display import derivative_formats
        from kb.printing.mime import bundle

        return bundle(derivative_formats(self), include, exclude)


def _shape(equation: Equation, name: str) -> tuple[str, ...]:
    from kb.index.scope import show

    return tuple(show(size) for size in equation.program.shape(name))
