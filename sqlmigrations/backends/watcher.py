"""Watches, from a thread of its own, what a run is at: tells what takes long, and remembers who stood in its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlmigrations.backends.observer import Observer, Sight
from sqlmigrations.plan import Step
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.types import Blocker, Glimpse

_TICK_S = 0.1
# Nobody looks at a statement that is done sooner.
_LOOK_S = 0.5
_WORD_S = 1.0
_JUST_NOW_S = 2.0
_UNSEEN = Sight()


class _Watched:
    """One message under way. Each has its own, so that what a late look shows is never taken for the next one's."""

    __slots__ = ("blocked", "blockers", "last", "looked", "number", "pid", "sight", "since", "statement", "step")

    def __init__(self, step: Step, number: int, statement: Statement, pid: int, last: int | None) -> None:
        self.step = step
        self.number = number
        self.last = last
        self.statement = statement
        self.pid = pid
        self.since = self.looked = time.monotonic()
        self.sight = _UNSEEN
        self.blockers: tuple[Blocker, ...] = ()
        self.blocked = 0.0

    def is_due(self) -> bool:
        """Whether it has to be looked at: often enough that whoever waits for a lock only shortly is seen as well."""
        timeout_ms = self.step.lock_timeout_ms
        interval = min(_LOOK_S, timeout_ms / 2000) if timeout_ms and self.sight is _UNSEEN else _LOOK_S
        return time.monotonic() - self.looked >= interval

    def glimpse(self) -> Glimpse:
        """What was seen last."""
        return Glimpse(
            migration=self.step.migration.id,
            number=self.number,
            total=len(self.step.script.statements),
            line=self.statement.line,
            elapsed_s=time.monotonic() - self.since,
            blockers=self.sight.blockers,
            phase=self.sight.phase,
            percent=self.sight.percent,
            last=self.last,
        )


class Watcher:
    """What a run is told to be watched while it works; for one run at a time.

    While statements are short it costs nothing: to begin one is to set an attribute, and it connects only when one has
    been running for half a second.

    Args:
        database: The alias.
        tell: Told once a second what is seen, when a file takes longer than a second; in another thread.
    """

    def __init__(self, database: str, tell: Callable[[Step, Glimpse], None]) -> None:
        self._database = database
        self._tell = tell
        self._current: _Watched | None = None
        self._last: _Watched | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(
        self, step: Step, number: int, statement: Statement, pid: int, last: int | None = None
    ) -> Iterator[None]:
        """A block in which a statement runs, or several: ``begin`` and ``end``."""
        self.begin(step, number, statement, pid, last)
        try:
            yield
        finally:
            self.end()

    def begin(self, step: Step, number: int, statement: Statement, pid: int, last: int | None = None) -> None:
        """A statement is about to be sent, or several in one message.

        Args:
            step: Whose it is.
            number: Which of the file, from 1.
            statement: The statement; of several the first.
            pid: The server process it runs in.
            last: Which of the file the last of several is.
        """
        self._current = self._last = _Watched(step, number, statement, pid, last)
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="sqlmigrations watcher", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """The statement was answered, whatever the answer."""
        self._current = None

    def blockers(self) -> tuple[Blocker, ...]:
        """Who has just been seen in the way of the statement that began last; it may have ended since."""
        last = self._last
        return last.blockers if last and time.monotonic() - last.blocked < _JUST_NOW_S else ()

    def close(self) -> None:
        """Ends the thread and its connection; calling it again changes nothing."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=_WORD_S)

    def _watch(self) -> None:
        observer = Observer(self._database)
        step, since, told = None, 0.0, 0.0
        try:
            while not self._closed.wait(_TICK_S):
                watched = self._current
                if watched is None:
                    continue
                if watched.step is not step:
                    step, since = watched.step, watched.since
                if watched.is_due():
                    _look(observer, watched)
                now = time.monotonic()
                if min(now - since, now - told) >= _WORD_S and watched is self._current:
                    told = now
                    self._tell(watched.step, watched.glimpse())
        finally:
            observer.close()


def _look(observer: Observer, watched: _Watched) -> None:
    watched.sight = observer.look(watched.pid, watched.step.secrets) or _UNSEEN
    watched.looked = time.monotonic()
    if watched.sight.blockers:
        # Remembered: the look that comes last may find the lock just given up.
        watched.blockers, watched.blocked = watched.sight.blockers, watched.looked
