from __future__ import annotations

import pytest

from tests.lint.looking import look, rules, warning


def test_each_table_of_a_drop_table_is_named() -> None:
    sql = 'DROP TABLE IF EXISTS invoices, "Old".items;'

    found = look(sql)

    assert found == [
        warning(
            "drop-table",
            (1, 22),
            "DROP TABLE invoices destroys its rows, and code still deployed that reads it fails.",
            "Deploy code that no longer uses invoices first, and keep a dump of it (pg_dump -t "
            "invoices); or rename it now and drop it in a later migration.",
        ),
        warning(
            "drop-table",
            (1, 32),
            'DROP TABLE "Old".items destroys its rows, and code still deployed that reads it fails.',
            'Deploy code that no longer uses "Old".items first, and keep a dump of it (pg_dump -t '
            '"Old".items); or rename it now and drop it in a later migration.',
        ),
    ]


def test_a_dropped_column_is_reported_on_the_line_of_its_action() -> None:
    sql = """\
ALTER TABLE ONLY billing.invoices
  ADD COLUMN a int,
  DROP COLUMN IF EXISTS note,
  DROP total;
"""

    found = look(sql)

    assert found == [
        warning(
            "drop-column",
            (3, 3),
            "DROP COLUMN note puts its values out of reach, and code still deployed that names "
            "billing.invoices.note fails.",
            "Deploy code that no longer uses billing.invoices.note first (a Django model selects every "
            "field it declares), then drop it in a later migration.",
        ),
        warning(
            "drop-column",
            (4, 3),
            "DROP COLUMN total puts its values out of reach, and code still deployed that names "
            "billing.invoices.total fails.",
            "Deploy code that no longer uses billing.invoices.total first (a Django model selects "
            "every field it declares), then drop it in a later migration.",
        ),
    ]


def test_dropping_a_schema_destroys_what_is_in_it() -> None:
    sql = "DROP SCHEMA IF EXISTS archive;"

    found = look(sql)

    assert found == [
        warning(
            "drop-schema",
            (1, 23),
            "DROP SCHEMA archive removes whatever lies in it, with an exclusive lock on every relation.",
            "Drop the objects of archive one by one, so that the review shows what goes, and archive "
            "last, without CASCADE.",
        ),
    ]


def test_dropping_a_database_is_reported() -> None:
    sql = "DROP DATABASE IF EXISTS shop WITH (FORCE);"

    found = look(sql)

    assert found == [
        warning(
            "drop-database",
            (1, 1),
            "DROP DATABASE shop removes a whole database, and nothing brings it back but a backup.",
            "Take it out of the migrations and drop shop by hand, after a last pg_dump.",
        ),
    ]


def test_drop_owned_names_no_object() -> None:
    sql = "DROP OWNED BY clerk;"

    found = look(sql)

    assert found == [
        warning(
            "drop-owned",
            (1, 1),
            "DROP OWNED BY clerk drops every object of clerk in this database, tables with their rows included.",
            "REASSIGN OWNED BY clerk TO another_role first, then only privileges are left to drop.",
        ),
    ]


def test_truncate_empties_every_table_it_names() -> None:
    sql = "TRUNCATE TABLE ONLY invoices *, lines RESTART IDENTITY;"

    found = look(sql)

    assert found == [
        warning(
            "truncate",
            (1, 21),
            "TRUNCATE invoices removes all its rows and keeps every reader and writer out until COMMIT.",
            "DELETE FROM invoices WHERE ... in batches keeps the table usable; keep a dump of it "
            "(pg_dump -t invoices) if the rows matter.",
        ),
        warning(
            "truncate",
            (1, 33),
            "TRUNCATE lines removes all its rows and keeps every reader and writer out until COMMIT.",
            "DELETE FROM lines WHERE ... in batches keeps the table usable; keep a dump of it (pg_dump "
            "-t lines) if the rows matter.",
        ),
    ]


def test_cascade_of_a_drop_is_a_danger_of_its_own() -> None:
    sql = "DROP FUNCTION total(int, text), tax CASCADE;"

    found = look(sql)

    assert found == [
        warning(
            "cascade",
            (1, 37),
            "CASCADE removes whatever depends on total, tax, which the file does not name.",
            "Leave CASCADE out: the server's error lists what depends on total, tax; drop those first, by name.",
        ),
    ]


def test_cascade_of_an_unusual_object_is_quoted_whole() -> None:
    sql = "DROP TRIGGER IF EXISTS touch ON invoices CASCADE;"

    found = look(sql)

    assert found == [
        warning(
            "cascade",
            (1, 42),
            "CASCADE removes whatever depends on TRIGGER IF EXISTS touch ON invoices, which the file does not name.",
            "Leave CASCADE out: the server's error lists what depends on TRIGGER IF EXISTS touch ON "
            "invoices; drop those first, by name.",
        ),
    ]


