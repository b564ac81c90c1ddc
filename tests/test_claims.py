"""Claims in index form: free indices, derivatives inside formulas, faults, and the prover."""

from __future__ import annotations

from pathlib import Path

import mpmath
import pytest
from agreement import shipped

import kb
from kb import interpreter
from kb.calculus.claims import ClaimForm, elaborate_claim, prove
from kb.calculus.evaluate import Evaluation, elements
from kb.catalogue import Catalogue
from kb.errors import LanguageError
from kb.evidence.subject import Subject, open_sizes
from kb.index.nodes import Integral, walk
from kb.index.program import Step
from kb.model import Entry, NamedClaim, Symbol
from kb.programs import Programs
from kb.validation import semantic_faults


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    found: Catalogue = shipped()
    return found


def form_of(catalogue: Catalogue, entry_id: str, text: str) -> ClaimForm:
    programs = catalogue.programs
    return elaborate_claim(programs.elaborated(entry_id), text, programs, programs.entries)


def entry_of(define: str, *symbols: Symbol, kind: str = "definition", claims: tuple[str, ...] = ()) -> Entry:
    named = tuple(NamedClaim(f"c{n}", text) for n, text in enumerate(claims))
    return Entry("own", "Own", kind, symbols=symbols, define=tuple(define.split("; ")), claims=named)  # type: ignore[arg-type]


def programs_with(catalogue: Catalogue, entry: Entry) -> Programs:
    return Programs({**catalogue.records, entry.id: entry})


# --- free indices ----------------------------------------------------------------------------------


def test_undeclared_names_in_subscripts_are_free(catalogue: Catalogue) -> None:
    form = form_of(catalogue, "softmax", "d(p[j], z[k]) == p[j]*(delta(j,k) - p[k])")
    assert [i.name for i in form.free] == ["j", "k"]
    assert {str(i.extent) for i in form.free} == {"C"} or len({i.extent for i in form.free}) == 1


def test_arrays_are_compared_element_by_element(catalogue: Catalogue) -> None:
    form = form_of(catalogue, "softmax_jacobian", "d(yhat, z) == diag(yhat) - yhat @ yhat.T")
    assert len(form.free) == 2


def test_bound_indices_are_not_free(catalogue: Catalogue) -> None:
    form = form_of(catalogue, "softmax", "sum(p[j], j) == 1")
    assert form.free == ()


def test_an_index_that_only_occurs_in_an_affine_read_takes_what_all_reads_allow(catalogue: Catalogue) -> None:
    form = form_of(catalogue, "positional_encoding", "PE[2*i]**2 + PE[2*i + 1]**2 == 1")
    (index,) = form.free
    assert [index.extent.evaluate(lambda _, d=d: d) for d in (2, 4, 6)] == [1, 2, 3]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("entry_id", "text", "message"),
    [
        ("softmax", "p[j] == q[j]", "'q' is neither"),
        ("softmax", "sum(p[j], j) == w", "'w' is neither"),
        ("softmax", "d(p[j], y[k]) == 0", "'y' is neither"),
        ("softmax", "d(p[j], j) == 0", "index"),
        ("softmax", "d(p[j], C) == 0", "not an input"),
        ("cross_entropy_with_logits", "d(L, y) == 0", "label"),
        ("softmax", "vjp(p, z, 1) == z", "cotangent"),
        ("softmax", "p = z", "claim"),
        ("linear", "y == x", "do not go together"),
        ("softmax", "p[j + 1] == p[j]", "not provably in range"),
    ],
)
def test_what_is_wrong_is_said(catalogue: Catalogue, entry_id: str, text: str, message: str) -> None:
    with pytest.raises(LanguageError, match=message):
        form_of(catalogue, entry_id, text)


def test_the_derivative_of_a_jump_is_refused(catalogue: Catalogue) -> None:
    entry = entry_of("y = 1 if z > 0 else 0", Symbol("z"), Symbol("y", role="output"), claims=("d(y, z) == 0",))
    programs = programs_with(catalogue, entry)
    (fault,) = semantic_faults(programs, "own", thorough=True)
    assert "does not exist" in fault.message
    assert fault.field == "claims.c0.formula"


