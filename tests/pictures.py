"""Formulas as pictures: typeset by TeX and by Typst, one on a page of its size, and compared."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from generators.sheets.setting import compile_tex
from kb.printing.typst import RULES, typst

Picture = Any  # ink in 0..1, rows first
DPI = 432
_INK = 0.6  # what counts as ink where pieces are counted; letters that nearly touch stay apart
_CELL = 15  # pixels; the strokes of the two fonts differ a little
_TEX = r"""\documentclass[10pt]{article}\usepackage[T1]{fontenc}\usepackage{lmodern,amsmath,amssymb}
\hoffset-1in\voffset-1in\newsavebox\formula
\newcommand\page[1]{\setbox\formula\hbox{$\displaystyle #1$}%
\pdfpagewidth=\dimexpr\wd\formula+8pt\relax\pdfpageheight=\dimexpr\ht\formula+\dp\formula+8pt\relax
\shipout\vbox{\kern4pt\hbox{\kern4pt\box\formula}}}
\begin{document}
"""
_TYPST = """#set page(width: auto, height: auto, margin: 4pt)
#set text(size: 10pt, font: "New Computer Modern", top-edge: "bounds", bottom-edge: "bounds")
"""


class Likeness(NamedTuple):
    """How two pictures differ: ratios of their sizes, correlation of their ink, difference in pieces of ink."""

    width: float
    height: float
    correlation: float
    pieces: int


def rows_of(latex: str) -> list[str]:
    """The rows of aligned statements as formulas of their own; their distance is a matter of taste."""
    found = re.fullmatch(r"\\begin\{aligned\}\n(.*)\n\\end\{aligned\}", latex, re.DOTALL)
    return [row.replace("&", "", 1) for row in found[1].split(" \\\\\n")] if found else [latex]


def typst_document(formulas: Sequence[str]) -> str:
    """One page for each formula in LaTeX, by our printer."""
    return RULES + _TYPST + "\n#pagebreak()\n".join(f"$ {typst(formula)} $" for formula in formulas)


def typst_pdf(source: str, folder: Path) -> bytes:
    import typst as program

    path = folder / "formulas.typ"
    path.write_text(source, encoding="utf-8")
    made = program.compile(str(path))
    assert isinstance(made, bytes)
    return made


def tex_pdf(formulas: Sequence[str]) -> bytes:
    return compile_tex(_TEX + "\n".join(rf"\page{{{formula}}}" for formula in formulas) + "\n\\end{document}\n")[0]


def pages(document: bytes, folder: Path, name: str) -> Iterator[Picture]:
    """The pages of a PDF, cut to their ink."""
    path = folder / f"{name}.pdf"
    path.write_bytes(document)
    subprocess.run(["pdftoppm", "-r", str(DPI), "-gray", str(path), str(folder / name)], check=True)
    for page in sorted(folder.glob(f"{name}-*.pgm")):
        yield _cut(_read(page))
        page.unlink()


def likenesses(ours: Sequence[str], tex: Sequence[str], folder: Path) -> list[Likeness]:
    """Of Typst's pictures of some formulas and of TeX's pictures of some."""
    left = pages(tex_pdf(tex), folder, "tex")
    right = pages(typst_pdf(typst_document(ours), folder), folder, "typst")
    found = [likeness(a, b) for a, b in zip(left, right, strict=True)]
    assert len(found) == len(ours)
    return found


def likeness(one: Picture, other: Picture) -> Likeness:
    """Of two pictures; what is correlated are both in the size of the first, coarse and blurred."""
    size = [max(3, round(n / _CELL)) for n in one.shape]
    a, b = (_blurred(np.pad(_pooled(picture, *size), 2)) for picture in (one, other))
    a, b = a - a.mean(), b - b.mean()
    correlation = float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))
    height, width = (there / here for here, there in zip(one.shape, other.shape, strict=True))
    return Likeness(width, height, correlation, pieces(other) - pieces(one))


def pieces(picture: Picture) -> int:
    """How many pieces of ink hang together: most signs are one, an i and an equals sign are two."""
    edges = np.diff(np.pad(picture > _INK, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    parents: list[int] = []

    def root(run: int) -> int:
        while parents[run] != run:
            parents[run] = run = parents[parents[run]]
        return run

    above: list[tuple[int, int, int]] = []
    for row in edges:
        runs, first = [], 0
        for start, end in zip(np.flatnonzero(row == 1).tolist(), np.flatnonzero(row == -1).tolist(), strict=True):
            run = len(parents)
            parents.append(run)
            while first < len(above) and above[first][1] < start:
                first += 1
            for other in above[first:]:
                if other[0] > end:
                    break
                parents[root(other[2])] = root(run)
            runs.append((start, end, run))
        above = runs
    return len({root(run) for run in range(len(parents))})


def _read(path: Path) -> Picture:
    content = path.read_bytes()
    head = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", content)
    assert head is not None
    width, height = int(head[1]), int(head[2])
    return 1 - np.frombuffer(content, np.uint8, width * height, head.end()).reshape(height, width) / 255


def _cut(picture: Picture) -> Picture:
    (top, *_, bottom), (left, *_, right) = (np.flatnonzero(picture.max(axis) > 0.3) for axis in (1, 0))
    return picture[top : bottom + 1, left : right + 1]


def _pooled(picture: Picture, rows: int, columns: int) -> Picture:
    """The ink in each cell of a grid."""
    for axis, count in ((0, rows), (1, columns)):
        places = np.linspace(0, picture.shape[axis], count + 1)
        total = np.insert(np.cumsum(picture, axis), 0, 0, axis)
        low = np.minimum(places.astype(int), picture.shape[axis] - 1)
        share = np.expand_dims(places - low, 1 - axis)
        at = np.take(total, low, axis) * (1 - share) + np.take(total, low + 1, axis) * share
        picture = np.diff(at, axis=axis)
    return picture


def _blurred(picture: Picture) -> Picture:
    for _ in range(2):
        for axis in (0, 1):
            picture = (np.roll(picture, 1, axis) + 2 * picture + np.roll(picture, -1, axis)) / 4
    return picture
