"""Files that run statement by statement: recorded as they go, stopped half way, resumed where they stopped."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.faults.proxy import Cut, Proxy
from tests.faults.scene import GATE, THROUGH_THE_GATE, FaultySite, Gate, ended, until

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])

DONE = """\
-- transaction: off
CREATE TABLE t (a int);
INSERT INTO t VALUES (1), (2);
CREATE INDEX CONCURRENTLY t_a ON t (a);
"""
STOPPED = """\
project.001_t stopped at statement 4 of 5, in line 5.

  migrations_sql/001_t.sql:5:1
    4 | CREATE INDEX CONCURRENTLY t_a ON t (a);
  > 5 | SELECT 1 / 0;
      | ^
    6 | CREATE TABLE u (a int);
  PostgreSQL 22012: division by zero

"""


def progress(site: FaultySite) -> list[tuple[str, int, int]]:
    rows = (row for row in site.ledger() if row["label"] == "project")
    return [(row["state"], row["statements_done"], row["statements_total"]) for row in rows]


def oid(site: FaultySite, relation: str) -> int:
    return int(site.query("SELECT to_regclass(%s)::oid::bigint", relation)[0][0])


def is_valid(site: FaultySite, index: str) -> bool:
    return site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", index) == [(True,)]


def test_w03_a_lone_concurrent_index_needs_no_mark(site: FaultySite) -> None:
    site.write("001_t.sql", "CREATE TABLE t (a int);\n")
    site.write("002_i.sql", "CREATE INDEX CONCURRENTLY t_a ON t (a);\n")
    site.write("003_d.sql", "DROP INDEX CONCURRENTLY t_a;\n")

    built = site.apply("project", "002")
    valid = is_valid(site, "t_a")
    dropped = site.apply()

    assert (built.returncode, built.stderr, dropped.returncode, dropped.stderr) == (0, "", 0, "")
    assert valid
    assert not site.has("t_a")
    assert [row["mode"] for row in site.ledger()[2:]] == ["statements", "statements"]


def test_f47_each_of_many_builds_is_sent_alone_and_journalled(site: FaultySite) -> None:
    numbers = range(1, 13)
    site.write("001_t.sql", "CREATE TABLE t (a int);\n")
    site.write("002_i.sql", "".join(f"CREATE INDEX CONCURRENTLY t_{n} ON t (a); " for n in numbers))

    ended = site.apply()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(is_valid(site, f"t_{n}") for n in numbers)
    assert [e["detail"]["number"] for e in site.events("statement_started")] == list(numbers)
    assert [e["detail"]["number"] for e in site.events("statement_finished")] == list(numbers)
    assert progress(site) == [("applied", 1, 1), ("applied", 12, 12)]


DOZEN = """\
-- transaction: off
CREATE TABLE t (a int, b text); INSERT INTO t SELECT g, g::text FROM generate_series(1, 100) AS g;
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE a = 1; END; $$;
SET maintenance_work_mem = '32MB';
CREATE INDEX CONCURRENTLY t_a ON t (a); CREATE UNIQUE INDEX CONCURRENTLY t_b ON t (b);
VACUUM t;
SELECT f();  /* ; */
ALTER TABLE t ADD CONSTRAINT t_b UNIQUE USING INDEX t_b;
REINDEX INDEX CONCURRENTLY t_a; -- ;
RESET maintenance_work_mem;
DROP INDEX CONCURRENTLY t_a
"""


def test_w04_a_dozen_statements_of_all_kinds_are_sent_singly_and_journalled(site: FaultySite) -> None:
    site.write("001_t.sql", DOZEN)

    ran = site.apply()
    again = site.apply()

    assert (ran.returncode, ran.stderr) == (0, "")
    assert again.stdout == "All migrations are already applied!\n"
    assert progress(site) == [("applied", 12, 12)]
    assert [e["detail"]["number"] for e in site.events("statement_finished")] == list(range(1, 13))
    # Of those that cannot run in a transaction is written down beforehand what there was of their object.
    assert [e["detail"]["number"] for e in site.events("statement_started")] == [5, 6, 7, 10, 12]
    assert site.query("SELECT count(*) FROM t") == [(99,)]
    assert (site.has("t_a"), is_valid(site, "t_b")) == (False, True)


def test_w02_a_transaction_within_such_a_file_is_kept_whole_or_not_at_all(site: FaultySite) -> None:
    text = "-- transaction: off\nCREATE TABLE t (a int);\nBEGIN;\nINSERT INTO t VALUES (1);\n"
    text += "INSERT INTO t VALUES (%s);\nEND;\n"
    site.write("001_t.sql", text % "'x'")

    failed = site.apply()

    assert failed.returncode == 7
    assert "stopped at statement 4 of 5, in line 5" in failed.stderr
    assert "Statement 1 is done and recorded. Statements 2 to 4, one transaction, were rolled back." in failed.stderr
    assert "It goes on at statement 2: from line 3 on the file may be changed, above it not." in failed.stderr
    assert site.query("SELECT * FROM t") == []
    assert progress(site) == [("partial", 1, 5)]

    site.write("001_t.sql", text % 2)
    assert site.apply().returncode == 0
    assert site.query("SELECT * FROM t") == [(1,), (2,)]


# The server reads it as two statements more than we do, once backslashes mean something to it.
HIDDEN = """\
-- transaction: off
CREATE TABLE t (a int);
DO $$BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); END$$;
BEGIN;
INSERT INTO t VALUES (1);
SELECT 'a\\', '; {ending}; --';
COMMIT;
"""


@pytest.mark.parametrize(("ending", "kept"), [("ROLLBACK", []), ("COMMIT", [(1,)])])
def test_f14_f15_an_ending_that_is_hidden_in_a_transaction_of_the_file_is_caught(
    site: FaultySite, ending: str, kept: list[tuple[int]]
) -> None:
    site.write("001_t.sql", HIDDEN.format(ending=ending))

    failed = site.apply()

    assert failed.returncode == 7, failed
    assert (progress(site), site.query("SELECT a FROM t")) == ([("partial", 2, 6)], kept)
    assert (
        "Statements 1 to 2 are done and recorded. The transaction ended inside the file: what stood before a ROLLBACK "
        "was undone, what stood before a COMMIT took effect"
    ) in failed.stderr
    assert "- Remove the COMMIT or ROLLBACK from the file, and undo what took effect.\n" in failed.stderr
    site.query("DELETE FROM t")
    site.write("001_t.sql", HIDDEN.format(ending="SELECT 1"))
    assert site.apply().returncode == 0
    assert (progress(site), site.query("SELECT a FROM t")) == ([("applied", 6, 6)], [(1,)])


def test_copy_data_are_loaded_and_the_session_is_what_the_file_made_it(site: FaultySite) -> None:
    site.query("CREATE SCHEMA s")
    site.write(
        "001_t.sql",
        "-- transaction: off\nSET search_path = s;\nCREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n2\n\\.\n"
        "CREATE TEMP TABLE x AS SELECT max(a) AS a FROM t;\nINSERT INTO t SELECT a + 1 FROM x;\nVACUUM t;\n",
    )

    ended = site.apply()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert site.query("SELECT a FROM s.t ORDER BY a") == [(1,), (2,), (3,)]


def test_a_file_whose_first_effect_fails_leaves_nothing_and_is_not_recorded(site: FaultySite) -> None:
    site.write("001_i.sql", "SET maintenance_work_mem = '16MB';\nCREATE INDEX CONCURRENTLY i ON nowhere (a);\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert failed.stderr.startswith("project.001_i failed.\n")
    assert "Nothing of this file was kept; 1 migration was applied in this run before it." in failed.stderr
    assert site.recorded() == []


def test_a_file_that_fails_behind_statements_that_are_done_is_repaired_from_there_on(site: FaultySite) -> None:
    site.write("001_t.sql", f"{DONE}SELECT 1 / 0;\nCREATE TABLE u (a int);\n")
    failed = site.apply()
    before = oid(site, "t_a")

    status = site.run("sqlmigrate_status").stdout
    plan = site.apply("--plan").stdout
    site.write("001_t.sql", f"{DONE}SELECT 1;\nINSERT INTO t VALUES (3);\nCREATE TABLE u (a int);\n")
    resumed = site.apply()

    assert (failed.returncode, failed.stderr.startswith(STOPPED)) == (7, True), failed.stderr
    assert "Statements 1 to 3 are done and recorded. Statement 4 was rolled back." in failed.stderr
    assert "[!] 001_t  (partial, 3 of 5 statements, line 5, begun " in status
    assert "resumes at statement 4 (line 5), statement by statement, 5 statements" in plan
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "resumed at statement 4" in resumed.stdout
    assert site.query("SELECT a FROM t ORDER BY a") == [(1,), (2,), (3,)]
    assert (site.has("u"), oid(site, "t_a")) == (True, before)
    assert progress(site) == [("applied", 6, 6)]


def test_statements_that_are_done_must_not_be_changed(site: FaultySite) -> None:
    site.write("001_t.sql", f"{DONE}SELECT 1 / 0;\n")
    site.apply()
    site.write("001_t.sql", f"{DONE.replace('(1), (2)', '(1)')}SELECT 1;\n")

    refused = site.apply()
    shown = site.run("sqlmigrate_status", "-v", "2").stdout

    assert refused.returncode == 7
    assert "-INSERT INTO t VALUES (1), (2);\n       +INSERT INTO t VALUES (1);\n" in shown
    assert "the statements that are done are no longer those that were run" in refused.stderr
    assert progress(site) == [("partial", 3, 4)]
    site.write("001_t.sql", f"{DONE}SELECT 1;\n")
    assert site.apply().returncode == 0


def test_a_file_that_removes_its_own_row_statement_by_statement_is_told(site: FaultySite) -> None:
    site.write("001_t.sql", f"{DONE}DELETE FROM schema_migrations WHERE name = '001_t';\n")

    stopped = site.apply()

    assert stopped.returncode == 7, stopped
    assert "The row of project.001_t in schema_migrations was changed or removed while its statements ran." in (
        stopped.stderr
    )
    site.write("001_t.sql", DONE)
    assert site.apply().returncode == 0
    assert progress(site) == [("applied", 3, 3)]


def test_a_half_done_file_is_seen_by_status_check_and_json(site: FaultySite) -> None:
    site.write("001_t.sql", f"{DONE}SELECT 1 / 0;\n")
    site.apply()

    document = json.loads(site.run("sqlmigrate_status", "--format", "json").stdout)
    planned = json.loads(site.apply("--plan", "--format", "json").stdout)

    entry = document["migrations"][-1]
    assert (entry["state"], entry["statements_done"], entry["statements_total"], entry["next_line"]) == (
        "partial",
        3,
        4,
        5,
    )
    assert (document["summary"]["partial"], document["summary"]["integrity"]) == (1, "valid")
    assert planned["steps"][0]["resumes_at"] == 4
    assert site.run("sqlmigrate_status", "--check").returncode == 7
    assert site.apply("--check").returncode == 7


def test_a_half_done_file_cannot_be_recorded_without_running(site: FaultySite) -> None:
    site.write("001_t.sql", f"{DONE}SELECT 1 / 0;\n")
    site.apply()

    refused = site.apply("--fake")

    assert refused.returncode == 7
    assert "Half done by an earlier run, so it cannot be recorded without running." in refused.stderr


def test_a_session_is_made_anew_for_the_statements_that_are_left(site: FaultySite) -> None:
    site.query("CREATE SCHEMA s")
    head = (
        "-- transaction: off\nSET search_path = s;\nCREATE TEMP TABLE x AS SELECT 7 AS a;\nCREATE TABLE t (a int);\n"
    )
    site.write("001_t.sql", f"{head}SELECT 1 / 0;\nINSERT INTO t SELECT a FROM x;\n")
    site.apply()
    site.write("001_t.sql", f"{head}INSERT INTO t SELECT a FROM x;\n")

    resumed = site.apply()

    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert site.query("SELECT a FROM s.t") == [(7,)]


def test_what_only_the_server_knows_to_refuse_a_transaction_runs_outside_of_one(site: FaultySite) -> None:
    site.write(
        "001_p.sql",
        "CREATE TABLE p (a int) PARTITION BY LIST (a);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);\n"
        "CREATE INDEX p_a ON p (a);\nCREATE TABLE log (n int);\n"
        "CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..2 LOOP\n"
        "INSERT INTO log VALUES (i); COMMIT; END LOOP; END $$;\n",
    )
    site.write("002_r.sql", "REINDEX TABLE p;\n")
    refused = site.apply()
    site.write("002_r.sql", "-- transaction: off\nREINDEX TABLE p;\nCALL twice();\n")

    applied = site.apply()

    assert refused.returncode == 1
    assert "PostgreSQL 25001" in refused.stderr
    assert "begins with the line  -- transaction: off" in refused.stderr
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.query("SELECT n FROM log ORDER BY n") == [(1,), (2,)]


def test_a_role_the_file_takes_on_does_not_keep_the_journal_from_being_written(site: FaultySite) -> None:
    site.query("CREATE TABLE t (a int)")
    site.write(
        "001_t.sql",
        "-- transaction: off\nSET ROLE pg_read_all_data;\nSELECT * FROM t;\nRESET ROLE;\n"
        "CREATE INDEX CONCURRENTLY i ON t (a);\n",
    )

    ended = site.apply()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert progress(site) == [("applied", 4, 4)]


def gated(*after: str) -> str:
    """A file that makes a table, waits at the gate, and goes on."""
    head = "-- transaction: off\n-- lock-timeout: 60s\nCREATE TABLE t (a int);\n"
    return head + THROUGH_THE_GATE + "".join(f"{statement}\n" for statement in after)


@DRIVERS
def test_f20_a_runner_killed_within_a_statement_of_a_transaction_is_followed_by_one_that_runs_it_again(
    site: FaultySite, gate: Gate, driver: str
) -> None:
    site.write("001_t.sql", gated("INSERT INTO t VALUES (1);", "VACUUM t;"))
    killed = site.start_apply(DRIVER=driver)
    gate.await_somebody()
    killed.kill()
    killed.wait()
    until(lambda: not gate.waiting())
    left = progress(site)
    gate.open()

    resumed = site.apply(DRIVER=driver)

    assert left == [("running", 1, 4)]
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "resumed at statement 2" in resumed.stdout
    assert (site.query("SELECT a FROM t"), progress(site)) == ([(1,)], [("applied", 4, 4)])


def test_f20_a_runner_killed_within_a_procedure_leaves_the_choice_to_a_person(site: FaultySite, gate: Gate) -> None:
    site.write(
        "001_t.sql",
        "-- transaction: off\n-- lock-timeout: 60s\nCREATE TABLE log (n int);\n"
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN\n"
        f"INSERT INTO log VALUES (1); COMMIT; PERFORM pg_advisory_xact_lock({GATE});\n"
        "INSERT INTO log VALUES (2); END $$;\n"
        "CALL p();\nCREATE TABLE u ();\n",
    )
    killed = site.start_apply()
    gate.await_somebody()
    killed.kill()
    killed.wait()
    until(lambda: not gate.waiting())
    gate.open()

    asked = site.apply()
    commands = re.findall(r'python manage\.py (sqlmigrate_repair [^"\n]*)"\.\.\."', asked.stderr)

    assert [event["detail"]["number"] for event in site.events("statement_started")][-1] == 3
    assert (asked.returncode, progress(site), site.query("SELECT n FROM log")) == (7, [("partial", 2, 4)], [(1,)])
    assert [re.findall(r"--(?:done|redo)", command) for command in commands] == [["--done"], ["--redo"]]
    assert site.run(*shlex.split(commands[0]), "looked", "--noinput").returncode == 0
    assert site.apply().returncode == 0
    assert (progress(site), site.has("u"), site.query("SELECT n FROM log")) == ([("applied", 4, 4)], True, [(1,)])


@DRIVERS
def test_f05_a_lost_lock_stops_the_run_before_the_next_statement_and_the_next_run_goes_on(
    site: FaultySite, gate: Gate, driver: str
) -> None:
    site.write("001_t.sql", gated("CREATE INDEX CONCURRENTLY t_a ON t (a);"))
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()
    site.terminate("sqlmigrations lock")
    gate.open()

    stopped = ended(runner)
    left = (progress(site), site.has("t_a"))
    resumed = site.apply(DRIVER=driver)

    assert stopped.returncode == 10, stopped
    assert "the run stopped before the next statement of project.001_t." in stopped.stderr
    assert left == ([("running", 2, 3)], False)
    assert (resumed.returncode, resumed.stderr, is_valid(site, "t_a")) == (0, "", True)


@pytest.mark.parametrize("statement", ["INSERT INTO t VALUES (1);", "SET maintenance_work_mem = '16MB';"])
def test_f05_a_statement_of_any_kind_is_not_begun_without_the_lock(
    site: FaultySite, gate: Gate, statement: str
) -> None:
    site.write("001_t.sql", gated(statement))
    runner = site.start_apply()
    gate.await_somebody()
    site.terminate("sqlmigrations lock")
    gate.open()

    stopped = ended(runner)
    left = (progress(site), site.query("SELECT a FROM t"))
    resumed = site.apply()

    assert (stopped.returncode, left) == (10, ([("running", 2, 3)], [])), stopped
    assert "the run stopped before the next statement of project.001_t." in stopped.stderr
    assert (resumed.returncode, resumed.stderr, progress(site)) == (0, "", [("applied", 3, 3)])


def test_f06_a_second_runner_waits_for_the_statement_of_one_that_lost_its_lock_and_goes_on(
    site: FaultySite, gate: Gate
) -> None:
    site.write("001_t.sql", gated("CREATE INDEX CONCURRENTLY t_a ON t (a);", "INSERT INTO t VALUES (1);"))
    first = site.start_apply()
    gate.await_somebody()
    site.terminate("sqlmigrations lock")
    second = site.start_apply()
    assert second.stdout is not None
    told = [second.stdout.readline() for _ in range(2)]
    gate.open()

    stopped, resumed = ended(first), ended(second)

    assert told[1].startswith("  Waiting for a statement of an earlier run, which the server still executes: pid ")
    assert (stopped.returncode, resumed.returncode, resumed.stderr) == (10, 0, "")
    assert (progress(site), is_valid(site, "t_a")) == ([("applied", 4, 4)], True)
    assert site.query("SELECT a FROM t") == [(1,)]
    assert [event["detail"]["number"] for event in site.events("statement_finished")] == [1, 2, 3, 4]


@DRIVERS
def test_f22_a_backend_terminated_within_a_transaction_of_the_file_is_replaced_and_the_file_goes_on(
    site: FaultySite, gate: Gate, driver: str
) -> None:
    site.query("CREATE SCHEMA s")
    site.write("001_t.sql", gated("INSERT INTO t VALUES (1);").replace("CREATE", "SET search_path = s;\nCREATE", 1))
    runner = site.start_apply(DRIVER=driver)
    gate.await_somebody()
    site.terminate("sqlmigrations")
    gate.open()

    applied = ended(runner)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert (site.query("SELECT a FROM s.t"), progress(site)) == ([(1,)], [("applied", 4, 4)])


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_f26_f27_a_cut_around_a_commit_of_the_file_leaves_every_statement_done_once(
    site: FaultySite, proxy: Proxy, cut: Cut
) -> None:
    site.query("CREATE TABLE done (number int)")
    assert site.apply().returncode == 0
    site.write("001_t.sql", "-- transaction: off\nINSERT INTO done VALUES (1);\nINSERT INTO done VALUES (2);\n")
    proxy.cut(cut)

    applied = site.apply(DATABASE_URL=proxy.url(site.database.url))

    assert applied.returncode == 0, applied
    assert site.query("SELECT number FROM done ORDER BY number") == [(1,), (2,)]
    assert progress(site) == [("applied", 2, 2)]


def test_what_a_statement_left_is_not_forgotten_with_the_statement(site: FaultySite) -> None:
    site.query("CREATE TABLE t (a int)")
    site.query("INSERT INTO t VALUES (1), (1)")
    site.write("001_i.sql", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);\n")
    failed = site.apply()
    site.write("001_i.sql", "-- transaction: off\nINSERT INTO t VALUES (3);\n")

    refused = site.apply()
    site.query("DROP INDEX CONCURRENTLY i")
    applied = site.apply()

    assert (failed.returncode, refused.returncode) == (7, 7)
    assert "Statement 1, which was begun, is no longer in the file or is another now." in refused.stderr
    assert "- Clear up what it left:\n      DROP INDEX CONCURRENTLY public.i;" in refused.stderr
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.query("SELECT count(*) FROM t") == [(3,)]


def test_what_is_done_is_not_forgotten_when_the_session_cannot_be_made_anew(site: FaultySite) -> None:
    site.query("CREATE SCHEMA s")
    site.query("CREATE ROLE passing")
    head = "-- transaction: off\nSET ROLE passing;\nRESET ROLE;\nCREATE TABLE t (a int);\n"
    site.write("001_t.sql", f"{head}SELECT 1 / 0;\n")
    site.apply()
    site.query("DROP ROLE passing")

    stopped = site.apply()

    assert stopped.returncode == 7, stopped
    assert 'role "passing" does not exist' in stopped.stderr
    assert progress(site) == [("partial", 3, 4)]
    site.query("CREATE ROLE passing")
    site.write("001_t.sql", f"{head}SELECT 1;\n")
    resumed = site.apply()
    site.query("DROP ROLE passing")
    assert (resumed.returncode, resumed.stderr) == (0, "")


@pytest.mark.parametrize(
    "refused",
    ["CREATE INDEX CONCURRENTLY taken ON t (a);", "CREATE DATABASE postgres;", "CALL p();"],
    ids=["index", "database", "procedure"],
)
def test_a_statement_that_left_nothing_of_its_own_may_be_replaced(site: FaultySite, refused: str) -> None:
    site.write("001_t.sql", "CREATE TABLE t (a int); CREATE INDEX taken ON t (a);\n")
    site.write("002_p.sql", "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; RAISE 'no'; END $$;\n")
    site.write("003_i.sql", f"-- transaction: off\n{refused}\n")
    failed = site.apply()
    site.write("003_i.sql", "CREATE INDEX CONCURRENTLY mine ON t (a);\n")

    applied = site.apply()

    assert failed.returncode == 7
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.query("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid") == [(2,)]
