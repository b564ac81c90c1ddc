"""The definition of an entry as people read it, in Unicode and in LaTeX, from its tree alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from kb import tree
from kb.model import Entry
from kb.parser import parse_expression, parse_statement
from kb.printing.binders import counts_from_one
from kb.printing.functions import declared_signatures, with_functions
from kb.printing.glyphs import Context, split_name
from kb.printing.notation import (
    Calls,
    in_time,
    names_for,
    new_states,
    timeline,
    traits_of,
    with_ranges,
    with_shapes,
)
from kb.printing.ranks import rank
from kb.printing.trees import by_incoming, mapped, renamed, with_old
from kb.printing.written import written_out

if TYPE_CHECKING:
    from kb.index.program import Program
    from kb.printing.breaking import Row

_RELATIONS = {True: ("←", r"\leftarrow"), False: ("=", "=")}


def context_of(entry: Entry, entries: Mapping[str, Entry], program: Program | None = None) -> Context:
    """What the printers should know of the names of an entry; the program tells the sizes of steps and indices."""
    ranks = {s.name: len(s.shape) for s in entry.symbols if s.name not in entry.sides}
    ranks |= {f"{s.name}_next": len(s.shape) for s in entry.symbols if s.role == "state"}
    kinds = {
        s.name: "state" if s.role == "state" else s.kind for s in entry.symbols if s.kind != "real" or s.role == "state"
    }
    context = Context(
        ranks=ranks,
        kinds=kinds,
        glyphs={
            **{n: s.glyph for s in entry.symbols if s.glyph for n in (s.name, f"{s.name}_prev")},
            **(new_states(entry) if timeline(entry) is None else {}),
        },
        signatures=_Signatures(entries, entry),
        calls=Calls(entry, entries),
        time_index=timeline(entry),
        traits=traits_of(entry),
    )
    names = set(ranks)
    context = with_functions(context, declared_signatures(entry))
    for statement in statements(entry):
        if isinstance(statement, tree.Step):
            for target in statement.targets:
                base = target.base if isinstance(target, tree.Element) else target
                extra = len(target.indices) if isinstance(target, tree.Element) else 0
                if isinstance(base, tree.Name) and base.id not in ranks:
                    ranks[base.id] = extra + rank(statement.value, context)
                if isinstance(base, tree.Name):
                    names.add(base.id)
    if context.time_index is not None:
        times = {n: split_name(n, timed=True).shift or 0 for n in sorted(names) if in_time(entry, n)}
        context = replace(context, times=times)
    if program is None:
        return context
    claims = [parse_statement(claim.text) for claim in entry.claims]
    one_based = counts_from_one([*statements(entry), *claims])
    sized = with_shapes(replace(context, limits=True, one_based=one_based), entry, program)
    return with_ranges(sized, names_for(entry, program))


class _Signatures(Mapping[str, tuple[tuple[int, ...], int]]):
    """Axes of the arguments and of the result of entries and of an entry's own functions, looked up when called."""

    def __init__(self, entries: Mapping[str, Entry], own: Entry) -> None:
        self._entries = entries
        self._functions = {s.name: s for s in own.symbols if s.kind == "function"}

    def __getitem__(self, entry_id: str) -> tuple[tuple[int, ...], int]:
        if entry_id in self._functions:
            function = self._functions[entry_id]
            return tuple(map(_axes, function.arguments)), len(function.shape)
        entry = self._entries[entry_id]
        outputs = entry.outputs
        return tuple(len(s.shape) for s in entry.arguments), len(outputs[0].shape) if outputs else 0

    def __contains__(self, entry_id: object) -> bool:
        return entry_id in self._functions or entry_id in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter({**self._functions, **self._entries})

    def __len__(self) -> int:
        return len({**self._functions, **self._entries})


def _axes(argument: str) -> int:
    """The number of axes of a function's argument: 2 for ``A[m, n]``."""
    return argument.count(",") + 1 if "[" in argument else 0


def statements(entry: Entry) -> list[tree.Step | tree.Claim]:
    """The steps of the definition; an identity without an output ends in its claim. Raises LanguageError."""
    stated = entry.define[: len(entry.define) - len(entry.sides)]
    found = [parse_statement(text) for text in stated]
    return [*found, parse_statement(entry.claims[0].text)] if entry.sides else found


def shown_statements(entry: Entry, context: Context, entries: Mapping[str, Entry]) -> list[tree.Step | tree.Claim]:
    """The same, where calls that only pass names on are written out."""
    suffix = "old" if context.time_index is None else "prev"
    return [
        written_out(replace(s, value=with_old(s.value, suffix)), entries, context.ranks)
        if isinstance(s, tree.Step)
        else s
        for s in statements(entry)
    ]


