"""Constraints of domains, put in after differentiating."""

from __future__ import annotations

from kb.calculus.constraints import apply_constraints
from kb.calculus.inline import inline_smaller
from kb.calculus.reverse import vjp
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ONE, Bind, Expr, Read, num, same
from kb.index.program import Program, Step, Tensor
from kb.model import Symbol

N, C = Poly.of("N"), Poly.of("C")


def program(**domains: str) -> Program:
    """Symbols y[N, C] and so on, of these domains."""
    shapes = {"y": (N, C), "z": (C,), "A": (N, N), "J": (N, C)}
    tensors = {
        name: Tensor(name, shape, Symbol(name, tuple(map(str, shape)), domain=domains.get(name, "real")))
        for name, shape in shapes.items()
    }
    return Program(tensors, (), (), dimensions=("N", "C"))


def read(name: str, *indices: Index) -> Read:
    return Read(name, tuple(Poly.of(i) for i in indices), False)


i, j, c = Index("i", N), Index("j", N), Index("c", C)


def total(body: Expr, *indices: Index) -> Expr:
    return Bind("sum", indices, (), body)


def test_a_sum_over_the_last_axis_is_one() -> None:
    expr = build.subtract(build.mul(read("z", c), total(read("y", i, c), c)), read("y", i, c))
    found, uses = apply_constraints(total(read("y", i, c), c), program(y="simplex"))
    assert found == ONE
    assert [str(u) for u in uses] == ["sum(y[i, j], j) == 1"]
    assert apply_constraints(expr, program()) == (expr, ())


def test_a_sum_over_another_axis_is_not() -> None:
    expr = total(read("y", i, c), i)
    assert apply_constraints(expr, program(y="one_hot")) == (expr, ())


def test_a_factor_that_varies_with_the_index_keeps_the_sum() -> None:
    expr = total(build.mul(read("y", i, c), read("z", c)), c)
    assert apply_constraints(expr, program(y="simplex")) == (expr, ())


def test_the_rest_of_the_product_stays() -> None:
    expr = total(build.mul(read("y", i, c), read("A", i, j)), i, c)
    found, uses = apply_constraints(expr, program(y="stochastic"))
    assert same(found, total(read("A", i, j), i))
    assert len(uses) == 1


def test_a_condition_on_the_sum_keeps_it() -> None:
    guarded = Bind("sum", (c,), (build.compare("<", read("z", c), ONE),), read("y", i, c))
    assert apply_constraints(guarded, program(y="simplex")) == (guarded, ())


def test_a_joint_distribution_adds_up_over_all_axes_only() -> None:
    joint = program(J="joint")
    found, uses = apply_constraints(total(read("J", i, c), i, c), joint)
    assert found == ONE
    assert [str(u) for u in uses] == ["sum(J[i, j], i, j) == 1"]
    rows = total(read("J", i, c), c)
    assert apply_constraints(rows, joint) == (rows, ())


def test_the_two_orders_of_a_symmetric_matrix_meet() -> None:
    expr = build.add(read("A", i, j), read("A", j, i))
    found, uses = apply_constraints(expr, program(A="symmetric"))
    assert same(found, build.mul(num(2), read("A", i, j)))
    assert [str(u) for u in uses] == ["A == A.T"]
    assert apply_constraints(read("A", j, i), program(A="positive_definite")) == (read("A", j, i), ())
    assert apply_constraints(expr, program()) == (expr, ())


# --- adjoint steps put into each other ------------------------------------------------------------


def chain() -> Program:
    """``u = z*z``, ``w = log(u)``: the adjoint of w cancels in that of u."""
    free = Index("c", C)
    place = (Poly.of(free),)
    z = read("z", free)
    other = Index("c", C)
    u = Step("u", (free,), place, build.function("exp", z), (C,))
    w = Step("w", (other,), (Poly.of(other),), build.function("log", Read("u", (Poly.of(other),), False)), (C,))
    tensors = {**program().tensors, "u": Tensor("u", (C,)), "w": Tensor("w", (C,))}
    return Program(tensors, (u, w), (("w", "w"),), dimensions=("C",))


def test_a_step_that_cancels_is_put_in() -> None:
    found = vjp(chain(), ["z"])
    assert [s.name for s in found.adjoint] == ["u_bar", "z_bar"]
    (step,) = inline_smaller(found.adjoint, found.program, frozenset({"z_bar"}))
    assert isinstance(step, Step)
    assert step.expr == Read("w_bar", (Poly.of(step.free[0]),), False)


def test_a_step_that_is_returned_stays() -> None:
    found = vjp(chain(), ["z"])
    kept = inline_smaller(found.adjoint, found.program, frozenset({"z_bar", "u_bar"}))
    assert kept == found.adjoint
