"""What a formula may not say: one clear message each, at the right character."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agreement import of_entry, output, shipped

import kb
from kb.errors import CatalogueError, Fault
from kb.model import Entry, Symbol
from kb.programs import Programs
from kb.typed import parse_symbols

SYMBOLS = "x[n] z[n] w[m] A[n,m] C[n,n] s k:label[n] t:integer"


def faults(define: str | tuple[str, ...], symbols: str = SYMBOLS, *own: Symbol, **more: object) -> list[Fault]:
    steps = (define,) if isinstance(define, str) else define
    entry = Entry("own", "Own", symbols=(*parse_symbols(symbols), *own), define=steps)
    entry = replace(entry, **more)  # type: ignore[arg-type]
    return [fault for _, fault in Programs({**shipped().records, "own": entry}).faults("own")]


# (formula, words of the message, the text at which the fault stands)
BAD = [
    ("y = sofmax(x)", ["sofmax", "softmax"], "sofmax"),
    ("y = exq(x)", ["exq", "exp"], "exq"),
    ("y = x + zz", ["zz", "'z'"], "zz"),
    ("y = x + unheard", ["unheard", "declare"], "unheard"),
    ("y = sum(x*v)", ["'v'", "neither"], "v)"),
    ("y = x + A @ x", ["'@'", "[n, m]", "[n]"], None),
    ("y = A @ A", ["[n, m]"], None),
    ("y = x + w", ["[n]", "[m]"], None),
    ("y = x*C", ["ambiguous", "[n]", "[n, n]"], None),
    ("y = C**2", ["square", "matpow"], "C**2"),
    ("y = inv(A)", ["square", "[n, m]"], "A"),
    ("y = trace(A)", ["square"], "A"),
    ("y[i] = x[j]", ["'j'", "bound"], "j]"),
    ("y[i] = sum(x[i]*z[i], i)", ["'i'", "meaning"], "i)"),
    ("y = sum(x[s]*2, s)", ["'s'", "meaning"], None),
    ("y = max(x[k], k)", ["'k'", "meaning"], "k)"),
    ("y = sum(x[i], i, i)", ["twice"], None),
    ("y = sum(x[i]*w[i], i)", ["'i'", "n", "m"], None),
    ("y[i] = x[i + 1]", ["range", "'i'", "inferred"], "y"),
    ("y[i] = x[i]*x[2*i]", ["range", "2*i"], "2*i]"),
    ("y = sum(x[i - 1], i, i < n)", ["range", "i - 1"], "i - 1]"),
    ("y = x[n]", ["range"], "n]"),
    ("y = sum(1, i)", ["range of index 'i'"], None),
    ("y = x*k", ["label", "x[k]"], "k"),
    ("y = x[s]", ["real number", "select"], "s]"),
    ("y = x[i, j]", ["1 axes", "2 indices"], None),
    ("y = s[0]", ["number"], None),
    ("y = softmax(x, z, w)", ["1 argument", "3 given"], "softmax"),
    ("y = exp(x, z)", ["1 argument", "2 given"], "exp"),
    ("y = linear(x)", ["linear", "needs", "'W'"], "linear"),
    ("y = norm(s)", ["abs"], None),
    ("y = s.T", ["transpose"], None),
    ("y = x.T + 1", ["row", "column"], None),
    ("y = s @ x", ["matrices and vectors"], None),
    ("y = matpow(C, s)", ["whole"], None),
    ("y = sum(s)", ["number", "sum"], "s)"),
    ("y = x[1.5]", ["whole"], "1.5"),
    ("y = sum(x[i/2]*x[i], i)", ["//"], None),
    ("y = 1 if x else 2", ["condition"], "x"),
    ("y = lstm_cell", ["lstm_cell", "neither"], "lstm_cell"),
    ("y = f(x)", ["'f'"], "f("),
    ("y = one_hot(x, n)", ["label"], None),
    ("y = 1/0", ["zero"], None),
    ("y = 9**9**9", ["digits"], None),
    ("y = eye(s)", ["s"], None),
    ("y = argmax(x[i], i)", ["index"], "argmax"),
]


@pytest.mark.parametrize(("define", "words", "where"), BAD, ids=[row[0] for row in BAD])
def test_a_bad_formula_is_one_clear_message(define: str, words: list[str], where: str | None) -> None:
    found = _typed_faults(define)
    assert len(found) == 1, found
    message = found[0].message
    assert all(word in message for word in words), message
    assert "Traceback" not in message and len(message) < 400
    if where is not None:
        assert found[0].location is not None
        assert define[found[0].location.column - 1 :].startswith(where), (found[0].location.column, message)


def _typed_faults(define: str) -> list[Fault]:
    with pytest.raises(CatalogueError) as caught:
        kb.parse(define, SYMBOLS)
    return list(caught.value.faults)


# --- entries --------------------------------------------------------------------------------------

Y = output("y", "n")
ENTRIES = [
    (("y = b", "b = 2*x"), "x[n]", (Y,), ["'b'", "before it is defined"], "define[0]", 4),
    (("y = A @ x",), "A[m,n] x[n]", (Y,), ["'y'", "[n]", "[m]"], "define[0]", None),
    (("y[i] = x[i]",), "x[m]", (Y,), ["n", "m"], "define[0]", None),
    (("x = 2*x", "y = x"), "x[n]", (Y,), ["'x'", "argument"], "define[0]", 0),
    (("n = 2", "y = x"), "x[n]", (Y,), ["'n'", "dimension"], "define[0]", 0),
    (("y[2*i] = i", "y[2*i] = 2*i"), "x[n]", (output("y", "2*n"),), ["y", "twice"], None, None),
    (("y[2*i] = i", "y[i] = i"), "x[n]", (output("y", "2*n"),), ["y"], None, None),
    (("y[2*i] = i",), "x[n]", (output("y", "2*n"),), ["y", "undefined"], None, None),
    (("b = x",), "x[n]", (Y,), ["'y'", "no step"], "symbols.y", None),
    (("y = x[i]",), "x[n]", (output("y"),), ["'i'"], "define[0]", 6),
    (("a, b = softmax(x)", "y = a"), "x[n]", (Y,), ["2 targets", "softmax"], "define[0]", None),
    (("y = lstm_cell(x)",), "x[n]", (Y,), ["lstm_cell"], "define[0]", None),
    (("y[x] = 1",), "x[n]", (Y,), ["'x'"], "define[0]", 2),
    (("y = f(x)",), "x[n]", (Y, Symbol("f", kind="function", arguments=("u",))), ["instance"], None, None),
    (("y = own(x)",), "x[n]", (Y,), ["circle", "own -> own"], "define[0]", 4),
]


@pytest.mark.parametrize(("define", "symbols", "own", "words", "field", "start"), ENTRIES, ids=str)
def test_a_bad_entry_is_a_fault_with_its_field(
    define: tuple[str, ...],
    symbols: str,
    own: tuple[Symbol, ...],
    words: list[str],
    field: str | None,
    start: int | None,
) -> None:
    found = faults(define, symbols, *own)
    assert found
    text = " | ".join(fault.message for fault in found)
    assert all(word in text for word in words), text
    if field is not None:
        assert any(fault.field.startswith(field) and start in (None, fault.start) for fault in found), found


def test_entries_that_call_each_other_in_a_circle_are_named_in_order() -> None:
    x, y = Symbol("x", ("n",)), output("y", "n")
    first = Entry("first", "First", symbols=(x, y), define=("y = second(x)",))
    second = Entry("second", "Second", symbols=(x, y), define=("y = first(x)",))
    found = Programs({"first": first, "second": second}).faults("first")
    assert any("first -> second -> first" in fault.message for _, fault in found)


def test_all_faults_of_an_entry_are_told_at_once() -> None:
    found = faults(("a = zz + x", "b = sofmax(x)", "y = x + w"), "x[n] w[m]", Y)
    assert [fault.field for fault in found] == ["define[0]", "define[1]", "define[2]"]


def test_what_follows_from_a_fault_is_not_a_fault_of_its_own() -> None:
    assert len(faults(("a = zz + x", "b = 2*a", "y = b"), "x[n]", Y)) == 1


def test_requirements_make_a_read_provable() -> None:
    define, symbols = ("y = x[2]",), "x[n]"
    assert faults(define, symbols, output("y"))
    assert not faults(define, symbols, output("y"), requires=("n >= 3",))


def test_a_condition_or_a_stated_value_outside_makes_a_read_legal() -> None:
    padded = Symbol("x", ("n",), outside="0")
    eq = of_entry(Entry("own", "Own", symbols=(padded, output("y", "n")), define=("y[i] = x[i - 1] + x[i + 1]",)))
    assert eq.lambdify()([1.0, 2.0, 4.0]).tolist() == [2, 5, 2]
    assert kb.parse("y = sum(x[i + 1]*x[i], i, i < n - 1)", "x[n]").lambdify()([1.0, 2.0, 4.0]) == 10


def test_names_of_callees_never_meet_those_of_the_caller() -> None:
    """The callee's indices and steps are renamed on the way in, whatever the caller calls its own."""
    eq = kb.parse("y[j, k] = softmax(A)[j, k]*x[k]*sum(softmax(A[j])[c], c)", "A[n,C] x[C]")
    a, x = [[1.0, 2.0, 3.0], [0.0, 0.5, 1.0]], [1.0, -1.0, 2.0]
    plain = kb.parse("y = softmax(A)*x", "A[n,C] x[C]")
    assert abs(eq.lambdify()(a, x) - plain.lambdify()(a, x)).max() < 1e-14


def test_a_literal_index_is_checked_at_every_size() -> None:
    assert kb.parse("y = x[0]", "x[n]").lambdify()([5.0]) == 5
    assert "provably" in _typed_faults("y = x[1]")[0].message
