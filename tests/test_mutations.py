"""The checker is itself checked: whatever is made wrong must be refuted.

Mutators are general: each changes every place of an expression, a claim or generated code where it
applies, and the checks must refute every one of the results.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest
from agreement import shipped
from selection import sampled

from kb import tree
from kb.catalogue import Catalogue
from kb.evidence.claims import check_claim
from kb.evidence.code import check_code
from kb.evidence.derivatives import check_definition, check_directions
from kb.evidence.record import Check
from kb.evidence.subject import Subject
from kb.index import nodes
from kb.index.affine import Poly
from kb.index.nodes import Add, Bind, Compare, Expr, Fn, Mul, Node, Num, Pick, Pow, Read, Several
from kb.index.program import AnyStep, Program, Step
from kb.lowering import compile_source
from kb.model import Entry, NamedClaim
from kb.parser import parse_statement


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    found: Catalogue = shipped()
    return found


def subject_of(catalogue: Catalogue, entry_id: str) -> Subject:
    equation = catalogue[entry_id]
    return Subject(equation.entry, equation.program, equation.source.programs)


def with_parts(subject: Subject, **parts: Any) -> Subject:
    """The subject with some of what it derives replaced."""
    made = dataclasses.replace(subject)
    made.__dict__.update(parts)
    return made


def is_refuted(checks: Iterator[Check]) -> bool:
    return any(check.verdict == "refuted" for check in checks)


# --- mutators of index form ------------------------------------------------------------------------
# Each yields what a node could wrongly be. ``program`` knows the shapes.

Mutator = Callable[[Node, Program], Iterator[Node]]


def wrong_sign(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Add):
        for n, term in enumerate(node.args):
            yield Add((*node.args[:n], Mul((nodes.MINUS_ONE, term)), *node.args[n + 1 :]))
    elif isinstance(node, (Read, Bind)) and getattr(node, "op", "sum") == "sum":
        yield Mul((nodes.MINUS_ONE, node))


def lost_factor(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Mul):
        for n in range(len(node.args)):
            yield Mul((*node.args[:n], *node.args[n + 1 :]))


def dropped_term(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Add):
        for n in range(len(node.args)):
            yield Add((*node.args[:n], *node.args[n + 1 :]))


def wrong_constant(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Num):
        yield Num(node.value * Fraction(3, 2) if node.value else Fraction(1))


def swapped_symbol(node: Node, program: Program) -> Iterator[Node]:
    if isinstance(node, Read):
        shape = program.shape(node.name)
        others = [t.name for t in program.tensors.values() if t.name != node.name and t.shape == shape]
        yield from (Read(other, node.index, node.outside) for other in others[:1])


def shifted_by_one(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Read):
        for n, place in enumerate(node.index):
            yield Read(node.name, (*node.index[:n], place + 1, *node.index[n + 1 :]), True)


def transposed(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Read) and len(node.index) == 2:
        yield Read(node.name, node.index[::-1], True)


def wrong_axis_of_sum(node: Node, program: Program) -> Iterator[Node]:
    """The sum runs over another axis: its index and a free one change places."""
    if isinstance(node, Bind) and node.op == "sum":
        for other in nodes.free_indices(node):
            mapping = {node.indices[0]: Poly.of(other), other: Poly.of(node.indices[0])}
            moved = exchanged(node.body, mapping)
            yield Bind(node.op, (node.indices[0], *node.indices[1:]), node.conditions, moved)


def lost_sum(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Bind) and node.op == "sum" and not node.conditions:
        yield exchanged(node.body, {index: Poly.of(0) for index in node.indices})


def lost_condition(node: Node, _: Program) -> Iterator[Node]:
    """A delta, an Iverson bracket or the condition of a binder is forgotten."""
    if isinstance(node, (nodes.Test, Pick)):
        yield nodes.ONE
    if isinstance(node, Bind) and node.conditions:
        yield Bind(node.op, node.indices, node.conditions[1:], node.body)


def wrong_side_of_kink(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Compare) and node.op in ("<", "<="):
        yield Compare(node.op, node.right, node.left)
    if isinstance(node, (Several, Bind, Pick)) and node.op in ("max", "min"):
        values = tuple("min" if v == "max" else "max" if v == "min" else v for v in node.values)
        yield type(node)(*values)


def wrong_function(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Fn):
        yield Fn("tanh" if node.name != "tanh" else "sin", node.arg)
    if isinstance(node, Pow) and isinstance(node.exponent, Num):
        yield Pow(node.base, Num(node.exponent.value + 1))


def wrong_binder(node: Node, _: Program) -> Iterator[Node]:
    if isinstance(node, Bind) and node.op in ("sum", "logsumexp"):
        yield Bind("prod" if node.op == "sum" else "sum", node.indices, node.conditions, node.body)


def exchanged(node: Any, mapping: dict[Any, Poly]) -> Any:
    """Indices replaced without any simplification."""
    if isinstance(node, Poly):
        return node.replace(mapping)
    if isinstance(node, tuple):
        return tuple(exchanged(item, mapping) for item in node)
    if isinstance(node, Node):
        return type(node)(*(exchanged(value, mapping) for value in node.values))
    return node


def mutants_of(node: Node, mutator: Mutator, program: Program) -> Iterator[Node]:
    """Every expression with one node changed."""
    yield from mutator(node, program)
    for n, value in enumerate(node.values):
        for changed in mutants_of_value(value, mutator, program):
            yield type(node)(*node.values[:n], changed, *node.values[n + 1 :])


def mutants_of_value(value: Any, mutator: Mutator, program: Program) -> Iterator[Any]:
    if isinstance(value, Node):
        yield from mutants_of(value, mutator, program)
    elif isinstance(value, tuple):
        for n, item in enumerate(value):
            for changed in mutants_of_value(item, mutator, program):
                yield (*value[:n], changed, *value[n + 1 :])


def mutated_steps(steps: tuple[AnyStep, ...], mutator: Mutator, program: Program) -> Iterator[tuple[AnyStep, ...]]:
    for n, step in enumerate(steps):
        if isinstance(step, Step):
            for expr in mutants_of(step.expr, mutator, program):
                assert isinstance(expr, Expr)
                yield (*steps[:n], dataclasses.replace(step, expr=expr), *steps[n + 1 :])


MUTATORS: dict[Mutator, tuple[str, ...]] = {
    wrong_sign: ("sigmoid", "softmax", "binary_cross_entropy"),
    lost_factor: ("sigmoid", "mean_squared_error", "softmax_cross_entropy_gradient", "kl_divergence"),
    dropped_term: ("sigmoid", "binary_cross_entropy", "softmax"),
    wrong_constant: ("mean_squared_error", "binary_cross_entropy", "normal_pdf"),
    swapped_symbol: ("linear", "lstm_cell_state", "kl_divergence"),
    shifted_by_one: ("max_pool2d", "linear"),
    transposed: ("linear", "scaled_dot_product_attention"),
    wrong_axis_of_sum: ("linear", "bellman_optimality_v"),
    lost_sum: ("linear", "softmax", "mean_squared_error"),
    lost_condition: ("max_pool2d", "bellman_optimality_v", "relu"),
    wrong_side_of_kink: ("relu", "max_pool2d", "bellman_optimality_v"),
    wrong_function: ("sigmoid", "softplus", "normal_pdf"),
    wrong_binder: ("softmax", "linear", "cross_entropy_with_logits"),
}
CASES = [(mutator, entry_id) for mutator, ids in MUTATORS.items() for entry_id in ids]
NAMES = [f"{mutator.__name__}-{entry_id}" for mutator, entry_id in CASES]


@pytest.mark.parametrize(("mutator", "entry_id"), CASES, ids=NAMES)
def test_mutated_definitions_are_refuted(catalogue: Catalogue, mutator: Mutator, entry_id: str) -> None:
    subject = subject_of(catalogue, entry_id)
    for steps in mutated_steps(subject.program.steps, mutator, subject.program):
        mutant = dataclasses.replace(subject, program=dataclasses.replace(subject.program, steps=steps))
        assert check_definition(mutant).verdict == "refuted", steps


# Every mutator has others that are quicker.
LONG = {
    (transposed, "scaled_dot_product_attention"),
    (wrong_sign, "binary_cross_entropy"),
    (wrong_constant, "binary_cross_entropy"),
    (lost_factor, "softmax_cross_entropy_gradient"),
    (dropped_term, "binary_cross_entropy"),
}


@pytest.mark.parametrize(("mutator", "entry_id"), sampled(CASES, lambda case: case not in LONG), ids=NAMES)
def test_mutated_backward_passes_are_refuted(catalogue: Catalogue, mutator: Mutator, entry_id: str) -> None:
    subject = subject_of(catalogue, entry_id)
    backward = subject.backward
    for adjoint in mutated_steps(backward.adjoint, mutator, backward.program):
        program = dataclasses.replace(backward.program, steps=backward.forward + adjoint)
        mutant = with_parts(subject, backward=dataclasses.replace(backward, program=program, adjoint=adjoint))
        assert check_directions(mutant).verdict == "refuted", adjoint


def test_every_mutator_finds_something_to_change(catalogue: Catalogue) -> None:
    for mutator, ids in MUTATORS.items():
        found = 0
        for entry_id in ids:
            subject = subject_of(catalogue, entry_id)
            found += sum(1 for _ in mutated_steps(subject.program.steps, mutator, subject.program))
            found += sum(1 for _ in mutated_steps(subject.backward.adjoint, mutator, subject.backward.program))
        assert found, mutator.__name__


@pytest.mark.parametrize("entry_id", ["softmax", "normal_pdf", "lp_norm"])
def test_mutated_tangents_are_refuted(catalogue: Catalogue, entry_id: str) -> None:
    subject = subject_of(catalogue, entry_id)
    forward = subject.forward
    own = {s.name for s in subject.program.steps}
    derived = tuple(s for s in forward.program.steps if s.name not in own)
    kept = tuple(s for s in forward.program.steps if s.name in own)
    for steps in mutated_steps(derived, lost_factor, forward.program):
        program = dataclasses.replace(forward.program, steps=kept + steps)
        mutant = with_parts(subject, forward=dataclasses.replace(forward, program=program))
        assert check_directions(mutant).verdict == "refuted", steps


# --- mutated claims --------------------------------------------------------------------------------


def mutated_claims(node: Any) -> Iterator[Any]:
    """Trees with one operator, number, index or factor changed."""
    match node:
        case tree.Chain(operands, operators):
            flip = {"+": "-", "-": "+", "*": "/", "/": "*"}
            for n, operator in enumerate(operators):
                if operator in flip:
                    yield tree.Chain(operands, (*operators[:n], flip[operator], *operators[n + 1 :]))
            if len(operands) > 1 and operators[-1] != "@":
                yield tree.Chain(operands[:-1], operators[:-1]) if len(operands) > 2 else operands[0]
        case tree.Number(text):
            yield tree.Number(str(int(text) + 2) if text.isdigit() else f"{text}5")
        case tree.Negative(operand):
            yield operand
        case tree.Call("delta", _):
            yield tree.Number("1")
    for n, field in enumerate(dataclasses.fields(node)):
        if field.name == "at":
            continue
        value = getattr(node, field.name)
        if isinstance(value, tree.Node):
            for changed in mutated_claims(value):
                yield dataclasses.replace(node, **{field.name: changed})
        elif isinstance(value, tuple):
            for n, item in enumerate(value):
                if isinstance(item, tree.Node):
                    for changed in mutated_claims(item):
                        yield dataclasses.replace(node, **{field.name: (*value[:n], changed, *value[n + 1 :])})


CLAIMS = [
    ("sigmoid", "derivative"),
    ("sigmoid", "second_form"),
    ("softmax", "jacobian"),
    ("linear", "weights"),
    ("mean_squared_error", "gradient"),
    ("binary_cross_entropy", "gradient"),
    ("softmax_cross_entropy_gradient", "gradient"),
    ("batch_norm", "scale"),
    ("lstm_cell_candidate", "weights"),
    ("kl_divergence", "gradient_true"),
    ("normal_pdf", "spread"),
    ("adam", "learning_rate"),
    ("scaled_dot_product_attention", "scores"),
]


@pytest.mark.parametrize(("entry_id", "name"), CLAIMS)
def test_mutated_claims_are_refuted_and_never_proven(catalogue: Catalogue, entry_id: str, name: str) -> None:
    subject = subject_of(catalogue, entry_id)
    (named,) = (c for c in subject.entry.claims if c.name == name)
    claim = parse_statement(named.text)
    assert isinstance(claim, tree.Claim)
    mutants = [dataclasses.replace(claim, right=right) for right in mutated_claims(claim.right)]
    assert mutants
    for mutant in mutants:
        check = check_claim(subject, NamedClaim(name, str(mutant)))
        assert check.verdict == "refuted", str(mutant)
        assert "proven" not in check.note, str(mutant)


def test_a_claim_is_false_without_the_constraint_that_it_needs(catalogue: Catalogue) -> None:
    subject = subject_of(catalogue, "softmax_cross_entropy_gradient")
    (named,) = (c for c in subject.entry.claims if c.name == "gradient")
    free = dataclasses.replace(
        subject.entry,
        symbols=tuple(dataclasses.replace(s, domain="real") for s in subject.entry.symbols),
    )
    loose = subject_with(catalogue, free)
    assert check_claim(subject, named).verdict == "verified"
    refuted = check_claim(loose, named)
    assert refuted.verdict == "refuted"
    assert refuted.counterexample is not None


def test_a_claim_that_is_listed_as_false_must_be_false(catalogue: Catalogue) -> None:
    subject = subject_of(catalogue, "sigmoid")
    false = NamedClaim("false", "y == 1/(1 + exp(z))", refuted=True)
    assert check_claim(subject, false).verdict == "verified"
    true = NamedClaim("true", "y == exp(z)/(exp(z) + 1)", refuted=True)
    assert check_claim(subject, true).verdict == "refuted"


def subject_with(catalogue: Catalogue, entry: Entry) -> Subject:
    """A changed entry, among the others of the catalogue."""
    from kb.programs import Programs

    programs = Programs({**catalogue.records, entry.id: entry})
    return Subject(entry, programs(entry.id), programs)


# --- mutated code ----------------------------------------------------------------------------------


class Compiled:
    """Code that was changed, in the place of a derivative's own."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def lambdify(self) -> Callable[..., Any]:
        function: Callable[..., Any] = compile_source(self.text, self.name)
        return function


