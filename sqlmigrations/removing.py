"""The recorder's hand for going back: locks the row of a file while its way back runs, and removes it."""

from __future__ import annotations

import json

from sqlmigrations import provenance
from sqlmigrations.backends.base import Queries
from sqlmigrations.backends.locking import HELD, HeldLock
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.exceptions import IntegrityError, LockNotObtained, StatementFailed
from sqlmigrations.keeping import KEEP, contents, kept
from sqlmigrations.ledger import Ledger
from sqlmigrations.plan import Step
from sqlmigrations.recorder import CHECK_CONSTRAINTS, RESTORE_PATH, RESTORE_ROLE, Recorder
from sqlmigrations.records import Claim, Ran, RunMark, Settled, Telling, lock_lost
from sqlmigrations.types import Applied

_LOCK_TIMEOUT = "55P03"

# The fence: whoever else goes back waits here. A row that stays as it is says the truth if the way back breaks off.
_SEIZE = """
SELECT 1 FROM {ledger} WHERE label = %s AND key = %s AND run_id = %s::uuid AND state = 'applied' FOR UPDATE
"""
_SETTLE = """
SELECT pg_catalog.set_config('lock_timeout', %s, true),
       CASE WHEN %s::text IS NOT NULL THEN pg_catalog.set_config('statement_timeout', %s, true) END,
       pg_catalog.pg_current_xact_id()::text, pg_catalog.pg_backend_pid(), {held}
"""
# As of what is completed: the columns that may not be empty stay so in another transaction, or without the row.
_REMOVE = """
WITH removed AS (
    DELETE FROM {ledger} AS m WHERE label = %s AND key = %s AND run_id = %s::uuid AND state = 'applied'
    RETURNING m.key, pg_catalog.to_jsonb(m) AS row
)
INSERT INTO {events} (run_id, event, label, key, name, os_user, host, pid, git_commit, detail)
SELECT CASE WHEN pg_catalog.pg_current_xact_id()::text = %s THEN %s::uuid END,
       CASE WHEN r.key IS NOT NULL THEN 'rolled_back' END, %s, %s, %s, %s, %s, %s, %s,
       %s::jsonb || pg_catalog.jsonb_build_object('row', r.row)
  FROM (SELECT) AS always LEFT JOIN removed AS r ON true
"""


class Remover(Recorder):
    """Takes the place of the recorder where the file of a step is the way back of a row.

    Args:
        ledger: The tables.
        row: What is undone.
        telling: See ``Recorder``.
    """

    def __init__(self, ledger: Ledger, row: Applied, telling: Telling = Telling.BY_ITSELF) -> None:
        super().__init__(ledger, telling)
        self._row = row
        self._what = [row.label, row.key, str(row.run_id)]

    def claim(
        self, session: Session, step: Step, run: RunMark, lock: HeldLock, lock_timeout_ms: int, prologue: str
    ) -> Claim:
        """See ``Recorder``; the row is locked, not inserted.

        Raises:
            IntegrityError: Somebody else was faster: the row is gone, or another one.
            LockNotObtained: Another session holds the row for longer than it is waited for.
            LockLost: The lock connection no longer has the lock.
            StatementFailed: Anything else the server refuses.
        """
        opening, settings = session.tenure.begin(prologue) if prologue else ("", [])
        try:
            found = session.connection.query(opening + _SEIZE.format(**self.names), [*settings, *self._what])
        except StatementFailed as failed:
            if failed.server.sqlstate != _LOCK_TIMEOUT:
                raise
            raise LockNotObtained(
                f"Another session holds the record of {self._row.id}. Nothing was changed.",
                remedy="Wait for it, or end it, and start again.",
            ) from None
        if not found:
            raise IntegrityError(
                f"The record of {self._row.id} was changed or removed meanwhile. Nothing was changed.",
                remedy="Look at it: python manage.py sqlmigrate_status",
            )
        timeout = None if step.statement_timeout_ms is None else str(step.statement_timeout_ms)
        params = [str(lock_timeout_ms), timeout, timeout, lock.token]
        _, _, xid, pid, held = session.connection.query(_SETTLE.format(held=HELD), params)[0]
        if not held:
            raise lock_lost(step.migration.id)
        return Claim(step, xid, pid)

    def close(self, session: Session, claim: Claim, run: RunMark, ran: Ran, settled: Settled) -> None:
        """See ``Recorder``; the row is removed, with its last content in the event.

        Raises:
            NotRecorded: This is no longer the transaction of the claim; nothing of the message took effect.
            RowRemoved: It is, but the row is gone; the transaction has failed.
            StatementFailed: A deferred constraint does not hold, or the connection went away.
        """
        row, by = self._row, provenance.collect()
        texts = kept(claim.step.migration, claim.step.passwords, claim.step.secrets) if run.keep_sql else []
        back, settings = session.tenure.hand_back(session.role)
        detail = {"execution_ms": ran.execution_ms, "statements": ran.statements, **run.marks}
        params: list[object] = [session.role, *contents(texts), *self._what, claim.xid, str(run.id)]
        params += [row.label, row.key, row.name, by.os_user, by.host, by.pid, by.git_commit]
        params += [json.dumps({**detail, "down_checksum": claim.step.migration.file.checksum}), *settings]
        remove = f"{KEEP};{_REMOVE}".format(**self.names)
        self._end(session, f"{RESTORE_ROLE}{CHECK_CONSTRAINTS}{RESTORE_PATH}{remove}{back}", params)

    def withdraw(self, queries: Queries, claim: Claim) -> None:
        """See ``Recorder``; nothing was written before its end."""

    def is_recorded(self, queries: Queries, claim: Claim, run: RunMark) -> bool:
        """See ``Recorder``: whether the row is gone."""
        sql = "SELECT 1 FROM {ledger} WHERE label = %s AND key = %s AND run_id = %s::uuid".format(**self.names)
        return not queries.query(sql, self._what)
