"""What the tests of faults share: a site that can be made to fail, a gate in its files, roles, and waiting."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from project.embedded.cluster import wait_until
from sqlmigrations.backends.locking import LockKey
from tests import forkserver
from tests.servers import Database
from tests.site import Site

# What has to come comes in a moment; but not on a machine that has other things to do.
PATIENCE_S = 60
LOCK = LockKey.of("public")
GATE = 4_242

# A file waits here for as long as a test holds the gate shut: with the first line at its top, where it counts.
PATIENTLY = "-- lock-timeout: 60s\n"
THROUGH_THE_GATE = f"SELECT pg_advisory_xact_lock({GATE});\n"
AT_THE_GATE = PATIENTLY + THROUGH_THE_GATE


def until(condition: Callable[[], object]) -> None:
    """Waits for a condition that has to come true."""
    assert wait_until(lambda: bool(condition()), PATIENCE_S)


@dataclass(frozen=True)
class FaultySite(Site):
    """A site whose processes take faults from their environment."""

    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().environment({"DJANGO_SETTINGS_MODULE": "tests.faults.settings", **(env or {})})

    def apply(self, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("sqlmigrate_apply", *options, env=env)

    def start_apply(self, *options: str, **env: str) -> subprocess.Popen[str]:
        self.started.append(self.start("sqlmigrate_apply", *options, env=env))
        return self.started[-1]

    def end_processes(self) -> None:
        """Whatever a failed test left running."""
        for process in self.started:
            process.kill()
            if process.stdout and not process.stdout.closed:
                process.communicate()
            process.wait()

    def python(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs code in a process in which the site's Django is set up."""
        words = ["-c", f"import django\ndjango.setup()\n{code}"]
        # Long, for what is measured on a machine that does other things as well.
        return forkserver.run(words, self.folder, self.environment(env), timeout=600)

    @property
    def writing_down(self) -> dict[str, str]:
        """Makes a process write down what ``told`` reads."""
        return {"FAULT": "write_down_what_is_told", "BOOK": str(self.folder / "told.jsonl")}

    def told(self, what: str) -> list[dict[str, Any]]:
        """What a process told by signals: ``watched`` or ``retrying``."""
        book = self.folder / "told.jsonl"
        lines = book.read_text().splitlines() if book.exists() else []
        return [told for told in map(json.loads, lines) if told["told"] == what]

    def names(self) -> list[str]:
        """What is recorded as applied, in order, without the file of the tracking tables."""
        return [row["name"] for row in self.ledger() if row["label"] == "project" and row["state"] == "applied"]

    def recorded(self) -> list[tuple[str, str]]:
        """Name and state of every row, whatever its state."""
        return [(row["name"], row["state"]) for row in self.ledger() if row["label"] == "project"]

    def events(self, event: str) -> list[dict[str, Any]]:
        rows = self.query(
            "SELECT to_jsonb(e) FROM public.schema_migration_events e WHERE event = %s ORDER BY id", event
        )
        return [row for (row,) in rows]

    def has(self, relation: str) -> bool:
        return self.query("SELECT to_regclass(%s) IS NOT NULL", relation) == [(True,)]

    def sessions(self, application: str) -> list[int]:
        """The server processes of runners here: ``sqlmigrations`` work, ``sqlmigrations lock`` hold the lock."""
        rows = self.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s",
            application,
        )
        return [pid for (pid,) in rows]

    def terminate(self, application: str) -> None:
        """Ends the one session of that name and waits until it is gone."""
        (pid,) = self.sessions(application)
        self.query("SELECT pg_terminate_backend(%s)", pid)
        until(lambda: not self.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))

    def holders(self) -> list[int]:
        """Who holds the migration lock."""
        rows = self.query(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = %s::oid "
            "AND objid = %s::oid AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            LOCK.classid,
            LOCK.objid,
        )
        return [pid for (pid,) in rows]


class Gate:
    """An advisory lock of the test's that files wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection = database.connect()
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_lock({GATE})")

    def waiting(self) -> list[int]:
        """The server processes that wait at it."""
        rows = self._database.query(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            GATE,
        )
        return [pid for (pid,) in rows]

    def await_somebody(self) -> int:
        until(self.waiting)
        return self.waiting()[0]

    def open(self) -> None:
        self._connection.close()


@contextmanager
def shut_gate(database: Database) -> Iterator[Gate]:
    gate = Gate(database)
    try:
        yield gate
    finally:
        gate.open()


class Other:
    """A session of somebody else's, in a transaction that holds what the test has it lock."""

    def __init__(self, database: Database, *statements: str, application: str = "web") -> None:
        self._connection = database.connect(application_name=application)
        self.pid: int = self._connection.info.backend_pid
        self.run("BEGIN")
        for statement in statements:
            self.run(statement)

    def run(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def leave(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Role:
    """A login role of the test's."""

    name: str
    database: Database

    @property
    def url(self) -> str:
        parts = urlsplit(self.database.url)
        return parts._replace(netloc=f"{self.name}@{parts.netloc.rpartition('@')[2]}").geturl()


@contextmanager
def lend_role(database: Database) -> Iterator[Role]:
    role = Role(f"r_{uuid.uuid4().hex[:12]}", database)
    database.query(f"CREATE ROLE {role.name} LOGIN")
    try:
        yield role
    finally:
        database.query(f"DROP OWNED BY {role.name} CASCADE")
        database.query(f"DROP ROLE {role.name}")


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Waits for a started command."""
    out, err = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def database_json(**settings: object) -> str:
    """For the variable that completes the site's entry of DATABASES."""
    return json.dumps(settings)
