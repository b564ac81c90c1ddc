"""Oracles of optimisers, learning rates and what is measured while a network is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from core import torch_nesterov
from oracle import F, Oracle, jax, jnp, on_tensors, optax, torch

RATES = {"eta": "positive:", "eps": "positive:"}


def optax_step(transformation: Any, state: Any, theta: Any, g: Any, eta: Any) -> Any:
    """The parameters after ``eta`` times the transformed gradient, and the kept state."""
    direction, state = transformation.update(jnp.asarray(g), state)
    return optax.apply_updates(jnp.asarray(theta), -eta * direction), state


def optax_adagrad(theta: Any, G: Any, g: Any, eta: Any, eps: Any) -> Any:
    transformation = optax.scale_by_rss(eps=float(eps))
    theta, state = optax_step(transformation, optax.ScaleByRssState(jnp.asarray(G)), theta, g, eta)
    return theta, state.sum_of_squares


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
        id="bellman_optimality_q",
        by="torch.amax, torch.tensordot",
        arguments={"Q": ": S A", "R": ": S A", "p": "simplex: S A S", "gamma": "unit:"},
        sizes=({"S": 3, "A": 2}, {"S": 1, "A": 3}),
        batches=(("R",), ("Q", "R", "p")),
        implementation=on_tensors(lambda Q, R, p, gamma: R + gamma * torch.tensordot(p, Q.amax(-1), 1)),
        model=lambda Q, R, p, gamma: R + gamma * p @ jnp.max(Q, -1),
    ),
)
