"""Operators that take formulas: expectations, integrals, deltas, stop, abstract functions."""

from __future__ import annotations

from dataclasses import replace

from kb import tree
from kb.errors import LanguageError, nearest
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.expressions import Expressions, mean_weight, scalar
from kb.index.nodes import INFINITY, Apply, Expr, Read, Stop, Variable
from kb.index.program import ArrayInstance, Instance
from kb.index.scope import Array, Poisoned, Scope
from kb.index.signatures import argument_symbol, is_law_of_vectors, is_on_arrays
from kb.model import Symbol
from kb.parser import check_name, parse_expression
from kb.vocabulary import FUNCTIONS, REDUCTIONS


def operator(expressions: Expressions, node: tree.Call) -> Array:
    """Elaborate a call of an operator."""
    match node.function:
        case "delta":
            left, right = (expressions.index(a) for a in expressions.take(node, 2))
            return scalar(build.delta(left, right))
        case "stop":
            inner = expressions.array(expressions.take(node, 1)[0])
            return Array(inner.shape, lambda idx: Stop(inner.at(idx)))
        case "old":
            return _incoming(expressions, node)
        case "integral":
            return _integral(expressions, node)
        case "E":
            return _expectation(expressions, node)
        case "d" | "vjp":
            if expressions.derive is None:
                raise LanguageError(f"'{node.function}' may stand in claims and in steps, not here", node.at)
            return expressions.derive(expressions, node)
    raise LanguageError("deriv takes a function, and then its argument: deriv(f)(x)", node.at)


def _incoming(expressions: Expressions, node: tree.Call) -> Array:
    """A state as it came in, whatever the steps have made of it since."""
    (state,) = expressions.take(node, 1)
    scope = expressions.scope
    symbol = scope.declared.get(state.id) if isinstance(state, tree.Name) else None
    if symbol is None or symbol.role != "state":
        raise LanguageError(f"'old' takes the name of a state, not '{state}'", state.at)
    tensor = scope.tensors[symbol.name]
    return Array(tensor.shape, lambda idx: Read(tensor.name, idx, tensor.outside))


def _bound_variable(expressions: Expressions, node: tree.Node) -> tuple[str, Variable]:
    if not isinstance(node, tree.Name):
        raise LanguageError(f"'{node}' is not the name of a variable", node.at)
    check_name(node.id, node.at, "variable")
    if expressions.scope.is_taken(node.id):
        raise LanguageError(f"{node.id!r} already has a meaning here; use another name for the variable", node.at)
    return node.id, Variable(node.id)


def _integral(expressions: Expressions, node: tree.Call) -> Array:
    body, name_node, low, high = expressions.take(node, 4)
    name, variable = _bound_variable(expressions, name_node)
    bounds = [expressions.number(b, "the bound of an integral") for b in (low, high)]
    scope = expressions.scope
    scope.variables[name] = variable
    try:
        integrand = expressions.number(body, "an integrand")
    finally:
        del scope.variables[name]
    return scalar(build.integral(variable, bounds[0], bounds[1], integrand))


def _expectation(expressions: Expressions, node: tree.Call) -> Array:
    body, name_node, law = expressions.take(node, 3)
    symbol = expressions.scope.abstract.get(law.id) if isinstance(law, tree.Name) else None
    if symbol is not None and is_law_of_vectors(symbol):
        return _over_points(expressions, body, name_node, symbol)
    if isinstance(name_node, tree.Name) and _selects(name_node.id, body, law):
        return _over_index(expressions, node, body, name_node, law)
    name, variable = _bound_variable(expressions, name_node)
    scope = expressions.scope
    scope.variables[name] = variable
    try:
        if isinstance(law, tree.Name) and law.id in scope.abstract:
            density: Expr = Apply(law.id, (0,), (expressions.array(name_node).at(()),))
        else:
            density = expressions.number(law, "a density")
        integrand = build.mul(expressions.number(body, "the body of an expectation"), density)
    finally:
        del scope.variables[name]
    return scalar(build.integral(variable, build.negative(INFINITY), INFINITY, integrand))


