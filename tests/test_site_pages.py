"""Start page, tutorial, reference and guide of the website: complete, and every link leads somewhere."""

from __future__ import annotations

import html
import io
import re
import shutil
import tomllib
from contextlib import redirect_stderr
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import kb
from generators.evidence import gather
from generators.site.commands import program
from generators.site.pages import pages
from generators.site.specification import specification, with_code
from generators.sources import documents
from generators.views import views
from kb.cli import main
from kb.cli.arguments import COMMANDS
from kb.errors import EqkbError
from kb.records import shipped_path

pytest.importorskip("sphinx")
pytest.importorskip("py_mini_racer")

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = {
    "documents": {"sheet": {"title": "A sheet", "items": {1: "A bend"}}},
    "bend": {
        "name": "Bend",
        "topic": "curves",
        "about": "A square that others are made of.",
        "symbols": {"x": {}, "y": {"role": "output"}},
        "define": "y = x**2",
        "claims": {"slope": "d(y, x) == 2*x", "printed": {"formula": "y == 2*x", "refuted": True}},
        "differentiate": ["x"],
        "sources": [{"item": "sheet/1", "finding": "error", "note": "It is a square.", "claim": "printed"}],
    },
    "far_bend": {
        "name": "Far <bend>",
        "topic": "lines",
        "about": "Adds bends.",
        "symbols": {"v": {"shape": ["n"]}, "s": {"role": "output"}},
        "define": "s = sum(bend(v[i]), i)",
        "differentiate": ["v"],
    },
}
# What members of public classes are there for eqkb itself.
INTERNAL = set("program programs subject context source_of sympy_of given require_differentiable presentation".split())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The site of a small catalogue, which is built without a warning."""
    from generators.site import site

    folder = tmp_path_factory.mktemp("pages")
    (folder / "own.yaml").write_text(yaml.safe_dump(CATALOGUE, sort_keys=False), encoding="utf-8")
    catalogue = kb.load_catalogue(folder / "own.yaml")
    evidence = gather(catalogue, list(catalogue))
    entries = views(catalogue, list(catalogue), evidence)
    with redirect_stderr(io.StringIO()) as said:
        files = site(entries, documents(catalogue, entries, evidence), folder / "out")
    assert said.getvalue() == ""
    return files


def shown(page: bytes) -> str:
    """The text of a page on one line."""
    article = re.search(r"<article.*?</article>", page.decode(), re.S)
    assert article
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", article[0])).split())


# --- links ------------------------------------------------------------------------------------------


def test_every_relative_link_leads_somewhere(built: dict[str, bytes]) -> None:
    pages = {n: content.decode() for n, content in built.items() if n.endswith(".html") and "_static" not in n}
    anchors = {name: set(re.findall(r'\bid="([^"]*)"', text)) for name, text in pages.items()}
    followed = 0
    for name, text in pages.items():
        for link in re.findall(r'(?:href|src)="([^"]*)"', text):
            url = urlsplit(html.unescape(link))
            if url.scheme or url.netloc:
                continue
            target = normpath(f"{PurePosixPath(name).parent}/{unquote(url.path)}") if url.path else name
            assert target in built, f"{name}: {link}"
            if url.fragment and target in anchors:
                assert unquote(url.fragment) in anchors[target], f"{name}: {link}"
            followed += 1
    assert followed > 100


@pytest.mark.parametrize("page", "equations/index map tutorial reference/index equations/sources contribute".split())
def test_the_header_leads_to_every_part(built: dict[str, bytes], page: str) -> None:
    header = re.search(r"<header.*?</header>", built["index.html"].decode(), re.S)
    assert header and f'href="{page}.html"' in header[0]


# --- the start page ---------------------------------------------------------------------------------


def test_the_start_page_counts(built: dict[str, bytes]) -> None:
    counted = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", built["index.html"].decode()))
    assert counted.pop("points checked").replace("\N{NARROW NO-BREAK SPACE}", "").isdigit()
    assert counted == {
        "equations verified": "2",
        "derivatives": "2",
        "claims tried": "2",
        "false formula refuted": "1",
    }


def test_the_start_page_shows_what_most_others_use_and_what_is_false(built: dict[str, bytes]) -> None:
    page = built["index.html"].decode()
    assert re.search(r'class="start-example">.*?href="equations/bend.html"', page, re.S)
    assert re.search(r"that says -?[\d.]+ = -?[\d.]+\.", shown(built["index.html"]))
    assert "<span>Lines</span> <small>1</small>" in page
    assert 'class="eqkb-search-open' in page.partition("<article")[2]
    assert "eqkb show" not in page  # without its file the command would not find it


# --- the reference ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_documented(built: dict[str, bytes], command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    helped = " ".join(capsys.readouterr().out.split())
    sections = re.split(r"<h2>", built["reference/cli.html"].decode())
    [section] = [part for part in sections if part.startswith(f"eqkb {command}<")]
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", section)).split())
    for option in set(re.findall(r"--[a-z-]+", helped)) - {"--help"}:
        assert option in text
    if "print JSON: " in helped:
        keys = re.split(r" --[a-z]| -o", helped.partition("print JSON: ")[2])[0]
        assert keys in text


def test_options_codes_and_arguments_are_read_off_the_parser() -> None:
    found = program("kb.cli.arguments:command_parser")
    assert [command.name for command in found.commands] == list(COMMANDS)
    assert [code for code, _ in found.exit_codes] == ["0", "1", "2", "3", "130"]
    assert found.exit_codes[2][1] == "wrong usage, malformed catalogue or not differentiable"
    [diff] = [command for command in found.commands if command.name == "diff"]
    assert diff.usage == "eqkb diff [ID] [OPTIONS]"
    assert ("--form partial|jacobian|vjp|jvp|hessian",) in [option.spelled for option in diff.options]


@pytest.mark.parametrize("name", kb.__all__)
def test_each_public_name_is_documented(built: dict[str, bytes], name: str) -> None:
    page = built["reference/api.html"].decode()
    assert f'id="kb.{name}"' in page
    for member in members(getattr(kb, name)) - INTERNAL:
        assert f'id="kb.{name}.{member}"' in page, member


def members(thing: Any) -> set[str]:
    """What a class of eqkb defines for others, exceptions aside, which have fields only."""
    if not isinstance(thing, type) or issubclass(thing, Exception):
        return set()
    own = {name: value for name, value in vars(thing).items() if not name.startswith("_")}
    return {name for name, value in own.items() if callable(value) or getattr(value, "__doc__", None)} - set(
        getattr(thing, "__dataclass_fields__", ())
    )


def test_the_language_is_shown_whole(built: dict[str, bytes]) -> None:
    text = shown(built["reference/language.html"])
    sections = specification(shipped_path())[1:]
    assert [section.number for section in sections] == [str(n + 1) for n in range(len(sections))]
    blocks = [block for section in sections for block in section.blocks]
    assert {block.kind for block in blocks} == {"text", "rows", "entries", "values", "refused"}
    for block in blocks:
        for line in block.lines:
            assert " ".join(line.split()) in text
        for row in block.rows:
            assert all(" ".join(part.split()) in text for part in row)


def test_rows_and_what_is_refused_have_two_columns(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("# Head.\n#\n# 1  A PART\n#\n#   a, b  is\n#         so\n# | x: 1\n# ! y = x**2   words\n\n# no\n")
    head, part = specification(path)
    assert head.blocks[0].text == "Head." and part.title == "A part"
    assert [block.kind for block in part.blocks] == ["rows", "entries", "refused"]
    assert part.blocks[0].rows == (("a, b", "is so"),) and part.blocks[2].rows == (("y = x**2", "words"),)
    assert with_code("x[i] of _hat, f(g(a), b)!", str) == "`x[i]` of `_hat`, `f(g(a), b)`!"
    assert with_code("'a | b'", str) == "`'a | b'`" and with_code("'a | b'", str, cell=True) == "`'a \\| b'`"


# --- documents of the project -----------------------------------------------------------------------


def test_the_guide_for_contributors_is_the_one_of_the_project(built: dict[str, bytes]) -> None:
    headings = re.findall(r"^## (.*)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.M)
    text = shown(built["contribute.html"])
    assert "How to add an equation" in headings and all(heading in text for heading in headings)


def test_what_pages_include_is_installed_with_them(tmp_path: Path) -> None:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        forced = tomllib.load(stream)["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert forced["CONTRIBUTING.md"] == f"{forced['site']}/CONTRIBUTING.md"
    folder = shutil.copytree(ROOT / "site/pages", tmp_path / "generators/site_sources/pages")
    with pytest.raises(EqkbError, match=r"there is no .*site_sources.CONTRIBUTING\.md"):
        pages(folder, (), ())
    (folder.parent / "CONTRIBUTING.md").write_text("# Help\n", encoding="utf-8")
    assert pages(folder, (), ())["contribute.md"] == "# Help\n"


def test_the_tutorial_is_among_the_documents_that_are_run() -> None:
    from test_examples import DOCUMENTS

    by_hand = [path for path in (ROOT / "site/pages").rglob("*.md") if ">>> " in path.read_text(encoding="utf-8")]
    assert len(by_hand) >= 2 and {path.relative_to(ROOT).as_posix() for path in by_hand} <= set(DOCUMENTS)
