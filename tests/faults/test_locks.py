"""Locks that others hold: a file gives up soon, lets them through, says who they are and is run again, whole."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.own import lend_site
from tests.faults.scene import PATIENTLY, THROUGH_THE_GATE, FaultySite, Gate, Other, Role, ended, until
from tests.servers import Database

BOTH_DRIVERS = pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
LOCK_TIMEOUT_S = 2.0  # deadlock_timeout, as it comes, and a second
ALLOWED_S = LOCK_TIMEOUT_S + 0.5
READING = "SELECT count(*) FROM invoice"
CHANGE = "ALTER TABLE invoice ADD COLUMN total int;\n"


def attempts(number: int) -> dict[str, str]:
    return {"SQLMIGRATIONS_JSON": json.dumps({"LOCK_ATTEMPTS": number})}


class Readers:
    """Sessions that read a table all the time, each at once again, and how long each of them ever had to wait."""

    def __init__(self, database: Database, count: int = 3) -> None:
        self._database = database
        self._ended = threading.Event()
        self.waits: list[float] = []
        self._threads = [threading.Thread(target=self._read) for _ in range(count)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.waits) > 10)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def longest_s(self) -> float:
        return max(self.waits)

    def tell(self) -> None:
        print(f"\n{len(self.waits)} reads, the longest waited {self.longest_s:.2f} s; allowed are {ALLOWED_S} s")

    def _read(self) -> None:
        connection = self._database.connect(application_name="reader")
        with connection.cursor() as cursor:
            while not self._ended.wait(0.02):
                started = time.monotonic()
                cursor.execute(READING)
                self.waits.append(time.monotonic() - started)
        connection.close()


@BOTH_DRIVERS
def test_f35_a_table_that_somebody_reads_for_ever_is_left_to_the_other_readers(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE invoice (id int)")
    blocker = Other(site.database, "SELECT 'ada@example.org' FROM invoice")
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("002_b.sql", CHANGE)

    with Readers(site.database) as readers:
        run = ended(site.start_apply(DRIVER=driver, **attempts(3), **site.writing_down))

    readers.tell()
    assert run.returncode == 1
    assert LOCK_TIMEOUT_S / 2 < readers.longest_s < ALLOWED_S
    assert "PostgreSQL 55P03" in run.stderr
    assert f'Blocked by pid {blocker.pid} (user "postgres", app "web", idle in transaction ' in run.stderr
    assert "), holds invoice\n" in run.stderr
    assert "whose last statement is: SELECT '...' FROM invoice\n" in run.stderr
    assert (
        "Nothing of this file was kept after 3 attempts; 2 migrations were applied in this run before it."
        in run.stderr
    )
    assert f"SELECT pg_terminate_backend({blocker.pid}) , " in run.stderr
    assert "ada@example.org" not in run.stderr + run.stdout
    assert [(told["attempt"], told["blockers"][0]["pid"]) for told in site.told("retrying")] == [
        (1, blocker.pid),
        (2, blocker.pid),
    ]
    (event,) = site.events("failed")
    assert (event["detail"]["sqlstate"], event["detail"]["attempts"]) == ("55P03", 3)
    assert [seen["pid"] for seen in event["detail"]["blockers"]] == [blocker.pid]
    assert site.names() == ["001_a"]
    blocker.leave()
    assert site.apply(DRIVER=driver).returncode == 0
    assert site.names() == ["001_a", "002_b"]


@BOTH_DRIVERS
def test_f36_a_file_succeeds_as_soon_as_the_blocker_has_gone(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE invoice (id int)")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", CHANGE)

    with Readers(site.database) as readers:
        run = site.start_apply("--format", "json", DRIVER=driver, **site.writing_down)
        until(lambda: site.told("retrying"))
        blocker.leave()
        run = ended(run)

    readers.tell()
    assert run.returncode == 0, run.stderr
    assert LOCK_TIMEOUT_S / 2 < readers.longest_s < ALLOWED_S
    assert json.loads(run.stdout)["outcomes"][-1]["attempts"] == 2
    (event,) = (event for event in site.events("applied") if event["name"] == "001_a")
    assert event["detail"]["attempts"] == 2
    assert site.names() == ["001_a"]


@pytest.fixture
def eager_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySite]:
    """On a server of its own, where autovacuum comes every second."""
    with lend_site(tmp_path, monkeypatch, "autovacuum_naptime=1s") as made:
        yield made


def test_f37_autovacuum_gives_way(eager_site: FaultySite) -> None:
    slowly = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    eager_site.query(
        f"CREATE TABLE invoice (id int, filler text) WITH (autovacuum_vacuum_threshold = 0, {slowly});"
        "INSERT INTO invoice SELECT n, repeat('x', 900) FROM generate_series(1, 20000) n; DELETE FROM invoice"
    )
    eager_site.write("001_a.sql", CHANGE)
    vacuums = (
        "SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
        "WHERE l.relation = 'invoice'::regclass AND l.granted AND a.backend_type = 'autovacuum worker'"
    )
    until(lambda: eager_site.query(vacuums))
    (worker,) = eager_site.query(vacuums)

    run = eager_site.apply("--format", "json")

    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout)["outcomes"][-1]
    assert outcome["attempts"] == 1
    assert outcome["duration_ms"] > 900, "deadlock_timeout had to pass before the worker was asked to leave"
    assert worker not in eager_site.query(vacuums)
    assert eager_site.names() == ["001_a"]


@BOTH_DRIVERS
def test_f38_a_deadlock_with_the_application_is_tried_again_whole(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (); CREATE TABLE b ()")
    site.query(f"ALTER DATABASE {site.database.name} SET deadlock_timeout = '3s'")
    # Of the two it is the runner that the server chooses.
    other = Other(site.database, "SET LOCAL deadlock_timeout = '10min'", "LOCK TABLE b")
    site.write("001_a.sql", "-- lock-timeout: 60s\nLOCK TABLE a;\nCREATE TABLE c ();\nLOCK TABLE b;\n")
    run = site.start_apply(DRIVER=driver, **site.writing_down)
    until(lambda: site.query("SELECT 1 FROM pg_locks WHERE relation = 'b'::regclass AND NOT granted"))

    other.run("LOCK TABLE a")
    other.leave()

    assert ended(run).returncode == 0
    (retrying,) = site.told("retrying")
    assert [seen["pid"] for seen in retrying["blockers"]] == [other.pid]
    (event,) = (event for event in site.events("applied") if event["name"] == "001_a")
    assert event["detail"]["attempts"] == 2
    assert (site.names(), site.has("c")) == (["001_a"], True)


def test_a_conflict_of_serializable_transactions_is_tried_again_whole(site: FaultySite, gate: Gate) -> None:
    site.query("CREATE TABLE a AS SELECT 1 AS n")
    site.write(
        "001_a.sql",
        f"{PATIENTLY}BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT * FROM a;\n"
        f"{THROUGH_THE_GATE}UPDATE a SET n = n + 10;\nCOMMIT;\n",
    )
    run = site.start_apply(**site.writing_down)
    gate.await_somebody()
    site.query("UPDATE a SET n = 2")

    gate.open()

    assert ended(run).returncode == 0
    assert len(site.told("retrying")) == 1
    assert site.query("SELECT n FROM a") == [(12,)]


@pytest.mark.parametrize(
    "sql",
    [
        "LOCK TABLE invoice NOWAIT;\n",
        "SELECT * FROM invoice FOR UPDATE NOWAIT;\n",
        "DO $$ BEGIN SET LOCAL lock_timeout = 10; ALTER TABLE invoice ADD COLUMN total int; END $$;\n",
    ],
)
def test_a_file_that_does_not_wait_itself_is_tried_again_as_well(site: FaultySite, sql: str) -> None:
    site.query("CREATE TABLE invoice AS SELECT 1 AS id")
    blocker = Other(site.database, "SELECT * FROM invoice FOR UPDATE")
    site.write("001_a.sql", sql)
    run = site.start_apply(**site.writing_down)
    until(lambda: site.told("retrying"))

    blocker.leave()

    assert ended(run).returncode == 0
    assert site.names() == ["001_a"]


@BOTH_DRIVERS
def test_what_an_attempt_left_in_the_session_is_gone_when_the_next_one_begins(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE invoice ()")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", f"PREPARE one AS SELECT 1;\nSELECT pg_advisory_lock(1);\n{CHANGE}")
    run = site.start_apply(DRIVER=driver, **site.writing_down)
    until(lambda: site.told("retrying"))

    blocker.leave()

    assert ended(run).returncode == 0
    assert site.names() == ["001_a"]


@BOTH_DRIVERS
def test_a_file_that_runs_statement_by_statement_is_tried_again_from_the_statement_that_was_stopped(
    site: FaultySite, driver: str
) -> None:
    site.query("CREATE TABLE invoice (id int)")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", f"-- transaction: off\nCREATE TABLE a ();\n{CHANGE}CREATE TABLE b ();\n")
    run = site.start_apply("--format", "json", DRIVER=driver, **site.writing_down)
    until(lambda: site.told("retrying"))

    blocker.leave()

    run = ended(run)
    assert run.returncode == 0, run.stderr
    assert [seen["pid"] for seen in site.told("retrying")[0]["blockers"]] == [blocker.pid]
    outcome = json.loads(run.stdout)["outcomes"][-1]
    assert (outcome["attempts"], outcome["statements"]) == (2, 3)
    (event,) = (event for event in site.events("applied") if event["name"] == "001_a")
    assert event["detail"]["attempts"] == 2
    assert site.names() == ["001_a"]
    assert site.has("b")


def test_a_file_that_was_stopped_half_way_names_who_stopped_it(site: FaultySite) -> None:
    site.query("CREATE TABLE invoice (id int)")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", f"-- transaction: off\nCREATE TABLE a ();\n{CHANGE}")

    stopped = site.apply(**attempts(2))

    blocker.leave()
    assert stopped.returncode == 7
    assert f'Blocked by pid {blocker.pid} (user "postgres", app "web", idle in transaction ' in stopped.stderr
    assert f"SELECT pg_terminate_backend({blocker.pid}) , " in stopped.stderr
    assert "It goes on at statement 2: " in stopped.stderr
    assert [event["detail"]["attempts"] for event in site.events("failed")] == [2]
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]


def test_an_index_that_a_build_left_invalid_is_not_built_again_by_the_same_run(site: FaultySite) -> None:
    site.query("CREATE TABLE invoice (id int)")
    site.query(f"ALTER DATABASE {site.database.name} SET deadlock_timeout = '3s'")
    other = Other(site.database, "SET LOCAL deadlock_timeout = '10min'", "LOCK TABLE invoice IN ROW EXCLUSIVE MODE")
    site.write("001_i.sql", "CREATE INDEX CONCURRENTLY invoice_id ON invoice (id);\n")
    run = site.start_apply(**site.writing_down)
    until(lambda: site.query("SELECT to_regclass('invoice_id') IS NOT NULL") == [(True,)])

    other.run("LOCK TABLE invoice IN SHARE MODE")
    other.leave()

    run = ended(run)
    assert run.returncode == 7, run.stderr
    assert "PostgreSQL 40P01" in run.stderr
    assert site.told("retrying") == []
    assert site.apply().returncode == 0
    assert site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'invoice_id'::regclass") == [(True,)]


def test_no_attempt_begins_without_the_migration_lock(site: FaultySite) -> None:
    site.query("CREATE TABLE invoice ()")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", CHANGE)
    run = site.start_apply(**site.writing_down)
    until(lambda: site.told("retrying"))

    site.terminate("sqlmigrations lock")
    blocker.leave()

    assert ended(run).returncode == 10
    assert site.names() == []


@BOTH_DRIVERS
def test_a_run_that_is_ended_between_two_attempts_ends_at_once(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE invoice ()")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", f"-- lock-timeout: 100ms\n{CHANGE}")
    run = site.start_apply(DRIVER=driver, **site.writing_down)
    until(lambda: len(site.told("retrying")) == 4)

    run.send_signal(signal.SIGTERM)
    started = time.monotonic()
    run_ended = ended(run)

    blocker.leave()
    assert run_ended.returncode == 143
    assert time.monotonic() - started < site.told("retrying")[-1]["delay_s"]
    assert "project.001_a was interrupted while it waited." in run_ended.stderr
    assert "Nothing of this file was kept" in run_ended.stderr
    assert site.names() == []


def test_an_idle_session_timeout_of_the_role_does_not_end_the_wait_between_attempts(
    site: FaultySite, role: Role
) -> None:
    site.query(f"CREATE TABLE invoice (); ALTER TABLE invoice OWNER TO {role.name}")
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    site.query(f"ALTER ROLE {role.name} SET idle_session_timeout = 200")
    blocker = Other(site.database, READING)
    site.write("001_a.sql", f"-- lock-timeout: 100ms\n{CHANGE}")
    run = site.start_apply(DATABASE_URL=role.url, **site.writing_down)
    until(lambda: len(site.told("retrying")) == 3)

    blocker.leave()

    run = ended(run)
    assert run.returncode == 0, run.stderr
    assert [told["attempt"] for told in site.told("retrying")][:3] == [1, 2, 3]


def test_rows_and_weak_locks_are_waited_for_patiently_until_a_strong_lock_is_held(site: FaultySite) -> None:
    shown = "current_setting('lock_timeout')"
    site.query("CREATE TABLE seen (nth int, lock_timeout text); CREATE TABLE invoice ()")
    site.write(
        "001_a.sql",
        f"INSERT INTO seen VALUES (1, {shown});\nSET lock_timeout = 0;\nINSERT INTO seen VALUES (2, {shown});\n"
        f"{CHANGE}INSERT INTO seen VALUES (3, {shown});\n",
    )
    site.write("002_b.sql", f"-- lock-timeout: 7s\nINSERT INTO seen VALUES (4, {shown});\n")

    assert site.apply().returncode == 0

    assert site.query("SELECT lock_timeout FROM seen ORDER BY nth") == [("30s",), ("30s",), ("2s",), ("7s",)]


def test_f13_checks_that_still_have_to_run_are_explained(site: FaultySite) -> None:
    site.query("CREATE TABLE vendor (id int PRIMARY KEY); INSERT INTO vendor VALUES (1)")
    site.query("CREATE TABLE invoice (vendor_id int REFERENCES vendor DEFERRABLE INITIALLY DEFERRED)")
    site.write("001_a.sql", f"INSERT INTO invoice VALUES (1);\n{CHANGE}")

    failed = site.apply()

    assert failed.returncode == 1
    assert "migrations_sql/001_a.sql:2:" in failed.stderr
    assert "PostgreSQL 55006" in failed.stderr
    assert "two files, or write SET CONSTRAINTS ALL IMMEDIATE between them." in failed.stderr
    assert site.query("SELECT count(*) FROM invoice") == [(0,)]
    assert (site.recorded(), [event["detail"]["sqlstate"] for event in site.events("failed")]) == ([], ["55006"])
    site.write("001_a.sql", f"INSERT INTO invoice VALUES (1);\nSET CONSTRAINTS ALL IMMEDIATE;\n{CHANGE}")
    assert site.apply().returncode == 0
    assert (site.names(), site.query("SELECT vendor_id, total FROM invoice")) == (["001_a"], [(1, None)])
