"""Make ``values.json``: outputs and derivatives of equations from implementations that share no code with eqkb.

Run from the root of the repository, in an environment of its own (the packages are no dependency of eqkb)::

    python -m venv oracle-env
    oracle-env/bin/pip install jax optax scipy scikit-learn torch==2.13.0
    oracle-env/bin/python tests/oracles/make.py            # writes tests/oracles/values.json
    oracle-env/bin/python tests/oracles/make.py elu selu   # makes these alone anew
    oracle-env/bin/python tests/oracles/make.py --check    # compares with the committed file, writes nothing

Outputs come from a framework's own function (PyTorch, optax, SciPy, scikit-learn), derivatives from JAX in
float64; the script stops if the two disagree on the outputs, or JAX's forward and reverse modes on the derivatives.
Derivatives are ambient: no constraint is used. The versions that made a file are stored in it, under ``versions``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from oracle import Oracle

PATH = Path(__file__).with_name("values.json")
PACKAGES = ("jax", "jaxlib", "numpy", "optax", "scipy", "scikit-learn", "torch")
LARGEST_JACOBIAN = 400
LARGEST_HESSIAN = 400
MOST_WORKERS = 4  # each takes more than a gigabyte
LEAD = {1: (2,), 2: (2, 3)}  # the extra leading axes tried

Inputs = dict[str, Any]


def sample(rng: np.random.Generator, domain: str, shape: tuple[int, ...], sizes: dict[str, int]) -> Any:
    """A random array of the domain; distances from kinks and bounds are left to chance and the seed."""
    kind, *argument = domain.split()
    match kind:
        case "real":
            return rng.normal(size=shape)
        case "positive":
            return rng.uniform(0.3, 2.0, shape)
        case "unit":
            return rng.uniform(0.1, 0.9, shape)
        case "mask":
            return rng.integers(0, 2, shape).astype(float)
        case "sign":
            return rng.integers(0, 2, shape) * 2.0 - 1.0
        case "covariance":
            factor = rng.normal(size=shape)
            return factor @ factor.swapaxes(-1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))
        case "neighbours":
            return np.maximum(rng.integers(0, 2, shape), np.eye(shape[-1]))
        case "joint":
            last = shape[-2:]
            return rng.dirichlet(np.full(last[0] * last[1], 2.0), shape[:-2]).reshape(shape)
        case "simplex":
            return rng.dirichlet(np.full(shape[-1], 2.0), shape[:-1])
        case "one_hot":
            return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
        case "label":
            return rng.integers(0, sizes[argument[0]], shape)
    raise ValueError(f"no domain {domain!r}")


def extent(size: str, sizes: dict[str, int]) -> int:
    """The number that a size says: names and numbers joined by ``*``."""
    return int(np.prod([int(part) if part.isdigit() else sizes[part] for part in size.split("*")]))


def draw(oracle: Oracle, rng: np.random.Generator, sizes: dict[str, int], lead: dict[str, tuple[int, ...]]) -> Inputs:
    """Random inputs, with extra leading axes where ``lead`` says so."""
    inputs = {}
    for name, spec in oracle.arguments.items():
        domain, _, axes = spec.partition(":")
        shape = lead.get(name, ()) + tuple(extent(size, sizes) for size in axes.split())
        inputs[name] = np.asarray(sample(rng, domain.strip() or "real", shape, sizes))
    return inputs


def as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def framework_outputs(oracle: Oracle, inputs: Inputs, fixed: dict[str, int], batched: set[str], lead: Any) -> list[Any]:
    """The outputs of the framework's function, one element of the batch after the other."""
    rows = []
    for index in np.ndindex(*lead):
        one = {k: np.asarray(v[index]) if k in batched else v for k, v in inputs.items()}
        rows.append([np.asarray(value) for value in as_tuple(oracle.implementation(**one, **fixed))])
    return [np.stack(values).reshape(lead + values[0].shape) for values in zip(*rows, strict=True)]