def test_identical_sides_are_a_fault(catalogue: Catalogue) -> None:
    x, y = Symbol("x"), Symbol("y", role="output")
    cases = {"y == y": 1, "y == x*x": 1, "y == x**2 + 0": 1, "exp(log(y)) == x*x": 1, "y == (x + 1)*(x - 1) + 1": 0}
    for text, count in cases.items():
        entry = entry_of("y = x*x", x, y, kind="identity", claims=(text,))
        programs = programs_with(catalogue, entry)
        assert len(semantic_faults(programs, "own", thorough=True)) == count, text


def test_routes_that_cancel_only_between_steps_are_two(catalogue: Catalogue) -> None:
    symbols = (Symbol("p", ("n", "m"), domain="joint"), Symbol("y", ("n", "m"), role="output"))
    steps = "q[i] = sum(p[i,j], j); r[i,j] = p[i,j]/q[i]; y[i,j] = r[i,j]*q[i]"
    for text, count in {"y[i,j] == p[i,j]": 0, "y[i,j] == r[i,j]*q[i]": 1, "q[i] == sum(p[i,k], k)": 1}.items():
        entry = entry_of(steps, *symbols, kind="identity", claims=(text,))
        programs = programs_with(catalogue, entry)
        assert len(semantic_faults(programs, "own", thorough=True)) == count, text


def test_shipped_claims_are_well_formed(catalogue: Catalogue) -> None:
    programs = catalogue.programs
    for entry_id in catalogue:
        assert semantic_faults(programs, entry_id, thorough=True) == [], entry_id


# --- derivatives inside formulas --------------------------------------------------------------------

X, Y = Symbol("x", ("n",)), Symbol("y", role="output")
LABEL = Symbol("a", kind="label", classes="n")
FORMULAS = [
    ("y = sum(x[i]**3, i)", (X, Y), "d(y, x[j]) == 3*x[j]**2"),
    ("y = sum(x[i]**3, i)", (X, Y), "vjp(y, x, 2) == 6*x**2"),
    ("u = x*x; y = sum(exp(u[i]), i)", (X, Y), "d(y, u[j]) == exp(u[j])"),
    ("u = x*x; y = sum(exp(u[i]), i)", (X, Y), "d(y, x[j]) == 2*x[j]*exp(u[j])"),
    ("u = x*x; y = sum(exp(u[i]), i)", (X, Y), "d(y, x) == 2*x*exp(u)"),
    ("y = sum(x[i]*x[i], i)", (X, Y), "d(d(y, x[j]), x[k]) == 2*delta(j, k)"),
    ("y = sum(x[i]*stop(x[i]), i)", (X, Y), "d(y, x[j]) == x[j]"),
    ("y = sum(d(sum(x[i]**3, i), x[j]), j)", (X, Y), "d(y, x[k]) == 6*x[k]"),
    ("y = integral(d(t**3, t), t, 0, 2)", (Symbol("x"), Y), "y == 8"),
    ("y = logdet(A)", (Symbol("A", ("n", "n"), domain="positive_definite"), Y), "d(y, A[i,j]) == inv(A)[j,i]"),
    ("y = det(A)", (Symbol("A", ("n", "n"), domain="positive_definite"), Y), "d(y, A[i,j]) == y*inv(A)[j,i]"),
    (
        "p = softmax(x); y = x[a]",
        (X, Symbol("a", kind="label", classes="n"), Y),
        "d(log(p[a]), x) == one_hot(a, n) - p",
    ),
]


@pytest.mark.parametrize(("define", "symbols", "claim"), FORMULAS, ids=[c for _, _, c in FORMULAS])
def test_derivatives_in_formulas_agree_with_the_interpreter(
    catalogue: Catalogue, define: str, symbols: tuple[Symbol, ...], claim: str
) -> None:
    """Both sides, by index form and by the interpreter, are the same number."""
    entry = entry_of(define, *symbols, claims=(claim,))
    programs = programs_with(catalogue, entry)
    assert programs.elaborated("own").faults == ()
    subject = Subject(entry, programs("own"), programs)
    form = elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)
    parsed = form.claim
    sampler = subject.sampler("test")
    with mpmath.workdps(30):
        for sizes in sampler.assignments(2):
            point = next(sampler.points(sizes))
            given = {n: elements(v) for n, v in point.values.items() if n not in sizes}
            evaluation = Evaluation(form.program, given, sizes)
            evaluation.run()
            open_ = open_sizes(subject.program, sizes)
            rows = interpreter.claim_sides(entry, subject.lookup, point.values, open_, parsed)
            places = list(evaluation.places(form.free, {}))
            assert len(rows) == len(places) > 0
            for (_, left, right), place in zip(rows, places, strict=True):
                assert abs(left - right) < 1e-20
                assert abs(evaluation.value(form.left, place) - left) < 1e-20
                assert abs(evaluation.value(form.right, place) - right) < 1e-20


