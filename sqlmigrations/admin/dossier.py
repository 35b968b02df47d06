"""What the page of a migration shows beside its row: its file, its SQL, and what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sqlmigrations.admin import words
from sqlmigrations.admin.chronicle import Entry, entries, excerpt
from sqlmigrations.admin.links import Links
from sqlmigrations.admin.readonly import Views
from sqlmigrations.admin.sight import Sight
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.base import Reader
from sqlmigrations.exceptions import SqlMigrationsError, StatementFailed
from sqlmigrations.ledger import TEXTS
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent
from sqlmigrations.types import State

if TYPE_CHECKING:
    from sqlmigrations.closeup import Closeup

SHOWN_FAILURES = 10

_AGREEMENT = {
    State.APPLIED: gettext_lazy("The file agrees with the record: the checksums are the same."),
    State.REFORMATTED: gettext_lazy("Layout or comments of the file changed since; its statements are the same."),
    State.MODIFIED: gettext_lazy("The file no longer agrees with the record."),
    State.MISSING: gettext_lazy("The file is gone."),
    State.AHEAD: gettext_lazy("This site has no such file: it is older than the database, or lacks the app."),
    State.PARTIAL: gettext_lazy("It is half done."),
}


@dataclass(frozen=True, slots=True)
class Dossier:
    """What is known of one migration, as far as it may be seen.

    Attributes:
        agreement: Whether the file is still what was applied, as a sentence.
        state: The same in one word.
        closeup: File and SQL; ``None`` where they could not be looked at, which ``agreement`` then says.
        hidden_sql: Why some of the SQL, or all of it, is not shown; empty when all of it is.
        failures: The first ones, the oldest first.
        events: The newest ones, the newest first; single statements left out.
        events_url: All of them; ``None`` where they may not be seen.
        has_more: Whether there are more events than these.
    """

    agreement: str
    state: str
    closeup: Closeup | None
    hidden_sql: str
    failures: Sequence[Entry] = ()
    events: Sequence[Entry] = ()
    events_url: str | None = None
    has_more: bool = False

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The lines of the difference, each with what it is."""
        return [(_kind(line), line) for line in self.closeup.changes] if self.closeup else []


def of(migration: SchemaMigration, seen: Sight, links: Links, views: Views) -> Dossier:
    """Gathers it; nothing of it fails because a right is missing or a file cannot be read."""
    # Every process of a site imports its admin; the engine is needed when somebody looks.
    from sqlmigrations import closeup
    from sqlmigrations.closeup import Sql

    why = _hidden_sql(seen, views)
    sql = Sql.NONE if not views.sql else Sql.EVERY if seen.sees(TEXTS) else Sql.OF_FILES
    reader = Reader(seen.alias)
    try:
        with reader.unharmed():
            found = closeup.take(seen.alias, reader, migration.label, migration.key, sql)
    except (SqlMigrationsError, StatementFailed) as error:
        why_not = postgresql.unreachable(error.server) if isinstance(error, StatementFailed) else error
        found, agreement, state = None, f"{why_not.message} {why_not.remedy}".strip(), "unknown"
    else:
        state = found.entry.state.value if found else ""
        agreement = str(_AGREEMENT[found.entry.state]) if found else ""
    if not views.events:
        return Dossier(agreement, state, found, why)
    of_it = SchemaMigrationEvent.objects.using(seen.alias).filter(label=migration.label, key=migration.key)
    newest, has_more = excerpt(of_it, links)
    failures = of_it.filter(event__in=words.FAILURES).order_by("id")[:SHOWN_FAILURES]
    return Dossier(
        agreement,
        state,
        found,
        why,
        entries(failures, links),
        newest,
        links.listing(SchemaMigrationEvent, migration=f"{migration.label}.{migration.key}"),
        has_more=has_more,
    )


def _hidden_sql(seen: Sight, views: Views) -> str:
    if not views.sql:
        return _("You lack the permission to view SQL: sqlmigrations.view_schemamigrationtext.")
    return seen.hidden.get(TEXTS, "")


def _kind(line: str) -> str:
    if line.startswith(("--- ", "+++ ", "(")):
        return "head"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "same")
