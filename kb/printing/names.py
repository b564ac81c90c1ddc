"""Names of indices: each index of index form, told apart by identity, gets a letter of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from kb import tree
from kb.index.affine import Atom, FloorDiv, Gather, Index, Poly, format_poly
from kb.index.nodes import Condition, Expr, Read, Variable, free_indices, reads
from kb.printing.authored import Authored
from kb.printing.functions import Signature
from kb.printing.order import in_reading_order, nested
from kb.printing.trees import element, product_of, sum_of

_LETTERS = "ijklmnpqrstuvabcdefgh"


@dataclass(frozen=True)
class Expectation:
    """A value that is an expectation: of what, over which variable, under which law as written."""

    variable: Variable
    body: Expr
    law: tree.Node
    letter: str


@dataclass(frozen=True)
class Awaiting:
    """A value that is a derivative still to be worked out: of an expression, by an element of a symbol.

    ``of`` gives the expression for the place at which the value is read.
    """

    of: Callable[[tuple[Poly, ...]], Expr]
    symbol: str
    place: tuple[Poly, ...]


@dataclass(frozen=True)
class Names:
    """The names of indices and bound variables in sight, and the names that none of them may take.

    ``shown`` renames symbols and steps for display; ``usual`` says how an axis of a name is indexed
    in the definitions, so that derivatives speak of the same things by the same letters. ``ranges``
    collects the sizes over which each name runs. ``expectations`` are values shown as such, and so are
    those that are ``awaiting`` their differentiation. ``signatures`` are those of abstract
    functions. ``slopes`` are derivatives that have a name: of which array, how many axes that
    has, and by which symbol.
    ``roles`` say what the names hold (see ``kb.printing.order``), ``letters`` by which letters the
    author indexes (without them any hint is as good as another), ``pairs`` what the author multiplies,
    ``parts`` what is shown as the author wrote it, ``inverses`` the steps that are the inverse of
    another, with its leading axes, ``symmetric`` the matrices that are their own transposes.
    """

    taken: frozenset[str] = frozenset()
    given: Mapping[Index | Variable, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    usual: Mapping[tuple[str, int], str] = field(default_factory=dict)
    ranges: dict[str, set[str]] = field(default_factory=dict, compare=False)
    expectations: Mapping[str, Expectation] = field(default_factory=dict)
    awaiting: Mapping[str, Awaiting] = field(default_factory=dict)
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    slopes: Mapping[str, tuple[str, int, str]] = field(default_factory=dict)
    roles: Mapping[str, int] = field(default_factory=dict)
    pairs: frozenset[tuple[str, str]] = frozenset()
    parts: Mapping[str, Authored] = field(default_factory=dict)
    letters: frozenset[str] | None = None
    inverses: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    symmetric: frozenset[str] = frozenset()

    def with_expectations(self, known: Mapping[str, Expectation]) -> Names:
        """The same names, and values that stand for expectations."""
        return replace(self, expectations={**self.expectations, **known})

    def ordered(self, factors: Sequence[Expr]) -> list[Expr]:
        """Factors of a product in the order in which people read them."""
        return in_reading_order(factors, self.roles, self.pairs, tuple(self.given))

    def read(self, name: str, places: Sequence[tree.Node]) -> tree.Node:
        """An element of a symbol or step, or of a part of the definition as it is written there."""
        if name in self.parts:
            return self.parts[name].at(places)
        if name in self.inverses:
            argument, lead = self.inverses[name]
            node = tree.Call("inv", (element(argument, places[:lead]),))
            return tree.Element(node, tuple(places[lead:])) if places[lead:] else node
        if name in self.slopes:
            array, rank, symbol = self.slopes[name]
            return tree.Call("d", (self.read(array, places[:rank]), element(symbol, places[rank:])))
        return element(self.shown.get(name, name), places)

    def nested(self) -> Names:
        """The same names within a sum that is a factor."""
        return replace(self, roles=nested(self.roles))

    def bind(self, items: Iterable[Index | Variable], body: Expr | None = None) -> Names:
        """The same names and one for each of the items.

        The name by which the body's arrays are usually indexed there, else the item's own, else
        the next letter; never one that is in use.
        """
        given = dict(self.given)
        for item in items:
            if item not in given:
                usual = list(self._usual(item, body))
                known = self.letters is None or item.name in self.letters or isinstance(item, Variable)
                hints = [item.name] if known else []
                wanted = [*usual, *(letter for name in usual[:1] for letter in _after(name)), *hints]
                given[item] = self._fresh(wanted, set(given.values()))
                if isinstance(item, Index) and item.size is not None:
                    self.ranges.setdefault(given[item], set()).add(format_poly(item.size))
        return replace(self, given=given)

    def note(self, ranges: Mapping[str, set[str]]) -> None:
        """Collect the sizes over which names run that were given elsewhere."""
        for name, sizes in ranges.items():
            self.ranges.setdefault(name, set()).update(sizes)

    def bind_axes(self, name: str, places: Iterable[Poly], items: Iterable[Index]) -> Names:
        """Names for those of the indices by which one array is read, as its axes are usually indexed."""
        own = set(items)
        read = Read(name, tuple(places), False)
        used = [i for p in read.index for i in p.indices() if i in own]
        return self.bind(dict.fromkeys(used), read)

    def bind_derivative(
        self, name: str, places: Sequence[Poly], free: Iterable[Index], wrt: Iterable[tuple[Index, str]]
    ) -> Names:
        """Names for the indices of a derivative of an array; those of what it is differentiated by are known."""
        known: dict[Index | Variable, str] = dict(wrt)
        scope = replace(self, given=known).bind_axes(name, places, free).bind(free)
        # In products and deltas the indices of the array come first.
        return replace(scope, given={**{i: k for i, k in scope.given.items() if i not in known}, **known})

    def _usual(self, item: Index | Variable, body: Expr | None) -> Iterable[str]:
        for read in reads(body) if body is not None and self.usual else ():
            for axis, place in enumerate(read.index):
                if (read.name, axis) in self.usual and isinstance(item, Index) and _runs_along(place, item):
                    yield self.usual[read.name, axis]

    def _fresh(self, hints: Iterable[str], used: set[str]) -> str:
        letters = (f"{letter}{n or ''}" for n in count() for letter in _LETTERS)
        wanted = chain((hint for hint in hints if hint.isidentifier()), letters)
        return next(name for name in wanted if name not in used and name not in self.taken)

    def bind_free(self, *exprs: Expr | Condition) -> Names:
        """Names for what the expressions leave free as well."""
        free = {i for expr in exprs for i in free_indices(expr)}
        return self.bind(sorted(free, key=lambda i: i.serial))


def _runs_along(place: Poly, item: Index) -> bool:
    """Whether the place is the index, or at a constant distance from it."""
    return place.index is item or (place - Poly.of(item)).constant is not None


def _after(letter: str) -> Iterator[str]:
    """The next letters: ``i`` is followed by j and k, and never by l or o."""
    if len(letter) == 1 and letter.islower():
        yield from (
            chr(ord(letter) + n)
            for n in range(1, 5)
            if ord(letter) + n <= ord("z") and chr(ord(letter) + n) not in "lo"
        )


def poly_tree(poly: Poly, names: Names) -> tree.Node:
    """A size or subscript as a tree, positive terms first."""
    ordered = sorted(poly.terms, key=lambda term: (term[1] < 0, -len(term[0]), *_rank_of(term[0], names)))
    parts = [(c < 0, _monomial(monomial, abs(c), names)) for monomial, c in ordered]
    return sum_of(parts) if parts else tree.Number("0")


def _rank_of(monomial: tuple[Atom, ...], names: Names) -> tuple[int, int]:
    """Terms with an index first, in the order in which the indices came into sight."""
    order = list(names.given)
    ranks = [order.index(a) for a in monomial if isinstance(a, Index) and a in order]
    return (0, min(ranks)) if ranks else (1, 0)


def _monomial(monomial: tuple[Atom, ...], coefficient: int, names: Names) -> tree.Node:
    factors = [] if coefficient == 1 and monomial else [tree.Number(str(coefficient))]
    return product_of([*factors, *(_atom(a, names) for a in monomial)])


def _atom(atom: Atom, names: Names) -> tree.Node:
    if isinstance(atom, FloorDiv):
        return tree.Chain((poly_tree(atom.numerator, names), poly_tree(atom.denominator, names)), ("//",))
    if isinstance(atom, Gather):
        return element(names.shown.get(atom.name, atom.name), [poly_tree(p, names) for p in atom.index])
    return tree.Name(names.given[atom]) if isinstance(atom, Index) else tree.Name(atom)
