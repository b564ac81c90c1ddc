"""What the oracle script knows of each equation: its arguments, an implementation, a model to differentiate.

``implementation`` computes the outputs with a framework's own function; ``model`` is JAX code for the
same equation, which ``make.py`` differentiates. The two are compared whenever values are made.
Nothing here is derived from the catalogue or imports the package under test.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")
torch: Any = importlib.import_module("torch")
F: Any = importlib.import_module("torch.nn.functional")
integrate: Any = importlib.import_module("scipy.integrate")
special: Any = importlib.import_module("scipy.special")
stats: Any = importlib.import_module("scipy.stats")
linear_model: Any = importlib.import_module("sklearn.linear_model")

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """One equation.

    ``arguments`` maps a name to ``"domain: sizes"`` (``"simplex: n"``, ``"label C:"``, ``": C_in H W"``).
    ``sizes`` are the sets of sizes tried; those in ``free_sizes`` are passed as integers. ``integers`` are sets
    of whole-number arguments. ``batches`` are sets of arguments with extra leading axes. ``special_inputs`` are
    inputs given in full: large numbers, ties, values off the domain.
    """

    id: str
    by: str
    arguments: dict[str, str]
    sizes: tuple[dict[str, int], ...] = ({},)
    integers: tuple[dict[str, int], ...] = ({},)
    free_sizes: tuple[str, ...] = ()
    batches: tuple[tuple[str, ...], ...] = ()
    special_inputs: tuple[dict[str, Any], ...] = ()
    implementation: Callable[..., Any]
    model: Callable[..., Any]
    rtol: float = 1e-9
    atol: float = 1e-11


def on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of tensors as one of arrays."""

    def wrapped(**inputs: Any) -> Any:
        return function(**{k: torch.as_tensor(v) if isinstance(v, np.ndarray) else v for k, v in inputs.items()})

    return wrapped


def elementwise(id_: str, by: str, function: Any, model: Any, extreme: list[float]) -> Oracle:
    return Oracle(
        id=id_,
        by=by,
        arguments={"z": ":"},
        batches=(("z",),),
        special_inputs=({"z": extreme},),
        implementation=on_tensors(lambda z: function(z)),
        model=lambda z: model(z),
    )


# --- attention and recurrent cells ------------------------------------------------------------------------------------
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


LSTM_WEIGHTS = tuple(n for g in "ifoc" for n in (f"W_x{g}", f"W_h{g}", f"b_{g}"))


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


# --- normalisation, convolution, optimiser ----------------------------------------------------------------------------
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


def torch_adam(theta: Any, m: Any, v: Any, g: Any, t: int, **rates: float) -> Any:
    parameter = torch.nn.Parameter(theta.clone())
    betas = (float(rates["beta_1"]), float(rates["beta_2"]))
    adam = torch.optim.Adam([parameter], lr=float(rates["eta"]), betas=betas, eps=float(rates["eps"]), foreach=False)
    adam.state[parameter] = {"step": torch.tensor(float(t - 1)), "exp_avg": m.clone(), "exp_avg_sq": v.clone()}
    parameter.grad = g
    adam.step()
    state = adam.state[parameter]
    return parameter.detach(), state["exp_avg"], state["exp_avg_sq"]


def adam(theta: Any, m: Any, v: Any, g: Any, t: int, beta_1: Any, beta_2: Any, eta: Any, eps: Any) -> Any:
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    step = m / (1 - beta_1**t) / (jnp.sqrt(v / (1 - beta_2**t)) + eps)
    return theta - eta * step, m, v


def torch_positional_encoding(position: Any, d: int) -> Any:
    rate = torch.exp(torch.arange(0, d, 2) * (-np.log(10000.0) / d))
    encoding = torch.empty(d)
    encoding[0::2], encoding[1::2] = torch.sin(position * rate), torch.cos(position * rate)
    return encoding


def positional_encoding(position: Any, d: int) -> Any:
    angle = position / 10000.0 ** (jnp.arange(0, d, 2) / d)
    return jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1).reshape(d)


def expected_sine(mu: Any, sigma: Any) -> Any:
    """By quadrature; the model is the closed form."""
    mu, sigma = float(mu), float(sigma)
    density = stats.norm.pdf
    return integrate.quad(lambda e: np.sin(mu + sigma * e) * density(e), -14, 14, epsabs=1e-14, limit=400)[0]


