"""How long a statement may wait for a lock."""

from __future__ import annotations

import pytest

from sqlmigrations.sql.patience import Waiting, alone_ms, of, timetable, turning_point
from sqlmigrations.sql.scanner import split

HARMLESS = [
    "INSERT INTO t VALUES (1)",
    "update t set a = 1",
    "DELETE FROM t",
    "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE",
    "COPY t FROM '/tmp/t'",
    "WITH old AS (SELECT 1) UPDATE t SET a = 1",
    "WITH old AS (SELECT (SELECT 1)) INSERT INTO t SELECT * FROM old",
    "ANALYZE t",
    "COMMENT ON TABLE t IS 'x'",
    "GRANT SELECT ON t TO PUBLIC",
    "CREATE STATISTICS s ON a, b FROM t",
    "ALTER TABLE t VALIDATE CONSTRAINT c",
    'ALTER TABLE IF EXISTS ONLY "s"."t" VALIDATE CONSTRAINT c, VALIDATE CONSTRAINT "d"',
    "ALTER TABLE t ALTER COLUMN a SET STATISTICS 500, ALTER b SET STATISTICS -1, VALIDATE CONSTRAINT c",
    "VACUUM t",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
]
FREE = [
    "SET LOCAL search_path = public",
    "SAVEPOINT a",
    "CREATE TYPE m AS ENUM ('a')",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TABLE t (id int PRIMARY KEY)",
    "CREATE TABLE t (id int) PARTITION BY RANGE (id)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE SCHEMA s",
]
HARMFUL = [
    "ALTER TABLE t ADD COLUMN a int",
    "ALTER TABLE t VALIDATE CONSTRAINT c, ADD COLUMN a int",
    "ALTER TABLE t ALTER COLUMN a SET STATISTICS 5, ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE t ADD CONSTRAINT validate CHECK (true)",
    "CREATE INDEX i ON t (a)",
    "DROP TABLE t",
    "TRUNCATE t",
    "LOCK TABLE t IN ACCESS SHARE MODE",
    "CREATE TABLE n (t int REFERENCES t)",
    "CREATE TABLE n PARTITION OF t FOR VALUES IN (1)",
    "CREATE SCHEMA s CREATE TABLE n (t int)",
    "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()",
    "SELECT f()",
    "WITH a AS (SELECT 1) SELECT f()",
    "WITH a AS (DELETE FROM t RETURNING *) SELECT f() FROM a",
    "DO $$ BEGIN END $$",
    "CALL p()",
    "REFRESH MATERIALIZED VIEW v",
    "VACUUM FULL t",
    "REINDEX TABLE t",
    "CLUSTER t",
]
ENDLESS = [
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX INDEX CONCURRENTLY i",
    "REINDEX (VERBOSE, CONCURRENTLY) TABLE t",
    "ALTER TABLE p DETACH PARTITION t CONCURRENTLY",
]
SORTS = {
    Waiting.HARMLESS: HARMLESS,
    Waiting.FREE: FREE,
    Waiting.HARMFUL: HARMFUL,
    Waiting.ENDLESS: ENDLESS,
}


@pytest.mark.parametrize(("waiting", "sql"), [(waiting, sql) for waiting, every in SORTS.items() for sql in every])
@pytest.mark.parametrize("end", ["", " ;"])
def test_what_a_wait_does_to_others(waiting: Waiting, sql: str, end: str) -> None:
    (statement,) = split(sql + end).statements

    assert of(statement) is waiting


@pytest.mark.parametrize(
    ("sql", "turn"),
    [
        ("", 0),
        ("ALTER TABLE t ADD a int", 0),
        ("INSERT INTO t VALUES (1)", 1),
        ("INSERT INTO t VALUES (1); ANALYZE t", 2),
        ("INSERT INTO t VALUES (1); DROP TABLE t; INSERT INTO u VALUES (1)", 1),
        ("CREATE TABLE t (); INSERT INTO t VALUES (1); CREATE INDEX i ON t (a)", 2),
        ("CREATE TYPE m AS ENUM ('a'); CREATE TABLE t (a m); CREATE INDEX i ON t (a)", 0),
        ("CREATE TABLE t (a int)", 0),
    ],
)
def test_a_file_is_patient_until_its_first_lock_that_stops_others(sql: str, turn: int) -> None:
    assert turning_point(split(sql).statements) == turn


def test_the_timeouts_of_a_file() -> None:
    statements = split("UPDATE t SET a = 1; ALTER TABLE t ADD b int; UPDATE t SET b = 1").statements

    by_default = timetable(statements, 1_000, None)
    slow_server = timetable(statements, 60_000, None)
    chosen = timetable(statements, 1_000, 5_000)

    assert [by_default.at(index) for index in range(3)] == [30_000, 2_000, 2_000]
    assert [slow_server.at(index) for index in range(3)] == [61_000, 61_000, 61_000]
    assert [chosen.at(index) for index in range(3)] == [5_000, 5_000, 5_000]


@pytest.mark.parametrize(
    ("sql", "chosen", "timeout"),
    [
        ("VACUUM t", None, 30_000),
        ("VACUUM FULL t", None, 2_000),
        ("VACUUM t", 500, 500),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", None, 0),
        ("CREATE INDEX CONCURRENTLY i ON t (a)", 500, 0),
    ],
)
def test_the_timeout_of_a_statement_outside_a_transaction(sql: str, chosen: int | None, timeout: int) -> None:
    (statement,) = split(sql).statements

    assert alone_ms(statement, 1_000, chosen) == timeout
