"""The history as pages: the migrations in force, and everything there is to know about each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Subquery, TextField, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from sqlmigrations.admin import dossier, status, words
from sqlmigrations.admin.filters import DatabaseFilter, LabelFilter, StateFilter
from sqlmigrations.admin.readonly import ReadOnlyAdmin
from sqlmigrations.admin.sight import sight
from sqlmigrations.ledger import LEDGER
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent


class SchemaMigrationAdmin(ReadOnlyAdmin):
    """The migrations in force."""

    table = LEDGER
    list_display = ("label", "name", "state_in_words", "applied", "duration", "by_whom")
    list_display_links = ("name",)
    list_filter = (DatabaseFilter, LabelFilter, StateFilter, "applied_at", "late")
    date_hierarchy = "applied_at"
    search_fields = ("label", "name", "applied_by")
    search_help_text = _("A part of a label, of a name or of a database user; or label.NNN_slug")
    readonly_fields = ("state_in_words", "applied_exactly", "duration", "by_whom", "run", "statements", "remarks")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("label", "name"),
                    ("applied_exactly", "by_whom"),
                    ("state_in_words", "duration"),
                    "run",
                    "remarks",
                )
            },
        ),
        (
            _("Content"),
            {"fields": (("mode", "statements"), "checksum", "sql_checksum", ("checksum_algorithm", "tool_version"))},
        ),
    )

    def complete(self, request: HttpRequest, rows: Sequence[SchemaMigration]) -> None:
        """Who ran each."""
        if self.views(request).events:
            same = {name: OuterRef(name) for name in ("label", "key", "run_id")}
            events = SchemaMigrationEvent.objects.filter(**same).order_by()
            who = Subquery(events.annotate(who=Concat("os_user", Value("@", TextField()), "host")).values("who")[:1])
            of_these = SchemaMigration.objects.using(sight(request).alias).filter(pk__in=[row.pk for row in rows])
            found = dict(of_these.values_list("pk", who))
            for row in rows:
                row.who = found.get(row.pk)  # type: ignore[attr-defined]

    def get_urls(self) -> list[URLPattern]:
        """The status page beside the list."""
        page = self.admin_site.admin_view(partial(status.show, self))
        return [path("status/", page, name=status.NAME), *super().get_urls()]

    @admin.display(description=_("state"), ordering="state")
    def state_in_words(self, migration: SchemaMigration) -> str:
        """What is recorded of it; whether the file agrees is on its page."""
        return words.state(migration.state)

    @admin.display(description=_("applied at"), ordering="applied_at")
    def applied(self, migration: SchemaMigration) -> str:
        """When it was recorded as complete; of a half-done one when it was begun."""
        return words.moment(migration.applied_at)

    @admin.display(description=_("applied at"))
    def applied_exactly(self, migration: SchemaMigration) -> str:
        """The same with the zone."""
        return words.exactly(migration.applied_at)

    @admin.display(description=_("duration"), ordering="execution_ms")
    def duration(self, migration: SchemaMigration) -> str:
        """How long it ran."""
        return words.duration(migration.execution_ms)

    @admin.display(description=_("by whom"), ordering="applied_by")
    def by_whom(self, migration: SchemaMigration) -> str:
        """The system's user and host where events may be seen, and the database's user."""
        who: str = getattr(migration, "who", None) or ""
        return f"{who} ({migration.applied_by})" if who else migration.applied_by

    @admin.display(description=_("run"))
    def run(self, migration: SchemaMigration) -> str:
        """The run that applied it, and where all of that is."""
        url = self.links(migration).listing(SchemaMigrationEvent, run=str(migration.run_id))
        return format_html('<a href="{}">{}</a>', url, migration.run_id) if url else str(migration.run_id)

    @admin.display(description=_("statements"))
    def statements(self, migration: SchemaMigration) -> str:
        """How many, and how many of them are done."""
        done = {"done": migration.statements_done, "total": migration.statements_total}
        return gettext("%(done)s of %(total)s") % done

    @admin.display(description=_("remarks"))
    def remarks(self, migration: SchemaMigration) -> str:
        """What is out of the ordinary."""
        return "; ".join(words.remarks(migration.metadata, is_late=migration.late)) or "-"

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: SchemaMigration | None = None,
    ) -> HttpResponse:
        """Adds what is not in the row: its file, its SQL, what happened."""
        if obj is not None:
            context |= {"dossier": dossier.of(obj, sight(request), self.links(obj), self.views(request))}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def log_url(self, row: SchemaMigration) -> str | None:
        """Everything that happened to it."""
        return self.links(row).listing(SchemaMigrationEvent, migration=f"{row.label}.{row.key}")
