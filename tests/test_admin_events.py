"""The events as pages: who did what and when, in which run, and why it failed."""

from __future__ import annotations

import json
import re
import uuid
from html import unescape

import pytest
from django.contrib.admin import AdminSite
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path

from sqlmigrations.admin import SchemaMigrationAdmin, SchemaMigrationEventAdmin
from sqlmigrations.admin import words as in_words
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent
from tests.office import EVENTS, LEDGER, Office, cells, page, section, table, words
from tests.site import ROOT

desk = AdminSite(name="desk")
desk.register(SchemaMigration, SchemaMigrationAdmin)
desk.register(SchemaMigrationEvent, SchemaMigrationEventAdmin)
urlpatterns = [path("desk/", desk.urls)]

INSERT = """
INSERT INTO schema_migration_events (run_id, event, label, key, name, os_user, host, pid, detail)
VALUES (%s, %s, %s, %s, %s, 'deploy', 'ci-7', 4711, %s) RETURNING id
"""
BLOCKER = {
    "pid": 815,
    "user": "ada",
    "application": "web",
    "state": "idle in transaction",
    "age_s": 38.0,
    "relation": "invoices",
    "query": "UPDATE invoices SET paid = ...",
}


@pytest.fixture
def history(office: Office) -> Office:
    """Two runs: in the first one the second of two files failed, in the other it was applied."""
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")
    office.site.write("002_b.sql", "SELECT 1/0;\n")
    office.site.run("sqlmigrate_apply")
    office.site.write("002_b.sql", "CREATE TABLE b ();\n")
    office.site.run("sqlmigrate_apply", check=True)
    return office


def told(office: Office, event: str, detail: dict[str, object], name: str | None = "002_b") -> int:
    """An event as a run would have recorded it."""
    what = ("project", "2", name) if name else (None, None, None)
    ((id,),) = office.site.query(INSERT, str(uuid.uuid4()), event, *what, json.dumps(detail))
    assert isinstance(id, int)
    return id


def test_the_list_tells_each_event_in_words_and_leads_to_its_migration(history: Office) -> None:
    html = page(history.superuser().get(EVENTS))

    shown = list(zip(cells(html, "what"), cells(html, "migration"), cells(html, "told"), strict=True))
    took = r" ms"
    assert [(what, which) for what, which, _ in shown] == [
        ("run finished", "-"),
        ("applied", "project.002_b"),
        ("run started", "-"),
        ("run finished", "-"),
        ("failed", "project.002_b"),
        ("applied", "project.001_a"),
        ("run started", "-"),
        ("applied", "sqlmigrations.000_migration_tracking"),
    ]
    assert [line for _, _, line in shown if not line.endswith(took)] == [
        "1 migration done",
        "1 migration to run",
        "ended with MigrationFailed, 2 migrations done",
        "22012: division by zero, migrations_sql/002_b.sql:1",
        "3 migrations to run",
    ]
    assert f'<a href="{LEDGER}{history.id_of("002_b")}/change/">project.002_b</a>' in html


def test_the_list_can_be_narrowed(history: Office) -> None:
    client = history.superuser()
    ((run,),) = history.site.query("SELECT run_id::text FROM schema_migration_events WHERE event = 'failed'")

    found = {
        question: cells(page(client.get(f"{EVENTS}?{question}")), "what")
        for question in (
            "event=failures",
            "event=faked",
            f"run={run}",
            "migration=project.2",
            "q=project.001",
            "label=x",
        )
    }

    assert found == {
        "event=failures": ["failed"],
        "event=faked": [],
        f"run={run}": ["run finished", "failed", "applied", "run started", "applied"],
        "migration=project.2": ["applied", "failed"],
        "q=project.001": ["applied"],
        "label=x": [],
    }
    assert f'<a href="?run={run}">{run}</a>' in page(client.get(f"{EVENTS}?run={run}"))
    for wrong in ("run=1", "migration=project"):
        assert client.get(f"{EVENTS}?{wrong}").headers["Location"] == f"{EVENTS}?e=1"


def test_a_failure_is_explained_with_who_stood_in_the_way(history: Office) -> None:
    detail = {
        "message": "project.002_b failed and was rolled back.",
        "exit_code": 1,
        "file": "migrations_sql/002_b.sql",
        "line": 14,
        "attempts": 5,
        "blockers": [BLOCKER],
        "sqlstate": "55P03",
        "error": "canceling statement due to lock timeout",
    }
    id = told(history, "failed", detail)

    seen = page(history.superuser().get(f"{EVENTS}{id}/change/"))
    guarded = page(history.staff("view_schemamigrationevent").get(f"{EVENTS}{id}/change/"))

    facts = unescape(section(seen, "sqlm-facts"))
    assert facts == (
        "What is known of it Error 55P03: canceling statement due to lock timeout "
        "Place migrations_sql/002_b.sql:14 Message project.002_b failed and was rolled back. Exit code 1 Attempts 5 "
        'Blocked by pid 815 (user "ada", app "web", idle in transaction 38 s), holds invoices'
    )
    assert section(guarded, "sqlm-facts") == section(seen, "sqlm-facts")
    assert "UPDATE invoices" in seen
    assert "UPDATE invoices" not in guarded
    assert f"{LEDGER}{history.id_of('002_b')}/change/" not in guarded
    (row,) = (row for row in table(seen, "What happened in it"))
    assert unescape(row[3]) == (
        "55P03: canceling statement due to lock timeout, migrations_sql/002_b.sql:14, 5 attempts, "
        'blocked by pid 815 (app "web", idle in transaction 38 s)'
    )


