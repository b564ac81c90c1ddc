"""Derivatives, expectations and integrals in the reference interpreter: all of them by numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import mpmath

from kb.errors import LanguageError
from kb.interpreter.arrays import (
    Array,
    Scalar,
    Value,
    add,
    broadcast,
    divide,
    from_array,
    integer,
    items,
    multiply,
    positions,
    shape_of,
    spread,
    stack,
    subtract,
    total,
)
from kb.interpreter.plan import Frame, function_entry, is_on_arrays
from kb.interpreter.ranges import find_ranges
from kb.model import Symbol
from kb.parser import parse_expression
from kb.tree import Call, Element, Name, Node, Prime, names, walk

REACH = 8  # sinh(8) is about 1,500: what has not decayed there is left to tanh-sinh quadrature

if TYPE_CHECKING:
    from kb.interpreter.machine import Machine


@contextmanager
def _raised() -> Iterator[tuple[int, Callable[[Value], Value]]]:
    """Work with more than twice the digits: a central difference of width 10**-digits then keeps all of them."""
    digits = mpmath.mp.dps
    with mpmath.workdps(2 * digits + 20):
        yield digits, lambda x: x.map(mpmath.mpf) if isinstance(x, Array) else mpmath.mpf(x)


def _rounded(value: Value) -> Value:
    return value.map(lambda x: +x) if isinstance(value, Array) else +value


def _slope(function: Callable[[Scalar], Value], x: Scalar, digits: int) -> Value:
    """(f(x + h) - f(x - h))/(2h); its error is of the order of h**2, far below the rounding."""
    width = mpmath.mpf(10) ** -digits * max(1, abs(x))
    return broadcast(divide, broadcast(subtract, function(x + width), function(x - width)), 2 * width)


def prime(machine: Machine, node: Prime, frame: Frame) -> Value:
    """``deriv(f)(x)``: the derivative of a function of one number, at every element of x."""
    symbol = frame.plan.symbols.get(node.function)
    if symbol is not None and symbol.kind == "function" and (node.by or is_on_arrays(symbol)):
        return _by_arguments(machine, node, function_entry(symbol).arguments, frame)
    if len(node.arguments) != 1:
        raise LanguageError("deriv(f) takes one argument: deriv(f)(x)", node.at)
    value = machine.value(node.arguments[0], frame)
    variable = "x_"
    while not frame.is_new(variable):
        variable += "_"
    call = Call(node.function, (Name(variable, at=node.at),), at=node.at)

    def at(x: Scalar) -> Scalar:
        return _differentiate_bound(machine, call, frame, variable, x)

    return value.map(at) if isinstance(value, Array) else at(value)


def _by_arguments(machine: Machine, node: Prime, declared: Sequence[Symbol], frame: Frame) -> Value:
    """``deriv(f, a)(x, y)``: shape of the result, then that of each argument named; leading axes are mapped over."""
    names = [a.name for a in declared]
    by = node.by or tuple(names[:1])
    if len(node.arguments) != len(names) or not set(by) <= set(names) or (not node.by and len(names) != 1):
        raise LanguageError(f"deriv({node.function}) takes the arguments {', '.join(names)}", node.at)
    values = [machine.value(a, frame) for a in node.arguments]
    extra = [max(0, len(shape_of(v)) - len(a.shape)) for v, a in zip(values, declared, strict=True)]
    widest = max(range(len(values)), key=lambda n: extra[n])
    lead = shape_of(values[widest])[: extra[widest]]
    variables = []
    for name in names:
        while not frame.is_new(name) or name in variables:
            name += "_"
        variables.append(name)
    call = Call(node.function, tuple(Name(v, at=node.at) for v in variables), at=node.at)

    def at(parts: list[Value], order: tuple[int, ...]) -> Value:
        if not order:
            with ExitStack() as stack_:
                for variable, part in zip(variables, parts, strict=True):
                    stack_.enter_context(_bound(frame, variable, part))
                return machine.value(call, frame)
        *before, last = order
        columns = []
        with _raised() as (digits, exact):
            for offset, base in enumerate(items(parts[last])):

                def moved(x: Scalar, offset: int = offset) -> Value:
                    changed = [*parts[:last], _replaced(parts[last], offset, x), *parts[last + 1 :]]
                    return at(changed, tuple(before))

                columns.append(_slope(moved, exact(base), digits))
        return from_array(_columns_last([_rounded(c) for c in columns], shape_of(parts[last])))

    order = tuple(names.index(word) for word in by)
    rows = []
    for place in positions(lead):
        own = [v[place[len(lead) - e :]] if e else v for v, e in zip(values, extra, strict=True)]
        rows.append(at(own, order))
    return stack(rows, lead) if lead else rows[0]


def _differentiate_bound(machine: Machine, body: Node, frame: Frame, name: str, x: Scalar) -> Value:
    """The derivative of a body with respect to a variable that only lives inside it."""
    with _raised() as (digits, exact), _bound(frame, name, exact(x)), _moving(machine, name, x):
        machine.value(body, frame)  # fixes what stop() holds

        def at(moved: Scalar) -> Value:
            frame.bound[name] = moved
            return machine.value(body, frame)

        result = _slope(at, exact(x), digits)
    return _rounded(result)


@contextmanager
def _bound(frame: Frame, name: str, value: Any) -> Iterator[None]:
    missing = object()
    before = frame.bound.get(name, missing)
    frame.bound[name] = value
    try:
        yield
    finally:
        if before is missing:
            del frame.bound[name]
        else:
            frame.bound[name] = before


@contextmanager
def _moving(machine: Machine, name: str, base: Scalar) -> Iterator[None]:
    before = machine.moving
    machine.moving = {**before, name: base}
    try:
        yield
    finally:
        machine.moving = before


def derivative(machine: Machine, node: Call, frame: Frame) -> Value:
    """``d(e, x)``: the shape of e, then the shape of x."""
    body, variable = node.arguments
    if isinstance(variable, Name) and variable.id in frame.bound:
        x = frame.bound[variable.id]
        if isinstance(x, int) and not isinstance(x, bool) and variable.id not in machine.moving:
            raise LanguageError(f"'{variable.id}' is an index; there is no derivative with respect to it", node.at)
        return _differentiate_bound(machine, body, frame, variable.id, x)
    columns, shape = _columns(machine, body, variable, frame, lambda value: value)
    return from_array(_columns_last(columns, shape))


def vjp(machine: Machine, node: Call, frame: Frame) -> Value:
    """``vjp(y, x, g)``: the sum over y's elements of g times dy/dx; the shape of x."""
    body, variable, cotangent = node.arguments
    weights = machine.value(cotangent, frame)

    def contracted(change: Value) -> Value:
        return total(items(broadcast(multiply, spread(weights, shape_of(change)), change)))

    columns, shape = _columns(machine, body, variable, frame, contracted)
    return from_array(Array(shape, columns))


