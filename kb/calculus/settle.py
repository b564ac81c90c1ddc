"""Whether two expressions are equal, by the normal form of their difference."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from kb.calculus.normal import Monomial, Normal, Terms, TooLarge, inlined
from kb.errors import EqkbError
from kb.index import build
from kb.index.affine import Atom, Index, Poly
from kb.index.nodes import Bind, Compare, Expr, Test, free_indices, walk

MAX_NODES = 6_000


class Settler(Normal):
    """Proves equations in the names of one program."""

    def vanishes(self, left: Expr, right: Expr) -> bool:
        """Whether ``left - right`` is provably 0: as it stands, or with the steps put in."""
        for prepare in (lambda e: e, lambda e: inlined(e, self.program)):
            try:
                difference = build.subtract(prepare(left), prepare(right))
                if sum(1 for _ in walk(difference)) > MAX_NODES:
                    return False
                terms = self.with_deltas(self.over_common(self.normal(difference)))
                if not terms or not self.with_sums_joined(terms):
                    return True
            except (TooLarge, EqkbError, RecursionError, ZeroDivisionError):
                continue
        return False

    def with_deltas(self, terms: Terms) -> Terms:
        """What stands beside a delta of two indices is taken where they agree."""
        for _ in range(6):
            changed = False
            parts: list[Terms] = []
            for monomial, coefficient in terms.items():
                moved = self.at_equal(monomial)
                changed |= moved is not None
                parts.append(self.scaled(moved, coefficient) if moved is not None else {monomial: coefficient})
            terms = self.over_common(self.add(parts))
            if not changed or not terms:
                break
        return terms

    def at_equal(self, monomial: Monomial) -> Terms | None:
        for place, (atom, _) in enumerate(monomial):
            expr = self.atoms[atom]
            if not (isinstance(expr, Test) and isinstance(expr.condition, Compare) and expr.condition.op == "=="):
                continue
            solved = _solved(expr.condition)
            rest = monomial[:place] + monomial[place + 1 :]
            if solved is None or not any(solved[0] in free_indices(self.atoms[a]) for a, _ in rest):
                continue
            body = self.expression({rest: Fraction(1)})
            mapping: dict[Atom, Poly] = {solved[0]: solved[1]}
            return self.multiply(self.normal(build.substitute(body, mapping)), {(monomial[place],): Fraction(1)})
        return None

    def with_sums_joined(self, terms: Terms) -> Terms:
        """Without sums that cancel only once they are one: ``sum(x*a/(1 + a)) + sum(x/(1 + a)) - sum(x)``.

        Sums over the same ranges, with the same factors in front, are joined; where what they add up
        vanishes, all of them go.
        """
        groups: dict[Any, list[tuple[Monomial, Bind]]] = {}
        for monomial in terms:
            sums = [(n, self.atoms[a]) for n, (a, e) in enumerate(monomial) if e == 1]
            plain = [(n, s) for n, s in sums if isinstance(s, Bind) and s.op == "sum" and not s.conditions]
            for n, found in plain[:1]:
                key = (monomial[:n] + monomial[n + 1 :], tuple(str(i.size) for i in found.indices))
                groups.setdefault(key, []).append((monomial, found))
        left = dict(terms)
        for group in groups.values():
            indices = group[0][1].indices
            parts = []
            for monomial, found in group:
                moved: dict[Atom, Poly] = dict(zip(found.indices, map(Poly.of, indices), strict=True))
                parts.append(
                    self.scaled(self.normal(build.substitute(build.freshen(found.body), moved)), terms[monomial])
                )
            total = self.with_deltas(self.over_common(self.add(parts)))
            if len(group) > 1 and (not total or not self.with_sums_joined(total)):
                left = {m: c for m, c in left.items() if all(m != monomial for monomial, _ in group)}
        return left


def _solved(condition: Compare) -> tuple[Index, Poly] | None:
    """The newest index that an equation fixes, and its value."""
    if not (build.is_whole(condition.left) and build.is_whole(condition.right)):
        return None
    equation = build.as_poly(condition.left) - build.as_poly(condition.right)
    for index in sorted(set(equation.indices()), key=lambda i: -i.serial):
        parts = equation.split(index)
        if parts is not None and parts[0].constant in (1, -1):
            return index, parts[1] * -int(parts[0].constant or 0)
    return None
