"""Helpers that generated modules carry with them, each copied in only where it is used.

They are real functions, so that they are linted, typed and tested like everything else; a
generated module contains their source and never imports this one. "Leading axes" are the extra
axes in front of what a symbol declares: a batch. Arrays without them are shared.
"""

# ruff: noqa: B905 - these lines are printed in generated modules, where brevity helps

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np


class ShapeError(ValueError):
    """Arrays whose shapes do not fit the declared symbols."""


def _arguments(symbols: Any, sizes: Any = ()) -> Any:
    """Check and convert arguments: ``(name, value, axes, padding)`` each, ``axes`` None for labels.

    Returns the arrays (floating, of one precision), the sizes by name, the shapes that were given
    and the leading shape.
    """
    size: Any = dict(sizes)
    origin: Any = {}
    arrays, lead, first = [], (), ""
    for name, value, axes, _ in symbols:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must hold real numbers, not {array.dtype}")
        if array.ndim < len(axes):
            raise ShapeError(f"{name} has shape {array.shape}, but needs the axes [{', '.join(map(str, axes))}]")
        extra = array.ndim - len(axes)
        for axis, found in zip(axes, array.shape[extra:]):
            if isinstance(axis, tuple):
                axis, found = _solve(name, axis, found)
            if isinstance(axis, str) and size.setdefault(axis, found) != found:
                raise ShapeError(
                    f"{axis} is {found} in {name}, but {size[axis]} in {origin.get(axis, 'the arguments')}"
                )
            origin.setdefault(axis, name)
        if extra:
            if lead and array.shape[:extra] != lead:
                raise ShapeError(f"{name} has the leading axes {array.shape[:extra]}, but {first} has {lead}")
            lead, first = array.shape[:extra], first or name
        arrays.append(array)
    for (name, _, axes, _), array in zip(symbols, arrays):
        wanted = tuple(
            axis(size) if callable(axis) else size.get(axis, axis) for axis in axes if not isinstance(axis, tuple)
        )
        exact = [n for axis, n in zip(axes, array.shape[array.ndim - len(axes) :]) if not isinstance(axis, tuple)]
        if wanted != tuple(exact):
            raise ShapeError(f"{name} has shape {array.shape[array.ndim - len(axes) :]}, but must have {wanted}")
    shape = {name: array.shape for (name, _, _, _), array in zip(symbols, arrays)}
    return _convert(symbols, arrays, lead), size, shape, lead


def _over(array: Any, rank: Any, lead: Any, padding: Any = 0) -> Any:
    """An argument that the whole batch shares, repeated along it (as a view)."""
    if array.ndim > rank or not lead:
        return array
    return np.broadcast_to(array, (*lead, *(1,) * padding, *array.shape))


def _solve(name: Any, axis: Any, found: Any) -> Any:
    """The dimension in an affine axis ``slope*dimension + offset``."""
    slope, dimension, offset = axis
    if (found - offset) % slope or (found - offset) // slope < 1:
        raise ShapeError(f"{name} has {found} along {slope}*{dimension} + {offset}, which fits no {dimension}")
    return dimension, (found - offset) // slope


def _convert(symbols: Any, arrays: Any, lead: Any) -> Any:
    """One floating type for all; Python numbers follow the arrays; batches are aligned."""
    kinds = [
        a.dtype
        for (_, v, _, p), a in zip(symbols, arrays)
        if a.dtype.kind == "f" and isinstance(v, np.ndarray | np.generic)
    ]
    dtype = np.result_type(*kinds) if kinds else np.dtype(float)
    if any(a.dtype.kind != "f" and a.ndim and p is not None for (_, _, _, p), a in zip(symbols, arrays)):
        dtype = np.result_type(dtype, float)
    converted = []
    for (name, _, axes, padding), array in zip(symbols, arrays):
        if padding is None:
            if array.dtype.kind == "f" and not np.all(array == np.floor(array)):
                raise TypeError(f"{name} is a label and must be whole")
            converted.append(array.astype(np.intp, copy=False))
            continue
        array = array.astype(dtype, copy=False)
        if padding and array.ndim > len(axes):
            array = array.reshape(lead + (1,) * padding + array.shape[len(lead) :])
        converted.append(array)
    return converted


