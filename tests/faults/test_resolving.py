"""Statements of which nobody saw the end, decided by a person."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from sqlmigrations.backends.locking import STATEMENTS, LockKey
from tests.faults.scene import FaultySite, Role

WHY = ("--reason", "looked at it", "--noinput")
UNIQUE = """\
-- transaction: off
CREATE TABLE t (a int);
INSERT INTO t VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);
CREATE TABLE u ();
"""
# Commits in the middle and fails then: nobody but a person can tell what it has done.
CALLED = """\
-- transaction: off
CREATE TABLE log (n int);
CREATE TABLE wanted (ok bool);
CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO log VALUES (1); COMMIT; IF NOT EXISTS (SELECT FROM wanted) THEN RAISE 'not yet'; END IF; END $$;
CALL p();
CREATE TABLE u ();
"""


def resolve(site: FaultySite, *arguments: str) -> subprocess.CompletedProcess[str]:
    return site.run("sqlmigrate_repair", "resolve", "project", "1", *arguments, *WHY)


def is_valid(site: FaultySite, index: str) -> bool:
    return site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", index) == [(True,)]


@pytest.fixture
def duplicates(site: FaultySite) -> FaultySite:
    """A unique index that could not be built, and was left invalid."""
    site.write("001_t.sql", UNIQUE)
    assert site.apply().returncode == 7
    return site


@pytest.fixture
def called(site: FaultySite) -> FaultySite:
    """A procedure that failed half way."""
    site.write("001_t.sql", CALLED)
    assert site.apply().returncode == 7
    return site


def test_what_the_catalog_shows_undone_is_not_taken_for_done(duplicates: FaultySite) -> None:
    before = duplicates.ledger()

    refused = resolve(duplicates, "--done")

    assert (refused.returncode, refused.stdout) == (6, "")
    assert refused.stderr.startswith(
        "Statement 3 of project.001_t is not done. The index public.t_a was left invalid because rows with the same "
        "key exist. "
    )
    assert " Nothing was changed.\n\n  Next: Let it be run again: python manage.py sqlmigrate_repair" in refused.stderr
    assert (duplicates.ledger(), duplicates.events("statement_resolved")) == (before, [])


def test_what_is_to_be_run_again_is_cleaned_up_after_and_run_by_the_next_apply(duplicates: FaultySite) -> None:
    duplicates.query("DELETE FROM t")

    resolved = resolve(duplicates, "--redo")
    applied = duplicates.apply()

    assert (resolved.returncode, resolved.stderr) == (0, "")
    shown = re.sub(r"begun [^)]+\)", "begun WHEN)", resolved.stdout).splitlines()
    assert shown[:3] == [
        "project.001_t  (partial, begun WHEN)",
        "  migrations_sql/001_t.sql:4:1, statement 3 of 4",
        "    CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a);",
    ]
    assert shown[3].startswith("The index public.t_a was left invalid because rows with the same key exist.")
    assert shown[4:] == [
        "It counts as not done: "
        "the next apply runs  DROP INDEX CONCURRENTLY public.t_a  and then the statement again.",
        "Resolved: project.001_t. The event says when, who and why.",
        "Next: python manage.py sqlmigrate_apply",
    ]
    (event,) = duplicates.events("statement_resolved")
    assert event["detail"] == {"number": 3, "line": 4, "how": "redo", "reason": "looked at it"}
    assert (applied.returncode, applied.stderr) == (0, "")
    assert is_valid(duplicates, "t_a")
    assert duplicates.has("u")


def test_an_index_that_a_person_has_built_meanwhile_is_taken_as_done(duplicates: FaultySite) -> None:
    duplicates.query("DELETE FROM t; DROP INDEX t_a; CREATE UNIQUE INDEX t_a ON t (a)")
    (before,) = duplicates.query("SELECT to_regclass('t_a')::oid")

    resolved = resolve(duplicates, "--done", "--statement", "3")
    applied = duplicates.apply()

    assert resolved.returncode == 0, resolved
    assert "\nIt counts as done: the next apply goes on with the statement after it.\n" in resolved.stdout
    assert (applied.returncode, applied.stderr) == (0, "")
    assert duplicates.query("SELECT to_regclass('t_a')::oid") == [before]
    assert duplicates.has("u")


@pytest.mark.parametrize(("how", "times"), [("--done", 1), ("--redo", 2)])
def test_what_no_catalog_can_tell_a_person_decides(called: FaultySite, how: str, times: int) -> None:
    undecided = called.apply()
    asked = called.run("sqlmigrate_status")
    called.query("INSERT INTO wanted VALUES (true)")

    resolved = resolve(called, how)
    decided = called.run("sqlmigrate_status")
    applied = called.apply()

    assert undecided.returncode == 7
    assert "A person has to decide" in asked.stdout
    assert "A person has to decide" not in decided.stdout
    assert f"sqlmigrate_repair resolve project 001 {how} --reason" in undecided.stderr
    assert resolved.returncode == 0, resolved
    assert applied.returncode == 0, applied
    assert called.query("SELECT count(*) FROM log") == [(times,)]
    assert called.has("u")


def test_the_commands_that_an_undecided_statement_names_can_be_typed(called: FaultySite) -> None:
    commands = re.findall(r'python manage\.py (sqlmigrate_repair [^"\n]*)"\.\.\."', called.apply().stderr)

    assert len(commands) == 2
    for command in commands:
        assert called.run(*shlex.split(command), "tried it", "--noinput").returncode == 0
    assert [event["detail"]["how"] for event in called.events("statement_resolved")] == ["done", "redo"]


def test_only_the_statement_in_doubt_can_be_resolved(called: FaultySite) -> None:
    refused = resolve(called, "--done", "--statement", "2")

    assert refused.returncode == 2
    assert refused.stderr.startswith("Statement 2 of project.001_t is not in doubt; statement 4 is.\n")


def test_a_statement_that_was_rolled_back_needs_no_decision(site: FaultySite) -> None:
    site.write("001_t.sql", "-- transaction: off\nCREATE TABLE t (a int);\nSELECT 1 / 0;\n")
    site.apply()

    refused = resolve(site, "--done")

    assert refused.returncode == 2
    assert refused.stderr == (
        "Nothing in project.001_t is in doubt: 1 of its 2 statements are done, and the rest has not begun.\n\n"
        "  Next: The next run goes on with statement 2: python manage.py sqlmigrate_apply\n"
    )


def test_a_statement_that_was_changed_since_is_not_the_one_in_doubt(called: FaultySite) -> None:
    called.write("001_t.sql", CALLED.replace("CALL p();", "SELECT 1;"))

    refused = resolve(called, "--redo")

    assert refused.returncode == 2
    assert refused.stderr.startswith("Statement 4 of project.001_t was changed since it began, so the one that began")


def test_statements_that_are_done_and_were_changed_come_first(called: FaultySite) -> None:
    called.write("001_t.sql", CALLED.replace("log (n int)", "log (n bigint)"))

    refused = resolve(called, "--redo")

    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "The statements of project.001_t that are done are no longer those that were run."
    )


def test_what_the_catalog_shows_done_is_not_run_again(site: FaultySite) -> None:
    site.write("001_i.sql", "CREATE INDEX CONCURRENTLY i ON t (a);\n")
    site.query("CREATE TABLE t (a int)")
    site.run("sqlmigrate_apply", check=True)
    # As when the runner was killed between the statement and its record.
    site.query("UPDATE schema_migrations SET state = 'running', statements_done = 0, metadata = '{}' WHERE key = '1'")
    site.query("DELETE FROM schema_migration_events WHERE event IN ('statement_finished', 'applied') AND key = '1'")

    refused = resolve(site, "--redo")

    assert refused.returncode == 2
    assert "Statement 1 of project.001_i is done already. The index public.i is there and valid" in refused.stderr
    assert resolve(site, "--done").returncode == 0
    assert site.apply().returncode == 0


def test_an_object_behind_another_search_path_is_not_looked_for(site: FaultySite) -> None:
    site.query("CREATE SCHEMA s; CREATE TABLE s.t (a int); INSERT INTO s.t VALUES (1), (1)")
    head = "-- transaction: off\nCREATE TABLE u ();\nSET search_path = s;\n"
    site.write("001_i.sql", f"{head}CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);\n")
    assert site.apply().returncode == 7

    resolved = resolve(site, "--done")

    assert (
        "The file had chosen another search_path, so its object is not looked for: your word counts."
        in resolved.stdout
    )
    assert site.apply().returncode == 0


def test_a_statement_that_goes_on_without_its_runner_is_waited_for(called: FaultySite) -> None:
    orphan = called.database.connect()
    with orphan.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LockKey.of("public", STATEMENTS).value])

    refused = resolve(called, "--redo", "--lock-wait", "1")

    assert refused.returncode == 5
    assert "A statement of an earlier run is still being executed by pid" in refused.stderr
    assert called.events("statement_resolved") == []
    orphan.close()
    assert resolve(called, "--redo").returncode == 0


def test_a_half_done_file_that_was_forgotten_begins_anew(called: FaultySite) -> None:
    called.query("DROP TABLE log, wanted; DROP PROCEDURE p")
    called.write("001_t.sql", CALLED.replace("RAISE 'not yet'", "RETURN"))

    forgotten = called.run("sqlmigrate_repair", "forget", "project", "1", *WHY)
    applied = called.apply()

    assert forgotten.returncode == 0, forgotten
    assert (applied.returncode, applied.stderr) == (0, "")
    assert called.query("SELECT n FROM log") == [(1,)]


def test_a_role_that_may_not_read_the_journal_is_told_the_grant(called: FaultySite, role: Role) -> None:
    called.query(f"GRANT USAGE ON SCHEMA public TO {role.name}")
    called.query(f"GRANT SELECT ON schema_migrations, schema_migration_texts TO {role.name}")

    refused = called.run(
        "sqlmigrate_repair", "resolve", "project", "1", "--redo", *WHY, env={"DATABASE_URL": role.url}
    )

    assert refused.returncode == 2
    assert f'GRANT SELECT ON "public".schema_migration_events TO "{role.name}";' in refused.stderr


def test_a_half_done_file_is_finished_before_it_is_accepted(called: FaultySite) -> None:
    assert called.apply().returncode == 7

    refused = called.run("sqlmigrate_repair", "accept", "project", "1", *WHY)

    assert refused.returncode == 2
    assert "Finish it first: python manage.py sqlmigrate_apply   goes on, or tells the ways out." in refused.stderr
