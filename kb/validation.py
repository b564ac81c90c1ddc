"""What is wrong with the formulas of entries: definitions, claims, requirements, kinks, objectives.

Names, shapes, ranges and kinds are checked in index form; nothing is evaluated, so neither SymPy
nor NumPy nor mpmath is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from kb import tree
from kb.errors import EqkbError, Fault, LanguageError
from kb.parser import check_name, parse_expression, parse_statement
from kb.programs import Programs

if TYPE_CHECKING:
    from kb.index.affine import Index
    from kb.index.entries import Elaborated
    from kb.index.expressions import Expressions
    from kb.index.scope import Scope
    from kb.model import Entry

_TOO_DEEP = "nested too deeply; split it into steps"


def semantic_faults(programs: Programs, entry_id: str) -> list[Fault]:
    """All faults of the formulas of one entry, each with its field and the character where it begins."""
    elaborated = programs.elaborated(entry_id)
    faults = list(elaborated.faults)
    if not elaborated.scope.declared:
        return faults
    for field, text, is_claim in _formulas(elaborated.entry):
        # Faults of a definition make those of the formulas about it meaningless, except for plain syntax.
        fault = _fault(programs, elaborated, field, text, is_claim)
        if fault is not None:
            faults.append(fault)
    faults += _identity_faults(elaborated)
    return faults


def _formulas(entry: Entry) -> Iterator[tuple[str, str, bool]]:
    for claim in entry.claims:
        yield f"claims.{claim.name}.formula", claim.text, True
    for n, text in enumerate(entry.kinks):
        yield f"kinks[{n}]", text, False
    if entry.objective is not None:
        for n, text in enumerate(entry.objective.subject_to):
            yield f"objective.subject_to[{n}]", text, False


def _fault(programs: Programs, elaborated: Elaborated, field: str, text: str, is_claim: bool) -> Fault | None:
    from kb.index.scope import Poisoned, shortened

    try:
        if is_claim:
            statement = parse_statement(text)
            if isinstance(statement, tree.Step):
                raise LanguageError("a claim is 'left == right' or 'left >= right'; steps stand under 'define'")
            _check(programs, elaborated, statement)
        else:
            _check(programs, elaborated, parse_expression(text))
    except Poisoned:
        return None
    except LanguageError as error:
        return Fault(shortened(error.message), field, error.start)
    except EqkbError as error:
        return Fault(shortened(str(error)), field)
    except RecursionError:
        return Fault(_TOO_DEEP, field)
    return None


def _check(programs: Programs, elaborated: Elaborated, node: tree.Node) -> None:
    """Elaborate a claim or condition in the entry's scope after its last step; raise what is wrong."""
    expressions = expressions_of(programs, elaborated)
    scope = expressions.scope
    indices = implicit_indices(expressions, node)
    affine = {n for n, i in indices.items() if i.size is None}
    _ranges_of_affine(expressions, node, indices)
    with scope.binding(indices):
        if isinstance(node, tree.Claim):
            left, right = expressions.array(node.left), expressions.array(node.right)
            expressions.broadcast(left.shape, right.shape, node)
            if left.rank and right.rank and left.shape != right.shape:
                raise LanguageError("both sides of a claim have the same shape, or one is a number", node.at)
        else:
            expressions.condition(node)
        for name, found in indices.items():
            if found.size is None:
                raise LanguageError(f"the range of index {name!r} cannot be inferred; read it bare, as in x[{name}]")
        # An index that is only read as in x[2*i + 1] runs over whatever keeps all of its reads in range.
        free = {indices[name] for name in affine}
        scope.obligations = [o for o in scope.obligations if not free & set(o.place.indices())]
        scope.settle()


def expressions_of(programs: Programs, elaborated: Elaborated) -> Expressions:
    """An elaborator in a copy of the entry's scope, as its claims see it."""
    from kb.calculus.hook import derive
    from kb.index.calls import Calls
    from kb.index.expressions import Expressions

    calls = Calls(programs, programs.entries, elaborated.entry.id)
    return Expressions(_copy(elaborated.scope), calls, derive)


