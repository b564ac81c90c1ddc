"""Oracles of recurrent cells, attention and what surrounds them in a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import F, Oracle, jax, jnp, on_tensors, special, torch

LSTM_WEIGHTS = tuple(n for g in "ifoc" for n in (f"W_x{g}", f"W_h{g}", f"b_{g}"))
GRU_WEIGHTS = tuple(n for g in "zrh" for n in (f"W_x{g}", f"W_h{g}", f"b_{g}"))
ATTENTION = {"Q": ": n d_k", "K": ": m d_k", "V": ": m d_v"}
HEAD = {"Q": ": n d", "K": ": m d", "V": ": m d", "W_Q": ": d d_k", "W_K": ": d d_k", "W_V": ": d d_v"}
HEADS = HEAD | {"W_Q": ": h d d_k", "W_K": ": h d d_k", "W_V": ": h d d_v", "W_O": ": h*d_v d"}
RECURRENT = {"W_ih": ": m n", "W_hh": ": m m", "b_ih": ": m", "b_hh": ": m"}


def attention(Q: Any, K: Any, V: Any) -> Any:
    return jax.nn.softmax(Q @ K.T / jnp.sqrt(Q.shape[-1]), axis=-1) @ V


def torch_heads(Q: Any, K: Any, V: Any, W_Q: Any, W_K: Any, W_V: Any, W_O: Any) -> Any:
    """PyTorch's module where its layout allows (h*d_k = h*d_v = d), else its attention head by head."""
    heads, d, d_k = W_Q.shape
    if heads * d_k != d or W_V.shape != W_Q.shape:
        each = [F.scaled_dot_product_attention(Q @ W_Q[i], K @ W_K[i], V @ W_V[i]) for i in range(heads)]
        return torch.cat(each, -1) @ W_O
    module = torch.nn.MultiheadAttention(d, heads, bias=False, batch_first=True)
    packed = torch.cat([W.transpose(1, 2).reshape(d, d) for W in (W_Q, W_K, W_V)])
    with torch.no_grad():
        module.in_proj_weight.copy_(packed)
        module.out_proj.weight.copy_(W_O.T)
        return module(Q[None], K[None], V[None], need_weights=False)[0][0]


def heads(Q: Any, K: Any, V: Any, W_Q: Any, W_K: Any, W_V: Any, W_O: Any) -> Any:
    each = jax.vmap(lambda q, k, v: attention(Q @ q, K @ k, V @ v))(W_Q, W_K, W_V)
    return jnp.moveaxis(each, 0, 1).reshape(Q.shape[0], -1) @ W_O


def gate(name: str, letter: str, function: Any, model: Any) -> Oracle:
    names = ("x", "h_prev", f"W_x{letter}", f"W_h{letter}", f"b_{letter}")

    def implementation(**a: Any) -> Any:
        x, h, W, U, b = (a[n] for n in names)
        return function(F.linear(x, W, b) + F.linear(h, U))

    def in_jax(**a: Any) -> Any:
        x, h, W, U, b = (a[n] for n in names)
        return model(W @ x + U @ h + b)

    return Oracle(
        id=name,
        by="torch.nn.functional.linear",
        arguments=dict(zip(names, (": n", ": m", ": m n", ": m m", ": m"), strict=True)),
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(names[:2],),
        implementation=on_tensors(implementation),
        model=in_jax,
    )


def torch_lstm_cell(x: Any, h_prev: Any, c_prev: Any, **weights: Any) -> Any:
    cell = torch.nn.LSTMCell(x.shape[-1], h_prev.shape[-1])
    with torch.no_grad():  # PyTorch orders the gates i, f, candidate, o
        cell.weight_ih.copy_(torch.cat([weights[f"W_x{g}"] for g in "ifco"]))
        cell.weight_hh.copy_(torch.cat([weights[f"W_h{g}"] for g in "ifco"]))
        cell.bias_ih.copy_(torch.cat([weights[f"b_{g}"] for g in "ifco"]))
        cell.bias_hh.zero_()
        return cell(x, (h_prev, c_prev))


def lstm_cell(x: Any, h_prev: Any, c_prev: Any, **weights: Any) -> Any:
    z = {g: weights[f"W_x{g}"] @ x + weights[f"W_h{g}"] @ h_prev + weights[f"b_{g}"] for g in "ifoc"}
    c = jax.nn.sigmoid(z["f"]) * c_prev + jax.nn.sigmoid(z["i"]) * jnp.tanh(z["c"])
    return jax.nn.sigmoid(z["o"]) * jnp.tanh(c), c


