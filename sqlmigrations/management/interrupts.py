"""Ctrl-C and SIGTERM while a command works: heard at once, even while the driver waits for the server."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from sqlmigrations.exceptions import Interrupted, Terminated

_MEANINGS = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
# A terminal and what started the command may both pass on one Ctrl-C.
_ECHO_S = 1.0
_AT_ONCE = (
    b"\nEnded at once. The server rolls back what was not committed; what is recorded tells:  "
    b"python manage.py sqlmigrate_status\n"
)

Ask = Callable[[type[Interrupted]], object]


@contextmanager
def heard(ask: Ask) -> Iterator[None]:
    """Passes the signals on for as long as the block lasts; a second one, a second later, ends the process at once.

    Python's own handlers run when the driver comes back from the server, which may be in an hour. What C writes into
    a socket the moment a signal arrives is read by a thread. Outside the main thread nothing is done, and signals
    that are ignored (nohup) stay so.

    Args:
        ask: Told of the first one; called from another thread.
    """
    wanted = [number for number in _MEANINGS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    if threading.current_thread() is not threading.main_thread() or not wanted:
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, _leave_to_thread) for number in wanted}
    listener = threading.Thread(target=_listen, args=(reading, ask), name="sqlmigrations signals", daemon=True)
    listener.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        writing.close()
        listener.join()
        reading.close()


def _leave_to_thread(number: int, frame: FrameType | None) -> None:
    """A handler has to be there for C to tell of a signal at all."""


def _listen(reading: socket.socket, ask: Ask) -> None:
    first: float | None = None
    while numbers := reading.recv(16):
        for number in numbers:
            if number not in _MEANINGS:
                continue
            now = time.monotonic()
            if first is None:
                first = now
                ask(_MEANINGS[signal.Signals(number)])
            elif now - first > _ECHO_S:
                os.write(2, _AT_ONCE)
                os._exit(int(_MEANINGS[signal.Signals(number)].exit_code))
