"""Who only reads while files are applied: never waits, never is waited for, and tells what is or was a moment ago."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections, transaction

from sqlmigrations.executor import Executor
from sqlmigrations.types import State
from tests.faults.scene import AT_THE_GATE, GATE, Other, ended, shut_gate
from tests.inprocess import LocalSite
from tests.office import EVENTS, LEDGER, Office, page, words
from tests.office import table as rows_of
from tests.shop import Shop

STATUS = f"{LEDGER}status/"
READING_ONLY = "-c default_transaction_read_only=on"
DATABASE = ("--database", "default")
RESOLVE = ("sqlmigrate_repair", "resolve", "project", "1", "--done", "--reason", "seen", "--noinput")
BY_STATEMENTS = f"-- transaction: off\n{AT_THE_GATE}CREATE TABLE {{table}} (id int);\n"


@contextmanager
def atomic_requests() -> Iterator[None]:
    settings = connections["default"].settings_dict
    before, settings["ATOMIC_REQUESTS"] = settings["ATOMIC_REQUESTS"], True
    try:
        yield
    finally:
        settings["ATOMIC_REQUESTS"] = before


@contextmanager
def options(told: str) -> Iterator[None]:
    """What Django's connection tells the server at its beginning."""
    connection = connections["default"]
    connection.close()
    connection.settings_dict["OPTIONS"]["options"] = told
    try:
        yield
    finally:
        connection.close()
        del connection.settings_dict["OPTIONS"]["options"]


@contextmanager
def before_it_asks_for(word: str, act: Callable[[], object]) -> Iterator[None]:
    """Something happens between two queries of a reader: before the first one that has this word in it."""
    asked = False

    def execute(run: Callable[..., Any], sql: str, *rest: Any) -> Any:
        nonlocal asked
        if word in sql and not asked:
            asked = True
            act()
        return run(sql, *rest)

    with connections["default"].execute_wrapper(execute):
        yield
    assert asked


@pytest.fixture
def half_done(office: Office) -> Office:
    """A file that stopped at its second statement."""
    office.site.write("001_a.sql", "-- transaction: off\nCREATE TABLE a (id int);\nSELECT 1/0;\n")
    office.site.run("sqlmigrate_apply")
    return office


def test_who_cannot_look_at_locks_is_shown_the_status_in_a_transaction_of_django_too(half_done: Office) -> None:
    client = half_done.superuser()
    half_done.site.query("ALTER FUNCTION pg_blocking_pids(int) RENAME TO put_aside")

    with atomic_requests():
        html = page(client.get(STATUS))

    assert "A migration is half done, and waits for a decision." in words(html)


def test_a_table_that_is_not_let_go_of_in_time_costs_the_page_of_a_migration_its_sql_alone(half_done: Office) -> None:
    client = half_done.superuser()
    other = Other(half_done.site.database, "LOCK TABLE schema_migration_texts")

    with atomic_requests(), options("-c lock_timeout=100ms"):
        html = half_done.open(client, "001_a")

    other.leave()
    assert "canceling statement due to lock timeout" in words(html)
    assert [row[1] for row in rows_of(html, "Everything")][-1] == "begun"


def test_a_migration_that_is_forgotten_while_its_page_is_made_is_shown_as_it_was(half_done: Office) -> None:
    client, site = half_done.superuser(), half_done.site
    path = f"{LEDGER}{half_done.id_of('001_a')}/change/"

    with before_it_asks_for("schema_migration_texts", lambda: site.query("DELETE FROM schema_migrations")):
        html = page(client.get(path))

    assert "project.001_a" in words(html)


