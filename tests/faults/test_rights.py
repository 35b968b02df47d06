"""Roles that lack a right: told before the first file, with the GRANT that cures it."""

from __future__ import annotations

import json
import re

import pytest

from tests.faults.scene import FaultySite, Role

TABLES = ("schema_migrations", "schema_migration_events", "schema_migration_texts")
ENOUGH = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON schema_migrations TO {role};"
    "GRANT SELECT, INSERT ON schema_migration_events TO {role};"
    "GRANT SELECT, INSERT ON schema_migration_texts TO {role};"
)


def grants(output: str) -> str:
    """The SQL that the message tells the owner to run."""
    found = re.search(r"As the owner:\s+(.+)$", output, re.MULTILINE)
    assert found, output
    return found[1]


def prepare(site: FaultySite, role: Role, *changes: str) -> None:
    """Tables made by the owner, rights enough for the role but for the changes."""
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    for statement in (ENOUGH, "GRANT CREATE ON SCHEMA public TO {role};", *changes):
        site.database.psql(statement.format(role=role.name))
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")


def recorded(site: FaultySite) -> list[tuple[object, ...]]:
    return site.query("SELECT xmin, name, state FROM public.schema_migrations ORDER BY id")


def test_f67_a_role_with_enough_rights_applies_without_owning_the_tables(site: FaultySite, role: Role) -> None:
    prepare(site, role)

    applied = site.apply(DATABASE_URL=role.url)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.ledger()[-1]["applied_by"] == role.name


def test_f67_a_role_that_may_not_create_anything_goes_on_where_the_tables_exist(site: FaultySite, role: Role) -> None:
    prepare(site, role, "REVOKE CREATE ON SCHEMA public FROM {role};")
    site.write("002_b.sql", "SELECT 1;\n")

    assert site.apply(DATABASE_URL=role.url).returncode == 0

    assert site.names() == ["001_a", "002_b"]


@pytest.mark.parametrize(
    ("revoked", "lacking"),
    [
        ("INSERT ON schema_migrations", "schema_migrations: INSERT"),
        ("SELECT ON schema_migrations", "schema_migrations: SELECT"),
        ("UPDATE ON schema_migrations", "schema_migrations: UPDATE"),
        ("DELETE ON schema_migrations", "schema_migrations: DELETE"),
        ("ALL ON schema_migrations", "schema_migrations: INSERT"),
        ("INSERT ON schema_migration_events", "schema_migration_events: INSERT"),
        ("ALL ON schema_migration_events", "schema_migration_events: INSERT"),
        ("INSERT ON schema_migration_texts", "schema_migration_texts: INSERT"),
        ("SELECT ON schema_migration_texts", "schema_migration_texts: SELECT"),
        ("ALL ON schema_migration_texts", "schema_migration_texts: INSERT"),
    ],
)
def test_f67_a_missing_right_on_a_tracking_table_is_named_and_cured(
    site: FaultySite, role: Role, revoked: str, lacking: str
) -> None:
    prepare(site, role, f"REVOKE {revoked} FROM {{role}};")
    before = recorded(site)

    refused = site.apply(DATABASE_URL=role.url)

    assert refused.returncode == 2, refused
    assert f"The role '{role.name}' lacks rights on the tracking tables (" in refused.stderr
    assert lacking in refused.stderr
    assert (recorded(site), site.has("b")) == (before, False)
    site.database.psql(grants(refused.stderr))
    cured = site.apply(DATABASE_URL=role.url)
    assert (cured.returncode, cured.stderr) == (0, "")
    assert site.names() == ["001_a", "002_b"]


def test_f67_several_missing_rights_are_cured_at_once(site: FaultySite, role: Role) -> None:
    prepare(site, role, *(f"REVOKE ALL ON {table} FROM {{role}};" for table in TABLES))

    refused = site.apply(DATABASE_URL=role.url)

    assert refused.returncode == 2
    site.database.psql(grants(refused.stderr))
    assert site.apply(DATABASE_URL=role.url).returncode == 0


@pytest.mark.parametrize("schema", ["tracking", 'Odd "one"'])
def test_f67_a_role_that_may_not_enter_the_schema_is_told_so(site: FaultySite, role: Role, schema: str) -> None:
    settings = {"SQLMIGRATIONS_JSON": json.dumps({"SCHEMA": schema})}
    assert site.apply(**settings).returncode == 0
    site.write("001_a.sql", "SELECT 1;\n")

    refused = site.apply(DATABASE_URL=role.url, **settings)

    assert refused.returncode == 2, refused
    assert f"The role '{role.name}' " in refused.stderr
    site.database.psql(grants(refused.stderr))
    cured = site.apply(DATABASE_URL=role.url, **settings)
    assert (cured.returncode, cured.stderr) == (0, "")


def test_f67_a_role_that_may_not_create_in_the_schema_is_told_before_the_first_file(
    site: FaultySite, role: Role
) -> None:
    site.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    refused = site.apply(DATABASE_URL=role.url)

    assert refused.returncode == 2
    assert f"The role '{role.name}' may not create tables in the schema 'public'." in refused.stderr
    assert (site.ledger(), site.has("a")) == ([], False)
    site.database.psql(grants(refused.stderr))
    assert site.apply(DATABASE_URL=role.url).returncode == 0
    assert site.names() == ["001_a"]


def test_f67_a_role_that_may_not_create_the_schema_is_told_before_the_first_file(site: FaultySite, role: Role) -> None:
    settings = {"SQLMIGRATIONS_JSON": json.dumps({"SCHEMA": "tracking"})}
    site.write("001_a.sql", "SELECT 1;\n")

    refused = site.apply(DATABASE_URL=role.url, **settings)

    assert refused.returncode == 2
    assert f"The role '{role.name}' may not create the schema 'tracking'." in refused.stderr
    site.database.psql(grants(refused.stderr))
    assert site.apply(DATABASE_URL=role.url, **settings).returncode == 0
    assert site.query("SELECT name FROM tracking.schema_migrations WHERE label = 'project'") == [("001_a",)]


@pytest.mark.parametrize(
    "command", [["sqlmigrate_status"], ["sqlmigrate_apply", "--plan"], ["sqlmigrate_apply", "--check"]]
)
def test_f67_reading_without_the_right_to_read_names_the_grant(
    site: FaultySite, role: Role, command: list[str]
) -> None:
    prepare(site, role, "REVOKE ALL ON schema_migrations FROM {role};")

    refused = site.run(*command, env={"DATABASE_URL": role.url})

    assert refused.returncode == 2, refused
    assert "schema_migrations" in refused.stderr
    assert "SELECT" in grants(refused.stderr)
    site.database.psql(grants(refused.stderr))
    assert site.run(*command, env={"DATABASE_URL": role.url}).returncode in (0, 3)


def test_f67_reading_without_the_right_in_a_transaction_of_the_callers_says_so(site: FaultySite, role: Role) -> None:
    prepare(site, role, "REVOKE ALL ON schema_migrations FROM {role};")
    code = """
from django.db import transaction
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.executor import Executor
try:
    with transaction.atomic():
        Executor().status()
except ConfigurationError as error:
    print(error.message)
"""

    told = site.python(code, DATABASE_URL=role.url)

    expected = (
        "The role of this alias may not read the tracking tables: permission denied for table schema_migrations."
    )
    assert (told.stdout.strip(), told.stderr) == (expected, "")
