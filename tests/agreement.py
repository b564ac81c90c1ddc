"""What the numeric tests share: small equations from text, and comparisons of all forms of their code.

Three independent voices are compared: the reference interpreter of the tree, the generated NumPy
code, and differences of that code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np

import kb
from kb import interpreter
from kb.equation import Equation, Source
from kb.errors import Fault
from kb.evidence.requirements import holds
from kb.evidence.spectra import Spectra
from kb.evidence.subject import Subject
from kb.index.affine import Poly
from kb.lowering import compile_source
from kb.model import Entry, Symbol
from kb.parser import parse_expression
from kb.programs import Programs
from kb.typed import parse_symbols

Array = Any
Arguments = dict[str, Any]
ALL = sys.maxsize


@cache
def shipped() -> Any:
    """The shipped catalogue, read once."""
    return kb.load_catalogue()


def equation(
    define: str | Sequence[str], symbols: str, *, own: Sequence[Symbol] = (), entry_id: str = "own"
) -> Equation:
    """An equation whose symbols are written as for ``kb.parse``; ``own`` adds declarations such as outputs.

    Unlike ``kb.parse`` it declares everything, so that ids, ``outside`` and shapes can be chosen.
    """
    steps = (define,) if isinstance(define, str) else tuple(define)
    entry = Entry(entry_id, entry_id, symbols=(*parse_symbols(symbols), *own), define=steps)
    return of_entry(entry)


def of_entry(entry: Entry) -> Equation:
    """The equation of an entry that may call those of the shipped catalogue."""
    programs = Programs({**shipped().records, entry.id: entry})

    def faults(entry_id: str) -> list[Fault]:
        return [fault for _, fault in programs.faults(entry_id)]

    return Equation(entry, Source(programs, faults))


def output(name: str, *shape: str) -> Symbol:
    """The declaration of an output."""
    return Symbol(name, shape, role="output")


# --- arguments -----------------------------------------------------------------------------------


def size_of(poly: Poly, sizes: Mapping[str, int]) -> int:
    """The number that a size stands for."""
    return poly.evaluate(lambda atom: sizes[str(atom)])


def sizes_of(eq: Equation) -> dict[str, int]:
    """Distinct small sizes that the requirements of the shipped entries allow."""
    tall = bool(Spectra(eq.program).steps)  # matrices that are decomposed have no more columns than rows
    taken = cycle((4, 3, 2, 5) if tall else (3, 4, 2, 5))
    sizes = {name: next(taken) for name in eq.program.dimensions}
    known = {"H": 5, "W": 6, "C_in": 2, "C_out": 2, "r": 2, "q": 3, "N": 4, "h": 2}
    sizes.update({name: size for name, size in known.items() if name in sizes})
    for tensor in eq.program.arguments:
        if tensor.symbol is not None and tensor.symbol.kind == "integer":
            sizes[tensor.name] = int(tensor.symbol.default or 2)
    conditions = [parse_expression(text) for text in eq.entry.requires]
    larger = [sizes, *(sizes | {name: 7} for name in eq.program.dimensions)]
    return next((tried for tried in larger if all(holds(c, tried) is not False for c in conditions)), sizes)


def draw(eq: Equation, sizes: Mapping[str, int], seed: int = 0) -> Arguments:
    """Random arguments of the domains, away from kinks with probability one."""
    rng = np.random.default_rng(seed)
    made: Arguments = {}
    for tensor in eq.program.arguments:
        symbol = tensor.symbol
        assert symbol is not None
        shape = tuple(size_of(s, sizes) for s in tensor.shape)
        if symbol.kind == "label":
            made[symbol.name] = rng.integers(0, sizes[str(symbol.classes)], shape)
        elif symbol.kind == "integer":
            made[symbol.name] = sizes[symbol.name] if not shape else rng.integers(1, 4, shape)
        else:
            made[symbol.name] = _real(symbol.domain, shape, rng)
    return made


def _real(domain: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if domain in ("positive", "nonnegative", "nonzero"):
        return rng.uniform(0.5, 2, shape)
    if domain in ("unit", "simplex", "stochastic", "joint"):
        return rng.uniform(0.1, 0.9, shape)
    if domain in ("binary", "binary_diagonal", "one_hot"):
        return rng.integers(0, 2, shape).astype(float)
    if domain in ("positive_definite",):
        return rng.normal(size=shape) * 0.1 + 2 * np.eye(shape[-1])
    return rng.uniform(-1, 1, shape)


# --- the forms -----------------------------------------------------------------------------------


def tuple_of(value: Any) -> tuple[Any, ...]:
    """Outputs as a tuple, also where there is one."""
    return value if isinstance(value, tuple) else (value,)


def movable(eq: Equation) -> tuple[str, ...]:
    """The real arguments but masks and the like, which would select otherwise if they moved at all."""
    selecting = Subject(eq.entry, eq.program, eq.source.programs).selecting
    return tuple(name for name in eq.differentiable if name not in selecting)


@dataclass
class Forms:
    """All functions that are generated for an equation; ``given`` are its arguments."""

    eq: Equation
    given: Arguments
    sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        self.real = movable(self.eq)
        self.value = self.eq.lambdify()
        self.text = self.eq.source_of("backward", self.real)
        self.pull = compile_source(self.text, f"{self.eq.id}_vjp")
        names = {n: self.sizes[n] for n in self.eq.program.dimensions if f", {n}" in self.keywords}
        self.given = {**self.given, **names}

    @property
    def keywords(self) -> str:
        """The keyword-only part of the signature."""
        import inspect

        found = inspect.signature(self.value).parameters.values()
        return "".join(f", {p.name}" for p in found if p.kind is p.KEYWORD_ONLY)

    def outputs(self, **changed: Any) -> tuple[Any, ...]:
        return tuple_of(self.value(**{**self.given, **changed}))

    def interpreted(self) -> tuple[Array, ...]:
        """The outputs by the reference interpreter."""
        programs = self.eq.programs
        arguments = {n: np.asarray(v).tolist() for n, v in self.given.items() if n not in self.eq.program.dimensions}
        found = interpreter.run(self.eq.entry, programs.entries.__getitem__, arguments, dict(self.sizes), precision=20)
        values = []
        for public in self.eq.outputs:
            array = found[public]
            values.append(np.array([float(x) for x in array.data]).reshape(array.shape))
        return tuple(values)


def error(found: Any, expected: Any) -> float:
    """The largest difference, relative where values are large; infinite where shapes differ."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        gap = np.abs(found - expected) / (1 + np.abs(expected))
    gap = np.where(found == expected, 0, gap)
    largest = float(np.max(gap, initial=0))
    return largest if largest == largest else float("inf")


