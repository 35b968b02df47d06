"""Which objects statements create, told from their tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlmigrations.lint.alterations import actions, new_column
from sqlmigrations.lint.literals import code_in
from sqlmigrations.lint.objects import Created, Creation, Kind
from sqlmigrations.sql.reading import Name, Reader, find, is_word
from sqlmigrations.sql.sequence import REMEMBERED_LENGTH, REMEMBERED_STATEMENTS, Statement, telling
from sqlmigrations.sql.statements import sets

_OPENS = re.compile(r"(?:create|alter|drop|do|select|with)\b", re.IGNORECASE)
_CREATE = re.compile("create", re.IGNORECASE)
_INTO = re.compile(r"\binto\b", re.IGNORECASE)
_MODIFIERS = frozenset(
    {"global", "local", "temp", "temporary", "unlogged", "unique", "recursive", "constraint", "foreign"}
)
_KINDS = frozenset(kind.value for kind in Kind) - {Kind.COLUMN.value}
_TEMPORARY = frozenset({"temp", "temporary"})
_DROP = re.compile(r"\bdrop\b", re.IGNORECASE)
_CARRIED_OFF = frozenset({Kind.INDEX, Kind.VIEW, Kind.MATERIALIZED_VIEW})


def created(statements: Sequence[Statement]) -> Created:
    """What the statements create, DO blocks included."""
    places: dict[tuple[str, Name], list[Creation]] = {}
    for _, statement in telling(statements):
        for creation in creations(statement):
            known = places.setdefault((creation.kind.namespace, creation.name), [])
            if not known or known[0].renamed_from:  # the first place says it all
                known.append(creation)
    return Created({key: frozenset(known) for key, known in places.items()})


def unguarded(statements: Sequence[Statement]) -> tuple[Creation, ...]:
    """The relations whose creation fails where one of that name exists already."""
    found = []
    gone: set[tuple[str, Name]] = set()
    elsewhere = False
    for _, statement in telling(statements):
        gone.update(_removed(statement))
        # From here on a name without a schema means another place than it does to who asks.
        elsewhere = elsewhere or sets(statement) == "search_path"
        for creation in creations(statement):
            if elsewhere and len(creation.name.parts) == 1:
                continue
            if creation.kind.is_relation and not creation.guarded and not _keys(creation) & gone:
                found.append(creation)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Removed:
    """What some files take away again.

    Attributes:
        names: Dropped or given another name, by namespace.
        drops: Whether there is any DROP: it takes indexes along, and with CASCADE views.
    """

    names: frozenset[tuple[str, Name]]
    drops: bool

    @classmethod
    def by(cls, files: Iterable[Sequence[Statement]]) -> Removed:
        """What the files remove, all of them together."""
        every = [statement for statements in files for _, statement in telling(statements)]
        names = frozenset(key for statement in every for key in _removed(statement))
        return cls(names, any(_DROP.search(s.source, s.start, s.end) for s in every))

    def may_have(self, creation: Creation) -> bool:
        """Whether a relation may be gone once all the files have run."""
        return bool(_keys(creation) & self.names) or (self.drops and creation.kind in _CARRIED_OFF)


def creations(statement: Statement) -> tuple[Creation, ...]:
    """What one statement creates."""
    length = statement.end - statement.start
    return _remembered_creations(statement) if length <= REMEMBERED_LENGTH else tuple(_creations(statement))


def _creations(statement: Statement) -> Iterator[Creation]:
    source = statement.source
    opening = _OPENS.match(source, statement.start)
    if opening is None:
        return
    word = opening.group().lower()
    if word == "create":
        yield from _create(statement)
    elif word == "alter":
        yield from _alter(statement)
    elif word == "do" and _CREATE.search(source, statement.start, statement.end):
        yield from _do(statement)
    elif word in {"select", "with"} and _INTO.search(source, statement.start, statement.end):
        yield from _select_into(statement)


# Who asks what a file creates asks next which of it fails where it exists already.
_remembered_creations = lru_cache(REMEMBERED_STATEMENTS)(lambda statement: tuple(_creations(statement)))


def _create(statement: Statement) -> Iterator[Creation]:
    if made := _made(Reader(statement.tokens())):
        kind, name, guarded = made
        yield _creation(statement, kind, name, guarded=guarded)


def _made(reader: Reader) -> tuple[Kind, Name, bool] | None:
    """What a CREATE makes, and whether it bears that there is one already."""
    reader.take("create")
    guarded = reader.take("or", "replace")
    modifiers = set()
    while modifier := reader.take_any(_MODIFIERS):
        modifiers.add(modifier)
    kind = _kind(reader)
    if kind is None:
        return None
    reader.take("concurrently")
    guarded |= reader.guard() or bool(modifiers & _TEMPORARY)
    name = None if reader.sees("on") or reader.sees("authorization") else reader.name()
    if kind is Kind.INDEX and name is not None:
        name = _index_name(reader, name)
    return None if name is None else (kind, name, guarded)


def _kind(reader: Reader) -> Kind | None:
    if reader.take("materialized", "view"):
        return Kind.MATERIALIZED_VIEW
    word = reader.take_any(_KINDS)
    return Kind(word) if word else None


def _index_name(reader: Reader, name: Name) -> Name:
    """An index is written without a schema and lies in that of its table."""
    reader.take("on")
    reader.take("only")
    table = reader.name()
    return Name(table.schema if table else "", name.name, name.parts, name.start)


def column_name(table: Name, column: Name) -> Name:
    """The name under which a column is known here."""
    return Name(f"{table.schema}.{table.name}", column.name, column.parts, column.start)


def _alter(statement: Statement) -> Iterator[Creation]:
    """New names and new columns."""
    tokens = statement.tokens()
    for column in filter(None, map(new_column, actions(tokens))):
        full = column_name(column.table, column.name)
        yield _creation(statement, Kind.COLUMN, full, guarded=True)
    reader = Reader(tokens)
    reader.take("alter")
    kind = _kind(reader)
    reader.guard()
    reader.take("only")
    name = reader.name()
    if kind is None or name is None:
        return
    if reader.take("rename", "to"):
        new = reader.name()
        if new is not None:
            moved = Name(name.schema, new.name, new.parts, new.start)
            yield _creation(statement, kind, moved, guarded=True, renamed_from=name)
    elif reader.take("set", "schema"):
        schema = reader.name()
        if schema is not None:
            home = "" if schema.name == "public" else schema.name
            moved = Name(home, name.name, (*schema.parts, name.parts[-1]), schema.start)
            yield _creation(statement, kind, moved, guarded=True, renamed_from=name)


def _do(statement: Statement) -> Iterator[Creation]:
    origin = hash(statement.source)
    for inside in code_in(statement.tokens()):
        for index, token in enumerate(inside):
            if is_word(token, "create") and (made := _made(Reader(inside, index))):
                kind, name, _ = made
                yield Creation(kind, name, statement.line, True, statement.start, origin)


def _select_into(statement: Statement) -> Iterator[Creation]:
    tokens = statement.tokens()
    at = find(tokens, "into")
    if at is None or tokens[at - 1].value in {"insert", "merge"}:
        return
    reader = Reader(tokens, at + 1)
    modifiers = reader.take_any(_MODIFIERS)
    reader.take("table")
    name = reader.name()
    if name is not None:
        yield _creation(statement, Kind.TABLE, name, guarded=modifiers in _TEMPORARY)


def _removed(statement: Statement) -> Iterator[tuple[str, Name]]:
    """Names that are free after the statement."""
    tokens = statement.tokens() if _OPENS.match(statement.source, statement.start) else ()
    reader = Reader(tokens)
    if reader.take("drop"):
        reader.take("foreign")
        kind = _kind(reader)
        reader.take("concurrently")
        reader.guard()
        yield from ((kind.namespace, name) for name in reader.names() if kind)
    elif reader.sees("alter"):
        renamed = (creation for creation in creations(statement) if creation.renamed_from)
        yield from ((c.kind.namespace, c.renamed_from) for c in renamed if c.renamed_from)


def _keys(creation: Creation) -> set[tuple[str, Name]]:
    """What has to be removed for its name to be free."""
    return {(creation.kind.namespace, creation.name), (Kind.SCHEMA.namespace, _schema(creation.name))}


def _schema(name: Name) -> Name:
    return Name("", name.schema or "public", name.parts[:-1], name.start)


def _creation(
    statement: Statement, kind: Kind, name: Name, *, guarded: bool, renamed_from: Name | None = None
) -> Creation:
    source = statement.source
    line = statement.line + source.count("\n", statement.start, name.start)
    return Creation(kind, name, line, guarded, name.start, hash(source), renamed_from)
