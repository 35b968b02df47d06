"""The only writer of the three tracking tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlmigrations import __version__, provenance, records
from sqlmigrations.backends.base import Queries
from sqlmigrations.backends.locking import HELD, HeldLock
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.exceptions import LockNotObtained, StatementFailed
from sqlmigrations.keeping import KEEP, contents, down_checksum, kept, marks
from sqlmigrations.ledger import EVENTS, Ledger
from sqlmigrations.parser import sql_checksum
from sqlmigrations.plan import Step
from sqlmigrations.pooling import session_lost
from sqlmigrations.quoting import literal, quote
from sqlmigrations.records import AlreadyRecorded, Claim, NotRecorded, Ran, RowRemoved, RunMark, Settled, Telling
from sqlmigrations.text import CHECKSUM_ALGORITHM
from sqlmigrations.types import Pooling, ServerError, SqlFile

# What it returns comes after the fence: from there on the locks of the file itself are waited for, so its own timeouts
# hold.
_INSERT = """
INSERT INTO {ledger} (label, key, version, name, kind, mode, checksum, sql_checksum, checksum_algorithm, state,
                      run_id, statements_total, late, tool_version, metadata)
VALUES (%s, %s, %s, %s, 'versioned', %s, %s, %s, %s, 'running', %s::uuid, %s, %s, %s, %s::jsonb)
RETURNING pg_catalog.set_config('lock_timeout', %s, true),
          CASE WHEN %s::text IS NOT NULL THEN pg_catalog.set_config('statement_timeout', %s, true) END,
          pg_catalog.pg_current_xact_id()::text, pg_catalog.pg_backend_pid(), {held}
"""
# At the fence only the lock timeout counts. In a lent session nobody knows whose statement_timeout was met.
_AT_THE_FENCE = "SET LOCAL statement_timeout = 0;"

RESTORE_ROLE = """
SET LOCAL SESSION AUTHORIZATION DEFAULT;
SELECT pg_catalog.set_config('role', %s, true);
"""
CHECK_CONSTRAINTS = "SET CONSTRAINTS ALL IMMEDIATE;"
# Deferred triggers run before it: they may need the path their file has set.
RESTORE_PATH = "SET LOCAL search_path = pg_catalog;"


# The event names the row that was completed, in the transaction that inserted it. Where there is no such row any more
# the columns stay empty that may not be: nothing of it is kept, and the error says which of the two was missing.
_COMPLETE = (
    KEEP,
    """
WITH completed AS (
    UPDATE {ledger}
       SET state = 'applied', execution_ms = %s, statements_done = %s, metadata = metadata || %s::jsonb,
           applied_at = pg_catalog.clock_timestamp()
     WHERE label = %s AND key = %s AND state = 'running'
    RETURNING label, key, name, checksum, sql_checksum
)
INSERT INTO {events} (run_id, event, label, key, name, os_user, host, pid, git_commit, detail)
SELECT CASE WHEN pg_catalog.pg_current_xact_id()::text = %s THEN %s::uuid END,
       CASE WHEN c.key IS NOT NULL THEN %s END, c.label, c.key, c.name, %s, %s, %s, %s,
       %s::jsonb || pg_catalog.jsonb_build_object('checksum', c.checksum, 'sql_checksum', c.sql_checksum)
  FROM (SELECT) AS always LEFT JOIN completed AS c ON true
