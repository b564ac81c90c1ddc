"""Index form in matrix notation, where that is how people write it.

An expression over at most two free axes is read as a tensor network: every factor is a vector or
a matrix over its indices, every summed index joins two of them. Joined factors become chains of
matrix products, what shares its axes becomes an elementwise product, what is summed alone a
``rowsum`` or ``colsum``. A third, leading axis that all three-axis arrays share is kept as a
subscript. Where a part has no such form the answer is None, and index notation says it better.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    Expr,
    Fn,
    Integral,
    Mul,
    Num,
    Pick,
    Pow,
    Read,
    Several,
    Test,
    Val,
    Var,
    derivative_places,
    free_indices,
    reads,
    walk,
)
from kb.index.program import Program
from kb.printing.chains import (
    Axes,
    NoMatrixForm,
    Part,
    Quotient,
    is_vector,
    joined_twins,
    matrix_product,
    over_one,
    placed,
    scaled_chain,
    single,
    sum_over,
    with_common_factors,
)
from kb.printing.factors import turned_sums
from kb.printing.names import Names, poly_tree
from kb.printing.reify import Reifier
from kb.printing.trees import negated, number_parts, product_of, sum_of


def matrix_notation(
    expr: Expr, free: Sequence[Index], program: Program, names: Names | None = None
) -> tree.Node | None:
    """The expression over its free indices in matrix notation, or None where it has none.

    With three free indices the first is kept as a subscript of all arrays that have it.
    """
    lead, axes = (free[0], tuple(free[1:])) if len(free) == 3 else (None, tuple(free))
    if len(axes) > 2 or len(set(axes)) != len(axes):
        return None
    scope = (names or Names()).bind_free(expr).bind(free)
    leads = (lead,) if lead is not None else ()
    if not axes and not any(r.index for r in reads(expr)):
        return None
    try:
        return _Matrix(program, scope, frozenset(leads), turns=bool(leads)).array(expr, axes)
    except NoMatrixForm:
        return None


def turn_notation(
    expr: Expr, turn: Index | None, free: Sequence[Index], program: Program, names: Names
) -> tree.Node | None:
    """What a turn of a recurrence computes, in matrix notation; None where it has none.

    ``turn`` is the index of the turn, or None where a recurrence starts: arrays keep their first
    subscript if it is a place along the recurrence. A sum over such an index stays a sum.
    """
    axes = tuple(i for i in free if i is not turn)
    if len(axes) > 2 or not axes:
        return None
    scope = names.bind_free(expr).bind(free)
    if turn is None and isinstance(expr, Bind) and expr.op == "sum" and len(expr.indices) == 1 and not expr.conditions:
        bound = expr.indices[0]
        if any(r.index and _is_shifted(r.index[0], bound) for r in reads(expr.body)):
            inner = turn_notation(expr.body, bound, (bound, *free), program, scope)
            return tree.Call("sum", (inner, tree.Name(scope.bind([bound]).given[bound]))) if inner is not None else None
    try:
        return _Matrix(program, scope, frozenset([turn] if turn is not None else ()), turns=True).array(expr, axes)
    except NoMatrixForm:
        return None


def _is_shifted(place: Poly, index: Index) -> bool:
    """Whether a place is an index, but some elements further."""
    return place.index is not index and (place - Poly.of(index)).constant is not None


class _Matrix:
    def __init__(
        self, program: Program, names: Names, leads: frozenset[Index], wanted: Axes = (), turns: bool = False
    ) -> None:
        self.program = program
        self.names = names
        self.leads = leads
        self.wanted = wanted
        self.turns = turns
        self.scalar = Reifier(names)

    # --- arrays over given axes -----------------------------------------------------------------

    def array(self, expr: Expr, axes: Axes, partial: bool = False) -> tree.Node:
        """The expression as an array whose axes are these; ``partial`` allows fewer that broadcast."""
        if not self.varies(expr) and not any(isinstance(n, Bind) for n in walk(expr)):
            return self.constant(expr)
        match expr:
            case Add(args=args):
                return self.terms(_positive_first(args), axes)
            case Fn(name=name, arg=arg):
                return tree.Call(name, (self.full(arg, axes),))
            case Several(op="max" | "min" as op, args=args):
                return tree.Call(op, tuple(self.array(a, axes, partial) for a in args))
            case Several(op="logsumexp", args=args):
                terms = build.add(*(build.function("exp", a) for a in args))
                return tree.Call("log", (self.array(terms, axes),))
            case Apply(name=name, orders=orders, args=(arg,)) if _is_plain(expr):
                inner = (self.full(arg, axes),)
                return tree.Prime(name, inner) if sum(orders) else tree.Call(name, inner)
        return self.product(expr, axes, partial)

    def terms(self, terms: Sequence[Expr], axes: Axes) -> tree.Node:
        """A sum; a term that lacks axes broadcasts beside one that has them all."""
        if axes and not any(set(axes) <= free_indices(t) for t in terms):
            raise NoMatrixForm
        return sum_of(with_common_factors([self.term(t, axes) for t in terms]))

    def term(self, expr: Expr, axes: Axes) -> tuple[bool, tree.Node]:
        number, rest = build.split_coefficient(expr)
        if rest is None:
            return number < 0, self.constant(Num(abs(number)))
        positive = build.mul(Num(abs(number)), rest)
        return number < 0, self.array(positive, axes, partial=True)

    def full(self, expr: Expr, axes: Axes) -> tree.Node:
        """The expression as an argument of a function: over the axes that it has itself."""
        own = tuple(i for i in axes if i in free_indices(expr))
        if own and own != axes:
            raise NoMatrixForm
        return self.array(expr, own)

    def varies(self, expr: Expr) -> bool:
        return bool(free_indices(expr))

    def constant(self, expr: Expr) -> tree.Node:
        """What has no axes and binds nothing."""
        if any(isinstance(n, (Pick, Integral, Var, Cases)) for n in walk(expr)):
            raise NoMatrixForm
        return self.scalar.visit(expr)

    # --- products -------------------------------------------------------------------------------

    def product(self, expr: Expr, axes: Axes, partial: bool) -> tree.Node:
        """A product, possibly of sums, over the given axes."""
        network = _Network(_Matrix(self.program, self.names, self.leads, axes, self.turns))
        network.collect(expr)
        parts = network.contract(axes)
        return network.scaled(placed(parts, axes, partial))

    def part(self, expr: Expr) -> Part:
        """One factor as a part; its axes in the order in which it has them."""
        match expr:
            case Read():
                return self.read(expr)
            case Test(condition=condition):
                return self.test(condition)
            case ApplyArray():
                return self.of_arrays(expr)
            case Pow(base=base, exponent=exponent) if not free_indices(exponent) and not _has_sum(exponent):
                return self.raised(base, exponent)
        own = self.axes_of(expr)
        if isinstance(expr, Add):
            inner = _Matrix(self.program, self.names.nested(), self.leads, self.wanted, self.turns)
            return single(inner.array(expr, own), own)
        if isinstance(expr, (Fn, Several)) or (isinstance(expr, Apply) and _is_plain(expr)):
            return single(self.array(expr, own), own)
        raise NoMatrixForm

    def read(self, read: Read) -> Part:
        """A symbol or step; leading subscripts stay, all other places must be bare and distinct."""
        lead: list[tree.Node] = []
        places = list(read.index)
        first = places[0].index if len(places) == 3 else None
        if self.turns and places and all(i in self.leads for i in places[0].indices()):
            lead.append(poly_tree(places[0], self.names))
            places.pop(0)
        elif first is not None and first in self.leads:
            lead.append(tree.Name(self.names.given[first]))
            places.pop(0)
        axes = [p.index for p in places]
        found = tuple(i for i in axes if i is not None and i not in self.leads)
        if len(found) != len(places) or len(set(found)) != len(found) or len(found) > 2 or read.outside:
            raise NoMatrixForm
        shape = self.program.tensors[read.name].shape[len(lead) :] if read.name in self.program.tensors else ()
        if any(i.size != size for i, size in zip(found, shape, strict=False)):
            raise NoMatrixForm
        if read.name in self.names.parts:
            return self.authored(read, found)
        return single(self.names.read(read.name, lead), found, read.name in self.names.symmetric)

    def of_arrays(self, expr: ApplyArray) -> Part:
        """An abstract function of whole arrays, or a derivative of it: a vector or a matrix."""
        axes = tuple(p.index for p in expr.index)
        found = tuple(i for i in axes if i is not None)
        if len(found) != len(axes) or len(set(found)) != len(found) or len(found) > 2 or set(found) & self.leads:
            raise NoMatrixForm
        if any(free_indices(a) for a in expr.args):
            raise NoMatrixForm
        symmetric = len(expr.wrt) == 2 and expr.wrt[0] == expr.wrt[1] and not derivative_places(expr)[0]
        return single(self.scalar.of_arrays(expr), found, symmetric)

    def authored(self, read: Read, axes: Axes) -> Part:
        """A part of the definition as it is written, where it is whole."""
        part = self.names.parts[read.name]
        if part.letters or len(axes) != len(part.step.free):
            raise NoMatrixForm
        return single(part.node, axes)

    def test(self, condition: Condition) -> Part:
        """A delta as an identity matrix or a unit vector, a comparison of values as an elementwise bracket."""
        if not isinstance(condition, Compare):
            raise NoMatrixForm
        left, right = condition.left, condition.right
        if isinstance(left, Val) and isinstance(right, Val):
            i, j = left.poly.index, right.poly.index
            if condition.op == "==" and (i is None) != (j is None):
                return self.unit_vector(*((i, right.poly) if i is not None else (j, left.poly)))
            if condition.op != "==" or i is None or j is None or {i, j} & self.leads or i.size != j.size:
                raise NoMatrixForm
            size = self.scalar.visit(Val(i.extent))
            return single(tree.Call("eye", (size,)), (i, j))
        own = tuple(i for i in dict.fromkeys((*_order_of_axes(left), *_order_of_axes(right))))
        if len(own) > 1 or set(own) & self.leads:
            raise NoMatrixForm
        sides = (self.array(left, own), self.array(right, own))
        operator = condition.op
        if isinstance(left, Num) and operator in ("<", "<="):
            operator, sides = {"<": ">", "<=": ">="}[operator], sides[::-1]
        return single(tree.Call("iverson", (tree.Comparison(operator, *sides),)), own)

    def unit_vector(self, index: Index | None, place: Poly) -> Part:
        """The vector with a 1 where a label points."""
        if index is None or index in self.leads or not isinstance(place.atom, Gather) or any(place.indices()):
            raise NoMatrixForm
        size = self.scalar.visit(Val(index.extent))
        return single(tree.Call("one_hot", (poly_tree(place, self.names), size)), (index,))

    def raised(self, base: Expr, exponent: Expr) -> Part:
        """An elementwise power; sums inside are values, not chains."""
        own = self.axes_of(base)
        inner = self.array(base, own)
        if exponent == HALF:
            return single(tree.Call("sqrt", (inner,)), own)
        return single(tree.Power(inner, self.constant(exponent)), own)

    def axes_of(self, expr: Expr) -> Axes:
        """The axes of a factor: as the result has them where it has them all, else as they are read."""
        own = tuple(i for i in _order_of_axes(expr) if i not in self.leads)
        if len(own) > 2:
            raise NoMatrixForm
        return tuple(i for i in self.wanted if i in own) if set(own) <= set(self.wanted) else own


class _Network:
    """The factors of a product with sums: its number, constants, parts, divisors and bound indices."""

    def __init__(self, matrix: _Matrix) -> None:
        self.matrix = matrix
        self.number = Fraction(1)
        self.above: list[tree.Node] = []
        self.below: list[tree.Node] = []
        self.parts: list[Part] = []
        self.divisors: list[Part] = []
        self.bound: list[Index] = []
        self.summed_leads: list[Index] = []

    def collect(self, expr: Expr) -> None:
        """Take a product apart, sums inside it included."""
        match expr:
            case Mul():
                for arg in self.matrix.names.ordered(turned_sums(expr)):
                    self.collect(arg)
            case Num(value=value):
                self.number *= value
            case Bind(op="sum", indices=indices, conditions=(), body=body):
                self.open_sum(expr, indices, body)
            case Pow(base=base, exponent=exponent) if build.split_coefficient(exponent)[0] < 0:
                self.divide(build.power(base, build.negative(exponent)))
            case _ if not free_indices(expr) and (not _has_sum(expr) or isinstance(expr, ApplyArray)):
                self.above.append(self.matrix.constant(expr))
            case _:
                self.parts.append(self.matrix.part(expr))

    def open_sum(self, whole: Expr, indices: Axes, body: Expr) -> None:
        assert isinstance(whole, Bind)
        fresh = build.rename_bound(whole)
        assert isinstance(fresh, Bind)
        leads = [i for i in fresh.indices if _is_lead(i, fresh.body)]
        if leads:
            if self.summed_leads or len(leads) > 1 or self.matrix.leads:
                raise NoMatrixForm
            self.summed_leads = leads
            names = self.matrix.names.bind(leads, fresh.body)
            self.matrix = _Matrix(self.matrix.program, names, self.matrix.leads | set(leads), self.matrix.wanted)
        self.bound += [i for i in fresh.indices if i not in leads]
        self.collect(fresh.body)

    def divide(self, divisor: Expr) -> None:
        if not free_indices(divisor):
            if _has_sum(divisor):
                self.below.append(self.matrix.array(divisor, ()))
            else:
                self.below.append(self.matrix.constant(divisor))
            return
        if free_indices(divisor) & set(self.bound):
            self.parts.append(over_one(self.matrix.part(divisor)))
            return
        self.divisors.append(self.matrix.part(divisor))

    # --- contraction ----------------------------------------------------------------------------

    def contract(self, axes: Axes) -> list[Part]:
        """Sum over the bound indices one after the other; what remains are parts over the axes."""
        parts = list(self.parts)
        pending = list(self.bound)
        while pending:
            parts = joined_twins(self.dot_products(parts, pending))
            if not pending:
                break
            index = min(pending, key=lambda i: sum(i in p.axes for p in parts))
            pending.remove(index)
            parts = sum_over(index, parts, pending, axes)
        divisors = [d if set(d.axes) != set(axes) else single(d.over(axes), axes) for d in self.divisors]
        return [*joined_twins(parts), *(single(Quotient(d.over(d.axes)), d.axes) for d in divisors)]

    def dot_products(self, parts: list[Part], pending: list[Index]) -> list[Part]:
        """Sums of products of two vectors as such, taken from what is pending."""
        for index in list(pending):
            meeting = [p for p in parts if index in p.axes]
            if len(meeting) == 2 and all(map(is_vector, meeting)):
                pending.remove(index)
                parts = [*(p for p in parts if p not in meeting), matrix_product(index, *meeting)]
        return parts

    def scaled(self, node: tree.Node | None) -> tree.Node:
        """Numbers in front, divisors behind, sums over heads around."""
        above, below = number_parts(abs(self.number))
        above += self.above
        below += self.below
        for lead in self.summed_leads:
            node = tree.Call("sum", (node or tree.Number("1"), tree.Name(self.matrix.names.given[lead])))
        factors = [] if node is None else [node]
        if isinstance(node, tree.Chain) and "@" in node.operators and (above or below):
            made: tree.Node = scaled_chain(above, node, below)
        else:
            made = product_of([*above, *factors], below)
        return negated(made) if self.number < 0 else made


def _is_plain(expr: Apply) -> bool:
    """Whether it reads as f(x) or f'(x)."""
    return len(expr.args) == 1 and sum(expr.orders) <= 1


def _order_of_axes(expr: Expr) -> Axes:
    """Free indices in the order in which the reads have them."""
    free = free_indices(expr)
    found = [p.index for r in reads(expr) for p in r.index if p.index in free]
    rest = sorted(free - set(found), key=lambda i: i.serial)
    return tuple(dict.fromkeys(i for i in (*found, *rest) if i is not None))


def _has_sum(expr: Expr) -> bool:
    return any(isinstance(n, (Bind, Pick, Integral)) for n in walk(expr))


def _is_lead(index: Index, body: Expr) -> bool:
    """Whether an index only ever stands first among three subscripts."""
    seen = False
    for read in reads(body):
        places = [n for n, p in enumerate(read.index) if p.depends_on([index])]
        if places and not (places == [0] and read.index[0].index is index and len(read.index) == 3):
            return False
        seen = seen or bool(places)
    return seen


def _positive_first(terms: Sequence[Expr]) -> list[Expr]:
    return sorted(terms, key=lambda t: build.split_coefficient(t)[0] < 0)
