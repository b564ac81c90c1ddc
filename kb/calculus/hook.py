"""Derivatives written in a formula: ``d(e, x)`` and ``vjp(y, x, g)`` become index form.

``x`` is an input (then everything that was computed from it moves), a step (held independent: what
comes after it moves), an element of either, or the bound variable of an integral.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb import tree
from kb.calculus.forward import partial, with_slopes
from kb.calculus.linear import contributions
from kb.errors import LanguageError, NotDifferentiable
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.expressions import Expressions
from kb.index.nodes import ZERO, Expr, Read, Var, Variable, free_indices
from kb.index.program import Program, Step, Tensor
from kb.index.scope import Array, Scope, show_shape


def derive(expressions: Expressions, node: tree.Call) -> Array:
    """Elaborate ``d(e, x)`` or ``vjp(y, x, g)`` in the scope of the expressions.

    After the last step of an update, a state that is differentiated by is the incoming one.

    ``d`` has the shape of e and then that of x; ``vjp`` has the shape of x. Raises LanguageError.
    """
    if node.function == "d":
        body, by = expressions.take(node, 2)
        found = _derivative(expressions, body, by)
    else:
        body, by, cotangent = expressions.take(node, 3)
        found = _backward(expressions, body, by, cotangent)

    def at(idx: tuple[Poly, ...]) -> Expr:
        try:
            return found.at(idx)
        except NotDifferentiable as error:
            raise LanguageError(f"'{node}' does not exist: {error}", node.at) from None

    return Array(found.shape, at)


def _derivative(expressions: Expressions, body: tree.Node, by: tree.Node) -> Array:
    scope = expressions.scope
    if isinstance(by, tree.Name) and by.id in scope.variables:
        return _by_variable(expressions, body, scope.variables[by.id])
    wanted = _variable(expressions, by)
    value = expressions.array(body)
    return _Jacobian(scope, value, wanted).array()


def _backward(expressions: Expressions, body: tree.Node, by: tree.Node, cotangent: tree.Node) -> Array:
    wanted = _variable(expressions, by)
    value = expressions.array(body)
    weights = expressions.array(cotangent)
    if weights.shape != value.shape:
        raise LanguageError(
            f"the cotangent '{cotangent}' has shape {show_shape(weights.shape)}, but '{body}' has "
            f"{show_shape(value.shape)}; the two must agree",
            cotangent.at,
        )
    jacobian = _Jacobian(expressions.scope, value, wanted).array()

    def at(idx: tuple[Poly, ...]) -> Expr:
        summed = tuple(Index(n, s) for n, s in zip(expressions.scope.free_names(value.rank), value.shape, strict=True))
        place = tuple(Poly.of(i) for i in summed)
        return build.bind("sum", summed, (), build.mul(weights.at(place), jacobian.at((*place, *idx))))

    return Array(jacobian.shape[value.rank :], at)


def _by_variable(expressions: Expressions, body: tree.Node, variable: Variable) -> Array:
    """The derivative with respect to a variable that only lives inside the formula."""
    value = expressions.array(body)
    held = Read(expressions.scope.unique(variable.name), (), False)

    def at(idx: tuple[Poly, ...]) -> Expr:
        expr = _exchange(value.at(idx), variable, held)
        found = contributions(expr, {held.name}, strict=True)
        slope = build.add(*(build.bind("sum", c.bound, c.conditions, c.coefficient) for c in found)) if found else ZERO
        result: Expr = build.replace_reads(slope, lambda r: Var(variable) if r.name == held.name else None)
        return result

    return Array(value.shape, at)


def _exchange(expr: Expr, variable: Variable, read: Read) -> Expr:
    result: Expr = build.transform(expr, lambda e: read if isinstance(e, Var) and e.variable is variable else None)
    return result


@dataclass(frozen=True)
class _Wanted:
    """What is differentiated by: the tensor that holds it, and the element's leading indices."""

    held: str
    place: tuple[Poly, ...]
    is_step: bool


