"""Listeners: what they are told, what a veto does, and that no other failure of theirs stops a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.dispatch import Signal

from sqlmigrations import signals
from sqlmigrations.backends.locking import LockKey
from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.types import Result
from tests.inprocess import LocalSite

ROBUST = ("run_started", "migration_finished", "run_finished", "lock_waiting")


@contextmanager
def listening(name: str, receiver: Callable[..., None]) -> Iterator[None]:
    signal: Signal = getattr(signals, name)
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


@pytest.fixture
def told() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Everything that is told, in order."""
    heard: list[tuple[str, dict[str, Any]]] = []

    def keep(name: str) -> Callable[..., None]:
        return lambda **facts: heard.append((name, facts))

    with ExitStack() as stack:
        for name in (*ROBUST, "migration_started"):
            stack.enter_context(listening(name, keep(name)))
        yield heard


def write_two(site: LocalSite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();")
    site.write("002_b.sql", "CREATE TABLE b ();")


def test_a_run_is_told_from_beginning_to_end(local_site: LocalSite, told: list[tuple[str, dict[str, Any]]]) -> None:
    write_two(local_site)

    local_site.run("sqlmigrate_apply", check=True)

    ids = ["sqlmigrations.000_migration_tracking", "project.001_a", "project.002_b"]
    assert [name for name, _ in told] == [
        "run_started",
        *["migration_started", "migration_finished"] * 3,
        "run_finished",
    ]
    assert [facts["step"].migration.id for name, facts in told if name == "migration_started"] == ids
    assert {facts["database"] for _, facts in told} == {"default"}
    assert {str(facts["run_id"]) for _, facts in told} == {row["run_id"] for row in local_site.ledger()}
    finished = [facts for name, facts in told if name == "migration_finished"]
    assert [(f["outcome"].id, f["outcome"].result, f["error"]) for f in finished] == [
        (id, Result.APPLIED, None) for id in ids
    ]
    end = told[-1][1]
    assert ([outcome.id for outcome in end["outcomes"]], end["error"]) == (ids, None)
    assert end["duration_ms"] > 0


def test_a_failure_is_told_with_its_error(local_site: LocalSite, told: list[tuple[str, dict[str, Any]]]) -> None:
    local_site.write("001_a.sql", "SELECT 1/0;")

    local_site.run("sqlmigrate_apply")

    (_, finished), (_, end) = told[-2:]
    assert isinstance(finished["error"], MigrationFailed)
    assert (finished["outcome"], end["error"]) == (None, finished["error"])
    assert [(outcome.id, outcome.result) for outcome in end["outcomes"]] == [
        ("sqlmigrations.000_migration_tracking", Result.APPLIED),
        ("project.001_a", Result.FAILED),
    ]


def test_a_run_with_nothing_to_do_is_told_too(local_site: LocalSite, told: list[tuple[str, dict[str, Any]]]) -> None:
    local_site.run("sqlmigrate_apply", check=True)
    told.clear()

    local_site.run("sqlmigrate_apply", check=True)

    assert [name for name, _ in told] == ["run_started", "run_finished"]


def test_a_listener_may_veto_a_migration(local_site: LocalSite) -> None:
    write_two(local_site)

    def veto(step: Any, **_: object) -> None:
        if step.migration.name == "002_b":
            raise PermissionError("not before noon")

    with listening("migration_started", veto):
        ended = local_site.run("sqlmigrate_apply")

    assert ended.returncode == 6
    assert ended.stderr == (
        "project.002_b was not begun: a listener of migration_started refused it (not before noon).\n\n"
        "  Next: Satisfy or disconnect the listener, then run  python manage.py sqlmigrate_apply\n"
    )
    assert [row["name"] for row in local_site.ledger()] == ["000_migration_tracking", "001_a"]
    assert local_site.query("SELECT to_regclass('b')") == [(None,)]
    assert local_site.run("sqlmigrate_apply").returncode == 0


@pytest.mark.parametrize("name", ROBUST[:3])
def test_a_listener_that_fails_stops_nothing_else(
    local_site: LocalSite, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_two(local_site)

    def fail(**_: object) -> None:
        raise RuntimeError("the listener's own fault")

    with listening(name, fail):
        ended = local_site.run("sqlmigrate_apply")

    assert ended.returncode == 0
    assert [row["name"] for row in local_site.ledger()] == ["000_migration_tracking", "001_a", "002_b"]
    assert "the listener's own fault" in caplog.text


def test_waiting_for_the_lock_is_told_once_with_its_holder(
    local_site: LocalSite, told: list[tuple[str, dict[str, Any]]]
) -> None:
    other: Any = local_site.database.connect(application_name="somebody else")
    pid = other.info.backend_pid
    other.cursor().execute("SELECT pg_advisory_lock(%s)", [LockKey.of("public").value])

    ended = local_site.run("sqlmigrate_apply", "--lock-wait", "2")

    other.close()
    assert ended.returncode == 5
    ((name, facts),) = told
    assert (name, facts["database"]) == ("lock_waiting", "default")
    assert (facts["holder"].pid, facts["holder"].application) == (pid, "somebody else")
