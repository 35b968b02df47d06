from __future__ import annotations

import pytest

from tests.lint.looking import look, rules, warning


def test_a_renamed_column_is_missed_by_running_code() -> None:
    sql = "ALTER TABLE billing.invoices RENAME COLUMN due TO due_at;"

    found = look(sql)

    assert found == [
        warning(
            "rename",
            (1, 30),
            "Renaming billing.invoices.due to due_at breaks code still deployed that says due, at once.",
            "Add due_at beside due, have the application write both, fill due_at in batches by key, "
            "read from it, then drop due in a later migration. In Django, db_column='due' gives the "
            "field a new name with no migration at all.",
        ),
    ]


def test_the_word_column_may_be_left_out() -> None:
    sql = 'ALTER VIEW v RENAME "Due" TO due_at;'

    found = look(sql)

    assert found == [
        warning(
            "rename",
            (1, 14),
            'Renaming v."Due" to due_at breaks code still deployed that says "Due", at once.',
            'Add due_at beside "Due", have the application write both, fill due_at in batches by key, '
            "read from it, then drop \"Due\" in a later migration. In Django, db_column='Due' gives the "
            "field a new name with no migration at all.",
        ),
    ]


def test_a_renamed_table_can_keep_its_old_name_as_a_view() -> None:
    sql = "ALTER TABLE IF EXISTS billing.invoices RENAME TO bills;"

    found = look(sql)

    assert found == [
        warning(
            "rename",
            (1, 40),
            "Renaming table billing.invoices to billing.bills breaks code still deployed that says "
            "billing.invoices, at once.",
            "Keep the old name working in the same file: ALTER TABLE IF EXISTS billing.invoices RENAME "
            "TO bills; CREATE VIEW billing.invoices AS SELECT * FROM billing.bills; drop the view when "
            "no deployed code uses it.",
        ),
    ]


def test_a_table_moved_to_another_schema_has_another_name() -> None:
    sql = "ALTER TABLE invoices SET SCHEMA billing;"

    found = look(sql)

    assert found == [
        warning(
            "rename",
            (1, 22),
            "Renaming table invoices to billing.invoices breaks code still deployed that says invoices, at once.",
            "Keep the old name working in the same file: ALTER TABLE invoices SET SCHEMA billing; "
            "CREATE VIEW invoices AS SELECT * FROM billing.invoices; drop the view when no deployed "
            "code uses it.",
        ),
    ]


def test_a_renamed_type_is_missed_by_casts() -> None:
    sql = "ALTER TYPE invoice_state RENAME TO bill_state;"

    found = look(sql)

    assert found == [
        warning(
            "rename",
            (1, 26),
            "Renaming type invoice_state to bill_state breaks code still deployed that says invoice_state, at once.",
            "Create bill_state beside invoice_state, deploy code that uses bill_state, then drop "
            "invoice_state in a later migration.",
        ),
    ]


def test_a_renamed_enum_value_is_missed_by_running_code() -> None:
    sql = "ALTER TYPE invoice_state RENAME VALUE 'open' TO 'sent';"

    found = look(sql)

    assert found == [
        warning(
            "rename-enum-value",
            (1, 26),
            "Renaming value 'open' of invoice_state to 'sent' breaks code still deployed that says 'open', at once.",
            "ALTER TYPE invoice_state ADD VALUE 'sent'; deploy code that writes 'sent'; then update "
            "the rows in batches by key.",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER INDEX i RENAME TO j;",
        "ALTER TABLE invoices RENAME CONSTRAINT a TO b;",
        "ALTER SEQUENCE s RENAME TO u;",
        "CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME a TO b;",
        "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e RENAME VALUE 'a' TO 'b'; ALTER TYPE e RENAME TO f;",
        "ALTER TABLE invoices ADD COLUMN a int; ALTER TABLE invoices RENAME COLUMN a TO b;",
        "ALTER TRIGGER a ON invoices RENAME TO b;",
    ],
)
def test_no_application_names_it(sql: str) -> None:
    assert rules(sql) == []
