"""Servers that crash, fail over, hang or fill up under a run: what is told is true, and the next run goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from project.embedded.server import Server
from tests.faults.own import Elsewhere, answers, crash, lend_elsewhere, lend_server, lend_standby, start_again
from tests.faults.proxy import Cut, proxy_before
from tests.faults.scene import AT_THE_GATE, FaultySite, ended, shut_gate, until
from tests.servers import socket_url

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with lend_server() as server:
        yield server


@pytest.fixture
def fresh_database(server: Server) -> Iterator[Elsewhere]:
    with lend_elsewhere(server) as database:
        yield database


def prepare(site: FaultySite) -> None:
    """One file is applied, the second one waits at the gate."""
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n" + AT_THE_GATE)


def waits(site: FaultySite, event: str) -> bool:
    return bool(
        site.query(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = %s "
            "AND application_name = 'sqlmigrations'",
            event,
        )
    )


@DRIVERS
def test_f24_a_server_that_is_stopped_at_once_leaves_nothing_of_the_file(
    site: FaultySite, server: Server, driver: str
) -> None:
    prepare(site)
    with shut_gate(site.database) as gate:
        runner = site.start_apply(DRIVER=driver)
        gate.await_somebody()
        crash(server)

        stopped = ended(runner)

    start_again(server)
    assert stopped.returncode == 9, stopped
    assert "The connection was lost while project.002_b was applied, and the server does not answer." in stopped.stderr
    assert stopped.stderr.endswith(
        "\n\n  Nothing of this file was kept; 2 migrations were applied in this run before it.\n"
        "  Next: When the server is back: python manage.py sqlmigrate_apply --wait-for-db 60\n"
    )
    assert (site.recorded(), site.has("b")) == ([("001_a", "applied")], False)
    assert site.apply("--wait-for-db", "60").returncode == 0
    assert site.names() == ["001_a", "002_b"]


@DRIVERS
def test_f24_who_waits_for_the_server_learns_what_became_of_the_file(
    site: FaultySite, server: Server, driver: str
) -> None:
    prepare(site)
    with shut_gate(site.database) as gate:
        runner = site.start_apply("--wait-for-db", "60", DRIVER=driver)
        gate.await_somebody()
        crash(server)
    start_again(server)

    stopped = ended(runner)

    assert stopped.returncode == 10, stopped
    assert stopped.stderr == (
        "The connection that held the migration lock is gone; the run stopped before the next statement of "
        "project.002_b.\n\n"
        "  Nothing of this file was kept; 2 migrations were applied in this run before it.\n"
        "  Next: Start again: python manage.py sqlmigrate_apply\n"
    )
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b"]


@DRIVERS
def test_f25_a_backend_that_is_killed_takes_all_connections_with_it(
    site: FaultySite, server: Server, driver: str
) -> None:
    prepare(site)
    with shut_gate(site.database) as gate:
        runner = site.start_apply("--wait-for-db", "60", DRIVER=driver)
        os.kill(gate.await_somebody(), signal.SIGKILL)

        stopped = ended(runner)

    until(lambda: answers(site.database.url))
    assert stopped.returncode == 10, stopped
    assert "Nothing of this file was kept; 2 migrations were applied in this run before it." in stopped.stderr
    assert (site.recorded(), site.has("b")) == ([("001_a", "applied")], False)
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b"]


@contextmanager
def a_standby_that_does_not_answer(site: FaultySite) -> Iterator[None]:
    """COMMITs wait for it for as long as the block lasts."""
    site.query("ALTER SYSTEM SET synchronous_standby_names = 'nosuch'")
    site.query("SELECT pg_reload_conf()")
    until(lambda: site.query("SHOW synchronous_standby_names") == [("nosuch",)])
    try:
        yield
    finally:
        the_standby_is_given_up(site)


def the_standby_is_given_up(site: FaultySite) -> None:
    site.query("ALTER SYSTEM RESET synchronous_standby_names")
    site.query("SELECT pg_reload_conf()")


@pytest.mark.parametrize("release", ["the standby is given up", "the commit is killed"])
@DRIVERS
def test_f28_a_commit_that_waits_for_a_standby_is_in_progress_until_it_is_decided(
    site: FaultySite, driver: str, release: str
) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    with proxy_before(site.database.url) as proxy, a_standby_that_does_not_answer(site):
        proxy.cut(Cut.MUTED)
        runner = site.start_apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)
        until(lambda: waits(site, "SyncRep"))
        ((pid,),) = site.query("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        proxy.hang_up()
        until(lambda: sum(b"pg_xact_status" in asked for asked in proxy.asked) > 1)
        assert runner.poll() is None

        if release == "the commit is killed":
            site.query("SELECT pg_terminate_backend(%s)", pid)
        else:
            the_standby_is_given_up(site)

        applied = ended(runner)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.names() == ["001_a"]
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 1]


@DRIVERS
def test_f28_f21_an_interrupted_commit_that_waits_for_a_standby_is_told_as_done(site: FaultySite, driver: str) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    with a_standby_that_does_not_answer(site):
        runner = site.start_apply(DRIVER=driver)
        until(lambda: waits(site, "SyncRep"))

        runner.send_signal(signal.SIGTERM)

        stopped = ended(runner)
    assert stopped.returncode == 143, stopped
    assert "Applying project.001_a... OK" in stopped.stdout
    assert stopped.stderr.startswith(
        "Interrupted before project.002_b was begun. 1 migration was applied in this run."
    )
    assert site.names() == ["001_a"]


@DRIVERS
def test_f29_after_a_failover_the_next_run_goes_on_at_the_new_primary(driver: str, tmp_path: Path) -> None:
    with lend_server() as primary, lend_standby(primary) as standby_url:
        site = FaultySite(tmp_path, Elsewhere("postgres", socket_url(primary, "postgres")))
        site.migrations.mkdir()
        promoted = FaultySite(tmp_path, Elsewhere("postgres", standby_url))
        prepare(site)
        with shut_gate(site.database) as gate:
            runner = site.start_apply(DRIVER=driver)
            gate.await_somebody()
            until(lambda: promoted.names() == ["001_a"])
            crash(primary)
            stopped = ended(runner)
        promoted.query("SELECT pg_promote()")

        applied = promoted.apply(DRIVER=driver)

        assert stopped.returncode == 9, stopped
        assert "Nothing of this file was kept; 2 migrations were applied in this run before it." in stopped.stderr
        assert applied.returncode == 0, applied
        assert "1 applied, 0 skipped" in applied.stdout
        assert promoted.names() == ["001_a", "002_b"]
        assert promoted.has("a")
        assert promoted.has("b")


@pytest.fixture
def small_disk(server: Server) -> Iterator[Path]:
    """A file system of a few megabytes that the server may write to."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0755", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if mounted.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        owner = (server.folder / "data").stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        folder.chmod(0o700)
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@DRIVERS
def test_f45_a_full_disk_rolls_the_file_back(site: FaultySite, small_disk: Path, driver: str) -> None:
    site.query(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write(
        "002_b.sql",
        "CREATE TABLE b (words text) TABLESPACE small;\n"
        "INSERT INTO b SELECT repeat(md5(i::text), 50) FROM generate_series(1, 50000) AS i;\n",
    )

    failed = site.apply(DRIVER=driver)

    assert failed.returncode == 1, failed
    assert "migrations_sql/002_b.sql:2:1" in failed.stderr
    assert "PostgreSQL 53100: could not " in failed.stderr
    assert ": No space left on device" in failed.stderr
    assert (
        "Next: The disk of the server is full. Free space. Then run  python manage.py sqlmigrate_apply"
        in failed.stderr
    )
    assert (site.recorded(), site.has("b")) == ([("001_a", "applied")], False)
    site.write("002_b.sql", "CREATE TABLE b (words text);\n")
    assert site.apply().returncode == 0
    site.query("DROP TABLESPACE small")


def test_f77_a_long_read_on_a_standby_does_not_hold_up_the_migration(tmp_path: Path) -> None:
    with lend_server() as primary, lend_standby(primary) as standby_url:
        site = FaultySite(tmp_path, Elsewhere("postgres", socket_url(primary, "postgres")))
        site.migrations.mkdir()
        replica = Elsewhere("postgres", standby_url)
        site.query("CREATE TABLE a AS SELECT 1 AS id")
        assert site.apply().returncode == 0
        until(lambda: replica.query("SELECT to_regclass('schema_migrations') IS NOT NULL") == [(True,)])
        reader = replica.connect()
        with reader.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM a")
            site.write("001_a.sql", "ALTER TABLE a ADD COLUMN b int;\n")

            applied = site.apply()

            assert (applied.returncode, applied.stderr) == (0, "")
            assert site.names() == ["001_a"]
            # The replica waits for its reader, which sees the table as it was.
            cursor.execute("SELECT * FROM a")
            assert cursor.fetchall() == [(1,)]
        reader.close()
        until(lambda: replica.query("SELECT name FROM schema_migrations WHERE label = 'project'") == [("001_a",)])


def test_f74_two_servers_have_states_and_locks_of_their_own(site: FaultySite, tmp_path: Path) -> None:
    with lend_server() as second:
        other = Elsewhere("postgres", socket_url(second, "postgres"))
        pair = {"DJANGO_SETTINGS_MODULE": "tests.two_databases", "REPORTING_URL": other.url}
        site.write("001_a.sql", AT_THE_GATE)
        with shut_gate(site.database) as gate:
            here = site.start_apply(**pair)
            gate.await_somebody()

            there = site.run("sqlmigrate_apply", "--database", "reporting", "--lock-wait", "0", env=pair)

            assert (there.returncode, there.stderr) == (0, "")
            assert site.recorded() == []
            assert other.query("SELECT name FROM schema_migrations WHERE label = 'project'") == [("001_a",)]
        assert ended(here).returncode == 0
        assert site.names() == ["001_a"]
