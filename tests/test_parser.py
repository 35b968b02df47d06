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


def test_a_file_of_statements_that_refuse_a_transaction_runs_statement_by_statement_without_being_told() -> None:
    found = script("SET maintenance_work_mem = '1GB';\nCREATE INDEX CONCURRENTLY i ON t (a);\nANALYZE t;")

    assert (found.mode, found.dangers) == (Mode.STATEMENTS, ())


def test_a_mixture_of_both_kinds_names_both_lines_and_the_ways_out() -> None:
    found = script("SELECT 1;\n CREATE INDEX CONCURRENTLY i ON t (a);")

    message = (
        "CREATE INDEX CONCURRENTLY cannot run in a transaction, and the file mixes it with statements that can, such "
        "as SELECT in line 1."
    )
    remedy = (
        "Move it into a file of its own; or write  -- transaction: off   at the top: every statement then takes "
        "effect by itself, and a run that stops half way goes on at the statement where it stopped."
    )
    assert found.dangers == (danger("non-transactional", message, remedy, 2, 2),)


def test_a_mixture_that_says_so_is_in_order() -> None:
    found = script("-- transaction: off\nSELECT 1;\nVACUUM t;")

    assert (found.mode, found.dangers) == (Mode.STATEMENTS, ())


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (
            "-- transaction: on\nVACUUM t;",
            "VACUUM cannot run in a transaction, and the file says  -- transaction: on .",
            "Write  -- transaction: off   instead, or move it into a file of its own.",
        ),
        (
            "BEGIN;\nVACUUM t;\nCOMMIT;",
            "VACUUM cannot run in a transaction, and the file is one, from its BEGIN to its COMMIT.",
            "Take BEGIN and COMMIT out, or move it into a file of its own.",
        ),
    ],
)
def test_a_statement_that_refuses_the_transaction_it_is_put_into_is_told(text: str, message: str, remedy: str) -> None:
    assert script(text).dangers == (danger("non-transactional", message, remedy, 2),)


def test_a_transaction_around_a_part_of_a_file_outside_of_one_is_in_order() -> None:
    found = script("-- transaction: off\nBEGIN;\nSELECT 1;\nCOMMIT;\nVACUUM t;\nBEGIN;\nSELECT 2;\nEND;")

    assert (len(found.statements), found.dangers) == (7, ())


def test_what_would_end_a_transaction_that_is_not_its_own_is_told_where_it_stands() -> None:
    (found,) = script("-- transaction: off\nSELECT 1;\nCOMMIT;").dangers

    assert (found.rule, found.line, found.message) == (
        "transaction-control", 3, "COMMIT cannot stand in this place.",
    )  # fmt: skip


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
    assert found.dangers[0].excerpt == "  2 | SELECT 1;\n> 3 | SELECT 'abc;\n    |        ^"
    assert [(f.rule, f.line) for f in found.faults] == [("unknown-directive", 1)]
    assert found.statements == ()


def test_an_open_quote_beside_a_password_is_not_shown() -> None:
    (found,) = script("ALTER ROLE a PASSWORD 'hunter2';\nCOMMENT ON TABLE a IS 'it's';\n").dangers

    assert (found.rule, found.line, found.excerpt) == ("unterminated", 2, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1;", "-- why\nselect  1 ;\n\n"),
        ('SELECT a FROM "T";', 'SELECT A\nFROM "T"; -- x'),
        ("-- allow: rename now\nSELECT 1;", "-- late: y\n-- irreversible: z\nSELECT 1;"),
        ("-- lock-timeout: 3s\nSELECT 1;", "-- LOCK-TIMEOUT: 3000ms\nSELECT 1;"),
        ("-- depends: 001_a, 002_b\nSELECT 1;", "-- depends: 002_b\n-- depends: 001_a\nSELECT 1;"),
        ("SELECT 1;", "-- depends: django:shop.0003_x\nSELECT 1;"),
        ("-- runs-in: django:shop.0004_x\nSELECT 1;", "-- runs-in: django:shop.0001_squashed\nSELECT 1;"),
    ],
)
def test_layout_comments_reasons_and_migrations_of_django_do_not_count(one: str, other: str) -> None:
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
