"""One process from start to end: what it cost, and its last words when it failed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_EVERY_S = 0.01


@dataclass(frozen=True)
class Invocation:
    """A process to be run: arguments, working directory, what its environment has beside ours."""

    arguments: Sequence[object]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """What one process cost, with those that it started.

    Attributes:
        seconds: Wall clock, start of the process to its end.
        cpu_seconds: User and system time of the process, not of the server.
        peak_mb: Largest resident set of the process itself.
        server_cpu_seconds: User and system time of its backends.
        server_peak_mb: Largest private memory of one of its backends beyond that of an idle one.
        round_trips: How often it waited for the server; zero where nobody counted.
    """

    seconds: float
    cpu_seconds: float = 0
    peak_mb: float = 0
    server_cpu_seconds: float = 0
    server_peak_mb: float = 0
    round_trips: float = 0


class RunFailed(Exception):
    """A contestant ended with an error, or did not do what it was asked to; the message has its last words."""


class TookTooLong(Exception):
    """A contestant was ended because its time was up.

    Attributes:
        seconds: How much it had.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"more than {seconds:.0f} s")
        self.seconds = seconds


def measure(invocation: Invocation, limit_s: float = 600) -> Measured:
    """Run a process to its end.

    Raises:
        RunFailed: It ended with another code than 0.
        TookTooLong: It took more than ``limit_s`` seconds, and was killed.
    """
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(argument) for argument in invocation.arguments],
            cwd=invocation.folder,
            env={**_surroundings(), **invocation.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        memory = _Memory(process.pid)
        too_late = threading.Timer(limit_s, os.killpg, (process.pid, signal.SIGKILL))
        too_late.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            too_late.cancel()
            memory.over.set()
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode == -signal.SIGKILL and seconds >= limit_s:
            raise TookTooLong(limit_s)
        if process.returncode:
            raise RunFailed(_last_words(output.fileno()) or f"exit code {process.returncode}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, memory.peak_mb)


class _Memory(threading.Thread):
    """Looks at the largest resident set of a process: what ``wait4`` says of it includes ours, before its exec."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.peak_mb = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self.start()

    def run(self) -> None:
        """As long as there is something to see."""
        while not self.over.wait(_EVERY_S):
            with suppress(OSError):
                found = _PEAK.search(self._status.read_text())
                self.peak_mb = max(self.peak_mb, int(found[1]) / 1024 if found else 0)


def _surroundings() -> dict[str, str]:
    """Our environment without what would change how a contestant works."""
    foreign = ("PG", "PYTHON", "PERL", "DJANGO_", "DATABASE_", "DBLIFT_", "SQITCH_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _last_words(output: int) -> str:
    os.lseek(output, max(0, os.lseek(output, 0, os.SEEK_END) - 4000), os.SEEK_SET)
    lines = os.read(output, 4000).decode(errors="replace").strip().splitlines()
    named = [line for line in lines if "error" in line.lower()]
    return (named or lines or [""])[-1].strip().rstrip(".")
