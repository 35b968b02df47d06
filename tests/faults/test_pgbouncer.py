"""Runs behind PgBouncer: what holds there, what is refused, and that nothing is left in what it lends to others."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.pgbouncer import Bouncer, bouncer_before
from tests.faults.proxy import proxy_before
from tests.faults.scene import AT_THE_GATE, PATIENTLY, THROUGH_THE_GATE, FaultySite, Gate, database_json, ended, until
from tests.servers import lend_database

BOTH = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
CONCURRENT = "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_id ON a (id);\n"
DIRECT = json.dumps({"DIRECT": {"default": "default_direct"}})

STATE = """
SELECT (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
         WHERE source = 'session' AND name <> 'application_name'),
       (SELECT string_agg(relname, ' ') FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)),
       (SELECT string_agg(name, ' ') FROM pg_prepared_statements),
       (SELECT string_agg(name, ' ') FROM pg_cursors WHERE is_holdable),
       (SELECT string_agg(channel, ' ') FROM pg_listening_channels() AS channel),
       current_user::text, session_user::text, current_setting('app.tenant', true)
"""
CLEAN = (None, None, None, None, None, "postgres", "postgres", None)
# Once a session knows a name it remembers it; what counts is that it holds nothing.
EMPTIED = (*CLEAN[:-1], "")

LEAKS = """\
SET search_path = other;
SET statement_timeout = '1h';
SET TIME ZONE 'Asia/Tokyo';
SET app.tenant = 'acme';
SELECT public.wander();
CREATE TEMP TABLE leak (id int);
PREPARE "Leak 1" AS SELECT 1;
LISTEN leak;
DECLARE leak CURSOR WITH HOLD FOR SELECT 1;
SELECT pg_advisory_lock(77);
SET SESSION AUTHORIZATION pg_monitor; SET ROLE pg_monitor;
"""


@pytest.fixture
def pool(site: FaultySite) -> Iterator[Bouncer]:
    """Lends two server connections, one transaction at a time."""
    with bouncer_before(site.database, "transaction", 2) as bouncer:
        yield bouncer


def lent(site: FaultySite, bouncer: Bouncer) -> set[tuple[object, ...]]:
    """What others meet in the two server connections."""
    with ExitStack() as opened:
        met = []
        for _ in range(2):
            client = bouncer.connect(site.database)
            opened.callback(client.close)
            cursor = client.cursor()
            cursor.execute("BEGIN")
            opened.callback(cursor.execute, "ROLLBACK")
            cursor.execute(STATE)
            met.append(cursor.fetchone())
    return set(met)


def advisory_locks(site: FaultySite) -> list[tuple[object, ...]]:
    return site.query(
        "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


@BOTH
def test_f08_three_runners_behind_a_transaction_pool_of_two_apply_each_file_once(
    site: FaultySite, gate: Gate, pool: Bouncer, driver: str
) -> None:
    site.query("CREATE TABLE done (number int)")
    site.write("001_a.sql", AT_THE_GATE + "INSERT INTO done VALUES (1);\n")
    site.write("002_b.sql", "INSERT INTO done VALUES (2);\n")
    there = {"DATABASE_URL": pool.url(site.database), "DRIVER": driver}

    runners = [site.start_apply(**there) for _ in range(3)]
    gate.await_somebody()
    gate.open()
    runs = [ended(runner) for runner in runners]

    assert [run.returncode for run in runs] == [0, 0, 0], runs
    assert sorted("already applied!" in run.stdout for run in runs) == [False, True, True]
    assert [("Proxied: a pooler stands between" in run.stdout) for run in runs].count(True) == 1
    assert site.query("SELECT number FROM done ORDER BY number") == [(1,), (2,)]
    assert site.names() == ["001_a", "002_b"]
    until(lambda: not advisory_locks(site))


def wandering(site: FaultySite) -> None:
    site.query("CREATE SCHEMA other")
    site.query(
        "CREATE FUNCTION public.wander() RETURNS void LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM set_config('lock_timeout', '42s', false); END$$"
    )


@BOTH
def test_f08_nothing_of_a_run_is_left_in_the_connections_of_the_pool(
    site: FaultySite, pool: Bouncer, driver: str
) -> None:
    wandering(site)
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_leaks.sql", LEAKS)
    site.write("003_c.sql", "CREATE TABLE c AS SELECT current_setting('search_path') AS path, current_user AS who;\n")

    applied = site.apply(DATABASE_URL=pool.url(site.database), DRIVER=driver)

    assert applied.returncode == 0, applied
    assert site.names() == ["001_a", "002_leaks", "003_c"]
    assert site.query("SELECT path, who::text FROM public.c") == [('"$user", public', "postgres")]
    assert lent(site, pool) <= {CLEAN, EMPTIED}
    until(lambda: not advisory_locks(site))


@BOTH
def test_f08_nothing_of_a_failed_file_is_left_there_either(site: FaultySite, pool: Bouncer, driver: str) -> None:
    wandering(site)
    site.write("001_leaks.sql", LEAKS + "SELECT 1 / 0;\n")

    failed = site.apply(DATABASE_URL=pool.url(site.database), DRIVER=driver)

    assert failed.returncode == 1, failed
    assert "001_leaks.sql:12" in failed.stderr
    assert site.names() == []
    assert lent(site, pool) <= {CLEAN, EMPTIED}
    until(lambda: not advisory_locks(site))


def test_f08_what_the_pooler_has_set_in_its_connections_is_put_back(site: FaultySite) -> None:
    site.write("001_a.sql", "SET statement_timeout = 0;\nRESET work_mem;\nCREATE TABLE a (id int);\n")
    query = "SET statement_timeout = '7s'; SET work_mem = '8MB'"

    with bouncer_before(site.database, "transaction", 2, connect_query=query) as pool:
        applied = site.apply(DATABASE_URL=pool.url(site.database))
        state = lent(site, pool)

    assert applied.returncode == 0, applied
    assert {settings for settings, *_ in state} == {"statement_timeout=7000 work_mem=8192"}


def test_f08_a_pool_of_one_connection_is_told_instead_of_waited_for(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    soon = database_json(OPTIONS={"connect_timeout": 2})

    with bouncer_before(site.database, "transaction", 1) as pool:
        starved = site.apply(DATABASE_URL=pool.url(site.database), DATABASE_JSON=soon)

    assert starved.returncode == 9, starved
    assert "The database cannot be reached: no answer within 2 s" in starved.stderr
    assert "a run needs two of them at the same time. Raise default_pool_size" in starved.stderr
    assert (site.ledger(), site.has("a")) == ([], False)
    until(lambda: not advisory_locks(site))


@BOTH
def test_f08_a_run_that_waits_for_the_pooler_can_be_interrupted(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    with bouncer_before(site.database, "transaction", 1) as pool:
        starving = site.start_apply(DATABASE_URL=f"{pool.url(site.database)}?connect_timeout=30", DRIVER=driver)
        until(site.holders)
        until(pool.waiting)
        sent = time.monotonic()
        starving.send_signal(signal.SIGTERM)

        stopped = ended(starving)

        assert time.monotonic() - sent < 15
    assert stopped.returncode == 143, stopped
    assert stopped.stderr.startswith("Interrupted. Nothing was changed.\n")
    until(lambda: not advisory_locks(site))


def test_f08_a_pool_of_one_connection_that_ends_the_wait_itself_is_told_as_well(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with bouncer_before(site.database, "transaction", 1, query_wait_timeout=1) as pool:
        starved = site.apply(DATABASE_URL=pool.url(site.database))

    assert starved.returncode == 9, starved
    assert "Raise default_pool_size" in starved.stderr
    until(lambda: not advisory_locks(site))


def test_f08_a_run_whose_lock_is_lost_behind_the_pooler_stops(site: FaultySite, gate: Gate, pool: Bouncer) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    runner = site.start_apply(DATABASE_URL=pool.url(site.database))
    gate.await_somebody()
    site.terminate("sqlmigrations lock")
    gate.open()

    stopped = ended(runner)

    assert stopped.returncode == 10, stopped
    assert site.names() == ["001_a"]
    assert site.apply(DATABASE_URL=pool.url(site.database)).returncode == 0
    assert site.names() == ["001_a", "002_b"]


@BOTH
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_f08_a_run_that_is_ended_leaves_nothing_behind_the_pooler(
    site: FaultySite, gate: Gate, pool: Bouncer, number: signal.Signals, code: int, driver: str
) -> None:
    site.write("001_a.sql", f"{PATIENTLY}CREATE TABLE a (id int);\n{THROUGH_THE_GATE}")
    runner = site.start_apply(DATABASE_URL=pool.url(site.database), DRIVER=driver)
    gate.await_somebody()

    runner.send_signal(number)

    assert ended(runner).returncode == code
    until(lambda: not gate.waiting())
    gate.open()
    until(lambda: not advisory_locks(site))
    assert (site.names(), site.has("a")) == ([], False)
    assert lent(site, pool) <= {CLEAN, EMPTIED}
    assert site.apply(DATABASE_URL=pool.url(site.database), DRIVER=driver).returncode == 0
    assert site.names() == ["001_a"]


def test_f08_a_second_runner_behind_the_pooler_waits_no_longer_than_it_may(site: FaultySite, gate: Gate) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    with bouncer_before(site.database, "transaction", 4) as pool:
        there = {"DATABASE_URL": pool.url(site.database)}
        first = site.start_apply(**there)
        gate.await_somebody()

        second = site.apply("--lock-wait", "0.5", **there)
        site.query("SELECT pg_terminate_backend(%s)", *site.holders())
        until(lambda: not site.holders())
        third = site.apply("--lock-wait", "0.5", **there)
        gate.open()

        assert (second.returncode, third.returncode) == (5, 5), (second, third)
        assert 'application "sqlmigrations lock"' in second.stderr
        assert "Another run is applying project.001_a at this moment." in third.stderr
        assert ended(first).returncode == 0


@BOTH
def test_f08_plan_and_documents_tell_of_the_pooler(site: FaultySite, pool: Bouncer, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    there = {"DATABASE_URL": pool.url(site.database), "DRIVER": driver}

    runs = [site.apply(*options, "--format", "json", **there) for options in (["--plan"], [])]

    plan, applied = (json.loads(run.stdout) for run in runs)
    assert (plan["pooling"], applied["pooling"]) == ("transaction", "transaction")
    assert "proxied" in [finding["rule"] for finding in plan["findings"]]
    assert "[proxied]" in runs[1].stderr
    assert [event["detail"]["pooling"] for event in site.events("run_started")] == ["transaction"]


READING = """
from django.core.management import call_command
from django.db import connection
call_command("sqlmigrate_apply", "--plan")
call_command("sqlmigrate_apply", verbosity=0)
call_command("sqlmigrate_status", "--check", verbosity=2)
call_command("sqlmigrate_apply", "--check")
call_command("check", databases=["default"], fail_level="WARNING")
connection.close()
getattr(connection, "close_pool", lambda: None)()
"""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"server_side_binding": True},
        {"pool": {"min_size": 1, "max_size": 2}},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_f08_what_only_reads_works_behind_the_pooler(
    site: FaultySite, pool: Bouncer, options: dict[str, object]
) -> None:
    needed = "psycopg_pool" if "pool" in options else "psycopg"
    pytest.importorskip(needed, reason=f"{needed} is not installed")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    read = site.python(READING, DATABASE_URL=pool.url(site.database), DATABASE_JSON=database_json(OPTIONS=options))

    assert (read.returncode, read.stderr) == (0, ""), read
    assert "Planned SQL migrations:" in read.stdout
    assert "2 in all, 2 applied, 0 pending; integrity valid." in read.stdout
    assert "System check identified no issues" in read.stdout
    assert lent(site, pool) == {CLEAN}


def test_f09_a_deploy_is_told_of_a_pooler_that_is_met_until_it_is_settled(site: FaultySite, pool: Bouncer) -> None:
    look = ("check", "--deploy", "--tag", "sqlmigrations", "--database", "default")
    # By a port that says nothing of it.
    with proxy_before(pool.url(site.database)) as way:
        there = {"DATABASE_URL": way.url(site.database.url)}
        unknown, settled = (
            site.run(*look, env={**there, "SQLMIGRATIONS_JSON": declared})
            for declared in ("{}", '{"SESSION_POOLED": ["default"]}')
        )

    assert "(sqlmigrations.W023) A pooler stands before the database, and no DIRECT leads past it." in unknown.stderr
    assert "W023" not in settled.stderr
    assert (unknown.returncode, settled.returncode) == (0, 0)


@BOTH
def test_f09_a_file_outside_a_transaction_is_refused_with_the_remedy(
    site: FaultySite, pool: Bouncer, driver: str
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_index.sql", CONCURRENT)
    there = {"DATABASE_URL": pool.url(site.database), "DRIVER": driver}

    runs = [site.apply(*options, **there) for options in ([], ["--check"])]

    assert [run.returncode for run in runs] == [6, 6], runs
    for run in runs:
        assert "migrations_sql/002_index.sql  [transaction-pooler]" in run.stderr
        assert 'SQLMIGRATIONS["DIRECT"] = {"default": "default_direct"}' in run.stderr
        assert 'SQLMIGRATIONS["SESSION_POOLED"] = ["default"]' in run.stderr
    assert (site.ledger(), site.has("a")) == ([], False)
    assert lent(site, pool) == {CLEAN}
    until(lambda: not advisory_locks(site))
    assert site.apply("--fake", **there).returncode == 0


@BOTH
def test_f09_a_direct_alias_leads_the_runner_past_the_pooler(
    site: FaultySite, gate: Gate, pool: Bouncer, driver: str
) -> None:
    site.write("001_a.sql", AT_THE_GATE + "CREATE TABLE a (id int);\n")
    past = {"DATABASE_URL": pool.url(site.database), "DIRECT_URL": site.database.url, "SQLMIGRATIONS_JSON": DIRECT}

    runner = site.start_apply("--format", "json", **past, DRIVER=driver)
    gate.await_somebody()
    (at_work,) = site.sessions("sqlmigrations")
    pooled = pool.query(site.database, "SELECT pg_backend_pid()")
    gate.open()
    applied = ended(runner)

    assert applied.returncode == 0, applied
    assert json.loads(applied.stdout)["pooling"] == "none"
    assert (at_work,) not in pooled
    assert site.names() == ["001_a"]
    status = site.run("sqlmigrate_status", "--check", env=past)
    assert status.returncode == 0, status


def test_f09_a_direct_alias_is_no_database_of_its_own(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    past = {"DIRECT_URL": site.database.url, "SQLMIGRATIONS_JSON": DIRECT}

    refused = site.apply("--database", "default_direct", **past)

    assert refused.returncode == 2
    assert refused.stderr == (
        "'default_direct' is only the way by which runs on 'default' connect (SQLMIGRATIONS['DIRECT']).\n\n"
        "  Next: python manage.py sqlmigrate_apply --database default\n"
    )
    checked = site.run("check", "--database", "default_direct", env=past)
    assert (checked.returncode, "SQL migrations" in checked.stderr) == (0, False), checked
    assert site.ledger() == []


def test_f09_a_direct_alias_that_leads_to_another_database_is_refused(site: FaultySite, pool: Bouncer) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    with lend_database() as other:
        past = {"DATABASE_URL": pool.url(site.database), "DIRECT_URL": other.url, "SQLMIGRATIONS_JSON": DIRECT}

        refused = site.apply(**past)

        assert refused.returncode == 2, refused
        assert "leads to another database: a lock taken through it is not seen through 'default'." in refused.stderr
        assert "Nothing was changed." in refused.stderr
        assert other.query("SELECT to_regclass('schema_migrations')") == [(None,)]
    assert site.ledger() == []


@BOTH
def test_f09_a_pool_declared_to_keep_sessions_is_used_like_a_server(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "SET search_path = public;\nCREATE TEMP TABLE leak ();\nCREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    declared = json.dumps({"SESSION_POOLED": ["default"]})

    with bouncer_before(site.database, "session", 2) as pool:
        there = {"DATABASE_URL": pool.url(site.database), "SQLMIGRATIONS_JSON": declared, "DRIVER": driver}
        applied = site.apply("--format", "json", **there)

        assert applied.returncode == 0, applied
        assert json.loads(applied.stdout)["pooling"] == "session"
        assert site.names() == ["001_a", "002_b"]
        until(lambda: lent(site, pool) == {CLEAN})
    until(lambda: not advisory_locks(site))


def test_f09_a_pool_falsely_declared_to_keep_sessions_is_found_out(site: FaultySite, pool: Bouncer) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    declared = json.dumps({"SESSION_POOLED": ["default"]})

    refused = site.apply(DATABASE_URL=pool.url(site.database), SQLMIGRATIONS_JSON=declared)

    assert refused.returncode == 2, refused
    assert "gave two clients the same server process: it pools transactions. Nothing was changed." in refused.stderr
    assert site.ledger() == []
    assert lent(site, pool) == {CLEAN}


@BOTH
def test_f09_a_pool_of_statements_is_refused_with_the_remedy(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with bouncer_before(site.database, "statement", 2) as pool:
        there = {"DATABASE_URL": pool.url(site.database), "DIRECT_URL": site.database.url, "DRIVER": driver}
        refused = site.apply(**there)
        left = advisory_locks(site)
        applied = site.apply(**there, SQLMIGRATIONS_JSON=DIRECT)

    assert refused.returncode == 2, refused
    assert refused.stderr == (
        "The pooler before 'default' ends every connection that opens a transaction: it pools statements "
        "(pool_mode = statement), and no lock can be held there. Nothing was changed.\n\n"
        "  Next: Let the runner connect past the pooler, by an alias that leads to the server itself:  "
        'SQLMIGRATIONS["DIRECT"] = {"default": "default_direct"}\n'
        "  Or set pool_mode = transaction in the pooler.\n"
    )
    assert left == []
    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.names() == ["001_a"]


UNSEEN = """
from dataclasses import replace
from django.core.management import call_command
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.tenure import Owned
from sqlmigrations.types import Pooling

