"""Known secrets in address, environment and SQL, whatever fails: in no stream, log, traceback, record or page."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from django.conf import settings
from django.db import connections
from django.test import RequestFactory, override_settings

from sqlmigrations.health.views import HealthView
from sqlmigrations.precommit import main
from tests.faults.own import lend_server
from tests.faults.scene import LOCK, Other
from tests.faults.vault import (
    COMMENT,
    DSN,
    LINK,
    NAME,
    OPTION,
    ROLE,
    ROW,
    SESSION,
    SURROUNDINGS,
    Search,
    Vault,
    forget,
    furnish,
    overheard,
)
from tests.office import LEDGER, Office
from tests.servers import socket_url
from tests.shop import Shop


@pytest.fixture
def vault(office: Office, monkeypatch: pytest.MonkeyPatch) -> Vault:
    return furnish(office.site, monkeypatch)


FAILING: dict[str, tuple[int, str]] = {
    "syntax": (1, f"CREATE ROLE x PASSWORD '{ROLE}' bad;\n"),
    "runtime": (1, f"SELECT '{DSN}', '{SURROUNDINGS}', '{SESSION}', 1/0;\n"),
    "cast": (1, f"SELECT\n'{DSN}'::int;\n"),
    "cast of environment": (1, f"SELECT '{SURROUNDINGS}'::int;\n"),
    "cast of option": (1, f"SELECT '{SESSION}'::int;\n"),
    "raise": (
        1,
        f"DO $$ BEGIN RAISE NOTICE '{DSN}'; RAISE WARNING 'w {SURROUNDINGS}';\n"
        f"RAISE EXCEPTION 'no {DSN}' USING DETAIL = 'd {SESSION}', HINT = 'h {SURROUNDINGS}'; END $$;\n",
    ),
    "raise of what a table holds": (
        1,
        "DO $$ BEGIN PERFORM current_setting('app.api_token')::int; END $$;\n",
    ),
    "unique": (1, "CREATE UNIQUE INDEX ON people (email);\n"),
    "not null": (1, "ALTER TABLE people ALTER email SET NOT NULL;\nUPDATE people SET id = NULL WHERE id = 1;\n"),
    "failing row": (1, "UPDATE people SET id = NULL WHERE id = 1;\n"),
    "foreign key": (
        1,
        "CREATE TABLE f (email text PRIMARY KEY);\nALTER TABLE people ADD FOREIGN KEY (email) REFERENCES f;\n",
    ),
    "deferred": (
        1,
        "CREATE TABLE f (email text PRIMARY KEY);\nALTER TABLE people ADD FOREIGN KEY (email) REFERENCES f NOT VALID"
        " DEFERRABLE INITIALLY DEFERRED;\nSET CONSTRAINTS ALL DEFERRED;\nUPDATE people SET email = email || 'x';\n",
    ),
    "partition": (
        1,
        "CREATE TABLE p (id int, email text) PARTITION BY LIST (email);\nINSERT INTO p SELECT * FROM people;\n",
    ),
    "data": (1, f"COPY people (id) FROM stdin;\n1\n{DSN}\n\\.\n"),
    "role there is": (1, f"CREATE ROLE postgres LOGIN PASSWORD '{ROLE}';\n"),
    "alter system": (1, f"ALTER SYSTEM SET nosuch_parameter = 'host=h password={LINK}';\n"),
    "subscription": (
        1,
        f"CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 password={LINK}' PUBLICATION p;\n",
    ),
    "dblink": (1, f"SELECT dblink_connect('postgresql://u:{LINK}@h/d');\n"),
    "dblink in conninfo": (1, f"SELECT dblink_exec('host=h password={LINK}', $$ALTER ROLE r PASSWORD '{ROLE}'$$);\n"),
    "user mapping": (1, f"CREATE USER MAPPING FOR postgres SERVER nosuch OPTIONS (user 'u', password '{LINK}');\n"),
    "function": (
        1,
        f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  PERFORM dblink('password={LINK}');\n"
        "  this is wrong;\nEND $$;\n",
    ),
    "function called": (
        1,
        f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  EXECUTE 'ALTER ROLE nosuch PASSWORD "
        f"''{ROLE}''';\nEND $$;\nSELECT f();\n",
    ),
    "do": (1, f"DO $$ BEGIN EXECUTE 'ALTER ROLE nosuch PASSWORD ''{ROLE}'''; END $$;\n"),
    "comments": (
        1,
        f"-- ALTER ROLE r PASSWORD '{COMMENT}';\nSELECT 1/0 /* password={COMMENT} */; -- postgresql://u:{COMMENT}@h\n"
        f"/*\n  it's \"password='{COMMENT}'\"\n*/\n",
    ),
    "address in a comment": (1, f"SELECT nosuch; -- {DSN}\n"),
    "directives with passwords": (
        4,
        f"-- depends: password={LINK}\n-- database: password={LINK}\n-- lock-timeout: password={LINK}\nSELECT 1;\n",
    ),
    "database of a password": (4, f"-- database: password={LINK}\nSELECT 1;\n"),
    "reasons": (
        6,
        f"-- allow: drop-colum password={LINK} {DSN}\n-- allow: rename password={LINK} {DSN}\n"
        f"-- allow: late password={LINK} {DSN}\n-- irreversible: password={LINK} {DSN}\nSELECT 1/0;\n",
    ),
    "unterminated": (6, f"SELECT '{DSN}\n"),
    "unterminated with a password": (6, f"ALTER ROLE r PASSWORD '{ROLE}\n"),
    "unterminated dollar": (6, f"DO ${DSN.replace('-', '_').replace('+', '_')}$ password='{ROLE}'\n"),
    "psql": (6, f"\\connect postgresql://u:{LINK}@h/d\nSELECT 1;\n"),
    "psql variable": (6, f"\\set password '{ROLE}'\nSELECT 1;\n"),
    "transaction control": (6, f"ALTER ROLE r PASSWORD '{ROLE}'; COMMIT; -- {DSN}\nSELECT 1;\n"),
    "directive": (4, f"-- lock-timeout: {DSN}\n-- depends: {DSN}\n-- database: {DSN}\nSELECT 1;\n"),
    "directive nearly": (4, f"-- transacton: {DSN}\n-- runs-in: {DSN}\nSELECT 1;\n"),
    "mixed": (6, f"CREATE INDEX CONCURRENTLY i ON people (id); ALTER ROLE r PASSWORD '{ROLE}';\n"),
    "not text": (4, f"SELECT '{DSN}\r';\n"),
    "statement by statement": (
        7,
        f"-- transaction: off\nCREATE TABLE half (id int);\nALTER ROLE nosuch PASSWORD '{ROLE}'; -- {DSN}\n",
    ),
    "build on duplicates": (7, f"CREATE UNIQUE INDEX CONCURRENTLY people_email ON people (email); -- {DSN}\n"),
}


def test_f68_f69_whatever_fails_in_a_file_no_secret_is_told(vault: Vault, office: Office) -> None:
    site, ended = vault.site, {}
    staff = office.staff("view_schemamigration", "view_schemamigrationevent")
    with overheard(vault.search):
        for what, (_, sql) in FAILING.items():
            site.write(f"{NAME}.sql", sql)
            ended[what] = vault.run_all(what)
            vault.look(what, staff)
            forget(site)

    assert vault.search.leaks() == set()
    assert ended == {what: {code} for what, (code, _) in FAILING.items()}


def test_f68_f69_who_stands_in_the_way_is_told_without_secrets(vault: Vault, office: Office) -> None:
    site, client = vault.site, office.staff("view_schemamigration", "view_schemamigrationevent")
    site.write(f"{NAME}.sql", "-- lock-timeout: 50ms\nALTER TABLE people ADD COLUMN name text;\n")
    brief = override_settings(SQLMIGRATIONS={**settings.SQLMIGRATIONS, "LOCK_ATTEMPTS": 2})
    with brief, overheard(vault.search):
        words = f"ALTER ROLE postgres PASSWORD '{ROLE}' VALID UNTIL 'infinity' /* {COMMENT} */"
        other = Other(site.database, "LOCK TABLE people", words, f'SELECT 1 AS "{DSN}", $${LINK}$$')
        assert vault.run("blocked", "sqlmigrate_apply", "--traceback", verbosity=3) == 1
        vault.look("blocked", client)
        other.run("ROLLBACK")
        other.run("BEGIN")
        other.run(f"SELECT pg_advisory_xact_lock({LOCK.value}), '{DSN}'")
        waiting = ("sqlmigrate_apply", "--lock-wait", "0")
        assert vault.run("locked out", *waiting, verbosity=3) == 5
        other.leave()

    assert "people" in "".join(vault.search.told["blocked: stderr"])
    assert vault.search.leaks() == set()


def test_f69_who_may_see_sql_sees_it_without_the_passwords(vault: Vault, office: Office) -> None:
    site, search = vault.site, vault.search
    root = office.superuser()
    for what in ("syntax", "comments", "statement by statement", "build on duplicates"):
        site.write(f"{NAME}.sql", FAILING[what][1])
        vault.run(what, "sqlmigrate_apply")
        vault.look(what, root)
        forget(site)
    site.write("002_applied.sql", f"-- ALTER ROLE r PASSWORD '{COMMENT}';\nCREATE TABLE b (id int);\n")
    site.write("003_applied.sql", f"CREATE TABLE c (id int); -- {DSN}\n")
    site.write("003_applied.down.sql", "DROP TABLE c;\n")
    site.write("004_applied.sql", f"CREATE TABLE d (id int, kind text DEFAULT '{ROW}');\n")
    site.remove(f"{NAME}.sql")
    assert vault.run("applied", "sqlmigrate_apply") == 0
    vault.look("applied", root)
    kept = site.query("SELECT m.name FROM schema_migrations m JOIN schema_migration_texts t USING (checksum)")
    for name in ("002_applied", "003_applied", "004_applied"):
        search.hear(f"page of {name}", shown := office.open(root, name))
        assert "CREATE TABLE" in shown
        site.write(f"{name}.sql", f"SELECT 1; -- {DSN} password={LINK}1\n")
        vault.run(f"changed {name}", "sqlmigrate_status", verbosity=3)
        accept = ("sqlmigrate_repair", "accept", "project", name[:3], "--reason", "w", "--noinput")
        assert vault.run(f"repaired {name}", *accept) == 0
        search.hear(f"page of changed {name}", office.open(root, name))
    vault.look("changed", root)

    # What a file writes into a table is no password: who may see its SQL sees that, and so does its text.
    assert {secret for _, secret in search.leaks()} == {ROW}
    assert {name for (name,) in kept} >= {"001_people", "004_applied"}
    assert not {name for (name,) in kept} & {"002_applied", "003_applied"}


@pytest.mark.parametrize("atomic", [True, False])
def test_f69_no_secret_is_told_by_a_migration_of_djangos(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "PASSWORD", DSN)
    vault = Vault(shop)
    with shop.configured(), overheard(vault.search):
        shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", atomic=atomic, down=FAILING["comments"][1])
        assert vault.run("up", "migrate", "shop", verbosity=3) == 0
        assert vault.run("down", "migrate", "shop", "zero", verbosity=3, traceback=True) == 1
        for what in ("syntax", "cast", "do", "unterminated", "directive nearly", "database of a password"):
            shop.wrap("0002", NAME, FAILING[what][1], atomic=atomic)
            code = FAILING[what][0]
            assert vault.run(what, "migrate", "shop", verbosity=3, traceback=True) == code, what
            vault.run(what, "migrate", "shop", "--plan")
            vault.run(what, "sqlmigrate_status", verbosity=3)
        vault.search.hear("events", *shop.query("SELECT to_jsonb(e) FROM schema_migration_events e"))

    assert vault.search.leaks() == set()


def test_f69_the_hook_of_pre_commit_tells_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = Search()
    for what, (_, sql) in FAILING.items():
        (tmp_path / f"{NAME}.sql").write_text(sql)
        main([str(tmp_path / f"{NAME}.sql")])
        search.hear(what, *capsys.readouterr())

    # It knows of no database and so of none of its secrets; those of the files it has to see for itself.
    assert {secret for _, secret in search.leaks()} <= {DSN}


@pytest.fixture(scope="module")
def guarded() -> Iterator[dict[str, Any]]:
    """The settings of a database on a server that asks for passwords."""
    with lend_server() as server:
        connection = psycopg2.connect(socket_url(server, "postgres"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE guarded LOGIN PASSWORD 'another-0ne'")
        connection.close()
        yield {"HOST": str(server.enter()), "PORT": str(server.port), "USER": "guarded", "NAME": "postgres"}


PLAIN = {"ENGINE": "django.db.backends.postgresql", "PASSWORD": ""}
UNREACHABLE: dict[str, dict[str, Any]] = {
    "wrong password": {"PASSWORD": DSN},
    "wrong password in the options": {"OPTIONS": {"password": OPTION}},
    "wrong password in the environment": {"ENV": {"PGPASSWORD": SURROUNDINGS}},
    "wrong password in a file": {"OPTIONS": {"passfile": "passfile"}},
    "wrong password of a service": {"HOST": "", "NAME": "", "USER": "", "PORT": "", "OPTIONS": {"service": "site"}},
    "no such service": {"PASSWORD": DSN, "OPTIONS": {"service": "nosuch"}},
    "no such host": {"HOST": "nosuch.invalid", "PASSWORD": DSN},
    "nobody there": {"HOST": "127.0.0.1", "PORT": "1", "PASSWORD": DSN},
    "no such database": {"USER": "postgres", "NAME": "nosuch", "PASSWORD": DSN},
    "no such sslmode": {"PASSWORD": DSN, "OPTIONS": {"sslmode": "nonsense"}},
    "no such certificate": {"PASSWORD": DSN, "OPTIONS": {"sslmode": "verify-full", "sslrootcert": "/nosuch"}},
    "no number of a port": {"PORT": "54x", "PASSWORD": DSN},
    "no such setting": {"USER": "postgres", "PASSWORD": DSN, "OPTIONS": {"options": f"-c nosuch_token={SESSION}"}},
    "no such value": {
        "USER": "postgres",
        "PASSWORD": DSN,
        "OPTIONS": {"options": f"-c statement_timeout={DSN} -c a.key={SESSION}"},
    },
    "no such option": {"PASSWORD": DSN, "OPTIONS": {"password": OPTION, "nosuch": "x"}},
    "an address as the name": {"NAME": f"postgresql://ann:{LINK}@[::1/shop"},
    "an address that is quoted": {"NAME": f"postgresql://ann:{quote(DSN)}@127.0.0.1:1/shop", "PASSWORD": DSN},
    "a connection string as the name": {"NAME": f"host=::: password={LINK} sslmode"},
    "no name": {"NAME": "", "PASSWORD": DSN},
    "no such engine": {"ENGINE": "no.such.engine", "PASSWORD": DSN},
}


MISCONFIGURED = ("no name", "no such engine")
COMMANDS = (
    ("sqlmigrate_apply", "--traceback"),
    ("sqlmigrate_apply", "--format", "json"),
    ("sqlmigrate_status",),
    ("sqlmigrate_repair", "forget", "project", "1", "--reason", "why", "--noinput"),
)


def test_f68_whatever_is_wrong_with_the_address_no_password_is_told(
    office: Office, guarded: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vault, ended = Vault(office.site), {}
    office.site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert vault.run("preparation", "sqlmigrate_apply") == 0
    root = office.superuser()
    (tmp_path / "passfile").write_text(f"*:*:*:*:{ROLE}\n")
    (tmp_path / "passfile").chmod(0o600)
    address = "".join(f"{key}={guarded[name]}\n" for key, name in (("host", "HOST"), ("port", "PORT")))
    (tmp_path / "services").write_text(f"[site]\n{address}user=guarded\ndbname=postgres\npassword={COMMENT}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    ask = RequestFactory().get("/health")
    with overheard(vault.search):
        for what, changes in UNREACHABLE.items():
            with monkeypatch.context() as patch:
                for name, value in changes.get("ENV", {}).items():
                    patch.setenv(name, value)
                entry = copy.deepcopy(connections.settings["default"]) | guarded | PLAIN | changes
                patch.setitem(connections.settings, "broken", entry)
                ended[what] = {vault.run(what, *command, database="broken", verbosity=3) for command in COMMANDS}
                if "ENGINE" not in changes and changes.get("NAME") != "":
                    vault.run(what, "check", "--database", "broken")
                    vault.search.hear(f"{what}: page", root.get(f"{LEDGER}status/").content.decode())
                    health = HealthView.as_view(databases=["broken"])(ask)
                    vault.search.hear(f"{what}: health", health.content.decode())
                    assert health.status_code == 503, what
                if hasattr(connections._connections, "broken"):  # type: ignore[attr-defined]
                    connections["broken"].close()
                    del connections["broken"]

    assert vault.search.leaks() == set()
    assert ended == {what: {2 if what in MISCONFIGURED else 9} for what in UNREACHABLE}
