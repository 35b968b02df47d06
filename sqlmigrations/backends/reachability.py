"""Which of several databases can be reached: asked side by side and briefly, for somebody who waits for a page."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlmigrations.backends import postgresql
from sqlmigrations.backends.aliases import wrapper
from sqlmigrations.backends.base import Connection
from sqlmigrations.exceptions import DatabaseUnavailable, SqlMigrationsError, StatementFailed
from sqlmigrations.guidance import connection_advice

# To libpq less than two seconds are two.
PATIENCE_S = 3
_AT_A_TIME = 16


def refusals(aliases: Sequence[str]) -> dict[str, SqlMigrationsError]:
    """Why those that do not answer do not: Django's own connections would wait for minutes, one after the other.

    A connection that is open already is taken at its word.
    """
    asked = [alias for alias in aliases if not _is_open(alias)]
    if not asked:
        return {}
    with ThreadPoolExecutor(min(len(asked), _AT_A_TIME)) as threads:
        answers = threads.map(_refusal, asked)
        return {alias: error for alias, error in zip(asked, answers, strict=True) if error is not None}


def _is_open(alias: str) -> bool:
    try:
        return wrapper(alias).connection is not None
    except SqlMigrationsError:
        return True  # It is no database of ours; who uses it is told so.


def _refusal(alias: str) -> SqlMigrationsError | None:
    try:
        own = Connection(alias, "sqlmigrations status", through=alias, patience_s=PATIENCE_S)
        try:
            with own.answering():
                own.query("SELECT 1")
        finally:
            own.close()
    except StatementFailed as failed:
        message = postgresql.unreachable(failed.server).message
        # Not the advice to wait: who looks at a page can look again.
        return DatabaseUnavailable(message, remedy=connection_advice(failed.server, waited=True))
    except SqlMigrationsError as error:
        return error
    return None
