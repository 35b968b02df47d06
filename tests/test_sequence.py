"""Runs of plain INSERTs are cut, told and looked at as a whole: never otherwise than one statement after the other."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmigrations import lint
from sqlmigrations.parser import Script, parse
from sqlmigrations.sql import batches, patience, scanner, sequence, statements
from sqlmigrations.sql.scanner import ScanError, Split, Statement, position, split
from sqlmigrations.sql.sequence import Statements, holding, lacking, stretches, telling
from sqlmigrations.types import Audience
from tests.samples import migration

HEADS = [
    "INSERT INTO t VALUES",
    'insert  into public.t (a, "b;")\nvalues',
    "INSERT INTO t (password) VALUES",
    "INSERT INTO pg_temp.t VALUES",
    'INSERT INTO "dblink" VALUES',
    "INSERT INTO t (values) VALUES",
    "INSERT INTO t -- ;\n VALUES",
    "UPDATE t SET",
]
VALUES = [
    "1",
    "-1.5e-3",
    "'a;b'",
    "'it''s'",
    "NULL",
    "true",
    "now()",
    "'{}'::jsonb",
    "' -- : https://u:hunter2@h/ '",
    "'password=geheim'",
    "E'it\\'s;'",
    "e'\\\\'",
    "$$;$$",
    "set_config('a', 'b', false)",
    "pg_advisory_lock(1)",
    "DEFAULT",
    "'x'\n'y'",
    "1 -- );\n",
    "/* ; */ 2",
    "(SELECT 1)",
    "ARRAY['a', 'b']",
    "- -1",
    "--",
    "'",
    '"',
    ")",
    "(",
    "\\",
    "é",
    "trueE'\\''",
    "1e'\\''",
    "null",
    "nullx'1'",
]
ENDS = [
    ";",
    ";\n",
    ") ;",
    ");",
    ")\n;\n",
    ") ON CONFLICT DO NOTHING;\n",
    ") RETURNING a;\n",
    "), ();",
    ")",
    ";;",
    "); -- x\n",
]
OTHERS = [
    "CREATE TABLE t (a int);\n",
    "CREATE INDEX CONCURRENTLY i ON t (a);\n",
    "SET search_path = a;\n",
    "ALTER TYPE mood ADD VALUE 'a;b';\n",
    "COPY t FROM stdin;\n1;\n\\.\n",
    "\\restrict x\n",
    "\\set a\n",
    "ROLLBACK;\n",
    "SELECT 1;\n",
]
row = st.lists(st.sampled_from(VALUES), min_size=1, max_size=4).map(lambda values: f"({', '.join(values)}")
usual = st.tuples(st.sampled_from(HEADS[:3]), row, st.sampled_from([");", ");\n", "), (2);\n"])).map(" ".join)
wild = st.tuples(st.sampled_from(HEADS), row, st.sampled_from(ENDS)).map(" ".join)
texts = st.lists(usual | usual | wild | st.sampled_from(OTHERS), max_size=12).map("".join)
many = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def one_by_one(text: str) -> Split:
    """As it is cut where no run of INSERTs is looked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "plain_inserts", nothing)
        return split(text)


def nothing(text: str, pos: int, end: int) -> Iterator[tuple[int, int]]:
    return iter(())


def cut(text: str) -> Split | None:
    try:
        return split(text)
    except ScanError:
        return None


@settings(many, max_examples=400)
@given(texts)
def test_a_text_is_cut_as_if_no_run_were_looked_for(text: str) -> None:
    try:
        expected = one_by_one(text)
    except ScanError as error:
        with pytest.raises(ScanError, match=f"^{re.escape(str(error))}$"):
            split(text)
        return

    found = split(text)

    assert found.statements == tuple(expected.statements)
    assert found.meta == expected.meta
    assert [(s.line, s.column) for s in found.statements] == [position(text, s.start) for s in found.statements]


@many
@given(texts)
def test_the_first_of_a_run_tells_what_all_of_it_is(text: str) -> None:
    if (found := cut(text)) is None:
        return

    every = found.statements

    for first, last in stretches(every):
        told = [
            (
                statements.control(each),
                statements.refuses_transaction(each),
                statements.is_neutral(each),
                statements.sets(each),
                statements.touches_session(each),
                patience.of(each),
                each.data,
                tuple(name for _, name in lint.created([each]).places),
            )
            for each in every[first : last + 1]
        ]
        assert told == told[:1] * len(told)
    assert [index for first, last in stretches(every) for index in range(first, last + 1)] == list(range(len(every)))


@many
@given(texts)
def test_a_file_is_judged_as_if_every_statement_were_looked_at(text: str) -> None:
    if (found := cut(text)) is None:
        return
    every, singly = found.statements, tuple(found.statements)
    known = lint.created(singly)

    assert lint.created(every) == known
    assert lint.unguarded(every) == lint.unguarded(singly)
    assert lint.secrets(every, text) == lint.secrets(singly, text)
    assert patience.turning_point(every) == patience.turning_point(singly)
    assert statements.any_touches_session(every) == any(map(statements.touches_session, singly))
    assert lint.inspect(lint.Subject("a.1", "a.sql", every), known) == lint.inspect(
        lint.Subject("a.1", "a.sql", singly), known
    )


