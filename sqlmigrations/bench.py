"""The work connection of a run: made anew after a file that left traces in it, or when it is lost."""

from __future__ import annotations

from sqlmigrations.backends import postgresql
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.interruption import Interruption


class Bench:
    """Where the files of a run are worked on.

    Args:
        database: The alias.
        fence_wait_ms: How long the row of a file that another run has begun is waited for, milliseconds.
        interruption: What cancels its statements.
        wait_s: How long the server is waited for, whenever a connection is opened, seconds.

    Attributes:
        session: The connection of now.
    """

    def __init__(self, database: str, fence_wait_ms: int, interruption: Interruption, wait_s: float = 0) -> None:
        self.interruption = interruption
        self._wait_s = wait_s
        self._database = database
        # To PostgreSQL a lock_timeout of 0 is none at all; who does not want to wait waits for the shortest time.
        self.wait_ms = max(1, fence_wait_ms)
        self.session = self._open(wait_s)

    def renew(self, wait_s: float = 0) -> Session:
        """Closes the connection and opens another.

        Raises:
            DatabaseUnavailable: The server did not let us in within ``wait_s`` seconds, or those of the run.
        """
        self.close()
        self.session = self._open(max(wait_s, self._wait_s))
        return self.session

    def close(self) -> None:
        """Closes; the server rolls back what is open."""
        self.session.connection.close()

    def _open(self, wait_s: float) -> Session:
        return postgresql.open_work_session(self._database, self.wait_ms, self.interruption, wait_s)