def make_case(oracle: Oracle, inputs: Inputs, fixed: dict[str, int], batched: set[str], lead: Any, rng: Any) -> Inputs:
    """One case: outputs, a VJP, a JVP and, where small, Jacobians and Hessians."""
    jax = importlib.import_module("jax")
    labels = {k: v for k, v in inputs.items() if v.dtype.kind == "i"}
    real = {k: v for k, v in inputs.items() if k not in labels}

    def model(arguments: Inputs) -> Any:
        return as_tuple(oracle.model(**arguments, **fixed))

    mapped = model
    for _ in lead:
        mapped = jax.vmap(mapped, in_axes=({k: 0 if k in batched else None for k in inputs},))

    @jax.jit
    def function(arguments: Inputs) -> Any:
        return mapped(arguments | labels)

    outputs = framework_outputs(oracle, inputs, fixed, batched, lead)
    free = {k: v for k, v in fixed.items() if k in oracle.free_sizes}
    case = {
        "entry": oracle.id,
        "implementation": oracle.by,
        "inputs": inputs | {k: v for k, v in fixed.items() if k not in free},
        "sizes": free,
        "outputs": outputs,
    }
    last = {"rtol": oracle.rtol, "atol": oracle.atol, "batched": bool(batched)}
    if not real:
        agree(oracle, "outputs", outputs, function({}))
        return case | last
    agree(oracle, "outputs", outputs, function(real))
    cotangents = [rng.normal(size=value.shape) for value in outputs]
    tangents = {k: rng.normal(size=v.shape) for k, v in real.items()}
    vjp = jax.jit(lambda at, given: jax.vjp(function, at)[1](given)[0])(real, tuple(map(jax.numpy.asarray, cotangents)))
    jvp = jax.jit(lambda at, along: jax.jvp(function, (at,), (along,))[1])(real, tangents)
    along = sum(np.vdot(c, t) for c, t in zip(cotangents, jvp, strict=True))
    agree(oracle, "modes", [along], [sum(np.vdot(vjp[k], tangents[k]) for k in real)])
    case |= {"cotangents": cotangents, "vjp": vjp, "tangents": tangents, "jvp": list(jvp)} | last
    return case if batched else case | second_part(jax, function, real, outputs)


def second_part(jax: Any, function: Any, real: Inputs, outputs: list[Any]) -> Inputs:
    """Jacobians (a list over the outputs for each symbol) and, of a scalar output, Hessians; small ones only."""
    numbers = sum(value.size for value in outputs)
    result: Inputs = {}
    jacobian = {}
    for name, value in real.items():
        if numbers * value.size <= LARGEST_JACOBIAN:
            jacobian[name] = list(jax.jit(jax.jacrev(lambda v, n=name: function(real | {n: v})))(value))
    if jacobian:
        result["jacobian"] = jacobian
    if numbers == 1 and outputs[0].ndim == 0:
        result["hessian"] = {
            name: jax.jit(jax.hessian(lambda v, n=name: function(real | {n: v})[0]))(value)
            for name, value in real.items()
            if value.size**2 <= LARGEST_HESSIAN
        }
    return result


def agree(oracle: Oracle, what: str, first: Any, second: Any) -> None:
    """Stop where two independent routes differ."""
    for a, b in zip(first, second, strict=True):
        if not np.allclose(a, b, rtol=oracle.rtol, atol=oracle.atol):
            sys.exit(f"{oracle.id}: {what} disagree: {a} and {b}")


