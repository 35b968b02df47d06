"""Asks journal, catalog and locks about what the rows alone do not tell: the statement of which nobody saw the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlmigrations import rights
from sqlmigrations.backends import catalog, locking
from sqlmigrations.backends.base import Queries, Reader
from sqlmigrations.backends.locking import STATEMENTS, LockKey
from sqlmigrations.decision import Doubt
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.ledger import LEDGER, Ledger, Tracking, quote
from sqlmigrations.parser import parse
from sqlmigrations.resume.effects import effect
from sqlmigrations.resume.journal import JOURNAL_EVENTS, Begun, unfinished
from sqlmigrations.retreat import retreat
from sqlmigrations.sql import units
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.units import Digest
from sqlmigrations.testimony import contradicted
from sqlmigrations.types import Applied, Finding, MigrationStatus, Mode, Severity, SqlMigration, Status

UNREAD = "events-unread"
# How often the ledger is read again while a run is at it.
_LOOKS = 5
_PATH = frozenset(("search_path", "schema", "all"))


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who is at what is half done.

    Attributes:
        notes: Who executes a statement of it at this moment.
        going_back: What a run takes back just now, ``label.NNN_slug``.
    """

    notes: tuple[Finding, ...] = ()
    going_back: frozenset[str] = frozenset()


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


def read(
    ledger: Ledger, reader: Reader, known: Sequence[str] | None = None
) -> tuple[Tracking, tuple[Applied, ...], Attendance]:
    """The ledger, and of what is half done in it who executes a statement: a run, or the server after its runner.

    Of a file that comes to its end between the two questions it would be told that nobody is at it: where something
    is half done, the rows are read once more, until they are what they were.

    Raises:
        SqlMigrationsError: As of ``rights.read``.
    """
    tracking, rows = rights.read(reader, ledger, known)
    found = Attendance()
    for _ in range(_LOOKS):
        if not (halves := _by_statements(rows)):
            return tracking, rows, Attendance()
        found = _under_way(ledger, reader, halves)
        tracking, rows = rights.read(reader, ledger, known)
        if _by_statements(rows) == halves:
            break
    still = {row.id for row in _by_statements(rows)}
    return tracking, rows, replace(found, notes=tuple(each for each in found.notes if each.migration in still))


def _by_statements(rows: Sequence[Applied]) -> list[Applied]:
    halves = (row for row in rows if row.is_half_done)
    return [row for row in halves if row.mode == Mode.STATEMENTS.value or retreat(row) is not None]


def _under_way(ledger: Ledger, reader: Reader, halves: Sequence[Applied]) -> Attendance:
    try:
        with reader.unharmed():
            holder = locking.holder(reader, LockKey.of(ledger.schema, STATEMENTS))
            is_run = holder is not None and locking.holder(reader, LockKey.of(ledger.schema)) is not None
    except StatementFailed:
        return Attendance()  # It was to be a help: what is half done is told without it.
    if holder is None:
        return Attendance()
    message = f"A statement of it is being executed just now, by {holder}: nothing is wrong as long as that goes on."
    notes = tuple(Finding("partial", Severity.NOTE, message, "", row.id) for row in halves)
    # Its row cannot tell whether it is being gone or was left: whoever goes back holds the lock of the runs.
    back = (row.id for row in halves if is_run and (back := retreat(row)) is not None and not back.why)
    return Attendance(notes, frozenset(back))


def attended(status: Status, attendance: Attendance) -> Status:
    """The same, with who executes what; what a run is at is no fault."""
    going = attendance.going_back
    return replace(
        status,
        migrations=tuple(replace(each, is_under_way=each.id in going) for each in status.migrations),
        findings=(*(each for each in status.findings if each.migration not in going), *attendance.notes),
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
    table = f"{'public' if ledger.schema == 'public' else quote(ledger.schema)}.{LEDGER}"
    return replace(status, findings=contradicted(traces, status.migrations, status.findings, table))


def _chooses_path(lasting: Iterable[Statement]) -> bool:
    """Whether names mean something else after it than in a session of ours."""
    return any(token.value in _PATH for statement in lasting for token in statement.tokens())
