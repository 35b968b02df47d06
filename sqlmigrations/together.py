"""Statements of a file that is no transaction which run in one of their own, together with their record."""

from __future__ import annotations

import time

from sqlmigrations import sending
from sqlmigrations.backends.locking import HELD
from sqlmigrations.bookkeeping import Bookkeeper
from sqlmigrations.dispatch import Dispatch, PassedOver, Refused
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.plan import Step
from sqlmigrations.recorder import opening
from sqlmigrations.records import NotRecorded
from sqlmigrations.resume.verdicts import Problem, Way
from sqlmigrations.sql import patience
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.units import Unit
from sqlmigrations.transaction import Workplace
from sqlmigrations.types import ServerError

# A COMMIT or ROLLBACK in it that the server saw and we did not.
_ENDED = Problem(
    "The transaction ended inside the file: what stood before a ROLLBACK was undone, what stood before a COMMIT took "
    "effect, and so did what came after either, unless AND CHAIN stood there.",
    (Way("Remove the COMMIT or ROLLBACK from the file, and undo what took effect"),),
)


class RolledBack(Exception):
    """A statement was refused, or has not done what it says; nothing of the transaction was kept.

    Attributes:
        server: What the server said; ``None`` when it reported success.
        problem: What is wrong then.
        left: Whether something of it was kept all the same.
    """

    def __init__(
        self, statement: Statement, server: ServerError | None, problem: Problem | None = None, *, left: bool = False
    ) -> None:
        super().__init__(statement.text)
        self.statement = statement
        self.server = server
        self.problem = problem
        self.left = left


class Lost(Exception):
    """The connection went away; ``xid`` is the transaction that was being committed."""

    def __init__(self, failed: StatementFailed, xid: str | None = None) -> None:
        super().__init__(failed.server.message)
        self.failed = failed
        self.xid = xid


def run(place: Workplace, step: Step, books: Bookkeeper, unit: Unit, done_checksum: str, pid: int) -> None:
    """Runs the statements of a unit and records it, in one transaction.

    Args:
        place: The session, the lock and who watches.
        step: The file.
        books: Its row and journal.
        unit: What is run.
        done_checksum: Of all statements up to its last.
        pid: The server process.

    Raises:
        RolledBack: A statement was refused.
        Lost: The connection went away during COMMIT.
        StatementFailed: It went away before.
        LockLost: The migration lock is held no longer.
    """
    started = time.perf_counter()
    xid = _begin(place, books, unit)
    _run_statements(place, step, unit, pid)
    took_ms = round((time.perf_counter() - started) * 1000, 3)
    last = unit.statements[-1] if unit.statements else step.script.statements[unit.last - 1]
    try:
        books.advance_within(place.session, unit, done_checksum, took_ms, xid)
    except NotRecorded:
        raise _ended(place, last) from None
    except StatementFailed as failed:
        # A constraint that is checked at the end.
        raise _rolled_back(place, last, failed.server) from None
    try:
        place.connection.query("COMMIT")
    except StatementFailed as failed:
        raise Lost(failed, xid) if failed.server.lost else RolledBack(last, failed.server) from None


def _run_statements(place: Workplace, step: Step, unit: Unit, pid: int) -> None:
    timetable = patience.timetable(unit.statements, place.session.deadlock_timeout_ms, step.lock_timeout_ms)
    sending.set_timeouts(place.connection, step, timetable.at(0))
    dispatch = Dispatch(place.connection, place.watcher, step, pid, place.audience, unit.number(0) - 1)
    try:
        dispatch.send(unit.statements, timetable)
    except Refused as refused:
        raise _rolled_back(place, refused.statement, refused.server) from None
    except PassedOver as passed:
        place.connection.query("ROLLBACK")
        raise RolledBack(passed.statement, None, passed.problem) from None
    except NotRecorded:
        raise _ended(place, unit.statements[-1]) from None


def transmit(place: Workplace, step: Step, unit: Unit, index: int, pid: int) -> None:
    """Sends one statement of a unit, watched.

    Raises:
        StatementFailed: The server refused it, or the connection is gone.
    """
    connection, statement = place.connection, unit.statements[index]
    with place.watcher.watching(step, unit.number(index), statement, pid):
        sending.send(connection, statement)
    sending.keep_encoding(connection, statement)


def _begin(place: Workplace, books: Bookkeeper, unit: Unit) -> str:
    sql = f"{opening(unit.isolation)}SELECT pg_catalog.pg_current_xact_id()::text, {HELD}"
    xid, held = place.connection.query(sql, [place.lock.token])[0]
    if not held:
        place.connection.query("ROLLBACK")
        books.check_lock(place.session)
    return str(xid)


def _rolled_back(place: Workplace, statement: Statement, server: ServerError) -> Exception:
    if server.lost:
        return StatementFailed(server)
    place.connection.query("ROLLBACK")
    return RolledBack(statement, server)


def _ended(place: Workplace, statement: Statement) -> RolledBack:
    place.connection.query("ROLLBACK")
    return RolledBack(statement, None, _ENDED, left=True)
