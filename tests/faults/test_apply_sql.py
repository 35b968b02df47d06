"""Files that migrations of Django's apply, when something goes wrong on the way or somebody else is at it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.faults.pgbouncer import Bouncer, bouncer_before
from tests.faults.scene import AT_THE_GATE, PATIENTLY, THROUGH_THE_GATE, FaultySite, Gate, ended, until
from tests.shop import make_app, write_migration

MIGRATE = "sqlmigrations migrate"


@pytest.fixture
def shop(site: FaultySite) -> FaultySite:
    """With an app of Django's whose one migration applies ``001_a``."""
    make_app(site.folder)
    assert site.apply().returncode == 0
    write_migration(site.folder, "0001_x", "migrations.RunSQL('CREATE TABLE before ()'), ApplySQL('project', '001_a')")
    return site


def wrapped(sql: str) -> str:
    return f"-- runs-in: django:shop.0001_x\n{sql}"


def start(site: FaultySite, **env: str) -> subprocess.Popen[str]:
    site.started.append(site.start("migrate", "shop", "--skip-checks", env=env))
    return site.started[-1]


def migrate(site: FaultySite, **env: str) -> subprocess.CompletedProcess[str]:
    return ended(start(site, **env))


def django(site: FaultySite) -> list[str]:
    return [name for (name,) in site.query("SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id")]


def test_a_connection_that_is_ended_in_the_middle_leaves_nothing(shop: FaultySite, gate: Gate) -> None:
    shop.write("001_a.sql", wrapped(f"{PATIENTLY}CREATE TABLE a (id int);\n{THROUGH_THE_GATE}"))
    running = start(shop)

    shop.query("SELECT pg_terminate_backend(%s)", gate.await_somebody())
    failed = ended(running)

    assert failed.returncode == 1
    assert "CommandError: project.001_a failed and was rolled back.\n" in failed.stderr
    assert "Nothing of shop.0001_x was kept: its transaction is rolled back.\n" in failed.stderr
    assert "Then run  python manage.py migrate shop\n" in failed.stderr
    assert (shop.has("a"), shop.has("before"), django(shop), shop.recorded()) == (False, False, [], [])
    assert [event["name"] for event in shop.events("failed")] == ["001_a"]
    gate.open()
    assert migrate(shop).returncode == 0
    assert (shop.names(), django(shop)) == (["001_a"], ["0001_x"])


def test_a_killed_migrate_leaves_nothing_and_lets_go_of_the_lock(shop: FaultySite, gate: Gate) -> None:
    shop.write("001_a.sql", wrapped(f"{PATIENTLY}CREATE TABLE a (id int);\n{THROUGH_THE_GATE}"))
    running = start(shop)
    gate.await_somebody()

    running.kill()
    gate.open()

    until(lambda: not shop.holders())
    assert (shop.has("a"), shop.has("before"), django(shop), shop.recorded()) == (False, False, [], [])
    assert migrate(shop).returncode == 0
    assert (shop.names(), django(shop)) == (["001_a"], ["0001_x"])


def test_migrate_says_whom_it_waits_for_and_goes_on_when_a_run_ends(shop: FaultySite, gate: Gate) -> None:
    write_migration(shop.folder, "0001_x", "ApplySQL('project', '002_a')")
    shop.write("001_b.sql", AT_THE_GATE)
    shop.write("002_a.sql", wrapped("CREATE TABLE a (id int);\n"))
    running = shop.start_apply()
    gate.await_somebody()

    refused = migrate(shop, SQLMIGRATIONS_JSON=json.dumps({"LOCK_WAIT": "100ms"}))
    waiting = start(shop)
    assert waiting.stderr is not None
    told = next(line for line in waiting.stderr if "held by" in line)
    gate.open()
    done = ended(waiting)

    assert refused.returncode == 5
    assert 'application "sqlmigrations lock", idle in transaction' in refused.stderr
    assert "SQLMIGRATIONS['LOCK_WAIT']" in refused.stderr
    assert 'application "sqlmigrations lock", idle in transaction' in told
    assert (ended(running).returncode, done.returncode) == (0, 0), done
    assert (shop.names(), django(shop)) == (["001_b", "002_a"], ["0001_x"])


def test_a_run_says_that_it_waits_for_migrate_and_goes_on_when_that_ends(shop: FaultySite, gate: Gate) -> None:
    shop.write("001_a.sql", wrapped(AT_THE_GATE))
    migrating = start(shop)
    gate.await_somebody()

    refused = shop.apply("--lock-wait", "0")
    waiting = shop.start_apply()
    assert waiting.stdout is not None
    told = next(line for line in waiting.stdout if "held by" in line)
    gate.open()

    assert refused.returncode == 5
    assert f'application "{MIGRATE}"' in refused.stderr
    assert f'application "{MIGRATE}"' in told
    assert (ended(migrating).returncode, ended(waiting).returncode) == (0, 0)
    assert (shop.names(), django(shop)) == (["001_a"], ["0001_x"])


def test_a_lock_timeout_names_who_is_in_the_way(shop: FaultySite) -> None:
    shop.query("CREATE TABLE busy (id int); SELECT 1")
    shop.write("001_a.sql", wrapped("-- lock-timeout: 1s\nALTER TABLE busy ADD COLUMN name text;\n"))
    with shop.database.connect() as other, other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE busy")
        failed = migrate(shop)
        cursor.execute("ROLLBACK")

    assert failed.returncode == 1
    assert "PostgreSQL 55P03: canceling statement due to lock timeout" in failed.stderr
    assert "Blocked by pid " in failed.stderr
    assert (shop.has("before"), django(shop)) == (False, [])


@pytest.fixture
def pool(shop: FaultySite) -> Iterator[Bouncer]:
    """Lends two server connections, one transaction at a time."""
    with bouncer_before(shop.database, "transaction", 2) as bouncer:
        yield bouncer


def test_behind_a_transaction_pool_a_file_runs_in_its_migration(shop: FaultySite, pool: Bouncer) -> None:
    shop.write("001_a.sql", wrapped("SET search_path = '';\nCREATE TABLE public.a (id int);\n"))
    write_migration(shop.folder, "0002_y", "migrations.RunSQL('CREATE TABLE after ()')")

    done = migrate(shop, DATABASE_URL=pool.url(shop.database))

    assert done.returncode == 0, done
    assert (shop.names(), django(shop)) == (["001_a"], ["0001_x", "0002_y"])
    assert shop.has("public.after")
