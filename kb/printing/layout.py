"""Decisions that all printers share: what is a fraction, which product is elementwise, what binds what.

A chain of the tree, ``a*b/c@d``, is read from left to right; people write a fraction, a matrix
product, an elementwise product. ``arrange`` turns the one into the other, keeping the author's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from kb.glyphs import split_notation
from kb.printing.binders import ONE, binder, count
from kb.printing.glyphs import Context
from kb.printing.ranks import is_row, product_rank, rank
from kb.tree import (
    Array,
    Call,
    Cases,
    Chain,
    Claim,
    Element,
    Name,
    Negative,
    Node,
    Number,
    Step,
    Transpose,
    walk,
)
from kb.vocabulary import BUILT_IN

SCALAR, HADAMARD, MATRIX = "scalar", "hadamard", "matrix"


@dataclass(frozen=True, slots=True)
class Product:
    """Factors side by side; ``joints`` says how each touches the next."""

    factors: tuple[Item, ...]
    joints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fraction:
    """One thing over another."""

    numerator: Item
    denominator: Item


@dataclass(frozen=True, slots=True)
class Floor:
    """The largest integer not above the content."""

    content: Item


@dataclass(frozen=True, slots=True)
class Modulo:
    """The rest of a division."""

    left: Item
    right: Item


@dataclass(frozen=True, slots=True)
class Signed:
    """A minus in front of a whole product."""

    content: Item


Item = Node | Product | Fraction | Floor | Modulo | Signed


@dataclass
class _Run:
    """The product read so far, and what it is to be divided by."""

    context: Context
    factors: list[Item] = field(default_factory=list)
    joints: list[str] = field(default_factory=list)
    below: list[Item] = field(default_factory=list)
    rank: int = 0
    below_rank: int = 0

    def product(self) -> Item:
        """What has been read, the division included."""
        self.divide()
        return _product(self.factors, self.joints)

    def divide(self) -> None:
        """Turn the pending denominators into a fraction; what is large stays beside it."""
        if not self.below:
            return
        joint = HADAMARD if self.below_rank else SCALAR
        below = _product(self.below, [joint] * (len(self.below) - 1))
        keep = self._large() if not self.below_rank and not tall(below) else len(self.factors)
        above = self.factors[:keep]
        fraction = Fraction(_product(above, self.joints[: max(keep - 1, 0)]) if above else ONE, below)
        self.joints = [SCALAR, *self.joints[keep:]] if keep < len(self.factors) else []
        self.factors = [fraction, *self.factors[keep:]]
        self.below, self.below_rank = [], 0

    def _large(self) -> int:
        """The position of the first factor too large for a numerator, if it may leave it."""
        number = all(isinstance(b, Number) for b in self.below)
        for at, factor in enumerate(self.factors):
            beside = isinstance(factor, Call) and (len(factor.arguments) > 1 or factor.function in ("log", "logdet"))
            if large(factor) or (number and beside):
                return at if all(j == SCALAR for j in self.joints[:at]) else len(self.factors)
        return len(self.factors)

    def multiply(self, item: Item, joint: str) -> None:
        """Append a factor; a run of another kind of product becomes one factor first."""
        self.divide()
        other = {HADAMARD: MATRIX, MATRIX: HADAMARD}.get(joint)
        if other in self.joints:
            self.factors, self.joints = [_product(self.factors, self.joints)], []
        inner = item.joints if isinstance(item, Product) else ()
        kinds = {joint, *inner, *self.joints} - {SCALAR}
        self.joints.append(joint)
        if isinstance(item, Product) and joint != MATRIX and len(kinds) <= 1:
            self.factors += item.factors
            self.joints += inner
        else:
            self.factors.append(item)


def _product(factors: Iterable[Item], joints: Iterable[str]) -> Item:
    factors = tuple(factors)
    return factors[0] if len(factors) == 1 else Product(factors, tuple(joints))


def arrange(chain: Chain, context: Context) -> Item:
    """A chain of ``* / // % @`` as people set it."""
    first, *rest = chain.operands
    whole = {"//", "%"} & set(chain.operators)
    if isinstance(first, Negative) and not whole:
        positive = Chain((first.operand, *rest), chain.operators)
        return Signed(arrange(positive, context))
    run = _Run(context, rank=rank(first, context))
    inner = _operand(first, context)
    if isinstance(inner, Product):
        run.factors, run.joints = list(inner.factors), list(inner.joints)
    else:
        run.factors = [inner]
    if _begins_dot_product(chain, context):
        run.factors, run.joints = [Transpose(first)], []
    for operator, operand in zip(chain.operators, rest, strict=True):
        _extend(run, operator, operand)
    return _over_count(run.product(), context)


