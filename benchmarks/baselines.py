"""The best NumPy written by hand for a few equations: what generated code is measured against.

Each ``*_vjp`` is a plain function of the inputs and the cotangent: it recomputes what it needs and
returns the cotangents of all real inputs. Arrays are updated in place and buffers are reused. Where
working through blocks of rows pays, a ``*_blocked`` variant stands beside the whole-array one.
"""

from __future__ import annotations

from types import EllipsisType

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Tap = tuple[EllipsisType | slice, ...]
ROWS = 32  # rows of a block: a thousand columns of float64 then fit the second-level cache
ATTENTION_ROWS = 128
STRIP = 8  # output rows of one strip of a convolution


def _shifted_exp(z: Array) -> Array:
    """A new array exp(z - max z) along the last axis."""
    e: Array = z - z.max(-1, keepdims=True)
    return np.exp(e, out=e)


def _T(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


# --- softmax ----------------------------------------------------------------------------------------------------------
def softmax(z: Array) -> Array:
    """z[..., C] -> p[..., C]."""
    p = _shifted_exp(z)
    p *= 1 / p.sum(-1, keepdims=True)  # one division a row, not one an element
    return p


def softmax_vjp(z: Array, cotangent: Array) -> dict[str, Array]:
    """The cotangent of z[..., C]."""
    p = softmax(z)
    z_bar = cotangent - np.vecdot(p, cotangent)[..., None]
    z_bar *= p
    return {"z": z_bar}


def softmax_blocked(z: Array) -> Array:
    """z[N, C] -> p[N, C], some rows at a time."""
    p = np.empty_like(z)
    for start in range(0, len(z), ROWS):
        rows = slice(start, start + ROWS)
        block = np.subtract(z[rows], z[rows].max(-1, keepdims=True), out=p[rows])
        np.exp(block, out=block)
        block *= 1 / block.sum(-1, keepdims=True)
    return p


def softmax_vjp_blocked(z: Array, cotangent: Array) -> dict[str, Array]:
    """The cotangent of z[N, C], some rows at a time."""
    z_bar, buffer = np.empty_like(z), np.empty((ROWS, z.shape[1]))
    for start in range(0, len(z), ROWS):
        rows = slice(start, start + ROWS)
        p = buffer[: len(z[rows])]
        np.subtract(z[rows], z[rows].max(-1, keepdims=True), out=p)
        np.exp(p, out=p)
        p *= 1 / p.sum(-1, keepdims=True)
        block = np.subtract(cotangent[rows], np.vecdot(p, cotangent[rows])[:, None], out=z_bar[rows])
        block *= p
    return {"z": z_bar}


# --- cross-entropy ----------------------------------------------------------------------------------------------------
def cross_entropy_with_logits(x: Array, y: Labels) -> Array:
    """x[N, C], labels y[N] -> L[N]."""
    shift = x.max(-1)
    e: Array = x - shift[:, None]
    loss: Array = np.log(np.exp(e, out=e).sum(-1))
    loss += shift
    loss -= x[np.arange(len(x)), y]
    return loss


def cross_entropy_with_logits_vjp(x: Array, y: Labels, cotangent: Array) -> dict[str, Array]:
    """The cotangent of x[N, C]."""
    x_bar = _shifted_exp(x)
    x_bar *= (cotangent / x_bar.sum(-1))[:, None]
    x_bar[np.arange(len(x)), y] -= cotangent
    return {"x": x_bar}


# --- batch norm -------------------------------------------------------------------------------------------------------
def _column_mean(x: Array) -> Array:
    """The mean of each column, as a product with a constant vector: faster than a sum along axis 0."""
    return np.full(len(x), 1 / len(x)) @ x


def batch_norm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    """x[m, n] -> y[m, n], each column normalised."""
    y = x - _column_mean(x)
    variance = np.einsum("ij,ij->j", y, y)
    variance /= len(x)
    y *= gamma / np.sqrt(variance + eps)
    y += beta
    return y


def batch_norm_vjp(
    x: Array, gamma: Array, beta: Array, eps: float = 1e-5, *, cotangent: Array
) -> dict[str, Array | float]:
    """The cotangents of x[m, n], gamma[n], beta[n] and eps, in one array of the size of x."""
    m = len(x)
    x_bar = x - _column_mean(x)
    scale = 1 / np.sqrt(np.einsum("ij,ij->j", x_bar, x_bar) / m + eps)
    beta_bar = cotangent.sum(0)
    inner = np.einsum("ij,ij->j", cotangent, x_bar)
    eps_bar = -0.5 * float(np.sum(gamma * inner * scale**3))
    x_bar *= -(scale**2) * inner / m
    x_bar += cotangent
    x_bar -= beta_bar / m
    x_bar *= gamma * scale
    return {"x": x_bar, "gamma": inner * scale, "beta": beta_bar, "eps": eps_bar}


# --- attention --------------------------------------------------------------------------------------------------------
def attention(Q: Array, K: Array, V: Array) -> Array:
    """Q[..., n, d_k], K[..., m, d_k], V[..., m, d_v] -> O[..., n, d_v].

    The scale goes into Q and the normalisation into O: both are smaller than the scores.
    """
    e = (Q * Q.shape[-1] ** -0.5) @ _T(K)
    e -= e.max(-1, keepdims=True)
    np.exp(e, out=e)
    total = e.sum(-1, keepdims=True)
    out: Array = e @ V
    out /= total
    return out


def attention_vjp(Q: Array, K: Array, V: Array, cotangent: Array) -> dict[str, Array]:
    """The cotangents of Q, K and V, in two arrays of the size of the scores."""
    scale = Q.shape[-1] ** -0.5
    q = Q * scale
    e = q @ _T(K)
    e -= e.max(-1, keepdims=True)
    np.exp(e, out=e)
    inverse = 1 / e.sum(-1, keepdims=True)
    weighted = cotangent * inverse
    V_bar = _T(e) @ weighted
    s_bar = weighted @ _T(V)
    s_bar -= np.vecdot(e, s_bar)[..., None] * inverse
    s_bar *= e
    Q_bar = s_bar @ K
    Q_bar *= scale
    return {"Q": Q_bar, "K": _T(s_bar) @ q, "V": V_bar}


def attention_blocked(Q: Array, K: Array, V: Array) -> Array:
    """Q[n, d_k], K[m, d_k], V[m, d_v] -> O[n, d_v], some queries at a time."""
    q, out = Q * Q.shape[-1] ** -0.5, np.empty((len(Q), V.shape[1]))
    buffer = np.empty((ATTENTION_ROWS, len(K)))
    for start in range(0, len(Q), ATTENTION_ROWS):
        rows = slice(start, start + ATTENTION_ROWS)
        e = np.matmul(q[rows], K.T, out=buffer[: len(q[rows])])
        e -= e.max(-1, keepdims=True)
        np.exp(e, out=e)
        block = np.matmul(e, V, out=out[rows])
        block /= e.sum(-1, keepdims=True)
    return out


def attention_vjp_blocked(Q: Array, K: Array, V: Array, cotangent: Array) -> dict[str, Array]:
    """The cotangents of Q[n, d_k], K[m, d_k], V[m, d_v], some queries at a time."""
    scale = Q.shape[-1] ** -0.5
    q = Q * scale
    Q_bar, K_bar, V_bar = np.empty_like(Q), np.zeros_like(K), np.zeros_like(V)
    buffers = np.empty((2, ATTENTION_ROWS, len(K)))
    for start in range(0, len(Q), ATTENTION_ROWS):
        rows = slice(start, start + ATTENTION_ROWS)
        e, s_bar = buffers[:, : len(q[rows])]
        np.matmul(q[rows], K.T, out=e)
        e -= e.max(-1, keepdims=True)
        np.exp(e, out=e)
        inverse = 1 / e.sum(-1, keepdims=True)
        weighted = cotangent[rows] * inverse
        V_bar += e.T @ weighted
        np.matmul(weighted, V.T, out=s_bar)
        s_bar -= np.vecdot(e, s_bar)[:, None] * inverse
        s_bar *= e
        np.matmul(s_bar, K, out=Q_bar[rows])
        K_bar += s_bar.T @ q[rows]
    Q_bar *= scale
    return {"Q": Q_bar, "K": K_bar, "V": V_bar}


# --- LSTM cell --------------------------------------------------------------------------------------------------------
GATES = ("i", "f", "o", "c")


def _sigmoid(a: Array) -> Array:
    """The sigmoid in place, by the hyperbolic tangent: no overflow, and faster than exp and a division."""
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5
    return a


def _gates(x: Array, h_prev: Array, weights: dict[str, Array]) -> list[Array]:
    gates, buffer = [], np.empty_like(h_prev)
    for gate in GATES:
        a = x @ weights[f"W_x{gate}"].T
        a += np.matmul(h_prev, weights[f"W_h{gate}"].T, out=buffer)
        a += weights[f"b_{gate}"]
        gates.append(np.tanh(a, out=a) if gate == "c" else _sigmoid(a))
    return gates


def lstm_cell(x: Array, h_prev: Array, c_prev: Array, **weights: Array) -> tuple[Array, Array]:
    """x[B, n], h_prev[B, m], c_prev[B, m] and the weights -> h[B, m], c[B, m]."""
    i, c, h, candidate = _gates(x, h_prev, weights)
    c *= c_prev
    i *= candidate
    c += i
    h *= np.tanh(c, out=candidate)
    return h, c


def lstm_cell_vjp(
    x: Array, h_prev: Array, c_prev: Array, *, cotangent: tuple[Array, Array], **weights: Array
) -> dict[str, Array]:
    """The cotangents of all fifteen inputs; those of the weights are summed over the batch."""
    h_bar, c_out_bar = cotangent
    i, f, o, t = _gates(x, h_prev, weights)
    tanh_c = f * c_prev
    tanh_c += i * t
    np.tanh(tanh_c, out=tanh_c)
    c_bar = tanh_c * tanh_c
    np.subtract(1, c_bar, out=c_bar)
    c_bar *= o
    c_bar *= h_bar
    c_bar += c_out_bar
    c_prev_bar = c_bar * f
    o_bar = _sigmoid_slope(o)
    o_bar *= tanh_c
    o_bar *= h_bar
    f_bar = _sigmoid_slope(f)
    f_bar *= c_prev
    f_bar *= c_bar
    i_bar = np.subtract(1, i, out=tanh_c)
    i_bar *= i
    i_bar *= t
    i_bar *= c_bar
    t *= t
    t_bar = np.subtract(1, t, out=t)
    t_bar *= i
    t_bar *= c_bar
    bars = dict(zip(GATES, (i_bar, f_bar, o_bar, t_bar), strict=True))
    return {"c_prev": c_prev_bar} | _through_weights(x, h_prev, weights, bars)


def _sigmoid_slope(s: Array) -> Array:
    """A new array s*(1 - s)."""
    slope: Array = 1 - s
    slope *= s
    return slope


def _through_weights(x: Array, h_prev: Array, weights: dict[str, Array], bars: dict[str, Array]) -> dict[str, Array]:
    """The cotangents of x, h_prev and all weights from those of the four affine maps."""
    x_bar, h_bar = np.zeros_like(x), np.zeros_like(h_prev)
    x_buffer, h_buffer = np.empty_like(x), np.empty_like(h_prev)
    result = {"x": x_bar, "h_prev": h_bar}
    for gate, bar in bars.items():
        x_bar += np.matmul(bar, weights[f"W_x{gate}"], out=x_buffer)
        h_bar += np.matmul(bar, weights[f"W_h{gate}"], out=h_buffer)
        result |= {f"W_x{gate}": bar.T @ x, f"W_h{gate}": bar.T @ h_prev, f"b_{gate}": bar.sum(0)}
    return result


# --- convolution ------------------------------------------------------------------------------------------------------
def _padded(x: Array, p: int) -> Array:
    if p == 0:
        return x
    height, width = x.shape[-2:]
    padded = np.zeros((*x.shape[:-2], height + 2 * p, width + 2 * p))
    padded[..., p : p + height, p : p + width] = x
    return padded


def _windows(x: Array, K: Array, s: int, p: int) -> Array:
    """A view [N, C, r, q, height, width] of the padded input: what each tap of the kernel reads."""
    view = sliding_window_view(_padded(x, p), K.shape[-2:], axis=(-2, -1))
    return np.moveaxis(view[..., ::s, ::s, :, :], (-2, -1), (-4, -3))


def conv2d(x: Array, K: Array, b: Array, s: int = 1, p: int = 0) -> Array:
    """x[..., C_in, H, W], K[C_out, C_in, r, q], b[C_out] -> y: one column buffer for all samples."""
    windows = _windows(x.reshape(-1, *x.shape[-3:]), K, s, p)
    samples, height, width = len(windows), *windows.shape[-2:]
    columns, y = np.empty(windows.shape[1:]), np.empty((samples, len(K), height * width))
    for sample in range(samples):
        columns[...] = windows[sample]
        np.matmul(K.reshape(len(K), -1), columns.reshape(-1, height * width), out=y[sample])
    y += b[:, None]
    return y.reshape(*x.shape[:-3], len(K), height, width)


def conv2d_blocked(x: Array, K: Array, b: Array, s: int = 1, p: int = 0) -> Array:
    """The same with columns for a few rows of the output at a time."""
    windows = _windows(x.reshape(-1, *x.shape[-3:]), K, s, p)
    samples, height, width = len(windows), *windows.shape[-2:]
    taps = K[0].size
    buffer, y = np.empty(taps * STRIP * width), np.empty((samples, len(K), height * width))
    for sample in range(samples):
        for start in range(0, height, STRIP):
            rows = min(STRIP, height - start)
            columns = buffer[: taps * rows * width].reshape(taps, rows * width)
            columns.reshape(*K.shape[1:], rows, width)[...] = windows[sample, ..., start : start + rows, :]
            np.matmul(K.reshape(len(K), -1), columns, out=y[sample, :, start * width : (start + rows) * width])
    y += b[:, None]
    return y.reshape(*x.shape[:-3], len(K), height, width)


def conv2d_vjp(x: Array, K: Array, b: Array, s: int = 1, p: int = 0, *, cotangent: Array) -> dict[str, Array]:
    """The cotangents of x, K and b; the column buffer serves the kernel first and the input then."""
    samples = x.reshape(-1, *x.shape[-3:])
    y_bar = cotangent.reshape(-1, len(K), cotangent.shape[-2] * cotangent.shape[-1])
    through = _conv2d_rows if s == 1 else _conv2d_taps
    x_bar, K_bar = through(samples, K, s, p, y_bar, cotangent.shape[-2:])
    return {"x": x_bar.reshape(x.shape), "K": K_bar, "b": y_bar.sum((0, 2))}


def _conv2d_taps(x: Array, K: Array, s: int, p: int, y_bar: Array, size: tuple[int, ...]) -> tuple[Array, Array]:
    """Any stride: all taps side by side in the column buffer."""
    (height, width), (H, W) = size, x.shape[-2:]
    columns = np.empty((*K.shape[1:], height, width))
    flat = columns.reshape(-1, height * width)
    kernel, K_bar = K.reshape(len(K), -1), np.zeros((len(K), flat.shape[0]))
    windows, x_bar, padded = _windows(x, K, s, p), np.empty_like(x), np.empty((len(K[0]), H + 2 * p, W + 2 * p))
    for sample in range(len(x)):
        columns[...] = windows[sample]
        K_bar += y_bar[sample] @ flat.T
        np.matmul(kernel.T, y_bar[sample], out=flat)
        padded[...] = 0
        for u, v in np.ndindex(*K.shape[2:]):
            padded[:, u : u + s * height : s, v : v + s * width : s] += columns[:, u, v]
        x_bar[sample] = padded[:, p : p + H, p : p + W]
    return x_bar, K_bar.reshape(K.shape)


def _conv2d_rows(x: Array, K: Array, s: int, p: int, y_bar: Array, size: tuple[int, ...]) -> tuple[Array, Array]:
    """Stride 1: copies for the q horizontal taps only; a vertical tap is an offset into them."""
    (C, r, q), (height, width), (H, W) = K.shape[1:], size, x.shape[-2:]
    columns = np.empty((q, C, H + 2 * p, width))
    flat, length = columns.reshape(q * C, -1), height * width
    kernel, K_bar = K.transpose(2, 3, 1, 0).reshape(r, q * C, len(K)), np.zeros((r, len(K), q * C))
    padded, product, x_bar = np.zeros((C, H + 2 * p, W + 2 * p)), np.empty((q * C, length)), np.empty_like(x)
    for sample, grad in enumerate(y_bar):
        padded[...] = 0
        padded[:, p : p + H, p : p + W] = x[sample]
        for v in range(q):
            columns[v] = padded[:, :, v : v + width]
        for u in range(r):
            K_bar[u] += grad @ flat[:, u * width : u * width + length].T
        np.matmul(kernel[0], grad, out=flat[:, :length])
        flat[:, length:] = 0
        for u in range(1, r):
            flat[:, u * width : u * width + length] += np.matmul(kernel[u], grad, out=product)
        padded[...] = 0
        for v in range(q):
            padded[:, :, v : v + width] += columns[v]
        x_bar[sample] = padded[:, p : p + H, p : p + W]
    return x_bar, K_bar.reshape(r, len(K), q, C).transpose(1, 3, 0, 2)


# --- max pooling ------------------------------------------------------------------------------------------------------
def _taps(size: int, k: int, s: int) -> list[slice]:
    """For each tap of a window of k, what it reads along an axis."""
    count = (size - k) // s + 1
    return [slice(tap, tap + s * (count - 1) + 1, s) for tap in range(k)]


def _pool_columns(image: Array, k: int, s: int) -> Array:
    first, *rest = _taps(image.shape[-1], k, s)
    out: Array = np.maximum(image[..., first], image[..., rest[0]]) if rest else image[..., first].copy()
    for tap in rest[1:]:
        np.maximum(out, image[..., tap], out=out)
    return out


def _pool_rows(image: Array, k: int, s: int) -> Array:
    first, *rest = _taps(image.shape[-2], k, s)
    out: Array = np.maximum(image[..., first, :], image[..., rest[0], :]) if rest else image[..., first, :].copy()
    for tap in rest[1:]:
        np.maximum(out, image[..., tap, :], out=out)
    return out


def max_pool2d(I: Array, k: int = 2, s: int = 2) -> Array:  # noqa: E741
    """I[..., H, W] -> O: along one axis after the other, 2k passes for k*k taps."""
    return _pool_rows(_pool_columns(I, k, s), k, s)


def _route(image: Array, pooled: Array, cotangent: Array, taps: list[Tap], overlap: bool) -> Array:
    """The cotangent to the first tap that holds the maximum; the last one takes what nobody took."""
    routed, free, hit = np.zeros_like(image), np.ones(pooled.shape, bool), np.empty(pooled.shape, bool)
    product = np.empty_like(pooled) if overlap else pooled
    for tap in taps[:-1]:
        np.equal(image[tap], pooled, out=hit)
        hit &= free
        free ^= hit
        _add(routed[tap], cotangent, hit, product, overlap)
    _add(routed[taps[-1]], cotangent, free, product, overlap)
    return routed


def _add(target: Array, cotangent: Array, where: NDArray[np.bool_], product: Array, overlap: bool) -> None:
    if overlap:
        target += np.multiply(cotangent, where, out=product)
    else:  # every element is read once: write it
        np.multiply(cotangent, where, out=target)


def max_pool2d_vjp(I: Array, k: int = 2, s: int = 2, *, cotangent: Array) -> dict[str, Array]:  # noqa: E741
    """The cotangent of I[..., H, W]; of equal values the first in reading order takes it."""
    rows, columns = _taps(I.shape[-2], k, s), _taps(I.shape[-1], k, s)
    if s >= k:
        return {"I": _route(I, max_pool2d(I, k, s), cotangent, [(..., u, v) for u in rows for v in columns], False)}
    across = _pool_columns(I, k, s)
    across_bar = _route(across, _pool_rows(across, k, s), cotangent, [(..., u, slice(None)) for u in rows], True)
    return {"I": _route(I, across, across_bar, [(..., v) for v in columns], True)}