def _columns_last(columns: list[Value], shape: tuple[int, ...]) -> Array:
    inner = shape_of(columns[0]) if columns else ()
    parts = [items(column) for column in columns]
    return Array((*inner, *shape), [part[k] for k in range(len(parts[0]) if parts else 0) for part in parts])


def _columns(
    machine: Machine, body: Node, variable: Node, frame: Frame, finish: Callable[[Value], Value]
) -> tuple[list[Value], tuple[int, ...]]:
    """The derivative of the body for each element of the variable, and the variable's shape."""
    name, chosen, shape = _elements(machine, variable, frame)
    incoming = _is_incoming(frame, name)
    value = frame.snapshots[0][name] if incoming else frame.values[name]
    with _raised() as (digits, exact):
        machine.value(body, frame)  # fixes what stop() holds
        columns = []
        for offset in chosen:
            base = exact(items(value)[offset])

            def at(moved: Scalar, offset: int = offset) -> Value:
                # The same for all values of the running loops' indices, which often are many.
                key = (id(body), name, offset, moved, mpmath.mp.dps)
                if key not in frame.memo or frame.memo[key][0] is not body:
                    replaced = _replaced(value, offset, moved)
                    frame.memo[key] = (body, moved_frame(machine, frame, name, replaced, body, incoming))
                other: Frame = frame.memo[key][1]
                other.bound = dict(frame.bound)
                return machine.value(body, other)

            columns.append(finish(_slope(at, base, digits)))
    return [_rounded(column) for column in columns], shape


def _is_incoming(frame: Frame, name: str) -> bool:
    """Whether a derivative by the name is by what came in: after the last step of an update, by a state."""
    symbol = frame.plan.symbols.get(name)
    return symbol is not None and symbol.role == "state" and frame.position == len(frame.plan.steps)


def _elements(machine: Machine, variable: Node, frame: Frame) -> tuple[str, list[int], tuple[int, ...]]:
    """The name that is differentiated by, the places of the elements meant, and their shape."""
    base = variable.base if isinstance(variable, Element) else variable
    if not isinstance(base, Name) or base.id not in frame.values:
        raise LanguageError(f"'{variable}' is not an input, a step or a variable to differentiate by", variable.at)
    symbol = frame.plan.symbols.get(base.id)
    if symbol is not None and symbol.kind != "real":
        raise LanguageError(f"'{base.id}' is a {symbol.kind}; there is no derivative with respect to it", variable.at)
    value = frame.values[base.id]
    if not isinstance(variable, Element):
        return base.id, list(range(len(items(value)))), shape_of(value)
    machine.value(variable, frame)  # an index outside the array is an error here too
    at = tuple(integer(machine.value(i, frame)) for i in variable.indices)
    if any(not 0 <= i < size for i, size in zip(at, value.shape, strict=False)):
        raise LanguageError(f"'{variable}' is outside the array: nothing to differentiate by", variable.at)
    start, part = value.offset(at), value[at]
    return base.id, [start + k for k in range(len(items(part)))], shape_of(part)


