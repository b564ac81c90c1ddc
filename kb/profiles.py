"""Notation profiles: how formulas look, as data. Which letters are bold, which sign a transpose has, log or ln.

A profile says nothing of a single equation: it speaks of what symbols are (their axes, kind, domain, role) and of
the words of the language. ``plain`` is what is used where nothing else is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb.model import Symbol

# What a profile may say of these words instead; the functions of the language are words of their own.
SIGNS = {
    "transpose": r"\top",
    "elementwise": r"\odot",
    "E": r"\mathbb{E}",
    "eye": "I",
    "zeros": r"\mathbf{0}",
    "ones": r"\mathbf{1}",
    "one_hot": r"\mathbf{e}",
    "delta": r"\delta",
    "trace": r"\operatorname{tr}",
    "stop": r"\operatorname{sg}",
}
# The commands that stand for them where macros are asked for, so that a paper can define them as it likes.
_MACROS = {
    "transpose": "transpose",
    "elementwise": "elementwise",
    "E": "expectation",
    "eye": "identity",
    "zeros": "zeros",
    "ones": "ones",
    "one_hot": "unitvector",
    "delta": "kronecker",
    "trace": "trace",
    "stop": "stopgradient",
}
BARS = {"double": (r"\lVert", r"\rVert"), "single": (r"\lvert", r"\rvert")}
LAYOUTS = ("usual", "numerator", "denominator")
GRADIENTS = ("usual", "nabla", "quotient")
INDICES = ("joined", "commas")


@dataclass(frozen=True, slots=True)
class Trait:
    """What a name stands for: its kind, role and domain as a catalogue declares them; a step has the defaults.

    ``is_random`` is the variable of an expectation, where it says that it is drawn.
    """

    kind: str = "real"
    role: str = "step"
    domain: str = "real"
    is_random: bool = False

    @classmethod
    def of(cls, symbol: Symbol) -> Trait:
        """Those of a symbol."""
        return cls(symbol.kind, symbol.role, symbol.domain)


@dataclass(frozen=True, slots=True)
class Face:
    """How the letters of some names are set; an empty condition holds for all.

    ``commands`` stand around a letter, the outermost first; ``beyond`` includes all numbers of axes above those of
    ``axes``. ``macro`` is the command that stands for all of them where macros are asked for.
    """

    commands: tuple[str, ...]
    axes: tuple[int, ...] = ()
    beyond: bool = False
    kinds: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    random: bool | None = None
    macro: str = ""

    def around(self, tex: str) -> str:
        """A letter in this face."""
        return "".join(f"\\{command}{{" for command in self.commands) + tex + "}" * len(self.commands)

    def fits(self, trait: Trait, axes: int) -> bool:
        """Whether it is meant for a name of so many axes."""
        return (
            (not self.axes or axes in self.axes or (self.beyond and axes > max(self.axes)))
            and (not self.kinds or trait.kind in self.kinds)
            and (not self.roles or trait.role in self.roles)
            and (not self.domains or trait.domain in self.domains)
            and (self.random is None or trait.is_random == self.random)
        )


@dataclass(frozen=True)
class Profile:
    """A way to write formulas.

    ``file`` is where it was read from, if it is somebody's own. ``faces`` are tried in turn; ``words`` has TeX for
    functions of the language and for SIGNS. ``gradient`` is one of GRADIENTS, for the derivative of a number by an
    array, ``layout`` one of LAYOUTS, for derivatives without indices, ``indices`` one of INDICES, ``norm`` a key of
    BARS. ``macros`` are the commands that formulas use instead of what TeX has, with their meaning.
    """

    name: str = "plain"
    about: str = ""
    file: str = ""
    faces: tuple[Face, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    norm: str = "double"
    gradient: str = "usual"
    layout: str = "usual"
    indices: str = "joined"
    macros: Mapping[str, str] = field(default_factory=dict)

    def face(self, trait: Trait, axes: int) -> tuple[str, ...]:
        """The commands that set a letter, without their backslashes."""
        return next((f.commands for f in self.faces if f.fits(trait, axes)), ())

    def word(self, word: str, usual: str) -> str:
        """TeX of a function or sign."""
        return self.words.get(word, usual)

    def sign(self, word: str) -> str:
        """TeX of one of SIGNS."""
        return self.words.get(word, SIGNS[word])

    @property
    def bars(self) -> tuple[str, str]:
        """What stands around a norm."""
        return BARS[self.norm]

    def with_macros(self) -> Profile:
        """The same with a command for every face that names one, and for every sign."""
        faces = [f for f in self.faces if f.macro]
        macros = {f.macro: f"[1]{{{f.around('#1')}}}" for f in faces}
        macros |= {name: f"{{{self.sign(word)}}}" for word, name in _MACROS.items()}
        return replace(
            self,
            faces=tuple(replace(f, commands=(f.macro,)) if f.macro else f for f in self.faces),
            words={**self.words, **{word: f"\\{name}" for word, name in _MACROS.items()}},
            macros=macros,
        )

    def definitions(self, tex: str) -> str:
        """The lines that define the macros in some TeX, unless the paper does."""
        used = {name: meaning for name, meaning in self.macros.items() if re.search(rf"\\{name}(?![A-Za-z])", tex)}
        return "".join(f"\\providecommand{{\\{name}}}{meaning}\n" for name, meaning in used.items())


PLAIN = Profile(about="Italic letters throughout, as most papers and blogs write.")
