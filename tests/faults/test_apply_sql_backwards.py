"""Ways back outside of a transaction, when their runner is killed, interrupted or loses its connection."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import closing

import pytest

from tests.faults.scene import FaultySite, ended, until
from tests.shop import make_app, write_migration

# What DROP INDEX CONCURRENTLY waits for, with the index marked invalid already.
READER = "BEGIN; SELECT count(*) FROM a"
WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'DROP INDEX%' "
    "AND wait_event_type = 'Lock'"
)


@pytest.fixture
def shop(site: FaultySite) -> FaultySite:
    """With an app of Django's whose second migration has applied ``001_a``."""
    make_app(site.folder)
    write_migration(site.folder, "0001_x", "migrations.RunSQL('CREATE TABLE a (n int, m int)', 'DROP TABLE a')")
    write_migration(site.folder, "0002_x", "ApplySQL('project', '001_a')", atomic=False)
    site.write(
        "001_a.sql",
        "-- runs-in: django:shop.0002_x\n"
        "CREATE INDEX CONCURRENTLY a_n ON a (n);\nCREATE INDEX CONCURRENTLY a_m ON a (m);\n",
    )
    site.write("001_a.down.sql", "DROP INDEX CONCURRENTLY a_m;\nDROP INDEX CONCURRENTLY a_n;\n")
    assert migrate(site).returncode == 0
    return site


def start(site: FaultySite, *target: str, **env: str) -> subprocess.Popen[str]:
    site.started.append(site.start("migrate", "shop", *target, "--skip-checks", env=env))
    return site.started[-1]


def migrate(site: FaultySite, *target: str, **env: str) -> subprocess.CompletedProcess[str]:
    return ended(start(site, *target, **env))


def django(site: FaultySite) -> list[str]:
    return [name for (name,) in site.query("SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id")]


def test_a_check_while_it_runs_says_pending_and_a_killed_runner_leaves_it_half_undone_and_what_it_began_is_waited_for(
    shop: FaultySite,
) -> None:
    with closing(shop.database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(READER)
        running = start(shop, "0001")
        until(lambda: shop.query(WAITING))
        at_it = shop.run("sqlmigrate_status", "--check")

        running.kill()
        running.wait()

        status = shop.run("sqlmigrate_status", "--check")
        applied = shop.apply()
        again = migrate(shop, "0001", SQLMIGRATIONS_JSON=json.dumps({"LOCK_WAIT": "100ms"}))
        assert (at_it.returncode, "; integrity valid.\n" in at_it.stdout) == (3, True), at_it
        assert "Next: Go on with it" not in at_it.stdout
        assert "A statement of it is being executed just now, by pid " in at_it.stdout
        assert (status.returncode, applied.returncode, again.returncode) == (7, 7, 5), (status, applied, again)
        assert "Half undone: 0 of 2 statements of its way back are done.\n" in status.stdout
        assert "Next: Go on with it: python manage.py migrate shop 0001_x\n" in status.stdout
        assert "A statement of it is being executed just now, by pid " in status.stdout
        assert "Next: Go on with it: python manage.py migrate shop 0001_x\n" in applied.stderr
        assert (shop.recorded(), django(shop)) == ([("001_a", "partial")], ["0001_x", "0002_x"])

    until(lambda: not shop.has("a_m"))
    done = migrate(shop, "0001")

    assert (done.returncode, shop.has("a_n"), shop.recorded(), django(shop)) == (0, False, [], ["0001_x"]), done
    # The first was found to be done: it did not stand being run twice.
    assert [event["detail"].get("found") for event in shop.events("statement_finished")[-2:]] == [True, None]


def test_an_index_that_was_left_invalid_is_dropped_when_it_is_begun_again(shop: FaultySite) -> None:
    with closing(shop.database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(READER)
        running = start(shop, "0001")
        until(lambda: shop.query(WAITING))
        running.kill()
        running.wait()
        shop.query(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS w")
        until(lambda: not shop.query(WAITING))
    assert shop.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_m'::regclass") == [(False,)]

    done = migrate(shop, "0001")

    assert (done.returncode, shop.has("a_m"), shop.recorded(), django(shop)) == (0, False, [], ["0001_x"]), done


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_interrupts_it_is_told_what_is_left(shop: FaultySite, number: int, code: int) -> None:
    with closing(shop.database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(READER)
        running = start(shop, "0001")
        until(lambda: shop.query(WAITING))

        running.send_signal(number)
        stopped = ended(running)

    assert stopped.returncode == code, stopped
    assert stopped.stderr == (
        "CommandError: Undoing project.001_a was interrupted at migrations_sql/001_a.down.sql:1:1.\n\n"
        "  The index public.a_m is still there, marked invalid.\n"
        "  Next: python manage.py migrate shop 0001_x   which goes on at statement 1.\n"
    )
    assert (shop.recorded(), django(shop)) == ([("001_a", "partial")], ["0001_x", "0002_x"])
    assert migrate(shop, "0001").returncode == 0
    assert (shop.has("a_m"), shop.has("a_n"), shop.recorded()) == (False, False, [])


def test_f05_a_way_back_that_loses_its_lock_stops_before_its_next_statement_and_goes_on(shop: FaultySite) -> None:
    with closing(shop.database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(READER)
        running = start(shop, "0001")
        until(lambda: shop.query(WAITING))
        shop.terminate("sqlmigrations lock")
    stopped = ended(running)

    assert stopped.returncode == 10, stopped
    assert stopped.stderr == (
        "CommandError: The connection that held the migration lock is gone; the run stopped before the next statement "
        "of project.001_a.\n\n"
        "  What was done of it before is recorded; the next run goes on from there.\n"
        "  Next: Start again: python manage.py migrate shop 0001_x\n"
    )
    assert (shop.has("a_m"), shop.has("a_n"), django(shop)) == (False, True, ["0001_x", "0002_x"])
    assert migrate(shop, "0001").returncode == 0
    assert (shop.has("a_n"), shop.recorded(), django(shop)) == (False, [], ["0001_x"])


def test_a_connection_that_is_lost_leaves_it_half_undone(shop: FaultySite) -> None:
    with closing(shop.database.connect()) as reader, reader.cursor() as cursor:
        cursor.execute(READER)
        running = start(shop, "0001")
        until(lambda: shop.query(WAITING))

        shop.query(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS w")
        stopped = ended(running)

    assert stopped.returncode == 7, stopped
    assert stopped.stderr.startswith("CommandError: Undoing project.001_a stopped at statement 1 of 2, in line 1.\n")
    assert "python manage.py migrate shop 0001_x" in stopped.stderr
    assert (shop.recorded(), django(shop)) == ([("001_a", "partial")], ["0001_x", "0002_x"])
    assert migrate(shop, "0001").returncode == 0
    assert (shop.has("a_m"), shop.recorded()) == (False, [])


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("die_before_a_statement_that_is_journalled", [None, None]),
        ("die_before_a_done_statement_is_journalled", [True, None]),
    ],
)
def test_a_runner_that_dies_beside_a_statement_is_followed_by_one_that_looks(
    shop: FaultySite, fault: str, found: list[object]
) -> None:
    died = migrate(shop, "0001", FAULT=fault)
    assert (died.returncode, shop.recorded()) == (-signal.SIGKILL, [("001_a", "partial")]), died

    done = migrate(shop, "0001")

    assert (done.returncode, shop.has("a_m"), shop.has("a_n"), shop.recorded()) == (0, False, False, []), done
    assert [event["detail"].get("found") for event in shop.events("statement_finished")[-2:]] == found
