"""Measure eqkb against its targets: ``python benchmarks/run.py`` prints tables and always exits with 0.

Generated NumPy against the hand-written baselines (time: the smallest of interleaved repetitions; memory: the
traced peak of a run of its own), all declared derivatives from cold, how long the command takes to start, the
cheat sheets, and the website.
A ratio is generated/baseline: 1.00 is as good as the hand-written code. Rows marked "blocked" compare with a
baseline that works through blocks of rows; they have no target.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import baselines as hand
import loops
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MEMORY_TARGET = 1.3
MILLI = 1e3

COLD_DERIVATIVES = """
import json, sys, time
import kb
catalogue = kb.load_catalogue()
part, parts = map(int, sys.argv[1:])
times, failures = {}, {}
for name, equation in list(catalogue.items())[part::parts]:
    for symbol in equation.entry.differentiate if hasattr(equation, "entry") else equation.differentiable:
        forms = {
            "partial": lambda: equation.derivative(symbol),
            "jacobian": lambda: equation.jacobian(symbol),
            "vjp": lambda: equation.vjp(wrt=[symbol]),
            "jvp": lambda: equation.jvp(),
            "hessian": lambda: equation.hessian(symbol),
        }
        outputs = [s for s in equation.symbols.values() if getattr(s, "role", "") == "output"]
        if len(outputs) != 1 or outputs[0].shape:
            del forms["hessian"]
        for form, derive in forms.items():
            start = time.perf_counter()
            try:
                derive().text()
            except Exception as error:  # a failure is a line of the table, not the end of the benchmark
                failures[f"{name} {symbol} {form}"] = f"{type(error).__name__}: {error}"
            times[f"{name} {symbol} {form}"] = time.perf_counter() - start