def torch_gru_cell(x: Any, h_prev: Any, **weights: Any) -> Any:
    cell = torch.nn.GRUCell(x.shape[-1], h_prev.shape[-1])
    with torch.no_grad():  # PyTorch orders the gates r, z, candidate
        cell.weight_ih.copy_(torch.cat([weights[f"W_x{g}"] for g in "rzh"]))
        cell.weight_hh.copy_(torch.cat([weights[f"W_h{g}"] for g in "rzh"]))
        cell.bias_ih.copy_(torch.cat([weights[f"b_{g}"] for g in "rzh"]))
        cell.bias_hh.zero_()
        return cell(x, h_prev)


def gru_cell(x: Any, h_prev: Any, **w: Any) -> Any:
    z, r = (jax.nn.sigmoid(w[f"W_x{g}"] @ x + w[f"W_h{g}"] @ h_prev + w[f"b_{g}"]) for g in "zr")
    return z * h_prev + (1 - z) * jnp.tanh(w["W_xh"] @ x + r * (w["W_hh"] @ h_prev) + w["b_h"])


def torch_gru_cell_reset_before(x: Any, h_prev: Any, **w: Any) -> Any:
    """PyTorch's simple recurrent cell is the candidate: it is given what the reset gate leaves of the state."""
    z, r = (torch.sigmoid(F.linear(x, w[f"W_x{g}"], w[f"b_{g}"]) + F.linear(h_prev, w[f"W_h{g}"])) for g in "zr")
    cell = torch.nn.RNNCell(x.shape[-1], h_prev.shape[-1])
    with torch.no_grad():
        cell.weight_ih.copy_(w["W_xh"])
        cell.weight_hh.copy_(w["W_hh"])
        cell.bias_ih.copy_(w["b_h"])
        cell.bias_hh.zero_()
        return torch.lerp(cell(x, r * h_prev), h_prev, z)


def gru_cell_reset_before(x: Any, h_prev: Any, **w: Any) -> Any:
    z, r = (jax.nn.sigmoid(w[f"W_x{g}"] @ x + w[f"W_h{g}"] @ h_prev + w[f"b_{g}"]) for g in "zr")
    return z * h_prev + (1 - z) * jnp.tanh(w["W_xh"] @ x + w["W_hh"] @ (r * h_prev) + w["b_h"])


def torch_positional_encoding(position: Any, d: int) -> Any:
    rate = torch.exp(torch.arange(0, d, 2) * (-np.log(10000.0) / d))
    encoding = torch.empty(d)
    encoding[0::2], encoding[1::2] = torch.sin(position * rate), torch.cos(position * rate)
    return encoding


def positional_encoding(position: Any, d: int) -> Any:
    angle = position / 10000.0 ** (jnp.arange(0, d, 2) / d)
    return jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1).reshape(d)


def torch_rnn_cell(x: Any, h_prev: Any, **weights: Any) -> Any:
    cell = torch.nn.RNNCell(x.shape[-1], h_prev.shape[-1])
    cell.load_state_dict({_torch_name(name): value for name, value in weights.items()})
    return cell(x, h_prev).detach()


def torch_rnn(x: Any, h_0: Any, **weights: Any) -> Any:
    layer = torch.nn.RNN(x.shape[-1], h_0.shape[-1])
    layer.load_state_dict({f"{_torch_name(name)}_l0": value for name, value in weights.items()})
    return layer(x, h_0[None])[0].detach()


def _torch_name(name: str) -> str:
    return name.replace("W_", "weight_").replace("b_", "bias_")


