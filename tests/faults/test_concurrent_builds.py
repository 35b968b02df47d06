"""Indexes built concurrently: no kill, cancel, duplicate or restart makes one be taken for done, or built twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import psycopg2
import pytest

from tests.faults.scene import FaultySite, Role, ended, until

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
BUILD = "CREATE INDEX CONCURRENTLY i ON t (a);\n"
UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);\n"
INVALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('i')"


@pytest.fixture
def table(site: FaultySite) -> FaultySite:
    """A site with the tracking tables and a table ``t`` of a hundred rows."""
    site.query("CREATE TABLE t (a int, b int)")
    site.query("INSERT INTO t SELECT g, g FROM generate_series(1, 100) AS g")
    assert site.apply().returncode == 0
    return site


@contextmanager
def writer(site: FaultySite) -> Iterator[None]:
    """A transaction that has written to ``t``: a build of an index on it waits for its end."""
    with closing(site.database.connect()) as session, session.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO t VALUES (1001, 1)")
        yield


def builders(site: FaultySite) -> list[int]:
    """The sessions whose build, or what goes with it, waits."""
    rows = site.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'CONCURRENTLY' "
        "AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
    )
    return [pid for (pid,) in rows]


def oid(site: FaultySite) -> int | None:
    ((found,),) = site.query("SELECT to_regclass('i')::oid::bigint")
    return None if found is None else int(found)


def is_valid(site: FaultySite) -> bool:
    return site.query(INVALID) == [(True,)]


def started(site: FaultySite) -> int:
    return len(site.events("statement_started"))


@contextmanager
def reader(site: FaultySite) -> Iterator[None]:
    """A transaction with a snapshot: a build waits for its end as the last thing, dropping an index does not."""
    with closing(site.database.connect()) as session, session.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        yield


def break_a_build(
    site: FaultySite, how: str, held: Callable[[FaultySite], AbstractContextManager[None]] = reader, **env: str
) -> tuple[int, str]:
    """Applies while the build is held up, and ends the build; exit code and what was said."""
    with held(site):
        runner = site.start_apply(**env)
        until(lambda: builders(site))
        site.query(f"SELECT pg_{how}_backend(%s)", builders(site)[0])
        done = ended(runner)
    return done.returncode, done.stderr


@DRIVERS
def test_f23_a_build_whose_backend_is_terminated_is_named_and_built_anew_once_by_the_next_run(
    table: FaultySite, driver: str
) -> None:
    table.write("001_i.sql", BUILD)

    code, said = break_a_build(table, "terminate", DRIVER=driver)
    left = (table.query(INVALID), table.recorded())
    resumed = table.apply(DRIVER=driver)

    assert code == 7, said
    assert "project.001_i stopped at statement 1 of 1, in line 1." in said
    assert "The index public.i was left invalid because" in said
    assert "sqlmigrate_apply   which runs  DROP INDEX CONCURRENTLY public.i  and then statement 1 again, once." in said
    assert left == ([(False,)], [("001_i", "partial")])
    assert (resumed.returncode, resumed.stderr, is_valid(table)) == (0, "", True)
    assert "resumed at statement 1, whose remains were removed and which was run again\n" in resumed.stdout
    assert [event["detail"]["sql"] for event in table.events("statement_rebuilt")] == [
        ["DROP INDEX CONCURRENTLY public.i"]
    ]


def test_f82_the_same_failing_build_is_begun_anew_once_however_often_it_is_restarted(table: FaultySite) -> None:
    table.write("001_i.sql", BUILD)
    first, _ = break_a_build(table, "terminate")
    second, said = break_a_build(table, "terminate")
    before = oid(table)

    third, fourth = table.apply(), table.apply()

    assert [first, second, third.returncode, fourth.returncode] == [7, 7, 7, 7]
    assert "DROP INDEX CONCURRENTLY public.i" in said + third.stderr
    assert "which runs" not in said + third.stderr
    assert (started(table), oid(table), is_valid(table)) == (2, before, False)
    assert table.recorded() == [("001_i", "partial")]
    assert table.run("sqlmigrate_status", "--check").returncode == 7
    table.query("DROP INDEX CONCURRENTLY i")
    resolved = table.apply()
    assert (resolved.returncode, is_valid(table), table.recorded()) == (0, True, [("001_i", "applied")]), resolved


@DRIVERS
def test_f81_a_build_that_was_done_when_the_runner_was_killed_is_found_done(table: FaultySite, driver: str) -> None:
    table.write("001_i.sql", BUILD)
    killed = table.apply(DRIVER=driver, FAULT="die_before_a_done_statement_is_journalled")
    built = oid(table)

    resumed = table.apply(DRIVER=driver)

    assert killed.returncode == -9
    assert built is not None
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "resumed at statement 1, which was done already\n" in resumed.stdout
    assert (oid(table), is_valid(table), started(table)) == (built, True, 1)
    assert table.events("statement_finished")[0]["detail"]["found"] is True
    assert table.recorded() == [("001_i", "applied")]


def test_f20_a_statement_that_was_journalled_and_never_sent_is_run(table: FaultySite) -> None:
    table.write("001_i.sql", "SET maintenance_work_mem = '16MB';\n" + BUILD)
    killed = table.apply(FAULT="die_before_a_statement_that_is_journalled")
    left = (table.recorded(), oid(table))

    resumed = table.apply()

    assert (killed.returncode, left) == (-9, ([("001_i", "running")], None))
    assert (resumed.returncode, resumed.stderr, is_valid(table)) == (0, "", True)


def test_f20_a_runner_killed_while_it_cleans_up_is_followed_by_one_that_asks(table: FaultySite) -> None:
    table.write("001_i.sql", BUILD)
    break_a_build(table, "terminate")
    killed = table.apply(FAULT="die_before_what_is_left_is_removed")
    before = oid(table)

    asked = table.apply()

    assert (killed.returncode, asked.returncode) == (-9, 7)
    assert (oid(table), started(table)) == (before, 1)


@DRIVERS
def test_f20_a_build_that_outlives_its_runner_is_waited_for_and_found_done(table: FaultySite, driver: str) -> None:
    table.write("001_i.sql", BUILD)
    with writer(table):
        killed = table.start_apply(DRIVER=driver)
        until(lambda: builders(table))
        killed.kill()
        killed.wait()
        orphan, begun = builders(table), oid(table)
        ((in_its_way,),) = table.query("SELECT unnest(pg_blocking_pids(%s))", orphan[0])
        refused = table.apply("--lock-wait", "2", DRIVER=driver)
        untrue = table.run("sqlmigrate_repair", "resolve", "project", "1", "--done", "--reason", "why", "--noinput")
        seen = table.run("sqlmigrate_status")
        waiting = table.start_apply("--lock-wait", "30", DRIVER=driver)
        until(lambda: len(table.sessions("sqlmigrations")) == 2)
    done = ended(waiting)

    assert refused.returncode == 5
    assert f"A statement of an earlier run is still being executed by pid {orphan[0]} " in refused.stderr
    assert f", waits for pid {in_its_way})" in refused.stderr
    assert "Waiting for a statement of an earlier run, which the server still executes: pid" in refused.stdout
    assert f"pg_cancel_backend({orphan[0]})" in refused.stderr
    assert f"A statement of it is being executed just now, by pid {orphan[0]} " in seen.stdout
    assert (untrue.returncode, "Next: Wait until that session has ended." in untrue.stderr) == (6, True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (oid(table), is_valid(table), started(table)) == (begun, True, 1)


def test_f42_duplicates_wait_for_a_person_and_no_value_of_a_row_is_shown(table: FaultySite) -> None:
    table.query("INSERT INTO t VALUES (-77007700, 1), (-77007700, 2)")
    table.write("001_i.sql", UNIQUE)

    failed = table.apply()
    left = oid(table)
    again = table.apply()

    assert (failed.returncode, again.returncode) == (7, 7)
    assert "PostgreSQL 23505" in failed.stderr
    assert "77007700" not in failed.stderr + again.stderr + json.dumps(table.events("statement_failed"))
    assert "The index public.i was left invalid because rows with the same key exist." in again.stderr
    assert (oid(table), started(table)) == (left, 1)
    table.query("DELETE FROM t WHERE a = -77007700")
    table.query("DROP INDEX CONCURRENTLY i")
    repaired = table.apply()
    assert (repaired.returncode, repaired.stderr, is_valid(table)) == (0, "", True)
    assert "resumed at statement 1, which was run again\n" in repaired.stdout


def test_f42_an_invalid_index_that_still_rejects_writes_is_warned_of_and_not_built_again(table: FaultySite) -> None:
    table.write("001_i.sql", UNIQUE)
    break_a_build(table, "terminate")
    code, said = break_a_build(table, "terminate")
    left = oid(table)

    again = table.apply()

    warning = "Meanwhile public.i, though invalid, still rejects writes to public.t that repeat a key."
    assert (code, warning in said) == (7, True), said
    assert (again.returncode, warning in again.stderr) == (7, True), again
    with pytest.raises(psycopg2.errors.UniqueViolation):
        table.query("INSERT INTO t VALUES (1, 1)")
    assert (oid(table), is_valid(table), started(table), table.recorded()) == (left, False, 2, [("001_i", "partial")])
    # One of the two ways that are named: where nothing was wrong with the rows.
    assert "REINDEX INDEX CONCURRENTLY public.i;" in again.stderr
    table.query("REINDEX INDEX CONCURRENTLY public.i")
    resolved = table.apply()
    assert (resolved.returncode, is_valid(table), started(table)) == (0, True, 2), resolved
    assert table.recorded() == [("001_i", "applied")]


def test_f43_an_invalid_index_under_the_name_is_not_taken_for_success(table: FaultySite) -> None:
    table.write("001_i.sql", BUILD)
    break_a_build(table, "terminate")
    table.query("DELETE FROM schema_migrations WHERE name = '001_i'")
    table.write("001_i.sql", BUILD.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"))

    refused = table.apply()

    assert refused.returncode == 1, refused
    assert "public.i" in refused.stderr
    assert "invalid" in refused.stderr
    assert "DROP INDEX CONCURRENTLY public.i" in refused.stderr
    assert (is_valid(table), table.recorded()) == (False, [])
    table.query("DROP INDEX CONCURRENTLY public.i")
    built = table.apply()
    assert (built.returncode, is_valid(table), table.recorded()) == (0, True, [("001_i", "applied")]), built


@pytest.mark.parametrize(
    ("before", "statement", "words"),
    [
        ("CREATE INDEX i ON t (a)", "REINDEX INDEX CONCURRENTLY i;\n", "i_ccnew"),
        ("CREATE INDEX i ON t (a)", "DROP INDEX CONCURRENTLY i;\n", "DROP INDEX CONCURRENTLY"),
    ],
)
def test_f44_what_a_cancelled_statement_left_is_named_and_brought_to_its_end(
    table: FaultySite, before: str, statement: str, words: str
) -> None:
    table.query(before)
    table.write("001_i.sql", statement)

    code, said = break_a_build(table, "cancel", writer)
    resumed = table.apply()

    assert code == 7, said
    assert words in said
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert table.query("SELECT relname FROM pg_class WHERE relname LIKE 'i\\_cc%%'") == []
    assert (oid(table) is None) == statement.startswith("DROP")
    assert oid(table) is None or is_valid(table)
    assert table.recorded() == [("001_i", "applied")]


def test_f44_a_partition_whose_detaching_was_cancelled_is_detached(table: FaultySite) -> None:
    table.query("CREATE TABLE p (a int) PARTITION BY LIST (a)")
    table.query("CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)")
    table.write("001_d.sql", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;\n")
    with closing(table.database.connect()) as session, session.cursor() as cursor:
        cursor.execute("BEGIN; SELECT * FROM p")
        runner = table.start_apply()
        until(lambda: builders(table))
        table.query("SELECT pg_cancel_backend(%s)", builders(table)[0])
        stopped = ended(runner)

    resumed = table.apply()

    assert stopped.returncode == 7
    assert "  ALTER TABLE public.p DETACH PARTITION public.p1 FINALIZE  " in stopped.stderr
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "resumed at statement 1, which was half done and is finished now\n" in resumed.stdout
    assert table.query("SELECT count(*) FROM pg_inherits WHERE inhrelid = 'p1'::regclass") == [(0,)]


@DRIVERS
def test_f39_no_timeout_of_the_role_ends_a_build(table: FaultySite, role: Role, driver: str) -> None:
    table.query(f"GRANT postgres TO {role.name}")
    for setting in ("role = postgres", "lock_timeout = 300", "statement_timeout = 600"):
        table.query(f"ALTER ROLE {role.name} SET {setting}")
    table.query(f"ALTER ROLE {role.name} SET idle_in_transaction_session_timeout = 600")
    if table.query("SELECT current_setting('transaction_timeout', true) IS NOT NULL") == [(True,)]:
        table.query(f"ALTER ROLE {role.name} SET transaction_timeout = 1100")
    table.write("001_i.sql", BUILD)
    with writer(table):
        # No longer than it waits for the lock does the session itself wait for anything else.
        runner = table.start_apply("--lock-wait", "0", DATABASE_URL=role.url, DRIVER=driver)
        until(lambda: builders(table))
        (pid,) = builders(table)
        until(
            lambda: table.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND now() - query_start > '1.5s'", pid)
        )
    done = ended(runner)

    assert (done.returncode, done.stderr, is_valid(table)) == (0, "", True)


def test_f39_a_directive_still_limits_a_build(table: FaultySite) -> None:
    table.write("001_i.sql", "-- statement-timeout: 300ms\n" + BUILD)
    with writer(table):
        stopped = table.apply()
    following = table.apply()

    assert stopped.returncode == 7
    assert "PostgreSQL 57014" in stopped.stderr
    assert "which runs  DROP INDEX CONCURRENTLY public.i  and then statement 1 again, once." in stopped.stderr
    assert (following.returncode, is_valid(table), table.recorded()) == (0, True, [("001_i", "applied")])


@DRIVERS
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f21_an_interrupted_build_is_cancelled_told_and_built_anew_by_the_next_run(
    table: FaultySite, driver: str, number: signal.Signals, code: int
) -> None:
    table.write("001_i.sql", f"-- transaction: off\nINSERT INTO t VALUES (7, 7);\n{BUILD}")
    with reader(table):
        runner = table.start_apply(DRIVER=driver)
        until(lambda: builders(table))
        runner.send_signal(number)
        stopped = ended(runner)
        left = (builders(table), table.recorded(), table.holders())

    resumed = table.apply(DRIVER=driver)

    assert stopped.returncode == code, stopped
    assert "project.001_i was interrupted at migrations_sql/001_i.sql:3:1.\n\n  Statement 1 is done" in stopped.stderr
    assert "The index public.i was left invalid because it was cancelled." in stopped.stderr
    assert left == ([], [("001_i", "partial")], [])
    assert (resumed.returncode, resumed.stderr, is_valid(table)) == (0, "", True)
    assert table.query("SELECT count(*) FROM t WHERE a = 7 AND b = 7 ") == [(2,)]


@contextmanager
def open_cursor(site: FaultySite) -> Iterator[None]:
    """A snapshot that a READ COMMITTED transaction keeps between its statements."""
    with closing(site.database.connect()) as session, session.cursor() as cursor:
        cursor.execute("BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH 1 FROM c")
        yield


@DRIVERS
def test_f03_ten_runs_that_wait_neither_deadlock_a_build_nor_hold_it_up(table: FaultySite, driver: str) -> None:
    table.write("001_i.sql", BUILD)
    with reader(table), open_cursor(table), writer(table):
        runners = [table.start_apply("--lock-wait", "60", DRIVER=driver)]
        until(lambda: builders(table))
        runners += [table.start_apply("--lock-wait", "60", DRIVER=driver) for _ in range(10)]
        until(lambda: len(table.sessions("sqlmigrations lock")) == 11)
        (builder,) = builders(table)
        ours = "application_name LIKE 'sqlmigrations%%' AND datname = current_database()"
        snapshots = table.query(
            f"SELECT pid FROM pg_stat_activity WHERE {ours} AND backend_xmin IS NOT NULL AND state <> 'active'"
        )
        blockers = table.query("SELECT unnest(pg_blocking_pids(%s))", builder)
        foreign = table.query(f"SELECT pid FROM pg_stat_activity WHERE NOT ({ours})")
    done = [ended(runner) for runner in runners]

    assert snapshots == []
    assert set(blockers) <= set(foreign)
    assert [runner.returncode for runner in done] == [0] * 11, done
    assert (is_valid(table), started(table)) == (True, 1)
    assert table.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [(0,)]


def test_a_file_that_a_run_is_at_is_pending_to_a_check(table: FaultySite) -> None:
    table.write("001_i.sql", BUILD)
    with writer(table):
        runner = table.start_apply()
        until(lambda: builders(table))
        checks = [table.run("sqlmigrate_status", "--check").returncode, table.apply("--check").returncode]

    assert (checks, ended(runner).returncode) == ([3, 3], 0)
