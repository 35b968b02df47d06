"""Looks whether the indexes are sound that a CREATE INDEX IF NOT EXISTS may have passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlmigrations.backends import catalog
from sqlmigrations.backends.base import Queries
from sqlmigrations.resume.confirmation import confirm
from sqlmigrations.resume.effects import Effect, EffectKind, effect
from sqlmigrations.resume.verdicts import Problem
from sqlmigrations.sql.scanner import Statement

# Most statements are none of these: they are not taken apart. A comment may stand between the words.
_OPENING = re.compile(r"(?ai)create(?:\s+unique)?\s*(?:\bindex\b|--|/\*)")


def passed_over(queries: Queries, statement: Statement) -> Problem | None:
    """What is wrong with the index of that name, which a failed build may have left invalid; ``None`` for all else.

    Args:
        queries: The session in which the statement has just been run.
        statement: Any.

    Raises:
        StatementFailed: The connection is gone.
    """
    wanted = _guarded(statement)
    return confirm(wanted, None, catalog.observe(queries, wanted)) if wanted else None


def are_sound(queries: Queries, statements: Iterable[Statement]) -> bool:
    """Whether nothing is wrong with the indexes of several statements; ``False`` also where one query cannot tell.

    Raises:
        StatementFailed: The connection is gone.
    """
    wanted = [effect for effect in map(_guarded, statements) if effect]
    return not wanted or catalog.has_indexes(queries, wanted)


def _guarded(statement: Statement) -> Effect | None:
    if not _OPENING.match(statement.source, statement.start):
        return None
    wanted = effect(statement)
    return wanted if wanted.kind is EffectKind.CREATE_INDEX and wanted.guarded else None
