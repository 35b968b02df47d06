"""Servers that crash, fail over, hang or fill up under a run: what is told is true, and the next run goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.embedded.server import Server
from tests.faults.own import Elsewhere, answers, crash, lend_elsewhere, lend_server, start_again
from tests.faults.proxy import Cut, proxy_before
from tests.faults.scene import AT_THE_GATE, PATIENTLY, THROUGH_THE_GATE, FaultySite, ended, shut_gate, until
from tests.servers import socket_url

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])


@pytest.fixture
def fresh_database(server: Server) -> Iterator[Elsewhere]:
    with lend_elsewhere(server) as database:
        yield database


def prepare(site: FaultySite) -> None:
    """One file is applied, the second one waits at the gate."""
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"{PATIENTLY}CREATE TABLE b (id int);\n{THROUGH_THE_GATE}")


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


def test_f24_a_transaction_whose_number_went_with_the_crash_is_known_not_to_have_happened(tmp_path: Path) -> None:
    # What is not committed is not written down meanwhile, its number neither.
    with lend_server("wal_writer_delay=10s", "autovacuum=off") as server, lend_elsewhere(server) as database:
        site = FaultySite(tmp_path, database)
        site.migrations.mkdir()
        assert site.apply().returncode == 0
        site.write("001_a.sql", "CREATE TABLE a (id int);\n")
        with proxy_before(database.url) as proxy:
            proxy.cut(Cut.LATE)
            runner = site.start_apply(DATABASE_URL=proxy.url(database.url))
            until(lambda: any(b"pg_xact_status" in asked for asked in proxy.asked))
            crash(server)
            start_again(server)

            stopped = ended(runner)

        assert stopped.returncode == 10, stopped
        assert "Nothing of this file was kept; no migrations were applied in this run before it." in stopped.stderr
        assert site.apply().returncode == 0
        assert (site.names(), site.has("a")) == (["001_a"], True)


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
