"""Equations that nobody prepared: a user's own file gets everything that the shipped entries get.

And the shipped ones get nothing special: copied under other names they give the same code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from selection import sampled

import kb
from kb import tree
from kb.cli import main
from kb.errors import LanguageError
from kb.parser import parse_expression, parse_statement
from kb.records import shipped_path

FILE = Path(__file__).with_name("inventions.yaml")
FORMS = ("partial", "jacobian", "vjp", "jvp", "hessian")
Floats = NDArray[np.float64]


@cache
def catalogue() -> kb.Catalogue:
    return kb.load_catalogue(FILE)


IDS = list(catalogue())
DERIVATIVES = [(i, name) for i in IDS for name in catalogue()[i].differentiable]


# --- by hand -------------------------------------------------------------------------------------


def sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def attention_by_hand(Q: Floats, K: Floats, V: Floats, G: Floats, M: Floats, tau: float = 2.0) -> Floats:
    weights = np.exp(Q @ K.T / (tau * np.sqrt(Q.shape[1])) + M)
    averages: Floats = weights / weights.sum(1, keepdims=True) @ V
    return sigmoid(G) * averages


def plane_norm_by_hand(x: Floats, gain: Floats, eps: float = 1e-5) -> Floats:
    return np.stack([g * (c - c.mean()) / np.sqrt(c.var() + eps) for c, g in zip(x, gain, strict=True)])


def contrast_by_hand(u: Floats, partner: NDArray[np.intp], tau: float = 0.5) -> float:
    losses = []
    for i, own in enumerate(u):
        others = [np.exp(own @ u[k] / tau) for k in range(len(u)) if k != i]
        losses.append(np.log(sum(others)) - own @ u[partner[i]] / tau)
    return float(np.mean(losses))


def conv_by_hand(x: Floats, K: Floats, G: Floats, b: Floats, s: int = 2, p: int = 1) -> Floats:
    padded = np.pad(x, ((0, 0), (p, p)))
    width = K.shape[2]
    windows = [padded[:, t : t + width] for t in range(0, padded.shape[1] - width + 1, s)]
    return np.stack([(K * w).sum((1, 2)) * sigmoid(b + (G * w).sum((1, 2))) for w in windows], axis=1)


def pooling_by_hand(x: Floats, z: Floats, U: Floats, V: Floats, P: Floats) -> Floats:
    return (np.tanh(x @ U) * np.tanh(z @ V)) @ P


BY_HAND: dict[str, Callable[..., Any]] = {
    "tempered_gated_attention": attention_by_hand,
    "plane_norm": plane_norm_by_hand,
    "off_diagonal_contrast": contrast_by_hand,
    "gated_conv1d": conv_by_hand,
    "bilinear_pooling": pooling_by_hand,
}
SIZES = {"n": 3, "m": 4, "d": 2, "c": 5, "C": 2, "H": 3, "W": 4, "N": 4, "T": 7, "F": 3, "w": 4, "r": 2, "o": 3}


def sample(equation: kb.Equation, batch: tuple[int, ...] = (), seed: int = 0) -> dict[str, Any]:
    """Arguments without a default, arrays with leading axes of their own; labels are whole numbers."""
    rng = np.random.default_rng(seed)
    given: dict[str, Any] = {}
    for symbol in equation.entry.arguments:
        shape = (*batch, *(SIZES[size] for size in symbol.shape))
        if symbol.kind == "label":
            given[symbol.name] = rng.integers(0, SIZES[str(symbol.classes)], shape)
        elif symbol.default is None:
            given[symbol.name] = rng.normal(size=shape)
    return given


# --- values and derivatives of the code ----------------------------------------------------------


@pytest.mark.parametrize("entry_id", IDS)
def test_code_agrees_with_a_computation_by_hand(entry_id: str) -> None:
    equation = catalogue()[entry_id]
    for seed in range(3):
        given = sample(equation, seed=seed)
        np.testing.assert_allclose(equation.lambdify()(**given), BY_HAND[entry_id](**given), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("entry_id", IDS)
def test_leading_axes_are_mapped(entry_id: str) -> None:
    equation = catalogue()[entry_id]
    given = sample(equation, batch=(2, 3))
    found = equation.lambdify()(**given)
    for place in np.ndindex(2, 3):
        expected = BY_HAND[entry_id](**{name: value[place] for name, value in given.items()})
        np.testing.assert_allclose(found[place], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", [(), (2,)], ids=["plain", "batch"])
@pytest.mark.parametrize(("entry_id", "name"), DERIVATIVES)
def test_backward_pass_agrees_with_differences(entry_id: str, name: str, batch: tuple[int, ...]) -> None:
    equation = catalogue()[entry_id]
    function, backward = equation.lambdify(), equation.vjp().lambdify()
    given = sample(equation, batch)
    default = equation.symbols[name].default
    given.setdefault(name, np.full(batch, default))
    rng = np.random.default_rng(7)
    cotangent = rng.normal(size=np.shape(function(**given)))
    direction = rng.normal(size=np.shape(given[name]))
    gradient = backward(**given, cotangent=cotangent)[name]
    assert np.shape(gradient) == np.shape(given[name])

    def along(step: float) -> Any:
        return function(**{**given, name: given[name] + step * direction})

    h = 1e-6 * (0.1 if default is not None and default < 1e-3 else 1)
    difference = np.sum(cotangent * (along(h) - along(-h))) / (2 * h)
    np.testing.assert_allclose(np.sum(gradient * direction), difference, rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("entry_id", IDS)
def test_a_shared_argument_collects_the_gradients_of_the_batch(entry_id: str) -> None:
    equation = catalogue()[entry_id]
    first, *rest = (s.name for s in equation.entry.arguments if s.default is None)
    given = sample(equation, batch=(3,))
    shared = {**given, **{name: given[name][0] for name in rest}}
    backward = equation.vjp().lambdify()
    cotangent = np.random.default_rng(3).normal(size=np.shape(equation.lambdify()(**shared)))
    found = backward(**shared, cotangent=cotangent)
    singles = [backward(**{**shared, first: shared[first][b]}, cotangent=cotangent[b]) for b in range(3)]
    for name in (n for n in rest if equation.symbols[n].kind == "real"):
        np.testing.assert_allclose(found[name], sum(single[name] for single in singles), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found[first], np.stack([single[first] for single in singles]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("entry_id", "name"), DERIVATIVES)
def test_all_forms_of_derivative_agree(entry_id: str, name: str) -> None:
    equation = catalogue()[entry_id]
    given = sample(equation)
    given.setdefault(name, np.asarray(equation.symbols[name].default))
    rng = np.random.default_rng(11)
    tangent = rng.normal(size=np.shape(given[name]))
    jacobian = equation.jacobian(name).lambdify()(**given)
    output = np.shape(equation.lambdify()(**given))
    assert np.shape(jacobian) == output + np.shape(tangent)
    forward = equation.jvp().lambdify()(**given, tangents={name: tangent})
    np.testing.assert_allclose(forward, np.tensordot(jacobian, tangent, np.ndim(tangent)), rtol=1e-9, atol=1e-11)
    cotangent = rng.normal(size=output)
    gradient = equation.vjp([name]).lambdify()(**given, cotangent=cotangent)
    assert list(gradient) == [name]
    contracted = np.tensordot(cotangent, jacobian, len(output))
    np.testing.assert_allclose(gradient[name], contracted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("entry_id", "name"), DERIVATIVES)
def test_hessian_agrees_with_differences_of_the_jacobian(entry_id: str, name: str) -> None:
    equation = catalogue()[entry_id]
    given = sample(equation)
    default = equation.symbols[name].default
    given.setdefault(name, np.asarray(default))
    direction = np.random.default_rng(5).normal(size=np.shape(given[name]))
    jacobian = equation.jacobian(name).lambdify()
    hessian = equation.hessian(name).lambdify()(**given)
    assert np.shape(hessian) == np.shape(jacobian(**given)) + np.shape(direction)
    h = 1e-6 * (0.1 if default is not None and default < 1e-3 else 1)
    high, low = (jacobian(**{**given, name: given[name] + s * direction}) for s in (h, -h))
    found = np.tensordot(hessian, direction, np.ndim(direction))
    np.testing.assert_allclose(found, (high - low) / (2 * h), rtol=1e-5, atol=1e-6)


# --- the command ---------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main([*words, "--catalogue", str(FILE)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_commands_without_ids_select_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    listed = run(capsys, "list")
    assert [line.split()[0] for line in listed.splitlines()] == IDS
    assert f"{len(IDS)} entries are well formed" in run(capsys, "validate")


@pytest.mark.parametrize("entry_id", IDS)
def test_show_and_latex(capsys: pytest.CaptureFixture[str], entry_id: str) -> None:
    page = run(capsys, "show", entry_id)
    entry = catalogue()[entry_id].entry
    assert entry.name in page
    for symbol in entry.symbols:
        assert symbol.about in page
    latex = run(capsys, "latex", entry_id)
    assert latex.count("{") == latex.count("}")
    for output in entry.outputs:
        assert output.name in latex


# Every form, and every entry; four steps further is another form.
SHOWN = [(*derivative, form) for derivative in DERIVATIVES for form in FORMS]


@pytest.mark.parametrize(("entry_id", "name", "form"), sampled(SHOWN, 4))
def test_diff_and_latex_of_every_derivative(
    capsys: pytest.CaptureFixture[str], entry_id: str, name: str, form: str
) -> None:
    words = (entry_id, "--wrt", name, "--form", form)
    text = run(capsys, "diff", *words)
    assert "=" in text
    latex = run(capsys, "latex", *words)
    assert latex.count("{") == latex.count("}") > 0
    assert latex == run(capsys, "diff", *words, "--format", "latex")
    code = run(capsys, "diff", *words, "--format", "numpy")
    compile(code, entry_id, "exec")
    assert "import kb" not in code


@pytest.mark.parametrize("entry_id", IDS)
def test_printed_code_is_the_code_that_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry_id: str
) -> None:
    from importlib import import_module

    equation = catalogue()[entry_id]
    (tmp_path / f"printed_{entry_id}.py").write_text(run(capsys, "code", entry_id, "--backward"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = import_module(f"printed_{entry_id}")
    given = sample(equation)
    output = getattr(module, entry_id)(**given)
    np.testing.assert_array_equal(output, equation.lambdify()(**given))
    gradients = getattr(module, f"{entry_id}_vjp")(**given, cotangent=np.ones(np.shape(output)))
    assert list(gradients) == list(equation.differentiable)


@pytest.mark.parametrize("entry_id", sampled(IDS, {"off_diagonal_contrast", "bilinear_pooling"}.__contains__))
def test_check_verifies(capsys: pytest.CaptureFixture[str], entry_id: str) -> None:
    assert run(capsys, "check", entry_id).startswith(f"{entry_id}: verified\n")


@pytest.mark.parametrize("kind", ["tex", "md"])
def test_cheat_sheet(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    sheet = run(capsys, "cheatsheet", "--format", kind)
    for entry_id in IDS:
        assert catalogue()[entry_id].name in sheet


# --- copies under other names --------------------------------------------------------------------

COPIED = ["softmax", "batch_norm", "conv2d", "max_pool2d", "scaled_dot_product_attention"]


def shipped() -> Mapping[str, Any]:
    data: Mapping[str, Any] = yaml.load(shipped_path().read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return data


def trees_of(entry: Mapping[str, Any]) -> list[tree.Node]:
    """All formulas of an entry that decide its code."""
    define = entry["define"]
    texts = [*([define] if isinstance(define, str) else define), *entry.get("requires", [])]
    for symbol in entry["symbols"].values():
        texts += symbol.get("shape", [])
    nodes: list[tree.Node] = []
    for text in texts:
        try:
            nodes.append(parse_statement(text))
        except LanguageError:
            nodes.append(parse_expression(text))
    return nodes


def new_names(entry: Mapping[str, Any], backwards: bool) -> dict[str, str]:
    """A new name for every symbol, dimension, step and index, in the same order of the alphabet or backwards."""
    names = sorted({*entry["symbols"], *(name for node in trees_of(entry) for name in tree.names(node))})
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(names)]
    return {name: f"w{letter}" for name, letter in zip(names, letters[::-1] if backwards else letters, strict=True)}


def renamed(entry: Mapping[str, Any], names: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, Any]:
    """The entry under other names; what does not decide the code is left out."""

    def text(value: str) -> str:
        return re.sub(r"[A-Za-z]\w*", lambda m: names.get(m[0], ids.get(m[0], m[0])), value)

    symbols: dict[str, Any] = {}
    for name, symbol in entry["symbols"].items():
        kept = {key: symbol[key] for key in ("role", "kind", "domain", "about") if key in symbol}
        numbers = {key: float(symbol[key]) for key in ("default", "outside") if key in symbol}
        if symbol.get("kind") == "integer":
            numbers = {key: int(value) for key, value in numbers.items()}
        shape = {"shape": [text(size) for size in symbol["shape"]]} if "shape" in symbol else {}
        symbols[names[name]] = {**kept, **numbers, **shape}
    define = [entry["define"]] if isinstance(entry["define"], str) else entry["define"]
    kept = {key: entry[key] for key in ("name", "topic", "about")}
    copy = {**kept, "symbols": symbols, "define": [text(step) for step in define]}
    return copy | ({"requires": [text(t) for t in entry["requires"]]} if "requires" in entry else {})


def normalised(code: str, names: Mapping[str, str], ids: Mapping[str, str]) -> str:
    """The code with the new names put back, also where they begin a name such as ``x_bar``."""
    back = {new: old for old, new in {**names, **ids}.items()}
    code = re.sub(r"(?<![A-Za-z0-9])[A-Za-z]+[0-9]*(?![A-Za-z0-9])", lambda m: back.get(m[0], m[0]), code)
    # How long lines are broken follows the length of names.
    return re.sub(r"\s+", " ", code)


@pytest.mark.parametrize(("entry_id", "backwards"), sampled([(i, b) for i in COPIED for b in (False, True)], 3))
def test_a_copy_under_other_names_gives_the_same_code(tmp_path: Path, entry_id: str, backwards: bool) -> None:
    data = shipped()
    ids = {"softmax": "copyone", entry_id: "copytwo"}
    copies = {new: renamed(data[old], new_names(data[old], backwards), ids) for old, new in ids.items()}
    path = tmp_path / "copies.yaml"
    path.write_text(yaml.safe_dump(copies, sort_keys=False, width=10_000), encoding="utf-8")
    assert not kb.validate(path)
    copy, original = kb.load_catalogue(path)[ids[entry_id]], kb.load_catalogue()[entry_id]
    found = normalised(copy.code(backward=True), new_names(data[entry_id], backwards), ids)
    expected = normalised(original.code(backward=True), {}, {})
    if backwards:
        # The terms of a size such as H + 2*p stand in the order of the alphabet.
        found, expected = (" ".join(sorted(re.findall(r"\w+|\S", code))) for code in (found, expected))
    assert found == expected
