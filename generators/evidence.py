"""Evidence for many entries: what is stored is taken, the rest is gathered, by several processes if wanted."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from kb.catalogue import Catalogue
from kb.evidence import check, store, stored
from kb.evidence.record import from_json
from kb.progress import progress

if TYPE_CHECKING:
    from kb.evidence import Evidence
    from kb.records import Records

_WORTH_PROCESSES = 4  # entries; a process takes about a second to start
_catalogue: Catalogue | None = None  # of a worker process


def gather(catalogue: Catalogue, ids: Sequence[str], jobs: int = 1) -> dict[str, Evidence]:
    """The evidence of each entry, in the order of ``ids``; it does not depend on ``jobs``."""
    found = {i: stored(catalogue[i]) for i in ids}
    missing = [i for i, evidence in found.items() if evidence is None]
    found.update(zip(missing, gather_anew(catalogue, missing, jobs), strict=True))
    return {i: evidence for i, evidence in found.items() if evidence is not None}


def gather_anew(catalogue: Catalogue, ids: Sequence[str], jobs: int = 1) -> Iterator[Evidence]:
    """The evidence of one entry after the other, whatever is stored; it is stored then."""
    jobs = min(jobs, len(ids))
    results = _in_processes(catalogue, ids, jobs) if jobs > 1 and len(ids) >= _WORTH_PROCESSES else None
    try:
        for entry_id in progress(ids, "checking"):
            evidence = next(results) if results is not None else None
            if evidence is None:
                evidence = check(catalogue[entry_id])
            store(catalogue[entry_id], evidence)
            yield evidence
    finally:
        if results is not None:
            results.close()


def _in_processes(catalogue: Catalogue, ids: Sequence[str], jobs: int) -> Generator[Evidence | None, None, None]:
    """The evidence of each entry in order; None where a process failed, for which the caller sees to it itself."""
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, _begin, (catalogue.records,))
    try:
        for future in [executor.submit(_work, entry_id) for entry_id in ids]:
            try:
                yield from_json(future.result())
            except Exception:
                yield None
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()


def _begin(records: Records) -> None:
    """Make a worker ready; an interruption is the parent's to handle."""
    global _catalogue
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _catalogue = Catalogue(records)


def _work(entry_id: str) -> Any:
    if _catalogue is None:
        raise RuntimeError("a worker without a catalogue")
    return check(_catalogue[entry_id]).as_json()
