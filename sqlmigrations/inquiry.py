"""Asks journal and catalog about what the rows alone do not tell: the statement of which nobody saw the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlmigrations import rights
from sqlmigrations.backends import catalog, locking
from sqlmigrations.backends.base import Queries, Reader
from sqlmigrations.backends.locking import STATEMENTS, LockKey
from sqlmigrations.decision import Doubt
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.ledger import LEDGER, Ledger, quote
from sqlmigrations.parser import parse
from sqlmigrations.resume.effects import effect
from sqlmigrations.resume.journal import JOURNAL_EVENTS, Begun, unfinished
from sqlmigrations.retreat import retreat
from sqlmigrations.sql import units
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.units import Digest
from sqlmigrations.testimony import contradicted
from sqlmigrations.types import Finding, MigrationStatus, Mode, Severity, SqlMigration, State, Status

UNREAD = "events-unread"
_PATH = frozenset(("search_path", "schema", "all"))


def ask(ledger: Ledger, queries: Queries, entry: MigrationStatus) -> Doubt | None:
    """The statement in doubt of a file that is half done; ``None`` when there is none, or no file.

    Raises:
        StatementFailed: The role may not read the journal, or the connection is gone.
    """
    if entry.migration is None or entry.progress is None:
        return None
    begun = begun_in(ledger, queries, entry.migration)
    if begun is None:
        return None
    every = parse(entry.migration).statements
    statement = every[begun.number - 1] if begun.number <= len(every) else None
    if statement is None or Digest([statement]).value != begun.digest:
        return Doubt(begun, None, None)
    if any(_chooses_path(unit.lasting) for unit in units.cut(every)[0] if unit.last < begun.number):
        return Doubt(begun, statement, None)
    return Doubt(begun, statement, catalog.observe(queries, effect(statement)))


def begun_in(ledger: Ledger, queries: Queries, migration: SqlMigration) -> Begun | None:
    """The statement of a migration that was begun and did not end, by the journal.

    Raises:
        StatementFailed: As ``ask``.
    """
    return unfinished(ledger.journal(queries, migration, JOURNAL_EVENTS))


def under_way(ledger: Ledger, reader: Reader, entries: Iterable[MigrationStatus]) -> list[Finding]:
    """Who executes a statement of what is half done at this moment: a run, or the server after its runner was lost."""
    halves = [each for each in entries if each.state is State.PARTIAL and _is_by_statements(each)]
    if not halves:
        return []
    try:
        with reader.unharmed():
            holder = locking.holder(reader, LockKey.of(ledger.schema, STATEMENTS))
    except StatementFailed:
        return []  # It was to be a help: what is half done is told without it.
    message = f"A statement of it is being executed just now, by {holder}: nothing is wrong as long as that goes on."
    return [Finding("partial", Severity.NOTE, message, "", each.id) for each in halves] if holder else []


def cross_examined(ledger: Ledger, queries: Queries, status: Status) -> Status:
    """The same, with what the events contradict in the rows; a note where the role may not read them.

    Raises:
        DatabaseUnavailable: The connection is gone.
        ConfigurationError: The table of the events is gone.
    """
    try:
        traces = ledger.traces(queries)
    except StatementFailed as failed:
        error = rights.unreadable(queries, ledger, rights.READING_JOURNAL, failed.server)
        if not failed.server.is_forbidden:
            raise error from None
        message = f"The rows were not compared with their events. {error.message} {error.remedy}"
        return replace(status, findings=(*status.findings, Finding(UNREAD, Severity.NOTE, message)))
    table = f"{'public' if ledger.schema == 'public' else quote(ledger.schema)}.{LEDGER}"
    return replace(status, findings=contradicted(traces, status.migrations, status.findings, table))


def _is_by_statements(entry: MigrationStatus) -> bool:
    row = entry.applied
    return row is not None and (row.mode == Mode.STATEMENTS.value or retreat(row) is not None)


def _chooses_path(lasting: Iterable[Statement]) -> bool:
    """Whether names mean something else after it than in a session of ours."""
    return any(token.value in _PATH for statement in lasting for token in statement.tokens())
