"""Matrix notation: what has one, how it reads, and that it has the same value as index form."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from printing_values import Values, as_array, programs, sample, sizes_of

from kb.calculus.evaluate import Evaluation
from kb.calculus.forward import jvp
from kb.calculus.reverse import vjp
from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.nodes import MINUS_ONE, Expr, Read, free_indices, num, val
from kb.index.program import Program, Step, Tensor
from kb.model import Symbol
from kb.printing.matrix import matrix_notation

SHAPES = {"A": "nm", "B": "mk", "D": "nm", "S": "nn", "u": "n", "v": "m", "w": "k", "t": "", "X": "hnm", "Y": "hmk"}
SIZES = {"n": 3, "m": 4, "k": 2, "h": 5}
SCOPE = Program(
    {name: Tensor(name, tuple(map(Poly.of, shape)), Symbol(name, tuple(shape))) for name, shape in SHAPES.items()},
    (),
    (),
    dimensions=tuple(SIZES),
)


def index(letter: str, size: str) -> Index:
    return Index(letter, Poly.of(size))


def read(name: str, *indices: Index) -> Read:
    return Read(name, tuple(Poly.of(i) for i in indices), False)


def total(body: Expr, *indices: Index) -> Expr:
    return build.bind("sum", indices, (), body)


i, i2, j, j2, k, h = (index(*pair) for pair in (("i", "n"), ("a", "n"), ("j", "m"), ("b", "m"), ("k", "k"), ("h", "h")))
A, B, D, u, v, w, t = (
    read("A", i, j),
    read("B", j, k),
    read("D", i, j),
    read("u", i),
    read("v", j),
    read("w", k),
    read("t"),
)
LABEL = Poly.of(Gather("c", ()))
ROW = total(build.mul(read("A", i, j2), read("D", i, j2)), j2)

EXAMPLES: list[tuple[Expr, tuple[Index, ...], str | None]] = [
    (total(build.mul(A, B), j), (i, k), "A @ B"),
    (total(build.mul(A, B), j), (k, i), "B.T @ A.T"),
    (total(build.mul(A, v), j), (i,), "A @ v"),
    (total(build.mul(A, u), i), (j,), "A.T @ u"),
    (total(build.mul(A, B, w), j, k), (i,), "A @ B @ w"),
    (total(build.mul(A, v, B), j), (i, k), "(A*v) @ B"),
    (build.mul(u, v), (i, j), "u @ v.T"),
    (build.mul(u, total(build.mul(B, w), k)), (i, j), "u @ w.T @ B.T"),
    (build.mul(u, A, v, D), (j, i), None),
    (build.mul(A, D), (i, j), "A*D"),
    (build.mul(A, build.subtract(D, ROW)), (i, j), "A*(D - rowsum(A*D))"),
    (total(A, j), (i,), "rowsum(A)"),
    (total(A, i), (j,), "colsum(A)"),
    (total(A, i, j), (), "sum(A)"),
    (total(build.mul(A, D), i, j), (), "sum(A*D)"),
    (build.add(A, v), (i, j), "A + v"),
    (build.add(A, u), (i, j), None),
    (build.subtract(build.mul(num(2), A), D), (i, j), "2*A - D"),
    (build.negative(D), (j, i), "-D.T"),
    (build.mul(t, A, build.power(val(Poly.of("k")), MINUS_ONE)), (i, j), "t*A/k"),
    (build.divide(total(build.mul(A, B), j), build.function("sqrt", val(Poly.of("m")))), (i, k), "A @ B/sqrt(m)"),
    (build.divide(u, build.add(num(1), build.power(u, num(2)))), (i,), "u/(1 + u**2)"),
    (build.function("tanh", total(build.mul(A, v), j)), (i,), "tanh(A @ v)"),
    (build.mul(build.delta(Poly.of(i), Poly.of(i2)), u), (i, i2), "diag(u)"),
    (build.delta(Poly.of(i), LABEL), (i,), "one_hot(c, n)"),
    (build.mul(build.delta(Poly.of(i), LABEL), v), (i, j), "one_hot(c, n) @ v.T"),
    (build.subtract(u, build.delta(LABEL, Poly.of(i))), (i,), "u - one_hot(c, n)"),
    (build.delta(Poly.of(i), Poly.of(0)), (i,), None),
    (read("S", i, i), (i,), None),
    (read("S", i2, i), (i, i2), "S.T"),
    (build.mul(read("S", i, i2), read("u", i2)), (i, i2), None),
    (total(build.mul(read("X", h, i, j), read("Y", h, j, k)), j), (h, i, k), "X[h] @ Y[h]"),
    (total(build.mul(read("X", h, i, j), read("Y", h, j, k)), h, j), (i, k), "sum(X[h] @ Y[h], h)"),
    (total(read("X", h, i, j), i), (h, j), None),
    (read("A", i, Index("z", Poly.of("m"))), (i, j), None),
]


@pytest.mark.parametrize(("expr", "free", "expected"), EXAMPLES)
def test_form_and_value(expr: Expr, free: tuple[Index, ...], expected: str | None) -> None:
    shown = matrix_notation(expr, free, SCOPE)
    assert (None if shown is None else str(shown)) == expected
    if shown is None:
        return
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(0.2, 1.5, [SIZES[s] for s in shape]) for name, shape in SHAPES.items()}
    arrays["c"] = np.asarray(2)
    elements = {name: dict(np.ndenumerate(array)) for name, array in arrays.items()}
    evaluation = Evaluation(SCOPE, elements, SIZES)
    leads = free[: len(free) - 2] if len(free) == 3 else ()
    for place in evaluation.places(free, {}):
        lead = {i.name: place[i] for i in leads}
        value = np.asarray(Values(arrays, SIZES).of(shown, lead))
        inner = tuple(place[i] for i in free[len(leads) :])
        shape = tuple(SIZES[str(i.extent).strip("'")] for i in free[len(leads) :])
        assert np.isclose(np.broadcast_to(value, shape)[inner], float(evaluation.value(expr, place)))


def test_the_steps_of_attention_all_have_a_form() -> None:
    program = programs()("scaled_dot_product_attention")
    found = vjp(program, ["Q", "K", "V"])
    shown = {s.name: matrix_notation(s.expr, s.free, found.program) for s in found.adjoint if isinstance(s, Step)}
    assert {name: str(node) for name, node in shown.items()} == {
        "A_bar": "O_bar @ V.T",
        "S_bar": "A*(A_bar - rowsum(A*A_bar))",
        "Q_bar": "S_bar @ K/sqrt(d_k)",
        "K_bar": "S_bar.T @ Q/sqrt(d_k)",
        "V_bar": "A.T @ O_bar",
    }


@pytest.mark.parametrize(
    ("entry_id", "name", "expected"),
    [
        ("linear", "W_bar", "y_bar @ x.T"),
        ("linear", "x_bar", "W.T @ y_bar"),
        ("normal_equation", "G_bar", "-G_inv.T @ G_inv_bar @ G_inv.T"),
        ("normal_equation", "y_bar", "X @ G_inv.T @ theta_bar"),
        ("softmax", "z_bar", "p*(p_bar - p.T @ p_bar)"),
        ("multi_head_attention", "A_bar", "head_bar[i] @ v[i].T"),
        ("batch_norm", "gamma_bar", "colsum(y_bar*x_hat)"),
    ],
)
def test_expected_forms(entry_id: str, name: str, expected: str) -> None:
    program = programs()(entry_id)
    found = vjp(program, [t.name for t in program.arguments if t.symbol is not None and t.symbol.is_differentiable])
    (step,) = [s for s in found.adjoint if s.name == name]
    assert isinstance(step, Step)
    assert str(matrix_notation(step.expr, step.free, found.program)) == expected


@pytest.mark.parametrize("entry_id", ["scaled_dot_product_attention", "normal_equation", "lstm_cell", "batch_norm"])
def test_tangent_steps_have_the_value_of_index_form(entry_id: str) -> None:
    program = programs()(entry_id)
    found = jvp(program, [t.name for t in program.arguments if t.symbol is not None and t.symbol.is_differentiable])
    evaluation = Evaluation(found.program, sample(found.program), sizes_of(program))
    arrays = {name: as_array(v) for name, v in evaluation.run().items()}
    compared = 0
    for step in found.program.steps:
        shown = matrix_notation(step.expr, step.free, found.program) if isinstance(step, Step) else None
        if shown is not None:
            value = np.asarray(Values(arrays, sizes_of(program)).of(shown))
            assert np.allclose(np.broadcast_to(value, arrays[step.name].shape), arrays[step.name]), str(shown)
            compared += 1
    assert compared >= 4


def test_every_product_of_up_to_four_factors_agrees() -> None:
    """All products of some factors, summed over some indices: either no form, or the right value."""
    factors = [A, D, B, u, v, read("u", i), t]
    rng = np.random.default_rng(7)
    arrays = {name: rng.uniform(0.2, 1.5, [SIZES[s] for s in shape]) for name, shape in SHAPES.items()}
    evaluation = Evaluation(SCOPE, {n: dict(np.ndenumerate(a)) for n, a in arrays.items()}, SIZES)
    formed = 0
    for count in (1, 2, 3, 4):
        for chosen in itertools.combinations(factors, count):
            body = build.mul(*chosen)
            own = [x for x in (i, j, k) if x in free_indices(body)]
            for free in (f for n in range(3) for f in itertools.permutations(own, n)):
                expr = total(body, *(x for x in own if x not in free))
                shown = matrix_notation(expr, free, SCOPE)
                if shown is None:
                    continue
                formed += 1
                value = np.asarray(Values(arrays, SIZES).of(shown))
                for place in evaluation.places(free, {}):
                    at = tuple(place[x] for x in free)
                    got = value[at] if value.ndim == len(at) else value
                    assert np.isclose(got, float(evaluation.value(expr, place))), f"{shown} for {free}"
    assert formed > 150
