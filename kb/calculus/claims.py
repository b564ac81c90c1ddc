"""Claims in index form: both sides with their free indices, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from kb import tree
from kb.calculus.hook import derive as derive_symbolically
from kb.calculus.settle import Settler
from kb.errors import LanguageError
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.binders import infer_ranges
from kb.index.calls import Calls
from kb.index.entries import Elaborated, ProgramOf
from kb.index.expressions import Derive, Expressions
from kb.index.nodes import Expr, Node, Read, same
from kb.index.program import Program, Step
from kb.index.scope import Array, Scope, show
from kb.parser import check_name, parse_statement
from kb.vocabulary import BINDERS, CONSTANTS

_FLEXIBLE = ("E", "integral")


@dataclass(frozen=True)
class ClaimForm:
    """``left relation right`` for all values of the free indices, in the names of the program.

    The program is the entry's with the steps added that the claim itself needs.
    """

    free: tuple[Index, ...]
    left: Expr
    right: Expr
    relation: str
    program: Program
    claim: tree.Claim


def elaborate_claim(
    elaborated: Elaborated,
    text: str,
    programs: ProgramOf,
    entries: Iterable[str] = (),
    derive: Derive = derive_symbolically,
) -> ClaimForm:
    """The claim in index form, in the scope of an entry after its last step.

    Arrays on both sides are compared element by element. Raises LanguageError.
    """
    claim = parse_statement(text)
    if not isinstance(claim, tree.Claim):
        raise LanguageError("a claim is 'left == right', 'left >= right' or 'left <= right', not a step")
    expressions = after_last_step(elaborated, programs, entries, derive)
    scope = expressions.scope
    indices = implicit_indices(expressions, claim)
    with scope.binding(indices):
        left, right = sides_of(expressions, claim)
        shape = expressions.broadcast(left.shape, right.shape, claim.right)
        axes = tuple(Index(n, s) for n, s in zip(scope.free_names(len(shape)), shape, strict=True))
        sides = [_element(side, axes) for side in (left, right)]
        settle(scope, indices)
    program = Program(
        scope.tensors,
        tuple(scope.steps),
        elaborated.program.returns if elaborated.program else (),
        scope.instances,
        scope.facts,
        tuple(scope.dimensions),
    )
    return ClaimForm((*indices.values(), *axes), sides[0], sides[1], claim.relation, program, claim)


def after_last_step(
    elaborated: Elaborated, programs: ProgramOf, entries: Iterable[str] = (), derive: Derive = derive_symbolically
) -> Expressions:
    """An elaborator in a copy of an entry's scope, as its claims and conditions see it."""
    return Expressions(_copy(elaborated.scope), Calls(programs, entries, elaborated.entry.id), derive)


def implicit_indices(expressions: Expressions, node: tree.Node) -> dict[str, Index]:
    """The free indices of a claim or condition: names in subscripts or deltas that nothing else gives a meaning.

    Their ranges come from what they read, if they can be inferred.
    """
    indices = {n.id: Index(check_name(n.id, n.at, "index")) for n in _free_names(node, expressions.scope)}
    infer_ranges(expressions, indices, [node])
    _ranges_of_affine_reads(expressions, indices, node)
    return indices


def sides_of(expressions: Expressions, claim: tree.Claim) -> tuple[Array, Array]:
    """Both sides of a claim. Raises LanguageError where they cannot be compared."""
    left, right = expressions.array(claim.left), expressions.array(claim.right)
    expressions.broadcast(left.shape, right.shape, claim.right)
    if left.rank and right.rank and left.shape != right.shape:
        raise LanguageError("both sides of a claim have the same shape, or one is a number", claim.at)
    return left, right


def settle(scope: Scope, indices: dict[str, Index]) -> None:
    """Every implicit index has a range, and every read stays inside. Raises LanguageError."""
    for name, index in indices.items():
        if index.size is None:
            raise LanguageError(f"the range of index {name!r} cannot be inferred; read it bare, as in x[{name}]")
    scope.settle()


def is_trivial(form: ClaimForm, identity: bool = False) -> bool:
    """Whether both sides are the same text; for an identity, the same once the steps are put in.

    Nothing is cancelled between steps: a route that divides by what it multiplied with before is another route.
    """
    if form.claim.left == form.claim.right:
        return True
    if not identity or form.relation != "==" or _has_derivative(form.claim):
        return False
    steps = {
        s.name: s
        for s in form.program.steps
        if isinstance(s, Step) and s.is_plain and len(form.program.definitions(s.name)) == 1
    }
    return same(_spelled_out(form.left, steps), _spelled_out(form.right, steps))


def _spelled_out(part: Any, steps: dict[str, Step]) -> Any:
    """The expression with steps in place of their names, and nothing simplified in doing so."""
    if isinstance(part, tuple):
        return tuple(_spelled_out(p, steps) for p in part)
    if isinstance(part, Read) and part.name in steps:
        step = steps[part.name]
        body = build.substitute(build.freshen(step.expr), dict(zip(step.free, part.index, strict=True)))
        return _spelled_out(body, steps)
    if isinstance(part, Node):
        return type(part)(*(_spelled_out(v, steps) for v in part.values))
    return part


