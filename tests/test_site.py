"""The website of a small catalogue, built by Sphinx."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from generators.evidence import gather
from generators.rendering import Ready
from generators.site import pages, site, why_not
from generators.site.pages import escape
from generators.site.typeset import Formula, typeset
from generators.sources import documents
from generators.views import views
from kb.catalogue import load_catalogue
from kb.errors import EqkbError

pytest.importorskip("sphinx")
pytest.importorskip("py_mini_racer")

ENTRIES = {
    "square": {
        "name": "Square",
        "topic": "small",
        "about": "The product of a number with itself.",
        "symbols": {"x": {}, "y": {"role": "output"}},
        "define": "y = x**2",
        "claims": {"slope": "d(y, x) == 2*x"},
        "differentiate": ["x"],
    },
    "halved_norm": {
        "name": 'Half & <b>"norm"</b> {math}`x`',
        "topic": "small",
        "about": "(label)= %comment $x$ <script>alert(1)</script> +++ ::: half of the sum of squares.",
        "symbols": {"v": {"shape": ["n"], "about": "|a| | b"}, "s": {"role": "output"}},
        "define": "s = sum(square(v[i]), i)/2",
        "differentiate": ["v"],
    },
}


def build_site(folder: Path, entries: dict[str, object], place: str = "out") -> dict[str, bytes]:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
    catalogue = load_catalogue(path)
    evidence = gather(catalogue, list(catalogue))
    made = views(catalogue, list(catalogue), evidence)
    return site(made, documents(catalogue, made, evidence), folder / place)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build_site(tmp_path_factory.mktemp("site"), ENTRIES)


def test_nothing_is_missing_here() -> None:
    assert why_not() == ""


def test_each_entry_has_a_page(built: dict[str, bytes]) -> None:
    assert {"index.html", "equations/index.html", "equations/square.html", "equations/halved_norm.html"} <= set(built)
    page = built["equations/square.html"].decode()
    assert 'id="definition"' in page and 'id="partial-x"' in page and 'id="claim-slope"' in page
    assert 'data-entry="square"' in page


def test_every_formula_with_a_menu_has_something_to_copy(built: dict[str, bytes]) -> None:
    for entry_id in ENTRIES:
        page, script = (built[n].decode() for n in (f"equations/{entry_id}.html", f"copies/{entry_id}.js"))
        anchors = re.findall(rf'<figure class="formula[^"]*" id="([^"]+)" data-entry="{entry_id}">', page)
        assert page.count('class="copy-open"') == len(anchors) == len(set(anchors)) >= 4
        value = json.loads(script[script.index("{") : script.rindex("}") + 1])
        assert set(anchors) == set(value["formulas"])


def test_formulas_are_pictures_with_mathml_and_their_outlines(built: dict[str, bytes]) -> None:
    page = built["equations/square.html"].decode()
    assert page.count("<math") == page.count('class="tex-spoken"') >= 4
    used = set(re.findall(r'href="#g(\d+)"', page))
    assert used == set(re.findall(r'<path id="g(\d+)"', page)) != set()
    assert "$" not in re.sub(r"<(script|pre)\b.*?</\1>", "", page, flags=re.S)


def test_nothing_is_asked_of_other_places(built: dict[str, bytes]) -> None:
    for name, content in built.items():
        if name.endswith(".html"):
            assert not re.search(r'(?:src|href)="(?:https?:)?//[^"]*\.(?:js|css|woff2?)', content.decode()), name


def test_text_of_the_catalogue_is_text(built: dict[str, bytes]) -> None:
    page = built["equations/halved_norm.html"].decode()
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Half &amp; &lt;b&gt;" in page and "(label)= %comment $x$" in page


@pytest.mark.parametrize("text", ["%a", "(a)=", "+++", "{a}`b`", "a\n\n# b", "<b>", "$x$", "|"])
def test_escaped_text_begins_nothing(text: str) -> None:
    from markdown_it import MarkdownIt

    shown = MarkdownIt().render(escape(text))
    assert re.fullmatch(r"<p>[^<>]*</p>\n", shown)


@pytest.mark.slow
def test_a_later_build_gives_what_a_first_one_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = build_site(tmp_path, ENTRIES)
    assert capsys.readouterr().err == ""
    changed = {**ENTRIES, "square": {**ENTRIES["square"], "about": "What a number gives by itself."}}
    fewer = {"square": changed["square"]}
    assert build_site(tmp_path, changed) != first
    later = build_site(tmp_path, fewer)
    assert later == build_site(tmp_path, fewer, "elsewhere")
    assert "equations/halved_norm.html" not in later
    assert build_site(tmp_path, ENTRIES) == first


def test_tex_that_is_none_is_an_error() -> None:
    with pytest.raises(EqkbError, match=r"'\\\\foo' cannot be typeset: Undefined control sequence \\foo"):
        typeset([Formula("x", True), Formula(r"\foo", True)])


def test_a_formula_that_cannot_be_typeset_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pages._FILTERS, "display", lambda *_: Ready("$$\n\\foo\n$$"))
    with pytest.raises(EqkbError, match="cannot be typeset: Undefined control sequence"):
        build_site(tmp_path, ENTRIES)


def test_processes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    formulas = [Formula(f"x_{n}", bool(n % 2)) for n in range(6)]
    alone = typeset(formulas)
    monkeypatch.setattr("generators.site.typeset._WORTH_PROCESSES", 1)
    assert typeset(formulas, 2) == alone


def test_flat_pictures_are_the_same_pictures() -> None:
    from generators.site.flatten import flattened

    nested = (
        '<svg width="2.5ex" viewBox="0 -10.4 20 30"><g fill="none" transform="scale(1,-1)">'
        '<g transform="translate(3.4,1)">'
        '<g><use href="#g-a"/><g transform="translate(2,0.2)"><use href="#g-b" transform="translate(1,0)"/></g></g>'
        '<g transform="translate(5,0) scale(0.707)"><rect x="1" y="0" width="2.6" height="3"/></g>'
        "<text>a &lt; b</text></g></g></svg>"
    )
    assert flattened(nested) == (
        '<svg width="2.5ex" viewBox="0 -10 20 30"><g fill="none" transform="scale(1,-1)">'
        '<use href="#g-a" x="3" y="1"/><use href="#g-b" x="6" y="1"/>'
        '<g transform="translate(8,1) scale(0.707)"><rect width="3" height="3" x="1"/></g>'
        '<g transform="translate(3,1)"></g></g></svg>'
    ).replace('<g transform="translate(3,1)"></g>', '<text transform="translate(3,1)">a &lt; b</text>')
