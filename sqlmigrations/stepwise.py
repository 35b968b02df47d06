"""One file statement by statement: each recorded as it is done, the rest resumed by the next run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NoReturn

from sqlmigrations import alone, stops, takeover, together
from sqlmigrations.alone import Lonely, NotDone
from sqlmigrations.backends import fate
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.bookkeeping import Bookkeeper
from sqlmigrations.exceptions import DatabaseUnavailable, PartialMigration, SqlMigrationsError, StatementFailed
from sqlmigrations.ledger import Ledger
from sqlmigrations.plan import Step
from sqlmigrations.resume.journal import Begun
from sqlmigrations.resume.verdicts import Judgement, Problem, Resolution, Verdict
from sqlmigrations.sql import patience, units
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.units import Digest, Unit, Way
from sqlmigrations.takeover import Waiting
from sqlmigrations.together import Lost, RolledBack
from sqlmigrations.transaction import Workplace
from sqlmigrations.types import Direction, ServerError
from sqlmigrations.unwinding import Unwinder

_RESOLVE_S = 60
# The server tells only when it is tried: REINDEX of a partitioned table, a procedure that commits.
_NOT_IN_A_TRANSACTION = frozenset({"25001", "2D000"})


def apply(place: Workplace, step: Step, ledger: Ledger, waiting: Waiting, attempt: int) -> Verdict | None:
    """Applies a file, or runs its way back, or what earlier runs and attempts have left of it.

    Returns:
        What became of the statement that an earlier run had begun and not ended; ``None`` when there was none.

    Raises:
        MigrationFailed: Nothing of it was kept.
        MigrationStopped: A part of it was kept; recorded as partial.
        PartialMigration: An earlier run has left what cannot be resumed.
        LockNotObtained: A statement of an earlier run has not ended.
        LockLost: The lock connection no longer has the lock.
        DatabaseUnavailable: The connection was lost and the server does not answer.
        AlreadyRecorded: Another run applied it meanwhile.
    """
    walk = _Walk(place, step, ledger, waiting, attempt)
    try:
        walk.go()
    except Lost as lost:
        walk.look_after(lost)
        try:
            walk.go()
        except Lost as again:
            raise walk.broken(again) from None
    return walk.settled


class _Walk:
    """The way through the units of one file.

    Attributes:
        settled: What became of the statement that an earlier run had begun and not ended.
    """

    def __init__(self, place: Workplace, step: Step, ledger: Ledger, waiting: Waiting, attempt: int) -> None:
        self.settled: Verdict | None = None
        self._place = place
        self._step = step
        self._ledger = ledger
        self._waiting = waiting
        self._attempt = attempt
        self._goes_back = step.direction is Direction.BACKWARD
        books = Unwinder if self._goes_back else Bookkeeper
        self._books = books(place.recorder, place.run, place.lock, step)
        self._units, _ = units.cut(step.script.statements)
        self._digest = Digest()
        self._done = 0
        self._kept = False
        self._pid = 0
        self._begun: Begun | None = None
        self._in_doubt = False
        self._lost: Lost | None = None
        # The statement outside of a transaction that this run has sent last.
        self._sent = ""

    @property
    def _session(self) -> Session:
        return self._place.session

    def go(self) -> None:
        """From the first statement that is not done to the record.

        Raises:
            Lost: The connection went away.
        """
        with self._losing():
            self._open()
            for unit in self._units:
                if unit.last > self._done:
                    self._perform(unit)
            self._books.complete(self._session, self._attempt)

    def look_after(self, lost: Lost) -> None:
        """Connects again, and waits for a transaction that was being committed.

        Raises:
            DatabaseUnavailable: The server does not answer.
            Interrupted: Asked for meanwhile; what is done is recorded.
        """
        self._lost, self._attempt = lost, self._attempt + 1
        try:
            self._place = replace(self._place, session=self._place.reopen(0))
            if lost.xid:
                fate.settled(self._session.connection, lost.xid, time.monotonic() + _RESOLVE_S)
        except (DatabaseUnavailable, StatementFailed) as error:
            raise stops.unreachable(self._step, str(error)) from None

    def broken(self, lost: Lost) -> SqlMigrationsError:
        """The error for a connection that was lost a second time; the journal has what is done."""
        return stops.unreachable(self._step, lost.failed.server.message)

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except StatementFailed as failed:
            if failed.server.lost:
                raise Lost(failed) from None
            # One of ours was refused: the run is to end, a right was taken away, the disk is full.
            error = stops.refused(self._step, failed.server, self._done)
            # There may be no row yet.
            with suppress(StatementFailed, PartialMigration):
                if self._kept or self._sent or self._in_doubt:
                    self._books.stop(self._session, {"why": error.kept})
                else:
                    self._books.withdraw(self._session)
            raise error from None

    def _open(self) -> None:
        """Takes the lock of the file and its row, and makes the session what the statements done made it."""
        session = self._session
        self._pid = session.connection.query("SELECT pg_catalog.pg_backend_pid()")[0][0]
        taken = takeover.take(session, self._step, self._books, self._ledger, self._waiting)
        self._digest, self._begun, self._done = taken.digest, taken.begun, taken.done
        before = [unit for unit in self._units if unit.last <= taken.done]
        # Known before the row is ours: only a row of which nothing was kept is ever taken back.
        self._kept = any(unit.way is not Way.SESSION for unit in before)
        self._in_doubt = taken.begun is not None
        if taken.is_resumed:
            takeover.resume(session, self._step, self._books, taken)
        if taken.is_resumed and self._goes_back:
            # An index that is marked invalid may be all there is of it: the row does not say "applied" again.
            self._kept = True
            # Who goes back once more has decided: what the catalog does not know to be done is run again.
            self._begun = taken.begun and replace(taken.begun, resolution=Resolution.REDO)
        for unit in before:
            for index, statement in enumerate(unit.statements):
                if statement in unit.lasting:
                    self._send(unit, index)

    def _perform(self, unit: Unit) -> None:
        every = self._step.script.statements[unit.first - 1 : unit.last]
        digest = self._digest.with_more(every)
        started = time.perf_counter()
        is_done = unit.way is Way.TOGETHER and self._together(unit, digest.value)
        if not is_done:
            told = self._on_session(unit) if unit.way is Way.SESSION else self._alone(unit)
            took_ms = round((time.perf_counter() - started) * 1000, 3)
            self._books.advance(self._session, unit, digest.value, took_ms, **told)
        self._digest = digest
        self._done = unit.last
        self._kept = self._kept or unit.way is not Way.SESSION

    def _on_session(self, unit: Unit) -> dict[str, object]:
        self._books.check_lock(self._session)
        self._send(unit, 0)
        return {}

    def _together(self, unit: Unit, done_checksum: str) -> bool:
        """In a transaction with its record; ``False`` when the server wants it outside of one."""
        if self._begun is not None and self._begun.digest == Digest(unit.statements).value:
            return False
        try:
            together.run(self._place, self._step, self._books, unit, done_checksum, self._pid)
        except RolledBack as failed:
            sqlstate = failed.server.sqlstate if failed.server else ""
            if sqlstate in _NOT_IN_A_TRANSACTION and unit.first == unit.last:
                return False
            self._fail(failed.statement, failed.server, failed.problem, left=failed.left)
        return True

    def _alone(self, unit: Unit) -> dict[str, object]:
        (statement,) = unit.statements
        wait_ms = patience.alone_ms(statement, self._session.deadlock_timeout_ms, self._step.lock_timeout_ms)
        it = Lonely(self._step, statement, unit.first, wait_ms)
        begun, self._begun = self._begun, None
        try:
            if begun is not None and begun.digest == it.digest:
                if self._lost is not None and self._sent == it.digest:
                    alone.look_after(self._session, self._books, it, begun, self._lost.failed.server)
                    return {"found": True}
                judgement = alone.settle(self._session, self._books, it, begun)
                self.settled = judgement.verdict
                if judgement.verdict in (Verdict.DONE, Verdict.FINISH):
                    return {"found": True}
                it = replace(it, rebuilt=begun.rebuilt + (judgement.verdict is Verdict.REBUILD))
            self._sent = it.digest
            with self._place.watcher.watching(self._step, unit.first, statement, self._pid):
                alone.run(self._session, self._books, it)
        except NotDone as failed:
            self._fail(statement, failed.server, failed.judgement, left=failed.left)
        return {}

    def _send(self, unit: Unit, index: int) -> None:
        try:
            together.transmit(self._place, self._step, unit, index, self._pid)
        except StatementFailed as failed:
            if failed.server.lost:
                raise
            self._fail(unit.statements[index], failed.server)

    def _fail(
        self,
        statement: Statement,
        server: ServerError | None,
        judgement: Judgement | Problem | None = None,
        *,
        left: bool = False,
    ) -> NoReturn:
        """Nothing done and nothing left behind: as if it had never begun. Otherwise it is recorded as partial."""
        blockers = self._place.watcher.blockers()
        if not self._kept and not left:
            self._books.withdraw(self._session)
            raise stops.nothing_kept(self._step, statement, server, judgement, blockers)
        number = self._step.script.statements.index(statement) + 1
        error = stops.stopped(self._step, statement, number, self._done, server, judgement, blockers)
        told = {"number": number, "line": statement.line, "why": error.kept}
        self._books.stop(self._session, {**told, "decide": stops.waits_for_a_person(judgement)})
        raise error
