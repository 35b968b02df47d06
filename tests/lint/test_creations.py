from __future__ import annotations

from typing import Any

import pytest

from sqlmigrations import lint
from sqlmigrations.lint import Kind
from sqlmigrations.lint.objects import Created
from sqlmigrations.sql.reading import Reader
from tests.lint.looking import rules, statements


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1;\nCREATE TABLE\n  app.t (a int);", [(Kind.TABLE, "app.t", 3)]),
        ("CREATE UNLOGGED TABLE T PARTITION OF p DEFAULT;", [(Kind.TABLE, "T", 1)]),
        ("CREATE FOREIGN TABLE t () SERVER s;", [(Kind.TABLE, "t", 1)]),
        ('CREATE TABLE "My t" AS SELECT 1;', [(Kind.TABLE, '"My t"', 1)]),
        ("WITH a AS (SELECT 1) SELECT * INTO UNLOGGED t FROM a;", [(Kind.TABLE, "t", 1)]),
        ("CREATE RECURSIVE VIEW v (a) AS SELECT 1;", [(Kind.VIEW, "v", 1)]),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1;", [(Kind.MATERIALIZED_VIEW, "v", 1)]),
        ("CREATE SEQUENCE s;", [(Kind.SEQUENCE, "s", 1)]),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON ONLY app.t (a);", [(Kind.INDEX, "i", 1)]),
        (
            "CREATE TABLE t (); DROP TABLE t; CREATE TABLE u (); CREATE TABLE v ();",
            [(Kind.TABLE, n, 1) for n in "tuv"],
        ),
        (
            "CREATE TABLE t (); SET search_path = a; CREATE TABLE u (); CREATE TABLE b.v ();",
            [(Kind.TABLE, n, 1) for n in ("t", "b.v")],
        ),
    ],
)
def test_what_fails_where_it_exists_is_unguarded(sql: str, expected: list[tuple[Kind, str, int]]) -> None:
    found = lint.unguarded(statements(sql))

    assert [(creation.kind, str(creation.name), creation.line) for creation in found] == expected


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE IF NOT EXISTS t (a int);",
        "CREATE OR REPLACE VIEW v AS SELECT 1;",
        "CREATE INDEX IF NOT EXISTS i ON t (a);",
        "CREATE INDEX ON t (a);",
        "CREATE TEMPORARY TABLE t (a int);",
        "SELECT 1 INTO TEMP t;",
        "INSERT INTO t SELECT 1;",
        "WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM a;",
        "CREATE TYPE e AS ENUM ('a'); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        "CREATE SCHEMA AUTHORIZATION clerk; CREATE USER MAPPING FOR u SERVER s; CREATE GROUP g;",
        "DROP TABLE IF EXISTS other, public.t CASCADE; CREATE TABLE t ();",
        "DROP FOREIGN TABLE t; CREATE FOREIGN TABLE t () SERVER s;",
        "DROP SCHEMA app CASCADE; CREATE SCHEMA app; CREATE TABLE app.t ();",
        "DROP SCHEMA public CASCADE; CREATE TABLE t ();",
        "DROP INDEX CONCURRENTLY app.i; CREATE INDEX i ON app.t (a);",
        "ALTER TABLE t RENAME TO t_old; CREATE TABLE t ();",
        "DO $$ BEGIN IF true THEN CREATE TABLE t (); END IF; END $$;",
        "DO $$ BEGIN EXECUTE 'CREATE TABLE t ()'; END $$;",
        "CREATE SCHEMA IF NOT EXISTS app; SET LOCAL search_path = app; CREATE TABLE t (); CREATE INDEX i ON t (a);",
        "CREATE;",
        "CREATE CAST (int AS text) WITH INOUT;",
    ],
)
def test_what_is_guarded_creates_no_conflict(sql: str) -> None:
    assert lint.unguarded(statements(sql)) == ()