def _over_count(item: Item, context: Context) -> Item:
    """Two times a mean as ``2/N`` times a sum; so with a fraction in front of a mean."""
    match item:
        case Product((Number() | Fraction() as front, Call("mean") as mean), (joint,)) if joint == SCALAR:
            bound = binder(mean, context)
            number = count(bound, context) if bound is not None else None
        case _:
            return item
    if number is None:
        return item
    above, below = (front.numerator, front.denominator) if isinstance(front, Fraction) else (front, None)
    total = Call("sum", mean.arguments)
    return Product(
        (Fraction(above, number if below is None else _product((below, number), (SCALAR,))), total), (SCALAR,)
    )


def _extend(run: _Run, operator: str, operand: Node) -> None:
    own = rank(operand, run.context)
    item = _operand(operand, run.context)
    if operator == "/":
        run.below.append(item)
        run.below_rank = max(run.below_rank, own)
        run.rank = max(run.rank, own)
    elif operator == "//":
        run.factors, run.joints = [Floor(Fraction(run.product(), item))], []
    elif operator == "%":
        run.factors, run.joints = [Modulo(run.product(), item)], []
    elif operator == "@":
        run.multiply(item, MATRIX)
        run.rank = 2 if is_row(operand, run.context) else product_rank(run.rank, own)
    else:
        run.multiply(item, HADAMARD if run.rank and own else SCALAR)
        run.rank = max(run.rank, own)


def _begins_dot_product(chain: Chain, context: Context) -> bool:
    """Whether the chain begins with a vector whose product with what follows is a number."""
    first = chain.operands[0]
    if rank(first, context) != 1 or is_row(first, context):
        return False
    for operator, operand in zip(chain.operators, chain.operands[1:], strict=True):
        if operator != "@" or is_row(operand, context):
            return False
        if rank(operand, context) == 1:
            return True
    return False


def _operand(node: Node, context: Context) -> Item:
    if isinstance(node, Chain) and node.operators[0] not in "+-":
        return arrange(node, context)
    return node


def tall(item: Item) -> bool:
    """Whether the thing is taller than a line in a displayed formula."""
    match item:
        case Fraction() | Cases() | Array():
            return True
        case Product(factors, _):
            return any(map(tall, factors))
        case Floor(content) | Signed(content):
            return tall(content)
        case Modulo(left, right):
            return tall(left) or tall(right)
        case Element(base, _):
            return tall(base)
        case Call("exp", (argument,)) if is_short(argument):
            return False
        case Call(function, arguments):
            own = function in ("integral", "d", "vjp", "prod", "mean", "sum")
            return (own and len(arguments) > 1) or any(map(tall, arguments))
        case Chain(_, operators) if "/" in operators or "//" in operators:
            return True
    kept = [item.base] if hasattr(item, "base") else list(item.children()) if isinstance(item, Node) else []
    return any(map(tall, kept))


def large(item: Item) -> bool:
    """Whether a careful author would write the factor beside a fraction rather than on top of it."""
    match item:
        case Call(function, arguments):
            if function in ("sum", "mean", "prod", "integral", "E") and len(arguments) > 1:
                return True
            if function in ("sqrt", "abs", "norm", "d"):
                return False
            return any(map(tall, arguments)) and not (function == "exp" and is_short(arguments[0]))
        case Chain(_, operators):
            return operators[0] in "+-" and tall(item)
        case Array():
            return True
    return False


def is_quotient(node: Node) -> bool:
    """Whether the node is one plain symbol or number over another: ``z/tau``."""
    return (
        isinstance(node, Chain)
        and node.operators == ("/",)
        and all(isinstance(o, (Name, Number)) or (isinstance(o, Element) and not tall(o)) for o in node.operands)
    )


