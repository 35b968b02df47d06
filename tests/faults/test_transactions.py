"""Files that fail, end their own transaction or are killed: applied and recorded together, or neither."""

from __future__ import annotations

import pytest

from tests.faults.scene import AT_THE_GATE, PATIENTLY, THROUGH_THE_GATE, FaultySite, Gate, ended, until

BLIND = {"FAULT": "overlook_transaction_control"}


def test_f10_a_syntax_error_in_the_last_statement_leaves_nothing(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n\nCREATE TABLE b (id int,);\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert "  Applying project.001_a... FAILED\n" in failed.stdout
    assert "project.001_a failed and was rolled back." in failed.stderr
    assert "migrations_sql/001_a.sql:4:24\n" in failed.stderr
    assert 'PostgreSQL 42601: syntax error at or near ")"' in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)
    assert [(event["name"], event["detail"]["sqlstate"]) for event in site.events("failed")] == [("001_a", "42601")]
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]


def test_f11_a_runtime_error_in_the_middle_leaves_nothing_and_keeps_what_was_before(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n  SELECT 1/0;\nCREATE TABLE c (id int);\n")
    site.write("003_d.sql", "CREATE TABLE d (id int);\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert "migrations_sql/002_b.sql:2:3\n" in failed.stderr
    assert "PostgreSQL 22012: division by zero" in failed.stderr
    assert site.recorded() == [("001_a", "applied")]
    assert [site.has(name) for name in "abcd"] == [True, False, False, False]
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b", "003_d"]


def test_f12_a_deferred_constraint_is_checked_before_commit(site: FaultySite) -> None:
    site.write(
        "001_a.sql",
        "CREATE TABLE vendor (id int PRIMARY KEY);\n"
        "CREATE TABLE invoice (vendor_id int CONSTRAINT invoice_vendor_fk REFERENCES vendor\n"
        "  DEFERRABLE INITIALLY DEFERRED);\n",
    )
    site.write("002_b.sql", "CREATE TABLE b (id int);\nINSERT INTO invoice VALUES (7);\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert "project.002_b broke a constraint that is checked at its end, and was rolled back." in failed.stderr
    assert "PostgreSQL 23503" in failed.stderr
    assert "invoice_vendor_fk" in failed.stderr
    assert (site.names(), site.has("b")) == (["001_a"], False)
    assert site.query("SELECT count(*) FROM invoice") == [(0,)]
    assert [event["detail"]["sqlstate"] for event in site.events("failed")] == ["23503"]
    site.write("002_b.sql", "INSERT INTO invoice VALUES (7);\nINSERT INTO vendor VALUES (7);\n")
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b"]


ENDINGS = ["ROLLBACK", "ROLLBACK AND CHAIN", "COMMIT", "COMMIT AND CHAIN", "END", "ABORT"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_f14_f15_a_file_that_ends_its_transaction_is_refused(site: FaultySite, ending: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"CREATE TABLE b (id int);\n\n  {ending};\nCREATE TABLE c (id int);\n")

    refused = site.apply()

    assert refused.returncode == 6
    assert "migrations_sql/002_b.sql:3:3  [transaction-control]" in refused.stderr
    assert f"{ending} ends the transaction" in refused.stderr
    assert (site.ledger(), site.has("a")) == ([], False)


# What is left of a table made before the ending, and of one made behind it.
@pytest.mark.parametrize(
    ("ending", "before", "behind"),
    [
        ("ROLLBACK", False, True),
        ("ROLLBACK AND CHAIN", False, False),
        ("COMMIT", True, True),
        ("COMMIT AND CHAIN", True, False),
    ],
)
def test_f14_f15_an_ending_that_was_overlooked_is_caught_by_the_transaction_id(
    site: FaultySite, ending: str, before: bool, behind: bool
) -> None:
    site.write("001_a.sql", f"CREATE TABLE a (id int);\n{ending};\nCREATE TABLE b (id int);\n")

    failed = site.apply(**BLIND)

    assert failed.returncode == 1
    assert "project.001_a ended the transaction it ran in" in failed.stderr
    assert "it was not recorded" in failed.stderr
    assert (
        "What stood before a ROLLBACK was undone, what stood before a COMMIT took effect; what came after either "
        "took effect as well, unless AND CHAIN stood there."
    ) in failed.stderr
    assert (site.has("a"), site.has("b")) == (before, behind)
    assert site.recorded() == []
    assert [event["name"] for event in site.events("failed")] == ["001_a"]
    assert failed.stderr.endswith(
        "  Next: Remove the COMMIT or ROLLBACK from the file, undo what took effect, and run  "
        "python manage.py sqlmigrate_apply\n"
    )
    site.query("DROP TABLE IF EXISTS a, b")
    site.write("001_a.sql", "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n")
    assert site.apply().returncode == 0
    assert (site.names(), site.has("a"), site.has("b")) == (["001_a"], True, True)


@pytest.mark.parametrize("removal", ["DELETE FROM", "TRUNCATE"])
def test_a_file_that_removes_its_own_row_is_rolled_back(site: FaultySite, removal: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    site.write("002_b.sql", f"CREATE TABLE b (id int);\n{removal} schema_migrations;\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert failed.stderr == (
        "project.002_b removed its own row from schema_migrations, and was rolled back.\n\n"
        "  migrations_sql/002_b.sql\n\n"
        "  Nothing of this file was kept; no migrations were applied in this run before it.\n"
        "  Next: Leave the row in state 'running' where it is, then run  python manage.py sqlmigrate_apply\n"
    )
    assert (site.names(), site.has("b")) == (["001_a"], False)


def test_f15_begin_and_commit_around_a_part_are_refused_with_both_lines(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\nBEGIN;\nCREATE TABLE b (id int);\nCOMMIT;\nSELECT 1;\n")

    refused = site.apply()

    assert refused.returncode == 6
    assert "migrations_sql/001_a.sql:2:1  [transaction-control]" in refused.stderr
    assert "and line 4 would end it" in refused.stderr
    assert "migrations_sql/001_a.sql:4:1  [transaction-control]" in refused.stderr
    assert (site.ledger(), site.has("a")) == ([], False)
    site.write("001_a.sql", "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\nSELECT 1;\n")
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]


@pytest.mark.parametrize("end", ["COMMIT", "END", "END TRANSACTION"])
def test_f15_a_file_wrapped_whole_is_atomic_with_its_record(site: FaultySite, end: str) -> None:
    body = "CREATE TABLE a AS SELECT current_setting('transaction_isolation');\n{last}\n"
    site.write("001_a.sql", f"BEGIN ISOLATION LEVEL SERIALIZABLE;\n{body.format(last='SELECT 1/0;')}{end};\n")
    assert (site.apply().returncode, site.has("a"), site.recorded()) == (1, False, [])
    site.write("001_a.sql", f"BEGIN ISOLATION LEVEL SERIALIZABLE;\n{body.format(last='')}{end};\n")

    applied = site.apply()

    assert (applied.returncode, site.names()) == (0, ["001_a"])
    assert site.query("SELECT * FROM a") == [("serializable",)]
    assert site.ledger()[-1]["statements_done"] == 1


@pytest.mark.parametrize(
    "sql",
    [
        "DO $$ BEGIN INSERT INTO a VALUES (1); COMMIT; END $$;\n",
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN INSERT INTO a VALUES (1); ROLLBACK; END';\nCALL p();\n",
    ],
)
def test_f16_a_commit_inside_do_or_call_is_refused_by_the_server(site: FaultySite, sql: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n" + sql)

    failed = site.apply()

    assert failed.returncode == 1
    assert "PostgreSQL 2D000: invalid transaction termination" in failed.stderr
    assert "COMMIT and ROLLBACK are not possible inside DO or CALL here" in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)
    site.write("001_a.sql", "CREATE TABLE a (id int);\n" + sql.replace(" COMMIT;", "").replace(" ROLLBACK;", ""))
    assert site.apply().returncode == 0
    assert (site.names(), site.query("SELECT id FROM a")) == (["001_a"], [(1,)])


def test_f17_savepoints_are_allowed(site: FaultySite) -> None:
    site.write(
        "001_a.sql",
        "CREATE TABLE a (id int);\nSAVEPOINT s;\nINSERT INTO a VALUES (1);\nROLLBACK TO s;\n"
        "INSERT INTO a VALUES (2);\nROLLBACK WORK TO SAVEPOINT s;\nINSERT INTO a VALUES (3);\nRELEASE s;\n",
    )

    assert site.apply().returncode == 0

    assert site.names() == ["001_a"]
    assert site.query("SELECT id FROM a") == [(3,)]


def test_f18_a_runner_killed_before_commit_leaves_nothing_and_no_lock(site: FaultySite) -> None:
    site.write("000_first.sql", "SELECT 1;\n")
    assert site.apply().returncode == 0
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    killed = site.apply(FAULT="die_before_commit")

    assert killed.returncode == -9
    until(lambda: site.sessions("sqlmigrations") == [])
    assert (site.recorded(), site.has("a")) == ([("000_first", "applied")], False)
    assert site.apply("--lock-wait", "0").returncode == 0
    assert site.names() == ["000_first", "001_a"]


def test_f18_the_lock_of_a_killed_runner_is_free_within_a_second(site: FaultySite, gate: Gate) -> None:
    site.write("001_a.sql", f"{PATIENTLY}CREATE TABLE a (id int);\n{THROUGH_THE_GATE}")
    runner = site.start_apply()
    gate.await_somebody()
    runner.kill()
    gate.open()

    # Nobody waits for what the dead one holds but this one, which gives up after a second.
    following = site.apply("--lock-wait", "1")

    assert (following.returncode, following.stderr) == (0, "")
    assert site.names() == ["001_a"]


def test_f18_a_runner_killed_while_it_makes_the_tracking_tables_leaves_an_empty_database(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    killed = site.apply(FAULT="die_before_commit")

    assert killed.returncode == -9
    until(lambda: site.sessions("sqlmigrations") == [])
    assert site.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
    assert site.apply("--lock-wait", "0").returncode == 0
    assert site.names() == ["001_a"]


def test_f19_the_statement_of_a_killed_runner_is_stopped(site: FaultySite) -> None:
    site.query("CREATE TABLE pause AS SELECT 600 AS seconds")
    site.query("CREATE TABLE done (number int)")
    site.write("001_a.sql", "INSERT INTO done VALUES (1);\nSELECT pg_sleep(seconds) FROM pause;\n")
    runner = site.start_apply()
    until(
        lambda: site.query(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
    )

    runner.kill()

    until(lambda: site.sessions("sqlmigrations") == [])
    assert (site.recorded(), site.holders()) == ([], [])
    site.query("UPDATE pause SET seconds = 0")
    assert site.apply().returncode == 0
    assert (site.names(), site.query("SELECT number FROM done")) == (["001_a"], [(1,)])


def test_a_runner_killed_in_a_transaction_that_waits_frees_its_locks(site: FaultySite, gate: Gate) -> None:
    site.query("CREATE TABLE a (id int)")
    site.write("001_a.sql", AT_THE_GATE + "SELECT 1;\n")
    site.write("002_b.sql", f"{PATIENTLY}ALTER TABLE a ADD COLUMN b int;\n{THROUGH_THE_GATE}")
    runner = site.start_apply()
    gate.await_somebody()

    runner.kill()

    until(lambda: site.sessions("sqlmigrations") == [])
    gate.open()
    assert site.apply("--lock-wait", "0").returncode == 0
    assert site.names() == ["001_a", "002_b"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_f22_a_file_whose_connection_is_terminated_once_is_tried_again(
    site: FaultySite, gate: Gate, driver: str
) -> None:
    site.query("CREATE TABLE done (number int)")
    site.write("001_a.sql", AT_THE_GATE + "INSERT INTO done VALUES (1);\n")
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()
    site.terminate("sqlmigrations")
    gate.open()

    applied = ended(runner)

    assert applied.returncode == 0, applied
    assert site.query("SELECT number FROM done") == [(1,)]
    assert [event["detail"]["attempts"] for event in site.events("applied")] == [1, 2]


# psycopg2 does not hand on what the server said last.
@pytest.mark.parametrize(
    ("driver", "said"),
    [
        ("psycopg", "PostgreSQL 57P01: terminating connection due to administrator command"),
        ("psycopg2", "Connection: server closed the connection unexpectedly"),
    ],
)
def test_f22_a_file_whose_connection_is_terminated_twice_is_given_up(
    site: FaultySite, gate: Gate, driver: str, said: str
) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    runner = site.start_apply(DRIVER=driver)
    first = gate.await_somebody()
    site.terminate("sqlmigrations")
    until(lambda: gate.waiting() not in ([], [first]))
    site.terminate("sqlmigrations")

    failed = ended(runner)

    assert failed.returncode == 1, failed
    assert "project.001_a failed and was rolled back." in failed.stderr
    assert said in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)
    assert [event["name"] for event in site.events("failed")] == ["001_a"]
    gate.open()
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_f22_a_connection_terminated_between_files_does_not_stop_the_run(site: FaultySite, driver: str) -> None:
    for number in (1, 2, 3):
        site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int);\n")

    applied = site.apply(FAULT="end_the_idle_work_connection", DRIVER=driver)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.names() == ["001_t", "002_t", "003_t"]
    assert "4 applied, 0 skipped" in applied.stdout


@pytest.mark.parametrize("driver", ["psycopg"])  # psycopg2 does not hand on what the server said last
def test_a_transaction_that_ran_out_of_time_is_not_tried_again(site: FaultySite, driver: str) -> None:
    if not site.query("SELECT 1 FROM pg_settings WHERE name = 'transaction_timeout'"):
        pytest.skip("this server knows no transaction_timeout")
    site.query(f"ALTER DATABASE {site.database.name} SET transaction_timeout = '400ms'")
    site.write("001_a.sql", "CREATE TABLE a ();\nSELECT pg_sleep(30);\n")

    failed = site.apply(DRIVER=driver)

    assert failed.returncode == 1, failed
    assert "PostgreSQL 25P04: terminating connection due to transaction timeout" in failed.stderr
    assert "ALTER ROLE ... SET transaction_timeout = 0" in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)
    assert len(site.events("failed")) == 1
