"""How generated functions are called: argument order, types, batches, shapes, defaults, errors."""

from __future__ import annotations

import inspect
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from agreement import draw, equation, output, shipped, sizes_of, tuple_of
from selection import sampled

import kb

IDS = sorted(shipped())
BIG = np.array([30.0, -5.0, 800.0])


def arguments(eq: Any, seed: int = 0) -> dict[str, Any]:
    sizes = sizes_of(eq)
    given = draw(eq, sizes, seed)
    names = inspect.signature(eq.lambdify()).parameters.values()
    return given | {p.name: sizes[p.name] for p in names if p.kind is p.KEYWORD_ONLY}


def real_arrays(eq: Any, given: dict[str, Any]) -> list[str]:
    return [name for name in eq.differentiable if np.ndim(given[name])]


# --- order and defaults ---------------------------------------------------------------------------


def test_positional_in_declared_order_with_defaults_last() -> None:
    eq = shipped()["adam"]
    names = list(inspect.signature(eq.lambdify()).parameters)
    assert names == [s.name for s in eq.entry.arguments]
    defaults = [eq.symbols[name].default is not None for name in names]
    assert defaults == sorted(defaults) and any(defaults)
    given = arguments(eq)
    shared = {n: v for n, v in given.items() if eq.symbols[n].default is None}
    by_name, in_order = eq.lambdify()(**shared), eq.lambdify()(*shared.values())
    assert all(np.array_equal(a, b) for a, b in zip(tuple_of(by_name), tuple_of(in_order), strict=True))


def test_a_default_is_the_declared_number() -> None:
    f = kb.parse("y = eta*x", "eta=0.1 x[n]").lambdify()
    assert list(inspect.signature(f).parameters) == ["x", "eta"]
    assert np.allclose(f([1.0, 2.0]), [0.1, 0.2])
    assert np.allclose(f([1.0, 2.0], 2), [2, 4])


def test_a_size_on_no_array_is_a_required_keyword() -> None:
    eq = equation("y[i] = c*i", "c", own=[output("y", "n")])
    f = eq.lambdify()
    assert np.array_equal(f(2.0, n=4), [0, 2, 4, 6])
    with pytest.raises(TypeError):
        f(2.0)
    with pytest.raises(TypeError):
        f(2.0, 4)
    with pytest.raises(ValueError, match="n"):
        f(2.0, n=0)
    with pytest.raises(TypeError, match="whole"):
        f(2.0, n=2.5)


def test_a_dimension_is_solved_from_an_affine_axis() -> None:
    f = kb.parse("y = sum(x[i + 1] - x[i], i, i < K)", "x[K + 1]").lambdify()
    assert f([1.0, 5.0, 11.0]) == 10
    with pytest.raises(ValueError, match="K"):
        f([1.0])


def test_missing_and_unknown_arguments_are_type_errors() -> None:
    f = shipped()["linear"].lambdify()
    with pytest.raises(TypeError):
        f(np.ones((2, 3)))
    with pytest.raises(TypeError):
        f(np.ones((2, 3)), np.ones((3, 4)), np.ones(4), nothing=1)
    eq = shipped()["softmax"]
    with pytest.raises(TypeError, match="'w'"):
        eq.jvp().lambdify()(z=BIG, tangents={"w": BIG})


# --- types ----------------------------------------------------------------------------------------


def test_lists_and_integers_become_float64() -> None:
    f = shipped()["softmax"].lambdify()
    assert f([1, 2, 3]).dtype == np.float64
    assert np.array_equal(f([1, 2, 3]), f(np.array([1.0, 2.0, 3.0])))
    assert f(np.array([1, 2, 3], np.int32)).dtype == np.float64
    assert f(np.array([True, False])).dtype == np.float64


@pytest.mark.parametrize("bad", [[1j, 2], ["a", "b"], [None, 1]])
def test_what_is_no_number_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="z"):
        shipped()["softmax"].lambdify()(bad)


