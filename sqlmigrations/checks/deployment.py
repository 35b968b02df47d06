"""The deploy checks: what is fine on a desk and not where others use the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks
from django.db import connections

from sqlmigrations import conf
from sqlmigrations.backends.address import Address
from sqlmigrations.checks.databases import ours
from sqlmigrations.checks.identifiers import warning
from sqlmigrations.exceptions import SqlMigrationsError, StatementFailed
from sqlmigrations.settings import Settings
from sqlmigrations.types import OnMigrate, Pooling

_STRICT = "verify-full"
_BEHIND = "Files that cannot run in one transaction are refused there."


def check_deployment(**_: Any) -> list[checks.CheckMessage]:
    """What settings alone show: lock timeout, the way to each server, what looks like a pooler."""
    if conf.problems():
        return []
    settings = conf.load()
    return [*_lock_timeout(settings), *_unverified(), *_seeming_pooled(settings), *_after_migrate(settings)]


def check_connections(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Whether a pooler stands before one of the databases asked for; never raises when one is away."""
    # For start-up: it is needed only where a database is asked for.
    from sqlmigrations.backends import postgresql
    from sqlmigrations.backends.base import Reader

    found = []
    for alias in ours(databases):
        if _is_settled(alias, conf.load()) or _seems_pooled(alias):
            continue
        try:
            met = postgresql.pooling_of(conf.route(alias), *Reader(alias).pids())
        except (SqlMigrationsError, StatementFailed):
            continue  # That it is away the other checks tell.
        if met is Pooling.TRANSACTION:
            found.append(_pooled(alias, "A pooler stands before the database", ""))
    return found


def _lock_timeout(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.lock_timeout_ms == 0:
        text = 'SQLMIGRATIONS["LOCK_TIMEOUT"] is 0: a statement that waits for a lock makes all others wait behind it.'
        hint = 'Remove it: the default is the server\'s deadlock_timeout and one second. Or write a duration, as "3s".'
        yield checks.Warning(text, hint=hint, id="sqlmigrations.W021")


def _after_migrate(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.apply_on_migrate is OnMigrate.ALWAYS:
        text = (
            'SQLMIGRATIONS["APPLY_ON_MIGRATE"] is "always": every migrate applies what is pending, unannounced, and '
            "fails for it after Django's own migrations were applied."
        )
        hint = 'Write "tests", and in the deploy: python manage.py migrate && python manage.py sqlmigrate_apply'
        yield checks.Warning(text, hint=hint, id="sqlmigrations.W024")


def _unverified() -> Iterator[checks.CheckMessage]:
    for alias in _postgresql():
        address = Address.of(alias)
        if (remote := address.remote_host) and address.sslmode != _STRICT and not address.is_encrypted_by_gss:
            text = f"The connection to {remote} has sslmode {address.sslmode}: who answers there is not verified."
            hint = (
                f'Write DATABASES["{alias}"]["OPTIONS"] = '
                f'{{"sslmode": "{_STRICT}", "sslrootcert": "/path/to/the/ca.pem", ...}}'
            )
            yield warning("W022", text, hint, alias)


def _seeming_pooled(settings: Settings) -> Iterator[checks.CheckMessage]:
    for alias in conf.databases(settings):
        if alias in _postgresql() and not _is_settled(alias, settings) and (sign := _seems_pooled(alias)):
            yield _pooled(alias, "The database seems to be behind a pooler", f" ({sign})")


def _is_settled(alias: str, settings: Settings) -> bool:
    return alias in settings.direct or alias in settings.session_pooled


def _seems_pooled(alias: str) -> str:
    """What of its settings says so."""
    if connections[alias].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        return "DISABLE_SERVER_SIDE_CURSORS is set"
    return Address.of(alias).sign_of_pooler


def _pooled(alias: str, what: str, sign: str) -> checks.CheckMessage:
    # For start-up: only where there is something to say.
    from sqlmigrations.pooling import direct_setting

    hint = f'{direct_setting(alias)}   or, with pool_mode = session: SQLMIGRATIONS["SESSION_POOLED"] = ["{alias}"]'
    return warning("W023", f"{what}{sign}, and no DIRECT leads past it. {_BEHIND}", hint, alias)


def _postgresql() -> list[str]:
    return [alias for alias in connections if connections[alias].vendor == "postgresql"]
