"""A statement that takes long is watched from another connection: who blocks it, how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.own import lend_site
from tests.faults.scene import FaultySite, Other, Role, ended, until

BOTH_DRIVERS = pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
CHANGE = "ALTER TABLE invoice ADD COLUMN total int;\n"
WAITING_LONG = f"-- lock-timeout: 60s\n{CHANGE}"
HELD = "LOCK TABLE invoice IN ACCESS SHARE MODE"


@pytest.fixture
def preparing_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySite]:
    """On a server of its own, which takes PREPARE TRANSACTION."""
    with lend_site(tmp_path, monkeypatch, "max_prepared_transactions=2") as made:
        yield made


def blockers(site: FaultySite) -> list[dict[str, Any]]:
    """Those of the newest glimpse that has any."""
    seen = [told["glimpse"]["blockers"] for told in site.told("watched") if told["glimpse"]["blockers"]]
    return seen[-1] if seen else []


@BOTH_DRIVERS
def test_who_blocks_a_statement_is_told_while_it_waits(site: FaultySite, driver: str) -> None:
    site.query("CREATE SCHEMA sales; CREATE TABLE sales.invoice (id int)")
    statement = "SELECT 'ada@example.org' AS owner -- whose\nFROM   sales.invoice WHERE id = 1"
    blocker = Other(site.database, "LOCK TABLE sales.invoice IN ACCESS SHARE MODE", statement)
    site.write("001_a.sql", "-- lock-timeout: 60s\nSELECT 1;\nALTER TABLE sales.invoice ADD COLUMN total int;\n")

    run = site.start_apply(DRIVER=driver, **site.writing_down)

    until(lambda: blockers(site))
    glimpse = site.told("watched")[-1]["glimpse"]
    (found,) = glimpse["blockers"]
    blocker.leave()
    assert ended(run).returncode == 0
    assert (glimpse["migration"], glimpse["number"], glimpse["total"], glimpse["line"]) == ("project.001_a", 2, 2, 3)
    assert 0.5 < found.pop("age_s") < 60
    assert 0.5 < glimpse["elapsed_s"] < 60
    assert found == {
        "pid": blocker.pid,
        "user": "postgres",
        "application": "web",
        "state": "idle in transaction",
        "relation": "sales.invoice",
        "query": "SELECT '...' AS owner FROM sales.invoice WHERE id = 1",
    }


def test_who_holds_a_row_is_told_with_its_table(site: FaultySite) -> None:
    site.query("CREATE TABLE invoice (id int); INSERT INTO invoice VALUES (1)")
    blocker = Other(site.database, "UPDATE invoice SET id = 2")
    site.write("001_a.sql", "-- lock-timeout: 60s\nUPDATE invoice SET id = 3;\n")

    run = site.start_apply(**site.writing_down)

    until(lambda: blockers(site))
    blocker.leave()
    assert ended(run).returncode == 0
    assert [(found["application"], found["relation"]) for found in blockers(site)] == [("web", "invoice")]


def test_a_prepared_transaction_that_was_forgotten_is_told(preparing_site: FaultySite) -> None:
    site = preparing_site
    site.query("CREATE TABLE invoice (id int)")
    other = Other(site.database, HELD, "PREPARE TRANSACTION 'forgotten'")
    other.leave()
    site.write("001_a.sql", CHANGE)

    failed = site.apply(SQLMIGRATIONS_JSON='{"LOCK_ATTEMPTS": 1}')

    assert failed.returncode == 1
    assert 'Blocked by a prepared transaction (user "postgres", ' in failed.stderr
    assert "), holds invoice\n" in failed.stderr
    assert "Next: End it: ROLLBACK PREPARED 'forgotten'" in failed.stderr
    site.query("ROLLBACK PREPARED 'forgotten'")


def test_a_role_that_may_not_see_others_learns_who_they_are_and_no_more(site: FaultySite, role: Role) -> None:
    site.query(f"CREATE TABLE invoice (id int); ALTER TABLE invoice OWNER TO {role.name}")
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    blocker = Other(site.database, HELD)
    site.write("001_a.sql", WAITING_LONG)

    run = site.start_apply(DATABASE_URL=role.url, **site.writing_down)

    until(lambda: blockers(site))
    blocker.leave()
    assert ended(run).returncode == 0
    (found,) = blockers(site)
    assert found == {
        "pid": blocker.pid,
        "user": "postgres",
        "application": "web",
        "state": "",
        "age_s": None,
        "relation": "invoice",
        "query": None,
    }


def test_an_observer_that_is_not_let_in_fails_no_run(site: FaultySite, role: Role) -> None:
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    site.query(f"ALTER ROLE {role.name} CONNECTION LIMIT 2")
    site.write("001_a.sql", "SELECT pg_sleep(1.5);\nCREATE TABLE a ();\n")

    run = site.apply(DATABASE_URL=role.url, **site.writing_down)

    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert site.names() == ["001_a"]
    assert [told["glimpse"]["blockers"] for told in site.told("watched")] == [[]]


def test_an_observer_that_is_ended_fails_no_run_and_is_replaced(site: FaultySite) -> None:
    site.query("CREATE TABLE invoice (id int)")
    blocker = Other(site.database, HELD)
    site.write("001_a.sql", WAITING_LONG)
    run = site.start_apply(**site.writing_down)
    until(lambda: blockers(site))

    site.terminate("sqlmigrations observer")

    until(lambda: site.sessions("sqlmigrations observer"))
    blocker.leave()
    assert ended(run).returncode == 0
    assert site.names() == ["001_a"]


def test_nobody_connects_to_watch_while_statements_are_short(site: FaultySite) -> None:
    site.write("001_a.sql", "SELECT 1;\n" * 200)
    site.write("002_b.sql", "CREATE TABLE seen AS SELECT application_name FROM pg_stat_activity;\n")

    run = site.apply(**site.writing_down)

    assert run.returncode == 0
    names = {name for (name,) in site.query("SELECT application_name FROM seen")}
    assert "sqlmigrations" in names
    assert "sqlmigrations observer" not in names


def test_many_short_statements_are_told_as_well(site: FaultySite) -> None:
    site.write("001_a.sql", "SELECT pg_sleep(0.02);\n" * 70)

    assert site.apply(**site.writing_down).returncode == 0

    numbers = [told["glimpse"]["number"] for told in site.told("watched")]
    assert numbers
    assert 10 < numbers[0] <= 70


@BOTH_DRIVERS
def test_the_phase_and_share_of_an_index_build_are_told(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE invoice (id int, filler text); ALTER TABLE invoice ALTER filler SET STORAGE PLAIN")
    site.query("INSERT INTO invoice SELECT n, repeat('x', 4000) FROM generate_series(1, 300) n")
    body = "$$ BEGIN PERFORM pg_sleep(0.01); RETURN $1; END $$"
    site.query(f"CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS {body}")
    site.write("001_a.sql", "CREATE INDEX invoice_slow ON invoice (slow(id));\n")

    assert site.apply(DRIVER=driver, **site.writing_down).returncode == 0

    glimpses = [told["glimpse"] for told in site.told("watched")]
    shares = [glimpse["percent"] for glimpse in glimpses if glimpse["phase"] == "building index: scanning table"]
    assert shares
    assert all(0 <= share <= 100 for share in shares)
    assert shares == sorted(shares)


def test_what_a_file_locks_in_the_catalog_does_not_stop_the_run(site: FaultySite) -> None:
    site.write("001_a.sql", "LOCK TABLE pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE;\nSELECT pg_sleep(2);\n")

    assert site.apply(**site.writing_down).returncode == 0

    assert site.names() == ["001_a"]
