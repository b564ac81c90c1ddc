"""A deck of Anki cards: a package (``.apkg``) that Anki, AnkiDroid and AnkiMobile import.

A note has the same guid in every deck, so that a later import updates it and what was learnt stays. Anki
replaces a note by a newer one only; the time of all notes is made of the version of eqkb, which makes those
of a later version newer, and the same selection the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import itertools
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from generators.cards import CardView, cards
from generators.rendering import render
from generators.views import TITLE, EntryView, by_topic
from kb import __version__
from kb.errors import EqkbError
from kb.printing import escape_html

FIELDS = ("Key", "Name", "Topic", "Question", "Given", "Answer", "Evidence", "References")
_MODEL = 1_767_225_831  # a number of our own: Anki tells types of notes by it
_START = 1_767_225_600  # seconds; version 0.0.0
_MINUTE = 60


def require_genanki() -> None:
    """Raises EqkbError that says what to install."""
    if importlib.util.find_spec("genanki") is None:
        raise EqkbError("an Anki deck takes the package genanki, which is not here; pip install 'eqkb[anki]'")


def deck(entries: Sequence[EntryView]) -> bytes:
    """The package of some entries, with a deck for each topic. Raises EqkbError where genanki is missing."""
    require_genanki()
    return _packed(_collection(_decks(entries)))


def _decks(entries: Sequence[EntryView]) -> list[Any]:
    import genanki

    decks = [genanki.Deck(_number(TITLE), TITLE, "Made by eqkb.")]
    model, position = _model(), itertools.count(1)
    for topic in by_topic(entries):
        title = f"{TITLE}::{topic.title}"
        decks.append(genanki.Deck(_number(title), title))
        for view in topic.entries:
            for card in cards(view):
                decks[-1].add_note(_note(model, card, topic.name, next(position)))
    return decks


def _model() -> Any:
    import genanki

    def template(name: str) -> str:
        return render(f"anki/{name}.j2", escape_html, {})

    return genanki.Model(
        _MODEL,
        "eqkb",
        fields=[{"name": name} for name in FIELDS],
        templates=[{"name": "Card", "qfmt": template("front.html"), "afmt": template("back.html")}],
        css=template("card.css"),
    )


def _note(model: Any, card: CardView, topic: str, position: int) -> Any:
    import genanki

    return genanki.Note(
        model,
        [getattr(card, name.lower()) for name in FIELDS],
        tags=[f"eqkb::{topic}", f"eqkb::{card.kind}"],
        guid=genanki.guid_for("eqkb", card.key),
        due=position,
    )


def _number(text: str) -> int:
    """A number of a deck that depends on its name alone, in the range of Anki's own."""
    return _START * 1000 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _moment() -> int:
    """A time that grows with the version."""
    major, minor, patch = (int(n) for n in re.findall(r"\d+", f"{__version__}.0.0")[:3])
    return _START + (major * 10_000 + minor * 100 + patch) * _MINUTE


def _collection(decks: Sequence[Any]) -> bytes:
    """The database of a package."""
    import genanki

    moment = _moment()
    with tempfile.TemporaryDirectory(prefix="eqkb-anki-") as folder:
        path = Path(folder) / "collection.anki2"
        with closing(sqlite3.connect(path)) as connection:
            package = genanki.Package(list(decks))
            package.write_to_db(connection.cursor(), float(moment), itertools.count(moment * 1000))
            connection.commit()
        return path.read_bytes()


def _packed(collection: bytes) -> bytes:
    """A package without media. Its files have the time with which such archives begin."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (("collection.anki2", collection), ("media", b"{}")):
            member = zipfile.ZipInfo(name)
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
            archive.writestr(member, content)
    return out.getvalue()
