"""Derivatives of matrix primitives: inverse, determinant, exponential, eigenvalues, singular values.

A program is laid out for differentiation: next to each primitive stand the steps that its
derivative reads (an inverse, the eigenvectors, the differences of eigenvalues), and its linear map
of differentials, cut into small parts. Forward and reverse mode and partial derivatives all follow
from the same parts. The parts are ordinary expressions of ordinary steps, so that derivatives
differentiate again.

Conventions. ``eigh`` reads the symmetric part of its argument; eigenvalues, and singular values,
are distinct, and the singular values of a matrix with more rows than columns are not 0. The signs
of the vectors are fixed and have derivative 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kb.calculus.linear import Contribution, contributions
from kb.index import build
from kb.index.affine import Index, Poly
from kb.index.nodes import HALF, MINUS_ONE, ONE, ZERO, Expr, Read, num, same
from kb.index.program import AnyStep, ArrayStep, Program, Shape, Step, Tensor, dependents, index_names
from kb.vocabulary import MATRIX_FUNCTIONS


@dataclass(frozen=True, slots=True)
class Linear:
    """How the elements at the free indices depend, to first order, on other names."""

    free: tuple[Index, ...]
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Differential:
    """A part of a linear map of differentials: it has a tangent and a cotangent, but no value."""

    name: str
    argument: str
    shape: Shape

    @property
    def inputs(self) -> frozenset[str]:
        """What it depends on."""
        return frozenset([self.argument])


Linearised = AnyStep | Differential


@dataclass(frozen=True, slots=True)
class Layout:
    """A program in the order of differentiation.

    ``program`` has the steps that derivatives read as well. ``groups`` pairs steps to compute with
    what has a derivative once they are there. ``linear`` describes all but ordinary steps, of which
    ``exponentials`` have a shorter way for one direction.
    """

    program: Program
    groups: tuple[tuple[tuple[AnyStep, ...], tuple[Linearised, ...]], ...]
    linear: dict[str, Linear]
    exponentials: frozenset[str]

    @property
    def nodes(self) -> tuple[Linearised, ...]:
        """Everything that has a derivative, in order."""
        return tuple(node for _, nodes in self.groups for node in nodes)

    def linearised(
        self, node: Linearised, active: set[str], strict: bool
    ) -> tuple[tuple[Index, ...], tuple[Poly, ...], list[Contribution]]:
        """A node's free indices, its target, and how it depends on what it reads.

        Raises NotDifferentiable.
        """
        if isinstance(node, Step):
            return node.free, node.target, contributions(node.expr, active, strict)
        found = self.linear[node.name]
        return found.free, tuple(map(Poly.of, found.free)), [c for c in found.contributions if c.name in active]

    def composed(
        self, step: ArrayStep, active: set[str]
    ) -> tuple[tuple[Index, ...], tuple[Poly, ...], list[Contribution]]:
        """The linear map of a primitive with all its parts put together: how it depends on other steps."""
        free, target, found = self.linearised(step, active, strict=True)
        differentials = {n.name for n in self.nodes if isinstance(n, Differential)}
        while any(c.name in differentials for c in found):
            found = [made for c in found for made in ([c] if c.name not in differentials else self._through(c))]
        return free, target, found

    def _through(self, c: Contribution) -> list[Contribution]:
        """A contribution of a differential as contributions of what that depends on."""
        inner = self.linear[c.name]
        made = []
        for part in inner.contributions:
            bound = tuple(i.fresh() for i in part.bound)
            moved = dict(zip(inner.free, c.index, strict=True)) | dict(
                zip(part.bound, map(Poly.of, bound), strict=True)
            )
            coefficient = build.mul(c.coefficient, build.substitute(part.coefficient, moved))
            index = tuple(p.replace(dict(moved)) for p in part.index)
            made.append(Contribution(part.name, index, (*c.bound, *bound), c.conditions, coefficient))
        return made

    def dependents(self, names: set[str]) -> set[str]:
        """The names whose values depend on any of ``names``, those included."""
        return dependents(self.nodes, names)


def layout(program: Program, elementwise: bool = False) -> Layout:
    """Lay out a program for differentiation.

    ``elementwise`` says that the derivative is wanted by single elements rather than along a
    direction: that of an exponential then is an array of its own.
    """
    return _Layouter(program, elementwise).run()


def with_companions(program: Program) -> Program:
    """The program with the steps that its partial derivatives read."""
    return layout(program, elementwise=True).program


class _Layouter:
    def __init__(self, program: Program, elementwise: bool) -> None:
        self.program = program
        self.elementwise = elementwise
        self.tensors = dict(program.tensors)
        self.groups: list[tuple[tuple[AnyStep, ...], tuple[Linearised, ...]]] = []
        self.linear: dict[str, Linear] = {}
        self.exponentials: set[str] = set()
        self.steps: list[AnyStep] = []
        self.placed: set[str] = set()

    def run(self) -> Layout:
        for step in self.program.steps:
            if isinstance(step, ArrayStep):
                self.primitive(step)
            elif step.name not in self.placed:
                self.group((step,))
        made = replace(self.program, tensors=self.tensors, steps=tuple(self.steps))
        return Layout(made, tuple(self.groups), self.linear, frozenset(self.exponentials))

    def group(self, steps: Sequence[AnyStep]) -> None:
        """Steps to compute, of which the program's own are linearised then."""
        own = {s.name for s in self.program.steps}
        self.groups.append((tuple(steps), tuple(s for s in steps if s.name in own)))
        self.steps += steps

    def place(self, steps: Sequence[AnyStep]) -> list[AnyStep]:
        """Those steps that are not there yet; what the program has later is taken ahead."""
        fresh = [s for s in steps if s.name not in self.placed]
        self.placed |= {s.name for s in steps}
        return fresh

    # --- steps that derivatives read ------------------------------------------------------------

    def result(self, step: ArrayStep, operation: str, output: int = 0) -> ArrayStep:
        """The step that holds a result of a primitive of the same argument."""
        for other in (*self.program.steps, *self.steps):
            if isinstance(other, ArrayStep) and _holds(other) == (operation, step.argument, output):
                return other
        suffix, axes = MATRIX_FUNCTIONS[operation].outputs[output]
        full = self.program.shape(step.argument)
        shape = full[:-2] + tuple({"m": full[-2], "n": full[-1]}[a] for a in axes)
        name = self.fresh(f"{step.argument}_{suffix}")
        self.tensors[name] = Tensor(name, shape)
        return ArrayStep(name, operation, step.argument, shape, step.lead, output)

    def companion(self, stem: str, make: Callable[[str], Sequence[Step]]) -> list[Step]:
        """Ordinary steps under a name of their own, or those of the program that say the same."""
        name = stem
        while name in self.tensors or name in self.program.dimensions:
            there = [s for s in (*self.program.steps, *self.steps) if s.name == name]
            made = list(make(name))
            if len(there) >= len(made) and all(_agree(a, b) for a, b in zip(there, made, strict=False)):
                return [s for s in there[: len(made)] if isinstance(s, Step)]
            name += "_1"
        steps = list(make(name))
        self.tensors[name] = Tensor(name, steps[0].shape)
        return steps

    def fresh(self, name: str) -> str:
        while name in self.tensors or name in self.program.dimensions:
            name += "_1"
        return name

    def differential(self, stem: str, step: ArrayStep, shape: Shape) -> Differential:
        made = Differential(self.fresh(stem), step.argument, shape)
        self.tensors[made.name] = Tensor(made.name, shape)
        return made

    # --- rules ----------------------------------------------------------------------------------

    def primitive(self, step: ArrayStep) -> None:
        """Lay out a primitive, together with the other results of the same argument."""
        if step.name in self.placed:
            return
        match step.operation:
            case "inv":
                self.inverse(step)
            case "det" | "logdet":
                self.determinant(step)
            case "expm":
                self.exponential(step)
            case "eigh":
                self.eigen(step)
            case "svd":
                self.singular(step)

    def inverse(self, step: ArrayStep) -> None:
        """``dB = -B dA B`` of an inverse B."""
        at = _At(self.tensors, step)
        i, j, k, l = at.indices("ijkl")  # noqa: E741
        coefficient = build.mul(MINUS_ONE, at.read(step.name, i, k), at.read(step.name, l, j))
        self.linear[step.name] = at.linear((i, j), at.of(step.argument, (k, l), (k, l), coefficient))
        self.group(self.place([step]))

    def determinant(self, step: ArrayStep) -> None:
        """``dD = D tr(A^-1 dA)`` of a determinant D; its logarithm lacks the factor D."""
        inverse = self.result(step, "inv")
        self.primitive(inverse)
        at = _At(self.tensors, step)
        k, l = at.indices("kl")  # noqa: E741
        coefficient = at.read(inverse.name, l, k)
        if step.operation == "det":
            coefficient = build.mul(at.read(step.name), coefficient)
        self.linear[step.name] = at.linear((), at.of(step.argument, (k, l), (k, l), coefficient))
        self.group(self.place([step]))

    def exponential(self, step: ArrayStep) -> None:
        """The derivative along E is the upper right block of ``expm([[A, E], [0, A]])``."""
        self.exponentials.add(step.name)
        self.group(self.place([step]))
        if not self.elementwise or step.name not in {s.name for s in self.program.steps}:
            return
        at = _At(self.tensors, step)
        i, j, k, l = at.indices("ijkl")  # noqa: E741
        size = self.program.shape(step.argument)[-1]

        def make(name: str) -> list[Step]:
            unit = build.mul(build.delta(Poly.of(i), Poly.of(k)), build.delta(Poly.of(j), Poly.of(l)))
            return blocks(name, (*at.lead, k, l), (i, j), at.read(step.argument, i, j), unit)

        block = self.companion(f"{step.name}_block", make)
        held = ArrayStep(self.fresh(f"L_{step.argument}"), "expm", block[0].name, block[0].shape, step.lead + 2)
        for other in self.program.steps:
            if isinstance(other, ArrayStep) and (other.operation, other.argument) == ("expm", block[0].name):
                held = other
        self.tensors[held.name] = Tensor(held.name, held.shape)
        steps = self.place([*block, held])
        place = (*at.front, Poly.of(k), Poly.of(l), Poly.of(i), Poly.of(j) + size)
        coefficient = Read(held.name, place, False)
        self.linear[step.name] = at.linear((i, j), at.of(step.argument, (k, l), (k, l), coefficient))
        for part in steps:
            if part is held and held in self.program.steps:
                self.placed.discard(held.name)
                self.exponential(held)
            else:
                self.group([part])

    def eigen(self, step: ArrayStep) -> None:
        """With ``P = U^T dC U``: ``dlam = diag(P)``, and ``dU = U Q`` where ``Q = F * (P + P^T)/2``.

        ``F[i,j] = 1/(lam[j] - lam[i])``, and 0 on the diagonal.
        """
        lam, u = self.result(step, "eigh", 0), self.result(step, "eigh", 1)
        at = _At(self.tensors, step)
        a, i, j, k, l = at.indices("aklji")  # noqa: E741
        gaps = self.companion(
            f"F_{step.argument}", lambda name: _gaps(name, at, (l, k), at.read(lam.name, k), at.read(lam.name, l))
        )
        f = gaps[0].name
        p, q = (self.differential(f"{letter}_{step.argument}", step, gaps[0].shape) for letter in "PQ")
        turned = build.mul(at.read(u.name, i, l), at.read(u.name, j, k))
        half = build.mul(HALF, at.read(f, l, k))
        self.linear |= {
            p.name: at.linear((l, k), at.of(step.argument, (i, j), (i, j), turned)),
            q.name: at.linear((l, k), at.of(p.name, (l, k), (), half), at.of(p.name, (k, l), (), half)),
        }
        for held in self.family(step, (lam, u)):
            if held.output == 0:
                self.linear[held.name] = at.linear((k,), at.diagonal(p.name, l, k))
            else:
                self.linear[held.name] = at.linear((a, k), at.of(q.name, (l, k), (l,), at.read(u.name, a, l)))
        self.family_group(self.family(step, (lam, u)), gaps, (p, q))

    def singular(self, step: ArrayStep) -> None:
        """With ``P = U^T dA V``, ``R = F * (P S + S P^T) - P S^-1`` and ``T = F * (S P + P^T S)``:

        ``ds = diag(P)``, ``dV = V T``, ``dU = U R + dA V S^-1``, of which ``(dA V - U P) S^-1`` leaves
        the columns of U. ``F[i,j] = 1/(s[j]^2 - s[i]^2)``, and 0 on the diagonal.
        """
        u, s, v = (self.result(step, "svd", n) for n in range(3))
        at = _At(self.tensors, step)
        rows = Index("a", self.program.shape(step.argument)[-2])
        i = Index("k", self.program.shape(step.argument)[-2])
        j, k, l = at.indices("lji")  # noqa: E741
        s_k, s_l = at.read(s.name, k), at.read(s.name, l)
        gaps = self.companion(
            f"F_{step.argument}",
            lambda name: _gaps(name, at, (l, k), build.power(s_k, num(2)), build.power(s_l, num(2))),
        )
        f = at.read(gaps[0].name, l, k)
        p, r, t = (self.differential(f"{letter}_{step.argument}", step, gaps[0].shape) for letter in "PRT")
        turned = build.mul(at.read(u.name, i, l), at.read(v.name, j, k))

        inverse = build.power(s_k, MINUS_ONE)

        def rotation(one: Expr, other: Expr) -> Linear:
            straight = at.of(p.name, (l, k), (), one)
            return at.linear((l, k), straight, at.of(p.name, (k, l), (), build.mul(f, other)))

        self.linear |= {
            p.name: at.linear((l, k), at.of(step.argument, (i, j), (i, j), turned)),
            r.name: rotation(build.add(build.mul(f, s_k), build.mul(MINUS_ONE, inverse)), s_l),
            t.name: rotation(build.mul(f, s_l), s_k),
        }
        family = self.family(step, (u, s, v))
        for held in family:
            self.linear[held.name] = (
                at.linear(
                    (rows, k),
                    at.of(r.name, (l, k), (l,), at.read(u.name, rows, l)),
                    at.of(step.argument, (rows, j), (j,), build.mul(at.read(v.name, j, k), inverse)),
                ),
                at.linear((k,), at.diagonal(p.name, l, k)),
                at.linear((j, k), at.of(t.name, (l, k), (l,), at.read(v.name, j, l))),
            )[held.output]
        self.family_group(family, gaps, (p, r, t))

    def family_group(
        self, family: Sequence[ArrayStep], gaps: Sequence[Step], differentials: Sequence[Differential]
    ) -> None:
        """The results and what their derivatives read; then the differentials and the results."""
        own = {s.name for s in self.program.steps}
        steps = self.place([*family, *gaps])
        self.groups.append((tuple(steps), (*differentials, *(s for s in family if s.name in own))))
        self.groups.append(((), tuple(s for s in steps if s in gaps and s.name in own)))
        self.steps += steps

    def family(self, step: ArrayStep, results: Sequence[ArrayStep]) -> list[ArrayStep]:
        """All steps that hold results of the same primitive of the same argument."""
        there = [s for s in self.program.steps if isinstance(s, ArrayStep)]
        there = [s for s in there if (s.operation, s.argument) == (step.operation, step.argument)]
        return there + [s for s in results if s not in there]


