"""Ends the wait for a server that takes a connection and then says nothing, as a pooler does that has none to give."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_AGAIN_S = 0.25


@contextmanager
def answered_within(
    seconds: float, raw: Callable[[], Any], is_given_up: Callable[[], bool]
) -> Iterator[threading.Event]:
    """A block in which a connection has to be answered.

    Drivers wait for an answer for ever, and no timeout of the server runs while a pooler keeps the question.

    Args:
        seconds: How long; 0 is for ever.
        raw: The driver's connection, ``None`` while there is none yet. When the time is over its socket is shut down,
            so the driver raises what it raises for a lost connection.
        is_given_up: Whether it need not be answered any more; asked every now and then.

    Yields:
        Set when the time was over, or it was given up.
    """
    missed, done = threading.Event(), threading.Event()
    end = time.monotonic() + (seconds or math.inf)

    def watch() -> None:
        while not is_given_up() and (left := end - time.monotonic()) > 0:
            if done.wait(min(left, _AGAIN_S)):
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
