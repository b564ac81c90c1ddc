"""The form of a derivative that an entry claims, where it follows from the definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kb import tree
from kb.calculus.claims import elaborate_claim, prove
from kb.calculus.forward import Partial
from kb.errors import EqkbError
from kb.index.affine import Index, Poly
from kb.index.nodes import Variable
from kb.index.program import Program
from kb.model import Entry
from kb.parser import parse_statement
from kb.printing.names import Names, poly_tree
from kb.printing.trees import differentiated
from kb.programs import Programs
from kb.vocabulary import DOMAINS

_TIED = ("symmetric", "positive_definite", "orthogonal", "one_hot")


def claimed_form(
    programs: Programs, entry: Entry, output: str, by: Sequence[str], part: Partial, constrained: bool = False
) -> tree.Claim | None:
    """The first proven claim ``d(output[...], symbol[...]) == ...`` about this part of the derivative.

    ``output`` is the public name; ``by`` names the symbol, twice for the second derivative
    ``d(d(output[...], symbol[...]), symbol[...])``. Without ``constrained`` the claim must hold for
    all values, with it only one is taken that needs the constraints of the symbols.
    """
    if programs.entries.get(entry.id) is not entry:
        return None
    for named in entry.claims:
        claim = parse_statement(named.text)
        if named.refuted or not isinstance(claim, tree.Claim) or not _is_about(claim, [output, *by], part):
            continue
        try:
            form = elaborate_claim(programs.elaborated(entry.id), named.text, programs, programs.entries)
            freely = bool(prove(replace(form, program=_unconstrained(form.program))))
            if freely != constrained and (freely or prove(form)):
                return claim
        except EqkbError:
            continue
    return None


def _unconstrained(program: Program) -> Program:
    """The program without what ties the elements of a symbol to each other."""
    tensors = {}
    for name, tensor in program.tensors.items():
        symbol = tensor.symbol
        if symbol is not None and (DOMAINS[symbol.domain].sums_to_one or symbol.domain in _TIED):
            domain = DOMAINS[symbol.domain].sign
            tensor = replace(tensor, symbol=replace(symbol, domain=domain if domain in DOMAINS else "real"))
        tensors[name] = tensor
    return replace(program, tensors=tensors)


def _is_about(claim: tree.Claim, names: Sequence[str], part: Partial) -> bool:
    """Whether the left side is the derivative in question, element by element, with distinct indices."""
    shown = differentiated(claim.left)
    if claim.relation != "==" or [_name(node) for node in shown] != list(names):
        return False
    output = names[0]
    if any(
        isinstance(n, tree.Call) and n.function in ("d", "vjp") and _name(n.arguments[0]) == output
        for n in tree.walk(claim.right)
    ):
        return False  # by other derivatives of the output, which would have to be known first
    places = (*part.target, *map(Poly.of, part.wrt))
    written = [i for node in shown if isinstance(node, tree.Element) for i in node.indices]
    if len(written) != len(places):
        return False
    given: dict[Index | Variable, str] = {}
    for place, node in zip(places, written, strict=True):
        for index in place.indices():
            letters = sorted(tree.names(node))
            if len(letters) != 1 or given.get(index, letters[0]) != letters[0]:
                return False
            given[index] = letters[0]
    if len(set(given.values())) != len(given):
        return False
    scope = Names(given=given)
    return all(node == poly_tree(p, scope) for p, node in zip(places, written, strict=True))


def _name(node: tree.Node) -> str | None:
    base = node.base if isinstance(node, tree.Element) else node
    return base.id if isinstance(base, tree.Name) else None
