"""Statements that real sessions begin and do not end, and what the catalog says of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.catalog import observe
from sqlmigrations.resume.effects import Effect, effect
from sqlmigrations.resume.judging import Cause, Judgement, Problem, Way, confirm, judge
from sqlmigrations.resume.observation import Observation
from sqlmigrations.sql.scanner import split
from tests.faults.scene import until
from tests.servers import Database

# Transactions that a statement on table t waits for: before its build, at the end of it, and when it drops something.
WRITER = "INSERT INTO t VALUES (1001, 'x')"
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1"
READER = "SELECT 1 FROM t LIMIT 1"

LOST, TIMED_OUT, DUPLICATES = Cause(), Cause("55P03"), Cause("23505")
BUILD = "CREATE INDEX CONCURRENTLY i ON t (a)"
GUARDED = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
DROP_I = "DROP INDEX CONCURRENTLY public.i"
REINDEX_I = "REINDEX INDEX CONCURRENTLY public.i"
WAYS = (
    Way("Drop the index; the next apply builds it anew", (DROP_I,)),
    Way("Make it valid where it stands", (REINDEX_I,)),
)
DETACH = "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"


def told(sql: str) -> Effect:
    (statement,) = split(sql).statements
    return effect(statement)


class Scene:
    """A database in which statements are interrupted; ``connection`` is one of ours, by whichever driver."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.database = database
        self.connection = connection

    def run(self, sql: str) -> list[Any]:
        return self.connection.query(sql)

    def see(self, sql: str) -> Observation:
        return observe(self.connection, told(sql))

    def judged(self, sql: str, before: Observation | None, cause: Cause, rebuilt: int = 0) -> Judgement:
        return judge(told(sql), before, self.see(sql), cause, rebuilt)

    def clean_up(self, judgement: Judgement) -> None:
        for sql in judgement.cleanup:
            self.run(sql)

    def confirmed(self, sql: str, before: Observation) -> Problem | None:
        """Runs the statement, and asks whether it has done what it says."""
        self.run(sql)
        return confirm(told(sql), before, self.see(sql))

    def fails(self, sql: str) -> Cause:
        with closing(self.database.connect()) as session, pytest.raises(psycopg2.Error) as caught:
            _send(session, sql)
        return Cause(caught.value.pgcode or "")

    @contextmanager
    def transaction(self, sql: str) -> Iterator[int]:
        """Another session's transaction, open for the length of the block; its pid."""
        with closing(self.database.connect()) as session:
            _send(session, f"BEGIN; {sql}")
            yield session.info.backend_pid

    @contextmanager
    def begun(self, sql: str) -> Iterator[tuple[int, list[Cause]]]:
        """A session that runs the statement and is waiting for another one; its pid, and how the statement ends."""
        causes: list[Cause] = []
        with closing(self.database.connect()) as session:
            thread = threading.Thread(target=lambda: causes.append(_cause(session, sql)))
            thread.start()
            pid = session.info.backend_pid
            until(lambda: self.blockers(pid))
            yield pid, causes
            thread.join()
        until(lambda: not self.run(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))

    def interrupt(self, sql: str, behind: str, how: str = "cancel") -> Cause:
        """Cancels, or terminates, a statement that waits for somebody's transaction."""
        with self.transaction(behind), self.begun(sql) as (pid, causes):
            self.run(f"SELECT pg_{how}_backend({pid})")
        return causes[0]

    def blockers(self, pid: int) -> list[int]:
        """Whom a process waits for."""
        found: list[int] = self.run(f"SELECT pg_blocking_pids({pid})")[0][0]
        return found

    def oid(self, name: str) -> int:
        found: int = self.run(f"SELECT '{name}'::regclass::oid::int8")[0][0]
        return found

    def indexes(self, table: str = "t") -> list[tuple[str, bool]]:
        """The names of a table's indexes, and whether they are valid."""
        return self.run(
            "SELECT indexrelid::regclass::text, indisvalid FROM pg_index "
            f"WHERE indrelid = '{table}'::regclass ORDER BY indexrelid::regclass::text"
        )


def _send(session: Any, sql: str) -> None:
    with session.cursor() as cursor:
        cursor.execute(sql)


def _cause(session: Any, sql: str) -> Cause:
    try:
        _send(session, sql)
    except psycopg2.Error as error:
        return Cause(error.pgcode or "")
    return Cause("00000")


def partitioned(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "INSERT INTO p VALUES (1, 1), (11, 11)"
    )
