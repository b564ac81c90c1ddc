"""Derivatives in index form: against differences, against each other, at ties, borders and kinks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from typing import Any

import mpmath
import numpy as np
import pytest
from agreement import draw, movable, of_entry, output, shipped, sizes_of
from selection import sampled

import kb
from kb.calculus.evaluate import Elements, Evaluation
from kb.calculus.forward import jvp, partial, with_slopes
from kb.calculus.primitives import with_companions
from kb.calculus.reverse import gather, vjp
from kb.equation import Equation
from kb.errors import NotDifferentiable
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import Integral, Read, same, walk
from kb.index.program import Step
from kb.model import Entry, Symbol

Values = dict[str, Elements]


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    with mpmath.workdps(40):
        yield


def elements(given: Mapping[str, Any]) -> Values:
    return {n: {at: mpmath.mpf(float(x)) for at, x in np.ndenumerate(np.asarray(v))} for n, v in given.items()}


class Point:
    """A program at a point, in directions: differences, tangents, pullbacks and partials of one weighted sum."""

    def __init__(self, eq: Equation, values: Values, sizes: Mapping[str, int], seed: int = 0) -> None:
        rng = random.Random(seed)
        self.program, self.values, self.sizes = eq.program, values, sizes
        self.wrt = movable(eq)
        self.base = Evaluation(eq.program, values, sizes).run()
        self.tangents = {n: {at: mpmath.mpf(rng.uniform(-1, 1)) for at in values[n]} for n in self.wrt}
        self.cotangents = {
            public: {at: mpmath.mpf(rng.uniform(-1, 1)) for at in self.base[held]}
            for public, held in eq.program.returns
        }

    def weighed(self, h: mpmath.mpf, names: list[str]) -> mpmath.mpf:
        moved = {n: {at: v + h * self.tangents[n][at] for at, v in self.values[n].items()} for n in names}
        found = Evaluation(self.program, {**self.values, **moved}, self.sizes).run()
        return mpmath.fsum(
            self.cotangents[public][at] * x for public, held in self.program.returns for at, x in found[held].items()
        )

    def difference(self, h: float, names: list[str]) -> mpmath.mpf:
        step = mpmath.mpf(h)
        return (self.weighed(step, names) - self.weighed(-step, names)) / (2 * step)

    def pulled(self) -> dict[str, mpmath.mpf]:
        """What each symbol contributes by the backward pass."""
        made = vjp(self.program, self.wrt, strict=False)
        given = {made.cotangents[public]: c for public, c in self.cotangents.items()}
        found = Evaluation(made.program, {**self.values, **given}, self.sizes).run()
        return {
            n: mpmath.fsum(found[held][at] * t for at, t in self.tangents[n].items()) if held else mpmath.mpf(0)
            for n, held in made.gradients.items()
        }

    def pushed(self) -> mpmath.mpf:
        made = jvp(self.program, self.wrt, strict=False)
        given = {made.tangents[n]: t for n, t in self.tangents.items()}
        found = Evaluation(made.program, {**self.values, **given}, self.sizes).run()
        return mpmath.fsum(
            self.cotangents[public][at] * x
            for public, held in made.results.items()
            if held
            for at, x in found[held].items()
        )

    def by_partials(self, name: str) -> mpmath.mpf:
        total = mpmath.mpf(0)
        sloping, _ = with_slopes(self.program, name)
        known = Evaluation(with_companions(self.program), self.values, self.sizes).run()
        known |= Evaluation(sloping, self.values, self.sizes).run()
        for public, held in self.program.returns:
            for part in partial(self.program, held, name, strict=False):
                evaluation = Evaluation(self.program, known, self.sizes)
                for place in evaluation.places((*part.free, *part.wrt), {}):
                    at = tuple(evaluation.number(p, place) for p in part.target)
                    slope = evaluation.value(part.expr, place) * self.tangents[name][tuple(place[i] for i in part.wrt)]
                    total += self.cotangents[public].get(at, 0) * slope  # 0: where a recurrence starts
        return total


def assert_derivatives(eq: Any, sizes: Mapping[str, int], seed: int = 0, *, partials: bool = True) -> None:
    point = Point(eq, elements(draw(eq, sizes, seed)), sizes, seed)
    pulled = point.pulled()
    for name in point.wrt:
        slope = point.difference(1e-12, [name])
        assert abs(pulled[name] - slope) < 1e-15 * (1 + abs(slope)), (name, pulled[name], slope)
        if partials:
            assert abs(point.by_partials(name) - slope) < 1e-15 * (1 + abs(slope)), name
    assert abs(point.pushed() - mpmath.fsum(pulled.values())) < 1e-25 * (1 + sum(map(abs, pulled.values())))


def test_what_a_mask_closes_is_0_whatever_it_is_divided_by() -> None:
    masked = "P[i,j] = exp(S[i,j])/sum(exp(S[i,k]), k, M[i,k] == 1) if M[i,j] == 1 else 0"
    eq = kb.parse(f"S = A @ B.T/sqrt(d); {masked}; Y = P @ C", "A[n,d] B[m,d] M[n,m]:binary C[m,e]")
    values = {"A": [[0.5], [2.0]], "B": [[1.0], [0.3]], "M": [[0, 0], [1, 1]], "C": [[1.5], [-0.5]]}
    point = Point(eq, elements(values), {"n": 2, "m": 2, "d": 1, "e": 1})
    pulled = point.pulled()
    for name in ("A", "B", "C"):
        slope = point.difference(1e-12, [name])
        assert abs(pulled[name] - slope) < 1e-15 and abs(point.by_partials(name) - slope) < 1e-15


SLOW = {"conv2d", "gan_minimax", "multi_head_attention", "lstm_cell"}


def holds_no_integral(entry_id: str) -> bool:
    """Integrals at many digits are slow; in double precision ``test_lowering`` takes them."""
    steps = (s for s in shipped()[entry_id].program.steps if isinstance(s, Step))
    return not any(isinstance(node, Integral) for step in steps for node in walk(step.expr))


DIFFERENTIABLE = [i for i in sorted(shipped()) if shipped()[i].differentiable]


@pytest.mark.parametrize("entry_id", sampled(DIFFERENTIABLE, holds_no_integral))
def test_derivatives_of_shipped_entries(entry_id: str) -> None:
    eq = shipped()[entry_id]
    sizes = sizes_of(eq)
    if "integral" in " ".join(eq.entry.define) or entry_id in SLOW:
        pytest.skip("its code is compared in test_lowering")
    assert_derivatives(eq, sizes, partials=len(eq.program.dimensions) <= 3)


NASTY = [
    ("y[i] = C[i, i]*x[i] + C[0, i]", "C[n,n] x[n]"),
    ("y[i, j] = (1.2 + C[j, j]**2)**(-1.5)*C[i, j]", "C[n,n]"),
    ("y = x.T @ C @ x + trace(C @ C.T)", "C[n,n] x[n]"),
    ("y = logdet(C) + det(C)*sum(inv(C)) + norm(C)", "C[n,n]:positive_definite"),
    ("y = sum(matpow(C, 3) @ x) + norm(x, 3)", "C[n,n] x[n]"),
    ("y[i] = prod(x[j] + 2, j, j != i)*prod(x) + x[i]", "x[n]"),
    ("y[i] = logsumexp(x[j]*x[i], j, j <= i)", "x[n]"),
    ("y = max(x[i]*x[j], i, j) + min(x[i] + x[j], i, j)", "x[n]"),
    ("y = max(s, t, s*t) + abs(s)", "s t"),
    ("y = sum(x[i + 1]*x[i], i, i < n) + sum(x[2*i]*i, i, i < n)", "x[2*n+1]"),
    ("y[i] = sum(v[j]*x[n - 1 - i + j], j, j <= i) + v[i]", "x[2*n] v[n]"),
    ("y = sum(x[L[j]]**2*z[j], j) + x[k]", "x[n] z[m] L[m]:label[n] k:label[n]"),
    ("y[i, j] = A[k, j]*x[i] + A[i, 0]*A[i, j]", "A[n,m] x[n] k:label[n]"),
    ("y[i] = (x[i]**2 if x[i] > 0 else sin(x[i])) + (1/(x[i] - x[0]) if i > 0 else 0)", "x[n]"),
    ("y[i] = sum(1/(x[i] - x[j]), j, j != i)", "x[n]"),
    ("S[i] = exp(x[i]); y = sum(S*log(S)) + x @ S", "x[n]"),
    ("p = softmax(x); y = -sum(z*log(p)) + p[0]**2", "x[n] z[n]"),
    ("y = (sum(x))**3 + sum(x)**(-2)", "x[n]"),
    ("m_ = mean(x); v = mean((x - m_)**2); y = (x - m_)/sqrt(v + 0.1)", "x[n]"),
    ("y = integral(exp(-s*u**2)*u, u, t, s)", "s t"),
    ("y[i] = sum(delta(i, j + 1)*x[j], j) + sum(delta(2*i, j)*x[j], j) + x[i]", "x[n]"),
    ("y = concat(A[i], i) @ z", "A[n,m] z[n*m]"),
]


@pytest.mark.parametrize(("define", "symbols"), NASTY, ids=[d for d, _ in NASTY])
def test_derivatives_of_nasty_formulas(define: str, symbols: str) -> None:
    eq = kb.parse(define, symbols)
    assert_derivatives(eq, {"n": 3, "m": 2})
    if "C[0" not in define and "inv(" not in define:
        assert_derivatives(eq, {"n": 1, "m": 1})


@pytest.mark.parametrize("define", ["y = tanh(s)*exp(t)", "y = (s**2 + 1)**t", "y = log(1 + exp(s*t))"])
def test_differences_converge_at_second_order_to_the_derivative(define: str) -> None:
    eq = kb.parse(define, "s t")
    point = Point(eq, elements(draw(eq, {}, 3)), {}, 3)
    truth = mpmath.fsum(point.pulled().values())
    errors = [abs(point.difference(h, point.wrt) - truth) for h in (1e-2, 5e-3, 2.5e-3)]
    assert all(3.9 < a / b < 4.1 for a, b in pairwise(errors))


# --- borders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_windows_with_stride_and_padding(stride: int, padding: int) -> None:
    symbols = (
        Symbol("x", ("n",), outside="0"),
        Symbol("w", ("r",)),
        output("y", f"(n + {2 * padding} - r)//{stride} + 1"),
    )
    define = f"y[i] = sum(x[{stride}*i + u - {padding}]*w[u], u)"
    eq = of_entry(Entry("own", "Own", symbols=symbols, define=(define,), requires=("n >= r",)))
    for n, r in ((5, 3), (4, 2), (3, 3), (1, 1)):
        assert_derivatives(eq, {"n": n, "r": r})


def test_a_shift_leaves_nothing_at_the_border() -> None:
    eq = kb.parse("y = sum(x[i + 1]*z[i], i)", "x[n+1] z[n]")
    gradient = eq.vjp().lambdify()([1.0, 2.0, 4.0], [3.0, 5.0])
    assert gradient["x"].tolist() == [0, 3, 5] and gradient["z"].tolist() == [2, 4]


def test_a_label_used_twice_takes_both_cotangents() -> None:
    eq = kb.parse("y[j] = x[L[j]]", "x[n] L[m]:label[n]")
    gradient = eq.vjp().lambdify()([1.0, 2.0, 3.0], [2, 0, 2], cotangent=[1.0, 10.0, 100.0])
    assert gradient["x"].tolist() == [10, 0, 101]


# --- conventions ----------------------------------------------------------------------------------


def slope(define: str, x: Any, symbols: str = "x[n]") -> Any:
    return kb.parse(define, symbols).vjp().lambdify()(x)["x"].tolist()


def test_of_equal_values_the_first_takes_the_cotangent() -> None:
    assert slope("y = max(x)", [1.0, 3.0, 3.0]) == [0, 1, 0]
    assert slope("y = min(x)", [2.0, 1.0, 1.0]) == [0, 1, 0]
    assert slope("y = sum(max(x[i, j], j), i)", [[2.0, 2.0], [0.0, 0.0]], "x[n,m]") == [[1, 0], [1, 0]]
    gradient = kb.parse("y = max(A[i, j], j, i)", "A[n,m]").vjp().lambdify()([[0.0, 5.0], [5.0, 0.0]])["A"]
    assert gradient.tolist() == [[0, 0], [1, 0]]  # reading order is that of the binder: j, then i
    assert slope("y = max(x[0], x[1])", [2.0, 2.0], "x[2]") == [1, 0]
    assert slope("y = sum(max(x[i + u], u, u < 2), i, i < n)", [1.0, 1.0, 1.0], "x[n+1]") == [1, 1, 0]


def test_an_excluded_place_takes_no_cotangent_even_if_equal() -> None:
    assert slope("y = sum(max(x[j], j, j != i) + 0*x[i], i)", [3.0, 3.0, 3.0]) == [2, 1, 0]


def test_conventions_at_kinks() -> None:
    relu = shipped()["relu"]
    assert next(iter(relu.vjp().lambdify()(np.zeros(2)).values())).tolist() == [0, 0]
    assert slope("y = sum(abs(x))", [0.0, -2.0, 2.0]) == [0, -1, 1]


def test_stop_has_derivative_0() -> None:
    assert slope("y = sum(x*stop(x))", [2.0, 3.0]) == [2, 3]
    assert slope("y = stop(sum(x**2)) + 0*x[0]", [2.0, 3.0]) == [0, 0]
    hessian = kb.parse("y = x*stop(x)", "x").hessian("x").lambdify()
    assert hessian(3.0) == 0


@pytest.mark.parametrize("define", ["y = floor(x)", "y = round(x)", "y = 1 if x > 0 else 0"])
def test_what_jumps_has_no_derivative(define: str) -> None:
    eq = kb.parse(define, "x")
    with pytest.raises(NotDifferentiable):
        vjp(eq.program, ["x"])
    with pytest.raises(NotDifferentiable):
        jvp(eq.program, ["x"])
    with pytest.raises(NotDifferentiable):
        partial(eq.program, eq.program.returns[0][1], "x")


def test_what_is_no_number_has_no_derivative() -> None:
    eq = kb.parse("y = x[k]*n_", "x[n] k:label[n] n_:integer")
    for name in ("k", "n_", "y"):
        with pytest.raises(NotDifferentiable):
            eq.derivative(name)
    with pytest.raises(kb.NotFound, match="x"):
        eq.derivative("xx")


# --- textbook forms -------------------------------------------------------------------------------


def test_scatters_gathered_are_the_partial_derivative() -> None:
    eq = kb.parse("y = sum(x[2*i]*z[i] + x[2*i + 1], i)", "x[2*n+1] z[n]")
    made = vjp(eq.program, ["x"])
    free = (Index("k", eq.program.shape("x")[0]),)
    expr = gather(made.adjoint, made.gradients["x"] or "", free)
    sizes = {"n": 2}
    given = elements(draw(eq, sizes, 0)) | {next(iter(made.cotangents.values())): {(): mpmath.mpf(1)}}
    run = Evaluation(made.program, given, sizes)
    expected = run.run()[made.gradients["x"] or ""]
    for k in range(5):
        assert mpmath.almosteq(run.value(expr, {free[0]: k}), expected.get((k,), 0), 1e-30)


def test_the_jacobian_of_softmax_is_the_textbook_one() -> None:
    eq = shipped()["softmax"]
    (part,) = partial(eq.program, "p", "z")
    (j,), (k,) = part.free, part.wrt
    p_j, p_k = (Read("p", (Poly.of(i),), False) for i in (j, k))
    textbook = build.mul(p_j, build.subtract(build.delta(Poly.of(j), Poly.of(k)), p_k))
    assert same(part.expr, textbook), part.expr


TEXTBOOK = [
    ("softmax", "z", ["z_bar = p*(p_bar - p.T @ p_bar)"]),
    ("scaled_dot_product_attention", "V", ["V_bar = A.T @ O_bar"]),
    ("scaled_dot_product_attention", "Q", ["Q_bar = S_bar @ K/sqrt(d_k)"]),
    ("scaled_dot_product_attention", "K", ["K_bar = S_bar.T @ Q/sqrt(d_k)"]),
]


@pytest.mark.parametrize(("entry_id", "symbol", "expected"), TEXTBOOK, ids=str)
def test_backward_passes_are_those_of_textbooks(entry_id: str, symbol: str, expected: list[str]) -> None:
    steps = shipped()[entry_id].vjp([symbol]).steps
    for text in expected:
        assert any(text.replace(" ", "") in s.replace(" ", "") for s in steps), steps


def test_attention_multiplies_no_matrix_twice() -> None:
    """Its backward pass: four products of matrices beside the two of the forward pass."""
    text = shipped()["scaled_dot_product_attention"].code(backward=True)
    body = text[text.index("def scaled_dot_product_attention_vjp") :]
    assert body.count(" @ ") + body.count("_einsum(") <= 6, body


def test_batch_norm_keeps_its_steps() -> None:
    eq = shipped()["batch_norm"]
    made = vjp(eq.program, ["x"])
    names = {s.name for s in made.adjoint}
    assert made.gradients["x"] in names and len(made.adjoint) <= 4
    assert {s.name for s in made.forward} <= set(eq.program.step_names())


def test_every_place_is_reached() -> None:
    """Evaluation over all places of a derivative touches every element of the symbol once."""
    eq = kb.parse("y[i, j] = A[j, i]", "A[n,m]")
    (part,) = partial(eq.program, "y", "A")
    evaluation = Evaluation(eq.program, elements({"A": np.ones((3, 2))}), {"n": 3, "m": 2})
    total = sum(evaluation.value(part.expr, p) for p in evaluation.places((*part.free, *part.wrt), {}))
    assert total == 6 == len(list(product(range(3), range(2))))
