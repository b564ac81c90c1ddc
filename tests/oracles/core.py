"""Oracles of attention, cells, convolutions, optimisers, probability and reinforcement learning."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import F, Oracle, elementwise, integrate, jax, jnp, linear_model, metrics, on_tensors, special, stats, torch


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


GRU_WEIGHTS = tuple(n for g in "zrh" for n in (f"W_x{g}", f"W_h{g}", f"b_{g}"))


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


def torch_sgd(theta: Any, g: Any, eta: Any, v: Any = None, gamma: Any = 0.0, dampening: Any = 0.0) -> Any:
    """PyTorch keeps ``v/eta``, which must be given and is given back so."""
    parameter = torch.nn.Parameter(theta.clone())
    sgd = torch.optim.SGD([parameter], lr=float(eta), momentum=float(gamma), dampening=float(dampening), foreach=False)
    if v is not None:
        sgd.state[parameter] = {"momentum_buffer": v.clone()}
    parameter.grad = g
    sgd.step()
    return parameter.detach() if v is None else (parameter.detach(), sgd.state[parameter]["momentum_buffer"])


def torch_momentum(theta: Any, v: Any, g: Any, gamma: Any, eta: Any) -> Any:
    theta, kept = torch_sgd(theta, g, eta, v / eta, gamma)
    return theta, kept * eta


def torch_adadelta(theta: Any, E: Any, D: Any, g: Any, gamma: Any, eps: Any) -> Any:
    parameter = torch.nn.Parameter(theta.clone())
    adadelta = torch.optim.Adadelta([parameter], lr=1.0, rho=float(gamma), eps=float(eps), foreach=False)
    adadelta.state[parameter] = {"step": torch.tensor(3.0), "square_avg": E.clone(), "acc_delta": D.clone()}
    parameter.grad = g
    adadelta.step()
    state = adadelta.state[parameter]
    return parameter.detach(), state["square_avg"], state["acc_delta"]


def adadelta(theta: Any, E: Any, D: Any, g: Any, gamma: Any, eps: Any) -> Any:
    E = gamma * E + (1 - gamma) * g**2
    step = jnp.sqrt(D + eps) / jnp.sqrt(E + eps) * g
    return theta - step, E, gamma * D + (1 - gamma) * step**2


def conv_transpose2d(z: Any, K: Any, s: int) -> Any:
    """As a convolution of the image with zeros in between, which is not how the entry states it."""
    (h, w), (r, q) = z.shape, K.shape
    spread = jnp.zeros((s * (h - 1) + 1, s * (w - 1) + 1)).at[::s, ::s].set(z)
    padded = jnp.pad(spread, ((r - 1, r - 1), (q - 1, q - 1)))
    return jax.lax.conv_general_dilated(padded[None, None], K[None, None, ::-1, ::-1], (1, 1), "VALID")[0, 0]


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


def leaky(z: Any, alpha: Any) -> Any:
    return jnp.where(z >= 0, z, alpha * z)


def elu(z: Any, alpha: Any) -> Any:
    return jnp.where(z >= 0, z, alpha * jnp.expm1(jnp.where(z >= 0, 0.0, z)))


def hinge(y: Any, w: Any, x: Any, b: Any) -> Any:
    """Of the sample and its mirror image, since scikit-learn wants to see both classes."""
    score = float(w @ x + b)
    return metrics.hinge_loss([float(y), -float(y)], [score, -score])


def class_loss(y: Any, yhat: Any) -> Any:
    return F.nll_loss(torch.log(yhat), torch.argmax(y, -1))


def mutual_information(p: Any) -> Any:
    return special.rel_entr(p, np.outer(p.sum(1), p.sum(0))).sum()


def posterior(p: Any) -> Any:
    return (p / p.sum(1, keepdims=True)) * p.sum(1, keepdims=True) / p.sum(0)


def gaussian_divergence(mu: Any, sigma2: Any) -> Any:
    normal = torch.distributions.Normal
    return torch.distributions.kl_divergence(normal(mu, sigma2.sqrt()), normal(mu * 0, mu * 0 + 1)).sum()


def evidence_bound(x: Any, mu: Any, s2: Any, w: Any, t2: Any) -> Any:
    """By quadrature of the likelihood; the model is the closed form."""
    x, mu, s2, w, t2 = (float(v) for v in (x, mu, s2, w, t2))
    law = stats.norm(mu, np.sqrt(s2))
    likelihood = stats.norm(0, np.sqrt(t2)).logpdf
    expected = integrate.quad(lambda z: likelihood(x - w * z) * law.pdf(z), *law.interval(1 - 1e-15), epsabs=1e-13)[0]
    return expected - float(gaussian_divergence(torch.tensor([mu]), torch.tensor([s2])))


def evidence_bound_model(x: Any, mu: Any, s2: Any, w: Any, t2: Any) -> Any:
    likelihood = -jnp.log(2 * jnp.pi * t2) / 2 - ((x - w * mu) ** 2 + w**2 * s2) / (2 * t2)
    return likelihood - (mu**2 + s2 - 1 - jnp.log(s2)) / 2


def state_values(pi: Any, r: Any, P: Any, gamma: Any) -> Any:
    """By iteration; the model solves the linear system."""
    values = np.zeros(len(pi))
    for _ in range(800):
        values = np.einsum("sa,sa->s", pi, r + gamma * P @ values)
    return values


def state_values_model(pi: Any, r: Any, P: Any, gamma: Any) -> Any:
    P_pi, r_pi = jnp.einsum("sa,sau->su", pi, P), jnp.einsum("sa,sa->s", pi, r)
    return jnp.linalg.solve(jnp.eye(len(pi)) - gamma * P_pi, r_pi)


def torch_reinforce(theta: Any, a: Any, r: Any, alpha: Any) -> Any:
    logits = theta.clone().requires_grad_()
    (-r * torch.distributions.Categorical(logits=logits).log_prob(torch.as_tensor(a))).backward()
    return theta - alpha * logits.grad


def area_under_curve(mu_1: Any, s_1: Any, mu_0: Any, s_0: Any) -> Any:
    """Over the false alarm rate, as it is usually stated; the model is the closed form."""
    positive, negative = stats.norm(float(mu_1), float(s_1)), stats.norm(float(mu_0), float(s_0))
    return integrate.quad(lambda u: positive.sf(negative.isf(u)), 0, 1, epsabs=1e-13, epsrel=1e-12, limit=800)[0]


def torch_nesterov(theta: Any, v: Any, gamma: Any, eta: Any) -> Any:
    """PyTorch keeps the point that is looked at, and ``v/eta``."""
    looked_at = torch.nn.Parameter(theta - gamma * v)
    sgd = torch.optim.SGD([looked_at], lr=float(eta), momentum=float(gamma), nesterov=True, foreach=False)
    sgd.state[looked_at] = {"momentum_buffer": v / eta}
    (looked_at**4).sum().backward()
    sgd.step()
    v = sgd.state[looked_at]["momentum_buffer"] * eta
    return looked_at.detach() + gamma * v, v


def nesterov(theta: Any, v: Any, gamma: Any, eta: Any) -> Any:
    v = gamma * v + eta * jax.grad(lambda t: jnp.sum(t**4))(theta - gamma * v)
    return theta - v, v


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


def torch_neighbours(h: Any, adj: Any) -> Any:
    return torch.stack([h[row == 1].mean(0) for row in adj])


def numpy_q_learning(Q: Any, s: Any, a: Any, s_next: Any, r: Any, alpha: Any, gamma: Any) -> Any:
    Q = Q.copy()
    Q[s, a] = (1 - alpha) * Q[s, a] + alpha * (r + gamma * Q[s_next].max())
    return Q


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
    elementwise("tanh", "torch.tanh", torch.tanh, jnp.tanh, [-800.0, -20.0, -1e-9, 0.0, 800.0]),
    Oracle(
        id="leaky_relu",
        by="torch.nn.functional.leaky_relu",
        arguments={"z": ":", "alpha": "unit:"},
        batches=(("z",), ("z", "alpha")),
        special_inputs=({"z": [-2.0, 3.0], "alpha": [0.01, 0.01]},),
        implementation=on_tensors(lambda z, alpha: F.leaky_relu(z, float(alpha))),
        model=leaky,
    ),
    Oracle(
        id="elu",
        by="torch.nn.functional.elu",
        arguments={"z": ":", "alpha": "positive:"},
        batches=(("z",), ("z", "alpha")),
        special_inputs=({"z": [-800.0, -1e-9, 800.0], "alpha": [1.0, 1.5, 0.5]},),
        implementation=on_tensors(lambda z, alpha: F.elu(z, float(alpha))),
        model=elu,
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
    Oracle(
        id="categorical_cross_entropy",
        by="torch.nn.functional.nll_loss",
        arguments={"y": "one_hot: N C", "yhat": "simplex: N C"},
        sizes=({"N": 4, "C": 3}, {"N": 1, "C": 2}),
        batches=(("y", "yhat"),),
        implementation=on_tensors(class_loss),
        model=lambda y, yhat: -jnp.mean(jnp.sum(y * jnp.log(yhat), -1)),
    ),
    Oracle(
        id="hinge_loss",
        by="sklearn.metrics.hinge_loss",
        arguments={"y": "sign:", "w": ": d", "x": ": d", "b": ":"},
        sizes=({"d": 4}, {"d": 1}),
        batches=(("y", "x"), ("w",)),
        implementation=hinge,
        model=lambda y, w, x, b: jnp.maximum(0, 1 - y * (w @ x + b)),
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
        id="gradient_descent",
        by="torch.optim.SGD",
        arguments={"theta": ": P", "g": ": P", "eta": "positive:"},
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "g"), ("g",)),
        implementation=on_tensors(torch_sgd),
        model=lambda theta, g, eta: theta - eta * g,
    ),
    Oracle(
        id="momentum",
        by="torch.optim.SGD",
        arguments={"theta": ": P", "v": ": P", "g": ": P", "gamma": "unit:", "eta": "positive:"},
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "v", "g"),),
        implementation=on_tensors(torch_momentum),
        model=lambda theta, v, g, gamma, eta: (theta - gamma * v - eta * g, gamma * v + eta * g),
    ),
    Oracle(
        id="momentum_ema",
        by="torch.optim.SGD with dampening beta",
        arguments={"theta": ": P", "v": ": P", "g": ": P", "beta": "unit:", "eta": "positive:"},
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "v", "g"),),
        implementation=on_tensors(lambda theta, v, g, beta, eta: torch_sgd(theta, g, eta, v, beta, beta)),
        model=lambda theta, v, g, beta, eta: (
            theta - eta * (beta * v + (1 - beta) * g),
            beta * v + (1 - beta) * g,
        ),
    ),
    Oracle(
        id="adadelta",
        by="torch.optim.Adadelta",
        arguments={"theta": ": P", "E": "positive: P", "D": "positive: P", "g": ": P"}
        | {"gamma": "unit:", "eps": "positive:"},
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "E", "D", "g"),),
        implementation=on_tensors(torch_adadelta),
        model=adadelta,
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
        id="mutual_information",
        by="scipy.special.rel_entr",
        arguments={"p": "joint: n m"},
        sizes=({"n": 3, "m": 4}, {"n": 1, "m": 2}),
        batches=(("p",),),
        implementation=mutual_information,
        model=lambda p: jnp.sum(p * (jnp.log(p) - jnp.log(p.sum(1, keepdims=True)) - jnp.log(p.sum(0)))),
        rtol=1e-8,
    ),
    Oracle(
        id="bayes_rule",
        by="numpy, through likelihood and prior",
        arguments={"p": "joint: n m"},
        sizes=({"n": 3, "m": 2}, {"n": 1, "m": 2}),
        batches=(("p",),),
        implementation=posterior,
        model=lambda p: p / p.sum(0),
    ),
    Oracle(
        id="normal_cdf",
        by="scipy.stats.norm.cdf",
        arguments={"x": ":"},
        batches=(("x",),),
        implementation=lambda x: stats.norm.cdf(x),
        model=lambda x: jax.scipy.stats.norm.cdf(x),
    ),
    Oracle(
        id="gaussian_kl",
        by="torch.distributions.kl_divergence",
        arguments={"mu": ": k", "sigma2": "positive: k"},
        sizes=({"k": 4}, {"k": 1}),
        batches=(("mu", "sigma2"), ("mu",)),
        implementation=on_tensors(gaussian_divergence),
        model=lambda mu, sigma2: jnp.sum(mu**2 + sigma2 - 1 - jnp.log(sigma2)) / 2,
    ),
    Oracle(
        id="vae_elbo",
        by="scipy.integrate.quad, torch.distributions.kl_divergence; derivatives of the closed form",
        arguments={"x": ":", "mu": ":", "s2": "positive:", "w": ":", "t2": "positive:"},
        batches=(("x",),),
        implementation=evidence_bound,
        model=evidence_bound_model,
        rtol=1e-7,
        atol=1e-9,
    ),
    Oracle(
        id="ddpm_reverse_step",
        by="torch, elementwise",
        arguments={"x": ": n", "alpha": "unit:", "alpha_bar": "unit:", "sigma": "positive:"}
        | {"eps_hat": ": n", "z": ": n"},
        sizes=({"n": 4}, {"n": 1}),
        batches=(("x", "eps_hat", "z"),),
        implementation=on_tensors(
            lambda x, alpha, alpha_bar, sigma, eps_hat, z: torch.addcmul(
                torch.rsqrt(alpha) * (x - (1 - alpha) * torch.rsqrt(1 - alpha_bar) * eps_hat), sigma, z
            )
        ),
        model=lambda x, alpha, alpha_bar, sigma, eps_hat, z: (
            (x - (1 - alpha) / jnp.sqrt(1 - alpha_bar) * eps_hat) / jnp.sqrt(alpha) + sigma * z
        ),
    ),
    Oracle(
        id="bellman_expectation_v",
        by="numpy, by iteration",
        arguments={"pi": "simplex: S A", "r": ": S A", "P": "simplex: S A S", "gamma": "unit:"},
        sizes=({"S": 3, "A": 2}, {"S": 1, "A": 3}),
        batches=(("r",), ("pi", "r", "P")),
        implementation=state_values,
        model=state_values_model,
        rtol=1e-8,
        atol=1e-10,
    ),
    Oracle(
        id="reinforce",
        by="torch.distributions.Categorical, differentiated by PyTorch",
        arguments={"theta": ": A", "a": "label A:", "r": ":", "alpha": "positive:"},
        sizes=({"A": 4}, {"A": 1}),
        batches=(("theta", "a", "r"), ("a",)),
        implementation=on_tensors(torch_reinforce),
        model=lambda theta, a, r, alpha: theta + alpha * r * (jax.nn.one_hot(a, len(theta)) - jax.nn.softmax(theta)),
    ),
    Oracle(
        id="actor_critic_gradient",
        by="torch.softmax",
        arguments={"theta": ": A", "Q": ": A", "b": ":"},
        sizes=({"A": 4}, {"A": 1}),
        batches=(("theta", "Q"),),
        implementation=on_tensors(lambda theta, Q, b: torch.softmax(theta, -1) @ Q),
        model=lambda theta, Q, b: jnp.sum(jax.nn.softmax(theta) * Q) + 0 * b,
    ),
    Oracle(
        id="backprop_weight_gradient",
        by="torch.nn.functional.linear",
        arguments={"W": ": m n", "a_prev": ": n", "b": ": m", "delta": ": m"},
        sizes=({"m": 3, "n": 4}, {"m": 1, "n": 2}),
        batches=(("a_prev", "delta"),),
        implementation=on_tensors(lambda W, a_prev, b, delta: F.linear(a_prev, W, b)),
        model=lambda W, a_prev, b, delta: W @ a_prev + b + 0 * delta,
    ),
    Oracle(
        id="backprop_delta",
        by="torch.nn.functional.linear",
        arguments={"z": ": m", "W_next": ": k m", "b_next": ": k", "delta_next": ": k"},
        sizes=({"m": 3, "k": 4}, {"m": 1, "k": 2}),
        batches=(("z", "delta_next"),),
        implementation=on_tensors(lambda z, W_next, b_next, delta_next: F.linear(torch.tanh(z), W_next, b_next)),
        model=lambda z, W_next, b_next, delta_next: W_next @ jnp.tanh(z) + b_next + 0 * delta_next,
    ),
    Oracle(
        id="roc_auc",
        by="scipy.integrate.quad over the false alarm rate; derivatives of the closed form",
        arguments={"mu_1": ":", "s_1": "positive:", "mu_0": ":", "s_0": "positive:"},
        batches=(("mu_1", "mu_0"),),
        implementation=area_under_curve,
        model=lambda mu_1, s_1, mu_0, s_0: jax.scipy.stats.norm.cdf((mu_1 - mu_0) / jnp.sqrt(s_1**2 + s_0**2)),
        rtol=1e-7,
        atol=1e-9,
    ),
    Oracle(
        id="nesterov_momentum",
        by="torch.optim.SGD with nesterov",
        arguments={"theta": ": P", "v": ": P", "gamma": "unit:", "eta": "positive:"},
        sizes=({"P": 3}, {"P": 1}),
        batches=(("theta", "v"),),
        implementation=on_tensors(torch_nesterov),
        model=nesterov,
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
        id="gnn_aggregation",
        by="torch.mean over the selected rows",
        arguments={"h": ": n d", "adj": "neighbours: n n"},
        sizes=({"n": 4, "d": 2}, {"n": 1, "d": 3}),
        batches=(("h",), ("h", "adj")),
        implementation=on_tensors(torch_neighbours),
        model=lambda h, adj: jax.lax.stop_gradient(adj) @ h / jax.lax.stop_gradient(adj).sum(1, keepdims=True),
    ),
    Oracle(
        id="q_learning",
        by="numpy, as a weighted average",
        arguments={"Q": ": S A", "s": "label S:", "a": "label A:", "s_next": "label S:"}
        | {"r": ":", "alpha": "unit:", "gamma": "unit:"},
        sizes=({"S": 3, "A": 2}, {"S": 1, "A": 3}),
        batches=(("Q", "s", "a", "s_next", "r"), ("s", "a")),
        special_inputs=(
            {"Q": [[1.0, 2.0], [0.5, 3.0]], "s": 0, "a": 1, "s_next": 0, "r": 0.5, "alpha": 0.5, "gamma": 0.9},
        ),
        implementation=numpy_q_learning,
        model=lambda Q, s, a, s_next, r, alpha, gamma: (
            jnp.asarray(Q).at[s, a].add(alpha * (r + gamma * jnp.max(jnp.asarray(Q)[s_next]) - jnp.asarray(Q)[s, a]))
        ),
    ),
)
