"""The plan: which pending migrations run now, in which order and how, or why none of them may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlmigrations.exceptions import IntegrityError, PartialMigration, SqlMigrationsError, UnsafePlan
from sqlmigrations.integrity import LEDGER_RULES, Comparison
from sqlmigrations.types import (
    TRACKING_LABEL,
    UNAPPLIED,
    Direction,
    Finding,
    MigrationStatus,
    Pooling,
    Progress,
    SqlMigration,
)

if TYPE_CHECKING:
    from sqlmigrations.parser import Script
    from sqlmigrations.sql.reading import Name


@dataclass(frozen=True, slots=True)
class Step:
    """One pending migration in its place.

    Attributes:
        passwords: Written in its files.
        secrets: Whatever must not be shown: the passwords, and the credentials of the database.
        progress: How far an earlier run came; ``None`` when none has begun it.
        direction: Backward where the file of the script is the way back of a migration.
    """

    script: Script
    late: bool
    lock_timeout_ms: int | None
    statement_timeout_ms: int | None
    passwords: frozenset[str] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    progress: Progress | None = None
    direction: Direction = Direction.FORWARD

    @property
    def migration(self) -> SqlMigration:
        """The migration this step applies."""
        return self.script.migration

    @property
    def spoken(self) -> str:
        """What is under way, as the beginning of a sentence that tells how it ended."""
        return self.migration.id if self.direction is Direction.FORWARD else f"Undoing {self.migration.id}"

    @property
    def founds(self) -> bool:
        """Whether it makes the tracking tables themselves."""
        return self.migration.label == TRACKING_LABEL and self.migration.version == 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        steps: In the order in which they run.
        comparison: Files and ledger side by side.
        disagreements: Errors of files, directives, dependencies and ledger.
        dangers: Contents that certainly fail or break recording.
        warnings: What is safe to run but deserves a look, notes included.
        creates: Relations whose creation fails where they exist already, and the migration of each.
        held: What is asked for and left alone: files that ``migrate`` applies, and those that come after them.
        ahead: Dangers and warnings of those files that ``migrate`` applies: they stop nothing here.
        pooling: What stands between the runner and the server.
        hand_made: Set where the database has such relations and nothing is recorded.
        unread: How many files were not looked into, where no more than some were to be.
    """

    steps: tuple[Step, ...]
    comparison: Comparison
    disagreements: tuple[Finding, ...]
    dangers: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    creates: Mapping[Name, SqlMigration] = field(default_factory=dict)
    held: tuple[MigrationStatus, ...] = ()
    ahead: tuple[Finding, ...] = ()
    pooling: Pooling = Pooling.NONE
    hand_made: SqlMigrationsError | None = None
    unread: int = 0

    def refusal(self) -> SqlMigrationsError | None:
        """The error that stops the run before its first statement, or ``None`` when it may start."""
        if any(finding.rule == "partial" for finding in self.disagreements):
            return PartialMigration("A migration is half done; nothing has run.", findings=self.disagreements)
        if self.disagreements and all(finding.rule == UNAPPLIED for finding in self.disagreements):
            message = "Migrations of Django's have to be applied first; nothing has run."
            return IntegrityError(message, findings=self.disagreements)
        if self.disagreements:
            recorded = any(finding.rule in LEDGER_RULES for finding in self.disagreements)
            what = "do not agree with what is recorded" if recorded else "are not in order"
            return IntegrityError(f"The migration files {what}; nothing has run.", findings=self.disagreements)
        if self.dangers:
            return UnsafePlan("The plan is not safe to run; nothing has run.", findings=self.dangers)
        return self.hand_made