def difference(f: Callable[[float], Sequence[Any]], h: float = 1e-4) -> list[Array]:
    """Derivatives at 0 of functions of one number: central differences, extrapolated once."""
    near = [(np.asarray(a) - np.asarray(b)) / (2 * h) for a, b in zip(f(h), f(-h), strict=True)]
    far = [(np.asarray(a) - np.asarray(b)) / (4 * h) for a, b in zip(f(2 * h), f(-2 * h), strict=True)]
    return [(4 * n - d) / 3 for n, d in zip(near, far, strict=True)]


def random_like(value: Any, rng: np.random.Generator) -> Array:
    return rng.uniform(-1, 1, np.shape(value))


def disagreements(eq: Equation, sizes: Mapping[str, int], seed: int = 0, *, second: int = ALL) -> dict[str, float]:
    """How far the forms are from each other: value, vjp, jvp, jacobian, hessian, batches, arguments changed.

    ``second`` is the number of symbols, from the first, of which the Hessians are compared.
    """
    rng = np.random.default_rng(seed + 1)
    forms = Forms(eq, draw(eq, sizes, seed), sizes)
    copies = {name: np.array(v, copy=True) for name, v in forms.given.items()}
    base = forms.outputs()
    found = {"value": max((error(a, b) for a, b in zip(base, forms.interpreted(), strict=True)), default=0.0)}
    if forms.real:
        found |= _first_order(forms, base, rng)
        found |= _jacobians(forms, base, rng, second)
    found |= _batches(forms, rng)
    found["arguments changed"] = max(error(v, copies[n]) for n, v in forms.given.items()) if forms.given else 0.0
    return found


