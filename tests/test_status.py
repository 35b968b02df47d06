"""What sqlmigrate_status says of every state, to people and in JSON, and that it only reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

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


def document(site: LocalSite, *options: str) -> dict[str, Any]:
    """What status says in JSON, without the parts that are not the same twice."""
    answer: dict[str, Any] = json.loads(site.run("sqlmigrate_status", "--format", "json", *options).stdout)
    for entry in answer["migrations"]:
        if entry["applied_at"] is not None:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", entry.pop("applied_at"))
            assert isinstance(entry.pop("execution_ms"), float | None)
    return answer


def states(site: LocalSite) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in document(site)["migrations"][1:]}


def summary(site: LocalSite) -> dict[str, Any]:
    """The counts that are not 0, without the file of the tracking tables."""
    found = document(site)["summary"]
    return {key: value for key, value in found.items() if value != 0}


def text(site: LocalSite, *options: str) -> str:
    """What status prints, with times and durations alike."""
    shown = site.run("sqlmigrate_status", *options).stdout
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "WHEN", shown)
    return re.sub(r"\b\d+ ms", "N ms", shown)


def test_everything_applied_is_one_document(shop: LocalSite) -> None:
    found = document(shop)

    user = shop.query("SELECT session_user::text")[0][0]
    common = {
        "label": "project",
        "state": "applied",
        "applied_by": user,
        "mode": "transaction",
    }
    sums = {row["name"]: row["checksum"] for row in shop.ledger()}
    entries = [
        {"id": f"project.{name}", "version": name[:3], "name": name, "rollback_ready": name == "001_a", **common}
        | {"checksum": sums[name], "applied_checksum": sums[name]}
        for name in ("001_a", "002_b", "003_c")
    ]
    own = "000_migration_tracking"
    tracking = {
        "id": f"sqlmigrations.{own}", "version": "000", "name": own, "rollback_ready": False,
        **common, "label": "sqlmigrations", "checksum": sums[own], "applied_checksum": sums[own],
    }  # fmt: skip
    assert found == {
        "schema": 1,
        "database": "default",
        "summary": {
            "total": 4, "applied": 4, "pending": 0, "modified": 0, "reformatted": 0, "missing": 0, "ahead": 0,
            "late": 0, "partial": 0, "integrity": "valid",
        },
        "migrations": [tracking, *entries],
        "findings": [],
    }  # fmt: skip


def test_a_pending_entry_has_no_facts_of_an_application(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "SELECT 1;\n")

    entry = document(local_site)["migrations"][1]

    with local_site.configured():
        (known,) = Executor().status().migrations[1:]
    assert known.migration is not None
    assert entry == {
        "id": "project.001_a", "label": "project", "version": "001", "name": "001_a", "state": "pending",
        "checksum": known.migration.file.checksum, "applied_checksum": None, "applied_at": None,
        "applied_by": None, "execution_ms": None, "mode": None, "rollback_ready": False,
    }  # fmt: skip


def test_everything_applied_as_text(shop: LocalSite) -> None:
    assert (
        text(shop)
        == """\
sqlmigrations
 [X] 000_migration_tracking  (applied WHEN, N ms, no rollback)
project
 [X] 001_a  (applied WHEN, N ms, rollback ready)
 [X] 002_b  (applied WHEN, N ms, no rollback)
 [X] 003_c  (applied WHEN, N ms, no rollback)
4 in all, 4 applied, 0 pending; integrity valid.
"""
    )


def test_before_the_tables_exist_everything_is_pending(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "SELECT 1;\n")

    assert (
        text(local_site)
        == """\
sqlmigrations
 [ ] 000_migration_tracking  (pending, no rollback)
project
 [ ] 001_a  (pending, no rollback)
