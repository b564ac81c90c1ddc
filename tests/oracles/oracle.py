"""What the oracle script knows of an equation, and the frameworks."""

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
distance: Any = importlib.import_module("scipy.spatial.distance")
optax: Any = importlib.import_module("optax")
special: Any = importlib.import_module("scipy.special")
stats: Any = importlib.import_module("scipy.stats")
linear_model: Any = importlib.import_module("sklearn.linear_model")
metrics: Any = importlib.import_module("sklearn.metrics")

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """One equation.

    ``implementation`` computes the outputs with a framework's own function; ``model`` is JAX code for the
    same equation, which ``make.py`` differentiates. The two are compared whenever values are made.

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
