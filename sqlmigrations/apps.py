"""Registers the app with Django, and nothing else."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SqlMigrationsConfig(AppConfig):
    """The Django app."""

    name = "sqlmigrations"
    verbose_name = _("SQL migrations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Registers the checks, lets our logging listen, and ``runserver`` tell of pending files."""
        # Models and checks can only be imported once the registry is there.
        from sqlmigrations import checks, logs
        from sqlmigrations.management import notice

        checks.register()
        logs.connect()
        notice.connect()