def _integer(name: Any, value: Any, least: Any) -> Any:
    """A whole hyperparameter or size as a Python integer."""
    try:
        number = operator.index(value) if not isinstance(value, float) or value != int(value) else int(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise ShapeError(f"{name} must be at least {least}, not {number}")
    return number


def _cotangent(name: Any, value: Any, shape: Any, lead: Any, like: Any) -> Any:
    """The cotangent of one output, checked; 1 where it is left out and the output is a number."""
    if value is None:
        if shape:
            raise TypeError(f"the output {name} is an array: its cotangent must be given")
        return np.ones(lead, like), lead
    array = np.asarray(value)
    array = array.astype(
        np.result_type(like, array.dtype) if array.dtype.kind == "f" and array.ndim else like, copy=False
    )
    extra = array.ndim - len(shape)
    if extra < 0 or array.shape[extra:] != shape or (array.shape[:extra] != lead and (lead or extra == 0)):
        raise ShapeError(f"the cotangent of {name} has shape {array.shape}, but the output has {lead + shape}")
    return array, array.shape[:extra]


def _tangent(name: Any, tangents: Any, like: Any, rank: Any) -> Any:
    """The tangent of one argument, checked; zeros where it is left out."""
    if tangents is None or tangents.get(name) is None:
        return np.zeros_like(like)
    array = np.asarray(tangents[name])
    array = array.astype(like.dtype, copy=False)
    core = like.shape[like.ndim - rank :] if rank else ()
    if array.ndim < rank or (array.shape[array.ndim - rank :] if rank else ()) != core:
        raise ShapeError(f"the tangent of {name} has shape {array.shape}, but {name} has {like.shape}")
    if array.size == like.size:
        array = array.reshape(like.shape)
    return array


def _known(given: Any, names: Any, what: Any) -> Any:
    """Refuse tangents or cotangents of names that there are not."""
    for name in given or ():
        if name not in names:
            raise TypeError(f"{what} of {name!r}: there is no such symbol; there are {', '.join(names)}")


def _result(value: Any, shape: Any) -> Any:
    """A result in its full shape: what does not depend on the batch is repeated along it."""
    value = np.asarray(value)
    return value[()] if value.shape == shape else np.broadcast_to(value, shape).copy()[()]


def _gradient(value: Any, shape: Any) -> Any:
    """A cotangent in the shape of its argument: summed over the leading axes that the argument lacks."""
    value = np.asarray(value)
    if value.ndim > len(shape):
        value = value.sum(axis=tuple(range(value.ndim - len(shape))))
    return value[()] if value.shape == shape else np.broadcast_to(value, shape).copy()[()]


def _einsum(spec: Any, a: Any, b: Any, shape: Any = None, rank: Any = 0, store: Any = None) -> Any:
    """A sum of products of two arrays as one matrix product (``ij,jk->ik``).

    Leading axes are carried along. Given the ``shape`` of an argument of ``rank`` axes, those that
    it lacks are summed over in the same product.
    """
    inputs, out = spec.split("->")
    left, right = inputs.split(",")
    lead = a.shape[: a.ndim - len(left)] or b.shape[: b.ndim - len(right)]
    if lead:
        if a.ndim > len(left):
            a, left = a.reshape((math.prod(lead), *a.shape[a.ndim - len(left) :])), "Z" + left
        if b.ndim > len(right):
            b, right = b.reshape((math.prod(lead), *b.shape[b.ndim - len(right) :])), "Z" + right
        out = "Z" + out if shape is None or len(shape) > rank else out
        if _overlaps(a) or _overlaps(b):
            product = _sample_by_sample(spec, a, b, left, right, out)
            return product.reshape(lead + product.shape[1:]) if out[:1] == "Z" else product
    for letter in [c for c in left if c not in right and c not in out]:
        a, left = a.sum(axis=left.index(letter)), left.replace(letter, "")
    for letter in [c for c in right if c not in left and c not in out]:
        b, right = b.sum(axis=right.index(letter)), right.replace(letter, "")
    size = dict(zip(left + right, a.shape + b.shape))
    shared = [c for c in out if c in left and c in right]
    summed = [c for c in left if c in right and c not in out]
    rows = [c for c in out if c in left and c not in right]
    columns = [c for c in out if c in right and c not in left]
    # One operand of a batch is shared: a product for each element of the batch reads it in place.
    if "Z" in rows and len(rows) > 1:
        rows.remove("Z")
        shared = ["Z", *shared]
    elif "Z" in columns and len(columns) > 1:
        columns.remove("Z")
        shared = ["Z", *shared]
    if (rows or columns) and next(c for c in out if c not in shared) in columns:
        a, b, left, right, rows, columns = b, a, right, left, columns, rows
    x = _matrix(a, left, shared, rows, summed, size, store)
    y = _matrix(b, right, shared, summed, columns, size, store)
    if store is not None and summed:
        made = (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])
        if "product" not in store or store["product"].shape != made:
            store["product"] = np.empty(made, np.result_type(x, y))
        product = np.matmul(x, y, out=store["product"])
    else:
        product = x @ y if summed else x * y
    order = shared + rows + columns
    product = product.reshape([size[c] for c in order])
    product = product.transpose([order.index(c) for c in out])
    return product.reshape(lead + product.shape[1:]) if out[:1] == "Z" else product