class _At:
    """Indices for the rule of one primitive, whose argument may have leading axes."""

    def __init__(self, tensors: dict[str, Tensor], step: ArrayStep) -> None:
        shape = tensors[step.argument].shape
        names = index_names(set(tensors) | set("aijkl"), step.lead)
        self.lead = tuple(Index(n, s) for n, s in zip(names, shape[: step.lead], strict=True))
        self.front = tuple(Poly.of(i) for i in self.lead)
        self.size = shape[-1]

    def indices(self, letters: str) -> tuple[Index, ...]:
        """Indices over the columns of the argument."""
        return tuple(Index(letter, self.size) for letter in letters)

    def read(self, name: str, *index: Index) -> Expr:
        """An element of a step that has the same leading axes."""
        return Read(name, (*self.front, *map(Poly.of, index)), False)

    def of(self, name: str, index: Sequence[Index], bound: Sequence[Index], coefficient: Expr) -> Contribution:
        """A contribution of an element of a name, summed over the bound indices."""
        return Contribution(name, (*self.front, *map(Poly.of, index)), tuple(bound), (), coefficient)

    def diagonal(self, name: str, l: Index, k: Index) -> Contribution:  # noqa: E741
        """The contribution of an element of the diagonal."""
        return self.of(name, (l, k), (l,), build.delta(Poly.of(l), Poly.of(k)))

    def linear(self, free: Sequence[Index], *contributions: Contribution) -> Linear:
        """A linear map; its bound indices are its own."""
        return Linear((*self.lead, *free), contributions)


