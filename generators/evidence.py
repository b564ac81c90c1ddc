"""Evidence for many entries: what is stored is taken, the rest is gathered, by several processes if wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from generators.processes import worked
from kb.evidence import check, store, stored
from kb.evidence.record import from_json

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.evidence import Evidence

_WORTH_PROCESSES = 4  # entries; a process takes about a second to start


def gather(catalogue: Catalogue, ids: Sequence[str], jobs: int = 1) -> dict[str, Evidence]:
    """The evidence of each entry, in the order of ``ids``; it does not depend on ``jobs``."""
    found = {i: stored(catalogue[i]) for i in ids}
    missing = [i for i, evidence in found.items() if evidence is None]
    found.update(zip(missing, gather_anew(catalogue, missing, jobs), strict=True))
    return {i: evidence for i, evidence in found.items() if evidence is not None}


def gather_anew(catalogue: Catalogue, ids: Sequence[str], jobs: int = 1) -> Iterator[Evidence]:
    """The evidence of one entry after the other, whatever is stored; it is stored then."""
    for entry_id, found in zip(ids, worked(_checked, catalogue, ids, "checking", jobs, _WORTH_PROCESSES), strict=True):
        evidence = from_json(found)
        store(catalogue[entry_id], evidence)
        yield evidence


def _checked(catalogue: Catalogue, entry_id: str) -> Any:
    return check(catalogue[entry_id]).as_json()
