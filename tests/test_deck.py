"""``eqkb export --format apkg``: decks of Anki cards, looked into with SQLite and, slowly, imported by Anki itself."""

from __future__ import annotations

import html
import io
import json
import re
import sqlite3
import sys
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import agreement
import pytest
import yaml
from hostile import LINE, TEXT
from hostile import catalogue as hostile_catalogue

import kb.cli
from generators import deck as decks
from generators.cards import cards, escape
from generators.deck import FIELDS, deck
from generators.views import views
from kb.catalogue import Catalogue, load_catalogue
from kb.evidence import check

IDS = ["softmax", "relu", "adam", "mean_squared_error", "scaled_dot_product_attention"]


class Note(NamedTuple):
    guid: str
    fields: dict[str, str]
    tags: list[str]
    deck: str
    changed: int


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("hostile") / "hostile.yaml"
    path.write_text(yaml.safe_dump(hostile_catalogue(), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_catalogue(path)


@pytest.fixture(scope="module")
def package(shipped: Catalogue) -> bytes:
    return deck(views(shipped, IDS, {"softmax": check(shipped["softmax"])}))


def notes(package: bytes, folder: Path) -> dict[str, Note]:
    """The notes by their key, in the order in which their cards are learnt."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("media")) == {}
        archive.extract("collection.anki2", folder)
    connection = sqlite3.connect(folder / "collection.anki2")
    names = {
        int(key): row["name"]
        for key, row in json.loads(*connection.execute("SELECT decks FROM col").fetchone()).items()
    }
    query = "SELECT guid, flds, tags, did, notes.mod FROM notes JOIN cards ON nid = notes.id ORDER BY due"
    found = {}
    for guid, fields, tags, place, changed in connection.execute(query):
        content = dict(zip(FIELDS, fields.split("\x1f"), strict=True))
        found[content["Key"]] = Note(guid, content, tags.split(), names[place], changed)
    connection.close()
    return found


def shown(markup: str) -> str:
    """The text that a reader sees; in formulas what MathJax is given."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", markup)).split())


# --- what is in it --------------------------------------------------------------------------------


def test_each_entry_has_its_cards(shipped: Catalogue, package: bytes, tmp_path: Path) -> None:
    found = notes(package, tmp_path)
    expected = []
    for entry_id in IDS:
        wrt = shipped.entry(entry_id).differentiate
        expected += [f"{entry_id} formula", *(f"{entry_id} derivative {n}" for n in wrt), f"{entry_id} symbols"]
    by_topic = list(dict.fromkeys(shipped.entry(i).topic for i in IDS))
    expected.sort(key=lambda key: by_topic.index(shipped.entry(key.split()[0]).topic))
    assert list(found) == expected
    assert len({note.guid for note in found.values()}) == len(expected)


def test_a_card_says_what_the_entry_says(shipped: Catalogue, package: bytes, tmp_path: Path) -> None:
    found = notes(package, tmp_path)
    equation = shipped["softmax"]
    formula, derivative, symbols = (found[f"softmax {k}"] for k in ("formula", "derivative z", "symbols"))
    assert formula.fields["Question"] == r"What is \(p\), given \(z\)?"
    assert shown(formula.fields["Given"]) == shipped.entry("softmax").about
    assert rf"\[{equation.latex()}\]" in shown(formula.fields["Answer"])
    assert rf"\[{equation.derivative('z').latex()}\]" in shown(derivative.fields["Answer"])
    assert rf"\[{equation.vjp(wrt=['z']).latex()}\]" in shown(derivative.fields["Answer"])
    for symbol in shipped.entry("softmax").symbols:
        assert symbol.about in shown(symbols.fields["Answer"])
    for note in (formula, derivative, symbols):
        assert note.deck == "Deep learning equations::Activations"
        assert note.fields["Evidence"].startswith('<div class="verified">verified: ')
        assert "John S. Bridle" in note.fields["References"]
    assert formula.tags == ["eqkb::activations", "eqkb::formula"]
    assert derivative.tags == ["eqkb::activations", "eqkb::derivative"]
    assert found["adam formula"].fields["Evidence"] == '<div class="unchecked">not checked</div>'
    assert found["adam formula"].fields["Question"].startswith("What becomes of ")


def test_the_backward_pass_of_a_single_number_is_left_out(package: bytes, tmp_path: Path) -> None:
    found = notes(package, tmp_path)
    assert "Backward pass" not in found["mean_squared_error derivative yhat"].fields["Answer"]
    assert "Backward pass" in found["scaled_dot_product_attention derivative Q"].fields["Answer"]


def test_constraints_that_a_derivative_needs_are_told(shipped: Catalogue) -> None:
    (view,) = views(shipped, ["softmax_cross_entropy_gradient"])
    assert any(d.uses for d in view.partials)
    answers = [c.answer for c in cards(view) if c.kind == "derivative"]
    assert any("It relies on \\(" in answer for answer in answers)


