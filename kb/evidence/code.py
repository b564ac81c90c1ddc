"""Question 2: does the generated code compute it?

The text that is printed is compiled and run on NumPy arrays, at several sizes and on a batch, and
held against the reference interpreter and against the derivatives in index form.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mpmath
import numpy as np

from kb.calculus.evaluate import Elements, elements
from kb.errors import EqkbError
from kb.evidence.derivatives import Tally, gradients
from kb.evidence.record import Check, Question
from kb.evidence.sampling import NoSample, Point, nested
from kb.evidence.subject import COSTLY, Places, Subject, moved
from kb.evidence.ties import check_ties, has_ties

QUESTION: Question = "code"
DIGITS = 30
TOLERANCE = 1e-12
POINTS_PER_SIZE = 4
MOST_ELEMENTS = 250_000
ROWS, COLUMNS = 3, 2
MOST_HESSIANS = 4
WIDTH = mpmath.mpf(2) ** -30

Function = Callable[..., Any]


class Coded(Protocol):
    """A derivative that can be compiled."""

    def lambdify(self) -> Function:
        """The function that its code defines."""


class Codes(Protocol):
    """What has code: an equation and its derivatives."""

    def lambdify(self) -> Function:
        """The function itself."""

    def vjp(self, wrt: Sequence[str], /) -> Coded:
        """The backward pass."""

    def jvp(self, wrt: Sequence[str], /) -> Coded:
        """The tangents."""

    def jacobian(self, symbol: str, /) -> Coded:
        """All derivatives of the outputs by a symbol."""

    def hessian(self, symbol: str, /) -> Coded:
        """All second derivatives."""


def check_code(subject: Subject, codes: Codes) -> Iterator[Check]:
    """The checks of question 2: the function, its backward pass, its tangents, Jacobians and Hessians."""
    names = subject.differentiable[0]
    with mpmath.workdps(DIGITS), np.errstate(all="ignore"):
        yield _guarded("function", lambda: _function(subject, codes.lambdify()))
        if names:
            yield _guarded("backward pass", lambda: _backward(subject, codes.vjp(names).lambdify()))
            yield _guarded("tangents", lambda: _forward(subject, codes.jvp(names).lambdify()))
            if has_ties(subject) and not subject.has_integrals:
                yield _guarded("kinks and ties", lambda: _ties(subject, codes.vjp(names).lambdify()))
        declared = [n for n in subject.entry.differentiate if n in names]
        if declared and not subject.has_integrals:
            yield _guarded("Jacobians", lambda: _jacobians(subject, codes, declared))
            yield _guarded("Hessians", lambda: _hessians(subject, codes, declared))


def _guarded(name: str, check: Callable[[], Tally]) -> Check:
    """Whatever the generated code raises refutes it; it is not this program's own fault."""
    try:
        return check().check(QUESTION, name, 16)
    except NoSample as error:
        return Check(QUESTION, name, "unknown", note=str(error))
    except (EqkbError, ArithmeticError, ValueError, TypeError, LookupError, NameError, AttributeError) as error:
        return Check(QUESTION, name, "refuted", note=f"it raised {type(error).__name__}: {error}")


# --- calling -------------------------------------------------------------------------------------


def to_array(value: Any) -> Any:
    """Nested lists of numbers as a NumPy array of floats, or of integers for labels."""
    found = list(elements(value).values())
    whole = all(isinstance(x, int) for x in found)
    return np.array(_plain(value), dtype=int if whole else float)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value if isinstance(value, int) else float(value)


def arguments(subject: Subject, point: Point, function: Function) -> dict[str, Any]:
    """Keyword arguments for a point; sizes that are on no array go by keyword as well."""
    given = {n: int(v) if n in point.sizes else to_array(v) for n, v in point.values.items()}
    wanted = inspect.signature(function).parameters
    given.update({d: s for d, s in point.sizes.items() if d in wanted and d not in given})
    return given


def _as_elements(array: Any) -> Elements:
    found = np.asarray(array, dtype=float)
    return {at: mpmath.mpf(float(found[at])) for at in np.ndindex(found.shape)}


def _results(subject: Subject, given: Any) -> Places:
    """The elements of what a function returned, by output."""
    return {name: _as_elements(value) for name, value in _arrays(subject, given).items()}


def _arrays(subject: Subject, given: Any) -> dict[str, Any]:
    """What a function returned, by output."""
    names = [public for public, _ in subject.outputs]
    values = [given] if len(names) == 1 else list(given)
    if len(values) != len(names):
        raise ValueError(f"{len(values)} results where there are {len(names)} outputs")
    return {name: np.asarray(value, dtype=float) for name, value in zip(names, values, strict=True)}


