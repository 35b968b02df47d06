"""What a statement does, statement by statement."""

from __future__ import annotations

import pytest

from sqlmigrations.sql.scanner import Statement, split
from sqlmigrations.sql.statements import (
    Control,
    begin_options,
    control,
    is_neutral,
    refuses_transaction,
    sets,
    touches_session,
)


def statement(text: str) -> Statement:
    (found,) = split(text).statements
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BEGIN", Control.BEGIN),
        ("begin work;", Control.BEGIN),
        ("START TRANSACTION READ ONLY", Control.BEGIN),
        ("COMMIT AND CHAIN", Control.COMMIT),
        ("END;", Control.COMMIT),
        ("END TRANSACTION", Control.COMMIT),
        ("ROLLBACK", Control.ROLLBACK),
        ("ABORT WORK AND NO CHAIN", Control.ROLLBACK),
        ("SAVEPOINT a", Control.SAVEPOINT),
        ("RELEASE a", Control.SAVEPOINT),
        ("ROLLBACK TO a", Control.SAVEPOINT),
        ("ROLLBACK /* x */ WORK TO SAVEPOINT a", Control.SAVEPOINT),
        ("PREPARE TRANSACTION 'x'", Control.PREPARE),
        ("COMMIT PREPARED 'x'", Control.PREPARE),
        ("ROLLBACK PREPARED 'x'", Control.PREPARE),
        ("PREPARE transaction AS SELECT 1", None),
        ("PREPARE transaction (int) AS SELECT $1", None),
        ("SET TRANSACTION READ ONLY", None),
        ("SELECT 'BEGIN'", None),
        ("DO $$ BEGIN END $$", None),
    ],
)
def test_transaction_control_is_told_by_what_it_does(text: str, expected: Control | None) -> None:
    assert control(statement(text)) is expected


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("BEGIN", ""),
        ("BEGIN TRANSACTION;", ""),
        ("begin isolation level serializable, deferrable", "ISOLATION LEVEL SERIALIZABLE, DEFERRABLE"),
        (
            "START TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY NOT /* x */ DEFERRABLE;",
            "ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE",
        ),
        (
            "BEGIN WORK read write, ISOLATION LEVEL repeatable read",
            "READ WRITE, ISOLATION LEVEL REPEATABLE READ",
        ),
        ("BEGIN ISOLATION LEVEL READ UNCOMMITTED", "ISOLATION LEVEL READ UNCOMMITTED"),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
    ],
)
def test_the_modes_of_a_begin_come_out_in_one_spelling(text: str, options: str) -> None:
    assert begin_options(statement(text)) == options


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "create unique index concurrently if not exists i on t (a);",
        "DROP INDEX CONCURRENTLY IF EXISTS i",
        "REINDEX TABLE CONCURRENTLY t",
        "REINDEX (VERBOSE) INDEX CONCURRENTLY i",
        "REINDEX (VERBOSE, CONCURRENTLY) TABLE t",
        "REINDEX (CONCURRENTLY TRUE) TABLE t",
        "REINDEX SCHEMA s",
        "REINDEX (VERBOSE) DATABASE d",
        "REINDEX SYSTEM",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY;",
        "VACUUM",
        "VACUUM (ANALYZE) t",
        "CLUSTER",
        "CLUSTER VERBOSE;",
        "CLUSTER (VERBOSE)",
        "CREATE DATABASE d",
        "DROP DATABASE IF EXISTS d",
        "CREATE TABLESPACE s LOCATION '/x'",
        "DROP TABLESPACE s",
        "ALTER DATABASE d SET TABLESPACE s",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "DISCARD ALL",
        "CREATE SUBSCRIPTION s CONNECTION 'connect = false' PUBLICATION p",
        "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = true, create_slot)",
        "DROP SUBSCRIPTION s",
        "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
        "ALTER SUBSCRIPTION s SET PUBLICATION p",
        "ALTER SUBSCRIPTION s ADD PUBLICATION p WITH (refresh = true)",
        "ALTER SUBSCRIPTION s SET (failover = true)",
    ],
)
def test_what_the_server_refuses_in_a_transaction_is_recognised(text: str) -> None:
    assert refuses_transaction(statement(text))


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON t (concurrently)",
        'CREATE INDEX "concurrently" ON t (a)',
        "CREATE INDEX /* CONCURRENTLY */ i ON t (a)",
        "DROP INDEX i",
        "REINDEX TABLE t",
        "REINDEX (CONCURRENTLY FALSE, VERBOSE) TABLE t",
        "ALTER TABLE t DETACH PARTITION p",
        "ALTER TABLE t DETACH PARTITION p FINALIZE",
        "ALTER TABLE t ADD COLUMN detach int",
        "CLUSTER t",
        "CLUSTER VERBOSE t",
        "CLUSTER (VERBOSE) t USING i",
        "ALTER DATABASE d SET work_mem = '1MB'",
        "ALTER TABLE t SET TABLESPACE s",
        "DISCARD TEMP",
        "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false)",
        "CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (enabled, create_slot = 'off')",
        "ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)",
        "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
        "ALTER SUBSCRIPTION s DISABLE",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
        "ALTER TYPE e ADD VALUE 'a'",
        "ANALYZE t",
        "LOCK TABLE t",
        "SELECT 'VACUUM'",
    ],
)
def test_what_runs_in_a_transaction_is_left_there(text: str) -> None:
    assert not refuses_transaction(statement(text))


