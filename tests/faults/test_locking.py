"""Runners that meet each other, and locks that are taken away."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.faults.scene import AT_THE_GATE, LOCK, FaultySite, Gate, ended, until

COUNTED = "INSERT INTO done SELECT {number};\n"
LEFT_OF_RUNNERS = """
SELECT a.pid FROM pg_stat_activity AS a
 WHERE a.datname = current_database() AND a.application_name LIKE 'sqlmigrations%'
UNION ALL
SELECT l.pid FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
 WHERE l.locktype = 'advisory' AND d.datname = current_database()
"""


def run_together(site: FaultySite, barrier: Path, count: int) -> list[subprocess.CompletedProcess[str]]:
    barrier.mkdir()
    together = {"FAULT": "wait_behind_barrier", "BARRIER": str(barrier)}
    runners = [site.start_apply(**together) for _ in range(count)]
    until(lambda: len(list(barrier.iterdir())) == count)
    (barrier / "open").touch()
    return [ended(runner) for runner in runners]


def applied_events(site: FaultySite) -> list[str]:
    return [event["name"] for event in site.events("applied")]


def test_f01_of_two_runners_one_applies_and_the_other_waits(site: FaultySite, tmp_path: Path) -> None:
    site.query("CREATE TABLE done (number int)")
    names = []
    for number in range(1, 6):
        names.append(f"{number:03}_wait")
        site.write(f"{names[-1]}.sql", "SELECT pg_sleep(0.1);\n" + COUNTED.format(number=number))

        both = run_together(site, tmp_path / f"barrier_{number}", 2)

        assert [runner.returncode for runner in both] == [0, 0], both
        assert sorted("All migrations are already applied!" in runner.stdout for runner in both) == [False, True]
        assert site.names() == names
    assert site.query("SELECT array_agg(number ORDER BY number) FROM done") == [(list(range(1, 6)),)]
    assert applied_events(site) == ["000_migration_tracking", *names]


def test_f02_twenty_runners_apply_twenty_files_to_an_empty_database(site: FaultySite, tmp_path: Path) -> None:
    names = [f"{number:03}_table" for number in range(1, 21)]
    for name in names:
        site.write(f"{name}.sql", f"CREATE TABLE t_{name} (id int);\n")

    all_of_them = run_together(site, tmp_path / "barrier", 20)

    assert [(runner.returncode, runner.stderr) for runner in all_of_them] == [(0, "")] * 20
    assert not [
        word for runner in all_of_them for word in ("23505", "42710", "already exists") if word in runner.stdout
    ]
    assert sorted(runner.stdout.splitlines()[-1].partition(",")[0] for runner in all_of_them) == [
        "21 applied",
        *["All migrations are already applied!"] * 19,
    ]
    assert site.names() == names
    assert applied_events(site) == ["000_migration_tracking", *names]
    assert [len(site.events(event)) for event in ("run_started", "run_finished", "failed")] == [1, 1, 0]
    assert [name for name in names if not site.has(f"t_{name}")] == []
    until(lambda: not site.query(LEFT_OF_RUNNERS))


def test_f04_a_foreign_session_that_holds_the_lock_is_named(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    stranger = site.database.connect(application_name="psql of Ann")
    with stranger.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s), pg_backend_pid()", [LOCK.value])
        _, pid = cursor.fetchone() or ()

    refused = site.apply("--lock-wait", "2")

    assert refused.returncode == 5
    assert f"  Waiting for the migration lock, held by pid {pid} " in refused.stdout
    assert f"held by pid {pid} (user 'postgres', application \"psql of Ann\", idle" in refused.stderr
    assert f"pg_terminate_backend({pid})" in refused.stderr
    assert (site.ledger(), site.has("a")) == ([], False)
    stranger.close()
    assert site.apply("--lock-wait", "0").returncode == 0


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_f05_a_run_whose_lock_connection_is_ended_stops_before_the_next_file(
    site: FaultySite, gate: Gate, driver: str
) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()
    site.terminate("sqlmigrations lock")
    gate.open()

    stopped = ended(runner)

    assert stopped.returncode == 10, stopped
    assert stopped.stderr == (
        "The connection that held the migration lock is gone; the run stopped before the next statement of "
        "project.002_b.\n\n"
        "  Nothing of this file was kept; 2 migrations were applied in this run before it.\n"
        "  Next: Start again: python manage.py sqlmigrate_apply\n"
    )
    assert (site.recorded(), site.has("a"), site.has("b")) == ([("001_a", "applied")], True, False)
    assert [event["detail"]["error"] for event in site.events("run_finished")] == ["LockLost"]
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b"]


def test_f05_a_run_whose_connection_is_ended_while_it_waits_for_the_lock_changes_nothing(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    holder = site.database.connect()
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK.value])
    runner = site.start_apply()
    assert runner.stdout is not None
    assert "Waiting for the migration lock" in runner.stdout.readline()
    site.terminate("sqlmigrations lock")

    stopped = ended(runner)

    assert stopped.returncode == 9, stopped
    assert stopped.stderr.startswith("The connection failed: ")
    assert stopped.stderr.endswith(
        " Nothing was changed.\n\n"
        "  Next: Look what is recorded:  python manage.py sqlmigrate_status  and start the same command again.\n"
    )
    assert (site.ledger(), site.has("a")) == ([], False)
    holder.close()
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]


def test_f06_a_second_runner_waits_for_the_row_of_one_that_lost_its_lock(site: FaultySite, gate: Gate) -> None:
    site.query("CREATE TABLE done (number int)")
    site.write("001_a.sql", AT_THE_GATE + COUNTED.format(number=1))
    first = site.start_apply()
    inside = gate.await_somebody()
    site.terminate("sqlmigrations lock")

    second = site.start_apply()
    until(lambda: site.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", inside))
    gate.open()

    assert ended(first).returncode == 0
    skipped = ended(second)
    assert (skipped.returncode, "applied by another run meanwhile" in skipped.stdout) == (0, True), skipped
    assert site.names() == ["001_a"]
    assert site.query("SELECT number FROM done") == [(1,)]


def test_f06_a_second_runner_with_another_file_is_told_so_by_the_row_of_one_that_lost_its_lock(
    site: FaultySite, gate: Gate
) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    first = site.start_apply()
    inside = gate.await_somebody()
    site.terminate("sqlmigrations lock")
    site.write("001_a.sql", "CREATE TABLE b (id int);\n")

    second = site.start_apply()
    until(lambda: site.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", inside))
    gate.open()

    assert ended(first).returncode == 0
    other = ended(second)
    assert (other.returncode, site.names(), site.has("b")) == (4, ["001_a"], False), other
    assert other.stderr.startswith("Another run recorded project.001_a meanwhile, with other content. This run ")
    assert site.apply().returncode == 4
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0


@pytest.mark.parametrize("seconds", ["0", "0.5"])
def test_f06_the_row_of_a_lockless_runner_is_waited_for_no_longer_than_the_lock(
    site: FaultySite, gate: Gate, seconds: str
) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    first = site.start_apply()
    gate.await_somebody()
    site.terminate("sqlmigrations lock")

    second = site.apply("--lock-wait", seconds)

    assert second.returncode == 5
    assert "Another run is applying project.001_a at this moment." in second.stderr
    gate.open()
    assert ended(first).returncode == 0
    assert site.names() == ["001_a"]


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT pg_advisory_unlock_all();\n", "pg_advisory_unlock_all() releases"),
        ("DISCARD ALL;\n", "DISCARD ALL"),
        ("DO $$ BEGIN PERFORM pg_advisory_unlock_all(); END $$;\n", "pg_advisory_unlock_all() releases"),
    ],
)
def test_f07_a_file_that_releases_all_locks_is_refused(site: FaultySite, sql: str, named: str) -> None:
    site.write("001_a.sql", sql)

    refused = site.apply()

    assert refused.returncode == 6
    assert "migrations_sql/001_a.sql:1:" in refused.stderr
    assert named in refused.stderr
    assert site.ledger() == []


def test_f07_a_file_that_releases_all_locks_unseen_does_not_release_ours(site: FaultySite, gate: Gate) -> None:
    site.query(
        "CREATE FUNCTION innocent() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_unlock_all(); END'"
    )
    site.write("001_a.sql", "SELECT innocent();\n")
    site.write("002_b.sql", AT_THE_GATE + "CREATE TABLE b (id int);\n")
    runner = site.start_apply()
    gate.await_somebody()

    holders = site.holders()

    assert holders == site.sessions("sqlmigrations lock")
    gate.open()
    assert ended(runner).returncode == 0
    assert site.names() == ["001_a", "002_b"]