@pytest.mark.parametrize(
    ("event", "detail", "line"),
    [
        (
            "accepted",
            {"reason": "by hand", "checksum": "a", "checksum_before": "b", "name_before": "002_c"},
            "by hand, before: 002_c",
        ),
        ("statement_finished", {"number": 2, "line": 7, "execution_ms": 1234.5}, "statement 2, line 7, 1.2 s"),
        (
            "statement_started",
            {"number": 2, "line": 7, "sql": "SELECT secret", "before": {"a": 1}},
            "statement 2, line 7",
        ),
        ("resumed", {"number": 3}, "statement 3"),
        ("applied", {"django": "shop.0004_x"}, "by the Django migration shop.0004_x"),
        ("of_a_later_version", {"surprise": {"nested": [1]}}, "-"),
        ("failed", {"blockers": [{"pid": 1}], "error": None}, "blocked by pid 1"),
    ],
)
def test_every_kind_of_event_is_told(office: Office, event: str, detail: dict[str, object], line: str) -> None:
    office.site.run("sqlmigrate_apply", check=True)
    id = told(office, event, detail)

    client = office.superuser()

    assert cells(page(client.get(EVENTS)), "told")[0] == line
    assert '"' in unescape(section(page(client.get(f"{EVENTS}{id}/change/")), "sqlm-recorded"))


def test_there_is_a_word_for_every_event_that_is_written() -> None:
    formats = (ROOT / "docs" / "formats.md").read_text()
    (told,) = re.findall(r"^\| `event` \| text \| (.*) \|$", formats, re.MULTILINE)
    journal = formats.partition("\n## The journal\n")[2].partition("\n## ")[0]
    written = re.findall(r"`(\w+)`", told) + re.findall(r"^\| `(\w+)` \|", journal, re.MULTILINE)

    assert set(in_words.EVENTS) == set(written)


def test_what_django_calls_the_history_are_the_events(history: Office) -> None:
    client = history.superuser()
    id = history.id_of("002_b")
    ((run, started),) = history.site.query(
        "SELECT run_id::text, id FROM schema_migration_events WHERE event = 'run_started' ORDER BY id LIMIT 1"
    )

    of_migration, of_run = client.get(f"{LEDGER}{id}/history/"), client.get(f"{EVENTS}{started}/history/")

    assert of_migration.headers["Location"] == f"{EVENTS}?migration=project.2"
    assert of_run.headers["Location"] == f"{EVENTS}?run={run}"
    assert client.post(f"{LEDGER}{id}/history/").status_code == 405
    assert client.post(LEDGER, {"action": "delete_selected"}).status_code == 405
    assert history.staff().get(f"{LEDGER}{id}/history/").status_code == 403


def test_the_pages_work_in_an_admin_site_of_ones_own(history: Office) -> None:
    client = history.superuser()

    with override_settings(ROOT_URLCONF=__name__):
        listed = page(client.get("/desk/sqlmigrations/schemamigration/"))
        html = page(client.get(f"/desk/sqlmigrations/schemamigration/{history.id_of('002_b')}/change/"))
        events = page(client.get("/desk/sqlmigrations/schemamigrationevent/?event=failed"))

    assert cells(listed, "name") == ["002_b", "001_a", "000_migration_tracking"]
    assert '<a href="/desk/sqlmigrations/schemamigrationevent/?migration=project.2">' in html
    assert cells(events, "what") == ["failed"]
    assert 'href="/admin/' not in listed + html + events


def test_the_number_of_queries_does_not_grow_with_the_history(history: Office) -> None:
    client = history.superuser()
    paths = (LEDGER, EVENTS, f"{LEDGER}{history.id_of('002_b')}/change/")

    def count() -> list[int]:
        counts = []
        for each in paths:
            with CaptureQueriesContext(connection) as captured:
                page(client.get(each))
            counts.append(len(captured))
        return counts

    count()  # What is asked once in a process, the content types.
    few = count()
    history.site.query(
        "INSERT INTO schema_migrations (label, key, version, name, kind, mode, checksum, sql_checksum,"
        " checksum_algorithm, state, run_id, statements_total, tool_version) SELECT 'project', n::text, n, n || '_x',"
        " kind, mode, checksum, sql_checksum, checksum_algorithm, state, run_id, 1, tool_version"
        " FROM schema_migrations, generate_series(100, 180) AS n WHERE name = '002_b'"
    )
    history.site.query(
        "INSERT INTO schema_migration_events (run_id, event, label, key, name, os_user, host, pid)"
        " SELECT run_id, 'applied', label, key, name, 'ada', 'ci', 1 FROM schema_migrations"
    )

    assert count() == few
    assert max(few) <= 11
    assert words(page(client.get(LEDGER))).count("ada@ci") == 81
