"""Every page of ours as a browser shows it: quiet, readable, reachable by keyboard, at home in light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sqlmigrations.admin import words
from tests.browser.desk import NARROW, Desk
from tests.browser.scenes import Scene

LEDGER = "/admin/sqlmigrations/schemamigration/"
STATUS = f"{LEDGER}status/"
EVENTS = "/admin/sqlmigrations/schemamigrationevent/"


def _failure(scene: Scene) -> str:
    ((found,),) = scene.site.query("SELECT id FROM public.schema_migration_events WHERE event = 'failed'")
    return f"{EVENTS}{found}/change/"


PAGES: dict[str, Callable[[Scene], str]] = {
    "history": lambda scene: LEDGER,
    "migration": lambda scene: f"{LEDGER}{scene.row_id('002_invoices')}/change/",
    "events": lambda scene: EVENTS,
    "event": _failure,
    "status": lambda scene: STATUS,
    "history in a site of one's own": lambda scene: LEDGER.replace("admin", "office"),
    "status in a site of one's own": lambda scene: STATUS.replace("admin", "office"),
}


def test_in_two_clicks_from_the_index_it_is_found_who_applied_it_when_and_why_it_failed_first(
    desk: Desk, scene: Scene
) -> None:
    ((when, who),) = scene.site.query(
        "SELECT applied_at, applied_by FROM public.schema_migrations WHERE name = '002_invoices'"
    )
    desk.go("/admin/")

    desk.page.click("#content a:text-is('SQL migrations')[href$='/schemamigration/']")
    desk.page.click("#content a:text('002_invoices')")

    told = desk.page.inner_text("#content")
    assert who in told
    assert words.moment(when) in told
    assert 'relation "clients" does not exist' in told
    assert "42P01" in told
    assert desk.complaints == []


@pytest.fixture(params=PAGES)
def path(request: pytest.FixtureRequest, scene: Scene) -> str:
    return PAGES[request.param](scene)


def test_a_page_is_quiet_and_axe_finds_nothing_in_light_dark_and_narrow(desk: Desk, path: str) -> None:
    found: dict[str, object] = {}
    desk.go(path)
    found["light"] = desk.violations()
    desk.page.emulate_media(color_scheme="dark")
    found["dark"] = desk.violations()
    desk.page.set_viewport_size(NARROW)
    found["narrow"], found["overflow"] = desk.violations(), desk.overflow()

    assert found == {"light": [], "dark": [], "narrow": [], "overflow": 0}
    assert desk.complaints == []


def test_a_page_can_be_used_by_keyboard_alone(desk: Desk, path: str) -> None:
    desk.go(path)

    visited = desk.tab_through()

    assert [each["name"] for each in visited if each["inside"]] == desk.reachable()
    assert [each["name"] for each in visited if each["inside"] and not each["shown"]] == []


def test_a_page_follows_the_theme_that_its_reader_chooses(desk: Desk, path: str) -> None:
    desk.go(path)
    light = desk.colour("body", "backgroundColor"), desk.colour("#content h1")

    for _ in range(3):
        desk.page.click(".theme-toggle:visible")
        if desk.page.get_attribute("html", "data-theme") == "dark":
            break

    dark = desk.colour("body", "backgroundColor"), desk.colour("#content h1")
    assert (light[0], dark[0]) == ("rgb(255, 255, 255)", "rgb(18, 18, 18)")
    assert light[1] != dark[1]


def test_what_the_policy_forbids_would_be_heard(desk: Desk) -> None:
    desk.go(LEDGER)

    with desk.page.expect_console_message():
        desk.page.evaluate("() => document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">loud</p>')")

    assert "inline style violates" in " ".join(desk.complaints)
