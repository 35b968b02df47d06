"""PostgreSQL's side of a run: sessions made fit for migrations, and the questions asked of the server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmigrations import signals
from sqlmigrations.backends.base import Connection, Queries
from sqlmigrations.backends.prepared import Prepared
from sqlmigrations.exceptions import DatabaseUnavailable, SqlMigrationsError, StatementFailed
from sqlmigrations.guidance import can_pass, connection_advice
from sqlmigrations.interruption import Interruption
from sqlmigrations.types import ServerError

# How soon the server notices that the runner is gone and stops its statement.
_CHECK_INTERVAL_MS = 500
_POLL_S = 0.25
# Who waits for the server for longer wants to know.
_UNTOLD_S = 1
# transaction_timeout came with PostgreSQL 17.
_UNHURRIED = {
    "idle_in_transaction_session_timeout": 0,
    "statement_timeout": 0,
    "transaction_timeout": 0,
    "lock_timeout": 0,
}

# A server that cannot see whether its client is gone (on Windows; PostgreSQL 14 off Linux) refuses the setting.
_WATCH_CLIENT = """
SELECT pg_catalog.set_config('client_connection_check_interval', %s, false)
 WHERE pg_catalog.version() ~ 'linux'
    OR pg_catalog.current_setting('server_version_num')::int >= 150000
       AND pg_catalog.version() !~* 'windows|mingw|msvc|visual c';
"""

_FACTS = """
SET standard_conforming_strings = on;
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('transaction_read_only') = 'on',
       pg_catalog.pg_backend_pid(),
       pg_catalog.current_setting('role'),
       (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'),
       coalesce(extract(epoch FROM pg_catalog.current_setting('transaction_timeout', true)::interval), 0)::float8
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection of ours with what it was told when it began.

    Attributes:
        prepared: Our own statements in it.
        role: What ``SET ROLE`` was in force at the beginning, ``none`` usually.
        deadlock_timeout_ms: The server's setting.
        transaction_timeout_s: After how long the server ends the connection of a transaction; 0 for never.
    """

    connection: Connection
    prepared: Prepared
    role: str
    deadlock_timeout_ms: int
    transaction_timeout_s: float


def open_lock_session(alias: str, interruption: Interruption, wait_s: float = 0) -> Session:
    """Connects for holding the lock: no timeout of the role can end it while it idles.

    Raises:
        DatabaseUnavailable: Not reachable within ``wait_s`` seconds, in recovery, or read-only.
    """
    return _open(alias, "sqlmigrations lock", _UNHURRIED, interruption, wait_s)


def open_work_session(alias: str, fence_wait_ms: int, interruption: Interruption, wait_s: float = 0) -> Session:
    """Connects for running files.

    Args:
        alias: The database.
        fence_wait_ms: How long the row of a file that another run has begun is waited for, milliseconds.
        interruption: What cancels its statements, and the waiting for the server.
        wait_s: How long to wait for the server, seconds.

    Raises:
        DatabaseUnavailable: Not reachable, in recovery, or read-only.
    """
    # The server takes 0 for "for ever". Between the attempts of a file it idles.
    settings = {"lock_timeout": max(1, fence_wait_ms), "idle_session_timeout": 0}
    return _open(alias, "sqlmigrations", settings, interruption, wait_s)


def unreachable(server: ServerError, waited_s: float = 0) -> DatabaseUnavailable:
    """The error for a database that did not let us in, however long it was waited for."""
    message = f"The database cannot be reached: {server.message}"
    if waited_s:
        message += f"{'' if message.endswith(('.', '?')) else '.'} It did not come up within {waited_s:g} s."
    return DatabaseUnavailable(message, remedy=connection_advice(server, waited=waited_s > 0))


def existing_relations(queries: Queries, names: Sequence[str]) -> frozenset[str]:
    """Which of the names, quoted as SQL wants them, are relations in this session's search path."""
    rows = queries.query(
        "SELECT name FROM pg_catalog.unnest(%s::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL",
        [list(names)],
    )
    return frozenset(row[0] for row in rows)


def transaction_status(queries: Queries, xid: str) -> str | None:
    """``committed``, ``aborted``, ``in progress``; ``None`` when the server no longer knows.

    https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
    """
    status: str | None = queries.query("SELECT pg_catalog.pg_xact_status(%s::xid8)", [xid])[0][0]
    return status


def _open(alias: str, name: str, settings: dict[str, int], interruption: Interruption, wait_s: float) -> Session:
    connection = _connect(alias, name, interruption, wait_s)
    try:
        return _prepare(connection, settings)
    except StatementFailed as failed:
        connection.close()
        interruption.check()
        raise unreachable(failed.server) from None
    except SqlMigrationsError:
        connection.close()
        raise


def _connect(alias: str, name: str, interruption: Interruption, wait_s: float) -> Connection:
    started, told = time.monotonic(), False
    while True:
        try:
            return Connection(alias, name, interruption)
        except StatementFailed as failed:
            waited = time.monotonic() - started
            if not can_pass(failed.server):
                raise unreachable(failed.server) from None
            if waited >= wait_s:
                raise unreachable(failed.server, wait_s) from None
            if not told and waited > _UNTOLD_S:
                said = {"database": alias, "wait_s": wait_s, "reason": failed.server.message}
                signals.database_waiting.send_robust(sender=Session, **said)
                told = True
            interruption.pause(min(_POLL_S, max(0.0, wait_s - waited)))


def _prepare(connection: Connection, settings: dict[str, int]) -> Session:
    wanted = dict(settings)
    if connection.server_version < 170_000:
        wanted.pop("transaction_timeout", None)
    pairs = [part for name, value in wanted.items() for part in (name, str(value))]
    sets = "".join("SELECT pg_catalog.set_config(%s, %s, false);" for _ in wanted)
    answer = connection.query(sets + _WATCH_CLIENT + _FACTS, [*pairs, str(_CHECK_INTERVAL_MS)])
    recovering, read_only, pid, *facts = answer[0]
    if recovering:
        raise DatabaseUnavailable(
            "The server is a standby (in recovery); it takes no writes. Nothing was changed.",
            remedy="Point the database alias at the primary.",
        )
    if read_only:
        raise DatabaseUnavailable(
            "The database is read-only (default_transaction_read_only is on). Nothing was changed.",
            remedy="Switch it off for this database or role, or point the alias at the primary.",
        )
    prepared = Prepared(connection, direct=pid == connection.handshake_pid)
    return Session(connection, prepared, *facts)
