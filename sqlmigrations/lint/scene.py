"""What a rule is shown: one statement, the file around it, and what was created before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sqlmigrations.lexer import Token
from sqlmigrations.lint.alterations import Action, actions
from sqlmigrations.lint.creations import Created, Kind, column_name
from sqlmigrations.lint.reading import Name, Reader
from sqlmigrations.scanner import Statement
from sqlmigrations.types import Allowance, Mode


@dataclass(frozen=True, slots=True)
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

    @property
    def later(self) -> Sequence[Statement]:
        """The statements of the file that follow."""
        return [other for other in self.subject.statements if other.start > self.statement.start]

    def reader(self) -> Reader:
        """At the first token."""
        return Reader(self.tokens)

    def is_new(self, name: Name, kind: Kind = Kind.TABLE) -> bool:
        """Whether this run creates it before this statement, so that it holds nothing yet."""
        return self.known.before(kind, name, self.statement)

    def is_new_column(self, table: Name, column: Name) -> bool:
        """Whether this run adds the column, or the table, before this statement."""
        return self.is_new(table) or self.is_new(column_name(table, column), Kind.COLUMN)