def _accumulate(view: Any, taps: Any, spec: Any, a: Any, b: Any) -> Any:
    """Add a sum of products to a view of overlapping windows: a sample, then a tap at a time.

    ``taps`` are the axes of the view (from the end) along which its windows overlap.
    """
    inputs, out = spec.split("->")
    ranks = [len(letters) for letters in inputs.split(",")]
    store: Any = {}
    for sample in np.ndindex(view.shape[: view.ndim - len(out)]):
        parts = [array[sample] if array.ndim > rank else array for array, rank in zip((a, b), ranks)]
        product = np.moveaxis(_einsum(spec, parts[0], parts[1], store=store), taps, range(len(taps)))
        target = np.moveaxis(view[sample], taps, range(len(taps)))
        for tap in np.ndindex(*product.shape[: len(taps)]):
            target[tap] += product[tap]


def _overlaps(array: Any) -> Any:
    """Whether an array is a view of overlapping windows: gathering it would multiply its memory."""
    moving = [(n, abs(stride)) for n, stride in zip(array.shape, array.strides) if stride]
    span = sum((n - 1) * stride for n, stride in moving) + array.itemsize
    return array.ndim > 3 and span < math.prod(n for n, _ in moving) * array.itemsize


def _sample_by_sample(spec: Any, a: Any, b: Any, left: Any, right: Any, out: Any) -> Any:
    """The same product for one element of the batch after the other, in memory that is used again."""
    store: Any = {}
    result: Any = None
    count = a.shape[0] if left[0] == "Z" else b.shape[0]
    for z in range(count):
        part = _einsum(spec, a[z] if left[0] == "Z" else a, b[z] if right[0] == "Z" else b, store=store)
        if out[:1] != "Z":
            result = part.copy() if result is None else np.add(result, part, out=result)
            continue
        if result is None:
            result = np.empty((count, *part.shape), part.dtype)
        result[z] = part
    return result


def _matrix(array: Any, letters: Any, shared: Any, rows: Any, columns: Any, size: Any, store: Any) -> Any:
    """The axes of an array gathered as ``(shared..., rows, columns)``; a shared axis it lacks is 1."""
    own = [c for c in shared if c in letters]
    # Windows are copied; the long axis goes innermost, and the matrix product reads a transpose.
    turned = _overlaps(array) and rows and columns and size[rows[-1]] > size[columns[-1]]
    if turned:
        rows, columns = columns, rows
    array = array.transpose([letters.index(c) for c in [*own, *rows, *columns]])
    if store is not None and _overlaps(array):
        if array.shape not in store:
            store[array.shape] = np.empty(array.shape, array.dtype)
        np.copyto(store[array.shape], array)
        array = store[array.shape]
    front = [size[c] if c in own else 1 for c in shared]
    array = array.reshape((*front, math.prod(size[c] for c in rows), math.prod(size[c] for c in columns)))
    return array.mT if turned else array


