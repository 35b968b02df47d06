"""The scanner's cases, each a file with its expected statements beside it, and what no file can show."""

from __future__ import annotations

import time
from pathlib import Path

import postgast
import pytest

from sqlmigrations.sql.scanner import (
    MetaCommand,
    ScanError,
    TokenKind,
    position,
    significant,
    split,
    tokens,
)
from sqlmigrations.sql.statements import verb

FOLDER = Path(__file__).parent / "cases" / "scanner"
CASES = sorted(path.stem for path in FOLDER.glob("*.sql"))
OPEN = [name for name in CASES if name.startswith("open_") and name not in {"open_parenthesis", "open_atomic_body"}]
UNFINISHED_COPY = {
    "copy_and_more_on_its_line",
    "copy_without_data",
    "copy_without_end",
    "copy_without_semicolon",
}
REFUSED_BY_THE_GRAMMAR = {
    # The server goes on with a string past comments; libpg_query, which keeps comments as tokens, does not.
    "continued_past_comments",
    "extra_parenthesis",
    # With \gexec blanked out its statement has no end.
    "meta_commands",
    "open_atomic_body",
    "open_parenthesis",
}
JUDGED = [name for name in CASES if name not in {*OPEN, *UNFINISHED_COPY, *REFUSED_BY_THE_GRAMMAR}]
ENDLESS = [
    "(",
    ")",
    "$",
    "'",
    "/*",
    "-",
    '"',
    ";",
    "[",
    "\\",
    "E'",
    "$a$",
    "U&",
    "*/",
    "1.",
    "+",
    "- ",
    "$a ",
]
ENDLESS += ["\\\n", "E'a'\n", "'a'\n", "--\n", "copy ", "create ", "create function f() begin atomic "]
COMMENTS = {postgast.pg_query_pb2.SQL_COMMENT, postgast.pg_query_pb2.C_COMMENT}


def read(name: str) -> str:
    return (FOLDER / f"{name}.sql").read_bytes().decode()


def described(text: str) -> list[str]:
    """What an ``.expected`` file holds: a line for each statement and each psql command, or the error."""
    try:
        statements, meta = split(text)
    except ScanError as error:
        return [f"{error.line}:{error.column} error: {error.message}"]
    lines = []
    for statement in statements:
        end = "{}:{}".format(*position(text, statement.end))
        lines.append(f"{statement.line}:{statement.column} to {end} {' '.join(verb(statement))}")
        if statement.copy_data is not None:
            lines.append(f"  data {statement.copy_data!r}")
    return lines + [f"{command.line}:{command.column} meta {command.text}" for command in meta]


def without_psql(text: str) -> str:
    """The text as a grammar knows it: psql commands and COPY data blanked out, every offset kept."""
    blank = (TokenKind.META, TokenKind.DATA)
    return "".join(" " * len(token.text) if token.kind in blank else token.text for token in tokens(text))


def offset_in_bytes(text: str, offset: int) -> int:
    return len(text[:offset].encode())


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_cut_as_expected(name: str) -> None:
    expected = (FOLDER / f"{name}.expected").read_text(encoding="utf-8").splitlines()

    assert described(read(name)) == expected


@pytest.mark.parametrize("name", [name for name in CASES if name not in {*OPEN, *UNFINISHED_COPY}])
def test_the_tokens_of_a_case_joined_are_the_text(name: str) -> None:
    text = read(name)

    found = list(tokens(text))

    assert "".join(token.text for token in found) == text
    assert all(text.startswith(token.text, token.start) for token in found)


@pytest.mark.parametrize("name", JUDGED)
def test_libpg_query_finds_the_same_statements(name: str) -> None:
    text = read(name)
    judged = without_psql(text)
    words = [token for token in postgast.scan(judged).tokens if token.token not in COMMENTS]

    theirs = []
    for found in postgast.parse(judged).stmts:
        start = found.stmt_location
        end = start + found.stmt_len if found.stmt_len else len(judged.encode())
        inside = [word for word in words if start <= word.start and word.end <= end]
        theirs.append((inside[0].start, inside[-1].end))

    ours = []
    for statement in split(text).statements:
        inner = [token for token in statement.tokens() if token.kind is not TokenKind.META]
        end = inner[-1].start + len(inner[-1].text)
        ours.append((offset_in_bytes(judged, statement.start), offset_in_bytes(judged, end)))
    assert ours == theirs