print(json.dumps({"times": times, "failures": failures}))
"""


# What is done with some entries from all over the catalogue, all of it anew: every so many-th, from one on.
_FIRST = """
import sys, time
import kb
from kb.programs import Programs
from kb.validation import semantic_faults
catalogue = kb.load_catalogue()
ids = list(catalogue)[int(sys.argv[1])::int(sys.argv[2])]
start = time.perf_counter()
"""
_SPENT = "print(time.perf_counter() - start)"
GROWTH = {
    "validate": _FIRST
    + "programs = Programs(catalogue.records)\nfor i in ids: assert not semantic_faults(programs, i)\n"
    + _SPENT,
    "search": _FIRST
    + "from kb.search import search\nfor _ in range(20): search([catalogue.entry(i) for i in ids], ['lernrate'])\n"
    + _SPENT,
    "derivatives": _FIRST
    + "for i in ids:\n    for s in catalogue[i].entry.differentiate: catalogue[i].vjp(wrt=[s]).text()\n"
    + _SPENT,
}


@dataclass(frozen=True)
class Kernel:
    """One size of one equation, with the hand-written forward and backward pass.

    ``target`` is the largest allowed ratio of times; None where the row only informs.
    """

    entry: str
    label: str
    inputs: dict[str, Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    target: float | None


def _lstm_inputs(rng: np.random.Generator, batch: int, n: int, m: int) -> dict[str, Any]:
    inputs: dict[str, Any] = {k: rng.standard_normal((batch, v)) for k, v in (("x", n), ("h_prev", m), ("c_prev", m))}
    for gate in hand.GATES:
        inputs[f"W_x{gate}"] = rng.standard_normal((m, n)) / n**0.5
        inputs[f"W_h{gate}"] = rng.standard_normal((m, m)) / m**0.5
        inputs[f"b_{gate}"] = rng.standard_normal(m)
    return inputs


def kernels() -> list[Kernel]:
    """What is measured: a million elements or more in each."""
    rng = np.random.default_rng(0)
    normal = rng.standard_normal

    def softmax(shape: tuple[int, ...]) -> dict[str, Any]:
        return {"z": normal(shape)}

    def attention(*lead: int, n: int, m: int) -> dict[str, Any]:
        return {"Q": normal((*lead, n, 64)), "K": normal((*lead, m, 64)), "V": normal((*lead, m, 48))}

    def convolution(s: int, *shape: int) -> dict[str, Any]:
        return {"x": normal(shape), "K": normal((32, 16, 3, 3)), "b": normal(32), "s": s, "p": 1}

    matrix, single = softmax((1000, 1000)), attention(n=1000, m=1100)
    batch_norm = {"x": normal((2000, 500)), "gamma": normal(500), "beta": normal(500), "eps": 1e-5}
    logits = {"x": normal((1000, 1000)), "y": rng.integers(0, 1000, 1000)}
    conv, pool = (hand.conv2d, hand.conv2d_vjp, 1.5), (hand.max_pool2d, hand.max_pool2d_vjp, 1.5)
    images = normal((16, 16, 64, 64))
    scores = "scaled_dot_product_attention"
    layer = _lstm_inputs(rng, 32, 64, 128)
    layer = {"x": normal((32, 100, 64)), "h_0": layer.pop("h_prev"), "c_0": layer.pop("c_prev")} | {
        name: weights for name, weights in layer.items() if name != "x"
    }
    rewards, signals = {"r": normal((64, 1000)), "gamma": 0.99}, {"x": normal((1000, 1000))}
    return [
        Kernel("softmax", "1000 x 1000", matrix, hand.softmax, hand.softmax_vjp, 1.25),
        Kernel("softmax", "1000 x 1000 blocked", matrix, hand.softmax_blocked, hand.softmax_vjp_blocked, None),
        Kernel("softmax", "1000000", softmax((10**6,)), hand.softmax, hand.softmax_vjp, 1.25),
        Kernel(
            "cross_entropy_with_logits",
            "1000 x 1000",
            logits,
            hand.cross_entropy_with_logits,
            hand.cross_entropy_with_logits_vjp,
            1.25,
        ),
        Kernel("batch_norm", "2000 x 500", batch_norm, hand.batch_norm, hand.batch_norm_vjp, 1.25),
        Kernel(scores, "1000 x 1100, d 64", single, hand.attention, hand.attention_vjp, 1.25),
        Kernel(scores, "the same, blocked", single, hand.attention_blocked, hand.attention_vjp_blocked, None),
        Kernel(scores, "8 heads 384 x 400", attention(8, n=384, m=400), hand.attention, hand.attention_vjp, 1.25),
        Kernel(
            "lstm_cell", "256, 512 to 500", _lstm_inputs(rng, 256, 512, 500), hand.lstm_cell, hand.lstm_cell_vjp, 1.25
        ),
        Kernel("conv2d", "8 x 16 x 64 x 64", convolution(1, 8, 16, 64, 64), *conv),
        Kernel("conv2d", "the same, stride 2", convolution(2, 8, 16, 64, 64), *conv),
        Kernel("conv2d", "16 x 160 x 160", convolution(1, 16, 160, 160), *conv),
        Kernel("max_pool2d", "16 x 16 x 64 x 64, 2/2", {"I": images, "k": 2, "s": 2}, *pool),
        Kernel("max_pool2d", "16 x 16 x 64 x 64, 3/2", {"I": images, "k": 3, "s": 2}, *pool),
        Kernel("lstm_layer", "32 x 100, 64 to 128", layer, loops.lstm_layer, loops.lstm_layer_vjp, 1.5),
        Kernel("discounted_return", "64 x 1000", rewards, loops.discounted_return, loops.discounted_return_vjp, 1.5),
        Kernel("cumulative_sum", "1000 x 1000", signals, loops.cumulative_sum, loops.cumulative_sum_vjp, 1.5),
    ]


def interleaved(functions: Sequence[Callable[[], Any]], repetitions: int) -> list[float]:
    """The smallest time of each in seconds, taking turns so that a busy moment hits all."""
    best = [float("inf")] * len(functions)
    for function in functions:
        function()
    for _ in range(repetitions):
        for number, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def peak(function: Callable[[], Any]) -> int:
    """The peak of traced memory of one call, in bytes, without what was there before."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def verdict(measured: float, target: float | None) -> str:
    """``target 1.25 measured 1.08 ok``."""
    if target is None:
        return f"no target   measured {measured:6.2f}"
    return f"target {target:4.2f} measured {measured:6.2f} {'ok' if measured <= target else 'MISSED'}"


