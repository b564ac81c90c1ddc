"""Which TeX may set a symbol: a whitelist of control words, balanced, with no double scripts.

And how a call is written: ``D_{\\mathrm{KL}}(P || Q)``, TeX for the name and the arguments with what separates them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kb.errors import nearest

MAX_DEPTH = 8
_CLASHES = {"_": {"_"}, "^": {"^", "'"}, "'": {"^"}}
_TOKEN = re.compile(r"(?:\\[A-Za-z]+|[A-Za-z0-9+\-*,./|()]|[{}_^'])[ ]*")
# They apply to what follows; and those that are a sign by themselves.
_ACCENTS = (
    "hat|bar|tilde|dot|ddot|vec|check|breve|acute|grave|widehat|widetilde|overline|underline"
    "|mathcal|mathbb|mathbf|mathrm|mathfrak|mathsf|mathit|boldsymbol"
)
_SIGNS = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|pi|varpi|rho|varrho"
    "|sigma|varsigma|tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
    "|ell|hbar|imath|jmath|Re|Im|aleph|nabla|partial|infty|prime|star|ast|dagger|ddagger|top|bot|perp|parallel|circ"
    "|bullet|cdot|times|odot|otimes|oplus|pm|mp|sim|approx|emptyset|ldots|cdots"
)


def glyph_fault(text: str) -> tuple[str, int] | None:
    """Why TeX may not have ``text`` in math mode, and the offset of the reason; None if it may.

    Nothing that could do more than print passes, and nothing that TeX itself would refuse.
    """
    accents, signs = _ACCENTS.split("|"), _SIGNS.split("|")
    outer: list[set[str]] = []  # of every open brace, the scripts of the base that it belongs to
    scripts: set[str] = set()  # of the present base
    waits = "{"  # what something must still follow: an open brace, a script or an accent
    at = 0
    while at < len(text):
        start, match = at, _TOKEN.match(text, at)
        if match is None:
            return f"{text[at]!r} cannot stand in a glyph; use letters and control words such as \\alpha", at
        token, at = match.group().strip(), match.end()
        if token in ("_", "^", "'"):
            if waits or scripts & _CLASHES[token]:
                return f"this {token!r} follows nothing, or a second script; put scripts into one pair of braces", start
            scripts.add(token)
            waits = "" if token == "'" else "script"
        elif token == "}":
            if waits or not outer:
                return "this '}' closes nothing, or nothing stands before it; remove it", start
            scripts = outer.pop()
        else:
            if waits != "script":
                scripts = set()
            word = token[1:]
            if token == "{":
                outer.append(scripts)
                scripts, waits = set(), "{"
            elif word in accents:
                if waits in ("script", "accent"):
                    return f"put {token} and what it applies to in braces", start
                waits = "accent"
            elif word and word not in signs:
                hint = nearest(word[:64], accents + signs)
                return f"the control word {token[:40]} is not allowed in a glyph{hint or '; use a letter'}", start
            else:
                waits = ""
        if len(outer) > MAX_DEPTH:
            return f"this glyph is nested deeper than {MAX_DEPTH} levels; write it more simply", start
    if outer or waits:
        return "this glyph ends too early; close its braces, and write what its last command applies to", len(text)
    return None


class Notation(NamedTuple):
    """How calls of an entry are written: TeX of the name, the arguments, what stands after each but the last."""

    head: str
    arguments: tuple[str, ...]
    separators: tuple[str, ...]


_SEPARATOR = re.compile(r"\s*(\|\||[,;|])\s*")


def split_notation(text: str) -> Notation:
    """The parts of ``'\\mathcal{N}(x; mu, v)'``; without parentheses commas separate the arguments."""
    head, _, rest = text.partition("(")
    pieces = _SEPARATOR.split(rest.strip().removesuffix(")").strip())
    return Notation(head.strip(), tuple(p for p in pieces[::2] if p), tuple(pieces[1::2]))


def notation_fault(text: str) -> tuple[str, int] | None:
    """Why calls cannot be written in that way, and the offset of the reason; None if they can."""
    head, opening, rest = text.partition("(")
    refused = glyph_fault(head.rstrip())
    if refused:
        return refused
    if opening and not re.fullmatch(r"\s*[A-Za-z]\w*(\s*(\|\||[,;|])\s*[A-Za-z]\w*)*\s*\)", rest, re.ASCII):
        return "in parentheses stand the names of the arguments, with , ; | or || between them", len(head)
    return None
