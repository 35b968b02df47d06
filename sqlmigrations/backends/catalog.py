"""Asks the catalog what there is of the object of a statement that runs outside a transaction."""

from __future__ import annotations

from sqlmigrations.backends.base import Queries
from sqlmigrations.effects import Effect
from sqlmigrations.observation import Observation


def observe(queries: Queries, effect: Effect) -> Observation:
    """What the catalog says right now, names found as the session's search path would.

    Raises:
        StatementFailed: The connection is gone.
    """
    raise NotImplementedError
