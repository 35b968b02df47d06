"""A proxy that numbers the round trips of one runner, over all its connections, and strikes before or after one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

from tests.faults.proxy import Link, Proxy
from tests.faults.scene import PATIENCE_S

# What makes the server answer: a simple query, the end of a series of the extended protocol, the end of COPY's data.
_ASKING = (b"Q", b"S", b"c")
# What ends its answer: ready for a query, or for the data of a COPY.
_ANSWERED = (b"Z", b"G")
# Belong to a series, whose end asks.
_PREPARING = (b"P", b"B", b"D", b"E", b"C")
_LEAVING = b"X"
_CANCEL = 80_877_102
# Its thread looks when a statement takes long, which depends on the machine.
_OF_THE_WATCHER = "sqlmigrations observer"


class Moment(Enum):
    """When a fault strikes, seen from a round trip."""

    BEFORE = "before the server has it"
    AFTER = "answered, and the runner has not heard"


@dataclass(frozen=True)
class Trip:
    """One round trip.

    Attributes:
        session: The application name of its connection.
        asked: How what was sent begins.
        present: The application names of all connections at that moment.
    """

    session: str
    asked: str
    present: frozenset[str]


Strike = Callable[["Line"], bool]


class Line(Link):
    """One connection of the runner.

    Attributes:
        session: Its application name.
        pid: Its server process.
    """

    def __init__(self, proxy: SteppingProxy, client: socket.socket, server: socket.socket) -> None:
        self.session = ""
        self.pid = 0
        self.is_open = True
        self._steps = proxy
        self._awaiting = False
        self._is_lost = False
        super().__init__(proxy, client, server)

    def _to_server(self) -> None:
        with suppress(OSError, EOFError), self._client.makefile("rb") as asked:
            length, startup = _taken(asked)
            self.session = _parameters(startup).get("application_name", "")
            is_cancel = int.from_bytes(startup[:4]) == _CANCEL
            if is_cancel or self._asks("connect"):
                self._server.sendall(length + startup)
                self._pass_on(asked)
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)

    def _pass_on(self, asked: BinaryIO) -> None:
        series, about = b"", b""
        while kind := asked.read(1):
            length, body = _taken(asked)
            series += kind + length + body
            if kind == _LEAVING:
                self.is_open = False
            if kind in _PREPARING:
                about = about or body
                continue
            if kind in _ASKING and not self._asks(_told(about or body)):
                return
            self._server.sendall(series)
            series, about = b"", b""

    def _asks(self, what: str) -> bool:
        """Whether the server is to hear it."""
        if self._awaiting:
            return True
        self._awaiting = True
        return not self._steps.asks(self, what)

    def _to_client(self) -> None:
        with suppress(OSError, EOFError), self._server.makefile("rb") as answered:
            answer = b""
            while kind := answered.read(1):
                length, body = _taken(answered)
                answer += kind + length + body
                if kind == b"K":
                    self.pid = int.from_bytes(body[:4])
                if kind in _ANSWERED:
                    self._awaiting = False
                    if self._steps.answered(self):
                        break
                    self._client.sendall(answer)
                    answer = b""
            else:
                self._steps.flow.wait()
                self._client.sendall(answer)
        # Nobody hears of a strike before it is over.
        self._steps.flow.wait()
        self.is_open = False
        self.close()


class SteppingProxy(Proxy):
    """A proxy for one runner at a time.

    Attributes:
        trips: The round trips so far.
        failure: What was raised by the strike.
    """

    def __init__(self, address: str | tuple[str, int]) -> None:
        self.trips: list[Trip] = []
        self.failure: Exception | None = None
        self._lines: list[Line] = []
        self._at: tuple[int, Moment] | None = None
        self._strike: Strike = lambda line: False
        super().__init__(address)

    def strike_at(self, number: int, moment: Moment, strike: Strike) -> None:
        """At a round trip, from 0, a fault is made to happen.

        Args:
            number: Which.
            moment: When.
            strike: Makes it, and says whether the connection of that round trip is lost by it.
        """
        self._at, self._strike = (number, moment), strike

    def count_anew(self) -> None:
        """For another runner."""
        self.trips, self._lines, self._at = [], [], None

    def settle(self) -> None:
        """Waits for the end of the strike, and raises what it raised.

        There may have been none at the last round trips: where a lock is polled, some runs have one more of them.
        """
        assert self.flow.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure

    def link(self, client: socket.socket, server: socket.socket) -> Link:
        line = Line(self, client, server)
        self._lines.append(line)
        return line

    def line(self, session: str) -> Line | None:
        """The connection of that name, if there is one."""
        found = [line for line in self._lines if line.session == session and line.is_open]
        return found[-1] if found else None

    def asks(self, line: Line, what: str) -> bool:
        if line.session == _OF_THE_WATCHER:
            return False
        present = frozenset(line.session for line in self._lines if line.is_open and line.pid)
        self.trips.append(Trip(line.session, what, present))
        return self._meets(line, Moment.BEFORE)

    def answered(self, line: Line) -> bool:
        return line.session != _OF_THE_WATCHER and self._meets(line, Moment.AFTER)

    def _meets(self, line: Line, moment: Moment) -> bool:
        if self._at != (len(self.trips) - 1, moment):
            return False
        self._at = None
        self.flow.clear()
        try:
            return self._strike(line)
        except Exception as failure:
            self.failure = failure
            return True
        finally:
            self.flow.set()


def _taken(stream: BinaryIO) -> tuple[bytes, bytes]:
    """The length of a message, as it was sent, and its content."""
    length = stream.read(4)
    if len(length) < 4:
        raise EOFError
    return length, stream.read(int.from_bytes(length) - 4)


def _parameters(startup: bytes) -> dict[str, str]:
    parts = startup[4:].decode().split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=False))


def _told(body: bytes) -> str:
    # The message that prepares begins with a name.
    text = max(body.split(b"\0")[:2], key=len)
    return " ".join(text.decode(errors="replace").split())[:70]
