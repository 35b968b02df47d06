"""The lines of a run while it goes on: one for each migration, kept alive while a file takes long."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.management.color import Style

from sqlmigrations import glimpses, signals
from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.glimpses import Pace
from sqlmigrations.management import terminal
from sqlmigrations.masking import mask
from sqlmigrations.types import Audience, Glimpse, Outcome, Result

_WORDS = {Result.APPLIED: "OK", Result.EMPTY: "OK, empty", Result.FAKED: "FAKED", Result.SKIPPED: "SKIPPED"}


class _File:
    """The migration under way: the beginning of its line, what was told of it, and when its last attempt began."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.opening = f"  Applying {id}..."
        self.pace = Pace()
        self.tried = time.monotonic()


class Progress:
    """What is printed of a run; a terminal sees one line redrawn, a log whole lines now and then.

    What is seen of a long statement comes from a thread of its own: every write is made under one lock.

    Args:
        out: Where to.
        style: Colours.
        database: The alias; what is told of others is not ours.
        verbosity: At 0 nothing is printed.
    """

    def __init__(self, out: OutputWrapper, style: Style, database: str, verbosity: int) -> None:
        self._out = _innermost(out)
        self._style = style
        self._database = database
        self._is_silent = verbosity < 1
        self._is_live = out.isatty()
        self._lock = threading.RLock()
        self._file: _File | None = None
        # What stands on the last line of the terminal, not ended yet.
        self._shown = ""

    @property
    def audience(self) -> Audience:
        """Whether anybody sees what is printed of each statement."""
        return Audience.LIVE if self._is_live and not self._is_silent else Audience.LATER

    def say(self, text: str) -> None:
        """Prints a line; a file's own that is open goes on below it."""
        with self._lock:
            self._end_line(text)
            if self._file is not None:
                self._show(self._file.opening)

    def begin(self, id: str) -> None:
        """Opens the line of a migration."""
        with self._lock:
            self._file = _File(id)
            self._show(self._file.opening)

    def end(self, outcome: Outcome) -> None:
        """Ends its line by how it went."""
        took = glimpses.taken(outcome.duration_ms)
        self._close(self._style.SUCCESS(f" {_WORDS[outcome.result]} ({took})"))
        if outcome.note:
            self.say(f"      {outcome.note}")

    def fail(self, word: str = "FAILED") -> None:
        """Ends its line where it did not go well."""
        self._close(self._style.ERROR(f" {word}"))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """A block in which waiting, long statements and further attempts are told."""
        receivers: tuple[tuple[Any, Callable[..., None]], ...] = (
            (signals.lock_waiting, self._lock_waiting),
            (signals.database_waiting, self._database_waiting),
            (signals.migration_watched, self._watched),
            (signals.migration_retrying, self._retrying),
        )
        for signal, receiver in receivers:
            signal.connect(receiver)
        try:
            yield
        finally:
            for signal, receiver in receivers:
                signal.disconnect(receiver)

    def _lock_waiting(self, database: str, holder: object, is_orphan: bool = False, **_: object) -> None:
        if database == self._database:
            self.say(f"  {glimpses.awaited(holder, is_orphan=is_orphan)} ...")

    def _database_waiting(self, database: str, wait_s: float, reason: str, **_: object) -> None:
        if database == self._database:
            self.say(f"  Waiting up to {wait_s:g} s for the database: {reason} ...")

    def _watched(self, database: str, step: Any, glimpse: Glimpse, **_: object) -> None:
        with self._lock:
            file = self._file
            if file is None or (database, glimpse.migration) != (self._database, file.id):
                return
            told = f"{file.opening} {glimpses.account(glimpse, file.pace.age_s)}"
            # Who writes here has a migration to look after, and does not wait for a reader.
            if not terminal.is_ready(self._out):
                return
            if self._is_live:
                self._show(mask(told, step.secrets))
            elif file.pace.occasion(glimpse):
                self._end_line(mask(told, step.secrets))

    def _retrying(self, database: str, step: Any, attempt: int, delay_s: float, **seen: Any) -> None:
        with self._lock:
            file = self._file
            if file is None or (database, step.migration.id) != (self._database, file.id):
                return
            tried_s = time.monotonic() - file.tried
            file.tried = time.monotonic() + delay_s
            file.pace.meets(seen["blockers"])
            reason = glimpses.obstacle(seen["blockers"]) or _said(seen["error"])
            told = f"attempt {attempt} gave up after {glimpses.duration(tried_s)}: {mask(reason, step.secrets)}"
            self.say(f"  {file.id}: {told}; next try in {glimpses.duration(math.ceil(delay_s))}")

    def _show(self, text: str) -> None:
        """Puts a text on the terminal's last line in place of what stands there."""
        if not self._is_live:
            return
        limit = terminal.columns(self._out) - 1
        text = terminal.cut(text, limit)
        if text != self._shown:
            # Not beyond the edge: the terminal may have become narrower.
            rest = min(terminal.width(self._shown), limit) - terminal.width(text)
            self._write(("\r" if self._shown else "") + text + " " * max(0, rest))
            self._shown = text

    def _close(self, ending: str) -> None:
        with self._lock:
            if self._file is None:
                return
            opening, self._file = self._file.opening, None
            if self._shown == opening:
                self._write(f"{ending}\n")
                self._shown = ""
            else:
                self._end_line(opening + ending)

    def _end_line(self, text: str) -> None:
        """Prints a whole line in place of what stands on the terminal's last one."""
        # Overwritten by spaces: that needs no escape code, and so every terminal can do it.
        erased = min(terminal.width(self._shown), terminal.columns(self._out) - 1) if self._shown else 0
        self._write(f"\r{' ' * erased}\r{text}\n" if erased else f"{text}\n")
        self._shown = ""

    def _write(self, text: str) -> None:
        # A stream that is gone is no reason to stop.
        with suppress(OSError, ValueError):
            if not self._is_silent:
                self._out.write(text, style_func=str, ending="")
                self._out.flush()


def _innermost(out: OutputWrapper) -> OutputWrapper:
    """A command that calls ours hands its own output down; it would end every piece of a line as a line."""
    inner = out._out
    return _innermost(inner) if isinstance(inner, OutputWrapper) else out


def _said(error: object) -> str:
    if isinstance(error, MigrationFailed) and error.server:
        return error.server.message
    return str(error)
