"""Operands of the array program: a piece of NumPy source, and which axis means which index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from kb.index.affine import Atom, Index, Poly, format_poly

# Precedence of source text, loosest first.
COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(6)
_KEPT = ", keepdims=True)"


@dataclass(frozen=True, slots=True)
class Operand:
    """Source text of an array whose last axes are ``axes`` (None: an axis of length 1).

    ``deps`` are the arguments whose leading axes it carries. ``buffer`` says that the text is the
    name of a local array that may be overwritten once nothing else will read it; ``fresh`` that it
    is an unnamed temporary; ``refs`` are the local arrays that the text mentions.
    """

    code: str
    axes: tuple[Index | None, ...] = ()
    deps: frozenset[str] = frozenset()
    level: int = ATOM
    buffer: bool = False
    fresh: bool = False
    argument: str = ""
    refs: tuple[str, ...] = ()

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices that have an axis."""
        return tuple(a for a in self.axes if a is not None)

    @property
    def is_number(self) -> bool:
        """Whether it is made of numbers and sizes alone; NumPy's functions give those its own widest type."""
        return not self.axes and not self.deps

    def at_level(self, level: int) -> str:
        """The source, in parentheses where it binds looser than ``level``."""
        return self.code if self.level >= level else f"({self.code})"

    def renamed(self, code: str) -> Operand:
        """The same array under a variable's name."""
        return replace(self, code=code, level=ATOM, fresh=False, argument="", refs=())


class Writer:
    """Lines of a function's body, indented, with fresh variable names."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.lines: list[str] = []
        self.taken = set(taken)
        self.depth = 1

    def line(self, text: str) -> None:
        """Append a line."""
        self.lines.append("    " * self.depth + text)

    def name(self, hint: str) -> str:
        """A variable name that nothing has."""
        name, number = hint, 1
        while name in self.taken:
            name, number = f"{hint}_{number}", number + 1
        self.taken.add(name)
        return name


def union(groups: Iterable[tuple[Index | None, ...]], order: tuple[Index, ...]) -> tuple[Index, ...]:
    """The indices that any of the axes mention, in the given order."""
    used = {i for axes in groups for i in axes if i is not None}
    return tuple(i for i in order if i in used)


def align(operand: Operand, order: tuple[Index, ...]) -> str:
    """Source in which the operand's axes stand where ``order`` has them, ready to broadcast.

    Axes that it lacks become axes of length 1; in front they are left out where no leading axes
    can be in the way.
    """
    wanted = [i for i in order if i in operand.indices]
    if list(operand.indices) != wanted:
        operand = permute(operand, tuple(wanted))
    if len(operand.axes) > len(order):
        operand = squeeze(operand)
    key: list[str] = []
    position = 0
    axes = operand.axes
    for index in order:
        if position < len(axes) and axes[position] in (index, None) and _fits(axes, position, order, index):
            key.append(":")
            position += 1
        else:
            key.append("None")
    if position < len(axes):  # an axis of length 1 has no place
        return align(squeeze(operand), order)
    if not operand.deps:
        while key and key[0] == "None":
            key.pop(0)
    while key and key[0] == ":":
        key.pop(0)
    if not key:
        return operand.code
    return f"{operand.at_level(ATOM)}[..., {', '.join(key)}]"


def _fits(axes: tuple[Index | None, ...], position: int, order: tuple[Index, ...], index: Index) -> bool:
    """Whether an axis of length 1 may serve here: enough positions must remain for the others."""
    if axes[position] is index:
        return True
    remaining = [a for a in axes[position + 1 :] if a is not None]
    after = order[order.index(index) + 1 :]
    return index not in remaining and len(after) >= len(axes) - position - 1


def permute(operand: Operand, order: tuple[Index, ...]) -> Operand:
    """A view with the axes in another order (axes of length 1 are dropped)."""
    operand = squeeze(operand)
    own = operand.indices
    if own == order:
        return operand
    if len(own) == 2:
        return replace(operand, code=f"{operand.at_level(ATOM)}.mT", axes=order, level=ATOM, buffer=False, fresh=False)
    if len(own) > 2 and own[:-2] == order[:-2]:
        return replace(operand, code=f"{operand.at_level(ATOM)}.mT", axes=order, level=ATOM, buffer=False, fresh=False)
    letters = dict(zip(own, "ijklmnopqrst", strict=False))
    spec = f"...{''.join(letters[i] for i in own)}->...{''.join(letters[i] for i in order)}"
    return replace(
        operand, code=f'np.einsum("{spec}", {operand.code})', axes=order, level=ATOM, buffer=False, fresh=False
    )


def squeeze(operand: Operand) -> Operand:
    """The operand without axes of length 1."""
    if None not in operand.axes:
        return operand
    if operand.code.endswith(_KEPT):
        code = operand.code.removesuffix(_KEPT) + ")"
        return replace(operand, code=code, axes=operand.indices)
    key = ["0" if a is None else ":" for a in operand.axes]
    code = f"{operand.at_level(ATOM)}[..., {', '.join(key)}]"
    return replace(operand, code=code, axes=operand.indices, level=ATOM, buffer=False, fresh=False)


def poly_code(poly: Poly, indices: dict[Index, str] | None = None) -> str:
    """A size or index expression as Python source; ``indices`` names loop variables."""

    def name(atom: Atom) -> str:
        if isinstance(atom, Index):
            return (indices or {})[atom]
        return str(atom)

    return format_poly(poly, name, " * ").replace("//", " // ")


def poly_operand(code: str) -> Operand:
    """A whole number as an operand."""
    level = ATOM if code.isidentifier() or code.isdigit() else SUM
    return Operand(code, level=level)


def number(value: Fraction) -> Operand:
    """A rational number as source."""
    code = str(value.numerator) if value.denominator == 1 else repr(float(value))
    return Operand(code, level=UNARY if code.startswith("-") else ATOM)
