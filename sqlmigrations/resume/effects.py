"""Which object a statement outside a transaction is about, and what it is to leave behind, told from its tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sqlmigrations.sql.reading import Name, Reader
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.statements import is_on, verb
from sqlmigrations.sql.verbs import values

# NAMEDATALEN - 1: the server cuts longer names off, between characters.
_LONGEST_NAME = 63
Path = tuple[str, ...]


class EffectKind(Enum):
    """What a statement does to its object; ``OTHER`` is whatever leaves no trace that is known here."""

    CREATE_INDEX = "create index"
    DROP_INDEX = "drop index"
    REINDEX = "reindex"
    DETACH = "detach partition"
    CREATE_DATABASE = "create database"
    DROP_DATABASE = "drop database"
    CREATE_TABLESPACE = "create tablespace"
    DROP_TABLESPACE = "drop tablespace"
    CREATE_SUBSCRIPTION = "create subscription"
    DROP_SUBSCRIPTION = "drop subscription"
    REPEATABLE = "repeatable"
    OTHER = "other"


class Scope(Enum):
    """How much a REINDEX is about."""

    INDEX = "index"
    TABLE = "table"
    SCHEMA = "schema"
    DATABASE = "database"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Effect:
    """What one statement is to do, to which object.

    Attributes:
        names: The objects as the server folds their names, each with its schema if the statement gives one: the
            index, the partition, the database; none for an index whose name is left to the server.
        table: Of CREATE INDEX the table, of DETACH PARTITION the partitioned table.
        scope: Of REINDEX.
        unique: A unique index.
        guarded: IF EXISTS or IF NOT EXISTS.
        only: CREATE INDEX ... ON ONLY: on a partitioned table it is rightly invalid at first.
        concurrently: It works in several transactions, so that one that is cut off leaves something behind.
        finalizes: DETACH PARTITION ... FINALIZE.
    """

    kind: EffectKind
    names: tuple[Path, ...] = ()
    table: Path | None = None
    scope: Scope | None = None
    unique: bool = False
    guarded: bool = False
    only: bool = False
    concurrently: bool = False
    finalizes: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Whether running it a second time does no harm whatever became of the first: VACUUM, ALTER SYSTEM."""
        return self.kind is EffectKind.REPEATABLE


_OTHER = Effect(EffectKind.OTHER)
_REPEATABLE = Effect(EffectKind.REPEATABLE)


def effect(statement: Statement) -> Effect:
    """What the statement is to do; of kind ``OTHER`` when the catalog could not tell whether it was done."""
    read = _READERS.get(verb(statement))
    return read(Reader(statement.tokens()), statement) if read else _OTHER


def _create_index(reader: Reader, statement: Statement) -> Effect:
    reader.take("create")
    unique = reader.take("unique")
    reader.take("index")
    concurrently = reader.take("concurrently")
    guarded = reader.guard()
    name = None if reader.sees("on") else reader.name()
    reader.take("on")
    only = reader.take("only")
    table = reader.name()
    if table is None:
        return _OTHER
    return Effect(
        EffectKind.CREATE_INDEX,
        _paths(name),
        _path(table),
        unique=unique,
        guarded=guarded,
        only=only,
        concurrently=concurrently,
    )


def _drop_index(reader: Reader, statement: Statement) -> Effect:
    reader.take("drop", "index")
    concurrently = reader.take("concurrently")
    guarded = reader.guard()
    names = _paths(*reader.names())
    return Effect(EffectKind.DROP_INDEX, names, guarded=guarded, concurrently=concurrently) if names else _OTHER


def _reindex(reader: Reader, statement: Statement) -> Effect:
    reader.take("reindex")
    reader.parenthesised()
    scope = reader.take_any(frozenset(scope.value for scope in Scope))
    concurrently = reader.take("concurrently") or is_on(values(statement), "concurrently", default=False)
    if not scope:
        return _OTHER
    return Effect(EffectKind.REINDEX, _paths(reader.name()), scope=Scope(scope), concurrently=concurrently)


def _alter_table(reader: Reader, statement: Statement) -> Effect:
    reader.take("alter", "table")
    guarded = reader.guard()
    reader.take("only")
    table = reader.name()
    reader.mark("*")
    if table is None or not reader.take("detach", "partition"):
        return _OTHER
    names = _paths(reader.name())
    concurrently, finalizes = reader.take("concurrently"), reader.take("finalize")
    return Effect(
        EffectKind.DETACH, names, _path(table), guarded=guarded, concurrently=concurrently, finalizes=finalizes
    )


def _named(kind: EffectKind) -> _Read:
    """A reader of CREATE or DROP with the kind of object, guard and name."""

    def read(reader: Reader, statement: Statement) -> Effect:
        reader.at = 2
        guarded = reader.guard()
        return Effect(kind, _paths(reader.name()), guarded=guarded)

    return read


def _alter_database(reader: Reader, statement: Statement) -> Effect:
    """Moving a database to where it is does nothing."""
    reader.take("alter", "database")
    reader.name()
    return _REPEATABLE if reader.take("set", "tablespace") else _OTHER


def _alter_subscription(reader: Reader, statement: Statement) -> Effect:
    """To SET or REFRESH again does no harm; to ADD or DROP the same publication again is an error."""
    reader.take("alter", "subscription")
    reader.name()
    return _REPEATABLE if reader.take("set") or reader.take("refresh") else _OTHER


def _repeatable(reader: Reader, statement: Statement) -> Effect:
    return _REPEATABLE


def _paths(*names: Name | None) -> tuple[Path, ...]:
    return tuple(_path(name) for name in names if name is not None)


def _path(name: Name) -> Path:
    return tuple(part.encode()[:_LONGEST_NAME].decode(errors="ignore") for part in name.path)


_Read = Callable[[Reader, Statement], Effect]
_READERS: dict[tuple[str, ...], _Read] = {
    ("CREATE", "INDEX"): _create_index,
    ("DROP", "INDEX"): _drop_index,
    ("REINDEX",): _reindex,
    ("ALTER", "TABLE"): _alter_table,
    ("CREATE", "DATABASE"): _named(EffectKind.CREATE_DATABASE),
    ("DROP", "DATABASE"): _named(EffectKind.DROP_DATABASE),
    ("CREATE", "TABLESPACE"): _named(EffectKind.CREATE_TABLESPACE),
    ("DROP", "TABLESPACE"): _named(EffectKind.DROP_TABLESPACE),
    ("CREATE", "SUBSCRIPTION"): _named(EffectKind.CREATE_SUBSCRIPTION),
    ("DROP", "SUBSCRIPTION"): _named(EffectKind.DROP_SUBSCRIPTION),
    ("ALTER", "DATABASE"): _alter_database,
    ("ALTER", "SUBSCRIPTION"): _alter_subscription,
    ("VACUUM",): _repeatable,
    ("ALTER", "SYSTEM"): _repeatable,
    ("CLUSTER",): _repeatable,
    ("DISCARD",): _repeatable,
}
