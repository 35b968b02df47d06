"""The recorder's hand for what a person decided: corrects the row of one migration, with the reason as an event."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmigrations import signals
from sqlmigrations.backends.aliases import credentials
from sqlmigrations.backends.locking import HELD, HeldLock
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.decision import Action, Proposal
from sqlmigrations.exceptions import IntegrityError, LockNotObtained, OutcomeUnknown, StatementFailed
from sqlmigrations.keeping import KEEP, contents, down_checksum, kept, marks
from sqlmigrations.ledger import Ledger
from sqlmigrations.parser import parse, sql_checksum
from sqlmigrations.planning import passwords
from sqlmigrations.recorder import Recorder
from sqlmigrations.records import RunMark, lock_lost
from sqlmigrations.resume import journal
from sqlmigrations.resume.judging import Resolution
from sqlmigrations.retreat import UNDOING
from sqlmigrations.sql.units import STOPPED
from sqlmigrations.text import CHECKSUM_ALGORITHM
from sqlmigrations.types import SqlMigration

_LOCK_TIMEOUT = "55P03"

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE;"

# The row as it was shown: whatever wrote to it meanwhile is not overwritten.
_AS_SHOWN = "WHERE label = %s AND key = %s AND state = %s AND checksum = %s AND name = %s"

_ACCEPT = f"""
UPDATE {{ledger}}
   SET name = %s, checksum = %s, sql_checksum = %s, checksum_algorithm = %s,
       metadata = (metadata - %s::text[]) || %s::jsonb
 {_AS_SHOWN}
RETURNING 1
"""
_DONE = f"""
UPDATE {{ledger}}
   SET state = 'applied', statements_done = statements_total, applied_at = pg_catalog.clock_timestamp(),
       metadata = metadata - '{UNDOING}'
 {_AS_SHOWN}
RETURNING 1
"""
# Nobody has to decide any more.
_DECIDED = f"UPDATE {{ledger}} SET metadata = metadata - '{STOPPED}' {_AS_SHOWN} RETURNING 1"
_FORGET = f"DELETE FROM {{ledger}} AS m {_AS_SHOWN} RETURNING pg_catalog.to_jsonb(m)::text"


class Corrections:
    """Corrects the ledger for one repair, under the lock.

    Args:
        ledger: Whose tables.
        session: The work connection.
        lock: Has to be held still.
        mark: What the event is recorded under.
    """

    def __init__(self, ledger: Ledger, session: Session, lock: HeldLock, mark: RunMark) -> None:
        self._names = ledger.names
        self._recorder = Recorder(ledger)
        self._session = session
        self._queries = session.connection
        self._lock = lock
        self._mark = mark

    def record(self, proposal: Proposal, reason: str) -> None:
        """Corrects the row and tells why, in one transaction, and then the listeners.

        Raises:
            IntegrityError: The row is no longer the one that was shown; nothing was changed.
            LockLost: The lock connection no longer has the lock; nothing was changed.
            LockNotObtained: Somebody else holds the row; nothing was changed.
            OutcomeUnknown: The connection broke while it was being committed.
            StatementFailed: Anything else the server refuses; nothing was changed.
        """
        try:
            opening, settings = self._session.tenure.begin(_BEGIN)
            if not self._queries.query(f"{opening} SELECT {HELD}", [*settings, self._lock.token])[0][0]:
                raise lock_lost()
            self._correct(proposal, reason)
        except StatementFailed as failed:
            if failed.server.sqlstate == _LOCK_TIMEOUT:
                raise LockNotObtained(
                    f"Another session has changed the record of {proposal.entry.id} and not committed. "
                    "Nothing was changed.",
                    remedy="End that session and start the same command again.",
                ) from None
            raise
        self._commit(proposal)
        signals.migration_repaired.send_robust(
            sender=Corrections, run_id=self._mark.id, database=self._mark.database, proposal=proposal, reason=reason
        )

    def _correct(self, proposal: Proposal, reason: str) -> None:
        row, decision, migration = proposal.applied, proposal.decision, proposal.entry.migration
        event, name = decision.action.done, row.name
        detail: dict[str, object] = {"reason": reason}
        if decision.action is Action.ACCEPT and migration:
            self._write(_ACCEPT, self._content(migration), proposal)
            name = migration.name
            detail |= _accepted(proposal, migration, sql_checksum(migration.file))
        elif proposal.doubt and decision.how:
            self._write(_DECIDED, [], proposal)
            event = journal.RESOLVED
            begun = proposal.doubt.begun
            detail |= {"number": begun.number, "line": begun.line, "how": decision.how.value}
        elif decision.how is Resolution.DONE:
            self._write(_DONE, [], proposal)
            detail |= {"how": decision.how.value, "state_before": row.state}
        else:
            deleted = self._write(_FORGET, [], proposal)
            how = {"how": decision.how.value} if decision.how else {}
            detail |= {**how, "row": json.loads(deleted)}
        what = (row.label, row.key, name)
        self._recorder.note(self._queries, event, self._mark, detail, what)

    def _write(self, sql: str, values: Sequence[object], proposal: Proposal) -> Any:
        row = proposal.applied
        shown = [row.label, row.key, row.state, row.checksum, row.name]
        answer = self._queries.query(sql.format(**self._names), [*values, *shown])
        if not answer:
            raise changed_meanwhile(proposal)
        return answer[0][0]

    def _content(self, migration: SqlMigration) -> list[object]:
        """What a row says about a file, and keeps the texts beside it."""
        script = parse(migration)
        secrets = credentials(self._mark.database)
        written = passwords(script)
        texts = kept(migration, written, secrets) if self._mark.keep_sql else []
        if texts:
            self._queries.query(KEEP.format(**self._names), contents(texts))
        metadata = marks(script, written | secrets) | down_checksum(migration, texts)
        content: list[object] = [migration.name, migration.file.checksum]
        content += [sql_checksum(migration.file, script.directives), CHECKSUM_ALGORITHM]
        # What undid it before still does where no other file came for it.
        return [*content, ["empty", "irreversible"], json.dumps(metadata)]

    def _commit(self, proposal: Proposal) -> None:
        try:
            self._queries.query("COMMIT")
        except StatementFailed as failed:
            if not failed.server.lost:
                raise
            raise OutcomeUnknown(
                f"The connection broke while the record of {proposal.entry.id} was being corrected: "
                "that is done wholly or not at all.",
                remedy="When the server is back, look: python manage.py sqlmigrate_status",
            ) from None


def changed_meanwhile(proposal: Proposal) -> IntegrityError:
    """The error for a migration that is no longer what was shown to the person who decided."""
    return IntegrityError(
        f"{proposal.entry.id} changed while it was being decided about, its record or its file. Nothing was changed.",
        remedy="Look again: python manage.py sqlmigrate_status -v 2",
    )


def _accepted(proposal: Proposal, migration: SqlMigration, sql_checksum: str) -> Mapping[str, object]:
    row = proposal.applied
    detail = {"checksum": migration.file.checksum, "checksum_before": row.checksum, "sql_checksum": sql_checksum}
    return detail if row.name == migration.name else {**detail, "name": migration.name, "name_before": row.name}
