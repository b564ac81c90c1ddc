"""An identity without an output gives both sides of its first claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kb import tree
from kb.errors import LanguageError
from kb.model import Entry, Symbol
from kb.parser import parse_expression, parse_statement
from kb.vocabulary import BINDERS, CONSTANTS


def with_sides(entry: Entry) -> Entry:
    """The entry with two outputs, ``lhs`` and ``rhs``, if it is an identity that has none of its own.

    Their names end in ``_`` where the entry uses these words. A claim that cannot be read leaves the
    entry as it is: its fault is reported where the claims are.
    """
    if entry.kind != "identity" or entry.outputs or not entry.claims:
        return entry
    try:
        claim = parse_statement(entry.claims[0].text)
        taken = _names(entry)
    except LanguageError:
        return entry
    if not isinstance(claim, tree.Claim):
        return entry
    reducers = {s.name for s in entry.symbols if s.kind == "reducer"}
    free = list(dict.fromkeys(_free(claim, frozenset(taken | set(CONSTANTS)), reducers)))
    every = taken | {n for part in tree.walk(claim) for n in tree.names(part)}
    names = tuple(_unlike(word, every) for word in ("lhs", "rhs"))
    place = f"[{', '.join(free)}]" if free else ""
    steps = tuple(f"{n}{place} = {side}" for n, side in zip(names, (claim.left, claim.right), strict=True))
    about = ("left side", "right side")
    made = tuple(Symbol(n, role="output", about=a) for n, a in zip(names, about, strict=True))
    return replace(entry, symbols=(*entry.symbols, *made), define=(*entry.define, *steps), sides=names)


def _names(entry: Entry) -> set[str]:
    """Symbols, dimensions and steps. Raises LanguageError."""
    found = {s.name for s in entry.symbols}
    for symbol in entry.symbols:
        for size in (*symbol.shape, *([symbol.classes] if symbol.classes else [])):
            found |= tree.names(parse_expression(size))
    for text in entry.define:
        statement = parse_statement(text)
        for target in statement.targets if isinstance(statement, tree.Step) else ():
            base = target.base if isinstance(target, tree.Element) else target
            found |= {base.id} if isinstance(base, tree.Name) else set()
    return found


def _free(node: tree.Node, known: frozenset[str], reducers: set[str]) -> Iterator[str]:
    """Names that nothing declares or binds, in the order in which they are written."""
    if isinstance(node, tree.Name):
        yield from () if node.id in known else (node.id,)
    if isinstance(node, tree.Call):
        if node.function in BINDERS or node.function in reducers:
            bound = [a for a in node.arguments[1:] if isinstance(a, tree.Name)]
            known |= {a.id for a in bound}
        elif node.function in ("E", "integral") and len(node.arguments) > 1:
            known |= tree.names(node.arguments[1])
    for child in node.children():
        yield from _free(child, known, reducers)


def _unlike(word: str, taken: set[str]) -> str:
    while word in taken:
        word += "_"
    return word