def _gaps(name: str, at: _At, places: tuple[Index, Index], one: Expr, other: Expr) -> list[Step]:
    """``1/(one - other)`` off the diagonal; on it 0, and the divisor is 1 lest code divide by 0."""
    free = (*at.lead, *places)
    equal = build.compare("==", *(build.val(Poly.of(i)) for i in places))
    apart = build.add(one, build.mul(MINUS_ONE, other), build.test(equal))
    expr = build.mul(build.add(ONE, build.mul(MINUS_ONE, build.test(equal))), build.power(apart, MINUS_ONE))
    return [Step(name, free, tuple(map(Poly.of, free)), expr, tuple(i.extent for i in free))]


def blocks(name: str, lead: Sequence[Index], places: Sequence[Index], diagonal: Expr, corner: Expr) -> list[Step]:
    """``[[diagonal, corner], [0, diagonal]]``, four parts of an array of twice the size."""
    i, j = places
    size = i.extent
    made = []
    for down, right, expr in ((0, 0, diagonal), (0, 1, corner), (1, 0, ZERO), (1, 1, diagonal)):
        free = tuple(index.fresh() for index in (*lead, i, j))
        moved = dict(zip((*lead, i, j), map(Poly.of, free), strict=True))
        *front, row, column = map(Poly.of, free)
        target = (*front, row + size * down, column + size * right)
        shape = (*(index.extent for index in lead), size * 2, size * 2)
        made.append(Step(name, free, target, build.substitute(build.freshen(expr), moved), shape))
    return made


