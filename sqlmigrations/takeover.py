"""Makes the file of a run its own: waits for what an earlier one left running, and takes its row and journal over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlmigrations import alone, inquiry, stops
from sqlmigrations.backends import locking
from sqlmigrations.backends.locking import STATEMENTS, Holder, LockKey
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.bookkeeping import Bookkeeper
from sqlmigrations.ledger import Ledger
from sqlmigrations.plan import Step
from sqlmigrations.resume.journal import Begun
from sqlmigrations.sql.units import Digest


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a statement that outlived its runner is waited for, milliseconds, and who is told."""

    wait_ms: int
    tell: Callable[[Holder | None], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """How far a file came before.

    Attributes:
        done: How many of its statements are done.
        digest: Of these.
        begun: The one that was begun after them and did not end.
        is_resumed: There was a row, which is an earlier run's still.
    """

    done: int
    digest: Digest
    begun: Begun | None
    is_resumed: bool


def take(session: Session, step: Step, books: Bookkeeper, ledger: Ledger, waiting: Waiting) -> Taken:
    """Takes the lock of the files that run statement by statement, and makes or reads the row of this one.

    Raises:
        LockNotObtained: A statement of an earlier run has not ended.
        AlreadyRecorded: Another run applied or undid it meanwhile.
        PartialMigration: What is done is not what the file says.
        LockLost, StatementFailed: As from the bookkeeper.
    """
    key = LockKey.of(ledger.schema, STATEMENTS)
    locking.hold(session.connection, key, waiting.wait_ms, waiting.tell)
    row = ledger.find(session.connection, step.migration.label, step.migration.key)
    far = books.far(row)
    if far is None:
        books.open(session)
        return Taken(0, Digest(), None, is_resumed=False)
    done, digest = far.done, Digest(step.script.statements[: far.done])
    if done and far.checksum not in (None, digest.value):
        raise stops.changed(step, done)
    books.check_lock(session)
    return Taken(done, digest, inquiry.begun_in(ledger, session.connection, step.migration), is_resumed=True)


def resume(session: Session, step: Step, books: Bookkeeper, taken: Taken) -> None:
    """Makes the row of an earlier run this one's.

    Raises:
        PartialMigration: A statement that is no longer in the file has left something.
        StatementFailed: As from the bookkeeper.
    """
    books.resume(session, taken.done + 1)
    if taken.begun is not None:
        _look_for(session, step, books, taken.begun, taken.done)


def _look_for(session: Session, step: Step, books: Bookkeeper, begun: Begun, done: int) -> None:
    """A statement that was begun may be gone from the file; what it left is not forgotten with it."""
    remaining = step.script.statements[done:]
    if begun.resolution is not None or any(Digest([each]).value == begun.digest for each in remaining):
        return
    if (judgement := alone.abandoned(session, begun)) is not None:
        error = stops.abandoned(step, begun, judgement)
        told = {"number": begun.number, "line": begun.line, "why": error.kept, "decide": True}
        books.stop(session, told)
        raise error
