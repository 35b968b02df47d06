from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmigrations.sql import batches
from sqlmigrations.sql.batches import Batch, Freight
from sqlmigrations.sql.scanner import split
from sqlmigrations.types import Audience

TOGETHER = [
    "CREATE TABLE t (a int);",
    "ALTER TABLE t ADD COLUMN b int;",
    "DROP INDEX i;",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;",
    "CREATE TYPE mood AS ENUM ('sad', 'glad');",
    "CREATE INDEX IF NOT EXISTS i ON t (a);",
    "COMMENT ON TABLE t IS 'all; of it';",
    "GRANT SELECT ON t TO PUBLIC;",
    "TRUNCATE t;",
    "CREATE TABLE u (name text, password text DEFAULT NULL);",
    "DO $$ BEGIN PERFORM 1; END $$;",
    "REFRESH MATERIALIZED VIEW v;",
    "SELECT setval('s', 4);",
    "select pg_catalog.setval('s', 4);",
]
DATA = [
    "INSERT INTO t VALUES ('it''s; %s $1 :x');",
    "update t set a = 1;",
    "DELETE FROM t;",
    "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE;",
    "WITH u AS (SELECT 1) INSERT INTO t SELECT * FROM u;",
]
NESTING = ["SAVEPOINT a;", "ROLLBACK TO a;", "RELEASE a;"]
ALONE = [
    "SET search_path = a;",
    "SET LOCAL lock_timeout = 1;",
    "RESET ALL;",
    "SET CONSTRAINTS ALL DEFERRED;",
    "SET standard_conforming_strings = off;",
    "SHOW search_path;",
    *NESTING,
    "COPY t FROM stdin;\n1\n2\n\\.\n",
    "COPY t TO '/tmp/t';",
    "PREPARE p AS SELECT 1;",
    "EXECUTE p;",
    "DEALLOCATE p;",
    "DECLARE c CURSOR FOR SELECT 1;",
    "FETCH c;",
    "LISTEN channel;",
    "LOAD 'plpgsql';",
    "CALL p();",
    "LOCK TABLE t;",
    "SELECT f();",
    "(SELECT 1);",
    "VALUES (1);",
    "TABLE t;",
    "EXPLAIN ANALYZE INSERT INTO t VALUES (1);",
    "WITH w AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM w;",
    "INSERT INTO t SELECT pg_advisory_lock(1);",
    "INSERT INTO t SELECT Set_Config('a.b', 'c', false);",
    "DO $$ BEGIN SET standard_conforming_strings = off; END $$;",
    "INSERT INTO t SELECT dblink_exec('x', 'y');",
    "CREATE ROLE r PASSWORD 'x';",
    "CREATE USER MAPPING FOR r SERVER s OPTIONS (user 'r', password 'x');",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=x' PUBLICATION p WITH (connect = false);",
]


def cut(text: str, audience: Audience = Audience.LATER, turn: int = 0) -> list[Batch]:
    return list(batches.cut(split(text).statements, turn, audience))


def spans(text: str, audience: Audience = Audience.LATER, turn: int = 0) -> list[tuple[int, int]]:
    return [(batch.first, batch.last) for batch in cut(text, audience, turn)]


@pytest.mark.parametrize("sql", TOGETHER)
def test_short_statements_travel_together_where_nobody_follows_each(sql: str) -> None:
    assert [batch.freight for batch in cut(sql + sql)] == [Freight.MIXED]
    assert spans(sql + sql, Audience.LIVE) == [(0, 0), (1, 1)]


@pytest.mark.parametrize("sql", DATA)
def test_rows_to_be_written_travel_together_whoever_follows(sql: str) -> None:
    assert [batch.freight for batch in cut(sql + sql, Audience.LIVE)] == [Freight.DATA]
    assert [batch.freight for batch in cut(sql + TOGETHER[0])] == [Freight.MIXED]


