"""The wish to end a run before its time, from a signal or another thread: what runs is cancelled, what waits wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlmigrations.exceptions import Interrupted
from sqlmigrations.types import Finding

# A cancel that arrives before its statement has no effect: it is sent again until the statement has answered.
_INSIST_S = 0.2
TO_GO_ON = "To go on: python manage.py sqlmigrate_apply"
NOTHING_CHANGED = "Interrupted. Nothing was changed."
# query_canceled
CANCELLED = "57014"


class Interruption:
    """What a run and its connections look at to learn that they are to end; never taken back.

    One thread runs statements, any other may ask for the end.
    """

    def __init__(self) -> None:
        self._by = Interrupted
        self._asked = threading.Event()
        self._answered = threading.Event()
        self._lock = threading.Lock()
        self._cancel: Callable[[], None] | None = None
        self._shields = 0

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self._asked.is_set()

    @property
    def due(self) -> bool:
        """Whether it is to end and has not begun to: no statement is to be started but those that put in order."""
        return self.asked and not self._shields and not self._answered.is_set()

    def ask(self, by: type[Interrupted] = Interrupted) -> None:
        """Asks for the end and returns at once; the first one to ask decides what the run is ended by."""
        if self._asked.is_set():
            return
        self._by = by
        self._asked.set()
        threading.Thread(target=self._insist, name="sqlmigrations cancel", daemon=True).start()

    def answer(self) -> None:
        """The run has noticed: what it sends from now on puts in order, and is not cancelled."""
        if self.asked:
            self._answered.set()

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """While the run puts in order or finds out what is: its statements are sent and not cancelled."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    @contextmanager
    def cancelling(self, cancel: Callable[[], None]) -> Iterator[None]:
        """While a statement runs: how to cancel it."""
        self._cancel = None if self._shields else cancel
        try:
            yield
        finally:
            with self._lock:  # A cancel on its way would hit the next statement.
                self._cancel = None

    def error(
        self, message: str, *, kept: str = "", remedy: str = TO_GO_ON, findings: Sequence[Finding] = ()
    ) -> Interrupted:
        """The error that the run ends with; arguments as of every error."""
        return self._by(message, kept=kept, remedy=remedy, findings=findings)

    def check(self, state: str = NOTHING_CHANGED) -> None:
        """Ends the run here if it is asked for.

        Args:
            state: What the database is left in.

        Raises:
            Interrupted: It is.
        """
        if self.asked:
            self.answer()
            raise self.error(state)

    def pause(self, seconds: float) -> None:
        """Waits for as long, unless the run is asked to end.

        Raises:
            Interrupted: It is.
        """
        self._asked.wait(seconds)
        self.check()

    def _insist(self) -> None:
        while not self._answered.is_set():
            with self._lock:
                if self._cancel is not None:
                    self._cancel()
            self._answered.wait(_INSIST_S)
