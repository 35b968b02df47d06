"""Django's own connection within a transaction of Django's: speaks as ours do, and is left as it was met."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql.psycopg_any import is_psycopg3

from sqlmigrations.backends.aliases import credentials, wrapper
from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.tenure import Message
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.interruption import Interruption
from sqlmigrations.records import NotRecorded
from sqlmigrations.sql import statements
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import telling

# Whoever waits for the migration lock sees by it who has it; until the end of the transaction.
APPLICATION = "sqlmigrations migrate"

# Of libpq: PQTRANS_IDLE.
_IDLE = 0

# Ours, until the end of the transaction: put back the same way, for a value of Django's session lies below.
_OURS = frozenset(("lock_timeout", "statement_timeout", "search_path"))

_NAME = "SELECT pg_catalog.set_config('application_name', %s, true)"
_BEGIN = "SELECT pg_catalog.set_config('lock_timeout', %s, true);"
# What nobody has set is reset, by null, and keeps following what the server and the role have. Those of the
# transaction itself cannot be put back, and role and session_authorization do not stand there.
_LOOK = """
SELECT name, setting, CASE WHEN source = 'session' THEN setting END FROM pg_catalog.pg_settings
 WHERE context IN ('user', 'superuser') AND name <> ALL (ARRAY['application_name', 'transaction_isolation',
       'transaction_read_only', 'transaction_deferrable'])
"""
_WHO = "SELECT session_user::text, pg_catalog.current_setting('role')"
_BE = """
SELECT pg_catalog.set_config('session_authorization', %s, false);
SELECT pg_catalog.set_config('role', %s, false);
"""
# Deferred is how Django's own foreign keys are, and how its check_constraints() leaves them.
_PUT_BACK = """;
SET CONSTRAINTS ALL DEFERRED;
SELECT pg_catalog.set_config(s.name, s.setting, s.is_local)
  FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::bool[]))
       AS s (name, setting, is_local)
"""


class DjangosConnection(Connection):
    """The connection of an alias as Django has it open; its transactions are not ours to begin or end."""

    def __init__(self, alias: str) -> None:
        django: Any = wrapper(alias)
        self._wrapper = django
        self._secrets = credentials(alias)
        self._notices: deque[str] = deque(maxlen=1000)
        self.interruption = Interruption()
        django.ensure_connection()
        self._raw = django.connection
        # Of psycopg 3 one that takes several statements with parameters in a message, whatever Django's own is.
        self._cursor = django.Database.ClientCursor(self._raw) if is_psycopg3 else self._raw.cursor()
        self._errors = django.Database.Error
        self._listen()

    def run(self, sql: str) -> None:
        """See ``Connection``.

        Raises:
            NotRecorded: It ended Django's transaction; the driver has been told so by the server.
        """
        super().run(sql)
        self._refuse_idle()

    def run_together(self, sql: str) -> None:
        """See ``Connection``; raises ``NotRecorded`` as ``run`` does."""
        super().run_together(sql)
        self._refuse_idle()

    def _refuse_idle(self) -> None:
        if self._raw.info.transaction_status == _IDLE:
            raise NotRecorded

    def show_itself(self) -> None:
        """Is called ``APPLICATION`` until the transaction ends.

        Raises:
            StatementFailed: The connection is gone, or the transaction has failed.
        """
        self.query(_NAME, [APPLICATION])

    def close(self) -> None:
        """Lets go of it; the connection stays open, and Django's."""
        self._cursor.close()
        self._hush()


class Joined:
    """A transaction that Django began and will end: what a file does to the session around it is put back.

    Args:
        connection: Django's.
        fence_wait_ms: How long the row of a file that another run has begun is waited for, milliseconds.
    """

    commit = ""
    rollback = ""

    def __init__(self, connection: Connection, fence_wait_ms: int) -> None:
        self._connection = connection
        self._fence_wait_ms = max(1, fence_wait_ms)
        self._met: dict[str, tuple[str, str | None]] = {}
        self._met_as: tuple[str, str] = ("", "")
        self._is_local = True

    def expect(self, every: Sequence[Statement]) -> None:
        """Looks at the statements that follow: whether what they set may outlive the transaction."""
        self._is_local = not any(
            statements.sets(each) or statements.touches_session(each) for _, each in telling(every)
        )

    def begin(self, opening: str) -> Message:
        """See ``Tenure``; nothing is opened, but it has to be known how the session was met."""
        self._met, self._met_as = self._look(), self._who()
        if self._met["standard_conforming_strings"][0] == "off":
            raise ConfigurationError(
                "standard_conforming_strings is off in Django's connection: backslashes in strings would mean "
                "something else than in the files. Nothing was changed.",
                remedy="Switch it on for the role: ALTER ROLE ... SET standard_conforming_strings = on",
            )
        return _BEGIN, [str(self._fence_wait_ms)]

    def hand_back(self, role: str) -> Message:
        """See ``Tenure``."""
        if self._who() != self._met_as:
            self._connection.query(_BE, self._met_as)
        found, names, settings, are_local = self._look(), [], [], []
        for name, (setting, was_set) in self._met.items():
            is_local = self._is_local and name in _OURS
            if name in _OURS or found.get(name, ("", None))[0] != setting:
                names.append(name)
                settings.append(setting if is_local else was_set)
                are_local.append(is_local)
        return _PUT_BACK, [names, settings, are_local]

    def _look(self) -> dict[str, tuple[str, str | None]]:
        """Name, value, and the value again where it was set in the session."""
        return {name: (setting, was_set) for name, setting, was_set in self._connection.query(_LOOK)}

    def _who(self) -> tuple[str, str]:
        user, role = self._connection.query(_WHO)[0]
        return user, role
