"""Faults around repairs: several at once, beside a run, and cut off on the way."""

from __future__ import annotations

import signal

import pytest

from tests.faults.proxy import Cut, Proxy
from tests.faults.scene import AT_THE_GATE, FaultySite, Gate, Role, ended, until
from tests.terminal import at_a_terminal

ACCEPT = ("sqlmigrate_repair", "accept", "project", "2", "--reason", "typo", "--noinput")


@pytest.fixture
def changed(site: FaultySite) -> FaultySite:
    """Two migrations, applied; the file of the second was changed since."""
    site.write("001_a.sql", "CREATE TABLE a (v int);\n")
    site.write("002_b.sql", "CREATE TABLE b (v int);\n")
    site.run("sqlmigrate_apply", check=True)
    site.write("002_b.sql", "CREATE TABLE b (v bigint);\n")
    return site


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_of_two_repairs_at_once_one_is_recorded(changed: FaultySite, driver: str) -> None:
    runners = [changed.start(*ACCEPT, env={"DRIVER": driver}) for _ in range(2)]

    codes = sorted(ended(runner).returncode for runner in runners)

    # Who comes second finds nothing to accept, in the question or under the lock.
    assert codes == [0, 2]
    assert len(changed.events("accepted")) == 1


def test_a_repair_waits_for_a_run_and_tells_for_whom(changed: FaultySite, gate: Gate) -> None:
    changed.write("002_b.sql", "CREATE TABLE b (v int);\n")
    changed.write("003_c.sql", AT_THE_GATE + "CREATE TABLE c ();\n")
    runner = changed.start_apply()
    gate.await_somebody()
    changed.write("002_b.sql", "CREATE TABLE b (v bigint);\n")

    refused = changed.run(*ACCEPT, "--lock-wait", "0")
    patient = changed.start(*ACCEPT)
    until(lambda: changed.sessions("sqlmigrations lock")[1:])
    gate.open()

    assert refused.returncode == 5
    assert "The migration lock was not obtained within 0 s: held by pid" in refused.stderr
    assert ended(runner).returncode == 0
    assert ended(patient).returncode == 0
    assert changed.names() == ["001_a", "002_b", "003_c"]
    assert len(changed.events("accepted")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_repair_that_is_interrupted_while_it_waits_changes_nothing(
    changed: FaultySite, number: signal.Signals
) -> None:
    before = changed.ledger()
    stranger = changed.database.connect()
    with stranger.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE schema_migrations SET late = late WHERE name = '002_b'; SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone() or ()
    runner = changed.start(*ACCEPT, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    until(lambda: changed.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", pid))

    runner.send_signal(number)
    found = ended(runner)

    assert found.returncode == 128 + number, found
    assert "Interrupted. Nothing was changed." in found.stderr
    stranger.close()
    assert changed.ledger() == before


def test_a_repair_whose_row_somebody_else_holds_gives_up(changed: FaultySite) -> None:
    before = changed.ledger()
    stranger = changed.database.connect()
    with stranger.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE schema_migrations SET late = late WHERE name = '002_b'")

    refused = changed.run(*ACCEPT, "--lock-wait", "1")

    stranger.close()
    assert refused.returncode == 5
    assert refused.stderr == (
        "Another session has changed the record of project.002_b and not committed. Nothing was changed.\n\n"
        "  Next: End that session and start the same command again.\n"
    )
    assert changed.ledger() == before
    assert changed.events("accepted") == []
    assert changed.run(*ACCEPT).returncode == 0


@pytest.mark.parametrize(
    ("application", "code", "said"),
    [("sqlmigrations", 9, "The connection failed: "), ("sqlmigrations lock", 0, "Accepted: project.002_b.")],
)
def test_a_repair_that_loses_a_connection_is_recorded_wholly_or_not_at_all(
    changed: FaultySite, application: str, code: int, said: str
) -> None:
    before = changed.ledger()
    stranger = changed.database.connect()
    with stranger.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE schema_migrations SET late = late WHERE name = '002_b'; SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone() or ()
    runner = changed.start(*ACCEPT)
    until(lambda: changed.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", pid))

    changed.terminate(application)
    stranger.close()
    found = ended(runner)

    assert found.returncode == code, found
    assert said in found.stdout + found.stderr
    assert (changed.ledger() == before) == (code != 0)
    assert len(changed.events("accepted")) == (code == 0)
    assert changed.run(*ACCEPT).returncode == (2 if code == 0 else 0)


def test_a_repair_killed_before_its_commit_leaves_nothing(changed: FaultySite) -> None:
    before = changed.ledger()
    stranger = changed.database.connect()
    with stranger.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE schema_migration_events IN EXCLUSIVE MODE; SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone() or ()
    runner = changed.start(*ACCEPT)
    until(lambda: changed.query("SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))", pid))

    runner.kill()
    ended(runner)
    until(lambda: not changed.sessions("sqlmigrations"))
    stranger.close()

    assert changed.ledger() == before
    assert changed.events("accepted") == []
    assert changed.run(*ACCEPT).returncode == 0


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
@pytest.mark.parametrize(("cut", "recorded"), [(Cut.BEFORE, False), (Cut.AFTER, True)])
def test_a_repair_cut_off_at_its_commit_does_not_claim_to_know(
    changed: FaultySite, proxy: Proxy, cut: Cut, recorded: bool, driver: str
) -> None:
    proxy.cut(cut)

    unknown = changed.run(*ACCEPT, env={"DATABASE_URL": proxy.url(changed.database.url), "DRIVER": driver})

    assert unknown.returncode == 8, unknown
    assert unknown.stderr == (
        "The connection broke while the record of project.002_b was being corrected: that is done wholly or not at "
        "all.\n\n  Next: When the server is back, look: python manage.py sqlmigrate_status\n"
    )
    assert len(changed.events("accepted")) == recorded
    assert changed.run("sqlmigrate_status", "--check").returncode == (0 if recorded else 4)
    assert changed.run(*ACCEPT).returncode == (2 if recorded else 0)


def test_f65_a_row_that_was_edited_between_question_and_answer_is_not_overwritten(changed: FaultySite) -> None:
    with at_a_terminal(changed, *ACCEPT[:-1]) as terminal:
        terminal.await_text("or 'no' to cancel: ")
        changed.query("UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE name = '002_b'")
        before = changed.ledger()
        terminal.type("yes\n")
        code = terminal.leave()

    assert code == 4, terminal.shown
    assert changed.ledger() == before


def test_f66_a_ledger_with_a_column_of_somebody_elses_is_repaired_and_kept_whole(changed: FaultySite) -> None:
    changed.query("ALTER TABLE schema_migrations ADD COLUMN ticket text DEFAULT 'OPS-7'")
    changed.remove("002_b.sql")
    changed.write("003_c.sql", "CREATE TABLE c ();\n")

    done = changed.run("sqlmigrate_repair", "forget", "project", "2", "--reason", "given up", "--noinput")

    assert done.returncode == 0, done
    (event,) = changed.events("forgotten")
    assert event["detail"]["row"]["ticket"] == "OPS-7"


def test_a_role_that_lacks_a_right_is_told_the_grant(changed: FaultySite, role: Role) -> None:
    changed.query(f"GRANT USAGE ON SCHEMA public TO {role.name}")
    changed.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role.name}")

    refused = changed.run(*ACCEPT, env={"DATABASE_URL": role.url})

    assert refused.returncode == 2
    assert "lacks rights on the tracking tables" in refused.stderr
    assert f'ON "public".schema_migrations TO "{role.name}";' in refused.stderr
    assert f'GRANT INSERT ON "public".schema_migration_events TO "{role.name}";' in refused.stderr
