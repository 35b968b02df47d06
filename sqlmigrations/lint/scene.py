"""What a rule is shown: one statement, the file around it, and what was created before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlmigrations.lint.alterations import Action, Column, Constraint, actions, new_column, new_constraint
from sqlmigrations.lint.creations import column_name
from sqlmigrations.lint.objects import Created, Kind
from sqlmigrations.sql import statements
from sqlmigrations.sql.lexer import Token
from sqlmigrations.sql.reading import Name, Reader
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import holding, stretches, telling
from sqlmigrations.sql.statements import Control
from sqlmigrations.types import Allowance, Mode

ENDINGS = frozenset({Control.COMMIT, Control.ROLLBACK, Control.PREPARE})
# Statements that can use a value of an enum; in others the same word means something else.
_USERS = frozenset({"select", "insert", "update", "delete", "with", "merge", "values", "table", "create", "alter"})


@dataclass(frozen=True)
class Subject:
    """A migration to inspect.

    Attributes:
        migration: ``label.NNN_slug``.
        location: The file as people see it.
        statements: What will be sent, so without an outer BEGIN and COMMIT.
        allow: Rules silenced; ``line`` 0 marks one that does not come from the file.
        mode: How the statements reach the server.
    """

    migration: str
    location: str
    statements: Sequence[Statement] = field(repr=False)
    allow: Sequence[Allowance] = ()
    mode: Mode = Mode.TRANSACTION

    @cached_property
    def endings(self) -> Sequence[Statement]:
        """The statements that end a transaction."""
        return [statement for _, statement in telling(self.statements) if statements.control(statement) in ENDINGS]

    @cached_property
    def _users_of_values(self) -> Sequence[Sequence[Statement]]:
        """The statements that can use a value of an enum, found once for all that a file adds."""
        users = (
            (first, last) for first, last in stretches(self.statements) if _can_use_values(self.statements[first])
        )
        return [self.statements[first : last + 1] for first, last in users]

    def users_of(self, value: str, behind: Statement) -> Iterator[Statement]:
        """Those of them behind a statement in which the value may stand; one with a quote in it has more spellings."""
        pattern = re.compile("" if {"'", "\\"} & set(value) else re.escape(value))
        for some in self._users_of_values:
            if some[-1].start > behind.start:
                yield from (each for each in holding(some, pattern) if each.start > behind.start)

    @cached_property
    def settled_tables(self) -> frozenset[Name]:
        """Tables of which the file validates or drops a constraint."""
        altered = (s for _, s in telling(self.statements) if statements.verb(s) == ("ALTER", "TABLE"))
        found = (action for statement in altered for action in actions(statement.tokens()))
        return frozenset(action.table for action in found if _settles_a_constraint(action.reader()))


def _can_use_values(statement: Statement) -> bool:
    verb = statements.verb(statement)
    return bool(verb) and verb[0].lower() in _USERS and verb[:2] != ("ALTER", "TYPE")


def _settles_a_constraint(reader: Reader) -> bool:
    return reader.take("validate", "constraint") or reader.take("drop", "constraint")


@dataclass(frozen=True)
class Scene:
    """One statement as the rules see it."""

    statement: Statement
    subject: Subject
    known: Created

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """The statement's significant tokens."""
        return self.statement.tokens()

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        """What an ALTER TABLE does to a table that was there before; nothing for other statements."""
        found = actions(self.tokens)
        return () if found and self.is_new(found[0].table) else found

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns added to a table that was there before."""
        return tuple(filter(None, map(new_column, self.actions)))

    @cached_property
    def _constraints(self) -> tuple[Constraint, ...]:
        return tuple(filter(None, map(new_constraint, self.actions)))

    def constraints(self, kind: str) -> Iterator[Constraint]:
        """The constraints of one kind added to a table that was there before."""
        return (constraint for constraint in self._constraints if constraint.kind == kind)

    def reader(self) -> Reader:
        """At the first token."""
        return Reader(self.tokens)

    def is_new(self, name: Name, kind: Kind = Kind.TABLE) -> bool:
        """Whether this run creates it before this statement, so that it holds nothing yet."""
        return self.known.before(kind, name, self.statement)

    def is_new_column(self, table: Name, column: Name) -> bool:
        """Whether this run adds the column, or the table, before this statement."""
        return self.is_new(table) or self.is_new(column_name(table, column), Kind.COLUMN)