def _bundle(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else tuple(parts)


def _first_order(forms: Forms, base: tuple[Any, ...], rng: np.random.Generator) -> dict[str, float]:
    cotangents = [random_like(o, rng) for o in base]
    tangents = {name: random_like(forms.given[name], rng) for name in forms.real}
    gradients = forms.pull(**forms.given, cotangent=_bundle(cotangents))
    push = forms.eq.jvp().lambdify()
    vjp_error, jvp_error = 0.0, 0.0
    if list(gradients) != list(forms.real):
        return {"vjp": float("inf")}
    for name in forms.real:
        value, tangent = np.asarray(forms.given[name]), tangents[name]
        slopes = difference(lambda t, n=name, v=value, d=tangent: forms.outputs(**{n: v + t * d}))  # type: ignore[misc]
        pulled = sum(np.sum(c * s) for c, s in zip(cotangents, slopes, strict=True))
        if np.shape(gradients[name]) != value.shape:
            return {"vjp": float("inf")}
        vjp_error = max(vjp_error, error(np.sum(gradients[name] * tangent), pulled))
        pushed = tuple_of(push(**forms.given, tangents={name: tangent}))
        jvp_error = max(jvp_error, *(error(p, s) for p, s in zip(pushed, slopes, strict=True)))
    return {"vjp": vjp_error, "jvp": jvp_error}


def _jacobians(forms: Forms, base: tuple[Any, ...], rng: np.random.Generator, second: int) -> dict[str, float]:
    first_error, second_error = 0.0, 0.0
    for place, name in enumerate(forms.real):
        value = np.asarray(forms.given[name])
        tangent = random_like(value, rng)
        jacobian = forms.eq.jacobian(name).lambdify()

        def moved(t: float, f: Any = None, n: str = name, v: Array = value, d: Array = tangent) -> tuple[Any, ...]:
            return tuple_of(f(**{**forms.given, n: v + t * d}))

        slopes = difference(lambda t: moved(t, forms.value))
        for j, o, s in zip(tuple_of(jacobian(**forms.given)), base, slopes, strict=True):
            if np.shape(j) != np.shape(o) + value.shape:
                return {"jacobian": float("inf")}
            first_error = max(first_error, error(np.tensordot(j, tangent, tangent.ndim), s))
        if place >= second:
            continue
        slopes = difference(lambda t, j=jacobian: moved(t, j))  # type: ignore[misc]
        for h, o, s in zip(tuple_of(forms.eq.hessian(name).lambdify()(**forms.given)), base, slopes, strict=True):
            if np.shape(h) != np.shape(o) + value.shape * 2:
                return {"hessian": float("inf")}
            second_error = max(second_error, error(np.tensordot(h, tangent, tangent.ndim), s))
    return {"jacobian": first_error, "hessian": second_error}


def _batches(forms: Forms, rng: np.random.Generator) -> dict[str, float]:
    """Extra leading axes on all, every other and single arguments: as one call for each of a batch."""
    tensors = {t.name: t for t in forms.eq.program.arguments}
    names = [n for n, t in tensors.items() if t.symbol is not None and t.symbol.kind != "integer"]
    worst = {"batch": 0.0, "batch vjp": 0.0}
    choices = {tuple(names), tuple(names[::2]), tuple(names[1::2]), *((n,) for n in names[:3])}
    for lead in ((3,), (2, 1)):
        for chosen in sorted(c for c in choices if c):
            if lead != (3,) and chosen != tuple(names) and chosen != tuple(names[::2]):
                continue
            for kind, size in _batch(forms, chosen, lead, rng).items():
                worst[kind] = max(worst[kind], size)
    return worst


def _batch(forms: Forms, chosen: Sequence[str], lead: tuple[int, ...], rng: np.random.Generator) -> dict[str, float]:
    given = dict(forms.given)
    for name in chosen:
        value = np.asarray(given[name])
        copies = np.broadcast_to(value, (*lead, *value.shape))
        factor = rng.uniform(0.9, 1.1, lead).reshape(lead + (1,) * value.ndim)
        given[name] = copies * factor if name in forms.real else copies
    together = tuple_of(forms.value(**given))
    places = list(np.ndindex(*lead))
    alone = [{n: v[z] if n in chosen else v for n, v in given.items()} for z in places]
    single = [tuple_of(forms.value(**one)) for one in alone]
    found = {"batch": 0.0}
    for n, whole in enumerate(together):
        expected = np.stack([s[n] for s in single]).reshape(lead + np.shape(single[0][n]))
        found["batch"] = max(found["batch"], error(whole, expected))
    if not forms.real or found["batch"] == float("inf"):
        return found
    cotangents = [random_like(o, rng) for o in together]
    gradients = forms.pull(**given, cotangent=_bundle(cotangents))
    parts = [
        forms.pull(**one, cotangent=_bundle([c[z] for c in cotangents])) for one, z in zip(alone, places, strict=True)
    ]
    found["batch vjp"] = 0.0
    for name in forms.real:
        stacked = np.stack([p[name] for p in parts])
        expected = stacked.reshape(lead + stacked.shape[1:]) if name in chosen else stacked.sum(axis=0)
        found["batch vjp"] = max(found["batch vjp"], error(gradients[name], expected))
    return found


TOLERANCES = {"value": 1e-10, "vjp": 1e-6, "jvp": 1e-6, "jacobian": 1e-6, "hessian": 1e-5, "batch": 1e-10}


def assert_agree(eq: Equation, sizes: Mapping[str, int], seed: int = 0, *, second: int = ALL) -> None:
    """All forms agree, at the given sizes and where every dimension is 1."""
    found = disagreements(eq, sizes, seed, second=second)
    bad = {kind: size for kind, size in found.items() if not size < TOLERANCES.get(kind, 1e-10)}
    assert not bad, (bad, eq.entry.define)