@pytest.mark.parametrize("entry_id", sampled(IDS, 2))
def test_float32_stays_in_values_and_gradients(entry_id: str) -> None:
    eq = shipped()[entry_id]
    given = arguments(eq)
    if not real_arrays(eq, given):
        pytest.skip("no array")
    single = dict(given)
    for name in eq.differentiable:
        single[name] = given[name].astype(np.float32) if np.ndim(given[name]) else float(given[name])
    out = tuple_of(eq.lambdify()(**single))
    assert {np.asarray(o).dtype for o in out} == {np.dtype(np.float32)}
    cotangent = tuple(np.ones(np.shape(o), np.float32) for o in out)
    gradients = eq.vjp().lambdify()(**single, cotangent=cotangent if len(out) > 1 else cotangent[0])
    assert {np.asarray(g).dtype for g in gradients.values()} == {np.dtype(np.float32)}
    tangents = {n: np.ones(np.shape(single[n])) for n in eq.differentiable}
    assert {np.asarray(o).dtype for o in tuple_of(eq.jvp().lambdify()(**single, tangents=tangents))} == {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize(
    "define",
    [
        "y[i] = x[i]*i",
        "y[i, j] = x[i]*x[j]*delta(i, j)",
        "y = sum(1, i, x[i] > 0) + 0*x[0]",
        "y[i] = (1 if x[i] > 0 else 0)",
        "y = integral(x[0]*t, t, 0, 1)",
        "y = x*a/n",
        "y[i] = x[i]*sum(x[j], j, j <= i)",
        "y = eye(n) @ x",
        "y = x*sqrt(n)",
        "y = x*max(n, 2)",
        "y[i] = x[i]*(1/n if i > 0 else sqrt(n))",
        "y[i] = x[i]*exp(i)",
        "y = x*sum(i, i, i < n)/sum(1/(i + 1), i, i < n)",
        "y[i] = x[i]*prod(i - j, j, j != i, j < n)",
    ],
)
def test_float32_stays_beside_numbers_indices_and_masks(define: str) -> None:
    eq = kb.parse(define, "x[n] a=0.5")
    x = np.array([1.0, 2.0, 3.0], np.float32)
    value = eq.lambdify()(x=x)
    assert np.asarray(value).dtype == np.float32
    gradients = eq.vjp(["x"]).lambdify()(x=x, cotangent=np.ones(np.shape(value), np.float32))
    assert gradients["x"].dtype == np.float32


def test_a_constant_output_is_a_float() -> None:
    assert np.asarray(kb.parse("y = 2", "x[n]").lambdify()(x=[1, 2])).dtype == np.float64
    assert np.asarray(kb.parse("y = 3 + 0*a", "a").lambdify()(4)).dtype == np.float64


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry_id", IDS)
def test_arguments_are_neither_changed_nor_handed_back(entry_id: str) -> None:
    eq = shipped()[entry_id]
    given = arguments(eq)
    frozen = {n: np.array(v) if np.ndim(v) else v for n, v in given.items()}
    for value in frozen.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    out = tuple_of(eq.lambdify()(**frozen))
    found = [np.asarray(o) for o in out]
    if eq.differentiable:
        cotangents = [np.ones(np.shape(o)) for o in out]
        for c in cotangents:
            c.flags.writeable = False
        bundle = cotangents[0] if len(out) == 1 else tuple(cotangents)
        found += [np.asarray(g) for g in eq.vjp().lambdify()(**frozen, cotangent=bundle).values()]
        found += [np.asarray(t) for t in tuple_of(eq.jvp().lambdify()(**frozen, tangents={}))]
    for name, value in frozen.items():
        assert np.array_equal(value, given[name])
        assert not any(np.shares_memory(value, f) for f in found if isinstance(value, np.ndarray))
    if eq.differentiable:
        assert not any(np.shares_memory(c, f) for c in cotangents for f in found)
    assert all(f.flags.writeable for f in found if f.ndim)


@pytest.mark.parametrize("define", ["y = x", "y = x.T @ eye(n)", "y[i, j] = x[j, i]", "s = x; y = s", "y[i] = x[i, 0]"])
def test_the_result_of_a_copy_is_a_copy(define: str) -> None:
    x = np.arange(9.0).reshape(3, 3)
    eq = kb.parse(define, "x[n,n]")
    y = eq.lambdify()(x)
    assert not np.shares_memory(x, y)
    g = np.ones(y.shape)
    assert not np.shares_memory(g, eq.vjp().lambdify()(x, cotangent=g)["x"])


def test_strided_reversed_and_fortran_arrays() -> None:
    eq = shipped()["scaled_dot_product_attention"]
    given = arguments(eq)
    f, pull = eq.lambdify(), eq.vjp().lambdify()
    expected = f(**given)
    gradients = pull(**given, cotangent=np.ones_like(expected))
    wide = {n: np.repeat(v, 2, axis=-1)[..., ::2] for n, v in given.items()}
    turned = {n: np.asfortranarray(v) for n, v in given.items()}
    backwards = {n: np.ascontiguousarray(v[::-1])[::-1] for n, v in given.items()}
    for changed in (wide, turned, backwards):
        assert np.allclose(f(**changed), expected, rtol=1e-13)
        found = pull(**changed, cotangent=np.asfortranarray(np.ones_like(expected)))
        assert all(np.allclose(found[n], g, rtol=1e-12) for n, g in gradients.items())


def test_a_strided_view_of_a_strided_argument() -> None:
    eq = shipped()["conv2d"]
    given = arguments(eq)
    name = max(real_arrays(eq, given), key=lambda n: np.size(given[n]))
    holed = np.zeros([2 * n for n in given[name].shape])
    holed[tuple(slice(None, None, 2) for _ in given[name].shape)] = given[name]
    view = holed[tuple(slice(None, None, 2) for _ in given[name].shape)]
    assert np.allclose(eq.lambdify()(**given | {name: view}), eq.lambdify()(**given))


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((np.ones((3, 4)), np.ones((5, 2)), np.ones(3)), ("d_in", "4", "2")),
        ((np.ones((3, 4)), np.ones((5, 1)), np.ones(3)), ("d_in", "4", "1")),
        ((np.ones((3, 4)), np.ones((5, 4)), np.ones(1)), ("3", "1")),
        ((np.ones(4), np.ones((5, 4)), np.ones(3)), ("W", "(4,)")),
    ],
)
def test_a_shape_that_does_not_fit_is_one_error_with_both_sizes(given: Any, words: tuple[str, ...]) -> None:
    f = kb.parse("Y = X @ W.T + b", "W[d_out,d_in] X[B,d_in] b[d_out]").lambdify()
    with pytest.raises(ValueError) as caught:
        f(*given)
    assert type(caught.value).__name__ == "ShapeError"
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_shape_errors_are_those_of_kb_in_a_process_with_kb() -> None:
    assert issubclass(kb.ShapeError, ValueError)
    with pytest.raises(ValueError):
        shipped()["softmax"].lambdify()(1.0)


