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


@contextmanager
def lend_standby(primary: Server) -> Iterator[str]:
    """The URL of a hot standby, made by pg_basebackup."""
    with lend_folder() as folder:
        data = folder / "data"
        data.mkdir(mode=0o700)
        account = choose(data, [programs() / "postgres", folder])
        sockets = folder / "sockets"
        sockets.mkdir(mode=0o700)
        for path in (data, sockets):
            account.own(path)
        source = socket_url(primary, "postgres")
        copy, options = account.command(programs() / "pg_basebackup", "-D", data, "-R", "-c", "fast", "-d", source)
        subprocess.run(copy, check=True, capture_output=True, cwd="/", **options)
        start, options = account.command(
            *(programs() / "postgres", "-D", data, "-k", sockets, "-p", "5432"),
            *("-c", "listen_addresses=", "-c", f"hba_file={primary.folder / 'access.conf'}"),
        )
        log = (folder / "log").open("wb")
        standby = subprocess.Popen(start, stdout=log, stderr=log, cwd="/", **options)
        try:
            url = f"postgresql://postgres@{str(sockets).replace('/', '%2f')}:5432/postgres"
            until(lambda: standby.poll() is not None or answers(url))
            assert standby.poll() is None, (folder / "log").read_text()
            yield url
        finally:
            standby.terminate()
            standby.wait(PATIENCE_S)
            log.close()


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
