"""What a check says, and what several checks say together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Verdict = Literal["verified", "refuted", "unknown", "not checked"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def overall(verdicts: Iterable[Verdict], optional: Iterable[Verdict] = ()) -> Verdict:
    """The worst of several verdicts. Only ``verified`` counts: without a single one nothing is verified.

    ``optional`` verdicts may refute but need not be there: one that was not checked does not count.
    """
    required = list(verdicts)
    found = [*required, *(v for v in optional if v != "not checked")]
    worst: Verdict
    for worst in ("refuted", "unknown", "not checked"):
        if worst in found:
            return worst
    return "verified" if required else "not checked"
