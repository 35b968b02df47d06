"""Servers that a test has for itself: one that asks for passwords and can be stopped or crash, and a standby of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from project.embedded.account import choose
from project.embedded.server import Server
from tests.faults.scene import PATIENCE_S, FaultySite, until
from tests.programs import make_server, programs
from tests.servers import Database, lend_database, socket_url

_ACCESS = "local all postgres trust\nlocal replication postgres trust\nlocal all all scram-sha-256\n"


@contextmanager
def lend_folder() -> Iterator[Path]:
    """Short enough for a socket, open to the user that a server of root's runs as."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lend_server(*settings: str) -> Iterator[Server]:
    """Runs when entered, with these settings; everybody but the superuser needs a password."""
    with lend_folder() as folder:
        access = folder / "access.conf"
        access.write_text(_ACCESS)
        access.chmod(0o644)
        server = make_server(folder, "fsync=off", f"hba_file={access}", *settings)
        try:
            yield server
        finally:
            server.leave()


class Standby:
    """A hot standby, made by pg_basebackup; synchronous where the primary calls it ``standby``."""

    def __init__(self, primary: Server, folder: Path) -> None:
        self._primary, self._folder = primary, folder
        self._sockets, self._data = folder / "sockets", folder / "data"
        for path in (self._sockets, self._data):
            path.mkdir(mode=0o700)
        self._account = choose(self._data, [programs() / "postgres", folder])
        for path in (self._sockets, self._data):
            self._account.own(path)
        self._run("pg_basebackup", "-D", self._data, "-R", "-c", "fast", "-d", socket_url(primary, "postgres"))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@{str(self._sockets).replace('/', '%2f')}:5432/postgres"

    @property
    def database(self) -> Elsewhere:
        return Elsewhere("postgres", self.url)

    def start(self) -> None:
        arguments = ("-D", self._data, "-k", self._sockets, "-p", "5432", "-c", "cluster_name=standby")
        access = ("-c", f"hba_file={self._primary.folder / 'access.conf'}", "-c", "listen_addresses=")
        patience = ("-c", "max_standby_streaming_delay=10s")
        start, options = self._account.command(programs() / "postgres", *arguments, *access, *patience)
        with (self._folder / "log").open("ab") as log:
            process = self._process = subprocess.Popen(start, stdout=log, stderr=log, cwd="/", **options)
        until(lambda: process.poll() is not None or answers(self.url))
        assert process.poll() is None, (self._folder / "log").read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE_S)
            self._process = None

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-w", "-D", self._data)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command, options = self._account.command(programs() / program, *arguments)
        subprocess.run(command, check=True, capture_output=True, cwd="/", **options)


@contextmanager
def lend_standby(primary: Server) -> Iterator[Standby]:
    """One that runs."""
    with lend_folder() as folder:
        standby = Standby(primary, folder)
        try:
            standby.start()
            yield standby
        finally:
            standby.stop()


@dataclass(frozen=True)
class Elsewhere(Database):
    """A database that is not on the session's server."""

    address: str = ""

    @property
    def url(self) -> str:
        return self.address


@contextmanager
def lend_elsewhere(server: Server) -> Iterator[Elsewhere]:
    """An empty database on a server of the test's own, which has to run again at the end."""
    administration = Elsewhere("postgres", socket_url(server, "postgres"))
    name = f"t_{uuid.uuid4().hex[:12]}"
    administration.query(f"CREATE DATABASE {name}")
    try:
        yield Elsewhere(name, socket_url(server, name))
    finally:
        administration.query(f"DROP DATABASE {name} WITH (FORCE)")


def crash(server: Server) -> None:
    """As ``pg_ctl stop -m immediate``; returns when it is gone."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)
    until(lambda: not Path(f"/proc/{server.pid}").exists())


def start_again(server: Server) -> None:
    server.revive(server.pid)


def answers(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        time.sleep(0.05)
        return False
    return True


@contextmanager
def lend_site(folder: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> Iterator[FaultySite]:
    """A site on a server of its own that has these settings."""
    with lend_server(*settings) as server:
        monkeypatch.setenv("DATABASE_URL", socket_url(server, "postgres"))
        with lend_database() as database:
            made = FaultySite(folder, database)
            made.migrations.mkdir()
            yield made
            made.end_processes()
