"""A PostgreSQL cluster on disk: made, started, looked up and stopped; who uses it is not its business."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from project.embedded.account import Account, choose

SUPERUSER = "postgres"
PORT = "5432"
# Bytes of a socket's path: 107 on Linux, 103 on macOS.
LONGEST_SOCKET = 103
SECONDS_TO_START = 60.0
SECONDS_TO_RECOVER = 15.0
SECONDS_TO_STOP = 30.0
INITDB = (
    f"--username={SUPERUSER}",
    "--auth=trust",  # the socket's folder is private, there is no other way in
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
)


class ClusterError(Exception):
    """The server could not be made or started; the message holds what it said."""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Cluster:
    """The files below one folder: ``data``, owned by the server's user, and ``log``."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self._binaries = binaries

    def _account(self, *more: Path) -> Account:
        programs = [self._binaries / "postgres", self._binaries / "initdb", self._binaries.parent / "share"]
        needed = [path.resolve() for path in (self.folder, *programs, *more) if path.exists()]
        return choose(self.data, needed)

    def create(self) -> None:
        """Make the cluster unless it exists; a half-made one from a killed run never takes its name."""
        if self.data.exists():
            return
        unfinished = self.folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        account = self._account()
        account.own(unfinished)
        command, options = account.command(self._binaries / "initdb", "--pgdata", unfinished, *INITDB)
        made = subprocess.run(command, capture_output=True, text=True, env=_environment(), cwd="/", **options)
        if made.returncode:
            raise ClusterError(f"initdb failed:\n{made.stderr or made.stdout}")
        unfinished.rename(self.data)

    def start(self, settings: list[str]) -> subprocess.Popen[bytes]:
        """Start the server and return when it takes connections."""
        crashed = self._pid_file() != []
        deadline = time.monotonic() + (SECONDS_TO_RECOVER if crashed else 0)
        while True:
            self._forget_dead_server()
            try:
                return self._start_once(settings)
            except ClusterError:
                # The processes of a killed server take a moment to notice that it is gone.
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.1)

    def _start_once(self, settings: list[str]) -> subprocess.Popen[bytes]:
        sockets = self._socket_folder()
        account = self._account(sockets.parent)
        if sockets != self.data:
            account.own(sockets)
        given = [word for setting in ["listen_addresses=", *settings] for word in ("-c", setting)]
        command, options = account.command(
            self._binaries / "postgres", "-D", self.data, "-k", sockets, "-p", PORT, *given
        )
        with self.log.open("ab") as log:
            begin = log.tell()
            server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                start_new_session=True,
                **options,
            )
        wait_until(lambda: server.poll() is not None or self._is_ready(server.pid), SECONDS_TO_START)
        if not self._is_ready(server.pid):
            server.kill()
            server.wait()
            self.remove_sockets(sockets)
            said = self.log.read_bytes()[begin:].decode(errors="replace")
            raise ClusterError(f"postgres did not start:\n{said}")
        return server

    def _socket_folder(self) -> Path:
        """The data folder, or a private temporary one where sockets or libpq do not take that path."""
        longest = len(os.fsencode(self.data / f".s.PGSQL.{PORT}"))
        if longest <= LONGEST_SOCKET and "," not in str(self.data):
            return self.data
        for parent in (tempfile.gettempdir(), "/tmp"):
            if len(os.fsencode(parent)) < LONGEST_SOCKET - 40 and "," not in parent:
                return Path(tempfile.mkdtemp(prefix="postgres-", dir=parent))
        raise ClusterError(f"No room for a socket: {self.data} and {tempfile.gettempdir()} are too long.")

    def remove_sockets(self, folder: Path) -> None:
        """Remove a socket folder that was made for one run of the server."""
        if folder != self.data:
            shutil.rmtree(folder, ignore_errors=True)

    def _pid_file(self) -> list[str]:
        """Lines of ``postmaster.pid``: pid, data folder, start time, port, socket folder, ..., state."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _is_ready(self, pid: int) -> bool:
        return self.pid == pid and self._state == "ready"

    def _is_stopping(self) -> bool:
        """Whether it still listens, and only to refuse whoever connects."""
        pid = self.pid
        return pid is not None and self._state == "stopping" and self.is_server(pid)

    @property
    def _state(self) -> str:
        lines = self._pid_file()
        return lines[7].strip() if len(lines) > 7 else ""

    @property
    def pid(self) -> int | None:
        """Process id of the server, as its own pid file has it; of a killed one it stays there."""
        lines = self._pid_file()
        return int(lines[0]) if lines else None

    @property
    def sockets(self) -> Path:
        """The folder the server's socket lies in."""
        lines = self._pid_file()
        return Path(lines[4]) if len(lines) > 4 else self.data

    def answers(self) -> bool:
        """Whether a server listens, asked without trusting any pid; the end of one that is stopping is waited for."""
        wait_until(lambda: not self._is_stopping(), SECONDS_TO_STOP)
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.sockets / f".s.PGSQL.{PORT}"))
            except OSError:
                return False
        return True

    def stop(self, pid: int) -> None:
        """End the server in good order, and if it will not, at once; return when it is gone."""
        for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                return
            if wait_until(lambda: self.pid != pid, SECONDS_TO_STOP):
                break
        wait_until(lambda: not _is_alive(pid), 1.0)

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a killed server whose number is a zombie's or another program's by now.

        PostgreSQL does so itself for a number that is free; a number in use makes it refuse to start. The
        shared memory segment still keeps two servers off one folder.
        """
        pid = self.pid
        if pid is not None and not self.is_server(pid):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def is_server(self, pid: int) -> bool:
        """Whether that process is the server of this folder, as far as the system lets us look."""
        if not Path("/proc/self/cmdline").exists():
            return _is_alive(pid)
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return os.fsencode(self.data) in words


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
