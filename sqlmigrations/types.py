"""The values everything else speaks in: frozen, without behaviour beyond naming themselves."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path

# The label of the app's own files: they make the tracking tables, and everything else comes after them.
TRACKING_LABEL = "sqlmigrations"


class State(Enum):
    """Where a migration stands when the files and the ledger are laid side by side."""

    APPLIED = "applied"
    PENDING = "pending"
    LATE = "late"
    MODIFIED = "modified"
    REFORMATTED = "reformatted"
    MISSING = "missing"
    AHEAD = "ahead"
    PARTIAL = "partial"


class Result(Enum):
    """How one step of a run ended."""

    APPLIED = "applied"
    EMPTY = "empty"
    FAKED = "faked"
    SKIPPED = "skipped"
    FAILED = "failed"


class Severity(Enum):
    """How much a finding weighs: an error stops the plan, the others are shown."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Pooling(Enum):
    """What stands between the runner and the server, as far as it shows: which server process a client meets."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


class Mode(Enum):
    """How the statements of a file reach the server."""

    TRANSACTION = "transaction"
    STATEMENTS = "statements"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about a file, the settings or the ledger, with what to do about it.

    Attributes:
        rule: Stable identifier in kebab case, the word ``--allow`` and ``-- allow:`` take.
        severity: ``ERROR`` stops the plan before anything runs.
        message: What was met, one sentence without the place.
        remedy: What to do about it, with the user's own names in it.
        migration: ``label.NNN_slug``, empty when the finding is about no single migration.
        location: The file as people see it, relative to the working directory where it lies below it.
        line: Line in the file, from 1; ``None`` when the finding is about the whole file.
        column: Column in that line, from 1, in characters.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str = ""
    migration: str = ""
    location: str = ""
    line: int | None = None
    column: int | None = None

    @property
    def place(self) -> str:
        """``file:line:column`` as far as each is known."""
        return ":".join(str(part) for part in (self.location, self.line, self.column) if part)


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of SQL files and the label its migrations carry."""

    label: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Route:
    """The way of the runner's own connections to a database.

    Attributes:
        alias: The database.
        through: The alias whose address is used: the database's own, or the one that ``DIRECT`` names.
        keeps_session: Whether a pooler on the way is declared to leave a client its server process for as long as it
            stays (``SESSION_POOLED``).
    """

    alias: str
    through: str
    keeps_session: bool


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One file, read and hashed: the text is exactly what will be executed.

    Attributes:
        path: Where it lies.
        location: The same, as people see it.
        text: Decoded, BOM stripped, CRLF turned into LF.
        checksum: SHA-256 of ``text`` in UTF-8, hexadecimal.
        raw_checksum: SHA-256 of the bytes on disk; differs after a CRLF checkout.
    """

    path: Path
    location: str
    text: str = field(repr=False)
    checksum: str
    raw_checksum: str


@dataclass(frozen=True, slots=True)
class SqlMigration:
    """A versioned migration as it lies in its folder, not yet parsed."""

    label: str
    version: int
    name: str
    file: SqlFile
    down: SqlFile | None = None

    @property
    def id(self) -> str:
        """``label.NNN_slug``, the way Django writes ``app.0001_initial``."""
        return f"{self.label}.{self.name}"

    @property
    def digits(self) -> str:
        """The number as it is written, leading zeros and all."""
        return self.name.partition("_")[0]

    @property
    def key(self) -> str:
        """What identifies it in the ledger beside the label: the number without leading zeros."""
        return str(self.version)


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of a ``depends:`` line; an empty label means the label of the file itself."""

    label: str
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """One ``allow:`` line: the rule it silences in this file, and why."""

    rule: str
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Directives:
    """What the comment block before the first statement tells the runner. Times are milliseconds."""

    depends: tuple[Dependency, ...] = ()
    transaction: Mode | None = None
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    database: str | None = None
    irreversible: str | None = None
    allow: tuple[Allowance, ...] = ()
    late: str | None = None


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
    """

    done: int
    total: int
    line: int | None


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One migration, from whichever of the two sides it is known.

    Attributes:
        progress: Of a partial one that the next run goes on with.
    """

    state: State
    migration: SqlMigration | None
    applied: Applied | None
    rollback_ready: bool
    progress: Progress | None = None

    @property
    def id(self) -> str:
        """``label.NNN_slug`` as on disk, or as recorded where the file is gone."""
        known = self.migration or self.applied
        assert known is not None
        return known.id

    @property
    def label(self) -> str:
        """The label it is listed under."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """``NNN_slug``."""
        return self.id.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture of one database, read without writing anything.

    Attributes:
        findings: What is wrong or worth knowing about files and ledger.
        tracked: Whether the tracking tables exist.
        dangers: What in pending files would not be run.
    """

    database: str
    migrations: tuple[MigrationStatus, ...]
    findings: tuple[Finding, ...]
    tracked: bool
    dangers: tuple[Finding, ...] = ()

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
        return self.total - self.pending - self.count(State.PARTIAL)

    @property
    def pending(self) -> int:
        """Migrations the next apply would run, late ones too."""
        return self.count(State.PENDING, State.LATE)

    @property
    def integrity(self) -> str:
        """``valid``, or ``broken`` when an apply would refuse to start."""
        return "broken" if any(f.severity is Severity.ERROR for f in self.findings) else "valid"


@dataclass(frozen=True, slots=True)
class ServerError:
    """What the server, or the driver in its place, said of a failure.

    Attributes:
        sqlstate: Five characters; empty when the connection was lost, which carries none.
        position: Character in the statement sent, from 1.
        lost: The connection is gone.
        table: ``schema.table`` whose row or constraint it is about; empty when it names none.
        column: The column of it.
    """

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    context: str = ""
    position: int | None = None
    lost: bool = False
    table: str = ""
    column: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step of a run ended.

    Attributes:
        duration_ms: Milliseconds, wall clock of the runner.
        statements: How many statements of the file were run.
        attempts: How often the file was started.
        notices: What the server said meanwhile; secrets masked.
        note: Why the result is not the ordinary one.
    """

    id: str
    result: Result
    duration_ms: float
    statements: int
    attempts: int = 1
    notices: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that stands in the way of a statement of ours.

    Attributes:
        pid: Its server process; 0 for a transaction that was left by PREPARE TRANSACTION.
        application: What it calls itself, or what it is where it is no client, such as ``autovacuum worker``.
        state: As ``pg_stat_activity`` says it, such as ``idle in transaction``; empty where rights do not let us see.
        age_s: How long its transaction has been open, seconds; ``None`` where rights do not let us see.
        relation: What it holds and we wait for, as SQL would name it; empty when it is no relation.
        query: Its last statement in one line without the values in it, or what a prepared transaction is called;
            ``None`` where rights do not let us see.
    """

    pid: int
    user: str
    application: str
    state: str
    age_s: float | None
    relation: str = ""
    query: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What a file that takes long was seen doing.

    Attributes:
        migration: ``label.NNN_slug``.
        number: Which statement of the file, from 1.
        total: How many there are.
        line: Where it stands in the file.
        elapsed_s: How long this statement has been running, seconds.
        blockers: Who it waits for, the nearest first; empty when it works.
        phase: What the server says it is doing, such as ``building index: scanning table``; empty when it is silent.
        percent: How much of the phase is done, 0 to 100; ``None`` when that is not known.
    """

    migration: str
    number: int
    total: int
    line: int
    elapsed_s: float
    blockers: tuple[Blocker, ...] = ()
    phase: str = ""
    percent: float | None = None
