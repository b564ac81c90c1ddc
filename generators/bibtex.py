"""References of entries as BibTeX, each work once, with the entries that cite it in a remark above it.

All is ASCII but for letters that TeX has no name for: BibTeX and biber read accents written as
commands alike, while the old ``bibtex`` would tear UTF-8 apart where a style abbreviates a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from generators.bibtex_text import braced, folded, person, tex, title_tex
from generators.bibtex_text import words as words_of

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.model import Reference

# Words of a venue that tell what it is, the first that fits; anything else is a journal.
_VENUES: tuple[tuple[str, str], ...] = (
    ("phdthesis", r"\b(PhD|doctoral) (thesis|dissertation)\b"),
    ("mastersthesis", r"\bmaster'?s thesis\b"),
    ("techreport", r"\btechnical report\b"),
    ("misc", r"\b(coursera|lecture notes|course notes|blog|preprint|arXiv|CoRR|software|manual)\b"),
    (
        "inproceedings",
        r"\b(conference|workshop|symposium|congress|neural information processing systems|annual meeting)\b|"
        r"(?-i:\b(NIPS|NeurIPS|ICML|ICLR|CVPR|ICCV|ECCV|AAAI|IJCAI|ACL|EMNLP|NAACL|COLT|AISTATS|KDD|UAI|INTERSPEECH)\b)",
    ),
    (
        "book",
        r"\b(press|publishing|publishers?|publications|books?|verlag|springer|wiley|elsevier|birkhäuser|"
        r"prentice[- ]hall|mcgraw[- ]hill|addison[- ]wesley|academic press|morgan kaufmann|chapman|crc|pearson|"
        r"butterworths?|dover|north[- ]holland|world scientific|o'reilly|kluwer|routledge|mir)\b",
    ),
)
_PLACES = {
    "article": "journal",
    "book": "publisher",
    "inproceedings": "booktitle",
    "mastersthesis": "school",
    "misc": "howpublished",
    "phdthesis": "school",
    "techreport": "institution",
}
_NO_WORDS = frozenset("a an the on of in for to and or with by from at as is are be via towards toward some".split())


@dataclass(frozen=True, slots=True)
class Work:
    """A work of literature: what is said about it, and the ids of the entries that cite it."""

    reference: Reference
    cited_by: tuple[str, ...] = field(default=())


def bibtex(catalogue: Catalogue, ids: Sequence[str]) -> str:
    """The references of some entries, in the order in which they are first cited; empty if there are none."""
    return Bibliography(catalogue).bibtex(ids)


class Bibliography:
    """The works that the entries of a catalogue cite; a work has the same key whatever the selection is."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.keys = _keys(_works(catalogue, catalogue.records))

    def bibtex(self, ids: Sequence[str]) -> str:
        """The references of some entries."""
        return "\n".join(_item(self.keys[key], work) for key, work in _works(self.catalogue, ids).items())


def entry_type(reference: Reference) -> str:
    """What kind of work it is, as far as the place where it was published tells."""
    if not reference.venue:
        return "misc"
    found = next((t for t, words in _VENUES if re.search(words, reference.venue, re.IGNORECASE)), "article")
    return "incollection" if found == "book" and _collection(reference.venue) else found


def _collection(venue: str) -> tuple[str, str] | None:
    """The title and the publisher of a book of which the work is a part: ``Tricks of the Trade, Springer``."""
    title, comma, publisher = venue.rpartition(", ")
    return (title, publisher) if comma else None


# --- works ---------------------------------------------------------------------------------------


_Identity = tuple[str, str, int | None]


def _works(catalogue: Catalogue, ids: Iterable[str]) -> dict[_Identity, Work]:
    """Every work once; what only one of several citations of it says is kept."""
    found: dict[_Identity, Work] = {}
    for entry_id in ids:
        for reference in catalogue.entry(entry_id).references:
            identity = _identity(reference)
            known = found.get(identity, Work(reference))
            cited_by = dict.fromkeys([*known.cited_by, entry_id])
            found[identity] = Work(_merged(known.reference, reference), tuple(cited_by))
    return found


def _identity(reference: Reference) -> _Identity:
    first = person(reference.authors[0]).last if reference.authors else ""
    return " ".join(reference.title.casefold().split()), first.casefold(), reference.year


def _merged(one: Reference, other: Reference) -> Reference:
    names = ("authors", "venue", "doi", "arxiv", "url")
    return replace(one, **{n: getattr(one, n) or getattr(other, n) for n in names})


def _keys(works: Mapping[_Identity, Work]) -> dict[_Identity, str]:
    """``vaswani2017attention``; more words of the title where that is not enough to tell works apart."""
    made = {identity: _key(identity, 1) for identity in works}
    for count in range(2, 12):
        for identity in _ambiguous(made):
            made[identity] = _key(identity, count)
    for place, identity in enumerate(_ambiguous(made)):
        made[identity] += f"-{place + 1}"
    return made


def _ambiguous(keys: Mapping[_Identity, str]) -> list[_Identity]:
    shared: dict[str, list[_Identity]] = {}
    for identity, key in keys.items():
        shared.setdefault(key, []).append(identity)
    return [identity for same in shared.values() if len(same) > 1 for identity in same]


def _key(identity: _Identity, count: int) -> str:
    title, author, year = identity
    told = words_of(title)
    telling = [word for word in told if word not in _NO_WORDS] or told
    first = folded(author) or (telling.pop(0) if telling else "work")
    return f"{first}{year or ''}{''.join(telling[:count])}"


# --- text ----------------------------------------------------------------------------------------


def _item(key: str, work: Work) -> str:
    reference = work.reference
    fields = "".join(f"  {name:<13} = {value},\n" for name, value in _fields(reference) if value)
    return f"% cited by {', '.join(work.cited_by)}\n@{entry_type(reference)}{{{key},\n{fields}}}\n"


def _fields(reference: Reference) -> Iterator[tuple[str, str]]:
    yield "author", braced(" and ".join(person(name).tex() for name in reference.authors))
    yield "title", braced(title_tex(reference.title))
    yield from ((name, braced(tex(text))) for name, text in _venue(reference))
    yield "year", braced(str(reference.year or ""))
    yield "doi", braced(reference.doi or "")
    if reference.arxiv:
        yield "eprint", braced(reference.arxiv)
        yield "archivePrefix", braced("arXiv")
    yield "url", braced(reference.url or "")


def _venue(reference: Reference) -> Iterator[tuple[str, str]]:
    """Where it was published, under the name that its type has for it."""
    match entry_type(reference):
        case "incollection":
            title, publisher = _collection(reference.venue) or (reference.venue, "")
            yield "booktitle", title
            yield "publisher", publisher
        case "misc" if not reference.venue:
            return
        case kind:
            yield _PLACES[kind], reference.venue
