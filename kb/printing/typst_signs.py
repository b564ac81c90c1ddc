"""Signs of LaTeX in Typst, with the kind of atom that each is in TeX. Typst knows the kinds by itself, or is told."""

from __future__ import annotations

_SAME_GREEK = (
    "alpha beta gamma delta zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon chi psi omega"
    " Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
# The plain names mean other forms there: `epsilon` is the one that TeX calls \varepsilon.
GREEK = {
    **{name: name for name in _SAME_GREEK.split()},
    "epsilon": "epsilon.alt", "varepsilon": "epsilon", "phi": "phi.alt", "varphi": "phi", "vartheta": "theta.alt",
    "varpi": "pi.alt", "varrho": "rho.alt", "varsigma": "sigma.alt",
}  # fmt: skip
_ORD = {
    ".": ".", "/": r"\/", "ell": "ℓ", "hbar": "ℏ", "imath": "dotless.i", "jmath": "dotless.j", "Re": "ℜ", "Im": "ℑ",
    "aleph": "ℵ", "nabla": "nabla", "partial": "∂", "infty": "infinity", "prime": "prime", "top": "⊤", "bot": "⊥",
    "emptyset": "∅", "vdots": "⋮",
    "|": 'class("normal", |)', "vert": 'class("normal", |)', "Vert": 'class("normal", ‖)',
    r"\%": r"\%", r"\#": r"\#", r"\&": r"\&", r"\_": r"\_",
    "forall": "∀", "exists": "∃",
}  # fmt: skip
_OP = {
    "sum": "sum", "prod": "product", "int": "integral",
    **{
        name: name
        for name in (
            "log ln lg exp det sin cos tan sinh cosh tanh cot arcsin arccos arctan max min sup inf lim Pr gcd arg"
        ).split()
    },
}  # fmt: skip
_BIN = {
    "+": "+", "-": "-", "*": "∗", "ast": "∗", "star": "⋆", "dagger": 'class("binary", †)',
    "ddagger": 'class("binary", ‡)', "circ": "∘", "bullet": "∙",
    "cdot": "⋅", "times": "times", "odot": "⊙", "otimes": "⊗", "oplus": "⊕", "pm": "±", "mp": "∓", "setminus": "∖",
    "wedge": "∧", "vee": "∨", "land": "∧", "lor": "∨",
}  # fmt: skip
_REL = {
    "=": "=", "<": "<", ">": ">", ":": ":", "le": "<=", "leq": "<=", "ge": ">=", "geq": ">=", "ne": "!=", "neq": "!=",
    "sim": "∼", "approx": "≈", "propto": "∝", "equiv": "≡", "in": "in", "notin": "∉", "to": "->", "leftarrow": "<-",
    "gets": "<-", "mid": 'class("relation", |)', "parallel": "∥", "perp": "⟂", "bmod": 'class("relation", "mod")',
}  # fmt: skip
_INNER = {"dots": "...", "ldots": "...", "cdots": "⋯"}
_OPEN = {
    "(": r"\(", "[": r"\[", "lbrace": r"\{", "lvert": 'class("opening", |)',
    "lVert": 'class("opening", ‖)', "lfloor": r"\⌊", "lceil": r"\⌈", "langle": r"\⟨",
}  # fmt: skip
_CLOSE = {
    ")": r"\)", "]": r"\]", "rbrace": r"\}", "rvert": 'class("closing", |)',
    "rVert": 'class("closing", ‖)', "rfloor": r"\⌋", "rceil": r"\⌉", "rangle": r"\⟩", "!": "!",
}  # fmt: skip
_PUNCT = {",": r"\,", ";": r"\;"}
# By the word without its backslash: the kind of atom, and Typst that Typst takes for an atom of that kind.
SIGNS = {
    name: (kind, text)
    for kind, table in {
        "ord": _ORD, "op": _OP, "bin": _BIN, "rel": _REL, "inner": _INNER, "open": _OPEN, "close": _CLOSE,
        "punct": _PUNCT,
    }.items()
    for name, text in table.items()
}  # fmt: skip
# Characters behind a backslash, and what the tables call them.
ESCAPED = {r"\{": "lbrace", r"\}": "rbrace", r"\|": "Vert"} | {sign: sign for sign in _ORD if sign[0] == "\\"}
# Signs that may grow with what stands between them.
DELIMITERS = {
    **{name: text for name, text in (_OPEN | _CLOSE).items() if text.startswith("\\")},
    "|": "|", "vert": "|", "lvert": "|", "rvert": "|", "Vert": "‖", "lVert": "‖", "rVert": "‖", ".": "",
}  # fmt: skip
