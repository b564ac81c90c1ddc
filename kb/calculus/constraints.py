"""What the domains of symbols allow one to conclude, put in after differentiation.

Derivatives are ambient: a constraint never changes what is differentiated. Afterwards a sum over
probabilities is 1, and the result says which constraints it used.
"""

from __future__ import annotations

from kb import tree
from kb.calculus.tidy import Tidy
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import ONE, Bind, Expr, Mul, Read, free_indices, reads
from kb.index.program import Program, Step
from kb.vocabulary import DOMAINS

_SYMMETRIC = {"symmetric", "positive_definite"}
_LETTERS = "ijklmnpqrstuv"


def apply_constraints(expr: Expr, program: Program) -> tuple[Expr, tuple[tree.Claim, ...]]:
    """The expression with the constraints of the symbols' domains put in, and those that were used.

    The constraints are claims of the language, such as ``sum(y[c], c) == 1`` and ``A == A.T``.
    Where none applies the expression is returned as it came.
    """
    constraints = _Constraints(program)
    found = constraints.sums(expr)
    symmetric = constraints.symmetric(found)
    if not constraints.used:
        return expr, ()
    tidied = Tidy(program)(symmetric)
    claims = tuple(_claim(program, name) for name in sorted(constraints.used))
    return tidied, claims


class _Constraints:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.used: set[str] = set()

    def domain(self, name: str) -> str:
        """The domain of a declared symbol; steps and cotangents have none."""
        tensor = self.program.tensors.get(name)
        return tensor.symbol.domain if tensor is not None and tensor.symbol is not None else "real"

    def sums(self, expr: Expr) -> Expr:
        """Sums over everything that adds up to 1 are 1."""

        def change(node: Expr) -> Expr | None:
            if isinstance(node, Bind) and node.op == "sum" and not node.conditions:
                return self.shorter(node)
            return None

        for _ in range(4):
            changed: Expr = build.transform(expr, change)
            if changed == expr:
                break
            expr = changed
        return expr

    def shorter(self, node: Bind) -> Expr | None:
        """The sum without a factor whose own sum is 1; None if there is none."""
        factors = node.body.args if isinstance(node.body, Mul) else (node.body,)
        for at, factor in enumerate(factors):
            if not isinstance(factor, Read):
                continue
            summed = self.summed(factor)
            if not summed or not summed <= set(node.indices):
                continue
            others = factors[:at] + factors[at + 1 :]
            if any(free_indices(o) & summed for o in others):
                continue
            self.used.add(factor.name)
            rest = tuple(i for i in node.indices if i not in summed)
            body = build.mul(ONE, *others)
            return self.sums(build.bind("sum", rest, (), body))
        return None

    def summed(self, read: Read) -> set[Index]:
        """The indices over which this read adds up to 1."""
        row = DOMAINS.get(self.domain(read.name))
        if row is None or not row.sums_to_one or not read.index:
            return set()
        shape = self.program.shape(read.name)
        count = 1 if row.sums_to_one == "last" else len(shape)
        places, sizes = read.index[-count:], shape[-count:]
        bare = [p.index for p in places]
        found = {i for i, size in zip(bare, sizes, strict=True) if i is not None and i.size == size}
        rest = {i for p in read.index[:-count] for i in p.indices()}
        return found - rest if len(found) == count and not found & rest else set()

    def symmetric(self, expr: Expr) -> Expr:
        """Symmetric matrices read in one order, where that lets terms meet."""
        names = {r.name for r in reads(expr) if self.domain(r.name) in _SYMMETRIC}
        if not names:
            return expr

        def change(read: Read) -> Expr | None:
            if read.name not in names or len(read.index) < 2:
                return None
            *lead, row, column = read.index
            ordered = sorted((row, column), key=_serial)
            return Read(read.name, (*lead, *ordered), read.outside) if ordered != [row, column] else None

        turned: Expr = Tidy(self.program)(build.replace_reads(expr, change))
        if sum(1 for _ in reads(turned)) >= sum(1 for _ in reads(expr)):
            return expr
        self.used |= names
        return turned


def _serial(place: Poly) -> tuple[int, str]:
    return (place.index.serial if place.index is not None else -1, repr(place))


def _claim(program: Program, name: str) -> tree.Claim:
    """The constraint of a symbol as a claim, in the letters by which the entry indexes it."""
    tensor = program.tensors[name]
    domain = tensor.symbol.domain if tensor.symbol is not None else "real"
    if domain in _SYMMETRIC:
        return tree.Claim(tree.Name(name), "==", tree.Transpose(tree.Name(name)))
    letters = _letters(program, name, len(tensor.shape))
    indices = tuple(tree.Name(letter) for letter in letters)
    bound = indices[-1:] if DOMAINS[domain].sums_to_one == "last" else indices
    total = tree.Call("sum", (tree.Element(tree.Name(name), indices), *bound))
    return tree.Claim(total, "==", tree.Number("1"))


def _letters(program: Program, name: str, count: int) -> list[str]:
    taken = set(program.tensors) | set(program.dimensions)
    for step in program.steps:
        for read in reads(step.expr) if isinstance(step, Step) else ():
            if read.name == name:
                found = [p.index.name for p in read.index if p.index is not None]
                if len(set(found)) == count and not set(found) & taken:
                    return found
    return [letter for letter in _LETTERS if letter not in taken][:count]
