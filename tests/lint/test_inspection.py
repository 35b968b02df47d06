from __future__ import annotations

from sqlmigrations import lint
from sqlmigrations.sql.scanner import split
from sqlmigrations.types import Allowance, Finding, Mode, Severity
from tests.lint.looking import error, look, note, rules


def test_an_allow_line_silences_its_rule_only() -> None:
    allow = [Allowance("drop-table", "archived", 2)]

    found = look("DROP TABLE a CASCADE;", allow=allow)

    assert [finding.rule for finding in found] == ["cascade"]


def test_an_error_cannot_be_allowed() -> None:
    allow = [Allowance("transaction-control", "I know", 1)]

    found = look("COMMIT;", allow=allow)

    assert [finding.rule for finding in found] == ["transaction-control", "unused-allow"]
    assert found[1] == note(
        "unused-allow",
        (1, 1),
        "transaction-control is an error here, which no line can allow.",
        "Follow what the error says.",
    )


def test_an_unknown_rule_is_an_error_with_the_nearest_one() -> None:
    allow = [Allowance("drop-tabel", "archived", 3), Allowance("nonsense", "", 4)]

    found = look("SELECT 1;", allow=allow)

    assert found == [
        error(
            "unknown-rule",
            (3, 1),
            "There is no rule drop-tabel, so this line allows nothing.",
            "Write: -- allow: drop-table archived",
        ),
        error(
            "unknown-rule",
            (4, 1),
            "There is no rule nonsense, so this line allows nothing.",
            "Take the line out.",
        ),
    ]


def test_an_error_from_outside_the_lint_cannot_be_allowed_and_is_not_taken_for_a_slip() -> None:
    found = look("SELECT 1;", allow=[Allowance("non-transactional", "why", 1), Allowance("late", "", 2)])

    message = "is an error, which no line can allow."
    follow = "Take the line out, and follow what the error says."
    assert found == [
        note("unused-allow", (1, 1), f"non-transactional {message}", follow),
        note("unused-allow", (2, 1), f"late {message}", "Write: -- late: why"),
    ]


def test_an_allow_line_that_silences_nothing_is_a_note() -> None:
    found = look("DROP VIEW a;", allow=[Allowance("drop-table", "archived", 2)])

    assert found == [
        note("unused-allow", (2, 1), "Nothing in this file needs drop-table to be allowed.", "Take the line out."),
    ]


def test_an_allow_line_needed_on_other_databases_is_not_unused() -> None:
    found = look("DROP TABLE a;", pending="CREATE TABLE a ();", allow=[Allowance("drop-table", "archived", 2)])

    assert found == []


def test_allowances_of_the_command_line_are_for_many_files() -> None:
    found = look("DROP TABLE a;", allow=[Allowance("drop-table", "", 0), Allowance("truncate", "", 0)])

    assert found == []


def test_findings_come_in_the_order_of_the_file() -> None:
    found = look("ALTER TABLE t\n  DROP a CASCADE,\n  ALTER b TYPE int,\n  DROP c;\nDROP TABLE d;")

    assert [(finding.line, finding.column, finding.rule) for finding in found] == [
        (2, 3, "drop-column"),
        (2, 10, "cascade"),
        (3, 3, "alter-type"),
        (4, 3, "drop-column"),
        (5, 12, "drop-table"),
    ]


def test_columns_are_counted_in_characters() -> None:
    found = look("/* ä€😀 */ DROP TABLE Überweisung;")

    assert [(finding.line, finding.column) for finding in found] == [(1, 22)]


def test_a_file_outside_a_transaction_may_control_its_own() -> None:
    sql = "SET lock_timeout = 0; BEGIN; ALTER TYPE m ADD VALUE 'v'; COMMIT; SELECT 'v'::m; RESET ALL;"

    assert rules(sql, mode=Mode.STATEMENTS) == []


def test_the_lock_is_kept_outside_a_transaction_too() -> None:
    assert rules("DISCARD ALL;", mode=Mode.STATEMENTS) == ["advisory-unlock"]


def test_the_errors_are_only_what_fails_or_breaks_recording() -> None:
    errors = {rule.id for rule in lint.RULES.values() if rule.severity is Severity.ERROR}

    assert errors == {
        "transaction-control",
        "transaction-mode",
        "copy-to-stdout",
        "advisory-unlock",
        "string-rules",
        "enum-value-used",
        "unknown-rule",
    }


def test_every_rule_is_listed_under_its_own_id() -> None:
    assert all(known == rule.id and rule.summary for known, rule in lint.RULES.items())


def test_broken_sql_is_left_to_the_server() -> None:
    sql = (
        "ALTER TABLE t ADD COLUMN IF NOT EXISTS c int NOT NULL DEFAULT (random()), ADD CONSTRAINT u UNIQUE (a), "
        "ADD FOREIGN KEY (a) REFERENCES p (b), ADD CHECK (a > 0), ALTER COLUMN c SET DATA TYPE int USING c::int; "
        "DROP TABLE IF EXISTS a, b CASCADE; TRUNCATE TABLE ONLY a; WITH x AS (DELETE FROM t) UPDATE t SET a = 1; "
        "CREATE UNIQUE INDEX IF NOT EXISTS i ON app.t (a); ALTER TYPE e ADD VALUE IF NOT EXISTS 'v' BEFORE 'w'; "
        "ALTER TYPE e RENAME VALUE 'a' TO 'b'; ALTER TABLE t RENAME COLUMN a TO b; SET SESSION CHARACTERISTICS AS x; "
        "SELECT set_config('a', 'b', false) INTO TEMP t; ALTER TABLE t SET SCHEMA s; ALTER ROLE r PASSWORD 'x'; 'v'"
    )
    words = sql.split(" ")

    for first in range(len(words)):
        for last in range(first, min(first + 12, len(words))):
            piece = " ".join(words[first:last])
            found = split(piece + " ;").statements if piece.count("'") % 2 == 0 else ()
            subject = lint.Subject("shop.004_x", "shop/004_x.sql", found)
            assert all(isinstance(f, Finding) for f in lint.inspect(subject, lint.created(found)))
            assert lint.unguarded(found) is not None
            assert lint.secrets(found) <= {"x"}


def test_a_hundred_thousand_inserts_are_not_taken_apart() -> None:
    found = split("INSERT INTO t (a, b) VALUES (1, 'two');\n" * 100_000).statements
    subject = lint.Subject("shop.004_x", "shop/004_x.sql", found)

    assert lint.inspect(subject, lint.created(found)) == []
    assert lint.secrets(found) == frozenset()
    assert lint.unguarded(found) == ()
