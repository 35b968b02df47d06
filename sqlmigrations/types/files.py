"""Files as they are read: sources, migrations, and what their directives say."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

# The label of the app's own files: they make the tracking tables, and everything else comes after them.
TRACKING_LABEL = "sqlmigrations"


class Mode(Enum):
    """How the statements of a file reach the server."""

    TRANSACTION = "transaction"
    STATEMENTS = "statements"


class Direction(Enum):
    """Whether a file is applied or undone; in events the mode of a run."""

    FORWARD = "apply"
    BACKWARD = "undo"


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of SQL files and the label its migrations carry."""

    label: str
    folder: Path


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

    path: str
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
class DjangoMigration:
    """A migration of Django's, as a directive names it: ``django:shop.0003_name``.

    Attributes:
        app: The label of the app.
        name: Its name; in a ``depends:`` line also ``__first__`` or ``__latest__``.
        line: Line in the file, from 1.
    """

    app: str
    name: str
    line: int

    @property
    def id(self) -> str:
        """As it is written in the file."""
        return f"django:{self.app}.{self.name}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One ``allow:`` line: the rule it silences in this file, and why."""

    rule: str
    reason: str = field(repr=False)
    line: int


@dataclass(frozen=True, slots=True)
class Directives:
    """What the comment block before the first statement tells the runner. Times are milliseconds.

    Attributes:
        django_depends: Migrations of Django's that have to be applied before.
        runs_in: The migration of Django's that applies the file; the command leaves it alone.
    """

    depends: tuple[Dependency, ...] = ()
    django_depends: tuple[DjangoMigration, ...] = ()
    transaction: Mode | None = None
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    database: str | None = None
    irreversible: str | None = field(default=None, repr=False)
    allow: tuple[Allowance, ...] = ()
    late: str | None = field(default=None, repr=False)
    runs_in: DjangoMigration | None = None
