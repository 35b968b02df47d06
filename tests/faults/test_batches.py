"""Statements that travel together: in few round trips, and told as if each had travelled by itself."""

from __future__ import annotations

import signal

import pytest
from django.db import Error

from tests.faults.proxy import Proxy
from tests.faults.scene import PATIENCE_S, FaultySite, Other, ended, until
from tests.screen import lend_screen
from tests.shop import Shop

BOTH_DRIVERS = pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
THIRTY = "".join(
    f"CREATE TABLE t{n} (id int PRIMARY KEY, note text);\n-- its index\n"
    f"CREATE INDEX IF NOT EXISTS i{n} ON t{n} (note);\n"
    f"INSERT INTO t{n} VALUES ({n}, 'a % b; $1 {{x}}'), ({n + 100}, $$:y \\\\$$);\n"
    for n in range(10)
)
SLEEPING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
# Statements that travel together, of which one may be made to fail.
BEFORE = "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);\n"
BEHIND = "\nCREATE TABLE z ();\nINSERT INTO a VALUES (2);\n"


def trips(site: FaultySite, proxy: Proxy, text: str, driver: str, name: str = "002_file") -> list[str]:
    """What is asked from the claim of a file to its COMMIT."""
    site.write("001_first.sql", "CREATE TABLE first ();\n")
    assert site.apply().returncode == 0
    site.write(f"{name}.sql", text)
    applied = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)
    assert (applied.returncode, applied.stderr) == (0, "")
    asked = [message.decode() for message in proxy.asked]
    begin = next(number for number, sql in enumerate(asked) if sql.startswith("BEGIN") and name in sql)
    end = next(number for number, sql in enumerate(asked) if number > begin and sql.endswith("COMMIT"))
    return asked[begin : end + 1]


@BOTH_DRIVERS
def test_a_file_of_thirty_statements_takes_four_round_trips(site: FaultySite, proxy: Proxy, driver: str) -> None:
    asked = trips(site, proxy, THIRTY, driver)

    assert len(asked) == 4
    assert asked[1] == f"SAVEPOINT sqlmigrations_b; {THIRTY.strip()}"
    assert "pg_index" in asked[2]
    assert site.query("SELECT count(*) FROM pg_indexes WHERE tablename ~ '^t[0-9]$'") == [(20,)]
    assert site.query("SELECT note FROM t3 ORDER BY id") == [("a % b; $1 {x}",), (":y \\\\",)]


