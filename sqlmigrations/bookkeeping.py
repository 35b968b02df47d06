"""Writes the journal of a file that runs statement by statement; what the recorder is for files in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from sqlmigrations import provenance
from sqlmigrations.aftermath import RESUMED
from sqlmigrations.backends.base import Connection, Row
from sqlmigrations.backends.locking import HELD, HeldLock
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.exceptions import PartialMigration, StatementFailed
from sqlmigrations.keeping import KEEP, contents, down_checksum, kept
from sqlmigrations.plan import Step
from sqlmigrations.recorder import CHECK_CONSTRAINTS, EVENT, RESTORE_PATH, RESTORE_ROLE, Recorder, row
from sqlmigrations.records import AlreadyRecorded, RunMark, lock_lost
from sqlmigrations.resume import journal
from sqlmigrations.sql.units import DONE_CHECKSUM, STOPPED, Unit
from sqlmigrations.types import Applied

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
# The file may have set any of it for its own statements.
_OURS = (
    RESTORE_ROLE
    + RESTORE_PATH
    + "SELECT pg_catalog.set_config('lock_timeout', '0', true), pg_catalog.set_config('statement_timeout', '0', true);"
)

_RESUME = """
UPDATE {ledger}
   SET state = 'running', run_id = %s::uuid, mode = 'statements', checksum = %s, sql_checksum = %s,
       checksum_algorithm = %s, statements_total = %s, tool_version = %s, metadata = metadata - 'stopped'
 WHERE label = %s AND key = %s AND state IN ('running', 'partial')
RETURNING 1
"""
_ADVANCE = """
UPDATE {ledger}
   SET statements_done = %s, execution_ms = coalesce(execution_ms, 0) + %s, metadata = metadata || %s::jsonb
 WHERE label = %s AND key = %s AND state = 'running' AND run_id = %s::uuid
RETURNING 1
"""
_STOP = """
UPDATE {ledger} SET state = 'partial', metadata = metadata || %s::jsonb
 WHERE label = %s AND key = %s AND state = 'running' AND run_id = %s::uuid
RETURNING 1
"""
_WITHDRAW = """
DELETE FROM {ledger} WHERE label = %s AND key = %s AND state = 'running' AND run_id = %s::uuid RETURNING 1
"""
_COMPLETE = """
UPDATE {ledger}
   SET state = 'applied', statements_done = statements_total, execution_ms = coalesce(execution_ms, 0),
       metadata = (metadata - ARRAY['done_checksum', 'stopped']) || %s::jsonb,
       applied_at = pg_catalog.clock_timestamp()
 WHERE label = %s AND key = %s AND state = 'running' AND run_id = %s::uuid
