"""Aliases as ways to a database: those that lead nowhere, and what the routers keep out of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.types import TRACKING_LABEL, Finding, Severity, SqlMigration


def problems(direct: Mapping[str, str], session_pooled: Collection[str]) -> Iterator[Finding]:
    """What of ``DIRECT`` and ``SESSION_POOLED`` cannot be followed, without connecting anywhere."""
    known = f"The aliases are: {', '.join(connections)}."
    for alias, through in direct.items():
        place = f"SQLMIGRATIONS['DIRECT'][{alias!r}]"
        for name in dict.fromkeys((alias, through)):
            if name not in connections:
                yield _error(f"{place}: there is no database {name!r}.", known)
            elif not _is_postgresql(name):
                yield _error(f"{place}: {name!r} is not PostgreSQL.", "Name an alias of the same database.")
        if through == alias:
            yield _error(f"{place} names itself.", "Name an alias that leads past the pooler.")
        elif through in direct:
            yield _error(f"{place}: {through!r} has an entry of its own.", "Name where that one leads.")
    for name in sorted(set(session_pooled) - set(connections)):
        yield _error(f"SQLMIGRATIONS['SESSION_POOLED']: there is no database {name!r}.", known)


def unmirrored(direct: Mapping[str, str]) -> Iterator[Finding]:
    """Aliases of ``DIRECT`` for which Django would make a test database of their own."""
    for alias, through in direct.items():
        if connections[through].settings_dict["TEST"]["MIRROR"] != alias:
            message = f"The database {through!r} leads to {alias!r}, but Django's tests would take it for another one."
            yield Finding("settings", Severity.WARNING, message, f'Add "TEST": {{"MIRROR": "{alias}"}} to its entry.')


def refuse_mere_way(database: str, direct: Mapping[str, str]) -> None:
    """An alias of ``DIRECT`` is no database of its own: there is one ledger, and one name for it.

    Raises:
        ConfigurationError: It is such an alias.
    """
    for alias, through in direct.items():
        if through == database:
            raise ConfigurationError(
                f"{through!r} is only the way by which runs on {alias!r} connect (SQLMIGRATIONS['DIRECT']).",
                remedy=f"python manage.py sqlmigrate_apply --database {alias}",
            )


def allows(alias: str, label: str, name: str) -> bool:
    """Whether the routers let an SQL file into a database that has neither a ``database:`` nor a ``runs-in:`` line.

    They are asked as for a migration of the app with this label, with the hint ``sql_migration``. Our own files go
    wherever a record is to be kept.
    """
    return label == TRACKING_LABEL or bool(router.allow_migrate(alias, label, sql_migration=name))


def closed(alias: str) -> frozenset[str]:
    """The labels of the apps whose migrations the routers keep out of a database."""
    return frozenset(c.label for c in apps.get_app_configs() if not router.allow_migrate(alias, c.label))


def kept_out(alias: str, migrations: Iterable[SqlMigration]) -> frozenset[str]:
    """The ids of those that the routers do not let into a database."""
    return frozenset(m.id for m in migrations if not allows(alias, m.label, m.name))


def _is_postgresql(alias: str) -> bool:
    try:
        return bool(connections[alias].vendor == "postgresql")
    except ImproperlyConfigured:
        return True  # What is wrong with it is told when it is used.


def _error(message: str, remedy: str) -> Finding:
    return Finding("settings", Severity.ERROR, message, remedy)
