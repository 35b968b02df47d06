"""What the system checks say of a ledger beside the files."""

from __future__ import annotations

import pytest
from django.core.checks import CheckMessage, Warning
from django.db import connections
from django.test.utils import CaptureQueriesContext

from sqlmigrations.checks import TAG, check_databases, check_files
from tests.inprocess import LocalSite
from tests.servers import Database
from tests.shop import Shop

FIRST = "CREATE TABLE a (id int);\n"


def database(site: LocalSite, *aliases: str) -> list[CheckMessage]:
    with site.configured():
        return check_databases(databases=aliases or ["default"])


@pytest.fixture
def applied(local_site: LocalSite) -> LocalSite:
    local_site.write("001_a.sql", FIRST)
    local_site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


def test_pending_contents_that_would_not_be_run_are_a_warning_of_the_database_until_they_are_recorded(
    local_site: LocalSite,
) -> None:
    local_site.write("001_a.sql", FIRST)
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("002_b.sql", "CREATE TABLE b (id int);\nCOMMIT;\nCREATE TABLE c (id int);\n")

    with local_site.configured():
        static = check_files()
    pending, refused = database(local_site)
    local_site.run("sqlmigrate_apply", "--fake", check=True)

    assert static == []
    assert (pending.id, refused.id, refused.obj) == ("sqlmigrations.W001", "sqlmigrations.W004", "default")
    assert isinstance(refused, Warning)
    assert refused.msg.startswith("migrations_sql/002_b.sql:2:1: COMMIT ")
    assert database(local_site) == []
    assert local_site.run("check", "--tag", TAG, "--database", "default").stderr == ""


def test_while_settings_are_not_in_order_the_database_is_left_alone(local_site: LocalSite) -> None:
    local_site.settings["LOCK_WIAT"] = "3s"

    assert database(local_site) == []


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

    assert (found.id, found.msg) == ("sqlmigrations.W006", "SQL migrations that are half done: project.003_c.")
    assert found.hint == "See how far they came: python manage.py sqlmigrate_status"


def test_everything_applied_is_silent(applied: LocalSite) -> None:
    assert database(applied) == []


