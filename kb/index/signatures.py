"""Signatures of abstract functions of arrays: ``L(x[d], theta[P])`` with a result of some shape.

The instance of such a function is elaborated like an entry of its own, whose arguments are those
of the signature and whose output is called like the function.
"""

from __future__ import annotations

from collections.abc import Iterable

from kb import tree
from kb.errors import LanguageError
from kb.model import Entry, Symbol
from kb.parser import check_name, parse_expression, parse_statement


def is_on_arrays(symbol: Symbol) -> bool:
    """Whether an abstract function has an argument or a result with axes."""
    return symbol.kind == "function" and (bool(symbol.shape) or any("[" in a for a in symbol.arguments))


def is_law_of_vectors(symbol: Symbol) -> bool:
    """Whether a symbol is a law whose argument has an axis; it has points instead of a density."""
    return symbol.kind == "law" and any("[" in a for a in symbol.arguments)


def argument_symbol(text: str, function: str) -> Symbol:
    """``x`` or ``x[n, m]`` as a symbol. Raises LanguageError."""
    node = parse_expression(text)
    base = node.base if isinstance(node, tree.Element) else node
    if not isinstance(base, tree.Name):
        raise LanguageError(f"'{text}' is not an argument of {function!r}: write a name, or name[n]")
    check_name(base.id, what="argument")
    return Symbol(base.id, tuple(map(str, node.indices)) if isinstance(node, tree.Element) else ())


def signature_dimensions(arguments: Iterable[Symbol]) -> set[str]:
    """The dimension names in the shapes of arguments."""
    return {name for a in arguments for size in a.shape for name in tree.names(parse_expression(size))}


def instance_entry(symbol: Symbol, shape: tuple[str, ...] | None) -> Entry:
    """The instance as an entry; ``shape`` is that of its result, None where the instance says it.

    Raises LanguageError where the signature or the text is not well formed.
    """
    arguments = [argument_symbol(text, symbol.name) for text in symbol.arguments]
    names = [a.name for a in arguments]
    for n, name in enumerate(names):
        if name == symbol.name or name in names[:n]:
            raise LanguageError(f"the argument {name!r} of {symbol.name!r} needs a name of its own")
    output = Symbol(symbol.name, shape or (), role="output")
    return Entry(symbol.name, symbol.name, symbols=(*arguments, output), define=(instance_statement(symbol, names),))


def instance_statement(symbol: Symbol, names: list[str]) -> str:
    """The step that computes the function: of ``tanh``, of an expression, or written ``f[i] = ...``."""
    text = symbol.instance or ""
    try:
        node: tree.Node = parse_expression(text)
    except LanguageError:
        statement = parse_statement(text)
        targets = statement.targets if isinstance(statement, tree.Step) else ()
        bases = [t.base if isinstance(t, tree.Element) else t for t in targets]
        if [b.id for b in bases if isinstance(b, tree.Name)] != [symbol.name]:
            raise LanguageError(f"an instance with a left side defines the function: {symbol.name}[i] = ...") from None
        return text
    if isinstance(node, tree.Name) and node.id not in names:
        text = f"{node.id}({', '.join(names)})"
    return f"{symbol.name} = {text}"
