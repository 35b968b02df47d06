"""The events as pages: who did what and when, in which run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from sqlmigrations.admin import story, words
from sqlmigrations.admin.chronicle import excerpt
from sqlmigrations.admin.filters import DatabaseFilter, EventFilter, LabelFilter, MigrationFilter, RunFilter
from sqlmigrations.admin.readonly import ReadOnlyAdmin
from sqlmigrations.admin.sight import sight
from sqlmigrations.admin.window import LongListing, Newest, newest
from sqlmigrations.ledger import EVENTS
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent


class SchemaMigrationEventAdmin(ReadOnlyAdmin):
    """Everything that happened, failures too."""

    table = EVENTS
    list_display = ("happened", "what", "migration", "told", "by", "run")
    list_filter = (DatabaseFilter, EventFilter, LabelFilter, MigrationFilter, RunFilter, "happened_at")
    date_hierarchy = "happened_at"
    # By time alone, which every index has in it: to sort by anything else, all of them would have to be read.
    ordering = ("-happened_at", "-id")
    paginator = Newest
    search_fields = ("label", "name", "db_user", "os_user", "host")
    search_help_text = _("A part of a label, name, user or host among the newest events; label.NNN_slug among all")
    readonly_fields = ("happened_exactly", "what", "migration", "run")
    fieldsets = (
        (None, {"fields": (("happened_exactly", "what"), ("migration", "run"))}),
        (_("By whom"), {"fields": (("os_user", "host", "pid"), ("db_user", "git_commit"))}),
    )

    def complete(self, request: HttpRequest, rows: Sequence[SchemaMigrationEvent]) -> None:
        """The migration that is in force under the label and key of each."""
        if self.views(request).history:
            same = {name: OuterRef(name) for name in ("label", "key")}
            in_force = Subquery(SchemaMigration.objects.filter(**same).order_by().values("pk")[:1])
            of_these = SchemaMigrationEvent.objects.using(sight(request).alias).filter(pk__in=[row.pk for row in rows])
            found = dict(of_these.values_list("pk", in_force))
            for row in rows:
                row.in_force = found.get(row.pk)  # type: ignore[attr-defined]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """One that does not read everything that ever happened."""
        return LongListing

    def searched(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The newest: no index finds a part of a word, and reading everything takes minutes."""
        return newest(request, queryset, "happened_at")

    @admin.display(description=_("happened at"), ordering="happened_at")
    def happened(self, event: SchemaMigrationEvent) -> str:
        """When."""
        return words.moment(event.happened_at)

    @admin.display(description=_("happened at"))
    def happened_exactly(self, event: SchemaMigrationEvent) -> str:
        """The same with the zone."""
        return words.exactly(event.happened_at)

    @admin.display(description=_("event"))
    def what(self, event: SchemaMigrationEvent) -> str:
        """What happened."""
        return words.event(event.event)

    @admin.display(description=_("migration"))
    def migration(self, event: SchemaMigrationEvent) -> str:
        """To what, and the page of that while it is in force; events of a run have none."""
        if not event.label:
            return "-"
        name = f"{event.label}.{event.name}"
        url = self.links(event).page(SchemaMigration, getattr(event, "in_force", None))
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    @admin.display(description=_("in words"))
    def told(self, event: SchemaMigrationEvent) -> str:
        """What is worth knowing of it."""
        return story.line(event.detail) or "-"

    @admin.display(description=_("by whom"))
    def by(self, event: SchemaMigrationEvent) -> str:
        """Who, where, and as which database user."""
        return event.by

    @admin.display(description=_("run"))
    def run(self, event: SchemaMigrationEvent) -> str:
        """In which run, and where all of that is."""
        url = self.links(event).listing(SchemaMigrationEvent, run=str(event.run_id))
        return format_html('<a href="{}">{}</a>', url, str(event.run_id)[:8])

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: SchemaMigrationEvent | None = None,
    ) -> HttpResponse:
        """Adds what its detail says, and what else happened in its run."""
        if obj is not None:
            same_run = SchemaMigrationEvent.objects.using(obj._state.db).filter(run_id=obj.run_id).order_by("id")
            shown, has_more = excerpt(same_run, self.links(obj))
            context |= {
                "facts": list(story.facts(obj.detail)),
                "recorded": story.whole(obj.detail) if self.views(request).sql else "",
                "of_the_run": shown,
                "has_more": has_more,
                "run_url": self.links(obj).listing(SchemaMigrationEvent, run=str(obj.run_id)),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def log_url(self, row: SchemaMigrationEvent) -> str | None:
        """What else happened to its migration, or in its run where it is about none."""
        if row.label:
            return self.links(row).listing(SchemaMigrationEvent, migration=f"{row.label}.{row.key}")
        return self.links(row).listing(SchemaMigrationEvent, run=str(row.run_id))