def largest_difference(first: Any, second: Any) -> float:
    """The largest difference of two results of the same structure, relative to the largest value."""
    if isinstance(first, dict):
        return max(largest_difference(first[k], second[k]) for k in first)
    if isinstance(first, tuple):
        return max(map(largest_difference, first, second))
    return float(np.max(np.abs(np.asarray(first) - second)) / (1 + np.max(np.abs(first))))


def measure_kernel(kernel: Kernel, catalogue: Any, repetitions: int) -> None:
    """Print the forward and the backward line of a kernel."""
    equation = catalogue[kernel.entry]
    value = kernel.forward(**kernel.inputs)
    rng = np.random.default_rng(1)
    cotangent: Any = (
        tuple(rng.standard_normal(v.shape) for v in value)
        if isinstance(value, tuple)
        else rng.standard_normal(value.shape)
    )
    passes: tuple[tuple[str, Any, Any, dict[str, Any]], ...] = (
        ("forward", equation.lambdify(), kernel.forward, {}),
        ("backward", equation.vjp().lambdify(), kernel.backward, {"cotangent": cotangent}),
    )
    for name, generated, baseline, extra in passes:
        arguments = kernel.inputs | extra

        ours, theirs = partial(generated, **arguments), partial(baseline, **arguments)
        difference = largest_difference(theirs(), ours())
        fast, best = interleaved((ours, theirs), repetitions)
        memory = peak(ours) / max(peak(theirs), 1)
        bound = MEMORY_TARGET if kernel.target else None
        print(
            f"{kernel.entry[:25]:26}{kernel.label:24}{name:9}"
            f"{fast * MILLI:8.2f} ms /{best * MILLI:8.2f} ms  {verdict(fast / best, kernel.target):36}"
            f" memory: {verdict(memory, bound)}" + ("" if difference < 1e-8 else f"  WRONG by {difference:.1e}")
        )


def measure_baselines(repetitions: int) -> None:
    """Only the hand-written code: milliseconds and traced peak."""
    for kernel in kernels():
        value = kernel.forward(**kernel.inputs)
        cotangent = tuple(map(np.ones_like, value)) if isinstance(value, tuple) else np.ones_like(value)
        passes = (
            partial(kernel.forward, **kernel.inputs),
            partial(kernel.backward, **kernel.inputs, cotangent=cotangent),
        )
        times, peaks = interleaved(passes, repetitions), [peak(function) for function in passes]
        columns = "".join(f"{t * MILLI:9.2f} ms{b / 2**20:8.1f} MB" for t, b in zip(times, peaks, strict=True))
        print(f"{kernel.entry[:28]:29}{kernel.label:24}{columns}")


