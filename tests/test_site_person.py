"""The website as a person uses it: finding, copying, the map, reading by keyboard; from disk and served."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import browsing
import pytest
from browsing import PHONE, Build, Visit, visit

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
expect = sync_api.expect
pytestmark = pytest.mark.slow

CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture(scope="module", params=["disk", "served"])
def home(request: pytest.FixtureRequest, shipped_build: Build) -> str:
    """Where the site begins."""
    if request.param == "disk":
        return f"{shipped_build.site.as_uri()}/"
    return str(request.getfixturevalue("served"))


@pytest.fixture
def guest(chromium: Any, home: str) -> Iterator[Visit]:
    with visit(chromium, home, permissions=CLIPBOARD, color_scheme="light") as made:
        yield made


def focused(page: Any) -> Any:
    return page.locator(":focus")


# --- finding ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "name", "entry"),
    [
        ("softmax", "Softmax", "softmax"),
        ("sofmax", "Softmax", "softmax"),
        ("Kulback Leibler", "Kullback-Leibler divergence", "kl_divergence"),
        (r"\frac{1}{1+e^{-z}}", "Sigmoid", "sigmoid"),
        (r"\hat{m}_t", "Adam", "adam"),
        ("torch.nn.functional.softmax", "Softmax", "softmax"),
        ("1412.6980", "Adam", "adam"),
    ],
)
def test_an_equation_is_found_from_any_page(guest: Visit, typed: str, name: str, entry: str) -> None:
    page = guest.open("equations/dropout.html")
    page.keyboard.press("/")
    page.keyboard.type(typed)
    first = page.get_by_role("option").first
    expect(first.locator(".eqkb-hit-name")).to_have_text(re.compile(rf"^{re.escape(name)}\b", re.I))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/equations/{entry}.html")
    expect(page.locator("h1")).to_contain_text(name)


def test_filters_change_what_is_listed(guest: Visit) -> None:
    page = guest.open("search.html")
    status = page.get_by_role("status")
    expect(status).to_contain_text(re.compile(r"All \d+ equations"))
    page.get_by_label("Optimizers").or_(page.get_by_label("Optimization")).first.check()
    expect(status).to_contain_text(re.compile(r"^\d+ of \d+ equations"))
    names = page.locator(".eqkb-hit-name")
    page.get_by_role("combobox").fill("moment")
    expect(names.first).to_be_visible()
    assert "Softmax" not in names.all_text_contents()
    with page.expect_navigation():
        names.first.click()
    assert "/equations/" in page.url
    page.go_back()
    expect(page.get_by_role("combobox")).to_have_value("moment")
    expect(status).to_contain_text(re.compile(r"^\d+ of \d+ equations"))


def test_the_search_fits_a_phone(guest: Visit) -> None:
    page = guest.open("equations/softmax.html")
    page.set_viewport_size(PHONE)
    page.get_by_role("button", name="Search").first.click()
    page.keyboard.type("attention")
    expect(page.get_by_role("option").first).to_be_visible()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


# --- copying ----------------------------------------------------------------------------------------


def printed(build: Build, command: str) -> str:
    """What a command prints, with the evidence of the build."""
    program, *arguments = shlex.split(command)
    assert program == "eqkb"
    environment = {**os.environ, "XDG_CACHE_HOME": str(build.cache), "PYTHONPATH": str(browsing.ROOT)}
    line = [sys.executable, "-m", "kb", *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout


def clipboard(page: Any, name: str) -> str:
    """What was copied, once the page says so."""
    expect(page.locator("[role=status]", has_text=f"{name} copied")).to_be_attached()
    return str(page.evaluate("navigator.clipboard.readText()"))


def open_menu(page: Any, anchor: str) -> None:
    """Open the menu of a formula by keyboard; its first item has the focus."""
    page.locator(f"figure[id='{anchor}'] .copy-open").focus()
    page.keyboard.press("Enter")
    expect(focused(page)).to_have_attribute("role", "menuitem")


@pytest.mark.parametrize(
    ("entry", "anchor", "name", "command"),
    [
        ("softmax", "definition", "LaTeX", "eqkb latex softmax"),
        ("softmax", "definition", "NumPy", "eqkb code softmax --backward"),
        ("softmax", "definition", "JSON", "eqkb show softmax --json"),
        ("softmax", "definition", "BibTeX", None),
        ("sigmoid", "backward", "LaTeX", None),
        ("sigmoid", "backward", "NumPy", None),
        ("gan_minimax", "definition", "LaTeX", "eqkb latex gan_minimax"),
    ],
)
def test_what_is_copied_is_what_the_command_prints(
    guest: Visit, shipped_build: Build, entry: str, anchor: str, name: str, command: str | None
) -> None:
    page = guest.open(f"equations/{entry}.html")
    open_menu(page, anchor)
    page.keyboard.press(name[0])
    expect(focused(page).locator(".copy-name")).to_have_text(name)
    shown = focused(page).locator(".copy-remark").text_content().strip()
    assert command is None or shown.split() == command.split()
    page.keyboard.press("Enter")
    assert clipboard(page, name) == printed(shipped_build, shown)
    expect(focused(page)).to_have_class(re.compile("copy-open"))


def test_a_permalink_leads_to_its_formula(guest: Visit) -> None:
    page = guest.open("equations/softmax.html")
    open_menu(page, "backward")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    link = clipboard(page, "Permalink")
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("figure:target")).to_have_id("backward")
    expect(page.locator("figure:target")).to_be_in_viewport()
    expect(page.locator("h1")).to_contain_text("Softmax")


def test_the_menu_closes_and_the_focus_stays(guest: Visit) -> None:
    page = guest.open("equations/softmax.html")
    open_menu(page, "definition")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(focused(page)).to_have_class(re.compile("copy-open"))
    page.locator("#definition .copy-open").click()
    expect(page.get_by_role("menuitem").first).to_be_visible()
    page.locator("h1").click()
    expect(page.get_by_role("menu")).to_have_count(0)


def test_code_is_copied_whole(guest: Visit) -> None:
    page = guest.open("equations/softmax.html")
    block = page.locator("div.highlight").last
    block.get_by_role("button", name="Copy this code").press("Enter")
    assert clipboard(page, "Code") == block.locator("pre").text_content()


# --- the map ----------------------------------------------------------------------------------------


def find_on_map(page: Any, words: str) -> Any:
    """Search on the map; what is found has the focus."""
    page.get_by_label("Find on the map").fill(words)
    page.keyboard.press("Enter")
    expect(focused(page)).to_have_class(re.compile("eqkb-map-node"))
    return focused(page)


def test_the_map_leads_to_pages(guest: Visit) -> None:
    page = guest.open("map.html")
    node = find_on_map(page, "softmax")
    expect(node).to_have_attribute("data-id", "softmax")
    expect(page.locator(".eqkb-map-panel")).to_contain_text("Used by")
    page.locator(".eqkb-map-node[data-id=softmax] .eqkb-map-box").click()
    page.wait_for_url("**/equations/softmax.html")


def test_the_map_by_keyboard(guest: Visit) -> None:
    page = guest.open("map.html")
    page.locator(".eqkb-map-node").first.focus()
    page.keyboard.press("Tab")
    first = focused(page).get_attribute("data-id")
    page.keyboard.press("Tab")
    second = focused(page).get_attribute("data-id")
    assert first and second and first != second
    expect(page.locator(".eqkb-map-panel .eqkb-map-name")).to_have_text(focused(page).get_attribute("aria-label"))
    page.keyboard.press("Space")
    assert focused(page).evaluate("e => e.closest('.eqkb-map-panel') !== null")
    page.keyboard.press("Escape")
    expect(focused(page)).to_have_attribute("data-id", second)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/equations/{second}.html")


def test_the_map_shows_chosen_topics(guest: Visit) -> None:
    page = guest.open("map.html")
    topic = page.locator(".eqkb-map-topics button").nth(1)
    topic.press("Enter")
    expect(topic).to_have_attribute("aria-pressed", "true")
    name = topic.get_attribute("data-topic")
    assert page.locator(f".eqkb-map-node[data-topic='{name}'].is-out").count() == 0
    expect(page.locator(f".eqkb-map-node:not([data-topic='{name}']):not(.is-out)")).to_have_count(0)
    topic.press("Enter")
    expect(page.locator(".eqkb-map-node.is-out")).to_have_count(0)


# --- reading ----------------------------------------------------------------------------------------


def background(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_a_chosen_theme_stays(guest: Visit) -> None:
    page = guest.open("index.html")
    light = background(page)
    page.locator("button.theme-switch-button:visible").press("Enter")
    page.get_by_role("button", name="Dark").press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = background(page)
    assert dark != light
    page.reload()
    assert background(page) == dark
    guest.open("equations/softmax.html")
    assert background(page) == dark


def test_a_derivation_opens_by_keyboard(guest: Visit) -> None:
    page = guest.open("equations/softmax.html")
    details = page.locator("details.derivation").first
    formula = details.locator(".tex > svg").first
    expect(formula).to_be_hidden()
    details.locator("summary").press("Enter")
    expect(formula).to_be_visible()
    details.locator("summary").press("Enter")
    expect(formula).to_be_hidden()


def test_the_first_tab_skips_to_the_content(guest: Visit) -> None:
    page = guest.open("equations/softmax.html")
    page.keyboard.press("Tab")
    expect(focused(page)).to_have_text("Skip to main content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page).evaluate("e => e.closest('main') !== null")


def test_pages_can_be_read_without_scripts(chromium: Any, home: str) -> None:
    with visit(chromium, home, java_script_enabled=False) as guest:
        page = guest.open("equations/softmax.html")
        expect(page.locator("#definition .tex > svg")).to_be_visible()
        expect(page.locator(".copy-open").first).to_be_hidden()
        page = guest.open("search.html")
        page.get_by_role("main").get_by_role("link", name="All equations by topic").click()
        page.wait_for_url("**/equations/index.html")
        page = guest.open("map.html")
        page.locator("a.eqkb-map-node[data-id=softmax]").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/equations/softmax.html")
