"""Ctrl-C, SIGTERM and ``Executor.cancel``: the statement ends at once, and the message says what is left."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.faults.proxy import Proxy
from tests.faults.scene import (
    AT_THE_GATE,
    GATE,
    LOCK,
    PATIENCE_S,
    PATIENTLY,
    THROUGH_THE_GATE,
    FaultySite,
    Gate,
    ended,
    until,
)

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
NEXT = "  Next: To go on: python manage.py sqlmigrate_apply\n"
# Without a file of ours in between; what runs for longer than a test may was not cancelled.
AT_ONCE_S = 10
PATIENT = f"connect_timeout={3 * AT_ONCE_S}"


def interrupted(runner: subprocess.Popen[str], number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Sends the signal; the process has to end without anybody's help."""
    sent = time.monotonic()
    runner.send_signal(number)
    end = ended(runner)
    assert time.monotonic() - sent < AT_ONCE_S
    return end


def free(site: FaultySite) -> bool:
    return site.holders() == [] and site.sessions("sqlmigrations") == []


@SIGNALS
@DRIVERS
def test_f21_a_signal_cancels_the_statement_and_rolls_its_file_back(
    site: FaultySite, gate: Gate, driver: str, number: signal.Signals, code: int
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"{PATIENTLY}CREATE TABLE b (id int);\n{THROUGH_THE_GATE}")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()

    stopped = interrupted(runner, number)

    assert stopped.returncode == code, stopped
    assert stopped.stderr == (
        "project.002_b was interrupted at migrations_sql/002_b.sql:3:1 and rolled back.\n\n"
        f"  Nothing of this file was kept; 2 migrations were applied in this run before it.\n{NEXT}"
    )
    assert stopped.stdout.endswith("  Applying project.002_b... INTERRUPTED\n")
    assert (site.recorded(), site.has("b")) == ([("001_a", "applied")], False)
    assert gate.waiting() == []
    assert free(site)
    ((told,), (closed,)) = site.events("failed"), site.events("run_finished")
    assert (told["name"], told["detail"]["exit_code"]) == ("002_b", code)
    assert closed["detail"] == {"done": 2, "error": {130: "Interrupted", 143: "Terminated"}[code]}
    gate.open()
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b", "003_c"]


@SIGNALS
def test_f21_the_document_tells_of_an_interruption(
    site: FaultySite, gate: Gate, number: signal.Signals, code: int
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", AT_THE_GATE)
    runner = site.start_apply("--format", "json")
    gate.await_somebody()

    stopped = interrupted(runner, number)

    document = json.loads(stopped.stdout)
    assert (stopped.returncode, document["exit_code"], document["result"]) == (code, code, "error")
    assert document["error"]["type"] == {130: "Interrupted", 143: "Terminated"}[code]
    assert "project.002_b was interrupted" in document["error"]["message"]
    assert [outcome["result"] for outcome in document["outcomes"]] == ["applied", "applied", "failed"]


@DRIVERS
def test_f21_a_second_later_a_second_signal_ends_the_process_at_once(
    site: FaultySite, proxy: Proxy, gate: Gate, driver: str
) -> None:
    site.write("001_a.sql", AT_THE_GATE)
    runner = site.start_apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)
    gate.await_somebody()
    proxy.stall()

    runner.send_signal(signal.SIGINT)
    time.sleep(1.2)
    stopped = interrupted(runner, signal.SIGINT)

    assert stopped.returncode == 130, stopped
    assert stopped.stderr.endswith(
        "Ended at once. The server rolls back what was not committed; what is recorded tells:  "
        "python manage.py sqlmigrate_status\n"
    )
    proxy.close()
    until(lambda: free(site))
    assert site.recorded() == []


@DRIVERS
def test_f21_an_echo_of_the_signal_changes_nothing(site: FaultySite, gate: Gate, driver: str) -> None:
    site.write("001_a.sql", AT_THE_GATE)
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()

    runner.send_signal(signal.SIGINT)
    stopped = interrupted(runner, signal.SIGINT)

    assert stopped.returncode == 130
    assert "project.001_a was interrupted" in stopped.stderr
    assert len(site.events("run_finished")) == 1


