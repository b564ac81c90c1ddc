"""An identity without an output gives both sides of its first claim."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agree, sizes_of

import kb
from kb.model import Entry, NamedClaim, Symbol
from kb.sides import with_sides

HEAD = "name: N\n  kind: identity\n  topic: testing\n  about: Of no use.\n"
SYMBOLS = "symbols: {A: {shape: [m, n]}, u: {shape: [m]}, v: {shape: [n]}}"


def equation(tmp_path: Path, *lines: str) -> kb.Equation:
    path = tmp_path / "own.yaml"
    path.write_text("own:\n  " + HEAD + "".join(f"  {line}\n" for line in lines), "utf-8")
    return kb.load_catalogue(path)["own"]


def test_a_call_gives_the_pair(tmp_path: Path) -> None:
    eq = equation(tmp_path, SYMBOLS, "claims: {order: u.T @ (A @ v) == (u.T @ A) @ v}")
    assert eq.outputs == ("lhs", "rhs")
    A, u, v = np.arange(6.0).reshape(2, 3), np.ones(2), np.array([1.0, 0, 2])
    assert eq.lambdify()(A, u, v) == (u @ A @ v, u @ A @ v)
    assert_agree(eq, sizes_of(eq))
    assert eq.derivative("v").shape == {"lhs": ("n",), "rhs": ("n",)}
    assert eq.derivative("v").text().count("∂rhs/∂v") == 2


def test_free_indices_are_axes(tmp_path: Path) -> None:
    eq = equation(tmp_path, SYMBOLS, "claims: {row: 'sum(A[i,j], j)*v[k] == sum(A[i,j]*v[k], j)'}")
    assert eq.symbols["lhs"].shape == eq.symbols["rhs"].shape == ("m", "n")
    assert_agree(eq, sizes_of(eq), second=False)
    assert "returns lhs [m, n]" in eq.code()


def test_the_identity_itself_is_shown(tmp_path: Path) -> None:
    eq = equation(tmp_path, SYMBOLS, "define: w = A @ v", "claims: {dot: u.T @ w == v.T @ (A.T @ u)}")
    assert eq.text() == "w = A v\nuᵀ w = vᵀ (Aᵀ u)"
    assert "lhs" not in eq.latex()
    assert eq.check().verdict == "verified"


def test_names_do_not_clash() -> None:
    symbols = (Symbol("lhs", ("rhs",)), Symbol("x", ("rhs",)))
    entry = Entry("own", "own", kind="identity", symbols=symbols, claims=(NamedClaim("c", "lhs + x == x + lhs"),))
    assert with_sides(entry).sides == ("lhs_", "rhs_")


def test_an_identity_with_an_output_has_no_sides(tmp_path: Path) -> None:
    symbols = "symbols: {x: {}, y: {role: output}}"
    eq = equation(tmp_path, symbols, "define: y = sin(x)**2", "claims: {a: y == 1 - cos(x)**2}")
    assert eq.outputs == ("y",) and eq.entry.sides == ()


def test_a_cached_catalogue_is_the_same(tmp_path: Path) -> None:
    lines = (SYMBOLS, "claims: {order: u.T @ (A @ v) == (u.T @ A) @ v}")
    assert equation(tmp_path, *lines).entry == equation(tmp_path, *lines).entry


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((SYMBOLS,), "'define' is missing"),
        ((SYMBOLS, "define: w = A @ v"), "add 'role: output'"),
        ((SYMBOLS, "claims: {a: u == v}"), r"claims\.a.*\[m\]"),
        ((SYMBOLS, "claims: {a: u == q*u}"), r"claims\.a.*'q'"),
        ((SYMBOLS, "claims: {a: u = 2*u}"), r"claims\.a"),
        ((SYMBOLS, "claims: {a: u ==}"), r"claims\.a"),
    ],
)
def test_faults_are_those_of_the_claim(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("own:\n  " + HEAD + "".join(f"  {line}\n" for line in lines), "utf-8")
    faults = [f"{fault.field}: {fault.message}" for fault in kb.validate(path)]
    assert any(re.search(message, fault) for fault in faults), faults
