"""Oracles of reinforcement learning."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import Oracle, jax, jnp, on_tensors, torch


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


def numpy_q_learning(Q: Any, s: Any, a: Any, s_next: Any, r: Any, alpha: Any, gamma: Any) -> Any:
    Q = Q.copy()
    Q[s, a] = (1 - alpha) * Q[s, a] + alpha * (r + gamma * Q[s_next].max())
    return Q


ORACLES = (
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
