"""Asks journal, catalog and locks about what the rows alone do not tell: the statement of which nobody saw the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlmigrations import rights
from sqlmigrations.backends import catalog, locking
from sqlmigrations.backends.base import Queries, Reader
from sqlmigrations.backends.locking import STATEMENTS, LockKey
from sqlmigrations.columns import written
from sqlmigrations.decision import Doubt
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.ledger import LEDGER, Ledger
from sqlmigrations.parser import parse
from sqlmigrations.resume.effects import effect
from sqlmigrations.resume.journal import JOURNAL_EVENTS, Begun, unfinished
from sqlmigrations.retreat import retreat
from sqlmigrations.sql import units
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.units import Digest
from sqlmigrations.testimony import UNREAD, contradicted
from sqlmigrations.types import Applied, Finding, MigrationStatus, Mode, Severity, SqlMigration, Status

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


def by_statements(rows: Sequence[Applied]) -> list[Applied]:
    """The rows of what is half done, statement by statement."""
    halves = (row for row in rows if row.is_half_done)
    return [row for row in halves if row.mode == Mode.STATEMENTS.value or retreat(row) is not None]


def attended(ledger: Ledger, reader: Reader, status: Status, halves: Sequence[Applied]) -> Status:
    """The same, with who executes a statement of what is half done: a run, or the server after its runner was lost.

    What a run takes back just now is no fault.
    """
    try:
        with reader.unharmed():
            holder = locking.holder(reader, LockKey.of(ledger.schema, STATEMENTS)) if halves else None
            is_run = holder is not None and locking.holder(reader, LockKey.of(ledger.schema)) is not None
    except StatementFailed:
        return status  # It was to be a help: what is half done is told without it.
    if holder is None:
        return status
    message = f"A statement of it is being executed just now, by {holder}: nothing is wrong as long as that goes on."
    notes = [Finding("partial", Severity.NOTE, message, "", row.id) for row in halves]
    # Its row cannot tell whether it is being gone or was left: whoever goes back holds the lock of the runs.
    going = {row.id for row in halves if is_run and (back := retreat(row)) is not None and not back.why}
    return replace(
        status,
        migrations=tuple(replace(each, is_under_way=each.id in going) for each in status.migrations),
        findings=(*(each for each in status.findings if each.migration not in going), *notes),
    )


def cross_examined(ledger: Ledger, reader: Reader, status: Status) -> Status:
    """The same, with what the events contradict in the rows; a note where the role may not read them.

    Raises:
        DatabaseUnavailable: The connection is gone.
        ConfigurationError: The table of the events is gone.
    """
    try:
        with reader.unharmed():
            traces = ledger.traces(reader)
    except StatementFailed as failed:
        error = rights.unreadable(reader, ledger, rights.READING_JOURNAL, failed.server)
        if not failed.server.is_forbidden:
            raise error from None
        message = f"The rows were not compared with their events. {error.message} {error.remedy}"
        return replace(status, findings=(*status.findings, Finding(UNREAD, Severity.NOTE, message)))
    table = written(ledger.schema, LEDGER)
    return replace(status, findings=contradicted(traces, status.migrations, status.findings, table))


def _chooses_path(lasting: Iterable[Statement]) -> bool:
    """Whether names mean something else after it than in a session of ours."""
    return any(token.value in _PATH for statement in lasting for token in statement.tokens())
