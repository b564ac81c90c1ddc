"""What is made wrong about recurrences, accumulations, decompositions, written cells and abstract functions.

As in test_mutations: mutators are general, and evidence must refute every one of their results.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from agreement import equation, of_entry, output
from test_mutations import (
    Codes,
    Mutator,
    dropped_term,
    is_refuted,
    lost_condition,
    mutants_of,
    mutated_claims,
    mutated_code,
    mutated_steps,
    shifted_by_one,
    transposed,
    with_parts,
    wrong_sign,
)

import kb
from kb import tree
from kb.equation import Equation
from kb.evidence.claims import check_claim
from kb.evidence.code import check_code
from kb.evidence.derivatives import check_definition, check_directions
from kb.evidence.subject import Subject
from kb.index import nodes
from kb.index.affine import Poly
from kb.index.nodes import ApplyArray, Bind, Compare, Expr, Node, Num, Pick, Read, Val
from kb.index.program import AnyStep, Loop, Program, Step
from kb.model import Entry, NamedClaim, Symbol
from kb.parser import parse_statement

RECURRENCES = Path(__file__).with_name("recurrences.yaml")

Steps = tuple[AnyStep, ...]
StepsMutator = Callable[[Steps, Program], Iterator[Steps]]


Y = (output("y"),)


def matrix_function() -> Equation:
    f = Symbol("f", ("m",), kind="function", arguments=("M[m,n]", "v[n]"), instance="tanh(M @ v)")
    return equation("y = f(A, x)", "A[n,n] x[n]", own=(f, output("y", "n")))


def neighbours(reducer: str) -> Equation:
    own = (Symbol("AGG", kind="reducer", instance=reducer), output("y", "n", "d"))
    return equation("y[v] = AGG(h[u], u, a[v,u] > 0.5)", "h[n,d] a[n,n]:binary_diagonal", own=own)


def cell() -> Equation:
    symbols = (
        Symbol("W", ("m", "n"), role="state"),
        *(Symbol(name, kind="label", classes=size) for name, size in (("k", "m"), ("j", "n"))),
        Symbol("c"),
    )
    return of_entry(Entry("own", "Own", kind="update", symbols=symbols, define=("W[k, j] = c*W[k,j]**2 + W[0,j]",)))


INVENTED: dict[str, Callable[[], Equation]] = {
    "sum before": lambda: equation("y[t] = sum(x[k]*t, k, k < t)", "x[T]", own=(output("y", "T"),)),
    "product up to": lambda: equation("y[t] = prod(x[k], k, k <= t)", "x[T]", own=(output("y", "T"),)),
    "maximum from": lambda: equation("y[t] = max(x[k], k, k >= t)", "x[T]", own=(output("y", "T"),)),
    "eigenvectors": lambda: equation(("lam, U = eigh(C)", "y = sum(lam[i]*U[0,i]**4, i)"), "C[n,n]", own=Y),
    "singular vectors": lambda: equation(
        "U, s, V = svd(A); y = sum(s[i]*U[0,i]*V[0,i]**3, i)".split("; "), "A[m,n]", own=Y
    ),
    "exponential": lambda: equation("y = expm(A) @ x", "A[n,n] x[n]", own=(output("y", "n"),)),
    "matrix function": matrix_function,
    "neighbours": lambda: neighbours("mean"),
    "cell": cell,
    "joined": lambda: equation("y = concat([sin(x), x**2][b], b)", "x[n]", own=(output("y", "2*n"),)),
}


@cache
def equation_of(name: str) -> Equation:
    return INVENTED[name]() if name in INVENTED else kb.load_catalogue(RECURRENCES)[name]


@cache
def subject_of(name: str) -> Subject:
    found = equation_of(name)
    return Subject(found.entry, found.program, found.source.programs)


# --- mutators of steps ---------------------------------------------------------------------------


def wrong_direction(steps: Steps, _: Program) -> Iterator[Steps]:
    for loop in dict.fromkeys(s.loop for s in steps if isinstance(s, Step) and s.loop is not None):
        other = Loop(loop.index, not loop.backward)
        yield tuple(dataclasses.replace(s, loop=other) if isinstance(s, Step) and s.loop == loop else s for s in steps)


def wrong_start(steps: Steps, _: Program) -> Iterator[Steps]:
    """A start is lost; where it was 0, what is not an array's element reads as 0 as well, so that it becomes 1."""
    looped = looped_names(steps)
    for n, step in enumerate(steps):
        if isinstance(step, Step) and step.loop is None and step.name in looped:
            wrong = nodes.ONE if step.expr == nodes.ZERO else nodes.ZERO
            yield (*steps[:n], dataclasses.replace(step, expr=wrong), *steps[n + 1 :])


