"""A PgBouncer of a test's own before the session's server; the one of the system is never touched."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg2
import pytest

from tests.faults.own import answers, lend_folder
from tests.faults.scene import PATIENCE_S, until
from tests.servers import Database

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/local/bin")
_PORT = 6432

_SETTINGS = """\
[databases]
* = {server}

[pgbouncer]
listen_port = {port}
unix_socket_dir = {folder}
unix_socket_mode = 0777
auth_type = any
admin_users = postgres
pool_mode = {mode}
default_pool_size = {size}
{more}
"""


@dataclass(frozen=True)
class Bouncer:
    """It listens on a socket in a folder of its own."""

    folder: Path
    user: str

    def url(self, database: Database | str) -> str:
        """The way through it to a database."""
        name = database if isinstance(database, str) else database.name
        host = "".join(
            character if character.isalnum() else f"%{ord(character):02x}" for character in str(self.folder)
        )
        return f"postgresql://{quote(self.user)}@{host}:{_PORT}/{name}"

    def waiting(self) -> int:
        """How many of its clients wait for a connection to the server."""
        with closing(self.connect("pgbouncer")) as console, console.cursor() as cursor:
            cursor.execute("SHOW POOLS")
            column = [each.name for each in cursor.description].index("cl_waiting")
            return sum(row[column] for row in cursor.fetchall())

    def connect(self, database: Database | str) -> Any:
        """A client of it, as an application would be one; in autocommit."""
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        return connection

    def query(self, database: Database, sql: str) -> list[tuple[Any, ...]]:
        """What an application is answered through it."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


@contextmanager
def bouncer_before(
    database: Database, mode: str, size: int, connect_query: str = "", **more: object
) -> Iterator[Bouncer]:
    """Runs while the block is open.

    Args:
        database: Says where the server is.
        mode: ``transaction`` or ``session``.
        size: How many connections to the server there may be for each database and user.
        connect_query: What it sends first on each of them.
        more: Further settings of ``pgbouncer.ini``.
    """
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    with lend_folder() as folder:
        target = urlsplit(database.url)
        ini = folder / "pgbouncer.ini"
        lines = "\n".join(f"{key} = {value}" for key, value in more.items())
        ini.write_text(
            _SETTINGS.format(
                server=_server(target, connect_query), port=_PORT, folder=folder, mode=mode, size=size, more=lines
            )
        )
        ini.chmod(0o600)
        options = _as_somebody(folder, ini)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([PROGRAM, str(ini)], stdout=log, stderr=log, cwd="/", **options)
        bouncer = Bouncer(folder, unquote(target.username or ""))
        try:
            until(lambda: process.poll() is not None or answers(bouncer.url(database)))
            assert process.poll() is None, (folder / "log").read_text()
            yield bouncer
        finally:
            _stop(process)


def _server(target: Any, connect_query: str) -> str:
    # The parser of URLs lowers the case of a host.
    host = unquote(target.netloc.rpartition("@")[2].rpartition(":")[0])
    parts = {"host": host, "port": target.port or 5432, "user": unquote(target.username or "")}
    if connect_query:
        parts["connect_query"] = connect_query
    if target.password:
        parts["password"] = unquote(target.password)
    return " ".join("{}='{}'".format(key, str(value).replace("'", "''")) for key, value in parts.items())


def _as_somebody(*paths: Path) -> dict[str, Any]:
    """PgBouncer refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in paths:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
