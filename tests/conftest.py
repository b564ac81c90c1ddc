"""What every test relies on: the same examples on every run, and a cache of its own."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

settings.register_profile("eqkb", derandomize=True, deadline=None, database=None)
settings.load_profile("eqkb")

_cache = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Point the cache at an empty folder, for this process and every command that a test starts."""
    folder = tempfile.mkdtemp(prefix="eqkb-tests-")
    config.stash[_cache] = folder
    os.environ["XDG_CACHE_HOME"] = folder


@pytest.fixture
def no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds leave the site out, which takes longest of all."""
    monkeypatch.setattr("generators.build.why_not", lambda: "a test leaves it out")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_cache], ignore_errors=True)
