"""What a file says about how it is to be run, and what forbids it."""

from __future__ import annotations

import pytest

from sqlmigrations.parser import SQL_CHECKSUM_LIMIT, Script, parse, sql_checksum
from sqlmigrations.types import Dependency, Finding, Mode, Severity
from tests.samples import migration, sql_file

ID = "shop.004_x"
PLACE = "migrations_sql/004_x.sql"


def script(text: str) -> Script:
    return parse(migration(ID, text))


def danger(rule: str, message: str, remedy: str, line: int, column: int = 1) -> Finding:
    return Finding(rule, Severity.ERROR, message, remedy, ID, PLACE, line, column)


def sent(text: str) -> list[str]:
    found = script(text)
    assert (found.faults, found.dangers) == ((), ())
    return [statement.text for statement in found.statements]


def same(one: str, other: str) -> bool:
    return sql_checksum(sql_file("a.sql", one)) == sql_checksum(sql_file("b.sql", other))


def test_statements_mode_and_directives_come_together() -> None:
    found = script("-- depends: 001_y\nCREATE TABLE t ();\nINSERT INTO t DEFAULT VALUES")

    assert [s.text for s in found.statements] == ["CREATE TABLE t ();", "INSERT INTO t DEFAULT VALUES"]
    assert (found.mode, found.isolation, found.faults, found.dangers) == (Mode.TRANSACTION, "", (), ())
    assert found.directives.depends == (Dependency("", "001_y", 1),)


@pytest.mark.parametrize("text", ["", "\n", "-- late: why\n", "/* nothing */", ";;;"])
def test_a_file_without_a_statement_is_a_script_of_none(text: str) -> None:
    assert sent(text) == []


def test_a_comment_behind_the_first_statement_is_no_directive() -> None:
    assert script("SELECT 1;\n-- late: why\n-- transacton: on\nSELECT 2;").directives.late is None


@pytest.mark.parametrize(
    ("begin", "end"),
    [("BEGIN;", "COMMIT;"), ("begin work;", "end;"), ("START TRANSACTION;", "COMMIT"), ("BEGIN TRANSACTION;", "END")],
)
def test_a_transaction_around_the_whole_file_is_left_out(begin: str, end: str) -> None:
    assert sent(f"-- note\n{begin}\nSELECT 1;\nSELECT 2;\n{end}\n-- done") == ["SELECT 1;", "SELECT 2;"]


def test_its_isolation_is_kept() -> None:
    assert (
        script("BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nCOMMIT;").isolation == "ISOLATION LEVEL SERIALIZABLE"
    )


def test_a_transaction_around_the_whole_file_that_may_only_read_is_refused() -> None:
    found = script("\n BEGIN READ ONLY;\nSELECT 1;\nCOMMIT;")

    message = "The file declares its own transaction READ ONLY; it could not be recorded in it."
    assert found.dangers == (danger("transaction-control", message, "Remove READ ONLY.", 2, 2),)


@pytest.mark.parametrize("text", ["BEGIN;\nSELECT 1;\nROLLBACK;", "BEGIN;\nSELECT 1;\nCOMMIT AND CHAIN;", "BEGIN;"])
def test_any_other_pair_stays_in_sight(text: str) -> None:
    assert script(text).statements[0].text == "BEGIN;"


def test_a_statement_that_refuses_a_transaction_gives_the_mode_and_is_not_supported_yet() -> None:
    found = script("-- late: why\nCREATE INDEX CONCURRENTLY i ON t (a);")

    assert found.mode is Mode.STATEMENTS
    remedy = (
        f"Run it by hand (python manage.py dbshell -- -v ON_ERROR_STOP=1 -f {PLACE}), then write CREATE INDEX IF NOT "
        "EXISTS in the file, without CONCURRENTLY and with  -- allow: create-index built by hand  at its top, and "
        "apply it: it finds the index in place, and empty databases (tests, CI) get it too. Recorded with --fake as "
        "it is, it would stop every run on an empty database."
    )
    message = "CREATE INDEX CONCURRENTLY runs outside a transaction, which this version does not support."
    assert found.dangers == (danger("non-transactional", message, remedy, 2),)


def test_what_is_no_index_is_run_by_hand_and_recorded_everywhere() -> None:
    (found,) = script("REINDEX INDEX CONCURRENTLY i;").dangers

    assert found.remedy == (
        "Keep such statements in a file of their own, and on every database, empty ones (tests, CI) too, run it by "
        f"hand (python manage.py dbshell -- -v ON_ERROR_STOP=1 -f {PLACE}), then record it: "
        "python manage.py sqlmigrate_apply --fake shop 004"
    )


def test_an_index_among_other_statements_is_not_run_with_the_whole_file() -> None:
    (found,) = script("SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (a);").dangers

    assert found.remedy.startswith("Run it by hand (python manage.py dbshell), then write CREATE INDEX IF NOT EXISTS")


def test_a_mixture_of_both_kinds_is_told_as_one() -> None:
    (found,) = script("SELECT 1;\nVACUUM t;").dangers

    assert found.message == "VACUUM cannot run in a transaction, and the file mixes it with statements that can."
    assert found.line == 2


