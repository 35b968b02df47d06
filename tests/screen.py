"""A terminal as a person sees it."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import ioctl
from struct import pack
from termios import TIOCSWINSZ

from sqlmigrations.management import terminal


@dataclass
class Screen:
    """What is written to ``secondary``; a line that is wider than the screen is shown as one all the same.

    Attributes:
        raw: Everything that was written, as far as it was read.
    """

    primary: int
    secondary: int
    raw: str = ""

    def resize(self, columns: int) -> None:
        ioctl(self.secondary, TIOCSWINSZ, pack("HHHH", 24, columns, 0, 0))

    def read(self) -> str:
        with suppress(BlockingIOError):
            while piece := os.read(self.primary, 65_536):
                self.raw += piece.decode()
        return self.raw

    def lines(self) -> list[str]:
        """Every line as it is left, without spaces behind it: what a carriage return lets be overwritten is gone."""
        return [_overwritten(line).rstrip() for line in self.read().replace("\r\n", "\n").split("\n")]


@contextmanager
def lend_screen(columns: int = 100) -> Iterator[Screen]:
    screen = Screen(*pty.openpty())
    os.set_blocking(screen.primary, False)
    screen.resize(columns)
    try:
        yield screen
    finally:
        os.close(screen.primary)
        os.close(screen.secondary)


def _overwritten(line: str) -> str:
    cells: list[str] = []
    for piece in line.split("\r"):
        written = [part for char in piece for part in [char, *[""] * (terminal.width(char) - 1)]]
        cells[: len(written)] = written
    return "".join(cells)