def _over_points(expressions: Expressions, body: tree.Node, name_node: tree.Node, symbol: Symbol) -> Array:
    """The mean over the points of a law of vectors."""
    name, _ = _bound_variable(expressions, name_node)
    points, scope = points_of(symbol), expressions.scope
    index = Index(scope.free_names(1)[0], points.shape[0])
    scope.arrays[name] = Array(points.shape[1:], lambda idx: points.at((Poly.of(index), *idx)))
    try:
        with scope.binding({f"{name}'": index}):  # a name that no formula can read
            inner = expressions.number(body, "the body of an expectation")
    finally:
        del scope.arrays[name]
    return scalar(build.mul(mean_weight((index,), ()), build.bind("sum", (index,), (), inner)))


def points_of(symbol: Symbol) -> Array:
    """The points of a law of vectors, one in each row. Raises LanguageError."""
    message = f"the instance of {symbol.name!r}, a law of vectors, has a point in each row, as in '[[0, 1], [2, 3]]'"
    node = parse_expression(symbol.instance or "")
    arguments = [argument_symbol(text, symbol.name) for text in symbol.arguments]
    if len(arguments) != 1 or len(arguments[0].shape) != 1 or not isinstance(node, tree.Array):
        raise LanguageError(message)
    points = Expressions(Scope()).array(node)
    if points.rank != 2:
        raise LanguageError(message)
    (size,) = arguments[0].shape
    if size.isdigit() and points.shape[1] != Poly.of(int(size)):
        raise LanguageError(f"the points of {symbol.name!r} have {points.shape[1]} coordinates, not {size}")
    return points


def _selects(name: str, *nodes: tree.Node) -> bool:
    """Whether the name is used as a subscript anywhere."""
    return any(
        isinstance(i, tree.Name) and i.id == name
        for node in nodes
        for part in tree.walk(node)
        if isinstance(part, tree.Element)
        for i in part.indices
    )


def _over_index(expressions: Expressions, node: tree.Call, body: tree.Node, name: tree.Name, law: tree.Node) -> Array:
    if isinstance(law, tree.Name) and law.id in expressions.scope.current:
        raise LanguageError(f"{law.id!r} holds probabilities: write {law.id}[{name.id}]", law.at)
    product = tree.Chain((law, body), ("*",), at=node.at)
    return expressions.call(tree.Call("sum", (product, name), at=node.at))


# --- abstract functions --------------------------------------------------------------------------


def apply_abstract(
    expressions: Expressions, node: tree.Node, name: str, arguments: tuple[tree.Node, ...], by: tuple[str, ...] | None
) -> Array:
    """``f(x)`` or ``deriv(f)(x)`` of an abstract function; one of numbers acts elementwise."""
    from kb.index.array_functions import apply_to_arrays

    symbol = expressions.scope.abstract.get(name)
    if symbol is not None and symbol.kind == "reducer" and isinstance(node, tree.Call):
        return _reduced(expressions, node, symbol)
    if symbol is None or symbol.kind == "reducer":
        if name in FUNCTIONS and by == ():
            return _derived_builtin(expressions, node, name, arguments)
        raise LanguageError(f"{name!r} is not a declared function; declare it under symbols with an instance", node.at)
    names = [a.split("[")[0].strip() for a in symbol.arguments] or ["x"]
    wrt = () if by is None else derivative_arguments(name, names, by, node.at)
    if is_on_arrays(symbol):
        instance = expressions.scope.instances.get(name)
        call = node if isinstance(node, tree.Call) else tree.Call(name, arguments, at=node.at)
        return apply_to_arrays(expressions, call, instance if isinstance(instance, ArrayInstance) else None, wrt)
    count = max(len(symbol.arguments), 1)
    if len(arguments) != count:
        raise LanguageError(f"'{name}' takes {count} argument(s), {len(arguments)} given", node.at)
    if any("[" in a for a in symbol.arguments) or symbol.shape:
        raise LanguageError(f"'{name}' is a law of vectors, which has points and no density", node.at)
    orders = tuple(wrt.count(n) for n in range(count))
    arrays = [expressions.array(a) for a in arguments]
    return expressions.elementwise(node, lambda *parts: Apply(name, orders, tuple(parts)), *arrays)


