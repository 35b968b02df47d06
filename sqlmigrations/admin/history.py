"""The history as pages: the migrations in force, and what happened to each."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext_lazy as _

from sqlmigrations.admin.readonly import ReadOnlyAdmin
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent

_SHOWN_EVENTS = 50


class SchemaMigrationAdmin(ReadOnlyAdmin):
    """The migrations in force."""

    list_display = ("__str__", "state", "applied_at", "duration", "applied_by", "late")
    list_filter = ("label", "state", "late")
    search_fields = ("label", "name", "applied_by")
    readonly_fields = ("duration", "events")
    fieldsets = (
        (None, {"fields": ("label", "name", "state", "applied_at", "duration", "applied_by", "late", "events")}),
        (_("Content"), {"fields": ("checksum", "sql_checksum", "checksum_algorithm", "mode", "statements_total")}),
        (_("Run"), {"fields": ("run_id", "statements_done", "tool_version", "metadata")}),
    )
    show_full_result_count = False

    @admin.display(description=_("duration"), ordering="execution_ms")
    def duration(self, migration: SchemaMigration) -> str:
        """Milliseconds, or nothing when it was recorded without running."""
        return "" if migration.execution_ms is None else f"{migration.execution_ms:.0f} ms"

    @admin.display(description=_("events"))
    def events(self, migration: SchemaMigration) -> SafeString:
        """What happened to this migration, the newest first."""
        using = migration._state.db
        found = SchemaMigrationEvent.objects.using(using).filter(label=migration.label, key=migration.key)
        head = (_("When"), _("Event"), _("By"), _("Detail"))
        rows = ((localize(_local(e.happened_at)), e.event, e.by, e.told) for e in found[:_SHOWN_EVENTS])
        return format_html(
            "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>",
            format_html_join("", '<th scope="col">{}</th>', ((title,) for title in head)),
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows),
        )


def _local(moment: datetime) -> datetime:
    """In the zone of the visitor; with USE_TZ off there is only one."""
    return localtime(moment) if is_aware(moment) else moment
