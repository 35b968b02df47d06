"""What sqlmigrate_status reads: with which rights, in how many queries, the texts for its diffs."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from sqlmigrations.collector import at_rest
from sqlmigrations.executor import Executor
from sqlmigrations.types import Severity, State
from tests.inprocess import LocalSite


@pytest.fixture
def shop(local_site: LocalSite) -> LocalSite:
    """Three migrations, applied."""
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    local_site.write("001_a.down.sql", "DROP TABLE a;\n")
    local_site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    local_site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


def text(site: LocalSite, *options: str) -> str:
    """What status prints, with times and durations alike."""
    shown = site.run("sqlmigrate_status", *options).stdout
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "WHEN", shown)
    return re.sub(r"\b\d+ ms", "N ms", shown)


def test_a_modified_file_is_shown_as_a_diff_at_verbosity_2(shop: LocalSite) -> None:
    shop.write("002_b.sql", "CREATE TABLE b (\n  id bigint\n);\n")

    lines = text(shop, "-v", "2").splitlines()

    start = next(number for number, line in enumerate(lines) if "002_b  (modified" in line)
    assert lines[start + 1 : start + 9] == [
        "       --- project.002_b as applied",
        "       +++ migrations_sql/002_b.sql",
        "       @@ -1 +1,3 @@",
        "       -CREATE TABLE b (id int);",
        "       +CREATE TABLE b (",
        "       +  id bigint",
        "       +);",
        " [X] 003_c  (applied WHEN, N ms, no rollback)",
    ]


def test_where_the_sql_was_not_kept_there_is_no_diff(local_site: LocalSite) -> None:
    local_site.settings["KEEP_SQL"] = False
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("001_a.sql", "CREATE TABLE a (id bigint);\n")

    assert local_site.query("SELECT count(*) FROM schema_migration_texts") == [(0,)]
    assert "       (the SQL as applied was not kept)\n" in text(local_site, "-v", "2")


def test_a_password_that_came_into_a_file_is_masked_in_the_diff(shop: LocalSite) -> None:
    shop.write("002_b.sql", "CREATE TABLE b (id int);\nALTER ROLE app PASSWORD 'correct horse battery';\n")

    shown = text(shop, "-v", "2")

    assert "       +ALTER ROLE app PASSWORD '********';\n" in shown
    assert "horse" not in shown


def test_other_bytes_on_disk_are_mentioned_at_verbosity_2(shop: LocalSite) -> None:
    shop.write("002_b.sql", b"\xef\xbb\xbfCREATE TABLE b (id int);\r\n")

    shown = text(shop, "-v", "2")

    assert " [X] 002_b  (applied WHEN, N ms, no rollback)\n       (on disk with CRLF line ends or" in shown
    assert "on disk" not in text(shop)


@pytest.mark.parametrize("options", [(), ("-v", "2")])
def test_it_takes_two_queries_and_writes_nothing(shop: LocalSite, options: tuple[str, ...]) -> None:
    shop.write("001_a.sql", "SELECT 1;\n")
    connections["default"].ensure_connection()

    with CaptureQueriesContext(connections["default"]) as captured:
        shop.run("sqlmigrate_status", *options)

    queries = [query["sql"].strip() for query in captured.captured_queries]
    assert len(queries) == 2
    assert all(query.startswith("SELECT") for query in queries)


@pytest.fixture
def reader(shop: LocalSite) -> Iterator[Callable[[str], None]]:
    """Makes Django's connection that of a role with the right to read the tables named, in read-only transactions."""
    role = f"reader_{shop.database.name}"
    shop.query(f"CREATE ROLE {role}")

    def become(tables: str) -> None:
        shop.query(f"GRANT SELECT ON {tables} TO {role}")
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SET ROLE {role}; SET default_transaction_read_only = on")

    yield become
    connections["default"].close()
    shop.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("options", [(), ("--format", "json"), ("--check",)])
def test_the_right_to_read_the_ledger_is_enough(
    shop: LocalSite, reader: Callable[[str], None], options: tuple[str, ...]
) -> None:
    reader("schema_migrations")

    ended = shop.run("sqlmigrate_status", *options)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_diff_needs_the_right_to_read_the_texts_too(shop: LocalSite, reader: Callable[[str], None]) -> None:
    reader("schema_migrations, schema_migration_texts")
    shop.write("002_b.sql", "SELECT 1;\n")

    assert "       -CREATE TABLE b (id int);\n" in text(shop, "-v", "2")


@pytest.mark.parametrize(("granted", "options"), [("schema_migration_events", ()), ("schema_migrations", ("-v", "2"))])
def test_without_the_right_to_read_the_grant_is_named(
    shop: LocalSite, reader: Callable[[str], None], granted: str, options: tuple[str, ...]
) -> None:
    reader(granted)

    ended = shop.run("sqlmigrate_status", *options)

    lacking = "schema_migration_texts" if options else "schema_migrations"
    assert ended.returncode == 2
    role = ended.stderr.split("'")[1]
    assert ended.stderr == (
        f"The role '{role}' may not read the tracking tables: permission denied for table {lacking}.\n\n"
        f'  Next: As the owner:  GRANT SELECT ON "public".{lacking} TO "{role}";\n'
    )


def test_from_python_it_may_be_asked_inside_a_transaction(shop: LocalSite) -> None:
    with shop.configured(), transaction.atomic():
        status = Executor().status()

        assert not transaction.get_rollback()
    assert (status.applied, status.integrity) == (4, "valid")


def test_from_python_it_is_a_value(shop: LocalSite) -> None:
    shop.write("004_d.sql", "SELECT 1;\n")
    shop.write("002_b.sql", "SELECT 1;\n")

    with shop.configured():
        status = Executor("default").status()

    assert (status.total, status.applied, status.pending, status.integrity) == (5, 4, 1, "broken")
    assert (status.database, status.tracked) == ("default", True)
    assert [(entry.id, entry.state) for entry in status.migrations[1:]] == [
        ("project.001_a", State.APPLIED),
        ("project.002_b", State.MODIFIED),
        ("project.003_c", State.APPLIED),
        ("project.004_d", State.PENDING),
    ]
    assert [finding.severity for finding in status.findings] == [Severity.ERROR]


def test_the_collector_of_python_rests_while_a_status_is_made_and_works_afterwards(shop: LocalSite) -> None:
    phases: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        phases.append(phase)

    before = gc.get_threshold()
    gc.set_threshold(1)
    gc.callbacks.append(note)
    try:
        with shop.configured():
            look = Executor().status
            phases.clear()
            look()
            during = list(phases)
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*before)

    # At every object it would be thousands; a few before it begins, and once it is over.
    assert len(during) < 40
    assert gc.isenabled()
    with pytest.raises(KeyError), at_rest():
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_somebody_turned_off_stays_off() -> None:
    gc.disable()
    try:
        with at_rest():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
