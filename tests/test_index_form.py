"""Index form: sizes and ranges, deltas, bound indices, and the constructors that keep it small."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb.errors import LanguageError
from kb.index import build, nodes
from kb.index.affine import Facts, Index, Poly, format_poly
from kb.index.nodes import Bind, Expr, Read, alpha_key, num, same, val, walk

N, M, S = (Poly.of(name) for name in "nms")


def read(name: str, *places: Poly | Index | int) -> Read:
    return Read(name, tuple(p if isinstance(p, Poly) else Poly.of(p) for p in places), False)


def deltas(expr: Expr) -> list[nodes.Test]:
    return [n for n in walk(expr) if isinstance(n, nodes.Test)]


# --- sizes and ranges ----------------------------------------------------------------------------

small = st.integers(-3, 3)


@given(small, small, small, st.integers(1, 3))
def test_what_is_proven_in_range_is_in_range(a: int, b: int, c: int, divisor: int) -> None:
    index = Index("i", (N - M) // Poly.of(divisor) + 1)
    place = Poly.of(index) * a + M * b + c
    if not Facts({}, [N - M]).within(place, N):
        return
    for n, m in product(range(1, 7), repeat=2):
        if n >= m:
            for i in range((n - m) // divisor + 1):
                assert 0 <= a * i + b * m + c < n


def test_a_strided_window_is_proven_to_stay_inside() -> None:
    row, tap = Index("i", (N - M) // S + 1), Index("u", M)
    facts = Facts({}, [N - M])
    assert facts.within(S * Poly.of(row) + Poly.of(tap), N)
    assert not facts.within(S * Poly.of(row) + Poly.of(tap) + 1, N)


def test_blocks_side_by_side_are_proven_to_fit() -> None:
    block, inside = Index("i", N), Index("j", M)
    assert Facts().within(Poly.of(block) * M + Poly.of(inside), N * M)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 5), st.integers(1, 9))
def test_rounding_down_leaves_multiples_whole(a: int, b: int, c: int, divisor: int, s: int) -> None:
    poly = (S * N * a + S * b + c) // (S * divisor)
    assert poly.evaluate(lambda atom: {"s": s, "n": 5}[str(atom)]) == (5 * s * a + s * b + c) // (s * divisor)


def test_a_stride_and_back_is_the_same_size() -> None:
    assert S * (N - 1) // S + 1 == N


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 5), st.integers(1, 9))
def test_polynomials_evaluate_as_they_are_written(a: int, b: int, divisor: int, n: int) -> None:
    poly = (N * a + b) // Poly.of(divisor) + N * N
    text = format_poly(poly)
    assert poly.evaluate(lambda atom: n) == (a * n + b) // divisor + n * n
    assert eval(text, {"n": n}) == poly.evaluate(lambda atom: n)  # noqa: S307 - a formula of our own


# --- deltas --------------------------------------------------------------------------------------


def test_a_delta_fixes_the_bound_index() -> None:
    j, k = Index("j", N), Index("k", N)
    summed = build.bind("sum", [k], (), build.mul(build.delta(Poly.of(k), Poly.of(j)), read("x", k)))
    assert summed == read("x", j)


def test_across_a_shift_the_range_becomes_a_condition() -> None:
    at, tap = Index("a", N), Index("u", M)
    equal = build.delta(Poly.of(tap) + 2, Poly.of(at))
    summed = build.bind("sum", [tap], (), build.mul(equal, read("w", tap)))
    assert read("w", Poly.of(at) - 2) in list(walk(summed))
    assert len(deltas(summed)) == 2, "0 <= a - 2 and a - 2 < m must remain"


def test_across_a_stride_the_equation_stays() -> None:
    at, row = Index("a", N), Index("i", M)
    equal = build.delta(Poly.of(row) * 2, Poly.of(at))
    summed = build.bind("sum", [row], (), build.mul(equal, read("y", row)))
    assert isinstance(summed, Bind) and len(summed.conditions) == 1


def test_an_equation_without_solution_is_zero() -> None:
    i, j = Index("i", N), Index("j", N)
    assert build.delta(Poly.of(i) * 2, Poly.of(j) * 2 + 1) == num(0)
    assert build.delta(Poly.of(i) * 2, Poly.of(j) * 2) == build.delta(Poly.of(i), Poly.of(j))


# --- bound indices -------------------------------------------------------------------------------


def test_sums_are_equal_whatever_their_index_is_called() -> None:
    i, j = Index("i", N), Index("j", N)
    one = build.bind("sum", [i], (), build.power(read("x", i), num(2)))
    other = build.bind("sum", [j], (), build.power(read("x", j), num(2)))
    assert alpha_key(one) == alpha_key(other)
    assert build.subtract(one, other) == num(0)


def test_substitution_captures_nothing() -> None:
    i, j = Index("i", N), Index("j", N)
    body = Bind("sum", (i,), (), build.mul(read("x", i), read("y", j)))
    moved = build.substitute(body, {j: Poly.of(i)})
    assert same(moved, build.mul(read("y", i), build.bind("sum", [j], (), read("x", j))))


def test_what_does_not_depend_on_the_index_goes_in_front() -> None:
    i, j = Index("i", N), Index("j", M)
    summed = build.bind("sum", [i], (), build.mul(read("x", i), read("y", j)))
    assert same(summed, build.mul(read("y", j), build.bind("sum", [i], (), read("x", i))))
    assert build.bind("sum", [i], (), read("y", j)) == build.mul(val(N), read("y", j))


# --- numbers and exponentials --------------------------------------------------------------------


def test_a_sum_of_exponentials_is_kept_as_a_log_sum_exp() -> None:
    j, k = Index("j", N), Index("k", N)
    total = build.bind("sum", [k], (), build.function("exp", read("z", k)))
    softmax = build.divide(build.function("exp", read("z", j)), total)
    assert [n.op for n in walk(softmax) if isinstance(n, Bind)] == ["logsumexp"]


@pytest.mark.parametrize("base, exponent", [(9, 9**9), (2, 10**6), (10, 1001), (7, -5000)])
def test_numbers_do_not_explode(base: int, exponent: int) -> None:
    with pytest.raises(LanguageError, match="1,000 digits"):
        build.power(num(base), num(exponent))


def test_a_division_by_zero_is_refused() -> None:
    with pytest.raises(LanguageError, match="division by zero"):
        build.power(num(0), num(-1))
