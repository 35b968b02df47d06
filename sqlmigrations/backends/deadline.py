"""Ends the wait for a server that takes a connection and then says nothing, as a pooler does that has none to give."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_AGAIN_S = 0.25


@contextmanager
def answered_within(seconds: float, raw: Callable[[], Any]) -> Iterator[threading.Event]:
    """A block in which a connection has to be answered.

    Drivers wait for an answer for ever, and no timeout of the server runs while a pooler keeps the question.

    Args:
        seconds: How long; 0 is for ever.
        raw: The driver's connection, ``None`` while there is none yet. When the time is over its socket is shut down,
            so the driver raises what it raises for a lost connection.

    Yields:
        Set when the time was over.
    """
    missed, done = threading.Event(), threading.Event()
    if not seconds:
        yield missed
        return

    def watch() -> None:
        if done.wait(seconds):
            return
        missed.set()
        _shut(raw())
        # A connection that only now came about has to be ended as well.
        while not done.wait(_AGAIN_S):
            _shut(raw())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield missed
    finally:
        done.set()
        watcher.join()


def _shut(connection: Any) -> None:
    if connection is None:
        return
    # Closed meanwhile: the driver's own error, or the system's.
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