@SIGNALS
@DRIVERS
def test_f21_a_run_that_waits_for_the_lock_can_be_interrupted(
    site: FaultySite, driver: str, number: signal.Signals, code: int
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    holder = site.database.connect()
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK.value])
    runner = site.start_apply(DRIVER=driver)
    assert runner.stdout is not None
    assert "Waiting for the migration lock" in runner.stdout.readline()

    stopped = interrupted(runner, number)

    assert (stopped.returncode, stopped.stderr) == (code, f"Interrupted. Nothing was changed.\n\n{NEXT}")
    holder.close()
    assert site.ledger() == []


@SIGNALS
@DRIVERS
def test_f21_a_run_that_waits_for_the_server_can_be_interrupted(
    site: FaultySite, driver: str, number: signal.Signals, code: int
) -> None:
    runner = site.start_apply("--wait-for-db", "60", DATABASE_URL="postgresql://ann@127.0.0.1:1/shop", DRIVER=driver)
    assert runner.stdout is not None
    assert "Waiting up to 60 s for the database" in runner.stdout.readline()

    stopped = interrupted(runner, number)

    assert (stopped.returncode, stopped.stderr) == (code, f"Interrupted. Nothing was changed.\n\n{NEXT}")


@DRIVERS
def test_f21_a_run_that_waits_for_the_row_of_another_run_can_be_interrupted(
    site: FaultySite, gate: Gate, driver: str
) -> None:
    site.write("001_a.sql", AT_THE_GATE)
    first = site.start_apply()
    inside = gate.await_somebody()
    site.terminate("sqlmigrations lock")
    second = site.start_apply(DRIVER=driver)
    until(lambda: site.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", inside))

    stopped = interrupted(second, signal.SIGTERM)

    assert stopped.returncode == 143
    assert "project.001_a was interrupted and rolled back." in stopped.stderr
    gate.open()
    assert ended(first).returncode == 0
    assert site.names() == ["001_a"]


@DRIVERS
def test_f21_a_run_that_waits_for_its_tracking_tables_can_be_interrupted(site: FaultySite, driver: str) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    owner = site.database.connect()
    with owner.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
    runner = site.start_apply(DRIVER=driver)
    until(lambda: site.query("SELECT 1 FROM pg_locks WHERE NOT granted"))

    stopped = interrupted(runner, signal.SIGTERM)

    assert (stopped.returncode, stopped.stderr) == (143, f"Interrupted. Nothing was changed.\n\n{NEXT}")
    owner.close()


@DRIVERS
def test_f21_data_that_are_being_loaded_are_interrupted(site: FaultySite, gate: Gate, driver: str) -> None:
    site.query(f"CREATE TABLE a (id int CHECK (pg_advisory_xact_lock({GATE}) IS NOT NULL))")
    site.write("001_a.sql", "-- lock-timeout: 60s\nCOPY a FROM stdin;\n1\n\\.\n")
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()

    stopped = interrupted(runner, signal.SIGINT)

    assert stopped.returncode == 130
    assert "project.001_a was interrupted at migrations_sql/001_a.sql:" in stopped.stderr
    assert (site.query("SELECT * FROM a"), site.recorded()) == ([], [])


@DRIVERS
def test_f21_between_two_files_the_next_one_is_not_begun(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    stopped = site.apply(FAULT="interrupt_itself_between_files", DRIVER=driver)

    assert stopped.returncode == 130
    assert stopped.stderr == (
        "Interrupted before project.002_b was begun. 2 migrations were applied in this run.\n\n" + NEXT
    )
    assert (site.names(), site.has("b")) == (["001_a"], False)
    assert [event["detail"]["error"] for event in site.events("run_finished")] == ["Interrupted"]


@DRIVERS
def test_f21_a_signal_while_the_last_file_is_committed_stops_nothing(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    applied = site.apply(FAULT="interrupt_itself_between_files", DRIVER=driver)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert "2 applied, 0 skipped" in applied.stdout


def test_f21_a_run_that_was_started_deaf_to_signals_stays_so(site: FaultySite, gate: Gate) -> None:
    site.write("001_a.sql", AT_THE_GATE)

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    runner = site.start("sqlmigrate_apply", preexec_fn=ignore)
    site.started.append(runner)
    gate.await_somebody()
    runner.send_signal(signal.SIGINT)
    gate.open()

    assert ended(runner).returncode == 0


CANCELLED_FROM_A_THREAD = f"""
GATE = {GATE}

import signal, threading
from sqlmigrations import signals
from sqlmigrations.exceptions import Interrupted
from sqlmigrations.executor import Executor

handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
executor, told = Executor(), []

def tell(error, step=None, **_):
    told.append((step and step.migration.id, type(error).__name__))

signals.migration_finished.connect(tell)
signals.run_finished.connect(tell)

def cancel():
    from django.db import connection
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND objid = %s", [GATE])
            if cursor.fetchone() == (1,):
                break
    connection.close()
    executor.cancel()

def work():
    try:
        with executor.run() as run:
            for step in run.plan.steps:
                run.perform(step)
    except Interrupted as error:
        print(error, error.kept, told, int(error.exit_code), sep="\\n")

threading.Thread(target=cancel).start()
HERE_OR_IN_A_THREAD
assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
"""


@DRIVERS
@pytest.mark.parametrize("work", ["work()", "worker = threading.Thread(target=work); worker.start(); worker.join()"])
def test_f21_another_thread_cancels_a_run(site: FaultySite, gate: Gate, driver: str, work: str) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", f"{PATIENTLY}CREATE TABLE a (id int);\n{THROUGH_THE_GATE}")

    ended = site.python(CANCELLED_FROM_A_THREAD.replace("HERE_OR_IN_A_THREAD", work), DRIVER=driver)

    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "project.001_a was interrupted at migrations_sql/001_a.sql:3:1 and rolled back.",
        "Nothing of this file was kept; no migrations were applied in this run before it.",
        "[('project.001_a', 'Interrupted'), (None, 'Interrupted')]",
        "130",
    ]
    assert (site.recorded(), site.has("a")) == ([], False)


@DRIVERS
def test_f21_a_run_that_tries_again_and_again_can_be_interrupted(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (id int)")
    site.write("001_a.sql", "-- lock-timeout: 100ms\nALTER TABLE a ADD COLUMN b int;\n")
    reader = site.database.connect()
    with reader.cursor() as cursor:
        cursor.execute("BEGIN; SELECT * FROM a")
    runner = site.start_apply(DRIVER=driver)
    assert runner.stdout is not None
    while "next try in" not in (line := runner.stdout.readline()):
        assert line

    stopped = interrupted(runner, signal.SIGTERM)

    assert stopped.returncode == 143, stopped
    assert stopped.stderr.startswith("project.001_a was interrupted ")
    assert "\n\n  Nothing of this file was kept" in stopped.stderr
    assert site.recorded() == []
    assert free(site)
    reader.close()


def test_f21_nothing_goes_on_in_the_process_after_a_run_that_was_too_far_to_be_cancelled(site: FaultySite) -> None:
    """Cancelled when its only file is done: the run ends well, and with it what would cancel."""
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    ended = site.python(
        "import threading\n"
        "from sqlmigrations.executor import Executor\n"
        "executor = Executor()\n"
        "with executor.run() as run:\n"
        "    for step in run.plan.steps:\n"
        "        run.perform(step)\n"
        "    executor.cancel()\n"
        "for thread in threading.enumerate():\n"
        "    if thread is not threading.main_thread():\n"
        "        thread.join(10)\n"
        "print(threading.active_count())\n"
    )

    assert (ended.stdout, ended.stderr) == ("1\n", "")


@SIGNALS
@DRIVERS
def test_f21_a_file_that_runs_statement_by_statement_keeps_what_is_done_and_is_resumed(
    site: FaultySite, gate: Gate, driver: str, number: signal.Signals, code: int
) -> None:
    site.write("001_a.sql", f"-- transaction: off\n{PATIENTLY}CREATE TABLE a (id int);\nVACUUM a;\n{THROUGH_THE_GATE}")
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()

    stopped = interrupted(runner, number)

    assert stopped.returncode == code, stopped
    assert stopped.stderr == (
        "project.001_a was interrupted at migrations_sql/001_a.sql:5:1.\n\n"
        "  Statements 1 to 2 are done and recorded. Statement 3 was rolled back.\n"
        "  Next: python manage.py sqlmigrate_apply   which goes on at statement 3.\n"
    )
    assert site.recorded() == [("001_a", "partial")]
    assert free(site)
    gate.open()
    resumed = site.apply(DRIVER=driver)
    assert (resumed.returncode, "resumed at statement 3" in resumed.stdout) == (0, True), resumed
    assert site.names() == ["001_a"]


@DRIVERS
def test_f21_an_index_build_that_is_interrupted_is_finished_by_the_next_run(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (id int)")
    site.write("001_a.sql", "CREATE INDEX CONCURRENTLY a_id ON a (id);\n")
    writer = site.database.connect()
    with writer.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO a VALUES (1)")
    runner = site.start_apply(DRIVER=driver)
    until(lambda: site.query("SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for writers%%'"))

    stopped = interrupted(runner, signal.SIGTERM)

    assert stopped.returncode == 143, stopped
    assert stopped.stderr.startswith("project.001_a was interrupted at migrations_sql/001_a.sql:1:")
    assert "python manage.py sqlmigrate_apply" in stopped.stderr
    writer.close()
    assert site.apply(DRIVER=driver).returncode == 0
    assert site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass") == [(True,)]


@contextmanager
def a_host_that_says_nothing() -> Iterator[tuple[str, Callable[[], tuple[socket.socket, object]]]]:
    """Where to connect to, and what waits for somebody who does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield f"postgresql://ann@127.0.0.1:{listener.getsockname()[1]}/shop", listener.accept


@SIGNALS
@DRIVERS
def test_f21_a_run_that_is_connecting_to_a_host_that_says_nothing_can_be_interrupted(
    site: FaultySite, driver: str, number: signal.Signals, code: int
) -> None:
    with a_host_that_says_nothing() as (url, somebody):
        runner = site.start_apply(DATABASE_URL=f"{url}?{PATIENT}", DRIVER=driver)
        client, _ = somebody()

        with client:
            stopped = interrupted(runner, number)

    assert (stopped.returncode, stopped.stderr) == (code, f"Interrupted. Nothing was changed.\n\n{NEXT}")


@DRIVERS
def test_f21_a_run_that_connects_again_to_a_host_gone_silent_can_be_interrupted(
    site: FaultySite, proxy: Proxy, gate: Gate, driver: str
) -> None:
    site.write("001_a.sql", f"{PATIENTLY}CREATE TABLE a (id int);\n{THROUGH_THE_GATE}")
    runner = site.start_apply(DATABASE_URL=f"{proxy.url(site.database.url)}&{PATIENT}", DRIVER=driver)
    gate.await_somebody()
    proxy.stall()
    before = proxy.served
    proxy.drop()
    until(lambda: proxy.served > before)

    stopped = interrupted(runner, signal.SIGTERM)

    assert stopped.returncode == 143, stopped
    assert stopped.stderr == (
        "project.001_a was interrupted while it waited.\n\n"
        f"  Nothing of this file was kept; 1 migration was applied in this run before it.\n{NEXT}"
    )
    proxy.close()
    until(lambda: free(site))
    assert site.recorded() == []
    gate.open()
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]
