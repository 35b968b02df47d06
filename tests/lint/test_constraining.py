from __future__ import annotations

import pytest

from tests.lint.looking import look, note, rules, warning


def test_an_exclusion_constraint_has_no_online_form() -> None:
    sql = "ALTER TABLE bookings ADD CONSTRAINT apart EXCLUDE USING gist (during WITH &&);"

    found = look(sql)

    assert found == [
        warning(
            "add-exclusion",
            (1, 43),
            "ADD EXCLUDE reads bookings twice, and nobody can read or write bookings until COMMIT.",
            "PostgreSQL has no online form: do it in a maintenance window, or fill a new table that "
            "has it and swap it with bookings.",
        ),
    ]


def test_a_check_is_to_be_added_not_valid() -> None:
    sql = "ALTER TABLE invoices ADD CONSTRAINT positive CHECK (total > 0);"

    found = look(sql)

    assert found == [
        warning(
            "add-check",
            (1, 46),
            "ADD CHECK reads every row of invoices, and nobody can read or write invoices until COMMIT.",
            "ALTER TABLE invoices ADD CONSTRAINT positive CHECK (total > 0) NOT VALID; in the next "
            "file: ALTER TABLE invoices VALIDATE CONSTRAINT positive",
        ),
    ]


def test_a_foreign_key_reads_the_child_and_locks_both() -> None:
    sql = """\
ALTER TABLE IF EXISTS lines
  ADD CONSTRAINT lines_invoice FOREIGN KEY (invoice) REFERENCES billing.invoices (id) ON DELETE CASCADE;
"""

    found = look(sql)

    assert found == [
        warning(
            "add-foreign-key",
            (2, 32),
            "ADD FOREIGN KEY reads every row of lines, and nobody can write to lines or "
            "billing.invoices until COMMIT.",
            "ALTER TABLE lines ADD CONSTRAINT lines_invoice FOREIGN KEY (invoice) REFERENCES "
            "billing.invoices (id) ON DELETE CASCADE NOT VALID; in the next file: ALTER TABLE lines "
            "VALIDATE CONSTRAINT lines_invoice",
        ),
    ]


def test_a_foreign_key_of_a_new_table_still_locks_the_parent() -> None:
    sql = """\
CREATE TABLE lines (invoice int);
ALTER TABLE lines ADD FOREIGN KEY (invoice) REFERENCES invoices;
"""

    found = look(sql)

    assert found == [
        note(
            "add-foreign-key",
            (2, 23),
            "ADD FOREIGN KEY locks invoices: nobody can write to it until COMMIT, though lines is new.",
            "Make it the last statement of the file, or give it a short file of its own, so that "
            "invoices is locked for an instant only.",
        ),
    ]


def test_set_not_null_reads_every_row() -> None:
    sql = 'ALTER TABLE invoices ALTER COLUMN "Due" SET NOT NULL;'

    found = look(sql)

    assert found == [
        warning(
            "set-not-null",
            (1, 22),
            "SET NOT NULL reads every row of invoices, and nobody can read or write invoices until COMMIT.",
            'ALTER TABLE invoices ADD CONSTRAINT invoices_due_not_null CHECK ("Due" IS NOT NULL) NOT '
            "VALID; in the next file: ALTER TABLE invoices VALIDATE CONSTRAINT invoices_due_not_null; "
            'then ALTER COLUMN "Due" SET NOT NULL is instant and invoices_due_not_null can be dropped '
            "in the same file.",
        ),
    ]


def test_a_not_null_constraint_reads_every_row() -> None:
    sql = "ALTER TABLE invoices ADD CONSTRAINT due_there NOT NULL due;"

    found = look(sql)

    assert found == [
        warning(
            "add-not-null-constraint",
            (1, 47),
            "ADD NOT NULL reads every row of invoices, and nobody can read or write invoices until COMMIT.",
            "ALTER TABLE invoices ADD CONSTRAINT due_there NOT NULL due NOT VALID; in the next file: "
            "ALTER TABLE invoices VALIDATE CONSTRAINT due_there",
        ),
    ]


def test_a_new_column_with_a_check_reads_every_row() -> None:
    sql = "ALTER TABLE invoices ADD COLUMN rate int DEFAULT 1 CHECK (rate > 0);"

    found = look(sql)

    assert found == [
        warning(
            "add-column-check",
            (1, 33),
            "ADD COLUMN rate with CHECK reads every row of invoices, and nobody can read or write "
            "invoices until COMMIT.",
            "Add rate without CHECK, then ALTER TABLE invoices ADD CONSTRAINT invoices_rate_check "
            "CHECK (...) NOT VALID; in the next file: ALTER TABLE invoices VALIDATE CONSTRAINT "
            "invoices_rate_check",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE lines ADD CONSTRAINT f FOREIGN KEY (i) REFERENCES invoices NOT VALID;",
        "ALTER TABLE invoices ADD CONSTRAINT c CHECK (total > 0) NOT VALID, ADD CHECK (a > 0) NOT ENFORCED;",
        "ALTER TABLE invoices ADD CONSTRAINT n NOT NULL due NOT VALID;",
        "ALTER TABLE invoices VALIDATE CONSTRAINT c; ALTER TABLE invoices ALTER due SET NOT NULL;",
        "ALTER TABLE invoices ALTER COLUMN due SET NOT NULL, DROP CONSTRAINT due_not_null;",
        "ALTER TABLE invoices ALTER COLUMN due DROP NOT NULL, ALTER COLUMN due SET DEFAULT now();",
        "CREATE TABLE p (); CREATE TABLE c (p int); ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p;",
        "ALTER TABLE invoices ADD COLUMN exclude int;",
        "ALTER TABLE invoices ALTER CONSTRAINT f DEFERRABLE;",
    ],
)
def test_no_row_is_read(sql: str) -> None:
    assert rules(sql) == []