def cases_of(oracle: Oracle) -> list[Inputs]:
    """All cases of an equation: sizes x whole numbers, then batches, then special inputs."""
    rng = np.random.default_rng([ord(letter) for letter in oracle.id])
    cases = []
    for sizes in oracle.sizes:
        fixed_sizes = {name: sizes[name] for name in oracle.free_sizes}
        for integers in oracle.integers:
            cases.append(make_case(oracle, draw(oracle, rng, sizes, {}), integers | fixed_sizes, set(), (), rng))
    sizes, integers = oracle.sizes[0], oracle.integers[min(1, len(oracle.integers) - 1)]
    fixed = integers | {name: sizes[name] for name in oracle.free_sizes}
    for number, names in enumerate(oracle.batches):
        axes = LEAD[2] if number == 0 and len(oracle.arguments) < 5 else LEAD[1]
        inputs = draw(oracle, rng, sizes, dict.fromkeys(names, axes))
        cases.append(make_case(oracle, inputs, fixed, set(names), axes, rng))
    for given in oracle.special_inputs:
        whole = {k: given[k] for k in given if k not in oracle.arguments}
        inputs = {
            k: np.asarray(v, None if "label" in oracle.arguments[k] else float)
            for k, v in given.items()
            if k not in whole
        }
        rank = len(oracle.arguments[next(iter(inputs))].partition(":")[2].split())
        lead = next(iter(inputs.values())).shape[rank:] if rank == 0 else ()
        cases.append(make_case(oracle, inputs, whole, set(inputs) if lead else set(), lead, rng))
    return cases


def plain(value: Any) -> Any:
    """Lists and numbers, for JSON; anything not finite is an error."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, (str, bool, int, float)):
        return value
    array = np.asarray(value)
    if not np.isfinite(array).all():
        raise ValueError("a value is not finite")
    return array.tolist()


def lines_of(name: str) -> list[str]:
    """The cases of an equation as they are written: one line a case, so that a change of one shows as one."""
    (oracle,) = (oracle for oracle in importlib.import_module("entries").ORACLES if oracle.id == name)
    try:
        return [json.dumps(plain(case), allow_nan=False) for case in cases_of(oracle)]
    finally:
        importlib.import_module("jax").clear_caches()  # compiled code of finished cases takes gigabytes otherwise


def document(wanted: Collection[str]) -> str:
    """The file's text, with new cases of the wanted equations (all of them if none is wanted)."""
    entries = importlib.import_module("entries")
    if unknown := set(wanted) - {oracle.id for oracle in entries.ORACLES}:
        sys.exit(f"no oracle is called {', '.join(sorted(unknown))}")
    kept: dict[str, list[str]] = {}
    if wanted:
        for case in json.loads(PATH.read_text(encoding="utf-8"))["cases"]:
            kept.setdefault(case["entry"], []).append(json.dumps(case))
    names = sorted(oracle.id for oracle in entries.ORACLES)
    anew = [name for name in names if name in wanted or not wanted]
    workers = min(os.cpu_count() or 1, MOST_WORKERS, len(anew))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        made = dict(zip(anew, pool.map(lines_of, anew), strict=True))
    lines = [line for name in names for line in (made if name in made else kept).get(name, [])]
    made_by = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    reasons = json.dumps(entries.UNCOMPARED, indent=0)
    return (
        f'{{"versions": {json.dumps(made_by)},\n"uncompared": {reasons},\n"cases": [\n' + ",\n".join(lines) + "\n]}\n"
    )


def same(first: Any, second: Any) -> bool:
    """Whether two documents agree up to rounding."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, float) and isinstance(second, float):
        return bool(np.isclose(first, second, rtol=1e-9, atol=1e-11))
    return bool(first == second)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the oracle values of the tests.")
    parser.add_argument("id", nargs="*", help="make these anew and keep the others (default: all)")
    parser.add_argument("--check", action="store_true", help="compare with the committed file instead of writing it")
    arguments = parser.parse_args()
    text = document(arguments.id)
    if arguments.check:
        made, committed = json.loads(text), json.loads(PATH.read_text(encoding="utf-8"))
        if not all(same(made[part], committed[part]) for part in ("uncompared", "cases")):
            sys.exit(f"{PATH} differs from what the frameworks compute here")
        print(f"{PATH}: {len(committed['cases'])} cases agree")
        return
    PATH.write_text(text, encoding="utf-8")
    print(f"{PATH}: {len(json.loads(text)['cases'])} cases, {len(text)} bytes")


if __name__ == "__main__":
    main()
