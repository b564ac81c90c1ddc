"""A small writer of SVG: shapes with classes, whose colours stand alone and follow a page's style sheet.

Everything drawn in the colour of text is ``currentColor``. A page may set the colours of the
classes ``plot-line-1`` to ``plot-line-6``, ``plot-positive`` and ``plot-negative``; those given
here have a contrast of at least 3 to white and to a dark page alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

COLOURS = ("#2b7bd4", "#cf6a17", "#23915a", "#8e6bd9", "#c2508f", "#128a96")
POSITIVE, NEGATIVE = COLOURS[0], COLOURS[1]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
SIZE = 12  # of text
_LOW = 0.72  # size of a subscript
_LETTERS = "[0-9A-Za-zα-ωΑ-Ω]+"
_LOWERED = rf"_(\{{[^{{}}]*\}}|{_LETTERS}(?:,{_LETTERS})*)"
_SCRIPT = re.compile(_LOWERED)


def number(value: float, digits: int = 2) -> str:
    """A coordinate without trailing zeros."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


class Canvas:
    """A picture of a size, to which shapes are added in order."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.parts: list[str] = []

    def open(self, name: str, **attributes: str | float) -> None:
        """Begin a group."""
        self.parts.append(f"<g{_attributes({'class': name, **attributes})}>")

    def close(self) -> None:
        """End the last group; one that is empty is left out."""
        if self.parts[-1].startswith("<g"):
            self.parts.pop()
        else:
            self.parts.append("</g>")

    def path(self, data: str, **attributes: str | float) -> None:
        """A path; nothing where there is no data."""
        if data:
            self.parts.append(f"<path{_attributes({**attributes, 'd': data})}/>")

    def rect(self, x: float, y: float, width: float, height: float, **attributes: str | float) -> None:
        """A rectangle."""
        shape: dict[str, str | float] = {"x": x, "y": y, "width": width, "height": height}
        self.parts.append(f"<rect{_attributes(attributes | shape)}/>")

    def text(self, x: float, y: float, content: str, **attributes: str | float) -> None:
        """A text in Unicode; what follows ``_`` stands low."""
        self.parts.append(f"<text{_attributes({'x': x, 'y': y, **attributes})}>{spans(content)}</text>")

    def svg(self, title: str, about: str) -> str:
        """The whole picture, with words for those who do not see it."""
        head: dict[str, str | float] = {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "plot",
            "viewBox": f"0 0 {number(self.width)} {number(self.height)}",
            "width": self.width,
            "height": self.height,
            "role": "img",
            "font-family": FONT,
            "font-size": SIZE,
            "fill": "none",
            "stroke-linejoin": "round",
        }
        said = f"<title>{escape(title)}</title>\n<desc>{escape(about)}</desc>"
        body = "\n".join(self.parts)
        return f"<svg{_attributes(head)}>\n{said}\n{body}\n</svg>\n"


def _attributes(values: dict[str, str | float]) -> str:
    made = []
    for name, value in values.items():
        text = value if isinstance(value, str) else number(value)
        made.append(f' {name.rstrip("_").replace("_", "-")}="{escape(text)}"')
    return "".join(made)


def spans(content: str) -> str:
    """A text with its subscripts set low, escaped."""
    made, at = [], 0
    for match in _SCRIPT.finditer(content):
        low = match.group(1).strip("{}")
        made.append(escape(content[at : match.start()]))
        # The shift is undone by what follows: no browser but one knows baseline-shift.
        made.append(f'<tspan dy=".25em" font-size="{_LOW}em">{escape(low)}</tspan>')
        at = match.end()
        rest = content[at:]
        made.append(f'<tspan dy="-{number(0.25 * _LOW)}em">{escape(rest[:1])}</tspan>' if rest else "")
        at += 1
    return "".join([*made, escape(content[at:])])


def width_of(content: str, size: float = SIZE) -> float:
    """About how wide a text is."""
    units = 0.0
    for match in re.finditer(rf"{_LOWERED}|.", content, re.DOTALL):
        text = match.group(1)
        units += _LOW * sum(map(_advance, text.strip("{}"))) if text else _advance(match.group())
    return units * size


def _advance(sign: str) -> float:
    if "\u0300" <= sign <= "\u036f":  # marks that stand above the letter before
        return 0.0
    if sign in "ijlI.,:;|!'()[] ₁ᵢⱼ":
        return 0.33
    return 0.88 if sign in "mwMW@%" else 0.6


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """Path data through points, in as few characters as can be."""
    made: list[str] = []
    for x, y in points:
        made.append(f"{number(x)} {number(y)}")
    return f"M{'L'.join(made)}" if len(made) > 1 else ""


def polylines(lines: Iterable[Sequence[tuple[float, float]]]) -> str:
    """Path data through several lines."""
    return "".join(polyline(line) for line in lines)
