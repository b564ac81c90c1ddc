"""The legend of a sheet: the signs that its formulas use, each explained once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from generators.parts import Formula
from generators.views import EntryView
from kb.printing import Context, symbol_latex
from kb.profiles import PLAIN, Profile


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign, how to find it in LaTeX, and what it means."""

    pattern: re.Pattern[str]
    shown: Formula
    meaning: str


def signs(profile: Profile) -> tuple[Sign, ...]:
    """All signs in a notation. Meanings hold formulas between dollar signs, the same in every format."""
    context = Context(ranks={"x": 1, "y": 1, "X": 2}, profile=profile)
    x, y, large = (symbol_latex(name, context) for name in ("x", "y", "X"))
    unit, top, times, mean = (profile.sign(word) for word in ("one_hot", "transpose", "elementwise", "E"))
    opening, closing = profile.bars
    comma = "," if profile.indices == "commas" else ""
    rows = (
        # An empty pattern is found in every formula.
        ("", "x_i", f"element $i$ of ${x}$; a number as an index counts from 0"),
        (
            r"\\bar|\\overline",
            rf"\bar{{{x}}}",
            f"cotangent: gradient of some final number by ${x}$, in the shape of ${x}$",
        ),
        (r"\\dot\b", rf"\dot{{{x}}}", f"tangent of ${x}$"),
        (
            re.escape(profile.sign("delta")) + r"_\{[^{}]{2}",
            rf"{profile.sign('delta')}_{{j{comma}k}}",
            "1 where $j = k$, else 0",
        ),
        (re.escape(unit) + "_", f"{unit}_i", "vector with a 1 in place $i$ and 0 elsewhere"),
        (re.escape(f" {times} "), f"{x} {times} {y}", "product, element by element"),
        (re.escape(f"^{{{top}}}"), f"{large}^{{{top}}}", "transpose"),
        (r"\\(?:wide)?hat", rf"\hat{{{x}}}", f"estimate, prediction or normalised value of ${x}$"),
        (r"\\(?:wide)?tilde", rf"\tilde{{{x}}}", f"candidate or corrupted value of ${x}$"),
        (r"\\leftarrow", rf"{x} \leftarrow {y}", f"${y}$ is the new value of ${x}$"),
        (r"\^\{?\+", f"{x}^+", f"${x}$ after the update"),
        (r"rowsum", r"\operatorname{rowsum}", "sum of each row"),
        (r"colsum", r"\operatorname{colsum}", "sum of each column"),
        (re.escape(closing) + "_" * (profile.norm == "single"), f"{opening} {x} {closing}", "Euclidean length"),
        (r"\\lfloor", r"\lfloor x \rfloor", "largest whole number up to $x$"),
        (re.escape(mean), rf"{mean}_{{x \sim p}}", "mean over $x$ drawn from $p$"),
        (r"[a-zA-Z]'+\(", "f'", "derivative of $f$, a function of one number"),
    )
    return tuple(Sign(re.compile(pattern), Formula(latex, ""), meaning) for pattern, latex, meaning in rows)


def legend(formulas: Iterable[Formula], entries: Sequence[EntryView]) -> tuple[Sign, ...]:
    """The signs that occur in formulas of some entries."""
    every = "\n".join(f.latex for f in formulas)
    profile = next((view.catalogue.profile for view in entries), PLAIN)
    return tuple(s for s in signs(profile) if s.pattern.search(every))