def test_an_update_may_differentiate(catalogue: Catalogue) -> None:
    symbols = (
        Symbol("theta", ("A",), role="state"),
        Symbol("a", kind="label", classes="A"),
        Symbol("r"),
        Symbol("alpha", domain="positive"),
    )
    entry = entry_of("pi = softmax(theta); theta = theta + alpha*r*d(log(pi[a]), theta)", *symbols, kind="update")
    programs = programs_with(catalogue, entry)
    assert programs.elaborated("own").faults == ()
    subject = Subject(entry, programs("own"), programs)
    sampler = subject.sampler("test")
    with mpmath.workdps(30):
        point = next(sampler.points({"A": 3}))
        found = subject.evaluate(subject.program, point)[subject.outputs[0][1]]
        wanted = subject.reference(point, 30)["theta"]
        assert all(abs(found[at] - x) < 1e-20 for at, x in wanted.items())


# --- the prover ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("define", "claim", "proven"),
    [
        ("y = x if x >= 0 else 2*x", "d(y, x) == (2 if x < 0 else 1)", True),
        ("y = x if x >= 0 else 2*x", "d(y, x) == (2 if x <= 0 else 1)", None),
        ("y = exp(x) if x > 1 else x", "d(y, x) == (y if x > 1 else 1)", True),
        ("y = sinh(x)/cosh(x)", "y == (exp(2*x) - 1)/(exp(2*x) + 1)", True),
    ],
)
def test_cases_are_compared_by_their_tests(catalogue: Catalogue, define: str, claim: str, proven: bool | None) -> None:
    entry = entry_of(define, Symbol("x"), Symbol("y", role="output"), claims=(claim,))
    programs = programs_with(catalogue, entry)
    assert prove(elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)) is proven


def test_most_shipped_equations_are_proven(catalogue: Catalogue) -> None:
    """Those without an integral, that is: these are settled by quadrature alone."""
    proven, equations = 0, 0
    for entry_id in catalogue:
        for claim in catalogue.records[entry_id].claims:
            form = form_of(catalogue, entry_id, claim.text)
            steps = [step.expr for step in form.program.steps if isinstance(step, Step)]
            has_integral = any(isinstance(n, Integral) for e in (form.left, form.right, *steps) for n in walk(e))
            if form.relation == "==" and not (claim.refuted or has_integral):
                equations += 1
                proven += prove(form) is True
    assert proven >= 0.7 * equations


@pytest.mark.parametrize(
    ("define", "claim"),
    [
        ("y = x*(1 + z)/(1 + z)**2", "y == x/(z + 1)"),
        ("y = exp(x)*exp(z)", "y == exp(x + z)"),
        ("y = log(exp(x)*(1 + exp(z)))", "y == x + log(1 + exp(z))"),
        ("y = sqrt(1 + x**2)", "1/y == y/(1 + x**2)"),
        ("y = tanh(x)", "d(y, x) == 1 - y**2"),
        ("y = 1/(x + z)", "d(y, x) == -y**2"),
        ("y = log(8*exp(x))", "y == x + 3*log(2)"),
    ],
)
def test_the_prover_settles(catalogue: Catalogue, define: str, claim: str) -> None:
    entry = entry_of(define, Symbol("x"), Symbol("z"), Y)
    programs = programs_with(catalogue, entry)
    form = elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)
    assert prove(form) is True


def test_comparisons_of_whole_numbers_are_one_however_they_are_written(catalogue: Catalogue) -> None:
    symbols = (Symbol("x", ("n",)), Symbol("k", kind="integer", domain="positive"), Symbol("y", ("n",), role="output"))
    entry = entry_of("y[i] = x[i] if k <= i else 2*x[i]", *symbols)
    programs = programs_with(catalogue, entry)
    for claim, proven in {
        "y[i] == (x[i] if i - k >= 0 else 2*x[i])": True,
        "y[i] == (x[i] if k - 1 < i else 2*x[i])": True,
        "y[i] == (2*x[i] if i < k else x[i])": True,
        "y[i] == (x[i] if k < i else 2*x[i])": None,
    }.items():
        assert prove(elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)) is proven


