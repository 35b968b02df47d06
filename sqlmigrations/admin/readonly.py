"""An admin for reading only, of tables that may not be there yet."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from sqlmigrations.backends.base import Reader
from sqlmigrations.conf import load
from sqlmigrations.exceptions import SqlMigrationsError, StatementFailed
from sqlmigrations.ledger import Ledger, Tracking


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin in which nothing can be added, changed or deleted; the tables may not be there yet."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """No rows, instead of an error, before the first apply."""
        found: QuerySet[Any] = super().get_queryset(request)
        return found if _tracked(found.db) else found.none()


def _tracked(alias: str) -> bool:
    try:
        return Ledger(load().schema).tracking(Reader(alias)) is Tracking.PRESENT
    except (SqlMigrationsError, StatementFailed):
        return False
