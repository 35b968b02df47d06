"""Which database the admin shows, and what it says where the tables cannot be read."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from tests.office import EVENTS, LEDGER, Office, cells, page, section, table, words
from tests.servers import Database, lend_database


@pytest.fixture
def history(office: Office) -> Office:
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")
    office.site.run("sqlmigrate_apply", check=True)
    return office


def another(monkeypatch: pytest.MonkeyPatch, alias: str, **changes: Any) -> None:
    """One more alias of this process, to a database of the same server."""
    entry = copy.deepcopy(connections["default"].settings_dict) | changes
    monkeypatch.setitem(settings.DATABASES, alias, entry)


@pytest.fixture
def reporting(history: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A second database with another history."""
    with lend_database() as database:
        another(monkeypatch, "reporting", NAME=database.name)
        history.site.write("002_b.sql", "-- database: reporting\nSELECT 1/0;\n")
        history.site.run("sqlmigrate_apply", "--database", "reporting")
        history.site.write("002_b.sql", "-- database: reporting\nCREATE TABLE b ();\n")
        history.site.run("sqlmigrate_apply", "--database", "reporting", check=True)
        yield database
        connections["reporting"].close()
        del connections["reporting"]


@pytest.fixture
def role(history: Office) -> Iterator[str]:
    """Django's connection is that of a role that may read everything but what a test takes from it."""
    name = f"web_{uuid.uuid4().hex[:8]}"
    history.site.query(f"CREATE ROLE {name} LOGIN")
    history.site.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    history.site.query(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}")
    connection = connections["default"]
    owner, connection.settings_dict["USER"] = connection.settings_dict["USER"], name
    connection.close()
    yield name
    connection.settings_dict["USER"] = owner
    connection.close()
    history.site.query(f"DROP OWNED BY {name}")
    history.site.query(f"DROP ROLE {name}")


def notice(html: str) -> str:
    """What the page warns of."""
    return unescape(html.partition('<li class="warning">')[2].partition("</li>")[0])


def test_with_one_database_there_is_no_choice(history: Office) -> None:
    html = page(history.superuser().get(LEDGER))

    assert "By database" not in words(html)
    assert notice(html) == ""


def test_the_history_of_another_database_is_a_click_away_and_stays_chosen(
    history: Office, reporting: Database
) -> None:
    client = history.superuser()

    first = page(client.get(LEDGER))
    assert (cells(first, "name"), "002_b" in first) == (["001_a", "000_migration_tracking"], False)
    assert '<a href="?database=reporting">reporting</a>' in first
    other = page(client.get(f"{LEDGER}?database=reporting&label=project"))
    assert cells(other, "name") == ["002_b", "001_a"]
    ((id,),) = reporting.query("SELECT id FROM schema_migrations WHERE name = '002_b'")
    (link,) = re.findall(rf'href="{LEDGER}{id}/change/\?([^"]*)"', other)
    assert "database=reporting" in unescape(link).split("&")

    html = page(client.get(f"{LEDGER}{id}/change/?database=reporting"))
    assert [row[1] for row in table(html, "Everything")] == ["applied", "failed"]
    ((run,),) = reporting.query("SELECT run_id::text FROM schema_migrations WHERE name = '002_b'")
    assert f'<a href="{EVENTS}?run={run}&amp;database=reporting">' in html
    events = page(client.get(f"{EVENTS}?run={run}&database=reporting"))
    assert cells(events, "what") == ["run finished", "applied", "run started"]
    assert f'<a href="{LEDGER}{id}/change/?database=reporting">project.002_b</a>' in events


def test_what_is_to_be_typed_for_another_database_names_it(history: Office, reporting: Database) -> None:
    reporting.query("DROP TABLE schema_migration_events")

    told = notice(page(history.superuser().get(f"{EVENTS}?database=reporting")))

    assert "Make what is gone:  python manage.py dbshell --database reporting -- -c " in told


