"""PostgreSQL's side of a run: sessions made fit for migrations, and the questions asked of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlmigrations import conf, signals
from sqlmigrations.backends.base import Connection, Queries, Row
from sqlmigrations.backends.prepared import Prepared
from sqlmigrations.backends.tenure import Lent, Owned, Tenure, session_settings
from sqlmigrations.exceptions import ConfigurationError, DatabaseUnavailable, StatementFailed
from sqlmigrations.guidance import can_pass, connection_advice, is_crowded
from sqlmigrations.interruption import Interruption
from sqlmigrations.types import Pooling, Route, ServerError

Answer = TypeVar("Answer")

# How soon the server notices that the runner is gone and stops its statement.
_ALWAYS = {"standard_conforming_strings": "on", "client_connection_check_interval": "500"}
_POLL_S = 0.25
# Who waits for the server for longer wants to know.
_UNTOLD_S = 1.0
_TELL_AGAIN_S = 30.0
# Connections come and go, our own that was closed a moment ago too: for one to be free is waited without being asked.
_CROWDED_S = 5.0
# transaction_timeout came with PostgreSQL 17.
_UNHURRIED = {
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 0,
    "statement_timeout": 0,
    "transaction_timeout": 0,
    "lock_timeout": 0,
}

_FACTS = """
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('transaction_read_only') = 'on',
       pg_catalog.pg_backend_pid(),
       pg_catalog.current_setting('role'),
       (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'),
       coalesce(extract(epoch FROM pg_catalog.current_setting('transaction_timeout', true)::interval), 0)::float8,
       pg_catalog.current_setting('statement_timeout')
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection of ours with what it was told when it began.

    Attributes:
        prepared: Our own statements in it.
        tenure: How its transactions begin and end.
        pooling: What stands between.
        pid: The server process of its first message.
        role: What ``SET ROLE`` was in force at the beginning, ``none`` usually.
        deadlock_timeout_ms: The server's setting.
        transaction_timeout_s: After how long the server ends the connection of a transaction; 0 for never.
        statement_timeout: As the server writes it.
    """

    connection: Connection
    prepared: Prepared
    tenure: Tenure
    pooling: Pooling
    pid: int
    role: str
    deadlock_timeout_ms: int
    transaction_timeout_s: float
    statement_timeout: str


def open_lock_session(alias: str, interruption: Interruption, wait_s: float = 0) -> Session:
    """Connects for holding the lock: no timeout of the role can end it while it idles.

    Raises:
        DatabaseUnavailable: Not reachable within ``wait_s`` seconds, in recovery, or read-only.
        ConfigurationError: ``SESSION_POOLED`` names it, and its pooler does not keep to that.
    """
    route = conf.route(alias)
    if route.keeps_session:
        _refuse_shared(route, interruption, wait_s)
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


def join(connection: Connection, tenure: Tenure) -> Session:
    """The session of a connection within somebody else's transaction, in which nothing is set; raises as above."""
    pid, *facts = _facts(connection.query(_FACTS)[0])
    pooling = Pooling.NONE if pid == connection.handshake_pid else Pooling.TRANSACTION
    return Session(connection, Prepared(connection, direct=False), tenure, pooling, pid, *facts)


def unreachable(server: ServerError, waited_s: float = 0, *, asked: bool = False) -> DatabaseUnavailable:
    """The error for a database that did not let us in, however long it was waited for, asked for or not."""
    message = f"The database cannot be reached: {server.message}"
    if waited_s:
        in_vain = "No connection became free" if is_crowded(server) else "It did not come up"
        message += f"{'' if message.endswith(('.', '?')) else '.'} {in_vain} within {waited_s:g} s."
    return DatabaseUnavailable(message, remedy=connection_advice(server, waited=asked))


def pooling_of(route: Route, pid: int, handshake_pid: int) -> Pooling:
    """What stands between, when the server process is ``pid`` and the handshake said ``handshake_pid``."""
    if pid == handshake_pid:
        return Pooling.NONE
    return Pooling.SESSION if route.keeps_session else Pooling.TRANSACTION


def existing_relations(queries: Queries, names: Sequence[str]) -> frozenset[str]:
    """Which of the names, quoted as SQL wants them, are relations in this session's search path."""
    rows = queries.query(
        "SELECT name FROM pg_catalog.unnest(%s::text[]) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL",
        [list(names)],
    )
    return frozenset(row[0] for row in rows)


def await_server(alias: str, interruption: Interruption, wait_s: float) -> None:
    """Returns when the server lets us in; raises as ``open_work_session``."""
    _connect(alias, "sqlmigrations", interruption, wait_s).close()


def _refuse_shared(route: Route, interruption: Interruption, wait_s: float) -> None:
    """Two clients at a time in one server process: proof that it is lent for less than a session."""
    pids = []
    with ExitStack() as opened:
        try:
            for _ in range(2):
                probe = _connect(route.alias, "sqlmigrations probe", interruption, wait_s)
                opened.enter_context(closing(probe))
                with probe.answering():
                    pids += probe.query("SELECT pg_catalog.pg_backend_pid()")
        except StatementFailed as failed:
            interruption.check()
            raise unreachable(failed.server) from None
    if pids[0] == pids[1]:
        raise ConfigurationError(
            f"SQLMIGRATIONS['SESSION_POOLED'] names {route.through!r}, but the pooler there gave two clients the same "
            "server process: it pools transactions. Nothing was changed.",
            remedy=f"Take {route.through!r} out of SESSION_POOLED, or set pool_mode = session in the pooler.",
        )


def _open(alias: str, name: str, settings: dict[str, int], interruption: Interruption, wait_s: float) -> Session:
    return _answered(alias, name, interruption, wait_s, lambda made: _prepare(made, settings, conf.route(alias)))


def _connect(alias: str, name: str, interruption: Interruption, wait_s: float) -> Connection:
    return _answered(alias, name, interruption, wait_s, lambda made: made)


def _answered(
    alias: str, name: str, interruption: Interruption, wait_s: float, asked: Callable[[Connection], Answer]
) -> Answer:
    """What a new connection answers: a server that stops or starts may let us in and end that before it has."""
    started, tell_at = time.monotonic(), _UNTOLD_S
    while True:
        try:
            return _first_answer(Connection(alias, name, interruption), asked)
        except StatementFailed as failed:
            interruption.check()
            waited = time.monotonic() - started
            if not can_pass(failed.server):
                raise unreachable(failed.server) from None
            patience_s = max(wait_s, _CROWDED_S) if is_crowded(failed.server) else wait_s
            if waited >= patience_s:
                raise unreachable(failed.server, patience_s, asked=wait_s > 0) from None
            if waited > tell_at:
                left_s = patience_s if tell_at == _UNTOLD_S else round(patience_s - waited)
                said = {"database": alias, "wait_s": left_s, "reason": failed.server.message}
                signals.database_waiting.send_robust(sender=Session, **said)
                tell_at = waited + _TELL_AGAIN_S
            interruption.pause(min(_POLL_S, max(0.0, patience_s - waited)))


def _first_answer(connection: Connection, asked: Callable[[Connection], Answer]) -> Answer:
    try:
        return asked(connection)
    except BaseException:
        connection.close()
        raise


def _prepare(connection: Connection, settings: dict[str, int], route: Route) -> Session:
    wanted = {name: str(value) for name, value in settings.items()} | _ALWAYS
    if connection.server_version < 170_000:
        wanted.pop("transaction_timeout", None)
    sets, params = session_settings(wanted, anywhere=route.keeps_session, pid=connection.handshake_pid)
    with connection.answering():
        answer = connection.query(sets + _FACTS, params)
    pid, *facts = _facts(answer[0])
    pooling = pooling_of(route, pid, connection.handshake_pid)
    lent = pooling is Pooling.TRANSACTION
    prepared = Prepared(connection, direct=not lent)
    return Session(connection, prepared, Lent(connection, wanted) if lent else Owned(), pooling, pid, *facts)


def _facts(answer: Row) -> list[Any]:
    """What is to be known of a session that can be written in."""
    recovering, read_only, *facts = answer
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
    return facts