def is_short(argument: Node) -> bool:
    """Whether an exponent stays readable: a few symbols, at most one plain quotient, no binder."""
    leaves = 0
    for node in walk(argument):
        if isinstance(node, (Cases, Array)) or (isinstance(node, Call) and node.function not in ("abs", "sqrt")):
            return False
        if isinstance(node, Chain) and "/" in node.operators and (node is not argument or not is_quotient(node)):
            return False
        leaves += isinstance(node, (Name, Number))
    return leaves <= 5


def law_of(variable: Node, law: Node) -> Node:
    """The distribution of an expectation without the variable it is about."""
    match law:
        case Element(base, (*front, last)) if last == variable:
            return Element(base, tuple(front)) if front else base
        case Call(function, (first, *rest)) if first == variable:
            return Call(function, tuple(rest)) if rest else Name(function)
    return law


def second_derivative(node: Node) -> tuple[Node, Node, Node] | None:
    """What is differentiated by what, then by what, in ``d(d(y, x), z)``; None elsewhere."""
    match node:
        case Call("d", (Call("d", (Name() | Element() as body, first)), second)):
            return body, first, second
    return None


def is_gradient(value: Node, variable: Node, context: Context) -> bool:
    """Whether a derivative is written with a nabla: of a number that a formula in place gives, by a vector.

    A profile may write so wherever a number is differentiated by an array, or nowhere.
    """
    usual = context.profile.gradient == "usual"
    if context.profile.gradient == "quotient" or (usual and isinstance(value, (Name, Element))):
        return False
    axes = rank(variable, context)
    return rank(value, context) == 0 and (axes == 1 if usual else axes > 0)


def column_of(element: Element, context: Context) -> Name | None:
    """The matrix of which ``A.T[j]`` is a column, written ``A[:,j]``."""
    match element:
        case Element(Transpose(Name() as matrix), (_,)) if rank(matrix, context) == 2:
            return matrix
    return None


def without_brackets(function: str, arguments: Sequence[Node], context: Context) -> list[Node]:
    """The arguments of an entry that has a notation, a lone number instead of an array of it: ``D(mu; s2)``."""
    known = function in context.calls and function not in BUILT_IN
    return [a.items[0] if known and isinstance(a, Array) and len(a.items) == 1 else a for a in arguments]


def separators_of(function: str, context: Context) -> tuple[str, ...]:
    """What stands between the arguments of an entry that has a notation; commas elsewhere."""
    known = function in context.calls and function not in BUILT_IN
    return split_notation(context.calls[function]).separators if known else ()


def branches(cases: Cases) -> tuple[list[tuple[Node, Node]], Node]:
    """The (value, condition) pairs of a chain of ``else`` branches, and the value otherwise."""
    pairs = [(cases.then, cases.condition)]
    rest = cases.otherwise
    while isinstance(rest, Cases):
        pairs.append((rest.then, rest.condition))
        rest = rest.otherwise
    return pairs, rest


def contexts_in_time(statements: Sequence[Step | Claim], context: Context) -> list[Context]:
    """For each statement the context that it is read in: in steps, states not yet written are of the time before."""
    if context.time_index is None:
        return [context] * len(statements)
    times = dict(context.times)
    states = {name for name, kind in context.kinds.items() if kind == "state"}
    times |= dict.fromkeys(states, -1)
    contexts: list[Context] = []
    for statement in statements:
        contexts.append(replace(context, times=dict(times)) if isinstance(statement, Step) else context)
        times |= dict.fromkeys(states & targets_of(statement), 0)
    return contexts


def targets_of(statement: Step | Claim) -> set[str]:
    """The names that a statement sets."""
    targets = statement.targets if isinstance(statement, Step) else ()
    bases = (t.base if isinstance(t, Element) else t for t in targets)
    return {b.id for b in bases if isinstance(b, Name)}


def context_of_targets(statement: Step, context: Context) -> Context:
    """The context in which the left side of a step is printed: a state written is the new one."""
    written = {name for name in targets_of(statement) if context.kinds.get(name) == "state"}
    if context.time_index is None or not written:
        return context
    return replace(context, times={**context.times, **dict.fromkeys(written, 0)})
