"""Connections cut around COMMIT, and how often a file makes the runner wait for the server at all."""

from __future__ import annotations

import signal

import pytest

from tests.faults.proxy import Cut, Proxy
from tests.faults.scene import FaultySite, ended, until
from tests.servers import Database

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])


def prepare(site: FaultySite) -> None:
    site.query("CREATE TABLE done (number int)")
    assert site.apply().returncode == 0
    site.write("001_a.sql", "INSERT INTO done VALUES (1);\n")


@DRIVERS
def test_f26_a_commit_that_never_arrived_is_found_undone_and_the_file_tried_again(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    prepare(site)
    proxy.cut(Cut.BEFORE)

    applied = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)

    assert applied.returncode == 0, applied
    assert site.query("SELECT number FROM done") == [(1,)]
    assert (site.names(), site.events("applied")[-1]["detail"]["attempts"]) == (["001_a"], 2)


def test_f26_a_commit_that_never_arrives_is_given_up(site: FaultySite, proxy: Proxy) -> None:
    prepare(site)
    proxy.cut(Cut.BEFORE, Cut.BEFORE)

    failed = site.apply(DATABASE_URL=proxy.url(site.database.url))

    assert failed.returncode == 1, failed
    assert "project.001_a failed and was rolled back." in failed.stderr
    assert site.query("SELECT number FROM done") == []
    assert (site.recorded(), [event["name"] for event in site.events("failed")]) == ([], ["001_a"])
    assert "Nothing of this file was kept after 2 attempts" in failed.stderr
    assert site.apply().returncode == 0
    assert (site.names(), site.query("SELECT number FROM done")) == (["001_a"], [(1,)])


@DRIVERS
def test_f27_a_commit_whose_answer_never_arrived_is_found_done(site: FaultySite, proxy: Proxy, driver: str) -> None:
    prepare(site)
    site.write("002_b.sql", "INSERT INTO done VALUES (2);\n")
    proxy.cut(Cut.AFTER)

    applied = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)

    assert applied.returncode == 0, applied
    assert "2 applied, 0 skipped" in applied.stdout
    assert site.query("SELECT number FROM done ORDER BY number") == [(1,), (2,)]
    assert site.names() == ["001_a", "002_b"]
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 1, 1]


@DRIVERS
def test_f27_a_commit_whose_answer_is_swallowed_is_found_done_when_the_network_gives_up(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    prepare(site)
    proxy.cut(Cut.MUTED)
    runner = site.start_apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)
    until(lambda: site.names() == ["001_a"])

    proxy.hang_up()

    applied = ended(runner)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.query("SELECT number FROM done") == [(1,)]


@DRIVERS
def test_f26_a_commit_that_arrives_later_is_waited_for(site: FaultySite, proxy: Proxy, driver: str) -> None:
    prepare(site)
    proxy.cut(Cut.LATE)
    runner = site.start_apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)
    until(lambda: sum(b"pg_xact_status" in asked for asked in proxy.asked) > 1)

    proxy.delivery.set()

    applied = ended(runner)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.query("SELECT number FROM done") == [(1,)]
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 1]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
@DRIVERS
def test_f27_a_server_that_stays_away_after_the_commit_leaves_the_outcome_unknown(
    site: FaultySite, proxy: Proxy, driver: str, cut: Cut
) -> None:
    prepare(site)
    proxy.cut(cut, for_good=True)

    unknown = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver, FAULT="give_up_soon")

    assert unknown.returncode == 8, unknown
    assert unknown.stdout.endswith("  Applying project.001_a... FAILED\n")
    assert unknown.stderr == (
        "The connection broke while project.001_a was being committed, and the server did not answer again: it is "
        "applied wholly or not at all.\n\n"
        "  Next: When the server is back, look:  python manage.py sqlmigrate_status\n"
    )
    assert site.names() == ([] if cut is Cut.BEFORE else ["001_a"])
    assert site.apply().returncode == 0
    assert site.query("SELECT number FROM done") == [(1,)]


@DRIVERS
def test_f27_f21_who_interrupts_the_question_what_became_of_a_commit_is_not_told_a_guess(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    prepare(site)
    proxy.cut(Cut.AFTER, for_good=True)
    runner = site.start_apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)
    until(lambda: proxy.turned_away > 1)

    runner.send_signal(signal.SIGTERM)

    stopped = ended(runner)
    assert stopped.returncode == 8, stopped
    assert "it is applied wholly or not at all." in stopped.stderr


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_f26_f27_the_tracking_tables_themselves_survive_a_cut(site: FaultySite, proxy: Proxy, cut: Cut) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    proxy.cut(cut)

    applied = site.apply(DATABASE_URL=proxy.url(site.database.url))

    assert applied.returncode == 0, applied
    assert "2 applied, 0 skipped" in applied.stdout
    assert [event["name"] for event in site.events("applied")] == ["000_migration_tracking", "001_a"]


def test_f12_a_deferred_constraint_is_checked_before_the_row_is_completed(site: FaultySite, proxy: Proxy) -> None:
    site.query("CREATE TABLE vendor (id int PRIMARY KEY)")
    site.query("CREATE TABLE invoice (vendor_id int REFERENCES vendor DEFERRABLE INITIALLY DEFERRED)")
    assert site.apply().returncode == 0
    site.write("001_a.sql", "INSERT INTO invoice VALUES (7);\n")

    failed = site.apply(DATABASE_URL=proxy.url(site.database.url))

    assert failed.returncode == 1
    assert "PostgreSQL 23503" in failed.stderr
    assert "checked at its end, and was rolled back" in failed.stderr
    (closing,) = (asked for asked in proxy.asked if asked.endswith(b"COMMIT"))
    assert closing.startswith(b"SET CONSTRAINTS ALL IMMEDIATE;")
    assert b"ROLLBACK" in proxy.asked
    assert site.names() == []


def questions(site: FaultySite, proxy: Proxy, driver: str) -> int:
    """How often a run waited for the server."""
    before = len(proxy.asked)
    assert site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver).returncode == 0
    return len(proxy.asked) - before


@DRIVERS
def test_a_file_of_one_statement_takes_at_most_six_round_trips(site: FaultySite, proxy: Proxy, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    one = questions(site, proxy, driver)
    for number in (3, 4):
        site.write(f"{number:03}_c.sql", f"CREATE TABLE c{number} (id int);\n")

    two = questions(site, proxy, driver)

    assert 0 < two - one <= 6


def next_transaction(database: Database) -> int:
    """Only those that write take a number."""
    ((number,),) = database.query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    return int(number)


def test_a_run_with_nothing_to_do_writes_nothing(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    events = site.query("SELECT count(*) FROM schema_migration_events")

    def took_no_number() -> bool:
        before = next_transaction(site.database)
        assert "All migrations are already applied!" in site.apply().stdout
        return next_transaction(site.database) == before

    until(took_no_number)  # autovacuum, at work in any database of the server, takes some as well
    assert site.query("SELECT count(*) FROM schema_migration_events") == events