RETURNING execution_ms
"""
# As the event of what is completed: in another transaction than the one it tells of, its column stays empty.
_EVENT_WITHIN = EVENT.replace("%s::uuid", "CASE WHEN pg_catalog.pg_current_xact_id()::text = %s THEN %s::uuid END", 1)


class Far(NamedTuple):
    """How far an earlier run came.

    Attributes:
        done: How many statements are done.
        checksum: Of these, where they have to be the same still.
    """

    done: int
    checksum: str | None = None


class Bookkeeper:
    """The row and the journal of one file, in one run."""

    ADVANCE: ClassVar[str] = _ADVANCE
    STOP: ClassVar[str] = _STOP
    WITHDRAW: ClassVar[str] = _WITHDRAW

    def __init__(self, recorder: Recorder, run: RunMark, lock: HeldLock, step: Step) -> None:
        self._recorder = recorder
        self._run = run
        self._lock = lock
        self._step = step
        migration = step.migration
        self._kept = kept(migration, step.passwords, step.secrets) if run.keep_sql else []
        self._row = [migration.label, migration.key, str(run.id)]

    def far(self, row: Applied | None) -> Far | None:
        """How far an earlier run came, by the row; ``None`` when nobody has begun.

        Raises:
            AlreadyRecorded: It came to its end.
        """
        if row is None:
            return None
        if not row.is_half_done:
            raise AlreadyRecorded
        return Far(row.statements_done, str(row.metadata.get(DONE_CHECKSUM)))

    def open(self, session: Session) -> None:
        """Makes the row of a file that nobody has begun.

        Raises:
            AlreadyRecorded, LockNotObtained, LockLost, StatementFailed: As from ``Recorder.claim``.
        """
        try:
            self._recorder.claim(session, self._step, self._run, self._lock, 0, _BEGIN)
            detail = {"statements": len(self._step.script.statements)}
            texts, params = KEEP.format(**self._recorder.names), contents(self._kept)
            sql, told = self._event(journal.BEGUN, detail)
            session.connection.query(f"{texts};{sql};COMMIT", [*params, *told])
        except BaseException:
            _roll_back(session.connection)
            raise

    def resume(self, session: Session, number: int) -> None:
        """Takes over the row of a file that an earlier run has begun.

        Args:
            session: The work connection.
            number: The statement it goes on with, from 1.
        """
        own = row(self._step, self._run)
        checksums, total, version = own[5:8], own[9], own[11]
        params = [str(self._run.id), *checksums, total, version, *self._row[:2]]
        self._write(session, journal.RESUMED, {"number": number}, _RESUME, params)

    def check_lock(self, session: Session) -> None:
        """Looks whether the migration lock is held still.

        Raises:
            LockLost: It is not.
        """
        if not session.connection.query(f"SELECT {HELD}", [self._lock.token])[0][0]:
            lost = lock_lost(self._step.migration.id)
            lost.kept = RESUMED
            raise lost

    def note(self, session: Session, event: str, detail: Mapping[str, object]) -> None:
        """Adds an event that leaves the row as it is."""
        self._write(session, event, detail)

    def advance(self, session: Session, unit: Unit, done_checksum: str, took_ms: float, **detail: object) -> None:
        """Records that a unit is done.

        Args:
            session: The work connection.
            unit: What is done.
            done_checksum: Of all statements up to its last.
            took_ms: Milliseconds.
            detail: More for the event.
        """
        event, told = journal.FINISHED, {**_place(unit), "execution_ms": took_ms, **detail}
        params = self._advanced(unit, done_checksum, took_ms)
        self._write(session, event, told, self.ADVANCE, params)

    def advance_within(self, session: Session, unit: Unit, done_checksum: str, took_ms: float, xid: str) -> None:
        """Records that a unit is done in the transaction that did it, ``xid``, which has to be committed.

        Raises:
            NotRecorded: This is no longer that transaction.
            StatementFailed: A deferred constraint does not hold, or the connection went away.
        """
        _, params = self._event(journal.FINISHED, {**_place(unit), "execution_ms": took_ms})
        sql = f"{_EVENT_WITHIN};{self.ADVANCE}".format(**self._recorder.names)
        try:
            told = session.connection.query(
                f"{RESTORE_ROLE}{CHECK_CONSTRAINTS}{RESTORE_PATH}{sql}",
                [session.role, xid, *params, *self._advanced(unit, done_checksum, took_ms)],
            )
        except StatementFailed as failed:
            raise (self._recorder.elsewhere(failed.server) or failed) from None
        self._insist(told)

    def stop(self, session: Session, stopped: Mapping[str, object]) -> None:
        """Records that it stopped half way, and where."""
        self._write(session, "", {}, self.STOP, [json.dumps({STOPPED: stopped}), *self._row])

    def withdraw(self, session: Session) -> None:
        """Takes back the row of a file of which nothing was kept."""
        self._write(session, "", {}, self.WITHDRAW, self._row)

    def complete(self, session: Session, attempts: int) -> None:
        """Records that all of it is done, with its texts."""
        metadata = down_checksum(self._step.migration, self._kept)
        params, complete = contents(self._kept), f"{KEEP};{_COMPLETE}"
        checksum, sql_checksum = row(self._step, self._run)[5:7]
        detail: dict[str, object] = {"statements": len(self._step.script.statements), "attempts": attempts}
        detail |= {"checksum": checksum, "sql_checksum": sql_checksum}
        self._write(session, "applied", detail, complete, [*params, json.dumps(metadata), *self._row])

    def _advanced(self, unit: Unit, done_checksum: str, took_ms: float) -> list[object]:
        return [unit.last, took_ms, json.dumps({DONE_CHECKSUM: done_checksum}), *self._row]

    def _event(self, event: str, detail: Mapping[str, object]) -> tuple[str, list[object]]:
        migration, by = self._step.migration, provenance.collect()
        params: list[object] = [str(self._run.id), event, migration.label, migration.key, migration.name]
        params += [by.os_user, by.host, by.pid, by.git_commit, json.dumps({**detail, **self._run.marks})]
        return EVENT.format(**self._recorder.names), params

    def _write(
        self,
        session: Session,
        event: str,
        detail: Mapping[str, object],
        change: str = "",
        params: Sequence[object] = (),
    ) -> None:
        """In a transaction of its own, as the role that may; the file's session is afterwards what it was."""
        told, values = self._event(event, detail) if event else ("", [])
        parts = [part for part in (told, change.format(**self._recorder.names)) if part]
        try:
            rows = session.connection.query(f"{_BEGIN}{_OURS}{';'.join(parts)}", [session.role, *values, *params])
            if change:
                self._insist(rows)
            session.connection.query("COMMIT")
        except BaseException:
            _roll_back(session.connection)
            raise

    def _insist(self, rows: Sequence[Row]) -> None:
        if not rows:
            id = self._step.migration.id
            raise PartialMigration(
                f"The row of {id} in schema_migrations was changed or removed while its statements ran. What they did "
                "is kept.",
                remedy="Find out who did that; then look:  python manage.py sqlmigrate_status",
            )


def _place(unit: Unit) -> dict[str, object]:
    return {"number": unit.last, "line": unit.statements[0].line if unit.statements else None}


def _roll_back(connection: Connection) -> None:
    try:
        connection.query("ROLLBACK")
    except StatementFailed:
        # The connection is gone, and with it the transaction.
        connection.close()