def _copy(scope: Scope) -> Scope:
    return replace(
        scope,
        tensors=dict(scope.tensors),
        current=dict(scope.current),
        instances=dict(scope.instances),
        steps=list(scope.steps),
        indices={},
        variables={},
        arrays={},
        poisoned=set(scope.poisoned),
        later=dict(scope.later),
        obligations=[],
    )


def implicit_indices(expressions: Expressions, node: tree.Node) -> dict[str, Index]:
    """The free indices of a claim: names in subscripts or deltas that mean nothing else and that nothing binds.

    Their ranges come from the arrays that they read bare.
    """
    from kb.index.affine import Index
    from kb.index.binders import infer_ranges

    found: dict[str, int] = {}
    _collect(node, frozenset(), expressions.scope, found)
    indices = {name: Index(check_name(name, at, "index")) for name, at in found.items()}
    infer_ranges(expressions, indices, [node])
    return indices


def _ranges_of_affine(expressions: Expressions, node: tree.Node, indices: dict[str, Index]) -> None:
    for part in tree.walk(node):
        if isinstance(part, tree.Element):
            _range_of_affine(expressions, part, indices)


def _range_of_affine(expressions: Expressions, node: tree.Element, indices: dict[str, Index]) -> None:
    """Where ``x[2*i + 1]`` is all that tells, i takes the values for which that is in range."""
    scope = expressions.scope
    if not isinstance(node.base, tree.Name) or node.base.id not in scope.current:
        return
    shape = scope.tensors[scope.current[node.base.id]].shape
    for place, size in zip(node.indices, shape, strict=False):
        own = {n: i for n, i in indices.items() if i.size is None and n in tree.names(place)}
        if len(own) != 1:
            continue
        (index,) = own.values()
        try:
            with scope.binding(own):
                parts = expressions.index(place).split(index)
        except LanguageError:
            continue
        if parts is not None and scope.facts.nonnegative(parts[0] - 1):
            slope, offset = parts
            index.size = (size - offset + slope - 1) // slope


def _means_something(scope: Scope, name: str) -> bool:
    """Whether the author gave the name a meaning; steps taken over from other entries do not count."""
    visible = (scope.current, scope.declared, scope.dimensions, scope.variables, scope.poisoned, scope.later)
    return any(name in names for names in visible)


def _collect(node: tree.Node, bound: frozenset[str], scope: Scope, found: dict[str, int]) -> None:
    from kb.vocabulary import BINDERS

    subscripts: tuple[tree.Node, ...] = ()
    if isinstance(node, tree.Element):
        subscripts = node.indices
    elif isinstance(node, tree.Call) and node.function == "delta":
        subscripts = node.arguments
    elif isinstance(node, tree.Call) and (
        node.function in BINDERS or node.function in ("E", "integral") or _is_reducer(scope, node.function)
    ):
        bound = bound | {a.id for a in node.arguments[1:] if isinstance(a, tree.Name)}
    for subscript in subscripts:
        for part in tree.walk(subscript):
            if isinstance(part, tree.Name) and part.id not in bound and not _means_something(scope, part.id):
                found.setdefault(part.id, part.at)
    for child in node.children():
        _collect(child, bound, scope, found)


def _is_reducer(scope: Scope, name: str) -> bool:
    return name in scope.abstract and scope.abstract[name].kind == "reducer"


def _identity_faults(elaborated: Elaborated) -> list[Fault]:
    """Sides of an identity, and of any claim, that say the same say nothing."""
    faults = []
    for claim in elaborated.entry.claims:
        try:
            statement = parse_statement(claim.text)
        except LanguageError:
            continue
        if isinstance(statement, tree.Claim) and statement.left == statement.right:
            message = "both sides say the same; compute one of them by another route"
            faults.append(Fault(message, f"claims.{claim.name}.formula"))
    return faults
