"""Servers, databases and roles that have no connection left: tried again for a short while, and then told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest

from tests.faults.own import lend_site
from tests.faults.scene import FaultySite, Role, ended, until
from tests.servers import Database

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])


@pytest.fixture
def crowded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySite]:
    """A site on a server that takes a dozen connections."""
    with lend_site(tmp_path, monkeypatch, "max_connections=12", "superuser_reserved_connections=0") as site:
        yield site


def occupied(database: Database) -> list[psycopg2.extensions.connection]:
    """Every connection that the server has left."""
    taken: list[psycopg2.extensions.connection] = []
    with suppress(psycopg2.OperationalError):
        while True:
            taken.append(database.connect())
    return taken


def lock_is_held(connection: psycopg2.extensions.connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sqlmigrations lock' AND xact_start < now()"
        )
        return cursor.fetchone() is not None


@DRIVERS
def test_f34_a_server_without_a_free_connection_is_waited_for_shortly_or_as_long_as_asked(
    crowded: FaultySite, driver: str
) -> None:
    crowded.write("001_a.sql", "CREATE TABLE a (id int);\n")
    others = occupied(crowded.database)
    shortly = crowded.start_apply(DRIVER=driver)
    in_vain = crowded.start_apply("--wait-for-db", "7", DRIVER=driver)
    patient = crowded.start_apply("--wait-for-db", "60", DRIVER=driver)
    refused, given_up = ended(shortly), ended(in_vain)
    # For the lock there is room now, for the work not yet.
    others.pop().close()
    until(lambda: lock_is_held(others[0]))
    others.pop().close()

    applied = ended(patient)

    for other in others:
        other.close()
    assert (refused.returncode, given_up.returncode, applied.returncode) == (9, 9, 0)
    assert refused.stdout.startswith("  Waiting up to 5 s for the database: ")
    assert "sorry, too many clients already. No connection became free within 5 s.\n" in refused.stderr
    assert refused.stderr.endswith(
        "  Next: End idle connections or raise max_connections. To wait for one: --wait-for-db 30\n"
    )
    assert "No connection became free within 7 s." in given_up.stderr
    assert given_up.stderr.endswith("  Next: End idle connections or raise max_connections.\n")
    assert applied.stdout.startswith("  Waiting up to 60 s for the database: ")
    assert crowded.names() == ["001_a"]


@DRIVERS
def test_f34_a_run_with_one_connection_only_changes_nothing_and_lets_the_lock_go(
    site: FaultySite, role: Role, driver: str
) -> None:
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    site.query(f"ALTER ROLE {role.name} CONNECTION LIMIT 1")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    refused = site.apply(DATABASE_URL=role.url, DRIVER=driver)

    assert refused.returncode == 9
    assert f'too many connections for role "{role.name}". No connection became free within 5 s.\n' in refused.stderr
    assert refused.stderr.endswith(
        "  Next: End connections of this role or raise its limit, ALTER ROLE ... CONNECTION LIMIT; a run needs two at "
        "the same time. To wait for one: --wait-for-db 30\n"
    )
    assert (site.ledger(), site.holders()) == ([], [])


@DRIVERS
def test_f34_two_connections_are_enough_for_a_run(site: FaultySite, role: Role, driver: str) -> None:
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    site.query(f"ALTER ROLE {role.name} CONNECTION LIMIT 2")
    for number in range(1, 20, 2):
        # After each of them the session is another one, whose predecessor may not have ended yet.
        site.write(f"{number:03}_t.sql", f"SET work_mem = '1MB';\nCREATE TABLE t{number} (id int);\n")
        site.write(f"{number + 1:03}_i.sql", f"CREATE INDEX CONCURRENTLY i{number} ON t{number} (id);\n")

    applied = site.apply(DATABASE_URL=role.url, DRIVER=driver)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert len(site.names()) == 20


def test_f34_a_database_with_a_connection_limit_is_told_as_one(site: FaultySite, role: Role) -> None:
    site.query(f"GRANT CREATE ON SCHEMA public TO {role.name}")
    limit = f"ALTER DATABASE {site.database.name} CONNECTION LIMIT"
    site.query(f"{limit} 0")

    refused = site.apply(DATABASE_URL=role.url)

    site.query(f"{limit} -1")
    assert refused.returncode == 9
    assert f'too many connections for database "{site.database.name}".' in refused.stderr
    assert "raise its limit, ALTER DATABASE ... CONNECTION LIMIT; a run needs two" in refused.stderr
    assert site.apply(DATABASE_URL=role.url).returncode == 0