def wrong_lag(steps: Steps, program: Program) -> Iterator[Steps]:
    looped = looped_names(steps)

    def moved(node: Node, _: Program) -> Iterator[Node]:
        if isinstance(node, Read) and node.name in looped:
            for n, place in enumerate(node.index):
                for by in (1, -1) if set(place.indices()) & {loop.index} else ():
                    yield Read(node.name, (*node.index[:n], place + by, *node.index[n + 1 :]), node.outside)

    for n, step in enumerate(steps):
        if isinstance(step, Step) and step.loop is not None:
            loop = step.loop
            for expr in mutants_of(step.expr, moved, program):
                assert isinstance(expr, Expr)
                yield (*steps[:n], dataclasses.replace(step, expr=expr), *steps[n + 1 :])


def wrong_place(steps: Steps, _: Program) -> Iterator[Steps]:
    """An element that one step alone writes is another one."""
    for n, step in enumerate(steps):
        if isinstance(step, Step) and not step.is_plain and step.loop is None:
            for axis, place in enumerate(step.target):
                target = (*step.target[:axis], place + 1, *step.target[axis + 1 :])
                yield (*steps[:n], dataclasses.replace(step, target=target), *steps[n + 1 :])


def looped_names(steps: Steps) -> set[str]:
    return {s.name for s in steps if isinstance(s, Step) and s.loop is not None}


def everywhere(mutator: Mutator) -> StepsMutator:
    """A mutator of nodes, in every step."""

    def mutate(steps: Steps, program: Program) -> Iterator[Steps]:
        return mutated_steps(steps, mutator, program)

    mutate.__name__ = mutator.__name__
    return mutate


def shifted_end(node: Node, _: Program) -> Iterator[Node]:
    """``k < t`` for ``k <= t`` and the other way round, in a binder."""
    if isinstance(node, (Bind, Pick)):
        for n, condition in enumerate(node.conditions):
            if isinstance(condition, Compare) and condition.op in ("<", "<="):
                other = Compare("<=" if condition.op == "<" else "<", condition.left, condition.right)
                parts = {"conditions": (*node.conditions[:n], other, *node.conditions[n + 1 :])}
                yield type(node)(*(parts.get(f, v) for f, v in zip(node._fields, node.values, strict=True)))


def wrong_cell(node: Node, _: Program) -> Iterator[Node]:
    """Something else is selected than what a label or a number says."""
    if isinstance(node, Compare) and node.op in ("==", "!="):
        yield Compare("!=" if node.op == "==" else "==", node.left, node.right)
        if isinstance(node.right, Val):
            yield Compare(node.op, node.left, Val(node.right.poly + 1))
        if isinstance(node.right, Num):
            yield Compare(node.op, node.left, Val(Poly.of(int(node.right.value) + 1)))


def transposed_gradient(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, ApplyArray) and len(node.index) > 1:
        *first, a, b = node.index
        yield ApplyArray(node.name, node.wrt, (*first, b, a), node.args)


CASES: dict[StepsMutator, tuple[str, ...]] = {
    wrong_direction: ("discounted_return", "two_lags", "time_last", "both_directions"),
    wrong_start: ("discounted_return", "two_lags", "discounted_return_from_the_last"),
    wrong_lag: ("discounted_return", "two_lags", "both_directions"),
    everywhere(dropped_term): ("discounted_return", "two_lags", "both_directions", "eigenvectors", "singular vectors"),
    everywhere(wrong_sign): ("discounted_return", "sum before"),
    everywhere(shifted_end): ("sum before", "product up to", "maximum from"),
    everywhere(lost_condition): ("sum before", "product up to", "maximum from", "neighbours"),
    everywhere(transposed): ("eigenvectors", "exponential"),
    everywhere(shifted_by_one): ("discounted_return", "joined"),
    everywhere(wrong_cell): ("cell", "joined"),
    everywhere(transposed_gradient): ("matrix function",),
    wrong_place: ("cell", "joined"),
}
SLOW = {("dropped_term", "both_directions"), ("wrong_lag", "both_directions")}
CHANGES = [
    pytest.param(
        mutator,
        name,
        id=f"{mutator.__name__}-{name}",
        marks=[pytest.mark.slow] if (mutator.__name__, name) in SLOW else [],
    )
    for mutator, names in CASES.items()
    for name in names
]
# Differences of eigenvalues are not 0 where they count, whatever is added elsewhere; P_C_bar is symmetric.
EQUIVALENT = {("dropped_term", "F_C"), ("dropped_term", "F_A"), ("transposed", "C_bar")}


def is_equivalent(mutator: StepsMutator, steps: Steps, changed: Steps) -> bool:
    names = [a.name for a, b in zip(steps, changed, strict=True) if a != b]
    return any((mutator.__name__, name) in EQUIVALENT for name in names)