@pytest.mark.parametrize(
    "pending",
    [
        "CREATE TABLE t (a int);",
        'CREATE TABLE IF NOT EXISTS public."t" (a int);',
        "DO $$ BEGIN CREATE TABLE T (); END $$;",
        "DO 'BEGIN EXECUTE ''CREATE TABLE t ()''; END';",
        "CREATE TABLE s (); ALTER TABLE s RENAME TO t;",
        "CREATE TABLE t (); DROP TABLE t; CREATE TABLE t ();",
        "CREATE TABLE app.t (); ALTER TABLE app.t SET SCHEMA public;",
        "CREATE TEMP TABLE pg_temp.t ();",
    ],
)
def test_a_table_of_an_earlier_pending_file_holds_nothing_yet(pending: str) -> None:
    assert rules("DROP TABLE t;", pending=pending) == []


@pytest.mark.parametrize(
    "pending",
    [
        "CREATE TABLE app.t ();",
        'CREATE TABLE "T" ();',
        "ALTER TABLE s RENAME TO t;",
        "ALTER TABLE s RENAME TO t; ALTER TABLE t RENAME TO s;",
        "CREATE TYPE t AS ENUM ();",
    ],
)
def test_another_table_of_an_earlier_pending_file_changes_nothing(pending: str) -> None:
    assert rules("DROP TABLE t;", pending=pending) == ["drop-table"]


def test_a_table_dropped_before_the_file_creates_it_anew_held_rows() -> None:
    assert rules("DROP TABLE t; CREATE TABLE t ();") == ["drop-table"]


def test_what_a_later_file_creates_is_not_there_yet() -> None:
    first, second = statements("DROP TABLE t;"), statements("CREATE TABLE t (); DROP TABLE t;")
    subject = lint.Subject("shop.004_x", "shop/004_x.sql", first)

    found = lint.inspect(subject, lint.created(first))
    later = lint.inspect(lint.Subject("shop.005_x", "x", second), lint.created(first) | lint.created(second))

    assert [finding.rule for finding in found + later] == ["drop-table"]


class Counting(dict[Any, Any]):
    """Counts how often somebody looks something up."""

    count = 0

    def get(self, key: Any, default: Any = None) -> Any:
        self.count += 1
        return super().get(key, default)


@pytest.mark.parametrize("opening", ["SELECT 1;", "CREATE TABLE t0 ();"])
def test_a_chain_of_renames_is_gone_back_once_and_not_from_each_of_its_links(opening: str) -> None:
    length = 3_000  # more than Python's calls may be nested
    chain = [opening, *(f"ALTER TABLE t{n} RENAME TO t{n + 1};" for n in range(length))]
    renames = statements("\n".join(chain))
    places = Counting(lint.created(renames).places)
    created = Created(places)

    def is_new(number: int) -> bool:
        name = Reader(renames[number].tokens()[2:]).name()
        assert name is not None
        return created.before(Kind.TABLE, name, renames[number])

    last = is_new(length)
    every = {is_new(number) for number in range(1, length)}

    assert {last} == every == {opening != "SELECT 1;"}
    assert places.count < 3 * length


def test_what_a_file_adds_can_make_the_end_of_a_chain_new() -> None:
    renames = statements("ALTER TABLE a RENAME TO b;\nALTER TABLE b RENAME TO c;")
    name = Reader(renames[1].tokens()[2:]).name()
    assert name is not None
    created = lint.created(renames)
    assert not created.before(Kind.TABLE, name, renames[1])

    created |= lint.created(statements("CREATE TABLE a ();"))

    assert created.before(Kind.TABLE, name, renames[1])


def test_names_that_two_files_exchange_make_no_table_new() -> None:
    first, second = statements("ALTER TABLE a RENAME TO b;"), statements("ALTER TABLE b RENAME TO a;")
    created = lint.created(first) | lint.created(second)

    for statement in (*first, *second):
        name = Reader(statement.tokens()[2:]).name()
        assert name is not None
        assert not created.before(Kind.TABLE, name, statement)
