from __future__ import annotations

import pytest

from tests.lint.looking import error, look, rules, warning


def test_set_without_local_names_the_local_form() -> None:
    sql = "SET SESSION search_path TO billing, public;"

    found = look(sql)

    assert found == [
        warning(
            "session-state",
            (1, 1),
            "SET search_path without LOCAL outlives this file's transaction; run by psql or another "
            "tool, what comes after it sees it too.",
            "SET LOCAL search_path TO billing, public",
        ),
    ]


def test_a_timeout_has_a_directive_of_its_own() -> None:
    sql = "SET lock_timeout = '5s';"

    found = look(sql)

    assert found == [
        warning(
            "session-state",
            (1, 1),
            "SET lock_timeout without LOCAL outlives this file's transaction; run by psql or another "
            "tool, what comes after it sees it too.",
            "SET LOCAL lock_timeout = '5s'; or for the whole file, in its first lines: -- lock-timeout: 5s",
        ),
    ]


def test_set_role_stays_too() -> None:
    sql = """\
SET ROLE clerk;
SET SESSION AUTHORIZATION clerk;
"""

    found = look(sql)

    assert found == [
        warning(
            "session-state",
            (1, 1),
            "SET role without LOCAL outlives this file's transaction; run by psql or another tool, "
            "what comes after it sees it too.",
            "SET LOCAL ROLE clerk",
        ),
        warning(
            "session-state",
            (2, 1),
            "SET SESSION AUTHORIZATION without LOCAL outlives this file's transaction; run by psql or "
            "another tool, what comes after it sees it too.",
            "SET LOCAL SESSION AUTHORIZATION clerk",
        ),
    ]


def test_session_characteristics_are_about_later_transactions() -> None:
    sql = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;"

    found = look(sql)

    assert found == [
        warning(
            "session-state",
            (1, 1),
            "SET SESSION CHARACTERISTICS without LOCAL outlives this file's transaction; run by psql "
            "or another tool, what comes after it sees it too.",
            "Take it out: it is about transactions after this file's.",
        ),
    ]


def test_reset_and_listen_change_the_session() -> None:
    sql = "RESET search_path; LISTEN invoices;"

    found = look(sql)

    assert found == [
        warning(
            "session-state",
            (1, 1),
            "RESET search_path changes the session beyond this file's transaction.",
            "Take RESET search_path out: the runner gives every file a clean session.",
        ),
        warning(
            "session-state",
            (1, 20),
            "LISTEN invoices changes the session beyond this file's transaction.",
            "Take LISTEN invoices out: the runner gives every file a clean session.",
        ),
    ]


def test_set_config_with_false_is_a_set_without_local() -> None:
    sql = "SELECT pg_catalog.set_config('search_path', '', false);"

    found = look(sql)

    assert found == [
        warning(
            "session-state",
            (1, 19),
            "set_config of search_path with false outlives this file's transaction; run by psql or "
            "another tool, what comes after it sees it too.",
            "set_config('search_path', '', true)",
        ),
    ]


def test_discard_all_releases_the_lock() -> None:
    sql = "DISCARD ALL;"

    found = look(sql)

    assert found == [
        error(
            "advisory-unlock",
            (1, 1),
            "DISCARD ALL releases every advisory lock of the session, the one against a second runner too.",
            "Take it out: the runner gives every file a clean session.",
        ),
    ]


def test_unlock_all_is_found_in_a_query() -> None:
    sql = "SELECT pg_catalog.pg_advisory_unlock_all();"

    found = look(sql)

    assert found == [
        error(
            "advisory-unlock",
            (1, 19),
            "pg_advisory_unlock_all() releases every advisory lock of the session, the one against a "
            "second runner too.",
            "pg_advisory_unlock(key) releases one lock and leaves the others.",
        ),
    ]


def test_unlock_all_is_found_inside_do() -> None:
    sql = """\
DO $body$
BEGIN
  PERFORM 1;
  PERFORM pg_advisory_unlock_all();
END $body$;
"""

    found = look(sql)

    assert found == [
        error(
            "advisory-unlock",
            (4, 11),
            "pg_advisory_unlock_all() releases every advisory lock of the session, the one against a "
            "second runner too.",
            "pg_advisory_unlock(key) releases one lock and leaves the others.",
        ),
    ]


def test_unlock_all_is_found_in_a_string_inside_do() -> None:
    sql = "DO 'BEGIN EXECUTE ''SELECT pg_advisory_unlock_all()''; END';"

    found = look(sql)

    assert found == [
        error(
            "advisory-unlock",
            (1, 28),
            "pg_advisory_unlock_all() releases every advisory lock of the session, the one against a "
            "second runner too.",
            "pg_advisory_unlock(key) releases one lock and leaves the others.",
        ),
    ]


def test_string_rules_may_not_change_on_the_way() -> None:
    sql = "SET LOCAL standard_conforming_strings = 'off';"

    found = look(sql)

    assert found == [
        error(
            "string-rules",
            (1, 1),
            "With standard_conforming_strings off the server reads backslashes in strings in another "
            "way than the runner, and would cut the file elsewhere.",
            "Take it out, and write strings that need backslash escapes as E'...'.",
        ),
    ]


def test_string_rules_are_not_reported_twice() -> None:
    sql = "SET standard_conforming_strings TO off;"

    found = look(sql)

    assert found == [
        error(
            "string-rules",
            (1, 1),
            "With standard_conforming_strings off the server reads backslashes in strings in another "
            "way than the runner, and would cut the file elsewhere.",
            "Take it out, and write strings that need backslash escapes as E'...'.",
        ),
    ]


def test_string_rules_may_not_change_by_function() -> None:
    sql = "SELECT set_config('standard_conforming_strings', 'off', true);"

    found = look(sql)

    assert found == [
        error(
            "string-rules",
            (1, 8),
            "With standard_conforming_strings off the server reads backslashes in strings in another "
            "way than the runner, and would cut the file elsewhere.",
            "Take it out, and write strings that need backslash escapes as E'...'.",
        ),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "SET LOCAL lock_timeout = '5s';",
        "SET CONSTRAINTS ALL IMMEDIATE;",
        "SET TRANSACTION READ WRITE;",
        "SELECT set_config('search_path', '', true);",
        "SELECT set_config(name, value, false) FROM settings;",
        "SET LOCAL standard_conforming_strings = on;",
        "SELECT set_config('standard_conforming_strings', 'on', true);",
        "ALTER ROLE clerk SET standard_conforming_strings = off;",
        "SELECT pg_advisory_unlock(1);",
        "SELECT 'pg_advisory_unlock_all()';",
        "SELECT pg_advisory_unlock_all FROM t;",
        "DO $$ BEGIN RAISE NOTICE 'pg_advisory_unlock_all() is not called'; END $$;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_unlock_all() $$;",
        "DO $$ BEGIN /* pg_advisory_unlock_all() */ RAISE NOTICE 'pg_advisory_unlock_all'; END $$;",
        "COMMENT ON TABLE t IS 'DISCARD ALL';",
        "SELECT 1;",
    ],
)
def test_nothing_stays_in_the_session(sql: str) -> None:
    assert rules(sql) == []
