"""What one file does to its session does not reach the next file, the record, or the application."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.faults.scene import FaultySite, Role, database_json

WITNESS = (
    "CREATE TABLE {name} AS SELECT current_user::text AS who, session_user::text AS login,\n"
    "  current_setting('search_path') AS path, current_setting('lock_timeout') AS lock_timeout,\n"
    "  current_setting('check_function_bodies') AS bodies, current_setting('TimeZone') AS zone,\n"
    "  to_regclass('pg_temp.leak')::text AS leak;\n"
)
DUMP = """\
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
"""
LEAKS = {
    "search_path": "SET search_path = other;\n",
    "set_config": "SELECT set_config('search_path', 'other', false);\n",
    "in a block": "DO $$ BEGIN PERFORM set_config('search_path', 'other', false); END $$;\n",
    "in a function": "SELECT public.wander();\n",
    "role": "SET ROLE {role};\n",
    "authorization": "SET SESSION AUTHORIZATION {role};\n",
    "time zone": "SET TIME ZONE 'Asia/Tokyo';\n",
    "dump": DUMP,
    "temporary table": "CREATE TEMP TABLE leak (id int);\n",
    "temporary table by select": "SELECT 1 AS id INTO TEMPORARY leak;\n",
    "prepared": "PREPARE leak AS SELECT 1;\nSET search_path = other;\nDEALLOCATE ALL;\n",
}


def prepare(site: FaultySite) -> list[tuple[object, ...]]:
    """Things to leak with; what an untouched file sees."""
    site.query("CREATE SCHEMA other")
    site.query(
        "CREATE FUNCTION public.wander() RETURNS void LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM set_config('search_path', 'other', false); END$$"
    )
    site.write("001_clean.sql", WITNESS.format(name="clean"))
    assert site.apply().returncode == 0
    return site.query("SELECT * FROM public.clean")


@pytest.mark.parametrize("leak", LEAKS)
def test_f49_what_a_file_sets_reaches_neither_its_record_nor_the_next_file(
    site: FaultySite, role: Role, leak: str
) -> None:
    clean = prepare(site)
    site.write("002_leak.sql", LEAKS[leak].format(role=role.name))
    site.write("003_next.sql", WITNESS.format(name="witness"))

    applied = site.apply()

    assert applied.returncode == 0, applied
    assert site.query("SELECT * FROM public.witness") == clean
    assert site.names() == ["001_clean", "002_leak", "003_next"]
    assert {row["applied_by"] for row in site.ledger()} == {"postgres"}
    assert {event["db_user"] for event in site.events("applied")} == {"postgres"}


@pytest.fixture
def deployer(role: Role) -> Iterator[str]:
    """A role that ``role`` has no rights of until it becomes that role."""
    name = f"deployer_{role.name}"
    role.database.query(f"ALTER ROLE {role.name} NOINHERIT")
    role.database.query(f"CREATE ROLE {name}")
    role.database.query(f"GRANT CREATE ON SCHEMA public TO {name}")
    role.database.query(f"GRANT {name} TO {role.name}")
    yield name
    role.database.query(f"DROP OWNED BY {name} CASCADE")
    role.database.query(f"DROP ROLE {name}")


@pytest.mark.parametrize("ending", ["RESET ROLE", "SET ROLE NONE", "SET LOCAL ROLE NONE", "RESET ALL"])
def test_f49_a_file_that_gives_up_the_role_of_the_alias_is_recorded_by_it(
    site: FaultySite, role: Role, deployer: str, ending: str
) -> None:
    site.write("001_a.sql", f"CREATE TABLE a (id int);\n{ending};\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    applied = site.apply(DATABASE_URL=role.url, DATABASE_JSON=database_json(OPTIONS={"assume_role": deployer}))

    assert applied.returncode == 0, applied
    owners = site.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [(deployer,)]
    assert site.names() == ["001_a", "002_b"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("setting", ["SET client_encoding = 'LATIN1'", "SET NAMES 'LATIN1'"])
def test_f49_a_file_is_utf8_whatever_encoding_it_names(site: FaultySite, setting: str, driver: str) -> None:
    sql = f"{setting};\nCREATE TABLE a AS SELECT 'Zürich €'::text AS city;\nCOPY a FROM stdin;\nŁódź\n\\.\n"
    site.write("001_a.sql", sql)

    applied = site.apply(DRIVER=driver)

    assert applied.returncode == 0, applied
    assert site.query("SELECT city FROM a") == [("Zürich €",), ("Łódź",)]
    assert (sql,) in site.query("SELECT body FROM schema_migration_texts")


@pytest.mark.parametrize("setting", ["SET lock_timeout = 0", "SET LOCAL lock_timeout = 0", "RESET ALL", DUMP[:-2]])
def test_f49_a_lock_timeout_switched_off_in_a_file_is_put_back(site: FaultySite, setting: str) -> None:
    site.write(
        "001_a.sql",
        "-- lock-timeout: 4s\n-- statement-timeout: 5min\n"
        f"{setting};\nCREATE TABLE public.seen AS SELECT current_setting('lock_timeout') AS lock_timeout,\n"
        "  current_setting('statement_timeout') AS statement_timeout;\n",
    )

    applied = site.apply()

    assert applied.returncode == 0, applied
    assert site.query("SELECT * FROM public.seen") == [("4s", "5min")]


SHADOW = "CREATE TABLE {schema}.schema_migrations (label text, key text, state text);\n"


def test_f50_a_ledger_of_the_same_name_in_the_search_path_is_not_taken_for_ours(site: FaultySite) -> None:
    site.write(
        "001_a.sql",
        "CREATE SCHEMA shadow;\n" + SHADOW.format(schema="shadow") + "SET search_path = shadow, public;\n",
    )
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    assert site.apply().returncode == 0

    assert site.names() == ["001_a", "002_b"]
    assert site.query("SELECT * FROM shadow.schema_migrations") == []


def test_f50_a_ledger_in_the_search_path_of_the_database_is_not_taken_for_ours(site: FaultySite) -> None:
    site.query("CREATE SCHEMA shadow")
    site.query(SHADOW.format(schema="shadow"))
    site.query(f"ALTER DATABASE {site.database.name} SET search_path = shadow, public")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    assert site.apply().returncode == 0
    assert "already applied!" in site.apply().stdout

    assert site.names() == ["001_a"]
    assert site.query("SELECT * FROM shadow.schema_migrations") == []
    assert site.has("shadow.a")  # the file itself meets the search path it was written for


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_f58_backslashes_mean_themselves_whatever_the_role_says(site: FaultySite, driver: str) -> None:
    site.query(f"ALTER DATABASE {site.database.name} SET standard_conforming_strings = off")
    sql = "CREATE TABLE a AS SELECT 'C:\\new'::text AS path, '\\'::text AS slash, 'it''s'::text AS quoted;\n"
    site.write("001_a.sql", sql)

    applied = site.apply(DRIVER=driver)

    assert applied.returncode == 0, applied
    assert site.query("SELECT * FROM a") == [("C:\\new", "\\", "it's")]
    assert (sql,) in site.query("SELECT body FROM schema_migration_texts")


def test_f69_a_password_in_a_failing_statement_is_in_no_output_and_no_record(site: FaultySite) -> None:
    secret = "Tr0ub4dor-and-3"
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_role.sql", f"CREATE ROLE nobody_yet LOGIN PASSWORD '{secret}' bad;\n")

    failed = site.apply("-v", "3")
    as_json = site.apply("--format", "json")

    assert (failed.returncode, as_json.returncode) == (1, 1)
    assert f"PASSWORD '{'*' * len(secret)}' bad" in failed.stderr
    assert json.loads(as_json.stdout)["error"]["sqlstate"] == "42601"
    assert secret not in failed.stdout + failed.stderr + as_json.stdout + as_json.stderr
    assert site.query("SELECT count(*) FROM schema_migration_events e WHERE e::text LIKE %s", f"%{secret}%") == [(0,)]
    site.write(
        "002_role.sql",
        f"DO $$ BEGIN PERFORM 1 /* PASSWORD '{secret}' */; END $$;\nALTER ROLE {secret[:3]} PASSWORD '{secret}';\n",
    )
    assert secret not in (refused := site.apply("-v", "3")).stdout + refused.stderr
    assert site.query("SELECT count(*) FROM schema_migration_texts WHERE body LIKE %s", f"%{secret}%") == [(0,)]


def test_f69_a_password_that_the_server_quotes_in_its_error_is_not_told(site: FaultySite) -> None:
    site.write("001_a.sql", "ALTER ROLE CURRENT_USER PASSWORD 'quoted-91'; SELECT\n'quoted-91'::int;\n")

    failed = site.apply()

    assert (failed.returncode, "invalid input syntax for type integer" in failed.stderr) == (1, True), failed
    assert "quoted-91" not in failed.stdout + failed.stderr + json.dumps(site.events("failed"))


def test_f72_a_clock_set_back_a_day_changes_neither_order_nor_times(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    applied = site.apply(FAULT="go_a_day_back")

    assert applied.returncode == 0
    assert site.names() == ["001_a", "002_b"]
    assert site.query(
        "SELECT bool_and(applied_at >= before) FROM (SELECT applied_at, lag(applied_at) OVER (ORDER BY id) AS before "
        "FROM schema_migrations) AS m"
    ) == [(True,)]
    assert site.query("SELECT max(now() - happened_at) < '1 hour' FROM schema_migration_events") == [(True,)]
    assert site.run("sqlmigrate_status", "--check").returncode == 0
