"""Chains of matrix products, and how the factors of a sum contract into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb import tree
from kb.index.affine import Index
from kb.printing.trees import product_of, sum_of

Axes = tuple[Index, ...]


class NoMatrixForm(Exception):
    """The expression has no form in matrix notation."""


@dataclass(frozen=True)
class Link:
    """One matrix or vector of a chain, as it stands or transposed; a symmetric matrix is its own transpose."""

    node: tree.Node
    axes: Axes
    symmetric: bool = False

    def turned(self) -> Link:
        """The transpose."""
        return Link(self.node if self.symmetric else transposed(self.node), self.axes[::-1], self.symmetric)


@dataclass(frozen=True)
class Part:
    """A factor over at most two axes: a chain of matrix products, its ends being the axes."""

    links: tuple[Link, ...]
    axes: Axes

    def turned(self) -> Part:
        """The same chain, transposed as a whole."""
        return Part(tuple(link.turned() for link in reversed(self.links)), self.axes[::-1])

    def over(self, axes: Axes) -> tree.Node:
        """The chain as a tree, its axes in this order."""
        part = self if self.axes == axes else self.turned()
        nodes = [link.node for link in part.links]
        return nodes[0] if len(nodes) == 1 else tree.Chain(tuple(nodes), ("@",) * (len(nodes) - 1))


def transposed(node: tree.Node) -> tree.Node:
    """``A.T``; two transpositions cancel."""
    return node.operand if isinstance(node, tree.Transpose) else tree.Transpose(node)


@dataclass(frozen=True, slots=True)
class Quotient(tree.Node):
    """A divisor that waits for what it divides."""

    divisor: tree.Node


def scaled_chain(above: Sequence[tree.Node], chain: tree.Chain, below: Sequence[tree.Node]) -> tree.Node:
    """``2*A @ B/n`` as one chain."""
    operands, operators = chain.operands, chain.operators
    if above:
        front = product_of(above)
        product = isinstance(front, tree.Chain) and front.operators[0] not in "+-"
        inner = front.operands if isinstance(front, tree.Chain) and product else (front,)
        signs = front.operators if isinstance(front, tree.Chain) and product else ()
        operands, operators = (*inner, *operands), (*signs, "*", *operators)
    if below:
        operands, operators = (*operands, product_of(below)), (*operators, "/")
    return tree.Chain(operands, operators)


def single(node: tree.Node, axes: Axes, symmetric: bool = False) -> Part:
    return Part((Link(node, axes, symmetric),), axes)


def over_one(part: Part) -> Part:
    return single(product_of([], [part.over(part.axes)]), part.axes)


def joined_twins(parts: list[Part]) -> list[Part]:
    """Parts over the same axes become one elementwise product."""
    groups: dict[frozenset[Index], list[Part]] = {}
    for part in parts:
        groups.setdefault(frozenset(part.axes), []).append(part)
    joined: list[Part] = []
    for found in groups.values():
        if len(found) == 1:
            joined += found
            continue
        plain = next((p for p in found if not isinstance(p.links[0].node, tree.Transpose)), found[0])
        joined.append(single(times([p.over(plain.axes) for p in found]), plain.axes))
    return joined


def times(nodes: Sequence[tree.Node]) -> tree.Node:
    """An elementwise product; what is a divisor goes below."""
    above = [n for n in nodes if not isinstance(n, Quotient)]
    below = [n.divisor for n in nodes if isinstance(n, Quotient)]
    return product_of(above, below)


def sum_over(index: Index, parts: list[Part], pending: Sequence[Index], axes: Axes) -> list[Part]:
    """Sum over one index: a matrix product of two parts, or a sum of one."""
    meeting = [p for p in parts if index in p.axes]
    others = [p for p in parts if index not in p.axes]
    if len(meeting) == 3:
        meeting = _with_vector(index, meeting)
    if len(meeting) == 2 and any(map(_is_divided, meeting)):
        meeting = [_quotient(index, meeting)]
    if len(meeting) == 1:
        return [*others, _summed(index, meeting[0])]
    if len(meeting) != 2:
        raise NoMatrixForm
    left, right = sorted(meeting, key=lambda p: _side(index, p, axes))
    return [*others, matrix_product(index, left, right)]


def _with_vector(index: Index, meeting: list[Part]) -> list[Part]:
    """A vector beside two matrices scales the last axis of one of them."""
    vectors = [p for p in meeting if len(p.axes) == 1]
    matrices = [p for p in meeting if len(p.axes) == 2]
    if len(vectors) != 1 or len(matrices) != 2 or _is_upright(vectors[0]):
        raise NoMatrixForm
    wide = next((m for m in matrices if m.axes[-1] is index), matrices[0].turned())
    other = next(m for m in matrices if set(m.axes) != set(wide.axes))
    wide = wide if wide.axes[-1] is index else wide.turned()
    return [single(times([wide.over(wide.axes), vectors[0].over((index,))]), wide.axes), other]


def _is_divided(part: Part) -> bool:
    """Whether it is one over a vector."""
    return len(part.axes) == 1 and len(part.links) == 1 and is_inverse(part.links[0].node)


def _quotient(index: Index, meeting: list[Part]) -> Part:
    """One over a vector beside another part divides the last axis of that."""
    divisor = next(p for p in meeting if _is_divided(p))
    other = next(p for p in meeting if p is not divisor)
    if _is_upright(divisor) or _is_upright(other):
        raise NoMatrixForm
    wide = other if other.axes[-1] is index else other.turned()
    node = divisor.links[0].node
    assert isinstance(node, tree.Chain)
    return single(product_of([wide.over(wide.axes)], list(node.operands[1:])), wide.axes)


def with_common_factors(terms: Sequence[tuple[bool, tree.Node]]) -> list[tuple[bool, tree.Node]]:
    """``X @ A + X @ B`` as ``X @ (A + B)``: matrix products that begin, or end, alike."""
    for end in (0, -1):
        for n, (_, one) in enumerate(terms):
            alike = [t for t in terms[n:] if _is_product(one) and _is_product(t[1]) and _ends_alike(one, t[1], end)]
            if len(alike) > 1:
                rest = sorted(((sign, _cut(node, end)) for sign, node in alike), key=_is_turned)
                shared = [one.operands[end]] if isinstance(one, tree.Chain) else []
                total = sum_of(rest)
                operands = (*shared, total) if end == 0 else (total, *shared)
                whole = (False, tree.Chain(operands, ("@",)))
                others = [t for t in terms if t not in alike]
                return [*others[:n], whole, *others[n:]]
    return list(terms)


def _is_product(node: tree.Node) -> bool:
    return isinstance(node, tree.Chain) and set(node.operators) == {"@"}


def _ends_alike(one: tree.Node, other: tree.Node, end: int) -> bool:
    assert isinstance(one, tree.Chain) and isinstance(other, tree.Chain)
    return one.operands[end] == other.operands[end]


def _cut(node: tree.Node, end: int) -> tree.Node:
    """The chain without its first, or its last, factor."""
    assert isinstance(node, tree.Chain)
    left = node.operands[1:] if end == 0 else node.operands[:-1]
    return left[0] if len(left) == 1 else tree.Chain(left, ("@",) * (len(left) - 1))


def _is_turned(term: tuple[bool, tree.Node]) -> tuple[bool, bool]:
    return term[0], isinstance(term[1], tree.Transpose)


def _side(index: Index, part: Part, axes: Axes) -> tuple[int, int]:
    """Which part stands on the left: matrices before vectors, the row axis of the result first."""
    if len(part.axes) == 1:
        return (1, 0)
    outer = part.axes[0] if part.axes[1] is index else part.axes[1]
    return (0, axes.index(outer) if outer in axes else int(part.axes[0] is index))


def is_vector(part: Part) -> bool:
    """Whether it may stand in a dot product: over one axis, and no quotient or elementwise power."""
    nodes = [link.node for link in part.links]
    odd = any(isinstance(n, (Quotient, tree.Power)) or is_inverse(n) for n in nodes)
    return len(part.axes) == 1 and not odd


def is_inverse(node: tree.Node) -> bool:
    """``1/x``."""
    return isinstance(node, tree.Chain) and node.operands[0] == tree.Number("1") and node.operators[0] == "/"


def matrix_product(index: Index, left: Part, right: Part) -> Part:
    """``left @ right`` over their common index."""
    if len(left.axes) == 2:
        left = left if left.axes[1] is index else left.turned()
    if len(right.axes) == 2:
        right = right if right.axes[0] is index else right.turned()
    ends = tuple(i for i in (*left.axes, *right.axes) if i is not index)
    links = left.links
    if len(left.axes) == 1:
        links = left.turned().links if len(left.links) > 1 else (Link(transposed(left.links[0].node), left.axes),)
    return Part((*links, *right.links), ends)


def _summed(index: Index, part: Part) -> Part:
    """The sum over one axis of a single part."""
    node = part.over(part.axes)
    if len(part.axes) == 1:
        inner = node.arguments[0] if isinstance(node, tree.Call) and node.function in ("rowsum", "colsum") else node
        return single(tree.Call("sum", (inner,)), ())
    rest = tuple(i for i in part.axes if i is not index)
    word = "rowsum" if part.axes[1] is index else "colsum"
    return single(tree.Call(word, (node,)), rest)


def placed(parts: list[Part], axes: Axes, partial: bool) -> tree.Node | None:
    """What remains after contraction, as one product over the axes."""
    if any(set(p.axes) - set(axes) for p in parts):
        raise NoMatrixForm
    scalars = [p.over(()) for p in parts if not p.axes]
    arrays = [p for p in parts if p.axes]
    if not arrays:
        if axes and not partial:
            raise NoMatrixForm
        return times(scalars) if scalars else None
    if len(axes) == 1:
        return times([*scalars, *(p.over(axes) for p in arrays)])
    return _two_axes(scalars, arrays, axes, partial)


def _two_axes(scalars: list[tree.Node], arrays: list[Part], axes: Axes, partial: bool) -> tree.Node:
    rows = [p for p in arrays if p.axes == axes[:1]]
    columns = [p for p in arrays if p.axes == axes[1:]]
    full = [p for p in arrays if len(p.axes) == 2]
    if len(full) == 1 and _word(full[0]) == "eye" and (rows or columns):
        return times([*scalars, tree.Call("diag", (times([p.over(p.axes) for p in (*rows, *columns)]),))])
    if full or (partial and not (rows and columns)):
        square = axes[0].size == axes[1].size
        if (square and columns) or any(_word(p) != "rowsum" for p in rows) or any(map(_is_upright, columns)):
            raise NoMatrixForm
        return times([*scalars, *(p.over(axes) for p in full), *(p.over(p.axes) for p in (*rows, *columns))])
    if not rows or not columns or any(isinstance(p.links[0].node, Quotient) for p in arrays):
        raise NoMatrixForm
    left = rows[0] if len(rows) == 1 else single(times([p.over(p.axes) for p in rows]), axes[:1])
    right = columns[0] if len(columns) == 1 else single(times([p.over(p.axes) for p in columns]), axes[1:])
    links = (*left.links, *right.turned().links)
    chain = tree.Chain(tuple(link.node for link in links), ("@",) * (len(links) - 1))
    return scaled_chain(scalars, chain, []) if scalars else chain


def _is_upright(part: Part) -> bool:
    """Whether a vector stands as a column beside a matrix: it is made of row sums."""
    calls = (n for link in part.links for n in tree.walk(link.node) if isinstance(n, tree.Call))
    return any(call.function == "rowsum" for call in calls)


def _word(part: Part) -> str:
    """The function of a part that is a single call."""
    node = part.links[0].node
    return node.function if len(part.links) == 1 and isinstance(node, tree.Call) else ""
