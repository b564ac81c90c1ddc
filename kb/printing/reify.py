"""Index form back to a tree of the language, arranged as people write it.

The tree is set by the same printers as a definition, and parses back where it uses words of the
language only (``iverson`` is a word of the printers).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from kb import tree
from kb.index import build
from kb.index.affine import Gather, Index, Poly
from kb.index.nodes import (
    HALF,
    Add,
    Apply,
    ApplyArray,
    Bind,
    Cases,
    Compare,
    Condition,
    Const,
    Expr,
    Fn,
    Integral,
    Junction,
    Mul,
    Negation,
    Num,
    Pick,
    Pow,
    Read,
    Several,
    Stop,
    Test,
    Val,
    Var,
    Variable,
    Whole,
    free_indices,
    walk,
)
from kb.index.program import Program
from kb.printing.factors import (
    Factors,
    Listed,
    alternatives,
    elsewhere,
    free_indices_only,
    has_binder,
    in_order,
    is_negative_sum,
    listing,
    mean_of,
    plain_first,
    positive_sum,
    said_once,
    softmax_form,
    take_apart,
    without_implied_tests,
)
from kb.printing.names import Awaiting, Expectation, Names, poly_tree
from kb.printing.trees import element, negated, number_parts, product_of, renamed, sum_of


def reify(expr: Expr, names: Names | None = None) -> tree.Node:
    """The expression as a tree in index notation."""
    scope = (names or Names()).bind_free(expr)
    return Reifier(scope).alone(said_once(expr))


class Reifier:
    """Turns expressions into trees, in one scope of names."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def inside(self, items: Iterable[Index | Variable], body: Expr) -> Reifier:
        """The same in the scope of a binder."""
        return Reifier(self.names.bind(items, body))

    def alone(self, expr: Expr) -> tree.Node:
        """An expression that stands for itself: here ``a if c else 0`` reads better than a bracket."""
        beside = elsewhere(expr)
        if beside is not None:
            condition, rest = beside
            return tree.Cases(self.visit(rest), self.condition(condition), tree.Number("0"))
        found = take_apart(expr)
        conditions = [c for c in found.tests if not self.is_delta(c)]
        if len(conditions) == 1 and not free_indices_only(conditions[0]) and len(found.tests) == 1:
            value = self.product(Factors(found.number, found.above, found.below))
            if not (isinstance(value, tree.Number) and value.text == "0"):
                return tree.Cases(value, self.condition(conditions[0]), tree.Number("0"))
        return self.visit(expr)

    def visit(self, expr: Expr) -> tree.Node:
        """Any expression."""
        match expr:
            case Num() | Mul() | Pow() | Test():
                return self.product(take_apart(expr))
            case Bind() if is_negative_sum(expr):
                return self.product(take_apart(expr))
            case Add(args=(one, other)) if (chosen := alternatives(one, other)) is not None:
                condition, then, otherwise = chosen
                return tree.Cases(self.visit(then), self.condition(condition), self.visit(otherwise))
            case Add(args=args):
                terms = in_order(args)
                return sum_of([self.signed(a) for a in (plain_first(terms) if self.names.roles else terms)])
            case Const(name=name):
                return tree.Name(name)
            case Val(poly=poly):
                return poly_tree(poly, self.names)
            case Read(name=name) if name in self.names.expectations:
                return self.expectation(self.names.expectations[name])
            case Read(name=name, index=index) if name in self.names.awaiting:
                return self.awaited(self.names.awaiting[name], index)
            case Read(name=name, index=index):
                return self.names.read(name, [poly_tree(p, self.names) for p in index])
            case Var(variable=variable):
                return tree.Name(self.names.given.get(variable, variable.name))
            case Fn(name="exp") if (split := softmax_form(expr)) is not None:
                return self.product(Factors(Fraction(1), *split))
            case Fn(name=name, arg=arg):
                return tree.Call(name, (self.visit(arg),))
            case Apply():
                return self.applied(expr)
            case ApplyArray(index=index):
                places = tuple(poly_tree(p, self.names) for p in index)
                return tree.Element(self.of_arrays(expr), places) if places else self.of_arrays(expr)
            case Stop(arg=arg):
                return tree.Call("stop", (self.visit(arg),))
        return self.binding(expr)

    def binding(self, expr: Expr) -> tree.Node:
        """What binds an index or a variable, or chooses."""
        match expr:
            case Several(op="logsumexp", args=args):
                terms = [self.signed(build.function("exp", a)) for a in args]
                return tree.Call("log", (sum_of(terms),))
            case Several(op=op, args=args):
                return tree.Call(op, tuple(self.visit(a) for a in args))
            case Bind(op="logsumexp", indices=indices, conditions=conditions, body=body):
                total = Bind("sum", indices, conditions, build.function("exp", body))
                return tree.Call("log", (self.bound("sum", total),))
            case Bind(op=op):
                return self.bound(op, expr)
            case Pick(op=op, indices=indices, conditions=conditions, body=body, at=at):
                inner = Bind(op, indices, conditions, body)
                places = tuple(poly_tree(p, self.names) for p in at)
                left = places[0] if len(places) == 1 else tree.Call("tuple", places)
                return tree.Call("iverson", (tree.Comparison("==", left, self.bound(f"arg{op}", inner)),))
            case Cases() if (listed := listing(expr)) is not None:
                over, values = listed
                return tree.Element(self.listed(values), tuple(tree.Name(self.names.given[i]) for i in over))
            case Cases(branches=branches, otherwise=otherwise):
                node = self.visit(otherwise)
                for condition, value in reversed(branches):
                    node = tree.Cases(self.visit(value), self.condition(condition), node)
                return node
            case Integral(variable=variable, low=low, high=high, body=body):
                inner_scope = self.inside([variable], body)
                name = tree.Name(inner_scope.names.given[variable])
                return tree.Call("integral", (inner_scope.visit(body), name, self.visit(low), self.visit(high)))
        raise TypeError(f"not an expression: {expr!r}")

    def listed(self, values: Listed) -> tree.Node:
        """A vector or a matrix by its elements."""
        return self.visit(values) if isinstance(values, Expr) else tree.Array(tuple(map(self.listed, values)))

    def signed(self, expr: Expr) -> tuple[bool, tree.Node]:
        """Whether the term is subtracted, and its absolute form."""
        found = positive_sum(take_apart(expr))
        negative = found.number < 0
        return negative, self.product(Factors(abs(found.number), found.above, found.below, found.tests))

    # --- products -------------------------------------------------------------------------------

    def product(self, found: Factors) -> tree.Node:
        """Number, scalars, deltas, the rest and sums last, over the denominators."""
        found = without_implied_tests(positive_sum(found))
        above, below = number_parts(abs(found.number))
        op, factors, divisors = mean_of(found)
        ordered = sorted(self.names.ordered(factors), key=self.place)
        brackets = self.tests(found.tests)
        deltas: list[tree.Node] = [b for b in brackets if isinstance(b, tree.Call) and b.function == "delta"]
        scalars = [f for f in ordered if self.place(f) <= 1]
        rest = [f for f in ordered if self.place(f) > 1]
        above += [self.factor(f, op) for f in scalars] + deltas
        above += [self.factor(f, op) for f in rest]
        above += [b for b in brackets if b not in deltas]
        below += [self.factor(f, None) for f in sorted(self.names.ordered(divisors), key=self.place)]
        if found.number == 0:
            return tree.Number("0")
        node = product_of(above, below)
        return negated(node) if found.number < 0 else node

    def factor(self, expr: Expr, mean: Expr | None) -> tree.Node:
        if expr is mean:
            assert isinstance(expr, Bind)
            return self.bound("mean", expr)
        if isinstance(expr, Pow):
            if expr.exponent == HALF:
                return tree.Call("sqrt", (self.visit(expr.base),))
            return tree.Power(self.visit(expr.base), self.visit(expr.exponent))
        return Reifier(self.names.nested()).visit(expr) if isinstance(expr, Add) else self.visit(expr)

    def place(self, factor: Expr) -> int:
        """Where a factor stands: scalars, then arrays, then brackets over several lines, sums last."""
        if isinstance(factor, (Bind, Integral)):
            return 4
        if isinstance(factor, Pick) or (isinstance(factor, Read) and factor.name in self.names.awaiting):
            return 3
        return 2 if free_indices(factor) or has_binder(factor) else 1

    def tests(self, conditions: Sequence[Condition]) -> list[tree.Node]:
        """Deltas one by one, all other conditions in one bracket."""
        deltas: list[tree.Node] = []
        others: list[Condition] = []
        pairs: list[list[Expr]] = []
        for condition in conditions:
            if self.is_delta(condition):
                assert isinstance(condition, Compare)
                pairs.append(sorted((condition.left, condition.right), key=self.delta_rank))
            else:
                others.append(condition)
        for sides in sorted(pairs, key=lambda pair: [self.delta_rank(s) for s in pair]):
            deltas.append(tree.Call("delta", tuple(self.visit(s) for s in sides)))
        if others:
            deltas.append(tree.Call("iverson", (self.condition(build.junction("and", others)),)))
        return deltas

    def is_delta(self, condition: Condition) -> bool:
        """Whether the condition says that two bare indices, or an index and a label, agree."""
        return (
            isinstance(condition, Compare)
            and condition.op == "=="
            and all(_is_place(side) for side in (condition.left, condition.right))
        )

    def delta_rank(self, side: Expr) -> int:
        atom = side.poly.atom if isinstance(side, Val) else None
        order = list(self.names.given)
        return order.index(atom) if isinstance(atom, Index) and atom in order else len(order)

    # --- binders --------------------------------------------------------------------------------

    def bound(self, word: str, expr: Bind) -> tree.Call:
        """``word(body, i, j, conditions)``; a range that no subscript shows is a condition."""
        scope = self.inside(expr.indices, expr.body)
        listed: list[tree.Node] = [tree.Name(scope.names.given[i]) for i in expr.indices]
        parts = (expr.body, *expr.conditions)
        shown = (n for part in parts for n in walk(part) if isinstance(n, (Read, ApplyArray)))
        seen = {i for n in shown for p in n.index if (i := p.index) is not None}
        for index in expr.indices:
            if index not in seen and index.size is not None:
                limit = poly_tree(index.size, scope.names)
                listed.append(tree.Comparison("<", tree.Name(scope.names.given[index]), limit))
        listed += [scope.condition(c) for c in expr.conditions]
        return tree.Call(word, (scope.visit(expr.body), *listed))

    def condition(self, condition: Condition) -> tree.Node:
        """A condition; comparisons are turned so that what varies stands on the left."""
        match condition:
            case Compare(op=op, left=left, right=right):
                if op in ("<", "<=") and isinstance(left, Num) and not isinstance(right, Num):
                    return tree.Comparison({"<": ">", "<=": ">="}[op], self.visit(right), self.visit(left))
                return tree.Comparison(op, self.visit(left), self.visit(right))
            case Junction(op=op, args=args):
                return tree.Logic(op, tuple(self.condition(a) for a in args))
            case Negation(arg=arg):
                return tree.Not(self.condition(arg))
        raise TypeError(f"not a condition: {condition!r}")

    def expectation(self, found: Expectation) -> tree.Node:
        """``E(body, x, law)``."""
        scope = self.inside([found.variable], found.body)
        letter = scope.names.given[found.variable]
        law = renamed(found.law, {found.letter: letter})
        return tree.Call("E", (scope.visit(found.body), tree.Name(letter), law))

    def awaited(self, found: Awaiting, place: tuple[Poly, ...]) -> tree.Node:
        """``d(body, x[k])``."""
        below = element(found.symbol, [poly_tree(p, self.names) for p in found.place])
        return tree.Call("d", (self.visit(found.of(place)), below))

    def applied(self, expr: Apply) -> tree.Node:
        """``f(x)``, ``f'(x)``, or a partial derivative of a function of several numbers."""
        args = tuple(self.visit(a) for a in expr.args)
        total = sum(expr.orders)
        known = self.names.signatures.get(expr.name)
        if len(args) == 1 and total:
            if total == 1 or known is None:
                return tree.Prime(expr.name + "_prime" * (total - 1), args)
            return tree.Prime(expr.name, args, known.arguments * total)
        if total and known is not None and not _tells_apart(args):
            by = tuple(a for a, order in zip(known.arguments, expr.orders, strict=True) for _ in range(order))
            return tree.Prime(expr.name, args, by)
        node: tree.Node = tree.Call(expr.name, args)
        for order, arg in zip(expr.orders, args, strict=True):
            for _ in range(order):
                node = tree.Call("d", (node, arg))
        return node

    def of_arrays(self, expr: ApplyArray) -> tree.Node:
        """A function of arrays or a derivative of one, as an array of its own: ``grad_L(theta - v)``."""
        args = tuple(self.whole(a) for a in expr.args)
        if not expr.wrt:
            return tree.Call(expr.name, args)
        known = self.names.signatures.get(expr.name)
        arguments = known.arguments if known is not None else tuple(f"a_{n}" for n in range(len(args)))
        by = tuple(arguments[n] for n in expr.wrt) if len(args) > 1 or len(expr.wrt) > 1 else ()
        return tree.Prime(expr.name, args, by)

    def whole(self, arg: Whole) -> tree.Node:
        """An array as a whole: without its indices where each read ends with them, else in matrix notation."""
        from kb.printing.matrix import matrix_notation

        count = len(arg.indices)
        own = tuple(map(Poly.of, arg.indices))

        def shortened(read: Read) -> Expr | None:
            return Read(read.name, read.index[:-count], read.outside) if count and read.index[-count:] == own else None

        bare = build.replace_reads(arg.body, shortened)
        if not free_indices(bare) & set(arg.indices):
            return self.visit(bare)
        matrix = matrix_notation(arg.body, arg.indices, Program({}, (), ()), self.names)
        return matrix if matrix is not None else self.inside(arg.indices, arg.body).visit(arg.body)


def _tells_apart(args: Sequence[tree.Node]) -> bool:
    """Whether ``d(f(x, y), x)`` says by which argument: each is a name or an element of its own."""
    return all(isinstance(a, (tree.Name, tree.Element)) for a in args) and len(set(args)) == len(args)


def _is_place(side: Expr) -> bool:
    """A bare index, or a label."""
    return isinstance(side, Val) and isinstance(side.poly.atom, (Index, Gather))