def test_a_database_that_does_not_exist_is_not_found(history: Office) -> None:
    assert history.superuser().get(f"{LEDGER}?database=nowhere").status_code == 404


def test_another_database_that_cannot_be_reached_is_told_of(history: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "1"}
    another(monkeypatch, "away", **nowhere, PASSWORD="tops3cret")

    html = page(history.superuser().get(f"{LEDGER}?database=away"))

    assert notice(html).startswith("The database cannot be reached: ")
    assert "Connection refused. Is the server running" in notice(html)
    assert "tops3cret" not in html
    connections["away"].close()
    del connections["away"]


@pytest.mark.parametrize("path", [LEDGER, EVENTS])
def test_before_the_first_apply_it_says_what_to_type(office: Office, path: str) -> None:
    html = page(office.superuser().get(path))

    assert notice(html) == (
        "Nothing was ever applied to this database. The first  python manage.py sqlmigrate_apply  makes the tables."
    )


def test_a_foreign_table_is_told_of(office: Office) -> None:
    office.site.query("CREATE TABLE schema_migrations (version text)")

    assert "It looks like the one of Rails or dbmate" in notice(page(office.superuser().get(LEDGER)))


def test_settings_that_are_not_in_order_are_told_of(history: Office) -> None:
    client = history.superuser()

    with override_settings(SQLMIGRATIONS={"SHCEMA": "x"}):
        html = page(client.get(LEDGER))

    assert notice(html).startswith("The setting SQLMIGRATIONS is not in order. SQLMIGRATIONS has no key 'SHCEMA'.")


def test_a_role_that_may_not_read_the_texts_is_told_the_grant_and_shown_the_file(history: Office, role: str) -> None:
    client = history.superuser()
    history.site.query(f"REVOKE ALL ON schema_migration_texts FROM {role}")
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = True

    try:
        html = history.open(client, "001_a")
    finally:
        connections["default"].settings_dict["ATOMIC_REQUESTS"] = False

    shown = unescape(section(html, "sqlm-sql"))
    assert f"The role '{role}' may not read public.schema_migration_texts." in shown
    assert f'GRANT SELECT ON "public".schema_migration_texts TO "{role}";' in shown
    assert "CREATE TABLE a ();" in shown
    assert [row[1] for row in table(html, "Everything")] == ["applied"]


def test_a_role_that_may_not_read_the_events_is_shown_the_history(history: Office, role: str) -> None:
    client = history.superuser()
    history.site.query(f"REVOKE ALL ON schema_migration_events FROM {role}")

    listed, html, events = page(client.get(LEDGER)), history.open(client, "001_a"), page(client.get(EVENTS))

    assert cells(listed, "name") == ["001_a", "000_migration_tracking"]
    assert "No event of it can be seen." in section(html, "sqlm-events")
    assert f'GRANT SELECT ON "public".schema_migration_events TO "{role}";' in notice(events)


def test_a_role_that_may_not_enter_the_schema_is_told_so(history: Office, role: str) -> None:
    history.site.query("CREATE SCHEMA theirs")
    history.site.query("ALTER TABLE schema_migrations SET SCHEMA theirs")
    client = history.superuser()

    with override_settings(SQLMIGRATIONS={**settings.SQLMIGRATIONS, "SCHEMA": "theirs"}):
        html = page(client.get(LEDGER))

    assert f'GRANT USAGE ON SCHEMA "theirs" TO "{role}";' in notice(html)


def test_a_site_without_time_zones_shows_its_times(history: Office) -> None:
    client = history.superuser()

    with override_settings(USE_TZ=False):
        connections["default"].close()
        listed, html = page(client.get(EVENTS)), history.open(client, "001_a")
    connections["default"].close()

    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when) for when in cells(listed, "happened"))
    applied_at = "to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
    ((when,),) = history.site.query(f"SELECT {applied_at} FROM schema_migrations WHERE name = '001_a'")
    assert f"Applied at: {when} By whom:" in words(html)
