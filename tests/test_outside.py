"""Values that arguments state for their elements beyond their ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agree, of_entry, output, sizes_of

import kb
from kb.equation import Equation
from kb.errors import EqkbError
from kb.model import Entry, Symbol


def integer(name: str, default: str) -> Symbol:
    return Symbol(name, kind="integer", domain="positive", role="hyperparameter", default=default)


def equation(define: str, *symbols: Symbol, requires: tuple[str, ...] = ()) -> Equation:
    return of_entry(Entry("own", "own", symbols=symbols, define=(define,), requires=requires))


def pooling() -> Equation:
    return equation(
        "y[t] = max(x[s*t + u - p], u, u < k)",
        Symbol("x", ("n",), outside="-oo"),
        *map(integer, "ksp", "321"),
        output("y", "(n + 2*p - k)//s + 1"),
        requires=("k >= 2*p", "n + 2*p >= k"),
    )


PADDED = {
    "one": ("y[t] = sum(w[u]*x[t - u]**2, u)", "1", (Symbol("w", ("k",)), output("y", "n"))),
    "both ends": ("y[i] = x[i-1]*x[i+1] + x[i]", "1.5", (output("y", "n"),)),
    "fixed place": ("y = x[-1]*x[0] + sum(x**2)", "-2", (output("y"),)),
    "unused": ("y = x**2", "3", (output("y", "n"),)),
}


@pytest.mark.parametrize("name", PADDED)
def test_all_forms_agree(name: str) -> None:
    define, value, symbols = PADDED[name]
    eq = equation(define, Symbol("x", ("n",), outside=value), *symbols)
    assert_agree(eq, sizes_of(eq), second=False)


def test_padding_never_wins() -> None:
    eq = pooling()
    assert_agree(eq, {"n": 6, "k": 3, "s": 2, "p": 1}, second=False)
    x = np.array([-3, -4, -5, -1], np.float32)
    found = eq.lambdify()(x)
    assert found.tolist() == [-3, -1] and found.dtype == np.float32
    assert eq.check().verdict == "verified"


def test_a_caller_passes_what_has_ends_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    head = "name: N, topic: testing, about: Of no use."
    path.write_text(
        f"shifted: {{{head}, symbols: {{x: {{shape: [n], outside: 2}}, y: {{shape: [n], role: output}}}},"
        f" define: ['y[i] = x[i - 1]']}}\n"
        f"twice: {{{head}, symbols: {{v: {{shape: [n]}}, y: {{shape: [n], role: output}}}},"
        " define: ['y = shifted(shifted(v**2))']}\n"
    )
    eq = kb.load_catalogue(path)["twice"]
    assert eq.lambdify()([1.0, 2.0, 3.0]).tolist() == [2, 2, 1]
    assert_agree(eq, {"n": 4})


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(EqkbError, match="may lie outside"):
        _ = equation("y = d(x[0]*x[-1], x[-1])", Symbol("x", ("n",), outside="1"), output("y")).program
    path = tmp_path / "own.yaml"
    path.write_text(
        "own: {name: N, topic: t, about: A., symbols: {x: {shape: [n]}, y: {shape: [n], role: output, outside: 1}},"
        " define: [y = x]}\n"
    )
    assert "only an argument" in kb.validate(path)[0].message