def _pool(best: Any, array: Any, axis: Any, start: Any, places: Any, taps: Any) -> Any:
    """The largest (``np.maximum``) or smallest value of each window along one axis (from the end).

    ``places`` and ``taps`` are ``(count, step)``: window i begins at ``start + i*step``.
    """
    (count, step), (width, move) = places, taps
    result: Any = None
    for tap in range(width):
        begin = start + tap * move
        key = [slice(None)] * array.ndim
        key[axis] = slice(begin, begin + (count - 1) * step + 1 if count else begin, step)
        part = array[tuple(key)]
        if tap < 2:
            result = part if tap == 0 else best(result, part)
        else:
            best(result, part, out=result)
    return result.copy() if width == 1 else result


def _view(array: Any, rank: Any, axes: Any, outside: Any = False) -> Any:
    """A strided view: each axis is ``(start, (count, step), ...)``; element (i, u) reads start + i*step + u*step'.

    ``outside`` pads with zeros where reads go past the ends. Leading axes stay in front.
    """
    if outside:
        array, axes = _padded(array, rank, axes)
    lead = array.ndim - rank
    shape, strides = list(array.shape[:lead]), list(array.strides[:lead])
    key = [slice(None)] * lead
    for (start, *moves), stride in zip(axes, array.strides[lead:]):
        key.append(slice(start, None))
        shape += [count for count, _ in moves]
        strides += [stride * step for _, step in moves]
    if 0 in shape:
        return np.zeros(shape, array.dtype)
    return np.lib.stride_tricks.as_strided(array[tuple(key)], shape, strides)


def _padded(array: Any, rank: Any, axes: Any) -> Any:
    """Zeros around an array, as many as the reads need; and the reads moved accordingly."""
    widths, moved = [(0, 0)] * (array.ndim - rank), []
    for (start, *moves), n in zip(axes, array.shape[array.ndim - rank :]):
        reach = [(count - 1) * step for count, step in moves]
        low = start + sum(r for r in reach if r < 0)
        high = start + sum(r for r in reach if r > 0)
        before, after = max(0, -low), max(0, high - n + 1)
        widths.append((before, after))
        moved.append((start + before, *moves))
    if not any(before or after for before, after in widths):
        return array, axes
    grown = np.zeros([n + b + e for n, (b, e) in zip(array.shape, widths)], array.dtype)
    grown[tuple(slice(b, b + n) for n, (b, _) in zip(array.shape, widths))] = array
    return grown, moved


def _landing(shape: Any, dtype: Any, rank: Any, axes: Any, outside: Any = False) -> Any:
    """Zeros to accumulate into through a strided view, the view, and the part that is kept."""
    target = np.zeros(shape, dtype)
    if not outside:
        return target, _view(target, rank, axes)
    grown, moved = _padded(target, rank, axes)
    start = [slice(None)] * (len(shape) - rank)
    for (old, *_), (new, *_), n in zip(axes, moved, shape[len(shape) - rank :]):
        start.append(slice(new - old, new - old + n))
    return grown[tuple(start)], _view(grown, rank, moved)