class Codes:
    """An equation of which one piece of code was changed."""

    def __init__(self, equation: Any, backward: str) -> None:
        self.equation, self.text = equation, backward

    def lambdify(self) -> Callable[..., Any]:
        return Compiled(self.text, self.equation.entry.id).lambdify()

    def vjp(self, wrt: Any) -> Compiled:
        return Compiled(self.text, f"{self.equation.entry.id}_vjp")

    def jvp(self, wrt: Any) -> Any:
        return self.equation.jvp(wrt)

    def jacobian(self, symbol: str) -> Any:
        return self.equation.jacobian(symbol)

    def hessian(self, symbol: str) -> Any:
        return self.equation.hessian(symbol)


_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult}


class _Change(ast.NodeTransformer):
    """Changes the n-th place at which a mutator of code applies."""

    def __init__(self, kind: str, wanted: int) -> None:
        self.kind, self.wanted, self.seen = kind, wanted, -1

    def hit(self, applies: bool) -> bool:
        self.seen += applies
        return applies and self.seen == self.wanted

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if self.hit(self.kind == "operator" and type(node.op) in _OPERATORS):
            node.op = _OPERATORS[type(node.op)]()
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if self.hit(self.kind == "operator" and type(node.op) in _OPERATORS):
            node.op = _OPERATORS[type(node.op)]()
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if self.hit(self.kind == "axis" and node.arg == "axis" and isinstance(node.value, ast.UnaryOp)):
            node.value = ast.Constant(-2)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if self.hit(self.kind == "transpose" and node.attr in ("T", "mT")):
            return node.value
        swapped = {"exp": "cosh", "log": "arctan", "sqrt": "cbrt", "maximum": "minimum", "tanh": "sin"}
        if self.hit(self.kind == "function" and node.attr in swapped):
            node.attr = swapped[node.attr]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        opposite = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq}
        if self.hit(self.kind == "comparison" and type(node.ops[0]) in opposite):
            node.ops = [opposite[type(node.ops[0])]()]
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        whole = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        if self.hit(self.kind == "constant" and whole and node.value in (1, 2, 0.5)):
            return ast.Constant(node.value + 1)
        return node


