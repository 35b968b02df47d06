from __future__ import annotations

import pytest

from tests.lint.looking import error, look, rules, warning


def test_commit_ends_the_transaction_of_the_file() -> None:
    sql = """\
CREATE TABLE t ();
COMMIT AND CHAIN;
"""

    found = look(sql)

    assert found == [
        error(
            "transaction-control",
            (2, 1),
            "COMMIT AND CHAIN ends the transaction this file is applied and recorded in.",
            "Take COMMIT AND CHAIN out: a file is applied as a whole or not at all. Use SAVEPOINT and "
            "ROLLBACK TO within it, or split the file.",
        ),
    ]


def test_begin_says_which_statement_would_end_it() -> None:
    sql = """\
SELECT 1;
BEGIN;
SELECT 2;
SAVEPOINT a;
END;
"""

    found = look(sql)

    assert found == [
        error(
            "transaction-control",
            (2, 1),
            "BEGIN starts a transaction, but the file already runs in one, and line 5 would end it.",
            "Take BEGIN and its COMMIT out; around the whole file, as its first and last statement, they may stay.",
        ),
        error(
            "transaction-control",
            (5, 1),
            "END ends the transaction this file is applied and recorded in.",
            "Take END out: a file is applied as a whole or not at all. Use SAVEPOINT and ROLLBACK TO "
            "within it, or split the file.",
        ),
    ]


def test_begin_alone_is_refused_too() -> None:
    sql = "START TRANSACTION ISOLATION LEVEL SERIALIZABLE;"

    found = look(sql)

    assert found == [
        error(
            "transaction-control",
            (1, 1),
            "START TRANSACTION starts a transaction, but the file already runs in one.",
            "Take BEGIN and its COMMIT out; around the whole file, as its first and last statement, they may stay.",
        ),
    ]


def test_prepare_transaction_ends_it_as_well() -> None:
    sql = "PREPARE TRANSACTION 'tomorrow';"

    found = look(sql)

    assert found == [
        error(
            "transaction-control",
            (1, 1),
            "PREPARE TRANSACTION ends the transaction this file is applied and recorded in.",
            "Take PREPARE TRANSACTION out: a file is applied as a whole or not at all. Use SAVEPOINT "
            "and ROLLBACK TO within it, or split the file.",
        ),
    ]


def test_an_added_value_cast_to_its_type_fails_for_certain() -> None:
    sql = """\
ALTER TYPE public.mood ADD VALUE 'it''s';
SELECT 1;
INSERT INTO t SELECT 'it''s' :: mood;
"""

    found = look(sql)

    assert found == [
        error(
            "enum-value-used",
            (3, 22),
            "'it''s' was added to public.mood in this file, on line 1, and cannot be used before that "
            "is committed (55P04).",
            "Leave ALTER TYPE public.mood ADD VALUE in this file, and move what uses 'it''s' to the next one.",
        ),
    ]


def test_an_added_value_may_be_cast_with_words() -> None:
    sql = """\
ALTER TYPE mood ADD VALUE 'sad' BEFORE 'glad';
CREATE VIEW v AS SELECT CAST('sad' AS mood);
"""

    found = look(sql)

    assert found == [
        error(
            "enum-value-used",
            (2, 30),
            "'sad' was added to mood in this file, on line 1, and cannot be used before that is committed (55P04).",
            "Leave ALTER TYPE mood ADD VALUE in this file, and move what uses 'sad' to the next one.",
        ),
    ]


def test_an_added_value_as_a_default_of_its_type_fails_for_certain() -> None:
    sql = """\
ALTER TYPE app.mood ADD VALUE 'sad';
ALTER TABLE t ADD COLUMN m app.mood NOT NULL DEFAULT 'sad';
"""

    found = look(sql)

    assert found == [
        error(
            "enum-value-used",
            (2, 54),
            "'sad' was added to app.mood in this file, on line 1, and cannot be used before that is "
            "committed (55P04).",
            "Leave ALTER TYPE app.mood ADD VALUE in this file, and move what uses 'sad' to the next one.",
        ),
    ]


def test_a_certain_use_counts_more_than_an_earlier_unsure_one() -> None:
    sql = """\
ALTER TYPE mood ADD VALUE 'sad';
UPDATE t SET m = 'sad' WHERE id = 1;
SELECT 'sad'::mood;
"""

    found = look(sql)

    assert found == [
        error(
            "enum-value-used",
            (3, 8),
            "'sad' was added to mood in this file, on line 1, and cannot be used before that is committed (55P04).",
            "Leave ALTER TYPE mood ADD VALUE in this file, and move what uses 'sad' to the next one.",
        ),
    ]


