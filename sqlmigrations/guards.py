"""Looks whether the index is sound that a CREATE INDEX IF NOT EXISTS may have passed over."""

from __future__ import annotations

import re

from sqlmigrations import stops
from sqlmigrations.backends import catalog
from sqlmigrations.backends.base import Queries
from sqlmigrations.plan import Step
from sqlmigrations.resume.confirmation import confirm
from sqlmigrations.resume.effects import EffectKind, effect
from sqlmigrations.resume.verdicts import Problem
from sqlmigrations.sql.scanner import Statement

# Most statements are none of these: they are not taken apart. A comment may stand between the words.
_OPENING = re.compile(r"(?ai)create(?:\s+unique)?\s*(?:\bindex\b|--|/\*)")


def check(queries: Queries, step: Step, statement: Statement) -> None:
    """Refuses a statement of a transaction that is not committed yet.

    Raises:
        MigrationFailed: The index of that name is invalid, or is none of this table.
        StatementFailed: The connection is gone.
    """
    if problem := passed_over(queries, statement):
        raise stops.unsound(step, statement, problem)


def passed_over(queries: Queries, statement: Statement) -> Problem | None:
    """What is wrong with the index of that name, which a failed build may have left invalid; ``None`` for all else.

    Args:
        queries: The session in which the statement has just been run.
        statement: Any.

    Raises:
        StatementFailed: The connection is gone.
    """
    if not _OPENING.match(statement.source, statement.start):
        return None
    wanted = effect(statement)
    if wanted.kind is not EffectKind.CREATE_INDEX or not wanted.guarded:
        return None
    return confirm(wanted, None, catalog.observe(queries, wanted))
