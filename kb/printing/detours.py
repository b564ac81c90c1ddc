"""Statements of a pass without the names that only one other statement speaks of."""

from __future__ import annotations

from collections.abc import Sequence

from kb import tree
from kb.printing.names import Names
from kb.printing.presentation import Line


def without_detours(lines: Sequence[Line]) -> list[Line]:
    """``concat(B[i], i) = J`` with J as the line before has it, where nothing else speaks of J."""
    kept: list[Line] = []
    for n, line in enumerate(lines):
        before = kept[-1] if kept else None
        if isinstance(line.left, tree.Call) and before is not None and before.left == line.right:
            said = any(tree.names(line.right) <= tree.names(other.right) for other in lines[n + 1 :])
            if not said and before.constrained is None:
                kept[-1] = Line(line.left, before.right)
                continue
        kept.append(line)
    return kept


def without_inverses(lines: Sequence[Line], names: Names) -> list[Line]:
    """The cotangent of an inverse, a matrix product, within the one product that speaks of it."""
    kept = list(lines)
    for line in lines:
        name = line.left.id if isinstance(line.left, tree.Name) else ""
        readers = [n for n, other in enumerate(kept) if name in tree.names(other.right)]
        if name.removesuffix("_bar") not in names.inverses or len(readers) != 1 or line.constrained is not None:
            continue
        reader = kept[readers[0]]
        right = _spliced(reader.right, line)
        if right is not None and reader.constrained is None:
            kept[readers[0]] = Line(reader.left, right)
            kept.remove(line)
    return kept


def _spliced(node: tree.Node, line: Line) -> tree.Node | None:
    """A matrix product with a factor written out that is a product itself; None where it is no such factor."""
    if isinstance(node, tree.Negative):
        inner = _spliced(node.operand, line)
        return tree.Negative(inner) if inner is not None else None
    products = [n for n in (node, line.right) if isinstance(n, tree.Chain) and set(n.operators) == {"@"}]
    if len(products) != 2 or products[0].operands.count(line.left) != 1:
        return None
    at = products[0].operands.index(line.left)
    operands = (*products[0].operands[:at], *products[1].operands, *products[0].operands[at + 1 :])
    return tree.Chain(operands, ("@",) * (len(operands) - 1))
