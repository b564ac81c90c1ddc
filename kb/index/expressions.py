"""From the tree of an expression to an array in index form, with shapes and ranges checked."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from kb import tree
from kb.errors import LanguageError, nearest
from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.nodes import ONE, ZERO, Bind, Condition, Const, Expr, Num, Read, Val, Var, free_indices, num, val, walk
from kb.index.padding import padded
from kb.index.program import Step, Tensor, margins
from kb.index.scope import Array, Obligation, Scope, show, show_shape, size_of
from kb.vocabulary import ARRAY_FUNCTIONS, BINDERS, BUILT_IN, CONSTANTS, FUNCTIONS, MATRIX_FUNCTIONS, OPERATORS

_NORMALISING = ("exp", "log", "sqrt", "abs", "sign", "floor", "round")  # their arguments stay in place

Derive = Callable[["Expressions", tree.Call], Array]
MAX_ITEMS = 64


class Expressions:
    """Elaborates expressions in a scope. ``call`` handles entries, ``derive`` handles d and vjp."""

    def __init__(self, scope: Scope, calls: CallHandler | None = None, derive: Derive | None = None) -> None:
        self.scope = scope
        self.calls = calls
        self.derive = derive
        self.target = ""  # the step that is being defined, after which hidden steps are named

    # --- arrays ---------------------------------------------------------------------------------

    def array(self, node: tree.Node) -> Array:
        """The array that an expression gives."""
        match node:
            case tree.Number(text):
                return scalar(Num(Fraction(text)))
            case tree.Name():
                return self.name(node)
            case tree.Element():
                return self.element(node)
            case tree.Transpose(operand):
                return self.transpose(self.array(operand), node)
            case tree.Negative(operand):
                inner = self.array(operand)
                return Array(inner.shape, lambda idx: build.negative(inner.at(idx)), inner.row)
            case tree.Chain():
                return self.chain(node)
            case tree.Power(base, exponent):
                return self.power(node, self.array(base), self.array(exponent))
            case tree.Cases(then, condition, otherwise):
                return self.cases(node, then, condition, otherwise)
            case tree.Array(items):
                return self.literal(node, items)
            case tree.Call():
                return self.call(node)
            case tree.Prime(name, arguments, by):
                return self.apply(node, name, arguments, by)
            case tree.Comparison() | tree.Logic() | tree.Not():
                raise LanguageError(
                    "a condition is not a number; write 'a if condition else b', or use it in a binder", node.at
                )
        raise LanguageError(f"'{node}' is not an expression", node.at)

    def number(self, node: tree.Node, what: str) -> Expr:
        """The scalar that an expression gives."""
        result = self.array(node)
        if result.rank:
            raise LanguageError(f"{what} is a number, but '{node}' has shape {show_shape(result.shape)}", node.at)
        return result.at(())

    def name(self, node: tree.Name) -> Array:
        scope, name = self.scope, node.id
        if name in scope.indices:
            return scalar(Val(Poly.of(scope.indices[name])))
        if name in scope.variables:
            return scalar(Var(scope.variables[name]))
        if name in scope.arrays:
            return scope.arrays[name]
        if name in scope.current:
            tensor = scope.tensors[scope.current[name]]
            symbol = tensor.symbol
            if symbol is not None and symbol.kind == "label":
                raise LanguageError(f"{name!r} is a label: it selects, as in x[{name}], and is not a number", node.at)
            if symbol is not None and symbol.kind == "integer" and not tensor.shape:
                return scalar(val(Poly.of(name)))
            if tensor.name in scope.padding:
                return padded(scope, tensor)
            return Array(tensor.shape, lambda idx: Read(tensor.name, idx, tensor.outside))
        if name in scope.abstract:
            raise LanguageError(f"{name!r} is a {scope.abstract[name].kind}; call it: {name}(...)", node.at)
        if name in scope.dimensions:
            return scalar(val(Poly.of(name)))
        if name in CONSTANTS:
            return scalar(Const(name))
        raise scope.unknown(name, node.at)

    def element(self, node: tree.Element) -> Array:
        base = self.array(node.base)
        if len(node.indices) > base.rank:
            what = f"'{node.base}' has {base.rank} axes" if base.rank else f"'{node.base}' is a number"
            raise LanguageError(f"{what}, but {len(node.indices)} indices are given", node.indices[-1].at)
        outside = isinstance(node.base, tree.Name) and self.is_padded(node.base.id)
        places = []
        for axis, (place_node, size) in enumerate(zip(node.indices, base.shape, strict=False)):
            place = self.index(place_node)
            self.bound(place, size, place_node, node, outside, axis)
            places.append(place)
        head = tuple(places)
        return Array(base.shape[len(head) :], lambda idx: base.at(head + idx))

    def is_padded(self, name: str) -> bool:
        """Whether a symbol states its value outside its range."""
        held = self.scope.current.get(name, "")
        return held in self.scope.padding or (held in self.scope.tensors and self.scope.tensors[held].outside)

    def bound(self, place: Poly, size: Poly, at: tree.Node, node: tree.Element, outside: bool, axis: int) -> None:
        """Learn an index's range from a bare read; record what has to be proven."""
        index = place.index
        if index is not None and index.size is None and not outside:
            index.size = size
            return
        if not outside and not isinstance(place.atom, Gather):
            before, after = self.margin(node, axis)
            self.scope.obligations.append(Obligation(place + before, size + (before + after), at.at, f"'{node}'"))

    def margin(self, node: tree.Element, axis: int) -> tuple[int, int]:
        """How many elements there are before the first and after the last: where a recurrence starts."""
        if not isinstance(node.base, tree.Name):
            return 0, 0
        found = margins(self.scope.steps, self.scope.current.get(node.base.id, ""))
        return found[axis] if found else (0, 0)

    def index(self, node: tree.Node) -> Poly:
        """An expression used as a subscript: whole numbers, indices, sizes, labels."""
        if isinstance(node, tree.Element) and isinstance(node.base, tree.Name):
            tensor = self.label(node.base.id)
            if tensor is not None:
                return Poly.of(Gather(tensor.name, tuple(self.index(i) for i in node.indices)))
        return size_of(node, self.index_name)

    def label(self, name: str) -> Tensor | None:
        if name not in self.scope.current:
            return None
        tensor = self.scope.tensors[self.scope.current[name]]
        return tensor if tensor.symbol is not None and tensor.symbol.kind == "label" else None

    def index_name(self, node: tree.Name) -> Poly:
        scope, name = self.scope, node.id
        if name in scope.indices:
            return Poly.of(scope.indices[name])
        tensor = self.label(name)
        if tensor is not None:
            return Poly.of(Gather(tensor.name, ()))
        if name in scope.dimensions:
            return Poly.of(name)
        symbol = scope.declared.get(name)
        if symbol is not None and symbol.kind == "integer" and not symbol.shape:
            return self.integer(name)
        if symbol is not None or name in scope.current:
            message = f"{name!r} is a real number and cannot select; declare it as a label or integer"
            raise LanguageError(message, node.at)
        if name in scope.later or name in scope.poisoned:
            raise scope.unknown(name, node.at)
        raise LanguageError(
            f"index {name!r} is bound by nothing; put it on the left side, or bind it: sum(..., {name})", node.at
        )

    def integer(self, name: str) -> Poly:
        """An integer symbol as a size; a call may have put a size in its place."""
        if name in self.scope.arrays:
            return build.as_poly(self.scope.arrays[name].at(()))
        return Poly.of(name)

    def transpose(self, operand: Array, node: tree.Node) -> Array:
        if operand.rank == 1:
            return Array(operand.shape, operand.at, not operand.row)
        if operand.rank < 2:
            raise LanguageError("a number has no transpose", node.at)
        *lead, rows, columns = operand.shape
        return Array((*lead, columns, rows), lambda idx: operand.at((*idx[:-2], idx[-1], idx[-2])))

    # --- operators ------------------------------------------------------------------------------

    def chain(self, node: tree.Chain) -> Array:
        result = self.array(node.operands[0])
        if node.operators[0] in "+-":
            terms = [result]
            for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                term = self.array(operand)
                terms.append(self.elementwise(operand, build.negative, term) if operator == "-" else term)
            return self.elementwise(node, build.add, *terms)
        # Factors wait to be multiplied at once: a long chain is not a nest.
        factors = [result]
        for operator, operand in zip(node.operators, node.operands[1:], strict=True):
            right = self.array(operand)
            if operator != "@" and (factors[0].row or right.row):
                raise LanguageError("the transpose of a vector means something only beside '@'", operand.at)
            if operator in "*/":
                factors.append(right if operator == "*" else self.elementwise(operand, _reciprocal, right))
                continue
            left = factors[0] if len(factors) == 1 else self.elementwise(node, build.mul, *factors)
            if operator == "@":
                factors = [self.matmul(left, right, operand)]
            else:
                combine = _floor_divide if operator == "//" else _modulo
                factors = [self.elementwise(operand, combine, left, right)]
        return factors[0] if len(factors) == 1 else self.elementwise(node, build.mul, *factors)

    def elementwise(self, node: tree.Node, combine: Callable[..., Expr], *arrays: Array) -> Array:
        """Combine arrays of equal trailing axes element by element."""
        shape = arrays[0].shape
        for other in arrays[1:]:
            shape = self.broadcast(shape, other.shape, node)
        ranks = [a.rank for a in arrays]

        def at(idx: tuple[Poly, ...]) -> Expr:
            parts = zip(arrays, ranks, strict=True)
            return combine(*(a.at(idx[len(idx) - rank :]) for a, rank in parts))

        return Array(shape, at, any(a.row for a in arrays))

    def broadcast(self, a: tuple[Poly, ...], b: tuple[Poly, ...], node: tree.Node) -> tuple[Poly, ...]:
        longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
        cut = len(longer) - len(shorter)
        if longer[cut:] != shorter:
            raise LanguageError(
                f"shapes {show_shape(a)} and {show_shape(b)} do not go together in '{node}': the last axes must have "
                f"the same dimension names; write the indices out",
                node.at,
            )
        if shorter and cut and any(s in longer[:cut] for s in shorter):
            raise LanguageError(
                f"shapes {show_shape(a)} and {show_shape(b)} in '{node}' are ambiguous, as dimension "
                f"{show(next(s for s in shorter if s in longer[:cut]))} stands for several axes; write the indices out",
                node.at,
            )
        return longer

    def matmul(self, left: Array, right: Array, node: tree.Node) -> Array:
        if left.rank == 0 or right.rank == 0:
            raise LanguageError("'@' takes matrices and vectors; '*' multiplies by a number", node.at)
        if left.rank == 1 and right.rank == 1 and right.row and not left.row:
            return Array(left.shape + right.shape, lambda idx: build.mul(left.at(idx[:1]), right.at(idx[1:])))
        if right.rank == 1 and right.row and left.rank >= 2:
            raise LanguageError("a matrix times the transpose of a vector does not fit; leave out .T", node.at)
        inner = left.shape[-1]
        contracted = right.shape[-2] if right.rank >= 2 else right.shape[0]
        if inner != contracted:
            raise LanguageError(
                f"'@' needs equal inner dimensions, but the left side has {show_shape(left.shape)} and the right side "
                f"'{node}' has {show_shape(right.shape)}",
                node.at,
            )
        index = Index(self.bound_name(), inner)
        k = Poly.of(index)
        lead = left.shape[:-2] if left.rank >= 2 else ()
        if right.rank > 2 and (lead and lead != right.shape[:-2]):
            raise LanguageError("the leading axes of both sides of '@' must agree", node.at)
        lead = lead or right.shape[:-2]
        rows = left.shape[-2:-1]
        columns = right.shape[-1:] if right.rank >= 2 else ()
        n, r = len(lead), len(rows)

        def at(idx: tuple[Poly, ...]) -> Expr:
            front, row, column = idx[:n], idx[n : n + r], idx[n + r :]
            a = left.at((*front[: max(left.rank - 2, 0)], *row, k))
            b = right.at((*front[: max(right.rank - 2, 0)], k, *column))
            return build.bind("sum", [index], (), build.mul(a, b))

        row = left.rank == 1 and right.rank >= 2
        return Array((*lead, *rows, *columns), at, row and columns != ())

    def bound_name(self) -> str:
        return self.scope.free_names(8)[len(self.scope.indices) % 3 + 2]

    def power(self, node: tree.Power, base: Array, exponent: Array) -> Array:
        if base.rank >= 2 and base.shape[-1] == base.shape[-2]:
            raise LanguageError(
                f"'{node}' is ambiguous for a square matrix; write matpow(A, k) for the matrix power, or A[i,j]**k",
                node.at,
            )
        return self.elementwise(node, build.power, base, exponent)

    def cases(self, node: tree.Node, then: tree.Node, condition: tree.Node, otherwise: tree.Node) -> Array:
        shape, test = self.condition(condition)
        first, second = self.array(then), self.array(otherwise)
        both = self.broadcast(first.shape, second.shape, node)
        full = self.broadcast(both, shape, condition)

        def at(idx: tuple[Poly, ...]) -> Expr:
            rank = len(idx)
            value = first.at(idx[rank - first.rank :])
            return build.cases([(test(idx[rank - len(shape) :]), value)], second.at(idx[rank - second.rank :]))

        return Array(full, at)

    def condition(self, node: tree.Node) -> tuple[tuple[Poly, ...], Callable[[tuple[Poly, ...]], Condition]]:
        """A condition's shape and, for each element, the condition."""
        match node:
            case tree.Comparison(operator, left, right):
                a, b = self.comparand(left), self.comparand(right)
                shape = self.broadcast(a.shape, b.shape, node)

                def compare(idx: tuple[Poly, ...]) -> Condition:
                    return build.compare(operator, a.at(idx[len(idx) - a.rank :]), b.at(idx[len(idx) - b.rank :]))

                return shape, compare
            case tree.Logic(operator, operands):
                parts = [self.condition(o) for o in operands]
                shape = parts[0][0]
                for other, _ in parts[1:]:
                    shape = self.broadcast(shape, other, node)
                return shape, lambda idx: build.junction(operator, [t(idx[len(idx) - len(s) :]) for s, t in parts])
            case tree.Not(operand):
                shape, inner = self.condition(operand)
                return shape, lambda idx: build.negation(inner(idx))
        raise LanguageError(f"'{node}' is not a condition; write a comparison", node.at)

    def comparand(self, node: tree.Node) -> Array:
        """One side of a comparison: a number, or a label compared with an index."""
        if isinstance(node, tree.Name) and self.label(node.id) is not None:
            return scalar(Val(self.index_name(node)))
        if isinstance(node, tree.Element) and isinstance(node.base, tree.Name) and self.label(node.base.id):
            return scalar(Val(self.index(node)))
        return self.array(node)

    def literal(self, node: tree.Node, items: tuple[tree.Node, ...]) -> Array:
        if len(items) > MAX_ITEMS:
            raise LanguageError(f"an array literal of {len(items):,} items; the limit is {MAX_ITEMS}", node.at)
        parts = [self.array(item) for item in items]
        inner = parts[0].shape
        if any(p.shape != inner for p in parts):
            raise LanguageError("the items of an array literal must have the same shape", node.at)
        size = Poly.of(len(parts))

        def at(idx: tuple[Poly, ...]) -> Expr:
            place = idx[0].constant
            if place is not None:  # one out of range is refused later, with all reads that are
                return parts[place].at(idx[1:]) if 0 <= place < len(parts) else ZERO
            branches = [
                (build.compare("==", val(idx[0]), num(n)), part.at(idx[1:])) for n, part in enumerate(parts[:-1])
            ]
            return build.cases(branches, parts[-1].at(idx[1:]))

        return Array((size, *inner), at)

    # --- calls ----------------------------------------------------------------------------------

    def call(self, node: tree.Call) -> Array:
        results = self.call_several(node)
        if len(results) != 1:
            raise LanguageError(
                f"'{node.function}' has {len(results)} outputs; give each a name: a, b = {node.function}(...)", node.at
            )
        return results[0]

    def call_several(self, node: tree.Call) -> list[Array]:
        """All outputs of a call: of a built-in word, an abstract function or an entry."""
        name = node.function
        if name in self.scope.abstract:
            return [self.apply(node, name, node.arguments)]
        if name in BUILT_IN and node.rest:
            message = "'...' passes the rest by name to an entry; built-in functions take all arguments"
            raise LanguageError(message, node.at)
        if name in FUNCTIONS:
            arrays = [self.array(a) for a in self.take(node, 1)]
            if name not in _NORMALISING:
                arrays = [self.named(a) for a in arrays]
            return [self.elementwise(node, lambda x: build.function(name, x), *arrays)]
        if name in BINDERS:
            from kb.index.binders import binder

            return [binder(self, node)]
        if name in MATRIX_FUNCTIONS:
            from kb.index.arrays import matrix_function

            return matrix_function(self, node)
        if name in ARRAY_FUNCTIONS:
            from kb.index.arrays import array_function

            return [array_function(self, node)]
        if name in OPERATORS:
            from kb.index.operators import operator

            return [operator(self, node)]
        if self.calls is not None and (results := self.calls(self, node)) is not None:
            return results
        known = [*BUILT_IN, *self.scope.abstract, *(self.calls.known() if self.calls else ())]
        raise LanguageError(f"there is no function or entry {name!r}{nearest(name, known)}", node.at)

    def take(self, node: tree.Call, count: int, most: int | None = None) -> tuple[tree.Node, ...]:
        """The arguments, if there are as many as the function takes."""
        given = len(node.arguments)
        if not count <= given <= (most or count):
            wanted = f"{count}" if most is None else f"{count} to {most}"
            raise LanguageError(f"'{node.function}' takes {wanted} argument(s), {given} given", node.at)
        return node.arguments

    def apply(
        self, node: tree.Node, name: str, arguments: tuple[tree.Node, ...], by: tuple[str, ...] | None = None
    ) -> Array:
        """An abstract function, or its derivative by some of its arguments; no names mean its only one."""
        from kb.index.operators import apply_abstract

        return apply_abstract(self, node, name, arguments, by)

    def named(self, array: Array) -> Array:
        """What a nonlinear function is applied to: a sum of products gets a name, as people give it one."""
        probe = array.at(tuple(Poly.of(Index("_", s)) for s in array.shape))
        nodes = list(walk(probe))
        if not array.rank or not any(isinstance(n, Bind) for n in nodes) or any(isinstance(n, Var) for n in nodes):
            return array
        return self.define(f"z_{self.target}" if self.target else "z", array)

    # --- hidden steps ---------------------------------------------------------------------------

    def define(self, hint: str, array: Array, names: list[str] | None = None) -> Array:
        """Give an intermediate array a step of its own; indices in force become leading axes."""
        scope = self.scope
        free = tuple(
            Index(n, size) for n, size in zip(names or scope.free_names(array.rank), array.shape, strict=False)
        )
        expr = array.at(tuple(Poly.of(i) for i in free))
        used = free_indices(expr) - set(free)
        outer = [i for i in scope.indices.values() if i in used]
        for index in outer:
            if index.size is None:
                raise LanguageError(
                    f"the range of index {index.name!r} must be known before it is used inside a call; "
                    f"read it bare before, or bound it: {index.name} < n"
                )
        copies = [i.fresh() for i in outer]
        expr = build.substitute(expr, {i: Poly.of(c) for i, c in zip(outer, copies, strict=True)})
        name = scope.unique(hint)
        all_free = (*copies, *free)
        shape = (*(i.extent for i in outer), *array.shape)
        self.add_step(Step(name, all_free, tuple(Poly.of(i) for i in all_free), expr, shape))
        lead = tuple(Poly.of(i) for i in outer)
        return Array(array.shape, lambda idx: Read(name, lead + idx, False))

    def add_step(self, step: Step) -> None:
        """Append a step and make its name known."""
        self.scope.steps.append(step)
        if step.name not in self.scope.tensors:
            self.scope.tensors[step.name] = Tensor(step.name, step.shape)


class CallHandler(Protocol):
    """How calls of entries are resolved; the elaborator of entries provides one."""

    def __call__(self, expressions: Expressions, node: tree.Call) -> list[Array] | None:
        """The outputs of a call, or None if there is no such entry."""

    def known(self) -> list[str]:
        """The ids that can be called."""


def scalar(expr: Expr) -> Array:
    """A number as an array without axes."""
    return Array((), lambda idx: expr)


def _reciprocal(expr: Expr) -> Expr:
    return build.power(expr, num(-1))


def _floor_divide(left: Expr, right: Expr) -> Expr:
    if build.is_whole(left) and build.is_whole(right):
        return val(build.as_poly(left) // build.as_poly(right))
    return build.function("floor", build.divide(left, right))


def _modulo(left: Expr, right: Expr) -> Expr:
    return build.subtract(left, build.mul(right, _floor_divide(left, right)))


def mean_weight(indices: tuple[Index, ...], conditions: tuple[Condition, ...]) -> Expr:
    """One over the number of values that the indices take."""
    return build.power(build.bind("sum", indices, conditions, ONE), num(-1))
