"""What the system checks say: of settings and files without a database, of the ledger with one."""

from __future__ import annotations

import copy

import pytest
from django.core import checks
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.test.utils import CaptureQueriesContext

from sqlmigrations.checks import IDS, TAG, check_databases, check_files
from tests.inprocess import LocalSite
from tests.servers import Database

FIRST = "CREATE TABLE a (id int);\n"


def files(site: LocalSite) -> list[CheckMessage]:
    with site.configured():
        return check_files()


def database(site: LocalSite, *aliases: str) -> list[CheckMessage]:
    with site.configured():
        return check_databases(databases=aliases or ["default"])


@pytest.fixture
def applied(local_site: LocalSite) -> LocalSite:
    local_site.write("001_a.sql", FIRST)
    local_site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


def test_files_in_order_are_silent_and_no_database_is_asked(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    with CaptureQueriesContext(connections["default"]) as queries:
        assert files(local_site) == []

    assert len(queries) == 0


def test_every_file_that_is_not_in_order_is_an_error_with_what_to_do(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "-- transacton: on\nSELECT 1;\n")
    local_site.write("first.sql", "SELECT 1;\n")

    assert files(local_site) == [
        Error(
            "migrations_sql/first.sql: Not a migration's name: NNN_slug.sql is expected, digits first.",
            hint="mv migrations_sql/first.sql migrations_sql/002_first.sql",
            id="sqlmigrations.E002",
        ),
        Error(
            "migrations_sql/001_a.sql:1:1: Unknown directive 'transacton'.",
            hint="Write -- transaction: on   (or reword the comment if it is prose)",
            id="sqlmigrations.E002",
        ),
    ]


def test_pending_contents_that_would_not_be_run_are_a_warning_of_the_database_until_they_are_recorded(
    local_site: LocalSite,
) -> None:
    local_site.write("001_a.sql", FIRST)
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("002_b.sql", "CREATE TABLE b (id int);\nCOMMIT;\nCREATE TABLE c (id int);\n")

    static = files(local_site)
    pending, refused = database(local_site)
    local_site.run("sqlmigrate_apply", "--fake", check=True)

    assert static == []
    assert (pending.id, refused.id, refused.obj) == ("sqlmigrations.W001", "sqlmigrations.W004", "default")
    assert isinstance(refused, Warning)
    assert refused.msg.startswith("migrations_sql/002_b.sql:2:1: COMMIT ")
    assert database(local_site) == []
    assert local_site.run("check", "--tag", TAG, "--database", "default").stderr == ""


def test_settings_that_are_not_in_order_are_an_error_and_the_database_is_left_alone(local_site: LocalSite) -> None:
    local_site.settings["LOCK_WIAT"] = "3s"

    message = "SQLMIGRATIONS has no key 'LOCK_WIAT'."
    assert files(local_site) == [Error(message, hint="Did you mean 'LOCK_WAIT'?", id="sqlmigrations.E001")]
    assert database(local_site) == []


def test_a_way_past_a_pooler_that_is_no_mirror_in_tests_is_a_warning(
    local_site: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings, "past", copy.deepcopy(connections.settings["default"]))
    local_site.settings["DIRECT"] = {"default": "past"}

    found = files(local_site)

    message = "The database 'past' leads to 'default', but Django's tests would take it for another one."
    hint = 'Add "TEST": {"MIRROR": "default"} to its entry.'
    assert found == [Warning(message, hint=hint, id="sqlmigrations.W005")]
    connections["past"].settings_dict["TEST"]["MIRROR"] = "default"
    assert files(local_site) == []
    del connections["past"]


def test_pending_is_a_warning_with_the_command(applied: LocalSite) -> None:
    applied.write("003_c.sql", "SELECT 1;\n")

    assert database(applied) == [
        Warning(
            "SQL migrations that are pending: 1.",
            hint="Apply them: python manage.py sqlmigrate_apply",
            id="sqlmigrations.W001",
            obj="default",
        )
    ]


def test_half_done_is_a_warning_that_names_it(applied: LocalSite) -> None:
    applied.write("003_c.sql", "-- transaction: off\nCREATE TABLE c (id int);\nSELECT 1 / 0;\n")
    applied.run("sqlmigrate_apply")

    (found,) = database(applied)

    assert (found.id, found.msg) == ("sqlmigrations.W001", "SQL migrations that are half done: project.003_c.")
    assert found.hint == "See how far they came: python manage.py sqlmigrate_status"


def test_everything_applied_is_silent(applied: LocalSite) -> None:
    assert database(applied) == []


def test_before_the_tables_exist_everything_is_pending(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    assert [message.msg for message in database(local_site)] == ["SQL migrations that are pending: 2."]
    assert local_site.ledger() == []


def test_a_modified_and_a_missing_file_are_one_warning_that_names_them(applied: LocalSite) -> None:
    applied.remove("001_a.sql")
    applied.write("002_b.sql", "SELECT 1;\n")

    assert database(applied) == [
        Warning(
            "SQL migrations that do not agree with their records: project.001_a, project.002_b.",
            hint="See what differs: python manage.py sqlmigrate_status -v 2",
            id="sqlmigrations.W002",
            obj="default",
        )
    ]


def test_no_database_is_looked_into_unless_it_is_asked_for(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    with local_site.configured(), CaptureQueriesContext(connections["default"]) as queries:
        assert check_databases() == check_databases(databases=None) == check_databases(databases=[]) == []

    assert len(queries) == 0


def test_a_database_that_is_gone_is_a_warning(local_site: LocalSite) -> None:
    connections["default"].ensure_connection()
    connections["default"].close()
    Database("postgres").query(f"DROP DATABASE {local_site.database.name}")

    (message,) = database(local_site)

    assert (message.id, message.obj) == ("sqlmigrations.W003", "default")
    assert message.msg.startswith("The database cannot be reached: ")


def test_a_foreign_table_in_the_place_of_ours_is_a_warning(local_site: LocalSite) -> None:
    local_site.query("CREATE TABLE schema_migrations (version text)")

    (message,) = database(local_site)

    assert message.id == "sqlmigrations.W003"
    assert 'SQLMIGRATIONS = {"SCHEMA": "sqlmigrations", ...}' in (message.hint or "")


def test_migrate_is_not_stopped_by_pending_files(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    assert local_site.run("migrate", "--verbosity", "0", "--run-syncdb").returncode == 0


def test_both_are_registered_under_the_tag_and_one_as_a_database_check(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    with local_site.configured():
        static = checks.run_checks(tags=[TAG])
        both = checks.run_checks(tags=[TAG], databases=["default"], include_deployment_checks=False)

    assert static == []
    assert [message.id for message in both] == ["sqlmigrations.W001"]


def test_every_id_has_a_sentence() -> None:
    assert list(IDS) == [f"sqlmigrations.{name}" for name in ("E001", "E002", "W001", "W002", "W003", "W004", "W005")]


def test_another_database_system_is_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = connections.settings
    lite = {**aliases["default"], "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setattr(connections, "settings", {**aliases, "lite": lite})

    assert check_databases(databases=["lite"]) == []