# --- always the same ------------------------------------------------------------------------------


def test_the_same_selection_gives_the_same_bytes(shipped: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    one = deck(views(shipped, ["relu", "sigmoid"]))
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert deck(views(shipped, ["relu", "sigmoid"])) == one


def test_a_note_is_the_same_in_every_deck_and_newer_in_a_later_version(
    shipped: Catalogue, package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = notes(package, tmp_path)
    alone = notes(deck(views(shipped, ["relu"])), tmp_path)
    assert all(note.guid == whole[key].guid and note.deck == whole[key].deck for key, note in alone.items())
    times = [next(iter(alone.values())).changed]
    for version in ("0.1.1", "0.2", "0.10.0.dev1", "1.0.0"):
        monkeypatch.setattr(decks, "__version__", version)
        times.append(next(iter(notes(deck(views(shipped, ["relu"])), tmp_path).values())).changed)
    assert times == sorted(set(times))


# --- text stays text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[sound:x.mp3]", "&#91;sound:x.mp3]"),
        ("[latex]x[/latex]", "&#91;latex]x&#91;/latex]"),
        ("{{Name}} {{c1::x}}", "&#123;&#123;Name}} &#123;&#123;c1::x}}"),
        (r"\(x\)", r"<span>\</span>(x<span>\</span>)"),
        (r"\\[x", r"\<span>\</span>&#91;x"),
        ("a\x1fb\n c", "a b c"),
    ],
)
def test_marks_of_anki_and_mathjax_in_a_text_are_text(text: str, field: str) -> None:
    assert escape(text) == field


def test_hostile_text_stays_text(hostile: Catalogue, tmp_path: Path) -> None:
    found = notes(deck(views(hostile, list(hostile))), tmp_path)
    assert list(found) == ["hostile formula", "hostile derivative x", "hostile symbols",
                           "index formula", "index derivative z", "index symbols"]  # fmt: skip
    for note in found.values():
        tags = set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", "".join(note.fields.values())))
        assert tags <= {"div", "ul", "li", "p", "table", "tr", "td", "a", "span"}
        assert all(re.fullmatch(r"eqkb::[a-z-]+", tag) for tag in note.tags)
    assert shown(found["hostile formula"].fields["Name"]) == LINE
    assert shown(found["hostile formula"].fields["Given"])[:200] == " ".join(TEXT.split())[:200]


# --- the command ----------------------------------------------------------------------------------


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "relu.apkg"
    assert kb.cli.main(["export", "relu", "--format", "apkg", "-o", str(path)]) == 0
    assert capsys.readouterr() == ("", f"wrote {path}\n")
    assert len(notes(path.read_bytes(), tmp_path)) == 3


def test_without_genanki_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genanki", None)
    assert kb.cli.main(["export", "relu", "--format", "apkg", "-o", str(tmp_path / "x.apkg")]) == 2
    assert capsys.readouterr().err == (
        "eqkb: an Anki deck takes the package genanki, which is not here; pip install 'eqkb[anki]'\n"
    )
    assert list(tmp_path.iterdir()) == []


# --- read by others -------------------------------------------------------------------------------


class Anki:
    """A collection of Anki's own library."""

    def __init__(self, folder: Path) -> None:
        from anki.collection import Collection

        self.folder = folder
        self.collection = Collection(str(folder / "collection.anki2"))

    def take(self, package: bytes) -> dict[str, int]:
        """Import a package as a person does who leaves everything as it is; how many notes came to what."""
        from anki.collection import ImportAnkiPackageOptions, ImportAnkiPackageRequest

        path = self.folder / "deck.apkg"
        path.write_bytes(package)
        request = ImportAnkiPackageRequest(package_path=str(path), options=ImportAnkiPackageOptions())
        log = self.collection.import_anki_package(request).log
        counts = {name: len(getattr(log, name)) for name in ("new", "updated", "duplicate", "conflicting")}
        return {name: count for name, count in counts.items() if count}


@pytest.fixture
def anki(tmp_path: Path) -> Any:
    if find_spec("anki") is None:
        pytest.skip("Anki's library is not installed")
    folder = tmp_path / "anki"
    folder.mkdir()
    made = Anki(folder)
    yield made
    made.collection.close()


