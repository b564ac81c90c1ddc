"""Abstract functions of arrays and abstract reducers: values, all derivatives, messages, printing, proofs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from agreement import ALL, assert_agree, of_entry, output, shipped

from kb.calculus.claims import elaborate_claim, prove
from kb.equation import Equation
from kb.errors import CatalogueError, Fault
from kb.evidence.claims import check_claim
from kb.evidence.derivatives import check_definition, check_directions
from kb.evidence.subject import Subject
from kb.index import build
from kb.index.nodes import ApplyArray, Expr, walk
from kb.index.program import Step
from kb.model import Entry, NamedClaim, Symbol
from kb.parser import parse_expression
from kb.programs import Programs
from kb.typed import parse_symbols


def function(name: str, arguments: str, instance: str, *shape: str) -> Symbol:
    return Symbol(name, shape, kind="function", arguments=tuple(arguments.split()), instance=instance)


def reducer(name: str, instance: str) -> Symbol:
    return Symbol(name, kind="reducer", instance=instance)


def law(name: str, arguments: str, instance: str) -> Symbol:
    return Symbol(name, kind="law", arguments=tuple(arguments.split()), instance=instance)


def entry(define: str | tuple[str, ...], symbols: str, *own: Symbol, **more: Any) -> Entry:
    steps = (define,) if isinstance(define, str) else define
    made = Entry("own", "Own", symbols=(*parse_symbols(symbols), *own), define=steps)
    return dataclasses.replace(made, **more)


def faults(made: Entry, *others: Entry) -> list[Fault]:
    known = {**shipped().records, **{e.id: e for e in (*others, made)}}
    return [fault for _, fault in Programs(known).faults(made.id)]


QUARTIC = function("L", "t[P]", "sum(t[i]**4, i)")
STATE = Symbol("theta", ("P",), role="state")

RUNNING = Entry(
    "running",
    "Running",
    symbols=(*parse_symbols("x[T] a"), output("y", "T")),
    define=("y[-1] = 0", "y[t] = sin(a*y[t-1]) + x[t]"),
)

# name -> entry: what an author might write with functions that have shapes.
INVENTED: dict[str, Entry] = {
    "to a number": entry("y = L(x)*s", "x[P] s", QUARTIC, output("y")),
    "of an expression": entry("y = L(A @ x + b)", "A[P,n] x[n] b[P]", QUARTIC, output("y")),
    "a row at a time": entry("y = L(A)", "A[B,P]", QUARTIC, output("y", "B")),
    "in a sum": entry("y = mean(L(A[i])*s[i], i)", "A[B,P] s[B]", QUARTIC, output("y")),
    "mixed arguments": entry(
        "y[i] = f(A[i], s[i], x)", "A[B,P] s[B] x[P]", function("f", "a[P] b t[P]", "(b - a @ t)**3"), output("y", "B")
    ),
    "number to array": entry(
        "y = T(s)*x", "s x[k]", function("T", "u", "T[i] = sin(u*(i + 1))", "k"), output("y", "k")
    ),
    "array to array": entry(
        "y = sum(z(x)**2) + z(z(x))[0]", "x[n]", function("z", "u[q]", "softmax(u)*u", "q"), output("y")
    ),
    "matrix argument": entry(
        "y = f(A, x)", "A[m,n] x[n]", function("f", "M[m,n] v[n]", "tanh(M @ v)", "m"), output("y", "m")
    ),
    "joined blocks": entry(
        ("u = z(x)", "y = L(u)"),
        "x[n]",
        function("z", "x[n]", "concat([sin(x), x**2][b], b)", "m"),
        function("L", "u[m]", "sum(u[j]**3, j)"),
        output("y"),
    ),
    "joined blocks of rows": entry(
        "y[i] = sum(z(A[i])[j]*z(A[i])[j], j)",
        "A[B,n]",
        function("z", "x[n]", "concat([sin(x), x**2][b], b)", "2*n"),
        output("y", "B"),
    ),
    "an inverse": entry(
        "y = sum(f(A*s, x)*x)",
        "A[n,n]:positive_definite x[n] s:positive",
        function("f", "M[n,n] v[n]", "inv(M) @ v", "n"),
        output("y"),
    ),
    "an exponential of rows": entry(
        "y[b] = f(A[b], x)", "A[B,n,n] x[n]", function("f", "M[n,n] v[n]", "sum(expm(M) @ v)"), output("y", "B")
    ),
    "a determinant of rows": entry(
        "y[b] = f(A[b])", "A[B,n,n]:positive_definite", function("f", "M[n,n]", "logdet(M)"), output("y", "B")
    ),
    "inside a recurrence": entry(
        ("h[-1] = x*0", "h[t] = f(W @ h[t-1] + x) + s[t]*x", "y = sum(h[2])"),
        "x[n] W[n,n] s[T]",
        function("f", "u[n]", "softmax(u)*u", "n"),
        Symbol("h", ("T", "n"), role="step"),
        output("y"),
        requires=("T >= 3",),
    ),
    "a recurrence": entry("y = sum(f(x*s, s))", "x[n] s", function("f", "u[q] a", "running", "q"), output("y")),
    "an entry": entry(
        "y = loss(x, 2*z)", "x[N] z[N]", function("loss", "a[N] b[N]", "mean_squared_error"), output("y")
    ),
    "a built-in": entry("y = size(A)", "A[B,n]", function("size", "v[n]", "norm"), output("y", "B")),
    "gradient in a step": entry(
        ("g = d(f(x - s*v), x)", "y = sum(g*g)"), "x[n] v[n] s", function("f", "t[n]", "sum(t[i]**4, i)"), output("y")
    ),
    "mixed gradient": entry(
        "y[i] = sum(d(f(A[j], x), x)[i], j)",
        "A[B,n] x[n]",
        function("f", "a[n] t[n]", "exp(-sum((a[i] - t[i])**2, i))"),
        output("y", "n"),
    ),
    "jacobian in a step": entry(
        "y = sum(d(z(x), x)*d(z(2*x), x))", "x[n]", function("z", "u[n]", "u**3 + sum(u)", "n"), output("y")
    ),
    "an update": entry(
        ("v = gamma*v + eta*d(L(theta - gamma*v), theta)", "theta = theta - v"),
        "",
        STATE,
        Symbol("v", ("P",), role="state"),
        QUARTIC,
        Symbol("gamma", domain="unit"),
        Symbol("eta", domain="positive", default="0.1"),
        kind="update",
    ),
    "sums of rows": entry(
        "y = sum(z(x[i]*(A @ v)), i)", "x[n] A[m,k] v[k]", function("z", "u[m]", "sum(sin(u))"), output("y")
    ),
    "mean of neighbours": entry(
        "y[v] = AGG(h[u], u, a[v,u] > 0.5)",
        "h[n,d] a[n,n]:binary_diagonal",
        reducer("AGG", "mean"),
        output("y", "n", "d"),
    ),
    "stable sum of exponentials": entry("y = AGG(x[i]*s, i)", "x[n] s", reducer("AGG", "logsumexp"), output("y")),
    "product of all": entry("y[v] = AGG(h[v,u], u)", "h[n,d]", reducer("AGG", "prod"), output("y", "n")),
}


def with_running(made: Entry) -> Equation:
    """The equation of an entry that may call the recurrence as well."""
    eq = of_entry(made)
    programs = Programs({**eq.programs.entries, "running": RUNNING})
    return dataclasses.replace(eq, source=dataclasses.replace(eq.source, programs=programs))


LARGE = {"an inverse", "an exponential of rows", "mean of neighbours", "inside a recurrence"}


@pytest.mark.parametrize("name", INVENTED)
def test_code_interpreter_and_differences_agree(name: str) -> None:
    eq = with_running(INVENTED[name])
    sizes = dict(zip(eq.program.dimensions, (3, 2, 4), strict=False)) | ({"T": 4} if "recurrence" in name else {})
    if name == "mean of neighbours":
        eq = of_entry(dataclasses.replace(INVENTED[name], differentiate=("h",)))
    assert_agree(
        eq,
        sizes,
        second=0 if name in LARGE else ALL,
    )
    assert_agree(eq, dict.fromkeys(sizes, 1) | ({"T": 3} if "recurrence" in name else {}), seed=1, second=0)


def subject_of(made: Entry) -> Subject:
    eq = of_entry(made)
    return Subject(eq.entry, eq.program, eq.programs)


SYMBOLIC = ["mixed arguments", "joined blocks", "gradient in a step", "an inverse"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SYMBOLIC)
def test_derivatives_in_index_form_are_those_of_the_definition(name: str) -> None:
    subject = subject_of(INVENTED[name])
    assert any(isinstance(n, ApplyArray) for s in subject.backward.adjoint if isinstance(s, Step) for n in walk(s.expr))
    assert check_definition(subject).verdict == "verified"
    assert check_directions(subject).verdict == "verified"


def test_a_wrong_instance_is_caught() -> None:
    right, wrong = entry("y = L(x)*s", "x[P] s", QUARTIC, output("y")), function("L", "t[P]", "sum(t[i]**4, i)/2")
    program = of_entry(dataclasses.replace(right, symbols=(*right.symbols[:2], wrong, right.symbols[3]))).program
    subject = dataclasses.replace(subject_of(right), program=program)
    assert check_definition(subject).verdict == "refuted"


def other_element(node: Expr) -> Expr | None:
    """The gradient without its minus, at another point."""
    if isinstance(node, ApplyArray) and node.wrt:
        return build.mul(build.num(2), node)
    return None


def test_a_wrong_gradient_is_caught() -> None:
    subject = subject_of(INVENTED["mixed arguments"])
    backward = subject.backward
    steps = tuple(
        dataclasses.replace(s, expr=build.transform(s.expr, other_element)) if isinstance(s, Step) else s
        for s in backward.program.steps
    )
    made = dataclasses.replace(subject)
    made.__dict__["backward"] = dataclasses.replace(
        backward, program=dataclasses.replace(backward.program, steps=steps)
    )
    assert check_directions(made).verdict == "refuted"


# --- calls ---------------------------------------------------------------------------------------

BLOCKS = function("z", "x[q]", "concat([sin(x), x**2][b], b)", "m")
INNER = dataclasses.replace(entry("y = L(x) + sum(z(x))", "x[P]", QUARTIC, BLOCKS, output("y")), id="inner")
OUTER = entry("y = inner(A) + inner(x)*s", "A[B,k] x[n] s", output("y", "B"))


def test_an_entry_with_functions_can_be_called_at_any_size() -> None:
    programs = Programs({**shipped().records, "inner": INNER, "own": OUTER})
    assert not programs.faults("own")
    eq = dataclasses.replace(of_entry(OUTER), source=dataclasses.replace(of_entry(OUTER).source, programs=programs))
    assert_agree(eq, {"B": 3, "k": 2, "n": 4})


BAD = [
    (QUARTIC, "y = L(x, x)", "takes 1 argument(s) (t), 2 given"),
    (QUARTIC, "y = L(s)", "'t' of 'L' has shape [P], but 's' has []"),
    (QUARTIC, "y = L(w)", "'t' of 'L' must have shape [P] here, but 'w' has [m]"),
    (QUARTIC, "y = L", "'L' is a function; call it"),
    (QUARTIC, "y = deriv(L, v)(x)", "'L' has no argument 'v'; its arguments are t"),
    (function("f", "a[q] b[q]", "a @ b"), "y = f(x, w)", "'b' of 'f' must have shape [P] here"),
    (function("f", "a[P] b", "sum(a)*b"), "y = sum(deriv(f)(x, s))", "say by which argument of 'f': deriv(f, a)"),
    (function("f", "a[2*q]", "sum(a)"), "y = f(x)", "the size 'q' of 'f' cannot be read off its arguments"),
    (function("f", "a[P]", "a*2"), "y = f(x)", "'f' is declared with shape [], but its value has shape [P]"),
    (function("f", "a[P]", "a*2", "m"), "y = sum(f(x))", "'f' is declared with shape [m], but its value has shape [P]"),
    (
        function("f", "a[P]", "a*2", "q", "r"),
        "y = sum(f(x))",
        "a result of shape [q, r], but its instance has",
    ),
    (function("f", "a[P]", "exq(sum(a))"), "y = f(x)", "did you mean 'exp'"),
    (function("f", "a[P]", "a[P]"), "y = f(x)", "not provably in range"),
    (function("f", "a[P]", "y[i] = a[i]", "P"), "y = sum(f(x))", "f[i] = ..."),
    (function("f", "a[P]", "sum(s*a)"), "y = f(x)", "'s' is neither a symbol"),
    (function("f", "a[P] a", "sum(a)"), "y = f(x, s)", "the argument 'a' of 'f' needs a name of its own"),
    (function("f", "a[P]", "own"), "y = f(x)", "call each other in a circle"),
    (reducer("R", "median"), "y = R(x[i], i)", "'median' is not a reduction"),
    (reducer("R", "mean"), "y = R(x, w)", "'R' binds an index"),
    (reducer("R", "mean"), "y = R(x[i], i, 2)", "neither an index nor a condition"),
    (law("p", "a[q]", "normal_pdf(a, 0, 1)"), "y = s", "has a point in each row"),
    (law("p", "a[q]", "[1, 2]"), "y = s", "has a point in each row"),
    (law("p", "a[q] b", "[[1, 2]]"), "y = s", "has a point in each row"),
    (law("p", "a[3]", "[[1, 2], [3, 4]]"), "y = s", "have 2 coordinates, not 3"),
    (law("p", "a[q]", "[[1, 2]]"), "y = E(sum(x), x, p)", "'x' already has a meaning here"),
    (law("p", "a[q]", "[[1, 2]]"), "y = E(a, a, p)", "is a number"),
    (law("p", "a[q]", "[[1, 2]]"), "y = E(a[2], a, p)", "not provably in range"),
    (law("p", "a[q]", "[[1, 2]]"), "y = p(x)", "has points and no density"),
]


@pytest.mark.parametrize(("symbol", "define", "words"), BAD)
def test_what_does_not_fit_is_said(symbol: Symbol, define: str, words: str) -> None:
    found = faults(entry(define, "x[P] w[m] s", symbol, output("y")))
    assert len(found) == 1, found
    assert words in found[0].message, found[0].message


def test_a_recurrence_does_not_pass_through_a_matrix_function() -> None:
    made = entry(
        ("h[-1] = x", "h[t] = f(h[t-1])*s[t]", "y = sum(h[0])"),
        "x[n] s[T]",
        function("f", "u[n]", "inv(eye(n)*3 + u @ u.T) @ u", "n"),
        Symbol("h", ("T", "n"), role="step"),
        output("y"),
    )
    (fault,) = faults(made)
    assert "pass through inv(...)" in fault.message


def test_functions_do_not_call_each_other() -> None:
    made = entry("y = f(x)", "x[P]", function("f", "a[P]", "g(a)"), function("g", "a[P]", "sum(a)"), output("y"))
    assert "no function or entry 'g'" in faults(made)[0].message


# --- proofs and print ----------------------------------------------------------------------------

CLAIMS = {
    "shifted": "d(L(x - v), x) == deriv(L)(x - v)",
    "hessian": "d(deriv(L)(x)[i], x[j]) == deriv(L, t, t)(x)[i,j]",
    "symmetric": "deriv(f, b, a)(x, v)[i,j] == deriv(f, a, b)(x, v)[j,i]",
    "chain": "d(L(z(x)), x[i]) == sum(d(L(u), u[j])*d(z(x)[j], x[i]), j)",
    "backward": "vjp(z(x), x, v) == v @ deriv(z)(x)",
    "of numbers": "d(h(s, x[i]), s) == deriv(h, p)(s, x[i])",
}
CLAIMED = entry(
    ("u = z(x)", "y = L(u)"),
    "x[P] v[P] s",
    QUARTIC,
    function("z", "w[q]", "w**2 + sum(w)", "q"),
    function("f", "a[q] b[r]", "sum(sin(a))*sum(b**2) + sum(a)*sum(b)"),
    function("h", "p q", "p**2*q"),
    output("y"),
    claims=tuple(NamedClaim(name, text) for name, text in CLAIMS.items()),
)


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_are_proven_for_any_function_and_hold_for_the_instance(name: str) -> None:
    subject = subject_of(CLAIMED)
    form = elaborate_claim(subject.elaborated, CLAIMS[name], subject.programs, subject.programs.entries)
    assert prove(form) or name == "symmetric"
    claim = next(c for c in CLAIMED.claims if c.name == name)
    assert check_claim(subject, claim).verdict == "verified"


def test_a_wrong_claim_is_refuted() -> None:
    subject = subject_of(CLAIMED)
    assert check_claim(subject, NamedClaim("wrong", "d(L(x - v), x) == deriv(L)(x)")).verdict == "refuted"


def test_derivatives_print_in_terms_of_the_function() -> None:
    update = of_entry(INVENTED["an update"])
    assert "η·∇²L(θ − γ·v) v̄_total⁺" in update.vjp("theta").text()
    assert r"\nabla L" in update.derivative("eta").latex()
    assert "∇_b" not in update.vjp().text()
    blocks = of_entry(INVENTED["joined blocks"])
    assert "x̄ = J_z(x)ᵀ ū" in blocks.vjp().text()
    mixed = of_entry(INVENTED["mixed gradient"])
    assert "∇_t²f" in mixed.derivative("x").text()
    assert "∇_a∇_tf" in mixed.derivative("A").text()
    several = of_entry(entry("y = h(s*r, s)", "s r", function("h", "p q", "p**2*q"), output("y")))
    assert "∂_ph(r·s, s)" in several.derivative("r").text() or "∂_ph(s·r, s)" in several.derivative("r").text()


@pytest.mark.parametrize("text", ["deriv(f)(x)", "deriv(f, a)(x, y)", "deriv(f, a, b)(x, 2*y)[i, j]"])
def test_deriv_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_expression(text)) == text


def test_a_reducer_has_the_derivative_of_its_instance_and_says_so() -> None:
    eq = of_entry(INVENTED["mean of neighbours"])
    assert eq.derivative("h").text().endswith("for AGG = mean")
    assert r"\text{for AGG = mean}" in eq.derivative("h").latex()


def test_a_mean_over_nothing_has_no_value() -> None:
    eq = of_entry(INVENTED["mean of neighbours"])
    nothing = np.zeros((2, 2))
    with np.errstate(all="ignore"):
        assert np.isnan(eq.lambdify()(np.ones((2, 3)), nothing)).all()


def test_sympy_has_the_instance() -> None:
    eq = of_entry(INVENTED["to a number"])
    assert str(eq.expr) == "s*Sum(x[i]**4, (i, 0, P - 1))"


def test_faults_of_a_signature_are_all_of_the_equation() -> None:
    eq = of_entry(entry("y = f(x)", "x[P]", function("f", "a[P]", "a"), output("y")))
    with pytest.raises(CatalogueError, match="declared with shape"):
        eq.program  # noqa: B018
