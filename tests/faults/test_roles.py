"""The three roles of docs/roles.md: who owns, who deploys, and who may only read the records."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from django.core import checks
from django.db import ProgrammingError, connections
from django.test import Client, override_settings
from django.urls import path

from sqlmigrations.health.views import HealthView
from tests.faults.pgbouncer import bouncer_before
from tests.faults.scene import Role
from tests.inprocess import LocalSite
from tests.office import EVENTS, LEDGER, Office, page, words
from tests.servers import Database
from tests.shop import Shop
from tests.site import ROOT, Site

TABLES = ("schema_migrations", "schema_migration_events", "schema_migration_texts")
SETUP, TAKE_AWAY, ALTER_ROLE = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "roles.md").read_text(), re.DOTALL)
urlpatterns = [path("health", HealthView.as_view())]


@dataclass(frozen=True)
class Roles:
    """The roles of the documentation, under names of the test's own."""

    site: LocalSite
    prefix: str

    @property
    def owner(self) -> str:
        return f"{self.prefix}_owner"

    @property
    def deploy(self) -> str:
        return f"{self.prefix}_deploy"

    @property
    def app(self) -> str:
        return f"{self.prefix}_app"

    def own(self, sql: str) -> str:
        """SQL of the documentation with the names of this test."""
        return sql.replace("shop_", f"{self.prefix}_")

    def run_from_the_page(self, sql: str) -> None:
        self.site.database.psql(self.own(sql))

    def owners(self) -> set[str]:
        """Who owns the relations of the two schemas."""
        rows = self.site.query(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class "
            "WHERE relnamespace IN ('public'::regnamespace, 'sqlmigrations'::regnamespace) AND relkind IN ('r', 'i')"
        )
        return {owner for (owner,) in rows}


