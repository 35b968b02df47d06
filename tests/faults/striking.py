"""What strikes a runner at one of its round trips: its end, that of one of its sessions, or that of the server."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from project.embedded.cluster import Cluster
from project.embedded.server import binaries
from tests.faults.own import lend_folder
from tests.faults.scene import PATIENCE_S
from tests.faults.steps import Line, Moment, SteppingProxy, Trip
from tests.servers import Database

LOCK = "sqlmigrations lock"


class Fault(Enum):
    """What happens to a run."""

    KILLED = "the runner is killed"
    WORK_ENDED = "the session that is asked is terminated"
    LOCK_ENDED = "its lock session is terminated"
    RESTARTED = "the server is stopped immediately, and is there again when the runner asks"
    STOPPED = "the server is stopped immediately, and started when the runner has ended"


# How a run may end that was disturbed so; 1 is also how the undisturbed one ends.
ENDS = {
    Fault.KILLED: {-signal.SIGKILL},
    Fault.WORK_ENDED: {1, 7, 9},
    Fault.LOCK_ENDED: {1, 9, 10},
    Fault.RESTARTED: {1, 9, 10},
    Fault.STOPPED: {1, 8, 9},
}


class Brittle:
    """A server of the test's own that crashes and comes again without a keeper, in a fraction of a second."""

    def __init__(self, folder: Path) -> None:
        self._cluster = Cluster(folder, binaries())
        self._cluster.create()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self._process = self._cluster.start(["fsync=off", "shared_buffers=16MB"])

    def crash(self) -> None:
        """As ``pg_ctl stop -m immediate``; returns when it is gone."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE_S)

    def url(self, name: str) -> str:
        folder = str(self._cluster.sockets).replace("/", "%2f")
        return f"postgresql://postgres@{folder}:5432/{name}"


@dataclass(frozen=True)
class Place(Database):
    """A database on a server of the test's own."""

    server: Brittle = field(kw_only=True)

    @property
    def url(self) -> str:
        return self.server.url(self.name)


@contextmanager
def lend_brittle() -> Iterator[Brittle]:
    with lend_folder() as folder:
        server = Brittle(folder)
        try:
            yield server
        finally:
            server.crash()


@dataclass
class Striker:
    """Makes one fault happen.

    Attributes:
        runner: Its process, when it has been started.
    """

    fault: Fault
    proxy: SteppingProxy
    database: Database
    server: Brittle | None = None
    runner: Future[subprocess.Popen[str]] = field(default_factory=Future)

    def aims_at(self, trip: Trip, moment: Moment) -> bool:
        """Whether the fault can strike there, and is another one than at the next moment."""
        if self.fault is Fault.WORK_ENDED:
            # A session that is not there yet cannot be ended.
            return trip.session != LOCK and (moment is Moment.AFTER or trip.asked != "connect")
        if self.fault is not Fault.LOCK_ENDED:
            return True
        if trip.session == LOCK:
            return moment is Moment.AFTER or trip.asked != "connect"
        # What is answered elsewhere has no part in it: it is met with the next question.
        return LOCK in trip.present and moment is Moment.BEFORE

    def strike(self, line: Line) -> bool:
        """Whether the connection of the round trip is lost."""
        if self.fault is Fault.KILLED:
            os.kill(self.runner.result(PATIENCE_S).pid, signal.SIGKILL)
            return True
        if self.server is not None:
            self.server.crash()
            if self.fault is Fault.RESTARTED:
                self.server.start()
            return True
        victim = line if self.fault is Fault.WORK_ENDED else self.proxy.line(LOCK)
        # It may be about to leave by itself.
        if victim is not None:
            self.database.query("SELECT pg_terminate_backend(%s, 10000)", victim.pid)
        return victim is line
