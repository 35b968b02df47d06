"""What real migration folders contain: a runner that only met its own examples fails on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from sqlmigrations.exceptions import MigrationFailed, SqlMigrationsError
from sqlmigrations.roundtrip import StaysOnServer, up_down_up
from sqlmigrations.scratch import lent
from tests.faults.refusals import refused
from tests.faults.scene import FaultySite
from tests.inprocess import LocalSite
from tests.servers import Database


def applied(site: FaultySite, *names: str) -> str:
    """What a run says that applies exactly these."""
    ended = site.apply()
    assert (ended.returncode, ended.stderr) == (0, "")
    assert site.names() == list(names)
    return ended.stdout


@pytest.mark.parametrize(
    ("begin", "end"), [("BEGIN;", "COMMIT;"), ("begin transaction;", "END;"), ("START TRANSACTION;", "END")]
)
def test_w01_a_transaction_around_the_whole_file_is_left_out(site: FaultySite, begin: str, end: str) -> None:
    site.write("001_a.sql", f"-- a dump\n{begin}\nCREATE TABLE a ();\nCREATE TABLE b ();\n{end}\n")

    applied(site, "001_a")

    assert site.ledger()[1]["statements_done"] == 2


def test_w01_such_a_file_is_atomic_with_its_record(site: FaultySite) -> None:
    site.write("001_a.sql", "BEGIN;\nCREATE TABLE a ();\nSELECT 1/0;\nCOMMIT;\n")

    ended = site.apply()

    assert ended.returncode == 1
    assert "migrations_sql/001_a.sql:3:1\n" in ended.stderr
    assert (site.names(), site.has("a")) == ([], False)
    site.write("001_a.sql", "BEGIN;\nCREATE TABLE a ();\nSELECT 1/1;\nCOMMIT;\n")
    applied(site, "001_a")


def test_w01_its_isolation_is_kept(site: FaultySite) -> None:
    look = "CREATE TABLE a AS SELECT current_setting('transaction_isolation') AS isolation;"
    site.write("001_a.sql", f"BEGIN ISOLATION LEVEL SERIALIZABLE;\n{look}\nCOMMIT;\n")
    site.write("002_b.sql", look.replace("TABLE a", "TABLE b"))

    applied(site, "001_a", "002_b")

    assert site.query("SELECT * FROM a") == [("serializable",)]
    assert site.query("SELECT * FROM b") == [("read committed",)]


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("CREATE TABLE a ();\nBEGIN;\nCREATE TABLE b ();\nCOMMIT;\n", 2),
        ("BEGIN;\nCREATE TABLE a ();\nCOMMIT;\nBEGIN;\nCREATE TABLE b ();\nCOMMIT;\n", 3),
        ("BEGIN;\nCREATE TABLE a ();\nCOMMIT;\nCREATE TABLE b ();\n", 1),
    ],
)
def test_w02_a_transaction_around_a_part_of_a_file_is_refused_with_its_line(
    site: FaultySite, sql: str, line: int
) -> None:
    site.write("001_a.sql", sql)

    said = refused(site, 6)

    assert said.startswith("The plan is not safe to run; nothing has run.\n\n")
    assert f"  migrations_sql/001_a.sql:{line}:1  [transaction-control]\n" in said
    assert not site.has("a")
    site.write("001_a.sql", f"-- transaction: off\n{sql}")
    applied(site, "001_a")
    assert (site.has("a"), site.has("b")) == (True, True)


def test_w05_a_value_added_to_an_enum_is_fine_in_a_transaction(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TYPE mood AS ENUM ('sad');\nCREATE TABLE a (m mood);\n")
    applied(site, "001_a")
    site.write("002_b.sql", "ALTER TYPE mood ADD VALUE 'glad';\n")
    site.write("003_c.sql", "INSERT INTO a VALUES ('glad');\n")

    applied(site, "001_a", "002_b", "003_c")

    assert site.query("SELECT m::text FROM a") == [("glad",)]


def test_w05_its_use_in_the_same_file_is_reported(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TYPE mood AS ENUM ('sad');\nCREATE TABLE a (m mood);\n")
    applied(site, "001_a")
    site.write("002_b.sql", "ALTER TYPE mood ADD VALUE 'glad';\nINSERT INTO a VALUES ('glad');\n")

    ended = site.apply()

    assert ended.returncode == 1
    assert "migrations_sql/002_b.sql:2:" in ended.stderr
    assert site.names() == ["001_a"]


def test_f48_a_new_value_cannot_be_used_in_its_own_file_but_in_the_next_one(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TYPE mood AS ENUM ('calm');\nCREATE TABLE a (mood mood);\n")
    assert site.apply().returncode == 0
    site.write("002_b.sql", "ALTER TYPE mood ADD VALUE 'glad';\nINSERT INTO a VALUES ('glad'::mood);\n")
    together = site.apply()
    assert site.names() == ["001_a"]
    site.write("002_b.sql", "ALTER TYPE mood ADD VALUE 'glad';\n")
    site.write("003_c.sql", "INSERT INTO a VALUES ('glad');\n")

    apart = site.apply()

    assert (together.returncode, "[enum-value-used]" in together.stderr) == (6, True)
    assert apart.returncode == 0, apart
    assert site.query("SELECT mood::text FROM a") == [("glad",)]


def test_w06_a_table_may_be_locked(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nLOCK TABLE a IN ACCESS EXCLUSIVE MODE;\nALTER TABLE a ADD n int;\n")

    applied(site, "001_a")


BODIES = r"""
CREATE TABLE a (n int, v text);
CREATE PROCEDURE fill(v text) LANGUAGE SQL BEGIN ATOMIC
    INSERT INTO a VALUES (CASE WHEN v = ';' THEN 1 ELSE 2 END, v);
    INSERT INTO a VALUES (3, v);
