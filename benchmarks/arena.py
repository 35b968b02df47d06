"""The one server all contestants meet on: empty databases, processes timed from start to end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from project.embedded.server import Server


@dataclass(frozen=True)
class Address:
    """A database behind a socket."""

    host: str
    port: str
    user: str
    database: str

    @property
    def environment(self) -> dict[str, str]:
        """For every program that speaks through libpq."""
        return {"PGHOST": self.host, "PGPORT": self.port, "PGUSER": self.user, "PGDATABASE": self.database}


@dataclass(frozen=True)
class Invocation:
    """A process to be run: arguments, working directory, what its environment has beside ours."""

    arguments: Sequence[object]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """What one process cost.

    Attributes:
        seconds: Wall clock, start of the process to its end.
        cpu_seconds: User and system time of the process, not of the server.
        peak_mb: Largest resident set.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float


class RunFailed(Exception):
    """A contestant ended with an error, or did not do what it was asked to; the message has its last words."""


class Arena:
    """A server of its own in a temporary folder, gone with the block that opened it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._host = str(server.enter())

    @contextmanager
    def database(self) -> Iterator[Address]:
        """An empty database; the server is left with nothing to write when it is handed out."""
        name = f"b_{uuid.uuid4().hex[:12]}"
        self._administer(f"CREATE DATABASE {name}", "CHECKPOINT")
        try:
            yield Address(self._host, self._server.port, self._server.user, name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def version(self) -> str:
        """The server's."""
        return str(query(self._address("postgres"), "SHOW server_version").split()[0])

    def _address(self, name: str) -> Address:
        return Address(self._host, self._server.port, self._server.user, name)

    def _administer(self, *statements: str) -> None:
        for statement in statements:
            query(self._address("postgres"), statement)


@contextmanager
def open_arena() -> Iterator[Arena]:
    """Start the server, with PostgreSQL's own settings, and stop it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sqlmigrations-arena-"))
    folder.chmod(0o755)  # so that root's server, which runs as another user, reaches its data
    server = Server(folder)
    try:
        yield Arena(server)
    finally:
        server.leave()
        shutil.rmtree(folder, ignore_errors=True)


def query(address: Address, sql: str) -> str:
    """The first value of one statement, as text; empty where it returns none."""
    connection = psycopg2.connect(host=address.host, port=address.port, user=address.user, dbname=address.database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return str(cursor.fetchall()[0][0]) if cursor.description else ""
    finally:
        connection.close()


def measure(invocation: Invocation) -> Measured:
    """Run a process to its end.

    Raises:
        RunFailed: It ended with another code than 0.
    """
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(argument) for argument in invocation.arguments],
            cwd=invocation.folder,
            env={**os.environ, **invocation.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
            raise RunFailed(said[-1] if said else f"exit code {process.returncode}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