@pytest.mark.parametrize(("mutator", "name"), CHANGES)
def test_wrong_definitions_are_refuted(mutator: StepsMutator, name: str) -> None:
    subject = subject_of(name)
    for steps in mutator(subject.program.steps, subject.program):
        mutant = dataclasses.replace(subject, program=dataclasses.replace(subject.program, steps=steps))
        assert check_definition(mutant).verdict == "refuted", steps


@pytest.mark.parametrize(("mutator", "name"), CHANGES)
def test_wrong_adjoints_are_refuted(mutator: StepsMutator, name: str) -> None:
    subject = subject_of(name)
    backward = subject.backward
    for adjoint in mutator(backward.adjoint, backward.program):
        if is_equivalent(mutator, backward.adjoint, adjoint):
            continue
        program = dataclasses.replace(backward.program, steps=backward.forward + adjoint)
        mutant = with_parts(subject, backward=dataclasses.replace(backward, program=program, adjoint=adjoint))
        assert check_directions(mutant).verdict == "refuted", adjoint


@pytest.mark.parametrize(("mutator", "name"), CHANGES)
def test_every_mutator_finds_something_to_change(mutator: StepsMutator, name: str) -> None:
    subject = subject_of(name)
    found = [*mutator(subject.program.steps, subject.program)]
    assert found or [*mutator(subject.backward.adjoint, subject.backward.program)]


@pytest.mark.parametrize("other", ["sum", "max", "min", "prod"])
def test_another_reducer_is_refuted(other: str) -> None:
    subject = subject_of("neighbours")
    wrong = neighbours(other)
    assert check_definition(dataclasses.replace(subject, program=wrong.program)).verdict == "refuted"
    mutant = with_parts(subject, backward=Subject(wrong.entry, wrong.program, wrong.source.programs).backward)
    assert check_directions(mutant).verdict == "refuted"


# --- claims --------------------------------------------------------------------------------------


def test_wrong_claims_about_a_recurrence_are_refuted() -> None:
    subject = subject_of("discounted_return")
    (named,) = subject.entry.claims
    claim = parse_statement(named.text)
    assert isinstance(claim, tree.Claim)
    mutants = [*mutated_claims(claim.right), *other_ends(claim.right)]
    assert len(mutants) > 3
    for right in mutants:
        wrong = dataclasses.replace(claim, right=right)
        assert check_claim(subject, NamedClaim(named.name, str(wrong))).verdict == "refuted", str(wrong)


def other_ends(node: Any) -> Iterator[Any]:
    """Conditions that hold at one place more or less."""
    for text, other in ((">=", ">"), ("<=", "<"), (">", ">="), ("<", "<=")):
        changed = re.sub(f" {text} ", f" {other} ", str(node))
        if changed != str(node):
            statement = parse_statement(f"0 == ({changed})")
            assert isinstance(statement, tree.Claim)
            yield statement.right


# --- code ----------------------------------------------------------------------------------------

REPLACED = {
    "direction": (r"for (\w+) in range\((\w+)\)", r"for \1 in reversed(range(\2))"),
    "direction back": (r"in reversed\(range\((\w+)\)\)", r"in range(\1)"),
    "end of an accumulation": (r"(_cumulate\(.*), (-?\d+), (True|False)\)", r"\1, \2 + 1, \3)"),
    "side of an accumulation": (r"(_cumulate\(.*), (True|False)\)", r"\1, not \2)"),
    "symmetric part": (r"\(matrix \+ matrix\.mT\) / 2", "matrix"),
    "transpose": (r"\.mT\b", ""),
}
CODE = {
    "direction": ("two_lags", "discounted_return"),
    "direction back": ("two_lags", "discounted_return"),
    "end of an accumulation": ("sum before", "product up to"),
    "side of an accumulation": ("sum before", "product up to"),
    "symmetric part": ("eigenvectors",),
    "transpose": ("eigenvectors",),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CODE.items() for name in names])
def test_wrong_code_is_refuted(kind: str, name: str) -> None:
    found = equation_of(name)
    text = found.code(backward=True)
    places = [*re.finditer(REPLACED[kind][0], text)]
    assert places
    for place in places:
        mutant = text[: place.start()] + place.expand(REPLACED[kind][1]) + text[place.end() :]
        assert is_refuted(check_code(subject_of(name), Codes(found, mutant))), place.group()


@pytest.mark.parametrize("kind", ["operator", "constant", "function"])
def test_wrong_arithmetic_of_a_loop_is_refuted(kind: str) -> None:
    found = equation_of("two_lags")
    text = found.code(backward=True)
    for mutant in mutated_code(text, ("two_lags", "two_lags_vjp"), kind):
        assert is_refuted(check_code(subject_of("two_lags"), Codes(found, mutant))), mutant
