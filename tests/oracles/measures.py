"""Oracles of distances, kernels, correlations and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import F, Oracle, distance, jnp, metrics, on_tensors, stats, torch

PAIR_SIZES = ({"d": 4}, {"d": 1})


def pair(id_: str, by: str, implementation: Any, model: Any) -> Oracle:
    """A function of two vectors."""
    return Oracle(
        id=id_,
        by=by,
        arguments={"x": ": d", "y": ": d"},
        sizes=PAIR_SIZES,
        batches=(("x", "y"), ("y",)),
        implementation=implementation,
        model=model,
    )


def samples(id_: str, by: str, implementation: Any, model: Any, *sizes: int) -> Oracle:
    """A statistic of two samples."""
    return Oracle(
        id=id_,
        by=by,
        arguments={"x": ": N", "y": ": N"},
        sizes=tuple({"N": size} for size in sizes),
        batches=(("x", "y"),),
        implementation=implementation,
        model=model,
        rtol=1e-8,
    )


def kernel(id_: str, by: str, more: dict[str, str], implementation: Any, model: Any, *integers: Any) -> Oracle:
    return Oracle(
        id=id_,
        by=by,
        arguments={"x": ": d", "x_prime": ": d"} | more,
        sizes=PAIR_SIZES,
        integers=integers or ({},),
        batches=(("x", "x_prime"), ("x",)),
        implementation=implementation,
        model=model,
    )


def counted(id_: str, by: str, first: str, second: str, implementation: Any) -> Oracle:
    """A share of one count in two."""
    return Oracle(
        id=id_,
        by=by,
        arguments={first: "positive:", second: "positive:"},
        batches=((first, second),),
        special_inputs=({first: 30.0, second: 12.0},),
        implementation=implementation,
        model=lambda **counts: counts[first] / (counts[first] + counts[second]),
    )


def centred_product(x: Any, y: Any) -> Any:
    return jnp.mean((x - x.mean()) * (y - y.mean()))


def correlation(x: Any, y: Any) -> Any:
    return centred_product(x, y) / jnp.sqrt(centred_product(x, x) * centred_product(y, y))


def f1_of_counts(P: Any, R: Any) -> Any:
    """Of one hit and as many false alarms and misses as make the precision and the recall."""
    return metrics.f1_score([1, 0, 1], [1, 1, 0], sample_weight=[1.0, 1 / P - 1, 1 / R - 1])


ORACLES = (
    pair("dot_product", "torch.dot", on_tensors(lambda x, y: torch.dot(x, y)), lambda x, y: jnp.sum(x * y)),
    pair(
        "euclidean_distance",
        "scipy.spatial.distance.euclidean",
        lambda x, y: distance.euclidean(x, y),
        lambda x, y: jnp.linalg.norm(x - y),
    ),
    pair(
        "manhattan_distance",
        "scipy.spatial.distance.cityblock",
        lambda x, y: distance.cityblock(x, y),
        lambda x, y: jnp.sum(jnp.abs(x - y)),
    ),
    pair(
        "cosine_similarity",
        "torch.nn.functional.cosine_similarity",
        on_tensors(lambda x, y: F.cosine_similarity(x, y, dim=0)),
        lambda x, y: x @ y / jnp.sqrt((x @ x) * (y @ y)),
    ),
    samples("covariance", "numpy.cov with bias", lambda x, y: np.cov(x, y, bias=True)[0, 1], centred_product, 5, 1),
    samples(
        "sample_covariance",
        "numpy.cov",
        lambda x, y: np.cov(x, y)[0, 1],
        lambda x, y: jnp.sum((x - jnp.mean(x)) * (y - jnp.mean(y))) / (len(x) - 1),
        5,
        2,
    ),
    samples(
        "pearson_correlation", "scipy.stats.pearsonr", lambda x, y: stats.pearsonr(x, y).statistic, correlation, 5, 3
    ),
    kernel(
        "polynomial_kernel",
        "sklearn.metrics.pairwise.polynomial_kernel",
        {"c": "positive:"},
        lambda x, x_prime, c, p: metrics.pairwise.polynomial_kernel(x[None], x_prime[None], p, 1.0, float(c))[0, 0],
        lambda x, x_prime, c, p: (x @ x_prime + c) ** p,
        {"p": 1},
        {"p": 3},
    ),
    kernel(
        "rbf_kernel",
        "sklearn.metrics.pairwise.rbf_kernel",
        {"sigma": "positive:"},
        lambda x, x_prime, sigma: metrics.pairwise.rbf_kernel(x[None], x_prime[None], 1 / (2 * float(sigma) ** 2))[
            0, 0
        ],
        lambda x, x_prime, sigma: jnp.exp(-jnp.sum((x - x_prime) ** 2) / (2 * sigma**2)),
    ),
    Oracle(
        id="svm_margin",
        by="torch.linalg.vector_norm",
        arguments={"w": ": d"},
        sizes=PAIR_SIZES,
        batches=(("w",),),
        implementation=on_tensors(lambda w: 2 / torch.linalg.vector_norm(w)),
        model=lambda w: 2 / jnp.sqrt(w @ w),
    ),
    counted(
        "precision",
        "sklearn.metrics.precision_score with weights",
        "TP",
        "FP",
        lambda TP, FP: metrics.precision_score([1, 0], [1, 1], sample_weight=[TP, FP]),
    ),
    counted(
        "recall",
        "sklearn.metrics.recall_score with weights",
        "TP",
        "FN",
        lambda TP, FN: metrics.recall_score([1, 1], [1, 0], sample_weight=[TP, FN]),
    ),
    Oracle(
        id="f1_score",
        by="sklearn.metrics.f1_score with weights",
        arguments={"P": "unit:", "R": "unit:"},
        batches=(("P", "R"),),
        implementation=f1_of_counts,
        model=lambda P, R: 2 / (1 / P + 1 / R),
    ),
    Oracle(
        id="r2_score",
        by="sklearn.metrics.r2_score",
        arguments={"y": ": N", "yhat": ": N"},
        sizes=({"N": 4}, {"N": 2}),
        batches=(("y", "yhat"), ("yhat",)),
        implementation=lambda y, yhat: metrics.r2_score(y, yhat),
        model=lambda y, yhat: 1 - jnp.mean((y - yhat) ** 2) / jnp.var(y),
    ),
    Oracle(
        id="perplexity",
        by="scipy.stats.gmean",
        arguments={"p": "unit: N"},
        sizes=({"N": 4}, {"N": 1}),
        batches=(("p",),),
        implementation=lambda p: 1 / stats.gmean(p),
        model=lambda p: jnp.exp(-jnp.mean(jnp.log(p))),
    ),
)