def _cumulate(ufunc: Any, array: Any, axis: Any, count: Any, shift: Any, backward: Any) -> Any:
    """For each t below ``count``: all elements up to t + shift taken together, or from there on if ``backward``."""
    size = array.shape[axis]
    array = np.flip(array, axis) if backward else array
    taken = size - shift - np.arange(count) if backward else np.arange(count) + (shift + 1)
    taken = np.clip(taken, 0, size)
    if np.array_equal(taken, np.arange(1, size + 1)):
        return ufunc.accumulate(array, axis)
    if np.array_equal(taken, np.arange(size, 0, -1)):
        return np.flip(ufunc.accumulate(array, axis), axis)
    start = {np.add: 0, np.multiply: 1, np.minimum: np.inf}.get(ufunc, -np.inf)
    none = np.full_like(np.take(array, [0], axis), start)
    return np.take(np.concatenate([none, ufunc.accumulate(array, axis)], axis), taken, axis)


def _taps(*counts: Any) -> Any:
    """All places of a small window, in reading order."""
    return np.ndindex(*counts)


def _first(array: Any, extreme: Any, axes: Any) -> Any:
    """1 at the first place, in reading order of ``axes``, where the array reaches its extreme."""
    hit = array == np.expand_dims(extreme, axes)
    moved = np.moveaxis(hit, axes, range(-len(axes), 0))
    flat = moved.reshape((*moved.shape[: moved.ndim - len(axes)], math.prod(moved.shape[moved.ndim - len(axes) :])))
    once = np.zeros(flat.shape, array.dtype)
    np.put_along_axis(once, flat.argmax(axis=-1)[..., None], 1, axis=-1)
    return np.moveaxis(once.reshape(moved.shape), range(-len(axes), 0), axes)


def _logsumexp(array: Any, axes: Any) -> Any:
    """The logarithm of a sum of exponentials, without overflow; the summed axes are kept as 1."""
    top = array.max(axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0) if not np.all(np.isfinite(top)) else top
    shifted = array - top
    np.exp(shifted, out=shifted)
    return np.log(shifted.sum(axis=axes, keepdims=True)) + top


def _select(array: Any, rank: Any, axis: Any, label: Any, name: Any) -> Any:
    """The entries that a label selects along one axis (counted from the end), for each of a batch."""
    n = array.shape[axis]
    if label.size and (label.min() < 0 or label.max() >= n):
        raise IndexError(f"the label {name} must be at least 0 and below {n}")
    moved = np.moveaxis(array, axis, array.ndim - rank)
    if array.ndim == rank:
        return moved[label]
    if label.ndim == 0:
        return moved[(slice(None),) * (array.ndim - rank) + (label,)]
    places = np.ix_(*map(np.arange, label.shape)) if label.ndim > 1 else (np.arange(label.size),)
    return moved[(*places, label)]


def _deposit(target: Any, rank: Any, axis: Any, label: Any, value: Any) -> Any:
    """Add values to the entries that a label selects along one axis, for each of a batch."""
    moved = np.moveaxis(target, axis, target.ndim - rank)
    lead = target.shape[: target.ndim - rank]
    label = np.broadcast_to(label, lead)
    places = np.indices(lead) if lead else ()
    np.add.at(moved, (*places, label), value)


def _reach(steps: Any, step: Any) -> Any:
    """A quadrature over the real line: nodes sinh(t) and weights, for t in steps of ``step``."""
    t = np.arange(-steps, steps + 1) * step
    return np.sinh(t), step * np.cosh(t)


def _legendre(low: Any, high: Any) -> Any:
    """A quadrature between two ends, of which one may be infinite: nodes and weights along a last axis."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    low, high = np.asarray(low)[..., None], np.asarray(high)[..., None]
    below, above = np.all(np.isfinite(low)), np.all(np.isfinite(high))
    if below and above:
        return low + (high - low) * (nodes + 1) / 2, (high - low) / 2 * weights
    t, end, sign = (nodes + 1) / 2, (low if below else high), (1 if below else -1)
    return end + sign * t / (1 - t), weights / 2 / (1 - t) ** 2


def _integrate(values: Any, weights: Any) -> Any:
    """A weighted sum over the last axis; where the density is 0 the integrand may not be finite."""
    product = values * weights
    return np.where(np.isfinite(product), product, 0).sum(axis=-1)


def _erf(x: Any) -> Any:
    """The error function, by its series near 0 and its continued fraction far out."""
    x = np.asarray(x, float) if np.asarray(x).dtype.kind != "f" else np.asarray(x)
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def _signs(vectors: Any) -> Any:
    """-1 or 1 for each column, so that the first of its largest elements becomes positive."""
    size = np.abs(vectors)
    first = (size >= (1 - 1e-6) * size.max(axis=-2, keepdims=True)).argmax(axis=-2)
    found = np.take_along_axis(vectors, first[..., None, :], axis=-2)
    return np.where(found < 0, -1, 1).astype(vectors.dtype)


def _eigh(matrix: Any) -> Any:
    """Eigenvalues upwards, and eigenvectors as columns, of the symmetric part of each matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.mT) / 2)
    return values, vectors * _signs(vectors)


