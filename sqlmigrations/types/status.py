"""Where migrations stand: records, states, and the whole picture of one database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from sqlmigrations.types.django import Hold
from sqlmigrations.types.files import SqlMigration
from sqlmigrations.types.findings import Finding, Severity


class State(Enum):
    """Where a migration stands when the files and the ledger are laid side by side.

    ``WAITING`` is a file that is not recorded and that a migration of Django's applies (``runs-in:``): a run leaves it
    alone.
    """

    APPLIED = "applied"
    PENDING = "pending"
    LATE = "late"
    MODIFIED = "modified"
    REFORMATTED = "reformatted"
    MISSING = "missing"
    AHEAD = "ahead"
    PARTIAL = "partial"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of ``schema_migrations``.

    Attributes:
        applied_at: The server's clock.
        execution_ms: Milliseconds from BEGIN to before COMMIT; ``None`` for a faked one.
        text: The SQL as applied, where it was kept and asked for.
        statements_done: How many of its statements have been run.
        statements_total: How many it has.
    """

    label: str
    key: str
    version: int | None
    name: str
    kind: str
    mode: str
    checksum: str
    sql_checksum: str
    checksum_algorithm: str
    state: str
    applied_at: datetime
    execution_ms: float | None
    applied_by: str
    run_id: uuid.UUID
    late: bool
    has_down: bool
    metadata: Mapping[str, object] = field(default_factory=dict)
    text: str | None = field(default=None, repr=False)
    statements_done: int = 0
    statements_total: int = 0

    @property
    def is_half_done(self) -> bool:
        """Whether it was begun, and is not finished."""
        return self.state != "applied"

    @property
    def id(self) -> str:
        """``label.NNN_slug`` under which it was applied."""
        return f"{self.label}.{self.name}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file that runs statement by statement has come, when the next run goes on with it.

    Attributes:
        done: How many statements are done.
        total: How many the file has now.
        line: Where the next one stands; ``None`` when all are done.
        has_stopped: A run gave it up there; otherwise one is at it still, or was killed.
    """

    done: int
    total: int
    line: int | None
    has_stopped: bool = False


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, from whichever of the two sides it is known.

    Attributes:
        progress: Of a partial one that the next run goes on with.
        hold: Why the next run leaves it alone, where it does though it is not recorded.
        is_under_way: Whether a run is at it at this moment, as far as it was asked.
    """

    state: State
    migration: SqlMigration | None
    applied: Applied | None
    rollback_ready: bool
    progress: Progress | None = None
    hold: Hold | None = None
    is_under_way: bool = False

    @property
    def has_stopped(self) -> bool:
        """Whether it is half done, and no run is at it or goes on with it without somebody looking at it."""
        is_left = self.progress is None or self.progress.has_stopped
        return self.state is State.PARTIAL and is_left and not self.is_under_way

    @property
    def id(self) -> str:
        """``label.NNN_slug`` as on disk, or as recorded where the file is gone."""
        return self._known.id

    @property
    def label(self) -> str:
        """The label it is listed under."""
        return self._known.label

    @property
    def name(self) -> str:
        """``NNN_slug``."""
        return self._known.name

    @property
    def _known(self) -> SqlMigration | Applied:
        known = self.migration or self.applied
        assert known is not None
        return known


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture of one database, read without writing anything.

    Attributes:
        findings: What is wrong or worth knowing about files and ledger.
        tracked: Whether the tracking tables exist.
        dangers: What in pending files would not be run.
        warnings: What in pending files is safe to run but deserves a look.
        unread: How many pending files were not looked into for either, where there are very many.
    """

    database: str
    migrations: tuple[MigrationStatus, ...]
    findings: tuple[Finding, ...]
    tracked: bool
    dangers: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    unread: int = 0

    def count(self, *states: State) -> int:
        """How many migrations are in one of the states."""
        return sum(entry.state in states for entry in self.migrations)

    @property
    def total(self) -> int:
        """Migrations known from files or ledger."""
        return len(self.migrations)

    @property
    def applied(self) -> int:
        """Migrations in force, modified or not."""
        return sum(entry.applied is not None and not entry.applied.is_half_done for entry in self.migrations)

    @property
    def pending(self) -> int:
        """Migrations that are to be run, late ones too; those that wait for Django's ``migrate`` are none of them."""
        return self.count(State.PENDING, State.LATE)

    @property
    def waiting(self) -> int:
        """Migrations that Django's ``migrate`` is to apply."""
        return self.count(State.WAITING)

    @property
    def integrity(self) -> str:
        """``valid``, or ``broken`` when an apply would refuse to start."""
        return "broken" if any(f.severity is Severity.ERROR for f in self.findings) else "valid"
