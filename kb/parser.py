"""Text to tree: a small operator-precedence parser for the expression language.

The language is a subset of Python's expressions, but Python never sees the text: nothing is
evaluated, and offsets are characters, right after non-ASCII text too. Everything that Python
allows and the language does not is refused by name.
"""

from __future__ import annotations

import keyword
import re
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, NoReturn

from kb.errors import LanguageError
from kb.tree import (
    Array,
    Call,
    Cases,
    Chain,
    Claim,
    Comparison,
    Element,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Power,
    Prime,
    Step,
    Transpose,
)

MAX_CHARACTERS = 10_000
MAX_NESTING = 100
MAX_DIGITS = 1_000

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|\#[^\n]*)"
    r"|(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<operator>\.\.\.|\*\*|//|==|>=|<=|!=|:=|->|<<|>>|[-+*/%@()\[\],.<>=:^&|~!;{}])"
)
_WORDS = {"if", "else", "and", "or", "not"}
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT = range(6)
_LEVELS = (_PRODUCT, _SUM, _COMPARE, _AND, _OR)
_LEVEL_OF = (
    {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM}
    | dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _COMPARE)
    | dict.fromkeys(("*", "/", "//", "%", "@"), _PRODUCT)
)
_REFUSED_OPERATORS = {
    "^": "'^' is not a power here; write x**2",
    ":=": "':=' is not part of the language; write a step 'name = expression' before",
    "&": "'&' is not part of the language; write 'and'",
    "|": "'|' is not part of the language; write 'or', or a comma in a call",
    "~": "'~' is not part of the language; write 'not'",
    "!": "'!' is not part of the language; write 'not', or '!=' in a condition",
    "<<": "shifts are not part of the language; multiply by a power of two",
    ">>": "shifts are not part of the language; divide by a power of two",
    "->": "'->' is not part of the language",
    "{": "braces are not part of the language",
    "}": "braces are not part of the language",
    ":": "slices are not part of the language; use an index and its range",
    ";": "';' is not part of a statement; write one statement per line",
}
_REFUSED_WORDS = {
    "lambda": "lambdas are not part of the language; declare an abstract function with an instance",
    "for": "comprehensions are not part of the language; write sum(body, index)",
    "in": "'in' is not part of the language",
    "is": "'is' is not part of the language; write '=='",
    "await": "'await' is not part of the language",
    "yield": "'yield' is not part of the language",
    "None": "'None' is not a number",
    "True": "'True' is not a number; write 1",
    "False": "'False' is not a number; write 0",
}
RESERVED = {"cotangent": "cotangent_", "tangents": "tangents_"}


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


# Formulas are read by the validation, the interpreter, the calculus and the printers; their trees are immutable.
@lru_cache(maxsize=8192)
def parse_expression(text: str) -> Node:
    """Parse one expression.

    Raises LanguageError with the character offset of what is not allowed.
    """
    parser = _Parser(text)
    node = parser.expression()
    parser.end()
    return node


@lru_cache(maxsize=8192)
def parse_statement(text: str) -> Step | Claim:
    """Parse ``target = value`` or a claim ``left == right``, ``left >= right``, ``left <= right``."""
    parser = _Parser(text)
    start = parser.token.at
    left = parser.expression()
    targets = [left]
    while parser.accept(","):
        targets.append(parser.expression())
    operator = parser.token.text
    if operator == "=" and parser.token.kind == "operator":
        parser.advance()
        value = parser.expression()
        if parser.token.text == "=":
            parser.fail("one '=' only: a step is 'target = expression'; a claim uses '=='")
        parser.end()
        return Step(tuple(_target(t) for t in targets), value, at=start)
    if len(targets) > 1:
        parser.fail("expected '=' after the list of targets")
    parser.end()
    if isinstance(left, Comparison) and left.operator in ("==", ">=", "<="):
        return Claim(left.left, left.operator, left.right, at=start)
    raise LanguageError("expected a step 'target = expression' or a claim 'left == right'", start)


def _target(node: Node) -> Name | Element:
    if isinstance(node, Name):
        return node
    if isinstance(node, Element) and isinstance(node.base, Name):
        return node
    hint = "; a claim is written with '=='" if isinstance(node, (Call, Chain)) else ""
    raise LanguageError(f"'{node}' cannot be the left side of a step; write a name or name[i, j]{hint}", node.at)


