"""Work on many entries in several processes, each with the same catalogue."""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from kb.catalogue import Catalogue
from kb.progress import progress

if TYPE_CHECKING:
    from kb.profiles import Profile
    from kb.records import Records

T = TypeVar("T")
_catalogue: Catalogue | None = None  # of a worker process


def worked(
    work: Callable[[Catalogue, str], T], catalogue: Catalogue, ids: Sequence[str], what: str, jobs: int, worth: int
) -> Iterator[T]:
    """What ``work`` makes of each entry, in order; ``what`` tells a person that watches what is going on.

    It is a function of a module, and what it gives is plain data, never None. Several processes do it
    for so many entries as are ``worth`` starting them; where one fails, this process sees to it itself.
    """
    several = jobs > 1 and len(ids) >= worth
    results = _in_processes(work, catalogue, ids, min(jobs, len(ids))) if several else None
    try:
        for entry_id in progress(ids, what):
            made = next(results) if results is not None else None
            yield work(catalogue, entry_id) if made is None else made
    finally:
        if results is not None:
            results.close()


def _in_processes(
    work: Callable[[Catalogue, str], T], catalogue: Catalogue, ids: Sequence[str], jobs: int
) -> Generator[T | None, None, None]:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, _begin, (catalogue.records, catalogue.profile))
    try:
        for future in [executor.submit(_work, work, entry_id) for entry_id in ids]:
            try:
                yield future.result()
            except Exception:
                yield None
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()


def _begin(records: Records, profile: Profile) -> None:
    """Make a worker ready; an interruption is the parent's to handle."""
    global _catalogue
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000, 20, 20)  # formulas are many small objects, few of which become garbage in circles
    _catalogue = Catalogue(records, profile)


def _work(work: Callable[[Catalogue, str], T], entry_id: str) -> T:
    if _catalogue is None:
        raise RuntimeError("a worker without a catalogue")
    return work(_catalogue, entry_id)
