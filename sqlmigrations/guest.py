"""Files in a transaction of Django's: under the lock, with their record, and without a word of ours that ends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from sqlmigrations import lease, rights, transaction
from sqlmigrations.backends import locking, postgresql
from sqlmigrations.backends.aliases import wrapper
from sqlmigrations.backends.base import Connection, Queries
from sqlmigrations.backends.joined import DjangosConnection, Joined
from sqlmigrations.backends.locking import HeldLock, LockKey
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.backends.watcher import Watcher
from sqlmigrations.exceptions import (
    DatabaseUnavailable,
    IntegrityError,
    MigrationFailed,
    SqlMigrationsError,
    StatementFailed,
)
from sqlmigrations.guidance import APPLY, STATUS
from sqlmigrations.history import History
from sqlmigrations.interruption import Interruption
from sqlmigrations.ledger import Ledger, Tracking
from sqlmigrations.masking import mask
from sqlmigrations.plan import Step
from sqlmigrations.recorder import Recorder
from sqlmigrations.records import AlreadyRecorded, RunMark
from sqlmigrations.transaction import ConnectionLost, Workplace
from sqlmigrations.types import Applied, Direction, Outcome, Result

# How long a row that somebody else has locked is waited for, to tell of a failure.
_TELL_WITHIN_MS = 1_000


@contextmanager
def visit(ledger: Ledger, mark: RunMark, wait_ms: int) -> Iterator[Guest]:
    """A block in the transaction that Django has open; the lock is Django's until that ends.

    Args:
        ledger: Whose lock, and whose tables.
        mark: Of all records that are made in it.
        wait_ms: How long to wait for another run, milliseconds.

    Raises:
        ConfigurationError: The role lacks rights, or the tables are somebody else's.
        DatabaseUnavailable: A standby, read-only, or the connection failed.
        LockNotObtained: Another run holds the lock.
    """
    try:
        with closing(DjangosConnection(mark.database)) as connection:
            tenure = Joined(connection, wait_ms)
            session = postgresql.join(connection, tenure)
            lock = lease.known(connection)
            if lock is None:
                announce = lease.announcing(mark.database)
                lock = locking.join(connection, LockKey.of(ledger.schema), wait_ms, announce)
                connection.show_itself()
            yield Guest(session, tenure, lock, ledger, mark)
    except StatementFailed as failed:
        raise DatabaseUnavailable(
            f"Django's connection failed: {failed.server.message.rstrip('.')}.",
            kept=f"Nothing has changed: the transaction of {mark.django} is rolled back.",
            remedy=f"Look whether the server answers ( {STATUS} ), then start again:  {APPLY}",
        ) from None


class Guest:
    """Works within a transaction of Django's.

    Attributes:
        rows: The ledger, read under the lock.
    """

    def __init__(self, session: Session, tenure: Joined, lock: HeldLock, ledger: Ledger, mark: RunMark) -> None:
        connection = session.connection
        tracking = rights.check_writing(connection, ledger)
        self.rows: tuple[Applied, ...] = ledger.read(connection) if tracking is Tracking.PRESENT else ()
        self._session = session
        self._tenure = tenure
        self._lock = lock
        self._mark = mark
        self._outcomes: list[Outcome] = []
        self._aside: Connection | None = None

    @property
    def queries(self) -> Queries:
        """For reading in the transaction."""
        return self._session.connection

    @contextmanager
    def working(self, recorder: Recorder, steps: int) -> Iterator[None]:
        """A block that is a run to listeners, events and whoever watches.

        Args:
            recorder: By whose hand what is done is recorded.
            steps: How many are going to be performed in it.
        """
        self._recorder, self._steps, self._own = recorder, steps, ExitStack()
        self._history = History(self._recorder, self._mark, self._session.pooling, self._session.role)
        with self._own, closing(Watcher(self._mark.database, self._history.watched)) as self._watcher:
            try:
                yield
            except BaseException as error:
                self._history.close(self._afterwards(), self._outcomes, error)
                raise
            self._history.close(self._session.connection, self._outcomes, None)

    def perform(self, step: Step) -> Outcome:
        """Applies a file and completes its record; both take effect when Django commits.

        Raises:
            MigrationFailed: Nothing of it is kept; the transaction has failed.
            UnsafePlan: A listener of ``migration_started`` vetoed it; it was not begun.
            IntegrityError: Somebody else records it at this moment.
        """
        self._history.ask(step)
        started = time.perf_counter()
        try:
            self._apply(step)
        except SqlMigrationsError as error:
            duration_ms = (time.perf_counter() - started) * 1000
            self._outcomes.append(Outcome(step.migration.id, Result.FAILED, duration_ms, 0))
            self._history.failed(self._afterwards(), step, error)
            raise
        outcome = self._outcome(step, (time.perf_counter() - started) * 1000)
        self._outcomes.append(outcome)
        self._history.done(step, outcome)
        return outcome

    def _apply(self, step: Step) -> None:
        place = Workplace(self._session, self._lock, self._recorder, self._mark, self._watcher, self._open)
        self._tenure.expect(step.script.statements)
        try:
            if step.founds:
                transaction.found(place, step)
                return
            self._history.open(self._session.connection, self._steps, step.direction.value)
            transaction.apply(place, step, 1)
        except ConnectionLost as lost:
            raise self._kept_nothing(step, lost.failure) from None
        except MigrationFailed as failure:
            failure.notices = self._notices(step)
            raise self._kept_nothing(step, failure) from None
        except AlreadyRecorded:
            raise IntegrityError(
                f"Another run records {step.migration.id} at this moment. Nothing was changed.",
                remedy="Let it end, then run  python manage.py sqlmigrate_apply",
            ) from None

    def _ended(self, failure: MigrationFailed) -> MigrationFailed:
        failure.kept = (
            f"What stood before a ROLLBACK was undone, what stood before a COMMIT took effect, the operations of "
            f"{self._mark.django} before it among it. What came after was not run, or is rolled back."
        )
        return failure

    def _kept_nothing(self, step: Step, failure: MigrationFailed) -> MigrationFailed:
        if failure.finding.rule == "transaction-control":
            return self._ended(failure)
        state = f"Nothing of {self._mark.django} was kept"
        if step.direction is Direction.BACKWARD:
            state = f"{self._mark.django} is in force as it was"
        failure.kept = failure.kept or f"{state}: its transaction is rolled back."
        return failure

    def _outcome(self, step: Step, duration_ms: float) -> Outcome:
        count = len(step.script.statements)
        result, note = Result.APPLIED if count else Result.EMPTY, f"in the transaction of {self._mark.django}"
        if step.direction is Direction.BACKWARD:
            result = Result.UNDONE
        return Outcome(step.migration.id, result, duration_ms, count, 1, self._notices(step), note)

    def _notices(self, step: Step) -> tuple[str, ...]:
        return tuple(mask(notice, step.secrets) for notice in self._session.connection.drain_notices())

    def _afterwards(self) -> Connection | None:
        """Where a failure is told of, for what is written in Django's transaction goes with it.

        Within a transaction of the caller's (a TestCase) nothing may outlive it.
        """
        if self._aside is None and not wrapper(self._mark.database).savepoint_ids:
            with suppress(DatabaseUnavailable):
                self._aside = self._open(0).connection
        return self._aside

    def _open(self, wait_s: float) -> Session:
        """A session of our own, for what has to be done outside of Django's transaction."""
        session = postgresql.open_work_session(self._mark.database, _TELL_WITHIN_MS, Interruption(), wait_s)
        self._own.callback(session.connection.close)
        return session
