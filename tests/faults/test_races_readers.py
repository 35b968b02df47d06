"""Who only reads while files are applied: never waits, never is waited for, and tells what is or was a moment ago."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from sqlmigrations.executor import Executor
from sqlmigrations.types import State
from tests.faults.scene import AT_THE_GATE, GATE, ended, shut_gate
from tests.inprocess import LocalSite
from tests.office import LEDGER, Office, page, words

STATUS = f"{LEDGER}status/"
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
