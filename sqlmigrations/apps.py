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
        """Registers the checks, and lets our logging, ``migrate`` and ``runserver`` be followed."""
        # Models and checks can only be imported once the registry is there.
        from sqlmigrations import checks, logs, receivers
        from sqlmigrations.management import notice

        checks.register()
        logs.connect()
        notice.connect()
        receivers.connect()