def along(
    step: ArrayStep, direction: str, block: str, held: str, transposed: bool = False
) -> tuple[list[AnyStep], tuple[Index, ...], Expr]:
    """The derivative of a matrix exponential along a direction: steps called ``block`` and ``held``.

    Gives the steps, free indices, and the element at them. ``transposed`` takes it at the transpose
    of the argument, which makes it the adjoint.
    """
    names = index_names(set("ij"), step.lead)
    lead = tuple(Index(n, s) for n, s in zip(names, step.shape, strict=False))
    i, j = Index("i", step.shape[-1]), Index("j", step.shape[-1])
    front, row, column = tuple(map(Poly.of, lead)), Poly.of(i), Poly.of(j)
    argument = Read(step.argument, (*front, column, row) if transposed else (*front, row, column), False)
    parts = blocks(block, lead, (i, j), argument, Read(direction, (*front, row, column), False))
    slope = ArrayStep(held, "expm", block, parts[0].shape, step.lead)
    value = Read(held, (*front, row, column + i.extent), False)
    return [*parts, slope], (*lead, i, j), value


def _holds(step: ArrayStep) -> tuple[str, str, int]:
    return step.operation, step.argument, step.output


def _agree(there: AnyStep, made: Step) -> bool:
    """Whether two steps say the same, whatever their indices are called."""
    if not isinstance(there, Step) or there.shape != made.shape or len(there.free) != len(made.free):
        return False
    moved = {i: Poly.of(j) for i, j in zip(made.free, there.free, strict=True)}
    if tuple(p.replace(dict(moved)) for p in made.target) != there.target:
        return False
    return same(build.substitute(made.expr, moved), there.expr)