END;
CALL fill($$;$$);
CALL fill($outer$ $inner$ $$ ; $$ ; $inner$ $outer$);
CREATE FUNCTION deep() RETURNS text LANGUAGE plpgsql AS $one$
BEGIN EXECUTE $two$ DO $three$ BEGIN PERFORM $$;$$; END; $three$ $two$; RETURN 'done;'; END; $one$;
"""


def test_w07_bodies_and_nested_dollar_quotes_are_one_statement_each(site: FaultySite) -> None:
    site.write("001_a.sql", BODIES)

    applied(site, "001_a")

    assert site.ledger()[1]["statements_done"] == 5
    assert site.query("SELECT * FROM a") == [
        (1, ";"),
        (3, ";"),
        (2, " $inner$ $$ ; $$ ; $inner$ "),
        (3, " $inner$ $$ ; $$ ; $inner$ "),
    ]
    assert site.query("SELECT deep()") == [("done;",)]


def test_w08_comment_marks_in_strings_and_quotes_in_comments_are_untouched(site: FaultySite) -> None:
    site.write(
        "001_a.sql",
        "CREATE TABLE a (v text); -- it's; fine\n/* don't; */\n"
        """INSERT INTO a VALUES ('--'), ('/**"}'), ('*/'), ('a--b /* c */'); -- "\n""",
    )

    applied(site, "001_a")

    assert site.query("SELECT v FROM a") == [("--",), ('/**"}',), ("*/",), ("a--b /* c */",)]


def test_w09_percent_dollar_colon_and_backslash_arrive_as_written(site: FaultySite) -> None:
    site.write(
        "001_a.sql",
        "CREATE FUNCTION f(int, v text DEFAULT '%s $1 :x \\d') RETURNS text LANGUAGE plpgsql AS $$\n"
        "DECLARE n int := $1 % 3; BEGIN RETURN format('%s%% %I \\n :x', n::text, v); END $$;\n",
    )

    applied(site, "001_a")

    assert site.query("SELECT f(5)") == [('2% "%s $1 :x \\d" \\n :x',)]


@pytest.mark.parametrize(
    "text",
    ["CREATE TABLE a ();", "CREATE TABLE a ()", "CREATE TABLE a ();\n-- the end", "CREATE TABLE a ()\n-- the end"],
)
def test_w10_nothing_is_appended_to_a_file_without_an_end(site: FaultySite, text: str) -> None:
    site.write("001_a.sql", text)
    site.write("002_b.sql", "CREATE TABLE b ();\n")

    applied(site, "001_a", "002_b")

    assert (site.has("a"), site.has("b")) == (True, True)
    checksum = site.ledger()[1]["checksum"]
    assert site.query("SELECT body FROM schema_migration_texts WHERE checksum = %s", checksum) == [(text,)]


@pytest.mark.parametrize("text", ["", "-- later\n"])
def test_w11_an_empty_file_is_recorded_with_a_note(site: FaultySite, text: str) -> None:
    site.write("001_a.sql", text)

    said = applied(site, "001_a")

    assert re.search(r"Applying project\.001_a\.\.\. OK, empty \(\d+ ms\)\n      no statement in it\n", said)