@pytest.mark.slow
def test_anki_reads_every_card(anki: Anki, package: bytes, shipped: Catalogue, tmp_path: Path) -> None:
    expected = notes(package, tmp_path)
    assert anki.take(package) == {"new": len(expected)}
    found = {}
    for card_id in anki.collection.find_cards("", order="c.due"):
        card = anki.collection.get_card(card_id)
        note, made = card.note(), card.render_output()
        found[note["Key"]] = (dict(note.items()), sorted(note.tags), anki.collection.decks.name(card.did))
        assert note["Question"] in made.question_text and note["Answer"] not in made.question_text
        assert all(note[name] in made.answer_text for name in FIELDS)
        assert ".nightMode" in made.css and not made.question_av_tags and not made.answer_av_tags
    assert list(found) == list(expected)
    assert found == {key: (n.fields, sorted(n.tags), n.deck) for key, n in expected.items()}
    assert anki.collection.fix_integrity() == ("Database rebuilt and optimized.", True)


@pytest.mark.slow
def test_a_later_import_updates_and_never_doubles(
    anki: Anki, shipped: Catalogue, package: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = anki.take(package)["new"]
    learnt = anki.collection.get_card(anki.collection.find_cards("Key:relu*formula")[0])
    learnt.due, learnt.ivl, learnt.queue, learnt.type = 30, 10, 2, 2
    anki.collection.update_card(learnt)
    assert anki.take(package) == {"duplicate": count}
    assert anki.take(deck(views(shipped, ["sigmoid"]))) == {"new": 3}
    monkeypatch.setattr(decks, "__version__", "99.0.0")
    later = deck(views(shipped, IDS, {"relu": check(shipped["relu"])}))
    assert anki.take(later) == {"updated": count}
    assert anki.collection.note_count() == count + 3 == anki.collection.card_count()
    card = anki.collection.get_card(learnt.id)
    assert card.ivl == 10 and "verified: " in card.note()["Evidence"]


@pytest.mark.slow
def test_anki_plays_and_runs_nothing_of_a_hostile_text(anki: Anki, tmp_path: Path) -> None:
    made = hostile_catalogue()
    made["hostile"]["about"] = (
        "[sound:a.mp3] [latex]\\input{x}[/latex] [$]x[/$] [anki:tts lang=en_US]x[/anki:tts] {{Answer}}"
    )
    path = tmp_path / "hostile.yaml"
    path.write_text(yaml.safe_dump(made, allow_unicode=True, sort_keys=False), encoding="utf-8")
    hostile = load_catalogue(path)
    anki.take(deck(views(hostile, list(hostile))))
    for card_id in anki.collection.find_cards(""):
        output = anki.collection.get_card(card_id).render_output()
        assert not output.question_av_tags and not output.answer_av_tags
        assert "<img" not in output.answer_text and "<script" not in output.answer_text
    front = anki.collection.get_card(anki.collection.find_cards("Key:hostile*formula")[0]).render_output().question_text
    assert made["hostile"]["about"] in shown(front)


@pytest.mark.slow
def test_mathjax_typesets_formulas_and_leaves_text_alone(
    hostile: Catalogue, shipped: Catalogue, chromium: Any, tmp_path: Path
) -> None:
    """With the delimiters of Anki, in light and at night; no formula is an error, none comes of a text."""
    name = "sphinx-mathjax-offline"
    script = Path(str(distribution(name).locate_file(name))) / "static" / "mathjax" / "tex-svg.js"
    seen = [*views(hostile, ["hostile"]), *views(shipped, IDS)]
    made = [card for view in seen for card in cards(view)]
    css = (Path(decks.__file__).parent / "templates" / "anki" / "card.css.j2").read_text(encoding="utf-8")
    trap = f"<p id='trap'>{escape(chr(92) + '(x' + chr(92) + ') ' + chr(92) + '[y' + chr(92) + ']')}</p>"
    body = "".join(f"<div>{c.name}{c.question}{c.given}{c.answer}{c.evidence}{c.references}</div>" for c in made)
    page = tmp_path / "cards.html"
    tex = r"{displayMath: [['\\[', '\\]']], processEscapes: false, processEnvironments: false}"
    for night in ("", "nightMode"):
        page.write_text(
            f"<!doctype html><meta charset='utf-8'><style>{css}</style>"
            f"<script>MathJax = {{tex: {tex}}}</script><script src='{script.as_uri()}'></script>"
            f"<body class='card {night}'>{trap}{body}",
            encoding="utf-8",
        )
        tab = chromium.new_page()
        tab.goto(page.as_uri())
        tab.evaluate("MathJax.startup.promise.then(() => 1)")
        written = sum(len(re.findall(r"(?<!\\)\\[(\[]", c.question + c.given + c.answer)) for c in made)
        assert tab.locator("mjx-container").count() == written > 30
        assert tab.locator("[data-mjx-error]").count() == 0
        assert tab.locator("#trap").inner_text() == r"\(x\) \[y\]"
        colours = tab.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
        ink, paper = (sum(map(int, re.findall(r"\d+", colour))) for colour in colours)
        assert ink > paper + 300 if night else paper > ink + 300
        tab.close()
