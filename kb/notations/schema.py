"""The records that mirror the YAML of a notation profile, and every fault of one in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from kb.errors import CatalogueError, Fault
from kb.fields import Line, choice, fail, near
from kb.glyphs import glyph_fault
from kb.model import Role, SymbolKind
from kb.profiles import BARS, GRADIENTS, INDICES, LAYOUTS, SIGNS, Face, Profile
from kb.schema import Record, faults_of, with_gaps
from kb.source import AT_KEY, Number, Source, read_source, shorten
from kb.vocabulary import DOMAINS, FUNCTIONS

FACES = ("boldsymbol", "mathbf", "mathrm", "mathsf", "mathit", "mathcal", "mathbb", "mathfrak", "underline", "vec")
_OPERATOR = re.compile(r"\\(?:ln|lg|log|exp|det|operatorname\{[A-Za-z][A-Za-z-]*\})")
_WORDS = {*SIGNS, *FUNCTIONS} - {"sqrt", "abs", "floor", "exp"}  # those are no words in a formula
_MORE = "more"
# Commands of TeX that formulas and papers use, besides those of glyphs.
_TAKEN = frozenset(
    "frac sum prod int sqrt text left right begin end log ln exp lim max min sin cos tan tanh det operatorname matrix"
    " vector pmatrix bmatrix cases array label ref tag bf it rm tt top to in le ge ne not and or mod big Big quad qquad"
    " langle rangle lvert rvert lVert rVert lfloor rfloor over atop choose sub sup par def let new".split()
)


def _word(value: str) -> str:
    refused = None if _OPERATOR.fullmatch(value) else glyph_fault(value)
    if refused:
        message, start = refused
        fail(f"{message}; a function may be \\ln or \\operatorname{{name}} as well", start)
    return value


def _face(value: str) -> str:
    for word in value.split():
        if word not in FACES and value != "none":
            hint = near(word, [*FACES, "none"]) or f"; there are none, {', '.join(FACES)}"
            fail(f"{shorten(word)} is not a face{hint}", value.index(word))
    return value


def _macro(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,30}", value):
        fail(f"{shorten(value)} cannot name a command; use 2 to 30 letters, without a backslash")
    if value in _TAKEN or glyph_fault(f"\\{value}") is None or glyph_fault(f"\\{value}{{x}}") is None:
        fail(f"TeX has a command \\{value} already; choose another name, such as my{value}")
    return value


def _axes(value: Any) -> Any:
    listed = value if isinstance(value, list) else [value]
    counts = [int(n.text) if isinstance(n, Number) and re.fullmatch(r"[0-9]", n.text) else n for n in listed]
    *most, last = counts or [None]
    if not all(isinstance(n, int) for n in [*most, last if last != _MORE or not most else 0]):
        fail("these are no numbers of axes; write a list such as [1], [0, 1] or [3, more]")
    return tuple(counts)


class FaceRecord(Record):
    """``faces[0]``."""

    face: Annotated[Line, AfterValidator(_face)]
    axes: Annotated[tuple[int | str, ...], BeforeValidator(_axes)] = ()
    kinds: list[Annotated[str, choice(get_args(SymbolKind), "kind of symbol")]] = Field(default_factory=list)
    roles: list[Annotated[str, choice((*get_args(Role), "step"), "role")]] = Field(default_factory=list)
    domains: list[Annotated[str, choice(tuple(DOMAINS), "domain")]] = Field(default_factory=list)
    random: bool | None = None
    macro: Annotated[Line, AfterValidator(_macro)] = ""


class ProfileRecord(Record):
    """A whole file."""

    about: Line
    faces: list[FaceRecord] = Field(default_factory=list)
    words: dict[str, Annotated[Line, AfterValidator(_word)]] = Field(default_factory=dict)
    norm: Annotated[str, choice(tuple(BARS), "kind of bars")] = "double"
    gradient: Annotated[str, choice(GRADIENTS, "way to write a gradient")] = "usual"
    layout: Annotated[str, choice(LAYOUTS, "layout of derivatives")] = "usual"
    indices: Annotated[str, choice(INDICES, "way to write indices")] = "joined"


def profile_in(path: str, name: str, file: str = "") -> Profile:
    """The profile at a path. Raises CatalogueError with all of its faults."""
    source = read_source(path)
    faults = [*source.faults, *_bad_words(source)]
    try:
        record = ProfileRecord.model_validate(with_gaps(source.data))
    except ValidationError as error:
        faults += [_placed(source, fault) for fault in faults_of(error, ProfileRecord, {"faces": FaceRecord})]
    if faults:
        raise CatalogueError(faults)
    return Profile(
        name,
        record.about,
        file,
        tuple(map(_rule, record.faces)),
        record.words,
        record.norm,
        record.gradient,
        record.layout,
        record.indices,
    )


def _bad_words(source: Source) -> Iterator[Fault]:
    words = source.data.get("words")
    for word in words if isinstance(words, dict) else ():
        if word not in _WORDS:
            hint = near(word, _WORDS) or f"; there are {', '.join(sorted(_WORDS))}"
            yield _placed(source, Fault(f"a profile has no word {shorten(word)}{hint}", f"words.{word}", AT_KEY))


def _placed(source: Source, fault: Fault) -> Fault:
    key = re.split(r"[.\[]", fault.field)[0]
    rest = fault.field.removeprefix(key).removeprefix(".")
    return Fault(fault.message, fault.field, fault.start, source.locate(key, rest, fault.start))


def _rule(record: FaceRecord) -> Face:
    axes = tuple(n for n in record.axes if isinstance(n, int))
    commands = () if record.face == "none" else tuple(record.face.split())
    kinds, roles, domains = (tuple(listed) for listed in (record.kinds, record.roles, record.domains))
    return Face(commands, axes, _MORE in record.axes, kinds, roles, domains, record.random, record.macro)
