from __future__ import annotations

import pytest

from tests.lint.looking import look, rules, warning

APART = "In a file of its own, which then runs outside of a transaction: "
THEN = "; then in the next file: "


def test_an_index_on_a_table_with_rows_is_to_be_built_concurrently() -> None:
    sql = """\
CREATE INDEX IF NOT EXISTS invoices_due_idx ON ONLY_EU.invoices
  USING btree (due /* when */, lower(note))
  WHERE NOT paid;
"""

    found = look(sql)

    assert found == [
        warning(
            "create-index",
            (1, 1),
            "CREATE INDEX on ONLY_EU.invoices reads the whole table, and nobody can write to it until COMMIT.",
            f"{APART}CREATE INDEX CONCURRENTLY invoices_due_idx ON ONLY_EU.invoices USING btree (due, lower(note)) "
            "WHERE NOT paid",
        ),
    ]


def test_an_index_without_a_name_gets_one_and_keeps_its_words_in_the_recipe() -> None:
    sql = "CREATE UNIQUE INDEX ON invoices (number);"

    found = look(sql)

    assert found == [
        warning(
            "create-index",
            (1, 1),
            "CREATE UNIQUE INDEX on invoices reads the whole table, and nobody can write to it until COMMIT.",
            f"{APART}CREATE UNIQUE INDEX CONCURRENTLY invoices_number_idx ON invoices (number)",
        ),
    ]


def test_a_unique_constraint_takes_its_name_and_nulls_into_the_recipe() -> None:
    sql = 'ALTER TABLE billing.invoices ADD CONSTRAINT one_number UNIQUE NULLS NOT DISTINCT (number, "Year");'

    found = look(sql)

    assert found == [
        warning(
            "add-unique",
            (1, 56),
            "ADD UNIQUE builds an index on billing.invoices, and nobody can read or write "
            "billing.invoices until COMMIT.",
            f'{APART}CREATE UNIQUE INDEX CONCURRENTLY one_number ON billing.invoices (number, "Year") NULLS NOT '
            f"DISTINCT{THEN}ALTER TABLE billing.invoices ADD CONSTRAINT one_number UNIQUE USING INDEX one_number",
        ),
    ]


def test_a_unique_constraint_without_a_name_gets_one() -> None:
    sql = "ALTER TABLE billing.invoices ADD UNIQUE (number);"

    found = look(sql)

    assert found == [
        warning(
            "add-unique",
            (1, 34),
            "ADD UNIQUE builds an index on billing.invoices, and nobody can read or write "
            "billing.invoices until COMMIT.",
            f"{APART}CREATE UNIQUE INDEX CONCURRENTLY invoices_number_key ON billing.invoices (number){THEN}"
            "ALTER TABLE billing.invoices ADD CONSTRAINT invoices_number_key UNIQUE USING INDEX invoices_number_key",
        ),
    ]


def test_a_unique_column_builds_an_index() -> None:
    sql = "ALTER TABLE invoices ADD COLUMN number text UNIQUE;"

    found = look(sql)

    assert found == [
        warning(
            "add-unique",
            (1, 22),
            "ADD UNIQUE builds an index on invoices, and nobody can read or write invoices until COMMIT.",
            f"Add number without UNIQUE in an earlier file. {APART}CREATE UNIQUE INDEX CONCURRENTLY "
            f"invoices_number_key ON invoices (number){THEN}ALTER TABLE invoices ADD CONSTRAINT "
            "invoices_number_key UNIQUE USING INDEX invoices_number_key",
        ),
    ]


def test_a_primary_key_builds_an_index() -> None:
    sql = "ALTER TABLE invoices ADD PRIMARY KEY (id);"

    found = look(sql)

    assert found == [
        warning(
            "add-primary-key",
            (1, 26),
            "ADD PRIMARY KEY builds an index on invoices, and nobody can read or write invoices until COMMIT.",
            f"{APART}CREATE UNIQUE INDEX CONCURRENTLY invoices_id_key ON invoices (id){THEN}"
            "ALTER TABLE invoices ADD CONSTRAINT invoices_id_key PRIMARY KEY USING INDEX invoices_id_key",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX CONCURRENTLY i ON invoices (due);",
        "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON invoices (due);",
        "CREATE INDEX i ON ONLY invoices (due);",
        "CREATE TABLE t (a int); CREATE INDEX ON t (a); ALTER TABLE t ADD UNIQUE (a), ADD PRIMARY KEY (a);",
        "CREATE MATERIALIZED VIEW v AS SELECT 1; CREATE UNIQUE INDEX ON v (id);",
        "CREATE UNLOGGED TABLE p PARTITION OF q FOR VALUES IN (1); CREATE INDEX ON p (id);",
        "CREATE TABLE c AS SELECT 1 AS id; CREATE INDEX ON public.c (id);",
        "SELECT 1 AS id INTO UNLOGGED TABLE s; CREATE INDEX ON s (id);",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u, ADD CONSTRAINT p PRIMARY KEY USING INDEX p;",
        "ALTER TABLE invoices ADD COLUMN note text DEFAULT 'UNIQUE';",
        'CREATE TABLE "index" (on_ int);',
    ],
)
def test_no_index_is_built_while_others_wait(sql: str) -> None:
    assert rules(sql) == []
