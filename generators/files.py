"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from kb.errors import EqkbError


def write_file(path: Path, content: bytes) -> None:
    """Write under a temporary name beside the file, then rename. Raises EqkbError or OSError.

    A link leads to the file that it names; what is no file, such as a pipe, is written to directly.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise EqkbError(f"{path} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    if not target.parent.is_dir():
        raise EqkbError(f"there is no folder {path.parent} to write {path.name} in; make it first")
    try:
        _replace(target, content)
    except OSError as error:
        raise EqkbError(f"{path} cannot be written: {error.strerror or error}") from error


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
    try:
        with open(handle, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
