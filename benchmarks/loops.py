"""Recurrences by hand: what the generated loops over time are measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GATES = "ifoc"


def discounted_return(r: Array, gamma: float) -> Array:
    """r[B, T] and a number -> G[B, T]."""
    G, following = np.empty_like(r), np.zeros_like(r[:, 0])
    for t in reversed(range(r.shape[1])):
        following = r[:, t] + gamma * following
        G[:, t] = following
    return G


def discounted_return_vjp(r: Array, gamma: float, *, cotangent: Array) -> dict[str, Any]:
    """The cotangents of both inputs."""
    G = discounted_return(r, gamma)
    r_bar, before = np.empty_like(r), np.zeros_like(r[:, 0])
    for t in range(r.shape[1]):
        before = cotangent[:, t] + gamma * before
        r_bar[:, t] = before
    return {"r": r_bar, "gamma": (r_bar[:, :-1] * G[:, 1:]).sum()}


def _stacked(weights: dict[str, Array], kind: str) -> Array:
    return np.concatenate([weights[f"{kind}{gate}"] for gate in GATES])


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _run(x: Array, h_0: Array, c_0: Array, weights: dict[str, Array]) -> tuple[Array, Array, Array]:
    """All states, and all gates beside each other."""
    U = np.ascontiguousarray(_stacked(weights, "W_h").T)
    m = len(U)
    fed = np.swapaxes(x @ _stacked(weights, "W_x").T + _stacked(weights, "b_"), 0, 1)
    h, c, (batch, turns, _) = h_0, c_0, x.shape
    hs, cs, gates = np.empty((batch, turns, m)), np.empty((batch, turns, m)), np.empty((turns, batch, 4 * m))
    for t in range(turns):
        g = fed[t] + h @ U
        g[:, : 3 * m] = _sigmoid(g[:, : 3 * m])
        np.tanh(g[:, 3 * m :], out=g[:, 3 * m :])
        c = g[:, m : 2 * m] * c + g[:, :m] * g[:, 3 * m :]
        h = g[:, 2 * m : 3 * m] * np.tanh(c)
        hs[:, t], cs[:, t], gates[t] = h, c, g
    return hs, cs, gates


def lstm_layer(x: Array, h_0: Array, c_0: Array, **weights: Array) -> tuple[Array, Array]:
    """x[B, T, n], h_0[B, m], c_0[B, m] and the weights of a cell -> h[B, T, m], c[B, T, m]."""
    hs, cs, _ = _run(x, h_0, c_0, weights)
    return hs, cs


def lstm_layer_vjp(
    x: Array, h_0: Array, c_0: Array, *, cotangent: tuple[Array, Array], **weights: Array
) -> dict[str, Array]:
    """The cotangents of all inputs; those of the weights are summed over the batch."""
    hs, cs, gates = _run(x, h_0, c_0, weights)
    (turns, batch, width), m = gates.shape, hs.shape[2]
    U = _stacked(weights, "W_h")
    z_bar, h_bar, c_bar = np.empty_like(gates), np.zeros((batch, m)), np.zeros((batch, m))
    for t in reversed(range(turns)):
        i, f, o, g = np.split(gates[t], 4, axis=1)
        h_bar = h_bar + cotangent[0][:, t]
        tanh_c = np.tanh(cs[:, t])
        c_bar = c_bar + cotangent[1][:, t] + h_bar * o * (1 - tanh_c * tanh_c)
        before = cs[:, t - 1] if t else c_0
        z_bar[t, :, :m] = c_bar * g * i * (1 - i)
        z_bar[t, :, m : 2 * m] = c_bar * before * f * (1 - f)
        z_bar[t, :, 2 * m : 3 * m] = h_bar * tanh_c * o * (1 - o)
        z_bar[t, :, 3 * m :] = c_bar * i * (1 - g * g)
        c_bar = c_bar * f
        h_bar = z_bar[t] @ U
    flat = np.swapaxes(z_bar, 0, 1).reshape(-1, width)
    before_all = np.concatenate([h_0[:, None], hs[:, :-1]], axis=1).reshape(-1, m)
    W_x, W_h, b = flat.T @ x.reshape(-1, x.shape[2]), flat.T @ before_all, flat.sum(0)
    result = {"x": (flat @ _stacked(weights, "W_x")).reshape(x.shape), "h_0": h_bar, "c_0": c_bar}
    for n, gate in enumerate(GATES):
        rows = slice(n * m, (n + 1) * m)
        result |= {f"W_x{gate}": W_x[rows], f"W_h{gate}": W_h[rows], f"b_{gate}": b[rows]}
    return result


def cumulative_sum(x: Array) -> Array:
    """x[B, T] -> y[B, T]."""
    return np.cumsum(x, axis=1)


def cumulative_sum_vjp(x: Array, *, cotangent: Array) -> dict[str, Array]:
    """The cotangent of x."""
    return {"x": np.cumsum(cotangent[:, ::-1], axis=1)[:, ::-1]}
