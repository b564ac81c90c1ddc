"""LaTeX ready for a paper: numbered environments, what the symbols mean, the steps of a derivation.

A formula stands in amsmath's environments and in nothing that KaTeX does not know; only a label is
LaTeX's alone, and the sentence about the symbols is text with formulas in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kb.errors import EqkbError
from kb.paper.environments import align, derivation_align, display, equation, numbered
from kb.paper.subject import Subject
from kb.paper.where import where

if TYPE_CHECKING:
    from kb.derivation import Derivation

__all__ = ["Fragment", "Subject", "Wanted", "packages"]

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/+-]*")
_LONGEST_LABEL = 100
# What amsmath alone does not define.
_SYMBOLS = re.compile(r"\\(?:mathbb|mathfrak)\b")


@dataclass(frozen=True)
class Wanted:
    """What is printed besides the formula; without an environment it is the bare formula.

    Raises EqkbError where the parts do not go together.
    """

    environment: str = "none"
    label: str | None = None
    where: bool = False
    derivation: bool = False

    def __post_init__(self) -> None:
        if self.label is None:
            return
        if self.environment == "none":
            raise EqkbError("--label names a numbered equation; add --env equation or --env align")
        if not _LABEL.fullmatch(self.label) or len(self.label) > _LONGEST_LABEL:
            raise EqkbError(
                f"{self.label[:60]!r} cannot be a label; begin with a letter or digit, and use at most "
                f"{_LONGEST_LABEL} letters, digits and the signs : . _ - / +, such as eq:softmax"
            )

    @property
    def is_bare(self) -> bool:
        """Whether only the formula is wanted."""
        return self.environment == "none" and not self.where and not self.derivation


@dataclass(frozen=True)
class Fragment:
    """A fragment of a paper about a subject; ``derivation`` is the way to it where that is wanted."""

    subject: Subject
    wanted: Wanted
    derivation: Derivation | None = None

    @property
    def formula(self) -> str:
        """The formula in its environment; nothing where a derivation that ends in it stands for it."""
        rows, wanted = self.subject.rows, self.wanted
        if wanted.environment == "align":
            return align(rows, wanted.label)
        if wanted.environment == "equation":
            return equation(rows, wanted.label)
        return "" if self.derivation is not None else display(rows)

    @property
    def where(self) -> str:
        """The sentence about the symbols that occur; nothing if it is not wanted."""
        return where(self.subject, self.derivation) if self.wanted.where else ""

    @property
    def steps(self) -> str:
        """The derivation; nothing if it is not wanted."""
        return derivation_align(self.derivation) if self.derivation is not None else ""

    def latex(self) -> str:
        """All of it, behind a remark on the packages where amsmath alone is not enough, and what macros mean."""
        # What explains the symbols follows the first display.
        parts = [self.formula, self.where, self.steps] if self.formula else [self.steps, self.where]
        text = "\n".join(filter(None, parts))
        text = self.subject.equation.programs.profile.definitions(text) + text
        needed = packages(text)
        return text if needed == ("amsmath",) else f"% \\usepackage{{{','.join(needed)}}}\n{text}"

    def as_json(self) -> dict[str, Any]:
        """Plain data: each part by itself, and all of it as it is printed."""
        text = self.latex()
        return {
            "env": self.wanted.environment,
            "label": self.wanted.label,
            "labels": list(numbered(self.subject.rows, self.wanted.environment, self.wanted.label)),
            "where": self.where or None,
            "derivation": self.steps or None,
            "packages": list(packages(text)),
            "paper": text,
        }


def packages(tex: str) -> tuple[str, ...]:
    """The packages without which LaTeX does not know what stands there."""
    return ("amsmath", "amssymb") if _SYMBOLS.search(tex) else ("amsmath",)
