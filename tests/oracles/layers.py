"""Oracles of convolution, pooling, normalisation, locally connected and graph layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import F, Oracle, jax, jnp, on_tensors, torch

PADDED_STRIDES = ({"s": 1, "p": 0}, {"s": 2, "p": 0}, {"s": 1, "p": 1}, {"s": 2, "p": 1}, {"s": 3, "p": 2})
STRIDES = ({"s": 1}, {"s": 2}, {"s": 3})


def batch_norm(x: Any, gamma: Any, beta: Any, eps: Any) -> Any:
    centred = x - x.mean(0)
    return gamma * centred / jnp.sqrt((centred**2).mean(0) + eps) + beta


def conv2d(x: Any, K: Any, b: Any, s: int, p: int) -> Any:
    return jax.lax.conv_general_dilated(x[None], K, (s, s), [(p, p), (p, p)])[0] + b[:, None, None]


def max_pool2d(I: Any, k: int, s: int) -> Any:  # noqa: E741
    """By the first largest element in reading order, which then takes the whole derivative."""
    rows = np.arange((I.shape[0] - k) // s + 1) * s
    columns = np.arange((I.shape[1] - k) // s + 1) * s
    u, v = np.divmod(np.arange(k * k), k)
    windows = I[rows[:, None, None] + u, columns[:, None] + v]
    return jnp.take_along_axis(windows, jnp.argmax(windows, -1)[..., None], -1)[..., 0]


def conv_transpose2d(z: Any, K: Any, s: int) -> Any:
    """As a convolution of the image with zeros in between, which is not how the entry states it."""
    (h, w), (r, q) = z.shape, K.shape
    spread = jnp.zeros((s * (h - 1) + 1, s * (w - 1) + 1)).at[::s, ::s].set(z)
    padded = jnp.pad(spread, ((r - 1, r - 1), (q - 1, q - 1)))
    return jax.lax.conv_general_dilated(padded[None, None], K[None, None, ::-1, ::-1], (1, 1), "VALID")[0, 0]


def torch_neighbours(h: Any, adj: Any) -> Any:
    return torch.stack([h[row == 1].mean(0) for row in adj])


def conv1d_channels(x: Any, K: Any, b: Any, s: int, p: int = 0) -> Any:
    return jax.lax.conv_general_dilated(x[None], K, (s,), [(p, p)])[0] + b[:, None]


def local_channels(x: Any, w: Any, b: Any, s: int) -> Any:
    """JAX's convolution with a kernel for each place; what lies behind the last place is left out."""
    T, C_out, _, K = w.shape
    used = jnp.asarray(x)[None, :, : s * (T - 1) + K]
    kernels = jnp.moveaxis(jnp.asarray(w).reshape(T, C_out, -1), 0, -1)
    return jax.lax.conv_general_dilated_local(used, kernels, (s,), "VALID", (K,))[0] + jnp.asarray(b).T


def local_places(x: Any, w: Any, b: Any, s: int) -> Any:
    """Place by place."""
    T, K = w.shape[0], w.shape[-1]
    return jnp.stack([jnp.einsum("ock,ck->o", w[i], x[:, s * i : s * i + K]) + b[i] for i in range(T)], -1)


def output_size(n: int, k: int, p: int, s: int) -> Any:
    """The length of what PyTorch's convolution gives."""
    y = F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p)
    return np.asarray(y.shape[-1])


