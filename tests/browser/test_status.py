"""The status page in a browser: what it tells of databases, of trouble and of runs, and whether all can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.desk import NARROW, Desk, sit_down
from tests.browser.scenes import Scene, trouble
from tests.inprocess import pointed_at
from tests.servers import Database

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LEDGER = "/admin/sqlmigrations/schemamigration/"
STATUS = f"{LEDGER}status/"


@pytest.fixture
def troubled(browser: Browser, tmp_path: Path, fresh_database: Database, django_db_blocker: Any) -> Iterator[Desk]:
    with (
        django_db_blocker.unblock(),
        pointed_at(fresh_database),
        trouble(tmp_path, fresh_database).served() as scene,
    ):
        desk = sit_down(browser, scene.url, scene.cookies["root"])
        yield desk
        desk.page.context.close()


def test_it_is_one_click_from_the_list_and_leads_on_to_what_stopped_a_run(desk: Desk) -> None:
    desk.go(LEDGER)

    desk.page.click("a:text('Status of all databases')")
    assert desk.page.url.endswith(STATUS)
    desk.page.click(".sqlm-runs a:has-text('clients')")

    assert 'relation "clients" does not exist' in desk.page.inner_text("#content")
    assert desk.complaints == []


def test_it_says_of_every_database_what_to_do_also_of_one_that_is_away(desk: Desk) -> None:
    desk.go(STATUS)

    panels = desk.page.query_selector_all(".sqlm-panel")
    assert [panel.query_selector("h2").inner_text() for panel in panels] == ["Database default", "Database archive"]  # type: ignore[union-attr]
    commands = [panel.query_selector(".sqlm-next code").inner_text() for panel in panels]  # type: ignore[union-attr]
    assert commands == ["python manage.py sqlmigrate_apply", "python manage.py sqlmigrate_status --database archive"]
    assert "The database cannot be reached" in panels[1].inner_text()


def test_a_run_that_was_stopped_is_told_apart_without_colours_and_in_words(desk: Desk) -> None:
    desk.go(STATUS)

    marks = desk.page.eval_on_selector_all(
        ".sqlm-bar", "bars => bars.map(bar => bar.querySelector('text')?.textContent)"
    )
    titles = desk.page.eval_on_selector_all(".sqlm-bar title", "titles => titles.map(title => title.textContent)")
    assert marks == ["\N{MULTIPLICATION SIGN}", None, None]
    assert "stopped after" in titles[0]
    drawing = desk.page.get_by_role("img", name="How long the last runs took")
    assert drawing.count() == 1
    words = desk.page.locator(".sqlm-runs tbody tr").all_inner_texts()
    assert [row.split("\t")[1].partition(" ")[0] for row in words] == ["done", "done", "stopped"]


def test_in_trouble_it_can_be_read_in_light_dark_and_narrow(troubled: Desk) -> None:
    desk, found = troubled, dict[str, object]()
    desk.go(STATUS)
    found["light"] = desk.violations()
    desk.page.emulate_media(color_scheme="dark")
    found["dark"] = desk.violations()
    desk.page.set_viewport_size(NARROW)
    found["narrow"], found["overflow"] = desk.violations(), desk.overflow()

    assert found == {"light": [], "dark": [], "narrow": [], "overflow": 0}
    text = desk.page.inner_text("#content")
    for told in ("Files and records do not agree", "001_customers", "modified", "003_audit", "missing", "VACUUM"):
        assert told in text
    assert desk.complaints == []


def test_who_may_not_see_the_events_sees_neither_their_words_nor_ways_to_them(browser: Browser, scene: Scene) -> None:
    clerk = sit_down(browser, scene.url, scene.cookies["clerk"])
    clerk.go(STATUS)

    assert "stopped" in clerk.page.inner_text(".sqlm-runs")
    assert "clients" not in clerk.page.content()
    assert clerk.page.locator("a[href*='schemamigrationevent']").count() == 0
    clerk.page.context.close()
