"""Whose server session a transaction of ours runs in: one that stays ours, or one that a pooler lends for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlmigrations.backends.base import Connection
from sqlmigrations.exceptions import StatementFailed

Message = tuple[str, list[object]]

# A server that cannot see whether its client is gone (on Windows; PostgreSQL 14 off Linux) refuses the setting.
_SET = """
SELECT pg_catalog.set_config(s.name, s.setting, {local})
  FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) AS s (name, setting)
 WHERE {whose} (s.name <> 'client_connection_check_interval'
        OR pg_catalog.version() ~ 'linux'
        OR pg_catalog.current_setting('server_version_num')::int >= 150000
           AND pg_catalog.version() !~* 'windows|mingw|msvc|visual c');
"""
_SET_SESSION = _SET.format(local="false", whose="(%s OR pg_catalog.pg_backend_pid() = %s) AND")
_SET_LOCAL = _SET.format(local="true", whose="")

# The settings of the transaction itself are those of our BEGIN.
_MET = """
SELECT name, setting
  FROM pg_catalog.pg_settings
 WHERE source = 'session' AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
"""

# What no ROLLBACK takes back. Statements that clients prepared by the protocol are for the pooler to keep count of.
_FORGET = """
SELECT pg_catalog.pg_advisory_unlock_all();
DO LANGUAGE plpgsql '
DECLARE prepared text;
BEGIN
  FOR prepared IN SELECT p.name FROM pg_catalog.pg_prepared_statements AS p WHERE p.from_sql LOOP
    EXECUTE ''DEALLOCATE '' || pg_catalog.quote_ident(prepared);
  END LOOP;
END'
"""
# The parts of DISCARD ALL, which no transaction may hold; but every setting as it was met.
_HAND_BACK = f""";
SET SESSION AUTHORIZATION DEFAULT;
SELECT pg_catalog.set_config('role', %s, false);
RESET ALL;
SELECT pg_catalog.set_config(s.name, s.setting, false)
  FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) AS s (name, setting);
CLOSE ALL;
UNLISTEN *;
DISCARD SEQUENCES;
DISCARD TEMP;
{_FORGET}"""


def session_settings(settings: Mapping[str, str], *, anywhere: bool, pid: int) -> Message:
    """SQL that makes a session fit, unless it is a lent one: there it would meet whoever it is lent to next.

    Args:
        settings: Names and values.
        anywhere: In whatever server process the message arrives.
        pid: Or only in this one.
    """
    return _SET_SESSION, [list(settings), list(settings.values()), anywhere, pid]


class Tenure(Protocol):
    """How transactions of ours begin and end in a session."""

    @property
    def commit(self) -> str:
        """SQL that ends our closing words; empty where somebody else commits."""

    @property
    def rollback(self) -> str:
        """SQL that ends a failed transaction; empty where somebody else does."""

    def begin(self, opening: str) -> Message:
        """What travels in front of the first statement, so that a transaction is open and fit.

        Args:
            opening: The ``BEGIN``.

        Raises:
            StatementFailed: The connection is gone.
        """

    def hand_back(self, role: str) -> Message:
        """What travels behind our closing words, before the ``COMMIT``.

        Args:
            role: The one to be in force afterwards.

        Raises:
            StatementFailed: The connection is gone.
        """


def lasts_a_message(connection: Connection) -> bool:
    """Whether a server process is lent for one message only: then a transaction breaks off after its first.

    Args:
        connection: A new one, which is gone afterwards if that is so.

    Raises:
        StatementFailed: It is gone for another reason.
    """
    connection.query("SELECT 1")
    try:
        connection.query("BEGIN")
    except StatementFailed as failed:
        return failed.server.lost
    return False


class Owned:
    """Every transaction meets the same server process, and nobody else does: what was set once holds."""

    commit = ";COMMIT"
    rollback = "ROLLBACK"

    def begin(self, opening: str) -> Message:
        """See ``Tenure``."""
        return opening, []

    def hand_back(self, role: str) -> Message:
        """See ``Tenure``."""
        return "", []


class Lent:
    """A transaction pooler lends a server connection for each transaction, and lends it to others afterwards.

    Args:
        connection: The client's side.
        settings: What every transaction of ours needs.
    """

    commit = ";COMMIT"
    rollback = f"ROLLBACK;{_FORGET}"

    def __init__(self, connection: Connection, settings: Mapping[str, str]) -> None:
        self._connection = connection
        self._settings = settings
        self._met: list[tuple[str, str]] = []

    def begin(self, opening: str) -> Message:
        """See ``Tenure``; opens the transaction, for it has to be known how the session was met."""
        self._met = [(name, setting) for name, setting in self._connection.query(opening + _MET)]
        return _SET_LOCAL, [list(self._settings), list(self._settings.values())]

    def hand_back(self, role: str) -> Message:
        """See ``Tenure``."""
        return _HAND_BACK, [role, [name for name, _ in self._met], [setting for _, setting in self._met]]
