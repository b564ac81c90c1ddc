"""Parts of a definition as the author wrote them, to be recognised in derivatives.

Where a derivative contains ``sqrt(sum(x[k]**2, k))`` and the author wrote ``norm(x)``, it says
``norm(x)`` too; the same for calls of entries, which claims mention as well, and for products such
as ``X @ w + b``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from kb import tree
from kb.calculus.claims import elaborate_claim
from kb.calculus.normal import inlined
from kb.errors import EqkbError
from kb.index.affine import Poly
from kb.index.nodes import Num, Read, read_names, walk
from kb.index.program import Program, Step, Tensor
from kb.model import Entry
from kb.parser import parse_statement
from kb.vocabulary import BINDERS

if TYPE_CHECKING:
    from kb.programs import Programs

_MARK = "'"
_MOST = 40


@dataclass(frozen=True)
class Authored:
    """A part of a definition: as written, the letters in its subscripts, and the step that it would be."""

    node: tree.Node
    letters: tuple[str, ...]
    step: Step

    @property
    def name(self) -> str:
        """A name that no author can write."""
        return self.step.name

    def at(self, places: Sequence[tree.Node]) -> tree.Node:
        """The part at some place: its own letters replaced, further subscripts behind it."""
        count = len(self.letters)
        node = _replaced(self.node, dict(zip(self.letters, places[:count], strict=True)))
        rest = tuple(places[count:])
        return tree.Element(node, rest) if rest else node


_made: WeakKeyDictionary[Programs, dict[str, tuple[Authored, ...]]] = WeakKeyDictionary()


def authored_parts(entry: Entry, programs: Programs | None) -> tuple[Authored, ...]:
    """The parts of an entry's formulas that derivatives may speak of, the largest first."""
    if programs is None or entry.kind == "update" or programs.entries.get(entry.id) is not entry:
        return ()
    known = _made.setdefault(programs, {})
    if entry.id not in known:
        known[entry.id] = tuple(_parts(entry, programs))
    return known[entry.id]


def with_authored(program: Program, parts: Sequence[Authored]) -> Program:
    """The program with a step for each part, for folding only."""
    tensors = {p.name: Tensor(p.name, p.step.shape) for p in parts}
    return replace(program, tensors={**program.tensors, **tensors}, steps=(*program.steps, *(p.step for p in parts)))


def _parts(entry: Entry, programs: Programs) -> Iterator[Authored]:
    program = programs.elaborated(entry.id).program
    if program is None:
        return
    written: dict[tree.Node, None] = {}
    for text in (*entry.define, *(claim.text for claim in entry.claims if not claim.refuted)):
        for node in tree.walk(parse_statement(text)):
            if _is_telling(node, programs):
                written[node] = None
    for node in sorted(written, key=lambda n: -len(str(n)))[:_MOST]:
        part = _elaborated(node, entry, programs, program)
        if part is not None:
            yield part


def _is_telling(node: tree.Node, programs: Programs) -> bool:
    """Calls of entries and reductions without an index, and matrix products."""
    match node:
        case tree.Call(function, arguments) if function in programs.entries or function == "norm":
            return bool(arguments) and not any(isinstance(n, tree.Call) for a in arguments for n in tree.walk(a))
        case tree.Call(function, (argument,)) if function in BINDERS:
            return isinstance(argument, tree.Name)
        case tree.Chain(operands, operators) if "@" in operators or set(operators) <= {"+", "-"}:
            return any(isinstance(n, tree.Chain) and "@" in n.operators for n in (node, *operands))
    return False


def _elaborated(node: tree.Node, entry: Entry, programs: Programs, program: Program) -> Authored | None:
    text = f"({node}) == ({node})"
    try:
        form = elaborate_claim(programs.elaborated(entry.id), text, programs, programs.entries)
    except EqkbError:
        return None
    own = {s.name for s in program.steps}
    extra = tuple(s for s in form.program.steps if s.name not in own)
    expr = inlined(form.left, replace(form.program, steps=extra))
    if isinstance(expr, (Read, Num)) or read_names(expr) - set(program.tensors) or not read_names(expr):
        return None
    if sum(1 for _ in walk(expr)) < 4 or any(i.size is None for i in form.free):
        return None
    letters = tuple(i.name for i in form.free if i.name in tree.names(node))
    shape = tuple(i.extent for i in form.free)
    step = Step(f"{node}{_MARK}", form.free, tuple(map(Poly.of, form.free)), expr, shape)
    return Authored(node, letters, step)


def _replaced(node: tree.Node, places: dict[str, tree.Node]) -> tree.Node:
    """The tree with other indices in its subscripts."""
    if not places:
        return node
    match node:
        case tree.Element(base, indices):
            return tree.Element(base, tuple(places.get(str(i), i) for i in indices))
        case tree.Transpose(operand):
            return tree.Transpose(_replaced(operand, places))
        case tree.Negative(operand):
            return tree.Negative(_replaced(operand, places))
        case tree.Power(base, exponent):
            return tree.Power(_replaced(base, places), _replaced(exponent, places))
        case tree.Chain(operands, operators):
            return tree.Chain(tuple(_replaced(o, places) for o in operands), operators)
        case tree.Call(function, arguments, rest):
            return tree.Call(function, tuple(_replaced(a, places) for a in arguments), rest)
    return node
