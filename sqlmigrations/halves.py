"""Files that are half done: how far they came, and whether the next run can go on with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC

from sqlmigrations.guidance import repair
from sqlmigrations.parser import Script, parse
from sqlmigrations.retreat import Retreat, retreat
from sqlmigrations.sql.units import DONE_CHECKSUM, STOPPED, Digest
from sqlmigrations.types import Applied, Finding, MigrationStatus, Mode, Progress, Severity, SqlMigration

_DECIDE = "A person has to decide; to be told the ways out: python manage.py sqlmigrate_apply"
_LOOK = "python manage.py sqlmigrate_status -v 2"
_COMPLETE = "All that is left is to complete its record, as the next run does."


def progress(migration: SqlMigration, row: Applied) -> Progress | None:
    """How far a file came that was run statement by statement; ``None`` when the next run cannot go on with it.

    No run goes on with one that is being undone: that is left to Django's ``migrate``.

    The statements that are done have to be those that were run. What comes after them may have been changed: that is
    how a failing statement is repaired.
    """
    if row.mode != Mode.STATEMENTS.value or migration.name != row.name or retreat(row) is not None:
        return None
    statements, done = parse(migration).statements, row.statements_done
    if len(statements) < done or (done and Digest(statements[:done]).value != row.metadata.get(DONE_CHECKSUM)):
        return None
    line = statements[done].line if done < len(statements) else None
    return Progress(done, len(statements), line, has_stopped=row.state == "partial")


def finding(entry: MigrationStatus, row: Applied) -> Finding:
    """What is to be known of a half-done file: a note when the next run goes on with it, else an error."""
    if entry.progress is not None and entry.migration is not None:
        return _resumable(entry.migration, entry.progress, row)
    if (back := retreat(row)) is not None:
        return _half_undone(row, back)
    when = row.applied_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    message = f"Begun on {when} and neither finished nor rolled back (state {row.state})."
    remedy = f"When all of it is in the database: {repair('resolve', row.id, '--done')}\n"
    remedy += f"When nothing of it is, or you have undone it: {repair('resolve', row.id, '--redo')}"
    if row.mode == Mode.STATEMENTS.value:
        message, remedy = _changed(entry.migration, row)
    return Finding("partial", Severity.ERROR, message, remedy, row.id)


def far(row: Applied) -> str:
    """How far a file came whose row alone is known, or its way back."""
    if (back := retreat(row)) is not None:
        return f"half undone, {back.done} of {back.total} statements of its way back"
    if row.mode != Mode.STATEMENTS.value:
        return "half done"
    return f"half done, {row.statements_done} of {row.statements_total} statements"


def dependents(scripts: Iterable[Script], entries: Iterable[MigrationStatus]) -> Iterator[Finding]:
    """Files that depend on what is half done and without a file here: no run from here can finish that."""
    halves = {e.id for e in entries if e.migration is None and e.applied is not None and e.applied.is_half_done}
    for script in scripts if halves else ():
        migration = script.migration
        for dependency in script.directives.depends:
            target = f"{dependency.label or migration.label}.{dependency.name}"
            if target in halves:
                message = f"Depends on {target}, which a newer checkout has begun and not finished."
                remedy = "Let that checkout run sqlmigrate_apply first."
                location = migration.file.location
                yield Finding("partial", Severity.ERROR, message, remedy, migration.id, location, dependency.line, 1)


def _resumable(migration: SqlMigration, far: Progress, row: Applied) -> Finding:
    location, column = migration.file.location, far.line and 1
    next_ = _COMPLETE if far.done == far.total else _what_next(row)
    message = f"Half done, {far.done} of {far.total} statements. {next_}"
    return Finding("partial", Severity.NOTE, message, "", migration.id, location, far.line, column)


def _half_undone(row: Applied, back: Retreat) -> Finding:
    message = f"Half undone: {back.done} of {back.total} statements of its way back are done. {back.why}".rstrip()
    remedy = f"Go on with it: {back.command}\n"
    remedy += f"Or, when all that was undone is in the database again: {repair('resolve', row.id, '--done')}"
    return Finding("partial", Severity.ERROR, message, remedy, row.id)


def _what_next(row: Applied) -> str:
    stopped = row.metadata.get(STOPPED)
    if not isinstance(stopped, dict) or not stopped.get("number"):
        return "The next run looks what became of the statement it was at, and goes on there."
    decision = _DECIDE if stopped.get("decide") else "The next run goes on there."
    return f"{stopped['why']} {decision}"


def _changed(migration: SqlMigration | None, row: Applied) -> tuple[str, str]:
    done = f"{row.statements_done} of {row.statements_total} statements"
    if migration is None:
        remedy = f"Bring {row.name}.sql back, then apply again.\n"
        remedy += f"When it is gone for good, and what it did is undone: {repair('forget', row.id)}"
        return f"Half done ({done}), and its file is gone.", remedy
    if migration.name != row.name:
        message = f"Half done ({done}) as {row.name}; the file is now {migration.name}."
        return message, f"Give it its name back: {row.name}.sql"
    message = f"Half done ({done}), and the statements that are done are no longer those that were run."
    remedy = f"Restore them (see the change: {_LOOK} ) and change only what comes after them, then apply again."
    return message, remedy