def rnn(x: Any, h_0: Any, W_ih: Any, W_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = jnp.tanh(W_ih @ row + W_hh @ h + b_ih + b_hh)
        return h, h

    return jax.lax.scan(step, jnp.asarray(h_0), jnp.asarray(x))[1]


ORACLES = (
    gate("lstm_input_gate", "i", torch.sigmoid, jax.nn.sigmoid),
    gate("lstm_forget_gate", "f", torch.sigmoid, jax.nn.sigmoid),
    gate("lstm_output_gate", "o", torch.sigmoid, jax.nn.sigmoid),
    gate("lstm_cell_candidate", "c", torch.tanh, jnp.tanh),
    Oracle(
        id="lstm_cell_state",
        by="torch, elementwise",
        arguments={"f": "unit: m", "i": "unit: m", "c_prev": ": m", "c_tilde": ": m"},
        sizes=({"m": 4}, {"m": 1}),
        batches=(("f", "i", "c_prev", "c_tilde"), ("c_prev",)),
        implementation=on_tensors(lambda f, i, c_prev, c_tilde: torch.addcmul(f * c_prev, i, c_tilde)),
        model=lambda f, i, c_prev, c_tilde: f * c_prev + i * c_tilde,
    ),
    Oracle(
        id="lstm_cell",
        by="torch.nn.LSTMCell",
        arguments={"x": ": n", "h_prev": ": m", "c_prev": ": m"}
        | {n: ": m" if n[0] == "b" else ": m n" if n[2] == "x" else ": m m" for n in LSTM_WEIGHTS},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(("x", "h_prev", "c_prev"),),
        implementation=on_tensors(torch_lstm_cell),
        model=lstm_cell,
    ),
    Oracle(
        id="scaled_dot_product_attention",
        by="torch.nn.functional.scaled_dot_product_attention",
        arguments=ATTENTION,
        sizes=({"n": 3, "m": 5, "d_k": 2, "d_v": 4}, {"n": 1, "m": 3, "d_k": 4, "d_v": 1}),
        batches=(("Q", "K", "V"), ("Q",), ("K", "V")),
        implementation=on_tensors(lambda Q, K, V: F.scaled_dot_product_attention(Q, K, V)),
        model=attention,
    ),
    Oracle(
        id="attention_head",
        by="torch.nn.functional.scaled_dot_product_attention",
        arguments=HEAD,
        sizes=({"n": 3, "m": 4, "d": 5, "d_k": 2, "d_v": 6}, {"n": 2, "m": 1, "d": 3, "d_k": 1, "d_v": 2}),
        batches=(("Q", "K", "V"),),
        implementation=on_tensors(
            lambda Q, K, V, W_Q, W_K, W_V: F.scaled_dot_product_attention(Q @ W_Q, K @ W_K, V @ W_V)
        ),
        model=lambda Q, K, V, W_Q, W_K, W_V: attention(Q @ W_Q, K @ W_K, V @ W_V),
    ),
    Oracle(
        id="multi_head_attention",
        by="torch.nn.MultiheadAttention, or scaled_dot_product_attention by heads where the layout differs",
        arguments=HEADS,
        sizes=(
            {"n": 3, "m": 5, "d": 6, "h": 2, "d_k": 3, "d_v": 3},
            {"n": 2, "m": 3, "d": 5, "h": 3, "d_k": 2, "d_v": 4},
            {"n": 2, "m": 3, "d": 4, "h": 1, "d_k": 2, "d_v": 1},
        ),
        batches=(("Q", "K", "V"),),
        implementation=on_tensors(torch_heads),
        model=heads,
    ),
    Oracle(
        id="positional_encoding",
        by="torch, exponential of the logarithm",
        arguments={"position": "positive:"},
        sizes=({"d": 6}, {"d": 2}),
        free_sizes=("d",),
        batches=(("position",),),
        implementation=on_tensors(torch_positional_encoding),
        model=positional_encoding,
    ),
    Oracle(
        id="embedding",
        by="torch.nn.functional.embedding",
        arguments={"W": ": V d", "i": "label V:"},
        sizes=({"V": 5, "d": 3}, {"V": 1, "d": 2}),
        batches=(("i",), ("W", "i")),
        implementation=on_tensors(lambda W, i: F.embedding(torch.as_tensor(i), W)),
        model=lambda W, i: W[i],
    ),
    Oracle(
        id="feed_forward",
        by="torch.nn.functional.linear, relu",
        arguments={"x": ": n d", "W_1": ": d f", "b_1": ": f", "W_2": ": f d", "b_2": ": d"},
        sizes=({"n": 3, "d": 4, "f": 5}, {"n": 1, "d": 2, "f": 1}),
        batches=(("x",),),
        implementation=on_tensors(lambda x, W_1, b_1, W_2, b_2: F.linear(F.relu(F.linear(x, W_1.T, b_1)), W_2.T, b_2)),
        model=lambda x, W_1, b_1, W_2, b_2: jax.nn.relu(x @ W_1 + b_1) @ W_2 + b_2,
    ),
    gate("gru_update_gate", "z", torch.sigmoid, jax.nn.sigmoid),
    gate("gru_reset_gate", "r", torch.sigmoid, jax.nn.sigmoid),
    Oracle(
        id="gru_candidate",
        by="torch.nn.functional.linear",
        arguments={"x": ": n", "h_prev": ": m", "r": "unit: m", "W_xh": ": m n", "W_hh": ": m m", "b_h": ": m"},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(("x", "h_prev", "r"),),
        implementation=on_tensors(
            lambda x, h_prev, r, W_xh, W_hh, b_h: torch.tanh(F.linear(x, W_xh, b_h) + r * F.linear(h_prev, W_hh))
        ),
        model=lambda x, h_prev, r, W_xh, W_hh, b_h: jnp.tanh(W_xh @ x + r * (W_hh @ h_prev) + b_h),
    ),
    Oracle(
        id="gru_candidate_reset_before",
        by="torch.nn.functional.linear",
        arguments={"x": ": n", "h_prev": ": m", "r": "unit: m", "W_xh": ": m n", "W_hh": ": m m", "b_h": ": m"},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(("x", "h_prev", "r"),),
        implementation=on_tensors(
            lambda x, h_prev, r, W_xh, W_hh, b_h: torch.tanh(F.linear(x, W_xh, b_h) + F.linear(r * h_prev, W_hh))
        ),
        model=lambda x, h_prev, r, W_xh, W_hh, b_h: jnp.tanh(W_xh @ x + W_hh @ (r * h_prev) + b_h),
    ),
    Oracle(
        id="gru_hidden_state",
        by="torch.lerp",
        arguments={"z": "unit: m", "h_prev": ": m", "h_tilde": ": m"},
        sizes=({"m": 4}, {"m": 1}),
        batches=(("z", "h_prev", "h_tilde"), ("h_prev",)),
        implementation=on_tensors(lambda z, h_prev, h_tilde: torch.lerp(h_tilde, h_prev, z)),
        model=lambda z, h_prev, h_tilde: z * h_prev + (1 - z) * h_tilde,
    ),
    Oracle(
        id="gru_cell",
        by="torch.nn.GRUCell",
        arguments={"x": ": n", "h_prev": ": m"}
        | {n: ": m" if n[0] == "b" else ": m n" if n[2] == "x" else ": m m" for n in GRU_WEIGHTS},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(("x", "h_prev"),),
        implementation=on_tensors(torch_gru_cell),
        model=gru_cell,
    ),
    Oracle(
        id="gru_cell_reset_before",
        by="torch.nn.RNNCell on the reset state",
        arguments={"x": ": n", "h_prev": ": m"}
        | {n: ": m" if n[0] == "b" else ": m n" if n[2] == "x" else ": m m" for n in GRU_WEIGHTS},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(("x", "h_prev"),),
        implementation=on_tensors(torch_gru_cell_reset_before),
        model=gru_cell_reset_before,
    ),
    Oracle(
        id="rnn_cell",
        by="torch.nn.RNNCell",
        arguments={"x": ": n", "h_prev": ": m"} | RECURRENT,
        sizes=({"n": 3, "m": 2}, {"n": 1, "m": 1}),
        batches=(("x", "h_prev"),),
        implementation=on_tensors(torch_rnn_cell),
        model=lambda x, h_prev, W_ih, W_hh, b_ih, b_hh: jnp.tanh(W_ih @ x + b_ih + W_hh @ h_prev + b_hh),
    ),
    Oracle(
        id="rnn",
        by="torch.nn.RNN",
        arguments={"x": ": T n", "h_0": ": m"} | RECURRENT,
        sizes=({"T": 3, "n": 2, "m": 2}, {"T": 1, "n": 2, "m": 1}),
        batches=(("x", "h_0"),),
        implementation=on_tensors(torch_rnn),
        model=rnn,
    ),
    Oracle(
        id="rnn_output",
        by="torch.nn.functional.linear",
        arguments={"h": ": m", "W_hy": ": o m", "b_y": ": o"},
        sizes=({"m": 3, "o": 2}, {"m": 1, "o": 1}),
        batches=(("h",),),
        implementation=on_tensors(lambda h, W_hy, b_y: F.linear(h, W_hy, b_y)),
        model=lambda h, W_hy, b_y: W_hy @ h + b_y,
    ),
    Oracle(
        id="attention_score",
        by="torch.inner",
        arguments={"h": ": d", "s": ": d"},
        sizes=({"d": 4}, {"d": 1}),
        batches=(("h",), ("h", "s")),
        implementation=on_tensors(lambda h, s: torch.inner(h, s)),
        model=lambda h, s: jnp.sum(h * s),
    ),
    Oracle(
        id="attention_weights",
        by="scipy.special.softmax",
        arguments={"e": ": S"},
        sizes=({"S": 4}, {"S": 1}),
        batches=(("e",),),
        special_inputs=({"e": [1000.0, 1001.0, -1000.0]},),
        implementation=lambda e: special.softmax(e),
        model=lambda e: jax.nn.softmax(e),
    ),
    Oracle(
        id="context_vector",
        by="torch.mv",
        arguments={"alpha": "simplex: S", "v": ": S d"},
        sizes=({"S": 3, "d": 2}, {"S": 1, "d": 2}),
        batches=(("alpha",), ("alpha", "v")),
        implementation=on_tensors(lambda alpha, v: torch.mv(v.T, alpha)),
        model=lambda alpha, v: jnp.sum(alpha[:, None] * v, 0),
    ),
)
