"""The health of a running site: what is answered when, in how many queries, and within which time."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import path
from health_check.views import HealthCheckView

from sqlmigrations.backends.base import Connection
from sqlmigrations.health.views import HealthView
from tests.django_apps import DjangoApp
from tests.inprocess import LocalSite
from tests.site import ROOT

CHECK = "sqlmigrations.health.checks.SqlMigrations"
urlpatterns = [
    path("health", HealthView.as_view()),
    path("strict", HealthView.as_view(fail_on_pending=True)),
    path("hasty", HealthView.as_view(timeout_s=0.5)),
    path("two", HealthView.as_view(databases=["default", "nowhere"])),
    path("checked", HealthCheckView.as_view(checks=[CHECK, (CHECK, {"fail_on_pending": True})])),
]
FINE = {"result": "ok", "integrity": "valid", "pending": 0, "waiting": 0, "partial": 0}
UNKNOWN = {"integrity": None, "pending": None, "waiting": None, "partial": None}
SECRET = "s3cret-of-the-database"


def ask(site: LocalSite, where: str = "/health", method: str = "get") -> Any:
    with site.configured(), override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
        return getattr(Client(raise_request_exception=False), method)(where)


def told(site: LocalSite, where: str = "/health") -> tuple[int, dict[str, Any]]:
    """The code, and what is said of the default database."""
    answer = ask(site, where)
    document = answer.json()
    assert document["healthy"] is (answer.status_code == 200)
    return answer.status_code, document["databases"]["default"]


@pytest.fixture
def applied(local_site: LocalSite) -> LocalSite:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


@pytest.fixture
def away(local_site: LocalSite) -> Iterator[LocalSite]:
    """A site whose server lets nobody in."""
    settings = connections["default"].settings_dict
    before = dict(settings)
    settings.update(ENGINE="django.db.backends.postgresql", HOST="localhost", PORT="1", PASSWORD=SECRET)
    del connections["default"]  # It has the engine that it was made with.
    yield local_site
    settings.update(before)
    connections["default"].close()
    del connections["default"]


def test_all_applied_is_200_as_json_that_no_cache_keeps(applied: LocalSite) -> None:
    answer = ask(applied)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"schema": 1, "healthy": True, "databases": {"default": FINE}}
    assert {"no-store", "private", "max-age=0"} <= set(answer["Cache-Control"].split(", "))


def test_pending_is_told_and_fails_only_who_asks_for_that(applied: LocalSite) -> None:
    applied.write("002_b.sql", "CREATE TABLE b (id int);\n")

    pending = FINE | {"result": "pending", "pending": 1}
    assert told(applied) == (200, pending)
    assert told(applied, "/strict") == (503, pending)


def test_what_has_to_come_after_migrate_is_pending_and_not_broken(applied: LocalSite) -> None:
    applied.write("002_b.sql", "-- depends: django:auth.0001_initial\nCREATE TABLE b (id int);\n")

    pending = FINE | {"result": "pending", "pending": 1}
    assert told(applied) == (200, pending)
    shop = DjangoApp(applied.folder, "shop")
    shop.write("0001_initial", 'ApplySQL("project", "002_b")')
    applied.write("002_b.sql", "-- runs-in: django:shop.0001_initial\nCREATE TABLE b (id int);\n")
    waiting = FINE | {"result": "pending", "waiting": 1}
    with shop.installed():
        assert told(applied) == (200, waiting)
        assert told(applied, "/strict") == (503, waiting)


def test_a_changed_file_is_503(applied: LocalSite) -> None:
    applied.write("001_a.sql", "CREATE TABLE a (id bigint);\n")

    assert told(applied) == (503, FINE | {"result": "broken", "integrity": "broken"})


def test_a_file_that_stopped_half_way_is_503_where_it_lies_and_not_where_the_older_release_runs(
    applied: LocalSite,
) -> None:
    applied.write("002_b.sql", "-- transaction: off\nCREATE TABLE b (id int);\nSELECT 1 / 0;\n")
    applied.run("sqlmigrate_apply")

    assert told(applied) == (503, FINE | {"result": "partial", "partial": 1})
    applied.remove("002_b.sql")
    assert told(applied) == (200, FINE)


def test_a_file_that_a_run_is_at_is_no_fault(applied: LocalSite) -> None:
    applied.write("002_b.sql", "-- transaction: off\nCREATE TABLE b (id int);\nSELECT 1 / 0;\n")
    applied.run("sqlmigrate_apply")
    applied.query("UPDATE schema_migrations SET state = 'running' WHERE name = '002_b'")

    assert told(applied) == (200, FINE | {"partial": 1})


def test_before_the_tables_exist_everything_is_pending(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    assert told(local_site) == (200, FINE | {"result": "pending", "pending": 2})
    assert local_site.query("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_the_table_of_another_tool_is_503(local_site: LocalSite, caplog: pytest.LogCaptureFixture) -> None:
    local_site.query("CREATE TABLE schema_migrations (version text)")

    with caplog.at_level(logging.WARNING, "sqlmigrations.health"):
        assert told(local_site) == (503, UNKNOWN | {"result": "misconfigured"})
    assert "It looks like the one of Rails or dbmate" in caplog.records[0].getMessage()


def test_a_role_that_may_not_read_is_503(applied: LocalSite) -> None:
    applied.query("DROP ROLE IF EXISTS health_reader")
    applied.query("CREATE ROLE health_reader LOGIN")
    settings = connections["default"].settings_dict
    before = settings["USER"]
    settings["USER"] = "health_reader"
    try:
        assert told(applied) == (503, UNKNOWN | {"result": "misconfigured"})
    finally:
        settings["USER"] = before
        applied.query("DROP ROLE health_reader")


def test_wrong_settings_and_an_alias_that_is_not_there_are_503(applied: LocalSite) -> None:
    assert ask(applied, "/two").json() == {
        "schema": 1,
        "healthy": False,
        "databases": {"default": FINE, "nowhere": UNKNOWN | {"result": "misconfigured"}},
    }
    applied.settings["SCHEMAS"] = "typed wrong"
    assert told(applied) == (503, UNKNOWN | {"result": "misconfigured"})


@pytest.mark.parametrize("atomic", [False, True])
def test_a_server_that_is_away_is_503_and_nothing_is_said_of_where_it_was(away: LocalSite, atomic: bool) -> None:
    connections["default"].settings_dict["ATOMIC_REQUESTS"] = atomic

    answer = ask(away)

    assert answer.status_code == 503
    assert answer.json()["databases"] == {"default": UNKNOWN | {"result": "unreachable"}}
    assert not [word for word in (SECRET, "localhost", "port", "connection") if word in answer.content.decode()]


def test_a_server_that_says_nothing_is_not_waited_for(away: LocalSite) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        connections["default"].settings_dict["PORT"] = str(silent.getsockname()[1])
        started = time.monotonic()

        assert told(away, "/hasty") == (503, UNKNOWN | {"result": "unreachable"})

        # Connecting would be given up after 10 s.
        assert time.monotonic() - started < 5


def test_a_ledger_that_is_locked_is_503_in_time_and_no_session_stays_behind(applied: LocalSite) -> None:
    holder = applied.database.connect()
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE schema_migrations")
        started = time.monotonic()

        assert told(applied, "/hasty") == (503, UNKNOWN | {"result": "unreachable"})

        assert time.monotonic() - started < 5
        while applied.query("SELECT FROM pg_stat_activity WHERE application_name = 'sqlmigrations health'"):
            assert time.monotonic() - started < 30
            time.sleep(0.05)
    holder.close()


def test_it_is_one_query_on_a_connection_that_is_closed_again(
    applied: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    query = Connection.query
    monkeypatch.setattr(Connection, "query", lambda self, sql, *rest: sent.append(sql) or query(self, sql, *rest))

    assert told(applied)[0] == 200

    assert len(sent) == 1
    assert connections["default"].connection is None
    assert not applied.query("SELECT FROM pg_stat_activity WHERE application_name = 'sqlmigrations health'")


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_only_get_and_head_are_answered(applied: LocalSite, method: str) -> None:
    assert ask(applied, method=method).status_code == 405
    head = ask(applied, method="head")
    assert (head.status_code, head.content) == (200, b"")


def test_the_check_for_django_health_check_says_as_much(applied: LocalSite) -> None:
    assert ask(applied, "/checked?format=json").json() == {"SqlMigrations(alias='default')": "OK"}
    applied.write("002_b.sql", "CREATE TABLE b (id int);\n")

    answer = ask(applied, "/checked?format=text")

    assert (answer.status_code, answer.content.decode()) == (
        500,
        "SqlMigrations(alias='default'): OK\n"
        "SqlMigrations(alias='default'): Unavailable: SQL migrations are pending (1 pending)\n",
    )


def test_the_check_names_no_server(away: LocalSite) -> None:
    answer: HttpResponse = ask(away, "/checked?format=json")

    assert (answer.status_code, json.loads(answer.content)) == (
        500,
        {"SqlMigrations(alias='default')": "Unavailable: the database did not answer"},
    )


def test_the_app_and_its_view_do_not_import_django_health_check() -> None:
    program = (
        "import sys, django; django.setup(); import sqlmigrations.admin, sqlmigrations.health.views\n"
        "sys.exit(int('health_check' in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