PREAMBLE = """\
SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET row_security = off;
SET default_table_access_method = heap;
"""


def test_w12_the_preamble_of_a_dump_does_not_reach_the_next_file(site: FaultySite) -> None:
    site.write("001_a.sql", f"\\restrict x\n{PREAMBLE}CREATE TABLE public.a ();\n\\unrestrict x\n")
    site.write("002_b.sql", "SET search_path TO information_schema, pg_catalog;\nSET ROLE pg_monitor;\nSELECT 1;\n")
    settings = ("search_path", "check_function_bodies", "row_security", "role", "lock_timeout")
    shown = ", ".join(f"current_setting('{name}') AS {name}" for name in settings)
    site.write("003_c.sql", f"CREATE TABLE c AS SELECT {shown};\n")

    ended = site.apply()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert site.names() == ["001_a", "002_b", "003_c"]
    assert site.query("SELECT * FROM public.c") == [('"$user", public', "on", "on", "none", "2s")]


def test_w13_another_tools_table_may_be_read_and_altered(site: FaultySite) -> None:
    site.query("CREATE TABLE flyway_schema_history (installed_rank int, version text)")
    site.query(
        "CREATE SCHEMA old; CREATE TABLE old.schema_migrations (version text);"
        "INSERT INTO old.schema_migrations VALUES ('7')"
    )
    site.write(
        "001_a.sql",
        "ALTER TABLE flyway_schema_history ADD COLUMN note text;\n"
        "CREATE TABLE versions AS SELECT version FROM old.schema_migrations;\n"
        "DELETE FROM old.schema_migrations WHERE version = '7';\n",
    )

    applied(site, "001_a")

    assert site.query("SELECT version FROM versions") == [("7",)]


