"""The types of the fields of the catalogue: what each may hold, and what is said of a value that it may not."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from kb.errors import LanguageError, nearest
from kb.glyphs import glyph_fault, notation_fault
from kb.parser import check_name
from kb.source import Number, shorten, yaml_number

MAX_ID = 64
MAX_TEXT = 10_000
MAX_DIGITS = 100
MAX_EXPONENT = 1_000
MAX_COUNT = 256
# Besides control characters: line separators, and the marks that reverse the direction of the text after them.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def fail(message: str, start: int = 0) -> NoReturn:
    """Raise what pydantic collects; ``start`` is a character offset into the text."""
    raise PydanticCustomError("eqkb", "{message}", {"message": message, "start": start})


class Empty:
    """What stands for a key without a value, so that it is never taken for a key left out."""


def near(word: str, known: Collection[str]) -> str:
    """A clause with the known words nearest to ``word``; long words have none."""
    return nearest(word, set(known)) if len(word) <= MAX_ID else ""


def what_is(value: object) -> str:
    if isinstance(value, Empty):
        return "nothing stands"
    kinds: dict[type, str] = {bool: "true or false", Number: "a number", list: "a list", dict: "a mapping", str: "text"}
    return kinds.get(type(value), "something else")


def _text(value: str) -> str:
    bad = _CONTROL.search(value)
    if bad:
        fail(f"the control character U+{ord(bad.group()):04X} cannot stand in a text; remove it", bad.start())
    if not value.strip():
        fail("this text is empty; write one, or leave the key out")
    return value.rstrip()


def _line(value: str) -> str:
    if "\n" in value.strip():
        fail("this is one line; join the lines", value.index("\n"))
    return value.strip()


def choice(known: Collection[str], what: str) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, str) and value not in known:
            hint = near(value, known) or f"; one of {', '.join(known)}"
            fail(f"{shorten(value)} is not a {what}{hint}")
        return value

    return BeforeValidator(check)


def _pattern(pattern: str, what: str, example: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            fail(f"{shorten(value)} is not {what}; write it like {example}")
        return value

    return AfterValidator(check)


def _name(value: str) -> str:
    try:
        return check_name(value)
    except LanguageError as error:
        fail(error.message, error.start)


def _size(value: Any) -> Any:
    if isinstance(value, Number):
        if not value.text.isdigit():
            fail(f"a size is a whole number or a dimension, not {value.text}")
        return value.text
    return value


def _number(value: Any) -> str:
    """The decimal text of a number; everything else is refused with the way to write it."""
    if isinstance(value, Number):
        exponent = re.search(r"[eE]([-+][0-9]+)", value.text)
        if len(value.text) > MAX_DIGITS or (exponent and abs(int(exponent.group(1))) > MAX_EXPONENT):
            fail(f"a number of more than {MAX_DIGITS} digits, or with an exponent above {MAX_EXPONENT:,}; round it")
        return value.text
    if isinstance(value, str) and value.strip() not in ("oo", "-oo"):
        written = yaml_number(value)
        if written is not None and written == value:
            fail(f"{shorten(value)} in quotes is text, and a number belongs here; leave out the quotes")
        if written is not None:
            fail(f"YAML reads {shorten(value)} as text, and a number belongs here; write {written}")
        fail(f"{shorten(value)} is not a number; write a decimal number such as 0.5")
    if isinstance(value, str):
        fail(f"{value.strip()} is not a finite number; write a decimal number such as 0.5")
    fail(f"{what_is(value)} where a number belongs; write a decimal number such as 0.5")


def _outside(value: Any) -> str:
    if value in ("oo", "-oo"):
        return str(value)
    text = _number(value)
    return "0" if text.strip("0.") in ("", "-") else text


def _year(value: Any) -> int:
    if isinstance(value, Number) and re.fullmatch(r"1[0-9]{3}|20[0-9]{2}", value.text):
        return int(value.text)
    shown = value.text if isinstance(value, Number) else shorten(value) if isinstance(value, str) else what_is(value)
    fail(f"{shown} is not a year; write four digits without quotes, such as 2017")


def _date(value: Any) -> str:
    text = value.text if isinstance(value, Number) else value
    if isinstance(text, str) and re.fullmatch(r"(1[0-9]{3}|20[0-9]{2})(-[01][0-9](-[0-3][0-9])?)?", text):
        return text
    shown = shorten(text) if isinstance(text, str) else what_is(value)
    fail(f"{shown} is not a date; write 2020, 2020-03 or 2020-03-02")


def _formula(value: Any) -> str:
    """An expression; numbers and lists may be written as YAML has them."""
    if isinstance(value, list) and value:
        return f"[{', '.join(map(_formula, value))}]"
    if isinstance(value, (str, Number)):
        return value.text if isinstance(value, Number) else value
    what = "an empty list" if value == [] else what_is(value)
    fail(f"{what} where an expression belongs; write a number, a list such as [t, 0, 1], or a formula as text")


def _range(value: Any) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2:
        fail(f"{what_is(value)} where a range belongs; write [from, to], such as [-6, 6]")
    low, high = _number(value[0]), _number(value[1])
    if not -math.inf < float(low) < float(high) < math.inf:
        fail(f"the range begins at {low} and ends at {high}; write the smaller number first")
    return low, high


def _count(value: Any) -> int:
    if isinstance(value, Number) and value.text.isdecimal() and 1 <= int(value.text[:9]) <= MAX_COUNT:
        return int(value.text)
    shown = value.text if isinstance(value, Number) else what_is(value)
    fail(f"{shown} is not a size here; write a whole number from 1 to {MAX_COUNT}")


def listed_plots(value: Any) -> Any:
    """What stands under ``plot`` as a list of mappings."""
    if value is False:
        return []
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(item, dict) for item in listed):
        what = "an empty list" if value == [] else what_is(value)
        fail(f"{what} where a plot belongs; write false, or a mapping such as {{over: {{z: [-6, 6]}}}}")
    return [{**item, "show": [item["show"]]} if not isinstance(item.get("show", []), list) else item for item in listed]


def _argument(value: str) -> str:
    match = re.fullmatch(r"\s*([^\[\s]+)\s*(\[[^\[\]]+\])?\s*", value)
    if not match:
        fail(f"{shorten(value)} is not an argument; write a name, with its sizes if it is an array: x or 'x[n]'")
    _name(match.group(1))
    return value


def _glyph(value: str) -> str:
    refused = glyph_fault(value)
    if refused:
        fail(*refused)
    return value


def _notation(value: str) -> str:
    refused = notation_fault(value)
    if refused:
        fail(*refused)
    return value


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_text)]
Line = Annotated[str, Field(max_length=300), AfterValidator(_text), AfterValidator(_line)]
Size = Annotated[str, Field(max_length=300), BeforeValidator(_size), AfterValidator(_text), AfterValidator(_line)]
Formula = Annotated[str, BeforeValidator(_formula), Field(max_length=MAX_TEXT), AfterValidator(_text)]
Name = Annotated[Line, AfterValidator(_name)]
Glyph = Annotated[Line, AfterValidator(_glyph)]
Notation = Annotated[Line, AfterValidator(_notation)]
Outside = Annotated[str, BeforeValidator(_outside)]
Year = Annotated[int, BeforeValidator(_year)]
Argument = Annotated[Line, AfterValidator(_argument)]
Alias = Annotated[Line, _pattern(r"[^\W_][\w +'().-]{0,63}", "an alias", "softargmax (at most 64 characters)")]
Id = Annotated[Line, _pattern(r"[a-z][a-z0-9_]{0,63}", "an id", "log_softmax")]
Word = Annotated[Line, _pattern(r"[a-z][a-z0-9_-]{0,63}", "a topic", "activations: small letters, digits, '_' and '-'")]
Dotted = Annotated[
    Line, _pattern(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", "a name in a framework", "torch.nn.functional.softmax")
]
Item = Annotated[
    Line, _pattern(r"[A-Za-z][\w-]{0,63}/[\w.-]{1,64}", "an item of a document", "hundred/4 (document/item)")
]
Doi = Annotated[Line, _pattern(r"10\.\d{4,9}/[^\s\\{}<>\"^`|]+", "a DOI", "10.1109/5.771073, without https://doi.org/")]
Arxiv = Annotated[
    Line,
    _pattern(
        r"\d{4}\.\d{4,5}(v\d+)?|[a-z-]+(\.[A-Z]{2})?/\d{7}(v\d+)?", "an arXiv identifier", "'1706.03762' (in quotes)"
    ),
]
Url = Annotated[
    Line,
    _pattern(
        r'https?://[A-Za-z0-9.-]+(:\d{1,5})?([/?#][^\s\\{}<>"^`|]*)?',
        "a web address",
        "https://arxiv.org/abs/1706.03762",
    ),
]
Date = Annotated[str, BeforeValidator(_date)]
Decimal = Annotated[str, BeforeValidator(_number)]
Range = Annotated[tuple[str, str], BeforeValidator(_range)]
Count = Annotated[int, BeforeValidator(_count)]
