"""The events as pages: who did what and when, in which run."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from sqlmigrations.admin.readonly import ReadOnlyAdmin
from sqlmigrations.models import SchemaMigrationEvent


class SchemaMigrationEventAdmin(ReadOnlyAdmin):
    """Everything that happened, failures too."""

    list_display = ("happened_at", "event", "label", "name", "reason", "db_user", "os_user", "host", "run_id")
    list_filter = ("event", "label")
    search_fields = ("label", "name", "db_user", "os_user")
    show_full_result_count = False

    @admin.display(description=_("reason"))
    def reason(self, event: SchemaMigrationEvent) -> str:
        """Why a person decided so."""
        return event.reason