def _svd(matrix: Any) -> Any:
    """U, s and V of each matrix ``U @ diag(s) @ V.T`` that has at least as many rows as columns."""
    rows, columns = matrix.shape[-2:]
    if rows < columns:
        raise ShapeError(f"svd needs at least as many rows as columns, not {rows} and {columns}; transpose the matrix")
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    signs = _signs(right.mT)
    return left * signs, values, right.mT * signs


def _expm(matrix: Any) -> Any:
    """The exponential of each matrix: halved until small, a Padé approximant of degree 13, squared again."""
    norm = float(np.abs(matrix).sum(axis=-1).max(initial=0))
    halvings = max(0, math.ceil(math.log2(norm / 5))) if 0 < norm < math.inf else 0
    scaled = matrix / 2**halvings
    power, weight = np.eye(matrix.shape[-1], dtype=matrix.dtype), 1.0
    even, odd = power, np.zeros_like(scaled)
    for k in range(1, 14):
        weight *= (14 - k) / (k * (27 - k))
        power = power @ scaled
        even, odd = (even, odd + weight * power) if k % 2 else (even + weight * power, odd)
    result = np.linalg.solve(even - odd, even + odd)
    for _ in range(halvings):
        result = result @ result
    return result


def _spread(array: Any, places: Any, own: Any, outside: Any = False) -> Any:
    """Elements at whole-number places: one array of places, of ``own`` axes, for each of the last axes.

    Places that are labels may have leading axes, which are those of the array.
    """
    places, sizes = np.broadcast_arrays(*places), array.shape[array.ndim - len(places) :]
    inside = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(places, sizes)])
    if outside:
        places = [np.where(inside, p, 0) for p in places]
    elif not np.all(inside):
        raise IndexError("a label must be at least 0 and below the number of its classes")
    found = array[(*_batch(array.shape[: array.ndim - len(places)], places, own), *places)]
    return np.where(inside, found, 0) if outside else found


def _batch(lead: Any, places: Any, own: Any) -> Any:
    """Subscripts of the leading axes that go with places, which may have leading axes themselves."""
    if places[0].ndim == own or not lead:
        return (...,)
    return tuple(grid.reshape(*lead, *(1,) * own) for grid in np.indices(lead))


def _gather_back(shape: Any, dtype: Any, places: Any, own: Any, value: Any, outside: Any = False) -> Any:
    """Zeros to which values were added at whole-number places of the last axes."""
    target = np.zeros(shape, dtype)
    lead, sizes = shape[: len(shape) - len(places)], shape[len(shape) - len(places) :]
    places = np.broadcast_arrays(*places)
    value = np.broadcast_to(value, (*lead, *places[0].shape[places[0].ndim - own :]))
    if outside:
        inside = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(places, sizes)])
        places = [np.where(inside, p, 0) for p in places]
        value = np.where(inside, value, 0)
    np.add.at(target, (*_batch(lead, places, own), *places), value)
    return target


