from __future__ import annotations

import pytest

from tests.lint.looking import look, rules, warning


def test_a_password_is_reported_without_being_shown() -> None:
    sql = """\
CREATE ROLE clerk LOGIN
  PASSWORD 'hunter2';
"""

    found = look(sql)

    assert found == [
        warning(
            "secret-literal",
            (2, 12),
            "A password stands in this file, so everybody who can read the repository can read it.",
            "Take it out, and change it where it is in use: create the role without one and set it "
            "outside the migrations (\\password in psql, or your secret store).",
        ),
    ]


def test_two_passwords_inside_do_are_one_finding() -> None:
    sql = """\
DO $$ BEGIN
  EXECUTE 'ALTER ROLE a PASSWORD ''hunter2''';
  EXECUTE 'ALTER ROLE b PASSWORD ''hunter3''';
END $$;
"""

    found = look(sql)

    assert found == [
        warning(
            "secret-literal",
            (1, 4),
            "A password stands in this file, so everybody who can read the repository can read it.",
            "Take it out, and change it where it is in use: create the role without one and set it "
            "outside the migrations (\\password in psql, or your secret store).",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER ROLE clerk PASSWORD NULL;",
        "CREATE TABLE users (password text NOT NULL DEFAULT '');",
        "INSERT INTO users (name, password) VALUES ('a', 'b');",
        "COMMENT ON COLUMN users.password IS 'never plain';",
        "INSERT INTO links VALUES ('https://example.org/a:b@c');",
    ],
)
def test_there_is_no_password(sql: str) -> None:
    assert rules(sql) == []
