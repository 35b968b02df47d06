"""One migration in full: its row, whether its file still agrees, its SQL, what changed in it, and the way back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from sqlmigrations import conf, planning
from sqlmigrations.backends.aliases import credentials
from sqlmigrations.backends.base import Queries
from sqlmigrations.difference import difference
from sqlmigrations.integrity import compare
from sqlmigrations.ledger import Ledger
from sqlmigrations.loader import load
from sqlmigrations.masking import mask_lines
from sqlmigrations.parser import SQL_CHECKSUM_LIMIT, parse
from sqlmigrations.types import Applied, Finding, MigrationStatus, SqlFile, State

# What a person reads on one page; characters, lines.
SHOWN_TEXT, SHOWN_LINES = 200_000, 2_000
# Comparing takes longer than in proportion to the length; characters.
_COMPARED_TEXT = 200_000
_ALL_OF_IT = "python manage.py sqlmigrate_status -v 2"
_CHANGED = (State.MODIFIED, State.REFORMATTED, State.PARTIAL)


class Origin(Enum):
    """Where a text was taken from."""

    KEPT = "kept"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Extract:
    """A text as far as it is shown; secrets masked.

    Attributes:
        lines: Its first lines.
        total: How many lines it has.
        checksum: Under which all of it can be found.
    """

    origin: Origin
    lines: tuple[str, ...] = field(repr=False)
    total: int
    checksum: str

    @property
    def is_cut(self) -> bool:
        """Whether there is more of it."""
        return len(self.lines) < self.total


@dataclass(frozen=True, slots=True)
class Closeup:
    """What is known of one migration.

    Attributes:
        entry: Its state, its file where there is one, and its row.
        findings: What is wrong between the two, and with the file.
        up: The SQL as applied; ``None`` when it was not kept and the file is another now, or is too large.
        down: What would undo it.
        changes: The difference between the two as lines, one in parentheses where none can be shown.
    """

    entry: MigrationStatus
    findings: tuple[Finding, ...]
    up: Extract | None = None
    down: Extract | None = None
    changes: tuple[str, ...] = ()


class Sql(Enum):
    """Whose SQL is brought along."""

    EVERY = "every"
    OF_FILES = "of files"
    NONE = "none"


def take(database: str, queries: Queries, label: str, key: str, sql: Sql) -> Closeup | None:
    """Looks at one migration that is recorded: reads its row, its texts, and the files of its label.

    Args:
        database: The alias, for the secrets that must not be shown.
        queries: Where to ask.
        label: Of the migration.
        key: Of the migration.
        sql: ``EVERY`` takes the right to read the texts.

    Raises:
        ConfigurationError: The settings are not in order.
        StatementFailed: The role lacks a right, or the server is away.
    """
    settings = conf.load()
    ledger = Ledger(settings.schema)
    row = ledger.find(queries, label, key)
    if row is None:
        return None
    loaded = load([source for source in conf.sources(settings) if source.label == label], settings.ignore)
    comparison = compare(loaded, [row])
    entry = next(entry for entry in comparison.entries if entry.applied is row)
    findings = tuple(_about(entry, row, [*comparison.findings, *loaded.findings]))
    if sql is Sql.NONE:
        return Closeup(entry, findings)
    wanted = [row.checksum, str(row.metadata.get("down_checksum"))]
    texts = ledger.texts(queries, wanted) if sql is Sql.EVERY else {}
    return _with_sql(
        Closeup(entry, findings), replace(row, text=texts.get(row.checksum)), texts, credentials(database)
    )


def _about(entry: MigrationStatus, row: Applied, findings: Collection[Finding]) -> Iterator[Finding]:
    """What is found of this one; a file that could not be read has no migration yet."""
    for finding in findings:
        refused = not finding.migration and finding.location.endswith(f"/{row.name}.sql")
        if refused or finding.migration in (entry.id, row.id):
            yield finding


def _with_sql(known: Closeup, row: Applied, texts: Mapping[str, str], secrets: frozenset[str]) -> Closeup:
    entry, migration = known.entry, known.entry.migration
    up, down = _kept(row.checksum, texts, secrets), _kept(str(row.metadata.get("down_checksum")), texts, secrets)
    changes: tuple[str, ...] = ()
    if migration is not None:
        own = secrets
        if (up is None or down is None) and len(migration.file.text) <= SQL_CHECKSUM_LIMIT:
            own |= planning.passwords(parse(migration))
        if up is None and migration.file.checksum == row.checksum:
            up = _from_file(migration.file, own)
        if down is None and migration.down is not None:
            down = _from_file(migration.down, own)
        if entry.state in _CHANGED and migration.file.checksum != row.checksum:
            changes = tuple(_changes(row, entry, secrets))
    return replace(known, up=up, down=down, changes=changes)


def _kept(checksum: str, texts: Mapping[str, str], secrets: frozenset[str]) -> Extract | None:
    return _extract(Origin.KEPT, texts[checksum], checksum, secrets) if checksum in texts else None


def _from_file(file: SqlFile, secrets: frozenset[str]) -> Extract | None:
    # Whether there are passwords in a larger one is not looked at.
    return _extract(Origin.FILE, file.text, file.checksum, secrets) if len(file.text) <= SQL_CHECKSUM_LIMIT else None


def _extract(origin: Origin, text: str, checksum: str, secrets: frozenset[str]) -> Extract:
    total = text.count("\n") + (not text.endswith("\n"))
    lines = mask_lines(text.removesuffix("\n"), secrets) if secrets else text.removesuffix("\n").split("\n")
    return Extract(origin, tuple(_within(lines)), total, checksum)


def _within(lines: list[str]) -> Iterator[str]:
    """The first lines, and never so much that a page becomes a burden; of a line that is too long its beginning."""
    room = SHOWN_TEXT
    for line in lines[:SHOWN_LINES]:
        if room <= 0:
            return
        yield line if len(line) <= room else f"{line[:room]} ..."
        room -= len(line) + 1


def _changes(row: Applied, entry: MigrationStatus, secrets: frozenset[str]) -> Iterator[str]:
    assert entry.migration is not None
    if max(len(row.text or ""), len(entry.migration.file.text)) > _COMPARED_TEXT:
        yield f"(too large to be compared here: {_ALL_OF_IT})"
        return
    lines = list(difference(row, entry.migration, secrets))
    yield from lines[:SHOWN_LINES]
    if len(lines) > SHOWN_LINES:
        yield f"({len(lines) - SHOWN_LINES} more lines: {_ALL_OF_IT})"
