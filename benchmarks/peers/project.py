"""The smallest Django project that has an app to try."""

from __future__ import annotations

from pathlib import Path

_SETTINGS = """
import os

SECRET_KEY = os.urandom(24).hex()
INSTALLED_APPS = {apps!r}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        **{{key: os.environ["PG" + variable] for key, variable in
           {{"HOST": "HOST", "PORT": "PORT", "USER": "USER", "NAME": "DATABASE"}}.items()}},
    }}
}}
{more}
"""
_MANAGE = """
import os
import sys

sys.modules["psycopg"] = None  # Django prefers it where both are there; the loop speaks through psycopg2

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
_PROBE = """
from django.core.management.base import BaseCommand
from django.db import connection


class Command(BaseCommand):
    requires_system_checks = []

    def handle(self, **options):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
"""


def write_project(folder: Path, *apps: str, more: str = "") -> None:
    """Write a project whose database is where libpq's environment says.

    Beside the apps it has the command ``probe``, which connects and reads one row: the least a command can do.
    """
    (folder / "settings.py").write_text(_SETTINGS.format(apps=["probe", *apps], more=more))
    (folder / "manage.py").write_text(_MANAGE)
    commands = folder / "probe" / "management" / "commands"
    commands.mkdir(parents=True, exist_ok=True)
    for package in (commands, commands.parent, commands.parent.parent):
        (package / "__init__.py").touch()
    (commands / "probe.py").write_text(_PROBE)
