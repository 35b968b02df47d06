"""What Django's ``migrate`` brings along: when the files are applied with it, and how it fails with them."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.core.management.base import CommandError, OutputWrapper
from django.core.management.sql import emit_post_migrate_signal
from django.db import connections, transaction

from sqlmigrations import signals
from tests.inprocess import LocalSite
from tests.servers import connected_to
from tests.shop import Shop

FORWARD: list[tuple[object, bool]] = []
BACKWARD = [(object(), True)]


@pytest.fixture
def migrated(local_site: LocalSite) -> LocalSite:
    """A site in a test environment, with a file that waits for ``migrate``."""
    local_site.settings["APPLY_ON_MIGRATE"] = "tests"
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    return local_site


def after_migrate(site: LocalSite, alias: str = "default", verbosity: int = 0, **extra: Any) -> str:
    """Sends what ``migrate`` sends at its end; returns what was printed."""
    out = io.StringIO()
    # The receivers of other apps want their tables.
    apps.set_available_apps(["sqlmigrations"])
    try:
        with site.configured():
            emit_post_migrate_signal(verbosity, False, alias, stdout=OutputWrapper(out), **extra)
    finally:
        apps.unset_available_apps()
    return out.getvalue()


def names(site: LocalSite) -> list[str]:
    return [row["name"] for row in site.ledger()]


def test_a_test_database_gets_the_files_in_silence_and_no_connection_is_left(migrated: LocalSite) -> None:
    assert after_migrate(migrated, plan=FORWARD) == ""

    assert names(migrated) == ["000_migration_tracking", "001_a"]
    connections["default"].close()
    assert connected_to(migrated.database.name) == 0


def test_with_verbosity_each_file_has_its_line_and_nothing_is_told_when_nothing_is_pending(
    migrated: LocalSite,
) -> None:
    told = after_migrate(migrated, plan=FORWARD, verbosity=1).splitlines()

    assert told[0] == 'Running SQL migrations on "default":'
    assert [line.partition("...")[0] for line in told[1:]] == [
        "  Applying sqlmigrations.000_migration_tracking",
        "  Applying project.001_a",
    ]
    assert after_migrate(migrated, plan=FORWARD, verbosity=1) == ""


def test_nothing_is_applied_by_flush_nor_by_going_back_nor_inside_a_transaction(migrated: LocalSite) -> None:
    after_migrate(migrated)
    after_migrate(migrated, plan=BACKWARD)
    with transaction.atomic():
        after_migrate(migrated, plan=FORWARD)

    assert names(migrated) == []


def test_nothing_is_applied_where_the_setting_says_never(migrated: LocalSite) -> None:
    migrated.settings["APPLY_ON_MIGRATE"] = "never"

    after_migrate(migrated, plan=FORWARD)

    assert names(migrated) == []


def test_outside_of_tests_files_are_applied_only_where_the_setting_says_always(
    migrated: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(mail, "outbox")
    after_migrate(migrated, plan=FORWARD)
    before = names(migrated)
    migrated.settings["APPLY_ON_MIGRATE"] = "always"
    after_migrate(migrated, plan=FORWARD)

    assert (before, names(migrated)) == ([], ["000_migration_tracking", "001_a"])


@pytest.fixture
def lite() -> Iterator[str]:
    connections.settings["lite"] = connections.configure_settings(
        {"default": {}, "lite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    )["lite"]
    yield "lite"
    connections["lite"].close()
    del connections["lite"], connections.settings["lite"]


def test_a_database_that_is_not_postgresql_is_passed_over(migrated: LocalSite, lite: str) -> None:
    assert after_migrate(migrated, alias=lite, plan=FORWARD, verbosity=1) == ""


def failure(site: LocalSite) -> CommandError:
    with pytest.raises(CommandError) as caught:
        after_migrate(site, plan=FORWARD)
    return caught.value


def test_a_file_that_fails_stops_the_tests_with_all_there_is_to_know(
    migrated: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated.write("002_b.sql", "ALTER TABLE a ADD COLUMN id int;\n")
    report = (
        "project.002_b failed and was rolled back.\n\n"
        "  migrations_sql/002_b.sql:1:26\n"
        "  > 1 | ALTER TABLE a ADD COLUMN id int;\n"
        "      |                          ^\n"
        '  PostgreSQL 42701: column "id" of relation "a" already exists\n\n'
        "  Nothing of this file was kept; {before} applied in this run before it.\n"
        "  Next: The column exists already. Write ADD COLUMN IF NOT EXISTS, or remove the line. Then run {next}"
    )

    error = failure(migrated)
    monkeypatch.delattr(mail, "outbox")
    migrated.settings["APPLY_ON_MIGRATE"] = "always"
    deployed = failure(migrated)

    assert str(error) == report.format(before="2 migrations were", next="the tests again.")
    assert str(deployed) == report.format(before="no migrations were", next=" python manage.py sqlmigrate_apply")
    assert (error.returncode, deployed.returncode) == (1, 1)


def test_a_database_that_was_made_by_hand_is_no_case_for_recording(migrated: LocalSite) -> None:
    migrated.query("CREATE TABLE a (id int)")

    error = failure(migrated)

    assert str(error) == (
        "Nothing is recorded yet, but the database already has what pending files create: a. Nothing has run.\n\n"
        "  Next: If the test database was kept from an earlier run, make it anew once:  "
        "python manage.py test  without --keepdb, or  pytest --create-db\n"
        "  If it is new, Django's models make the same: guard the file (CREATE TABLE IF NOT EXISTS ...)."
    )
    assert error.returncode == 6


def test_a_file_that_stops_half_way_is_corrected_and_not_decided_on(migrated: LocalSite) -> None:
    migrated.write("002_b.sql", "-- transaction: off\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1 / 0);\n")

    error = failure(migrated)

    assert str(error).endswith(
        "\n  Next: Correct the file, then make the test database anew:  "
        "python manage.py test  without --keepdb, or  pytest --create-db"
    )
    assert error.returncode == 7


def test_ctrl_c_is_handed_on_to_whoever_runs_the_tests(migrated: LocalSite) -> None:
    def press(**_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    signals.migration_started.connect(press)
    try:
        with pytest.raises(KeyboardInterrupt, match=r"(?i)interrupted"):
            after_migrate(migrated, plan=FORWARD)
    finally:
        signals.migration_started.disconnect(press)


def test_one_migrate_applies_what_a_wrapped_file_waits_for_the_file_in_its_place_and_then_the_rest(shop: Shop) -> None:
    shop.settings["APPLY_ON_MIGRATE"] = "tests"
    shop.write("001_a.sql", "CREATE TABLE a ();\n")
    shop.wrap("0001", "002_b", "ALTER TABLE a ADD COLUMN b int;\n")
    shop.wrap("0002", "003_c", "ALTER TABLE a ADD COLUMN c int;\n")
    shop.write("004_d.sql", "ALTER TABLE a ADD COLUMN d int;\n")

    shop.migrate(check=True)

    assert shop.names() == ["001_a", "002_b", "003_c", "004_d"]
    assert shop.django() == ["0001_x", "0002_x"]


@pytest.mark.parametrize("between", ["CREATE TABLE b ();\n", "CREATE INDEX CONCURRENTLY i ON a (x);\n"])
@pytest.mark.parametrize("atomic", [True, False])
def test_one_migrate_applies_what_stands_between_wrapped_files(shop: Shop, between: str, atomic: bool) -> None:
    shop.settings["APPLY_ON_MIGRATE"] = "tests"
    shop.wrap("0001", "001_a", "CREATE TABLE a (x int);\n")
    shop.write("002_b.sql", between)
    shop.wrap("0002", "003_c", "CREATE TABLE c ();\n", atomic=atomic)
    shop.migration("0003_x", "migrations.RunSQL('CREATE TABLE d ()')")
    shop.write("004_d.sql", "-- depends: django:shop.0003_x\nALTER TABLE d ADD COLUMN d int;\n")
    shop.wrap("0004", "005_e", "ALTER TABLE d ADD COLUMN e int;\n")

    shop.migrate(check=True)

    assert shop.names() == ["001_a", "002_b", "003_c", "004_d", "005_e"]
    assert shop.django() == ["0001_x", "0002_x", "0003_x", "0004_x"]


def test_a_migrate_inside_a_transaction_applies_nothing_beside_the_wrapped_files(shop: Shop) -> None:
    shop.settings["APPLY_ON_MIGRATE"] = "tests"
    shop.wrap("0001", "001_a", "CREATE TABLE a (x int);\n")
    shop.write("002_b.sql", "CREATE TABLE b ();\n")
    shop.wrap("0002", "003_c", "CREATE TABLE c ();\n")

    with transaction.atomic():
        refused = shop.migrate()
        transaction.set_rollback(True)

    assert (refused.returncode, refused.error.partition("\n")[0]) == (
        4,
        "project.003_c waits for project.002_b, which is not applied. Nothing was changed.",
    )


def test_a_file_whose_turn_does_not_come_in_time_is_told_with_what_would_let_it(shop: Shop) -> None:
    shop.settings["APPLY_ON_MIGRATE"] = "tests"
    shop.write("001_a.sql", "-- depends: django:contenttypes.0001_initial\nCREATE TABLE a ();\n")
    shop.wrap("0001", "002_b", "ALTER TABLE a ADD COLUMN b int;\n")

    refused = shop.migrate()

    assert (refused.returncode, refused.error) == (
        4,
        "Migrations of Django's have to be applied first; nothing has run.\n\n"
        "  migrations_sql/001_a.sql:1:1  [unapplied-dependency]\n"
        "    Depends on django:contenttypes.0001_initial, which is not applied on 'default'.\n"
        "    Next: Let the migration that applies a file after this one come after that: name it in its dependencies.",
    )
    assert shop.names() == []


def test_a_migrate_that_stops_short_leaves_what_waits_for_the_rest_of_it(shop: Shop) -> None:
    shop.settings["APPLY_ON_MIGRATE"] = "always"
    shop.migration("0001_x", "migrations.RunSQL('CREATE TABLE a ()')")
    shop.migration("0002_x", "migrations.RunSQL('ALTER TABLE a ADD COLUMN a int')")
    shop.write("001_a.sql", "-- depends: django:shop.0002_x\nALTER TABLE a ALTER COLUMN a SET NOT NULL;\n")

    short = shop.migrate("0001", check=True)
    before = shop.names()
    shop.migrate(check=True)

    assert short.stdout.endswith("  SQL migrations are left until Django's are applied: project.001_a and others.\n")
    assert (before, shop.names()) == ([], ["001_a"])


def test_a_listener_of_a_run_that_migrates_does_not_wait_for_that_run(migrated: LocalSite) -> None:
    migrated.write("002_b.sql", "CREATE TABLE b (id int);\n")
    migrated.settings.update(APPLY_ON_MIGRATE="always", LOCK_WAIT="100ms")
    met = []

    def migrates(step: Any, **_: Any) -> None:
        if step.migration.name == "002_b":
            met.append((after_migrate(migrated, plan=FORWARD, verbosity=1), names(migrated)))

    signals.migration_started.connect(migrates)
    try:
        migrated.run("sqlmigrate_apply", check=True)
    finally:
        signals.migration_started.disconnect(migrates)

    assert met == [("", ["000_migration_tracking", "001_a"])]
    assert names(migrated) == ["000_migration_tracking", "001_a", "002_b"]
