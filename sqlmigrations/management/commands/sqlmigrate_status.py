"""``manage.py sqlmigrate_status``: what is applied, pending, changed; reads and never writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC
from itertools import groupby
from typing import Any

from django.core.management.base import CommandParser

from sqlmigrations import glimpses
from sqlmigrations.backends.aliases import credentials
from sqlmigrations.exceptions import ExitCode
from sqlmigrations.executor import Executor
from sqlmigrations.guidance import APPLY, addressed, on
from sqlmigrations.management import rendering
from sqlmigrations.management.base import SqlMigrationsCommand
from sqlmigrations.types import Applied, MigrationStatus, Severity, State, Status

_MARKS = {
    State.APPLIED: "[X]",
    State.REFORMATTED: "[X]",
    State.AHEAD: "[X]",
    State.PENDING: "[ ]",
    State.LATE: "[ ]",
    State.MODIFIED: "[!]",
    State.MISSING: "[!]",
    State.PARTIAL: "[!]",
    State.WAITING: "[ ]",
}
# Of a half-done file what is not done yet may have been changed.
_CHANGED = (State.MODIFIED, State.REFORMATTED, State.PARTIAL)
_COUNTED = (State.MODIFIED, State.REFORMATTED, State.MISSING, State.AHEAD, State.LATE, State.PARTIAL, State.WAITING)


class Command(SqlMigrationsCommand):
    """Shows what is applied, pending, modified, missing, with totals and integrity."""

    help = "Shows what is applied, pending, modified, missing, with totals and integrity. Never writes."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds ``--check``."""
        super().add_arguments(parser)
        parser.add_argument(
            "--check",
            action="store_true",
            help="Compare rows with their events too; exit 3 when something is pending, 4 when integrity is broken.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the status and answers ``--check``."""
        verbosity = options["verbosity"]
        status = Executor(options["database"]).status(with_texts=verbosity >= 2, with_events=options["check"])
        if options["format"] == "json":
            self.document(_document(status))
        elif verbosity >= 1:
            self._print(status, verbosity)
        if options["check"]:
            waiting = f"{status.waiting} waiting, " if status.waiting else ""
            self.end(_check_code(status), f"{status.pending} pending, {waiting}integrity {status.integrity}.")

    def _print(self, status: Status, verbosity: int) -> None:
        secrets = credentials(status.database)
        for label, entries in groupby(status.migrations, key=lambda entry: entry.label):
            lines = [self.style.MIGRATE_LABEL(label)]
            for entry in entries:
                lines.append(f" {_MARKS[entry.state]} {_line(entry)}")
                lines += (f"       {line}" for line in (_details(entry, secrets) if verbosity >= 2 else ()))
            # Every write is flushed.
            self.stdout.write("\n".join(lines))
        self.stdout.write(_totals(status))
        for finding in status.findings:
            style = self.style.ERROR if finding.severity is Severity.ERROR else self.style.NOTICE
            text = addressed("\n".join(f"  {line}" for line in rendering.finding_lines(finding)), status.database)
            self.stdout.write(style(text))
        if status.integrity == "valid":
            for line in _next(status):
                self.stdout.write(line)


def _next(status: Status) -> list[str]:
    if any(entry.state in (State.PENDING, State.LATE) and entry.hold is None for entry in status.migrations):
        return [f"Next: {APPLY}{on(status.database)}"]
    # Nothing can be applied before migrate has run; the states have said why.
    held = [entry for entry in status.migrations if entry.hold is not None]
    return list(rendering.held_lines(held, status.database))[-1:]


def _line(entry: MigrationStatus) -> str:
    parts = [entry.name]
    if entry.state is not State.APPLIED:
        parts.append(entry.state.value)
    if entry.hold is not None:
        verb = "applied by migrate in" if entry.state is State.WAITING else "waits for"
        parts.append(f"{verb} {rendering.waits_for(entry)}")
    if entry.applied and entry.applied.is_half_done:
        parts += [rendering.far(entry.progress)] if entry.progress else []
        # For start-up, as below: what knows statements is needed only where files are half done or were changed.
        from sqlmigrations import halves
        from sqlmigrations.retreat import retreat

        back = retreat(entry.applied)
        parts += [halves.far(entry.applied)] if back or entry.state is State.AHEAD else []
        word = "applied" if back else "begun"
        parts.append(f"{word} {_when(entry.applied)}")
    elif entry.applied:
        took = entry.applied.execution_ms
        parts.append(f"applied {_when(entry.applied)}")
        parts.append("recorded without running" if took is None else glimpses.taken(took))
    parts.append("rollback ready" if entry.rollback_ready else "no rollback")
    return "  ".join(parts[:1]) + "  (" + ", ".join(parts[1:]) + ")"


def _when(row: Applied) -> str:
    # Many times as fast as strftime, for as many rows as there are.
    return f"{row.applied_at.astimezone(UTC).isoformat(' ', 'seconds')[:19]} UTC"


def _totals(status: Status) -> str:
    counts = [f"{status.total} in all", f"{status.applied} applied", f"{status.pending} pending"]
    counts += [f"{status.count(state)} {state.value}" for state in _COUNTED if status.count(state)]
    return f"{', '.join(counts)}; integrity {status.integrity}."


def _details(entry: MigrationStatus, secrets: Collection[str]) -> Iterator[str]:
    file = entry.migration and entry.migration.file
    if file and file.raw_checksum != file.checksum:
        yield f"(on disk with CRLF line ends or a byte order mark: sha256sum says {file.raw_checksum[:16]}...)"
    if entry.state in _CHANGED and entry.applied and entry.migration:
        if entry.state is State.PARTIAL and entry.migration.file.checksum == entry.applied.checksum:
            return
        from sqlmigrations.difference import difference

        yield from difference(entry.applied, entry.migration, secrets)


def _check_code(status: Status) -> ExitCode:
    if any(entry.has_stopped for entry in status.migrations):
        return ExitCode.PARTIAL
    if status.integrity != "valid":
        return ExitCode.INTEGRITY
    is_pending = status.pending or status.waiting or status.count(State.PARTIAL)
    return ExitCode.PENDING if is_pending else ExitCode.OK


def _document(status: Status) -> dict[str, object]:
    summary: dict[str, object] = {"total": status.total, "applied": status.applied, "pending": status.pending}
    summary |= {state.value: status.count(state) for state in _COUNTED}
    return {
        "database": status.database,
        "summary": summary | {"integrity": status.integrity},
        "migrations": [_entry_document(entry) for entry in status.migrations],
        "findings": [rendering.finding_document(finding) for finding in status.findings],
    }


def _entry_document(entry: MigrationStatus) -> dict[str, object]:
    row = entry.applied
    return {
        "id": entry.id,
        "label": entry.label,
        "version": entry.name.partition("_")[0],
        "name": entry.name,
        "state": entry.state.value,
        "checksum": entry.migration.file.checksum if entry.migration else None,
        "applied_checksum": row.checksum if row else None,
        "applied_at": row.applied_at.isoformat() if row else None,
        "applied_by": row.applied_by if row else None,
        "execution_ms": row.execution_ms if row else None,
        "mode": row.mode if row else None,
        "rollback_ready": entry.rollback_ready,
        "statements_done": row.statements_done if row else None,
        "statements_total": row.statements_total if row else None,
        "waits_for": rendering.waits_for(entry),
        "next_line": entry.progress.line if entry.progress else None,
    }
