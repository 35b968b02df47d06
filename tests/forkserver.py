"""Processes of Python's for tests: forked from one that has imported Django, where nobody could tell the difference.

Most of the time that a command takes it spends on imports. What differs from a process of its own: the seed of hashes
is that of its zygote, and ``ps`` shows the command line of that. ``REAL_PROCESSES=1`` starts real ones only.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PYTHON = [sys.executable, "-W", "error"]
_ROOT = Path(__file__).resolve().parent.parent
_NUMBER = struct.Struct("i")
# Read when Python starts or a module is imported: whoever has others than this process gets a process of his own.
_EARLY = re.compile("PYTHON|LANG|LC_|LD_|MALLOC_|OPENSSL_|COVERAGE_")


def start(words: list[str], folder: Path, env: Mapping[str, str], **options: Any) -> subprocess.Popen[str]:
    """Starts ``python`` with these words on its command line, warnings as errors, and text in its streams."""
    of_its_own = options.keys() - {"stdin", "stdout", "stderr"} or _early(env) != _early(_surroundings())
    start = subprocess.Popen if of_its_own or os.environ.get("REAL_PROCESSES") else ForkedProcess
    return start([*PYTHON, *words], cwd=folder, env=env, text=True, **options)


def run(
    words: list[str], folder: Path, env: Mapping[str, str], *, check: bool = False, timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """The same to its end."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(words, folder, env, **streams) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    ended = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        ended.check_returncode()
    return ended


def end_zygotes() -> None:
    """And what tests left running."""
    while _zygotes:
        _zygotes.popitem()[1].end()


def _surroundings() -> dict[str, str]:
    """Those in which a zygote starts: it is to import nothing that depends on settings, and cannot with none."""
    return os.environ | {"PYTHONPATH": str(_ROOT), "DJANGO_SETTINGS_MODULE": ""}


def _early(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if _EARLY.match(name)}


class Zygote:
    """A process that forks others for as long as this one lives."""

    def __init__(self, driver: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*PYTHON, str(_ROOT / "tests" / "zygote.py"), str(theirs.fileno()), driver],
                cwd=_ROOT,
                env=_surroundings(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def fork(self, program: Mapping[str, Any], streams: list[int]) -> socket.socket:
        """The socket on which the program's pid is answered, and its end."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"."], [*streams, theirs.fileno()])
        ours.sendall(json.dumps(program).encode())
        ours.shutdown(socket.SHUT_WR)
        return ours

    def end(self) -> None:
        self._control.close()
        self._process.wait()


_zygotes: dict[str, Zygote] = {}
_lock = threading.Lock()


def _zygote(driver: str) -> Zygote:
    """The one whose children have this driver; empty for that which Django chooses."""
    with _lock:
        return _zygotes.get(driver) or _zygotes.setdefault(driver, Zygote(driver))


class ForkedProcess(subprocess.Popen[str]):
    """As its base, but for its parent: that is a zygote, which answers how the process ended."""

    def _execute_child(self, *arguments: Any) -> None:
        asked = inspect.signature(super()._execute_child).bind(*arguments).arguments  # type: ignore[misc]
        pipes = [asked[f"{name}"] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        streams = [number if pipe == -1 else pipe for number, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        program = {"command": asked["args"][len(PYTHON) :], "cwd": str(asked["cwd"]), "env": dict(asked["env"])}
        try:
            self._answers = _zygote(asked["env"].get("DRIVER", "")).fork(program, streams)
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
        self.pid = self._answer()
        self._child_created = True

    def _answer(self) -> int:
        answer = self._answers.recv(_NUMBER.size, socket.MSG_WAITALL)
        assert answer, "The zygote is gone."
        return int(_NUMBER.unpack(answer)[0])

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """As ``os.waitpid`` would say it."""
        answers = select.poll()
        answers.register(self._answers, select.POLLIN)
        if not answers.poll(0 if wait_flags & os.WNOHANG else None):
            return 0, 0
        status = self._answer()
        self._answers.close()
        return self.pid, status

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        lock: threading.Lock = self._waitpid_lock  # type: ignore[attr-defined]
        if self.returncode is None and lock.acquire(False):
            try:
                pid, status = (0, 0) if self.returncode is not None else self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                lock.release()
        return self.returncode
