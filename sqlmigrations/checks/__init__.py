"""The system checks: registers them under one tag, and says which need a database and which a deploy.

Every process of a site registers them and few run them, so the engine is imported where it is used: it takes longer
to import than all the rest of the app.
"""

from __future__ import annotations

from django.core import checks

from sqlmigrations.checks.databases import check_databases
from sqlmigrations.checks.deployment import check_connections, check_deployment
from sqlmigrations.checks.files import check_files
from sqlmigrations.checks.identifiers import IDS

__all__ = ["IDS", "TAG", "check_connections", "check_databases", "check_deployment", "check_files", "register"]

TAG = "sqlmigrations"


def register() -> None:
    """Registers all of them; called when the app is ready."""
    # Since 6.1 Django hands all databases to what is chosen by tag: by Django's own tag the files are looked at alone.
    checks.register(check_files, TAG, checks.Tags.files)
    checks.register(check_databases, TAG, checks.Tags.database)
    checks.register(check_deployment, TAG, checks.Tags.security, deploy=True)
    checks.register(check_connections, TAG, checks.Tags.database, deploy=True)
