"""The search of the website as a person uses it, in a browser and from disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kb
from generators.site.search_index import NAME, search_index
from generators.views import views

pytestmark = pytest.mark.slow

SITE = Path(__file__).parent.parent / "site"
PAGE = """<!doctype html><html lang="en" data-content_root="{root}"><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="{root}_static/search.css"><script src="{root}_static/search.js"></script>
<body>{button}<p>Text.</p><input id="other">{body}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of three pages: one with a button, one of an entry, and that of the search."""
    made = tmp_path_factory.mktemp("site")
    shutil.copytree(SITE / "static", made / "_static")
    (made / "equations").mkdir()
    catalogue = kb.load_catalogue()
    entries = views(catalogue, list(catalogue))
    features = {"derivative": [view.id for view in entries if view.entry.differentiate]}
    (made / NAME).write_text(search_index(entries, features), encoding="utf-8")
    button = re.sub(r"\{#.*?#\}", "", (SITE / "templates" / "search-button.html").read_text(), flags=re.DOTALL)
    mount = '<div id="eqkb-search-page"></div>'
    for path, root, body in (
        ("index.html", "./", ""),
        ("search.html", "./", mount),
        *((f"equations/{entry_id}.html", "../", "") for entry_id in ("softmax", "adam", "sigmoid")),
    ):
        (made / path).write_text(PAGE.format(root=root, title=path, button=button, body=body), encoding="utf-8")
    return made


@pytest.fixture
def page(chromium: Any, folder: Path) -> Iterator[Any]:
    opened = chromium.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: None if request.url.startswith("file:") else faults.append(request.url))
    opened.goto((folder / "index.html").as_uri())
    yield opened
    opened.close()
    assert not faults


def names(page: Any) -> list[str]:
    return page.locator(".eqkb-hit-name").all_text_contents()


@pytest.mark.parametrize("key", ["/", "Control+k", "Meta+k"])
def test_keys_open_the_dialog_and_escape_gives_the_focus_back(page: Any, key: str) -> None:
    page.locator(".eqkb-search-open").focus()
    page.keyboard.press(key)
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert page.get_by_role("combobox").evaluate("field => field === document.activeElement")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.className").startswith("eqkb-search-open")


def test_a_slash_that_is_being_written_opens_nothing(page: Any) -> None:
    page.locator("#other").press("/")
    assert page.locator("#other").input_value() == "/" and page.get_by_role("dialog").count() == 0


def test_typing_choosing_and_opening(page: Any) -> None:
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Activations").wait_for()
    page.keyboard.type("sofmax")
    page.wait_for_selector(".eqkb-hit")
    assert names(page)[0] == "Softmax"
    assert page.locator(".eqkb-hit mark").first.text_content() == "Softmax"
    field, first = page.get_by_role("combobox"), page.locator(".eqkb-hit").first
    assert field.get_attribute("aria-activedescendant") == first.get_attribute("id")
    assert field.get_attribute("aria-expanded") == "true"
    count = page.get_by_role("option").count()
    assert page.get_by_role("status").text_content() == f"{count} equations"
    page.keyboard.press("ArrowDown")
    assert first.get_attribute("aria-selected") == "false"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/equations/softmax.html")
    page.keyboard.press("/")
    page.keyboard.type("1412.6980")  # and from a folder below
    page.wait_for_selector(".eqkb-hit")
    page.keyboard.press("Enter")
    page.wait_for_url("**/equations/adam.html")


def test_control_and_enter_open_another_tab(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type(r"\frac{1}{1+e^{-x}}")
    page.wait_for_selector(".eqkb-hit")
    with page.context.expect_page() as opened:
        page.keyboard.press("Control+Enter")
    opened.value.wait_for_url("**/equations/sigmoid.html")
    opened.value.close()
    assert page.get_by_role("dialog").is_visible()


def test_nothing_found_names_what_is_near(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("softmax xyzzyx")
    page.wait_for_selector(".eqkb-hit")
    assert "Nothing is like “softmax xyzzyx”" in (page.get_by_role("status").text_content() or "")
    assert "Softmax" in names(page)


def test_text_is_no_html(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("<img src=x onerror=alert(1)>zzz")
    page.get_by_text("Nothing is like").wait_for()
    assert page.locator("dialog img").count() == 0


def test_the_page_filters_and_its_address_says_how(page: Any, folder: Path) -> None:
    address = (folder / "search.html").as_uri()
    page.goto(address)
    page.get_by_text(f"All {len(kb.load_catalogue())} equations").wait_for()
    assert page.locator(".eqkb-hit").count() == 40
    page.get_by_role("button", name="Show all").click()
    assert page.locator(".eqkb-hit").count() == len(kb.load_catalogue())
    page.get_by_label("Losses").check()
    page.get_by_label("update").first.check()
    assert page.get_by_role("status").text_content().startswith("0 of")
    page.get_by_label("update").first.uncheck()
    losses = names(page)
    page.get_by_role("combobox").fill("hinge")
    assert 0 < len(names(page)) < len(losses)
    assert page.url == f"{address}?q=hinge&topic=losses"
    shown = names(page)
    page.goto("about:blank")
    page.go_back()
    page.wait_for_selector(".eqkb-hit")
    assert names(page) == shown and page.get_by_label("Losses").is_checked()
    page.get_by_role("button", name="Clear filters").click()
    assert page.url == f"{address}?q=hinge"


def test_values_of_an_address_that_mean_nothing_do_no_harm(page: Any, folder: Path) -> None:
    page.goto((folder / "search.html").as_uri() + "?q=%3Cb%3E&topic=__proto__&kind=nothing&other=1")
    page.wait_for_selector(".eqkb-search-status:not(:empty)")
    assert page.locator(".eqkb-search-status b").count() == 0


def test_the_keys_lead_to_the_field_of_the_page(page: Any, folder: Path) -> None:
    page.goto((folder / "search.html").as_uri() + "?q=adam")
    page.wait_for_selector(".eqkb-hit")
    page.get_by_text("Text.").click()
    page.keyboard.press("/")
    page.keyboard.type("sigmoid")
    assert page.get_by_role("combobox").input_value() == "sigmoid" and page.get_by_role("dialog").count() == 0
