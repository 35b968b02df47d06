"""A real browser for tests: Debian's Chromium, driven by Playwright, which is never to fetch one itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def lacking() -> str:
    """Why there is no browser here; empty where there is one."""
    if not _executable():
        return "there is no Chromium (apt-get install chromium)"
    missing = [name for name in ("playwright", "axe_playwright_python") if find_spec(name) is None]
    return f"not installed: {', '.join(missing)} (pip install -e '.[dev]')" if missing else ""


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser; as long as it is there Django takes this thread for an asynchronous one, and is told not to mind."""
    from playwright.sync_api import sync_playwright

    unsafe = "DJANGO_ALLOW_ASYNC_UNSAFE"
    assert unsafe not in os.environ
    os.environ[unsafe] = "1"
    try:
        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=_executable(), args=_ARGUMENTS)
            try:
                yield started
            finally:
                started.close()
    finally:
        del os.environ[unsafe]


def axe() -> str:
    """The source of axe-core, which finds what people who use no mouse or no eyes cannot use."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text()


def _executable() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)