@many
@given(texts, st.integers(0, 6), st.sampled_from(Audience))
def test_batches_hold_every_statement_of_a_run_once(text: str, turn: int, audience: Audience) -> None:
    if (found := cut(text)) is None:
        return
    every = found.statements

    parts = list(batches.cut(every, turn, audience))

    assert [index for part in parts for index in range(part.first, part.last + 1)] == list(range(len(every)))
    assert all(not part.first < turn <= part.last for part in parts)
    assert [(part.head, part.end) for part in parts] == [(every[part.first], every[part.last].end) for part in parts]


def test_statements_are_a_sequence_like_a_tuple_of_them() -> None:
    text = "SELECT 1;\n" + "INSERT INTO t VALUES (1, 'a');\n  " * 5 + "COPY t FROM stdin;\n1\n\\.\nSELECT 2"
    every = split(text).statements
    singly = tuple(every)

    assert len(every) == 8
    assert every == singly
    assert every[2:5] == singly[2:5]
    assert every[1:-1][1:-1] == singly[2:-2]
    assert every[::-2] == singly[::-2]
    assert every[-1] == singly[-1]
    assert every[6:][0].copy_data == "1\n"
    assert every != singly[:-1]
    assert (every[3] in every, every.index(singly[3])) == (True, 3)
    assert [every[at].line for at in (7, 2, 5, 0)] == [10, 3, 6, 1]
    with pytest.raises(IndexError):
        every[8]


def test_a_slice_of_a_run_is_told_by_its_own_first_statement() -> None:
    every = split("SELECT 1;" + "INSERT INTO t VALUES (1);" * 6 + "SELECT 2;").statements

    assert list(stretches(every)) == [(0, 0), (1, 6), (7, 7)]
    assert list(stretches(every[3:5])) == [(0, 1)]
    assert list(stretches(every[3:])) == [(0, 3), (4, 4)]
    assert list(stretches(every[:3])) == [(0, 0), (1, 2)]
    assert list(stretches(every[7:])) == [(0, 0)]
    assert list(stretches(every[3:3])) == []


def test_statements_that_hold_a_word_are_found_by_searching() -> None:
    every = split("SELECT 'b';" + "INSERT INTO t VALUES ('a');" * 3 + "/* b */ INSERT INTO t VALUES ('b');").statements

    assert list(holding(every, re.compile("b"))) == [every[0], every[4]]
    assert list(holding(every[1:], re.compile("b"))) == [every[4]]
    assert list(holding(every[1:4], re.compile("b"))) == []
    assert list(holding(every, re.compile("c"))) == []


def test_a_word_in_the_data_of_a_copy_is_none_of_the_statements() -> None:
    text = "SELECT 1;\nCOPY t FROM stdin;\npassword=geheim\n\\.\nINSERT INTO t VALUES ('b'); -- c"
    every = split(text).statements

    assert lacking(every, re.compile("geheim"))
    assert not any(lacking(every, re.compile(word)) for word in ("COPY", "b", "c"))
    assert lint.secrets(every, text) == set()
    noted = text.replace("-- c", "-- password=geheim1")
    assert lint.secrets(split(noted).statements, noted) == {"geheim1"}


class Counted(Statement):
    made = 0

    def __init__(self, *args: object) -> None:
        type(self).made += 1
        super().__init__(*args)  # type: ignore[arg-type]


def test_no_statement_of_a_long_run_is_made_to_parse_check_and_send_it(monkeypatch: pytest.MonkeyPatch) -> None:
    script = migration("a.001_a", "CREATE TABLE t (a int, b text);\n" + rows(20_000))
    monkeypatch.setattr(sequence, "Statement", Counted)
    Counted.made = 0

    parsed = parse(script)
    looked_at(parsed)
    list(batches.cut(parsed.statements, patience.turning_point(parsed.statements), Audience.LATER))

    assert len(parsed.statements) == 20_001
    assert list(stretches(parsed.statements)) == [(0, 0), (1, 20_000)]
    assert Counted.made < 100


def test_a_text_of_two_megabytes_is_looked_at_in_less_room_than_it_takes() -> None:
    script = migration("a.001_a", rows(34_000))
    tracemalloc.start()
    try:
        looked_at(parse(script))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(script.file.text) > 2_000_000
    assert peak < len(script.file.text)


def rows(count: int) -> str:
    return "".join(f"INSERT INTO t (a, b) VALUES ({row}, 'row {row}; it''s one of them');\n" for row in range(count))


def looked_at(script: Script) -> None:
    lint.secrets(script.statements, script.migration.file.text)
    lint.inspect(lint.Subject("a.1", "a.sql", script.statements), lint.created(script.statements))
    statements.any_touches_session(script.statements)
    assert isinstance(script.statements, Statements)
    assert [index for index, _ in telling(script.statements)]
