"""Statements of ours that are sent with every file: prepared in the session as soon as they come a second time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count

from sqlmigrations.backends.base import Connection

_PLACEHOLDER = re.compile("%s")


class Prepared:
    """The prepared statements of one session.

    The server parses and plans them once instead of with every file, which is most of what recording costs. Behind a
    pooler the next transaction may meet another server process, so there everything is sent as it is.

    Args:
        connection: The session's.
        direct: Whether every transaction of the connection meets the same server process.
    """

    def __init__(self, connection: Connection, *, direct: bool) -> None:
        self._connection = connection
        self._direct = direct
        self._calls: dict[str, str] = {}

    def sql(self, name: str, statements: Sequence[str]) -> str:
        """The SQL that runs the statements, with their placeholders in the same order.

        Args:
            name: Identifies them within the session.
            statements: With ``%s`` for every parameter.

        Raises:
            StatementFailed: The connection is gone.
        """
        if not self._direct or name not in self._calls:
            self._calls[name] = ""
            return ";".join(statements)
        if not self._calls[name]:
            named = {f"{name}_{number}": sql for number, sql in enumerate(statements)}
            self._connection.query(";".join(f"PREPARE {one} AS {_numbered(sql)}" for one, sql in named.items()))
            self._calls[name] = ";".join(_call(one, sql.count("%s")) for one, sql in named.items())
        return self._calls[name]


def _numbered(sql: str) -> str:
    numbers = count(1)
    return _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", sql)


def _call(name: str, parameters: int) -> str:
    return f"EXECUTE {name} ({', '.join(['%s'] * parameters)})"