def derivative_arguments(name: str, names: list[str], by: tuple[str, ...], at: int) -> tuple[int, ...]:
    """The arguments that ``deriv(f, a, b)`` names, by number. Raises LanguageError."""
    if not by and len(names) != 1:
        raise LanguageError(f"say by which argument of {name!r}: deriv({name}, {names[0]})", at)
    for word in by:
        if word not in names:
            raise LanguageError(f"{name!r} has no argument {word!r}; its arguments are {', '.join(names)}", at)
    return tuple(names.index(word) for word in by) or (0,)


def check_reducer(symbol: Symbol) -> None:
    """Whether a reducer stands for a binder. Raises LanguageError."""
    if symbol.instance not in REDUCTIONS:
        raise LanguageError(
            f"{symbol.instance!r} is not a reduction{nearest(symbol.instance or '', list(REDUCTIONS))}; "
            f"the instance of a reducer is one of {', '.join(REDUCTIONS)}"
        )


def _reduced(expressions: Expressions, node: tree.Call, symbol: Symbol) -> Array:
    """``AGGREGATE(h[u], u, condition)``: what its instance gives, whose rules it takes over."""
    from kb.index.binders import binder

    scope = expressions.scope
    bound = [a for a in node.arguments[1:] if isinstance(a, tree.Name) and not scope.is_taken(a.id)]
    if len(node.arguments) > 1 and not bound:
        raise LanguageError(f"'{symbol.name}' binds an index that has no meaning yet: {symbol.name}(x[i], i)", node.at)
    if symbol.instance not in REDUCTIONS:
        raise Poisoned(symbol.name, node.at)
    return binder(expressions, replace(node, function=symbol.instance))


def _derived_builtin(expressions: Expressions, node: tree.Node, name: str, arguments: tuple[tree.Node, ...]) -> Array:
    from kb.index.functions import function_derivative

    if len(arguments) != 1:
        raise LanguageError(f"deriv({name}) takes one argument", node.at)
    inner = expressions.array(arguments[0])
    return Array(inner.shape, lambda idx: function_derivative(name, inner.at(idx)))


def instance_of(expressions: Expressions, symbol: Symbol) -> Instance:
    """What an abstract function or law stands for, as an expression in variables of its own.

    Raises LanguageError where the instance is missing or does not fit.
    """
    if not symbol.instance:
        raise LanguageError(f"the {symbol.kind} {symbol.name!r} needs an instance, such as tanh or '2*x - 1'")
    names = [a.split("[")[0] for a in symbol.arguments] or ["x"]
    variables = tuple(Variable(n) for n in names)
    node = parse_expression(symbol.instance)
    if isinstance(node, tree.Name) and node.id not in names:
        node = tree.Call(node.id, tuple(tree.Name(n) for n in names))
    inner = Expressions(_instance_scope(expressions, names, variables), expressions.calls, expressions.derive)
    body = inner.number(node, "an instance")
    if inner.scope.steps:
        raise LanguageError(f"the instance of {symbol.name!r} must be a function of numbers")
    return Instance(variables, body)


def _instance_scope(expressions: Expressions, names: list[str], variables: tuple[Variable, ...]):  # type: ignore[no-untyped-def]
    from kb.index.scope import Scope

    scope = Scope(facts=expressions.scope.facts)
    scope.variables.update(zip(names, variables, strict=True))
    return scope
