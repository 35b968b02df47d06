"""What the catalog says of objects that real statements made, or were interrupted while making."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from sqlmigrations.backends.base import Queries, Row
from sqlmigrations.backends.catalog import observe
from sqlmigrations.effects import Effect, effect
from sqlmigrations.observation import Observation, Partition
from sqlmigrations.resume import Cause, Judgement, Verdict, confirm, judge
from sqlmigrations.scanner import split
from tests.faults.scene import until
from tests.servers import Database

LOST, CANCELLED, DUPLICATES, TIMED_OUT = Cause(), Cause("57014"), Cause("23505"), Cause("55P03")
READS = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t"
WRITES = "INSERT INTO t VALUES (1001, 'x')"


class Asking:
    """Queries on a plain connection of the test's own."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall()) if cursor.description else []


class Place:
    """A database with a table ``t``, and statements that are interrupted in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.asking = Asking(database.connect())
        self.run("CREATE TABLE t (a int, b text); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) AS g")

    def run(self, sql: str) -> list[Row]:
        return self.asking.query(sql)

    def see(self, sql: str) -> Observation:
        return observe(self.asking, told(sql))

    def fails(self, sql: str) -> Cause:
        with pytest.raises(psycopg2.Error) as caught:
            self.run(sql)
        return Cause(caught.value.pgcode or "")

    def interrupt(self, sql: str, behind: str, how: str = "cancel") -> Cause:
        """Cancels or terminates a statement while it waits for another session's transaction."""
        causes: list[Cause] = []
        with closing(self.database.connect()) as worker, closing(self.database.connect()) as blocker:
            blocker.autocommit = False
            Asking(blocker).query(behind)
            thread = threading.Thread(target=lambda: causes.append(_cause(worker, sql)))
            thread.start()
            pid = worker.info.backend_pid
            until(lambda: self.is_blocked(pid))
            self.run(f"SELECT pg_{how}_backend({pid})")
            thread.join()
        until(lambda: not self.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))
        return causes[0]

    def is_blocked(self, pid: int) -> bool:
        return self.run(f"SELECT pg_blocking_pids({pid}) <> '{{}}'") == [(True,)]

    def judged(self, sql: str, before: Observation, cause: Cause, rebuilt: int = 0) -> Judgement:
        return judge(told(sql), before, self.see(sql), cause, rebuilt)

    def obey(self, judgement: Judgement) -> None:
        for sql in judgement.cleanup:
            self.run(sql)

    def oid(self, name: str) -> int:
        found: int = self.run(f"SELECT '{name}'::regclass::oid::int8")[0][0]
        return found


def _cause(worker: Any, sql: str) -> Cause:
    try:
        Asking(worker).query(sql)
    except psycopg2.Error as error:
        return Cause(error.pgcode or "")
    raise AssertionError("it was not interrupted")


def told(sql: str) -> Effect:
    (statement,) = split(sql).statements
    return effect(statement)


@pytest.fixture
def place(fresh_database: Database) -> Iterator[Place]:
    made = Place(fresh_database)
    yield made
    made.asking.connection.close()


def test_a_build_that_was_cancelled_is_dropped_and_run_again(place: Place) -> None:
    sql = "CREATE INDEX CONCURRENTLY i ON t (a)"
    before = place.see(sql)
    cause = place.interrupt(sql, WRITES)

    judgement = place.judged(sql, before, cause)

    assert cause == CANCELLED
    assert judgement == Judgement(
        Verdict.REBUILD,
        "The index public.i was left invalid because it was cancelled.",
        ("DROP INDEX CONCURRENTLY public.i",),
    )
    place.obey(judgement)
    assert place.see(sql) == before
    place.run(sql)
    assert confirm(told(sql), before, place.see(sql)) is None