# As behind a pooler that passes on the process id of a server connection which is then lent to somebody else.
prepare = postgresql._prepare
taken = lambda *told: replace(prepare(*told), pooling=Pooling.NONE, tenure=Owned(), pid=1)
postgresql._prepare = taken
call_command("sqlmigrate_apply")
"""


def test_f09_a_pooler_that_could_not_be_recognised_is_noticed_when_the_server_process_changes(
    site: FaultySite, pool: Bouncer
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    stopped = site.python(UNSEEN, DATABASE_URL=pool.url(site.database))

    assert "a pooler stands between that was not recognised" in stopped.stderr
    assert 'SQLMIGRATIONS["DIRECT"] = {"default": "default_direct"}' in stopped.stderr
    assert (site.names(), site.has("a")) == ([], False)
    until(lambda: not advisory_locks(site))


TESTS = """\
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase


class Sql(TransactionTestCase):
    databases = "__all__"

    def test_files_are_applied_to_the_one_test_database(self):
        call_command("sqlmigrate_apply", verbosity=0)
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT current_database(), to_regclass('a') IS NOT NULL")
            print(*cursor.fetchone())
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_database WHERE datname = current_database()")
            print(*cursor.fetchone())
"""


def test_f09_in_the_tests_of_a_project_both_aliases_share_one_test_database(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    Path(site.folder, "test_sql.py").write_text(TESTS)
    # Tests of a project go to the server itself: what a pooler keeps open stops Django from dropping its database.
    past = {"DIRECT_URL": f"{site.database.url}?application_name=direct", "SQLMIGRATIONS_JSON": DIRECT}

    tested = site.run("test", "-v", "2", env=past)

    assert tested.returncode == 0, tested
    assert f"test_{site.database.name} True" in tested.stdout
    assert (tested.stdout + tested.stderr).count("Creating test database") == 1
    assert site.ledger() == []
    assert site.query("SELECT 1 FROM pg_database WHERE datname = %s", f"test_{site.database.name}") == []


@BOTH
def test_f08_a_file_that_waits_for_a_lock_needs_no_observer(site: FaultySite, pool: Bouncer, driver: str) -> None:
    site.query("CREATE TABLE a (id int)")
    site.write("001_a.sql", "-- lock-timeout: 1500ms\nALTER TABLE a ADD COLUMN b int;\n")
    blocker = site.database.connect()
    with blocker.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE a")
        runner = site.start_apply(DATABASE_URL=pool.url(site.database), DRIVER=driver)
        waiting = "SELECT pid FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        until(lambda: site.query(waiting))
        until(lambda: not site.query(waiting))
        cursor.execute("COMMIT")
    blocker.close()
    applied = ended(runner)

    assert applied.returncode == 0, applied
    assert "attempt 1 gave up after" in applied.stdout
    assert site.names() == ["001_a"]
    assert lent(site, pool) <= {CLEAN, EMPTIED}
    until(lambda: not advisory_locks(site))


@BOTH
@pytest.mark.parametrize("way", ["past the pooler", "kept by the pooler"])
def test_f09_a_file_outside_a_transaction_runs_where_a_session_is_kept(
    site: FaultySite, way: str, driver: str
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_index.sql", CONCURRENT + "SET statement_timeout = '1h';\n" + CONCURRENT.replace("a_id", "a_id2"))
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    declared = json.dumps({"SESSION_POOLED": ["default"]})
    mode, setting = ("transaction", DIRECT) if way == "past the pooler" else ("session", declared)

    with bouncer_before(site.database, mode, 2) as pool:
        there = {"DATABASE_URL": pool.url(site.database), "DIRECT_URL": site.database.url}
        applied = site.apply(**there, SQLMIGRATIONS_JSON=setting, DRIVER=driver)

        assert applied.returncode == 0, applied
        assert site.names() == ["001_a", "002_index", "003_c"]
        assert site.query("SELECT count(*) FROM pg_index WHERE indrelid = 'a'::regclass AND indisvalid") == [(2,)]
        until(lambda: lent(site, pool) == {CLEAN})
    until(lambda: not advisory_locks(site))


@pytest.mark.parametrize("timeout", [0, -1, None])
def test_f08_who_wants_to_wait_for_the_pooler_for_ever_may(
    site: FaultySite, pool: Bouncer, timeout: int | None
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    patient = database_json(OPTIONS={"connect_timeout": timeout})

    applied = site.apply(DATABASE_URL=pool.url(site.database), DATABASE_JSON=patient)

    assert applied.returncode == 0, applied
