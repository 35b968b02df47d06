"""The name of a statement, statement by statement."""

from __future__ import annotations

import pytest

from sqlmigrations.sql.scanner import split
from sqlmigrations.sql.verbs import verb


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("insert into t values (1)", "INSERT"),
        ("(SELECT 1) UNION (SELECT 2)", "SELECT"),
        ("WITH a AS (SELECT 1) DELETE FROM t", "WITH"),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX"),
        ("create /* or */ or replace -- temp\n function f() returns int return 1", "CREATE FUNCTION"),
        ("CREATE LOCAL TEMPORARY TABLE t ()", "CREATE TABLE"),
        ("CREATE TABLE temp ()", "CREATE TABLE"),
        ('CREATE TABLE "unique" ()', "CREATE TABLE"),
        ("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a EXECUTE FUNCTION f()", "CREATE TRIGGER"),
        ("CREATE RECURSIVE VIEW v (a) AS SELECT 1", "CREATE VIEW"),
        ("DROP MATERIALIZED VIEW IF EXISTS v", "DROP MATERIALIZED VIEW"),
        ("REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW"),
        ("CREATE FOREIGN TABLE t () SERVER s", "CREATE FOREIGN TABLE"),
        ("CREATE FOREIGN DATA WRAPPER w", "CREATE FOREIGN DATA WRAPPER"),
        ("ALTER TEXT SEARCH CONFIGURATION c RENAME TO d", "ALTER TEXT SEARCH CONFIGURATION"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a", "ALTER DEFAULT PRIVILEGES"),
        ("CREATE OPERATOR family.=== (FUNCTION = f)", "CREATE OPERATOR FAMILY"),
        ("CREATE OPERATOR s.=== (FUNCTION = f)", "CREATE OPERATOR"),
        ("CREATE USER a", "CREATE USER"),
        ("CREATE USER MAPPING FOR a SERVER s", "CREATE USER MAPPING"),
        ("DROP OWNED BY a", "DROP OWNED"),
        ("START TRANSACTION", "START TRANSACTION"),
        ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("1", ""),
    ],
)
def test_the_verb_names_the_kind_of_object_without_modifiers(text: str, words: str) -> None:
    (statement,) = split(text).statements

    assert " ".join(verb(statement)) == words
