"""Links of the website: every one within it leads to a file and a place in it that are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote, urlsplit

import pytest
from browsing import Build

EXTERNAL = re.compile(r"https?://[\w.-]+\.[a-z]{2,}(?:/[^\s<>\"]*)?")
ADDRESSES = {"href", "src", "srcset", "poster", "action", "data"}


class Page(HTMLParser):
    """The addresses that a page names, the places that it has, and the formulas with a menu."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.formulas: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.add(found["id"])
        self.links += [value for name, value in found.items() if name in ADDRESSES]
        if tag == "figure" and "data-entry" in found:
            self.formulas.append((found["data-entry"], found["id"]))

    handle_startendtag = handle_starttag


def faults_of(files: Mapping[str, bytes], others: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """Every link that leads nowhere; ``others`` are files beside those of the site, under ``../``."""
    pages = {name: Page(content.decode()) for name, content in files.items() if name.endswith(".html")}
    beside = {f"../{name}" for name in others or ()}
    for name, page in pages.items():
        for link in dict.fromkeys(page.links):
            if urlsplit(link).scheme in ("http", "https"):
                if not EXTERNAL.fullmatch(link):
                    yield f"{name}: {link} is no address"
                continue
            if urlsplit(link).scheme or urlsplit(link).netloc:
                yield f"{name}: {link} leads to an unusual place"
                continue
            path, place = unquote(urlsplit(link).path), unquote(urlsplit(link).fragment)
            target = normpath(PurePosixPath(name).parent / path) if path else name
            if target not in files and target not in beside:
                yield f"{name}: there is no file {link}"
            elif place and target in pages and place not in pages[target].ids:
                yield f"{name}: there is no place {link}"


def test_faults_are_found() -> None:
    page = (
        '<h1 id="top">A</h1><a href="#top">1</a><a href="#gone">2</a><a href="b/c.html">3</a><img src="/x.png">'
        '<a href="b/d.html?x#y">4</a><a href="https://a.org/b">5</a><a href="http://a b">6</a><a href="//a.org">7</a>'
        '<a href="javascript:x">8</a><a href="../code/a.py">9</a>'
    )
    files = {"a.html": page.encode(), "b/d.html": b'<p id="y"><a href="../a.html#top">1</a><a href="a.html">2</a>'}
    found = [fault.split(": ", 1)[1] for fault in faults_of(files, {"code/a.py": b""})]
    assert found == [
        "there is no place #gone",
        "there is no file b/c.html",
        "there is no file /x.png",
        "http://a b is no address",
        "//a.org leads to an unusual place",
        "javascript:x leads to an unusual place",
        "there is no file a.html",
    ]


@pytest.fixture(scope="module")
def shipped(shipped_build: Build) -> dict[str, bytes]:
    return {
        path.relative_to(shipped_build.out).as_posix(): path.read_bytes()
        for path in shipped_build.out.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def site(shipped: dict[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix("site/"): content for name, content in shipped.items() if name.startswith("site/")}


@pytest.mark.slow
def test_links_of_the_shipped_site_lead_somewhere(shipped: dict[str, bytes], site: dict[str, bytes]) -> None:
    assert list(faults_of(site, shipped)) == []


@pytest.mark.slow
def test_styles_and_scripts_name_no_other_place(site: dict[str, bytes]) -> None:
    for name, content in site.items():
        if name.endswith(".css"):
            for link in re.findall(r"url\(\s*['\"]?([^'\")]+)", content.decode()):
                target = normpath(PurePosixPath(name).parent / urlsplit(link).path)
                assert link.startswith("data:") or target in site, f"{name}: {link}"
            assert "@import url" not in content.decode(), name


@pytest.mark.slow
def test_every_menu_has_its_texts(site: dict[str, bytes]) -> None:
    """Of each formula with a menu the script of its entry brings LaTeX, and nothing else."""
    seen = 0
    for name, content in site.items():
        formulas = Page(content.decode()).formulas if name.startswith("equations/") else []
        for entry in dict.fromkeys(entry for entry, _ in formulas):
            script = site[f"copies/{entry}.js"].decode()
            brought = json.loads(script[script.index(",") + 1 : script.rindex(")")])["formulas"]
            anchors = {anchor for of, anchor in formulas if of == entry}
            assert set(brought) == anchors, name
            assert all("latex" in formats for formats in brought.values()), name
            seen += len(brought)
    assert seen > 500


@pytest.mark.slow
def test_nothing_is_left_to_be_filled_in(site: dict[str, bytes]) -> None:
    for name, content in site.items():
        if name.endswith(".html") and not name.startswith("reference/"):  # which is about code
            text = re.sub(r"<(script|style|pre|code)\b.*?</\1>", "", content.decode(), flags=re.S)
            assert not re.search(r"\{[{%#] |<< |<% |\bNone\b(?! of)|\bundefined\b|\{math\}", text), name