def _structured(subject: Subject, arrays: Places, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """Outputs in the structure in which the function returns them."""
    made = [_dense(arrays[public], shapes[public]) for public, _ in subject.outputs]
    return made[0] if len(made) == 1 else tuple(made)


def _dense(array: Elements, shape: tuple[int, ...]) -> Any:
    return np.array(nested(shape, lambda at: float(array.get(at, 0))), dtype=float)


def _shape(array: Elements) -> tuple[int, ...]:
    return tuple(max(at[axis] for at in array) + 1 for axis in range(len(next(iter(array)))))


def _compare(tally: Tally, found: Places, wanted: Places, what: str, point: Point) -> None:
    for name, array in wanted.items():
        if name not in found or found[name].keys() != array.keys():
            tally.refute(f"{what} of {name} has another shape", point)
            continue
        scale = max((abs(x) for x in array.values()), default=1)
        for at, value in array.items():
            tally.compare(found[name][at], value, scale, TOLERANCE, f"{what} of {name}{list(at)}", point)


def _points(subject: Subject, salt: str) -> Iterator[Point]:
    sampler = subject.sampler(salt)
    for sizes in subject.sizes(4):
        stream = sampler.points(sizes)
        count = 1 if sampler.is_constant or subject.has_integrals or subject.cost(sizes) > COSTLY else POINTS_PER_SIZE
        for _ in range(count):
            yield next(stream)


def _weights(generator: random.Random, like: Elements) -> Elements:
    return {at: mpmath.mpf(generator.randint(-64, 64)) / 64 for at in like}


# --- the function and its passes -----------------------------------------------------------------


def _function(subject: Subject, function: Function) -> Tally:
    tally = Tally()
    for point in _points(subject, "code"):
        tally.at(point)
        given = arguments(subject, point, function)
        before = {name: np.array(value) for name, value in given.items()}
        _compare(tally, _results(subject, function(**given)), subject.reference(point, DIGITS), "value", point)
        if any(not np.array_equal(before[name], value) for name, value in given.items()):
            tally.refute("an argument was changed", point)
        if tally.failure:
            return tally
    _positional(subject, function, tally)
    _batch(subject, function, tally)
    return tally


def _positional(subject: Subject, function: Function, tally: Tally) -> None:
    """Arguments in declared order, those with a default last."""
    sampler = subject.sampler("positional")
    point = next(sampler.points(subject.sizes()[0]))
    given = arguments(subject, point, function)
    ordered = [given.pop(symbol.name) for symbol in subject.entry.arguments]
    _compare(tally, _results(subject, function(*ordered, **given)), subject.reference(point, DIGITS), "value", point)


@dataclass(frozen=True)
class _Batch:
    """Two points with one leading axis for the symbols that vary; the others are shared."""

    points: tuple[Point, Point]
    varied: tuple[str, ...]

    def stacked(self, subject: Subject, function: Function) -> dict[str, Any]:
        """Keyword arguments for both points at once."""
        first, second = (arguments(subject, p, function) for p in self.points)
        return {n: np.stack([v, second[n]]) if n in self.varied else v for n, v in first.items()}


def _batches(subject: Subject) -> Iterator[_Batch]:
    """Batches of two: the inputs vary, or the parameters, or both; one of these where values take quadrature."""
    sampler = subject.sampler("batch")
    first, other = (next(sampler.points(sizes)) for sizes in subject.sizes()[:1] * 2)
    symbols = [t.symbol for t in subject.program.arguments if t.symbol is not None and t.name not in first.sizes]
    inputs = tuple(s.name for s in symbols if s.role not in ("hyperparameter", "parameter"))
    parameters = tuple(s.name for s in symbols if s.name not in inputs)
    for varied in dict.fromkeys((inputs, parameters, tuple(s.name for s in symbols))):
        second = Point({n: v if n in varied else first.values[n] for n, v in other.values.items()}, first.sizes)
        if varied and not sampler.rejects(second):
            yield _Batch((first, second), varied)
            if subject.has_integrals:
                return


def _batch(subject: Subject, function: Function, tally: Tally) -> None:
    for batch in _batches(subject):
        found = _results(subject, function(**batch.stacked(subject, function)))
        wanted = [subject.reference(point, DIGITS) for point in batch.points]
        tally.at(batch.points[0])
        # An output that depends on nothing that varies is repeated.
        for public in found:
            stacked = _stack([w[public] for w in wanted])
            _compare(tally, {public: found[public]}, {public: stacked}, "batched value", batch.points[0])


def _stack(arrays: Sequence[Elements]) -> Elements:
    return {(n, *at): x for n, array in enumerate(arrays) for at, x in array.items()}


def _backward(subject: Subject, function: Function) -> Tally:
    tally = Tally()
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/cotangents")
    for point in _points(subject, "backward"):
        tally.at(point)
        outputs = subject.reference(point, DIGITS)
        cotangent = {public: _weights(generator, array) for public, array in outputs.items()}
        given = _structured(subject, cotangent, {public: _shape(a) for public, a in outputs.items()})
        found = function(**arguments(subject, point, function), cotangent=given)
        wanted = _complete(subject, gradients(subject, point, cotangent), point)
        _compare(tally, {name: _as_elements(a) for name, a in found.items()}, wanted, "gradient", point)
        if tally.failure:
            return tally
    _batched_backward(subject, function, generator, tally)
    return tally


def _ties(subject: Subject, function: Function) -> Tally:
    """The backward pass at kinks and ties, where only index form says what the convention is."""
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/ties")
    names = subject.entry.differentiate or subject.differentiable[0]

    def compare(tally: Tally, point: Point) -> None:
        values = subject.evaluate(subject.program, point)
        cotangent = {public: _weights(generator, values[held]) for public, held in subject.outputs}
        given = _structured(subject, cotangent, {public: _shape(values[held]) for public, held in subject.outputs})
        found = function(**arguments(subject, point, function), cotangent=given)
        wanted = _complete(subject, gradients(subject, point, cotangent), point)
        for name in names:
            _compare(tally, {name: _as_elements(found[name])}, {name: wanted[name]}, "gradient", point)

    return check_ties(subject, compare)


def _complete(subject: Subject, found: Places, point: Point) -> Places:
    """Gradients of all differentiable symbols; one that nothing depends on is 0."""
    zero = {name: dict.fromkeys(elements(point.values[name]), mpmath.mpf(0)) for name in subject.differentiable[0]}
    return {name: {**array, **found.get(name, {})} for name, array in zero.items()}


def _batched_backward(subject: Subject, function: Function, generator: random.Random, tally: Tally) -> None:
    """Gradients of what varies are stacked, those of what is shared are added up."""
    for batch in _batches(subject):
        outputs = [subject.reference(point, DIGITS) for point in batch.points]
        cotangents = [{public: _weights(generator, array) for public, array in o.items()} for o in outputs]
        stacked = {public: _stack([c[public] for c in cotangents]) for public in cotangents[0]}
        given = _structured(subject, stacked, {public: _shape(a) for public, a in stacked.items()})
        found = function(**batch.stacked(subject, function), cotangent=given)
        pairs = zip(batch.points, cotangents, strict=True)
        first, second = (_complete(subject, gradients(subject, point, c), point) for point, c in pairs)
        tally.at(batch.points[0])
        for name in subject.differentiable[0]:
            shared = {at: x + second[name][at] for at, x in first[name].items()}
            wanted = _stack([first[name], second[name]]) if name in batch.varied else shared
            _compare(tally, {name: _as_elements(found[name])}, {name: wanted}, "batched gradient", batch.points[0])


def _forward(subject: Subject, function: Function) -> Tally:
    tally = Tally()
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/tangents")
    forward = subject.forward
    for n, point in enumerate(_points(subject, "forward")):
        tally.at(point)
        names = subject.differentiable[0]
        # Missing tangents are zero, so sometimes all but one are missing.
        chosen = [names[n // 2 % len(names)]] if n % 2 else names
        direction = {name: _weights(generator, elements(point.values[name])) for name in chosen}
        given = {name: _dense(d, _shape(elements(point.values[name]))) for name, d in direction.items()}
        found = function(**arguments(subject, point, function), tangents=given)
        held = {forward.tangents[name]: direction.get(name, {}) for name in names}
        values = subject.evaluate(forward.program, point, held)
        like = subject.reference(point, DIGITS)
        wanted = {
            public: values[step] if step is not None else dict.fromkeys(like[public], mpmath.mpf(0))
            for public, step in forward.results.items()
        }
        _compare(tally, _results(subject, found), wanted, "tangent", point)
        if tally.failure:
            break
    return tally


# --- Jacobians and Hessians ----------------------------------------------------------------------


def _jacobians(subject: Subject, codes: Codes, names: Sequence[str]) -> Tally:
    """Some rows of the Jacobians against the VJP."""
    tally = Tally()
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/rows")
    functions = {name: codes.jacobian(name).lambdify() for name in names}
    for point in subject.some_points("jacobians", 3):
        outputs = subject.reference(point, DIGITS)
        tally.at(point)
        wanted = _rows(subject, point, _some_rows(outputs, generator, ROWS))
        for name, function in functions.items():
            if _is_huge(tally, name, outputs, point, 1):
                continue
            found = _arrays(subject, function(**arguments(subject, point, function)))
            shapes = {public: (*_shape(a), *_shape(elements(point.values[name]))) for public, a in outputs.items()}
            _compare_part(tally, found, wanted[name], shapes, f"Jacobian by {name}", point)
            if tally.failure:
                return tally
    return tally


def _is_huge(tally: Tally, name: str, outputs: Places, point: Point, order: int) -> bool:
    """Whether the derivatives of an order are too many to compute at a point, which the record then says."""
    if sum(map(len, outputs.values())) * len(elements(point.values[name])) ** order <= MOST_ELEMENTS:
        return False
    tally.remarks.append(f"those by {name} not at {point.sizes_text()}")
    return True


Rows = list[tuple[str, tuple[int, ...]]]


def _some_rows(outputs: Places, generator: random.Random, count: int) -> Rows:
    """A few elements of each output."""
    chosen = {public: generator.sample(sorted(array), min(count, len(array))) for public, array in outputs.items()}
    return [(public, at) for public, found in chosen.items() for at in found]


def _rows(subject: Subject, point: Point, rows: Rows, stops: dict[Any, Any] | None = None) -> dict[str, Places]:
    """Rows of the Jacobians by all symbols: symbol, then output, then the places of output and symbol."""
    names = subject.differentiable[0]
    wanted: dict[str, Places] = {name: {} for name in names}
    for public, row in rows:
        cotangent: Places = {p: {row: mpmath.mpf(1)} if p == public else {} for p, _ in subject.outputs}
        found = _complete(subject, gradients(subject, point, cotangent, stops), point)
        for name in names:
            part = wanted[name].setdefault(public, {})
            part.update({(*row, *at): x for at, x in found[name].items()})
    return wanted


def _compare_part(
    tally: Tally,
    found: Mapping[str, Any],
    wanted: Places,
    shapes: Mapping[str, tuple[int, ...]],
    what: str,
    point: Point,
) -> None:
    """Some elements of arrays whose whole shape is known."""
    for public, array in wanted.items():
        if found[public].shape != shapes[public]:
            tally.refute(f"{what} of {public} has the shape {found[public].shape}, not {shapes[public]}", point)
            return
        some = {at: mpmath.mpf(float(found[public][at])) for at in array}
        _compare(tally, {public: some}, {public: array}, what, point)


def _hessians(subject: Subject, codes: Codes, names: Sequence[str]) -> Tally:
    """Some columns of second derivatives against differences of the VJP, where the arrays are small."""
    tally = Tally()
    generator = random.Random(f"{subject.entry.id}/{subject.seed}/columns")
    chosen = names if len(names) <= MOST_HESSIANS else generator.sample(list(names), MOST_HESSIANS)
    functions = {name: codes.hessian(name).lambdify() for name in chosen}
    for point in subject.some_points("hessians", 2):
        outputs = subject.reference(point, DIGITS)
        tally.at(point)
        rows = _some_rows(outputs, generator, 1)
        for name, function in functions.items():
            if _is_huge(tally, name, outputs, point, 2):
                continue
            places = sorted(elements(point.values[name]))
            columns = generator.sample(places, min(COLUMNS, len(places)))
            found = _arrays(subject, function(**arguments(subject, point, function)))
            own = _shape(elements(point.values[name]))
            shapes = {public: (*_shape(array), *own, *own) for public, array in outputs.items()}
            wanted = _second(subject, point, rows, name, columns)
            _compare_part(tally, found, wanted, shapes, f"Hessian by {name}", point)
            if tally.failure:
                return tally
    return tally


def _second(subject: Subject, point: Point, rows: Rows, name: str, columns: Sequence[tuple[int, ...]]) -> Places:
    """Rows of the Jacobian, differenced by some elements of the symbol; what stop() holds stays."""
    wanted: Places = {public: {} for public, _ in rows}
    stops: dict[Any, Any] | None = {} if subject.has_stops else None
    for column in columns:
        with mpmath.workdps(2 * DIGITS):
            sides = []
            if stops == {}:
                _rows(subject, point, rows, stops)
            for step in (WIDTH, -WIDTH, WIDTH / 2, -WIDTH / 2):
                values = {**point.values, name: moved(point.values[name], {column: mpmath.mpf(1)}, step)}
                sides.append(_rows(subject, Point(values, point.sizes), rows, stops)[name])
            for public, array in sides[0].items():
                for at, value in array.items():
                    wide = (value - sides[1][public][at]) / (2 * WIDTH)
                    narrow = (sides[2][public][at] - sides[3][public][at]) / WIDTH
                    wanted[public][(*at, *column)] = (4 * narrow - wide) / 3
    return wanted
