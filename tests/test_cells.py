"""Writing cells and rows that labels and whole numbers select, of arrays that have a value."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import ALL, assert_agree, of_entry, output, sizes_of

from kb.equation import Equation
from kb.errors import EqkbError
from kb.model import Entry, Symbol

W = Symbol("W", ("m", "n"), role="state")
K = Symbol("k", kind="label", classes="m")
MANY = Symbol("k", ("B",), kind="label", classes="m")
ROW, COLUMN, NUMBER = Symbol("v", ("n",)), Symbol("u", ("m",)), Symbol("c")


def update(*define: str, symbols: tuple[Symbol, ...] = (W, K, ROW, COLUMN, NUMBER)) -> Equation:
    return of_entry(Entry("own", "own", kind="update", symbols=symbols, define=define))


def table_update() -> Equation:
    """One cell of a table moves towards what was found and the best of another row."""
    symbols = (
        Symbol("T", ("R", "C"), role="state"),
        *(Symbol(n, kind="label", classes=size) for n, size in (("row", "R"), ("col", "C"), ("row_next", "R"))),
        Symbol("gain"),
        Symbol("eta", domain="unit"),
        Symbol("rho", domain="unit"),
    )
    return update("T[row,col] = T[row,col] + eta*(gain + rho*max(T[row_next,b], b) - T[row,col])", symbols=symbols)


WRITTEN = {
    "cell": ("W[k, 0] = c*W[k,0]**2",),
    "row": ("W[k] = v*W[0]",),
    "row with an index": ("W[k, j] = c*v[j]**2 + W[k,j]*W[0,j]",),
    "column": ("W[i, 0] = u[i]*W[i,0]",),
    "number for a row": ("W[k] = c",),
    "whole number": ("W[0] = v*sum(W[k,j], j)",),
    "twice": ("W[k] = W[k]*v", "W[0, j] = W[k,j]*c"),
    "read again": ("W[k] = v**2", "W = c*W"),
}


@pytest.mark.parametrize("define", WRITTEN.values(), ids=WRITTEN)
def test_all_forms_agree(define: tuple[str, ...]) -> None:
    symbols = (W, K, *(s for s in (ROW, COLUMN, NUMBER) if any(f"{s.name}" in text for text in define)))
    eq = update(*define, symbols=symbols)
    assert_agree(eq, sizes_of(eq), second=ALL if len(define) == 1 else 0)


def test_one_cell_of_a_table() -> None:
    eq = table_update()
    assert_agree(eq, {"R": 3, "C": 2}, second=0)
    T = np.arange(6.0).reshape(3, 2)
    found = eq.lambdify()(T, 1, 0, 2, gain=1, eta=0.5, rho=0.1)
    expected = T.copy()
    expected[1, 0] += 0.5 * (1 + 0.1 * 5 - 2)
    np.testing.assert_allclose(found, expected)
    assert T[1, 0] == 2


def test_a_cell_is_printed_as_written() -> None:
    eq = table_update()
    assert eq.text().startswith("T[row,col] ← T[row,col] + η·(gain")
    assert "δ[i,row]·δ[j,col]" in eq.derivative("eta").text()
    assert "MaxOver" in str(eq.expr)


def test_cells_of_steps_and_outputs() -> None:
    symbols = (Symbol("x", ("m", "n")), K, ROW, output("y", "m", "n"))
    eq = of_entry(Entry("own", "own", symbols=symbols, define=("y = x**2", "y[k] = v*y[k]", "y[0] = -v")))
    assert_agree(eq, {"m": 3, "n": 2})


def test_whole_numbers_of_an_axis_that_is_written_to_its_end() -> None:
    eq = update("w[2] = c*w[2]", "w[i] = 2*w[i]", symbols=(Symbol("w", ("3",), role="state"), NUMBER))
    assert_agree(eq, {})
    np.testing.assert_allclose(eq.lambdify()(np.ones(3), 5), [2, 2, 10])


def test_code_copies_and_assigns() -> None:
    eq = update("W[k] = v", symbols=(W, K, ROW))
    assert "W_next = _put(W, (k, None), v)" in eq.code()
    with pytest.raises(IndexError, match="label"):
        eq.lambdify()(np.ones((2, 3)), 2, np.ones(3))


def test_labels_of_a_batch_write_each_their_own() -> None:
    eq = update("W[k] = v", symbols=(W, K, ROW))
    found = eq.lambdify()(np.zeros((3, 2)), np.array([0, 2]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert found.shape == (2, 3, 2)
    assert found[0].tolist() == [[1, 2], [0, 0], [0, 0]]
    assert found[1].tolist() == [[0, 0], [0, 0], [3, 4]]


REFUSED = {
    "W[k, j] = v[j]": ((W, MANY, ROW), "'k' is an array of labels"),
    "W[k[b], j] = v[j]": ((W, MANY, ROW), "a cell for each 'b'"),
    "W[k] = u": ((W, K, COLUMN), r"'W\[k\]' has shape \[n\], but its value has shape \[m\]"),
    "W[p] = v": ((W, Symbol("p", kind="integer"), ROW), "not provably in range"),
    "W[1] = v": ((W, ROW), "not provably in range"),
    "W[k + 1] = v": ((W, K, ROW), "not provably in range"),
    "W[-1] = v": ((W, ROW), "a start stands before the recurrence"),
    "W[2*i] = v": ((W, ROW), "labels and whole numbers select"),
    "W[k, 0, 0] = 1": ((W, K), "has 2 axes, but 3 indices"),
    "y[k] = v": ((W, K, ROW), "has no value yet"),
}


@pytest.mark.parametrize(("define", "case"), REFUSED.items(), ids=REFUSED)
def test_refused(define: str, case: tuple[tuple[Symbol, ...], str]) -> None:
    symbols, message = case
    with pytest.raises(EqkbError, match=message):
        _ = update(define, symbols=symbols).program


def test_a_cell_is_not_part_of_an_unfinished_definition() -> None:
    symbols = (Symbol("x", ("3",)), Symbol("k", kind="label", classes="3"), output("y", "3"))
    define = ("y[0] = x[0]", "y[k] = x[1]", "y[1] = x[1]", "y[2] = x[2]")
    with pytest.raises(EqkbError, match="defined twice"):
        _ = of_entry(Entry("own", "own", symbols=symbols, define=define)).program
