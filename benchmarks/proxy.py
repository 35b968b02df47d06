"""A door in front of the server that counts round trips, and may take its time for each as a network does."""

from __future__ import annotations

import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.arena import Address

_CHUNK = 65536


class Counter:
    """Connections so far and their round trips, one for each login included: a client speaks after the server did."""

    def __init__(self) -> None:
        self.round_trips = 0
        self.connections = 0
        self._lock = threading.Lock()

    def one_more(self) -> None:
        """Called by the thread of each connection."""
        with self._lock:
            self.round_trips += 1

    def connected(self) -> None:
        """Called for each connection."""
        with self._lock:
            self.connections += 1


@contextmanager
def counted(address: Address, round_trip_s: float = 0) -> Iterator[tuple[Address, Counter]]:
    """The same database behind a socket of ours, and the counter of what passes it.

    Args:
        address: The database.
        round_trip_s: How long each round trip takes beside what the server needs, seconds.
    """
    counter = Counter()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(folder) / f".s.PGSQL.{address.port}"))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, address, counter, round_trip_s), daemon=True).start()
        try:
            yield replace(address, host=folder), counter
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread waiting


def _accept(listener: socket.socket, address: Address, counter: Counter, round_trip_s: float) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # the block has been left
        counter.connected()
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{address.host}/.s.PGSQL.{address.port}")
        threading.Thread(target=_carry, args=(client, server, counter, round_trip_s), daemon=True).start()


def _carry(client: socket.socket, server: socket.socket, counter: Counter, round_trip_s: float) -> None:
    with client, server, selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        speaker = server
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]
                if not data:
                    return
                if key.fileobj is client and speaker is server:
                    time.sleep(round_trip_s)
                elif key.fileobj is server and speaker is client:
                    counter.one_more()  # Whoever says goodbye waits for nothing.
                speaker = client if key.fileobj is client else server
                key.data.sendall(data)
