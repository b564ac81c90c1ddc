"""Wide statements break between terms, and nothing is lost where they do."""

from __future__ import annotations

import re

import pytest

from kb.parser import parse_statement
from kb.printing import Context, latex, latex_display
from kb.printing.breaking import LINE
from kb.printing.widths import width

CONTEXT = Context(ranks={"x": 1, "y": 1})
TERMS = " + ".join(f"alpha_{n}*x[{n}]*(1 - y[{n}])" for n in range(12))
WIDE = [
    f"y = {TERMS}",
    f"y = 2*z - {TERMS}",
    f"z = log(a)*({TERMS})",
    f"z = a/2*sum(x[i]/b + {TERMS} + i, i)",
    f"{TERMS} == y[0]*({TERMS})",
    f"z = -({TERMS})",
    f"z = (1/b + {TERMS})/a**4",
]


def plain(tex: str) -> str:
    """Without what breaking adds."""
    tex = re.sub(r"\\(begin|end)\{aligned\}|\\\\\n|\\q?quad|\\(left|right|Biggl|Biggr|Bigl|Bigr)\b|\{\}|[&\s]", "", tex)
    return tex


@pytest.mark.parametrize("formula", WIDE)
def test_rows_fit_and_say_the_same(formula: str) -> None:
    statement = parse_statement(formula)
    shown = latex_display(statement, CONTEXT)
    rows = shown.split("\n")[1:-1]
    assert len(rows) > 2
    assert all(width(row) <= LINE + 3 for row in rows)
    assert plain(shown) == plain(latex(statement, CONTEXT))


def test_what_fits_stays_on_its_line() -> None:
    assert latex_display(parse_statement("y == a + b")) == "y = a + b"
    assert latex_display(parse_statement("a + b == 1").left) == "a + b"  # type: ignore[union-attr]


def test_what_has_no_place_to_break_stays_whole() -> None:
    statement = parse_statement("y = " + "*".join(f"alpha_{n}" for n in range(60)))
    assert latex_display(statement).count("\n") == 0


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("x", 1.1),
        (r"\frac{a b c}{d}", 3.8),
        ("x_i^2", 1.9),
        (r"\sum_{i=1}^N x", 4.9),
        (r"\operatorname{softmax}(x)", 9.6),
        (r"a \\ b c", 2.2),
        (r"\begin{cases} a & b \end{cases}", 6.2),
    ],
)
def test_widths(tex: str, expected: float) -> None:
    assert width(tex) == pytest.approx(expected, abs=0.6)
