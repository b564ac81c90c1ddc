"""Oracles of matrices, norms and decompositions."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import Oracle, jax, jnp, linear_model, on_tensors, torch


def least_squares(X: Any, y: Any) -> Any:
    return linear_model.LinearRegression(fit_intercept=False).fit(X, y).coef_


def turned(*columns: Any) -> Any:
    """Vectors with the sign that makes the first of the largest elements of each last one's columns positive."""
    last = columns[-1]
    largest = np.abs(last).argmax(0)
    return [c * np.sign(last[largest, np.arange(last.shape[1])]) for c in columns]


def jax_turned(*columns: Any) -> Any:
    last = jax.lax.stop_gradient(columns[-1])
    sign = jnp.sign(jnp.take_along_axis(last, jnp.argmax(jnp.abs(last), 0)[None], 0)[0])
    return [c * sign for c in columns]


def numpy_svd(A: Any) -> Any:
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    U, V = turned(U, Vt.T)
    return U, s, V


def jax_svd(A: Any) -> Any:
    U, s, Vt = jnp.linalg.svd(A, full_matrices=False)
    U, V = jax_turned(U, Vt.T)
    return U, s, V


def numpy_eigh(C: Any) -> Any:
    values, vectors = np.linalg.eigh((C + C.T) / 2)
    return values, turned(vectors)[0]


def jax_eigh(C: Any) -> Any:
    values, vectors = jnp.linalg.eigh(C)
    return values, jax_turned(vectors)[0]


ORACLES = (
    Oracle(
        id="normal_equation",
        by="sklearn.linear_model.LinearRegression",
        arguments={"X": ": N d", "y": ": N"},
        sizes=({"N": 6, "d": 3}, {"N": 4, "d": 1}),
        batches=(("X", "y"), ("y",)),
        implementation=least_squares,
        model=lambda X, y: jnp.linalg.solve(X.T @ X, X.T @ y),
        rtol=1e-7,
        atol=1e-9,
    ),
    Oracle(
        id="lp_norm",
        by="torch.linalg.vector_norm",
        arguments={"x": ": n", "p": "positive:"},
        sizes=({"n": 4}, {"n": 1}),
        batches=(("x",),),
        special_inputs=({"x": [3.0, -4.0], "p": 2.0}, {"x": [1.0, -2.0, 0.5], "p": 1.0}),
        implementation=on_tensors(lambda x, p: torch.linalg.vector_norm(x, float(p))),
        model=lambda x, p: jnp.sum(jnp.abs(x) ** p) ** (1 / p),
    ),
    Oracle(
        id="determinant_2x2",
        by="numpy.linalg.det",
        arguments=dict.fromkeys("abcd", ":"),
        batches=(("a", "d"), ("a", "b", "c", "d")),
        implementation=lambda a, b, c, d: np.linalg.det(np.array([[a, b], [c, d]])),
        model=lambda a, b, c, d: jnp.linalg.det(jnp.array([[a, b], [c, d]])),
        rtol=1e-8,
        atol=1e-10,
    ),
    Oracle(
        id="inverse_2x2",
        by="numpy.linalg.inv",
        arguments=dict.fromkeys("abcd", ":"),
        batches=(("a", "d"), ("a", "b", "c", "d")),
        implementation=lambda a, b, c, d: np.linalg.inv(np.array([[a, b], [c, d]])),
        model=lambda a, b, c, d: jnp.linalg.inv(jnp.array([[a, b], [c, d]])),
        rtol=1e-7,
        atol=1e-9,
    ),
    Oracle(
        id="frobenius_norm",
        by="torch.linalg.matrix_norm",
        arguments={"A": ": m n"},
        sizes=({"m": 3, "n": 4}, {"m": 1, "n": 1}),
        batches=(("A",),),
        implementation=on_tensors(lambda A: torch.linalg.matrix_norm(A, "fro")),
        model=lambda A: jnp.linalg.norm(A),
    ),
    Oracle(
        id="svd",
        by="numpy.linalg.svd, turned to the stated signs",
        arguments={"A": ": m n"},
        sizes=({"m": 4, "n": 3}, {"m": 2, "n": 2}, {"m": 2, "n": 1}),
        batches=(("A",),),
        implementation=numpy_svd,
        model=jax_svd,
        rtol=1e-7,
        atol=1e-8,
    ),
    Oracle(
        id="pca_eigendecomposition",
        by="numpy.linalg.eigh, turned to the stated signs",
        arguments={"C": "covariance: d d"},
        sizes=({"d": 3}, {"d": 1}),
        batches=(("C",),),
        implementation=numpy_eigh,
        model=jax_eigh,
        rtol=1e-7,
        atol=1e-8,
    ),
    Oracle(
        id="matmul",
        by="torch.matmul",
        arguments={"A": ": m n", "B": ": n p"},
        sizes=({"m": 2, "n": 3, "p": 4}, {"m": 1, "n": 2, "p": 1}),
        batches=(("A",), ("A", "B")),
        implementation=on_tensors(lambda A, B: torch.matmul(A, B)),
        model=lambda A, B: jnp.einsum("ik,kj->ij", A, B),
    ),
)
