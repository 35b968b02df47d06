"""Whatever is put together out of nasty pieces comes apart at the same seams."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmigrations.sql.scanner import ScanError, position, split, tokens
from tests.fuzz.promises import cut_by_split, cut_by_tokens, outcome

STATEMENTS = [
    "SELECT 1",
    "SELECT 'a;b', 'it''s', '\\'",
    "SELECT E'it\\'s; \\\\', e'--'",
    "SELECT E'a'\n -- it's;\n 'b\\';'",
    "SELECT $$;'$$, $a$ $b$ ; $b$ $$ ; $a$, $ö$;$ö$",
    'SELECT "a;""b", U&"\\0061;", U&\'\\0061;\'',
    "SELECT a$b$c, $1, b$$ FROM größe",
    "SELECT a--b;\n + 1",
    "SELECT /* it's; /* nested; */ \" */ 1",
    "SELECT a/*;*/b @-@ c, 1_000, 0x1F, 1.5e-3, x[1:2], '%s' % 2",
    "DO $do$ BEGIN FOR i IN 1..10 LOOP RAISE NOTICE '%;', i; END LOOP; END $do$",
    "BEGIN",
    "END",
    "SELECT begin atomic, 2 AS end FROM t",
    "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b;)",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END",
    "create or replace procedure p() begin /* ; */ atomic end",
    "CREATE -- ;\n FUNCTION g() RETURNS int AS $$ begin atomic; $$ LANGUAGE sql",
    "CALL p($$ ; $$)",
    "COPY (SELECT 1 FROM stdin) TO STDOUT",
]
COPIES = [
    "COPY t FROM stdin",
    'copy "t;" (a, "from") FROM /* ; */ STDIN WITH (FORMAT csv, DELIMITER \';\')',
]
DATA = ["\n\\.\n", " -- ';\n1\t'\n;$$\n\\.x\n/*\n\\.\n", "\n\\\\.\n é\n\\.\n"]
BETWEEN = [
    ";",
    " ;",
    ";;",
    ";\n\n",
    "; -- it's; $$\n",
    "; /* ; ' /* */ */",
    ";\r\f\v\t",
    ";\n\\unrestrict aB1\n",
]
BEFORE = ["", "\n", "-- it's;\n", "/* $$ */", ";;", "\\restrict aB1\n"]
AFTER = ["", "\n", " -- it's;", "/**/ ", ";", ";\n--"]
LETTERS = [
    "'",
    '"',
    "$$",
    "$a$",
    "$",
    "E'",
    "e",
    "\\",
    "--",
    "/*",
    "*/",
    "-",
    "/",
    "*",
    "\n",
    "\r",
    ";",
    "(",
    ")",
]
LETTERS += ["a", "é", "1", ".", "U&", "b'", " ", "''", ":", "=", "0x", "]", "\x00", "\u2028"]

plain = st.tuples(st.sampled_from(STATEMENTS), st.sampled_from(BETWEEN))
copy = st.tuples(st.sampled_from(COPIES), st.sampled_from(DATA).map(lambda data: ";" + data))
moderate = settings(max_examples=200, deadline=None, derandomize=True, database=None)


@moderate
@given(
    before=st.sampled_from(BEFORE),
    pieces=st.lists(plain | copy, max_size=8),
    last=st.sampled_from(["", *STATEMENTS]),
    after=st.sampled_from(AFTER),
)
def test_statements_put_together_come_apart_again(
    before: str, pieces: list[tuple[str, str]], last: str, after: str
) -> None:
    text = before + "".join(piece + between for piece, between in pieces) + last + after
    expected = [piece for piece, _ in pieces] + [last] * (last != "")

    statements, meta = split(text)

    assert [statement.text.removesuffix(";").rstrip() for statement in statements] == expected
    assert [position(text, statement.start) for statement in statements] == [
        (statement.line, statement.column) for statement in statements
    ]
    assert meta == ()
    assert "".join(token.text for token in tokens(text)) == text


@moderate
@given(pieces=st.lists(st.tuples(st.sampled_from(COPIES), st.sampled_from(DATA)), min_size=1, max_size=4))
def test_copy_data_comes_back_as_written(pieces: list[tuple[str, str]]) -> None:
    text = "".join(f"{statement};{data}" for statement, data in pieces)

    found = [statement.copy_data for statement in split(text).statements]

    assert found == [data.partition("\n")[2].removesuffix("\\.\n") for _, data in pieces]


@settings(moderate, max_examples=500)
@given(st.lists(st.sampled_from(LETTERS), max_size=40).map("".join))
def test_any_text_is_cut_where_its_tokens_say_or_refused(text: str) -> None:
    assert outcome(cut_by_split, text) == outcome(cut_by_tokens, text)


@settings(moderate, max_examples=500)
@given(st.lists(st.sampled_from(LETTERS), max_size=40).map("".join))
def test_the_tokens_of_any_text_joined_are_the_text(text: str) -> None:
    try:
        found = list(tokens(text))
    except ScanError as error:
        found = list(tokens(text, 0, error.offset))
        text = text[: error.offset]

    assert "".join(token.text for token in found) == text
