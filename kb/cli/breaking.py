"""Where a long formula goes on in the next line."""

from __future__ import annotations

from collections.abc import Iterator

from kb.cli.terminal import columns_of, fill

_RELATIONS, _SUMS, _PRODUCTS = "=←≥≤<>≠≈", "+−-", "/·⊙⊗×"
_BOUND = ("Σ", "Π", "∫", "max_", "min_", "argmax", "argmin")
_WORDS = ("if", "else", "otherwise", "and", "or", "with", "where")
# What a line may begin with, the best first; what stands inside brackets comes after all of these.
_AFTER_COMMA, _RELATION, _WORD, _SUM, _PRODUCT, _FACTOR, _AFTER_BOUND, _INSIDE = range(8)
_Level = tuple[int, int]


def formula_lines(text: str, room: int) -> list[str]:
    """A formula on lines of at most ``room`` columns, broken where a person would break it.

    Lines go on with an operator, outside of brackets before inside, and never within a name;
    where there is no such place a line stays too long.
    """
    return _lines(text, room, 0, 4)


def statement_lines(text: str, columns: int, indent: str = "") -> list[str]:
    """A line of a page as lines of at most so many columns, all behind an indent.

    What wide blanks part from a formula, a remark, goes below it where the line is too long.
    """
    own = text[: len(text) - len(text.lstrip(" "))]
    room = columns - len(indent) - len(own)
    formula, blanks, remark = text.strip(" ").partition("    ")
    if columns_of(formula + blanks + remark) <= room:
        return [indent + text]
    below = fill(remark.strip(), room - 4) if remark else []
    return [f"{indent}{own}{line}" for line in [*formula_lines(formula, room), *(f"    {line}" for line in below)]]


def _lines(text: str, room: int, indent: int, step: int) -> list[str]:
    """The formula on lines; all are indented, those after the first by ``step`` more."""
    if indent + columns_of(text) <= room:
        return [" " * indent + text]
    places = list(_places(text))
    if not places:
        return [" " * indent + text]
    level = min(found for _, found in places)
    ends = [at for at, found in places if found == level]
    pieces = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    if level == (0, _RELATION):
        side = columns_of(pieces[0]) + 2
        if indent + side <= room // 3 and len(pieces) == 2:
            # The right side under itself, behind the sign.
            first, *rest = _lines(pieces[1][2:], room, indent + side, 0)
            return [" " * indent + pieces[0] + pieces[1][:2] + first.lstrip(" "), *rest]
    lines: list[str] = []
    line = ""
    for piece in pieces:
        margin = indent + (step if lines else 0)
        if line and margin + columns_of((line + piece).rstrip()) > room:
            lines += _lines(line.rstrip(), room, margin, 2)
            line = ""
        line += piece
    return lines + _lines(line, room, indent + (step if lines else 0), 2)


def _places(text: str) -> Iterator[tuple[int, _Level]]:
    """Every offset at which a line may begin, with the brackets around it and what stands there."""
    depth = 0
    token = 0  # where the word before a blank begins
    for at, character in enumerate(text[:-1]):
        if character in "([{⌊⌈":
            depth += 1
            if at and (character == "(" or text[at - 1] == "}"):
                yield at + 1, (depth, _INSIDE)
        elif character in ")]}⌋⌉":
            depth -= 1
        elif character in "·/" and at and text[at - 1] != " ":
            if text[at + 1] != "∂":
                yield at, (depth, _PRODUCT if character == "·" else _FACTOR)
        elif character == " ":
            kind = _kind(text[token:at], text[at + 1 :].split(" ", 1)[0])
            token = at + 1
            if kind is not None:
                yield at + 1, (depth, kind)


def _kind(before: str, after: str) -> int | None:
    """What a line begins with that begins between two words; None where none may begin."""
    if before in (*_RELATIONS, *_SUMS, *_PRODUCTS, ":") or after == ":":
        return None
    if before.endswith((",", ";")):
        return _AFTER_COMMA
    for signs, kind in ((_RELATIONS, _RELATION), (_SUMS, _SUM), (_PRODUCTS, _PRODUCT)):
        if after in (*signs,):
            return kind
    if after in _WORDS:
        return _WORD
    return _AFTER_BOUND if before.startswith(_BOUND) else _FACTOR
