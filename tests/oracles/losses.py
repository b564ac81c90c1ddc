"""Oracles of losses and penalties."""

from __future__ import annotations

from typing import Any

from oracle import F, Oracle, jax, jnp, metrics, on_tensors, optax, special, torch

LINEAR = {"w": ": d", "b": ":", "X": ": N d"}
LINEAR_SIZES = ({"N": 4, "d": 3}, {"N": 1, "d": 2})
PENALISED = {"X": ": N d", "y": ": N", "w": ": d", "a": "positive:"}


def torch_gan(p_data: Any, p_g: Any, D: Any) -> Any:
    real = F.binary_cross_entropy(D, torch.ones_like(D), weight=p_data, reduction="sum")
    return -real - F.binary_cross_entropy(D, torch.zeros_like(D), weight=p_g, reduction="sum")


def gan(p_data: Any, p_g: Any, D: Any) -> Any:
    return jnp.sum(p_data * jnp.log(D) + p_g * jnp.log1p(-D))


def hinge(y: Any, w: Any, x: Any, b: Any) -> Any:
    """Of the sample and its mirror image, since scikit-learn wants to see both classes."""
    score = float(w @ x + b)
    return metrics.hinge_loss([float(y), -float(y)], [score, -score])


def class_loss(y: Any, yhat: Any) -> Any:
    return F.nll_loss(torch.log(yhat), torch.argmax(y, -1))


def torch_cycle() -> Any:
    """There and back over the points of both laws, for the maps that the entry is shown with."""
    X = torch.tensor([[1.0, 0.0, 2.0], [-1.0, 3.0, 1.0]])
    Y = torch.tensor([[1.0, 1.0, 0.0, 2.0], [0.0, 2.0, 1.0, 1.0], [1.0, 0.0, -1.0, 3.0]])

    def lifted(x: Any) -> Any:
        return torch.cat([x, torch.linalg.vector_norm(x, dim=-1, keepdim=True) ** 2], -1)

    forward = F.l1_loss(lifted(X)[:, :3], X, reduction="sum") / len(X)
    return forward + F.l1_loss(lifted(Y[:, :3]), Y, reduction="sum") / len(Y)


def torch_linear_cycle(x: Any, y: Any, A: Any, B: Any) -> Any:
    forward = F.l1_loss(F.linear(F.linear(x, A), B), x, reduction="sum") / len(x)
    return forward + F.l1_loss(F.linear(F.linear(y, B), A), y, reduction="sum") / len(y)


def linear_cycle(x: Any, y: Any, A: Any, B: Any) -> Any:
    forward = jnp.abs(x - x @ (B @ A).T).sum(-1).mean()
    return forward + jnp.abs(y - y @ (A @ B).T).sum(-1).mean()


def pair(id_: str, by: str, domain: str, implementation: Any, model: Any) -> Oracle:
    """A cost of outputs and targets."""
    return Oracle(
        id=id_,
        by=by,
        arguments={"a": f"{domain}: J", "E": f"{domain}: J"},
        sizes=({"J": 4}, {"J": 1}),
        batches=(("a", "E"), ("a",)),
        implementation=implementation,
        model=model,
    )


def penalty(id_: str, by: str, implementation: Any, model: Any) -> Oracle:
    return Oracle(
        id=id_,
        by=by,
        arguments={"w": ": d", "lambda_": "positive:"},
        sizes=({"d": 4}, {"d": 1}),
        batches=(("w",),),
        special_inputs=({"w": [0.5, -2.0], "lambda_": 0.0},),
        implementation=implementation,
        model=model,
    )


def cross_entropy(a: Any, E: Any) -> Any:
    return -jnp.sum(E * jnp.log(a) + (1 - E) * jnp.log1p(-a))


def torch_weighted(y: Any, yhat: Any, alpha: Any) -> Any:
    return F.binary_cross_entropy(yhat, y, weight=torch.where(y == 1, alpha, 1 - alpha))


def torch_clip(u: Any, v: Any, tau: Any) -> Any:
    scores, matching = u @ v.T / tau, torch.arange(len(u))
    return (F.cross_entropy(scores, matching) + F.cross_entropy(scores.T, matching)) / 2


def clip(u: Any, v: Any, tau: Any) -> Any:
    scores = u @ v.T / tau
    return -sum(jnp.mean(jnp.diag(jax.nn.log_softmax(scores, axis))) for axis in (0, 1)) / 2


def torch_distillation(z_t: Any, z_s: Any, tau: Any) -> Any:
    student, teacher = F.log_softmax(z_s / tau, -1), F.log_softmax(z_t / tau, -1)
    return tau**2 * F.kl_div(student, teacher, reduction="sum", log_target=True)


