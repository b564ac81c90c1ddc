"""The nodes of index form: frozen scalar expressions, built through simplifying constructors.

Equality is structural and cheap (hashes are kept). ``alpha_key`` compares up to the names of
bound indices. Expressions are built with the constructors of ``build.py``, never with the classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import count, permutations
from typing import Any, ClassVar

from kb.index.affine import Atom, FloorDiv, Gather, Index, Poly

_serial = count()


class Node:
    """A frozen node; ``_fields`` name its constructor arguments, ``values`` holds them.

    What is asked for often (children, free indices, names, the key) is kept once it is known.
    """

    __slots__ = ("_alpha", "_children", "_free", "_hash", "_names", "values")
    _fields: ClassVar[tuple[str, ...]] = ()
    _alpha: Any
    _free: Any
    _hash: int
    _children: tuple[Node, ...] | None
    _names: frozenset[str] | None
    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        keep = object.__setattr__
        for name, value in zip(self._fields, values, strict=True):
            keep(self, name, value)
        keep(self, "values", values)
        keep(self, "_hash", hash((type(self).__name__, values)))
        keep(self, "_free", None)
        keep(self, "_alpha", None)
        keep(self, "_children", None)
        keep(self, "_names", None)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other):
            return False
        assert isinstance(other, Node)
        return self._hash == other._hash and self.values == other.values

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.values))})"


class Expr(Node):
    """A number-valued node."""

    __slots__ = ()


class Condition(Node):
    """A truth-valued node."""

    __slots__ = ()


class Variable:
    """A bound real variable of an integral; the same only if the same object."""

    __slots__ = ("name", "serial")

    def __init__(self, name: str) -> None:
        self.name = name
        self.serial = next(_serial)

    def __repr__(self) -> str:
        return f"{self.name}~{self.serial}"


class Num(Expr):
    """A rational number."""

    __slots__ = ("value",)
    _fields = ("value",)
    value: Fraction


class Const(Expr):
    """``pi`` or ``oo``."""

    __slots__ = ("name",)
    _fields = ("name",)
    name: str


class Val(Expr):
    """An index, dimension or integer symbol as a number."""

    __slots__ = ("poly",)
    _fields = ("poly",)
    poly: Poly


class Read(Expr):
    """One element of a symbol or step: ``name[index]``; ``outside`` if reads past the ends are 0."""

    __slots__ = ("index", "name", "outside")
    _fields = ("name", "index", "outside")
    name: str
    index: tuple[Poly, ...]
    outside: bool


class Var(Expr):
    """The value of an integral's bound variable."""

    __slots__ = ("variable",)
    _fields = ("variable",)
    variable: Variable


class Add(Expr):
    """A sum of terms in the order in which they came."""

    __slots__ = ("args",)
    _fields = ("args",)
    args: tuple[Expr, ...]


class Mul(Expr):
    """A product; a number, if there is one, stands first."""

    __slots__ = ("args",)
    _fields = ("args",)
    args: tuple[Expr, ...]


class Pow(Expr):
    """``base**exponent``."""

    __slots__ = ("base", "exponent")
    _fields = ("base", "exponent")
    base: Expr
    exponent: Expr


class Fn(Expr):
    """An elementwise function of the vocabulary."""

    __slots__ = ("arg", "name")
    _fields = ("name", "arg")
    name: str
    arg: Expr


class Apply(Expr):
    """An abstract function of numbers; ``orders`` says how often each argument was differentiated."""

    __slots__ = ("args", "name", "orders")
    _fields = ("name", "orders", "args")
    name: str
    orders: tuple[int, ...]
    args: tuple[Expr, ...]


class Whole(Expr):
    """An array as a whole, element by element: what an abstract function of arrays is applied to."""

    __slots__ = ("body", "indices")
    _fields = ("indices", "body")
    indices: tuple[Index, ...]
    body: Expr


class ApplyArray(Expr):
    """One element of an abstract function of arrays, or of a derivative of it.

    ``wrt`` holds the arguments by which it was differentiated, by number and in rising order; the
    derivative's axes are those of the result and then those of each of these arguments.
    """

    __slots__ = ("args", "index", "name", "wrt")
    _fields = ("name", "wrt", "index", "args")
    name: str
    wrt: tuple[int, ...]
    index: tuple[Poly, ...]
    args: tuple[Whole, ...]


class Several(Expr):
    """``logsumexp``, ``max`` or ``min`` of a few expressions; the first of equal ones counts."""

    __slots__ = ("args", "op")
    _fields = ("op", "args")
    op: str
    args: tuple[Expr, ...]


