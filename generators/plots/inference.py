"""The plot of an entry that says nothing of one: what its arguments and its value let see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kb import tree
from kb.errors import LanguageError
from kb.model import Entry, Plot, Symbol
from kb.parser import parse_expression

if TYPE_CHECKING:
    from kb.equation import Equation

_RANGES = {
    "real": ("-5", "5"),
    "nonzero": ("-5", "5"),
    "gaussian": ("-3", "3"),
    "positive": ("0", "5"),
    "nonnegative": ("0", "5"),
    "unit": ("0", "1"),
    "unit_ball": ("-1", "1"),
}
_STEPS = {"positive": ("1", "20"), "nonnegative": ("0", "20"), "real": ("-10", "10")}
_AROUND = 2  # how much is seen beyond a kink


def inferred(equation: Equation) -> tuple[Plot, ...]:
    """A curve of one number over one argument, or contours over two real ones; all others have defaults.

    Whatever else an entry states has no plot without a word from its author: an update changes
    arrays, both sides of an identity are one curve, and what stands for an abstract function is an
    example.
    """
    entry = equation.entry
    if entry.kind in ("update", "identity") or any(s.kind in ("function", "law", "reducer") for s in entry.symbols):
        return ()
    arguments, returns = entry.arguments, equation.program.returns
    if len(returns) != 1 or equation.program.shape(returns[0][1]) or any(s.shape for s in arguments):
        return ()
    free = [s for s in arguments if s.default is None]
    ranges = [_range(entry, s) for s in free]
    if not 1 <= len(free) <= 2 or (len(free) == 2 and any(s.kind == "integer" for s in free)):
        return ()
    known = tuple((s.name, r) for s, r in zip(free, ranges, strict=True) if r is not None)
    return (Plot(over=known),) if len(known) == len(free) else ()


def _range(entry: Entry, symbol: Symbol) -> tuple[str, str] | None:
    found = {"real": _RANGES, "integer": _STEPS}.get(symbol.kind, {}).get(symbol.domain)
    if found is None or symbol.kind == "integer":
        return found
    low, high = map(float, found)
    for kink in _kinks(entry, symbol.name):
        low, high = min(low, kink - _AROUND), max(high, kink + _AROUND)
    return (f"{low:g}", f"{high:g}") if (low, high) != tuple(map(float, found)) else found


def _kinks(entry: Entry, name: str) -> list[float]:
    """Numbers at which an argument has a kink of its own, such as ``z == 0``."""
    found = []
    for text in entry.kinks:
        try:
            node = parse_expression(text)
        except LanguageError:
            continue
        if not isinstance(node, tree.Comparison) or not isinstance(node.left, tree.Name):
            continue
        if node.left.id == name and isinstance(node.right, tree.Number):
            found.append(float(node.right.text))
    return found
