"""Sizes, proofs about them, and the constructors of index form."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.calculus.evaluate import Evaluation
from kb.errors import LanguageError
from kb.index import build, nodes
from kb.index.affine import Facts, FloorDiv, Gather, Index, Poly, format_poly
from kb.index.nodes import ONE, ZERO, Bind, Expr, Fn, Num, Pick, Read, alpha_key, free_indices, num, same, val
from kb.index.program import Program

N, M = Poly.of("n"), Poly.of("m")


def read(name: str, *index: Index | Poly | int) -> Read:
    return Read(name, tuple(Poly.of(i) for i in index), False)


def value(expr: Expr, sizes: dict[str, int], **place: int) -> mpmath.mpf:
    """The number at a place; ``x[i]`` of any array is a number that tells all elements apart."""

    class Elements(dict):  # type: ignore[type-arg]
        def get(self, at: tuple[int, ...], default: object = None) -> mpmath.mpf:
            return mpmath.mpf(sum((7 + 3 * k) * (p + 1) for k, p in enumerate(at)) + 1) / 10

    names = {n.name for n in nodes.walk(expr) if isinstance(n, Read)}
    evaluation = Evaluation(Program({}, (), ()), {name: Elements() for name in names}, sizes)
    known = {i: place[i.name] for i in free_indices(expr)}
    return evaluation.value(expr, known)


# --- polynomials ----------------------------------------------------------------------------------

small = st.integers(-3, 3)


@st.composite
def polys(draw: st.DrawFn, depth: int = 2) -> Poly:
    if depth == 0:
        return Poly.of(draw(st.one_of(small, st.sampled_from(["n", "m"]))))
    left, right = draw(polys(depth=depth - 1)), draw(polys(depth=depth - 1))
    match draw(st.sampled_from("+-*/")):
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left // Poly.of(draw(st.integers(1, 4)))


def at(poly: Poly, n: int, m: int) -> int:
    return poly.evaluate(lambda atom: {"n": n, "m": m}[str(atom)])


@given(polys(), polys(), st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=80)
def test_arithmetic_of_sizes_is_arithmetic(a: Poly, b: Poly, n: int, m: int) -> None:
    x, y = at(a, n, m), at(b, n, m)
    assert at(a + b, n, m) == x + y
    assert at(a - b, n, m) == x - y
    assert at(a * b, n, m) == x * y
    assert (a - a).constant == 0 and hash(a + b) == hash(b + a) and a + b == b + a
    assert at(a.replace({"n": N + 1}), n, m) == at(a, n + 1, m)


@given(polys(), st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=60)
def test_a_size_printed_is_the_size(a: Poly, n: int, m: int) -> None:
    assert eval(format_poly(a), {"n": n, "m": m}) == at(a, n, m)  # noqa: S307 - our own text of whole numbers


def test_split_is_linear_in_the_atom() -> None:
    i = Index("i", N)
    parts = (Poly.of(i) * 2 + N - 3).split(i)
    assert parts == (Poly.of(2), N - 3)
    assert (Poly.of(i) * Poly.of(i)).split(i) is None
    assert (Poly.of(FloorDiv(Poly.of(i), Poly.of(2))) + Poly.of(i)).split(i) is None


# --- proofs ---------------------------------------------------------------------------------------


@given(polys(depth=3), st.booleans())
@settings(max_examples=150)
def test_what_is_proven_at_least_0_is(poly: Poly, fact: bool) -> None:
    facts = Facts(nonnegative=[N - M] if fact else [])
    if facts.nonnegative(poly):
        assert all(at(poly, n, m) >= 0 for n, m in product(range(1, 9), repeat=2) if not fact or n >= m)


@given(small, small, small, st.integers(-4, 4), st.sampled_from([N, M, N + M, N * 2, N // Poly.of(2) + 1]))
@settings(max_examples=150)
def test_what_is_proven_in_range_is(s: int, t: int, c: int, d: int, size: Poly) -> None:
    i, j = Index("i", N), Index("j", M)
    place = Poly.of(i) * s + Poly.of(j) * t + N * (c % 2) + d
    if not Facts().within(place, size):
        return
    for n, m in product(range(1, 6), repeat=2):
        for a, b in product(range(n), range(m)):
            sizes = {"n": n, "m": m}
            found = place.evaluate(lambda x: {i: a, j: b}[x] if isinstance(x, Index) else sizes[str(x)])  # noqa: B023
            assert 0 <= found < at(size, n, m)


@pytest.mark.parametrize(
    ("place", "size", "holds"),
    [
        ("i", "n", True),
        ("i + 1", "n", False),
        ("i + 1", "n + 1", True),
        ("n - 1 - i", "n", True),
        ("n - i", "n", False),
        ("i*2 + 1", "n*2", True),
        ("i*2 + 1", "n*2 - 1", False),
        ("i + j", "n + m - 1", True),
        ("i + j", "n + m - 2", False),
        ("i - 1", "n", False),
    ],
)
def test_what_can_be_proven(place: str, size: str, holds: bool) -> None:
    i, j = Poly.of(Index("i", N)), Poly.of(Index("j", M))
    names = {"i": i, "j": j, "n": N, "m": M}
    poly, extent = (eval(t, {}, names) for t in (place, size))  # noqa: S307 - texts of this test
    assert Facts().within(poly, extent) is holds


def test_windows_with_stride_and_padding_are_proven() -> None:
    s, k = Poly.of("s"), Poly.of("k")
    out = (N - k) // s + 1
    i, u = Index("i", out), Index("u", k)
    facts = Facts(nonnegative=[N - k])
    assert facts.within(s * Poly.of(i) + Poly.of(u), N)
    assert not facts.within(s * Poly.of(i) + Poly.of(u) + 1, N)
    assert not Facts().within(s * Poly.of(i) + Poly.of(u) - 1, N)


def test_quotients_that_stand_alone_are_proven() -> None:
    """As in ``K[h // r]`` of grouped heads."""
    g, r = Poly.of("g"), Poly.of("r")
    h = Poly.of(Index("h", g * r))
    assert Facts().within(h // r, g)
    assert not Facts().within(h // r, g - 1)
    assert not Facts().within(h // r + 1, g)
    assert not Facts().within(h // (r + 1) - 1, g)
    assert Facts().within(h // (r + 1), g)
    assert Facts().within((g * r - 1 - h) // r, g)


@given(small, small, st.integers(1, 4), st.integers(-2, 2), st.sampled_from([N, M, N * M, N + M, N * 3]))
@settings(max_examples=150)
def test_quotients_proven_in_range_are(s: int, t: int, by: int, d: int, size: Poly) -> None:
    i = Index("i", N * M)
    place = (Poly.of(i) * s + N * t + d) // (M * by) + d
    if not Facts().within(place, size):
        return
    for n, m in product(range(1, 5), repeat=2):
        for a in range(n * m):
            sizes = {"n": n, "m": m}
            found = place.evaluate(lambda x: a if isinstance(x, Index) else sizes[str(x)])  # noqa: B023
            assert 0 <= found < at(size, n, m)


# --- constructors ---------------------------------------------------------------------------------


def test_equal_up_to_bound_names_and_order() -> None:
    i, j = Index("i", N), Index("j", N)
    a = build.bind("sum", [i], (), build.mul(read("x", i), read("y", i)))
    b = build.bind("sum", [j], (), build.mul(read("y", j), read("x", j)))
    assert same(a, b) and build.subtract(a, b) == ZERO
    k = Index("k", M)
    assert not same(a, build.bind("sum", [k], (), build.mul(read("x", k), read("y", k))))
    assert not same(read("x", i), read("x", j))


def test_two_indices_may_change_places_in_a_sum_but_not_in_a_pick() -> None:
    i, j, p, q = (Index(c, N) for c in "ijpq")
    body = build.mul(read("x", i), read("x", j))
    swapped = build.mul(read("x", p), read("x", q))
    assert same(build.bind("sum", [i, j], (), body), build.bind("sum", [q, p], (), swapped))
    a, b = (Pick("max", (i, j), (), body, places) for places in ((Poly.of(p), Poly.of(q)), (Poly.of(q), Poly.of(p))))
    assert alpha_key(a) != alpha_key(b)


def test_a_delta_is_eliminated() -> None:
    i, j = Index("i", N), Index("j", N)
    assert build.bind("sum", [j], (), build.mul(build.delta(Poly.of(i), Poly.of(j)), read("x", j))) == read("x", i)


@pytest.mark.parametrize("offset", [-2, -1, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, -1])
def test_a_delta_across_a_shift_or_stride_keeps_the_range(stride: int, offset: int) -> None:
    i, j = Index("i", N), Index("j", M)
    condition = build.delta(Poly.of(i), Poly.of(j) * stride + offset)
    expr = build.bind("sum", [j], (), build.mul(condition, read("x", j)))
    for n, m in product((1, 2, 3, 5), repeat=2):
        for a in range(n):
            terms = [value(read("x", j), {}, j=b) for b in range(m) if a == b * stride + offset]
            assert value(expr, {"n": n, "m": m}, i=a) == sum(terms)


def test_what_does_not_depend_on_the_index_is_hoisted() -> None:
    i = Index("i", N)
    made = build.bind("sum", [i], (), build.mul(read("a"), read("x", i)))
    assert same(made, build.mul(read("a"), build.bind("sum", [i], (), read("x", i))))
    assert same(build.bind("sum", [i], (), read("a")), build.mul(val(N), read("a")))


@pytest.mark.parametrize("op", ["sum", "prod", "logsumexp", "max", "min"])
def test_an_index_that_the_body_lacks_still_counts(op: str) -> None:
    i, j = Index("i", N), Index("j", M)
    made = build.bind(op, [i, j], (), read("x", i))
    plain = Bind(op, (i, j), (), read("x", i))
    assert mpmath.almosteq(value(made, {"n": 3, "m": 2}), value(plain, {"n": 3, "m": 2}), 1e-12)


@pytest.mark.parametrize("op", ["sum", "prod", "max", "logsumexp"])
def test_a_condition_free_of_the_index_is_kept(op: str) -> None:
    """Once lost: the sum over l of a term that lacks l, where another index is in range."""
    i, l = Index("i", N), Index("l", M)  # noqa: E741
    condition = build.compare("<", num(1), val(Poly.of(i)))
    made = build.bind(op, [l], [condition], read("x", i))
    for a in range(3):
        expected = {"sum": 0, "prod": 1}.get(op, -mpmath.inf)
        if a > 1:
            expected = value(Bind(op, (l,), (), read("x", i)), {"n": 3, "m": 2}, i=a)
        assert mpmath.almosteq(value(made, {"n": 3, "m": 2}, i=a), expected, 1e-12) or expected == value(
            made, {"n": 3, "m": 2}, i=a
        )


def test_nothing_is_captured() -> None:
    i, j = Index("i", N), Index("j", N)
    total = build.bind("sum", [i], (), build.mul(read("x", i), read("y", j)))
    moved = build.substitute(build.bind("sum", [i], (), build.mul(read("x", i, j), read("y", i))), {j: Poly.of(i)})
    assert free_indices(moved) == {i}
    for a in range(3):
        expected = sum(value(read("x", i, j), {}, i=b, j=a) * value(read("y", i), {}, i=b) for b in range(3))
        assert mpmath.almosteq(value(moved, {"n": 3}, i=a), expected, 1e-12)
    assert free_indices(build.substitute(total, {j: Poly.of(i) + 1})) == {i}


def test_a_copy_shares_no_bound_index() -> None:
    i = Index("i", N)
    total = build.bind("sum", [i], (), build.power(read("x", i), num(2)))
    copy = build.freshen(total)
    assert same(total, copy)
    bound = [n.indices for e in (total, copy) for n in nodes.walk(e) if isinstance(n, Bind)]
    assert bound[0] != bound[1]


def test_a_label_is_always_in_range() -> None:
    c = Index("c", N)
    label = Poly.of(Gather("k", ()))
    assert build.bind("sum", [c], (), build.mul(build.delta(Poly.of(c), label), read("x", c))) == read("x", label)


def test_exponentials_of_normalised_scores_stay_stable() -> None:
    i, j = Index("i", N), Index("j", N)
    total = build.bind("sum", [i], (), build.function("exp", read("z", i)))
    softmax = build.divide(build.function("exp", read("z", j)), total)
    assert isinstance(softmax, Fn) and softmax.name == "exp"
    assert same(build.function("log", softmax), softmax.arg)


def test_numbers_are_folded_up_to_a_thousand_digits() -> None:
    assert build.power(num(2), num(10)) == num(1024)
    assert build.power(num(-1), num(10**30 + 1)) == num(-1)
    with pytest.raises(LanguageError, match="digits"):
        build.power(num(9), num(9**9))
    with pytest.raises(LanguageError, match="zero"):
        build.divide(ONE, ZERO)


def test_a_root_is_not_folded_where_a_sign_would_be_lost() -> None:
    x = read("x")
    half = Num(Fraction(1, 2))
    root = build.power(build.power(x, num(2)), half)
    assert root != x
    assert build.power(build.function("exp", x), num(2)) != build.function("exp", x)


@given(st.integers(-3, 3), st.integers(-3, 3), st.sampled_from(["<", "<=", "==", "!=", ">", ">="]))
@settings(max_examples=60)
def test_comparisons_of_places_are_settled_only_where_they_hold(s: int, c: int, op: str) -> None:
    i = Index("i", N)
    made = build.test(build.compare(op, place_value(i, s, c), val(N)))
    compare = {"<": int.__lt__, "<=": int.__le__, "==": int.__eq__, "!=": int.__ne__, ">": int.__gt__, ">=": int.__ge__}
    for n in range(1, 5):
        for a in range(n):
            place = {"i": a} if free_indices(made) else {}
            assert value(made, {"n": n}, **place) == compare[op](s * a + c, n)
            opposite = build.test(build.negation(made.condition)) if isinstance(made, nodes.Test) else None
            if opposite is not None:
                assert value(opposite, {"n": n}, **({"i": a} if free_indices(opposite) else {})) == 1 - compare[op](
                    s * a + c, n
                )


def place_value(i: Index, s: int, c: int) -> Expr:
    return val(Poly.of(i) * s + c)
