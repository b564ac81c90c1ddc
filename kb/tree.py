"""The expression language's own frozen tree, and its printing back to text.

The tree keeps what the author wrote: the order of terms, the decimal text of numbers, the chains
of operators. Two trees are equal when they say the same; where they stand in the text (``at``)
does not count. ``str(node)`` prints text that parses to an equal tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

_FIELDS: dict[type[Node], tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that was written. ``at`` is its character offset in the statement."""

    at: int = field(default=0, compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        return to_text(self)

    def children(self) -> Iterator[Node]:
        """The nodes directly below this one, in the order they were written."""
        kind = self.__class__
        if kind not in _FIELDS:
            _FIELDS[kind] = tuple(f.name for f in fields(self) if f.name != "at")
        for name in _FIELDS[kind]:
            value = getattr(self, name)
            if isinstance(value, Node):
                yield value
            elif isinstance(value, tuple):
                yield from (v for v in value if isinstance(v, Node))


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A decimal number, as its text: ``0.044715`` stays that."""

    text: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A symbol, step, dimension or index: which one, only the entry knows."""

    id: str


@dataclass(frozen=True, slots=True)
class Element(Node):
    """``base[i, j]``. Fewer indices than axes select a part: ``X[i]`` is row i."""

    base: Node
    indices: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Transpose(Node):
    """``operand.T``."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """``-operand``."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Operators of one precedence, read from left to right: ``a - b + c`` or ``a*b/c@d``.

    ``operators`` has one element fewer than ``operands``; all are of ``+ -`` or all of
    ``* / // % @``.
    """

    operands: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Power(Node):
    """``base**exponent``."""

    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """``function(a, b)``; ``rest`` says that ``...`` passes the remaining arguments by name."""

    function: str
    arguments: tuple[Node, ...]
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Prime(Node):
    """``deriv(function)(a)``: the derivative of an abstract function by its argument.

    ``by`` names the arguments, one after the other: ``deriv(f, x, x)(a, b)``.
    """

    function: str
    arguments: tuple[Node, ...]
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """``left < right`` and its kin; inside conditions only."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """``a and b and c`` or ``a or b``."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    """``not a``."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Cases(Node):
    """``then if condition else otherwise``."""

    then: Node
    condition: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Array(Node):
    """A literal ``[a, b]`` or ``[[a, b], [c, d]]`` (items are then arrays)."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Step(Node):
    """``target = value``; several targets where an entry with several outputs is called."""

    targets: tuple[Name | Element, ...]
    value: Node


@dataclass(frozen=True, slots=True)
class Claim(Node):
    """``left == right``, ``left >= right`` or ``left <= right``."""

    left: Node
    relation: str
    right: Node


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, top down, left to right."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(list(node.children())))


def names(node: Node) -> set[str]:
    """Every name that occurs as a value or an index (not the names of functions)."""
    return {n.id for n in walk(node) if isinstance(n, Name)}


# Precedence, loosest first; what binds looser than its surroundings is put in parentheses.
_CASES, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _POWER, _POSTFIX = range(10)


def to_text(node: Node) -> str:
    """The node in the language; parsing the result gives an equal node."""
    match node:
        case Step(targets, value):
            return f"{', '.join(map(to_text, targets))} = {to_text(value)}"
        case Claim(left, relation, right):
            return f"{_inside(left, _SUM)} {relation} {_inside(right, _SUM)}"
    return _text(node)[0]


def _inside(node: Node, precedence: int) -> str:
    text, own = _text(node)
    return text if own >= precedence else f"({text})"


def _text(node: Node) -> tuple[str, int]:
    match node:
        case Number(text):
            return text, _POSTFIX
        case Name(id):
            return id, _POSTFIX
        case Element(base, indices):
            return f"{_inside(base, _POSTFIX)}[{_list(indices)}]", _POSTFIX
        case Transpose(operand):
            return f"{_number_safe(operand)}.T", _POSTFIX
        case Call(function, arguments, rest):
            return (
                f"{function}({_list(arguments)}{', ' if rest and arguments else ''}{'...' if rest else ''})",
                _POSTFIX,
            )
        case Prime(function, arguments, by):
            return f"deriv({', '.join((function, *by))})({_list(arguments)})", _POSTFIX
        case Array(items):
            return f"[{_list(items)}]", _POSTFIX
        case Power(base, exponent):
            return f"{_inside(base, _POSTFIX)}**{_inside(exponent, _UNARY)}", _POWER
        case Negative(operand):
            return f"-{_inside(operand, _UNARY)}", _UNARY
        case Chain(operands, operators):
            additive = operators[0] in "+-"
            own = _SUM if additive else _PRODUCT
            parts = [_inside(operands[0], own + 1)]
            for operator, operand in zip(operators, operands[1:], strict=True):
                gap = "" if operator in ("*", "/") else " "
                parts.append(f"{gap}{operator}{gap}{_inside(operand, own + 1)}")
            return "".join(parts), own
        case Comparison(operator, left, right):
            return f"{_inside(left, _SUM)} {operator} {_inside(right, _SUM)}", _COMPARE
        case Not(operand):
            return f"not {_inside(operand, _NOT)}", _NOT
        case Logic(operator, operands):
            own = _AND if operator == "and" else _OR
            return f" {operator} ".join(_inside(o, own + 1) for o in operands), own
        case Cases(then, condition, otherwise):
            return f"{_inside(then, _OR)} if {_inside(condition, _OR)} else {_inside(otherwise, _CASES)}", _CASES
    raise TypeError(f"not an expression: {node!r}")


def _number_safe(node: Node) -> str:
    """``2.T`` would read as the number ``2.`` and a name."""
    text = _inside(node, _POSTFIX)
    return f"({text})" if isinstance(node, Number) else text


def _list(nodes: tuple[Node, ...]) -> str:
    return ", ".join(_inside(n, _CASES) for n in nodes)
