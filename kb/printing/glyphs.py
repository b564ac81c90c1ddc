"""How names look: Greek letters, hats and bars, subscripts, primes and times, in TeX and in Unicode."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, takewhile

from kb.profiles import PLAIN, Profile, Trait


@dataclass(frozen=True)
class Context:
    """What a printer has to know about the names of a formula; everything has a default.

    ``ranks`` gives the number of axes of each symbol and step, ``shapes`` their sizes where known,
    ``ranges`` the size of the dimension that an index runs over (sizes in the language: ``"N"``,
    ``"n - k + 1"``), ``times`` the offset of a name from ``time_index`` (0 prints x_t, -1 prints
    x_{t-1}), and ``signatures``, per entry or function, the axes of its arguments and of its result.
    ``limits`` says that sums show where they begin and end, ``one_based`` that they count from 1
    where that is the same, ``brackets`` that indices stand in brackets in Unicode too. ``open_sizes``
    are those that an instance gives, ``2*n``, by the names under which they are left open, ``m``.
    ``profile`` says how letters and signs look in TeX, ``traits`` what it has to know of each symbol.
    """

    ranks: Mapping[str, int] = field(default_factory=dict)
    glyphs: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    time_index: str | None = None
    calls: Mapping[str, str] = field(default_factory=dict)
    limits: bool = False
    one_based: bool = False
    shapes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    brackets: bool = False
    ranges: Mapping[str, str] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)
    signatures: Mapping[str, tuple[tuple[int, ...], int]] = field(default_factory=dict)
    open_sizes: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = PLAIN
    traits: Mapping[str, Trait] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Glyph:
    """A name taken apart: the letter with its accents, what stands below and what stands above."""

    base: str
    subscripts: tuple[str, ...] = ()
    superscripts: tuple[str, ...] = ()


# Letters without a control word of their own look like Latin ones.
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "varepsilon": "ε", "vartheta": "ϑ", "varpi": "ϖ", "varrho": "ϱ", "varsigma": "ς", "varphi": "φ",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "ell": "ℓ", "nabla": "∇",
}  # fmt: skip
_LATIN_GREEK = {
    "omicron": "o", "Alpha": "A", "Beta": "B", "Epsilon": "E", "Zeta": "Z", "Eta": "H", "Iota": "I",
    "Kappa": "K", "Mu": "M", "Nu": "N", "Omicron": "O", "Rho": "P", "Tau": "T", "Chi": "X",
}  # fmt: skip
_SHORT = {"eps": "epsilon", "lam": "lambda"}

# Accent: over one letter, over several, and the combining character.
_ACCENTS = {
    "hat": (r"\hat", r"\widehat", "\u0302"),
    "bar": (r"\bar", r"\overline", "\u0304"),
    "tilde": (r"\tilde", r"\widetilde", "\u0303"),
    "dot": (r"\dot", r"\dot", "\u0307"),
}
_JOINED = re.compile(r"(.+?)(hat|bar|tilde)")
_SUFFIXES = {"prime", "star", "prev", "next"} | set(_ACCENTS)
_SHIFTS = {"prev": -1, "next": 1}
_SHORT_WORDS = {"in", "on", "to", "up"}

# The text faces of other control words that a glyph or an operator's name may use.
_STYLES = (
    "mathcal", "mathbb", "mathrm", "underline", "mathbf", "mathit", "mathsf", "mathfrak", "boldsymbol", "operatorname",
    "text",
)  # fmt: skip
_SIGNS = {
    "infty": "∞", "top": "ᵀ", "prime": "′", "star": "*", "ast": "*", "dagger": "†",
    "ddagger": "‡", "bot": "⊥", "bullet": "•", "times": "×", "mp": "∓", "sim": "∼", "approx": "≈",
    "emptyset": "∅", "ldots": "…", "cdots": "⋯",
    "perp": "⊥", "pm": "±",
    "cdot": "·", "partial": "∂", "odot": "⊙", "otimes": "⊗", "oplus": "⊕", "circ": "∘", "mid": "|", "parallel": "∥",
    "lvert": "|", "rvert": "|", "lVert": "‖", "rVert": "‖", "log": "log", "exp": "exp", "max": "max", "min": "min",
    "det": "det", "sin": "sin", "cos": "cos", "tanh": "tanh", "Pr": "Pr", "hbar": "ħ", "imath": "i", "jmath": "j",
    "aleph": "ℵ", "Re": "Re", "Im": "Im",
}  # fmt: skip
# Alphabets without small Greek letters.
_LATIN_ALONE = ("mathbf", "mathrm", "mathsf", "mathit", "mathcal", "mathbb", "mathfrak")
_SCRIPT_LETTERS = {"L": "ℒ", "N": "𝒩", "T": "𝒯"}
_OVER = {a: mark for short, long, mark in _ACCENTS.values() for a in (short[1:], long[1:])} | {
    "vec": "\u20d7", "ddot": "\u0308", "check": "\u030c", "breve": "\u0306", "acute": "\u0301", "grave": "\u0300",
}  # fmt: skip
SUBSCRIPT_DIGITS = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")
_LOW = str.maketrans("0123456789+−aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ")
_LOWERED = set(map(chr, _LOW.values()))
SUPERSCRIPT_DIGITS = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_TOKEN = re.compile(r"\\([A-Za-z]+)\*?|\\[,;:! ]|[A-Za-z0-9]|\s+|.", re.DOTALL)


def is_letter(word: str) -> bool:
    """Whether the word prints as one letter: Latin or Greek."""
    return len(word) == 1 or _SHORT.get(word, word) in _GREEK or word in _LATIN_GREEK


def _letter_latex(word: str) -> str:
    word = _SHORT.get(word, word)
    if word in _LATIN_GREEK:
        return rf"\mathrm{{{_LATIN_GREEK[word]}}}" if word[0].isupper() else "o"
    return f"\\{word}" if word in _GREEK else word


def _letter_text(word: str) -> str:
    word = _SHORT.get(word, word)
    return {"epsilon": "ε", "phi": "φ"}.get(word) or _GREEK.get(word) or _LATIN_GREEK.get(word, word)


@dataclass(frozen=True, slots=True)
class NameParts:
    """The words of a name: its stem, accents from the inside out, subscripts, marks and time shift."""

    stem: str
    accents: tuple[str, ...] = ()
    subscripts: tuple[str, ...] = ()
    primes: int = 0
    stars: int = 0
    shift: int | None = None


def split_name(name: str, timed: bool = False) -> NameParts:
    """Take a name apart at its underscores; ``timed`` says that ``prev`` and ``next`` mean a time."""
    words = [w for w in name.split("_") if w] or ["_"]
    stem, *rest = words
    joined = _JOINED.fullmatch(stem)
    accents: list[str] = []
    if joined and is_letter(joined[1]):
        stem = joined[1]
        accents.append(joined[2])
    subscripts: list[str] = []
    digits = re.fullmatch(r"([A-Za-z]+?)(\d+)", stem)
    if digits:
        stem = digits[1]
        subscripts.append(digits[2])
    subscripts += [w for w in rest if w not in _SUFFIXES or (w in _SHIFTS and not timed)]
    accents += [w for w in rest if w in _ACCENTS]
    shifts = [_SHIFTS[w] for w in rest if timed and w in _SHIFTS]
    shift = sum(shifts) if shifts else None
    return NameParts(stem, tuple(accents), tuple(subscripts), rest.count("prime"), rest.count("star"), shift)


def _parts(name: str, context: Context) -> NameParts:
    parts = split_name(name, context.time_index is not None)
    if "next" in parts.subscripts and context.kinds.get(name) == "label":
        rest = tuple(w for w in parts.subscripts if w != "next")
        return replace(parts, subscripts=rest, primes=parts.primes + 1)
    return parts


def _shift(name: str, parts: NameParts, context: Context) -> int | None:
    if context.time_index is None:
        return None
    return context.times.get(name, parts.shift)


def _time(index: str, shift: int, minus: str) -> str:
    return index if shift == 0 else f"{index}{'+' if shift > 0 else minus}{abs(shift)}"


def word_latex(word: str) -> str:
    """A word of a subscript: digits and one or two letters in italics, longer words roman.

    ``xi`` is x and i there, as in the gates of an LSTM, and not the Greek letter; ``yhat`` has its hat.
    """
    if is_letter(word) and word != "xi":
        return _letter_latex(word)
    if word.isdigit() or (len(word) <= 2 and word not in _SHORT_WORDS):
        return word
    joined = _JOINED.fullmatch(word)
    if joined and is_letter(joined[1]):
        return rf"{_ACCENTS[joined[2]][0]}{{{_letter_latex(joined[1])}}}"
    digits = re.fullmatch(r"([A-Za-z]+?)(\d+)", word)
    if digits and is_letter(digits[1]):
        return f"{_letter_latex(digits[1])}{digits[2]}"
    return rf"\mathrm{{{word}}}"


def glyph_latex(name: str, context: Context, axes: int | None = None) -> Glyph:
    """The parts of a name in TeX, so that indices and powers can join them; ``axes`` are those that have no index."""
    glyph = _plain_glyph(name, context)
    if not context.profile.faces:
        return glyph
    own = context.ranks.get(name, 0) if axes is None else axes
    return replace(glyph, base=_faced(glyph.base, context.profile.face(_trait(name, context), own)))


def _trait(name: str, context: Context) -> Trait:
    """Of the symbol whose cotangent, tangent, old or new value it is."""
    while name not in context.traits and "_" in name:
        name = name.rpartition("_")[0]
    return context.traits.get(name) or Trait()


def _faced(tex: str, commands: Sequence[str]) -> str:
    """The letter under its accents in another face; what has a face of its own keeps it."""
    covered = re.fullmatch(r"(\\([A-Za-z]+)\{)(.*)\}", tex)
    if covered and covered[2] in _OVER and _is_balanced(covered[3]):
        return f"{covered[1]}{_faced(covered[3], commands)}}}"
    if not commands or re.match(r"\\(?:math|operatorname|text|boldsymbol|underline)", tex):
        return tex
    if re.match(r"\\[a-z]", tex) and commands[-1] in _LATIN_ALONE:  # TeX has small Greek letters in italics alone
        return tex if commands == ("mathrm",) else rf"\boldsymbol{{{tex}}}"
    return "".join(f"\\{c}{{" for c in commands) + tex + "}" * len(commands)


def _is_balanced(tex: str) -> bool:
    depths = list(accumulate({"{": 1, "}": -1}.get(c, 0) for c in tex))
    return not depths or (min(depths) >= 0 and depths[-1] == 0)


def _plain_glyph(name: str, context: Context) -> Glyph:
    parts = _parts(name, context)
    override = context.glyphs.get(name)
    if override is None and parts.shift is not None:
        override = context.glyphs.get("_".join(w for w in name.split("_") if w not in _SHIFTS))
    shift = _shift(name, parts, context)
    time: tuple[str, ...] = ()
    if shift is not None and context.time_index is not None:
        time = (_time(word_latex(context.time_index), shift, "-"),)
    if override is not None:
        glyph = split_scripts(override)
        return Glyph(glyph.base, glyph.subscripts + time, glyph.superscripts)
    letter = is_letter(parts.stem)
    base = _letter_latex(parts.stem) if letter else rf"\mathrm{{{parts.stem}}}"
    for accent in parts.accents:
        narrow, wide, _ = _ACCENTS[accent]
        base = f"{narrow if letter else wide}{{{base}}}"
    marks = ("'" * parts.primes,) if parts.primes else ()
    stars = ("*" * parts.stars,) if parts.stars else ()
    return Glyph(base, tuple(map(word_latex, parts.subscripts)) + time, marks + stars)


def split_scripts(tex: str) -> Glyph:
    """Split TeX such as ``\\sigma^2`` or ``W_{ij}^*`` into its letter and scripts."""
    found: dict[str, str] = {}
    pieces = re.findall(r"\\[A-Za-z]+|\\.|.", tex, re.DOTALL)
    base, at = "", 0
    while at < len(pieces):
        piece = pieces[at]
        if piece in "_^" and base and at + 1 < len(pieces) and piece not in found:
            group, at = _group(pieces, at + 1)
            found[piece] = group
            continue
        if piece == "'" and base and "^" not in found:
            found["^"], at = piece, at + 1
            continue
        group, at = _group(pieces, at, keep=True)
        if found:
            return Glyph(f"{{{tex}}}")
        base += group
    below, above = found.get("_"), found.get("^")
    return Glyph(base.rstrip(), (below,) if below else (), (above,) if above else ())


def _group(pieces: list[str], at: int, keep: bool = False) -> tuple[str, int]:
    """The piece at ``at``, or the whole ``{...}`` that begins there, and where it ends."""
    if pieces[at] != "{":
        return pieces[at], at + 1
    depth, end = 0, at
    while end < len(pieces):
        depth += {"{": 1, "}": -1}.get(pieces[end], 0)
        end += 1
        if depth == 0:
            break
    inner = "".join(pieces[at:end])
    return (inner if keep else inner[1:-1]), end


def braced(tex: str) -> str:
    """What follows ``_`` or ``^``: braces unless it is one character."""
    return tex if len(tex) == 1 and tex not in "{}\\" else f"{{{tex}}}"


def assemble(glyph: Glyph) -> str:
    """TeX of a glyph with all its scripts, each kind once."""
    tex = glyph.base
    if glyph.subscripts:
        tex += "_" + braced(",".join(glyph.subscripts))
    above = "".join(s.replace("'", r"\prime ") if len(glyph.superscripts) > 1 else s for s in glyph.superscripts)
    if above and not above.strip("'"):
        return tex + above
    return f"{tex}^{braced(above)}" if above else tex


def symbol_latex(name: str, context: Context | None = None) -> str:
    """TeX of a name, as a careful author would set it: ``W_xi_bar`` is ``\\bar{W}_{xi}``."""
    return assemble(glyph_latex(name, context or Context()))


def _accented(letter: str, accents: tuple[str, ...]) -> str | None:
    if len(letter) != 1 and accents:
        return None
    for accent in accents:
        letter += _ACCENTS[accent][2]
    return unicodedata.normalize("NFC", letter)


def _marked_letters(text: str, accent: str) -> str:
    """The accent over each letter with which the text begins, T̄P̄; behind a text that begins with none."""
    letters = "".join(takewhile(lambda c: c.isalpha() or unicodedata.combining(c), text))
    if not letters:
        return f"{text}_{accent}"
    marked = re.sub("(.[\u0300-\u036f]*)", rf"\1{_ACCENTS[accent][2]}", letters)
    return unicodedata.normalize("NFC", marked) + text[len(letters) :]


def _word_text(word: str) -> str:
    """A word of a subscript, as in TeX."""
    joined = _JOINED.fullmatch(word)
    if joined and is_letter(joined[1]):
        return _accented(_letter_text(joined[1]), (joined[2],)) or word
    return word if word == "xi" else _letter_text(word)


def _subscripts_text(subscripts: list[str]) -> str:
    if not subscripts:
        return ""
    first, *rest = subscripts
    if not rest and re.fullmatch(r"\d+", first):
        return first.translate(SUBSCRIPT_DIGITS)
    inner = ",".join(subscripts)
    return f"_{inner}" if re.fullmatch(r"\w+", inner) else f"_{{{inner}}}"


def symbol_text(name: str, context: Context | None = None) -> str:
    """A name in Unicode for a terminal: ``yhat`` is ŷ, ``sigma_1`` is σ₁, ``h_prev`` is h_{t−1}."""
    context = context or Context()
    override = context.glyphs.get(name)
    parts = _parts(name, context)
    shift = _shift(name, parts, context)
    time = [] if shift is None or context.time_index is None else [_time(context.time_index, shift, "−")]
    if override is not None and (text := tex_to_text(override)) is not None:
        return text + _subscripts_text(time)
    stem_name, _, accent = name.rpartition("_")
    base = tex_to_text(context.glyphs[stem_name]) if stem_name in context.glyphs else None
    if base and accent in parts.accents:
        return _marked_letters(base, accent)
    stem = _accented(_letter_text(parts.stem), parts.accents)
    if stem is None:
        stem = parts.stem + "".join(f"_{accent}" for accent in parts.accents)
    below = _subscripts_text([_word_text(word) for word in parts.subscripts] + time)
    return stem + below + "′" * parts.primes + "*" * parts.stars


def lowered(indices: Sequence[str]) -> str | None:
    """Subscripts of Unicode, if it has them all and they can be told apart: ᵢⱼ or ᵢ₊₁, but None for c or i+1,j."""
    alone = len(indices) == 1
    for index in indices:
        plain = re.fullmatch(r"[\w−+·]+" if alone else r"\w", index)
        if plain is None or re.search(r"[^\W\d]{2}", index):
            return None
    low = "".join(indices).replace("·", "").translate(_LOW)
    return low if set(low) <= _LOWERED else None


def tex_to_text(tex: str) -> str | None:
    """Unicode for the TeX of a glyph or an operator's name; None where it has none."""
    tokens = [m.group() for m in _TOKEN.finditer(tex)]
    text, at = _translate(tokens, 0)
    return unicodedata.normalize("NFC", text) if text is not None and at == len(tokens) else None


