"""Names that were meant to break something: each works exactly as it is spelled, or is refused in words."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.db import connections
from django.db.models import Model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlmigrations import conf, guidance, provenance
from sqlmigrations.health.probe import Verdict, look
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent, SchemaMigrationText
from tests.inprocess import LocalSite
from tests.office import EVENTS, LEDGER, Office, page
from tests.servers import Database
from tests.shop import Shop

# It keeps the names that the tables had when it was imported; no test here is to be the first to do so.
import_module("sqlmigrations.migrations.0001_initial")

INJECTION = 'x"; DROP TABLE canary; -- {0}'
NAMES = [
    INJECTION,
    "'; DROP TABLE canary; --",
    "$$; DROP TABLE canary; $$",
    'back\\slash\' and "quotes"',
    "new\nline\r\ttab",
    " with space; ",
    "select",
    '"$user"',
    "{0} {ledger} :x $1 /* --",
    "} {",
    "\u00e9 e\u0301 \U0001f4a9",
    "\u202ertl",
    "é" * 31 + "x",
]
REFUSED = [
    "",
    "x" * 64,
    "é" * 32,
    "a\0b",
    "%s",
    "100%",
    "$user",
    "pg_x",
    "information_schema",
    "\ud800",
    None,
    7,
    ["public"],
]
FILES = {
    "001_a.sql": "CREATE TABLE IF NOT EXISTS public.a (id int);\n",
    "002_b.sql": "DROP INDEX CONCURRENTLY IF EXISTS public.nothing;\nVACUUM public.a;\n",
}


@pytest.fixture
def site(local_site: LocalSite) -> LocalSite:
    for name, sql in FILES.items():
        local_site.write(name, sql)
    local_site.query("CREATE TABLE canary (id int)")
    return local_site


def world(site: LocalSite) -> tuple[list[str], list[str], int]:
    """The schemas, the tables of ``public`` and the roles there are."""
    schemas = site.query("SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1")
    tables = site.query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [s for (s,) in schemas], [t for (t,) in tables], site.query("SELECT count(*) FROM pg_roles")[0][0]


def use(site: LocalSite) -> None:
    """Everything that reads or writes the tracking tables, once."""
    assert "3 in all, 0 applied, 3 pending" in site.run("sqlmigrate_status", check=True).stdout
    assert site.run("sqlmigrate_apply", check=True).stderr == ""
    site.run("sqlmigrate_status", "--check", "-v", "2", check=True)
    site.write("001_a.sql", FILES["001_a.sql"] + "SELECT 1;\n")
    refused = site.run("sqlmigrate_apply")
    assert (refused.returncode, "[modified]" in refused.stderr) == (4, True)
    site.run("sqlmigrate_repair", "accept", "project", "001", "--reason", "it's", "--noinput", check=True)
    site.write("001_a.sql", FILES["001_a.sql"])
    site.run("sqlmigrate_repair", "accept", "project", "001", "--reason", "it's", "--noinput", check=True)
    with site.configured():
        assert checks.run_checks(tags=["sqlmigrations"], databases=["default"]) == []
        (health,) = look(["default"], 10)
    assert health.verdict is Verdict.OK


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_has_exactly_the_name_that_was_given(site: LocalSite, name: str) -> None:
    schemas, tables, roles = world(site)
    site.settings["SCHEMA"] = name

    use(site)

    assert world(site) == (sorted([*schemas, name]), ["a", *tables], roles)
    quoted = '"' + name.replace('"', '""') + '"'
    assert site.query(f"SELECT count(*) FROM {quoted}.schema_migrations") == [(3,)]


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_no_schema_is_refused_and_nothing_is_done(site: LocalSite, name: Any) -> None:
    before = world(site)
    site.settings["SCHEMA"] = name

    for command in ("sqlmigrate_apply", "sqlmigrate_status"):
        refused = site.run(command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"SQLMIGRATIONS['SCHEMA'] is {name!r}.\n    Next: Expected: the name of a schema" in refused.stderr

    assert world(site) == before


@given(name=st.text(max_size=70))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_schema_or_is_refused(site: LocalSite, name: str) -> None:
    before = world(site)
    site.settings["SCHEMA"] = name

    applied = site.run("sqlmigrate_apply")

    made = [schema for schema in world(site)[0] if schema not in before[0]]
    if applied.returncode == 0:
        assert made == [name]
        site.run("sqlmigrate_status", "--check", check=True)
        site.query('DROP SCHEMA "{}" CASCADE'.format(name.replace('"', '""')))
    else:
        assert (applied.returncode, made) == (2, [])
        assert "SQLMIGRATIONS['SCHEMA'] is " in applied.stderr
    assert "canary" in world(site)[1]


@pytest.mark.parametrize("atomic", [True, False])
def test_apply_sql_records_in_a_schema_of_any_name(shop: Shop, atomic: bool) -> None:
    shop.query("CREATE TABLE canary (id int)")
    shop.settings["SCHEMA"] = INJECTION
    up, down = "CREATE TABLE a (id int);\n", "DROP TABLE a;\n"
    if not atomic:
        # Step by step, there and back.
        up = f"-- transaction: off\n{up}CREATE INDEX CONCURRENTLY i ON a (id);\n"
        down = f"-- transaction: off\nDROP INDEX CONCURRENTLY i;\n{down}"
    shop.wrap("0001", "001_a", up, atomic=atomic, down=down)

    shop.migrate(check=True)
    shop.migrate("zero", check=True)
    shop.migrate(check=True)

    quoted = '"' + INJECTION.replace('"', '""') + '"'
    assert shop.query(f"SELECT name, state FROM {quoted}.schema_migrations WHERE label = 'project'") == [
        ("001_a", "applied")
    ]
    assert (shop.has("canary"), shop.has("a")) == (True, True)


@contextmanager
def models_look_again() -> Iterator[None]:
    """Models know their tables since they were imported; meanwhile they are those of the settings of now."""
    models = (SchemaMigration, SchemaMigrationEvent, SchemaMigrationText)
    before = [model._meta.db_table for model in models]
    names = [conf.table(table.rpartition(".")[2].strip('"')) for table in before]
    try:
        _rename(models, names)
        yield
    finally:
        _rename(models, before)


def _rename(models: Iterable[type[Model]], tables: Iterable[str]) -> None:
    for model, table in zip(models, tables, strict=True):
        model._meta.db_table = table
        for field in model._meta.fields:
            field.__dict__.pop("cached_col", None)  # It keeps the name of the table.


def test_the_admin_shows_a_schema_of_any_name(office: Office) -> None:
    site = office.site
    site.query("CREATE TABLE canary (id int)")
    site.settings["SCHEMA"] = INJECTION
    site.write("001_a.sql", FILES["001_a.sql"])
    site.run("sqlmigrate_apply", check=True)
    client = office.superuser()

    with site.configured(), models_look_again():
        for path in (f"{LEDGER}status/", f"{LEDGER}1/change/", f"{EVENTS}1/change/", EVENTS, f"{LEDGER}?q=a"):
            page(client.get(path))
        assert "001_a" in page(client.get(f"{LEDGER}?label=project"))

    assert site.query("SELECT count(*) FROM canary") == [(0,)]


LABELS = ["select", "é", "e\u0301", "数据", "ﬁ", "l" * 200, "_", "None"]


def test_labels_are_identifiers_and_kept_as_they_are_spelled(site: LocalSite) -> None:
    for number, label in enumerate(LABELS):
        folder = site.folder / f"f{number}"
        folder.mkdir()
        (folder / "001_x.sql").write_text(f"CREATE TABLE t{number} (id int);\n")
        (folder / "002_y.sql").write_text(f"-- depends: {label}.001_x\nSELECT 1;\n")
    site.settings["DIRS"] = {label: site.folder / f"f{number}" for number, label in enumerate(LABELS)}

    site.run("sqlmigrate_apply", LABELS[1], "001", check=True)
    assert {label for (label,) in site.query("SELECT DISTINCT label FROM schema_migrations")} == {"sqlmigrations", "é"}
    site.run("sqlmigrate_apply", check=True)
    listed = json.loads(site.run("sqlmigrate_status", "--check", "--format", "json", check=True).stdout)

    assert {each["label"] for each in listed["migrations"]} == {"sqlmigrations", *LABELS}
    for label in LABELS:
        assert site.query("SELECT count(*) FROM schema_migrations WHERE label = %s", label) == [(2,)]


@pytest.mark.parametrize(
    "label", [INJECTION, "a b", "a.b", "../x", "", "1a", "a\nb", "a'", "\U0001f4a9", "a-b", "%s", "\ud800", 7, None]
)
def test_other_labels_are_refused(site: LocalSite, label: Any) -> None:
    site.settings["DIRS"] = {label: site.migrations}

    for command in ("sqlmigrate_apply", "sqlmigrate_status"):
        refused = site.run(command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"Expected: labels that are identifiers; {label!r} is none." in refused.stderr
    for target in ([str(label)], ["project", str(label)]):
        assert site.run("sqlmigrate_apply", *target).returncode == 2


@pytest.mark.parametrize("name", ['o\'brien "x"; DROP ROLE y; --', "é\u0301\U0001f4a9 %s\n\\", "select"])
def test_a_role_of_any_name_is_told_what_it_lacks_and_recorded_as_it_is(site: LocalSite, name: str) -> None:
    site.run("sqlmigrate_apply", check=True)
    quoted = '"' + name.replace('"', '""') + '"'
    site.query(f"CREATE ROLE {quoted} LOGIN")
    site.query("GRANT CREATE ON SCHEMA public TO PUBLIC")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    try:
        with pointed(USER=name):
            refused = site.run("sqlmigrate_apply")
        assert (refused.returncode, f"The role {name!r} lacks rights" in refused.stderr) == (2, True)
        site.database.psql(re.search("As the owner:  (.*)", refused.stderr)[1])  # type: ignore[index]
        with pointed(USER=name):
            site.run("sqlmigrate_apply", check=True)
            site.run("sqlmigrate_status", "--check", check=True)
        assert site.query("SELECT applied_by FROM schema_migrations WHERE name = '003_c'") == [(name,)]
        assert site.query("SELECT DISTINCT db_user FROM schema_migration_events WHERE name = '003_c'") == [(name,)]
    finally:
        site.query(f"DROP OWNED BY {quoted}")
        site.query(f"DROP ROLE {quoted}")


@contextmanager
def pointed(**changes: str) -> Iterator[None]:
    """Django's connection has other settings meanwhile."""
    connection = connections["default"]
    before = {key: connection.settings_dict.get(key, "") for key in changes}
    connection.close()
    connection.settings_dict.update(changes)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


