"""Whether the parts of an array that is defined piecewise cover it, each element once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from kb.index.affine import Atom, Facts, Poly
from kb.index.program import Step

_SAMPLES = (2, 3, 4, 5, 6, 7)
_MOST = 4000


def cover_fault(parts: Sequence[Step], facts: Facts) -> str:
    """What is wrong with the parts, or an empty string. Tried on all small sizes."""
    atoms = sorted({str(a) for p in parts for s in p.shape for a in s.atoms() if isinstance(a, str)})
    for sizes in product(_SAMPLES, repeat=min(len(atoms), 3)):
        values = dict(zip(atoms, (*sizes, *([3] * len(atoms))), strict=False))
        fault = _at_sizes(parts, values)
        if fault:
            named = ", ".join(f"{k} = {v}" for k, v in values.items())
            return f"{fault} (with {named}); the left sides must cover every element exactly once"
    return ""


def _at_sizes(parts: Sequence[Step], values: dict[str, int]) -> str:
    def number(poly: Poly, indices: dict[Atom, int]) -> int:
        return poly.evaluate(lambda a: indices[a] if a in indices else values[str(a)])

    shape = [number(s, {}) for s in parts[0].shape]
    seen: set[tuple[int, ...]] = set()
    for part in parts:
        ranges = [range(number(i.extent, {})) for i in part.free]
        for n, place in enumerate(product(*ranges)):
            if n > _MOST:
                break
            indices: dict[Atom, int] = dict(zip(part.free, place, strict=True))
            at = tuple(number(p, indices) for p in part.target)
            if any(not 0 <= a < s for a, s in zip(at, shape, strict=True)):
                return f"write element {list(at)} of an array of shape {shape}"
            if at in seen:
                return f"write element {list(at)} twice"
            seen.add(at)
    if len(seen) < _product(shape) and _product(shape) <= _MOST:
        missing = next(at for at in product(*map(range, shape)) if at not in seen)
        return f"leave element {list(missing)} undefined"
    return ""


def _product(shape: Sequence[int]) -> int:
    result = 1
    for s in shape:
        result *= s
    return result