ORACLES = (
    Oracle(
        id="batch_norm",
        by="torch.batch_norm",
        arguments={"x": ": m n", "gamma": ": n", "beta": ": n", "eps": "positive:"},
        sizes=({"m": 5, "n": 3}, {"m": 4, "n": 1}, {"m": 1, "n": 2}),
        batches=(("x",), ("x", "gamma", "beta")),
        implementation=on_tensors(
            lambda x, gamma, beta, eps: torch.batch_norm(x, gamma, beta, None, None, True, 0.0, float(eps), False)
        ),
        model=batch_norm,
    ),
    Oracle(
        id="conv2d",
        by="torch.nn.functional.conv2d",
        arguments={"x": ": C_in H W", "K": ": C_out C_in r q", "b": ": C_out"},
        sizes=(
            {"C_in": 2, "H": 6, "W": 5, "C_out": 3, "r": 3, "q": 2},
            {"C_in": 1, "H": 4, "W": 7, "C_out": 2, "r": 1, "q": 3},
        ),
        integers=PADDED_STRIDES,
        batches=(("x",), ("x", "K", "b")),
        implementation=on_tensors(lambda x, K, b, s, p: F.conv2d(x[None], K, b, stride=s, padding=p)[0]),
        model=conv2d,
    ),
    Oracle(
        id="max_pool2d",
        by="torch.nn.functional.max_pool2d",
        arguments={"I": ": H W"},
        sizes=({"H": 7, "W": 6}, {"H": 5, "W": 9}),
        integers=({"k": 2, "s": 2}, {"k": 3, "s": 2}, {"k": 3, "s": 1}, {"k": 2, "s": 3}, {"k": 1, "s": 1}),
        batches=(("I",),),
        special_inputs=({"I": [[1.0, 1, 0, 2], [1, 1, 2, 2], [0, 0, 3, 3], [0, 5, 3, 3]], "k": 2, "s": 2},),
        implementation=on_tensors(lambda I, k, s: F.max_pool2d(I[None, None], k, s)[0, 0]),  # noqa: E741
        model=max_pool2d,
    ),
    Oracle(
        id="dropout",
        by="torch.mul",
        arguments={"h": ": n", "m": "mask: n"},
        sizes=({"n": 5}, {"n": 1}),
        batches=(("h", "m"), ("m",)),
        implementation=on_tensors(lambda h, m: torch.mul(h, m)),
        model=lambda h, m: m * h,
    ),
    Oracle(
        id="inverted_dropout",
        by="torch.ops.aten.native_dropout_backward, which applies a given mask",
        arguments={"h": ": n", "m": "mask: n", "p": "unit:"},
        sizes=({"n": 5}, {"n": 1}),
        batches=(("h", "m"), ("m",)),
        implementation=on_tensors(
            lambda h, m, p: torch.ops.aten.native_dropout_backward(h, m.to(torch.bool), 1 / float(p))
        ),
        model=lambda h, m, p: m * h / p,
    ),
    Oracle(
        id="convolution_1d",
        by="numpy.convolve",
        arguments={"f": ": n", "g": ": k"},
        sizes=({"n": 6, "k": 3}, {"n": 2, "k": 4}, {"n": 1, "k": 1}),
        batches=(("f",), ("f", "g")),
        implementation=lambda f, g: np.convolve(f, g),
        model=lambda f, g: jnp.convolve(f, g),
    ),
    Oracle(
        id="conv_transpose2d",
        by="torch.nn.functional.conv_transpose2d",
        arguments={"z": ": h w", "K": ": r q"},
        sizes=({"h": 3, "w": 2, "r": 2, "q": 3}, {"h": 1, "w": 3, "r": 3, "q": 1}),
        integers=({"s": 1}, {"s": 2}, {"s": 3}),
        batches=(("z",), ("z", "K")),
        implementation=on_tensors(lambda z, K, s: F.conv_transpose2d(z[None, None], K[None, None], stride=s)[0, 0]),
        model=conv_transpose2d,
    ),
    Oracle(
        id="gnn_aggregation",
        by="torch.mean over the selected rows",
        arguments={"h": ": n d", "adj": "neighbours: n n"},
        sizes=({"n": 4, "d": 2}, {"n": 1, "d": 3}),
        batches=(("h",), ("h", "adj")),
        implementation=on_tensors(torch_neighbours),
        model=lambda h, adj: jax.lax.stop_gradient(adj) @ h / jax.lax.stop_gradient(adj).sum(1, keepdims=True),
    ),
    Oracle(
        id="conv1d",
        by="torch.nn.functional.conv1d",
        arguments={"x": ": n", "k": ": K", "b": ":"},
        sizes=({"n": 6, "K": 3}, {"n": 2, "K": 2}),
        integers=STRIDES,
        batches=(("x",),),
        implementation=on_tensors(lambda x, k, b, s: F.conv1d(x[None, None], k[None, None], b[None], stride=s)[0, 0]),
        model=lambda x, k, b, s: jnp.correlate(x, k, mode="valid")[::s] + b,
    ),
    Oracle(
        id="conv1d_channels",
        by="torch.nn.functional.conv1d",
        arguments={"x": ": C_in n", "K": ": C_out C_in r", "b": ": C_out"},
        sizes=({"C_in": 2, "C_out": 2, "n": 4, "r": 2}, {"C_in": 1, "C_out": 2, "n": 3, "r": 3}),
        integers=({"s": 1, "p": 0}, {"s": 2, "p": 1}, {"s": 3, "p": 2}),
        batches=(("x",),),
        implementation=on_tensors(lambda x, K, b, s, p: F.conv1d(x[None], K, b, stride=s, padding=p)[0]),
        model=conv1d_channels,
    ),
    Oracle(
        id="avg_pool2d",
        by="torch.nn.functional.avg_pool2d",
        arguments={"I": ": H W"},
        sizes=({"H": 4, "W": 5}, {"H": 3, "W": 3}),
        integers=({"k": 2, "s": 2}, {"k": 2, "s": 1}, {"k": 3, "s": 2}, {"k": 1, "s": 1}),
        batches=(("I",),),
        implementation=on_tensors(lambda I, k, s: F.avg_pool2d(I[None, None], k, s)[0, 0]),  # noqa: E741
        model=lambda I, k, s: (  # noqa: E741
            jax.lax.reduce_window(I, 0.0, jax.lax.add, (k, k), (s, s), "VALID") / k**2
        ),
    ),
    Oracle(
        id="conv_output_size",
        by="torch.nn.functional.conv1d, the length of its output",
        arguments={},
        integers=(
            {"n": 7, "k": 3, "p": 0, "s": 1},
            {"n": 7, "k": 3, "p": 1, "s": 2},
            {"n": 8, "k": 3, "p": 0, "s": 4},
            {"n": 1, "k": 5, "p": 2, "s": 3},
        ),
        implementation=output_size,
        model=lambda n, k, p, s: np.asarray(len(range(0, n + 2 * p - k + 1, s))),
    ),
    Oracle(
        id="locally_connected1d",
        by="jax.lax.conv_general_dilated_local",
        arguments={"x": ": n", "w": ": T K", "b": ": T"},
        sizes=({"n": 8, "T": 3, "K": 3}, {"n": 2, "T": 1, "K": 2}),
        integers=({"s": 1}, {"s": 2}),
        batches=(("x",),),
        implementation=lambda x, w, b, s: local_channels(x[None], w[:, None, None], b[:, None], s)[0],
        model=lambda x, w, b, s: local_places(x[None], w[:, None, None], b[:, None], s)[0],
    ),
    Oracle(
        id="locally_connected1d_channels",
        by="jax.lax.conv_general_dilated_local",
        arguments={"x": ": C_in n", "w": ": T C_out C_in K", "b": ": T C_out"},
        sizes=({"C_in": 2, "C_out": 2, "n": 4, "T": 2, "K": 2}, {"C_in": 1, "C_out": 2, "n": 3, "T": 1, "K": 3}),
        integers=({"s": 1}, {"s": 2}),
        batches=(("x",),),
        implementation=local_channels,
        model=local_places,
    ),
    Oracle(
        id="gnn_weighted_aggregation",
        by="torch.nn.functional.linear, torch.Tensor.masked_fill",
        arguments={"h": ": n d", "W": ": k d", "alpha": ": n n", "adj": "mask: n n"},
        sizes=({"n": 3, "d": 2, "k": 2}, {"n": 1, "d": 2, "k": 1}),
        batches=(("h",), ("h", "alpha", "adj")),
        implementation=on_tensors(
            lambda h, W, alpha, adj: torch.tanh(alpha.masked_fill(adj == 0, 0.0) @ F.linear(h, W))
        ),
        model=lambda h, W, alpha, adj: jnp.tanh((alpha * jax.lax.stop_gradient(adj)) @ h @ W.T),
    ),
)
