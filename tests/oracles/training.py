"""Oracles of optimisers, learning rates and statistics of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import F, Oracle, jax, jnp, on_tensors, optax, torch

RATES = {"eta": "positive:", "eps": "positive:"}


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


def optax_step(transformation: Any, state: Any, theta: Any, g: Any, eta: Any) -> Any:
    """The parameters after ``eta`` times the transformed gradient, and the kept state."""
    direction, state = transformation.update(jnp.asarray(g), state)
    return optax.apply_updates(jnp.asarray(theta), -eta * direction), state


def optax_adagrad(theta: Any, G: Any, g: Any, eta: Any, eps: Any) -> Any:
    transformation = optax.scale_by_rss(eps=float(eps))
    theta, state = optax_step(transformation, optax.ScaleByRssState(jnp.asarray(G)), theta, g, eta)
    return theta, state.sum_of_squares


def optax_inner_adam(theta: Any, m: Any, v: Any, g: Any, t: int, **rates: float) -> Any:
    betas = (float(rates["beta_1"]), float(rates["beta_2"]))
    transformation = optax.scale_by_adam(*betas, eps=0.0, eps_root=float(rates["eps"]))
    state = optax.ScaleByAdamState(count=jnp.asarray(t - 1), mu=jnp.asarray(m), nu=jnp.asarray(v))
    theta, state = optax_step(transformation, state, theta, g, rates["eta"])
    return theta, state.mu, state.nu


def inner_adam(theta: Any, m: Any, v: Any, g: Any, t: int, beta_1: Any, beta_2: Any, eta: Any, eps: Any) -> Any:
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    return theta - eta * m / (1 - beta_1**t) / jnp.sqrt(v / (1 - beta_2**t) + eps), m, v


def torch_adagrad(theta: Any, G: Any, g: Any, eta: Any, eps: Any) -> Any:
    parameter = torch.nn.Parameter(theta.clone())
    adagrad = torch.optim.Adagrad([parameter], lr=float(eta), eps=float(eps), foreach=False)
    adagrad.state[parameter] = {"step": torch.tensor(3.0), "sum": G.clone()}
    parameter.grad = g
    adagrad.step()
    return parameter.detach(), adagrad.state[parameter]["sum"]


def torch_rmsprop(theta: Any, E: Any, g: Any, rho: Any, eta: Any, eps: Any) -> Any:
    parameter = torch.nn.Parameter(theta.clone())
    rmsprop = torch.optim.RMSprop([parameter], lr=float(eta), alpha=float(rho), eps=float(eps), foreach=False)
    rmsprop.state[parameter] = {"step": torch.tensor(3.0), "square_avg": E.clone()}
    parameter.grad = g
    rmsprop.step()
    return parameter.detach(), rmsprop.state[parameter]["square_avg"]


def outer_rmsprop(theta: Any, E: Any, g: Any, rho: Any, eta: Any, eps: Any) -> Any:
    E = rho * E + (1 - rho) * g**2
    return theta - eta * g / (jnp.sqrt(E) + eps), E


def optax_rmsprop(theta: Any, E: Any, g: Any, rho: Any, eta: Any, eps: Any) -> Any:
    transformation = optax.scale_by_rms(decay=float(rho), eps=float(eps))
    theta, state = optax_step(transformation, optax.ScaleByRmsState(nu=jnp.asarray(E)), theta, g, eta)
    return theta, state.nu


def rmsprop(theta: Any, E: Any, g: Any, rho: Any, eta: Any, eps: Any) -> Any:
    E = rho * E + (1 - rho) * g**2
    return theta - eta * g / jnp.sqrt(E + eps), E


def torch_descent(theta: Any, loss: Any, rate: Any) -> Any:
    """One step of PyTorch's optimiser along the gradient that PyTorch finds."""
    parameter = torch.nn.Parameter(theta.clone())
    loss(parameter).backward()
    torch.optim.SGD([parameter], lr=float(rate), foreach=False).step()
    return parameter.detach()


def torch_nesterov_average(theta: Any, v: Any, beta: Any, eta: Any) -> Any:
    """PyTorch keeps the sum ``v/(1 - beta)``, so that its rate is ``(1 - beta)*eta``."""
    theta, moved = torch_nesterov(theta, eta * v, beta, eta * (1 - beta))
    return theta, moved / eta


def nesterov_average(theta: Any, v: Any, beta: Any, eta: Any) -> Any:
    g = jax.grad(lambda t: jnp.sum(t**4))(theta - eta * beta * v)
    v = beta * v + (1 - beta) * g
    return theta - eta * v, v


def torch_step_decay(eta_0: Any, gamma: Any, t: int, k: int) -> Any:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=float(eta_0))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, k, float(gamma))
    for _ in range(t):
        optimizer.step()
        schedule.step()
    return np.asarray(schedule.get_last_lr()[0])


