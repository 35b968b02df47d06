"""A database beside that of an alias, empty, for as long as a block lasts: the alias leads there meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import connections

from sqlmigrations.backends.aliases import wrapper
from sqlmigrations.backends.base import Connection
from sqlmigrations.exceptions import SqlMigrationsError, StatementFailed

_LONGEST_NAME = 63


@contextmanager
def lent(alias: str) -> Iterator[None]:
    """Makes the database, lets the alias lead there, and drops it with everybody in it at the end.

    Only for tests: whatever asks for the alias gets the scratch database, from other threads too. A transaction that
    is open on the alias stays open, and is that of the alias again afterwards.

    Raises:
        SqlMigrationsError: The server does not let it be made.
    """
    before: Any = wrapper(alias)
    # Django refuses where the alias is none of the test's: it may not lead to a test database at all.
    before.ensure_connection()
    name = _name(before.settings_dict["NAME"])
    quoted = before.ops.quote_name(name)
    _administer(alias, f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
    _administer(alias, f"CREATE DATABASE {quoted} {before.creation.sql_table_creation_suffix()}")
    try:
        with _pointed_at(alias, name):
            yield
    finally:
        _administer(alias, f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")


def _name(database: str) -> str:
    name = f"scratch_{database}"
    digest = hashlib.sha256(database.encode()).hexdigest()[:16]
    return name if len(name.encode()) <= _LONGEST_NAME else f"scratch_{digest}"


def _administer(alias: str, sql: str) -> None:
    try:
        with closing(Connection(alias, "sqlmigrations scratch")) as connection:
            connection.query(sql)
    except StatementFailed as failed:
        raise SqlMigrationsError(
            f"The scratch database could not be made or dropped: {failed.server.message}",
            remedy="The role of the tests needs CREATEDB, as for the test database itself.",
        ) from None


@contextmanager
def _pointed_at(alias: str, name: str) -> Iterator[None]:
    before: Any = connections[alias]
    # Other threads make their connections from these settings; a mirror leads to the same database.
    shared = [before.settings_dict, *(m.settings_dict for m in connections.all() if _mirrors(m, alias))]
    names = [settings["NAME"] for settings in shared]
    for settings in shared:
        settings["NAME"] = name
    # Not from a pool of the database that it replaces.
    options = {key: value for key, value in before.settings_dict["OPTIONS"].items() if key != "pool"}
    fresh = type(before)({**before.settings_dict, "OPTIONS": options}, alias)
    connections[alias] = fresh
    try:
        yield
    finally:
        fresh.close()
        connections[alias] = before
        for settings, kept in zip(shared, names, strict=True):
            settings["NAME"] = kept


def _mirrors(connection: Any, alias: str) -> bool:
    return bool(connection.settings_dict["TEST"]["MIRROR"] == alias)
