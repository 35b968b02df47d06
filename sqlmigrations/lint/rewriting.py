"""Rules about changes of a column that make the server write the whole table anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmigrations.lint.alterations import Column, altered_column
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.sql.lexer import Token
from sqlmigrations.sql.reading import Reader, has, phrase, plain_name
from sqlmigrations.types import Severity

_VOLATILE = frozenset(
    {"gen_random_uuid", "uuidv4", "uuidv7", "uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"}
    | {"random", "random_normal", "clock_timestamp", "timeofday", "nextval", "gen_random_bytes"}
)
_HOMES = frozenset({"", "pg_catalog"})
_SERIALS = {
    "smallserial": "smallint",
    "serial2": "smallint",
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
}


def serial_type(column: Column) -> str:
    """The integer type behind a serial one; empty for other types."""
    return _SERIALS.get(column.type[0].value, "") if column.type else ""


@rule(
    "alter-type",
    "R05",
    Severity.WARNING,
    "ALTER COLUMN TYPE: most changes write the table and its indexes anew, and nobody can read or write meanwhile.",
    opens="alter",
)
def alter_type(scene: Scene) -> Iterator[Sighting]:
    """Which changes are free depends on the old type, which the file does not tell."""
    for action in scene.actions:
        altered = altered_column(action)
        if altered is None:
            continue
        column, reader = altered
        if not (reader.take("type") or reader.take("set", "data", "type")):
            continue
        new = plain_name(column.name, "new")
        table, type = action.table, phrase(_type(reader.rest))
        yield Sighting(
            action.start,
            f"ALTER COLUMN {column} TYPE {type} may write {table} and its indexes anew, and nobody can read "
            f"or write {table} until COMMIT; only changes such as a longer varchar, or varchar to text, are "
            "instant.",
            f"ALTER TABLE {table} ADD COLUMN {new} {type}; have the application write both columns; fill "
            f"{new} in batches by key; then read from it and drop {column}. Where the change is one of the "
            "instant ones, say so: -- allow: alter-type <why>",
        )


def _type(tokens: Sequence[Token]) -> Sequence[Token]:
    at = next((i for i, token in enumerate(tokens) if token.value in {"using", "collate"}), len(tokens))
    return tokens[:at]


@rule(
    "volatile-default",
    "R01",
    Severity.WARNING,
    "ADD COLUMN with a volatile default: the table is written anew, and nobody can read or write it meanwhile.",
    opens="alter",
)
def volatile_default(scene: Scene) -> Iterator[Sighting]:
    """Only functions of PostgreSQL and its extensions: how others are declared, the file does not tell."""
    for column in scene.columns:
        function = _volatile_function(column.default)
        if function:
            table, name, type = column.table, column.name, phrase(column.type)
            yield Sighting(
                name.start,
                f"{function}() gives every row its own value, so ADD COLUMN {name} writes {table} and its "
                f"indexes anew, and nobody can read or write {table} until COMMIT.",
                f"ALTER TABLE {table} ADD COLUMN {name} {type}; ALTER TABLE {table} ALTER COLUMN {name} SET "
                f"DEFAULT {phrase(column.default)}; then fill the old rows in batches by key.",
            )


def _volatile_function(default: Sequence[Token]) -> str:
    """Not one of the same name in a schema of the application."""
    for index in range(len(default)):
        reader = Reader(default, index)
        name = reader.name() if index == 0 or default[index - 1].text != "." else None
        if name and name.name in _VOLATILE and name.schema in _HOMES and reader.mark("("):
            return str(name)
    return ""


@rule(
    "add-serial",
    "R02",
    Severity.WARNING,
    "ADD COLUMN serial or identity: the table is written anew, and nobody can read or write it meanwhile.",
    opens="alter",
)
def add_serial(scene: Scene) -> Iterator[Sighting]:
    """Every row gets its own number."""
    for column in scene.columns:
        serial, identity = serial_type(column), has(column.clauses, "as", "identity")
        if not (serial or identity):
            continue
        table, name = column.table, column.name
        type = serial or phrase(column.type)
        sequence = plain_name(table.name, name.name, "seq")
        yield Sighting(
            name.start,
            f"Numbering the rows makes ADD COLUMN {name} write {table} and its indexes anew, and nobody can "
            f"read or write {table} until COMMIT.",
            f"CREATE SEQUENCE {sequence}; ALTER TABLE {table} ADD COLUMN {name} {type}; ALTER TABLE {table} "
            f"ALTER COLUMN {name} SET DEFAULT nextval('{sequence}'); then number the old rows in batches by "
            "key.",
        )


@rule(
    "stored-generated",
    "R03",
    Severity.WARNING,
    "ADD COLUMN GENERATED ... STORED: the table is written anew, and nobody can read or write it meanwhile.",
    opens="alter",
)
def stored_generated(scene: Scene) -> Iterator[Sighting]:
    """VIRTUAL ones, from PostgreSQL 18 on, are instant."""
    for column in scene.columns:
        if has(column.clauses, "generated", "always", "as") and has(column.clauses, "stored"):
            table, name = column.table, column.name
            type = phrase(column.type)
            yield Sighting(
                name.start,
                f"A stored generated column makes ADD COLUMN {name} write {table} and its indexes anew, and "
                f"nobody can read or write {table} until COMMIT.",
                f"ALTER TABLE {table} ADD COLUMN {name} {type}, a trigger that fills it, and a backfill in "
                "batches by key; from PostgreSQL 18 on GENERATED ALWAYS AS (...) VIRTUAL is instant.",
            )


@rule(
    "required-column",
    "C03",
    Severity.WARNING,
    "ADD COLUMN NOT NULL without a default: fails with 23502 as soon as the table has a row.",
    opens="alter",
)
def required_column(scene: Scene) -> Iterator[Sighting]:
    """A primary key is NOT NULL too; serial, identity and generated columns fill themselves."""
    for column in scene.columns:
        if not _is_required(column) or _fills_itself(column):
            continue
        table, name, type = column.table, column.name, phrase(column.type)
        yield Sighting(
            name.start,
            f"ADD COLUMN {name} is NOT NULL without a default, which fails (23502) as soon as {table} has a row.",
            f"ALTER TABLE {table} ADD COLUMN {name} {type} NOT NULL DEFAULT ...; or add it without NOT "
            "NULL, fill it in batches by key, and make it NOT NULL in a later migration.",
        )


def _is_required(column: Column) -> bool:
    return has(column.clauses, "not", "null") or has(column.clauses, "primary", "key")


def _fills_itself(column: Column) -> bool:
    has_value = bool(column.default) and not Reader(column.default).sees("null")
    return has_value or bool(serial_type(column)) or has(column.clauses, "generated")
