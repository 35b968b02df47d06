"""What is met and told while a run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Result(Enum):
    """How one step of a run ended."""

    APPLIED = "applied"
    EMPTY = "empty"
    FAKED = "faked"
    UNDONE = "undone"
    SKIPPED = "skipped"
    FAILED = "failed"


class RunMode(Enum):
    """What is done with the steps of a plan."""

    APPLY = "apply"
    FAKE = "fake"
    UNDO = "undo"


class Pooling(Enum):
    """What stands between the runner and the server, as far as it shows: which server process a client meets."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


class Audience(Enum):
    """Who follows a file statement by statement, which decides what of it travels to the server in one message.

    ``LIVE``: somebody before a terminal whose line tells of each; only rows to be written travel together. ``LATER``:
    a log, or nobody.
    """

    LIVE = "live"
    LATER = "later"


class OnMigrate(Enum):
    """Where Django's ``migrate`` applies the pending SQL files, too."""

    TESTS = "tests"
    ALWAYS = "always"
    NEVER = "never"


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


INSUFFICIENT_PRIVILEGE = "42501"


@dataclass(frozen=True, slots=True)
class ServerError:
    """What the server, or the driver in its place, said of a failure.

    Attributes:
        sqlstate: Five characters; empty when the connection was lost, which carries none.
        position: Character in the statement sent, from 1.
        lost: The connection is gone.
        table: ``schema.table`` whose row or constraint it is about; empty when it names none.
        column: The column of it.
        others: How many statements came behind the one told, in the same message, each of which it may have been.
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
    others: int = 0

    @property
    def is_forbidden(self) -> bool:
        """Whether the role lacks a right."""
        return self.sqlstate == INSUFFICIENT_PRIVILEGE


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
        number: Which statement of the file, from 1; where several travel together the first of them.
        total: How many there are.
        line: Where it stands in the file.
        elapsed_s: How long this statement has been running, seconds.
        blockers: Who it waits for, the nearest first; empty when it works.
        phase: What the server says it is doing, such as ``building index: scanning table``; empty when it is silent.
        percent: How much of the phase is done, 0 to 100; ``None`` when that is not known.
        last: Which statement is the last one of those that travel together; ``None`` where it is alone.
    """

    migration: str
    number: int
    total: int
    line: int
    elapsed_s: float
    blockers: tuple[Blocker, ...] = ()
    phase: str = ""
    percent: float | None = None
    last: int | None = None