def _translate(tokens: list[str], at: int) -> tuple[str | None, int]:
    """The text of a run of tokens up to its closing brace or the end."""
    out = ""
    while at < len(tokens) and tokens[at] != "}":
        piece, at = _translate_one(tokens, at)
        if piece is None:
            return None, at
        out += piece
    return out, at


def _translate_one(tokens: list[str], at: int) -> tuple[str | None, int]:
    token = tokens[at]
    word = token[1:].rstrip("*") if token.startswith("\\") else ""
    at += 1
    if token == "{":
        inner, at = _translate(tokens, at)
        return inner, at + 1
    if word in _STYLES or word in _OVER or token in "_^":
        while at < len(tokens) and tokens[at].isspace():
            at += 1
        if at >= len(tokens) or tokens[at] == "}":
            return None, at
        inner, at = _translate_one(tokens, at)
        return (None if inner is None else _styled(word or token, inner)), at
    if token.startswith("\\"):
        return (_letter_text(word) if word in _GREEK else _SIGNS.get(word, "" if not word.isalpha() else None)), at
    return ("" if token.isspace() else "′" if token == "'" else token), at


def _styled(word: str, inner: str) -> str | None:
    if word == "^":
        if set(inner) <= set("0123456789+-−"):
            return inner.translate(SUPERSCRIPT_DIGITS)
        return inner if inner in ("ᵀ", "′", "*", "†") else f"^{inner}" if len(inner) == 1 else f"^({inner})"
    if word == "_":
        return _subscripts_text([inner])
    if word == "mathcal":
        return _SCRIPT_LETTERS.get(inner, inner)
    if word in _OVER:
        return inner + _OVER[word] if len(inner) == 1 else None
    return inner
