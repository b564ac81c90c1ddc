"""Formulas in Typst, made from the LaTeX of the other printers, so that both say and look the same.

Delimiters are escaped, for by themselves they would grow in Typst. Spaces between signs are Typst's own, whose rules
are those of TeX; where the two differ (around fences and beside other spaces) the difference is written out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.errors import EqkbError
from kb.printing.formulas import (
    ALPHABETS,
    Big,
    Command,
    Fenced,
    Grid,
    Group,
    Part,
    Scripted,
    Sign,
    Space,
    Words,
    read_formula,
)
from kb.printing.typst_signs import DELIMITERS, ESCAPED, GREEK, SIGNS

# The space between two kinds of atoms in eighteenths of an em, after the table of the TeXbook; in scripts only that
# around large operators remains.
_KINDS = ("ord", "op", "bin", "rel", "open", "close", "punct", "inner")
_SPACING = {
    left: dict(zip(_KINDS, map(int, row), strict=True))
    for left, row in zip(
        _KINDS,
        ("03450003", "33050003", "44004004", "55005005", "00000000", "03450003", "33033333", "33453033"),
        strict=True,
    )
}
# With these rules at the head of a document, fences, cases, matrices and aligned rows have the measures of TeX too.
RULES = """\
#set math.lr(size: 95%)
#set math.cases(gap: 0.5em)
#set math.mat(column-gap: 1em)
#show math.equation.where(block: true): set par(leading: 0.5em)
"""
_NAMED = {3: "thin", 4: "med", 5: "thick", 18: "quad", 36: "wide"}
_ACCENTS = {
    "hat": "hat", "bar": "macron", "tilde": "tilde", "dot": "dot", "ddot": "dot.double", "vec": "arrow",
    "check": "caron", "breve": "breve", "acute": "acute", "grave": "grave",
}  # fmt: skip
# In Typst they take the width of what is below them; over single letters some of them are the same as in TeX.
_GROWING = ("hat", "tilde", "vec", "check", "breve")
_BROAD = ("vec", "check", "breve")
_COVERS = {"widehat": "hat", "widetilde": "tilde", "overline": "overline", "underline": "underline"}
_FACES = {
    "": "{}", "mathrm": "upright({})", "mathbf": "bold(upright({}))", "mathsf": "sans(upright({}))",
    "mathit": "italic({})", "mathcal": "cal({})", "mathbb": "bb({})", "mathfrak": "frak({})",
}  # fmt: skip
# Words in quotes are upright by themselves.
_WORD_FACES = {"mathrm": "{}", "mathbf": "bold({})", "mathsf": "sans({})", "mathit": "italic({})"}
# Capital Greek letters are in these alphabets of TeX, small ones in none.
_LATIN_GREEK = ("mathbf", "mathit")
_UNARY = ("+", "-", "±", "∓")  # which Typst tells by itself from those between terms
_DIGITS = re.compile(r"[0-9.]+")
_SIZES = {1: "1.2em", 2: "1.8em"}
_MATRICES = {"matrix": "#none", "pmatrix": '"("', "bmatrix": '"["'}


@dataclass(frozen=True, slots=True)
class _Piece:
    """Printed Typst and the kind of atom that it is to TeX.

    ``atomic`` says that scripts may follow, ``tight`` that a blank beside it would be printed, as beside words.
    ``seen`` are the kinds of its ends to Typst where they are others.
    """

    text: str
    kind: str = "ord"
    atomic: bool = True
    tight: bool = False
    seen: tuple[str, str] = ("", "")

    @property
    def left(self) -> str:
        """The kind of atom that Typst sees where it begins."""
        return self.seen[0] or self.kind

    @property
    def right(self) -> str:
        """And where it ends."""
        return self.seen[1] or self.kind


_FENCE = ("open", "close")
_PLAIN = ("ord", "ord")
_Items = list[_Piece | int]  # spaces are numbers


@dataclass(frozen=True, slots=True)
class _Style:
    """The alphabet of letters, whether they are bold, and whether they are in a script."""

    alphabet: str = ""
    bold: bool = False
    script: bool = False
    fractions: int = 0

    @property
    def scripted(self) -> _Style:
        """That of scripts."""
        return replace(self, script=True)

    @property
    def fraction(self) -> _Style:
        """That above and below a bar; within another fraction it is as in scripts."""
        return replace(self, fractions=self.fractions + 1, script=self.script or self.fractions > 0)


def typst(latex: str) -> str:
    """A formula as it stands between dollar signs in Typst, from the LaTeX that our printers make of it.

    Raises EqkbError that names what it does not know.
    """
    whole = read_formula(latex)
    try:
        return _row(whole, _Style())
    except RecursionError:
        raise EqkbError("this formula is nested too deeply; write it in several steps") from None


def _row(group: Group, style: _Style) -> str:
    return _joined(_classified(_items(group, style)), style.script)


def _items(group: Group, style: _Style) -> _Items:
    """The printed parts, letters of one word together."""
    found: _Items = []
    word = ""
    for part in group.parts:
        if style.alphabet in _WORD_FACES and isinstance(part, Sign) and part.tex.isascii() and part.tex.isalnum():
            word += part.tex
            continue
        if word:
            found.append(_word(word, style))
            word = ""
        found.append(part.width if isinstance(part, Space) else _piece(part, style))
    return [*found, _word(word, style)] if word else found


def _word(word: str, style: _Style) -> _Piece:
    if len(word) == 1:
        return _sign(word, style)
    text = _WORD_FACES[style.alphabet].format(f'"{word}"')
    return _Piece(f"bold({text})" if style.bold else text, tight=True)


def _piece(part: Part, style: _Style) -> _Piece:
    match part:
        case Sign(tex):
            return _sign(tex, style)
        case Words(command, text):
            return _words(command, text)
        case Group():
            return _grouped(part, style)
        case Command(name, arguments):
            return _command(name, arguments, style)
        case Scripted():
            return _scripted(part, style)
        case Fenced(opening, inner, closing):
            ends = [_delimiter(sign) for sign in (opening, closing)]
            return _Piece(f"lr({' '.join(filter(None, (ends[0], _row(inner, style), ends[1])))})", "inner", seen=_FENCE)
        case Big(size, delimiter, opens):
            kind, name = ("open", "opening") if opens else ("close", "closing")
            return _Piece(f'class("{name}", lr(size: #{_SIZES[size]}, {_delimiter(delimiter)}))', kind)
        case Grid(name, rows):
            return _grid(name, rows, style)
        case Space():
            raise TypeError("a space is no atom")


def _sign(tex: str, style: _Style) -> _Piece:
    name = _name(tex)
    if name in GREEK:
        return _Piece(_faced(GREEK[name], style, name[0].isupper() and style.alphabet in _LATIN_GREEK))
    if tex.isascii() and tex.isalnum():
        return _Piece(_faced(tex, style, True))
    if name not in SIGNS:
        raise EqkbError(f"the Typst printer does not know {tex} in a formula; write the formula as LaTeX instead")
    kind, text = SIGNS[name]
    seen = _PLAIN if kind == "inner" else ("", "")
    return _Piece(f"bold({text})" if style.bold and kind == "ord" else text, kind, seen=seen)


def _name(tex: str) -> str:
    """What the tables call a sign; nothing for characters that mean something else in TeX."""
    if tex in ESCAPED:
        return ESCAPED[tex]
    if tex.startswith("\\"):
        return tex[1:] if tex[1:].isalpha() else ""
    return "" if tex.isalpha() or tex in "%#&_{}" else tex


def _faced(text: str, style: _Style, has_alphabet: bool) -> str:
    text = _FACES[style.alphabet].format(text) if style.alphabet and has_alphabet else text
    return f"bold({text})" if style.bold else text


def _delimiter(sign: str) -> str:
    name = _name(sign)
    if name not in DELIMITERS:
        raise EqkbError(f"the Typst printer does not know the delimiter {sign}; write the formula as LaTeX instead")
    return DELIMITERS[name]


def _words(command: str, text: str) -> _Piece:
    text = re.sub(r"\\([_%&#])", r"\1", text)
    if command == "text":
        return _Piece(f'"{text}"', tight=True)
    name = " thin ".join(f'"{word}"' for word in text.split(r"\,"))
    limits = ", limits: #true" if command.endswith("*") else ""
    return _Piece(f"op({name}{limits})", "op")


def _grouped(group: Group, style: _Style) -> _Piece:
    """What stands in braces is one ordinary atom, whatever it is made of."""
    items = _classified(_items(group, style))
    if not items:
        return _Piece('""', tight=True)
    text = _joined(items, style.script)
    if all(isinstance(item, _Piece) and item.kind == "ord" for item in (items[0], items[-1])):
        single = items[0] if len(items) == 1 and isinstance(items[0], _Piece) else None
        return _Piece(text, atomic=single is not None and single.atomic, tight=single is not None and single.tight)
    return _Piece(f'class("normal", {text})')


def _command(name: str, arguments: Sequence[Group], style: _Style) -> _Piece:
    inner, *_ = arguments
    if name == "boldsymbol":
        bold = replace(style, alphabet="", bold=True)  # it leaves the alphabet around it, as in TeX
        items = _items(inner, bold)
        single = items[0] if len(items) == 1 else None
        return single if isinstance(single, _Piece) else _grouped(inner, bold)
    if name in ALPHABETS:
        return _grouped(inner, replace(style, alphabet=name))
    if name == "frac":
        return _Piece(f"frac({', '.join(_row(a, style.fraction) for a in arguments)})")
    text = _row(inner, style)
    if name in _ACCENTS:
        grows = name in _GROWING and (name in _BROAD or _signs(inner) > 1)
        options = (", size: #0%" if grows else "") + (", dotless: #false" if _has_dot(inner) else "")
        return _Piece(f"{_ACCENTS[name]}({text}{options})")
    dots = ", dotless: #false" if name.startswith("wide") and _has_dot(inner) else ""
    return _Piece(f"{_COVERS.get(name, name)}({text}{dots})")


def _has_dot(group: Group) -> bool:
    """Whether it is an i or j, which keep their dots below accents in TeX, in whatever face."""
    match group.parts:
        case (Sign(tex),):
            return tex in ("i", "j")
        case (Group() as inner,) | (Command(_, (inner,)),):
            return _has_dot(inner)
    return False


def _signs(group: Group) -> int:
    """How many signs stand beside each other, or on each other."""
    count = 0
    for part in group.parts:
        match part:
            case Group():
                count += _signs(part)
            case Command(_, arguments):
                count += sum(map(_signs, arguments))
            case Sign():
                count += 1
            case _:
                count += 2
    return count


def _scripted(part: Scripted, style: _Style) -> _Piece:
    base = _piece(part.base, style) if part.base is not None else _Piece('""', tight=True)
    text = base.text if base.atomic else f'class("normal", {base.text})'
    above = _row(part.above, style.scripted) if part.above else ""
    if part.primes and above:
        above = " ".join(["prime"] * part.primes + [above])
    else:
        text += "'" * part.primes
    if part.below is not None:
        text += f"_{_script(_row(part.below, style.scripted))}"
    if above:
        text += f"^{_script(above)}"
    return replace(base, text=text, atomic=False, seen=_PLAIN if base.kind == "inner" else base.seen)


def _script(text: str) -> str:
    """Parentheses around a script, which are not printed, where it is more than a sign."""
    return text if re.fullmatch(r"[A-Za-z]+|[0-9]|[⊤∗]", text) else f"({text})"


def _grid(name: str, rows: Sequence[Sequence[Group]], style: _Style) -> _Piece:
    if name == "aligned":
        lines = (" &".join(_row(c, style) for c in row).lstrip() for row in rows)
        return _Piece(" \\\n".join(lines), atomic=False)
    if name == "substack":
        return _Piece(" \\ ".join(" ".join(_row(c, style) for c in row) for row in rows), atomic=False)
    cells = [[_row(cell, style.fraction) for cell in row] for row in rows]
    if name == "cases":
        shown = ", ".join("&" + " quad &&".join(row) for row in cells)
        return _Piece(f"cases({shown})", "inner", seen=_FENCE)
    shown = "; ".join(", ".join(row) for row in cells)
    return _Piece(f"mat(delim: {_MATRICES[name]}, {shown})", "inner", seen=_FENCE)


def _classified(items: _Items) -> _Items:
    """Signs between terms that have no term before or behind them are ordinary ones, as in TeX."""
    found = list(items)
    places = [n for n, item in enumerate(items) if isinstance(item, _Piece)]
    kinds = ["", *(item.kind for item in items if isinstance(item, _Piece)), ""]
    for n, place in enumerate(places, 1):
        piece = found[place]
        if not isinstance(piece, _Piece) or kinds[n] != "bin":
            continue
        lacks_left = kinds[n - 1] in ("", "bin", "op", "rel", "open", "punct")
        if lacks_left or kinds[n + 1] in ("rel", "close", "punct", ""):
            kinds[n] = "ord"
            plain = len(places) == 1 or (lacks_left and piece.text in _UNARY)
            found[place] = replace(piece, text=piece.text if plain else _told("normal", piece.text), kind="ord")
    return found


def _told(kind: str, text: str) -> str:
    """A sign that Typst takes for an atom of that kind."""
    return f'class("{kind}", {text})'


def _joined(items: _Items, script: bool) -> str:
    """Printed parts with their spaces, where Typst would not put the same by itself."""
    text = ""
    last: _Piece | None = None
    explicit: int | None = None
    for item in items:
        if isinstance(item, int):
            explicit = (explicit or 0) + item
            continue
        wanted = (explicit or 0) + (_between(last.kind, item.kind, script) if last else 0)
        given = _between(last.right, item.left, script) if last else 0
        if wanted != given:
            text += f" {_space(wanted)} "
            if item.kind == "bin" and item.text in _UNARY:
                item = replace(item, text=_told("binary", item.text))
        elif last is not None:
            text += "" if _is_close(last, item) else " "
        text += item.text
        last, explicit = item, None
    return (f"{text} {_space(explicit)}" if explicit else text).strip()


def _is_close(left: _Piece, right: _Piece) -> bool:
    """Whether no blank stands between two parts of the source."""
    if left.tight or right.tight:
        return True
    if _DIGITS.fullmatch(left.text) and _DIGITS.match(right.text):
        return True
    if left.text.startswith("\\") and left.kind == "open":
        return True
    return right.text.startswith("\\") and (
        right.kind in ("close", "punct") or (right.kind == "open" and left.kind not in ("bin", "rel", "punct"))
    )


def _between(left: str, right: str, script: bool) -> int:
    space = _SPACING[left][right]
    return space if not script or (space == 3 and "op" in (left, right) and "inner" not in (left, right)) else 0


def _space(width: int) -> str:
    return _NAMED.get(width) or f"#h({width / 18:.4g}em)"
