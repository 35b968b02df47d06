"""The one server all contestants meet on: empty databases, and what a process costs the server beside itself."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import psycopg2

from benchmarks.backends import Backends, private_mb
from benchmarks.process import Invocation, Measured, measure
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

    @property
    def url(self) -> str:
        """For what takes no other form; ``postgresql`` may have to be followed by the name of a driver."""
        return f"postgresql://{self.user}@/{self.database}?host={self.host}&port={self.port}"


class Arena:
    """A server of its own in a temporary folder, gone with the block that opened it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._host = str(server.enter())
        if server.pid is None:
            raise RuntimeError("the server of the benchmarks has no pid")
        self._backends = Backends(server.pid)

    @contextmanager
    def database(self) -> Iterator[Address]:
        """An empty database; the server is left with nothing to write when it is handed out."""
        name = f"b_{uuid.uuid4().hex[:12]}"
        self._administer(f"CREATE DATABASE {name}", "CHECKPOINT")
        try:
            yield self._address(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, invocation: Invocation, database: Address, limit_s: float = 600) -> Measured:
        """Run a process that works on a database, and look at the server's side as well.

        Raises:
            RunFailed: It ended with another code than 0.
            TookTooLong: It was ended because its time was up.
        """
        with self._backends.watched(database.database) as spent:
            measured = measure(invocation, limit_s)
        beyond_idle = max(0.0, spent.peak_mb - self._idle_mb)
        return replace(measured, server_cpu_seconds=spent.cpu_seconds, server_peak_mb=beyond_idle)

    def version(self) -> str:
        """The server's."""
        return str(query(self._address("postgres"), "SHOW server_version").split()[0])

    @cached_property
    def _idle_mb(self) -> float:
        where = self._address("postgres")
        connection = psycopg2.connect(host=where.host, port=where.port, user=where.user, dbname=where.database)
        try:
            return private_mb(connection.info.backend_pid)
        finally:
            connection.close()

    def _address(self, name: str) -> Address:
        return Address(self._host, self._server.port, self._server.user, name)

    def _administer(self, *statements: str) -> None:
        for statement in statements:
            query(self._address("postgres"), statement)


@contextmanager
def open_arena(*settings: str) -> Iterator[Arena]:
    """Start the server, with PostgreSQL's own settings but for these (``name=value``), and stop it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sqlmigrations-arena-"))
    folder.chmod(0o755)  # so that root's server, which runs as another user, reaches its data
    server = Server(folder, settings)
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
