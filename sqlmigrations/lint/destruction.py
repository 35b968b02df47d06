"""Rules about what cannot be got back: tables, columns, schemas and rows that go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmigrations.lint.objects import Kind
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.sql.lexer import Token
from sqlmigrations.sql.reading import Name, Reader, depths, find, is_word, outer, phrase
from sqlmigrations.types import Severity

_ROUTINES = frozenset({"function", "procedure", "routine", "aggregate"})
_ALWAYS_TRUE: tuple[list[str], ...] = ([], ["true"], ["1", "=", "1"])


@rule("drop-table", "D01", Severity.WARNING, "DROP TABLE: the rows are gone.", opens="drop")
def drop_table(scene: Scene) -> Iterator[Sighting]:
    """One finding per table that was there before this run."""
    reader = scene.reader()
    if not reader.take("drop", "table"):
        return
    reader.guard()
    for table in reader.names():
        if not scene.is_new(table):
            yield Sighting(
                table.start,
                f"DROP TABLE {table} destroys its rows, and code still deployed that reads it fails.",
                f"Deploy code that no longer uses {table} first, and keep a dump of it (pg_dump -t "
                f"{table}); or rename it now and drop it in a later migration.",
            )


@rule("drop-column", "D02", Severity.WARNING, "DROP COLUMN: its values are gone.", opens="alter")
def drop_column(scene: Scene) -> Iterator[Sighting]:
    """One finding per column that was there before this run."""
    for action in scene.actions:
        reader = action.reader()
        if not reader.take("drop") or reader.sees("constraint"):
            continue
        reader.take("column")
        reader.guard()
        column, table = reader.name(), action.table
        if column and not scene.is_new_column(table, column):
            yield Sighting(
                action.start,
                f"DROP COLUMN {column} puts its values out of reach, and code still deployed that names "
                f"{table}.{column} fails.",
                f"Deploy code that no longer uses {table}.{column} first (a Django model selects every "
                "field it declares), then drop it in a later migration.",
            )


@rule("drop-schema", "D03", Severity.WARNING, "DROP SCHEMA: everything in it is gone.", opens="drop")
def drop_schema(scene: Scene) -> Iterator[Sighting]:
    """One finding per schema that was there before this run."""
    reader = scene.reader()
    if not reader.take("drop", "schema"):
        return
    reader.guard()
    for schema in reader.names():
        if not scene.is_new(schema, Kind.SCHEMA):
            yield Sighting(
                schema.start,
                f"DROP SCHEMA {schema} removes whatever lies in it, with an exclusive lock on every relation.",
                f"Drop the objects of {schema} one by one, so that the review shows what goes, and {schema} "
                "last, without CASCADE.",
            )


@rule("drop-database", "D03", Severity.WARNING, "DROP DATABASE: everything is gone.", opens="drop")
def drop_database(scene: Scene) -> Iterator[Sighting]:
    """A database is never new enough."""
    reader = scene.reader()
    if not reader.take("drop", "database"):
        return
    reader.guard()
    name = reader.name()
    yield Sighting(
        scene.statement.start,
        f"DROP DATABASE {name} removes a whole database, and nothing brings it back but a backup.",
        f"Take it out of the migrations and drop {name} by hand, after a last pg_dump.",
    )


@rule("drop-owned", "D06", Severity.WARNING, "DROP OWNED: all objects of a role are gone.", opens="drop")
def drop_owned(scene: Scene) -> Iterator[Sighting]:
    """Which objects those are, the file does not say."""
    reader = scene.reader()
    if not reader.take("drop", "owned", "by"):
        return
    role = reader.name()
    yield Sighting(
        scene.statement.start,
        f"DROP OWNED BY {role} drops every object of {role} in this database, tables with their rows included.",
        f"REASSIGN OWNED BY {role} TO another_role first, then only privileges are left to drop.",
    )


@rule("truncate", "D01", Severity.WARNING, "TRUNCATE: the rows are gone.", opens="truncate")
def truncate(scene: Scene) -> Iterator[Sighting]:
    """One finding per table that was there before this run."""
    reader = scene.reader()
    reader.take("truncate")
    reader.take("table")
    for table in reader.names():
        if not scene.is_new(table):
            yield Sighting(
                table.start,
                f"TRUNCATE {table} removes all its rows and keeps every reader and writer out until COMMIT.",
                f"DELETE FROM {table} WHERE ... in batches keeps the table usable; keep a dump of it "
                f"(pg_dump -t {table}) if the rows matter.",
            )


@rule(
    "cascade",
    "D04",
    Severity.WARNING,
    "CASCADE: objects go that the file does not name.",
    opens="drop truncate alter",
)
def cascade(scene: Scene) -> Iterator[Sighting]:
    """CASCADE as the last word of what removes something, unless all that is removed is new."""
    for tokens, what, names in _removals(scene):
        if tokens and is_word(tokens[-1], "cascade"):
            named = ", ".join(names)
            yield Sighting(
                tokens[-1].start,
                f"CASCADE removes whatever depends on {named}, which the file does not name.",
                f"Leave CASCADE out: the server's error lists what depends on {named}; {what} those first, by name.",
            )


def _removals(scene: Scene) -> Iterator[tuple[Sequence[Token], str, list[str]]]:
    for action in scene.actions:
        reader = action.reader()
        if reader.take("drop"):
            table = "" if reader.take("constraint") else f"{action.table}."
            reader.take("column")
            reader.guard()
            yield action.tokens, "drop", [f"{table}{reader.name()}"]
    reader = scene.reader()
    if reader.take("truncate"):
        reader.take("table")
        tables = [table for table in reader.names() if not scene.is_new(table)]
        if tables:
            yield scene.tokens, "truncate", [str(table) for table in tables]
    elif reader.take("drop") and not reader.sees("owned"):
        names = _dropped(scene, reader)
        if names:
            yield scene.tokens, "drop", names


def _dropped(scene: Scene, reader: Reader) -> list[str]:
    """What a DROP names and this run did not create."""
    whole = phrase(scene.tokens[1:-1])
    reader.take("materialized") or reader.take("foreign") or reader.take("event")
    word = reader.token.value if reader.token else ""
    reader.at += 1
    kind = next((kind for kind in Kind if kind.value == word.replace("routine", "function")), None)
    reader.take("concurrently")
    reader.guard()
    if kind is None:
        return [whole]
    return [str(name) for name in reader.names() if not scene.is_new(name, kind)]


@rule(
    "unbounded-dml",
    "D05",
    Severity.WARNING,
    "UPDATE or DELETE without WHERE: every row is written, locked and kept locked until COMMIT.",
    opens="update delete with",
)
def unbounded_dml(scene: Scene) -> Iterator[Sighting]:
    """Also inside WITH; never the UPDATE of FOR UPDATE, ON CONFLICT DO UPDATE, MERGE or a trigger."""
    for verb, table, tail in _writes(scene.tokens):
        if _is_bounded(tail) or scene.is_new(table):
            continue
        if verb == "update":
            yield Sighting(
                table.start,
                f"UPDATE {table} without WHERE writes every row and keeps it locked until COMMIT.",
                f"Say which rows change (UPDATE {table} SET ... WHERE ...), or go through {table} in "
                "batches by key, each batch committed by itself.",
            )
        else:
            yield Sighting(
                table.start,
                f"DELETE FROM {table} without WHERE removes every row and keeps it locked until COMMIT.",
                f"Say which rows go (DELETE FROM {table} WHERE ...), or go through {table} in batches by "
                "key, each batch committed by itself.",
            )


def _writes(tokens: Sequence[Token]) -> Iterator[tuple[str, Name, Sequence[Token]]]:
    """Each UPDATE and DELETE that is a statement or a part of WITH: its table, what follows at its depth."""
    for index, token in enumerate(tokens):
        starts = index == 0 or tokens[index - 1].text in {"(", ")"}
        verb = token.value if starts else ""
        reader = Reader(tokens, index)
        if verb == "update" and reader.take("update"):
            is_statement = True
        elif verb == "delete" and reader.take("delete", "from"):
            is_statement = False
        else:
            continue
        reader.take("only")
        table = reader.name()
        tail = _same_depth(reader.rest)
        if table and not (is_statement and find(tail, "set") is None):
            yield verb, table, tail


def _same_depth(tokens: Sequence[Token]) -> list[Token]:
    """The tokens up to where the parentheses around them close, those in further parentheses left out."""
    inside = []
    for token, depth in depths(tokens):
        if depth < 0:
            break
        inside.append(token)
    return outer(inside)


def _is_bounded(tail: Sequence[Token]) -> bool:
    at = find(tail, "where")
    if at is None:
        return False
    end = find(tail, "returning")
    condition = [token.value for token in tail[at + 1 : end]]
    return condition not in _ALWAYS_TRUE
