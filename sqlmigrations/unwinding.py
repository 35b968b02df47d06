"""The bookkeeper's hand for a way back that runs statement by statement: from the row in force to none."""

from __future__ import annotations

import json
from typing import ClassVar

from sqlmigrations import provenance
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.bookkeeping import Bookkeeper, Far
from sqlmigrations.exceptions import IntegrityError
from sqlmigrations.keeping import KEEP, contents
from sqlmigrations.records import AlreadyRecorded
from sqlmigrations.resume import journal
from sqlmigrations.retreat import UNDOING, retreat
from sqlmigrations.sql.units import DONE_CHECKSUM, STOPPED, Digest, Unit
from sqlmigrations.types import Applied

_MINE = f"WHERE label = %s AND key = %s AND state = 'partial' AND metadata -> '{UNDOING}' ->> 'run_id' = %s"

_BEGIN = f"""
UPDATE {{ledger}}
   SET state = 'partial', metadata = metadata || pg_catalog.jsonb_build_object('{UNDOING}', %s::jsonb)
 WHERE label = %s AND key = %s AND state = 'applied'
RETURNING 1
"""
_RESUME = f"""
UPDATE {{ledger}}
   SET metadata = metadata || pg_catalog.jsonb_build_object(
           '{UNDOING}', (metadata -> '{UNDOING}') - '{STOPPED}' || %s::jsonb)
 WHERE label = %s AND key = %s AND state = 'partial' AND metadata -> '{UNDOING}' IS NOT NULL
RETURNING 1
"""
_ADD = f"""
UPDATE {{ledger}}
   SET metadata = metadata || pg_catalog.jsonb_build_object('{UNDOING}', (metadata -> '{UNDOING}') || %s::jsonb)
 {_MINE}
RETURNING 1
"""
_WITHDRAW = f"UPDATE {{ledger}} SET state = 'applied', metadata = metadata - '{UNDOING}' {_MINE} RETURNING 1"
_COMPLETE = f"""
WITH removed AS (DELETE FROM {{ledger}} AS m {_MINE} RETURNING pg_catalog.to_jsonb(m) AS row)
INSERT INTO {{events}} (run_id, event, label, key, name, os_user, host, pid, git_commit, detail)
SELECT %s::uuid, 'rolled_back', %s, %s, %s, %s, %s, %s, %s,
       %s::jsonb || pg_catalog.jsonb_build_object('row', r.row)
  FROM removed AS r
RETURNING 1
"""


class Unwinder(Bookkeeper):
    """The row of a file while its way back runs, and the journal of that; the file of its step is the way back."""

    ADVANCE: ClassVar[str] = _ADD
    STOP: ClassVar[str] = _ADD
    WITHDRAW: ClassVar[str] = _WITHDRAW

    _took_ms = 0.0
    # The connection may be lost while the row is deleted: it is our own doing then that there is none.
    _has_ended = False

    def far(self, row: Applied | None) -> Far | None:
        """See ``Bookkeeper``; where the statements that are done were changed, it begins again.

        Raises:
            AlreadyRecorded: It came to its end: this one has deleted the row.
            IntegrityError: Somebody else did, or changed it.
        """
        if row is None and self._has_ended:
            raise AlreadyRecorded
        if row is not None and not row.is_half_done:
            return None
        before = retreat(row) if row is not None else None
        if before is None:
            raise IntegrityError(
                f"The record of {self._step.migration.id} was changed or removed meanwhile, by somebody else.",
                remedy="Look at it: python manage.py sqlmigrate_status",
            )
        self._took_ms = before.execution_ms
        return Far(before.done_of(self._step.script.statements))

    def open(self, session: Session) -> None:
        """Marks the row as one that is being undone.

        Raises:
            PartialMigration: It is no longer in force.
            LockLost, StatementFailed: As of the others.
        """
        self.check_lock(session)
        total = len(self._step.script.statements)
        params = [*contents(self._kept), json.dumps(self._mark(0)), *self._row[:2]]
        detail = {"statements": total, "down_checksum": self._step.migration.file.checksum}
        self._write(session, journal.UNDOING, detail, f"{KEEP};{_BEGIN}", params)

    def resume(self, session: Session, number: int) -> None:
        """See ``Bookkeeper``."""
        params = [json.dumps(self._mark(number - 1)), *self._row[:2]]
        self._write(session, journal.RESUMED, {"number": number}, _RESUME, params)

    def complete(self, session: Session, attempts: int) -> None:
        """Deletes the row, with its last content in the event."""
        migration, by = self._step.migration, provenance.collect()
        statements = self._step.script.statements
        detail: dict[str, object] = {"execution_ms": self._took_ms, "statements": len(statements)}
        detail |= {"attempts": attempts, "down_checksum": migration.file.checksum, **self._run.marks}
        params = [*contents(self._kept), *self._row, str(self._run.id), migration.label, migration.key, migration.name]
        params += [by.os_user, by.host, by.pid, by.git_commit, json.dumps(detail)]
        self._has_ended = True
        self._write(session, "", {}, f"{KEEP};{_COMPLETE}", params)

    def _mark(self, done: int) -> dict[str, object]:
        statements = self._step.script.statements
        return {
            "run_id": str(self._run.id),
            "back_to": self._run.back_to,
            "checksum": self._step.migration.file.checksum,
            "statements_done": done,
            "statements_total": len(statements),
            DONE_CHECKSUM: Digest(statements[:done]).value,
            "execution_ms": self._took_ms,
        }

    def _advanced(self, unit: Unit, done_checksum: str, took_ms: float) -> list[object]:
        self._took_ms = round(self._took_ms + took_ms, 3)
        far = {"statements_done": unit.last, DONE_CHECKSUM: done_checksum, "execution_ms": self._took_ms}
        return [json.dumps(far), *self._row]