ORACLES = (
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
        id="adam_inner_epsilon",
        by="optax.scale_by_adam with eps_root",
        arguments={"theta": ": P", "m": ": P", "v": "positive: P", "g": ": P"}
        | {"beta_1": "unit:", "beta_2": "unit:"}
        | RATES,
        sizes=({"P": 4}, {"P": 1}),
        integers=({"t": 1}, {"t": 2}, {"t": 100}),
        batches=(("theta", "m", "v", "g"),),
        implementation=optax_inner_adam,
        model=inner_adam,
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
        id="nesterov_momentum",
        by="torch.optim.SGD with nesterov",
        arguments={"theta": ": P", "v": ": P", "gamma": "unit:", "eta": "positive:"},
        sizes=({"P": 3}, {"P": 1}),
        batches=(("theta", "v"),),
        implementation=on_tensors(torch_nesterov),
        model=nesterov,
    ),
    Oracle(
        id="sgd",
        by="torch.optim.SGD, differentiated by PyTorch",
        arguments={"theta": ": P", "x": ": B P", "alpha": "positive:"},
        sizes=({"P": 3, "B": 2}, {"P": 1, "B": 1}),
        batches=(("x",),),
        implementation=on_tensors(
            lambda theta, x, alpha: torch_descent(
                theta, lambda t: F.mse_loss((x - t) ** 2, x * 0, reduction="sum"), alpha
            )
        ),
        model=lambda theta, x, alpha: theta + 4 * alpha * jnp.sum((x - theta) ** 3, 0),
    ),
    Oracle(
        id="minibatch_gradient_descent",
        by="torch.optim.SGD, differentiated by PyTorch",
        arguments={"theta": ": P", "x": ": B P", "y": ": B", "eta": "positive:"},
        sizes=({"P": 3, "B": 4}, {"P": 2, "B": 1}),
        batches=(("x", "y"),),
        implementation=on_tensors(
            lambda theta, x, y, eta: torch_descent(theta, lambda t: F.mse_loss(F.linear(x, t), y), eta)
        ),
        model=lambda theta, x, y, eta: theta + 2 * eta * (y - x @ theta) @ x / len(y),
    ),
    Oracle(
        id="nesterov_momentum_ema",
        by="torch.optim.SGD with nesterov, its buffer and rate rescaled",
        arguments={"theta": ": P", "v": ": P", "beta": "unit:", "eta": "positive:"},
        sizes=({"P": 3}, {"P": 1}),
        batches=(("theta", "v"),),
        implementation=on_tensors(torch_nesterov_average),
        model=nesterov_average,
    ),
    Oracle(
        id="adagrad",
        by="optax.scale_by_rss",
        arguments={"theta": ": P", "G": "positive: P", "g": ": P"} | RATES,
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "G", "g"),),
        implementation=optax_adagrad,
        model=lambda theta, G, g, eta, eps: (theta - eta * g / jnp.sqrt(G + g**2 + eps), G + g**2),
    ),
    Oracle(
        id="rmsprop",
        by="optax.scale_by_rms",
        arguments={"theta": ": P", "E": "positive: P", "g": ": P", "rho": "unit:"} | RATES,
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "E", "g"),),
        implementation=optax_rmsprop,
        model=rmsprop,
    ),
    Oracle(
        id="adagrad_outer_epsilon",
        by="torch.optim.Adagrad",
        arguments={"theta": ": P", "G": "positive: P", "g": ": P"} | RATES,
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "G", "g"),),
        implementation=on_tensors(torch_adagrad),
        model=lambda theta, G, g, eta, eps: (theta - eta * g / (jnp.sqrt(G + g**2) + eps), G + g**2),
    ),
    Oracle(
        id="rmsprop_outer_epsilon",
        by="torch.optim.RMSprop",
        arguments={"theta": ": P", "E": "positive: P", "g": ": P", "rho": "unit:"} | RATES,
        sizes=({"P": 4}, {"P": 1}),
        batches=(("theta", "E", "g"),),
        implementation=on_tensors(torch_rmsprop),
        model=outer_rmsprop,
    ),
    Oracle(
        id="step_decay",
        by="torch.optim.lr_scheduler.StepLR",
        arguments={"eta_0": "positive:", "gamma": "unit:"},
        integers=({"t": 0, "k": 2}, {"t": 5, "k": 2}, {"t": 6, "k": 3}, {"t": 2, "k": 3}),
        batches=(("eta_0", "gamma"),),
        implementation=torch_step_decay,
        model=lambda eta_0, gamma, t, k: eta_0 * gamma ** (t // k),
    ),
    Oracle(
        id="batch_norm_mean",
        by="torch.mean",
        arguments={"x": ": m"},
        sizes=({"m": 5}, {"m": 1}),
        batches=(("x",),),
        implementation=on_tensors(lambda x: torch.mean(x)),
        model=lambda x: jnp.sum(x) / len(x),
    ),
    Oracle(
        id="batch_norm_variance",
        by="torch.var with correction 0",
        arguments={"x": ": m"},
        sizes=({"m": 5}, {"m": 1}),
        batches=(("x",),),
        special_inputs=({"x": [1e6 + 1.0, 1e6 + 2.0, 1e6 + 4.0]},),
        implementation=on_tensors(lambda x: torch.var(x, correction=0)),
        model=lambda x: jnp.var(x),
    ),
    Oracle(
        id="sample_variance",
        by="torch.var",
        arguments={"x": ": m"},
        sizes=({"m": 5}, {"m": 2}),
        batches=(("x",),),
        implementation=on_tensors(lambda x: torch.var(x)),
        model=lambda x: jnp.var(x, ddof=1),
    ),
)
