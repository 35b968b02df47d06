"""The admin as its users see it: the history and the events, for reading only."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin

from sqlmigrations.admin.words import event as in_words
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent, SchemaMigrationText
from tests.office import EVENTS, LEDGER, Office, cells, page, table, words


@pytest.fixture
def history(office: Office) -> Office:
    """One migration that failed once and was applied then, one that was recorded without running."""
    office.site.write("001_a.sql", "SELECT 1/0;\n")
    office.site.run("sqlmigrate_apply")
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.write("002_b.sql", "CREATE TABLE b ();\n")
    office.site.run("sqlmigrate_apply", "--fake", check=True)
    return office


def test_the_list_shows_the_newest_first(history: Office) -> None:
    html = page(history.superuser().get(LEDGER))

    assert cells(html, "name") == ["002_b", "001_a", "000_migration_tracking"]
    assert cells(html, "label") == ["project", "project", "sqlmigrations"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when) for when in cells(html, "applied"))
    assert cells(html, "state_in_words") == ["applied"] * 3
    assert [bool(re.fullmatch(r"\d+ ms", took)) for took in cells(html, "duration")] == [False, True, True]
    assert cells(html, "duration")[0] == "not run"
    ((os_user, host, db_user),) = history.site.query(
        "SELECT DISTINCT os_user, host, db_user FROM schema_migration_events"
    )
    assert cells(html, "by_whom") == [f"{os_user}@{host} ({db_user})"] * 3


def test_the_list_can_be_filtered_and_searched(history: Office) -> None:
    client = history.superuser()

    found = {
        question: cells(page(client.get(f"{LEDGER}?{question}")), "name")
        for question in ("label=sqlmigrations", "state=partial", "q=002", "q=project.001_a.sql", "q=other.001_a")
    }

    assert found == {
        "label=sqlmigrations": ["000_migration_tracking"],
        "state=partial": [],
        "q=002": ["002_b"],
        "q=project.001_a.sql": ["001_a"],
        "q=other.001_a": [],
    }


def test_the_page_of_a_migration_shows_facts_and_events(history: Office) -> None:
    html = page(history.superuser().get(f"{LEDGER}{history.id_of('001_a')}/change/"))

    (row,) = (row for row in history.site.ledger() if row["name"] == "001_a")
    for fact in ("001_a", "applied", row["checksum"], row["run_id"]):
        assert fact in words(html)
    assert [row[1] for row in table(html, "Everything that happened")] == ["applied", "failed"]
    _, (_, what, told, _, _) = table(html, "Everything that happened")
    assert (what, told) == ("failed", "22012: division by zero, migrations_sql/001_a.sql:1")
    assert f"Its first failure: {told} (" in words(html)
    assert 'name="_save"' not in html


def test_a_migration_that_was_not_run_shows_no_duration(history: Office) -> None:
    html = page(history.superuser().get(f"{LEDGER}{history.id_of('002_b')}/change/"))

    assert not re.search(r"\b\d+ ms\b", words(html))
    assert [row[1] for row in table(html, "Everything that happened")] == ["recorded without running"]


def test_the_events_show_failures_and_runs(history: Office) -> None:
    client = history.superuser()

    html = page(client.get(EVENTS))

    recorded = [event for (event,) in history.site.query("SELECT event FROM schema_migration_events ORDER BY id DESC")]
    assert cells(html, "what") == [in_words(event) for event in recorded]
    ((failed,),) = history.site.query("SELECT id FROM schema_migration_events WHERE event = 'failed'")
    assert "division by zero" in words(page(client.get(f"{EVENTS}{failed}/change/")))


def test_a_repair_is_shown_with_its_reason(history: Office) -> None:
    history.site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    why = ("--reason", "the column was added <by hand>", "--noinput")
    history.site.run("sqlmigrate_repair", "accept", "project", "1", *why, check=True)
    client = history.superuser()

    html = page(client.get(f"{LEDGER}{history.id_of('001_a')}/change/"))

    ((_, what, told, _, _), *_) = table(html, "Everything that happened")
    assert (what, told) == ("change accepted", "the column was added &lt;by hand&gt;")
    assert told in cells(page(client.get(EVENTS)), "told")


def test_one_that_was_forgotten_is_found_among_the_events(history: Office) -> None:
    history.site.remove("001_a.sql")
    history.site.run(
        "sqlmigrate_repair", "forget", "project", "1", "--reason", "never needed", "--noinput", check=True
    )

    html = page(history.superuser().get(EVENTS))

    assert "never needed" in cells(html, "told")
    (event,) = SchemaMigrationEvent.objects.filter(event="forgotten")
    assert event.detail["row"]["name"] == "001_a"


@pytest.mark.parametrize("path", [LEDGER, EVENTS])
def test_before_the_tables_exist_the_lists_are_empty(office: Office, path: str) -> None:
    html = page(office.superuser().get(path))

    assert "0 SQL migration" in words(html)
    assert office.site.query("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_before_the_tables_exist_a_single_page_leads_back_to_the_index(office: Office) -> None:
    response = office.superuser().get(f"{LEDGER}1/change/")

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


def test_a_foreign_table_in_the_place_of_ours_is_not_shown(office: Office) -> None:
    office.site.query("CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('theirs')")

    html = page(office.superuser().get(LEDGER))

    assert "theirs" not in html
    assert "0 SQL migrations" in words(html)


def test_a_permission_to_view_shows_one_and_not_the_other(history: Office) -> None:
    client = history.staff("view_schemamigration")

    assert client.get(LEDGER).status_code == 200
    assert client.get(EVENTS).status_code == 403


def test_there_are_permissions_to_view_only_and_the_texts_have_no_page() -> None:
    for model in (SchemaMigration, SchemaMigrationEvent, SchemaMigrationText):
        assert model._meta.default_permissions == ("view",)
        assert not model._meta.managed
    assert SchemaMigrationText not in admin.site._registry


def test_rows_name_themselves(history: Office) -> None:
    assert str(SchemaMigration.objects.all()[0]) == "project.002_b"
    assert [str(event) for event in SchemaMigrationEvent.objects.filter(label="project").order_by("id")] == [
        "failed project.001_a",
        "applied project.001_a",
        "faked project.002_b",
    ]
    assert str(SchemaMigrationEvent.objects.filter(label=None)[0]) == "run_finished"
    text = SchemaMigrationText.objects.get(body="CREATE TABLE a ();\n")
    assert str(text) == text.checksum[:12]


def test_django_sees_no_difference_between_models_and_its_migration(history: Office) -> None:
    ended = history.site.run("makemigrations", "sqlmigrations", "--check", "--dry-run")

    assert (ended.returncode, ended.stdout) == (0, "No changes detected in app 'sqlmigrations'\n")