def prove(form: ClaimForm) -> bool | None:
    """True where the normal form settles the equation; None where it does not."""
    if form.relation != "==":
        return None
    return True if Settler(form.program).vanishes(form.left, form.right) else None


def _has_derivative(claim: tree.Claim) -> bool:
    return any(
        isinstance(n, tree.Prime) or (isinstance(n, tree.Call) and n.function in ("d", "vjp")) for n in tree.walk(claim)
    )


def _element(side: Array, axes: tuple[Index, ...]) -> Expr:
    return side.at(tuple(Poly.of(i) for i in axes[len(axes) - side.rank :]))


def _copy(scope: Scope) -> Scope:
    """A scope that can be added to without changing the entry's."""
    copied: dict[str, Any] = {}
    for f in fields(Scope):
        value = getattr(scope, f.name)
        copied[f.name] = value.copy() if isinstance(value, (dict, list, set)) else value
    return Scope(**copied)


# --- free indices --------------------------------------------------------------------------------


def _free_names(claim: tree.Node, scope: Scope) -> list[tree.Name]:
    """The names that mean nothing yet and are bound by nothing, each once, that are used as indices."""
    found: dict[str, tree.Name] = {}
    subscripts = _subscripts(claim)

    def visit(node: tree.Node, bound: frozenset[str]) -> None:
        if isinstance(node, tree.Name):
            unknown = not _is_visible(scope, node.id) and node.id not in CONSTANTS and node.id not in bound
            if unknown and node.id in subscripts:
                found.setdefault(node.id, node)
        if isinstance(node, tree.Call):
            bound |= _bound_by(node, scope)
        for child in node.children():
            visit(child, bound)

    visit(claim, frozenset())
    return list(found.values())


def _is_visible(scope: Scope, name: str) -> bool:
    """Whether a claim may read the name; the steps of entries that were called are not visible."""
    return any(name in known for known in (scope.declared, scope.current, scope.dimensions, scope.variables))


def _subscripts(claim: tree.Node) -> set[str]:
    """Names in subscripts and in deltas; any other unknown name is a mistake, not an index."""
    found: set[str] = set()
    for node in tree.walk(claim):
        if isinstance(node, tree.Element):
            found |= {name for i in node.indices for name in tree.names(i)}
        elif isinstance(node, tree.Call) and node.function == "delta":
            found |= {name for a in node.arguments for name in tree.names(a)}
    return found


def _bound_by(node: tree.Call, scope: Scope) -> frozenset[str]:
    reducer = node.function in scope.abstract and scope.abstract[node.function].kind == "reducer"
    if node.function in BINDERS or reducer:
        names = [a.id for a in node.arguments[1:] if isinstance(a, tree.Name)]
        return frozenset(n for n in names if not _is_visible(scope, n))
    if node.function in _FLEXIBLE and len(node.arguments) > 1:
        return frozenset(tree.names(node.arguments[1]))
    return frozenset()


def _ranges_of_affine_reads(expressions: Expressions, indices: dict[str, Index], claim: tree.Node) -> None:
    """An index that is read only as in ``PE[2*i + 1]`` takes as many values as all such reads allow."""
    for name, index in indices.items():
        if index.size is not None:
            continue
        with expressions.scope.binding(indices):
            candidates = list(_affine_bounds(expressions, index, claim))
        if candidates:
            index.size = _least(expressions.scope, name, candidates)


def _affine_bounds(expressions: Expressions, index: Index, claim: tree.Node) -> Iterable[Poly]:
    scope = expressions.scope
    for node in tree.walk(claim):
        if not (isinstance(node, tree.Element) and isinstance(node.base, tree.Name) and node.base.id in scope.current):
            continue
        tensor = scope.tensors[scope.current[node.base.id]]
        for place_node, size in zip(node.indices, tensor.shape, strict=False):
            if index.name not in tree.names(place_node):
                continue
            try:
                place = expressions.index(place_node)
            except LanguageError:  # it also holds an index that is bound inside the claim
                continue
            parts = place.split(index)
            others = [i for i in place.indices() if i is not index]
            if parts is not None and not others and scope.facts.nonnegative(parts[0] - 1):
                yield (size - parts[1] + parts[0] - 1) // parts[0]


def _least(scope: Scope, name: str, candidates: list[Poly]) -> Poly:
    """The bound that is smallest at all sizes that were tried; each read is proven in range afterwards."""
    atoms = sorted({str(a) for c in candidates for a in c.atoms() if isinstance(a, str)})

    def values(candidate: Poly) -> list[int]:
        sizes = ({a: (n * (k + 3)) % 7 + 1 for k, a in enumerate(atoms)} for n in range(1, 43))
        return [candidate.evaluate(lambda a, s=s: s[str(a)]) for s in sizes]  # type: ignore[misc]

    table = [(values(c), c) for c in candidates]
    for own, candidate in table:
        if all(a <= b for other, _ in table for a, b in zip(own, other, strict=True)):
            return candidate
    shown = " and ".join(show(c) for c in candidates)
    raise LanguageError(f"index {name!r} runs over {shown} values; the ranges must agree")