def measure_derivatives() -> None:
    """All declared derivatives of all entries in two fresh processes, each with every other entry."""
    line = [sys.executable, "-c", COLD_DERIVATIVES]
    start = time.perf_counter()
    running = [
        subprocess.Popen([*line, str(part), "2"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for part in range(2)
    ]
    done = [process.communicate() for process in running]
    elapsed = time.perf_counter() - start
    if any(process.returncode for process in running):
        print("derivatives: a process failed:", *(stderr.strip().splitlines()[-1:] for _, stderr in done))
        return
    reports = [json.loads(stdout.splitlines()[-1]) for stdout, _ in done]
    times: dict[str, float] = {name: seconds for report in reports for name, seconds in report["times"].items()}
    print(f"{len(times)} derivatives, cold, in two processes, seconds: {verdict(elapsed, 30.0)}")
    print(f"the same, sum of both, seconds: {sum(times.values()):.1f}; the slowest:")
    for name, seconds in sorted(times.items(), key=lambda item: -item[1])[:5]:
        print(f"  {name:60} {verdict(seconds, 0.5)}")
    for name, message in ((n, m) for report in reports for n, m in report["failures"].items()):
        print(f"  FAILED {name}: {message}")


def measure_growth() -> None:
    """How the work grows from a sixth of the entries to all: the exponent of a power of their number.

    Some entries are much harder than others, so every part is the average of all such parts.
    """
    import kb

    total = len(kb.load_catalogue())
    for name, script in GROWTH.items():
        counts, seconds = [], []
        for parts in (6, 3, 2, 1):
            lines = [[sys.executable, "-c", script, str(first), str(parts)] for first in range(parts)]
            done = [subprocess.run(line, cwd=ROOT, capture_output=True, text=True) for line in lines]
            if failed := [run for run in done if run.returncode]:
                print(f"{name}: FAILED: {failed[0].stderr.strip().splitlines()[-1]}")
                break
            counts.append(total / parts)
            seconds.append(float(np.mean([float(run.stdout) for run in done])))
        else:
            exponent = np.polyfit(np.log(counts), np.log(seconds), 1)[0]
            row = ", ".join(f"{count:.0f}: {value:.2f} s" for count, value in zip(counts, seconds, strict=True))
            print(f"{name:12} exponent {exponent:.2f}   {row}")


def measure_commands(repetitions: int) -> None:
    """Start-up: seconds of some commands, and ratios to ``import click``."""
    for package in ("kb", "generators"):  # as an installed package has it, also where Python must not write it
        compileall.compile_dir(ROOT / package, quiet=1)
    eqkb = [sys.executable, "-m", "kb"]
    diff = [*eqkb, "diff", "scaled_dot_product_attention", "--wrt", "Q", "--form", "vjp"]
    click = [sys.executable, "-c", "import click"]
    lines = {"list": [*eqkb, "list"], "show softmax": [*eqkb, "show", "softmax"]}
    lines["search sofmax"] = [*eqkb, "search", "sofmax"]
    lines |= {"validate": [*eqkb, "validate"], "diff of attention": diff}
    failed = False
    for name, line in ({"import click": click} | lines).items():  # this also fills the cache
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            failed = True
            print(f"{name}: FAILED, exit {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}")
    if failed:  # a command that fails is fast: its time would look like a success
        print("commands: not measured")
        return

    def run(line: list[str]) -> Callable[[], Any]:
        return lambda: subprocess.run(line, cwd=ROOT, capture_output=True)

    started = ("list", "show softmax", "search sofmax")
    base, *times = interleaved([run(click), *(run(lines[name]) for name in started)], repetitions)
    print(f"python -c 'import click'  {base * MILLI:7.1f} ms")
    for name, seconds in zip(started, times, strict=True):
        print(f"eqkb {name + ', ratio':20} {verdict(seconds / base, 1.8)}")
    with tempfile.TemporaryDirectory() as empty:
        anew = {**os.environ, "XDG_CACHE_HOME": empty}
        start = time.perf_counter()
        subprocess.run(lines["validate"], cwd=ROOT, capture_output=True, env=anew)
        first = time.perf_counter() - start
    validate, difference = interleaved([run(lines["validate"]), run(diff)], 3)
    print(f"eqkb validate, seconds    {verdict(validate, 0.5)} (the first time, with nothing kept: {first:.2f})")
    print(f"eqkb diff, seconds        {verdict(difference, 1.0)}")


def measure_generated(repetitions: int) -> None:
    """Every kernel; one that fails is a line of the table."""
    import kb

    own = kb.load_catalogue(str(Path(__file__).with_name("recurrences.yaml")))
    catalogue: Any = {**kb.load_catalogue(), **own}
    for kernel in kernels():
        try:
            measure_kernel(kernel, catalogue, repetitions)
        except Exception as error:
            print(f"{kernel.entry[:25]:26}{kernel.label:24}FAILED: {type(error).__name__}: {error}")


def measure_cheat_sheets() -> None:
    """The texts and PDFs of the cheat sheets."""
    from sheets import measure_sheets

    measure_sheets()


def measure_website() -> None:
    """Its build, its pages and its search."""
    from website import measure_site

    measure_site()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure eqkb against its targets.")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument(
        "--only", choices=("kernels", "baselines", "derivatives", "growth", "commands", "sheets", "site")
    )
    chosen = parser.parse_args()
    sections: dict[str, Callable[[], None]] = {
        "kernels": lambda: measure_generated(chosen.repetitions),
        "derivatives": measure_derivatives,
        "growth": measure_growth,
        "commands": lambda: measure_commands(chosen.repetitions),
        "sheets": measure_cheat_sheets,
        "site": measure_website,
    }
    if chosen.only == "baselines":
        measure_baselines(chosen.repetitions)
        return
    for name, section in sections.items():
        if chosen.only in (None, name):
            print(f"--- {name}")
            section()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
