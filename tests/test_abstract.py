"""Abstract functions of arrays and abstract reducers: values, all derivatives, messages, printing, proofs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from agreement import assert_agree, of_entry, output, shipped

from kb.errors import Fault
from kb.model import Entry, Symbol
from kb.programs import Programs
from kb.typed import parse_symbols


def function(name: str, arguments: str, instance: str, *shape: str) -> Symbol:
    return Symbol(name, shape, kind="function", arguments=tuple(arguments.split()), instance=instance)


def reducer(name: str, instance: str) -> Symbol:
    return Symbol(name, kind="reducer", instance=instance)


def entry(define: str | tuple[str, ...], symbols: str, *own: Symbol, **more: Any) -> Entry:
    steps = (define,) if isinstance(define, str) else define
    made = Entry("own", "Own", symbols=(*parse_symbols(symbols), *own), define=steps)
    return dataclasses.replace(made, **more)


def faults(made: Entry, *others: Entry) -> list[Fault]:
    known = {**shipped().records, **{e.id: e for e in (*others, made)}}
    return [fault for _, fault in Programs(known).faults(made.id)]


QUARTIC = function("L", "t[P]", "sum(t[i]**4, i)")
STATE = Symbol("theta", ("P",), role="state")

# name -> entry: what an author might write with functions that have shapes.
INVENTED: dict[str, Entry] = {
    "to a number": entry("y = L(x)*s", "x[P] s", QUARTIC, output("y")),
    "of an expression": entry("y = L(A @ x + b)", "A[P,n] x[n] b[P]", QUARTIC, output("y")),
    "a row at a time": entry("y = L(A)", "A[B,P]", QUARTIC, output("y", "B")),
    "in a sum": entry("y = mean(L(A[i])*s[i], i)", "A[B,P] s[B]", QUARTIC, output("y")),
    "mixed arguments": entry(
        "y[i] = f(A[i], s[i], x)", "A[B,P] s[B] x[P]", function("f", "a[P] b t[P]", "(b - a @ t)**3"), output("y", "B")
    ),
    "number to array": entry(
        "y = T(s)*x", "s x[k]", function("T", "u", "T[i] = sin(u*(i + 1))", "k"), output("y", "k")
    ),
    "array to array": entry(
        "y = sum(z(x)**2) + z(z(x))[0]", "x[n]", function("z", "u[q]", "softmax(u)*u", "q"), output("y")
    ),
    "matrix argument": entry(
        "y = f(A, x)", "A[m,n] x[n]", function("f", "M[m,n] v[n]", "tanh(M @ v)", "m"), output("y", "m")
    ),
    "joined blocks": entry(
        ("u = z(x)", "y = L(u)"),
        "x[n]",
        function("z", "x[n]", "concat([sin(x), x**2][b], b)", "m"),
        function("L", "u[m]", "sum(u[j]**3, j)"),
        output("y"),
    ),
    "joined blocks of rows": entry(
        "y[i] = sum(z(A[i])[j]*z(A[i])[j], j)",
        "A[B,n]",
        function("z", "x[n]", "concat([sin(x), x**2][b], b)", "2*n"),
        output("y", "B"),
    ),
    "an inverse": entry(
        "y = sum(f(A*s, x)*x)",
        "A[n,n]:positive_definite x[n] s:positive",
        function("f", "M[n,n] v[n]", "inv(M) @ v", "n"),
        output("y"),
    ),
    "a determinant of rows": entry(
        "y[b] = f(A[b])", "A[B,n,n]:positive_definite", function("f", "M[n,n]", "logdet(M)"), output("y", "B")
    ),
    "an entry": entry(
        "y = loss(x, 2*z)", "x[N] z[N]", function("loss", "a[N] b[N]", "mean_squared_error"), output("y")
    ),
    "a built-in": entry("y = size(A)", "A[B,n]", function("size", "v[n]", "norm"), output("y", "B")),
    "gradient in a step": entry(
        ("g = d(f(x - s*v), x)", "y = sum(g*g)"), "x[n] v[n] s", function("f", "t[n]", "sum(t[i]**4, i)"), output("y")
    ),
    "mixed gradient": entry(
        "y[i] = sum(d(f(A[j], x), x)[i], j)",
        "A[B,n] x[n]",
        function("f", "a[n] t[n]", "exp(-sum((a[i] - t[i])**2, i))"),
        output("y", "n"),
    ),
    "jacobian in a step": entry(
        "y = sum(d(z(x), x)*d(z(2*x), x))", "x[n]", function("z", "u[n]", "u**3 + sum(u)", "n"), output("y")
    ),
    "an update": entry(
        ("v = gamma*v + eta*d(L(theta - gamma*v), theta)", "theta = theta - v"),
        "",
        STATE,
        Symbol("v", ("P",), role="state"),
        QUARTIC,
        Symbol("gamma", domain="unit"),
        Symbol("eta", domain="positive", default="0.1"),
        kind="update",
    ),
    "sums of rows": entry(
        "y = sum(z(x[i]*(A @ v)), i)", "x[n] A[m,k] v[k]", function("z", "u[m]", "sum(sin(u))"), output("y")
    ),
    "mean of neighbours": entry(
        "y[v] = AGG(h[u], u, a[v,u] > 0.5)",
        "h[n,d] a[n,n]:binary_diagonal",
        reducer("AGG", "mean"),
        output("y", "n", "d"),
    ),
    "stable sum of exponentials": entry("y = AGG(x[i]*s, i)", "x[n] s", reducer("AGG", "logsumexp"), output("y")),
    "product of all": entry("y[v] = AGG(h[v,u], u)", "h[n,d]", reducer("AGG", "prod"), output("y", "n")),
}


@pytest.mark.parametrize("name", INVENTED)
def test_code_interpreter_and_differences_agree(name: str) -> None:
    eq = of_entry(INVENTED[name])
    sizes = dict(zip(eq.program.dimensions, (3, 2, 4), strict=False))
    if name == "mean of neighbours":
        eq = of_entry(dataclasses.replace(INVENTED[name], differentiate=("h",)))
    assert_agree(eq, sizes, second=name not in ("an inverse", "mean of neighbours"))
    assert_agree(eq, dict.fromkeys(sizes, 1), seed=1, second=False)