def test_before_the_tables_exist_everything_is_pending(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    assert [message.msg for message in database(local_site)] == ["SQL migrations that are pending: 2."]
    assert local_site.ledger() == []


def test_a_changed_a_missing_and_a_late_file_are_facts_of_their_own(applied: LocalSite) -> None:
    applied.write("004_d.sql", "SELECT 4;\n")
    applied.run("sqlmigrate_apply", check=True)
    applied.remove("001_a.sql")
    applied.write("002_b.sql", "SELECT 1;\n")
    applied.write("003_c.sql", "SELECT 3;\n")

    changed, missing, late, pending = database(applied)

    assert [changed, missing, late] == [
        Warning(
            "SQL migrations that were changed since they were applied: project.002_b.",
            hint="See what was changed, and what to do: python manage.py sqlmigrate_status -v 2",
            id="sqlmigrations.W002",
            obj="default",
        ),
        Warning(
            "SQL migrations that are applied, and whose files are gone: project.001_a.",
            hint="See how to get them back: python manage.py sqlmigrate_status",
            id="sqlmigrations.W007",
            obj="default",
        ),
        Warning(
            "SQL migrations that are pending, below a number that is applied: project.003_c.",
            hint="See how they may run: python manage.py sqlmigrate_apply --plan",
            id="sqlmigrations.W008",
            obj="default",
        ),
    ]
    assert pending.id == "sqlmigrations.W001"


def test_a_file_that_is_not_in_order_is_told_without_a_database_only(applied: LocalSite) -> None:
    applied.write("003_c.sql", "-- transacton: on\nSELECT 3;\n")

    assert [message.id for message in database(applied)] == ["sqlmigrations.W001"]


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

    assert message.id == "sqlmigrations.W009"
    assert 'SQLMIGRATIONS = {"SCHEMA": "sqlmigrations", ...}' in (message.hint or "")


def test_migrate_is_not_stopped_by_pending_files(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)

    assert local_site.run("migrate", "--verbosity", "0", "--run-syncdb").returncode == 0


def test_another_database_system_is_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = connections.settings
    lite = {**aliases["default"], "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setattr(connections, "settings", {**aliases, "lite": lite})

    assert check_databases(databases=["lite"]) == []


def test_a_file_that_django_applies_is_waited_for_and_what_comes_after_it_is_held_back(shop: Shop) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.wrap("0001", "001_a", FIRST)
    shop.write("002_b.sql", "SELECT 2;\n")

    before = database(shop)
    shop.migrate(check=True)

    assert before == [
        Warning(
            "SQL migrations that are pending: 1.",
            hint="Apply them: python manage.py migrate shop 0001 && python manage.py sqlmigrate_apply",
            id="sqlmigrations.W001",
            obj="default",
        ),
        Warning(
            "SQL migrations that migrations of Django's are to apply: project.001_a.",
            hint="Apply them: python manage.py migrate shop 0001",
            id="sqlmigrations.W011",
            obj="default",
        ),
    ]
    assert [message.hint for message in database(shop)] == ["Apply them: python manage.py sqlmigrate_apply"]


def test_what_can_run_now_is_applied_before_what_is_held_back(shop: Shop) -> None:
    shop.wrap("0001", "001_a", FIRST)
    shop.write("002_b.sql", "SELECT 2;\n")

    pending, _ = database(shop)

    apply = "python manage.py sqlmigrate_apply"
    assert pending.hint == f"Apply them: {apply} && python manage.py migrate shop 0001 && {apply}"


def test_files_that_take_turns_with_those_of_django_are_applied_in_turn(shop: Shop) -> None:
    shop.wrap("0001", "001_a", FIRST)
    shop.write("002_b.sql", "SELECT 2;\n")
    shop.wrap("0002", "003_c", "SELECT 3;\n")

    pending, waiting = database(shop)

    apply = "python manage.py sqlmigrate_apply"
    assert pending.hint == f"Apply them: {apply} && python manage.py migrate shop 0001 && {apply}"
    assert waiting.hint == f"{pending.hint} && python manage.py migrate shop 0002"


def test_a_migration_of_django_that_was_faked_is_a_warning_with_both_ways_out(shop: Shop) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.wrap("0001", "001_a", FIRST)
    shop.migrate("--fake", check=True)

    faked = database(shop)
    shop.run("sqlmigrate_apply", "--fake", "project", "001", check=True)

    assert faked == [
        Warning(
            "migrations_sql/001_a.sql:1:1: Runs in django:shop.0001_x, which is recorded as applied on 'default'; "
            "this file is not: it was faked.",
            hint="When what the file does is in the database: python manage.py sqlmigrate_apply --fake project 001   "
            "When it is not, run it before: python manage.py dbshell -- -1 -f migrations_sql/001_a.sql",
            id="sqlmigrations.W010",
            obj="default",
        )
    ]
    assert database(shop) == []


def test_a_file_that_depends_on_a_migration_of_django_is_a_warning_until_that_is_applied(shop: Shop) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.migration("0001_x", "")
    shop.write("001_a.sql", f"-- depends: django:shop.0001_x\n{FIRST}")

    unmet = database(shop)
    shop.migrate(check=True)

    assert unmet[0] == Warning(
        "migrations_sql/001_a.sql:1:1: Depends on django:shop.0001_x, which is not applied on 'default'.",
        hint="python manage.py migrate shop 0001",
        id="sqlmigrations.W012",
        obj="default",
    )
    assert [(message.id, message.hint) for message in (*unmet[1:], *database(shop))] == [
        ("sqlmigrations.W001", "Apply them: python manage.py migrate shop 0001 && python manage.py sqlmigrate_apply"),
        ("sqlmigrations.W001", "Apply them: python manage.py sqlmigrate_apply"),
    ]


def test_migrations_of_django_that_cannot_be_loaded_are_told_as_what_they_are(shop: Shop) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.wrap("0001", "001_a", FIRST)
    shop.migration("0002_x", "oops")

    found = database(shop)

    assert found[0].id == "sqlmigrations.W003"
    assert found[0].msg == (
        "migrations_sql/001_a.sql:1:1: Django's migrations cannot be looked at: NameError: name 'oops' is not defined"
    )