def _variable(expressions: Expressions, node: tree.Node) -> _Wanted:
    scope = expressions.scope
    base = node.base if isinstance(node, tree.Element) else node
    if not isinstance(base, tree.Name):
        raise LanguageError(f"'{node}' is not an input, a step or a variable to differentiate by", node.at)
    if base.id in scope.indices:
        raise LanguageError(f"{base.id!r} is an index; there is no derivative with respect to it", base.at)
    if base.id in scope.abstract:
        raise LanguageError(f"{base.id!r} is a {scope.abstract[base.id].kind}; differentiate by its argument", base.at)
    expressions.array(node)  # unknown names and elements out of range are errors here too
    if base.id not in scope.current:
        raise LanguageError(f"{base.id!r} is not an input, a step or a variable to differentiate by", base.at)
    symbol = scope.declared.get(base.id)
    incoming = scope.complete and symbol is not None and symbol.role == "state"
    tensor = scope.tensors[base.id if incoming else scope.current[base.id]]
    if tensor.symbol is not None and tensor.symbol.kind != "real":
        kind = tensor.symbol.kind
        raise LanguageError(f"{base.id!r} is a {kind}; there is no derivative with respect to it", base.at)
    place: tuple[Poly, ...] = ()
    if isinstance(node, tree.Element):
        place = tuple(expressions.index(i) for i in node.indices)
        outside = expressions.is_padded(base.id) and any(
            not scope.facts.within(p, s) for p, s in zip(place, tensor.shape, strict=False)
        )
        if outside and all(i.size is not None for p in place for i in p.indices()):
            raise LanguageError(f"'{node}' may lie outside the array: nothing to differentiate by there", node.at)
    return _Wanted(tensor.name, place, any(s.name == tensor.name for s in scope.steps))


class _Jacobian:
    """The derivative of an array by a name, as an array; computed when the first element is asked for."""

    def __init__(self, scope: Scope, value: Array, wanted: _Wanted) -> None:
        self.scope = scope
        self.value = value
        self.wanted = wanted
        self.rest = scope.tensors[wanted.held].shape[len(wanted.place) :]
        self.steps = tuple(scope.steps)

    def array(self) -> Array:
        """Shape: that of the value, then what is left of the name's own."""
        rank = self.value.rank
        return Array((*self.value.shape, *self.rest), lambda idx: self.element(idx[:rank], idx[rank:]))

    def element(self, row: tuple[Poly, ...], column: tuple[Poly, ...]) -> Expr:
        expr = self.value.at(row)
        outer = sorted(free_indices(expr), key=lambda i: i.serial)
        for index in outer:
            if index.size is None:
                raise LanguageError(
                    f"the range of index {index.name!r} cannot be inferred; read it bare, as in x[{index.name}], "
                    f"or bound it with a condition: {index.name} < n"
                )
        copies = tuple(i.fresh() for i in outer)
        moved = build.substitute(build.freshen(expr), dict(zip(outer, map(Poly.of, copies), strict=True)))
        slope, by = self.differentiate(moved, copies)
        back: dict[Atom, Poly] = dict(zip(copies, map(Poly.of, outer), strict=True))
        element: Expr = build.substitute(
            build.freshen(slope), {**back, **dict(zip(by, (*self.wanted.place, *column), strict=True))}
        )
        return element

    def differentiate(self, expr: Expr, free: Sequence[Index]) -> tuple[Expr, tuple[Index, ...]]:
        """The partial derivative of one element, and the indices of the name that it is taken by."""
        scope, held = self.scope, self.wanted.held
        name = "derived"
        while name in scope.tensors:
            name += "_"
        target = tuple(Poly.of(i) for i in free)
        shape = tuple(i.extent for i in free)
        step = Step(name, tuple(free), target, expr, shape)
        later = {n: Tensor(n, ()) for n in scope.later}  # names that steps to come will have
        tensors = {**later, **scope.tensors, name: Tensor(name, shape)}
        program = Program(
            tensors, (*self.steps, step), ((name, name),), dict(scope.instances), scope.facts, tuple(scope.dimensions)
        )
        program = replace(program, steps=program.needed({name, held}))
        (part,) = partial(program, name, held, strict=True, held=self.wanted.is_step)
        self.keep(with_slopes(program, held, held=self.wanted.is_step)[0], name)

        def unfolded(read: Read) -> Expr | None:
            """The element itself, where the derivative was folded into its name."""
            if read.name != name:
                return None
            itself: Expr = build.substitute(build.freshen(expr), dict(zip(free, read.index, strict=True)))
            return itself

        return build.replace_reads(part.expr, unfolded), part.wrt

    def keep(self, program: Program, apart: str) -> None:
        """Know from now on what the derivative reads beside the steps, such as the inverse beside a determinant."""
        known = {s.name for s in self.scope.steps} | {apart}
        for step in program.steps:
            if step.name not in known:
                self.scope.steps.append(step)
                self.scope.tensors[step.name] = Tensor(step.name, step.shape)