@pytest.mark.parametrize("sql", ALONE)
def test_what_could_change_or_outlast_the_others_travels_alone(sql: str) -> None:
    found = cut(f"DELETE FROM a; DELETE FROM b; {sql} DELETE FROM c; DELETE FROM d;")

    after = [(3, 3), (4, 4)] if sql in NESTING else [(3, 4)]
    assert [(batch.first, batch.last) for batch in found] == [(0, 1), (2, 2), *after]
    assert found[1].freight is Freight.ALONE


def test_the_text_of_a_batch_is_what_is_written_comments_included() -> None:
    text = "-- before\nINSERT INTO t VALUES (1); -- one\n\n/* two */ INSERT INTO t\nVALUES (2) -- no end\n"

    (batch,) = cut(text)

    assert batch.text == "INSERT INTO t VALUES (1); -- one\n\n/* two */ INSERT INTO t\nVALUES (2)"


def test_a_line_of_psql_between_two_statements_is_not_sent() -> None:
    text = "DELETE FROM a;\n\\unrestrict k\n-- a second dump\n\\restrict l\nDELETE FROM b;\nDELETE FROM c;\n"

    assert spans(text) == [(0, 0), (1, 2)]


def test_a_batch_ends_before_the_statement_that_may_wait_less() -> None:
    assert spans("DELETE FROM a;" * 5, turn=2) == [(0, 1), (2, 4)]


def test_a_batch_is_no_longer_than_a_message_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ENOUGH", 50)
    row, long = "INSERT INTO t VALUES (1);", f"INSERT INTO t VALUES ('{'x' * 50}');"

    found = cut(row * 5 + long + row)

    assert [(batch.first, batch.last) for batch in found] == [(0, 1), (2, 3), (4, 4), (5, 5), (6, 6)]
    assert found[3].freight is Freight.ALONE


def test_a_large_file_makes_larger_batches_rather_than_many_savepoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ENOUGH", 50)
    monkeypatch.setattr(batches, "LARGEST", 5_000)

    few, many, too_many = (spans("DELETE FROM t;\n" * count) for count in (60, 10_000, 50_000))

    assert (len(few), len(many), len(too_many)) == (20, 57, 151)


def test_an_enum_that_is_added_to_later_is_made_outside_of_a_savepoint() -> None:
    made = "CREATE TABLE t (); DO $$ BEGIN CREATE TYPE e AS ENUM ('a'); END $$; CREATE TABLE u ();"

    assert spans(made) == [(0, 2)]
    assert spans(f"{made} ALTER TYPE e\nADD  VALUE 'b'; CREATE TABLE v ();") == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 4),
    ]


@given(
    st.lists(st.sampled_from([*TOGETHER, *DATA, *ALONE]), max_size=12), st.sampled_from(Audience), st.integers(0, 12)
)
def test_every_statement_is_in_one_batch_and_in_its_order(sqls: list[str], audience: Audience, turn: int) -> None:
    statements = split("\n".join(sqls)).statements

    found = list(batches.cut(statements, turn, audience))

    of = [list(statements[batch.first : batch.last + 1]) for batch in found]
    assert [statement for some in of for statement in some] == list(statements)
    for batch, some in zip(found, of, strict=True):
        assert batch.head == some[0]
        assert batch.text == batch.head.source[some[0].start : some[-1].end]
        assert len(some) == 1 or {statement.text for statement in some} <= {*TOGETHER, *DATA}
        assert not batch.first < turn <= batch.last


@given(st.integers(1, 40), st.integers(1, 10))
def test_its_parts_are_the_whole(count: int, size: int) -> None:
    statements = split("DELETE FROM t; " * count).statements
    (batch,) = batches.cut(statements, 0, Audience.LATER)

    parts = list(batch.cut(statements, size))

    assert [index for part in parts for index in range(part.first, part.last + 1)] == list(range(count))
    assert all(part.last - part.first < size and part.text.endswith("t;") for part in parts)