def _put(array: Any, places: Any, value: Any) -> Any:
    """A copy of the array in which the elements at some places are the value; None takes all along an axis.

    ``places`` go with the last axes; each is one place, or one for each of a batch.
    """
    rank = len(places)
    axes = [n - rank for n, place in enumerate(places) if place is not None]
    chosen = [np.asarray(place) for place in places if place is not None]
    if any(p.size and (p.min() < 0 or p.max() >= n) for p, n in zip(chosen, [array.shape[a] for a in axes])):
        raise IndexError("a label must be at least 0 and below the number of its classes")
    rest = np.shape(value)[: max(np.ndim(value) - rank + len(axes), 0)]
    lead = np.broadcast_shapes(array.shape[: array.ndim - rank], rest, *(p.shape for p in chosen))
    made = np.array(
        np.broadcast_to(array, lead + array.shape[array.ndim - rank :]), np.result_type(array, value), order="C"
    )
    moved = np.moveaxis(made, axes, range(len(lead), len(lead) + len(axes)))
    moved[(*np.indices(lead), *(np.broadcast_to(p, lead) for p in chosen))] = value
    return made


def _join(*blocks: Any) -> Any:
    """Blocks one after the other along the last axis; leading axes that some of them lack are repeated."""
    front = np.broadcast_shapes(*(b.shape[:-1] for b in blocks))
    return np.concatenate([np.broadcast_to(b, front + b.shape[-1:]) for b in blocks], axis=-1)


def _full(value: Any, shape: Any) -> Any:
    """A value repeated along axes that it does not depend on."""
    return np.broadcast_to(value, np.broadcast_shapes(np.shape(value), shape))


def _jacobian(pull: Any, symbol: Any, arrays: Any, numbers: Any, outputs: Any, lead: Any) -> Any:
    """Backward passes for all unit cotangents, stacked: the shape of the output, then the symbol's."""
    results = []
    for n, shape in enumerate(outputs):
        basis, count = _basis(shape, lead)
        given = [basis if k == n else np.zeros((count, *lead, *other)) for k, other in enumerate(outputs)]
        cotangent = given[0] if len(given) == 1 else tuple(given)
        found = pull(**_repeated(arrays, (count,), lead), **numbers, cotangent=cotangent)[symbol]
        core = found.shape[1 + len(lead) :]
        results.append(np.moveaxis(found, 0, len(lead)).reshape((*lead, *shape, *core)))
    return results[0] if len(results) == 1 else tuple(results)


def _hessian(second: Any, symbol: Any, arrays: Any, numbers: Any, outputs: Any, lead: Any) -> Any:
    """Tangents of gradients for all unit cotangents and tangents: output, then twice the symbol."""
    array, rank = arrays[symbol]
    core = array.shape[array.ndim - rank :]
    results = []
    for n, shape in enumerate(outputs):
        basis, count = _basis(shape, lead)
        tangent, size = _basis(core, lead)
        front = (count, size)
        given = []
        for k, other in enumerate(outputs):
            unit = basis[:, None] if k == n else np.zeros((1, 1, *lead, *other))
            given.append(np.broadcast_to(unit, (*front, *lead, *other)))
        cotangent = given[0] if len(given) == 1 else tuple(given)
        tangents = {symbol: np.broadcast_to(tangent, (*front, *lead, *core))}
        found = second(**_repeated(arrays, front, lead), **numbers, cotangent=cotangent, tangents=tangents)
        found = np.moveaxis(found, (0, 1), (len(lead), len(lead) + 1))
        found = np.swapaxes(found.reshape((*lead, count, size, size)), -1, -2)
        results.append(found.reshape((*lead, *shape, *core, *core)))
    return results[0] if len(results) == 1 else tuple(results)


def _basis(shape: Any, lead: Any) -> Any:
    """Every unit array of a shape, one after another along a first axis, for each of a batch."""
    count = math.prod(shape)
    units = np.eye(count).reshape((count, *(1,) * len(lead), *shape))
    return np.broadcast_to(units, (count, *lead, *shape)), count


def _repeated(arrays: Any, front: Any, lead: Any) -> Any:
    """Arguments repeated along new leading axes."""
    return {
        name: np.broadcast_to(array, (*front, *lead, *array.shape[array.ndim - rank :]))
        for name, (array, rank) in arrays.items()
    }
