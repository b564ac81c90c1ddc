"""What names mean while a formula is elaborated, and the errors about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kb import tree
from kb.errors import LanguageError, nearest
from kb.index.affine import Facts, Index, Poly, format_poly
from kb.index.nodes import Expr, Variable
from kb.index.program import AnyInstance, AnyStep, Shape, Tensor, index_names
from kb.model import Symbol
from kb.vocabulary import BUILT_IN, CONSTANTS

MAX_LITERAL_SIZE = 4096
MAX_MESSAGE = 600


class Poisoned(LanguageError):
    """An error that only follows from an earlier one; it is not reported."""


@dataclass(frozen=True, slots=True)
class Array:
    """An array-valued expression: its shape and the scalar expression of each element.

    ``row`` marks the transpose of a vector, which means something only beside ``@``.
    """

    shape: Shape
    at: Callable[[tuple[Poly, ...]], Expr]
    row: bool = False

    @property
    def rank(self) -> int:
        """How many axes there are."""
        return len(self.shape)


@dataclass
class Obligation:
    """A read that must be proven to be in range once all index ranges are known."""

    place: Poly
    size: Poly
    at: int
    what: str


@dataclass
class Scope:
    """Names of one entry: dimensions, symbols, steps so far, and the indices in force."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    current: dict[str, str] = field(default_factory=dict)
    abstract: dict[str, Symbol] = field(default_factory=dict)
    declared: dict[str, Symbol] = field(default_factory=dict)
    dimensions: list[str] = field(default_factory=list)
    instances: dict[str, AnyInstance] = field(default_factory=dict)
    steps: list[AnyStep] = field(default_factory=list)
    indices: dict[str, Index] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    later: dict[str, int] = field(default_factory=dict)
    padding: dict[str, Expr] = field(default_factory=dict)  # what symbols are beyond their ends, if it is not 0
    opened: set[str] = field(default_factory=set)  # arrays that may be read, but are not all defined yet
    complete: bool = False  # whether all steps are there, so that names mean their last values
    target: str = ""  # the name that the statement in hand defines
    obligations: list[Obligation] = field(default_factory=list)
    facts: Facts = field(default_factory=Facts)

    def is_taken(self, name: str) -> bool:
        """Whether a name already means something here."""
        return (
            name in self.current
            or name in self.declared
            or name in self.dimensions
            or name in self.indices
            or name in self.variables
            or name in self.arrays
        )

    def unique(self, hint: str) -> str:
        """A step name that clashes with nothing, as close to the hint as can be."""
        reserved = set(self.later) | set(self.declared) | set(self.tensors) | set(self.dimensions)
        if hint not in reserved and not self.is_taken(hint):
            return hint
        stem = hint if hint[-1:].isdigit() is False else hint + "_"
        number = 1
        while f"{stem}_{number}" in reserved or self.is_taken(f"{stem}_{number}"):
            number += 1
        return f"{stem}_{number}"

    def unknown(self, name: str, at: int) -> LanguageError:
        """The error for a name that means nothing here."""
        if name in self.poisoned:
            return Poisoned(name, at)
        if name in self.later and name == self.target:
            return LanguageError(
                f"{name!r} reads itself, but has no start; write one as a step before, such as {name}[-1] = 0", at
            )
        if name in self.later:
            return LanguageError(f"step {name!r} is used before it is defined; move its definition up", at)
        known = [*self.declared, *self.current, *self.dimensions, *self.indices, *CONSTANTS]
        hint = nearest(name[:60], known)
        if name in BUILT_IN:
            hint = f"; {name!r} is a function, write {name}(...)"
        return LanguageError(
            f"{name!r} is neither a symbol, a step, a dimension nor a bound index{hint}"
            + ("" if hint else f"; declare it under symbols, or bind it: sum(..., {name})"),
            at,
        )

    @contextmanager
    def binding(self, indices: dict[str, Index]) -> Iterator[None]:
        """Indices in force inside a binder or a step."""
        before = dict(self.indices)
        self.indices.update(indices)
        try:
            yield
        finally:
            self.indices = before

    def free_names(self, count: int) -> list[str]:
        """Names for the free indices of an array that was written without them."""
        taken = set(self.declared) | set(self.current) | set(self.dimensions) | set(self.indices)
        return index_names(taken, count)

    def settle(self) -> None:
        """Prove every recorded read to be in range, or say which is not."""
        obligations, self.obligations = self.obligations, []
        for o in obligations:
            for index in o.place.indices():
                if index.size is None:
                    raise LanguageError(
                        f"the range of index {index.name!r} cannot be inferred; read it bare, as in "
                        f"x[{index.name}], or bound it: {index.name} < n",
                        o.at,
                    )
            if not self.facts.within(o.place, o.size):
                raise LanguageError(
                    f"the read {o.what} is not provably in range: {show(o.place)} must be at least 0 and below "
                    f"{show(o.size)}; {self._remedy(o)}",
                    o.at,
                )

    def _remedy(self, read: Obligation) -> str:
        """What helps where a read is out of range."""
        if self.target and read.what.startswith(f"'{self.target}["):
            return (
                f"as the step writes every element of {self.target}, start it beyond the ends, as in "
                f"{self.target}[-1] = 0, or let the left side be the next element, as in {self.target}[t + 1] = ..."
            )
        return (
            "restrict the index with a condition, declare what holds under 'requires', "
            "or let the symbol state its value outside (outside: 0)"
        )


def shortened(message: str) -> str:
    """A message without the middle of an overlong formula that it quotes."""
    if len(message) <= MAX_MESSAGE:
        return message
    return f"{message[: MAX_MESSAGE // 2]} ... {message[-MAX_MESSAGE // 2 :]}"


def show(poly: Poly) -> str:
    """A size or index expression as people write it."""
    return format_poly(poly, lambda a: a.name if isinstance(a, Index) else str(a))


def show_shape(shape: Shape) -> str:
    """A shape as people write it: ``[n, d_k]``."""
    return "[" + ", ".join(show(s) for s in shape) + "]"


def size_of(node: tree.Node, name: Callable[[tree.Name], Poly]) -> Poly:
    """A size or index expression from its tree: sums, products and floor divisions of whole numbers."""
    match node:
        case tree.Number(text):
            if not text.isdigit():
                raise LanguageError(f"{text} is not a whole number; sizes and indices are whole", node.at)
            if int(text) > MAX_LITERAL_SIZE * MAX_LITERAL_SIZE:
                raise LanguageError(f"{text[:20]} is too large for a size or an index", node.at)
            return Poly.of(int(text))
        case tree.Name():
            return name(node)
        case tree.Negative(operand):
            return -size_of(operand, name)
        case tree.Chain(operands, operators):
            result = size_of(operands[0], name)
            for operator, operand in zip(operators, operands[1:], strict=True):
                right = size_of(operand, name)
                if operator == "//":
                    if right.constant == 0:
                        raise LanguageError("a division by zero", operand.at)
                    result = result // right
                elif operator in ("+", "-", "*"):
                    result = {"+": result.__add__, "-": result.__sub__, "*": result.__mul__}[operator](right)
                else:
                    message = f"'{operator}' gives no whole number; use '//' in sizes and indices"
                    raise LanguageError(message, operand.at)
            return result
    raise LanguageError(f"'{node}' is not a size or index: use names, whole numbers, + - * //", node.at)