@pytest.mark.parametrize("name", JUDGED)
def test_libpg_query_finds_the_same_tokens(name: str) -> None:
    text = read(name)
    judged = without_psql(text)

    theirs = [(token.start, token.end) for token in postgast.scan(judged).tokens if token.token not in COMMENTS]

    ours = [
        (offset_in_bytes(judged, token.start), offset_in_bytes(judged, token.start + len(token.text)))
        for token in significant(text)
        if token.kind not in (TokenKind.META, TokenKind.DATA)
    ]
    assert ours == theirs


@pytest.mark.parametrize("name", sorted(REFUSED_BY_THE_GRAMMAR))
def test_a_case_without_a_judge_is_one_the_grammar_refuses(name: str) -> None:
    judged = without_psql(read(name))

    with pytest.raises(postgast.PgQueryError):
        postgast.parse(judged)


@pytest.mark.parametrize("name", OPEN)
def test_libpg_query_refuses_what_is_left_open_too(name: str) -> None:
    text = read(name)

    with pytest.raises(postgast.PgQueryError):
        postgast.parse(text)


def test_the_tokens_of_a_statement_stand_where_they_are_in_the_text() -> None:
    text = "SELECT 1;\n/* two */ SELECT -- it\n 2 ;"

    statement = split(text).statements[1]

    assert statement.tokens() == (
        (TokenKind.WORD, "SELECT", 20),
        (TokenKind.NUMBER, "2", 34),
    )
    assert statement.text == "SELECT -- it\n 2 ;"
    assert statement.copy_data is None


def test_a_range_that_ends_before_the_data_of_a_copy_is_read_without_it() -> None:
    text = "COPY t FROM stdin;\n1\n\\.\nSELECT 1;"
    statement = split(text).statements[0]

    found = [token.text for token in significant(text, statement.start, statement.end)]

    assert found == ["COPY", "t", "FROM", "stdin", ";"]


def test_copy_data_is_one_token_with_its_closing_line() -> None:
    text = "COPY t FROM stdin;\n1;'\n\\.\nSELECT 1;"

    data = [token for token in tokens(text) if token.kind is TokenKind.DATA]

    assert data == [(TokenKind.DATA, "1;'\n\\.", 19)]


def test_copy_data_with_carriage_returns_is_closed_by_its_line() -> None:
    text = "COPY t FROM stdin;\r\n1\r\n\\.\r\nSELECT 1;\r\n"

    statements = split(text).statements

    assert [statement.copy_data for statement in statements] == ["1\r\n", None]


def test_from_stdout_means_from_stdin_as_to_the_server() -> None:
    assert split("COPY t FROM STDOUT;\n1\n\\.\n").statements[0].copy_data == "1\n"


def test_a_quoted_stdin_is_no_source_of_data() -> None:
    assert len(split('COPY t FROM "stdin"; SELECT 1').statements) == 2


def test_a_lone_carriage_return_ends_a_comment() -> None:
    found = split("SELECT 1 -- it's;\r; SELECT 2").statements

    assert [statement.text for statement in found] == ["SELECT 1 -- it's;\r;", "SELECT 2"]


def test_psql_commands_are_listed_in_the_order_of_the_text() -> None:
    text = "\\set a 1\nSELECT 1 \\gset  \n;\n"

    assert split(text).meta == (MetaCommand("\\set a 1", 1, 1), MetaCommand("\\gset", 2, 10))


def test_an_error_says_where_the_quote_was_opened() -> None:
    with pytest.raises(ScanError) as caught:
        split("SELECT 1;\n  SELECT 'it''s\n")

    error = caught.value
    assert (error.message, error.offset, error.line, error.column) == (
        "unterminated quoted string",
        19,
        2,
        10,
    )
    assert str(error) == "unterminated quoted string at line 2, column 10"


@pytest.mark.parametrize(
    "piece",
    ENDLESS,
)
def test_endless_repetition_takes_linear_time(piece: str) -> None:
    text = piece * (200_000 // len(piece))

    started = time.process_time()
    try:
        split(text)
        for _ in tokens(text):
            pass
    except ScanError:
        pass

    assert time.process_time() - started < 3  # a tenth of that is usual; quadratic would be a minute
