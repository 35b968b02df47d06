"""Rules about indexes built while a lock keeps the users of the table out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmigrations.lint.alterations import Constraint, new_column
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.sql.lexer import Token
from sqlmigrations.sql.reading import Name, Reader, find, has, phrase, plain_name
from sqlmigrations.types import Severity


@rule(
    "create-index",
    "L01",
    Severity.WARNING,
    "CREATE INDEX without CONCURRENTLY: nobody can write to the table while it is built.",
    opens="create",
)
def create_index(scene: Scene) -> Iterator[Sighting]:
    """ON ONLY, the first step for a partitioned table, builds nothing."""
    tokens = scene.tokens
    reader = scene.reader()
    reader.take("create")
    unique = reader.take("unique")
    if not reader.take("index") or reader.sees("concurrently"):
        return
    after_index = reader.at
    at = find(tokens, "on")
    reader.at = len(tokens) if at is None else at + 1
    if reader.sees("only"):
        return
    table = reader.name()
    if table is None or scene.is_new(table):
        return
    create = "CREATE UNIQUE INDEX" if unique else "CREATE INDEX"
    definition = _definition(tokens, after_index, table)
    yield Sighting(
        scene.statement.start,
        f"{create} on {table} reads the whole table, and nobody can write to it until COMMIT.",
        _apart(create, definition),
    )


def _definition(tokens: Sequence[Token], at: int, table: Name) -> str:
    """What follows CREATE INDEX, without IF NOT EXISTS and with a name."""
    reader = Reader(tokens, at)
    reader.take("if", "not", "exists")
    definition = phrase(tokens[reader.at :])
    if not reader.sees("on"):
        return definition
    opening = next((i for i in range(reader.at, len(tokens)) if tokens[i].text == "("), len(tokens))
    columns = [str(column) for column in Reader(tokens, opening + 1).names()]
    return f"{plain_name(table.name, *columns, 'idx')} {definition}"


def _apart(create: str, definition: str) -> str:
    """A file of nothing else runs outside of a transaction without being told."""
    return f"In a file of its own, which then runs outside of a transaction: {create} CONCURRENTLY {definition}"


@rule(
    "add-unique",
    "L04",
    Severity.WARNING,
    "ADD UNIQUE: nobody can read or write the table while the index is built.",
    opens="alter",
)
def add_unique(scene: Scene) -> Iterator[Sighting]:
    """As a table constraint or on a new column; with USING INDEX it is instant."""
    for action in scene.actions:
        column = new_column(action)
        if column and has(column.clauses, "unique"):
            recipe = _index_recipe([str(column.name)], str(column.table), "UNIQUE")
            yield Sighting(
                action.start,
                _index_danger("UNIQUE", str(column.table)),
                f"Add {column.name} without UNIQUE in an earlier file. {recipe}",
            )
    for constraint in scene.constraints("unique"):
        yield from _index_sighting(constraint, "UNIQUE")


@rule(
    "add-primary-key",
    "L05",
    Severity.WARNING,
    "ADD PRIMARY KEY: nobody can read or write the table while the index is built.",
    opens="alter",
)
def add_primary_key(scene: Scene) -> Iterator[Sighting]:
    """With USING INDEX over columns that are NOT NULL it is instant."""
    for constraint in scene.constraints("primary key"):
        yield from _index_sighting(constraint, "PRIMARY KEY")


def _index_sighting(constraint: Constraint, words: str) -> Iterator[Sighting]:
    reader = Reader(constraint.tokens)
    reader.take("primary", "key") or reader.take("unique")
    nulls = " NULLS NOT DISTINCT" if reader.take("nulls", "not", "distinct") else ""
    columns = list(Reader(reader.parenthesised()[1:]).names())
    if not columns:  # USING INDEX
        return
    table = str(constraint.table)
    recipe = _index_recipe([str(column) for column in columns], table, words, constraint.name, nulls)
    yield Sighting(constraint.start, _index_danger(words, table), recipe)


def _index_danger(words: str, table: str) -> str:
    return f"ADD {words} builds an index on {table}, and nobody can read or write {table} until COMMIT."


def _index_recipe(columns: list[str], table: str, words: str, name: str = "", nulls: str = "") -> str:
    name = name or plain_name(table.rpartition(".")[2], *columns, "key")
    create, definition = "CREATE UNIQUE INDEX", f"{name} ON {table} ({', '.join(columns)}){nulls}"
    use = f"ALTER TABLE {table} ADD CONSTRAINT {name} {words} USING INDEX {name}"
    return f"{_apart(create, definition)}; then in the next file: {use}"