class Bind(Expr):
    """``sum``, ``prod``, ``max``, ``min`` or ``logsumexp`` over indices that meet the conditions."""

    __slots__ = ("body", "conditions", "indices", "op")
    _fields = ("op", "indices", "conditions", "body")
    op: str
    indices: tuple[Index, ...]
    conditions: tuple[Condition, ...]
    body: Expr


class Pick(Expr):
    """1 where ``at`` is the first place at which ``body`` is largest (``op`` max) or smallest."""

    __slots__ = ("at", "body", "conditions", "indices", "op")
    _fields = ("op", "indices", "conditions", "body", "at")
    op: str
    indices: tuple[Index, ...]
    conditions: tuple[Condition, ...]
    body: Expr
    at: tuple[Poly, ...]


class Test(Expr):
    """1 where the condition holds, else 0 (an Iverson bracket; of two indices, a delta)."""

    __slots__ = ("condition",)
    _fields = ("condition",)
    condition: Condition


class Cases(Expr):
    """The first branch whose condition holds, else ``otherwise``."""

    __slots__ = ("branches", "otherwise")
    _fields = ("branches", "otherwise")
    branches: tuple[tuple[Condition, Expr], ...]
    otherwise: Expr


class Integral(Expr):
    """The integral of ``body`` over ``variable`` from ``low`` to ``high``."""

    __slots__ = ("body", "high", "low", "variable")
    _fields = ("variable", "low", "high", "body")
    variable: Variable
    low: Expr
    high: Expr
    body: Expr


class Stop(Expr):
    """The value of ``arg``, with derivative 0."""

    __slots__ = ("arg",)
    _fields = ("arg",)
    arg: Expr


class Compare(Condition):
    """``left op right`` with op one of ``== != < <=`` (``>`` and ``>=`` are turned round)."""

    __slots__ = ("left", "op", "right")
    _fields = ("op", "left", "right")
    op: str
    left: Expr
    right: Expr


class Junction(Condition):
    """``and`` or ``or`` of conditions."""

    __slots__ = ("args", "op")
    _fields = ("op", "args")
    op: str
    args: tuple[Condition, ...]


class Negation(Condition):
    """Not the condition."""

    __slots__ = ("arg",)
    _fields = ("arg",)
    arg: Condition


ZERO = Num(Fraction(0))
ONE = Num(Fraction(1))
MINUS_ONE = Num(Fraction(-1))
HALF = Num(Fraction(1, 2))
PI = Const("pi")
INFINITY = Const("oo")


def num(value: int | Fraction) -> Num:
    """A rational number as a node."""
    return Num(Fraction(value))


def val(poly: Poly | int) -> Expr:
    """A size or index as a number."""
    poly = Poly.of(poly)
    return Val(poly) if poly.constant is None else num(poly.constant)


# --- walking -------------------------------------------------------------------------------------


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    if node._children is None:
        object.__setattr__(node, "_children", tuple(_children(node)))
    return node._children or ()


def _children(node: Node) -> Iterator[Node]:
    for value in node.values:
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    yield item
                elif isinstance(item, tuple):
                    yield from (part for part in item if isinstance(part, Node))


def polys(node: Node) -> Iterator[Poly]:
    """The polynomials that the node itself holds."""
    for value in node.values:
        if isinstance(value, Poly):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Poly))


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def free_indices(node: Node) -> frozenset[Index]:
    """The indices that occur and are not bound inside."""
    if node._free is None:
        found: set[Index] = set()
        for poly in polys(node):
            found.update(poly.indices())
        inner: set[Index] = set()
        for child in children(node):
            inner |= free_indices(child)
        inner.difference_update(bound_indices(node))
        object.__setattr__(node, "_free", frozenset(found | inner))
    result: frozenset[Index] = node._free
    return result


def bound_indices(node: Node) -> tuple[Index, ...]:
    """The indices that the node itself binds."""
    return node.indices if isinstance(node, (Bind, Pick, Whole)) else ()


def reads(node: Node) -> Iterator[Read]:
    """Every read below the node."""
    return (n for n in walk(node) if isinstance(n, Read))


def read_names(node: Node) -> frozenset[str]:
    """Names of symbols and steps that are read, labels that select included."""
    if node._names is None:
        found = {node.name} if isinstance(node, Read) else set()
        for poly in polys(node):
            found.update(a.name for a in poly.atoms() if isinstance(a, Gather))
        for child in children(node):
            found |= read_names(child)
        object.__setattr__(node, "_names", frozenset(found))
    return node._names or frozenset()


# --- comparison up to bound names ----------------------------------------------------------------


_known_keys: dict[Any, int] = {}


def alpha_key(node: Any) -> Any:
    """A hashable value that is equal for expressions equal up to order of terms and bound names.

    It is a small number for each structure, so that keys of large expressions stay small.
    """
    if isinstance(node, Node):
        if node._alpha is None:
            key = _structure(node, {})
            object.__setattr__(node, "_alpha", ("#", _known_keys.setdefault(key, len(_known_keys))))
        return node._alpha
    return node


