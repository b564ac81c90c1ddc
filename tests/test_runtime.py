"""The helpers that generated modules carry, each against a plain computation."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb.lowering import runtime

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "spec", ["ij,jk->ik", "ij,kj->ik", "ij,ik->jk", "ij,jk->ki", "i,j->ij", "ijk,jk->ij", "ij,j->", "ij,ij->"]
)
@pytest.mark.parametrize("lead", [((), ()), ((3,), (3,)), ((3,), ()), ((), (3,)), ((2, 3), (2, 3))])
def test_products_are_those_of_einsum(spec: str, lead: Any) -> None:
    sizes = {"i": 2, "j": 4, "k": 5}
    left, right = spec.split("->")[0].split(",")
    a = RNG.normal(size=(*lead[0], *(sizes[c] for c in left)))
    b = RNG.normal(size=(*lead[1], *(sizes[c] for c in right)))
    full = f"...{left},...{right}->...{spec.split('->')[1]}"
    expected = np.einsum(full, a, b)
    assert np.allclose(runtime._einsum(spec, a, b), expected)
    assert np.allclose(runtime._einsum(spec, np.asfortranarray(a), b[..., ::-1][..., ::-1]), expected)


@pytest.mark.parametrize("lead", [((3,), (3,)), ((3,), ()), ((), (3,))])
def test_a_gradient_of_a_shared_argument_is_summed_in_the_product(lead: Any) -> None:
    a, b = RNG.normal(size=(*lead[0], 2, 4)), RNG.normal(size=(*lead[1], 4, 5))
    found = runtime._einsum("ij,jk->ik", a, b, (2, 5), 2)
    assert np.allclose(found, np.einsum("...ij,...jk->...ik", a, b).sum(axis=0))


axis = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))


@given(st.lists(axis, min_size=1, max_size=2), st.booleans(), st.integers(0, 2))
@settings(max_examples=60)
def test_views_read_what_they_say_and_landings_take_it_back(axes: Any, outside: bool, before: int) -> None:
    """Element (i, u) of an axis is start + i*step + u*move; outside the array it is 0 or never asked for."""
    spec, shape = [], []
    for start, count, step, width, move in axes:
        begin = start - before if outside else start
        reach = start + (count - 1) * step + (width - 1) * move
        shape.append(max(reach - (1 if outside else 0), 1) if outside else reach + 1)
        spec.append((begin, (count, step), (width, move)))
    array = RNG.normal(size=(2, *shape))
    view = runtime._view(array, len(spec), tuple(spec), outside)
    target, landing = runtime._landing(array.shape, float, len(spec), tuple(spec), outside)
    assert view.shape == (2, *(n for _, (c, _), (w, _) in spec for n in (c, w)))
    for place in product(*map(range, view.shape[1:])):
        at = tuple(b + place[2 * k] * s + place[2 * k + 1] * m for k, (b, (_, s), (_, m)) in enumerate(spec))
        inside = all(0 <= p < n for p, n in zip(at, shape, strict=True))
        assert np.array_equal(view[(slice(None), *place)], array[(slice(None), *at)] if inside else np.zeros(2))
        landing[(slice(None), *place)] += 1
        if inside:
            target[(slice(None), *at)] -= 1
    assert np.array_equal(target, np.zeros_like(target))


@pytest.mark.parametrize("best", [np.maximum, np.minimum])
def test_pools_are_extremes_of_windows(best: Any) -> None:
    array = RNG.normal(size=(2, 9, 3))
    for start, (count, step), (width, move) in product((0, 1), ((3, 2), (1, 1)), ((1, 1), (2, 1), (2, 3), (4, 1))):
        found = runtime._pool(best, array, -2, start, (count, step), (width, move))
        rows = [
            best.reduce([array[:, start + i * step + u * move] for u in range(width)], axis=0) for i in range(count)
        ]
        assert np.array_equal(found, np.stack(rows, axis=1))
        assert not np.shares_memory(found, array)


def test_the_first_extreme_in_reading_order_is_marked() -> None:
    array = np.array([[[1.0, 3.0], [3.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = runtime._first(array, array.max(axis=(-2, -1)), (-2, -1))
    assert found.tolist() == [[[0, 1], [0, 0]], [[1, 0], [0, 0]]]
    turned = runtime._first(array, array.max(axis=(-2, -1)), (-1, -2))
    assert turned.tolist() == [[[0, 0], [1, 0]], [[1, 0], [0, 0]]]


@pytest.mark.parametrize("axes", [-1, (-1, -2)])
def test_logarithms_of_sums_of_exponentials(axes: Any) -> None:
    array = RNG.normal(size=(2, 3, 4)) * 3
    expected = np.log(np.exp(array).sum(axis=axes, keepdims=True))
    assert np.allclose(runtime._logsumexp(array, axes), expected)
    assert np.allclose(runtime._logsumexp(array + 1e4, axes), expected + 1e4)
    masked = np.where(np.arange(4) < 2, array, -np.inf)
    assert np.all(np.isfinite(runtime._logsumexp(masked, axes)))
    copy = array.copy()
    runtime._logsumexp(array, axes)
    assert np.array_equal(array, copy)


@pytest.mark.parametrize("batched", list(product((False, True), repeat=2)), ids=str)
def test_gathers_and_their_adjoints_with_labels_of_a_batch(batched: tuple[bool, bool]) -> None:
    array = RNG.normal(size=(3, 4, 5) if batched[0] else (4, 5))
    label = RNG.integers(0, 4, (3, 6) if batched[1] else 6)
    column = np.arange(6) % 5
    found = runtime._spread(array, (label, column), 1)
    lead = (3,) if any(batched) else ()
    whole, labels = np.broadcast_to(array, (*lead, 4, 5)), np.broadcast_to(label, (*lead, 6))
    assert found.shape == (*lead, 6)
    for place in np.ndindex(*found.shape):
        assert found[place] == whole[(*place[:-1], labels[place], column[place[-1]])]
    value = RNG.normal(size=found.shape)
    target = runtime._gather_back((*lead, 4, 5), float, (label, column), 1, value)
    # the adjoint of a gather: <gather(a), v> = <a, back(v)>
    assert np.isclose(np.sum(found * value), np.sum(whole * target))


def test_a_label_that_is_used_twice_adds_up() -> None:
    target = runtime._gather_back((3,), float, (np.array([2, 0, 2]),), 1, np.array([1.0, 10.0, 100.0]))
    assert target.tolist() == [10, 0, 101]
    runtime._deposit(target, 1, -1, np.array(1), np.array(7.0))
    assert target.tolist() == [10, 7, 101]


def test_places_outside_are_zero_or_refused() -> None:
    array = np.array([1.0, 2.0, 4.0])
    assert runtime._spread(array, (np.array([-1, 0, 3]),), 1, True).tolist() == [0, 1, 0]
    for bad in (-1, 3):
        with pytest.raises(IndexError):
            runtime._spread(array, (np.array([bad]),), 1)
        with pytest.raises(IndexError, match="k"):
            runtime._select(array, 1, -1, np.array(bad), "k")
    back = runtime._gather_back((3,), float, (np.array([-1, 0, 3]),), 1, np.array([5.0, 6.0, 7.0]), True)
    assert back.tolist() == [6, 0, 0]


def test_one_element_of_a_batch_after_another_gives_the_same_product() -> None:
    windows = np.lib.stride_tricks.sliding_window_view(RNG.normal(size=(2, 3, 9)), 4, axis=-1)
    kernel = RNG.normal(size=(5, 3, 4))
    assert runtime._overlaps(windows)
    found = runtime._einsum("cpk,ock->op", windows, kernel)
    assert np.allclose(found, np.einsum("zcpk,ock->zop", windows, kernel))
    upstream = RNG.normal(size=found.shape)
    gradient = runtime._einsum("op,cpk->ock", upstream, windows, (5, 3, 4), 3)
    assert np.allclose(gradient, np.einsum("zop,zcpk->ock", upstream, windows))


def test_quadratures() -> None:
    nodes, weights = runtime._reach(1000, 0.01)
    assert np.isclose(runtime._integrate(np.exp(-(nodes**2)), weights), math.sqrt(math.pi), rtol=1e-12)
    nodes, weights = runtime._legendre(0.0, 2.0)
    assert np.isclose(runtime._integrate(nodes**3, weights), 4, rtol=1e-13)
    for low, high in ((0.0, np.inf), (-np.inf, 0.0)):
        nodes, weights = runtime._legendre(low, high)
        with np.errstate(all="ignore"):
            assert np.isclose(runtime._integrate(np.exp(-np.abs(nodes)), weights), 1, rtol=1e-10)
    nodes, weights = runtime._legendre(np.array([0.0, 1.0]), np.array([1.0, 3.0]))
    assert np.allclose(runtime._integrate(nodes, weights), [0.5, 4])


def test_whole_numbers() -> None:
    assert runtime._integer("n", np.int64(3), 1) == 3 and runtime._integer("n", 3.0, 1) == 3
    for bad in (2.5, "a", None, [1, 2]):
        with pytest.raises(TypeError, match="n"):
            runtime._integer("n", bad, 1)
    with pytest.raises(runtime.ShapeError, match="at least 1"):
        runtime._integer("n", 0, 1)


def test_the_error_function() -> None:
    x = np.linspace(-3, 3, 7)
    assert np.allclose(runtime._erf(x), [math.erf(v) for v in x], rtol=1e-15)
    assert runtime._erf(x.astype(np.float32)).dtype == np.float32
    assert runtime._erf(np.array(0.5)) == math.erf(0.5)
