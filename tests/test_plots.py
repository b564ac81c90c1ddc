"""Plots: what is said of them in a catalogue, what follows without a word, and how they are drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.catalogue import validate

ENTRY = """\
scores:
  name: Scores
  topic: small
  about: Text.
  symbols:
    z: {shape: [C]}
    w: {default: 1.0}
    n: {kind: integer, default: 2}
    p: {shape: [C], role: output}
  define: ["q = z*w*n", "p = softmax(q)"]
  plot: PLOT
"""


def plot_faults(path: Path, plot: str) -> list[tuple[str, int, str]]:
    """Place, column and message of all faults of an entry with this plot."""
    file = path / "mine.yaml"
    file.write_text(ENTRY.replace("PLOT", plot), encoding="utf-8")
    faults = validate(file)
    found = []
    for fault in faults:
        assert fault.location is not None
        found.append((fault.location.path.removeprefix("scores."), fault.location.column, fault.message))
    return found


# --- the key -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plot",
    [
        "false",
        "{over: {t: [-6, 6]}, given: {z: [t, 0, 1]}}",
        "{over: {t: [-6, 6]}, given: {z: [t, 0, 1]}, show: 'p[2] + q[1]'}",
        "{over: {t: [-6, 6]}, given: {z: [t, a]}, each: {a: [0, 1], n: [1, 2]}, show: 'q[0]'}",
        "{over: {t: [-6, 6], u: [0, 1]}, given: {z: 'softmax([t, u])', n: 3}, show: norm(p)}",
        "{over: {w: [0, 2]}, sizes: {C: 40}}",
        "{over: {n: [0, 9]}, sizes: {C: 2}, show: ['p[0]', 'p[1]', 'p[0] - w']}",
        "{given: {z: 'z[i] = cos(i)'}, sizes: {C: 9}, show: p @ q.T}",
        "[{over: {w: [0, 2]}, sizes: {C: 4}}, {show: q @ q.T, sizes: {C: 3}}]",
    ],
)
def test_plots_that_can_be_drawn(tmp_path: Path, plot: str) -> None:
    assert plot_faults(tmp_path, plot) == []


@pytest.mark.parametrize(
    ("plot", "place", "at", "words"),
    [
        ("{over: {t: [0, 1]}, given: {z: '[t,  s]'}}", "plot[0].given.z", "s]'", "'s' is neither a symbol"),
        ("{over: {t: [0, 1]}, given: {z: 'z[i] = t + w'}}", "plot[0].given.z", "w'", "'w' is neither a symbol"),
        ("{over: {t: [0, 1]}, given: {z: 'q[i] = t'}}", "plot[0].given.z", "q[", "gives no value to 'z'"),
        ("{over: {t: [0, 1]}, given: {z: t}}", "plot[0].given.z", "t}", "this has 0 axes, and 'z' has 1"),
        ("{over: {t: [0, 1]}, given: {z: [t, 1]}, sizes: {C: 3}}", "plot[0].given.z", "[t, 1]", "must have [3]"),
        ("{over: {t: [0, 1]}, given: {z: [t, 1], n: 2.5}}", "plot[0].given.n", "2.5", "write a whole number"),
        ("{over: {t: [0, 1]}, given: {z: [t, 1], n: [2, 2]}}", "plot[0].given.n", "[2, 2]", "this has 1 axis"),
        ("{over: {z: [0, 1]}}", "plot[0].over.z", "z:", "'z' is not one number; vary a name of your own"),
        ("{over: {w: [0, 1]}}", "plot[0]", "{over", "nothing says how large 'C' is; add it under 'sizes'"),
        ("{over: {w: [0, 1]}, sizes: {c: 3}}", "plot[0].sizes.c", "c:", "is no dimension of this entry"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, show: 'p[0] + r'}", "plot[0].show[0]", "r'", "'r' is neither"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, show: [w, 'p[3]']}", "plot[0].show[1]", "3]", "not provably in range"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, show: [w, p]}", "plot[0].show[1]", "p]", "each must be one number"),
        ("{over: {w: [0, 1]}, sizes: {C: 3}, each: {n: [1]}}", "plot[0].each", "each", "one curve for each value"),
        ("{sizes: {C: 3}}", "plot[0]", "{sizes", "an array of 1 axis over no name cannot be drawn"),
        ("{sizes: {C: 3}, show: sum(p)}", "plot[0].show[0]", "show", "write under 'over' what is varied"),
        ("{sizes: {C: 65}, show: p @ p.T}", "plot[0].show[0]", "show", "at most 64 rows and columns, not 65"),
    ],
)
def test_a_fault_of_a_plot_has_its_place_and_a_remedy(
    tmp_path: Path, plot: str, place: str, at: str, words: str
) -> None:
    found = plot_faults(tmp_path, plot)
    column = f"  plot: {plot}".rindex(at) + 1
    assert [(p, c) for p, c, message in found if words in message] == [(place, column)], found


def test_faults_of_all_plots_are_found(tmp_path: Path) -> None:
    found = plot_faults(tmp_path, "[{over: {w: [0, 1]}}, {over: {w: [0, 1]}, given: {z: [w, v]}}]")
    assert [place for place, _, _ in found] == ["plot[0]", "plot[1].given.z"]