def test_no_axis_of_one_is_stretched() -> None:
    f = kb.parse("y = x*z", "x[n] z[n]").lambdify()
    for x, z in (((3,), (1,)), ((1,), (3,))):
        with pytest.raises(ValueError, match="n"):
            f(np.ones(x), np.ones(z))
    assert np.array_equal(f(np.ones(1), np.ones(1)), [1])
    with pytest.raises(ValueError):
        f(np.ones((2, 3)), np.ones((1, 3)))
    with pytest.raises(ValueError):
        f(np.ones((2, 3)), np.ones((4, 3)))


def test_cotangents_and_tangents_have_the_shapes_of_what_they_belong_to() -> None:
    eq = shipped()["softmax"]
    for bad in (np.ones(2), np.ones(1), 1.0, np.ones((2, 3))[:, :2]):
        with pytest.raises(ValueError):
            eq.vjp().lambdify()(z=BIG, cotangent=bad)
    with pytest.raises(ValueError):
        eq.jvp().lambdify()(z=BIG, tangents={"z": np.ones(1)})
    with pytest.raises(TypeError, match="cotangent"):
        eq.vjp().lambdify()(z=BIG)
    two = kb.parse("a = sum(x); b = 2*x", "x[n]").vjp().lambdify()
    with pytest.raises((TypeError, ValueError)):
        two([1.0, 2.0], cotangent=(1.0,))


