"""Timeouts that a role or a database brings: lock and long builds are spared, a file that one ends is told of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.scene import AT_THE_GATE, FaultySite, Gate, Role, ended, until

DRIVERS = pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
IDLE = ("idle_in_transaction_session_timeout", "idle_session_timeout")


def knows(site: FaultySite, setting: str) -> bool:
    """transaction_timeout came with PostgreSQL 17."""
    return site.query("SELECT current_setting(%s, true) IS NOT NULL", setting) == [(True,)]


def give(site: FaultySite, whom: str, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        if knows(site, name):
            site.query(f"ALTER {whom} SET {name} = '{value}'")


@pytest.fixture
def owner(site: FaultySite, role: Role) -> Role:
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    return role


@pytest.mark.parametrize(("driver", "whose"), [("psycopg2", "role"), ("psycopg", "database")])
def test_f40_f41_the_timeouts_of_a_role_or_a_database_spare_the_lock(
    site: FaultySite, owner: Role, driver: str, whose: str
) -> None:
    whom = f"ROLE {owner.name}" if whose == "role" else f"DATABASE {site.database.name}"
    give(site, whom, dict.fromkeys((*IDLE, "statement_timeout", "transaction_timeout"), "3s") | {"lock_timeout": "1"})
    for number in range(1, 5):
        # Each is done in time; the lock is held for twice as long.
        site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int);\nSELECT pg_sleep(1.2);\n")

    run = site.apply(DATABASE_URL=owner.url, DRIVER=driver)

    assert (run.returncode, run.stderr) == (0, "")
    assert site.names() == ["001_t", "002_t", "003_t", "004_t"]
    assert {event["detail"]["attempts"] for event in site.events("applied")} == {1}


@DRIVERS
def test_f40_who_waits_for_the_lock_is_not_ended_for_being_idle(
    site: FaultySite, owner: Role, gate: Gate, driver: str
) -> None:
    give(site, f"ROLE {owner.name}", dict.fromkeys(IDLE, "2s"))
    site.write("001_a.sql", AT_THE_GATE)
    first = site.start_apply(DATABASE_URL=owner.url, DRIVER=driver)
    gate.await_somebody()
    second = site.start_apply("--lock-wait", "60", DATABASE_URL=owner.url, DRIVER=driver)
    tries = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'ROLLBACK'"
    until(lambda: site.query(tries))
    with stopped(second.pid):
        # Between two tries, most probably.
        (waiter,) = set(site.sessions("sqlmigrations lock")) - set(site.holders())
        held_up = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND now() - state_change < '2.3s'"
        until(lambda: not site.query(held_up, waiter))
    gate.open()

    waited = ended(second)

    assert ended(first).returncode == 0
    assert (waited.returncode, waited.stderr) == (0, "")
    assert site.names() == ["001_a"]


@DRIVERS
@pytest.mark.parametrize(("setting", "whose"), [("statement_timeout", "role"), ("transaction_timeout", "database")])
def test_f41_a_timeout_of_the_role_is_named(
    site: FaultySite, owner: Role, setting: str, whose: str, driver: str
) -> None:
    if not knows(site, setting):
        pytest.skip(f"this server knows no {setting}")
    whom = f"ROLE {owner.name}" if whose == "role" else f"DATABASE {site.database.name}"
    assert site.apply(DATABASE_URL=owner.url, DRIVER=driver).returncode == 0
    give(site, whom, {setting: "1s"})
    site.write("001_a.sql", "CREATE TABLE a ();\nSELECT pg_sleep(5);\n")

    run = site.apply(DATABASE_URL=owner.url, DRIVER=driver)

    assert run.returncode == 1
    assert "project.001_a failed and was rolled back." in run.stderr
    assert "migrations_sql/001_a.sql:2:1" in run.stderr
    assert f"Next: {setting} " in run.stderr
    assert (site.names(), site.has("a"), site.holders()) == ([], False, [])
    assert [event["detail"]["attempts"] for event in site.events("failed")] == [1]
    site.query(f"ALTER {whom} RESET {setting}")
    site.write("001_a.sql", "CREATE TABLE a ();\nSELECT pg_sleep(1.1);\n")
    assert site.apply(DATABASE_URL=owner.url, DRIVER=driver).returncode == 0
    assert site.names() == ["001_a"]


@DRIVERS
def test_f41_a_runner_that_is_held_up_in_a_transaction_is_ended_and_tries_again(
    site: FaultySite, owner: Role, gate: Gate, driver: str
) -> None:
    give(site, f"ROLE {owner.name}", {"idle_in_transaction_session_timeout": "2s"})
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a ();\n")
    runner = site.start_apply(DATABASE_URL=owner.url, DRIVER=driver)
    worker = gate.await_somebody()
    with stopped(runner.pid):
        gate.open()
        until(lambda: not site.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", worker))

    run = ended(runner)

    assert (run.returncode, run.stderr) == (0, "")
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 2]
    assert site.names() == ["001_a"]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@DRIVERS
def test_f41_a_statement_timeout_does_not_end_the_wait_for_the_row_of_another_run(
    site: FaultySite, owner: Role, gate: Gate, driver: str
) -> None:
    give(site, f"ROLE {owner.name}", {"statement_timeout": "2s", "lock_timeout": "2s"})
    site.write("001_a.sql", "-- statement-timeout: 60s\n" + AT_THE_GATE + "CREATE TABLE a ();\n")
    first = site.start_apply(DATABASE_URL=owner.url, DRIVER=driver)
    gate.await_somebody()
    site.terminate("sqlmigrations lock")
    second = site.start_apply(DATABASE_URL=owner.url, DRIVER=driver)
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'transactionid' AND now() - query_start > '2.3s'"
    until(lambda: site.query(waits) or second.poll() is not None)
    gate.open()

    waited = ended(second)

    assert ended(first).returncode == 0
    assert (waited.returncode, waited.stderr) == (0, "")
    assert site.names() == ["001_a"]
    assert "0 applied, 1 skipped" in waited.stdout