def mutated_code(text: str, names: tuple[str, ...], kind: str) -> Iterator[str]:
    """The module with one place of the named functions changed; its helpers stay."""
    for name in names:
        wanted = 0
        while True:
            module = ast.parse(text)
            (function,) = (f for f in module.body if isinstance(f, ast.FunctionDef) and f.name == name)
            change = _Change(kind, wanted)
            before = ast.unparse(module)
            function.body = [change.visit(s) if is_arithmetic(s) else s for s in function.body]
            if change.seen < wanted:
                break
            wanted += 1
            after = ast.unparse(ast.fix_missing_locations(module))
            if after != before:
                yield after


def is_arithmetic(statement: ast.stmt) -> bool:
    """What computes: not the docstring, the checks of arguments, sizes, or shifts that only guard against overflow."""
    text = ast.unparse(statement)
    preparing = ("_arguments(", "_cotangent(", "_integer(", "size[", ".max(", ".dtype", "_view(", "_landing(", "_over(")
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not is_text and not isinstance(statement, ast.Return) and not any(word in text for word in preparing)


def dropped_lines(text: str, names: tuple[str, ...]) -> Iterator[str]:
    """The module with one line of arithmetic left out."""
    for name in names:
        module = ast.parse(text)
        (function,) = (f for f in module.body if isinstance(f, ast.FunctionDef) and f.name == name)
        for n, statement in enumerate(function.body):
            if is_arithmetic(statement):
                body = function.body
                function.body = [*body[:n], *body[n + 1 :]]
                yield ast.unparse(module)
                function.body = body