def test_labels_are_whole_and_in_range() -> None:
    eq = kb.parse("y = x[k]", "x[n] k:label[n]")
    f = eq.lambdify()
    assert f([1.0, 5.0], 1) == 5
    assert f([1.0, 5.0], np.array([0, 1, 1])).tolist() == [1, 5, 5]
    for bad in (2, -1, [0, 2]):
        with pytest.raises(IndexError):
            f([1.0, 5.0], bad)
    with pytest.raises(TypeError, match="k"):
        f([1.0, 5.0], 0.5)
    g = kb.parse("y[i] = x[L[i]]", "x[n] L[m]:label[n]").lambdify()
    for bad in ([0, 2], [-1, 0]):
        with pytest.raises(IndexError):
            g([1.0, 5.0], bad)


# --- batches --------------------------------------------------------------------------------------


def test_an_elementwise_function_of_a_number_maps_over_arrays() -> None:
    f = shipped()["sigmoid"].lambdify()
    x = np.linspace(-3, 3, 12).reshape(3, 4)
    assert np.allclose(f(x), 1 / (1 + np.exp(-x)))
    gradient = shipped()["sigmoid"].vjp().lambdify()(x)
    assert np.allclose(next(iter(gradient.values())), f(x) * (1 - f(x)))


def test_equal_leading_axes_on_some_arguments_share_the_others() -> None:
    eq = kb.parse("y = W @ x + b*c", "W[m,n] x[n] b[m] c")
    rng = np.random.default_rng(0)
    f, pull = eq.lambdify(), eq.vjp().lambdify()
    base: dict[str, Any] = {
        "W": rng.normal(size=(2, 3)),
        "x": rng.normal(size=3),
        "b": rng.normal(size=2),
        "c": rng.normal(),
    }
    for count in range(5):
        for chosen in itertools.combinations(base, count):
            for lead in ((4,), (2, 3), (1,)):
                own = {n: rng.normal(size=lead + np.shape(v)) if n in chosen else v for n, v in base.items()}
                y = f(**own)
                assert y.shape == (lead if chosen else ()) + (2,)
                expected = np.einsum("...mn,...n->...m", own["W"], own["x"])
                assert np.allclose(y, expected + own["b"] * np.asarray(own["c"])[..., None])
                g = rng.normal(size=y.shape)
                found = pull(**own, cotangent=g)
                assert all(np.shape(found[n]) == np.shape(own[n]) for n in base)
                c_bar = (g * own["b"]).sum(axis=-1)
                assert np.allclose(found["c"], c_bar if "c" in chosen else c_bar.sum())


def test_an_empty_batch_gives_empty_results() -> None:
    eq = shipped()["softmax"]
    assert eq.lambdify()(np.zeros((0, 3))).shape == (0, 3)
    assert eq.vjp().lambdify()(np.zeros((0, 3)), cotangent=np.zeros((0, 3)))["z"].shape == (0, 3)
    linear = kb.parse("y = W @ x", "W[m,n] x[n]").vjp().lambdify()
    found = linear(np.ones((2, 3)), np.zeros((0, 3)), cotangent=np.zeros((0, 2)))
    assert np.array_equal(found["W"], np.zeros((2, 3)))


def test_a_cotangent_may_bring_the_leading_axes() -> None:
    eq = shipped()["softmax"]
    rows = eq.vjp().lambdify()(np.broadcast_to(BIG / 400, (3, 3)), cotangent=np.eye(3))["z"]
    assert np.allclose(rows, eq.jacobian("z").lambdify()(BIG / 400))