def definition_text(entry: Entry, context: Context, entries: Mapping[str, Entry]) -> list[str]:
    """One line for each step."""
    from kb.printing.text import text_lines

    lines = text_lines(shown_statements(entry, context, entries), context, _relation(entry)[0])
    return [*_goal(entry, context), *lines]


def definition_latex(entry: Entry, context: Context, entries: Mapping[str, Entry]) -> str:
    """The steps below each other, aligned at their relation."""
    from kb.printing.breaking import aligned, flat

    return aligned(flat(definition_rows(entry, context, entries)))


def definition_rows(entry: Entry, context: Context, entries: Mapping[str, Entry]) -> list[list[Row]]:
    """The rows of each step."""
    from kb.printing.breaking import statement_rows

    return statement_rows(shown_statements(entry, context, entries), context, _relation(entry)[1])


def timeless(context: Context) -> Context:
    """The context of what belongs to no time: the arguments by which an abstract function is declared."""
    return replace(context, times={})


def instances(entry: Entry) -> dict[str, str]:
    """What stands for the abstract functions of an entry where numbers are needed, by the functions as declared."""
    abstract = [s for s in entry.symbols if s.kind == "function" and s.instance]
    return {f"{s.name}({', '.join(a.partition('[')[0] for a in s.arguments)})": s.instance or "" for s in abstract}


def _relation(entry: Entry) -> tuple[str, str]:
    """States change in place unless each has its time."""
    return _RELATIONS[entry.kind == "update" and entry.time is None]


def _goal(entry: Entry, context: Context) -> list[str]:
    """What an objective chooses."""
    objective = entry.objective
    if objective is None:
        return []
    parts = [
        f"{word} over {', '.join(formula_text(n, context) for n in names)}"
        for word, names in (("minimize", objective.minimize), ("maximize", objective.maximize))
        if names
    ]
    if objective.subject_to:
        parts.append("subject to " + ", ".join(formula_text(c, context) for c in objective.subject_to))
    return ["; ".join(parts)]


class Goal(NamedTuple):
    """What an objective chooses, in LaTeX and in Unicode."""

    latex: str
    text: str


def goal_of(entry: Entry, outputs: Sequence[str], context: Context) -> Goal | None:
    """What an objective chooses, such as the minimum over G of the maximum over D of V; None for other kinds."""
    from kb.printing import latex_display, symbol_latex, symbol_text
    from kb.printing.text_calls import low_text

    objective = entry.objective
    if objective is None:
        return None
    over = [*(("min", name) for name in objective.minimize), *(("max", name) for name in objective.maximize)]
    latex = [rf"\{word}_{{{symbol_latex(name, context)}}}" for word, name in over]
    text = [f"{word}{low_text(symbol_text(name, context))}" for word, name in over]
    latex.append(r",\, ".join(symbol_latex(name, context) for name in outputs))
    text.append(", ".join(symbol_text(name, context) for name in outputs))
    limits = [formula(limit, context) for limit in objective.subject_to]
    chosen = r" \; ".join(latex)
    if not limits:
        return Goal(chosen, " ".join(text))
    shown = r",\ ".join(latex_display(limit, context) for limit in limits)
    text.append(f"subject to {', '.join(formula_text(limit, context) for limit in objective.subject_to)}")
    return Goal(rf"{chosen} \quad \text{{subject to }} {shown}", " ".join(text))


def formula_text(text: str, context: Context) -> str:
    """A claim, a condition or an expression in Unicode."""
    from kb.printing.text import text as print_text

    return print_text(formula(text, context), context)


def formula(text: str, context: Context) -> tree.Node:
    """A claim, a condition or an expression of an entry as it is printed."""
    from kb.errors import LanguageError

    try:
        statement = parse_statement(text)
    except LanguageError:
        return parse_expression(text)
    states = [name for name, kind in context.kinds.items() if kind == "state"]
    if not isinstance(statement, tree.Claim) or not states:
        return statement
    claim = with_old(by_incoming(statement, states), "prev")
    return claim if context.time_index is not None else _with_new_states(claim, states)


def _with_new_states(claim: tree.Node, states: list[str]) -> tree.Node:
    """A claim of an update without times: what it calls x is ``x^+``, and the incoming ``x_prev`` is x."""
    names = {new: old for s in states for new, old in ((s, f"{s}_next"), (f"{s}_prev", s))}
    return mapped(claim, lambda side: renamed(side, names))
