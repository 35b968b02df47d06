"""One file in one transaction: row first, its statements, row completed, COMMIT, and the truth about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from sqlmigrations import stops
from sqlmigrations.backends import fate
from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.fate import Fate
from sqlmigrations.backends.locking import HeldLock
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.backends.watcher import Watcher
from sqlmigrations.dispatch import Dispatch, PassedOver, Refused
from sqlmigrations.exceptions import DatabaseUnavailable, Interrupted, MigrationFailed, StatementFailed
from sqlmigrations.failure import outcome_unknown, report, row_removed, transaction_ended
from sqlmigrations.plan import Step
from sqlmigrations.recorder import Recorder, begin
from sqlmigrations.records import Claim, NotRecorded, Ran, RowRemoved, RunMark, Settled
from sqlmigrations.sql import patience, statements
from sqlmigrations.sql.patience import Timetable
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import telling
from sqlmigrations.types import Audience, Pooling, ServerError

_TRANSACTION_TIMEOUT = "25P04"
_RESOLVE_S = 60


class ConnectionLost(Exception):
    """The work connection went away before COMMIT: the server rolls the file back, it may be tried once more."""

    def __init__(self, failure: MigrationFailed) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Workplace:
    """What an attempt needs to run a file: a session, the lock, the records, and who watches and follows it."""

    session: Session
    lock: HeldLock
    recorder: Recorder
    run: RunMark
    watcher: Watcher
    reopen: Callable[[float], Session]
    audience: Audience = Audience.LATER
    begun: float = field(default_factory=time.monotonic)

    @property
    def connection(self) -> Connection:
        """The work connection."""
        return self.session.connection


def apply(place: Workplace, step: Step, attempt: int) -> float:
    """Applies a file.

    Returns:
        Milliseconds from BEGIN to before COMMIT.

    Raises:
        MigrationFailed: Rolled back.
        ConnectionLost: Rolled back by the server, before COMMIT.
        OutcomeUnknown: The connection went away during COMMIT and the server stays away.
        AlreadyRecorded, LockNotObtained, LockLost: From the fence; nothing was changed.
    """
    started = time.perf_counter()
    timetable = _timetable(place, step)
    claim = _claim(place, step, begin(step), timetable.at(0))
    # Something was in the way: it is looked at more closely, and waited for at one statement only.
    audience = place.audience if attempt == 1 else Audience.LIVE
    try:
        _run_statements(place, step, claim.pid, timetable, audience)
        return _finish(place, claim, started, attempt)
    except NotRecorded:
        # What the file did to the session took effect with it, a role without rights on our tables among it.
        place.recorder.withdraw(place.reopen(0).connection, claim)
        raise transaction_ended(step) from None


def found(place: Workplace, step: Step) -> float:
    """Applies the file that makes the tracking tables: its own row can only come last.

    Returns:
        Milliseconds from BEGIN to before COMMIT.

    Raises:
        MigrationFailed: Rolled back.
    """
    started = time.perf_counter()
    with _reporting(place, step):
        opening, settings = place.session.tenure.begin(begin(step))
        opening += place.recorder.create_schema() + "SELECT pg_catalog.pg_backend_pid()"
        pid = place.connection.query(opening, settings)[0][0]
    timetable = _timetable(place, step)
    _run_statements(place, step, pid, timetable, place.audience)
    claim = _claim(place, step, "", timetable.at(0))
    return _finish(place, claim, started, 1)


def fake(place: Workplace, step: Step) -> None:
    """Records a file without running it."""
    claim = _claim(place, step, begin(step), _timetable(place, step).at(0))
    _close(place, claim, Ran("faked", None, 0))


def _timetable(place: Workplace, step: Step) -> Timetable:
    return patience.timetable(step.script.statements, place.session.deadlock_timeout_ms, step.lock_timeout_ms)


def _claim(place: Workplace, step: Step, prologue: str, lock_timeout_ms: int) -> Claim:
    with _reporting(place, step):
        return place.recorder.claim(place.session, step, place.run, place.lock, lock_timeout_ms, prologue)


def _run_statements(place: Workplace, step: Step, pid: int, timetable: Timetable, audience: Audience) -> None:
    dispatch = Dispatch(place.connection, place.watcher, step, pid, audience)
    with _reporting(place, step):
        try:
            dispatch.send(step.script.statements, timetable)
            if not place.session.tenure.commit:
                # What comes after it in the transaction is not ours.
                dispatch.release()
        except PassedOver as passed:
            raise stops.unsound(step, passed.statement, passed.problem) from None


def _finish(place: Workplace, claim: Claim, started: float, attempt: int) -> float:
    execution_ms = round((time.perf_counter() - started) * 1000, 3)
    _close(place, claim, Ran("applied", execution_ms, len(claim.step.script.statements), attempt))
    return execution_ms


def _close(place: Workplace, claim: Claim, ran: Ran) -> None:
    """Completes the row and commits; where the answer never comes, looks which of the two it was."""
    step = claim.step
    try:
        with _watched(place, claim):
            place.recorder.close(place.session, claim, place.run, ran, _settled(place.session, step))
    except RowRemoved:
        _rollback(place)
        raise row_removed(step) from None
    except StatementFailed as failed:
        in_doubt = failed.server.lost and place.session.tenure.commit
        if in_doubt and failed.server.sqlstate != _TRANSACTION_TIMEOUT:
            with place.connection.interruption.shielded():
                _resolve(place, claim, failed)
        else:
            _give_up(place, step, None, failed.server)
    except BaseException:
        _rollback(place)
        raise


@contextmanager
def _watched(place: Workplace, claim: Claim) -> Iterator[None]:
    """The end of a file takes long as well, where constraints are checked then or a standby has to confirm it."""
    if not (every := claim.step.script.statements):
        yield
        return
    with place.watcher.watching(claim.step, len(every), every[-1], claim.pid):
        yield


def _settled(session: Session, step: Step) -> Settled:
    if session.pooling is Pooling.TRANSACTION:
        # It goes to others next: nothing may be overlooked in it.
        return Settled.PERHAPS_NOT
    for _, statement in telling(step.script.statements):
        if statements.sets(statement) is not None or statements.touches_session(statement):
            return Settled.PERHAPS_NOT
    return Settled.YES


def _resolve(place: Workplace, claim: Claim, failed: StatementFailed) -> None:
    """Finds out whether a COMMIT whose answer never came took effect.

    A commit waiting for a synchronous standby is invisible and still in progress: it is waited for.
    """
    deadline = time.monotonic() + _RESOLVE_S
    recorded = None
    while recorded is None:
        try:
            recorded = _looked_up(place, claim, deadline)
        except StatementFailed as again:
            # A server whose crash is a moment old lets somebody in that it ends with all the others.
            if not again.server.lost or time.monotonic() > deadline:
                raise outcome_unknown(claim.step) from None
        except (DatabaseUnavailable, Interrupted):
            raise outcome_unknown(claim.step) from None
    if not recorded:
        raise ConnectionLost(report(claim.step, None, _completed(place, failed.server)))


def _looked_up(place: Workplace, claim: Claim, deadline: float) -> bool:
    """Whether the record is there, by a new connection."""
    connection = place.reopen(max(0.0, deadline - time.monotonic())).connection
    ended = fate.settled(connection, claim.xid, deadline)
    if ended is Fate.IN_PROGRESS:
        raise outcome_unknown(claim.step)
    # With the very first transaction the table that could be asked is gone as well.
    return ended is not Fate.ABORTED and place.recorder.is_recorded(connection, claim, place.run)


@contextmanager
def _reporting(place: Workplace, step: Step) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        _give_up(place, step, refused.statement, refused.server)
    except StatementFailed as failed:
        _give_up(place, step, None, failed.server)
    except BaseException:
        _rollback(place)
        raise


def _give_up(place: Workplace, step: Step, statement: Statement | None, said: ServerError) -> NoReturn:
    server = _completed(place, said)
    failure = report(step, statement, server, place.watcher.blockers() if statement else ())
    if server.sqlstate == _TRANSACTION_TIMEOUT and not server.others:
        # It ended the connection, but another would meet the same end: the file is not tried again, unless to learn
        # which statement it was.
        place.reopen(0)
    elif server.lost:
        raise ConnectionLost(failure) from None
    else:
        _rollback(place)
    raise failure from None


def _completed(place: Workplace, server: ServerError) -> ServerError:
    """With the state that psycopg2 drops: no transaction gets older than transaction_timeout, and then it is that."""
    timeout = place.session.transaction_timeout_s
    ended = server.lost and not server.sqlstate and 0 < timeout <= time.monotonic() - place.begun
    return replace(server, sqlstate=_TRANSACTION_TIMEOUT) if ended else server


def _rollback(place: Workplace) -> None:
    if not place.session.tenure.rollback:
        return  # Who began it ends it: what was raised makes Django do so.
    try:
        with place.connection.interruption.shielded():
            place.connection.query(place.session.tenure.rollback)
    except StatementFailed:
        # The connection is gone, and with it the transaction.
        place.connection.close()