def _key(node: Any, names: dict[Any, Any]) -> Any:
    """The key inside binders: ``names`` numbers what they bind."""
    if isinstance(node, Poly):
        return _poly_key(node, names)
    if isinstance(node, Node):
        return _structure(node, names) if _mentions(node, names) else alpha_key(node)
    if isinstance(node, tuple):
        return tuple(_key(item, names) for item in node)
    if isinstance(node, Fraction):
        return (node.numerator, node.denominator)
    return node


def _mentions(node: Node, names: dict[Any, Any]) -> bool:
    """Whether anything that ``names`` numbers may occur in the node."""
    return any(isinstance(n, Variable) for n in names) or not free_indices(node).isdisjoint(names)


def _structure(node: Node, names: dict[Any, Any]) -> Any:
    if isinstance(node, (Bind, Pick)):
        return _binder_key(node, names)
    if isinstance(node, Whole):
        inner = {**names, **{index: ("b", len(names) + n) for n, index in enumerate(node.indices)}}
        return ("Whole", tuple(_key(i.extent, names) for i in node.indices), _key(node.body, inner))
    if isinstance(node, ApplyArray):
        return _derivative_key(node, names)
    if isinstance(node, Integral):
        inner = {**names, node.variable: ("v", len(names))}
        return ("Integral", _key(node.low, names), _key(node.high, names), _key(node.body, inner))
    if isinstance(node, Var):
        return ("Var", names.get(node.variable, node.variable.serial))
    if isinstance(node, (Add, Mul)):
        return (type(node).__name__, tuple(sorted((_key(a, names) for a in node.args), key=repr)))
    return (type(node).__name__, *(_key(v, names) for v in node.values))


def _binder_key(node: Bind | Pick, names: dict[Any, Any]) -> Any:
    best = None
    orders: Iterable[Sequence[Index]] = [_appearance(node)]
    if isinstance(node, Pick):  # of equal values the first in reading order counts
        orders = [node.indices]
    elif len(node.indices) <= 3:
        orders = permutations(node.indices)
    for order in orders:
        inner = {**names, **{index: ("b", len(names) + n) for n, index in enumerate(order)}}
        sizes = tuple(_key(i.size, names) if i.size is not None else i.serial for i in order)
        found = tuple(sorted((_key(c, inner) for c in node.conditions), key=repr))
        key: Any = (type(node).__name__, node.op, sizes, found, _key(node.body, inner))
        if isinstance(node, Pick):
            key += (tuple(_key(node.at[node.indices.index(i)], names) for i in order),)
        if best is None or repr(key) < repr(best):
            best = key
    return best


def _derivative_key(node: ApplyArray, names: dict[Any, Any]) -> Any:
    """Derivatives by the same argument commute, so their order does not count."""
    result, *places = derivative_places(node)
    found = sorted(((n, _key(p, names)) for n, p in zip(node.wrt, places, strict=True)), key=repr)
    return ("ApplyArray", node.name, _key(result, names), tuple(found), _key(node.args, names))


def derivative_places(node: ApplyArray) -> list[tuple[Poly, ...]]:
    """The element of the result, and then of each argument that it is differentiated by."""
    ranks = [len(node.args[n].indices) for n in node.wrt]
    start = len(node.index) - sum(ranks)
    places = [node.index[:start]]
    for rank in ranks:
        places.append(node.index[start : start + rank])
        start += rank
    return places


def _appearance(node: Bind | Pick) -> list[Index]:
    order: list[Index] = []
    for n in walk(node.body):
        for poly in polys(n):
            order += [i for i in poly.indices() if i in node.indices and i not in order]
    return order + [i for i in node.indices if i not in order]


def _poly_key(poly: Poly, names: dict[Any, Any]) -> Any:
    terms = []
    for monomial, coefficient in poly.terms:
        terms.append((tuple(sorted((_atom_key(a, names) for a in monomial), key=repr)), coefficient))
    return ("Poly", tuple(sorted(terms, key=repr)))


def _atom_key(atom: Atom, names: dict[Any, Any]) -> Any:
    if isinstance(atom, Index):
        return names.get(atom, ("i", atom.serial))
    if isinstance(atom, FloorDiv):
        return ("//", _poly_key(atom.numerator, names), _poly_key(atom.denominator, names))
    if isinstance(atom, Gather):
        return ("gather", atom.name, tuple(_poly_key(p, names) for p in atom.index))
    return atom


def same(a: Any, b: Any) -> bool:
    """Equal up to bound names and the order of terms and factors."""
    return a == b or bool(alpha_key(a) == alpha_key(b))