@pytest.mark.parametrize(
    "down", ["DROP TABEL a;", "SELECT 'never closed", "DO $$ BEGIN RAISE 'one way'; END $$;", "COMMIT;", "\\i x"]
)
def test_w14_a_down_that_cannot_run_never_stops_an_up(site: FaultySite, down: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("001_a.down.sql", down)

    applied(site, "001_a")

    assert site.run("sqlmigrate_status", "--check").returncode == 0


@pytest.mark.parametrize(
    ("down", "said"),
    [
        ("DROP TABEL a;", ':1:1: PostgreSQL 42601: syntax error at or near "TABEL"'),
        ("SELECT 'never closed", ":1:8: Unterminated quoted string."),
        ("DO $$ BEGIN RAISE 'one way'; END $$;", ":1:1: PostgreSQL P0001: one way"),
        ("DROP TABLE a;\nCOMMIT;", ":2:1: COMMIT "),
        ("\\i x", ":1:1: \\i is a psql command"),
    ],
)
def test_w14_a_down_that_cannot_run_is_reported_when_it_is_asked_for(
    local_site: LocalSite, down: str, said: str
) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")
    local_site.write("001_a.down.sql", down)

    with local_site.configured(), lent("default"), pytest.raises(SqlMigrationsError) as reported:
        up_down_up("default")

    assert reported.value.message.startswith(f"migrations_sql/001_a.down.sql{said}"), reported.value.message


def test_w15_dates_and_plain_numbers_run_in_numeric_order(site: FaultySite) -> None:
    for name in ("20260301_d", "10_c", "2_b", "1_a", "20260301120000_e"):
        site.write(f"{name}.sql", "SELECT 1;\n")

    applied(site, "1_a", "2_b", "10_c", "20260301_d", "20260301120000_e")


def test_w15_other_spellings_are_refused_with_names_that_keep_their_order(site: FaultySite) -> None:
    for name in ("V1_10__c", "V1_2__b", "V2__d"):
        site.write(f"{name}.sql", "SELECT 1;\n")

    said = refused(site, 4)

    moves = re.findall(r"Next: mv migrations_sql/(\S+) migrations_sql/(\S+)", said)
    assert moves == [("V1_10__c.sql", "1010_c.sql"), ("V1_2__b.sql", "1002_b.sql"), ("V2__d.sql", "2000_d.sql")]
    for old, new in moves:
        (site.migrations / old).rename(site.migrations / new)
    applied(site, "1002_b", "1010_c", "2000_d")


def test_w15_a_thousand_files_apply_once(site: FaultySite) -> None:
    names = [f"{number}_t" for number in range(1, 1_001)]
    for number, name in enumerate(names, start=1):
        site.write(f"{name}.sql", f"CREATE TABLE t{number} (id int);\n")

    first = applied(site, *names)
    again = site.apply()

    assert re.search(r"\n1001 applied, 0 skipped, [\d.]+ m?s in all\.\n$", first)
    assert (again.returncode, again.stdout) == (0, "All migrations are already applied!\n")
    assert site.query("SELECT count(*) FROM schema_migration_events WHERE event = 'applied'") == [(1_001,)]


ROLES = """\
CREATE ROLE {0}_reader;
CREATE USER {0}_login IN ROLE {0}_reader;
GRANT USAGE ON SCHEMA public TO {0}_reader;
"""
GUARDED_ROLE = """\
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{0}_reader') THEN CREATE ROLE {0}_reader; END IF;
END $$;
"""


@pytest.fixture
def roles(fresh_database: Database) -> Iterator[str]:
    """What the names of roles begin with that are dropped at the end."""
    name = f"w16_{fresh_database.name}"
    yield name
    for (role,) in fresh_database.query("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", name):
        fresh_database.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_w16_roles_are_made_and_a_rehearsal_says_that_it_does_not_undo_them(local_site: LocalSite, roles: str) -> None:
    local_site.write("001_roles.sql", ROLES.format(roles))
    local_site.write("001_roles.down.sql", f"DROP ROLE {roles}_login;\nDROP OWNED BY {roles}_reader;\n")
    ran = local_site.run("sqlmigrate_apply")
    member = local_site.query("SELECT pg_has_role(%s, %s, 'MEMBER')", f"{roles}_login", f"{roles}_reader")

    with local_site.configured(), lent("default"):
        with pytest.warns(StaysOnServer) as told, pytest.raises(MigrationFailed) as failed:
            up_down_up("default")
        local_site.write("001_roles.sql", GUARDED_ROLE.format(roles))
        (local_site.migrations / "001_roles.down.sql").unlink()
        with pytest.warns(StaysOnServer):
            trip = up_down_up("default")

    assert (ran.returncode, ran.stderr, member) == (0, "", [(True,)])
    assert [str(one.message) for one in told] == [
        f"project.001_roles is about the whole server: CREATE ROLE {roles}_reader, CREATE USER {roles}_login. "
        "To drop the scratch database does not undo that, and every other database of the server has it too. "
        "Let the file look first whether it is there already, in a DO block."
    ]
    assert failed.value.server.sqlstate == "42710"
    assert (trip.without_down, trip.on_server) == (("project.001_roles",), ("project.001_roles",))


COPY = """\
CREATE TABLE a (n int, v text);
COPY public.a (n, v) FROM stdin;
1\tone; -- not a comment
2\t\\N
3\t'quoted' $$ \\\\.
\\.

INSERT INTO a VALUES (4, 'after');
COPY a FROM STDIN WITH (FORMAT csv);
5,"five
lines"
\\.
"""


DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])


@DRIVERS
def test_w17_inline_data_of_copy_is_loaded(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", COPY + "DO $$ BEGIN RAISE NOTICE 'loaded'; END $$;\n")

    ended = site.apply("-v", "2", DRIVER=driver)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\n      NOTICE:  loaded\n" in ended.stdout
    assert site.query("SELECT * FROM a ORDER BY n") == [
        (1, "one; -- not a comment"),
        (2, None),
        (3, "'quoted' $$ \\."),
        (4, "after"),
        (5, "five\nlines"),
    ]


@DRIVERS
def test_w17_a_bad_row_is_told_with_its_own_line(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (n int);\n\nCOPY a FROM stdin;\n1\nx\n\\.\n")

    ended = site.apply(DRIVER=driver)

    assert ended.returncode == 1
    assert "migrations_sql/001_a.sql:5:1\n" in ended.stderr
    assert 'PostgreSQL 22P02: invalid input syntax for type integer: "x"' in ended.stderr
    assert (site.recorded(), site.has("a")) == ([], False)
    site.write("001_a.sql", "CREATE TABLE a (n int);\n\nCOPY a FROM stdin;\n1\n2\n\\.\n")
    assert (site.apply(DRIVER=driver).returncode, site.query("SELECT n FROM a")) == (0, [(1,), (2,)])
