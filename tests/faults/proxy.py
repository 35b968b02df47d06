"""A TCP proxy before a server that counts what a client asks and can cut a connection at its COMMIT."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from urllib.parse import unquote, urlsplit

_COMMIT = b"COMMIT"
# Frontend messages that ask for an answer: a simple query, and the end of a series of the extended protocol.
_ASKING = (b"Q", b"S")


class Cut(Enum):
    """Where the connection is cut."""

    BEFORE = "the server never sees the COMMIT"
    AFTER = "the server commits, its answer never arrives"
    MUTED = "the server commits, its answer is swallowed, and nobody hangs up but the test"
    LATE = "the client is cut off at once, the server gets the COMMIT when the test lets it go"


class Link:
    """One client and its connection to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self.muted = False
        self._ends_at_answer = False
        for pump in (self._to_server, self._to_client):
            threading.Thread(target=pump, daemon=True).start()

    def close(self) -> None:
        for side in (self._client, self._server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _to_server(self) -> None:
        with suppress(OSError), self._client.makefile("rb") as asked:
            startup = asked.read(4)
            startup += asked.read(int.from_bytes(startup) - 4)
            self._proxy.flow.wait()
            self._server.sendall(startup)
            while kind := asked.read(1):
                length = asked.read(4)
                body = asked.read(int.from_bytes(length) - 4)
                cut = self._proxy.note(kind, body)
                if cut is Cut.BEFORE:
                    break
                self.muted = cut is not None
                self._ends_at_answer = cut is Cut.AFTER
                if cut is Cut.LATE:
                    self._client.shutdown(socket.SHUT_RDWR)
                    self._proxy.delivery.wait()
                self._proxy.flow.wait()
                self._server.sendall(kind + length + body)
        if not self.muted:
            self.close()

    def _to_client(self) -> None:
        with suppress(OSError):
            while answer := self._server.recv(65_536):
                self._proxy.flow.wait()
                if self.muted and self._ends_at_answer:
                    break
                if self.muted:
                    continue
                self._client.sendall(answer)
        self.close()


class Proxy:
    """Listens on a port of its own.

    Attributes:
        asked: The messages of all clients that were waited for.
        turned_away: How many clients came while there was no server.
        delivery: Set when a late COMMIT may go on to the server.
    """

    def __init__(self, address: str | tuple[str, int]) -> None:
        self._address = address
        self._cuts: list[Cut] = []
        self._shuts_at_cut = self._is_shut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.asked: list[bytes] = []
        self.turned_away = 0
        self.delivery = threading.Event()
        self.flow = threading.Event()
        self.flow.set()
        self._links: list[Link] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, direct: str) -> str:
        """The way through it to a database whose own address is given."""
        parts = urlsplit(direct)
        user = parts.netloc.rpartition("@")[0]
        return f"postgresql://{user}@127.0.0.1:{self.port}{parts.path}?sslmode=disable&gssencmode=disable"

    def cut(self, *cuts: Cut, for_good: bool = False) -> None:
        """The next messages that end in COMMIT are cut like this, one each; for good: nobody is let in afterwards."""
        self._cuts += cuts
        self._shuts_at_cut = for_good

    def note(self, kind: bytes, body: bytes) -> Cut | None:
        if kind in _ASKING:
            self.asked.append(body.strip(b"\0"))
        if not self._cuts or not body.strip(b"\0").endswith(_COMMIT):
            return None
        self._is_shut = self._shuts_at_cut
        return self._cuts.pop(0)

    def _dial(self) -> socket.socket:
        if isinstance(self._address, tuple):
            return socket.create_connection(self._address)
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._address)
        except OSError:
            server.close()
            raise
        return server

    def lead_to(self, url: str) -> None:
        """Whoever comes from now on is led there."""
        self._address = address(url)

    def shut(self) -> None:
        """Nobody is let in any more."""
        self._is_shut = True

    def open(self) -> None:
        self._is_shut = False

    @property
    def served(self) -> int:
        """How many clients were let in."""
        return len(self._links)

    def stall(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self.flow.clear()

    def drop(self) -> None:
        """Ends every connection there is; others may come."""
        for link in self._links:
            link.close()

    def hang_up(self) -> None:
        """Ends the connections whose answers were swallowed."""
        for link in self._links:
            if link.muted:
                link.close()

    def close(self) -> None:
        self.drop()
        self.flow.set()
        self.delivery.set()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._is_shut:
                raise ConnectionRefusedError
            server = self._dial()
        except OSError:
            self.turned_away += 1
            client.close()
        else:
            self._links.append(self.link(client, server))

    def link(self, client: socket.socket, server: socket.socket) -> Link:
        return Link(self, client, server)


@contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    proxy = Proxy(address(url))
    try:
        yield proxy
    finally:
        proxy.close()


def address(url: str) -> str | tuple[str, int]:
    parts = urlsplit(url)
    # The host as written: urlsplit's own hostname lowers its case.
    host = unquote(parts.netloc.rpartition("@")[2].rpartition(":")[0])
    port = parts.port or 5432
    return os.path.join(host, f".s.PGSQL.{port}") if host.startswith("/") else (host, port)
