"""A run and Django's migrate that are in each other's way: both come to an end, and what is recorded is true."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.faults.scene import GATE, FaultySite, Gate, Other, database_json, ended, until
from tests.shop import make_app, write_migration

OF_DJANGO = "-- runs-in: django:shop.0001_x\nCREATE TABLE b (id int);\n"
BINDING = database_json(OPTIONS={"server_side_binding": True})


@pytest.fixture
def table(site: FaultySite) -> FaultySite:
    """With a table ``t``, and an app of Django's."""
    make_app(site.folder)
    site.write("001_t.sql", "CREATE TABLE t (id int);\n")
    assert site.apply().returncode == 0
    return site


def start_migrate(site: FaultySite, **env: str) -> subprocess.Popen[str]:
    site.started.append(site.start("migrate", "shop", "--skip-checks", env=env))
    return site.started[-1]


def others(site: FaultySite) -> dict[str, str]:
    """Files of another label, which waits for none of the project's."""
    folder = site.folder / "other_sql"
    return {"SQLMIGRATIONS_JSON": json.dumps({"DIRS": {"project": str(site.migrations), "other": str(folder)}})}


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_f03_a_migrate_that_waits_for_the_lock_does_not_hold_up_a_build(table: FaultySite, driver: str) -> None:
    table.write("002_b.sql", OF_DJANGO)
    table.write("../other_sql/001_i.sql", "CREATE INDEX CONCURRENTLY i ON t (id);\n")
    write_migration(table.folder, "0001_x", "migrations.RunSQL('CREATE TABLE first ()'), ApplySQL('project', '002_b')")
    env = others(table) | {"DRIVER": driver} | ({"DATABASE_JSON": BINDING} if driver == "psycopg" else {})
    writer = Other(table.database, "INSERT INTO t VALUES (1)")
    building = table.start_apply(**env)
    until(lambda: table.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", writer.pid))

    migrating = start_migrate(table, **env)
    assert migrating.stderr is not None
    told = next(line for line in migrating.stderr if "held by" in line)
    writer.leave()

    built, migrated = ended(building), ended(migrating)
    assert 'application "sqlmigrations lock"' in told
    assert (built.returncode, built.stderr, migrated.returncode) == (0, "", 0), (built, migrated)
    assert table.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(True,)]
    assert table.names() == ["001_t", "002_b"]


def test_a_run_and_a_migrate_that_wait_for_each_other_both_come_to_an_end(table: FaultySite, gate: Gate) -> None:
    table.write("002_b.sql", OF_DJANGO)
    table.write("../other_sql/001_x.sql", "-- lock-timeout: 2s\nALTER TABLE t ADD COLUMN x int;\n")
    write_migration(
        table.folder,
        "0001_x",
        f"migrations.RunSQL('LOCK TABLE t'), migrations.RunSQL('SELECT pg_advisory_xact_lock({GATE})'), "
        "ApplySQL('project', '002_b')",
    )
    env = others(table)
    env["SQLMIGRATIONS_JSON"] = json.dumps(json.loads(env["SQLMIGRATIONS_JSON"]) | {"LOCK_ATTEMPTS": 2})
    migrating = start_migrate(table, **env)
    holder = gate.await_somebody()
    running = table.start_apply(**env)
    until(lambda: table.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", holder))

    gate.open()
    run, migrated = ended(running), ended(migrating)

    assert run.returncode == 1, run
    assert f"Blocked by pid {holder} " in run.stderr
    assert (migrated.returncode, table.names()) == (0, ["001_t", "002_b"]), migrated
    assert table.apply(**env).returncode == 0
    assert table.query("SELECT x FROM t") == []