""",
)
_NOT_NULL = "23502"

# A standby that does not answer holds up COMMITs, not what is told of them.
_AT_ONCE = "SELECT pg_catalog.set_config('synchronous_commit', 'local', true);"
EVENT = """
INSERT INTO {events} (run_id, event, label, key, name, os_user, host, pid, git_commit, detail)
VALUES (%s::uuid, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb)
"""


class Recorder:
    """The tracking tables of one schema, written to for one run.

    Nothing is kept here but names: every method is told the connection to speak on.

    Args:
        ledger: The tables.
        telling: What events that belong to no completed migration are part of.
    """

    def __init__(self, ledger: Ledger, telling: Telling = Telling.BY_ITSELF) -> None:
        self._schema = ledger.schema
        self.names = ledger.names
        self._insert = (_INSERT.format(held=HELD, **self.names),)
        self._event = (_AT_ONCE if telling is Telling.BY_ITSELF else "") + EVENT.format(**self.names)
        self._complete = tuple(sql.format(**self.names) for sql in _COMPLETE)

    def create_schema(self) -> str:
        """SQL that makes the schema where it is missing and lets the file of the tracking tables work in it."""
        name = quote(self._schema)
        # IF NOT EXISTS alone would ask for the right to create one that is there.
        exists = f"SELECT FROM pg_catalog.pg_namespace WHERE nspname = {literal(self._schema)}"
        create = f"BEGIN IF NOT EXISTS ({exists}) THEN CREATE SCHEMA {name}; END IF; END"
        return f"DO {literal(create)}; SET LOCAL search_path TO {name};"

    def claim(
        self, session: Session, step: Step, run: RunMark, lock: HeldLock, lock_timeout_ms: int, prologue: str
    ) -> Claim:
        """Inserts the row of a file before its statements: a second runner blocks on it.

        Args:
            session: The work connection.
            step: What is begun.
            run: The run it is begun in.
            lock: Has to be held still.
            lock_timeout_ms: For the file's own statements.
            prologue: SQL that opens the transaction; empty when it is open.

        Raises:
            AlreadyRecorded: Another run was faster.
            LockNotObtained: Another run holds the row for longer than it is waited for.
            LockLost: The lock connection no longer has the lock.
            UnsafePlan: A pooler that was not recognised has changed the server process.
            StatementFailed: Anything else the server refuses.
        """
        is_lent = session.pooling is Pooling.TRANSACTION
        own_ms = step.statement_timeout_ms
        statement_timeout = str(own_ms) if own_ms is not None else None if is_lent else session.statement_timeout
        patiently = "" if is_lent else _AT_THE_FENCE
        params = [*row(step, run), str(lock_timeout_ms), statement_timeout, statement_timeout, lock.token]
        try:
            insert = session.prepared.sql("sqlmigrations_claim", self._insert)
            opening, settings = session.tenure.begin(prologue + patiently) if prologue else ("", [])
            answer = session.connection.query(opening + insert, [*settings, *params])
        except StatementFailed as failed:
            raise _claim_error(failed, step) from None
        _, _, xid, pid, held = answer[0]
        if not held:
            raise records.lock_lost(step.migration.id)
        if not is_lent and pid != session.pid:
            raise session_lost(run.database, step, session.pid, pid)
        return Claim(step, xid, pid)

    def close(self, session: Session, claim: Claim, run: RunMark, ran: Ran, settled: Settled) -> None:
        """Runs deferred checks, completes the row in the transaction that inserted it, and commits: one message.

        Where the transaction is Django's, it is left open for Django to commit.

        Args:
            session: The work connection.
            claim: What is completed.
            run: The run it was begun in.
            ran: What is recorded.
            settled: Whether the session can be another than the file met it.

        Raises:
            NotRecorded: This is no longer that transaction; nothing of the message took effect.
            RowRemoved: It is, but the row is gone; the transaction has failed.
            StatementFailed: A deferred constraint does not hold, or the connection went away: then the server may have
                committed.
        """
        texts = kept(claim.step.migration, claim.step.passwords, claim.step.secrets) if run.keep_sql else []
        back, settings = session.tenure.hand_back(session.role)
        params: list[object] = [] if settled is Settled.YES else [session.role]
        params += [*contents(texts), *_completion(claim, run, ran, texts), *settings]
        if settled is Settled.YES:
            sql = CHECK_CONSTRAINTS + session.prepared.sql("sqlmigrations_complete", self._complete)
        else:
            # What was prepared may be gone as well.
            sql = RESTORE_ROLE + CHECK_CONSTRAINTS + RESTORE_PATH + ";".join(self._complete)
        self._end(session, f"{sql}{back}", params)

    def _end(self, session: Session, closing: str, params: Sequence[object]) -> None:
        """Sends the closing message, whose event has empty columns where it must not take effect."""
        try:
            session.connection.query(closing + session.tenure.commit, params)
        except StatementFailed as failed:
            raise (self.elsewhere(failed.server) or failed) from None

    def elsewhere(self, server: ServerError) -> NotRecorded | RowRemoved | None:
        """Which of the two it means that an event was refused; ``None`` when it means something else."""
        if server.sqlstate != _NOT_NULL or server.table != f"{self._schema}.{EVENTS}":
            return None
        return NotRecorded() if server.column == "run_id" else RowRemoved()

    def withdraw(self, queries: Queries, claim: Claim) -> None:
        """Takes back a row that a COMMIT hidden in its file made permanent."""
        sql = "DELETE FROM {ledger} WHERE label = %s AND key = %s AND state = 'running'".format(**self.names)
        queries.query(sql, [claim.step.migration.label, claim.step.migration.key])

    def is_recorded(self, queries: Queries, claim: Claim, run: RunMark) -> bool:
        """Whether the row of this very run is there and complete."""
        sql = "SELECT 1 FROM {ledger} WHERE label = %s AND key = %s AND run_id = %s::uuid AND state = 'applied'"
        migration = claim.step.migration
        return bool(queries.query(sql.format(**self.names), [migration.label, migration.key, str(run.id)]))

    def tell(
        self, queries: Queries, event: str, run: RunMark, detail: Mapping[str, object], step: Step | None = None
    ) -> None:
        """Adds an event that belongs to no completed migration."""
        what = (step.migration.label, step.migration.key, step.migration.name) if step else (None, None, None)
        self.note(queries, event, run, detail, what)

    def note(
        self,
        queries: Queries,
        event: str,
        run: RunMark,
        detail: Mapping[str, object],
        what: tuple[str | None, str | None, str | None],
    ) -> None:
        """Adds an event about the label, key and name of a row."""
        by = provenance.collect()
        params = [
            str(run.id),
            event,
            *what,
            by.os_user,
            by.host,
            by.pid,
            by.git_commit,
            json.dumps({**detail, **run.marks}),
        ]
        queries.query(self._event, params)


def begin(step: Step) -> str:
    """The SQL that opens the transaction of a file, with the options of a BEGIN it was wrapped in."""
    return opening(step.script.isolation)


def opening(isolation: str) -> str:
    """The same with the options of a BEGIN, empty where there is none."""
    isolation = isolation or "ISOLATION LEVEL READ COMMITTED"
    return f"BEGIN {isolation};" if "READ WRITE" in isolation else f"BEGIN {isolation}, READ WRITE;"


def row(step: Step, run: RunMark) -> list[object]:
    """The values of a new row, in the order of its columns."""
    migration, script = step.migration, step.script
    row = [migration.label, migration.key, migration.version, migration.name, script.mode.value]
    row += [migration.file.checksum, sql_checksum(migration.file, script.directives), CHECKSUM_ALGORITHM]
    metadata = json.dumps(marks(script, step.secrets) | run.marks)
    return [*row, str(run.id), len(script.statements), step.late, __version__, metadata]


def _completion(claim: Claim, run: RunMark, ran: Ran, texts: list[SqlFile]) -> list[object]:
    migration, by = claim.step.migration, provenance.collect()
    metadata: dict[str, object] = {"faked": True} if ran.event == "faked" else {}
    metadata |= down_checksum(migration, texts)
    detail = {"execution_ms": ran.execution_ms, "statements": ran.statements, "attempts": ran.attempts, **run.marks}
    params = [ran.execution_ms, ran.statements, json.dumps(metadata), migration.label, migration.key, claim.xid]
    return [*params, str(run.id), ran.event, by.os_user, by.host, by.pid, by.git_commit, json.dumps(detail)]


def _claim_error(failed: StatementFailed, step: Step) -> Exception:
    if failed.server.sqlstate == "23505":
        return AlreadyRecorded()
    if failed.server.sqlstate == "55P03":
        return LockNotObtained(
            f"Another run is applying {step.migration.id} at this moment. This run changed nothing in it.",
            remedy="Wait for that run and start again: python manage.py sqlmigrate_apply",
        )
    return failed
