"""Any text made harmless in TeX, Typst, HTML, Markdown and Python source."""

from __future__ import annotations

import re
import unicodedata

_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}",
    "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2013": "--", "\u2014": "---",
    "\u2026": r"\ldots{}", "\u00a0": "~", "\u00ad": r"\-",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "§": r"\S{}", "¶": r"\P{}", "©": r"\copyright{}", "†": r"\dag{}",
    "≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\ne$", "≈": r"$\approx$", "∞": r"$\infty$", "×": r"$\times$",
    "·": r"$\cdot$", "±": r"$\pm$", "−": "$-$", "→": r"$\to$", "←": r"$\leftarrow$", "∈": r"$\in$", "∂": r"$\partial$",
    "∇": r"$\nabla$", "√": r"$\surd$", "∑": r"$\sum$", "∏": r"$\prod$", "⊙": r"$\odot$", "∥": r"$\|$",
    "°": r"$^{\circ}$", "²": "$^{2}$", "³": "$^{3}$", "¹": "$^{1}$", "½": r"$\frac{1}{2}$", "ℓ": r"$\ell$",
}  # fmt: skip
_TEX_ACCENTS = {
    "\u0300": r"\`", "\u0301": r"\'", "\u0302": r"\^", "\u0303": r"\~", "\u0304": r"\=", "\u0306": r"\u",
    "\u0307": r"\.", "\u0308": r"\"", "\u030a": r"\r", "\u030b": r"\H", "\u030c": r"\v", "\u0323": r"\d",
    "\u0327": r"\c", "\u0331": r"\b",
}  # fmt: skip
_TEX |= {
    letter: rf"$\{name}$"
    for letter, name in zip(
        "αβγδεζηθικλμνξπρσςτυφχψωΓΔΘΛΞΠΣΥΦΨΩ",
        [
            "alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
            "nu", "xi", "pi", "rho", "sigma", "varsigma", "tau", "upsilon", "varphi", "chi", "psi", "omega", "Gamma",
            "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega",
        ],
        strict=True,
    )
}  # fmt: skip
_TEX["\u00b5"] = r"$\mu$"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
# What always means something, what makes one sign with its like, and a hyphen unless it is in a word.
_TYPST = re.compile(r"""[\\#$*_`@<~\[\]'"]|(?<=\.)\.|\.(?=\.)|/(?=[/*])|(?<=/)/|(?<![^\W\d_])-|-(?![^\W\d_])""")
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {c: "\\" + c for c in "\\`*_{}[]#|~$^"})


def one_line(s: str) -> str:
    """The text on one line: white space as single blanks, what cannot be shown as U+FFFD."""
    shown = s if s.isprintable() else "".join(" " if c.isspace() else c if _is_text(c) else "\ufffd" for c in s)
    return shown if "  " not in shown else re.sub(r" +", " ", shown)


def _is_text(c: str) -> bool:
    """Not a control, surrogate, unassigned or noncharacter code, nor one that turns the reading direction."""
    if unicodedata.category(c) == "Cf":
        return c in "\u00ad\u200c\u200d"
    return unicodedata.category(c) not in ("Cc", "Cs", "Cn", "Co")


def escape_tex(s: str) -> str:
    """Text for pdflatex outside of formulas: nothing in it is a command, nothing is undefined.

    Brackets and stars are in braces, for they would be arguments of a ``\\\\`` or ``\\item`` before them.
    Characters that the standard fonts lack appear as their number, ``[U+4E2D]``.
    """
    out = ""
    for c in one_line(s):
        piece = _tex_character(c)
        if c == "-" and out.endswith("-"):
            piece = "{}-"
        elif c in "'," and out.endswith(c):
            piece = "{}" + c
        out += piece
    return out


def _tex_character(c: str) -> str:
    if c in _TEX:
        return _TEX[c]
    if c.isascii():
        return c
    parts = unicodedata.normalize("NFD", c)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _TEX_ACCENTS:
        letter = rf"\{parts[0]}" if parts[0] in "ij" else parts[0]
        return f"{_TEX_ACCENTS[parts[1]]}{{{letter}}}"
    return f"{{[}}U+{ord(c):04X}{{]}}"


def escape_typst(s: str) -> str:
    """Text for Typst outside of formulas: nothing in it is markup, a comment, a link or a sign made of several.

    It may stand at the beginning of a line or of a block, and behind code. An apostrophe in a word looks like one.
    """
    text = re.sub(r"(?<=[^\W_])'(?=[^\W_])", "\u2019", one_line(s))
    text = _TYPST.sub(r"\\\g<0>", text)
    return re.sub(r"^( ?)(\d*)(?=[!-/:-@^{-}])", r"\1\2\\", text)


def escape_html(s: str) -> str:
    """Text for HTML, between tags and in quoted attributes. Line ends and tabs stay."""
    shown = s if s.isprintable() else "".join(c if c in "\n\t" or _is_text(c) else "\ufffd" for c in s)
    return shown.translate(_HTML)


def escape_markdown(s: str) -> str:
    """Text for one line of Markdown (GitHub's too): no markup, no HTML, no template, no block."""
    text = one_line(s).strip().translate(_MARKDOWN)
    text = re.sub(r"^([-+=])", r"\\\1", text)
    return re.sub(r"^(\d{1,9})([.)])", r"\1\\\2", text)


def _python_character(c: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}.get(c)
    if named is not None:
        return named
    if c.isprintable():
        return c
    code = ord(c)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def python_string(s: str) -> str:
    """A Python string literal on one line, in double quotes, whose value is ``s``."""
    return '"' + "".join('\\"' if c == '"' else _python_character(c) for c in s) + '"'


def docstring(s: str, indent: str = "") -> str:
    """A Python literal in triple quotes whose value is ``s``; lines after the first begin with ``indent``.

    Line ends stay line ends; everything that could end or change the literal is escaped.
    """
    text = re.sub(r'"(?="|$|\n)', r"\"", "".join(c if c == "\n" else _python_character(c) for c in s))
    return '"""' + re.sub(r"\n(?=[^\n])", "\n" + indent, text) + '"""'
