"""Oracles of activations, neurons and networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import F, Oracle, elementwise, jax, jnp, linear_model, on_tensors, torch

SELU = {"lambda_": 1.0507009873554805, "alpha": 1.6732632423543772}
NEURON = {"w": ": d", "x": ": d", "b": ":"}
NEURON_SIZES = ({"d": 4}, {"d": 1})


def leaky(z: Any, alpha: Any) -> Any:
    return jnp.where(z >= 0, z, alpha * z)


def elu(z: Any, alpha: Any) -> Any:
    return jnp.where(z >= 0, z, alpha * jnp.expm1(jnp.where(z >= 0, 0.0, z)))


def torch_selu(z: Any, lambda_: Any, alpha: Any) -> Any:
    """PyTorch's function where the constants are the published ones, else its ELU."""
    if float(lambda_) == SELU["lambda_"] and float(alpha) == SELU["alpha"]:
        return F.selu(z)
    return lambda_ * F.elu(z, float(alpha))


def selu(z: Any, lambda_: Any, alpha: Any) -> Any:
    return lambda_ * jnp.where(z >= 0, z, alpha * jnp.expm1(jnp.where(z >= 0, 0.0, z)))


def fitted(model: Any, w: Any, b: Any) -> Any:
    """A linear classifier of scikit-learn with given weights in place of learnt ones."""
    model.coef_, model.intercept_, model.classes_ = w[None], b[None], np.array([0, 1])
    return model


def neuron(id_: str, by: str, implementation: Any, model: Any) -> Oracle:
    """A function of the weighted sum of the inputs."""
    return Oracle(
        id=id_,
        by=by,
        arguments=NEURON,
        sizes=NEURON_SIZES,
        batches=(("x",), ("w", "x", "b")),
        implementation=implementation,
        model=lambda w, x, b: model(w @ x + b),
    )


def step(z: Any) -> Any:
    return jnp.where(z >= 0, 1.0, 0.0)


def stacked(weights: list[tuple[Any, Any]]) -> Any:
    """PyTorch's modules of dense layers, each followed by tanh."""
    layers = []
    for W, b in weights:
        layer = torch.nn.Linear(W.shape[1], W.shape[0])
        layer.load_state_dict({"weight": W, "bias": b})
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers)


def torch_network(x: Any, W: Any, b: Any) -> Any:
    return stacked(list(zip(W, b, strict=True)))(x).detach()


