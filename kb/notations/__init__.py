"""The notation profiles that come with eqkb, and those in files of people's own."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from kb.errors import NotFound, nearest
from kb.profiles import PLAIN, Profile

_FOLDER = Path(__file__).resolve().parent
_SUFFIXES = (".yaml", ".yml")


def names() -> tuple[str, ...]:
    """The names of the profiles that come with eqkb."""
    return PLAIN.name, *sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def notation(name: str | os.PathLike[str]) -> Profile:
    """A profile by name, or from a file of one's own whose name ends in ``.yaml``.

    Raises NotFound with the nearest names, and CatalogueError with every fault of a file.
    """
    text = os.fspath(name)
    if text == PLAIN.name:
        return PLAIN
    if text in names():
        return _shipped(text)
    if text.endswith(_SUFFIXES):
        return read_profile(text)
    hint = nearest(text[:64], names()) or f"; there are {', '.join(names())}, and files of your own that end in .yaml"
    raise NotFound(f"no notation is called {text[:64]!r}{hint}")


@cache
def _shipped(name: str) -> Profile:
    from kb.notations.schema import profile_in

    return profile_in(str(_FOLDER / f"{name}.yaml"), name)


def read_profile(path: str) -> Profile:
    """The profile in a file of one's own. Raises CatalogueError with every fault."""
    from kb.notations.schema import profile_in

    return profile_in(path, Path(path).stem, file=path)
