"""Which database a page is about, and what of its tracking tables can be read there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import router
from django.http import Http404, HttpRequest
from django.utils.translation import gettext

from sqlmigrations import conf, rights
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.aliases import wrapper
from sqlmigrations.backends.base import Reader
from sqlmigrations.exceptions import ConfigurationError, SqlMigrationsError, StatementFailed
from sqlmigrations.guidance import APPLY, addressed, on
from sqlmigrations.ledger import EVENTS, LEDGER, TEXTS, Ledger, Tracking
from sqlmigrations.models import SchemaMigration

# The parameter of an address that names the database; without it a page is about the one that the routers name.
DATABASE = "database"
_KEPT = "_sqlmigrations_sight"
_TABLES = (LEDGER, EVENTS, TEXTS)


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be seen of one database.

    Attributes:
        alias: The database.
        hidden: The tracking tables that cannot be read, each with the reason and what to do about it.
    """

    alias: str
    hidden: Mapping[str, str] = field(default_factory=dict)

    def sees(self, *tables: str) -> bool:
        """Whether all of them can be read."""
        return not self.hidden.keys() & set(tables)


def databases() -> tuple[str, ...]:
    """The aliases that may have tracking tables, the one that is shown without being asked for at the beginning."""
    first = router.db_for_read(SchemaMigration)
    try:
        others = [alias for alias in conf.databases(conf.load()) if alias != first]
    except SqlMigrationsError:
        others = []
    return tuple(filter(_is_ours, (first, *others))) or (first,)


def chosen(request: HttpRequest) -> str:
    """The database that a page is about.

    Raises:
        Http404: There is no such database.
    """
    alias = request.GET.get(DATABASE)
    known = databases()
    if alias is None:
        return known[0]
    if alias not in known:
        raise Http404(gettext("There is no PostgreSQL database “%(alias)s” here.") % {"alias": alias})
    return alias


def sight(request: HttpRequest) -> Sight:
    """What can be seen of the database that a page is about; asked once in a request.

    Raises:
        Http404: There is no such database.
    """
    found: Sight | None = getattr(request, _KEPT, None)
    if found is None:
        found = look(chosen(request))
        setattr(request, _KEPT, found)
    return found


def look(alias: str) -> Sight:
    """Asks the database what can be read there; no statement of it fails, whatever the answer."""
    try:
        ledger, reader = Ledger(conf.load().schema), Reader(alias)
        if ledger.tracking(reader) is Tracking.ABSENT:
            return _blind(alias, _absent(alias))
        found = rights.unreadable_tables(reader, ledger)
        return Sight(alias, {table: _told(error, alias) for table, error in found.items()})
    except ConfigurationError as error:
        return _blind(alias, _told(error, alias))
    except StatementFailed as failed:
        return _blind(alias, _told(postgresql.unreachable(failed.server), alias))


def _blind(alias: str, why: str) -> Sight:
    return Sight(alias, dict.fromkeys(_TABLES, why))


def _is_ours(alias: str) -> bool:
    try:
        wrapper(alias)
    except ConfigurationError:
        return False
    return True


def _absent(alias: str) -> str:
    text = gettext("Nothing was ever applied to this database. The first  %(command)s  makes the tables.")
    return text % {"command": f"{APPLY}{on(alias)}"}


def _told(error: SqlMigrationsError, alias: str) -> str:
    parts = [error.message, *(finding.message for finding in error.findings), error.remedy]
    told = " ".join(part if part.endswith((".", "?", ";", ":")) else f"{part}." for part in parts if part)
    return addressed(told, alias)