def least_squares(X: Any, y: Any) -> Any:
    return linear_model.LinearRegression(fit_intercept=False).fit(X, y).coef_


def torch_gan(p_data: Any, p_g: Any, D: Any) -> Any:
    real = F.binary_cross_entropy(D, torch.ones_like(D), weight=p_data, reduction="sum")
    return -real - F.binary_cross_entropy(D, torch.zeros_like(D), weight=p_g, reduction="sum")


def gan(p_data: Any, p_g: Any, D: Any) -> Any:
    return jnp.sum(p_data * jnp.log(D) + p_g * jnp.log1p(-D))


ATTENTION = {"Q": ": n d_k", "K": ": m d_k", "V": ": m d_v"}
HEAD = {"Q": ": n d", "K": ": m d", "V": ": m d", "W_Q": ": d d_k", "W_K": ": d d_k", "W_V": ": d d_v"}
HEADS = HEAD | {"W_Q": ": h d d_k", "W_K": ": h d d_k", "W_V": ": h d d_v", "W_O": ": h*d_v d"}
STRIDES = ({"s": 1, "p": 0}, {"s": 2, "p": 0}, {"s": 1, "p": 1}, {"s": 2, "p": 1}, {"s": 3, "p": 2})

ORACLES = (
    elementwise("sigmoid", "torch.sigmoid", torch.sigmoid, jax.nn.sigmoid, [-800.0, -40.0, 0.0, 40.0, 800.0]),
    elementwise("relu", "torch.relu", torch.relu, jax.nn.relu, [-2.0, 0.0, 3.0]),
    elementwise(
        "softplus", "torch.logaddexp", lambda z: torch.logaddexp(z, z * 0), jax.nn.softplus, [-800.0, 0.0, 800.0]
    ),
    *(
        Oracle(
            id=name,
            by="torch.nn.functional.softmax",
            arguments={"z": ": C"},
            sizes=({"C": 5}, {"C": 1}),
            batches=(("z",),),
            special_inputs=({"z": [1000.0, 1001.0, -1000.0, 999.5]},),
            implementation=on_tensors(lambda z: F.softmax(z, -1)),
            model=lambda z: jax.nn.softmax(z),
        )
        for name in ("softmax", "softmax_jacobian")
    ),
    Oracle(
        id="linear",
        by="torch.nn.functional.linear",
        arguments={"x": ": n", "W": ": m n", "b": ": m"},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}, {"n": 3, "m": 1}),
        batches=(("x",), ("x", "W", "b"), ("W",)),
        implementation=on_tensors(lambda x, W, b: F.linear(x, W, b)),
        model=lambda x, W, b: W @ x + b,
    ),
    Oracle(
        id="mean_squared_error",
        by="torch.nn.functional.mse_loss",
        arguments={"y": ": N", "yhat": ": N"},
        sizes=({"N": 5}, {"N": 1}),
        batches=(("y", "yhat"), ("yhat",)),
        implementation=on_tensors(lambda y, yhat: F.mse_loss(yhat, y)),
        model=lambda y, yhat: jnp.mean((y - yhat) ** 2),
    ),
    Oracle(
        id="binary_cross_entropy",
        by="torch.nn.functional.binary_cross_entropy",
        arguments={"y": "mask: N", "yhat": "unit: N"},
        sizes=({"N": 5}, {"N": 1}),
        batches=(("y", "yhat"), ("yhat",)),
        special_inputs=({"y": [0.25, 1.0, 0.6], "yhat": [0.3, 0.9, 0.05]},),
        implementation=on_tensors(lambda y, yhat: F.binary_cross_entropy(yhat, y)),
        model=lambda y, yhat: -jnp.mean(y * jnp.log(yhat) + (1 - y) * jnp.log1p(-yhat)),
    ),
    Oracle(
        id="cross_entropy_with_logits",
        by="torch.nn.functional.cross_entropy",
        arguments={"x": ": C", "y": "label C:"},
        sizes=({"C": 5}, {"C": 1}),
        batches=(("x", "y"), ("x",), ("y",)),
        special_inputs=({"x": [1000.0, -1000.0, 998.0], "y": 1}, {"x": [3.0, -1.0, 2.0], "y": 0}),
        implementation=on_tensors(lambda x, y: F.cross_entropy(x, torch.as_tensor(y))),
        model=lambda x, y: -jax.nn.log_softmax(x)[y],
    ),
    Oracle(
        id="softmax_cross_entropy_gradient",
        by="torch.nn.functional.cross_entropy",
        arguments={"z": ": C", "y": "one_hot: C"},
        sizes=({"C": 5}, {"C": 1}),
        batches=(("z", "y"), ("z",)),
        special_inputs=(
            {"z": [0.3, -1.0, 0.8], "y": [0.5, 0.9, -0.2]},
            {"z": [30.0, -5.0, 800.0], "y": [0.0, 1.0, 0.0]},
        ),
        implementation=on_tensors(lambda z, y: F.cross_entropy(z, y)),
        model=lambda z, y: -jnp.sum(y * jax.nn.log_softmax(z)),
    ),
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
        integers=STRIDES,
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
        id="adam",
        by="torch.optim.Adam",
        arguments=dict.fromkeys(("theta", "m"), ": P")
        | {
            "v": "positive: P",
            "g": ": P",
            "beta_1": "unit:",
            "beta_2": "unit:",
            "eta": "positive:",
            "eps": "positive:",
        },
        sizes=({"P": 4}, {"P": 1}),
        integers=({"t": 1}, {"t": 2}, {"t": 100}),
        batches=(("theta", "m", "v", "g"), ("theta",)),
        implementation=on_tensors(torch_adam),
        model=adam,
    ),
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
        id="kl_divergence",
        by="scipy.special.rel_entr",
        arguments={"P": "simplex: n", "Q": "simplex: n"},
        sizes=({"n": 5}, {"n": 1}),
        batches=(("P", "Q"), ("Q",)),
        special_inputs=({"P": [0.5, 1.5, 0.2], "Q": [2.0, 0.4, 0.9]},),
        implementation=lambda P, Q: special.rel_entr(P, Q).sum(),
        model=lambda P, Q: jnp.sum(P * jnp.log(P / Q)),
    ),
    Oracle(
        id="normal_pdf",
        by="scipy.stats.norm.pdf",
        arguments={"x": ":", "mu": ":", "sigma2": "positive:"},
        batches=(("x",), ("x", "mu", "sigma2")),
        implementation=lambda x, mu, sigma2: stats.norm.pdf(x, mu, np.sqrt(sigma2)),
        model=lambda x, mu, sigma2: jnp.exp(-((x - mu) ** 2) / (2 * sigma2)) / jnp.sqrt(2 * jnp.pi * sigma2),
    ),
    Oracle(
        id="reparametrization_trick",
        by="scipy.integrate.quad; derivatives of the closed form exp(-sigma^2/2) sin(mu)",
        arguments={"mu": ":", "sigma": "positive:"},
        batches=(("mu",),),
        implementation=expected_sine,
        model=lambda mu, sigma: jnp.exp(-(sigma**2) / 2) * jnp.sin(mu),
        rtol=1e-8,
        atol=1e-10,
    ),
    Oracle(
        id="gan_minimax_discrete",
        by="torch.nn.functional.binary_cross_entropy",
        arguments={"p_data": "simplex: n", "p_g": "simplex: n", "D": "unit: n"},
        sizes=({"n": 4}, {"n": 1}),
        batches=(("p_data", "p_g", "D"), ("D",)),
        implementation=on_tensors(torch_gan),
        model=gan,
    ),
    Oracle(
        id="bellman_optimality_v",
        by="torch.einsum, torch.amax",
        arguments={"V": ": S", "R": ": S A", "p": "simplex: S A S", "gamma": "unit:"},
        sizes=({"S": 3, "A": 4}, {"S": 2, "A": 1}, {"S": 1, "A": 3}),
        batches=(("V",), ("V", "R", "p")),
        implementation=on_tensors(lambda V, R, p, gamma: (R + gamma * torch.einsum("sau,u->sa", p, V)).amax(-1)),
        model=lambda V, R, p, gamma: jnp.max(R + gamma * p @ V, -1),
    ),
    Oracle(
        id="chain_rule",
        by="torch.sin, torch.exp",
        arguments={"x": ":"},
        batches=(("x",),),
        implementation=on_tensors(lambda x: torch.sin(torch.exp(x))),
        model=lambda x: jnp.sin(jnp.exp(x)),
    ),
)
