"""One run under the lock: performs the steps of its plan, each once, and knows what was done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

from sqlmigrations import aftermath, retry, signals, stepwise, transaction
from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.locking import HeldLock, Holder
from sqlmigrations.backends.watcher import Watcher
from sqlmigrations.bench import Bench
from sqlmigrations.exceptions import (
    DatabaseUnavailable,
    IntegrityError,
    MigrationFailed,
    SqlMigrationsError,
    StatementFailed,
)
from sqlmigrations.history import History, count_done
from sqlmigrations.ledger import Ledger
from sqlmigrations.masking import mask
from sqlmigrations.plan import Plan, Step
from sqlmigrations.recorder import Recorder
from sqlmigrations.records import AlreadyRecorded, RunMark
from sqlmigrations.resume.verdicts import Verdict
from sqlmigrations.sql.statements import any_touches_session
from sqlmigrations.takeover import Waiting
from sqlmigrations.transaction import ConnectionLost, Workplace
from sqlmigrations.types import Audience, Direction, Mode, Outcome, Result, RunMode

# How a statement was met of which no end was recorded.
_SETTLED = {
    None: "",
    Verdict.DONE: ", which was done already",
    Verdict.RUN: ", which was run again",
    Verdict.REBUILD: ", whose remains were removed and which was run again",
    Verdict.FINISH: ", which was half done and is finished now",
}


class Run:
    """The steps of a plan, to be performed in their order.

    Attributes:
        plan: Made under the lock.
        outcomes: What was done so far.
    """

    def __init__(
        self,
        plan: Plan,
        mark: RunMark,
        ledger: Ledger,
        bench: Bench,
        lock: HeldLock,
        mode: RunMode,
        attempts: int,
        recorder: Recorder | None = None,
        audience: Audience = Audience.LATER,
    ) -> None:
        self.plan = plan
        self.mark = mark
        self.outcomes: list[Outcome] = []
        self._ledger = ledger
        self._recorder = recorder or Recorder(ledger)
        self._bench = bench
        self._lock = lock
        self._mode = mode
        self._attempts = attempts
        self._audience = audience
        self._history = History(self._recorder, mark, plan.pooling, bench.session.role)
        self._watcher = Watcher(mark.database, self._history.watched)

    def perform(self, step: Step) -> Outcome:
        """Performs one step: applied and recorded, or as if it had never begun.

        Raises:
            MigrationFailed: Rolled back.
            UnsafePlan: A listener of ``migration_started`` vetoed it; it was not begun.
            LockLost: The lock connection is gone; it was not begun.
            OutcomeUnknown: The server went away during COMMIT and did not come back.
            DatabaseUnavailable: The server went away before COMMIT and did not come back.
            Interrupted: The run was asked to end; the message says what is left.
        """
        if self._bench.interruption.asked:
            done = self._done_before().capitalize()
            self._bench.interruption.check(f"Interrupted before {step.migration.id} was begun. {done}.")
        self._history.ask(step)
        started = time.perf_counter()
        try:
            if not step.founds:
                self._open_history()
            outcome = self._perform(step)
        except (SqlMigrationsError, StatementFailed) as met:
            error, attempts = aftermath.not_begun(step, met), 1
            if isinstance(error, MigrationFailed):
                attempts = error.attempts
                error.notices = self._notices(step)
            error = aftermath.told(step, error, self._done_before(), self._bench.interruption)
            self.outcomes.append(Outcome(step.migration.id, Result.FAILED, _since(started), 0, attempts))
            with self._bench.interruption.shielded():
                self._history.failed(self._queries, step, error)
            raise error from None
        self.outcomes.append(outcome)
        self._history.done(step, outcome)
        return outcome

    @contextmanager
    def closing(self) -> Iterator[Run]:
        """Tells of the end of the run when the block is left."""
        error: BaseException | None = None
        try:
            yield self
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._watcher.close()
            with self._bench.interruption.shielded():
                self._history.close(self._queries, self.outcomes, error)

    @property
    def _queries(self) -> Connection:
        return self._bench.session.connection

    def _notices(self, step: Step) -> tuple[str, ...]:
        return tuple(mask(notice, step.secrets) for notice in self._queries.drain_notices())

    def _open_history(self) -> None:
        try:
            self._history.open(self._queries, len(self.plan.steps), self._mode.value)
        except StatementFailed as failed:
            if not failed.server.lost:
                self._bench.interruption.check()
                raise
            # Idle since the last file: nothing was lost with it.
            self._bench.renew()
            self._history.open(self._queries, len(self.plan.steps), self._mode.value)

    def _perform(self, step: Step) -> Outcome:
        started = time.perf_counter()
        result, note, attempt = self._tried(step)
        notices = self._notices(step)
        note = "; ".join(filter(None, (note, aftermath.unconfirmed(notices))))
        if _touches_session(step):
            # The file is applied: where the server does not let us in again, the next one tells.
            with suppress(DatabaseUnavailable), self._bench.interruption.shielded():
                self._bench.renew()
        done_before = step.progress.done if step.progress else 0
        ran = len(step.script.statements) - done_before if result in (Result.APPLIED, Result.UNDONE) else 0
        return Outcome(step.migration.id, result, _since(started), ran, attempt, notices, note)

    def _tried(self, step: Step) -> tuple[Result, str, int]:
        """Tries a file until it succeeds or there is no use in trying again; says how often."""
        was_lost = False
        for attempt in count(1):
            self._bench.interruption.pause(0)
            try:
                return *self._attempt(step, attempt), attempt
            except AlreadyRecorded:
                if step.direction is Direction.BACKWARD:
                    return Result.UNDONE, "the connection was lost at its end", attempt
                return *self._look_again(step), attempt
            except ConnectionLost as lost:
                self._reconnect(step)
                lost.failure.attempts = attempt
                if was_lost:
                    raise lost.failure from None
                was_lost = True
            except MigrationFailed as failure:
                failure.attempts = attempt
                if attempt >= self._attempts or not retry.can_help(failure):
                    raise
                self._wait_for_another(step, failure)
        raise AssertionError("unreachable")

    def _wait_for_another(self, step: Step, failure: MigrationFailed) -> None:
        self._queries.drain_notices()
        if _touches_session(step):
            # What was prepared or locked for the session outlives the transaction that was rolled back.
            self._reconnect(step)
        delay_s = retry.delay_s(failure.attempts)
        self._history.retrying(step, failure, delay_s)
        self._bench.interruption.pause(delay_s)

    def _attempt(self, step: Step, attempt: int) -> tuple[Result, str]:
        session, reopen, settled = self._bench.session, self._bench.renew, None
        place = Workplace(session, self._lock, self._recorder, self.mark, self._watcher, reopen, self._audience)
        if step.founds:
            transaction.found(place, step)
        elif self._mode is RunMode.FAKE:
            transaction.fake(place, step)
            return Result.FAKED, "recorded without running"
        elif step.script.mode is Mode.STATEMENTS:
            waiting = Waiting(self._bench.wait_ms, self._tell_waiting)
            settled = stepwise.apply(place, step, self._ledger, waiting, attempt)
        else:
            transaction.apply(place, step, attempt)
        note = f"resumed at statement {step.progress.done + 1}{_SETTLED[settled]}" if step.progress else ""
        if step.direction is Direction.BACKWARD:
            return Result.UNDONE, note
        return (Result.APPLIED, note) if step.script.statements else (Result.EMPTY, "no statement in it")

    def _tell_waiting(self, holder: Holder | None) -> None:
        signals.lock_waiting.send_robust(sender=Run, database=self.mark.database, holder=holder, is_orphan=True)

    def _reconnect(self, step: Step) -> None:
        try:
            self._bench.renew()
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(
                f"The connection was lost while {step.migration.id} was applied, and the server does not answer. "
                f"{error.message}",
                remedy="When the server is back: python manage.py sqlmigrate_apply --wait-for-db 60",
            ) from None

    def _look_again(self, step: Step) -> tuple[Result, str]:
        """Whether the row that was in the way is the migration we meant to apply, and by whom."""
        migration = step.migration
        row = self._ledger.find(self._queries, migration.label, migration.key)
        if row is None or row.checksum != migration.file.checksum or row.is_half_done:
            raise IntegrityError(
                f"Another run recorded {migration.id} meanwhile, with other content. This run changed nothing in it.",
                remedy="Look at the two checkouts: python manage.py sqlmigrate_status",
            )
        if row.run_id == self.mark.id:
            return Result.APPLIED, "the connection was lost at its end"
        return Result.SKIPPED, "applied by another run meanwhile"

    def _done_before(self) -> str:
        done = count_done(self.outcomes)
        return f"{done or 'no'} migration{' was' if done == 1 else 's were'} applied in this run"


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _touches_session(step: Step) -> bool:
    return step.script.mode is Mode.STATEMENTS or any_touches_session(step.script.statements)
