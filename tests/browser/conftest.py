"""Lends a browser, a site that is served, and a desk at which its pages are looked at."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import chromium
from tests.browser.desk import Desk, sit_down
from tests.browser.scenes import Scene, history
from tests.inprocess import pointed_at
from tests.servers import lend_database

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Skips where there is none, unless one was asked for."""
    if lacking := chromium.lacking():
        if os.environ.get("NEED_BROWSER"):
            pytest.fail(f"NEED_BROWSER is set: {lacking}")
        pytest.skip(lacking)
    with chromium.browser() as started:
        yield started


@pytest.fixture(scope="module")
def scene(django_db_blocker: Any) -> Iterator[Scene]:
    """A site with a history, for all tests of a module: they only read."""
    with lend_database() as database, tempfile.TemporaryDirectory() as name, pointed_at(database):
        with django_db_blocker.unblock():
            made = history(Path(name), database)
        with made.served() as shown:
            yield shown


@pytest.fixture
def desk(browser: Browser, scene: Scene) -> Iterator[Desk]:
    """The desk of somebody who may do everything."""
    made = sit_down(browser, scene.url, scene.cookies["root"])
    yield made
    made.page.context.close()
