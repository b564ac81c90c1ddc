"""Every page of the website in a browser, from disk and served."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import browsing
import pytest
from browsing import PHONE, WIDE, Build, visit

pytestmark = pytest.mark.slow

PARTS = 6  # that the pages are divided into, so that processes can share them
AUDIT = (browsing.ROOT / "tests" / "page_audit.js").read_text(encoding="utf-8")
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def part_of(build: Build, part: int) -> Sequence[str]:
    found = build.pages()[part::PARTS]
    assert found
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_pages_from_disk_are_whole(shipped_build: Build, chromium: Any, part: int) -> None:
    faults: dict[str, list[str]] = {}
    with visit(chromium, f"{shipped_build.site.as_uri()}/") as guest:
        for path in part_of(shipped_build, part):
            page = guest.open(path)
            audit = page.evaluate(AUDIT)
            found = [*audit["faults"], *wrong_count(shipped_build, path, audit)]
            for size in (WIDE, PHONE):
                page.set_viewport_size(size)
                if (beyond := page.evaluate(OVERFLOW)) > 0:
                    found.append(f"{beyond} pixels beyond the right border, {size['width']} wide: {beyond_by(page)}")
            if found:
                faults[path] = found
    assert not faults


@pytest.mark.parametrize("part", range(PARTS))
def test_served_pages_load(shipped_build: Build, served: str, chromium: Any, part: int) -> None:
    with visit(chromium, served) as guest:
        for path in part_of(shipped_build, part):
            page = guest.open(path)
            assert page.locator("h1").count() == 1, path


def beyond_by(page: Any) -> list[str]:
    """What reaches beyond the border, the innermost of it."""
    return page.evaluate(
        """() => {
          const beyond = [...document.querySelectorAll("body *")].filter((e) => {
            const box = e.getBoundingClientRect();
            return box.width && box.right > window.innerWidth + 1 && !e.closest(".tex-spoken");
          });
          const inner = beyond.filter((e) => !beyond.some((other) => other !== e && e.contains(other)));
          return inner.slice(0, 3).map((e) => e.outerHTML.slice(0, 100));
        }"""
    )


# --- formulas ---------------------------------------------------------------------------------------


def wrong_count(build: Build, path: str, audit: dict[str, int]) -> list[str]:
    """Whether a page shows as many formulas as its Markdown has."""
    source = (build.sources / path).with_suffix(".md")
    if not source.is_file():
        return []
    blocks, inline = formulas_in(source.read_text(encoding="utf-8"))
    shown = audit["blocks"], audit["inline"]
    if shown == (blocks, inline):
        return []
    return [
        f"{shown[0]} formulas in lines of their own and {shown[1]} in text, of which there are {blocks} and {inline}"
    ]


def formulas_in(text: str) -> tuple[int, int]:
    """How many formulas Markdown has in lines of their own, and how many within text; directives may hold some."""
    markdown_it = pytest.importorskip("markdown_it")
    plugins = pytest.importorskip("mdit_py_plugins.dollarmath")
    reader = markdown_it.MarkdownIt("commonmark").use(plugins.dollarmath_plugin).enable("table")
    body = text.partition("\n---\n")[2] if text.startswith("---\n") else text
    blocks = inline = 0
    for token in reader.parse(body):
        children = token.children or []
        blocks += token.type.startswith("math_block")
        inline += sum(child.type == "math_inline" for child in children)
        directive = re.match(r"\{([\w-]+)\}", token.info.strip()) if token.type == "fence" else None
        if directive and directive[1] in ("formula", "math"):
            blocks += 1
        elif directive and directive[1] not in ("toctree", "raw", "code-block", "eval-rst"):
            within = formulas_in(token.content)
            blocks, inline = blocks + within[0], inline + within[1]
    return blocks, inline


def test_formulas_of_markdown_are_counted() -> None:
    text = (
        "---\nx: $a$\n---\n# A $x$\n\n$$\ny\n$$\n\n```{formula} here\nz\n```\n\n`$no$` \\$5 and $6\n\n"
        "| $a$ | b |\n|-|-|\n| $c$ | |\n"
    )
    assert formulas_in(text) == (2, 3)
    assert formulas_in("````{note}\n$q$\n\n```{math}\nx\n```\n````\n") == (1, 1)
