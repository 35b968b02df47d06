"""Databases for tests: empty ones on the session's server, gone after the test."""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import connection as Connection

from project.embedded.server import Server
from tests.programs import programs


def socket_url(server: Server, name: str) -> str:
    """The URL of a database behind a socket.

    Parsers of URLs lower the case of a host: all but small letters and digits are written in hexadecimal.
    """
    folder = os.fsencode(server.enter())
    host = re.sub(rb"[^a-z0-9]", lambda byte: b"%%%02x" % byte.group()[0], folder).decode()
    return f"postgresql://{server.user}@{host}:{server.port}/{name}"


def database_url(name: str) -> str:
    """The URL of another database on the session's server."""
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


@dataclass(frozen=True)
class Database:
    """A database of the session's server, named but not connected."""

    name: str

    @property
    def url(self) -> str:
        return database_url(self.name)

    def connect(self, **parameters: Any) -> Connection:
        """A plain psycopg2 connection in autocommit; what the test leaves open ends with the database."""
        connection: Connection = psycopg2.connect(self.url, **parameters)
        connection.autocommit = True
        return connection

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one statement, an empty list where it returns none."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def psql(self, script: str | Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run SQL, or a file of it, by psql that stops at the first error."""
        source = str(script) if isinstance(script, Path) else "-"
        return self.program(
            *("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *options, "-f", source, "-d", self.url),
            stdin=None if isinstance(script, Path) else script,
            check=check,
        )

    def program(
        self, name: str, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's own programs."""
        ended = subprocess.run([str(programs() / name), *arguments], input=stdin or "", capture_output=True, text=True)
        assert not check or ended.returncode == 0, ended.stderr
        return ended


def connected_to(prefix: str) -> int:
    """How many clients databases have whose names begin so; a server process that is about to end is waited for."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(datname, %s) AND backend_type = 'client backend'"
    for _ in range(100):
        if not (count := int(Database("postgres").query(sql, prefix)[0][0])):
            break
        time.sleep(0.05)
    return count


@contextmanager
def lend_database() -> Iterator[Database]:
    """An empty database of its own name, dropped with everybody in it afterwards."""
    administration, database = Database("postgres"), Database(f"t_{uuid.uuid4().hex[:12]}")
    administration.query(f"CREATE DATABASE {database.name}")
    try:
        yield database
    finally:
        administration.query(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")