CODE_KINDS = ("operator", "axis", "transpose", "function", "comparison", "constant", "dropped line")
CODED = ("sigmoid", "relu", "linear", "softmax", "lstm_cell_state", "scaled_dot_product_attention")
QUICK = ("sigmoid", "relu", "linear", "softmax")
# A constant added to all keys changes no gradient of the queries, as the gradients of each row of scores add up to 0.
EQUIVALENT = {("operator", "scaled_dot_product_attention")}
# Where there is nothing of the kind to change.
WITHOUT = {("transpose", "quick"), ("comparison", "long")}
LENGTHS = {"quick": QUICK, "long": tuple(i for i in CODED if i not in QUICK)}


@pytest.mark.parametrize("length", sampled(LENGTHS, lambda length: length == "quick"))
@pytest.mark.parametrize("kind", CODE_KINDS)
def test_mutated_code_is_refuted(catalogue: Catalogue, kind: str, length: str) -> None:
    tried = 0
    for entry_id in LENGTHS[length]:
        if (kind, entry_id) in EQUIVALENT:
            continue
        equation = catalogue[entry_id]
        subject = subject_of(catalogue, entry_id)
        text = equation.code(backward=True)
        names = (entry_id, f"{entry_id}_vjp")
        mutants = dropped_lines(text, names) if kind == "dropped line" else mutated_code(text, names, kind)
        for mutant in mutants:
            tried += 1
            assert is_refuted(check_code(subject, Codes(equation, mutant))), f"{entry_id}: {difference(text, mutant)}"
    assert bool(tried) == ((kind, length) not in WITHOUT)


def difference(text: str, mutant: str) -> str:
    before = ast.unparse(ast.parse(text)).splitlines()
    return "\n".join(line for line in mutant.splitlines() if line not in before) or "a line is missing"


@pytest.mark.parametrize("entry_id", CODED)
def test_unchanged_code_is_verified(catalogue: Catalogue, entry_id: str) -> None:
    equation = catalogue[entry_id]
    checks = list(check_code(subject_of(catalogue, entry_id), Codes(equation, equation.code(True))))
    assert {check.verdict for check in checks} == {"verified"}, [c.text() for c in checks]