@pytest.mark.parametrize(
    ("define", "claim"),
    [
        ("y = sqrt(x**2)", "y == x"),
        ("y = log(x**2)", "y == 2*log(x)"),
        ("y = x/z", "y == z/x"),
        ("y = abs(x)", "y == x"),
        ("y = (x + z)**2", "y == x**2 + z**2"),
        ("y = x + z", "y >= x"),
    ],
)
def test_the_prover_never_settles_what_is_false(catalogue: Catalogue, define: str, claim: str) -> None:
    entry = entry_of(define, Symbol("x"), Symbol("z"), Y)
    programs = programs_with(catalogue, entry)
    form = elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)
    assert prove(form) is None


@pytest.mark.parametrize(
    ("define", "claim", "proven"),
    [
        ("y = sum(x[i]/(1 + exp(-x[i])), i)", "y == sum(x[i], i) - sum(x[i]/(1 + exp(x[i])), i)", True),
        ("y = sum(x[i]/(1 + exp(-x[i])), i)", "y == sum(x[i], i) + sum(x[i]/(1 + exp(x[i])), i)", None),
        ("y = sum(1/(1 - 1/(1 + exp(x[i]))), i)", "y == sum(1 + exp(-x[i]), i)", True),
        ("y = sum(x[i]*sum(A[i,j]*x[j], j), i)", "y == sum(x[j]*sum(A[i,j]*x[i], i), j)", True),
        ("y = sum(x[i]*sum(A[i,j]*x[j], j), i)", "y == sum(x[i]*sum(A[i,j]*x[i], j), i)", None),
        ("y = sum(x[i]*A[j,k], i, j, k)", "y == sum(x)*sum(A)", True),
        ("y = sum(x[i]*A[i,j], i, j)", "y == sum(x)*sum(A)", None),
    ],
)
def test_sums_are_equal_in_any_order_and_together(
    catalogue: Catalogue, define: str, claim: str, proven: bool | None
) -> None:
    entry = entry_of(define, Symbol("x", shape=("n",)), Symbol("A", shape=("n", "n")), Y)
    programs = programs_with(catalogue, entry)
    form = elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)
    assert prove(form) is proven


def test_domains_are_used(catalogue: Catalogue) -> None:
    vectors = {"simplex": "sum(x[i], i) == 1", "one_hot": "x[i]**3 == x[i]", "plus_minus_one": "x[i]**2 == 1"}
    for domain, claim in vectors.items():
        for used, wanted in ((domain, True), ("real", None)):
            entry = entry_of("y = sum(x[i]**2, i)", Symbol("x", ("n",), domain=used), Y)
            programs = programs_with(catalogue, entry)
            form = elaborate_claim(programs.elaborated("own"), claim, programs, programs.entries)
            assert prove(form) is wanted, (used, claim)


# --- updates ---------------------------------------------------------------------------------------


def test_derivative_by_a_state_is_by_the_incoming_one(tmp_path: Path) -> None:
    update = """
inertia_step:
  name: Inertia
  kind: update
  topic: own
  about: A step with inertia.
  symbols:
    x: {shape: [n], role: state, about: position}
    v: {shape: [n], role: state, about: velocity}
    g: {shape: [n], about: force}
  define: ["v = 0.5*v + g", "x = x + v*v"]
  claims:
    by_velocity: "d(x[i], v[j]) == v[i]*delta(i,j)"
    by_position: "d(x[i], x[j]) == delta(i,j)"
    backward: "vjp(v, v, g) == g/2"
    not_so: {formula: "d(x[i], v[j]) == 2*v[i]*delta(i,j)", refuted: true}
  differentiate: [x, v]
"""
    path = tmp_path / "own.yaml"
    path.write_text(update, encoding="utf-8")
    equation = kb.load_catalogue(str(path))["inertia_step"]
    assert equation.check().verdict == "verified"
    # what a claim calls v is the new one, and it differentiates by the one that came in
    assert equation.formula_text("d(x[i], v[j]) == v[i]*delta(i,j)") == "∂xᵢ⁺/∂vⱼ = vᵢ⁺·δᵢⱼ"
