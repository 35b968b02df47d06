"""A command at a terminal: what it shows, and answers typed to it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.site import Site

_PATIENCE_S = 60


@dataclass
class Terminal:
    """The keyboard and screen of one process."""

    process: subprocess.Popen[str]
    end: int
    shown: str = ""

    def await_text(self, text: str) -> None:
        """Reads the screen until the text is on it."""
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read()

    def type(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def leave(self) -> int:
        """Waits for the end of the process; everything it showed is in ``shown`` then."""
        while self._read():
            pass
        return self.process.wait(_PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.end], [], [], _PATIENCE_S)
        assert ready, self.shown
        try:
            found = os.read(self.end, 4096)
        except OSError:  # Linux says so when the other side is gone.
            return False
        self.shown += found.decode().replace("\r\n", "\n")
        return bool(found)


@contextmanager
def at_a_terminal(site: Site, *arguments: str) -> Iterator[Terminal]:
    """Starts a management command whose three streams are a terminal, in a session of its own."""
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    plain = {"DJANGO_COLORS": "nocolor"}
    process = site.start(*arguments, env=plain, **streams, start_new_session=True, preexec_fn=_own)
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _own() -> None:
    """Makes the terminal that of the new session: Ctrl-C typed there reaches the process."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
