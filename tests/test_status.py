"""What sqlmigrate_status says of every state, to people and in JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sqlmigrations.executor import Executor
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
        "statements_done": 1,
        "statements_total": 1,
        "next_line": None,
        "waits_for": None,
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
        "statements_done": 15, "statements_total": 15,
    }  # fmt: skip
    assert found == {
        "schema": 1,
        "database": "default",
        "summary": {
            "total": 4, "applied": 4, "pending": 0, "modified": 0, "reformatted": 0, "missing": 0, "ahead": 0,
            "late": 0, "partial": 0, "waiting": 0, "integrity": "valid",
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
        "statements_done": None, "statements_total": None, "next_line": None, "waits_for": None,
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


def test_what_a_newer_checkout_left_half_done_is_no_fault_of_an_older_one(shop: LocalSite) -> None:
    shop.write("004_d.sql", "-- transaction: off\nCREATE TABLE d (id int);\nSELECT 1 / 0;\n")
    assert shop.run("sqlmigrate_apply").returncode == 7

    shop.remove("004_d.sql")

    note = "Begun on WHEN and half done, 1 of 2 statements; above the files here: this checkout is older than the "
    note += "database, and the newer one goes on with it."
    assert states(shop) == {"001_a": "applied", "002_b": "applied", "003_c": "applied", "004_d": "ahead"}
    assert summary(shop) == {"total": 5, "applied": 4, "ahead": 1, "integrity": "valid"}
    assert " [X] 004_d  (ahead, half done, 1 of 2 statements, begun WHEN, no rollback)\n" in text(shop)
    assert f"  [ahead]\n    {note}\n" in text(shop)
    assert shop.run("sqlmigrate_status", "--check").returncode == 0
    assert shop.run("sqlmigrate_apply", "--check").returncode == 0
    applied = shop.run("sqlmigrate_apply")
    assert (applied.returncode, applied.stderr) == (0, "")
    assert applied.stdout.endswith("All migrations are already applied!\n")


def test_a_file_that_depends_on_what_a_newer_checkout_left_half_done_is_not_run(shop: LocalSite) -> None:
    shop.query("UPDATE schema_migrations SET state = 'partial' WHERE name = '003_c'")
    shop.query("UPDATE schema_migrations SET label = 'blog' WHERE name = '003_c'")
    shop.remove("003_c.sql")
    shop.write("004_d.sql", "-- depends: blog.003_c\nCREATE TABLE d (id int);\n")

    refused = shop.run("sqlmigrate_apply")

    assert refused.returncode == 7
    assert "Depends on blog.003_c, which a newer checkout has begun and not finished." in refused.stderr
    assert shop.query("SELECT to_regclass('d')") == [(None,)]


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