@BOTH_DRIVERS
def test_rows_to_be_written_take_three_round_trips_and_large_ones_a_few_more(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    row = "INSERT INTO rows VALUES ({}, '{}') RETURNING id;\n"
    site.query("CREATE TABLE rows (id int, filler text)")

    asked = trips(site, proxy, "".join(row.format(number, "x") for number in range(200)), driver)

    assert len(asked) == 3
    site.query("TRUNCATE rows")
    proxy.asked.clear()
    large = "".join(row.format(number, "x" * 3_000) for number in range(200))
    asked = trips(site, proxy, large, driver, "003_large")
    # Whether anything keeps the text of a message is asked before a large one.
    assert "pg_trigger" in asked.pop(1)
    assert [message.partition("INSERT")[0] for message in asked[1:-1]] == [
        "SAVEPOINT sqlmigrations_b; ",
        "RELEASE SAVEPOINT sqlmigrations_b; SAVEPOINT sqlmigrations_a; ",
        "RELEASE SAVEPOINT sqlmigrations_a; SAVEPOINT sqlmigrations_b; ",
    ]
    assert site.query("SELECT count(*), max(id) FROM rows") == [(200, 199)]


FAULTS = {
    "syntax": ("ALTER TABLE a\n  ADD COLUMN x int,;", "4:20", '42601: syntax error at or near ";"'),
    "analysis": (
        "INSERT INTO a (id,\n nothing) VALUES (5);",
        "4:2",
        '42703: column "nothing" of relation "a" does not',
    ),
    "duplicate": ("INSERT INTO a VALUES (1);", "3:1", "23505: duplicate key value violates unique constraint"),
    "runtime": ("DO $$ BEGIN\n  RAISE 'no';\nEND $$;", "4:3", "P0001: no"),
    "exists": ("CREATE TABLE a ();", "3:14", '42P07: relation "a" already exists'),
    "timeout": ("DO 'BEGIN PERFORM pg_sleep(9); END';", "3:4", "57014: canceling statement due to statement timeout"),
}


@BOTH_DRIVERS
@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_among_others_is_named_as_if_it_were_alone(site: FaultySite, fault: str, driver: str) -> None:
    sql, place, said = FAULTS[fault]
    head = "-- statement-timeout: 1s\n" if fault == "timeout" else "--\n"
    site.write("001_a.sql", head + BEFORE.replace("\n", " ", 1) + sql + BEHIND)

    failed = site.apply(DRIVER=driver)

    assert failed.returncode == 1
    assert f"migrations_sql/001_a.sql:{place}\n" in failed.stderr
    assert f"PostgreSQL {said}" in failed.stderr
    assert (site.recorded(), site.has("a"), site.has("z")) == ([], False, False)


@BOTH_DRIVERS
def test_one_row_of_thousands_is_found_and_those_before_it_are_tried_again_a_few_times(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    rows = [f"INSERT INTO rows VALUES ({number});\n" for number in range(3_000)]
    rows[2_345] = "INSERT INTO rows VALUES (7);\n"
    site.query("CREATE TABLE rows (id int PRIMARY KEY)")
    site.write("001_a.sql", "".join(rows))

    failed = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)

    assert failed.returncode == 1
    assert "migrations_sql/001_a.sql:2346:1\n" in failed.stderr
    assert "Key (id)=(...) already exists." in failed.stderr
    assert sum(b"INSERT INTO rows" in message for message in proxy.asked) < 150
    assert site.query("SELECT count(*) FROM rows") == [(0,)]


@BOTH_DRIVERS
def test_a_syntax_error_does_not_undo_the_batch_before_it(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nDELETE FROM a;\nSELECT 1;\nDELETE FROM a;\nDELETE FROM a WHRE 1;\n")

    failed = site.apply(DRIVER=driver)

    assert "migrations_sql/001_a.sql:5:20\n" in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)


@BOTH_DRIVERS
def test_what_is_in_the_way_for_a_moment_is_waited_for_once_more(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (id int)")
    other = Other(site.database, "LOCK TABLE a")
    noise = "DO $$ BEGIN RAISE NOTICE 'heard'; END $$;\n"
    site.write("001_a.sql", f"-- lock-timeout: 3s\n{noise}ALTER TABLE a ADD COLUMN b int;\nCREATE TABLE c ();\n")
    waits = "SELECT 1 FROM pg_locks WHERE relation = 'a'::regclass AND NOT granted"
    alone = """
SELECT query FROM pg_stat_activity WHERE application_name = 'sqlmigrations' AND datname = current_database()
"""

    run = site.start_apply("-v", "2", DRIVER=driver)
    until(lambda: site.query(waits))
    until(lambda: site.query(alone) == [("ALTER TABLE a ADD COLUMN b int;",)])
    other.leave()

    applied = ended(run)

    assert applied.returncode == 0
    assert applied.stdout.count("NOTICE:  heard") == 1
    assert site.has("c")


@BOTH_DRIVERS
def test_a_lock_that_is_not_given_up_is_told_with_its_line_and_who_has_it(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (id int)")
    other = Other(site.database, "LOCK TABLE a")
    site.write("001_a.sql", "-- lock-timeout: 1500ms\nCREATE TABLE b ();\nALTER TABLE a ADD COLUMN c int;\n")

    failed = site.apply(DRIVER=driver, SQLMIGRATIONS_JSON='{"LOCK_ATTEMPTS": 1}')

    assert failed.returncode == 1
    assert "migrations_sql/001_a.sql:3:1\n" in failed.stderr
    assert f"pid {other.pid}" in failed.stderr
    other.leave()


@BOTH_DRIVERS
def test_after_a_deadlock_the_other_goes_first_and_the_batch_is_sent_again(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (); CREATE TABLE b ()")
    site.query(f"ALTER DATABASE {site.database.name} SET deadlock_timeout = '1s'")
    # Of the two it is the runner that the server chooses.
    other = Other(site.database, "SET LOCAL deadlock_timeout = '10min'", "LOCK TABLE b")
    alter = "ALTER TABLE {} ADD COLUMN c int;\n"
    site.write("001_a.sql", f"-- lock-timeout: 60s\n{alter.format('a')}CREATE TABLE c ();\n{alter.format('b')}")
    run = site.start_apply(DRIVER=driver, **site.writing_down)
    until(lambda: site.query("SELECT 1 FROM pg_locks WHERE relation = 'b'::regclass AND NOT granted"))

    other.run("LOCK TABLE a")
    other.leave()

    applied = ended(run)
    assert (applied.returncode, applied.stderr, site.told("retrying")) == (0, "", [])
    assert site.has("c")


@BOTH_DRIVERS
def test_a_terminal_follows_each_statement_and_a_log_tells_of_several(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    rows = "INSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\n"
    site.write("001_a.sql", f"CREATE TABLE a (id int);\nCREATE TABLE b ();\n{rows}")
    slow = "DO $$ BEGIN PERFORM pg_sleep(2.5); END $$;\n"
    with lend_screen(columns=150) as screen:
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), screen.secondary)
        env = {"DATABASE_URL": proxy.url(site.database.url), "DRIVER": driver}

        run = site.start("sqlmigrate_apply", env=env, **streams)
        site.started.append(run)

        assert run.wait(PATIENCE_S) == 0
    asked = proxy.asked
    assert b"CREATE TABLE a (id int);" in asked
    assert b"CREATE TABLE b ();" in asked
    assert f"SAVEPOINT sqlmigrations_b; {rows.strip()}".encode() in asked
    site.write("002_b.sql", f"CREATE TABLE c ();\n{slow}CREATE TABLE d ();\n")
    assert site.apply(DRIVER=driver, **site.writing_down).returncode == 0
    seen = [told["glimpse"] for told in site.told("watched")]
    assert (1, 3, 3, 1) in [tuple(glimpse[name] for name in ("number", "last", "total", "line")) for glimpse in seen]


def test_a_file_in_a_transaction_of_djangos_leaves_no_savepoint_there_and_names_its_line(shop: Shop) -> None:
    shop.wrap("0001", "001_a", THIRTY)
    shop.wrap("0002", "002_b", "CREATE TABLE b ();\nDELETE FROM b;\nINSERT INTO t1 VALUES (1, '');\n")
    shop.migration("0001_x", "ApplySQL('project', '001_a'), migrations.RunSQL('RELEASE SAVEPOINT sqlmigrations_b')")

    with pytest.raises(Error, match='savepoint "sqlmigrations_b" does not exist'):
        shop.migrate("0001")
    shop.migration("0001_x", "ApplySQL('project', '001_a')")
    failed = shop.migrate()

    assert shop.query("SELECT count(*) FROM t3") == [(2,)]
    assert "migrations_sql/002_b.sql:4:1\n" in failed.error
    assert not shop.has("b")


@BOTH_DRIVERS
def test_who_ends_a_batch_does_not_meet_it_again(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nDO $$ BEGIN PERFORM pg_sleep(60); END $$;\nCREATE TABLE b ();\n")
    run = site.start_apply(DRIVER=driver)
    until(lambda: site.query(SLEEPING))

    site.query(f"SELECT pg_cancel_backend(pid) FROM ({SLEEPING}) AS s")

    failed = ended(run)
    assert failed.returncode == 1
    assert "57014: canceling statement due to user request (in one of the statements 1 to 3)" in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)


@BOTH_DRIVERS
def test_who_interrupts_a_batch_is_told_where_and_it_is_not_sent_again(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nDO $$ BEGIN PERFORM pg_sleep(60); END $$;\nCREATE TABLE b ();\n")
    run = site.start_apply(DRIVER=driver)
    until(lambda: site.query(SLEEPING))

    run.send_signal(signal.SIGINT)

    interrupted = ended(run)
    assert interrupted.returncode == 130
    assert interrupted.stderr.startswith(
        "project.001_a was interrupted at migrations_sql/001_a.sql:1:1 or in one of the 2 statements behind it "
        "and rolled back.\n"
    )
    assert (site.recorded(), site.has("a")) == ([], False)


@BOTH_DRIVERS
def test_a_connection_that_is_lost_in_a_batch_is_told_with_its_line_when_it_is_lost_again(
    site: FaultySite, driver: str
) -> None:
    dies = "DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$;"
    site.write("001_a.sql", f"CREATE TABLE a ();\n{dies}\nCREATE TABLE b ();\n")

    failed = site.apply(DRIVER=driver)

    assert failed.returncode == 1
    assert "migrations_sql/001_a.sql:2:" in failed.stderr
    assert "in one of the statements" not in failed.stderr
    assert "after 2 attempts" in failed.stderr


@BOTH_DRIVERS
def test_an_index_passed_over_among_others_is_named(site: FaultySite, driver: str) -> None:
    site.query("CREATE TABLE a (id int)")
    site.query("CREATE TABLE other (id int)")
    site.query("CREATE INDEX i2 ON other (id)")
    guarded = "".join(f"CREATE INDEX IF NOT EXISTS i{number} ON a (id);\n" for number in (1, 2, 3))
    site.write("001_a.sql", guarded)

    refused = site.apply(DRIVER=driver)

    assert refused.returncode == 1
    assert "migrations_sql/001_a.sql:2:1\n" in refused.stderr
    assert "IF NOT EXISTS, but the index public.i2 is on public.other." in refused.stderr
    assert not site.has("i1")


@BOTH_DRIVERS
def test_an_index_that_is_dropped_in_the_same_batch_is_not_missed(site: FaultySite, driver: str) -> None:
    made = "CREATE TABLE a (id int);\nCREATE INDEX IF NOT EXISTS i ON a (id);\nDROP INDEX i;\nCREATE TABLE b ();\n"
    site.write("001_a.sql", made)

    applied = site.apply(DRIVER=driver)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.has("b")


@BOTH_DRIVERS
def test_what_savepoints_would_change_is_as_ever(site: FaultySite, driver: str) -> None:
    site.write(
        "001_a.sql",
        "CREATE TYPE mood AS ENUM ('sad');\n"
        "CREATE TABLE a (id int, mood mood);\n"
        "CREATE TABLE b (id int);\n"
        "COPY b FROM stdin WITH (FREEZE);\n1\n\\.\n"
        "INSERT INTO a VALUES (1, 'sad');\n"
        "INSERT INTO a VALUES (2, 'sad');\n"
        "ALTER TYPE mood ADD VALUE 'glad';\n"
        "INSERT INTO a VALUES (3, 'glad');\n"
        "SAVEPOINT one;\n"
        "DELETE FROM a;\n"
        "DELETE FROM b;\n"
        "ROLLBACK TO one;\n"
        "SET LOCAL search_path = pg_catalog;\n"
        "CREATE TABLE public.c AS SELECT current_setting('search_path') AS path;\n"
        "DELETE FROM public.b;\n"
        "DELETE FROM public.b;\n",
    )

    applied = site.apply(DRIVER=driver)

    assert (applied.stderr, applied.returncode) == ("", 0)
    assert site.query("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), path FROM c") == [
        (3, 0, "pg_catalog")
    ]


def test_text_that_is_kept_for_each_row_is_not_kept_with_all_others(site: FaultySite) -> None:
    site.query("CREATE TABLE rows (id int); CREATE TABLE audit (query text)")
    site.query(
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN INSERT INTO audit VALUES (current_query()); RETURN NEW; END $$;"
        "CREATE TRIGGER audit BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION audit()"
    )
    site.write("001_a.sql", "".join(f"INSERT INTO rows VALUES ({number:4}); -- a row\n" for number in range(1_000)))

    applied = site.apply()

    assert applied.returncode == 0
    assert site.query("SELECT count(*), max(length(query)) FROM audit") == [(1_000, 31)]


@BOTH_DRIVERS
def test_where_backslashes_mean_something_else_every_statement_travels_alone(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    hidden = "DO $$ BEGIN EXECUTE format('SET %s = off', 'standard' || '_conforming_strings'); END $$;\n"
    site.query("CREATE TABLE a (path text)")
    site.write("001_a.sql", f"{hidden}SELECT 1;\nINSERT INTO a VALUES ('x');\nINSERT INTO a VALUES ('y');\n")

    applied = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)

    assert applied.returncode == 0
    assert proxy.asked.count(b"INSERT INTO a VALUES ('y');") == 1


@BOTH_DRIVERS
def test_a_transaction_in_a_file_that_is_none_travels_together_too(
    site: FaultySite, proxy: Proxy, driver: str
) -> None:
    site.query("CREATE TABLE a (id int PRIMARY KEY)")
    rows = [f"INSERT INTO a VALUES ({number % 25});\n" for number in range(30)]
    site.write("001_a.sql", f"-- transaction: off\nVACUUM a;\nBEGIN;\n{''.join(rows)}COMMIT;\n")

    stopped = site.apply(DATABASE_URL=proxy.url(site.database.url), DRIVER=driver)

    assert stopped.returncode == 7
    assert "project.001_a stopped at statement 28 of 33, in line 29." in stopped.stderr
    assert any(message.startswith(b"SAVEPOINT") for message in proxy.asked)
    site.write("001_a.sql", f"-- transaction: off\nVACUUM a;\nBEGIN;\n{''.join(rows[:25])}COMMIT;\n")
    assert site.apply().returncode == 0
    assert site.query("SELECT count(*) FROM a") == [(25,)]


@BOTH_DRIVERS
def test_where_a_file_ended_its_transaction_no_batch_begins(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nCOMMIT;\nCREATE TABLE b ();\nCREATE TABLE c ();\n")

    failed = site.apply(FAULT="overlook_transaction_control", DRIVER=driver)

    assert failed.returncode == 1
    assert "project.001_a ended the transaction it ran in, by a COMMIT or ROLLBACK in it" in failed.stderr
    assert (site.recorded(), site.has("a"), site.has("b")) == ([], True, False)