def _replaced(value: Value, offset: int, moved: Scalar) -> Value:
    if not isinstance(value, Array):
        return moved
    return Array(value.shape, [*value.data[:offset], moved, *value.data[offset + 1 :]])


def moved_frame(machine: Machine, frame: Frame, name: str, value: Value, body: Node, incoming: bool = False) -> Frame:
    """The frame as it would be had ``name`` had another value since it was last written, or from the beginning.

    Steps since then run again if they read what has changed and if the body needs them; all
    others keep their values.
    """
    plan = frame.plan
    written = [] if incoming else [k for k in range(frame.position) if name in plan.assigns(k)]
    origin = written[-1] + 1 if written else 0
    needed = set(names(body))
    wanted = set()
    for k in range(frame.position - 1, origin - 1, -1):
        if plan.assigns(k) & needed or "..." in needed:
            wanted.add(k)
            needed |= plan.reads[k]
    moved = frame.copy()
    if origin < frame.position:
        moved.values = {**frame.snapshots[origin], name: value}
        moved.snapshots = [*moved.snapshots[:origin], dict(moved.values)]
    else:
        moved.values[name] = value
        moved.snapshots[-1] = {**moved.snapshots[-1], name: value}
    moved.position = origin
    changed = {name}
    for k in range(origin, frame.position):
        targets = plan.assigns(k)
        read = plan.reads[k]
        affected = bool(read & changed) or "..." in read or (plan.writes_part(k) and bool(targets & changed))
        if k in wanted and affected:
            outer_bound, moved.bound = moved.bound, {}
            machine.step(plan.steps[k], moved)
            moved.bound = outer_bound
            changed |= targets
            continue
        after = frame.snapshots[k + 1]
        moved.values.update({target: after[target] for target in targets if target in after})
        if not affected:
            changed -= targets
        moved.position += 1
        moved.snapshots.append(dict(moved.values))
    # What the running step has written so far is not in any snapshot.
    for target, now in frame.values.items():
        if target != name and now is not frame.snapshots[frame.position].get(target):
            moved.values[target] = now
    return moved


def stop(machine: Machine, node: Call, frame: Frame) -> Value:
    """``stop(e)``: the value of e, kept while anything is differenced."""
    key = (frame.path, frame.position, node.at, machine.bound_key(frame))
    if key not in machine.stops:
        machine.stops[key] = machine.value(node.arguments[0], frame)
    return machine.stops[key]


def old(machine: Machine, node: Call, frame: Frame) -> Value:
    """``old(x)``: a state as it came in."""
    (state,) = node.arguments
    symbol = frame.plan.symbols.get(state.id) if isinstance(state, Name) else None
    if symbol is None or symbol.role != "state":
        raise LanguageError(f"'old' takes the name of a state, not '{state}'", state.at)
    return frame.snapshots[0][symbol.name]


def kronecker(machine: Machine, node: Call, frame: Frame) -> Value:
    """``delta(i, j)``: 1 where the two agree."""
    left, right = (machine.value(argument, frame) for argument in node.arguments)
    return broadcast(lambda a, b: int(a == b), left, right)


def _variable(node: Call, frame: Frame) -> str:
    variable = node.arguments[1]
    if not isinstance(variable, Name) or not frame.is_new(variable.id):
        raise LanguageError(f"the second argument of {node.function} is a variable that is not declared", variable.at)
    return variable.id