def distillation(z_t: Any, z_s: Any, tau: Any) -> Any:
    p, q = jax.nn.softmax(z_t / tau), jax.nn.softmax(z_s / tau)
    return tau**2 * jnp.sum(p * (jnp.log(p) - jnp.log(q)))


ORACLES = (
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
        id="gan_minimax_discrete",
        by="torch.nn.functional.binary_cross_entropy",
        arguments={"p_data": "simplex: n", "p_g": "simplex: n", "D": "unit: n"},
        sizes=({"n": 4}, {"n": 1}),
        batches=(("p_data", "p_g", "D"), ("D",)),
        implementation=on_tensors(torch_gan),
        model=gan,
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
        id="cycle_consistency_loss",
        by="torch.nn.functional.l1_loss",
        arguments={},
        implementation=torch_cycle,
        model=lambda: jnp.mean(jnp.abs(jnp.array([2.0, 5.0, 2.0]) - jnp.array([2.0, 1.0, 3.0]))),
    ),
    Oracle(
        id="linear_cycle_consistency_loss",
        by="torch.nn.functional.linear, l1_loss",
        arguments={"x": ": N n", "y": ": M m", "A": ": m n", "B": ": n m"},
        sizes=({"N": 3, "M": 2, "n": 2, "m": 3}, {"N": 1, "M": 1, "n": 2, "m": 1}),
        batches=(("x", "y"),),
        implementation=on_tensors(torch_linear_cycle),
        model=linear_cycle,
    ),
    pair(
        "quadratic_cost",
        "optax.l2_loss",
        "real",
        lambda a, E: optax.l2_loss(a, E).sum(),
        lambda a, E: jnp.sum((a - E) ** 2) / 2,
    ),
    pair(
        "quadratic_cost_gradient",
        "torch.nn.functional.mse_loss",
        "real",
        on_tensors(lambda a, E: F.mse_loss(a, E, reduction="sum") / 2),
        lambda a, E: jnp.sum((a - E) ** 2) / 2,
    ),
    pair(
        "binary_cross_entropy_sum",
        "torch.nn.functional.binary_cross_entropy",
        "unit",
        on_tensors(lambda a, E: F.binary_cross_entropy(a, E, reduction="sum")),
        cross_entropy,
    ),
    pair(
        "binary_cross_entropy_gradient",
        "scipy.special.xlogy, xlog1py",
        "unit",
        lambda a, E: -(special.xlogy(E, a) + special.xlog1py(1 - E, -a)).sum(),
        cross_entropy,
    ),
    Oracle(
        id="mse_weight_gradient",
        by="sklearn.metrics.mean_squared_error",
        arguments=LINEAR | {"y": ": N"},
        sizes=LINEAR_SIZES,
        batches=(("X", "y"),),
        implementation=lambda w, b, X, y: metrics.mean_squared_error(y, X @ w + b),
        model=lambda w, b, X, y: jnp.mean((y - X @ w - b) ** 2),
    ),
    Oracle(
        id="bce_weight_gradient",
        by="torch.nn.functional.binary_cross_entropy_with_logits",
        arguments=LINEAR | {"y": "mask: N"},
        sizes=LINEAR_SIZES,
        batches=(("X", "y"),),
        implementation=on_tensors(lambda w, b, X, y: F.binary_cross_entropy_with_logits(F.linear(X, w) + b, y)),
        model=lambda w, b, X, y: jnp.mean(jax.nn.softplus(X @ w + b) - y * (X @ w + b)),
    ),
    Oracle(
        id="weighted_binary_cross_entropy",
        by="torch.nn.functional.binary_cross_entropy with weights",
        arguments={"y": "mask: N", "yhat": "unit: N", "alpha": "unit:"},
        sizes=({"N": 5}, {"N": 1}),
        batches=(("y", "yhat"),),
        implementation=on_tensors(torch_weighted),
        model=lambda y, yhat, alpha: -jnp.mean(alpha * y * jnp.log(yhat) + (1 - alpha) * (1 - y) * jnp.log1p(-yhat)),
    ),
    Oracle(
        id="negative_log_likelihood",
        by="torch.nn.functional.nll_loss",
        arguments={"p": "unit: N"},
        sizes=({"N": 4}, {"N": 1}),
        batches=(("p",),),
        implementation=on_tensors(
            lambda p: F.nll_loss(torch.log(p)[:, None], torch.zeros(len(p), dtype=torch.long), reduction="sum")
        ),
        model=lambda p: -jnp.sum(jnp.log(p)),
    ),
    Oracle(
        id="weighted_hinge_loss",
        by="torch.nn.functional.margin_ranking_loss",
        arguments={"c": "positive:", "y": "sign:", "w": ": d", "x": ": d", "b": ":"},
        sizes=({"d": 4}, {"d": 1}),
        batches=(("y", "x"), ("w",)),
        implementation=on_tensors(
            lambda c, y, w, x, b: c * F.margin_ranking_loss(w @ x + b, torch.zeros(()), y, margin=1.0)
        ),
        model=lambda c, y, w, x, b: c * jnp.maximum(0, 1 - y * (w @ x + b)),
    ),
    Oracle(
        id="training_objective",
        by="torch.nn.functional.linear, mse_loss",
        arguments={"theta": ": P", "x": ": N P", "y": ": N"},
        sizes=({"N": 4, "P": 3}, {"N": 1, "P": 2}),
        batches=(("x", "y"),),
        implementation=on_tensors(lambda theta, x, y: F.mse_loss(F.linear(x, theta), y)),
        model=lambda theta, x, y: jnp.mean((x @ theta - y) ** 2),
    ),
    Oracle(
        id="clip_contrastive_loss",
        by="torch.nn.functional.cross_entropy",
        arguments={"u": ": N d", "v": ": N d", "tau": "positive:"},
        sizes=({"N": 3, "d": 2}, {"N": 1, "d": 2}),
        batches=(("u", "v"),),
        special_inputs=({"u": [[30.0, 0.0], [0.0, -30.0]], "v": [[20.0, 40.0], [-1.0, 30.0]], "tau": 0.5},),
        implementation=on_tensors(torch_clip),
        model=clip,
    ),
    Oracle(
        id="knowledge_distillation_loss",
        by="torch.nn.functional.kl_div",
        arguments={"z_t": ": C", "z_s": ": C", "tau": "positive:"},
        sizes=({"C": 4}, {"C": 1}),
        batches=(("z_t", "z_s"), ("z_s",)),
        implementation=on_tensors(torch_distillation),
        model=distillation,
    ),
    penalty(
        "l1_regularization",
        "torch.linalg.vector_norm",
        on_tensors(lambda w, lambda_: lambda_ * torch.linalg.vector_norm(w, 1)),
        lambda w, lambda_: lambda_ * jnp.sum(jnp.abs(w)),
    ),
    penalty(
        "l2_regularization",
        "optax.l2_loss",
        lambda w, lambda_: lambda_ * optax.l2_loss(w).sum(),
        lambda w, lambda_: lambda_ * (w @ w) / 2,
    ),
    Oracle(
        id="l2_regularized_loss",
        by="torch.linalg.matrix_norm",
        arguments={"L_0": ":", "W": ": L n n", "lambda_": "positive:"},
        sizes=({"L": 2, "n": 2}, {"L": 1, "n": 1}),
        integers=({"m": 3}, {"m": 1}),
        batches=(("L_0", "W"),),
        implementation=on_tensors(
            lambda L_0, W, lambda_, m: L_0 + lambda_ / (2 * m) * torch.linalg.matrix_norm(W, "fro").square().sum()
        ),
        model=lambda L_0, W, lambda_, m: L_0 + lambda_ * jnp.sum(W**2) / (2 * m),
    ),
    Oracle(
        id="lasso_loss",
        by="torch.nn.functional.mse_loss, l1_loss",
        arguments=PENALISED,
        sizes=({"N": 4, "d": 3}, {"N": 1, "d": 2}),
        batches=(("X", "y"),),
        implementation=on_tensors(
            lambda X, y, w, a: (
                F.mse_loss(F.linear(X, w), y, reduction="sum") + a * F.l1_loss(w, torch.zeros_like(w), reduction="sum")
            )
        ),
        model=lambda X, y, w, a: jnp.sum((y - X @ w) ** 2) + a * jnp.sum(jnp.abs(w)),
    ),
    Oracle(
        id="ridge_loss",
        by="torch.nn.functional.mse_loss",
        arguments=PENALISED,
        sizes=({"N": 4, "d": 3}, {"N": 1, "d": 2}),
        batches=(("X", "y"),),
        implementation=on_tensors(
            lambda X, y, w, a: (
                F.mse_loss(F.linear(X, w), y, reduction="sum") + a * F.mse_loss(w, torch.zeros_like(w), reduction="sum")
            )
        ),
        model=lambda X, y, w, a: jnp.sum((y - X @ w) ** 2) + a * (w @ w),
    ),
)