@pytest.mark.parametrize(
    "name", ["d\"b'; DROP -- %s \\ é\U0001f4a9", "dbname=postgres", "postgresql://localhost/x", "a\nb"]
)
def test_a_database_of_any_name_gets_the_migrations(site: LocalSite, name: str) -> None:
    name = f"{name} {site.database.name[2:8]}"
    quoted = '"' + name.replace('"', '""') + '"'
    administration = Database("postgres")
    administration.query(f"CREATE DATABASE {quoted}")
    try:
        with pointed(NAME=name):
            site.run("sqlmigrate_apply", check=True)
            site.run("sqlmigrate_status", "--check", check=True)
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT current_database(), count(*) FROM schema_migrations")
                assert cursor.fetchone() == (name, 3)
    finally:
        administration.query(f"DROP DATABASE {quoted} WITH (FORCE)")
    assert site.ledger() == []


def test_a_database_that_lacks_a_letter_says_so_and_keeps_what_it_can(site: LocalSite) -> None:
    name, administration = f"{site.database.name}_latin", Database("postgres")
    administration.query(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    site.write("003_é.sql", "-- caf\u00e9\nCREATE TABLE cafés (v text DEFAULT 'é');\n")
    site.write("004_c.sql", "-- \U0001f4a9\nSELECT 1;\n")
    try:
        with pointed(NAME=name):
            refused = site.run("sqlmigrate_apply")
            site.write("004_c.sql", "SELECT 1;\n")
            applied = site.run("sqlmigrate_apply")
            site.run("sqlmigrate_status", "--check", check=True)
    finally:
        administration.query(f"DROP DATABASE {name} WITH (FORCE)")

    assert (refused.returncode, "Applying project.003_é... OK" in refused.stdout) == (1, True)
    assert "PostgreSQL 22P05: character with byte sequence 0xf0 0x9f 0x92 0xa9 in encoding" in refused.stderr
    assert "The encoding of this database has no such character, not even for a comment." in refused.stderr
    assert (applied.returncode, applied.stderr) == (0, "")


def test_a_system_user_host_or_commit_of_any_name_is_recorded(
    site: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsdecode(b"o'b\xff\"; DROP TABLE canary; -- %s \xc3\xa9")
    for variable in ("LOGNAME", "GIT_COMMIT"):
        monkeypatch.setenv(variable, odd)
    monkeypatch.setattr("socket.gethostname", lambda: odd)
    for asked in (provenance._os_user, provenance._git_commit):
        asked.cache_clear()

    try:
        site.run("sqlmigrate_apply", check=True)
    finally:
        for asked in (provenance._os_user, provenance._git_commit):
            asked.cache_clear()

    shown = "o'b\\xff\"; DROP TABLE canary; -- %s é"
    by = site.query("SELECT DISTINCT os_user, host, git_commit FROM schema_migration_events")
    assert by == [(shown, shown, shown)]


def test_a_folder_of_any_name_is_read_and_told_of(site: LocalSite) -> None:
    folder = Path(os.fsdecode(os.fsencode(site.folder) + b"/o'f\xff \n\x1b[2J\"; rm -rf x %s \xc3\xa9"))
    folder.mkdir()
    (folder / "001_x.sql").write_text("SELECT 1 / 0;\n")
    (folder / "bad.sql").write_text("SELECT 1;\n")
    site.settings["DIRS"] = {"project": folder}

    refused = site.run("sqlmigrate_apply")
    rename = re.search("Next: (mv .*)", refused.stderr)
    assert (refused.returncode, rename is not None) == (4, True)
    assert subprocess.run(["bash", "-c", rename[1]], cwd=site.folder).returncode == 0  # type: ignore[index]
    assert (folder / "002_bad.sql").exists()
    failed = site.run("sqlmigrate_apply")
    assert failed.returncode == 1
    assert "\x1b" not in failed.stdout + failed.stderr
    (folder / "001_x.sql").write_text("SELECT 1;\n")
    site.run("sqlmigrate_apply", check=True)
    site.run("sqlmigrate_status", "--check", check=True)
    site.run("sqlmigrate_new", "project", "more", check=True)
    said = site.query("SELECT detail->>'file' FROM schema_migration_events WHERE event = 'failed'")
    assert said == [("o'f\\udcff \\n\\x1b[2J\"; rm -rf x %s é/001_x.sql",)]


@pytest.mark.parametrize("alias", ["a b; rm -rf x", "\\g<9>\\1", "o'brien", "é"])
def test_commands_that_name_a_database_can_be_typed_whatever_it_is_called(alias: str) -> None:
    for text in (guidance.addressed(f"Run  {guidance.APPLY}", alias), f"Run  {guidance.APPLY}{guidance.on(alias)}"):
        assert shlex.split(text) == ["Run", "python", "manage.py", "sqlmigrate_apply", "--database", alias]