@contextmanager
def logged_in(role: str, options: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Django's connection, and what is made from it, is that of another role."""
    connection = connections["default"]
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict |= {"USER": role, "OPTIONS": {**before.get("OPTIONS", {}), **(options or {})}}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict |= {name: before[name] for name in ("USER", "OPTIONS")}


@contextmanager
def made(site: LocalSite) -> Iterator[Roles]:
    """Made as the page says."""
    roles = Roles(site, f"t{uuid.uuid4().hex[:10]}")
    roles.run_from_the_page(SETUP)
    try:
        yield roles
    finally:
        for name in (roles.owner, roles.deploy, roles.app):
            site.query(f"DROP OWNED BY {name} CASCADE")
        site.query(f"DROP ROLE {roles.owner}, {roles.deploy}, {roles.app}")


@pytest.fixture
def roles(local_site: LocalSite) -> Iterator[Roles]:
    with made(local_site) as roles:
        yield roles


STRAYING = """
RESET ROLE;
SET SESSION ROLE NONE;
RESET ALL;
SELECT set_config('role', 'none', false);
DO $$ BEGIN EXECUTE 'RESET ROLE'; END $$;
"""


@pytest.mark.parametrize("way", ["assume_role", "options", "ALTER ROLE"])
def test_f67_who_deploys_acts_as_the_owner_whatever_a_file_does_to_the_role(roles: Roles, way: str) -> None:
    site = roles.site
    site.settings["SCHEMA"] = "sqlmigrations"
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_strays.sql", STRAYING)
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    site.write("004_d.sql", "CREATE INDEX CONCURRENTLY a_id_idx ON a (id);\nRESET ALL;\nSET ROLE NONE;\n")
    site.write("005_e.sql", "ALTER TABLE a ADD COLUMN e int;\nCREATE TABLE e (id int);\n")
    if way == "ALTER ROLE":
        roles.run_from_the_page(ALTER_ROLE)
    options = {"assume_role": {"assume_role": roles.owner}, "options": {"options": f"-c role={roles.owner}"}}

    with logged_in(roles.deploy, options.get(way)):
        applied = site.run("sqlmigrate_apply")
        status = site.run("sqlmigrate_status", "--check")

    assert (applied.returncode, applied.stderr, status.returncode) == (0, "", 0)
    assert roles.owners() == {roles.owner}
    by = site.query("SELECT DISTINCT applied_by FROM sqlmigrations.schema_migrations")
    said_by = site.query("SELECT DISTINCT db_user FROM sqlmigrations.schema_migration_events")
    assert (by, said_by) == ([(roles.deploy,)], [(roles.deploy,)])
    acting = "SELECT detail->>'role' FROM sqlmigrations.schema_migration_events WHERE event = 'run_started'"
    assert site.query(acting) == [(roles.owner,)]


@dataclass(frozen=True)
class Login(Database):
    """The database as a role logs in to it."""

    role: str

    @property
    def url(self) -> str:
        return Role(self.role, Database(self.name)).url


def test_f67_behind_a_transaction_pooler_the_role_of_the_login_is_acted_as_and_left_to_others(roles: Roles) -> None:
    site = roles.site
    roles.run_from_the_page(ALTER_ROLE)
    site.write("001_a.sql", "CREATE TABLE a (id int);\n" + STRAYING.replace("RESET ALL;", ""))
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    with bouncer_before(Login(site.database.name, roles.deploy), "transaction", 2) as bouncer:
        way = bouncer.url(site.database)
        applied = Site(site.folder, site.database).run("sqlmigrate_apply", env={"DATABASE_URL": way})
        acting = {bouncer.query(site.database, "SELECT session_user::text, current_user::text")[0] for _ in range(4)}

    assert (applied.returncode, "proxied" in applied.stdout + applied.stderr) == (0, True), applied
    assert acting == {(roles.deploy, roles.owner)}
    assert roles.owners() == {roles.owner}
    assert {row["applied_by"] for row in site.ledger()} == {roles.deploy}


@pytest.mark.parametrize("schema", ["sqlmigrations", "public", "one_to_be_made"])
def test_f67_who_deploys_and_does_not_act_as_the_owner_is_told_whom_to_act_as(roles: Roles, schema: str) -> None:
    site = roles.site
    site.settings["SCHEMA"] = schema
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.query(f"GRANT CREATE ON DATABASE {site.database.name} TO {roles.owner}")

    with logged_in(roles.deploy):
        refused = site.run("sqlmigrate_apply")
    assert (refused.returncode, roles.owners()) == (2, set())
    with logged_in(roles.deploy, told_to_act(refused.stderr)):
        site.run("sqlmigrate_apply", check=True)
    assert roles.owners() <= {roles.owner}
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    with logged_in(roles.deploy):
        refused = site.run("sqlmigrate_apply")

    assert (refused.returncode, site.query("SELECT to_regclass('public.b')")) == (2, [(None,)])
    with logged_in(roles.deploy, told_to_act(refused.stderr)):
        assert site.run("sqlmigrate_apply").returncode == 0


def told_to_act(said: str) -> dict[str, Any]:
    """The options that the message names."""
    found = re.search(r"  Next: Act as '\w+', which may: (\{.*?\}) in OPTIONS of the alias\. To let this role", said)
    assert found, said
    options: dict[str, Any] = json.loads(found[1])
    return options


def test_f67_a_table_of_somebody_elses_stops_the_file_and_nothing_of_it_is_kept(roles: Roles) -> None:
    site, acting = roles.site, {"assume_role": roles.owner}
    site.query("CREATE TABLE theirs (id int)")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\nALTER TABLE theirs ADD COLUMN n int;\n")
    site.write("003_c.sql", "-- transaction: off\nCREATE INDEX CONCURRENTLY theirs_i ON theirs (id);\n")

    with logged_in(roles.deploy, acting):
        failed = site.run("sqlmigrate_apply")
    assert failed.returncode == 1
    assert "  migrations_sql/002_b.sql:2:1\n" in failed.stderr
    assert "PostgreSQL 42501: must be owner of table theirs" in failed.stderr
    assert "Let the owner of the object run migrations, or GRANT" in failed.stderr
    assert [row["name"] for row in site.ledger()] == ["000_migration_tracking", "001_a"]
    assert site.query("SELECT to_regclass('public.b')") == [(None,)]
    site.write("002_b.sql", "SELECT 1;\n")
    with logged_in(roles.deploy, acting):
        outside = site.run("sqlmigrate_apply")
    assert (outside.returncode, "42501: must be owner of table theirs" in outside.stderr) == (1, True)
    assert [row["name"] for row in site.ledger()] == ["000_migration_tracking", "001_a", "002_b"]

    site.query(f"ALTER TABLE theirs OWNER TO {roles.owner}")
    with logged_in(roles.deploy, acting):
        site.run("sqlmigrate_apply", check=True)
    assert site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'theirs_i'::regclass") == [(True,)]


def test_f67_a_right_that_is_taken_away_in_the_middle_of_a_run_stops_it_and_nothing_is_lost(roles: Roles) -> None:
    site, acting = roles.site, {"assume_role": roles.owner}
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"CREATE TABLE b (id int);\nREVOKE ALL ON schema_migration_events FROM {roles.owner};\n")

    with logged_in(roles.deploy, acting):
        failed = site.run("sqlmigrate_apply")
        assert (failed.returncode, "permission denied for table schema_migration_events" in failed.stderr) == (1, True)
        assert [row["name"] for row in site.ledger()] == ["000_migration_tracking", "001_a"]
        site.write("002_b.sql", "CREATE TABLE b (id int);\n")
        site.run("sqlmigrate_apply", check=True)

    assert [row["name"] for row in site.ledger()] == ["000_migration_tracking", "001_a", "002_b"]