def check_name(name: str, at: int = 0, what: str = "name") -> str:
    """Return ``name`` if it may be used for a symbol, dimension, index or step; raise LanguageError."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise LanguageError(
            f"{name[:40]!r} is not a {what}: use ASCII letters, digits and '_', beginning with a letter", at
        )
    if keyword.iskeyword(name):
        raise LanguageError(f"{name!r} is a Python keyword and cannot be a {what}; write {name + '_'!r}", at)
    if name in RESERVED:
        raise LanguageError(
            f"{name!r} names an argument of every backward pass and cannot be a {what}; write {RESERVED[name]!r}", at
        )
    return name


def _refuse_glued(token: _Token, following: _Token) -> None:
    """Refuse ``2j`` and ``2x``: a number and a name without anything between them."""
    if token.kind == "number" and following.kind in ("name", "number"):
        what = "complex numbers are" if following.text in ("j", "J") else "a name right after a number is"
        raise LanguageError(
            f"'{token.text}{following.text}': {what} not part of the language; write 2*j for a product", token.at
        )


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise LanguageError(
                f"the statement has {len(text):,} characters; the limit is {MAX_CHARACTERS:,}. Split it into steps"
            )
        self.text = text
        self.tokens = self._tokens(text)
        self.position = 0
        self.depth = 0

    @staticmethod
    def _tokens(text: str) -> list[_Token]:
        tokens, at = [], 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                character = text[at]
                if character in "'\"`":
                    raise LanguageError("strings are not part of the language", at)
                if not character.isascii():
                    raise LanguageError(
                        f"{character!r} is not ASCII; names are ASCII (the printers set the glyphs)", at
                    )
                raise LanguageError(f"{character!r} is not part of the language", at)
            if match.lastgroup != "space":
                tokens.append(_Token(str(match.lastgroup), match.group(), at))
            at = match.end()
        tokens.append(_Token("end", "", len(text)))
        for token, following in pairwise(tokens):
            if following.at == token.at + len(token.text):
                _refuse_glued(token, following)
        return tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def advance(self) -> _Token:
        token = self.token
        if token.kind != "end":
            self.position += 1
        return token

    def accept(self, text: str) -> _Token | None:
        if self.token.text == text and self.token.kind != "number":
            return self.advance()
        return None

    def expect(self, text: str, where: str) -> _Token:
        token = self.accept(text)
        if token is None:
            self.fail(f"expected '{text}' {where}")
        return token

    def fail(self, message: str) -> NoReturn:
        token = self.token
        if token.kind == "operator" and token.text in _REFUSED_OPERATORS:
            raise LanguageError(_REFUSED_OPERATORS[token.text], token.at)
        if token.kind == "name" and token.text in _REFUSED_WORDS:
            raise LanguageError(_REFUSED_WORDS[token.text], token.at)
        found = f"{token.text[:40]!r}" if token.kind != "end" else "the end of the text"
        raise LanguageError(f"{message}, found {found}", token.at)

    def end(self) -> None:
        if self.token.kind != "end":
            if self.token.text == "=":
                self.fail("one '=' only, and only in a step")
            self.fail("expected an operator or the end")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise LanguageError(f"nested deeper than {MAX_NESTING} levels; split it into steps", self.token.at)

    def expression(self) -> Node:
        """``then if condition else otherwise``, the loosest of all."""
        self.enter()
        start = self.token.at
        node = self.binary(_OR)
        if self.accept("if"):
            condition = self.binary(_OR)
            self.expect("else", "after the condition of 'a if c else b'")
            node = Cases(node, condition, self.expression(), at=start)
        self.depth -= 1
        return node

    def binary(self, level: int) -> Node:
        """Operators that bind at least as tightly as ``level``, by climbing from the tightest."""
        start = self.token.at
        if level <= _NOT and self.accept("not"):
            self.enter()
            node: Node = Not(self.binary(_NOT), at=start)
            self.depth -= 1
            climb = _LEVELS[_LEVELS.index(_AND) :]
        else:
            node = self.unary()
            climb = _LEVELS
        for own in climb:
            if own < level:
                break
            operands, operators = [node], []
            while self.token.kind != "number" and _LEVEL_OF.get(self.token.text) == own:
                operators.append(self.advance().text)
                operands.append(self.binary(own + 1))
            if operators:
                node = self.build(own, tuple(operands), tuple(operators), start)
        return node

    def build(self, level: int, operands: tuple[Node, ...], operators: tuple[str, ...], start: int) -> Node:
        if level in (_SUM, _PRODUCT):
            return Chain(operands, operators, at=start)
        if level in (_AND, _OR):
            return Logic(operators[0], operands, at=start)
        if len(operators) > 1:
            raise LanguageError(
                "chained comparisons are not part of the language; write 'a < b and b < c'", operands[-1].at
            )
        return Comparison(operators[0], operands[0], operands[1], at=start)

    def unary(self) -> Node:
        start = self.token.at
        if self.accept("-"):
            self.enter()
            node = Negative(self.unary(), at=start)
            self.depth -= 1
            return node
        if self.token.text == "+":
            self.fail("a leading '+' says nothing; leave it out")
        return self.power()

    def power(self) -> Node:
        base = self.postfix()
        if self.accept("**"):
            self.enter()
            base = Power(base, self.unary(), at=base.at)
            self.depth -= 1
        return base

    def postfix(self) -> Node:
        node = self.atom()
        links = 0
        while True:
            if self.accept("["):
                node = Element(node, self.arguments("]")[0], at=node.at)
            elif self.token.text == ".":
                self.advance()
                if self.token.kind != "name" or self.token.text != "T":
                    self.fail("the only attribute is '.T', the transpose")
                self.advance()
                node = Transpose(node, at=node.at)
            elif self.token.text == "(":
                node = self.call(node)
            else:
                return node
            links += 1
            if links > MAX_NESTING:
                raise LanguageError(f"nested deeper than {MAX_NESTING} levels; split it into steps", node.at)

    def call(self, function: Node) -> Node:
        if isinstance(function, Call) and function.function == "deriv":
            words = [a.id for a in function.arguments if isinstance(a, Name)]
            if not words or len(words) < len(function.arguments):
                message = "deriv takes a function, and names of its arguments: deriv(f)(x), deriv(f, a)(x, y)"
                raise LanguageError(message, function.at)
            self.advance()
            return Prime(words[0], self.arguments(")")[0], tuple(words[1:]), at=function.at)
        if not isinstance(function, Name):
            self.fail("only a name can be called")
        self.advance()
        arguments, rest = self.arguments(")", call=True)
        return Call(function.id, arguments, rest, at=function.at)

    def arguments(self, closing: str, call: bool = False) -> tuple[tuple[Node, ...], bool]:
        nodes: list[Node] = []
        rest = False
        while not self.accept(closing):
            if self.token.text in ("*", "**"):
                self.fail("starred arguments are not part of the language; write '...' to pass the rest by name")
            if call and self.accept("..."):
                rest = True
                self.expect(closing, "after '...'")
                break
            nodes.append(self.expression())
            if self.token.text == "=":
                self.fail("keyword arguments are not part of the language; arguments go by position")
            if not self.accept(","):
                self.expect(closing, "or ','")
                break
        if not nodes and not call:
            self.fail("expected an expression" if closing == ")" else "expected at least one index")
        return tuple(nodes), rest

    def atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.advance()
            mantissa, _, exponent = token.text.lower().partition("e")
            if len(mantissa) > MAX_DIGITS or abs(int(exponent or 0)) > MAX_DIGITS:
                raise LanguageError(f"a number of more than {MAX_DIGITS:,} digits", token.at)
            return Number(token.text, at=token.at)
        if token.kind == "name" and token.text not in _REFUSED_WORDS and token.text not in _WORDS:
            self.advance()
            if token.text.startswith("_"):
                raise LanguageError(f"{token.text[:40]!r} is not a name: names begin with a letter", token.at)
            if self.token.text != "(":
                check_name(token.text, token.at)
            elif keyword.iskeyword(token.text):
                raise LanguageError(f"{token.text!r} is a Python keyword; it cannot be called", token.at)
            return Name(token.text, at=token.at)
        if self.accept("("):
            node = self.expression()
            if self.token.text == ",":
                self.fail("tuples are not part of the language; several outputs are 'a, b = entry(...)'")
            self.expect(")", "to close the parenthesis")
            return node
        if self.accept("["):
            if self.token.text == "]":
                self.fail("an array literal has at least one item")
            items = self.arguments("]")[0]
            return Array(items, at=token.at)
        self.fail("expected a number, a name or '('")
