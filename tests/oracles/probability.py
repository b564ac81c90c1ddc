"""Oracles of probability, information and generative models."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import Oracle, distance, integrate, jax, jnp, on_tensors, special, stats, torch


def expected_sine(mu: Any, sigma: Any) -> Any:
    """By quadrature; the model is the closed form."""
    mu, sigma = float(mu), float(sigma)
    density = stats.norm.pdf
    return integrate.quad(lambda e: np.sin(mu + sigma * e) * density(e), -14, 14, epsabs=1e-14, limit=400)[0]


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


def area_under_curve(mu_1: Any, s_1: Any, mu_0: Any, s_0: Any) -> Any:
    """Over the false alarm rate, as it is usually stated; the model is the closed form."""
    positive, negative = stats.norm(float(mu_1), float(s_1)), stats.norm(float(mu_0), float(s_0))
    return integrate.quad(lambda u: positive.sf(negative.isf(u)), 0, 1, epsabs=1e-13, epsrel=1e-12, limit=800)[0]


def js_divergence(P: Any, Q: Any) -> Any:
    def entropy(p: Any) -> Any:
        return -jnp.sum(p * jnp.log(p))

    return entropy((P + Q) / 2) - entropy(P) / 2 - entropy(Q) / 2


def scipy_total(mu: Any, sigma2: Any) -> Any:
    law = stats.norm(float(mu), np.sqrt(float(sigma2)))
    return integrate.quad(law.pdf, float(mu) - 12 * law.std(), float(mu) + 12 * law.std(), epsabs=1e-13)[0]


def exponential_family(x: Any, theta: Any) -> Any:
    """By the sum over the statistics, which are all ``x``."""
    return jnp.exp(-(x**2) + (x - 1) * jnp.sum(theta**2))


def game_value() -> Any:
    """Of the discriminator ``sigmoid`` against the generator ``2*z - 1``, by quadrature."""

    def expected(function: Any, law: Any) -> Any:
        return integrate.quad(lambda x: function(x) * law.pdf(x), law.mean() - 12, law.mean() + 12, epsabs=1e-13)[0]

    real = expected(special.log_expit, stats.norm(0.5, np.sqrt(0.8)))
    return real + expected(lambda z: special.log_expit(1 - 2 * z), stats.norm(0, 1))


def game_value_model() -> Any:
    """By Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(140)
    weights = weights / weights.sum()
    real = weights @ jax.nn.log_sigmoid(0.5 + np.sqrt(0.8) * nodes)
    return real + weights @ jax.nn.log_sigmoid(1 - 2 * nodes)


ORACLES = (
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
        id="js_divergence",
        by="scipy.spatial.distance.jensenshannon, squared",
        arguments={"P": "simplex: n", "Q": "simplex: n"},
        sizes=({"n": 4}, {"n": 2}),
        batches=(("P", "Q"), ("Q",)),
        implementation=lambda P, Q: distance.jensenshannon(P, Q) ** 2,
        model=js_divergence,
        rtol=1e-8,
    ),
    Oracle(
        id="probability_normalization_discrete",
        by="torch.sum",
        arguments={"P": "simplex: n"},
        sizes=({"n": 4}, {"n": 1}),
        batches=(("P",),),
        implementation=on_tensors(lambda P: torch.sum(P)),
        model=lambda P: jnp.sum(P),
    ),
    Oracle(
        id="probability_normalization_continuous",
        by="scipy.stats.norm.pdf, scipy.integrate.quad; derivatives of the constant",
        arguments={"mu": ":", "sigma2": "positive:"},
        batches=(("mu",),),
        implementation=scipy_total,
        model=lambda mu, sigma2: 1.0 + 0 * mu + 0 * sigma2,
    ),
    Oracle(
        id="exponential_family",
        by="torch.exp, torch.dot",
        arguments={"x": ":", "theta": ": k"},
        sizes=({"k": 3}, {"k": 1}),
        batches=(("x",), ("x", "theta")),
        implementation=on_tensors(
            lambda x, theta: (
                torch.exp(-(x**2)) * torch.exp(torch.dot(theta**2, x.expand(len(theta))) - torch.dot(theta, theta))
            )
        ),
        model=exponential_family,
    ),
    Oracle(
        id="gan_minimax",
        by="scipy.special.log_expit, scipy.integrate.quad",
        arguments={},
        implementation=game_value,
        model=game_value_model,
    ),
)