def network(x: Any, W: Any, b: Any) -> Any:
    for weight, bias in zip(W, b, strict=True):
        x = jnp.tanh(weight @ x + bias)
    return x


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
        id="binary_step",
        by="numpy.heaviside",
        arguments={"z": ":"},
        batches=(("z",),),
        special_inputs=({"z": [-800.0, -1e-9, 0.0, 1e-9, 800.0]},),
        implementation=lambda z: np.heaviside(z, 1.0),
        model=lambda z: step(z),
    ),
    Oracle(
        id="noisy_relu",
        by="torch.relu, torch.addcmul",
        arguments={"x": ":", "eps": ":"},
        batches=(("x", "eps"), ("x",)),
        implementation=on_tensors(lambda x, eps: torch.relu(torch.addcmul(x, torch.sigmoid(x).sqrt(), eps))),
        model=lambda x, eps: jnp.maximum(0, x + jnp.sqrt(jax.nn.sigmoid(x)) * eps),
    ),
    elementwise("sigmoid_derivative", "torch.sigmoid", torch.sigmoid, jax.nn.sigmoid, [-800.0, -40.0, 0.0, 800.0]),
    elementwise("tanh_derivative", "torch.tanh", torch.tanh, jnp.tanh, [-800.0, -1e-9, 0.0, 800.0]),
    elementwise("relu_derivative", "torch.relu", torch.relu, jax.nn.relu, [-2.0, 0.0, 3.0]),
    Oracle(
        id="prelu",
        by="torch.nn.functional.prelu",
        arguments={"z": ":", "a": ":"},
        batches=(("z",), ("z", "a")),
        special_inputs=({"z": [-2.0, 3.0], "a": [0.25, 0.25]},),
        implementation=on_tensors(lambda z, a: F.prelu(z.reshape(1), a.reshape(1))[0]),
        model=lambda z, a: jnp.where(z > 0, z, a * z),
    ),
    Oracle(
        id="selu",
        by="torch.nn.functional.selu, elu",
        arguments={"z": ":", "lambda_": "positive:", "alpha": "positive:"},
        batches=(("z",),),
        special_inputs=(
            *(SELU | {"z": z} for z in (-800.0, -1.5, 0.5)),
            {"z": [-800.0, -1e-9, 800.0], "lambda_": [1.0, 1.1, 0.9], "alpha": [1.0, 1.5, 0.5]},
        ),
        implementation=on_tensors(torch_selu),
        model=selu,
    ),
    neuron(
        "weighted_sum",
        "torch.nn.functional.linear",
        on_tensors(lambda w, x, b: F.linear(x, w[None], b[None])[0]),
        lambda z: z,
    ),
    Oracle(
        id="activation_forward",
        by="torch.tanh",
        arguments={"z": ":"},
        batches=(("z",),),
        implementation=on_tensors(lambda z: torch.tanh(z)),
        model=lambda z: jnp.tanh(z),
    ),
    neuron(
        "neuron_output",
        "torch.nn.Linear, torch.nn.Tanh",
        on_tensors(lambda w, x, b: stacked([(w[None], b[None])])(x).detach()[0]),
        jnp.tanh,
    ),
    neuron(
        "perceptron",
        "sklearn.linear_model.Perceptron.predict",
        lambda w, x, b: fitted(linear_model.Perceptron(), w, b).predict(x[None])[0].astype(float),
        step,
    ),
    neuron(
        "logistic_regression",
        "sklearn.linear_model.LogisticRegression.predict_proba",
        lambda w, x, b: fitted(linear_model.LogisticRegression(), w, b).predict_proba(x[None])[0, 1],
        jax.nn.sigmoid,
    ),
    neuron(
        "logistic_regression_decision",
        "sklearn.linear_model.LogisticRegression.predict",
        lambda w, x, b: fitted(linear_model.LogisticRegression(), w, b).predict(x[None])[0].astype(float),
        step,
    ),
    Oracle(
        id="dense",
        by="torch.nn.Linear, torch.nn.Tanh",
        arguments={"x": ": n", "W": ": m n", "b": ": m"},
        sizes=({"n": 4, "m": 3}, {"n": 1, "m": 2}),
        batches=(("x",),),
        implementation=on_tensors(lambda x, W, b: stacked([(W, b)])(x).detach()),
        model=lambda x, W, b: jnp.tanh(W @ x + b),
    ),
    Oracle(
        id="feedforward_network",
        by="torch.nn.Sequential of Linear and Tanh",
        arguments={"x": ": n", "W": ": L n n", "b": ": L n"},
        sizes=({"n": 3, "L": 2}, {"n": 2, "L": 3}, {"n": 2, "L": 1}),
        batches=(("x",),),
        implementation=on_tensors(torch_network),
        model=network,
    ),
    Oracle(
        id="two_layer_network",
        by="torch.nn.Sequential of Linear and Tanh",
        arguments={"x": ": n", "W_1": ": m n", "b_1": ": m", "W_2": ": k m", "b_2": ": k"},
        sizes=({"n": 3, "m": 4, "k": 2}, {"n": 1, "m": 2, "k": 1}),
        batches=(("x",),),
        implementation=on_tensors(lambda x, W_1, b_1, W_2, b_2: stacked([(W_1, b_1), (W_2, b_2)])(x).detach()),
        model=lambda x, W_1, b_1, W_2, b_2: jnp.tanh(W_2 @ jnp.tanh(W_1 @ x + b_1) + b_2),
    ),
    Oracle(
        id="backprop_bias_gradient",
        by="torch.nn.functional.linear",
        arguments={"W": ": m n", "a_prev": ": n", "b": ": m", "delta": ": m"},
        sizes=({"m": 3, "n": 4}, {"m": 1, "n": 2}),
        batches=(("a_prev", "delta"),),
        implementation=on_tensors(lambda W, a_prev, b, delta: F.linear(a_prev, W, b)),
        model=lambda W, a_prev, b, delta: W @ a_prev + b + 0 * delta,
    ),
    Oracle(
        id="chain_rule_multivariable",
        by="torch.sin, torch.square, torch.pow",
        arguments={"x": ": n"},
        sizes=({"n": 3}, {"n": 1}),
        batches=(("x",),),
        implementation=on_tensors(lambda x: torch.cat([torch.sin(x), torch.square(x)]).pow(3).sum()),
        model=lambda x: jnp.sum(jnp.sin(x) ** 3 + x**6),
    ),
    Oracle(
        id="autoencoder_loss",
        by="torch.nn.functional.mse_loss",
        arguments={"x": ": 2*k"},
        sizes=({"k": 2}, {"k": 1}),
        batches=(("x",),),
        implementation=on_tensors(
            lambda x: F.mse_loss(torch.cat([x[: len(x) // 2].tanh() ** p for p in (1, 2)]), x) * len(x)
        ),
        model=lambda x: jnp.sum(
            (x - jnp.concatenate([jnp.tanh(x[: len(x) // 2]), jnp.tanh(x[: len(x) // 2]) ** 2])) ** 2
        ),
    ),
    Oracle(
        id="linear_autoencoder_loss",
        by="torch.nn.functional.linear, mse_loss",
        arguments={"x": ": n", "W_e": ": k n", "W_d": ": n k"},
        sizes=({"n": 3, "k": 2}, {"n": 1, "k": 1}),
        batches=(("x",),),
        implementation=on_tensors(lambda x, W_e, W_d: F.mse_loss(F.linear(F.linear(x, W_e), W_d), x, reduction="sum")),
        model=lambda x, W_e, W_d: jnp.sum((x - W_d @ (W_e @ x)) ** 2),
    ),
)
