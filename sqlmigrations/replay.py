"""Sends the statements of a file once more, for tests: nothing of it is recorded, and no lock is taken."""

from __future__ import annotations

from contextlib import closing

from sqlmigrations.backends.base import Connection
from sqlmigrations.exceptions import SqlMigrationsError, StatementFailed
from sqlmigrations.hazards import find
from sqlmigrations.parser import Script, parse
from sqlmigrations.sending import send
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.types import Mode, Severity, SqlMigration


def replay(alias: str, migration: SqlMigration) -> None:
    """Runs the file of a migration as it would be run, in one transaction or statement by statement.

    Raises:
        SqlMigrationsError: It cannot be run, or the server refuses a statement of it.
    """
    script = parse(migration)
    hazards, _ = find([script], ())
    for finding in (*script.faults, *script.dangers, *(each for each in hazards if each.severity is Severity.ERROR)):
        raise SqlMigrationsError(f"{finding.place}: {finding.message}", remedy=finding.remedy)
    with closing(Connection(alias, "sqlmigrations tests")) as connection:
        if script.mode is Mode.TRANSACTION:
            connection.query(f"BEGIN {script.isolation}")
        for statement in script.statements:
            _send(connection, script, statement)
        if script.mode is Mode.TRANSACTION:
            _send(connection, script, None)


def _send(connection: Connection, script: Script, statement: Statement | None) -> None:
    """Sends a statement of the file, or where none is left the COMMIT."""
    try:
        if statement is None:
            connection.query("COMMIT")
        else:
            send(connection, statement)
    except StatementFailed as failed:
        place = script.migration.file.location + (f":{statement.line}:{statement.column}" if statement else "")
        said = f"PostgreSQL {failed.server.sqlstate}: {failed.server.message}"
        raise SqlMigrationsError(f"{place}: {said}", remedy="Correct the file.") from None
