"""What is shown of entries, kept between runs in the user's cache directory.

It counts as long as nothing has changed that it depends on: the entry, all that its formulas mention,
the variants beside which it is shown, the source of kb and of these generators, and the libraries.
What is stale, truncated or foreign is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from generators.parts import Shown
from generators.processes import worked
from generators.views import EntryView, views
from kb.cache import EntryKeys, cache_path, keep, read_kept, source_digest
from kb.evidence.kept import library_versions
from kb.variants import ordered

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from kb.catalogue import Catalogue
    from kb.evidence import Evidence

_WORTH_PROCESSES = 12  # entries; a process takes about a second to start
_HERE = os.path.dirname(os.path.abspath(__file__))


def shown(catalogue: Catalogue, ids: Sequence[str], jobs: int = 1) -> dict[str, Shown]:
    """What is shown of each entry, in the order of ``ids``; ``jobs`` processes make what is not kept.

    Raises CheckFailed where the derivation of an entry does not hold.
    """
    keys = _Keys(catalogue)
    found = kept(catalogue, ids)
    missing = [i for i in dict.fromkeys(ids) if i not in found]
    for entry_id, text in zip(
        missing, worked(_made, catalogue, missing, "writing", jobs, _WORTH_PROCESSES), strict=True
    ):
        keep(_path(entry_id), f"{keys.of(entry_id)}\n{text}")
        found[entry_id] = _parsed(text)
    return {i: found[i] for i in ids}


def kept(catalogue: Catalogue, ids: Sequence[str]) -> dict[str, Shown]:
    """What is kept of each entry, and only that."""
    keys = _Keys(catalogue)
    found = {i: _read(i, keys.of(i)) for i in ids}
    return {i: known for i, known in found.items() if known is not None}


def stored_views(catalogue: Catalogue, ids: Sequence[str]) -> tuple[EntryView, ...]:
    """Views of some entries with the evidence of earlier checks that still holds, and what else is kept."""
    stored = {i: catalogue[i].stored_evidence() for i in ids}
    return kept_views(catalogue, ids, {i: found for i, found in stored.items() if found is not None})


def kept_views(
    catalogue: Catalogue, ids: Sequence[str], evidence: Mapping[str, Evidence] | None = None
) -> tuple[EntryView, ...]:
    """Views of some entries with what is kept of them, so that only the rest is made when it is read."""
    return views(catalogue, ids, evidence, kept(catalogue, ids))


def _made(catalogue: Catalogue, entry_id: str) -> str:
    from generators.making import Making

    return json.dumps(asdict(Making(catalogue[entry_id], catalogue).all()))


# --- files -----------------------------------------------------------------------------------------


def _path(entry_id: str) -> str | None:
    return cache_path("shown", f"{entry_id}.json")


def _read(entry_id: str, key: str) -> Shown | None:
    found, _, text = (read_kept(_path(entry_id)) or "").partition("\n")
    try:
        return _parsed(text) if found == key else None
    except (ValueError, RecursionError):
        return None


def _parsed(text: str) -> Shown:
    """Raises ValueError where it is something else."""
    made: Shown = _adapter().validate_json(text)
    return made


@cache
def _adapter() -> TypeAdapter[Shown]:
    from pydantic import TypeAdapter

    return TypeAdapter(Shown)


# --- keys ------------------------------------------------------------------------------------------


class _Keys:
    """Digests of everything that could change what is shown of an entry."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.entries = EntryKeys(catalogue.records)
        self.common = f"{source_digest()} {_own_digest()} {library_versions()} {catalogue.profile}"

    def of(self, entry_id: str) -> str:
        """The digest of one entry; the text around its formulas is part of its code."""
        records = self.catalogue.records
        entry = records[entry_id]
        beside: list[Any] = []
        for variant in self.catalogue.variants(entry_id):
            first, _, given = ordered(records, entry, records[variant.id])
            beside.append((self.entries.of(variant.id), tuple(variant), first.id, given))
        parts = (self.common, self.entries.of(entry_id), repr(entry), repr(beside))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _own_digest() -> str:
    """Of the modules beside this one; those in folders only show what these make."""
    digest = hashlib.sha256()
    for name in sorted(os.listdir(_HERE)):
        if name.endswith(".py"):
            with open(os.path.join(_HERE, name), "rb") as stream:
                digest.update(f"{name}\n".encode() + stream.read())
    return digest.hexdigest()
