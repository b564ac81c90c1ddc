"""What the tests of the website share: the built site, a browser that reaches nothing else, what goes wrong in it."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
WIDE = {"width": 1400, "height": 1000}
PHONE = {"width": 360, "height": 740}
SECONDS = 20  # that anything may take before a test fails
# No name of a host means anything to this browser, so that not even it itself can ask for something.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@dataclass(frozen=True)
class Build:
    """What ``eqkb build`` wrote, the cache that it filled, and what it said."""

    out: Path
    cache: Path
    said: Path

    @property
    def site(self) -> Path:
        return self.out / "site"

    @property
    def sources(self) -> Path:
        """The Markdown that the site was made from."""
        kept = (self.cache / "eqkb" / "site").glob("*/source")
        return max(kept, key=lambda folder: (folder.parent / ".lock").stat().st_mtime)

    def pages(self) -> list[str]:
        """The pages of the site by their path."""
        return sorted(path.relative_to(self.site).as_posix() for path in self.site.rglob("*.html"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else is within, among all processes."""
    import fcntl

    with path.open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def why_no_browser() -> str:
    """What is missing to look at pages; empty if nothing is."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed"
    return "" if shutil.which("chromium") else "Chromium is not installed"


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium; skips the test where it is not there."""
    if missing := why_no_browser():
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: Any) -> None:
        """Nothing: the browser says what fails."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder that is served, with a slash at its end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


class Visit:
    """A page in a window of its own; ``faults`` is all that went wrong in it and all that it asked of other places.

    Every request that does not lead into ``home`` is written down and not let through.
    """

    def __init__(self, browser: Any, home: str, **options: Any) -> None:
        self.home = home
        self.faults: list[str] = []
        self.context = browser.new_context(viewport=WIDE, reduced_motion="reduce", **options)
        self.context.set_default_timeout(SECONDS * 1000)
        self.context.route(lambda url: not self._is_ours(url), self._refuse)
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))
        self.context.on("requestfailed", self._failed)
        self.context.on("response", self._response)
        self.page = self.context.new_page()

    def _is_ours(self, url: str) -> bool:
        return url.startswith((self.home, "data:", "blob:", "about:"))

    def _refuse(self, route: Any) -> None:
        self.faults.append(f"asked of another place: {route.request.url}")
        route.abort()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _failed(self, request: Any) -> None:
        # What is asked for ahead of time is dropped where nothing uses it, and scripts where there may be none.
        if request.failure not in ("net::ERR_ABORTED", "csp") or request.resource_type == "document":
            self.faults.append(f"failed: {request.url}: {request.failure}")

    def _response(self, response: Any) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def open(self, path: str) -> Any:
        """Go to a page of the site; returns when all that it loads is there."""
        self.page.goto(self.home + path)
        return self.page

    def close(self) -> None:
        self.context.close()


@contextmanager
def visit(browser: Any, home: str, **options: Any) -> Iterator[Visit]:
    """A visit in which nothing may go wrong."""
    made = Visit(browser, home, **options)
    try:
        yield made
    finally:
        made.close()
    assert not made.faults, made.faults
