"""The records on the logger sqlmigrations: level, message and extra fields."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from sqlmigrations import logs, signals
from sqlmigrations.executor import Executor
from sqlmigrations.types import Blocker, Glimpse
from tests.inprocess import LocalSite

# fmt: off
FIELDS = (
    "event", "run_id", "database", "migration", "duration_ms", "statements", "checksum", "attempts", "sqlstate",
    "blockers",
)
# fmt: on


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="sqlmigrations")
    return caplog


def records(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [
        {"level": record.levelname, **{name: record.__dict__[name] for name in FIELDS}}
        for record in log.records
        if record.name == "sqlmigrations"
    ]


def test_a_run_leaves_structured_records(local_site: LocalSite, log: pytest.LogCaptureFixture) -> None:
    local_site.run("sqlmigrate_apply", check=True)
    log.clear()
    local_site.write("001_a.sql", "CREATE TABLE a ();\nCREATE TABLE b ();\n")

    local_site.run("sqlmigrate_apply", check=True)

    row = local_site.ledger()[1]
    common = {"run_id": row["run_id"], "database": "default", "sqlstate": None, "blockers": None}
    file = {"migration": "project.001_a", "checksum": row["checksum"]}
    nothing = dict.fromkeys(("duration_ms", "statements", "attempts"))
    found = records(log)
    for record in found[2:]:
        assert isinstance(record["duration_ms"], float)
        record["duration_ms"] = "some"
    assert found == [
        {"level": "DEBUG", "event": "run_started", "migration": None, "checksum": None, **nothing, **common},
        {"level": "DEBUG", "event": "migration_started", **file, **nothing, **common},
        {
            "level": "INFO", "event": "migration_finished", **file, **common,
            "duration_ms": "some", "statements": 2, "attempts": 1,
        },
        {
            "level": "INFO", "event": "run_finished", "migration": None, "checksum": None, **nothing, **common,
            "duration_ms": "some",
        },
    ]  # fmt: skip


def test_a_failure_is_an_error_with_its_sqlstate(local_site: LocalSite, log: pytest.LogCaptureFixture) -> None:
    local_site.write("001_a.sql", "SELECT 1/0;\n")

    local_site.run("sqlmigrate_apply")

    failed, finished = records(log)[-2:]
    assert (failed["level"], failed["event"], failed["migration"], failed["sqlstate"]) == (
        "ERROR",
        "migration_failed",
        "project.001_a",
        "22012",
    )
    assert (finished["level"], finished["event"]) == ("ERROR", "run_finished")


def test_a_failure_that_is_no_answer_of_the_server_has_none(
    local_site: LocalSite, log: pytest.LogCaptureFixture
) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("002_b.sql", "DELETE FROM schema_migrations WHERE name = '002_b';\n")

    local_site.run("sqlmigrate_apply")

    (failed,) = (record for record in records(log) if record["event"] == "migration_failed")
    assert (failed["level"], failed["migration"], failed["sqlstate"]) == ("ERROR", "project.002_b", None)


def test_a_run_with_nothing_to_do_is_quiet(local_site: LocalSite, log: pytest.LogCaptureFixture) -> None:
    local_site.run("sqlmigrate_apply", check=True)
    log.clear()

    local_site.run("sqlmigrate_apply", check=True)

    assert [(record["level"], record["event"]) for record in records(log)] == [
        ("DEBUG", "run_started"),
        ("DEBUG", "run_finished"),
    ]


def test_waiting_for_the_lock_is_a_warning(log: pytest.LogCaptureFixture) -> None:
    signals.lock_waiting.send_robust(sender=None, database="default", holder="pid 7")

    (record,) = records(log)
    assert (record["level"], record["event"], record["database"]) == ("WARNING", "lock_waiting", "default")
    assert log.messages == ["Waiting for the migration lock, held by pid 7"]


def test_waiting_for_the_server_is_a_warning(log: pytest.LogCaptureFixture) -> None:
    signals.database_waiting.send_robust(sender=None, database="default", wait_s=30.0, reason="refused")

    (record,) = records(log)
    assert (record["level"], record["event"], record["database"]) == ("WARNING", "database_waiting", "default")
    assert log.messages == ["Waiting for the database: refused"]


def test_a_long_file_is_told_now_and_then_and_who_is_in_its_way_at_once(
    local_site: LocalSite, log: pytest.LogCaptureFixture
) -> None:
    local_site.write("001_a.sql", "SELECT 1;\n")
    with local_site.configured():
        (_, step) = Executor().plan().steps
    run: dict[str, Any] = {"sender": None, "run_id": "r", "database": "default", "step": step}
    long = Glimpse("project.001_a", 1, 1, 1, 12.4)
    web = Blocker(4711, "shop", "web", "idle in transaction", 38.0, "invoices")
    signals.migration_started.send(**run)

    for blockers in ((), (web,), (web,)):
        signals.migration_watched.send_robust(**run, glimpse=replace(long, blockers=blockers))
    signals.migration_retrying.send_robust(**run, attempt=1, delay_s=1.5, error=None, blockers=(web,))

    watched, retrying = records(log)[1:]
    assert (watched["level"], watched["event"], watched["migration"]) == (
        "WARNING",
        "migration_watched",
        long.migration,
    )
    assert (retrying["level"], retrying["event"], retrying["attempts"]) == ("WARNING", "migration_retrying", 1)
    held = 'held by pid 4711 (app "web", idle in transaction 38 s)'
    assert log.messages[1:] == [
        f"project.001_a: waiting for invoices, {held}; statement 1 of 1, 12 s",
        f"project.001_a: attempt 1 gave up: invoices is {held}; next try in 1.5 s",
    ]


def test_connecting_twice_does_not_double_the_records(log: pytest.LogCaptureFixture) -> None:
    logs.connect()
    signals.lock_waiting.send_robust(sender=None, database="default", holder=None)

    assert len(records(log)) == 1


def test_what_a_person_decides_is_told_with_the_reason(local_site: LocalSite, log: pytest.LogCaptureFixture) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    log.clear()

    local_site.run(
        "sqlmigrate_repair", "accept", "project", "001", "--reason", "changed by hand", "--noinput", check=True
    )

    (event,) = local_site.query("SELECT run_id::text FROM schema_migration_events WHERE event = 'accepted'")
    (record,) = [record for record in log.records if record.name == "sqlmigrations"]
    assert (record.levelname, record.getMessage()) == (
        "INFO",
        "project.001_a: accepted by a person: changed by hand",
    )
    (fields,) = records(log)
    assert {name: value for name, value in fields.items() if value is not None} == {
        "level": "INFO",
        "event": "migration_repaired",
        "run_id": event[0],
        "database": "default",
        "migration": "project.001_a",
        "checksum": local_site.ledger()[1]["checksum"],
    }
