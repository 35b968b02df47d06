"""What one look at another session shows."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
import pytest

from project.embedded.cluster import wait_until
from sqlmigrations.backends.observer import Observer, Sight, outline
from tests.inprocess import pointed_at
from tests.servers import Database

SLOWLY = "SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1;"
SLOW = "LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN $1; END $$"


@pytest.fixture
def database(fresh_database: Database, django_db_blocker: Any) -> Iterator[Database]:
    fresh_database.query(
        "CREATE TABLE invoice (id int, filler text); ALTER TABLE invoice ALTER filler SET STORAGE PLAIN"
    )
    fresh_database.query("INSERT INTO invoice SELECT n, repeat('x', 4000) FROM generate_series(1, 300) n")
    with django_db_blocker.unblock(), pointed_at(fresh_database):
        yield fresh_database


@contextmanager
def running(database: Database, sql: str) -> Iterator[int]:
    """The server process of a session in which this runs meanwhile."""
    connection = database.connect()
    thread = threading.Thread(target=_run, args=(connection, sql))
    thread.start()
    try:
        yield connection.info.backend_pid
    finally:
        connection.cancel()
        thread.join()
        connection.close()


def _run(connection: Any, sql: str) -> None:
    *settings, last = sql.split(";")
    with connection.cursor() as cursor, suppress(psycopg2.extensions.QueryCanceledError):
        for statement in (*settings, last):
            cursor.execute(statement)


@pytest.mark.parametrize(
    ("sql", "phase", "has_share"),
    [
        (f"{SLOWLY} VACUUM invoice", "scanning heap", True),
        (f"{SLOWLY} ANALYZE invoice", "acquiring sample rows", True),
        ("CREATE INDEX i ON invoice (slow(id))", "building index: scanning table", True),
        ("COPY (SELECT pg_sleep(0.02) FROM generate_series(1, 500)) TO '/dev/null'", r"copying, \d+ rows", False),
    ],
)
def test_how_far_a_statement_is(database: Database, sql: str, phase: str, has_share: bool) -> None:
    database.query(f"CREATE FUNCTION slow(int) RETURNS int {SLOW}")
    seen: list[Sight] = []

    def looks() -> bool:
        seen.append(observer.look(pid, ()) or Sight())
        return re.fullmatch(phase, seen[-1].phase) is not None and (seen[-1].percent is not None) is has_share

    with closing(Observer("default")) as observer, running(database, sql) as pid:
        assert wait_until(looks, 30), seen

    assert all(0 <= sight.percent <= 100 for sight in seen if sight.percent is not None)


def test_a_session_that_works_alone_shows_nothing(database: Database) -> None:
    with closing(Observer("default")) as observer, running(database, "SELECT pg_sleep(60)") as pid:
        assert observer.look(pid, ()) == Sight()


def test_a_process_that_is_gone_shows_nothing(database: Database) -> None:
    with closing(Observer("default")) as observer:
        assert observer.look(0, ()) == Sight()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT\n\t1 ,  2;", "SELECT 1 , 2;"),
        ("/* don't */ SELECT 'secret'", "SELECT '...'"),
        ("SELECT E'a\\'b' || $x$secret$x$", "SELECT '...' || '...'"),
        ("UPDATE t SET a = 'left open by the ser", "UPDATE t SET a = ..."),
        ("SELECT hunter22 FROM t", "SELECT ******** FROM t"),
        ("SELECT \x1b[31mred", "SELECT  [31mred"),
        ("", ""),
        ("SELECT " + "a, " * 60 + "b", "SELECT " + "a, " * 30 + "..."),
    ],
)
def test_statements_of_others_are_shown_in_one_line_without_their_values(query: str, shown: str) -> None:
    assert outline(query, {"hunter22"}) == shown
