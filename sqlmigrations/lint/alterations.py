"""ALTER TABLE taken apart: its actions, and what each says about a column or a constraint it adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmigrations.sql.lexer import Token
from sqlmigrations.sql.reading import Name, Reader, commas, depths, is_word, outer

_CONSTRAINTS = ("foreign key", "primary key", "not null", "check", "unique", "exclude")
_CLAUSES = frozenset(
    {"collate", "constraint", "default", "generated", "not", "null", "primary", "unique", "references"}
    | {"check", "storage", "compression", "options", "deferrable", "initially"}
)


@dataclass(frozen=True, slots=True)
class Action:
    """One of the things an ALTER TABLE does."""

    table: Name
    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        """Offset of its first word."""
        return self.tokens[0].start

    def reader(self) -> Reader:
        """At its first word."""
        return Reader(self.tokens)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that ADD COLUMN adds.

    Attributes:
        type: Its type, with length and array marks.
        default: Its DEFAULT expression, empty when it has none.
        clauses: All tokens behind the name that stand in no parentheses.
    """

    table: Name
    name: Name
    type: tuple[Token, ...]
    default: tuple[Token, ...]
    clauses: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A table constraint that ADD adds.

    Attributes:
        name: Empty when the server is to choose it.
        kind: ``foreign key``, ``primary key``, ``not null``, ``check``, ``unique`` or ``exclude``.
        tokens: The definition from its keyword on.
    """

    table: Name
    name: str
    kind: str
    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        """Offset of its keyword."""
        return self.tokens[0].start


def actions(tokens: Sequence[Token]) -> tuple[Action, ...]:
    """The actions of an ALTER TABLE; none for any other statement."""
    reader = Reader(tokens)
    if not reader.take("alter", "table"):
        return ()
    reader.guard()
    reader.take("only")
    table = reader.name()
    if table is None:
        return ()
    reader.mark("*")
    return tuple(Action(table, part) for part in commas(reader.rest) if part)


def new_column(action: Action) -> Column | None:
    """The column an action adds, if it adds one."""
    if new_constraint(action) is not None:
        return None
    reader = action.reader()
    if not reader.take("add"):
        return None
    reader.take("column")
    reader.guard()
    name = reader.name()
    if name is None:
        return None
    definition = tuple(reader.rest)
    sections = _sections(definition)
    default = next((part for part in sections[1:] if is_word(part[0], "default")), ())
    return Column(action.table, name, sections[0], default[1:], tuple(outer(definition)))


def new_constraint(action: Action) -> Constraint | None:
    """The table constraint an action adds, if it adds one."""
    reader = action.reader()
    if not reader.take("add"):
        return None
    name = reader.name() if reader.take("constraint") else None
    for kind in _CONSTRAINTS:
        if reader.sees(*kind.split()) and not _is_column_named_exclude(reader):
            return Constraint(action.table, str(name or ""), kind, tuple(reader.rest))
    return None


def altered_column(action: Action) -> tuple[Name, Reader] | None:
    """The column of an ALTER COLUMN and what is done to it."""
    reader = action.reader()
    if not reader.take("alter") or reader.sees("constraint"):
        return None
    reader.take("column")
    name = reader.name()
    return (name, reader) if name else None


def _is_column_named_exclude(reader: Reader) -> bool:
    """The only one of the words that is not reserved."""
    following = Reader(reader.tokens, reader.at + 1)
    return reader.sees("exclude") and not (following.sees("using") or following.mark("("))


def _sections(definition: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The type, then each clause from its keyword to the next; DEFAULT takes whatever follows it at once."""
    sections: list[list[Token]] = [[]]
    before = ""
    for token, depth in depths(definition):
        word = "" if depth else token.value
        opens = word in _CLAUSES and before not in {"default", "by", "set"} and is_word(token, word)
        if opens:
            sections.append([])
        sections[-1].append(token)
        before = word if opens or word in {"by", "set"} else ""
    return [tuple(section) for section in sections]