@pytest.mark.parametrize(
    ("text", "neutral"),
    [
        ("SET work_mem = '1MB'", True),
        ("reset all", True),
        ("SHOW ALL", True),
        ("ANALYZE t", True),
        ("ANALYSE", True),
        ("SELECT 1", False),
        ("VACUUM ANALYZE", False),
        ("1", False),
    ],
)
def test_settings_and_statistics_are_at_home_on_either_side(text: str, neutral: bool) -> None:
    assert is_neutral(statement(text)) is neutral


@pytest.mark.parametrize(
    "text",
    [
        "SET search_path = a",
        "SET SESSION work_mem = '1MB'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "RESET ALL",
        "DISCARD TEMP",
        "LISTEN a",
        "UNLISTEN *",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "LOAD 'x'",
        "CREATE TEMP TABLE t ()",
        "CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1",
        "CREATE TABLE pg_temp.t ()",
        "DROP TABLE PG_TEMP.t",
        "SELECT 1",
        "VALUES (f())",
        "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
        "DO $$ BEGIN END $$",
        "CALL p()",
        "EXECUTE p",
        "INSERT INTO t SELECT set_config('a', 'b', false)",
        "UPDATE t SET a = pg_advisory_lock(1)",
        "COPY (SELECT pg_catalog.pg_try_advisory_lock(1)) TO '/x'",
        "DELETE FROM t WHERE \"dblink_connect\"('x') = 'OK'",
    ],
)
def test_what_may_stay_behind_in_the_session_is_told(text: str) -> None:
    assert touches_session(statement(text))


@pytest.mark.parametrize(
    "text",
    [
        "SET LOCAL search_path = a",
        "SET CONSTRAINTS ALL DEFERRED",
        "SET TRANSACTION READ ONLY",
        "CREATE TABLE temp (temporary int)",
        "ALTER TABLE t ADD COLUMN a int",
        "DROP TABLE t",
        "COMMENT ON TABLE t IS 'set_config'",
        "GRANT SELECT ON t TO a",
        "INSERT INTO t VALUES ('pg_advisory_lock(1)') -- set_config",
        "CREATE FUNCTION f() RETURNS void AS $$ SELECT set_config('a', 'b', false) $$",
        "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
        "WITH a AS (SELECT 1) MERGE INTO t USING a ON true WHEN MATCHED THEN DELETE",
        "COPY t FROM '/x'",
        "TRUNCATE t",
        "LOCK TABLE t",
        "DECLARE c CURSOR FOR WITH hold AS (SELECT 1) SELECT * FROM hold",
        "DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1",
        "SAVEPOINT a",
        "PREPARE TRANSACTION 'x'",
        "COMMIT",
    ],
)
def test_what_ends_with_its_transaction_leaves_the_session_alone(text: str) -> None:
    assert not touches_session(statement(text))


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("SET lock_timeout = '3s'", "lock_timeout"),
        ("set local Lock_Timeout to 3", "lock_timeout"),
        ('SET SESSION "Search_Path" TO a, b', "search_path"),
        ("SET my.own.setting = 1", "my.own.setting"),
        ("SET LOCAL my.own = 1;", "my.own"),
        ("SET local TO 1", "local"),
        ("RESET lock_timeout;", "lock_timeout"),
        ("RESET ALL", "all"),
        ("SET ROLE a", "role"),
        ("SET LOCAL ROLE NONE", "role"),
        ("SET SESSION AUTHORIZATION a", "session authorization"),
        ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "session authorization"),
        ("RESET SESSION AUTHORIZATION", "session authorization"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session characteristics"),
        ("SET TIME ZONE 'UTC'", "time zone"),
        ("SET LOCAL TIME ZONE LOCAL", "time zone"),
        ("SET SCHEMA 'a'", "search_path"),
        ("SET NAMES 'UTF8'", "client_encoding"),
        ("SET XML OPTION DOCUMENT", "xmloption"),
        ("SET CONSTRAINTS ALL IMMEDIATE", None),
        ("SET TRANSACTION READ ONLY", None),
        ("SET LOCAL TRANSACTION READ ONLY", None),
        ("SET", None),
        ("ALTER ROLE a SET lock_timeout = 1", None),
        ("UPDATE t SET a = 1", None),
    ],
)
def test_the_setting_a_statement_is_about(text: str, setting: str | None) -> None:
    assert sets(statement(text)) == setting
