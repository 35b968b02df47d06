"""The admin as an audit log: registers its pages; a site of one's own registers the same classes."""

from __future__ import annotations

from django.contrib import admin

from sqlmigrations.admin.events import SchemaMigrationEventAdmin
from sqlmigrations.admin.history import SchemaMigrationAdmin
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent

__all__ = ["SchemaMigrationAdmin", "SchemaMigrationEventAdmin"]

admin.site.register(SchemaMigration, SchemaMigrationAdmin)
admin.site.register(SchemaMigrationEvent, SchemaMigrationEventAdmin)
