"""Values and derivatives against implementations that share no code with eqkb.

The values are committed in ``oracles/values.json``; ``oracles/make.py`` made them and says how.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import shipped

Case = dict[str, Any]
DOCUMENT = json.loads((Path(__file__).parent / "oracles" / "values.json").read_text(encoding="utf-8"))
CASES: list[Case] = DOCUMENT["cases"]


def _id(case: Case) -> str:
    """The entry, whole-number arguments and the shapes of the array arguments."""
    words = [case["entry"]]
    for name, value in (case["sizes"] | case["inputs"]).items():
        shape = np.shape(value)
        if shape:
            words.append(f"{name}[{','.join(map(str, shape))}]")
        elif isinstance(value, int):
            words.append(f"{name}={value}")
    return " ".join([*words[:6], "..."] if len(words) > 7 else words)


def _parameters(key: str) -> list[Any]:
    return [pytest.param(case, id=_id(case)) for case in CASES if key in case]


@cache
def _compiled(entry: str, form: str, *arguments: str) -> Callable[..., Any]:
    """The function of a form, made once for all cases of an entry."""
    equation = shipped()[entry]
    lowered = equation if form == "value" else getattr(equation, form)(*arguments)
    function: Callable[..., Any] = lowered.lambdify()
    return function


def _array(value: Any) -> Any:
    """Lists as arrays; a label or a whole number stays an integer."""
    return np.asarray(value) if isinstance(value, list) else value


def _arguments(case: Case) -> dict[str, Any]:
    return {name: _array(value) for name, value in (case["inputs"] | case["sizes"]).items()}


def _structure(values: Sequence[Any]) -> Any:
    """As the API passes the outputs of an entry: one alone, several as a tuple."""
    arrays = tuple(_array(value) for value in values)
    return arrays[0] if len(arrays) == 1 else arrays


def _compare(case: Case, what: str, got: Any, expected: Any) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    where = f"{case['entry']}: {what} against {case['implementation']}"
    assert got.shape == expected.shape, f"{where}: shape {got.shape}, not {expected.shape}"
    np.testing.assert_allclose(
        got,
        expected,
        rtol=case["rtol"],
        atol=case["atol"],
        err_msg=f"{where} (rtol {case['rtol']}, atol {case['atol']})",
    )


def _compare_outputs(case: Case, what: str, got: Any, expected: Sequence[Any]) -> None:
    """Output by output; one output is not wrapped in a tuple."""
    if len(expected) == 1:
        assert not isinstance(got, tuple), f"{case['entry']}: one output, but a tuple came"
        got = (got,)
    assert isinstance(got, tuple) and len(got) == len(expected), f"{case['entry']}: {len(expected)} outputs expected"
    for number, (one, value) in enumerate(zip(got, expected, strict=True)):
        _compare(case, f"{what} {number}", one, value)


@pytest.mark.parametrize("case", _parameters("outputs"))
def test_value(case: Case) -> None:
    got = _compiled(case["entry"], "value")(**_arguments(case))
    _compare_outputs(case, "output", got, case["outputs"])


@pytest.mark.parametrize("case", _parameters("vjp"))
def test_vjp(case: Case) -> None:
    got = _compiled(case["entry"], "vjp")(**_arguments(case), cotangent=_structure(case["cotangents"]))
    assert set(got) == set(case["vjp"]), f"{case['entry']}: every real symbol has a cotangent, and no other"
    for name, expected in case["vjp"].items():
        _compare(case, f"cotangent of {name}", got[name], expected)


@pytest.mark.parametrize("case", _parameters("jvp"))
def test_jvp(case: Case) -> None:
    tangents = {name: _array(value) for name, value in case["tangents"].items()}
    got = _compiled(case["entry"], "jvp")(**_arguments(case), tangents=tangents)
    _compare_outputs(case, "tangent of output", got, case["jvp"])


@pytest.mark.parametrize("case", _parameters("jacobian"))
def test_jacobian(case: Case) -> None:
    for name, expected in case["jacobian"].items():
        got = _compiled(case["entry"], "jacobian", name)(**_arguments(case))
        _compare_outputs(case, f"Jacobian by {name} of output", got, expected)


@pytest.mark.parametrize("case", _parameters("hessian"))
def test_hessian(case: Case) -> None:
    for name, expected in case["hessian"].items():
        got = _compiled(case["entry"], "hessian", name)(**_arguments(case))
        _compare(case, f"Hessian by {name}", got, expected)


def test_every_entry_is_compared_or_says_why_not() -> None:
    compared, reasons = {case["entry"] for case in CASES}, DOCUMENT["uncompared"]
    assert not compared & reasons.keys()
    assert compared | reasons.keys() == set(shipped()), "add an oracle, or a reason to UNCOMPARED in oracles/entries.py"
    assert all(case["implementation"] for case in CASES) and all(reasons.values())


def test_every_form_is_covered() -> None:
    """A file cut short, or one without derivatives or batches, would pass silently."""
    differentiated = {case["entry"] for case in CASES if case.keys() >= {"vjp", "jvp"}}
    assert {case["entry"] for case in CASES if shipped()[case["entry"]].differentiable} == differentiated
    assert {case["batched"] for case in CASES} == {False, True}
    assert all(_parameters(key) for key in ("outputs", "vjp", "jvp", "jacobian", "hessian"))
