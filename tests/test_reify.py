"""Index form back to trees: names never clash, signs and fractions stand where people put them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from printing_values import Values

from kb import tree
from kb.index import build
from kb.index.affine import FloorDiv, Gather, Index, Poly
from kb.index.nodes import (
    HALF,
    MINUS_ONE,
    ONE,
    Apply,
    Bind,
    Cases,
    Compare,
    Expr,
    Integral,
    Negation,
    Pick,
    Pow,
    Read,
    Several,
    Stop,
    Val,
    Var,
    Variable,
    num,
    val,
)
from kb.parser import parse_expression
from kb.printing.names import Names, poly_tree
from kb.printing.reify import reify

N = Poly.of("N")


def index(name: str, size: str = "N") -> Index:
    return Index(name, Poly.of(size))


def read(name: str, *indices: Index | Poly | int) -> Read:
    return Read(name, tuple(Poly.of(i) for i in indices), False)


def minus(expr: Expr) -> Expr:
    return build.negative(expr)


i, j, k = index("i"), index("j"), index("k")
x, y, p = read("x", i), read("y", i), read("p", i)
a, b, c = read("a"), read("b"), read("c")


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (build.subtract(x, y), "x[i] - y[i]"),
        (build.add(minus(x), y), "y[i] - x[i]"),
        (minus(x), "-x[i]"),
        (minus(build.mul(a, x)), "-a*x[i]"),
        (build.mul(num(-2), build.power(val(N), MINUS_ONE), build.subtract(y, x)), "2*(x[i] - y[i])/N"),
        (build.mul(MINUS_ONE, build.subtract(ONE, y), a), "-a*(1 - y[i])"),
        (build.mul(num(Fraction(1, 2)), x), "x[i]/2"),
        (build.mul(num(Fraction(3, 2)), x, build.power(y, num(-2))), "3*x[i]/(2*y[i]**2)"),
        (num(Fraction(8943, 200000)), "0.044715"),
        (num(Fraction(-1, 3)), "-1/3"),
        (build.power(a, HALF), "sqrt(a)"),
        (build.power(a, num(Fraction(-1, 2))), "1/sqrt(a)"),
        (build.power(build.add(a, b), num(Fraction(-3, 2))), "1/(a + b)**(3/2)"),
        (build.power(build.add(ONE, build.function("exp", minus(a))), MINUS_ONE), "1/(1 + exp(-a))"),
        (build.add(build.function("exp", a), ONE), "1 + exp(a)"),
        (build.mul(x, a, val(N)), "a*N*x[i]"),
        (Pow(num(10), build.mul(num(-2), val(Poly.of(i)), build.power(val(N), MINUS_ONE))), "1/10**(2*i/N)"),
        (build.test(build.compare("==", val(Poly.of(i)), val(Poly.of(j)))), "delta(i, j)"),
        (build.test(build.compare("<", num(0), a)), "1 if a > 0 else 0"),
        (build.mul(b, build.test(build.compare("<=", a, c))), "b if a <= c else 0"),
        (build.add(c, build.mul(b, build.test(build.compare("<", a, c)))), "c + b*iverson(a < c)"),
        (Several("max", (num(0), a)), "max(0, a)"),
        (Several("logsumexp", (num(0), a)), "log(1 + exp(a))"),
        (Apply("f", (0,), (a,)), "f(a)"),
        (Apply("f", (1,), (a,)), "deriv(f)(a)"),
        (Apply("f", (0, 1), (a, b)), "d(f(a, b), b)"),
        (Stop(a), "stop(a)"),
        (Cases(((Compare("<", a, b), x),), y), "x[i] if a < b else y[i]"),
        (build.test(Negation(Compare("==", a, b))), "1 if not a == b else 0"),
        (read("x", Poly.of(Gather("y", ()))), "x[y]"),
        (build.delta(Poly.of(Gather("y", ())), Poly.of(i)), "delta(i, y)"),
    ],
)
def test_form(expr: Expr, expected: str) -> None:
    shown = reify(expr, Names().bind([i, j]))
    assert str(shown) == expected
    assert parse_expression(expected) == shown


def test_indices_of_one_name_get_different_letters() -> None:
    first, second, third = index("i"), index("i"), index("i")
    body = build.mul(read("A", first, second), read("B", second, third))
    nested = Bind("sum", (second, third), (), body)
    shown = str(reify(nested, Names().bind([first])))
    assert shown == "sum(A[i, j]*B[j, k], j, k)"


def test_a_bound_index_avoids_symbols_and_the_indices_around_it() -> None:
    outer, inner = index("k"), index("k")
    expr = Bind("sum", (inner,), (), build.mul(read("x", inner), read("y", outer)))
    shown = reify(expr, Names(taken=frozenset({"i", "j", "l", "x", "y"})).bind([outer]))
    assert str(shown) == "sum(x[m]*y[k], m)"


def test_siblings_may_share_a_letter() -> None:
    one, two = index("k"), index("k")
    expr = build.add(
        Bind("sum", (one,), (), read("x", one)), Bind("sum", (two,), (), build.power(read("x", two), num(2)))
    )
    assert str(reify(expr)) == "sum(x[k], k) + sum(x[k]**2, k)"


def test_arrays_are_indexed_as_in_their_definition() -> None:
    names = Names(usual={("y", 0): "c"})
    bound = index("i")
    assert str(reify(Bind("sum", (bound,), (), read("y", bound)), names)) == "sum(y[c], c)"
    assert str(reify(Bind("sum", (bound,), (), read("y", bound)), names.bind([index("c")]))) == "sum(y[d], d)"


def test_softmax_is_a_quotient() -> None:
    soft = build.function("exp", build.subtract(x, Bind("logsumexp", (k,), (), read("x", k))))
    assert str(reify(soft)) == "exp(x[i])/sum(exp(x[k]), k)"
    assert str(reify(build.mul(a, soft, build.power(b, MINUS_ONE)))) == "a*exp(x[i])/(b*sum(exp(x[k]), k))"


def test_a_mean_is_a_mean_only_over_its_own_range() -> None:
    total = Bind("sum", (i,), (), x)
    assert str(reify(build.mul(build.power(val(N), MINUS_ONE), total))) == "mean(x[i], i)"
    assert str(reify(build.mul(build.power(val(Poly.of("m")), MINUS_ONE), total))) == "sum(x[i], i)/m"
    some = Bind("sum", (i,), (build.compare("<", num(0), x),), x)
    assert str(reify(build.mul(build.power(val(N), MINUS_ONE), some))) == "sum(x[i], i, x[i] > 0)/N"


def test_a_range_that_no_subscript_shows_is_a_condition() -> None:
    u = index("u", "k")
    shifted = Bind("max", (u,), (), read("I", Poly.of("s") * Poly.of(i) + Poly.of(u)))
    assert str(reify(shifted)) == "max(I[s*i + u], u, u < k)"


def test_the_place_of_a_maximum_implies_that_it_is_in_range() -> None:
    u, place = index("u", "k"), Poly.of(j) - Poly.of(i)
    pick = Pick("max", (u,), (), read("I", u), (place,))
    guards = (Compare("<=", num(0), Val(place)), Compare("<", Val(place), Val(Poly.of("k"))))
    expr = build.mul(*(build.test(g) for g in guards), pick)
    assert str(reify(expr, Names().bind([i, j]))) == "iverson(j - i == argmax(I[u], u))"


def test_integrals_keep_their_variable() -> None:
    v = Variable("i")
    expr = Integral(v, num(0), ONE, build.mul(Var(v), x))
    assert str(reify(expr, Names().bind([i]))) == "integral(j*x[i], j, 0, 1)"


def test_sizes_read_as_in_the_catalogue() -> None:
    size = Poly.of(FloorDiv(Poly.of("H") + Poly.of("p") * 2 - Poly.of("r"), Poly.of("s"))) + 1
    assert str(poly_tree(size, Names())) == "(H + 2*p - r) // s + 1"
    assert str(poly_tree(Poly.of("s") * Poly.of(i) - 1, Names().bind([i]))) == "s*i - 1"


leaves = st.sampled_from([a, b, c, num(2), num(-3), num(Fraction(1, 2)), num(Fraction(-7, 4))])


def compound(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda t: build.add(*t)),
        pairs.map(lambda t: build.subtract(*t)),
        pairs.map(lambda t: build.mul(*t)),
        inner.map(lambda e: build.divide(e, build.add(num(5), build.power(a, num(2))))),
        inner.map(lambda e: build.power(e, num(2))),
        inner.map(lambda e: build.function("tanh", e)),
    )


@given(st.recursive(leaves, compound, max_leaves=12))
def test_the_tree_has_the_same_value_and_survives_printing(expr: Expr) -> None:
    shown = reify(expr)
    parsed = parse_expression(str(shown))
    assert parsed == shown
    values = Values({"a": np.asarray(0.37), "b": np.asarray(-1.2), "c": np.asarray(0.9)}, {})
    expected = _value(expr, {"a": 0.37, "b": -1.2, "c": 0.9})
    assert np.isclose(float(values.of(parsed)), expected, rtol=1e-9, atol=1e-9)


def _value(expr: Expr, at: dict[str, float]) -> float:
    from kb.calculus.evaluate import Evaluation
    from kb.index.program import Program

    program = Program({}, (), ())
    return float(Evaluation(program, {n: {(): v} for n, v in at.items()}, {}).value(expr, {}))


def test_no_negative_term_is_added() -> None:
    shown = reify(build.add(x, minus(y), minus(build.mul(a, p))))
    assert isinstance(shown, tree.Chain)
    assert shown.operators == ("-", "-")
