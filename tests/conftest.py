"""What every test relies on: the same examples on every run, a cache of its own, one build for all that look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browsing
import pytest
from hypothesis import settings

settings.register_profile("eqkb", derandomize=True, deadline=None, database=None)
settings.load_profile("eqkb")

_cache = pytest.StashKey[str]()
# The folder of the first process of a run, which those that it starts share.
_SHARED = "EQKB_TESTS_SHARED"
_BUILD_SECONDS = 1800


def pytest_configure(config: pytest.Config) -> None:
    """Point the cache at an empty folder, for this process and every command that a test starts."""
    folder = tempfile.mkdtemp(prefix="eqkb-tests-")
    config.stash[_cache] = folder
    os.environ["XDG_CACHE_HOME"] = folder
    os.environ.setdefault(_SHARED, folder)


@pytest.fixture
def no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds leave the site out, which takes longest of all."""
    monkeypatch.setattr("generators.build.why_not", lambda: "a test leaves it out")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_cache], ignore_errors=True)


@pytest.fixture(scope="session")
def shipped_build() -> browsing.Build:
    """The shipped catalogue as ``eqkb build`` makes it of nothing, once for all processes of a run."""
    folder = Path(os.environ[_SHARED]) / "shipped"
    folder.mkdir(exist_ok=True)
    build = browsing.Build(folder / "out", folder / "cache", folder / "said.txt")
    with browsing.locked(folder / "lock"):
        if not build.said.exists():
            command = [sys.executable, "-m", "kb", "build", "-o", str(build.out)]
            environment = {**os.environ, "XDG_CACHE_HOME": str(build.cache), "PYTHONPATH": str(browsing.ROOT)}
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_BUILD_SECONDS
            )
            build.said.write_text(f"{done.returncode}\n{done.stderr}", encoding="utf-8")
    code, _, said = build.said.read_text(encoding="utf-8").partition("\n")
    assert code == "0", said
    return build


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser that reaches nothing outside of this machine."""
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def served(shipped_build: browsing.Build) -> Iterator[str]:
    """The address of the shipped site where a server of files has it."""
    with browsing.serving(shipped_build.site) as address:
        yield address
