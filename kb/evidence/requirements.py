"""Whether sizes satisfy what an entry requires, and what size expressions come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kb import tree
from kb.parser import parse_expression


class _NotASize(Exception):
    """The requirement speaks of something else than sizes."""


def holds(node: tree.Node, sizes: Mapping[str, int]) -> bool | None:
    """Whether a requirement on sizes holds; None where it speaks of numbers as well."""
    try:
        return bool(_number(node, sizes))
    except _NotASize:
        return None
    except ZeroDivisionError:
        return False


def size_number(text: str, sizes: Mapping[str, int]) -> int:
    """The value of a size expression."""
    return int(_number(parse_expression(text), sizes))


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_OPERATE: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def _number(node: tree.Node, sizes: Mapping[str, int]) -> int:
    match node:
        case tree.Number(text) if text.isdigit():
            return int(text)
        case tree.Name(id) if id in sizes:
            return sizes[id]
        case tree.Negative(operand):
            return -_number(operand, sizes)
        case tree.Power(base, exponent):
            power = _number(exponent, sizes)
            if not 0 <= power < 64:
                raise _NotASize
            return int(_number(base, sizes) ** power)
        case tree.Chain(operands, operators) if all(o in _OPERATE for o in operators):
            result = _number(operands[0], sizes)
            for operator, operand in zip(operators, operands[1:], strict=True):
                result = _OPERATE[operator](result, _number(operand, sizes))
            return result
        case tree.Comparison(operator, left, right):
            return int(_COMPARE[operator](_number(left, sizes), _number(right, sizes)))
        case tree.Logic(operator, operands):
            found = [bool(_number(o, sizes)) for o in operands]
            return int(all(found) if operator == "and" else any(found))
        case tree.Not(operand):
            return int(not _number(operand, sizes))
    raise _NotASize
