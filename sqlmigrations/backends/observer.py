"""Looks at a session of ours from a connection of its own: who blocks it, and how far its statement is.

It never fails a run: where the server does not let it in, or does not answer soon, nothing is seen.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace

from sqlmigrations.backends.base import Connection, Row
from sqlmigrations.masking import mask
from sqlmigrations.sql.lexer import INSIGNIFICANT, ScanError, Token, TokenKind, lex
from sqlmigrations.types import Blocker

_AGAIN_AFTER_S = 5.0
_QUERY_WIDTH = 100
_LITERALS = (TokenKind.STRING, TokenKind.DOLLAR)

# A look waits for nobody: below deadlock_timeout, so that it can have no part in a deadlock either, whatever catalog a
# file locks. Behind a pooler it must leave nothing in the session.
_BRIEFLY = """
SELECT pg_catalog.set_config('lock_timeout', '500', true), pg_catalog.set_config('statement_timeout', '2000', true);
"""

# A row of another transaction is waited for by its number: the lock on the row's version says which table it is in.
# What others may not see of a session comes as null. Who holds a lock by PREPARE TRANSACTION has no process: pid 0.
_BLOCKERS = """
WITH waited AS (
    SELECT relation, relation::regclass::text AS name
      FROM pg_catalog.pg_locks
     WHERE pid = %s AND relation IS NOT NULL AND (NOT granted OR locktype = 'tuple')
     ORDER BY granted
     LIMIT 1
), prepared AS (
    SELECT p.owner::text, p.prepared, p.gid
      FROM pg_catalog.pg_locks AS held
      JOIN pg_catalog.pg_locks AS own
        ON own.pid IS NULL AND own.virtualtransaction = held.virtualtransaction AND own.locktype = 'transactionid'
      JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = own.transactionid
     WHERE held.pid IS NULL AND held.granted AND held.relation = (SELECT relation FROM waited)
     LIMIT 1
)
SELECT b.pid,
       coalesce(a.usename::text, p.owner, ''),
       coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend'), ''),
       CASE WHEN b.pid = 0 THEN 'prepared transaction' ELSE coalesce(a.state, '') END,
       extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8,
       coalesce((SELECT name FROM waited), ''),
       CASE WHEN b.pid = 0 THEN p.gid WHEN a.state IS NOT NULL THEN a.query END
  FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(%s)) WITH ORDINALITY AS b (pid, nth)
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
  LEFT JOIN prepared AS p ON b.pid = 0
 ORDER BY b.nth
"""

# https://www.postgresql.org/docs/current/progress-reporting.html; a process is in one of them at most. What waits at
# its COMMIT is in none of those.
_PROGRESS = """
SELECT phase, (100.0 * done / nullif(total, 0))::float8
  FROM (
    SELECT pid, phase,
           CASE WHEN phase LIKE 'waiting%%' THEN lockers_done
                WHEN phase LIKE '%%scanning%%' THEN blocks_done
                WHEN phase LIKE '%%loading%%' THEN tuples_done END,
           CASE WHEN phase LIKE 'waiting%%' THEN lockers_total
                WHEN phase LIKE '%%scanning%%' THEN blocks_total
                WHEN phase LIKE '%%loading%%' THEN tuples_total END
      FROM pg_catalog.pg_stat_progress_create_index
    UNION ALL
    SELECT pid, phase, heap_blks_scanned, CASE WHEN phase LIKE '%%scanning heap' THEN heap_blks_total END
      FROM pg_catalog.pg_stat_progress_cluster
    UNION ALL
    SELECT pid, phase,
           CASE WHEN phase LIKE 'scanning%%' THEN heap_blks_scanned
                WHEN phase LIKE 'vacuuming heap%%' THEN heap_blks_vacuumed END,
           heap_blks_total
      FROM pg_catalog.pg_stat_progress_vacuum
    UNION ALL
    SELECT pid, phase, sample_blks_scanned, CASE WHEN phase LIKE 'acquiring%%' THEN sample_blks_total END
      FROM pg_catalog.pg_stat_progress_analyze
    UNION ALL
    SELECT pid, 'copying, ' || tuples_processed || ' rows', bytes_processed, bytes_total
      FROM pg_catalog.pg_stat_progress_copy
    UNION ALL
    SELECT pid, 'committed here, waiting for a synchronous standby', NULL, NULL
      FROM pg_catalog.pg_stat_activity
     WHERE wait_event = 'SyncRep'
  ) AS progress (pid, phase, done, total)
 WHERE pid = %s
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look showed; the fields are those of ``Glimpse``."""

    blockers: tuple[Blocker, ...] = ()
    phase: str = ""
    percent: float | None = None


class Observer:
    """Connects when it first looks; for one thread.

    Args:
        database: The alias.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._connection: Connection | None = None
        self._blind_until = 0.0

    def look(self, pid: int, secrets: Collection[str]) -> Sight | None:
        """What the session is at; ``None`` where nothing could be seen.

        Args:
            pid: Its server process.
            secrets: What must not be seen in the statements of others.
        """
        if time.monotonic() < self._blind_until:
            return None
        is_new = self._connection is None
        try:
            if self._connection is None:
                self._connection = Connection(self._database, "sqlmigrations observer")
            rows = self._connection.query(_BRIEFLY + _BLOCKERS, [pid, pid])
            progress = self._connection.query(_BRIEFLY + _PROGRESS, [pid])
        except Exception:  # No connection left, no right, no answer in time: the run goes on all the same.
            self.close()
            # One that was ended while it had nothing to do is replaced at the next look.
            self._blind_until = time.monotonic() + _AGAIN_AFTER_S if is_new else 0.0
            return None
        # More than one part of a session can be blocked by the same one.
        blockers = {row[0]: _blocker(row, secrets) for row in reversed(rows)}
        phase, percent = progress[0] if progress else ("", None)
        return Sight(tuple(reversed(blockers.values())), phase, percent and min(percent, 100.0))

    def close(self) -> None:
        """Closes the connection, where there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # Broken, it may refuse even that.
                connection.close()


def _blocker(row: Row, secrets: Collection[str]) -> Blocker:
    blocker = Blocker(*row)
    return blocker if blocker.query is None else replace(blocker, query=outline(blocker.query, secrets))


def outline(query: str, secrets: Collection[str] = ()) -> str:
    """A statement of somebody else's in one short line, without comments and without the values in it."""
    text, end = "", 0
    try:
        for token in lex(query, without=INSIGNIFICANT):
            text += f"{' ' if token.start > end else ''}{_shown(token)}"
            end = token.start + len(token.text)
            if len(text) > _QUERY_WIDTH:
                break
    except ScanError:
        # The server keeps the beginning of a statement only: what follows an open quote is a value.
        text += " ..."
    text = mask(text.strip(), secrets)
    return text if len(text) <= _QUERY_WIDTH else f"{text[: _QUERY_WIDTH - 3]}..."


def _shown(token: Token) -> str:
    if token.kind in _LITERALS:
        return "'...'"
    return "".join(char if char.isprintable() else " " for char in token.text)
