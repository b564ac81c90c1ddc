"""The website is open to everybody: axe, which knows the rules of WCAG, finds nothing in any kind of page."""

from __future__ import annotations

from typing import Any

import browsing
import pytest
from browsing import PHONE, WIDE, Build, visit

pytestmark = pytest.mark.slow

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Formulas are pictures that screen readers pass over, drawn in the colour of the text; axe would look at each glyph.
# Sphinx sets the parameters of a long signature as a list without terms.
LEFT_OUT = [[".tex svg"], ["svg.outlines"], [".sig dl"]]
KINDS = ["adam", "bayes_rule", "gan_minimax", "kl_divergence", "lstm_cell", "sigmoid", "softmax_jacobian"]
ENTRIES = [f"equations/{name}.html" for name in KINDS]


def violations(page: Any, *without: str) -> list[str]:
    """What axe finds in the page as shown, a line for each fault and its first places, ``without`` some rules."""
    module = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")
    page.evaluate(module.AXE_SCRIPT)
    found = page.evaluate(
        "([without, options]) => axe.run({exclude: without}, options)",
        [LEFT_OUT, {"resultTypes": ["violations"], "runOnly": RULES, "preload": False}],
    )["violations"]
    found = [fault for fault in found if fault["id"] not in without]
    return [f"{fault['id']}: {fault['help']}: {[_place(node) for node in fault['nodes'][:4]]}" for fault in found]


def _place(node: dict[str, Any]) -> str:
    reasons = [check["message"] for check in [*node["any"], *node["all"], *node["none"]]]
    return f"{node['html'][:120]} ({'; '.join(reasons)[:160]})"


def unfold(page: Any) -> None:
    """Open what is folded, and lay out what is not in view, as somebody who reads to the end would."""
    page.add_style_tag(content=".bd-article section { content-visibility: visible !important; }")
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.wait_for_function("!document.querySelector('[data-steps]')")  # that is loaded now
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def by_hand(build: Build) -> list[str]:
    """The pages that are of no entry."""
    return [path for path in build.pages() if not (build.site / "copies" / f"{path[10:-5]}.js").exists()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_bars_anybody(shipped_build: Build, chromium: Any, scheme: str) -> None:
    faults: dict[str, list[str]] = {}
    pages = [*by_hand(shipped_build), *ENTRIES]
    assert "index.html" in pages and "equations/index.html" in pages
    with visit(chromium, f"{shipped_build.site.as_uri()}/", color_scheme=scheme) as guest:
        for path in pages:
            for size in (WIDE, PHONE):
                guest.page.set_viewport_size(size)
                page = guest.open(path)
                unfold(page)
                if found := violations(page):
                    faults[f"{path}, {size['width']} wide"] = found
    assert not faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_opens_bars_nobody(shipped_build: Build, chromium: Any, scheme: str) -> None:
    """The menu of a formula, the search with results, the panel of the map."""
    faults: dict[str, list[str]] = {}
    with visit(chromium, f"{shipped_build.site.as_uri()}/", color_scheme=scheme) as guest:
        page = guest.open("equations/softmax.html")
        page.locator("#definition .copy-open").click()
        page.get_by_role("menuitem").first.wait_for()
        faults["menu"] = violations(page)
        page.keyboard.press("Escape")
        page.keyboard.press("/")
        page.keyboard.type("softmax")
        page.get_by_role("option").first.wait_for()
        # The arrow keys scroll the results while the field keeps the focus.
        faults["search"] = violations(page, "scrollable-region-focusable")
        page = guest.open("search.html?q=loss")
        page.get_by_role("option").first.wait_for()
        faults["filters"] = violations(page)
        page = guest.open("map.html")
        page.locator("a.eqkb-map-node").first.focus()
        page.keyboard.press("Tab")
        page.locator(".eqkb-map-panel").wait_for()
        faults["map"] = violations(page)
    assert not {place: found for place, found in faults.items() if found}


def test_faults_are_found(chromium: Any, tmp_path: browsing.Path) -> None:
    (tmp_path / "a.html").write_text("<input><p style='color: #999; background: #aaa'>Hard to read</p>")
    with visit(chromium, f"{tmp_path.as_uri()}/") as guest:
        found = " ".join(violations(guest.open("a.html")))
    assert "label: " in found and "color-contrast: " in found and "html-has-lang: " in found
