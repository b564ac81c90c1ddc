"""SVG of formulas in fewer words: groups that only move their content are moved into it.

MathJax nests a group for every node of a formula. Most of them carry nothing or a translation, which adds up to the
place of a glyph, and a thousandth of an em can be seen by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

_MOVE = re.compile(r"translate\((-?[\d.]+),\s*(-?[\d.]+)\)")
_NUMBER = re.compile(r"-?\d+\.\d+")


def flattened(svg: str) -> str:
    """The same picture. Expects an SVG without namespaces."""
    root = ElementTree.fromstring(svg)
    return f"{_opening(root)}>{''.join(_content(root, 0, 0))}</svg>"


def _content(node: Element, x: float, y: float) -> Iterator[str]:
    if node.text:
        yield escape(node.text)
    for child in node:
        yield from _shown(child, x, y)


def _shown(node: Element, x: float, y: float) -> Iterator[str]:
    """A node moved by ``x`` and ``y``."""
    move = _MOVE.fullmatch(node.get("transform", "translate(0,0)"))
    dx, dy = (float(move[1]), float(move[2])) if move else (0.0, 0.0)
    if move and node.tag == "g" and set(node.attrib) <= {"transform"}:
        yield from _content(node, x + dx, y + dy)
    elif move and node.tag in ("use", "rect"):
        node.attrib.pop("transform", None)
        _place(node, x + dx, y + dy)
        yield _element(node)
    else:
        _translate(node, x, y)
        yield _element(node)


def _place(node: Element, x: float, y: float) -> None:
    for name, moved in (("x", x), ("y", y)):
        at = round(float(node.get(name, 0)) + moved)
        node.attrib.pop(name, None)
        if at:
            node.set(name, str(at))


def _translate(node: Element, x: float, y: float) -> None:
    """Move what has a transformation of its own, or whose place is no attribute."""
    own = node.get("transform", "")
    if move := _MOVE.match(own):
        x, y, own = x + float(move[1]), y + float(move[2]), own[move.end() :]
    if round(x) or round(y):
        node.set("transform", f"translate({round(x)},{round(y)}){own}")


def _element(node: Element) -> str:
    content = "".join(_content(node, 0, 0))
    return f"{_opening(node)}>{content}</{node.tag}>" if content else f"{_opening(node)}/>"


def _opening(node: Element) -> str:
    return f"<{node.tag}" + "".join(f" {name}={quoteattr(_rounded(name, value))}" for name, value in node.items())


def _rounded(name: str, value: str) -> str:
    """Places and sizes within the picture in whole thousandths of an em; its own size stands in other units."""
    if name == "transform":
        return _MOVE.sub(lambda m: f"translate({round(float(m[1]))},{round(float(m[2]))})", value)
    if name in ("x", "y", "viewBox") or (name in ("width", "height") and not value.endswith("ex")):
        return _NUMBER.sub(lambda m: str(round(float(m[0]))), value)
    return value
