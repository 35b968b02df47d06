"""Every error a caller can meet: what happened, the process exit code it stands for, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar

from sqlmigrations.types import Blocker, Finding, ServerError


class ExitCode(IntEnum):
    """What the process answers to the shell. The numbers never change."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PENDING = 3
    INTEGRITY = 4
    LOCKED = 5
    UNSAFE = 6
    PARTIAL = 7
    UNKNOWN = 8
    UNREACHABLE = 9
    LOCK_LOST = 10
    INTERRUPTED = 130
    TERMINATED = 143


class SqlMigrationsError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: What was met, where, and the state the database is in now.
        remedy: What to do; commands in it exist and can be typed as they stand.
        findings: The single problems, where there are several.
        kept: What of a migration is there nevertheless, and what was applied before it; empty before the first one.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, kept: str = "", remedy: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.kept = kept
        self.remedy = remedy
        self.findings = tuple(findings)


class ConfigurationError(SqlMigrationsError):
    """The settings or the arguments are wrong; nothing was touched."""

    exit_code = ExitCode.USAGE


class ForeignTable(ConfigurationError):
    """A ``schema_migrations`` of somebody else stands in the place of ours; it was left alone."""


class IntegrityError(SqlMigrationsError):
    """Files and ledger do not agree, or the files themselves are not in order; nothing has run."""

    exit_code = ExitCode.INTEGRITY


class LockNotObtained(SqlMigrationsError):
    """Somebody else holds the migration lock; nothing was changed."""

    exit_code = ExitCode.LOCKED


class UnsafePlan(SqlMigrationsError):
    """A safety rule stopped the plan; nothing has run."""

    exit_code = ExitCode.UNSAFE


class Irreversible(UnsafePlan):
    """A migration has no way back; nothing was changed."""


class PartialMigration(SqlMigrationsError):
    """A migration is neither applied nor absent; a person has to decide."""

    exit_code = ExitCode.PARTIAL


class OutcomeUnknown(SqlMigrationsError):
    """The connection went away during COMMIT and the server could not be asked again."""

    exit_code = ExitCode.UNKNOWN


class DatabaseUnavailable(SqlMigrationsError):
    """The database cannot be reached, or only be read."""

    exit_code = ExitCode.UNREACHABLE


class LockLost(SqlMigrationsError):
    """The lock connection went away; the run stopped before its next statement."""

    exit_code = ExitCode.LOCK_LOST


class Interrupted(SqlMigrationsError):
    """The run was asked to end, by Ctrl-C or ``Executor.cancel``; the message says what is left."""

    exit_code = ExitCode.INTERRUPTED


class Terminated(Interrupted):
    """The run was asked to end by SIGTERM; the message says what is left."""

    exit_code = ExitCode.TERMINATED


class MigrationFailed(SqlMigrationsError):
    """A migration failed and was rolled back.

    Attributes:
        finding: The migration and the place in its file.
        excerpt: The lines around the place, with a caret; secrets masked.
        server: What PostgreSQL said; secrets masked. ``None`` when the runner itself refused.
        notices: What it said before; secrets masked.
        attempts: How often it was tried.
        blockers: Who stood in the way of its last attempt.
        is_clean: Whether what failed left nothing behind, so that it may be run again at once.
    """

    def __init__(
        self,
        message: str,
        *,
        finding: Finding,
        excerpt: str = "",
        server: ServerError | None = None,
        kept: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(message, kept=kept, remedy=remedy)
        self.finding = finding
        self.excerpt = excerpt
        self.server = server
        self.notices: tuple[str, ...] = ()
        self.attempts = 1
        self.blockers: tuple[Blocker, ...] = ()
        self.is_clean = True


class MigrationStopped(MigrationFailed, PartialMigration):
    """A migration that runs statement by statement stopped half way: what it did before is kept."""


class StatementFailed(Exception):
    """A statement was refused by the server, or the connection went away under it. Internal to the engine."""

    def __init__(self, server: ServerError) -> None:
        super().__init__(server.message)
        self.server = server