def test_the_same_word_elsewhere_may_be_the_value() -> None:
    sql = """\
ALTER TYPE mood ADD VALUE 'sad';
UPDATE t SET m = 'sad' WHERE id = 1;
"""

    found = look(sql)

    assert found == [
        warning(
            "enum-value-used",
            (2, 18),
            "'sad' was added to mood in this file, on line 1, and cannot be used before that is committed (55P04).",
            "Leave ALTER TYPE mood ADD VALUE in this file, and move what uses 'sad' to the next one.",
        ),
    ]


def test_a_value_that_may_exist_already_may_be_usable() -> None:
    sql = """\
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'sad';
ALTER TABLE t ALTER m SET DEFAULT 'sad'::mood;
"""

    found = look(sql)

    assert found == [
        warning(
            "enum-value-used",
            (2, 35),
            "'sad' was added to mood in this file, on line 1, and cannot be used before that is committed (55P04).",
            "Leave ALTER TYPE mood ADD VALUE in this file, and move what uses 'sad' to the next one.",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SAVEPOINT a; ROLLBACK TO a; RELEASE a;",
        "PREPARE q AS SELECT 1;",
        "SELECT 'COMMIT';",
        "DO $$ BEGIN COMMIT; END $$;",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;",
    ],
)
def test_the_transaction_goes_on(sql: str) -> None:
    assert rules(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TYPE mood ADD VALUE 'sad';",
        "ALTER TYPE mood ADD VALUE 'sad'; ALTER TYPE mood ADD VALUE 'worse' AFTER 'sad';",
        "ALTER TYPE mood ADD VALUE 'sad'; COMMENT ON TYPE mood IS 'sad';",
        "ALTER TYPE mood ADD VALUE 'sad'; INSERT INTO t VALUES ('sadness');",
        "INSERT INTO t VALUES ('sad'); ALTER TYPE mood ADD VALUE 'sad';",
        "CREATE TYPE mood AS ENUM (); ALTER TYPE mood ADD VALUE 'sad'; SELECT 'sad'::public.mood;",
        "DO $$ BEGIN CREATE TYPE mood AS ENUM (); END $$; ALTER TYPE mood ADD VALUE 'sad'; SELECT 'sad'::mood;",
        "ALTER TYPE mood ADD VALUE 'sad'; CREATE FUNCTION f() RETURNS mood LANGUAGE sql AS $$ SELECT 'sad' $$;",
    ],
)
def test_the_added_value_is_not_used(sql: str) -> None:
    assert rules(sql) == []


def test_set_transaction_comes_after_the_record() -> None:
    sql = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;"

    found = look(sql)

    assert found == [
        error(
            "transaction-mode",
            (1, 1),
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE comes too late (25001): the file is recorded first, in the "
            "same transaction.",
            "Wrap the whole file instead: BEGIN ISOLATION LEVEL SERIALIZABLE; as its first statement, COMMIT; as its "
            "last.",
        ),
    ]


def test_a_read_only_transaction_could_not_be_recorded() -> None:
    sql = "SET TRANSACTION READ ONLY;"

    found = look(sql)

    assert found == [
        error(
            "transaction-mode",
            (1, 1),
            "SET TRANSACTION READ ONLY: the file could not be recorded in its own transaction.",
            "Take it out.",
        ),
    ]


@pytest.mark.parametrize("sql", ["SET TRANSACTION READ WRITE;", "SET CONSTRAINTS ALL IMMEDIATE;"])
def test_what_changes_nothing_about_the_transaction_is_fine(sql: str) -> None:
    assert "transaction-mode" not in rules(sql)


def test_copy_to_stdout_has_no_reader() -> None:
    sql = "COPY (SELECT 1) TO STDOUT;"

    found = look(sql)

    assert found == [
        error(
            "copy-to-stdout",
            (1, 1),
            "COPY ... TO STDOUT sends rows that nobody reads here.",
            "Take it out of the migration; export with psql's \\copy.",
        ),
    ]


def test_copy_to_a_file_of_the_server_is_not_to_stdout() -> None:
    assert "copy-to-stdout" not in rules("COPY t TO '/srv/stdout';")
