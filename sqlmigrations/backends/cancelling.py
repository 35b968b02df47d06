"""Cancels what a connection is doing, from another thread than the one that waits for it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from django.db.backends.postgresql.psycopg_any import is_psycopg3

# A server that says nothing for so long says nothing to a cancel either.
_ANSWER_S = 3


def cancel(own: Any) -> None:
    """Asks the server to cancel the statement that a wrapper's connection is running; does nothing if it is silent."""
    with suppress(own.Database.Error):
        if is_psycopg3:
            own.connection.cancel_safe(timeout=_ANSWER_S)
        elif _answers(own):
            own.connection.cancel()


def _answers(own: Any) -> bool:
    """psycopg2 stops all threads of the process while it cancels: not before a server that may never answer."""
    params = {**own.get_connection_params(), "connect_timeout": _ANSWER_S, "application_name": "sqlmigrations cancel"}
    started = time.monotonic()
    try:
        own.Database.connect(**params).close()
    except own.Database.Error:
        # Refused at once is an answer as well.
        return time.monotonic() - started < _ANSWER_S
    return True
