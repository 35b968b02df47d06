"""A primary and its standby: commits that wait for it, a failover under a run, and readers in the way there."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from project.embedded.server import Server
from tests.faults.own import Elsewhere, Standby, crash, lend_elsewhere, lend_server, lend_standby
from tests.faults.proxy import Cut, proxy_before
from tests.faults.scene import PATIENTLY, THROUGH_THE_GATE, FaultySite, ended, shut_gate, until
from tests.servers import socket_url

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
UNCONFIRMED = "committed on this server, but not confirmed by the standby: a failover now would lose it"


@pytest.fixture
def fresh_database(server: Server) -> Iterator[Elsewhere]:
    with lend_elsewhere(server) as database:
        yield database


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[FaultySite, Standby, Server]]:
    """A site on a primary of its own, with a standby."""
    with lend_server() as primary, lend_standby(primary) as standby:
        site = FaultySite(tmp_path, Elsewhere("postgres", socket_url(primary, "postgres")))
        site.migrations.mkdir()
        yield site, standby, primary
        site.end_processes()


def waits(site: FaultySite) -> list[int]:
    """The server processes of runners that wait at their COMMIT."""
    sql = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep' "
        "AND application_name = 'sqlmigrations'"
    )
    return [pid for (pid,) in site.query(sql)]


def demand(site: FaultySite, standby: str) -> None:
    """COMMITs wait for it from now on; for nobody, where it has no name."""
    site.query(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
    site.query("SELECT pg_reload_conf()")
    until(lambda: site.query("SHOW synchronous_standby_names") == [(standby,)])


@contextmanager
def a_standby_that_does_not_answer(site: FaultySite) -> Iterator[None]:
    """COMMITs wait for it for as long as the block lasts."""
    demand(site, "nosuch")
    try:
        yield
    finally:
        demand(site, "")


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
        until(lambda: waits(site))
        (pid,) = waits(site)
        proxy.hang_up()
        until(lambda: sum(b"pg_xact_status" in asked for asked in proxy.asked) > 1)
        assert runner.poll() is None

        if release == "the commit is killed":
            site.query("SELECT pg_terminate_backend(%s)", pid)
        else:
            demand(site, "")

        applied = ended(runner)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.names() == ["001_a"]
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 1]


def test_f28_a_commit_that_is_not_decided_in_time_is_told_as_unknown(site: FaultySite) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    with proxy_before(site.database.url) as proxy, a_standby_that_does_not_answer(site):
        proxy.cut(Cut.MUTED)
        runner = site.start_apply(DATABASE_URL=proxy.url(site.database.url), FAULT="give_up_soon")
        until(lambda: waits(site))
        proxy.hang_up()

        unknown = ended(runner)
        following = site.apply("--lock-wait", "0")

    assert unknown.returncode == 8, unknown
    assert unknown.stderr.startswith("The connection broke while project.001_a was being committed, ")
    assert (following.returncode, "Another run is applying project.001_a" in following.stderr) == (5, True), following
    until(lambda: site.names() == ["001_a"])
    assert site.apply().returncode == 0
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 1]


@DRIVERS
def test_f28_f21_an_interrupted_commit_that_waits_for_a_standby_is_told_as_done(site: FaultySite, driver: str) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    with a_standby_that_does_not_answer(site):
        runner = site.start_apply(DRIVER=driver)
        until(lambda: waits(site))

        runner.send_signal(signal.SIGTERM)

        stopped = ended(runner)
    assert stopped.returncode == 143, stopped
    assert "Applying project.001_a... OK" in stopped.stdout
    assert f"      {UNCONFIRMED}\n" in stopped.stdout
    assert stopped.stderr.startswith(
        "Interrupted before project.002_b was begun. 1 migration was applied in this run."
    )
    assert site.names() == ["001_a"]


@DRIVERS
def test_f28_a_commit_waits_for_a_synchronous_standby_that_is_away_and_says_so(
    pair: tuple[FaultySite, Standby, Server], driver: str
) -> None:
    site, standby, _ = pair
    assert site.apply().returncode == 0
    demand(site, "standby")
    standby.stop()
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    runner = site.start_apply(DRIVER=driver, **site.writing_down)
    until(lambda: any(told["glimpse"]["phase"] for told in site.told("watched")))
    # Nobody sees it yet.
    seen = (site.names(), site.has("a"))

    standby.start()

    applied = ended(runner)
    phase = next(filter(None, (told["glimpse"]["phase"] for told in site.told("watched"))))
    assert phase == "committed here, waiting for a synchronous standby"
    assert seen == ([], False)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert UNCONFIRMED not in applied.stdout
    # Confirmed: it is there.
    assert standby.database.query("SELECT name FROM schema_migrations WHERE label = 'project'") == [("001_a",)]


@DRIVERS
def test_f28_a_commit_whose_wait_for_the_standby_is_cancelled_is_told_as_not_confirmed(
    site: FaultySite, driver: str
) -> None:
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    with a_standby_that_does_not_answer(site):
        runner = site.start_apply(DRIVER=driver)
        until(lambda: waits(site))

        site.query("SELECT pg_cancel_backend(%s)", *waits(site))

        applied = ended(runner)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert re.search(rf"Applying project\.001_a\.\.\. OK \(.+\)\n      {UNCONFIRMED}\n", applied.stdout)
    assert site.names() == ["001_a"]


@DRIVERS
def test_f29_after_a_failover_the_next_run_goes_on_at_the_new_primary(
    pair: tuple[FaultySite, Standby, Server], driver: str
) -> None:
    site, standby, primary = pair
    promoted = FaultySite(site.folder, standby.database)
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"{PATIENTLY}CREATE TABLE b (id int);\n{THROUGH_THE_GATE}")
    with shut_gate(site.database) as gate, proxy_before(site.database.url) as proxy:
        # The address stays, as that of a cluster does, and leads to the new primary afterwards.
        url = proxy.url(site.database.url)
        runner = site.start_apply("--wait-for-db", "60", DRIVER=driver, DATABASE_URL=url)
        gate.await_somebody()
        until(lambda: promoted.names() == ["001_a"])
        refused = promoted.apply(DRIVER=driver)
        crash(primary)
        standby.promote()
        proxy.lead_to(standby.url)

        stopped = ended(runner)

    left = (promoted.names(), promoted.has("a"), promoted.has("b"))
    applied = promoted.apply(DRIVER=driver)
    assert (refused.returncode, refused.stderr.partition(";")[0]) == (9, "The server is a standby (in recovery)")
    assert stopped.returncode == 10, stopped
    assert "Nothing of this file was kept; 2 migrations were applied in this run before it." in stopped.stderr
    assert "Start again: python manage.py sqlmigrate_apply" in stopped.stderr
    assert left == (["001_a"], True, False)
    assert applied.returncode == 0, applied
    assert "1 applied, 0 skipped" in applied.stdout
    assert (promoted.names(), promoted.has("b")) == (["001_a", "002_b"], True)


@DRIVERS
def test_f29_a_build_that_a_failover_interrupts_is_finished_at_the_new_primary(
    pair: tuple[FaultySite, Standby, Server], driver: str
) -> None:
    site, standby, primary = pair
    promoted = FaultySite(site.folder, standby.database)
    site.query("CREATE TABLE t AS SELECT 1 AS id")
    site.write("001_i.sql", "CREATE INDEX CONCURRENTLY i ON t (id);\n")
    writer = site.database.connect()
    with writer.cursor() as cursor:
        cursor.execute("BEGIN; INSERT INTO t VALUES (2)")
        runner = site.start_apply(DRIVER=driver)
        until(lambda: promoted.has("i"))
        crash(primary)
        stopped = ended(runner)
    standby.promote()
    left = promoted.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")

    resumed = promoted.apply(DRIVER=driver)

    assert stopped.returncode == 9, stopped
    assert "recorded; the next run goes on from there.\n" in stopped.stderr
    assert left == [(False,)]
    assert (resumed.returncode, resumed.stderr) == (0, ""), resumed
    assert "whose remains were removed and which was run again" in resumed.stdout
    assert promoted.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(True,)]
    assert promoted.names() == ["001_i"]


def test_f77_a_long_read_on_a_standby_does_not_hold_up_the_migration(
    pair: tuple[FaultySite, Standby, Server],
) -> None:
    site, standby, _ = pair
    replica = standby.database
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
        # The replica waits for its reader, which sees the table as it was: for max_standby_streaming_delay.
        cursor.execute("SELECT * FROM a")
        assert cursor.fetchall() == [(1,)]
        until(lambda: replica.query("SELECT name FROM schema_migrations WHERE label = 'project'") == [("001_a",)])
        with pytest.raises(psycopg2.Error, match=r"conflict with recovery|closed the connection"):
            cursor.execute("SELECT * FROM a")
    reader.close()