2 in all, 0 applied, 2 pending; integrity valid.
Next: python manage.py sqlmigrate_apply
"""
    )
    assert local_site.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]


def test_a_modified_file_breaks_integrity(shop: LocalSite) -> None:
    shop.write("002_b.sql", "CREATE TABLE b (id bigint);\n")

    assert states(shop) == {"001_a": "applied", "002_b": "modified", "003_c": "applied"}
    assert summary(shop) == {"total": 4, "applied": 4, "modified": 1, "integrity": "broken"}
    (finding,) = document(shop)["findings"]
    assert (finding["rule"], finding["severity"], finding["migration"]) == ("modified", "error", "project.002_b")


def test_a_reformatted_file_does_not(shop: LocalSite) -> None:
    shop.write("002_b.sql", "-- why\ncreate table b ( id int );\n")

    assert states(shop) == {"001_a": "applied", "002_b": "reformatted", "003_c": "applied"}
    assert summary(shop) == {"total": 4, "applied": 4, "reformatted": 1, "integrity": "valid"}
    assert [f["rule"] for f in document(shop)["findings"]] == ["reformatted"]


def test_a_file_gone_from_between_is_missing(shop: LocalSite) -> None:
    shop.remove("002_b.sql")

    assert states(shop) == {"001_a": "applied", "002_b": "missing", "003_c": "applied"}
    assert summary(shop) == {"total": 4, "applied": 4, "missing": 1, "integrity": "broken"}


def test_the_newest_file_gone_is_ahead(shop: LocalSite) -> None:
    shop.remove("003_c.sql")

    assert states(shop) == {"001_a": "applied", "002_b": "applied", "003_c": "ahead"}
    assert summary(shop) == {"total": 4, "applied": 4, "ahead": 1, "integrity": "valid"}


def test_a_late_file_is_pending_and_breaks_integrity(shop: LocalSite) -> None:
    shop.query("DELETE FROM schema_migrations WHERE name = '002_b'")

    assert states(shop) == {"001_a": "applied", "002_b": "late", "003_c": "applied"}
    assert summary(shop) == {"total": 4, "applied": 3, "pending": 1, "late": 1, "integrity": "broken"}


def test_a_half_done_row_is_partial(shop: LocalSite) -> None:
    shop.query("UPDATE schema_migrations SET state = 'running' WHERE name = '003_c'")

    assert states(shop) == {"001_a": "applied", "002_b": "applied", "003_c": "partial"}
    assert summary(shop) == {"total": 4, "applied": 3, "partial": 1, "integrity": "broken"}
    assert shop.run("sqlmigrate_status", "--check").returncode == 7


def test_every_unusual_state_as_text(shop: LocalSite) -> None:
    shop.write("001_a.sql", "CREATE TABLE a (id bigint);\n")
    shop.remove("002_b.sql")
    shop.write("003_c.sql", "CREATE TABLE c (id int); -- fine\n")
    shop.write("004_d.sql", "CREATE TABLE d (id int);\n")

    shown = text(shop)

    listed, _, findings = shown.partition("\n  migrations_sql")
    assert (
        listed
        == """\
sqlmigrations
 [X] 000_migration_tracking  (applied WHEN, N ms, no rollback)
project
 [!] 001_a  (modified, applied WHEN, N ms, rollback ready)
 [!] 002_b  (missing, applied WHEN, N ms, no rollback)
 [X] 003_c  (reformatted, applied WHEN, N ms, no rollback)
 [ ] 004_d  (pending, no rollback)
5 in all, 4 applied, 1 pending, 1 modified, 1 reformatted, 1 missing; integrity broken."""
    )
    assert re.findall(r"\[([a-z-]+)\]$", findings, re.MULTILINE) == ["modified", "missing", "reformatted"]
    assert "Next: python manage.py sqlmigrate_apply\n" not in findings


def test_a_faked_migration_is_said_to_be_one(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    local_site.run("sqlmigrate_apply", "--fake", check=True)

    assert " [X] 001_a  (applied WHEN, recorded without running, no rollback)\n" in text(local_site)


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


def test_other_bytes_on_disk_are_mentioned_at_verbosity_2(shop: LocalSite) -> None:
    shop.write("002_b.sql", b"\xef\xbb\xbfCREATE TABLE b (id int);\r\n")

    shown = text(shop, "-v", "2")

    assert " [X] 002_b  (applied WHEN, N ms, no rollback)\n       (on disk with CRLF line ends or" in shown
    assert "on disk" not in text(shop)


def test_verbosity_0_prints_nothing_and_answers(shop: LocalSite) -> None:
    shop.write("004_d.sql", "SELECT 1;\n")

    ended = shop.run("sqlmigrate_status", "-v", "0", "--check")

    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "", "")


@pytest.mark.parametrize(
    ("name", "sql", "code"),
    [("002_b.sql", "CREATE TABLE b (id int);\n", 0), ("004_d.sql", "SELECT 1;\n", 3), ("002_b.sql", "SELECT 1;\n", 4)],
)
def test_check_answers_0_3_or_4(shop: LocalSite, name: str, sql: str, code: int) -> None:
    shop.write(name, sql)

    assert shop.run("sqlmigrate_status", "--check").returncode == code
    assert shop.run("sqlmigrate_status").returncode == 0


def test_a_file_that_is_not_in_order_is_told(shop: LocalSite) -> None:
    shop.write("004_d.sql", b"\xff")

    found = document(shop)

    assert found["summary"]["integrity"] == "broken"
    assert found["findings"] == [
        {
            "rule": "encoding", "severity": "error", "migration": "", "file": "migrations_sql/004_d.sql", "line": 1,
            "column": 1, "message": "Not UTF-8: byte 0xff at offset 0.", "remedy": "Save the file as UTF-8.",
        }
    ]  # fmt: skip


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