def test_cascade_of_a_column_names_the_column() -> None:
    sql = "ALTER TABLE invoices DROP COLUMN total CASCADE;"

    found = look(sql)

    assert found == [
        warning(
            "drop-column",
            (1, 22),
            "DROP COLUMN total puts its values out of reach, and code still deployed that names invoices.total fails.",
            "Deploy code that no longer uses invoices.total first (a Django model selects every field "
            "it declares), then drop it in a later migration.",
        ),
        warning(
            "cascade",
            (1, 40),
            "CASCADE removes whatever depends on invoices.total, which the file does not name.",
            "Leave CASCADE out: the server's error lists what depends on invoices.total; drop those first, by name.",
        ),
    ]


def test_cascade_of_a_truncate_empties_other_tables() -> None:
    sql = "TRUNCATE invoices CASCADE;"

    found = look(sql)

    assert found == [
        warning(
            "truncate",
            (1, 10),
            "TRUNCATE invoices removes all its rows and keeps every reader and writer out until COMMIT.",
            "DELETE FROM invoices WHERE ... in batches keeps the table usable; keep a dump of it "
            "(pg_dump -t invoices) if the rows matter.",
        ),
        warning(
            "cascade",
            (1, 19),
            "CASCADE removes whatever depends on invoices, which the file does not name.",
            "Leave CASCADE out: the server's error lists what depends on invoices; truncate those first, by name.",
        ),
    ]


def test_update_without_where_writes_every_row() -> None:
    sql = "UPDATE ONLY invoices AS i SET total = (SELECT 1 WHERE true);"

    found = look(sql)

    assert found == [
        warning(
            "unbounded-dml",
            (1, 13),
            "UPDATE invoices without WHERE writes every row and keeps it locked until COMMIT.",
            "Say which rows change (UPDATE invoices SET ... WHERE ...), or go through invoices in "
            "batches by key, each batch committed by itself.",
        ),
    ]


def test_delete_without_where_inside_with_is_found() -> None:
    sql = """\
WITH gone AS MATERIALIZED (DELETE FROM invoices RETURNING *)
INSERT INTO archive SELECT * FROM gone WHERE id > 1;
"""

    found = look(sql)

    assert found == [
        warning(
            "unbounded-dml",
            (1, 40),
            "DELETE FROM invoices without WHERE removes every row and keeps it locked until COMMIT.",
            "Say which rows go (DELETE FROM invoices WHERE ...), or go through invoices in batches by "
            "key, each batch committed by itself.",
        ),
    ]


def test_where_true_bounds_nothing() -> None:
    sql = "DELETE FROM invoices WHERE TRUE RETURNING id;"

    found = look(sql)

    assert found == [
        warning(
            "unbounded-dml",
            (1, 13),
            "DELETE FROM invoices without WHERE removes every row and keeps it locked until COMMIT.",
            "Say which rows go (DELETE FROM invoices WHERE ...), or go through invoices in batches by "
            "key, each batch committed by itself.",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW invoices;",
        "DROP INDEX invoices_idx;",
        "DROP DOMAIN amount RESTRICT;",
        "ALTER TABLE invoices DROP CONSTRAINT invoices_pkey;",
        "ALTER TABLE invoices ALTER COLUMN note DROP DEFAULT;",
        "ALTER TABLE lines ADD CONSTRAINT f FOREIGN KEY (i) REFERENCES invoices ON DELETE CASCADE NOT VALID;",
        "CREATE EXTENSION earthdistance CASCADE;",
        "SELECT 'DROP TABLE invoices'; -- DROP TABLE invoices",
        "CREATE TABLE t (id int); DROP TABLE public.t CASCADE;",
        'CREATE TABLE t (id int); ALTER TABLE T DROP id; TRUNCATE t; UPDATE t SET a = 1; DELETE FROM "t";',
        "ALTER TABLE invoices ADD COLUMN spare int; ALTER TABLE invoices DROP COLUMN spare;",
        "CREATE SCHEMA s; DROP SCHEMA s CASCADE;",
    ],
)
def test_nothing_is_destroyed(sql: str) -> None:
    assert rules(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE invoices SET total = 0 WHERE id > 3;",
        "DELETE FROM invoices WHERE CURRENT OF c;",
        "SELECT * FROM invoices FOR UPDATE;",
        "SELECT * FROM invoices FOR NO KEY UPDATE;",
        "INSERT INTO invoices VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 1;",
        "WITH n AS (SELECT 1) INSERT INTO t SELECT * FROM n ON CONFLICT (id) DO UPDATE SET total = 1;",
        "WITH old AS (SELECT 1) UPDATE invoices SET total = 0 WHERE id IN (TABLE old);",
        "WITH s AS (SELECT 1 AS id) MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1;",
        "CREATE TRIGGER t BEFORE UPDATE OF total OR DELETE ON invoices EXECUTE FUNCTION f();",
        "CREATE RULE r AS ON DELETE TO invoices DO INSTEAD UPDATE invoices SET gone = true;",
        "CREATE TABLE lines (i int REFERENCES invoices ON UPDATE CASCADE ON DELETE SET NULL);",
        "GRANT UPDATE, DELETE ON invoices TO clerk;",
        "DO $$ BEGIN UPDATE invoices SET total = 0; END $$;",
    ],
)
def test_these_are_not_unbounded(sql: str) -> None:
    assert rules(sql) == []
