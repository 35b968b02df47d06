"""Makes the pictures of the documents anew: ``python -m tests.browser.screenshots`` writes docs/images."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

import tests.conftest  # noqa: E402, F401 - it starts the server of the session
from tests.browser import chromium  # noqa: E402
from tests.browser.desk import Desk, sit_down  # noqa: E402
from tests.browser.scenes import Scene, office  # noqa: E402
from tests.inprocess import pointed_at  # noqa: E402
from tests.servers import lend_database  # noqa: E402
from tests.site import ROOT  # noqa: E402

IMAGES = ROOT / "docs" / "images"
_SIZE = {"width": 1180, "height": 1080}
_LEDGER = "/admin/sqlmigrations/schemamigration/"


def main() -> None:
    """Builds the scene, looks at two of its pages and keeps what is seen."""
    if lacking := chromium.lacking():
        sys.exit(f"No pictures: {lacking}")
    logging.disable(logging.CRITICAL)
    IMAGES.mkdir(exist_ok=True)
    with (
        lend_database() as database,
        lend_database() as reporting,
        tempfile.TemporaryDirectory() as folder,
        pointed_at(database),
        office(Path(folder), database, reporting).served() as scene,
        chromium.browser() as browser,
    ):
        desk = sit_down(browser, scene.url, scene.cookies["root"], viewport=_SIZE)
        _keep(desk, f"{_LEDGER}status/", "status.png")
        _keep(desk, _failed_first(scene), "migration.png")


def _failed_first(scene: Scene) -> str:
    return f"{_LEDGER}{scene.row_id('005_totals')}/change/"


def _keep(desk: Desk, path: str, name: str) -> None:
    desk.go(path)
    # The list of applications beside the page says nothing about it.
    if desk.page.get_attribute("#nav-sidebar", "aria-expanded") != "false":
        desk.page.click("#toggle-nav-sidebar")
    desk.page.wait_for_function("() => document.getAnimations().length === 0")
    desk.page.evaluate("() => scrollTo(0, 0)")
    desk.page.screenshot(path=IMAGES / name)
    size = (IMAGES / name).stat().st_size
    print(f"{IMAGES / name}: {size // 1024} kB")
    assert size < 150_000, "too large for a document"


if __name__ == "__main__":
    main()
