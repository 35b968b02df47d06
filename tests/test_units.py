from __future__ import annotations

import pytest

from sqlmigrations.sql.scanner import split
from sqlmigrations.sql.units import Digest, Unit, Way, cut


def parts(text: str) -> tuple[Unit, ...]:
    found, faults = cut(split(text).statements)
    assert faults == ()
    return found


def ways(text: str) -> list[str]:
    return [unit.way.value for unit in parts(text)]


def faults(text: str) -> list[tuple[int, str]]:
    return [(fault.statement.line, fault.message) for fault in cut(split(text).statements)[1]]


def digest(text: str) -> str:
    return Digest(split(text).statements).value


@pytest.mark.parametrize(
    ("sql", "way"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a);", "alone"),
        ("VACUUM t;", "alone"),
        ("ALTER TABLE p DETACH PARTITION q CONCURRENTLY;", "alone"),
        ("INSERT INTO t VALUES (1);", "together"),
        ("ANALYZE t;", "together"),
        ("CREATE TABLE temp (a int);", "together"),
        ("SELECT 1;", "together"),
        ("CALL p();", "together"),
        ("SET search_path = a;", "session"),
        ("RESET ALL;", "session"),
        ("SET LOCAL lock_timeout = 1;", "session"),
        ("SELECT pg_catalog.set_config('search_path', '', false);", "session"),
        ("CREATE LOCAL TEMPORARY TABLE x (a int);", "session"),
        ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1';", "session"),
        ("SELECT a INTO TEMP TABLE x FROM t;", "session"),
        ("SELECT a INTO x FROM t;", "together"),
        ("CREATE TABLE x AS SELECT * FROM pg_temp.y;", "together"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1;", "session"),
    ],
)
def test_how_a_statement_reaches_the_server(sql: str, way: str) -> None:
    assert ways(sql) == [way]


def test_what_is_about_a_temporary_table_belongs_to_the_session_as_well() -> None:
    text = """\
CREATE TEMP TABLE IF NOT EXISTS todo (id int);
INSERT INTO todo SELECT id FROM invoices;
INSERT INTO invoices SELECT id FROM todo;
CREATE INDEX ON pg_temp.todo (id);
COPY todo FROM stdin;
1
\\.
UPDATE ONLY todo SET id = 2;
DELETE FROM other;
SELECT 1 AS id INTO TEMPORARY more;
TRUNCATE more;
"""

    assert ways(text) == [
        "session",
        "session",
        "together",
        "session",
        "session",
        "session",
        "together",
        "session",
        "session",
    ]


def test_a_transaction_in_the_file_is_one_unit() -> None:
    found = parts(
        "VACUUM t;\nBEGIN ISOLATION LEVEL SERIALIZABLE;\nSAVEPOINT a;\nSET x.y = 1;\nSET LOCAL x.z = 1;\nEND;\n"
    )

    assert [(unit.first, unit.last, unit.way) for unit in found] == [(1, 1, Way.ALONE), (2, 6, Way.TOGETHER)]
    assert [statement.text for statement in found[1].statements] == [
        "SAVEPOINT a;", "SET x.y = 1;", "SET LOCAL x.z = 1;",
    ]  # fmt: skip
    assert found[1].isolation == "ISOLATION LEVEL SERIALIZABLE"
    assert [statement.text for statement in found[1].lasting] == ["SET x.y = 1;"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BEGIN;\nSELECT 1;", [(1, "BEGIN is not followed by its COMMIT.")]),
        ("SELECT 1;\nCOMMIT;", [(2, "COMMIT cannot stand in this place.")]),
        ("SAVEPOINT a;", [(1, "SAVEPOINT A cannot stand in this place.")]),
        ("BEGIN;\nROLLBACK;\nCOMMIT;", [(2, "ROLLBACK cannot stand within the transaction of line 1.")]),
        ("BEGIN;\nBEGIN;\nCOMMIT;", [(2, "BEGIN cannot stand within the transaction of line 1.")]),
        ("BEGIN READ ONLY;\nCOMMIT;", [(1, "The transaction is READ ONLY; it could not be recorded in it.")]),
        (
            "BEGIN;\nVACUUM t;\nCOMMIT;",
            [(2, "VACUUM cannot run in the transaction that line 1 begins.")],
        ),
        (
            "BEGIN;\nCOMMIT AND CHAIN;",
            [
                (2, "COMMIT AND CHAIN cannot stand within the transaction of line 1."),
                (1, "BEGIN is not followed by its COMMIT."),
            ],
        ),
    ],
)
def test_transaction_control_that_fits_no_transaction_is_told(text: str, expected: list[tuple[int, str]]) -> None:
    assert faults(text) == expected


def test_a_digest_is_of_tokens_and_data() -> None:
    assert digest("select  1; -- x\n") == digest("SELECT 1;")
    assert digest("SELECT 'a';") != digest("SELECT 'A';")
    assert digest("COPY t FROM stdin;\n1\n\\.\n") != digest("COPY t FROM stdin;\n2\n\\.\n")
    assert digest("SELECT 1;\nSELECT 2;") != digest("SELECT 1; SELECT 2 SELECT 3;")


def test_a_digest_grows_without_changing() -> None:
    one, two = split("SELECT 1;SELECT 2;").statements
    short = Digest([one])

    longer = short.with_more([two])

    assert longer.value == Digest([one, two]).value
    assert short.value == Digest([one]).value
