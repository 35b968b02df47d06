"""Files that belong to one of several databases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.django_apps import DjangoApp
from tests.servers import Database, lend_database
from tests.site import Site


@dataclass(frozen=True)
class Pair:
    """A site with the databases ``default`` and ``reporting``."""

    site: Site
    reporting: Database

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        known = {"DJANGO_SETTINGS_MODULE": "tests.two_databases", "REPORTING_URL": self.reporting.url}
        return self.site.run(*arguments, env=known | env)

    def status(self, alias: str) -> dict[str, str]:
        ended = self.run("sqlmigrate_status", "--database", alias, "--format", "json")
        return {entry["id"]: entry["state"] for entry in json.loads(ended.stdout)["migrations"][1:]}


@pytest.fixture
def pair(site: Site) -> Iterator[Pair]:
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("002_r.sql", "-- database: reporting\nCREATE TABLE r ();\n")
    with lend_database() as reporting:
        yield Pair(site, reporting)


def test_a_file_with_a_database_line_belongs_to_it_alone(pair: Pair) -> None:
    assert pair.run("sqlmigrate_apply").returncode == 0

    assert [row["name"] for row in pair.site.ledger()] == ["000_migration_tracking", "001_a"]
    assert pair.status("default") == {"project.001_a": "applied"}
    assert pair.status("reporting") == {"project.001_a": "pending", "project.002_r": "pending"}
    assert pair.site.query("SELECT to_regclass('r')") == [(None,)]


def test_each_database_has_its_own_records(pair: Pair) -> None:
    pair.run("sqlmigrate_apply")

    ended = pair.run("sqlmigrate_apply", "--database", "reporting")

    assert ended.returncode == 0
    assert ended.stdout.startswith('Running SQL migrations on "reporting":\n')
    rows = pair.reporting.query("SELECT name FROM schema_migrations ORDER BY id")
    assert rows == [("000_migration_tracking",), ("001_a",), ("002_r",)]
    assert pair.status("reporting") == {"project.001_a": "applied", "project.002_r": "applied"}


def test_what_is_pending_elsewhere_is_not_pending_here(pair: Pair) -> None:
    pair.run("sqlmigrate_apply")

    default, reporting = (pair.run("sqlmigrate_status", "--check", "--database", a) for a in ("default", "reporting"))

    assert (default.returncode, reporting.returncode) == (0, 3)
    assert reporting.stdout.endswith("Next: python manage.py sqlmigrate_apply --database reporting\n")


def test_findings_name_the_database_in_their_commands(pair: Pair) -> None:
    pair.run("sqlmigrate_apply", "--database", "reporting")
    pair.site.write("002_r.sql", "-- database: reporting\nCREATE TABLE r (id bigint);\n")

    ended = pair.run("sqlmigrate_status", "--database", "reporting")

    assert "sqlmigrate_status --database reporting -v 2" in ended.stdout
    assert "sqlmigrate_repair --database reporting accept project 002" in ended.stdout


def test_checks_name_the_database_in_their_commands(pair: Pair) -> None:
    pair.run("sqlmigrate_apply")

    ended = pair.run("check", "--database", "default", "--database", "reporting", "--fail-level", "WARNING")

    assert ended.returncode == 1
    assert "HINT: Apply them: python manage.py sqlmigrate_apply --database reporting\n" in ended.stderr
    assert ended.stderr.count("sqlmigrations.W001") == 1


def test_a_database_that_does_not_exist_is_refused(pair: Pair) -> None:
    pair.site.write("003_x.sql", "-- database: repotring\nSELECT 1;\n")

    ended = pair.run("sqlmigrate_apply")

    assert ended.returncode == 4
    assert ended.stderr == (
        "The migration files are not in order; nothing has run.\n\n"
        "  migrations_sql/003_x.sql  [directive]\n"
        "    database: repotring is no database of this project.\n"
        "    Next: Write one of: default, reporting.\n"
    )


def names(found: list[dict[str, object]]) -> list[object]:
    return [row["name"] for row in found if row["label"] == "project"]


def test_the_routers_say_where_a_file_without_a_line_goes(pair: Pair) -> None:
    pair.site.write("003_report.sql", "CREATE TABLE report ();\n")
    pair.site.write("004_d.sql", "CREATE TABLE d ();\n")

    for alias in ("default", "reporting"):
        ended = pair.run("sqlmigrate_apply", "--database", alias, ROUTERS="tests.routers.ByName")
        assert ended.returncode == 0, ended.stderr

    assert names(pair.site.ledger()) == ["001_a", "004_d"]
    rows = pair.reporting.query("SELECT name FROM schema_migrations WHERE label = 'project' ORDER BY id")
    # The second says where it belongs, and the routers are not asked.
    assert rows == [("002_r",), ("003_report",)]


def test_a_database_that_no_file_belongs_to_has_nothing_pending_and_gets_no_tables(pair: Pair) -> None:
    pair.site.remove("002_r.sql")

    ended = pair.run("sqlmigrate_apply", "--database", "reporting", ROUTERS="tests.routers.NothingThere")
    status = pair.run("sqlmigrate_status", "--check", "--database", "reporting", ROUTERS="tests.routers.NothingThere")

    assert (ended.returncode, ended.stdout) == (0, "All migrations are already applied!\n")
    assert (status.returncode, status.stdout) == (0, "0 in all, 0 applied, 0 pending; integrity valid.\n")
    assert pair.reporting.query("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_an_alias_of_the_same_database_has_the_same_records(pair: Pair) -> None:
    pair.run("sqlmigrate_apply")

    ended = pair.run("sqlmigrate_apply", "--database", "mirror", MIRROR="1")

    assert (ended.returncode, ended.stdout) == (0, "All migrations are already applied!\n")
    assert names(pair.site.ledger()) == ["001_a"]


def test_what_django_has_applied_is_looked_up_in_the_same_database(pair: Pair) -> None:
    DjangoApp(pair.site.folder, "shop").chain("0001_initial", "0002_prices")
    pair.site.write("001_a.sql", "-- depends: django:shop.0002_prices\nCREATE TABLE a ();\n")
    pair.run("migrate", "shop", "--skip-checks", APPS="shop")

    here = pair.run("sqlmigrate_apply", APPS="shop")
    there = pair.run("sqlmigrate_apply", "--database", "reporting", APPS="shop")

    assert (here.returncode, there.returncode) == (0, 4)
    assert there.stderr == (
        "Migrations of Django's have to be applied first; nothing has run.\n\n"
        "  migrations_sql/001_a.sql:1:1  [unapplied-dependency]\n"
        "    Depends on django:shop.0002_prices, which is not applied on 'reporting'.\n"
        "    Next: python manage.py migrate --database reporting shop 0002\n"
    )
