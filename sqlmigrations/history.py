"""What a run tells while it goes on: signals to listeners, events to the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlmigrations import signals
from sqlmigrations.backends.base import Queries
from sqlmigrations.exceptions import MigrationFailed, SqlMigrationsError, StatementFailed, UnsafePlan
from sqlmigrations.plan import Step
from sqlmigrations.records import RunMark
from sqlmigrations.types import Glimpse, Outcome, Pooling, Result

if TYPE_CHECKING:
    from sqlmigrations.recorder import Recorder

_DONE = (Result.APPLIED, Result.EMPTY, Result.FAKED, Result.UNDONE)


class History:
    """The story of one run; a run that performs no step leaves none in the table.

    Args:
        recorder: Whose hand writes its events.
        mark: Which run it is.
        pooling: What stands between it and the server.
        role: What ``SET ROLE`` was in force at its beginning, ``none`` usually.
    """

    def __init__(self, recorder: Recorder, mark: RunMark, pooling: Pooling, role: str) -> None:
        self._recorder = recorder
        self._mark = mark
        self._pooling = pooling
        # Who logged in stands in each row already.
        self._acting = {} if role == "none" else {"role": role}
        self._open = self._tried = False
        self._started = time.perf_counter()
        signals.run_started.send_robust(sender=History, run_id=mark.id, database=mark.database, pooling=pooling)

    def ask(self, step: Step) -> None:
        """Asks the listeners of ``migration_started``.

        Raises:
            UnsafePlan: One of them vetoed the step.
        """
        try:
            signals.migration_started.send(
                sender=History, run_id=self._mark.id, database=self._mark.database, step=step
            )
        except Exception as veto:
            raise UnsafePlan(
                f"{step.migration.id} was not begun: a listener of migration_started refused it ({veto}).",
                remedy="Satisfy or disconnect the listener, then run  python manage.py sqlmigrate_apply",
            ) from veto

    def open(self, queries: Queries, steps: int, mode: str) -> None:
        """Adds the event of the beginning, once; the tables have to be there.

        Called again after the connection was lost under it, it looks first whether that is told already.
        """
        if self._open:
            return
        if not (self._tried and self._is_told(queries)):
            self._tried = True
            detail = {"steps": steps, "mode": mode, "pooling": self._pooling.value, **self._acting}
            self._recorder.tell(queries, "run_started", self._mark, detail)
        self._open = True

    def watched(self, step: Step, glimpse: Glimpse) -> None:
        """Tells what a step was seen doing; may be called from any thread."""
        signals.migration_watched.send_robust(
            sender=History, run_id=self._mark.id, database=self._mark.database, step=step, glimpse=glimpse
        )

    def retrying(self, step: Step, failure: MigrationFailed, delay_s: float) -> None:
        """Tells that an attempt was rolled back, and that another one follows."""
        signals.migration_retrying.send_robust(
            sender=History,
            run_id=self._mark.id,
            database=self._mark.database,
            step=step,
            attempt=failure.attempts,
            delay_s=delay_s,
            error=failure,
            blockers=failure.blockers,
        )

    def done(self, step: Step, outcome: Outcome) -> None:
        """Tells of a step that was performed; its event was written with its record."""
        self._finished(step, outcome, None)

    def failed(self, queries: Queries | None, step: Step, error: SqlMigrationsError) -> None:
        """Tells of a step that was not; best effort in the table, for the error itself has to reach the caller.

        Args:
            queries: Where to write; ``None`` when nothing can be.
            step: What failed.
            error: Why.
        """
        if self._open and queries is not None:
            with suppress(StatementFailed):
                self._recorder.tell(queries, "failed", self._mark, _described(error), step)
        self._finished(step, None, error)

    def close(self, queries: Queries | None, outcomes: Sequence[Outcome], error: BaseException | None) -> None:
        """Tells of the end, whatever it was; where ``queries`` is ``None``, not in the table."""
        if self._open and queries is not None:
            detail = {"done": count_done(outcomes), "error": type(error).__name__ if error else None}
            with suppress(StatementFailed):
                self._recorder.tell(queries, "run_finished", self._mark, detail)
        signals.run_finished.send_robust(
            sender=History,
            run_id=self._mark.id,
            database=self._mark.database,
            outcomes=tuple(outcomes),
            error=error,
            duration_ms=(time.perf_counter() - self._started) * 1000,
        )

    def _is_told(self, queries: Queries) -> bool:
        sql = "SELECT 1 FROM {events} WHERE run_id = %s::uuid AND event = 'run_started'"
        return bool(queries.query(sql.format(**self._recorder.names), [str(self._mark.id)]))

    def _finished(self, step: Step, outcome: Outcome | None, error: SqlMigrationsError | None) -> None:
        signals.migration_finished.send_robust(
            sender=History,
            run_id=self._mark.id,
            database=self._mark.database,
            step=step,
            outcome=outcome,
            error=error,
        )


def count_done(outcomes: Sequence[Outcome]) -> int:
    """How many migrations a run has recorded itself."""
    return sum(outcome.result in _DONE for outcome in outcomes)


def _described(error: SqlMigrationsError) -> dict[str, object]:
    detail: dict[str, object] = {"message": error.message, "exit_code": int(error.exit_code)}
    if isinstance(error, MigrationFailed):
        detail |= {"file": error.finding.location, "line": error.finding.line, "attempts": error.attempts}
        detail["blockers"] = [asdict(blocker) for blocker in error.blockers]
        if error.server:
            detail |= {"sqlstate": error.server.sqlstate, "error": error.server.message}
    return detail
