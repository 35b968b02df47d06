"""What the server spends on a client: processor time and memory of its backends, as Linux tells it below ``/proc``."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_ANONYMOUS = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)
_EVERY_S = 0.02
# Who is asked to end a session may need a moment; a backend that goes on longer than that is not waited for.
_PATIENCE_S = 10.0


class Backends:
    """The processes in which a server works for its clients.

    Args:
        postmaster: The pid of the server.
    """

    def __init__(self, postmaster: int) -> None:
        self._postmaster = postmaster

    @contextmanager
    def watched(self, database: str) -> Iterator[Spent]:
        """Look at those that are connected to one database for as long as the block lasts."""
        spent = Spent()
        before = self._reaped_s()
        over = threading.Event()
        looking = threading.Thread(target=self._look, args=(database, spent, over), daemon=True)
        looking.start()
        try:
            yield spent
        finally:
            over.set()
            looking.join()
        self._await_the_end(database)
        spent.cpu_seconds = self._reaped_s() - before

    def _look(self, database: str, spent: Spent, over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            for pid in self._serving(database):
                spent.peak_mb = max(spent.peak_mb, private_mb(pid))

    def _await_the_end(self, database: str) -> None:
        until = time.monotonic() + _PATIENCE_S
        while self._ending(database) and time.monotonic() < until:
            time.sleep(_EVERY_S / 4)

    def _serving(self, database: str) -> list[int]:
        return [int(pid) for pid in self._children() if f" {database} " in _title(pid)]

    def _ending(self, database: str) -> bool:
        """Whether one of them is still there, be it dead: its time is counted when the postmaster has heard of it."""
        return any(title == "" or f" {database} " in title for title in map(_title, self._children()))

    def _children(self) -> list[str]:
        return Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children").read_text().split()

    def _reaped_s(self) -> float:
        """Processor time of all children that have ended: those that write to disk never do."""
        after_name = Path(f"/proc/{self._postmaster}/stat").read_text().rpartition(") ")[2].split()
        return (int(after_name[13]) + int(after_name[14])) / _TICKS


class Spent:
    """What was seen of them: processor seconds of all, and the most private memory that one of them had."""

    cpu_seconds: float = 0
    peak_mb: float = 0


def private_mb(pid: int | str) -> float:
    """What a process has of its own, without the memory it shares with others; zero when it is gone."""
    with suppress(OSError):
        found = _ANONYMOUS.search(Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0
    return 0


def _title(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""
