"""Django around the runner: transactions of the caller's, recycled connections, pools, query logs."""

from __future__ import annotations

import json

import pytest

from tests.faults.scene import FaultySite, database_json

REFUSAL = "sqlmigrations cannot run inside transaction.atomic() or a TestCase: its files commit by themselves."

IN_ATOMIC = """
from django.core.management import CommandError, call_command
from django.db import transaction
with transaction.atomic():
    try:
        call_command("sqlmigrate_apply")
    except CommandError as error:
        print(error, error.returncode)
"""

IN_ATOMIC_BY_HAND = """
from django.db import transaction
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.executor import Executor
with transaction.atomic():
    try:
        with Executor().run() as run:
            print("got in")
    except ConfigurationError as error:
        print(error, int(error.exit_code))
"""

IN_TEST_CASE = """
import unittest
from django.core.management import CommandError, call_command
from django.test import TestCase

class Inside(TestCase):
    def test_apply(self):
        with self.assertRaises(CommandError) as caught:
            call_command("sqlmigrate_apply")
        print(caught.exception, caught.exception.returncode)

result = unittest.TestResult()
unittest.defaultTestLoader.loadTestsFromTestCase(Inside).run(result)
assert result.wasSuccessful(), result
"""


@pytest.mark.parametrize("code", [IN_ATOMIC, IN_ATOMIC_BY_HAND, IN_TEST_CASE])
def test_f75_a_run_inside_a_transaction_of_the_callers_is_refused(site: FaultySite, code: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    refused = site.python(code)

    assert refused.returncode == 0, refused
    assert refused.stdout.strip() == f"{REFUSAL} 2"
    assert (site.ledger(), site.has("a")) == ([], False)
    assert (site.apply().returncode, site.names()) == (0, ["001_a"])


def test_f75_an_autocommit_switched_off_by_the_caller_does_not_matter(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    code = """
from django.core.management import call_command
from django.db import connection
connection.set_autocommit(False)
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE the_callers (id int)")
call_command("sqlmigrate_apply", verbosity=0)
connection.rollback()
"""

    assert site.python(code).returncode == 0

    assert site.names() == ["001_a"]
    assert not site.has("the_callers")


@pytest.mark.parametrize(
    "settings", [{"CONN_MAX_AGE": 0}, {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}, {"AUTOCOMMIT": False}]
)
def test_f76_djangos_connection_may_be_recycled_at_any_time(site: FaultySite, settings: dict[str, object]) -> None:
    site.write("001_pid.sql", "CREATE TABLE pids AS SELECT pg_backend_pid() AS pid, 1 AS file;\n")
    site.write("002_pid.sql", "INSERT INTO pids VALUES (pg_backend_pid(), 2);\n")
    site.write("003_pid.sql", "INSERT INTO pids VALUES (pg_backend_pid(), 3);\n")

    applied = site.apply(FAULT="recycle_djangos_connection", DATABASE_JSON=database_json(**settings))

    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.names() == ["001_pid", "002_pid", "003_pid"]
    assert site.query("SELECT count(*), count(DISTINCT pid) FROM pids") == [(3, 1)]


WATCHED = """
import gc, json
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from sqlmigrations import signals

seen = set()

def look(**event):
    seen.update(len(w.queries_log) for w in gc.get_objects() if isinstance(w, BaseDatabaseWrapper))

signals.migration_finished.connect(look)
call_command("sqlmigrate_apply", verbosity=0)
pools = list(getattr(type(connection), "_connection_pools", {}))
print(json.dumps({"logs": sorted(seen), "queries": connection.queries, "pools": pools,
                  "connected": connection.connection is not None}))
"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_f83_debug_keeps_no_sql_and_djangos_own_connection_stays_closed(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    watched = site.python(WATCHED, DEBUG="1", DRIVER=driver, DATABASE_JSON=database_json(CONN_MAX_AGE=600))

    assert (watched.returncode, watched.stderr) == (0, "")
    assert json.loads(watched.stdout) == {"logs": [0], "queries": [], "pools": [], "connected": False}
    assert site.names() == ["001_a"]


def test_f83_the_pool_of_the_application_is_left_alone(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    pooled = database_json(OPTIONS={"pool": {"min_size": 1, "max_size": 2}})

    watched = site.python(WATCHED, DATABASE_JSON=pooled)

    assert (watched.returncode, watched.stderr) == (0, "")
    assert json.loads(watched.stdout)["pools"] == []
    assert site.names() == ["001_a"]


POOLED = """
import json
from django.core.management import call_command
from django.db import connection

def state():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), current_setting('search_path'), current_setting('lock_timeout')")
        return cursor.fetchone()

before = state()
connection.close()
lent = connection.pool.get_stats()["requests_num"]
call_command("sqlmigrate_apply", verbosity=0)
lent_meanwhile = connection.pool.get_stats()["requests_num"] - lent
after = state()
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM pids WHERE pid = %s", [before[0]])
    shared = cursor.fetchone()[0]
connection.close()
connection.close_pool()
print(json.dumps([before == after, lent_meanwhile, shared]))
"""


def test_f83_the_runner_takes_no_connection_out_of_a_real_pool_and_leaves_nothing_in_it(site: FaultySite) -> None:
    pytest.importorskip("psycopg_pool", reason="psycopg_pool is not installed")
    site.write("001_a.sql", "CREATE TABLE pids AS SELECT pg_backend_pid() AS pid;\nSET search_path = pg_catalog;\n")
    pooled = database_json(OPTIONS={"pool": {"min_size": 1, "max_size": 1}})

    watched = site.python(POOLED, DATABASE_JSON=pooled)

    assert (watched.returncode, watched.stderr) == (0, "")
    assert json.loads(watched.stdout) == [True, 0, 0]
    assert site.names() == ["001_a"]