def expectation(machine: Machine, node: Call, frame: Frame) -> Value:
    """``E(body, x, law)``: over the real line, or over an index with its probabilities."""
    body, _, law = node.arguments
    name = _variable(node, frame)
    symbol = frame.plan.symbols.get(law.id) if isinstance(law, Name) else None
    if symbol is not None and symbol.kind == "law":
        argument = Name(name, at=law.at)
        if any(a.shape for a in function_entry(symbol).arguments):
            return _over_points(machine, body, name, symbol, frame)
        law = Call(symbol.name, (argument,), at=law.at)
    elif any(Name(name) in n.indices for n in walk(law) if isinstance(n, Element)):
        result: Value = 0
        for _ in machine.loop([name], find_ranges(machine, [name], [law], [], frame), [], frame):
            weighted = broadcast(multiply, machine.value(law, frame), machine.value(body, frame))
            result = broadcast(add, result, weighted)
        return result
    elif name not in names(law):
        raise LanguageError(f"the law '{law}' is not a density in '{name}'", law.at)

    negligible = mpmath.mpf(10) ** (-6 * mpmath.mp.dps)

    def density(x: Scalar) -> Scalar:
        frame.bound[name] = x
        return machine.value(law, frame)

    def integrand(x: Scalar) -> tuple[Scalar, Scalar]:
        weight = density(x)
        # Far out a body such as log(1 - p) may be infinite, for want of digits only.
        return (weight, 0 if weight < negligible else multiply(weight, machine.value(body, frame)))

    with _bound(frame, name, mpmath.mpf(0)):
        value = _whole_line(integrand, node, 1)
        if value is None:
            value = _quadrature(lambda x: integrand(x)[1], -mpmath.inf, mpmath.inf, node)
        return value


def _over_points(machine: Machine, body: Node, name: str, symbol: Symbol, frame: Frame) -> Value:
    """The mean over the points of a law of vectors, which are the rows of its instance."""
    points = machine.value(parse_expression(symbol.instance or ""), frame)
    count = shape_of(points)[0]
    total: Value = 0
    for place in range(count):
        with _bound(frame, name, points[place]):
            total = broadcast(add, total, machine.value(body, frame))
    return broadcast(divide, total, count)


def _whole_line(integrand: Callable[[Scalar], tuple[Scalar, Scalar]], node: Call, mass: int | None) -> Scalar | None:
    """The integral over the reals by the trapezoid rule in t, x = sinh(t), halving the step.

    The rule doubles its digits with every halving for what is smooth and decays fast; None where
    the integrand does not decay. It comes with a weight, a density or its own size: a narrow peak
    that falls between the points shows in the weight's integral, which is not ``mass`` yet, or is
    nothing. Raises LanguageError where nothing settles.
    """
    digits = mpmath.mp.dps
    enough = mpmath.mpf(10) ** (-digits / 2 - 3)
    points, sums, before = 8, [mpmath.mpf(0), mpmath.mpf(0)], None
    for halving in range(8):
        last = REACH * points
        for k in range(-last, last + 1, 2 if halving else 1):
            # After the first round, the points between those of the round before.
            t = mpmath.mpf(k + (halving > 0)) / points
            slope = mpmath.cosh(t)
            terms = [value * slope for value in integrand(mpmath.sinh(t))]
            if abs(k) == last and sum(map(abs, terms)) > mpmath.mpf(10) ** (-digits - 5):
                return None
            sums = [total + term for total, term in zip(sums, terms, strict=True)]
        weight, now = (total / points for total in sums)
        settled = before is not None and abs(now - before) <= enough * max(1, abs(now))
        seen = abs(weight - mass) < enough if mass is not None and halving < 6 else weight > enough
        if settled and seen:
            return now
        before, points = now, 2 * points
    raise LanguageError(f"the integral '{str(node)[:60]}' does not settle to {digits} digits", node.at)


def integral(machine: Machine, node: Call, frame: Frame) -> Value:
    """``integral(body, x, a, b)``; the ends may be infinite."""
    body, _, low, high = node.arguments
    name = _variable(node, frame)
    ends = [machine.value(end, frame) for end in (low, high)]

    def integrand(x: Scalar) -> Scalar:
        frame.bound[name] = x
        return machine.value(body, frame)

    with _bound(frame, name, mpmath.mpf(0)):
        value = None
        if ends == [-mpmath.inf, mpmath.inf]:
            value = _whole_line(lambda x: (abs(term := integrand(x)), term), node, None)
        return _quadrature(integrand, ends[0], ends[1], node) if value is None else value


def _quadrature(integrand: Callable[[Scalar], Scalar], low: Scalar, high: Scalar, node: Call) -> Scalar:
    """Tanh-sinh quadrature; a second time on pieces, where the first does not settle."""
    digits = mpmath.mp.dps
    pieces = [-64, -16, -4, -1, 0, 1, 4, 16, 64]
    for points in ([low, high], [low, *[p for p in pieces if low < p < high], high]):
        value, error = mpmath.quad(integrand, points, error=True)
        if mpmath.isfinite(value) and error <= mpmath.mpf(10) ** (8 - digits) * max(1, abs(value)):
            return value
    if mpmath.isfinite(value) and error <= mpmath.mpf(10) ** (-digits / 2) * max(1, abs(value)):
        return value
    raise LanguageError(f"the integral '{str(node)[:60]}' does not converge", node.at)