def test_neutral_statements_make_no_mixture() -> None:
    (found,) = script("SET maintenance_work_mem = '1GB';\nREINDEX INDEX CONCURRENTLY i;").dangers

    assert found.message == "REINDEX CONCURRENTLY runs outside a transaction, which this version does not support."


@pytest.mark.parametrize(("text", "line"), [("-- transaction: off\nSELECT 1;", 2), ("-- transaction: off\n", 1)])
def test_asking_for_no_transaction_is_not_supported_yet(text: str, line: int) -> None:
    (found,) = script(text).dangers

    assert found.message == "transaction: off runs outside a transaction, which this version does not support."
    assert found.line == line


def test_the_directive_decides_over_the_contents() -> None:
    assert script("-- transaction: on\nVACUUM t;").mode is Mode.TRANSACTION


@pytest.mark.parametrize(
    ("command", "remedy"),
    [
        (r"\i other.sql", r"Write out in SQL what \i stands for: no file is included, no variable is filled in."),
        (r"\set x 1", r"Write out in SQL what \set stands for: no file is included, no variable is filled in."),
        (r"\copy t from 'x'", r"Write COPY ... FROM stdin; with the rows below it and \. on a line of its own."),
        (
            r"\c shop",
            "Remove the line: a file runs on one database, that of the alias. To say which: -- database: ALIAS",
        ),
        (r"\echo hello", "Remove the line."),
        (r"\d t", "Remove the line."),
        (r"\dt+", "Remove the line."),
        (r"\timing", "Remove the line."),
        (r"\pset null x", "Remove the line."),
        (r"\x", "Remove the line."),
    ],
)
def test_a_psql_command_is_refused_with_what_takes_its_place(command: str, remedy: str) -> None:
    word = command.split()[0]

    message = f"{word} is a psql command; PostgreSQL itself does not know it."
    assert script(f"SELECT 1;\n  {command}\n").dangers == (danger("psql-command", message, remedy, 2, 3),)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            "SELECT 'abc;",
            "Close it; a quote inside a literal is written twice: 'it''s'. It may begin further up: a quote that was "
            "not closed on an earlier line ends at the next one.",
        ),
        (
            'SELECT "abc;',
            'Close it with ". It may begin further up: a quote that was not closed on an earlier line ends at the '
            "next one.",
        ),
        ("DO $do$ BEGIN END", "Write $do$ at its end."),
        ("SELECT 1; /* open /* */", "Write */ at its end; comments nest."),
        ("COPY t FROM stdin;\n1\n", r"Write \. on a line of its own after the rows."),
        ("COPY t FROM stdin", r"Write a semicolon and the rows below it, and \. on a line of its own after them."),
        ("COPY t FROM stdin; SELECT 1;\n\\.\n", "Move what follows below the data."),
    ],
)
def test_what_nothing_closes_is_told_with_what_closes_it(text: str, remedy: str) -> None:
    (found,) = script(text).dangers

    assert (found.rule, found.remedy) == ("unterminated", remedy)


def test_the_lines_pg_dump_writes_around_its_output_are_passed_over() -> None:
    assert sent("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n") == ["SELECT 1;"]


def test_an_open_quote_is_told_where_it_begins_and_the_directives_are_still_read() -> None:
    found = script("-- transacton: on\nSELECT 1;\nSELECT 'abc;\n")

    assert [(f.rule, f.line, f.column) for f in found.dangers] == [("unterminated", 3, 8)]
    assert [(f.rule, f.line) for f in found.faults] == [("unknown-directive", 1)]
    assert found.statements == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1;", "-- why\nselect  1 ;\n\n"),
        ('SELECT a FROM "T";', 'SELECT A\nFROM "T"; -- x'),
        ("-- allow: rename now\nSELECT 1;", "-- late: y\n-- irreversible: z\nSELECT 1;"),
        ("-- lock-timeout: 3s\nSELECT 1;", "-- LOCK-TIMEOUT: 3000ms\nSELECT 1;"),
        ("-- depends: 001_a, 002_b\nSELECT 1;", "-- depends: 002_b\n-- depends: 001_a\nSELECT 1;"),
    ],
)
def test_layout_comments_and_reasons_do_not_count(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'a b';", "SELECT 'a  b';"),
        ("SELECT 'a';", "SELECT 'A';"),
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1;SELECT 2;", "SELECT 1 SELECT 2;"),
        ('SELECT "a";', 'SELECT "A";'),
        ("SELECT $$-- x$$;", "SELECT $$-- y$$;"),
        ("COPY t FROM stdin;\na\tb\n\\.\n", "COPY t FROM stdin;\na b\n\\.\n"),
        ("SELECT 1;", "-- depends: 001_a\nSELECT 1;"),
        ("SELECT 1;", "-- transaction: on\nSELECT 1;"),
        ("SELECT 1;", "-- lock-timeout: 3s\nSELECT 1;"),
        ("SELECT 1;", "-- statement-timeout: 3s\nSELECT 1;"),
        ("SELECT 1;", "-- database: other\nSELECT 1;"),
    ],
)
def test_literals_data_tokens_and_effective_directives_count(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize("text", ["SELECT 'open", "-- " + "x" * SQL_CHECKSUM_LIMIT])
def test_a_text_that_cannot_be_compared_has_no_checksum_of_its_tokens(text: str) -> None:
    assert sql_checksum(sql_file("a.sql", text)) == ""
