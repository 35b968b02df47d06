"""What the system checks say of settings and files, without a database."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from sqlmigrations.checks import check_files
from tests.inprocess import LocalSite

FIRST = "CREATE TABLE a (id int);\n"


def files(site: LocalSite) -> list[CheckMessage]:
    with site.configured():
        return check_files()


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


def test_every_kind_of_fault_is_told_at_once(local_site: LocalSite) -> None:
    local_site.write("001_latin.sql", b"SELECT 'caf\xe9';\n")
    local_site.write("002_gone.down.sql", "SELECT 1;\n")
    local_site.write("003_one.sql", "-- depends: 005_two\nSELECT 1;\n")
    local_site.write("003_other.sql", "SELECT 1;\n")
    local_site.write("004_where.sql", "-- database: gone\nSELECT 1;\n")
    local_site.write("005_two.sql", "-- depends: 009_missing\nSELECT 1;\n")
    local_site.write("R__views.sql", "SELECT 1;\n")

    found = files(local_site)

    assert {message.id for message in found} == {"sqlmigrations.E002"}
    assert [message.msg for message in found] == [
        "migrations_sql/001_latin.sql:1:12: Not UTF-8: byte 0xe9 at offset 11.",
        "migrations_sql/R__views.sql: Repeatable files (R__slug.sql) are not supported by this version.",
        "migrations_sql/002_gone.down.sql: Undoes 002_gone.sql, which is not there.",
        "migrations_sql/003_other.sql: The number 003 is taken by 003_one.sql as well.",
        "migrations_sql/004_where.sql: database: gone is no database of this project.",
        "migrations_sql/005_two.sql:1:1: Depends on project.009_missing, which does not exist.",
        "migrations_sql/003_one.sql:1:1: Migrations wait for each other: "
        "project.003_one -> project.005_two -> project.003_other -> project.003_one.",
    ]


def test_what_stands_behind_the_head_of_a_file_is_not_looked_at(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "/* A /* nested */ comment. */\n\\restrict x\n;\n-- depends: 007_x\nSELECT 'open;\n")

    assert [message.msg for message in files(local_site)] == [
        "migrations_sql/001_a.sql:4:1: Depends on project.007_x, which does not exist."
    ]


def test_settings_that_are_not_in_order_are_errors(local_site: LocalSite) -> None:
    local_site.settings.update({"LOCK_WIAT": "3s", "SCHEMA": 3})

    expected = {"hint": "Expected: the name of a schema, 63 bytes at most.", "id": "sqlmigrations.E001"}
    assert files(local_site) == [
        Error("SQLMIGRATIONS has no key 'LOCK_WIAT'.", hint="Did you mean 'LOCK_WAIT'?", id="sqlmigrations.E001"),
        Error("SQLMIGRATIONS['SCHEMA'] is 3.", **expected),
    ]


def test_a_rule_that_does_not_exist_cannot_be_silenced(local_site: LocalSite) -> None:
    local_site.settings["ALLOW"] = ["drop-tabel"]

    message = "SQLMIGRATIONS['ALLOW']: There is no rule 'drop-tabel' to allow."
    assert files(local_site) == [Error(message, hint="Did you mean drop-table?", id="sqlmigrations.E001")]


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


class Apart:
    """A router that keeps one file out of every database."""

    def allow_migrate(self, db: str, app_label: str, sql_migration: str = "", **_: Any) -> bool | None:
        return False if sql_migration == "001_a" else None


def test_a_file_that_the_routers_keep_out_of_a_database_cannot_be_waited_for_there(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", FIRST)
    local_site.write("002_b.sql", "-- depends: 001_a\nSELECT 1;\n")

    with override_settings(DATABASE_ROUTERS=[f"{__name__}.Apart"]):
        found = files(local_site)

    message = "migrations_sql/002_b.sql:1:1: Depends on project.001_a, which belongs to another database."
    assert [(error.id, error.msg) for error in found] == [("sqlmigrations.E002", message)]


@contextmanager
def counted_calls() -> Iterator[list[int]]:
    """How many functions written in Python are called, which no busy machine changes."""
    calls = [0]

    def count(frame: FrameType, event: str, _: Any) -> None:
        calls[0] += event == "call"

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def test_a_thousand_files_cost_no_more_than_their_heads(local_site: LocalSite) -> None:
    """Times are measured by benchmarks/checks.py."""
    costs = []
    for size in (1, 50):
        for number in range(1, 101):
            rows = "INSERT INTO t (name) VALUES ('it''s', $1);\n" * size
            local_site.write(f"{number:03}_step.sql", f"-- Says why.\n-- transaction: on\n{rows}")
        files(local_site)
        with counted_calls() as calls:
            assert files(local_site) == []
        costs.append(calls[0])

    # Python itself calls some, when it cleans up.
    assert abs(costs[0] - costs[1]) < 100
    assert costs[0] < 100 * 150
