"""Sends one statement of a file, and keeps what it sets from changing how the rest is sent or waits."""

from __future__ import annotations

from sqlmigrations.backends.base import Connection
from sqlmigrations.plan import Step
from sqlmigrations.sql import statements
from sqlmigrations.sql.scanner import Statement

_TIMEOUTS = ("lock_timeout", "statement_timeout", "all")
_ENCODING = ("client_encoding", "all")


def send(connection: Connection, statement: Statement) -> None:
    """Sends one statement, byte for byte, with its data where it has any.

    Raises:
        StatementFailed: The server refused it, or the connection is gone.
    """
    if statement.data is None:
        connection.run(statement.text)
    else:
        connection.copy(statement.text, statement.source, *statement.data)


def sets_timeouts(statement: Statement) -> bool:
    """A dump's ``SET lock_timeout = 0`` must not switch protection off: the directive is the way to say it."""
    return statements.sets(statement) in _TIMEOUTS


def set_timeouts(connection: Connection, step: Step, lock_timeout_ms: int) -> None:
    """Gives the statements of a file their timeouts, until the end of the transaction.

    Raises:
        StatementFailed: The connection is gone.
    """
    timeouts = {"lock_timeout": lock_timeout_ms}
    if step.statement_timeout_ms is not None:
        timeouts["statement_timeout"] = step.statement_timeout_ms
    sets = ", ".join("pg_catalog.set_config(%s, %s, true)" for _ in timeouts)
    params = [part for name, value in timeouts.items() for part in (name, str(value))]
    connection.query(f"SELECT {sets}", params)


def keep_encoding(connection: Connection, statement: Statement) -> None:
    """What is sent stays UTF-8, as the file is, whatever the dump it came from was written in.

    Raises:
        StatementFailed: The connection is gone.
    """
    if statements.sets(statement) in _ENCODING:
        connection.query("SELECT pg_catalog.set_config('client_encoding', 'UTF8', false)")