def test_a_file_that_ends_while_the_status_is_read_is_not_shown_as_left_half_done(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", BY_STATEMENTS.format(table="a"))
    with shut_gate(local_site.database) as gate:
        runner = local_site.start("sqlmigrate_apply")
        gate.await_somebody()

        def finish() -> None:
            gate.open()
            assert ended(runner).returncode == 0

        with local_site.configured(), before_it_asks_for("pg_locks", finish):
            status = Executor().status()

    assert [(entry.name, entry.state) for entry in status.migrations] == [
        ("000_migration_tracking", State.APPLIED),
        ("001_a", State.APPLIED),
    ]
    assert status.findings == ()


def test_a_file_of_which_only_the_record_is_not_complete_is_told_so(local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("001_a.sql", "-- transaction: off\nCREATE TABLE a (id int);\nCREATE TABLE a2 (id int);\n")
    local_site.query(
        f"CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock({GATE}); "
        "RETURN NEW; END$$; CREATE TRIGGER wait BEFORE UPDATE ON schema_migrations FOR EACH ROW "
        "WHEN (NEW.state = 'applied') EXECUTE FUNCTION wait()"
    )
    with shut_gate(local_site.database) as gate:
        runner = local_site.start("sqlmigrate_apply")
        gate.await_somebody()

        seen = local_site.run("sqlmigrate_status")
        refused = local_site.run(
            "sqlmigrate_repair", "resolve", "project", "1", "--done", "--reason", "r", "--noinput"
        )

    assert (
        "Half done, 2 of 2 statements. All that is left is to complete its record, as the next run does."
        in seen.stdout
    )
    assert refused.returncode == 2
    assert "project.001_a is done to its last statement; its record alone is not complete." in refused.stderr
    assert "Next: The next run completes it: python manage.py sqlmigrate_apply" in refused.stderr
    assert ended(runner).returncode == 0


class Visitor:
    """Whoever looks at an office: a client of the admin that entered before."""

    def __init__(self, office: Office) -> None:
        self.site = office.site
        self.client = office.superuser()

    def look(self) -> tuple[list[State], str]:
        """The states of the project's files, and every page that there is about them; all of them can be read."""
        states = self.states()
        for listing in (LEDGER, EVENTS):
            for newest in re.findall(rf'href="({listing}\d+/change/)', page(self.client.get(listing)))[:1]:
                page(self.client.get(newest))
        return states, page(self.client.get(STATUS))

    def states(self) -> list[State]:
        with self.site.configured():
            status = Executor().status()
        assert status.integrity == "valid", status.findings
        return [entry.state for entry in status.migrations if entry.label == "project"]

    def ask(self) -> tuple[int, str]:
        """How ``sqlmigrate_status --check`` ends, and what Django's system check says."""
        return self.site.run("sqlmigrate_status", "--check").returncode, self.site.run("check", *DATABASE).stderr


@pytest.mark.parametrize("way", ["-- transaction: on\n", "-- transaction: off\n"], ids=["together", "by statements"])
def test_who_reads_waits_for_nobody_writes_nothing_and_is_in_nobodys_way(office: Office, way: str) -> None:
    site = office.site
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"{way}{AT_THE_GATE}CREATE TABLE b (id int);\n")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    visitor = Visitor(office)
    with atomic_requests(), options(READING_ONLY), shut_gate(site.database) as gate:
        runner = site.start("sqlmigrate_apply")
        gate.await_somebody()

        states, told = visitor.look()
        code, checked = visitor.ask()
        with transaction.atomic(), site.configured():
            # What it has read so far holds nobody up, however long it goes on reading.
            Executor().status()
            gate.open()
            done = ended(runner)

        states_after, told_after = visitor.look()
        answers = visitor.ask()

    is_half_done = "off" in way
    assert (done.returncode, done.stderr) == (0, "")
    assert states == [State.APPLIED, State.PARTIAL if is_half_done else State.PENDING, State.PENDING]
    assert ("being executed just now, by pid" in words(told)) == is_half_done
    assert "it has told no end, it is at work still or was killed" in told
    assert code == 3
    assert f"SQL migrations that are pending: {1 if is_half_done else 2}." in checked
    assert (states_after, answers) == ([State.APPLIED] * 3, (0, ""))
    assert "All migrations are applied." in words(told_after)


def test_whoever_looks_while_files_are_applied_sees_them_come_one_after_the_other(office: Office) -> None:
    site, visitor, count = office.site, Visitor(office), 40
    site.write("001_t.sql", "CREATE TABLE t (id int);\n")
    for number in range(2, count + 1):
        concurrently = "CONCURRENTLY " if number % 4 == 0 else ""
        first = "" if concurrently else "SELECT pg_sleep(0.03);\n"
        site.write(f"{number:03}_i.sql", f"{first}CREATE INDEX {concurrently}i_{number} ON t (id);\n")
    seen: list[list[State]] = []
    codes = []
    with atomic_requests(), options(READING_ONLY):
        runner = site.start("sqlmigrate_apply")
        while runner.poll() is None:
            seen += [visitor.states() for _ in range(5)]
            seen.append(visitor.look()[0])
            codes.append(visitor.ask()[0])
        done = ended(runner)
        seen.append(visitor.look()[0])

    assert (done.returncode, done.stderr) == (0, "")
    applied = [states.count(State.APPLIED) for states in seen]
    for done_so_far, states in zip(applied, seen, strict=True):
        half_done = states[done_so_far : done_so_far + 1].count(State.PARTIAL)
        pending = count - done_so_far - half_done
        assert states == [State.APPLIED] * done_so_far + [State.PARTIAL] * half_done + [State.PENDING] * pending
    assert applied == sorted(applied)
    assert applied[-1] == count
    assert codes == sorted(codes, reverse=True)
    assert set(codes) <= {3, 0}


def test_a_migrate_that_commits_while_the_status_is_read_has_not_faked_its_file(shop: Shop) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.run("migrate", "sqlmigrations", "--skip-checks", "--verbosity", "0", check=True)
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")

    def migrate() -> None:
        env = {"DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
        assert ended(shop.start("migrate", "shop", "--skip-checks", env=env)).returncode == 0

    with before_it_asks_for("django_migrations", migrate):
        seen = shop.run("sqlmigrate_status", "--check")

    assert (seen.returncode, seen.stderr) == (0, "")
    assert "2 in all, 2 applied, 0 pending; integrity valid." in seen.stdout


@pytest.mark.parametrize("option", ["--plan", "--check"])
def test_what_a_run_makes_while_the_plan_is_read_was_not_made_by_hand(local_site: LocalSite, option: str) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    def apply() -> None:
        assert ended(local_site.start("sqlmigrate_apply")).returncode == 0

    with before_it_asks_for("to_regclass", apply):
        seen = local_site.run("sqlmigrate_apply", option)

    assert (seen.returncode, seen.stderr) == (0, "")
    assert seen.stdout == "Planned SQL migrations:\n  No planned migrations.\n"
