"""The numbers of a plot: the generated code of the entry, run for many values of what is varied."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from inspect import Parameter, signature
from math import prod
from typing import Any

import numpy as np

from kb.errors import NotDifferentiable
from kb.evidence.sampling import Sampler
from kb.index.nodes import Integral, walk
from kb.index.program import Step
from kb.lowering import compile_source, function_source
from kb.model import Entry
from kb.plot_programs import Plotted
from kb.programs import Programs

Array = Any  # a NumPy array of floats
Function = Callable[..., Any]
_LARGEST = 2_000_000  # numbers that an array of one call may have
_MOST = 100_000_000  # numbers that all calls together may compute


class TooLarge(ValueError):
    """A plot that would take too long."""


class Computation:
    """What a plot shows, and its derivatives, as functions of what is varied. Raises TooLarge."""

    def __init__(self, programs: Programs, entry: Entry, plotted: Plotted) -> None:
        assert plotted.program is not None
        self.programs, self.entry, self.plotted = programs, entry, plotted
        self.program = plotted.program
        self.function = compile_source(function_source(plotted.entry, self.program), entry.id)
        if self.volume > _LARGEST:
            raise TooLarge(entry.id)
        self.integers = {s.name for s in entry.arguments if s.kind == "integer" and not s.shape}
        self.keyword_sizes = self.sizes_for(self.function)

    def sizes_for(self, function: Function) -> dict[str, int]:
        """The sizes that a function cannot read off its arguments."""
        names = [p.name for p in signature(function).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
        return {name: self.plotted.sizes[name] for name in names if name != "tangents"}

    @cached_property
    def is_costly(self) -> bool:
        """Whether values take quadrature, so that few of them are to be computed."""
        steps = (step for step in self.program.steps if isinstance(step, Step))
        return any(isinstance(node, Integral) for step in steps for node in walk(step.expr))

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """Arguments of which a plot says nothing and that have no default: drawn from their domains."""
        known = {*self.plotted.plot.varied, *self.plotted.values}
        sizes = self.plotted.sizes
        sampler = Sampler(self.entry, self.programs(self.entry.id), lambda i: self.programs.entries[i], "plot")
        found = {}
        for tensor in self.program.arguments:
            symbol = tensor.symbol
            assert symbol is not None
            if symbol.name not in known and symbol.default is None:
                shape = tuple(s.evaluate(lambda atom: sizes[str(atom)]) for s in tensor.shape)
                kind = int if symbol.kind in ("label", "integer") else float
                found[symbol.name] = np.array(_numbers(sampler.value(symbol, shape, sizes), kind))[()]
        return found

    @cached_property
    def read(self) -> frozenset[str]:
        """Arguments and dimensions on which what is shown depends."""
        shown = {held for _, held in self.program.returns}
        steps = self.program.needed(shown)
        names = {name for step in steps for name in step.inputs}
        sizes = {str(atom) for name in names for size in self.program.shape(name) for atom in size.atoms()}
        free = {str(atom) for step in steps for size in step.shape for atom in size.atoms()}
        # Integers are read in places of all kinds; an argument that is shown as it is needs none of them.
        integers = self.integers if {step.name for step in steps} - shown else set()
        return frozenset(names | sizes | free | integers)

    @cached_property
    def constants(self) -> dict[str, Any]:
        """Arguments that are given numbers as they stand, for which no code is needed."""
        found = {}
        for name, text in self.plotted.plot.given:
            with suppress(ValueError, RecursionError):
                kind = int if self.plotted.values[name].entry is None else float
                found[name] = np.array(json.loads(text), dtype=kind)[()]
        return found

    @cached_property
    def given(self) -> dict[str, Function]:
        """The functions that compute what arguments are given."""
        made: dict[str, Function] = {}
        for name, value in self.plotted.values.items():
            if name not in self.constants and value.entry is not None and value.program is not None:
                function = compile_source(function_source(value.entry, value.program), self.entry.id)
                made[name] = partial(function, **self.sizes_for(function))
        return made

    @cached_property
    def volume(self) -> int:
        """How many numbers the largest array of one evaluation has."""
        sizes = self.plotted.sizes
        found = 1
        for tensor in self.program.tensors.values():
            try:
                found = max(found, prod(s.evaluate(lambda atom: sizes[str(atom)]) for s in tensor.shape))
            except KeyError:  # an axis of something that is not drawn
                continue
        return found

    # --- values -------------------------------------------------------------------------------------

    def __call__(self, varied: Mapping[str, Any]) -> tuple[Array, ...]:
        """What is shown, for arrays (of one axis) or numbers of all that is varied: points first, then its own axes."""
        return self._in_parts(varied, self._values)

    def _values(self, varied: Mapping[str, Any]) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return _tuple(self.function(**self._arguments(varied), **self.keyword_sizes))

    def _arguments(self, varied: Mapping[str, Any]) -> dict[str, Any]:
        known = self.fixed | self.constants
        known |= {name: function(**varied) for name, function in self.given.items()}
        names = {s.name for s in self.entry.arguments}
        known |= {name: value for name, value in varied.items() if name in names}
        return {name: int(value) if name in self.integers else value for name, value in known.items()}

    def _in_parts(
        self, varied: Mapping[str, Any], compute: Callable[[Mapping[str, Any]], tuple[Array, ...]]
    ) -> tuple[Array, ...]:
        """Few points at a time where arrays are large, one where an integer is varied, as code takes only one."""
        points = max((np.size(v) for v in varied.values() if np.ndim(v)), default=0)
        if points * self.volume > _MOST:
            raise TooLarge(self.entry.id)
        whole = any(np.ndim(value) for name, value in varied.items() if name in self.integers)
        step = 1 if whole else max(1, _LARGEST // self.volume)
        if points <= step and not whole:
            return compute(varied)
        rows = []
        for start in range(0, points, step):
            cut = start if whole else slice(start, start + step)
            rows.append(compute({name: v[cut] if np.ndim(v) else v for name, v in varied.items()}))
        join = np.stack if whole else np.concatenate
        return tuple(join(parts) for parts in zip(*rows, strict=True))

    # --- derivatives --------------------------------------------------------------------------------

    def slopes(self, varied: Mapping[str, Any], by: str) -> tuple[Array, ...] | None:
        """The derivatives of what is shown by one of the names that are varied; None where there are none."""
        if self._tangent is None or by in self.integers:
            return None
        return self._in_parts(varied, lambda part: self._slopes(part, by))

    def _slopes(self, varied: Mapping[str, Any], by: str) -> tuple[Array, ...]:
        assert self._tangent is not None
        tangents: dict[str, Any] = {}
        with np.errstate(all="ignore"):
            for name in self.given:
                tangents[name] = self._given_tangent(name, by)(**varied, tangents={by: _ones(varied[by])})
            if by in {s.name for s in self.entry.arguments}:
                tangents[by] = _ones(varied[by])
            return _tuple(self._tangent(**self._arguments(varied), **self.keyword_sizes, tangents=tangents))

    @cached_property
    def _tangent(self) -> Function | None:
        names = {*self.given, *(name for name, _ in self.plotted.plot.over)}
        wrt = [s.name for s in self.entry.arguments if s.name in names and s.is_differentiable]
        try:
            return compile_source(function_source(self.plotted.entry, self.program, "jvp", wrt), f"{self.entry.id}_jvp")
        except NotDifferentiable:
            return None

    def _given_tangent(self, name: str, by: str) -> Function:
        made = self._given_tangents.get((name, by))
        value = self.plotted.values[name]
        if made is None:
            assert value.entry is not None and value.program is not None
            source = function_source(value.entry, value.program, "jvp", [by])
            function = compile_source(source, f"{value.entry.id}_jvp")
            made = self._given_tangents[name, by] = partial(function, **self.sizes_for(function))
        return made

    @cached_property
    def _given_tangents(self) -> dict[tuple[str, str], Function]:
        return {}


def _ones(value: Any) -> Array:
    return np.ones_like(np.asarray(value, dtype=float))


def _tuple(found: Any) -> tuple[Array, ...]:
    return tuple(map(np.asarray, found)) if isinstance(found, tuple) else (np.asarray(found),)


def _numbers(value: Any, kind: type) -> Any:
    return [_numbers(item, kind) for item in value] if isinstance(value, list) else kind(value)
