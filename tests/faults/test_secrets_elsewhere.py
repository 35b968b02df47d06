"""Known secrets where nobody thinks of them: what other sessions see of ours, the server's log, and skeletons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sqlmigrations import signals
from tests.faults.scene import Role, until
from tests.faults.vault import (
    COMMENT,
    DSN,
    LINK,
    NAME,
    ROLE,
    SECRETS,
    SESSION,
    SURROUNDINGS,
    Vault,
    furnish,
    overheard,
)
from tests.office import Office

SECRET = f"SELECT '{DSN}', '{SURROUNDINGS}', '{SESSION}' /* password={COMMENT} */\n"
FAILS = f"ALTER ROLE nosuch PASSWORD '{ROLE}' /* postgresql://u:{LINK}@h */\n"
HEAD = f"-- irreversible: password={LINK}\n-- allow: drop-column password={LINK}\n"
FILES = {
    "002_applied": f"{HEAD}{SECRET};",
    NAME: f"{SECRET};\n{FAILS};",
}
_ENTRY = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)
_SENT = re.compile(r"\] (?:LOG:  (?:statement|execute [^:]*):|DETAIL:  [Pp]arameters:)")


@pytest.fixture
def vault(office: Office, monkeypatch: pytest.MonkeyPatch) -> Vault:
    return furnish(office.site, monkeypatch)


def run_everything(vault: Vault) -> None:
    for name, sql in FILES.items():
        vault.site.write(f"{name}.sql", sql)
    assert vault.run("apply", "sqlmigrate_apply", verbosity=3) == 1
    vault.site.write(f"{NAME}.sql", f"-- transaction: off\nCREATE TABLE half (id int);\n{FAILS};")
    assert vault.run("stopped", "sqlmigrate_apply", verbosity=3) == 7
    vault.site.write("002_applied.sql", f"{HEAD}{SECRET}, 1;")
    accept = ("sqlmigrate_repair", "accept", "project", "2", "--reason", "why", "--noinput")
    assert vault.run("accept", *accept, traceback=True) == 0


def test_f69_of_all_that_we_send_only_the_statements_of_files_hold_secrets(vault: Vault) -> None:
    ((data,),) = vault.site.query("SHOW data_directory")
    log = Path(data).parent / "log"
    if not log.exists():
        pytest.skip("the server keeps its log elsewhere")
    vault.site.query(f"ALTER DATABASE {vault.site.database.name} SET log_statement = 'all'")
    begin = log.stat().st_size

    run_everything(vault)
    vault.site.query("SELECT 'all is written'")

    def sent() -> list[str]:
        entries = map(_SENT.split, _ENTRY.split(log.read_bytes()[begin:].decode()))
        return [entry[1].strip() for entry in entries if len(entry) > 1]

    until(lambda: any("all is written" in entry for entry in sent()))
    ours = [entry for entry in sent() if not entry.startswith((SECRET.strip(), FAILS.strip()))]
    assert sum("schema_migration_events" in entry for entry in ours) > 5
    assert [entry for entry in ours if any(secret in entry for secret in SECRETS)] == []


def test_f69_other_roles_see_nothing_of_our_sessions_but_their_names(vault: Vault, role: Role) -> None:
    other = vault.site.database.connect(application_name="other")
    with other.cursor() as cursor:
        cursor.execute(f"SET ROLE {role.name}")
    seen: list[dict[str, Any]] = []

    def look(**_: object) -> None:
        with other.cursor() as cursor:
            cursor.execute("SELECT to_jsonb(a) FROM pg_stat_activity a WHERE datname = current_database()")
            seen.extend(row for (row,) in cursor.fetchall() if row["application_name"] != "other")

    doors = [signals.migration_started, signals.migration_finished, signals.run_finished]
    for door in doors:
        door.connect(look)
    try:
        with overheard(vault.search):
            run_everything(vault)
    finally:
        for door in doors:
            door.disconnect(look)

    assert {"sqlmigrations", "sqlmigrations lock"} <= {row["application_name"] for row in seen}
    assert {row["query"] for row in seen} == {"<insufficient privilege>"}
    assert not any(secret in str(seen) for secret in SECRETS)
    assert vault.search.leaks() == set()


def test_f69_a_skeleton_and_what_is_said_of_it_hold_no_secret(vault: Vault) -> None:
    search, site = vault.search, vault.site
    for name, sql in FILES.items():
        site.write(f"{name}.sql", sql)
    with overheard(search):
        for form in ("text", "json"):
            for where in (
                ("project", "next"),
                ("nosuch", "next"),
                ("project", "!"),
                ("project", "next", "--django=no"),
            ):
                vault.run(f"new {where}", "sqlmigrate_new", *where, "--down", "--format", form, traceback=True)
        vault.run("another database", "sqlmigrate_new", "project", "next", "--database", "nosuch", traceback=True)
    written = sorted(path for path in site.migrations.iterdir() if "next" in path.name)
    search.hear("skeleton", *(path.read_text() for path in written))

    assert [path.name for path in written] == [
        f"{number:03}_next{kind}" for number in (8, 9) for kind in (".down.sql", ".sql")
    ]
    assert search.leaks() == set()
