"""How a transaction ended whose COMMIT was never answered."""

from __future__ import annotations

import time
from enum import Enum

from sqlmigrations.backends.base import Connection
from sqlmigrations.exceptions import StatementFailed

_POLL_S = 0.25
# invalid_parameter_value
_IN_THE_FUTURE = "22023"


class Fate(Enum):
    """What the server says of a transaction."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    IN_PROGRESS = "in progress"
    # It is too long ago.
    FORGOTTEN = None


def settled(connection: Connection, xid: str, deadline: float) -> Fate:
    """How a transaction ended, which is waited for: a commit that waits for a standby is still in progress.

    Args:
        connection: Where to ask.
        xid: The transaction.
        deadline: Until when, by ``time.monotonic()``; then the answer is ``IN_PROGRESS``.

    Raises:
        StatementFailed: The connection is gone.
        Interrupted: The run was asked to end meanwhile.
    """
    while (fate := _asked(connection, xid)) is Fate.IN_PROGRESS:
        if time.monotonic() > deadline:
            break
        connection.interruption.pause(_POLL_S)
    return fate


def _asked(connection: Connection, xid: str) -> Fate:
    """See https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT ."""
    try:
        return Fate(connection.query("SELECT pg_catalog.pg_xact_status(%s::xid8)", [xid])[0][0])
    except StatementFailed as failed:
        if failed.server.sqlstate != _IN_THE_FUTURE:
            raise
        # The server crashed before it had written down that the number was taken; it is still to be given to another.
        return Fate.ABORTED