def test_the_cotangent_of_a_number_is_one_where_left_out() -> None:
    pull = kb.parse("y = sum(x**2)", "x[n]").vjp().lambdify()
    assert np.allclose(pull([1.0, 2.0])["x"], [2, 4])
    assert np.allclose(pull(np.array([[1.0, 2.0], [3.0, 4.0]]))["x"], [[2, 4], [6, 8]])
    assert np.allclose(pull([1.0, 2.0], cotangent=3.0)["x"], [6, 12])


def test_several_outputs_are_tuples_of_cotangents_too() -> None:
    eq = kb.parse("a = sum(x); b = 2*x", "x[n]")
    assert eq.outputs == ("a", "b")
    a, b = eq.lambdify()([1.0, 2.0])
    assert a == 3 and np.array_equal(b, [2, 4])
    assert np.allclose(eq.vjp().lambdify()([1.0, 2.0], cotangent=(1.0, [10.0, 20.0]))["x"], [21, 41])
    ta, tb = eq.jvp().lambdify()([1.0, 2.0], tangents={"x": [1.0, 0.0]})
    assert ta == 1 and np.array_equal(tb, [2, 0])
    ja, jb = eq.jacobian("x").lambdify()([1.0, 2.0])
    assert ja.shape == (2,) and jb.shape == (2, 2)


def test_missing_tangents_are_zero() -> None:
    push = kb.parse("y = x*z", "x[n] z[n]").jvp().lambdify()
    assert np.array_equal(push([1.0, 2.0], [3.0, 4.0], tangents={"z": [1.0, 1.0]}), [1, 2])
    assert np.array_equal(push([1.0, 2.0], [3.0, 4.0], tangents={}), [0, 0])


# --- large and extreme values ---------------------------------------------------------------------


def quiet(eq: Any, *given: Any, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return eq(*given, **more)


def test_large_inputs_neither_overflow_nor_warn() -> None:
    catalogue = shipped()
    softmax = catalogue["softmax"]
    p = quiet(softmax.lambdify(), np.array([1e4, 0.0, -1e4]))
    assert np.array_equal(p, [1, 0, 0])
    assert np.array_equal(quiet(softmax.vjp().lambdify(), np.array([1e4, 0.0]), cotangent=[1.0, 2.0])["z"], [0, 0])
    sigmoid = catalogue["sigmoid"]
    assert quiet(sigmoid.lambdify(), np.array([-1000.0, 0.0, 1000.0])).tolist() == [0, 0.5, 1]
    slope = next(iter(quiet(sigmoid.vjp().lambdify(), np.array([-1000.0, 0.0, 1000.0])).values()))
    assert slope.tolist() == [0, 0.25, 0]
    softplus = catalogue["softplus"]
    assert np.allclose(quiet(softplus.lambdify(), np.array([-1000.0, 0.0, 1000.0])), [0, np.log(2), 1000])
    slope = next(iter(quiet(softplus.vjp().lambdify(), np.array([-1000.0, 0.0, 1000.0])).values()))
    assert np.allclose(slope, [0, 0.5, 1])


def test_the_loss_of_a_hopeless_classifier_is_finite() -> None:
    y = np.array([0.0, 1.0, 0.0])
    for define in ("p = softmax(z); L = -sum(y*log(p))", "L = -sum(y*log(softmax(z)))"):
        eq = kb.parse(define, "z[C] y[C]")
        assert quiet(eq.lambdify(), BIG, y) == 805
        assert np.allclose(quiet(eq.vjp(["z"]).lambdify(), BIG, y)["z"], [0, -1, 1])


def test_the_shipped_loss_of_extreme_logits_is_finite() -> None:
    eq = shipped()["cross_entropy_with_logits"]
    given = {n: BIG if eq.symbols[n].kind == "real" else 1 for n in inspect.signature(eq.lambdify()).parameters}
    assert quiet(eq.lambdify(), **given) == 805
    (gradient,) = quiet(eq.vjp().lambdify(), **given).values()
    assert np.allclose(gradient, [0, -1, 1])


def test_x_log_x_is_zero_at_zero_where_the_domain_includes_it() -> None:
    assert quiet(kb.parse("H = sum(x*log(x))", "x[n]:nonnegative").lambdify(), [0.0, 1.0]) == 0
