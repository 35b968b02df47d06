"""Rules about constraints whose check of all rows keeps the users of a table out."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmigrations.lint.alterations import (
    Constraint,
    actions,
    altered_column,
    new_constraint,
)
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.sql.reading import Reader, find, has, phrase, plain_name
from sqlmigrations.types import Severity

_SUFFIXES = {"check": "check", "foreign key": "fkey", "not null": "not_null"}


@rule(
    "add-exclusion",
    "L07",
    Severity.WARNING,
    "ADD EXCLUDE: nobody can read or write the table while it is checked.",
    opens="alter",
)
def add_exclusion(scene: Scene) -> Iterator[Sighting]:
    """There is no way to add one online."""
    for constraint in scene.constraints("exclude"):
        table = constraint.table
        yield Sighting(
            constraint.start,
            f"ADD EXCLUDE reads {table} twice, and nobody can read or write {table} until COMMIT.",
            "PostgreSQL has no online form: do it in a maintenance window, or fill a new table that has it "
            f"and swap it with {table}.",
        )


@rule(
    "add-check",
    "L08",
    Severity.WARNING,
    "ADD CHECK without NOT VALID: nobody can read or write the table while all rows are checked.",
    opens="alter",
)
def add_check(scene: Scene) -> Iterator[Sighting]:
    """NOT VALID and NOT ENFORCED read no row."""
    for constraint in scene.constraints("check"):
        if _is_unchecked(constraint):
            continue
        table = constraint.table
        yield Sighting(
            constraint.start,
            f"ADD CHECK reads every row of {table}, and nobody can read or write {table} until COMMIT.",
            _recipe(constraint),
        )


def _is_unchecked(constraint: Constraint) -> bool:
    return has(constraint.tokens, "not", "valid") or has(constraint.tokens, "not", "enforced")


@rule(
    "add-foreign-key",
    "L09",
    Severity.WARNING,
    "ADD FOREIGN KEY without NOT VALID: nobody can write to either table while all rows are checked.",
    opens="alter",
)
def add_foreign_key(scene: Scene) -> Iterator[Sighting]:
    """A new table as the child is not read, but the parent is locked all the same."""
    for constraint in filter(None, map(new_constraint, actions(scene.tokens))):
        table = constraint.table
        at = find(constraint.tokens, "references")
        parent = Reader(constraint.tokens, len(constraint.tokens) if at is None else at + 1).name()
        if constraint.kind != "foreign key" or parent is None or _is_unchecked(constraint):
            continue
        if scene.is_new(table):
            if not scene.is_new(parent):
                yield _locked_parent(constraint, str(parent))
            continue
        yield Sighting(
            constraint.start,
            f"ADD FOREIGN KEY reads every row of {table}, and nobody can write to {table} or {parent} until COMMIT.",
            _recipe(constraint),
        )


def _locked_parent(constraint: Constraint, parent: str) -> Sighting:
    return Sighting(
        constraint.start,
        f"ADD FOREIGN KEY locks {parent}: nobody can write to it until COMMIT, though {constraint.table} is new.",
        f"Make it the last statement of the file, or give it a short file of its own, so that {parent} is "
        "locked for an instant only.",
        Severity.NOTE,
    )


@rule(
    "set-not-null",
    "L10",
    Severity.WARNING,
    "SET NOT NULL: nobody can read or write the table while all rows are checked.",
    opens="alter",
)
def set_not_null(scene: Scene) -> Iterator[Sighting]:
    """Not in a file that validates or drops a constraint of the table: it follows the safe way."""
    for action in scene.actions:
        altered = altered_column(action)
        if altered is None or not altered[1].sees("set", "not", "null"):
            continue
        table, column = action.table, altered[0]
        if table in scene.subject.settled_tables:
            continue
        check = plain_name(table.name, column.name, "not_null")
        yield Sighting(
            action.start,
            f"SET NOT NULL reads every row of {table}, and nobody can read or write {table} until COMMIT.",
            f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID; in the "
            f"next file: ALTER TABLE {table} VALIDATE CONSTRAINT {check}; then ALTER COLUMN {column} SET "
            f"NOT NULL is instant and {check} can be dropped in the same file.",
        )


def _recipe(constraint: Constraint) -> str:
    table, suffix = constraint.table, _SUFFIXES[constraint.kind]
    name = constraint.name or plain_name(table.name, suffix)
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {name} {phrase(constraint.tokens)} NOT VALID; in the next "
        f"file: ALTER TABLE {table} VALIDATE CONSTRAINT {name}"
    )


@rule(
    "add-not-null-constraint",
    "L11",
    Severity.WARNING,
    "ADD NOT NULL as a constraint: nobody can read or write the table while all rows are checked.",
    opens="alter",
)
def add_not_null_constraint(scene: Scene) -> Iterator[Sighting]:
    """PostgreSQL 18 and later; with NOT VALID no row is read."""
    for constraint in scene.constraints("not null"):
        if has(constraint.tokens, "not", "valid"):
            continue
        table = constraint.table
        yield Sighting(
            constraint.start,
            f"ADD NOT NULL reads every row of {table}, and nobody can read or write {table} until COMMIT.",
            _recipe(constraint),
        )


@rule(
    "add-column-check",
    "L14",
    Severity.WARNING,
    "ADD COLUMN ... CHECK: nobody can read or write the table while all rows are checked.",
    opens="alter",
)
def add_column_check(scene: Scene) -> Iterator[Sighting]:
    """The column alone would be instant."""
    for column in scene.columns:
        if has(column.clauses, "check") and not has(column.clauses, "not", "enforced"):
            table, check = column.table, plain_name(column.table.name, column.name.name, "check")
            yield Sighting(
                column.name.start,
                f"ADD COLUMN {column.name} with CHECK reads every row of {table}, and nobody can read or "
                f"write {table} until COMMIT.",
                f"Add {column.name} without CHECK, then ALTER TABLE {table} ADD CONSTRAINT {check} CHECK "
                f"(...) NOT VALID; in the next file: ALTER TABLE {table} VALIDATE CONSTRAINT {check}",
            )
