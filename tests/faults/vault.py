"""A site whose settings, environment and rows hold known secrets, and the search of all that is told about it."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.migrations.exceptions import IrreversibleError
from django.test import Client

from sqlmigrations import signals
from tests.inprocess import LocalSite
from tests.office import EVENTS, LEDGER

# One for each place, so that a leak tells where it comes from.
DSN = "dsn-Hunter2+plus"
OPTION = "option-0pen&sesame"
SURROUNDINGS = "environment-Shibb0leth"
SESSION = "session-t0ken"
ROLE = "role-Tr0ub4dor"
LINK = "link-Mell0n"
COMMENT = "comment-Xyzzy"
ROW = "row-ada@example.org"
SECRETS = (DSN, OPTION, SURROUNDINGS, SESSION, ROLE, LINK, COMMENT, ROW)
NAME = "007_secret"


@dataclass
class Search:
    """Everything that was told, by where it was told."""

    told: dict[str, list[str]] = field(default_factory=dict)

    def hear(self, where: str, *texts: object) -> None:
        self.told.setdefault(where, []).extend(map(str, texts))

    def leaks(self) -> set[tuple[str, str]]:
        found = set()
        for where, texts in self.told.items():
            for secret in SECRETS:
                if any(spelling in text for text in texts for spelling in (secret, quote(secret), secret[2:-2])):
                    found.add((where, secret))
        return found


class Everything(logging.Handler):
    """Hears every record of every logger, with its extra fields and its traceback."""

    def __init__(self, search: Search) -> None:
        super().__init__(logging.DEBUG)
        self.search = search

    def emit(self, record: logging.LogRecord) -> None:
        self.search.hear(f"log {record.name}", self.format(record), vars(record))


@contextmanager
def overheard(search: Search) -> Iterator[None]:
    """A block in which all logs and signals are heard."""
    handler, loggers = Everything(search), [logging.getLogger(name) for name in (None, "sqlmigrations", "django")]
    levels = [logger.level for logger in loggers]

    def hear(signal: Any, **told: Any) -> None:
        search.hear("signal", {name: value for name, value in told.items() if name != "sender"})

    doors = [door for door in vars(signals).values() if isinstance(door, signals.Signal)]
    with ExitStack() as stack:
        for logger, level in zip(loggers, levels, strict=True):
            logger.addHandler(handler)
            logger.setLevel(logging.DEBUG)
            stack.callback(logger.setLevel, level)
            stack.callback(logger.removeHandler, handler)
        for door in doors:
            door.connect(hear)
            stack.callback(door.disconnect, hear)
        yield


@dataclass
class Vault:
    """A site whose settings, environment and rows hold secrets."""

    site: LocalSite
    search: Search = field(default_factory=Search)
    met: type[BaseException] | None = None

    def run(self, what: str, *arguments: str, **options: Any) -> int:
        """Runs a command as the command line does, and hears what it says and what it raises."""
        stdout, stderr, self.met = io.StringIO(), io.StringIO(), None
        try:
            call_command(*arguments, stdout=stdout, stderr=stderr, **options)
        except (CommandError, IrreversibleError) as error:
            # Only some tell the error of ours that it came from: with --traceback, and those of migrate.
            code, cause = getattr(error, "returncode", 1), error.__cause__
            self.met = type(cause) if cause else None
            self.search.hear(f"{what}: traceback", *traceback.format_exception(error))
        except SystemExit as error:
            code = int(error.code or 0)
        else:
            code = 0
        self.search.hear(f"{what}: stdout", stdout.getvalue())
        self.search.hear(f"{what}: stderr", stderr.getvalue())
        return code

    def run_all(self, what: str) -> set[int]:
        """Every command at every verbosity that tells more, in text and in JSON; the exit codes of apply."""
        codes = {self.run(what, "sqlmigrate_apply", "--traceback", verbosity=3)}
        codes.add(self.run(what, "sqlmigrate_apply", "--format", "json"))
        for arguments in (
            ("sqlmigrate_apply", "--plan"),
            ("sqlmigrate_status", "-v", "3"),
            ("sqlmigrate_status", "--check", "--format", "json"),
            ("check", "--database", "default"),
        ):
            self.run(what, *arguments)
        return codes

    def look(self, what: str, client: Client) -> None:
        """Reads every page that the admin has, and the tables."""
        paths = [LEDGER, f"{LEDGER}status/", EVENTS, f"{LEDGER}status/?database=default"]
        query = self.site.query
        paths += [f"{LEDGER}{id}/change/" for (id,) in query("SELECT id FROM schema_migrations WHERE name = %s", NAME)]
        newest = "SELECT id FROM schema_migration_events WHERE name = %s ORDER BY id DESC LIMIT 3"
        paths += [f"{EVENTS}{id}/change/" for (id,) in query(newest, NAME)]
        for path in paths:
            answer = client.get(path)
            self.search.hear(f"{what}: page {path}", answer.content.decode())
        for table in ("schema_migrations", "schema_migration_events", "schema_migration_texts"):
            self.search.hear(f"{what}: {table}", *query(f"SELECT to_jsonb(t) FROM {table} t"))


def furnish(site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Puts the secrets in their places, and a table of people beside them."""
    made = connections["default"].settings_dict
    monkeypatch.setitem(made, "PASSWORD", DSN)
    monkeypatch.setitem(made, "OPTIONS", {**made["OPTIONS"], "options": f"-c app.api_token={SESSION}"})
    monkeypatch.setenv("PGPASSWORD", SURROUNDINGS)
    connections["default"].close()
    site.write("001_people.sql", "CREATE TABLE people (id int NOT NULL, email text);\n")
    vault = Vault(site)
    assert vault.run("preparation", "sqlmigrate_apply") == 0
    site.database.psql(f"INSERT INTO people VALUES (1, '{ROW}'), (2, '{ROW}'), (3, null)")
    return vault


def forget(site: LocalSite) -> None:
    """Takes away what a failed file has left."""
    site.database.psql(
        f"DELETE FROM schema_migrations WHERE name = '{NAME}'; DELETE FROM schema_migration_events;"
        "DROP TABLE IF EXISTS half; DROP INDEX IF EXISTS people_email;"
    )
