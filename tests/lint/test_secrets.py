from __future__ import annotations

import pytest

from sqlmigrations import lint
from sqlmigrations.parser import parse
from tests.lint.looking import statements
from tests.samples import migration


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE ROLE r LOGIN PASSWORD 'hunter2' VALID UNTIL '2030-01-01';", {"hunter2"}),
        (
            "ALTER USER r WITH ENCRYPTED PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$a:b';",
            {"SCRAM-SHA-256$4096:c2FsdA==$a:b"},
        ),
        ("alter group r password /* old */ $x$md5$5$x$;", {"md5$5"}),
        ("ALTER ROLE r PASSWORD 'it''s';", {"it's", "it''s"}),
        (
            r"ALTER ROLE r PASSWORD E'a\x62\'\n\101\u0062\U00000062\\';",
            {r"a\x62\'\n\101\u0062\U00000062\\"} | {"ab'\nAbb\\"},
        ),
        (r"ALTER ROLE r PASSWORD U&'\0061\+000062\\';", {r"\0061\+000062\\", "ab\\"}),
        ("ALTER ROLE r PASSWORD 'hun' -- it's\n  'ter2';", {"hunter2", "hun", "ter2"}),
        ("CREATE USER MAPPING FOR r SERVER s OPTIONS (user 'u', password 'hunter2');", {"hunter2"}),
        ("ALTER USER MAPPING FOR r SERVER s OPTIONS (SET \"password\" 'hunter2');", {"hunter2"}),
        ("CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2 user=u' PUBLICATION p;", {"hunter2"}),
        ("SELECT dblink_connect('password = ''hun ter'' host=h');", {"hun ter"}),
        (r"SELECT dblink_connect($$password='hun\'ter' host=h$$);", {r"hun\'ter", "hun'ter"}),
        ("SELECT dblink('postgresql://u:hunter2@h:5432/d?x=1', 'SELECT 1');", {"hunter2"}),
        ("SELECT dblink('postgres://h/d?password=hunter2&user=u', 'SELECT 1');", {"hunter2"}),
        ("DO $$ BEGIN CREATE ROLE r PASSWORD 'hunter2'; END $$;", {"hunter2"}),
        ("DO $$ BEGIN EXECUTE 'CREATE ROLE r PASSWORD ''it''''s'''; END $$;", {"it's", "it''s", "it''''s"}),
        ("DO $$ BEGIN EXECUTE format('ALTER ROLE %I PASSWORD %L', 'r', 'hunter2'); END $$;", {"r", "hunter2"}),
        ("DO $$ BEGIN EXECUTE 'ALTER ROLE r PASSWORD ' || quote_literal('hunter2'); RAISE 'x'; END $$;", {"hunter2"}),
        ("SELECT set_password(new_password => 'hunter2', reason => 'none');", {"hunter2"}),
        ("DO $$ DECLARE v_password text := 'hunter2'; BEGIN NULL; END $$;", {"hunter2"}),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $f$ ALTER ROLE r PASSWORD 'hunter2' $f$;", {"hunter2"}),
    ],
)
def test_every_spelling_of_a_password_is_known(sql: str, expected: set[str]) -> None:
    found = lint.secrets(statements(sql))

    doubled = {text.replace("'", "''") for text in expected}
    assert expected <= found <= expected | doubled | {text.replace("'", "''") for text in doubled}


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER ROLE r PASSWORD NULL;",
        "ALTER ROLE r PASSWORD '';",
        "INSERT INTO words VALUES ('password', 'Passwort'), ('Your password %s', 'subject');",
        "INSERT INTO words SELECT 'the password', 'x' || 'y';",
        "SELECT $$'a' IS NOT password%TYPE$$;",
        "SELECT f(password, kind := 'x');",
        "SELECT 1 AS \"PASSWORD 'hunter2'\" -- PASSWORD 'hunter2'",
        "CREATE TABLE users (password text DEFAULT 'none' CHECK (password <> 'x'));",
        "COMMENT ON COLUMN users.password IS 'md5';",
        "SELECT format('ALTER ROLE r PASSWORD %L', pw), 'host=h password=$1', 'password=%s';",
        "SELECT 'https://example.org:8080/a@b', 'mailto:a@b', 'postgresql://u@h/d';",
    ],
)
def test_no_text_is_hidden_without_need(sql: str) -> None:
    assert lint.secrets(statements(sql)) == frozenset()


def test_a_body_that_ends_in_the_middle_is_read_as_far_as_it_goes() -> None:
    sql = "DO $$ BEGIN ALTER ROLE r PASSWORD 'hunter2'; RAISE 'open $$;"

    assert lint.secrets(statements(sql)) == {"hunter2"}


def test_passwords_of_several_statements_come_together() -> None:
    sql = "ALTER ROLE a PASSWORD 'hunter2'; SELECT 'hunter9'; ALTER ROLE b PASSWORD 'hunter3';"

    assert lint.secrets(statements(sql)) == {"hunter2", "hunter3"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-- ALTER ROLE r PASSWORD 'hunter2';\nSELECT 1;\n", {"hunter2"}),
        ("SELECT /* it's password=hunter2 */ 1;\n", {"hunter2"}),
        ("SELECT 1; -- was postgresql://u:hunter2@h/d\n", {"hunter2"}),
        ("COPY t FROM stdin;\npassword=x1\n\\.\n/*\n don't: password='hun ter2'\n*/\n", {"hun ter2"}),
        ("-- ALTER ROLE r PASSWORD 'hunter2';\n", {"hunter2"}),
        ("-- password = of the role; password=NULL, u.password=v.password\nSELECT 1;\n", set()),
        ("-- The password is 'none of your business'\nSELECT 1;\n", set()),
    ],
)
def test_passwords_in_comments_are_found(text: str, expected: set[str]) -> None:
    assert lint.secrets(statements(text), text) == expected


def test_a_password_in_a_comment_of_a_file_that_cannot_be_cut_is_known_all_the_same() -> None:
    text = "-- password=geheim123\nSELECT 'open;\n"

    assert lint.secrets(parse(migration("a.001_a", text)).statements, text) == {"geheim123"}