@pytest.mark.parametrize("atomic", [True, False])
def test_f67_apply_sql_acts_as_the_owner_too(shop: Shop, atomic: bool) -> None:
    with made(shop) as roles:
        shop.wrap("0001", "001_a", "CREATE TABLE a (id int);" + STRAYING, atomic=atomic)
        shop.wrap("0002", "002_b", "CREATE TABLE b (id int);\n", atomic=atomic)

        with logged_in(roles.deploy, {"assume_role": roles.owner}):
            migrated = shop.migrate()
            assert shop.django_sees("SELECT current_user") == roles.owner

        assert (migrated.returncode, migrated.error) == (0, "")
        assert shop.names() == ["001_a", "002_b"]
        assert {row["applied_by"] for row in shop.ledger()} == {roles.deploy}
        acting = "SELECT DISTINCT detail->>'role' FROM schema_migration_events WHERE event = 'run_started'"
        assert shop.query(acting) == [(roles.owner,)]
        owners = shop.query("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert owners == [(roles.owner,)]


@pytest.fixture
def deployed(office: Office) -> Iterator[Roles]:
    """One file applied by who deploys; the application may read the records in ``public``, as the page says."""
    with made(office.site) as roles:
        roles.site.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {roles.app}")
        roles.site.query(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {roles.app}")
        roles.site.write("001_a.sql", "CREATE TABLE a (id int);\n")
        with logged_in(roles.deploy, {"assume_role": roles.owner}):
            roles.site.run("sqlmigrate_apply", check=True)
        roles.run_from_the_page(TAKE_AWAY)
        yield roles


def asked(site: LocalSite, where: str = "/health") -> tuple[int, dict[str, Any]]:
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
        answer = Client(raise_request_exception=False).get(where)
    return answer.status_code, answer.json()["databases"]["default"]


def warnings() -> list[str]:
    """What the checks of the database say."""
    return [str(found.id) for found in checks.run_checks(databases=["default"]) if "sqlmigrations" in str(found.id)]


READING = {
    "status": ["sqlmigrate_status"],
    "texts": ["sqlmigrate_status", "--check", "-v", "2"],
    "plan": ["sqlmigrate_apply", "--plan"],
    "check": ["sqlmigrate_apply", "--check"],
}
ACCEPTING = ("sqlmigrate_repair", "accept", "project", "001", "--reason", "x", "--noinput")
WRITING = (
    "INSERT INTO schema_migration_texts VALUES (repeat('0', 64), 'x')",
    "UPDATE schema_migrations SET name = 'x'",
    "DELETE FROM schema_migrations",
    "DELETE FROM schema_migration_events",
    "UPDATE schema_migration_events SET db_user = 'x'",
    "TRUNCATE schema_migration_texts",
    "DROP TABLE schema_migrations",
)


def test_f67_the_application_reads_the_records_and_writes_none(deployed: Roles, office: Office) -> None:
    site, client = deployed.site, office.superuser()
    before = site.ledger()

    with logged_in(deployed.app):
        codes = {what: site.run(*command).returncode for what, command in READING.items()}
        health, found = asked(site), warnings()
        pages = [words(page(client.get(where))) for where in (LEDGER, EVENTS, f"{LEDGER}status/")]
        its_page = words(office.open(client, "001_a"))
        site.write("001_a.sql", "CREATE TABLE a (id int, n int);\n")
        accepting = site.run(*ACCEPTING)
        site.write("001_a.sql", "CREATE TABLE a (id int);\n")
        site.write("002_b.sql", "CREATE TABLE b (id int);\n")
        refusals = [accepting, site.run("sqlmigrate_apply")]
        for statement in WRITING:
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                connections["default"].cursor().execute(statement)

    assert (codes, health[0], found) == (dict.fromkeys(READING, 0), 200, [])
    assert ["001_a" in text for text in pages] == [True, True, False]
    assert f"({deployed.deploy}) done 2 of 2" in pages[2]
    assert "CREATE TABLE a (id int);" in its_page
    for refused in refusals:
        assert refused.returncode == 2
        assert f"The role '{deployed.app}' lacks rights on the tracking tables (" in refused.stderr
    assert site.ledger() == before


def test_f67_a_role_that_may_not_even_read_is_told_so_everywhere(deployed: Roles, office: Office) -> None:
    site, client = deployed.site, office.superuser()
    deployed.site.query(f"REVOKE ALL ON {', '.join(TABLES)} FROM {deployed.app}")
    lacking = f"The role '{deployed.app}' may not read "

    with logged_in(deployed.app):
        ended = {what: site.run(*command) for what, command in READING.items()}
        ended["repair"] = site.run(*ACCEPTING)
        health, found = asked(site), checks.run_checks(databases=["default"])
        pages = [words(page(client.get(where))) for where in (LEDGER, EVENTS, f"{LEDGER}status/")]
        gone = client.get(f"{LEDGER}1/change/")

    for what, command in ended.items():
        assert (what, command.returncode, command.stdout) == (what, 2, "")
        assert lacking in command.stderr
        assert f'GRANT SELECT ON "public".schema_migrations TO "{deployed.app}";' in command.stderr
    assert health == (
        503,
        {"result": "misconfigured", **dict.fromkeys(("integrity", "pending", "waiting", "partial"))},
    )
    assert [(warning.id, lacking in warning.msg) for warning in found] == [("sqlmigrations.W003", True)]
    assert all(lacking in unescape(text) for text in pages)
    assert gone.status_code == 302
